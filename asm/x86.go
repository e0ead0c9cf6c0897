package main

import (
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// x86Ints are the integer registers that Go's ABI leaves to a function: all
// but SP, BP, R14 (the goroutine) and R15 (taken when dynamically linked).
var x86Ints = []reg.GPPhysical{
	reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI,
	reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13,
}

// x86 is what AVX2 and AVX-512 have in common.
//
// X15, which Go's compiler expects to be zero, is a register like the others
// here and zero again on return.
type x86 struct {
	*build.Context
	registers
	spec Spec
}

// avx2 is AVX2 with FMA: sixteen registers of 256 bits, masks in registers.
type avx2 struct{ x86 }

func newAVX2(c *build.Context, f Float) Machine {
	return &avx2{newX86(c, Spec{
		ISA: "AVX2", Float: f, VecBytes: 32, Vecs: 16, PartVecs: 1,
		Tuning: Tuning{PackRows: 12, TallFrom: 12, SquaresRows: 6, SquaresBytes: always, StripsBytes: always, SweepBytes: always, ThinFrom: 8},
	})}
}

// avx512 is AVX-512 with F, VL, BW and DQ: thirty-two registers of 512 bits,
// masks in registers of their own, K1 for a part, K2 within a verb.
type avx512 struct {
	x86
	inPlace int          // uses of Scalars for which they stay in memory, at the most,
	place   map[Vec]Addr // and where those are
	parted  *bool        // whether there is a part
}

// newAVX512 is AVX-512 as most CPUs have it: two multiply-adds and two loads at once.
// An element that is multiplied by more than once is loaded once, or loads would be
// what takes longest.
func newAVX512(c *build.Context, f Float) Machine {
	return avx512Of(c, f, "AVX512", 64, 1, Tuning{PackRows: 48, SoonFrom: 18, TallFrom: 3 * f.Size / 2, SquaresRows: 6 * f.Size, SquaresBytes: 1 << 20, StripsBytes: 512 << 10, SweepBytes: 64 << 10, ThinFrom: 16})
}

// newAVX512Zen4 is AVX-512 for Zen 4, which takes a vector of 512 bits as two halves:
// one multiply-add at a time, and two elements multiplied by in place. To fill a
// vector with one takes as long as to multiply by it.
func newAVX512Zen4(c *build.Context, f Float) Machine {
	return avx512Of(c, f, "AVX512Zen4", 64, 3, Tuning{Halved: true, PackRows: 48, TallFrom: 16, SquaresRows: 48, SquaresBytes: always, StripsBytes: always, SweepBytes: always, ThinFrom: 8})
}

// newAVX512VL is AVX-512 with vectors of 256 bits.
func newAVX512VL(c *build.Context, f Float) Machine {
	return avx512Of(c, f, "AVX512VL", 32, 1, Tuning{PackRows: 48, SquaresRows: 48, SquaresBytes: always, StripsBytes: always, SweepBytes: always, ThinFrom: 8})
}

func avx512Of(c *build.Context, f Float, isa string, bytes, inPlace int, t Tuning) Machine {
	return &avx512{inPlace: inPlace, place: make(map[Vec]Addr), parted: new(bool), x86: newX86(c, Spec{
		ISA: isa, Float: f, VecBytes: bytes, Vecs: 32, Masks: true, Shifts: true,
		Tuning: t,
	})}
}

func newX86(c *build.Context, s Spec) x86 {
	s.Ints, s.Scalars, s.Columns, s.LastBytes = len(x86Ints), 1, s.VecBytes/2/s.Float.Size, 32
	return x86{Context: c, registers: newRegisters(s), spec: s}
}

func (m *x86) Spec() Spec { return m.spec }

// pick is the instruction for the element type.
func pick[F any](m *x86, f32, f64 F) F {
	if m.spec.Float == F32 {
		return f32
	}
	return f64
}

func (m *x86) gp(i Int) reg.GPPhysical { return x86Ints[i] }

// vec is the whole register, ymm and xmm its low 256 and 128 bits.
func (m *x86) vec(v Vec) reg.Register { return m.low(v, m.spec.VecBytes) }
func (m *x86) ymm(v Vec) reg.Register { return m.low(v, 32) }
func (m *x86) xmm(v Vec) reg.Register { return m.low(v, 16) }

func (m *x86) low(v Vec, bytes int) reg.Register {
	s := map[int]reg.Spec{16: reg.S128, 32: reg.S256, 64: reg.S512}[bytes]
	return reg.Vector.Lookup(reg.Index(v), s)
}

func (m *x86) mem(a Addr) operand.Mem {
	op := operand.Mem{Base: m.gp(a.Base), Disp: a.Disp}
	if a.Scale != 0 {
		op.Index, op.Scale = m.gp(a.Index), uint8(a.Scale)
	}
	return op
}

// param is a parameter's place in memory.
func (m *x86) param(c gotypes.Component) operand.Mem {
	b, err := c.Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

func (m *x86) Func(name, signature string, doc ...string) {
	m.FreeAll()
	m.Function(name + m.spec.ISA + m.spec.Float.Name)
	m.Attributes(attr.NOSPLIT)
	m.SignatureExpr(signature)
	m.Doc(doc...)
	m.Pragma("noescape")
	// At a cache line: what a loop costs depends on how it lies across lines, and is
	// not to change with the program around it.
	m.Instruction(&ir.Instruction{Opcode: "PCALIGN", Operands: []operand.Op{operand.Imm(64)}})
}

func (m *x86) Return() {
	m.VXORPS(reg.X15, reg.X15, reg.X15)
	m.VZEROUPPER()
	m.RET()
}

func (m *x86) Comment(format string, args ...any) { m.Context.Commentf(format, args...) }

func (m *x86) LoopDown(n Int, label string) {
	m.DECQ(m.gp(n))
	m.JNZ(operand.LabelRef(label))
}

func (m *x86) Jump(label string) { m.JMP(operand.LabelRef(label)) }

func (m *x86) JumpIf(a Int, c Cond, b int, label string) {
	if b == 0 {
		m.TESTQ(m.gp(a), m.gp(a))
	} else {
		m.CMPQ(m.gp(a), imm(b))
	}
	to := operand.LabelRef(label)
	switch c {
	case Equal:
		m.JE(to)
	case NotEqual:
		m.JNE(to)
	case Less:
		m.JLT(to)
	case AtMost:
		m.JLE(to)
	case AtLeast:
		m.JGE(to)
	}
}

func (m *x86) Arg(d Int, name string)    { m.MOVQ(m.param(m.Param(name)), m.gp(d)) }
func (m *x86) SetArg(name string, s Int) { m.MOVQ(m.gp(s), m.param(m.Param(name))) }
func (m *x86) AddArg(d Int, name string) { m.ADDQ(m.param(m.Param(name)), m.gp(d)) }
func (m *x86) SubArg(d Int, name string) { m.SUBQ(m.param(m.Param(name)), m.gp(d)) }
func (m *x86) Const(d Int, c int)        { m.MOVQ(operand.U32(c), m.gp(d)) }
func (m *x86) Copy(d, s Int)             { m.MOVQ(m.gp(s), m.gp(d)) }
func (m *x86) Add(d, s Int)              { m.ADDQ(m.gp(s), m.gp(d)) }
func (m *x86) Sub(d, s Int)              { m.SUBQ(m.gp(s), m.gp(d)) }
func (m *x86) Mul(d, s Int)              { m.IMULQ(m.gp(s), m.gp(d)) }
func (m *x86) Halve(d Int)               { m.SHRQ(operand.U8(1), m.gp(d)) }
func (m *x86) MulConst(d, s Int, c int)  { m.IMUL3Q(imm(c), m.gp(s), m.gp(d)) }

func (m *x86) AddConst(d Int, c int) {
	if c < 0 {
		m.SUBQ(imm(-c), m.gp(d))
	} else {
		m.ADDQ(imm(c), m.gp(d))
	}
}

// imm is a constant of 8 or 32 bits: most instructions have no other forms.
func imm(c int) operand.Constant {
	if c < 1<<7 {
		return operand.U8(c)
	}
	return operand.U32(c)
}

// upper moves the upper half of a register's low 2·bytes to d.
func (m *x86) upper(d, v Vec, bytes int) {
	switch {
	case bytes == 32:
		m.VEXTRACTF64X4(imm(1), m.vec(v), m.ymm(d))
	case v < 16 && d < 16:
		m.VEXTRACTF128(imm(1), m.ymm(v), m.xmm(d))
	default:
		m.VEXTRACTF32X4(imm(1), m.ymm(v), m.xmm(d))
	}
}

// RowInts: a register for every eight rows of a base but the first, and for
// every odd multiple of the stride.
func (m *x86) RowInts(n, bases int) int { return bases*((n-1)/8) + min(max(n-2, 0)/2, 3) }

// Rows reaches eight rows from one base: an index register counts one, two,
// four or eight times, so strides ×1, ×3, ×5 and ×7 give all multiples. The
// next eight have a base of their own.
func (m *x86) Rows(n int, base, stride Int, more ...Int) Rows {
	odd := map[int]Int{1: stride}
	var r Rows
	for _, b := range append([]Int{base}, more...) {
		m.rowsFrom(&r, n, b, stride, odd)
	}
	return r
}

// rowsFrom adds n rows to r. odd has the odd multiples of the stride that are in
// registers.
func (m *x86) rowsFrom(r *Rows, n int, base, stride Int, odd map[int]Int) {
	for row := range n {
		i := row % 8
		if row > 0 && i == 0 {
			next := m.Int()
			m.LEAQ(operand.Mem{Base: m.gp(base), Index: m.gp(stride), Scale: 8}, m.gp(next))
			base = next
			r.took = append(r.took, next)
		}
		a := At(base, 0)
		if i > 0 {
			o, scale := i, 1
			for ; o%2 == 0; o /= 2 {
				scale *= 2
			}
			if _, ok := odd[o]; !ok {
				t := m.Int()
				r.took = append(r.took, t)
				odd[o] = t
				from := map[int][2]int{3: {1, 2}, 5: {1, 4}, 7: {3, 4}}[o]
				m.LEAQ(operand.Mem{Base: m.gp(odd[from[0]]), Index: m.gp(stride), Scale: uint8(from[1])}, m.gp(t))
			}
			a.Index, a.Scale = odd[o], scale
		}
		r.At = append(r.At, a)
	}
}

func (m *x86) FreeRows(r Rows) { m.FreeInts(r.took...) }

func (m *x86) Load(v Vec, a Addr)  { m.LoadFirst(v, a, m.spec.VecBytes) }
func (m *x86) Store(a Addr, v Vec) { m.StoreFirst(a, v, m.spec.VecBytes) }

func (m *x86) StoreAround(a Addr, v Vec) {
	pick(m, m.VMOVNTPS, m.VMOVNTPD)(m.vec(v), m.mem(a))
}

func (m *x86) Fence() { m.SFENCE() }

func (m *x86) LoadFirst(v Vec, a Addr, bytes int) {
	m.moves(bytes)(m.mem(a), m.low(v, max(bytes, 16)))
}

func (m *x86) StoreFirst(a Addr, v Vec, bytes int) {
	m.moves(bytes)(m.low(v, max(bytes, 16)), m.mem(a))
}

func (m *x86) StoreHalves(low, high Addr, v Vec) {
	m.StoreFirst(low, v, m.spec.VecBytes/2)
	if m.spec.VecBytes == 32 {
		m.extract(m.mem(high), v, 1)
	} else {
		m.VEXTRACTF64X4(imm(1), m.vec(v), m.mem(high))
	}
}

// moves is the move of that many bytes.
func (m *x86) moves(bytes int) func(...operand.Op) {
	switch bytes {
	case 4:
		return m.VMOVSS
	case 8:
		return m.VMOVSD
	}
	return pick(m, m.VMOVUPS, m.VMOVUPD)
}

func (m *x86) Prefetch(a Addr)     { m.PREFETCHT0(m.mem(a)) }
func (m *x86) PrefetchSoon(a Addr) { m.PREFETCHT1(m.mem(a)) }

// StorePart stores the lanes in exact pieces, by the bits of the count. A
// masked store would be slower, AVX-512's as well, and keep later loads
// waiting. What is left is always moved to the low lanes.
func (m *x86) StorePart(a Addr, v Vec, p Part) {
	done := m.NewLabel("stored")
	m.storePart(a, v, p.Count, m.spec.Lanes()/2, done)
	m.Label(done)
}

func (m *x86) StorePartUnread(a Addr, v Vec, p Part) { m.StorePart(a, v, p) }

func (m *x86) storePart(a Addr, v Vec, count Int, half int, done string) {
	if half == 0 {
		return
	}
	low := m.NewLabel("low")
	m.TESTQ(operand.U32(half), m.gp(count))
	m.JZ(operand.LabelRef(low))
	switch half * m.spec.Float.Size {
	case 32:
		m.VMOVUPS(m.ymm(v), m.mem(a))
		m.upper(v, v, 32)
	case 16:
		m.VMOVUPS(m.xmm(v), m.mem(a))
		m.upper(v, v, 16)
	case 8:
		m.VMOVSD(m.xmm(v), m.mem(a))
		m.VUNPCKHPD(m.xmm(v), m.xmm(v), m.xmm(v))
	case 4:
		m.VMOVSS(m.xmm(v), m.mem(a))
	}
	m.storePart(a.Plus(half*m.spec.Float.Size), v, count, half/2, done)
	if half > 1 {
		m.JMP(operand.LabelRef(done))
	}
	m.Label(low)
	m.storePart(a, v, count, half/2, done)
}

func (m *x86) LoadOne(v Vec, a Addr) { pick(m, m.VMOVSS, m.VMOVSD)(m.mem(a), m.xmm(v)) }
func (m *x86) Splat(v Vec, a Addr) {
	pick(m, m.VBROADCASTSS, m.VBROADCASTSD)(m.mem(a), m.vec(v))
}

func (m *x86) SplatArg(v Vec, name string) {
	pick(m, m.VBROADCASTSS, m.VBROADCASTSD)(m.param(m.Param(name)), m.vec(v))
}

func (m *x86) StoreLane(a Addr, l Lane) {
	x, at := m.xmm(l.Vec), m.mem(a)
	switch {
	case l.Lane == 0:
		pick(m, m.VMOVSS, m.VMOVSD)(x, at)
	case m.spec.Float == F32:
		m.VEXTRACTPS(imm(l.Lane), x, at)
	default:
		m.VMOVHPD(x, at)
	}
}

func (m *x86) StoreLanes(at []Addr, v, t Vec) {
	e := 16 / m.spec.Float.Size
	for i, a := range at {
		if i%e == 0 && i > 0 {
			m.extract(m.xmm(t), v, i/e)
		}
		if i < e {
			m.StoreLane(a, Lane{v, i})
		} else {
			m.StoreLane(a, Lane{t, i % e})
		}
	}
}

func (m *x86) Move(d, s Vec)      { pick(m, m.VMOVAPS, m.VMOVAPD)(m.vec(s), m.vec(d)) }
func (m *x86) AddVec(d, a, b Vec) { pick(m, m.VADDPS, m.VADDPD)(m.vec(b), m.vec(a), m.vec(d)) }
func (m *x86) SubVec(d, a, b Vec) { pick(m, m.VSUBPS, m.VSUBPD)(m.vec(b), m.vec(a), m.vec(d)) }
func (m *x86) MulVec(d, a, b Vec) { pick(m, m.VMULPS, m.VMULPD)(m.vec(b), m.vec(a), m.vec(d)) }
func (m *x86) FMA(acc, a, b Vec) {
	pick(m, m.VFMADD231PS, m.VFMADD231PD)(m.vec(b), m.vec(a), m.vec(acc))
}

func (m *x86) MulAdd(d, a, b, _ Vec) {
	pick(m, m.VFMADD213PS, m.VFMADD213PD)(m.vec(b), m.vec(a), m.vec(d))
}

// ReLU: VMAX returns its second source (here v, the first in Go's order) when
// one of the two is NaN or both are zero.
func (m *x86) ReLU(v, zero Vec) {
	pick(m, m.VMAXPS, m.VMAXPD)(m.vec(v), m.vec(zero), m.vec(v))
}

// Transpose puts the halves of two rows side by side and goes on from there, perhaps with
// the first ones only.
func (m *x86) Transpose(rows []Vec, cols int) []Vec {
	var first, second []Vec
	t := m.Vec()
	for _, p := range m.pairs(len(rows)) {
		a, b := rows[p[0]], rows[p[1]]
		if 2*cols <= len(rows) {
			m.join(a, m.low(b, m.spec.VecBytes/2))
			m.FreeVecs(b)
			first = append(first, a)
			continue
		}
		m.exchange(&a, &b, &t, m.firstHalves, m.secondHalves)
		first, second = append(first, a), append(second, b)
	}
	columns := append(first, second...)
	m.transposeHalves(columns, &t)
	m.FreeVecs(t)
	m.FreeVecs(columns[cols:]...)
	return columns[:cols]
}

// loadColumns loads halves of two rows side by side: half a square, so that
// others find room beside it. With load, that is how a half is loaded.
func (m *x86) loadColumns(rows []Addr, disp int, load func(v Vec, a Addr)) []Vec {
	columns, t := m.VecsOf(len(rows)/2), m.Vec()
	half := m.spec.VecBytes / 2
	for i, p := range m.pairs(len(rows)) {
		v, low, high := columns[i], rows[p[0]].Plus(disp), rows[p[1]].Plus(disp)
		if load == nil {
			m.LoadFirst(v, low, half)
			m.join(v, m.mem(high))
		} else {
			load(v, low)
			load(t, high)
			m.join(v, m.low(t, half))
		}
	}
	m.transposeHalves(columns, &t)
	m.FreeVecs(t)
	return columns
}

// join puts half a vector of memory or of a register behind the first half of v.
func (m *x86) join(v Vec, high operand.Op) {
	if m.spec.VecBytes == 32 {
		m.insert(v, 1, high)
	} else {
		m.VINSERTF64X4(imm(1), high, m.vec(v), m.vec(v))
	}
}

// pairs are the rows whose halves come to lie side by side: those of one group
// of as many as 128 bits have elements, and of the next.
func (m *x86) pairs(rows int) [][2]int {
	var ps [][2]int
	e := 16 / m.spec.Float.Size
	for r := 0; r < rows; r += 2 * e {
		for i := range e {
			ps = append(ps, [2]int{r + i, r + e + i})
		}
	}
	return ps
}

// exchange replaces a by lo(a, b) and b by hi(a, b), by renaming registers.
func (m *x86) exchange(a, b, t *Vec, lo, hi func(d, a, b Vec)) {
	hi(*t, *a, *b)
	lo(*a, *a, *b)
	*b, *t = *t, *b
}

// firstHalves and secondHalves take halves of a and b, evenQuarters and oddQuarters
// every other 128 bits.
func (m *x86) firstHalves(d, a, b Vec)  { m.halves(d, a, b, 0x20, 0, 0x44) }
func (m *x86) secondHalves(d, a, b Vec) { m.halves(d, a, b, 0x31, 3, 0xee) }
func (m *x86) evenQuarters(d, a, b Vec) { m.quarters(d, a, b, 0x88) }
func (m *x86) oddQuarters(d, a, b Vec)  { m.quarters(d, a, b, 0xdd) }

func (m *x86) halves(d, a, b Vec, vex, two, four uint8) {
	switch {
	case m.vex():
		m.VPERM2F128(operand.U8(vex), m.ymm(b), m.ymm(a), m.ymm(d))
	case m.spec.VecBytes == 32:
		m.quarters(d, a, b, two)
	default:
		m.quarters(d, a, b, four)
	}
}

func (m *x86) quarters(d, a, b Vec, which uint8) {
	m.VSHUFF64X2(operand.U8(which), m.vec(b), m.vec(a), m.vec(d))
}

// lo64 and hi64 take, in each 128 bits, the first or the second 64 of a and b.
func (m *x86) lo64(d, a, b Vec) { m.VUNPCKLPD(m.vec(b), m.vec(a), m.vec(d)) }
func (m *x86) hi64(d, a, b Vec) { m.VUNPCKHPD(m.vec(b), m.vec(a), m.vec(d)) }

// even and odd take every other element of a and b.
func (m *x86) even(d, a, b Vec) { m.alternate(d, a, b, m.lo64, 0x88) }
func (m *x86) odd(d, a, b Vec)  { m.alternate(d, a, b, m.hi64, 0xdd) }

func (m *x86) alternate(d, a, b Vec, f64 func(d, a, b Vec), f32 uint8) {
	if m.spec.Float == F64 {
		f64(d, a, b)
	} else {
		m.VSHUFPS(operand.U8(f32), m.vec(b), m.vec(a), m.vec(d))
	}
}

// transposeQuarters transposes squares of 128 bits: as many vectors as these have
// elements, each 128 bits of them for themselves.
func (m *x86) transposeQuarters(vs []Vec, t *Vec) {
	lo32 := func(d, a, b Vec) { m.VUNPCKLPS(m.vec(b), m.vec(a), m.vec(d)) }
	hi32 := func(d, a, b Vec) { m.VUNPCKHPS(m.vec(b), m.vec(a), m.vec(d)) }
	e := 16 / m.spec.Float.Size // elements in 128 bits
	for g := 0; g < len(vs); g += e {
		q := vs[g:]
		if e == 2 {
			m.exchange(&q[0], &q[1], t, m.lo64, m.hi64)
			continue
		}
		m.exchange(&q[0], &q[1], t, lo32, hi32)     // a0 b0 a1 b1, a2 b2 a3 b3
		m.exchange(&q[2], &q[3], t, lo32, hi32)     // c0 d0 c1 d1, c2 d2 c3 d3
		m.exchange(&q[0], &q[2], t, m.lo64, m.hi64) // columns 0 and 1
		m.exchange(&q[1], &q[3], t, m.lo64, m.hi64) // columns 2 and 3
		q[1], q[2] = q[2], q[1]
	}
}

// transposeHalves makes columns of the first halves of all pairs, and of their
// second halves if they follow.
func (m *x86) transposeHalves(vs []Vec, t *Vec) {
	m.transposeQuarters(vs, t)
	e := 16 / m.spec.Float.Size
	if m.spec.VecBytes == 32 {
		return
	}
	// Vectors c and e+c are [p0 p1 q0 q1] and [r0 r1 s0 s1], p to s being the
	// four groups of e rows: the columns are [p0 q0 r0 s0] and [p1 q1 r1 s1].
	for g := 0; g < len(vs); g += 2 * e {
		for c := range e {
			m.exchange(&vs[g+c], &vs[g+e+c], t, m.evenQuarters, m.oddQuarters)
		}
	}
}

// LoadTurned takes as many columns at a time as fit into 128 bits: vector i has
// their rows i, e+i, 2e+i … side by side.
func (m *x86) LoadTurned(rows []Addr, cols int, few *Int) []Vec {
	var columns []Vec
	t, e := m.Vec(), 16/m.spec.Float.Size
	for c := 0; c < cols; c += e {
		count := min(e, cols-c)
		vs, loaded := m.VecsOf(e), m.NewLabel("loaded")
		if few != nil {
			for _, v := range vs[1:] { // of which the first is loaded whole
				m.VXORPS(m.xmm(v), m.xmm(v), m.xmm(v))
			}
		}
		for q := range m.spec.VecBytes / 16 {
			for i, v := range vs {
				a := rows[q*e+i].Plus(c * m.spec.Float.Size)
				if few != nil && q+i > 0 {
					m.JumpIf(*few, AtMost, q*e+i, loaded)
				}
				switch {
				case q == 0:
					m.loadFew(v, a, count)
				case count == e:
					m.insert(v, q, m.mem(a))
				default:
					m.loadFew(t, a, count)
					m.insert(v, q, m.xmm(t))
				}
			}
		}
		m.Label(loaded)
		m.transposeQuarters(vs, &t)
		m.FreeVecs(vs[count:]...)
		columns = append(columns, vs[:count]...)
	}
	m.FreeVecs(t)
	return columns
}

func (m *x86) StoreTurned(rows []Addr, columns []Vec, few *Int) {
	t, e := m.Vec(), 16/m.spec.Float.Size
	for c := 0; c < len(columns); c += e {
		count := min(e, len(columns)-c)
		vs := append(slices.Clone(columns[c:c+count]), m.VecsOf(e-count)...)
		m.transposeQuarters(vs, &t)
		stored := m.NewLabel("stored")
		for q := range m.spec.VecBytes / 16 {
			for i, v := range vs {
				if few != nil && q+i > 0 {
					m.JumpIf(*few, AtMost, q*e+i, stored)
				}
				from := v
				if q > 0 {
					m.extract(m.xmm(t), v, q)
					from = t
				}
				m.storeFew(rows[q*e+i].Plus(c*m.spec.Float.Size), from, count)
			}
		}
		m.Label(stored)
		m.FreeVecs(vs...)
	}
	m.FreeVecs(t)
}

// loadFew loads so many elements, which 128 bits hold, and storeFew stores them.
func (m *x86) loadFew(v Vec, a Addr, count int) {
	m.LoadFirst(v, a, powerOfTwo(count)*m.spec.Float.Size)
	if count == 3 {
		m.VINSERTPS(imm(2<<4), m.mem(a.Plus(8)), m.xmm(v), m.xmm(v))
	}
}

func (m *x86) storeFew(a Addr, v Vec, count int) {
	m.StoreFirst(a, v, powerOfTwo(count)*m.spec.Float.Size)
	if count == 3 {
		m.StoreLane(a.Plus(8), Lane{v, 2})
	}
}

// insert puts 128 bits of memory or of a register into v, extract moves the q-th
// of v to d.
func (m *x86) insert(v Vec, q int, from operand.Op) {
	if m.vex() {
		m.VINSERTF128(imm(q), from, m.ymm(v), m.ymm(v))
	} else {
		m.VINSERTF32X4(imm(q), from, m.vec(v), m.vec(v))
	}
}

func (m *x86) extract(d operand.Op, v Vec, q int) {
	if m.vex() {
		m.VEXTRACTF128(imm(q), m.ymm(v), d)
	} else {
		m.VEXTRACTF32X4(imm(q), m.vec(v), d)
	}
}

// vex reports whether instructions are those of AVX2, which reach sixteen
// registers.
func (m *x86) vex() bool { return m.spec.Vecs == 16 }

// FoldRows halves to 128 bits, then the rows by pairs (float64) or fours.
func (m *x86) FoldRows(vs []Vec, t Vec) []Lane {
	x := m.xmm
	for _, v := range vs {
		for bytes := m.spec.VecBytes / 2; bytes >= 16; bytes /= 2 {
			h, l := m.low(t, bytes), m.low(v, bytes)
			m.upper(t, v, bytes)
			pick(m, m.VADDPS, m.VADDPD)(h, l, l)
		}
	}
	row := func(i int) Vec { return vs[min(i, len(vs)-1)] }
	var lanes []Lane
	for i := 0; i < len(vs); i += 16 / m.spec.Float.Size {
		a := vs[i]
		if m.spec.Float == F64 {
			m.VHADDPD(x(row(i+1)), x(a), x(a)) // a0+a1, b0+b1
		} else {
			// Pairs first: a0+a2, a1+a3, b0+b2, b1+b3.
			pair := func(a, b Vec) {
				m.VUNPCKHPD(x(b), x(a), x(t))
				m.VUNPCKLPD(x(b), x(a), x(a))
				m.VADDPS(x(t), x(a), x(a))
			}
			pair(a, row(i+1))
			c := a
			if i+2 < len(vs) {
				c = row(i + 2)
				pair(c, row(i+3))
			}
			m.VHADDPS(x(c), x(a), x(a))
		}
		for l := 0; l < 16/m.spec.Float.Size && i+l < len(vs); l++ {
			lanes = append(lanes, Lane{a, l})
		}
	}
	return lanes
}

// FoldSquare adds halves of two rows at a time: 256 bits, 128, 64, 32.
func (m *x86) FoldSquare(vs []Vec) Vec {
	t := m.Vec()
	add := func(a, b Vec, lo, hi func(d, a, b Vec)) Vec {
		hi(t, a, b)
		lo(a, a, b)
		m.AddVec(a, a, t)
		return a
	}
	// Vector i of the first e holds rows i, e+i, 2e+i … in 128 bits each.
	e := 16 / m.spec.Float.Size
	var quads []Vec
	for i := range e {
		quad := add(vs[i], vs[e+i], m.firstHalves, m.secondHalves)
		if len(vs) > 2*e {
			other := add(vs[2*e+i], vs[3*e+i], m.firstHalves, m.secondHalves)
			quad = add(quad, other, m.evenQuarters, m.oddQuarters)
		}
		quads = append(quads, quad)
	}
	if e == 4 {
		for i := range 2 {
			quads[i] = add(quads[2*i], quads[2*i+1], m.lo64, m.hi64)
		}
	}
	sums := add(quads[0], quads[1], m.even, m.odd)
	m.FreeVecs(t)
	return sums
}

// notLessOrEqual is a predicate of VCMP.
const notLessOrEqual = 6

// first is m with vectors of so many bytes, but at least the smallest there are.
func (m x86) first(bytes int) x86 {
	m.spec.VecBytes = max(bytes, chunkBytes)
	return m
}

// What AVX2 does its own way.

func (m *avx2) First(bytes int) Arithmetic { return &avx2{m.x86.first(bytes)} }

func (m *avx2) Short(bytes int) Machine {
	return &avx2{m.x86.first(min(bytes, m.spec.VecBytes))}
}

func (m *avx2) Zero(v Vec) { m.VXORPS(m.vec(v), m.vec(v), m.vec(v)) }

func (m *avx2) Finisher(by Vec, _ bool) { m.Zero(by) }

func (m *avx2) Finish(v, by Vec, relu bool) {
	m.AddVec(v, v, by)
	if relu {
		m.ReLU(v, by)
	}
}

// Scalars: only ever one, and that is all lanes alike.
func (m *avx2) Scalars(v Vec, a Addr, _, _ int) { m.Splat(v, a) }
func (m *avx2) FMAScalar(acc, a, s Vec, _ int)  { m.FMA(acc, a, s) }
func (m *avx2) MulScalar(d, a, s Vec)           { m.MulVec(d, a, s) }

// Permute: there is none of 64 bits that takes its indices from a register, so
// those of float64 are pairs of 32 bits.
func (m *avx2) Permute(d, s, by Vec) { m.VPERMPS(m.ymm(s), m.ymm(by), m.ymm(d)) }

func (m *avx2) Shift(Vec, Vec, Vec, int) { panic("no Shift") }

func (m *avx2) Selector(v Vec, i Int) {
	if m.spec.Float == F32 {
		m.VMOVD(m.gp(i).As32(), m.xmm(v))
		m.VPBROADCASTD(m.xmm(v), m.ymm(v))
		return
	}
	t, u := m.Int(), m.Int()
	m.LEAQ(operand.Mem{Base: m.gp(i), Index: m.gp(i), Scale: 1}, m.gp(t))
	m.LEAQ(operand.Mem{Base: m.gp(t), Disp: 1}, m.gp(u))
	m.SHLQ(imm(32), m.gp(u))
	m.ADDQ(m.gp(u), m.gp(t))
	m.VMOVQ(m.gp(t), m.xmm(v))
	m.VPBROADCASTQ(m.xmm(v), m.ymm(v))
	m.FreeInts(t, u)
}

// MakePart loads the mask from a table of ones and zeros, as many bytes before
// the middle as the part is long.
func (m *avx2) MakePart(count Int) Part {
	p := Part{Count: count, Mask: m.Vec()}
	bytes, table := m.Int(), m.Int()
	m.MOVQ(m.gp(count), m.gp(bytes))
	m.ANDQ(imm(m.spec.Lanes()-1), m.gp(bytes))
	m.IMUL3Q(imm(m.spec.Float.Size), m.gp(bytes), m.gp(bytes))
	m.LEAQ(operand.NewDataAddr(operand.NewStaticSymbol(maskTable), maskBytes), m.gp(table))
	m.SUBQ(m.gp(bytes), m.gp(table))
	m.VMOVDQU(operand.Mem{Base: m.gp(table)}, m.ymm(p.Mask))
	m.FreeInts(bytes, table)
	return p
}

const (
	maskTable = "mask"
	maskBytes = 32 // of ones, and as many of zeros
)

// x86Masks is the table MakePart loads from, for a file whose functions do.
func x86Masks(c *build.Context) {
	c.StaticGlobal(maskTable)
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 2 * maskBytes / 8 {
		ones := operand.U64(0)
		if i < maskBytes/8 {
			ones = ^ones
		}
		c.AppendDatum(ones)
	}
}

func (m *avx2) FreePart(p Part) { m.FreeVecs(p.Mask) }

func (m *avx2) LoadPart(v Vec, a Addr, p Part) {
	pick(&m.x86, m.VMASKMOVPS, m.VMASKMOVPD)(m.mem(a), m.ymm(p.Mask), m.ymm(v))
}

func (m *avx2) LoadColumns(rows []Addr, disp int, part *Part) []Vec {
	if part == nil {
		return m.loadColumns(rows, disp, nil)
	}
	mask := part.Mask
	if disp > 0 {
		mask = m.Vec()
		m.VEXTRACTF128(imm(1), m.ymm(part.Mask), m.xmm(mask))
		defer m.FreeVecs(mask)
	}
	return m.loadColumns(rows, disp, func(v Vec, a Addr) {
		pick(&m.x86, m.VMASKMOVPS, m.VMASKMOVPD)(m.mem(a), m.xmm(mask), m.xmm(v))
	})
}

func (m *avx2) Gater(by Vec) { m.Zero(by) }

// Gate: z AND (y NLE 0), which holds for a NaN too.
func (m *avx2) Gate(z, y, zero Vec) {
	pick(&m.x86, m.VCMPPS, m.VCMPPD)(imm(notLessOrEqual), m.vec(zero), m.vec(y), m.vec(y))
	pick(&m.x86, m.VANDPS, m.VANDPD)(m.vec(y), m.vec(z), m.vec(z))
}

// What AVX-512 does its own way.

func (m *avx512) First(bytes int) Arithmetic { return m.first(bytes) }

func (m *avx512) Short(bytes int) Machine { return m.first(min(bytes, m.spec.VecBytes)) }

func (m *avx512) first(bytes int) *avx512 {
	return &avx512{m.x86.first(bytes), m.inPlace, m.place, m.parted}
}

func (m *avx512) Zero(v Vec) { m.VPXORD(m.vec(v), m.vec(v), m.vec(v)) }

// Scalars: one, of which a register has all lanes alike, or it stays in memory, to be
// multiplied by in place.
func (m *avx512) Scalars(v Vec, a Addr, _, uses int) {
	delete(m.place, v)
	if uses <= m.inPlace {
		m.place[v] = a
		return
	}
	m.Splat(v, a)
}

// FreeVecs forgets what was in memory: a register that is taken next has its own value.
func (m *avx512) FreeVecs(vs ...Vec) {
	for _, v := range vs {
		delete(m.place, v)
	}
	m.x86.FreeVecs(vs...)
}

func (m *avx512) FMAScalar(acc, a, s Vec, _ int) {
	if at, ok := m.place[s]; ok {
		pick(&m.x86, m.VFMADD231PS_BCST, m.VFMADD231PD_BCST)(m.mem(at), m.vec(a), m.vec(acc))
		return
	}
	m.FMA(acc, a, s)
}

func (m *avx512) MulScalar(d, a, s Vec) {
	if at, ok := m.place[s]; ok {
		pick(&m.x86, m.VMULPS_BCST, m.VMULPD_BCST)(m.mem(at), m.vec(a), m.vec(d))
		return
	}
	m.MulVec(d, a, s)
}

func (m *avx512) Permute(d, s, by Vec) {
	pick(&m.x86, m.VPERMPS, m.VPERMPD)(m.vec(s), m.vec(by), m.vec(d))
}

func (m *avx512) Shift(d, lo, hi Vec, by int) {
	pick(&m.x86, m.VALIGND, m.VALIGNQ)(imm(by), m.vec(lo), m.vec(hi), m.vec(d))
}

func (m *avx512) Selector(v Vec, i Int) {
	if m.spec.Float == F32 {
		m.VPBROADCASTD(m.gp(i).As32(), m.vec(v))
	} else {
		m.VPBROADCASTQ(m.gp(i), m.vec(v))
	}
}

// Finish goes by a table of what becomes of which class of numbers.
func (m *avx512) Finish(v, by Vec, _ bool) {
	pick(&m.x86, m.VFIXUPIMMPS, m.VFIXUPIMMPD)(imm(0), m.vec(by), m.vec(v), m.vec(v))
}

func (m *avx512) Finisher(by Vec, relu bool) {
	table := 0x800 // a zero is +0,
	if relu {
		table |= 0x8080000 // and so is what is less
	}
	t := m.Int()
	m.Const(t, table)
	m.VPBROADCASTD(m.gp(t).As32(), m.vec(by))
	m.FreeInts(t)
}

// MakePart makes a mask of as many ones as the part has lanes. It is in K1: a
// kernel has one part at a time.
func (m *avx512) MakePart(count Int) Part {
	if *m.parted {
		panic("a second part")
	}
	*m.parted = true
	bits, n := m.Int(), m.Int()
	m.MOVQ(m.gp(count), m.gp(n))
	m.ANDQ(imm(m.spec.Lanes()-1), m.gp(n))
	m.MOVL(operand.U32(1<<m.spec.Lanes()-1), m.gp(bits).As32())
	m.BZHIL(m.gp(n).As32(), m.gp(bits).As32(), m.gp(bits).As32())
	m.KMOVW(m.gp(bits).As32(), reg.K1)
	m.FreeInts(bits, n)
	return Part{Count: count}
}

func (m *avx512) FreePart(Part) { *m.parted = false }

func (m *avx512) LoadPart(v Vec, a Addr, p Part) {
	pick(&m.x86, m.VMOVUPS_Z, m.VMOVUPD_Z)(m.mem(a), reg.K1, m.vec(v))
}

// StorePartUnread: a masked store, which keeps loads waiting that begin before its end.
func (m *avx512) StorePartUnread(a Addr, v Vec, _ Part) {
	pick(&m.x86, m.VMOVUPS, m.VMOVUPD)(m.vec(v), reg.K1, m.mem(a))
}

func (m *avx512) LoadColumns(rows []Addr, disp int, part *Part) []Vec {
	if part == nil {
		return m.loadColumns(rows, disp, nil)
	}
	mask := reg.K1
	if disp > 0 {
		mask = reg.K2
		m.KSHIFTRW(imm(disp/m.spec.Float.Size), reg.K1, mask)
	}
	return m.loadColumns(rows, disp, func(v Vec, a Addr) {
		pick(&m.x86, m.VMOVUPS_Z, m.VMOVUPD_Z)(m.mem(a), mask, m.low(v, m.spec.VecBytes/2))
	})
}

// Gate goes by the table that Finish goes by: z stays, or becomes +0, by the class of y. To
// compare, and to move by the mask, takes twice as long.
func (m *avx512) Gate(z, y, by Vec) {
	pick(&m.x86, m.VFIXUPIMMPS, m.VFIXUPIMMPD)(imm(0), m.vec(by), m.vec(y), m.vec(z))
}

func (m *avx512) Gater(by Vec) { m.Finisher(by, true) }
