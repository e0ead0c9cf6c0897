//go:build race

package kernels

import (
	"runtime"
	"unsafe"
)

// The race detector does not see what assembly touches, so the exported
// functions say it: what they read and what they write.

const racing = true

func raceRead[T Float](ms ...*Mat[T])  { eachRow(ms, runtime.RaceReadRange) }
func raceWrite[T Float](ms ...*Mat[T]) { eachRow(ms, runtime.RaceWriteRange) }

func eachRow[T Float](ms []*Mat[T], touch func(unsafe.Pointer, int)) {
	for _, m := range ms {
		if m.empty() {
			continue
		}
		for i := range m.Rows {
			touch(unsafe.Pointer(unsafe.SliceData(m.Row(i))), m.Cols*int(unsafe.Sizeof(T(0))))
		}
	}
}
