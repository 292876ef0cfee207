// normalization.h for the build's default target.
#define TABLE sq_normalization_portable
#include "normalization_kernels.h"
