// Command layer computes the forward pass of a 64×256×256 layer a number of
// times, for others to count its instructions:
//
//	layer f32|f64 TIMES
package main

import (
	"log"
	"os"
	"strconv"

	"github.com/lockstep-go/lockstep/kernels"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: layer f32|f64 TIMES")
	}
	times, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	if os.Args[1] == "f32" {
		run[float32](times)
	} else {
		run[float64](times)
	}
}

func run[T kernels.Float](times int) {
	x, w, y := kernels.NewMat[T](64, 256), kernels.NewMat[T](256, 256), kernels.NewMat[T](64, 256)
	b := make([]T, 256)
	for range times {
		kernels.DenseForward(y, x, w, b, kernels.ReLU)
	}
}
