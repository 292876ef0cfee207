#include "normalization.h"

extern const sq_normalization_kernels sq_normalization_reference, sq_normalization_portable;
#if defined(__x86_64__)
extern const sq_normalization_kernels sq_normalization_avx2, sq_normalization_avx512;
#endif

const sq_normalization_kernels *sq_normalization_kernels_for(sq_isa isa) {
  if (!sq_isa_available(isa)) return NULL;
  switch (isa) {
    case SQ_ISA_REFERENCE: return &sq_normalization_reference;
    case SQ_ISA_PORTABLE: return &sq_normalization_portable;
#if defined(__x86_64__)
    case SQ_ISA_AVX2: return &sq_normalization_avx2;
    case SQ_ISA_AVX512: return &sq_normalization_avx512;
#endif
    default: return NULL;
  }
}
