//go:build (amd64 || arm64) && !purego && !noasm

package kernels

import "unsafe"

// A product is what panel and sweep compute, c = act(init + a·b), for all of c:
// its methods do a block at a time. One is made field by field: a literal would be built
// and then copied by loads of 16 bytes, each of which waits for two stores of 8.
type product[T Float] struct {
	c          Mat[T]
	add        bool // the sums start from c,
	bias       []T  // else from the bias, if there is one
	a          *T   // the left factor's element (first, 0)
	first      int
	lda, stepa uintptr
	n          int
	act        Activation
}

// left makes m the left factor, or leftTransposed its transpose.
func (p *product[T]) left(m *Mat[T]) {
	p.a, p.lda, p.stepa, p.n = m.at(0, 0), m.pitch(), size[T](), m.Cols
}

func (p *product[T]) leftTransposed(m *Mat[T]) {
	p.a, p.lda, p.stepa, p.n = m.at(0, 0), size[T](), m.pitch(), m.Rows
}

// init is what the sums of element (i, j) and those that follow start from.
func (p *product[T]) init(i, j int) (*T, uintptr) {
	if p.add {
		return p.c.at(i, j), p.c.pitch()
	}
	return biasAt(p.bias, j), 0
}

// A panel is columns j to j+cols-1 of the product and of its right factor, whose
// element (0, j) is b. soon is where the next panel of the right factor begins, its rows
// ldsoon bytes apart, or ldsoon is 0; then is where the c of the next call begins.
type panel[T Float] struct {
	j, cols            int
	b                  *T
	ldb                uintptr
	soon, ldsoon, then uintptr
}

// block computes rows i to i+rows-1 of a panel, the last of them or not.
func (t *tiles[T]) block(p *product[T], i, rows int, b *panel[T], last bool) {
	init, ldinit := p.init(i, b.j)
	soon := b.soon
	if b.ldsoon == 0 {
		soon = uintptr(unsafe.Pointer(b.b))
	}
	c := p.c.at(i, b.j)
	then := b.then
	if !last {
		then = uintptr(unsafe.Pointer(c)) + uintptr(rows)*p.c.pitch()
	}
	t.panel(c, p.c.pitch(), init, ldinit, p.row(i), p.lda, p.stepa, b.b, b.ldb, soon, b.ldsoon, then, rows, b.cols, p.n, int(p.act))
}

// row points at row i of the left factor.
func (p *product[T]) row(i int) *T { return plus(p.a, uintptr(i-p.first)*p.lda) }

// piece is the part of the product that has up to n terms from k on: p itself,
// or what it puts into q.
func (p *product[T]) piece(q *product[T], k, n int) *product[T] {
	if n >= p.n {
		return p
	}
	*q = *p
	q.a = plus(p.a, uintptr(k)*p.stepa)
	q.n = min(n, p.n-k)
	q.add = p.add || k > 0
	if k+q.n < p.n {
		q.act = Identity
	}
	return q
}

// multiply computes rows from to end-1 of the product, whose right factor is m
// or with transposed its transpose.
func (t *tiles[T]) multiply(p *product[T], from, end int, m *Mat[T], transposed bool) {
	rows := end - from
	switch {
	case rows <= 0 || p.c.Cols == 0:
	case rows <= smallRows && p.n <= smallTerms && !transposed && (p.c.Cols <= t.panelCols || m.bytes() <= blockBytes && !crowds(m.pitch(), 0, p.n)):
		var b panel[T]
		b.ldb = m.pitch()
		for ; b.j < p.c.Cols; b.j += b.cols {
			b.cols, b.b = t.panelWidth(p.c.Cols-b.j), m.at(0, b.j)
			b.then = uintptr(unsafe.Pointer(p.c.at(from, (b.j+b.cols)%p.c.Cols)))
			t.block(p, from, rows, &b, true)
		}
	default:
		t.multiplyBlocks(p, from, end, m, transposed)
	}
}

// multiplyBlocks does so by blocks of rows, which the second-level cache holds
// and which meet panel after panel. If it pays, the first block packs the panels, those
// that panelOf does pack, for those that follow.
func (t *tiles[T]) multiplyBlocks(p *product[T], from, end int, m *Mat[T], transposed bool) {
	rows := end - from
	fold, height, tall := max(1, p.n), rows, rows
	if fold > smallTerms || rows > manyRows {
		longest := maxFold
		if !transposed && rows <= tlbRows && m.pitch()%8192 == 0 {
			longest /= 2 // rows at such distances drive each other's pages out of the TLB
		}
		fold = even(p.n, longest)
		height = t.wholeTiles(even(rows, max(8*t.panelRows, blockBytes/(fold*int(size[T]())))))
		most := min(t.lanes*maxVectors/fold/t.panelCols, maxRun) / t.panelRows * t.panelRows
		tall = t.wholeTiles(even(min(rows, height), most))
	}
	// Columns of the left factor that crowd the first-level cache are copied too.
	left := p.lda < p.stepa && rows >= manyRows && p.c.Cols > 2*t.panelCols && crowds(p.stepa, 0, fold)
	right := transposed || p.n > 0 && (rows >= t.packRows && inFewSets(m.pitch()) || rows >= manyRows && int(m.pitch())*fold >= manyBytes)
	group := fewPacked
	if left {
		group = maxPacked // each copy of the left factor meets one group
	}
	var s *scratch[T]
	var packed []T
	each := 0 // elements from one packed panel to the next
	if left || right {
		s = t.scratch.Get().(*scratch[T])
		defer t.scratch.Put(s)
	}
	if right {
		panels := 1
		if height < rows {
			each = fold * t.panelCols
			panels = (min(p.c.Cols, group) + t.panelCols - 1) / t.panelCols
		}
		packed = s.grow(fold * t.panelCols * panels)
	}
	var part, copied product[T]
	for k := 0; k == 0 || k < p.n; k += fold {
		q := p.piece(&part, k, fold)
		r := q
		for first := 0; first < p.c.Cols; first += group {
			last := min(first+group, p.c.Cols)
			for i := from; i < end; i += height {
				if left {
					copied = t.copyLeft(q, s, i, min(i+height, end))
					r = &copied
				}
				to := packed
				b := panel[T]{j: first} // here, or each turn has a copy of it
				for ; b.j < last; b.j += b.cols {
					b.cols = t.panelWidth(last - b.j)
					next := b.j + b.cols
					b.soon, b.ldsoon, b.then = 0, 0, uintptr(unsafe.Pointer(p.c.at(i, next%p.c.Cols)))
					switch {
					case next == last:
					case right && i > from && (transposed || t.panelWidth(last-next) == t.panelCols):
						b.soon, b.ldsoon = uintptr(unsafe.Pointer(&to[each])), uintptr(t.panelWidth(last-next))*size[T]()
					case !transposed:
						b.soon, b.ldsoon = uintptr(unsafe.Pointer(m.at(k, next))), m.pitch()
					case m.pitch() == uintptr(q.n)*size[T](): // one run, of which a tile asks for every few lines
						b.soon, b.ldsoon = uintptr(unsafe.Pointer(m.at(next, k))), uintptr(t.panelCols)*size[T]()
					}
					t.panelOf(r, i, min(i+height, end), tall, m, k, &b, to, i == from, transposed)
					if each > 0 {
						to = to[each:]
					}
				}
			}
		}
	}
}

// copyLeft is p for rows i to end-1 alone, with their part of the left factor
// copied to where its columns do not crowd.
func (t *tiles[T]) copyLeft(p *product[T], s *scratch[T], i, end int) product[T] {
	// A few rows begin early, to be as many as a vector has lanes.
	q := *p
	q.first = min(i, end-t.lanes)
	rows, perLine := end-q.first, line/int(size[T]())
	pitch := (rows/perLine + 1) * perLine
	if crowds(uintptr(pitch)*size[T](), 0, p.n) {
		pitch += perLine
	}
	left := grow(&s.left, p.n*pitch)
	q.a, q.stepa = &left[0], uintptr(pitch)*size[T]()
	for k := 0; k < p.n; k += maxRows {
		t.tighten(&left[k*pitch], q.stepa, plus(p.row(q.first), uintptr(k)*p.stepa), p.stepa, min(maxRows, p.n-k), rows)
	}
	return q
}

// panelOf computes rows i to end-1 of one panel, tall rows at a call. If to is not nil
// the packed panel of the right factor is there, or with fresh is put there first; but a
// panel of fewer than panelCols columns is packed only if the factor is transposed, and
// else read where it lies.
func (t *tiles[T]) panelOf(p *product[T], i, end, tall int, m *Mat[T], k int, b *panel[T], to []T, fresh, transposed bool) {
	if to != nil && (transposed || b.cols == t.panelCols) {
		b.b, b.ldb = &to[0], uintptr(b.cols)*size[T]()
		switch {
		case !fresh:
		case transposed:
			t.packTransposed(b.b, b.ldb, m, b.j, b.cols, k, p.n)
		default:
			init, ldinit := p.init(i, b.j)
			t.packing(b.b, p.c.at(i, b.j), p.c.pitch(), init, ldinit, p.row(i), p.lda, p.stepa, m.at(k, b.j), m.pitch(), p.n, int(p.act))
			i += t.panelRows
		}
	} else {
		b.b, b.ldb = m.at(k, b.j), m.pitch()
	}
	// Each tile asks for one line of the next panel's rows, until they are there.
	for asked, lines := 0, t.panelCols*int(size[T]())/line+1; i < end; {
		count := min(end-i, tall)
		if asked >= lines {
			b.ldsoon = 0
		}
		t.block(p, i, count, b, i+count == end)
		i += count
		asked += count / t.panelRows
		b.soon += uintptr(count / t.panelRows * line)
	}
}

// panelWidth is how many of the columns that are left the next panel has. The
// last two share what is left: a panel of one vector has few chains.
func (t *tiles[T]) panelWidth(left int) int {
	if t.panelCols < left && left < 2*t.panelCols {
		return t.padded(left / 2)
	}
	return min(left, t.panelCols)
}

// wholeTiles rounds a number of rows up to the tallest tiles.
func (t *tiles[T]) wholeTiles(rows int) int {
	return (rows + t.panelRows - 1) / t.panelRows * t.panelRows
}

// sweepRows computes rows i to end-1 of c, few of them or of few terms, up to
// sweepTall rows at a time. The right factor begins with row k of m.
func (t *tiles[T]) sweepRows(p *product[T], i, end int, m *Mat[T], k int) {
	if i >= end {
		return
	}
	// As many columns as a call may take of a tile's rows, in whole tiles, and then as
	// many rows.
	fold, cols, tall := even(p.n, maxFold), p.c.Cols, min(end-i, sweepTall)
	far := m.far() || end-i > 1 && p.stepa == size[T]() && m.sameSets(0) && t.goesAlong(m)
	ahead := m.far() && p.stepa == size[T]()
	if far {
		fold, cols = even(p.n, streams), min(cols, maxWork/8/mostRows)
	}
	terms := max(fold, 8)
	cols = min(cols, max(min(maxWork/tall/terms, maxBytes/int(size[T]())/(terms+tall))/t.wideCols, 1)*t.wideCols)
	tall = even(end-i, min(max(maxWork/(cols*terms), tall), maxRun))
	var part product[T]
	for ; i < end; i += tall {
		for from := 0; from == 0 || from < p.n; from += fold {
			q := p.piece(&part, from, fold)
			for j := 0; j < p.c.Cols; j += cols {
				rows, count := min(tall, end-i), min(cols, p.c.Cols-j)
				first, whole := 0, t.whole(count)
				if ahead && whole > 0 && q.n == streams && (q.add || q.bias != nil) && from+q.n < p.n {
					first = min(rows, streamRows)
					init, ldinit := q.init(i, j)
					t.stream(p.c.at(i, j), p.c.pitch(), init, ldinit, q.row(i), p.lda, m.at(k+from, j), m.pitch(), first, whole)
				}
				t.sweepPiece(q, i, first, j+whole, count-whole, m, k+from)
				t.sweepPiece(q, i+first, rows-first, j, count, m, k+from)
			}
		}
	}
}

// goesAlong reports whether sweep is best to go along a few rows of a right factor at a
// time if they fall into the same sets, though it takes up c again for the next: a tile of
// short vectors has little of each.
func (t *tiles[T]) goesAlong(m *Mat[T]) bool {
	return t.vectorBytes() < line && m.Rows > 2*streams
}

// sweepPiece computes rows×cols elements from (i, j) on, if there are any; the
// right factor begins with row k of m.
func (t *tiles[T]) sweepPiece(p *product[T], i, rows, j, cols int, m *Mat[T], k int) {
	if rows <= 0 || cols <= 0 {
		return
	}
	init, ldinit := p.init(i, j)
	if !p.add && p.bias == nil {
		init = nil
	}
	t.sweep(p.c.at(i, j), p.c.pitch(), init, ldinit, p.row(i), p.lda, p.stepa, m.at(k, j), m.pitch(), rows, cols, p.n, int(p.act))
}

// even is the length of equal pieces of total that are at most limit long.
func even(total, limit int) int {
	if total <= limit {
		return max(1, total)
	}
	count := (total-1)/limit + 1
	return (total-1)/count + 1
}

// packTransposed copies the elements (i, j) to (i+rows-1, j+cols-1) of m to
// dst, column after column, ldd bytes apart. If rows are fewer than a vector's
// lanes it writes a whole vector of each column all the same.
func (t *tiles[T]) packTransposed(dst *T, ldd uintptr, m *Mat[T], i, rows, j, cols int) {
	if cols == 0 {
		return
	}
	for r := 0; r < rows; r += t.lanes {
		// The last rows are perhaps taken once more.
		r := max(0, min(r, rows-t.lanes))
		t.transpose(plus(dst, uintptr(r)*size[T]()), ldd, m.at(i+r, j), m.pitch(), min(t.lanes, rows-r), cols)
	}
}
