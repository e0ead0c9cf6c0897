// Command asm writes the assembly of package kernels, the Go declarations that
// go with it and the tables of kernels: every file listed by [files].
//
// A kernel is written once, in dense.go, narrow.go, few.go, grad.go, input.go,
// pack.go, loss.go and update.go, in terms of a [Machine]: an instruction set at
// an element type, which is a [Spec] and a few verbs. The machines are in x86.go
// and neon.go.
package main

import (
	"log"
	"os"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	fs, err := files()
	if err != nil {
		log.Fatal(err)
	}
	for name, text := range fs {
		if err := os.WriteFile(filepath.Join("kernels", name), text, 0o666); err != nil {
			log.Fatal(err)
		}
	}
}
