package main

import (
	"fmt"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
)

// neon is the Advanced SIMD of armv8: thirty-two registers of 128 bits, no
// masks. A part is loaded and stored exactly, in pieces of 8 and 4 bytes; Scalars
// are one or two neighbours in a register, by either of which fmla multiplies.
//
// avo knows only x86 instructions, so these are text, in avo's own structures.
type neon struct {
	c *build.Context
	registers
	spec Spec
}

// neonInts are the integer registers a function may use: not R16 and R17 (the
// linker's), R18 (the platform's), R27 (the assembler's), R28 (the goroutine),
// R29 and R30 (frame pointer and link).
var neonInts = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 19, 20, 21, 22, 23, 24, 25, 26}

// neonTemp is for what a verb needs between two instructions: the linker has it
// only for calls.
const neonTemp = text("R16")

func newNEON(c *build.Context, f Float) Machine {
	s := Spec{
		ISA: "NEON", Float: f, VecBytes: 16, Vecs: 32, Ints: len(neonInts),
		PartVecs: 0, Scalars: 2, Columns: 16 / f.Size, LastBytes: 16,
		Tuning: Tuning{PackRows: 48, SquaresRows: 6, SquaresBytes: always, StripsBytes: always, SweepBytes: always, ThinFrom: 8},
	}
	return &neon{c: c, registers: newRegisters(s), spec: s}
}

// neonPasses are what of avo's compilation does not concern x86 registers.
var neonPasses = pass.Concat(
	pass.FunctionPass(pass.PruneJumpToFollowingLabel),
	pass.FunctionPass(pass.PruneDanglingLabels),
	pass.Func(pass.IncludeTextFlagHeader),
)

func (m *neon) Spec() Spec { return m.spec }

// text is an operand as the assembler reads it.
type text string

func (t text) Asm() string { return string(t) }

// op emits an instruction. A branch has its label as the only operand.
func (m *neon) op(opcode string, operands ...operand.Op) {
	i := &ir.Instruction{Opcode: opcode, Operands: operands}
	if len(operands) == 1 {
		if _, ok := operands[0].(operand.LabelRef); ok {
			i.IsBranch, i.IsConditional = true, opcode != "B"
		}
	}
	i.IsTerminal = opcode == "RET"
	m.c.Instruction(i)
}

func (m *neon) word(w word, d, n, v Vec) { m.op("WORD", text(w.asm(m.spec.Float, d, n, v))) }

func (m *neon) r(i Int) text   { return text(fmt.Sprintf("R%d", neonInts[i])) }
func (m *neon) f(v Vec) text   { return text(fmt.Sprintf("F%d", v)) }
func (m *neon) b16(v Vec) text { return text(fmt.Sprintf("V%d.B16", v)) }
func (m *neon) d2(v Vec) text  { return text(fmt.Sprintf("V%d.D2", v)) }
func (m *neon) imm(c int) text { return text(fmt.Sprintf("$%d", c)) }

func (m *neon) mem(a Addr) text {
	if a.Scale != 0 {
		panic("an index where there can be none")
	}
	return text(fmt.Sprintf("%d(%s)", a.Disp, m.r(a.Base)))
}

// vec is v with its elements' arrangement, lane one of those elements.
func (m *neon) vec(v Vec) text {
	if m.spec.Float == F32 {
		return text(fmt.Sprintf("V%d.S4", v))
	}
	return m.d2(v)
}

func (m *neon) lane(l Lane) text {
	if m.spec.Float == F32 {
		return text(fmt.Sprintf("V%d.S[%d]", l.Vec, l.Lane))
	}
	return text(fmt.Sprintf("V%d.D[%d]", l.Vec, l.Lane))
}

// move is the opcode that loads and stores one element.
func (m *neon) move() string {
	if m.spec.Float == F32 {
		return "FMOVS"
	}
	return "FMOVD"
}

// plain calls f with a register that holds a, for instructions that take no
// displacement.
func (m *neon) plain(a Addr, f func(at text)) {
	if a.Disp == 0 {
		f(text(fmt.Sprintf("(%s)", m.r(a.Base))))
		return
	}
	m.op("ADD", m.imm(a.Disp), m.r(a.Base), neonTemp)
	f("(" + neonTemp + ")")
}

func (m *neon) param(c gotypes.Component) operand.Op {
	b, err := c.Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

func (m *neon) Func(name, signature string, doc ...string) {
	m.FreeAll()
	m.c.Function(name + m.spec.ISA + m.spec.Float.Name)
	m.c.Attributes(attr.NOSPLIT)
	m.c.SignatureExpr(signature)
	m.c.Doc(doc...)
	m.c.Pragma("noescape")
}

func (m *neon) Return()                            { m.op("RET") }
func (m *neon) Comment(format string, args ...any) { m.c.Commentf(format, args...) }
func (m *neon) Label(name string)                  { m.c.Label(name) }
func (m *neon) Jump(label string)                  { m.op("B", operand.LabelRef(label)) }

func (m *neon) LoopDown(n Int, label string) {
	m.op("SUBS", m.imm(1), m.r(n))
	m.op("BNE", operand.LabelRef(label))
}

func (m *neon) JumpIf(a Int, c Cond, b int, label string) {
	m.op("CMP", m.imm(b), m.r(a))
	m.op([]string{Equal: "BEQ", NotEqual: "BNE", Less: "BLT", AtMost: "BLE", AtLeast: "BGE"}[c], operand.LabelRef(label))
}

func (m *neon) Arg(d Int, name string)    { m.op("MOVD", m.param(m.c.Param(name)), m.r(d)) }
func (m *neon) SetArg(name string, s Int) { m.op("MOVD", m.r(s), m.param(m.c.Param(name))) }
func (m *neon) Const(d Int, c int)        { m.op("MOVD", m.imm(c), m.r(d)) }
func (m *neon) Copy(d, s Int)             { m.op("MOVD", m.r(s), m.r(d)) }
func (m *neon) Add(d, s Int)              { m.op("ADD", m.r(s), m.r(d)) }
func (m *neon) Sub(d, s Int)              { m.op("SUB", m.r(s), m.r(d)) }
func (m *neon) Mul(d, s Int)              { m.op("MUL", m.r(s), m.r(d)) }
func (m *neon) Halve(d Int)               { m.op("LSR", m.imm(1), m.r(d)) }
func (m *neon) AddArg(d Int, name string) { m.withArg("ADD", d, name) }
func (m *neon) SubArg(d Int, name string) { m.withArg("SUB", d, name) }

func (m *neon) withArg(opcode string, d Int, name string) {
	m.op("MOVD", m.param(m.c.Param(name)), neonTemp)
	m.op(opcode, neonTemp, m.r(d))
}

func (m *neon) AddConst(d Int, c int) {
	if c < 0 {
		m.op("SUB", m.imm(-c), m.r(d))
	} else {
		m.op("ADD", m.imm(c), m.r(d))
	}
}

func (m *neon) MulConst(d, s Int, c int) {
	m.op("MOVD", m.imm(c), neonTemp)
	m.op("MUL", neonTemp, m.r(s), m.r(d))
}

// Rows keeps a pointer for every row.
func (m *neon) RowInts(n, bases int) int { return bases * (n - 1) }

func (m *neon) Rows(n int, base, stride Int, more ...Int) Rows {
	var r Rows
	for _, p := range append([]Int{base}, more...) {
		r.At = append(r.At, At(p, 0))
		for range n - 1 {
			next := m.Int()
			m.op("ADD", m.r(stride), m.r(p), m.r(next))
			p = next
			r.took = append(r.took, p)
			r.At = append(r.At, At(p, 0))
		}
	}
	return r
}

func (m *neon) FreeRows(r Rows) { m.FreeInts(r.took...) }

func (m *neon) Load(v Vec, a Addr)  { m.LoadFirst(v, a, 16) }
func (m *neon) Store(a Addr, v Vec) { m.StoreFirst(a, v, 16) }

// Go's assembler has no STNP of vectors, which is but a hint.
func (m *neon) StoreAround(a Addr, v Vec) { m.Store(a, v) }
func (m *neon) Fence()                    {}

func (m *neon) LoadFirst(v Vec, a Addr, bytes int) {
	m.unindexed(a, func(a Addr) { m.op(moves[bytes], m.mem(a), m.f(v)) })
}

func (m *neon) StoreFirst(a Addr, v Vec, bytes int) {
	m.unindexed(a, func(a Addr) { m.op(moves[bytes], m.f(v), m.mem(a)) })
}

func (m *neon) StoreHalves(low, high Addr, v Vec) {
	m.op("FMOVD", m.f(v), m.mem(low))
	m.plain(high, func(at text) { m.op("VST1", text(fmt.Sprintf("V%d.D[1]", v)), at) })
}

// moves are the opcodes that load and store so many bytes.
var moves = map[int]string{4: "FMOVS", 8: "FMOVD", 16: "FMOVQ"}

// unindexed calls f with a in the form that loads and stores have, without an
// index; the only scale is 1.
func (m *neon) unindexed(a Addr, f func(Addr)) {
	if a.Scale == 0 {
		f(a)
		return
	}
	t := m.Int()
	m.op("ADD", m.r(a.Index), m.r(a.Base), m.r(t))
	f(At(t, a.Disp))
	m.FreeInts(t)
}

func (m *neon) Prefetch(a Addr)     { m.prefetch(a, "PLDL1KEEP") }
func (m *neon) PrefetchSoon(a Addr) { m.prefetch(a, "PLDL2KEEP") }

// prefetch: a displacement must be a multiple of 8.
func (m *neon) prefetch(a Addr, to string) {
	m.unindexed(a, func(a Addr) {
		a.Disp &^= 7
		m.op("PRFM", m.mem(a), text(to))
	})
}

func (m *neon) MakePart(count Int) Part { return Part{Count: count} }
func (m *neon) FreePart(Part)           {}

// pieces emits one for a part of one element, and for float32, where a part
// may be of two or three, two and then third, by the bits of the count.
func (m *neon) pieces(p Part, one, two, third func()) {
	if m.spec.Float == F64 {
		one()
		return
	}
	single, done := m.NewLabel("one"), m.NewLabel("moved")
	m.op("TST", m.imm(2), m.r(p.Count))
	m.op("BEQ", operand.LabelRef(single))
	two()
	m.op("TST", m.imm(1), m.r(p.Count))
	m.op("BEQ", operand.LabelRef(done))
	third()
	m.Jump(done)
	m.Label(single)
	one()
	m.Label(done)
}

func (m *neon) LoadPart(v Vec, a Addr, p Part) {
	m.pieces(p,
		func() { m.op(m.move(), m.mem(a), m.f(v)) },
		func() { m.op("FMOVD", m.mem(a), m.f(v)) },
		func() { m.plain(a.Plus(8), func(at text) { m.op("VLD1", at, m.lane(Lane{v, 2})) }) })
}

func (m *neon) StorePartUnread(a Addr, v Vec, p Part) { m.StorePart(a, v, p) }

func (m *neon) StorePart(a Addr, v Vec, p Part) {
	m.pieces(p,
		func() { m.op(m.move(), m.f(v), m.mem(a)) },
		func() { m.op("FMOVD", m.f(v), m.mem(a)) },
		func() { m.StoreLane(a.Plus(8), Lane{v, 2}) })
}

func (m *neon) LoadOne(v Vec, a Addr) { m.op(m.move(), m.mem(a), m.f(v)) }

// Scalars: two elements are a D or a Q.
func (m *neon) Scalars(v Vec, a Addr, n, _ int) {
	m.op(moves[n*m.spec.Float.Size], m.mem(a), m.f(v))
}

func (m *neon) Splat(v Vec, a Addr) {
	m.plain(a, func(at text) { m.op("VLD1R", at, "["+m.vec(v)+"]") })
}

func (m *neon) SplatArg(v Vec, name string) {
	m.op(m.move(), m.param(m.c.Param(name)), m.f(v))
	m.op("VDUP", m.lane(Lane{v, 0}), m.vec(v))
}

func (m *neon) StoreLane(a Addr, l Lane) {
	if l.Lane == 0 {
		m.op(m.move(), m.f(l.Vec), m.mem(a))
		return
	}
	m.plain(a, func(at text) { m.op("VST1", m.lane(l), at) })
}

func (m *neon) StoreLanes(at []Addr, v, _ Vec) {
	for i, a := range at {
		m.StoreLane(a, Lane{v, i})
	}
}

// First: there are no smaller vectors of float64, and none of float32 are faster.
func (m *neon) First(int) Arithmetic { return m }
func (m *neon) Short(int) Machine    { return m }

func (m *neon) Zero(v Vec)         { m.op("VMOVI", m.imm(0), m.b16(v)) }
func (m *neon) Move(d, s Vec)      { m.op("VORR", m.b16(s), m.b16(s), m.b16(d)) }
func (m *neon) AddVec(d, a, b Vec) { m.word(words.fadd, d, a, b) }
func (m *neon) SubVec(d, a, b Vec) { m.word(words.fsub, d, a, b) }
func (m *neon) MulVec(d, a, b Vec) { m.word(words.fmul, d, a, b) }
func (m *neon) FMA(acc, a, b Vec)  { m.op("VFMLA", m.vec(b), m.vec(a), m.vec(acc)) }

// MulScalar has all lanes alike first.
func (m *neon) MulScalar(d, a, s Vec) {
	m.op("VDUP", m.lane(Lane{s, 0}), m.vec(s))
	m.MulVec(d, a, s)
}

func (m *neon) MulAdd(d, a, b, t Vec) {
	m.Move(t, b)
	m.FMA(t, d, a)
	m.Move(d, t)
}

func (m *neon) FMAScalar(acc, a, s Vec, e int) { m.word(words.fmla[e], acc, a, s) }

// ReLU: FMAX keeps a NaN.
func (m *neon) ReLU(v, zero Vec) { m.word(words.fmax, v, v, zero) }

func (m *neon) Finisher(by Vec, _ bool) { m.Zero(by) }

func (m *neon) Finish(v, by Vec, relu bool) {
	m.AddVec(v, v, by)
	if relu {
		m.ReLU(v, by)
	}
}

func (m *neon) Gater(Vec) {}

// Gate: z AND NOT (y ≤ 0), which does not hold for a NaN.
func (m *neon) Gate(z, y, _ Vec) {
	m.word(words.fcmle, y, y, 0)
	m.word(words.bic, z, z, y)
}

func (m *neon) Transpose(rows []Vec, cols int) []Vec {
	m.transpose(rows)
	m.FreeVecs(rows[cols:]...)
	return rows[:cols]
}

// transpose does so in the same registers, and gives none back.
func (m *neon) transpose(rows []Vec) []Vec {
	zip := func(d, a, b Vec, half int, arrangement string) {
		r := func(v Vec) text { return text(fmt.Sprintf("V%d.%s", v, arrangement)) }
		m.op(fmt.Sprintf("VZIP%d", half), r(b), r(a), r(d))
	}
	t := m.Vec()
	defer m.FreeVecs(t)
	if m.spec.Float == F64 {
		a, b := rows[0], rows[1]
		zip(t, a, b, 2, "D2")
		zip(a, a, b, 1, "D2")
		m.Move(b, t)
		return rows
	}
	a, b, c, d := rows[0], rows[1], rows[2], rows[3]
	u := m.Vec()
	defer m.FreeVecs(u)
	zip(t, a, b, 2, "S4") // a2 b2 a3 b3
	zip(a, a, b, 1, "S4") // a0 b0 a1 b1
	zip(u, c, d, 2, "S4") // c2 d2 c3 d3
	zip(c, c, d, 1, "S4") // c0 d0 c1 d1
	zip(b, a, c, 2, "D2") // a1 b1 c1 d1
	zip(a, a, c, 1, "D2") // a0 b0 c0 d0
	zip(c, t, u, 1, "D2") // a2 b2 c2 d2
	zip(d, t, u, 2, "D2") // a3 b3 c3 d3
	return rows
}

// Permute goes by bytes.
func (m *neon) Permute(d, s, by Vec) {
	m.op("VTBL", m.b16(by), "["+m.b16(s)+"]", m.b16(d))
}

func (m *neon) Shift(Vec, Vec, Vec, int) { panic("no Shift") }

func (m *neon) Selector(v Vec, i Int) {
	t, u := m.Int(), m.Int()
	each, first := uint64(0x0808080808080808), uint64(0x0706050403020100)
	if m.spec.Float == F32 {
		each, first = 0x04040404, 0x03020100
	}
	m.op("MOVD", text(fmt.Sprintf("$%#x", each)), m.r(t))
	m.op("MUL", m.r(i), m.r(t))
	m.op("MOVD", text(fmt.Sprintf("$%#x", first)), m.r(u))
	m.op("ADD", m.r(u), m.r(t))
	m.op("VDUP", m.r(t), m.vec(v))
	m.FreeInts(t, u)
}

func (m *neon) LoadColumns(rows []Addr, disp int, part *Part) []Vec {
	vs := m.VecsOf(len(rows))
	for i, v := range vs {
		if part == nil {
			m.Load(v, rows[i].Plus(disp))
		} else {
			m.LoadPart(v, rows[i].Plus(disp), *part)
		}
	}
	return m.transpose(vs)
}

func (m *neon) LoadTurned(rows []Addr, cols int, few *Int) []Vec {
	var columns []Vec
	lanes := m.spec.Lanes()
	for c := 0; c < cols; c += lanes {
		count, vs, loaded := min(lanes, cols-c), m.VecsOf(lanes), m.NewLabel("loaded")
		if few != nil {
			for _, v := range vs[1:] { // of which the first is loaded whole
				m.Zero(v)
			}
		}
		for i, v := range vs {
			a := rows[i].Plus(c * m.spec.Float.Size)
			if few != nil && i > 0 {
				m.JumpIf(*few, AtMost, i, loaded)
			}
			m.LoadFirst(v, a, powerOfTwo(count)*m.spec.Float.Size)
			if count == 3 {
				m.plain(a.Plus(8), func(at text) { m.op("VLD1", at, m.lane(Lane{v, 2})) })
			}
		}
		m.Label(loaded)
		columns = append(columns, m.Transpose(vs, count)...)
	}
	return columns
}

func (m *neon) StoreTurned(rows []Addr, columns []Vec, few *Int) {
	lanes := m.spec.Lanes()
	for c := 0; c < len(columns); c += lanes {
		count, stored := min(lanes, len(columns)-c), m.NewLabel("stored")
		vs := m.transpose(append(slices.Clone(columns[c:c+count]), m.VecsOf(lanes-count)...))
		for i, v := range vs {
			if few != nil && i > 0 {
				m.JumpIf(*few, AtMost, i, stored)
			}
			a := rows[i].Plus(c * m.spec.Float.Size)
			m.StoreFirst(a, v, powerOfTwo(count)*m.spec.Float.Size)
			if count == 3 {
				m.StoreLane(a.Plus(8), Lane{v, 2})
			}
		}
		m.Label(stored)
		m.FreeVecs(vs...)
	}
}

// FoldRows takes the rows by pairs (float64) or fours (float32).
func (m *neon) FoldRows(vs []Vec, t Vec) []Lane {
	row := func(i int) Vec { return vs[min(i, len(vs)-1)] }
	var lanes []Lane
	for i := 0; i < len(vs); i += m.spec.Lanes() {
		a, c := vs[i], row(i+1)
		if m.spec.Float == F32 {
			// Pairs first: a0+a2, a1+a3, b0+b2, b1+b3.
			pair := func(a, b Vec) {
				m.op("VZIP2", m.d2(b), m.d2(a), m.d2(t))
				m.op("VZIP1", m.d2(b), m.d2(a), m.d2(a))
				m.AddVec(a, a, t)
			}
			pair(a, row(i+1))
			c = a
			if i+2 < len(vs) {
				c = row(i + 2)
				pair(c, row(i+3))
			}
		}
		m.word(words.faddp, a, a, c)
		for l := 0; l < m.spec.Lanes() && i+l < len(vs); l++ {
			lanes = append(lanes, Lane{a, l})
		}
	}
	return lanes
}

func (m *neon) FoldSquare(vs []Vec) Vec {
	t := m.Vec()
	m.FoldRows(vs, t)
	m.FreeVecs(t)
	return vs[0]
}
