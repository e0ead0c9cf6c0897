package fingerprint

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"unsafe"

	"github.com/lockstep-go/lockstep/kernels"
)

// A fill is a way to draw operands.
type fill int

const (
	ordinary fill = iota // magnitudes around 1
	wide                 // exponents far apart, but nothing overflows
	special              // ordinary, and now and then a corner value
	zeros                // mostly zeros of both signs, else small integers
	tiny                 // products around the least subnormal, and subnormals
	huge                 // products around the overflow threshold
	fills
)

func (f fill) String() string {
	return [...]string{"ordinary", "wide", "special", "zeros", "tiny", "huge"}[f]
}

// trial is one case under way: it draws the operands and keeps the outputs.
// Nothing it draws is computed in floating point, so that no compiler can
// round it otherwise.
type trial[T kernels.Float] struct {
	rng     *rand.PCG
	fill    fill
	loose   bool   // rows have gaps, and slices start anywhere
	rarity  uint64 // one in so many is a corner value
	call    string // of the kernel, among the case's
	outputs []output
}

// newTrial returns the trial of the case of this name, from which the numbers
// come. No sum of the case has more than longest terms.
func newTrial[T kernels.Float](name string, c *kase, longest int) *trial[T] {
	sum := sha256.Sum256([]byte(name))
	return &trial[T]{
		rng:    rand.NewPCG(binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])),
		fill:   c.fill,
		loose:  c.loose,
		rarity: uint64(max(6, 2*longest)),
	}
}

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
		if t.rng.Uint64()>>32%t.rarity == 0 {
			s := corners[T]()
			return assemble[T](u, s[u%uint64(len(s))])
		}
	case zeros:
		if u%3 > 0 {
			return assemble[T](u, 0)
		}
		return T(int(u>>32%9) - 4)
	case tiny:
		if u>>52&3 == 0 {
			return assemble[T](u, u&(1<<mantissa-1))
		}
		return pick(-(bias+mantissa)/2-11, 20)
	case huge:
		return pick(most/2-4, 5)
	}
	return pick(-4, 6)
}

// corners are the magnitudes at which formats and instructions have corners,
// as bits.
func corners[T kernels.Float]() []uint64 {
	mantissa, bias := layout[T]()
	inf := uint64(2*bias+1) << mantissa
	normal, one := uint64(1)<<mantissa, uint64(bias)<<mantissa
	return []uint64{
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

// mat draws a matrix. What lies between its rows is NaN, to show in the
// results of who reads it.
func (t *trial[T]) mat(rows, cols int) kernels.Mat[T] {
	stride, start := cols, 0
	if t.loose {
		stride += 1 + t.below(5)
		start = t.below(4)
	}
	data := make([]T, start+rows*stride)
	for i := range data {
		data[i] = T(math.NaN())
	}
	m := kernels.Mat[T]{Rows: rows, Cols: cols, Data: data[start:], Stride: stride}
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
	if t.call != "" {
		name = t.call + ": " + name
	}
	return output{name: name, cols: cols, size: int(unsafe.Sizeof(T(0)))}
}

// appendBits appends the bits of v, least significant byte first and every NaN
// as the same one.
func appendBits[T kernels.Float](to []byte, v []T) []byte {
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
