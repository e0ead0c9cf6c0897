package kernels_test

import (
	"fmt"

	"github.com/lockstep-go/lockstep/kernels"
)

// The middle two columns of a wider matrix, without a copy.
func ExampleMat() {
	wide := []float64{
		1, 2, 3, 4,
		5, 6, 7, 8,
	}
	middle := kernels.Mat[float64]{Rows: 2, Cols: 2, Data: wide[1:], Stride: 4}
	for i := range middle.Rows {
		fmt.Println(middle.Row(i))
	}
	// Output:
	// [2 3]
	// [6 7]
}

func ExampleNewMat() {
	m := kernels.NewMat[float32](2, 3)
	m.Data[1*m.Stride+2] = 5 // element (1, 2)
	fmt.Println(m.Rows, m.Cols, m.Data)
	// Output: 2 3 [0 0 0 0 0 5]
}

func ExampleMatOf() {
	m := kernels.MatOf(2, 3, []float64{
		1, 2, 3,
		4, 5, 6,
	})
	fmt.Println(m.Row(1))
	// Output: [4 5 6]
}

func ExampleMat_Row() {
	m := kernels.NewMat[float64](2, 2)
	m.Row(1)[0] = 7 // a row shares the matrix's memory
	fmt.Println(m.Row(0), m.Row(1))
	// Output: [0 0] [7 0]
}

func ExampleMat_IsZero() {
	fmt.Println(kernels.Mat[float64]{}.IsZero(), kernels.NewMat[float64](0, 0).IsZero())
	// Output: true false
}

func ExampleActivation_String() {
	fmt.Println(kernels.Identity, kernels.ReLU)
	// Output: Identity ReLU
}

// Two rows through a layer of three inputs and two outputs.
func ExampleDenseForward() {
	x := kernels.MatOf(2, 3, []float64{
		1, 2, 3,
		4, 5, 6,
	})
	w := kernels.MatOf(3, 2, []float64{
		1, -1,
		0, 1,
		1, -1,
	})
	b := []float64{0.5, 0.5}
	y := kernels.NewMat[float64](2, 2)
	kernels.DenseForward(y, x, w, b, kernels.ReLU)
	fmt.Println(y.Row(0))
	fmt.Println(y.Row(1))
	// Output:
	// [4.5 0]
	// [10.5 0]
}

func ExamplePack() {
	w := kernels.MatOf(3, 2, []float64{
		1, -1,
		0, 1,
		1, -1,
	})
	layer := kernels.Pack(w, []float64{0.5, 0.5}) // once
	y := kernels.NewMat[float64](1, 2)
	for _, x := range [][]float64{{1, 2, 3}, {4, 5, 6}} { // many times
		layer.Forward(y, kernels.MatOf(1, 3, x), kernels.ReLU)
		fmt.Println(y.Row(0))
	}
	// Output:
	// [4.5 0]
	// [10.5 0]
}

func ExamplePacked_Forward() {
	layer := kernels.Pack(kernels.MatOf(1, 2, []float32{1, -1}), nil)
	y := kernels.NewMat[float32](3, 2)
	layer.Forward(y, kernels.MatOf(3, 1, []float32{-2, 0, 2}), kernels.ReLU)
	fmt.Println(y.Data)
	// Output: [0 2 0 0 2 0]
}

func ExampleDenseBackward() {
	x := kernels.MatOf(2, 1, []float64{1, 2})
	w := kernels.MatOf(1, 2, []float64{3, -4})
	y := kernels.NewMat[float64](2, 2)
	kernels.DenseForward(y, x, w, nil, kernels.ReLU)

	dy := kernels.MatOf(2, 2, []float64{1, 1, 1, 1})
	dx, dw, db := kernels.NewMat[float64](2, 1), kernels.NewMat[float64](1, 2), make([]float64, 2)
	kernels.DenseBackward(dx, dw, db, dy, y, x, w, kernels.ReLU)
	fmt.Println("dz", dy.Data) // the second output is 0 in both rows
	fmt.Println("dw", dw.Data)
	fmt.Println("db", db)
	fmt.Println("dx", dx.Data)
	// Output:
	// dz [1 0 1 0]
	// dw [3 0]
	// db [2 0]
	// dx [3 3]
}

// A first layer needs no gradient of its input, and this one has no bias.
func ExampleDenseBackward_without() {
	x, w := kernels.MatOf(1, 1, []float32{2}), kernels.MatOf(1, 1, []float32{3})
	y, dy, dw := kernels.MatOf(1, 1, []float32{6}), kernels.MatOf(1, 1, []float32{1}), kernels.NewMat[float32](1, 1)
	kernels.DenseBackward(kernels.Mat[float32]{}, dw, nil, dy, y, x, w, kernels.Identity)
	fmt.Println(dw.Data)
	// Output: [2]
}

// A batch of three rows in two pieces: the sums continue.
func ExampleDenseBackwardAdd() {
	x, y := kernels.MatOf(3, 1, []float64{1, 2, 3}), kernels.MatOf(3, 1, []float64{1, 1, 1})
	dy, w := kernels.MatOf(3, 1, []float64{0.1, 0.2, 0.3}), kernels.MatOf(1, 1, []float64{1})
	dw, db := kernels.NewMat[float64](1, 1), make([]float64, 1)
	for _, piece := range [][2]int{{0, 2}, {2, 3}} {
		part := func(m kernels.Mat[float64]) kernels.Mat[float64] {
			i, j := piece[0], piece[1]
			return kernels.MatOf(j-i, 1, m.Data[i:j])
		}
		kernels.DenseBackwardAdd(kernels.Mat[float64]{}, dw, db, part(dy), part(y), part(x), w, kernels.ReLU)
	}
	fmt.Printf("%.2f %.2f\n", dw.Data, db)
	// Output: [1.40] [0.60]
}

func ExampleMSE() {
	pred := kernels.MatOf(2, 2, []float64{1, 2, 3, 4})
	target := kernels.MatOf(2, 2, []float64{1, 0, 3, 2})
	grad := kernels.NewMat[float64](2, 2)
	fmt.Println(kernels.MSE(grad, pred, target), grad.Data)
	// Output: 2 [0 1 0 1]
}

// Without a gradient, and with one in the place of the prediction.
func ExampleMSE_inPlace() {
	pred, target := kernels.MatOf(1, 2, []float32{1, 2}), kernels.MatOf(1, 2, []float32{0, 0})
	fmt.Println(kernels.MSE(kernels.Mat[float32]{}, pred, target), pred.Data)
	fmt.Println(kernels.MSE(pred, pred, target), pred.Data)
	// Output:
	// 2.5 [1 2]
	// 2.5 [1 2]
}

func ExampleSGD() {
	w := []float64{1, 2, 3}
	kernels.SGD(w, []float64{4, 0, -4}, 0.25)
	fmt.Println(w)
	// Output: [0 2 4]
}

func ExampleBackends() {
	all := kernels.Backends()
	fmt.Println(all[len(all)-1]) // what comes before it depends on the CPU
	// Output: generic
}

func ExampleBackend() {
	restore, err := kernels.SetBackend("generic")
	if err != nil {
		panic(err)
	}
	fmt.Println(kernels.Backend())
	restore()
	// Output: generic
}

// Two goroutines share a large layer. The bits are those of one.
func ExampleSetWorkers() {
	defer kernels.SetWorkers(2)() // until the function returns
	x, w, y := kernels.NewMat[float32](256, 512), kernels.NewMat[float32](512, 512), kernels.NewMat[float32](256, 512)
	kernels.DenseForward(y, x, w, nil, kernels.Identity) // on two cores
	fmt.Println(y.Row(255)[511])
	// Output: 0
}

// Every backend gives the same bits.
func ExampleSetBackend() {
	x, w := kernels.MatOf(1, 3, []float32{0.1, 0.2, 0.3}), kernels.MatOf(3, 1, []float32{0.4, 0.5, 0.6})
	seen := map[float32]bool{}
	for _, name := range kernels.Backends() {
		restore, err := kernels.SetBackend(name)
		if err != nil {
			panic(err)
		}
		y := kernels.NewMat[float32](1, 1)
		kernels.DenseForward(y, x, w, nil, kernels.Identity)
		seen[y.Data[0]] = true
		restore()
	}
	_, err := kernels.SetBackend("no such")
	fmt.Println(len(seen), err != nil)
	// Output: 1 true
}
