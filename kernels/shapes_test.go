package kernels

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"unsafe"
)

// What the exported functions refuse, in what words, and that they refuse
// before they write; and what they accept although it looks like overlap.

// panicText returns what f panics with, as text, or "".
func panicText(f func()) (text string) {
	defer func() {
		if r := recover(); r != nil {
			text = fmt.Sprint(r)
		}
	}()
	f()
	return ""
}

// The arguments of one call of each kind, on one memory per operand.
type arguments struct {
	y, x, w, dy, dx, dw, pred, target, grad Mat[float64]
	b, db, p, g                             []float64
	act                                     Activation
}

// Layer 2×3×4: x is 2×3, w is 3×4, y is 2×4.
func newArguments() *arguments {
	rng := newRand(12)
	m := func(rows, cols int) Mat[float64] { return random[float64](rng, ordinary, rows, cols) }
	return &arguments{
		y: m(2, 4), x: m(2, 3), w: m(3, 4), dy: m(2, 4), dx: m(2, 3), dw: m(3, 4),
		pred: m(2, 4), target: m(2, 4), grad: m(2, 4),
		b: m(1, 4).Data, db: m(1, 4).Data, p: m(1, 5).Data, g: m(1, 5).Data,
	}
}

// memory returns the bits of everything the arguments had to begin with.
func (a *arguments) memory() []uint64 {
	var all []uint64
	for _, s := range [][]float64{a.y.Data, a.x.Data, a.w.Data, a.dy.Data, a.dx.Data, a.dw.Data,
		a.pred.Data, a.target.Data, a.grad.Data, a.b, a.db, a.p, a.g} {
		for _, v := range s[:cap(s)] {
			all = append(all, math.Float64bits(v))
		}
	}
	return all
}

var kernelCalls = map[string]func(a *arguments){
	"DenseForward":     func(a *arguments) { DenseForward(a.y, a.x, a.w, a.b, a.act) },
	"DenseBackward":    func(a *arguments) { DenseBackward(a.dx, a.dw, a.db, a.dy, a.y, a.x, a.w, a.act) },
	"DenseBackwardAdd": func(a *arguments) { DenseBackwardAdd(a.dx, a.dw, a.db, a.dy, a.y, a.x, a.w, a.act) },
	"MSE":              func(a *arguments) { MSE(a.grad, a.pred, a.target) },
	"SGD":              func(a *arguments) { SGD(a.p, a.g, 0.5) },
}

const mostInt = int(^uint(0) >> 1)

// TestPanics lists the whole text of every panic after "lockstep: NAME: ".
// Those of DenseBackward hold for DenseBackwardAdd as well.
func TestPanics(t *testing.T) {
	type M = Mat[float64]
	mat := func(rows, cols int) M { return NewMat[float64](rows, cols) }
	// inside returns a view of m that begins at the given element.
	inside := func(m M, at, rows, cols, stride int) M {
		return M{rows, cols, m.Data[at:], stride}
	}
	grow := func(m *M) M { // m with four more elements behind it
		d := append(make([]float64, 0, len(m.Data)+4), m.Data...)
		m.Data = d
		return M{1, 4, d[len(d) : len(d)+4], 4}
	}
	// wrapping gives an operand of three rows a stride so long that where its last row begins
	// is, modulo 2⁶⁴, two elements before the first; of a layer 3×3×4, all else is valid.
	wrapping := func(operand func(a *arguments) *M) func(a *arguments) {
		return func(a *arguments) {
			a.y, a.x, a.dy, a.dx, a.pred, a.target, a.grad = mat(3, 4), mat(3, 3), mat(3, 4), mat(3, 3), mat(3, 4), mat(3, 4), mat(3, 4)
			operand(a).Stride = mostInt
		}
	}
	overflows := func(operand string) string {
		return fmt.Sprintf("%s with stride %d, which overflows int", operand, mostInt)
	}
	tests := []struct {
		fn   string
		edit func(a *arguments)
		want string
	}{
		// Sizes that disagree.
		{"DenseForward", func(a *arguments) { a.w = mat(5, 4) }, "x is 2×3 but w has 5 rows"},
		{"DenseForward", func(a *arguments) { a.w = mat(0, 4) }, "x is 2×3 but w has 0 rows"},
		{"DenseForward", func(a *arguments) { a.x = mat(2, 0) }, "x is 2×0 but w has 3 rows"},
		{"DenseForward", func(a *arguments) { a.x = mat(5, 3) }, "y is 2×4 but x has 5 rows"},
		{"DenseForward", func(a *arguments) { a.y = mat(0, 4) }, "y is 0×4 but x has 2 rows"},
		{"DenseForward", func(a *arguments) { a.y = mat(2, 5) }, "y is 2×5 but w has 4 columns"},
		{"DenseForward", func(a *arguments) { a.y = M{} }, "y is 0×0 but x has 2 rows"},
		{"DenseForward", func(a *arguments) { a.b = make([]float64, 3) }, "w is 3×4 but b has 3 elements"},
		{"DenseForward", func(a *arguments) { a.b = make([]float64, 5) }, "w is 3×4 but b has 5 elements"},
		{"DenseForward", func(a *arguments) { a.b = []float64{} }, "w is 3×4 but b has 0 elements"},
		{"DenseBackward", func(a *arguments) { a.w = mat(5, 4) }, "x is 2×3 but w has 5 rows"},
		{"DenseBackward", func(a *arguments) { a.y = mat(1, 4) }, "y is 1×4 but x has 2 rows"},
		{"DenseBackward", func(a *arguments) { a.y = mat(2, 3) }, "y is 2×3 but w has 4 columns"},
		{"DenseBackward", func(a *arguments) { a.dy = mat(1, 4) }, "dy is 1×4 but y has 2 rows"},
		{"DenseBackward", func(a *arguments) { a.dy = mat(2, 3) }, "dy is 2×3 but y has 4 columns"},
		{"DenseBackward", func(a *arguments) { a.dy = M{} }, "dy is 0×0 but y has 2 rows"},
		{"DenseBackward", func(a *arguments) { a.dw = mat(2, 4) }, "dw is 2×4 but w has 3 rows"},
		{"DenseBackward", func(a *arguments) { a.dw = mat(3, 5) }, "dw is 3×5 but w has 4 columns"},
		{"DenseBackward", func(a *arguments) { a.dw = M{} }, "dw is 0×0 but w has 3 rows"},
		{"DenseBackward", func(a *arguments) { a.db = a.db[:3] }, "dw is 3×4 but db has 3 elements"},
		{"DenseBackward", func(a *arguments) { a.db = a.db[:0] }, "dw is 3×4 but db has 0 elements"},
		{"DenseBackward", func(a *arguments) { a.dx = mat(3, 3) }, "dx is 3×3 but x has 2 rows"},
		{"DenseBackward", func(a *arguments) { a.dx = mat(2, 4) }, "dx is 2×4 but x has 3 columns"},
		{"DenseBackward", func(a *arguments) { a.dx = mat(0, 3) }, "dx is 0×3 but x has 2 rows"},
		{"DenseBackward", func(a *arguments) { a.dx = mat(0, 0) }, "dx is 0×0 but x has 2 rows"},
		{"MSE", func(a *arguments) { a.target = mat(3, 4) }, "target is 3×4 but pred has 2 rows"},
		{"MSE", func(a *arguments) { a.target = mat(2, 3) }, "target is 2×3 but pred has 4 columns"},
		{"MSE", func(a *arguments) { a.target = M{} }, "target is 0×0 but pred has 2 rows"},
		{"MSE", func(a *arguments) { a.grad = mat(1, 4) }, "grad is 1×4 but pred has 2 rows"},
		{"MSE", func(a *arguments) { a.grad = mat(2, 5) }, "grad is 2×5 but pred has 4 columns"},
		{"SGD", func(a *arguments) { a.g = a.g[:4] }, "w has 5 elements but g has 4"},
		{"SGD", func(a *arguments) { a.g = nil }, "w has 5 elements but g has 0"},
		{"SGD", func(a *arguments) { a.p = a.p[:0] }, "w has 0 elements but g has 5"},

		// Invalid views, in each operand.
		{"DenseForward", func(a *arguments) { a.y.Rows = -2 }, "y has the negative size -2×4"},
		{"DenseForward", func(a *arguments) { a.x.Cols = -1 }, "x has the negative size 2×-1"},
		{"DenseForward", func(a *arguments) { a.w.Rows, a.w.Cols = -3, -4 }, "w has the negative size -3×-4"},
		{"DenseForward", func(a *arguments) { a.y.Stride = 3 }, "y is 2×4 but its stride is 3"},
		{"DenseForward", func(a *arguments) { a.x.Stride = 0 }, "x is 2×3 but its stride is 0"},
		{"DenseForward", func(a *arguments) { a.w.Stride = -4 }, "w is 3×4 but its stride is -4"},
		{"DenseForward", func(a *arguments) { a.x = M{Rows: 2, Stride: -1} }, "x is 2×0 but its stride is -1"},
		{"DenseForward", func(a *arguments) { a.y.Data = a.y.Data[:7] }, "y is 2×4 with stride 4 and needs 8 elements, but its Data has 7"},
		{"DenseForward", func(a *arguments) { a.x.Data = nil }, "x is 2×3 with stride 3 and needs 6 elements, but its Data has 0"},
		{"DenseForward", func(a *arguments) { a.w.Stride = 5 }, "w is 3×4 with stride 5 and needs 14 elements, but its Data has 12"},
		{"DenseForward", func(a *arguments) { a.y.Rows, a.y.Stride = 3, mostInt }, fmt.Sprintf("y is 3×4 with stride %d, which overflows int", mostInt)},
		{"DenseForward", func(a *arguments) { a.x.Rows = mostInt }, fmt.Sprintf("x is %d×3 with stride 3, which overflows int", mostInt)},
		{"DenseForward", func(a *arguments) { a.w.Stride = mostInt / 8 }, fmt.Sprintf("w is 3×4 with stride %d, which overflows int", mostInt/8)},
		{"DenseForward", wrapping(func(a *arguments) *M { return &a.y }), overflows("y is 3×4")},
		{"DenseForward", wrapping(func(a *arguments) *M { return &a.x }), overflows("x is 3×3")},
		{"DenseForward", wrapping(func(a *arguments) *M { return &a.w }), overflows("w is 3×4")},
		{"DenseBackward", wrapping(func(a *arguments) *M { return &a.dx }), overflows("dx is 3×3")},
		{"DenseBackward", wrapping(func(a *arguments) *M { return &a.dw }), overflows("dw is 3×4")},
		{"DenseBackward", wrapping(func(a *arguments) *M { return &a.dy }), overflows("dy is 3×4")},
		{"DenseBackward", wrapping(func(a *arguments) *M { return &a.y }), overflows("y is 3×4")},
		{"DenseBackward", wrapping(func(a *arguments) *M { return &a.x }), overflows("x is 3×3")},
		{"DenseBackward", wrapping(func(a *arguments) *M { return &a.w }), overflows("w is 3×4")},
		{"MSE", wrapping(func(a *arguments) *M { return &a.pred }), overflows("pred is 3×4")},
		{"MSE", wrapping(func(a *arguments) *M { return &a.target }), overflows("target is 3×4")},
		{"MSE", wrapping(func(a *arguments) *M { return &a.grad }), overflows("grad is 3×4")},
		{"DenseForward", func(a *arguments) { a.y, a.x, a.w, a.b = M{Rows: -1}, M{Rows: -1}, M{}, nil }, "y has the negative size -1×0"},
		{"DenseForward", func(a *arguments) { a.x.Cols, a.x.Stride, a.w, a.y, a.b = -1, 1, M{Rows: -1}, M{Rows: 2}, nil }, "x has the negative size 2×-1"},
		{"DenseForward", func(a *arguments) { a.y.Cols, a.y.Stride, a.w.Cols, a.w.Stride, a.b = -1, 1, -1, 1, nil }, "y has the negative size 2×-1"},
		{"DenseBackward", func(a *arguments) {
			a.y, a.x, a.w, a.dy, a.dx, a.dw, a.db = M{Rows: -1}, M{Rows: -1}, M{}, M{Rows: -1}, M{}, M{}, nil
		}, "dy has the negative size -1×0"},
		{"DenseBackward", func(a *arguments) {
			a.x.Cols, a.x.Stride, a.dx, a.w, a.dw = -1, 1, M{}, M{Rows: -1}, M{Rows: -1}
			a.y, a.dy, a.db = M{Rows: 2}, M{Rows: 2}, nil
		}, "dw has the negative size -1×0"},
		{"DenseBackward", func(a *arguments) {
			a.y.Cols, a.y.Stride, a.dy.Cols, a.dy.Stride = -1, 1, -1, 1
			a.w.Cols, a.w.Stride, a.dw.Cols, a.dw.Stride, a.db = -1, 1, -1, 1, nil
		}, "dw has the negative size 3×-1"},
		{"DenseBackward", func(a *arguments) { a.dx.Stride = 2 }, "dx is 2×3 but its stride is 2"},
		{"DenseBackward", func(a *arguments) { a.dx.Data = nil }, "dx is 2×3 with stride 3 and needs 6 elements, but its Data has 0"},
		{"DenseBackward", func(a *arguments) { a.dw.Data = a.dw.Data[:11] }, "dw is 3×4 with stride 4 and needs 12 elements, but its Data has 11"},
		{"DenseBackward", func(a *arguments) { a.dy.Rows = -1 }, "dy has the negative size -1×4"},
		{"DenseBackward", func(a *arguments) { a.y.Stride = 1 }, "y is 2×4 but its stride is 1"},
		{"DenseBackward", func(a *arguments) { a.x.Cols = -3 }, "x has the negative size 2×-3"},
		{"DenseBackward", func(a *arguments) { a.w.Data = a.w.Data[1:] }, "w is 3×4 with stride 4 and needs 12 elements, but its Data has 11"},
		{"MSE", func(a *arguments) { a.grad.Stride = 3 }, "grad is 2×4 but its stride is 3"},
		{"MSE", func(a *arguments) { a.pred.Data = a.pred.Data[:5] }, "pred is 2×4 with stride 4 and needs 8 elements, but its Data has 5"},
		{"MSE", func(a *arguments) { a.target.Cols = -4 }, "target has the negative size 2×-4"},

		// Unknown activations.
		{"DenseForward", func(a *arguments) { a.act = activations }, fmt.Sprintf("act is Activation(%d), but only activations below %[1]d exist", activations)},
		{"DenseForward", func(a *arguments) { a.act = 255 }, fmt.Sprintf("act is Activation(255), but only activations below %d exist", activations)},
		{"DenseBackward", func(a *arguments) { a.act = 255 }, fmt.Sprintf("act is Activation(255), but only activations below %d exist", activations)},

		// Every overlap that is forbidden, whole or by one element.
		{"DenseForward", func(a *arguments) { a.x = inside(a.y, 0, 2, 3, 4) }, "y overlaps x"},
		{"DenseForward", func(a *arguments) { a.w = NewMat[float64](3, 4); a.y = inside(a.w, 4, 2, 4, 4) }, "y overlaps w"},
		{"DenseForward", func(a *arguments) { a.b = a.y.Data[4:] }, "y overlaps b"},
		{"DenseForward", func(a *arguments) { grow(&a.y); a.b = a.y.Data[7:11] }, "y overlaps b"},
		{"DenseForward", func(a *arguments) {
			grow(&a.w)
			a.b = a.w.Data[8:12]
			a.y = M{2, 4, make([]float64, 40), 36}
			a.x = M{2, 3, a.y.Data[34:], 3}
		}, "y overlaps x"},
		{"DenseBackward", func(a *arguments) { a.dx = inside(a.dw, 0, 2, 3, 3) }, "dx overlaps dw"},
		{"DenseBackward", func(a *arguments) { a.db = a.dx.Data[2:6] }, "dx overlaps db"},
		{"DenseBackward", func(a *arguments) { a.dx = inside(a.dy, 1, 2, 3, 4) }, "dx overlaps dy"},
		{"DenseBackward", func(a *arguments) { a.db = a.dw.Data[8:] }, "dw overlaps db"},
		{"DenseBackward", func(a *arguments) { a.dy = inside(a.dw, 4, 2, 4, 4) }, "dw overlaps dy"},
		{"DenseBackward", func(a *arguments) { a.db = a.dy.Data[:4] }, "db overlaps dy"},
		{"DenseBackward", func(a *arguments) { a.dx = inside(a.y, 0, 2, 3, 4) }, "dx overlaps y"},
		{"DenseBackward", func(a *arguments) { a.dx = a.x }, "dx overlaps x"},
		{"DenseBackward", func(a *arguments) { a.dx = inside(a.w, 5, 2, 3, 3) }, "dx overlaps w"},
		{"DenseBackward", func(a *arguments) { a.y = inside(a.dw, 0, 2, 4, 4) }, "dw overlaps y"},
		{"DenseBackward", func(a *arguments) { a.x = inside(a.dw, 6, 2, 3, 3) }, "dw overlaps x"},
		{"DenseBackward", func(a *arguments) { a.dw = a.w }, "dw overlaps w"},
		{"DenseBackward", func(a *arguments) { a.db = a.y.Data[3:7] }, "db overlaps y"},
		{"DenseBackward", func(a *arguments) { a.db = a.x.Data[2:6] }, "db overlaps x"},
		{"DenseBackward", func(a *arguments) { a.db = a.w.Data[4:8] }, "db overlaps w"},
		{"DenseBackward", func(a *arguments) { a.dy = a.y }, "dy overlaps y"},
		{"DenseBackward", func(a *arguments) { a.x = inside(a.dy, 1, 2, 3, 4) }, "dy overlaps x"},
		{"DenseBackward", func(a *arguments) { a.dy = inside(a.w, 0, 2, 4, 8) }, "dy overlaps w"},
		{"MSE", func(a *arguments) { d := make([]float64, 9); a.grad.Data, a.pred.Data = d, d[1:] }, "grad overlaps pred"},
		{"MSE", func(a *arguments) { d := make([]float64, 9); a.grad.Data, a.target.Data = d[1:], d }, "grad overlaps target"},
		{"MSE", func(a *arguments) { d := make([]float64, 9); a.grad, a.pred = M{2, 4, d, 5}, M{2, 4, d, 4} }, "grad overlaps pred"},
		{"MSE", func(a *arguments) {
			d := make([]float64, 9)
			a.grad, a.pred, a.target = M{2, 4, d, 4}, M{2, 4, d, 4}, M{2, 4, d, 5}
		}, "grad overlaps target"},
		{"SGD", func(a *arguments) { d := make([]float64, 6); a.p, a.g = d[:5], d[1:] }, "w overlaps g"},
		{"SGD", func(a *arguments) { d := make([]float64, 9); a.p, a.g = d[4:], d[:5] }, "w overlaps g"},

		// Interleaved views that touch in one element.
		{"DenseForward", func(a *arguments) { d := make([]float64, 14); a.y, a.x = M{2, 4, d, 7}, M{2, 3, d[3:], 7} }, "y overlaps x"},
		{"DenseForward", func(a *arguments) { d := make([]float64, 14); a.y, a.x = M{2, 4, d[2:], 7}, M{2, 3, d, 7} }, "y overlaps x"},
		{"DenseForward", func(a *arguments) { d := make([]float64, 30); a.y, a.w = M{2, 4, d[3:], 20}, M{3, 4, d, 13} }, "y overlaps w"},
	}
	eachBackend(t, func(t *testing.T) {
		for _, test := range tests {
			for _, fn := range []string{test.fn, test.fn + "Add"} {
				call, ok := kernelCalls[fn]
				if !ok {
					continue
				}
				a := newArguments()
				test.edit(a)
				before := a.memory()
				want := "lockstep: " + fn + ": " + test.want
				if got := panicText(func() { call(a) }); got != want {
					t.Errorf("panic %q, want %q", got, want)
				}
				for i, v := range a.memory() {
					if v != before[i] {
						t.Errorf("%q was said after a write", want)
						break
					}
				}
			}
		}
	})
}

// The constructors and accessors of Mat.
func TestMat(t *testing.T) {
	big := mostInt/8 + 1
	for _, test := range []struct {
		f    func()
		want string
	}{
		{func() { NewMat[float32](-1, 2) }, "NewMat: size -1×2 is negative"},
		{func() { NewMat[float64](1, -2) }, "NewMat: size 1×-2 is negative"},
		{func() { NewMat[float64](big, 1) }, fmt.Sprintf("NewMat: size %d×1 overflows int", big)},
		{func() { NewMat[float64](1, big) }, fmt.Sprintf("NewMat: size 1×%d overflows int", big)},
		{func() { NewMat[float32](mostInt, mostInt) }, fmt.Sprintf("NewMat: size %d×%[1]d overflows int", mostInt)},
		{func() { NewMat[float32](big, 4) }, fmt.Sprintf("NewMat: size %d×4 overflows int", big)},
		{func() { MatOf(-1, 2, []float64{}) }, "MatOf: the matrix has the negative size -1×2"},
		{func() { MatOf(2, 3, make([]float64, 5)) }, "MatOf: the matrix is 2×3 with stride 3 and needs 6 elements, but its Data has 5"},
		{func() { MatOf(2, 3, make([]float64, 7)) }, "MatOf: the matrix is 2×3 but data has 7 elements"},
		{func() { MatOf(0, 3, make([]float64, 1)) }, "MatOf: the matrix is 0×3 but data has 1 elements"},
		{func() { MatOf(mostInt, 2, make([]float64, 1)) }, fmt.Sprintf("MatOf: the matrix is %d×2 with stride 2, which overflows int", mostInt)},
		{func() { NewMat[float64](2, 3).Row(2) }, "Row: index 2 but the matrix has 2 rows"},
		{func() { NewMat[float64](2, 3).Row(-1) }, "Row: index -1 but the matrix has 2 rows"},
	} {
		if got, want := panicText(test.f), "lockstep: "+test.want; got != want {
			t.Errorf("panic %q, want %q", got, want)
		}
	}

	m := NewMat[float32](2, 3)
	if m.Rows != 2 || m.Cols != 3 || m.Stride != 3 || len(m.Data) != 6 {
		t.Errorf("NewMat(2, 3) is %+v", m)
	}
	data := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}
	v := Mat[float64]{2, 3, data, 5}
	if r := v.Row(1); len(r) != 3 || cap(r) != 3 || &r[0] != &data[5] {
		t.Errorf("row 1 is %v with capacity %d", r, cap(r))
	}
	if text := panicText(func() { (Mat[float64]{2, 3, data[:5], 3}).Row(1) }); text == "" {
		t.Error("Row returns elements behind those that the matrix has")
	}
	if r := (Mat[float64]{Rows: 2}).Row(1); len(r) != 0 {
		t.Errorf("row 1 of 2×0 is %v", r)
	}
	if !(Mat[float64]{}).IsZero() || NewMat[float64](0, 0).IsZero() || v.IsZero() || (Mat[float64]{Stride: 1}).IsZero() {
		t.Error("IsZero holds for more or less than the zero Mat")
	}
	for act, want := range map[Activation]string{Identity: "Identity", ReLU: "ReLU", 77: "Activation(77)"} {
		if act.String() != want {
			t.Errorf("activation %d is called %v, want %v", uint8(act), act, want)
		}
	}
}

// Sizes of zero are no error, with or without Data, and what remains of the
// result is computed.
func TestEmpty(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		type M = Mat[float32]
		DenseForward(M{}, M{}, M{}, nil, ReLU)
		DenseForward(M{Rows: 3}, M{Rows: 3, Cols: 2, Data: make([]float32, 6), Stride: 2}, M{Rows: 2}, []float32{}, ReLU)
		DenseForward(M{Cols: 2}, M{Cols: 5}, NewMat[float32](5, 2), make([]float32, 2), ReLU)
		y := constant[float32](2, 3, 7)
		DenseForward(y, M{Rows: 2}, M{Cols: 3}, []float32{1, 2, 3}, Identity)
		equal(t, "y of no inputs", y, MatOf(2, 3, []float32{1, 2, 3, 1, 2, 3}))

		// No rows: the sums over rows are empty.
		dw, db := constant[float32](2, 3, 7), []float32{7, 7, 7}
		DenseBackward(M{}, dw, db, M{Cols: 3}, M{Cols: 3}, M{Cols: 2}, NewMat[float32](2, 3), ReLU)
		wantAll(t, "dw of no rows", dw, 0)
		equalVec(t, "db of no rows", db, make([]float32, 3))
		dw, db = constant[float32](2, 3, 7), []float32{7, 7, 7}
		DenseBackwardAdd(M{}, dw, db, M{Cols: 3}, M{Cols: 3}, M{Cols: 2}, NewMat[float32](2, 3), ReLU)
		wantAll(t, "dw of no rows, added", dw, 7)
		equalVec(t, "db of no rows, added", db, []float32{7, 7, 7})

		// No outputs: the sums over outputs are.
		dx := constant[float32](2, 3, 7)
		DenseBackward(dx, M{Rows: 3}, nil, M{Rows: 2}, M{Rows: 2}, NewMat[float32](2, 3), M{Rows: 3}, ReLU)
		wantAll(t, "dx of no outputs", dx, 0)

		// No inputs: there remain dz and db.
		dy, db := ones[float32](4, 3), make([]float32, 3)
		DenseBackward(M{}, M{Cols: 3}, db, dy, MatOf(4, 3, []float32{1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1}), M{Rows: 4}, M{Cols: 3}, ReLU)
		equalVec(t, "db of no inputs", db, []float32{4, 0, 4})

		// Neither: any number of rows takes no memory, and no time.
		most := M{Rows: math.MaxInt}
		DenseForward(most, most, M{}, nil, ReLU)
		DenseBackward(M{}, M{}, []float32{}, most, most, most, M{}, ReLU)
		DenseBackwardAdd(most, M{}, nil, most, most, most, M{}, ReLU)
		Pack(M{Cols: math.MaxInt}, nil).Forward(M{Cols: math.MaxInt}, M{}, ReLU)

		SGD(nil, []float32{}, 1)
		if loss := MSE(M{}, M{Rows: 4}, M{Rows: 4, Stride: 3}); loss == loss {
			t.Errorf("MSE of nothing is %v, want NaN", loss)
		}
	})
}

// Operands may share memory as the documentation says, and the result is that
// of operands apart.
func TestPermittedOverlap(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		t.Run("f32", testPermittedOverlap[float32])
		t.Run("f64", testPermittedOverlap[float64])
	})
}

func testPermittedOverlap[T Float](t *testing.T) {
	rng := newRand(13)
	for _, n := range []int{1, 2, 5, 9, 16, 33} {
		m := func() Mat[T] { return random[T](rng, ordinary, n, n) }
		at := func(m Mat[T], i int) Mat[T] { return Mat[T]{n, n, m.Data[i:], n} }

		// The inputs of a forward and of a backward pass, all the same or
		// shifted by an element.
		in := random[T](rng, ordinary, n, n+1)
		for shift := range 2 {
			x, w, b := at(in, 0), at(in, shift), in.Data[:n]
			y, want := m(), m()
			DenseForward(want, clone(x), clone(w), append([]T(nil), b...), ReLU)
			DenseForward(y, x, w, b, ReLU)
			equal(t, "y of inputs that overlap", y, want)

			dx, dw, db, dy := m(), m(), m().Data[:n], m()
			dx2, dw2, db2, dy2 := m(), m(), m().Data[:n], clone(dy)
			DenseBackward(dx, dw, db, dy, x, w, at(in, 0), ReLU)
			DenseBackward(dx2, dw2, db2, dy2, clone(x), clone(w), clone(at(in, 0)), ReLU)
			equal(t, "dx of inputs that overlap", dx, dx2)
			equal(t, "dw of inputs that overlap", dw, dw2)
			equal(t, "dz of inputs that overlap", dy, dy2)
			equalVec(t, "db of inputs that overlap", db, db2)
		}

		// MSE in place of either operand, or of both.
		pred, target, want := m(), m(), m()
		loss := MSE(want, pred, target)
		for which, grad := range []Mat[T]{clone(pred), clone(target)} {
			p, q := grad, target
			if which == 1 {
				p, q = pred, grad
			}
			equalVec(t, "MSE in place", []T{MSE(grad, p, q)}, []T{loss})
			equal(t, "grad in place", grad, want)
		}
		both := clone(pred)
		equalVec(t, "MSE of a Mat with itself, in place", []T{MSE(both, both, both)}, []T{0})
		wantAll(t, "grad of a Mat with itself", both, 0)
		inputs := random[T](rng, ordinary, n, n+1)
		loss = MSE(want, clone(at(inputs, 0)), clone(at(inputs, 1)))
		grad := m()
		equalVec(t, "MSE of inputs that overlap", []T{MSE(grad, at(inputs, 0), at(inputs, 1))}, []T{loss})
		equal(t, "grad of inputs that overlap", grad, want)

		// One row is the same memory whatever the strides.
		row := []T{1, 2, 3}
		equalVec(t, "MSE of one row", []T{MSE(Mat[T]{1, 3, row, 3}, Mat[T]{1, 3, row, 8}, NewMat[T](1, 3))}, []T{T(14) / 3})

		// w = g.
		w, w2 := m(), m()
		copy(w2.Data, w.Data)
		SGD(w2.Data, clone(w).Data, 0.25)
		SGD(w.Data, w.Data, 0.25)
		equal(t, "SGD of w and w", w, w2)

		// All operands are columns of one wide matrix: the spans overlap, the
		// elements do not.
		wide := random[T](rng, ordinary, n, 7*n+3)
		column := func(c int) Mat[T] { return Mat[T]{n, n, wide.Data[c*n:], wide.Stride} }
		apart := func(c int) Mat[T] { return clone(column(c)) }
		bias := m().Data[:n]
		y := apart(0)
		DenseForward(y, apart(1), apart(2), bias, ReLU)
		DenseForward(column(0), column(1), column(2), bias, ReLU)
		equal(t, "y in a wide matrix", column(0), y)
		dx, dw, dy := apart(3), apart(4), apart(5)
		DenseBackward(dx, dw, nil, dy, apart(0), apart(1), apart(2), ReLU)
		DenseBackward(column(3), column(4), nil, column(5), column(0), column(1), column(2), ReLU)
		equal(t, "dx in a wide matrix", column(3), dx)
		equal(t, "dw in a wide matrix", column(4), dw)
		equal(t, "dz in a wide matrix", column(5), dy)
		grad = apart(6)
		loss = MSE(grad, apart(0), apart(1))
		equalVec(t, "MSE in a wide matrix", []T{MSE(column(6), column(0), column(1))}, []T{loss})
		equal(t, "grad in a wide matrix", column(6), grad)
	}
}

// TestOverlaps holds Mat.overlaps against a search of all elements.
func TestOverlaps(t *testing.T) {
	rng := newRand(14)
	memory := make([]float32, 200)
	view := func() Mat[float32] {
		for {
			m := Mat[float32]{Rows: rng.IntN(7), Cols: rng.IntN(6), Stride: 1 + rng.IntN(20)}
			at := rng.IntN(60)
			m.Data = memory[at:]
			if m.Stride >= m.Cols && (m.Rows == 0 || at+(m.Rows-1)*m.Stride+m.Cols <= len(memory)) {
				return m
			}
		}
	}
	share := func(a, b Mat[float32]) bool {
		for i := range a.Rows {
			for j := range b.Rows {
				p, q := a.Row(i), b.Row(j)
				for k := range p {
					for l := range q {
						if &p[k] == &q[l] {
							return true
						}
					}
				}
			}
		}
		return false
	}
	rounds, hits := 20000, 0
	if *long {
		rounds = 1e6
	}
	for range rounds {
		a, b := view(), view()
		if rng.IntN(3) == 0 {
			b.Stride = max(a.Stride, b.Cols) // interleaved
			if b.Rows > 0 && len(b.Data) < (b.Rows-1)*b.Stride+b.Cols {
				continue
			}
		}
		want := share(a, b)
		if want {
			hits++
		}
		if got := a.Overlaps(b); got != want || b.Overlaps(a) != want {
			at := func(m Mat[float32]) uintptr {
				return (uintptr(unsafe.Pointer(&m.Data[0])) - uintptr(unsafe.Pointer(&memory[0]))) / 4
			}
			t.Fatalf("%d×%d with stride %d at %d and %d×%d with stride %d at %d: overlaps is %v, want %v",
				a.Rows, a.Cols, a.Stride, at(a), b.Rows, b.Cols, b.Stride, at(b), got, want)
		}
	}
	if hits < rounds/10 || hits > rounds*9/10 {
		t.Errorf("%d of %d pairs overlap: too one-sided to tell much", hits, rounds)
	}
	good, bad := NewMat[float32](2, 3), Mat[float32]{2, 3, memory[:6], 0}
	for _, f := range []func(){func() { good.Overlaps(bad) }, func() { bad.Overlaps(good) }} {
		if text := panicText(f); !strings.HasPrefix(text, "lockstep: Overlaps: ") || !strings.HasSuffix(text, "is 2×3 but its stride is 0") {
			t.Errorf("of an invalid matrix Overlaps panics with %q", text)
		}
	}
}

// Whatever the sizes, a kernel either accepts them or panics with a text of
// this package, and never with one of the runtime's.
func TestNoForeignPanic(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		t.Run("f32", testNoForeignPanic[float32])
		t.Run("f64", testNoForeignPanic[float64])
	})
}

func testNoForeignPanic[T Float](t *testing.T) {
	rng := newRand(15)
	mat := func() Mat[T] {
		stride := rng.IntN(8) - 1
		if stride == 6 {
			stride = mostInt
		}
		return Mat[T]{rng.IntN(5) - 1, rng.IntN(5) - 1, make([]T, rng.IntN(12)), stride}
	}
	vec := func() []T {
		if n := rng.IntN(5); n < 4 {
			return make([]T, n)
		}
		return nil
	}
	for range 3000 {
		y, x, w, dy, dx, dw, b, db := mat(), mat(), mat(), mat(), mat(), mat(), vec(), vec()
		if rng.IntN(2) == 0 { // agree in more than the odd case
			x.Rows, w.Rows, w.Cols = y.Rows, x.Cols, y.Cols
			dy.Rows, dy.Cols, dx.Rows, dx.Cols, dw.Rows, dw.Cols = y.Rows, y.Cols, x.Rows, x.Cols, w.Rows, w.Cols
		}
		for name, f := range map[string]func(){
			"DenseForward":     func() { DenseForward(y, x, w, b, ReLU) },
			"DenseBackward":    func() { DenseBackward(dx, dw, db, dy, y, x, w, Identity) },
			"DenseBackwardAdd": func() { DenseBackwardAdd(dx, dw, db, dy, y, x, w, ReLU) },
			"Pack":             func() { Pack(w, b) },
			"MSE":              func() { MSE(dy, y, w) },
			"SGD":              func() { SGD(b, db, 1) },
		} {
			if text := panicText(f); text != "" && !strings.HasPrefix(text, "lockstep: "+name+": ") {
				t.Fatalf("%s panics with %q", name, text)
			}
		}
	}
}
