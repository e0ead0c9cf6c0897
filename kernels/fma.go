package kernels

import (
	"math"
	"unsafe"
)

// fma returns a·b + c rounded once in T.
func fma[T Float](a, b, c T) T {
	if unsafe.Sizeof(a) == 8 {
		return T(math.FMA(float64(a), float64(b), float64(c)))
	}
	return T(fma32(float32(a), float32(b), float32(c)))
}

// fma32 is the float32 fma on float64 arithmetic. The product of two float32
// is exact in float64 (48 ≤ 53 bits), so only the sum rounds.
func fma32(a, b, c float32) float32 {
	return float32(sum32(float64(a)*float64(b), float64(c)))
}

// sum32 returns a+b for rounding to float32. The sum rounds to 53 bits, and its
// conversion to float32 rounds again, to 24. Rounding twice is rounding once
// unless the sum lies exactly half way between two float32, which it may do
// just because it was rounded. Below the normal float32 the half-way point lies
// elsewhere, so those sums take the slow way too.
func sum32(a, b float64) float64 {
	s := a + b
	if halfWay(s) || math.Float64bits(s)<<1 < minNormal32<<1 {
		return sumToOdd(a, b)
	}
	return s
}

// halfWay reports whether v, rounded to 24 bits, is half way between two such
// numbers: its low 29 bits are 1000…0.
func halfWay(v float64) bool { return (uint32(math.Float64bits(v))+1<<28)&(1<<29-1) == 0 }

const minNormal32 = (1023 - 126) << 52 // the bits of 2⁻¹²⁶ as a float64

// sumToOdd returns a+b rounded to odd: if it is not exact, the neighbour whose
// last bit is 1. Rounding that again, to a format at least two bits shorter,
// rounds the exact sum (Boldo and Melquiond, "Emulation of FMA and correctly
// rounded sums: proved algorithms using rounding to odd", IEEE TC 57, 2008).
func sumToOdd(a, b float64) float64 {
	s := a + b
	// Knuth's two-sum: s + rest is a + b exactly.
	t := s - a
	rest := (a - (s - t)) + (b - t)
	return odd(s, rest)
}

// odd returns s moved one bit in the direction of rest if rest is not zero
// and the last bit of s is 0.
func odd(s, rest float64) float64 {
	u := math.Float64bits(s)
	if u&1 == 0 && (rest > 0 || rest < 0) {
		if (rest > 0) == (s > 0) {
			u++
		} else {
			u--
		}
	}
	return math.Float64frombits(u)
}

// quotient returns a/n rounded once in T.
func quotient[T Float](a T, n int) T {
	q := float64(a) / float64(n)
	if unsafe.Sizeof(a) == 4 {
		q = odd(q, math.FMA(-q, float64(n), float64(a)))
	}
	return T(q)
}
