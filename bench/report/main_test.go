package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-go/lockstep/bench/internal/peers"
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

// Packed weights are less work: they are shown, but are not the best peer.
func TestBest(t *testing.T) {
	m := dense{Times: []timing{{Name: "lockstep", Median: 2}, {Name: "onednn-packed", Median: 1}, {Name: "blis", Median: 4}, {Name: "openblas", Median: 3}}}
	if peer, lead := m.best(); peer.Name != "openblas" || lead != 1.5 {
		t.Errorf("the best is %s by %v, want openblas by 1.5", peer.Name, lead)
	}
	m.Times = m.Times[:1]
	if _, lead := m.best(); lead != 0 {
		t.Errorf("without peers the lead is %v", lead)
	}
}

// A sample is of about the time asked for, and all get as many.
func TestTurns(t *testing.T) {
	calls := 0
	got := turns(3, 2*time.Millisecond, []contender{
		{"a", func(reps int) { time.Sleep(time.Duration(reps) * 100 * time.Microsecond) }},
		{"b", func(reps int) { calls++; time.Sleep(time.Duration(reps) * 300 * time.Microsecond) }},
	})
	for i, least := range []float64{100e-6, 300e-6} {
		if m := got[i]; m.Count != 3 || m.Min < least || m.Min > m.Median || m.Median > m.Max {
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
			{s, "f64", peers.Forward, []timing{{"lockstep", 1e-4, 1e-4, 2e-4, 3}, {"openblas", 2e-4, 1e-4, 3e-4, 3}}},
			{s, "f64", peers.Backward, []timing{{"lockstep", 3e-4, 2e-4, 4e-4, 3}}},
		},
		Regression: []timing{{"Lockstep", 2e-3, 1e-3, 3e-3, 3}, {"NumPy", 40e-3, 39e-3, 41e-3, 3}},
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
			wants = append(wants, "| 64×256×256 | f64 | forward | 100 µs | 83.9 | openblas | 41.9 | 2.00 | 84 % |", "| NumPy | 40.00 | 39.00 | 41.00 | 20.00 |", "- blis: not here")
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
