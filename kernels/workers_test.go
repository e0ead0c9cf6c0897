package kernels

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// However many workers share a call, the bits are those of one. Here they share all
// calls that are long enough to be cut, however little there is to do: every width
// leaves another piece at the end.
func TestWorkers(t *testing.T) {
	shareAll(t)
	eachBackend(t, func(t *testing.T) {
		t.Run("f32", testWorkers[float32])
		t.Run("f64", testWorkers[float64])
	})
}

// shareAll lets workers share all calls that are long enough to be cut, however little
// there is to do, until the end of the test.
func shareAll(t *testing.T) {
	share, gate, big := minShare, minGate, bigShare
	t.Cleanup(func() { minShare, minGate, bigShare = share, gate, big })
	minShare, minGate = 1, 1
}

func testWorkers[T Float](t *testing.T) {
	rng := newRand(25)
	const columns, rows, inputs = 2 * shareCols, 2 * shareRows, 2 * shareInputs // from which two share
	try := func(s shape, forward, backward bool) {
		if skim(rng) {
			return
		}
		w, n := newWork[T](rng, s), []int{2, 3, 7}[rng.IntN(3)]
		bigShare = []int{1, 1 << 27}[rng.IntN(2)] // a piece for each, or several
		if f, b := w.shared(n); f != forward || b != backward {
			t.Fatalf("%v: %d workers share forward: %v, backward: %v", s, n, f, b)
		}
		w.run(n).equal(t, fmt.Sprintf(" of %v by %d workers", s, n), w.run(1))
	}
	for i := range 2 * panelSet {
		try(shape{3, 20, columns + i}, true, false)
		try(shape{2, inputs + i, 1 + i%20}, false, true)
		try(shape{1 + i%5, inputs + i, columns + i}, true, true)
		try(shape{rows + i, 5 + i%25, 1 + i}, true, false)
		try(shape{2*shareOutputs + i%17, fewestInputs + i%60, 2*shareOutputs + i}, true, true)
		try(shape{2*shareOutputs + i%17, fewestInputs - 1, 2*shareOutputs + i}, true, false)
	}
	for _, s := range []shape{{50, 600, 17}, {70, 130, 300}, {1, 1100, 500}, {130, 400, 3}, {300, 300, 1}} {
		try(s, s.out > columns || s.n > rows, true)
	}
	try(shape{rows - 1, inputs - 1, columns - 1}, false, false)
	try(shape{0, inputs, columns}, false, false)
}

// A work is the operands of a layer's passes.
type work[T Float] struct {
	shape
	act          Activation
	x, w, dy, dw Mat[T]
	b, db        []T
}

func newWork[T Float](rng *rand.Rand, s shape) work[T] {
	gap := 3 * rng.IntN(2)
	mat := func(rows, cols int) Mat[T] {
		m := random[T](rng, ordinary, rows, cols+gap)
		m.Cols = cols
		return m
	}
	return work[T]{s, []Activation{Identity, ReLU}[rng.IntN(2)], mat(s.n, s.in), mat(s.in, s.out), mat(s.n, s.out), mat(s.in, s.out),
		random[T](rng, ordinary, 1, s.out).Data, random[T](rng, ordinary, 1, s.out).Data}
}

// passed is what the passes of a work make.
type passed[T Float] struct {
	y, packed, dz, dw, dx, added, addedX, weights Mat[T]
	db, addedB                                    []T
}

func (w *work[T]) outputs() passed[T] {
	mat := NewMat[T]
	return passed[T]{mat(w.n, w.out), mat(w.n, w.out), clone(w.dy), clone(w.dw), mat(w.n, w.in), clone(w.dw), mat(w.n, w.in), clone(w.dw),
		slices.Clone(w.db), slices.Clone(w.db)}
}

// run has n workers make them.
func (w *work[T]) run(n int) passed[T] {
	defer SetWorkers(n)()
	return w.passes()
}

func (w *work[T]) passes() passed[T] {
	r := w.outputs()
	DenseForward(r.y, w.x, w.w, w.b, w.act)
	Pack(w.w, w.b).Forward(r.packed, w.x, w.act)
	DenseBackward(r.dx, r.dw, r.db, r.dz, r.y, w.x, w.w, w.act)
	DenseBackwardAdd(r.addedX, r.added, r.addedB, clone(w.dy), r.y, w.x, w.w, w.act)
	DenseBackward(Mat[T]{}, r.weights, nil, clone(w.dy), r.y, w.x, w.w, w.act)
	return r
}

// shared reports whether n workers share a forward pass and a backward pass.
func (w *work[T]) shared(n int) (forward, backward bool) {
	defer SetWorkers(n)()
	r, t := w.outputs(), current[T]()
	return t.forwardSplit(&r.y, &w.x, &w.w, w.b, w.act), t.backwardSplit(&r.dx, &r.dw, r.db, &r.dz, &r.y, &w.x, &w.w, w.act, false)
}

func (r passed[T]) equal(t *testing.T, who string, want passed[T]) {
	t.Helper()
	equal(t, "y"+who, r.y, want.y)
	equal(t, "packed y"+who, r.packed, want.y)
	equal(t, "dz"+who, r.dz, want.dz)
	equal(t, "dw"+who, r.dw, want.dw)
	equal(t, "dx"+who, r.dx, want.dx)
	equal(t, "added dw"+who, r.added, want.added)
	equal(t, "dx beside it"+who, r.addedX, want.addedX)
	equal(t, "dw alone"+who, r.weights, want.weights)
	equalVec(t, "db"+who, r.db, want.db)
	equalVec(t, "added db"+who, r.addedB, want.addedB)
}

// Pieces follow each other without a gap, and begin where whole tiles do. Each worker
// has as much as the others, but for a unit.
func TestCuts(t *testing.T) {
	for _, c := range []struct {
		count, most, length, whole, unit int
		want                             [][]int
	}{
		{1, 1, 5, 8, 8, [][]int{{0, 5}}},
		{2, 1, 0, 8, 8, [][]int{{0, 0}}},
		{2, 8, 32, 48, 16, [][]int{{0, 16}, {16, 32}}},
		{2, 8, 16, 48, 16, [][]int{{0, 16}}},
		{2, 8, 20, 48, 16, [][]int{{0, 20}}},
		{2, 8, 96, 48, 16, [][]int{{0, 48}, {48, 96}}},
		{2, 8, 129, 48, 16, [][]int{{0, 48, 64}, {64, 112, 129}}},
		{2, 8, 256, 48, 16, [][]int{{0, 48, 96, 128}, {128, 176, 224, 256}}},
		{2, 1, 512, 48, 16, [][]int{{0, 256}, {256, 512}}},
		{2, 2, 512, 48, 16, [][]int{{0, 96, 240, 256}, {256, 352, 496, 512}}},
		{3, 8, 160, 48, 16, [][]int{{0, 48}, {48, 96, 112}, {112, 160}}},
		{2, 8, 199, 48, 16, [][]int{{0, 48, 96}, {96, 144, 199}}},
		{2, 8, 208, 48, 16, [][]int{{0, 48, 96, 112}, {112, 160, 208}}},
		{2, 8, 500, 48, 16, [][]int{{0, 48, 96, 144, 192, 240, 256}, {256, 304, 352, 400, 448, 500}}},
		{2, 8, 300, 48, 16, [][]int{{0, 48, 96, 144}, {144, 192, 240, 300}}},
		{4, 8, 100, 48, 16, [][]int{{0, 32}, {32, 48}, {48, 80}, {80, 100}}},
		{9, 8, 30, 48, 16, [][]int{{0, 16}, {16, 30}}},
		{3, 2, 100, 8, 8, [][]int{{0, 16, 32}, {32, 48, 64}, {64, 80, 100}}},
	} {
		if got := cuts(c.count, c.most, c.length, c.whole, c.unit); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: %v", c, got)
		}
	}
	whole := func(at [][]int, length int) bool {
		end := 0
		for _, list := range at {
			if len(list) < 2 || list[0] != end || !slices.IsSorted(list) {
				return false
			}
			end = list[len(list)-1]
		}
		return end == length
	}
	// So long, and for so many, that products of both overflow 32 bits.
	for _, c := range []struct{ count, length, whole, unit int }{{32, 1 << 26, 8, 8}, {7000, 7000*panelSet - 1, panelSet, colUnit}} {
		if at := cuts(c.count, 8, c.length, c.whole, c.unit); !whole(at, c.length) || len(at) != c.count {
			t.Errorf("%+v: lists of %d goroutines, or not the whole", c, len(at))
		}
	}
	for count := 1; count <= 9; count++ {
		for length := 1; length < 1000; length++ {
			at := cuts(count, pieces(0, count), length, panelSet, colUnit)
			if !whole(at, length) {
				t.Fatalf("%d columns for %d workers: %v", length, count, at)
			}
			for _, list := range at {
				if all := list[len(list)-1] - list[0]; length >= count*shareInputs && max(all*count-length, length-all*count) > count*colUnit {
					t.Fatalf("%d columns for %d workers: %d of them for one", length, count, all)
				}
				for i, to := range list[1:] {
					switch wide := to - list[i]; {
					case wide < min(length, narrow), to < length && to%colUnit != 0:
						t.Fatalf("%d columns for %d workers: a piece from %d to %d", length, count, list[i], to)
					}
				}
			}
		}
	}
}

// Every piece of a stage is done once, and none before those of the stage before it.
func TestShare(t *testing.T) {
	const count, parts = 5, 40
	at := make([][]int, count)
	for k := range at {
		for i := range parts/count + 1 {
			at[k] = append(at[k], k*parts/count+i)
		}
	}
	routines := runtime.NumGoroutine()
	var done [3][parts]atomic.Int64
	var stages []*stage
	begun := make(chan bool)
	for i := range done {
		stages = append(stages, newStage(at, func(from, to int) {
			for j := range i {
				for k := range parts {
					if n := done[j][k].Load(); n != 1 {
						t.Errorf("piece %d of stage %d was done %d times before piece %d of stage %d began", k, j, n, from, i)
					}
				}
			}
			if to != from+1 {
				t.Errorf("a piece from %d to %d", from, to)
			}
			switch from { // the first two pieces are the caller's, but another takes the second, which is the last to be done
			case 0:
				<-begun
			case 1:
				begun <- true
				time.Sleep(5 * time.Millisecond)
			}
			done[i][from].Add(1)
		}))
	}
	share(count, stages...)
	for i := range done {
		for k := range parts {
			if n := done[i][k].Load(); n != 1 {
				t.Errorf("piece %d of stage %d was done %d times", k, i, n)
			}
		}
	}

	// Helpers end when nothing has come for a while.
	for begin := time.Now(); runtime.NumGoroutine() > routines || helpers.Load() != 0 || len(jobs) != 0; time.Sleep(time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("%d goroutines are left over, %d helpers wait and %d jobs", runtime.NumGoroutine()-routines, helpers.Load(), len(jobs))
		}
	}
}

func TestSetWorkers(t *testing.T) {
	if n := shares(1e12, 1<<20, 1); n != 1 {
		t.Fatalf("%d workers from the start", n)
	}
	restore := SetWorkers(3)
	inner := SetWorkers(2)
	if n := shares(1e12, 1<<20, 1); n != 2 {
		t.Errorf("%d workers, want 2", n)
	}
	inner()
	if n := shares(1e12, 1<<20, 1); n != 3 {
		t.Errorf("%d workers, want 3", n)
	}
	for _, c := range []struct {
		work          float64
		length, least int
		want          int
	}{
		{float64(minShare), 1000, 10, 1}, {2 * float64(minShare), 1000, 10, 2}, {1e12, 29, 10, 2}, {1e12, 9, 10, 1}, {0, 0, 10, 1},
	} {
		if n := shares(c.work, c.length, c.least); n != c.want {
			t.Errorf("%+v: %d shares", c, n)
		}
	}
	restore()
	if n := shares(1e12, 1<<20, 1); n != 1 {
		t.Errorf("%d workers after restore", n)
	}
	for _, n := range []int{0, -1, 1<<16 + 1} {
		want := fmt.Sprintf("lockstep: SetWorkers: n is %d but must be from 1 to 65536", n)
		if got := panicText(func() { SetWorkers(n) }); got != want {
			t.Errorf("panic %q, want %q", got, want)
		}
	}
}
