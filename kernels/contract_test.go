package kernels

import (
	"fmt"
	"math"
	"testing"
)

// A test for every line of the numeric contract, on data for which any other
// rule would give another result.

// B is so large that B + 1 = B in both types.
const B = 0x1p60

func TestContract(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		t.Run("f32", testContract[float32])
		t.Run("f64", testContract[float64])
	})
}

func testContract[T Float](t *testing.T) {
	t.Run("narrow", testNarrow[T])
	t.Run("bias", testBias[T])
	t.Run("lanes", testLanes[T])
	t.Run("backward", testFolds[T])
	t.Run("fused", testFused[T])
	t.Run("loss", testLossLanes[T])
	t.Run("zero", testPlusZero[T])
	t.Run("nan", testNaN[T])
	t.Run("relu", testReLU[T])
	t.Run("skip", testNoSkip[T])
	t.Run("ieee", testIEEE[T])
	t.Run("update", testUpdate[T])
	t.Run("batch", testBatch[T])
	t.Run("micro", testMicroBatch[T])
}

// layerOf returns a weight matrix with the given column, out times.
func layerOf[T Float](out int, column ...T) Mat[T] {
	w := NewMat[T](len(column), out)
	for k, v := range column {
		for j := range out {
			w.Row(k)[j] = v
		}
	}
	return w
}

func ones[T Float](rows, cols int) Mat[T] { return constant[T](rows, cols, 1) }

func constant[T Float](rows, cols int, v T) Mat[T] {
	m := NewMat[T](rows, cols)
	for i := range m.Data {
		m.Data[i] = v
	}
	return m
}

// forward returns DenseForward's y for an x of n equal rows.
func forward[T Float](n int, x []T, w Mat[T], b []T, act Activation) Mat[T] {
	xs := NewMat[T](n, len(x))
	for i := range n {
		copy(xs.Row(i), x)
	}
	y := constant(n, w.Cols, T(7))
	DenseForward(y, xs, w, b, act)
	return y
}

// wantAll fails unless every element of m has the bits of v.
func wantAll[T Float](t *testing.T, what string, m Mat[T], v T) {
	t.Helper()
	equal(t, what, m, constant(m.Rows, m.Cols, v))
}

// Terms 0 and 16 cancel. In one chain they have swallowed the 1 between them;
// in sixteen they are both in lane 0 and the 1 is in lane 1. The batch and the
// length of the sum have no say in which it is.
func testNarrow[T Float](t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 8, 17} {
		for _, in := range []int{17, 31, 100} {
			column := make([]T, in)
			column[0], column[1], column[16] = B, 1, -B
			x := ones[T](1, in).Data
			for out := 1; out <= 40; out++ {
				want := T(0)
				if out < 8 {
					want = 1
				}
				y := forward(n, x, layerOf(out, column...), nil, Identity)
				wantAll(t, fmt.Sprintf("y, out = %d", out), y, want)
			}
		}
	}
}

// The bias comes first and is lost; added at the end it would remain. In a
// narrow layer it is in lane 0 with terms 0 and 16.
func testBias[T Float](t *testing.T) {
	column := make([]T, 33)
	column[0], column[16] = B, -B
	for _, out := range []int{1, 7, 8, 9, 33} {
		b := constant(1, out, T(1)).Data
		y := forward(3, ones[T](1, len(column)).Data, layerOf(out, column...), b, Identity)
		wantAll(t, fmt.Sprintf("y, out = %d", out), y, 0)
	}
	column[0], column[15], column[16] = 0, B, 0
	column[31] = -B
	for _, out := range []int{1, 7} {
		b := constant(1, out, T(1)).Data
		y := forward(3, ones[T](1, len(column)).Data, layerOf(out, column...), b, Identity)
		wantAll(t, fmt.Sprintf("y, out = %d, terms in lane 15", out), y, 1)
	}

	// A missing bias is a bias of +0.
	rng := newRand(9)
	for _, f := range []fill{ordinary, special, zeros, tiny} {
		for _, s := range []shape{{3, 0, 5}, {3, 0, 9}, {4, 19, 5}, {4, 19, 13}} {
			for act := range activations {
				x, w := random[T](rng, f, s.n, s.in), random[T](rng, f, s.in, s.out)
				with, without := NewMat[T](s.n, s.out), NewMat[T](s.n, s.out)
				DenseForward(with, x, w, make([]T, s.out), act)
				DenseForward(without, x, w, nil, act)
				equal(t, fmt.Sprintf("y without b, shape %v", s), without, with)
			}
		}
	}
}

// Sixteen terms, one in each lane: B in one, -B in another, 1 in a third. The
// 1 survives only where B and -B meet before it is added.
func testLanes[T Float](t *testing.T) {
	for plus := range 16 {
		for minus := range 16 {
			for one := range 16 {
				if plus == minus || plus == one || minus == one {
					continue
				}
				var l [16]T
				l[plus], l[minus], l[one] = B, -B, 1
				want := (((l[0] + l[8]) + (l[4] + l[12])) + ((l[2] + l[10]) + (l[6] + l[14]))) +
					(((l[1] + l[9]) + (l[5] + l[13])) + ((l[3] + l[11]) + (l[7] + l[15])))
				y := forward(2, ones[T](1, 16).Data, layerOf(3, l[:]...), nil, Identity)
				wantAll(t, fmt.Sprintf("y, lanes %d, %d and %d", plus, minus, one), y, want)
			}
		}
	}
}

// dw and db are one chain over the rows, dx one over the outputs, at every
// length and whatever the layer's other sizes.
func testFolds[T Float](t *testing.T) {
	for _, length := range []int{3, 4, 5, 8, 9, 16, 17, 18, 33, 70} {
		for last := 2; last < length; last++ {
			// 1 is lost in B, and then B goes: 0 in order, and 1 if the two
			// large terms meet first.
			terms := make([]T, length)
			terms[0], terms[1], terms[last] = B, 1, -B
			for _, other := range []int{1, 3, 8, 19} {
				// Over the rows: dz has the terms in each column, x is 1.
				dz, w := NewMat[T](length, other), NewMat[T](other, other)
				for i, v := range terms {
					copy(dz.Row(i), constant(1, other, v).Data)
				}
				dw, db := constant(other, other, T(7)), constant(1, other, T(7))
				DenseBackward(Mat[T]{}, dw, db.Data, dz, dz2(dz), ones[T](length, other), w, Identity)
				wantAll(t, fmt.Sprintf("dw of %d rows", length), dw, 0)
				wantAll(t, fmt.Sprintf("db of %d rows", length), db, 0)

				// Over the outputs: dz is 1, w has the terms in each row.
				wt := NewMat[T](other, length)
				for k := range other {
					copy(wt.Row(k), terms)
				}
				dx := constant(5, other, T(7))
				one := ones[T](5, length)
				DenseBackward(dx, NewMat[T](other, length), nil, one, dz2(one), NewMat[T](5, other), wt, Identity)
				wantAll(t, fmt.Sprintf("dx of %d outputs", length), dx, 0)
			}
		}
	}
}

// dz2 returns some y of the shape of dy that lets all of it through.
func dz2[T Float](dy Mat[T]) Mat[T] { return ones[T](dy.Rows, dy.Cols) }

// (1+h)(1-h) - 1 is -h² when rounded once, and 0 when the product is rounded
// first.
func testFused[T Float](t *testing.T) {
	p, _, _ := limits[T]()
	h := pow2[T](2 - p)
	up, down, want := 1+h, 1-h, -h*h
	for _, size := range []int{1, 2, 3, 4, 7, 8, 9, 12, 16, 17, 31, 33} {
		what := func(kernel string) string { return fmt.Sprintf("%s, size %d", kernel, size) }
		y := forward(3, []T{up}, layerOf(size, down), constant(1, size, T(-1)).Data, Identity)
		wantAll(t, what("y"), y, want)

		// Rows 0 and 1 give dw the terms -1 and (1+h)(1-h); db says what the
		// rows of dz are. Then the same for dx with columns 0 and 1.
		x, dz := ones[T](2, size), ones[T](2, size)
		for j := range size {
			x.Row(1)[j], dz.Row(0)[j], dz.Row(1)[j] = up, -1, down
		}
		dw := NewMat[T](size, size)
		DenseBackward(Mat[T]{}, dw, nil, dz, dz2(dz), x, dw2(dw), Identity)
		wantAll(t, what("dw"), dw, want)

		dz, w := ones[T](size, 2), ones[T](size, 2)
		for i := range size {
			dz.Row(i)[1], w.Row(i)[0], w.Row(i)[1] = up, -1, down
		}
		dx := NewMat[T](size, size)
		DenseBackward(dx, NewMat[T](size, 2), nil, dz, dz2(dz), NewMat[T](size, size), w, Identity)
		wantAll(t, what("dx"), dx, want)

		weights := constant(1, size, T(1))
		SGD(weights.Data, constant(1, size, up).Data, down)
		wantAll(t, what("SGD's w"), weights, -want)
	}

	// In MSE the product is a square, and the addend what its lane holds: here
	// two squares meet in lane 0.
	rng, bites := newRand(23), 0
	for range 50 {
		a, b := draw[T](rng, ordinary), draw[T](rng, ordinary)
		pred := NewMat[T](1, 17)
		pred.Data[0], pred.Data[16] = a, b
		want := exactFMA(b, b, exactFMA(a, a, 0))
		if T(a*a)+T(b*b) != want {
			bites++
		}
		if got := MSE(Mat[T]{}, pred, NewMat[T](1, 17)); got != quotient(want, 17) {
			t.Errorf("type %s, backend %s: MSE of %v and %v in one lane is %s, want %s", typeName[T](), Backend(), a, b, show(got), show(quotient(want, 17)))
		}
	}
	if bites == 0 {
		t.Error("no pair of squares tells a fused sum from another")
	}
}

func dw2[T Float](dw Mat[T]) Mat[T] { return NewMat[T](dw.Rows, dw.Cols) }

// The lane of a term of MSE goes by the row-major index of its element,
// whatever the stride. Squares cannot cancel, so the order shows in what a
// large square swallows: B²+1+1+… = B² in one lane, while ones that meet in
// another lane first are large enough to count.
func testLossLanes[T Float](t *testing.T) {
	p, _, _ := limits[T]()
	large := pow2[T]((p + 1) / 2) // its square swallows 1, and not 16
	for _, s := range []shape{{n: 1, out: 64}, {n: 64, out: 1}, {n: 8, out: 8}, {n: 6, out: 11}, {n: 4, out: 17}, {n: 3, out: 33}, {n: 13, out: 5}} {
		for _, pad := range []int{0, 1, 3} {
			for at := range s.n * s.out {
				pred := Mat[T]{s.n, s.out, constant(1, s.n*(s.out+pad), T(math.NaN())).Data, s.out + pad}
				var l [16]T
				for q := range s.n * s.out {
					v := T(1)
					if q == at {
						v = large
					}
					pred.Data[q/s.out*pred.Stride+q%s.out] = v
					l[q%16] += v * v // exact, or as fused
				}
				got := MSE(Mat[T]{}, pred, NewMat[T](s.n, s.out))
				if want := quotient(oracleTree(l), s.n*s.out); got != want {
					t.Fatalf("type %s, backend %s: MSE of %d×%d, stride %d, large element %d, is %s, want %s",
						typeName[T](), Backend(), s.n, s.out, pred.Stride, at, show(got), show(want))
				}
			}
		}
	}
}

func negZero[T Float]() T { return T(math.Copysign(0, -1)) }

// A zero in y, dw, db and dx is +0, wherever it comes from; one in dz keeps
// the sign it had in dy unless it is masked.
func testPlusZero[T Float](t *testing.T) {
	_, lo, _ := limits[T]()
	nz, little := negZero[T](), pow2[T](lo)
	for _, size := range []int{1, 2, 3, 7, 8, 9, 13, 16, 17, 33} {
		what := func(s string) string { return fmt.Sprintf("%s, size %d", s, size) }
		for act := range activations {
			for _, b := range [][]T{nil, constant(1, size, nz).Data} {
				wantAll(t, what("y without inputs"), forward(3, nil, NewMat[T](0, size), b, act), 0)
				wantAll(t, what("y of -0"), forward(3, []T{nz}, layerOf(size, T(1)), b, act), 0)
				wantAll(t, what("y of zeros"), forward(3, []T{nz, 0}, layerOf(size, T(1), -1), b, act), 0)
				wantAll(t, what("y that underflows"), forward(3, []T{little}, layerOf(size, -little), b, act), 0)
				wantAll(t, what("y that cancels"), forward(3, []T{1, 1}, layerOf(size, T(-3), 3), b, act), 0)
			}
		}

		for _, c := range []struct {
			what     string
			x, dz, w T
			want     T // of dz; all else is +0
		}{
			{"-0 times 1", 1, nz, 1, nz},
			{"0 times -1", -1, 0, -1, 0},
			{"0 times -0", nz, 0, nz, 0},
			{"underflow to -0", -little, little, -little, little},
		} {
			for _, n := range []int{0, 1, 2, 5, 9} {
				dz, x, w := constant(n, size, c.dz), constant(n, size, c.x), constant(size, size, c.w)
				dx, dw, db := constant(n, size, T(7)), constant(size, size, T(7)), constant(1, size, T(7))
				DenseBackward(dx, dw, db.Data, dz, dz2(dz), x, w, ReLU)
				wantAll(t, what("dz of "+c.what), dz, c.want)
				wantAll(t, what("dw of "+c.what), dw, 0)
				wantAll(t, what("dx of "+c.what), dx, 0)
				if c.dz == 0 {
					wantAll(t, what("db of "+c.what), db, 0)
				}
				// Also when there is nothing to add to a -0.
				dw, db = constant(size, size, nz), constant(1, size, nz)
				DenseBackwardAdd(dx, dw, db.Data, constant(n, size, c.dz), dz2(dz), x, w, Identity)
				wantAll(t, what("dw from -0 of "+c.what), dw, 0)
				if c.dz == 0 {
					wantAll(t, what("db from -0 of "+c.what), db, 0)
				}
			}
		}
	}
}

func nan[T Float]() T { return T(math.NaN()) }

// NaN in, NaN out, through either activation and from every operand.
func testNaN[T Float](t *testing.T) {
	for _, size := range []int{1, 2, 7, 8, 9, 16, 17, 33} {
		for act := range activations {
			for at := range 3 {
				x, w, b := []T{1, 1, 1}, layerOf(size, T(1), 1, 1), make([]T, size)
				x[at] = nan[T]()
				wantAll(t, "y of NaN in x", forward(3, x, w, b, act), nan[T]())
				x[at] = 1
				for j := range size {
					w.Row(at)[j] = nan[T]()
					y := forward(3, x, w, b, act)
					want := constant(3, size, T(3))
					for i := range 3 {
						want.Row(i)[j] = nan[T]()
					}
					equal(t, "y of NaN in w", y, want)
					w.Row(at)[j] = 1
				}
			}
			b := make([]T, size)
			for j := range b {
				b[j] = nan[T]()
				want := constant(1, size, T(2))
				want.Data[j] = nan[T]()
				equal(t, "y of NaN in b", forward(1, []T{2}, layerOf(size, T(1)), b, act), want)
				b[j] = 0
			}
		}
	}
	if got := MSE(Mat[T]{}, MatOf(1, 2, []T{1, nan[T]()}), NewMat[T](1, 2)); got == got {
		t.Errorf("MSE of NaN is %v", got)
	}
	if got := MSE(Mat[T]{}, NewMat[T](0, 3), NewMat[T](0, 3)); got == got {
		t.Errorf("MSE of nothing is %v", got)
	}
	w := []T{1, 2, 3}
	SGD(w, []T{0, nan[T](), 0}, 1)
	equalVec(t, "SGD's w of NaN", w, []T{1, nan[T](), 3})
}

// act(z) and act'(y) at every corner value: z if z > 0 or NaN, else +0; dy
// unless y ≤ 0, else +0.
func testReLU[T Float](t *testing.T) {
	dys := append(specials[T](), 2, -2)
	for _, z := range append(specials[T](), 2, -2) {
		want := T(0)
		if z > 0 || z != z {
			want = z
		}
		for _, out := range []int{1, 3, 7, 8, 9, 15, 16, 17, 33} {
			b := constant(1, out, z).Data
			wantAll(t, fmt.Sprintf("ReLU(%v)", z), forward(2, nil, NewMat[T](0, out), b, ReLU), want)
			wantAll(t, fmt.Sprintf("ReLU(0·1+%v)", z), forward(2, []T{0}, layerOf(out, T(1)), b, ReLU), want)
			for _, dy := range dys {
				want := dy
				if z <= 0 { // here z plays y
					want = 0
				}
				dz := constant(3, out, dy)
				DenseBackward(Mat[T]{}, NewMat[T](1, out), nil, dz, constant(3, out, z), NewMat[T](3, 1), NewMat[T](1, out), ReLU)
				wantAll(t, fmt.Sprintf("dz of dy = %v at y = %v", dy, z), dz, want)
				dz = constant(3, out, dy)
				DenseBackward(Mat[T]{}, NewMat[T](1, out), nil, dz, constant(3, out, z), NewMat[T](3, 1), NewMat[T](1, out), Identity)
				wantAll(t, fmt.Sprintf("dz of Identity, dy = %v at y = %v", dy, z), dz, dy)
			}
		}
	}
}

// 0·Inf is NaN and takes part, whichever factor is the zero.
func testNoSkip[T Float](t *testing.T) {
	for _, size := range []int{1, 2, 7, 8, 9, 16, 17, 33} {
		for _, zero := range []T{0, negZero[T]()} {
			for _, f := range [][2]T{{zero, T(inf)}, {T(-inf), zero}} {
				wantAll(t, "y of 0·Inf", forward(2, []T{1, f[0]}, layerOf(size, 1, f[1]), nil, Identity), nan[T]())
				wantAll(t, "ReLU of 0·Inf", forward(2, []T{1, f[0]}, layerOf(size, 1, f[1]), nil, ReLU), nan[T]())
				dw, dx := NewMat[T](size, size), NewMat[T](3, size)
				dz := constant(3, size, f[0])
				DenseBackward(dx, dw, nil, dz, dz2(dz), constant(3, size, f[1]), constant(size, size, f[1]), ReLU)
				wantAll(t, "dw of 0·Inf", dw, nan[T]())
				wantAll(t, "dx of 0·Inf", dx, nan[T]())
			}
		}
		// A masked dz is a zero like any other.
		dw, dx := NewMat[T](size, size), NewMat[T](3, size)
		DenseBackward(dx, dw, nil, ones[T](3, size), NewMat[T](3, size), constant(3, size, T(inf)), constant(size, size, T(inf)), ReLU)
		wantAll(t, "dw of a masked dz and Inf", dw, nan[T]())
		wantAll(t, "dx of a masked dz and Inf", dx, nan[T]())
	}
	w := []T{1}
	SGD(w, []T{T(inf)}, 0)
	equalVec(t, "SGD with 0·Inf", w, []T{nan[T]()})
}

// Infinities, overflow and subnormals are those of IEEE 754.
func testIEEE[T Float](t *testing.T) {
	p, lo, hi := limits[T]()
	little, normal, large := pow2[T](lo), pow2[T](lo+p-1), pow2[T](hi-1)
	for _, out := range []int{1, 7, 8, 9, 17, 33} {
		for _, c := range []struct {
			what    string
			x, w, b T
			want    T
		}{
			{"Inf·1", T(inf), 1, 0, T(inf)},
			{"Inf·-1", T(inf), -1, 0, T(-inf)},
			{"Inf-Inf", T(inf), 1, T(-inf), nan[T]()},
			{"overflow", large, 2, 0, T(inf)},
			{"overflow, then back", large, 2, T(-inf), T(-inf)},
			{"no overflow in between", large, 2, -large, large},
			{"a subnormal product", normal, 0.5, 0, normal / 2},
			{"a subnormal bias", 0, 0, little, little},
			{"a subnormal factor", little, pow2[T](hi - 2), 0, pow2[T](lo + hi - 2)},
			{"a subnormal sum", normal, 1, little - normal, little},
			{"half the least number", little, 0.5, 0, 0},
			{"more than half of it", 3 * little, 0.25, 0, little},
		} {
			y := forward(3, []T{c.x}, layerOf(out, c.w), constant(1, out, c.b).Data, Identity)
			wantAll(t, c.what, y, c.want)
			dw := constant(1, out, c.b)
			DenseBackwardAdd(Mat[T]{}, dw, nil, constant(1, out, c.w), ones[T](1, out), MatOf(1, 1, []T{c.x}), NewMat[T](1, out), Identity)
			wantAll(t, "dw: "+c.what, dw, c.want)
			weights := constant(1, out, c.b)
			SGD(weights.Data, constant(1, out, c.w).Data, -c.x)
			wantAll(t, "SGD: "+c.what, weights, c.want)
		}
	}
	grad := NewMat[T](1, 3)
	loss := MSE(grad, MatOf(1, 3, []T{large, 0, little}), NewMat[T](1, 3))
	equalVec(t, "MSE that overflows", []T{loss}, []T{T(inf)})
	equalVec(t, "its grad", grad.Data, []T{large * quotient[T](2, 3), 0, little}) // ⅔ of the least is the least
}

// w - rate·g is w when rate·g is a zero, but for the sign of a zero w; SGD is
// one fma and no Dense kernel, so its zeros keep their signs.
func testUpdate[T Float](t *testing.T) {
	nz := negZero[T]()
	for _, n := range []int{1, 3, 4, 8, 17, 33} {
		for _, c := range []struct{ w, g, rate, want T }{
			{3, 2, 0.5, 2},
			{1, 1, 1, 0},   // exact cancellation
			{0, 0, 1, 0},   // +0 + -0
			{nz, 0, 1, nz}, // -0 + -0
			{nz, 0, -1, 0}, // -0 + +0
			{nz, nz, 1, 0}, // -0 + +0
			{nz, 0, nz, 0}, // -0 + +0
			{nz, nz, 0, 0}, // -0 + +0
			{nz, 0, 0, nz}, // -0 + -0
			{nz, 2, 0, nz}, // -0 + -0
			{nz, -2, 0, 0}, // -0 + +0
		} {
			w := constant(1, n, c.w).Data
			SGD(w, constant(1, n, c.g).Data, c.rate)
			equalVec(t, fmt.Sprintf("SGD of w = %v, g = %v, rate = %v", c.w, c.g, c.rate), w, constant(1, n, c.want).Data)
		}
	}
}

// A row has the same bits alone, at any place of any batch, and with any
// companions.
func testBatch[T Float](t *testing.T) {
	rng := newRand(10)
	for _, s := range []shape{{40, 23, 1}, {40, 37, 5}, {40, 16, 7}, {40, 19, 8}, {40, 33, 17}, {40, 9, 40}} {
		for _, f := range []fill{ordinary, special, wide} {
			for act := range activations {
				x, w, b := random[T](rng, f, s.n, s.in), random[T](rng, f, s.in, s.out), random[T](rng, f, 1, s.out).Data
				y, alone := NewMat[T](s.n, s.out), NewMat[T](s.n, s.out)
				DenseForward(y, x, w, b, act)
				for i := range s.n {
					DenseForward(MatOf(1, s.out, alone.Row(i)), MatOf(1, s.in, x.Row(i)), w, b, act)
				}
				equal(t, fmt.Sprintf("rows of a %v layer alone", s), alone, y)

				dy, dx, dw := random[T](rng, f, s.n, s.out), NewMat[T](s.n, s.in), NewMat[T](s.in, s.out)
				dzAlone, dxAlone := clone(dy), NewMat[T](s.n, s.in)
				DenseBackward(dx, dw, nil, dy, y, x, w, act)
				for i := 0; i < s.n; {
					j := i + 1 + rng.IntN(min(6, s.n-i))
					DenseBackward(rows(dxAlone, i, j), dw, nil, rows(dzAlone, i, j), rows(y, i, j), rows(x, i, j), w, act)
					part := NewMat[T](j-i, s.out)
					DenseForward(part, rows(x, i, j), w, b, act)
					equal(t, fmt.Sprintf("rows %d to %d of a %v layer", i, j, s), part, rows(y, i, j))
					i = j
				}
				equal(t, fmt.Sprintf("dz of rows of a %v layer", s), dzAlone, dy)
				equal(t, fmt.Sprintf("dx of rows of a %v layer", s), dxAlone, dx)
			}
		}
	}
}

// rows returns rows i to j-1 of m.
func rows[T Float](m Mat[T], i, j int) Mat[T] {
	if m.empty() || i == j {
		return Mat[T]{Rows: j - i, Cols: m.Cols, Stride: m.Stride}
	}
	return Mat[T]{Rows: j - i, Cols: m.Cols, Data: m.Data[i*m.Stride:], Stride: m.Stride}
}

// A batch in pieces, in order, leaves the bits of the whole batch at once.
func testMicroBatch[T Float](t *testing.T) {
	rng := newRand(11)
	for _, s := range []shape{{1, 3, 2}, {40, 1, 1}, {37, 5, 3}, {64, 9, 8}, {50, 17, 17}, {23, 4, 33}, {50, 2, 10}, {70, 1, 40}} {
		for f := range fills {
			x, w, y, dy := random[T](rng, f, s.n, s.in), random[T](rng, f, s.in, s.out), random[T](rng, f, s.n, s.out), random[T](rng, f, s.n, s.out)
			dx, dw, db, dz := NewMat[T](s.n, s.in), NewMat[T](s.in, s.out), make([]T, s.out), clone(dy)
			DenseBackward(dx, dw, db, dz, y, x, w, ReLU)
			for range 4 {
				dx2, dw2, db2, dz2 := NewMat[T](s.n, s.in), NewMat[T](s.in, s.out), make([]T, s.out), clone(dy)
				for i := 0; i < s.n; {
					j := i + rng.IntN(min(s.n-i, 20)+1) // a piece may be empty
					DenseBackwardAdd(rows(dx2, i, j), dw2, db2, rows(dz2, i, j), rows(y, i, j), rows(x, i, j), w, ReLU)
					i = j
				}
				what := fmt.Sprintf(" of a %v batch in pieces, fill %v", s, f)
				equal(t, "dw"+what, dw2, dw)
				equalVec(t, "db"+what, db2, db)
				equal(t, "dx"+what, dx2, dx)
				equal(t, "dz"+what, dz2, dz)
			}
		}
	}
}
