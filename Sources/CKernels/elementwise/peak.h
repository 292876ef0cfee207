#ifndef SQ_PEAK_H
#define SQ_PEAK_H

#include "../target/arithmetic.h"
#include "../target/vector.h"

/// Twelve accumulators: more than the latency (4-5 cycles) times the two multiply-adds a cycle, fewer than the
/// registers.
static double peak_fma(int64_t iterations) {
  enum { accumulators = 12 };
  sq_float_vector a[accumulators];
  const sq_float_vector x = sq_splat(0.999999f), y = sq_splat(1e-7f);
  UNROLLED_FOR (int i = 0; i < accumulators; i++) a[i] = sq_splat((float)i);
  for (int64_t n = 0; n < iterations; n++) {
    UNROLLED_FOR (int i = 0; i < accumulators; i++) a[i] = a[i] * x + y;
    // Each round's values are wanted, in registers.
    UNROLLED_FOR (int i = 0; i < accumulators; i++) __asm__ volatile("" : "+" SQ_IN_VECTOR_REGISTER(a[i]));
  }
  return 2.0 * SQ_LANES * accumulators * (double)iterations;
}

#endif
