package main

import (
	"math/bits"
	"slices"
)

// The kernels of products with few rows or few terms.

// sweepVecs is how many vectors a tile of r rows of sweep has: a power of two that
// fits beside an element of each row and a vector of b.
func sweepVecs(s Spec, r int) int {
	return 1 << (bits.Len(uint((s.Vecs-r-1)/r)) - 1)
}

// wideCols is how many columns the widest one has.
func wideCols(s Spec) int { return sweepVecs(s, 1) * s.Lanes() }

// sweepMost is how many rows sweep takes at a time: sweepTall in package kernels.
const sweepMost = 4

// sweep is panel for few rows or few terms. Up to four rows at a time meet all
// columns, and many of them at once, to keep enough chains in flight; a vector
// of b is used as soon as it is loaded.
func sweep(m Machine) {
	m.Func("sweep", sig(m, "func(c *T, ldc uintptr, init *T, ldinit uintptr, a *T, lda, stepa uintptr, b *T, ldb uintptr, rows, cols, n, act int)"),
		"What panel computes, for any number of columns but 0, up to four rows at a time.",
		"Where init is nil the sums start from +0; ldinit is then 0.")
	byHeight(m, sweepMost, sweepMost, []string{"c", "init", "a"}, func(rows int) {
		sweepRows(m, rows)
	})
}

func sweepRows(m Machine, r int) {
	s := m.Spec()
	most := sweepVecs(s, r)
	off, left := m.Int(), m.Int()
	m.Arg(left, "cols")
	m.Const(off, 0)

	m.Comment("%d vectors of columns, while at least half as many more are left", most)
	more, fewer, last, done := m.NewLabel("more"), m.NewLabel("fewer"), m.NewLabel("last"), m.NewLabel("done")
	tile := func(vecs int) {
		sweepTile(m, r, full(vecs, s.VecBytes), off)
		m.AddConst(off, vecs*s.VecBytes)
		m.AddConst(left, -vecs*s.Lanes())
	}
	m.Label(more)
	m.JumpIf(left, Less, (most+most/2)*s.Lanes(), fewer)
	tile(most)
	m.Jump(more)
	m.Label(fewer)
	m.JumpIf(left, AtMost, most*s.Lanes(), last)
	tile(most / 2)
	m.Label(last)

	var byVecs func(lo, hi int)
	byVecs = func(lo, hi int) {
		if lo == hi {
			vectors(m, lo, left, s.VecBytes, func(w width) {
				sweepTile(m, r, w, off)
				m.Jump(done)
			})
			return
		}
		mid, wider := (lo+hi)/2, m.NewLabel("wider")
		m.JumpIf(left, AtLeast, mid*s.Lanes()+1, wider)
		byVecs(lo, mid)
		m.Label(wider)
		byVecs(mid+1, hi)
	}
	byVecs(1, most)
	m.Label(done)
	m.FreeInts(off, left)
}

// sweepTile computes r rows of the columns that begin off bytes into each.
func sweepTile(m Machine, r int, w width, off Int) {
	m.Comment("acc[i,j] = init[i,j], %d×%d vectors, or +0", r, w.vecs)
	acc := make([][]Vec, r)
	for i := range acc {
		acc[i] = m.VecsOf(w.vecs)
	}
	p, ld := m.Int(), m.Int()
	none, ready := m.NewLabel("none"), m.NewLabel("ready")
	m.Arg(p, "init")
	m.JumpIf(p, Equal, 0, none)
	m.Add(p, off)
	m.Arg(ld, "ldinit")
	init := w.rows(m, r, p, ld)
	for i := range acc {
		for q, v := range acc[i] {
			init.load(m, i, q, v)
		}
	}
	init.free(m)
	m.FreeInts(p, ld)
	m.Jump(ready)
	m.Label(none)
	for _, v := range slices.Concat(acc...) {
		m.Zero(v)
	}
	m.Label(ready)

	m.Comment("acc[i,j] = fma(a[i,p], b[p,j], acc[i,j])")
	x, t, uses := m.VecsOf(r), m.Vec(), w.vecs
	if r < 3 {
		uses = m.Spec().Vecs // more than any machine takes from memory: loads of b are the bottleneck already
	}
	loop, end := m.NewLabel("fold"), m.NewLabel("folded")
	f := loadFactors(m, r, end)
	m.Add(f.b, off)
	m.Label(loop)
	for i := range acc {
		m.Scalars(x[i], f.a.At[i], 1, uses)
	}
	for q := range w.vecs {
		w.load(m, q, t, At(f.b, 0))
		for i := range acc {
			m.FMAScalar(acc[i][q], t, x[i], 0)
		}
	}
	f.a.step(m, f.step)
	m.Add(f.b, f.ldb)
	m.LoopDown(f.n, loop)
	f.free(m)
	m.FreeVecs(x...)
	m.Label(end)

	m.Comment("c[i,j] = act(acc[i,j])")
	act := arg(m, "act")
	finish(m, slices.Concat(acc...), act, t)
	m.FreeInts(act)
	m.FreeVecs(t)
	p, ld = m.Int(), m.Int()
	m.Arg(p, "c")
	m.Add(p, off)
	m.Arg(ld, "ldc")
	c := w.rows(m, r, p, ld)
	for i := range acc {
		for q, v := range acc[i] {
			c.store(m, i, q, v)
		}
		m.FreeVecs(acc[i]...)
	}
	c.free(m)
	m.FreeInts(p, ld)
}

const (
	streamTerms = 8       // of the sums of stream: as many lines on their way at once (streams in kernels)
	streamAhead = 1 << 10 // bytes before they are wanted
)

// stream is sweep for rows of b that come from memory. It takes a vector of each,
// and all rows of c and a meet those.
func stream(m Machine) {
	s := m.Spec()
	m.Func("stream", sig(m, "func(c *T, ldc uintptr, init *T, ldinit uintptr, a *T, lda uintptr, b *T, ldb uintptr, rows, cols int)"),
		"c[i,j] = init[i,j] + Σ_p a[i,p]·b[p,j],  i < rows, j < cols, p < 8",
		"",
		"Each sum is one chain of fused multiply-adds in order of p. The rows of c, init,",
		"a and b are ldc, ldinit, lda and ldb bytes apart. rows is at least 1, cols a",
		"multiple of the lanes of a vector, at least one.")
	b, ldb, off, left := m.Int(), m.Int(), m.Int(), m.Int()
	m.Arg(b, "b")
	m.Arg(ldb, "ldb")
	m.Arg(left, "cols")
	m.Const(off, 0)
	bs := m.Rows(streamTerms, b, ldb)
	vector, row := m.NewLabel("vector"), m.NewLabel("row")
	m.Label(vector)
	m.Comment("b[p,j], a vector of each p")
	v := m.VecsOf(streamTerms)
	for p, a := range bs.At {
		m.Load(v[p], a)
		m.PrefetchSoon(a.Plus(streamAhead))
	}
	c, init, a, rows := m.Int(), m.Int(), m.Int(), m.Int()
	m.Copy(c, off)
	m.AddArg(c, "c")
	m.Copy(init, off)
	m.AddArg(init, "init")
	m.Arg(a, "a")
	m.Arg(rows, "rows")
	acc, t := m.Vec(), m.Vec()
	m.Label(row)
	m.Comment("acc = init[i,j];  acc = fma(a[i,p], b[p,j], acc) for p < %d;  c[i,j] = acc", streamTerms)
	m.Load(acc, At(init, 0))
	for p, v := range v {
		m.Scalars(t, At(a, p*s.Float.Size), 1, 1)
		m.FMAScalar(acc, v, t, 0)
	}
	m.Store(At(c, 0), acc)
	m.AddArg(c, "ldc")
	m.AddArg(init, "ldinit")
	m.AddArg(a, "lda")
	m.LoopDown(rows, row)
	bs.stepConst(m, s.VecBytes)
	m.AddConst(off, s.VecBytes)
	m.AddConst(left, -s.Lanes())
	m.JumpIf(left, AtLeast, 1, vector)
	m.Return()
	m.FreeRows(bs)
	m.FreeInts(b, ldb, off, left, c, init, a, rows)
	m.FreeVecs(v...)
	m.FreeVecs(acc, t)
}

// thinTerms is how many terms the sums of thin may have, up to six: their rows of
// b are in registers, beside the bias, a row of c, one of a, zero and a part.
func thinTerms(s Spec) int { return min((s.Vecs-1-2*maxCols-s.PartVecs)/(maxCols+1), 6) }

// thin is panel for many rows of few terms: the rows of b and the bias stay in
// registers.
func thin(m Machine) {
	m.Func("thin", sig(m, "func(c *T, ldc uintptr, bias *T, a *T, lda, stepa uintptr, b *T, ldb uintptr, rows, cols, n, act int)"),
		"c[i,j] = act(bias[j] + Σ_p a[i,p]·b[p,j]),  i < rows, j < cols, p < n",
		"",
		"Each sum is one chain of fused multiply-adds in order of p; a zero is +0.",
		"The rows of c and b are ldc and ldb bytes apart, and a[i,p] is i·lda + p·stepa",
		"bytes behind a. n is 1 to thinTerms, cols at least 1 and at most a panel's.")
	byValue(m, "n", 1, thinTerms(m.Spec()), func(terms int) {
		cols := arg(m, "cols")
		byWidthUnread(m, cols, maxCols, chunkBytes, func(w width) { thinPanel(m, w, terms) })
		m.FreeInts(cols)
	})
}

func thinPanel(m Machine, w width, terms int) {
	bias := loadTile(m, 1, w, "bias", "")[0]
	b := loadTile(m, terms, w, "b", "ldb")
	c, ldc := arg(m, "c"), arg(m, "ldc")
	base, lda, stepa := arg(m, "a"), arg(m, "lda"), arg(m, "stepa")
	a := m.Rows(terms, base, stepa)
	left, act := arg(m, "rows"), arg(m, "act")
	x, zero := m.VecsOf(terms), m.Vec()
	acc := m.VecsOf(w.vecs)
	m.Zero(zero)
	m.Comment("acc = bias[j];  acc = fma(a[i,p], b[p,j], acc) for p < %d;  c[i,j] = act(acc + 0)", terms)
	row, linear := m.NewLabel("row"), m.NewLabel("linear")
	m.Label(row)
	for p, v := range x {
		m.Scalars(v, a.At[p], 1, w.vecs)
	}
	for q, v := range acc {
		on := w.on(m, q)
		on.Move(v, bias[q])
		for p := range x {
			on.FMAScalar(v, b[p][q], x[p], 0)
		}
	}
	for q, v := range acc {
		w.on(m, q).AddVec(v, v, zero)
	}
	m.JumpIf(act, NotEqual, relu, linear)
	for q, v := range acc {
		w.on(m, q).ReLU(v, zero)
	}
	m.Label(linear)
	for q, v := range acc {
		w.storeUnread(m, q, At(c, 0), v)
	}
	m.Add(c, ldc)
	a.step(m, lda)
	m.LoopDown(left, row)
	m.Return()
	m.FreeRows(a)
	m.FreeInts(c, ldc, base, lda, stepa, left, act)
	m.FreeVecs(x...)
	m.FreeVecs(acc...)
	m.FreeVecs(zero)
	m.FreeVecs(bias...)
	for _, row := range b {
		m.FreeVecs(row...)
	}
}

// flatPeriod is how many vectors of the weights, of the bias and of which example
// goes with them flat holds at the most, beside an example, a result, what
// finishes it and another. Longer rows do not lose much to their last vector.
func flatPeriod(s Spec) int { return min((s.Vecs-s.PartVecs-4)/3, s.Lanes()-1) }

// flat is thin for rows of a single term that lie tight: it stores whole vectors,
// whatever the rows' length. What each needs repeats after period vectors, or
// turns rows, and stays in registers.
func flat(m Machine) {
	s := m.Spec()
	m.Func("flat", sig(m, "func(c, bias, a, b *T, rows, cols, period, turns, act int)"),
		"c[i·cols+j] = act(bias[j] + a[i]·b[j]),  i < rows, j < cols",
		"",
		"period vectors are turns rows, as few as can be: period is odd, and at most",
		"flatPeriod. cols is no multiple of the lanes of a vector, and at most a",
		"panel's. c has room for 3·(period + 1) vectors.")
	c, pitch, turns, i := m.Int(), m.Int(), m.Int(), m.Int()
	m.Comment("b, the bias and the number of each of turns rows, to c")
	m.Arg(pitch, "cols")
	part := m.MakePart(pitch)
	part.Count = pitch
	at := []Int{m.Int(), m.Int(), m.Int()}
	b, bias := at[1], at[2]
	m.Arg(c, "c")
	m.Arg(turns, "turns")
	m.Const(i, 0)
	ready := m.NewLabel("ready")
	for vecs := 1; vecs <= maxCols; vecs++ {
		more := m.NewLabel("more")
		if vecs < maxCols {
			m.JumpIf(pitch, AtLeast, vecs*s.Lanes(), more)
		}
		m.Arg(b, "b")
		m.Arg(bias, "bias")
		bs, biases, number := m.VecsOf(vecs), m.VecsOf(vecs), m.Vec()
		for q := range vecs {
			p := piece{&part}.of(q, vecs)
			p.load(m, q, bs[q], At(b, 0))
			p.load(m, q, biases[q], At(bias, 0))
		}
		m.MulConst(pitch, pitch, s.Float.Size)
		m.Arg(at[2], "period")
		m.MulConst(at[2], at[2], s.VecBytes)
		m.AddConst(at[2], s.VecBytes)
		m.Copy(at[0], c)
		m.Copy(at[1], c)
		m.Add(at[1], at[2])
		m.Add(at[2], at[1])
		row := m.NewLabel("row")
		m.Label(row)
		m.Selector(number, i)
		for q := range vecs { // the next row overwrites what is too much
			m.Store(At(at[0], q*s.VecBytes), bs[q])
			m.Store(At(at[1], q*s.VecBytes), biases[q])
			m.Store(At(at[2], q*s.VecBytes), number)
		}
		for _, p := range at {
			m.Add(p, pitch)
		}
		m.AddConst(i, 1)
		m.LoopDown(turns, row)
		m.FreeVecs(bs...)
		m.FreeVecs(biases...)
		m.FreeVecs(number)
		if vecs < maxCols {
			m.Jump(ready)
			m.Label(more)
		}
	}
	m.Label(ready)
	m.FreePart(part)
	m.FreeInts(at...)

	m.Arg(turns, "turns")
	part = m.MakePart(turns)
	part.Count = turns
	period := arg(m, "period")
	for vecs := (flatPeriod(s) - 1) | 1; vecs >= 1; vecs -= 2 {
		fewer := m.NewLabel("fewer")
		if vecs > 1 {
			m.JumpIf(period, NotEqual, vecs, fewer)
		}
		flatRows(m, vecs, c, pitch, turns, part)
		m.Label(fewer)
	}
}

// flatRows computes all rows with the given period, whose operands are at c.
// pitch is the length of a row in bytes.
func flatRows(m Machine, vecs int, c, pitch, turns Int, part Part) {
	s := m.Spec()
	b, bias, number := m.VecsOf(vecs), m.VecsOf(vecs), m.VecsOf(vecs)
	for q := range vecs {
		for t, vs := range [][]Vec{b, bias, number} {
			m.Load(vs[q], At(c, (t*(vecs+1)+q)*s.VecBytes))
		}
	}
	x, v, by, t := m.Vec(), m.Vec(), m.Vec(), m.Vec()
	a, left, act := arg(m, "a"), arg(m, "rows"), arg(m, "act")
	linear := m.NewLabel("linear")
	m.JumpIf(act, NotEqual, relu, linear)
	m.FreeInts(act)
	for _, positive := range []bool{true, false} {
		m.Comment("c = act(fma(a, b, bias)), %d vectors", vecs)
		loop, whole, loaded, done := m.NewLabel("rows"), m.NewLabel("whole"), m.NewLabel("loaded"), m.NewLabel("done")
		m.Finisher(by, positive)
		m.Label(loop)
		m.JumpIf(turns, Equal, s.Lanes(), whole)
		m.LoadPart(x, At(a, 0), part)
		m.Jump(loaded)
		m.Label(whole)
		m.Load(x, At(a, 0))
		m.Label(loaded)
		for q := range vecs {
			m.Permute(v, x, number[q])
			m.MulAdd(v, b[q], bias[q], t)
			m.Finish(v, by, positive)
			m.Store(At(c, q*s.VecBytes), v)
		}
		step := m.Int()
		m.MulConst(step, turns, s.Float.Size)
		m.Add(a, step)
		m.AddConst(c, vecs*s.VecBytes)
		m.Sub(left, turns)
		m.Copy(step, left)
		m.Sub(step, turns)
		m.JumpIf(step, AtLeast, 0, loop)
		m.JumpIf(left, AtMost, 0, done)
		m.Comment("the last turns rows, some of them once more")
		m.Copy(left, turns)
		m.Mul(pitch, step)
		m.Add(c, pitch)
		m.MulConst(step, step, s.Float.Size)
		m.Add(a, step)
		m.FreeInts(step)
		m.Jump(loop)
		m.Label(done)
		m.Return()
		if positive {
			m.Label(linear)
		}
	}
	m.FreeInts(a, left)
	m.FreeVecs(x, v, by, t)
	m.FreeVecs(slices.Concat(b, bias, number)...)
}
