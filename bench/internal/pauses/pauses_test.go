package pauses

import (
	"math"
	"runtime/metrics"
	"slices"
	"testing"
	"time"
)

func TestTally(t *testing.T) {
	edges := []float64{0, 1e-4, 2e-4, 1e-3, 8e-3, math.Inf(1)}
	for _, c := range []struct {
		counts []uint64
		want   Tally
	}{
		{[]uint64{0, 0, 0, 0, 0}, Tally{}},
		{[]uint64{0, 1, 0, 0, 0}, Tally{1, 0, 2e-4, 2e-4, 2e-4}},
		{[]uint64{10, 985, 4, 1, 0}, Tally{1000, 1, 2e-4, 2e-4, 8e-3}},
		{[]uint64{1, 0, 0, 2, 1}, Tally{4, 3, 8e-3, 8e-3, 8e-3}}, // nothing is known above that
	} {
		if got := tally(&metrics.Float64Histogram{Counts: c.counts, Buckets: edges}); got != c.want {
			t.Errorf("%v are %+v, want %+v", c.counts, got, c.want)
		}
	}
}

func TestDuring(t *testing.T) {
	var order []string
	all := During(2,
		func() { order = append(order, "long"); time.Sleep(5 * time.Millisecond) },
		func() { order = append(order, "short") })
	if want := []string{"long", "short", "long", "short"}; !slices.Equal(order, want) {
		t.Errorf("the turns are %v, want %v", order, want)
	}
	for i, got := range all {
		if got.Stops < 2 || got.Median <= 0 || got.Most < got.Median || got.Worst < got.Most {
			t.Errorf("the stops of %s are %+v", order[i], got)
		}
	}
}
