//go:build !purego && !noasm

package kernels

import "github.com/klauspost/cpuid/v2"

// avx2Needs is what the instructions in *_avx2_amd64.s require.
var avx2Needs = []cpuid.FeatureID{cpuid.AVX, cpuid.AVX2, cpuid.FMA3}

var avx2 = &backend{name: "avx2", f32: avx2F32.table(), f64: avx2F64.table()}

// detect returns the assembly backends of this CPU, best first.
func detect() []*backend { return runnable(&cpuid.CPU) }

// runnable returns the assembly backends that a CPU with an operating system
// can run, best first. (A feature whose registers the system does not save is
// none that cpuid reports.)
func runnable(cpu *cpuid.CPUInfo) []*backend {
	var bs []*backend
	if cpu.Supports(avx2Needs...) {
		bs = append(bs, avx2)
	}
	return bs
}
