#ifndef SQ_VECTOR_H
#define SQ_VECTOR_H

// The vectors of one instruction set. A file kernels_<instruction set>.c says which it is compiled for and includes the
// whole family:
//
//     #define SQ_TARGET SQ_TARGET_AVX2
//     #include "target/vector.h"
//
//     #if SQ_TARGET_BUILDS
//     #include "target/family.h"
//     #endif
//
// family.h puts all of it between SQ_KERNELS_BEGIN and SQ_KERNELS_END, which set the target of every function. Products
// and sums written in one expression, `c += a * b`, become fused multiply-adds where the target has them.

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "arithmetic.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define SQ_TARGET_PORTABLE 1
#define SQ_TARGET_AVX2 2
#define SQ_TARGET_AVX512 3
#define SQ_TARGET_NEON 4

#if SQ_TARGET == SQ_TARGET_AVX512
#define SQ_LANES 16
#define SQ_REGISTERS 32
#define SQ_NAME(name) name##_avx512
#define SQ_ISA_NAME "avx512"
#define SQ_KERNELS_BEGIN \
  _Pragma(               \
      "clang attribute push(__attribute__((target(\"avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni\"))), \
          apply_to = function)")
#define SQ_KERNELS_END _Pragma("clang attribute pop")
#elif SQ_TARGET == SQ_TARGET_AVX2
#define SQ_LANES 8
#define SQ_REGISTERS 16
#define SQ_NAME(name) name##_avx2
#define SQ_ISA_NAME "avx2"
#define SQ_KERNELS_BEGIN _Pragma("clang attribute push(__attribute__((target(\"avx2,fma\"))), apply_to = function)")
#define SQ_KERNELS_END _Pragma("clang attribute pop")
#elif SQ_TARGET == SQ_TARGET_NEON
#define SQ_LANES 4
#define SQ_REGISTERS 32
#define SQ_NAME(name) name##_neon
#define SQ_ISA_NAME "neon"
#define SQ_KERNELS_BEGIN _Pragma("clang attribute push(__attribute__((target(\"dotprod\"))), apply_to = function)")
#define SQ_KERNELS_END _Pragma("clang attribute pop")
#else
#define SQ_LANES 4
#if defined(__aarch64__)
#define SQ_REGISTERS 32
#else
#define SQ_REGISTERS 16
#endif
#define SQ_NAME(name) name##_portable
#define SQ_ISA_NAME "portable"
#define SQ_KERNELS_BEGIN
#define SQ_KERNELS_END
#endif

#if SQ_TARGET == SQ_TARGET_PORTABLE
#define SQ_TARGET_BUILDS 1
#elif defined(__x86_64__) && SQ_TARGET != SQ_TARGET_NEON
#define SQ_TARGET_BUILDS 1
#elif defined(__aarch64__) && SQ_TARGET == SQ_TARGET_NEON
#define SQ_TARGET_BUILDS 1
#else
#define SQ_TARGET_BUILDS 0
#endif

/// Inline assembly's constraint for a vector: in a register where its name is known.
#if defined(__x86_64__)
#define SQ_IN_VECTOR_REGISTER "v"
#elif defined(__aarch64__)
#define SQ_IN_VECTOR_REGISTER "w"
#else
#define SQ_IN_VECTOR_REGISTER "m"
#endif

/// SQ_LANES floats, 32-bit or 16-bit integers or bytes. The `_unaligned` types only serve loads and stores.
typedef float sq_float_vector __attribute__((vector_size(4 * SQ_LANES)));
typedef int32_t sq_int_vector __attribute__((vector_size(4 * SQ_LANES)));
typedef int16_t sq_short_vector __attribute__((vector_size(2 * SQ_LANES)));
typedef uint8_t sq_byte_vector __attribute__((vector_size(SQ_LANES)));
typedef sq_float_vector sq_float_vector_unaligned __attribute__((aligned(4), may_alias));
typedef sq_int_vector sq_int_vector_unaligned __attribute__((aligned(4), may_alias));
typedef sq_short_vector sq_short_vector_unaligned __attribute__((aligned(2), may_alias));
typedef sq_byte_vector sq_byte_vector_unaligned __attribute__((aligned(1), may_alias));

#if SQ_TARGET_BUILDS
SQ_KERNELS_BEGIN

SQ_INLINE sq_float_vector sq_load(const float *p) { return *(const sq_float_vector_unaligned *)p; }
SQ_INLINE void sq_store(float *p, sq_float_vector v) { *(sq_float_vector_unaligned *)p = v; }
SQ_INLINE sq_float_vector sq_splat(float x) { return x - (sq_float_vector){}; }

/// One of four neighbouring floats in all lanes. Of a constant lane it is one shuffle, or none where a multiply-add
/// takes a lane as its operand: cheaper than sq_splat for vectors of four, whose instruction sets load no broadcasts.
SQ_INLINE sq_float_vector sq_splat_lane(sq_float_vector v, const int lane) {
#if SQ_LANES == 4
  switch (lane) {
    case 0: return __builtin_shufflevector(v, v, 0, 0, 0, 0);
    case 1: return __builtin_shufflevector(v, v, 1, 1, 1, 1);
    case 2: return __builtin_shufflevector(v, v, 2, 2, 2, 2);
    default: return __builtin_shufflevector(v, v, 3, 3, 3, 3);
  }
#else
  return sq_splat(v[lane]);
#endif
}

/// SQ_LANES bytes as floats.
SQ_INLINE sq_float_vector sq_load_u8(const uint8_t *p) {
  return __builtin_convertvector(*(const sq_byte_vector_unaligned *)p, sq_float_vector);
}

/// The sums of two neighbouring products of 16-bit integers.
SQ_INLINE sq_int_vector sq_multiply_pairs(sq_int_vector a, sq_int_vector b) {
#if SQ_TARGET == SQ_TARGET_AVX512
  return (sq_int_vector)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif SQ_TARGET == SQ_TARGET_AVX2
  return (sq_int_vector)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return (sq_int_vector)_mm_madd_epi16((__m128i)a, (__m128i)b);
#elif defined(__aarch64__)
  const int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
  return (sq_int_vector)vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y));
#else
  typedef int16_t words __attribute__((vector_size(4 * SQ_LANES)));
  const words x = (words)a, y = (words)b;
#define WIDENED(v, first) \
  __builtin_convertvector(__builtin_shufflevector(v, v, first, first + 2, first + 4, first + 6), sq_int_vector)
  return WIDENED(x, 0) * WIDENED(y, 0) + WIDENED(x, 1) * WIDENED(y, 1);
#undef WIDENED
#endif
}

SQ_KERNELS_END
#endif

#endif
