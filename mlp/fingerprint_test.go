package mlp_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math/rand/v2"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/mlp"
)

// Every bit of a training run, on every backend and every GOARCH: the data,
// the initial weights, 20 costs, the final weights and the predictions.
func TestFingerprint(t *testing.T) {
	eachBackend(t, func(name string) {
		if got, want := fingerprint[float64](t), "0826e3ce14a7c0ace177c048960b4562"; got != want {
			t.Errorf("%s: float64: the fingerprint is %s, want %s", name, got, want)
		}
		if got, want := fingerprint[float32](t), "0e0c570fecbf6ec4725650764cca6f04"; got != want {
			t.Errorf("%s: float32: the fingerprint is %s, want %s", name, got, want)
		}
	})
}

func fingerprint[T kernels.Float](t *testing.T) string {
	h := sha256.New()
	for _, widths := range [][]int{{1, 10, 1}, {3, 17, 8, 5}} {
		rng := rand.New(rand.NewPCG(2018, uint64(len(widths))))
		var layers []*mlp.Layer[T]
		for i, out := range widths[1:] {
			layers = append(layers, mlp.NewLayer[T](widths[i], out, kernels.ReLU, rng))
			write(h, layers[i].W.Data)
		}
		layers[len(layers)-1].Activation = kernels.Identity
		net := must(mlp.New(layers...))
		x := randomMat[T](rng, 75, widths[0], 0)
		y := randomMat[T](rng, 75, widths[len(widths)-1], 0)
		write(h, x.Data)
		write(h, y.Data)
		trainer := must(mlp.NewTrainer(net, x.Rows))
		for range 20 {
			cost, err := trainer.Step(x, y, 0.01)
			if err != nil {
				t.Fatal(err)
			}
			write(h, []T{cost})
		}
		write(h, parameters(net))
		if err := net.Predict(y, x); err != nil {
			t.Fatal(err)
		}
		write(h, y.Data)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:16])
}

// write adds s to h, little-endian.
func write[T kernels.Float](h hash.Hash, s []T) {
	if err := binary.Write(h, binary.LittleEndian, s); err != nil {
		panic(err)
	}
}
