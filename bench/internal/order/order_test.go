package order

import (
	"math"
	"testing"

	"github.com/lockstep-go/lockstep/bench/internal/peers"
	"github.com/lockstep-go/lockstep/kernels"
)

// In the fixed order C has the bits of ours, and in the free one nearly so.
func TestInC(t *testing.T) {
	if InC(peers.NewLayer[float64](Cases[0].Shape), Cases[0].Op, false) == nil {
		t.Skip("built without the tag cpeers")
	}
	testInC[float32](t, 1e-6)
	testInC[float64](t, 1e-14)
}

func testInC[T kernels.Float](t *testing.T, epsilon float64) {
	for _, c := range Cases {
		for _, free := range []bool{false, true} {
			want, got := peers.NewLayer[T](c.Shape), peers.NewLayer[T](c.Shape)
			run := InC(got, c.Op, free)
			if run == nil {
				continue
			}
			Ours(want, c.Op)(1)
			run(1)
			for name, pair := range map[string][2][]T{
				"y": {want.Y.Data, got.Y.Data}, "dz": {want.DY.Data, got.DY.Data},
				"dw": {want.DW.Data, got.DW.Data}, "db": {want.DB, got.DB},
			} {
				tolerance := 0.0
				if free {
					tolerance = epsilon * float64(c.N+c.In)
				}
				for i, v := range pair[0] {
					if d := math.Abs(float64(v - pair[1][i])); !(d <= tolerance) {
						t.Errorf("%v %s, free %v: %s[%d] is %v, in C %v", c.Shape, c.Op, free, name, i, v, pair[1][i])
						break
					}
				}
			}
		}
	}
}
