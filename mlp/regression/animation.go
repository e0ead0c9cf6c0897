package main

import (
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"io"
	"maps"
	"slices"

	"gonum.org/v1/plot/vg"
)

// animation writes the curves one after the other as a GIF.
func (f *fit) animation(w io.Writer) error {
	const (
		delay = 15  // of a frame, in hundredths of a second
		rest  = 250 // of the last one
	)
	x, y := f.fitAxes()
	frame := func(heading string, i int) *image.RGBA {
		p := newPicture(heading, "x", "y")
		p.plot.Add(f.dots())
		if i >= 0 {
			p.plot.Add(line(f.grid, f.curves.values[i].y, y, stroke(lastColor, vg.Points(2.5))))
		}
		p.setAxes(x, y)
		return p.image(gifDPI).(*image.RGBA)
	}
	var frames []*image.RGBA
	for i, step := range f.curves.steps {
		frames = append(frames, frame(fmt.Sprintf("step %d, cost %.3g", step, f.curves.values[i].cost), i))
	}
	if frames == nil {
		frames = append(frames, frame("no curve", -1))
	}

	g := gif.GIF{}
	pal := paletteOf(frames[0], frames[len(frames)/2], frames[len(frames)-1])
	index := map[color.RGBA]uint8{}
	var previous *image.RGBA
	for _, img := range frames {
		p := image.NewPaletted(img.Rect, pal)
		for at := 0; at < len(img.Pix); at += 4 {
			px := img.Pix[at : at+4]
			if previous != nil && slices.Equal(px, previous.Pix[at:at+4]) {
				continue // index 0, transparent
			}
			c := color.RGBA{px[0], px[1], px[2], px[3]}
			i, ok := index[c]
			if !ok {
				i = uint8(1 + pal[1:].Index(c))
				index[c] = i
			}
			p.Pix[at/4] = i
		}
		previous = img
		g.Image = append(g.Image, p)
		g.Delay = append(g.Delay, delay)
		g.Disposal = append(g.Disposal, gif.DisposalNone)
	}
	g.Delay[len(g.Delay)-1] = rest
	return gif.EncodeAll(w, &g)
}

// paletteOf returns transparency and the 255 most frequent colours.
func paletteOf(images ...*image.RGBA) color.Palette {
	count := map[color.RGBA]int{}
	for _, img := range images {
		for at := 0; at < len(img.Pix); at += 4 {
			px := img.Pix[at : at+4]
			count[color.RGBA{px[0], px[1], px[2], px[3]}]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(
			cmp.Compare(count[b], count[a]),
			cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	pal := color.Palette{color.RGBA{}}
	for _, c := range colors[:min(len(colors), 255)] {
		pal = append(pal, c)
	}
	return pal
}
