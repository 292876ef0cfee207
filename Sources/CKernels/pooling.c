#include "pooling.h"

extern const sq_pooling_kernels sq_pooling_reference;

const sq_pooling_kernels *sq_pooling_kernels_for(sq_isa isa) {
  return sq_isa_available(isa) ? &sq_pooling_reference : NULL;
}
