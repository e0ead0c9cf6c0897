package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"unsafe"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/mlp"
)

// A fit is what training leaves for the pictures.
type fit struct {
	x, y   []float64 // the points
	grid   []float64 // the abscissae of the curves
	curves samples[curve]
	costs  samples[float64]
}

// A curve is the net on the grid.
type curve struct {
	y    []float64
	cost float64
}

// samples keeps at most limit values of those that steps bring, evenly spaced.
type samples[V any] struct {
	limit, every int
	steps        []int
	values       []V
}

// wants reports whether the value at this step is to be added. When there are
// too many it first drops every second.
func (s *samples[V]) wants(step int) bool {
	if len(s.steps) == s.limit {
		kept := 0
		for i := 0; i < s.limit; i += 2 {
			s.steps[kept], s.values[kept] = s.steps[i], s.values[i]
			kept++
		}
		s.steps, s.values = s.steps[:kept], s.values[:kept]
		s.every *= 2
	}
	return step%s.every == 0
}

func (s *samples[V]) add(step int, v V) {
	s.steps, s.values = append(s.steps, step), append(s.values, v)
}

const (
	gridPoints = 401
	maxCurves  = 200  // frames of the animation
	maxCosts   = 4000 // points of the cost curve
)

var errInterrupted = errors.New("interrupted")

// train runs the steps and prints the costs. If ctx is cancelled or the cost is
// no longer finite it stops, says so in the error, and returns what there is to
// draw; with any other error it returns nil. It changes x and y if they are to
// be scaled.
func train[T kernels.Float](ctx context.Context, o *options, x, y kernels.Mat[T], rng *rand.Rand, stdout io.Writer, bar *progress) (*fit, error) {
	net, err := mlp.New(
		mlp.NewLayer[T](1, o.hidden, kernels.ReLU, rng),
		mlp.NewLayer[T](o.hidden, 1, kernels.Identity, rng),
	)
	if err != nil {
		return nil, err
	}
	trainer, err := mlp.NewTrainer(net, x.Rows)
	if err != nil {
		return nil, err
	}

	f := &fit{
		x:      float64s(x.Data),
		y:      float64s(y.Data),
		curves: samples[curve]{limit: maxCurves, every: o.every},
		costs:  samples[float64]{limit: maxCosts, every: 1},
	}
	f.grid = spread(f.x, gridPoints)
	xScale, yScale := scale{0, 1}, scale{0, 1}
	if o.scale {
		xScale, yScale = scaleOf(f.x), scaleOf(f.y)
	}
	for i := range f.x {
		x.Data[i], y.Data[i] = T(xScale.in(f.x[i])), T(yScale.in(f.y[i]))
	}
	grid, p := kernels.NewMat[T](gridPoints, 1), kernels.NewMat[T](gridPoints, 1)
	for i, v := range f.grid {
		grid.Data[i] = T(xScale.in(v))
	}
	curveOf := func(cost T) curve {
		c := curve{float64s(p.Data), float64(cost)}
		for i, v := range c.y {
			c.y[i] = yScale.out(v)
		}
		return c
	}
	diverged := func(step int, cost T) error {
		hint := ""
		if !o.scale {
			hint = ", or -scale"
		}
		return fmt.Errorf("the cost is %v at step %d: the run diverged; try a smaller -rate than %v%s", cost, step, o.rate, hint)
	}

	digits := 17 // as many as tell any two numbers apart
	if unsafe.Sizeof(T(0)) == 4 {
		digits = 9
	}
	defer bar.clear()
	step := 0
	for ; step < o.steps && ctx.Err() == nil; step++ {
		wanted := f.curves.wants(step)
		if wanted {
			if err := net.Predict(p, grid); err != nil {
				return nil, err
			}
		}
		cost, err := trainer.Step(x, y, T(o.rate))
		if err != nil {
			return nil, err
		}
		if step%o.every == 0 {
			bar.clear()
			if _, err := fmt.Fprintf(stdout, "step %4d  cost %#.*g\n", step, digits, cost); err != nil {
				return nil, err
			}
		}
		if !finite(float64(cost)) {
			return f, diverged(step, cost)
		}
		if wanted {
			f.curves.add(step, curveOf(cost))
		}
		if f.costs.wants(step) {
			f.costs.add(step, float64(cost))
		}
		bar.at(step)
	}

	// The net as the last step left it.
	atX := kernels.NewMat[T](x.Rows, 1)
	if err := errors.Join(net.Predict(atX, x), net.Predict(p, grid)); err != nil {
		return nil, err
	}
	cost := kernels.MSE(kernels.Mat[T]{}, atX, y)
	if !finite(float64(cost)) {
		return f, diverged(step, cost)
	}
	f.costs.add(step, float64(cost))
	f.curves.add(step, curveOf(cost))
	if step < o.steps {
		return f, fmt.Errorf("%w after %d of %d steps", errInterrupted, step, o.steps)
	}
	return f, nil
}

// A scale maps [middle-half, middle+half] to [-1, 1].
type scale struct{ middle, half float64 }

func scaleOf(s []float64) scale {
	lo, hi := bounds(s)
	return scale{lo/2 + hi/2, hi/2 - lo/2}
}

func (s scale) in(v float64) float64  { return (v - s.middle) / s.half }
func (s scale) out(v float64) float64 { return float64(v*s.half) + s.middle }

// spread returns n values evenly spaced over the range of x, which is widened
// if it is too narrow to draw.
func spread(x []float64, n int) []float64 {
	lo, hi := bounds(x)
	s := make([]float64, n)
	for i := range s {
		t := float64(i) / float64(n-1)
		s[i] = lo*(1-t) + hi*t
	}
	return s
}

// bounds returns the least and the greatest of s, moved apart if they are
// closer than an axis can show.
func bounds(s []float64) (lo, hi float64) {
	lo, hi = slices.Min(s), slices.Max(s)
	if size := max(-lo, hi); size < 1e-100 {
		return -0.5, 0.5
	} else if hi-lo < 1e-6*size {
		return lo - size/2, hi + size/2
	}
	return lo, hi
}

func finite(v float64) bool { return math.Abs(v) <= math.MaxFloat64 }

func float64s[T kernels.Float](s []T) []float64 {
	d := make([]float64, len(s))
	for i, v := range s {
		d[i] = float64(v)
	}
	return d
}
