//go:build !purego && !noasm

package kernels

var instructionSets = []instructionSet{{"neon", &neonF32, &neonF64}}
