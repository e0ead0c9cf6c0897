// The regression in plain loops: 300 points, one input, ten ReLU units, one
// output, mean squared error, full batches.
//
//	plain FILE POINTS STEPS RATE RUNS
//
// FILE has x, y, w1, b1, w2 and b2, all double. Each run starts there and
// prints the seconds it took and the cost before its last step.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { H = 10 };

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + 1e-9 * t.tv_nsec;
}

int main(int argc, char **argv) {
	if (argc != 6)
		return 2;
	int n = atoi(argv[2]), steps = atoi(argv[3]), runs = atoi(argv[5]);
	double rate = atof(argv[4]);
	size_t size = 2 * n + 3 * H + 1;
	double *all = malloc(size * sizeof *all), *h = malloc(n * H * sizeof *h), *dh = malloc(n * H * sizeof *dh);
	double *p = malloc(n * sizeof *p), *dp = malloc(n * sizeof *dp);
	FILE *f = fopen(argv[1], "rb");
	if (!f || fread(all, sizeof *all, size, f) != size)
		return 1;
	const double *x = all, *y = all + n;
	for (int run = 0; run < runs; run++) {
		double w1[H], b1[H], w2[H], b2 = all[2 * n + 3 * H], cost = 0;
		memcpy(w1, all + 2 * n, sizeof w1);
		memcpy(b1, all + 2 * n + H, sizeof b1);
		memcpy(w2, all + 2 * n + 2 * H, sizeof w2);
		double begin = now();
		for (int s = 0; s < steps; s++) {
			double dw1[H] = {0}, db1[H] = {0}, dw2[H] = {0}, db2 = 0;
			cost = 0;
			for (int i = 0; i < n; i++)
				for (int j = 0; j < H; j++) {
					double z = x[i] * w1[j] + b1[j];
					h[i * H + j] = z > 0 ? z : 0;
				}
			for (int i = 0; i < n; i++) {
				double z = b2;
				for (int j = 0; j < H; j++)
					z += h[i * H + j] * w2[j];
				p[i] = z;
			}
			for (int i = 0; i < n; i++) {
				double d = p[i] - y[i];
				cost += d * d;
				dp[i] = d * (2.0 / n);
			}
			cost /= n;
			for (int i = 0; i < n; i++) {
				for (int j = 0; j < H; j++) {
					dw2[j] += h[i * H + j] * dp[i];
					dh[i * H + j] = h[i * H + j] > 0 ? dp[i] * w2[j] : 0;
				}
				db2 += dp[i];
			}
			for (int i = 0; i < n; i++)
				for (int j = 0; j < H; j++) {
					dw1[j] += x[i] * dh[i * H + j];
					db1[j] += dh[i * H + j];
				}
			for (int j = 0; j < H; j++) {
				w1[j] -= rate * dw1[j];
				b1[j] -= rate * db1[j];
				w2[j] -= rate * dw2[j];
			}
			b2 -= rate * db2;
		}
		printf("%.9f %.17g\n", now() - begin, cost);
	}
	return 0;
}
