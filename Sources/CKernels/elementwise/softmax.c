#include "softmax.h"

#include <math.h>
#include <stddef.h>

void sq_softmax_cross_entropy(
    const float *logits, const int32_t *labels, int32_t classes, float scale, int32_t first, int32_t count,
    double *losses, int32_t *rank, float *gradient) {
  for (int32_t row = first; row < first + count; row++) {
    const float *z = logits + (int64_t)row * classes;
    int32_t label = labels[row], ahead = 0, defined = 1;
    float largest = z[0];
    for (int32_t k = 0; k < classes; k++) {
      if (z[k] > largest) largest = z[k];
      ahead += z[k] > z[label] || (z[k] == z[label] && k < label);
      defined &= isfinite(z[k]) != 0;
    }
    // The largest logit is taken off first, so that no exponential overflows.
    double total = 0;
    for (int32_t k = 0; k < classes; k++) total += exp((double)z[k] - largest);
    losses[row] = log(total) - ((double)z[label] - largest);
    rank[row] = defined ? ahead : INT32_MAX;
    if (!gradient) continue;
    float *to = gradient + (int64_t)row * classes;
    for (int32_t k = 0; k < classes; k++) to[k] = (float)(scale * (exp((double)z[k] - largest) / total - (k == label)));
  }
}
