#ifndef SQ_INTEGER_CONVOLUTION_H
#define SQ_INTEGER_CONVOLUTION_H

#include "convolution.h"

/// Exact convolution of unsigned 8-bit activation levels with signed 8-bit weight levels, in 32-bit integers.
/// `max_input` and `max_weight` bound the levels' magnitudes: wider intermediate sums are chosen from them so that
/// overflow cannot happen.
typedef struct sq_integer_convolution_kernels {
  /// 1 where every output of this shape fits 32 bits and this table computes it, else 0 (callers then use floats).
  int (*supports)(const sq_conv *shape, int32_t max_input, int32_t max_weight);
  size_t (*scratch_bytes)(const sq_conv *shape);
  /// Bytes of the packed weights, and packing (weights: OHWI levels).
  size_t (*packed_bytes)(const sq_conv *shape, int32_t max_input, int32_t max_weight);
  void (*pack)(const sq_conv *shape, const int8_t *weights, int32_t max_input, int32_t max_weight, void *packed);
  /// sums[n,y,x,o] = sum input * weight; writes output = scale * sums + bias where `output` is not NULL (bias may be
  /// NULL), and the sums themselves where `sums` is not NULL, or `short_sums`, which have to hold them. `statistics` as
  /// in sq_convolution_kernels.forward, of scale * sums + bias.
  void (*forward)(
      const sq_conv *shape, const uint8_t *input, const void *packed, int32_t max_input, int32_t max_weight,
      float scale, const float *bias, float *output, int32_t *sums, int16_t *short_sums, double *statistics,
      int32_t first, int32_t count, void *scratch);
} sq_integer_convolution_kernels;

#endif
