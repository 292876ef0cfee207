#ifndef SQ_ELEMENTWISE_POOLING_H
#define SQ_ELEMENTWISE_POOLING_H

// The kernels of include/pooling.h, the loss apart.
// Channels are innermost, so each window position is a plain loop over consecutive elements.

#include "../include/pooling.h"
#include "../target/arithmetic.h"
#include "../target/vector.h"

SQ_INLINE int64_t input_size(const sq_conv *s) { return (int64_t)s->in_height * s->in_width * s->in_channels; }

SQ_INLINE int64_t input_index(const sq_conv *s, int32_t n, int32_t y, int32_t x) {
  return (((int64_t)n * s->in_height + y) * s->in_width + x) * s->in_channels;
}

SQ_INLINE int64_t output_index(const sq_conv *s, int32_t n, int32_t y, int32_t x) {
  return (((int64_t)n * s->out_height + y) * s->out_width + x) * s->out_channels;
}

/// The part of an output pixel's window that falls on the image: kernel rows [ky_begin, ky_end), columns
/// [kx_begin, kx_end), and the input pixel that kernel position (0, 0) would read.
typedef struct pooling_window {
  int32_t ky_begin, ky_end, kx_begin, kx_end, origin_y, origin_x;
} pooling_window;

SQ_INLINE pooling_window window_at(const sq_conv *s, int32_t y, int32_t x) {
  pooling_window w = {.origin_y = y * s->stride_y - s->pad_top, .origin_x = x * s->stride_x - s->pad_left};
  w.ky_begin = larger(0, -w.origin_y);
  w.ky_end = smaller(s->kernel_height, s->in_height - w.origin_y);
  w.kx_begin = larger(0, -w.origin_x);
  w.kx_end = smaller(s->kernel_width, s->in_width - w.origin_x);
  return w;
}

#define FOR_EACH_OUTPUT_PIXEL                       \
  for (int32_t n = first; n < first + count; n++)   \
    for (int32_t y = 0; y < shape->out_height; y++) \
      for (int32_t x = 0; x < shape->out_width; x++)

#define FOR_EACH_TAP(w)                              \
  for (int32_t ky = w.ky_begin; ky < w.ky_end; ky++) \
    for (int32_t kx = w.kx_begin; kx < w.kx_end; kx++)

static void clear_images(const sq_conv *shape, float *tensor, int32_t first, int32_t count) {
  memset(tensor + first * input_size(shape), 0, (size_t)(count * input_size(shape)) * sizeof(float));
}

static void average_forward(const sq_conv *shape, const float *input, float *output, int32_t first, int32_t count) {
  const int32_t channels = shape->out_channels;
  const float share = 1.0f / (float)(shape->kernel_height * shape->kernel_width);
  FOR_EACH_OUTPUT_PIXEL {
    pooling_window w = window_at(shape, y, x);
    float *to = output + output_index(shape, n, y, x);
    memset(to, 0, (size_t)channels * sizeof(float));
    FOR_EACH_TAP (w) {
      const float *from = input + input_index(shape, n, w.origin_y + ky, w.origin_x + kx);
      ELEMENTWISE_FOR (int32_t c = 0; c < channels; c++) to[c] += from[c];
    }
    ELEMENTWISE_FOR (int32_t c = 0; c < channels; c++) to[c] *= share;
  }
}

static void average_backward(
    const sq_conv *shape, const float *output_gradient, float *input_gradient, int32_t first, int32_t count) {
  const int32_t channels = shape->out_channels;
  const float share = 1.0f / (float)(shape->kernel_height * shape->kernel_width);
  clear_images(shape, input_gradient, first, count);
  FOR_EACH_OUTPUT_PIXEL {
    pooling_window w = window_at(shape, y, x);
    const float *from = output_gradient + output_index(shape, n, y, x);
    FOR_EACH_TAP (w) {
      float *to = input_gradient + input_index(shape, n, w.origin_y + ky, w.origin_x + kx);
      ELEMENTWISE_FOR (int32_t c = 0; c < channels; c++) to[c] += from[c] * share;
    }
  }
}

static void max_forward(
    const sq_conv *shape, const float *input, float *output, uint8_t *winner, int32_t first, int32_t count) {
  const int32_t channels = shape->out_channels;
  FOR_EACH_OUTPUT_PIXEL {
    pooling_window w = window_at(shape, y, x);
    int64_t out = output_index(shape, n, y, x);
    float *largest = output + out;
    uint8_t *at = winner + out;
    int32_t first_tap = w.ky_begin * shape->kernel_width + w.kx_begin;
    for (int32_t c = 0; c < channels; c++) largest[c] = -INFINITY;
    memset(at, first_tap, (size_t)channels);
    FOR_EACH_TAP (w) {
      const float *from = input + input_index(shape, n, w.origin_y + ky, w.origin_x + kx);
      uint8_t tap = (uint8_t)(ky * shape->kernel_width + kx);
      ELEMENTWISE_FOR (int32_t c = 0; c < channels; c++) {
        int wins = (from[c] > largest[c]) | (from[c] != from[c]);  // NaN wins, so that divergence is seen
        largest[c] = wins ? from[c] : largest[c];
        at[c] = wins ? tap : at[c];
      }
    }
  }
}

static void max_backward(
    const sq_conv *shape, const float *output_gradient, const uint8_t *winner, float *input_gradient, int32_t first,
    int32_t count) {
  const int32_t channels = shape->out_channels;
  clear_images(shape, input_gradient, first, count);
  FOR_EACH_OUTPUT_PIXEL {
    pooling_window w = window_at(shape, y, x);
    int64_t out = output_index(shape, n, y, x);
    const float *from = output_gradient + out;
    const uint8_t *at = winner + out;
    FOR_EACH_TAP (w) {
      float *to = input_gradient + input_index(shape, n, w.origin_y + ky, w.origin_x + kx);
      uint8_t tap = (uint8_t)(ky * shape->kernel_width + kx);
      ELEMENTWISE_FOR (int32_t c = 0; c < channels; c++) to[c] += at[c] == tap ? from[c] : 0;
    }
  }
}

static void pad_shortcut_forward(
    const sq_conv *shape, const float *input, float *output, int32_t first, int32_t count) {
  const int32_t before = (shape->out_channels - shape->in_channels) / 2;
  const int32_t after = shape->out_channels - shape->in_channels - before;
  FOR_EACH_OUTPUT_PIXEL {
    float *to = output + output_index(shape, n, y, x);
    const float *from = input + input_index(shape, n, y * shape->stride_y, x * shape->stride_x);
    memset(to, 0, (size_t)before * sizeof(float));
    memcpy(to + before, from, (size_t)shape->in_channels * sizeof(float));
    memset(to + before + shape->in_channels, 0, (size_t)after * sizeof(float));
  }
}

static void pad_shortcut_backward(
    const sq_conv *shape, const float *output_gradient, float *input_gradient, int32_t first, int32_t count) {
  const int32_t before = (shape->out_channels - shape->in_channels) / 2;
  clear_images(shape, input_gradient, first, count);
  FOR_EACH_OUTPUT_PIXEL {
    float *to = input_gradient + input_index(shape, n, y * shape->stride_y, x * shape->stride_x);
    const float *from = output_gradient + output_index(shape, n, y, x) + before;
    memcpy(to, from, (size_t)shape->in_channels * sizeof(float));
  }
}

#endif
