package main

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/lockstep-go/lockstep/bench/internal/peers"
	"github.com/lockstep-go/lockstep/bench/internal/roof"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

var (
	blue   = color.NRGBA{0x1f, 0x5f, 0xbf, 0xff}
	orange = color.NRGBA{0xe6, 0x7e, 0x22, 0xff}
	green  = color.NRGBA{0x2e, 0x8b, 0x57, 0xff}
	red    = color.NRGBA{0xc0, 0x39, 0x2b, 0xff}
	purple = color.NRGBA{0x80, 0x4f, 0xb3, 0xff}
	teal   = color.NRGBA{0x16, 0xa0, 0x9a, 0xff}
	brown  = color.NRGBA{0x8d, 0x6e, 0x43, 0xff}
	gray   = color.NRGBA{0x88, 0x88, 0x88, 0xff}
)

// draw makes roofline.svg, if the limits are known, and ratio.svg.
func (r *results) draw(dir string) error {
	if len(r.Dense) == 0 {
		return nil
	}
	if r.Limits != nil {
		var row []*plot.Plot
		for _, typ := range r.types() {
			p, err := r.roofline(typ)
			if err != nil {
				return err
			}
			row = append(row, p)
		}
		if err := save(filepath.Join(dir, "roofline.svg"), [][]*plot.Plot{row}, 16*vg.Centimeter, 12*vg.Centimeter); err != nil {
			return err
		}
	}
	var rows [][]*plot.Plot
	for _, typ := range r.types() {
		for _, op := range []peers.Op{peers.Forward, peers.Backward} {
			p, err := r.ratios(typ, op)
			if err != nil {
				return err
			}
			rows = append(rows, []*plot.Plot{p})
		}
	}
	return save(filepath.Join(dir, "ratio.svg"), rows, 26*vg.Centimeter, 9*vg.Centimeter)
}

// types are those that were measured.
func (r *results) types() []string {
	var list []string
	for _, m := range r.Dense {
		if !slices.Contains(list, m.Type) {
			list = append(list, m.Type)
		}
	}
	return list
}

// save tiles the plots, each of the given size.
func save(path string, rows [][]*plot.Plot, width, height vg.Length) error {
	c := vgsvg.New(width*vg.Length(len(rows[0])), height*vg.Length(len(rows)))
	tiles := draw.Tiles{Rows: len(rows), Cols: len(rows[0]), PadX: vg.Millimeter * 4, PadY: vg.Millimeter * 4,
		PadTop: vg.Millimeter * 2, PadBottom: vg.Millimeter * 2, PadLeft: vg.Millimeter * 2, PadRight: vg.Millimeter * 2}
	for i, row := range plot.Align(rows, tiles, draw.New(c)) {
		for j, canvas := range row {
			rows[i][j].Draw(canvas)
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = c.WriteTo(f)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// roofline draws what was reached over operations for each byte, and the lines
// that nothing can be above.
func (r *results) roofline(typ string) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s, %s", typ, r.Backend)
	p.X.Label.Text, p.Y.Label.Text = "operations per byte, each operand moved once", "GFLOP/s"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks{}, ticks{}

	var ours, theirs [2]plotter.XYs
	lowest := math.Inf(1)
	left, right := math.Inf(1), 0.0
	for _, m := range r.Dense {
		if m.Type != typ {
			continue
		}
		flops := m.Shape.Flops(m.Op)
		x := flops / (m.Shape.Elements(m.Op) * elementSize(typ))
		left, right = min(left, x), max(right, x)
		i := 0
		if m.Op == peers.Backward {
			i = 1
		}
		add := func(to *plotter.XYs, t timing) {
			y := flops / t.Median / 1e9
			lowest = min(lowest, y)
			*to = append(*to, plotter.XY{X: x, Y: y})
		}
		add(&ours[i], m.Times[0])
		if peer, lead := m.best(); lead > 0 {
			add(&theirs[i], peer)
		}
	}
	left, right = left/1.5, right*1.5
	peak := r.limit("fma", typ) / 1e9
	for i, level := range roof.Levels() {
		read := r.limit("read", level.Name) / 1e9
		if read == 0 {
			continue
		}
		knee := min(max(peak/read, left), right)
		line, err := plotter.NewLine(plotter.XYs{{X: left, Y: min(left*read, peak)}, {X: knee, Y: min(knee*read, peak)}, {X: right, Y: min(right*read, peak)}})
		if err != nil {
			return nil, err
		}
		line.Color = gray
		line.Dashes = [][]vg.Length{nil, {6, 2}, {3, 2}, {1, 2}}[i]
		p.Add(line)
		p.Legend.Add(fmt.Sprintf("%s, %.0f GB/s", level.Name, read), line)
	}
	p.Add(plotter.NewGrid())
	for _, s := range []struct {
		name   string
		points plotter.XYs
		glyph  draw.GlyphDrawer
		color  color.Color
	}{
		{"best peer, forward", theirs[0], draw.RingGlyph{}, orange},
		{"best peer, backward", theirs[1], draw.SquareGlyph{}, orange},
		{"Lockstep, forward", ours[0], draw.CircleGlyph{}, blue},
		{"Lockstep, backward", ours[1], draw.BoxGlyph{}, blue},
	} {
		if len(s.points) == 0 {
			continue
		}
		dots, err := plotter.NewScatter(s.points)
		if err != nil {
			return nil, err
		}
		dots.GlyphStyle = draw.GlyphStyle{Color: s.color, Radius: vg.Points(3), Shape: s.glyph}
		p.Add(dots)
		p.Legend.Add(s.name, dots)
	}
	p.X.Min, p.X.Max = left, right
	p.Y.Min, p.Y.Max = lowest/2, peak*1.5
	return p, nil
}

// ratios draws, for each shape, how many times as long as ours each peer takes.
func (r *results) ratios(typ string, op peers.Op) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s, %s, %s: above 1 Lockstep is faster", op, typ, r.Backend)
	p.Y.Label.Text = "their time / ours"
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, ticks{}
	p.Legend.Top = true
	p.X.Tick.Label.Rotation = math.Pi / 5
	p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = draw.XRight, draw.YCenter

	styles := map[string]draw.GlyphStyle{
		"lockstep-packed": {Color: red, Shape: draw.TriangleGlyph{}},
		"openblas":        {Color: blue, Shape: draw.CircleGlyph{}},
		"openblas-gemv":   {Color: blue, Shape: draw.RingGlyph{}},
		"blis":            {Color: green, Shape: draw.BoxGlyph{}},
		"blis-gemv":       {Color: green, Shape: draw.SquareGlyph{}},
		"onednn":          {Color: purple, Shape: draw.PyramidGlyph{}},
		"onednn-packed":   {Color: purple, Shape: draw.TriangleGlyph{}},
		"gonum":           {Color: brown, Shape: draw.PlusGlyph{}},
		"vek":             {Color: teal, Shape: draw.CrossGlyph{}},
	}
	var labels, names []string
	points := map[string]plotter.XYs{}
	low, high := 0.8, 1.25
	for _, m := range r.Dense {
		if m.Type != typ || m.Op != op {
			continue
		}
		x := float64(len(labels))
		labels = append(labels, cross(m.Shape))
		for _, t := range m.Times[1:] {
			y := t.Ratio
			low, high = min(low, y), max(high, y)
			if points[t.Name] == nil {
				names = append(names, t.Name)
			}
			points[t.Name] = append(points[t.Name], plotter.XY{X: x, Y: y})
		}
	}
	p.Add(plotter.NewGrid())
	one, err := plotter.NewLine(plotter.XYs{{X: -0.5, Y: 1}, {X: float64(len(labels)) - 0.5, Y: 1}})
	if err != nil {
		return nil, err
	}
	one.Color = red
	p.Add(one)
	slices.Sort(names)
	for _, name := range names {
		dots, err := plotter.NewScatter(points[name])
		if err != nil {
			return nil, err
		}
		dots.GlyphStyle = styles[name]
		dots.Radius = vg.Points(3)
		p.Add(dots)
		p.Legend.Add(name, dots)
	}
	p.NominalX(labels...)
	p.X.Min, p.X.Max = -0.5, 1.15*float64(len(labels)) // room for the legend
	p.Y.Min, p.Y.Max = low/1.2, high*1.2
	return p, nil
}

// ticks are 1, 2 and 5 times powers of ten.
type ticks struct{}

func (ticks) Ticks(low, high float64) []plot.Tick {
	var list []plot.Tick
	for e := math.Floor(math.Log10(low)); e <= math.Log10(high); e++ {
		for _, m := range []float64{1, 2, 5} {
			if v := m * math.Pow(10, e); low <= v && v <= high {
				list = append(list, plot.Tick{Value: v, Label: fmt.Sprintf("%.3g", v)})
			}
		}
	}
	return list
}
