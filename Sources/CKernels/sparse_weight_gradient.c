#include "sparse_weight_gradient_tables.h"

const sq_sparse_weight_gradient_kernels *sq_sparse_weight_gradient_kernels_for(sq_isa isa) {
  return sq_isa_available(isa) ? &sq_sparse_weight_gradient_reference : NULL;
}
