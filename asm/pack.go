package main

// tighten copies rows that are far apart, so it asks for them early.
func tighten(m Machine) {
	s := m.Spec()
	m.Func("tighten", sig(m, "func(dst *T, ldd uintptr, src *T, lds uintptr, rows, cols int)"),
		"dst[p,i] = src[p,i],  p < rows, i < cols",
		"",
		"The rows of dst and src are ldd and lds bytes apart. There are at least as many",
		"columns as a vector has lanes.")
	dst, ldd, src, lds := arg(m, "dst"), arg(m, "ldd"), arg(m, "src"), arg(m, "lds")
	rows, cols := arg(m, "rows"), arg(m, "cols")
	m.AddConst(cols, -s.Lanes())
	m.MulConst(cols, cols, s.Float.Size) // where the last vector of a row begins
	soon, to, from, left, v := m.Int(), m.Int(), m.Int(), m.Int(), m.Vec()
	m.MulConst(soon, lds, rowsAhead)
	row, vector, last := m.NewLabel("row"), m.NewLabel("vector"), m.NewLabel("last")
	m.Label(row)
	m.Copy(to, dst)
	m.Copy(from, src)
	m.Copy(left, cols)
	m.JumpIf(left, AtMost, 0, last)
	m.Label(vector)
	move := func(t, f Addr) {
		m.Load(v, f)
		m.Store(t, v)
	}
	m.Prefetch(Addr{Base: from, Index: soon, Scale: 1})
	move(At(to, 0), At(from, 0))
	m.AddConst(to, s.VecBytes)
	m.AddConst(from, s.VecBytes)
	m.AddConst(left, -s.VecBytes)
	m.JumpIf(left, AtLeast, 1, vector)
	m.Label(last)
	move(Addr{Base: dst, Index: cols, Scale: 1}, Addr{Base: src, Index: cols, Scale: 1})
	m.Add(dst, ldd)
	m.Add(src, lds)
	m.LoopDown(rows, row)
	m.Return()
}

// transpose moves squares as large as a vector is long.
func transpose(m Machine) {
	s := m.Spec()
	m.Func("transpose", sig(m, "func(dst *T, ldd uintptr, src *T, lds uintptr, rows, cols int)"),
		"dst[p,r] = src[r,p],  r < rows, p < cols",
		"",
		"The rows of dst and src are ldd and lds bytes apart. rows is 1 to the lanes of",
		"a vector; whatever it is, a whole vector is written of each row of dst, in",
		"order of p.")
	rows := arg(m, "rows")
	few := m.NewLabel("few")
	m.JumpIf(rows, NotEqual, s.Lanes(), few)
	m.FreeInts(rows)
	transposeRows(m, nil)
	rows = m.Int()
	m.Label(few)
	transposeRows(m, &rows)
}

// squaresAhead is how far ahead of its use a square is prefetched.
const squaresAhead = 4

// transposeRows does so for as many rows as a vector has lanes, or for a number
// below that, and returns from the function.
func transposeRows(m Machine, few *Int) {
	s := m.Spec()
	lanes := s.Lanes()
	dst, ldd, base, lds, cols := arg(m, "dst"), arg(m, "ldd"), arg(m, "src"), arg(m, "lds"), arg(m, "cols")
	part := m.MakePart(cols)
	src := m.Rows(lanes, base, lds)
	load := func(move func(Vec, Addr)) []Vec {
		vs := m.VecsOf(lanes)
		loaded := m.NewLabel("loaded")
		for r, v := range vs {
			if few != nil && r > 0 {
				m.JumpIf(*few, Equal, r, loaded)
			}
			move(v, src.At[r])
		}
		m.Label(loaded)
		return m.Transpose(vs, len(vs))
	}
	square, tail, end := m.NewLabel("square"), m.NewLabel("tail"), m.NewLabel("end")
	m.JumpIf(cols, Less, lanes, tail)
	m.Label(square)
	for _, a := range src.At {
		m.Prefetch(a.Plus(squaresAhead * s.VecBytes))
	}
	store := func(vs []Vec) {
		for _, v := range vs {
			m.Store(At(dst, 0), v)
			m.Add(dst, ldd)
		}
		m.FreeVecs(vs...)
	}
	if few != nil {
		store(load(m.Load))
	}
	for c := 0; few == nil && c < lanes; c += s.Columns {
		store(m.LoadColumns(src.At, c*s.Float.Size, nil))
	}
	src.stepConst(m, s.VecBytes)
	m.AddConst(cols, -lanes)
	m.JumpIf(cols, AtLeast, lanes, square)
	m.Label(tail)
	m.JumpIf(cols, Equal, 0, end)
	m.Comment("fewer columns")
	vs := load(func(v Vec, a Addr) { m.LoadPart(v, a, part) })
	for p, v := range vs[:lanes-1] {
		m.Store(At(dst, 0), v)
		m.Add(dst, ldd)
		if p < lanes-2 {
			m.JumpIf(cols, Equal, p+1, end)
		}
	}
	m.FreeVecs(vs...)
	m.Label(end)
	m.Return()
	m.FreePart(part)
	m.FreeRows(src)
	m.FreeInts(dst, ldd, base, lds, cols)
	if few != nil {
		m.FreeInts(*few)
	}
}
