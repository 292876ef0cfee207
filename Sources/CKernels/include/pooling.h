#ifndef SQ_POOLING_H
#define SQ_POOLING_H

#include "convolution.h"

/// Pooling and the other small layers. Windows use sq_conv with in_channels == out_channels (groups is ignored);
/// average pooling divides by the full window, padding counted as zeros; max pooling ignores padding and on a tie
/// takes the first position in row order.
typedef struct sq_pooling_kernels {
  void (*average_forward)(const sq_conv *shape, const float *input, float *output, int32_t first, int32_t count);
  void (*average_backward)(
      const sq_conv *shape, const float *output_gradient, float *input_gradient, int32_t first, int32_t count);
  /// `winner`: per output element the position kernel_width * ky + kx of the maximum ([out] bytes; windows up to 255).
  void (*max_forward)(
      const sq_conv *shape, const float *input, float *output, uint8_t *winner, int32_t first, int32_t count);
  void (*max_backward)(
      const sq_conv *shape, const float *output_gradient, const uint8_t *winner, float *input_gradient, int32_t first,
      int32_t count);
  /// The parameter-free shortcut: every stride-th pixel, (out_channels - in_channels) / 2 zero channels before and the
  /// rest after. Backward overwrites the input gradient.
  void (*pad_shortcut_forward)(const sq_conv *shape, const float *input, float *output, int32_t first, int32_t count);
  void (*pad_shortcut_backward)(
      const sq_conv *shape, const float *output_gradient, float *input_gradient, int32_t first, int32_t count);
  /// Softmax cross-entropy of rows [first, first + count): losses[row] (double, natural log, unscaled), gradient =
  /// scale * (softmax - one hot); gradient may be NULL. rank[row] = how many classes come before the label: those of a
  /// larger logit, and of an equal one with a lower index (0: top-1 correct, < k: top-k). INT32_MAX, so no hit for any
  /// k, where a logit of the row is infinite or NaN.
  void (*softmax_cross_entropy)(
      const float *logits, const int32_t *labels, int32_t classes, float scale, int32_t first, int32_t count,
      double *losses, int32_t *rank, float *gradient);
} sq_pooling_kernels;

#endif
