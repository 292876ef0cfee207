// The table of one instruction set, or of the reference: included last by what has defined SQ_NAME, SQ_ISA_NAME and a
// function for each member.

#include "../elementwise/softmax.h"
#include "../include/kernels.h"
#include "tables.h"

const sq_kernels SQ_NAME(sq_kernels) = {
    .name = SQ_ISA_NAME,
    .convolution =
        {
            .scratch_bytes = convolution_scratch_bytes,
            .forward_packed_count = convolution_forward_packed_count,
            .forward_pack = convolution_forward_pack,
            .forward = convolution_forward,
            .backward_input_packed_count = convolution_backward_input_packed_count,
            .backward_input_pack = convolution_backward_input_pack,
            .backward_input = convolution_backward_input,
            .backward_weight = convolution_backward_weight,
            .backward_weight_u8 = convolution_backward_weight_u8,
        },
    .integer_convolution =
        {
            .supports = integer_supports,
            .scratch_bytes = integer_scratch_bytes,
            .packed_bytes = integer_packed_bytes,
            .pack = integer_pack,
            .forward = integer_forward,
        },
    .sparse_weight_gradient =
        {
            .index_bytes = sparse_index_bytes,
            .index_build = sparse_index_build,
            .scratch_bytes = sparse_scratch_bytes,
            .backward_weight = sparse_backward_weight,
            .backward_weight_u8 = sparse_backward_weight_u8,
        },
    .integer_weight_gradient =
        {
            .supports = integer_gradient_supports,
            .scratch_bytes = integer_gradient_scratch_bytes,
            .backward_weight = integer_gradient_backward_weight,
            .index_bytes = integer_gradient_index_bytes,
            .index_build = integer_gradient_index_build,
            .backward_unfrozen = integer_gradient_backward_unfrozen,
        },
    .normalization =
        {
            .statistics = channel_statistics,
            .normalize = normalize,
            .normalize_backward = normalize_backward,
            .channel_affine = channel_affine,
            .range_statistics = range_statistics,
        },
    .quantization =
        {
            .quantize_weights = quantize_weights,
            .update_freezing = update_freezing,
            .straight_through_weights = straight_through_weights,
            .sgd = sgd,
        },
    .pooling =
        {
            .average_forward = average_forward,
            .average_backward = average_backward,
            .max_forward = max_forward,
            .max_backward = max_backward,
            .pad_shortcut_forward = pad_shortcut_forward,
            .pad_shortcut_backward = pad_shortcut_backward,
            .softmax_cross_entropy = sq_softmax_cross_entropy,
        },
    .peak_fma = peak_fma,
};
