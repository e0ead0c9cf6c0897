package main

// chunk is the number of elements in 128 bits, in which a transposition moves.
func chunk(f Float) int { return 16 / f.Size }

func transpose(m Machine) {
	s := m.Spec()
	m.Func("transpose", sig(m, "func(dst *T, ldd uintptr, src *T, lds uintptr, rows, cols int)"),
		"dst[p,r] = src[r,p],  r < rows, p < cols",
		"",
		"The rows of dst and src are ldd and lds bytes apart. rows is the lanes of a",
		"vector or the elements in 128 bits, cols a multiple of the latter.")
	few := m.NewLabel("few")
	rows := m.Int()
	m.Arg(rows, "rows")
	m.JumpIf(rows, Less, s.Lanes(), few)
	m.FreeInts(rows)
	transposeRows(m, s.Lanes(), Machine.Store)
	m.Label(few)
	transposeRows(m, chunk(s.Float), Machine.StoreChunk)
}

// transposeRows does so for a number of rows known now, and returns from the
// function. store stores that many elements.
func transposeRows(m Machine, count int, store func(Machine, Addr, Vec)) {
	e := chunk(m.Spec().Float)
	m.MakeChunks()
	dst, ldd, src, lds, cols := m.Int(), m.Int(), m.Int(), m.Int(), m.Int()
	m.Arg(dst, "dst")
	m.Arg(ldd, "ldd")
	m.Arg(src, "src")
	m.Arg(lds, "lds")
	m.Arg(cols, "cols")

	// All rows of src, from a base for every eight.
	var rows []Addr
	var sets []Rows
	bases := []Int{src}
	for {
		set := m.Rows(min(8, count), bases[len(bases)-1], lds)
		sets = append(sets, set)
		rows = append(rows, set.At...)
		if len(rows) == count {
			break
		}
		next := m.Int()
		m.MulConst(next, lds, 8)
		m.Add(next, bases[len(bases)-1])
		bases = append(bases, next)
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
		store(m, At(dst, 0), v)
		m.Add(dst, ldd)
	}
	for _, set := range sets {
		m.StepConst(set, 16)
	}
	m.AddConst(cols, -e)
	m.JumpIf(cols, NotEqual, 0, loop)
	m.Label(end)
	m.Return()
	for _, set := range sets {
		m.FreeRows(set)
	}
	m.FreeInts(bases...)
	m.FreeInts(dst, ldd, lds, cols)
	m.FreeVecs(append(vs, t)...)
}
