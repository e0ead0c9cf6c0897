//go:build (amd64 || arm64) && !purego && !noasm

package kernels

import (
	"fmt"
	"testing"
)

// TestFar has weights of every size taken for those that come from memory.
func TestFar(t *testing.T) {
	far := farBytes
	t.Cleanup(func() { farBytes = far })
	farBytes = 0
	t.Run("f32", testFar[float32])
	t.Run("f64", testFar[float64])
}

func testFar[T Float](t *testing.T) {
	f := newField(t)
	rng := newRand(23)
	try := func(s shape) {
		fl := fill(rng.IntN(int(fills)))
		for _, c := range calls[T](rng, s, fl, true) {
			c.compare(t, f, somewhere(rng, len(c.operands)), fmt.Sprintf("shape %v, fill %v", s, fl))
		}
	}
	for _, s := range []shape{{4, 9, 4104}, {3, 10, 5500}} { // dz is far, too
		try(s)
	}
	for n := range 11 {
		for _, in := range []int{5, 8, 9, 16, 17, 40, 43, smallTerms + 9} {
			for _, out := range []int{8, 9, 16, 33, 200, 419} {
				if skim(rng) || in > smallTerms && out > 33 {
					continue
				}
				try(shape{n, in, out})
			}
		}
	}
}
