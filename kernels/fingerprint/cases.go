package fingerprint

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"unsafe"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/mlp"
)

// A kernel is a list of cases and what to do in each.
type kernel struct {
	name  string
	sizes []string // what the sizes of a case are
	cases []kase
}

// A kase is one case: the calls on operands of one shape, with some fills one
// after the other.
type kase struct {
	size  []int
	loose bool // of the first fill; the others take turns
	fills []fill
}

// describe names a case of k.
func (k *kernel) describe(c kase) string {
	var s []string
	for i, n := range c.size {
		s = append(s, fmt.Sprintf("%s=%d", k.sizes[i], n))
	}
	return strings.Join(s, " ")
}

// A body is a kernel at a type.
type body struct {
	kernel *kernel
	typ    string
	run    func(k *kernel, c kase) []output
}

// bodies are all there is to check, in order.
var bodies = slices.Concat(
	bodiesOf("DenseForward", "n in out", layers(), forward[float32], forward[float64]),
	bodiesOf("DenseBackward", "n in out", layers(), backward[float32], backward[float64]),
	bodiesOf("DenseBackwardAdd", "n in out", layers(), backwardAdd[float32], backwardAdd[float64]),
	bodiesOf("MSE", "rows cols", losses(), mse[float32], mse[float64]),
	bodiesOf("SGD", "len", updates(), sgd[float32], sgd[float64]),
	bodiesOf("Regression", "steps", []kase{{size: []int{1000}, fills: []fill{given}}}, regression[float32], regression[float64]),
	bodiesOf("LargeForward", "n in out", append(large(), fromAfar()...), largeForward[float32], largeForward[float64]),
	bodiesOf("LargeBackward", "n in out", large(), largeBackward[float32], largeBackward[float64]),
	bodiesOf("Packed.Forward", "n in out", large(), packedForward[float32], packedForward[float64]),
	bodiesOf("FarForward", "n MiB out", fromMemory(), farForward[float32], farForward[float64]),
)

func bodiesOf(name, sizes string, cases []kase, f32 func(*trial[float32], []int), f64 func(*trial[float64], []int)) []body {
	k := &kernel{name, strings.Fields(sizes), cases}
	return []body{{k, "float32", runner(f32)}, {k, "float64", runner(f64)}}
}

func runner[T kernels.Float](f func(t *trial[T], size []int)) func(*kernel, kase) []output {
	return func(k *kernel, c kase) []output {
		var all []output
		for i, fl := range c.fills {
			t := newTrial[T](k.name+" "+k.describe(c), fl, c.loose == (i%2 == 0))
			f(t, c.size)
			all = append(all, t.outputs...)
		}
		return all
	}
}

func forward[T kernels.Float](t *trial[T], size []int) {
	n, in, out := size[0], size[1], size[2]
	t.fold(in)
	t.negative = false
	x := t.mat(n, in)
	t.negative = true
	w, b := t.mat(in, out), t.vec(out)
	for _, act := range []kernels.Activation{kernels.Identity, kernels.ReLU} {
		t.call = act.String()
		y := t.mat(n, out)
		kernels.DenseForward(y, x, w, b, act)
		t.keep("y", y)

		t.call += " without b"
		y = t.mat(n, out)
		kernels.DenseForward(y, x, w, nil, act)
		t.keep("y", y)
	}
}

func backward[T kernels.Float](t *trial[T], size []int) {
	backwardBy(t, size, kernels.DenseBackward[T])
}

func backwardAdd[T kernels.Float](t *trial[T], size []int) {
	backwardBy(t, size, kernels.DenseBackwardAdd[T])
}

func backwardBy[T kernels.Float](t *trial[T], size []int, do func(dx, dw kernels.Mat[T], db []T, dy, y, x, w kernels.Mat[T], act kernels.Activation)) {
	n, in, out := size[0], size[1], size[2]
	t.negative = false
	y := t.mat(n, out)
	t.fold(max(n, out))
	x, w := t.mat(n, in), t.mat(in, out)
	t.negative = true
	for _, act := range []kernels.Activation{kernels.Identity, kernels.ReLU} {
		t.call = act.String()
		dx, dw, db, dy := t.mat(n, in), t.mat(in, out), t.vec(out), t.mat(n, out)
		do(dx, dw, db, dy, y, x, w, act)
		t.keep("dz", dy)
		t.keep("dw", dw)
		t.keepVec("db", db)
		t.keep("dx", dx)

		t.call += " without db and dx"
		dw, dy = t.mat(in, out), t.mat(n, out)
		do(kernels.Mat[T]{}, dw, nil, dy, y, x, w, act)
		t.keep("dz", dy)
		t.keep("dw", dw)
	}
}

func largeForward[T kernels.Float](t *trial[T], size []int) {
	largeForwardBy(t, size, kernels.DenseForward[T])
}

func packedForward[T kernels.Float](t *trial[T], size []int) {
	largeForwardBy(t, size, func(y, x, w kernels.Mat[T], b []T, act kernels.Activation) {
		kernels.Pack(w, b).Forward(y, x, act)
	})
}

func largeForwardBy[T kernels.Float](t *trial[T], size []int, do func(y, x, w kernels.Mat[T], b []T, act kernels.Activation)) {
	n, in, out := size[0], size[1], size[2]
	t.fold(in)
	x, w, b, y := t.mat(n, in), t.mat(in, out), t.vec(out), t.blank(n, out)
	do(y, x, w, b, kernels.ReLU)
	t.keep("y", y)
}

// farForward has a w of so many MiB, whose rows repeat: to draw all would take longer
// than the rest.
func farForward[T kernels.Float](t *trial[T], size []int) {
	n, out := size[0], size[2]
	in := (size[1]<<20)/int(unsafe.Sizeof(T(0)))/out + 1
	x, b, y, w, rows := t.mat(n, in), t.vec(out), t.blank(n, out), kernels.NewMat[T](in, out), t.mat(61, out)
	for k := range in {
		copy(w.Row(k), rows.Row(k%rows.Rows))
	}
	kernels.DenseForward(y, x, w, b, kernels.ReLU)
	t.keep("y", y)
}

func largeBackward[T kernels.Float](t *trial[T], size []int) {
	if !t.loose {
		defer kernels.SetWorkers(2)()
	}
	n, in, out := size[0], size[1], size[2]
	y := t.mat(n, out)
	t.fold(max(n, out))
	x, w, dy, db := t.mat(n, in), t.mat(in, out), t.mat(n, out), t.vec(out)
	dx, dw := t.blank(n, in), t.blank(in, out)
	kernels.DenseBackward(dx, dw, db, dy, y, x, w, kernels.ReLU)
	t.keep("dz", dy)
	t.keep("dw", dw)
	t.keepVec("db", db)
	t.keep("dx", dx)
}

func mse[T kernels.Float](t *trial[T], size []int) {
	grad, pred, target := t.mat(size[0], size[1]), t.mat(size[0], size[1]), t.mat(size[0], size[1])
	t.keepScalar("loss without grad", kernels.MSE(kernels.Mat[T]{}, pred, target))
	t.keepScalar("loss", kernels.MSE(grad, pred, target))
	t.keep("grad", grad)
	overPred := t.mat(size[0], size[1])
	t.keepScalar("loss with grad over pred", kernels.MSE(overPred, overPred, target))
	t.keep("grad over pred", overPred)
	t.keepScalar("loss with grad over target", kernels.MSE(target, pred, target))
	t.keep("grad over target", target)
}

func sgd[T kernels.Float](t *trial[T], size []int) {
	w, g, rate := t.vec(size[0]), t.vec(size[0]), t.value()
	kernels.SGD(w, g, rate)
	t.keepVec("w", w)
	kernels.SGD(g, g, rate)
	t.keepVec("w over g", g)
}

// regression is the tutorial: 300 points of a noisy parabola, one hidden layer
// of ten. The costs come first, so that a difference shows the step of its
// origin.
func regression[T kernels.Float](t *trial[T], size []int) {
	const points, noise, rate = 300, 0.05, 0.05
	rng := rand.New(rand.NewPCG(1, 0))
	x, y := kernels.NewMat[T](points, 1), kernels.NewMat[T](points, 1)
	for i := range points {
		v := float64(2*i-(points-1)) / (points - 1)
		// The conversions keep the compiler from fusing * and +.
		x.Data[i] = T(v)
		y.Data[i] = T(float64(v*v) - 0.5 + float64(noise*mlp.Normal(rng)))
	}
	hidden := mlp.NewLayer[T](1, 10, kernels.ReLU, rng)
	last := mlp.NewLayer[T](10, 1, kernels.Identity, rng)
	net, err := mlp.New(hidden, last)
	must(err)
	trainer, err := mlp.NewTrainer(net, points)
	must(err)
	costs := make([]T, size[0])
	for i := range costs {
		costs[i], err = trainer.Step(x, y, rate)
		must(err)
	}
	p := kernels.NewMat[T](points, 1)
	must(net.Predict(p, x))
	t.keepVec("cost", costs)
	t.keep("Layers[0].W", hidden.W)
	t.keepVec("Layers[0].B", hidden.B)
	t.keep("Layers[1].W", last.W)
	t.keepVec("Layers[1].B", last.B)
	t.keep("prediction", p)
}

func must(err error) {
	if err != nil {
		panic(err) // the shapes are in the list
	}
}

// The lists. Small sizes come first, so that the first difference is easy to
// look at.

type list []kase

// small is how many multiply-adds a case may have, about, to go through more
// than two fills.
const small = 1 << 12

// turns are the fills of every other case.
var turns = [2][]fill{
	{ordinary, special, zeros, tiny, ties},
	{wide, special, zeros, tiny, tinyTies, huge},
}

// add adds the size. Every other case begins with gaps.
func (l *list) add(size ...int) {
	turn := len(*l) % 2
	fs, volume := turns[turn], 1
	for _, n := range size {
		volume *= max(n, 1)
	}
	if volume > small {
		fs = turns[0][:2]
	}
	*l = append(*l, kase{size, turn == 1, fs})
}

// to returns lo … hi.
func to(lo, hi int) []int {
	var s []int
	for n := lo; n <= hi; n++ {
		s = append(s, n)
	}
	return s
}

// edges of wider tiles: sizes around multiples of vector and tile widths.
var edges = []int{41, 42, 43, 47, 48, 49, 63, 64, 65, 72, 73, 84, 85, 86, 95, 96, 97, 127, 128, 129}

// long are the sizes around one and two folds' worth of terms, and a prime.
var long = []int{255, 256, 257, 511, 512, 513, 769}

// layers are sizes n, in, out of a batch and a layer.
func layers() []kase {
	var l list
	// Without rows, inputs or outputs.
	const most = 9
	l.add(0, 0, 0)
	for i := range 33 {
		l.add(0, i%most, 1+i)
		l.add(1+i%most, 0, 1+i)
		l.add(1+i%most, 1+i, 0)
	}

	// Tiles: every number of rows up to 9 meets every number of columns up to
	// 33, in y (n×out), dw (in×out) and dx (n×in).
	for _, out := range to(1, 33) {
		for i := range most {
			l.add(1+i, 1+(i*2+out)%most, out)
		}
	}
	for _, in := range to(most+1, 33) {
		for i := range most {
			l.add(1+i, in, 1+(i*2+in)%most)
		}
	}

	// More rows, inputs and outputs than a tile has.
	for i, n := range slices.Concat(to(10, 33), edges) {
		l.add(n, 1+i%5, 1+i%27)
	}
	for i, n := range edges {
		l.add(1+i%7, n, 1+i%11)
		l.add(1+i%7, n, 8+i%11)
		l.add(1+i%7, 1+i%5, n)
	}
	// Rows that stand alone in y, dw or dx, where tiles are wider.
	wider := []int{191, 192, 193, 255, 256, 257, 320, 383, 384, 385}
	for i, n := range slices.Concat(to(34, 130), wider) {
		l.add(1, 1+i%4, n)
	}
	for i, n := range slices.Concat(edges, wider) {
		l.add(2+i%3, 1+i%3, n)
		l.add(1, n, 1+i%9)
	}
	l.add(61, 67, 71)
	l.add(31, 127, 97)
	l.add(127, 31, 53)

	// Sums cut into pieces: over in forward, over n for dw and db, over out
	// for dx.
	for i, n := range long {
		l.add(1+i%5, n, 8+i*3)
		l.add(n, 1+i, 1+i*4)
		l.add(1+i%5, 2+i, n)
	}

	// Narrow layers with so many inputs that lanes rest in between, and so many
	// rows that a call to assembly ends.
	for i, in := range []int{4095, 4096, 4097, 8191, 8193} {
		l.add(1+i, in, 1+i*3%7)
	}
	l.add(17, 4097, 2)
	l.add(64, 4096, 1)
	for _, n := range []int{5461, 5462, 10922, 10923, 15420, 15421, 21846} {
		l.add(n, 1, 1)
	}
	return l
}

// large are sizes n, in, out of layers that are cut into pieces, packed, transposed
// or streamed, or computed by kernels that a small one has no use for.
func large() []kase {
	var l list
	for _, s := range [][]int{
		{9, 33, 70}, {1, 40, 70}, {2, 64, 64}, {3, 50, 40}, {4, 48, 48}, // a few rows
		{6, 100, 130}, {10, 64, 90}, {8, 40, 200}, {16, 64, 70},
		{40, 40, 3}, {64, 100, 5}, {33, 24, 7}, // narrow
		{300, 40, 10}, {70, 17, 9}, {130, 64, 20}, {2100, 3, 11}, // many rows
		{50, 40, 1024}, {30, 1024, 100}, {50, 1024, 24}, {5, 24, 2048}, {70, 512, 9}, // rows that crowd a cache
		{130, 300, 70}, {100, 70, 300}, {70, 1100, 50}, {1030, 20, 50}, // several blocks, long sums
	} {
		l.add(s...)
	}
	return l
}

// fromAfar is a layer whose w is not in a cache of one core: one is enough.
func fromAfar() []kase {
	var l list
	l.add(1, 1600, 1030)
	return l
}

// fromMemory is one whose w is in none, by n, the size of w and out.
func fromMemory() []kase {
	return []kase{{size: []int{1, 17, 1030}, fills: []fill{ordinary}}}
}

// losses are sizes rows, cols.
func losses() []kase {
	var l list
	l.add(0, 0)
	l.add(0, 3)
	l.add(3, 0)
	for n := range 67 {
		l.add(1, n)
	}
	for rows := 2; rows <= 6; rows++ {
		for cols := 1; cols <= 20; cols++ {
			l.add(rows, cols)
		}
	}
	for _, n := range slices.Concat(edges, long) {
		l.add(1, n)
		l.add(n, 1)
	}
	for _, s := range [][]int{{1, 4095}, {1, 4096}, {1, 4097}, {4095, 1}, {64, 64}, {17, 241}, {8191, 1}, {2, 4096}, {3, 2731}, {1, 8193}, {1, 12289}, {127, 97}} {
		l.add(s...)
		l.add(s...) // with gaps in the other fill
	}
	return l
}

// updates are lengths.
func updates() []kase {
	var l list
	for n := range 67 {
		l.add(n)
	}
	for _, n := range slices.Concat(edges, long) {
		l.add(n)
	}
	for _, n := range []int{4095, 4096, 4097, 8191, 8192, 8193} {
		l.add(n)
	}
	return l
}
