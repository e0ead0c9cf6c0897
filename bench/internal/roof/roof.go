// Package roof has the loops that show what one thread of this machine can do
// at most: fused multiply-adds a second, and bytes read a second from each
// level of memory. They are in C, so without the build tag cpeers there are
// none.
package roof

import "github.com/klauspost/cpuid/v2"

// A Limit is one loop. Run does reps of it, each of Amount operations or bytes.
type Limit struct {
	Kind   string // "fma" or "read"
	Type   string // of a multiply-add: "f32" or "f64"
	Level  string // of a read: "L1", "L2", "L3", "memory"
	Bytes  int    // of a read: the size of what is read
	Amount float64
	Run    func(reps int)
}

// A Level is a cache, or memory.
type Level struct {
	Name string
	Size int // bytes, 0 for memory
}

// Levels returns the caches of a core, as far as they are known, and memory.
func Levels() []Level {
	c := cpuid.CPU.Cache
	l1, l2, l3 := c.L1D, c.L2, c.L3
	if l1 <= 0 {
		l1 = 32 << 10
	}
	if l2 <= l1 {
		l2 = 512 << 10
	}
	if l3 <= l2 {
		l3 = 8 << 20
	}
	return []Level{{"L1", l1}, {"L2", l2}, {"L3", l3}, {"memory", 0}}
}

// Holds returns the first level whose cache holds so many bytes.
func Holds(bytes float64) string {
	for _, l := range Levels() {
		if l.Size == 0 || bytes <= float64(l.Size) {
			return l.Name
		}
	}
	panic("unreachable: memory holds everything")
}
