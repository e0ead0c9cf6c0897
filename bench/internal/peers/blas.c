//go:build cpeers

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "native.h"

enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };

typedef void (*sgemm_t)(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
typedef void (*dgemm_t)(int, int, int, int, int, int, double, const double *, int, const double *, int, double, double *, int);
typedef void (*sgemv_t)(int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
typedef void (*dgemv_t)(int, int, int, int, double, const double *, int, const double *, int, double, double *, int);

static struct {
	sgemm_t sgemm;
	dgemm_t dgemm;
	sgemv_t sgemv;
	dgemv_t dgemv;
} blas[2];

// Both libraries export cblas_dgemm and the rest: RTLD_LOCAL keeps them apart.
const char *ls_blas_open(int which, const char *file) {
	void *lib = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return dlerror();
	blas[which].sgemm = (sgemm_t)dlsym(lib, "cblas_sgemm");
	blas[which].dgemm = (dgemm_t)dlsym(lib, "cblas_dgemm");
	blas[which].sgemv = (sgemv_t)dlsym(lib, "cblas_sgemv");
	blas[which].dgemv = (dgemv_t)dlsym(lib, "cblas_dgemv");
	if (!blas[which].sgemm || !blas[which].dgemm || !blas[which].sgemv || !blas[which].dgemv)
		return "it has no cblas";
	return NULL;
}

const char *ls_blis_version(const char *file) {
	void *lib = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return NULL;
	const char *(*version)(void) = (const char *(*)(void))dlsym(lib, "bli_info_get_version_str");
	return version ? version() : NULL;
}

// LAYER defines the passes for one type. A product with one row or one column
// is a gemm, or with gemv what a careful caller would use instead.
#define LAYER(T, GEMM, GEMV)                                                                   \
	static void forward_##T(int which, int gemv, int n, int in, int out,                       \
		T *restrict y, const T *restrict x, const T *restrict w, const T *restrict b) {        \
		for (int i = 0; i < n; i++)                                                            \
			memcpy(y + (size_t)i * out, b, out * sizeof(T));                                   \
		if (gemv && n == 1)                                                                    \
			blas[which].GEMV(ROW_MAJOR, TRANS, in, out, 1, w, out, x, 1, 1, y, 1);             \
		else if (gemv)                                                                         \
			blas[which].GEMV(ROW_MAJOR, NO_TRANS, n, in, 1, x, in, w, 1, 1, y, 1);             \
		else                                                                                   \
			blas[which].GEMM(ROW_MAJOR, NO_TRANS, NO_TRANS, n, out, in, 1, x, in, w, out, 1, y, out); \
		for (size_t i = 0; i < (size_t)n * out; i++)                                           \
			y[i] = y[i] > 0 ? y[i] : 0;                                                        \
	}                                                                                          \
	static void mask_and_sum_##T(int n, int out, T *restrict db, T *restrict dy, const T *restrict y) { \
		memset(db, 0, out * sizeof(T));                                                        \
		for (int i = 0; i < n; i++)                                                            \
			for (int j = 0; j < out; j++) {                                                    \
				T z = y[(size_t)i * out + j] <= 0 ? 0 : dy[(size_t)i * out + j];               \
				dy[(size_t)i * out + j] = z;                                                   \
				db[j] += z;                                                                    \
			}                                                                                  \
	}                                                                                          \
	static void backward_##T(int which, int gemv, int n, int in, int out,                      \
		T *dx, T *dw, T *db, T *dy, const T *y, const T *x, const T *w) {                      \
		mask_and_sum_##T(n, out, db, dy, y);                                                   \
		if (gemv && out == 1)                                                                  \
			blas[which].GEMV(ROW_MAJOR, TRANS, n, in, 1, x, in, dy, 1, 0, dw, 1);              \
		else                                                                                   \
			blas[which].GEMM(ROW_MAJOR, TRANS, NO_TRANS, in, out, n, 1, x, in, dy, out, 0, dw, out); \
		if (gemv && n == 1)                                                                    \
			blas[which].GEMV(ROW_MAJOR, NO_TRANS, in, out, 1, w, out, dy, 1, 0, dx, 1);        \
		else                                                                                   \
			blas[which].GEMM(ROW_MAJOR, NO_TRANS, TRANS, n, in, out, 1, dy, out, w, out, 0, dx, in); \
	}

LAYER(float, sgemm, sgemv)
LAYER(double, dgemm, dgemv)

void ls_blas_forward(int which, int f64, int gemv, int n, int in, int out,
	void *y, const void *x, const void *w, const void *b, long reps) {
	for (; reps > 0; reps--) {
		if (f64)
			forward_double(which, gemv, n, in, out, y, x, w, b);
		else
			forward_float(which, gemv, n, in, out, y, x, w, b);
	}
}

void ls_blas_backward(int which, int f64, int gemv, int n, int in, int out,
	void *dx, void *dw, void *db, void *dy, const void *y, const void *x, const void *w, long reps) {
	for (; reps > 0; reps--) {
		if (f64)
			backward_double(which, gemv, n, in, out, dx, dw, db, dy, y, x, w);
		else
			backward_float(which, gemv, n, in, out, dx, dw, db, dy, y, x, w);
	}
}

void ls_mask_and_sum(int f64, int n, int out, void *db, void *dy, const void *y) {
	if (f64)
		mask_and_sum_double(n, out, db, dy, y);
	else
		mask_and_sum_float(n, out, db, dy, y);
}
