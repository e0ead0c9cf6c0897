//go:build race

package kernels

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func init() { raceDetector = true }

// A kernel that writes what another goroutine reads is a race that the
// detector reports, whether or not the kernel is assembly.
func TestRaceIsSeen(t *testing.T) {
	const env = "LOCKSTEP_TEST_RACE"
	if os.Getenv(env) != "" {
		x, w, y := NewMat[float64](3, 4), NewMat[float64](4, 9), NewMat[float64](3, 9)
		done := make(chan bool)
		go func() {
			DenseForward(y, x, w, nil, ReLU)
			close(done)
		}()
		SGD(w.Data, make([]float64, len(w.Data)), 0.5)
		<-done
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	for _, b := range Backends() {
		cmd := exec.Command(exe, "-test.run=^TestRaceIsSeen$")
		cmd.Env = append(os.Environ(), env+"=1", "LOCKSTEP_BACKEND="+b)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "DATA RACE") {
			t.Errorf("%s: no race was reported: %v\n%s", b, err, out)
		}
	}
}
