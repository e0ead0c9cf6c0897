package mlp

import (
	"math/rand/v2"

	"github.com/lockstep-go/lockstep/kernels"
)

// Layer is one dense layer:
//
//	y[i,j] = act(Σ_k x[i,k]·W[k,j] + B[j])
//
// W is in×out, with any Stride; what lies between its rows stays untouched.
// B has out elements. The fields may be set to anything of these shapes.
type Layer[T kernels.Float] struct {
	W          kernels.Mat[T]
	B          []T
	Activation kernels.Activation
}

// NewLayer returns a layer with random weights:
//
//	W[k,j] ~ N(0, 1),  B[j] = 0.1
//
// W is in×out, drawn row by row.
//
// Each weight is [Normal] rounded to T, so a float32 layer is the rounded
// float64 layer of the same rng, with the same bits on every GOARCH.
//
// Where in or out is below 1, or in·out overflows int, nothing is drawn and
// the layer has no weights: [New] then returns an error that names the size.
// More memory than there is ends the program, or panics as make does.
//
// It panics if rng is nil and there is something to draw.
func NewLayer[T kernels.Float](in, out int, act kernels.Activation, rng *rand.Rand) *Layer[T] {
	l := &Layer[T]{
		W:          kernels.Mat[T]{Rows: in, Cols: out, Stride: out},
		Activation: act,
	}
	if in < 1 || out < 1 || in > maxElements/out {
		return l
	}
	l.W = kernels.NewMat[T](in, out)
	for i := range l.W.Data {
		l.W.Data[i] = T(Normal(rng))
	}
	l.B = make([]T, out)
	for j := range l.B {
		l.B[j] = 0.1
	}
	return l
}
