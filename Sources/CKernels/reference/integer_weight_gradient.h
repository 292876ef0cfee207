#ifndef SQ_REFERENCE_INTEGER_WEIGHT_GRADIENT_H
#define SQ_REFERENCE_INTEGER_WEIGHT_GRADIENT_H

// The formula of include/integer_weight_gradient.h, one weight at a time, added up in 64 bits. The index is the mask.

#include <math.h>

#include "../include/integer_weight_gradient.h"
#include "convolution.h"
#include "sparse_weight_gradient.h"

static int integer_gradient_supports(const sq_conv *shape, int32_t max_input) {
  return shape->groups == 1 && max_input >= 0 && max_input <= 255;
}

static size_t integer_gradient_scratch_bytes(const sq_conv *shape, int32_t max_input, int32_t images) {
  (void)shape, (void)max_input, (void)images;
  return 0;
}

static size_t integer_gradient_index_bytes(const sq_conv *shape) { return sparse_index_bytes(shape); }

static void integer_gradient_index_build(const sq_conv *shape, const uint8_t *frozen, void *index) {
  sparse_index_build(shape, frozen, index);
}

/// The largest magnitude of an output channel in a piece; NaN where a value is not finite.
static float largest_magnitude(
    const sq_conv *s, const float *output_gradient, int32_t channel, int32_t first, int32_t count) {
  const size_t pixels = (size_t)s->out_height * s->out_width;
  float largest = 0;
  for (size_t pixel = first * pixels; pixel < (first + count) * pixels; pixel++) {
    const float magnitude = fabsf(output_gradient[pixel * s->out_channels + channel]);
    if (!isfinite(magnitude)) return NAN;
    if (magnitude > largest) largest = magnitude;
  }
  return largest < 0x1p-100f ? 0 : largest;
}

/// Added to the gradients of the weights that `mask` leaves; NULL: all.
static void integer_gradient(
    const sq_conv *shape, const uint8_t *input, const float *output_gradient, const uint8_t *mask,
    float *weight_gradient, int32_t first, int32_t count) {
  const sq_conv s = *shape;
  for (int32_t o = 0; o < s.out_channels; o++) {
    const float largest = largest_magnitude(&s, output_gradient, o, first, count);
    const float unit = largest / 32767, inverse = largest > 0 ? 32767 / largest : 0;
    for (int32_t ky = 0; ky < s.kernel_height; ky++)
      for (int32_t kx = 0; kx < s.kernel_width; kx++)
        for (int32_t i = 0; i < s.in_channels; i++) {
          const size_t weight = weight_at(&s, o, ky, kx, i);
          if (mask && mask[weight]) continue;
          int64_t sum = 0;
          for (int32_t n = first; n < first + count; n++)
            for (int32_t y = 0; y < s.out_height; y++)
              for (int32_t x = 0; x < s.out_width; x++) {
                const int32_t iy = y * s.stride_y + ky - s.pad_top, ix = x * s.stride_x + kx - s.pad_left;
                if (iy < 0 || iy >= s.in_height || ix < 0 || ix >= s.in_width) continue;
                const float scaled =
                    output_gradient[at(s.out_height, s.out_width, s.out_channels, n, y, x, o)] * inverse;
                const int64_t level = input[at(s.in_height, s.in_width, s.in_channels, n, iy, ix, i)];
                if (isfinite(scaled)) sum += level * lrintf(scaled);
              }
          const float gradient = (float)sum * unit;
          weight_gradient[weight] += gradient;
        }
  }
}

static void integer_gradient_backward_weight(
    const sq_conv *shape, const uint8_t *input, int32_t max_input, const float *output_gradient, float *weight_gradient,
    int32_t first, int32_t count, void *scratch) {
  (void)max_input, (void)scratch;
  for (size_t i = 0; i < weight_count(shape); i++) weight_gradient[i] = 0;
  integer_gradient(shape, input, output_gradient, NULL, weight_gradient, first, count);
}

static void integer_gradient_backward_unfrozen(
    const sq_conv *shape, const uint8_t *input, int32_t max_input, const float *output_gradient, const void *index,
    float *weight_gradient, int32_t first, int32_t count, void *scratch) {
  (void)max_input, (void)scratch;
  integer_gradient(shape, input, output_gradient, index, weight_gradient, first, count);
}

#endif
