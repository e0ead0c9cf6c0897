package kernels

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// TestConcurrent lets many goroutines call all kernels at once, on outputs of
// their own and inputs in common: each gets the bits that one alone gets, whatever
// others do with SetWorkers and SetBackend meanwhile.
func TestConcurrent(t *testing.T) {
	shareAll(t)
	eachBackend(t, func(t *testing.T) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { concurrent[float32](t, 17) })
			wg.Go(func() { concurrent[float64](t, 17) })
		}
		wg.Wait()

		// The same inputs, read by all, each of whom shares its work with others.
		w := newWork[float64](newRand(18), shape{5, 100, 210})
		w.act = ReLU // which has all stages
		want := w.run(1)
		t.Cleanup(SetWorkers(3))
		done := make(chan bool)
		var changes sync.WaitGroup
		changes.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
					SetWorkers(1 + n%4)
					if required == "" {
						if _, err := SetBackend(Backends()[n%len(available)]); err != nil {
							t.Error(err)
						}
					}
					runtime.Gosched()
				}
			}
		})
		results := make([]passed[float64], 8)
		for i := range results {
			wg.Go(func() {
				for range 10 {
					results[i] = w.passes()
				}
			})
		}
		wg.Wait()
		close(done)
		changes.Wait()
		for i, r := range results {
			r.equal(t, fmt.Sprintf(" of goroutine %d", i), want)
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
