package kernels

import (
	"fmt"
	"math"
	"math/big"
	"testing"
)

// This file trusts nothing of the package's arithmetic. It computes single
// fused multiply-adds exactly and rounds them by hand, and from those alone,
// written down anew from the contract, whole layers.

// exactBits is enough for a·b + c in float64 without rounding: from the square
// of the largest number, 2²⁰⁴⁸, to that of the least, 2⁻²¹⁴⁸.
const exactBits = 4400

func exact[T Float](v T) *big.Float {
	return new(big.Float).SetPrec(exactBits).SetFloat64(float64(v))
}

// round returns v rounded to the nearest T, ties to even; overflow gives an
// infinity, and below the normal numbers the grid stays that of the least.
func round[T Float](v *big.Float) T {
	p, lo, hi := limits[T]()
	if v.Sign() == 0 {
		return 0
	}
	// v = m·2^e with ½ ≤ |m| < 1, so the last place of the result is 2^q.
	q := max(v.MantExp(nil)-p, lo)
	scaled := new(big.Float).SetPrec(exactBits).SetMantExp(new(big.Float).Abs(v), -q)
	i, _ := scaled.Int(nil) // truncates
	scaled.Sub(scaled, new(big.Float).SetInt(i))
	if c := scaled.Cmp(big.NewFloat(0.5)); c > 0 || c == 0 && i.Bit(0) == 1 {
		i.Add(i, big.NewInt(1))
	}
	r := inf
	if i.BitLen()+q <= hi {
		r = math.Ldexp(float64(i.Int64()), q) // at most p bits: exact
	}
	return T(math.Copysign(r, float64(v.Sign())))
}

// exactFMA is fma by definition.
func exactFMA[T Float](a, b, c T) T {
	x, y, z := float64(a), float64(b), float64(c)
	if math.IsInf(x, 0) || math.IsInf(y, 0) || x != x || y != y {
		return T(x*y + z) // an infinity or NaN: nothing to round
	}
	if math.IsInf(z, 0) || z != z {
		return c
	}
	sum := exact(a)
	sum.Mul(sum, exact(b)).Add(sum, exact(c))
	if r := round[T](sum); sum.Sign() != 0 {
		return r
	}
	// The sum of two zeros of one sign keeps it; any other zero sum is +0.
	if math.Signbit(x) != math.Signbit(y) && math.Signbit(z) {
		return T(math.Copysign(0, -1))
	}
	return 0
}

// TestRound holds the rounding against math/big's own.
func TestRound(t *testing.T) {
	rng := newRand(3)
	for range 20000 {
		if skim(rng) {
			continue
		}
		v := new(big.Float).SetPrec(exactBits).SetMantExp(big.NewFloat(rng.Float64()-0.5), rng.IntN(2300)-1150)
		v.Add(v, new(big.Float).SetMantExp(big.NewFloat(rng.Float64()-0.5), rng.IntN(300)-150))
		if rng.IntN(2) == 0 { // somewhere in float32, near a tie
			v = exact(draw[float32](rng, wide))
			v.Mul(v, big.NewFloat(1+0x1p-24))
			v.SetMantExp(v, -rng.IntN(110))
		}
		got32, got64 := round[float32](v), round[float64](v)
		if want, _ := v.Float32(); got32 != want {
			t.Fatalf("round to float32 of %v is %v, want %v", v, got32, want)
		}
		if want, _ := v.Float64(); got64 != want {
			t.Fatalf("round to float64 of %v is %v, want %v", v, got64, want)
		}
	}
}

func checkFMA[T Float](t *testing.T, a, b, c T) {
	t.Helper()
	if got, want := fma(a, b, c), exactFMA(a, b, c); !same(got, want) {
		t.Fatalf("type %s: fma(%s, %s, %s) is %s, want %s", typeName[T](), show(a), show(b), show(c), show(got), show(want))
	}
}

func TestFMA(t *testing.T) {
	t.Run("f32", testFMA[float32])
	t.Run("f64", testFMA[float64])
}

func testFMA[T Float](t *testing.T) {
	// All triples of corner values.
	s := specials[T]()
	for _, a := range s {
		for _, b := range s {
			for _, c := range s {
				checkFMA(t, a, b, c)
			}
		}
	}
	// Random triples; in half of them the sum is of the product's size or
	// cancels most of it.
	rng := newRand(4)
	rounds := 20000
	switch {
	case *long:
		rounds = 2e6
	case testing.Short():
		rounds /= 8
	}
	p, _, _ := limits[T]()
	for range rounds {
		f := fill(rng.IntN(int(fills)))
		a, b, c := draw[T](rng, f), draw[T](rng, f), draw[T](rng, f)
		if rng.IntN(2) == 0 {
			c = -T(a*b) * (1 + T(rng.IntN(9)-4)*pow2[T](1-p))
		}
		checkFMA(t, a, b, c)
	}
}

// TestDoubleRounding asks for float32 sums that a float64 sum, rounded once
// more, gets wrong: they lie so close to half way between two float32 that
// float64 takes them for half way.
func TestDoubleRounding(t *testing.T) {
	rng := newRand(5)
	signed := func(a, b, c float32) {
		t.Helper()
		if skim(rng) {
			return
		}
		for s := range 8 {
			sign := func(bit int, v float32) float32 {
				if s&bit != 0 {
					return -v
				}
				return v
			}
			checkFMA(t, sign(1, a), sign(2, b), sign(4, c))
			checkFold(t, rng, sign(1, a), sign(2, b), sign(4, c))
		}
	}

	// 4097² = 2²⁴+2¹³+1 is half way, and 2⁻³⁰ tips it, but not in 53 bits.
	signed(4097, 4097, 0x1p-30)
	if got, once := fma[float32](4097, 4097, 0x1p-30), float32(float64(4097*4097)+0x1p-30); got != 16785410 || once != 16785408 {
		t.Errorf("fma(4097, 4097, 2⁻³⁰) is %v and rounded twice %v, want 16785410 and 16785408", got, once)
	}

	// A product of two odd numbers that takes 25 bits is half way; the addend
	// tips it from ever further below, at every scale that the type has.
	for bits := 2; bits <= 23; bits++ {
		a := uint64(1<<bits) | 1 | rng.Uint64N(1<<bits)
		for try := range 24 {
			b := (uint64(1<<24)/a + rng.Uint64N(uint64(1<<24)/a)) | 1
			if a*b < 1<<24 || a*b >= 1<<25 || b >= 1<<24 {
				continue
			}
			for _, below := range []int{25, 27, 28, 29, 30, 31, 40, 60, 100} {
				scale := (try*11)%128 - 64 // of the product
				if e := 24 + scale - below; e >= -149 {
					signed(pow2[float32](scale/2)*float32(a), pow2[float32](scale-scale/2)*float32(b), pow2[float32](e))
				}
			}
		}
	}

	// An addend with an even or odd last place, and a product within a hair of
	// half of it: (1+2⁻ᵏ)(1-2⁻ᵏ) = 1-2⁻²ᵏ below, (1+2⁻ᵏ)² above.
	for scale := -126; scale <= 100; scale += 3 {
		for _, last := range []float32{0, 1, 2, 3, 1<<22 - 1, 1<<23 - 1} {
			c := pow2[float32](scale) * (1 + last*0x1p-23)
			for k := 12; k <= 23; k++ {
				up, down := 1+pow2[float32](-k), 1-pow2[float32](-k)
				for _, q := range []int{scale - 24, scale - 25} { // half an ulp, and half of that
					a, b := pow2[float32](q/2), pow2[float32](q-q/2)
					signed(a*up, b*down, c)
					signed(a*up, b*up, c)
					signed(a*down, b*down, c)
					signed(a, b, c)
				}
			}
		}
	}

	// The same below the normal numbers, where half a place is always 2⁻¹⁵⁰
	// and does not show as 1000…0 in the low bits of a float64.
	for bits := range 24 {
		for _, r := range []int{1<<bits - 1, 1 << bits, 1<<bits + 1} {
			c := float32(r) * 0x1p-149
			for k := 1; k <= 23; k++ {
				up, down := 1+pow2[float32](-k), 1-pow2[float32](-k)
				signed(up*0x1p-75, down*0x1p-75, c)
				signed(up*0x1p-75, up*0x1p-75, c)
				signed(down*0x1p-75, down*0x1p-75, c)
				signed(0x1p-75, 0x1p-75, c)
				signed(up*0x1p-74, down*0x1p-74, c)
				signed(up*0x1p-75, down*0x3p-75, c)
			}
		}
	}

	// The largest product whose sum with a float32 may lie there and take more
	// than 53 bits: 2⁻¹³³ and more, half a place and, 2⁻¹⁸⁰ beside it, the last
	// of its 48 bits.
	for found := 0; found < 200; {
		a := 1<<23 | rng.Uint64N(1<<23) | 1
		inverse := a // modulo ever higher powers of 2
		for range 5 {
			inverse *= 2 - a*inverse
		}
		for _, tip := range []uint64{1<<30 - 1, 1<<30 + 1} {
			b := tip * inverse % (1 << 31)
			if b >= 1<<23 && b < 1<<24 && a*b >= 1<<47 {
				found++
				signed(float32(a)*0x1p-90, float32(b)*0x1p-90, float32(1<<22+rng.IntN(1<<21))*0x1p-149)
			}
		}
	}
}

// TestQuotient holds the two divisions of MSE against exact ones.
func TestQuotient(t *testing.T) {
	t.Run("f32", testQuotient[float32])
	t.Run("f64", testQuotient[float64])
}

func testQuotient[T Float](t *testing.T) {
	rng := newRand(6)
	check := func(a T, n int) {
		t.Helper()
		if skim(rng) {
			return
		}
		// The quotient of numbers of at most 64 bits is never nearer to a tie
		// than 2⁻¹²⁸ of it without being one, so 4400 bits stand for all.
		q := exact(a)
		q.Quo(q, new(big.Float).SetPrec(exactBits).SetInt64(int64(n)))
		if got, want := quotient(a, n), round[T](q); got != want {
			t.Fatalf("type %s: quotient(%s, %d) is %s, want %s", typeName[T](), show(a), n, show(got), show(want))
		}
	}
	_, lo, _ := limits[T]()
	for n := 1; n < 3000; n++ {
		check(2, n)
		check(T(n), 3)
		check(T(n)*pow2[T](lo), n%7+1) // ties in subnormal results
	}
	for range 20000 {
		check(draw[T](rng, fill(rng.IntN(3)*int(tiny))), 1+rng.IntN(1<<rng.IntN(31)))
		// A float32 half way between two, times n, moved by one bit: the
		// quotient is as near to a tie as it gets.
		n := 1 + 2*rng.IntN(1<<10)
		half := T(1<<24+1+2*rng.IntN(1<<12)) * T(n)
		check(half, n)
		check(half*(1+pow2[T](-23)), n)
	}
	// m·2ᵏ/n where t·n = m·2ᵏ ± 1, so that the quotient is t, which is half
	// way, but for one part in 2⁵³ or less: a float64 does not see it.
	for range 2000 {
		half := 23 + rng.IntN(2) // bits of t after the first; 23 where the result is subnormal
		t := uint64(1)<<half | rng.Uint64N(1<<half) | 1
		k := 54 - half
		n := t // times n is 1, modulo ever higher powers of 2
		for range 6 {
			n *= 2 - t*n
		}
		for _, n := range []uint64{n & (1<<k - 1), -n & (1<<k - 1)} {
			m := (t*n + 1) >> k
			if t*n < 1<<53 || m >= 1<<24 {
				continue
			}
			a := T(m) * pow2[T](k)
			if half < 24 {
				a *= pow2[T](lo - 1)
			}
			check(a, int(n))
			check(-a, int(n))
		}
	}
	for _, a := range []T{T(inf), T(-inf), 0} {
		if got := quotient(a, 3); got != a {
			t.Errorf("type %s: quotient(%v, 3) is %v", typeName[T](), a, got)
		}
	}
	if got := quotient(T(math.NaN()), 3); got == got {
		t.Errorf("type %s: quotient(NaN, 3) is %v", typeName[T](), got)
	}
}

// The contract, once more: slow, exact, one element at a time.

func oracleAdd[T Float](a, b T) T { return exactFMA(a, 1, b) }

func oracleSub[T Float](a, b T) T { return exactFMA(a, 1, -b) }

// oracleTree adds sixteen lanes.
func oracleTree[T Float](l [16]T) T {
	add := oracleAdd[T]
	return add(
		add(add(add(l[0], l[8]), add(l[4], l[12])), add(add(l[2], l[10]), add(l[6], l[14]))),
		add(add(add(l[1], l[9]), add(l[5], l[13])), add(add(l[3], l[11]), add(l[7], l[15]))))
}

// noMinus returns v, a zero as +0.
func noMinus[T Float](v T) T {
	if v == 0 {
		return 0
	}
	return v
}

func oracleForward[T Float](x, w Mat[T], b []T, act Activation) Mat[T] {
	y := NewMat[T](x.Rows, w.Cols)
	for i := range y.Rows {
		for j := range y.Cols {
			bias := T(0)
			if b != nil {
				bias = b[j]
			}
			acc := bias
			if w.Cols >= 8 {
				for k := range x.Cols {
					acc = exactFMA(x.Row(i)[k], w.Row(k)[j], acc)
				}
			} else {
				var l [16]T
				l[0] = bias
				for k := range x.Cols {
					l[k%16] = exactFMA(x.Row(i)[k], w.Row(k)[j], l[k%16])
				}
				acc = oracleTree(l)
			}
			if act == ReLU && !(acc > 0 || acc != acc) {
				acc = 0
			}
			y.Row(i)[j] = noMinus(acc)
		}
	}
	return y
}

// oracleBackward continues dw and db from what it is given.
func oracleBackward[T Float](dw0 Mat[T], db0 []T, dy, y, x, w Mat[T], act Activation) (dx, dw Mat[T], db []T, dz Mat[T]) {
	dz, dx, dw, db = clone(dy), NewMat[T](x.Rows, x.Cols), clone(dw0), append([]T(nil), db0...)
	for i := range dz.Rows {
		for j := range dz.Cols {
			if act == ReLU && y.Row(i)[j] <= 0 {
				dz.Row(i)[j] = 0
			}
		}
	}
	for j := range dz.Cols {
		for i := range dz.Rows {
			db[j] = oracleAdd(db[j], dz.Row(i)[j])
		}
		db[j] = noMinus(db[j])
		for k := range x.Cols {
			acc := dw.Row(k)[j]
			for i := range dz.Rows {
				acc = exactFMA(x.Row(i)[k], dz.Row(i)[j], acc)
			}
			dw.Row(k)[j] = noMinus(acc)
		}
	}
	for i := range dx.Rows {
		for k := range dx.Cols {
			acc := T(0)
			for j := range dz.Cols {
				acc = exactFMA(dz.Row(i)[j], w.Row(k)[j], acc)
			}
			dx.Row(i)[k] = noMinus(acc)
		}
	}
	return dx, dw, db, dz
}

func oracleMSE[T Float](pred, target Mat[T]) (loss T, grad Mat[T]) {
	over := func(a T, n int) T {
		q := exact(a)
		return round[T](q.Quo(q, new(big.Float).SetInt64(int64(n))))
	}
	grad = NewMat[T](pred.Rows, pred.Cols)
	n := pred.Rows * pred.Cols
	c := over(2, n)
	var l [16]T
	for i := range pred.Rows {
		for j := range pred.Cols {
			q := i*pred.Cols + j
			d := oracleSub(pred.Row(i)[j], target.Row(i)[j])
			l[q%16] = exactFMA(d, d, l[q%16])
			grad.Row(i)[j] = round[T](new(big.Float).SetPrec(exactBits).Mul(exact(d), exact(c)))
			if grad.Row(i)[j] == 0 {
				grad.Row(i)[j] = T(math.Copysign(0, float64(d)))
			}
		}
	}
	return over(oracleTree(l), n), grad
}

// TestLayers holds whole layers of every backend against the contract.
func TestLayers(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		t.Run("f32", testLayers[float32])
		t.Run("f64", testLayers[float64])
	})
}

func testLayers[T Float](t *testing.T) {
	rng := newRand(7)
	shapes := []shape{{1, 1, 1}, {2, 0, 3}, {0, 5, 2}, {2, 3, 0}, {1, 40, 1}, {3, 16, 7}, {2, 17, 8}, {8, 40, 9}, {5, 33, 2}, {7, 9, 6}, {4, 15, 9}}
	if *long {
		for range 60 {
			shapes = append(shapes, shape{rng.IntN(9), rng.IntN(41), rng.IntN(10)})
		}
	}
	for _, s := range shapes {
		for _, f := range []fill{ordinary, tiny, zeros, wide} {
			testLayer[T](t, s, f, Activation(rng.IntN(int(activations))))
		}
	}
}

func testLayer[T Float](t *testing.T, s shape, f fill, act Activation) {
	rng := newRand(8)
	about := func(what string) string { return fmt.Sprintf("%s of a %v layer, %v, fill %v", what, s, act, f) }
	x, w, b := random[T](rng, f, s.n, s.in), random[T](rng, f, s.in, s.out), random[T](rng, f, 1, s.out).Data
	for _, b := range [][]T{nil, b} {
		y := NewMat[T](s.n, s.out)
		DenseForward(y, x, w, b, act)
		equal(t, about("y"), y, oracleForward(x, w, b, act))
	}

	dy, y := random[T](rng, f, s.n, s.out), random[T](rng, f, s.n, s.out)
	dw0, db0 := random[T](rng, f, s.in, s.out), random[T](rng, f, 1, s.out).Data
	for _, add := range []bool{true, false} {
		dx, dw, db, dz := random[T](rng, f, s.n, s.in), clone(dw0), append([]T(nil), db0...), clone(dy)
		what := ""
		if add {
			DenseBackwardAdd(dx, dw, db, dz, y, x, w, act)
			what = " added"
		} else {
			DenseBackward(dx, dw, db, dz, y, x, w, act)
			clear(dw0.Data)
			clear(db0)
		}
		wantDX, wantDW, wantDB, wantDZ := oracleBackward(dw0, db0, dy, y, x, w, act)
		equal(t, about("dz"+what), dz, wantDZ)
		equal(t, about("dw"+what), dw, wantDW)
		equalVec(t, about("db"+what), db, wantDB)
		equal(t, about("dx"+what), dx, wantDX)
	}

	if s.n*s.out > 0 {
		grad := NewMat[T](s.n, s.out)
		loss := MSE(grad, y, dy)
		wantLoss, wantGrad := oracleMSE(y, dy)
		equalVec(t, about("MSE"), []T{loss}, []T{wantLoss})
		equal(t, about("MSE's grad"), grad, wantGrad)
	}

	weights, rate := clone(w), draw[T](rng, f)
	g := random[T](rng, f, s.in, s.out)
	SGD(weights.Data, g.Data, rate)
	want := clone(w)
	for i := range want.Data {
		want.Data[i] = exactFMA(-rate, g.Data[i], want.Data[i])
	}
	equal(t, about("SGD's w"), weights, want)
}
