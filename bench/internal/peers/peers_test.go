package peers

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
)

// What is timed beside ours computes the same layer.
func TestPeers(t *testing.T) {
	for _, s := range Missing() {
		t.Log("not here:", s)
	}
	testPeers[float32](t, 1e-6)
	testPeers[float64](t, 1e-14)

	var here []string
	for _, p := range List[float32]() {
		here = append(here, p.Name)
	}
	for _, name := range Names {
		library, _, _ := strings.Cut(name, "-")
		absent := func(s string) bool {
			those, _, _ := strings.Cut(s, ":")
			return strings.Contains(those, library)
		}
		if !slices.Contains(here, name) && !slices.ContainsFunc(Missing(), absent) {
			t.Errorf("%s is one of Names, but neither here nor missing", name)
		}
	}
}

func testPeers[T kernels.Float](t *testing.T, epsilon float64) {
	for _, s := range []Shape{{1, 1, 1}, {5, 7, 3}, {16, 33, 20}, {1, 64, 64}, {300, 1, 10}, {300, 10, 1}, {64, 256, 256}, {3, 1, 513}} {
		want := NewLayer[T](s)
		Ours[T]().Prepare(want, Forward)(1)
		Ours[T]().Prepare(want, Backward)(1)
		for _, p := range List[T]() {
			if !slices.Contains(Names, p.Name) {
				t.Errorf("%s is not one of Names", p.Name)
			}
			got := NewLayer[T](s)
			forward, backward := p.Prepare(got, Forward), p.Prepare(got, Backward)
			if forward != nil {
				forward(2)
				compare(t, s, p.Name, "y", got.Y.Data, want.Y.Data, epsilon*float64(s.In+4))
			}
			if backward != nil {
				copy(got.Y.Data, want.Y.Data) // a sum near 0 may have another sign
				backward(2)
				compare(t, s, p.Name, "dz", got.DY.Data, want.DY.Data, 0)
				compare(t, s, p.Name, "dw", got.DW.Data, want.DW.Data, epsilon*float64(s.N+4))
				compare(t, s, p.Name, "db", got.DB, want.DB, epsilon*float64(s.N+4))
				compare(t, s, p.Name, "dx", got.DX.Data, want.DX.Data, epsilon*float64(s.Out+4))
			}
		}
	}
}

func compare[T kernels.Float](t *testing.T, s Shape, peer, operand string, got, want []T, tolerance float64) {
	t.Helper()
	for i, v := range want {
		if d := math.Abs(float64(got[i] - v)); !(d <= tolerance) {
			t.Errorf("%v: %s[%d] is %v, and %s's %v", s, operand, i, v, peer, got[i])
			return
		}
	}
}
