//go:build (amd64 || arm64) && !purego && !noasm

package kernels

import "unsafe"

const (
	stripRows     = 16       // rows of dw that strips computes at a time, as in asm
	inputTwice    = 8        // most rows of dx that count for each pass of input over w, where several pay
	inputThrice   = 16       // most terms for which three passes pay
	inputChains   = 4        // most rows of dx whose chains wait for each other
	inputLines    = 32       // most rows of squares that input takes at a time
	gateLines     = 9        // lines that gate goes through at once
	aroundLines   = 8        // least lines of a run for gateAround
	gradPitch     = 1 << 11  // half a page: rows of dz that are about a multiple of it apart are in each other's way
	gradTerms     = 16       // least rows of dz for which grad pays for many outputs, if it computes all of dw
	gradShare     = 4        // most rows of dw, times its own, for which grad pays for more than sweepTerms rows of dz
	crowdedTerms  = 10       // most rows of dz for which whole rows of dw are best where those of a panel crowd the cache
	smallWeights  = 1 << 12  // most elements of dw that are computed at once
	fewInputs     = 8        // most rows of a wide dw that go along dz for every piece of it
	fewBytes      = 12 << 10 // most bytes of such a dw if it has more than fewInputs/2 rows
	fewTermsRows  = 5        // least rows of dw for which rows of dz that are few are best made first
	fewTermsCols  = 8        // least columns of dw for which they are
	fewTermsAny   = 8        // most rows of dz for which they are if columns leave vectors empty,
	fewTermsShort = 4        // or vectors are short
	columnBytes   = 1536     // least bytes of dw of one output for which its inputs are taken together, half as many without dx
	tallAbove     = 48       // rows of dx above which tall is best for it whatever the vectors

	gradBothFew   = 32       // most columns of few rows that are for gradBoth, whatever its vectors
	gradBothMost  = 80 << 10 // most bytes of columns at all, of which a call can take a few rows
	gradBothLines = 16       // lines of dz that it goes through at once
	gradBothMany  = 48       // most rows of dz of which it takes up to 1½ times the columns it holds, or a part beside few vectors

	bothInputs  = 24  // most columns of dx for both; of float64 half as many, if it has several rows
	bothSide    = 3   // most rows for both, or columns for bothTurned, as in asm
	bothOutputs = 8   // least outputs for either, or for dots
	bothBytes   = 128 // most bytes of dx for bothTurned
	bothLong    = 64  // least outputs for which dx and dw apart are best, if both would not fill its vectors
	bothVector  = 32  // which have so many bytes at least
	apartInputs = 8   // most inputs of which dx and dw are not best apart

	turnedLong = 64 // least outputs for which turned pays fully for more columns than it takes at a time
	turnedMany = 48 // rows of dx above which a product packs for many, and turned must be much less

	transposedTerms = 32      // least rows of dz for which the transpose of a narrow dw pays,
	transposedSlim  = 8       // if it has fewer columns
	transposedFew   = 16      // most terms of a wide dx for which it is best to sweep over the transpose of w
	transposedFrom  = 7       // least rows of dx for which its transpose pays
	transposedMany  = 48      // most rows for which it does,
	transposedMost  = 16      // and if w is not much larger than what is to be transposed
	transposedSize  = 1 << 12 // least weights for which it does
	transposedLeast = 1 << 10 // least weights for which it does where columns would leave vectors empty
	transposedCols  = 24      // least columns for which it does if input computes the rows at once
)

// A call of gradBoth has room for a row of dy and one of y beside db and, for two inputs,
// the rows of w and dw.
const _ = uint(maxBytes/gradBothMost - (2*2 + 1) - 2)

// backward has one kernel make several of the gradients where one is best, and otherwise
// each for itself.
func (t *tiles[T]) backward(dx, dw *Mat[T], db []T, dy, y, x, w *Mat[T], act Activation, add bool) {
	if dw.Cols == 1 && dw.Rows > 0 {
		t.backwardColumn(dx, dw, db, dy, y, x, w, act, add)
		return
	}
	if s := t.gradBothFor(dx, dw, dy); s != nil {
		s.backwardInOne(dx, dw, db, dy, y, x, w, act, add)
		return
	}
	if dx.empty() && dw.Rows <= t.gradRows && 0 < dw.Cols && dw.Cols <= t.panelCols && dy.Rows <= maxFold {
		var p product[T] // one call of grad
		p.c, p.add = *dw, add
		p.leftTransposed(x)
		t.gradPanel(&p, db, dy, y, 0, 0, dw.Rows, act)
		return
	}
	if !add && !dx.empty() && !t.apart(dw, dy.Rows) {
		if fewForBoth(dw, dy.Rows) && t.backwardBoth(dx, dw, db, dy, y, x, w, act) {
			return
		}
		if s := t.atMost(dw.Cols); s != nil && s.inStrips(dw, w, dy.Rows) {
			s.backwardStrips(dx, dw, db, dy, y, x, w, act)
			return
		}
	}
	if s, alone := t.narrowBothFor(dx, dw, x, add); s != nil && (add || dy.Rows > t.thinTerms || !t.thinFirst(dx, dw, dy.Rows)) {
		if alone {
			s.backwardNarrow(new(Mat[T]), dw, db, dy, y, x, w, act, add)
			t.backwardInputs(dx, dy, w)
			return
		}
		s.backwardNarrow(dx, dw, db, dy, y, x, w, act, add)
		return
	}
	t.backwardApart(dx, dw, db, dy, y, x, w, act, add)
}

// backwardApart makes dz and db, then dw, then dx.
func (t *tiles[T]) backwardApart(dx, dw *Mat[T], db []T, dy, y, x, w *Mat[T], act Activation, add bool) {
	// together: grad makes dz, db and the first rows of dw, a panel of columns at a time, as
	// it does if there is one panel. Otherwise, for many outputs or few rows of dz, gateAll
	// makes dz and db first. Then come the other rows of dw.
	together := (dw.Rows <= t.gradRows && dy.Rows >= gradTerms || dw.Rows <= gradShare*t.gradRows && dy.Rows > sweepTerms) &&
		!nearHalfPages(dy.pitch())
	few := !add && !together && t.fewTerms(dw, dy.Rows)
	many := dw.Cols > t.panelCols && !together || few
	if many {
		if !add {
			clear(db)
		}
		atOnce := weightsAtOnce(dw, dy)
		thin := !add && (atOnce || few) && dy.Rows <= t.thinTerms && dw.Rows >= t.thinFrom
		if atOnce || thin {
			t.gateAll(db, dy, y, 0, dy.Rows, act)
			if thin {
				t.thinRows(dw, nil, x.at(0, 0), size[T](), x.pitch(), dy, Identity)
			} else {
				init, ldinit := (*T)(nil), uintptr(0)
				if add {
					init, ldinit = dw.at(0, 0), dw.pitch()
				}
				t.sweep(dw.at(0, 0), dw.pitch(), init, ldinit, x.at(0, 0), size[T](), x.pitch(), dy.at(0, 0), dy.pitch(), dw.Rows, dw.Cols, dy.Rows, int(Identity))
			}
			t.backwardInputs(dx, dy, w)
			return
		}
	}
	transposed := dw.Cols < min(transposedSlim, t.lanes) && dw.Rows >= 2*t.lanes && dw.Rows*dw.Cols <= maxTransposed && dy.Rows >= transposedTerms
	first := 0
	if !many && !transposed {
		first = min(t.gradRows, dw.Rows)
	}
	var p product[T]
	p.c, p.add = *dw, add
	p.leftTransposed(x)
	sweep := many && t.rowsOfWeights(dw, dy) || dw.Cols > t.panelCols && (dw.Rows <= fewInputs/2 || dw.Rows <= fewInputs && dw.bytes() <= fewBytes)
	fold := even(p.n, maxFold)
	if sweep {
		// What is read of dz is to be in the first-level cache still.
		fold = even(p.n, max(16, min(maxFold, cached/int(size[T]())/dw.Cols)))
	}
	var part product[T]
	for i := 0; i == 0 || i < p.n; i += fold {
		q := p.piece(&part, i, fold)
		if many {
			t.gateAll(db, dy, y, i, i+q.n, act)
		} else {
			for j := 0; j < dw.Cols; j += t.panelCols {
				t.gradPanel(q, db, dy, y, i, j, first, act)
			}
		}
		if sweep {
			t.sweepRows(q, first, dw.Rows, dy, i)
		}
	}
	switch {
	case transposed:
		t.transposedWeights(dw, dy, x, add)
	case !sweep:
		t.multiply(&p, first, dw.Rows, dy, false)
	}
	t.backwardInputs(dx, dy, w)
}

// nearHalfPages reports whether rows are less than a line from a multiple of half a page apart:
// a load of one then waits for a store to another, since of addresses a processor compares the
// lower bits first.
func nearHalfPages(pitch uintptr) bool { return pitch >= line && (pitch+line-1)%gradPitch < 2*line-1 }

// fewForBoth reports whether a layer has so few rows or inputs, and outputs enough, that both,
// bothTurned or dots may be best.
func fewForBoth[T Float](dw *Mat[T], rows int) bool {
	inputs := dw.Rows <= bothInputs && (rows == 1 || dw.Rows*int(size[T]()) <= 4*bothInputs)
	return inputs && min(rows, dw.Rows) <= bothSide && dw.Cols >= bothOutputs
}

// fewTerms reports whether dw of no more columns than a panel has is the sum of so few
// rows of dz that these are best made first, as for many columns.
func (t *tiles[T]) fewTerms(dw *Mat[T], terms int) bool {
	return 0 < terms && terms <= sweepTerms && dw.Rows >= fewTermsRows && fewTermsCols <= dw.Cols && dw.Cols <= t.panelCols &&
		(terms <= fewTermsShort || t.longVectors() && (terms <= fewTermsAny || dw.Cols%t.lanes == 0))
}

// thinFirst reports whether the sum of few rows of dz is better for dw than narrowBoth is
// for both gradients, or for dw alone.
func (t *tiles[T]) thinFirst(dx, dw *Mat[T], terms int) bool {
	double := t.longVectors() && t.eightLanes()
	switch {
	case !t.fewTerms(dw, terms):
		return false
	case dx.empty():
		return terms <= fewTermsShort || double && terms <= t.thinTerms
	}
	return double && bothSide <= terms && terms <= fewTermsShort
}

// apart reports whether dw, of more than a few rows, and dx are best made one after the
// other where one pass over w might do both.
func (t *tiles[T]) apart(dw *Mat[T], rows int) bool {
	switch {
	case rows > t.stripsRows, dw.Rows <= apartInputs:
		return false
	case rows == 2 && t.eightLanes() && t.vectorBytes() < line: // strips have too few registers, and dw is small
		return bothInputs < dw.Rows && t.panelCols < dw.Cols && dw.Rows*dw.Cols <= smallWeights
	case rows == 2 || !t.longVectors():
		return false
	case rows == 1: // its strips would overlap
		return t.moreLanes() && stripRows < dw.Rows && dw.Rows <= bothInputs && dw.Cols >= bothLong
	case !t.fewTerms(dw, rows):
		return false
	case rows <= bothSide && dw.Rows <= bothInputs: // rows that are made first fill vectors better
		return t.moreLanes() && dw.Rows != stripRows && dw.Cols >= 2*t.lanes
	}
	return dw.Rows > stripRows && (rows > 3 || dw.Cols%t.lanes > 0)
}

// rowsOfWeights reports whether dw, a sum of few rows of dz, is best computed a few of its
// rows at a time, and not panel by panel: what these read of dz is near enough, or they
// would write dw to memory in pieces or to lines that crowd the cache.
func (t *tiles[T]) rowsOfWeights(dw, dz *Mat[T]) bool {
	return dz.Rows <= sweepTerms && dz.bytes() < t.sweepBytes ||
		dz.Rows <= sweepTall && dw.far() ||
		dz.Rows <= crowdedTerms && dw.sameSets(t.panelDrift())
}

// weightsAtOnce reports whether dw is so small that a single call of sweep, or few
// of thin, compute it, and need no plan.
func weightsAtOnce[T Float](dw, dz *Mat[T]) bool {
	return 0 < dz.Rows && dz.Rows <= sweepTerms && 0 < dw.Rows && dw.Rows*dw.Cols <= smallWeights
}

// backwardInputs computes dx.
func (t *tiles[T]) backwardInputs(dx, dz, w *Mat[T]) {
	switch {
	case dx.empty():
		return
	case t.tallFor(dx, dz) && (dx.Rows > tallAbove || t.moreLanes()):
		s := t.scratch.Get().(*scratch[T])
		defer t.scratch.Put(s)
		wt := t.transposeOf(w, s)
		t.forwardTall(dx, dz, &wt, nil, Identity)
		return
	case dz.Cols <= maxLong && t.backwardFew(dx, dz, w):
		return
	}
	var p product[T]
	p.c = *dx
	p.left(dz)
	if p.n <= transposedFew && dx.Cols > t.panelCols && p.n*dx.Cols <= maxTransposed {
		s := t.scratch.Get().(*scratch[T])
		defer t.scratch.Put(s)
		wt := t.transposeOf(w, s)
		t.sweepRows(&p, 0, dx.Rows, &wt, 0)
		return
	}
	t.atLeast(dx.Cols).multiply(&p, 0, dx.Rows, w, true)
}

// transposeOf returns the transpose of w, which is in s.
func (t *tiles[T]) transposeOf(w *Mat[T], s *scratch[T]) Mat[T] {
	wt := s.forTranspose(w.Cols, w.Rows, t.lanes)
	t.packTransposed(wt.at(0, 0), wt.pitch(), w, 0, w.Rows, 0, w.Cols)
	return wt
}

// inStrips reports whether strips can compute a backward pass of so many rows and is
// best for it: w must be no larger than one pass over it pays for, and rows of w and dw
// that are far apart not crowd the cache nor be in each other's way.
func (t *tiles[T]) inStrips(dw, w *Mat[T], rows int) bool {
	switch {
	case rows > t.stripsRows, dw.Rows < stripRows,
		2*stripRows*dw.Cols*int(size[T]()) > maxBytes, // the least that a call takes of w and dw
		w.bytes() > t.stripsBytes>>(rows*(rows-1)/2):
		return false
	case rows > 1 && (w.far() || 4*((dw.Rows+stripRows-1)&^(stripRows-1)) > 5*dw.Rows):
		return false // w comes from memory, or more than a quarter of dw would be computed twice
	case crowds(w.pitch(), driftStrip, 2*stripRows), crowds(dw.pitch(), driftStrip, 2*stripRows),
		aliases(w.pitch(), min(dw.Rows/stripRows, aliasRows)):
		return false
	}
	// Lines from afar are not to be taken in pieces.
	return t.vectorBytes() >= line || w.bytes() < blockBytes
}

// backwardStrips is backward for few rows. The last rows of dw are perhaps computed
// twice.
func (t *tiles[T]) backwardStrips(dx, dw *Mat[T], db []T, dy, y, x, w *Mat[T], act Activation) {
	clear(db)
	t.gateAll(db, dy, y, 0, dy.Rows, act)
	each := max(min(maxWork/4/dy.Rows/dw.Cols, maxBytes/2/int(size[T]())/dw.Cols, maxRun)/stripRows, 1) * stripRows
	back := stripRows*dw.pitch() - uintptr(t.lanes)*size[T]()
	for k, cols := 0, 0; k < dw.Rows; k += cols {
		cols = min(each, dw.Rows-k) / stripRows * stripRows
		if cols == 0 {
			k, cols = dw.Rows-stripRows, stripRows
		}
		t.strips(dx.at(0, k), dx.pitch(), dw.at(k, 0), dw.pitch(), dy.at(0, 0), dy.pitch(),
			x.at(0, k), x.pitch(), w.at(k, 0), w.pitch(), dy.Rows, cols, dw.Cols, stripRows*w.pitch(), back)
	}
}

// backwardBoth is backward for few rows or inputs, if dw and dx are best computed
// in one pass.
func (t *tiles[T]) backwardBoth(dx, dw *Mat[T], db []T, dy, y, x, w *Mat[T], act Activation) bool {
	if dw.Cols > maxLong || 2*dw.bytes() > maxBytes || (2*dy.Rows*dw.Rows+max(dy.Rows, dw.Rows))*dw.Cols > maxWork {
		return false
	}
	byCols, byRows, short := t.bothFor(dw, dy), t.bothTurnedFor(dw, dy), t.shortest()
	if byCols == nil && byRows == nil && max(dy.Rows, dw.Rows) > short.dotsSide {
		return false
	}
	clear(db)
	t.gateAll(db, dy, y, 0, dy.Rows, act)
	switch {
	case dx.Rows*dx.Cols <= min(1, short.dotsSide) || byCols == nil && byRows == nil:
		short.dots(dx.at(0, 0), dx.pitch(), dw.at(0, 0), dw.pitch(), dy.at(0, 0), dy.pitch(),
			x.at(0, 0), x.pitch(), w.at(0, 0), w.pitch(), dx.Rows, dx.Cols, dw.Cols)
	case byCols != nil:
		byCols.both(dx.at(0, 0), dx.pitch(), dw.at(0, 0), dw.pitch(), dy.at(0, 0), dy.pitch(),
			x.at(0, 0), x.pitch(), w.at(0, 0), w.pitch(), dx.Rows, dx.Cols, dw.Cols)
	default:
		byRows.bothTurned(dx.at(0, 0), dx.pitch(), dw.at(0, 0), dw.pitch(), w.at(0, 0), w.pitch(),
			x.at(0, 0), x.pitch(), dy.at(0, 0), dy.pitch(), dx.Cols, dx.Rows, dw.Cols)
	}
	return true
}

// bothFor returns the tiles whose kernel both is best, or nil.
func (t *tiles[T]) bothFor(dw, dz *Mat[T]) *tiles[T] {
	f := t.filledBy(dw.Rows)
	if f != nil && f.bothRows < dz.Rows {
		f = f.half
	}
	switch {
	case f == nil, dz.Rows > f.bothRows, dw.Cols < f.lanes,
		dw.Rows == stripRows,
		dz.Rows > 1 && dw.Rows > f.lanes && dw.Cols >= bothLong && (dw.Rows < 2*f.lanes && f.vectorBytes() >= bothVector || t.half != nil && !t.halved),
		crowds(dw.pitch(), driftStrip, 2*min(dw.Rows, f.lanes)+dz.Rows),
		dw.Rows > fewInputs && aliases(dw.pitch(), 1):
		return nil
	}
	return f
}

// bothTurnedFor returns the tiles whose kernel bothTurned is best, or nil.
func (t *tiles[T]) bothTurnedFor(dw, dz *Mat[T]) *tiles[T] {
	f := t.filledBy(dz.Rows)
	switch {
	case f == nil, dw.Rows > bothSide, dz.Rows > f.bothCols, dw.Cols < f.lanes,
		dz.Rows*dw.Rows*int(size[T]()) > bothBytes,
		dz.Rows > f.lanes && dw.Rows*int(size[T]()) >= 8 && dw.Cols >= bothLong && f.vectorBytes() >= bothVector,
		crowds(dw.pitch(), driftStrip, 2*(dw.Rows+1)+dz.Rows):
		return nil
	}
	return f
}

// transposedWeights computes dw of a layer with fewer outputs than a vector has
// lanes as its transpose, dzᵀ·x, whose rows fill vectors.
func (t *tiles[T]) transposedWeights(dw, dz, x *Mat[T], add bool) {
	s := t.scratch.Get().(*scratch[T])
	defer t.scratch.Put(s)
	c := s.forTranspose(dw.Cols, dw.Rows, 0)
	if add {
		for k := range dw.Rows {
			for j, v := range dw.Row(k) {
				c.Data[j*c.Stride+k] = v
			}
		}
	}
	var p product[T]
	p.c, p.add = c, add
	p.leftTransposed(dz)
	t.sweepRows(&p, 0, c.Rows, x, 0)
	for k := range dw.Rows {
		row := dw.Row(k)
		for j := range row {
			row[j] = c.Data[j*c.Stride+k]
		}
	}
}

// gradPanel makes dz of the rows of dy that p has terms for, from row i on, and
// continues db and the first rows of dw, in a panel of columns from j on.
func (t *tiles[T]) gradPanel(p *product[T], db []T, dy, y *Mat[T], i, j, first int, act Activation) {
	dbp, dbinit := (*T)(nil), zero[T]()
	if db != nil {
		dbp = &db[j]
		if p.add {
			dbinit = dbp
		}
	}
	init, ldinit := p.init(0, j)
	t.grad(p.c.at(0, j), p.c.pitch(), init, ldinit, dbp, dbinit, dy.at(i, j), dy.pitch(), y.at(i, j), y.pitch(),
		p.a, p.stepa, first, min(t.panelCols, p.c.Cols-j), p.n, int(act))
}

// gateAll makes dz of rows i to end-1 of dy and continues db.
func (t *tiles[T]) gateAll(db []T, dy, y *Mat[T], i, end int, act Activation) {
	if db == nil && act == Identity {
		return
	}
	cols, tall := min(dy.Cols, maxWork/64), min(end-i, maxRun)
	if dy.bytes() > blockBytes || crowds(dy.pitch(), 0, gateLines) {
		tall = 1 // they come from afar, best as few streams, or drive each other out
	}
	if dy.Rows == 0 {
		for j := range db {
			db[j] += 0
		}
	}
	for ; i < end; i += tall {
		for j := 0; j < dy.Cols; j += cols {
			var dbj *T
			if db != nil {
				dbj = &db[j]
			}
			t.gate(dbj, dy.at(i, j), dy.pitch(), y.at(i, j), y.pitch(), min(tall, end-i), min(cols, dy.Cols-j), int(act))
		}
	}
}

// gateShared makes dz alone, for several workers who then read all of it. Its whole lines go
// around the caches, unless rows are short or elements lie across lines; rows that lie
// without gaps are one run.
func (t *tiles[T]) gateShared(dy, y *Mat[T], act Activation) {
	if act == Identity {
		return
	}
	rows, n, perLine := dy.Rows, dy.Cols, line/int(size[T]())
	if dy.tight() && y.tight() {
		rows, n = 1, rows*n
	}
	if n < aroundLines*perLine || uintptr(unsafe.Pointer(dy.at(0, 0)))%size[T]() != 0 {
		t.gateAll(nil, dy, y, 0, dy.Rows, act)
		return
	}
	gate := func(i, from, to int) {
		if from < to {
			t.gate(nil, dy.at(i, from), 0, y.at(i, from), 0, 1, to-from, int(act))
		}
	}
	for i := range rows {
		first := int(-uintptr(unsafe.Pointer(dy.at(i, 0)))%line) / int(size[T]()) // whole lines begin here
		end := first + (n-first)/perLine*perLine
		gate(i, 0, first)
		for j := first; j < end; j += maxRun {
			t.gateAround(dy.at(i, j), y.at(i, j), min(maxRun, end-j), int(act))
		}
		gate(i, end, n)
	}
}

// gradBothFor returns the tiles whose kernel gradBoth is best for a layer, or nil: for
// columns whose sums it holds, for few rows, or with long vectors for more of both, unless
// rows of dz crowd the cache or few columns are left over.
func (t *tiles[T]) gradBothFor(dx, dw, dz *Mat[T]) *tiles[T] {
	if dx.empty() || dw.empty() {
		return nil
	}
	rows, cols := dw.Rows, dw.Cols
	for t != nil && (rows > t.gradBothRows || cols%t.gradBothUnit > 0 && !t.gradBothParts(cols, dz.Rows)) {
		t = t.half
	}
	if t == nil || cols*int(size[T]()) > gradBothMost {
		return nil
	}
	if h := t.half; h != nil && dz.Rows <= h.lanes && h.gradBothHeld == t.gradBothHeld && rows <= h.gradBothRows {
		t = h // whose vectors hold as many columns, and whose blocks have fewer empty rows
	}
	switch {
	case cols <= t.gradBothHeld, dz.Rows <= min(t.lanes, gradBothLines/2), dz.Rows <= 2*t.lanes && cols <= gradBothFew:
		return t
	case !t.longVectors(),
		dz.Rows > gradBothMany && 2*cols <= 3*t.gradBothHeld, // all but half a chunk of columns would be held
		crowds(dz.pitch(), driftStrip, gradBothLines):
		return nil
	}
	return t
}

// gradBothParts reports whether so many columns have whole vectors enough to make up for
// the part of one that gradBoth is slow to store in each of so many rows.
func (t *tiles[T]) gradBothParts(cols, rows int) bool {
	return cols >= 4*t.lanes || cols >= 2*t.lanes && rows <= gradBothMany
}

// backwardInOne is backward by gradBoth.
func (t *tiles[T]) backwardInOne(dx, dw *Mat[T], db []T, dy, y, x, w *Mat[T], act Activation, add bool) {
	if db == nil {
		s := t.scratch.Get().(*scratch[T])
		defer t.scratch.Put(s)
		db = s.grow(dw.Cols)
		if add {
			clear(db) // what lies there may be subnormal, and slow to add to
		}
	}
	fresh := 1
	if add {
		fresh = 0
	}
	each := dy.Rows
	sums := 2*dw.Rows + 1 // rows of w, dw and db
	if each > maxRows || (2*each+sums)*dw.Cols*int(size[T]()) > maxBytes || 2*each*(dw.Rows+1)*dw.Cols > maxWork {
		each = min(maxRows, (maxBytes/int(size[T]())/dw.Cols-sums)/2, maxWork/2/(dw.Rows+1)/dw.Cols)
		each = max(t.whole(each), min(each, t.lanes))
	}
	for i, n := 0, 0; i < dy.Rows; i += n {
		n = min(each, dy.Rows-i)
		t.gradBoth(dx.at(i, 0), dx.pitch(), dw.at(0, 0), dw.pitch(), &db[0], dy.at(i, 0), dy.pitch(), y.at(i, 0), y.pitch(),
			x.at(i, 0), x.pitch(), w.at(0, 0), w.pitch(), dw.Rows, dw.Cols, n, int(act), fresh)
		fresh = 0
	}
}

// backwardFew computes dx if it has few rows or few columns.
func (t *tiles[T]) backwardFew(dx, dz, w *Mat[T]) bool {
	short := t.shortest()
	byCols, byRows := t.filledBy(dx.Cols), t.filledBy(dx.Rows)
	crowding := crowds(w.pitch(), driftStrip, inputLines/2)
	switch filled := t.atLeast(dx.Rows); {
	case byRows != nil && byRows.turnedPays(dx, dz, byCols, t):
		byRows.squares(byRows.turned, byRows.turnedRows, dx, dx.Cols, dx.Rows, w, dz, true)
	case dx.Rows <= t.squaresRows && byCols != nil && byCols.fill(dx.Cols, byCols == t) && !crowding && t.near(w, dx.Rows, filled.lanes, byCols.inputRows):
		byCols.squares(byCols.input, byCols.inputRows, dx, dx.Rows, dx.Cols, dz, w, false)
	case filled.transposePays(dx, w, t):
		filled.transposedInput(dx, dz, w)
	case byCols != nil && byCols.inputPays(dx, dz, t, crowding):
		byCols.squares(byCols.input, byCols.inputRows, dx, dx.Rows, dx.Cols, dz, w, false)
	case byRows != nil && (byCols == nil || dx.Cols < byCols.lanes):
		byRows.squares(byRows.turned, byRows.turnedRows, dx, dx.Cols, dx.Rows, w, dz, true)
	case byCols == nil && byRows == nil && max(dx.Rows, dx.Cols) <= short.dotsSide:
		short.dots(dx.at(0, 0), dx.pitch(), nil, 0, dz.at(0, 0), dz.pitch(), nil, 0,
			w.at(0, 0), w.pitch(), dx.Rows, dx.Cols, dz.Cols)
	default:
		return false
	}
	return true
}

// inputPays reports whether input is best for dx: if one pass over w has all its rows, or for
// two or three passes of up to inputTwice rows.
func (t *tiles[T]) inputPays(dx, dz *Mat[T], widest *tiles[T], crowding bool) bool {
	each := min(t.inputRows, inputTwice)
	if dx.Rows <= t.inputRows || dx.Rows <= 2*each && dx.Cols >= t.lanes && !crowding {
		return true
	}
	return dx.Rows <= 3*each && dx.Cols <= widest.panelCols && dz.Cols <= inputThrice
}

// near reports whether w is near enough to be gone through for each atOnce rows of dx, if
// it must be more than once; rows that fill vectors have transposePays besides.
func (t *tiles[T]) near(w *Mat[T], rows, lanes, atOnce int) bool {
	most := t.squaresBytes
	if rows%lanes == 0 {
		most /= 4
	}
	return rows <= atOnce || w.bytes() <= most
}

// turnedPays reports whether turned is best for dx: if it does less than input
// would with byCols, both in whole vectors and one of these more for each square; or in
// two turns less than a product with the widest tiles, and much less if that has many
// rows to pack for.
func (t *tiles[T]) turnedPays(dx, dz *Mat[T], byCols, widest *tiles[T]) bool {
	rows := t.padded(dx.Rows)
	switch {
	case dx.Cols <= t.turnedRows:
		return byCols == nil || (dx.Cols+1)*rows*byCols.lanes <= dx.Rows*byCols.padded(dx.Cols)*t.lanes
	case byCols == nil, dx.Cols <= byCols.lanes, dx.Cols > 2*t.turnedRows, dx.Rows <= t.inputRows,
		crowds(dz.pitch(), driftStrip, inputLines/2):
		return false
	}
	percent := 110
	switch long := dz.Cols >= turnedLong; {
	case dx.Rows > turnedMany && !long:
		return false
	case dx.Rows > turnedMany:
		percent = 80
	case !long:
		percent = 90
	}
	return 100*(dx.Cols+2)*rows <= percent*dx.Rows*widest.padded(dx.Cols)
}

// fill reports whether so many columns fill vectors, or with most all but a quarter.
func (t *tiles[T]) fill(cols int, most bool) bool {
	return cols >= t.lanes && (cols%t.lanes == 0 || most && 4*cols >= 3*t.padded(cols))
}

// transposePays reports whether dx is best computed as its transpose, a row of
// it in each lane: if they all but fill one vector or more, there is enough to do
// for what that costs, and of more rows what is to be transposed is no more than
// half of w; or if they fill vectors much better than columns would. Below
// transposedFrom rows, or of few columns a little above, input is faster.
func (t *tiles[T]) transposePays(dx, w *Mat[T], widest *tiles[T]) bool {
	rows := t.padded(dx.Rows)
	switch {
	case dx.Rows < transposedFrom,
		dx.Cols < t.lanes,
		w.Cols > maxRun,
		dx.Rows <= t.inputRows && dx.Cols < transposedCols && !crowds(w.pitch(), driftStrip, inputLines/2),
		dx.Rows*(w.Rows+w.Cols) > maxTransposed:
		return false
	case t.inputRows < dx.Rows && dx.Rows <= transposedMany && w.Rows*w.Cols >= transposedLeast &&
		4*dx.Cols*rows <= 3*dx.Rows*widest.padded(dx.Cols):
		return true
	}
	return (dx.Rows <= transposedMost || dx.Rows <= transposedMany && 2*dx.Rows*(w.Rows+w.Cols) <= w.Rows*w.Cols) &&
		8*dx.Rows >= 7*rows && w.Rows*w.Cols >= transposedSize
}

// transposedInput computes dx as its transpose, w·dzᵀ, which takes nothing of w but
// scalars.
func (t *tiles[T]) transposedInput(dx, dz, w *Mat[T]) {
	s := t.scratch.Get().(*scratch[T])
	defer t.scratch.Put(s)
	n, in, out := dx.Rows, dx.Cols, dz.Cols
	buf := s.grow(n * (in + out))
	right, c := Mat[T]{out, n, buf, n}, Mat[T]{in, n, buf[n*out:], n}
	t.packTransposed(right.at(0, 0), right.pitch(), dz, 0, n, 0, out)
	var p product[T]
	p.c = c
	p.left(w)
	t.multiply(&p, 0, in, &right, false)
	t.packTransposed(dx.at(0, 0), dx.pitch(), &c, 0, in, 0, n)
}

// squares computes dx by input, or turned by turned, of so many rows at a time at the
// most: a and b, of as many rows as follow dx and as many terms each, are the factors,
// the second of which is taken in squares, the last of them perhaps once more.
func (t *tiles[T]) squares(kernel func(*T, uintptr, *T, uintptr, *T, uintptr, int, int, int), most int, dx *Mat[T], rows, cols int, a, b *Mat[T], turned bool) {
	height, wide := rows, cols
	if work := max(maxWork, t.lanes*maxVectors); rows > most || (rows+1)*t.lanes*a.Cols > work {
		height = even(rows, min(most, max(work/(t.lanes*max(a.Cols, 1))-1, 1)))
	}
	if cols*a.Cols*(height+1) > maxWork || (cols+height)*a.Cols*int(size[T]()) > maxBytes {
		wide = max(t.whole(min(maxWork/(height+1), maxBytes/int(size[T]())-height*a.Cols)/a.Cols), t.lanes)
	}
	// The lines of more squares would drive each other out of the cache.
	drift := uintptr(0)
	if cols*driftSquare >= line {
		drift = driftSquare
	}
	least := t.lanes
	if rows <= inputChains && cols <= inputLines {
		least = max(least, inputLines/2) // fewer chains would wait for each other
	}
	for lines := inputLines; lines > least && crowds(b.pitch(), drift, lines); lines /= 2 {
		wide = min(wide, lines/2)
	}
	for i := 0; i < rows; i += height {
		for k := 0; k < cols; k += wide {
			k := max(0, min(k, cols-t.lanes/2))
			c := dx.at(i, k)
			if turned {
				c = dx.at(k, i)
			}
			kernel(c, dx.pitch(), a.at(i, 0), a.pitch(), b.at(k, 0), b.pitch(), min(height, rows-i), min(wide, cols-k), a.Cols)
		}
	}
}

// backwardColumn is backward for a layer with one output: one pass over the
// rows for every panel of inputs, the first of which makes dz and db too. Many inputs
// that lie without gaps are then taken together.
func (t *tiles[T]) backwardColumn(dx, dw *Mat[T], db []T, dy, y, x, w *Mat[T], act Activation, add bool) {
	var s *scratch[T]
	if dw.Stride > 1 || w.Stride > 1 {
		s = t.scratch.Get().(*scratch[T])
		defer t.scratch.Put(s)
	}
	var dbp *T
	if db != nil {
		dbp = &db[0]
	}
	many := dy.Rows > 0 && (dw.bytes() >= columnBytes || dx.empty() && 2*dw.bytes() >= columnBytes)
	for k := 0; k < dw.Rows; k += t.panelCols {
		cols := min(t.panelCols, dw.Rows-k)
		wk, dwk := w.at(k, 0), dw.at(k, 0)
		if w.Stride > 1 {
			wk = w.tightColumn(k, cols, s)
		}
		if dw.Stride > 1 {
			dwk = &s.line[maxRun]
			for c := range cols {
				s.line[maxRun+c] = dw.Data[(k+c)*dw.Stride]
			}
		}
		for i := 0; i == 0 || i < dy.Rows; i += maxRows {
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
				y.at(i, 0), y.pitch(), x.at(i, k), x.pitch(), wk, cols, min(maxRows, dy.Rows-i), int(act))
		}
		if dw.Stride > 1 {
			for c := range cols {
				dw.Data[(k+c)*dw.Stride] = s.line[maxRun+c]
			}
		}
		act, dbp = Identity, nil
		if many && dw.Stride == 1 && w.Stride == 1 {
			t.backwardRow(dx, dw, dy, x, w, k+cols, add)
			return
		}
	}
}

// backwardRow computes dw and dx of a layer with one output from input k on: dw as a row,
// dzᵀ·x, and dx as dz·wᵀ of one term.
func (t *tiles[T]) backwardRow(dx, dw *Mat[T], dz, x, w *Mat[T], k int, add bool) {
	n := dw.Rows - k
	from := func(m *Mat[T], rows int) Mat[T] { return Mat[T]{rows, n, m.Data[k:], max(m.Stride, n)} }
	var p product[T]
	right := from(x, x.Rows)
	p.c, p.add = from(dw, 1), add
	p.leftTransposed(dz)
	t.sweepRows(&p, 0, 1, &right, 0)
	if !dx.empty() {
		right = from(w, 1)
		p.c, p.add = from(dx, dx.Rows), false
		p.left(dz)
		t.sweepRows(&p, 0, dx.Rows, &right, 0)
	}
}
