//go:build cpeers

#include "c.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")

// TILE is rows×W elements of a product,
//
//	c[r,j] = init[j] + Σ_t a[r,t]·b[t,j]
//
// where a[r,t] is a[r*down + t*right]. Each sum is in `chains` accumulators,
// the t-th product in accumulator t mod chains; one is the fixed order.
#define TILE(T, W)                                                                                \
	typedef T T##W __attribute__((vector_size(W * sizeof(T)), aligned(sizeof(T))));               \
	INLINE void tile_##T##W(T *c, long ldc, const T *init, const T *a, long down, long right,     \
		const T *b, long ldb, long n, int rows, int chains, int relu) {                           \
		T##W acc[8];                                                                              \
		UNROLL for (int i = 0; i < rows * chains; i++)                                            \
			acc[i] = init && i % chains == 0 ? *(const T##W *)init : (T##W){0};                   \
		long t = 0;                                                                               \
		for (; t + chains <= n; t += chains)                                                      \
			UNROLL for (int s = 0; s < chains; s++)                                               \
				UNROLL for (int r = 0; r < rows; r++)                                             \
					acc[r * chains + s] += a[r * down + (t + s) * right] * *(const T##W *)(b + (t + s) * ldb); \
		for (; t < n; t++)                                                                        \
			UNROLL for (int r = 0; r < rows; r++)                                                 \
				acc[r * chains] += a[r * down + t * right] * *(const T##W *)(b + t * ldb);        \
		UNROLL for (int r = 0; r < rows; r++) {                                                   \
			T##W sum = acc[r * chains];                                                           \
			UNROLL for (int s = 1; s < chains; s++)                                               \
				sum += acc[r * chains + s];                                                       \
			if (relu)                                                                             \
				sum = (T##W)((__typeof__(sum > 0))sum & (sum > 0));                               \
			*(T##W *)(c + r * ldc) = sum;                                                         \
		}                                                                                         \
	}                                                                                             \
	static void columns_##T##W(int free, T *c, long ldc, const T *init, const T *a, long down, long right, \
		const T *b, long ldb, long n, long rows, int relu) {                                      \
		for (; rows >= 8; rows -= 8, c += 8 * ldc, a += 8 * down)                                 \
			tile_##T##W(c, ldc, init, a, down, right, b, ldb, n, 8, 1, relu);                     \
		for (; rows >= 4; rows -= 4, c += 4 * ldc, a += 4 * down)                                 \
			if (free)                                                                             \
				tile_##T##W(c, ldc, init, a, down, right, b, ldb, n, 4, 2, relu);                 \
			else                                                                                  \
				tile_##T##W(c, ldc, init, a, down, right, b, ldb, n, 4, 1, relu);                 \
		for (; rows >= 1; rows -= 1, c += ldc, a += down)                                         \
			if (free)                                                                             \
				tile_##T##W(c, ldc, init, a, down, right, b, ldb, n, 1, 8, relu);                 \
			else                                                                                  \
				tile_##T##W(c, ldc, init, a, down, right, b, ldb, n, 1, 1, relu);                 \
	}

TILE(double, 8)
TILE(double, 4)
TILE(double, 2)
TILE(double, 1)
TILE(float, 16)
TILE(float, 8)
TILE(float, 4)
TILE(float, 2)
TILE(float, 1)

#define COLUMNS(T, W)                                                                       \
	for (; j + W <= cols; j += W)                                                           \
		columns_##T##W(free, c + j, cols, init ? init + j : 0, a, down, right, b + j, cols, n, rows, relu);

static void product_float(int free, float *c, const float *init, const float *a, long down, long right,
	const float *b, long rows, long cols, long n, int relu) {
	long j = 0;
	COLUMNS(float, 16)
	COLUMNS(float, 8)
	COLUMNS(float, 4)
	COLUMNS(float, 2)
	COLUMNS(float, 1)
}

static void product_double(int free, double *c, const double *init, const double *a, long down, long right,
	const double *b, long rows, long cols, long n, int relu) {
	long j = 0;
	COLUMNS(double, 8)
	COLUMNS(double, 4)
	COLUMNS(double, 2)
	COLUMNS(double, 1)
}

// LAYER defines the passes. A layer of one output has vectors along x if free,
// with four accumulators; our own order of it, sixteen lanes and a tree, is not
// written down in C a second time.
#define LAYER(T)                                                                                  \
	typedef T T##_lanes __attribute__((vector_size(16 * sizeof(T)), aligned(sizeof(T))));         \
	static void dot_##T(T *y, const T *x, const T *w, T b, long n, long in) {                     \
		for (long i = 0; i < n; i++, x += in) {                                                   \
			T sum = b;                                                                            \
			long k = 0;                                                                           \
			if (in >= 16) {                                                                       \
				T##_lanes acc[4] = {{0}};                                                         \
				for (; k + 64 <= in; k += 64)                                                     \
					UNROLL for (int s = 0; s < 4; s++)                                            \
						acc[s] += *(const T##_lanes *)(x + k + 16 * s) * *(const T##_lanes *)(w + k + 16 * s); \
				for (; k + 16 <= in; k += 16)                                                     \
					acc[0] += *(const T##_lanes *)(x + k) * *(const T##_lanes *)(w + k);          \
				acc[0] += acc[1] + (acc[2] + acc[3]);                                             \
				for (int l = 0; l < 16; l++)                                                      \
					sum += acc[0][l];                                                             \
			}                                                                                     \
			for (; k < in; k++)                                                                   \
				sum += x[k] * w[k];                                                               \
			y[i] = sum > 0 ? sum : 0;                                                             \
		}                                                                                         \
	}                                                                                             \
	static void forward_##T(int free, long n, long in, long out, T *y, const T *x, const T *w, const T *b) { \
		if (out == 1)                                                                             \
			dot_##T(y, x, w, *b, n, in);                                                          \
		else                                                                                      \
			product_##T(free, y, b, x, in, 1, w, n, out, in, 1);                                  \
	}                                                                                             \
	static void gradient_##T(int free, long n, long in, long out, T *dw, T *db, T *dy, const T *y, const T *x) { \
		static const T one = 1;                                                                   \
		for (long i = 0; i < n * out; i++)                                                        \
			dy[i] = y[i] <= 0 ? 0 : dy[i];                                                        \
		product_##T(free, db, 0, &one, 0, 0, dy, 1, out, n, 0);                                   \
		if (out == 1) /* one row, so that vectors are along x */                                  \
			product_##T(free, dw, 0, dy, 0, 1, x, 1, in, n, 0);                                   \
		else                                                                                      \
			product_##T(free, dw, 0, x, 1, in, dy, in, out, n, 0);                                \
	}

LAYER(double)
LAYER(float)

void order_forward(int f64, int free, long n, long in, long out,
	void *y, const void *x, const void *w, const void *b, long reps) {
	for (; reps > 0; reps--)
		if (f64)
			forward_double(free, n, in, out, y, x, w, b);
		else
			forward_float(free, n, in, out, y, x, w, b);
}

void order_gradient(int f64, int free, long n, long in, long out,
	void *dw, void *db, void *dy, const void *y, const void *x, long reps) {
	for (; reps > 0; reps--)
		if (f64)
			gradient_double(free, n, in, out, dw, db, dy, y, x);
		else
			gradient_float(free, n, in, out, dw, db, dy, y, x);
}
