// Package peers has the dense layer as other libraries compute it, to be
// checked and timed beside ours.
//
// Gonum and vek are Go modules and always there. The build tag cpeers adds,
// through cgo, those of OpenBLAS, BLIS and oneDNN that dlopen finds; nothing is
// linked, so that a program with the tag starts without them, too.
package peers

import (
	"fmt"
	"math/rand/v2"
	"unsafe"

	"github.com/lockstep-go/lockstep/kernels"
)

// Shape is the size of a layer: n rows, in inputs, out outputs.
type Shape struct{ N, In, Out int }

func (s Shape) String() string { return fmt.Sprintf("%dx%dx%d", s.N, s.In, s.Out) }

// Op is a pass over a ReLU layer.
type Op string

const (
	Forward  Op = "forward"  // y = relu(x·w + b)
	Backward Op = "backward" // dz over dy, dw, db and dx
)

// Flops is what a pass counts as: 2·n·in·out forward, 4·n·in·out backward.
func (s Shape) Flops(op Op) float64 {
	f := 2 * float64(s.N) * float64(s.In) * float64(s.Out)
	if op == Backward {
		f *= 2
	}
	return f
}

// Elements is how many elements a pass has to move, each operand once:
//
//	forward:   x, w, b read, y written
//	backward:  dy, y, x, w read, dy, dw, db, dx written
func (s Shape) Elements(op Op) float64 {
	n, in, out := float64(s.N), float64(s.In), float64(s.Out)
	if op == Backward {
		return 3*n*out + 2*n*in + 2*in*out + out
	}
	return n*out + n*in + in*out + out
}

// A Layer holds the operands of both passes, without gaps between rows.
type Layer[T kernels.Float] struct {
	Shape
	Y, X, W, DY, DX, DW kernels.Mat[T]
	B, DB               []T
}

// NewLayer returns a layer of random numbers in [-½, ½).
func NewLayer[T kernels.Float](s Shape) *Layer[T] {
	rng := rand.New(rand.NewPCG(1, 2))
	m := func(rows, cols int) kernels.Mat[T] {
		m := kernels.NewMat[T](rows, cols)
		for i := range m.Data {
			m.Data[i] = T(rng.Float64() - 0.5)
		}
		return m
	}
	return &Layer[T]{
		Shape: s,
		Y:     m(s.N, s.Out), X: m(s.N, s.In), W: m(s.In, s.Out),
		DY: m(s.N, s.Out), DX: m(s.N, s.In), DW: m(s.In, s.Out),
		B: m(1, s.Out).Data, DB: make([]T, s.Out),
	}
}

// A Run does its work reps times. The repetition is inside, so that a call
// through cgo is paid once and not by the peer.
type Run func(reps int)

// A Peer is one way to compute a layer. Prepare returns nil if the peer has no
// such pass; what it does itself, such as packing weights, is not timed.
type Peer[T kernels.Float] struct {
	Name    string
	Prepare func(l *Layer[T], op Op) Run
}

// Ours is the backend in use. The operands are variables, as those of the peers in
// C are: to fetch them from l each time takes a fifth of the smallest layers' time.
func Ours[T kernels.Float]() Peer[T] {
	return Peer[T]{"lockstep", func(l *Layer[T], op Op) Run {
		dx, dw, dy, y, x, w, db, b := l.DX, l.DW, l.DY, l.Y, l.X, l.W, l.DB, l.B
		if op == Backward {
			return func(reps int) {
				for range reps {
					kernels.DenseBackward(dx, dw, db, dy, y, x, w, kernels.ReLU)
				}
			}
		}
		return func(reps int) {
			for range reps {
				kernels.DenseForward(y, x, w, b, kernels.ReLU)
			}
		}
	}}
}

// Packed ends the names of those that have the weights packed beforehand.
const Packed = "-packed"

// Names are those of all peers, whether they are here or not.
var Names = []string{"gonum", "vek", "openblas", "openblas-gemv", "blis", "blis-gemv", "onednn", "onednn" + Packed, "lockstep" + Packed}

// oursPacked is the forward pass of the backend in use with packed weights.
func oursPacked[T kernels.Float]() Peer[T] {
	return Peer[T]{"lockstep" + Packed, func(l *Layer[T], op Op) Run {
		if op == Backward {
			return nil
		}
		p, y, x := kernels.Pack(l.W, l.B), l.Y, l.X
		return func(reps int) {
			for range reps {
				p.Forward(y, x, kernels.ReLU)
			}
		}
	}}
}

// List returns the peers that are here, and ours with packed weights.
func List[T kernels.Float]() []Peer[T] {
	all := []Peer[T]{oursPacked[T]()}
	if unsafe.Sizeof(T(0)) == 4 {
		all = append(all, any(gonum32()).(Peer[T]), any(vekF32()).(Peer[T]))
	} else {
		all = append(all, any(gonum64()).(Peer[T]), any(vekF64()).(Peer[T]))
	}
	return append(all, native[T]()...)
}

// Missing says which peers are not here, why, and what to install.
func Missing() []string { return missing() }
