package main

import "fmt"

// A word is an arm64 vector instruction that Go's assembler has no name for.
// Its registers are d in bits 0–4, n in bits 5–9 and m in bits 16–20.
type word struct {
	gnu      string // with the arrangement for %[1]s and d, n, m for %[2]d…
	f32, f64 uint32 // the encoding for four float32 and for two float64
}

// words are the instructions the NEON machine uses in this way. The last
// operand of fmla is a single element, the first or the second; s or d is
// %[5]s.
var words = struct {
	fadd, fsub, fmul, faddp, fmax, fcmle, bic word
	fmla                                      [2]word
}{
	fadd:  word{"fadd v%[2]d.%[1]s, v%[3]d.%[1]s, v%[4]d.%[1]s", 0x4e20d400, 0x4e60d400},
	fsub:  word{"fsub v%[2]d.%[1]s, v%[3]d.%[1]s, v%[4]d.%[1]s", 0x4ea0d400, 0x4ee0d400},
	fmul:  word{"fmul v%[2]d.%[1]s, v%[3]d.%[1]s, v%[4]d.%[1]s", 0x6e20dc00, 0x6e60dc00},
	faddp: word{"faddp v%[2]d.%[1]s, v%[3]d.%[1]s, v%[4]d.%[1]s", 0x6e20d400, 0x6e60d400},
	fmax:  word{"fmax v%[2]d.%[1]s, v%[3]d.%[1]s, v%[4]d.%[1]s", 0x4e20f400, 0x4e60f400},
	fcmle: word{"fcmle v%[2]d.%[1]s, v%[3]d.%[1]s, #0", 0x6ea0d800, 0x6ee0d800},
	bic:   word{"bic v%[2]d.16b, v%[3]d.16b, v%[4]d.16b", 0x4e601c00, 0x4e601c00},
	fmla: [2]word{
		{"fmla v%[2]d.%[1]s, v%[3]d.%[1]s, v%[4]d.%[5]s[0]", 0x4f801000, 0x4fc01000},
		{"fmla v%[2]d.%[1]s, v%[3]d.%[1]s, v%[4]d.%[5]s[1]", 0x4fa01000, 0x4fc01800},
	},
}

// asm is the operand of a WORD directive, with the GNU form as a comment.
func (w word) asm(f Float, d, n, m Vec) string {
	code, arrangement, element := w.f32, "4s", "s"
	if f == F64 {
		code, arrangement, element = w.f64, "2d", "d"
	}
	code |= uint32(m)<<16 | uint32(n)<<5 | uint32(d)
	gnu := fmt.Sprintf(w.gnu, arrangement, d, n, m, element)
	return fmt.Sprintf("$0x%08x // %s", code, gnu)
}
