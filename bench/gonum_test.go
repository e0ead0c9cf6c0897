package bench

import (
	"math"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
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
