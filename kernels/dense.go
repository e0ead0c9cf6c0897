package kernels

// The operands, outputs first.
var (
	forwardOperands  = []string{"y", "x", "w", "b"}
	backwardOperands = []string{"dx", "dw", "db", "dy", "y", "x", "w"}
)

// DenseForward computes a dense layer for a batch of n rows:
//
//	y[i,j] = act(Σ_k x[i,k]·w[k,j] + b[j])
//
// x is n×in, w is in×out, y is n×out; b has out elements, or is nil and then
// counts as +0. Any size may be 0: without inputs y is act(b).
//
// y must not overlap x, w or b. The inputs may overlap each other.
//
// For out ≥ 8 the sum is one chain of fused multiply-adds in order of k that
// starts at b[j]; for out < 8 it is sixteen interleaved chains, added up in a
// tree at the end (see the package documentation). Each multiply-add is rounded
// once, in T. The order depends on out alone, so a row has the same bits in any
// batch. A NaN stays NaN through ReLU; a zero result is +0.
//
// It panics, before it writes anything, if the shapes disagree, a Mat is not
// valid, y overlaps an input, or act is unknown.
func DenseForward[T Float](y, x, w Mat[T], b []T, act Activation) {
	denseForward("DenseForward", &y, &x, &w, b, act)
}

func denseForward[T Float](fn string, y, x, w *Mat[T], b []T, act Activation) {
	n, in, out := y.Rows, w.Rows, w.Cols
	yAt := memory(y.Data)
	if unusual(n|in|out|y.Stride|x.Stride|w.Stride) ||
		!y.is(n, out) || !x.is(n, in) || !w.is(in, out) || b != nil && len(b) != out || act >= activations ||
		yAt.meets(memory(x.Data)) || yAt.meets(memory(w.Data)) || yAt.meets(memory(b)) {
		checkForward(fn, y, x, w, b, act)
	}
	if y.empty() {
		return
	}
	if racing {
		bRow := row(b)
		raceRead(x, w, &bRow)
		raceWrite(y)
	}
	t := current[T]()
	if workers.Load() > 0 && t.forwardSplit(y, x, w, b, act) {
		return
	}
	t.forward(noescape(y), noescape(x), noescape(w), b, act)
}

// checkForward panics if the operands are not what DenseForward wants.
func checkForward[T Float](fn string, y, x, w *Mat[T], b []T, act Activation) {
	act.check(fn)
	y.check(fn, "y")
	x.check(fn, "x")
	w.check(fn, "w")
	colsAreRows(fn, "x", x, "w", w)
	sameRows(fn, "y", y, "x", x)
	sameCols(fn, "y", y, "w", w)
	if b != nil {
		colsAreLen(fn, "w", w, "b", b)
	}
	bRow := row(b)
	disjoint(fn, 1, forwardOperands, y, x, w, &bRow)
}

// DenseBackward computes the gradients of DenseForward from dy, the gradient
// of the loss with respect to y:
//
//	dz[i,j] = dy[i,j] · act'(y[i,j])        written over dy
//	dw[k,j] = Σ_i x[i,k]·dz[i,j]
//	db[j]   = Σ_i dz[i,j]
//	dx[i,k] = Σ_j dz[i,j]·w[k,j]
//
// y is what DenseForward made; with Identity its elements are not read. dy and
// y are n×out, x and dx are n×in, w and dw are in×out, and db has out elements.
// Any size may be 0. A nil db, or the zero Mat as dx, is not computed.
//
// dx, dw, db and dy must not overlap one another, or y, x or w. The inputs y,
// x and w may overlap each other.
//
// Every sum is one chain in order of its index, from +0: of fused
// multiply-adds for dw and dx, of additions for db. No term is left out
// because a factor is zero: 0·Inf is NaN. With ReLU dz is +0 where y ≤ 0,
// whatever dy is, and dy itself, with the sign of a zero, everywhere else, also
// where y is NaN. A zero in dw, db or dx is +0.
//
// It panics, before it writes anything, if the shapes disagree, a Mat is not
// valid, an output overlaps another operand, or act is unknown.
//
// The method is that of Rumelhart, Hinton and Williams, "Learning
// representations by back-propagating errors", Nature 323 (1986).
func DenseBackward[T Float](dx, dw Mat[T], db []T, dy, y, x, w Mat[T], act Activation) {
	denseBackward("DenseBackward", &dx, &dw, db, &dy, &y, &x, &w, act, false)
}

// DenseBackwardAdd is DenseBackward for one piece of a batch: it adds to what
// dw and db hold, by continuing their sums from there.
//
//	dw[k,j] += Σ_i x[i,k]·dz[i,j]
//	db[j]   += Σ_i dz[i,j]
//
// dy and dx are overwritten as DenseBackward does. A batch given in pieces, in
// order, to zeroed dw and db leaves the bits of the whole batch at once, if dy
// is the gradient of the whole batch's loss: [MSE] of a piece divides by the
// elements of the piece.
//
// Shapes, overlap, rounding and panics are those of DenseBackward; a -0 that dw
// or db held becomes +0.
func DenseBackwardAdd[T Float](dx, dw Mat[T], db []T, dy, y, x, w Mat[T], act Activation) {
	denseBackward("DenseBackwardAdd", &dx, &dw, db, &dy, &y, &x, &w, act, true)
}

func denseBackward[T Float](fn string, dx, dw *Mat[T], db []T, dy, y, x, w *Mat[T], act Activation, add bool) {
	n, in, out := y.Rows, w.Rows, w.Cols
	dxAt, dwAt, dbAt, dyAt := memory(dx.Data), memory(dw.Data), memory(db), memory(dy.Data)
	yAt, xAt, wAt := memory(y.Data), memory(x.Data), memory(w.Data)
	if unusual(n|in|out|dx.Stride|dw.Stride|dy.Stride|y.Stride|x.Stride|w.Stride) ||
		!dx.is(n, in) && !dx.IsZero() || !dw.is(in, out) || db != nil && len(db) != out ||
		!dy.is(n, out) || !y.is(n, out) || !x.is(n, in) || !w.is(in, out) || act >= activations ||
		dxAt.meets(dwAt) || dxAt.meets(dbAt) || dxAt.meets(dyAt) || dxAt.meets(yAt) || dxAt.meets(xAt) || dxAt.meets(wAt) ||
		dwAt.meets(dbAt) || dwAt.meets(dyAt) || dwAt.meets(yAt) || dwAt.meets(xAt) || dwAt.meets(wAt) ||
		dbAt.meets(dyAt) || dbAt.meets(yAt) || dbAt.meets(xAt) || dbAt.meets(wAt) ||
		dyAt.meets(yAt) || dyAt.meets(xAt) || dyAt.meets(wAt) {
		checkBackward(fn, dx, dw, db, dy, y, x, w, act)
	}
	if in == 0 && out == 0 {
		return // nothing to compute, of any number of rows
	}
	if racing {
		dbRow := row(db)
		raceRead(x, w)
		if act != Identity {
			raceRead(y)
		}
		raceWrite(dx, dw, &dbRow, dy)
	}
	t := current[T]()
	if workers.Load() > 0 && t.backwardSplit(dx, dw, db, dy, y, x, w, act, add) {
		return
	}
	t.backward(noescape(dx), noescape(dw), db, noescape(dy), noescape(y), noescape(x), noescape(w), act, add)
}

// checkBackward panics if the operands are not what DenseBackward wants.
func checkBackward[T Float](fn string, dx, dw *Mat[T], db []T, dy, y, x, w *Mat[T], act Activation) {
	act.check(fn)
	dx.check(fn, "dx")
	dw.check(fn, "dw")
	dy.check(fn, "dy")
	y.check(fn, "y")
	x.check(fn, "x")
	w.check(fn, "w")
	colsAreRows(fn, "x", x, "w", w)
	sameRows(fn, "y", y, "x", x)
	sameCols(fn, "y", y, "w", w)
	sameRows(fn, "dy", dy, "y", y)
	sameCols(fn, "dy", dy, "y", y)
	sameRows(fn, "dw", dw, "w", w)
	sameCols(fn, "dw", dw, "w", w)
	if db != nil {
		colsAreLen(fn, "dw", dw, "db", db)
	}
	if !dx.IsZero() {
		sameRows(fn, "dx", dx, "x", x)
		sameCols(fn, "dx", dx, "x", x)
	}
	dbRow := row(db)
	disjoint(fn, 4, backwardOperands, dx, dw, &dbRow, dy, y, x, w)
}
