package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/mlp/internal/tutorial"
)

// maxValue bounds what a file or the noise may bring: sizes of axes are
// computed from it. In float32 the type itself is the bound.
const maxValue = 1e100

// load returns the points, as two columns, and the generator that the weights
// are to come from: the tutorial's points are drawn from it first.
func load[T kernels.Float](o *options) (x, y kernels.Mat[T], rng *rand.Rand, err error) {
	rng = rand.New(rand.NewPCG(o.seed, 0))
	if o.data == "" {
		x, y = tutorial.Data[T](o.points, o.noise, rng)
		return x, y, rng, nil
	}
	file, err := os.Open(o.data)
	if err != nil {
		return x, y, nil, fmt.Errorf("-data: %w", err)
	}
	defer file.Close()
	xs, ys, err := readCSV[T](file, o.hidden, maxSize/o.hidden)
	if err != nil {
		return x, y, nil, fmt.Errorf("-data: %s: %w", o.data, err)
	}
	return kernels.MatOf(len(xs), 1, xs), kernels.MatOf(len(ys), 1, ys), rng, nil
}

// readCSV returns the two columns of r, at most limit lines, which is what so many
// hidden units allow. The first line may be a header: two fields, neither of them a
// number.
func readCSV[T kernels.Float](r io.Reader, hidden, limit int) (x, y []T, err error) {
	reader := csv.NewReader(r)
	reader.FieldsPerRecord = -1
	reader.ReuseRecord = true
	for first := true; ; first = false {
		fields, err := reader.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, err // it names the line
		}
		line, _ := reader.FieldPos(0)
		if first {
			fields[0] = strings.TrimPrefix(fields[0], "\ufeff") // a byte order mark
		}
		if len(fields) != 2 {
			return nil, nil, fmt.Errorf("line %d has %d columns but must have 2: x,y", line, len(fields))
		}
		u, errU := number[T](fields[0])
		v, errV := number[T](fields[1])
		switch {
		case first && errors.Is(errU, errNumber) && errors.Is(errV, errNumber):
			continue
		case errU != nil:
			return nil, nil, fmt.Errorf("line %d: x is %q, %w", line, fields[0], errU)
		case errV != nil:
			return nil, nil, fmt.Errorf("line %d: y is %q, %w", line, fields[1], errV)
		case len(x) == limit:
			return nil, nil, fmt.Errorf("line %d: more than %d points are too many for -hidden %d", line, limit, hidden)
		}
		x, y = append(x, u), append(y, v)
	}
	if len(x) == 0 {
		return nil, nil, errors.New("there are no points")
	}
	return x, y, nil
}

var errNumber = errors.New("not a number")

// number returns the T nearest to the decimal s.
func number[T kernels.Float](s string) (T, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 8*int(unsafe.Sizeof(T(0))))
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		return 0, errNumber
	case !finite(v):
		return 0, errors.New("not a finite number of the type")
	case v > maxValue || v < -maxValue:
		return 0, fmt.Errorf("beyond ±%v", maxValue)
	}
	return T(v), nil
}
