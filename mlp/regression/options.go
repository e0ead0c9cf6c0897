package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/lockstep-go/lockstep/kernels"
)

// options are the checked flags.
type options struct {
	steps, hidden, points, every int
	rate, noise                  float64
	seed                         uint64
	float32, scale               bool
	backend, out, data           string
}

// maxSize bounds points·hidden. Training takes three such tables, and to draw the curve
// one of atOnce points.
const (
	maxSize = 1 << 26
	atOnce  = 256
)

// parse returns the options, or flag.ErrHelp after it has written the help to
// stdout.
func parse(args []string, stdout io.Writer) (*options, error) {
	var o options
	var typ string
	f := flag.NewFlagSet("regression", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.IntVar(&o.steps, "steps", 1000, "take `n` steps of gradient descent")
	f.Float64Var(&o.rate, "rate", 0.05, "learning rate")
	f.IntVar(&o.hidden, "hidden", 10, "number of ReLU units")
	f.IntVar(&o.points, "points", 300, "number of points")
	f.Float64Var(&o.noise, "noise", 0.05, "standard deviation of the noise in y")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the data and the initial weights")
	f.StringVar(&typ, "type", "float64", "element `type`: float32 or float64")
	f.StringVar(&o.backend, "backend", "", "kernels to use: "+strings.Join(kernels.Backends(), ", ")+"\n(default the first; the results are the same)")
	f.StringVar(&o.out, "out", "regression-out", "`directory` for the pictures, made if need be")
	f.IntVar(&o.every, "every", 50, "print the cost and keep the curve every `n` steps")
	f.StringVar(&o.data, "data", "", "fit the columns x,y of this CSV `file`, which may have a header;\nsee also -scale")
	f.BoolVar(&o.scale, "scale", false, "train on x and y mapped linearly to [-1, 1], where learning goes best;\nthe costs are then of the mapped points, the pictures as without")

	err := f.Parse(args)
	if err == flag.ErrHelp {
		fmt.Fprint(stdout, `Regression fits points (x, y) with a small neural network and draws the result.

	go run ./mlp/regression
	go run ./mlp/regression -hidden 30 -rate 0.02 -steps 5000 -every 100
	go run ./mlp/regression -data points.csv -scale -out pictures

Flags:

`)
		f.SetOutput(stdout)
		f.PrintDefaults()
	}
	if err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}

	maxNoise := maxValue
	if typ == "float32" {
		maxNoise = 1e30
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case o.steps < 0:
		return nil, fmt.Errorf("-steps is %d but must not be negative", o.steps)
	case !(o.rate > 0 && o.rate <= math.MaxFloat64):
		return nil, fmt.Errorf("-rate is %v but must be positive and finite", o.rate)
	case o.hidden < 1:
		return nil, fmt.Errorf("-hidden is %d but must be at least 1", o.hidden)
	case o.hidden > maxSize/atOnce:
		return nil, fmt.Errorf("-hidden is %d but must be at most %d", o.hidden, maxSize/atOnce)
	case o.points < 2:
		return nil, fmt.Errorf("-points is %d but must be at least 2", o.points)
	case o.data == "" && o.points > maxSize/o.hidden:
		return nil, fmt.Errorf("-points %d times -hidden %d is too much: the limit is %d", o.points, o.hidden, maxSize)
	case !(o.noise >= 0 && o.noise <= maxNoise):
		return nil, fmt.Errorf("-noise is %v but must be from 0 to %v", o.noise, maxNoise)
	case typ != "float32" && typ != "float64":
		return nil, fmt.Errorf("-type is %q but must be float32 or float64", typ)
	case typ == "float32" && (float32(o.rate) == 0 || float32(o.rate) > math.MaxFloat32):
		return nil, fmt.Errorf("-rate is %v, which is no positive and finite float32", o.rate)
	case o.backend != "" && !slices.Contains(kernels.Backends(), o.backend), given["backend"] && o.backend == "":
		return nil, fmt.Errorf("-backend is %q but this machine has %s", o.backend, strings.Join(kernels.Backends(), ", "))
	case o.out == "":
		return nil, fmt.Errorf("-out is empty but must name a directory")
	case o.every < 1:
		return nil, fmt.Errorf("-every is %d but must be at least 1", o.every)
	case given["data"] && o.data == "":
		return nil, fmt.Errorf("-data is empty but must name a file")
	case given["data"] && given["points"]:
		return nil, fmt.Errorf("-points %d cannot go with -data, which has its own points", o.points)
	case given["data"] && given["noise"]:
		return nil, fmt.Errorf("-noise %v cannot go with -data, which has its own noise", o.noise)
	}
	o.float32 = typ == "float32"
	return &o, nil
}
