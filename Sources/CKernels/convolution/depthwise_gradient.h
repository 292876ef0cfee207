#ifndef SQ_DEPTHWISE_GRADIENT_H
#define SQ_DEPTHWISE_GRADIENT_H

// The weight gradient of depthwise convolutions, dense and of unfrozen weights alone.
//
// Vectors run over channels, so single weights cannot be left out: where some are frozen, the kernel rows of a block of
// channels that have no unfrozen weight are.

#include "../include/sparse_weight_gradient.h"
#include "../target/arithmetic.h"
#include "../target/vector.h"
#include "depthwise.h"

enum { depthwise_block = depthwise_vectors * SQ_LANES, depthwise_taps = 3 };

/// A run of pixels with one row of the input, for a block of channels. Steps count elements.
typedef struct gradient_run {
  const float *floats;    // the input: these,
  const uint8_t *levels;  // or these
  ptrdiff_t pixel_step, tap_step;
  const float *gradient;
  ptrdiff_t gradient_step;
  int32_t pixels;
  float *sums;  // of the first tap
  ptrdiff_t sums_step;
} gradient_run;

SQ_INLINE sq_float_vector load_input(const gradient_run *r, ptrdiff_t at) {
  return r->floats ? sq_load(r->floats + at) : sq_load_u8(r->levels + at);
}

/// Adds the products of `taps` taps. `slide`: the next pixel meets the same columns but one, which are kept.
SQ_INLINE void add_gradient_run(const gradient_run *r, const int taps, const int vectors, const int slide) {
  sq_float_vector sums[depthwise_taps][depthwise_vectors], x[depthwise_taps][depthwise_vectors];
  UNROLLED_FOR (int tap = 0; tap < taps; tap++)
    UNROLLED_FOR (int v = 0; v < vectors; v++) {
      sums[tap][v] = sq_load(r->sums + tap * r->sums_step + v * SQ_LANES);
      if (slide && tap < taps - 1) x[tap][v] = load_input(r, tap * r->tap_step + v * SQ_LANES);
    }
  ptrdiff_t at = 0;
  const float *gradient = r->gradient;
#pragma clang loop unroll_count(3)
  for (int32_t i = 0; i < r->pixels; i++, at += r->pixel_step, gradient += r->gradient_step)
    UNROLLED_FOR (int v = 0; v < vectors; v++) {
      const sq_float_vector g = sq_load(gradient + v * SQ_LANES);
      UNROLLED_FOR (int tap = slide ? taps - 1 : 0; tap < taps; tap++)
        x[tap][v] = load_input(r, at + tap * r->tap_step + v * SQ_LANES);
      UNROLLED_FOR (int tap = 0; tap < taps; tap++) sums[tap][v] += x[tap][v] * g;
      if (slide)
        UNROLLED_FOR (int tap = 0; tap < taps - 1; tap++) x[tap][v] = x[tap + 1][v];
    }
  UNROLLED_FOR (int tap = 0; tap < taps; tap++)
    UNROLLED_FOR (int v = 0; v < vectors; v++) sq_store(r->sums + tap * r->sums_step + v * SQ_LANES, sums[tap][v]);
}

SQ_INLINE void add_gradient_taps(gradient_run r, int32_t taps, const int vectors, const int slide) {
  if (taps == depthwise_taps) {
    add_gradient_run(&r, depthwise_taps, vectors, slide);
    return;
  }
  for (int32_t tap = 0; tap < taps; tap++, r.sums += r.sums_step) {
    add_gradient_run(&r, 1, vectors, 0);
    if (r.floats) r.floats += r.tap_step;
    if (r.levels) r.levels += r.tap_step;
  }
}

#define GRADIENT_TAPS(name, levels_only, vectors)                                     \
  static __attribute__((noinline)) void name(const gradient_run *run, int32_t taps) { \
    gradient_run r = *run;                                                            \
    if (levels_only)                                                                  \
      r.floats = NULL;                                                                \
    else                                                                              \
      r.levels = NULL;                                                                \
    if (r.pixel_step == r.tap_step)                                                   \
      add_gradient_taps(r, taps, vectors, 1);                                         \
    else                                                                              \
      add_gradient_taps(r, taps, vectors, 0);                                         \
  }
GRADIENT_TAPS(add_float_taps, 0, depthwise_vectors)
GRADIENT_TAPS(add_last_float_taps, 0, 1)
GRADIENT_TAPS(add_level_taps, 1, depthwise_vectors)
GRADIENT_TAPS(add_last_level_taps, 1, 1)
#undef GRADIENT_TAPS

/// The gradient, [tap][channel]; `sums` of an image, `totals` of all.
typedef struct depthwise_gradient_scratch {
  depthwise_scratch passes;
  float *totals, *sums;
  size_t bytes;
} depthwise_gradient_scratch;

static depthwise_gradient_scratch lay_out_depthwise_gradient(const sq_conv *s, void *scratch) {
  char *base = scratch;
  depthwise_gradient_scratch result = {.passes = lay_out_depthwise(s, s->out_width, scratch)};
  size_t at = result.passes.bytes;
  result.totals = (float *)(base + take(&at, depthwise_packed_count(s) * sizeof(float)));
  result.sums = (float *)(base + take(&at, depthwise_packed_count(s) * sizeof(float)));
  result.bytes = at;
  return result;
}

static size_t depthwise_gradient_scratch_bytes(const sq_conv *s) {
  char base[1];
  return lay_out_depthwise_gradient(s, base).bytes;
}

/// The totals over the images [first, first + count). `needed`: a byte for each kernel row of each block of channels;
/// NULL: all are.
static void sum_depthwise_gradient(
    const sq_conv *s, const float *floats, const uint8_t *levels, const float *output_gradient, const uint8_t *needed,
    const depthwise_gradient_scratch *work, int32_t first, int32_t count) {
  const side in = input_side(s), out = output_side(s);
  const axis rows = {s->kernel_height, s->stride_y, s->pad_top, in.height, 0};
  const axis columns = {s->kernel_width, s->stride_x, s->pad_left, in.width, 0};
  const int32_t runs = find_runs(&columns, out.width, work->passes.runs, work->passes.reach);
  const size_t whole = depthwise_channels(s), sums_count = depthwise_packed_count(s);
  gradient_run r = {
      .pixel_step = (ptrdiff_t)s->stride_x * in.channels,
      .tap_step = in.channels,
      .gradient_step = out.channels,
      .sums_step = (ptrdiff_t)whole,
  };
  memset(work->totals, 0, sums_count * sizeof(float));
  for (int32_t n = first; n < first + count; n++) {
    memset(work->sums, 0, sums_count * sizeof(float));
    for (int32_t y = 0; y < out.height; y++) {
      const float *gradient = output_gradient + n * side_image(&out) + (size_t)y * out.width * out.channels;
      find_reach(&rows, y, work->passes.reach);
      for (int32_t c = 0; c < out.channels; c += depthwise_block)
        for (int32_t row = 0; row < work->passes.reach[0]; row++) {
          const int32_t ky = work->passes.reach[1 + 2 * row], in_y = work->passes.reach[2 + 2 * row];
          if (needed && !needed[c / depthwise_block * s->kernel_height + ky]) continue;
          for (const depthwise_run *run = work->passes.runs; run < work->passes.runs + runs; run++) {
            const size_t from = n * side_image(&in) + ((size_t)in_y * in.width + run->source) * in.channels + c;
            r.floats = floats ? floats + from : NULL;
            r.levels = levels ? levels + from : NULL;
            r.gradient = gradient + (size_t)run->target * out.channels + c;
            r.pixels = run->count;
            r.sums = work->sums + ((size_t)ky * s->kernel_width + run->tap) * whole + c;
            if (out.channels - c > SQ_LANES)
              (floats ? add_float_taps : add_level_taps)(&r, run->taps);
            else
              (floats ? add_last_float_taps : add_last_level_taps)(&r, run->taps);
          }
        }
    }
    for (size_t k = 0; k < sums_count; k += SQ_LANES)
      sq_store(work->totals + k, sq_load(work->totals + k) + sq_load(work->sums + k));
  }
}

static void depthwise_backward_weight(
    const sq_conv *s, const float *floats, const uint8_t *levels, const float *output_gradient, float *weight_gradient,
    int32_t first, int32_t count, void *scratch) {
  const depthwise_gradient_scratch work = lay_out_depthwise_gradient(s, scratch);
  const int32_t taps = s->kernel_height * s->kernel_width;
  sum_depthwise_gradient(s, floats, levels, output_gradient, NULL, &work, first, count);
  for (int32_t c = 0; c < s->out_channels; c++)
    for (int32_t tap = 0; tap < taps; tap++) *weight_gradient++ = work.totals[tap * depthwise_channels(s) + c];
}

// MARK: - Unfrozen weights alone

/// What is needed, as `sum_depthwise_gradient` reads it, then a byte a weight: nonzero where it is frozen.
static size_t depthwise_needed_bytes(const sq_conv *s) {
  return (size_t)divide_up(s->out_channels, depthwise_block) * s->kernel_height;
}

static size_t depthwise_index_bytes(const sq_conv *s) {
  return depthwise_needed_bytes(s) + (size_t)s->out_channels * s->kernel_height * s->kernel_width;
}

static void depthwise_index_build(const sq_conv *s, const uint8_t *frozen, void *buffer) {
  uint8_t *index = buffer;
  const int32_t taps = s->kernel_height * s->kernel_width;
  memset(index, 0, depthwise_needed_bytes(s));
  memcpy(index + depthwise_needed_bytes(s), frozen, (size_t)s->out_channels * taps);
  for (int32_t c = 0; c < s->out_channels; c++)
    for (int32_t tap = 0; tap < taps; tap++)
      if (!*frozen++) index[c / depthwise_block * s->kernel_height + tap / s->kernel_width] = 1;
}

static void depthwise_backward_unfrozen(
    const sq_conv *s, const float *floats, const uint8_t *levels, const float *output_gradient, const uint8_t *index,
    float *weight_gradient, int32_t first, int32_t count, void *scratch) {
  const depthwise_gradient_scratch work = lay_out_depthwise_gradient(s, scratch);
  const int32_t taps = s->kernel_height * s->kernel_width;
  const uint8_t *frozen = index + depthwise_needed_bytes(s);
  sum_depthwise_gradient(s, floats, levels, output_gradient, index, &work, first, count);
  for (int32_t c = 0; c < s->out_channels; c++)
    for (int32_t tap = 0; tap < taps; tap++, weight_gradient++)
      if (!*frozen++) *weight_gradient += work.totals[tap * depthwise_channels(s) + c];
}

#endif
