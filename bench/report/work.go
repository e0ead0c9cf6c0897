package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/lockstep-go/lockstep/bench/internal/order"
	"github.com/lockstep-go/lockstep/bench/internal/peers"
	"github.com/lockstep-go/lockstep/bench/internal/roof"
	"github.com/lockstep-go/lockstep/kernels"
)

// results are what a worker measured with one backend.
type results struct {
	Backend    string
	Missing    []string
	Limits     []limit
	Dense      []dense
	Order      []dense
	Regression []timing
	Steps      []step // of -smooth
}

// A limit is the most that a loop reached, in operations or bytes a second.
type limit struct {
	Kind, Type, Level string
	Bytes             int
	Most              float64
}

// dense is one pass over one layer. Ours is the first of the times.
type dense struct {
	Shape peers.Shape
	Type  string
	Op    peers.Op
	Times []timing
}

// A step is a pair of neighbouring sizes.
type step struct {
	From, To   peers.Shape
	Type       string
	Op         peers.Op
	Time, Work float64 // how many times as long, and as much
}

// headline are the shapes of the table.
var headline = []peers.Shape{
	{N: 300, In: 1, Out: 10}, {N: 300, In: 10, Out: 1},
	{N: 8, In: 8, Out: 8}, {N: 16, In: 16, Out: 16}, {N: 32, In: 64, Out: 64},
	{N: 1, In: 64, Out: 64}, {N: 2, In: 64, Out: 64}, {N: 4, In: 64, Out: 64}, {N: 8, In: 64, Out: 64},
	{N: 1, In: 512, Out: 512}, {N: 2, In: 512, Out: 512}, {N: 4, In: 512, Out: 512}, {N: 8, In: 512, Out: 512},
	{N: 1, In: 300, Out: 700}, {N: 2, In: 300, Out: 700}, {N: 4, In: 300, Out: 700}, {N: 8, In: 300, Out: 700},
	{N: 1, In: 4096, Out: 4096}, {N: 2, In: 4096, Out: 4096}, {N: 4, In: 4096, Out: 4096}, {N: 8, In: 4096, Out: 4096},
	{N: 64, In: 256, Out: 256}, {N: 100, In: 300, Out: 500}, {N: 128, In: 784, Out: 128}, {N: 257, In: 509, Out: 1021},
	{N: 256, In: 512, Out: 512}, {N: 512, In: 512, Out: 512}, {N: 1024, In: 1024, Out: 1024}, {N: 2048, In: 2048, Out: 2048},
}

// quick are fewer of them; forced and forcedPure are those that matter for a
// backend that is not the best one here, and for pure Go.
var (
	quick = []peers.Shape{
		{N: 300, In: 1, Out: 10}, {N: 300, In: 10, Out: 1}, {N: 16, In: 16, Out: 16}, {N: 32, In: 64, Out: 64},
		{N: 1, In: 64, Out: 64}, {N: 1, In: 512, Out: 512}, {N: 64, In: 256, Out: 256}, {N: 256, In: 512, Out: 512},
	}
	forced     = []peers.Shape{{N: 32, In: 64, Out: 64}, {N: 64, In: 256, Out: 256}, {N: 256, In: 512, Out: 512}, {N: 1024, In: 1024, Out: 1024}}
	forcedPure = []peers.Shape{{N: 32, In: 64, Out: 64}, {N: 64, In: 256, Out: 256}}
)

// work measures with the backend in use.
func work(o options) *results {
	// Gonum and vek would use more threads than ours.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(-1)
	r := &results{Backend: kernels.Backend(), Missing: peers.Missing()}
	switch {
	case o.sweep:
		r.sweep(o)
		return r
	case o.smooth:
		r.smooth(o)
		return r
	}
	all := kernels.Backends()
	best, pure := r.Backend == all[0], r.Backend == all[len(all)-1]
	shapes, _ := parseShapes(o.shapes)
	switch {
	case shapes != nil:
	case best && o.quick:
		shapes = quick
	case best:
		shapes = headline
	case pure:
		shapes = forcedPure
		o.peers = "gonum" // the others have their kernels in assembly throughout
	case o.quick:
		shapes = forced[:3]
	default:
		shapes = forced
	}
	d := 5 * time.Millisecond
	if o.quick {
		d = 2 * time.Millisecond
	}
	if best || !pure {
		r.limits(o.count, d)
	}
	for _, s := range shapes {
		r.Dense = append(r.Dense, layers(o, s, o.count, d)...)
		progress()
	}
	if best && o.shapes == "" {
		for _, c := range order.Cases {
			if strings.Contains(o.types, "f64") {
				r.Order = append(r.Order, price[float64](c, "f64", o.count, d)...)
			}
			if strings.Contains(o.types, "f32") {
				r.Order = append(r.Order, price[float32](c, "f32", o.count, d)...)
			}
			progress()
		}
		r.regression(o)
	}
	return r
}

func progress() {
	fmt.Fprint(os.Stderr, ".")
	runtime.GC() // what the last shape left
}

// limits takes the best of all samples: a limit is what can be reached.
func (r *results) limits(count int, d time.Duration) {
	var all []contender
	loops := roof.Limits(r.Backend)
	for _, l := range loops {
		all = append(all, contender{l.Kind + l.Type + l.Level, l.Run})
	}
	if all == nil {
		return
	}
	for i, t := range turns(max(count, 9), d, all) {
		l := loops[i]
		r.Limits = append(r.Limits, limit{l.Kind, l.Type, l.Level, l.Bytes, l.Amount / t.Min})
	}
	progress()
}

// layers times both passes of the types asked for, ours first.
func layers(o options, s peers.Shape, count int, d time.Duration) []dense {
	var list []dense
	for typ := range strings.SplitSeq(o.types, ",") {
		for _, op := range []peers.Op{peers.Forward, peers.Backward} {
			list = append(list, pass(o, s, typ, op, count, d))
		}
	}
	return list
}

func pass(o options, s peers.Shape, typ string, op peers.Op, count int, d time.Duration) dense {
	if typ == "f32" {
		return dense{s, typ, op, timings[float32](o, s, op, count, d)}
	}
	return dense{s, typ, op, timings[float64](o, s, op, count, d)}
}

func timings[T kernels.Float](o options, s peers.Shape, op peers.Op, count int, d time.Duration) []timing {
	l, ours := peers.NewLayer[T](s), peers.Ours[T]()
	all := []contender{{ours.Name, ours.Prepare(l, op)}}
	for _, p := range peers.List[T]() {
		if inGo := p.Name == "gonum" || p.Name == "vek"; !o.wants(p.Name) || inGo && s.Flops(op) > 1e9 {
			continue // it would take seconds to lose
		}
		if run := p.Prepare(l, op); run != nil {
			all = append(all, contender{p.Name, run})
		}
	}
	return turns(count, d, all)
}

// price times the same pass in a fixed order and in a free one.
func price[T kernels.Float](c order.Case, typ string, count int, d time.Duration) []dense {
	l := peers.NewLayer[T](c.Shape)
	all := []contender{{"lockstep", order.Ours(l, c.Op)}}
	for _, free := range []bool{false, true} {
		if run := order.InC(l, c.Op, free); run != nil {
			all = append(all, contender{map[bool]string{false: "fixed", true: "free"}[free], run})
		}
	}
	if len(all) == 1 {
		return nil
	}
	return []dense{{c.Shape, typ, peers.Op(c.Op), turns(count, d, all)}}
}

// sweep measures 400 shapes briefly, and again with care those where ours
// seems to lose.
func (r *results) sweep(o options) {
	sizes := []int{1, 2, 3, 5, 8, 10, 16, 17, 31, 64, 100, 128, 300, 512}
	rng := rand.New(rand.NewPCG(400, 14))
	seen := map[peers.Shape]bool{}
	samples := 400
	if o.quick {
		samples = 40
	}
	for len(seen) < samples {
		pick := func() int { return sizes[rng.IntN(len(sizes))] }
		s := peers.Shape{N: pick(), In: pick(), Out: pick()}
		if seen[s] {
			continue
		}
		seen[s] = true
		for _, m := range layers(o, s, 3, 300*time.Microsecond) {
			if _, lead := m.best(); lead < 0.95 {
				m = pass(o, s, m.Type, m.Op, 9, time.Millisecond)
			}
			r.Dense = append(r.Dense, m)
		}
		if len(seen)%20 == 0 {
			progress()
		}
	}
}

// smooth measures ours at sizes that follow each other.
func (r *results) smooth(o options) {
	var lines [][]peers.Shape
	for _, in := range []int{10, 64, 300} {
		var byN, byOut, one []peers.Shape
		for k := 1; k <= 72; k++ {
			byN = append(byN, peers.Shape{N: k, In: in, Out: 64})
			byOut = append(byOut, peers.Shape{N: 64, In: in, Out: k})
			one = append(one, peers.Shape{N: 1, In: in, Out: k})
		}
		lines = append(lines, byN, byOut, one)
	}
	o.peers = "none"
	for _, line := range lines {
		times := map[string]map[peers.Op][]float64{"f32": {}, "f64": {}}
		for _, s := range line {
			for _, m := range layers(o, s, 5, 300*time.Microsecond) {
				times[m.Type][m.Op] = append(times[m.Type][m.Op], m.Times[0].Min)
			}
		}
		for _, typ := range []string{"f64", "f32"} {
			for _, op := range []peers.Op{peers.Forward, peers.Backward} {
				t := times[typ][op]
				for i := 1; i < len(t); i++ {
					if up, down := t[i]/t[i-1], t[i-1]/t[i]; max(up, down) > 1.5 {
						work := line[i].Flops(op) / line[i-1].Flops(op)
						r.Steps = append(r.Steps, step{line[i-1], line[i], typ, op, up, work})
					}
				}
			}
		}
		progress()
	}
}

// best returns the fastest of the peers that do the same work, and by how many
// times it is slower than ours. Without peers lead is 0.
func (m *dense) best() (peer timing, lead float64) {
	for _, t := range m.Times[1:] {
		if t.Name == "onednn-packed" { // it had its weights laid out beforehand
			continue
		}
		if lead == 0 || t.Median < peer.Median {
			peer, lead = t, t.Median/m.Times[0].Median
		}
	}
	return peer, lead
}
