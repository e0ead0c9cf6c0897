package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-go/lockstep/bench/internal/peers"
)

// A document is all that was measured, best backend first.
type document struct {
	options
	cpu     string
	results []results
	took    time.Duration
}

// write makes report.md and the pictures in dir, and prints report.md, too; of a
// sweep the beginning.
func (d *document) write(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Lockstep beside its peers\n\n%s; measured in %d s.\n", d.machine(), int(d.took.Seconds()))
	name := "report.md"
	switch best := &d.results[0]; {
	case d.sweep:
		name = "sweep.md"
		fmt.Fprintf(&b, "\nShapes of the sizes %s.\n", strings.ReplaceAll(d.sizes, ",", ", "))
		best.writeSweep(&b)
		best.writeSlower(&b)
	case d.smooth:
		name = "smooth.md"
		best.writeSteps(&b)
	default:
		fmt.Fprintf(&b, `
One thread; ours and theirs in turns; medians of %d samples. A forward pass is
y = relu(x·w + b) and counts as 2·n·in·out operations; a backward pass is dz,
db, dw and dx and counts as 4·n·in·out. The ratio is the best peer's time over
ours, the median of that of each turn: above 1 ours is faster. Peers that have the
weights packed beforehand are listed at the end and never the best peer. The roof is what
the limits allow: all multiply-adds at the peak, or each operand moved once from
the level that holds them all, whichever takes longer; the loop that shows that
limit takes its turn with the others. What is read for it is about half of a level,
so that near the next lower one a pass can be above it.
`, d.count)
		for i := range d.results {
			d.results[i].writeDense(&b)
			d.results[i].writeClasses(&b)
		}
		best.writeWorkers(&b)
		best.writeStops(&b)
		best.writeRegression(&b)
		best.writeOrder(&b)
		fmt.Fprintf(&b, "\n## Every peer\n\nGFLOP/s, from the slowest to the fastest sample.\n")
		for i := range d.results {
			d.results[i].writePeers(&b)
		}
		if err := best.draw(dir); err != nil {
			return err
		}
	}
	var missing []string
	for _, r := range d.results {
		missing = append(missing, r.Missing...)
	}
	slices.Sort(missing)
	for i, m := range slices.Compact(missing) {
		if i == 0 {
			fmt.Fprintf(&b, "\n## Missing\n\n")
		}
		fmt.Fprintf(&b, "- %s\n", m)
	}
	path := filepath.Join(dir, name)
	printed := b.String()
	if lines := strings.SplitAfter(printed, "\n"); d.sweep && len(lines) > shown {
		printed = fmt.Sprintf("%s… and %d lines more in %s\n", strings.Join(lines[:shown], ""), len(lines)-shown-1, path)
	}
	fmt.Print(printed)
	return os.WriteFile(path, []byte(b.String()), 0o666)
}

// shown is how many lines of a sweep are printed: the groups and a short list.
const shown = 100

func (r *results) writeDense(b *strings.Builder) {
	fmt.Fprintf(b, "\n## Backend %s\n", r.Backend)
	if r.Limits != nil {
		fmt.Fprintf(b, "\nLimits, the most of all samples of their loops in the same run:")
		for i, l := range r.Limits {
			sep := ","
			if i == 0 {
				sep = ""
			}
			if l.Kind == "fma" {
				fmt.Fprintf(b, "%s %.1f GFLOP/s in %s", sep, l.Most/1e9, l.Type)
			} else {
				fmt.Fprintf(b, "%s %.0f GB/s from %s (%s)", sep, l.Most/1e9, l.Level, size(l.Bytes))
			}
		}
		b.WriteString(".\n")
	}
	fmt.Fprintf(b, `
| n×in×out | type | pass | ours | GFLOP/s | best peer | GFLOP/s | ratio | of the roof |
| --- | --- | --- | ---: | ---: | --- | ---: | ---: | ---: |
`)
	for _, m := range r.Dense {
		ours, flops := m.Times[0], m.Shape.Flops(m.Op)
		peer, lead := m.best()
		theirs, ratio := "–", "–"
		if lead > 0 {
			theirs, ratio = rate3(flops/peer.Median), fmt.Sprintf("%.2f", lead)
		}
		share := "–"
		if m.Roof > 0 {
			share = fmt.Sprintf("%.0f %%", 100*m.Roof)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", cross(m.Shape), m.Type, m.Op,
			duration(ours.Median), rate3(flops/ours.Median), peer.Name, theirs, ratio, share)
	}
}

// A group sums up passes that were compared with peers.
type group struct {
	count, clear, even, close, slower int // ratio ≥ 1.1, ≥ 1, ≥ 0.9, < 0.9
	logs, share                       float64
	shares                            int
	least                             float64
	worst                             *dense
}

// add counts a pass.
func (g *group) add(m *dense) {
	_, lead := m.best()
	if lead == 0 {
		return
	}
	g.count++
	g.logs += math.Log(lead)
	for _, c := range []struct {
		n  *int
		is bool
	}{{&g.clear, lead >= 1.1}, {&g.even, lead >= 1}, {&g.close, lead >= 0.9}, {&g.slower, lead < 0.9}} {
		if c.is {
			*c.n++
		}
	}
	if g.worst == nil || lead < g.least {
		g.least, g.worst = lead, m
	}
	if m.Roof > 0 {
		g.share += math.Log(m.Roof)
		g.shares++
	}
}

// mean is the geometric mean of the ratios.
func (g *group) mean() float64 { return math.Exp(g.logs / float64(g.count)) }

// writeClasses sums up the classes that were measured, if there are peers.
func (r *results) writeClasses(b *strings.Builder) {
	type line struct {
		name string
		op   peers.Op
		group
	}
	var lines []line
	for _, c := range append(slices.Clone(classes), class{"all", headline()}) {
		for _, op := range []peers.Op{peers.Forward, peers.Backward} {
			l := line{name: c.Name, op: op}
			for i := range r.Dense {
				if m := &r.Dense[i]; m.Op == op && slices.Contains(c.Shapes, m.Shape) {
					l.add(m)
				}
			}
			if l.count > 0 {
				lines = append(lines, l)
			}
		}
	}
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, `
How many passes reach a ratio, and geometric means:

| class | pass | passes | ≥ 1.1 | ≥ 1 | ≥ 0.9 | least | mean | of the roof |
| --- | --- | ---: | ---: | ---: | ---: | --- | ---: | ---: |
`)
	for _, l := range lines {
		share := "–"
		if l.shares > 0 {
			share = fmt.Sprintf("%.0f %%", 100*math.Exp(l.share/float64(l.shares)))
		}
		fmt.Fprintf(b, "| %s | %s | %d | %d | %d | %d | %.2f (%s, %s) | %.2f | %s |\n", l.name, l.op, l.count, l.clear, l.even, l.close,
			l.least, cross(l.worst.Shape), l.worst.Type, l.mean(), share)
	}
}

func (r *results) writeWorkers(b *strings.Builder) {
	if len(r.Workers) == 0 {
		return
	}
	fmt.Fprintf(b, `
## Two workers

By the caller alone and after SetWorkers(2), in turns: how many times as fast
two are. What the machine had to give in the same turns shows in two whole calls
at once, each by its caller alone: how many times as much they do as one.

| n×in×out | type | pass | one | two | times as fast | two calls |
| --- | --- | --- | ---: | ---: | ---: | ---: |
`)
	for _, m := range r.Workers {
		one, two, calls := m.Times[0], m.Times[1], m.Times[2]
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %.2f | %.2f |\n", cross(m.Shape), m.Type, m.Op,
			duration(one.Median), duration(two.Median), 1/two.Ratio, 2/calls.Ratio)
	}
}

func (r *results) writeStops(b *strings.Builder) {
	if len(r.Stops) == 0 {
		return
	}
	fmt.Fprintf(b, `
## Stops of the world

How long it takes until the world has stopped, for statistics or a garbage
collection, while a forward pass runs on the other CPU: by the runtime's own
count, whose classes these are the upper edges of. The loop in Go can be stopped
at once: what it shows is the machine's. It takes turns with the products.

| during | stops | median | 99 %% | worst | over 1 ms |
| --- | ---: | ---: | ---: | ---: | ---: |
`)
	for _, s := range r.Stops {
		fmt.Fprintf(b, "| %s | %d | %s | %s | %s | %d |\n", s.During, s.Stops, duration(s.Median), duration(s.Most), duration(s.Worst), s.Long)
	}
}

// limit returns that of a type or of a level, or 0 if it is not known.
func (r *results) limit(kind, of string) float64 {
	for _, l := range r.Limits {
		if l.Kind == kind && (l.Type == of || l.Level == of) {
			return l.Most
		}
	}
	return 0
}

func elementSize(typ string) float64 { return map[string]float64{"f32": 4, "f64": 8}[typ] }

func (r *results) writeRegression(b *strings.Builder) {
	if len(r.Regression) == 0 {
		return
	}
	fmt.Fprintf(b, `
## The regression

%d points, 1-%d-1, float64, %d full-batch steps; the last costs agree.

| by | ms | fastest | slowest | times ours |
| --- | ---: | ---: | ---: | ---: |
`, points, units, steps)
	for _, t := range r.Regression {
		fmt.Fprintf(b, "| %s | %.2f | %.2f | %.2f | %.2f |\n", t.Name, 1e3*t.Median, 1e3*t.Min, 1e3*t.Max, t.Median/r.Regression[0].Median)
	}
}

func (r *results) writeOrder(b *strings.Builder) {
	if len(r.Order) == 0 {
		return
	}
	fmt.Fprintf(b, `
## The price of the promise

The same C with one accumulator for each sum, in our order, and with up to
eight, in a free one; the gradient is dz, db and dw. What the order alone costs
is fixed/free; what it costs users of Lockstep is ours/free: below 1 ours is
faster all the same.

| n×in×out | type | pass | ours | C, fixed | C, free | fixed/free | ours/free |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |
`)
	sum, count := 0.0, 0
	for _, m := range r.Order {
		ours, free := m.Times[0], m.Times[len(m.Times)-1]
		fixed, price := "–", "–"
		if len(m.Times) == 3 {
			fixed, price = duration(m.Times[1].Median), fmt.Sprintf("%.2f", m.Times[1].Ratio/free.Ratio)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %.2f |\n",
			cross(m.Shape), m.Type, m.Op, duration(ours.Median), fixed, duration(free.Median), price, 1/free.Ratio)
		sum -= math.Log(free.Ratio)
		count++
	}
	fmt.Fprintf(b, "\nThe geometric mean of ours/free, over the shapes where order could cost most, is %.2f.\n", math.Exp(sum/float64(count)))
}

func (r *results) writePeers(b *strings.Builder) {
	var names []string
	for _, m := range r.Dense {
		for _, t := range m.Times {
			if !slices.Contains(names, t.Name) {
				names = append(names, t.Name)
			}
		}
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(names[1:])
	fmt.Fprintf(b, "\nBackend %s:\n\n| n×in×out | type | pass | %s |\n| --- | --- | --- |%s\n",
		r.Backend, strings.Join(names, " | "), strings.Repeat(" ---: |", len(names)))
	for _, m := range r.Dense {
		fmt.Fprintf(b, "| %s | %s | %s |", cross(m.Shape), m.Type, m.Op)
		flops := m.Shape.Flops(m.Op)
		for _, name := range names {
			i := slices.IndexFunc(m.Times, func(t timing) bool { return t.Name == name })
			if i < 0 {
				b.WriteString(" – |")
				continue
			}
			t := m.Times[i]
			fmt.Fprintf(b, " %s (%s–%s) |", rate3(flops/t.Median), rate3(flops/t.Max), rate3(flops/t.Min))
		}
		b.WriteString("\n")
	}
}

func (r *results) writeSweep(b *strings.Builder) {
	var all group
	for i := range r.Dense {
		all.add(&r.Dense[i])
	}
	if all.count == 0 {
		fmt.Fprintf(b, "\nThere was no peer to compare with.\n")
		return
	}
	fmt.Fprintf(b, "\nBackend %s: of %d passes, %d run slower than the best peer by more than 10 %%,\nby 9 samples after a first look at 3. The geometric mean of all ratios is %.2f.\n",
		r.Backend, all.count, all.slower, all.mean())
	for _, by := range []struct {
		name string
		key  func(m *dense) int
	}{
		{"n", func(m *dense) int { return m.Shape.N }},
		{"in", func(m *dense) int { return m.Shape.In }},
		{"out", func(m *dense) int { return m.Shape.Out }},
	} {
		r.writeGroups(b, by.name, by.key)
	}
}

// writeSlower lists the passes that are slower by more than 10 %, the worst
// first.
func (r *results) writeSlower(b *strings.Builder) {
	var worse []*dense
	for i := range r.Dense {
		if _, lead := r.Dense[i].best(); lead > 0 && lead < 0.9 {
			worse = append(worse, &r.Dense[i])
		}
	}
	if len(worse) == 0 {
		return
	}
	slices.SortFunc(worse, func(p, q *dense) int {
		_, l := p.best()
		_, m := q.best()
		return cmp.Compare(l, m)
	})
	fmt.Fprintf(b, "\nThose, from the slowest on:\n\n| n×in×out | type | pass | ours | best peer | | ratio |\n| --- | --- | --- | ---: | --- | ---: | ---: |\n")
	for _, m := range worse {
		peer, lead := m.best()
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %.2f |\n",
			cross(m.Shape), m.Type, m.Op, duration(m.Times[0].Median), peer.Name, duration(peer.Median), lead)
	}
}

// writeGroups sums up the passes of each size, so that it shows where those that
// are slower gather.
func (r *results) writeGroups(b *strings.Builder, name string, key func(*dense) int) {
	type column struct {
		typ string
		op  peers.Op
	}
	columns := []column{{"f64", peers.Forward}, {"f64", peers.Backward}, {"f32", peers.Forward}, {"f32", peers.Backward}}
	groups := map[int]map[column]*group{}
	for i := range r.Dense {
		m := &r.Dense[i]
		k := key(m)
		if groups[k] == nil {
			groups[k] = map[column]*group{}
		}
		c := column{m.Type, m.Op}
		if groups[k][c] == nil {
			groups[k][c] = new(group)
		}
		groups[k][c].add(m)
	}
	fmt.Fprintf(b, "\nBy %s, how many are slower by more than 10 %%, of how many, and the geometric mean:\n\n| %s |", name, name)
	for _, c := range columns {
		fmt.Fprintf(b, " %s %s |", c.typ, c.op)
	}
	fmt.Fprintf(b, "\n| ---: |%s\n", strings.Repeat(" ---: |", len(columns)))
	for _, k := range slices.Sorted(maps.Keys(groups)) {
		fmt.Fprintf(b, "| %d |", k)
		for _, c := range columns {
			if g := groups[k][c]; g != nil && g.count > 0 {
				fmt.Fprintf(b, " %d of %d, %.2f |", g.slower, g.count, g.mean())
			} else {
				b.WriteString(" – |")
			}
		}
		b.WriteString("\n")
	}
}

func (r *results) writeSteps(b *strings.Builder) {
	sudden := 0
	for _, s := range r.Steps {
		if each := s.Time / s.Work; max(each, 1/each) > steep {
			sudden++
		}
	}
	fmt.Fprintf(b, "\nBackend %s: %d steps above %g× between neighbours, up or down, by the\nmedian of 15 turns; %d of them are steps in the time of an operation, too.\n", r.Backend, len(r.Steps), steep, sudden)
	if len(r.Steps) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| from | to | type | pass | time | work |\n| --- | --- | --- | --- | ---: | ---: |\n")
	for _, s := range r.Steps {
		fmt.Fprintf(b, "| %s | %s | %s | %s | × %.2f | × %.2f |\n", cross(s.From), cross(s.To), s.Type, s.Op, s.Time, s.Work)
	}
}

func cross(s peers.Shape) string { return fmt.Sprintf("%d×%d×%d", s.N, s.In, s.Out) }

// duration has three digits.
func duration(seconds float64) string {
	for _, u := range []struct {
		unit string
		size float64
	}{{"s", 1}, {"ms", 1e-3}, {"µs", 1e-6}} {
		if seconds >= u.size {
			return fmt.Sprintf("%.3g %s", seconds/u.size, u.unit)
		}
	}
	return fmt.Sprintf("%.3g ns", seconds*1e9)
}

// rate3 is in units of 1e9, with three digits and no exponent.
func rate3(v float64) string {
	v /= 1e9
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func size(bytes int) string {
	if bytes >= 1<<20 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d KiB", bytes>>10)
}
