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
