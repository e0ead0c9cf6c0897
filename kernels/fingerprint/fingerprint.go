// Package fingerprint shows whether the backends of package kernels give the
// same bits on this machine as on every other one.
//
//	digest of a case = SHA-256 of its outputs, element by element
//	digest of a kernel at a type = SHA-256 of the digests of its cases
//	fingerprint = SHA-256 of the lines "kernel type digest\n"
//
// The elements of an output are in row-major order and little-endian. Every NaN
// counts as the same, since its sign and payload are not promised.
//
// The cases are a fixed list: every function, both types, the thousand steps of
// the regression tutorial, as package mlp takes them, and layers that are large
// in some way. They call every kernel of every instruction set. Their shapes lie
// on and next to the edges of tiles, blocks and lanes, their rows with and
// without gaps. Their operands come from integers and bit patterns and hold
// signed zeros, subnormal numbers, infinities and NaNs too. Two workers share
// the largest of the backward passes, where their rows have no gaps.
//
// The digests that the reference, the backend "generic", must have are part of
// this package. Whoever changes the cases, or the numeric contract itself,
// makes them anew:
//
//	go test ./kernels/fingerprint -update
package fingerprint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/lockstep-go/lockstep/kernels"
)

// A Result says what a backend gives in the cases of one kernel at one type.
type Result struct {
	Kernel string // a function of package kernels, Regression, LargeForward, LargeBackward or FarForward
	Type   string // float32 or float64
	Digest string // of what the backend gives, 64 hexadecimal digits
	Want   string // the digest it must be

	// Diff is empty if the two agree. Else it names the first case that
	// differs, and in it the first element that is not as in the reference,
	// with the bits of both. Where the reference itself has changed, it says
	// so.
	Diff string
}

// Check runs every case with the backend of the given name. Results come in a
// fixed order, whatever the backend.
//
// While it runs, it selects backends and numbers of workers for the whole process,
// with [kernels.SetBackend] and [kernels.SetWorkers], and it selects the former ones
// before it returns.
// Several calls wait for one another.
//
// It returns an error if this CPU or build cannot run the backend.
func Check(backend string) ([]Result, error) {
	checking.Lock()
	defer checking.Unlock()
	restore, err := kernels.SetBackend(backend)
	if err != nil {
		return nil, err
	}
	defer restore()
	want, err := parse(digests)
	if err != nil {
		return nil, err
	}
	var rs []Result
	for i := range bodies {
		rs = append(rs, bodies[i].check(backend, &want[i]))
	}
	return rs, nil
}

var checking sync.Mutex

// Digest returns the fingerprint of a backend from what [Check] returned for it.
func Digest(results []Result) string {
	h := sha256.New()
	for _, r := range results {
		fmt.Fprintf(h, "%s %s %s\n", r.Kernel, r.Type, r.Digest)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Want returns the fingerprint that every backend must have.
func Want() string {
	want, err := parse(digests)
	if err != nil {
		panic(err)
	}
	var rs []Result
	for i, b := range bodies {
		rs = append(rs, Result{Kernel: b.kernel.name, Type: b.typ, Digest: want[i].all})
	}
	return Digest(rs)
}

// sums runs all cases with the selected backend.
func (b *body) sums() sums {
	var s sums
	h := sha256.New()
	for _, c := range b.kernel.cases {
		sum := sumOf(b.run(b.kernel, c))
		h.Write(sum[:])
		s.short = append(s.short, short(sum))
	}
	s.all = hex.EncodeToString(h.Sum(nil))
	return s
}

// check runs all cases with the selected backend, whose name is given.
func (b *body) check(backend string, want *sums) Result {
	got := b.sums()
	first, count := 0, 0 // of the cases that differ
	for i := len(got.short) - 1; i >= 0; i-- {
		if got.short[i] != want.short[i] {
			first, count = i, count+1
		}
	}
	r := Result{Kernel: b.kernel.name, Type: b.typ, Digest: got.all, Want: want.all}
	switch {
	case count > 0:
		r.Diff = fmt.Sprintf("%s; %d of %d cases differ", b.explain(backend, first, want), count, len(got.short))
	case got.all != want.all:
		r.Diff = "the digest differs, but no case does: digests.txt contradicts itself"
	}
	return r
}

// explain compares case i, which differs from its digest, with the reference.
func (b *body) explain(backend string, i int, want *sums) string {
	c := b.kernel.cases[i]
	name := b.kernel.describe(c)
	got := b.run(b.kernel, c)
	ref := got
	if backend != reference {
		restore, err := kernels.SetBackend(reference)
		if err != nil {
			panic(err) // every build has it
		}
		ref = b.run(b.kernel, c)
		restore()
	}
	diff := difference(got, ref)
	if short(sumOf(ref)) != want.short[i] {
		name += ": the reference itself differs from its digest"
		if diff == "" {
			return name
		}
		return name + ", and " + diff
	}
	if diff == "" {
		return name + ": it differed, but not when run again"
	}
	return name + ": " + diff
}

const reference = "generic"

// An output is what one call left in one operand, or returned.
type output struct {
	name string
	cols int // of a matrix; 0 is a vector, -1 a scalar
	size int // bytes of an element
	data []byte
}

func sumOf(outputs []output) [sha256.Size]byte {
	h := sha256.New()
	for _, o := range outputs {
		h.Write(o.data)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// difference describes the first element where got is not ref, if any. The two
// are of the same case.
func difference(got, ref []output) string {
	for i, o := range got {
		r := ref[i].data
		if bytes.Equal(o.data, r) {
			continue
		}
		at := 0
		for o.data[at] == r[at] {
			at++
		}
		at -= at % o.size
		q := at / o.size
		name := o.name
		switch {
		case o.cols > 0:
			name += fmt.Sprintf("[%d,%d]", q/o.cols, q%o.cols)
		case o.cols == 0:
			name += fmt.Sprintf("[%d]", q)
		}
		return fmt.Sprintf("%s is %s but %s in the reference", name, show(o.data[at:at+o.size]), show(r[at:at+o.size]))
	}
	return ""
}
