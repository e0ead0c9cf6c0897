//go:build cpeers

#include "loops.h"

#if defined(__x86_64__)
#define WIDE64 __attribute__((target("avx512f,avx512vl,avx512dq,fma,prefer-vector-width=512"), noinline))
#define WIDE32 __attribute__((target("avx2,fma"), noinline))
#else
#define WIDE64 __attribute__((noinline))
#define WIDE32 __attribute__((noinline))
#endif
#define WIDE16 __attribute__((noinline))

// A chain has to wait for its last result, so it takes latency × pipes of them
// to keep the pipes busy: 8 on most x86, 16 on the widest arm64. There are
// twelve or, where there are registers for it, twenty-four.
#define FMA(NAME, WIDE, T, BYTES, CHAINS)                               \
	WIDE static double NAME(long reps) {                                \
		typedef T v __attribute__((vector_size(BYTES)));                \
		volatile T half = 0.5, one = 1;                                 \
		v a = half - (v){0}, b = one - (v){0}, acc[CHAINS], sum = {0};  \
		for (int k = 0; k < CHAINS; k++)                                \
			acc[k] = b * (T)k;                                          \
		for (long r = 0; r < reps * (ROOF_FMAS / CHAINS); r++)          \
			_Pragma("GCC unroll 24") for (int k = 0; k < CHAINS; k++)   \
				acc[k] = acc[k] * a + b;                                \
		for (int k = 0; k < CHAINS; k++)                                \
			sum += acc[k];                                              \
		return sum[0];                                                  \
	}

FMA(fma_f64_64, WIDE64, double, 64, 24)
FMA(fma_f32_64, WIDE64, float, 64, 24)
FMA(fma_f64_32, WIDE32, double, 32, 12)
FMA(fma_f32_32, WIDE32, float, 32, 12)
FMA(fma_f64_16, WIDE16, double, 16, 24)
FMA(fma_f32_16, WIDE16, float, 16, 24)

double roof_fma(int bytes, int f64, long reps) {
	switch (bytes) {
	case 64:
		return f64 ? fma_f64_64(reps) : fma_f32_64(reps);
	case 32:
		return f64 ? fma_f64_32(reps) : fma_f32_32(reps);
	}
	return f64 ? fma_f64_16(reps) : fma_f32_16(reps);
}

// What is read is or-ed together: that is the cheapest use of it. The empty asm
// keeps the compiler from finding out that a second pass changes nothing.
#define READ(NAME, WIDE, BYTES)                                                  \
	WIDE static long NAME(const void *data, long size, long reps) {              \
		typedef long v __attribute__((vector_size(BYTES)));                      \
		v acc[8] = {0};                                                          \
		for (long r = 0; r < reps; r++) {                                        \
			const v *p = data, *end = (const v *)((const char *)data + size);    \
			for (; p < end; p += 8)                                              \
				_Pragma("GCC unroll 8") for (int k = 0; k < 8; k++)              \
					acc[k] |= p[k];                                              \
			__asm__ volatile("" ::: "memory");                                   \
		}                                                                        \
		for (int k = 1; k < 8; k++)                                              \
			acc[0] |= acc[k];                                                    \
		return acc[0][0];                                                        \
	}

READ(read_64, WIDE64, 64)
READ(read_32, WIDE32, 32)
READ(read_16, WIDE16, 16)

long roof_read(int bytes, const void *data, long size, long reps) {
	return bytes == 64 ? read_64(data, size, reps) : bytes == 32 ? read_32(data, size, reps) : read_16(data, size, reps);
}
