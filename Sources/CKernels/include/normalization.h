#ifndef SQ_NORMALIZATION_H
#define SQ_NORMALIZATION_H

#include <stddef.h>
#include <stdint.h>

/// Element-wise kernels work on rows [first, first + count) of a [rows][channels] view of an NHWC tensor, or on a plain
/// range of elements; sums are per call (the caller adds the slices up in a fixed order).

/// A tensor read as floats or, where `sums` is given, as unit * sums: [rows][channels].
typedef struct sq_channels {
  const float *floats;
  const int16_t *sums;  ///< of an integer convolution; NULL: `floats` are read
  float unit;
} sq_channels;

/// One quantized copy of an activation: level = rint(clamp((x - lower) * inverse_step, 0, levels)), half to even.
typedef struct sq_quantized_output {
  float lower, inverse_step, levels;
  uint8_t *output;  ///< [rows][channels]
} sq_quantized_output;

/// z = scale[c] * input + shift[c] (+ residual); relu: z = min(max(z, 0), upper). Then z is written as it is and / or
/// quantized.
typedef struct sq_normalize {
  int32_t channels;
  int32_t relu;
  float upper;            ///< above 0; INFINITY: the rectifier has no upper end
  sq_channels input;      ///< absent only when scale and shift are NULL and residual is not
  const float *scale;     ///< [channels]; NULL: 1
  const float *shift;     ///< [channels]; NULL: 0
  const float *residual;  ///< [rows][channels] or NULL
  float *output;          ///< [rows][channels] or NULL
  int32_t quantized_count;
  sq_quantized_output quantized[2];
} sq_normalize;

/// The gradient arriving through a quantized copy: z's gradient gets gradient_scale * gradient where
/// 0 <= (z - lower) * inverse_step <= levels (straight-through estimator, both ends included).
typedef struct sq_quantized_gradient {
  float lower, inverse_step, levels, gradient_scale;
  const float *gradient;  ///< [rows][channels], with respect to the copy's value
} sq_quantized_gradient;

/// The first pass back through sq_normalize: pre_gradient = the gradient of scale * input + shift (+ residual).
typedef struct sq_normalize_backward {
  int32_t channels;
  int32_t relu;              ///< the gradient passes where 0 < z < upper
  float upper;               ///< as in sq_normalize
  sq_channels input;         ///< as in sq_normalize
  const float *scale;        ///< NULL: 1
  const float *shift;        ///< NULL: 0
  const float *output;       ///< z after relu, as kept by the forward pass; NULL: recomputed (no residual then)
  const float *gradient[3];  ///< gradients with respect to z, added up; NULL where absent
  int32_t quantized_count;
  sq_quantized_gradient quantized[2];
  float *pre_gradient;  ///< [rows][channels]; may be one of the gradients
} sq_normalize_backward;

typedef struct sq_normalization_kernels {
  /// sums[0][c] = sum x, sums[1][c] = sum x^2 over the rows, accurate to about 1e-7 relative (overwritten).
  void (*statistics)(const float *input, int32_t channels, int64_t first, int64_t count, double *sums);
  void (*normalize)(const sq_normalize *arguments, int64_t first, int64_t count);
  /// channel_sums: [2][channels] += sum of pre_gradient and of pre_gradient * input (may be NULL);
  /// quantizer_sums: [quantized_count][2] += sums over the in-range elements of gradient and of gradient * z (unscaled
  /// by gradient_scale; may be NULL).
  void (*normalize_backward)(
      const sq_normalize_backward *arguments, int64_t first, int64_t count, double *channel_sums,
      double *quantizer_sums);
  /// output = a[c] * x + b[c] * y + d[c]: batch norm's second backward pass. `output` may be `x`.
  void (*channel_affine)(
      const float *x, sq_channels y, const float *a, const float *b, const float *d, float *output, int32_t channels,
      int64_t first, int64_t count);
  /// Smallest value, sum and sum of squares of a range: result[0..2] (quantizer initialisation; accurate as
  /// `statistics`).
  void (*range_statistics)(const float *input, int64_t first, int64_t count, double *result);
} sq_normalization_kernels;

#endif
