// Both loops use vectors of 64 bytes (AVX-512) or of 32 (AVX2) if bytes says
// so, else of the 16 that every machine is taken to have.

// roof_fma does reps times ROOF_FMAS multiply-adds of whole vectors, in chains
// that do not depend on each other.
enum { ROOF_FMAS = 24 };
double roof_fma(int bytes, int f64, long reps);

// roof_read reads size bytes, a multiple of 512, reps times.
long roof_read(int bytes, const void *data, long size, long reps);
