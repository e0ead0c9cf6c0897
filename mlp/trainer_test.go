package mlp_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/mlp"
)

var raceDetector bool // set by race_test.go

// parameters returns every W and B of n, without the gaps.
func parameters[T kernels.Float](n *mlp.Net[T]) []T {
	var s []T
	for _, l := range n.Layers {
		s = append(append(s, tight(l.W)...), l.B...)
	}
	return s
}

// A step at rate 1 takes away the gradient, which central differences of the
// cost approximate.
func TestStepGradient(t *testing.T) {
	for _, widths := range [][]int{{2, 3}, {1, 10, 1}, {3, 9, 8, 2}, {2, 7, 11, 5, 1}} {
		rng := rand.New(rand.NewPCG(11, 12))
		net := randomNet[float64](rng, 1, widths...)
		x := randomMat[float64](rng, 9, widths[0], 2)
		y := randomMat[float64](rng, 9, widths[len(widths)-1], 1)
		p := kernels.NewMat[float64](y.Rows, y.Cols)
		cost := func() float64 {
			if err := net.Predict(p, x); err != nil {
				t.Fatal(err)
			}
			return kernels.MSE(kernels.Mat[float64]{}, p, y)
		}
		var want []float64
		differentiate := func(w *float64) {
			const h = 1e-6
			old := *w
			*w = old + h
			up := cost()
			*w = old - h
			down := cost()
			*w = old
			want = append(want, (up-down)/(2*h))
		}
		for _, l := range net.Layers {
			for k := range l.W.Rows {
				for j := range l.W.Cols {
					differentiate(&l.W.Row(k)[j])
				}
			}
			for j := range l.B {
				differentiate(&l.B[j])
			}
		}

		before, wantCost := parameters(net), cost()
		got, err := must(mlp.NewTrainer(net, x.Rows)).Step(x, y, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got != wantCost {
			t.Errorf("widths %v: Step returned the cost %v, want %v", widths, got, wantCost)
		}
		scale := 0.0
		for _, g := range want {
			scale = max(scale, math.Abs(g))
		}
		for i, after := range parameters(net) {
			if g := before[i] - after; !(math.Abs(g-want[i]) <= 1e-7*scale) {
				t.Errorf("widths %v: the gradient of parameter %d is %v, want %v", widths, i, g, want[i])
			}
		}
	}
}

// Wherever the elements lie, whatever the trainer's batch and the backend, the
// same numbers come out, and what lies between the rows is not touched.
func TestStepBits(t *testing.T) {
	testStepBits[float64](t)
	testStepBits[float32](t)
}

// Nor do they depend on the number of workers, who share the first layer here, in pieces
// that do not come out even.
func TestStepByWorkers(t *testing.T) {
	testStepByWorkers[float64](t)
	testStepByWorkers[float32](t)
}

func testStepByWorkers[T kernels.Float](t *testing.T) {
	eachBackend(t, func(name string) {
		var want []T
		for _, workers := range []int{1, 2, 3} {
			restore := kernels.SetWorkers(workers)
			rng := rand.New(rand.NewPCG(14, 0))
			net := randomNet[T](rng, 0, 128, 500, 3)
			x, y := randomMat[T](rng, 100, 128, 0), randomMat[T](rng, 100, 3, 0)
			trainer := must(mlp.NewTrainer(net, x.Rows))
			for range 2 {
				if _, err := trainer.Step(x, y, 0.01); err != nil {
					t.Fatal(err)
				}
			}
			if err := net.Predict(y, x); err != nil {
				t.Fatal(err)
			}
			got := append(parameters(net), y.Data...)
			if want == nil {
				want = got
			}
			if !sameBits(got, want) {
				t.Errorf("%T: %s: the bits of %d workers differ from those of one", T(0), name, workers)
			}
			restore()
		}
	})
}

func testStepBits[T kernels.Float](t *testing.T) {
	for _, widths := range [][]int{{2, 3}, {1, 10, 1}, {3, 9, 8, 2}, {33, 17, 16}} {
		for _, rows := range []int{1, 7, 64} {
			var want []T
			eachBackend(t, func(name string) {
				for _, gap := range []int{0, 3} {
					for _, batch := range []int{rows, 100} {
						rng := rand.New(rand.NewPCG(13, uint64(rows)))
						net := randomNet[T](rng, gap, widths...)
						x := randomMat[T](rng, rows, widths[0], gap)
						y := randomMat[T](rng, rows, widths[len(widths)-1], gap)
						xBefore, yBefore := slices.Clone(x.Data), slices.Clone(y.Data)
						trainer := must(mlp.NewTrainer(net, batch))
						var got []T
						for range 3 {
							cost, err := trainer.Step(x, y, 0.01)
							if err != nil {
								t.Fatal(err)
							}
							got = append(got, cost)
						}
						got = append(got, parameters(net)...)
						what := fmt.Sprintf("%T: %s: widths %v, %d rows, gap %d, batch %d", T(0), name, widths, rows, gap, batch)
						if want == nil {
							want = got
						}
						if !sameBits(got, want) {
							t.Errorf("%s: the bits differ from the first run's", what)
						}
						if !sameBits(x.Data, xBefore) || !sameBits(y.Data, yBefore) {
							t.Errorf("%s: the data was written", what)
						}
						for _, l := range net.Layers {
							checkGaps(t, what, l.W)
						}
					}
				}
			})
		}
	}
}

// After a large batch a small one sees nothing of it.
func TestStepForgets(t *testing.T) {
	run := func(large bool) []float64 {
		rng := rand.New(rand.NewPCG(15, 16))
		net := randomNet[float64](rng, 0, 3, 9, 8, 2)
		x, y := randomMat[float64](rng, 20, 3, 0), randomMat[float64](rng, 20, 2, 0)
		trainer := must(mlp.NewTrainer(net, 20))
		if large {
			// At rate 0 only the trainer's memory changes.
			if _, err := trainer.Step(x, y, 0); err != nil {
				t.Fatal(err)
			}
		}
		x.Rows, y.Rows = 3, 3
		cost, err := trainer.Step(x, y, 0.1)
		if err != nil {
			t.Fatal(err)
		}
		return append(parameters(net), cost)
	}
	if !sameBits(run(true), run(false)) {
		t.Error("a step of 3 rows differs after one of 20")
	}
}

// A trainer sees what is other than in the step before: each step is that of a trainer
// made for it.
func TestStepSeesChanges(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	net := randomNet[float64](rng, 0, 3, 9, 2)
	trainer := must(mlp.NewTrainer(net, 4))
	x, y := randomMat[float64](rng, 4, 3, 0), randomMat[float64](rng, 4, 2, 0)
	long := randomMat[float64](rng, 4, 5, 0).Data
	view := func(stride int) kernels.Mat[float64] {
		return kernels.Mat[float64]{Rows: 3, Cols: 3, Data: long, Stride: stride}
	}
	first, last := net.Layers[0], net.Layers[1]
	for _, c := range []struct {
		what   string
		change func()
	}{
		{"nothing", func() {}},
		{"x", func() { x = randomMat[float64](rng, 4, 3, 0) }},
		{"y", func() { y = randomMat[float64](rng, 4, 2, 0) }},
		{"rows", func() { x.Rows, y.Rows = 3, 3 }},
		{"x with gaps", func() { x = view(4) }},
		{"x with wider gaps", func() { x = view(5) }},
		{"the elements of x", func() { long[6]++ }},
		{"y with gaps", func() { y = randomMat[float64](rng, 3, 2, 1) }},
		{"an element of W", func() { first.W.Data[4]++ }},
		{"W", func() { first.W = randomMat[float64](rng, 3, 9, 0) }},
		{"W with gaps", func() { last.W = randomMat[float64](rng, 9, 2, 3) }},
		{"B", func() { last.B = []float64{1, 2} }},
		{"an activation", func() { last.Activation = kernels.ReLU }},
		{"a layer", func() {
			net.Layers[0] = &mlp.Layer[float64]{W: randomMat[float64](rng, 3, 9, 0), B: make([]float64, 9)}
		}},
	} {
		c.change()
		other := &mlp.Net[float64]{}
		for _, l := range net.Layers {
			w := kernels.NewMat[float64](l.W.Rows, l.W.Cols)
			copy(w.Data, tight(l.W))
			other.Layers = append(other.Layers, &mlp.Layer[float64]{W: w, B: slices.Clone(l.B), Activation: l.Activation})
		}
		want, err := must(mlp.NewTrainer(other, 4)).Step(x, y, 0.1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := trainer.Step(x, y, 0.1)
		if err != nil {
			t.Fatal(err)
		}
		if got != want || !sameBits(parameters(net), parameters(other)) {
			t.Errorf("another step after a change of %s: the cost is %v, want %v", c.what, got, want)
		}
	}

	// Only its address is another one.
	x, y = randomMat[float64](rng, 1, 3, 0), randomMat[float64](rng, 1, 2, 0)
	if _, err := trainer.Step(x, y, 0.1); err != nil {
		t.Fatal(err)
	}
	before := parameters(net)
	_, err := trainer.Step(x, kernels.MatOf(1, 2, last.B), 0.1)
	if err == nil || !strings.HasSuffix(err.Error(), "y overlaps Layers[1].B") || !sameBits(parameters(net), before) {
		t.Errorf("y is the last layer's B: the error is %v", err)
	}
}

// A diverging run is the caller's affair, and no error.
func TestStepDiverges(t *testing.T) {
	net, x, y := newRegression[float32](1)
	trainer := must(mlp.NewTrainer(net, 300))
	for range 100 {
		cost, err := trainer.Step(x, y, 100)
		if err != nil {
			t.Fatal(err)
		}
		if c := float64(cost); math.IsNaN(c) {
			return
		}
	}
	t.Error("the cost is not NaN after 100 steps at rate 100")
}

func TestNewTrainerErrors(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	fine := func() *mlp.Net[float64] { return randomNet[float64](rng, 0, 3, 4, 4, 2) }
	change := func(f func(l []*mlp.Layer[float64])) *mlp.Net[float64] {
		n := fine()
		f(n.Layers)
		return n
	}
	for _, c := range []struct {
		net   *mlp.Net[float64]
		batch int
		want  string
	}{
		{nil, 1, "the net is nil"},
		{&mlp.Net[float64]{}, 1, "the net has no layers"},
		{fine(), 0, "batch is 0 but must be at least 1"},
		{fine(), -1, "batch is -1 but must be at least 1"},
		{fine(), int(^uint(0)>>1) / 3, "which overflows int with a layer of 4 outputs"},
		{change(func(l []*mlp.Layer[float64]) { l[1].B = l[1].B[1:] }), 1, "Layers[1].W is 4×4 but its B has 3 elements"},
		{change(func(l []*mlp.Layer[float64]) { l[1].B = l[0].B }), 1, "Layers[1].B overlaps Layers[0].B"},
		{change(func(l []*mlp.Layer[float64]) { l[1].B = l[0].W.Data[1:5] }), 1, "Layers[1].B overlaps Layers[0].W"},
		{change(func(l []*mlp.Layer[float64]) { l[1].B = l[1].W.Data[12:] }), 1, "Layers[1].W overlaps Layers[1].B"},
		{change(func(l []*mlp.Layer[float64]) { l[0].B = l[2].W.Data[2:6] }), 1, "Layers[2].W overlaps Layers[0].B"},
		{change(func(l []*mlp.Layer[float64]) { l[2].W.Data = l[1].W.Data[8:] }), 1, "Layers[2].W overlaps Layers[1].W"},
	} {
		trainer, err := mlp.NewTrainer(c.net, c.batch)
		if trainer != nil || err == nil || !strings.HasPrefix(err.Error(), "mlp: NewTrainer: ") || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("NewTrainer returned %v and the error %v, want mlp: NewTrainer: …%s", trainer, err, c.want)
		}
	}
}

func TestStepErrors(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	net := randomNet[float64](rng, 0, 3, 4, 2)
	l := net.Layers
	trainer := must(mlp.NewTrainer(net, 5))
	x, y := randomMat[float64](rng, 6, 3, 0), randomMat[float64](rng, 6, 2, 0)
	type mat = kernels.Mat[float64]
	first := func(m mat, rows int) mat { m.Rows = rows; return m }
	old := []mlp.Layer[float64]{*l[0], *l[1]}
	for _, c := range []struct {
		x, y   mat
		change func()
		want   string
	}{
		{x, y, nil, "x is 6×3 but the trainer takes from 1 to 5 rows"},
		{first(x, 0), first(y, 0), nil, "x is 0×3 but the trainer takes from 1 to 5 rows"},
		{first(x, 5), first(y, 4), nil, "x is 5×3 but y has 4 rows"},
		{mat{Rows: 5, Cols: 2, Stride: 2, Data: x.Data}, first(y, 5), nil, "x is 5×2 but Layers[0].W has 3 rows"},
		{first(x, 5), mat{Rows: 5, Cols: 1, Stride: 1, Data: y.Data}, nil, "y is 5×1 but Layers[1].W has 2 columns"},
		{first(x, 5), mat{Rows: 5, Cols: 2, Stride: 1, Data: y.Data}, nil, "y is 5×2 but its stride is 1"},
		{first(x, 5), mat{Rows: 5, Cols: 2, Stride: 2, Data: y.Data[:9]}, nil, "y is 5×2 with stride 2 but its Data has 9 elements"},
		{mat{Rows: -1, Cols: 3, Stride: 3}, y, nil, "x has the negative size -1×3"},
		{mat{Rows: 1, Cols: 3, Stride: 3, Data: l[0].W.Data[9:]}, first(y, 1), nil, "x overlaps Layers[0].W"},
		{mat{Rows: 1, Cols: 3, Stride: 3, Data: l[0].B}, first(y, 1), nil, "x overlaps Layers[0].B"},
		{first(x, 1), mat{Rows: 1, Cols: 2, Stride: 2, Data: l[1].B}, nil, "y overlaps Layers[1].B"},
		{first(x, 1), mat{Rows: 1, Cols: 2, Stride: 2, Data: l[1].W.Data[2:]}, nil, "y overlaps Layers[1].W"},
		{first(x, 1), first(y, 1), func() { l[1].B = l[0].B[:2] }, "Layers[1].B overlaps Layers[0].B"},
		{first(x, 1), first(y, 1), func() { l[1].B = nil }, "Layers[1].W is 4×2 but its B has 0 elements"},
		{first(x, 1), first(y, 1), func() { l[1].Activation = 99 }, "Layers[1].Activation is Activation(99), which does not exist"},
		{first(x, 1), first(y, 1), func() { l[0].W.Stride = 3 }, "Layers[0].W is 3×4 but its stride is 3"},
		{first(x, 1), first(y, 1), func() { l[0].W.Data = l[0].W.Data[:11] }, "Layers[0].W is 3×4 with stride 4 but its Data has 11 elements"},
		{first(x, 1), first(y, 1), func() { l[0].W.Data = l[1].W.Data }, "Layers[0].W is 3×4 with stride 4 but its Data has 8 elements"},
		{first(x, 1), first(y, 1), func() { net.Layers = []*mlp.Layer[float64]{l[0], nil} }, "Layers[1] is nil"},
		{first(x, 1), first(y, 1), func() { net.Layers = l[:1] }, "the net has 1 layers but the trainer was made for 2"},
		{first(x, 1), first(y, 1), func() {
			*l[0] = *mlp.NewLayer[float64](3, 5, kernels.ReLU, rng)
			*l[1] = *mlp.NewLayer[float64](5, 2, kernels.ReLU, rng)
		}, "Layers[0].W is 3×5 but the trainer was made for 3×4"},
		{first(x, 1), first(y, 1), func() {
			*l[0] = *mlp.NewLayer[float64](9, 4, kernels.ReLU, rng)
		}, "Layers[0].W is 9×4 but the trainer was made for 3×4"},
	} {
		if _, err := trainer.Step(first(x, 1), first(y, 1), 0.1); err != nil {
			t.Fatal(err)
		}
		if c.change != nil {
			c.change()
		}
		all := func() []float64 {
			return slices.Concat(x.Data, y.Data, l[0].W.Data, l[0].B, l[1].W.Data, l[1].B)
		}
		before := all()
		for range 2 {
			cost, err := trainer.Step(c.x, c.y, 0.1)
			if cost != 0 || err == nil || err.Error() != "mlp: Step: "+c.want {
				t.Errorf("Step returned %v and the error %v, want 0 and mlp: Step: %s", cost, err, c.want)
			}
		}
		if !sameBits(before, all()) {
			t.Errorf("Step wrote before it returned: %s", c.want)
		}
		net.Layers = l
		*l[0], *l[1] = old[0], old[1]
	}
	if _, err := trainer.Step(first(x, 5), first(y, 5), 0.1); err != nil {
		t.Error(err)
	}
}

func TestStepAllocates(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector sync.Pool, in the kernels, forgets at random")
	}
	testStepAllocates[float64](t)
	testStepAllocates[float32](t)
}

func testStepAllocates[T kernels.Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	net := randomNet[T](rng, 1, 4, 9, 5, 3)
	x, y := randomMat[T](rng, 60, 4, 0), randomMat[T](rng, 60, 3, 0)
	trainer := must(mlp.NewTrainer(net, 60))
	eachBackend(t, func(name string) {
		allocs := testing.AllocsPerRun(20, func() {
			if _, err := trainer.Step(x, y, 0.01); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%T: %s: Step allocates %v times", T(0), name, allocs)
		}
	})
}
