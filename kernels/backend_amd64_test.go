//go:build !purego && !noasm

package kernels

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/cpuid/v2"
)

// The one of the two backends of AVX-512 that this CPU does not choose is tested as
// well, if the one that it does is.
func init() {
	for _, b := range slices.Clone(tested) {
		switch b {
		case avx512:
			tested = append(tested, &backend{"avx512 of Zen 4", avx512Zen4.f32, avx512Zen4.f64})
		case avx512Zen4:
			tested = append(tested, &backend{"avx512 of others", avx512.f32, avx512.f64})
		}
	}
}

// Each CPU with AVX-512 has the kernels that are fastest there, by one name.
func TestAVX512(t *testing.T) {
	for _, c := range []struct {
		vendor cpuid.Vendor
		family int
		want   *backend
	}{
		{cpuid.AMD, 0x19, avx512Zen4},
		{cpuid.AMD, 0x1a, avx512},
		{cpuid.Intel, 6, avx512},
		{cpuid.Intel, 0x19, avx512},
	} {
		cpu := cpuWith(append(avx512Needs, cpuid.SSE2, cpuid.OSXSAVE, cpuid.AVX512VBMI2)...)
		cpu.VendorID, cpu.Family = c.vendor, c.family
		if got := runnable(cpu)[0]; got != c.want || got.name != "avx512" {
			t.Errorf("%v, family %#x: the first backend is %s, and whether it is Zen 4's is %t", c.vendor, c.family, got.name, got == avx512Zen4)
		}
	}
}

func cpuWith(features ...cpuid.FeatureID) *cpuid.CPUInfo {
	cpu := new(cpuid.CPUInfo)
	cpu.Enable(features...)
	return cpu
}

func TestRunnable(t *testing.T) {
	const (
		avx = cpuid.AVX
		av2 = cpuid.AVX2
		fma = cpuid.FMA3
		osx = cpuid.OSXSAVE
	)
	for _, c := range []struct {
		name string
		cpu  *cpuid.CPUInfo
		want []string
	}{
		{"no vectors beyond SSE2", cpuWith(cpuid.SSE2), []string{"generic"}},
		{"AVX only", cpuWith(cpuid.SSE2, osx, avx), []string{"generic"}},
		{"AVX and FMA without AVX2", cpuWith(cpuid.SSE2, osx, avx, fma), []string{"generic"}},
		{"AVX2 without FMA", cpuWith(cpuid.SSE2, osx, avx, av2), []string{"generic"}},
		{"AVX2 and FMA", cpuWith(cpuid.SSE2, osx, avx, av2, fma), []string{"avx2", "generic"}},
		// cpuid reports AVX and AVX2 only if the system saves the YMM
		// registers; FMA needs OSXSAVE alone.
		{"AVX-512 that lowers the clock", cpuWith(append(avx512Needs, cpuid.SSE2, osx)...), []string{"avx2", "avx512", "generic"}},
		{"AVX-512 with VBMI2", cpuWith(append(avx512Needs, cpuid.SSE2, osx, cpuid.AVX512VBMI2)...), []string{"avx512", "avx2", "generic"}},
		{"AVX-512 without DQ", cpuWith(cpuid.SSE2, osx, avx, av2, fma, cpuid.BMI2, cpuid.AVX512F, cpuid.AVX512VL, cpuid.AVX512BW, cpuid.AVX512VBMI2), []string{"avx2", "generic"}},
		{"AVX2 and FMA, YMM state not saved", cpuWith(cpuid.SSE2, osx, fma), []string{"generic"}},
	} {
		from := append(runnable(c.cpu), generic)
		if got := names(from); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v can run, want %v", c.name, got, c.want)
		}
		for _, name := range append(c.want, "") {
			b, err := choose(from, name)
			want := name
			if name == "" {
				want = c.want[0]
			}
			if err != nil || b.name != want {
				t.Errorf("%s: choosing %q gives %v, %v", c.name, name, b, err)
			}
		}
		if _, err := choose(from, "neon"); err == nil {
			t.Errorf("%s: neon was chosen on amd64", c.name)
		}
	}
}

// No instruction in an instruction set's files requires more than the guard of its
// backend asks for.
func TestGuardCoversInstructions(t *testing.T) {
	for isa, needs := range map[string][]cpuid.FeatureID{"avx2": avx2Needs, "avx512": avx512Needs, "avx512vl": avx512Needs, "avx512zen4": avx512Needs} {
		guarded := []string{"MMX+"} // of prefetching: every amd64 CPU has it
		for _, f := range needs {
			guarded = append(guarded, f.String())
		}
		files, err := filepath.Glob(fmt.Sprintf("*_%s_amd64.s", isa))
		if err != nil || len(files) == 0 {
			t.Fatalf("no assembly for %s: %v", isa, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			functions, requires := 0, 0
			for line := range strings.Lines(string(text)) {
				if strings.HasPrefix(line, "TEXT ") {
					functions++
				}
				list, ok := strings.CutPrefix(strings.TrimSpace(line), "// Requires: ")
				if !ok {
					continue
				}
				requires++
				for f := range strings.SplitSeq(list, ", ") {
					if !slices.Contains(guarded, f) {
						t.Errorf("%s: a function requires %s, but the guard asks only for %v", file, f, guarded)
					}
				}
			}
			if functions == 0 || functions != requires {
				t.Errorf("%s: %d functions, %d of them say what they require", file, functions, requires)
			}
		}
	}
}
