#include "quantization.h"

extern const sq_quantization_kernels sq_quantization_reference, sq_quantization_portable;
#if defined(__x86_64__)
extern const sq_quantization_kernels sq_quantization_avx2, sq_quantization_avx512;
#endif

const sq_quantization_kernels *sq_quantization_kernels_for(sq_isa isa) {
  if (!sq_isa_available(isa)) return NULL;
  switch (isa) {
    case SQ_ISA_REFERENCE: return &sq_quantization_reference;
    case SQ_ISA_PORTABLE: return &sq_quantization_portable;
#if defined(__x86_64__)
    case SQ_ISA_AVX2: return &sq_quantization_avx2;
    case SQ_ISA_AVX512: return &sq_quantization_avx512;
#endif
    default: return NULL;
  }
}
