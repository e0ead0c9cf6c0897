package kernels

// This file is the reference: what every other backend computes, bit for bit.
// It follows the numeric contract of the package documentation line by line,
// but for fold, which has a file of its own.

// A view is a matrix of any orientation: element (i, j) is at i*row + j*col.
type view[T Float] struct {
	data     []T
	row, col int
}

func (m *Mat[T]) view() view[T]       { return view[T]{m.Data, m.Stride, 1} }
func (m *Mat[T]) transposed() view[T] { return m.view().transposed() }
func (v view[T]) transposed() view[T] { return view[T]{v.data, v.col, v.row} }

// from is v from the element (i, j) on.
func (v view[T]) from(i, j int) view[T] { return view[T]{v.data[i*v.row+j*v.col:], v.row, v.col} }

func forwardGeneric[T Float](y, x, w *Mat[T], b []T, act Activation) {
	for i := range y.Rows {
		for j, row := 0, y.Row(i); j < y.Cols; j++ {
			row[j] = 0
			if b != nil {
				row[j] = b[j]
			}
		}
	}
	if y.Cols >= narrow {
		fold(*y, x.view(), w.view(), x.Cols)
	} else {
		foldLanes(*y, *x, *w)
	}
	for i := range y.Rows {
		for j, row := 0, y.Row(i); j < y.Cols; j++ {
			row[j] = activate(act, row[j])
		}
	}
}

func backwardGeneric[T Float](dx, dw *Mat[T], db []T, dy, y, x, w *Mat[T], act Activation, add bool) {
	gateGeneric(dy, y, act)
	dz := dy

	// dw = xᵀ · dz and db = 1ᵀ · dz.
	if !add {
		clear(db)
	}
	foldAll(*dw, x.transposed(), dz.view(), dz.Rows, add)
	for j := range db {
		acc := db[j]
		for i := range dz.Rows {
			acc += dz.Data[i*dz.Stride+j]
		}
		db[j] = acc + 0
	}

	inputsGeneric(dx, dz, w)
}

// inputsGeneric computes dx = dz · wᵀ.
func inputsGeneric[T Float](dx, dz, w *Mat[T]) {
	foldAll(*dx, dz.view(), w.transposed(), dz.Cols, false)
}

// gateGeneric computes dz = dy · act'(y), in place.
func gateGeneric[T Float](dy, y *Mat[T], act Activation) {
	if act == Identity {
		return
	}
	for i := range dy.Rows {
		yRow := y.Row(i)
		for j, row := 0, dy.Row(i); j < dy.Cols; j++ {
			if yRow[j] <= 0 {
				row[j] = 0
			}
		}
	}
}

// foldAll is fold from +0, or with add from what c holds, with zeros as +0.
func foldAll[T Float](c Mat[T], a, b view[T], n int, add bool) {
	if c.empty() {
		return
	}
	if !add {
		for i := range c.Rows {
			clear(c.Row(i))
		}
	}
	fold(c, a, b, n)
	for i := range c.Rows {
		row := c.Row(i)
		for j := range row {
			row[j] += 0
		}
	}
}

const (
	narrow = 8  // a forward layer with fewer outputs (up to widest in asm) folds in lanes
	chains = 16 // that many, as in asm
)

// foldLanes continues in y, for every element, the sum over k of x[i,k]·w[k,j]
// as sixteen interleaved chains, the first of them starting at y[i,j].
func foldLanes[T Float](y, x, w Mat[T]) {
	for i := range y.Rows {
		xRow := x.Row(i)
		for j, row := 0, y.Row(i); j < y.Cols; j++ {
			lane := [chains]T{row[j]}
			for k, v := range xRow {
				lane[k%chains] = fma(v, w.Data[k*w.Stride+j], lane[k%chains])
			}
			row[j] = halve(&lane)
		}
	}
}

// halve sums the lanes as a tree: 8 + 8, 4 + 4, 2 + 2, 1 + 1.
func halve[T Float](lane *[chains]T) T {
	for half := chains / 2; half > 0; half /= 2 {
		for l := range half {
			lane[l] += lane[l+half]
		}
	}
	return lane[0]
}

// activate returns act(z), a zero as +0.
func activate[T Float](act Activation, z T) T {
	if act == ReLU && z <= 0 {
		return 0
	}
	return z + 0
}

func mseGeneric[T Float](grad, pred, target *Mat[T], c T) T {
	var lane [chains]T
	q := 0
	for i := range pred.Rows {
		t := target.Row(i)
		for j, p := range pred.Row(i) {
			d := p - t[j]
			lane[q%chains] = fma(d, d, lane[q%chains])
			if !grad.IsZero() {
				grad.Data[i*grad.Stride+j] = d * c
			}
			q++
		}
	}
	return halve(&lane)
}

func sgdGeneric[T Float](w, g []T, rate T) {
	for i, v := range g {
		w[i] = fma(-rate, v, w[i])
	}
}
