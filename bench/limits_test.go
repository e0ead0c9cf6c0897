package bench

import (
	"fmt"
	"testing"

	"github.com/lockstep-go/lockstep/bench/internal/order"
	"github.com/lockstep-go/lockstep/bench/internal/peers"
	"github.com/lockstep-go/lockstep/bench/internal/roof"
	"github.com/lockstep-go/lockstep/kernels"
)

// BenchmarkLimits times what bounds every kernel: multiply-adds from
// registers, and reading.
func BenchmarkLimits(b *testing.B) {
	some := false
	for _, isa := range kernels.Backends() {
		if isa == "generic" && some {
			continue
		}
		for _, l := range roof.Limits(isa) {
			some = true
			name, unit := fmt.Sprintf("limit=fma/type=%s/isa=%s", l.Type, isa), "GFLOP/s"
			if l.Kind == "read" {
				name, unit = fmt.Sprintf("limit=read/level=%s/isa=%s", l.Level, isa), "GB/s"
			}
			b.Run(name, func(b *testing.B) {
				l.Run(1)
				b.ResetTimer()
				l.Run(b.N)
				b.ReportMetric(l.Amount*float64(b.N)/b.Elapsed().Seconds()/1e9, unit)
			})
		}
	}
	if !some {
		b.Skip("the loops are in C: -tags cpeers")
	}
}

// BenchmarkOrder times the price of the promise: the same pass in C in our
// order and in a free one, and ours, where the order could cost most.
func BenchmarkOrder(b *testing.B) {
	for _, c := range order.Cases {
		b.Run(fmt.Sprintf("shape=%v/op=%s", c.Shape, c.Op), func(b *testing.B) {
			b.Run("type=f32", benchOrder[float32](c))
			b.Run("type=f64", benchOrder[float64](c))
		})
	}
}

func benchOrder[T kernels.Float](c order.Case) func(*testing.B) {
	return func(b *testing.B) {
		l := peers.NewLayer[T](c.Shape)
		flops := c.Flops(peers.Forward) // the gradient of w, too, is one product
		for _, v := range []struct {
			name string
			run  peers.Run
		}{
			{"backend=" + kernels.Backend(), order.Ours(l, c.Op)},
			{"c=fixed", order.InC(l, c.Op, false)},
			{"c=free", order.InC(l, c.Op, true)},
		} {
			if v.run != nil {
				bench(b, v.name, flops, v.run)
			}
		}
	}
}
