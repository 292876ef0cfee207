#include "quantization.h"

extern const sq_quantization_kernels sq_quantization_reference;

const sq_quantization_kernels *sq_quantization_kernels_for(sq_isa isa) {
  return sq_isa_available(isa) ? &sq_quantization_reference : NULL;
}
