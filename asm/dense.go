package main

import (
	"slices"
	"strings"
)

// The forward kernels of wide layers: panel, the register tile of large products;
// packing; and tall, which has a row in each lane.

// The parameter act: kernels.Identity and kernels.ReLU.
const (
	identity = iota
	relu
)

// sig fills the element type into a signature.
func sig(m Machine, s string) string {
	return strings.ReplaceAll(s, "T", m.Spec().Float.Go)
}

// A width is a number of vectors side by side, of which the first bytes are
// used, and of the last one perhaps fewer. If the elements do not fill them,
// the last begins early: it has the elements that the others lack, and again
// some that they have.
type width struct {
	vecs, bytes, last int
	back              *Int  // how many bytes early, a number below 0
	part              *Part // what is used of a single vector, if not whole bytes
}

// chunkBytes is the smallest vector of every machine.
const chunkBytes = 16

func full(vecs, bytes int) width { return width{vecs: vecs, bytes: bytes, last: bytes} }

// span is how many bytes the vectors reach over side by side.
func (w width) span() int { return (w.vecs-1)*w.bytes + w.last }

// at is the memory of vector q of the row that begins at a, which has no index.
func (w width) at(q int, a Addr) Addr {
	a = a.Plus(q * w.bytes)
	if w.back != nil && q == w.vecs-1 {
		a.Index, a.Scale = *w.back, 1
	}
	return a
}

// size is how many bytes of vector q are used.
func (w width) size(q int) int {
	if q == w.vecs-1 {
		return w.last
	}
	return w.bytes
}

// on is the arithmetic on vector q.
func (w width) on(m Machine, q int) Arithmetic {
	if w.part != nil {
		return m
	}
	return m.First(w.size(q))
}

// fold continues acc by the products of vs and the element at b. It may destroy t.
func (w width) fold(m Machine, acc, vs []Vec, b Addr, t Vec) {
	m.Scalars(t, b, 1, w.vecs)
	for q, v := range vs {
		w.on(m, q).FMAScalar(acc[q], v, t, 0)
	}
}

func (w width) load(m Machine, q int, v Vec, a Addr) {
	if w.part != nil {
		m.LoadPart(v, a, *w.part)
	} else {
		m.LoadFirst(v, w.at(q, a), w.size(q))
	}
}

func (w width) store(m Machine, q int, a Addr, v Vec) {
	if w.part != nil {
		m.StorePart(a, v, *w.part)
	} else {
		m.StoreFirst(w.at(q, a), v, w.size(q))
	}
}

// storeUnread is store where nothing is loaded soon that lies near.
func (w width) storeUnread(m Machine, q int, a Addr, v Vec) {
	if w.part != nil {
		m.StorePartUnread(a, v, *w.part)
	} else {
		w.store(m, q, a, v)
	}
}

// byValue emits body for every value that a parameter may have, from lo to hi.
func byValue(m Machine, name string, lo, hi int, body func(v int)) {
	p := arg(m, name)
	among(m, p, lo, hi, body)
	m.FreeInts(p)
}

// among emits body for every value that p may have, from lo to hi, and finds it by
// halves. body must not fall through to what follows; it may use p's register.
func among(m Machine, p Int, lo, hi int, body func(v int)) {
	if lo == hi {
		m.FreeInts(p)
		body(lo)
		if m.Int() != p {
			panic("a register that was free is not")
		}
		return
	}
	lower, middle := m.NewLabel("lower"), (lo+hi+1)/2
	m.JumpIf(p, Less, middle, lower)
	among(m, p, middle, hi, body)
	m.Label(lower)
	among(m, p, lo, middle-1, body)
}

// byWidth emits body for every width of up to most vectors that cols, a positive number
// of elements known at run time, can have. The last of several vectors may have any power
// of two bytes from finest to a whole vector's: the fewer, the fewer cache lines
// a row of them straddles, and the more code there is. Where that is chunkBytes, and
// less than a vector, less than a vector is two that overlap; otherwise it is a part,
// slower to store but with one multiply-add for each term instead of two. It destroys
// cols.
func byWidth(m Machine, cols Int, most, finest int, body func(width)) {
	s := m.Spec()
	for v := most; v > 1; v-- {
		narrower := m.NewLabel("narrower")
		m.JumpIf(cols, AtMost, (v-1)*s.Lanes(), narrower)
		vectors(m, v, cols, finest, body)
		m.Label(narrower)
	}
	vectors(m, 1, cols, finest, body)
}

// byWidthUnread is byWidth for what is stored and not loaded again soon. Where a machine
// masks stores, less than a vector is a part, which takes no longer than a whole one.
func byWidthUnread(m Machine, cols Int, most, finest int, body func(width)) {
	s := m.Spec()
	if !s.Masks {
		byWidth(m, cols, most, finest, body)
		return
	}
	several := m.NewLabel("several")
	m.JumpIf(cols, AtLeast, s.Lanes()+1, several)
	vectors(m, 1, cols, s.VecBytes, body)
	m.Label(several)
	for v := most; v > 1; v-- {
		narrower := m.NewLabel("narrower")
		if v > 2 {
			m.JumpIf(cols, AtMost, (v-1)*s.Lanes(), narrower)
		}
		vectors(m, v, cols, finest, body)
		m.Label(narrower)
	}
}

// vectors emits body for v vectors of columns, the last of them full or not. body must not
// fall through to what follows, and cols is destroyed.
func vectors(m Machine, v int, cols Int, finest int, body func(width)) {
	s := m.Spec()
	size := s.Float.Size
	unless := func(c Cond, count int, emit func()) {
		over := m.NewLabel("over")
		m.JumpIf(cols, c, count, over)
		emit()
		m.Label(over)
	}
	early := func(w width) {
		m.MulConst(cols, cols, size)
		m.AddConst(cols, -w.span())
		w.back = &cols
		body(w)
	}
	unless(NotEqual, v*s.Lanes(), func() { body(full(v, s.VecBytes)) })
	if v > 1 {
		for last := finest; last < s.VecBytes; last *= 2 {
			w := width{vecs: v, bytes: s.VecBytes, last: last}
			unless(AtLeast, w.span()/size+1, func() { early(w) })
		}
		early(full(v, s.VecBytes))
		return
	}
	if finest == s.VecBytes || finest > chunkBytes {
		part := m.MakePart(cols)
		body(width{vecs: 1, part: &part})
		m.FreePart(part)
		return
	}
	for count := s.Lanes() / 2; count > 1; count /= 2 {
		unless(NotEqual, count, func() { body(full(1, count*size)) })
		unless(Less, count, func() { early(full(2, count*size)) })
	}
	body(full(1, size))
}

// tileRows are the rows of a tile in memory.
type tileRows struct {
	w          width
	rows, last Rows // last: where the last vector of each begins
	base       Int
}

// rows reaches n of them; a single one needs no stride.
func (w width) rows(m Machine, n int, base, stride Int) tileRows {
	t := tileRows{w: w, rows: m.Rows(n, base, stride)}
	if w.back != nil {
		t.base = m.Int()
		m.Copy(t.base, base)
		m.Add(t.base, *w.back)
		t.last = m.Rows(n, t.base, stride)
	}
	return t
}

func (t tileRows) free(m Machine) {
	m.FreeRows(t.rows)
	if t.w.back != nil {
		m.FreeRows(t.last)
		m.FreeInts(t.base)
	}
}

func (t tileRows) load(m Machine, i, q int, v Vec) {
	t.vector(m, i, q, func(w width, a Addr) { w.load(m, q, v, a) })
}

func (t tileRows) store(m Machine, i, q int, v Vec) {
	t.vector(m, i, q, func(w width, a Addr) { w.store(m, q, a, v) })
}

func (t tileRows) vector(m Machine, i, q int, f func(width, Addr)) {
	w := t.w
	w.back = nil
	if t.w.back != nil && q == w.vecs-1 {
		f(w, t.last.At[i])
	} else {
		f(w, t.rows.At[i])
	}
}

// whileRows emits body for tiles of the given height, as often as the parameter
// rows allows, advancing the pointers by their strides.
func whileRows(m Machine, tall int, ptrs []string, body func(rows int)) {
	left := m.Int()
	again, rest := m.NewLabel("tile"), m.NewLabel("rest")
	m.Arg(left, "rows")
	m.JumpIf(left, Less, tall, rest)
	m.Label(again)
	m.FreeInts(left)
	body(tall)
	left, by := m.Int(), m.Int()
	for _, p := range ptrs {
		m.Arg(left, p)
		m.Arg(by, "ld"+p)
		m.MulConst(by, by, tall)
		m.Add(left, by)
		m.SetArg(p, left)
	}
	m.FreeInts(by)
	m.Arg(left, "rows")
	m.AddConst(left, -tall)
	m.SetArg("rows", left)
	m.JumpIf(left, AtLeast, tall, again)
	m.Label(rest)
	m.FreeInts(left)
}

// advance moves parameters that point at rows on by so many of them, and advanceBy by as
// many as a register says. They destroy t.
func advance(m Machine, t Int, rows int, ptrs ...string) {
	for _, p := range ptrs {
		m.Arg(t, "ld"+p)
		m.MulConst(t, t, rows)
		m.AddArg(t, p)
		m.SetArg(p, t)
	}
}

func advanceBy(m Machine, t, rows Int, ptrs ...string) {
	for _, p := range ptrs {
		m.Arg(t, "ld"+p)
		m.Mul(t, rows)
		m.AddArg(t, p)
		m.SetArg(p, t)
	}
}

// byHeight emits body for tiles of the given height, and of all from one row to most for
// the last rows, and advances the pointers by their strides, until the parameter rows is
// used up: of fewer rows than two tiles have, and more than most, the next one takes
// half. It returns from the function.
func byHeight(m Machine, tall, most int, ptrs []string, body func(rows int)) {
	if 2*tall <= most {
		panic("a whole tile may not be the last")
	}
	next, whole, chosen, moveOn := m.NewLabel("next"), m.NewLabel("full"), m.NewLabel("chosen"), m.NewLabel("advance")
	height := m.Int()
	m.Label(next)
	m.Comment("the height of the next tile")
	m.Arg(height, "rows")
	m.JumpIf(height, AtLeast, 2*tall, whole)
	m.JumpIf(height, AtMost, most, chosen)
	m.AddConst(height, 1)
	m.Halve(height)
	m.Jump(chosen)
	m.Label(whole)
	m.Const(height, tall)
	m.Label(chosen)
	none := m.NewLabel("none")
	m.JumpIf(height, Equal, 0, none)
	among(m, height, 1, most, func(r int) {
		body(r)
		if 2*r <= most {
			m.Return() // it was the last one
			return
		}
		if again := m.Int(); again != height {
			panic("the register of height is not free again")
		}
		m.Const(height, r)
		m.Jump(moveOn)
		m.FreeInts(height)
	})
	m.Label(moveOn)
	left := m.Int()
	m.Arg(left, "rows")
	m.Sub(left, height)
	m.SetArg("rows", left)
	m.JumpIf(left, AtMost, 0, none)
	advanceBy(m, left, height, ptrs...)
	m.Jump(next)
	m.Label(none)
	m.Return()
	m.FreeInts(height, left)
}

func panel(m Machine) {
	s := m.Spec()
	m.Func("panel", sig(m, "func(c *T, ldc uintptr, init *T, ldinit uintptr, a *T, lda, stepa uintptr, b *T, ldb, soon, ldsoon, then uintptr, rows, cols, n, act int)"),
		"c[i,j] = act(init[i,j] + Σ_p a[i,p]·b[p,j]),  i < rows, j < cols, p < n",
		"",
		"Each sum is one chain of fused multiply-adds in order of p; a zero is +0.",
		"The rows of c, init and b are ldc, ldinit and ldb bytes apart, and a[i,p] is",
		"i·lda + p·stepa bytes behind a. cols is at least 1 and at most a panel's.",
		"",
		"What will be b next is at soon, rows of it ldsoon bytes apart. If it takes long",
		"enough the first tile asks for the first cache line of n rows, the second for",
		"the next one, and so on. If nothing is wanted soon is any address in use and",
		"ldsoon is 0. What will be c is at then.")
	cols := arg(m, "cols")
	byWidth(m, cols, maxCols, s.LastBytes, func(w width) {
		tall := panelRows(s, w)
		byHeight(m, tall, panelMost(s, w), []string{"c", "init", "a"}, func(rows int) {
			if rows == tall {
				then := func(c Int) { // of the next call, if this is the last tile
					left, more := m.Int(), m.NewLabel("more")
					m.Arg(left, "rows")
					m.JumpIf(left, AtLeast, 2*tall, more)
					m.Arg(c, "then")
					m.Label(more)
					m.FreeInts(left)
				}
				prefetchTile(m, rows, w, then)
			}
			beside := nothing
			if rows <= tall && rows*w.vecs >= s.SoonFrom {
				beside = prefetching
			}
			panelTile(m, rows, w, beside)
			soon := arg(m, "soon")
			m.AddConst(soon, line)
			m.SetArg("soon", soon)
			m.FreeInts(soon)
		})
	})
}

// packing is panel for its first rows, whose loop over the terms has time to
// store b as well.
func packing(m Machine) {
	m.Func("packing", sig(m, "func(dst *T, c *T, ldc uintptr, init *T, ldinit uintptr, a *T, lda, stepa uintptr, b *T, ldb uintptr, n, act int)"),
		"What panel computes, for as many rows as the widest panel's tile has and all",
		"columns of a panel; b is copied to dst, where its rows lie tight.")
	w := full(maxCols, m.Spec().VecBytes)
	tall := panelRows(m.Spec(), w)
	prefetchTile(m, tall, w, func(Int) {})
	panelTile(m, tall, w, copying)
	m.Return()
}

// tallLeast and tallMost bound the columns for which tall is faster than panel, whose last
// vector would be partly empty: from more than eight, or with 16 lanes from eight, up to
// 11/8 vectors, or what fits into registers beside some columns of a.
func tallLeast(s Spec) int { return 8 + 8/s.Lanes() }
func tallMost(s Spec) int  { return min(s.Lanes()*11/8, s.Vecs-s.Columns-1-s.PartVecs) }

// tall is panel for many rows of few columns: c is computed in columns, and a is
// transposed in the registers, a few terms at a time.
func tall(m Machine) {
	s := m.Spec()
	m.Func("tall", sig(m, "func(c *T, ldc uintptr, bias *T, a *T, lda uintptr, b *T, ldb uintptr, rows, cols, n, act int, down uintptr)"),
		"c[i,j] = act(bias[j] + Σ_p a[i,p]·b[p,j]),  i < rows, j < cols, p < n",
		"",
		"What panel computes. rows is a multiple of a vector's lanes, cols tallLeast to",
		"tallMost. down is ldb times as many terms as are taken at a time.")
	byValue(m, "cols", tallLeast(s), tallMost(s), func(cols int) {
		tallTile(m, cols)
		m.Return()
	})
}

// tallTile computes as many rows as a vector has lanes at a time.
func tallTile(m Machine, cols int) {
	s := m.Spec()
	lanes, size, wide := s.Lanes(), s.Float.Size, s.Columns
	again := m.NewLabel("again")
	n := arg(m, "n")
	part := m.Short(wide * size).MakePart(n)
	m.Label(again)
	m.Comment("acc[j] = bias[j], %d rows", lanes)
	bias, acc := arg(m, "bias"), m.VecsOf(cols)
	for j, v := range acc {
		m.Splat(v, At(bias, j*size))
	}
	m.FreeInts(bias)
	ap, lda, bp, ldb := arg(m, "a"), arg(m, "lda"), arg(m, "b"), arg(m, "ldb")
	a, b := m.Rows(lanes, ap, lda), m.Rows(wide, bp, ldb)
	m.Arg(n, "n")

	terms := func(vs []Vec, then func(p int)) {
		x := m.Vec()
		defer m.FreeVecs(x)
		for p, v := range vs {
			for j := range acc {
				m.Scalars(x, b.At[p].Plus(j*size), 1, 1)
				m.FMAScalar(acc[j], v, x, 0)
			}
			then(p)
		}
	}
	square, tail, end := m.NewLabel("square"), m.NewLabel("tail"), m.NewLabel("end")
	m.JumpIf(n, Less, wide, tail)
	m.Comment("acc[j] = fma(a[i,p], b[p,j], acc[j]), %d p at a time", wide)
	m.Label(square)
	vs := m.LoadColumns(a.At, 0, nil)
	terms(vs, func(int) {})
	m.FreeVecs(vs...)
	a.stepConst(m, wide*size)
	b.eachBase(func(p Int) { m.AddArg(p, "down") })
	m.AddConst(n, -wide)
	m.JumpIf(n, AtLeast, wide, square)
	m.Label(tail)
	m.JumpIf(n, AtMost, 0, end)
	m.Comment("the same for fewer p")
	vs = m.LoadColumns(a.At, 0, &part)
	terms(vs[:wide-1], func(p int) {
		if p < wide-2 {
			m.JumpIf(n, Equal, p+1, end)
		}
	})
	m.FreeVecs(vs...)
	m.Label(end)
	m.FreeRows(a)
	m.FreeRows(b)
	m.FreeInts(ap, lda, bp, ldb)

	m.Comment("c[i,j] = act(acc[j])")
	act, x := arg(m, "act"), m.Vec()
	finish(m, acc, act, x)
	m.FreeInts(act)
	m.FreeVecs(x)
	cp, ldc := arg(m, "c"), arg(m, "ldc")
	c := m.Rows(lanes, cp, ldc)
	m.StoreTurned(c.At, acc, nil)
	m.FreeRows(c)
	m.FreeInts(cp, ldc)
	advance(m, n, lanes, "a", "c")
	m.Arg(n, "rows")
	m.AddConst(n, -lanes)
	m.SetArg("rows", n)
	m.JumpIf(n, AtLeast, lanes, again)
	m.FreePart(part)
	m.FreeInts(n)
}

// panelCols is how many columns the widest panel has, panelHeight how many rows its tiles
// have.
func panelCols(s Spec) int   { return maxCols * s.Lanes() }
func panelHeight(s Spec) int { return panelRows(s, full(maxCols, s.VecBytes)) }

// panelRows is how many rows a tile has: as many accumulators as fit beside
// rows of b, a register for a and a part.
func panelRows(s Spec, w width) int { return min(tileRoom(s, w), maxRows) }

func tileRoom(s Spec, w width) int {
	others := s.Scalars*w.vecs + 1
	if w.part != nil {
		others += s.PartVecs
	}
	return (s.Vecs - others) / w.vecs
}

// panelMost is how many rows the last tile may have: half as many again if each is one
// vector, as two tiles of half the rows would wait for their sums.
func panelMost(s Spec, w width) int {
	if w.vecs > 1 {
		return panelRows(s, w)
	}
	return min(tileRoom(s, w), maxRows+maxRows/2)
}

func panelTile(m Machine, r int, w width, aside aside) {
	acc := loadTile(m, r, w, "init", "ldinit")
	x := m.Vec()
	foldTile(m, acc, w, x, aside)

	m.Comment("c[i,j] = act(acc[i,j])")
	act := arg(m, "act")
	finish(m, slices.Concat(acc...), act, x)
	m.FreeInts(act)
	m.FreeVecs(x)
	storeTile(m, acc, w, "c", "ldc")
}

// prefetchTerms is from how many terms on it is worth asking for c ahead of its use.
const prefetchTerms = 128

// prefetchTile asks for the next tile of c, the one below or what then says,
// while this one has many terms to go.
func prefetchTile(m Machine, r int, w width, then func(c Int)) {
	base, ld, few := m.Int(), m.Int(), m.NewLabel("few")
	m.Arg(ld, "n")
	m.JumpIf(ld, Less, prefetchTerms, few)
	m.Comment("c of the next tile, %d×%d vectors", r, w.vecs)
	m.Arg(ld, "ldc")
	m.MulConst(base, ld, r)
	next := arg(m, "c")
	m.Add(base, next)
	m.FreeInts(next)
	then(base)
	rows := m.Rows(r, base, ld)
	for _, a := range rows.At {
		linesOf(a, w.vecs*m.Spec().VecBytes, m.PrefetchSoon)
	}
	m.FreeRows(rows)
	m.FreeInts(base, ld)
	m.Label(few)
}

// line is the size of a cache line that the prefetches count on, as package kernels does.
const line = 64

// linesOf calls prefetch for every line of so many bytes.
func linesOf(a Addr, bytes int, prefetch func(Addr)) {
	for d := 0; d < bytes; d += line {
		prefetch(a.Plus(d))
	}
	prefetch(a.Plus(bytes - 1))
}

// foldTile continues acc with all terms, taking as many at a time as the
// machine holds scalars if they are neighbours in a. It destroys x.
func foldTile(m Machine, acc [][]Vec, w width, x Vec, aside aside) {
	s := m.Spec()
	end := m.NewLabel("folded")
	f := loadFactors(m, len(acc), end)
	row, free := aside(m, f)

	terms := func(count int) {
		var bp []Vec
		for range count {
			vs := m.VecsOf(w.vecs)
			for q, v := range vs {
				w.load(m, q, v, At(f.b, 0))
			}
			m.Add(f.b, f.ldb)
			row(vs)
			bp = append(bp, vs...)
		}
		for i := range acc {
			m.Scalars(x, f.a.At[i], count, w.vecs)
			for e := range count {
				for q, v := range acc[i] {
					w.on(m, q).FMAScalar(v, bp[e*w.vecs+q], x, e)
				}
			}
		}
		m.FreeVecs(bp...)
	}
	if s.Scalars > 1 {
		m.Comment("acc[i,j] = fma(a[i,p], b[p,j], acc[i,j]), %d neighbours p at a time", s.Scalars)
		several, single := m.NewLabel("several"), m.NewLabel("single")
		m.JumpIf(f.step, NotEqual, s.Float.Size, single)
		m.JumpIf(f.n, Less, s.Scalars, single)
		m.Label(several)
		terms(s.Scalars)
		f.a.stepConst(m, s.Scalars*s.Float.Size)
		m.AddConst(f.n, -s.Scalars)
		m.JumpIf(f.n, AtLeast, s.Scalars, several)
		m.JumpIf(f.n, Equal, 0, end)
		m.Label(single)
	}
	m.Comment("acc[i,j] = fma(a[i,p], b[p,j], acc[i,j])")
	loop := m.NewLabel("fold")
	m.Label(loop)
	terms(1)
	f.a.step(m, f.step)
	m.LoopDown(f.n, loop)
	m.Label(end)
	free()
	f.free(m)
}

// An aside is what foldTile does besides with each row of the right factor, in
// the time that the multiply-adds leave.
type aside func(m Machine, f factors) (row func([]Vec), free func())

// nothing leaves that time to the multiply-adds.
func nothing(Machine, factors) (row func([]Vec), free func()) {
	return func([]Vec) {}, func() {}
}

// prefetching asks for the right factor that comes next.
func prefetching(m Machine, _ factors) (row func([]Vec), free func()) {
	soon, step := arg(m, "soon"), arg(m, "ldsoon")
	return func([]Vec) {
		m.PrefetchSoon(At(soon, 0))
		m.Add(soon, step)
	}, func() { m.FreeInts(soon, step) }
}

// copying stores the row at the parameter dst. The rows are far apart, so it asks
// for them early.
func copying(m Machine, f factors) (row func([]Vec), free func()) {
	soon, dst := m.Int(), m.Int()
	m.Arg(dst, "dst")
	m.MulConst(soon, f.ldb, rowsAhead)
	m.Add(soon, f.b)
	return func(vs []Vec) {
		bytes := len(vs) * m.Spec().VecBytes
		for q, v := range vs {
			m.Store(At(dst, q*m.Spec().VecBytes), v)
		}
		linesOf(At(soon, 0), bytes, m.Prefetch)
		m.Add(soon, f.ldb)
		m.AddConst(dst, bytes)
	}, func() { m.FreeInts(soon, dst) }
}

// rowsAhead is how far ahead of its use a row is prefetched.
const rowsAhead = 8

// factors are the operands of a product as a loop over its terms steps on.
type factors struct {
	a            Rows // rows of the left factor, step bytes from term to term
	b            Int  // a row of the right factor, ldb bytes from the next
	step, ldb, n Int
	base, lda    Int
}

// loadFactors loads them from the parameters, or jumps to end if there is no
// term.
func loadFactors(m Machine, rows int, end string) factors {
	f := factors{base: m.Int(), lda: m.Int(), step: m.Int(), b: m.Int(), ldb: m.Int(), n: m.Int()}
	m.Arg(f.n, "n")
	m.JumpIf(f.n, AtMost, 0, end)
	m.Arg(f.base, "a")
	m.Arg(f.lda, "lda")
	m.Arg(f.step, "stepa")
	m.Arg(f.b, "b")
	m.Arg(f.ldb, "ldb")
	f.a = m.Rows(rows, f.base, f.lda)
	return f
}

func (f factors) free(m Machine) {
	m.FreeRows(f.a)
	m.FreeInts(f.base, f.lda, f.step, f.b, f.ldb, f.n)
}

// loadTile loads r rows from the parameter ptr, whose rows are ld bytes apart;
// a single row needs no ld, and no row nothing.
func loadTile(m Machine, r int, w width, ptr, ld string) [][]Vec {
	if r == 0 {
		return nil
	}
	m.Comment("acc[i,j] = %s[i,j], %d×%d vectors", ptr, r, w.vecs)
	base, stride := m.Int(), m.Int()
	m.Arg(base, ptr)
	if r > 1 {
		m.Arg(stride, ld)
	}
	rows := w.rows(m, r, base, stride)
	acc := make([][]Vec, r)
	for i := range acc {
		acc[i] = m.VecsOf(w.vecs)
		for q, v := range acc[i] {
			rows.load(m, i, q, v)
		}
	}
	rows.free(m)
	m.FreeInts(base, stride)
	return acc
}

// storeTile is the reverse of loadTile. The accumulators are free after it.
func storeTile(m Machine, acc [][]Vec, w width, ptr, ld string) {
	if len(acc) == 0 {
		return
	}
	base, stride := m.Int(), m.Int()
	m.Arg(base, ptr)
	if len(acc) > 1 {
		m.Arg(stride, ld)
	}
	rows := w.rows(m, len(acc), base, stride)
	for i := range acc {
		for q, v := range acc[i] {
			rows.store(m, i, q, v)
		}
		m.FreeVecs(acc[i]...)
	}
	rows.free(m)
	m.FreeInts(base, stride)
}

// finish makes every zero +0 and applies the activation. It leaves +0 in zero.
func finish(m Machine, vs []Vec, act Int, zero Vec) {
	positive(m, vs, zero)
	linear := m.NewLabel("linear")
	m.JumpIf(act, NotEqual, relu, linear)
	for _, v := range vs {
		m.ReLU(v, zero)
	}
	m.Label(linear)
}

// positive makes every zero of vs +0. It leaves +0 in t.
func positive(m Machine, vs []Vec, t Vec) {
	m.Zero(t)
	for _, v := range vs {
		m.AddVec(v, v, t)
	}
}

// chains is the number of interleaved chains of a narrow layer and of a loss, as in package
// kernels.
const chains = 16

// A piece of a block is a vector or a part of one.
type piece struct{ part *Part }

// of is vector q of so many: the last one is p, and the others are whole.
func (p piece) of(q, vecs int) piece {
	if q == vecs-1 {
		return p
	}
	return piece{}
}

func (p piece) load(m Machine, q int, v Vec, a Addr) {
	a = a.Plus(q * m.Spec().VecBytes)
	if p.part != nil {
		m.LoadPart(v, a, *p.part)
	} else {
		m.Load(v, a)
	}
}

func (p piece) store(m Machine, q int, a Addr, v Vec) {
	a = a.Plus(q * m.Spec().VecBytes)
	if p.part != nil {
		m.StorePart(a, v, *p.part)
	} else {
		m.Store(a, v)
	}
}

// storeUnread is store where nothing is loaded soon that lies near.
func (p piece) storeUnread(m Machine, q int, a Addr, v Vec) {
	if p.part != nil {
		m.StorePartUnread(a.Plus(q*m.Spec().VecBytes), v, *p.part)
	} else {
		p.store(m, q, a, v)
	}
}

// inBlocks runs over n elements in blocks of vecs vectors: body handles the
// q-th vector of a block, step moves on by a block's bytes. In the last block
// vectors may be missing and one may be a part.
func inBlocks(m Machine, n Int, vecs int, body func(q int, w piece), step func(bytes int)) {
	part := m.MakePart(n)
	inBlocksOf(m, n, vecs, part, body, step)
	m.FreePart(part)
}

// inBlocksOf is inBlocks with the part of n made before.
func inBlocksOf(m Machine, n Int, vecs int, p Part, body func(q int, w piece), step func(bytes int)) {
	s := m.Spec()
	block := vecs * s.Lanes()
	loop, tail, end := m.NewLabel("block"), m.NewLabel("tail"), m.NewLabel("end")
	m.JumpIf(n, Less, block, tail)
	m.Label(loop)
	for q := range vecs {
		body(q, piece{})
	}
	step(vecs * s.VecBytes)
	m.AddConst(n, -block)
	m.JumpIf(n, AtLeast, block, loop)

	m.Label(tail)
	for q := range vecs {
		m.JumpIf(n, AtMost, q*s.Lanes(), end)
		part := m.NewLabel("part")
		if q < vecs-1 {
			m.JumpIf(n, Less, (q+1)*s.Lanes(), part)
			body(q, piece{})
			over := m.NewLabel("over")
			m.Jump(over)
			m.Label(part)
			body(q, piece{&p})
			m.Jump(end)
			m.Label(over)
		} else {
			body(q, piece{&p})
			m.Jump(end)
		}
	}
	m.Label(end)
}

// halve adds the vectors of sixteen lanes up to one.
func halve(m Machine, acc []Vec) {
	for half := len(acc) / 2; half > 0; half /= 2 {
		for q := range half {
			m.AddVec(acc[q], acc[q], acc[q+half])
		}
	}
}
