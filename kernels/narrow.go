//go:build (amd64 || arm64) && !purego && !noasm

package kernels

const (
	shortRow   = 12  // terms, of the sixteen that a narrow layer takes at once, that short vectors are best for
	shortTerms = 112 // terms up to which they are for rows of float32 that fill a short vector but no long one
	shortRows  = 44  // rows from which long ones are, if they are not computed as halves and fill more than one

	treeRows  = 56 // rows below which tree is best whatever the products, of a term for each chain at most
	treeTurns = 5  // most vectors of products for each output that tree takes, or as many as hold the chains,
	treeMore  = 9  // or so many if chains have two terms, for so few rows or if they fill two vectors,
	treeShort = 3  // and in all less so many if vectors are not as long as a line, or are halved

	treesFrom = 4 // least outputs that are for trees, as in asm
	// trees pays up to (treesSize·outputs − treesLess)·bytes of an element elements of x,
	// treesFull times as many if the outputs fill a vector
	treesSize = 26
	treesLess = 40
	treesFull = 4

	abreastFew  = 2   // most rows that abreast computes whatever they have
	abreastRows = 16  // most rows that it computes if they have few elements
	abreastSize = 256 // which is so many in all

	severalBytes = 28 << 10 // most bytes of columns that several takes at a time

	severalSize = 192 // least elements of more than abreastFew rows that are for several, if unpacked has not so many outputs

	unpackedFew   = 4   // most rows that unpacked computes whatever they have
	unpackedSize  = 512 // most elements of more rows
	unpackedMore  = 9   // most rows that it computes if they have twice as many, with long vectors
	unpackedTerms = 32  // least terms for which two rows will do for three outputs

	narrowBothWide    = 5       // most half vectors of outputs for which narrowBoth pays, fewer if its own are not filled
	narrowBothCols    = 4       // least outputs for which it does whatever x is like
	narrowBothRows    = 64      // most rows of x for which it does for fewer outputs
	narrowBothVectors = 1 << 10 // most vectors of x for which it does for fewer outputs
	narrowBothCrowd   = 30      // most bytes of a column that fall into the same set of the cache, for each output
	narrowBothMany    = 8       // outputs above which it counts what part of a vector other kernels leave empty

	// least rows of x for which it pays to go on from what dw holds, if a row of that is longer
	// than narrowBothBytes, or without dx than narrowBothAlone
	narrowBothAdd   = 16
	narrowBothBytes = 40
	narrowBothAlone = 32
)

// forwardSeveral lets one row stand for a whole tile of rows only in severalPieces. So a
// layer that is sent to it whatever its rows (x.Cols > maxLong with one output; > maxRun with
// several, in groups of at least two, as every severalRows goes up to three outputs or more)
// must exceed severalBytes.
const (
	_ = uint(4*maxLong - severalBytes)  // one output of float32
	_ = uint(2*4*maxRun - severalBytes) // two
)

// forwardNarrow takes the outputs together if it can, else one by one, each with
// its column of w tight.
func (t *tiles[T]) forwardNarrow(y, x, w *Mat[T], b []T, act Activation) {
	if y.Cols > 1 && t.forwardTogether(y, x, w, b, act) {
		return
	}
	if x.Cols > maxLong {
		t.forwardSeveral(y, x, w, b, act)
		return
	}
	kernel := t.narrow
	if h := t.half; h != nil && (x.Cols <= shortRow && (x.Cols <= h.lanes || y.Rows < shortRows || t.halved) ||
		x.Cols <= shortTerms && h.lanes <= y.Rows && y.Rows < t.lanes && t.moreLanes()) {
		kernel = h.narrow // a longer vector, or a square of them, would be half empty
	}
	columns := w.at(0, 0)
	if w.Stride > 1 && !w.empty() {
		s := t.scratch.Get().(*scratch[T])
		defer t.scratch.Put(s)
		packed := s.grow(w.Rows*w.Cols + t.lanes)
		t.packTransposed(&packed[0], uintptr(w.Rows)*size[T](), w, 0, w.Rows, 0, w.Cols)
		columns = &packed[0]
	}
	for j := range y.Cols {
		bias := biasAt(b, j)
		wj := plus(columns, uintptr(j*w.Rows)*size[T]())
		tall := min(maxWork/4/(x.Cols+chains), maxRun)
		for i := 0; i < y.Rows; i += tall {
			kernel(y.at(i, j), y.pitch(), x.at(i, 0), x.pitch(), wj, bias, min(tall, y.Rows-i), x.Cols, int(act))
		}
	}
}

// forwardTogether is forwardNarrow for more than one output, if there is a kernel
// that is best at computing them together.
func (t *tiles[T]) forwardTogether(y, x, w *Mat[T], b []T, act Activation) bool {
	switch {
	case t.treePays(y, x):
		t.forwardTree(y, x, w, b, act)
	case t.treesPay(y, x):
		t.forwardFew(t.trees, y, x, w, b, act)
	case t.unpackedPays(y, x):
		t.forwardFew(t.unpacked, y, x, w, b, act)
	case t.abreastPays(y, x):
		t.forwardFew(t.abreast, y, x, w, b, act)
	default:
		s := t.forSeveral(y, x)
		if s == nil {
			return false
		}
		s.forwardSeveral(y, x, w, b, act)
	}
	return true
}

// treesPay reports whether trees can compute a narrow layer that is not for tree and is best
// for it: for some rows, but not so many that it pays to copy w.
func (t *tiles[T]) treesPay(y, x *Mat[T]) bool {
	if y.Cols < treesFrom || y.Cols > t.treeCols || y.Rows == 1 || x.Cols <= chains {
		return false
	}
	most := (treesSize*y.Cols - treesLess) * int(size[T]())
	if y.Cols == t.lanes {
		most *= treesFull
	}
	return y.Rows*x.Cols <= most
}

// unpackedPays reports whether unpacked can compute a narrow layer and is best for it.
func (t *tiles[T]) unpackedPays(y, x *Mat[T]) bool {
	rows, elements := y.Rows, y.Rows*x.Cols
	switch {
	case y.Cols > t.unpackedCols, x.Cols <= chains, x.Cols > maxRun, rows == 1, rows < y.Cols && x.Cols < unpackedTerms:
		return false
	case rows <= unpackedFew:
		return true
	}
	return rows >= 2*y.Cols-1 && (elements <= unpackedSize || rows <= unpackedMore && elements <= 2*unpackedSize && t.longVectors())
}

// abreastPays reports whether abreast is best for a narrow layer that is for neither
// trees nor unpacked: for few rows, and some more of few elements, fewer if several can take all
// outputs together.
func (t *tiles[T]) abreastPays(y, x *Mat[T]) bool {
	rows, elements := y.Rows, y.Rows*x.Cols
	several := rows > 1 && x.Cols > chains && t.unpackedCols < y.Cols && y.Cols < len(t.severalRows)
	if x.Cols > maxRun {
		return false
	}
	if rows <= abreastFew {
		return !several || elements <= abreastSize
	}
	return rows <= abreastRows && elements <= abreastSize && (!several || elements < severalSize)
}

// forwardFew computes few rows of a narrow layer by trees, abreast or unpacked, all
// outputs of a row together.
func (t *tiles[T]) forwardFew(kernel func(*T, uintptr, *T, uintptr, *T, uintptr, *T, int, int, int, int), y, x, w *Mat[T], b []T, act Activation) {
	for j := 0; j < y.Cols; j += 2 * t.lanes {
		bias := biasAt(b, j)
		kernel(y.at(0, j), y.pitch(), x.at(0, 0), x.pitch(), w.at(0, j), w.pitch(), bias,
			y.Rows, min(2*t.lanes, y.Cols-j), x.Cols, int(act))
	}
}

// treePays reports whether tree can compute a narrow layer and is best for it.
func (t *tiles[T]) treePays(y, x *Mat[T]) bool {
	few := y.Rows < treeRows
	switch {
	case x.Cols == 0, x.Cols > t.treeTerms, y.Cols > t.treeCols && y.Rows <= abreastFew:
		return false
	case few && x.Cols <= chains:
		return true
	}
	passes, turns := (y.Cols+t.treeCols-1)/t.treeCols, max(treeTurns, chains/t.treeCols)
	if x.Cols > chains && (few || t.lanes < chains) {
		turns = treeMore
	}
	most := turns * y.Cols
	if !t.longVectors() {
		most -= treeShort
	}
	return passes*x.Cols <= most
}

// forwardTree computes a narrow layer of few inputs.
func (t *tiles[T]) forwardTree(y, x, w *Mat[T], b []T, act Activation) {
	for i := 0; i < y.Rows; i += maxRows {
		for j := 0; j < y.Cols; j += t.treeCols {
			bias := biasAt(b, j)
			t.tree(y.at(i, j), y.pitch(), x.at(i, 0), x.pitch(), w.at(0, j), w.pitch(), bias,
				min(maxRows, y.Rows-i), min(t.treeCols, y.Cols-j), x.Cols, int(act))
		}
	}
}

// narrowBothFor returns the tiles whose kernel narrowBoth is best for a layer, or
// nil. It takes few columns of x and dx at a time: the more of their rows fall into
// the same set of the cache, the more outputs there must be to do meanwhile. If they drift
// from set to set so slowly that with those of dx they are too many, it is best for dw
// alone, or for none. Few rows of dw without dx are left to grad, which makes db, too.
func (t *tiles[T]) narrowBothFor(dx, dw, x *Mat[T], add bool) (best *tiles[T], alone bool) {
	f, least := t.atMost(dw.Rows), 1
	if s := t.filledBy(dw.Rows); s != nil && s.lanes <= dw.Rows && dw.Cols >= narrowBothCols {
		f = s
	}
	// A part of a vector is one pass where short ones are two, but dw alone has better ways
	// to be made for many outputs.
	if s := t.atLeast(dw.Rows); s.narrowBothParts && dw.Rows > 2 && (f == nil || dw.Rows%f.lanes > 0) &&
		(!dx.empty() || dw.Rows > t.gradRows && dw.Cols <= dw.Rows+1) {
		f = s
	}
	short := narrowBothBytes
	if dx.empty() {
		short = narrowBothAlone
	}
	if add && dw.Cols*int(size[T]()) > short {
		least = narrowBothAdd
	}
	sixths := 3 * narrowBothWide // most outputs, in sixths of a vector; narrowBothWide is in halves
	crowd := narrowBothCrowd * max(3, dw.Cols)
	if f != nil && f != t && x.Rows > narrowBothRows && dw.Rows%f.lanes != 0 {
		// Other kernels have longer vectors, and it leaves lanes empty or computes some twice.
		sixths = 2 * narrowBothWide
	}
	if f != nil && dw.Cols > narrowBothMany && dw.Cols%f.lanes != 0 {
		crowd += crowd / 2 // others leave a part of one empty
	}
	if f != nil && dw.Cols > narrowBothCols && f.vectorBytes() == line && setPitch(x.pitch(), driftStrip) < 2048 {
		crowd *= 2 // it takes whole lines, and has four sets or more for them
	}
	switch {
	case f == nil, dw.Cols <= 1, dw.Cols > f.narrowBothCols, x.Rows < least,
		dx.empty() && dw.Rows <= t.gradRows,
		// outputs, times what inputs that fill no vector cost
		6*dw.Cols*f.padded(dw.Rows) > sixths*f.lanes*dw.Rows,
		x.perSet(0)*int(size[T]()) > crowd,
		dw.Cols < narrowBothCols && x.Rows > narrowBothRows && x.Rows*x.Cols > narrowBothVectors*f.lanes:
		return nil, false
	}
	switch drifting := x.perSet(driftStrip); {
	case drifting == x.perSet(0), 2*drifting*int(size[T]()) <= crowd:
		return f, false
	case x.Rows > narrowBothRows && (dw.Cols <= narrowBothCols || !add && !dx.empty()):
		return nil, false
	}
	return f, true
}

// backwardNarrow is backward for a layer with few outputs.
func (t *tiles[T]) backwardNarrow(dx, dw *Mat[T], db []T, dy, y, x, w *Mat[T], act Activation, add bool) {
	var p product[T]
	p.c, p.add = *dw, add
	for i := 0; i < dy.Rows; i += maxRows {
		p.n = min(maxRows, dy.Rows-i)
		t.gradPanel(&p, db, dy, y, i, 0, 0, act)
		if p.add && !t.narrowBothParts {
			t.narrowOn(dx, dw, dy, x, w, i, p.n)
		} else {
			t.narrowPiece(dx, dw, dy, x, w, i, p.n, nil, p.add)
		}
		p.add = true
	}
}

// narrowOn is narrowPiece where the sums of dw go on.
func (t *tiles[T]) narrowOn(dx, dw, dz, x, w *Mat[T], i, n int) {
	s := t.scratch.Get().(*scratch[T])
	defer t.scratch.Put(s)
	held := Mat[T]{t.lanes, dw.Cols, s.line[:t.lanes*dw.Cols], dw.Cols}
	switch first := dw.Rows - t.lanes; {
	case t.whole(dw.Rows) == dw.Rows:
	case dw.tight():
		copy(held.Data, dw.Data[first*dw.Cols:])
	default:
		for k := range held.Rows {
			copy(held.Row(k), dw.Row(first+k))
		}
	}
	t.narrowPiece(dx, dw, dz, x, w, i, n, &held, true)
}

// narrowPiece computes dx of rows i to i+n-1 of a layer with few outputs, and dw of
// these, or what they add to it. The last inputs are perhaps computed twice: then
// held is what dw held of them, if they add.
func (t *tiles[T]) narrowPiece(dx, dw, dz, x, w *Mat[T], i, n int, held *Mat[T], add bool) {
	whole := t.whole(dw.Rows)
	if t.narrowBothParts {
		whole = dw.Rows
	}
	each := whole
	if 2*whole*dw.Cols*(n+8) > maxWork || whole > maxRun {
		each = max(t.whole(min(maxWork/2/dw.Cols/(n+8), maxRun)), t.lanes)
	}
	for k, rows := 0, 0; k < dw.Rows; k += rows {
		rows = min(each, whole-k)
		init, ldinit := (*T)(nil), uintptr(0)
		if add {
			init, ldinit = dw.at(k, 0), dw.pitch()
		}
		if rows <= 0 {
			k, rows = dw.Rows-t.lanes, t.lanes
			if held != nil {
				init, ldinit = held.at(0, 0), held.pitch()
			}
		}
		t.narrowBoth(dx.at(i, k), dx.pitch(), dw.at(k, 0), dw.pitch(), init, ldinit, dz.at(i, 0), dz.pitch(),
			x.at(i, k), x.pitch(), w.at(k, 0), w.pitch(), rows, dw.Cols, n)
	}
}

// forSeveral returns the widest tiles that can have several compute a layer, or
// nil: it takes rows together and the outputs in groups. Where no kernel can do without
// it, a row may take the place of several.
func (t *tiles[T]) forSeveral(y, x *Mat[T]) *tiles[T] {
	if x.Cols <= chains {
		return nil
	}
	for s := t; s != nil; s = s.half {
		most := len(s.severalRows) - 1
		if y.Rows >= s.severalRows[y.Cols/((y.Cols+most-1)/most)] {
			return s
		}
	}
	if x.Cols > maxRun {
		return t
	}
	return nil
}

// forwardSeveral computes several outputs together, of many rows, in groups whose
// columns of w are copied. The last rows are perhaps computed twice.
func (t *tiles[T]) forwardSeveral(y, x, w *Mat[T], b []T, act Activation) {
	s := t.scratch.Get().(*scratch[T])
	most := len(t.severalRows) - 1
	for j, cols := 0, 0; j < y.Cols; j += cols {
		cols = even(y.Cols-j, most)
		bias := biasAt(b, j)
		if cols*x.Cols*int(size[T]()) > severalBytes {
			least := t.severalRows[cols]
			if y.Rows >= least {
				t.severalPieces(s, y, x, w, bias, j, cols, act)
				continue
			}
			for i := range y.Rows { // each in the place of as many as there must be
				yi, xi := Mat[T]{least, y.Cols, y.Data[i*y.Stride:], 0}, Mat[T]{least, x.Cols, x.Data[i*x.Stride:], 0}
				t.severalPieces(s, &yi, &xi, w, bias, j, cols, act)
			}
			continue
		}
		wt := s.forTranspose(cols, (x.Cols+chains-1)/chains*chains, 0)
		t.packColumns(wt.at(0, 0), wt.pitch(), w.at(0, j), w.pitch(), x.Cols, cols)
		tall := y.Rows
		if tall*cols*(x.Cols+chains) > maxWork/2 {
			tall = max(maxWork/2/cols/(x.Cols+chains), t.severalRows[cols])
		}
		for i := 0; i < y.Rows; i += tall {
			rows := min(tall, y.Rows-i)
			if rows < t.severalRows[cols] {
				rows = t.severalRows[cols]
				i = y.Rows - rows
			}
			t.several(y.at(i, j), y.pitch(), x.at(i, 0), x.pitch(), wt.at(0, 0), wt.pitch(), bias, nil, rows, cols, x.Cols, int(act))
		}
	}
	t.scratch.Put(s)
}

// severalPieces computes columns j to j+cols-1 of y where those of w are more than the
// first-level cache holds: a block of rows meets one piece of them after the other,
// and the chains rest in s meanwhile.
func (t *tiles[T]) severalPieces(s *scratch[T], y, x, w *Mat[T], bias *T, j, cols int, act Activation) {
	least := t.severalRows[cols]
	terms := min(severalBytes/int(size[T]())/cols, maxRun-chains) / chains * chains
	wt := s.forTranspose(cols, terms+chains, 0)
	each := max(min(maxWork/2/cols, maxBytes/int(size[T]()))/(wt.Cols+chains)/least, 1) * least
	block := blockBytes / int(size[T]()) / (cols * chains) / least * least
	lane := grow(&s.left, block*cols*chains)
	for i, rows := 0, 0; i < y.Rows; i += rows {
		rows = min(block, y.Rows-i)
		if rows < least {
			i, rows = y.Rows-least, least
		}
		init := bias
		for k, n := 0, 0; k < x.Cols; k += n {
			if n = terms; x.Cols-k < terms+chains {
				n = x.Cols - k
			}
			columns := w.at(k, j)
			if w.Stride > 1 {
				columns = wt.at(0, 0)
				t.packColumns(columns, wt.pitch(), w.at(k, j), w.pitch(), n, cols)
			}
			for first := 0; first < rows; first += each {
				r, count := i+first, min(each, rows-first)
				if count < least {
					r, count = i+rows-least, least
				}
				c, ldc := (*T)(nil), uintptr(0)
				if k+n == x.Cols {
					c, ldc = y.at(r, j), y.pitch()
				}
				t.several(c, ldc, x.at(r, k), x.pitch(), columns, wt.pitch(), init, &lane[first*cols*chains], count, cols, n, int(act))
			}
			init = nil
		}
	}
}

// packColumns copies some rows of few columns, at least as many as a vector has lanes,
// column after column to dst, ldd bytes apart. The last rows are perhaps copied twice.
func (t *tiles[T]) packColumns(dst *T, ldd uintptr, w *T, ldw uintptr, rows, cols int) {
	whole := t.whole(rows)
	t.columns(dst, ldd, w, ldw, whole, cols)
	if k := rows - t.lanes; whole < rows {
		t.columns(plus(dst, uintptr(k)*size[T]()), ldd, plus(w, uintptr(k)*ldw), ldw, t.lanes, cols)
	}
}
