package fingerprint_test

import (
	"fmt"

	"github.com/lockstep-go/lockstep/kernels/fingerprint"
)

// Does this machine, with this backend, compute what every other does?
func ExampleCheck() {
	results, err := fingerprint.Check("generic")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range results {
		if r.Diff != "" {
			fmt.Println(r.Kernel, r.Type, r.Diff)
		}
	}
	fmt.Println(fingerprint.Digest(results) == fingerprint.Want())
	// Output: true
}
