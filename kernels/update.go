package kernels

import "fmt"

// SGD takes one step of gradient descent:
//
//	w[i] = fma(-rate, g[i], w[i])
//
// where rate is the learning rate. w and g have the same length, which may be 0.
//
// g may be the very same slice as w, but must not overlap it in any other way.
//
// Each element is rounded once. A NaN in w, g or rate is one in w, whose zeros
// have the signs that IEEE 754 gives them.
//
// It panics, before it writes anything, if the lengths differ or the slices
// overlap in any other way.
func SGD[T Float](w, g []T, rate T) {
	const fn = "SGD"
	if len(w) != len(g) {
		panic(fmt.Sprintf("lockstep: %s: w has %d elements but g has %d", fn, len(w), len(g)))
	}
	if len(w) == 0 {
		return
	}
	if &w[0] != &g[0] && memory(w).meets(memory(g)) {
		panic(fmt.Sprintf("lockstep: %s: w overlaps g", fn))
	}
	if racing {
		wRow, gRow := row(w), row(g)
		raceRead(&gRow)
		raceWrite(&wRow)
	}
	current[T]().sgd(w, g, rate)
}
