//go:build cpeers && cgo

package peers

/*
#cgo CFLAGS: -O3 -march=native
#cgo linux LDFLAGS: -ldl
#include <stdlib.h>
#include "native.h"
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/lockstep-go/lockstep/kernels"
)

// A library is one that dlopen may find.
type library struct {
	name, file, debian string
	open               func(file *C.char) *C.char
}

var libraries = []library{
	{"openblas", "libopenblas.so.0", "libopenblas-dev", func(f *C.char) *C.char { return C.ls_blas_open(C.OPENBLAS, f) }},
	{"blis", "libblis.so.4", "libblis-dev", func(f *C.char) *C.char { return C.ls_blas_open(C.BLIS, f) }},
	{"onednn", "libdnnl.so.2", "libdnnl-dev", func(f *C.char) *C.char { return C.ls_dnnl_open(f) }},
}

// open opens all libraries, for the instructions of the backend in use at the
// first call, and returns what is wrong with each, or "".
var open = sync.OnceValue(func() map[string]string {
	oneThread()
	instructions()
	wrong := map[string]string{}
	for _, lib := range libraries {
		file := C.CString(lib.file)
		defer C.free(unsafe.Pointer(file))
		wrong[lib.name] = ""
		if msg := lib.open(file); msg != nil {
			wrong[lib.name] = C.GoString(msg)
		}
	}
	return wrong
})

// oneThread and instructions set what the libraries read when they are opened:
// the first before any of them, since they share OpenMP's library.
func oneThread() {
	for _, name := range []string{"OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS", "OMP_NUM_THREADS"} {
		os.Setenv(name, "1")
	}
}

// instructions holds every library to those of the backend in use. OpenBLAS
// and BLIS know CPUs by their model, and take a newer one for something old;
// BLIS before 1.0 wants the numbers of its list.
func instructions() {
	env := map[string]string{"OPENBLAS_CORETYPE": "", "OPENBLAS_L2_SIZE": "", "BLIS_ARCH_TYPE": "", "ONEDNN_MAX_CPU_ISA": "", "DNNL_MAX_CPU_ISA": ""}
	names := blisNames()
	switch kernels.Backend() {
	case "avx512":
		env["OPENBLAS_CORETYPE"], env["BLIS_ARCH_TYPE"] = "SkylakeX", "0"
		if names {
			env["BLIS_ARCH_TYPE"] = "skx"
		}
	case "avx2":
		env["OPENBLAS_CORETYPE"], env["BLIS_ARCH_TYPE"], env["ONEDNN_MAX_CPU_ISA"] = "Haswell", "3", "AVX2"
		if names {
			env["BLIS_ARCH_TYPE"] = "haswell"
		}
	}
	for name, value := range env {
		if value == "" {
			os.Unsetenv(name)
		} else {
			os.Setenv(name, value)
		}
	}
}

// blisNames reports whether BLIS takes architectures by their names.
func blisNames() bool {
	file := C.CString("libblis.so.4")
	defer C.free(unsafe.Pointer(file))
	version := C.ls_blis_version(file)
	return version != nil && !strings.HasPrefix(C.GoString(version), "0.")
}

func missing() []string {
	var list []string
	for _, lib := range libraries {
		if msg := open()[lib.name]; msg != "" {
			list = append(list, fmt.Sprintf("%s: %s (Debian's %s)", lib.name, msg, lib.debian))
		}
	}
	return list
}

func native[T kernels.Float]() []Peer[T] {
	var list []Peer[T]
	for which, name := range []string{C.OPENBLAS: "openblas", C.BLIS: "blis"} {
		if open()[name] == "" {
			list = append(list, blasPeer[T](name, which, false), blasPeer[T](name+"-gemv", which, true))
		}
	}
	if open()["onednn"] == "" && unsafe.Sizeof(T(0)) == 4 {
		list = append(list, dnnlPeer[T]("onednn", false), dnnlPeer[T]("onednn"+Packed, true))
	}
	return list
}

func at[T kernels.Float](s []T) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(s)) }

// blasPeer is the layer on a gemm; with gemv on that instead, where one of the
// matrices is a vector.
func blasPeer[T kernels.Float](name string, which int, gemv bool) Peer[T] {
	lib, f64, vector := C.int(which), C.int(unsafe.Sizeof(T(0))/8), C.int(0)
	if gemv {
		vector = 1
	}
	return Peer[T]{name, func(l *Layer[T], op Op) Run {
		if gemv && l.N != 1 && l.Out != 1 {
			return nil
		}
		n, in, out := C.int(l.N), C.int(l.In), C.int(l.Out)
		if op == Backward {
			return func(reps int) {
				C.ls_blas_backward(lib, f64, vector, n, in, out,
					at(l.DX.Data), at(l.DW.Data), at(l.DB), at(l.DY.Data), at(l.Y.Data), at(l.X.Data), at(l.W.Data), C.long(reps))
			}
		}
		return func(reps int) {
			C.ls_blas_forward(lib, f64, vector, n, in, out, at(l.Y.Data), at(l.X.Data), at(l.W.Data), at(l.B), C.long(reps))
		}
	}}
}

// dnnlPeer is the layer as one fused matmul; the backward pass is two matmuls
// after the pass that BLAS's has.
func dnnlPeer[T kernels.Float](name string, packed bool) Peer[T] {
	return Peer[T]{name, func(l *Layer[T], op Op) Run {
		n, in, out := C.int(l.N), C.int(l.In), C.int(l.Out)
		switch {
		case op == Forward:
			repack := C.int(0)
			if packed {
				repack = 1
			}
			p := newPlan(C.ls_dnnl_forward(n, in, out, at(l.W.Data), repack))
			if p == nil {
				return nil
			}
			return func(reps int) {
				C.ls_dnnl_run_forward(p.c, at(l.Y.Data), at(l.X.Data), at(l.W.Data), at(l.B), C.long(reps))
				runtime.KeepAlive(p)
			}
		case !packed:
			p := newPlan(C.ls_dnnl_backward(n, in, out))
			if p == nil {
				return nil
			}
			return func(reps int) {
				C.ls_dnnl_run_backward(p.c,
					at(l.DX.Data), at(l.DW.Data), at(l.DB), at(l.DY.Data), at(l.Y.Data), at(l.X.Data), at(l.W.Data), C.long(reps))
				runtime.KeepAlive(p)
			}
		}
		return nil
	}}
}

// A plan frees what it holds in C when it is garbage.
type plan struct{ c *C.ls_plan }

func newPlan(c *C.ls_plan) *plan {
	if c == nil {
		return nil
	}
	p := &plan{c}
	runtime.AddCleanup(p, func(c *C.ls_plan) { C.ls_dnnl_free(c) }, c)
	return p
}
