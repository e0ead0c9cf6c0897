//go:build (amd64 || arm64) && !purego && !noasm

package kernels

import (
	"math/bits"
	"unsafe"
)

const (
	smallRows  = 32      // most rows of a product that is done without blocks, by one call for each panel
	smallSteps = 1 << 14 // most rows times terms of it if there is one panel
	smallTerms = 320     // most terms of such a product, or of one that a single call of sweep does
	sweepSteps = 1 << 10 // most rows times terms for which more columns than a panel's are for sweep
	sweptRows  = 48      // most rows of which the last are for sweep where rows of w crowd the cache
	thinTall   = 6       // least rows of more columns than two panels have that are for thin
	thinFew    = 2       // most terms that are for thin whatever the rows, if more than sweep takes at a time
	thinCrowd  = 24      // most rows of so few terms that fall into the same set of the cache
	flatRows   = 24      // least rows that are worth flat

	// least periods, of turns rows each, for a row of a vector or more, and for the last of
	// several calls
	flatTurns = 16

	tallFew = 12 // most columns for which tall is best for few terms, or in halved vectors

	// tall pays if (columns+2)·(rows rounded up to whole vectors) ≤ worth·rows, where worth is
	tallShort = 14 // in vectors shorter than a cache line; else
	tallWorth = 15 // for up to tallFew columns,
	tallOne   = 18 // for more that are less than a vector,
	tallMany  = 25 // for still more
)

func (t *tiles[T]) forward(y, x, w *Mat[T], b []T, act Activation) {
	if y.Cols < narrow && x.Cols != 1 { // of one term, a chain is all there is
		t.forwardNarrow(y, x, w, b, act)
		return
	}
	if x.Cols == 1 && y.Rows >= flatRows && t.forwardFlat(y, x, w, b, act) {
		return
	}
	if t.tallFor(y, x) {
		t.forwardTall(y, x, w, b, act)
		return
	}
	use := t
	if s := t.atLeast(y.Cols); x.Cols <= s.thinTerms || t.thinTerms < x.Cols {
		use = s // the longest vectors are best for thin, if the shorter ones have none for so many terms
	}
	if y.Rows == 1 && w.pitch()%line != 0 && w.bytes() <= cached && use.halved && y.Cols <= 2*use.half.wideCols {
		use = use.half // to load what lies across two lines takes a long vector more than two short ones
	}
	if use.thinPays(y, x) {
		use.thinRows(y, b, x.at(0, 0), x.pitch(), size[T](), w, act)
		return
	}
	// A product of one panel of columns is for panel, unless it has one or two rows, w comes
	// from memory, or its tiles are full and done after few terms.
	far, along := w.far(), w.sameSets(0) && use.goesAlong(w)
	full := y.Cols == use.panelCols && use.panelRows <= y.Rows && x.Cols <= sweepTerms && use.longVectors()
	onePanel := y.Rows > 2 && y.Cols <= use.panelCols && !far && !full
	sweep := !onePanel && (y.Rows <= sweepTall || use.sweepPays(y.Rows, w, far, along))
	if onePanel && y.Rows <= smallRows && y.Rows*x.Cols <= smallSteps ||
		sweep && !along && y.Rows*y.Cols <= 4*use.wideCols && x.Cols <= smallTerms {
		use.forwardAtOnce(y, x, w, b, act, sweep)
		return
	}
	// Where rows of w crowd the cache, each tile takes them from further off: the last
	// rows are better for sweep than for another tile, but with long vectors only if all
	// rows of w fall into one set.
	swept := y.Rows % use.panelRows
	switch {
	case sweep:
		swept = y.Rows
	case swept > 2, y.Rows > sweptRows, !crowds(w.pitch(), 0, x.Cols), use.longVectors() && !w.sameSets(0):
		swept = 0
	}
	var p product[T]
	p.c, p.bias, p.act = *y, b, act
	p.left(x)
	use.multiply(&p, 0, y.Rows-swept, w, false)
	use.sweepRows(&p, y.Rows-swept, y.Rows, w, 0)
}

// thinPays reports whether thin can compute y and is best for it. Of more than two panels of
// columns there must be thinTall rows that do not crowd the cache.
func (t *tiles[T]) thinPays(y, x *Mat[T]) bool {
	few := x.Cols <= thinFew
	switch {
	case x.Cols == 0, x.Cols > t.thinTerms, !few && y.Rows < x.Cols, !t.halved && y.Rows <= sweepTall:
		return false
	case y.Cols <= 2*t.panelCols:
		return true
	}
	drift := t.panelDrift()
	return y.Rows >= thinTall && !y.sameSets(drift) && (!few || y.perSet(drift) <= thinCrowd)
}

// sweepPays reports whether a forward pass of more than sweepTall rows, and of more columns
// than a panel has or as many where panel is not best, is for sweep. It is if there are few
// terms, or w is small: sweep takes each row of w once for a few rows of y. If w comes from
// memory it is for more rows, since sweep reads several rows of w along while panel goes down
// them; the more the rows of w crowd the cache, the more rows of y.
func (t *tiles[T]) sweepPays(rows int, w *Mat[T], far, along bool) bool {
	switch {
	case w.Rows <= sweepTerms/2 || w.bytes() < t.sweepBytes/4*3 && (w.Rows <= sweepTerms || rows*w.Rows <= sweepSteps):
		return true
	case !far:
		return along && rows <= moreRows
	case w.sameSets(0):
		return rows <= mostRows
	}
	return rows <= moreRows
}

// tallFor reports whether tall can have the columns of y, and is best for it: not if they
// fill a vector.
func (t *tiles[T]) tallFor(y, x *Mat[T]) bool {
	return t.tallLeast <= y.Cols && y.Cols <= t.tallMost && y.Cols != t.lanes && t.lanes <= y.Rows && t.tallPays(y, x)
}

// tallPays reports whether tall is best for y, which it can have: the rows, a vector of
// them at least, must all but fill vectors, the more so the more columns there are, and
// those that it takes at a time not crowd the cache.
func (t *tiles[T]) tallPays(y, x *Mat[T]) bool {
	worth, from := tallWorth, t.tallFrom
	switch {
	case t.vectorBytes() < line:
		worth = tallShort
	case y.Cols <= tallFew:
	case !t.longVectors():
		return false
	case y.Cols < t.lanes:
		worth, from = tallOne, 2*from
	default:
		worth, from = tallMany, 4*from
	}
	return t.padded(y.Rows)*(y.Cols+2) <= worth*y.Rows &&
		from <= x.Cols && x.Cols <= maxRun && !crowds(x.pitch(), 0, t.lanes)
}

// forwardTall is forward by tall. The last rows are perhaps computed twice.
func (t *tiles[T]) forwardTall(y, x, w *Mat[T], b []T, act Activation) {
	bias := biasAt(b, 0)
	tall := max(t.whole(maxWork/y.Cols/x.Cols), t.lanes)
	for i, rows := 0, 0; i < y.Rows; i += rows {
		if i+t.lanes > y.Rows {
			i = y.Rows - t.lanes
		}
		rows = t.whole(min(tall, y.Rows-i))
		t.tall(y.at(i, 0), y.pitch(), bias, x.at(i, 0), x.pitch(), w.at(0, 0), w.pitch(),
			rows, y.Cols, x.Cols, int(act), uintptr(t.tallTerms)*w.pitch())
	}
}

// forwardAtOnce is forward for a product that a single call, of sweep or panel, can do.
func (t *tiles[T]) forwardAtOnce(y, x, w *Mat[T], b []T, act Activation, sweep bool) {
	c, init := y.at(0, 0), biasAt(b, 0)
	if sweep {
		if b == nil {
			init = nil
		}
		t.sweep(c, y.pitch(), init, 0, x.at(0, 0), x.pitch(), size[T](), w.at(0, 0), w.pitch(),
			y.Rows, y.Cols, x.Cols, int(act))
		return
	}
	then := uintptr(unsafe.Pointer(c))
	t.panel(c, y.pitch(), init, 0, x.at(0, 0), x.pitch(), size[T](), w.at(0, 0), w.pitch(),
		then, 0, then, y.Rows, y.Cols, x.Cols, int(act))
}

// thinRows computes c, a product whose right factor has so few rows that thin can
// have them. The left one's elements lie lda and stepa bytes apart.
func (t *tiles[T]) thinRows(c *Mat[T], b []T, a *T, lda, stepa uintptr, right *Mat[T], act Activation) {
	for j := 0; j < c.Cols; j += t.panelCols {
		bias := biasAt(b, j)
		for i := 0; i < c.Rows; i += maxRows {
			t.thin(c.at(i, j), c.pitch(), bias, plus(a, uintptr(i)*lda), lda, stepa, right.at(0, j), right.pitch(),
				min(maxRows, c.Rows-i), min(t.panelCols, c.Cols-j), right.Rows, int(act))
		}
	}
}

// forwardFlat is forward for layers with one input and few outputs, if the rows
// of y lie tight and are many enough, and are not half or whole vectors, which
// straddle no cache lines.
func (t *tiles[T]) forwardFlat(y, x, w *Mat[T], b []T, act Activation) bool {
	common := bits.TrailingZeros(uint(y.Cols))
	period, turns := y.Cols>>common, t.lanes>>common
	if turns <= 1 || turns == 2 && period > 1 || period > t.flatPeriod || y.Cols > t.panelCols || !y.tight() || !x.tight() {
		return false
	}
	// What flat puts into y first must fit, and if a row is a vector or more, it must pay.
	if y.Rows*y.Cols < 3*(period+1)*t.lanes || y.Cols >= t.lanes && y.Rows < flatTurns*turns {
		return false
	}
	bias := biasAt(b, 0)
	for i, rows := 0, 0; i < y.Rows; i += rows {
		rows = min(maxRows, y.Rows-i)
		if i+rows < y.Rows && y.Rows-i-rows < flatTurns*turns {
			rows -= flatTurns * turns // for the next time
		}
		t.flat(y.at(i, 0), bias, x.at(i, 0), w.at(0, 0), rows, y.Cols, period, turns, int(act))
	}
	return true
}
