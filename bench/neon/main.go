// Command neon predicts how fast the NEON kernels are, for machines without an
// arm64 at hand. It is a model, not a measurement:
//
//   - llvm-mca's reading of the innermost loops of the main register tiles, on
//     the models of three cores: how busy they keep the pipes that do fmla;
//   - the instructions that qemu executes for each multiply-add of a layer,
//     which no model enters, beside OpenBLAS's arm64 library if it is given.
//
// From the root of the repository, with llvm-mca and qemu-aarch64 installed
// (Debian: llvm-19, qemu-user-static):
//
//	go run ./bench/neon
//
// The arm64 OpenBLAS of Debian, unpacked into a folder that -openblas names,
// needs no arm64 machine either (and gcc-aarch64-linux-gnu):
//
//	dpkg --add-architecture arm64 && apt-get update
//	apt-get download libopenblas0-serial:arm64 libgfortran5:arm64 libgcc-s1:arm64 libc6:arm64
//	for d in *_arm64.deb; do dpkg -x $d arm64; done
//	go run ./bench/neon -openblas arm64
//
// The report is Markdown.
package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// cores are the models and how many fmla a cycle each can start.
var cores = []struct {
	name  string
	pipes float64
}{
	{"neoverse-n1", 2}, {"neoverse-v1", 4}, {"apple-m1", 4},
}

var types = []string{"f32", "f64"}

const multiplyAdds = 64 * 256 * 256

func main() {
	log.SetFlags(0)
	log.SetPrefix("neon: ")
	mca := flag.String("mca", first("llvm-mca-22", "llvm-mca-19", "llvm-mca"), "the llvm-mca to run")
	openblas := flag.String("openblas", "", "folder with Debian's arm64 OpenBLAS unpacked")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("unexpected argument %q", flag.Arg(0))
	}
	dir, err := os.MkdirTemp("", "neon")
	if err != nil {
		log.Fatal(err)
	}
	err = report(os.Stdout, dir, *mca, *openblas)
	os.RemoveAll(dir)
	if err != nil {
		log.Fatal(err)
	}
}

// first is the first of the commands that is installed, or else the first.
func first(commands ...string) string {
	for _, c := range commands {
		if _, err := exec.LookPath(c); err == nil {
			return c
		}
	}
	return commands[0]
}

func report(out io.Writer, dir, mca, openblas string) error {
	layer := filepath.Join(dir, "layer")
	build := exec.Command("go", "build", "-o", layer, "github.com/lockstep-go/lockstep/bench/neon/layer")
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the layer: %w\n%s", err, text)
	}

	version, err := exec.Command(mca, "--version").Output()
	if err != nil {
		return fmt.Errorf("%s: %w", mca, err)
	}
	fmt.Fprintf(out, "Innermost loops of the register tiles by %s; fmla a cycle, and share of the core's fmla pipes:\n\n",
		regexp.MustCompile(`LLVM version [0-9.]+`).Find(version))
	fmt.Fprint(out, "| loop | instructions | fmla |")
	for _, c := range cores {
		fmt.Fprintf(out, " %s |", c.name)
	}
	fmt.Fprintf(out, "\n| --- | ---: | ---: |%s\n", strings.Repeat(" ---: |", len(cores)))
	for _, t := range types {
		loops, err := innermost(layer, "kernels.panelNEON"+strings.ToUpper(t))
		if err != nil {
			return err
		}
		for i, name := range []string{"forward and dx", "dw"} {
			loop := loops[i]
			fmt.Fprintf(out, "| %s, %s | %d | %d |", name, t, len(loop), fmlas(loop))
			for _, c := range cores {
				cycles, err := predict(mca, c.name, loop)
				if err != nil {
					return err
				}
				rate := float64(fmlas(loop)) / cycles
				fmt.Fprintf(out, " %.2f (%.0f %%) |", rate, 100*rate/c.pipes)
			}
			fmt.Fprintln(out)
		}
	}

	fmt.Fprint(out, "\nInstructions executed by qemu for each multiply-add, layer 64×256×256 with bias and ReLU:\n\n")
	fmt.Fprint(out, "| type | Lockstep |")
	where, err := addresses(layer, "lockstep/kernels.")
	if err != nil {
		return err
	}
	columns := [][]string{{"-dfilter", where, layer}}
	if openblas != "" {
		peer, err := blas(dir, openblas)
		if err != nil {
			return err
		}
		fmt.Fprint(out, " OpenBLAS, NEOVERSEN1 |")
		columns = append(columns, peer)
	}
	fmt.Fprintf(out, "\n| --- |%s\n", strings.Repeat(" ---: |", len(columns)))
	for _, t := range types {
		fmt.Fprintf(out, "| %s |", t)
		for _, command := range columns {
			// The difference leaves out what starting the program takes.
			one, err := executed(command, t, 1)
			if err != nil {
				return err
			}
			three, err := executed(command, t, 3)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, " %.3f |", float64(three-one)/2/multiplyAdds)
		}
		fmt.Fprintln(out)
	}
	return nil
}

// An instruction is one of the disassembly, in GNU syntax.
type instruction struct {
	addr uint64
	text string
}

var (
	disassembled = regexp.MustCompile(`(?m)^\s+\S+\s+0x([0-9a-f]+)\s+[0-9a-f]{8}\s.*?// (.+?)\s*$`)
	branch       = regexp.MustCompile(`^(b|b\.\w+|cbn?z|tbn?z|ret)\b`)
	backward     = regexp.MustCompile(`^b\.\w+ \.\+0x(f{8}[0-9a-f]{8})$`)
)

// innermost returns the two loops of the function without a branch inside that
// have the most fmla: the one that takes several terms at a time, which the
// forward pass and dx use, and the one that takes a single term, for dw.
func innermost(binary, function string) ([2][]instruction, error) {
	var best [2][]instruction
	text, err := exec.Command("go", "tool", "objdump", "-gnu", "-s", regexp.QuoteMeta(function), binary).Output()
	if err != nil {
		return best, fmt.Errorf("go tool objdump: %w", err)
	}
	var all []instruction
	start := 0 // behind the last branch
	for _, m := range disassembled.FindAllSubmatch(text, -1) {
		addr, err := strconv.ParseUint(string(m[1]), 16, 64)
		if err != nil {
			return best, err
		}
		i := instruction{addr, string(m[2])}
		all = append(all, i)
		if !branch.MatchString(i.text) {
			continue
		}
		if b := backward.FindStringSubmatch(i.text); b != nil {
			offset, err := strconv.ParseUint(b[1], 16, 64)
			if err != nil {
				return best, err
			}
			for s := start; s < len(all); s++ {
				if all[s].addr == addr+offset {
					loop := all[s:]
					kind := 1
					if strings.Contains(loopText(loop), "[1]") {
						kind = 0
					}
					if fmlas(loop) > fmlas(best[kind]) {
						best[kind] = loop
					}
				}
			}
		}
		start = len(all)
	}
	if fmlas(best[0]) == 0 || fmlas(best[1]) == 0 {
		return best, errors.New(function + " has no loop of fmla")
	}
	return best, nil
}

func loopText(loop []instruction) string {
	var b strings.Builder
	for _, i := range loop[:len(loop)-1] {
		fmt.Fprintln(&b, i.text)
	}
	fmt.Fprintln(&b, "b.ne .-4")
	return b.String()
}

func fmlas(loop []instruction) int {
	n := 0
	for _, i := range loop {
		if strings.HasPrefix(i.text, "fmla ") {
			n++
		}
	}
	return n
}

// predict returns the cycles of one round of the loop.
func predict(mca, core string, loop []instruction) (float64, error) {
	const rounds = 1000
	cmd := exec.Command(mca, "-march=aarch64", "-mcpu="+core, fmt.Sprintf("-iterations=%d", rounds))
	cmd.Stdin = strings.NewReader(loopText(loop))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", mca, err, &stderr)
	}
	m := regexp.MustCompile(`Total Cycles: +(\d+)`).FindSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%s says no cycles:\n%s", mca, text)
	}
	cycles, err := strconv.ParseFloat(string(m[1]), 64)
	return cycles / rounds, err
}

//go:embed peer/blas.c
var blasSource string

// blas builds the layer on OpenBLAS and returns the command that runs it.
func blas(dir, root string) ([]string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	var library string
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.Name() == "libopenblas.so.0" {
			library = path
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if library == "" {
		return nil, fmt.Errorf("no libopenblas.so.0 below %s", root)
	}
	program := filepath.Join(dir, "blas")
	cmd := exec.Command("aarch64-linux-gnu-gcc", "-O2", "-x", "c", "-", "-o", program,
		"-L"+filepath.Dir(library), "-l:libopenblas.so.0", "-Wl,--allow-shlib-undefined")
	cmd.Stdin = strings.NewReader(blasSource)
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("aarch64-linux-gnu-gcc: %w\n%s", err, text)
	}
	return []string{"-L", root,
		"-E", "LD_LIBRARY_PATH=" + filepath.Dir(library),
		"-E", "OPENBLAS_CORETYPE=NEOVERSEN1", "-E", "OPENBLAS_NUM_THREADS=1", program}, nil
}

// addresses lists where the functions of a package lie, as qemu's -dfilter
// wants it: Go's runtime has threads of its own that must not count.
func addresses(binary, pkg string) (string, error) {
	text, err := exec.Command("go", "tool", "nm", "-size", binary).Output()
	if err != nil {
		return "", fmt.Errorf("go tool nm: %w", err)
	}
	var ranges []string
	for line := range strings.Lines(string(text)) {
		// Address, size in bytes, type, name.
		f := strings.Fields(line)
		if len(f) > 3 && (f[2] == "T" || f[2] == "t") && strings.Contains(f[3], pkg) {
			ranges = append(ranges, fmt.Sprintf("0x%s+%s", f[0], f[1]))
		}
	}
	if len(ranges) == 0 {
		return "", fmt.Errorf("no function of %s in the program", pkg)
	}
	return strings.Join(ranges, ","), nil
}

// executed counts the instructions of a run: qemu translates and logs them one
// by one.
func executed(command []string, t string, times int) (int, error) {
	qemu := first("qemu-aarch64-static", "qemu-aarch64")
	args := append([]string{"-singlestep", "-d", "exec,nochain", "-D", "/dev/stdout"}, command...)
	cmd := exec.Command(qemu, append(args, t, strconv.Itoa(times))...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=off")
	log, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("%s: %w", qemu, err)
	}
	n := 0
	lines := bufio.NewReaderSize(log, 1<<20)
	for {
		line, err := lines.ReadSlice('\n')
		if bytes.HasPrefix(line, []byte("Trace ")) {
			n++
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	if err := cmd.Wait(); err != nil {
		return 0, fmt.Errorf("%s: %w", qemu, err)
	}
	return n, nil
}
