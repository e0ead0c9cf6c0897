// Package pauses tells how long the world takes to stop while a kernel runs:
// Go cannot stop a goroutine that is in assembly.
package pauses

import (
	"math"
	"runtime"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/lockstep-go/lockstep/kernels"
)

// A Tally is over all stops of a time: from the wish to stop the world until
// all goroutines have, in seconds. The runtime counts in classes; each time is
// the upper edge of one.
type Tally struct {
	Stops, Long         int     // Long: those of classes that begin at a millisecond or later
	Median, Most, Worst float64 // Most: of 99 %
}

// During calls each of fs so many times, in turns, while another goroutine stops the
// world again and again, at least once a call: for statistics, and now and then for a
// garbage collection. That needs a second CPU to mean anything.
func During(times int, fs ...func()) []Tally {
	sums := make([]*metrics.Float64Histogram, len(fs))
	for range times {
		for i, f := range fs {
			h := during(f)
			if sums[i] != nil {
				for k, n := range sums[i].Counts {
					h.Counts[k] += n
				}
			}
			sums[i] = h
		}
	}
	tallies := make([]Tally, len(fs))
	for i, h := range sums {
		tallies[i] = tally(h)
	}
	return tallies
}

// during counts the stops of one call.
func during(f func()) *metrics.Float64Histogram {
	before := read()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		var m runtime.MemStats
		for i := 0; ; i++ {
			if i%50 == 0 {
				runtime.GC()
			} else {
				runtime.ReadMemStats(&m)
			}
			select {
			case <-done:
				return
			case <-time.After(200 * time.Microsecond):
			}
		}
	})
	f()
	close(done)
	wg.Wait()
	after := read()
	for i := range after.Counts {
		after.Counts[i] -= before.Counts[i]
	}
	return after
}

// read adds up the stops for collections and for everything else, which have
// the same classes.
func read() *metrics.Float64Histogram {
	s := []metrics.Sample{{Name: "/sched/pauses/stopping/gc:seconds"}, {Name: "/sched/pauses/stopping/other:seconds"}}
	metrics.Read(s)
	sum := s[0].Value.Float64Histogram()
	for i, n := range s[1].Value.Float64Histogram().Counts {
		sum.Counts[i] += n
	}
	return sum
}

func tally(h *metrics.Float64Histogram) Tally {
	var total, long uint64
	for i, n := range h.Counts {
		total += n
		if h.Buckets[i] >= 1e-3 {
			long += n
		}
	}
	// at returns the edge that a share of the stops does not exceed.
	at := func(share float64) float64 {
		seen := uint64(0)
		for i, n := range h.Counts {
			seen += n
			if n > 0 && float64(seen) >= share*float64(total) {
				if edge := h.Buckets[i+1]; !math.IsInf(edge, 1) {
					return edge
				}
				return h.Buckets[i]
			}
		}
		return 0
	}
	return Tally{int(total), int(long), at(0.5), at(0.99), at(1)}
}

// Product returns a forward pass of n rows through n inputs and n outputs.
func Product[T kernels.Float](n int) func() {
	m := func() kernels.Mat[T] {
		m := kernels.NewMat[T](n, n)
		for i := range m.Data {
			m.Data[i] = T(i%7) - 3
		}
		return m
	}
	y, x, w := m(), m(), m()
	return func() { kernels.DenseForward(y, x, w, nil, kernels.ReLU) }
}

// Spin is a loop in Go for so long, which the world stops at once: what a stop
// takes then, the machine takes.
func Spin(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
}
