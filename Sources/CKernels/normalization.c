#include "normalization.h"

extern const sq_normalization_kernels sq_normalization_reference;

const sq_normalization_kernels *sq_normalization_kernels_for(sq_isa isa) {
  return sq_isa_available(isa) ? &sq_normalization_reference : NULL;
}
