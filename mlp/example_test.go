package mlp_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/mlp"
	"github.com/lockstep-go/lockstep/mlp/internal/tutorial"
)

// The tutorial: fit 300 noisy points of a parabola with ten ReLU units. All
// digits are the same on every machine.
func Example_regression() {
	rng := rand.New(rand.NewPCG(1, 0))
	x, y := tutorial.Data[float64](300, 0.05, rng) // y = x² - 0.5 + noise
	net, err := mlp.New(
		mlp.NewLayer[float64](1, 10, kernels.ReLU, rng),
		mlp.NewLayer[float64](10, 1, kernels.Identity, rng),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	trainer, err := mlp.NewTrainer(net, x.Rows)
	if err != nil {
		fmt.Println(err)
		return
	}
	for step := range 1000 {
		cost, err := trainer.Step(x, y, 0.05)
		if err != nil {
			fmt.Println(err)
			return
		}
		if step%50 == 0 {
			fmt.Printf("step %d: %.17g\n", step, cost)
		}
	}
	// Output:
	// step 0: 0.55044403298758671
	// step 50: 0.0089039474588400707
	// step 100: 0.0066368269013314706
	// step 150: 0.0057551754182045963
	// step 200: 0.0052470394851450459
	// step 250: 0.0048797406323866357
	// step 300: 0.00458917623716063
	// step 350: 0.0043368154182505548
	// step 400: 0.0041259839273699349
	// step 450: 0.0039547987032932819
	// step 500: 0.0038151012880277935
	// step 550: 0.0037028725795832679
	// step 600: 0.003605008120179764
	// step 650: 0.0035188580608377612
	// step 700: 0.0034391400164542224
	// step 750: 0.0033662315379486755
	// step 800: 0.0033009653931904441
	// step 850: 0.0032481571261441626
	// step 900: 0.0032040571159525988
	// step 950: 0.0031636677351120799
}

func ExampleNew() {
	rng := rand.New(rand.NewPCG(1, 2))
	_, err := mlp.New(
		mlp.NewLayer[float32](2, 3, kernels.ReLU, rng),
		mlp.NewLayer[float32](4, 1, kernels.Identity, rng),
	)
	fmt.Println(err)
	// Output: mlp: New: Layers[1].W is 4×1 but Layers[0].W has 3 columns
}

func ExampleNewLayer() {
	l := mlp.NewLayer[float64](1, 3, kernels.ReLU, rand.New(rand.NewPCG(1, 2)))
	fmt.Println(l.W.Data)
	fmt.Println(l.B)
	// Output:
	// [-0.5593814166050369 -0.819529492712409 0.6667357210694734]
	// [0.1 0.1 0.1]
}

// Exclusive or, with weights set by hand.
func ExampleNet_Predict() {
	net, err := mlp.New(
		&mlp.Layer[float64]{
			W:          kernels.MatOf(2, 2, []float64{1, 1, 1, 1}),
			B:          []float64{0, -1},
			Activation: kernels.ReLU,
		},
		&mlp.Layer[float64]{
			W: kernels.MatOf(2, 1, []float64{1, -2}),
			B: []float64{0},
		},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	x := kernels.MatOf(4, 2, []float64{
		0, 0,
		0, 1,
		1, 0,
		1, 1,
	})
	y := kernels.NewMat[float64](4, 1)
	if err := net.Predict(y, x); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(y.Data)
	// Output: [0 1 1 0]
}

func ExampleNewTrainer() {
	net, err := mlp.New(mlp.NewLayer[float64](1, 1, kernels.Identity, rand.New(rand.NewPCG(1, 2))))
	if err != nil {
		fmt.Println(err)
		return
	}
	trainer, err := mlp.NewTrainer(net, 32)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = trainer.Step(kernels.NewMat[float64](33, 1), kernels.NewMat[float64](33, 1), 0.1)
	fmt.Println(err)
	// Output: mlp: Step: x is 33×1 but the trainer takes from 1 to 32 rows
}

// A straight line through three points: y = 2x + 1.
func ExampleTrainer_Step() {
	line := &mlp.Layer[float64]{W: kernels.NewMat[float64](1, 1), B: []float64{0}}
	net, err := mlp.New(line)
	if err != nil {
		fmt.Println(err)
		return
	}
	trainer, err := mlp.NewTrainer(net, 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	x := kernels.MatOf(3, 1, []float64{-1, 0, 1})
	y := kernels.MatOf(3, 1, []float64{-1, 1, 3})
	for step := range 100 {
		cost, err := trainer.Step(x, y, 0.1)
		if err != nil {
			fmt.Println(err)
			return
		}
		if step%25 == 0 {
			fmt.Printf("step %d: %.3g\n", step, cost)
		}
	}
	fmt.Printf("y = %.6fx + %.6f\n", line.W.Data[0], line.B[0])
	// Output:
	// step 0: 3.67
	// step 25: 0.0021
	// step 50: 1.63e-06
	// step 75: 1.27e-09
	// y = 1.999999x + 1.000000
}

func ExampleNormal() {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3 {
		fmt.Println(mlp.Normal(rng))
	}
	// Output:
	// -0.5593814166050369
	// -0.819529492712409
	// 0.6667357210694734
}
