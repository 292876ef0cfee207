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
// The index holds what depends on the shape and the mask alone: for every group where its runs start and which weights
// it computes.

#include "../include/sparse_weight_gradient.h"
#include "../target/arithmetic.h"
#include "../target/vector.h"
#include "depthwise_gradient.h"
#include "sparse_index.h"
#include "sparse_packing.h"

/// Of two places in one buffer.
static inline const char *earlier(const char *a, const char *b) { return a < b ? a : b; }

/// Adds the lanes of each of up to eight vectors to the totals.
SQ_INLINE void add_tile_sums(const sq_float_vector *sums, int size, float *totals) {
#if SQ_LANES >= 8
  tile_row half[tile_side], a[4], b[2];
  for (int k = 0; k < tile_side; k++) {
    half[k] = (tile_row){};
    if (k >= size) continue;
#if SQ_LANES == 16
    half[k] = __builtin_shufflevector(sums[k], sums[k], 0, 1, 2, 3, 4, 5, 6, 7) +
              __builtin_shufflevector(sums[k], sums[k], 8, 9, 10, 11, 12, 13, 14, 15);
#else
    half[k] = sums[k];
#endif
  }
  for (int k = 0; k < 4; k++) {
    a[k] = (tile_row){};
    if (2 * k < size)
      a[k] = INTERLEAVE_LOW(half[2 * k], half[2 * k + 1]) + INTERLEAVE_HIGH(half[2 * k], half[2 * k + 1]);
  }
  for (int k = 0; k < 2; k++) {
    b[k] = (tile_row){};
    if (4 * k < size) b[k] = PAIRS_LOW(a[2 * k], a[2 * k + 1]) + PAIRS_HIGH(a[2 * k], a[2 * k + 1]);
  }
  *(tile_row_unaligned *)totals += LOW_HALVES(b[0], b[1]) + HIGH_HALVES(b[0], b[1]);
#else
  for (int k = 0; k < size; k++) {
    float sum = 0;
    for (int lane = 0; lane < SQ_LANES; lane++) sum += sums[k][lane];
    totals[k] += sum;
  }
#endif
}

/// The dot products of `size` rows of the window with one row of the gradient. `unroll` vectors at a time have sums
/// of their own, so that there are enough independent ones to hide the latency of the multiply-adds.
SQ_INLINE void run_group(
    const float *window, const float *gradient, const run_entry *entry, int32_t run, float *totals, const int size,
    const int unroll) {
  const float *rows[max_group];
  sq_float_vector sums[max_group][8];
  UNROLLED_FOR (int k = 0; k < size; k++) {
    rows[k] = window + entry->inputs[k];
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

static void run_entries(
    const run_entry *entry, const run_entry *end, const float *window, const float *gradient, int32_t run,
    float *totals, sparse_prefetch *ahead) {
#define SQ_RUNS(size, unroll)                                                          \
  case size:                                                                           \
    do {                                                                               \
      prefetch_some(ahead);                                                            \
      run_group(window, gradient + entry->gradient, entry, run, totals, size, unroll); \
      totals += totals_stride;                                                         \
    } while (++entry < end && entry->count == size);                                   \
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

static void run_piece(
    const sparse_plan *p, const sparse_scratch *work, const sparse_index *index, const void *input, int levels,
    const float *gradient, sparse_piece piece, sparse_prefetch *ahead) {
  const uint32_t *first = index->first;
  for (int32_t group = 0; group < p->s.groups; group++)
    for (int32_t block = 0; block < p->blocks; block++) {
      const int32_t begin = block * p->block, end = smaller(begin + p->block, p->out_group);
      const uint8_t *gradients_needed =
          index->gradients_needed + (size_t)(group * p->blocks + block) * gradient_masks(p);
      pack_gradient(
          p, gradient, index, piece, group * p->out_group + begin, end - begin, gradients_needed, work->gradient);
      for (int32_t class_index = 0; class_index < p->column_classes; class_index++)
        for (int32_t window = 0; window < p->windows; window++, first++) {
          if (first[0] == first[1]) continue;
          const int32_t first_channel = window * p->window;
          const int32_t channels = smaller(p->window, p->in_group - first_channel);
          (levels ? pack_input_levels : pack_input_floats)(
              p, input, piece, class_index, group * p->in_group + first_channel, channels,
              index->inputs_needed + (size_t)(first - index->first) * input_masks(p), work->window);
          run_entries(
              index->entries + first[0], index->entries + first[1], work->window, work->gradient,
              piece.rows * p->row_length, work->totals + (size_t)first[0] * totals_stride, ahead);
        }
    }
}

SQ_INLINE void channelwise_gradient(
    const sq_conv *shape, const void *input, int levels, const float *output_gradient, const void *index_buffer,
    float *weight_gradient, int32_t first, int32_t count, void *scratch) {
  sparse_plan p = plan_sparse(shape);
  const sparse_index index = lay_out_index(&p, index_buffer);
  const sparse_scratch work = lay_out_sparse(&p, scratch);
  const uint32_t entries = index.first[section_count(&p)];
  const size_t input_pixel = shape->in_channels * (levels ? 1 : sizeof(float));
  const size_t gradient_pixel = shape->out_channels * sizeof(float);
  const size_t in_pixels = (size_t)shape->in_height * shape->in_width;
  const size_t out_pixels = (size_t)shape->out_height * shape->out_width;
  const char *inputs = (const char *)input + first * in_pixels * input_pixel;
  const char *gradients = (const char *)output_gradient + first * out_pixels * gradient_pixel;
  const char *const inputs_end = inputs + count * in_pixels * input_pixel;
  const char *const gradients_end = gradients + count * out_pixels * gradient_pixel;
  memset(work.totals, 0, (size_t)entries * totals_stride * sizeof(float));
  // Where rows have no column, the gradient stays zero and the input finite.
  clear_gradient_gaps(&p, &index, work.gradient);
  memset(work.window, 0, (size_t)p.window * p.channel_stride * sizeof(float));

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
      run_piece(&p, &work, &index, inputs, levels, (const float *)gradients, piece, &ahead);
    }
  for (uint32_t at = 0; at < entries; at++)
    for (uint32_t k = 0; k < index.entries[at].count; k++)
      weight_gradient[index.weights[(size_t)at * max_group + k]] += work.totals[(size_t)at * totals_stride + k];
}

// MARK: - The family's kernels

static size_t sparse_index_bytes(const sq_conv *s) {
  return is_depthwise(s) ? depthwise_index_bytes(s) : channelwise_index_bytes(s);
}

static void sparse_index_build(const sq_conv *s, const uint8_t *frozen, void *index) {
  (is_depthwise(s) ? depthwise_index_build : channelwise_index_build)(s, frozen, index);
}

static size_t sparse_scratch_bytes(const sq_conv *s) {
  return is_depthwise(s) ? depthwise_gradient_scratch_bytes(s) : channelwise_scratch_bytes(s);
}

static void sparse_backward_weight(
    const sq_conv *s, const float *input, const float *output_gradient, const void *index, float *weight_gradient,
    int32_t first, int32_t count, void *scratch) {
  if (is_depthwise(s))
    depthwise_backward_unfrozen(s, input, NULL, output_gradient, index, weight_gradient, first, count, scratch);
  else
    channelwise_gradient(s, input, 0, output_gradient, index, weight_gradient, first, count, scratch);
}

static void sparse_backward_weight_u8(
    const sq_conv *s, const uint8_t *input, const float *output_gradient, const void *index, float *weight_gradient,
    int32_t first, int32_t count, void *scratch) {
  if (is_depthwise(s))
    depthwise_backward_unfrozen(s, NULL, input, output_gradient, index, weight_gradient, first, count, scratch);
  else
    channelwise_gradient(s, input, 1, output_gradient, index, weight_gradient, first, count, scratch);
}

#endif
