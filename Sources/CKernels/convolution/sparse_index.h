#ifndef SQ_SPARSE_INDEX_H
#define SQ_SPARSE_INDEX_H

// How the sparse weight gradient (sparse.h) cuts a batch into pieces, and its index of unfrozen weights.

#include "../include/sparse_weight_gradient.h"
#include "../target/arithmetic.h"
#include "../target/vector.h"

enum {
  tile_side = 8,                // pixels and channels transposed at a time
  max_group = 12,               // weights that share a run: as many as there are registers for their addresses
  totals_stride = 16,           // sums kept for an entry: whole tiles
  max_run = 512,                // pixels in a piece
  pointwise_run = 256,          // pixels in a piece where every pixel stands alone
  window_channels = 16,         // input channels that pieces are small enough for
  window_target = 28 << 10,     // bytes of a window, in the first-level cache
  gradient_target = 512 << 10,  // bytes of a block of packed gradient, in the second-level cache
  cache_line = 64
};

/// A group: the weights of one output channel and kernel column that are computed in one run.
typedef struct run_entry {
  uint32_t gradient;  // where the output channel's copy starts in the packed block
  uint32_t channel;   // that channel
  uint32_t count;
  uint32_t inputs[max_group];  // where the weights' inputs start in the window
} run_entry;

typedef struct sparse_plan {
  sq_conv s;
  int32_t element, vector;  // bytes of a packed element, floats or 16-bit integers, and how many make a vector
  int32_t in_group, out_group, taps;
  int32_t pointwise;
  int32_t row_classes, column_classes;
  int32_t rows, images;                 // of a piece, at most
  int32_t pitch;                        // columns between the images of a packed row
  int32_t row_length;                   // of all images, in whole vectors
  int32_t copies;                       // of the gradient
  int32_t channel_stride, copy_stride;  // elements between channels of a window and copies of a gradient channel
  int32_t window, windows;              // input channels in a window, windows in a group
  int32_t block, blocks;                // output channels in a block, blocks in a group
} sparse_plan;

static inline int32_t floor_divide(int32_t a, int32_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

/// The largest part when `size` is cut into as few parts of at most `most` as possible, about equal.
static inline int32_t share(int32_t size, int32_t most) { return divide_up(size, divide_up(size, most)); }

/// Tap k meets the input at stride * (output position + tap_shift) + tap_residue.
static inline int32_t tap_shift(int32_t k, int32_t pad, int32_t stride) { return floor_divide(k - pad, stride); }
static inline int32_t tap_residue(int32_t k, int32_t pad, int32_t stride) {
  return k - pad - stride * tap_shift(k, pad, stride);
}

static inline int32_t row_shift(const sparse_plan *p, int32_t ky) { return tap_shift(ky, p->s.pad_top, p->s.stride_y); }

/// Rows of a class that `rows` output rows meet. Kernel rows class, class + stride, ... are of a class.
static inline int32_t class_rows(const sparse_plan *p, int32_t class_index, int32_t rows) {
  const int32_t last_ky = class_index + (p->s.kernel_height - 1 - class_index) / p->s.stride_y * p->s.stride_y;
  return rows + row_shift(p, last_ky) - row_shift(p, class_index);
}

/// Rows before those of a class in a window.
static inline int32_t rows_before(const sparse_plan *p, int32_t class_index, int32_t rows) {
  int32_t sum = 0;
  for (int32_t before = 0; before < class_index; before++) sum += class_rows(p, before, rows);
  return sum;
}

/// Elements of a window's channel: a cache line more than its rows, to keep channels out of each other's cache sets.
static inline int32_t channel_elements(const sparse_plan *p, int32_t rows, int32_t row_length) {
  return rows_before(p, p->row_classes, rows) * row_length + cache_line / p->element;
}

/// The copy of the gradient for a kernel column. Those of neighbours that shift as far differ in their zeros if at all.
static int32_t gradient_copy(const sparse_plan *p, int32_t kx) {
  const sq_conv *s = &p->s;
  int32_t copy = 0;
  for (int32_t k = 1; k <= kx; k++) {
    const int32_t last_column = (s->out_width - 1) * s->stride_x + k - s->pad_left;
    copy += tap_shift(k, s->pad_left, s->stride_x) != tap_shift(k - 1, s->pad_left, s->stride_x) ||
            last_column >= s->in_width;
  }
  return copy;
}

static inline int32_t packed_row(const sparse_plan *p, int32_t images) {
  return (int32_t)round_up_size((size_t)images * p->pitch, p->vector);
}

static sparse_plan plan_sparse(const sq_conv *shape, int integers) {
  sparse_plan p = {.s = *shape, .element = integers ? sizeof(int16_t) : sizeof(float)};
  p.vector = SQ_LANES * (int32_t)sizeof(float) / p.element;
  sq_conv *s = &p.s;
  p.pointwise = s->kernel_height == 1 && s->kernel_width == 1 && s->stride_y == 1 && s->stride_x == 1 &&
                s->pad_top == 0 && s->pad_left == 0 && s->in_height == s->out_height && s->in_width == s->out_width;
  if (p.pointwise) {  // every pixel stands alone: images of one row of any length
    const int64_t pixels = (int64_t)s->batch * s->out_height * s->out_width;
    s->in_width = s->out_width = pixels < pointwise_run ? (int32_t)pixels : pointwise_run;
    s->in_height = s->out_height = 1;
  }
  p.in_group = s->in_channels / s->groups;
  p.out_group = s->out_channels / s->groups;
  p.taps = s->kernel_height * s->kernel_width;
  p.row_classes = smaller(s->stride_y, s->kernel_height);
  p.column_classes = smaller(s->stride_x, s->kernel_width);
  // The input's columns that the output meets; not less than the output's, so that a shifted row reaches into a
  // neighbour only where that has no column.
  p.pitch = smaller(
      divide_up(s->in_width, s->stride_x), s->out_width + tap_shift(s->kernel_width - 1, s->pad_left, s->stride_x));
  p.pitch = larger(p.pitch, s->out_width);

  p.copies = gradient_copy(&p, s->kernel_width - 1) + 1;

  // The longest runs for which a window has space for enough channels: of several images, or rows of one.
  const int32_t most_elements = window_target / p.element / smaller(p.in_group, window_channels);
  p.images = 1;
  p.rows = s->out_height;
  for (int32_t images = 2; !p.pointwise && images <= s->batch; images++) {
    const int32_t length = packed_row(&p, images), before = packed_row(&p, p.images);
    // Integers' vectors are long: less rounding up is worth fewer rows.
    const int shorter = integers && length * p.images < before * images;
    if (!shorter && (length * s->out_height > max_run || channel_elements(&p, s->out_height, length) > most_elements))
      break;
    // More images where no greater share is lost to rounding up.
    if (length * p.images <= before * images) p.images = images;
  }
  p.row_length = packed_row(&p, p.images);
  while (p.rows > 1 && (p.rows * p.row_length > max_run || channel_elements(&p, p.rows, p.row_length) > most_elements))
    p.rows--;
  p.rows = share(s->out_height, p.rows);
  p.channel_stride = channel_elements(&p, p.rows, p.row_length);
  p.copy_stride = (int32_t)round_up_size((size_t)p.rows * p.row_length + s->kernel_width, cache_line / p.element);

  p.window = share(p.in_group, larger(1, window_target / p.element / p.channel_stride));
  p.windows = divide_up(p.in_group, p.window);
  p.block = share(p.out_group, larger(1, gradient_target / p.element / (p.copies * p.copy_stride)));
  p.blocks = divide_up(p.out_group, p.block);
  return p;
}

/// The index has a section for each window with each block of output channels.
static inline int32_t section_count(const sparse_plan *p) {
  return p->s.groups * p->blocks * p->column_classes * p->windows;
}

/// Bytes of gradients_needed for a block, and of inputs_needed for a section.
static inline int32_t gradient_masks(const sparse_plan *p) { return divide_up(p->block, tile_side) * p->copies; }
static inline int32_t input_masks(const sparse_plan *p) { return divide_up(p->window, tile_side); }

static inline size_t max_entries(const sparse_plan *p) {
  return (size_t)p->s.out_channels * p->s.kernel_width * p->windows *
         divide_up(p->window * p->s.kernel_height, max_group);
}

typedef struct sparse_index {
  uint32_t *first;  // a section's first entry; the last one's end
  int32_t *masks;   // [copy][output column]: all bits where that meets a column of the input
  int32_t *copies;  // where each copy starts in a packed channel of the gradient, shifted
  // One bit for each of tile_side channels that an unfrozen weight needs; the others are not copied.
  uint8_t *gradients_needed;  // [group][block][tile][copy]
  uint8_t *inputs_needed;     // [section][tile]
  run_entry *entries;
  uint32_t *weights;  // max_group an entry: which weights its sums are the gradients of
  size_t bytes;
} sparse_index;

static sparse_index lay_out_index(const sparse_plan *p, const void *index) {
  char *base = (char *)index;
  sparse_index result;
  size_t at = 0;
  result.first = (uint32_t *)(base + at);
  at += round_up_size(((size_t)section_count(p) + 1) * sizeof(uint32_t), 64);
  result.masks = (int32_t *)(base + at);
  at += round_up_size((size_t)p->copies * p->s.out_width * sizeof(int32_t), 64);
  result.copies = (int32_t *)(base + at);
  at += round_up_size((size_t)p->copies * sizeof(int32_t), 64);
  result.gradients_needed = (uint8_t *)(base + at);
  at += round_up_size((size_t)p->s.groups * p->blocks * gradient_masks(p), 64);
  result.inputs_needed = (uint8_t *)(base + at);
  at += round_up_size((size_t)section_count(p) * input_masks(p), 64);
  result.entries = (run_entry *)(base + at);
  at += round_up_size(max_entries(p) * sizeof(run_entry), 64);
  result.weights = (uint32_t *)(base + at);
  at += max_entries(p) * max_group * sizeof(uint32_t);
  result.bytes = at;
  return result;
}

static size_t channelwise_index_bytes(const sq_conv *shape, int integers) {
  const sparse_plan p = plan_sparse(shape, integers);
  char base[1];
  return lay_out_index(&p, base).bytes;
}

static void index_copies(const sparse_plan *p, sparse_index index) {
  const sq_conv *s = &p->s;
  for (int32_t kx = 0; kx < s->kernel_width; kx++) {
    const int32_t copy = gradient_copy(p, kx);
    index.copies[copy] = copy * p->copy_stride + tap_shift(kx, s->pad_left, s->stride_x);
    for (int32_t x = 0; x < s->out_width; x++) {
      const int32_t column = x * s->stride_x + kx - s->pad_left;
      index.masks[copy * s->out_width + x] = column >= 0 && column < s->in_width ? -1 : 0;
    }
  }
}

/// How many groups of about equal size `count` weights form.
static inline int32_t part_count(int32_t count) { return divide_up(count, max_group); }

/// A section's entries, from `at` on; returns their end.
static uint32_t index_section(
    const sparse_plan *p, const uint8_t *frozen, sparse_index index, int32_t group, int32_t block, int32_t class_index,
    int32_t window, uint32_t at) {
  const sq_conv *s = &p->s;
  const int32_t block_number = group * p->blocks + block;
  uint8_t *gradients = index.gradients_needed + (size_t)block_number * gradient_masks(p);
  uint8_t *inputs = index.inputs_needed +
                    (size_t)((block_number * p->column_classes + class_index) * p->windows + window) * input_masks(p);
  const int32_t begin = block * p->block, end = smaller(begin + p->block, p->out_group);
  const int32_t first_channel = window * p->window, channels = smaller(p->window, p->in_group - first_channel);
  // Groups of equal size follow each other, largest first, so that their branches are predicted: they are counted
  // first, then placed.
  uint32_t next[max_group + 1] = {0};
  for (int place = 0; place < 2; place++) {
    for (int32_t o = begin; o < end; o++)
      for (int32_t kx = class_index; kx < s->kernel_width; kx += s->stride_x) {
        const int32_t copy = gradient_copy(p, kx);
        const uint32_t filter = (uint32_t)(group * p->out_group + o) * (uint32_t)(p->taps * p->in_group);
        int32_t left = 0;
        for (int32_t ky = 0; ky < s->kernel_height; ky++)
          for (int32_t i = 0; i < channels; i++)
            left += !frozen[filter + (uint32_t)((ky * s->kernel_width + kx) * p->in_group + first_channel + i)];
        if (left == 0) continue;
        int32_t parts = part_count(left);
        if (!place) {
          for (; parts > 0; left -= left / parts, parts--) next[left / parts]++;
          continue;
        }
        run_entry *entry = NULL;
        for (int32_t i = 0; i < channels; i++)
          for (int32_t ky = 0; ky < s->kernel_height; ky++) {
            const uint32_t weight = filter + (uint32_t)((ky * s->kernel_width + kx) * p->in_group + first_channel + i);
            if (frozen[weight]) continue;
            if (!entry || entry->count == (uint32_t)(left / parts)) {
              if (entry) left -= left / parts, parts--;
              entry = &index.entries[next[left / parts]++];
              *entry = (run_entry){.gradient = (uint32_t)(((o - begin) * p->copies + copy) * p->copy_stride),
                                   .channel = (uint32_t)(group * p->out_group + o)};
              gradients[(o - begin) / tile_side * p->copies + copy] |= (uint8_t)(1 << (o - begin) % tile_side);
            }
            const int32_t row =
                rows_before(p, ky % s->stride_y, p->rows) + row_shift(p, ky) - row_shift(p, ky % s->stride_y);
            inputs[i / tile_side] |= (uint8_t)(1 << i % tile_side);
            index.weights[(size_t)(entry - index.entries) * max_group + entry->count] = weight;
            entry->inputs[entry->count++] = (uint32_t)(i * p->channel_stride + row * p->row_length);
          }
      }
    for (int32_t size = max_group; size > 0 && !place; size--) {
      const uint32_t entries_of_size = next[size];
      next[size] = at;
      at += entries_of_size;
    }
  }
  return at;
}

static void channelwise_index_build(const sq_conv *shape, int integers, const uint8_t *frozen, void *buffer) {
  const sparse_plan p = plan_sparse(shape, integers);
  const sparse_index index = lay_out_index(&p, buffer);
  index_copies(&p, index);
  memset(index.gradients_needed, 0, (size_t)p.s.groups * p.blocks * gradient_masks(&p));
  memset(index.inputs_needed, 0, (size_t)section_count(&p) * input_masks(&p));
  uint32_t *first = index.first, at = 0;
  for (int32_t group = 0; group < p.s.groups; group++)
    for (int32_t block = 0; block < p.blocks; block++)
      for (int32_t class_index = 0; class_index < p.column_classes; class_index++)
        for (int32_t window = 0; window < p.windows; window++) {
          *first++ = at;
          at = index_section(&p, frozen, index, group, block, class_index, window, at);
        }
  *first = at;
}

typedef struct sparse_scratch {
  void *totals;    // totals_stride sums an entry: floats or, of integers, 32 or 64 bits
  char *gradient;  // a packed block
  char *window;
  float *unit, *units;  // find_units, of integers
  size_t bytes;
} sparse_scratch;

static sparse_scratch lay_out_sparse(const sparse_plan *p, size_t sum_bytes, void *scratch) {
  char *base = scratch;
  sparse_scratch result;
  size_t at = 0;
  result.totals = base + at;
  at += max_entries(p) * totals_stride * sum_bytes;
  // The first copy may be shifted to before its start.
  at += round_up_size((size_t)p->s.kernel_width * p->element, cache_line);
  result.gradient = base + at;
  at += (size_t)p->block * p->copies * p->copy_stride * p->element;
  result.window = base + at;
  at += round_up_size((size_t)p->window * p->channel_stride * p->element, cache_line);
  const size_t channels = round_up_size(p->s.out_channels * sizeof(float), cache_line) + cache_line;
  result.unit = (float *)(base + at);
  at += channels;
  result.units = (float *)(base + at);
  at += channels;
  result.bytes = at + cache_line;
  return result;
}

#endif
