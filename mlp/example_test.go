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
	rng := rand.New(rand.NewPCG(8, 0))
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
	// step 0: 4.0076445868466974
	// step 50: 0.013410553825778054
	// step 100: 0.0062131421983015293
	// step 150: 0.00496877695072938
	// step 200: 0.0043689255463398215
	// step 250: 0.0039833358389812432
	// step 300: 0.0037162215953111082
	// step 350: 0.0035198962010457913
	// step 400: 0.0033658304180434607
	// step 450: 0.0032496100135177477
	// step 500: 0.0031575065080834725
	// step 550: 0.0030886973061034885
	// step 600: 0.0030358259415566441
	// step 650: 0.0029935496417678488
	// step 700: 0.0029582971826019231
	// step 750: 0.0029277314795779661
	// step 800: 0.0029003345343261333
	// step 850: 0.0028767939670544147
	// step 900: 0.0028544032699919591
	// step 950: 0.0028364123673466067
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
