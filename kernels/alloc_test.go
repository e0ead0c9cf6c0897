package kernels

import "testing"

// raceDetector is whether the tests run under it; then a sync.Pool drops what
// it holds now and then, so that its users allocate.
var raceDetector bool

// TestAllocations: a call allocates nothing once the kernels are warm.
func TestAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes pools allocate")
	}
	eachBackend(t, func(t *testing.T) {
		t.Run("f32", testAllocations[float32])
		t.Run("f64", testAllocations[float64])
	})
}

func testAllocations[T Float](t *testing.T) {
	shapes := []shape{
		{1, 1, 1}, {5, 17, 3}, {9, 16, 33},
		{33, 40, 3},    // dw, and
		{16, 64, 64},   // dx as transposes,
		{40, 2, 10},    // db that is not wanted
		{2, 4100, 2},   // sums in pieces
		{50, 64, 512},  // columns of w that crowd the cache,
		{50, 512, 110}, // or of x
	}
	if testing.Short() {
		shapes = shapes[:3]
	}
	for i, s := range shapes {
		runs := 10
		if i > 3 {
			runs = 3 // enough to tell one allocation a call from a stray one
		}
		for _, pad := range []int{0, 3} {
			defer SetWorkers(1)()
			if i < 5 && pad > 0 {
				SetWorkers(2) // who may share, but have too little to do
			}
			m := func(rows, cols int) Mat[T] {
				return Mat[T]{rows, cols, make([]T, rows*(cols+pad)), cols + pad}
			}
			x, w, y, dy, dx, dw, grad := m(s.n, s.in), m(s.in, s.out), m(s.n, s.out), m(s.n, s.out), m(s.n, s.in), m(s.in, s.out), m(s.n, s.out)
			b, db := make([]T, s.out), make([]T, s.out)
			packed := Pack(w, b)
			both := m(s.n, s.in+s.out) // whose columns are x and y: only rows tell that they do not overlap
			left, right := both.colsFrom(0, s.in), both.colsFrom(s.in, s.in+s.out)
			for name, f := range map[string]func(){
				"DenseForward":             func() { DenseForward(y, x, w, b, ReLU) },
				"DenseForward without b":   func() { DenseForward(y, x, w, nil, Identity) },
				"DenseForward of columns":  func() { DenseForward(right, left, w, b, ReLU) },
				"DenseBackward of columns": func() { DenseBackward(left, dw, db, right, y, x, w, ReLU) },
				"Packed.Forward":           func() { packed.Forward(y, x, ReLU) },
				"DenseBackward":            func() { DenseBackward(dx, dw, db, dy, y, x, w, ReLU) },
				"DenseBackward without dx": func() { DenseBackward(Mat[T]{}, dw, db, dy, y, x, w, ReLU) },
				"DenseBackward without db": func() { DenseBackward(dx, dw, nil, dy, y, x, w, ReLU) },
				"DenseBackwardAdd":         func() { DenseBackwardAdd(dx, dw, db, dy, y, x, w, Identity) },
				"DenseBackwardAdd, no dx":  func() { DenseBackwardAdd(Mat[T]{}, dw, db, dy, y, x, w, ReLU) },
				"DenseBackwardAdd, no db":  func() { DenseBackwardAdd(dx, dw, nil, dy, y, x, w, ReLU) },
				"MSE":                      func() { MSE(grad, y, dy) },
				"MSE without grad":         func() { MSE(Mat[T]{}, y, dy) },
				"MSE in place":             func() { MSE(y, y, dy) },
				"SGD":                      func() { SGD(w.Data, dw.Data, 0.5) },
			} {
				if n := testing.AllocsPerRun(runs, f); n != 0 {
					t.Errorf("%s of %v, type %s, stride +%d, backend %s: %v allocations", name, s, typeName[T](), pad, Backend(), n)
				}
			}
		}
	}
}

// TestNoEscape has goroutines call noescape with all but no room left on their stacks, which
// must not move there: all depths there are before the second time that they grow.
func TestNoEscape(t *testing.T) {
	for depth := range 1000 {
		ok := make(chan bool)
		go func() { ok <- noEscapeBelow(depth) }()
		if !<-ok {
			t.Fatalf("%d calls deep, noescape returned a pointer to where the stack was before", depth)
		}
	}
}

//go:noinline
func noEscapeBelow(calls int) bool {
	if calls > 0 {
		return noEscapeBelow(calls - 1)
	}
	var at [1]int
	return noescape(&at) == &at
}
