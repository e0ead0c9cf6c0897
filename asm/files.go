package main

import (
	"bytes"
	"fmt"
	"go/format"
	"strings"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/buildtags"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// A kernel is a function that emits one, by the name it gives it, for machines
// whose vectors have that many bytes at the most: longer ones leave it to the
// shorter ones of their CPU.
type kernel struct {
	name string
	emit func(Machine)
	most int
}

const every = 64 // bytes

func (k kernel) has(s Spec) bool { return s.VecBytes <= k.most }

// sources are the kernels by file.
var sources = []struct {
	stem    string
	kernels []kernel
}{
	{"dense", []kernel{{"panel", panel, every}, {"packing", packing, every}}},
	{"narrow", []kernel{
		{"narrow", narrow, every}, {"dot", dot, every}, {"abreast", abreast, every}, {"tree", tree, every}, {"unpacked", unpacked, every}, {"several", several, every}, {"columns", columns, every}, {"narrowBoth", narrowBoth, every},
	}},
	{"grad", []kernel{{"grad", grad, every}, {"gate", gate, every}, {"column", column, every}}},
	{"input", []kernel{{"input", input, every}, {"turned", turned, 32}, {"both", both, every}, {"bothTurned", bothTurned, every}, {"single", single, every}, {"dots", dots, every}}},
	{"few", []kernel{{"sweep", sweep, every}, {"stream", stream, every}, {"thin", thin, every}, {"flat", flat, every}}},
	{"pack", []kernel{{"transpose", transpose, every}, {"tighten", tighten, every}}},
	{"loss", []kernel{{"mse", mse, every}}},
	{"update", []kernel{{"sgd", sgd, every}}},
}

// A target is an instruction set for which every kernel is generated.
type target struct {
	isa, goarch string
	machine     func(*build.Context, Float) Machine
	compile     pass.Interface
	data        func(*build.Context) // what the functions of a file refer to
}

var targets = []target{
	{"avx2", "amd64", newAVX2, pass.Compile, func(c *build.Context) { x86Masks(c, 32) }},
	{"avx512", "amd64", newAVX512, pass.Compile, func(*build.Context) {}},
	{"neon", "arm64", newNEON, neonPasses, func(*build.Context) {}},
}

var config = printer.Config{Name: "go generate", Pkg: "kernels"}

// files returns every generated file of package kernels by name.
func files() (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, t := range targets {
		stubs := ir.NewFile()
		for _, src := range sources {
			f, err := t.file(src.kernels)
			if err != nil {
				return nil, fmt.Errorf("%s for %s: %w", src.stem, t.isa, err)
			}
			text, err := printer.NewGoAsm(config).Print(f)
			if err != nil {
				return nil, err
			}
			out[fmt.Sprintf("%s_%s_%s.s", src.stem, t.isa, t.goarch)] = text
			stubs.Constraints = f.Constraints
			stubs.Sections = append(stubs.Sections, f.Sections...)
		}
		text, err := printer.NewStubs(config).Print(stubs)
		if err != nil {
			return nil, err
		}
		text, err = format.Source(append(text, t.tables()...))
		if err != nil {
			return nil, err
		}
		out[fmt.Sprintf("stubs_%s_%s.go", t.isa, t.goarch)] = text
	}
	return out, nil
}

// file builds the kernels, for both types.
func (t target) file(ks []kernel) (*ir.File, error) {
	c := build.NewContext()
	c.Constraints(buildtags.And(buildtags.Term("!purego"), buildtags.Term("!noasm")))
	t.data(c)
	for _, k := range ks {
		for _, f := range []Float{F32, F64} {
			if m := t.machine(c, f); k.has(m.Spec()) {
				k.emit(m)
			}
		}
	}
	f, err := c.Result()
	if err != nil {
		return nil, err
	}
	return f, t.compile.Execute(f)
}

// tables is Go text that declares the target's tiles, one for each type.
func (t target) tables() []byte {
	var b bytes.Buffer
	for _, f := range []Float{F32, F64} {
		s := t.machine(build.NewContext(), f).Spec()
		fmt.Fprintf(&b, "\nvar %s%s = tiles[%s]{\n", t.isa, f.Name, f.Go)
		fmt.Fprintf(&b, "panelCols: %d,\n", s.MaxCols*s.Lanes())
		fmt.Fprintf(&b, "lanes: %d,\n", s.Lanes())
		fmt.Fprintf(&b, "panelRows: %d,\n", panelRows(s, full(s.MaxCols, s.VecBytes)))
		fmt.Fprintf(&b, "wideCols: %d,\n", sweepVecs(s)*s.Lanes())
		fmt.Fprintf(&b, "gradRows: %d,\n", gradRows(s))
		fmt.Fprintf(&b, "inputRows: %d,\n", inputRows(s))
		fmt.Fprintf(&b, "flatPeriod: %d,\n", flatPeriod(s))
		fmt.Fprintf(&b, "thinTerms: %d,\n", thinTerms(s))
		fmt.Fprintf(&b, "treeTerms: %d,\n", treeTerms(s))
		fmt.Fprintf(&b, "treeCols: %d,\n", treeCols(s))
		fmt.Fprintf(&b, "unpackedCols: %d,\n", unpackedCols(s))
		fmt.Fprintf(&b, "narrowBothCols: %d,\n", narrowBothCols(s))
		fmt.Fprintf(&b, "severalRows: []int{2: ")
		for c := 2; c <= severalCols(s); c++ {
			fmt.Fprintf(&b, "%d, ", severalRows(s, c))
		}
		fmt.Fprintf(&b, "},\n")
		fmt.Fprintf(&b, "bothRows: %d,\n", bothRows(t.machine(build.NewContext(), f)))
		fmt.Fprintf(&b, "bothTurnedRows: %d,\n", bothTurnedRows(s))
		fmt.Fprintf(&b, "bothCols: %d,\n", bothCols(t.machine(build.NewContext(), f)))
		for _, src := range sources {
			for _, k := range src.kernels {
				if k.has(s) {
					fmt.Fprintf(&b, "%s: %s%s%s,\n", k.name, k.name, strings.ToUpper(t.isa), f.Name)
				}
			}
		}
		fmt.Fprintf(&b, "}\n")
	}
	return b.Bytes()
}
