// Command report times the kernels against every peer that is here and against
// the limits of the machine, in turns, and writes what it found: report.md, a
// roofline and the ratios by shape.
//
//	go run ./bench/report -out DIR
//
// It builds itself again with the tag cpeers if there is a C compiler, and
// then runs that once for each backend, so that OpenBLAS, BLIS and oneDNN can
// be held to the same instructions. A peer that is not installed is named as
// missing, with the package that has it. Without a C compiler there are neither
// those peers nor the limits, and no roofline.
//
// With -sweep it writes sweep.md instead, and with -smooth smooth.md: about many
// shapes, with the best backend alone.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/cpuid/v2"
	"github.com/lockstep-go/lockstep/bench/internal/peers"
	"github.com/lockstep-go/lockstep/kernels"
)

const self = "github.com/lockstep-go/lockstep/bench/report"

// options are the flags, which a worker gets as they are.
type options struct {
	quick, sweep, smooth, worker bool
	shapes, sizes, types         string
	peers, out                   string
	count                        int
}

func main() {
	var o options
	flag.BoolVar(&o.quick, "quick", false, "fewer shapes and shorter samples")
	flag.StringVar(&o.shapes, "shapes", "", "only these `shapes`, such as 64x256x256,1x64x64")
	flag.StringVar(&o.types, "types", "f64,f32", "only these `types`")
	flag.StringVar(&o.peers, "peers", "", "only these `peers`, such as openblas,onednn, or regression; none for ours alone")
	flag.StringVar(&o.out, "out", "report-out", "write to this `directory`")
	flag.IntVar(&o.count, "count", 0, "samples of each; 0 are 9, or 5 if -quick")
	flag.BoolVar(&o.sweep, "sweep", false, "instead, 400 shapes: sum up, by size, and list those where ours is slower than the best peer by more than 10 %")
	flag.StringVar(&o.sizes, "sizes", "1,2,3,5,8,10,16,17,31,64,100,128,300,512", "the `sizes` of which -sweep draws shapes, those of up to 300 million operations and 3 million elements")
	flag.BoolVar(&o.smooth, "smooth", false, "instead, neighbouring sizes: list steps above 1.5×")
	flag.BoolVar(&o.worker, "worker", false, "measure with one backend and print JSON; for the command itself")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if err := o.check(given); err != nil {
		return err
	}
	o.count = cmp.Or(o.count, map[bool]int{true: 5, false: 9}[o.quick])
	if o.worker {
		return json.NewEncoder(os.Stdout).Encode(work(o))
	}
	if err := os.MkdirAll(o.out, 0o777); err != nil { // before minutes are spent
		return err
	}
	return o.measureAll()
}

// check returns an error if flags have values that mean nothing, or were given without
// meaning anything beside others.
func (o options) check(given map[string]bool) error {
	if _, err := parseShapes(o.shapes); err != nil {
		return err
	}
	if _, err := parseSizes(o.sizes); err != nil {
		return err
	}
	types := strings.Split(o.types, ",")
	for i, t := range types {
		if t != "f32" && t != "f64" || slices.Contains(types[:i], t) {
			return fmt.Errorf("-types is %q: it may have f32 and f64, once each", o.types)
		}
	}
	if o.peers != "" {
		for p := range strings.SplitSeq(o.peers, ",") {
			if !slices.Contains(peers.Names, p) && p != "regression" && p != "none" {
				return fmt.Errorf("-peers has %q: there are %s, regression and none", p, strings.Join(peers.Names, ", "))
			}
		}
	}
	if o.count < 0 {
		return fmt.Errorf("-count is %d but must not be negative", o.count)
	}
	for _, pair := range [][2]string{{"sweep", "smooth"}, {"sweep", "shapes"}, {"smooth", "shapes"}, {"sweep", "quick"}, {"smooth", "quick"}, {"sweep", "count"}, {"smooth", "count"}} {
		if given[pair[0]] && given[pair[1]] {
			return fmt.Errorf("-%s has no meaning with -%s", pair[1], pair[0])
		}
	}
	if o.shapes != "" && o.wants("regression") && o.peers != "" {
		return errors.New("-shapes leaves the regression out")
	}
	if given["sizes"] && !o.sweep {
		return errors.New("-sizes has no meaning without -sweep")
	}
	return nil
}

// measureAll has every backend measured, and writes what was found.
func (o options) measureAll() error {
	bin, done, err := build()
	if err != nil {
		return err
	}
	defer done()

	begin := time.Now()
	page := document{options: o, cpu: cmp.Or(strings.TrimSpace(cpuid.CPU.BrandName), cpuid.CPU.VendorString, "unknown CPU")}
	backends := kernels.Backends()
	if o.sweep || o.smooth {
		backends = backends[:1]
	}
	for _, backend := range backends {
		r, err := measure(bin, backend)
		if err != nil {
			return fmt.Errorf("with backend %s: %w", backend, err)
		}
		page.results = append(page.results, *r)
	}
	page.took = time.Since(begin)
	return page.write(o.out)
}

// build returns a program that has the peers in C, or without a compiler this
// one.
func build() (path string, done func(), err error) {
	nothing := func() {}
	this, err := os.Executable()
	if err != nil {
		return "", nothing, err
	}
	env, err := exec.Command("go", "env", "CC").Output()
	cc, _, _ := strings.Cut(strings.TrimSpace(string(env)), " ")
	if err == nil {
		_, err = exec.LookPath(cc)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "no C compiler (%v): only the peers in Go\n", err)
		return this, nothing, nil
	}
	dir, err := os.MkdirTemp("", "lockstep-report")
	if err != nil {
		return "", nothing, err
	}
	done = func() { os.RemoveAll(dir) }
	path = filepath.Join(dir, "report")
	cmd := exec.Command("go", "build", "-tags", "cpeers", "-o", path, self)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		done()
		fmt.Fprintf(os.Stderr, "the peers in C do not build, so only those in Go:\n%s", out)
		return this, nothing, nil
	}
	return path, done, nil
}

// measure runs a worker with one backend.
func measure(bin, backend string) (*results, error) {
	fmt.Fprintf(os.Stderr, "%s:", backend)
	defer fmt.Fprintln(os.Stderr)
	cmd := exec.Command(bin, append([]string{"-worker"}, os.Args[1:]...)...)
	cmd.Env = append(os.Environ(), "LOCKSTEP_BACKEND="+backend)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	r := new(results)
	return r, json.Unmarshal(out, r)
}

func parseShapes(list string) ([]peers.Shape, error) {
	if list == "" {
		return nil, nil
	}
	var shapes []peers.Shape
	for text := range strings.SplitSeq(list, ",") {
		var s peers.Shape
		fmt.Sscanf(text, "%dx%dx%d", &s.N, &s.In, &s.Out) // what it leaves out shows in s
		if s.String() != text || min(s.N, s.In, s.Out) < 1 {
			return nil, fmt.Errorf("-shapes has %q, which is not like 64x256x256", text)
		}
		shapes = append(shapes, s)
	}
	return shapes, nil
}

func parseSizes(list string) ([]int, error) {
	var sizes []int
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1<<20 {
			return nil, fmt.Errorf("-sizes has %q, which is no number from 1 to %d", text, 1<<20)
		}
		if !slices.Contains(sizes, n) {
			sizes = append(sizes, n)
		}
	}
	if n := slices.Min(sizes); !inSweep(peers.Shape{N: n, In: n, Out: n}) {
		return nil, fmt.Errorf("-sizes begins at %d, and %[1]d×%[1]d×%[1]d is too large for a sweep", n)
	}
	return sizes, nil
}

// machine is what the report names.
func (d *document) machine() string {
	return fmt.Sprintf("%s, %s, %s/%s", d.cpu, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// wants reports whether the peer is asked for.
func (o options) wants(peer string) bool {
	return o.peers == "" || slices.Contains(strings.Split(o.peers, ","), peer)
}
