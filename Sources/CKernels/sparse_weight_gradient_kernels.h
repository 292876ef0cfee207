// Included once for each instruction set; see vector.h.
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

#include "sparse_weight_gradient_tables.h"

enum {
  max_group = 12,       // weights that share a run: as many as there are registers for their addresses
  totals_stride = 16,   // sums kept for an entry: whole tiles
  tile = 8,             // pixels and channels transposed at a time
  max_run = 512,        // pixels in a piece
  pointwise_run = 256,  // pixels in a piece where every pixel stands alone
  window_channels = 16,         // input channels that pieces are small enough for
  window_target = 7 * 1024,     // floats of a window, in the first-level cache
  gradient_target = 128 * 1024  // floats of a block of packed gradient, in the second-level cache
};

/// A group: the weights of one output channel and kernel column that are computed in one run.
typedef struct run_entry {
  uint32_t gradient;           // where the output channel's copy starts in the packed block
  uint32_t count;
  uint32_t inputs[max_group];  // where the weights' inputs start in the window
} run_entry;

typedef struct sparse_plan {
  sq_conv s;
  int32_t in_group, out_group, taps;
  int32_t pointwise;
  int32_t row_classes, column_classes;
  int32_t rows, images;  // of a piece, at most
  int32_t pitch;         // columns between the images of a packed row
  int32_t row_length;    // of all images, in whole vectors
  int32_t copies;        // of the gradient
  int32_t channel_stride, copy_stride;  // floats between channels of a window and copies of a gradient channel
  int32_t window, windows;  // input channels in a window, windows in a group
  int32_t block, blocks;    // output channels in a block, blocks in a group
} sparse_plan;

static inline int32_t floor_divide(int32_t a, int32_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }
static inline int32_t minimum(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t maximum(int32_t a, int32_t b) { return a > b ? a : b; }
static inline const char *lesser(const char *a, const char *b) { return a < b ? a : b; }
static inline size_t round_up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }
static inline int32_t divide_up(int32_t a, int32_t b) { return (a + b - 1) / b; }

/// The largest part when `size` is cut into as few parts of at most `most` as possible, about equal.
static inline int32_t share(int32_t size, int32_t most) { return divide_up(size, divide_up(size, most)); }

/// Tap k meets the input at stride * (output position + tap_shift) + tap_residue.
static inline int32_t tap_shift(int32_t k, int32_t pad, int32_t stride) { return floor_divide(k - pad, stride); }
static inline int32_t tap_residue(int32_t k, int32_t pad, int32_t stride) {
  return k - pad - stride * tap_shift(k, pad, stride);
}

static inline int32_t row_shift(const sparse_plan *p, int32_t ky) { return tap_shift(ky, p->s.pad_top, p->s.stride_y); }

/// Rows of a class that `rows` output rows meet. Kernel rows class, class + stride, ... are of a class.
static inline int32_t class_rows(const sparse_plan *p, int32_t class, int32_t rows) {
  const int32_t last_ky = class + (p->s.kernel_height - 1 - class) / p->s.stride_y * p->s.stride_y;
  return rows + row_shift(p, last_ky) - row_shift(p, class);
}

/// Rows before those of a class in a window.
static inline int32_t rows_before(const sparse_plan *p, int32_t class, int32_t rows) {
  int32_t sum = 0;
  for (int32_t before = 0; before < class; before++) sum += class_rows(p, before, rows);
  return sum;
}

/// Floats of a window's channel: a cache line more than its rows, to keep channels out of each other's cache sets.
static inline int32_t channel_floats(const sparse_plan *p, int32_t rows, int32_t row_length) {
  return rows_before(p, p->row_classes, rows) * row_length + 16;
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
  return (int32_t)round_up((size_t)images * p->pitch, SQ_LANES);
}

static sparse_plan make_plan(const sq_conv *shape) {
  sparse_plan p = {.s = *shape};
  sq_conv *s = &p.s;
  p.pointwise = s->kernel_height == 1 && s->kernel_width == 1 && s->stride_y == 1 && s->stride_x == 1 &&
                s->pad_top == 0 && s->pad_left == 0 && s->in_height == s->out_height &&
                s->in_width == s->out_width;
  if (p.pointwise) {  // every pixel stands alone: images of one row of any length
    const int64_t pixels = (int64_t)s->batch * s->out_height * s->out_width;
    s->in_width = s->out_width = pixels < pointwise_run ? (int32_t)pixels : pointwise_run;
    s->in_height = s->out_height = 1;
  }
  p.in_group = s->in_channels / s->groups;
  p.out_group = s->out_channels / s->groups;
  p.taps = s->kernel_height * s->kernel_width;
  p.row_classes = minimum(s->stride_y, s->kernel_height);
  p.column_classes = minimum(s->stride_x, s->kernel_width);
  // The input's columns that the output meets; not less than the output's, so that a shifted row reaches into a
  // neighbour only where that has no column.
  p.pitch = minimum(
      divide_up(s->in_width, s->stride_x), s->out_width + tap_shift(s->kernel_width - 1, s->pad_left, s->stride_x));
  p.pitch = maximum(p.pitch, s->out_width);

  p.copies = gradient_copy(&p, s->kernel_width - 1) + 1;

  // The longest runs for which a window has space for enough channels: of several images, or rows of one.
  const int32_t most_floats = window_target / minimum(p.in_group, window_channels);
  p.images = 1;
  p.rows = s->out_height;
  for (int32_t images = 2; !p.pointwise && images <= s->batch; images++) {
    const int32_t length = packed_row(&p, images);
    if (length * s->out_height > max_run || channel_floats(&p, s->out_height, length) > most_floats) break;
    // More images where no greater share is lost to rounding up.
    if (length * p.images <= packed_row(&p, p.images) * images) p.images = images;
  }
  p.row_length = packed_row(&p, p.images);
  while (p.rows > 1 && (p.rows * p.row_length > max_run || channel_floats(&p, p.rows, p.row_length) > most_floats))
    p.rows--;
  p.rows = share(s->out_height, p.rows);
  p.channel_stride = channel_floats(&p, p.rows, p.row_length);
  p.copy_stride = (int32_t)round_up((size_t)p.rows * p.row_length + s->kernel_width, 16);

  p.window = share(p.in_group, maximum(1, window_target / p.channel_stride));
  p.windows = divide_up(p.in_group, p.window);
  p.block = share(p.out_group, maximum(1, gradient_target / (p.copies * p.copy_stride)));
  p.blocks = divide_up(p.out_group, p.block);
  return p;
}

/// The index has a section for each window with each block of output channels.
static inline int32_t section_count(const sparse_plan *p) {
  return p->s.groups * p->blocks * p->column_classes * p->windows;
}

static inline size_t max_entries(const sparse_plan *p) {
  return (size_t)p->s.out_channels * p->s.kernel_width * p->windows *
         divide_up(p->window * p->s.kernel_height, max_group);
}

typedef struct sparse_index {
  uint32_t *first;       // a section's first entry; the last one's end
  int32_t *masks;     // [copy][output column]: all bits where that meets a column of the input
  int32_t *copies;    // where each copy starts in a packed channel of the gradient, shifted
  run_entry *entries;
  uint32_t *weights;  // max_group an entry: which weights its sums are the gradients of
  size_t bytes;
} sparse_index;

static sparse_index lay_out_index(const sparse_plan *p, const void *index) {
  char *base = (char *)index;
  sparse_index result;
  size_t at = 0;
  result.first = (uint32_t *)(base + at);
  at += round_up(((size_t)section_count(p) + 1) * sizeof(uint32_t), 64);
  result.masks = (int32_t *)(base + at);
  at += round_up((size_t)p->copies * p->s.out_width * sizeof(int32_t), 64);
  result.copies = (int32_t *)(base + at);
  at += round_up((size_t)p->copies * sizeof(int32_t), 64);
  result.entries = (run_entry *)(base + at);
  at += round_up(max_entries(p) * sizeof(run_entry), 64);
  result.weights = (uint32_t *)(base + at);
  at += max_entries(p) * max_group * sizeof(uint32_t);
  result.bytes = at;
  return result;
}

static size_t index_bytes(const sq_conv *shape) {
  const sparse_plan p = make_plan(shape);
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
    const sparse_plan *p, const uint8_t *frozen, sparse_index index, int32_t group, int32_t block, int32_t class,
    int32_t window, uint32_t at) {
  const sq_conv *s = &p->s;
  const int32_t begin = block * p->block, end = minimum(begin + p->block, p->out_group);
  const int32_t first_channel = window * p->window, channels = minimum(p->window, p->in_group - first_channel);
  // Groups of equal size follow each other, largest first, so that their branches are predicted: they are counted
  // first, then placed.
  uint32_t next[max_group + 1] = {0};
  for (int place = 0; place < 2; place++) {
    for (int32_t o = begin; o < end; o++)
      for (int32_t kx = class; kx < s->kernel_width; kx += s->stride_x) {
        const int32_t copy = gradient_copy(p, kx);
        const uint32_t filter = (uint32_t)(group * p->out_group + o) * (uint32_t)(p->taps * p->in_group);
        int32_t left = 0;
        for (int32_t ky = 0; ky < s->kernel_height; ky++)
          for (int32_t i = 0; i < channels; i++)
            left += !frozen[filter + (uint32_t)((ky * s->kernel_width + kx) * p->in_group + first_channel + i)];
        int32_t parts = part_count(left);
        if (!place) {
          for (; parts > 0; left -= left / parts, parts--) next[left / parts]++;
          continue;
        }
        run_entry *entry = NULL;
        for (int32_t i = 0; i < channels; i++)
          for (int32_t ky = 0; ky < s->kernel_height; ky++) {
            const uint32_t weight =
                filter + (uint32_t)((ky * s->kernel_width + kx) * p->in_group + first_channel + i);
            if (frozen[weight]) continue;
            if (!entry || entry->count == (uint32_t)(left / parts)) {
              if (entry) left -= left / parts, parts--;
              entry = &index.entries[next[left / parts]++];
              *entry = (run_entry){.gradient = (uint32_t)(((o - begin) * p->copies + copy) * p->copy_stride)};
            }
            const int32_t row = rows_before(p, ky % s->stride_y, p->rows) + row_shift(p, ky) -
                                row_shift(p, ky % s->stride_y);
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

static void index_build(const sq_conv *shape, const uint8_t *frozen, void *buffer) {
  const sparse_plan p = make_plan(shape);
  const sparse_index index = lay_out_index(&p, buffer);
  index_copies(&p, index);
  uint32_t *first = index.first, at = 0;
  for (int32_t group = 0; group < p.s.groups; group++)
    for (int32_t block = 0; block < p.blocks; block++)
      for (int32_t class = 0; class < p.column_classes; class++)
        for (int32_t window = 0; window < p.windows; window++) {
          *first++ = at;
          at = index_section(&p, frozen, index, group, block, class, window, at);
        }
  *first = at;
}

typedef struct sparse_scratch {
  float *totals;    // totals_stride sums an entry
  float *gradient;  // a packed block
  float *window;
  size_t bytes;
} sparse_scratch;

static sparse_scratch lay_out(const sparse_plan *p, void *scratch) {
  char *base = scratch;
  sparse_scratch result;
  size_t at = 0;
  result.totals = (float *)(base + at);
  at += max_entries(p) * totals_stride * sizeof(float);
  // The first copy may be shifted to before its start.
  at += round_up((size_t)p->s.kernel_width, 16) * sizeof(float);
  result.gradient = (float *)(base + at);
  at += (size_t)p->block * p->copies * p->copy_stride * sizeof(float);
  result.window = (float *)(base + at);
  at += round_up((size_t)p->window * p->channel_stride, 16) * sizeof(float);
  result.bytes = at;
  return result;
}

static size_t scratch_bytes(const sq_conv *shape) {
  const sparse_plan p = make_plan(shape);
  char base[1];
  return lay_out(&p, base).bytes + 64;
}

SQ_KERNELS_BEGIN

typedef uint8_t tile_bytes __attribute__((vector_size(2 * tile)));
typedef tile_bytes tile_bytes_unaligned __attribute__((aligned(1), may_alias));

#define BYTES_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define BYTES_HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

typedef float tile_row __attribute__((vector_size(4 * tile)));
typedef tile_row tile_row_unaligned __attribute__((aligned(4), may_alias));

/// Eight pixels, `step` bytes apart, of sixteen channels: rows[channel][pixel], as floats.
SQ_INLINE void transpose_levels(const char *pixels, ptrdiff_t step, tile_row rows[2 * tile]) {
  const ptrdiff_t upper = 4 * step;
  tile_bytes r[tile], s[tile];
  for (int k = 0; k < tile; k++) r[k] = *(const tile_bytes_unaligned *)(pixels + k / 4 * upper + k % 4 * step);
  // Three rounds, each interleaving rows half of the remaining ones apart.
  for (int k = 0; k < 4; k++) s[2 * k] = BYTES_LOW(r[k], r[k + 4]), s[2 * k + 1] = BYTES_HIGH(r[k], r[k + 4]);
  for (int k = 0; k < 4; k++) r[2 * k] = BYTES_LOW(s[k], s[k + 4]), r[2 * k + 1] = BYTES_HIGH(s[k], s[k + 4]);
  for (int k = 0; k < 4; k++) s[2 * k] = BYTES_LOW(r[k], r[k + 4]), s[2 * k + 1] = BYTES_HIGH(r[k], r[k + 4]);
  for (int c = 0; c < tile; c++) {
    typedef uint8_t row_bytes __attribute__((vector_size(tile)));
    const row_bytes even = __builtin_shufflevector(s[c], s[c], 0, 1, 2, 3, 4, 5, 6, 7);
    const row_bytes odd = __builtin_shufflevector(s[c], s[c], 8, 9, 10, 11, 12, 13, 14, 15);
    rows[2 * c] = __builtin_convertvector(even, tile_row);
    rows[2 * c + 1] = __builtin_convertvector(odd, tile_row);
  }
}

#if SQ_LANES >= 8
#define LOW_HALVES(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define HIGH_HALVES(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
#define INTERLEAVE_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define INTERLEAVE_HIGH(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define PAIRS_LOW(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define PAIRS_HIGH(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)

typedef float half_row __attribute__((vector_size(2 * tile)));
typedef half_row half_row_unaligned __attribute__((aligned(4), may_alias));

/// Four channels of pixels 0-3 and 4-7 to rows of eight pixels.
SQ_INLINE void transpose_half(const char *low, const char *high, ptrdiff_t step, tile_row r[4]) {
  tile_row a[4];
  for (int k = 0; k < 4; k++)
    a[k] = __builtin_shufflevector(
        *(const half_row_unaligned *)(low + k * step), *(const half_row_unaligned *)(high + k * step), 0, 1, 2, 3, 4, 5,
        6, 7);
  const tile_row b0 = INTERLEAVE_LOW(a[0], a[1]), b1 = INTERLEAVE_HIGH(a[0], a[1]);
  const tile_row b2 = INTERLEAVE_LOW(a[2], a[3]), b3 = INTERLEAVE_HIGH(a[2], a[3]);
  r[0] = PAIRS_LOW(b0, b2), r[1] = PAIRS_HIGH(b0, b2), r[2] = PAIRS_LOW(b1, b3), r[3] = PAIRS_HIGH(b1, b3);
}

/// Eight pixels, `step` bytes apart, of eight channels: rows[channel][pixel].
SQ_INLINE void transpose_floats(const char *pixels, ptrdiff_t step, tile_row rows[tile]) {
  transpose_half(pixels, pixels + 4 * step, step, rows);
  transpose_half(pixels + sizeof(half_row), pixels + 4 * step + sizeof(half_row), step, rows + 4);
}
#else
SQ_INLINE void transpose_floats(const char *pixels, ptrdiff_t step, tile_row rows[tile]) {
  for (int c = 0; c < tile; c++)
    for (int k = 0; k < tile; k++) rows[c][k] = ((const float *)(pixels + k * step))[c];
}
#endif

/// Stores the first `channels` of eight rows, `stride` floats apart.
SQ_INLINE void store_rows(const tile_row rows[tile], float *packed, int32_t stride, int32_t channels) {
  if (channels >= tile) {
    // Two bases and small multiples need fewer registers than eight offsets.
    float *upper = packed + 4 * (size_t)stride;
    for (int c = 0; c < 4; c++) {
      *(tile_row_unaligned *)(packed + (size_t)c * stride) = rows[c];
      *(tile_row_unaligned *)(upper + (size_t)c * stride) = rows[4 + c];
    }
  } else {
    for (int c = 0; c < tile; c++)
      if (c < channels) *(tile_row_unaligned *)(packed + (size_t)c * stride) = rows[c];
  }
}

/// A row of `columns` pixels, `step` bytes apart, to packed[channel * stride + column].
SQ_INLINE void pack_row(
    const char *row, ptrdiff_t step, int32_t columns, int levels, float *packed, int32_t stride, int32_t channels) {
  if (columns < tile) {
    for (int32_t k = 0; k < columns; k++, row += step)
      for (int32_t c = 0; c < channels; c++)
        packed[(size_t)c * stride + k] = levels ? ((const uint8_t *)row)[c] : ((const float *)row)[c];
    return;
  }
  const int32_t tile_channels = levels ? 2 * tile : tile;
  for (int32_t c = 0; c < channels; c += tile_channels, packed += (size_t)tile_channels * stride)
    for (int32_t j = 0; j < columns; j += tile) {
      const int32_t at = minimum(j, columns - tile);  // the last tile overlaps the one before it
      const char *pixels = row + at * step + c * (levels ? 1 : sizeof(float));
      tile_row rows[2 * tile];
      if (levels) {
        transpose_levels(pixels, step, rows);
        if (channels - c > tile)
          store_rows(rows + tile, packed + (size_t)tile * stride + at, stride, channels - c - tile);
      } else {
        transpose_floats(pixels, step, rows);
      }
      store_rows(rows, packed + at, stride, channels - c);
    }
}

/// A piece: images [image, image + images), output rows [y, y + rows).
typedef struct sparse_piece {
  int32_t image, images, y, rows;
  int32_t out_width;  // less than the plan's in the last piece of a pointwise convolution
} sparse_piece;

/// A row of up to eight channels of the output gradient to its copies in a packed block, each shifted. A column that
/// meets none of the input becomes a zero; it falls on a place where no row has a column.
SQ_INLINE void pack_gradient_row(
    const sparse_plan *p, const float *gradient, const sparse_index *index, int32_t columns, int32_t channels,
    float *packed) {
  const int32_t out_width = p->s.out_width, pixel = p->s.out_channels, stride = p->copies * p->copy_stride;
  if (columns < tile) {
    for (int32_t copy = 0; copy < p->copies; copy++)
      for (int32_t c = 0; c < channels; c++)
        for (int32_t x = 0; x < columns; x++)
          packed[index->copies[copy] + (size_t)c * stride + x] =
              index->masks[copy * out_width + x] ? gradient[(size_t)x * pixel + c] : 0;
    return;
  }
  for (int32_t x = 0; x < columns; x += tile) {
    const int32_t at = minimum(x, columns - tile);  // the last tile overlaps the one before it
    typedef int32_t mask_row __attribute__((vector_size(4 * tile), aligned(4), may_alias));
    tile_row rows[tile], shifted[tile];
    transpose_floats((const char *)(gradient + (size_t)at * pixel), pixel * (ptrdiff_t)sizeof(float), rows);
    for (int32_t copy = 0; copy < p->copies; copy++) {
      const mask_row mask = *(const mask_row *)(index->masks + copy * out_width + at);
      for (int c = 0; c < tile; c++) shifted[c] = (tile_row)((mask_row)rows[c] & mask);
      store_rows(shifted, packed + index->copies[copy] + at, stride, channels);
    }
  }
}

/// The copies of `channels` channels of the output gradient from `first_channel` on.
static void pack_gradient(
    const sparse_plan *p, const float *gradient, const sparse_index *index, sparse_piece piece, int32_t first_channel,
    int32_t channels, float *packed) {
  const sq_conv *s = &p->s;
  const int32_t stride = p->copies * p->copy_stride;
  if (piece.images < p->images || piece.out_width < s->out_width)
    memset(packed, 0, (size_t)channels * stride * sizeof(float));
  for (int32_t c = 0; c < channels; c += tile)
    for (int32_t row = 0; row < piece.rows; row++)
      for (int32_t n = 0; n < piece.images; n++) {
        const size_t pixel = ((size_t)(piece.image + n) * s->out_height + piece.y + row) * s->out_width;
        pack_gradient_row(
            p, gradient + pixel * s->out_channels + first_channel + c, index, piece.out_width,
            minimum(tile, channels - c), packed + (size_t)c * stride + row * p->row_length + n * p->pitch);
      }
  // The end of the last row where an earlier piece had another one: no row writes it.
  for (int32_t copy = 0; copy < p->copies && piece.rows < p->rows; copy++)
    for (int32_t at = index->copies[copy]; at < copy * p->copy_stride; at++)
      for (int32_t c = 0; c < channels; c++) packed[(size_t)c * stride + at + piece.rows * p->row_length] = 0;
}

/// The columns of a class of `channels` input channels from `first_channel` on.
SQ_INLINE void pack_input(
    const sparse_plan *p, const void *input, int levels, sparse_piece piece, int32_t column_class,
    int32_t first_channel, int32_t channels, float *window) {
  const sq_conv *s = &p->s;
  const size_t element = levels ? 1 : sizeof(float);
  const ptrdiff_t pixel_bytes = s->in_channels * (ptrdiff_t)element;
  const int32_t first_column = tap_residue(column_class, s->pad_left, s->stride_x);
  const int32_t columns =
      p->pointwise ? piece.out_width : minimum(p->pitch, divide_up(s->in_width - first_column, s->stride_x));
  for (int32_t class = 0; class < p->row_classes; class++) {
    const int32_t rows = class_rows(p, class, piece.rows), residue = tap_residue(class, s->pad_top, s->stride_y);
    const int32_t first_row = piece.y + row_shift(p, class);
    float *to = window + (size_t)rows_before(p, class, p->rows) * p->row_length;
    for (int32_t row = first_row; row < first_row + rows; row++, to += p->row_length) {
      const int32_t y = row * s->stride_y + residue;
      if (y < 0 || y >= s->in_height) {
        for (int32_t c = 0; c < channels; c++)
          memset(to + (size_t)c * p->channel_stride, 0, (size_t)p->row_length * sizeof(float));
        continue;
      }
      for (int32_t n = 0; n < piece.images; n++) {
        const size_t pixel = ((size_t)(piece.image + n) * s->in_height + y) * s->in_width + first_column;
        pack_row(
            (const char *)input + pixel * pixel_bytes + first_channel * element, s->stride_x * pixel_bytes, columns,
            levels, to + n * p->pitch, p->channel_stride, channels);
      }
    }
  }
}

static void pack_input_floats(
    const sparse_plan *p, const void *input, sparse_piece piece, int32_t column_class, int32_t first_channel,
    int32_t channels, float *window) {
  pack_input(p, input, 0, piece, column_class, first_channel, channels, window);
}

static void pack_input_levels(
    const sparse_plan *p, const void *input, sparse_piece piece, int32_t column_class, int32_t first_channel,
    int32_t channels, float *window) {
  pack_input(p, input, 1, piece, column_class, first_channel, channels, window);
}

/// Adds the lanes of each of up to eight vectors to the totals.
SQ_INLINE void add_tile_sums(const sq_float_vector *sums, int size, float *totals) {
#if SQ_LANES >= 8
  tile_row half[tile], a[4], b[2];
  for (int k = 0; k < tile; k++) {
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
#pragma clang loop unroll(full)
  for (int k = 0; k < size; k++) {
    rows[k] = window + entry->inputs[k];
#pragma clang loop unroll(full)
    for (int u = 0; u < unroll; u++) sums[k][u] = (sq_float_vector){};
  }
  intptr_t at = 0;
  for (; at <= run - unroll * SQ_LANES; at += unroll * SQ_LANES) {
    sq_float_vector x[8];
#pragma clang loop unroll(full)
    for (int u = 0; u < unroll; u++) x[u] = sq_load(gradient + at + u * SQ_LANES);
#pragma clang loop unroll(full)
    for (int k = 0; k < size; k++)
#pragma clang loop unroll(full)
      for (int u = 0; u < unroll; u++) sums[k][u] += x[u] * sq_load(rows[k] + at + u * SQ_LANES);
  }
#pragma clang loop unroll(full)
  for (int rest = unroll / 2; rest > 0; rest /= 2)
    if (at <= run - rest * SQ_LANES) {
#pragma clang loop unroll(full)
      for (int u = 0; u < rest; u++) {
        const sq_float_vector x = sq_load(gradient + at + u * SQ_LANES);
#pragma clang loop unroll(full)
        for (int k = 0; k < size; k++) sums[k][u] += x * sq_load(rows[k] + at + u * SQ_LANES);
      }
      at += rest * SQ_LANES;
    }
  sq_float_vector result[max_group];
#pragma clang loop unroll(full)
  for (int k = 0; k < size; k++) {
#pragma clang loop unroll(full)
    for (int width = unroll / 2; width > 0; width /= 2)
#pragma clang loop unroll(full)
      for (int u = 0; u < width; u++) sums[k][u] += sums[k][u + width];
    result[k] = sums[k][0];
  }
  for (int k = 0; k < size; k += tile) add_tile_sums(result + k, size - k < tile ? size - k : tile, totals + k);
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
#define SQ_RUNS(size, unroll)                                                                        \
  case size:                                                                                         \
    do {                                                                                             \
      prefetch_some(ahead);                                                                          \
      run_group(window, gradient + entry->gradient, entry, run, totals, size, unroll);               \
      totals += totals_stride;                                                                       \
    } while (++entry < end && entry->count == size);                                                 \
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
      default:
        SQ_RUNS(12, many)
    }
#undef SQ_RUNS
}

static void run_piece(
    const sparse_plan *p, const sparse_scratch *work, const sparse_index *index, const void *input, int levels,
    const float *gradient, sparse_piece piece, sparse_prefetch *ahead) {
  const uint32_t *first = index->first;
  for (int32_t group = 0; group < p->s.groups; group++)
    for (int32_t block = 0; block < p->blocks; block++) {
      const int32_t begin = block * p->block, end = minimum(begin + p->block, p->out_group);
      pack_gradient(p, gradient, index, piece, group * p->out_group + begin, end - begin, work->gradient);
      for (int32_t class = 0; class < p->column_classes; class++)
        for (int32_t window = 0; window < p->windows; window++, first++) {
          if (first[0] == first[1]) continue;
          const int32_t first_channel = window * p->window;
          const int32_t channels = minimum(p->window, p->in_group - first_channel);
          (levels ? pack_input_levels : pack_input_floats)(
              p, input, piece, class, group * p->in_group + first_channel, channels, work->window);
          run_entries(
              index->entries + first[0], index->entries + first[1], work->window, work->gradient,
              piece.rows * p->row_length, work->totals + (size_t)first[0] * totals_stride, ahead);
        }
    }
}

SQ_INLINE void sparse_gradient(
    const sq_conv *shape, const void *input, int levels, const float *output_gradient, const void *index_buffer,
    float *weight_gradient, int32_t first, int32_t count, void *scratch) {
  sparse_plan p = make_plan(shape);
  const sparse_index index = lay_out_index(&p, index_buffer);
  const sparse_scratch work = lay_out(&p, scratch);
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
  memset(work.gradient, 0, (size_t)p.block * p.copies * p.copy_stride * sizeof(float));
  memset(work.window, 0, (size_t)p.window * p.channel_stride * sizeof(float));

  const int32_t out_width = p.s.out_width;
  const int32_t images = p.pointwise ? (int32_t)((count * out_pixels + out_width - 1) / out_width) : count;
  const size_t piece_gradient_bytes = (size_t)p.images * p.rows * out_width * gradient_pixel;
  const size_t piece_input_bytes =
      (size_t)p.images * minimum(p.rows * p.s.stride_y, p.s.in_height) * p.s.in_width * input_pixel;
  sparse_prefetch ahead = {.lines = 1 + (int32_t)((piece_gradient_bytes + piece_input_bytes) / 64 / (entries + 1))};
  for (int32_t image = 0; image < images; image += p.images)
    for (int32_t y = 0; y < p.s.out_height; y += p.rows) {
      sparse_piece piece = {
          .image = image, .images = minimum(p.images, images - image), .y = y,
          .rows = minimum(p.rows, p.s.out_height - y), .out_width = out_width};
      if (p.pointwise) {
        const size_t left = count * out_pixels - (size_t)image * out_width;
        if (left < (size_t)out_width) piece.out_width = (int32_t)left;
      }
      // The rows that follow this piece's.
      const int32_t last_image = image + piece.images - 1, end_row = y + piece.rows;
      ahead.next[0] = inputs + ((size_t)last_image * p.s.in_height + minimum(end_row * p.s.stride_y, p.s.in_height)) *
                                   p.s.in_width * input_pixel;
      ahead.end[0] = lesser(ahead.next[0] + piece_input_bytes, inputs_end);
      ahead.next[1] = gradients + ((size_t)last_image * p.s.out_height + end_row) * out_width * gradient_pixel;
      ahead.end[1] = lesser(ahead.next[1] + piece_gradient_bytes, gradients_end);
      run_piece(&p, &work, &index, inputs, levels, (const float *)gradients, piece, &ahead);
    }
  for (uint32_t at = 0; at < entries; at++)
    for (uint32_t k = 0; k < index.entries[at].count; k++)
      weight_gradient[index.weights[(size_t)at * max_group + k]] += work.totals[(size_t)at * totals_stride + k];
}

static void backward_weight(
    const sq_conv *shape, const float *input, const float *output_gradient, const void *index, float *weight_gradient,
    int32_t first, int32_t count, void *scratch) {
  sparse_gradient(shape, input, 0, output_gradient, index, weight_gradient, first, count, scratch);
}

static void backward_weight_u8(
    const sq_conv *shape, const uint8_t *input, const float *output_gradient, const void *index,
    float *weight_gradient, int32_t first, int32_t count, void *scratch) {
  sparse_gradient(shape, input, 1, output_gradient, index, weight_gradient, first, count, scratch);
}

SQ_KERNELS_END

const sq_sparse_weight_gradient_kernels SQ_NAME(sq_sparse_weight_gradient) = {
    .index_bytes = index_bytes,
    .index_build = index_build,
    .scratch_bytes = scratch_bytes,
    .backward_weight = backward_weight,
    .backward_weight_u8 = backward_weight_u8,
};
