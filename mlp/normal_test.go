package mlp_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/lockstep-go/lockstep/mlp"
)

// Seeds, weights and examples in the world depend on these bits.
func TestNormalBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i, want := range []uint64{
		0xbfe1e673db49e191, // -0.5593814166050369
		0xbfea3995ea29d522, // -0.819529492712409
		0x3fe555e626a2300f, // 0.6667357210694734
		0x3fb399447805bb50, // 0.0765574257872974
		0x3feb337492945c7e, // 0.8500311720735139
		0xbfc105d4c6231448, // -0.1329904525247534
		0x3ff685f8f6f31251, // 1.4077081343140387
		0xbfb88b0a11ced858, // -0.09587157187238071
		0xbfed9c6368b19616, // -0.9253403706358678
		0xbfb0469f64e5ac08, // -0.06357761586484412
		0xbfb8a21fa10e7cc8, // -0.0962238090710229
		0xbfe4f98eaf0c079e, // -0.6554635447393939
		0x3ff41506289c901c, // 1.2551328264608008
		0xbfeb200b5e884132, // -0.8476616712887675
		0x3fde9837e2237ca4, // 0.47804066737985296
		0xbff65a64e0549df6, // -1.3970688593780074
	} {
		if got := mlp.Normal(rng); math.Float64bits(got) != want {
			t.Errorf("variate %d is %v, bits %#016x, want %#016x", i, got, math.Float64bits(got), want)
		}
	}
}

// normals are some variates, fewer of them in a -short run.
var normals = sync.OnceValue(func() []float64 {
	rng := rand.New(rand.NewPCG(3, 4))
	s := make([]float64, 200_000)
	if testing.Short() {
		s = s[:25_000]
	}
	for i := range s {
		s[i] = mlp.Normal(rng)
	}
	return s
})

func TestNormalMoments(t *testing.T) {
	s := normals()
	n := float64(len(s))
	var m [5]float64 // the mean of z, z², z³, z⁴
	for _, z := range s {
		for p := 1; p <= 4; p++ {
			m[p] += math.Pow(z, float64(p)) / n
		}
	}
	// The variance of zᵖ is E[z²ᵖ] - E[zᵖ]²: 1, 2, 15, 96.
	for _, c := range []struct {
		p              int
		mean, variance float64
	}{{1, 0, 1}, {2, 1, 2}, {3, 0, 15}, {4, 3, 96}} {
		if sigma := math.Sqrt(c.variance / n); math.Abs(m[c.p]-c.mean) > 4*sigma {
			t.Errorf("the mean of z^%d is %.4f, want %v ± %.4f", c.p, m[c.p], c.mean, 4*sigma)
		}
	}
}

// Kolmogorov and Smirnov: the largest distance between the empirical and the
// true distribution exceeds 1.95/√n once in a thousand seeds.
func TestNormalDistribution(t *testing.T) {
	s := slices.Sorted(slices.Values(normals()))
	n := float64(len(s))
	worst := 0.0
	for i, z := range s {
		cdf := math.Erfc(-z/math.Sqrt2) / 2
		worst = max(worst, cdf-float64(i)/n, float64(i+1)/n-cdf)
	}
	if limit := 1.95 / math.Sqrt(n); worst > limit {
		t.Errorf("the distance from the normal distribution is %.5f, want at most %.5f", worst, limit)
	}
}

// The tails: too thin for the distance above to see. Of n variates, those with
// |z| > 3 and |z| > 4 are Poisson.
func TestNormalTails(t *testing.T) {
	s := normals()
	for _, tail := range []float64{3, 4} {
		count := 0
		for _, z := range s {
			if math.Abs(z) > tail {
				count++
			}
		}
		mean := float64(len(s)) * math.Erfc(tail/math.Sqrt2)
		if math.Abs(float64(count)-mean) > 4*math.Sqrt(mean) {
			t.Errorf("%d of %d variates are beyond %v, want %.0f ± %.0f", count, len(s), tail, mean, 4*math.Sqrt(mean))
		}
	}
}
