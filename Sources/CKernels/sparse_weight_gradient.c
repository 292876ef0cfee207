#include "sparse_weight_gradient_tables.h"

const sq_sparse_weight_gradient_kernels *sq_sparse_weight_gradient_kernels_for(sq_isa isa) {
  if (!sq_isa_available(isa)) return NULL;
  switch (isa) {
    case SQ_ISA_REFERENCE: return &sq_sparse_weight_gradient_reference;
    case SQ_ISA_PORTABLE: return &sq_sparse_weight_gradient_portable;
#if defined(__x86_64__)
    case SQ_ISA_AVX2: return &sq_sparse_weight_gradient_avx2;
    case SQ_ISA_AVX512: return &sq_sparse_weight_gradient_avx512;
#endif
    default: return NULL;
  }
}
