package mlp_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/mlp"
	"github.com/lockstep-go/lockstep/mlp/internal/tutorial"
)

// eachBackend runs f once with every backend of this machine, or only with the one
// that LOCKSTEP_TEST_REQUIRE names.
func eachBackend(tb testing.TB, f func(name string)) {
	tb.Helper()
	all := kernels.Backends()
	if required := os.Getenv("LOCKSTEP_TEST_REQUIRE"); required != "" {
		all = []string{required}
	}
	for _, name := range all {
		restore, err := kernels.SetBackend(name)
		if err != nil {
			tb.Fatal(err)
		}
		func() {
			defer restore()
			f(name)
		}()
	}
}

// must returns v, or stops the program: for nets whose shapes are in the test.
func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// newRegression returns the data and the net of the tutorial.
func newRegression[T kernels.Float](seed uint64) (net *mlp.Net[T], x, y kernels.Mat[T]) {
	rng := rand.New(rand.NewPCG(seed, 0))
	x, y = tutorial.Data[T](300, 0.05, rng)
	net = must(mlp.New(
		mlp.NewLayer[T](1, 10, kernels.ReLU, rng),
		mlp.NewLayer[T](10, 1, kernels.Identity, rng),
	))
	return net, x, y
}

// The same regression was run in NumPy, in float64, with the matrix products
// of its BLAS. Only the order of the sums differs.
func TestNumPy(t *testing.T) {
	text, err := os.ReadFile("testdata/regression_numpy.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		N, Hidden, Steps int
		Rate             float64 `json:"learning_rate"`
		X, Y             []float64
		W1, B1, W2, B2   []float64
		Cost             []float64 `json:"cost_every_50"`
		FinalW1          []float64 `json:"final_W1"`
		FinalB1          []float64 `json:"final_b1"`
		FinalW2          []float64 `json:"final_W2"`
		FinalB2          []float64 `json:"final_b2"`
		Prediction       []float64
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	x, y := kernels.MatOf(want.N, 1, want.X), kernels.MatOf(want.N, 1, want.Y)
	clone := func(s []float64) []float64 { return append([]float64(nil), s...) }
	eachBackend(t, func(name string) {
		net := must(mlp.New(
			&mlp.Layer[float64]{W: kernels.MatOf(1, want.Hidden, clone(want.W1)), B: clone(want.B1), Activation: kernels.ReLU},
			&mlp.Layer[float64]{W: kernels.MatOf(want.Hidden, 1, clone(want.W2)), B: clone(want.B2), Activation: kernels.Identity},
		))
		trainer := must(mlp.NewTrainer(net, want.N))
		var cost []float64
		for step := range want.Steps {
			c, err := trainer.Step(x, y, want.Rate)
			if err != nil {
				t.Fatal(err)
			}
			if step%50 == 0 {
				cost = append(cost, c)
			}
		}
		p := kernels.NewMat[float64](want.N, 1)
		if err := net.Predict(p, x); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name      string
			got, want []float64
		}{
			{"cost", cost, want.Cost},
			{"W1", net.Layers[0].W.Data, want.FinalW1},
			{"b1", net.Layers[0].B, want.FinalB1},
			{"W2", net.Layers[1].W.Data, want.FinalW2},
			{"b2", net.Layers[1].B, want.FinalB2},
			{"prediction", p.Data, want.Prediction},
		} {
			if len(c.got) != len(c.want) || len(c.want) == 0 {
				t.Fatalf("%s: %s: %d values, want %d", name, c.name, len(c.got), len(c.want))
			}
			for i, got := range c.got {
				if !(math.Abs(got-c.want[i]) <= 1e-9*math.Abs(c.want[i])) {
					t.Errorf("%s: %s[%d] = %.17g, want %.17g", name, c.name, i, got, c.want[i])
				}
			}
		}
	})
}

func BenchmarkRegression(b *testing.B) {
	benchmarkRegression[float64](b, "f64")
	benchmarkRegression[float32](b, "f32")
}

// The tutorial: 300 points, 1-10-1, 1000 steps.
func benchmarkRegression[T kernels.Float](b *testing.B, typ string) {
	eachBackend(b, func(name string) {
		b.Run(fmt.Sprintf("type=%s/backend=%s", typ, name), func(b *testing.B) {
			net, x, y := newRegression[T](1)
			trainer := must(mlp.NewTrainer(net, x.Rows))
			b.ReportAllocs()
			for b.Loop() {
				for range 1000 {
					if _, err := trainer.Step(x, y, 0.05); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/step")
		})
	})
}

func BenchmarkPredict(b *testing.B) {
	benchmarkPredict[float64](b, "f64")
	benchmarkPredict[float32](b, "f32")
}

func benchmarkPredict[T kernels.Float](b *testing.B, typ string) {
	for _, widths := range [][]int{{1, 10, 1}, {64, 128, 128, 10}} {
		rng := rand.New(rand.NewPCG(1, 2))
		var layers []*mlp.Layer[T]
		shape := fmt.Sprint(widths[0])
		for i, out := range widths[1:] {
			layers = append(layers, mlp.NewLayer[T](widths[i], out, kernels.ReLU, rng))
			shape += fmt.Sprintf("x%d", out)
		}
		net := must(mlp.New(layers...))
		for _, rows := range []int{1, 300} {
			x := kernels.NewMat[T](rows, widths[0])
			for i := range x.Data {
				x.Data[i] = T(mlp.Normal(rng))
			}
			y := kernels.NewMat[T](rows, widths[len(widths)-1])
			eachBackend(b, func(name string) {
				b.Run(fmt.Sprintf("net=%s/rows=%d/type=%s/backend=%s", shape, rows, typ, name), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if err := net.Predict(y, x); err != nil {
							b.Fatal(err)
						}
					}
				})
			})
		}
	}
}

func BenchmarkNormal(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		mlp.Normal(rng)
	}
}
