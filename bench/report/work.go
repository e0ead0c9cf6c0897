package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-go/lockstep/bench/internal/order"
	"github.com/lockstep-go/lockstep/bench/internal/pauses"
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
	Workers    []dense // ours with one worker, with two, and two calls at once
	Stops      []stops
	Regression []timing
	Steps      []step // of -smooth

	loops []roof.Limit // that Limits were measured with
}

// A limit is the most that a loop reached, in operations or bytes a second.
type limit struct {
	Kind, Type, Level string
	Bytes             int
	Most              float64
}

// dense is one pass over one layer. Ours is the first of the times; Roof is the least
// time that the limits allow over ours, or 0 if they are not known.
type dense struct {
	Shape peers.Shape
	Type  string
	Op    peers.Op
	Times []timing
	Roof  float64
}

// stops are those of the world while something ran.
type stops struct {
	During string
	pauses.Tally
}

// A step is a pair of neighbouring sizes.
type step struct {
	From, To   peers.Shape
	Type       string
	Op         peers.Op
	Time, Work float64 // how many times as long, and as much
}

// A class is some shapes of the table, which has a line that sums them up.
type class struct {
	Name   string
	Shapes []peers.Shape
}

var classes = []class{
	{"regression", []peers.Shape{{N: 300, In: 1, Out: 10}, {N: 300, In: 10, Out: 1}}},
	{"small", []peers.Shape{{N: 8, In: 8, Out: 8}, {N: 16, In: 16, Out: 16}, {N: 32, In: 64, Out: 64}}},
	{"1–8 rows, 64×64", rows(64, 64)},
	{"1–8 rows, 300×700", rows(300, 700)},
	{"1–8 rows, 512×512", rows(512, 512)},
	{"1–8 rows, 4096×4096", rows(4096, 4096)},
	{"medium", []peers.Shape{
		{N: 64, In: 256, Out: 256}, {N: 100, In: 300, Out: 500}, {N: 128, In: 784, Out: 128},
		{N: 257, In: 509, Out: 1021}, {N: 256, In: 512, Out: 512},
	}},
	{"large", []peers.Shape{{N: 512, In: 512, Out: 512}, {N: 1024, In: 1024, Out: 1024}, {N: 2048, In: 2048, Out: 2048}}},
}

func rows(in, out int) []peers.Shape {
	return []peers.Shape{{N: 1, In: in, Out: out}, {N: 2, In: in, Out: out}, {N: 4, In: in, Out: out}, {N: 8, In: in, Out: out}}
}

// headline are the shapes of the table.
func headline() []peers.Shape {
	var all []peers.Shape
	for _, c := range classes {
		all = append(all, c.Shapes...)
	}
	return all
}

// shared are the shapes that two workers share.
var shared = []peers.Shape{
	{N: 64, In: 256, Out: 256}, {N: 256, In: 512, Out: 512},
	{N: 512, In: 512, Out: 512}, {N: 1024, In: 1024, Out: 1024}, {N: 2048, In: 2048, Out: 2048},
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
		shapes = headline()
	case pure:
		shapes = forcedPure
		if o.wants("gonum") {
			o.peers = "gonum" // the others have their kernels in assembly throughout
		} else {
			o.peers = "none"
		}
	case o.quick:
		shapes = forced[:3]
	default:
		shapes = forced
	}
	d := 5 * time.Millisecond
	if o.quick {
		d = 2 * time.Millisecond
	}
	for i, s := range shapes {
		// A neighbour may slow the machine for a while: the limits are asked for
		// every few shapes, and the most counts.
		if (best || !pure) && i%8 == 0 {
			r.limits(o.count, d)
		}
		r.Dense = append(r.Dense, r.layers(o, s, o.count, d)...)
		progress()
	}
	if !best || o.shapes != "" {
		return r
	}
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
	switch {
	case o.quick:
	case runtime.NumCPU() < 2:
		r.miss("two workers, and stops of the world", errors.New("they need a second CPU"))
	default:
		runtime.GOMAXPROCS(2)
		r.workers(o, d)
		r.stops(o)
	}
	return r
}

func progress() {
	fmt.Fprint(os.Stderr, ".")
	runtime.GC() // what the last shape left
}

// limits takes the best of all samples, and of what is known already: a limit
// is what can be reached.
func (r *results) limits(count int, d time.Duration) {
	known := r.loops != nil
	if !known {
		r.loops = roof.Limits(r.Backend)
	}
	var all []contender
	for _, l := range r.loops {
		all = append(all, contender{l.Kind + l.Type + l.Level, l.Run})
	}
	if all == nil {
		return
	}
	for i, t := range turns(count, d, all) {
		l := r.loops[i]
		if most := l.Amount / t.Min; known {
			r.Limits[i].Most = max(r.Limits[i].Most, most)
		} else {
			r.Limits = append(r.Limits, limit{l.Kind, l.Type, l.Level, l.Bytes, most})
		}
	}
}

// workers times ours with one worker, with two, and two calls at once by one
// each: what two CPUs can give here and now.
func (r *results) workers(o options, d time.Duration) {
	for _, s := range shared {
		for typ := range strings.SplitSeq(o.types, ",") {
			for _, op := range []peers.Op{peers.Forward, peers.Backward} {
				run := oneOrTwo[float64]
				if typ == "f32" {
					run = oneOrTwo[float32]
				}
				r.Workers = append(r.Workers, dense{s, typ, op, turns(o.count, d, run(s, op)), 0})
			}
		}
		progress()
	}
}

func oneOrTwo[T kernels.Float](s peers.Shape, op peers.Op) []contender {
	run := peers.Ours[T]().Prepare(peers.NewLayer[T](s), op)
	beside := peers.Ours[T]().Prepare(peers.NewLayer[T](s), op)
	return []contender{
		{"one worker", run},
		{"two workers", func(reps int) {
			defer kernels.SetWorkers(2)()
			run(reps)
		}},
		{"two calls", func(reps int) {
			var wg sync.WaitGroup
			wg.Go(func() { beside(reps) })
			run(reps)
			wg.Wait()
		}},
	}
}

// stops stops the world while a large product runs, and in turns with it a loop in Go.
func (r *results) stops(o options) {
	const n = 4096
	var names []string
	var fs []func()
	add := func(name string, f func()) { names, fs = append(names, name), append(fs, f) }
	s := cross(peers.Shape{N: n, In: n, Out: n})
	if strings.Contains(o.types, "f64") {
		add(s+", f64", pauses.Product[float64](n))
	}
	if strings.Contains(o.types, "f32") {
		pass := pauses.Product[float32](n)
		add(s+", f32, twice", func() { pass(); pass() })
	}
	add("a loop in Go", func() { pauses.Spin(1500 * time.Millisecond) })
	for i, t := range pauses.During(max(2, o.count/3), fs...) {
		r.Stops = append(r.Stops, stops{names[i], t})
	}
	progress()
}

// layers times both passes of the types asked for, ours first.
func (r *results) layers(o options, s peers.Shape, count int, d time.Duration) []dense {
	var list []dense
	for typ := range strings.SplitSeq(o.types, ",") {
		for _, op := range []peers.Op{peers.Forward, peers.Backward} {
			list = append(list, r.pass(o, s, typ, op, count, d))
		}
	}
	return list
}

// pass times ours, the peers and, if the limits are known, the loop of the one that
// binds, all in the same turns.
func (r *results) pass(o options, s peers.Shape, typ string, op peers.Op, count int, d time.Duration) dense {
	m := dense{Shape: s, Type: typ, Op: op}
	loop, reps := r.binding(&m)
	contenders := layer[float64]
	if typ == "f32" {
		contenders = layer[float32]
	}
	all := contenders(o, s, op)
	if loop != nil {
		all = append(all, contender{"the roof", loop.Run})
	}
	m.Times = turns(count, d, all)
	if last := len(m.Times) - 1; loop != nil {
		m.Roof = reps * m.Times[last].Ratio
		m.Times = m.Times[:last]
	}
	return m
}

// binding returns the loop of the limit that a pass cannot beat, and how many of its
// repetitions would do the work of that: all multiply-adds, or each operand moved once
// from the level that holds them all, whichever takes longer.
func (r *results) binding(m *dense) (loop *roof.Limit, reps float64) {
	bytes := m.Shape.Elements(m.Op) * elementSize(m.Type)
	level, longest := roof.Holds(bytes), 0.0
	for i, l := range r.Limits {
		amount := 0.0
		switch {
		case l.Kind == "fma" && l.Type == m.Type:
			amount = m.Shape.Flops(m.Op)
		case l.Kind == "read" && l.Level == level:
			amount = bytes
		}
		if time := amount / l.Most; time > longest {
			longest, loop, reps = time, &r.loops[i], amount/r.loops[i].Amount
		}
	}
	return loop, reps
}

// layer is who does a pass of a layer, ours first.
func layer[T kernels.Float](o options, s peers.Shape, op peers.Op) []contender {
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
	return all
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
	return []dense{{c.Shape, typ, peers.Op(c.Op), turns(count, d, all), 0}}
}

// inSweep reports whether a shape takes so little time that a sweep has it.
func inSweep(s peers.Shape) bool {
	return s.Flops(peers.Forward) <= 3e8 && s.Elements(peers.Backward) <= 3e6
}

// sweep measures 400 shapes briefly, or as many as come up, and again with care those
// where ours seems to lose.
func (r *results) sweep(o options) {
	sizes, err := parseSizes(o.sizes)
	if err != nil {
		panic(err) // the command has checked it
	}
	rng := rand.New(rand.NewPCG(400, 14))
	seen := map[peers.Shape]bool{}
	samples := 400
	if o.quick {
		samples = 40
	}
	for tries := 0; len(seen) < samples && tries < 100*samples; tries++ {
		pick := func() int { return sizes[rng.IntN(len(sizes))] }
		s := peers.Shape{N: pick(), In: pick(), Out: pick()}
		if seen[s] || !inSweep(s) {
			continue
		}
		seen[s] = true
		for _, m := range r.layers(o, s, 3, 300*time.Microsecond) {
			if _, lead := m.best(); lead < 0.95 {
				m = r.pass(o, s, m.Type, m.Op, 9, time.Millisecond)
			}
			r.Dense = append(r.Dense, m)
		}
		if len(seen)%20 == 0 {
			progress()
		}
	}
}

// smooth measures ours at sizes that follow each other, and what seems to be a
// step again with care.
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
	for _, line := range lines {
		for typ := range strings.SplitSeq(o.types, ",") {
			for _, op := range []peers.Op{peers.Forward, peers.Backward} {
				if typ == "f32" {
					r.steps(typ, op, neighbours[float32](line, op))
				} else {
					r.steps(typ, op, neighbours[float64](line, op))
				}
			}
		}
		progress()
	}
}

// steps adds those that are above what smooth allows.
func (r *results) steps(typ string, op peers.Op, all []step) {
	for _, s := range all {
		if max(s.Time, 1/s.Time) > steep {
			s.Type, s.Op = typ, op
			r.Steps = append(r.Steps, s)
		}
	}
}

// steep is the most that two neighbours may differ, up or down.
const steep = 1.5

func neighbours[T kernels.Float](line []peers.Shape, op peers.Op) []step {
	const d = 300 * time.Microsecond
	all := make([]contender, len(line))
	for i, s := range line {
		all[i] = contender{s.String(), peers.Ours[T]().Prepare(peers.NewLayer[T](s), op)}
	}
	list := make([]step, len(line)-1)
	for i := range list {
		pair := all[i : i+2]
		time := turns(3, d, pair)[1].Ratio
		if max(time, 1/time) > 0.9*steep {
			time = turns(15, d, pair)[1].Ratio
		}
		list[i] = step{From: line[i], To: line[i+1], Time: time, Work: line[i+1].Flops(op) / line[i].Flops(op)}
	}
	return list
}

// best returns the fastest of the peers that do the same work, and by how many
// times it is slower than ours. Without peers lead is 0.
func (m *dense) best() (peer timing, lead float64) {
	for _, t := range m.Times[1:] {
		if strings.HasSuffix(t.Name, peers.Packed) { // it had its weights laid out beforehand
			continue
		}
		if lead == 0 || t.Ratio < lead {
			peer, lead = t, t.Ratio
		}
	}
	return peer, lead
}
