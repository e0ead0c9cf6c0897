package main

import "slices"

// The backward kernels that do more than a matrix product: grad, which makes
// dz and db on its way to the first rows of dw; gradBoth, the whole gradient of a layer
// with few inputs; gate, which makes dz and db alone; gateAround, which makes dz for
// several CPUs; and column, the whole gradient of a layer with a single output.

// A derivative makes dz of dy: times(z, y, by) leaves z where act'(y) is 1, replaces
// it by +0 where that is 0, and destroys y; Gater has set by. Without it dz is dy.
type derivative struct {
	act   int
	times func(on Arithmetic, z, y, by Vec)
}

var derivatives = []derivative{
	{relu, Arithmetic.Gate},
	{identity, nil},
}

// byDerivative emits body for every derivative, chosen by the parameter act, and has each
// go on at end.
func byDerivative(m Machine, end string, body func(derivative)) {
	last := len(derivatives) - 1
	for _, d := range derivatives[:last] {
		act, other := arg(m, "act"), m.NewLabel("other")
		m.JumpIf(act, NotEqual, d.act, other)
		m.FreeInts(act)
		body(d)
		m.Jump(end)
		m.Label(other)
	}
	body(derivatives[last])
	m.Label(end)
}

// gradRows is how many rows of dw grad can compute: as many as fit at every
// width beside dz, db, a vector of y, an element of x and what Gater sets.
func gradRows(s Spec) int {
	return min((s.Vecs-2*maxCols-3)/maxCols, 4)
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
	byWidth(m, cols, maxCols, chunkBytes, func(w width) {
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

// A gradRow is the row that grad and gradBoth are at: its addresses, the bytes to the next
// row, and registers.
type gradRow struct {
	dy, lddy, y, ldy, x, ldx Int
	yv, xv, by               Vec
}

// fold makes dz, and continues db and the rows of dw by it:
//
//	dz = dy·act'(y);  db += dz;  dw[k] = fma(x[k], dz, dw[k])
//
// Unless it is kept, what is stored as a part may be gone.
func (r gradRow) fold(m Machine, w width, d derivative, dz, db []Vec, dw [][]Vec, kept bool) {
	for q, z := range dz {
		on := w.on(m, q)
		w.load(m, q, z, At(r.dy, 0))
		if d.times != nil {
			w.load(m, q, r.yv, At(r.y, 0))
			d.times(on, z, r.yv, r.by)
		}
		on.AddVec(db[q], db[q], z)
	}
	for k := range dw {
		w.fold(m, dw[k], dz, At(r.x, k*m.Spec().Float.Size), r.xv)
	}
	if d.times != nil {
		for q, z := range dz {
			if kept && w.part != nil {
				m.Move(r.yv, z)
				z = r.yv
			}
			w.store(m, q, At(r.dy, 0), z)
		}
		m.Add(r.y, r.ldy)
	}
	m.Add(r.dy, r.lddy)
	m.Add(r.x, r.ldx)
}

// run is fold for a block of as many rows as a vector has lanes, if they lie tight: it loads,
// multiplies and stores whole vectors, of which few lie across cache lines, and shifts each
// row out of two neighbours.
func (r gradRow) run(m Machine, w width, d derivative, dz [][]Vec, db []Vec, dw [][]Vec) {
	s := m.Spec()
	lanes, cols := s.Lanes(), w.span()/s.Float.Size
	own := map[int]Vec{} // the registers of vectors that are in a row as they are
	for i := range dz {
		for q, z := range dz[i] {
			if first := i*cols + q*lanes; first%lanes == 0 {
				own[first/lanes] = z
			}
		}
	}
	loaded := map[int]Vec{}
	vector := func(n int) Vec {
		if z, ok := loaded[n]; ok {
			return z
		}
		z, ok := own[n]
		if !ok {
			z = m.Vec()
		}
		m.Load(z, At(r.dy, n*s.VecBytes))
		if d.times != nil {
			m.Load(r.yv, At(r.y, n*s.VecBytes))
			d.times(m, z, r.yv, r.by)
			m.Store(At(r.dy, n*s.VecBytes), z)
		}
		loaded[n] = z
		return z
	}
	for i := range dz {
		for q, z := range dz[i] {
			first := i*cols + q*lanes
			n, by, end := first/lanes, first%lanes, first+w.size(q)/s.Float.Size
			switch from := vector(n); {
			case by > 0 && end > (n+1)*lanes:
				m.Shift(z, from, vector(n+1), by)
			case by > 0:
				m.Shift(z, from, from, by)
			}
			w.on(m, q).AddVec(db[q], db[q], z)
			for n, v := range loaded {
				if _, kept := own[n]; !kept && (n+1)*lanes <= end { // nothing more of it is wanted
					m.FreeVecs(v)
					delete(loaded, n)
				}
			}
		}
		for k := range dw {
			w.fold(m, dw[k], dz[i], At(r.x, k*s.Float.Size), r.xv)
		}
		m.Add(r.x, r.ldx)
	}
	m.AddConst(r.dy, cols*s.VecBytes)
	if d.times != nil {
		m.AddConst(r.y, cols*s.VecBytes)
	}
}

// free gives back its integer registers.
func (r gradRow) free(m Machine) { m.FreeInts(r.dy, r.lddy, r.y, r.ldy, r.x, r.ldx) }

func gradTile(m Machine, r int, w width) {
	dw := loadTile(m, r, w, "dwinit", "lddwinit")
	db := loadTile(m, 1, w, "dbinit", "")

	row := gradRow{dy: arg(m, "dy"), lddy: arg(m, "lddy"), y: arg(m, "y"), ldy: arg(m, "ldy"), x: arg(m, "x"), ldx: arg(m, "ldx")}
	n, dz := arg(m, "n"), m.VecsOf(w.vecs)
	row.yv, row.xv, row.by = m.Vec(), m.Vec(), m.Vec()
	m.Gater(row.by)
	end := m.NewLabel("folded")
	m.JumpIf(n, AtMost, 0, end)
	byDerivative(m, end, func(d derivative) {
		m.Comment("dz = dy·act'(y);  db += dz;  dw[k] = fma(x[k], dz, dw[k])")
		loop := m.NewLabel("fold")
		m.Label(loop)
		row.fold(m, w, d, dz, db[0], dw, false)
		m.LoopDown(n, loop)
	})
	m.FreeVecs(dz...)
	row.free(m)
	m.FreeInts(n)

	positive(m, slices.Concat(append(dw, db[0])...), row.by)
	m.FreeVecs(row.yv, row.xv, row.by)
	storeTile(m, dw, w, "dw", "lddw")
	storeIfWanted(m, "db", func() { storeTile(m, db, w, "db", "") })
}

// gradBothLanes are the fewest lanes of a vector for which there is gradBoth.
const gradBothLanes = 4

// gradBothSize is how many rows of dw gradBoth can compute, and how many vectors of
// columns it takes at a time: two each, but no more than sixteen columns, or as many as
// there are registers for beside as many rows of dz as a vector has lanes.
func gradBothSize(s Spec) (rows, vecs int) {
	for rows = 2; rows > 0; rows-- {
		for vecs = min(16/s.Lanes(), 2); vecs > 0; vecs-- {
			if (rows+1+s.Lanes())*vecs+rows+3+s.PartVecs <= s.Vecs {
				return rows, vecs
			}
		}
	}
	return 0, 0
}

func gradBothRows(s Spec) int {
	rows, _ := gradBothSize(s)
	return rows
}

// gradBothHeld is of how many columns the sums stay in registers.
func gradBothHeld(s Spec) int {
	_, vecs := gradBothSize(s)
	return vecs * s.Lanes()
}

// gradBothUnit is what the columns of gradBoth are best a multiple of: half a vector, where
// that is all there is beside whole ones but for a part, which is slow to store.
func gradBothUnit(s Spec) int {
	if s.Lanes() > 8 {
		return s.Lanes() / 2
	}
	return 1
}

// gradBoth is the whole gradient of a layer with few inputs: of as many rows as a vector
// has lanes, dz is turned in the registers for dx, while the chains of dw and db wait for
// each other.
func gradBoth(m Machine) {
	m.Func("gradBoth", sig(m, "func(dx *T, lddx uintptr, dw *T, lddw uintptr, db, dy *T, lddy uintptr, y *T, ldy uintptr, x *T, ldx uintptr, w *T, ldw uintptr, rows, cols, n, act, fresh int)"),
		"dz[i,j] = dy[i,j]·act'(y[i,j])         i < n, j < cols, written over dy",
		"db[j]   = db[j] + Σ_i dz[i,j]",
		"dw[k,j] = dw[k,j] + Σ_i x[i,k]·dz[i,j]  k < rows",
		"dx[i,k] = Σ_j dz[i,j]·w[k,j]",
		"",
		"Each sum is one chain in order of its index, of additions or fused multiply-adds,",
		"that of dx from +0; those of db and dw, too, if fresh is 1 and not 0. A zero is +0. The",
		"rows of each operand are as many bytes apart as follows it. rows is 1 to",
		"gradBothRows, cols and n at least 1.")
	most, _ := gradBothSize(m.Spec())
	byValue(m, "rows", 1, most, func(r int) {
		byDerivative(m, m.NewLabel("end"), func(d derivative) { gradBothInputs(m, r, d) })
		m.Return()
	})
}

// A gradBothPass is that of so many inputs, for one derivative.
type gradBothPass struct {
	Machine
	d    derivative
	vecs int     // of a chunk of columns
	dx   []Vec   // columns of a block of rows
	sums [][]Vec // db and the rows of dw, of a chunk
	j    Int     // bytes of columns before the chunk
	cols Int     // columns from there on
}

// gradBothInputs takes as many rows as a vector has lanes, a block, and in these as many
// columns as vecs vectors hold, a chunk:
//
//	for each block:  dx = +0
//		for each chunk:  db, dw = +0 or what they hold
//			dz = dy·act'(y);  db += dz;  dw[k] = fma(x[k], dz, dw[k]);  dx[k] = fma(dz[j], w[k,j], dx[k])
//			db and dw are stored
//		dx is stored
//
// If a chunk has all columns, db and dw stay in registers: it goes through the blocks.
func gradBothInputs(m Machine, r int, d derivative) {
	s := m.Spec()
	lanes := s.Lanes()
	_, vecs := gradBothSize(s)
	p := gradBothPass{m, d, vecs, m.VecsOf(r), nil, m.Int(), m.Int()}
	for range r + 1 {
		p.sums = append(p.sums, m.VecsOf(vecs))
	}
	block, chunk, last, turned := m.NewLabel("block"), m.NewLabel("chunk"), m.NewLabel("last"), m.NewLabel("turned")
	m.Label(block)
	m.Comment("%d rows of dx, from +0; %d×%d elements of dz at a time", lanes, lanes, vecs*lanes)
	for _, v := range p.dx {
		m.Zero(v)
	}
	m.Const(p.j, 0)
	m.Arg(p.cols, "cols")
	m.Label(chunk)
	m.JumpIf(p.cols, Less, vecs*lanes, last)
	p.chunk(full(vecs, s.VecBytes))
	m.AddConst(p.j, vecs*s.VecBytes)
	m.AddConst(p.cols, -vecs*lanes)
	m.JumpIf(p.cols, AtLeast, 1, chunk)
	m.Jump(turned)
	m.Label(last)
	each := func(w width) {
		if w != full(vecs, s.VecBytes) { // which is no less than a chunk
			p.chunk(w)
		}
		m.Jump(turned)
	}
	switch {
	case gradBothUnit(s) > 1:
		partly := m.NewLabel("partly")
		m.JumpIf(p.cols, NotEqual, gradBothUnit(s), partly)
		each(full(1, gradBothUnit(s)*s.Float.Size))
		m.Label(partly)
		part := m.MakePart(p.cols)
		each(width{vecs: 1, part: &part})
		m.FreePart(part)
	case vecs == 1:
		byWidth(m, p.cols, 1, s.VecBytes, each) // a part of one vector, not two
	default:
		byWidth(m, p.cols, vecs, chunkBytes, each)
	}
	m.Label(turned)
	t := m.Int()
	advance(m, t, lanes, "dy", "y", "x")
	m.Const(t, 0)
	m.SetArg("fresh", t)
	m.FreeInts(t)
	p.store(block)
	m.FreeInts(p.j, p.cols)
	m.FreeVecs(slices.Concat(append(p.sums, p.dx)...)...)
}

// pointer returns where the columns of the chunk begin.
func (p gradBothPass) pointer(name string) Int {
	at := arg(p, name)
	p.Add(at, p.j)
	return at
}

// eachSum does something with every vector of db and dw, and where it is in memory.
func (p gradBothPass) eachSum(w width, do func(q int, v Vec, a Addr)) {
	at, lddw := p.pointer("db"), p.Int()
	for k, vs := range p.sums {
		for q := range w.vecs {
			do(q, vs[q], At(at, 0))
		}
		if k == 0 {
			p.Arg(at, "dw")
			p.Add(at, p.j)
			p.Arg(lddw, "lddw")
		} else if k < len(p.sums)-1 {
			p.Add(at, lddw)
		}
	}
	p.FreeInts(at, lddw)
}

// ifAll emits do for a chunk that has all columns.
func (p gradBothPass) ifAll(do func()) {
	cols, some := arg(p, "cols"), p.NewLabel("some")
	p.JumpIf(cols, AtLeast, p.vecs*p.Spec().Lanes()+1, some)
	p.FreeInts(cols)
	do()
	p.Label(some)
}

// chunk computes a chunk of a block, or if it has all columns, of every block, and returns
// from the function then.
func (p gradBothPass) chunk(w width) {
	again := p.NewLabel("again")
	p.begin(w)
	p.Label(again)
	p.turn(w, p.fold(w))
	p.ifAll(func() { p.store(again) })
	p.end(w)
	p.ifAll(p.Return)
}

// begin sets db and dw to +0, or loads what they hold.
func (p gradBothPass) begin(w width) {
	p.Comment("db[j] and dw[k,j]")
	fresh, kept, ready := arg(p, "fresh"), p.NewLabel("kept"), p.NewLabel("ready")
	p.JumpIf(fresh, Equal, 0, kept)
	p.FreeInts(fresh)
	for _, vs := range p.sums {
		for _, v := range vs[:w.vecs] {
			p.Zero(v)
		}
	}
	p.Jump(ready)
	p.Label(kept)
	p.eachSum(w, func(q int, v Vec, a Addr) { w.load(p, q, v, a) })
	p.Label(ready)
}

// end stores db and dw.
func (p gradBothPass) end(w width) {
	zero := p.Vec()
	p.Zero(zero)
	p.eachSum(w, func(q int, v Vec, a Addr) {
		p.AddVec(v, v, zero)
		w.store(p, q, a, v)
	})
	p.FreeVecs(zero)
}

// fold makes dz of a chunk of a block and continues db and dw by it. If fewer rows are
// left, the others of what it returns are +0. Lanes behind the columns are undefined.
func (p gradBothPass) fold(w width) [][]Vec {
	lanes := p.Spec().Lanes()
	p.Comment("dz = dy·act'(y);  db += dz;  dw[k] = fma(x[k], dz, dw[k])")
	dz := make([][]Vec, lanes)
	for i := range dz {
		dz[i] = p.VecsOf(w.vecs)
	}
	row := gradRow{dy: p.pointer("dy"), lddy: arg(p, "lddy"), y: p.pointer("y"), ldy: arg(p, "ldy"), x: arg(p, "x"), ldx: arg(p, "ldx")}
	row.yv, row.xv, row.by = p.Vec(), p.Vec(), p.Vec()
	p.Gater(row.by)
	left, whole, folded := arg(p, "n"), p.NewLabel("whole"), p.NewLabel("folded")
	if p.Spec().Shifts && w.bytes == p.Spec().VecBytes && w.last < w.bytes {
		loose := p.NewLabel("loose")
		p.JumpIf(left, Less, lanes, loose)
		p.JumpIf(*w.back, NotEqual, 0, loose)
		p.JumpIf(row.lddy, NotEqual, w.span(), loose)
		if p.d.times != nil {
			p.JumpIf(row.ldy, NotEqual, w.span(), loose)
		}
		row.run(p, w, p.d, dz, p.sums[0], p.sums[1:])
		p.Jump(folded)
		p.Label(loose)
	}
	p.JumpIf(left, AtLeast, lanes, whole)
	for _, z := range dz[1:] {
		for _, v := range z {
			p.Zero(v)
		}
	}
	p.Label(whole)
	for i, z := range dz {
		if i > 0 {
			p.JumpIf(left, AtMost, i, folded)
		}
		row.fold(p, w, p.d, z, p.sums[0], p.sums[1:], true)
	}
	p.Label(folded)
	p.FreeInts(left)
	p.ifAll(func() {
		p.SetArg("dy", row.dy)
		p.SetArg("y", row.y)
		p.SetArg("x", row.x)
	})
	row.free(p)
	p.FreeVecs(row.yv, row.xv, row.by)
	return dz
}

// turn continues dx by the columns of a chunk of dz, which it gives back.
func (p gradBothPass) turn(w width, dz [][]Vec) {
	lanes, size := p.Spec().Lanes(), p.Spec().Float.Size
	p.Comment("dx[k] = fma(dz[j], w[k,j], dx[k])")
	t, turned, at, ldw := p.Vec(), p.NewLabel("turned"), p.pointer("w"), arg(p, "ldw")
	wk := p.Rows(len(p.dx), at, ldw)
	for q := range w.vecs {
		early := w.back != nil && q == w.vecs-1
		if early {
			wk.step(p, *w.back)
			p.AddConst(*w.back, w.span()) // bytes of all columns
		}
		count := w.size(q) / size
		if w.part != nil {
			count = lanes
		}
		var rows []Vec
		for _, z := range dz {
			rows = append(rows, z[q])
		}
		columns := p.Transpose(rows, count)
		for c, column := range columns {
			over := p.NewLabel("over")
			switch {
			case early && c < count-1: // a column that the vector before has, too
				p.JumpIf(*w.back, AtMost, w.span()-(c+1)*size, over)
			case w.part != nil && c > 0:
				p.JumpIf(w.part.Count, Equal, c, turned)
			}
			for k, v := range p.dx {
				p.Scalars(t, wk.At[k].Plus(q*w.bytes+c*size), 1, 1)
				p.FMAScalar(v, column, t, 0)
			}
			p.Label(over)
		}
		if early {
			p.AddConst(*w.back, -w.span())
		}
		p.FreeVecs(columns...)
	}
	p.Label(turned)
	p.FreeRows(wk)
	p.FreeInts(at, ldw)
	p.FreeVecs(t)
}

// store stores a block of rows of dx, or so many as are left, begins the next from +0,
// and goes on at again if there is one.
func (p gradBothPass) store(again string) {
	lanes, stored := p.Spec().Lanes(), p.NewLabel("stored")
	left, dx, lddx, t := arg(p, "n"), arg(p, "dx"), arg(p, "lddx"), p.Vec()
	positive(p, p.dx, t)
	if len(p.dx) == 1 {
		few := p.NewLabel("few")
		p.JumpIf(left, Less, lanes, few)
		storeColumn(p, p.dx[0], dx, lddx, t)
		p.Jump(stored)
		p.Label(few)
	}
	columns := p.VecsOf(len(p.dx))
	for k, v := range p.dx {
		p.Move(columns[k], v)
	}
	rows := p.Rows(lanes, dx, lddx)
	p.StoreTurned(rows.At, columns, &left)
	p.FreeRows(rows)
	p.Label(stored)
	for _, v := range p.dx {
		p.Zero(v)
	}
	p.MulConst(lddx, lddx, lanes)
	p.Add(dx, lddx)
	p.SetArg("dx", dx)
	p.AddConst(left, -lanes)
	p.SetArg("n", left)
	p.FreeInts(left, dx, lddx)
	p.FreeVecs(t)
	p.JumpIf(left, AtLeast, 1, again)
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
	byHeight(m, 4, 4, []string{"dy", "y"}, func(rows int) { gateRows(m, rows) })
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
	sum, z, yv, zero, by := m.Vec(), m.Vec(), m.Vec(), m.Vec(), m.Vec()
	if d.times != nil {
		m.Gater(by)
	}
	if db != nil {
		m.Zero(zero)
	}
	inBlocks(m, cols, 2, func(q int, p piece) {
		if db != nil {
			p.load(m, q, sum, At(*db, 0))
		}
		for i := range r {
			p.load(m, q, z, dyRows.At[i])
			if d.times != nil {
				p.load(m, q, yv, yRows.At[i])
				d.times(m, z, yv, by)
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
		dyRows.stepConst(m, bytes)
		yRows.stepConst(m, bytes)
		if db != nil {
			m.AddConst(*db, bytes)
		}
	})
	m.FreeRows(dyRows)
	m.FreeRows(yRows)
	m.FreeVecs(sum, z, yv, zero, by)
	m.FreeInts(dy, lddy, y, ldy, cols)
}

// gateAround is gate without db for a run of whole lines that several CPUs will read: an
// ordinary store waits until other caches have given up the line, and a store around the
// caches does not.
func gateAround(m Machine) {
	m.Func("gateAround", sig(m, "func(dy, y *T, n, act int)"),
		"dz[i] = dy[i]·act'(y[i])  i < n, written over dy",
		"",
		"dy is at the beginning of a cache line, and n the elements of some lines, at least one.",
		"They are stored around the caches, where the machine can.")
	s := m.Spec()
	byDerivative(m, m.NewLabel("gated"), func(d derivative) {
		if d.times == nil {
			return
		}
		dy, y, n := arg(m, "dy"), arg(m, "y"), arg(m, "n")
		z, yv, by, loop := m.Vec(), m.Vec(), m.Vec(), m.NewLabel("lines")
		m.Gater(by)
		m.Label(loop)
		m.Comment("dz = dy·act'(y)")
		for q := 0; q < line; q += s.VecBytes {
			m.Load(z, At(dy, q))
			m.Load(yv, At(y, q))
			d.times(m, z, yv, by)
			m.StoreAround(At(dy, q), z)
		}
		m.AddConst(dy, line)
		m.AddConst(y, line)
		m.AddConst(n, -line/s.Float.Size)
		m.JumpIf(n, AtLeast, 1, loop)
		m.Fence()
		m.FreeVecs(z, yv, by)
		m.FreeInts(dy, y, n)
	})
	m.Return()
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
	byWidth(m, cols, maxCols, chunkBytes, func(w width) {
		columnPanel(m, w)
		m.Return()
	})
}

func columnPanel(m Machine, w width) {
	dw := loadTile(m, 1, w, "dwinit", "")
	wk := loadTile(m, 1, w, "w", "")[0]

	db, z, t, zero, by := m.Vec(), m.Vec(), m.Vec(), m.Vec(), m.Vec()
	m.Zero(zero)
	m.Gater(by)
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
			d.times(w.on(m, 0), z, t, by)
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
	m.FreeVecs(z, t, by)
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
