//go:build !race

package kernels

const racing = false

func raceRead[T Float](...*Mat[T])  {}
func raceWrite[T Float](...*Mat[T]) {}
