package main

import "slices"

// The kernels that multiply by the transpose of w, for dx of few rows or few
// inputs: w is transposed in the registers. Those that make dw as well take it
// while the chains of dx wait for each other.

// inputRows is how many rows of dx the kernel input can compute at a time: as
// many as fit beside a square of w, and their addresses beside seven other integers. The
// more a square costs to turn, the more rows are to have it at once, though two blocks of
// fewer would share what they load of dz.
func inputRows(m Machine) int {
	s := m.Spec()
	r := min(s.Vecs-s.Lanes()-1-s.PartVecs, 8+s.Lanes()/4)
	for 7+m.RowInts(r, 2) > s.Ints {
		r--
	}
	return r
}

// input multiplies few rows by a transposed matrix, which is transposed in the
// registers, a square as large as a vector is long at a time.
func input(m Machine) {
	m.Func("input", sig(m, "func(dx *T, lddx uintptr, dz *T, lddz uintptr, w *T, ldw uintptr, rows, cols, n int)"),
		"dx[i,k] = Σ_j dz[i,j]·w[k,j],  i < rows, k < cols, j < n",
		"",
		"Each sum is one chain of fused multiply-adds in order of j from +0; a zero is",
		"+0. The rows of each operand are as many bytes apart as follows it. rows is 1",
		"to inputRows, cols at least half the lanes of a vector.")
	inputTiles(m, inputRows(m), inputRowsForm(m))
}

func inputRowsForm(m Machine) inputForm {
	return inputForm{
		squares: "w", scalars: "dz",
		step: func(d, _ Int) { m.Const(d, m.Spec().Float.Size) },
		store: func(acc []Vec, low, high, lddx Int, _ Vec) {
			rows := m.Rows(len(acc), low, lddx, high)
			for i, v := range acc {
				m.StoreHalves(rows.At[i], rows.At[len(acc)+i], v)
			}
			m.FreeRows(rows)
		},
	}
}

// bothSide is how many rows both can take, or columns of dx bothTurned; in package kernels too.
const bothSide = 3

// bothRows is how many rows the kernel both can take: three, or fewer if a
// vector's rows take the registers for more.
func bothRows(m Machine) int {
	s, r := m.Spec(), bothSide
	for r > 1 && 4+m.RowInts(s.Lanes()/2, 2)+rowsInts(m, r)+bothForm(m).besideInts(r) > s.Ints {
		r--
	}
	return r
}

// both is input and dw besides: while the chains of dx wait for each other, rows
// of dw take no time of their own.
func both(m Machine) {
	m.Func("both", sig(m, "func(dx *T, lddx uintptr, dw *T, lddw uintptr, dz *T, lddz uintptr, x *T, ldx uintptr, w *T, ldw uintptr, rows, cols, n int)"),
		"dx[i,k] = Σ_j dz[i,j]·w[k,j],  i < rows, k < cols, j < n",
		"dw[k,j] = Σ_i x[i,k]·dz[i,j]",
		"",
		"Each sum is one chain of fused multiply-adds in order of its index from +0; a",
		"zero is +0. The rows of each operand are as many bytes apart as follows it.",
		"rows is 1 to bothRows, cols at least half the lanes of a vector, n all of them.")
	inputTiles(m, bothRows(m), bothForm(m))
}

func bothForm(m Machine) inputForm {
	s := m.Spec()
	form := inputRowsForm(m)
	form.besideInts = func(r int) int { return 2 + rowsInts(m, r) }
	form.beside = func(r, blocks int, z Rows) {
		m.Comment("dw[k,j] = Σ_i x[i,k]·dz[i,j]")
		to, xp, left, ldx := m.Int(), m.Int(), m.Int(), Int(0)
		m.Copy(to, z.At[0].Base)
		m.SubArg(to, "dz")
		m.AddArg(to, "dw")
		m.Arg(xp, "x")
		if r > 1 {
			ldx = m.Int()
			m.Arg(ldx, "ldx")
		}
		x := m.Rows(r, xp, ldx)
		row, fewer := m.NewLabel("row"), m.NewLabel("fewer")
		m.Arg(left, "cols")
		m.JumpIf(left, AtMost, blocks*s.Lanes(), fewer)
		m.Const(left, blocks*s.Lanes())
		m.Label(fewer)
		zs, v, xk, zero := m.VecsOf(r), m.Vec(), m.Vec(), m.Vec()
		m.Zero(zero)
		for i, v := range zs {
			m.Load(v, z.At[i])
		}
		m.Label(row)
		weights(m, v, zs, x, 0, xk, zero)
		m.Store(At(to, 0), v)
		m.AddArg(to, "lddw")
		x.stepConst(m, s.Float.Size)
		m.LoopDown(left, row)
		m.FreeRows(x)
		m.FreeInts(to, xp, left)
		if r > 1 {
			m.FreeInts(ldx)
		}
		m.FreeVecs(zs...)
		m.FreeVecs(v, xk, zero)
	}
	return form
}

// turnedRows is how many columns of dx turned computes at a time: at most eight, and fewer
// than there are lanes, since input is better for so many.
func turnedRows(m Machine) int { return min(inputRows(m), m.Spec().Lanes()-1, 8) }

// turned is input for few columns of dx instead of rows: w and dz change
// places, and dx is stored in columns.
func turned(m Machine) {
	m.Func("turned", sig(m, "func(dx *T, lddx uintptr, w *T, ldw uintptr, dz *T, lddz uintptr, rows, cols, n int)"),
		"dx[i,k] = Σ_j dz[i,j]·w[k,j],  i < cols, k < rows, j < n",
		"",
		"What input computes, with rows and cols exchanged: rows is 1 to turnedRows.")
	inputTiles(m, turnedRows(m), turnedForm(m))
}

func turnedForm(m Machine) inputForm {
	s := m.Spec()
	return inputForm{
		squares: "dz", scalars: "w",
		step: m.Copy,
		store: func(acc []Vec, low, high, lddx Int, t Vec) {
			apart, stored := m.NewLabel("apart"), m.NewLabel("stored")
			if len(acc) == 1 {
				m.JumpIf(lddx, NotEqual, s.Float.Size, apart)
				m.StoreHalves(At(low, 0), At(high, 0), acc[0])
				m.Jump(stored)
			}
			m.Label(apart)
			rows := m.Rows(s.Lanes()/2, low, lddx, high)
			for k, v := range acc {
				var lanes []Addr
				for _, a := range rows.At {
					lanes = append(lanes, a.Plus(k*s.Float.Size))
				}
				m.StoreLanes(lanes, v, t)
			}
			m.FreeRows(rows)
			m.Label(stored)
		},
	}
}

// bothTurned is to turned what both is to input. Long vectors have none: where columns of dz
// fill them gradBoth is best.
func bothTurned(m Machine) {
	m.Func("bothTurned", sig(m, "func(dx *T, lddx uintptr, dw *T, lddw uintptr, w *T, ldw uintptr, x *T, ldx uintptr, dz *T, lddz uintptr, rows, cols, n int)"),
		"dx[i,k] = Σ_j dz[i,j]·w[k,j],  i < cols, k < rows, j < n",
		"dw[k,j] = Σ_i x[i,k]·dz[i,j]",
		"",
		"What both computes, with rows and cols exchanged: rows is 1 to bothSide,",
		"cols at least half the lanes of a vector and at most bothCols, n all of them.")
	inputTiles(m, bothSide, bothTurnedForm(m))
}

// bothCols is how many columns, rows of dx, bothTurned can take.
func bothCols(m Machine) int {
	blocks := inputBlocks(m, 1, bothTurnedForm(m))
	for r := range bothSide {
		blocks = min(blocks, inputBlocks(m, r+1, bothTurnedForm(m)))
	}
	return blocks * m.Spec().Lanes()
}

func bothTurnedForm(m Machine) inputForm {
	s := m.Spec()
	form := turnedForm(m)
	form.besideInts = func(int) int { return 3 }
	form.beside = func(r, _ int, w Rows) {
		m.Comment("dw[k,j] = Σ_i x[i,k]·dz[i,j]")
		from, xp, left := m.Int(), m.Int(), m.Int()
		m.Copy(from, w.At[0].Base)
		m.SubArg(from, "w")
		m.AddArg(from, "dz")
		m.Arg(xp, "x")
		m.Arg(left, "cols")
		z, xk, dw := m.Vec(), m.Vec(), m.VecsOf(r)
		for _, v := range dw {
			m.Zero(v)
		}
		row := m.NewLabel("row")
		m.Label(row)
		m.Load(z, At(from, 0))
		for k, v := range dw {
			m.Scalars(xk, At(xp, k*s.Float.Size), 1, 1)
			m.FMAScalar(v, z, xk, 0)
		}
		m.AddArg(from, "lddz")
		m.AddArg(xp, "ldx")
		m.LoopDown(left, row)
		m.Copy(from, w.At[0].Base)
		m.SubArg(from, "w")
		m.AddArg(from, "dw")
		positive(m, dw, z)
		for _, v := range dw {
			m.Store(At(from, 0), v)
			m.AddArg(from, "lddw")
		}
		m.FreeInts(from, xp, left)
		m.FreeVecs(z, xk)
		m.FreeVecs(dw...)
	}
	return form
}

// An inputForm says which factor of input is transposed in squares, which one is
// taken by scalars, how far apart the lanes of a vector lie in dx, and how its
// vectors are stored, of whose halves the first lanes go to low and high; and if
// there is something to do beside every square, that and how many integer
// registers it takes.
type inputForm struct {
	squares, scalars string

	step  func(d, lddx Int)
	store func(acc []Vec, low, high, lddx Int, t Vec)

	besideInts func(r int) int
	beside     func(r, blocks int, z Rows)
}

// inputTiles emits tiles for every number of rows up to most.
func inputTiles(m Machine, most int, to inputForm) {
	byValue(m, "rows", 1, most, func(r int) {
		n := arg(m, "n")
		part := m.Short(inputWide(m, to) * m.Spec().Float.Size).MakePart(n)
		for blocks := inputBlocks(m, r, to); blocks > 0; blocks /= 2 {
			inputTile(m, r, blocks, n, part, to)
		}
		m.FreePart(part)
		m.FreeInts(n)
		m.Return()
	})
}

// inputWide is how many columns of the squares are taken at a time: as few as
// LoadColumns returns, but enough for a turn of a loop, or all, for vectors of dw
// beside them.
func inputWide(m Machine, to inputForm) int {
	s := m.Spec()
	if to.beside != nil {
		return s.Lanes()
	}
	return min(max(s.Columns, 4), s.Lanes())
}

// inputBlocks is how many blocks of inputs are taken at a time, so that r rows
// make chains enough and share what is loaded of dz: as many as the registers
// hold.
func inputBlocks(m Machine, r int, to inputForm) int {
	s := m.Spec()
	blocks := max(4/r, 2)
	for ; blocks > 1; blocks-- {
		vecs, ints := blocks*r+s.Lanes()+1+s.PartVecs, 2+2*blocks+m.RowInts(s.Lanes()/2, 2*blocks)+rowsInts(m, r)
		if to.beside != nil {
			ints += to.besideInts(r)
		}
		if blocks*s.VecBytes <= 128 && vecs <= s.Vecs && ints <= s.Ints {
			break
		}
	}
	return blocks
}

// rowsInts is how many integer registers r rows take in all.
func rowsInts(m Machine, r int) int {
	switch {
	case r == 1:
		return 1
	case r > 8:
		return 3 + m.RowInts((r+1)/2, 2)
	}
	return 2 + m.RowInts(r, 1)
}

// scalarRows returns the addresses of r rows from base on, of more than eight as two halves,
// which take fewer registers. If r is odd there is one address too many.
func scalarRows(m Machine, r int, base, stride Int) (z Rows, second Int) {
	if r <= 8 {
		return m.Rows(r, base, stride), 0
	}
	half := (r + 1) / 2
	second = m.Int()
	m.MulConst(second, stride, half)
	m.Add(second, base)
	return m.Rows(half, base, stride, second), second
}

// inputHalves returns where the halves of so many blocks of rows begin, each row
// as many bytes as stride says: one after the other from base on, except that
// none ends behind the last of cols. It takes base.
func inputHalves(m Machine, blocks int, base, stride Int) []Int {
	s := m.Spec()
	half, at := s.Lanes()/2, make([]Int, 2*blocks)
	for h := range at {
		at[h] = base
		if h > 0 || blocks == 1 {
			at[h] = m.Int()
		}
	}
	last, fewer, ready := m.Int(), m.NewLabel("fewer"), m.NewLabel("halves")
	m.Arg(last, "cols")
	m.JumpIf(last, Less, blocks*s.Lanes(), fewer)
	m.MulConst(last, stride, half)
	if at[0] != base {
		m.Copy(at[0], base)
	}
	for h := 1; h < len(at); h++ {
		m.Copy(at[h], at[h-1])
		m.Add(at[h], last)
	}
	m.Jump(ready)
	m.Label(fewer)
	m.AddConst(last, -half)
	for h := len(at) - 1; h >= 0; h-- {
		switch {
		case at[h] == base:
			continue
		case h < blocks/2*2:
			m.MulConst(at[h], stride, h*half)
		default:
			inside := m.NewLabel("inside")
			m.Const(at[h], h*half)
			m.JumpIf(last, AtLeast, h*half, inside)
			m.Copy(at[h], last)
			m.Label(inside)
			m.Mul(at[h], stride)
		}
		m.Add(at[h], base)
	}
	m.Label(ready)
	if at[0] != base {
		m.FreeInts(base)
	}
	m.FreeInts(last)
	return at
}

// inputTile computes r rows of as many times so many blocks of inputs as the
// parameter cols allows, the last of them perhaps once more, and leaves less
// than half of them. It destroys n.
func inputTile(m Machine, r, blocks int, n Int, part Part, to inputForm) {
	s := m.Spec()
	lanes, size, wide := s.Lanes(), s.Float.Size, inputWide(m, to)
	again, square, tail, end, done := m.NewLabel("block"), m.NewLabel("square"), m.NewLabel("tail"), m.NewLabel("end"), m.NewLabel("done")
	p := arg(m, "cols")
	m.JumpIf(p, AtMost, blocks/2*lanes, done)
	m.Label(again)
	m.FreeInts(p)
	m.Comment("%d×%d elements of dx, from +0", r, blocks*lanes)
	acc := make([][]Vec, blocks)
	for b := range acc {
		acc[b] = m.VecsOf(r)
		for _, v := range acc[b] {
			m.Zero(v)
		}
	}
	wp, ldw := arg(m, to.squares), arg(m, "ld"+to.squares)
	halves := inputHalves(m, blocks, wp, ldw)
	w := m.Rows(lanes/2, halves[0], ldw, halves[1:]...)
	dz, lddz := m.Int(), Int(0)
	m.Arg(dz, to.scalars)
	if r > 1 {
		lddz = m.Int()
		m.Arg(lddz, "ld"+to.scalars)
	}
	m.Arg(n, "n")
	z, second := scalarRows(m, r, dz, lddz)

	// terms continues blocks with so many columns vs of each, count terms from j on at
	// a time, and calls then after each.
	terms := func(acc, vs [][]Vec, j, columns, count int, then func(j int)) {
		x := m.Vec()
		for c := 0; c < columns; c += count {
			for i := range r {
				m.Scalars(x, z.At[i].Plus((j+c)*size), count, len(vs))
				for e := range count {
					for b := range vs {
						m.FMAScalar(acc[b][i], vs[b][c+e], x, e)
					}
				}
			}
			then(c)
		}
		m.FreeVecs(slices.Concat(vs...)...)
		m.FreeVecs(x)
	}
	together := blocks
	for blocks%together != 0 || blocks*r+together*s.Columns+2+s.PartVecs > s.Vecs {
		together--
	}
	// columns continues blocks from b on with the columns from j on.
	columns := func(b, j int, part *Part) {
		vs, over := make([][]Vec, together), m.NewLabel("over")
		for q := range vs {
			vs[q] = m.LoadColumns(w.At[(b+q)*lanes:][:lanes], j*size, part)
		}
		if part == nil {
			terms(acc[b:], vs, j, s.Columns, min(s.Scalars, s.Columns), func(int) {})
			return
		}
		terms(acc[b:], vs, j, s.Columns-1, 1, func(c int) {
			if c < s.Columns-2 {
				m.JumpIf(n, Equal, j+c+1, over)
			}
		})
		m.Label(over)
	}
	m.JumpIf(n, Less, wide, tail)
	m.Label(square)
	m.Comment("acc[i,k] = fma(dz[i,j], w[k,j], acc[i,k]), %d neighbours j at a time", s.Columns)
	for b := 0; b < blocks; b += together {
		for j := 0; j < wide; j += s.Columns {
			columns(b, j, nil)
		}
	}
	if to.beside != nil {
		to.beside(r, blocks, z)
	}
	w.stepConst(m, wide*size)
	z.stepConst(m, wide*size)
	m.AddConst(n, -wide)
	m.JumpIf(n, AtLeast, wide, square)
	m.Label(tail)
	m.JumpIf(n, AtMost, 0, end)
	m.Comment("the same for fewer j")
	lastColumns(m, n, wide, part, func(j int, part *Part) {
		for b := 0; b < blocks; b += together {
			columns(b, j, part)
		}
	})
	if to.beside != nil {
		m.Comment("a vector that ends with the row: some of it once more")
		m.AddConst(n, -lanes)
		m.MulConst(n, n, size)
		z.step(m, n)
		to.beside(r, blocks, z)
	}
	m.Label(end)
	m.FreeRows(w)
	m.FreeRows(z)
	m.FreeInts(halves...)
	m.FreeInts(ldw, dz)
	if r > 1 {
		m.FreeInts(lddz)
	}
	if r > 8 {
		m.FreeInts(second)
	}

	x := m.Vec()
	positive(m, slices.Concat(acc...), x)
	p, ld, step := m.Int(), m.Int(), m.Int()
	m.Arg(p, "dx")
	m.Arg(ld, "lddx")
	to.step(step, ld)
	halves = inputHalves(m, blocks, p, step)
	for b := range acc {
		to.store(acc[b], halves[2*b], halves[2*b+1], ld, x)
		m.FreeVecs(acc[b]...)
	}
	m.FreeVecs(x)
	m.FreeInts(halves...)

	m.Comment("the next %d inputs", blocks*lanes)
	p = m.Int()
	m.Arg(p, "cols")
	m.AddConst(p, -blocks*lanes)
	m.SetArg("cols", p)
	m.JumpIf(p, AtMost, 0, done)
	next := func(name string) {
		m.Arg(p, name)
		m.MulConst(step, step, blocks*lanes)
		m.Add(p, step)
		m.SetArg(name, p)
	}
	next("dx")
	m.Arg(step, "ld"+to.squares)
	next(to.squares)
	if to.beside != nil && to.squares == "w" {
		m.Arg(step, "lddw")
		next("dw")
		m.Const(step, size)
		next("x")
	}
	m.FreeInts(ld, step)
	m.Arg(p, "cols")
	m.JumpIf(p, AtLeast, blocks/2*lanes+1, again)
	m.Label(done)
	m.FreeInts(p)
}

// lastColumns does the last n columns of squares, at least one and fewer than
// wide: do takes those from j on, as many as LoadColumns returns or, if it is given
// the part, n − j, which are fewer.
func lastColumns(m Machine, n Int, wide int, part Part, do func(j int, part *Part)) {
	s := m.Spec()
	last, ready := wide-s.Columns, m.NewLabel("ready")
	fewer := make(map[int]string)
	for j := 0; j < last; j += s.Columns {
		fewer[j] = m.NewLabel("fewer")
		m.JumpIf(n, Less, j+s.Columns, fewer[j])
		do(j, nil)
		m.JumpIf(n, Equal, j+s.Columns, ready)
	}
	do(last, &part)
	for j := last - s.Columns; j >= 0; j -= s.Columns {
		m.Jump(ready)
		m.Label(fewer[j])
		do(j, &part)
	}
	m.Label(ready)
}

// stripRows is how many rows of w the kernel strips takes at a time, and package kernels
// counts on.
const stripRows = 16

// A stripe is what a loop of strips computes: so many rows of dx, so many strips of
// sixteen columns abreast. It turns a group of squares of w before it multiplies them
// by the same elements of dz, and makes rows of dw so many vectors wide, of the same
// elements of x: what is loaded more often takes longer than the arithmetic.
type stripe struct{ rows, abreast, group, wide int }

// stripeOf is the best stripe of so many rows, as far as there are registers: two
// vectors of dw wide for few rows, two strips abreast for few chains, and two squares of
// w in a group.
func stripeOf(m Machine, rows, abreast int) stripe {
	s := m.Spec()
	p := stripe{rows, 1, 1, 1}
	try := func(v *int, pays bool) {
		if *v = 2; !pays || p.vecs(s) > s.Vecs {
			*v = 1
		}
	}
	try(&p.wide, rows <= 2)
	try(&p.abreast, abreast > 1 && rows*stripRows <= 2*s.Lanes())
	try(&p.group, p.abreast*stripRows >= 2*s.Lanes())
	return p
}

// vecs is how many vector registers a stripe takes: for elements of dx, rows of dz and dw, a
// part and the half of it that LoadColumns takes, squares of w and a register to turn them
// by, a scalar and zero.
func (p stripe) vecs(s Spec) int {
	return p.rows*p.abreast*stripRows/s.Lanes() + (p.rows+1)*p.wide + 2*s.PartVecs + p.group*s.Columns + 1 + 2
}

// ints is how many integer registers it takes, without lddw.
func (p stripe) ints(m Machine) int { return 5 + m.RowInts(stripRows, 1) + rowsInts(m, p.rows) }

// stripsRows is how many rows of dx strips can compute: the sums of each are in
// registers beside columns of w, and so is a vector of each row of dz.
func stripsRows(m Machine) int {
	s, r := m.Spec(), 4
	for ; r > 1; r-- {
		if p := (stripe{r, 1, 1, 1}); p.vecs(s) <= s.Vecs && p.ints(m) <= s.Ints {
			break
		}
	}
	return r
}

// strips is both for many inputs. It turns w in the registers as input does; the
// rows of dw, which are stored meanwhile, take little time of their own.
func strips(m Machine) {
	m.Func("strips", sig(m, "func(dx *T, lddx uintptr, dw *T, lddw uintptr, dz *T, lddz uintptr, x *T, ldx uintptr, w *T, ldw uintptr, rows, cols, n int, down, back uintptr)"),
		"What both computes, for 1 to stripsRows rows. cols is a multiple of sixteen, at",
		"least one, n at least the lanes of a vector. down is 16·ldw, back 16·lddw less the",
		"bytes of a vector.")
	byValue(m, "rows", 1, stripsRows(m), func(r int) {
		p := stripeOf(m, r, 2)
		if p.abreast > 1 {
			p.compute(m)
			p = stripeOf(m, r, 1)
		}
		p.compute(m)
		m.Return()
	})
}

// compute computes stripes while there are enough columns of dx.
func (p stripe) compute(m Machine) {
	s := m.Spec()
	r, lanes, size, tall := p.rows, s.Lanes(), s.Float.Size, p.abreast*stripRows
	n := arg(m, "cols")
	again, done := m.NewLabel("strip"), m.NewLabel("done")
	m.JumpIf(n, Less, tall, done)
	m.Arg(n, "n")
	part := m.MakePart(n)
	part.Count = n
	m.Label(again)
	m.Comment("%d×%d elements of dx, from +0", r, tall)
	acc := make([][]Vec, tall/lanes)
	for b := range acc {
		acc[b] = m.VecsOf(r)
		for _, v := range acc[b] {
			m.Zero(v)
		}
	}
	zs, dws, zero, t := make([][]Vec, p.wide), m.VecsOf(p.wide), m.Vec(), m.Vec()
	for q := range zs {
		zs[q] = m.VecsOf(r)
	}
	m.Zero(zero)
	dz, dw, xp, wp, ldw, ldx := m.Int(), m.Int(), m.Int(), m.Int(), m.Int(), Int(0)
	m.Arg(dz, "dz")
	m.Arg(dw, "dw")
	m.Arg(xp, "x")
	m.Arg(wp, "w")
	m.Arg(ldw, "ldw")
	m.Arg(n, "n")
	if r > 1 {
		ldx = m.Int()
		m.Arg(ldx, "ldx")
	}
	w, x := m.Rows(stripRows, wp, ldw), m.Rows(r, xp, ldx)
	below := func() { m.AddArg(dw, "lddw") }
	var lddw []Int // if there is a register left
	if p.ints(m) < s.Ints {
		lddw = []Int{m.Int()}
		m.Arg(lddw[0], "lddw")
		below = func() { m.Add(dw, lddw[0]) }
	}
	// eachRow has dz point at one row after the other.
	eachRow := func(do func(i int)) {
		for i := range r {
			do(i)
			if i < r-1 {
				m.AddArg(dz, "lddz")
			}
		}
		for range r - 1 {
			m.SubArg(dz, "lddz")
		}
	}
	// columns turns some of the square of w with block b of dx, from j on.
	strip := 0 // which w points at
	goTo := func(to int) {
		for ; strip < to; strip++ {
			w.eachBase(func(p Int) { m.AddArg(p, "down") })
		}
		for ; strip > to; strip-- {
			w.eachBase(func(p Int) { m.SubArg(p, "down") })
		}
	}
	columns := func(b, j int, part *Part) []Vec {
		goTo(b * lanes / stripRows)
		return m.LoadColumns(w.At[b*lanes%stripRows:][:lanes], j*size, part)
	}
	load := func(wide int) {
		eachRow(func(i int) {
			for q := range wide {
				m.Load(zs[q][i], At(dz, q*s.VecBytes))
			}
		})
	}
	row := func(k, wide int) { // of dw
		for i := range r {
			m.Scalars(t, x.At[i].Plus(k*size), 1, wide)
			for q, v := range dws[:wide] {
				if i == 0 {
					m.MulScalar(v, zs[q][i], t)
				} else {
					m.FMAScalar(v, zs[q][i], t, 0)
				}
			}
		}
		for q, v := range dws[:wide] {
			m.AddVec(v, v, zero)
			m.Store(At(dw, q*s.VecBytes), v)
		}
		below()
	}

	tail, end := m.NewLabel("tail"), m.NewLabel("end")
	for wide := p.wide; wide > 0; wide-- {
		squares, fewer := m.NewLabel("squares"), tail
		if wide > 1 {
			fewer = m.NewLabel("fewer")
		}
		m.JumpIf(n, Less, wide*lanes, fewer)
		m.Label(squares)
		m.Comment("acc[i,k] = fma(dz[i,j], w[k,j], acc[i,k]);  dw[k,j] = Σ_i x[i,k]·dz[i,j]")
		load(wide)
		k := 0
		for b := 0; b < len(acc); b += p.group {
			for j := 0; j < wide*lanes; j += s.Columns {
				vs := make([][]Vec, p.group)
				for q := range vs {
					// There and back, so that w is moved seldom.
					if j/s.Columns%2 > 0 {
						q = p.group - 1 - q
					}
					vs[q] = columns(b+q, j, nil)
				}
				eachRow(func(i int) {
					for c := range s.Columns {
						m.Scalars(t, At(dz, (j+c)*size), 1, p.group)
						for q := range vs {
							m.FMAScalar(acc[b+q][i], vs[q][c], t, 0)
						}
					}
				})
				m.FreeVecs(slices.Concat(vs...)...)
				for ; k < b*lanes+p.group*(j+s.Columns)/wide; k++ {
					row(k, wide)
				}
			}
		}
		goTo(0)
		w.stepConst(m, wide*s.VecBytes)
		m.AddConst(dz, wide*s.VecBytes)
		for range p.abreast {
			m.SubArg(dw, "back")
		}
		if wide != p.abreast {
			m.AddConst(dw, (wide-p.abreast)*s.VecBytes)
		}
		m.AddConst(n, -wide*lanes)
		m.JumpIf(n, AtLeast, wide*lanes, squares)
		if wide > 1 {
			m.Label(fewer)
		}
	}
	m.Label(tail)
	m.JumpIf(n, AtMost, 0, end)
	m.Comment("the same for fewer j")
	lastColumns(m, n, lanes, part, func(j int, part *Part) {
		for b := range acc {
			vs := columns(b, j, part)
			whole := vs
			if part != nil {
				whole = vs[:s.Columns-1]
			}
			eachRow(func(i int) {
				over := m.NewLabel("over")
				for c, column := range whole {
					m.Scalars(t, At(dz, (j+c)*size), 1, 1)
					m.FMAScalar(acc[b][i], column, t, 0)
					if part != nil && c < len(whole)-1 {
						m.JumpIf(n, Equal, j+c+1, over)
					}
				}
				m.Label(over)
			})
			m.FreeVecs(vs...)
		}
		goTo(0)
	})
	m.Comment("a vector that ends with the row: some of it once more")
	m.AddConst(n, -lanes)
	m.MulConst(n, n, size)
	m.Add(dz, n)
	m.Add(dw, n)
	load(1)
	m.FreeRows(w)
	left, loop := m.Int(), m.NewLabel("row")
	m.Const(left, tall)
	m.Label(loop)
	row(0, 1)
	x.stepConst(m, size)
	m.LoopDown(left, loop)
	m.FreeInts(left)
	m.Label(end)
	m.FreeRows(x)
	m.FreeInts(lddw...)

	positive(m, slices.Concat(acc...), zero)
	m.Arg(dz, "dx")
	for i := range r {
		for b := range acc {
			m.Store(At(dz, b*s.VecBytes), acc[b][i])
		}
		if i < r-1 {
			m.AddArg(dz, "lddx")
		}
	}
	m.Comment("the next %d inputs", tall)
	for _, name := range []string{"dx", "x"} {
		m.Arg(xp, name)
		m.AddConst(xp, tall*size)
		m.SetArg(name, xp)
	}
	advance(m, wp, tall, "dw", "w")
	m.Arg(n, "cols")
	m.AddConst(n, -tall)
	m.SetArg("cols", n)
	m.JumpIf(n, AtLeast, tall, again)
	m.Label(done)
	m.FreePart(part)
	m.FreeInts(n, dz, dw, xp, wp, ldw)
	if r > 1 {
		m.FreeInts(ldx)
	}
	m.FreeVecs(slices.Concat(acc...)...)
	m.FreeVecs(slices.Concat(zs...)...)
	m.FreeVecs(dws...)
	m.FreeVecs(zero, t)
}

// dotsSide is how many rows and columns of dx dots computes at the most: more fill
// half a vector.
func dotsSide(s Spec) int { return max(s.Lanes()/2-1, 1) }

// dotsLeft reports whether gradBoth leaves any of those to dots, which is for short vectors.
func dotsLeft(s Spec) bool {
	return s.VecBytes <= 32 && (s.Lanes() < gradBothLanes || dotsSide(s) > gradBothRows(s))
}

// dots is both for so few rows and columns of dx that neither fill half a vector: a
// chain for each element.
func dots(m Machine) {
	m.Func("dots", sig(m, "func(dx *T, lddx uintptr, dw *T, lddw uintptr, dz *T, lddz uintptr, x *T, ldx uintptr, w *T, ldw uintptr, rows, cols, n int)"),
		"What both computes, for 1 to dotsSide rows and columns. dw may be nil.")
	most := dotsSide(m.Spec())
	byValue(m, "rows", 1, most, func(r int) {
		byValue(m, "cols", 1, most, func(c int) {
			dotsElements(m, r, c)
			m.Return()
		})
	})
}

func dotsElements(m Machine, r, c int) {
	s := m.Spec()
	lanes, size := s.Lanes(), s.Float.Size
	on := m.First(size)
	acc, x, y := m.VecsOf(r*c), m.Vec(), m.Vec()
	for _, v := range acc {
		on.Zero(v)
	}
	dz, lddz, w, ldw := arg(m, "dz"), arg(m, "lddz"), arg(m, "w"), arg(m, "ldw")
	n, dw, left := arg(m, "n"), arg(m, "dw"), m.Int()
	part := m.MakePart(n)
	z, wk := m.Rows(r, dz, lddz), m.Rows(c, w, ldw)
	xs := m.VecsOf(r - 1)
	xs = append(xs, x)
	vector, tail, loop, end := m.NewLabel("vector"), m.NewLabel("tail"), m.NewLabel("fold"), m.NewLabel("folded")
	m.JumpIf(n, AtMost, 0, end)
	m.Copy(left, n)
	m.JumpIf(dw, Equal, 0, loop)
	m.Label(vector)
	m.JumpIf(n, Less, lanes, tail)
	dotsWeights(m, c, z, dw, xs, y, piece{})
	m.Const(left, lanes)
	m.Jump(loop)
	m.Label(tail)
	m.Copy(left, n)
	dotsWeights(m, c, z, dw, xs, y, piece{&part})
	m.Label(loop)
	m.Comment("acc[i,k] = fma(dz[i,j], w[k,j], acc[i,k])")
	for i, v := range xs {
		m.LoadOne(v, z.At[i])
	}
	for k := range c {
		m.LoadOne(y, wk.At[k])
		for i, v := range xs {
			on.FMA(acc[i*c+k], v, y)
		}
	}
	z.stepConst(m, size)
	wk.stepConst(m, size)
	m.LoopDown(left, loop)
	m.JumpIf(dw, Equal, 0, end)
	m.AddConst(dw, s.VecBytes)
	m.AddConst(n, -lanes)
	m.JumpIf(n, AtLeast, 1, vector)
	m.Label(end)
	m.FreePart(part)
	m.FreeRows(z)
	m.FreeRows(wk)
	m.FreeInts(dz, lddz, w, ldw, n, dw, left)

	on.Zero(x)
	for _, v := range acc {
		on.AddVec(v, v, x)
	}
	p, ld := arg(m, "dx"), arg(m, "lddx")
	dx := m.Rows(r, p, ld)
	for i := range r {
		for k := range c {
			m.StoreLane(dx.At[i].Plus(k*size), Lane{acc[i*c+k], 0})
		}
	}
	m.FreeRows(dx)
	m.FreeInts(p, ld)
	m.FreeVecs(y)
	m.FreeVecs(xs...)
	m.FreeVecs(acc...)
}

// weights computes a vector of a row of dw, v = Σ_i x[i,k]·dz[i,j] in order of i, of which
// zeros become +0: zs are dz, x[i,k] is disp bytes behind row i of x. It destroys xk.
func weights(m Machine, v Vec, zs []Vec, x Rows, disp int, xk, zero Vec) {
	m.Move(v, zero)
	for i, z := range zs {
		m.Scalars(xk, x.At[i].Plus(disp), 1, 1)
		m.FMAScalar(v, z, xk, 0)
	}
	m.AddVec(v, v, zero)
}

// dotsWeights computes a vector of c rows of dw. It destroys zs and v.
func dotsWeights(m Machine, c int, z Rows, dw Int, zs []Vec, v Vec, p piece) {
	m.Comment("dw[k,j] = Σ_i x[i,k]·dz[i,j]")
	xp, ldx, to, lddw := m.Int(), m.Int(), m.Int(), m.Int()
	m.Arg(xp, "x")
	m.Arg(ldx, "ldx")
	m.Copy(to, dw)
	m.Arg(lddw, "lddw")
	x := m.Rows(len(zs), xp, ldx)
	xk, zero := m.Vec(), m.Vec()
	m.Zero(zero)
	for i, v := range zs {
		p.load(m, 0, v, z.At[i])
	}
	for k := range c {
		weights(m, v, zs, x, k*m.Spec().Float.Size, xk, zero)
		p.store(m, 0, At(to, 0), v)
		if k < c-1 {
			m.Add(to, lddw)
		}
	}
	m.FreeRows(x)
	m.FreeInts(xp, ldx, to, lddw)
	m.FreeVecs(xk, zero)
}
