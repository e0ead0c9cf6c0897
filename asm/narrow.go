package main

// widest is how many outputs a narrow layer has at the most.
const widest = 7

// abreast has vectors of so many bytes at the most, and as many of them: longer
// ones that are used in part take twice the time on some machines.
const abreastBytes, abreastVecs = 32, 2

// fewTerms is how many terms a sum has that abreast makes of as few chains.
const fewTerms = 4

// abreast computes the outputs of a row side by side, each of their chains in
// vectors of its own: w is taken as it lies, row by row. It is what few rows
// are worth.
func abreast(m Machine) {
	m = m.Short(abreastBytes)
	lanes := m.Spec().Lanes()
	m.Func("abreast", sig(m, "func(y *T, ldy uintptr, x *T, ldx uintptr, w *T, ldw uintptr, bias *T, rows, cols, n, act int)"),
		"y[i,j] = act(bias[j] + Σ_k x[i,k]·w[k,j]),  i < rows, j < cols, k < n",
		"",
		"Each sum is sixteen chains of fused multiply-adds, as those of narrow. The",
		"rows of y, x and w are as many bytes apart as follows each. cols is 1 to twice",
		"the lanes of a vector, and no more than 7.")
	cols := m.Int()
	m.Arg(cols, "cols")
	for vecs := 1; vecs <= abreastVecs && (vecs-1)*lanes < widest; vecs++ {
		partly, more := m.NewLabel("part"), m.NewLabel("more")
		m.JumpIf(cols, AtLeast, vecs*lanes+1, more)
		if vecs*lanes <= widest {
			m.JumpIf(cols, NotEqual, vecs*lanes, partly)
			abreastRows(m, vecs, piece{})
			m.Label(partly)
		}
		part := m.MakePart(cols)
		abreastRows(m, vecs, piece{&part})
		m.FreePart(part)
		m.Label(more)
	}
	m.Return()
}

// abreastRows computes all rows, of so many vectors of which the last is a whole
// one or a part, and returns from the function.
func abreastRows(m Machine, vecs int, last piece) {
	n, long := m.Int(), m.NewLabel("long")
	m.Arg(n, "n")
	m.JumpIf(n, AtLeast, fewTerms+1, long)
	m.FreeInts(n)
	for _, of := range []int{fewTerms, chains} {
		whileRows(m, 1, []string{"y", "x"}, func(int) {
			r := abreastRow{m, vecs, last, of}
			acc, zero, act, y := r.sum(0, 1), m.Vec(), m.Int(), m.Int()
			m.Arg(act, "act")
			m.Arg(y, "y")
			finish(m, acc, act, zero)
			for q, v := range acc {
				r.piece(q).store(m, q, At(y, 0), v)
			}
			m.FreeInts(act, y)
			m.FreeVecs(zero)
			m.FreeVecs(acc...)
		})
		m.Return()
		if of < chains {
			m.Label(long)
		}
	}
}

// An abreastRow is a row of sums, each of so many chains of which the others
// have no term.
type abreastRow struct {
	m    Machine
	vecs int
	last piece
	of   int
}

func (r abreastRow) piece(q int) piece {
	if q == r.vecs-1 {
		return r.last
	}
	return piece{}
}

// sum is the sum of the chains from, from+step and so on, halved: of as many at
// once as there are registers for, beside sums of others, w, x and a part.
func (r abreastRow) sum(from, step int) []Vec {
	s, held := r.m.Spec(), 0
	for count := r.of / step; count > 1 && (count+held)*r.vecs+2+s.PartVecs > s.Vecs; count /= 2 {
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
	for l := from; l < r.of; l += step {
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
		if r.vecs > 1 {
			m.Scalars(xk, at, 1)
		}
		for q, v := range acc[i] {
			r.piece(q).load(m, q, wk, At(w, 0))
			if r.vecs > 1 {
				m.FMAScalar(v, wk, xk, 0)
			} else {
				m.FMASplat(v, wk, at, xk)
			}
		}
		m.Add(w, ldw)
	}
	m.Comment("acc[k mod 16,j] = fma(x[i,k], w[k,j], acc[k mod 16,j])")
	if r.of == chains {
		block, tail := m.NewLabel("block"), m.NewLabel("tail")
		m.JumpIf(n, Less, chains, tail)
		m.Label(block)
		for i := range acc {
			term(i)
		}
		m.AddConst(x, chains*size)
		m.AddConst(n, -chains)
		m.JumpIf(n, AtLeast, chains, block)
		m.Label(tail)
	}
	end := m.NewLabel("end")
	for i := range acc {
		m.JumpIf(n, AtMost, from+i*step, end)
		term(i)
	}
	m.Label(end)
	m.FreeVecs(wk, xk)
	m.FreeInts(w, ldw, x, n)
	return acc
}

// bothCols is how many outputs both can have: their columns of w and dw are in
// registers, beside an element of dz, vectors of x and dx, and zero.
func bothCols(s Spec) int {
	return min((s.Vecs-4)/2, widest)
}

// both is the backward pass of a narrow layer but for dz and db: for as many
// inputs as a vector has lanes, the columns of w and dw stay in registers while
// all rows go by.
func both(m Machine) {
	s := m.Spec()
	m.Func("both", sig(m, "func(dx *T, lddx uintptr, dw *T, lddw uintptr, dz *T, lddz uintptr, x *T, ldx uintptr, w *T, ldw uintptr, rows, cols, n int)"),
		"dx[i,k] = Σ_j dz[i,j]·w[k,j],  i < n, k < rows, j < cols",
		"dw[k,j] = Σ_i x[i,k]·dz[i,j]",
		"",
		"Each sum is one chain of fused multiply-adds in order of its index from +0; a",
		"zero is +0. The rows of each operand are as many bytes apart as follows it.",
		"rows is a multiple of the lanes of a vector, at least one; cols 2 to bothCols,",
		"n at least 1. dx may be nil.")
	cols := m.Int()
	m.Arg(cols, "cols")
	for c := 2; c <= bothCols(s); c++ {
		more := m.NewLabel("more")
		if c < bothCols(s) {
			m.JumpIf(cols, NotEqual, c, more)
		}
		m.FreeInts(cols)
		bothColumns(m, c)
		cols = m.Int()
		m.Label(more)
	}
}

func bothColumns(m Machine, cols int) {
	s := m.Spec()
	lanes, size := s.Lanes(), s.Float.Size
	again := m.NewLabel("inputs")
	m.Label(again)
	m.Comment("%d columns of w and of dw, from +0, %d inputs", cols, lanes)
	p, ld := m.Int(), m.Int()
	m.Arg(p, "w")
	m.Arg(ld, "ldw")
	rows := m.Rows(lanes, p, ld)
	w := m.LoadTurned(rows.At, cols)
	m.FreeRows(rows)
	m.MulConst(ld, ld, lanes)
	m.Add(p, ld)
	m.SetArg("w", p)
	m.FreeInts(p, ld)
	zero, dw := m.Vec(), m.VecsOf(cols)
	m.Zero(zero)
	for _, v := range dw {
		m.Zero(v)
	}

	xv, z, sum := m.Vec(), m.Vec(), m.Vec()
	dx, lddx, dz, lddz, x, ldx, n := m.Int(), m.Int(), m.Int(), m.Int(), m.Int(), m.Int(), m.Int()
	m.Arg(dx, "dx")
	m.Arg(lddx, "lddx")
	m.Arg(dz, "dz")
	m.Arg(lddz, "lddz")
	m.Arg(x, "x")
	m.Arg(ldx, "ldx")
	m.Arg(n, "n")
	without, end := m.NewLabel("without"), m.NewLabel("end")
	m.JumpIf(dx, Equal, 0, without)
	for _, wanted := range []bool{true, false} {
		loop := m.NewLabel("row")
		if wanted {
			m.Comment("dw[j] = fma(x, dz[j], dw[j]);  dx = fma(dz[j], w[j], dx), from +0")
		} else {
			m.Comment("the same without dx")
		}
		m.Label(loop)
		m.Load(xv, At(x, 0))
		if wanted {
			m.Move(sum, zero)
		}
		for j := range cols {
			m.Scalars(z, At(dz, j*size), 1)
			m.FMAScalar(dw[j], xv, z, 0)
			if wanted {
				m.FMAScalar(sum, w[j], z, 0)
			}
		}
		if wanted {
			m.AddVec(sum, sum, zero)
			m.Store(At(dx, 0), sum)
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
	rows = m.Rows(lanes, p, ld)
	m.StoreTurned(rows.At, dw)
	m.FreeRows(rows)
	m.MulConst(ld, ld, lanes)
	m.Add(p, ld)
	m.SetArg("dw", p)
	m.FreeInts(ld)
	m.Arg(p, "rows")
	m.AddConst(p, -lanes)
	m.SetArg("rows", p)
	m.JumpIf(p, AtLeast, 1, again)
	m.FreeInts(p)
	m.Return()
}
