#include "float_convolution_private.h"

const sq_convolution_kernels *sq_convolution_kernels_for(sq_isa isa) {
  return sq_isa_available(isa) ? &sq_float_convolution_reference : NULL;
}
