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
// Work is split over outputs only (rows or columns of y, rows of dw together
// with columns of dx), never within a sum, so the bits do not depend on n.
// Small layers stay with the caller: starting a goroutine takes longer. One that
// was started waits a tenth of a millisecond for more work, without sleeping,
// before it ends.
//
// It panics if n is less than 1 or more than 1<<16.
func SetWorkers(n int) (restore func()) {
	if n < 1 || n > 1<<16 {
		panic(fmt.Sprintf("lockstep: SetWorkers: n is %d but must be from 1 to %d", n, 1<<16))
	}
	old := workers.Swap(int32(n - 1))
	return func() { workers.Store(old) }
}

const (
	minShare = 1 << 21                // multiply-adds that are worth a goroutine
	bigShare = 1 << 27                // or that take so long that it matters little when it begins
	patience = 100 * time.Microsecond // that is waited without sleeping
	rowUnit  = 8                      // where rows and columns are cut: at whole tiles and
	colUnit  = 16                     // vectors of every backend,
	minRows  = 8                      // and so many at least in a piece
	minCols  = 24
)

// shares is how many goroutines are to share work over length rows or columns,
// in pieces of at least least.
func shares(work float64, length, least int) int {
	n := int(workers.Load()) + 1
	if n == 1 {
		return 1
	}
	return max(1, min(n, length/least, int(work/minShare)))
}

// pieces is how many pieces each of count goroutines is to have of some work:
// several, since one may begin late, unless that is no matter.
func pieces(work float64, count int) int {
	if work/float64(count) < bigShare {
		return 8
	}
	return 1
}

// split calls f for pieces of [0, length), cut at multiples of unit, by count
// goroutines, the caller's among them, each of which takes the next piece when
// it is done with one. There are each of them for every goroutine, or fewer, but
// as many for each, if they were shorter than least. It waits for all.
func split(count, each, length, unit, least int, f func(from, to int)) {
	each = max(min(each, length/least/count), 1)
	units := (length + unit - 1) / unit
	parts := min(count*each, units)
	cut := func(i int) int { return min(units*i/parts*unit, length) }
	var next, complete atomic.Int64
	all := make(chan struct{})
	work := func() {
		for i := next.Add(1); i <= int64(parts); i = next.Add(1) {
			f(cut(int(i)-1), cut(int(i)))
			if complete.Add(1) == int64(parts) {
				close(all)
			}
		}
	}
	for range min(count, parts) - 1 {
		enlist(work)
	}
	work() // a helper that comes when nothing is left is not waited for
	for begin := time.Now(); time.Since(begin) < patience; runtime.Gosched() {
		select {
		case <-all:
			return
		default:
		}
	}
	<-all
}

// A helper is a goroutine that does somebody's work, and then waits a while for
// more, without sleeping: to wake up takes longer than many a layer.
var (
	helpers atomic.Int64 // that wait, less the jobs that will be sent
	jobs    = make(chan func(), 1<<16)
)

// enlist has a helper do the work, one that waits or a new one.
func enlist(work func()) {
	if claim() {
		jobs <- work
	} else {
		go help(work)
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

func help(work func()) {
	for ; work != nil; work = await() {
		work()
	}
}

// await returns a job for a helper, or nil if none comes in time.
func await() func() {
	helpers.Add(1)
	for begin := time.Now(); time.Since(begin) < patience; runtime.Gosched() {
		select {
		case work := <-jobs:
			return work
		default:
		}
	}
	if claim() {
		return nil // it was itself
	}
	return <-jobs // somebody has claimed it
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

// forwardShared is the table's forward by several goroutines, if it is worth
// that.
func (t *table[T]) forwardShared(y, x, w *Mat[T], b []T, act Activation) {
	if workers.Load() > 0 && t.forwardSplit(*y, *x, *w, b, act) {
		return
	}
	t.forward(hidden(y), hidden(x), hidden(w), b, act)
}

func (t *table[T]) forwardSplit(y, x, w Mat[T], b []T, act Activation) bool {
	work := float64(y.Rows) * float64(y.Cols) * float64(x.Cols)
	// Many columns are better split than rows: a piece of w meets one worker.
	if n := shares(work, y.Cols, 4*minCols); n > 1 {
		split(n, pieces(work, n), y.Cols, colUnit, minCols, func(from, to int) {
			bias := b
			if b != nil {
				bias = b[from:to]
			}
			yPart, wPart := y.colsFrom(from, to), w.colsFrom(from, to)
			t.forward(&yPart, &x, &wPart, bias, act)
		})
		return true
	}
	if n := shares(work, y.Rows, 4*minRows); n > 1 {
		split(n, pieces(work, n), y.Rows, rowUnit, minRows, func(from, to int) {
			yPart, xPart := y.rowsFrom(from, to), x.rowsFrom(from, to)
			t.forward(&yPart, &xPart, &w, b, act)
		})
		return true
	}
	return false
}

// backwardShared is the table's backward by several goroutines, if it is worth
// that: dz and db first, by the caller alone, as a layer without inputs; then
// rows of dw with columns of dx.
func (t *table[T]) backwardShared(dx, dw *Mat[T], db []T, dy, y, x, w *Mat[T], act Activation, add bool) {
	if workers.Load() > 0 && t.backwardSplit(*dx, *dw, db, *dy, *y, *x, *w, act, add) {
		return
	}
	t.backward(hidden(dx), hidden(dw), db, hidden(dy), hidden(y), hidden(x), hidden(w), act, add)
}

func (t *table[T]) backwardSplit(dx, dw Mat[T], db []T, dy, y, x, w Mat[T], act Activation, add bool) bool {
	work := 2 * float64(dy.Rows) * float64(dy.Cols) * float64(x.Cols)
	n := shares(work, x.Cols, 2*minCols)
	if n == 1 {
		return false
	}
	part := func(from, to int, db []T, act Activation) {
		dxPart, dwPart, xPart, wPart := dx, dw.rowsFrom(from, to), x.colsFrom(from, to), w.rowsFrom(from, to)
		if from == to {
			dxPart = Mat[T]{}
		} else if !dx.IsZero() {
			dxPart = dx.colsFrom(from, to)
		}
		t.backward(&dxPart, &dwPart, db, &dy, &y, &xPart, &wPart, act, add)
	}
	part(0, 0, db, act)
	split(n, pieces(work, n), x.Cols, colUnit, minCols, func(from, to int) { part(from, to, nil, Identity) })
	return true
}
