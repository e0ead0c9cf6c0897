package kernels

import (
	"fmt"
	"sync"
	"testing"
)

// TestConcurrent lets many goroutines call all kernels at once, on outputs of
// their own and inputs in common: each gets the bits that one alone gets.
func TestConcurrent(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { concurrent[float32](t, 17) })
			wg.Go(func() { concurrent[float64](t, 17) })
		}
		wg.Wait()

		// The same inputs, read by all.
		rng := newRand(18)
		s := shape{33, 40, 19}
		x, w, b := random[float64](rng, ordinary, s.n, s.in), random[float64](rng, ordinary, s.in, s.out), random[float64](rng, ordinary, 1, s.out).Data
		dy := random[float64](rng, ordinary, s.n, s.out)
		type result struct {
			y, dx, dw, dz Mat[float64]
			db            []float64
		}
		results := make([]result, 8)
		for i := range results {
			wg.Go(func() {
				r := result{NewMat[float64](s.n, s.out), NewMat[float64](s.n, s.in), NewMat[float64](s.in, s.out), clone(dy), make([]float64, s.out)}
				for range 10 {
					copy(r.dz.Data, dy.Data)
					DenseForward(r.y, x, w, b, ReLU)
					DenseBackward(r.dx, r.dw, r.db, r.dz, r.y, x, w, ReLU)
				}
				results[i] = r
			})
		}
		wg.Wait()
		for i, r := range results {
			who := fmt.Sprintf(" of goroutine %d", i)
			equal(t, "y"+who, r.y, results[0].y)
			equal(t, "dx"+who, r.dx, results[0].dx)
			equal(t, "dw"+who, r.dw, results[0].dw)
			equal(t, "dz"+who, r.dz, results[0].dz)
			equalVec(t, "db"+who, r.db, results[0].db)
		}
	})
}

// concurrent makes calls and compares each with the reference, which it asks
// through its table: the selected backend belongs to all goroutines.
func concurrent[T Float](t *testing.T, seed uint64) {
	rng := newRand(seed)
	want, ok := any(&generic.f32).(*table[T])
	if !ok {
		want = any(&generic.f64).(*table[T])
	}
	for range 40 {
		s := shape{1 + rng.IntN(20), 1 + rng.IntN(20), 1 + rng.IntN(20)}
		m := func(rows, cols int) Mat[T] { return random[T](rng, special, rows, cols) }
		x, w, b, dy := m(s.n, s.in), m(s.in, s.out), m(1, s.out).Data, m(s.n, s.out)
		var outs [2][]Mat[T]
		for i := range outs {
			y, dz, dx, dw, db, grad := NewMat[T](s.n, s.out), clone(dy), NewMat[T](s.n, s.in), NewMat[T](s.in, s.out), NewMat[T](1, s.out), NewMat[T](s.n, s.out)
			var loss T
			if i == 0 {
				DenseForward(y, x, w, b, ReLU)
				loss = MSE(grad, y, dy)
				DenseBackward(dx, dw, db.Data, dz, y, x, w, ReLU)
				SGD(dw.Data, w.Data, 0.5)
			} else {
				want.forward(&y, &x, &w, b, ReLU)
				n := s.n * s.out
				loss = quotient(want.mse(&grad, &y, &dy, quotient(T(2), n)), n)
				want.backward(&dx, &dw, db.Data, &dz, &y, &x, &w, ReLU, false)
				want.sgd(dw.Data, w.Data, 0.5)
			}
			outs[i] = []Mat[T]{y, dz, dx, dw, db, grad, MatOf(1, 1, []T{loss})}
		}
		for i := range outs[0] {
			for q, v := range outs[0][i].Data {
				if !same(v, outs[1][i].Data[q]) {
					t.Errorf("output %d of shape %v: element %d is %s, want %s", i, s, q, show(v), show(outs[1][i].Data[q]))
					return
				}
			}
		}
	}
}
