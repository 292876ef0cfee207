#ifndef SQ_PEAK_H
#define SQ_PEAK_H

#include <stddef.h>

#include "cpu.h"

/// Runs `iterations` rounds of independent fused multiply-adds kept in registers, as many as the instruction set needs to
/// hide their latency, and returns the floating-point operations done (two a multiply-add). The caller takes the time.
double sq_peak_fma(sq_isa isa, long iterations);

/// Copies `count` floats from `source` to `target` with ordinary loads and stores; the bytes moved are 8 * count.
void sq_peak_copy(const float *source, float *target, size_t count);

#endif
