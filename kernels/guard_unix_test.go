//go:build unix

package kernels

import (
	"testing"

	"golang.org/x/sys/unix"
)

// guarded returns memory of at least size bytes that begins and ends at an
// inaccessible page: whoever reads or writes one byte too far faults.
func guarded(t *testing.T, size int) []byte {
	page := unix.Getpagesize()
	size = (size + page - 1) / page * page
	m, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(m) })
	for _, guard := range [][]byte{m[:page], m[page+size:]} {
		if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return m[page : page+size : page+size]
}
