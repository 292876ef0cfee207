#ifndef SQ_REFERENCE_NORMALIZATION_H
#define SQ_REFERENCE_NORMALIZATION_H

// The formulas of include/normalization.h as plain loops, one element at a time, sums in double.

#include <math.h>
#include <string.h>

#include "../include/normalization.h"

/// scale * x + shift with one rounding, as instruction sets with a fused multiply-add compute it.
static float affine(const float *scale, const float *shift, int32_t channel, float x) {
  return fmaf(scale ? scale[channel] : 1, x, shift ? shift[channel] : 0);
}

static int is_given(const sq_channels *x) { return x->floats || x->sums; }

static float value_of(const sq_channels *x, int64_t i) { return x->sums ? x->unit * (float)x->sums[i] : x->floats[i]; }

/// NaN stays NaN.
static float rectified(float z, float upper) { return z < 0 ? 0 : z > upper ? upper : z; }

static uint8_t level(const sq_quantized_output *copy, float z) {
  float position = (z - copy->lower) * copy->inverse_step;
  position = position > 0 ? position : 0;  // NaN becomes level 0
  return (uint8_t)rintf(position < copy->levels ? position : copy->levels);
}

/// NaN counts as in range, so that the sums show it.
static int in_range(const sq_quantized_gradient *copy, float z) {
  float position = (z - copy->lower) * copy->inverse_step;
  return !(position < 0) && !(position > copy->levels);
}

static void channel_statistics(const float *input, int32_t channels, int64_t first, int64_t count, double *sums) {
  memset(sums, 0, 2 * (size_t)channels * sizeof(double));
  for (int64_t row = first; row < first + count; row++)
    for (int32_t c = 0; c < channels; c++) {
      double x = input[row * channels + c];
      sums[c] += x;
      sums[channels + c] += x * x;
    }
}

static void normalize(const sq_normalize *a, int64_t first, int64_t count) {
  for (int64_t row = first; row < first + count; row++)
    for (int32_t c = 0; c < a->channels; c++) {
      int64_t i = row * a->channels + c;
      float z = is_given(&a->input) ? affine(a->scale, a->shift, c, value_of(&a->input, i)) : 0;
      if (a->residual) z += a->residual[i];
      if (a->relu) z = rectified(z, a->upper);
      if (a->output) a->output[i] = z;
      for (int32_t q = 0; q < a->quantized_count; q++) a->quantized[q].output[i] = level(&a->quantized[q], z);
    }
}

static void normalize_backward(
    const sq_normalize_backward *a, int64_t first, int64_t count, double *channel_sums, double *quantizer_sums) {
  for (int64_t row = first; row < first + count; row++)
    for (int32_t c = 0; c < a->channels; c++) {
      int64_t i = row * a->channels + c;
      float z;
      if (a->output) {
        z = a->output[i];
      } else {
        z = affine(a->scale, a->shift, c, value_of(&a->input, i));
        if (a->relu) z = rectified(z, a->upper);
      }
      float gradient = 0;
      for (int k = 0; k < 3; k++)
        if (a->gradient[k]) gradient += a->gradient[k][i];
      for (int32_t q = 0; q < a->quantized_count; q++) {
        const sq_quantized_gradient *copy = &a->quantized[q];
        if (!in_range(copy, z)) continue;
        gradient = fmaf(copy->gradient_scale, copy->gradient[i], gradient);
        if (!quantizer_sums) continue;
        quantizer_sums[2 * q] += copy->gradient[i];
        quantizer_sums[2 * q + 1] += (double)copy->gradient[i] * z;
      }
      if (a->relu && (z <= 0 || z >= a->upper)) gradient = 0;
      a->pre_gradient[i] = gradient;
      if (!channel_sums) continue;
      channel_sums[c] += gradient;
      channel_sums[a->channels + c] += is_given(&a->input) ? (double)gradient * value_of(&a->input, i) : 0;
    }
}

static void channel_affine(
    const float *x, sq_channels y, const float *a, const float *b, const float *d, float *output, int32_t channels,
    int64_t first, int64_t count) {
  for (int64_t row = first; row < first + count; row++)
    for (int32_t c = 0; c < channels; c++) {
      int64_t i = row * channels + c;
      output[i] = fmaf(a[c], x[i], fmaf(b[c], value_of(&y, i), d[c]));
    }
}

static void range_statistics(const float *input, int64_t first, int64_t count, double *result) {
  float smallest = INFINITY;
  double sum = 0, squares = 0;
  for (int64_t i = first; i < first + count; i++) {
    float x = input[i];
    if (x < smallest || isnan(x)) smallest = x;
    sum += x;
    squares += (double)x * x;
  }
  result[0] = smallest;
  result[1] = sum;
  result[2] = squares;
}

#endif
