//go:build (!amd64 && !arm64) || purego || noasm

package kernels

// detect returns the assembly backends of this CPU: none in this build.
func detect() []*backend { return nil }
