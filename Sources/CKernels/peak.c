#include "peak.h"

#include <string.h>

// Twelve accumulators: more than latency (4-5 cycles) times the two multiply-adds a cycle, fewer than the registers.
#define SQ_PEAK_BODY(VECTOR, LANES, FMA)                                             \
  VECTOR a[12];                                                                      \
  VECTOR x = (VECTOR){0} + 0.999999f, y = (VECTOR){0} + 1e-7f;                       \
  for (int i = 0; i < 12; i++) a[i] = (VECTOR){0} + (float)i;                        \
  for (long n = 0; n < iterations; n++) {                                            \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 12; i++) a[i] = FMA;      \
    __asm__ volatile("" : "+x"(a[0]), "+x"(a[1]), "+x"(a[2]), "+x"(a[3]));           \
    __asm__ volatile("" : "+x"(a[4]), "+x"(a[5]), "+x"(a[6]), "+x"(a[7]));           \
    __asm__ volatile("" : "+x"(a[8]), "+x"(a[9]), "+x"(a[10]), "+x"(a[11]));         \
  }                                                                                  \
  return 2.0 * LANES * 12 * (double)iterations;

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2,fma"))) static double peak_avx2(long iterations) {
  SQ_PEAK_BODY(__m256, 8, _mm256_fmadd_ps(a[i], x, y))
}

__attribute__((target("avx512f"))) static double peak_avx512(long iterations) {
#define SQ_V "+v"
  __m512 a[12];
  __m512 x = _mm512_set1_ps(0.999999f), y = _mm512_set1_ps(1e-7f);
  for (int i = 0; i < 12; i++) a[i] = _mm512_set1_ps((float)i);
  for (long n = 0; n < iterations; n++) {
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 12; i++) a[i] = _mm512_fmadd_ps(a[i], x, y);
    __asm__ volatile("" : SQ_V(a[0]), SQ_V(a[1]), SQ_V(a[2]), SQ_V(a[3]));
    __asm__ volatile("" : SQ_V(a[4]), SQ_V(a[5]), SQ_V(a[6]), SQ_V(a[7]));
    __asm__ volatile("" : SQ_V(a[8]), SQ_V(a[9]), SQ_V(a[10]), SQ_V(a[11]));
  }
  return 2.0 * 16 * 12 * (double)iterations;
}
#endif

static double peak_portable(long iterations) {
  typedef float vector __attribute__((vector_size(16)));
  vector a[12];
  vector x = {0.999999f, 0.999999f, 0.999999f, 0.999999f}, y = {1e-7f, 1e-7f, 1e-7f, 1e-7f};
  for (int i = 0; i < 12; i++) a[i] = x * (float)i;
  for (long n = 0; n < iterations; n++) {
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 12; i++) a[i] = a[i] * x + y;
#if defined(__x86_64__)
    __asm__ volatile("" : "+x"(a[0]), "+x"(a[1]), "+x"(a[2]), "+x"(a[3]));
    __asm__ volatile("" : "+x"(a[4]), "+x"(a[5]), "+x"(a[6]), "+x"(a[7]));
    __asm__ volatile("" : "+x"(a[8]), "+x"(a[9]), "+x"(a[10]), "+x"(a[11]));
#elif defined(__aarch64__)
    __asm__ volatile("" : "+w"(a[0]), "+w"(a[1]), "+w"(a[2]), "+w"(a[3]));
    __asm__ volatile("" : "+w"(a[4]), "+w"(a[5]), "+w"(a[6]), "+w"(a[7]));
    __asm__ volatile("" : "+w"(a[8]), "+w"(a[9]), "+w"(a[10]), "+w"(a[11]));
#endif
  }
  return 2.0 * 4 * 12 * (double)iterations;
}

double sq_peak_fma(sq_isa isa, long iterations) {
#if defined(__x86_64__)
  if (isa == SQ_ISA_AVX512) return peak_avx512(iterations);
  if (isa == SQ_ISA_AVX2) return peak_avx2(iterations);
#endif
  return peak_portable(iterations);
}

void sq_peak_copy(const float *source, float *target, size_t count) { memcpy(target, source, count * sizeof(float)); }
