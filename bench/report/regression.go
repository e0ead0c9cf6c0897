package main

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/mlp"
)

var (
	//go:embed regression/plain.c
	inC []byte
	//go:embed regression/with_numpy.py
	inNumPy []byte
	//go:embed regression/with_torch.py
	inTorch []byte
)

const (
	points = 300
	units  = 10
	steps  = 1000
	rate   = 0.05
)

// regression times a thousand steps of the tutorial by ours and, as programs
// of their own on the same data, by plain C, NumPy and PyTorch. All take turns.
func (r *results) regression(o options) {
	if !o.wants("regression") {
		return
	}
	dir, err := os.MkdirTemp("", "lockstep-regression")
	if err != nil {
		r.miss("regression", err)
		return
	}
	defer os.RemoveAll(dir)
	data := regressionData()
	file := filepath.Join(dir, "data")
	var raw bytes.Buffer
	binary.Write(&raw, binary.NativeEndian, data) // to memory: it cannot fail
	if err := os.WriteFile(file, raw.Bytes(), 0o600); err != nil {
		r.miss("regression", err)
		return
	}
	args := []string{file, strconv.Itoa(points), strconv.Itoa(steps), fmt.Sprint(rate), "3"}

	_, want := oursOnce(data)
	type entrant struct {
		name    string
		run     func() ([]float64, error) // seconds
		samples []float64
	}
	all := []*entrant{{name: "Lockstep", run: func() ([]float64, error) {
		var s []float64
		for range 15 {
			t, _ := oursOnce(data)
			s = append(s, t)
		}
		return s[12:], nil // the runtime's monitor is busy for milliseconds after a program has run
	}}}
	for _, p := range programs(dir, r.miss) {
		all = append(all, &entrant{name: p.name, run: func() ([]float64, error) {
			return runProgram(append(p.command, args...), want)
		}})
	}
	for range max(2, o.count/2) {
		for i := 0; i < len(all); i++ {
			s, err := all[i].run()
			if err != nil {
				r.miss(all[i].name, err)
				all = slices.Delete(all, i, i+1)
				i--
				continue
			}
			all[i].samples = append(all[i].samples, s...)
		}
		progress()
	}
	for _, e := range all {
		if len(e.samples) > 0 {
			r.Regression = append(r.Regression, summary(e.name, e.samples))
		}
	}
}

func (r *results) miss(name string, err error) {
	r.Missing = append(r.Missing, fmt.Sprintf("%s: %v", name, err))
}

// regressionData is x, y = x² - ½ + noise, and the first weights, in the
// order that plain.c names.
func regressionData() []float64 {
	rng := rand.New(rand.NewPCG(1, 0))
	data := make([]float64, 2*points+3*units+1)
	for i := range points {
		x := float64(2*i-(points-1)) / (points - 1)
		data[i], data[points+i] = x, float64(x*x)-0.5+float64(0.05*mlp.Normal(rng)) // nothing is fused
	}
	w := data[2*points:]
	for j := range units {
		w[j], w[units+j], w[2*units+j] = mlp.Normal(rng), 0.1, mlp.Normal(rng)
	}
	w[3*units] = 0.1
	return data
}

// oursOnce returns the seconds and the cost before the last step.
func oursOnce(data []float64) (seconds, cost float64) {
	data = slices.Clone(data)
	w := data[2*points:]
	net, err := mlp.New(
		&mlp.Layer[float64]{W: kernels.MatOf(1, units, w[:units]), B: w[units : 2*units], Activation: kernels.ReLU},
		&mlp.Layer[float64]{W: kernels.MatOf(units, 1, w[2*units:3*units]), B: w[3*units:]},
	)
	if err != nil {
		panic(err)
	}
	trainer, err := mlp.NewTrainer(net, points)
	if err != nil {
		panic(err)
	}
	x, y := kernels.MatOf(points, 1, data[:points]), kernels.MatOf(points, 1, data[points:2*points])
	begin := time.Now()
	for range steps {
		if cost, err = trainer.Step(x, y, rate); err != nil {
			panic(err)
		}
	}
	return time.Since(begin).Seconds(), cost
}

type program struct {
	name    string
	command []string
}

// programs returns the commands that can be run here, and tells miss of the
// others.
func programs(dir string, miss func(name string, err error)) []program {
	var list []program
	source := filepath.Join(dir, "plain.c")
	for _, v := range []struct {
		name  string
		flags []string
	}{
		{"C, -O2", []string{"-O2"}},
		{"C, -O3 -march=native -ffast-math", []string{"-O3", "-march=native", "-ffast-math"}},
	} {
		bin := filepath.Join(dir, "c"+strconv.Itoa(len(list)))
		err := os.WriteFile(source, inC, 0o600)
		if err == nil {
			var out []byte
			if out, err = exec.Command("cc", append(v.flags, "-o", bin, source)...).CombinedOutput(); err != nil {
				err = fmt.Errorf("%w %s (Debian's gcc)", err, out)
			}
		}
		if err != nil {
			miss(v.name, err)
			continue
		}
		list = append(list, program{v.name, []string{bin}})
	}
	for _, v := range []struct {
		name, module, debian string
		script               []byte
	}{
		{"NumPy", "numpy", "python3-numpy", inNumPy},
		{"PyTorch", "torch", "python3-torch", inTorch},
	} {
		python := pythonWith(v.module)
		script := filepath.Join(dir, "with_"+v.module+".py")
		if python == "" {
			miss(v.name, fmt.Errorf("no python3 has the module %s (Debian's %s)", v.module, v.debian))
			continue
		}
		if err := os.WriteFile(script, v.script, 0o600); err != nil {
			miss(v.name, err)
			continue
		}
		list = append(list, program{v.name, []string{python, script}})
	}
	return list
}

// pythonWith returns a python3 that can import the module, or "": the one in
// the path may not be the one that the system's packages are for.
func pythonWith(module string) string {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import "+module).Run() == nil {
			return python
		}
	}
	return ""
}

// runProgram returns the seconds that a program printed, if its last costs are
// ours but for rounding.
func runProgram(command []string, want float64) ([]float64, error) {
	cmd := exec.Command(command[0], command[1:]...)
	out, err := cmd.Output()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(failed.Stderr))
	}
	if err != nil {
		return nil, err
	}
	var list []float64
	for line := range bytes.Lines(out) {
		var seconds, cost float64
		if _, err := fmt.Sscan(string(line), &seconds, &cost); err != nil {
			return nil, err
		}
		if !(math.Abs(cost-want) <= 1e-6*want) {
			return nil, fmt.Errorf("its last cost is %v, and ours %v", cost, want)
		}
		list = append(list, seconds)
	}
	if len(list) == 0 {
		return nil, errors.New("it printed no times")
	}
	return list, nil
}
