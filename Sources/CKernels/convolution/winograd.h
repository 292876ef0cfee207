#ifndef SQ_WINOGRAD_H
#define SQ_WINOGRAD_H

// 3x3 convolution of stride 1 by minimal filtering (Winograd; Lavin and Gray 2016, arXiv 1509.09308): 2x4 outputs take
// 24 products for each pair of channels where the plain sum takes 72.
//
//     Y = A2' [ (G2 g G4') * (B2' d B4) ] A4
//
// where d are 4x6 inputs, g 3x3 weights, * goes element by element and is then summed over the input channels, '
// transposes, and 2 and 4 name F(2, 3) and F(4, 3).
//
// F(2, 3) goes down the columns, where its factors are 0, 1 and 1/2 of either sign, F(4, 3) along the rows. Four
// outputs in one direction only keep the rounding error near that of a plain sum.
//
// The four rows of the transformed input are worked through one after the other: a row of a strip's tiles is computed
// into scratch that stays in the first-level cache, multiplied by the transformed weights with the six columns' sums of
// a few tiles in registers, and what it contributes to the two output rows is added to them. So nothing but the row is
// ever stored.

#include "../include/convolution.h"
#include "../target/arithmetic.h"
#include "../target/padded_images.h"
#include "../target/vector.h"

#if SQ_REGISTERS >= 32
#define WINOGRAD_TILES 4
#else
#define WINOGRAD_TILES 2
#endif

enum {
  winograd_columns = 6,      // of the transform
  winograd_outputs = 4,      // along a row
  winograd_strip_tiles = 16  // worked on at a time; a row of them, transformed, should stay in the first-level cache
};

/// output[y, x, :] = sum over ky, kx of source[y + ky - top, x + kx - left, :] * weights[ky, kx], with zeros outside
/// the source.
typedef struct winograd_shape {
  int32_t height, width, channels;  // of the source
  int32_t top, left;
  int32_t out_height, out_width, out_channels;
} winograd_shape;

/// Whether the channels fill vectors, and the products saved outweigh the transforms.
static int winograd_pays(const winograd_shape *w) {
  if (w->channels % SQ_LANES != 0 || w->out_channels % SQ_LANES != 0) return 0;
  if (w->channels < 16 || w->out_channels < 16) return 0;
  // Beyond, a strip and its weights leave the second-level cache.
  if (w->channels > 256) return 0;
  int64_t tiles = (int64_t)divide_up(w->out_height, 2) * divide_up(w->out_width, winograd_outputs);
  return tiles * 40 <= (int64_t)w->out_height * w->out_width * 9;
}

/// A forward pass.
static winograd_shape forward_winograd(const sq_conv *s) {
  return (winograd_shape){
      .height = s->in_height,
      .width = s->in_width,
      .channels = s->in_channels,
      .top = s->pad_top,
      .left = s->pad_left,
      .out_height = s->out_height,
      .out_width = s->out_width,
      .out_channels = s->out_channels,
  };
}

/// The input gradient of a convolution of stride 1 is the convolution of the output gradient with the kernel turned
/// around and the channels exchanged.
static winograd_shape backward_winograd(const sq_conv *s) {
  return (winograd_shape){
      .height = s->out_height,
      .width = s->out_width,
      .channels = s->out_channels,
      .top = 2 - s->pad_top,
      .left = 2 - s->pad_left,
      .out_height = s->in_height,
      .out_width = s->in_width,
      .out_channels = s->in_channels,
  };
}

/// Whether `w`, one of the two above, is to be computed here.
static int uses_winograd(const sq_conv *s, const winograd_shape *w) {
  return s->groups == 1 && s->kernel_height == 3 && s->kernel_width == 3 && s->stride_y == 1 && s->stride_x == 1 &&
         winograd_pays(w);
}

static size_t winograd_packed_count(const winograd_shape *w) {
  return (size_t)4 * winograd_columns * w->channels * w->out_channels;
}

/// [row of the transform][vector of outputs][source channel][column of the transform][lane], from 3x3 weights found at
/// weights[channel * channel_step + output * output_step + ky * row_step + kx * column_step].
static void winograd_pack(
    const winograd_shape *w, const float *weights, ptrdiff_t channel_step, ptrdiff_t output_step, ptrdiff_t row_step,
    ptrdiff_t column_step, float *packed) {
  ptrdiff_t channel_floats = winograd_columns * SQ_LANES, vector_floats = w->channels * channel_floats;
  ptrdiff_t row_floats = vector_floats * (w->out_channels / SQ_LANES);
  for (int32_t output = 0; output < w->out_channels; output += SQ_LANES)
    for (int32_t channel = 0; channel < w->channels; channel++) {
      const float *g = weights + output * output_step + channel * channel_step;
      float *to = packed + output / SQ_LANES * vector_floats + channel * channel_floats;
      sq_float_vector k[3][3];
      for (int ky = 0; ky < 3; ky++)
        for (int kx = 0; kx < 3; kx++) {
          const float *from = g + ky * row_step + kx * column_step;
          if (output_step == 1)
            k[ky][kx] = sq_load(from);
          else
            for (int lane = 0; lane < SQ_LANES; lane++) k[ky][kx][lane] = from[lane * output_step];
        }
      for (int r = 0; r < 4; r++, to += row_floats) {
        sq_float_vector h[3];
        for (int kx = 0; kx < 3; kx++) {
          sq_float_vector ends = k[0][kx] + k[2][kx];
          h[kx] = r == 0 ? k[0][kx] : r == 1 ? 0.5f * (ends + k[1][kx]) : r == 2 ? 0.5f * (ends - k[1][kx]) : k[2][kx];
        }
        sq_float_vector ends = h[0] + h[2], far = h[0] + 4 * h[2];
        sq_store(to, 0.25f * h[0]);
        sq_store(to + SQ_LANES, (ends + h[1]) * (-1.0f / 6));
        sq_store(to + 2 * SQ_LANES, (ends - h[1]) * (-1.0f / 6));
        sq_store(to + 3 * SQ_LANES, (far + 2 * h[1]) * (1.0f / 24));
        sq_store(to + 4 * SQ_LANES, (far - 2 * h[1]) * (1.0f / 24));
        sq_store(to + 5 * SQ_LANES, h[2]);
      }
    }
}

typedef struct winograd_plan {
  int32_t tiles_across, tiles_down;
  int32_t rows;  // of tiles in a strip, all of one image
  size_t zeros, values, offsets, bytes;
} winograd_plan;

static winograd_plan plan_winograd(const winograd_shape *w) {
  winograd_plan p = {
      .tiles_across = divide_up(w->out_width, winograd_outputs), .tiles_down = divide_up(w->out_height, 2)};
  p.rows = strip_of(p.tiles_down, p.tiles_across, winograd_strip_tiles).rows;
  p.zeros = take(&p.bytes, sizeof(float) * w->width * w->channels);
  p.offsets = take(&p.bytes, sizeof(int32_t) * p.rows * p.tiles_across);
  p.values = take(&p.bytes, sizeof(float) * winograd_columns * p.rows * p.tiles_across * w->channels);
  return p;
}

/// One row of B2' d at a column of the source: the sum or difference of two of its rows.
SQ_INLINE sq_float_vector transformed_column(
    const float *upper, const float *lower, const int subtract, const winograd_shape *w, int32_t column) {
  if ((uint32_t)column >= (uint32_t)w->width) return (sq_float_vector){};
  sq_float_vector u = sq_load(upper + (ptrdiff_t)column * w->channels);
  sq_float_vector l = sq_load(lower + (ptrdiff_t)column * w->channels);
  return subtract ? u - l : u + l;
}

/// A row of B2' d B4 for one row of tiles and one vector of channels: values[tile][column of the transform][lane].
SQ_INLINE void transform_tiles(
    const float *upper, const float *lower, const int subtract, const winograd_shape *w, int32_t tiles, float *values) {
  int32_t x = -w->left;
  sq_float_vector t[winograd_columns];
  t[0] = transformed_column(upper, lower, subtract, w, x);
  t[1] = transformed_column(upper, lower, subtract, w, x + 1);
  for (int32_t tile = 0; tile < tiles; tile++, x += winograd_outputs, values += winograd_columns * SQ_LANES) {
    UNROLLED_FOR (int i = 2; i < winograd_columns; i++) t[i] = transformed_column(upper, lower, subtract, w, x + i);
    sq_float_vector a = t[4] - 4 * t[2], b = t[3] - 4 * t[1], c = t[4] - t[2], d = 2 * (t[3] - t[1]);
    sq_store(values, 4 * t[0] - 5 * t[2] + t[4]);
    sq_store(values + SQ_LANES, a + b);
    sq_store(values + 2 * SQ_LANES, a - b);
    sq_store(values + 3 * SQ_LANES, c + d);
    sq_store(values + 4 * SQ_LANES, c - d);
    sq_store(values + 5 * SQ_LANES, 4 * t[1] - 5 * t[3] + t[5]);
    t[0] = t[4];
    t[1] = t[5];
  }
}

/// One row of the transformed input of a strip, and where its products go.
typedef struct winograd_row {
  const float *values;      // [vector of channels][tile][column][lane]
  ptrdiff_t vector_floats;  // of values
  int32_t vectors;          // of source channels
  const float *weights;     // of this row and vector of outputs
  const winograd_shape *shape;
  int32_t tiles_across, first_row;  // of tiles: the strip's
  int overhangs;                    // some tiles hang over the edge
  const int32_t *offsets;           // of each tile's outputs
  float *output;                    // the image's, at this vector of outputs
  const float *bias;
  float *sums;  // [2][lane] of finished outputs and their squares; NULL: not wanted
} winograd_row;

/// Row `r` of the transform's share of one output: it starts the sum, is added, or is subtracted.
SQ_INLINE void add_to_output(const winograd_row *a, float *to, sq_float_vector term, const int r, const int below) {
  const int first = below ? 1 : 0, last = below ? 3 : 2;
  sq_float_vector before = {};
  if (r > first)
    before = sq_load(to);
  else if (a->bias)
    before = sq_load(a->bias);
  sq_float_vector value = below && r >= 2 ? before - term : before + term;
  sq_store(to, value);
  if (r == last && a->sums) {
    sq_store(a->sums, sq_load(a->sums) + value);
    sq_store(a->sums + SQ_LANES, sq_load(a->sums + SQ_LANES) + value * value);
  }
}

/// Of row r's sums h along the row to the 2x4 outputs of a tile: h0 + h1 + h2 above, h1 - h2 - h3 below.
SQ_INLINE void add_to_outputs(const winograd_row *a, int32_t tile, const sq_float_vector *sums, const int r) {
  const winograd_shape *w = a->shape;
  int columns = winograd_outputs, has_below = 1;
  if (a->overhangs) {
    columns = smaller(columns, w->out_width - winograd_outputs * (tile % a->tiles_across));
    has_below = 2 * (a->first_row + tile / a->tiles_across) + 1 < w->out_height;
  }
  float *above = a->output + a->offsets[tile], *below = above + (ptrdiff_t)w->out_width * w->out_channels;
  UNROLLED_FOR (int i = 0; i < winograd_outputs; i++)
    if (i < columns) {
      if (r < 3) add_to_output(a, above + i * w->out_channels, sums[i], r, 0);
      if (r > 0 && has_below) add_to_output(a, below + i * w->out_channels, sums[i], r, 1);
    }
}

SQ_INLINE void multiply_winograd_tiles(const winograd_row *a, int32_t first_tile, const int tiles, const int r) {
  sq_float_vector sum[WINOGRAD_TILES][winograd_columns];
  UNROLLED_FOR (int t = 0; t < tiles; t++)
    UNROLLED_FOR (int p = 0; p < winograd_columns; p++) sum[t][p] = (sq_float_vector){};
  const float *weight = a->weights;
  for (int32_t vector = 0; vector < a->vectors; vector++) {
    const float *values = a->values + vector * a->vector_floats + (ptrdiff_t)first_tile * winograd_columns * SQ_LANES;
#if SQ_LANES == 4
    UNROLLED_FOR (int p = 0; p < winograd_columns; p++) {
      sq_float_vector value[WINOGRAD_TILES];
      UNROLLED_FOR (int t = 0; t < tiles; t++) value[t] = sq_load(values + (t * winograd_columns + p) * SQ_LANES);
      UNROLLED_FOR (int lane = 0; lane < SQ_LANES; lane++) {
        sq_float_vector w = sq_load(weight + (lane * winograd_columns + p) * SQ_LANES);
        UNROLLED_FOR (int t = 0; t < tiles; t++) sum[t][p] += sq_splat_lane(value[t], lane) * w;
      }
    }
    weight += SQ_LANES * winograd_columns * SQ_LANES;
#else
#pragma clang loop unroll_count(2)
    for (int lane = 0; lane < SQ_LANES; lane++, weight += winograd_columns * SQ_LANES) {
      UNROLLED_FOR (int p = 0; p < winograd_columns; p++) {
        sq_float_vector w = sq_load(weight + p * SQ_LANES);
        UNROLLED_FOR (int t = 0; t < tiles; t++)
          sum[t][p] += sq_splat(values[(t * winograd_columns + p) * SQ_LANES + lane]) * w;
      }
    }
#endif
  }
  UNROLLED_FOR (int t = 0; t < tiles; t++) {
    const sq_float_vector *m = sum[t];
    sq_float_vector near = m[1] + m[2], far = m[3] + m[4], near_odd = m[1] - m[2], far_odd = m[3] - m[4];
    const sq_float_vector outputs[winograd_outputs] = {
        m[0] + near + far, near_odd + 2 * far_odd, near + 4 * far, near_odd + 8 * far_odd + m[5]};
    add_to_outputs(a, first_tile + t, outputs, r);
  }
}

SQ_INLINE void multiply_winograd_row(const winograd_row *a, int32_t tiles, const int r) {
  int32_t groups = divide_up(tiles, WINOGRAD_TILES);
  for (int32_t group = 0, tile = 0; group < groups; group++) {
    int32_t size = (int32_t)((int64_t)tiles * (group + 1) / groups) - tile;
    switch (size) {
      case 1: multiply_winograd_tiles(a, tile, 1, r); break;
      case 2: multiply_winograd_tiles(a, tile, 2, r); break;
#if WINOGRAD_TILES > 2
      case 3: multiply_winograd_tiles(a, tile, 3, r); break;
      case 4: multiply_winograd_tiles(a, tile, 4, r); break;
#endif
      default: break;
    }
    tile += size;
  }
}

static __attribute__((noinline)) void multiply_winograd_row_0(const winograd_row *a, int32_t tiles) {
  multiply_winograd_row(a, tiles, 0);
}
static __attribute__((noinline)) void multiply_winograd_row_1(const winograd_row *a, int32_t tiles) {
  multiply_winograd_row(a, tiles, 1);
}
static __attribute__((noinline)) void multiply_winograd_row_2(const winograd_row *a, int32_t tiles) {
  multiply_winograd_row(a, tiles, 2);
}
static __attribute__((noinline)) void multiply_winograd_row_3(const winograd_row *a, int32_t tiles) {
  multiply_winograd_row(a, tiles, 3);
}
static void (*const multiply_winograd_rows[4])(const winograd_row *, int32_t) = {
    multiply_winograd_row_0, multiply_winograd_row_1, multiply_winograd_row_2, multiply_winograd_row_3};

/// `bias` and `statistics` as for the forward pass; both may be NULL.
static void winograd(
    const winograd_shape *w, const float *source, const float *packed, const float *bias, float *output,
    double *statistics, int32_t first, int32_t count, void *scratch) {
  // For B2' d: the rows of d that are subtracted or added.
  static const int upper[4] = {0, 1, 2, 1}, lower[4] = {2, 2, 1, 3};
  winograd_plan p = plan_winograd(w);
  float *zeros = (float *)((char *)scratch + p.zeros), *values = (float *)((char *)scratch + p.values);
  int32_t *offsets = (int32_t *)((char *)scratch + p.offsets);
  if (statistics) memset(statistics, 0, sizeof(double) * 2 * w->out_channels);
  memset(zeros, 0, sizeof(float) * w->width * w->channels);
  ptrdiff_t tile_floats = winograd_outputs * w->out_channels;
  ptrdiff_t tile_row_floats = (ptrdiff_t)2 * w->out_width * w->out_channels;
  fill_offsets((strip){1, p.rows}, p.tiles_across, 0, tile_row_floats, tile_floats, offsets);
  ptrdiff_t row_floats = (ptrdiff_t)w->width * w->channels;
  ptrdiff_t out_floats = (ptrdiff_t)w->out_height * w->out_width * w->out_channels;
  int32_t vectors = w->channels / SQ_LANES, out_vectors = w->out_channels / SQ_LANES;
  float sums[2 * SQ_LANES] __attribute__((aligned(64)));
  for (int32_t n = first; n < first + count; n++) {
    const float *image = source + n * w->height * row_floats;
    for (int32_t row = 0; row < p.tiles_down; row += p.rows) {
      int32_t rows = smaller(p.rows, p.tiles_down - row), tiles = rows * p.tiles_across;
      winograd_row a = {
          .values = values,
          .vector_floats = (ptrdiff_t)tiles * winograd_columns * SQ_LANES,
          .vectors = vectors,
          .weights = packed,
          .shape = w,
          .tiles_across = p.tiles_across,
          .first_row = row,
          .sums = statistics ? sums : NULL,
          .overhangs = w->out_height % 2 || w->out_width % winograd_outputs,
          .offsets = offsets};
      for (int r = 0; r < 4; r++) {
        for (int32_t i = 0; i < rows; i++) {
          int32_t y = 2 * (row + i) - w->top, above = y + upper[r], below = y + lower[r];
          const float *u = above >= 0 && above < w->height ? image + above * row_floats : zeros;
          const float *l = below >= 0 && below < w->height ? image + below * row_floats : zeros;
          float *to = values + (ptrdiff_t)i * p.tiles_across * winograd_columns * SQ_LANES;
          for (int32_t v = 0; v < vectors; v++, u += SQ_LANES, l += SQ_LANES, to += a.vector_floats)
            if (r == 1)
              transform_tiles(u, l, 0, w, p.tiles_across, to);
            else
              transform_tiles(u, l, 1, w, p.tiles_across, to);
        }
        for (int32_t v = 0; v < out_vectors; v++) {
          a.output = output + n * out_floats + row * tile_row_floats + v * SQ_LANES;
          a.bias = bias ? bias + v * SQ_LANES : NULL;
          if (statistics) memset(sums, 0, sizeof sums);
          multiply_winograd_rows[r](&a, tiles);
          if (statistics && r >= 2)
            for (int i = 0; i < SQ_LANES; i++) {
              statistics[v * SQ_LANES + i] += (double)sums[i];
              statistics[w->out_channels + v * SQ_LANES + i] += (double)sums[SQ_LANES + i];
            }
          a.weights += (ptrdiff_t)w->channels * winograd_columns * SQ_LANES;
        }
      }
    }
  }
}

#endif
