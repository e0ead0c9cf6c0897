package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// Every backend leaves the bits of the reference in every output and touches
// nothing else: not the inputs, not the padding between rows, not a byte
// beyond. The reference runs on tight slices, so for itself these tests say
// that neither stride nor address enters a result.

func TestBits(t *testing.T) {
	t.Run("f32", testBits[float32])
	t.Run("f64", testBits[float64])
}

func testBits[T Float](t *testing.T) {
	f := newField(t)
	rng := newRand(1)
	try := func(s shape, few bool) {
		if skim(rng) {
			return
		}
		fl := fill(rng.IntN(int(fills)))
		for _, c := range calls[T](rng, s, fl, few) {
			c.compare(t, f, somewhere(rng, len(c.operands)), fmt.Sprintf("shape %v, fill %v", s, fl))
		}
	}

	// One size runs through all the small values, the others through edges.
	edges := []int{0, 1, 3, 8, 17}
	for _, a := range upTo(33) {
		for _, b := range edges {
			for _, c := range edges {
				try(shape{b, c, a}, true)
				try(shape{b, a, c}, true)
				try(shape{a, b, c}, true)
			}
		}
	}

	// Layers with kernels of their own: one input and many rows, few outputs, few
	// inputs or rows, and few rows of many inputs.
	for _, out := range upTo(25) {
		for _, n := range []int{150, 131, 64 + out} {
			try(shape{n, 1, out}, true)
		}
		try(shape{20 + out, 2, out}, true)
	}
	for out := 1; out <= 25; out++ {
		for _, lanes := range []int{2, 4, 8, 16} { // about as many rows as flat needs at least
			period := out / min(lanes, out&-out)
			least := (3*(period+1)*lanes + out - 1) / out
			try(shape{least, 1, out}, true)
			try(shape{least - 1, 1, out}, true)
		}
	}
	for _, out := range []int{24, 32, 40, 48, 75} {
		for _, n := range []int{16, 23, 48, 77} {
			try(shape{n, 1, out}, true)
			try(shape{n, 2, out}, true)
		}
	}
	for out := 2; out <= 15; out++ {
		for _, in := range []int{2, 4, 7, 12, 16, 17, 22, 26, 30, 33, 64, 139} {
			for _, n := range []int{1, 2, 3, 4, 7, 16, 41} {
				try(shape{n, in, out}, true)
			}
		}
		for in := 3; in < 16; in++ {
			try(shape{4 + in, in, out}, true)
		}
	}
	for _, in := range upTo(26) {
		for _, n := range []int{1, 2, 3, 5, 8, 16, 35, 81} {
			for _, out := range []int{9, 18, 47, 103} {
				try(shape{n, in, out}, true)
			}
		}
	}

	for _, out := range upTo(50) {
		for in := 1; in <= 6; in++ {
			try(shape{13, in, out}, true)
		}
	}
	for in := 1; in <= 3; in++ {
		for n := 1; n <= 3; n++ {
			for out := 8; out <= 40; out++ {
				try(shape{n, in, out}, true)
			}
		}
		for n := 4; n < 20; n++ {
			for _, out := range []int{13, 18, 29, 40} {
				try(shape{n, in, out}, true)
			}
		}
	}
	for _, in := range []int{27, 32, 52} {
		for n := 1; n <= 4; n++ {
			for _, out := range []int{16, 19, 23, 29, 31, 36, 47, 61} {
				try(shape{n, in, out}, true)
			}
		}
	}

	// Rows that fill vectors, with few inputs or few outputs: every number of those, and
	// what is left of the other.
	for few := 1; few <= 12; few++ {
		for _, n := range []int{16, 24, 31, 48} {
			for _, many := range []int{16, 17, 18, 20, 22, 23, 27, 31} {
				try(shape{n, many, few}, true)
				try(shape{n, few, many}, true)
			}
		}
	}

	// Few rows of many outputs, in every number of vectors, the last of them full or
	// not.
	for n := 1; n <= 4; n++ {
		for out := 36; out <= 264/n+16; out += 4 {
			try(shape{n, 9, out}, true)
			try(shape{n, 9, out - 1}, true)
		}
		for _, out := range []int{165, 200, 330, 419, 521} {
			try(shape{n, 9, out}, true)
		}
	}

	// All three from everywhere.
	rounds, most := 250, 1<<18
	if *long {
		rounds, most = 6000, 1<<22
	}
	for range rounds {
		s := shape{sizes[rng.IntN(len(sizes))], sizes[rng.IntN(len(sizes))], sizes[rng.IntN(len(sizes))]}
		if s.volume() <= most {
			try(s, true)
		}
	}
	for _, s := range []shape{{257, 65, 33}, {65, 257, 47}, {33, 127, 257}, {127, 127, 8}, {257, 257, 7}, {24, 129, 127}, {66, 330, 1024}, {409, 260, 31}, {31, 410, 641}} {
		try(s, true)
	}
}

// TestBlocks crosses the sizes at which a backend may cut a fold, a panel or
// a run of elements into several calls. Only one size of a shape is large,
// which keeps this short.
func TestBlocks(t *testing.T) {
	t.Run("f32", testBlocks[float32])
	t.Run("f64", testBlocks[float64])
}

func testBlocks[T Float](t *testing.T) {
	f := newField(t)
	rng := newRand(22)
	var shapes []shape
	for _, a := range []int{127, 128, 129, 255, 256, 257, 511, 512, 513} {
		shapes = append(shapes, []shape{{a, 3, 5}, {a, 5, 9}, {3, a, 5}, {5, a, 9}, {3, 5, a}, {5, 9, a}, {a, 2, 1}, {2, a, 1}}...)
	}
	for _, a := range []int{1023, 1025, 4095, 4096, 4097, 8191, 8193} {
		shapes = append(shapes, []shape{{a, 1, 2}, {a, 2, 1}, {1, a, 1}, {2, a, 2}, {1, a, 9}, {1, 1, a}}...)
	}
	for _, a := range []int{1025, 2049} {
		shapes = append(shapes, shape{a, 19, 5}, shape{a, 16, 3}, shape{a, 33, 10})
	}
	shapes = append(shapes, shape{6, 32769, 1}, shape{2, 32769, 3}, shape{3, 1030, 7}, shape{9, 2401, 6}, shape{43, 3590, 2}, shape{293, 530, 7}, shape{70, 401, 1}, shape{1300, 200, 1})
	shapes = append(shapes, shape{9, 12, 2048}, shape{10, 9, 1024}, shape{5, 12, 3500}, shape{131, 2, 1000}, shape{131, 1, 1003}, shape{1345, 2, 200}, shape{35, 2, 6000}, shape{21, 1, 10001})
	for _, a := range []int{16385, 40001} {
		shapes = append(shapes, shape{a, 1, 1}, shape{a, 1, 2}, shape{1, a, 1}, shape{1, 1, a})
	}
	if *long {
		for _, a := range []int{257, 513, 1025} {
			for _, b := range []int{255, 513} {
				shapes = append(shapes, shape{a, b, 65}, shape{a, 65, b}, shape{65, a, b}, shape{b, a, 7})
			}
		}
	}
	for _, s := range shapes {
		if skim(rng) {
			continue
		}
		fl := []fill{ordinary, special, wide, tiny}[rng.IntN(4)]
		for _, c := range calls[T](rng, s, fl, true) {
			places := somewhere(rng, len(c.operands))
			for i := range places {
				places[i].pad %= 2
			}
			c.compare(t, f, places, fmt.Sprintf("shape %v, fill %v", s, fl))
		}
	}
}

// TestCrowded has rows of all operands that fall into the same sets of a cache, for which
// factors of a product are copied, or other kernels chosen: more rows than TestBits has at
// such distances, that end anywhere in a tile or a block.
func TestCrowded(t *testing.T) {
	t.Run("f32", testCrowded[float32])
	t.Run("f64", testCrowded[float64])
}

func testCrowded[T Float](t *testing.T) {
	f := newField(t)
	rng := newRand(27)
	for _, c := range []struct {
		s     shape
		pitch int // in bytes, of all operands whose rows are no longer, as those of w and y are not
	}{
		{shape{34, 40, 100}, 4096}, {shape{42, 33, 100}, 4096}, {shape{33, 60, 70}, 8192}, // one or two rows behind whole tiles
		{shape{130, 600, 100}, 8192}, {shape{100, 508, 100}, 4096}, {shape{9, 600, 100}, 8192}, {shape{50, 700, 30}, 8192}, // panels that are packed, for one block or several
		{shape{600, 60, 100}, 4096}, {shape{400, 75, 50}, 8192}, // columns of x that are copied
	} {
		if skim(rng) {
			continue
		}
		fl := fill(rng.IntN(int(fills)))
		for _, call := range calls[T](rng, c.s, fl, true) {
			call.compare(t, f, crowded(rng, len(call.operands), c.pitch), fmt.Sprintf("shape %v, fill %v", c.s, fl))
		}
	}

	// The last block of a copy has fewer rows than a vector has lanes, where there are
	// more outputs than two panels have.
	for _, s := range []shape{{900, 290, 60}, {600, 450, 60}, {900, 515, 100}} {
		if skim(rng) {
			continue
		}
		found := false
		for _, c := range calls[T](rng, s, ordinary, false) {
			if c.name == "DenseBackward(Identity, no dx, no db)" {
				found = true
				c.compare(t, f, crowded(rng, len(c.operands), 4096), fmt.Sprintf("shape %v", s))
			}
		}
		if !found {
			t.Fatal("no call has that name")
		}
	}
}

// crowded draws places for n operands whose rows are so many bytes apart.
func crowded(rng *rand.Rand, n, bytes int) []place {
	ps := somewhere(rng, n)
	for i := range ps {
		ps[i].crowd = bytes
	}
	return ps
}

// TestGate has dz alone, as workers who share a call make it first, of rows and runs that
// begin and end anywhere in a cache line.
func TestGate(t *testing.T) {
	t.Run("f32", testGate[float32])
	t.Run("f64", testGate[float64])
}

func testGate[T Float](t *testing.T) {
	f := newField(t)
	rng := newRand(26)
	widths := append(upTo(20), 63, 64, 65, 127, 128, 129, 143, 145, 300, 4096, 4250, 9001)
	for _, cols := range widths {
		for _, rows := range []int{0, 1, 2, 9} {
			for offset := range 18 {
				if skim(rng) {
					continue
				}
				fl := fill(rng.IntN(int(fills)))
				operands := []operand[T]{{"dy", random[T](rng, fl, rows, cols), true}, {"y", random[T](rng, fl, rows, cols), false}}
				for act := range activations {
					c := call[T]{fmt.Sprintf("gate(%v)", act), operands, func(m []Mat[T]) T {
						current[T]().gate(&m[0], &m[1], act)
						return 0
					}}
					places := somewhere(rng, len(operands))
					places[0].offset = offset
					c.compare(t, f, places, fmt.Sprintf("%d×%d, fill %v", rows, cols, fl))
				}
			}
		}
	}
}

// TestOffsets places all the operands at every distance, up to more than a
// cache line of float32, from the guard page before them and from the one
// behind them.
func TestOffsets(t *testing.T) {
	t.Run("f32", testOffsets[float32])
	t.Run("f64", testOffsets[float64])
}

func testOffsets[T Float](t *testing.T) {
	f := newField(t)
	rng := newRand(2)
	shapes := []shape{{1, 1, 1}, {2, 17, 7}, {5, 9, 8}, {7, 3, 13}, {4, 4, 33}}
	if *long {
		for _, n := range []int{1, 3, 6} {
			for _, in := range []int{1, 2, 15, 18} {
				for _, out := range upTo(40) {
					shapes = append(shapes, shape{n, in, out})
				}
			}
		}
	}
	for _, s := range shapes {
		for fl := range fills {
			if skim(rng) {
				continue
			}
			for _, c := range calls[T](rng, s, fl, false) {
				for offset := range 18 {
					for _, atEnd := range []bool{false, true} {
						places := somewhere(rng, len(c.operands))
						for i := range places {
							places[i].atEnd, places[i].offset = atEnd, offset
						}
						c.compare(t, f, places, fmt.Sprintf("shape %v, fill %v", s, fl))
					}
				}
			}
		}
	}
}
