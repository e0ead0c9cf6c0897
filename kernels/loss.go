package kernels

import "math"

// MSE returns the mean squared error and writes its gradient:
//
//	d = pred - target
//	loss = Σ_q d[q]² / N
//	grad[q] = d[q] · c,  c = 2/N
//
// where q is the row-major index of the N = Rows·Cols elements. All three have
// the same shape; the zero Mat as grad is not computed.
//
// grad may be the very same Mat as pred or target (same Data, same Stride),
// but must not overlap them in any other way. pred and target may overlap.
//
// The sum is sixteen chains of fused multiply-adds, element q in chain
// q mod 16, added up in a tree at the end (see the package documentation); d,
// the quotients loss and c, and grad are each rounded once. A NaN in pred or
// target is one in loss and in its element of grad, whose zeros have the signs
// that IEEE 754 gives them. The loss of no elements is NaN, 0/0.
//
// It panics, before it writes anything, if the shapes disagree, a Mat is not
// valid, or grad overlaps an input in any other way.
func MSE[T Float](grad, pred, target Mat[T]) T {
	const fn = "MSE"
	grad.check(fn, "grad")
	pred.check(fn, "pred")
	target.check(fn, "target")
	sameRows(fn, "target", &target, "pred", &pred)
	sameCols(fn, "target", &target, "pred", &pred)
	if !grad.IsZero() {
		sameRows(fn, "grad", &grad, "pred", &pred)
		sameCols(fn, "grad", &grad, "pred", &pred)
		gradAt := memory(grad.Data)
		if gradAt.meets(memory(pred.Data)) && !grad.coincides(&pred) {
			disjoint(fn, 1, []string{"grad", "pred"}, &grad, &pred)
		}
		if gradAt.meets(memory(target.Data)) && !grad.coincides(&target) {
			disjoint(fn, 1, []string{"grad", "target"}, &grad, &target)
		}
	}
	if pred.empty() {
		return T(math.NaN())
	}
	if racing {
		raceRead(&pred, &target)
		raceWrite(&grad)
	}
	n := pred.Rows * pred.Cols
	c := quotient(T(2), n) // before any pointer goes through noescape
	return quotient(current[T]().mse(noescape(&grad), noescape(&pred), noescape(&target), c), n)
}
