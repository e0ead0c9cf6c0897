package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress is a bar on a terminal, which appears when a run takes long. A nil
// one does nothing.
type progress struct {
	w     io.Writer
	steps int
	next  time.Time // when to draw
	bar   *progressbar.ProgressBar
}

// newProgress returns nil unless w is a terminal.
func newProgress(w io.Writer, steps int) *progress {
	if f, ok := w.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &progress{w: w, steps: steps, next: time.Now().Add(time.Second)}
}

// at shows that a step is done.
func (p *progress) at(step int) {
	if p == nil || time.Now().Before(p.next) {
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions(p.steps,
			progressbar.OptionSetWriter(p.w),
			progressbar.OptionSetDescription("training"),
			progressbar.OptionSetWidth(30),
			progressbar.OptionShowCount(),
			progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("steps"),
		)
	}
	// A bar that cannot be drawn is no reason to stop.
	_ = p.bar.Set(step + 1)
	p.next = time.Now().Add(100 * time.Millisecond)
}

// clear takes the bar away, for a line to be printed. It comes back.
func (p *progress) clear() {
	if p != nil && p.bar != nil {
		_ = p.bar.Clear()
	}
}
