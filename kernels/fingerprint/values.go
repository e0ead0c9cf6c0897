package fingerprint

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"unsafe"

	"github.com/lockstep-go/lockstep/kernels"
)

// A fill is a way to draw operands.
type fill int

const (
	ordinary fill = iota // magnitudes around 1
	special              // ordinary, and now and then a corner value
	wide                 // exponents far apart, but nothing overflows
	zeros                // zeros, mostly of a sign that makes sums -0; rarely small integers
	tiny                 // products around the least subnormal, and subnormals
	huge                 // products around the overflow threshold
	ties                 // sums a hair off the middle between two numbers
	tinyTies             // and such sums that are subnormal
	given                // none: the case has its own operands
)

func (f fill) String() string {
	return [...]string{"ordinary", "special", "wide", "zeros", "tiny", "huge", "ties", "tiny ties", ""}[f]
}

// trial is one case with one fill under way: it draws the operands and keeps
// the outputs. Nothing it draws is computed in floating point, so that no
// compiler can round it otherwise.
type trial[T kernels.Float] struct {
	rng      *rand.PCG
	fill     fill
	loose    bool   // rows have gaps, and slices start anywhere
	rarity   int    // one in so many is a corner value
	negative bool   // most zeros and tiny numbers are
	call     string // of the kernel, among the trial's
	outputs  []output
}

// newTrial returns the trial of the case of this name, from which the numbers
// come.
func newTrial[T kernels.Float](name string, f fill, loose bool) *trial[T] {
	sum := sha256.Sum256([]byte(name + " " + f.String()))
	return &trial[T]{
		rng:    rand.NewPCG(binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])),
		fill:   f,
		loose:  loose,
		rarity: 4,
	}
}

// fold tells that the operands to come are for sums of n terms, where a few
// corner values are enough.
func (t *trial[T]) fold(n int) { t.rarity = max(4, n) }

// below draws one of 0 … n-1.
func (t *trial[T]) below(n int) int { return int(t.rng.Uint64() >> 32 % uint64(n)) }

// value draws a number.
func (t *trial[T]) value() T {
	mantissa, bias := layout[T]()
	most := bias + 1 // 2^most overflows
	u := t.rng.Uint64()
	// Bits 52 to 62 choose the exponent, lo ≤ e < lo + n; others are the sign
	// and the mantissa.
	pick := func(lo, n int) T {
		e := lo + int(u>>52&(1<<11-1))%n
		return assemble[T](u, uint64(e+bias)<<mantissa|u&(1<<mantissa-1))
	}
	switch t.fill {
	case wide:
		return pick(-most/6, most/3)
	case special:
		if t.below(t.rarity) == 0 {
			s := corners[T]()
			return assemble[T](u, s[u%uint64(len(s))])
		}
	case zeros:
		if u&15 == 0 {
			return T(int(u>>32%9) - 4)
		}
		return assemble[T](t.mostly(u), 0)
	case tiny:
		u = t.mostly(u)
		if u>>52&3 == 0 {
			return assemble[T](u, u&(1<<mantissa-1))
		}
		return pick(-(bias+mantissa)/2-11, 20)
	case huge:
		return pick(most/2-4, 5)
	case ties:
		// (1+ε)(1-ε)·2^-p is almost half of 1's last place.
		e := bias
		if u>>32&1 == 0 {
			e -= mantissa + 1
		}
		return assemble[T](u, beside[u>>8%uint64(len(beside))]+uint64(e)<<mantissa)
	case tinyTies:
		// The product of two is almost half of the least subnormal.
		if u>>32&1 == 0 {
			return assemble[T](u, u&(1<<(mantissa-1)-1))
		}
		half := -(bias + mantissa)
		e := half / 2
		if u>>33&1 == 0 {
			e = half - e
		}
		return assemble[T](u, beside[u>>8%uint64(len(beside))]+uint64(e+bias)<<mantissa)
	}
	return pick(-4, 6)
}

// beside, added to the bits of 1, gives 1+ε and 1-ε, where 1+ε is the number
// after 1, and 1+3ε.
var beside = [...]uint64{1, 1<<64 - 2, 3}

// mostly returns u with the sign that most have: 15 of 16, and by chance more.
func (t *trial[T]) mostly(u uint64) uint64 {
	if u>>4&15 == 0 {
		return u
	}
	u &^= 1 << 63
	if t.negative {
		u |= 1 << 63
	}
	return u
}

// corners are the magnitudes at which formats and instructions have corners,
// as bits.
func corners[T kernels.Float]() [12]uint64 {
	mantissa, bias := layout[T]()
	inf := uint64(2*bias+1) << mantissa
	normal, one := uint64(1)<<mantissa, uint64(bias)<<mantissa
	return [...]uint64{
		0, 1, 3, normal - 1, normal, // zero, subnormals, the least normal
		one, one + 1, inf - 1 - normal, inf - 1, // up to the greatest
		inf, inf + normal/2, inf + 1, // infinity, a quiet and a signalling NaN
	}
}

// layout returns the bits of T's mantissa and the bias of its exponent.
func layout[T kernels.Float]() (mantissa, bias int) {
	if unsafe.Sizeof(T(0)) == 4 {
		return 23, 127
	}
	return 52, 1023
}

// assemble returns the number of the given magnitude, with the sign of u.
func assemble[T kernels.Float](u, magnitude uint64) T {
	if unsafe.Sizeof(T(0)) == 4 {
		return T(math.Float32frombits(uint32(u>>63<<31 | magnitude)))
	}
	return T(math.Float64frombits(u>>63<<63 | magnitude))
}

// blank returns a matrix of NaN.
func (t *trial[T]) blank(rows, cols int) kernels.Mat[T] {
	stride, start := cols, 0
	if t.loose {
		stride += 1 + t.below(5)
		start = t.below(4)
	}
	data := make([]T, start+rows*stride)
	for i := range data {
		data[i] = T(math.NaN())
	}
	return kernels.Mat[T]{Rows: rows, Cols: cols, Data: data[start:], Stride: stride}
}

// mat draws a matrix. What lies between its rows is NaN, to show in the
// results of who reads it.
func (t *trial[T]) mat(rows, cols int) kernels.Mat[T] {
	m := t.blank(rows, cols)
	for i := range rows {
		for j, row := 0, m.Row(i); j < cols; j++ {
			row[j] = t.value()
		}
	}
	return m
}

// vec draws a vector.
func (t *trial[T]) vec(n int) []T { return t.mat(1, n).Data[:n:n] }

// keep adds a matrix to the outputs, keepVec a vector, keepScalar a number.
func (t *trial[T]) keep(name string, m kernels.Mat[T]) {
	o := t.output(name, m.Cols)
	o.data = make([]byte, 0, m.Rows*m.Cols*o.size)
	for i := range m.Rows {
		o.data = appendBits(o.data, m.Row(i))
	}
	t.outputs = append(t.outputs, o)
}

func (t *trial[T]) keepVec(name string, v []T) {
	o := t.output(name, 0)
	o.data = appendBits(o.data, v)
	t.outputs = append(t.outputs, o)
}

func (t *trial[T]) keepScalar(name string, v T) {
	o := t.output(name, -1)
	o.data = appendBits(o.data, []T{v})
	t.outputs = append(t.outputs, o)
}

func (t *trial[T]) output(name string, cols int) output {
	about := t.fill.String()
	if t.loose {
		about += " loose"
	}
	if t.call != "" {
		about += ", " + t.call
	}
	if t.fill != given {
		name = about + ": " + name
	}
	return output{name: name, cols: cols, size: int(unsafe.Sizeof(T(0)))}
}

// appendBits appends the bits of v, least significant byte first and every NaN
// as the same one.
func appendBits[T kernels.Float](to []byte, v []T) []byte {
	to = slices.Grow(to, len(v)*int(unsafe.Sizeof(T(0))))
	for _, x := range v {
		if unsafe.Sizeof(x) == 4 {
			u := math.Float32bits(float32(x))
			if x != x {
				u = 0x7fc00000
			}
			to = binary.LittleEndian.AppendUint32(to, u)
		} else {
			u := math.Float64bits(float64(x))
			if x != x {
				u = 0x7ff8000000000000
			}
			to = binary.LittleEndian.AppendUint64(to, u)
		}
	}
	return to
}

// show prints the number of the given bytes, and its bits.
func show(b []byte) string {
	if len(b) == 4 {
		u := binary.LittleEndian.Uint32(b)
		return fmt.Sprintf("%v (%#08x)", math.Float32frombits(u), u)
	}
	u := binary.LittleEndian.Uint64(b)
	return fmt.Sprintf("%v (%#016x)", math.Float64frombits(u), u)
}
