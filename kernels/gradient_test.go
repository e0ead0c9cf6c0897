package kernels

import (
	"fmt"
	"math"
	"testing"
)

// TestGradients holds the gradients of DenseBackward and MSE against central
// differences of the loss that DenseForward and MSE compute.
func TestGradients(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		rng := newRand(16)
		for _, s := range []shape{{1, 1, 1}, {3, 4, 2}, {5, 3, 7}, {4, 5, 8}, {2, 19, 11}} {
			for act := range activations {
				testGradients(t, random[float64](rng, ordinary, s.n, s.in), random[float64](rng, ordinary, s.in, s.out),
					random[float64](rng, ordinary, 1, s.out).Data, random[float64](rng, ordinary, s.n, s.out), act)
			}
		}
	})
}

func testGradients(t *testing.T, x, w Mat[float64], b []float64, target Mat[float64], act Activation) {
	const h = 0x1p-17
	y := NewMat[float64](x.Rows, w.Cols)

	// Move every pre-activation away from the kink: a whole row of steps must
	// stay on one side of it.
	DenseForward(y, x, w, b, Identity)
	for i := range y.Rows {
		for j, z := range y.Row(i) {
			if math.Abs(z) < 100*h {
				t.Fatalf("z[%d,%d] = %v: choose other data", i, j, z)
			}
		}
	}
	loss := func() float64 {
		DenseForward(y, x, w, b, act)
		return MSE(Mat[float64]{}, y, target)
	}

	dy, dx, dw, db := NewMat[float64](y.Rows, y.Cols), NewMat[float64](x.Rows, x.Cols), NewMat[float64](w.Rows, w.Cols), make([]float64, len(b))
	loss()
	MSE(dy, y, target)
	DenseBackward(dx, dw, db, dy, y, x, w, act)
	for _, p := range []struct {
		name        string
		value, grad []float64
	}{{"x", x.Data, dx.Data}, {"w", w.Data, dw.Data}, {"b", b, db}} {
		for i, v := range p.value {
			p.value[i] = v + h
			up := loss()
			p.value[i] = v - h
			down := loss()
			p.value[i] = v
			got, want := p.grad[i], (up-down)/(2*h)
			if math.Abs(got-want) > 1e-7*(1+math.Abs(want)) {
				t.Errorf("%s: d loss / d %s[%d] is %v, the difference quotient %v",
					fmt.Sprintf("%dx%dx%d, %v, backend %s", x.Rows, x.Cols, w.Cols, act, Backend()), p.name, i, got, want)
			}
		}
	}
}
