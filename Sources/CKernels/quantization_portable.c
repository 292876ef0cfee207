// quantization.h for the build's default target.
#define TABLE sq_quantization_portable
#include "quantization_kernels.h"
