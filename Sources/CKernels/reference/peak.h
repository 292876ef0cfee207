#ifndef SQ_REFERENCE_PEAK_H
#define SQ_REFERENCE_PEAK_H

#include <stdint.h>

/// One multiply-add at a time, each waiting for the one before.
static double peak_fma(int64_t iterations) {
  volatile float a = 1;
  for (int64_t n = 0; n < iterations; n++) a = a * 0.999999f + 1e-7f;
  return 2.0 * (double)iterations;
}

#endif
