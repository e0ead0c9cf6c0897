package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// generated is what the generator writes, which takes seconds.
var generated = sync.OnceValues(files)

// The files in package kernels are what the generator writes, and none is left
// over from a kernel or a target that is gone.
func TestGeneratedFilesAreFresh(t *testing.T) {
	want, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("..", "kernels")
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%v: run go generate in the root", err)
		} else if !bytes.Equal(got, text) {
			t.Errorf("%s is not what the generator writes: run go generate in the root", name)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		written := bytes.HasPrefix(text, []byte("// Code generated ")) || filepath.Ext(e.Name()) == ".s"
		if _, ok := want[e.Name()]; written && !ok {
			t.Errorf("%s is generated, but not by this generator: delete it", e.Name())
		}
	}
}

// A target that has the rest of its kernels from another has none that is the same there.
func TestNoKernelTwice(t *testing.T) {
	out, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	// bodies are the functions in the files of a target, by kernel and type.
	bodies := func(of *target) map[string]string {
		all := map[string]string{}
		for name, text := range out {
			if !strings.HasSuffix(name, "_"+of.isa+"_"+of.goarch+".s") {
				continue
			}
			for _, f := range strings.Split(string(text), "\nTEXT ·")[1:] {
				head, body, _ := strings.Cut(f, "\n")
				head, _, _ = strings.Cut(head, "(")
				for _, f := range []Float{F32, F64} {
					isa := of.at(f).Spec().ISA
					if kernel, ok := strings.CutSuffix(head, isa+f.Name); ok {
						all[kernel+" "+f.Name] = strings.ReplaceAll(body, isa, "")
					}
				}
			}
		}
		return all
	}
	compared := 0
	for _, of := range targets {
		if of.others == nil {
			continue
		}
		others := bodies(of.others)
		for name, body := range bodies(of) {
			// The comment before the next function is not a part of this one.
			own, _, _ := strings.Cut(body, "\n// func ")
			other, _, _ := strings.Cut(others[name], "\n// func ")
			compared++
			if own == other {
				t.Errorf("%s of %s is what %s has", name, of.isa, of.others.isa)
			}
		}
	}
	if compared == 0 {
		t.Error("there was nothing to compare")
	}
}

// Kernels leave alone what Go's ABI keeps for itself, and on amd64 return with X15 zero
// and no upper halves, which would slow down SSE. They end with a return or a jump, and what
// was stored around the caches is ordered before.
func TestABI(t *testing.T) {
	files, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]*regexp.Regexp{
		"_amd64.s": regexp.MustCompile(`\b(SP|BP|R14|R15)\b`),
		"_arm64.s": regexp.MustCompile(`\b(RSP|R18|R27|R28|R29|R30|g)\b`),
	}
	returns, fences := map[string]int{}, 0
	for name, text := range files {
		for arch, kept := range kept {
			if !strings.HasSuffix(name, arch) {
				continue
			}
			var before [2]string
			unfenced := ""
			goesOn := func() bool {
				code, _, _ := strings.Cut(before[1], " ")
				return !slices.Contains([]string{"RET", "JMP", "B", "GLOBL", "#include"}, code)
			}
			for line := range strings.Lines(string(text)) {
				code, _, _ := strings.Cut(line, "//")
				fields := strings.Fields(code)
				if len(fields) == 0 {
					continue
				}
				if r := kept.FindString(strings.Join(fields[1:], " ")); r != "" {
					t.Fatalf("%s: %s is not for kernels: %s", name, r, strings.TrimSpace(line))
				}
				switch {
				case fields[0] == "TEXT" && goesOn():
					t.Fatalf("%s: %s follows on a function that goes on after %s", name, fields[1], before[1])
				case strings.HasPrefix(fields[0], "VMOVNT"):
					unfenced = strings.Join(fields, " ")
				case fields[0] == "SFENCE":
					unfenced, fences = "", fences+1
				}
				if unfenced != "" && (fields[0] == "RET" || fields[0] == "JMP" || fields[0] == "TEXT") {
					t.Fatalf("%s: %s comes without a fence after %s", name, fields[0], unfenced)
				}
				if fields[0] == "RET" {
					returns[arch]++
					if arch == "_amd64.s" && before != [2]string{"VXORPS X15, X15, X15", "VZEROUPPER"} {
						t.Fatalf("%s: a function returns after %s", name, strings.Join(before[:], "; "))
					}
				}
				before = [2]string{before[1], strings.Join(fields, " ")}
			}
			if goesOn() {
				t.Fatalf("%s: the last function goes on after %s", name, before[1])
			}
		}
	}
	if fences == 0 {
		t.Error("no kernel stores around the caches")
	}
	for arch := range kept {
		if returns[arch] == 0 {
			t.Errorf("there is no kernel in files of %s", arch)
		}
	}
}

// A kernel that asks for more registers than there are, or gives back what it
// has not taken, cannot be generated.
func TestRegistersRunOut(t *testing.T) {
	panics := func(name string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s did not panic", name)
			}
		}()
		f()
	}
	r := newRegisters(Spec{Vecs: 2, Ints: 1})
	r.VecsOf(2)
	panics("a third vector register of two", func() { r.Vec() })
	r.FreeVecs(1)
	if v := r.Vec(); v != 1 {
		t.Errorf("register %d was free, but %d was taken", 1, v)
	}
	panics("a register given back twice", func() { r.FreeInts(0) })
}
