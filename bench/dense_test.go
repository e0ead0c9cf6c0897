package bench

import (
	"testing"

	"github.com/lockstep-go/lockstep/bench/internal/peers"
	"github.com/lockstep-go/lockstep/kernels"
)

var shapes = []peers.Shape{
	{N: 300, In: 1, Out: 10}, {N: 300, In: 10, Out: 1},
	{N: 1, In: 64, Out: 64}, {N: 1, In: 512, Out: 512},
	{N: 8, In: 8, Out: 8}, {N: 16, In: 16, Out: 16}, {N: 32, In: 64, Out: 64},
	{N: 64, In: 256, Out: 256}, {N: 128, In: 784, Out: 128}, {N: 256, In: 512, Out: 512},
}

// BenchmarkDense times a ReLU layer. A forward pass counts as 2·n·in·out
// operations and a backward pass (dz, db, dw and dx) as 4·n·in·out. Ours keeps
// to one thread; gonum and vek use GOMAXPROCS of them: run with -cpu 1 to
// compare like with like.
//
// The peers in C are held to the instructions of the backend that is in use
// when the program starts: LOCKSTEP_BACKEND=avx2 for a comparison on AVX2.
func BenchmarkDense(b *testing.B) {
	for _, s := range shapes {
		b.Run("shape="+s.String(), func(b *testing.B) {
			b.Run("type=f32", benchDense[float32](s))
			b.Run("type=f64", benchDense[float64](s))
		})
	}
}

func benchDense[T kernels.Float](s peers.Shape) func(*testing.B) {
	return func(b *testing.B) {
		l := peers.NewLayer[T](s)
		for _, op := range []peers.Op{peers.Forward, peers.Backward} {
			b.Run("op="+string(op), func(b *testing.B) {
				ours := peers.Ours[T]().Prepare(l, op)
				for _, name := range kernels.Backends() {
					restore, err := kernels.SetBackend(name)
					if err != nil {
						b.Fatal(err)
					}
					bench(b, "backend="+name, s.Flops(op), ours)
					restore()
				}
				for _, p := range peers.List[T]() {
					if run := p.Prepare(l, op); run != nil {
						bench(b, "peer="+p.Name, s.Flops(op), run)
					}
				}
			})
		}
	}
}

// bench runs b.N repetitions, which each are so many operations.
func bench(b *testing.B, name string, flops float64, run peers.Run) {
	b.Run(name, func(b *testing.B) {
		run(1)
		b.ReportAllocs()
		b.ResetTimer()
		run(b.N)
		b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
	})
}
