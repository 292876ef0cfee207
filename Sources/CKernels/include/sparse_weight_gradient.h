#ifndef SQ_SPARSE_WEIGHT_GRADIENT_H
#define SQ_SPARSE_WEIGHT_GRADIENT_H

#include "convolution.h"

/// The weight gradient of the unfrozen weights alone, at element granularity: what is frozen is not computed. The
/// shape's `batch` is the number of images that calls usually work on: indexes are laid out for it.
typedef struct sq_sparse_weight_gradient_kernels {
  /// Bytes of the index of unfrozen weights (an upper bound for any mask), and building it from a mask (OHWI, one byte
  /// a weight, nonzero = frozen). Building allocates nothing.
  size_t (*index_bytes)(const sq_conv *shape);
  void (*index_build)(const sq_conv *shape, const uint8_t *frozen, void *index);
  size_t (*scratch_bytes)(const sq_conv *shape);
  /// As backward_weight and backward_weight_u8 of sq_convolution_kernels, but added to what `weight_gradient` holds;
  /// entries of frozen weights are left as they are. The padding is less than the kernel's size.
  void (*backward_weight)(
      const sq_conv *shape, const float *input, const float *output_gradient, const void *index, float *weight_gradient,
      int32_t first, int32_t count, void *scratch);
  void (*backward_weight_u8)(
      const sq_conv *shape, const uint8_t *input, const float *output_gradient, const void *index,
      float *weight_gradient, int32_t first, int32_t count, void *scratch);
} sq_sparse_weight_gradient_kernels;

#endif
