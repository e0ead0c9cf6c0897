package kernels

import (
	"fmt"
	"sync"
	"testing"
	"unsafe"
)

// A packed layer gives the bits of DenseForward, whatever the stride of w, and
// does not notice what happens to w and b afterwards.
func TestPackedForward(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		t.Run("f32", testPacked[float32])
		t.Run("f64", testPacked[float64])
	})
}

func testPacked[T Float](t *testing.T) {
	rng := newRand(23)
	for _, s := range []shape{
		{0, 3, 9}, {1, 0, 9}, {1, 3, 0}, {1, 1, 1}, {5, 20, 1}, {3, 40, 2}, {3, 40, 7}, {4, 33, 8},
		{1, 64, 64}, {2, 17, 130}, {9, 300, 65}, {70, 30, 512}, {65, 20, 1024}, {3, 5000, 1},
	} {
		for _, fill := range []fill{ordinary, special} {
			x, loose, b := random[T](rng, fill, s.n, s.in), random[T](rng, fill, s.in, s.out+3), random[T](rng, fill, 1, s.out).Data
			w := loose
			w.Cols = s.out
			for _, bias := range [][]T{b, nil} {
				for _, act := range []Activation{Identity, ReLU} {
					want, got := NewMat[T](s.n, s.out), NewMat[T](s.n, s.out)
					DenseForward(want, x, w, bias, act)
					p := Pack(clone(w), append([]T(nil), bias...))
					if bias == nil {
						p = Pack(clone(w), nil)
					}
					p.Forward(got, x, act)
					equal(t, fmt.Sprintf("%v, %v", s, act), got, want)
				}
			}
			// A copy: what happens to the original does not matter.
			want, got := NewMat[T](s.n, s.out), NewMat[T](s.n, s.out)
			DenseForward(want, x, w, b, ReLU)
			p := Pack(w, b)
			for i := range w.Data {
				w.Data[i] = 7
			}
			for j := range b {
				b[j] = 7
			}
			p.Forward(got, x, ReLU)
			equal(t, fmt.Sprintf("%v, w and b overwritten", s), got, want)
		}
	}
}

// The copy starts at a cache line, and its rows do not crowd the cache.
func TestPackLayout(t *testing.T) {
	for _, out := range []int{8, 9, 64, 512, 576, 1000, 1024, 4096} {
		p := Pack(NewMat[float64](3, out), nil)
		if at := uintptr(unsafe.Pointer(&p.w.Data[0])); at%64 != 0 {
			t.Errorf("out = %d: the copy starts at %#x", out, at)
		}
		if pitch := p.w.Stride * 8; pitch%64 != 0 || pitch < out*8 || pitch > out*8+128 || inFewSets(uintptr(pitch)) {
			t.Errorf("out = %d: the rows of the copy are %d bytes apart", out, pitch)
		}
	}
}

func TestPackPanics(t *testing.T) {
	p := Pack(NewMat[float64](3, 4), nil)
	m := func(rows, cols int) Mat[float64] { return NewMat[float64](rows, cols) }
	shared := m(2, 4)
	for _, c := range []struct {
		want string
		call func()
	}{
		{"lockstep: Pack: w is 3×4 but b has 5 elements", func() { Pack(m(3, 4), make([]float64, 5)) }},
		{"lockstep: Pack: w is 3×4 but b has 0 elements", func() { Pack(m(3, 4), []float64{}) }},
		{"lockstep: Pack: w is 3×4 but its stride is 2", func() { Pack(Mat[float64]{3, 4, make([]float64, 12), 2}, nil) }},
		{"lockstep: Packed.Forward: x is 2×5 but w has 3 rows", func() { p.Forward(m(2, 4), m(2, 5), ReLU) }},
		{"lockstep: Packed.Forward: y is 1×4 but x has 2 rows", func() { p.Forward(m(1, 4), m(2, 3), ReLU) }},
		{"lockstep: Packed.Forward: y is 2×5 but w has 4 columns", func() { p.Forward(m(2, 5), m(2, 3), ReLU) }},
		{"lockstep: Packed.Forward: y overlaps x", func() { p.Forward(shared, Mat[float64]{2, 3, shared.Data[1:], 4}, ReLU) }},
		{"lockstep: Packed.Forward: act is Activation(9), but only activations below 2 exist", func() { p.Forward(m(2, 4), m(2, 3), 9) }},
	} {
		if got := panicText(c.call); got != c.want {
			t.Errorf("panic %q, want %q", got, c.want)
		}
	}
}

// One packed layer serves many goroutines, with any backend, whichever packed it.
func TestPackedConcurrently(t *testing.T) {
	t.Run("f32", testPackedConcurrently[float32])
	t.Run("f64", testPackedConcurrently[float64])
}

func testPackedConcurrently[T Float](t *testing.T) {
	rng := newRand(24)
	for _, s := range []shape{{5, 70, 90}, {5, 90, 3}} {
		x, w := random[T](rng, ordinary, s.n, s.in), random[T](rng, ordinary, s.in, s.out)
		want := NewMat[T](s.n, s.out)
		DenseForward(want, x, w, nil, ReLU)
		packed := map[string]*Packed[T]{}
		eachBackend(t, func(*testing.T) { packed[Backend()] = Pack(w, nil) })
		eachBackend(t, func(t *testing.T) {
			var wg sync.WaitGroup
			var results sync.Map
			for by, p := range packed {
				for i := range 4 {
					wg.Go(func() {
						y := NewMat[T](s.n, s.out)
						for range 20 {
							p.Forward(y, x, ReLU)
						}
						results.Store(fmt.Sprintf("%v packed by %s, goroutine %d", s, by, i), y)
					})
				}
			}
			wg.Wait()
			for who, y := range results.Range {
				equal(t, who.(string), y.(Mat[T]), want)
			}
		})
	}
}
