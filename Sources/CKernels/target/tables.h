#ifndef SQ_TABLES_H
#define SQ_TABLES_H

#include "../include/kernels.h"

/// One table for each instruction set that this processor family has.
extern const sq_kernels sq_kernels_reference;
extern const sq_kernels sq_kernels_portable;
#if defined(__x86_64__)
extern const sq_kernels sq_kernels_avx2;
extern const sq_kernels sq_kernels_avx512;
#elif defined(__aarch64__)
extern const sq_kernels sq_kernels_neon;
#endif

#endif
