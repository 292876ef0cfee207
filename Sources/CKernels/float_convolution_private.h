#ifndef SQ_FLOAT_CONVOLUTION_PRIVATE_H
#define SQ_FLOAT_CONVOLUTION_PRIVATE_H

#include "convolution.h"

/// One table for each instruction set (see float_convolution.c for the choice between them).
extern const sq_convolution_kernels sq_float_convolution_reference;

#endif
