#ifndef SQ_DEPTHWISE_H
#define SQ_DEPTHWISE_H

// Depthwise convolution, one channel a group: forward in floats and in integers, and the input gradient.
//
// Vectors run over channels. A value of the target is the sum, over the taps that reach its pixel, of source times
// weight; for the input gradient the target is the input. Target columns that the same taps reach, one source column
// after the other, form a run: the interior of a row is one run for each residue modulo the stride, and columns at the
// borders are runs of their own, so that nothing is padded or copied. A tile of a run's pixels is worked on for all
// channels at a time, its weights loaded once for all pixels.
// Levels are multiplied as 16-bit integers; their sums take 16 bits where those hold any sum, else 32.

#include "../include/integer_convolution.h"
#include "../target/arithmetic.h"
#include "../target/vector.h"
#include "reach.h"

enum {
  depthwise_pixels = 4,        // of a tile, at most
  depthwise_float_pixels = 2,  // of one of floats: more of them are more streams than the processor foresees
  depthwise_vectors = 2,
  depthwise_flush = 4  // tiles whose sums are added in floats before they are added in doubles
};

static int is_depthwise(const sq_conv *s) {
  return s->groups > 1 && s->in_channels == s->groups && s->out_channels == s->groups;
}

/// Channels of packed weights and of sums: whole vectors of 16-bit integers.
static size_t depthwise_channels(const sq_conv *s) { return round_up_size(s->in_channels, 2 * SQ_LANES); }

static size_t depthwise_packed_count(const sq_conv *s) {
  return (size_t)s->kernel_height * s->kernel_width * depthwise_channels(s);
}

/// Packed: [tap][channel].
static void depthwise_pack(const sq_conv *s, const float *weights, float *packed) {
  const size_t taps = (size_t)s->kernel_height * s->kernel_width, channels = depthwise_channels(s);
  memset(packed, 0, depthwise_packed_count(s) * sizeof(float));
  for (size_t c = 0; c < (size_t)s->in_channels; c++)
    for (size_t tap = 0; tap < taps; tap++) packed[tap * channels + c] = *weights++;
}

// MARK: - Runs

/// Target columns target, target + target_step, ... that `taps` taps reach: the first of them is `tap`, which reaches
/// the first target from the source's column `source`.
typedef struct depthwise_run {
  int32_t target, count, source, tap, taps;
} depthwise_run;

/// How targets, sources and taps follow each other.
typedef struct depthwise_steps {
  int32_t target, source;   // columns from one of a run's pixels to the next
  int32_t tap, tap_column;  // from one of a run's taps to the next: taps, and source columns
} depthwise_steps;

static depthwise_steps steps_of(const axis *columns) {
  if (columns->transposed) return (depthwise_steps){columns->stride, 1, columns->stride, -1};
  return (depthwise_steps){1, columns->stride, 1, 1};
}

/// Returns how many there are, at most one a column. `reach` has space for find_reach.
static int32_t find_runs(const axis *columns, int32_t width, depthwise_run *runs, int32_t *reach) {
  const int32_t step = steps_of(columns).target;
  int32_t count = 0;
  for (int32_t first = 0; first < smaller(step, width); first++)
    for (int32_t x = first; x < width; x += step) {
      find_reach(columns, x, reach);
      const int32_t taps = reach[0], tap = taps ? reach[1] : 0;
      depthwise_run *last = runs + count - 1;
      if (x > first && last->taps == taps && last->tap == tap)
        last->count++;
      else
        runs[count++] = (depthwise_run){x, 1, taps ? reach[2] : 0, tap, taps};
    }
  return count;
}

/// Cuts runs into tiles of `pixels` pixels and of one, in the order of their first targets, so that memory is
/// walked through in one direction. Uses up the runs; returns how many tiles there are, at most one a column.
static int32_t find_tiles(
    const depthwise_steps *steps, int32_t pixels, depthwise_run *runs, int32_t count, depthwise_run *tiles) {
  int32_t found = 0;
  for (;; found++) {
    depthwise_run *next = NULL;
    for (depthwise_run *run = runs; run < runs + count; run++)
      if (run->count > 0 && (!next || run->target < next->target)) next = run;
    if (!next) return found;
    depthwise_run *tile = tiles + found;
    *tile = *next;
    tile->count = tile->count < pixels ? 1 : pixels;
    next->target += tile->count * steps->target;
    next->source += tile->count * steps->source;
    next->count -= tile->count;
  }
}

typedef struct depthwise_scratch {
  depthwise_run *runs, *tiles;
  int32_t *reach;
  float *bias, *totals;
  size_t bytes;
} depthwise_scratch;

static depthwise_scratch lay_out_depthwise(const sq_conv *s, int32_t target_width, void *scratch) {
  char *base = scratch;
  depthwise_scratch result;
  size_t at = 0;
  result.runs = (depthwise_run *)(base + take(&at, (size_t)target_width * sizeof(depthwise_run)));
  result.tiles = (depthwise_run *)(base + take(&at, (size_t)target_width * sizeof(depthwise_run)));
  result.reach = (int32_t *)(base + take(&at, (1 + 2 * (size_t)larger(s->kernel_height, s->kernel_width)) * 4));
  result.bias = (float *)(base + take(&at, depthwise_channels(s) * sizeof(float)));
  result.totals = (float *)(base + take(&at, 2 * depthwise_channels(s) * sizeof(float)));
  result.bytes = at;
  return result;
}

static size_t depthwise_scratch_bytes(const sq_conv *s) {
  char base[1];
  return lay_out_depthwise(s, larger(s->in_width, s->out_width), base).bytes;
}

// MARK: - Tiles

/// What a tile's sums are formed in.
typedef enum depthwise_kind { depthwise_floats, depthwise_words, depthwise_integers } depthwise_kind;

/// Some pixels of a run and the source rows that reach them. Offsets count elements.
typedef struct depthwise_tile {
  const void *source, *weights;  // floats; levels: bytes and 16-bit integers
  const int32_t *reach;          // the rows: count, then (kernel row, source row) pairs
  ptrdiff_t source_row, weight_row;
  int32_t taps;
  ptrdiff_t pixel_step, tap_step, tap_weights;
  int32_t channels;
  size_t whole_channels;
  float scale;
  const float *bias;
  float *output;      // NULL: not wanted
  int32_t *integers;  // the same, unscaled; NULL: not wanted
  int16_t *shorts;    // the same, where they fit; NULL: not wanted
  ptrdiff_t output_step;
  float *totals;  // [2][whole_channels], values and squares are added to it; NULL: not wanted
} depthwise_tile;

SQ_INLINE void store_lanes(void *to, const void *vector, int32_t lanes) {
  if (lanes >= SQ_LANES)
    memcpy(to, vector, 4 * SQ_LANES);
  else
    memcpy(to, vector, 4 * (size_t)lanes);
}

/// Writes a vector of channels of each pixel.
SQ_INLINE void write_depthwise(
    const depthwise_tile *t, const sq_float_vector *values, int32_t channel, const int pixels) {
  const int32_t lanes = t->channels - channel;
  if (lanes <= 0) return;
  if (t->output)
    UNROLLED_FOR (int i = 0; i < pixels; i++) store_lanes(t->output + i * t->output_step + channel, values + i, lanes);
  if (t->totals) {
    float *totals = t->totals + channel;
    sq_float_vector sum = sq_load(totals), squares = sq_load(totals + t->whole_channels);
    UNROLLED_FOR (int i = 0; i < pixels; i++) {
      sum += values[i];
      squares += values[i] * values[i];
    }
    sq_store(totals, sum);
    sq_store(totals + t->whole_channels, squares);
  }
}

SQ_INLINE void write_depthwise_integers(
    const depthwise_tile *t, const sq_int_vector *sums, int32_t channel, const int pixels) {
  const int32_t lanes = t->channels - channel;
  if (lanes <= 0) return;
  sq_float_vector values[depthwise_pixels];
  const sq_float_vector bias = sq_load(t->bias + channel);
  UNROLLED_FOR (int i = 0; i < pixels; i++) {
    values[i] = t->scale * __builtin_convertvector(sums[i], sq_float_vector) + bias;
    if (t->integers) store_lanes(t->integers + i * t->output_step + channel, sums + i, lanes);
    if (t->shorts) {
      const sq_short_vector shorts = __builtin_convertvector(sums[i], sq_short_vector);
      int16_t *to = t->shorts + i * t->output_step + channel;
      if (lanes >= SQ_LANES)
        *(sq_short_vector_unaligned *)to = shorts;
      else
        memcpy(to, &shorts, 2 * (size_t)lanes);
    }
  }
  write_depthwise(t, values, channel, pixels);
}

/// `vectors` vectors of channels of each pixel.
SQ_INLINE void depthwise_float_vectors(
    const depthwise_tile *t, int32_t c, const int pixels, const int taps, const int vectors) {
  sq_float_vector sums[2 * depthwise_vectors][depthwise_pixels];
  UNROLLED_FOR (int v = 0; v < vectors; v++)
    UNROLLED_FOR (int i = 0; i < pixels; i++) sums[v][i] = sq_load(t->bias + c + v * SQ_LANES);
  for (int32_t row = 0; row < t->reach[0]; row++) {
    const float *x = (const float *)t->source + t->reach[2 + 2 * row] * t->source_row + c;
    const float *w = (const float *)t->weights + t->reach[1 + 2 * row] * t->weight_row + c;
    for (int32_t tap = 0; tap < taps; tap++, x += t->tap_step, w += t->tap_weights)
      UNROLLED_FOR (int v = 0; v < vectors; v++) {
        const sq_float_vector weight = sq_load(w + v * SQ_LANES);
        UNROLLED_FOR (int i = 0; i < pixels; i++) sums[v][i] += sq_load(x + i * t->pixel_step + v * SQ_LANES) * weight;
      }
  }
  UNROLLED_FOR (int v = 0; v < vectors; v++) write_depthwise(t, sums[v], c + v * SQ_LANES, pixels);
}

typedef int16_t word_vector __attribute__((vector_size(4 * SQ_LANES)));
typedef word_vector word_vector_unaligned __attribute__((aligned(2), may_alias));
typedef uint8_t level_vector __attribute__((vector_size(2 * SQ_LANES)));
typedef level_vector level_vector_unaligned __attribute__((aligned(1), may_alias));

/// Two vectors of channels, whose sums fit 16 bits.
SQ_INLINE void depthwise_word_vectors(const depthwise_tile *t, int32_t c, const int pixels, const int taps) {
  word_vector sums[depthwise_pixels];
  UNROLLED_FOR (int i = 0; i < pixels; i++) sums[i] = (word_vector){};
  for (int32_t row = 0; row < t->reach[0]; row++) {
    const uint8_t *x = (const uint8_t *)t->source + t->reach[2 + 2 * row] * t->source_row + c;
    const int16_t *w = (const int16_t *)t->weights + t->reach[1 + 2 * row] * t->weight_row + c;
    for (int32_t tap = 0; tap < taps; tap++, x += t->tap_step, w += t->tap_weights) {
      const word_vector weight = *(const word_vector_unaligned *)w;
      UNROLLED_FOR (int i = 0; i < pixels; i++)
        sums[i] +=
            __builtin_convertvector(*(const level_vector_unaligned *)(x + i * t->pixel_step), word_vector) * weight;
    }
  }
  for (int half = 0; half < 2; half++) {
    sq_int_vector wide[depthwise_pixels];
    UNROLLED_FOR (int i = 0; i < pixels; i++)
      wide[i] = __builtin_convertvector(((const sq_short_vector *)(sums + i))[half], sq_int_vector);
    write_depthwise_integers(t, wide, c + half * SQ_LANES, pixels);
  }
}

/// A vector of channels in 32 bits. A level fills the low half of a lane alone, so that the pairs' upper product is 0.
SQ_INLINE void depthwise_integer_vector(const depthwise_tile *t, int32_t c, const int pixels, const int taps) {
  sq_int_vector sums[depthwise_pixels];
  UNROLLED_FOR (int i = 0; i < pixels; i++) sums[i] = (sq_int_vector){};
  for (int32_t row = 0; row < t->reach[0]; row++) {
    const uint8_t *x = (const uint8_t *)t->source + t->reach[2 + 2 * row] * t->source_row + c;
    const int16_t *w = (const int16_t *)t->weights + t->reach[1 + 2 * row] * t->weight_row + c;
    for (int32_t tap = 0; tap < taps; tap++, x += t->tap_step, w += t->tap_weights) {
      const sq_int_vector weight = __builtin_convertvector(*(const sq_short_vector_unaligned *)w, sq_int_vector);
      UNROLLED_FOR (int i = 0; i < pixels; i++)
        sums[i] += sq_multiply_pairs(
            __builtin_convertvector(*(const sq_byte_vector_unaligned *)(x + i * t->pixel_step), sq_int_vector), weight);
    }
  }
  write_depthwise_integers(t, sums, c, pixels);
}

SQ_INLINE void multiply_depthwise_tile(
    const depthwise_tile *tile, const depthwise_kind kind, const int pixels, const int taps) {
  const depthwise_tile copy = *tile, *t = &copy;  // the stores to the output cannot change it
  int32_t c = 0;
  if (kind == depthwise_words)
    for (; c < t->channels; c += 2 * SQ_LANES) depthwise_word_vectors(t, c, pixels, taps);
  if (kind == depthwise_floats && pixels == 1)
    for (; c + 2 * depthwise_vectors * SQ_LANES <= t->channels; c += 2 * depthwise_vectors * SQ_LANES)
      depthwise_float_vectors(t, c, pixels, taps, 2 * depthwise_vectors);
  if (kind == depthwise_floats)
    for (; c + depthwise_vectors * SQ_LANES <= t->channels; c += depthwise_vectors * SQ_LANES)
      depthwise_float_vectors(t, c, pixels, taps, depthwise_vectors);
  for (; c < t->channels; c += SQ_LANES) {
    if (kind == depthwise_floats)
      depthwise_float_vectors(t, c, pixels, taps, 1);
    else
      depthwise_integer_vector(t, c, pixels, taps);
  }
}

#define DEPTHWISE_TILES(kind, most)                                                                   \
  static __attribute__((noinline)) void multiply_##kind##_tile(const depthwise_tile *t, int pixels) { \
    if (pixels == most && t->taps == 3)                                                               \
      multiply_depthwise_tile(t, kind, most, 3);                                                      \
    else if (pixels == most)                                                                          \
      multiply_depthwise_tile(t, kind, most, t->taps);                                                \
    else if (t->taps == 2)                                                                            \
      multiply_depthwise_tile(t, kind, 1, 2);                                                         \
    else if (t->taps == 1)                                                                            \
      multiply_depthwise_tile(t, kind, 1, 1);                                                         \
    else                                                                                              \
      multiply_depthwise_tile(t, kind, 1, t->taps);                                                   \
  }
DEPTHWISE_TILES(depthwise_floats, depthwise_float_pixels)
DEPTHWISE_TILES(depthwise_words, depthwise_pixels)
DEPTHWISE_TILES(depthwise_integers, depthwise_pixels)
#undef DEPTHWISE_TILES

/// Adds the floats' totals to the doubles and clears them.
static void flush_depthwise_totals(float *totals, size_t whole_channels, int32_t channels, double *statistics) {
  for (int32_t k = 0; k < 2; k++, totals += whole_channels, statistics += channels)
    for (int32_t c = 0; c < channels; c++) statistics[c] += (double)totals[c], totals[c] = 0;
}

/// Lines that are soon read, fetched a few at a time: the many short streams of a tile are not foreseen by the
/// processor.
typedef struct depthwise_prefetch {
  const char *next, *end;
  int32_t lines;  // a tile
} depthwise_prefetch;

SQ_INLINE void fetch_ahead(depthwise_prefetch *ahead) {
  for (int32_t line = 0; line < ahead->lines && ahead->next < ahead->end; line++, ahead->next += 64)
    __builtin_prefetch(ahead->next, 0, 2);
}

/// What the passes of all kinds share: `tile` holds what is the same for the whole batch.
static void depthwise_pass(
    const sq_conv *s, depthwise_tile tile, const depthwise_kind kind, const int transposed, const float *bias,
    double *statistics, int32_t first, int32_t count, void *scratch) {
  const side target = transposed ? input_side(s) : output_side(s), source = transposed ? output_side(s) : input_side(s);
  const depthwise_scratch work = lay_out_depthwise(s, target.width, scratch);
  const axis rows = {s->kernel_height, s->stride_y, s->pad_top, source.height, transposed};
  const axis columns = {s->kernel_width, s->stride_x, s->pad_left, source.width, transposed};
  const depthwise_steps steps = steps_of(&columns);
  const int32_t runs = find_runs(&columns, target.width, work.runs, work.reach);
  // One at a time where a run leaves columns out, so that the target is written in order.
  const int32_t pixels = steps.target > 1 ? 1 : kind == depthwise_floats ? depthwise_float_pixels : depthwise_pixels;
  const int32_t tiles = find_tiles(&steps, pixels, work.runs, runs, work.tiles);
  const size_t element = kind == depthwise_floats ? sizeof(float) : 1;
  const size_t weight = kind == depthwise_floats ? sizeof(float) : sizeof(int16_t);
  const char *all_sources = tile.source, *all_weights = tile.weights;
  float *all_outputs = tile.output;
  int32_t *all_integers = tile.integers;
  int16_t *all_shorts = tile.shorts;

  tile.reach = work.reach;
  tile.channels = target.channels;
  tile.whole_channels = depthwise_channels(s);
  tile.source_row = (ptrdiff_t)source.width * source.channels;
  tile.weight_row = (ptrdiff_t)s->kernel_width * (ptrdiff_t)tile.whole_channels;
  tile.pixel_step = (ptrdiff_t)steps.source * source.channels;
  tile.tap_step = (ptrdiff_t)steps.tap_column * source.channels;
  tile.tap_weights = steps.tap * (ptrdiff_t)tile.whole_channels;
  tile.output_step = (ptrdiff_t)steps.target * target.channels;
  tile.bias = work.bias;
  tile.totals = statistics ? work.totals : NULL;
  memset(work.bias, 0, tile.whole_channels * sizeof(float));
  if (bias) memcpy(work.bias, bias, target.channels * sizeof(float));
  memset(work.totals, 0, 2 * tile.whole_channels * sizeof(float));
  if (statistics) memset(statistics, 0, 2 * (size_t)target.channels * sizeof(double));

  // The source rows that the next target row meets first.
  const size_t row_bytes = (size_t)tile.source_row * element;
  const size_t ahead_bytes = transposed ? row_bytes : row_bytes * s->stride_y;
  const char *const end = all_sources + (size_t)(first + count) * side_image(&source) * element;
  depthwise_prefetch ahead = {.lines = divide_up((int32_t)(ahead_bytes / 64) + 1, tiles)};
  for (int32_t n = first; n < first + count; n++)
    for (int32_t y = 0; y < target.height; y++) {
      find_reach(&rows, y, work.reach);
      if (work.reach[0] > 0) {
        const int32_t last = larger(work.reach[2], work.reach[2 * work.reach[0]]);
        ahead.next = all_sources + n * side_image(&source) * element + (last + 1) * row_bytes;
        ahead.end = ahead.next + ahead_bytes < end ? ahead.next + ahead_bytes : end;
      }
      for (int32_t at = 0; at < tiles; at++) {
        const depthwise_run *place = work.tiles + at;
        const size_t from = n * side_image(&source) + (size_t)place->source * source.channels;
        const size_t to = n * side_image(&target) + ((size_t)y * target.width + place->target) * target.channels;
        fetch_ahead(&ahead);
        tile.source = all_sources + from * element;
        tile.weights = all_weights + place->tap * tile.whole_channels * weight;
        tile.taps = place->taps;
        tile.output = all_outputs ? all_outputs + to : NULL;
        tile.integers = all_integers ? all_integers + to : NULL;
        tile.shorts = all_shorts ? all_shorts + to : NULL;
        if (kind == depthwise_floats)
          multiply_depthwise_floats_tile(&tile, place->count);
        else if (kind == depthwise_words)
          multiply_depthwise_words_tile(&tile, place->count);
        else
          multiply_depthwise_integers_tile(&tile, place->count);
        if (statistics && (at + 1) % depthwise_flush == 0)
          flush_depthwise_totals(work.totals, tile.whole_channels, target.channels, statistics);
      }
      if (statistics) flush_depthwise_totals(work.totals, tile.whole_channels, target.channels, statistics);
    }
}

// MARK: - Floats

static void depthwise_forward(
    const sq_conv *s, const float *input, const float *packed, const float *bias, float *output, double *statistics,
    int32_t first, int32_t count, void *scratch) {
  const depthwise_tile tile = {.source = input, .weights = packed, .output = output};
  depthwise_pass(s, tile, depthwise_floats, 0, bias, statistics, first, count, scratch);
}

static void depthwise_backward_input(
    const sq_conv *s, const float *output_gradient, const float *packed, float *input_gradient, int32_t first,
    int32_t count, void *scratch) {
  const depthwise_tile tile = {.source = output_gradient, .weights = packed, .output = input_gradient};
  depthwise_pass(s, tile, depthwise_floats, 1, NULL, NULL, first, count, scratch);
}

// MARK: - Levels

static size_t depthwise_level_bytes(const sq_conv *s) { return depthwise_packed_count(s) * sizeof(int16_t); }

/// Packed: [tap][channel], 16-bit integers.
static void depthwise_pack_levels(const sq_conv *s, const int8_t *weights, int16_t *packed) {
  const size_t taps = (size_t)s->kernel_height * s->kernel_width, channels = depthwise_channels(s);
  memset(packed, 0, depthwise_level_bytes(s));
  for (size_t c = 0; c < (size_t)s->in_channels; c++)
    for (size_t tap = 0; tap < taps; tap++) packed[tap * channels + c] = *weights++;
}

static void depthwise_forward_levels(
    const sq_conv *s, const uint8_t *input, const int16_t *packed, int32_t max_input, int32_t max_weight, float scale,
    const float *bias, float *output, int32_t *sums, int16_t *short_sums, double *statistics, int32_t first,
    int32_t count, void *scratch) {
  const depthwise_tile tile = {
      .source = input, .weights = packed, .scale = scale, .output = output, .integers = sums, .shorts = short_sums};
  const int64_t largest = (int64_t)s->kernel_height * s->kernel_width * max_input * max_weight;
  if (largest <= INT16_MAX)
    depthwise_pass(s, tile, depthwise_words, 0, bias, statistics, first, count, scratch);
  else
    depthwise_pass(s, tile, depthwise_integers, 0, bias, statistics, first, count, scratch);
}

#endif
