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

// Rows fall into the same sets of the cache if they are a power of two apart, or drift
// from there by a few bytes, either way; half a page apart, every other row does.
func TestSetPitch(t *testing.T) {
	for _, c := range []struct{ pitch, drift, want uintptr }{
		{0, 0, 0}, {8, 8, 8}, {100, 0, 4}, {1024, 8, 1024}, {1028, 8, 4}, {2048, 0, 2048}, {4096, 0, 4096}, {12288, 8, 4096}, {6144, 8, 2048},
		{4088, 8, 4096}, {4104, 8, 4096}, {4088, 4, 8}, {4112, 8, 16}, {8200, 8, 4096},
		{2044, 8, 2048}, {2052, 8, 2048}, {2056, 8, 8}, {6148, 8, 2048}, {10232, 16, 2048},
	} {
		if got := setPitch(c.pitch, c.drift); got != c.want {
			t.Errorf("rows %d bytes apart that may drift by %d have the pitch %d, want %d", c.pitch, c.drift, got, c.want)
		}
	}
}
