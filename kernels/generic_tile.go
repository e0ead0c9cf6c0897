package kernels

import (
	"math"
	"unsafe"
)

// The reference's register tile, once for each type: the compiler inlines
// math.FMA here, but nothing as long as fma32, and no generic function that
// could be either.

const tileRows, tileCols = 4, 2

// foldTile is fold for the elements (i, j) to (i+3, j+1) of c.
func foldTile[T Float](c Mat[T], a, b view[T], n, i, j int) {
	var s [tileRows * tileCols]T
	for r := range tileRows {
		copy(s[r*tileCols:][:tileCols], c.Row(i + r)[j:])
	}
	if n > 0 {
		a.data, b.data = a.data[i*a.row:], b.data[j*b.col:]
		if unsafe.Sizeof(T(0)) == 8 {
			foldTile64((*[8]float64)(unsafe.Pointer(&s)), retype[float64](a), retype[float64](b), n)
		} else {
			foldTile32((*[8]float32)(unsafe.Pointer(&s)), retype[float32](a), retype[float32](b), n)
		}
	}
	for r := range tileRows {
		copy(c.Row(i + r)[j:], s[r*tileCols:][:tileCols])
	}
}

// retype names T by the type it is.
func retype[U, T Float](v view[T]) view[U] { return *(*view[U])(unsafe.Pointer(&v)) }

func foldTile64(s *[8]float64, a, b view[float64], n int) {
	s00, s01, s10, s11, s20, s21, s30, s31 := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
	a0, a1, a2, a3 := a.data, a.data[a.row:], a.data[2*a.row:], a.data[3*a.row:]
	b0, b1 := b.data, b.data[b.col:]
	ap, bp := 0, 0
	for range n {
		u, v := b0[bp], b1[bp]
		x := a0[ap]
		s00, s01 = math.FMA(x, u, s00), math.FMA(x, v, s01)
		x = a1[ap]
		s10, s11 = math.FMA(x, u, s10), math.FMA(x, v, s11)
		x = a2[ap]
		s20, s21 = math.FMA(x, u, s20), math.FMA(x, v, s21)
		x = a3[ap]
		s30, s31 = math.FMA(x, u, s30), math.FMA(x, v, s31)
		ap += a.col
		bp += b.row
	}
	*s = [8]float64{s00, s01, s10, s11, s20, s21, s30, s31}
}

func foldTile32(s *[8]float32, a, b view[float32], n int) {
	a0, a1, a2, a3 := a.data, a.data[a.row:], a.data[2*a.row:], a.data[3*a.row:]
	b0, b1 := b.data, b.data[b.col:]
	ap, bp := 0, 0
	for range n {
		u, v := b0[bp], b1[bp]
		x := a0[ap]
		s[0], s[1] = fma32(x, u, s[0]), fma32(x, v, s[1])
		x = a1[ap]
		s[2], s[3] = fma32(x, u, s[2]), fma32(x, v, s[3])
		x = a2[ap]
		s[4], s[5] = fma32(x, u, s[4]), fma32(x, v, s[5])
		x = a3[ap]
		s[6], s[7] = fma32(x, u, s[6]), fma32(x, v, s[7])
		ap += a.col
		bp += b.row
	}
}
