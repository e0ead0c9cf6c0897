//go:build !purego && !noasm

package kernels

var neon = &backend{name: "neon", f32: neonF32.table(), f64: neonF64.table()}

// detect returns the assembly backends of this CPU, best first. NEON is part
// of every armv8: there is nothing to ask.
func detect() []*backend { return []*backend{neon} }
