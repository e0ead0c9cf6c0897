package kernels

import (
	"fmt"
	"math/bits"
	"unsafe"
)

// Float is the set of element types. All arithmetic of a kernel is done in
// the element type itself.
type Float interface{ float32 | float64 }

// Mat is a row-major view of a slice:
//
//	element (i, j) is Data[i*Stride+j],  0 ≤ i < Rows, 0 ≤ j < Cols
//
// Stride is at least Cols; the elements between Cols and Stride belong to the
// caller and are neither read nor written. Data holds at least
// (Rows-1)*Stride + Cols elements; the last row needs no padding. A Mat
// without rows or without columns needs no Data.
//
// The fields are those of gonum's blas64.General in their order, so
// Mat[float64](m.RawMatrix()) converts without a copy. (In blas32.General
// Stride comes before Data: set the fields one by one.)
type Mat[T Float] struct {
	Rows, Cols int
	Data       []T
	Stride     int
}

// NewMat returns a rows×cols matrix of zeros with Stride equal to cols.
// It panics if a size is negative or the number of bytes overflows int. More memory
// than there is ends the program, or panics as make does.
func NewMat[T Float](rows, cols int) Mat[T] {
	if rows < 0 || cols < 0 {
		panic(fmt.Sprintf("lockstep: NewMat: size %d×%d is negative", rows, cols))
	}
	n, ok := span(rows, cols, cols, unsafe.Sizeof(T(0)))
	if !ok {
		panic(fmt.Sprintf("lockstep: NewMat: size %d×%d overflows int", rows, cols))
	}
	return Mat[T]{Rows: rows, Cols: cols, Data: make([]T, n), Stride: cols}
}

// MatOf returns data viewed as a rows×cols matrix with Stride equal to cols.
// Nothing is copied. It panics if a size is negative, the number of bytes
// overflows int, or the length of data is not rows*cols.
func MatOf[T Float](rows, cols int, data []T) Mat[T] {
	m := Mat[T]{Rows: rows, Cols: cols, Data: data, Stride: cols}
	m.check("MatOf", "the matrix")
	if len(data) != rows*cols {
		panic(fmt.Sprintf("lockstep: MatOf: the matrix is %d×%d but data has %d elements", rows, cols, len(data)))
	}
	return m
}

// IsZero reports whether m is the zero Mat, which stands for an operand that
// is not wanted.
func (m Mat[T]) IsZero() bool {
	return m.Rows == 0 && m.Cols == 0 && m.Data == nil && m.Stride == 0
}

// Row returns the elements of row i, or nil if there are none. Its capacity ends
// with the row.
//
// It panics if there is no row i, or if m is not valid and its Data has none.
func (m Mat[T]) Row(i int) []T {
	if i < 0 || i >= m.Rows {
		panic(fmt.Sprintf("lockstep: Row: index %d but the matrix has %d rows", i, m.Rows))
	}
	if m.Cols == 0 {
		return nil
	}
	return m.Data[:len(m.Data):len(m.Data)][i*m.Stride : i*m.Stride+m.Cols : i*m.Stride+m.Cols]
}

func (m *Mat[T]) empty() bool { return m.Rows == 0 || m.Cols == 0 }

// span is the number of elements from the first to the last of a rows×cols
// view, and whether that many elements of the given size are addressable.
func span(rows, cols, stride int, size uintptr) (n int, ok bool) {
	if rows == 0 || cols == 0 {
		return 0, true
	}
	hi, lo := bits.Mul64(uint64(rows-1), uint64(stride))
	lo, carry := bits.Add64(lo, uint64(cols), 0)
	const maxInt = uint64(^uint(0) >> 1)
	if hi+carry != 0 || lo > maxInt/uint64(size) {
		return 0, false
	}
	return int(lo), true
}

// is reports whether m is certainly a valid view of that size; for some valid ones without
// elements it is false, and check decides. Its product wraps for sizes that are unusual: ask
// for these first.
func (m *Mat[T]) is(rows, cols int) bool {
	// rows-1 wraps if there are none: then the sum is 0 or, for a wider stride, too much.
	return m.Rows == rows && m.Cols == cols && cols <= m.Stride &&
		uint64(rows-1)*uint64(m.Stride)+uint64(cols) <= uint64(len(m.Data))
}

// unusual reports whether one of some sizes, given as their union of bits, is negative or
// so large that the number of elements could overflow.
func unusual(sizes int) bool { return uint64(sizes) >= 1<<31 }

// check panics unless m is a valid view; name is the argument's.
func (m *Mat[T]) check(fn, name string) {
	if unusual(m.Rows|m.Cols|m.Stride) || !m.is(m.Rows, m.Cols) {
		m.checkAll(fn, name)
	}
}

func (m *Mat[T]) checkAll(fn, name string) {
	if m.Rows < 0 || m.Cols < 0 {
		panic(fmt.Sprintf("lockstep: %s: %s has the negative size %d×%d", fn, name, m.Rows, m.Cols))
	}
	if m.Stride < m.Cols && !m.empty() || m.Stride < 0 {
		panic(fmt.Sprintf("lockstep: %s: %s is %d×%d but its stride is %d", fn, name, m.Rows, m.Cols, m.Stride))
	}
	n, ok := span(m.Rows, m.Cols, m.Stride, unsafe.Sizeof(T(0)))
	if !ok {
		panic(fmt.Sprintf("lockstep: %s: %s is %d×%d with stride %d, which overflows int", fn, name, m.Rows, m.Cols, m.Stride))
	}
	if len(m.Data) < n {
		panic(fmt.Sprintf("lockstep: %s: %s is %d×%d with stride %d and needs %d elements, but its Data has %d", fn, name, m.Rows, m.Cols, m.Stride, n, len(m.Data)))
	}
}

// sameRows and its kin compare the sizes of two operands. a×b of the first is
// given in full, of the second only the size that disagrees.

func sameRows[T Float](fn, aName string, a *Mat[T], bName string, b *Mat[T]) {
	if a.Rows != b.Rows {
		mismatch(fn, aName, a, bName, b.Rows, "rows")
	}
}

func sameCols[T Float](fn, aName string, a *Mat[T], bName string, b *Mat[T]) {
	if a.Cols != b.Cols {
		mismatch(fn, aName, a, bName, b.Cols, "columns")
	}
}

func colsAreRows[T Float](fn, aName string, a *Mat[T], bName string, b *Mat[T]) {
	if a.Cols != b.Rows {
		mismatch(fn, aName, a, bName, b.Rows, "rows")
	}
}

func colsAreLen[T Float](fn, aName string, a *Mat[T], bName string, b []T) {
	if a.Cols != len(b) {
		mismatch(fn, aName, a, bName, len(b), "elements")
	}
}

func mismatch[T Float](fn, aName string, a *Mat[T], bName string, size int, what string) {
	panic(fmt.Sprintf("lockstep: %s: %s is %d×%d but %s has %d %s", fn, aName, a.Rows, a.Cols, bName, size, what))
}

// An extent is the memory from an operand's first element to its last, gaps
// included. An operand without elements has none.
type extent struct{ lo, hi uintptr }

func (m *Mat[T]) extent() extent {
	if m.empty() {
		return extent{}
	}
	lo := uintptr(unsafe.Pointer(unsafe.SliceData(m.Data)))
	return extent{lo, lo + uintptr((m.Rows-1)*m.Stride+m.Cols)*unsafe.Sizeof(T(0))}
}

func (e extent) meets(f extent) bool { return e.lo < f.hi && f.lo < e.hi }

// memory is all of a slice. Matrices whose Data do not meet do not overlap;
// disjoint decides about the others.
func memory[T Float](s []T) extent {
	lo := uintptr(unsafe.Pointer(unsafe.SliceData(s)))
	return extent{lo, lo + uintptr(len(s))*unsafe.Sizeof(T(0))}
}

// row views a slice as a matrix of one row.
func row[T Float](s []T) Mat[T] { return Mat[T]{Rows: 1, Cols: len(s), Data: s, Stride: len(s)} }

// disjoint panics if one of the first operands, the outputs, has an element's
// byte in common with another operand. Rows that interleave, as the halves of
// one wider matrix do, have none.
func disjoint[T Float](fn string, outputs int, names []string, operands ...*Mat[T]) {
	var extents [8]extent
	for i, m := range operands {
		extents[i] = m.extent()
	}
	for i := range outputs {
		for j := i + 1; j < len(operands); j++ {
			if extents[i].meets(extents[j]) && operands[i].overlaps(operands[j]) {
				panic(fmt.Sprintf("lockstep: %s: %s overlaps %s", fn, names[i], names[j]))
			}
		}
	}
}

// overlaps is the exact answer for two operands whose extents meet: it looks
// for every row of one at the rows of the other that could meet it.
func (m *Mat[T]) overlaps(o *Mat[T]) bool {
	if m.Rows > o.Rows {
		m, o = o, m
	}
	size := unsafe.Sizeof(T(0))
	a, aWidth, aPitch := m.extent().lo, uintptr(m.Cols)*size, uintptr(m.Stride)*size
	b, bWidth, bPitch := o.extent().lo, uintptr(o.Cols)*size, uintptr(o.Stride)*size
	for i := range m.Rows {
		lo := a + uintptr(i)*aPitch
		j := uintptr(0) // the first row of o that ends after lo
		if lo >= b+bWidth {
			j = (lo-b-bWidth)/bPitch + 1
		}
		if j < uintptr(o.Rows) && b+j*bPitch < lo+aWidth {
			return true
		}
	}
	return false
}

// Overlaps reports whether m and o have an element's byte in common, which the kernels
// forbid where an operand is written. Views whose rows interleave, such as two ranges of
// columns of one matrix, do not overlap.
//
// It panics if one of them is not valid.
func (m Mat[T]) Overlaps(o Mat[T]) bool {
	m.check("Overlaps", "the matrix")
	o.check("Overlaps", "o")
	return m.extent().meets(o.extent()) && m.overlaps(&o)
}

// coincides reports whether the two are element for element the same memory.
func (m *Mat[T]) coincides(o *Mat[T]) bool {
	return unsafe.SliceData(m.Data) == unsafe.SliceData(o.Data) && m.Rows == o.Rows && m.Cols == o.Cols &&
		(m.Stride == o.Stride || m.Rows <= 1)
}
