#ifndef SQ_REFERENCE_INTEGER_CONVOLUTION_H
#define SQ_REFERENCE_INTEGER_CONVOLUTION_H

// The formula of include/integer_convolution.h, one output element at a time.

#include <string.h>

#include "../convolution/integer_bounds.h"
#include "../include/integer_convolution.h"
#include "convolution.h"

static int integer_supports(const sq_conv *shape, int32_t max_input, int32_t max_weight) {
  return integer_sums_fit(shape, max_input, max_weight);
}

static size_t integer_scratch_bytes(const sq_conv *shape) {
  (void)shape;
  return 0;
}

static size_t integer_packed_bytes(const sq_conv *shape, int32_t max_input, int32_t max_weight) {
  (void)max_input, (void)max_weight;
  return weight_count(shape);
}

static void integer_pack(
    const sq_conv *shape, const int8_t *weights, int32_t max_input, int32_t max_weight, void *packed) {
  memcpy(packed, weights, integer_packed_bytes(shape, max_input, max_weight));
}

static void integer_forward(
    const sq_conv *shape, const uint8_t *input, const void *packed, int32_t max_input, int32_t max_weight, float scale,
    const float *bias, float *output, int32_t *sums, int16_t *short_sums, double *statistics, int32_t first,
    int32_t count, void *scratch) {
  (void)max_input, (void)max_weight, (void)scratch;
  const sq_conv s = *shape;
  const int8_t *weights = packed;
  const int32_t in_group = s.in_channels / s.groups, out_group = s.out_channels / s.groups;
  if (statistics)
    for (int32_t i = 0; i < 2 * s.out_channels; i++) statistics[i] = 0;
  for (int32_t n = first; n < first + count; n++)
    for (int32_t y = 0; y < s.out_height; y++)
      for (int32_t x = 0; x < s.out_width; x++)
        for (int32_t o = 0; o < s.out_channels; o++) {
          int32_t sum = 0;
          for (int32_t ky = 0; ky < s.kernel_height; ky++) {
            const int32_t iy = y * s.stride_y + ky - s.pad_top;
            if (iy < 0 || iy >= s.in_height) continue;
            for (int32_t kx = 0; kx < s.kernel_width; kx++) {
              const int32_t ix = x * s.stride_x + kx - s.pad_left;
              if (ix < 0 || ix >= s.in_width) continue;
              const uint8_t *pixel = input + (((size_t)n * s.in_height + iy) * s.in_width + ix) * s.in_channels +
                                     (size_t)(o / out_group) * in_group;
              const int8_t *weight = weights + (((size_t)o * s.kernel_height + ky) * s.kernel_width + kx) * in_group;
              for (int32_t i = 0; i < in_group; i++) sum += (int32_t)pixel[i] * weight[i];
            }
          }
          const size_t at = (((size_t)n * s.out_height + y) * s.out_width + x) * s.out_channels + o;
          const float value = scale * (float)sum + (bias ? bias[o] : 0);
          if (sums) sums[at] = sum;
          if (short_sums) short_sums[at] = (int16_t)sum;
          if (output) output[at] = value;
          if (statistics) {
            statistics[o] += value;
            statistics[s.out_channels + o] += (double)value * value;
          }
        }
}

#endif
