//go:build cpeers && cgo

package roof

/*
#cgo CFLAGS: -O3
#include "loops.h"
*/
import "C"

import "unsafe"

// Limits returns the loops for vectors of one instruction set, which this CPU
// must have: "avx512", "avx2", or another name for vectors of 16 bytes.
func Limits(isa string) []Limit {
	bytes := map[string]int{"avx512": 64, "avx2": 32}[isa]
	if bytes == 0 {
		bytes = 16
	}
	var list []Limit
	for _, t := range []struct {
		name string
		size int
	}{{"f64", 8}, {"f32", 4}} {
		list = append(list, Limit{
			Kind: "fma", Type: t.name, Amount: float64(2 * C.ROOF_FMAS * bytes / t.size),
			Run: func(reps int) { C.roof_fma(C.int(bytes), C.int(t.size/8), C.long(reps)) },
		})
	}
	// Half of each cache is read, and of the third a quarter, as others share
	// it; from memory, what no cache has.
	levels := Levels()
	read := []int{levels[0].Size / 2, levels[1].Size / 2, max(levels[2].Size/4, levels[1].Size*3/2), max(4*levels[2].Size, 128<<20)}
	data := make([]byte, read[3]+64)
	for i := 0; i < len(data); i += 4096 {
		data[i] = 1 // or all of it would be one page of zeros
	}
	start := unsafe.Pointer(&data[-uintptr(unsafe.Pointer(&data[0]))%64])
	for i, l := range levels {
		size := read[i] &^ 511
		list = append(list, Limit{
			Kind: "read", Level: l.Name, Bytes: size, Amount: float64(size),
			Run: func(reps int) { C.roof_read(C.int(bytes), start, C.long(size), C.long(reps)) },
		})
	}
	return list
}
