// Plain scalar loops in the order of the formulas: what the kernels of every instruction set are checked against.

#include "include/kernels.h"
#include "reference/convolution.h"
#include "reference/integer_convolution.h"
#include "reference/integer_weight_gradient.h"
#include "reference/normalization.h"
#include "reference/peak.h"
#include "reference/pooling.h"
#include "reference/quantization.h"
#include "reference/sparse_weight_gradient.h"

#define SQ_NAME(name) name##_reference
#define SQ_ISA_NAME "reference"
#include "target/table.h"
