package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestFold holds fold, which goes by blocks, against one fused multiply-add
// after the other.
func TestFold(t *testing.T) {
	t.Run("f32", testFold[float32])
	t.Run("f64", testFold[float64])
}

func testFold[T Float](t *testing.T) {
	rng := newRand(30)
	terms := []int{0, 1, tile - 1, tile, tile + 1, depth - 1, depth, depth + 1, 2*depth + tile + 1}
	sides := []int{1, 2, tile - 1, tile, tile + 1, 2*tile - 1, 2 * tile, width - 1, width, width + 1, 2*width + 3}
	for _, n := range terms {
		for _, rows := range sides {
			for _, cols := range sides {
				if skim(rng) || rows*cols > 3*width {
					continue
				}
				fl := fill(rng.IntN(int(fills)))
				a, b, c := random[T](rng, fl, rows, n), random[T](rng, fl, n, cols), random[T](rng, fl, rows, cols)
				if rng.IntN(4) == 0 { // every other sum is half way between two float32
					for _, m := range []Mat[T]{a, b} {
						for i := range m.Data {
							m.Data[i] = T(rng.IntN(15) - 7)
						}
					}
					for i := range c.Data {
						c.Data[i] = T(1<<24 + 2*rng.IntN(1<<10))
					}
				}
				want := clone(c)
				for i := range rows {
					for j, row := 0, want.Row(i); j < cols; j++ {
						for p := range n {
							row[j] = fma(a.Row(i)[p], b.Row(p)[j], row[j])
						}
					}
				}
				fold(c, eitherWay(rng, a), eitherWay(rng, b), n)
				equal(t, fmt.Sprintf("%d terms, fill %v", n, fl), c, want)
			}
		}
	}
}

// eitherWay is a view of m, or of another matrix that is m transposed.
func eitherWay[T Float](rng *rand.Rand, m Mat[T]) view[T] {
	if rng.IntN(2) == 0 {
		return m.view()
	}
	turned := NewMat[T](m.Cols, m.Rows)
	for i := range m.Rows {
		for j, v := range m.Row(i) {
			turned.Row(j)[i] = v
		}
	}
	return turned.transposed()
}

// checkFold asks fold for a·b + c at any place among terms that are 0.
func checkFold(t *testing.T, rng *rand.Rand, a, b, c float32) {
	t.Helper()
	rows, n, cols := 1, 1+rng.IntN(2*tile), 1+rng.IntN(2*tile)
	if rng.IntN(8) == 0 {
		rows, cols = 1+rng.IntN(3*tile), 1+rng.IntN(3*tile)
	}
	x, w, y := NewMat[float32](rows, n), NewMat[float32](n, cols), NewMat[float32](rows, cols)
	i, p, j := rng.IntN(rows), rng.IntN(n), rng.IntN(cols)
	x.Row(i)[p], w.Row(p)[j] = a, b
	for q := range y.Data {
		y.Data[q] = c
	}
	want := clone(y)
	want.Row(i)[j] = exactFMA(a, b, c)
	fold(y, x.view(), w.view(), n)
	for q := range y.Data { // what another term makes of a zero
		y.Data[q] += 0
		want.Data[q] += 0
	}
	equal(t, fmt.Sprintf("%s·%s + %s", show(a), show(b), show(c)), y, want)
}
