#ifndef SQ_FLOAT_H
#define SQ_FLOAT_H

// The float convolution of the family: each shape goes to the algorithm that serves it best, forward and for the input
// gradient each for itself.

#include "depthwise.h"
#include "depthwise_gradient.h"
#include "direct.h"
#include "grouped.h"
#include "weight_gradient.h"
#include "winograd.h"

/// depthwise.h; grouped.h for several groups else; winograd.h for 3x3 kernels of stride 1 over whole vectors of
/// channels; direct.h for everything else.
typedef enum float_algorithm { float_depthwise, float_grouped, float_winograd, float_direct } float_algorithm;

/// For the pass that `w` describes.
static float_algorithm algorithm_of(const sq_conv *s, winograd_shape w) {
  if (is_depthwise(s)) return float_depthwise;
  if (s->groups > 1) return float_grouped;
  return uses_winograd(s, &w) ? float_winograd : float_direct;
}

static float_algorithm forward_algorithm(const sq_conv *s) { return algorithm_of(s, forward_winograd(s)); }
static float_algorithm backward_algorithm(const sq_conv *s) { return algorithm_of(s, backward_winograd(s)); }

// MARK: - Forward

static size_t convolution_forward_packed_count(const sq_conv *s) {
  const winograd_shape w = forward_winograd(s);
  switch (forward_algorithm(s)) {
    case float_depthwise: return depthwise_packed_count(s);
    case float_grouped: return grouped_forward_packed_count(s);
    case float_winograd: return winograd_packed_count(&w);
    case float_direct: return direct_forward_packed_count(s);
  }
}

static void convolution_forward_pack(const sq_conv *s, const float *weights, float *packed) {
  const winograd_shape w = forward_winograd(s);
  const ptrdiff_t channels = s->in_channels;
  switch (forward_algorithm(s)) {
    case float_depthwise: depthwise_pack(s, weights, packed); break;
    case float_grouped: grouped_forward_pack(s, weights, packed); break;
    case float_winograd: winograd_pack(&w, weights, 1, 9 * channels, 3 * channels, channels, packed); break;
    case float_direct: direct_forward_pack(s, weights, packed); break;
  }
}

static void convolution_forward(
    const sq_conv *s, const float *input, const float *packed, const float *bias, float *output, double *statistics,
    int32_t first, int32_t count, void *scratch) {
  const winograd_shape w = forward_winograd(s);
  switch (forward_algorithm(s)) {
    case float_depthwise: depthwise_forward(s, input, packed, bias, output, statistics, first, count, scratch); break;
    case float_grouped: grouped_forward(s, input, packed, bias, output, statistics, first, count, scratch); break;
    case float_winograd: winograd(&w, input, packed, bias, output, statistics, first, count, scratch); break;
    case float_direct: direct_forward(s, input, packed, bias, output, statistics, first, count, scratch); break;
  }
}

// MARK: - Input gradient

static size_t convolution_backward_input_packed_count(const sq_conv *s) {
  const winograd_shape w = backward_winograd(s);
  switch (backward_algorithm(s)) {
    case float_depthwise: return depthwise_packed_count(s);
    case float_grouped: return grouped_backward_input_packed_count(s);
    case float_winograd: return winograd_packed_count(&w);
    case float_direct: return direct_backward_input_packed_count(s);
  }
}

static void convolution_backward_input_pack(const sq_conv *s, const float *weights, float *packed) {
  const winograd_shape w = backward_winograd(s);
  const ptrdiff_t channels = s->in_channels;
  switch (backward_algorithm(s)) {
    case float_depthwise: depthwise_pack(s, weights, packed); break;
    case float_grouped: grouped_backward_input_pack(s, weights, packed); break;
    case float_winograd:
      winograd_pack(&w, weights + 8 * channels, 9 * channels, 1, -3 * channels, -channels, packed);
      break;
    case float_direct: direct_backward_input_pack(s, weights, packed); break;
  }
}

static void convolution_backward_input(
    const sq_conv *s, const float *output_gradient, const float *packed, float *input_gradient, int32_t first,
    int32_t count, void *scratch) {
  const winograd_shape w = backward_winograd(s);
  switch (backward_algorithm(s)) {
    case float_depthwise:
      depthwise_backward_input(s, output_gradient, packed, input_gradient, first, count, scratch);
      break;
    case float_grouped:
      grouped_backward_input(s, output_gradient, packed, input_gradient, first, count, scratch);
      break;
    case float_winograd:
      winograd(&w, output_gradient, packed, NULL, input_gradient, NULL, first, count, scratch);
      break;
    case float_direct: direct_backward_input(s, output_gradient, packed, input_gradient, first, count, scratch); break;
  }
}

// MARK: - Weight gradient

/// Exactly one of `floats` and `levels` is given.
static void float_backward_weight(
    const sq_conv *s, const float *floats, const uint8_t *levels, const float *output_gradient, float *weight_gradient,
    int32_t first, int32_t count, void *scratch) {
  if (is_depthwise(s))
    depthwise_backward_weight(s, floats, levels, output_gradient, weight_gradient, first, count, scratch);
  else if (s->groups > 1)
    grouped_backward_weight(s, floats, levels, output_gradient, weight_gradient, first, count, scratch);
  else
    dense_weight_gradient(s, floats, levels, output_gradient, weight_gradient, first, count, scratch);
}

static void convolution_backward_weight(
    const sq_conv *s, const float *input, const float *output_gradient, float *weight_gradient, int32_t first,
    int32_t count, void *scratch) {
  float_backward_weight(s, input, NULL, output_gradient, weight_gradient, first, count, scratch);
}

static void convolution_backward_weight_u8(
    const sq_conv *s, const uint8_t *input, const float *output_gradient, float *weight_gradient, int32_t first,
    int32_t count, void *scratch) {
  float_backward_weight(s, NULL, input, output_gradient, weight_gradient, first, count, scratch);
}

static size_t convolution_scratch_bytes(const sq_conv *s) {
  if (is_depthwise(s)) {
    const size_t passes = depthwise_scratch_bytes(s), gradient = depthwise_gradient_scratch_bytes(s);
    return passes > gradient ? passes : gradient;
  }
  if (s->groups > 1) return grouped_scratch_bytes(s);
  const winograd_shape w = forward_winograd(s), back = backward_winograd(s);
  const size_t needs[] = {
      forward_algorithm(s) == float_winograd ? plan_winograd(&w).bytes : plan_forward(s).bytes,
      backward_algorithm(s) == float_winograd ? plan_winograd(&back).bytes : plan_backward(s).bytes,
      plan_gradient(s, 1).bytes,
  };
  size_t most = 0;
  for (int i = 0; i < 3; i++)
    if (most < needs[i]) most = needs[i];
  return most;
}

#endif
