package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-go/lockstep/bench/internal/pauses"
	"github.com/lockstep-go/lockstep/bench/internal/peers"
	"github.com/lockstep-go/lockstep/bench/internal/roof"
)

func TestParseShapes(t *testing.T) {
	got, err := parseShapes("64x256x256,1x2x3")
	if want := []peers.Shape{{N: 64, In: 256, Out: 256}, {N: 1, In: 2, Out: 3}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("the shapes are %v, %v, want %v", got, err, want)
	}
	for _, bad := range []string{"1x2", "1x2x3x4", "0x1x1", "1x2x3 ", "a", "1x2x3,,"} {
		if got, err := parseShapes(bad); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

func TestParseSizes(t *testing.T) {
	if got, err := parseSizes("5,1,5,4096"); err != nil || !slices.Equal(got, []int{5, 1, 4096}) {
		t.Errorf("the sizes are %v, %v, want 5, 1 and 4096", got, err)
	}
	for _, bad := range []string{"", "0", "-1", "1,,2", "a", "1.5", "2000000", "1024"} {
		if got, err := parseSizes(bad); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

// Flags that mean nothing, alone or beside others, are refused before anything is measured.
func TestOptions(t *testing.T) {
	good := options{types: "f64,f32", sizes: "1,2"}
	if err := good.check(nil); err != nil {
		t.Errorf("%+v: %v", good, err)
	}
	for _, c := range []struct {
		change func(*options)
		given  string
		want   string
	}{
		{func(o *options) { o.types = "f64,f64" }, "types", "once each"},
		{func(o *options) { o.types = "f16" }, "types", "f32 and f64"},
		{func(o *options) { o.peers = "openblas,blass" }, "peers", `"blass"`},
		{func(o *options) { o.count = -3 }, "count", "-3"},
		{func(o *options) { o.shapes = "1x2" }, "shapes", "1x2"},
		{func(o *options) { o.sizes = "1,a" }, "sizes", `"a"`},
		{func(o *options) {}, "sizes", "-sizes"},
		{func(o *options) { o.sweep, o.smooth = true, true }, "sweep smooth", "-smooth"},
		{func(o *options) { o.sweep, o.count = true, 3 }, "sweep count", "-count"},
		{func(o *options) { o.smooth, o.shapes = true, "1x2x3" }, "smooth shapes", "-shapes"},
	} {
		o, given := good, map[string]bool{}
		c.change(&o)
		for name := range strings.FieldsSeq(c.given) {
			given[name] = true
		}
		if err := o.check(given); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v, given %s: %v, want an error with %s", o, c.given, err, c.want)
		}
	}
}

// Packed weights are less work: they are shown, but are not the best peer. Who
// is best shows turn by turn, whatever the medians.
func TestBest(t *testing.T) {
	m := dense{Times: []timing{
		{Name: "lockstep", Median: 2, Ratio: 1}, {Name: "onednn-packed", Median: 1, Ratio: 0.5},
		{Name: "blis", Median: 2.9, Ratio: 2}, {Name: "openblas", Median: 3, Ratio: 1.5},
	}}
	if peer, lead := m.best(); peer.Name != "openblas" || lead != 1.5 {
		t.Errorf("the best is %s by %v, want openblas by 1.5", peer.Name, lead)
	}
	m.Times = m.Times[:1]
	if _, lead := m.best(); lead != 0 {
		t.Errorf("without peers the lead is %v", lead)
	}
}

func TestRatio(t *testing.T) {
	for _, c := range []struct {
		p, q []float64
		want float64
	}{
		{[]float64{9, 2, 4, 6}, []float64{1, 1, 2, 30}, 2}, // the first is the calibration
		{[]float64{8}, []float64{2, 4, 4}, 4},              // which is all that one had
		{[]float64{8, 1, 1}, []float64{2}, 4},
	} {
		if got := ratio(c.p, c.q); got != c.want {
			t.Errorf("the ratio of %v over %v is %v, want %v", c.p, c.q, got, c.want)
		}
	}
}

// Ours is never hopeless, nor is a loop that takes no time a measure of anybody.
func TestHopeless(t *testing.T) {
	const d = time.Millisecond
	for _, c := range []struct {
		t, first float64
		want     bool
	}{
		{0.2, 0.2, false}, {1e-9, 0.2, false}, {0.2, 0.02, false}, {0.2, 0.01, true}, {0.003, 1e-6, false}, {0.005, 1e-6, true},
	} {
		if got := hopeless(c.t, c.first, d); got != c.want {
			t.Errorf("%v s beside %v s: hopeless is %v", c.t, c.first, got)
		}
	}
}

// A sample is of about the time asked for, and all get as many, whoever is quicker.
func TestTurns(t *testing.T) {
	calls := 0
	got := turns(3, 2*time.Millisecond, []contender{
		{"a", func(reps int) { time.Sleep(time.Duration(reps) * 100 * time.Microsecond) }},
		{"b", func(reps int) { calls++; time.Sleep(time.Duration(reps) * 300 * time.Microsecond) }},
		{"c", func(reps int) {
			for range reps {
			}
		}},
	})
	for i, least := range []float64{100e-6, 300e-6, 0} {
		if m := got[i]; m.Count != 3 || i == 0 && m.Ratio != 1 || m.Ratio < 0 || m.Min < least || m.Min > m.Median || m.Median > m.Max {
			t.Errorf("the timing is %+v, want 3 samples of at least %v", m, least)
		}
	}
	if calls < 4 {
		t.Errorf("b ran %d times", calls)
	}
}

// The document of made-up results, with and without limits and peers.
func TestDocument(t *testing.T) {
	s := peers.Shape{N: 64, In: 256, Out: 256}
	full := results{
		Backend: "avx512", Missing: []string{"blis: not here"},
		Limits: []limit{
			{"fma", "f64", "", 0, 100e9}, {"read", "", "L1", 1 << 14, 400e9}, {"read", "", "L2", 1 << 19, 200e9},
			{"read", "", "L3", 1 << 23, 100e9}, {"read", "", "memory", 1 << 27, 50e9},
		},
		Dense: []dense{
			{s, "f64", peers.Forward, []timing{{"lockstep", 1e-4, 1e-4, 2e-4, 1, 3}, {"openblas", 2e-4, 1e-4, 3e-4, 2.04, 3}}, 0.84},
			{s, "f64", peers.Backward, []timing{{"lockstep", 3e-4, 2e-4, 4e-4, 1, 3}}, 0},
		},
		Workers: []dense{{s, "f64", peers.Forward, []timing{{"one worker", 1e-4, 1e-4, 2e-4, 1, 3}, {"two workers", 6e-5, 6e-5, 6e-5, 0.625, 3}, {"two calls", 1e-4, 1e-4, 1e-4, 1.28, 3}}, 0}},
		Order: []dense{
			{s, "f64", peers.Forward, []timing{{"lockstep", 1e-4, 1e-4, 1e-4, 1, 3}, {"fixed", 6e-4, 6e-4, 6e-4, 6, 3}, {"free", 4e-4, 4e-4, 4e-4, 4, 3}}, 0},
			{s, "f32", peers.Forward, []timing{{"lockstep", 1e-4, 1e-4, 1e-4, 1, 3}, {"free", 1e-4, 1e-4, 1e-4, 1, 3}}, 0},
		},
		Stops:      []stops{{"a loop in Go", pauses.Tally{Stops: 900, Long: 3, Median: 8e-6, Most: 4e-5, Worst: 1e-3}}},
		Regression: []timing{{"Lockstep", 2e-3, 1e-3, 3e-3, 1, 3}, {"NumPy", 40e-3, 39e-3, 41e-3, 0, 3}},
	}
	for _, r := range []results{full, {Backend: "generic", Dense: full.Dense}} {
		dir := t.TempDir()
		d := document{options: options{count: 3}, cpu: "some CPU", results: []results{r}}
		if err := d.write(dir); err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile(filepath.Join(dir, "report.md"))
		if err != nil {
			t.Fatal(err)
		}
		wants := []string{"some CPU", "| 64×256×256 | f64 | backward | 300 µs | 55.9 |"}
		pictures := []string{"ratio.svg"}
		if r.Limits != nil {
			wants = append(wants, "| 64×256×256 | f64 | forward | 100 µs | 83.9 | openblas | 41.9 | 2.04 | 84 % |",
				"| medium | forward | 1 | 1 | 1 | 1 | 2.04 (64×256×256, f64) | 2.04 | 84 % |",
				"| 64×256×256 | f64 | forward | 100 µs | 60 µs | 1.60 | 1.56 |", "| a loop in Go | 900 | 8 µs | 40 µs | 1 ms | 3 |",
				"| 64×256×256 | f64 | forward | 100 µs | 600 µs | 400 µs | 1.50 | 0.25 |", "| 64×256×256 | f32 | forward | 100 µs | – | 100 µs | – | 1.00 |", "could cost most, is 0.50.",
				"| NumPy | 40.00 | 39.00 | 41.00 | 20.00 |", "- blis: not here")
			pictures = append(pictures, "roofline.svg")
		}
		for _, want := range wants {
			if !strings.Contains(string(page), want) {
				t.Errorf("the page lacks %q:\n%s", want, page)
			}
		}
		for _, name := range pictures {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(b), "<svg") {
				t.Errorf("%s is no SVG (%v)", name, err)
			}
		}
	}
}

// What binds is the limit that takes longest, counted in repetitions of its loop.
func TestBinding(t *testing.T) {
	r := results{
		Limits: []limit{{"fma", "f64", "", 0, 100e9}, {"fma", "f32", "", 0, 200e9}, {"read", "", "L1", 0, 400e9}, {"read", "", "L2", 0, 200e9}, {"read", "", "L3", 0, 1e9}, {"read", "", "memory", 0, 1e9}},
		loops:  []roof.Limit{{Level: "f64", Amount: 1000}, {Level: "f32", Amount: 2000}, {Level: "L1", Amount: 100}, {Level: "L2", Amount: 200}, {Level: "L3", Amount: 300}, {Level: "memory", Amount: 400}},
	}
	for _, c := range []struct {
		m    dense
		loop string
		reps float64
	}{
		{dense{Shape: peers.Shape{N: 10, In: 20, Out: 30}, Type: "f64", Op: peers.Forward}, "f64", 12},
		{dense{Shape: peers.Shape{N: 10, In: 20, Out: 30}, Type: "f32", Op: peers.Forward}, "f32", 6},
		{dense{Shape: peers.Shape{N: 1, In: 1 << 12, Out: 1 << 14}, Type: "f64", Op: peers.Forward}, "memory", 8 * float64(1<<26+1<<12+2<<14) / 400},
		{dense{Shape: peers.Shape{N: 1, In: 1 << 12, Out: 1 << 14}, Type: "f64", Op: peers.Backward}, "memory", 8 * float64(2<<26+2<<12+4<<14) / 400},
	} {
		loop, reps := r.binding(&c.m)
		if loop == nil || loop.Level != c.loop || math.Abs(reps/c.reps-1) > 0.01 {
			t.Errorf("%v %s: bound by %+v, %v times; want %s, %v times", c.m.Shape, c.m.Type, loop, reps, c.loop, c.reps)
		}
	}
	if loop, _ := new(results).binding(&dense{Shape: peers.Shape{N: 1, In: 1, Out: 1}, Type: "f64"}); loop != nil {
		t.Errorf("without limits %+v binds", loop)
	}
}

// A sweep lists what is slower, the worst first, and says of which sizes it is.
func TestSweepDocument(t *testing.T) {
	pass := func(n, out int, lead float64) dense {
		return dense{peers.Shape{N: n, In: 5, Out: out}, "f32", peers.Backward, []timing{{"lockstep", 1e-6, 1e-6, 1e-6, 1, 3}, {"blis", lead * 1e-6, 1e-6, 1e-6, lead, 3}}, 0}
	}
	r := results{Backend: "avx2", Dense: []dense{pass(1, 8, 0.8), pass(1, 10, 0.5), pass(2, 8, 0.95), pass(2, 10, 2)}}
	var b strings.Builder
	r.writeSweep(&b)
	r.writeSlower(&b)
	for _, want := range []string{
		"of 4 passes, 2 run slower", "| 1 | – | – | – | 2 of 2, 0.63 |", "| 2 | – | – | – | 0 of 2, 1.38 |", "| 10 | – | – | – | 1 of 2, 1.00 |",
		"blis | 500 ns | 0.50 |\n| 1×5×8 | f32 | backward | 1 µs | blis | 800 ns | 0.80 |\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, b.String())
		}
	}
}

// Only what is steep is a step.
func TestSteps(t *testing.T) {
	var r results
	r.steps("f64", peers.Forward, []step{{Time: 1.4}, {Time: 1.6}, {Time: 0.7}, {Time: 0.6}})
	if len(r.Steps) != 2 || r.Steps[0].Time != 1.6 || r.Steps[1].Time != 0.6 {
		t.Errorf("the steps are %+v", r.Steps)
	}
}
