// Package order has the same small passes in C twice, once in an order that is
// fixed as ours is and once in whatever order is fastest, to see what the
// order costs. Without the build tag cpeers there are none.
package order

import (
	"github.com/lockstep-go/lockstep/bench/internal/peers"
	"github.com/lockstep-go/lockstep/kernels"
)

// An Op is a pass in which the order could cost.
type Op string

const (
	Forward  Op = "forward"  // y = relu(x·w + b)
	Gradient Op = "gradient" // dz over dy, db and dw, without dx
)

// A Case is a pass over a layer whose sums are long, or whose results are few.
type Case struct {
	peers.Shape
	Op Op
}

// Cases are the layers of the regression, single rows with few outputs, and
// gradients of few weights over many rows.
var Cases = []Case{
	{peers.Shape{N: 300, In: 1, Out: 10}, Forward},
	{peers.Shape{N: 300, In: 10, Out: 1}, Forward},
	{peers.Shape{N: 1, In: 4096, Out: 1}, Forward},
	{peers.Shape{N: 1, In: 512, Out: 8}, Forward},
	{peers.Shape{N: 1, In: 512, Out: 16}, Forward},
	{peers.Shape{N: 1, In: 64, Out: 64}, Forward},
	{peers.Shape{N: 4, In: 512, Out: 16}, Forward},
	{peers.Shape{N: 300, In: 1, Out: 10}, Gradient},
	{peers.Shape{N: 300, In: 10, Out: 1}, Gradient},
	{peers.Shape{N: 1000, In: 1, Out: 8}, Gradient},
	{peers.Shape{N: 1000, In: 4, Out: 4}, Gradient},
	{peers.Shape{N: 300, In: 16, Out: 16}, Gradient},
}

// Ours is the pass by the backend in use.
func Ours[T kernels.Float](l *peers.Layer[T], op Op) peers.Run {
	if op == Forward {
		return peers.Ours[T]().Prepare(l, peers.Forward)
	}
	return func(reps int) {
		for range reps {
			kernels.DenseBackward(kernels.Mat[T]{}, l.DW, l.DB, l.DY, l.Y, l.X, l.W, kernels.ReLU)
		}
	}
}
