package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

const (
	width, height = 7.5 * vg.Inch, 5 * vg.Inch

	pngDPI, gifDPI = 144, 96

	maxDots = 3000 // of the data; more are thinned
)

var (
	ink        = color.Gray{Y: 0x33}
	gridColor  = color.Gray{Y: 0xdd}
	dotColor   = color.NRGBA{R: 0x3b, G: 0x6f, B: 0xa8, A: 0x90}
	firstColor = color.RGBA{R: 0xe8, G: 0x9c, B: 0x2a, A: 0xff}
	midColor   = color.RGBA{R: 0x10, G: 0x30, B: 0x28, A: 0xff}
	lastColor  = color.RGBA{R: 0xd8, G: 0x3a, B: 0x4e, A: 0xff}
)

var sans = font.Font{Typeface: "Liberation", Variant: "Sans"}

// draw writes the pictures to the directory dir and prints their names. It
// tries them all, even if one fails.
func (f *fit) draw(dir string, stdout io.Writer) error {
	var errs []error
	for _, p := range []struct {
		name   string
		encode func(io.Writer) error
	}{
		{"data.png", pngOf(f.dataPicture())},
		{"fit.png", pngOf(f.fitPicture())},
		{"fit.gif", f.animation},
		{"cost.png", pngOf(f.costPicture())},
	} {
		name := filepath.Join(dir, p.name)
		var b bytes.Buffer
		err := p.encode(&b)
		if err == nil {
			err = os.WriteFile(name, b.Bytes(), 0o666)
		}
		if err == nil {
			_, err = fmt.Fprintln(stdout, "wrote", name)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return errors.Join(errs...)
}

// A picture is a plot under a heading and a row of legend entries.
type picture struct {
	heading string
	legend  []entry
	plot    *plot.Plot
	x, y    span
}

// A span is the range of an axis.
type span struct{ lo, hi float64 }

type entry struct {
	name  string
	thumb plot.Thumbnailer
}

func newPicture(heading, xLabel, yLabel string) *picture {
	p := &picture{heading: heading, plot: plot.New()}
	x, y := &p.plot.X, &p.plot.Y
	for _, a := range []*plot.Axis{x, y} {
		a.Color = ink
		a.Padding = 0
		a.Label.Padding = vg.Points(6)
		setFont(&a.Label.TextStyle, 12)
		a.Tick.Color = ink
		setFont(&a.Tick.Label, 11)
	}
	x.Label.Text, y.Label.Text = xLabel, yLabel
	grid := plotter.NewGrid()
	grid.Horizontal = stroke(gridColor, vg.Points(0.5))
	grid.Vertical = grid.Horizontal
	p.plot.Add(grid)
	return p
}

func setFont(s *text.Style, size vg.Length) { s.Color, s.Font = ink, font.From(sans, size) }

func textStyle(size vg.Length) text.Style {
	s := text.Style{Handler: plot.DefaultTextHandler}
	setFont(&s, size)
	return s
}

// image draws p, dpi pixels to the inch.
func (p *picture) image(dpi int) image.Image {
	img := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(dpi))
	c := draw.New(img)
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())

	const margin = vg.Length(12)
	style := textStyle(14)
	style.YAlign = text.YTop
	c.FillText(style, vg.Point{X: c.Min.X + margin, Y: c.Max.Y - margin}, p.heading)
	at := c.Min.X + margin
	for _, e := range p.legend {
		l := plot.NewLegend()
		l.TextStyle = textStyle(11)
		l.Top, l.Left = true, true
		l.YPosition = draw.PosCenter
		l.ThumbnailWidth = vg.Points(22)
		l.Add(e.name, e.thumb)
		l.Draw(draw.Crop(c, at-c.Min.X, 0, 0, -margin-vg.Points(22)))
		at += l.ThumbnailWidth + l.TextStyle.Width("  "+e.name) + vg.Points(16)
	}

	// Adding something to the plot moved its axes.
	p.plot.X.Min, p.plot.X.Max = p.x.lo, p.x.hi
	p.plot.Y.Min, p.plot.Y.Max = p.y.lo, p.y.hi
	top := margin + vg.Points(26)
	if p.legend != nil {
		top += vg.Points(20)
	}
	p.plot.Draw(draw.Crop(c, margin, -margin-vg.Points(8), margin, -top))
	return img.Image()
}

func pngOf(p *picture) func(io.Writer) error {
	return func(w io.Writer) error { return png.Encode(w, p.image(pngDPI)) }
}

// dots is the scatter of the data.
func (f *fit) dots() *plotter.Scatter {
	every := (len(f.x) + maxDots - 1) / maxDots
	var s plotter.Scatter
	for i := 0; i < len(f.x); i += every {
		s.XYs = append(s.XYs, plotter.XY{X: f.x[i], Y: f.y[i]})
	}
	s.GlyphStyle = draw.GlyphStyle{Color: dotColor, Radius: vg.Points(2.2), Shape: draw.CircleGlyph{}}
	return &s
}

// line is the curve through the points (x, y) that are finite, for the given y
// axis.
func line(x, y []float64, axis span, style draw.LineStyle) *plotter.Line {
	l := plotter.Line{LineStyle: style}
	far := 1000 * (axis.hi - axis.lo)
	for i, v := range y {
		if finite(v) {
			l.XYs = append(l.XYs, plotter.XY{X: x[i], Y: min(max(v, axis.lo-far), axis.hi+far)})
		}
	}
	return &l
}

func stroke(c color.Color, width vg.Length, dashes ...vg.Length) draw.LineStyle {
	return draw.LineStyle{Color: c, Width: width, Dashes: dashes}
}

// fitStyles are those of the first, the middle and the last curve.
var fitStyles = [3]draw.LineStyle{
	stroke(firstColor, vg.Points(2), vg.Points(7), vg.Points(3)),
	stroke(midColor, vg.Points(1.5)),
	stroke(lastColor, vg.Points(4)),
}

// spanOf returns the range of s with a little room at either end.
func spanOf(s []float64, room float64) span {
	lo, hi := bounds(s)
	d := room * (hi - lo)
	return span{lo - d, hi + d}
}

func (f *fit) dataPicture() *picture {
	p := newPicture(fmt.Sprintf("The data: %d points", len(f.x)), "x", "y")
	p.plot.Add(f.dots())
	p.setAxes(spanOf(f.x, 0.03), spanOf(f.y, 0.06))
	return p
}

// fitAxes returns the axes of the pictures with curves: they show the data, and
// the first, the middle and the last curve as far as these are within one
// height of it.
func (f *fit) fitAxes() (x, y span) {
	x, y = spanOf(f.x, 0.03), spanOf(f.y, 0.06)
	near := spanOf(f.y, 1)
	lo, hi := y.lo, y.hi
	for _, i := range f.shown() {
		if i < 0 {
			continue
		}
		for _, v := range f.curves.values[i].y {
			if finite(v) {
				lo, hi = min(lo, max(v, near.lo)), max(hi, min(v, near.hi))
			}
		}
	}
	return x, spanOf([]float64{lo, hi}, 0.02)
}

// shown are the indices of the first, the middle and the last curve; -1 is one
// that is not there.
func (f *fit) shown() [3]int {
	steps := f.curves.steps
	last := len(steps) - 1
	if last <= 0 {
		return [3]int{-1, -1, last}
	}
	fromMiddle := func(a, b int) int { return cmp.Compare(abs(2*a-steps[last]), abs(2*b-steps[last])) }
	middle := slices.Index(steps, slices.MinFunc(steps, fromMiddle))
	if middle == 0 || middle == last {
		middle = -1
	}
	return [3]int{0, middle, last}
}

func abs(i int) int { return max(i, -i) }

func (f *fit) fitPicture() *picture {
	p := newPicture("A neural network learns the curve", "x", "y")
	dots := f.dots()
	p.plot.Add(dots)
	p.legend = []entry{{"data", dots}}
	x, y := f.fitAxes()
	var lines [3]*plotter.Line
	for k, i := range f.shown() {
		if i >= 0 {
			lines[k] = line(f.grid, f.curves.values[i].y, y, fitStyles[k])
			p.legend = append(p.legend, entry{fmt.Sprintf("step %d", f.curves.steps[i]), lines[k]})
		}
	}
	for _, k := range []int{0, 2, 1} { // the middle one, thin, over the last
		if lines[k] != nil {
			p.plot.Add(lines[k])
		}
	}
	p.setAxes(x, y)
	return p
}

// costPicture has a logarithmic axis of whole decades, unless no cost is
// positive.
func (f *fit) costPicture() *picture {
	p := newPicture("The mean squared error of all points", "step", "cost")
	var steps, costs []float64
	for i, c := range f.costs.values {
		if c > 0 {
			steps, costs = append(steps, float64(f.costs.steps[i])), append(costs, c)
		}
	}
	x := span{0, 1}
	if n := len(f.costs.steps); n > 0 {
		x.hi = max(1, float64(f.costs.steps[n-1]))
	}
	if len(costs) == 0 {
		p.setAxes(x, span{0, 1})
		return p
	}
	lowest := min(307, max(-323, int(math.Floor(math.Log10(slices.Min(costs))))))
	highest := min(308, int(math.Ceil(math.Log10(slices.Max(costs)))))
	y := span{math.Pow10(lowest), math.Pow10(max(highest, lowest+1))}
	curve := line(steps, costs, y, stroke(lastColor, vg.Points(2)))
	p.plot.Add(curve)
	if len(costs) == 1 {
		p.plot.Add(&plotter.Scatter{XYs: curve.XYs, GlyphStyle: draw.GlyphStyle{Color: lastColor, Radius: vg.Points(4), Shape: draw.CircleGlyph{}}})
	}
	p.x, p.y = x, y
	p.plot.Y.Scale = plot.LogScale{}
	p.plot.X.Tick.Marker, p.plot.Y.Tick.Marker = linear(x), decades(y)
	return p
}

// setAxes fixes the axes, with linear ticks.
func (p *picture) setAxes(x, y span) {
	p.x, p.y = x, y
	p.plot.X.Tick.Marker, p.plot.Y.Tick.Marker = linear(x), linear(y)
}

// linear returns ticks at some four to ten multiples of 1, 2 or 5 times a power
// of ten.
func linear(s span) plot.ConstantTicks {
	least := (s.hi - s.lo) / 10
	decade := int(math.Floor(math.Log10(least)))
	step := math.Pow10(decade)
	for _, m := range []float64{2, 5, 10} {
		if step >= least {
			break
		}
		step = m * math.Pow10(decade)
	}
	decade = int(math.Floor(math.Log10(step * 1.5)))
	format, digits := byte('f'), max(0, -decade)
	if largest := max(-s.lo, s.hi); decade < -6 || largest >= 1e7 {
		format, digits = 'e', max(0, int(math.Floor(math.Log10(largest)))-decade)
	}
	var ticks plot.ConstantTicks
	// Adding 0 makes -0 to 0.
	for i := math.Ceil(s.lo/step) + 0; i <= math.Floor(s.hi/step); i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: strconv.FormatFloat(i*step, format, digits, 64)})
	}
	return ticks
}

// decades returns ticks at every power of ten, or at fewer if there are many.
func decades(s span) plot.ConstantTicks {
	first, last := int(math.Round(math.Log10(s.lo))), int(math.Round(math.Log10(s.hi)))
	every := (last-first)/8 + 1
	var ticks plot.ConstantTicks
	for d := first; d <= last; d += every {
		label := "1e" + strconv.Itoa(d)
		if -4 <= d && d <= 5 {
			label = strconv.FormatFloat(math.Pow10(d), 'f', max(0, -d), 64)
		}
		ticks = append(ticks, plot.Tick{Value: math.Pow10(d), Label: label})
		for m := 2.0; m < 10 && every == 1 && d < last; m++ {
			ticks = append(ticks, plot.Tick{Value: m * math.Pow10(d)})
		}
	}
	return ticks
}
