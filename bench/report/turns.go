package main

import (
	"math"
	"slices"
	"time"

	"github.com/lockstep-go/lockstep/bench/internal/peers"
)

// A contender is something to time.
type contender struct {
	Name string
	Run  peers.Run
}

// A timing is what one repetition of a contender took, in seconds.
type timing struct {
	Name             string
	Median, Min, Max float64
	Count            int
}

// turns times all contenders count times in turns, A B A B, so that what
// disturbs the machine disturbs all of them. A sample is at least one
// repetition and takes about d. Who is slow beyond comparison gets no turn after
// the calibration.
func turns(count int, d time.Duration, all []contender) []timing {
	const beyond = 12
	reps, samples := make([]int, len(all)), make([][]float64, len(all))
	fastest := 0.0
	for i, c := range all {
		var t float64
		reps[i], t = calibrate(c.Run, d)
		samples[i] = []float64{t}
		if i == 0 || t < fastest {
			fastest = t
		}
	}
	slow := func(i int) bool { return samples[i][0] > beyond*fastest && samples[i][0] > 4*d.Seconds() }
	for range count {
		for i, c := range all {
			if slow(i) {
				continue
			}
			samples[i] = append(samples[i], sample(c.Run, reps[i]))
		}
	}
	list := make([]timing, len(all))
	for i, c := range all {
		s := samples[i]
		if len(s) > 1 {
			s = s[1:] // the calibration warmed up
		}
		slices.Sort(s)
		list[i] = timing{Name: c.Name, Median: s[len(s)/2], Min: s[0], Max: s[len(s)-1], Count: len(s)}
	}
	return list
}

// calibrate returns how many repetitions take about d, and what one takes at
// best, as a single sample may have been disturbed.
func calibrate(run peers.Run, d time.Duration) (reps int, each float64) {
	run(1)
	each = math.Inf(1)
	for reps = 1; ; reps *= 2 {
		t := min(sample(run, reps), sample(run, reps))
		each = min(each, t)
		if t*float64(reps) >= d.Seconds()/4 {
			return max(1, int(d.Seconds()/each)), each
		}
	}
}

func sample(run peers.Run, reps int) float64 {
	begin := time.Now()
	run(reps)
	return time.Since(begin).Seconds() / float64(reps)
}
