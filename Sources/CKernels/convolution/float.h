#ifndef SQ_FLOAT_H
#define SQ_FLOAT_H

// The float convolution of the family: each shape goes to the algorithm that serves it best. Several groups go to
// grouped.h, 3x3 kernels of stride 1 over whole vectors of channels to winograd.h, everything else to direct.h.

#include "direct.h"
#include "grouped.h"
#include "weight_gradient.h"
#include "winograd.h"

static size_t convolution_forward_packed_count(const sq_conv *s) {
  if (s->groups > 1) return grouped_forward_packed_count(s);
  winograd_shape w = forward_winograd(s);
  return uses_winograd(s, &w) ? winograd_packed_count(&w) : direct_forward_packed_count(s);
}

static void convolution_forward_pack(const sq_conv *s, const float *weights, float *packed) {
  winograd_shape w = forward_winograd(s);
  if (s->groups > 1)
    grouped_forward_pack(s, weights, packed);
  else if (uses_winograd(s, &w))
    winograd_pack(&w, weights, 1, 9 * s->in_channels, 3 * s->in_channels, s->in_channels, packed);
  else
    direct_forward_pack(s, weights, packed);
}

static void convolution_forward(
    const sq_conv *s, const float *input, const float *packed, const float *bias, float *output, double *statistics,
    int32_t first, int32_t count, void *scratch) {
  winograd_shape w = forward_winograd(s);
  if (s->groups > 1)
    grouped_forward(s, input, packed, bias, output, statistics, first, count, scratch);
  else if (uses_winograd(s, &w))
    winograd(&w, input, packed, bias, output, statistics, first, count, scratch);
  else
    direct_forward(s, input, packed, bias, output, statistics, first, count, scratch);
}

static size_t convolution_backward_input_packed_count(const sq_conv *s) {
  if (s->groups > 1) return grouped_backward_input_packed_count(s);
  winograd_shape w = backward_winograd(s);
  return uses_winograd(s, &w) ? winograd_packed_count(&w) : direct_backward_input_packed_count(s);
}

static void convolution_backward_input_pack(const sq_conv *s, const float *weights, float *packed) {
  winograd_shape w = backward_winograd(s);
  ptrdiff_t channels = s->in_channels;
  if (s->groups > 1)
    grouped_backward_input_pack(s, weights, packed);
  else if (uses_winograd(s, &w))
    winograd_pack(&w, weights + 8 * channels, 9 * channels, 1, -3 * channels, -channels, packed);
  else
    direct_backward_input_pack(s, weights, packed);
}

static void convolution_backward_input(
    const sq_conv *s, const float *output_gradient, const float *packed, float *input_gradient, int32_t first,
    int32_t count, void *scratch) {
  winograd_shape w = backward_winograd(s);
  if (s->groups > 1)
    grouped_backward_input(s, output_gradient, packed, input_gradient, first, count, scratch);
  else if (uses_winograd(s, &w))
    winograd(&w, output_gradient, packed, NULL, input_gradient, NULL, first, count, scratch);
  else
    direct_backward_input(s, output_gradient, packed, input_gradient, first, count, scratch);
}

static void convolution_backward_weight(
    const sq_conv *s, const float *input, const float *output_gradient, float *weight_gradient, int32_t first,
    int32_t count, void *scratch) {
  if (s->groups > 1)
    grouped_backward_weight(s, input, output_gradient, weight_gradient, first, count, scratch);
  else
    dense_weight_gradient(s, input, NULL, output_gradient, weight_gradient, first, count, scratch);
}

static void convolution_backward_weight_u8(
    const sq_conv *s, const uint8_t *input, const float *output_gradient, float *weight_gradient, int32_t first,
    int32_t count, void *scratch) {
  if (s->groups > 1)
    grouped_backward_weight_u8(s, input, output_gradient, weight_gradient, first, count, scratch);
  else
    dense_weight_gradient(s, NULL, input, output_gradient, weight_gradient, first, count, scratch);
}

static size_t convolution_scratch_bytes(const sq_conv *s) {
  if (s->groups > 1) return grouped_scratch_bytes(s);
  winograd_shape w = forward_winograd(s), back = backward_winograd(s);
  const size_t needs[] = {
      uses_winograd(s, &w) ? plan_winograd(&w).bytes : plan_forward(s).bytes,
      uses_winograd(s, &back) ? plan_winograd(&back).bytes : plan_backward(s).bytes,
      plan_gradient(s, 1).bytes,
  };
  size_t most = 0;
  for (int i = 0; i < 3; i++)
    if (most < needs[i]) most = needs[i];
  return most;
}

#endif
