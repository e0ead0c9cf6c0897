package main

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/kernels/fingerprint"
)

// Every backend agrees, and the page says for which machine.
func TestRun(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := run(nil, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
		t.Errorf("exit status %d, %s", status, &stderr)
	}
	page := stdout.String()
	if !strings.HasPrefix(page, runtime.GOOS+"/"+runtime.GOARCH+", ") {
		t.Error("the page does not begin with the machine")
	}
	for _, s := range append(kernels.Backends(), "\nfingerprint: "+fingerprint.Want()+"\n", "✓") {
		if !strings.Contains(page, s) {
			t.Errorf("the page lacks %q", s)
		}
	}
	if strings.Contains(page, "✗") || t.Failed() {
		t.Errorf("the page:\n%s", page)
	}
}

func TestBackendFlag(t *testing.T) {
	got, err := parse([]string{"-backend", "generic,generic"}, nil)
	if err != nil || !slices.Equal(got, []string{"generic"}) {
		t.Errorf("got %v, %v", got, err)
	}
	got, err = parse(nil, nil)
	if err != nil || !slices.Equal(got, kernels.Backends()) {
		t.Errorf("without the flag: got %v, %v", got, err)
	}
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args   []string
		status int
		text   string
	}{
		{[]string{"-h"}, 0, "go run ./bench/fingerprint -backend generic"},
		{[]string{"-backend", "nosuch"}, 2, `-backend has "nosuch" but this machine has ` + strings.Join(kernels.Backends(), ", ")},
		{[]string{"-backend", ""}, 2, `-backend has "" but`},
		{[]string{"generic"}, 2, `unexpected argument "generic"`},
		{[]string{"-x"}, 2, "-x"},
	} {
		var stdout, stderr bytes.Buffer
		status := run(test.args, &stdout, &stderr)
		out, silent := &stderr, &stdout
		if test.status == 0 {
			out, silent = silent, out
		}
		if status != test.status || !strings.Contains(out.String(), test.text) || silent.Len() > 0 {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q", test.args, status, &stdout, &stderr)
		}
	}
}

func TestReport(t *testing.T) {
	good := []fingerprint.Result{
		{Kernel: "MSE", Type: "float32", Digest: "0123456789abcdef01", Want: "0123456789abcdef01"},
		{Kernel: "SGD", Type: "float64", Digest: "00", Want: "00"},
	}
	bad := slices.Clone(good)
	bad[1].Digest, bad[1].Diff = "01", "len=1 ordinary: w[0] is 1 but 2 in the reference; 1 of 2 cases differ"
	cs := []column{{"fast", bad}, {"generic", good}}

	var page bytes.Buffer
	same, err := report(&page, "os/arch, some CPU", cs)
	want := fmt.Sprintf(`os/arch, some CPU
fingerprint: %s

kernel  type     fast  generic  digest
MSE     float32  ✓     ✓        0123456789abcdef…
SGD     float64  ✗     ✓        00…

fast has the fingerprint %s:
✗ SGD float64: len=1 ordinary: w[0] is 1 but 2 in the reference; 1 of 2 cases differ
`, fingerprint.Want(), fingerprint.Digest(bad))
	if same || err != nil || page.String() != want {
		t.Errorf("got %v, %v\n%s\nwant false\n%s", same, err, &page, want)
	}

	if same, err := report(failing{}, "", cs[1:]); err == nil || !same {
		t.Errorf("when the page cannot be written: %v, %v", same, err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no") }
