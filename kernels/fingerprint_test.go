package kernels_test

import (
	"fmt"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/kernels/fingerprint"
)

// Every backend of this machine gives the bits that are checked in, which are
// those of every other machine.
func TestFingerprint(t *testing.T) {
	for _, backend := range kernels.Backends() {
		results, err := fingerprint.Check(backend)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Diff != "" {
				t.Errorf("backend %s, %s, %s: %s\ndigest %s\nwant   %s", backend, r.Kernel, r.Type, r.Diff, r.Digest, r.Want)
			}
		}
		if got, want := fingerprint.Digest(results), fingerprint.Want(); got != want {
			t.Errorf("backend %s: fingerprint %s, want %s", backend, got, want)
		}
	}
	if testing.Verbose() && !t.Failed() {
		fmt.Println("fingerprint:", fingerprint.Want())
	}
}
