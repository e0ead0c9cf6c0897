package mlp

import (
	"math/rand/v2"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
)

// The list of activations here is the kernels' own.
func TestKnown(t *testing.T) {
	for a := range 256 {
		act := kernels.Activation(a)
		want := func() (ok bool) {
			defer func() { _ = recover() }()
			kernels.DenseForward(kernels.Mat[float64]{}, kernels.Mat[float64]{}, kernels.Mat[float64]{}, nil, act)
			return true
		}()
		if known(act) != want {
			t.Errorf("known(%v) is %v, but to the kernels it is %v", act, !want, want)
		}
	}
}

// overlap against its definition: is there a common element?
func TestOverlap(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	memory := make([]float32, 60)
	some := func() kernels.Mat[float32] {
		m := kernels.Mat[float32]{Rows: rng.IntN(5), Cols: rng.IntN(5)}
		m.Stride = m.Cols + rng.IntN(8)
		m.Data = memory[rng.IntN(20):]
		return m
	}
	count := 0
	for range 20_000 {
		a, b := some(), some()
		want := false
		for i := range a.Rows {
			for _, v := range addresses(a.Row(i)) {
				for j := range b.Rows {
					for _, w := range addresses(b.Row(j)) {
						want = want || v == w
					}
				}
			}
		}
		if overlap(&a, &b) != want {
			t.Fatalf("overlap(%d×%d stride %d at %p, %d×%d stride %d at %p) is %v",
				a.Rows, a.Cols, a.Stride, a.Data, b.Rows, b.Cols, b.Stride, b.Data, !want)
		}
		if want {
			count++
		}
	}
	if count < 2000 || count > 18000 {
		t.Errorf("%d of 20000 overlap: the cases are one-sided", count)
	}
}

func addresses(s []float32) []*float32 {
	p := make([]*float32, len(s))
	for i := range s {
		p[i] = &s[i]
	}
	return p
}
