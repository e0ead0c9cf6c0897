package fingerprint

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"strings"
)

// digests has, for each kernel at each type, a line "kernel type digest" and
// then, behind tabs, the start of every case's digest in base64.
//
//go:embed digests.txt
var digests string

// sums are the digests of one kernel at one type.
type sums struct {
	all   string
	short []string // of the cases, in order
}

// short is the part of a case's digest that is kept, to tell which case it was.
func short(sum [sha256.Size]byte) string { return base64.RawURLEncoding.EncodeToString(sum[:3]) }

const perLine = 20 // cases

// format writes the sums of bodies as parse reads them.
func format(all []sums) string {
	var text strings.Builder
	for i, s := range all {
		fmt.Fprintf(&text, "%s %s %s\n", bodies[i].kernel.name, bodies[i].typ, s.all)
		for len(s.short) > 0 {
			n := min(perLine, len(s.short))
			fmt.Fprintf(&text, "\t%s\n", strings.Join(s.short[:n], " "))
			s.short = s.short[n:]
		}
	}
	return text.String()
}

// parse returns the sums of bodies, in their order.
func parse(text string) ([]sums, error) {
	found := map[string]*sums{}
	var last *sums
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "\t") && last != nil:
			last.short = append(last.short, fields...)
		case len(fields) == 3:
			last = &sums{all: fields[2]}
			found[fields[0]+" "+fields[1]] = last
		default:
			return nil, fmt.Errorf("fingerprint: digests.txt has the line %q", line)
		}
	}
	var all []sums
	for _, b := range bodies {
		name := b.kernel.name + " " + b.typ
		s := found[name]
		if s == nil {
			return nil, fmt.Errorf("fingerprint: digests.txt has no %s", name)
		}
		if got, want := len(s.short), len(b.kernel.cases); got != want {
			return nil, fmt.Errorf("fingerprint: digests.txt has %d cases of %s, but there are %d", got, name, want)
		}
		all = append(all, *s)
	}
	return all, nil
}
