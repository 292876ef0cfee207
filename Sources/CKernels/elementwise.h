#ifndef SQ_ELEMENTWISE_H
#define SQ_ELEMENTWISE_H

#include <stdint.h>

// What the element-wise kernels share. They are plain loops that the compiler turns into vector code: a loop marked
// ELEMENTWISE that it cannot vectorise is a warning.

/// Iterations are independent even where an output is one of the inputs: each element is read before it is written.
#define ELEMENTWISE _Pragma("clang loop vectorize(assume_safety)")
#define INLINE static inline __attribute__((always_inline))

/// One expression, so that it is fused in every loop of a target with a fused multiply-add and in none without.
INLINE float multiply_add(float a, float b, float c) { return a * b + c; }

/// A sum that may be taken in any order, so that it can be taken in vector lanes.
INLINE float add_in_any_order(float a, float b) {
#pragma clang fp reassociate(on)
  return a + b;
}

/// Half to even for |x| < 2^22: adding 1.5 * 2^23 leaves no room for a fraction. NaN stays NaN.
INLINE float round_to_even(float x) { return (x + 0x1.8p23f) - 0x1.8p23f; }

/// The same for 0 <= x <= 255, read from the low byte of the sum's fraction.
INLINE uint8_t rounded_byte(float x) {
  union {
    float number;
    uint32_t bits;
  } sum = {x + 0x1.8p23f};
  return (uint8_t)sum.bits;
}

#endif
