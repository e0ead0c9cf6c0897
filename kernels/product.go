//go:build (amd64 || arm64) && !purego && !noasm

package kernels

// A product is what panel and wide compute, c = act(init + a·b), for all of c:
// its methods do a block at a time.
type product[T Float] struct {
	c          Mat[T]
	add        bool // the sums start from c,
	bias       []T  // else from the bias, if there is one
	a          *T   // its element (0, 0)
	lda, stepa uintptr
	n          int
	act        Activation
}

// init is what the sums of element (i, j) and those that follow start from.
func (p *product[T]) init(i, j int) (*T, uintptr) {
	switch {
	case p.add:
		return p.c.at(i, j), p.c.pitch()
	case p.bias != nil:
		return &p.bias[j], 0
	}
	return zero[T](), 0
}

// block computes rows i to i+rows-1 of columns j to j+cols-1 from b, of which
// *b is the element (0, j), by panel or by wide.
func (p *product[T]) block(kernel func(*T, uintptr, *T, uintptr, *T, uintptr, uintptr, *T, uintptr, int, int, int, int), i, rows, j, cols int, b *T, ldb uintptr) {
	init, ldinit := p.init(i, j)
	a := plus(p.a, uintptr(i)*p.lda)
	kernel(p.c.at(i, j), p.c.pitch(), init, ldinit, a, p.lda, p.stepa, b, ldb, rows, cols, p.n, int(p.act))
}

// terms is the part of the product that has n terms from k on.
func (p *product[T]) terms(k, n int) product[T] {
	q := *p
	q.a = plus(p.a, uintptr(k)*p.stepa)
	q.n = n
	q.add = p.add || k > 0
	if k+n < p.n {
		q.act = Identity
	}
	return q
}

// multiply computes rows from to end-1 of the product, whose right factor is m
// or with transposed its transpose. A block of rows, which the second-level
// cache holds, meets panel after panel of the first terms, then of the next: so
// what stays near is c.
func (t *tiles[T]) multiply(p *product[T], from, end int, m *Mat[T], transposed bool) {
	rows := end - from
	if rows <= 0 {
		return
	}
	fold, height, tall := max(1, p.n), rows, rows
	if fold > maxFold || rows > manyRows {
		fold = even(p.n, maxFold)
		height = t.wholeTiles(even(rows, max(t.panelRows, blockBytes/(fold*int(size[T]())))))
		tall = t.wholeTiles(even(min(rows, height), max(1, t.lanes*maxWork/fold/t.panelCols)))
	}
	var packed []T
	if transposed || rows >= manyRows && p.n > 0 && crowded(m.pitch()) {
		s := t.scratch.Get().(*scratch[T])
		defer t.scratch.Put(s)
		packed = s.grow(fold * t.panelCols)
	}
	var piece product[T]
	for i := from; i < end; i += height {
		stop := min(i+height, end)
		for k := 0; k == 0 || k < p.n; k += fold {
			q := p
			if fold < p.n {
				piece = p.terms(k, min(fold, p.n-k))
				q = &piece
			}
			for j := 0; j < p.c.Cols; j += t.panelCols {
				cols := min(t.panelCols, p.c.Cols-j)
				b, ldb, r := m.at(k, j), m.pitch(), i
				if transposed {
					t.packTransposed(packed, m, j, cols, k, q.n)
					b, ldb = &packed[0], uintptr(cols)*size[T]()
				} else if packed != nil && cols == t.panelCols && stop-i >= t.panelRows {
					init, ldinit := q.init(i, j)
					t.packing(&packed[0], q.c.at(i, j), q.c.pitch(), init, ldinit, plus(q.a, uintptr(i)*q.lda), q.lda, q.stepa, b, ldb, q.n, int(q.act))
					b, ldb = &packed[0], uintptr(cols)*size[T]()
					r += t.panelRows
				}
				for r < stop {
					count := t.together(stop-r, tall)
					q.block(t.panel, r, count, j, cols, b, ldb)
					r += count
				}
			}
		}
	}
}

// wholeTiles rounds a number of rows up to the tallest tiles.
func (t *tiles[T]) wholeTiles(rows int) int {
	return (rows + t.panelRows - 1) / t.panelRows * t.panelRows
}

// together is how many of the rows left to compute in one call: whole tiles, no
// more than tall. Where one or two rows are over, too few chains for a tile of
// their own, they share two tiles with the last whole one.
func (t *tiles[T]) together(left, tall int) int {
	over := left % t.panelRows
	switch {
	case over == 0 || over > 2 || left < t.panelRows || left == tall:
		return min(left, tall)
	case left > 2*t.panelRows:
		return min(left-over-t.panelRows, tall)
	}
	return (left + 1) / 2
}

// fewRows computes the last one or two rows of c, which fill no tile.
func (t *tiles[T]) fewRows(p *product[T], rows int, w *Mat[T]) {
	i, cols := p.c.Rows-rows, p.c.Cols
	fold := even(p.n, maxFold)
	for k := 0; k == 0 || k < p.n; k += fold {
		q := p.terms(k, min(fold, p.n-k))
		for j := 0; j < cols; {
			kernel, width := t.wide, t.wideCols/rows
			for width > cols-j {
				width /= 2
			}
			if width < t.wideUnit {
				kernel, width = t.panel, min(t.panelCols, cols-j)
			}
			q.block(kernel, i, rows, j, width, w.at(k, j), w.pitch())
			j += width
		}
	}
}

// even is the length of equal pieces of total that are at most limit long.
func even(total, limit int) int {
	count := max(1, (total+limit-1)/limit)
	return max(1, (total+count-1)/count)
}

// packTransposed copies the elements (i, j) to (i+rows-1, j+cols-1) of m to
// dst, column after column.
func (t *tiles[T]) packTransposed(dst []T, m *Mat[T], i, rows, j, cols int) {
	// Squares of 128 bits, as many at a time as a vector holds, then one by
	// one; what is left by elements.
	chunk := 16 / int(size[T]())
	whole := cols / chunk * chunk
	r := 0
	for _, count := range [2]int{t.lanes, chunk} {
		for ; r+count <= rows && whole > 0; r += count {
			t.transpose(&dst[r], uintptr(rows)*size[T](), m.at(i+r, j), m.pitch(), count, whole)
		}
	}
	for s := range rows {
		q := 0
		if s < r {
			q = whole
		}
		for ; q < cols; q++ {
			dst[q*rows+s] = m.Data[(i+s)*m.Stride+j+q]
		}
	}
}
