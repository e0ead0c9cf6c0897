package kernels

import (
	"fmt"
	"testing"
)

// The benchmarks' names are key=value, so that benchstat can compare along
// any of them: go test -bench . | benchstat -col /backend -
//
// A forward pass is 2·n·in·out operations, a backward pass with dz, db, dw
// and dx twice that.

var benchShapes = []shape{
	{300, 1, 10}, {300, 10, 1}, {1, 64, 64}, {1, 512, 512}, {16, 16, 16},
	{32, 64, 64}, {64, 256, 256}, {128, 784, 128}, {256, 512, 512},
}

func BenchmarkDense(b *testing.B) {
	for _, s := range benchShapes {
		b.Run("shape="+s.String(), func(b *testing.B) {
			b.Run("type=f32", func(b *testing.B) { benchDense[float32](b, s) })
			b.Run("type=f64", func(b *testing.B) { benchDense[float64](b, s) })
		})
	}
}

func benchDense[T Float](b *testing.B, s shape) {
	rng := newRand(19)
	m := func(rows, cols int) Mat[T] { return random[T](rng, ordinary, rows, cols) }
	x, w, bias, y := m(s.n, s.in), m(s.in, s.out), m(1, s.out).Data, m(s.n, s.out)
	dx, dw, db, dy := m(s.n, s.in), m(s.in, s.out), make([]T, s.out), m(s.n, s.out)
	for _, op := range []struct {
		name  string
		flops int
		run   func()
	}{
		{"forward", 2 * s.volume(), func() { DenseForward(y, x, w, bias, ReLU) }},
		{"backward", 4 * s.volume(), func() { DenseBackward(dx, dw, db, dy, y, x, w, ReLU) }},
	} {
		for _, be := range available {
			b.Run(fmt.Sprintf("op=%s/backend=%s", op.name, be.name), func(b *testing.B) {
				use(b, be)
				b.ReportAllocs()
				for b.Loop() {
					op.run()
				}
				b.ReportMetric(float64(op.flops)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}

func BenchmarkMSE(b *testing.B) {
	for _, s := range []shape{{n: 300, out: 1}, {n: 256, out: 512}} {
		b.Run(fmt.Sprintf("shape=%dx%d", s.n, s.out), func(b *testing.B) {
			b.Run("type=f32", func(b *testing.B) { benchMSE[float32](b, s) })
			b.Run("type=f64", func(b *testing.B) { benchMSE[float64](b, s) })
		})
	}
}

func benchMSE[T Float](b *testing.B, s shape) {
	rng := newRand(20)
	grad, pred, target := NewMat[T](s.n, s.out), random[T](rng, ordinary, s.n, s.out), random[T](rng, ordinary, s.n, s.out)
	for _, be := range available {
		b.Run("backend="+be.name, func(b *testing.B) {
			use(b, be)
			b.ReportAllocs()
			for b.Loop() {
				MSE(grad, pred, target)
			}
			b.ReportMetric(float64(s.n*s.out)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gelements/s")
		})
	}
}

func BenchmarkSGD(b *testing.B) {
	for _, n := range []int{100, 1 << 18} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			b.Run("type=f32", func(b *testing.B) { benchSGD[float32](b, n) })
			b.Run("type=f64", func(b *testing.B) { benchSGD[float64](b, n) })
		})
	}
}

func benchSGD[T Float](b *testing.B, n int) {
	rng := newRand(21)
	w, g := random[T](rng, ordinary, 1, n).Data, random[T](rng, ordinary, 1, n).Data
	for _, be := range available {
		b.Run("backend="+be.name, func(b *testing.B) {
			use(b, be)
			b.ReportAllocs()
			for b.Loop() {
				SGD(w, g, 0x1p-20)
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gelements/s")
		})
	}
}
