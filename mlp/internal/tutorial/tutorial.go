// Package tutorial makes the data of the regression tutorial.
package tutorial

import (
	"math/rand/v2"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/mlp"
)

// Data returns n points of a noisy parabola, as two columns:
//
//	x[i] = (2i - (n-1)) / (n-1)                evenly spaced over [-1, 1]
//	y[i] = x[i]² - 0.5 + noise·N(0, 1)
//
// n is at least 2. Every operation is rounded once, in float64, and each
// coordinate once more to T: the same rng gives the same bits on every GOARCH.
func Data[T kernels.Float](n int, noise float64, rng *rand.Rand) (x, y kernels.Mat[T]) {
	x, y = kernels.NewMat[T](n, 1), kernels.NewMat[T](n, 1)
	for i := range n {
		v := float64(2*i-(n-1)) / float64(n-1)
		// The conversions keep the compiler from fusing * and +.
		x.Data[i] = T(v)
		y.Data[i] = T(float64(v*v) - 0.5 + float64(noise*mlp.Normal(rng)))
	}
	return x, y
}
