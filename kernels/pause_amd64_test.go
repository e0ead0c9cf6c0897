//go:build !purego && !noasm

package kernels

var instructionSets = []instructionSet{{"avx2", &avx2F32, &avx2F64}, {"avx512", &avx512F32, &avx512F64}, {"avx512 of Zen 4", &avx512zen4F32, &avx512zen4F64}}
