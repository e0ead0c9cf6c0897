package fingerprint

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
)

var update = flag.Bool("update", false, "rewrite digests.txt from the reference")

func TestMain(m *testing.M) {
	flag.Parse()
	if !*update {
		os.Exit(m.Run())
	}
	restore, err := kernels.SetBackend(reference)
	if err != nil {
		panic(err) // every build has it
	}
	var all []sums
	for _, b := range bodies {
		all = append(all, b.sums())
	}
	restore()
	if err := os.WriteFile("digests.txt", []byte(format(all)), 0o666); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// That backends have the digests is for the tests of package kernels to check;
// here the checking is checked.
func TestDigests(t *testing.T) {
	all, err := parse(digests)
	if err != nil {
		t.Fatalf("%v: run go test -update", err)
	}
	if format(all) != digests {
		t.Error("digests.txt has more than it should, or in another order: run go test -update")
	}
}

func TestParse(t *testing.T) {
	for _, test := range []struct{ old, new, err string }{
		{"MSE float32", "MSE float16", "digests.txt has no MSE float32"},
		{"\n\t", "\n\tAAAA ", fmt.Sprintf("digests.txt has %d cases of DenseForward float32, but there are %[2]d", len(layers())+1, len(layers()))},
		{"SGD float64", "SGD", `digests.txt has the line "SGD `},
	} {
		_, err := parse(strings.Replace(digests, test.old, test.new, 1))
		if err == nil || !strings.Contains(err.Error(), test.err) {
			t.Errorf("with %q for %q the error is %v, want %s", test.new, test.old, err, test.err)
		}
	}
}

func TestUnknownBackend(t *testing.T) {
	if rs, err := Check("nosuch"); err == nil || !strings.Contains(err.Error(), `"nosuch"`) {
		t.Errorf("Check of a backend that is none: %v, %v", rs, err)
	}
}

// A difference names the case and the first element, whose bits it shows. The
// body here computes something wrong until the reference's turn.
func TestDiff(t *testing.T) {
	k := &kernel{name: "K", sizes: []string{"rows", "cols"}, cases: []kase{
		{[]int{1, 2}, false, nil},
		{[]int{3, 5}, false, nil},
		{[]int{4, 5}, false, nil},
	}}
	wrong, right := 0, 0
	b := body{k, "float32", func(k *kernel, c kase) []output {
		tr := newTrial[float32](k.name, special, true)
		m := kernels.NewMat[float32](c.size[0], c.size[1])
		m.Data[0] = float32(math.NaN())
		if right < wrong && m.Rows > 1 {
			m.Data[0] = math.Float32frombits(0xffc12345) // is no difference
			m.Row(2)[1] = 1.5
		}
		right++
		tr.call = "call"
		tr.keepScalar("s", 7)
		tr.keep("m", m)
		return tr.outputs
	}}
	want := b.sums()

	// The three cases, and the one that is explained.
	right, wrong = 0, 4
	r := b.check("some", &want)
	if text := "rows=3 cols=5: special loose, call: m[2,1] is 1.5 (0x3fc00000) but 0 (0x00000000) in the reference; 2 of 3 cases differ"; r.Diff != text {
		t.Errorf("got  %s\nwant %s", r.Diff, text)
	}
	if r.Kernel != "K" || r.Type != "float32" || r.Want != want.all || r.Digest == want.all || len(r.Digest) != 2*sha256.Size {
		t.Errorf("got %+v, want digest %s", r, want.all)
	}

	right, wrong = 0, 4
	r = b.check(reference, &want)
	if text := "rows=3 cols=5: the reference itself differs from its digest; 2 of 3 cases differ"; r.Diff != text {
		t.Errorf("got  %s\nwant %s", r.Diff, text)
	}

	right, wrong = 0, 0
	if r = b.check("some", &want); r.Diff != "" || r.Digest != r.Want {
		t.Errorf("without a difference: %+v", r)
	}
	want.all = "0"
	if r = b.check("some", &want); !strings.Contains(r.Diff, "contradicts itself") {
		t.Errorf("with a false digest of the whole: %+v", r)
	}
}

// Whichever backend was selected before is so afterwards.
func TestCheckRestores(t *testing.T) {
	before := kernels.Backend()
	if _, err := Check(reference); err != nil {
		t.Fatal(err)
	}
	if after := kernels.Backend(); after != before {
		t.Errorf("Check left backend %s, was %s", after, before)
	}
}
