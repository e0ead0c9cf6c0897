package kernels

import "fmt"

// Activation is the function act that a dense layer applies to z = x·w + b. Its
// derivative act' is given as a function of the output, y = act(z).
type Activation uint8

const (
	// Identity: act(z) = z, act'(y) = 1.
	Identity Activation = iota

	// ReLU: act(z) = z if z > 0 or z is NaN, else +0;
	// act'(y) = 0 if y ≤ 0, else 1.
	ReLU

	activations // how many there are
)

// String returns the name of a.
func (a Activation) String() string {
	switch a {
	case Identity:
		return "Identity"
	case ReLU:
		return "ReLU"
	}
	return fmt.Sprintf("Activation(%d)", uint8(a))
}

func (a Activation) check(fn string) {
	if a >= activations {
		panic(fmt.Sprintf("lockstep: %s: act is %v, but only activations below %d exist", fn, a, uint8(activations)))
	}
}
