#ifndef SQ_REFERENCE_SPARSE_WEIGHT_GRADIENT_H
#define SQ_REFERENCE_SPARSE_WEIGHT_GRADIENT_H

// The formula of include/sparse_weight_gradient.h, one weight at a time, added up in double precision.

#include "../include/sparse_weight_gradient.h"
#include "convolution.h"

// The index of the reference is the mask itself.
static size_t sparse_index_bytes(const sq_conv *shape) { return weight_count(shape); }

static void sparse_index_build(const sq_conv *shape, const uint8_t *frozen, void *index) {
  uint8_t *mask = index;
  const size_t count = weight_count(shape);
  for (size_t i = 0; i < count; i++) mask[i] = frozen[i] != 0;
}

static size_t sparse_scratch_bytes(const sq_conv *shape) {
  (void)shape;
  return 0;
}

// Exactly one of `input` and `levels` is given.
static void sparse_gradient(
    const sq_conv *shape, const float *input, const uint8_t *levels, const float *output_gradient, const uint8_t *mask,
    float *weight_gradient, int32_t first, int32_t count) {
  const sq_conv s = *shape;
  const int32_t in_group = s.in_channels / s.groups, out_group = s.out_channels / s.groups;
  size_t at = 0;
  for (int32_t o = 0; o < s.out_channels; o++)
    for (int32_t ky = 0; ky < s.kernel_height; ky++)
      for (int32_t kx = 0; kx < s.kernel_width; kx++)
        for (int32_t i = 0; i < in_group; i++, at++) {
          double sum = 0;
          for (int32_t n = first; n < first + count && !mask[at]; n++)
            for (int32_t y = 0; y < s.out_height; y++) {
              const int32_t iy = y * s.stride_y + ky - s.pad_top;
              if (iy < 0 || iy >= s.in_height) continue;
              for (int32_t x = 0; x < s.out_width; x++) {
                const int32_t ix = x * s.stride_x + kx - s.pad_left;
                if (ix < 0 || ix >= s.in_width) continue;
                const size_t pixel = (((size_t)n * s.in_height + iy) * s.in_width + ix) * s.in_channels +
                                     (size_t)(o / out_group) * in_group + i;
                const float value = input ? input[pixel] : (float)levels[pixel];
                sum += (double)value *
                       output_gradient[(((size_t)n * s.out_height + y) * s.out_width + x) * s.out_channels + o];
              }
            }
          if (!mask[at]) weight_gradient[at] += (float)sum;
        }
}

static void sparse_backward_weight(
    const sq_conv *shape, const float *input, const float *output_gradient, const void *index, float *weight_gradient,
    int32_t first, int32_t count, void *scratch) {
  (void)scratch;
  sparse_gradient(shape, input, NULL, output_gradient, index, weight_gradient, first, count);
}

static void sparse_backward_weight_u8(
    const sq_conv *shape, const uint8_t *input, const float *output_gradient, const void *index, float *weight_gradient,
    int32_t first, int32_t count, void *scratch) {
  (void)scratch;
  sparse_gradient(shape, NULL, input, output_gradient, index, weight_gradient, first, count);
}

#endif
