//go:build cpeers && cgo

package order

/*
// Tuned for some CPUs gcc splits a chain of fmas into products and sums, which
// have other bits.
#cgo CFLAGS: -O3 -march=native -mtune=generic
#include "c.h"
*/
import "C"

import (
	"unsafe"

	"github.com/lockstep-go/lockstep/bench/internal/peers"
	"github.com/lockstep-go/lockstep/kernels"
)

// InC returns the pass in C, in our order or in a free one; or nil if there is
// none, as for our order of a layer of one output.
func InC[T kernels.Float](l *peers.Layer[T], op Op, free bool) peers.Run {
	f64, many := C.int(unsafe.Sizeof(T(0))/8), C.int(0)
	if free {
		many = 1
	}
	n, in, out := C.long(l.N), C.long(l.In), C.long(l.Out)
	at := func(s []T) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(s)) }
	if op == Forward && l.Out == 1 && !free {
		return nil
	}
	if op == Forward {
		return func(reps int) {
			C.order_forward(f64, many, n, in, out, at(l.Y.Data), at(l.X.Data), at(l.W.Data), at(l.B), C.long(reps))
		}
	}
	return func(reps int) {
		C.order_gradient(f64, many, n, in, out, at(l.DW.Data), at(l.DB), at(l.DY.Data), at(l.Y.Data), at(l.X.Data), C.long(reps))
	}
}
