package mlp

import (
	"fmt"
	"sync"

	"github.com/lockstep-go/lockstep/kernels"
)

// Net is a chain of dense layers: the output of each is the input of the next.
// Make one with [New], or as &Net{Layers: …}; it must not be copied.
type Net[T kernels.Float] struct {
	Layers []*Layer[T]

	pool sync.Pool // of *hidden[T]
}

// New returns the net of the given layers, first to last. It keeps the layers
// themselves, not copies.
//
// It returns an error if there is no layer or one is nil, if a W is not a
// valid matrix of at least 1×1 or its B has not as many elements as W has
// columns, if a W has not as many rows as the one before has columns, or if an
// activation does not exist.
func New[T kernels.Float](layers ...*Layer[T]) (*Net[T], error) {
	n := &Net[T]{Layers: layers}
	if err := n.check("New"); err != nil {
		return nil, err
	}
	return n, nil
}

// hidden holds the outputs of two successive hidden layers for some rows.
type hidden[T kernels.Float] [2][]T

// block is the number of rows that go through all layers together, so that
// what passes between layers stays in the cache, however long the batch is.
const block = 256

// Predict runs the net on every row of x:
//
//	dst[i,:] = layer_L(… layer_2(layer_1(x[i,:])) …)
//
// x is n×in and dst is n×out, where in is the number of rows of the first W
// and out the number of columns of the last. n may be 0.
//
// dst must not overlap x or the layers' W and B.
//
// Each layer is [kernels.DenseForward]: a row has the same bits in any batch,
// and a NaN stays NaN.
//
// It returns an error, and leaves dst as it was, if the shapes disagree, a
// matrix is not valid, dst overlaps another operand, or the layers are no
// longer what New accepts.
//
// Many goroutines may call Predict on one net, as long as nobody changes the
// layers meanwhile. Once warm it allocates nothing, unless
// [kernels.SetWorkers] allows the kernels goroutines.
func (n *Net[T]) Predict(dst, x kernels.Mat[T]) error {
	const fn = "Predict"
	if err := n.check(fn); err != nil {
		return err
	}
	if err := n.checkData(fn, &x, "dst", &dst); err != nil {
		return err
	}
	if dst.Overlaps(x) {
		return fmt.Errorf("mlp: %s: dst overlaps x", fn)
	}
	if err := n.checkApart(fn, "dst", &dst); err != nil {
		return err
	}

	h, ok := n.pool.Get().(*hidden[T])
	if !ok {
		h = new(hidden[T])
	}
	defer n.pool.Put(h)
	for i := 0; i < x.Rows; i += block {
		rows := min(block, x.Rows-i)
		in := rowsOf(x, i, rows)
		last := len(n.Layers) - 1
		for j, l := range n.Layers[:last] {
			size := rows * l.W.Cols
			if len(h[j%2]) < size {
				h[j%2] = make([]T, size)
			}
			out := kernels.MatOf(rows, l.W.Cols, h[j%2][:size])
			kernels.DenseForward(out, in, l.W, l.B, l.Activation)
			in = out
		}
		l := n.Layers[last]
		kernels.DenseForward(rowsOf(dst, i, rows), in, l.W, l.B, l.Activation)
	}
	return nil
}

// rowsOf returns rows i to i+rows-1 of m.
func rowsOf[T kernels.Float](m kernels.Mat[T], i, rows int) kernels.Mat[T] {
	return kernels.Mat[T]{Rows: rows, Cols: m.Cols, Data: m.Data[i*m.Stride:], Stride: m.Stride}
}
