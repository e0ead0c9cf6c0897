//go:build (amd64 || arm64) && !purego && !noasm

package kernels

import (
	"sync"
	"unsafe"
)

// tiles are the register-tile loops of one instruction set at one type; the
// methods are the loops over blocks around them. The comments of the generated
// declarations (stubs_*.go) say what each function computes.
type tiles[T Float] struct {
	lanes           int   // elements of a vector
	halved          bool  // whether that is computed as two halves
	panelCols       int   // columns of the widest panel
	panelRows       int   // rows of its tallest tile
	wideCols        int   // columns of the widest tile of one row
	packRows        int   // rows of the left factor from which it pays to copy a right one whose rows crowd the cache
	sweepBytes      int   // a right factor of fewer bytes is for sweep if there are few steps
	tallLeast       int   // fewest columns that tall can have
	tallMost        int   // most columns that tall can have
	tallTerms       int   // terms that tall takes at a time
	tallFrom        int   // terms from which tall is best
	gradRows        int   // rows of dw that grad computes
	gradBothRows    int   // most rows of dw that gradBoth computes
	gradBothUnit    int   // what its columns are best a multiple of
	gradBothHeld    int   // columns whose sums it holds in registers
	squaresRows     int   // most rows of dx that are for input if its columns fill vectors
	squaresBytes    int   // most bytes of w that input takes several times
	inputRows       int   // rows of dx that input computes at a time
	turnedRows      int   // columns of dx that turned computes at a time
	bothRows        int   // most rows of dx that both computes
	bothCols        int   // most rows of dx that bothTurned computes
	stripsRows      int   // most rows that strips computes, and is best for
	stripsBytes     int   // most bytes of w that strips is best for, of one row
	dotsSide        int   // most rows and columns that dots computes
	flatPeriod      int   // most vectors after which flat can begin again
	narrowBothCols  int   // most outputs that narrowBoth can have
	narrowBothParts bool  // whether its inputs need not fill vectors
	thinTerms       int   // most terms that thin can have
	thinFrom        int   // rows of dw from which thin is best
	treeTerms       int   // most inputs that tree can have
	treeCols        int   // most outputs that tree can have
	unpackedCols    int   // most outputs that unpacked can have
	severalRows     []int // rows that several takes at a time, by outputs

	panel      func(c *T, ldc uintptr, init *T, ldinit uintptr, a *T, lda, stepa uintptr, b *T, ldb, soon, ldsoon, then uintptr, rows, cols, n, act int)
	packing    func(dst *T, c *T, ldc uintptr, init *T, ldinit uintptr, a *T, lda, stepa uintptr, b *T, ldb uintptr, n, act int)
	tall       func(c *T, ldc uintptr, bias *T, a *T, lda uintptr, b *T, ldb uintptr, rows, cols, n, act int, down uintptr)
	narrow     func(y *T, ldy uintptr, x *T, ldx uintptr, w, bias *T, rows, n, act int)
	columns    func(dst *T, ldd uintptr, w *T, ldw uintptr, rows, cols int)
	several    func(y *T, ldy uintptr, x *T, ldx uintptr, w *T, ldw uintptr, bias, lane *T, rows, cols, n, act int)
	unpacked   func(y *T, ldy uintptr, x *T, ldx uintptr, w *T, ldw uintptr, bias *T, rows, cols, n, act int)
	abreast    func(y *T, ldy uintptr, x *T, ldx uintptr, w *T, ldw uintptr, bias *T, rows, cols, n, act int)
	tree       func(y *T, ldy uintptr, x *T, ldx uintptr, w *T, ldw uintptr, bias *T, rows, cols, n, act int)
	trees      func(y *T, ldy uintptr, x *T, ldx uintptr, w *T, ldw uintptr, bias *T, rows, cols, n, act int)
	narrowBoth func(dx *T, lddx uintptr, dw *T, lddw uintptr, init *T, ldinit uintptr, dz *T, lddz uintptr, x *T, ldx uintptr, w *T, ldw uintptr, rows, cols, n int)
	grad       func(dw *T, lddw uintptr, dwinit *T, lddwinit uintptr, db, dbinit, dy *T, lddy uintptr, y *T, ldy uintptr, x *T, ldx uintptr, rows, cols, n, act int)
	gradBoth   func(dx *T, lddx uintptr, dw *T, lddw uintptr, db, dy *T, lddy uintptr, y *T, ldy uintptr, x *T, ldx uintptr, w *T, ldw uintptr, rows, cols, n, act, fresh int)
	gate       func(db, dy *T, lddy uintptr, y *T, ldy uintptr, rows, cols, act int)
	gateAround func(dy, y *T, n, act int)
	column     func(dx *T, lddx uintptr, dw, dwinit, db, dbinit, dy *T, lddy uintptr, y *T, ldy uintptr, x *T, ldx uintptr, w *T, cols, n, act int)
	input      func(dx *T, lddx uintptr, dz *T, lddz uintptr, w *T, ldw uintptr, rows, cols, n int)
	turned     func(dx *T, lddx uintptr, w *T, ldw uintptr, dz *T, lddz uintptr, rows, cols, n int)
	dots       func(dx *T, lddx uintptr, dw *T, lddw uintptr, dz *T, lddz uintptr, x *T, ldx uintptr, w *T, ldw uintptr, rows, cols, n int)
	both       func(dx *T, lddx uintptr, dw *T, lddw uintptr, dz *T, lddz uintptr, x *T, ldx uintptr, w *T, ldw uintptr, rows, cols, n int)
	bothTurned func(dx *T, lddx uintptr, dw *T, lddw uintptr, w *T, ldw uintptr, x *T, ldx uintptr, dz *T, lddz uintptr, rows, cols, n int)
	strips     func(dx *T, lddx uintptr, dw *T, lddw uintptr, dz *T, lddz uintptr, x *T, ldx uintptr, w *T, ldw uintptr, rows, cols, n int, down, back uintptr)
	sweep      func(c *T, ldc uintptr, init *T, ldinit uintptr, a *T, lda, stepa uintptr, b *T, ldb uintptr, rows, cols, n, act int)
	stream     func(c *T, ldc uintptr, init *T, ldinit uintptr, a *T, lda uintptr, b *T, ldb uintptr, rows, cols int)
	thin       func(c *T, ldc uintptr, bias *T, a *T, lda, stepa uintptr, b *T, ldb uintptr, rows, cols, n, act int)
	flat       func(c, bias, a, b *T, rows, cols, period, turns, act int)
	transpose  func(dst *T, ldd uintptr, src *T, lds uintptr, rows, cols int)
	tighten    func(dst *T, ldd uintptr, src *T, lds uintptr, rows, cols int)
	mse        func(lane, init, grad, pred, target *T, n int, c T)
	sgd        func(w, grad *T, rate T, n int)

	half    *tiles[T] // the same CPU's with vectors half as long, if there are any
	scratch sync.Pool // of *scratch[T]
}

// table checks that t's sizes fit the blocks, readies its scratch and returns its kernels.
func (t *tiles[T]) table() table[T] {
	if fewPacked%t.panelCols != 0 || min(t.packRows, manyRows) < t.panelRows || t.narrowBothCols > t.panelCols || uintptr(t.wideCols)*size[T]() > unsafe.Sizeof(nothing) {
		panic("lockstep: tiles do not fit the blocks")
	}
	t.scratch.New = func() any { return new(scratch[T]) }
	return table[T]{forward: t.forward, backward: t.backward, gate: t.gateShared, inputs: t.backwardInputs, mse: t.meanSquares, sgd: t.descend}
}

// A fold over more than maxFold terms is cut into pieces that are continued
// from memory, and a call into assembly does no more than about maxWork
// multiply-adds or, in panel, input and turned, maxVectors of whole vectors (a
// million of 16 lanes), with operands of no more than about maxBytes: Go can
// neither preempt it nor collect garbage meanwhile.
const (
	maxFold    = 1024
	maxWork    = 1 << 19
	maxBytes   = 1 << 20
	maxVectors = 1 << 16 // multiply-adds of vectors that a call of panel, input or turned does
	maxRun     = 1 << 12 // elements of a call where each takes a few cycles
	maxLong    = 7 << 10 // the same if they lie without gaps
	maxRows    = 1 << 10 // rows of a call that has few columns
	cached     = 1 << 15 // bytes of a first-level cache, at least

	maxTransposed = maxFold * maxPacked // elements of a transpose that is kept whole
	fewPacked     = 384                 // columns that a block of rows meets: a multiple of every panel
	maxPacked     = 3 * fewPacked       // columns that it meets if it is copied
	blockBytes    = 256 << 10           // bytes of the left factor, for the second-level cache
	manyBytes     = 1 << 20             // bytes that a panel is spread over from which it pays to rearrange it
	manyRows      = 48                  // rows above which a product goes by blocks, and from which it may copy its factors
	tlbRows       = 128                 // rows up to which misses of the TLB on the way to a panel show
	streams       = 8                   // rows of an operand from afar that are best taken at once (streamTerms in asm)
	streamRows    = 4                   // rows of the other operand that each of them meets
	moreRows      = 10                  // rows for which sweep takes a right factor from afar, or whose rows crowd the cache
	mostRows      = 16                  // rows for which it takes one from afar whose rows all fall into the same sets
	sweepTall     = 4                   // rows that sweep takes at a time (sweepMost in asm)
	sweepTerms    = 24                  // terms up to which whole rows are better than whole tiles
	maxWide       = 128                 // columns of a wide tile of float64, half of one of float32
)

// farBytes is from how many bytes on an operand comes from memory each time, so that it
// is best asked for long before. A variable, for tests to do with less.
var farBytes = 16 << 20

// scratch is the memory a call borrows for operands that must be rearranged:
// at most maxFold·maxPacked + 2·maxRun elements and a vector, and 640 KiB for left (less than
// 10 MiB of float64 in all).
type scratch[T Float] struct {
	packed []T // panels of the right factor
	left   []T // a block of rows of the left one
	line   [2 * maxRun]T
}

// grow returns the memory for a packed operand: n elements that begin at a cache line.
func (s *scratch[T]) grow(n int) []T { return grow(&s.packed, n) }

func grow[T Float](memory *[]T, n int) []T {
	if len(*memory) < n {
		*memory = aligned[T](n)
	}
	return (*memory)[:n]
}

// forTranspose returns memory for a transpose of that size and some elements behind.
func (s *scratch[T]) forTranspose(rows, cols, behind int) Mat[T] {
	return Mat[T]{rows, cols, s.grow(rows*cols + behind), cols}
}

// nothing is what a sum starts from when there is no bias and nothing to add to.
var nothing [maxWide]float64

func zero[T Float]() *T { return (*T)(unsafe.Pointer(&nothing)) }

// biasAt points at the bias of output j and those that follow, or at zeros if there is none.
func biasAt[T Float](b []T, j int) *T {
	if b == nil {
		return zero[T]()
	}
	return &b[j]
}

func size[T Float]() uintptr { return unsafe.Sizeof(T(0)) }

// tight reports whether the elements lie without gaps.
func (m *Mat[T]) tight() bool { return m.Stride == m.Cols || m.Rows <= 1 }

// at points at element (i, j), or is nil if there is none at all: a pointer
// made from an empty m could point anywhere, and the runtime minds even if
// nobody follows it.
func (m *Mat[T]) at(i, j int) *T {
	if m.empty() {
		return nil
	}
	return (*T)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(m.Data)), uintptr(i*m.Stride+j)*size[T]()))
}

// plus is p moved on by some bytes. A nil p, of an empty operand, stays nil.
func plus[T Float](p *T, bytes uintptr) *T {
	if p == nil {
		return nil
	}
	return (*T)(unsafe.Add(unsafe.Pointer(p), bytes))
}

// pitch is the distance of m's rows in bytes.
func (m *Mat[T]) pitch() uintptr { return uintptr(m.Stride) * size[T]() }

// tightColumn points at n elements of the first column, from row i on, without gaps:
// in m itself if they are, else copied to s.
func (m *Mat[T]) tightColumn(i, n int, s *scratch[T]) *T {
	if m.Stride <= 1 {
		return m.at(i, 0)
	}
	for k := range n {
		s.line[k] = m.Data[(i+k)*m.Stride]
	}
	return &s.line[0]
}

// The sets of a first-level cache repeat every 4096 bytes. Rows that miss a multiple of
// that by a few bytes drift from set to set, too slowly if a line holds more of them than
// a set has lines, and the more so if several lines of each are there at once.
const (
	driftSquare = 4 // most bytes if it is one line
	driftStrip  = 8 // two

	aliasNear = 24 // most bytes between lower bits for which a load waits
	aliasRows = 4  // most rows between
)

// panelDrift is the most bytes if it is a panel, of three vectors: a quarter of one.
func (t *tiles[T]) panelDrift() uintptr { return uintptr(t.panelCols) * size[T]() / 12 }

// setPitch is the largest power of two up to 4096 that a pitch is a multiple of, or misses
// by so little that the rows drift no more than so many bytes where sets repeat.
func setPitch(pitch, drift uintptr) uintptr {
	switch most := pitch + drift; {
	case most < 2048:
	case most >= 4096 && most%4096 <= 2*drift:
		return 4096
	case (pitch+drift/2)%2048 <= drift:
		return 2048
	}
	return pitch & -pitch
}

// crowds reports whether so many lines that far apart are too many for the few
// sets of a first-level cache that they fall into: it has eight ways at least on CPUs with
// AVX2; elsewhere that is a guess, which costs but time. So are, too, more lines than such a
// cache has, however far apart.
func crowds(pitch, drift uintptr, lines int) bool {
	return lines*max(line, int(setPitch(pitch, drift))) > 8*4096
}

// aliases reports whether, of two operands whose rows are that far apart, loads of one wait
// for stores to the other that were made 1, 2, 4 … up to most rows earlier: a processor
// compares only the low bits of their addresses at first, and these differ by few bytes.
func aliases(pitch uintptr, most int) bool {
	for rows := 1; rows <= most; rows *= 2 {
		if apart := (uintptr(rows)*pitch + aliasNear) % 4096; apart <= 2*aliasNear && apart != aliasNear {
			return true
		}
	}
	return false
}

// sameSets reports whether the beginnings of all rows fall into the same set of a
// first-level cache, or about there.
func (m *Mat[T]) sameSets(drift uintptr) bool { return setPitch(m.pitch(), drift) == 4096 }

// perSet is how many of m's rows begin in the same set, if they are so far apart that
// few sets have them all, or 0.
func (m *Mat[T]) perSet(drift uintptr) int {
	if apart := int(setPitch(m.pitch(), drift)); apart >= 1024 {
		return m.Rows * apart / 4096
	}
	return 0
}

// bytes is the size of m's elements.
func (m *Mat[T]) bytes() int { return m.Rows * m.Cols * int(size[T]()) }

// far reports whether m is too large for the caches.
func (m *Mat[T]) far() bool { return m.bytes() > farBytes }

// whole is how many of so many elements fill whole vectors, whose lanes are a power
// of two.
func (t *tiles[T]) whole(elements int) int { return elements &^ (t.lanes - 1) }

// padded is how many elements the vectors have that hold so many.
func (t *tiles[T]) padded(elements int) int { return t.whole(elements + t.lanes - 1) }

// vectorBytes is how long a vector is.
func (t *tiles[T]) vectorBytes() int { return t.lanes * int(size[T]()) }

// eightLanes and moreLanes tell the types of long vectors apart: float64 and float32. Eight
// lanes of a short vector are float32.
func (t *tiles[T]) eightLanes() bool { return t.lanes == 8 }
func (t *tiles[T]) moreLanes() bool  { return t.lanes > 8 }

// longVectors reports whether vectors are as long as a cache line, and computed at once.
func (t *tiles[T]) longVectors() bool { return t.vectorBytes() >= line && !t.halved }

// atMost returns the widest tiles with at most so many lanes, or nil.
func (t *tiles[T]) atMost(lanes int) *tiles[T] {
	for t != nil && t.lanes > lanes {
		t = t.half
	}
	return t
}

// filledBy returns the widest tiles of which so many elements fill a vector, or
// at least the half of one, or nil. Where one and a half are enough, three halves
// are less to do than two that are computed as halves.
func (t *tiles[T]) filledBy(elements int) *tiles[T] {
	for t.half != nil && (t.lanes > elements || t.halved && t.lanes < elements && 2*elements <= 3*t.lanes) {
		t = t.half
	}
	if 2*elements < t.lanes {
		return nil
	}
	return t
}

// shortest returns the tiles of the shortest vectors.
func (t *tiles[T]) shortest() *tiles[T] {
	for t.half != nil {
		t = t.half
	}
	return t
}

// atLeast returns the narrowest tiles with at least so many lanes, or t: a part
// of a vector takes as long as the whole.
func (t *tiles[T]) atLeast(lanes int) *tiles[T] {
	for t.half != nil && t.half.lanes >= lanes {
		t = t.half
	}
	return t
}

func (t *tiles[T]) meanSquares(grad, pred, target *Mat[T], c T) T {
	var lane [chains + 1]T // the last is the sum of the others
	if pred.tight() && target.tight() && (grad.IsZero() || grad.tight()) {
		total := pred.Rows * pred.Cols
		for q := 0; q < total; q += maxRun {
			var g *T
			if !grad.IsZero() {
				g = &grad.Data[q]
			}
			t.squareRun(&lane, q, g, &pred.Data[q], &target.Data[q], min(maxRun, total-q), c)
		}
		return lane[chains]
	}

	// Rows with gaps: gathered a block at a time, so that lanes count on.
	s := t.scratch.Get().(*scratch[T])
	defer t.scratch.Put(s)
	p, d := s.line[:maxRun], s.line[maxRun:]
	total := pred.Rows * pred.Cols
	for q := 0; q < total; q += maxRun {
		n := min(maxRun, total-q)
		pred.gather(p[:n], q)
		target.gather(d[:n], q)
		var g *T
		if !grad.IsZero() {
			g = &p[0]
		}
		t.squareRun(&lane, q, g, &p[0], &d[0], n, c)
		if g != nil {
			grad.scatter(p[:n], q)
		}
	}
	return lane[chains]
}

// squareRun continues the sums of squares in lane with n elements from the q-th
// on, or begins them with the first.
func (t *tiles[T]) squareRun(lane *[chains + 1]T, q int, grad, pred, target *T, n int, c T) {
	if from := zero[T](); q == 0 {
		t.mse(noescape(&lane[0]), from, grad, pred, target, n, c)
	} else {
		t.mse(noescape(&lane[0]), noescape(&lane[0]), grad, pred, target, n, c)
	}
}

// gather copies the elements from the row-major index q on; scatter is its
// reverse.
func (m *Mat[T]) gather(dst []T, q int) {
	for i, j := q/m.Cols, q%m.Cols; len(dst) > 0; i, j = i+1, 0 {
		dst = dst[copy(dst, m.Row(i)[j:]):]
	}
}

func (m *Mat[T]) scatter(src []T, q int) {
	for i, j := q/m.Cols, q%m.Cols; len(src) > 0; i, j = i+1, 0 {
		src = src[copy(m.Row(i)[j:], src):]
	}
}

func (t *tiles[T]) descend(w, g []T, rate T) {
	for i := 0; i < len(w); i += maxRun {
		t.sgd(&w[i], &g[i], -rate, min(maxRun, len(w)-i))
	}
}
