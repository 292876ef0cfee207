// quantization.h for AVX-512.
#if defined(__x86_64__)
#include <math.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#define TABLE sq_quantization_avx512
#include "quantization_kernels.h"
#pragma clang attribute pop
#endif
