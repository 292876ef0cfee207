#ifndef SQ_SPARSE_H
#define SQ_SPARSE_H

// The weight gradient of unfrozen weights alone. One channel a group: depthwise_gradient.h.
//
// The gradient of one weight is a dot product over pixels: of an input channel, shifted by the weight's tap, and an
// output gradient's channel. Vectors run over pixels here. The batch is cut into pieces of a few hundred pixels; a
// piece of both operands is copied channel by channel, so that every dot product becomes a run over contiguous memory.
//
// All runs of the input start at whole vectors, whatever the tap: loads that cross cache lines would halve the speed.
// A row of kernel taps shifts the input by whole rows. For a kernel column it is the output gradient that is shifted,
// the other way, with zeros for the columns outside of the image: one copy of the gradient for each shift. With
// strides, the input is separated by the rows' and columns' positions modulo the stride, its classes.
//
// - A window is what stays in the first-level cache: some input channels' columns of one class, each channel as
//   [row class][row][image][column], every row of all images rounded up to whole vectors.
// - The packed gradient of a block of output channels, [channel][copy][row][image][column], stays in the
//   second-level cache.
// - The unfrozen weights of one output channel and kernel column within a window form groups of up to twelve, which
//   share the loads of the output gradient and keep their sums in registers for the whole run: about one load a
//   multiply-add, what the machine sustains.
//
// Of integers the operands are 16-bit, a vector holds twice as many pixels, and neighbours' products are added in pairs
// (integer_weight_gradient.h, whose dense gradients have the same bits). A lane's sum over a piece fits 32 bits
// whatever the levels: at most 2 * max_run / SQ_LANES products. Sums over lanes and pieces are `wide` where they might
// not.
//
// The index holds what depends on the shape and the mask alone: for every group where its runs start and which weights
// it computes.

#include "../include/sparse_weight_gradient.h"
#include "../target/arithmetic.h"
#include "../target/vector.h"
#include "depthwise_gradient.h"
#include "integer_weight_gradient.h"
#include "sparse_index.h"
#include "sparse_packing.h"

/// Of two places in one buffer.
static inline const char *earlier(const char *a, const char *b) { return a < b ? a : b; }

/// Adds the lanes of each of up to eight vectors to the totals.
#if SQ_LANES == 16
#define TILE_HALVES(v) \
  (__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) + __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15))
#else
#define TILE_HALVES(v) (v)
#endif
#if SQ_LANES >= 8
#define ADD_TILE_SUMS(name, vector, element)                                                                 \
  SQ_INLINE void name(const vector *sums, int size, element *totals) {                                       \
    typedef element row __attribute__((vector_size(4 * tile_side)));                                         \
    typedef row row_unaligned __attribute__((aligned(4), may_alias));                                        \
    row half[tile_side], a[4], b[2];                                                                         \
    for (int k = 0; k < tile_side; k++) {                                                                    \
      half[k] = (row){};                                                                                     \
      if (k < size) half[k] = TILE_HALVES(sums[k]);                                                          \
    }                                                                                                        \
    for (int k = 0; k < 4; k++) {                                                                            \
      a[k] = (row){};                                                                                        \
      if (2 * k < size)                                                                                      \
        a[k] = INTERLEAVE_LOW(half[2 * k], half[2 * k + 1]) + INTERLEAVE_HIGH(half[2 * k], half[2 * k + 1]); \
    }                                                                                                        \
    for (int k = 0; k < 2; k++) {                                                                            \
      b[k] = (row){};                                                                                        \
      if (4 * k < size) b[k] = PAIRS_LOW(a[2 * k], a[2 * k + 1]) + PAIRS_HIGH(a[2 * k], a[2 * k + 1]);       \
    }                                                                                                        \
    *(row_unaligned *)totals += LOW_HALVES(b[0], b[1]) + HIGH_HALVES(b[0], b[1]);                            \
  }
#else
#define ADD_TILE_SUMS(name, vector, element)                            \
  SQ_INLINE void name(const vector *sums, int size, element *totals) {  \
    for (int k = 0; k < size; k++) {                                    \
      element sum = 0;                                                  \
      for (int lane = 0; lane < SQ_LANES; lane++) sum += sums[k][lane]; \
      totals[k] += sum;                                                 \
    }                                                                   \
  }
#endif
ADD_TILE_SUMS(add_tile_sums, sq_float_vector, float)
ADD_TILE_SUMS(add_integer_tile_sums, sq_int_vector, int32_t)
#undef ADD_TILE_SUMS
#undef TILE_HALVES

SQ_INLINE int64_t lanes_sum(sq_int_vector v) {
  int64_t sum = 0;
  for (int lane = 0; lane < SQ_LANES; lane++) sum += v[lane];
  return sum;
}

/// The dot products of `size` rows of the window with one row of the gradient. `unroll` vectors at a time have sums
/// of their own, so that there are enough independent ones to hide the latency of the multiply-adds.
SQ_INLINE void run_group(
    const char *window, const float *gradient, const run_entry *entry, int32_t run, float *totals, const int size,
    const int unroll) {
  const float *rows[max_group];
  sq_float_vector sums[max_group][8];
  UNROLLED_FOR (int k = 0; k < size; k++) {
    rows[k] = (const float *)window + entry->inputs[k];
    UNROLLED_FOR (int u = 0; u < unroll; u++) sums[k][u] = (sq_float_vector){};
  }
  intptr_t at = 0;
  for (; at <= run - unroll * SQ_LANES; at += unroll * SQ_LANES) {
    sq_float_vector x[8];
    UNROLLED_FOR (int u = 0; u < unroll; u++) x[u] = sq_load(gradient + at + u * SQ_LANES);
    UNROLLED_FOR (int k = 0; k < size; k++)
      UNROLLED_FOR (int u = 0; u < unroll; u++) sums[k][u] += x[u] * sq_load(rows[k] + at + u * SQ_LANES);
  }
  UNROLLED_FOR (int rest = unroll / 2; rest > 0; rest /= 2)
    if (at <= run - rest * SQ_LANES) {
      UNROLLED_FOR (int u = 0; u < rest; u++) {
        const sq_float_vector x = sq_load(gradient + at + u * SQ_LANES);
        UNROLLED_FOR (int k = 0; k < size; k++) sums[k][u] += x * sq_load(rows[k] + at + u * SQ_LANES);
      }
      at += rest * SQ_LANES;
    }
  sq_float_vector result[max_group];
  UNROLLED_FOR (int k = 0; k < size; k++) {
    UNROLLED_FOR (int width = unroll / 2; width > 0; width /= 2)
      UNROLLED_FOR (int u = 0; u < width; u++) sums[k][u] += sums[k][u + width];
    result[k] = sums[k][0];
  }
  for (int k = 0; k < size; k += tile_side)
    add_tile_sums(result + k, size - k < tile_side ? size - k : tile_side, totals + k);
}

/// The same of integers; `run` counts words, two pixels each.
SQ_INLINE void run_integer_group(
    const char *window, const float *gradient, const run_entry *entry, int32_t run, void *totals, const int wide,
    const int size, const int unroll) {
  const float *rows[max_group];
  sq_int_vector sums[max_group][8];
  UNROLLED_FOR (int k = 0; k < size; k++) {
    rows[k] = (const float *)(window + entry->inputs[k] * sizeof(int16_t));
    UNROLLED_FOR (int u = 0; u < unroll; u++) sums[k][u] = (sq_int_vector){};
  }
  intptr_t at = 0;
  for (; at <= run - unroll * SQ_LANES; at += unroll * SQ_LANES) {
    sq_int_vector x[8];
    UNROLLED_FOR (int u = 0; u < unroll; u++) x[u] = load_words(gradient + at + u * SQ_LANES);
    UNROLLED_FOR (int k = 0; k < size; k++)
      UNROLLED_FOR (int u = 0; u < unroll; u++)
        sums[k][u] = add_pair_products(sums[k][u], x[u], load_words(rows[k] + at + u * SQ_LANES));
  }
  UNROLLED_FOR (int rest = unroll / 2; rest > 0; rest /= 2)
    if (at <= run - rest * SQ_LANES) {
      UNROLLED_FOR (int u = 0; u < rest; u++) {
        const sq_int_vector x = load_words(gradient + at + u * SQ_LANES);
        UNROLLED_FOR (int k = 0; k < size; k++)
          sums[k][u] = add_pair_products(sums[k][u], x, load_words(rows[k] + at + u * SQ_LANES));
      }
      at += rest * SQ_LANES;
    }
  sq_int_vector result[max_group];
  UNROLLED_FOR (int k = 0; k < size; k++) {
    UNROLLED_FOR (int width = unroll / 2; width > 0; width /= 2)
      UNROLLED_FOR (int u = 0; u < width; u++) sums[k][u] += sums[k][u + width];
    result[k] = sums[k][0];
  }
  if (wide) {
    for (int k = 0; k < size; k++) ((int64_t *)totals)[k] += lanes_sum(result[k]);
    return;
  }
  for (int k = 0; k < size; k += tile_side)
    add_integer_tile_sums(result + k, size - k < tile_side ? size - k : tile_side, (int32_t *)totals + k);
}

/// What the next piece will read of the input and of the output gradient, fetched into the second-level cache a few
/// lines a run.
typedef struct sparse_prefetch {
  const char *next[2], *end[2];
  int32_t lines;  // of each, a run
} sparse_prefetch;

SQ_INLINE void prefetch_some(sparse_prefetch *ahead) {
  for (int k = 0; k < 2; k++)
    for (int32_t line = 0; line < ahead->lines && ahead->next[k] < ahead->end[k]; line++, ahead->next[k] += 64)
      __builtin_prefetch(ahead->next[k], 0, 2);
}

/// What the sums of a piece are: floats, or integers of 32 or 64 bits.
typedef enum sum_kind { float_sums, narrow_sums, wide_sums } sum_kind;

SQ_INLINE void run_entries(
    const run_entry *entry, const run_entry *end, const char *window, const char *packed, int32_t run,
    const sum_kind kind, void *totals, sparse_prefetch *ahead) {
  const size_t element = kind == float_sums ? sizeof(float) : sizeof(int16_t);
  const size_t sums_bytes = totals_stride * (kind == wide_sums ? sizeof(int64_t) : sizeof(int32_t));
#define SQ_RUNS(size, unroll)                                                                         \
  case size:                                                                                          \
    do {                                                                                              \
      const float *gradient = (const float *)(packed + entry->gradient * element);                    \
      prefetch_some(ahead);                                                                           \
      if (kind == float_sums)                                                                         \
        run_group(window, gradient, entry, run, totals, size, unroll);                                \
      else                                                                                            \
        run_integer_group(window, gradient, entry, run / 2, totals, kind == wide_sums, size, unroll); \
      totals = (char *)totals + sums_bytes;                                                           \
    } while (++entry < end && entry->count == size);                                                  \
    break;
#if SQ_REGISTERS == 32
  enum { few = 4, many = 2 };
#else
  enum { few = 2, many = 1 };
#endif
  while (entry < end) switch (entry->count) {
      SQ_RUNS(1, 8)
      SQ_RUNS(2, 4)
      SQ_RUNS(3, 4)
      SQ_RUNS(4, few)
      SQ_RUNS(5, few)
      SQ_RUNS(6, few)
      SQ_RUNS(7, 2)
      SQ_RUNS(8, many)
      SQ_RUNS(9, many)
      SQ_RUNS(10, many)
      SQ_RUNS(11, many)
      default: SQ_RUNS(12, many)
    }
#undef SQ_RUNS
}

SQ_INLINE void run_piece(
    const sparse_plan *p, const sparse_scratch *work, const sparse_index *index, const void *input, const packing kind,
    const sum_kind sums, const float *gradient, sparse_piece piece, sparse_prefetch *ahead) {
  const size_t entry_sums = totals_stride * (sums == wide_sums ? sizeof(int64_t) : sizeof(int32_t));
  const uint32_t *first = index->first;
  for (int32_t group = 0; group < p->s.groups; group++)
    for (int32_t block = 0; block < p->blocks; block++) {
      const int32_t begin = block * p->block, end = smaller(begin + p->block, p->out_group);
      const uint8_t *gradients_needed =
          index->gradients_needed + (size_t)(group * p->blocks + block) * gradient_masks(p);
      pack_gradient(
          p, gradient, work->units, index, piece, group * p->out_group + begin, end - begin, gradients_needed, kind,
          work->gradient);
      for (int32_t class_index = 0; class_index < p->column_classes; class_index++)
        for (int32_t window = 0; window < p->windows; window++, first++) {
          if (first[0] == first[1]) continue;
          const int32_t first_channel = window * p->window;
          const int32_t channels = smaller(p->window, p->in_group - first_channel);
          pack_input(
              p, input, kind, piece, class_index, group * p->in_group + first_channel, channels,
              index->inputs_needed + (size_t)(first - index->first) * input_masks(p), work->window);
          run_entries(
              index->entries + first[0], index->entries + first[1], work->window, work->gradient,
              piece.rows * p->row_length, sums, (char *)work->totals + (size_t)first[0] * entry_sums, ahead);
        }
    }
}

/// All pieces of the images [first, first + count), into the totals.
SQ_INLINE void run_pieces(
    const sparse_plan *plan, const sq_conv *shape, const sparse_scratch *work, const sparse_index *index,
    const void *input, const packing kind, const sum_kind sums, const float *output_gradient, int32_t first,
    int32_t count) {
  const sparse_plan p = *plan;
  const uint32_t entries = index->first[section_count(&p)];
  const size_t input_pixel = shape->in_channels * (kind == pack_floats ? sizeof(float) : 1);
  const size_t gradient_pixel = shape->out_channels * sizeof(float);
  const size_t in_pixels = (size_t)shape->in_height * shape->in_width;
  const size_t out_pixels = (size_t)shape->out_height * shape->out_width;
  const char *inputs = (const char *)input + first * in_pixels * input_pixel;
  const char *gradients = (const char *)output_gradient + first * out_pixels * gradient_pixel;
  const char *const inputs_end = inputs + count * in_pixels * input_pixel;
  const char *const gradients_end = gradients + count * out_pixels * gradient_pixel;
  memset(work->totals, 0, (size_t)entries * totals_stride * (sums == wide_sums ? sizeof(int64_t) : sizeof(int32_t)));
  // Where rows have no column, the gradient stays zero and the input finite.
  clear_gradient_gaps(&p, index, work->gradient);
  memset(work->window, 0, (size_t)p.window * p.channel_stride * p.element);

  const int32_t out_width = p.s.out_width;
  const int32_t images = p.pointwise ? (int32_t)((count * out_pixels + out_width - 1) / out_width) : count;
  const size_t piece_gradient_bytes = (size_t)p.images * p.rows * out_width * gradient_pixel;
  const size_t piece_input_bytes =
      (size_t)p.images * smaller(p.rows * p.s.stride_y, p.s.in_height) * p.s.in_width * input_pixel;
  sparse_prefetch ahead = {.lines = 1 + (int32_t)((piece_gradient_bytes + piece_input_bytes) / 64 / (entries + 1))};
  for (int32_t image = 0; image < images; image += p.images)
    for (int32_t y = 0; y < p.s.out_height; y += p.rows) {
      sparse_piece piece = {
          .image = image,
          .images = smaller(p.images, images - image),
          .y = y,
          .rows = smaller(p.rows, p.s.out_height - y),
          .out_width = out_width};
      if (p.pointwise) {
        const size_t left = count * out_pixels - (size_t)image * out_width;
        if (left < (size_t)out_width) piece.out_width = (int32_t)left;
      }
      // The rows that follow this piece's.
      const int32_t last_image = image + piece.images - 1, end_row = y + piece.rows;
      ahead.next[0] = inputs + ((size_t)last_image * p.s.in_height + smaller(end_row * p.s.stride_y, p.s.in_height)) *
                                   p.s.in_width * input_pixel;
      ahead.end[0] = earlier(ahead.next[0] + piece_input_bytes, inputs_end);
      ahead.next[1] = gradients + ((size_t)last_image * p.s.out_height + end_row) * out_width * gradient_pixel;
      ahead.end[1] = earlier(ahead.next[1] + piece_gradient_bytes, gradients_end);
      run_piece(&p, work, index, inputs, kind, sums, (const float *)gradients, piece, &ahead);
    }
}

static void channelwise_gradient(
    const sq_conv *shape, const float *floats, const uint8_t *levels, const float *output_gradient,
    const void *index_buffer, float *weight_gradient, int32_t first, int32_t count, void *scratch) {
  const sparse_plan p = plan_sparse(shape, 0);
  const sparse_index index = lay_out_index(&p, index_buffer);
  const sparse_scratch work = lay_out_sparse(&p, sizeof(float), scratch);
  if (floats)
    run_pieces(&p, shape, &work, &index, floats, pack_floats, float_sums, output_gradient, first, count);
  else
    run_pieces(&p, shape, &work, &index, levels, pack_levels, float_sums, output_gradient, first, count);
  const float *totals = work.totals;
  const run_entry *entry = index.entries, *end = entry + index.first[section_count(&p)];
  for (const uint32_t *weights = index.weights; entry < end; entry++, weights += max_group, totals += totals_stride)
    for (uint32_t k = 0; k < entry->count; k++) weight_gradient[weights[k]] += totals[k];
}

// MARK: - The family's kernels

static size_t sparse_index_bytes(const sq_conv *s) {
  return is_depthwise(s) ? depthwise_index_bytes(s) : channelwise_index_bytes(s, 0);
}

static void sparse_index_build(const sq_conv *s, const uint8_t *frozen, void *index) {
  if (is_depthwise(s))
    depthwise_index_build(s, frozen, index);
  else
    channelwise_index_build(s, 0, frozen, index);
}

static size_t sparse_scratch_bytes(const sq_conv *s) {
  if (is_depthwise(s)) return depthwise_gradient_scratch_bytes(s);
  const sparse_plan p = plan_sparse(s, 0);
  char base[1];
  return lay_out_sparse(&p, sizeof(float), base).bytes;
}

static void sparse_backward_weight(
    const sq_conv *s, const float *input, const float *output_gradient, const void *index, float *weight_gradient,
    int32_t first, int32_t count, void *scratch) {
  if (is_depthwise(s))
    depthwise_backward_unfrozen(s, input, NULL, output_gradient, index, weight_gradient, first, count, scratch);
  else
    channelwise_gradient(s, input, NULL, output_gradient, index, weight_gradient, first, count, scratch);
}

static void sparse_backward_weight_u8(
    const sq_conv *s, const uint8_t *input, const float *output_gradient, const void *index, float *weight_gradient,
    int32_t first, int32_t count, void *scratch) {
  if (is_depthwise(s))
    depthwise_backward_unfrozen(s, NULL, input, output_gradient, index, weight_gradient, first, count, scratch);
  else
    channelwise_gradient(s, NULL, input, output_gradient, index, weight_gradient, first, count, scratch);
}

// MARK: - In integers

/// Whether the sums of a call need more than 32 bits.
static int needs_wide_sums(const sq_conv *s, int32_t max_input, int32_t images) {
  return (int64_t)images * s->out_height * s->out_width > products_that_fit(max_input);
}

static size_t integer_gradient_scratch_bytes(const sq_conv *s, int32_t max_input, int32_t images) {
  const sparse_plan p = plan_sparse(s, 1);
  const int wide = needs_wide_sums(s, max_input, images);
  char base[1];
  const size_t sparse = lay_out_sparse(&p, wide ? sizeof(int64_t) : sizeof(int32_t), base).bytes;
  const size_t dense = plan_integer_gradient(s, max_input, images).bytes;
  const size_t alone = plan_integer_gradient(s, max_input, 1).bytes;
  return sparse > dense && sparse > alone ? sparse : dense > alone ? dense : alone;
}

static size_t integer_gradient_index_bytes(const sq_conv *s) { return channelwise_index_bytes(s, 1); }

static void integer_gradient_index_build(const sq_conv *s, const uint8_t *frozen, void *index) {
  channelwise_index_build(s, 1, frozen, index);
}

static void integer_gradient_backward_unfrozen(
    const sq_conv *shape, const uint8_t *input, int32_t max_input, const float *output_gradient,
    const void *index_buffer, float *weight_gradient, int32_t first, int32_t count, void *scratch) {
  const sparse_plan p = plan_sparse(shape, 1);
  const sparse_index index = lay_out_index(&p, index_buffer);
  const int wide = needs_wide_sums(shape, max_input, count);
  const sparse_scratch work = lay_out_sparse(&p, wide ? sizeof(int64_t) : sizeof(int32_t), scratch);
  const int64_t pixels = (int64_t)shape->out_height * shape->out_width;
  find_units(
      output_gradient + first * pixels * shape->out_channels, shape->out_channels, count * pixels, work.unit,
      work.units);
  if (wide)
    run_pieces(&p, shape, &work, &index, input, pack_integers, wide_sums, output_gradient, first, count);
  else
    run_pieces(&p, shape, &work, &index, input, pack_integers, narrow_sums, output_gradient, first, count);
  const int32_t *narrow = work.totals;
  const int64_t *sums = work.totals;
  const run_entry *entry = index.entries, *end = entry + index.first[section_count(&p)];
  for (const uint32_t *weights = index.weights; entry < end; entry++, weights += max_group) {
    const float unit = work.unit[entry->channel];
    for (uint32_t k = 0; k < entry->count; k++) {
      const float gradient = (wide ? (float)sums[k] : (float)narrow[k]) * unit;
      weight_gradient[weights[k]] += gradient;
    }
    narrow += totals_stride, sums += totals_stride;
  }
}

#endif
