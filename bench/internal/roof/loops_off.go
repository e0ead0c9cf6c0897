//go:build !cpeers || !cgo

package roof

// Limits returns the loops for vectors of one instruction set.
func Limits(isa string) []Limit { return nil }
