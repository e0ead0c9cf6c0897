package main

import "slices"

// The kernels of narrow layers, those with few outputs. narrow takes one output at a time.
// tree (few inputs), abreast, trees, unpacked and several take all of them together, and pay
// for ever more rows in that order; several, for which columns copies w, takes inputs in
// pieces, too. narrowBoth is the backward pass, also of layers that are a little wider.

// narrow takes sixteen terms of a row at once, and as many rows as a vector has
// lanes; of the last ones nearly so many in such a square with some before them, else
// four, two and one. If there are no more terms than that, w stays in registers.
func narrow(m Machine) {
	m.Func("narrow", sig(m, "func(y *T, ldy uintptr, x *T, ldx uintptr, w, bias *T, rows, n, act int)"),
		"y[i] = act(bias + Σ_k x[i,k]·w[k]),  i < rows, k < n",
		"",
		"The sum is sixteen chains of fused multiply-adds, term k in chain k mod 16,",
		"the first from bias and the others from +0, halved at the end; a zero is +0.",
		"The elements of y are ldy bytes apart, the rows of x ldx; w lies tight.")
	lanes := m.Spec().Lanes()
	n := arg(m, "n")
	part := m.MakePart(n)
	long := m.NewLabel("long")
	m.JumpIf(n, AtMost, 0, long)
	m.JumpIf(n, AtLeast, chains+1, long)
	rows := arg(m, "rows")
	m.JumpIf(rows, Less, lanes, long)
	m.FreeInts(rows, n)
	for vecs := 1; vecs <= chains/lanes; vecs++ {
		n := arg(m, "n")
		more, partly := m.NewLabel("more"), m.NewLabel("part")
		m.JumpIf(n, AtLeast, vecs*lanes+1, more)
		m.JumpIf(n, Less, vecs*lanes, partly)
		m.FreeInts(n)
		narrowShort(m, vecs, piece{})
		m.Label(partly)
		narrowShort(m, vecs, piece{&part})
		m.Label(more)
	}
	m.Label(long)
	fewer, squares := m.NewLabel("fewer"), m.NewLabel("squares")
	left := arg(m, "rows")
	m.JumpIf(left, Less, lanes, fewer)
	m.Label(squares)
	m.FreeInts(left)
	whileRows(m, lanes, []string{"y", "x"}, func(rows int) { narrowSquare(m, rows, part) })
	if again := narrowAgain(m.Spec()); again < lanes {
		left, by := arg(m, "rows"), m.Int()
		m.JumpIf(left, Less, again, fewer)
		m.Comment("the last %d rows, some once more", lanes)
		m.AddConst(left, -lanes)
		advanceBy(m, by, left, "y", "x")
		m.Const(left, lanes)
		m.SetArg("rows", left)
		m.Jump(squares)
		m.FreeInts(left, by)
	}
	m.Label(fewer)
	for r := 4; r >= 1; r /= 2 {
		if r < lanes {
			whileRows(m, r, []string{"y", "x"}, func(rows int) { narrowRows(m, rows, part) })
		}
	}
	m.FreePart(part)
	m.Return()
}

// narrowAgain is from how many last rows on a square of them, and of some before them, is
// faster than they alone.
func narrowAgain(s Spec) int { return s.Lanes() - s.Lanes()/8 }

// narrowShort computes all rows, of so many vectors of which the last is a whole
// one or a part, as many at a time as a vector has lanes: the last ones perhaps
// once more.
func narrowShort(m Machine, vecs int, last piece) {
	lanes := m.Spec().Lanes()
	load := func(q int, v Vec, a Addr) { last.of(q, vecs).load(m, q, v, a) }
	m.Comment("w, %d vectors", vecs)
	w, bias := m.VecsOf(vecs), m.Vec()
	n, p := m.Int(), m.Int()
	if last.part != nil {
		m.Arg(n, "n")
		last.part.Count = n
	}
	m.Arg(p, "w")
	for q, v := range w {
		load(q, v, At(p, 0))
	}
	m.Arg(p, "bias")
	m.LoadOne(bias, At(p, 0))
	m.FreeInts(p)
	base, stride, y, ldy := arg(m, "x"), arg(m, "ldx"), arg(m, "y"), arg(m, "ldy")
	left, act := arg(m, "rows"), arg(m, "act")
	again, done := m.NewLabel("rows"), m.NewLabel("done")
	m.Label(again)
	m.Comment("lane[k] = x[i,k]·w[k], the first vector's from bias; halved")
	x := m.Rows(lanes, base, stride)
	var sums []Vec
	for i := range lanes {
		acc := m.VecsOf(vecs)
		t := m.Vec()
		load(0, t, x.At[i])
		m.Move(acc[0], bias)
		m.FMA(acc[0], t, w[0])
		m.FreeVecs(t)
		for q := 1; q < vecs; q++ {
			load(q, acc[q], x.At[i])
			m.MulVec(acc[q], acc[q], w[q])
		}
		for half := chains / lanes / 2; half > 0; half /= 2 {
			for q := half; q < min(2*half, vecs); q++ {
				m.AddVec(acc[q-half], acc[q-half], acc[q])
			}
		}
		m.FreeVecs(acc[1:]...)
		sums = append(sums, acc[0])
	}
	m.FreeRows(x)
	v, t := m.FoldSquare(sums), m.Vec()
	finish(m, []Vec{v}, act, t)
	storeColumn(m, v, y, ldy, t)
	m.FreeVecs(t)
	m.FreeVecs(sums...)

	m.Comment("the next %d rows, or the last ones", lanes)
	by := m.Int()
	for _, p := range [][2]Int{{base, stride}, {y, ldy}} {
		m.MulConst(by, p[1], lanes)
		m.Add(p[0], by)
	}
	m.AddConst(left, -lanes)
	m.JumpIf(left, AtLeast, lanes, again)
	m.JumpIf(left, AtMost, 0, done)
	m.AddConst(left, -lanes)
	for _, p := range [][2]Int{{base, stride}, {y, ldy}} {
		m.Copy(by, p[1])
		m.Mul(by, left)
		m.Add(p[0], by)
	}
	m.FreeInts(by)
	m.Const(left, lanes)
	m.Jump(again)
	m.Label(done)
	m.FreeInts(base, stride, y, ldy, left, act, n)
	m.FreeVecs(w...)
	m.FreeVecs(bias)
	m.Return()
}

// storeColumn stores the elements of v at y, ldy bytes apart. It may destroy t.
func storeColumn(m Machine, v Vec, y, ldy Int, t Vec) {
	s := m.Spec()
	apart, stored := m.NewLabel("apart"), m.NewLabel("stored")
	m.JumpIf(ldy, NotEqual, s.Float.Size, apart)
	m.Store(At(y, 0), v)
	m.Jump(stored)
	m.Label(apart)
	rows := m.Rows(s.Lanes(), y, ldy)
	m.StoreLanes(rows.At, v, t)
	m.FreeRows(rows)
	m.Label(stored)
}

// narrowSquare computes as many rows as a vector has lanes.
func narrowSquare(m Machine, r int, part Part) {
	s := m.Spec()
	var sums []Vec
	for group := narrowGroup(s); len(sums) < r; {
		sums = append(sums, narrowSums(m, len(sums), group, part)...)
	}
	v := m.FoldSquare(sums)
	t := m.Vec()
	act := arg(m, "act")
	finish(m, []Vec{v}, act, t)
	m.FreeInts(act)
	base, stride := arg(m, "y"), arg(m, "ldy")
	storeColumn(m, v, base, stride, t)
	m.FreeInts(base, stride)
	m.FreeVecs(t)
	m.FreeVecs(sums...)
}

// narrowGroup is how many rows of a square can have all their chains at once,
// beside the sums of the others, w, x and a part.
func narrowGroup(s Spec) int {
	for group := s.Lanes(); ; group /= 2 {
		if group*chains/s.Lanes()+s.Lanes()-group+2+s.PartVecs <= s.Vecs {
			return group
		}
	}
}

// narrowSums folds rows from to from+r-1 of x and halves each sum to a vector.
func narrowSums(m Machine, from, r int, part Part) []Vec {
	vecs := chains / m.Spec().Lanes()
	m.Comment("%d rows: acc[i,0] = bias, the other lanes +0", r)
	p := arg(m, "bias")
	acc := make([][]Vec, r)
	for i := range acc {
		acc[i] = m.VecsOf(vecs)
		for q, v := range acc[i] {
			if q > 0 {
				m.Zero(v)
			} else if i > 0 {
				m.Move(v, acc[0][0])
			} else {
				m.LoadOne(v, At(p, 0))
			}
		}
	}
	m.FreeInts(p)

	base, stride := arg(m, "x"), arg(m, "ldx")
	if from > 0 {
		skip := m.Int()
		m.MulConst(skip, stride, from)
		m.Add(base, skip)
		m.FreeInts(skip)
	}
	foldChains(m, acc, m.Rows(r, base, stride), part)
	m.FreeInts(base, stride)

	var sums []Vec
	for i := range acc {
		halve(m, acc[i])
		sums = append(sums, acc[i][0])
		m.FreeVecs(acc[i][1:]...)
	}
	return sums
}

// narrowRows computes few rows.
func narrowRows(m Machine, r int, part Part) {
	rows := narrowSums(m, 0, r, part)
	m.Comment("y[i] = act(halved lanes)")
	t := m.Vec()
	sums := m.FoldRows(rows, t)
	act := arg(m, "act")
	var vs []Vec
	for _, l := range sums {
		vs = append(vs, l.Vec)
	}
	finish(m, slices.Compact(vs), act, t)
	m.FreeInts(act)
	base, stride := arg(m, "y"), arg(m, "ldy")
	y := m.Rows(r, base, stride)
	for i, l := range sums {
		m.StoreLane(y.At[i], l)
	}
	m.FreeRows(y)
	m.FreeInts(base, stride)
	m.FreeVecs(t)
	m.FreeVecs(rows...)
}

// foldChains continues the sixteen lanes acc[i] with x[i,k]·w[k] for k < n; w
// and n are parameters, and part is made of n. It gives x back.
func foldChains(m Machine, acc [][]Vec, x Rows, part Part) {
	m.Comment("acc[i,k mod 16] = fma(x[i,k], w[k], acc[i,k mod 16])")
	w, n := arg(m, "w"), arg(m, "n")
	wk, xk := m.Vec(), m.Vec()
	part.Count = n
	inBlocksOf(m, n, len(acc[0]), part, func(q int, p piece) {
		p.load(m, q, wk, At(w, 0))
		for i := range acc {
			p.load(m, q, xk, x.At[i])
			m.FMA(acc[i][q], xk, wk)
		}
	}, func(bytes int) {
		m.AddConst(w, bytes)
		x.stepConst(m, bytes)
	})
	m.FreeVecs(wk, xk)
	m.FreeInts(w, n)
	m.FreeRows(x)
}

// widest is how many outputs a narrow layer has at the most: one fewer than narrow in package
// kernels.
const widest = 7

// shortBytes are the vectors of abreast and tree if the outputs fit: a part of a longer
// one takes twice the time on some machines, and more often lies across cache lines.
const shortBytes = 32

// abreastVecs is how many vectors of outputs abreast has.
const abreastVecs = 2

// byOutputs emits body for the outputs of a narrow layer, least to most of them side by side
// in vectors as short as hold them all, or else in several of the longest: the last of
// these is a whole one or a part. body returns from the function.
func byOutputs(m Machine, least, most int, body func(m Machine, vecs int, last piece)) {
	cols := arg(m, "cols")
	for bytes, vecs := shortBytes, 1; ; {
		s := m.Short(bytes)
		held, partly, more := vecs*s.Spec().Lanes(), m.NewLabel("part"), m.NewLabel("more")
		if held < min(most, widest) {
			m.JumpIf(cols, AtLeast, held+1, more)
		}
		if held <= widest {
			if held > least {
				m.JumpIf(cols, NotEqual, held, partly)
			}
			body(s, vecs, piece{})
			m.Label(partly)
		}
		if held > least {
			part := s.MakePart(cols)
			body(s, vecs, piece{&part})
			s.FreePart(part)
		}
		switch {
		case held >= min(most, widest):
			m.FreeInts(cols)
			return
		case bytes < m.Spec().VecBytes:
			bytes *= 2
		default:
			vecs++
		}
		m.Label(more)
	}
}

// abreast computes the outputs of a row side by side, each of their chains in
// vectors of its own: w is taken as it lies, row by row. It is what few rows
// are worth.
func abreast(m Machine) {
	m.Func("abreast", sig(m, "func(y *T, ldy uintptr, x *T, ldx uintptr, w *T, ldw uintptr, bias *T, rows, cols, n, act int)"),
		"y[i,j] = act(bias[j] + Σ_k x[i,k]·w[k,j]),  i < rows, j < cols, k < n",
		"",
		"Each sum is sixteen chains of fused multiply-adds, as those of narrow. The",
		"rows of y, x and w are as many bytes apart as follows each. cols is 1 to twice",
		"the lanes of a vector, and no more than 7.")
	byOutputs(m, 1, abreastVecs*m.Spec().Lanes(), abreastRows)
}

// abreastRows computes all rows, of so many vectors of which the last is a whole
// one or a part, and returns from the function.
func abreastRows(m Machine, vecs int, last piece) {
	whileRows(m, 1, []string{"y", "x"}, func(int) {
		r := abreastRow{m, vecs, last}
		acc, zero, act, y := r.sum(0, 1), m.Vec(), m.Int(), m.Int()
		m.Arg(act, "act")
		m.Arg(y, "y")
		finish(m, acc, act, zero)
		for q, v := range acc {
			r.piece(q).storeUnread(m, q, At(y, 0), v)
		}
		m.FreeInts(act, y)
		m.FreeVecs(zero)
		m.FreeVecs(acc...)
	})
	m.Return()
}

// An abreastRow is a row of sums.
type abreastRow struct {
	m    Machine
	vecs int
	last piece
}

func (r abreastRow) piece(q int) piece { return r.last.of(q, r.vecs) }

// sum is the sum of the chains from, from+step and so on, halved: of as many at
// once as there are registers for, beside sums of others, w, x and a part.
func (r abreastRow) sum(from, step int) []Vec {
	s, held := r.m.Spec(), 0
	for count := chains / step; count > 1 && (count+held)*r.vecs+2+s.PartVecs > s.Vecs; count /= 2 {
		held++
	}
	var acc [][]Vec
	if held > 0 {
		acc = [][]Vec{r.sum(from, 2*step), r.sum(from+step, 2*step)}
	} else {
		acc = r.fold(from, step)
	}
	for half := len(acc) / 2; half > 0; half /= 2 {
		for i, vs := range acc[half : 2*half] {
			for q, v := range vs {
				r.m.AddVec(acc[i][q], acc[i][q], v)
			}
			r.m.FreeVecs(vs...)
		}
	}
	return acc[0]
}

// fold computes the chains from, from+step and so on.
func (r abreastRow) fold(from, step int) [][]Vec {
	m, size := r.m, r.m.Spec().Float.Size
	w, ldw, x, n := m.Int(), m.Int(), m.Int(), m.Int()
	m.Comment("chains %d, %d …: the first of all from bias, the others from +0", from, from+step)
	var acc [][]Vec
	for l := from; l < chains; l += step {
		vs := m.VecsOf(r.vecs)
		if l == 0 {
			m.Arg(w, "bias")
		}
		for q, v := range vs {
			if l == 0 {
				r.piece(q).load(m, q, v, At(w, 0))
			} else {
				m.Zero(v)
			}
		}
		acc = append(acc, vs)
	}
	m.Arg(w, "w")
	m.Arg(ldw, "ldw")
	m.Arg(x, "x")
	m.Arg(n, "n")
	if from > 0 {
		skip := m.Int()
		m.MulConst(skip, ldw, from)
		m.Add(w, skip)
		m.FreeInts(skip)
	}
	if step > 1 {
		m.MulConst(ldw, ldw, step)
	}
	wk, xk := m.Vec(), m.Vec()
	term := func(i int) {
		at := At(x, (from+i*step)*size)
		m.Scalars(xk, at, 1, r.vecs)
		for q, v := range acc[i] {
			r.piece(q).load(m, q, wk, At(w, 0))
			m.FMAScalar(v, wk, xk, 0)
		}
		m.Add(w, ldw)
	}
	m.Comment("acc[k mod 16,j] = fma(x[i,k], w[k,j], acc[k mod 16,j])")
	block, tail, end := m.NewLabel("block"), m.NewLabel("tail"), m.NewLabel("end")
	m.JumpIf(n, Less, chains, tail)
	m.Label(block)
	for i := range acc {
		term(i)
	}
	m.AddConst(x, chains*size)
	m.AddConst(n, -chains)
	m.JumpIf(n, AtLeast, chains, block)
	m.Label(tail)
	for i := range acc {
		m.JumpIf(n, AtMost, from+i*step, end)
		term(i)
	}
	m.Label(end)
	m.FreeVecs(wk, xk)
	m.FreeInts(w, ldw, x, n)
	return acc
}

// treeTerms is how many inputs tree can have: their rows of w are in registers, beside
// the bias, what is left to add, a part, and an element of x if a chain has two terms.
// Short vectors have better ways to take more than there are chains.
func treeTerms(s Spec) int {
	most := s.Vecs - 5 - s.PartVecs
	if s.Lanes() <= widest {
		return min(most, chains)
	}
	return max(min(most, chains), most-1)
}

// treeCols is how many outputs tree can have.
func treeCols(s Spec) int { return min(s.Lanes(), widest+1) }

// tree is narrow for so few inputs that each chain has two terms at the most. The
// outputs lie side by side, as those of abreast.
func tree(m Machine) {
	m.Func("tree", sig(m, "func(y *T, ldy uintptr, x *T, ldx uintptr, w *T, ldw uintptr, bias *T, rows, cols, n, act int)"),
		"y[i,j] = act(bias[j] + Σ_k x[i,k]·w[k,j]),  i < rows, j < cols, k < n",
		"",
		"Each sum is sixteen chains, as those of narrow, of two terms at most. The rows of",
		"y, x and w are as many bytes apart as follows each. cols is 1 to treeCols and",
		"no more than 7, n 2 to treeTerms.")
	byValue(m, "n", 2, treeTerms(m.Spec()), func(n int) {
		byOutputs(m, 1, treeCols(m.Spec()), func(m Machine, _ int, p piece) { treeRows(m, n, p) })
	})
}

// treeRows computes all rows and returns from the function.
func treeRows(m Machine, n int, p piece) {
	size := m.Spec().Float.Size
	m.Comment("%d rows of w and the bias", n)
	at, ld := m.Int(), m.Int()
	w, bias := m.VecsOf(n), m.Vec()
	m.Arg(at, "bias")
	p.load(m, 0, bias, At(at, 0))
	m.Arg(at, "w")
	m.Arg(ld, "ldw")
	for k, v := range w {
		p.load(m, 0, v, At(at, 0))
		if k < n-1 {
			m.Add(at, ld)
		}
	}
	m.FreeInts(at, ld)
	y, ldy, x, ldx, left, act := arg(m, "y"), arg(m, "ldy"), arg(m, "x"), arg(m, "ldx"), arg(m, "rows"), arg(m, "act")

	lane := func(k int) []Vec {
		v := m.Vec()
		fold := func(k int) {
			t := m.Vec()
			m.Scalars(t, At(x, k*size), 1, 1)
			m.FMAScalar(v, w[k], t, 0)
			m.FreeVecs(t)
		}
		if k == 0 {
			m.Move(v, bias)
			fold(0)
		} else {
			m.Scalars(v, At(x, k*size), 1, 1)
			m.MulScalar(v, w[k], v)
		}
		if next := k + chains; next < n {
			fold(next)
		}
		return []Vec{v}
	}
	m.Comment("lane[k mod 16,j] = Σ x[i,k]·w[k,j], the first from bias; halved")
	row, done := m.NewLabel("row"), m.NewLabel("done")
	m.Label(row)
	turns := 1
	if n <= 4 {
		turns = 2 // or the loop is so short that it matters how it lies in memory
	}
	for turn := range turns {
		if turn > 0 {
			m.AddConst(left, -1)
			m.JumpIf(left, Equal, 0, done)
		}
		v, t := sumOfLanes(m, min(n, chains), lane), m.Vec()
		finish(m, v, act, t)
		p.storeUnread(m, 0, At(y, 0), v[0])
		m.FreeVecs(v[0], t)
		m.Add(x, ldx)
		m.Add(y, ldy)
	}
	m.LoopDown(left, row)
	m.Label(done)
	m.Return()
	m.FreeInts(y, ldy, x, ldx, left, act)
	m.FreeVecs(bias)
	m.FreeVecs(w...)
}

// sumOfLanes adds the first of sixteen lanes up, lane l + lane l+8 and so on, in an order that
// holds few of them at a time; the others have no terms. lane computes one, of some rows.
func sumOfLanes(m Machine, first int, lane func(k int) []Vec) []Vec {
	// sum is that of the lanes from, from+step and so on.
	var sum func(from, step int) []Vec
	sum = func(from, step int) []Vec {
		if from+step >= first {
			return lane(from)
		}
		vs, others := sum(from, 2*step), sum(from+step, 2*step)
		for i, v := range vs {
			m.AddVec(v, v, others[i])
		}
		m.FreeVecs(others...)
		return vs
	}
	return sum(0, 1)
}

// treesFrom is from how many outputs on there is trees, as in kernels.
const treesFrom = 4

// treesRows is how many rows trees takes at a time: it holds five sums of each at most.
func treesRows(s Spec) int { return s.Vecs / 8 }

// trees is tree for any number of inputs, if no fewer than there are chains: the rows of w
// come from memory, each for some rows of x.
func trees(m Machine) {
	m.Func("trees", sig(m, "func(y *T, ldy uintptr, x *T, ldx uintptr, w *T, ldw uintptr, bias *T, rows, cols, n, act int)"),
		"y[i,j] = act(bias[j] + Σ_k x[i,k]·w[k,j]),  i < rows, j < cols, k < n",
		"",
		"Each sum is sixteen chains, as those of narrow. The rows of y, x and w are as many",
		"bytes apart as follows each. cols is 4 to treeCols and no more than 7, n at least 16.")
	byOutputs(m, treesFrom, treeCols(m.Spec()), func(s Machine, _ int, p piece) {
		for r := treesRows(m.Spec()); r > 0; r /= 2 {
			whileRows(s, r, []string{"y", "x"}, func(r int) { treesTile(s, r, p) })
		}
		s.Return()
	})
}

// treesTile computes r rows.
func treesTile(m Machine, r int, p piece) {
	size := m.Spec().Float.Size
	turns, rest, x, ldx, ldw, ldws := arg(m, "n"), m.Int(), arg(m, "x"), arg(m, "ldx"), arg(m, "ldw"), m.Int()
	for n := chains; n > 1; n /= 2 {
		m.Halve(turns)
	}
	m.Arg(rest, "n")
	m.MulConst(ldws, turns, chains)
	m.Sub(rest, ldws)
	m.MulConst(ldws, ldw, chains)
	xs := m.Rows(r, x, ldx)

	// lane is lane k of each row: term k, k + 16 and so on.
	lane := func(k int) []Vec {
		acc, wv, t := m.VecsOf(r), m.Vec(), m.Vec()
		w, left, by := m.Int(), m.Int(), m.Int()
		m.MulConst(w, ldw, k)
		m.AddArg(w, "w")
		if k == 0 {
			m.Arg(left, "bias")
			p.load(m, 0, wv, At(left, 0))
			for _, v := range acc {
				m.Move(v, wv)
			}
		}
		p.load(m, 0, wv, At(w, 0))
		for i, v := range acc {
			if k == 0 {
				m.Scalars(t, xs.At[i], 1, 1)
				m.FMAScalar(v, wv, t, 0)
			} else {
				m.Scalars(v, xs.At[i].Plus(k*size), 1, 1)
				m.MulScalar(v, wv, v)
			}
		}
		more, again, done := m.NewLabel("more"), m.NewLabel("again"), m.NewLabel("lane")
		m.Copy(left, turns)
		m.JumpIf(rest, AtLeast, k+1, more)
		m.AddConst(left, -1)
		m.JumpIf(left, Equal, 0, done)
		m.Label(more)
		m.MulConst(by, left, chains*size)
		m.Label(again)
		xs.stepConst(m, chains*size)
		m.Add(w, ldws)
		p.load(m, 0, wv, At(w, 0))
		for i, v := range acc {
			m.Scalars(t, xs.At[i].Plus(k*size), 1, 1)
			m.FMAScalar(v, wv, t, 0)
		}
		m.LoopDown(left, again)
		m.Sub(left, by)
		xs.step(m, left)
		m.Label(done)
		m.FreeInts(w, left, by)
		m.FreeVecs(wv, t)
		return acc
	}
	m.Comment("lane[k mod 16,j] = Σ x[i,k]·w[k,j], the first from bias; halved")
	vs := sumOfLanes(m, chains, lane)
	m.FreeRows(xs)
	m.FreeInts(turns, rest, x, ldx, ldw, ldws)
	act, y, ldy, t := arg(m, "act"), arg(m, "y"), arg(m, "ldy"), m.Vec()
	finish(m, vs, act, t)
	ys := m.Rows(r, y, ldy)
	for i, v := range vs {
		p.storeUnread(m, 0, ys.At[i], v)
	}
	m.FreeRows(ys)
	m.FreeInts(act, y, ldy)
	m.FreeVecs(append(vs, t)...)
}

// narrowBothCols is how many outputs narrowBoth can have: their columns of w and
// dw are in registers, beside an element of dz, vectors of x and dx, and zero. Of
// more than two and a half vectors it would not pay.
func narrowBothCols(s Spec) int { return min((s.Vecs-4)/2, 5*s.Lanes()/2) }

// narrowBothParts is whether narrowBoth takes inputs that do not fill a vector, where a
// part costs no register.
func narrowBothParts(s Spec) bool { return s.Masks && s.Lanes() >= 8 }

// narrowBoth is the backward pass of a narrow layer, or one not much wider, but
// for dz and db: for as many inputs as a vector has lanes, the columns of w and dw
// stay in registers while all rows go by.
func narrowBoth(m Machine) {
	s := m.Spec()
	m.Func("narrowBoth", sig(m, "func(dx *T, lddx uintptr, dw *T, lddw uintptr, init *T, ldinit uintptr, dz *T, lddz uintptr, x *T, ldx uintptr, w *T, ldw uintptr, rows, cols, n int)"),
		"dx[i,k] = Σ_j dz[i,j]·w[k,j],  i < n, k < rows, j < cols",
		"dw[k,j] = init[k,j] + Σ_i x[i,k]·dz[i,j]",
		"",
		"Each sum is one chain of fused multiply-adds in order of its index, of dx from",
		"+0 and of dw from init, or +0 where that is nil and ldinit 0; a zero is +0. The",
		"rows of each operand are as many bytes apart as follows it.",
		"rows is a multiple of the lanes of a vector, at least one, or any number if there is",
		"narrowBothParts; cols 2 to narrowBothCols, n at least 1. dx may be nil.")
	byValue(m, "cols", 2, narrowBothCols(s), func(c int) { narrowBothColumns(m, c) })
}

func narrowBothColumns(m Machine, cols int) {
	s := m.Spec()
	lanes, size := s.Lanes(), s.Float.Size
	again := m.NewLabel("inputs")
	m.Label(again)
	m.Comment("%d columns of w and of dw, %d inputs or those that are left", cols, lanes)
	var few *Int
	var part Part
	if narrowBothParts(s) {
		left, parted := m.Int(), m.NewLabel("parted")
		m.Arg(left, "rows")
		part = m.MakePart(left)
		part.Count = left
		m.JumpIf(left, AtMost, lanes, parted)
		m.Const(left, lanes)
		m.Label(parted)
		few = &left
	}
	// perhaps has a vector moved whole, or in part if there are fewer inputs left.
	perhaps := func(whole, partly func()) {
		if few == nil {
			whole()
			return
		}
		all, moved := m.NewLabel("all"), m.NewLabel("moved")
		m.JumpIf(*few, Equal, lanes, all)
		partly()
		m.Jump(moved)
		m.Label(all)
		whole()
		m.Label(moved)
	}
	load := func(name string, p, ld Int) []Vec {
		m.Arg(ld, "ld"+name)
		rows := m.Rows(lanes, p, ld)
		vs := m.LoadTurned(rows.At, cols, few)
		m.FreeRows(rows)
		m.MulConst(ld, ld, lanes)
		m.Add(p, ld)
		m.SetArg(name, p)
		return vs
	}
	p, ld := m.Int(), m.Int()
	m.Arg(p, "w")
	w := load("w", p, ld)
	fresh, ready := m.NewLabel("fresh"), m.NewLabel("ready")
	m.Arg(p, "init")
	m.JumpIf(p, Equal, 0, fresh)
	dw := load("init", p, ld)
	m.Jump(ready)
	m.Label(fresh)
	for _, v := range dw {
		m.Zero(v)
	}
	m.Label(ready)
	m.FreeInts(p, ld)
	zero := m.Vec()
	m.Zero(zero)

	xv, z, sum := m.Vec(), m.Vec(), m.Vec()
	dx, lddx, dz, lddz := arg(m, "dx"), arg(m, "lddx"), arg(m, "dz"), arg(m, "lddz")
	x, ldx, n := arg(m, "x"), arg(m, "ldx"), arg(m, "n")
	without, end := m.NewLabel("without"), m.NewLabel("end")
	m.JumpIf(dx, Equal, 0, without)
	for _, uses := range []int{2, 1} { // of an element of dz: by dw and dx, or by dw
		wanted, loop := uses == 2, m.NewLabel("row")
		if wanted {
			m.Comment("dw[j] = fma(x, dz[j], dw[j]);  dx = fma(dz[j], w[j], dx), from +0")
		} else {
			m.Comment("the same without dx")
		}
		m.Label(loop)
		perhaps(func() { m.Load(xv, At(x, 0)) }, func() { m.LoadPart(xv, At(x, 0), part) })
		if wanted {
			m.Move(sum, zero)
		}
		for j := range cols {
			m.Scalars(z, At(dz, j*size), 1, uses)
			m.FMAScalar(dw[j], xv, z, 0)
			if wanted {
				m.FMAScalar(sum, w[j], z, 0)
			}
		}
		if wanted {
			m.AddVec(sum, sum, zero)
			perhaps(func() { m.Store(At(dx, 0), sum) }, func() { m.StorePartUnread(At(dx, 0), sum, part) })
			m.Add(dx, lddx)
		}
		m.Add(dz, lddz)
		m.Add(x, ldx)
		m.LoopDown(n, loop)
		if wanted {
			m.Comment("dx of the next %d inputs", lanes)
			m.Arg(dx, "dx")
			m.AddConst(dx, s.VecBytes)
			m.SetArg("dx", dx)
			m.Jump(end)
			m.Label(without)
		}
	}
	m.Label(end)
	m.FreeInts(dx, lddx, dz, lddz, ldx, n)
	m.Arg(x, "x")
	m.AddConst(x, s.VecBytes)
	m.SetArg("x", x)
	m.FreeInts(x)
	m.FreeVecs(xv, z, sum)
	m.FreeVecs(w...)

	positive(m, dw, zero)
	m.FreeVecs(zero)
	p, ld = m.Int(), m.Int()
	m.Arg(p, "dw")
	m.Arg(ld, "lddw")
	rows := m.Rows(lanes, p, ld)
	m.StoreTurned(rows.At, dw, few)
	m.FreeRows(rows)
	m.MulConst(ld, ld, lanes)
	m.Add(p, ld)
	m.SetArg("dw", p)
	m.FreeInts(ld)
	if few != nil {
		m.FreePart(part)
		m.FreeInts(*few)
	}
	m.Arg(p, "rows")
	m.AddConst(p, -lanes)
	m.SetArg("rows", p)
	m.JumpIf(p, AtLeast, 1, again)
	m.FreeInts(p)
	m.Return()
}

// columns copies a matrix of few columns to where each of them lies tight.
func columns(m Machine) {
	s := m.Spec()
	m.Func("columns", sig(m, "func(dst *T, ldd uintptr, w *T, ldw uintptr, rows, cols int)"),
		"dst[j,k] = w[k,j],  k < rows, j < cols",
		"",
		"The rows of dst and w are ldd and ldw bytes apart. rows is a multiple of the",
		"lanes of a vector, at least one, cols 1 to 7.")
	byValue(m, "cols", 1, widest, func(c int) {
		dst, ldd, w, ldw, left := arg(m, "dst"), arg(m, "ldd"), arg(m, "w"), arg(m, "ldw"), arg(m, "rows")
		rows, to := m.Rows(s.Lanes(), w, ldw), m.Int()
		by, again := m.Int(), m.NewLabel("rows")
		m.MulConst(by, ldw, s.Lanes())
		m.Label(again)
		vs := m.LoadTurned(rows.At, c, nil)
		m.Copy(to, dst)
		for _, v := range vs {
			m.Store(At(to, 0), v)
			m.Add(to, ldd)
		}
		m.FreeVecs(vs...)
		rows.step(m, by)
		m.AddConst(dst, s.VecBytes)
		m.AddConst(left, -s.Lanes())
		m.JumpIf(left, AtLeast, 1, again)
		m.FreeRows(rows)
		m.FreeInts(dst, ldd, w, ldw, left, to, by)
		m.Return()
	})
}

// severalCols is how many outputs several can have, severalRows how many rows of
// so many it takes at a time: their chains are in registers, beside vectors of w
// and x and a part, and their sums fill one, or are of two rows.
func severalCols(s Spec) int {
	cols := widest
	for severalRows(s, cols) == 0 {
		cols--
	}
	return cols
}

func severalRows(s Spec, cols int) int {
	rows := max(s.Lanes()/cols, 2)
	if cols == 1 {
		rows = 4 // chains as many as a multiply-add takes cycles; one row may have to be all of them
	}
	for ; rows > 0 && rows*cols*chains/s.Lanes()+min(rows, cols)+1+s.PartVecs > s.Vecs; rows-- {
	}
	return rows
}

// severalHeights are these by the number of outputs.
func severalHeights(s Spec) []int {
	heights := make([]int, severalCols(s)+1)
	for cols := 1; cols < len(heights); cols++ {
		heights[cols] = severalRows(s, cols)
	}
	return heights
}

// several is narrow for several outputs, which share what is loaded of x. It can take
// the terms in pieces, so that those of w stay in the first-level cache.
func several(m Machine) {
	s := m.Spec()
	m.Func("several", sig(m, "func(y *T, ldy uintptr, x *T, ldx uintptr, w *T, ldw uintptr, bias, lane *T, rows, cols, n, act int)"),
		"y[i,j] = act(bias[j] + Σ_k x[i,k]·w[j,k]),  i < rows, j < cols, k < n",
		"",
		"Each sum is sixteen chains of fused multiply-adds, as those of narrow. The",
		"rows of y, x and w are as many bytes apart as follows each. cols is 1 to",
		"len(severalRows)-1, rows at least severalRows[cols]. If y is nil and ldy 0, the",
		"chains are left at lane, to go on from in a call of as many rows with a nil bias:",
		"16·cols for each row, of these and as many as make a multiple of severalRows[cols].",
		"Without, lane may be nil.")
	n := arg(m, "n")
	part := m.MakePart(n)
	m.FreeInts(n)
	byValue(m, "cols", 1, severalCols(s), func(c int) { severalTiles(m, severalRows(s, c), c, part) })
	m.FreePart(part)
}

// severalTiles computes all rows, r at a time, the last ones perhaps once more,
// and returns from the function.
func severalTiles(m Machine, r, cols int, part Part) {
	again, done := m.NewLabel("rows"), m.NewLabel("done")
	m.Label(again)
	severalTile(m, r, cols, part)

	m.Comment("the next %d rows, or the last ones", r)
	left, by, p, ld := m.Int(), m.Int(), m.Int(), m.Int()
	m.Arg(left, "rows")
	m.AddConst(left, -r)
	m.JumpIf(left, AtMost, 0, done)
	m.Const(by, r)
	if r > 1 {
		enough := m.NewLabel("enough")
		m.JumpIf(left, AtLeast, r, enough)
		m.Copy(by, left)
		m.Const(left, r)
		m.Label(enough)
	}
	m.SetArg("rows", left)
	for _, name := range []string{"y", "x"} {
		m.Arg(ld, "ld"+name)
		m.Mul(ld, by)
		m.Arg(p, name)
		m.Add(p, ld)
		m.SetArg(name, p)
	}
	m.Arg(p, "lane")
	m.AddConst(p, r*cols*chains*m.Spec().Float.Size)
	m.SetArg("lane", p)
	m.Jump(again)
	m.Label(done)
	m.FreeInts(left, by, p, ld)
	m.Return()
}

func severalTile(m Machine, r, cols int, part Part) {
	s := m.Spec()
	vecs := chains / s.Lanes()
	p, ld, base, stride, n := m.Int(), m.Int(), m.Int(), m.Int(), m.Int()
	on, begun := m.NewLabel("on"), m.NewLabel("begun")
	m.Arg(p, "bias")
	m.JumpIf(p, Equal, 0, on)
	acc := severalSums(m, r, cols)
	m.Jump(begun)
	m.Label(on)
	m.Comment("acc[i,j,l] = lane[i,j,l]")
	m.Arg(p, "lane")
	eachLane(s, acc, func(v Vec, offset int) { m.Load(v, At(p, offset)) })
	m.Label(begun)
	m.Comment("acc[i,j,k mod 16] = fma(x[i,k], w[j,k], acc[i,j,k mod 16])")
	m.Arg(p, "w")
	m.Arg(ld, "ldw")
	m.Arg(base, "x")
	m.Arg(stride, "ldx")
	m.Arg(n, "n")
	w, x := m.Rows(cols, p, ld), m.Rows(r, base, stride)
	one, few := m.Vec(), m.VecsOf(min(r, cols))
	part.Count = n
	inBlocksOf(m, n, vecs, part, func(q int, p piece) {
		if r < cols {
			for i, v := range few {
				p.load(m, q, v, x.At[i])
			}
			for j := range cols {
				p.load(m, q, one, w.At[j])
				for i, v := range few {
					m.FMA(acc[i][j][q], v, one)
				}
			}
			return
		}
		for j, v := range few {
			p.load(m, q, v, w.At[j])
		}
		for i := range r {
			p.load(m, q, one, x.At[i])
			for j, v := range few {
				m.FMA(acc[i][j][q], one, v)
			}
		}
	}, func(bytes int) {
		w.stepConst(m, bytes)
		x.stepConst(m, bytes)
	})
	m.FreeVecs(few...)
	m.FreeRows(w)
	m.FreeRows(x)

	left, stored := m.NewLabel("left"), m.NewLabel("stored")
	m.Arg(base, "y")
	m.JumpIf(base, Equal, 0, left)
	m.Arg(stride, "ldy")
	y := m.Rows(r, base, stride)
	storeSeveral(m, acc, y.At, n, one)
	m.FreeVecs(one)
	m.FreeRows(y)
	m.Jump(stored)
	m.Label(left)
	m.Comment("lane[i,j,l] = acc[i,j,l]")
	m.Arg(p, "lane")
	eachLane(s, acc, func(v Vec, offset int) { m.Store(At(p, offset), v) })
	m.Label(stored)
	m.FreeInts(p, ld, base, stride, n)
}

// eachLane calls f for each vector of the chains, with where it lies in memory.
func eachLane(s Spec, acc [][][]Vec, f func(v Vec, offset int)) {
	for i, v := range slices.Concat(slices.Concat(acc...)...) {
		f(v, i*s.VecBytes)
	}
}

// severalSums are the chains of r rows of so many sums at their start.
func severalSums(m Machine, r, cols int) [][][]Vec {
	m.Comment("%d×%d sums: acc[i,j,0] = bias[j], the other lanes +0", r, cols)
	p := arg(m, "bias")
	acc := make([][][]Vec, r)
	for i := range acc {
		acc[i] = make([][]Vec, cols)
		for j := range acc[i] {
			acc[i][j] = m.VecsOf(chains / m.Spec().Lanes())
			if i == 0 {
				m.LoadOne(acc[i][j][0], At(p, j*m.Spec().Float.Size))
			} else {
				m.Move(acc[i][j][0], acc[0][j][0])
			}
			for _, v := range acc[i][j][1:] {
				m.Zero(v)
			}
		}
	}
	m.FreeInts(p)
	return acc
}

// storeSeveral halves the sums and stores them activated in the rows y. It
// destroys act and t.
func storeSeveral(m Machine, acc [][][]Vec, y []Addr, act Int, t Vec) {
	m.Comment("y[i,j] = act(halved lanes)")
	s := m.Spec()
	m.Arg(act, "act")
	var sums []Vec
	for _, vs := range slices.Concat(acc...) {
		halve(m, vs)
		m.FreeVecs(vs[1:]...)
		sums = append(sums, vs[0])
	}
	for from := 0; from < len(sums); from += s.Lanes() {
		square := slices.Clone(sums[from:min(from+s.Lanes(), len(sums))])
		var at []Addr
		for i := range square {
			cols := len(acc[0])
			at = append(at, y[(from+i)/cols].Plus((from+i)%cols*s.Float.Size))
		}
		for len(square) < s.Lanes() {
			v := m.Vec()
			m.Zero(v)
			square = append(square, v)
		}
		v := m.FoldSquare(square)
		finish(m, []Vec{v}, act, t)
		m.StoreLanes(at, v, t)
		m.FreeVecs(square...)
	}
}

// unpackedRows is how many rows of so many outputs unpacked takes at a time, or
// 0: their chains are in registers while w is transposed beside them.
func unpackedRows(s Spec, cols int) int {
	e := chunkBytes / s.Float.Size
	rows := 4
	for ; rows > 0 && rows*cols*chains/s.Lanes()+(cols+e-1)/e*e+2+s.PartVecs > s.Vecs; rows-- {
	}
	return rows
}

// unpackedCols is how many outputs unpacked can have: two, and three if there
// are rows to share them.
func unpackedCols(s Spec) int {
	if unpackedRows(s, 3) < 2 {
		return 2
	}
	return 3
}

// unpacked is several for few rows, which are not worth a copy of w.
func unpacked(m Machine) {
	s := m.Spec()
	m.Func("unpacked", sig(m, "func(y *T, ldy uintptr, x *T, ldx uintptr, w *T, ldw uintptr, bias *T, rows, cols, n, act int)"),
		"y[i,j] = act(bias[j] + Σ_k x[i,k]·w[k,j]),  i < rows, j < cols, k < n",
		"",
		"What abreast computes. cols is 2 to unpackedCols.")
	n := arg(m, "n")
	part := m.MakePart(n)
	m.FreeInts(n)
	byValue(m, "cols", 2, unpackedCols(s), func(c int) { unpackedTiles(m, unpackedRows(s, c), c, part) })
	m.FreePart(part)
}

// unpackedTiles computes all rows, r at a time, and returns from the function.
func unpackedTiles(m Machine, r, cols int, part Part) {
	s := m.Spec()
	again := m.NewLabel("rows")
	m.Label(again)
	acc := severalSums(m, r, cols)
	wp, ldw, by, n := m.Int(), m.Int(), m.Int(), m.Int()
	m.Arg(wp, "w")
	m.Arg(ldw, "ldw")
	m.MulConst(by, ldw, s.Lanes())
	x := rowsOrLast(m, r, "x", n)
	m.Arg(n, "n")
	w, xv := m.Rows(s.Lanes(), wp, ldw), m.Vec()
	part.Count = n
	m.Comment("acc[i,j,k mod 16] = fma(x[i,k], w[k,j], acc[i,j,k mod 16])")
	inBlocksOf(m, n, chains/s.Lanes(), part, func(q int, p piece) {
		var few *Int
		if p.part != nil {
			few = &by // nothing is behind a part
			m.Copy(by, n)
			m.AddConst(by, -q*s.Lanes())
		}
		columns := m.LoadTurned(w.At, cols, few)
		if p.part == nil {
			w.step(m, by)
		}
		for i, a := range x {
			p.load(m, q, xv, a)
			for j, v := range columns {
				m.FMA(acc[i][j][q], xv, v)
			}
		}
		m.FreeVecs(columns...)
	}, func(bytes int) {
		for _, a := range x {
			m.AddConst(a.Base, bytes)
		}
	})
	m.FreeRows(w)
	m.FreeInts(wp, ldw, by)
	for _, a := range x {
		m.FreeInts(a.Base)
	}
	y := rowsOrLast(m, r, "y", n)
	storeSeveral(m, acc, y, n, xv)
	m.FreeVecs(xv)
	for _, a := range y {
		m.FreeInts(a.Base)
	}

	m.Comment("the next %d rows", r)
	by = m.Int()
	for _, name := range []string{"y", "x"} {
		m.Arg(by, "ld"+name)
		m.MulConst(by, by, r)
		m.Arg(n, name)
		m.Add(n, by)
		m.SetArg(name, n)
	}
	m.Arg(n, "rows")
	m.AddConst(n, -r)
	m.SetArg("rows", n)
	m.JumpIf(n, AtLeast, 1, again)
	m.FreeInts(by, n)
	m.Return()
}

// rowsOrLast are the addresses of r rows of a parameter, the last one's for those
// that there are not. It destroys t.
func rowsOrLast(m Machine, r int, ptr string, t Int) []Addr {
	at := []Addr{At(m.Int(), 0)}
	m.Arg(at[0].Base, ptr)
	for i := 1; i < r; i++ {
		p, over := m.Int(), m.NewLabel("over")
		m.Copy(p, at[i-1].Base)
		m.Arg(t, "rows")
		m.JumpIf(t, AtMost, i, over)
		m.Arg(t, "ld"+ptr)
		m.Add(p, t)
		m.Label(over)
		at = append(at, At(p, 0))
	}
	return at
}
