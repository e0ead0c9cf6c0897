package main

import "slices"

// The backward kernels that do more than a matrix product: grad, which makes
// dz and db on its way to the first rows of dw, and column, the whole gradient
// of a layer with a single output.

// A derivative makes dz of dy: times(z, y, zero) multiplies z by act'(y) and
// destroys y; zero holds +0. Without it dz is dy.
type derivative struct {
	act   int
	times func(on Arithmetic, z, y, zero Vec)
}

var derivatives = []derivative{
	{relu, Arithmetic.Gate},
	{identity, nil},
}

// byDerivative emits body for every derivative, chosen by the parameter act,
// and jumps to end behind each.
func byDerivative(m Machine, end string, body func(derivative)) {
	for i, d := range derivatives {
		other := m.NewLabel("other")
		if i < len(derivatives)-1 {
			act := arg(m, "act")
			m.JumpIf(act, NotEqual, d.act, other)
			m.FreeInts(act)
		}
		body(d)
		m.Jump(end)
		m.Label(other)
	}
	m.Label(end)
}

// gradRows is how many rows of dw grad can compute: as many as fit at every
// width beside dz, db, a vector of y, an element of x and zero.
func gradRows(s Spec) int {
	return min((s.Vecs-2*s.MaxCols-3)/s.MaxCols, 4)
}

func grad(m Machine) {
	m.Func("grad", sig(m, "func(dw *T, lddw uintptr, dwinit *T, lddwinit uintptr, db, dbinit, dy *T, lddy uintptr, y *T, ldy uintptr, x *T, ldx uintptr, rows, cols, n, act int)"),
		"dz[i,j] = dy[i,j]·act'(y[i,j])              i < n, j < cols, written over dy",
		"db[j]   = dbinit[j] + Σ_i dz[i,j]",
		"dw[k,j] = dwinit[k,j] + Σ_i x[i,k]·dz[i,j]  k < rows",
		"",
		"Each sum is one chain in order of i, of additions or fused multiply-adds; a",
		"zero of db and dw is +0. The rows of each operand are as many bytes apart as",
		"follows it. rows is 0 to gradRows, cols at least 1 and at most a panel's.",
		"db may be nil.")
	cols := arg(m, "cols")
	byWidth(m, cols, chunkBytes, func(w width) {
		for r := gradRows(m.Spec()); r >= 0; r-- {
			fewer := m.NewLabel("fewer")
			if r > 0 {
				rows := arg(m, "rows")
				m.JumpIf(rows, NotEqual, r, fewer)
				m.FreeInts(rows)
			}
			gradTile(m, r, w)
			m.Return()
			m.Label(fewer)
		}
	})
}

func gradTile(m Machine, r int, w width) {
	dw := loadTile(m, r, w, "dwinit", "lddwinit")
	db := loadTile(m, 1, w, "dbinit", "")

	dy, lddy, y, ldy := arg(m, "dy"), arg(m, "lddy"), arg(m, "y"), arg(m, "ldy")
	x, ldx, n := arg(m, "x"), arg(m, "ldx"), arg(m, "n")
	dz, yv, xv, zero := m.VecsOf(w.vecs), m.Vec(), m.Vec(), m.Vec()
	m.Zero(zero)
	end := m.NewLabel("folded")
	m.JumpIf(n, AtMost, 0, end)
	byDerivative(m, end, func(d derivative) {
		m.Comment("dz = dy·act'(y);  db += dz;  dw[k] = fma(x[k], dz, dw[k])")
		loop := m.NewLabel("fold")
		m.Label(loop)
		for q, z := range dz {
			on := w.on(m, q)
			w.load(m, q, z, At(dy, 0))
			if d.times != nil {
				w.load(m, q, yv, At(y, 0))
				d.times(on, z, yv, zero)
			}
			on.AddVec(db[0][q], db[0][q], z)
		}
		for k := range dw {
			w.fold(m, dw[k], dz, At(x, k*m.Spec().Float.Size), xv)
		}
		if d.times != nil {
			for q, z := range dz {
				w.store(m, q, At(dy, 0), z)
			}
			m.Add(y, ldy)
		}
		m.Add(dy, lddy)
		m.Add(x, ldx)
		m.LoopDown(n, loop)
	})
	m.FreeVecs(dz...)
	m.FreeInts(dy, lddy, y, ldy, x, ldx, n)

	positive(m, slices.Concat(append(dw, db[0])...), zero)
	m.FreeVecs(yv, xv, zero)
	storeTile(m, dw, w, "dw", "lddw")
	storeIfWanted(m, "db", func() { storeTile(m, db, w, "db", "") })
}

// storeIfWanted emits store to be done unless the parameter ptr is nil.
func storeIfWanted(m Machine, ptr string, store func()) {
	p, unwanted := m.Int(), m.NewLabel("unwanted")
	m.Arg(p, ptr)
	m.JumpIf(p, Equal, 0, unwanted)
	m.FreeInts(p)
	store()
	m.Label(unwanted)
}

// gate is grad without dw, for layers with many outputs: a few rows at a time,
// as they lie in memory.
func gate(m Machine) {
	m.Func("gate", sig(m, "func(db, dy *T, lddy uintptr, y *T, ldy uintptr, rows, cols, act int)"),
		"dz[i,j] = dy[i,j]·act'(y[i,j])  i < rows, j < cols, written over dy",
		"db[j]   = db[j] + Σ_i dz[i,j]",
		"",
		"Each sum is one chain of additions in order of i; a zero is +0. The rows of dy",
		"and y are as many bytes apart as follows each. db may be nil.")
	byHeight(m, 4, []string{"dy", "y"}, func(rows int) { gateRows(m, rows) })
}

func gateRows(m Machine, r int) {
	done := m.NewLabel("gated")
	byDerivative(m, done, func(d derivative) {
		without := m.NewLabel("without")
		db := arg(m, "db")
		m.JumpIf(db, Equal, 0, without)
		m.Comment("dz = dy·act'(y);  db += dz")
		gateColumns(m, r, d, &db)
		m.Jump(done)
		m.Label(without)
		m.FreeInts(db)
		if d.times != nil {
			m.Comment("dz = dy·act'(y)")
			gateColumns(m, r, d, nil)
		}
	})
}

func gateColumns(m Machine, r int, d derivative, db *Int) {
	dy, lddy, y, ldy, cols := arg(m, "dy"), arg(m, "lddy"), arg(m, "y"), arg(m, "ldy"), arg(m, "cols")
	dyRows, yRows := m.Rows(r, dy, lddy), m.Rows(r, y, ldy)
	sum, z, yv, zero := m.Vec(), m.Vec(), m.Vec(), m.Vec()
	m.Zero(zero)
	inBlocks(m, cols, 2, func(q int, p piece) {
		if db != nil {
			p.load(m, q, sum, At(*db, 0))
		}
		for i := range r {
			p.load(m, q, z, dyRows.At[i])
			if d.times != nil {
				p.load(m, q, yv, yRows.At[i])
				d.times(m, z, yv, zero)
			}
			if db != nil {
				m.AddVec(sum, sum, z)
			}
			if d.times != nil {
				p.store(m, q, dyRows.At[i], z)
			}
		}
		if db != nil {
			m.AddVec(sum, sum, zero)
			p.store(m, q, At(*db, 0), sum)
		}
	}, func(bytes int) {
		m.StepConst(dyRows, bytes)
		m.StepConst(yRows, bytes)
		if db != nil {
			m.AddConst(*db, bytes)
		}
	})
	m.FreeRows(dyRows)
	m.FreeRows(yRows)
	m.FreeVecs(sum, z, yv, zero)
	m.FreeInts(dy, lddy, y, ldy, cols)
}

func column(m Machine) {
	m.Func("column", sig(m, "func(dx *T, lddx uintptr, dw, dwinit, db, dbinit, dy *T, lddy uintptr, y *T, ldy uintptr, x *T, ldx uintptr, w *T, cols, n, act int)"),
		"dz[i]   = dy[i]·act'(y[i])               i < n, written over dy",
		"db      = dbinit + Σ_i dz[i]",
		"dw[k]   = dwinit[k] + Σ_i x[i,k]·dz[i]   k < cols",
		"dx[i,k] = dz[i]·w[k]",
		"",
		"Each sum is one chain in order of i, of additions or fused multiply-adds; a",
		"zero of db, dw and dx is +0. The rows of dx, dy, y and x are as many bytes",
		"apart as follows each; dw, dwinit and w lie tight. cols is at least 1 and at",
		"most a panel's. dx and db may be nil.")
	cols := arg(m, "cols")
	byWidth(m, cols, chunkBytes, func(w width) {
		columnPanel(m, w)
		m.Return()
	})
}

func columnPanel(m Machine, w width) {
	dw := loadTile(m, 1, w, "dwinit", "")
	wk := loadTile(m, 1, w, "w", "")[0]

	db, z, t, zero := m.Vec(), m.Vec(), m.Vec(), m.Vec()
	m.Zero(zero)
	init := arg(m, "dbinit")
	m.Splat(db, At(init, 0))
	m.FreeInts(init)
	dx, lddx, dy, lddy := arg(m, "dx"), arg(m, "lddx"), arg(m, "dy"), arg(m, "lddy")
	y, ldy, x, ldx, n := arg(m, "y"), arg(m, "ldy"), arg(m, "x"), arg(m, "ldx"), arg(m, "n")
	end := m.NewLabel("folded")
	m.JumpIf(n, AtMost, 0, end)
	body := func(d derivative, wantDX bool) {
		loop := m.NewLabel("fold")
		m.Label(loop)
		m.Splat(z, At(dy, 0))
		if d.times != nil {
			m.Splat(t, At(y, 0))
			d.times(w.on(m, 0), z, t, zero)
			m.StoreLane(At(dy, 0), Lane{z, 0})
			m.Add(y, ldy)
		}
		m.First(chunkBytes).AddVec(db, db, z)
		for q := range w.vecs {
			on := w.on(m, q)
			w.load(m, q, t, At(x, 0))
			on.FMA(dw[0][q], t, z)
			if wantDX {
				on.MulVec(t, z, wk[q])
				on.AddVec(t, t, zero)
				w.store(m, q, At(dx, 0), t)
			}
		}
		if wantDX {
			m.Add(dx, lddx)
		}
		m.Add(dy, lddy)
		m.Add(x, ldx)
		m.LoopDown(n, loop)
	}
	byDerivative(m, end, func(d derivative) {
		without := m.NewLabel("without")
		m.JumpIf(dx, Equal, 0, without)
		m.Comment("dz = dy·act'(y);  db += dz;  dw[k] = fma(x[k], dz, dw[k]);  dx[k] = dz·w[k] + 0")
		body(d, true)
		m.Jump(end)
		m.Label(without)
		m.Comment("the same without dx")
		body(d, false)
	})
	m.FreeInts(dx, lddx, dy, lddy, y, ldy, x, ldx, n)
	m.FreeVecs(z, t)
	m.FreeVecs(wk...)
	positive(m, append(dw[0], db), zero)
	m.FreeVecs(zero)
	storeTile(m, dw, w, "dw", "")
	storeIfWanted(m, "db", func() {
		p := arg(m, "db")
		m.StoreLane(At(p, 0), Lane{db, 0})
		m.FreeInts(p)
	})
	m.FreeVecs(db)
}
