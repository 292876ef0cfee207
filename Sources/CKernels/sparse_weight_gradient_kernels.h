// Included once for each instruction set; see vector.h.
//
// The gradient of one weight is a dot product over pixels: of an input channel, shifted by the weight's tap, and an
// output gradient's channel. Vectors run over pixels here. The batch is cut into pieces of a few hundred pixels; a
// piece of both operands is copied channel by channel, so that every tap's dot products become runs over contiguous
// memory. A window of input channels is what stays in the first-level cache. The unfrozen weights of one output
// channel within a window form groups of up to twelve, which share the loads of the output gradient and keep their sums
// in registers for the whole run: about one load a multiply-add, what the machine sustains.
//
// A channel of the packed input is [kernel column][row class][row][image][column]: the columns that one kernel column
// meets, without any extra ones, and rows by their position modulo the stride, so that a tap's dot products are one run
// whatever the stride. The batch's piece is first collected channel by channel, in its own type and only one kernel
// column of each position modulo the stride where the others are the same columns shifted; the window in use is
// expanded to floats and all kernel columns in a buffer that stays in the first-level cache.

#include "sparse_weight_gradient_tables.h"

enum {
  max_group = 12,       // weights that share a run: as many as there are registers for their addresses
  totals_stride = 16,   // sums kept for an entry: whole tiles
  max_window = 64,      // input channels in a window
  tile = 8,             // pixels and channels transposed at a time
  run_target = 256,     // pixels in a piece
  window_target = 6144,  // floats of a window of packed input in the first-level cache
  packed_input_target = 40 * 1024  // values of packed input in the second-level cache
};

typedef struct run_entry {
  uint32_t channel;           // output channel within its group
  uint32_t count;
  uint16_t pairs[max_group];  // tap + taps * (input channel within the window)
} run_entry;

typedef struct sparse_plan {
  sq_conv s;
  int32_t in_group, out_group, taps;
  int32_t window, windows;  // input channels in a window, windows in a group
  int32_t pointwise, classes;
  int32_t min_shift_y, extra_rows;
  int32_t rows, images;  // of a piece, at most
  int32_t gradient_stride, input_stride, plane_stride;  // floats between packed channels, and within one
  int32_t input_block;  // packed input channels at a time
} sparse_plan;

static inline int32_t floor_divide(int32_t a, int32_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }
static inline int32_t minimum(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t maximum(int32_t a, int32_t b) { return a > b ? a : b; }
static inline const char *lesser(const char *a, const char *b) { return a < b ? a : b; }
static inline size_t round_up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/// The largest part when `size` is cut into as few parts of at most `most` as possible, about equal.
static inline int32_t share(int32_t size, int32_t most) {
  const int32_t parts = (size + most - 1) / most;
  return (size + parts - 1) / parts;
}

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
    s->in_width = s->out_width = run_target;
    s->in_height = s->out_height = (int32_t)((pixels + s->out_width - 1) / s->out_width);
  }
  p.in_group = s->in_channels / s->groups;
  p.out_group = s->out_channels / s->groups;
  p.taps = s->kernel_height * s->kernel_width;
  p.classes = minimum(s->stride_y, s->kernel_height);
  p.min_shift_y = floor_divide(-s->pad_top, s->stride_y);
  p.extra_rows = floor_divide(s->kernel_height - 1 - s->pad_top, s->stride_y) - p.min_shift_y;

  p.images = maximum(1, run_target / maximum(1, s->out_height * s->out_width));
  p.rows = p.images > 1 ? s->out_height : minimum(s->out_height, maximum(1, run_target / s->out_width));
  // The index depends on the windows, so they don't depend on the number of images.
  const int32_t window_row = p.images * s->out_width;
  p.window = window_target / (s->kernel_width * p.classes * (p.rows + p.extra_rows) * window_row);
  p.window = share(p.in_group, maximum(1, minimum(p.window, max_window)));
  p.windows = (p.in_group + p.window - 1) / p.window;
  p.images = minimum(p.images, s->batch);
  const int32_t row_length = p.images * s->out_width;
  // Past a run are zeros up to a whole vector. Strides keep channels out of each other's cache sets.
  p.gradient_stride = (int32_t)round_up((size_t)p.rows * row_length, 16) + 16;
  p.plane_stride = (int32_t)round_up((size_t)p.classes * (p.rows + p.extra_rows) * row_length, 16);
  p.input_stride = s->kernel_width * p.plane_stride + 16;
  // Pieces of about equal size.
  p.rows = share(s->out_height, p.rows);
  p.images = share(s->batch, p.images);
  p.input_block = minimum(s->in_channels, maximum(p.window, packed_input_target / p.input_stride));
  if (p.input_block < p.in_group) p.input_block = p.input_block / p.window * p.window;
  return p;
}

static inline size_t max_entries(const sparse_plan *p) {
  return (size_t)p->s.out_channels * p->windows * ((p->window * p->taps + max_group - 1) / max_group);
}

/// An index is the first entry of each (group, window) and the end, then the entries.
static inline size_t index_header(const sparse_plan *p) {
  return round_up(((size_t)p->s.groups * p->windows + 1) * sizeof(uint32_t), 64);
}

static size_t index_bytes(const sq_conv *shape) {
  const sparse_plan p = make_plan(shape, shape->batch);
  return index_header(&p) + max_entries(&p) * sizeof(run_entry);
}

/// The mask of one output channel's weights: [tap][input channel].
static inline const uint8_t *filter_mask(const sparse_plan *p, const uint8_t *frozen, int32_t channel) {
  return frozen + (size_t)channel * p->taps * p->in_group;
}

static int32_t count_unfrozen(const sparse_plan *p, const uint8_t *mask, int32_t window, int32_t channels) {
  int32_t count = 0;
  for (int32_t tap = 0; tap < p->taps; tap++)
    for (int32_t i = 0; i < channels; i++) count += mask[tap * p->in_group + window * p->window + i] == 0;
  return count;
}

/// How many groups of about equal size `count` weights form.
static inline int32_t part_count(int32_t count) { return (count + max_group - 1) / max_group; }

static void index_build(const sq_conv *shape, const uint8_t *frozen, void *index) {
  const sparse_plan p = make_plan(shape, shape->batch);
  uint32_t *first = index;
  run_entry *entries = (run_entry *)((char *)index + index_header(&p));
  uint32_t at = 0;
  for (int32_t group = 0; group < p.s.groups; group++)
    for (int32_t window = 0; window < p.windows; window++) {
      *first++ = at;
      const int32_t channels = minimum(p.window, p.in_group - window * p.window);
      // Groups of equal size follow each other, largest first, so that their branches are predicted.
      uint32_t next[max_group + 1] = {0};
      for (int32_t o = 0; o < p.out_group; o++) {
        int32_t left = count_unfrozen(&p, filter_mask(&p, frozen, group * p.out_group + o), window, channels);
        for (int32_t parts = part_count(left); parts > 0; parts--) {
          next[left / parts]++;
          left -= left / parts;
        }
      }
      for (int32_t size = max_group; size > 0; size--) {
        const uint32_t entries_of_size = next[size];
        next[size] = at;
        at += entries_of_size;
      }
      for (int32_t o = 0; o < p.out_group; o++) {
        const uint8_t *mask = filter_mask(&p, frozen, group * p.out_group + o);
        int32_t left = count_unfrozen(&p, mask, window, channels), parts = part_count(left);
        run_entry *entry = NULL;
        for (int32_t i = 0; i < channels; i++)
          for (int32_t tap = 0; tap < p.taps; tap++) {
            if (mask[tap * p.in_group + window * p.window + i]) continue;
            if (!entry || entry->count == (uint32_t)(left / parts)) {
              if (entry) left -= left / parts, parts--;
              entry = &entries[next[left / parts]++];
              *entry = (run_entry){.channel = (uint32_t)o};
            }
            entry->pairs[entry->count++] = (uint16_t)(tap + p.taps * i);
          }
      }
    }
  *first = at;
}

typedef struct sparse_scratch {
  int32_t *offsets;  // of each pair within a packed window
  float *totals;     // totals_stride sums an entry
  int32_t *masks;    // of each kernel column, for a packed plane: all bits where a column is within the image
  float *gradient;
  float *window;     // one expanded window
  void *input;
  size_t bytes;
} sparse_scratch;

/// Not less for more images, so that the scratch of a batch serves all its parts.
static inline size_t input_count(const sparse_plan *p) {
  return maximum(packed_input_target, p->window * p->input_stride);
}

static sparse_scratch lay_out(const sparse_plan *p, void *scratch) {
  char *base = scratch;
  sparse_scratch result;
  size_t at = 0;
  result.offsets = (int32_t *)(base + at);
  at += round_up((size_t)p->window * p->taps * sizeof(int32_t), 64);
  result.totals = (float *)(base + at);
  at += max_entries(p) * totals_stride * sizeof(float);
  result.masks = (int32_t *)(base + at);
  at += (size_t)p->s.kernel_width * p->plane_stride * sizeof(int32_t);
  result.gradient = (float *)(base + at);
  at += ((size_t)p->s.out_channels * p->gradient_stride) * sizeof(float);
  result.window = (float *)(base + at);
  at += round_up((size_t)p->window * p->input_stride + SQ_LANES, 16) * sizeof(float);
  result.input = base + at;
  at += (input_count(p) + SQ_LANES) * sizeof(float);
  result.bytes = at;
  return result;
}

static size_t scratch_bytes(const sq_conv *shape) {
  const sparse_plan p = make_plan(shape, shape->batch);
  char base[1];
  return lay_out(&p, base).bytes + 64;
}

SQ_KERNELS_BEGIN

typedef uint8_t tile_bytes __attribute__((vector_size(2 * tile)));
typedef tile_bytes tile_bytes_unaligned __attribute__((aligned(1), may_alias));

#define BYTES_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define BYTES_HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

/// Eight pixels, `step` bytes apart, of sixteen channels (of which `channels` are stored) to
/// packed[channel * stride + pixel].
SQ_INLINE void pack_bytes(const uint8_t *pixels, ptrdiff_t step, uint8_t *packed, int32_t stride, int32_t channels) {
  // Two bases and small multiples need fewer registers than eight offsets.
  const ptrdiff_t upper = 4 * step;
  tile_bytes r[tile], s[tile];
  for (int k = 0; k < tile; k++) r[k] = *(const tile_bytes_unaligned *)(pixels + k / 4 * upper + k % 4 * step);
  // Three rounds, each interleaving rows half of the remaining ones apart.
  for (int k = 0; k < 4; k++) s[2 * k] = BYTES_LOW(r[k], r[k + 4]), s[2 * k + 1] = BYTES_HIGH(r[k], r[k + 4]);
  for (int k = 0; k < 4; k++) r[2 * k] = BYTES_LOW(s[k], s[k + 4]), r[2 * k + 1] = BYTES_HIGH(s[k], s[k + 4]);
  for (int k = 0; k < 4; k++) s[2 * k] = BYTES_LOW(r[k], r[k + 4]), s[2 * k + 1] = BYTES_HIGH(r[k], r[k + 4]);
  for (int c = 0; c < tile; c++) {
    typedef uint64_t pair __attribute__((vector_size(16)));
    const pair values = (pair)s[c];
    if (2 * c < channels) memcpy(packed + (size_t)(2 * c) * stride, &(uint64_t){values[0]}, tile);
    if (2 * c + 1 < channels) memcpy(packed + (size_t)(2 * c + 1) * stride, &(uint64_t){values[1]}, tile);
  }
}

#if SQ_LANES >= 8
typedef float tile_row __attribute__((vector_size(4 * tile)));
typedef tile_row tile_row_unaligned __attribute__((aligned(4), may_alias));

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

/// Eight pixels, `step` bytes apart, of eight channels (of which `channels` are stored) to
/// packed[channel * stride + pixel].
SQ_INLINE void pack_floats(const char *pixels, ptrdiff_t step, float *packed, int32_t stride, int32_t channels) {
  tile_row r[tile];
  transpose_half(pixels, pixels + 4 * step, step, r);
  transpose_half(pixels + sizeof(half_row), pixels + 4 * step + sizeof(half_row), step, r + 4);
  if (channels >= tile) {
    float *upper_packed = packed + 4 * (size_t)stride;
    for (int c = 0; c < 4; c++) {
      *(tile_row_unaligned *)(packed + (size_t)c * stride) = r[c];
      *(tile_row_unaligned *)(upper_packed + (size_t)c * stride) = r[4 + c];
    }
  } else {
    for (int c = 0; c < tile; c++)
      if (c < channels) *(tile_row_unaligned *)(packed + (size_t)c * stride) = r[c];
  }
}
#else
SQ_INLINE void pack_floats(const char *pixels, ptrdiff_t step, float *packed, int32_t stride, int32_t channels) {
  for (int32_t c = 0; c < minimum(channels, tile); c++)
    for (int k = 0; k < tile; k++) packed[(size_t)c * stride + k] = ((const float *)(pixels + k * step))[c];
}
#endif

/// Entry j of [0, pitch) of a packed row is column first_column + step * j; the entries [begin, end) are within the
/// image.
typedef struct row_columns {
  int32_t first_column, step, width, begin, end;
} row_columns;

static row_columns find_columns(int32_t first_column, int32_t step, int32_t width, int32_t pitch) {
  row_columns r = {first_column, step, width, 0, 0};
  r.begin = first_column >= 0 ? 0 : minimum(pitch, (-first_column + step - 1) / step);
  r.end = width <= first_column ? 0 : minimum(pitch, (width - first_column + step - 1) / step);
  return r;
}

/// The entries [at, at + tile) of a row some of whose entries are outside the image, or of a row shorter than a tile.
static void pack_edge(
    const char *pixels, ptrdiff_t step, size_t element, row_columns columns, int32_t at, int32_t pitch, char *packed,
    int32_t stride, int32_t channels) {
  for (int32_t k = at; k < minimum(at + tile, pitch); k++, pixels += step)
    for (int32_t c = 0; c < channels; c++) {
      char *to = packed + ((size_t)c * stride + k) * element;
      const int inside = k >= columns.begin && k < columns.end;
      if (element == 1)
        *to = inside ? pixels[c] : 0;
      else
        *(float *)to = inside ? ((const float *)pixels)[c] : 0;
    }
}

/// Packs a row, whose column 0 is at `row`, to packed[channel * stride + entry], in the type of its elements.
SQ_INLINE void pack_row(
    const char *row, row_columns columns, int32_t pitch, size_t pixel_bytes, int levels, char *packed, int32_t stride,
    int32_t channels) {
  const size_t element = levels ? 1 : sizeof(float);
  const int32_t tile_channels = levels ? 2 * tile : tile;
  const ptrdiff_t step = columns.step * (ptrdiff_t)pixel_bytes;
  for (int32_t c = 0; c < channels; c += tile_channels, row += tile_channels * element) {
    char *to = packed + (size_t)c * stride * element;
    for (int32_t j = 0; j < pitch; j += tile) {
      // The last tile overlaps the one before it.
      const int32_t at = maximum(0, minimum(j, pitch - tile));
      const char *pixels = row + columns.first_column * (ptrdiff_t)pixel_bytes + at * step;
      if (at < columns.begin || at + tile > columns.end)
        pack_edge(pixels, step, element, columns, at, pitch, to, stride, minimum(channels - c, tile_channels));
      else if (levels)
        pack_bytes((const uint8_t *)pixels, step, (uint8_t *)to + at, stride, channels - c);
      else
        pack_floats(pixels, step, (float *)to + at, stride, channels - c);
    }
  }
}

/// A piece: images [image, image + images), output rows [y, y + rows).
typedef struct sparse_piece {
  int32_t image, images, y, rows;
  int32_t row_length;  // images * output width
  int32_t run;         // entries of a run, a multiple of SQ_LANES
} sparse_piece;

static void pack_gradient(const sparse_plan *p, const char *gradient, sparse_piece piece, float *packed) {
  const sq_conv *s = &p->s;
  const size_t pixel_bytes = (size_t)s->out_channels * sizeof(float);
  const int32_t length = piece.rows * piece.row_length;
  // The rows of a single image follow each other.
  const int32_t rows = piece.images > 1 ? piece.rows : 1;
  const int32_t pixels = piece.images > 1 ? s->out_width : length;
  const row_columns columns = find_columns(0, 1, pixels, pixels);
  for (int32_t row = 0; row < rows; row++)
    for (int32_t n = 0; n < piece.images; n++)
      pack_row(
          gradient + ((size_t)(piece.image + n) * s->out_height + piece.y + row) * s->out_width * pixel_bytes,
          columns, pixels, pixel_bytes, 0, (char *)(packed + (size_t)row * piece.row_length + n * pixels), p->gradient_stride,
          s->out_channels);
  for (int32_t c = 0; c < s->out_channels && length < piece.run; c++)
    memset(packed + (size_t)c * p->gradient_stride + length, 0, (size_t)(piece.run - length) * sizeof(float));
}

static inline row_columns kernel_column(const sparse_plan *p, int32_t kx) {
  return find_columns(kx - p->s.pad_left, p->s.stride_x, p->s.in_width, p->s.out_width);
}

/// The kernel column of which `kx` is a shifted copy; `kx` itself where there is none.
static int32_t shifted_from(const sparse_plan *p, int32_t kx) {
  const int32_t stride = p->s.stride_x;
  // The one that begins within the image, of those a stride apart.
  int32_t base = kx % stride;
  while (base < p->s.pad_left && base + stride < p->s.kernel_width) base += stride;
  const int32_t shift = (kx - base) / stride;
  const row_columns columns = kernel_column(p, kx);
  const int covered =
      columns.begin >= columns.end || (columns.begin + shift >= 0 && columns.end + shift <= p->s.out_width);
  return covered ? base : kx;
}

SQ_INLINE void pack_input(
    const sparse_plan *p, const void *input, int levels, sparse_piece piece, int32_t first_channel, int32_t channels,
    char *packed) {
  const sq_conv *s = &p->s;
  const size_t element = levels ? 1 : sizeof(float);
  const size_t pixel_bytes = s->in_channels * element;
  const int32_t rows = piece.rows + p->extra_rows;
  for (int32_t kx = 0; kx < s->kernel_width; kx++) {
    if (shifted_from(p, kx) != kx) continue;
    const row_columns columns = kernel_column(p, kx);
    for (int32_t class = 0; class < p->classes; class++) {
      // Kernel rows of this class: class, class + stride, ...
      const int32_t last_ky = class + (s->kernel_height - 1 - class) / s->stride_y * s->stride_y;
      const int32_t shift = floor_divide(class - s->pad_top, s->stride_y);
      const int32_t residue = class - s->pad_top - shift * s->stride_y;
      const int32_t begin = shift - p->min_shift_y;
      const int32_t end = piece.rows + floor_divide(last_ky - s->pad_top, s->stride_y) - p->min_shift_y;
      for (int32_t row = begin; row < end; row++) {
        const int32_t y = (piece.y + row + p->min_shift_y) * s->stride_y + residue;
        char *to = packed + ((size_t)kx * p->plane_stride + (size_t)(class * rows + row) * piece.row_length) * element;
        if (y < 0 || y >= s->in_height) {
          for (int32_t c = 0; c < channels; c++)
            memset(to + (size_t)c * p->input_stride * element, 0, (size_t)piece.row_length * element);
          continue;
        }
        for (int32_t n = 0; n < piece.images; n++, to += s->out_width * element)
          pack_row(
              (const char *)input + ((size_t)(piece.image + n) * s->in_height + y) * s->in_width * pixel_bytes +
                  first_channel * element,
              columns, s->out_width, pixel_bytes, levels, to, p->input_stride, channels);
      }
    }
  }
}

static void pack_input_floats(
    const sparse_plan *p, const void *input, sparse_piece piece, int32_t first_channel, int32_t channels,
    void *packed) {
  pack_input(p, input, 0, piece, first_channel, channels, packed);
}

static void pack_input_levels(
    const sparse_plan *p, const void *input, sparse_piece piece, int32_t first_channel, int32_t channels,
    void *packed) {
  pack_input(p, input, 1, piece, first_channel, channels, packed);
}

/// Packed channels as floats and with all kernel columns.
SQ_INLINE void expand_window(
    const sparse_plan *p, const char *packed, int levels, sparse_piece piece, int32_t channels, const int32_t *masks,
    float *window) {
  const size_t element = levels ? 1 : sizeof(float);
  const int32_t length = p->classes * (piece.rows + p->extra_rows) * piece.row_length;
  for (int32_t kx = 0; kx < p->s.kernel_width; kx++) {
    const int32_t base = shifted_from(p, kx), shift = (kx - base) / p->s.stride_x;
    const int32_t *mask = masks + (size_t)kx * p->plane_stride;
    for (int32_t c = 0; c < channels; c++) {
      const char *from = packed + ((size_t)c * p->input_stride + (size_t)base * p->plane_stride + shift) * element;
      float *to = window + (size_t)c * p->input_stride + (size_t)kx * p->plane_stride;
      for (int32_t at = 0; at < length; at += SQ_LANES) {
        const sq_float_vector x =
            levels ? sq_load_u8((const uint8_t *)from + at) : sq_load((const float *)from + at);
        sq_store(to + at, (sq_float_vector)((sq_int_vector)x & *(const sq_int_vector_unaligned *)(mask + at)));
      }
    }
  }
}

static void expand_floats(
    const sparse_plan *p, const void *packed, sparse_piece piece, int32_t channels, const int32_t *masks,
    float *window) {
  expand_window(p, packed, 0, piece, channels, masks, window);
}

static void expand_levels(
    const sparse_plan *p, const void *packed, sparse_piece piece, int32_t channels, const int32_t *masks,
    float *window) {
  expand_window(p, packed, 1, piece, channels, masks, window);
}

static void fill_masks(const sparse_plan *p, sparse_piece piece, int32_t *masks) {
  const int32_t length = p->classes * (piece.rows + p->extra_rows) * piece.row_length;
  memset(masks, 0, (size_t)p->s.kernel_width * p->plane_stride * sizeof(int32_t));
  for (int32_t kx = 0; kx < p->s.kernel_width; kx++, masks += p->plane_stride) {
    const row_columns columns = kernel_column(p, kx);
    for (int32_t row = 0; row < length; row += p->s.out_width)
      for (int32_t x = columns.begin; x < columns.end; x++) masks[row + x] = -1;
  }
}

/// Where each (input channel of a window, tap) starts within the packed window.
static void fill_offsets(const sparse_plan *p, sparse_piece piece, int32_t *offsets) {
  const sq_conv *s = &p->s;
  for (int32_t i = 0; i < p->window; i++)
    for (int32_t ky = 0; ky < s->kernel_height; ky++)
      for (int32_t kx = 0; kx < s->kernel_width; kx++) {
        const int32_t row = ky % s->stride_y * (piece.rows + p->extra_rows) +
                            floor_divide(ky - s->pad_top, s->stride_y) - p->min_shift_y;
        *offsets++ = i * p->input_stride + kx * p->plane_stride + row * piece.row_length;
      }
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

/// The dot products of `size` taps' runs of the input with one gradient channel. `unroll` vectors at a time have sums
/// of their own, so that there are enough independent ones to hide the latency of the multiply-adds.
SQ_INLINE void run_group(
    const float *input, const int32_t *offsets, const float *gradient, const run_entry *entry, int32_t run,
    float *totals, const int size, const int unroll) {
  const float *rows[max_group];
  sq_float_vector sums[max_group][8];
#pragma clang loop unroll(full)
  for (int k = 0; k < size; k++) {
    rows[k] = input + offsets[entry->pairs[k]];
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
    const run_entry *entry, const run_entry *end, const int32_t *offsets, const float *input, const float *gradient,
    int32_t gradient_stride, int32_t run, float *totals, sparse_prefetch *ahead) {
#define SQ_RUNS(size, unroll)                                                                                      \
  case size:                                                                                                       \
    do {                                                                                                           \
      prefetch_some(ahead);                                                                                        \
      run_group(                                                                                                   \
          input, offsets, gradient + (size_t)entry->channel * gradient_stride, entry, run, totals, size, unroll); \
      totals += totals_stride;                                                                                     \
    } while (++entry < end && entry->count == size);                                                               \
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

/// The last channel (exclusive) of the packed block of input channels that starts at `first`: whole groups or a part
/// of one that begins and ends at windows.
static int32_t input_block_end(const sparse_plan *p, int32_t first) {
  if (p->in_group <= p->input_block)
    return minimum(p->s.in_channels, first + p->input_block / p->in_group * p->in_group);
  const int32_t group_end = (first / p->in_group + 1) * p->in_group;
  return minimum(group_end, first + p->input_block);
}

static void run_piece(
    const sparse_plan *p, const sparse_scratch *work, const void *index, int levels, sparse_piece piece,
    int32_t first_channel, int32_t end_channel, sparse_prefetch *ahead) {
  const uint32_t *first = index;
  const run_entry *entries = (const run_entry *)((const char *)index + index_header(p));
  const int32_t first_group = first_channel / p->in_group, last_group = (end_channel - 1) / p->in_group;
  for (int32_t group = first_group; group <= last_group; group++) {
    const int32_t begin = maximum(first_channel - group * p->in_group, 0);
    const int32_t end = minimum(end_channel - group * p->in_group, p->in_group);
    const float *gradient = work->gradient + (size_t)group * p->out_group * p->gradient_stride;
    for (int32_t channel = begin; channel < end; channel += p->window) {
      const size_t at = (size_t)group * p->windows + channel / p->window;
      if (first[at] == first[at + 1]) continue;
      const size_t packed = (size_t)(group * p->in_group + channel - first_channel) * p->input_stride;
      const int32_t channels = minimum(p->window, end - channel);
      if (levels)
        expand_levels(p, (const uint8_t *)work->input + packed, piece, channels, work->masks, work->window);
      else
        expand_floats(p, (const float *)work->input + packed, piece, channels, work->masks, work->window);
      run_entries(
          entries + first[at], entries + first[at + 1], work->offsets, work->window, gradient, p->gradient_stride,
          piece.run, work->totals + (size_t)first[at] * totals_stride, ahead);
    }
  }
}

static void write_gradient(
    const sparse_plan *p, const void *index, const float *totals, float *weight_gradient) {
  const uint32_t *first = index;
  const run_entry *entries = (const run_entry *)((const char *)index + index_header(p));
  memset(weight_gradient, 0, (size_t)p->s.out_channels * p->taps * p->in_group * sizeof(float));
  for (int32_t group = 0; group < p->s.groups; group++)
    for (int32_t window = 0; window < p->windows; window++, first++)
      for (uint32_t at = first[0]; at < first[1]; at++) {
        const run_entry *entry = &entries[at];
        float *filter = weight_gradient + ((size_t)group * p->out_group + entry->channel) * p->taps * p->in_group +
                        window * p->window;
        for (uint32_t k = 0; k < entry->count; k++) {
          const int32_t i = entry->pairs[k] / p->taps, tap = entry->pairs[k] % p->taps;
          filter[(size_t)tap * p->in_group + i] = totals[(size_t)at * totals_stride + k];
        }
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
  const uint32_t entries = ((const uint32_t *)index)[(size_t)p.s.groups * p.windows];
  memset(work.totals, 0, (size_t)entries * totals_stride * sizeof(float));
  // Runs are rounded up to whole vectors: what they read beyond their ends must be finite.
  memset(work.input, 0, ((size_t)p.input_block * p.input_stride + SQ_LANES) * (levels ? 1 : sizeof(float)));
  memset(work.window, 0, ((size_t)p.window * p.input_stride + SQ_LANES) * sizeof(float));

  const int32_t in_width = p.s.in_width, out_width = p.s.out_width;
  const size_t piece_gradient_bytes = (size_t)p.images * p.rows * out_width * gradient_pixel;
  const size_t piece_input_bytes =
      (size_t)p.images * minimum(p.rows * p.s.stride_y, p.s.in_height) * in_width * input_pixel;
  sparse_prefetch ahead = {.lines = 1 + (int32_t)((piece_gradient_bytes + piece_input_bytes) / 64 / (entries + 1))};
  int32_t filled_images = 0, filled_rows = 0, filled_width = 0;
  for (int32_t image = 0; image < p.s.batch && count > 0; image += p.images)
    for (int32_t y = 0; y < p.s.out_height; y += p.rows) {
      sparse_piece piece = {
          .image = image, .images = minimum(p.images, p.s.batch - image),
          .y = y, .rows = minimum(p.rows, p.s.out_height - y)};
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
      piece.row_length = piece.images * p.s.out_width;
      piece.run = (int32_t)round_up((size_t)piece.rows * piece.row_length, SQ_LANES);
      if (piece.images != filled_images || piece.rows != filled_rows || p.s.out_width != filled_width) {
        fill_offsets(&p, piece, work.offsets);
        fill_masks(&p, piece, work.masks);
        filled_images = piece.images, filled_rows = piece.rows, filled_width = p.s.out_width;
      }
      pack_gradient(&p, piece_gradients, piece, work.gradient);
      for (int32_t channel = 0; channel < p.s.in_channels;) {
        const int32_t end = input_block_end(&p, channel);
        if (levels)
          pack_input_levels(&p, piece_inputs, piece, channel, end - channel, work.input);
        else
          pack_input_floats(&p, piece_inputs, piece, channel, end - channel, work.input);
        run_piece(&p, &work, index, levels, piece, channel, end, &ahead);
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
