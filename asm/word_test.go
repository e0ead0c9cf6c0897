package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/arch/arm64/arm64asm"
)

// checkedInWords returns every WORD of the arm64 files by its GNU form.
func checkedInWords(t *testing.T) map[string]uint32 {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", "kernels", "*_arm64.s"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no arm64 assembly: %v", err)
	}
	line := regexp.MustCompile(`^\tWORD +\$0x([0-9a-f]{8}) // (.+)$`)
	found := map[string]uint32{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(string(text)) {
			if !strings.Contains(l, "WORD") {
				continue
			}
			l = strings.TrimSuffix(l, "\n")
			m := line.FindStringSubmatch(l)
			if m == nil {
				t.Fatalf("%s: %q is no WORD with its GNU form", name, l)
			}
			code, err := strconv.ParseUint(m[1], 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			if other, ok := found[m[2]]; ok && other != uint32(code) {
				t.Errorf("%s: %s is both %#08x and %#08x", name, m[2], other, code)
			}
			found[m[2]] = uint32(code)
		}
	}
	if len(found) < 100 {
		t.Fatalf("only %d different WORDs", len(found))
	}
	return found
}

func TestWordsDecode(t *testing.T) {
	for gnu, code := range checkedInWords(t) {
		inst, err := arm64asm.Decode(binary.LittleEndian.AppendUint32(nil, code))
		if err != nil {
			t.Errorf("%#08x: %v", code, err)
		} else if got := arm64asm.GNUSyntax(inst); got != gnu {
			t.Errorf("%#08x is %s, but its comment says %s", code, got, gnu)
		}
	}
}

// The comments, assembled by GNU as where it is installed, give the WORDs.
func TestWordsAssemble(t *testing.T) {
	as, err := exec.LookPath("aarch64-linux-gnu-as")
	if err != nil {
		t.Skip("no aarch64-linux-gnu-as here; Debian's binutils-aarch64-linux-gnu has it")
	}
	var source strings.Builder
	var want []uint32
	for gnu, code := range checkedInWords(t) {
		fmt.Fprintln(&source, gnu)
		want = append(want, code)
	}
	object := filepath.Join(t.TempDir(), "words.o")
	cmd := exec.Command(as, "-o", object, "-al")
	cmd.Stdin = strings.NewReader(source.String())
	listing, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, listing)
	}
	// A line of the listing: its number, the offset, the bytes in memory.
	line := regexp.MustCompile(`(?m)^ *\d+ [0-9a-f]{4,} ([0-9A-F]{8}) +\t*(.*)$`)
	got := line.FindAllSubmatch(listing, -1)
	if len(got) != len(want) {
		t.Fatalf("%d instructions were assembled of %d:\n%s", len(got), len(want), listing)
	}
	for i, m := range got {
		bytes, err := strconv.ParseUint(string(m[1]), 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		code := binary.LittleEndian.Uint32(binary.BigEndian.AppendUint32(nil, uint32(bytes)))
		if code != want[i] {
			t.Errorf("%s assembles to %#08x, but the WORD is %#08x", m[2], code, want[i])
		}
	}
}
