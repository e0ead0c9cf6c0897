package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The files in package kernels are what the generator writes, and none is left
// over from a kernel or a target that is gone.
func TestGeneratedFilesAreFresh(t *testing.T) {
	want, err := files()
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
		generated := bytes.HasPrefix(text, []byte("// Code generated ")) || filepath.Ext(e.Name()) == ".s"
		if _, ok := want[e.Name()]; generated && !ok {
			t.Errorf("%s is generated, but not by this generator: delete it", e.Name())
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
