#ifndef SQ_SOFTMAX_H
#define SQ_SOFTMAX_H

#include <stdint.h>

/// `softmax_cross_entropy` of every table: bound by exponentials in double on a few kilobytes, it has no faster form.
void sq_softmax_cross_entropy(
    const float *logits, const int32_t *labels, int32_t classes, float scale, int32_t first, int32_t count,
    double *losses, int32_t *rank, float *gradient);

#endif
