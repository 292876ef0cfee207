// pooling.h for the build's default target.
#define TABLE sq_pooling_portable
#include "pooling_kernels.h"
