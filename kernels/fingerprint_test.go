package kernels_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/kernels/fingerprint"
)

// Every backend of this machine, or the one that LOCKSTEP_TEST_REQUIRE names, gives
// the bits that are checked in, which are those of every other machine.
func TestFingerprint(t *testing.T) {
	backends, digest := kernels.Backends(), ""
	if name := os.Getenv("LOCKSTEP_TEST_REQUIRE"); name != "" {
		backends = []string{name}
	}
	for _, backend := range backends {
		results, err := fingerprint.Check(backend)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Diff != "" {
				t.Errorf("backend %s, %s, %s: %s\ndigest %s\nwant   %s", backend, r.Kernel, r.Type, r.Diff, r.Digest, r.Want)
			}
		}
		digest = fingerprint.Digest(results)
		if want := fingerprint.Want(); digest != want {
			t.Errorf("backend %s: fingerprint %s, want %s", backend, digest, want)
		}
	}
	if testing.Verbose() && !t.Failed() {
		fmt.Println("fingerprint:", digest)
	}
}
