// Package mlp trains and runs multilayer perceptrons: dense layers, the mean
// squared error and plain gradient descent, on the kernels of package
// [github.com/lockstep-go/lockstep/kernels] and nothing else.
//
// # Result
//
// The same inputs give the same bits on every machine: whatever the backend,
// the GOARCH and the number of workers, for the weights [NewLayer] draws, for
// every step of a [Trainer] and for every prediction. [Net.Predict] gives a
// row the same bits alone and in any batch.
//
// # Errors
//
// This package takes user data, so it returns errors where the kernels
// panic. An error names the argument and both sizes, and whatever function
// returns one has changed nothing. Values are not checked: a NaN goes where
// the arithmetic takes it.
//
// # Memory and concurrency
//
// [Trainer.Step] and Net.Predict allocate nothing once warm, unless
// [github.com/lockstep-go/lockstep/kernels.SetWorkers] allows the kernels
// goroutines. Predict may run in many goroutines on one [Net], as long as nobody
// changes its layers meanwhile. A [Trainer] belongs to one goroutine at a time,
// and its Step changes the layers.
package mlp
