package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// A gonum matrix is a kernels.Mat without a copy: what a kernel writes is in
// the gonum matrix.
func TestConversion(t *testing.T) {
	x := mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 6})
	wide := mat.NewDense(3, 5, nil)
	w := wide.Slice(0, 3, 1, 3).(*mat.Dense) // two columns of five
	w.Set(0, 0, 1)
	w.Set(1, 1, 1)
	w.Set(2, 0, -1)
	wide.Set(0, 3, math.NaN()) // beside w, and none of its business
	var want, got mat.Dense
	want.Mul(x, w)
	got.ReuseAs(2, 2)

	y := kernels.Mat[float64](got.RawMatrix())
	kernels.DenseForward(y, kernels.Mat[float64](x.RawMatrix()), kernels.Mat[float64](w.RawMatrix()), nil, kernels.Identity)
	if !mat.Equal(&got, &want) {
		t.Errorf("x·w is\n%v, want\n%v", mat.Formatted(&got), mat.Formatted(&want))
	}
	y.Row(1)[1] = 42
	if got.At(1, 1) != 42 {
		t.Error("the conversion from mat.Dense copies")
	}
	if back := blas64.General(y); &back.Data[0] != &got.RawMatrix().Data[0] {
		t.Error("the conversion to blas64.General copies")
	}

	a := blas32.General{Rows: 1, Cols: 2, Stride: 2, Data: []float32{3, 4}}
	b := blas32.General{Rows: 2, Cols: 1, Stride: 4, Data: []float32{1, 0, 0, 0, 10}}
	c := blas32.General{Rows: 1, Cols: 1, Stride: 1, Data: []float32{0}}
	kernels.DenseForward(mat32(c), mat32(a), mat32(b), []float32{100}, kernels.ReLU)
	if c.Data[0] != 143 {
		t.Errorf("the blas32 result is %v, want 143", c.Data[0])
	}
}

// mat32 views a gonum matrix of float32, whose fields have an order of their
// own.
func mat32(g blas32.General) kernels.Mat[float32] {
	return kernels.Mat[float32]{Rows: g.Rows, Cols: g.Cols, Data: g.Data, Stride: g.Stride}
}

func general32(m kernels.Mat[float32]) blas32.General {
	return blas32.General{Rows: m.Rows, Cols: m.Cols, Stride: m.Stride, Data: m.Data}
}

// The layer in gonum's terms: copies of the bias, one Gemm or two, and passes
// for the activation and the bias gradient.

// A gemm is c = op(a)·op(b) + beta·c.
type gemm[T kernels.Float] func(transA, transB blas.Transpose, a, b kernels.Mat[T], beta T, c kernels.Mat[T])

func gonum32(tA, tB blas.Transpose, a, b kernels.Mat[float32], beta float32, c kernels.Mat[float32]) {
	blas32.Gemm(tA, tB, 1, general32(a), general32(b), beta, general32(c))
}

func gonum64(tA, tB blas.Transpose, a, b kernels.Mat[float64], beta float64, c kernels.Mat[float64]) {
	blas64.Gemm(tA, tB, 1, blas64.General(a), blas64.General(b), beta, blas64.General(c))
}

func (mul gemm[T]) forward(y, x, w kernels.Mat[T], b []T) {
	for i := range y.Rows {
		copy(y.Row(i), b)
	}
	mul(blas.NoTrans, blas.NoTrans, x, w, 1, y)
	for i := range y.Rows {
		row := y.Row(i)
		for j, v := range row {
			row[j] = max(v, 0)
		}
	}
}

func (mul gemm[T]) backward(dx, dw kernels.Mat[T], db []T, dy, y, x, w kernels.Mat[T]) {
	clear(db)
	for i := range dy.Rows {
		row, out := dy.Row(i), y.Row(i)
		for j := range row {
			if out[j] <= 0 {
				row[j] = 0
			}
			db[j] += row[j]
		}
	}
	mul(blas.Trans, blas.NoTrans, x, dy, 0, dw)
	mul(blas.NoTrans, blas.Trans, dy, w, 0, dx)
}

type shape struct{ n, in, out int }

func (s shape) String() string { return fmt.Sprintf("%dx%dx%d", s.n, s.in, s.out) }

type layer[T kernels.Float] struct {
	y, x, w, dy, dx, dw kernels.Mat[T]
	b, db               []T
}

func newLayer[T kernels.Float](s shape) *layer[T] {
	rng := rand.New(rand.NewPCG(1, 2))
	m := func(rows, cols int) kernels.Mat[T] {
		m := kernels.NewMat[T](rows, cols)
		for i := range m.Data {
			m.Data[i] = T(rng.Float64() - 0.5)
		}
		return m
	}
	return &layer[T]{m(s.n, s.out), m(s.n, s.in), m(s.in, s.out), m(s.n, s.out), m(s.n, s.in), m(s.in, s.out), m(1, s.out).Data, make([]T, s.out)}
}

// TestPeer: what is timed beside ours computes the same layer.
func TestPeer(t *testing.T) {
	testPeer[float32](t, gonum32, 1e-4)
	testPeer[float64](t, gonum64, 1e-12)
}

func testPeer[T kernels.Float](t *testing.T, p gemm[T], tolerance float64) {
	for _, s := range []shape{{5, 7, 3}, {16, 33, 20}} {
		ours, theirs := newLayer[T](s), newLayer[T](s)
		kernels.DenseForward(ours.y, ours.x, ours.w, ours.b, kernels.ReLU)
		kernels.DenseBackward(ours.dx, ours.dw, ours.db, ours.dy, ours.y, ours.x, ours.w, kernels.ReLU)
		p.forward(theirs.y, theirs.x, theirs.w, theirs.b)
		p.backward(theirs.dx, theirs.dw, theirs.db, theirs.dy, theirs.y, theirs.x, theirs.w)
		for name, pair := range map[string][2][]T{
			"y": {ours.y.Data, theirs.y.Data}, "dz": {ours.dy.Data, theirs.dy.Data}, "dw": {ours.dw.Data, theirs.dw.Data},
			"db": {ours.db, theirs.db}, "dx": {ours.dx.Data, theirs.dx.Data},
		} {
			for i, v := range pair[0] {
				if d := math.Abs(float64(v - pair[1][i])); !(d <= tolerance) {
					t.Errorf("%v: %s[%d] is %v, and gonum's %v", s, name, i, v, pair[1][i])
				}
			}
		}
	}
}

var shapes = []shape{
	{300, 1, 10}, {300, 10, 1}, {1, 64, 64}, {1, 512, 512}, {16, 16, 16},
	{32, 64, 64}, {64, 256, 256}, {128, 784, 128}, {256, 512, 512},
}

// BenchmarkDense times a ReLU layer. A forward pass counts as 2·n·in·out
// operations and a backward pass (dz, db, dw and dx) as 4·n·in·out. Gonum
// spreads a Gemm over GOMAXPROCS threads and ours keeps to one: run with
// -cpu 1 to compare like with like.
func BenchmarkDense(b *testing.B) {
	for _, s := range shapes {
		b.Run("shape="+s.String(), func(b *testing.B) {
			b.Run("type=f32", func(b *testing.B) { benchDense[float32](b, s, gonum32) })
			b.Run("type=f64", func(b *testing.B) { benchDense[float64](b, s, gonum64) })
		})
	}
}

func benchDense[T kernels.Float](b *testing.B, s shape, p gemm[T]) {
	l := newLayer[T](s)
	flops := 2 * s.n * s.in * s.out
	b.Run("op=forward", func(b *testing.B) {
		ours(b, flops, func() { kernels.DenseForward(l.y, l.x, l.w, l.b, kernels.ReLU) })
		run(b, "peer=gonum", flops, func() { p.forward(l.y, l.x, l.w, l.b) })
	})
	b.Run("op=backward", func(b *testing.B) {
		ours(b, 2*flops, func() { kernels.DenseBackward(l.dx, l.dw, l.db, l.dy, l.y, l.x, l.w, kernels.ReLU) })
		run(b, "peer=gonum", 2*flops, func() { p.backward(l.dx, l.dw, l.db, l.dy, l.y, l.x, l.w) })
	})
}

// ours runs f with every backend of this machine.
func ours(b *testing.B, flops int, f func()) {
	for _, name := range kernels.Backends() {
		restore, err := kernels.SetBackend(name)
		if err != nil {
			b.Fatal(err)
		}
		run(b, "backend="+name, flops, f)
		restore()
	}
}

func run(b *testing.B, name string, flops int, f func()) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f()
		}
		b.ReportMetric(float64(flops)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
	})
}
