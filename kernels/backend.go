package kernels

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"unsafe"
)

// A backend is one way to compute every kernel.
type backend struct {
	name string
	f32  table[float32]
	f64  table[float64]
}

// A table holds the kernels of one element type. Their arguments have been
// checked by the exported functions; none keeps a pointer when it returns.
type table[T Float] struct {
	// forward computes y, which has at least one element.
	forward func(y, x, w *Mat[T], b []T, act Activation)

	// backward computes what DenseBackward says, for any sizes; with add, dw
	// and db continue from what they hold.
	backward func(dx, dw *Mat[T], db []T, dy, y, x, w *Mat[T], act Activation, add bool)

	// gate computes dz alone, for several workers who then read all of it.
	gate func(dy, y *Mat[T], act Activation)

	// inputs computes dx alone, from dz.
	inputs func(dx, dz, w *Mat[T])

	// mse returns the folded sum of squares and writes grad = (pred-target)·c
	// unless grad is zero. There is at least one element.
	mse func(grad, pred, target *Mat[T], c T) T

	// sgd updates at least one element.
	sgd func(w, g []T, rate T)
}

// generic is the reference in pure Go. Every machine has it, as its last
// choice.
var generic = &backend{
	name: "generic",
	f32:  table[float32]{forwardGeneric[float32], backwardGeneric[float32], gateGeneric[float32], inputsGeneric[float32], mseGeneric[float32], sgdGeneric[float32]},
	f64:  table[float64]{forwardGeneric[float64], backwardGeneric[float64], gateGeneric[float64], inputsGeneric[float64], mseGeneric[float64], sgdGeneric[float64]},
}

// available lists the backends that this CPU can run and this build contains,
// best first.
var available = append(detect(), generic)

// selected is the backend in use.
var selected atomic.Pointer[backend]

// The environment variable LOCKSTEP_BACKEND names the backend to start with.
func init() {
	const env = "LOCKSTEP_BACKEND"
	b, err := choose(available, os.Getenv(env))
	if err != nil {
		panic(fmt.Sprintf("lockstep: %s: %v", env, err))
	}
	selected.Store(b)
}

// choose returns the backend of the given name, or the first if name is empty.
func choose(from []*backend, name string) (*backend, error) {
	if name == "" {
		return from[0], nil
	}
	for _, b := range from {
		if b.name == name {
			return b, nil
		}
	}
	return nil, fmt.Errorf("backend %q is not one this CPU and build can run: %s", name, strings.Join(names(from), ", "))
}

func names(from []*backend) []string {
	s := make([]string, len(from))
	for i, b := range from {
		s[i] = b.name
	}
	return s
}

// current returns the selected backend's kernels for T.
func current[T Float]() *table[T] {
	b := selected.Load()
	if unsafe.Sizeof(T(0)) == 4 {
		return (*table[T])(unsafe.Pointer(&b.f32))
	}
	return (*table[T])(unsafe.Pointer(&b.f64))
}

// noescape returns p so that escape analysis cannot follow: it would have what p points
// at allocated on the heap, because a call through a pointer to a function might keep
// it. None of those here does. The result is to be an argument at once, and no
// argument of that call a call of anything else: kept any longer, it could stay
// behind when the stack moves. Nor may it move in here, as it could in a call that
// checks pointers or makes room for itself.
//
//go:nocheckptr
//go:nosplit
func noescape[T any](p *T) *T {
	address := uintptr(unsafe.Pointer(p))
	return *(**T)(unsafe.Pointer(&address))
}

// Backend returns the name of the backend in use: "avx512", "avx2", "neon" or
// "generic".
func Backend() string { return selected.Load().name }

// Backends returns the names of the backends that this CPU can run and this
// build contains, best first. The last is always "generic".
func Backends() []string { return names(available) }

// SetBackend selects the backend by name, for the whole process. The returned
// function selects the one that was in use before. An unknown name, or one
// that this CPU or build cannot run, is an error and changes nothing.
//
// A call that is under way keeps the backend it started with. The result of
// no kernel depends on the choice.
func SetBackend(name string) (restore func(), err error) {
	if name == "" {
		return nil, errors.New("lockstep: SetBackend: the name is empty")
	}
	b, err := choose(available, name)
	if err != nil {
		return nil, fmt.Errorf("lockstep: SetBackend: %w", err)
	}
	old := selected.Swap(b)
	return func() { selected.Store(old) }, nil
}
