package kernels

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

// workers is how many goroutines one call may use, the caller's among them,
// less one: so that the zero value is the default.
var workers atomic.Int32

// SetWorkers lets every call of DenseForward, Packed.Forward, DenseBackward and
// DenseBackwardAdd use up to n goroutines, the caller's among them. The default
// is 1: no goroutine is started unless asked. The returned function sets the
// number that was in use before.
//
// Work is split over outputs only (rows or columns of y; rows or columns of dz,
// then rows of dw with columns of dx, and db, or columns of dw and db, then rows
// of dx), never within a sum, so the bits do not depend on n. Small layers stay
// with the caller: starting a goroutine takes longer. One that was started spins
// for up to a tenth of a millisecond, waiting for more work, before it ends.
//
// It panics if n is less than 1 or more than 1<<16.
func SetWorkers(n int) (restore func()) {
	if n < 1 || n > 1<<16 {
		panic(fmt.Sprintf("lockstep: SetWorkers: n is %d but must be from 1 to %d", n, 1<<16))
	}
	old := workers.Swap(int32(n - 1))
	return func() { workers.Store(old) }
}

// What is worth sharing, and how. Tests lower it.
var (
	minShare = 1 << 21 // multiply-adds that are worth a goroutine
	minGate  = 1 << 13 // elements of dz that are
	bigShare = 1 << 27 // multiply-adds that take so long that it matters little when they begin
)

const (
	patience = 100 * time.Microsecond // that is waited without sleeping
	rowUnit  = 8                      // where rows are cut: at whole tiles,
	colUnit  = 16                     // and columns: at vectors of every backend,
	panelSet = 48                     // or better at panels of every backend

	// the least of a goroutine's share:
	shareRows    = 32 // rows,
	shareCols    = 96 // columns,
	shareInputs  = 48 // inputs,
	shareOutputs = 32 // or rows and outputs of a layer that has
	fewestInputs = 32 // so many inputs, but too few to be shared
)

// shares is how many goroutines are to share work over length rows or columns,
// each having at least least of them.
func shares(work float64, length, least int) int {
	n := int(workers.Load()) + 1
	if n == 1 {
		return 1
	}
	return max(1, min(n, length/least, int(work/float64(minShare))))
}

// pieces is how many pieces each of count goroutines is to have of some work:
// several, since one may begin late, unless that does not matter.
func pieces(work float64, count int) int {
	if work/float64(count) < float64(bigShare) {
		return 8
	}
	return 1
}

// cuts divides [0, length) among up to count goroutines. A list has the ends of one's pieces,
// from where the first begins. All get as much, to about a multiple of unit, in up to most
// pieces that are multiples of whole. What is left over is one more, or if it is less than a
// unit, or most is 1, a part of the last. No piece is shorter than half a unit unless length
// is: half a unit is still a wide layer, and a narrow one would be summed in another order.
func cuts(count, most, length, whole, unit int) [][]int {
	all := make([][]int, 0, count)
	for from, k := 0, 1; k <= count; k++ {
		to := (portion(length, k, count) + unit/2) / unit * unit
		if k == count || length-to < unit/2 {
			to = length
		}
		if to == from && (k < count || len(all) > 0) {
			continue
		}
		n := (to - from) / whole
		parts := min(n, most)
		at := append(make([]int, 0, parts+2), from)
		for i := 1; i <= parts; i++ {
			at = append(at, from+portion(n, i, parts)*whole)
		}
		if last := len(at) - 1; last > 0 && (most == 1 || to-at[last] < unit) {
			at[last] = to
		} else {
			at = append(at, to)
		}
		all, from = append(all, at), to
	}
	return all
}

// portion is length·i/parts; the product may overflow an int of 32 bits.
func portion(length, i, parts int) int { return int(int64(length) * int64(i) / int64(parts)) }

const _ = uint(colUnit/2 - narrow) // half a unit is wide

// A stage is work that goroutines share: do is called for what lies between neighbours in each
// list of cuts. Each goroutine begins with the list that it has in every call, as its cache may
// still have what is there, and then takes what others have left of theirs.
type stage struct {
	cuts  [][]int
	do    func(from, to int)
	begun []counter     // pieces of each list
	left  atomic.Int64  // pieces not yet reported as done
	all   chan struct{} // closed when there are none
}

// A counter has a pair of cache lines of its own: goroutines that share one wait for each other.
type counter struct {
	atomic.Int64
	_ [2*64 - 8]byte
}

func newStage(cuts [][]int, do func(from, to int)) *stage {
	s := &stage{cuts: cuts, do: do, begun: make([]counter, len(cuts)), all: make(chan struct{})}
	for _, at := range cuts {
		s.left.Add(int64(len(at) - 1))
	}
	return s
}

// run does pieces until none is left, for the goroutine of that number, and returns how many.
func (s *stage) run(self int) (done int) {
	for k := range s.cuts {
		of := (self + k) % len(s.cuts)
		at := s.cuts[of]
		if s.begun[of].Load() >= int64(len(at)-1) {
			continue // to add would take the counter from others' caches
		}
		for i := s.begun[of].Add(1); i < int64(len(at)); i = s.begun[of].Add(1) {
			s.do(at[i-1], at[i])
			done++
		}
	}
	return done
}

// finish reports that so many pieces have been done.
func (s *stage) finish(done int) {
	if done > 0 && s.left.Add(int64(-done)) == 0 {
		close(s.all)
	}
}

// wait waits for the pieces that others do.
func (s *stage) wait() {
	for begin := time.Now(); time.Since(begin) < patience; runtime.Gosched() {
		select {
		case <-s.all:
			return
		default:
		}
	}
	<-s.all
}

// share does one stage after the other, of at least one piece each, by count
// goroutines, the caller's among them.
func share(count int, stages ...*stage) {
	for self := 1; self < count; self++ {
		enlist(job{stages, self})
	}
	for _, s := range stages {
		s.finish(s.run(0))
		s.wait() // for the pieces, not the helpers: one that comes late finds nothing to do
	}
}

// A job is what a helper is to do: its part of some stages.
type job struct {
	stages []*stage
	self   int
}

// A helper is a goroutine that does jobs, and waits a while for the next one, without
// sleeping: to wake up takes longer than many a layer.
var (
	helpers atomic.Int64 // that wait, or are about to, less the jobs that will be sent
	jobs    = make(chan job, 256)
)

// enlist has a helper do j, one that waits or a new one.
func enlist(j job) {
	if claim() {
		jobs <- j
	} else {
		go help(j)
	}
}

// claim takes one helper from those that wait.
func claim() bool {
	if helpers.Add(-1) >= 0 {
		return true
	}
	helpers.Add(1)
	return false
}

func help(j job) {
	for more := true; more; j, more = await() {
		for i, s := range j.stages {
			done := s.run(j.self)
			if i < len(j.stages)-1 {
				s.finish(done)
				s.wait()
				continue
			}
			// The caller may call again as soon as all is done, and should find a helper then.
			helpers.Add(1)
			s.finish(done)
		}
	}
}

// await returns a helper's next job, if one comes in time.
func await() (j job, more bool) {
	for {
		for begin := time.Now(); time.Since(begin) < patience; runtime.Gosched() {
			select {
			case j = <-jobs:
				return j, true
			default:
			}
		}
		if claim() {
			return j, false // it was itself
		}
		// Somebody has claimed it, and will send a job to it or to another helper.
	}
}

// rowsFrom and colsFrom are the parts of m that lie in a range of rows or columns.

func (m Mat[T]) rowsFrom(from, to int) Mat[T] {
	m.Rows = to - from
	if m.empty() {
		m.Data = nil
	} else {
		m.Data = m.Data[from*m.Stride : (to-1)*m.Stride+m.Cols]
	}
	return m
}

func (m Mat[T]) colsFrom(from, to int) Mat[T] {
	m.Cols = to - from
	if m.empty() {
		m.Data = nil
	} else {
		m.Data = m.Data[from : (m.Rows-1)*m.Stride+to]
	}
	return m
}

// part is v's elements from from to to-1, or nil if v is.
func part[T Float](v []T, from, to int) []T {
	if v == nil {
		return nil
	}
	return v[from:to]
}

// forwardSplit is the table's forward by several goroutines, if it is worth that. What is not
// shared allocates nothing here: operands that closures hold are copies of those that do share.
func (t *table[T]) forwardSplit(y, x, w *Mat[T], b []T, act Activation) bool {
	work := float64(y.Rows) * float64(y.Cols) * float64(x.Cols)
	// Many columns are better split than rows: a piece of w meets one worker.
	if n := shares(work, y.Cols, shareCols); n > 1 {
		at := cuts(n, pieces(work, n), y.Cols, panelSet, colUnit)
		t.forwardByCols(n, at, *y, *x, *w, b, act)
		return true
	}
	if n := shares(work, y.Rows, shareRows); n > 1 {
		at := cuts(n, pieces(work, n), y.Rows, rowUnit, rowUnit)
		t.forwardByRows(n, at, *y, *x, *w, b, act)
		return true
	}
	return false
}

func (t *table[T]) forwardByCols(n int, at [][]int, y, x, w Mat[T], b []T, act Activation) {
	share(n, newStage(at, func(from, to int) {
		yPart, wPart := y.colsFrom(from, to), w.colsFrom(from, to)
		bPart := part(b, from, to)
		t.forward(noescape(&yPart), &x, noescape(&wPart), bPart, act)
	}))
}

func (t *table[T]) forwardByRows(n int, at [][]int, y, x, w Mat[T], b []T, act Activation) {
	share(n, newStage(at, func(from, to int) {
		yPart, xPart := y.rowsFrom(from, to), x.rowsFrom(from, to)
		t.forward(noescape(&yPart), noescape(&xPart), &w, b, act)
	}))
}

// backwardSplit is the table's backward by several goroutines, if it is worth that.
func (t *table[T]) backwardSplit(dx, dw *Mat[T], db []T, dy, y, x, w *Mat[T], act Activation, add bool) bool {
	work := 2 * float64(dy.Rows) * float64(dy.Cols) * float64(x.Cols)
	if n := shares(work, x.Cols, shareInputs); n > 1 {
		gate := gateStage(t, n, *dy, *y, act)
		t.backwardByInputs(n, pieces(work, n), gate, *dx, *dw, db, *dy, *y, *x, *w, add)
		return true
	}
	if x.Cols < fewestInputs {
		return false
	}
	if n := shares(work, min(dy.Rows, dy.Cols), shareOutputs); n > 1 {
		gate := gateStage(t, n, *dy, *y, act)
		t.backwardByOutputs(n, pieces(work, n), gate, *dx, *dw, db, *dy, *y, *x, *w, add)
		return true
	}
	return false
}

// gateStage makes dz, by rows if there are enough: the first stage, if there is one.
func gateStage[T Float](t *table[T], n int, dy, y Mat[T], act Activation) []*stage {
	if act == Identity {
		return nil
	}
	length, unit, of := dy.Rows, rowUnit, Mat[T].rowsFrom
	if length < n*unit {
		length, unit, of = dy.Cols, colUnit, Mat[T].colsFrom
	}
	at := [][]int{{0, length}}
	if dy.Rows*dy.Cols >= minGate {
		at = cuts(n, 2, length, unit, unit)
	}
	return []*stage{newStage(at, func(from, to int) {
		dyPart, yPart := of(dy, from, to), of(y, from, to)
		t.gate(noescape(&dyPart), noescape(&yPart), act)
	})}
}

// backwardByInputs shares rows of dw with columns of dx, and db with the first of them.
func (t *table[T]) backwardByInputs(n, most int, gate []*stage, dx, dw Mat[T], db []T, dz, y, x, w Mat[T], add bool) {
	at := cuts(n, most, x.Cols, panelSet, colUnit)
	share(n, append(gate, newStage(at, func(from, to int) {
		if from == 0 && db != nil {
			var dxPart Mat[T]
			dwPart, xPart, wPart := dw.rowsFrom(0, 0), x.colsFrom(0, 0), w.rowsFrom(0, 0) // no inputs
			t.backward(noescape(&dxPart), noescape(&dwPart), db, &dz, &y, noescape(&xPart), noescape(&wPart), Identity, add)
		}
		dxPart, dwPart, xPart, wPart := dx, dw.rowsFrom(from, to), x.colsFrom(from, to), w.rowsFrom(from, to)
		if !dx.IsZero() {
			dxPart = dx.colsFrom(from, to)
		}
		t.backward(noescape(&dxPart), noescape(&dwPart), nil, &dz, &y, noescape(&xPart), noescape(&wPart), Identity, add)
	}))...)
}

// backwardByOutputs shares columns of dw and db, and then rows of dx: for inputs that are too
// few to be shared.
func (t *table[T]) backwardByOutputs(n, most int, gate []*stage, dx, dw Mat[T], db []T, dz, y, x, w Mat[T], add bool) {
	stages := append(gate, newStage(cuts(n, most, dz.Cols, panelSet, colUnit), func(from, to int) {
		var dxPart Mat[T]
		dwPart, dzPart, yPart, wPart := dw.colsFrom(from, to), dz.colsFrom(from, to), y.colsFrom(from, to), w.colsFrom(from, to)
		dbPart := part(db, from, to)
		t.backward(noescape(&dxPart), noescape(&dwPart), dbPart, noescape(&dzPart), noescape(&yPart), &x, noescape(&wPart), Identity, add)
	}))
	if !dx.IsZero() {
		stages = append(stages, newStage(cuts(n, most, dz.Rows, rowUnit, rowUnit), func(from, to int) {
			dxPart, dzPart := dx.rowsFrom(from, to), dz.rowsFrom(from, to)
			t.inputs(noescape(&dxPart), noescape(&dzPart), &w)
		}))
	}
	share(n, stages...)
}
