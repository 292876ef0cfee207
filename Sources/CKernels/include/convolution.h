#ifndef SQ_CONVOLUTION_H
#define SQ_CONVOLUTION_H

#include <stddef.h>
#include <stdint.h>

/// A two-dimensional convolution. Activations are NHWC, weights O,KH,KW,I/groups ("OHWI"). A linear layer is a 1x1
/// convolution over 1x1 images.
/// Conventions for every kernel: buffers start on 64-byte boundaries and have 64 readable bytes past their end; a call
/// works on the images [first, first + count) of the batch, so that callers can split the batch over threads; the
/// values written for an image do not depend on how the batch was split; `scratch` is private to the call.
typedef struct sq_conv {
  int32_t batch;
  int32_t in_height, in_width, in_channels;
  int32_t out_height, out_width, out_channels;
  int32_t kernel_height, kernel_width;
  int32_t stride_y, stride_x;
  int32_t pad_top, pad_left;  ///< bottom and right padding follow from the output size
  int32_t groups;             ///< divides both channel counts; == in_channels: depthwise
} sq_conv;

/// Float32 convolution, its input gradient and its dense weight gradient.
typedef struct sq_convolution_kernels {
  /// Bytes of scratch that any of these kernels needs for this shape.
  size_t (*scratch_bytes)(const sq_conv *shape);

  /// Floats in the packed form of the weights for `forward`, and packing (weights: OHWI).
  size_t (*forward_packed_count)(const sq_conv *shape);
  void (*forward_pack)(const sq_conv *shape, const float *weights, float *packed);
  /// output[n,y,x,o] = bias[o] + sum input * weight. `bias` may be NULL. `statistics`, unless NULL, receives the sums
  /// over the written images of each output channel's values and of their squares: [2][out_channels] (overwritten).
  void (*forward)(
      const sq_conv *shape, const float *input, const float *packed, const float *bias, float *output,
      double *statistics, int32_t first, int32_t count, void *scratch);

  /// Packing for, and computation of, the gradient with respect to the input (overwritten, not added to).
  size_t (*backward_input_packed_count)(const sq_conv *shape);
  void (*backward_input_pack)(const sq_conv *shape, const float *weights, float *packed);
  void (*backward_input)(
      const sq_conv *shape, const float *output_gradient, const float *packed, float *input_gradient, int32_t first,
      int32_t count, void *scratch);

  /// The gradient with respect to the weights (OHWI, overwritten): the sum over the images [first, first + count).
  /// The `_u8` form reads the input as unsigned bytes (quantization levels, unscaled).
  void (*backward_weight)(
      const sq_conv *shape, const float *input, const float *output_gradient, float *weight_gradient, int32_t first,
      int32_t count, void *scratch);
  void (*backward_weight_u8)(
      const sq_conv *shape, const uint8_t *input, const float *output_gradient, float *weight_gradient, int32_t first,
      int32_t count, void *scratch);
} sq_convolution_kernels;

#endif
