// Package kernels computes dense layers: their forward pass, their gradients,
// the mean squared error and a step of gradient descent, in float32 and
// float64. The same inputs give the same bits on every machine and with every
// backend.
//
// # Layout
//
// A batch has one example in each row, and a layer's weights have one input in
// each row and one output in each column. All matrices are row-major:
//
//	     in              out             out
//	   ┌─────┐         ┌─────┐         ┌─────┐
//	 n │  x  │  ·   in │  w  │  + b →  n │  y  │
//	   └─────┘         └─────┘         └─────┘
//
//	DenseForward:   y  = act(x·w + b)
//	DenseBackward:  dz = dy · act'(y)     n×out, in the place of dy
//	                dw = xᵀ·dz            in×out
//	                db = 1ᵀ·dz            out
//	                dx = dz·wᵀ            n×in
//
// [Mat] is a view of a slice and has a stride, so a matrix may be a range of
// rows or of columns of a larger one. Padding between the rows is neither read
// nor written, and addresses need no alignment. Any size may be 0.
//
// # The numeric contract
//
// Every result is defined to the last bit by what follows, where T is the
// element type, fma(a, b, c) is a·b+c rounded once, and all rounding is to
// nearest, ties to even, in T. Subnormal numbers are kept, as inputs and as
// results. Sums are in T as well: there is no wider accumulator.
//
// A forward layer with 8 or more outputs computes each of them as one chain in
// order of k, starting at the bias:
//
//	acc = b[j]
//	for k = 0 … in-1:  acc = fma(x[i,k], w[k,j], acc)
//	y[i,j] = act(acc)
//
// One with fewer than 8 outputs uses sixteen chains, so that a single row can
// fill a vector, and adds them up in a tree:
//
//	lane[0] = b[j];  lane[1 … 15] = +0
//	for k = 0 … in-1:  lane[k mod 16] = fma(x[i,k], w[k,j], lane[k mod 16])
//	for h = 8, 4, 2, 1:  lane[l] = lane[l] + lane[l+h]  for l < h
//	y[i,j] = act(lane[0])
//
// Which of the two orders it is depends on the number of outputs alone. A row
// therefore gets the same bits alone as in any batch and at any place in it. A
// bias that is not given counts as +0.
//
// The gradients are single chains:
//
//	dz[i,j] = dy[i,j], or for ReLU +0 if y[i,j] ≤ 0
//	dw[k,j]: acc = +0;  for i = 0 … n-1:    acc = fma(x[i,k], dz[i,j], acc)
//	db[j]:   acc = +0;  for i = 0 … n-1:    acc = acc + dz[i,j]
//	dx[i,k]: acc = +0;  for j = 0 … out-1:  acc = fma(dz[i,j], w[k,j], acc)
//
// [DenseBackwardAdd] starts dw and db at what they hold instead of at +0. A
// batch in pieces, in order, therefore leaves the bits of the whole batch at
// once, however it is cut.
//
// The loss goes through the N elements in row-major order, q = i·Cols + j,
// whatever the stride:
//
//	d = pred[q] - target[q];  lane[q mod 16] = fma(d, d, lane[q mod 16]), from +0
//	the sixteen lanes are added up as above;  loss = lane[0] / N
//	grad[q] = d · c,  where c = 2/N rounded once
//
// A step of gradient descent is w[i] = fma(-rate, g[i], w[i]).
//
// Special values:
//
//   - A NaN among the operands of an operation gives a NaN. Its sign and
//     payload are not defined.
//   - ReLU(z) is z if z > 0 or z is NaN, else +0. Its derivative is 0 where
//     y ≤ 0 and 1 elsewhere, so a NaN in y lets dy through.
//   - A zero in y, dw, db or dx is +0, however it came about. A zero in dz has
//     the sign it had in dy unless it was masked; zeros in MSE's grad and SGD's
//     w have the signs that IEEE 754 gives them.
//   - No term is left out because a factor is zero: 0·Inf is NaN, and stays.
//     (The derivative of ReLU is a choice, not a factor: where y ≤ 0, dz is +0
//     even if dy is NaN or infinite.)
//   - Infinities and overflow are those of IEEE 754.
//   - The mean squared error of no elements is NaN.
//
// # Backends
//
// A backend is one implementation of all kernels. The best one that the CPU
// supports is chosen when the program starts; "generic" is pure Go, runs
// everywhere and is the reference that the others equal bit for bit. The
// environment variable LOCKSTEP_BACKEND names another one to start with, and
// the program panics at once if this CPU or build cannot run it; empty, it
// counts as not set. [SetBackend] selects another one later, and returns an
// error if it cannot run; [Backends] lists the choices. The build tags purego
// and noasm each leave all assembly out.
//
// # Errors
//
// Sizes that disagree, a slice that is too short, a negative or overflowing
// size, an unknown activation and forbidden overlap are programming errors: the
// kernels panic with a text such as
//
//	lockstep: DenseForward: x is 3×4 but w has 5 rows
//
// before they have written anything. An operand that is an output may not
// share an element with any other operand, but for three things: MSE's grad
// may be pred or target itself, SGD's w may be g itself, and dy of a backward
// pass is input and output by definition. Inputs may overlap each other. Views
// whose rows interleave, such as two ranges of columns of one matrix, share no
// element and do not overlap.
//
// # Allocation and concurrency
//
// Calls that must rearrange an operand, or make room for a result that is not
// wanted, borrow memory from a pool for as long as they run: at most about 10 MiB
// for float64, 5 MiB for float32. Once that is there, and until a garbage
// collection takes it, a kernel allocates nothing, unless [SetWorkers] has it
// share work among goroutines, of which each borrows as much.
//
// All functions may be called from many goroutines at once, as long as none
// writes what another reads or writes; [SetBackend] and [SetWorkers] too,
// though what they choose is chosen for the whole process.
package kernels
