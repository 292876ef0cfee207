// normalization.h for AVX2 and FMA.
#if defined(__x86_64__)
#include <math.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define TABLE sq_normalization_avx2
#include "normalization_kernels.h"
#pragma clang attribute pop
#endif
