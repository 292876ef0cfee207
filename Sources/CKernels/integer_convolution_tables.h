#ifndef SQ_INTEGER_CONVOLUTION_TABLES_H
#define SQ_INTEGER_CONVOLUTION_TABLES_H

#include "include/integer_convolution.h"

/// 1 where the shape is sound, the levels fit 8 bits and the largest possible sum fits 32 bits.
static inline int sq_integer_convolution_fits(const sq_conv *shape, int32_t max_input, int32_t max_weight) {
  if (max_input < 0 || max_input > 255 || max_weight < 0 || max_weight > 128) return 0;
  const int64_t terms =
      (int64_t)shape->kernel_height * shape->kernel_width * (shape->in_channels / shape->groups);
  return terms * max_input * max_weight <= INT32_MAX;
}

extern const sq_integer_convolution_kernels sq_integer_convolution_reference;
extern const sq_integer_convolution_kernels sq_integer_convolution_portable;
extern const sq_integer_convolution_kernels sq_integer_convolution_avx2;
extern const sq_integer_convolution_kernels sq_integer_convolution_avx512;

#endif
