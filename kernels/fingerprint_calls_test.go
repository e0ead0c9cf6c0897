//go:build (amd64 || arm64) && !purego && !noasm

package kernels_test

import (
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/kernels/fingerprint"
)

// The cases of the fingerprint call every kernel of every instruction set.
func TestFingerprintCalls(t *testing.T) {
	if testing.Short() {
		t.Skip("it is the same on every CPU, and for the whole tests")
	}
	calls := kernels.EachCounted(t, func(t *testing.T, backend string) {
		if _, err := fingerprint.Check(backend); err != nil {
			t.Fatal(err)
		}
	})
	if len(calls) == 0 {
		t.Error("there is no kernel")
	}
	for function, n := range calls {
		if n == 0 {
			t.Errorf("no case calls %s", function)
		}
	}
}
