package peers

import (
	"github.com/viterin/vek"
	"github.com/viterin/vek/vek32"
)

// Vek multiplies matrices as they lie, without transposing one: it has no
// backward pass. It spreads a product over GOMAXPROCS threads.

func vekF64() Peer[float64] {
	return Peer[float64]{"vek", func(l *Layer[float64], op Op) Run {
		if op != Forward {
			return nil
		}
		return func(reps int) {
			for range reps {
				vek.MatMul_Into(l.Y.Data, l.X.Data, l.W.Data, l.In)
				for i := range l.N {
					vek.Add_Inplace(l.Y.Row(i), l.B)
				}
				vek.MaximumNumber_Inplace(l.Y.Data, 0)
			}
		}
	}}
}

func vekF32() Peer[float32] {
	return Peer[float32]{"vek", func(l *Layer[float32], op Op) Run {
		if op != Forward {
			return nil
		}
		return func(reps int) {
			for range reps {
				vek32.MatMul_Into(l.Y.Data, l.X.Data, l.W.Data, l.In)
				for i := range l.N {
					vek32.Add_Inplace(l.Y.Row(i), l.B)
				}
				vek32.MaximumNumber_Inplace(l.Y.Data, 0)
			}
		}
	}}
}
