// Regression fits a noisy parabola with a small neural network: the classic
// first tutorial, on the kernels of Lockstep.
//
//	go run ./mlp/regression
//
// Without a flag it takes 300 points of y = x² - 0.5 + 0.05·N(0,1), with x
// evenly spaced over [-1, 1], and trains a net of one input, ten ReLU units
// and one linear output, weights from N(0,1) and biases 0.1, by 1000 steps of
// gradient descent on the mean squared error of all points, at rate 0.05. It
// prints the cost before step 0, 50, …, 950 with all its digits, which are
// the same on every machine, and writes four pictures: the data, the fitted
// curves, the fit as an animation, and the cost.
//
// With -data it fits the two columns of a CSV file instead; -h lists all flags.
//
// The exit status is 0, or 1 if something failed or the cost ran off to
// infinity, 2 for a wrong flag, 130 if interrupted. Pictures of a run that
// diverged or was interrupted show what there was.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/lockstep-go/lockstep/kernels"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// run is the program: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "regression: %v\nregression -h lists the flags\n", err)
		return exitUsage
	}
	if o.backend != "" {
		restore, err := kernels.SetBackend(o.backend)
		if err != nil {
			fmt.Fprintf(stderr, "regression: -backend: %v\n", err)
			return exitUsage
		}
		defer restore()
	}
	if o.float32 {
		err = regress[float32](ctx, o, stdout, stderr)
	} else {
		err = regress[float64](ctx, o, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "regression: %v\n", err)
		if errors.Is(err, errInterrupted) {
			return exitInterrupted
		}
		return exitFailed
	}
	return 0
}

// regress trains, prints and draws, with elements of type T. The pictures are
// written even if the training did not reach its end, and the error then says
// why not.
func regress[T kernels.Float](ctx context.Context, o *options, stdout, stderr io.Writer) error {
	x, y, rng, err := load[T](o)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o777); err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	f, err := train(ctx, o, x, y, rng, stdout, newProgress(stderr, o.steps))
	if f == nil {
		return err
	}
	return errors.Join(err, f.draw(o.out, stdout))
}
