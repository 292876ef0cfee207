#ifndef SQ_ARITHMETIC_H
#define SQ_ARITHMETIC_H

// The arithmetic that kernels share: sizes first, then what element-wise loops are made of.

#include <stddef.h>
#include <stdint.h>

#define SQ_INLINE static inline __attribute__((always_inline, unused))

/// A loop with a constant number of rounds whose arrays are to become registers.
#define UNROLLED_FOR _Pragma("clang loop unroll(full)") for

SQ_INLINE int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }
SQ_INLINE int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }
SQ_INLINE int32_t divide_up(int32_t a, int32_t b) { return (a + b - 1) / b; }
SQ_INLINE int32_t round_up(int32_t a, int32_t multiple) { return divide_up(a, multiple) * multiple; }
SQ_INLINE size_t round_up_size(size_t a, size_t multiple) { return (a + multiple - 1) / multiple * multiple; }

/// The offset of the next `bytes` of scratch, in whole cache lines and one more that vectors may read past the end.
SQ_INLINE size_t take(size_t *used, size_t bytes) {
  size_t offset = *used;
  *used += (bytes + 127) / 64 * 64;
  return offset;
}

// The element-wise kernels are plain loops that the compiler turns into vector code: an ELEMENTWISE_FOR that it cannot
// vectorise is a warning.

/// Iterations are independent even where an output is one of the inputs: each element is read before it is written.
#define ELEMENTWISE_FOR _Pragma("clang loop vectorize(assume_safety)") for

/// One expression, so that it is fused in every loop of a target with a fused multiply-add and in none without.
SQ_INLINE float multiply_add(float a, float b, float c) { return a * b + c; }

/// A sum that may be taken in any order, so that it can be taken in vector lanes.
SQ_INLINE float add_in_any_order(float a, float b) {
#pragma clang fp reassociate(on)
  return a + b;
}

/// Half to even for |x| < 2^22: adding 1.5 * 2^23 leaves no room for a fraction. NaN stays NaN.
SQ_INLINE float round_to_even(float x) { return (x + 0x1.8p23f) - 0x1.8p23f; }

/// The same for 0 <= x <= 255, read from the low byte of the sum's fraction.
SQ_INLINE uint8_t rounded_byte(float x) {
  union {
    float number;
    uint32_t bits;
  } sum = {x + 0x1.8p23f};
  return (uint8_t)sum.bits;
}

#endif
