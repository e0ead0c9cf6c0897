// The same layer by a BLAS: bias copied, gemm, a pass for the ReLU.

#include <stdlib.h>
#include <string.h>

enum { RowMajor = 101, NoTrans = 111 };
void cblas_dgemm(int, int, int, int, int, int, double, const double *, int, const double *, int, double, double *, int);
void cblas_sgemm(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);

#define LAYER(T, gemm)                                                                     \
	{                                                                                      \
		T *x = calloc(N * IN, sizeof(T)), *w = calloc(IN * OUT, sizeof(T));                \
		T *y = calloc(N * OUT, sizeof(T)), *b = calloc(OUT, sizeof(T));                    \
		while (times-- > 0) {                                                              \
			for (int i = 0; i < N; i++)                                                    \
				memcpy(y + i * OUT, b, OUT * sizeof(T));                                   \
			gemm(RowMajor, NoTrans, NoTrans, N, OUT, IN, 1, x, IN, w, OUT, 1, y, OUT);     \
			for (int i = 0; i < N * OUT; i++)                                              \
				y[i] = y[i] > 0 ? y[i] : 0;                                                \
		}                                                                                  \
	}

enum { N = 64, IN = 256, OUT = 256 };

int main(int argc, char **argv) {
	if (argc != 3)
		return 2;
	int times = atoi(argv[2]);
	if (!strcmp(argv[1], "f32"))
		LAYER(float, cblas_sgemm)
	else
		LAYER(double, cblas_dgemm)
	return 0;
}
