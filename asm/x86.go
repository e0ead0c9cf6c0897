package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// x86Ints are the integer registers that Go's ABI leaves to a function: all
// but SP, BP, R14 (the goroutine) and R15 (taken when dynamically linked).
var x86Ints = []reg.GPPhysical{
	reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI,
	reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13,
}

var x86Xmm = []reg.VecPhysical{
	reg.X0, reg.X1, reg.X2, reg.X3, reg.X4, reg.X5, reg.X6, reg.X7,
	reg.X8, reg.X9, reg.X10, reg.X11, reg.X12, reg.X13, reg.X14, reg.X15,
}

// avx2 is AVX2 with FMA: sixteen registers of 256 bits, masks in registers,
// and exact partial stores in pieces of 16, 8 and 4 bytes (a masked store is
// slow on many CPUs and keeps later loads waiting on all).
//
// X15, which Go's compiler expects to be zero, is a register like the others
// here and zero again on return.
type avx2 struct {
	*build.Context
	registers
	spec Spec
}

func newAVX2(c *build.Context, f Float) Machine {
	s := Spec{
		ISA: "AVX2", Float: f, VecBytes: 32, Vecs: 16, Ints: len(x86Ints),
		PartVecs: 1, Scalars: 1, MaxRows: 8, MaxCols: 3,
	}
	return &avx2{Context: c, registers: newRegisters(s), spec: s}
}

func (m *avx2) Spec() Spec { return m.spec }

// pick is the instruction for the element type.
func pick[F any](m *avx2, f32, f64 F) F {
	if m.spec.Float == F32 {
		return f32
	}
	return f64
}

func (m *avx2) ymm(v Vec) reg.VecPhysical { return x86Xmm[v].AsY().(reg.VecPhysical) }
func (m *avx2) xmm(v Vec) reg.VecPhysical { return x86Xmm[v] }
func (m *avx2) gp(i Int) reg.GPPhysical   { return x86Ints[i] }

func (m *avx2) mem(a Addr) operand.Mem {
	op := operand.Mem{Base: m.gp(a.Base), Disp: a.Disp}
	if a.Scale != 0 {
		op.Index, op.Scale = m.gp(a.Index), uint8(a.Scale)
	}
	return op
}

// param is a parameter's place in memory.
func (m *avx2) param(c gotypes.Component) operand.Mem {
	b, err := c.Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

func (m *avx2) Func(name, signature string, doc ...string) {
	m.FreeAll()
	m.Function(name + m.spec.ISA + m.spec.Float.Name)
	m.Attributes(attr.NOSPLIT)
	m.SignatureExpr(signature)
	m.Doc(doc...)
	m.Pragma("noescape")
}

func (m *avx2) Return() {
	m.VXORPS(reg.X15, reg.X15, reg.X15)
	m.VZEROUPPER()
	m.RET()
}

func (m *avx2) Comment(format string, args ...any) { m.Context.Commentf(format, args...) }

func (m *avx2) LoopDown(n Int, label string) {
	m.DECQ(m.gp(n))
	m.JNZ(operand.LabelRef(label))
}

func (m *avx2) Jump(label string) { m.JMP(operand.LabelRef(label)) }

func (m *avx2) JumpIf(a Int, c Cond, b int, label string) {
	if b == 0 {
		m.TESTQ(m.gp(a), m.gp(a))
	} else {
		m.CMPQ(m.gp(a), operand.Imm(uint64(b)))
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

func (m *avx2) Arg(d Int, name string)    { m.MOVQ(m.param(m.Param(name)), m.gp(d)) }
func (m *avx2) SetArg(name string, s Int) { m.MOVQ(m.gp(s), m.param(m.Param(name))) }
func (m *avx2) Add(d, s Int)              { m.ADDQ(m.gp(s), m.gp(d)) }
func (m *avx2) MulConst(d, s Int, c int)  { m.IMUL3Q(operand.Imm(uint64(c)), m.gp(s), m.gp(d)) }

func (m *avx2) AddConst(d Int, c int) {
	if c < 0 {
		m.SUBQ(operand.Imm(uint64(-c)), m.gp(d))
	} else {
		m.ADDQ(operand.Imm(uint64(c)), m.gp(d))
	}
}

// Rows reaches eight rows from one base: an index register counts one, two,
// four or eight times, so strides ×1, ×3, ×5 and ×7 give all multiples.
func (m *avx2) Rows(n int, base, stride Int) Rows {
	odd := map[int]Int{1: stride}
	var r Rows
	for i := range n {
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
	return r
}

func (m *avx2) FreeRows(r Rows)          { m.FreeInts(r.took...) }
func (m *avx2) Step(r Rows, by Int)      { m.Add(r.At[0].Base, by) }
func (m *avx2) StepConst(r Rows, by int) { m.AddConst(r.At[0].Base, by) }

func (m *avx2) Load(v Vec, a Addr)  { pick(m, m.VMOVUPS, m.VMOVUPD)(m.mem(a), m.ymm(v)) }
func (m *avx2) Store(a Addr, v Vec) { pick(m, m.VMOVUPS, m.VMOVUPD)(m.ymm(v), m.mem(a)) }

// MakePart loads the mask from a table of ones and zeros, as many bytes before
// the middle as the part is long.
func (m *avx2) MakePart(count Int) Part {
	p := Part{Count: count, Mask: m.Vec()}
	bytes, table := m.Int(), m.Int()
	m.MOVQ(m.gp(count), m.gp(bytes))
	m.ANDQ(operand.Imm(uint64(m.spec.Lanes()-1)), m.gp(bytes))
	m.IMUL3Q(operand.Imm(uint64(m.spec.Float.Size)), m.gp(bytes), m.gp(bytes))
	m.LEAQ(operand.NewDataAddr(operand.NewStaticSymbol(maskTable), m.spec.VecBytes), m.gp(table))
	m.SUBQ(m.gp(bytes), m.gp(table))
	m.VMOVDQU(operand.Mem{Base: m.gp(table)}, m.ymm(p.Mask))
	m.FreeInts(bytes, table)
	return p
}

const maskTable = "mask"

// x86Masks is the table MakePart loads from, for a file whose functions do.
func x86Masks(c *build.Context, vecBytes int) {
	c.StaticGlobal(maskTable)
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 2 * vecBytes / 8 {
		ones := operand.U64(0)
		if i < vecBytes/8 {
			ones = ^ones
		}
		c.AppendDatum(ones)
	}
}

func (m *avx2) FreePart(p Part) { m.FreeVecs(p.Mask) }

func (m *avx2) LoadPart(v Vec, a Addr, p Part) {
	pick(m, m.VMASKMOVPS, m.VMASKMOVPD)(m.mem(a), m.ymm(p.Mask), m.ymm(v))
}

// StorePart stores the lanes in pieces, by the bits of the count. What is
// left is always moved to the low lanes.
func (m *avx2) StorePart(a Addr, v Vec, p Part) {
	done := m.NewLabel("stored")
	m.storePart(a, v, p.Count, m.spec.Lanes()/2, done)
	m.Label(done)
}

func (m *avx2) storePart(a Addr, v Vec, count Int, half int, done string) {
	if half == 0 {
		return
	}
	low := m.NewLabel("low")
	m.TESTQ(operand.U32(half), m.gp(count))
	m.JZ(operand.LabelRef(low))
	switch bytes := half * m.spec.Float.Size; bytes {
	case 16:
		m.VMOVUPS(m.xmm(v), m.mem(a))
		m.VEXTRACTF128(operand.Imm(1), m.ymm(v), m.xmm(v))
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

func (m *avx2) LoadOne(v Vec, a Addr) { pick(m, m.VMOVSS, m.VMOVSD)(m.mem(a), m.xmm(v)) }
func (m *avx2) Splat(v Vec, a Addr) {
	pick(m, m.VBROADCASTSS, m.VBROADCASTSD)(m.mem(a), m.ymm(v))
}

// Scalars: only ever one, and that is all lanes alike.
func (m *avx2) Scalars(v Vec, a Addr, _ int) { m.Splat(v, a) }
func (m *avx2) SplatArg(v Vec, name string) {
	pick(m, m.VBROADCASTSS, m.VBROADCASTSD)(m.param(m.Param(name)), m.ymm(v))
}

func (m *avx2) StoreLane(a Addr, l Lane) {
	x, at := m.xmm(l.Vec), m.mem(a)
	switch {
	case l.Lane == 0:
		pick(m, m.VMOVSS, m.VMOVSD)(x, at)
	case m.spec.Float == F32:
		m.VEXTRACTPS(operand.Imm(uint64(l.Lane)), x, at)
	default:
		m.VMOVHPD(x, at)
	}
}

func (m *avx2) LoadArray(v Vec, name string, i int) {
	pick(m, m.VMOVUPS, m.VMOVUPD)(m.param(m.Param(name).Index(i*m.spec.Lanes())), m.ymm(v))
}

func (m *avx2) StoreArray(name string, i int, v Vec) {
	pick(m, m.VMOVUPS, m.VMOVUPD)(m.ymm(v), m.param(m.Context.Return(name).Index(i*m.spec.Lanes())))
}

func (m *avx2) Zero(v Vec)         { m.VXORPS(m.ymm(v), m.ymm(v), m.ymm(v)) }
func (m *avx2) AddVec(d, a, b Vec) { pick(m, m.VADDPS, m.VADDPD)(m.ymm(b), m.ymm(a), m.ymm(d)) }
func (m *avx2) SubVec(d, a, b Vec) { pick(m, m.VSUBPS, m.VSUBPD)(m.ymm(b), m.ymm(a), m.ymm(d)) }
func (m *avx2) MulVec(d, a, b Vec) { pick(m, m.VMULPS, m.VMULPD)(m.ymm(b), m.ymm(a), m.ymm(d)) }
func (m *avx2) FMA(acc, a, b Vec) {
	pick(m, m.VFMADD231PS, m.VFMADD231PD)(m.ymm(b), m.ymm(a), m.ymm(acc))
}
func (m *avx2) FMAScalar(acc, a, s Vec, _ int) { m.FMA(acc, a, s) }

// ReLU: VMAX returns its second source (here v, the first in Go's order) when
// one of the two is NaN or both are zero.
func (m *avx2) ReLU(v, zero Vec) {
	pick(m, m.VMAXPS, m.VMAXPD)(m.ymm(v), m.ymm(zero), m.ymm(v))
}

// Gate: z AND (y NLE 0), which holds for a NaN too.
func (m *avx2) Gate(z, y, t Vec) {
	const notLessOrEqual = 6
	m.Zero(t)
	pick(m, m.VCMPPS, m.VCMPPD)(operand.Imm(notLessOrEqual), m.ymm(t), m.ymm(y), m.ymm(y))
	pick(m, m.VANDPS, m.VANDPD)(m.ymm(y), m.ymm(z), m.ymm(z))
}

// FoldRows halves to 128 bits, then the rows by pairs (float64) or fours.
func (m *avx2) FoldRows(vs []Vec, t Vec) []Lane {
	x := m.xmm
	for _, v := range vs {
		m.VEXTRACTF128(operand.Imm(1), m.ymm(v), x(t))
		pick(m, m.VADDPS, m.VADDPD)(x(t), x(v), x(v))
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
