package mlp

import "math/rand/v2"

// Normal returns a standard normal variate ±(k+x), with k ≥ 0 an integer and
// 0 ≤ x < 1. Until both acceptances hold, it draws
//
//	k    with probability e^(-k/2)·(1-e^(-1/2))
//	     accepted with probability e^(-k(k-1)/2)
//	x    uniform, a multiple of 2⁻⁵³
//	     accepted with probability e^(-x(2k+x)/2)
//
// so that the density of k+x is proportional to
// e^(-k/2 - k(k-1)/2 - x(2k+x)/2) = e^(-(k+x)²/2). The sign is a coin toss.
//
// Given the same rng it returns the same bits on every GOARCH, since it uses
// no logarithm and no exponential: each probability e^(-p) is decided by
// comparing uniforms. It takes about fifteen numbers from rng, each by Uint64.
// k+x is rounded, and so is the last of the probabilities. Zero comes with either
// sign.
//
// This is algorithm N of Karney, "Sampling exactly from the normal
// distribution", ACM TOMS 42(1), 2016, on uniforms of 53 bits.
func Normal(rng *rand.Rand) float64 {
	for {
		k := 0
		for trial(rng, 0.5) {
			k++
		}
		if !trials(rng, k*(k-1), 0.5) {
			continue
		}
		u := rng.Uint64()
		x := float64(u>>11) / (1 << 53)
		if !trials(rng, k+1, float64(x*(float64(2*k)+x))/float64(2*k+2)) {
			continue
		}
		if z := float64(k) + x; u&1 == 0 {
			return z
		} else {
			return -z
		}
	}
}

// trials reports whether n trials of e^(-p) all succeed: e^(-np).
func trials(rng *rand.Rand, n int, p float64) bool {
	for range n {
		if !trial(rng, p) {
			return false
		}
	}
	return true
}

// trial succeeds with probability e^(-p), for 0 ≤ p ≤ 1. The run of uniforms
// below p, each smaller than the one before, has at least n members with
// probability pⁿ/n!, so its length is even with probability
// 1 - p + p²/2! - p³/3! + … (von Neumann's trick).
func trial(rng *rand.Rand, p float64) bool {
	even := true
	for {
		u := float64(rng.Uint64()>>11) / (1 << 53)
		if u >= p {
			return even
		}
		p = u
		even = !even
	}
}
