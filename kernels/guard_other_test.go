//go:build !unix

package kernels

import (
	"testing"
	"unsafe"
)

// guarded returns memory of at least size bytes. Without guard pages only the
// canaries around the operands tell of a write too far.
func guarded(t *testing.T, size int) []byte {
	m := make([]uint64, (size+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(m))), 8*len(m))
}
