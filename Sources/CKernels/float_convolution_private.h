#ifndef SQ_FLOAT_CONVOLUTION_PRIVATE_H
#define SQ_FLOAT_CONVOLUTION_PRIVATE_H

#include "convolution.h"

/// One table for each instruction set.
extern const sq_convolution_kernels sq_float_convolution_reference;
extern const sq_convolution_kernels sq_float_convolution_portable;
#if defined(__x86_64__)
extern const sq_convolution_kernels sq_float_convolution_avx2;
extern const sq_convolution_kernels sq_float_convolution_avx512;
#endif

#endif
