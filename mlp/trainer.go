package mlp

import (
	"fmt"
	"unsafe"

	"github.com/lockstep-go/lockstep/kernels"
)

// Trainer fits a [Net] to data by gradient descent. It is made by [NewTrainer],
// owns the memory that training needs and changes the net's layers. It is for
// one goroutine at a time.
type Trainer[T kernels.Float] struct {
	net    *Net[T]
	batch  int
	widths []int     // of the input and of every layer's output
	out    [][]T     // every layer's output, batch×width
	grad   [2][]T    // the gradients of two successive outputs, batch×widest
	dw, db []T       // one layer's gradients
	passes []pass[T] // views of all that, of every layer
	fit    []operand // what the last step took, which is not checked again
}

// A pass has the operands of one layer's forward and backward pass: all but the
// layer itself.
type pass[T kernels.Float] struct {
	in, out, dy, dx, dw kernels.Mat[T]
	db                  []T
}

// NewTrainer returns a trainer of n for batches of up to batch rows.
//
// It allocates what [Trainer.Step] needs: for every row of the batch all
// layers' outputs and twice the widest, and once the largest layer.
//
// It returns an error if batch is below 1 or batch rows overflow int, or if n
// is not what [New] accepts. Two layers must not overlap, since each would
// undo part of the other's step: that is an error too. More memory than there
// is ends the program, or panics as make does.
func NewTrainer[T kernels.Float](n *Net[T], batch int) (*Trainer[T], error) {
	const fn = "NewTrainer"
	if err := n.check(fn); err != nil {
		return nil, err
	}
	if err := n.checkLayersApart(fn); err != nil {
		return nil, err
	}
	if batch < 1 {
		return nil, fmt.Errorf("mlp: %s: batch is %d but must be at least 1", fn, batch)
	}
	t := &Trainer[T]{net: n, batch: batch, widths: []int{n.Layers[0].W.Rows}}
	widest, largest := 0, 0
	for _, l := range n.Layers {
		t.widths = append(t.widths, l.W.Cols)
		widest = max(widest, l.W.Cols)
		largest = max(largest, l.W.Rows*l.W.Cols)
	}
	if batch > maxElements/widest {
		return nil, fmt.Errorf("mlp: %s: batch is %d, which overflows int with a layer of %d outputs", fn, batch, widest)
	}
	for _, w := range t.widths[1:] {
		t.out = append(t.out, make([]T, batch*w))
	}
	t.grad = [2][]T{make([]T, batch*widest), make([]T, batch*widest)}
	t.dw, t.db = make([]T, largest), make([]T, widest)
	t.passes = make([]pass[T], len(n.Layers))
	t.fit = make([]operand, 2+2*len(n.Layers))
	return t, nil
}

// Step takes one step of gradient descent on the mean squared error:
//
//	cost = Σ_q (p[q] - y[q])² / N,  p = the net's prediction for x
//	W -= rate·∂cost/∂W,  B -= rate·∂cost/∂B        in every layer
//
// cost is the one before the update. x is n×in and y is n×out, with n from 1
// to the trainer's batch; N = n·out.
//
// x and y must not overlap the layers' W and B, nor must these overlap one
// another. x and y may overlap.
//
// The arithmetic is that of [kernels.DenseForward], [kernels.MSE],
// [kernels.DenseBackward] and [kernels.SGD], one after the other: every
// gradient is complete, and rounded, before rate multiplies it. A NaN or
// infinite cost is not an error, and the update is still made: choose a rate
// that is small enough.
//
// It returns an error, and changes nothing, if the shapes disagree, n is out
// of range, a matrix is not valid, the operands overlap, or the layers are no
// longer of the shapes that the trainer was made for.
//
// It allocates nothing, once the kernels have run and unless
// [kernels.SetWorkers] allows them goroutines.
func (t *Trainer[T]) Step(x, y kernels.Mat[T], rate T) (cost T, err error) {
	if t.changed(&x, &y) {
		if err := t.check(&x, &y); err != nil {
			t.fit[0] = operand{rows: -1} // like no other
			return 0, err
		}
		t.plan(x)
	}
	layers := t.net.Layers
	for i, l := range layers {
		p := &t.passes[i]
		kernels.DenseForward(p.out, p.in, l.W, l.B, l.Activation)
	}
	last := &t.passes[len(layers)-1]
	cost = kernels.MSE(last.dy, last.out, y)
	for i := len(layers) - 1; i >= 0; i-- {
		l, p := layers[i], &t.passes[i]
		kernels.DenseBackward(p.dx, p.dw, p.db, p.dy, p.out, p.in, l.W, l.Activation)
		if l.W.Stride == l.W.Cols {
			kernels.SGD(l.W.Data[:len(p.dw.Data)], p.dw.Data, rate)
		} else {
			for k := range l.W.Rows {
				kernels.SGD(l.W.Row(k), p.dw.Row(k), rate)
			}
		}
		kernels.SGD(l.B, p.db, rate)
	}
	return cost, nil
}

// plan sets the passes up for x, which it keeps until the next time.
func (t *Trainer[T]) plan(x kernels.Mat[T]) {
	in := x
	for i := range t.passes {
		p, width := &t.passes[i], t.widths[i+1]
		p.in, p.out = in, view(x.Rows, width, t.out[i])
		p.dy = view(x.Rows, width, t.grad[i%2])
		p.dw, p.db = view(in.Cols, width, t.dw), t.db[:width]
		if i > 0 {
			p.dx = t.passes[i-1].dy
		}
		in = p.out
	}
}

// An operand is all that checks look at in a matrix, or in the bias of a layer.
type operand struct {
	at                         uintptr
	length, rows, cols, stride int
	act                        kernels.Activation
}

// changed reports whether x, y or a layer is another one than in the last step,
// or elsewhere, and notes what they are.
func (t *Trainer[T]) changed(x, y *kernels.Mat[T]) bool {
	layers := t.net.Layers
	if len(layers) != len(t.out) {
		return true
	}
	changed := false
	note := func(i int, data []T, rows, cols, stride int, act kernels.Activation) {
		o, at := &t.fit[i], uintptr(unsafe.Pointer(unsafe.SliceData(data)))
		if o.at != at || o.length != len(data) || o.rows != rows || o.cols != cols || o.stride != stride || o.act != act {
			*o, changed = operand{at, len(data), rows, cols, stride, act}, true
		}
	}
	note(0, x.Data, x.Rows, x.Cols, x.Stride, 0)
	note(1, y.Data, y.Rows, y.Cols, y.Stride, 0)
	for i, l := range layers {
		if l == nil {
			return true
		}
		note(2+2*i, l.W.Data, l.W.Rows, l.W.Cols, l.W.Stride, l.Activation)
		note(3+2*i, l.B, 1, len(l.B), len(l.B), 0)
	}
	return changed
}

// view returns the start of data as a rows×cols matrix.
func view[T kernels.Float](rows, cols int, data []T) kernels.Mat[T] {
	return kernels.Mat[T]{Rows: rows, Cols: cols, Data: data[:rows*cols], Stride: cols}
}

// check returns an error unless Step can go through with x and y.
func (t *Trainer[T]) check(x, y *kernels.Mat[T]) error {
	const fn = "Step"
	n := t.net
	if err := n.check(fn); err != nil {
		return err
	}
	if len(n.Layers) != len(t.out) {
		return fmt.Errorf("mlp: %s: the net has %d layers but the trainer was made for %d", fn, len(n.Layers), len(t.out))
	}
	for i, l := range n.Layers {
		if l.W.Rows != t.widths[i] || l.W.Cols != t.widths[i+1] {
			return fmt.Errorf("mlp: %s: Layers[%d].W is %d×%d but the trainer was made for %d×%d", fn, i, l.W.Rows, l.W.Cols, t.widths[i], t.widths[i+1])
		}
	}
	if err := n.checkData(fn, x, "y", y); err != nil {
		return err
	}
	if x.Rows < 1 || x.Rows > t.batch {
		return fmt.Errorf("mlp: %s: x is %d×%d but the trainer takes from 1 to %d rows", fn, x.Rows, x.Cols, t.batch)
	}
	if err := n.checkApart(fn, "x", x); err != nil {
		return err
	}
	if err := n.checkApart(fn, "y", y); err != nil {
		return err
	}
	return n.checkLayersApart(fn)
}
