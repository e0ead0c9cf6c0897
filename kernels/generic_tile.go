package kernels

import (
	"math"
	"sync"
	"unsafe"
)

// This file is the reference's matrix product, fold. It takes b by blocks that
// stay in the cache, as float64, which a float32 fits in. All it gains by that
// is speed, for the terms of every sum keep their order.

const (
	depth = 128 // rows of a block
	width = 128 // columns of a block
	tile  = 8   // terms, or columns, at a time
)

type eight = [tile]float64

// A block is a part of b, by eights, with those of eight rows of a and of one
// row of c that meet it.
type block struct {
	a [tile][depth]float64
	b [depth * width / tile]eight
	c [width]float64
}

var blocks = sync.Pool{New: func() any { return new(block) }}

// fold continues in c, for every element, the sum over p of a[i,p]·b[p,j]: one
// chain of fused multiply-adds in order of p.
func fold[T Float](c Mat[T], a, b view[T], n int) {
	rows, cols, sum := c.Rows, c.Cols, c.view()
	if cols < 2*tile && cols < rows { // better few long rows than many short ones
		rows, cols, sum, a, b = cols, rows, sum.transposed(), b.transposed(), a.transposed()
	}
	s := blocks.Get().(*block)
	for j := 0; j < cols; j += width {
		w := min(width, cols-j)
		clear(s.c[w:])
		for p := 0; p < n; p += depth {
			d := min(depth, n-p)
			var leastA, leastB uint64
			if unsafe.Sizeof(T(0)) == 8 {
				pack(s.b[:], b.from(p, j).transposed(), w, d, width)
			} else {
				leastB = pack(s.b[:], b.from(p, j), d, w, depth)
			}
			for i := range rows {
				if i%tile == 0 {
					leastA = widen(&s.a, a.from(i, p), min(tile, rows-i), d)
				}
				c := sum.data[i*sum.row+j*sum.col:]
				for q := range s.c[:w] {
					s.c[q] = float64(c[q*sum.col])
				}
				if unsafe.Sizeof(T(0)) == 8 {
					s.fold64(s.a[i%tile][:d], w)
				} else {
					s.fold32(s.a[i%tile][:d], w, leastA, leastB)
				}
				for q, v := range s.c[:w] {
					c[q*sum.col] = T(v)
				}
			}
		}
	}
	blocks.Put(s)
}

// widen copies rows to dst. Of float32 it returns the bits, doubled and less
// one, of the least magnitude that is not zero.
func widen[T Float](dst *[tile][depth]float64, src view[T], rows, cols int) uint64 {
	least := none
	for j := range cols {
		from := src.data[j*src.col:]
		for i := range dst[:rows] {
			v := float64(from[i*src.row])
			dst[i][j] = v
			if unsafe.Sizeof(T(0)) == 4 {
				least = min(least, 2*math.Float64bits(v)-1)
			}
		}
	}
	return least
}

// pack copies the columns by eights, with zeros behind the last: the first eight
// of all rows, then, a number of eights further, the next. It returns what widen
// does.
func pack[T Float](dst []eight, src view[T], rows, cols, across int) uint64 {
	least := none
	for j := 0; j < cols; j += tile {
		n := min(tile, cols-j)
		to := dst[j/tile*across:][:rows]
		if n < tile {
			clear(to)
		}
		for i := range to {
			from := src.data[i*src.row+j*src.col:]
			for q := range to[i][:n] {
				v := float64(from[q*src.col])
				to[i][q] = v
				if unsafe.Sizeof(T(0)) == 4 {
					least = min(least, 2*math.Float64bits(v)-1)
				}
			}
		}
	}
	return least
}

const none uint64 = 2*(0x7ff<<52) - 1 // least of nothing: an infinity

// fold64 continues w sums by the terms of a row of a.
func (s *block) fold64(a []float64, w int) {
	c := s.c[:w]
	for k := 0; k < len(a); k += tile {
		b := s.b[k/tile*width:][:w]
		if k+tile <= len(a) {
			chain64(c, (*eight)(a[k:]), b)
			continue
		}
		for p, x := range a[k:] {
			for j := range c {
				c[j] = math.FMA(x, b[j][p], c[j])
			}
		}
	}
}

// chain64 continues each sum by eight terms. An FMA comes with a branch to one
// in software, unless the compiler knows that the CPU has it, and whatever is
// needed behind that branch is kept in memory too. That is why there is one sum
// at a time; the CPU starts the next ones by itself. (On amd64 each FMA jumps
// over the other one, and an x86 CPU jumps about once a cycle: that is the
// limit, which building with GOAMD64=v3 lifts.)
func chain64(c []float64, a *eight, b []eight) {
	a0, a1, a2, a3, a4, a5, a6, a7 := a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
	b = b[:len(c)]
	for j := range b {
		q := &b[j]
		t := c[j]
		t = math.FMA(a0, q[0], t)
		t = math.FMA(a1, q[1], t)
		t = math.FMA(a2, q[2], t)
		t = math.FMA(a3, q[3], t)
		t = math.FMA(a4, q[4], t)
		t = math.FMA(a5, q[5], t)
		t = math.FMA(a6, q[6], t)
		t = math.FMA(a7, q[7], t)
		c[j] = t
	}
}

// fold32 continues w sums by d terms in float32.
//
// Numbers of magnitude 2ᵉ and 2ᶠ or more have products that are multiples of
// 2ᵉ⁺ᶠ⁻⁴⁶, and a product of 2⁻¹³¹ or more means that e+f ≥ -132. A sum of such
// products and float32 is a multiple of 2⁻¹⁷⁸, so if it is below 2⁻¹²⁶, the
// normal float32, a float64 holds it. It is rounded once, and only sums that
// seem to lie half way need sum32.
func (s *block) fold32(a []float64, w int, leastA, leastB uint64) {
	quick := math.Float64frombits((leastA+1)/2)*math.Float64frombits((leastB+1)/2) >= 0x1p-131
	for j := 0; j < w; j += tile {
		c, b := (*eight)(s.c[j:]), s.b[j/tile*depth:][:len(a)]
		if quick && tile32(c, a, b) {
			continue
		}
		for p, x := range a {
			for q, t := range c {
				c[q] = float64(float32(sum32(x*b[p][q], t)))
			}
		}
	}
}

// tile32 continues eight sums like sum32, whose words on half way apply. At the
// first sum that it cannot be sure of it returns false and leaves all as they
// were. (A compiler that fuses a product with a sum does no harm here, since
// the product is exact.)
func tile32(c *eight, a []float64, b []eight) bool {
	t0, t1, t2, t3, t4, t5, t6, t7 := c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
	b = b[:len(a)]
	for p, x := range a {
		q := &b[p]
		v := x*q[0] + t0
		if halfWay(v) {
			return false
		}
		t0 = float64(float32(v))
		v = x*q[1] + t1
		if halfWay(v) {
			return false
		}
		t1 = float64(float32(v))
		v = x*q[2] + t2
		if halfWay(v) {
			return false
		}
		t2 = float64(float32(v))
		v = x*q[3] + t3
		if halfWay(v) {
			return false
		}
		t3 = float64(float32(v))
		v = x*q[4] + t4
		if halfWay(v) {
			return false
		}
		t4 = float64(float32(v))
		v = x*q[5] + t5
		if halfWay(v) {
			return false
		}
		t5 = float64(float32(v))
		v = x*q[6] + t6
		if halfWay(v) {
			return false
		}
		t6 = float64(float32(v))
		v = x*q[7] + t7
		if halfWay(v) {
			return false
		}
		t7 = float64(float32(v))
	}
	*c = eight{t0, t1, t2, t3, t4, t5, t6, t7}
	return true
}
