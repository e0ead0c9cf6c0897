// Command fingerprint shows whether this machine computes the same bits as
// every other: a table of its backends and the kernels, with the first
// difference of each that has one.
//
//	go run ./bench/fingerprint
//
// It exits with status 1 if there is any difference.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/klauspost/cpuid/v2"
	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/kernels/fingerprint"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit status: 1 for a difference, 2 for wrong usage.
func run(args []string, stdout, stderr io.Writer) int {
	backends, err := parse(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "fingerprint: %v\n", err)
		return 2
	}
	var cs []column
	for _, name := range backends {
		rs, err := fingerprint.Check(name)
		if err != nil {
			fmt.Fprintf(stderr, "fingerprint: %v\n", err)
			return 2
		}
		cs = append(cs, column{name, rs})
	}
	cpu := cmp.Or(cpuid.CPU.BrandName, cpuid.CPU.VendorString, "unknown CPU")
	same, err := report(stdout, fmt.Sprintf("%s/%s, %s", runtime.GOOS, runtime.GOARCH, cpu), cs)
	if err != nil {
		fmt.Fprintf(stderr, "fingerprint: %v\n", err)
		return 1
	}
	if !same {
		return 1
	}
	return 0
}

// parse returns the backends to check.
func parse(args []string, stdout io.Writer) ([]string, error) {
	all := kernels.Backends()
	f := flag.NewFlagSet("fingerprint", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	names := f.String("backend", strings.Join(all, ","), "check these backends, `names` separated by commas")
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, `Fingerprint shows whether this machine computes the same bits as every other:
a table of its backends and the kernels, with the first difference of each
that has one. It exits with status 1 if there is any.

	go run ./bench/fingerprint
	go run ./bench/fingerprint -backend generic

Flags:

`)
		f.SetOutput(stdout)
		f.PrintDefaults()
	}
	if err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	var backends []string
	for name := range strings.SplitSeq(*names, ",") {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("-backend has %q but this machine has %s", name, strings.Join(all, ", "))
		}
		if !slices.Contains(backends, name) {
			backends = append(backends, name)
		}
	}
	return backends, nil
}

// A column is what one backend gives.
type column struct {
	backend string
	results []fingerprint.Result
}

// report writes the table and the differences, and returns whether there are
// none. There is at least one column.
func report(w io.Writer, machine string, cs []column) (same bool, err error) {
	var page strings.Builder
	fmt.Fprintf(&page, "%s\nfingerprint: %s\n\n", machine, fingerprint.Want())
	table := tabwriter.NewWriter(&page, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "kernel\ttype")
	for _, c := range cs {
		fmt.Fprintf(table, "\t%s", c.backend)
	}
	fmt.Fprintln(table, "\tdigest")
	for i, r := range cs[0].results {
		fmt.Fprintf(table, "%s\t%s", r.Kernel, r.Type)
		for _, c := range cs {
			mark := "✓"
			if c.results[i].Diff != "" {
				mark = "✗"
			}
			fmt.Fprintf(table, "\t%s", mark)
		}
		fmt.Fprintf(table, "\t%.16s…\n", r.Want)
	}
	table.Flush() // to page, which takes everything

	same = true
	for _, c := range cs {
		var diffs []string
		for _, r := range c.results {
			if r.Diff != "" {
				diffs = append(diffs, fmt.Sprintf("✗ %s %s: %s\n", r.Kernel, r.Type, r.Diff))
			}
		}
		if diffs != nil {
			fmt.Fprintf(&page, "\n%s has the fingerprint %s:\n%s", c.backend, fingerprint.Digest(c.results), strings.Join(diffs, ""))
			same = false
		}
	}
	_, err = io.WriteString(w, page.String())
	return same, err
}
