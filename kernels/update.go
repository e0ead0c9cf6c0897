package kernels

import "fmt"

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
	out, in := regionOf("w", w), regionOf("g", g)
	if !out.coincides(&in) {
		disjoint(fn, []region{out}, []region{in})
	}
	if len(w) > 0 {
		wRow, gRow := row(w), row(g)
		raceRead(&gRow)
		raceWrite(&wRow)
		current[T]().sgd(w, g, rate)
	}
}
