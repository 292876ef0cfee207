#ifndef SQ_INTEGER_WEIGHT_GRADIENT_H
#define SQ_INTEGER_WEIGHT_GRADIENT_H

#include "convolution.h"

/// The weight gradient in integers: levels of the input times the output gradient in 16-bit fixed point, summed exactly
/// in 32 bits (in 64 where those might not hold them) and made floats once. One call is one piece: each output
/// channel's unit is its largest magnitude in the piece over 32767, and values are rounded to the nearest unit, half to
/// even. A channel below 2^-100 counts as zeros; one with a value that is not finite has NaN gradients. The result
/// depends on the piece alone: it is the same bits on every instruction set, dense or sparse.
typedef struct sq_integer_weight_gradient_kernels {
  /// Whether the shape's gradients can be computed: one group, levels up to `max_input` of at most 255.
  int (*supports)(const sq_conv *shape, int32_t max_input);
  /// Bytes of scratch that these kernels need for calls of up to so many images. The shape's `batch` is the number that
  /// calls usually work on, as in sq_sparse_weight_gradient_kernels.
  size_t (*scratch_bytes)(const sq_conv *shape, int32_t max_input, int32_t images);
  /// Overwrites the gradient (OHWI) with the sum over the images [first, first + count). `input`: levels, unscaled.
  void (*backward_weight)(
      const sq_conv *shape, const uint8_t *input, int32_t max_input, const float *output_gradient,
      float *weight_gradient, int32_t first, int32_t count, void *scratch);

  /// As index_bytes and index_build of sq_sparse_weight_gradient_kernels; the index serves this struct alone.
  size_t (*index_bytes)(const sq_conv *shape);
  void (*index_build)(const sq_conv *shape, const uint8_t *frozen, void *index);
  /// The unfrozen weights' gradients alone, added to what `weight_gradient` holds. The padding is less than the
  /// kernel's size.
  void (*backward_unfrozen)(
      const sq_conv *shape, const uint8_t *input, int32_t max_input, const float *output_gradient, const void *index,
      float *weight_gradient, int32_t first, int32_t count, void *scratch);
} sq_integer_weight_gradient_kernels;

#endif
