package kernels

import (
	"fmt"
	"unsafe"
)

// Packed is a dense layer's weights and bias, packed once for many calls of
// [Packed.Forward]. It is safe for concurrent use and never changes.
type Packed[T Float] struct {
	w    Mat[T]
	bias []T
}

// Pack returns a copy of w and b for [Packed.Forward], y = act(x·w + b): w is
// in×out, b has out elements or is nil and then counts as +0. Either size may
// be 0. What happens to w and b later does not matter. w and b may overlap.
//
// The copy begins at a cache line. With 8 or more outputs its rows do too, and
// are padded where they would otherwise compete for a few sets of the caches.
// It takes at most in·(out·s + 128) bytes for w, where s is the element's size.
// Any backend can use it.
//
// It panics if w is not a valid Mat, if b is not as long as w has columns, or
// if the copy would overflow int.
func Pack[T Float](w Mat[T], b []T) *Packed[T] {
	const fn = "Pack"
	w.check(fn, "w")
	if b != nil {
		colsAreLen(fn, "w", &w, "b", b)
	}
	size := int(unsafe.Sizeof(T(0)))
	perLine := line / size
	stride := w.Cols // narrow layers read columns, and one column is best tight
	if w.Cols >= narrow && w.Rows > 0 {
		stride = (w.Cols + perLine - 1) / perLine * perLine
		if inFewSets(uintptr(stride * size)) {
			stride += perLine
		}
	}
	p := &Packed[T]{w: Mat[T]{Rows: w.Rows, Cols: w.Cols, Stride: stride}}
	n, ok := span(w.Rows, w.Cols, stride, unsafe.Sizeof(T(0)))
	if !ok || n > int(^uint(0)>>1)/size-perLine {
		panic(fmt.Sprintf("lockstep: %s: w is %d×%d, whose copy overflows int", fn, w.Rows, w.Cols))
	}
	if n > 0 {
		p.w.Data = aligned[T](n)
		for k := range w.Rows {
			copy(p.w.Row(k), w.Row(k))
		}
	}
	if b != nil {
		p.bias = append([]T{}, b...)
	}
	return p
}

// line is the size of a cache line, in asm/dense.go too.
const line = 64

// aligned returns n elements that begin at a cache line.
func aligned[T Float](n int) []T {
	size := int(unsafe.Sizeof(T(0)))
	data := make([]T, n+line/size)
	skip := -int(uintptr(unsafe.Pointer(&data[0]))/uintptr(size)) & (line/size - 1)
	return data[skip : skip+n]
}

// Forward computes the packed layer for a batch of n rows:
//
//	y[i,j] = act(Σ_k x[i,k]·w[k,j] + b[j])
//
// x is n×in and y is n×out; n may be 0. y must not overlap x. The bits are those
// of [DenseForward]: so are the order of the sums and the special values.
//
// It panics, before it writes anything, if the shapes disagree, a Mat is not
// valid, y overlaps x, or act is unknown.
func (p *Packed[T]) Forward(y, x Mat[T], act Activation) {
	denseForward("Packed.Forward", &y, &x, &p.w, p.bias, act)
}

// inFewSets reports whether rows that many bytes apart fall into few sets of a cache
// whatever their number (see crowds for a given number of lines), so that a panel of them
// does not stay there.
func inFewSets(pitch uintptr) bool { return pitch >= 4096 && pitch%512 == 0 }
