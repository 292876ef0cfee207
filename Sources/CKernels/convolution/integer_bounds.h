#ifndef SQ_INTEGER_BOUNDS_H
#define SQ_INTEGER_BOUNDS_H

#include "../include/integer_convolution.h"

/// 1 where the shape is sound, the levels fit 8 bits and the largest possible sum fits 32 bits.
static inline int integer_sums_fit(const sq_conv *shape, int32_t max_input, int32_t max_weight) {
  if (max_input < 0 || max_input > 255 || max_weight < 0 || max_weight > 128) return 0;
  const int64_t terms = (int64_t)shape->kernel_height * shape->kernel_width * (shape->in_channels / shape->groups);
  return terms * max_input * max_weight <= INT32_MAX;
}

#endif
