#define SQ_TARGET SQ_TARGET_AVX512
#include "vector.h"

#if SQ_TARGET_BUILDS
#include "grouped_convolution_kernels.h"
#endif
