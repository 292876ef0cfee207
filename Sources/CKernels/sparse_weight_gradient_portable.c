#define SQ_TARGET SQ_TARGET_PORTABLE
#include "vector.h"
#if SQ_TARGET_BUILDS
#include "sparse_weight_gradient_kernels.h"
#endif
