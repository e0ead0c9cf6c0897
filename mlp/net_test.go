package mlp_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/mlp"
)

const canary = -12345.5

// randomMat returns a matrix of normal variates, with gap canaries after every
// row but the last.
func randomMat[T kernels.Float](rng *rand.Rand, rows, cols, gap int) kernels.Mat[T] {
	stride := cols + gap
	m := kernels.Mat[T]{Rows: rows, Cols: cols, Stride: stride, Data: make([]T, max(0, (rows-1)*stride+cols))}
	for i := range m.Data {
		m.Data[i] = canary
	}
	for i := range rows {
		for j := range cols {
			m.Data[i*stride+j] = T(mlp.Normal(rng))
		}
	}
	return m
}

// checkGaps fails t if a canary of m is gone.
func checkGaps[T kernels.Float](t *testing.T, name string, m kernels.Mat[T]) {
	t.Helper()
	for i, v := range m.Data {
		if i%m.Stride >= m.Cols && v != canary {
			t.Errorf("%s: element %d, between the rows, is %v", name, i, v)
		}
	}
}

// tight returns the elements of m without the gaps.
func tight[T kernels.Float](m kernels.Mat[T]) []T {
	var s []T
	for i := range m.Rows {
		s = append(s, m.Row(i)...)
	}
	return s
}

// sameBits reports whether a and b hold the same numbers, sign of zero and
// NaN included.
func sameBits[T kernels.Float](a, b []T) bool {
	return slices.EqualFunc(a, b, func(x, y T) bool {
		return math.Float64bits(float64(x)) == math.Float64bits(float64(y))
	})
}

// randomNet returns a net of the given widths, ReLU but for the last layer,
// whose weights have gap elements between rows.
func randomNet[T kernels.Float](rng *rand.Rand, gap int, widths ...int) *mlp.Net[T] {
	var layers []*mlp.Layer[T]
	for i, out := range widths[1:] {
		l := &mlp.Layer[T]{
			W:          randomMat[T](rng, widths[i], out, gap),
			B:          randomMat[T](rng, 1, out, 0).Data,
			Activation: kernels.ReLU,
		}
		if i == len(widths)-2 {
			l.Activation = kernels.Identity
		}
		layers = append(layers, l)
	}
	return must(mlp.New(layers...))
}

func TestNewLayer(t *testing.T) {
	l64 := mlp.NewLayer[float64](3, 5, kernels.ReLU, rand.New(rand.NewPCG(5, 6)))
	l32 := mlp.NewLayer[float32](3, 5, kernels.ReLU, rand.New(rand.NewPCG(5, 6)))
	rng := rand.New(rand.NewPCG(5, 6))
	if l64.W.Rows != 3 || l64.W.Cols != 5 || l64.W.Stride != 5 || len(l64.W.Data) != 15 || len(l64.B) != 5 || l64.Activation != kernels.ReLU {
		t.Fatalf("wrong shape: %+v", l64)
	}
	for i, w := range l64.W.Data {
		if want := mlp.Normal(rng); w != want || l32.W.Data[i] != float32(want) {
			t.Errorf("W element %d is %v and %v, want %v", i, w, l32.W.Data[i], want)
		}
	}
	for j, b := range l64.B {
		if b != 0.1 || l32.B[j] != 0.1 {
			t.Errorf("B[%d] is %v and %v, want 0.1", j, b, l32.B[j])
		}
	}
}

func TestNewErrors(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	layer := func(in, out int) *mlp.Layer[float64] {
		return mlp.NewLayer[float64](in, out, kernels.ReLU, rng)
	}
	change := func(f func(*mlp.Layer[float64])) []*mlp.Layer[float64] {
		l := layer(3, 4)
		f(l)
		return []*mlp.Layer[float64]{layer(2, 3), l}
	}
	const maxInt = int(^uint(0) >> 1)
	for _, c := range []struct {
		layers []*mlp.Layer[float64]
		want   string
	}{
		{nil, "the net has no layers"},
		{[]*mlp.Layer[float64]{layer(2, 3), nil}, "Layers[1] is nil"},
		{[]*mlp.Layer[float64]{layer(2, 3), layer(4, 1)}, "Layers[1].W is 4×1 but Layers[0].W has 3 columns"},
		{[]*mlp.Layer[float64]{layer(0, 3)}, "Layers[0].W is 0×3 but a layer needs at least 1×1"},
		{[]*mlp.Layer[float64]{layer(3, -1)}, "Layers[0].W is 3×-1 but a layer needs at least 1×1"},
		{[]*mlp.Layer[float64]{layer(maxInt/2, maxInt/2)}, fmt.Sprintf("Layers[0].W is %d×%[1]d with stride %[1]d but its Data has 0 elements", maxInt/2)},
		{change(func(l *mlp.Layer[float64]) { l.B = l.B[:3] }), "Layers[1].W is 3×4 but its B has 3 elements"},
		{change(func(l *mlp.Layer[float64]) { l.B = nil }), "Layers[1].W is 3×4 but its B has 0 elements"},
		{change(func(l *mlp.Layer[float64]) { l.W.Stride = 3 }), "Layers[1].W is 3×4 but its stride is 3"},
		{change(func(l *mlp.Layer[float64]) { l.W.Data = l.W.Data[:11] }), "Layers[1].W is 3×4 with stride 4 but its Data has 11 elements"},
		{change(func(l *mlp.Layer[float64]) { l.W.Stride = 5 }), "Layers[1].W is 3×4 with stride 5 but its Data has 12 elements"},
		{change(func(l *mlp.Layer[float64]) { l.W.Stride = maxInt }), "but its Data has 12 elements"},
		{change(func(l *mlp.Layer[float64]) { l.Activation = 77 }), "Layers[1].Activation is Activation(77), which does not exist"},
	} {
		net, err := mlp.New(c.layers...)
		if net != nil || err == nil || !strings.HasPrefix(err.Error(), "mlp: New: ") || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("New returned %v and the error %v, want mlp: New: …%s", net, err, c.want)
		}
	}
}

// Predict is DenseForward layer by layer; a row gives the same bits alone, in
// a batch, and on every backend.
func TestPredict(t *testing.T) {
	testPredict[float64](t)
	testPredict[float32](t)
}

func testPredict[T kernels.Float](t *testing.T) {
	for _, widths := range [][]int{{1, 10, 1}, {3, 2}, {5, 8, 7, 9, 3}} {
		rng := rand.New(rand.NewPCG(7, 8))
		net := randomNet[T](rng, 2, widths...)
		x := randomMat[T](rng, 600, widths[0], 3)
		want := x
		for _, l := range net.Layers {
			in := want
			want = kernels.NewMat[T](x.Rows, l.W.Cols)
			kernels.DenseForward(want, in, l.W, l.B, l.Activation)
		}
		out := want.Cols
		eachBackend(t, func(name string) {
			for _, rows := range []int{0, 1, 2, 255, 256, 257, 600} {
				dst := randomMat[T](rng, 600, out, 4)
				before := slices.Clone(dst.Data)
				xn, dstn := x, dst
				xn.Rows, dstn.Rows = rows, rows
				if err := net.Predict(dstn, xn); err != nil {
					t.Fatal(err)
				}
				if !sameBits(tight(dstn), want.Data[:rows*out]) {
					t.Errorf("%T: %s: widths %v: %d rows differ from the kernels'", T(0), name, widths, rows)
				}
				if later := min(rows*dst.Stride, len(before)); !sameBits(dst.Data[later:], before[later:]) {
					t.Errorf("%T: %s: widths %v: %d rows: a later row was written", T(0), name, widths, rows)
				}
				checkGaps(t, "dst", dst)
			}
		})
		for i := range 5 {
			one := kernels.NewMat[T](1, out)
			if err := net.Predict(one, kernels.MatOf(1, widths[0], x.Row(100*i))); err != nil {
				t.Fatal(err)
			}
			if !sameBits(one.Data, want.Row(100*i)) {
				t.Errorf("%T: widths %v: row %d alone differs from the batch's", T(0), widths, 100*i)
			}
		}
	}
}

func TestPredictErrors(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	net := randomNet[float64](rng, 0, 3, 4, 2)
	w, b := net.Layers[0].W.Data, net.Layers[1].B
	x, dst := randomMat[float64](rng, 5, 3, 0), randomMat[float64](rng, 5, 2, 0)
	table := randomMat[float64](rng, 6, 5, 0)
	type mat = kernels.Mat[float64]
	for _, c := range []struct {
		dst, x mat
		want   string
	}{
		{dst, mat{Rows: 5, Cols: 2, Stride: 2, Data: x.Data}, "x is 5×2 but Layers[0].W has 3 rows"},
		{mat{Rows: 3, Cols: 3, Stride: 3, Data: dst.Data}, x, "dst is 3×3 but Layers[1].W has 2 columns"},
		{mat{Rows: 4, Cols: 2, Stride: 2, Data: dst.Data}, x, "x is 5×3 but dst has 4 rows"},
		{mat{Rows: 0, Cols: 2}, x, "x is 5×3 but dst has 0 rows"},
		{dst, mat{Rows: -5, Cols: 3, Stride: 3}, "x has the negative size -5×3"},
		{dst, mat{Rows: 5, Cols: 3, Stride: 2, Data: x.Data}, "x is 5×3 but its stride is 2"},
		{dst, mat{Rows: 5, Cols: 3, Stride: -3, Data: x.Data}, "x is 5×3 but its stride is -3"},
		{dst, mat{Rows: 5, Cols: 3, Stride: 3, Data: x.Data[:14]}, "x is 5×3 with stride 3 but its Data has 14 elements"},
		{mat{Rows: 5, Cols: 2, Stride: 3, Data: dst.Data}, x, "dst is 5×2 with stride 3 but its Data has 10 elements"},
		{mat{Rows: 5, Cols: 2, Stride: 2}, x, "dst is 5×2 with stride 2 but its Data has 0 elements"},
		{mat{Rows: 5, Cols: 2, Stride: 2, Data: x.Data[5:]}, x, "dst overlaps x"},
		{mat{Rows: 5, Cols: 2, Stride: 5, Data: table.Data[2:]}, mat{Rows: 5, Cols: 3, Stride: 5, Data: table.Data}, "dst overlaps x"},
		{mat{Rows: 1, Cols: 2, Stride: 2, Data: w[10:]}, mat{Rows: 1, Cols: 3, Stride: 3, Data: x.Data}, "dst overlaps Layers[0].W"},
		{mat{Rows: 1, Cols: 2, Stride: 2, Data: b}, mat{Rows: 1, Cols: 3, Stride: 3, Data: x.Data}, "dst overlaps Layers[1].B"},
	} {
		before := slices.Concat(w, b, x.Data, dst.Data, table.Data)
		err := net.Predict(c.dst, c.x)
		if err == nil || err.Error() != "mlp: Predict: "+c.want {
			t.Errorf("Predict returned the error %v, want mlp: Predict: %s", err, c.want)
		}
		if !sameBits(before, slices.Concat(w, b, x.Data, dst.Data, table.Data)) {
			t.Errorf("Predict wrote before it returned: %s", c.want)
		}
	}

	// Columns of one table interleave, but do not overlap.
	err := net.Predict(
		mat{Rows: 6, Cols: 2, Stride: 5, Data: table.Data[3:]},
		mat{Rows: 6, Cols: 3, Stride: 5, Data: table.Data})
	if err != nil {
		t.Error(err)
	}

	var none *mlp.Net[float64]
	if err := none.Predict(dst, x); err == nil || err.Error() != "mlp: Predict: the net is nil" {
		t.Error(err)
	}
	net.Layers[1].B = b[:1]
	if err := net.Predict(dst, x); err == nil || err.Error() != "mlp: Predict: Layers[1].W is 4×2 but its B has 1 elements" {
		t.Error(err)
	}
}

func TestPredictConcurrently(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	net := randomNet[float64](rng, 0, 4, 9, 5, 3)
	x := randomMat[float64](rng, 300, 4, 0)
	want := kernels.NewMat[float64](300, 3)
	if err := net.Predict(want, x); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 20 {
				rows := 1 + (g*37+i*53)%300
				dst := kernels.NewMat[float64](rows, 3)
				xn := x
				xn.Rows = rows
				if err := net.Predict(dst, xn); err != nil {
					t.Error(err)
				}
				if !sameBits(dst.Data, want.Data[:rows*3]) {
					t.Errorf("%d rows differ among goroutines", rows)
				}
			}
		})
	}
	group.Wait()
}

func TestPredictAllocates(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector sync.Pool forgets at random")
	}
	testPredictAllocates[float64](t)
	testPredictAllocates[float32](t)
}

func testPredictAllocates[T kernels.Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	net := randomNet[T](rng, 1, 4, 9, 5, 3)
	x, dst := randomMat[T](rng, 300, 4, 0), kernels.NewMat[T](300, 3)
	eachBackend(t, func(name string) {
		allocs := testing.AllocsPerRun(20, func() {
			if err := net.Predict(dst, x); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%T: %s: Predict allocates %v times", T(0), name, allocs)
		}
	})
}
