package main

import "fmt"

// A Float is an element type.
type Float struct {
	Name string // as functions are named after it
	Go   string // as Go spells it
	Size int    // bytes
}

var (
	F32 = Float{"F32", "float32", 4}
	F64 = Float{"F64", "float64", 8}
)

// A Vec is a vector register, an Int an integer register: indexes into what
// the machine has.
type (
	Vec int
	Int int
)

// An Addr is the memory at base + index·scale + disp. Without a scale there is
// no index.
type Addr struct {
	Base, Index Int
	Scale       int
	Disp        int
}

// At is the memory disp bytes behind base.
func At(base Int, disp int) Addr { return Addr{Base: base, Disp: disp} }

// Plus is the memory disp bytes behind a.
func (a Addr) Plus(disp int) Addr {
	a.Disp += disp
	return a
}

// A Part is the beginning of a vector: its first Count lanes, at least one and
// fewer than all, known at run time.
type Part struct {
	Count Int // may have the panel's whole width; only its low bits count
	Mask  Vec // where the machine keeps a mask, if it wants one
}

// A Lane is one element of a vector register.
type Lane struct {
	Vec  Vec
	Lane int
}

// A Cond compares two integers, signed.
type Cond int

const (
	Equal Cond = iota
	NotEqual
	Less
	AtMost
	AtLeast
)

// A Spec is what kernels need to know of a machine: sizes, nothing else.
type Spec struct {
	ISA      string // as functions are named after it
	Float    Float
	VecBytes int  // width of a vector register
	Vecs     int  // number of vector registers
	Ints     int  // number of integer registers a kernel may use
	PartVecs int  // vector registers that a Part occupies
	Masks    bool // whether a Part is loaded and stored as fast as a vector
	Shifts   bool // whether there is Shift
	Scalars  int  // neighbours in memory that one register holds for FMAScalar
	Columns  int  // of a square that LoadColumns returns

	// In a panel, the least bytes of a row's last vector. Some CPUs multiply half a
	// long vector in half the time.
	LastBytes int

	Tuning
}

// Tuning is what has been measured on CPUs of a kind: package kernels, or the generator,
// chooses by it.
type Tuning struct {
	// Whether a vector is computed as two halves: three of these take less time than two
	// vectors, and a load across cache lines delays only the half that lies across them.
	Halved bool

	// From how many rows of the left factor it is faster to copy panels of a right one
	// whose rows crowd the cache: a small tile meets it more often.
	PackRows int

	// From how many vectors on a tile of panel takes so long for each term that it may
	// prefetch a line of the next panel, which occupies one of few buffers until it is there.
	SoonFrom int

	// From how many terms tall is faster than panel, if there is tall.
	TallFrom int

	// Rows of dx up to which it is faster to transpose w in registers, for a few of
	// them at a time, than once in memory.
	SquaresRows int

	// Up to how many bytes of w that is so if it takes several passes.
	SquaresBytes int

	// Up to how many bytes of w both gradients of one row are faster in one pass over
	// w, which loads elements more often, than in two; of two rows, half as many, of
	// three an eighth, of four a sixty-fourth.
	StripsBytes int

	// A right factor of fewer bytes is better read several times, for a few rows each,
	// because a tile of all rows is slower to begin.
	SweepBytes int

	// From how many rows of dw it is faster to go from panel to panel, with the rows of dz
	// in registers if they are few.
	ThinFrom int
}

// The largest register tile of every machine.
const (
	maxRows = 8
	maxCols = 3 // vectors
)

// always is more than there are bytes.
const always = 1 << 30

// Lanes is the number of elements in a vector register.
func (s Spec) Lanes() int { return s.VecBytes / s.Float.Size }

// A Machine is one instruction set at one element type: the verbs of which
// every kernel is made. In each, the destination comes first.
type Machine interface {
	Spec() Spec

	// Registers.
	Vec() Vec
	VecsOf(n int) []Vec
	FreeVecs(vs ...Vec)
	Int() Int
	FreeInts(is ...Int)

	// Func begins a function. Return ends one of its paths.
	Func(name, signature string, doc ...string)
	Return()

	// Comment says what follows.
	Comment(format string, args ...any)

	// Control flow.
	NewLabel(stem string) string
	Label(name string)
	LoopDown(n Int, label string) // n = n − 1, then jump unless it is 0
	Jump(label string)
	JumpIf(a Int, c Cond, b int, label string)

	// Integers. Arg reads a parameter, SetArg writes one back: parameters are
	// the variables of the outer loops. AddArg and SubArg want no register for it.
	Arg(d Int, name string)
	SetArg(name string, s Int)
	AddArg(d Int, name string)
	SubArg(d Int, name string)
	Const(d Int, c int)
	Copy(d, s Int)
	Add(d, s Int)
	Sub(d, s Int) // d = d − s
	AddConst(d Int, c int)
	MulConst(d, s Int, c int)
	Mul(d, s Int)
	Halve(d Int) // d = d/2, of a number that is not negative

	// Rows returns the addresses of n rows that are stride bytes apart, from base
	// on, and of as many from each of more. It takes RowInts integer registers
	// for so many bases, which FreeRows gives back.
	RowInts(n, bases int) int
	Rows(n int, base, stride Int, more ...Int) Rows
	FreeRows(r Rows)

	// Vectors in memory. LoadFirst and StoreFirst move the first bytes of a
	// vector, a power of two; an Addr with an index and the scale 1 will do.
	// StoreHalves stores the halves of a vector at two places. The Part verbs
	// touch no byte behind the part; those that store it may destroy v. StorePartUnread is
	// faster on some machines where no byte within a vector of a is loaded soon.
	// LoadFirst and LoadPart set the other lanes to +0.
	// StoreAround wants a at a multiple of the bytes of a vector, and bypasses the caches if
	// the machine can; a Fence orders it as a Store is ordered.
	Load(v Vec, a Addr)
	Store(a Addr, v Vec)
	StoreAround(a Addr, v Vec)
	Fence()
	LoadFirst(v Vec, a Addr, bytes int)
	StoreFirst(a Addr, v Vec, bytes int)
	StoreHalves(low, high Addr, v Vec)
	MakePart(count Int) Part
	FreePart(p Part)
	LoadPart(v Vec, a Addr, p Part)
	StorePart(a Addr, v Vec, p Part)
	StorePartUnread(a Addr, v Vec, p Part)

	// Prefetch asks for the cache line of a, which may be anywhere at all.
	// PrefetchSoon does so for the second-level cache.
	Prefetch(a Addr)
	PrefetchSoon(a Addr)

	// Single elements: LoadOne sets the other lanes to +0, Splat sets all lanes alike.
	// Scalars is for n neighbours, 1 or the Spec's number, that only FMAScalar and
	// MulScalar may use, so many times each and before a changes: where it is faster,
	// they stay in memory.
	LoadOne(v Vec, a Addr)
	Splat(v Vec, a Addr)
	SplatArg(v Vec, name string)
	Scalars(v Vec, a Addr, n, uses int)
	StoreLane(a Addr, l Lane)
	StoreLanes(at []Addr, v, t Vec) // all of v; may destroy t

	// Arithmetic on whole vectors. First is that on vectors of so many bytes, a
	// power of two: what is behind them is undefined then.
	Arithmetic
	First(bytes int) Arithmetic

	// Finish: v = v + 0, and ReLU if that is wanted; Finisher sets by for it.
	// AddVec and ReLU take longer where the arithmetic is all there is to do,
	// but not elsewhere.
	Finish(v, by Vec, relu bool)
	Finisher(by Vec, relu bool)

	// Gater sets by for Gate.
	Gater(by Vec)

	// Short is the same machine with vectors of so many bytes at the most.
	Short(bytes int) Machine

	// MulAdd is FMA with the result in the place of a factor, d = fma(d, a, b). It
	// may destroy t.
	MulAdd(d, a, b, t Vec)

	// Transpose takes as many vectors as one has lanes for the rows of a square and
	// returns its first columns, in the same registers or others. LoadColumns
	// returns the Spec's number of them, of rows in memory, from disp bytes on; of
	// rows that are parts, those behind the part are +0.
	Transpose(rows []Vec, cols int) []Vec
	LoadColumns(rows []Addr, disp int, part *Part) []Vec

	// Permute: d's lane l is the element of s that lane l of by selects. Selector
	// sets all lanes of v so that they select element i.
	Permute(d, s, by Vec)
	Selector(v Vec, i Int)

	// Shift, if the Spec has it: d's lane l is lane l+by of lo and hi, one behind the other,
	// with by from 1 to one less than there are lanes.
	Shift(d, lo, hi Vec, by int)

	// LoadTurned returns the columns of as many rows in memory as a vector has
	// lanes, cols elements each. If few is not nil there are only so many rows, at
	// least one, and +0 in place of the others. StoreTurned is the reverse, and stores
	// only so many; it gives vs back.
	LoadTurned(rows []Addr, cols int, few *Int) []Vec
	StoreTurned(rows []Addr, vs []Vec, few *Int)

	// FoldRows halves each vector of vs down to one element, lane l + lane
	// l+half, and says where the results are. It may destroy vs and t.
	// FoldSquare does so for as many vectors as one has lanes; the i-th result
	// is lane i of the vector, one of vs, that it returns.
	FoldRows(vs []Vec, t Vec) []Lane
	FoldSquare(vs []Vec) Vec
}

// Arithmetic is what a Machine does with each element of its vectors, rounding
// every result once.
type Arithmetic interface {
	Zero(v Vec)
	Move(d, s Vec)                  // d = s
	AddVec(d, a, b Vec)             // d = a + b
	SubVec(d, a, b Vec)             // d = a − b
	MulVec(d, a, b Vec)             // d = a·b
	FMA(acc, a, b Vec)              // acc = fma(a, b, acc)
	FMAScalar(acc, a, s Vec, e int) // the same, b being element e of Scalars s
	MulScalar(d, a, s Vec)          // d = a·b, b being the first element of Scalars s

	// ReLU: v = v if v > 0 or v is NaN, else +0; zero holds +0 and v no −0.
	ReLU(v, zero Vec)

	// Gate: z = z if not y ≤ 0, else +0; Gater has set by. Destroys y.
	Gate(z, y, by Vec)
}

// powerOfTwo is how many of so few elements are loaded together.
func powerOfTwo(count int) int {
	if count == 3 {
		return 2
	}
	return count
}

// Rows are the addresses of equally spaced rows.
type Rows struct {
	At   []Addr
	took []Int // registers to be given back
}

// step moves all rows on by so many bytes, and stepConst by as many as are known here.
func (r Rows) step(m Machine, by Int) { r.eachBase(func(base Int) { m.Add(base, by) }) }
func (r Rows) stepConst(m Machine, by int) {
	r.eachBase(func(base Int) { m.AddConst(base, by) })
}

// eachBase does something with every register that rows are reached from.
func (r Rows) eachBase(do func(Int)) {
	done := make(map[Int]bool)
	for _, a := range r.At {
		if !done[a.Base] {
			done[a.Base] = true
			do(a.Base)
		}
	}
}

// arg returns a register that holds the parameter.
func arg(m Machine, name string) Int {
	r := m.Int()
	m.Arg(r, name)
	return r
}

// registers hands out a machine's registers. A kernel that wants more than
// there are cannot be generated.
type registers struct {
	vecs, ints []bool // taken
	labels     *int
}

func newRegisters(s Spec) registers {
	return registers{vecs: make([]bool, s.Vecs), ints: make([]bool, s.Ints), labels: new(int)}
}

func take(taken []bool, what string) int {
	for i, t := range taken {
		if !t {
			taken[i] = true
			return i
		}
	}
	panic(fmt.Sprintf("out of %s registers: all %d are taken", what, len(taken)))
}

func give(taken []bool, i int) {
	if !taken[i] {
		panic(fmt.Sprintf("register %d is not taken", i))
	}
	taken[i] = false
}

func (r *registers) Vec() Vec { return Vec(take(r.vecs, "vector")) }
func (r *registers) Int() Int { return Int(take(r.ints, "integer")) }

func (r *registers) VecsOf(n int) []Vec {
	vs := make([]Vec, n)
	for i := range vs {
		vs[i] = r.Vec()
	}
	return vs
}

func (r *registers) FreeVecs(vs ...Vec) {
	for _, v := range vs {
		give(r.vecs, int(v))
	}
}

func (r *registers) FreeInts(is ...Int) {
	for _, i := range is {
		give(r.ints, int(i))
	}
}

// FreeAll gives every register back, as at the start of a function.
func (r *registers) FreeAll() {
	clear(r.vecs)
	clear(r.ints)
}

// NewLabel returns a label that no other is like.
func (r *registers) NewLabel(stem string) string {
	*r.labels++
	return fmt.Sprintf("%s%d", stem, *r.labels)
}
