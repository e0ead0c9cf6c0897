package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-go/lockstep/bench/internal/peers"
	"github.com/lockstep-go/lockstep/bench/internal/roof"
)

// A document is all that was measured, best backend first.
type document struct {
	options
	cpu     string
	results []results
	took    time.Duration
}

// write makes report.md and the pictures in dir, and prints report.md, too.
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
		best.writeSweep(&b)
	case d.smooth:
		name = "smooth.md"
		best.writeSteps(&b)
	default:
		fmt.Fprintf(&b, `
One thread; ours and theirs in turns; medians of %d samples. A forward pass is
y = relu(x·w + b) and counts as 2·n·in·out operations; a backward pass is dz,
db, dw and dx and counts as 4·n·in·out. The ratio is the best peer's time over
ours: above 1 ours is faster. The roof is what the limits allow: all
multiply-adds at the peak, or each operand moved once from the level that holds
them all, whichever takes longer.
`, d.count)
		for i := range d.results {
			d.results[i].writeDense(&b)
		}
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
	fmt.Print(b.String())
	return os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o666)
}

func (r *results) writeDense(b *strings.Builder) {
	fmt.Fprintf(b, "\n## Backend %s\n", r.Backend)
	if r.Limits != nil {
		fmt.Fprintf(b, "\nLimits, measured in the same run:")
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
		if t := r.roof(&m); t > 0 {
			share = fmt.Sprintf("%.0f %%", 100*t/ours.Median)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", cross(m.Shape), m.Type, m.Op,
			duration(ours.Median), rate3(flops/ours.Median), peer.Name, theirs, ratio, share)
	}
}

// roof is the least time that the limits allow, or 0 if they are not known.
func (r *results) roof(m *dense) float64 {
	bytes := m.Shape.Elements(m.Op) * elementSize(m.Type)
	peak, read := r.limit("fma", m.Type), r.limit("read", roof.Holds(bytes))
	if peak == 0 || read == 0 {
		return 0
	}
	return max(m.Shape.Flops(m.Op)/peak, bytes/read)
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
is fixed/free; what it costs who uses Lockstep is ours/free: below 1 ours is
faster all the same.

| n×in×out | type | pass | ours | C, fixed | C, free | fixed/free | ours/free |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |
`)
	sum, count := 0.0, 0
	for _, m := range r.Order {
		ours, free := m.Times[0].Median, m.Times[len(m.Times)-1].Median
		fixed, price := "–", "–"
		if len(m.Times) == 3 {
			fixed, price = duration(m.Times[1].Median), fmt.Sprintf("%.2f", m.Times[1].Median/free)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %.2f |\n",
			cross(m.Shape), m.Type, m.Op, duration(ours), fixed, duration(free), price, ours/free)
		sum += math.Log(ours / free)
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
	var worse []dense
	count, sum := 0, 0.0
	for _, m := range r.Dense {
		if _, lead := m.best(); lead > 0 {
			count++
			sum += math.Log(lead)
			if lead < 0.9 {
				worse = append(worse, m)
			}
		}
	}
	if count == 0 {
		fmt.Fprintf(b, "\nThere was no peer to compare with.\n")
		return
	}
	slices.SortFunc(worse, func(p, q dense) int {
		_, l := p.best()
		_, m := q.best()
		return int(math.Copysign(1, l-m))
	})
	fmt.Fprintf(b, "\nBackend %s: of %d passes, %d run slower than the best peer by more than 10 %%,\nby the medians of 9 samples after a first look at 3. The geometric mean of all\nratios is %.2f.\n",
		r.Backend, count, len(worse), math.Exp(sum/float64(count)))
	if len(worse) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| n×in×out | type | pass | ours | best peer | | ratio |\n| --- | --- | --- | ---: | --- | ---: | ---: |\n")
	for _, m := range worse {
		peer, lead := m.best()
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %.2f |\n",
			cross(m.Shape), m.Type, m.Op, duration(m.Times[0].Median), peer.Name, duration(peer.Median), lead)
	}
}

func (r *results) writeSteps(b *strings.Builder) {
	fmt.Fprintf(b, "\nBackend %s: %d steps above 1.5× between neighbours, up or down, of the fastest\nof 5 samples.\n", r.Backend, len(r.Steps))
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
