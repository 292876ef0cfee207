#include "integer_convolution_tables.h"

const sq_integer_convolution_kernels *sq_integer_convolution_kernels_for(sq_isa isa) {
  return sq_isa_available(isa) ? &sq_integer_convolution_reference : NULL;
}
