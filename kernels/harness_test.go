package kernels

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// This file holds what the tests share: element types and backends to run
// over, bit patterns, fills, and the guarded call that compares one kernel of
// one backend with the reference.

var long = flag.Bool("long", false, "run many more random cases")

// skim tells most cases to be left out of a -short run, such as one under the
// race detector or an emulator.
func skim(rng *rand.Rand) bool { return testing.Short() && rng.IntN(8) > 0 }

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x10c5)) }

// tested are the backends that this machine can run, and what it has of others; or
// only the one that LOCKSTEP_TEST_REQUIRE names.
var tested = slices.DeleteFunc(slices.Clone(available), func(b *backend) bool { return required != "" && b.name != required })

var required = os.Getenv("LOCKSTEP_TEST_REQUIRE")

// eachBackend runs f once for every backend that is tested, with that backend
// selected.
func eachBackend(t *testing.T, f func(t *testing.T)) {
	for _, b := range tested {
		t.Run("backend="+b.name, func(t *testing.T) {
			use(t, b)
			f(t)
		})
	}
}

// use selects b until the end of the test.
func use(t testing.TB, b *backend) {
	old := selected.Swap(b)
	t.Cleanup(func() { selected.Store(old) })
}

func typeName[T Float]() string { return fmt.Sprintf("f%d", 8*unsafe.Sizeof(T(0))) }

func bitsOf[T Float](v T) uint64 {
	if unsafe.Sizeof(v) == 4 {
		return uint64(math.Float32bits(float32(v)))
	}
	return math.Float64bits(float64(v))
}

// fromBits is the inverse of bitsOf. (A conversion between the types, as in
// T(math.Float32frombits(u)), is none when T is the same type.)
func fromBits[T Float](u uint64) T {
	if unsafe.Sizeof(T(0)) == 4 {
		return T(math.Float32frombits(uint32(u)))
	}
	return T(math.Float64frombits(u))
}

// same reports whether a and b have the same bits or are both NaN.
func same[T Float](a, b T) bool { return bitsOf(a) == bitsOf(b) || a != a && b != b }

// show prints a value with its bits.
func show[T Float](v T) string {
	return fmt.Sprintf("%v (%#0*x)", v, int(2*unsafe.Sizeof(v)), bitsOf(v))
}

// equal fails the test at the first element where got and want differ.
func equal[T Float](t *testing.T, what string, got, want Mat[T]) {
	t.Helper()
	if got.Rows != want.Rows || got.Cols != want.Cols {
		t.Fatalf("%s: got %d×%d, want %d×%d", what, got.Rows, got.Cols, want.Rows, want.Cols)
	}
	for i := range want.Rows {
		g, w := got.Row(i), want.Row(i)
		for j := range w {
			if !same(g[j], w[j]) {
				t.Fatalf("%s, type %s, backend %s: element (%d,%d) of %d×%d is %s, want %s",
					what, typeName[T](), Backend(), i, j, want.Rows, want.Cols, show(g[j]), show(w[j]))
			}
		}
	}
}

func equalVec[T Float](t *testing.T, what string, got, want []T) {
	t.Helper()
	equal(t, what, MatOf(1, len(got), got), MatOf(1, len(want), want))
}

// limits of T, as exponents of two.
func limits[T Float]() (precision, minExp, maxExp int) {
	if unsafe.Sizeof(T(0)) == 4 {
		return 24, -149, 128
	}
	return 53, -1074, 1024
}

func pow2[T Float](e int) T { return T(math.Ldexp(1, e)) }

var inf = math.Inf(1)

// specials are the values at which formats and instructions have corners.
func specials[T Float]() []T {
	p, lo, hi := limits[T]()
	least, normal, most := pow2[T](lo), pow2[T](lo+p-1), 2*pow2[T](hi-1)
	if most != T(inf) { // 2·2^(hi-1) is the first number too large
		panic("limits")
	}
	most = pow2[T](hi-1) - pow2[T](hi-1-p) + pow2[T](hi-1)
	var s []T
	for _, v := range []T{0, least, 3 * least, normal - least, normal, 1, 1 + pow2[T](1-p), most / 2, most, T(inf), T(math.NaN())} {
		s = append(s, v, -v)
	}
	return s
}

// A fill is a way to draw operands.
type fill int

const (
	ordinary fill = iota // magnitudes around 1
	special              // ordinary, with one in six a corner value
	tiny                 // products fall around the least subnormal
	huge                 // products fall around the overflow threshold
	zeros                // mostly zeros of both signs, else small integers
	wide                 // full mantissas, exponents far apart, nothing overflows
	fills
)

func (f fill) String() string {
	return [...]string{"ordinary", "special", "tiny", "huge", "zeros", "wide"}[f]
}

// draw returns one value of the fill.
func draw[T Float](rng *rand.Rand, f fill) T {
	p, lo, hi := limits[T]()
	scaled := func(e int) T { // ±[1,2)·2^e with all the bits of T, and e of a normal number
		u := uint64(e+hi-1)<<(p-1) | rng.Uint64N(1<<(p-1))
		if rng.IntN(2) == 0 {
			return -fromBits[T](u)
		}
		return fromBits[T](u)
	}
	switch f {
	case special:
		if rng.IntN(6) == 0 {
			s := specials[T]()
			return s[rng.IntN(len(s))]
		}
	case tiny:
		return scaled(lo/2 - 12 + rng.IntN(20))
	case huge:
		return scaled(hi/2 - 4 + rng.IntN(5))
	case zeros:
		if rng.IntN(3) > 0 {
			return T(math.Copysign(0, float64(rng.IntN(2))-0.5))
		}
		return T(rng.IntN(9) - 4)
	case wide:
		return scaled(rng.IntN(hi/3) - hi/6)
	}
	return scaled(rng.IntN(6) - 4)
}

func random[T Float](rng *rand.Rand, f fill, rows, cols int) Mat[T] {
	m := NewMat[T](rows, cols)
	for i := range m.Data {
		m.Data[i] = draw[T](rng, f)
	}
	return m
}

func clone[T Float](m Mat[T]) Mat[T] {
	c := NewMat[T](m.Rows, m.Cols)
	for i := range m.Rows {
		copy(c.Row(i), m.Row(i))
	}
	return c
}

// A call is one call of a kernel: its operands as tight matrices (vectors have
// one row), which of them it writes, and how to make it with operands placed
// elsewhere. A kernel without a scalar result returns 0.
type call[T Float] struct {
	name     string
	operands []operand[T]
	run      func(m []Mat[T]) T
}

type operand[T Float] struct {
	name string
	Mat[T]
	out bool
}

// A place is where in guarded memory an operand lies, and how its rows do.
type place struct {
	pad    int  // Stride - Cols,
	crowd  int  // or how many bytes Stride is, if rows are no longer and that is not too much
	atEnd  bool // the last element is near the guard page behind, else the first near the one before
	offset int  // how many elements away from it
	shift  int  // and bytes beside where elements of the type should begin
}

func (p place) String() string {
	side := "start"
	if p.atEnd {
		side = "end"
	}
	return fmt.Sprintf("%s+%d, %d bytes beside", side, p.offset, p.shift)
}

// A field is guarded memory, a piece for each operand of a call.
type field [8][]byte

const maxOperand = 7 << 20 // bytes

func newField(t *testing.T) *field {
	f := new(field)
	for i := range f {
		f[i] = guarded(t, maxOperand)
	}
	return f
}

// canary is what lies around the operands and between their rows. Being a NaN,
// it shows in the result of whoever computes with it.
func canary[T Float]() T {
	if unsafe.Sizeof(T(0)) == 4 {
		return fromBits[T](0x7fc5a5a5)
	}
	return fromBits[T](0x7ff8a5a5a5a5a5a5)
}

// around is how many elements on either side of an operand are watched. The
// guard page watches the nearer side from the first byte on.
const around = 48

// put copies m to guarded memory: it returns the operand there, and the
// elements to watch with the index of the operand's first among them.
func put[T Float](mem []byte, m Mat[T], p place) (at Mat[T], window []T, first int) {
	mem = mem[p.shift%int(unsafe.Sizeof(T(0))):]
	all := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(mem))), len(mem)/int(unsafe.Sizeof(T(0))))
	stride := m.Cols + p.pad
	if across := p.crowd / int(unsafe.Sizeof(T(0))); p.crowd > 0 && m.Cols <= across && m.Rows*p.crowd <= maxOperand-1<<20 {
		stride = across
	}
	n, _ := span(m.Rows, m.Cols, stride, unsafe.Sizeof(T(0)))
	start := p.offset
	if p.atEnd {
		start = len(all) - n - p.offset
	}
	lo, hi := max(0, start-around), min(len(all), start+n+around)
	window = all[lo:hi]
	for i := range window {
		window[i] = canary[T]()
	}
	at = Mat[T]{Rows: m.Rows, Cols: m.Cols, Data: all[start : start+n : start+n], Stride: stride}
	for i := range m.Rows {
		copy(at.Row(i), m.Row(i))
	}
	return at, window, start - lo
}

// compare makes the call with the reference on plain tight slices, then with
// each backend on operands at the given places, and fails unless the outputs
// have the same bits and all else around is untouched.
func (c *call[T]) compare(t *testing.T, f *field, places []place, about string) {
	t.Helper()
	want := make([]Mat[T], len(c.operands))
	for i, o := range c.operands {
		want[i] = clone(o.Mat)
	}
	wantScalar := with(generic, func() T { return c.run(want) })

	for _, b := range tested {
		at := make([]Mat[T], len(c.operands))
		windows := make([][]T, len(c.operands))
		firsts := make([]int, len(c.operands))
		for i, o := range c.operands {
			at[i], windows[i], firsts[i] = put(f[i], o.Mat, places[i])
		}
		scalar, fault := T(0), any(nil)
		func() {
			defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
			defer func() { fault = recover() }()
			scalar = with(b, func() T { return c.run(at) })
		}()

		describe := func() string {
			var s strings.Builder
			fmt.Fprintf(&s, "%s, type %s, backend %s, %s;", c.name, typeName[T](), b.name, about)
			for i, o := range c.operands {
				fmt.Fprintf(&s, " %s %d×%d stride %d at %v;", o.name, o.Rows, o.Cols, at[i].Stride, places[i])
			}
			return s.String()
		}
		if fault != nil {
			t.Fatalf("%s\npanic: %v", describe(), fault)
		}
		if !same(scalar, wantScalar) {
			t.Fatalf("%s\nresult is %s, want %s", describe(), show(scalar), show(wantScalar))
		}
		for i, o := range c.operands {
			data, before := at[i].Data, windows[i][:firsts[i]]
			untouched := func(all []T, from int) {
				for q, got := range all {
					if bitsOf(got) != bitsOf(canary[T]()) {
						t.Fatalf("%s\nwrote %s to %s at %d (its Data has %d elements), which is no element of it",
							describe(), show(got), o.name, from+q, len(data))
					}
				}
			}
			untouched(before, -len(before))
			untouched(windows[i][firsts[i]+len(data):], len(data))
			for row := range o.Rows {
				from := row * at[i].Stride
				if end := from + o.Cols; end < len(data) {
					untouched(data[end:from+at[i].Stride], end)
				}
				got, ref := at[i].Row(row), o.Row(row)
				if o.out {
					ref = want[i].Row(row)
				}
				if bytes.Equal(bytesOf(got), bytesOf(ref)) {
					continue
				}
				for col, v := range ref {
					switch {
					case !o.out && bitsOf(got[col]) != bitsOf(v):
						t.Fatalf("%s\nchanged the input %s: element (%d,%d) is %s, was %s", describe(), o.name, row, col, show(got[col]), show(v))
					case o.out && !same(got[col], v):
						t.Fatalf("%s\n%s: element (%d,%d) is %s, want %s", describe(), o.name, row, col, show(got[col]), show(v))
					}
				}
			}
		}
	}
}

// bytesOf is the memory of s.
func bytesOf[T Float](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(T(0))))
}

// with calls f with b selected.
func with[R any](b *backend, f func() R) R {
	defer selected.Store(selected.Swap(b))
	return f()
}

// A shape is the size of a layer and of its batch.
type shape struct{ n, in, out int }

func (s shape) String() string { return fmt.Sprintf("%dx%dx%d", s.n, s.in, s.out) }

// volume is the number of multiply-adds, or what else a call costs.
func (s shape) volume() int { return max(s.n, 1) * max(s.in, 1) * max(s.out, 1) }

// wholeBackward is the variant of backward that has all outputs and forgets what
// they held. Most of the kernels are for that.
const wholeBackward = 1 | 2

// calls lists the kernels on one shape with operands of one fill, in every
// variant, or if few with that and some others of backward.
func calls[T Float](rng *rand.Rand, s shape, f fill, few bool) []call[T] {
	in := func(name string, rows, cols int) operand[T] {
		return operand[T]{name, random[T](rng, f, rows, cols), false}
	}
	out := func(o operand[T]) operand[T] { o.out = true; return o }
	x, w, b := in("x", s.n, s.in), in("w", s.in, s.out), in("b", 1, s.out)
	y, dy := in("y", s.n, s.out), in("dy", s.n, s.out)
	dx, dw, db := in("dx", s.n, s.in), in("dw", s.in, s.out), in("db", 1, s.out)

	var cs []call[T]
	for act := range activations {
		cs = append(cs,
			call[T]{fmt.Sprintf("DenseForward(%v)", act), []operand[T]{out(y), x, w, b}, func(m []Mat[T]) T {
				DenseForward(m[0], m[1], m[2], m[3].Data, act)
				return 0
			}},
			call[T]{fmt.Sprintf("DenseForward(%v, no b)", act), []operand[T]{out(y), x, w}, func(m []Mat[T]) T {
				DenseForward(m[0], m[1], m[2], nil, act)
				return 0
			}})
		for variant := range 8 {
			if few && variant != wholeBackward && rng.IntN(4) > 0 {
				continue
			}
			backward, name := DenseBackward[T], "DenseBackward"
			if variant&4 != 0 {
				backward, name = DenseBackwardAdd[T], "DenseBackwardAdd"
			}
			operands, names := []operand[T]{out(dy), y, x, w, out(dw)}, ""
			if variant&1 != 0 {
				operands = append(operands, out(dx))
			} else {
				names += ", no dx"
			}
			if variant&2 != 0 {
				operands = append(operands, out(db))
			} else {
				names += ", no db"
			}
			cs = append(cs, call[T]{fmt.Sprintf("%s(%v%s)", name, act, names), operands, func(m []Mat[T]) T {
				var dx Mat[T]
				var db []T
				if variant&1 != 0 {
					dx = m[5]
				}
				if variant&2 != 0 {
					db = m[len(m)-1].Data
				}
				backward(dx, m[4], db, m[0], m[1], m[2], m[3], act)
				return 0
			}})
		}
	}
	flat := func(name string) operand[T] { return in(name, 1, s.n*s.out) }
	rate := draw[T](rng, f)
	return append(cs,
		call[T]{"MSE", []operand[T]{out(dy), y, in("target", s.n, s.out)}, func(m []Mat[T]) T { return MSE(m[0], m[1], m[2]) }},
		call[T]{"MSE(no grad)", []operand[T]{y, in("target", s.n, s.out)}, func(m []Mat[T]) T { return MSE(Mat[T]{}, m[0], m[1]) }},
		call[T]{"SGD", []operand[T]{out(flat("w")), flat("g")}, func(m []Mat[T]) T { SGD(m[0].Data, m[1].Data, rate); return 0 }})
}

// TestCalls has each backward pass do what its name says with the gradients there
// are: forget them, or go on from them.
func TestCalls(t *testing.T) {
	for _, c := range calls[float64](newRand(24), shape{3, 2, 9}, ordinary, false) {
		if !strings.HasPrefix(c.name, "DenseBackward") {
			continue
		}
		add := strings.HasPrefix(c.name, "DenseBackwardAdd")
		m := make([]Mat[float64], len(c.operands))
		for i, o := range c.operands {
			m[i] = clone(o.Mat)
			if o.name == "dw" {
				m[i].Data[0] = math.NaN()
			}
		}
		c.run(m)
		for i, o := range c.operands {
			if dw := m[i].Data[0]; o.name == "dw" && (dw != dw) != add {
				t.Errorf("%s left %v in a dw that held NaN", c.name, dw)
			}
		}
	}
}

// somewhere draws places for n operands. One in three calls has tight rows, one in
// eight rows that fall into the same sets of a cache, and one in eight, where the CPU
// does not mind, elements that begin at any byte.
func somewhere(rng *rand.Rand, n int) []place {
	ps := make([]place, n)
	tight, crowd := rng.IntN(3) == 0, 0
	if rng.IntN(8) == 0 {
		crowd = 4096
	}
	unaligned := rng.IntN(8) == 0 && (runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64")
	for i := range ps {
		ps[i].crowd = crowd
		ps[i].atEnd = rng.IntN(2) == 0
		if rng.IntN(2) == 0 {
			ps[i].offset = rng.IntN(18)
		}
		if !tight {
			ps[i].pad = []int{0, 1, 2, 3, 5, 8, 16, 17}[rng.IntN(8)]
		}
		if unaligned {
			ps[i].shift = rng.IntN(8)
		}
	}
	return ps
}

// upTo returns 0, 1, …, n.
func upTo(n int) []int {
	s := make([]int, n+1)
	for i := range s {
		s[i] = i
	}
	return s
}

var sizes = slices.Concat(upTo(33), []int{47, 64, 65, 127, 257})
