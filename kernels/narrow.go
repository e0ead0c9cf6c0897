//go:build (amd64 || arm64) && !purego && !noasm

package kernels

const (
	abreastFew   = 5  // rows of a narrow layer that abreast computes,
	abreastRows  = 16 // or more, up to these,
	abreastTerms = 32 // of up to so many terms
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
