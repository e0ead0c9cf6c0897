package bench

import (
	"runtime"
	"testing"
	"time"

	"github.com/lockstep-go/lockstep/bench/internal/pauses"
	"github.com/lockstep-go/lockstep/kernels"
)

// BenchmarkPause stops the world again and again while 4096 rows go through
// 4096 inputs and outputs on another CPU, and reports how long the world took
// to stop; and beside it the same for a loop in Go, which is the machine's share.
func BenchmarkPause(b *testing.B) {
	if runtime.GOMAXPROCS(0) < 2 {
		b.Skip("there is one CPU")
	}
	b.Run("loop=go", func(b *testing.B) {
		report(b, pauses.During(b.N, func() { pauses.Spin(500 * time.Millisecond) }))
	})
	for _, backend := range kernels.Backends() {
		if backend == "generic" { // it takes minutes, and Go stops it anywhere
			continue
		}
		b.Run("type=f32/backend="+backend, benchPause[float32](backend))
		b.Run("type=f64/backend="+backend, benchPause[float64](backend))
	}
}

func benchPause[T kernels.Float](backend string) func(*testing.B) {
	return func(b *testing.B) {
		restore, err := kernels.SetBackend(backend)
		if err != nil {
			b.Fatal(err)
		}
		defer restore()
		pass := pauses.Product[T](4096)
		b.ResetTimer()
		report(b, pauses.During(b.N, pass))
	}
}

func report(b *testing.B, all []pauses.Tally) {
	t := all[0]
	b.ReportMetric(float64(t.Stops), "stops")
	b.ReportMetric(float64(t.Long), "over-1ms")
	b.ReportMetric(1e6*t.Median, "µs-median")
	b.ReportMetric(1e6*t.Most, "µs-99%")
	b.ReportMetric(1e6*t.Worst, "µs-worst")
}
