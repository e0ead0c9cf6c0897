package pauses

import (
	"math"
	"runtime/metrics"
	"testing"
	"time"
)

func TestTally(t *testing.T) {
	edges := []float64{0, 1, 2, 4, 8, math.Inf(1)}
	for _, c := range []struct {
		counts []uint64
		want   Tally
	}{
		{[]uint64{0, 0, 0, 0, 0}, Tally{}},
		{[]uint64{0, 1, 0, 0, 0}, Tally{1, 2, 2, 2}},
		{[]uint64{10, 985, 4, 1, 0}, Tally{1000, 2, 2, 8}},
		{[]uint64{1, 0, 0, 2, 1}, Tally{4, 8, 8, 8}}, // nothing is known above 8
	} {
		if got := tally(&metrics.Float64Histogram{Counts: c.counts, Buckets: edges}); got != c.want {
			t.Errorf("%v are %+v, want %+v", c.counts, got, c.want)
		}
	}
}

func TestDuring(t *testing.T) {
	if got := During(func() { time.Sleep(5 * time.Millisecond) }); got.Stops < 1 || got.Median <= 0 || got.Most < got.Median || got.Worst < got.Most {
		t.Errorf("the stops are %+v", got)
	}
}
