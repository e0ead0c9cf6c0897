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
// It panics if a size is negative or the number of elements overflows int.
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
// Nothing is copied. It panics if a size is negative or overflows int, or if
// the length of data is not rows*cols.
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

// Row returns the elements of row i. Its capacity ends with the row.
func (m Mat[T]) Row(i int) []T {
	if i < 0 || i >= m.Rows {
		panic(fmt.Sprintf("lockstep: Row: index %d but the matrix has %d rows", i, m.Rows))
	}
	if m.Cols == 0 {
		return nil
	}
	return m.Data[i*m.Stride : i*m.Stride+m.Cols : i*m.Stride+m.Cols]
}

func (m Mat[T]) empty() bool { return m.Rows == 0 || m.Cols == 0 }

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

// check panics unless m is a valid view; name is the argument's.
func (m *Mat[T]) check(fn, name string) {
	switch n, ok := 0, false; {
	case m.Rows < 0 || m.Cols < 0:
		panic(fmt.Sprintf("lockstep: %s: %s has the negative size %d×%d", fn, name, m.Rows, m.Cols))
	case m.Stride < m.Cols && !m.empty() || m.Stride < 0:
		panic(fmt.Sprintf("lockstep: %s: %s is %d×%d but its stride is %d", fn, name, m.Rows, m.Cols, m.Stride))
	default:
		n, ok = span(m.Rows, m.Cols, m.Stride, unsafe.Sizeof(T(0)))
		if !ok {
			panic(fmt.Sprintf("lockstep: %s: %s is %d×%d with stride %d, which overflows int", fn, name, m.Rows, m.Cols, m.Stride))
		}
		if len(m.Data) < n {
			panic(fmt.Sprintf("lockstep: %s: %s is %d×%d with stride %d and needs %d elements, but its Data has %d", fn, name, m.Rows, m.Cols, m.Stride, n, len(m.Data)))
		}
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

// A region is the memory of an operand: rows of width bytes, stride bytes
// apart. An operand without elements has no rows.
type region struct {
	name                 string
	first, width, stride uintptr
	rows                 int
}

func (m *Mat[T]) region(name string) region {
	if m.empty() {
		return region{name: name}
	}
	size := unsafe.Sizeof(T(0))
	return region{
		name:   name,
		first:  uintptr(unsafe.Pointer(unsafe.SliceData(m.Data))),
		width:  uintptr(m.Cols) * size,
		stride: uintptr(m.Stride) * size,
		rows:   m.Rows,
	}
}

// row views a slice as a matrix of one row.
func row[T Float](s []T) Mat[T] { return Mat[T]{Rows: 1, Cols: len(s), Data: s, Stride: len(s)} }

func regionOf[T Float](name string, s []T) region {
	m := row(s)
	return m.region(name)
}

func (r *region) end() uintptr { return r.first + uintptr(r.rows-1)*r.stride + r.width }

// overlaps reports whether the two share a byte that is an element of both.
// Rows that interleave, as the halves of one wider matrix do, do not overlap.
func (r *region) overlaps(s *region) bool {
	if r.rows == 0 || s.rows == 0 || r.end() <= s.first || s.end() <= r.first {
		return false
	}
	if r.rows > s.rows {
		r, s = s, r
	}
	for i := range r.rows {
		lo := r.first + uintptr(i)*r.stride
		hi := lo + r.width
		j := uintptr(0) // the first row of s that ends after lo
		if lo >= s.first+s.width {
			j = (lo-s.first-s.width)/s.stride + 1
		}
		if j < uintptr(s.rows) && s.first+j*s.stride < hi {
			return true
		}
	}
	return false
}

// coincides reports whether the two are element for element the same memory.
func (r *region) coincides(s *region) bool {
	return r.first == s.first && r.width == s.width && r.rows == s.rows && (r.stride == s.stride || r.rows <= 1)
}

// disjoint panics if an output shares memory with another output or with an
// input.
func disjoint(fn string, outputs, inputs []region) {
	for i := range outputs {
		out := &outputs[i]
		for j := i + 1; j < len(outputs); j++ {
			if out.overlaps(&outputs[j]) {
				panic(fmt.Sprintf("lockstep: %s: %s overlaps %s", fn, out.name, outputs[j].name))
			}
		}
		for j := range inputs {
			if out.overlaps(&inputs[j]) {
				panic(fmt.Sprintf("lockstep: %s: %s overlaps %s", fn, out.name, inputs[j].name))
			}
		}
	}
}
