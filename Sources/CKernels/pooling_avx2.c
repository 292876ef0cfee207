// pooling.h for AVX2 and FMA.
#if defined(__x86_64__)
#include <math.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define TABLE sq_pooling_avx2
#include "pooling_kernels.h"
#pragma clang attribute pop
#endif
