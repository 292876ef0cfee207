#ifndef SQ_SPARSE_WEIGHT_GRADIENT_TABLES_H
#define SQ_SPARSE_WEIGHT_GRADIENT_TABLES_H

#include "include/sparse_weight_gradient.h"

extern const sq_sparse_weight_gradient_kernels sq_sparse_weight_gradient_reference;

#endif
