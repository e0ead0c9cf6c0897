package kernels

import (
	"fmt"
	"unsafe"
)

// SGD takes one step of gradient descent:
//
//	w[i] = fma(-rate, g[i], w[i])
//
// w and g have the same length. g may be the very same slice as w, but must
// not overlap it otherwise. Each element is rounded once.
//
// It panics, before it writes anything, if the lengths differ or the slices
// overlap otherwise than as said.
func SGD[T Float](w, g []T, rate T) {
	const fn = "SGD"
	if len(w) != len(g) {
		panic(fmt.Sprintf("lockstep: %s: w has %d elements but g has %d", fn, len(w), len(g)))
	}
	if len(w) == 0 {
		return
	}
	p, q, n := uintptr(unsafe.Pointer(&w[0])), uintptr(unsafe.Pointer(&g[0])), uintptr(len(w))*unsafe.Sizeof(rate)
	if p != q && p < q+n && q < p+n {
		panic(fmt.Sprintf("lockstep: %s: w overlaps g", fn))
	}
	if racing {
		wRow, gRow := row(w), row(g)
		raceRead(&gRow)
		raceWrite(&wRow)
	}
	current[T]().sgd(w, g, rate)
}
