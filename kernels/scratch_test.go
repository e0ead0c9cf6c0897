//go:build unix && (amd64 || arm64) && !purego && !noasm

package kernels

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

// What a call borrows is as long as what it writes there: a layer is computed once to see
// how much memory it asks for, and again with so much, which ends at a guard page.
func TestScratch(t *testing.T) {
	for _, s := range instructionSets {
		name, _, _ := strings.Cut(s.name, " ")
		if !slices.ContainsFunc(tested, func(b *backend) bool { return b.name == name }) {
			continue
		}
		t.Run("backend="+s.name, func(t *testing.T) {
			t.Run("f32", func(t *testing.T) { testScratch(t, s.f32) })
			t.Run("f64", func(t *testing.T) { testScratch(t, s.f64) })
		})
	}
}

func testScratch[T Float](t *testing.T, of *tiles[T]) {
	rng := newRand(40)
	borrowed := 0
	for i, s := range scratchShapes(rng) {
		m := func(rows, cols int) Mat[T] {
			m := random[T](rng, ordinary, rows, cols+i%2*3)
			m.Cols = cols // every other time with gaps between the rows
			return m
		}
		x, w, b, dy, y := m(s.n, s.in), m(s.in, s.out), m(1, s.out).Row(0), m(s.n, s.out), NewMat[T](s.n, s.out)
		dx, dw, db := NewMat[T](s.n, s.in), NewMat[T](s.in, s.out), make([]T, s.out)
		if i%3 == 0 {
			db = nil
		}
		forward := func() []T {
			of.forward(&y, &x, &w, b, ReLU)
			return slices.Clone(y.Data)
		}
		backward := func() []T {
			dz := Mat[T]{dy.Rows, dy.Cols, slices.Clone(dy.Data), dy.Stride}
			sums, db := Mat[T]{dw.Rows, dw.Cols, slices.Clone(dw.Data), dw.Stride}, slices.Clone(db)
			of.backward(&dx, &sums, db, &dz, &y, &x, &w, ReLU, i%2 == 1)
			return slices.Concat(dx.Data, sums.Data, db)
		}
		for pass, run := range []func() []T{forward, backward} {
			asked, halved := lend(t, of, new(scratch[T]), new(scratch[T]))
			want := run()
			borrowed += len(asked.packed) + len(asked.left)
			lend(t, of, cornered(t, asked), cornered(t, halved))
			if got := run(); !slices.EqualFunc(got, want, func(a, b T) bool { return bitsOf(a) == bitsOf(b) }) {
				t.Fatalf("pass %d of %v: memory that is just enough gives other results", pass, s)
			}
		}
	}
	if borrowed == 0 {
		t.Error("no layer borrows memory")
	}
}

// scratchShapes are layers that borrow memory, and others.
func scratchShapes(rng *rand.Rand) []shape {
	shapes := []shape{{50, 40, 1024}, {30, 1024, 100}, {50, 1024, 24}, {70, 512, 9}, {130, 300, 70}, {70, 1100, 50}, {40, 100, 3}, {64, 20, 40}, {300, 9, 17}, {100, 10, 100}, {100, 100, 10}, {90, 70, 12}, {20, 33, 1}, {20, 5, 1}, {20, 5, 1}, {40, 2, 10}, {17, 1, 30}, {35, 2, 24}, {8, 40, 200}, {16, 64, 70}, {24, 70, 64}}
	for range 300 {
		if !skim(rng) {
			shapes = append(shapes, shape{1 + rng.IntN(80), 1 + rng.IntN(80), 1 + rng.IntN(80)})
		}
	}
	return shapes
}

// lend has all calls borrow s, and those of half as long vectors halved.
func lend[T Float](t *testing.T, of *tiles[T], s, halved *scratch[T]) (*scratch[T], *scratch[T]) {
	for _, l := range []struct {
		to *tiles[T]
		s  *scratch[T]
	}{{of, s}, {of.half, halved}} {
		if l.to == nil {
			continue
		}
		before := l.to.scratch.New
		l.to.scratch = sync.Pool{New: func() any { return l.s }}
		t.Cleanup(func() { l.to.scratch = sync.Pool{New: before} })
	}
	return s, halved
}

// cornered returns scratch memory as long as what s has, each part before a guard page.
func cornered[T Float](t *testing.T, s *scratch[T]) *scratch[T] {
	before := func(part []T) []T {
		if len(part) == 0 {
			return nil
		}
		bytes := guarded(t, len(part)*int(size[T]()))
		elements := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(bytes))), len(bytes)/int(size[T]()))
		return elements[len(elements)-len(part):]
	}
	return &scratch[T]{packed: before(s.packed), left: before(s.left)}
}
