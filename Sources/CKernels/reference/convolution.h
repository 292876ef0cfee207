#ifndef SQ_REFERENCE_CONVOLUTION_H
#define SQ_REFERENCE_CONVOLUTION_H

// Convolution as its formula says, one output element at a time, added up in double precision: what the fast kernels
// are checked against. Every kernel size, stride, padding and number of groups. Packed weights are the weights.

#include <string.h>

#include "../include/convolution.h"

static size_t convolution_scratch_bytes(const sq_conv *shape) {
  (void)shape;
  return 0;
}

static size_t weight_count(const sq_conv *s) {
  return (size_t)s->out_channels * s->kernel_height * s->kernel_width * (s->in_channels / s->groups);
}

static size_t convolution_forward_packed_count(const sq_conv *shape) { return weight_count(shape); }
static size_t convolution_backward_input_packed_count(const sq_conv *shape) { return weight_count(shape); }

static void convolution_forward_pack(const sq_conv *shape, const float *weights, float *packed) {
  memcpy(packed, weights, weight_count(shape) * sizeof(float));
}

static void convolution_backward_input_pack(const sq_conv *shape, const float *weights, float *packed) {
  convolution_forward_pack(shape, weights, packed);
}

/// The index of element (n, y, x, c) of an NHWC tensor.
static size_t at(int32_t height, int32_t width, int32_t channels, int32_t n, int32_t y, int32_t x, int32_t c) {
  return (((size_t)n * height + y) * width + x) * channels + c;
}

static size_t weight_at(const sq_conv *s, int32_t o, int32_t ky, int32_t kx, int32_t c) {
  return at(s->kernel_height, s->kernel_width, s->in_channels / s->groups, o, ky, kx, c);
}

static void convolution_forward(
    const sq_conv *s, const float *input, const float *packed, const float *bias, float *output, double *statistics,
    int32_t first, int32_t count, void *scratch) {
  (void)scratch;
  int32_t group_inputs = s->in_channels / s->groups, group_outputs = s->out_channels / s->groups;
  if (statistics)
    for (int32_t i = 0; i < 2 * s->out_channels; i++) statistics[i] = 0;
  for (int32_t n = first; n < first + count; n++)
    for (int32_t y = 0; y < s->out_height; y++)
      for (int32_t x = 0; x < s->out_width; x++)
        for (int32_t o = 0; o < s->out_channels; o++) {
          int32_t first_input = o / group_outputs * group_inputs;
          double sum = bias ? bias[o] : 0;
          for (int32_t ky = 0; ky < s->kernel_height; ky++) {
            int32_t iy = y * s->stride_y + ky - s->pad_top;
            if (iy < 0 || iy >= s->in_height) continue;
            for (int32_t kx = 0; kx < s->kernel_width; kx++) {
              int32_t ix = x * s->stride_x + kx - s->pad_left;
              if (ix < 0 || ix >= s->in_width) continue;
              const float *pixel = input + at(s->in_height, s->in_width, s->in_channels, n, iy, ix, first_input);
              const float *weight = packed + weight_at(s, o, ky, kx, 0);
              for (int32_t c = 0; c < group_inputs; c++) sum += (double)pixel[c] * weight[c];
            }
          }
          float value = (float)sum;
          output[at(s->out_height, s->out_width, s->out_channels, n, y, x, o)] = value;
          if (statistics) {
            statistics[o] += value;
            statistics[s->out_channels + o] += (double)value * value;
          }
        }
}

static void convolution_backward_input(
    const sq_conv *s, const float *output_gradient, const float *packed, float *input_gradient, int32_t first,
    int32_t count, void *scratch) {
  (void)scratch;
  int32_t group_inputs = s->in_channels / s->groups, group_outputs = s->out_channels / s->groups;
  for (int32_t n = first; n < first + count; n++)
    for (int32_t iy = 0; iy < s->in_height; iy++)
      for (int32_t ix = 0; ix < s->in_width; ix++)
        for (int32_t c = 0; c < s->in_channels; c++) {
          int32_t first_output = c / group_inputs * group_outputs;
          double sum = 0;
          for (int32_t ky = 0; ky < s->kernel_height; ky++) {
            int32_t y = iy + s->pad_top - ky;
            if (y < 0 || y % s->stride_y != 0 || y / s->stride_y >= s->out_height) continue;
            for (int32_t kx = 0; kx < s->kernel_width; kx++) {
              int32_t x = ix + s->pad_left - kx;
              if (x < 0 || x % s->stride_x != 0 || x / s->stride_x >= s->out_width) continue;
              const float *pixel = output_gradient + at(s->out_height, s->out_width, s->out_channels, n,
                                                        y / s->stride_y, x / s->stride_x, first_output);
              for (int32_t o = 0; o < group_outputs; o++)
                sum += (double)pixel[o] * packed[weight_at(s, first_output + o, ky, kx, c % group_inputs)];
            }
          }
          input_gradient[at(s->in_height, s->in_width, s->in_channels, n, iy, ix, c)] = (float)sum;
        }
}

/// The weight gradient from whichever of `floats` and `bytes` is not NULL.
static void weight_gradient_from(
    const sq_conv *s, const float *floats, const uint8_t *bytes, const float *output_gradient, float *weight_gradient,
    int32_t first, int32_t count) {
  int32_t group_inputs = s->in_channels / s->groups, group_outputs = s->out_channels / s->groups;
  for (int32_t o = 0; o < s->out_channels; o++)
    for (int32_t ky = 0; ky < s->kernel_height; ky++)
      for (int32_t kx = 0; kx < s->kernel_width; kx++)
        for (int32_t c = 0; c < group_inputs; c++) {
          double sum = 0;
          for (int32_t n = first; n < first + count; n++)
            for (int32_t y = 0; y < s->out_height; y++) {
              int32_t iy = y * s->stride_y + ky - s->pad_top;
              if (iy < 0 || iy >= s->in_height) continue;
              for (int32_t x = 0; x < s->out_width; x++) {
                int32_t ix = x * s->stride_x + kx - s->pad_left;
                if (ix < 0 || ix >= s->in_width) continue;
                size_t i =
                    at(s->in_height, s->in_width, s->in_channels, n, iy, ix, o / group_outputs * group_inputs + c);
                sum += (double)output_gradient[at(s->out_height, s->out_width, s->out_channels, n, y, x, o)] *
                       (floats ? floats[i] : (float)bytes[i]);
              }
            }
          weight_gradient[weight_at(s, o, ky, kx, c)] = (float)sum;
        }
}

static void convolution_backward_weight(
    const sq_conv *shape, const float *input, const float *output_gradient, float *weight_gradient, int32_t first,
    int32_t count, void *scratch) {
  (void)scratch;
  weight_gradient_from(shape, input, NULL, output_gradient, weight_gradient, first, count);
}

static void convolution_backward_weight_u8(
    const sq_conv *shape, const uint8_t *input, const float *output_gradient, float *weight_gradient, int32_t first,
    int32_t count, void *scratch) {
  (void)scratch;
  weight_gradient_from(shape, NULL, input, output_gradient, weight_gradient, first, count);
}

#endif
