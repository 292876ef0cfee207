#ifndef SQ_FAMILY_H
#define SQ_FAMILY_H

// Every kernel and their table, for the instruction set that SQ_TARGET names.

#include "../include/kernels.h"
#include "vector.h"

// Not for the target: plans and indexes in scalar integers, whose short loops vector code would only prepare for.
#include "../convolution/sparse_index.h"

SQ_KERNELS_BEGIN

#include "../convolution/float.h"
#include "../convolution/integer.h"
#include "../convolution/integer_weight_gradient.h"
#include "../convolution/sparse.h"
#include "../elementwise/normalization.h"
#include "../elementwise/peak.h"
#include "../elementwise/pooling.h"
#include "../elementwise/quantization.h"

SQ_KERNELS_END

#include "table.h"

#endif
