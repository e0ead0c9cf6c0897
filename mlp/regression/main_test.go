package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/gif"
	_ "image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
	"gonum.org/v1/plot"
)

// regression runs the program and returns its output and its exit status.
func regression(ctx context.Context, args ...string) (stdout, stderr string, status int) {
	var out, err bytes.Buffer
	status = run(ctx, args, &out, &err)
	return out.String(), err.String(), status
}

// costs returns the costs of the lines that run printed, digit for digit.
func costs(t *testing.T, stdout string) []string {
	t.Helper()
	var s []string
	for line := range strings.Lines(stdout) {
		var step int
		var cost string
		if _, err := fmt.Sscanf(line, "step %d cost %s", &step, &cost); err == nil {
			s = append(s, cost)
		}
	}
	return s
}

// checkPictures fails t unless the four pictures decode and are named in
// stdout. It returns the animation.
func checkPictures(t *testing.T, dir, stdout string) *gif.GIF {
	t.Helper()
	for _, name := range []string{"data.png", "fit.png", "fit.gif", "cost.png"} {
		path := filepath.Join(dir, name)
		if !strings.Contains(stdout, "wrote "+path+"\n") {
			t.Errorf("%s is not named in the output", path)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		img, format, err := image.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if "."+format != filepath.Ext(name) || img.Bounds().Dx() < 600 || img.Bounds().Dy() < 400 {
			t.Errorf("%s is a %s of %v", name, format, img.Bounds().Size())
		}
	}
	file, err := os.Open(filepath.Join(dir, "fit.gif"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	g, err := gif.DecodeAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// The tutorial: twenty falling costs, four pictures, and the same digits every
// time and on every backend.
func TestTutorial(t *testing.T) {
	for typ, want := range map[string][2]string{
		"float64": {"0.55044403298758671", "0.0031636677351120799"},
		"float32": {"0.550444007", "0.00316366786"},
	} {
		dir := filepath.Join(t.TempDir(), "made", "for", "it")
		stdout, stderr, status := regression(t.Context(), "-type", typ, "-out", dir)
		if status != 0 || stderr != "" {
			t.Fatalf("%s: status %d: %s", typ, status, stderr)
		}
		c := costs(t, stdout)
		if len(c) != 20 || c[0] != want[0] || c[19] != want[1] {
			t.Fatalf("%s: the costs are %d, from %s to %s, want 20, from %s to %s", typ, len(c), c[0], c[len(c)-1], want[0], want[1])
		}
		for i := 1; i < len(c); i++ {
			u, _ := strconv.ParseFloat(c[i-1], 64)
			v, err := strconv.ParseFloat(c[i], 64)
			if err != nil || !(v < u) {
				t.Errorf("%s: cost %d is %s after %s", typ, i, c[i], c[i-1])
			}
		}
		if g := checkPictures(t, dir, stdout); len(g.Image) != 21 {
			t.Errorf("%s: the animation has %d frames, want 21", typ, len(g.Image))
		}
		for _, backend := range append(kernels.Backends(), "") {
			args := []string{"-type", typ, "-out", dir}
			if backend != "" {
				args = append(args, "-backend", backend)
			}
			before := kernels.Backend()
			again, _, _ := regression(t.Context(), args...)
			if again != stdout {
				t.Errorf("%s: backend %q printed\n%s\nafter\n%s", typ, backend, again, stdout)
			}
			if kernels.Backend() != before {
				t.Errorf("%s: backend %q is still selected", typ, backend)
			}
		}
	}
}

func TestFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(file, []byte("1,2\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args, want string
		status     int
	}{
		{"-steps -1", "-steps is -1 but must not be negative", exitUsage},
		{"-steps x", `invalid value "x" for flag -steps`, exitUsage},
		{"-rate NaN", "-rate is NaN but must be positive and finite", exitUsage},
		{"-rate 0", "-rate is 0 but must be", exitUsage},
		{"-rate -0.1", "-rate is -0.1 but must be", exitUsage},
		{"-rate Inf", "-rate is +Inf but must be", exitUsage},
		{"-rate 1e39 -type float32", "-rate is 1e+39, which is no positive and finite float32", exitUsage},
		{"-rate 1e-50 -type float32", "-rate is 1e-50, which is no", exitUsage},
		{"-hidden 0", "-hidden is 0 but must be at least 1", exitUsage},
		{"-points 1", "-points is 1 but must be at least 2", exitUsage},
		{"-points 10000 -hidden 10000", "-points 10000 times -hidden 10000 is too much", exitUsage},
		{"-points 2 -hidden 262145", "-hidden is 262145 but must be at most 262144", exitUsage},
		{"-noise -1", "-noise is -1 but must be from 0", exitUsage},
		{"-noise NaN", "-noise is NaN but must be from 0", exitUsage},
		{"-noise 1e31 -type float32", "-noise is 1e+31 but must be from 0 to 1e+30", exitUsage},
		{"-seed -1", `invalid value "-1" for flag -seed`, exitUsage},
		{"-type int", `-type is "int" but must be float32 or float64`, exitUsage},
		{"-backend abacus", `-backend is "abacus" but this machine has ` + strings.Join(kernels.Backends(), ", "), exitUsage},
		{"-backend=", `-backend is "" but this machine has`, exitUsage},
		{"-every 0", "-every is 0 but must be at least 1", exitUsage},
		{"-out=", "-out is empty", exitUsage},
		{"-out " + file + "/x", "-out: mkdir ", exitFailed},
		{"-data=", "-data is empty", exitUsage},
		{"-data nowhere.csv", "-data: open nowhere.csv: ", exitFailed},
		{"-data f.csv -points 3", "-points 3 cannot go with -data", exitUsage},
		{"-data f.csv -noise 0", "-noise 0 cannot go with -data", exitUsage},
		{"-wrong", "-wrong", exitUsage},
		{"1000", `unexpected argument "1000"`, exitUsage},
	} {
		var args []string
		for _, a := range strings.Split(c.args, " ") {
			if n := len(args); n > 0 && args[n-1] == "-out" || !strings.HasPrefix(c.args, "-out ") {
				args = append(args, a)
			} else {
				args = append(args, "-out", strings.TrimPrefix(c.args, "-out "))
				break
			}
		}
		stdout, stderr, status := regression(t.Context(), args...)
		if status != c.status || stdout != "" || !strings.HasPrefix(stderr, "regression: ") || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: status %d, output %q, message %q; want status %d and %q", c.args, status, stdout, stderr, c.status, c.want)
		}
	}
}

func TestHelp(t *testing.T) {
	stdout, stderr, status := regression(t.Context(), "-h")
	if status != 0 || stderr != "" {
		t.Errorf("status %d: %s", status, stderr)
	}
	for _, s := range []string{"go run ./mlp/regression\n", "-steps", "-rate", "-hidden", "-points", "-noise", "-seed", "-type", "-backend", "-out", "-data", "-every", "-scale"} {
		if !strings.Contains(stdout, s) {
			t.Errorf("the help does not mention %q", s)
		}
	}
}

func TestInterrupt(t *testing.T) {
	// Interrupted by its own third line of output.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dir := t.TempDir()
	out := &countdown{lines: 3, do: cancel}
	var stderr bytes.Buffer
	status := run(ctx, []string{"-every", "10", "-out", dir}, out, &stderr)
	if want := "regression: interrupted after 21 of 1000 steps\n"; status != exitInterrupted || stderr.String() != want {
		t.Errorf("status %d: %s, want %d: %s", status, stderr.String(), exitInterrupted, want)
	}
	if g := checkPictures(t, dir, out.String()); len(g.Image) != 4 {
		t.Errorf("the animation has %d frames, want steps 0, 10, 20 and 21", len(g.Image))
	}

	// Interrupted before the first step: there is the untrained net to draw.
	dir = t.TempDir()
	stdout, _, status := regression(ctx, "-out", dir)
	if status != exitInterrupted || len(costs(t, stdout)) != 0 {
		t.Errorf("status %d: %s", status, stdout)
	}
	checkPictures(t, dir, stdout)
}

// A countdown calls do at the end of the given line.
type countdown struct {
	bytes.Buffer
	lines int
	do    func()
}

func (c *countdown) Write(b []byte) (int, error) {
	if c.lines -= bytes.Count(b, []byte("\n")); c.lines == 0 {
		c.do()
	}
	return c.Buffer.Write(b)
}

func TestDivergence(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-rate 100", "regression: the cost is +Inf at step 63: the run diverged; try a smaller -rate than 100, or -scale\n"},
		{"-rate 100 -type float32 -scale", "the run diverged; try a smaller -rate than 100\n"},
		{"-rate 1e300 -every 1", "the run diverged"},
		{"-rate 1e300 -steps 1", "at step 1: the run diverged"}, // seen only afterwards
		{"-noise 1e100", "the run diverged"},
		{"-noise 1e30 -type float32", "the run diverged"},
	} {
		dir := t.TempDir()
		stdout, stderr, status := regression(t.Context(), append(strings.Fields(c.args), "-out", dir)...)
		if status != exitFailed || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: status %d: %s, want %d: %s", c.args, status, stderr, exitFailed, c.want)
		}
		checkPictures(t, dir, stdout)
	}
}

func TestCSV(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"x,y\n1,2\n3,4\n", "[1 3] [2 4]"},
		{"1,2\n3,4", "[1 3] [2 4]"},
		{"\ufeff1,2\r\n\r\n 3 ,\t4e-1\r\n", "[1 3] [2 0.4]"},
		{"\"time, s\",\"height, m\"\n-1,+2\n", "[-1] [2]"},
		{"1e-400,2\n", "[0] [2]"},
		{"", "there are no points"},
		{"x,y\n", "there are no points"},
		{"x,y\nx,y\n1,2\n", `line 2: x is "x", not a number`},
		{"1,2\n3\n", "line 2 has 1 columns but must have 2: x,y"},
		{"1,2\n\n3,4,5\n", "line 3 has 3 columns but must have 2: x,y"},
		{"a,b,c\n", "line 1 has 3 columns"},
		{"1;2\n", "line 1 has 1 columns"},
		{"x,2\n", `line 1: x is "x", not a number`},
		{"1,2\n3,\n", `line 2: y is "", not a number`},
		{"1,2\nNaN,4\n", `line 2: x is "NaN", not a finite number`},
		{"1,-Inf\n", `line 1: y is "-Inf", not a finite number`},
		{"NaN,NaN\n", `line 1: x is "NaN", not a finite number`},
		{"1,1e400\n", `line 1: y is "1e400", not a finite number`},
		{"1,-1e101\n", `line 1: y is "-1e101", beyond ±1e+100`},
		{"1,2\n\"3,4\n", "line 2"},
		{"1,2\n1,2\n1,2\n1,2\n", "line 4: more than 3 points"},
	} {
		x, y, err := readCSV[float64](strings.NewReader(c.text), 10, 3)
		got := fmt.Sprint(x, y)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%q gives %s, want %s", c.text, got, c.want)
		}
	}

	// In float32 a number is rounded once, and has less room.
	const tie = "1.00000005960464477540" // just above half way between 1 and the next
	x, _, err := readCSV[float32](strings.NewReader(tie+",0\n"), 10, 3)
	if err != nil || x[0] != 1+0x1p-23 {
		t.Errorf("%s is %v, %v in float32", tie, x, err)
	}
	if _, _, err := readCSV[float32](strings.NewReader("1,1e39\n"), 10, 3); err == nil {
		t.Error("1e39 is a float32")
	}
}

// Any points can be drawn.
func TestData(t *testing.T) {
	for name, text := range map[string]string{
		"one point": "5,5\n",
		"zeros":     "0,0\n0,0\n",
		"flat":      "1,7\n2,7\n3,7\n",
		"tiny":      "1e-300,1e-320\n2e-300,5e-324\n",
		"huge":      "1e100,-1e100\n-1e100,1e100\n",
		"far away":  "1e16,3\n10000000000000002,4\n",
		"mixed":     "1e-9,1\n1e9,2\n",
		"unsorted":  "3,1\n1,2\n2,9\n",
		"many":      strings.Repeat("1,2\n2,3\n4,1\n", 2000),
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "p.csv")
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		for _, typ := range []string{"float64", "float32"} {
			if name == "huge" && typ == "float32" {
				continue
			}
			stdout, stderr, status := regression(t.Context(), "-data", file, "-scale", "-type", typ, "-steps", "3", "-every", "2", "-out", dir)
			if status != 0 || len(costs(t, stdout)) != 2 {
				t.Errorf("%s: %s: status %d: %s%s", name, typ, status, stdout, stderr)
			}
			checkPictures(t, dir, stdout)
		}
	}
	stdout, stderr, status := regression(t.Context(), "-data", "main_test.go", "-out", t.TempDir())
	if status != exitFailed || stdout != "" || !strings.HasPrefix(stderr, "regression: -data: main_test.go: line 1 has 1 columns") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
}

// -scale changes units, nothing else: points that are an affine image of others
// give the same costs and the image of their curve.
func TestScale(t *testing.T) {
	fits := map[bool]*fit{}
	for _, moved := range []bool{false, true} {
		var text strings.Builder
		for i := range 33 {
			x := float64(i-16) / 16
			y := 2*x*x - 1
			if moved {
				x, y = 64*x+1024, 8*y-32
			}
			fmt.Fprintln(&text, x, y)
		}
		x, y, err := readCSV[float64](strings.NewReader(strings.ReplaceAll(text.String(), " ", ",")), 10, 100)
		if err != nil {
			t.Fatal(err)
		}
		o, err := parse([]string{"-scale", "-steps", "20", "-every", "10"}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		_, _, rng, err := load[float64](o)
		if err != nil {
			t.Fatal(err)
		}
		fits[moved], err = train(t.Context(), o, kernels.MatOf(len(x), 1, x), kernels.MatOf(len(y), 1, y), rng, io.Discard, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	a, b := fits[false], fits[true]
	if !slices.Equal(a.costs.values, b.costs.values) {
		t.Errorf("the costs are %v and %v", a.costs.values, b.costs.values)
	}
	for i, v := range a.curves.values[2].y {
		if w := b.curves.values[2].y[i]; math.Abs(8*v-32-w) > 1e-9 {
			t.Errorf("point %d of the curve is %v and %v", i, v, w)
		}
	}
}

// With many steps every second sample goes, again and again.
func TestSamples(t *testing.T) {
	s := samples[int]{limit: 8, every: 3}
	for step := range 1000 {
		if s.wants(step) {
			s.add(step, -step)
		}
		if len(s.steps) > s.limit {
			t.Fatalf("%d samples at step %d", len(s.steps), step)
		}
	}
	if want := []int{0, 192, 384, 576, 768, 960}; !slices.Equal(s.steps, want) {
		t.Errorf("the steps kept are %v, want %v", s.steps, want)
	}
	for i, step := range s.steps {
		if s.values[i] != -step {
			t.Errorf("step %d has the value %d", step, s.values[i])
		}
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		ticks plot.ConstantTicks
		want  string
	}{
		{linear(span{-1.06, 1.06}), "-1.0 -0.5 0.0 0.5 1.0"},
		{linear(span{-0.3, 1000}), "0 200 400 600 800 1000"},
		{linear(span{0, 10}), "0 1 2 3 4 5 6 7 8 9 10"},
		{linear(span{-1e100, 1.1e100}), "-1.0e+100 -5.0e+99 0.0e+00 5.0e+99 1.0e+100"},
		{linear(span{0.9999999, 1.0000021}), "1.0000000e+00 1.0000005e+00 1.0000010e+00 1.0000015e+00 1.0000020e+00"},
		{decades(span{1e-3, 10}), "0.001 0.01 0.1 1 10"},
		{decades(span{1e-6, 1e6}), "1e-6 0.0001 0.01 1 100 10000 1e6"},
	} {
		var got []string
		for _, tick := range c.ticks {
			if tick.Label == "" {
				continue
			}
			got = append(got, tick.Label)
			if v, err := strconv.ParseFloat(tick.Label, 64); err != nil || math.Abs(v-tick.Value) > 1e-12*math.Abs(v) {
				t.Errorf("the tick at %v is labelled %s", tick.Value, tick.Label)
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("the labels are %s, want %s", s, c.want)
		}
	}
}

// A cost of zero has no logarithm.
func TestCostPicture(t *testing.T) {
	for _, costs := range [][]float64{nil, {0}, {0, 0}, {1, 0}, {1, 0, 1e-320}, {5e-324}, {math.MaxFloat64}, {math.MaxFloat64, 1}, {10, 10}} {
		f := &fit{}
		for i, c := range costs {
			f.costs.add(i, c)
		}
		if img := f.costPicture().image(20); img.Bounds().Empty() {
			t.Errorf("%v: the picture is empty", costs)
		}
	}
}

func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "fit.png"), 0o777); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, status := regression(t.Context(), "-steps", "2", "-out", dir)
	if status != exitFailed || !strings.HasPrefix(stderr, "regression: fit.png: open ") || strings.Count(stdout, "wrote ") != 3 {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
}

// A curve may leave the numbers before the cost does.
func TestNotFinite(t *testing.T) {
	f := &fit{x: []float64{0, 1, 2, 3}, y: []float64{0, 1, 0, 1}, grid: []float64{0, 1, 2, 3}}
	f.curves.add(0, curve{[]float64{math.NaN(), math.Inf(1), 1e300, 2}, 1})
	f.curves.add(1, curve{[]float64{math.NaN(), math.NaN(), math.NaN(), math.NaN()}, 1})
	x, y := f.fitAxes()
	if !(x.lo < 0 && x.hi > 3 && x.hi < 4 && y.lo < 0 && y.lo > -1 && y.hi > 1 && y.hi < 3) {
		t.Errorf("the axes are %v and %v", x, y)
	}
	if l := line(f.grid, f.curves.values[0].y, y, fitStyles[0]); len(l.XYs) != 2 || l.XYs[0].Y > 1e5 || l.XYs[1].Y != 2 {
		t.Errorf("the line is %v", l.XYs)
	}
	if l := line(f.grid, f.curves.values[1].y, y, fitStyles[0]); len(l.XYs) != 0 {
		t.Errorf("the line is %v", l.XYs)
	}
	f.fitPicture().image(20)
}
