#ifndef SQ_SPARSE_PACKING_H
#define SQ_SPARSE_PACKING_H

// Copies pieces of the input and of the output gradient channel by channel for the sparse weight gradient (sparse.h):
// as floats, or as 16-bit integers.

#include "../include/sparse_weight_gradient.h"
#include "../target/arithmetic.h"
#include "../target/vector.h"
#include "fixed_point.h"
#include "sparse_index.h"

/// What is packed: an input and a gradient of floats, levels as floats with a gradient of floats, both as integers.
typedef enum packing { pack_floats, pack_levels, pack_integers } packing;

typedef uint8_t tile_bytes __attribute__((vector_size(2 * tile_side)));
typedef tile_bytes tile_bytes_unaligned __attribute__((aligned(1), may_alias));

#define BYTES_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define BYTES_HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

typedef float tile_row __attribute__((vector_size(4 * tile_side)));
typedef tile_row tile_row_unaligned __attribute__((aligned(4), may_alias));

typedef int16_t tile_integers __attribute__((vector_size(2 * tile_side)));
typedef tile_integers tile_integers_unaligned __attribute__((aligned(2), may_alias));

/// Eight pixels, `step` bytes apart, of sixteen channels: rows[pair of channels][channel][pixel].
SQ_INLINE void transpose_bytes(const char *pixels, ptrdiff_t step, tile_bytes s[tile_side]) {
  const ptrdiff_t upper = 4 * step;
  tile_bytes r[tile_side];
  for (int k = 0; k < tile_side; k++) r[k] = *(const tile_bytes_unaligned *)(pixels + k / 4 * upper + k % 4 * step);
  // Three rounds, each interleaving rows half of the remaining ones apart.
  for (int k = 0; k < 4; k++) s[2 * k] = BYTES_LOW(r[k], r[k + 4]), s[2 * k + 1] = BYTES_HIGH(r[k], r[k + 4]);
  for (int k = 0; k < 4; k++) r[2 * k] = BYTES_LOW(s[k], s[k + 4]), r[2 * k + 1] = BYTES_HIGH(s[k], s[k + 4]);
  for (int k = 0; k < 4; k++) s[2 * k] = BYTES_LOW(r[k], r[k + 4]), s[2 * k + 1] = BYTES_HIGH(r[k], r[k + 4]);
}

/// Eight pixels, `step` bytes apart, of sixteen channels: rows[channel][pixel], as floats.
SQ_INLINE void transpose_levels(const char *pixels, ptrdiff_t step, tile_row rows[2 * tile_side]) {
  tile_bytes s[tile_side];
  transpose_bytes(pixels, step, s);
  for (int c = 0; c < tile_side; c++) {
    typedef uint8_t row_bytes __attribute__((vector_size(tile_side)));
    const row_bytes even = __builtin_shufflevector(s[c], s[c], 0, 1, 2, 3, 4, 5, 6, 7);
    const row_bytes odd = __builtin_shufflevector(s[c], s[c], 8, 9, 10, 11, 12, 13, 14, 15);
    rows[2 * c] = __builtin_convertvector(even, tile_row);
    rows[2 * c + 1] = __builtin_convertvector(odd, tile_row);
  }
}

/// The same as 16-bit integers.
SQ_INLINE void transpose_integers(const char *pixels, ptrdiff_t step, tile_integers rows[2 * tile_side]) {
  tile_bytes s[tile_side];
  transpose_bytes(pixels, step, s);
  const tile_bytes zero = {};
  for (int c = 0; c < tile_side; c++) {
    rows[2 * c] = (tile_integers)BYTES_LOW(s[c], zero);
    rows[2 * c + 1] = (tile_integers)BYTES_HIGH(s[c], zero);
  }
}

#if SQ_LANES >= 8
#define LOW_HALVES(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define HIGH_HALVES(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
#define INTERLEAVE_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define INTERLEAVE_HIGH(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define PAIRS_LOW(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define PAIRS_HIGH(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)

typedef float half_row __attribute__((vector_size(2 * tile_side)));
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
SQ_INLINE void transpose_floats(const char *pixels, ptrdiff_t step, tile_row rows[tile_side]) {
  transpose_half(pixels, pixels + 4 * step, step, rows);
  transpose_half(pixels + sizeof(half_row), pixels + 4 * step + sizeof(half_row), step, rows + 4);
}
#else
SQ_INLINE void transpose_floats(const char *pixels, ptrdiff_t step, tile_row rows[tile_side]) {
  for (int c = 0; c < tile_side; c++)
    for (int k = 0; k < tile_side; k++) rows[c][k] = ((const float *)(pixels + k * step))[c];
}
#endif

enum {
  whole_tile = (1 << tile_side) - 1,
  few_channels = 2  // of a tile, which are copied one by one
};

/// Stores those of eight rows, `stride` floats apart, whose bit of `needed` is set.
SQ_INLINE void store_rows(const tile_row rows[tile_side], float *packed, int32_t stride, int32_t needed) {
  if (needed == whole_tile) {
    // Two bases and small multiples need fewer registers than eight offsets.
    float *upper = packed + 4 * (size_t)stride;
    for (int32_t c = 0; c < 4; c++) {
      *(tile_row_unaligned *)(packed + (size_t)c * stride) = rows[c];
      *(tile_row_unaligned *)(upper + (size_t)c * stride) = rows[4 + c];
    }
  } else {
    for (int c = 0; c < tile_side; c++)
      if (needed >> c & 1) *(tile_row_unaligned *)(packed + (size_t)c * stride) = rows[c];
  }
}

SQ_INLINE void store_integer_rows(
    const tile_integers rows[tile_side], int16_t *packed, int32_t stride, int32_t needed) {
  if (needed == whole_tile) {
    int16_t *upper = packed + 4 * (size_t)stride;
    for (int32_t c = 0; c < 4; c++) {
      *(tile_integers_unaligned *)(packed + (size_t)c * stride) = rows[c];
      *(tile_integers_unaligned *)(upper + (size_t)c * stride) = rows[4 + c];
    }
  } else {
    for (int c = 0; c < tile_side; c++)
      if (needed >> c & 1) *(tile_integers_unaligned *)(packed + (size_t)c * stride) = rows[c];
  }
}

/// A row of `columns` pixels, `step` bytes apart, to packed[channel * stride + column]: the needed ones of `channels`
/// channels, a byte of bits a tile.
SQ_INLINE void pack_row(
    const char *row, ptrdiff_t step, int32_t columns, const packing kind, void *packed, int32_t stride,
    int32_t channels, const uint8_t *needed) {
  const int levels = kind != pack_floats;
  const int32_t tile_channels = levels ? 2 * tile_side : tile_side;
  float *floats = packed;
  int16_t *integers = packed;
  for (int32_t c = 0; c < channels; c += tile_channels) {
    const int32_t low = needed[c / tile_side];
    const int32_t high = levels && channels - c > tile_side ? needed[c / tile_side + 1] : 0;
    const size_t start = (size_t)c * stride;
    uint32_t any = (uint32_t)(low | high << tile_side);
    if (columns < tile_side || __builtin_popcount(any) <= few_channels) {
      for (; any; any &= any - 1) {
        const int32_t i = __builtin_ctz(any);
        const char *value = row + (c + i) * (ptrdiff_t)(levels ? 1 : sizeof(float));
        const size_t to = start + (size_t)i * stride;
        for (int32_t k = 0; k < columns; k++, value += step)
          if (kind == pack_integers)
            integers[to + k] = *(const uint8_t *)value;
          else
            floats[to + k] = levels ? *(const uint8_t *)value : *(const float *)value;
      }
      continue;
    }
    for (int32_t j = 0; j < columns; j += tile_side) {
      const int32_t at = smaller(j, columns - tile_side);  // the last tile_side overlaps the one before it
      const char *pixels = row + at * step + c * (levels ? 1 : sizeof(float));
      if (kind == pack_integers) {
        tile_integers rows[2 * tile_side];
        transpose_integers(pixels, step, rows);
        if (high)
          store_integer_rows(rows + tile_side, integers + start + (size_t)tile_side * stride + at, stride, high);
        store_integer_rows(rows, integers + start + at, stride, low);
        continue;
      }
      tile_row rows[2 * tile_side];
      if (levels) {
        transpose_levels(pixels, step, rows);
        if (high) store_rows(rows + tile_side, floats + start + (size_t)tile_side * stride + at, stride, high);
      } else {
        transpose_floats(pixels, step, rows);
      }
      store_rows(rows, floats + start + at, stride, low);
    }
  }
}

/// A piece: images [image, image + images), output rows [y, y + rows).
typedef struct sparse_piece {
  int32_t image, images, y, rows;
  int32_t out_width;  // less than the plan's in the last piece of a pointwise convolution
} sparse_piece;

/// Eight pixels of eight channels of the output gradient as rounded units: rows[channel][pixel].
SQ_INLINE void transpose_units(const float *pixels, ptrdiff_t step, const float *units, tile_integers rows[tile_side]) {
  typedef int32_t words __attribute__((vector_size(4 * tile_side)));
  const tile_row scale = *(const tile_row_unaligned *)units;
  words pair[4], a[4];
  for (int k = 0; k < 4; k++) {
    const tile_row even = *(const tile_row_unaligned *)(pixels + 2 * k * step) * scale;
    const tile_row odd = *(const tile_row_unaligned *)(pixels + (2 * k + 1) * step) * scale;
    pair[k] = ((words)(even + 0x1.8p23f) & 0xffff) | (words)(odd + 0x1.8p23f) << 16;
  }
#define WORDS(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
  // Pairs of pixels are words: channels 0 1 4 5 and 2 3 6 7 of pairs 0 1 and 2 3, then four pairs of two channels.
  for (int k = 0; k < 4; k += 2) {
    a[k] = WORDS(pair[k], pair[k + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    a[k + 1] = WORDS(pair[k], pair[k + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  words two[4];
  two[0] = WORDS(a[0], a[2], 0, 1, 8, 9, 4, 5, 12, 13);    // channels 0, 4
  two[1] = WORDS(a[0], a[2], 2, 3, 10, 11, 6, 7, 14, 15);  // 1, 5
  two[2] = WORDS(a[1], a[3], 0, 1, 8, 9, 4, 5, 12, 13);    // 2, 6
  two[3] = WORDS(a[1], a[3], 2, 3, 10, 11, 6, 7, 14, 15);  // 3, 7
  for (int c = 0; c < 4; c++) {
    rows[c] = (tile_integers)WORDS(two[c], two[c], 0, 1, 2, 3);
    rows[4 + c] = (tile_integers)WORDS(two[c], two[c], 4, 5, 6, 7);
  }
#undef WORDS
}

/// A row of up to eight channels of the output gradient to its copies in a packed block, each shifted: of a copy, the
/// channels that `needed` has. A column that meets none of the input becomes a zero; it falls on a place where no row
/// has a column.
SQ_INLINE void pack_gradient_row(
    const sparse_plan *p, const float *gradient, const float *units, const sparse_index *index, int32_t columns,
    const uint8_t *needed, const packing kind, void *packed) {
  const int32_t out_width = p->s.out_width, pixel = p->s.out_channels, stride = p->copies * p->copy_stride;
  float *floats = packed;
  int16_t *integers = packed;
  uint32_t any = 0;
  for (int32_t copy = 0; copy < p->copies; copy++) any |= needed[copy];
  if (columns < tile_side || __builtin_popcount(any) <= few_channels) {
    for (int32_t copy = 0; copy < p->copies; copy++)
      for (uint32_t left = needed[copy]; left; left &= left - 1) {
        const int32_t c = __builtin_ctz(left);
        const int32_t *mask = index->masks + copy * out_width;
        const ptrdiff_t to = index->copies[copy] + (ptrdiff_t)c * stride;
        for (int32_t x = 0; x < columns; x++)
          if (kind == pack_integers)
            integers[to + x] = mask[x] ? rounded_unit(gradient[(size_t)x * pixel + c], units[c]) : 0;
          else
            floats[to + x] = mask[x] ? gradient[(size_t)x * pixel + c] : 0;
      }
    return;
  }
  for (int32_t x = 0; x < columns; x += tile_side) {
    const int32_t at = smaller(x, columns - tile_side);  // the last tile_side overlaps the one before it
    typedef int32_t mask_row __attribute__((vector_size(4 * tile_side)));
    typedef mask_row mask_row_unaligned __attribute__((aligned(4), may_alias));
    if (kind == pack_integers) {
      tile_integers rows[tile_side], shifted[tile_side];
      transpose_units(gradient + (size_t)at * pixel, pixel, units, rows);
      for (int32_t copy = 0; copy < p->copies; copy++) {
        if (!needed[copy]) continue;
        const mask_row mask = *(const mask_row_unaligned *)(index->masks + copy * out_width + at);
        const tile_integers keep = __builtin_convertvector(mask, tile_integers);
        for (int c = 0; c < tile_side; c++) shifted[c] = rows[c] & keep;
        store_integer_rows(shifted, integers + index->copies[copy] + at, stride, needed[copy]);
      }
      continue;
    }
    tile_row rows[tile_side], shifted[tile_side];
    transpose_floats((const char *)(gradient + (size_t)at * pixel), pixel * (ptrdiff_t)sizeof(float), rows);
    for (int32_t copy = 0; copy < p->copies; copy++) {
      if (!needed[copy]) continue;
      const mask_row mask = *(const mask_row_unaligned *)(index->masks + copy * out_width + at);
      for (int c = 0; c < tile_side; c++) shifted[c] = (tile_row)((mask_row)rows[c] & mask);
      store_rows(shifted, floats + index->copies[copy] + at, stride, needed[copy]);
    }
  }
}

/// Zeros where no piece writes a packed block, so that a run over it meets no rubbish.
static void clear_gradient_gaps(const sparse_plan *p, const sparse_index *index, char *packed) {
  const size_t element = p->element;
  if (p->row_length != p->images * p->pitch || p->pitch != p->s.out_width || p->s.out_width < tile_side) {
    memset(packed, 0, (size_t)p->block * p->copies * p->copy_stride * element);
    return;
  }
  // Rows follow each other: what is left is before the first and after the last one, where a copy is shifted.
  const int32_t length = p->rows * p->row_length;
  for (int32_t c = 0; c < p->block; c++)
    for (int32_t copy = 0; copy < p->copies; copy++) {
      const int32_t begin = copy * p->copy_stride, shift = index->copies[copy] - begin;
      char *to = packed + ((size_t)c * p->copies * p->copy_stride + begin) * element;
      if (shift > 0) memset(to, 0, shift * element);
      if (shift < 0) memset(to + (length + shift) * (ptrdiff_t)element, 0, -shift * element);
    }
}

/// The copies of `channels` channels of the output gradient from `first_channel` on, as far as they are needed.
SQ_INLINE void pack_gradient(
    const sparse_plan *p, const float *gradient, const float *units, const sparse_index *index, sparse_piece piece,
    int32_t first_channel, int32_t channels, const uint8_t *needed, const packing kind, char *packed) {
  const sq_conv *s = &p->s;
  const size_t element = kind == pack_integers ? sizeof(int16_t) : sizeof(float);
  const int32_t stride = p->copies * p->copy_stride;
  if (piece.images < p->images || piece.out_width < s->out_width)
    memset(packed, 0, (size_t)channels * stride * element);
  for (int32_t c = 0; c < channels; c += tile_side, needed += p->copies) {
    int any = 0;
    for (int32_t copy = 0; copy < p->copies; copy++) any |= needed[copy];
    if (!any) continue;
    for (int32_t row = 0; row < piece.rows; row++)
      for (int32_t n = 0; n < piece.images; n++) {
        const size_t pixel = ((size_t)(piece.image + n) * s->out_height + piece.y + row) * s->out_width;
        pack_gradient_row(
            p, gradient + pixel * s->out_channels + first_channel + c, units + first_channel + c, index,
            piece.out_width, needed, kind,
            packed + ((size_t)c * stride + row * p->row_length + n * p->pitch) * element);
      }
  }
  // The end of the last row where an earlier piece had another one: no row writes it.
  for (int32_t copy = 0; copy < p->copies && piece.rows < p->rows; copy++) {
    const int32_t shift = copy * p->copy_stride - index->copies[copy];
    for (int32_t c = 0; c < channels && shift > 0; c++)
      memset(
          packed + ((size_t)c * stride + index->copies[copy] + piece.rows * p->row_length) * element, 0,
          shift * element);
  }
}

/// The columns of a class of `channels` input channels from `first_channel` on, as far as they are needed.
SQ_INLINE void pack_input(
    const sparse_plan *p, const void *input, const packing kind, sparse_piece piece, int32_t column_class,
    int32_t first_channel, int32_t channels, const uint8_t *needed, char *window) {
  const sq_conv *s = &p->s;
  const size_t from = kind == pack_floats ? sizeof(float) : 1;
  const size_t element = kind == pack_integers ? sizeof(int16_t) : sizeof(float);
  const ptrdiff_t pixel_bytes = s->in_channels * (ptrdiff_t)from, row_bytes = p->row_length * (ptrdiff_t)element;
  const int32_t first_column = tap_residue(column_class, s->pad_left, s->stride_x);
  const int32_t columns =
      p->pointwise ? piece.out_width : smaller(p->pitch, divide_up(s->in_width - first_column, s->stride_x));
  for (int32_t class_index = 0; class_index < p->row_classes; class_index++) {
    const int32_t rows = class_rows(p, class_index, piece.rows),
                  residue = tap_residue(class_index, s->pad_top, s->stride_y);
    const int32_t first_row = piece.y + row_shift(p, class_index);
    char *to = window + rows_before(p, class_index, p->rows) * row_bytes;
    for (int32_t row = first_row; row < first_row + rows; row++, to += row_bytes) {
      const int32_t y = row * s->stride_y + residue;
      if (y < 0 || y >= s->in_height) {
        for (int32_t c = 0; c < channels; c++) memset(to + (size_t)c * p->channel_stride * element, 0, row_bytes);
        continue;
      }
      for (int32_t n = 0; n < piece.images; n++) {
        const size_t pixel = ((size_t)(piece.image + n) * s->in_height + y) * s->in_width + first_column;
        pack_row(
            (const char *)input + pixel * pixel_bytes + first_channel * from, s->stride_x * pixel_bytes, columns, kind,
            to + n * p->pitch * element, p->channel_stride, channels, needed);
      }
    }
  }
}

#endif
