package kernels

import (
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	best, other := &backend{name: "best"}, &backend{name: "other"}
	from := []*backend{best, other, generic}
	for _, test := range []struct {
		from []*backend
		name string
		want *backend
		err  string
	}{
		{from, "", best, ""},
		{from, "best", best, ""},
		{from, "other", other, ""},
		{from, "generic", generic, ""},
		{[]*backend{generic}, "", generic, ""},
		{from, "nosuch", nil, `backend "nosuch" is not one this CPU and build can run: best, other, generic`},
		{from, "Best", nil, `backend "Best" is not one this CPU and build can run: best, other, generic`},
		{from, " best", nil, `backend " best" is not one this CPU and build can run: best, other, generic`},
		{[]*backend{generic}, "best", nil, `backend "best" is not one this CPU and build can run: generic`},
	} {
		got, err := choose(test.from, test.name)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != test.want || text != test.err {
			t.Errorf("choose(%v, %q) is %v, %q, want %v, %q", names(test.from), test.name, got, text, test.want, test.err)
		}
	}
}

// The list has the reference last, and each backend has a name of its own and
// every kernel of both types.
func TestAvailable(t *testing.T) {
	all := Backends()
	if len(all) == 0 || all[len(all)-1] != "generic" {
		t.Errorf("Backends() is %v, want generic last", all)
	}
	if sorted := slices.Sorted(slices.Values(all)); len(slices.Compact(sorted)) != len(all) {
		t.Errorf("Backends() is %v, want each name once", all)
	}
	for _, b := range available {
		for _, table := range []reflect.Value{reflect.ValueOf(b.f32), reflect.ValueOf(b.f64)} {
			for i := range table.NumField() {
				if table.Field(i).IsNil() {
					t.Errorf("backend %s lacks %s in %v", b.name, table.Type().Field(i).Name, table.Type())
				}
			}
		}
	}
	all[0] = "scribble"
	if Backends()[0] == "scribble" {
		t.Error("Backends() hands out the package's own list")
	}
}

func TestSetBackend(t *testing.T) {
	use(t, available[0])
	for _, name := range Backends() {
		restore, err := SetBackend(name)
		if err != nil || Backend() != name {
			t.Fatalf("SetBackend(%q): %v, and Backend() is %q", name, err, Backend())
		}
		inner, err := SetBackend("generic")
		if err != nil || Backend() != "generic" {
			t.Fatalf("SetBackend(generic): %v, and Backend() is %q", err, Backend())
		}
		inner()
		if Backend() != name {
			t.Errorf("restored to %q, want %q", Backend(), name)
		}
		restore()
		if Backend() != available[0].name {
			t.Errorf("restored to %q, want %q", Backend(), available[0].name)
		}
	}
	for name, want := range map[string]string{
		"":       "lockstep: SetBackend: the name is empty",
		"nosuch": `lockstep: SetBackend: backend "nosuch" is not one this CPU and build can run: ` + strings.Join(Backends(), ", "),
	} {
		restore, err := SetBackend(name)
		if err == nil || err.Error() != want || restore != nil {
			t.Errorf("SetBackend(%q): error %v, want %s", name, err, want)
		}
		if Backend() != available[0].name {
			t.Errorf("SetBackend(%q) left %q selected", name, Backend())
		}
	}
}

// The selected backend is the one that computes, for both types.
func TestSelected(t *testing.T) {
	mark := new(string)
	marked := func(name string) *backend {
		return &backend{name,
			table[float32]{forward: func(y, x, w *Mat[float32], b []float32, act Activation) { *mark += name + "32 " }},
			table[float64]{sgd: func(w, g []float64, rate float64) { *mark += name + "64 " }}}
	}
	one, two := marked("one"), marked("two")
	call := func() {
		DenseForward(NewMat[float32](1, 1), NewMat[float32](1, 1), NewMat[float32](1, 1), nil, ReLU)
		SGD([]float64{1}, []float64{1}, 1)
	}
	use(t, one)
	call()
	use(t, two)
	call()
	if want := "one32 one64 two32 two64 "; *mark != want {
		t.Errorf("calls went to %q, want %q", *mark, want)
	}
}

// LOCKSTEP_BACKEND chooses at start, so the test starts itself again.
func TestEnvironment(t *testing.T) {
	const key = "LOCKSTEP_BACKEND"
	if os.Getenv("LOCKSTEP_TEST_CHILD") != "" {
		os.Stdout.WriteString("backend=" + Backend() + "\n")
		return
	}
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("no processes here")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	child := func(name string) string {
		cmd := exec.Command(exe, "-test.run=^TestEnvironment$", "-test.count=1")
		for _, e := range os.Environ() {
			if !strings.HasPrefix(e, key+"=") && !strings.HasPrefix(e, "LOCKSTEP_TEST_") {
				cmd.Env = append(cmd.Env, e)
			}
		}
		cmd.Env = append(cmd.Env, "LOCKSTEP_TEST_CHILD=1", key+"="+name)
		out, err := cmd.CombinedOutput()
		if _, exited := err.(*exec.ExitError); err != nil && !exited {
			t.Skip(err) // as under an emulator that cannot start one
		}
		return string(out)
	}
	if out := child(""); !strings.Contains(out, "backend="+available[0].name+"\n") {
		t.Errorf("without %s the best is not chosen:\n%s", key, out)
	}
	for _, name := range Backends() {
		if out := child(name); !strings.Contains(out, "backend="+name+"\n") {
			t.Errorf("%s=%s chooses another:\n%s", key, name, out)
		}
	}
	want := `panic: lockstep: LOCKSTEP_BACKEND: backend "nosuch" is not one this CPU and build can run: ` + strings.Join(Backends(), ", ")
	if out := child("nosuch"); !strings.Contains(out, want) {
		t.Errorf("%s=nosuch does not say %q:\n%s", key, want, out)
	}
}

// TestRequired keeps a silent fallback from passing: whoever runs the tests
// for the sake of one backend names it in LOCKSTEP_TEST_REQUIRE.
func TestRequired(t *testing.T) {
	if required == "" {
		t.Skip("LOCKSTEP_TEST_REQUIRE names no backend")
	}
	if Backend() != required {
		t.Errorf("the backend in use is %q of %v, but %q is required", Backend(), Backends(), required)
	}
}
