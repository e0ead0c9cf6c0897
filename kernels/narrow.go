//go:build (amd64 || arm64) && !purego && !noasm

package kernels

const (
	abreastFew   = 5  // rows of a narrow layer that abreast computes,
	abreastRows  = 16 // or more, up to these,
	abreastTerms = 32 // of up to so many terms

	bothCols    = 4       // outputs from which both pays whatever x is like,
	bothRows    = 64      // else up to so many rows,
	bothVectors = 1 << 10 // or if x has no more vectors
)

// forwardAbreast computes few rows of a narrow layer, all outputs of a row
// together.
func (t *tiles[T]) forwardAbreast(y, x, w *Mat[T], b []T, act Activation) {
	for j := 0; j < y.Cols; j += 2 * t.lanes {
		bias := zero[T]()
		if b != nil {
			bias = &b[j]
		}
		t.abreast(y.at(0, j), y.pitch(), x.at(0, 0), x.pitch(), w.at(0, j), w.pitch(), bias,
			y.Rows, min(2*t.lanes, y.Cols-j), x.Cols, int(act))
	}
}

// bothPays reports whether both can compute the gradients of a layer and is best
// for it, though it takes few columns of x and dx at a time: their rows must not
// crowd the cache.
func (t *tiles[T]) bothPays(dw, x *Mat[T]) bool {
	return 1 < dw.Cols && dw.Cols <= t.bothCols && 0 < x.Rows && x.Rows <= maxRows && !crowds(x.pitch(), (x.Rows+1)/2) &&
		(dw.Cols >= bothCols || x.Rows <= bothRows || x.Rows*x.Cols <= bothVectors*t.lanes)
}

// backwardBoth is backward for a narrow layer. The last inputs are perhaps
// computed twice.
func (t *tiles[T]) backwardBoth(dx, dw *Mat[T], db []T, dy, y, x, w *Mat[T], act Activation) {
	if dw.Cols <= t.panelCols {
		t.gradPanel(&product[T]{c: *dw, n: dy.Rows}, db, dy, y, 0, 0, act)
	} else {
		clear(db)
		t.gateAll(db, dy, y, 0, dy.Rows, act)
	}
	each := max(min(maxWork/2/dw.Cols/(dy.Rows+8), maxRun)/t.lanes, 1) * t.lanes
	for k := 0; k < dw.Rows; k += each {
		rows := min(each, dw.Rows-k) / t.lanes * t.lanes
		if rows == 0 {
			k, rows = dw.Rows-t.lanes, t.lanes
		}
		t.both(dx.at(0, k), dx.pitch(), dw.at(k, 0), dw.pitch(), dy.at(0, 0), dy.pitch(), x.at(0, k), x.pitch(), w.at(k, 0), w.pitch(), rows, dw.Cols, dy.Rows)
		k += rows - each
	}
}
