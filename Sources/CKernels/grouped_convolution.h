#ifndef SQ_GROUPED_CONVOLUTION_H
#define SQ_GROUPED_CONVOLUTION_H

#include "convolution.h"

/// Convolutions of several groups, down to one channel each (depthwise): the tables of sq_convolution_kernels_for hand
/// over to these where groups > 1.
extern const sq_convolution_kernels sq_grouped_convolution_portable;
#if defined(__x86_64__)
extern const sq_convolution_kernels sq_grouped_convolution_avx2;
extern const sq_convolution_kernels sq_grouped_convolution_avx512;
#endif

#endif
