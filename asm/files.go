package main

import (
	"bytes"
	"fmt"
	"go/format"
	"slices"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/buildtags"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// A kernel is a generator function, the name of what it emits, and the machines that get
// it: long vectors leave some kernels to their CPU's shorter ones.
type kernel struct {
	name  string
	emit  func(Machine)
	to    func(Spec) bool
	sizes []size // what it can do
}

// A size is a field of package kernels' tiles, and its value.
type size struct {
	field string
	of    func(Machine) any
}

func every(Spec) bool { return true }

// fromLanes are the machines whose vectors have so many lanes at least, upToLanes those
// that have so many at the most.
func fromLanes(least int) func(Spec) bool { return func(s Spec) bool { return s.Lanes() >= least } }
func upToLanes(most int) func(Spec) bool  { return func(s Spec) bool { return s.Lanes() <= most } }

// upToBytes are the machines whose vectors have so many bytes at the most.
func upToBytes(most int) func(Spec) bool { return func(s Spec) bool { return s.VecBytes <= most } }

// by is a size that follows from what a machine has.
func by[V any](field string, of func(Spec) V) size {
	return size{field, func(m Machine) any { return of(m.Spec()) }}
}

// ask is a size that takes more to find out: how many registers its verbs need.
func ask(field string, of func(Machine) int) size {
	return size{field, func(m Machine) any { return of(m) }}
}

// common are the sizes of a machine, whatever kernels it has of its own.
var common = []size{
	by("lanes", Spec.Lanes),
	by("halved", func(s Spec) bool { return s.Halved }),
	by("packRows", func(s Spec) int { return s.PackRows }),
	by("squaresRows", func(s Spec) int { return s.SquaresRows }),
	by("squaresBytes", func(s Spec) int { return s.SquaresBytes }),
	by("stripsBytes", func(s Spec) int { return s.StripsBytes }),
	by("sweepBytes", func(s Spec) int { return s.SweepBytes }),
	by("thinFrom", func(s Spec) int { return s.ThinFrom }),
}

// sources are the kernels by file.
var sources = []struct {
	stem    string
	kernels []kernel
}{
	{"dense", []kernel{
		{"panel", panel, every, []size{by("panelCols", panelCols), by("panelRows", panelHeight)}},
		{"packing", packing, every, nil},
		{"tall", tall, fromLanes(8), []size{by("tallLeast", tallLeast), by("tallMost", tallMost), by("tallTerms", func(s Spec) int { return s.Columns }), by("tallFrom", func(s Spec) int { return s.TallFrom })}},
	}},
	{"narrow", []kernel{
		{"narrow", narrow, every, nil},
		{"abreast", abreast, every, nil},
		{"tree", tree, every, []size{by("treeTerms", treeTerms), by("treeCols", treeCols)}},
		{"trees", trees, fromLanes(treesFrom), nil},
		{"unpacked", unpacked, every, []size{by("unpackedCols", unpackedCols)}},
		{"several", several, every, []size{by("severalRows", severalHeights)}},
		{"columns", columns, every, nil},
		{"narrowBoth", narrowBoth, every, []size{by("narrowBothCols", narrowBothCols), by("narrowBothParts", narrowBothParts)}},
	}},
	{"grad", []kernel{
		{"grad", grad, every, []size{by("gradRows", gradRows)}},
		{"gradBoth", gradBoth, fromLanes(gradBothLanes), []size{by("gradBothRows", gradBothRows), by("gradBothUnit", gradBothUnit), by("gradBothHeld", gradBothHeld)}},
		{"gate", gate, every, nil},
		{"gateAround", gateAround, every, nil},
		{"column", column, every, nil},
	}},
	{"input", []kernel{
		{"input", input, every, []size{ask("inputRows", inputRows)}},
		{"turned", turned, every, []size{ask("turnedRows", turnedRows)}},
		{"both", both, upToLanes(8), []size{ask("bothRows", bothRows)}},
		{"bothTurned", bothTurned, upToBytes(32), []size{ask("bothCols", bothCols)}},
		{"strips", strips, every, []size{ask("stripsRows", stripsRows)}},
		{"dots", dots, dotsLeft, []size{by("dotsSide", dotsSide)}},
	}},
	{"few", []kernel{
		{"sweep", sweep, every, []size{by("wideCols", wideCols)}},
		{"stream", stream, every, nil},
		{"thin", thin, every, []size{by("thinTerms", thinTerms)}},
		{"flat", flat, every, []size{by("flatPeriod", flatPeriod)}},
	}},
	{"pack", []kernel{{"transpose", transpose, every, nil}, {"tighten", tighten, every, nil}}},
	{"loss", []kernel{{"mse", mse, every, nil}}},
	{"update", []kernel{{"sgd", sgd, every, nil}}},
}

// A target is an instruction set for which the kernels are generated: all of them,
// or only some, while others has the rest.
type target struct {
	isa, goarch string
	machine     func(*build.Context, Float) Machine
	compile     pass.Interface
	data        func(*build.Context) // what the functions of a file refer to

	only   []string // names, which a type may follow
	others *target
}

var (
	avx2Target   = target{isa: "avx2", goarch: "amd64", machine: newAVX2, compile: pass.Compile, data: x86Masks}
	avx512Target = target{isa: "avx512", goarch: "amd64", machine: newAVX512, compile: pass.Compile}
	neonTarget   = target{isa: "neon", goarch: "arm64", machine: newNEON, compile: neonPasses}

	// The short vectors of AVX-512: where they are faster than those of AVX2, for
	// having more registers.
	avx512VLTarget = target{isa: "avx512vl", goarch: "amd64", machine: newAVX512VL, compile: pass.Compile,
		only: []string{"narrowBoth", "gradBothF32", "input", "turned"}, others: &avx2Target}

	// Zen 4 has its own of the kernels that gain there by multiplying in place.
	avx512Zen4Target = target{isa: "avx512zen4", goarch: "amd64", machine: newAVX512Zen4, compile: pass.Compile,
		only: []string{"panel", "packing", "narrowBoth", "grad", "input", "thin"}, others: &avx512Target}

	targets = []*target{&avx2Target, &avx512VLTarget, &avx512Target, &avx512Zen4Target, &neonTarget}
)

// has reports whether a kernel is generated for the target, at a type.
func (t *target) has(k kernel, f Float) bool {
	return k.to(t.at(f).Spec()) && (t.only == nil || slices.Contains(t.only, k.name) || slices.Contains(t.only, k.name+f.Name))
}

// at is the target's machine, for questions.
func (t *target) at(f Float) Machine { return t.machine(build.NewContext(), f) }

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
			if len(f.Functions()) == 0 {
				continue
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

// file builds those of the kernels that the target has, for both types.
func (t *target) file(ks []kernel) (*ir.File, error) {
	c := build.NewContext()
	c.Constraints(buildtags.And(buildtags.Term("!purego"), buildtags.Term("!noasm")))
	if t.data != nil {
		t.data(c)
	}
	for _, k := range ks {
		for _, f := range []Float{F32, F64} {
			if t.has(k, f) {
				k.emit(t.machine(c, f))
			}
		}
	}
	f, err := c.Result()
	if err != nil {
		return nil, err
	}
	return f, t.compile.Execute(f)
}

// tables is Go text that declares the target's tiles, one for each type: their
// kernels, those of others among them, with the sizes of each.
func (t *target) tables() []byte {
	var b bytes.Buffer
	for _, f := range []Float{F32, F64} {
		fmt.Fprintf(&b, "\nvar %s%s = tiles[%s]{\n", t.isa, f.Name, f.Go)
		sizes := func(list []size, m Machine) {
			for _, s := range list {
				fmt.Fprintf(&b, "%s: %#v,\n", s.field, s.of(m))
			}
		}
		sizes(common, t.at(f))
		var functions bytes.Buffer
		for _, src := range sources {
			for _, k := range src.kernels {
				from := t
				for from != nil && !from.has(k, f) {
					from = from.others
				}
				if from == nil {
					continue
				}
				sizes(k.sizes, from.at(f))
				fmt.Fprintf(&functions, "%s: %s%s%s,\n", k.name, k.name, from.at(f).Spec().ISA, f.Name)
			}
		}
		fmt.Fprintf(&b, "\n%s}\n", &functions)
	}
	return b.Bytes()
}
