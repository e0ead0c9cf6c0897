//go:build (amd64 || arm64) && !purego && !noasm

package kernels

import (
	"sync"
	"unsafe"
)

// tiles are the register-tile loops of one instruction set at one type; the
// methods are the loops over blocks around them. The comments of the generated
// declarations (stubs_*.go) say what each function computes.
type tiles[T Float] struct {
	lanes     int // elements of a vector
	panelCols int // columns of the widest panel
	panelRows int // rows of its tallest tile
	wideCols  int // columns of the widest wide tile of one row
	wideUnit  int // and of the narrowest
	gradRows  int // rows of dw that grad computes

	panel     func(c *T, ldc uintptr, init *T, ldinit uintptr, a *T, lda, stepa uintptr, b *T, ldb uintptr, rows, cols, n, act int)
	packing   func(dst *T, c *T, ldc uintptr, init *T, ldinit uintptr, a *T, lda, stepa uintptr, b *T, ldb uintptr, n, act int)
	wide      func(c *T, ldc uintptr, init *T, ldinit uintptr, a *T, lda, stepa uintptr, b *T, ldb uintptr, rows, cols, n, act int)
	narrow    func(y *T, ldy uintptr, x *T, ldx uintptr, w, bias *T, rows, n, act int)
	dot       func(lane [lanes]T, x, w *T, n int) [lanes]T
	grad      func(dw *T, lddw uintptr, dwinit *T, lddwinit uintptr, db, dbinit, dy *T, lddy uintptr, y *T, ldy uintptr, x *T, ldx uintptr, rows, cols, n, act int)
	column    func(dx *T, lddx uintptr, dw, dwinit, db, dbinit, dy *T, lddy uintptr, y *T, ldy uintptr, x *T, ldx uintptr, w *T, cols, n, act int)
	transpose func(dst *T, ldd uintptr, src *T, lds uintptr, rows, cols int)
	mse       func(lane [lanes]T, grad, pred, target *T, n int, c T) [lanes]T
	sgd       func(w, dw *T, rate T, n int)

	scratch sync.Pool // of *scratch[T]
}

func (t *tiles[T]) table() table[T] {
	if maxPacked%t.panelCols != 0 || manyRows < t.panelRows || uintptr(t.wideCols)*size[T]() > unsafe.Sizeof(nothing) {
		panic("lockstep: tiles do not fit the blocks")
	}
	t.scratch.New = func() any { return new(scratch[T]) }
	return table[T]{forward: t.forward, backward: t.backward, mse: t.meanSquares, sgd: t.descend}
}

// A fold over more than maxFold terms is cut into pieces that are continued
// from memory, and a call into assembly does no more than about maxWork
// multiply-adds of vectors: Go can neither preempt it nor collect garbage
// meanwhile.
const (
	maxFold = 320
	maxWork = 1 << 17
	maxRun  = 1 << 12 // rows or elements, where each takes a few cycles

	maxPacked  = 768       // columns that a block of rows meets: a multiple of every panel
	blockBytes = 512 << 10 // of the left factor, for the second-level cache
	manyRows   = 64        // for which it pays to rearrange an operand
	maxWide    = 128       // columns of a wide tile of float64, half of one of float32
)

// scratch is the memory a call borrows for operands that must be rearranged:
// at most maxFold·maxPacked + 2·maxRun elements (2 MiB of float64) and sixteen
// sums in sixteen lanes.
type scratch[T Float] struct {
	packed []T
	line   [2 * maxRun]T
	lane   [16][lanes]T
}

// grow returns the memory for a packed operand, at least n elements of it that
// begin at a cache line.
func (s *scratch[T]) grow(n int) []T {
	if len(s.packed) < n {
		s.packed = aligned[T](n)
	}
	return s.packed
}

// nothing is what a sum starts from when there is no bias and nothing to add to.
var nothing [maxWide]float64

func zero[T Float]() *T { return (*T)(unsafe.Pointer(&nothing)) }

func size[T Float]() uintptr { return unsafe.Sizeof(T(0)) }

// tight reports whether the elements lie without gaps.
func (m Mat[T]) tight() bool { return m.Stride == m.Cols || m.Rows <= 1 }

// at points at element (i, j), or is nil if there is none at all: a pointer
// made from an empty m could point anywhere, and the runtime minds even if
// nobody follows it.
func (m Mat[T]) at(i, j int) *T {
	if m.empty() {
		return nil
	}
	return (*T)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(m.Data)), uintptr(i*m.Stride+j)*size[T]()))
}

// plus is p moved on by some bytes. A nil p, of an empty operand, stays nil.
func plus[T Float](p *T, bytes uintptr) *T {
	if p == nil {
		return nil
	}
	return (*T)(unsafe.Add(unsafe.Pointer(p), bytes))
}

// pitch is the distance of m's rows in bytes.
func (m *Mat[T]) pitch() uintptr { return uintptr(m.Stride) * size[T]() }

func (t *tiles[T]) forward(y, x, w Mat[T], b []T, act Activation) {
	if y.Cols < narrow {
		t.forwardNarrow(y, x, w, b, act)
		return
	}
	few := y.Rows % t.panelRows
	if few > 2 || y.Rows > manyRows {
		few = 0
	}
	p := product[T]{c: y, bias: b, a: x.at(0, 0), lda: x.pitch(), stepa: size[T](), n: x.Cols, act: act}
	t.multiply(&p, 0, y.Rows-few, &w, false)
	if few > 0 {
		t.fewRows(&p, few, &w)
	}
}

// forwardNarrow takes the outputs one by one, each with its column of w tight.
func (t *tiles[T]) forwardNarrow(y, x, w Mat[T], b []T, act Activation) {
	var s *scratch[T]
	if w.Stride > 1 || x.Cols > maxRun {
		s = t.scratch.Get().(*scratch[T])
		defer t.scratch.Put(s)
	}
	columns := w.at(0, 0)
	if x.Cols <= maxRun && s != nil && !w.empty() {
		packed := s.grow(w.Rows * w.Cols)
		t.packTransposed(packed, &w, 0, w.Rows, 0, w.Cols)
		columns = &packed[0]
	}
	for j := range y.Cols {
		bias := zero[T]()
		if b != nil {
			bias = &b[j]
		}
		if x.Cols > maxRun {
			t.forwardLong(s, y, x, w, j, *bias, act)
			continue
		}
		wj := plus(columns, uintptr(j*w.Rows)*size[T]())
		tall := min(2*maxWork/(x.Cols+lanes), maxRun)
		for i := 0; i < y.Rows; i += tall {
			t.narrow(y.at(i, j), y.pitch(), x.at(i, 0), x.pitch(), wj, bias, min(tall, y.Rows-i), x.Cols, int(act))
		}
	}
}

// tightColumn points at n elements of column j, from row i on, without gaps:
// in w itself if they are, else copied to s.
func (m *Mat[T]) tightColumn(j, i, n int, s *scratch[T]) *T {
	if m.Stride <= 1 {
		return m.at(i, j)
	}
	for k := range n {
		s.line[k] = m.Data[(i+k)*m.Stride+j]
	}
	return &s.line[0]
}

// forwardLong computes column j of y when its sums are too long for one call:
// sixteen rows at a time, whose lanes rest in s between the pieces.
func (t *tiles[T]) forwardLong(s *scratch[T], y, x, w Mat[T], j int, bias T, act Activation) {
	for i0 := 0; i0 < y.Rows; i0 += len(s.lane) {
		rows := min(len(s.lane), y.Rows-i0)
		for i := range rows {
			s.lane[i] = [lanes]T{bias}
		}
		for k := 0; k < x.Cols; k += maxRun {
			n := min(maxRun, x.Cols-k)
			wj := w.tightColumn(j, k, n, s)
			for i := range rows {
				s.lane[i] = t.dot(s.lane[i], x.at(i0+i, k), wj, n)
			}
		}
		for i := range rows {
			y.Data[(i0+i)*y.Stride+j] = activate(act, halve(&s.lane[i]))
		}
	}
}

func (t *tiles[T]) backward(dx, dw Mat[T], db []T, dy, y, x, w Mat[T], act Activation, add bool) {
	if dw.Cols == 1 && dw.Rows > 0 {
		t.backwardColumn(dx, dw, db, dy, y, x, w, act, add)
		return
	}
	// dz, db and the first rows of dw, panel by panel; then its other rows.
	first := min(t.gradRows, dw.Rows)
	fold := even(dy.Rows, maxFold)
	for i := 0; i == 0 || i < dy.Rows; i += fold {
		p := product[T]{
			c: dw, add: add || i > 0,
			a: x.at(i, 0), lda: size[T](), stepa: x.pitch(), n: min(fold, dy.Rows-i),
		}
		for j := 0; j < dw.Cols; j += t.panelCols {
			dbj, dbinit := (*T)(nil), zero[T]()
			if db != nil {
				dbj = &db[j]
				if p.add {
					dbinit = dbj
				}
			}
			init, ldinit := p.init(0, j)
			t.grad(dw.at(0, j), dw.pitch(), init, ldinit, dbj, dbinit,
				dy.at(i, j), dy.pitch(), y.at(i, j), y.pitch(), x.at(i, 0), x.pitch(),
				first, min(t.panelCols, dw.Cols-j), p.n, int(act))
		}
	}
	p := product[T]{c: dw, add: add, a: x.at(0, 0), lda: size[T](), stepa: x.pitch(), n: dy.Rows}
	t.multiply(&p, first, dw.Rows, &dy, false)
	if dx.empty() {
		return
	}
	p = product[T]{c: dx, a: dy.at(0, 0), lda: dy.pitch(), stepa: size[T](), n: dy.Cols}
	t.multiply(&p, 0, dx.Rows, &w, true)
}

// backwardColumn is backward for a layer with one output: one pass over the
// rows for every panel of inputs, the first of which makes dz and db too.
func (t *tiles[T]) backwardColumn(dx, dw Mat[T], db []T, dy, y, x, w Mat[T], act Activation, add bool) {
	var s *scratch[T]
	if dw.Stride > 1 || w.Stride > 1 {
		s = t.scratch.Get().(*scratch[T])
		defer t.scratch.Put(s)
	}
	var dbp *T
	if db != nil {
		dbp = &db[0]
	}
	for k := 0; k < dw.Rows; k += t.panelCols {
		cols := min(t.panelCols, dw.Rows-k)
		wk, dwk := w.at(k, 0), dw.at(k, 0)
		if w.Stride > 1 {
			wk = w.tightColumn(0, k, cols, s)
		}
		if dw.Stride > 1 {
			dwk = &s.line[maxRun]
			for c := range cols {
				s.line[maxRun+c] = dw.Data[(k+c)*dw.Stride]
			}
		}
		for i := 0; i == 0 || i < dy.Rows; i += maxRun {
			dwinit, dbinit := dwk, dbp
			if i == 0 && !add {
				dwinit, dbinit = zero[T](), zero[T]()
			}
			if dbp == nil {
				dbinit = zero[T]()
			}
			var dxk *T
			if !dx.empty() {
				dxk = dx.at(i, k)
			}
			t.column(dxk, dx.pitch(), dwk, dwinit, dbp, dbinit, dy.at(i, 0), dy.pitch(),
				y.at(i, 0), y.pitch(), x.at(i, k), x.pitch(), wk, cols, min(maxRun, dy.Rows-i), int(act))
		}
		if dw.Stride > 1 {
			for c := range cols {
				dw.Data[(k+c)*dw.Stride] = s.line[maxRun+c]
			}
		}
		act, dbp = Identity, nil
	}
}

func (t *tiles[T]) meanSquares(grad, pred, target Mat[T], c T) T {
	var lane [lanes]T
	if pred.tight() && target.tight() && (grad.IsZero() || grad.tight()) {
		total := pred.Rows * pred.Cols
		for q := 0; q < total; q += maxRun {
			var g *T
			if !grad.IsZero() {
				g = &grad.Data[q]
			}
			lane = t.mse(lane, g, &pred.Data[q], &target.Data[q], min(maxRun, total-q), c)
		}
		return halve(&lane)
	}

	// Rows with gaps: gathered a block at a time, so that lanes count on.
	s := t.scratch.Get().(*scratch[T])
	defer t.scratch.Put(s)
	const block = maxRun / lanes * lanes
	p, d := s.line[:block], s.line[maxRun:maxRun+block]
	total := pred.Rows * pred.Cols
	for q := 0; q < total; q += block {
		n := min(block, total-q)
		pred.gather(p[:n], q)
		target.gather(d[:n], q)
		var g *T
		if !grad.IsZero() {
			g = &p[0]
		}
		lane = t.mse(lane, g, &p[0], &d[0], n, c)
		if g != nil {
			grad.scatter(p[:n], q)
		}
	}
	return halve(&lane)
}

// gather copies the elements from the row-major index q on; scatter is its
// reverse.
func (m *Mat[T]) gather(dst []T, q int) {
	for i, j := q/m.Cols, q%m.Cols; len(dst) > 0; i, j = i+1, 0 {
		dst = dst[copy(dst, m.Row(i)[j:]):]
	}
}

func (m *Mat[T]) scatter(src []T, q int) {
	for i, j := q/m.Cols, q%m.Cols; len(src) > 0; i, j = i+1, 0 {
		src = src[copy(m.Row(i)[j:], src):]
	}
}

func (t *tiles[T]) descend(w, g []T, rate T) {
	for i := 0; i < len(w); i += maxRun {
		t.sgd(&w[i], &g[i], -rate, min(maxRun, len(w)-i))
	}
}
