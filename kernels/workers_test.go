package kernels

import (
	"fmt"
	"slices"
	"testing"
)

// However many workers share a call, the bits are those of one.
func TestWorkers(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		t.Run("f32", testWorkers[float32])
		t.Run("f64", testWorkers[float64])
	})
}

func testWorkers[T Float](t *testing.T) {
	rng := newRand(25)
	shapes := []shape{
		{50, 130, 300},  // columns of y, in uneven pieces
		{630, 100, 33},  // rows of y
		{1300, 400, 3},  // rows of a narrow layer
		{6000, 300, 1},  // one output
		{1500, 20, 50},  // too few inputs to share the backward pass
		{1, 2100, 1100}, // one row
		{40, 600, 1},    // too little work
		{150, 800, 17},  // many inputs, few outputs, more than one fold
	}
	counts := []int{2, 3, 7}
	if testing.Short() {
		shapes, counts = shapes[:2], counts[1:2]
	}
	for _, s := range shapes {
		loose := func(rows, cols int) Mat[T] {
			m := random[T](rng, ordinary, rows, cols+3)
			m.Cols = cols
			return m
		}
		x, w, b := loose(s.n, s.in), loose(s.in, s.out), random[T](rng, ordinary, 1, s.out).Data
		dy, dw0, db0 := loose(s.n, s.out), loose(s.in, s.out), random[T](rng, ordinary, 1, s.out).Data
		type result struct {
			y, dz, dw, dx, added Mat[T]
			db, addedB           []T
		}
		run := func(n int) result {
			defer SetWorkers(n)()
			r := result{loose(s.n, s.out), clone(dy), clone(dw0), loose(s.n, s.in), clone(dw0), slices.Clone(db0), slices.Clone(db0)}
			DenseForward(r.y, x, w, b, ReLU)
			DenseBackward(r.dx, r.dw, r.db, r.dz, r.y, x, w, ReLU)
			DenseBackwardAdd(Mat[T]{}, r.added, r.addedB, clone(dy), r.y, x, w, ReLU)
			return r
		}
		want := run(1)
		for _, n := range counts {
			got := run(n)
			who := fmt.Sprintf(" of %v by %d workers", s, n)
			equal(t, "y"+who, got.y, want.y)
			equal(t, "dz"+who, got.dz, want.dz)
			equal(t, "dw"+who, got.dw, want.dw)
			equal(t, "dx"+who, got.dx, want.dx)
			equal(t, "added dw"+who, got.added, want.added)
			equalVec(t, "db"+who, got.db, want.db)
			equalVec(t, "added db"+who, got.addedB, want.addedB)
		}
	}
}

// The pieces of a split follow each other without gap, begin at whole units, are
// as many for each worker and of about the same length.
func TestSplit(t *testing.T) {
	for _, c := range []struct{ count, each, length, unit, least, want int }{
		{1, 1, 5, 8, 8, 1}, {2, 8, 32, 16, 16, 2}, {3, 2, 100, 16, 16, 6}, {2, 4, 129, 16, 16, 8}, {5, 8, 1000, 8, 8, 40},
		{7, 2, 112, 16, 16, 7}, {2, 8, 256, 16, 48, 4}, {2, 8, 96, 16, 48, 2}, {2, 8, 512, 16, 48, 10}, {4, 8, 100, 16, 48, 4},
	} {
		var parts [][2]int
		ch := make(chan [2]int, c.length)
		split(c.count, c.each, c.length, c.unit, c.least, func(from, to int) { ch <- [2]int{from, to} })
		close(ch)
		for p := range ch {
			parts = append(parts, p)
		}
		slices.SortFunc(parts, func(a, b [2]int) int { return a[0] - b[0] })
		at, even := 0, (c.length+c.unit-1)/c.unit/c.want*c.unit
		for _, p := range parts {
			if p[0] != at || p[0]%c.unit != 0 || p[1] <= p[0] || p[1] < c.length && (p[1]-p[0]-even)*(p[1]-p[0]-even-c.unit) != 0 {
				t.Errorf("%+v: pieces %v", c, parts)
				break
			}
			at = p[1]
		}
		if at != c.length || len(parts) != c.want {
			t.Errorf("%+v: pieces %v", c, parts)
		}
	}
}

func TestSetWorkers(t *testing.T) {
	if n := shares(1e12, 1<<20, 1); n != 1 {
		t.Fatalf("%d workers from the start", n)
	}
	restore := SetWorkers(3)
	inner := SetWorkers(2)
	if n := shares(1e12, 1<<20, 1); n != 2 {
		t.Errorf("%d workers, want 2", n)
	}
	inner()
	if n := shares(1e12, 1<<20, 1); n != 3 {
		t.Errorf("%d workers, want 3", n)
	}
	for _, c := range []struct {
		work          float64
		length, least int
		want          int
	}{
		{minShare, 1000, 10, 1}, {2 * minShare, 1000, 10, 2}, {1e12, 29, 10, 2}, {1e12, 9, 10, 1}, {0, 0, 10, 1},
	} {
		if n := shares(c.work, c.length, c.least); n != c.want {
			t.Errorf("%+v: %d shares", c, n)
		}
	}
	restore()
	if n := shares(1e12, 1<<20, 1); n != 1 {
		t.Errorf("%d workers after restore", n)
	}
	for _, n := range []int{0, -1, 1<<16 + 1} {
		want := fmt.Sprintf("lockstep: SetWorkers: n is %d but must be from 1 to 65536", n)
		if got := panicText(func() { SetWorkers(n) }); got != want {
			t.Errorf("panic %q, want %q", got, want)
		}
	}
}
