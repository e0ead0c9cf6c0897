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

// A timing is what one repetition of a contender took, in seconds; and how many
// times as long as the first contender's: the median over the turns, as what
// slows the machine for a while slows both.
type timing struct {
	Name             string
	Median, Min, Max float64
	Ratio            float64
	Count            int
}

// turns times all contenders count times in turns, A B A B, so that what
// disturbs the machine disturbs all of them. A sample is at least one
// repetition and takes about d. Who is slow beyond comparison with the first gets
// no turn after the calibration.
func turns(count int, d time.Duration, all []contender) []timing {
	reps, samples := make([]int, len(all)), make([][]float64, len(all))
	for i, c := range all {
		var t float64
		reps[i], t = calibrate(c.Run, d)
		samples[i] = []float64{t}
	}
	for range count {
		for i, c := range all {
			if hopeless(samples[i][0], samples[0][0], d) {
				continue
			}
			samples[i] = append(samples[i], sample(c.Run, reps[i]))
		}
	}
	list := make([]timing, len(all))
	for i, c := range all {
		list[i] = summary(c.Name, measured(samples[i]))
		list[i].Ratio = ratio(samples[i], samples[0])
	}
	return list
}

// hopeless reports whether who takes t, where the first takes so long, is slow beyond
// comparison, and its turns would take much longer than a sample should.
func hopeless(t, first float64, d time.Duration) bool {
	return t > 12*first && t > 4*d.Seconds()
}

// measured leaves out the calibration, which warmed up, if there were turns.
func measured(samples []float64) []float64 {
	if len(samples) > 1 {
		return samples[1:]
	}
	return samples
}

func summary(name string, samples []float64) timing {
	s := slices.Sorted(slices.Values(samples))
	return timing{Name: name, Median: s[len(s)/2], Min: s[0], Max: s[len(s)-1], Count: len(s)}
}

// ratio is the median of p over q, turn by turn.
func ratio(p, q []float64) float64 {
	n := min(len(p), len(q)) // 1 if one of them had no turns
	r := make([]float64, n)
	for k := range r {
		r[k] = p[k] / q[k]
	}
	return summary("", measured(r)).Median
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
