#ifndef SQ_REFERENCE_POOLING_H
#define SQ_REFERENCE_POOLING_H

// The definitions of include/pooling.h, the loss apart, as plain loops, one output element at a time, sums in double.

#include <math.h>
#include <string.h>

#include "../include/pooling.h"

static int64_t input_size(const sq_conv *s) { return (int64_t)s->in_height * s->in_width * s->in_channels; }

/// Whether tap (ky, kx) of output pixel (y, x) falls on the image; if so, `index` is its first channel's element.
static int tap_index(const sq_conv *s, int32_t n, int32_t y, int32_t x, int32_t ky, int32_t kx, int64_t *index) {
  int32_t in_y = y * s->stride_y - s->pad_top + ky, in_x = x * s->stride_x - s->pad_left + kx;
  if (in_y < 0 || in_y >= s->in_height || in_x < 0 || in_x >= s->in_width) return 0;
  *index = (((int64_t)n * s->in_height + in_y) * s->in_width + in_x) * s->in_channels;
  return 1;
}

static int64_t output_index(const sq_conv *s, int32_t n, int32_t y, int32_t x) {
  return (((int64_t)n * s->out_height + y) * s->out_width + x) * s->out_channels;
}

#define FOR_EACH_OUTPUT_PIXEL                       \
  for (int32_t n = first; n < first + count; n++)   \
    for (int32_t y = 0; y < shape->out_height; y++) \
      for (int32_t x = 0; x < shape->out_width; x++)

#define FOR_EACH_KERNEL_POSITION                        \
  for (int32_t ky = 0; ky < shape->kernel_height; ky++) \
    for (int32_t kx = 0; kx < shape->kernel_width; kx++)

static void clear_images(const sq_conv *shape, float *tensor, int32_t first, int32_t count) {
  memset(tensor + first * input_size(shape), 0, (size_t)(count * input_size(shape)) * sizeof(float));
}

static void average_forward(const sq_conv *shape, const float *input, float *output, int32_t first, int32_t count) {
  FOR_EACH_OUTPUT_PIXEL {
    for (int32_t c = 0; c < shape->out_channels; c++) {
      double sum = 0;
      int64_t in;
      FOR_EACH_KERNEL_POSITION
        if (tap_index(shape, n, y, x, ky, kx, &in)) sum += input[in + c];
      output[output_index(shape, n, y, x) + c] = (float)(sum / (shape->kernel_height * shape->kernel_width));
    }
  }
}

static void average_backward(
    const sq_conv *shape, const float *output_gradient, float *input_gradient, int32_t first, int32_t count) {
  clear_images(shape, input_gradient, first, count);
  float share = 1.0f / (float)(shape->kernel_height * shape->kernel_width);
  FOR_EACH_OUTPUT_PIXEL {
    const float *gradient = output_gradient + output_index(shape, n, y, x);
    int64_t in;
    FOR_EACH_KERNEL_POSITION
      if (tap_index(shape, n, y, x, ky, kx, &in)) {
        for (int32_t c = 0; c < shape->out_channels; c++) input_gradient[in + c] += gradient[c] * share;
      }
  }
}

static void max_forward(
    const sq_conv *shape, const float *input, float *output, uint8_t *winner, int32_t first, int32_t count) {
  FOR_EACH_OUTPUT_PIXEL {
    for (int32_t c = 0; c < shape->out_channels; c++) {
      int64_t in, out = output_index(shape, n, y, x) + c;
      int found = 0;
      output[out] = -INFINITY;
      winner[out] = 0;
      FOR_EACH_KERNEL_POSITION
        if (tap_index(shape, n, y, x, ky, kx, &in)) {
          float value = input[in + c];
          if (!found || value > output[out] || isnan(value)) {  // NaN wins, so that divergence is seen
            output[out] = value;
            winner[out] = (uint8_t)(ky * shape->kernel_width + kx);
          }
          found = 1;
        }
    }
  }
}

static void max_backward(
    const sq_conv *shape, const float *output_gradient, const uint8_t *winner, float *input_gradient, int32_t first,
    int32_t count) {
  clear_images(shape, input_gradient, first, count);
  FOR_EACH_OUTPUT_PIXEL {
    int64_t in, out = output_index(shape, n, y, x);
    FOR_EACH_KERNEL_POSITION
      if (tap_index(shape, n, y, x, ky, kx, &in)) {
        for (int32_t c = 0; c < shape->out_channels; c++)
          if (winner[out + c] == ky * shape->kernel_width + kx) input_gradient[in + c] += output_gradient[out + c];
      }
  }
}

static void pad_shortcut_forward(
    const sq_conv *shape, const float *input, float *output, int32_t first, int32_t count) {
  int32_t before = (shape->out_channels - shape->in_channels) / 2;
  FOR_EACH_OUTPUT_PIXEL {
    const float *from =
        input + (((int64_t)n * shape->in_height + y * shape->stride_y) * shape->in_width + x * shape->stride_x) *
                    shape->in_channels;
    float *to = output + output_index(shape, n, y, x);
    for (int32_t c = 0; c < shape->out_channels; c++) {
      int32_t source = c - before;
      to[c] = source >= 0 && source < shape->in_channels ? from[source] : 0;
    }
  }
}

static void pad_shortcut_backward(
    const sq_conv *shape, const float *output_gradient, float *input_gradient, int32_t first, int32_t count) {
  clear_images(shape, input_gradient, first, count);
  int32_t before = (shape->out_channels - shape->in_channels) / 2;
  FOR_EACH_OUTPUT_PIXEL {
    float *to = input_gradient +
                (((int64_t)n * shape->in_height + y * shape->stride_y) * shape->in_width + x * shape->stride_x) *
                    shape->in_channels;
    const float *from = output_gradient + output_index(shape, n, y, x) + before;
    for (int32_t c = 0; c < shape->in_channels; c++) to[c] = from[c];
  }
}

#endif
