package kernels

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"
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

// Pieces follow each other without a gap, and begin where whole tiles do. Each worker
// has as much as the others, but for a unit.
func TestCuts(t *testing.T) {
	for _, c := range []struct {
		count, each, length, whole, unit int
		want                             []int
	}{
		{1, 1, 5, 8, 8, []int{0, 5}},
		{2, 8, 32, 48, 16, []int{0, 16, 32}},
		{2, 8, 16, 48, 16, []int{0, 16}},
		{2, 8, 96, 48, 16, []int{0, 48, 96}},
		{2, 8, 129, 48, 16, []int{0, 48, 96, 112, 129}},
		{2, 8, 256, 48, 16, []int{0, 48, 96, 144, 192, 224, 256}},
		{2, 1, 512, 48, 16, []int{0, 240, 480, 496, 512}},
		{2, 2, 512, 48, 16, []int{0, 96, 240, 336, 480, 496, 512}},
		{3, 8, 160, 48, 16, []int{0, 48, 96, 144, 160}},
		{4, 8, 100, 48, 16, []int{0, 16, 48, 80, 100}},
		{3, 2, 100, 8, 8, []int{0, 16, 32, 48, 64, 80, 96, 100}},
	} {
		if got := cuts(c.count, c.each, c.length, c.whole, c.unit); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// Every piece of a stage is done once, and none before those of the stage before it.
func TestShare(t *testing.T) {
	const count, parts = 5, 40
	at := make([]int, parts+1)
	for i := range at {
		at[i] = i
	}
	var done [3][parts]atomic.Int64
	var stages []*stage
	begun := make(chan bool)
	for i := range done {
		stages = append(stages, newStage(at, func(from, to int) {
			for j := range i {
				for k := range parts {
					if n := done[j][k].Load(); n != 1 {
						t.Errorf("piece %d of stage %d was done %d times before piece %d of stage %d began", k, j, n, from, i)
					}
				}
			}
			if to != from+1 {
				t.Errorf("a piece from %d to %d", from, to)
			}
			switch from { // the first piece is the caller's, as a rule: the second is another's, and the last to be done
			case 0:
				<-begun
			case 1:
				begun <- true
				time.Sleep(5 * time.Millisecond)
			}
			done[i][from].Add(1)
		}))
	}
	share(count, stages...)
	for i := range done {
		for k := range parts {
			if n := done[i][k].Load(); n != 1 {
				t.Errorf("piece %d of stage %d was done %d times", k, i, n)
			}
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
