//go:build !purego && !noasm

package kernels

import (
	"slices"

	"github.com/klauspost/cpuid/v2"
)

// avx2Needs is what the instructions in *_avx2_amd64.s require.
var avx2Needs = []cpuid.FeatureID{cpuid.AVX, cpuid.AVX2, cpuid.FMA3}

// avx512Needs is the same for *_avx512_amd64.s, *_avx512vl_amd64.s and
// *_avx512zen4_amd64.s.
var avx512Needs = []cpuid.FeatureID{
	cpuid.AVX, cpuid.AVX2, cpuid.FMA3, cpuid.BMI2,
	cpuid.AVX512F, cpuid.AVX512VL, cpuid.AVX512BW, cpuid.AVX512DQ,
}

var avx2 = &backend{name: "avx2", f32: avx2F32.table(), f64: avx2F64.table()}

// The backend avx512, as it is for most CPUs and for Zen 4.
var (
	avx512     = &backend{name: "avx512", f32: avx512F32.table(), f64: avx512F64.table()}
	avx512Zen4 = &backend{name: "avx512", f32: avx512zen4F32.table(), f64: avx512zen4F64.table()}
)

// The short vectors are no backend, only the half of others: they need their scratch.
func init() {
	avx512vlF32.table()
	avx512vlF64.table()
	avx512F32.half, avx512F64.half = &avx512vlF32, &avx512vlF64
	avx512zen4F32.half, avx512zen4F64.half = &avx512vlF32, &avx512vlF64
}

// detect returns the assembly backends of this CPU, best first.
func detect() []*backend { return runnable(&cpuid.CPU) }

// runnable returns the assembly backends that a CPU with an operating system
// can run, best first. (A feature whose registers the system does not save is
// none that cpuid reports.)
//
// The first CPUs with AVX-512 lower their clock when it is used: there it can
// be had by name, but AVX2 comes first. Those without this flaw, from Ice Lake
// and Zen 4 on, are told by VBMI2.
func runnable(cpu *cpuid.CPUInfo) []*backend {
	var bs []*backend
	if cpu.Supports(avx2Needs...) {
		bs = append(bs, avx2)
	}
	if cpu.Supports(avx512Needs...) {
		b := avx512
		if cpu.VendorID == cpuid.AMD && cpu.Family == zen4Family {
			b = avx512Zen4
		}
		if cpu.Supports(cpuid.AVX512VBMI2) {
			bs = slices.Insert(bs, 0, b)
		} else {
			bs = append(bs, b)
		}
	}
	return bs
}

// zen4Family is what AMD's Zen 4 and Zen 3 say they are, of which the latter has no
// AVX-512.
const zen4Family = 0x19
