// Included once for each instruction set; see vector.h.
//
// The gradient of one weight is a dot product over pixels: of an input channel, shifted by the weight's tap, and an
// output gradient's channel. Vectors run over pixels here. The batch is cut into pieces of a few hundred pixels; a
// piece of both operands is copied channel by channel, so that every tap's dot products become runs over contiguous
// memory. All unfrozen weights of one (input channel, tap) within a block of output channels form groups of up to
// eight, which share the loads of the input and keep their sums in registers for the whole run.
//
// A channel of the packed input is [plane][row class][row][image][pitch]:
// - row class and, in the compact form, plane are positions modulo the stride, so that a tap's input rows and columns
//   are consecutive whatever the stride;
// - compact form: a row ends with zeros that also serve as the padding left of the next row, and the output gradient is
//   spread to the same pitch with zeros, so that a tap is just an offset; costs the arithmetic of the extra columns;
// - expanded form (small images): one plane for each kernel column, no extra columns.

#include "sparse_weight_gradient_tables.h"

enum {
  max_group = 8,        // weights that share a run
  output_block = 16,    // output channels whose packed gradients stay in the first-level cache
  tile = 8,             // pixels and channels transposed at a time
  expanded_below = 17,  // output widths below this use the expanded form: aligned loads and no extra columns
  run_target = 288,     // pixels in a piece
  packed_input_target = 40 * 1024  // floats of packed input in the second-level cache
};

typedef struct run_entry {
  uint16_t pair;  // tap + taps * (input channel within the window)
  uint8_t count;
  uint8_t reserved;
  uint8_t channels[max_group];  // within the output block
} run_entry;

typedef struct sparse_plan {
  sq_conv s;
  int32_t in_group, out_group, taps;
  int32_t blocks_per_group, window, windows;
  int32_t pointwise, expanded, planes, classes;
  int32_t overhang;    // entries past a row's last column that a tap may read
  int32_t left;        // column 0 of the compact form is at this entry of a row
  int32_t pitch;       // entries of a row
  int32_t min_shift_y, extra_rows;
  int32_t rows, images;  // of a piece
  int32_t row_length;  // images * pitch
  int32_t run;         // entries of a run, a multiple of SQ_LANES
  int32_t gradient_stride, input_stride;  // floats between packed channels
  int32_t input_block;  // packed input channels at a time
} sparse_plan;

static const float zero_pixel[16];

static inline int32_t floor_divide(int32_t a, int32_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }
static inline int32_t minimum(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t maximum(int32_t a, int32_t b) { return a > b ? a : b; }
static inline const char *lesser(const char *a, const char *b) { return a < b ? a : b; }
static inline size_t round_up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

static sparse_plan make_plan(const sq_conv *shape, int32_t count) {
  sparse_plan p = {.s = *shape};
  sq_conv *s = &p.s;
  count = maximum(count, 1);
  s->batch = count;
  p.pointwise = s->kernel_height == 1 && s->kernel_width == 1 && s->stride_y == 1 && s->stride_x == 1 &&
                s->pad_top == 0 && s->pad_left == 0 && s->in_height == s->out_height &&
                s->in_width == s->out_width;
  if (p.pointwise) {  // every pixel stands alone: rows of any length
    const int64_t pixels = (int64_t)count * s->out_height * s->out_width;
    s->batch = 1;
    s->in_width = s->out_width = run_target / 32 * 32;
    s->in_height = s->out_height = (int32_t)((pixels + s->out_width - 1) / s->out_width);
  }
  p.in_group = s->in_channels / s->groups;
  p.out_group = s->out_channels / s->groups;
  p.taps = s->kernel_height * s->kernel_width;
  p.blocks_per_group = (p.out_group + output_block - 1) / output_block;
  p.window = p.taps >= 25 ? 1 : p.taps >= 16 ? 2 : p.taps >= 5 ? 4 : 8;
  p.windows = (p.in_group + p.window - 1) / p.window;

  p.expanded = s->out_width < expanded_below || s->kernel_width == 1;
  if (p.expanded) {
    p.planes = s->kernel_width;
    p.pitch = s->out_width;
  } else {
    const int32_t min_shift = floor_divide(-s->pad_left, s->stride_x);
    const int32_t max_shift = floor_divide(s->kernel_width - 1 - s->pad_left, s->stride_x);
    p.planes = minimum(s->stride_x, s->kernel_width);
    p.left = -min_shift;
    p.overhang = p.left + maximum(max_shift, 0);
    const int32_t needed = s->out_width + p.overhang;
    const int32_t last_valid = p.left + (s->in_width - 1) / s->stride_x;
    p.pitch = maximum(maximum(s->out_width, needed - p.left), minimum(last_valid + 1, needed));
  }
  p.classes = minimum(s->stride_y, s->kernel_height);
  p.min_shift_y = floor_divide(-s->pad_top, s->stride_y);
  p.extra_rows = floor_divide(s->kernel_height - 1 - s->pad_top, s->stride_y) - p.min_shift_y;

  p.images = maximum(1, minimum(run_target / maximum(1, s->out_height * p.pitch), s->batch));
  p.rows = s->out_height;
  if (p.images == 1) {
    p.rows = minimum(p.rows, maximum(1, run_target / p.pitch));
    const int32_t pieces = (s->out_height + p.rows - 1) / p.rows;
    p.rows = (s->out_height + pieces - 1) / pieces;
  }
  p.row_length = p.images * p.pitch;
  p.run = (int32_t)round_up((size_t)p.rows * p.row_length, SQ_LANES);
  p.gradient_stride = (int32_t)round_up(p.run, 16) + 16;
  // The last tap of the last row reads on past its row by less than a row and a vector.
  p.input_stride = (int32_t)round_up(
      (size_t)p.planes * p.classes * (p.rows + p.extra_rows) * p.row_length + p.overhang + SQ_LANES, 16);
  const int32_t channels = packed_input_target / p.input_stride / tile * tile;
  p.input_block = minimum(s->in_channels, maximum(tile, channels));
  return p;
}

/// The output blocks are numbered group by group.
static inline int32_t block_count(const sparse_plan *p) { return p->s.groups * p->blocks_per_group; }

static inline int32_t block_channels(const sparse_plan *p, int32_t block) {
  return minimum(output_block, p->out_group - block % p->blocks_per_group * output_block);
}

static inline int32_t block_first(const sparse_plan *p, int32_t block) {
  return block / p->blocks_per_group * p->out_group + block % p->blocks_per_group * output_block;
}

static inline size_t max_entries(const sparse_plan *p) {
  return (size_t)block_count(p) * p->in_group * p->taps *
         ((minimum(output_block, p->out_group) + max_group - 1) / max_group);
}

/// An index is the first entry of each (block, window) and the end, then the entries.
static inline size_t index_header(const sparse_plan *p) {
  return round_up(((size_t)block_count(p) * p->windows + 1) * sizeof(uint32_t), 64);
}

static size_t index_bytes(const sq_conv *shape) {
  const sparse_plan p = make_plan(shape, shape->batch);
  return index_header(&p) + max_entries(&p) * sizeof(run_entry);
}

/// The unfrozen output channels of a block for one (input channel, tap) of a window; returns how many.
static inline int32_t list_unfrozen(
    const sparse_plan *p, const uint8_t *frozen, int32_t block, int32_t window, int32_t pair, uint8_t *unfrozen) {
  const size_t step = (size_t)p->taps * p->in_group;
  const uint8_t *from = frozen + block_first(p, block) * step + (size_t)(pair % p->taps) * p->in_group +
                        window * p->window + pair / p->taps;
  const int32_t channels = block_channels(p, block);
  int32_t count = 0;
  for (int32_t o = 0; o < channels; o++) {
    unfrozen[count] = (uint8_t)o;
    count += from[o * step] == 0;
  }
  return count;
}

static inline int32_t part_count(int32_t count) { return (count + max_group - 1) / max_group; }

static void index_build(const sq_conv *shape, const uint8_t *frozen, void *index) {
  const sparse_plan p = make_plan(shape, shape->batch);
  uint32_t *first = index;
  run_entry *entries = (run_entry *)((char *)index + index_header(&p));
  uint32_t at = 0;
  for (int32_t block = 0; block < block_count(&p); block++)
    for (int32_t window = 0; window < p.windows; window++) {
      *first++ = at;
      const int32_t pairs = minimum(p.window, p.in_group - window * p.window) * p.taps;
      // Groups of equal size follow each other, largest first, so that their branches are predicted.
      uint32_t next[max_group + 1] = {0};
      for (int32_t pair = 0; pair < pairs; pair++) {
        uint8_t unfrozen[output_block + 1];
        const int32_t count = list_unfrozen(&p, frozen, block, window, pair, unfrozen);
        for (int32_t parts = part_count(count), done = 0; parts > 0; parts--) {
          const int32_t size = (count - done) / parts;
          next[size]++;
          done += size;
        }
      }
      for (int32_t size = max_group; size > 0; size--) {
        const uint32_t entries_of_size = next[size];
        next[size] = at;
        at += entries_of_size;
      }
      for (int32_t pair = 0; pair < pairs; pair++) {
        uint8_t unfrozen[output_block + 1];
        const int32_t count = list_unfrozen(&p, frozen, block, window, pair, unfrozen);
        for (int32_t parts = part_count(count), done = 0; parts > 0; parts--) {
          const int32_t size = (count - done) / parts;
          run_entry entry = {.pair = (uint16_t)pair, .count = (uint8_t)size};
          for (int32_t k = 0; k < size; k++) entry.channels[k] = unfrozen[done + k];
          entries[next[size]++] = entry;
          done += size;
        }
      }
    }
  *first = at;
}

typedef struct sparse_scratch {
  int32_t *offsets;  // of each pair within a packed window
  float *totals;     // max_group sums an entry
  float *gradient;
  float *input;
  size_t bytes;
} sparse_scratch;

/// Not less for more images, so that the scratch of a batch serves all its parts.
static inline size_t input_floats(const sparse_plan *p) {
  return maximum(packed_input_target, tile * p->input_stride);
}

static sparse_scratch lay_out(const sparse_plan *p, void *scratch) {
  char *base = scratch;
  sparse_scratch result;
  size_t at = 0;
  result.offsets = (int32_t *)(base + at);
  at += round_up((size_t)p->window * p->taps * sizeof(int32_t), 64);
  result.totals = (float *)(base + at);
  at += max_entries(p) * max_group * sizeof(float);
  at = round_up(at, 64);
  result.gradient = (float *)(base + at);
  at += ((size_t)p->s.out_channels * p->gradient_stride) * sizeof(float);
  result.input = (float *)(base + at);
  at += input_floats(p) * sizeof(float);
  result.bytes = at;
  return result;
}

static size_t scratch_bytes(const sq_conv *shape) {
  const sparse_plan p = make_plan(shape, shape->batch);
  char base[1];
  return lay_out(&p, base).bytes + 64;
}

SQ_KERNELS_BEGIN

#if SQ_LANES >= 8
typedef float tile_row __attribute__((vector_size(4 * tile)));
typedef tile_row tile_row_unaligned __attribute__((aligned(4), may_alias));
typedef uint8_t tile_bytes __attribute__((vector_size(tile)));
typedef tile_bytes tile_bytes_unaligned __attribute__((aligned(1), may_alias));

SQ_INLINE tile_row load_tile_row(const void *p, int levels) {
  if (levels) return __builtin_convertvector(*(const tile_bytes_unaligned *)p, tile_row);
  return *(const tile_row_unaligned *)p;
}

#define LOW_HALVES(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define HIGH_HALVES(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
#define INTERLEAVE_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define INTERLEAVE_HIGH(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define PAIRS_LOW(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define PAIRS_HIGH(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)

SQ_INLINE void transpose_tile(tile_row r[tile]) {
  tile_row a[tile], b[tile];
  for (int k = 0; k < 4; k++) {
    a[2 * k] = INTERLEAVE_LOW(r[2 * k], r[2 * k + 1]);
    a[2 * k + 1] = INTERLEAVE_HIGH(r[2 * k], r[2 * k + 1]);
  }
  for (int k = 0; k < 2; k++) {
    b[4 * k] = PAIRS_LOW(a[4 * k], a[4 * k + 2]);
    b[4 * k + 1] = PAIRS_HIGH(a[4 * k], a[4 * k + 2]);
    b[4 * k + 2] = PAIRS_LOW(a[4 * k + 1], a[4 * k + 3]);
    b[4 * k + 3] = PAIRS_HIGH(a[4 * k + 1], a[4 * k + 3]);
  }
  for (int k = 0; k < 4; k++) {
    r[k] = LOW_HALVES(b[k], b[4 + k]);
    r[4 + k] = HIGH_HALVES(b[k], b[4 + k]);
  }
}

SQ_INLINE void store_tile(tile_row r[tile], float *packed, int32_t stride, int32_t channels, int32_t entries) {
  transpose_tile(r);
  if (entries == tile && channels >= tile) {
    for (int c = 0; c < tile; c++) *(tile_row_unaligned *)(packed + (size_t)c * stride) = r[c];
  } else {
    for (int c = 0; c < tile; c++)
      if (c < channels) memcpy(packed + (size_t)c * stride, &r[c], (size_t)entries * sizeof(float));
  }
}

/// `entries` (up to a tile) pixels of a row to packed[channel * stride + entry]. `row` is the first channel of the
/// row's column 0, `step` the distance between entries' pixels; columns outside [0, width) are zeros.
SQ_INLINE void pack_tile(
    const char *row, int32_t column, int32_t step, int32_t width, size_t pixel_bytes, int levels, float *packed,
    int32_t stride, int32_t channels, int32_t entries) {
  tile_row r[tile];
  const int32_t last = column + step * (tile - 1);
  if (column >= 0 && last < width) {
    const char *from = row + (size_t)column * pixel_bytes;
    const size_t between = step * pixel_bytes;
    for (int k = 0; k < tile; k++) r[k] = load_tile_row(from + k * between, levels);
  } else {
    for (int k = 0; k < tile; k++) {
      const int32_t at = column + k * step;
      r[k] = load_tile_row(
          at >= 0 && at < width ? row + (size_t)at * pixel_bytes : (const char *)zero_pixel, levels);
    }
  }
  store_tile(r, packed, stride, channels, entries);
}
#else
SQ_INLINE void pack_tile(
    const char *row, int32_t column, int32_t step, int32_t width, size_t pixel_bytes, int levels, float *packed,
    int32_t stride, int32_t channels, int32_t entries) {
  for (int32_t k = 0; k < entries; k++) {
    const int32_t at = column + k * step;
    const char *pixel = at >= 0 && at < width ? row + (size_t)at * pixel_bytes : (const char *)zero_pixel;
    for (int32_t c = 0; c < minimum(channels, tile); c++)
      packed[(size_t)c * stride + k] = levels ? ((const uint8_t *)pixel)[c] : ((const float *)pixel)[c];
  }
}
#endif

/// Entry j of [0, pitch) of a packed row is column first_column + step * j; the entries [begin, end) are written. Those
/// outside the image are zeros already unless they share a tile with others.
typedef struct row_columns {
  int32_t first_column, step, width, begin, end;
} row_columns;

static row_columns find_columns(int32_t first_column, int32_t step, int32_t width, int32_t pitch) {
  row_columns r = {first_column, step, width, 0, 0};
  r.begin = first_column >= 0 ? 0 : (-first_column + step - 1) / step;
  r.end = minimum(pitch, (width - first_column + step - 1) / step);
  if (r.end - r.begin < tile) r.begin = 0, r.end = pitch;
  return r;
}

SQ_INLINE void pack_row(
    const char *row, const row_columns *columns, size_t pixel_bytes, int levels, float *packed, int32_t stride,
    int32_t channels) {
  const int32_t first_column = columns->first_column, step = columns->step, width = columns->width;
  const int32_t begin = columns->begin, end = columns->end;
  const size_t element = levels ? 1 : sizeof(float);
  for (int32_t c = 0; c < channels; c += tile) {
    const char *from = row + (size_t)c * element;
    float *to = packed + (size_t)c * stride;
    int32_t j = begin;
    for (; j + tile <= end; j += tile)
      pack_tile(
          from, first_column + step * j, step, width, pixel_bytes, levels, to + j, stride, channels - c, tile);
    if (j < end) {
      // The last tile overlaps the one before it.
      const int32_t entries = minimum(tile, end - begin);
      j = end - entries;
      pack_tile(
          from, first_column + step * j, step, width, pixel_bytes, levels, to + j, stride, channels - c, entries);
    }
  }
}

SQ_INLINE void clear_row(float *packed, int32_t stride, int32_t channels, int32_t pitch) {
  for (int32_t c = 0; c < channels; c++) memset(packed + (size_t)c * stride, 0, (size_t)pitch * sizeof(float));
}

/// A piece: images [image, image + images), output rows [y, y + rows).
typedef struct sparse_piece {
  int32_t image, images, y, rows;
} sparse_piece;

static void pack_gradient(const sparse_plan *p, const char *gradient, sparse_piece piece, float *packed) {
  const sq_conv *s = &p->s;
  const size_t pixel_bytes = (size_t)s->out_channels * sizeof(float);
  const row_columns columns = find_columns(0, 1, s->out_width, s->out_width);
  for (int32_t row = 0; row < piece.rows; row++)
    for (int32_t n = 0; n < piece.images; n++) {
      const char *from = gradient +
                         ((size_t)(piece.image + n) * s->out_height + piece.y + row) * s->out_width * pixel_bytes;
      float *to = packed + (size_t)row * p->row_length + n * p->pitch;
      pack_row(from, &columns, pixel_bytes, 0, to, p->gradient_stride, s->out_channels);
    }
}

SQ_INLINE void pack_input(
    const sparse_plan *p, const void *input, int levels, sparse_piece piece, int32_t first_channel, int32_t channels,
    float *packed) {
  const sq_conv *s = &p->s;
  const size_t element = levels ? 1 : sizeof(float);
  const size_t pixel_bytes = s->in_channels * element;
  const int32_t rows = p->rows + p->extra_rows;
  for (int32_t plane = 0; plane < p->planes; plane++) {
    int32_t column = plane - s->pad_left;
    if (!p->expanded) column = column - floor_divide(column, s->stride_x) * s->stride_x - p->left * s->stride_x;
    const row_columns columns = find_columns(column, s->stride_x, s->in_width, p->pitch);
    for (int32_t class = 0; class < p->classes; class++) {
      // Kernel rows of this class: class, class + stride, ...
      const int32_t last_ky = class + (s->kernel_height - 1 - class) / s->stride_y * s->stride_y;
      const int32_t shift = floor_divide(class - s->pad_top, s->stride_y);
      const int32_t residue = class - s->pad_top - shift * s->stride_y;
      const int32_t begin = shift - p->min_shift_y;
      const int32_t end = piece.rows + floor_divide(last_ky - s->pad_top, s->stride_y) - p->min_shift_y;
      for (int32_t row = begin; row < end; row++) {
        const int32_t y = (piece.y + row + p->min_shift_y) * s->stride_y + residue;
        float *to = packed + (size_t)((plane * p->classes + class) * rows + row) * p->row_length;
        for (int32_t n = 0; n < piece.images; n++, to += p->pitch) {
          if (y < 0 || y >= s->in_height)
            clear_row(to, p->input_stride, channels, p->pitch);
          else
            pack_row(
                (const char *)input + ((size_t)(piece.image + n) * s->in_height + y) * s->in_width * pixel_bytes +
                    first_channel * element,
                &columns, pixel_bytes, levels, to, p->input_stride, channels);
        }
      }
    }
  }
}

static void pack_input_floats(
    const sparse_plan *p, const void *input, sparse_piece piece, int32_t first_channel, int32_t channels,
    float *packed) {
  pack_input(p, input, 0, piece, first_channel, channels, packed);
}

static void pack_input_levels(
    const sparse_plan *p, const void *input, sparse_piece piece, int32_t first_channel, int32_t channels,
    float *packed) {
  pack_input(p, input, 1, piece, first_channel, channels, packed);
}

/// Where each (input channel of a window, tap) starts within the packed window.
static void fill_offsets(const sparse_plan *p, int32_t *offsets) {
  const sq_conv *s = &p->s;
  for (int32_t i = 0; i < p->window; i++)
    for (int32_t ky = 0; ky < s->kernel_height; ky++)
      for (int32_t kx = 0; kx < s->kernel_width; kx++) {
        const int32_t shift_y = floor_divide(ky - s->pad_top, s->stride_y) - p->min_shift_y;
        const int32_t plane = p->expanded ? kx : kx % s->stride_x;
        const int32_t shift_x = p->expanded ? 0 : floor_divide(kx - s->pad_left, s->stride_x) + p->left;
        *offsets++ = i * p->input_stride +
                     ((plane * p->classes + ky % s->stride_y) * (p->rows + p->extra_rows) + shift_y) * p->row_length +
                     shift_x;
      }
}

/// Adds the lanes of each of `size` vectors to the entry's totals.
SQ_INLINE void add_sums(sq_float_vector *sums, int size, float *totals) {
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

/// The dot products of `size` gradient channels with one run of the input. `unroll` vectors at a time have sums of
/// their own, so that there are enough independent ones to hide the latency of the multiply-adds.
SQ_INLINE void run_group(
    const float *input, const float *gradient, int32_t gradient_stride, const run_entry *entry, int32_t run,
    float *totals, const int size, const int unroll) {
  const float *rows[max_group];
  sq_float_vector sums[max_group][8];
#pragma clang loop unroll(full)
  for (int k = 0; k < size; k++) {
    rows[k] = gradient + (size_t)entry->channels[k] * gradient_stride;
#pragma clang loop unroll(full)
    for (int u = 0; u < unroll; u++) sums[k][u] = (sq_float_vector){};
  }
  intptr_t at = 0;
  for (; at <= run - unroll * SQ_LANES; at += unroll * SQ_LANES) {
    sq_float_vector x[8];
#pragma clang loop unroll(full)
    for (int u = 0; u < unroll; u++) x[u] = sq_load(input + at + u * SQ_LANES);
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
        const sq_float_vector x = sq_load(input + at + u * SQ_LANES);
#pragma clang loop unroll(full)
        for (int k = 0; k < size; k++)
          sums[k][u] += x * *(const sq_float_vector_unaligned *)(rows[k] + at + u * SQ_LANES);
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
  add_sums(result, size, totals);
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
    const run_entry *entry, const run_entry *end, const int32_t *offsets, const float *input, const float *gradient,
    int32_t gradient_stride, int32_t run, float *totals, sparse_prefetch *ahead) {
#define SQ_RUNS(size, unroll)                                                                                \
  case size:                                                                                                 \
    do {                                                                                                     \
      prefetch_some(ahead);                                                                                  \
      run_group(input + offsets[entry->pair], gradient, gradient_stride, entry, run, totals, size, unroll); \
      totals += max_group;                                                                                   \
    } while (++entry < end && entry->count == size);                                                         \
    break;
  while (entry < end) switch (entry->count) {
      SQ_RUNS(1, 8)
      SQ_RUNS(2, 4)
      SQ_RUNS(3, 4)
      SQ_RUNS(4, 2)
      SQ_RUNS(5, 2)
      SQ_RUNS(6, 2)
      SQ_RUNS(7, 2)
      default:
        SQ_RUNS(8, SQ_REGISTERS == 32 ? 2 : 1)
    }
#undef SQ_RUNS
}

/// The last channel (exclusive) of the packed block of input channels that starts at `first`: whole groups or a part
/// of one that begins and ends at windows.
static int32_t input_block_end(const sparse_plan *p, int32_t first) {
  if (p->in_group <= p->input_block)
    return minimum(p->s.in_channels, first + p->input_block / p->in_group * p->in_group);
  const int32_t group_end = (first / p->in_group + 1) * p->in_group;
  return minimum(group_end, first + p->input_block);
}

static void run_piece(
    const sparse_plan *p, const sparse_scratch *work, const void *index, int32_t first_channel, int32_t end_channel,
    sparse_prefetch *ahead) {
  const uint32_t *first = index;
  const run_entry *entries = (const run_entry *)((const char *)index + index_header(p));
  const int32_t first_group = first_channel / p->in_group, last_group = (end_channel - 1) / p->in_group;
  for (int32_t group = first_group; group <= last_group; group++) {
    const int32_t begin = maximum(first_channel - group * p->in_group, 0);
    const int32_t end = minimum(end_channel - group * p->in_group, p->in_group);
    for (int32_t b = 0; b < p->blocks_per_group; b++) {
      const int32_t block = group * p->blocks_per_group + b;
      const float *gradient = work->gradient + (size_t)block_first(p, block) * p->gradient_stride;
      for (int32_t window = begin / p->window; window * p->window < end; window++) {
        const size_t at = (size_t)block * p->windows + window;
        const float *input =
            work->input + (size_t)(group * p->in_group + window * p->window - first_channel) * p->input_stride;
        run_entries(
            entries + first[at], entries + first[at + 1], work->offsets, input, gradient, p->gradient_stride, p->run,
            work->totals + (size_t)first[at] * max_group, ahead);
      }
    }
  }
}

static void write_gradient(
    const sparse_plan *p, const void *index, const float *totals, float *weight_gradient) {
  const uint32_t *first = index;
  const run_entry *entries = (const run_entry *)((const char *)index + index_header(p));
  memset(weight_gradient, 0, (size_t)p->s.out_channels * p->taps * p->in_group * sizeof(float));
  for (int32_t block = 0; block < block_count(p); block++)
    for (int32_t window = 0; window < p->windows; window++, first++)
      for (uint32_t at = first[0]; at < first[1]; at++) {
        const run_entry *entry = &entries[at];
        const int32_t i = window * p->window + entry->pair / p->taps, tap = entry->pair % p->taps;
        for (int32_t k = 0; k < entry->count; k++)
          weight_gradient[((size_t)(block_first(p, block) + entry->channels[k]) * p->taps + tap) * p->in_group + i] =
              totals[(size_t)at * max_group + k];
      }
}

SQ_INLINE void sparse_gradient(
    const sq_conv *shape, const void *input, int levels, const float *output_gradient, const void *index,
    float *weight_gradient, int32_t first, int32_t count, void *scratch) {
  sparse_plan p = make_plan(shape, count);
  const sparse_scratch work = lay_out(&p, scratch);
  const size_t input_pixel = shape->in_channels * (levels ? 1 : sizeof(float));
  const size_t gradient_pixel = shape->out_channels * sizeof(float);
  const size_t in_pixels = (size_t)shape->in_height * shape->in_width;
  const size_t out_pixels = (size_t)shape->out_height * shape->out_width;
  const char *inputs = (const char *)input + first * in_pixels * input_pixel;
  const char *gradients = (const char *)output_gradient + first * out_pixels * gradient_pixel;
  const char *const inputs_end = inputs + count * in_pixels * input_pixel;
  const char *const gradients_end = gradients + count * out_pixels * gradient_pixel;
  const uint32_t entries = ((const uint32_t *)index)[(size_t)block_count(&p) * p.windows];
  fill_offsets(&p, work.offsets);
  memset(work.totals, 0, (size_t)entries * max_group * sizeof(float));
  memset(work.input, 0, (size_t)p.input_block * p.input_stride * sizeof(float));

  const int32_t in_width = p.s.in_width, out_width = p.s.out_width;
  const size_t piece_gradient_bytes = (size_t)p.images * p.rows * out_width * gradient_pixel;
  const size_t piece_input_bytes =
      (size_t)p.images * minimum(p.rows * p.s.stride_y, p.s.in_height) * in_width * input_pixel;
  sparse_prefetch ahead = {.lines = 1 + (int32_t)((piece_gradient_bytes + piece_input_bytes) / 64 / (entries + 1))};
  int32_t filled = -1;  // what of the packed gradient the last piece wrote
  for (int32_t image = 0; image < p.s.batch && count > 0; image += p.images)
    for (int32_t y = 0; y < p.s.out_height; y += p.rows) {
      sparse_piece piece = {
          image, minimum(p.images, p.s.batch - image), y, minimum(p.rows, p.s.out_height - y)};
      // The rows that follow this piece's.
      const int32_t last_image = image + piece.images - 1, end_row = y + piece.rows;
      ahead.next[0] = inputs + ((size_t)last_image * p.s.in_height + minimum(end_row * p.s.stride_y, p.s.in_height)) *
                                   in_width * input_pixel;
      ahead.end[0] = lesser(ahead.next[0] + piece_input_bytes, inputs_end);
      ahead.next[1] = gradients + ((size_t)last_image * p.s.out_height + end_row) * out_width * gradient_pixel;
      ahead.end[1] = lesser(ahead.next[1] + piece_gradient_bytes, gradients_end);

      const char *piece_inputs = inputs, *piece_gradients = gradients;
      if (p.pointwise) {  // the last row may be short
        const size_t row_first = (size_t)y * out_width, left = count * out_pixels - row_first;
        p.s.in_width = p.s.out_width = left < (size_t)out_width ? (int32_t)left : out_width;
        piece_inputs += row_first * input_pixel;
        piece_gradients += row_first * gradient_pixel;
        piece.y = 0;
      }
      const int32_t fill = piece.images * piece.rows * p.s.out_width;
      if (fill != filled)
        memset(work.gradient, 0, (size_t)p.s.out_channels * p.gradient_stride * sizeof(float));
      filled = fill;
      pack_gradient(&p, piece_gradients, piece, work.gradient);
      for (int32_t channel = 0; channel < p.s.in_channels;) {
        const int32_t end = input_block_end(&p, channel);
        if (levels)
          pack_input_levels(&p, piece_inputs, piece, channel, end - channel, work.input);
        else
          pack_input_floats(&p, piece_inputs, piece, channel, end - channel, work.input);
        run_piece(&p, &work, index, channel, end, &ahead);
        channel = end;
      }
    }
  write_gradient(&p, index, work.totals, weight_gradient);
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
