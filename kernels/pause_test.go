//go:build (amd64 || arm64) && !purego && !noasm

package kernels

import (
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

// Go can neither stop a goroutine that is in assembly nor, until it has, any
// garbage collection begin: so each call into assembly must be short. What it
// does is counted here, not timed, which would tell of the machine: kernels
// that compute nothing note what they are asked for, so that this is tested for
// every instruction set of the GOARCH, on any CPU.

const (
	mostWork    = 1 << 19 // multiply-adds of a call: 50 µs at ten a nanosecond,
	mostVectors = 1 << 16 // or of vectors, if that is more
	mostRun     = 1 << 12 // its rows or elements, each of which may be a cache miss,
	mostBytes   = 9 << 17 // and bytes of its operands: about as long at twenty a nanosecond
)

// A cost of a call is how many multiply-adds it does, at its dearest, how many rows or
// elements it runs through, and how many elements its operands have.
type cost struct{ work, run, elements int }

// costs gives that for every kernel, from the ints that it is called with.
var costs = map[string]func(n []int) cost{
	"panel":  func(n []int) cost { return cost{n[0] * n[1] * n[2], max(n[0], n[2]), n[0]*n[1] + (n[0]+n[1])*n[2]} },
	"stream": func(n []int) cost { return cost{n[0] * n[1] * streams, n[0], (n[0] + streams) * n[1]} },
	"sweep": func(n []int) cost {
		return cost{n[0] * n[1] * max(n[2], 8), max(n[0], n[2]), n[0]*n[1] + (n[0]+n[1])*n[2]}
	},
	"thin":    func(n []int) cost { return cost{n[0] * n[1] * (n[2] + 1), 4 * n[0], n[0]*n[1] + (n[0]+n[1])*n[2]} },
	"flat":    func(n []int) cost { return cost{n[0] * n[1], 4 * n[0], n[0] * n[1]} },
	"input":   func(n []int) cost { return cost{(n[0] + 1) * n[1] * n[2], n[2] / 8, (n[0] + n[1]) * n[2]} },
	"turned":  func(n []int) cost { return cost{(n[0] + 1) * n[1] * n[2], n[2] / 8, (n[0] + n[1]) * n[2]} },
	"dots":    func(n []int) cost { return cost{18 * n[2], n[2] / 8, 4 * (n[0] + n[1]) * n[2]} },
	"packing": func(n []int) cost { return cost{8 * 48 * n[0], n[0], 3 * 48 * n[0]} },
	"narrow":  func(n []int) cost { return cost{4 * n[0] * (n[1] + chains), max(n[0], n[1]/8), (n[0] + 1) * n[1]} },
	"abreast": func(n []int) cost { return cost{8 * n[0] * (n[2] + chains), max(n[0], n[2]), (n[0] + n[1]) * n[2]} },
	"trees":   func(n []int) cost { return cost{8 * n[0] * (n[2] + chains), max(n[0], n[2]), (n[0] + n[1]) * n[2]} },
	"tree":    func(n []int) cost { return cost{8 * n[0] * n[2], n[0], n[0] * (n[1] + n[2])} },
	"narrowBoth": func(n []int) cost {
		return cost{2 * n[0] * n[1] * (n[2] + 8), max(n[0], n[2]), 2 * n[0] * (n[1] + n[2])}
	},
	"columns": func(n []int) cost { return cost{n[0] * n[1], n[0], 2 * n[0] * n[1]} },
	"several": func(n []int) cost {
		return cost{2 * n[0] * n[1] * (n[2] + chains), max(n[0], n[2]), (n[0] + n[1]) * n[2]}
	},
	"unpacked": func(n []int) cost {
		return cost{4 * (n[0] + 2) * n[1] * (n[2] + chains), max(n[0], n[2]), (n[0] + n[1]) * n[2]}
	},
	"tall": func(n []int) cost { return cost{n[0] * n[1] * n[2], max(n[0], n[2]), (n[0] + n[1]) * n[2]} },
	"grad": func(n []int) cost {
		return cost{(n[0] + 1) * n[1] * n[2], max(n[0], n[2]), (n[0]+2*n[2])*n[1] + n[0]*n[2]}
	},
	"gradBoth": func(n []int) cost {
		return cost{2 * (n[0] + 1) * n[1] * n[2], max(4*n[2], n[1]/8), 2*(n[0]+n[1])*n[2] + (2*n[0]+1)*n[1]}
	},
	"gate":       func(n []int) cost { return cost{8 * n[0] * n[1], n[0], 2 * n[0] * n[1]} },
	"gateAround": func(n []int) cost { return cost{8 * n[0], n[0], 2 * n[0]} },
	"column":     func(n []int) cost { return cost{(2*n[0] + 1) * n[1], 4 * n[1], 2 * n[0] * n[1]} },
	"transpose":  func(n []int) cost { return cost{n[0] * n[1], max(n[0], n[1]), 2 * n[0] * n[1]} },
	"both":       func(n []int) cost { return cost{(2*n[0] + 1) * n[1] * n[2], n[2] / 8, (n[0] + 2*n[1]) * n[2]} },
	"bothTurned": func(n []int) cost { return cost{(2*n[0] + 1) * n[1] * n[2], n[2] / 8, (2*n[0] + n[1]) * n[2]} },
	"strips":     func(n []int) cost { return cost{2 * n[0] * n[1] * (n[2] + 8), n[1], (n[0] + 2*n[1]) * n[2]} },
	"tighten":    func(n []int) cost { return cost{n[0] * n[1], n[0], 2 * n[0] * n[1]} },
	"mse":        func(n []int) cost { return cost{2 * n[0], n[0], 3 * n[0]} },
	"sgd":        func(n []int) cost { return cost{n[0], n[0], 2 * n[0]} },
}

// An instructionSet has tiles for both types.
type instructionSet struct {
	name string
	f32  *tiles[float32]
	f64  *tiles[float64]
}

func TestShortCalls(t *testing.T) {
	calls := map[string]int{}
	for _, s := range instructionSets {
		t.Run("backend="+s.name, func(t *testing.T) {
			t.Run("f32", func(t *testing.T) { testShortCalls(t, s.f32, calls) })
			t.Run("f64", func(t *testing.T) { testShortCalls(t, s.f64, calls) })
		})
	}
	if len(calls) == 0 {
		t.Error("there is no kernel")
	}
	for function, n := range calls {
		if n == 0 {
			t.Errorf("no shape calls %s", function)
		}
	}
}

func testShortCalls[T Float](t *testing.T, of *tiles[T], calls map[string]int) {
	var now string // what is being computed
	var count int  // calls for it: forward and of two backward passes, then of two that add
	fake := counted(t, of, calls, func(kernel, function string, lanes int, n []int) {
		calls[function]++
		most := max(mostWork, lanes*mostVectors)
		if count++; count > 1<<18 {
			t.Fatalf("%s: calls without an end, now of %s%v", now, kernel, n)
		}
		c := costs[kernel](n)
		if bytes := c.elements * int(size[T]()); c.work > most || c.run > mostRun || bytes > mostBytes {
			t.Fatalf("%s: %s%v is one call of %d multiply-adds over %d rows or elements of %d bytes; they must be at most %d, %d and %d",
				now, kernel, n, c.work, c.run, bytes, most, mostRun, mostBytes)
		}
	})
	table := fake.table()

	shapes := []shape{
		{1, 1, 1}, {1, 1, 8}, {1, 40, 50}, {1, 100, 100}, {1, 700, 1000}, {1, 24, 4000}, {1, 12, 4000}, {1, 3, 2}, {1, 4, 2}, {3, 600, 900}, {5, 17, 9}, {64, 256, 256}, {600, 700, 800}, {300, 300, 1024}, // all sizes alike
		{9000, 3, 20}, {9000, 40, 9}, {9000, 1, 8}, {9000, 1, 4}, {9000, 20, 3}, {9000, 8, 3}, {9000, 60, 1}, {9000, 1, 1}, // tall
		{3, 9000, 9}, {1, 9000, 9}, {17, 9000, 3}, {17, 9000, 1}, {1, 9000, 64}, {40, 4096, 7}, {2, 4096, 7}, {1, 4096, 7}, {16, 16, 7}, {6, 40, 4}, {8, 40, 7}, {4, 4096, 2}, {600, 4096, 2}, // long
		{4, 1, 300}, {4, 3, 300}, {3, 3, 2000}, {1, 1, 3000}, {3, 9, 9000}, {70, 3, 9000}, {1, 64, 9000}, {1, 9, 7000}, {1, 100, 7000}, {3, 40, 7168}, {8, 60, 7168}, {70, 2, 7168}, {12, 40, 7100}, {10, 40, 7100}, {3, 18, 7164}, {100, 9000, 1}, {40, 1199, 6}, {80, 1199, 3}, {2, 300, 5000}, {10, 300, 3000}, {9, 300, 3000}, {5, 500, 9000}, {8, 1, 24}, {1345, 1, 2048}, {1345, 2, 2048}, {40, 2, 10000}, {9, 1, 16384}, // wide
		{3000, 0, 3000}, {3000, 8, 0}, {0, 300, 300},
	}
	both := len(shapes)
	for n := range 300 { // rows that are cut into pieces of any height
		if testing.Short() && n%7 > 0 {
			continue
		}
		shapes = append(shapes, shape{n, 256, 50}, shape{n % 20, n, 2000})
	}
	for i, s := range shapes {
		for _, pad := range []int{0, 3} {
			if i >= both && (i/2+pad)%2 > 0 {
				continue // tight or with gaps, in turns
			}
			m := func(rows, cols int) Mat[T] {
				return Mat[T]{rows, cols, make([]T, rows*(cols+pad)), cols + pad}
			}
			now, count = s.String(), 0
			y, x, w, b, dy, dx, dw := m(s.n, s.out), m(s.n, s.in), m(s.in, s.out), make([]T, s.out), m(s.n, s.out), m(s.n, s.in), m(s.in, s.out)
			if !y.empty() {
				table.forward(&y, &x, &w, b, ReLU)
				table.forward(&y, &x, &w, nil, Identity)
				table.mse(&dy, &y, &dy, 1)
				table.mse(new(Mat[T]), &y, &dy, 1)
			}
			table.backward(&dx, &dw, b, &dy, &y, &x, &w, ReLU, false)
			table.backward(new(Mat[T]), &dw, nil, &dy, &y, &x, &w, Identity, true)
			count = 0
			table.backward(&dx, &dw, b, &dy, &y, &x, &w, ReLU, true)
			table.backward(&dx, &dw, nil, &dy, &y, &x, &w, ReLU, true)
			table.gate(&dy, &y, ReLU)
			if len(w.Data) > 0 {
				table.sgd(w.Data, dw.Data, 1)
			}
		}
	}
}

// counted returns tiles of the same sizes whose kernels, each an entry of calls by the name
// of its function, call note instead of computing anything. A kernel without a cost is a
// failure.
func counted[T Float](t *testing.T, of *tiles[T], calls map[string]int, note func(kernel, function string, lanes int, n []int)) *tiles[T] {
	fake := new(tiles[T])
	from, to := reflect.ValueOf(of).Elem(), reflect.ValueOf(fake).Elem()
	for i := range from.NumField() {
		// The fields are not exported, so they are taken by their addresses.
		f := from.Type().Field(i)
		src := reflect.NewAt(f.Type, unsafe.Pointer(from.Field(i).UnsafeAddr())).Elem()
		dst := reflect.NewAt(f.Type, unsafe.Pointer(to.Field(i).UnsafeAddr())).Elem()
		switch {
		case f.Type == reflect.TypeFor[sync.Pool]():
		case f.Type == reflect.TypeFor[*tiles[T]]():
			if of.half != nil {
				fake.half = counted(t, of.half, calls, note)
				fake.half.table()
			}
		case f.Type.Kind() == reflect.Int, f.Type.Kind() == reflect.Bool, f.Type.Kind() == reflect.Slice:
			dst.Set(src)
		case f.Type.Kind() == reflect.Func && costs[f.Name] != nil:
			if src.IsNil() {
				continue // not every instruction set has it
			}
			function := runtime.FuncForPC(src.Pointer()).Name()
			function = function[strings.LastIndexByte(function, '.')+1:]
			if !strings.HasPrefix(function, f.Name) || !strings.HasSuffix(strings.ToLower(function), typeName[T]()) {
				t.Fatalf("tiles.%s is %s, by which name others may go", f.Name, function)
			}
			calls[function] += 0
			dst.Set(reflect.MakeFunc(f.Type, func(args []reflect.Value) (results []reflect.Value) {
				var n []int
				for _, a := range args {
					if a.Kind() == reflect.Int {
						n = append(n, int(a.Int()))
					}
				}
				note(f.Name, function, of.lanes, n)
				for r := range f.Type.NumOut() {
					results = append(results, reflect.Zero(f.Type.Out(r)))
				}
				return results
			}))
		default:
			t.Fatalf("tiles.%s, a %v, has no costs", f.Name, f.Type)
		}
	}
	return fake
}

// EachCounted calls do for every instruction set, with the name of a backend whose kernels
// compute nothing. It returns how often each function of the assembly has been called.
func EachCounted(t *testing.T, do func(t *testing.T, backend string)) (calls map[string]int) {
	calls = map[string]int{}
	var counting sync.Mutex
	count := func(_, function string, _ int, _ []int) {
		counting.Lock()
		calls[function]++
		counting.Unlock()
	}
	for _, s := range instructionSets {
		t.Run("backend="+s.name, func(t *testing.T) {
			before := available
			defer func() { available = before }()
			b := &backend{
				name: "counted",
				f32:  counted(t, s.f32, calls, count).table(),
				f64:  counted(t, s.f64, calls, count).table(),
			}
			available = append(slices.Clone(before), b)
			do(t, b.name)
		})
	}
	return calls
}
