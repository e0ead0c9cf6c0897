package mlp

import (
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
