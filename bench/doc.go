// Package bench holds the kernels against other implementations of the same
// layers. It is a module of its own, so that those stay out of the module
// graph of who uses the kernels.
//
//	go test -bench . -cpu 1 ./bench
package bench
