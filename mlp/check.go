package mlp

import (
	"fmt"

	"github.com/lockstep-go/lockstep/kernels"
)

// maxElements bounds every size this package computes. Elements are at most
// eight bytes long, so their byte counts do not overflow int either.
const maxElements = int(^uint(0)>>1) / 8

// check returns an error unless every layer is valid and the widths chain.
func (n *Net[T]) check(fn string) error {
	if n == nil {
		return fmt.Errorf("mlp: %s: the net is nil", fn)
	}
	if len(n.Layers) == 0 {
		return fmt.Errorf("mlp: %s: the net has no layers", fn)
	}
	for i, l := range n.Layers {
		if l == nil {
			return fmt.Errorf("mlp: %s: Layers[%d] is nil", fn, i)
		}
		w := &l.W
		switch {
		case w.Rows < 1 || w.Cols < 1:
			return fmt.Errorf("mlp: %s: Layers[%d].W is %d×%d but a layer needs at least 1×1", fn, i, w.Rows, w.Cols)
		case i > 0 && w.Rows != n.Layers[i-1].W.Cols:
			return fmt.Errorf("mlp: %s: Layers[%d].W is %d×%d but Layers[%d].W has %d columns", fn, i, w.Rows, w.Cols, i-1, n.Layers[i-1].W.Cols)
		}
		if err := checkView(w); err != nil {
			return fmt.Errorf("mlp: %s: Layers[%d].W %w", fn, i, err)
		}
		if len(l.B) != w.Cols {
			return fmt.Errorf("mlp: %s: Layers[%d].W is %d×%d but its B has %d elements", fn, i, w.Rows, w.Cols, len(l.B))
		}
		if !known(l.Activation) {
			return fmt.Errorf("mlp: %s: Layers[%d].Activation is %v, which does not exist", fn, i, l.Activation)
		}
	}
	return nil
}

// known reports whether the kernels have act.
func known(act kernels.Activation) bool {
	switch act {
	case kernels.Identity, kernels.ReLU:
		return true
	}
	return false
}

// checkData returns an error unless x and y are valid, have the same number of
// rows, and fit the first and the last layer. yName is what y is to the caller.
func (n *Net[T]) checkData(fn string, x *kernels.Mat[T], yName string, y *kernels.Mat[T]) error {
	first, last := &n.Layers[0].W, &n.Layers[len(n.Layers)-1].W
	if err := checkView(x); err != nil {
		return fmt.Errorf("mlp: %s: x %w", fn, err)
	}
	if err := checkView(y); err != nil {
		return fmt.Errorf("mlp: %s: %s %w", fn, yName, err)
	}
	switch {
	case x.Cols != first.Rows:
		return fmt.Errorf("mlp: %s: x is %d×%d but Layers[0].W has %d rows", fn, x.Rows, x.Cols, first.Rows)
	case y.Cols != last.Cols:
		return fmt.Errorf("mlp: %s: %s is %d×%d but Layers[%d].W has %d columns", fn, yName, y.Rows, y.Cols, len(n.Layers)-1, last.Cols)
	case x.Rows != y.Rows:
		return fmt.Errorf("mlp: %s: x is %d×%d but %s has %d rows", fn, x.Rows, x.Cols, yName, y.Rows)
	}
	return nil
}

// checkView returns an error, without its subject, unless m is a valid view.
func checkView[T kernels.Float](m *kernels.Mat[T]) error {
	switch {
	case m.Rows < 0 || m.Cols < 0:
		return fmt.Errorf("has the negative size %d×%d", m.Rows, m.Cols)
	case m.Rows == 0 || m.Cols == 0:
		return nil
	case m.Stride < m.Cols:
		return fmt.Errorf("is %d×%d but its stride is %d", m.Rows, m.Cols, m.Stride)
	case len(m.Data) < m.Cols || m.Rows-1 > (len(m.Data)-m.Cols)/m.Stride:
		return fmt.Errorf("is %d×%d with stride %d but its Data has %d elements", m.Rows, m.Cols, m.Stride, len(m.Data))
	}
	return nil
}

// checkApart returns an error if m overlaps the W or B of a layer.
func (n *Net[T]) checkApart(fn, name string, m *kernels.Mat[T]) error {
	for i, l := range n.Layers {
		if m.Overlaps(l.W) {
			return fmt.Errorf("mlp: %s: %s overlaps Layers[%d].W", fn, name, i)
		}
		if m.Overlaps(row(l.B)) {
			return fmt.Errorf("mlp: %s: %s overlaps Layers[%d].B", fn, name, i)
		}
	}
	return nil
}

// checkLayersApart returns an error if any two W or B overlap.
func (n *Net[T]) checkLayersApart(fn string) error {
	for i, l := range n.Layers {
		b := row(l.B)
		if l.W.Overlaps(b) {
			return fmt.Errorf("mlp: %s: Layers[%d].W overlaps Layers[%d].B", fn, i, i)
		}
		for j := range i {
			w, c := n.Layers[j].W, row(n.Layers[j].B)
			switch {
			case l.W.Overlaps(w):
				return fmt.Errorf("mlp: %s: Layers[%d].W overlaps Layers[%d].W", fn, i, j)
			case l.W.Overlaps(c):
				return fmt.Errorf("mlp: %s: Layers[%d].W overlaps Layers[%d].B", fn, i, j)
			case b.Overlaps(w):
				return fmt.Errorf("mlp: %s: Layers[%d].B overlaps Layers[%d].W", fn, i, j)
			case b.Overlaps(c):
				return fmt.Errorf("mlp: %s: Layers[%d].B overlaps Layers[%d].B", fn, i, j)
			}
		}
	}
	return nil
}

// row returns s as a matrix of one row.
func row[T kernels.Float](s []T) kernels.Mat[T] {
	return kernels.Mat[T]{Rows: 1, Cols: len(s), Data: s, Stride: len(s)}
}
