package peers

import (
	"github.com/lockstep-go/lockstep/kernels"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
)

// A gemm is c = op(a)·op(b) + beta·c.
type gemm[T kernels.Float] func(transA, transB blas.Transpose, a, b kernels.Mat[T], beta T, c kernels.Mat[T])

// Gonum spreads a Gemm over GOMAXPROCS threads: set that to 1 to compare.
func gonum32() Peer[float32] {
	general := func(m kernels.Mat[float32]) blas32.General { // whose fields have an order of their own
		return blas32.General{Rows: m.Rows, Cols: m.Cols, Stride: m.Stride, Data: m.Data}
	}
	return gonum("gonum", func(tA, tB blas.Transpose, a, b kernels.Mat[float32], beta float32, c kernels.Mat[float32]) {
		blas32.Gemm(tA, tB, 1, general(a), general(b), beta, general(c))
	})
}

func gonum64() Peer[float64] {
	return gonum("gonum", func(tA, tB blas.Transpose, a, b kernels.Mat[float64], beta float64, c kernels.Mat[float64]) {
		blas64.Gemm(tA, tB, 1, blas64.General(a), blas64.General(b), beta, blas64.General(c))
	})
}

// The layer in gonum's terms: copies of the bias, one Gemm or two, and passes
// for the activation and the bias gradient.
func gonum[T kernels.Float](name string, mul gemm[T]) Peer[T] {
	return Peer[T]{name, func(l *Layer[T], op Op) Run {
		if op == Backward {
			return func(reps int) {
				for range reps {
					maskAndSum(l)
					mul(blas.Trans, blas.NoTrans, l.X, l.DY, 0, l.DW)
					mul(blas.NoTrans, blas.Trans, l.DY, l.W, 0, l.DX)
				}
			}
		}
		return func(reps int) {
			for range reps {
				for i := range l.Y.Rows {
					copy(l.Y.Row(i), l.B)
				}
				mul(blas.NoTrans, blas.NoTrans, l.X, l.W, 1, l.Y)
				for i, v := range l.Y.Data {
					l.Y.Data[i] = max(v, 0)
				}
			}
		}
	}}
}

// maskAndSum is dz and db.
func maskAndSum[T kernels.Float](l *Layer[T]) {
	clear(l.DB)
	for i := range l.DY.Rows {
		dz, y := l.DY.Row(i), l.Y.Row(i)
		for j := range dz {
			if y[j] <= 0 {
				dz[j] = 0
			}
			l.DB[j] += dz[j]
		}
	}
}
