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

// rows computes rows i to end-1 of a panel, some tiles at a call.
func (t *tiles[T]) rows(p *product[T], i, end, j, cols int, b *T, ldb uintptr) {
	tall := maxWork / maxFold / t.panelCols / t.panelRows * t.panelRows
	for ; i < end; i += tall {
		p.block(t.panel, i, min(tall, end-i), j, cols, b, ldb)
	}
}

// multiply computes rows from to end-1 of the product, whose right factor is
// rows k and on of m, or with transposed columns k and on of it. A block of
// rows meets panel after panel, which lie in m or are packed before.
func (t *tiles[T]) multiply(p *product[T], from, end int, m *Mat[T], k int, transposed bool) {
	if end-from <= smallRows && p.c.Cols <= t.panelCols && !p.c.empty() && !transposed {
		p.block(t.panel, from, end-from, 0, p.c.Cols, m.at(k, 0), m.pitch())
		return
	}
	var packed []T
	if transposed || end-from >= 64 && crowded(m.pitch()) {
		s := t.scratch.Get().(*scratch[T])
		defer t.scratch.Put(s)
		packed = s.grow(max(1, p.n)*min(p.c.Cols, maxPacked) + t.lanes)
	}
	for first := 0; first < p.c.Cols; first += maxPacked {
		last := min(first+maxPacked, p.c.Cols)
		for j := first; j < last && packed != nil; j += t.panelCols {
			to := packed[(j-first)*p.n:]
			if cols := min(t.panelCols, last-j); transposed {
				t.packTransposed(to, m, j, cols, k, p.n)
			} else {
				m.pack(to, k, p.n, j, cols)
			}
		}
		for i := from; i < end; i += rowBlock {
			for j := first; j < last; j += t.panelCols {
				cols := min(t.panelCols, last-j)
				var b *T
				ldb := m.pitch()
				if packed == nil {
					b = m.at(k, j)
				} else {
					b = plus(&packed[0], uintptr((j-first)*p.n)*size[T]())
					ldb = uintptr(cols) * size[T]()
				}
				t.rows(p, i, min(i+rowBlock, end), j, cols, b, ldb)
			}
		}
	}
}

// pack copies the elements (i, j) to (i+rows-1, j+cols-1) of m to dst.
func (m *Mat[T]) pack(dst []T, i, rows, j, cols int) {
	for r := range rows {
		copy(dst[r*cols:][:cols], m.Data[(i+r)*m.Stride+j:])
	}
}

// sweepRows computes rows i to end-1 of c, few of them or of few terms, a row
// at a time.
func (t *tiles[T]) sweepRows(p *product[T], i, end int, b *T, ldb uintptr) {
	// As many columns as a call may take, in whole tiles, and as many rows.
	terms := max(p.n, 8)
	cols := min(p.c.Cols, max(maxWork/2/terms/t.wideCols, 1)*t.wideCols)
	tall := min(max(maxWork/(cols*terms), 2), maxRun)
	for ; i < end; i += tall {
		for j := 0; j < p.c.Cols; j += cols {
			init, ldinit := p.init(i, j)
			if !p.add && p.bias == nil {
				init = nil
			}
			t.sweep(p.c.at(i, j), p.c.pitch(), init, ldinit, plus(p.a, uintptr(i)*p.lda), p.lda, p.stepa,
				plus(b, uintptr(j)*size[T]()), ldb, min(tall, end-i), min(cols, p.c.Cols-j), p.n, int(p.act))
		}
	}
}

// even is the length of equal pieces of total that are at most limit long.
func even(total, limit int) int {
	count := max(1, (total+limit-1)/limit)
	return max(1, (total+count-1)/count)
}

// packTransposed copies the elements (i, j) to (i+rows-1, j+cols-1) of m to
// dst, column after column. It may write up to a vector behind them.
func (t *tiles[T]) packTransposed(dst []T, m *Mat[T], i, rows, j, cols int) {
	if cols == 0 {
		return
	}
	for r := 0; r < rows; r += t.lanes {
		// The last rows are perhaps taken once more.
		r := max(0, min(r, rows-t.lanes))
		t.transpose(&dst[r], uintptr(rows)*size[T](), m.at(i+r, j), m.pitch(), min(t.lanes, rows-r), cols)
	}
}
