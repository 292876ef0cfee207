#include "integer_convolution_tables.h"

const sq_integer_convolution_kernels *sq_integer_convolution_kernels_for(sq_isa isa) {
  if (!sq_isa_available(isa)) return NULL;
  switch (isa) {
    case SQ_ISA_REFERENCE: return &sq_integer_convolution_reference;
    case SQ_ISA_PORTABLE: return &sq_integer_convolution_portable;
#if defined(__x86_64__)
    case SQ_ISA_AVX2: return &sq_integer_convolution_avx2;
    case SQ_ISA_AVX512: return &sq_integer_convolution_avx512;
#endif
    default: return NULL;
  }
}
