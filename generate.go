// Package lockstep is the root of the Lockstep module, SIMD kernels for dense
// layers that give the same bits on every machine. It holds no code: the
// kernels are in package [github.com/lockstep-go/lockstep/kernels], a minimal
// trainer on them in package [github.com/lockstep-go/lockstep/mlp].
//
// Running go generate here regenerates every generated file.
package lockstep

//go:generate go run ./asm
