package main

// chunk is the number of elements in 128 bits, in which a transposition moves.
func chunk(f Float) int { return 16 / f.Size }

func transpose(m Machine) {
	s := m.Spec()
	e := chunk(s.Float)
	m.Func("transpose", sig(m, "func(dst *T, ldd uintptr, src *T, lds uintptr, cols int)"),
		"dst[p,r] = src[r,p],  r < the lanes of a vector, p < cols",
		"",
		"The rows of dst and src are ldd and lds bytes apart; cols is a multiple of the",
		"elements in 128 bits.")
	dst, ldd, src, lds, cols := m.Int(), m.Int(), m.Int(), m.Int(), m.Int()
	m.Arg(dst, "dst")
	m.Arg(ldd, "ldd")
	m.Arg(src, "src")
	m.Arg(lds, "lds")
	m.Arg(cols, "cols")

	// All rows of src, from a base for every eight.
	var rows []Addr
	var sets []Rows
	for base := src; ; {
		set := m.Rows(min(8, s.Lanes()), base, lds)
		sets = append(sets, set)
		rows = append(rows, set.At...)
		if len(rows) == s.Lanes() {
			break
		}
		next := m.Int()
		m.MulConst(next, lds, 8)
		m.Add(next, base)
		base = next
	}

	vs, t := m.VecsOf(e), m.Vec()
	loop, end := m.NewLabel("chunk"), m.NewLabel("end")
	m.JumpIf(cols, AtMost, 0, end)
	m.Label(loop)
	m.Comment("chunk i of every %d rows, then %d×%d elements in each 128 bits", e, e, e)
	for i, v := range vs {
		var at []Addr
		for r := i; r < len(rows); r += e {
			at = append(at, rows[r])
		}
		m.LoadChunks(v, at)
	}
	m.TransposeChunks(vs, t)
	for _, v := range vs {
		m.Store(At(dst, 0), v)
		m.Add(dst, ldd)
	}
	for _, set := range sets {
		m.StepConst(set, 16)
	}
	m.AddConst(cols, -e)
	m.JumpIf(cols, NotEqual, 0, loop)
	m.Label(end)
	m.Return()
}
