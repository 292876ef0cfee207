#include "pooling.h"

extern const sq_pooling_kernels sq_pooling_reference, sq_pooling_portable;
#if defined(__x86_64__)
extern const sq_pooling_kernels sq_pooling_avx2, sq_pooling_avx512;
#endif

const sq_pooling_kernels *sq_pooling_kernels_for(sq_isa isa) {
  if (!sq_isa_available(isa)) return NULL;
  switch (isa) {
    case SQ_ISA_REFERENCE: return &sq_pooling_reference;
    case SQ_ISA_PORTABLE: return &sq_pooling_portable;
#if defined(__x86_64__)
    case SQ_ISA_AVX2: return &sq_pooling_avx2;
    case SQ_ISA_AVX512: return &sq_pooling_avx512;
#endif
    default: return NULL;
  }
}
