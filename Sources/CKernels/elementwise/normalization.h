#ifndef SQ_ELEMENTWISE_NORMALIZATION_H
#define SQ_ELEMENTWISE_NORMALIZATION_H

// The kernels of include/normalization.h.
//
// A range of rows is worked through in tiles: runs of up to TILE consecutive elements that begin with the same channel,
// so that every per-channel operand becomes a short array in the first-level cache, repeated to the tile's width, and
// every loop is a plain one over consecutive elements, whatever the number of channels. Sums run in float over
// TILES_A_BLOCK tiles and are then added up in double.

#include "../include/normalization.h"
#include "../target/arithmetic.h"
#include "../target/vector.h"

enum { TILE = 512, TILES_A_BLOCK = 32 };

/// Starts on a cache line, so that no vector lies across two.
#define ALIGNED __attribute__((aligned(64)))

SQ_INLINE float activation_position(float z, float lower, float inverse_step) { return (z - lower) * inverse_step; }

/// The tiles of channels [channel, channel + channel_count) in rows [first, first + count): for (offset = begin;
/// offset < end; offset += step), each `width` elements wide, the last perhaps cut short by `end`.
typedef struct tiling {
  int32_t channel, channel_count, width;
  int64_t begin, end, step;
} tiling;

static tiling tiling_from(int32_t channel, int32_t channels, int64_t first, int64_t count) {
  tiling t = {.channel = channel, .begin = first * channels + channel, .end = (first + count) * channels};
  if (channels > TILE) {
    t.channel_count = t.width = channels - channel < TILE ? channels - channel : TILE;
    t.step = channels;
  } else {
    // As many rows as fit, in whole vectors where that is possible.
    int32_t rows = 1;
    while (rows * channels % 64 != 0 && (rows + 1) * channels <= TILE) rows++;
    if (rows * channels % 64 != 0) rows = 1;
    t.channel_count = channels;
    t.width = rows * channels * (TILE / (rows * channels));
    t.step = t.width;
  }
  return t;
}

SQ_INLINE int32_t tile_length(const tiling *t, int64_t offset) {
  return t->end - offset < t->width ? (int32_t)(t->end - offset) : t->width;
}

/// A per-channel operand repeated to the tile's width; `absent` where there is none.
static void repeat(const tiling *t, const float *values, float absent, float *tile) {
  for (int32_t j = 0; j < t->width; j += t->channel_count)
    for (int32_t c = 0; c < t->channel_count; c++) tile[j + c] = values ? values[t->channel + c] : absent;
}

/// Two sums for each element of a tile.
typedef struct tile_sums {
  float first[TILE] ALIGNED, second[TILE];  ///< over the current block of tiles
  double first_total[TILE], second_total[TILE];
  int32_t tiles;
} tile_sums;

static void finish_block(const tiling *t, tile_sums *sums) {
  for (int32_t j = 0; j < t->width; j++) sums->first_total[j] += sums->first[j];
  for (int32_t j = 0; j < t->width; j++) sums->second_total[j] += sums->second[j];
  memset(sums->first, 0, (size_t)t->width * sizeof(float));
  memset(sums->second, 0, (size_t)t->width * sizeof(float));
  sums->tiles = 0;
}

SQ_INLINE void finish_tile(const tiling *t, tile_sums *sums) {
  if (++sums->tiles == TILES_A_BLOCK) finish_block(t, sums);
}

/// Adds this tiling's sums to first[channel] and, unless NULL, second[channel].
static void finish_sums(const tiling *t, tile_sums *sums, double *first_result, double *second_result) {
  finish_block(t, sums);
  for (int32_t c = 0; c < t->channel_count; c++) {
    double first = 0, second = 0;
    for (int32_t j = c; j < t->width; j += t->channel_count) {
      first += sums->first_total[j];
      second += sums->second_total[j];
    }
    first_result[t->channel + c] += first;
    if (second_result) second_result[t->channel + c] += second;
  }
}

static void channel_statistics(const float *input, int32_t channels, int64_t first, int64_t count, double *sums) {
  memset(sums, 0, 2 * (size_t)channels * sizeof(double));
  for (int32_t channel = 0; channel < channels; channel += TILE) {
    const tiling t = tiling_from(channel, channels, first, count);
    tile_sums totals = {0};
    for (int64_t offset = t.begin; offset < t.end; offset += t.step) {
      const float *x = input + offset;
      int32_t n = tile_length(&t, offset);
      ELEMENTWISE_FOR (int32_t j = 0; j < n; j++) {
        totals.first[j] += x[j];
        totals.second[j] = multiply_add(x[j], x[j], totals.second[j]);
      }
      finish_tile(&t, &totals);
    }
    finish_sums(&t, &totals, sums, sums + channels);
  }
}

static int is_given(const sq_channels *x) { return x->floats != NULL || x->sums != NULL; }

/// A tile's values; those of sums are put into `tile`.
SQ_INLINE const float *read_tile(const sq_channels *x, int64_t offset, int32_t n, float *tile) {
  if (!x->sums) return x->floats + offset;
  const int16_t *sums = x->sums + offset;
  const float unit = x->unit;
  ELEMENTWISE_FOR (int32_t j = 0; j < n; j++) tile[j] = unit * (float)sums[j];
  return tile;
}

/// NaN stays NaN.
SQ_INLINE float rectified(float z, float upper) {
  z = z < 0 ? 0 : z;
  return z > upper ? upper : z;
}

SQ_INLINE uint8_t level_of(float z, float lower, float inverse_step, float levels) {
  float position = activation_position(z, lower, inverse_step);
  position = position > 0 ? position : 0;  // NaN becomes level 0
  return rounded_byte(position < levels ? position : levels);
}

/// One tile of the forward pass. The last four arguments are constants where this is called.
SQ_INLINE void normalize_tile(
    const sq_normalize *a, const float *x, int64_t offset, int32_t n, const float *scale, const float *shift, int relu,
    int residual, int output, int quantized) {
  const float upper = a->upper;
  const float *added = residual ? a->residual + offset : NULL;
  float *z_out = output ? a->output + offset : NULL;
  sq_quantized_output q0 = a->quantized[0], q1 = a->quantized[1];
  uint8_t *out0 = quantized > 0 ? q0.output + offset : NULL, *out1 = quantized > 1 ? q1.output + offset : NULL;
  ELEMENTWISE_FOR (int32_t j = 0; j < n; j++) {
    float z = multiply_add(scale[j], x[j], shift[j]);
    if (residual) z += added[j];
    if (relu) z = rectified(z, upper);
    if (output) z_out[j] = z;
    if (quantized > 0) out0[j] = level_of(z, q0.lower, q0.inverse_step, q0.levels);
    if (quantized > 1) out1[j] = level_of(z, q1.lower, q1.inverse_step, q1.levels);
  }
}

static void normalize(const sq_normalize *arguments, int64_t first, int64_t count) {
  sq_normalize a = *arguments;
  if (!is_given(&a.input)) {
    a.input.floats = a.residual;
    a.residual = NULL;
  }
  int variant = (a.relu != 0) + 2 * (a.residual != NULL) + 4 * (a.output != NULL) + 8 * a.quantized_count;
  for (int32_t channel = 0; channel < a.channels; channel += TILE) {
    const tiling t = tiling_from(channel, a.channels, first, count);
    float scale[TILE] ALIGNED, shift[TILE] ALIGNED, values[TILE] ALIGNED;
    repeat(&t, a.scale, 1, scale);
    repeat(&t, a.shift, 0, shift);
    for (int64_t offset = t.begin; offset < t.end; offset += t.step) {
      int32_t n = tile_length(&t, offset);
      const float *x = read_tile(&a.input, offset, n, values);
      switch (variant) {
#define VARIANT(v) \
  case v: normalize_tile(&a, x, offset, n, scale, shift, (v) & 1, (v) >> 1 & 1, (v) >> 2 & 1, (v) >> 3); break;
        VARIANT(4)
        VARIANT(5)
        VARIANT(6)
        VARIANT(7)
        VARIANT(8)
        VARIANT(9)
        VARIANT(10)
        VARIANT(11)
        VARIANT(12)
        VARIANT(13)
        VARIANT(14)
        VARIANT(15)
        VARIANT(16)
        VARIANT(17)
        VARIANT(18)
        VARIANT(19)
        VARIANT(20)
        VARIANT(21)
        VARIANT(22)
        VARIANT(23)
#undef VARIANT
      }
    }
  }
}

/// Sums over one tile for each quantized copy: of the in-range gradients, and of those times z.
typedef struct quantizer_tile_sums {
  float gradient[2], moment[2];
} quantizer_tile_sums;

/// One tile of the backward pass. The last four arguments are constants where this is called; `kept` says whether z is
/// read or recomputed, from `input`.
SQ_INLINE quantizer_tile_sums backward_tile(
    const sq_normalize_backward *a, int64_t offset, int32_t n, const float *scale, const float *shift,
    const float *input, const float *x, float *sum, float *product_sum, int relu, int gradients, int quantized,
    int kept) {
  const float upper = a->upper;
  const float *z_kept = kept ? a->output + offset : NULL;
  const float *g0 = gradients > 0 ? a->gradient[0] + offset : NULL;
  const float *g1 = gradients > 1 ? a->gradient[1] + offset : NULL;
  const float *g2 = gradients > 2 ? a->gradient[2] + offset : NULL;
  sq_quantized_gradient q0 = a->quantized[0], q1 = a->quantized[1];
  const float *qg0 = quantized > 0 ? q0.gradient + offset : NULL, *qg1 = quantized > 1 ? q1.gradient + offset : NULL;
  float *pre_gradient = a->pre_gradient + offset;
  float gradient0 = 0, moment0 = 0, gradient1 = 0, moment1 = 0;
  ELEMENTWISE_FOR (int32_t j = 0; j < n; j++) {
    float z = 0, gradient = 0;
    if (relu || quantized > 0) z = kept ? z_kept[j] : multiply_add(scale[j], input[j], shift[j]);
    if (relu && !kept) z = rectified(z, upper);
    if (gradients > 0) gradient = g0[j];
    if (gradients > 1) gradient += g1[j];
    if (gradients > 2) gradient += g2[j];
    // NaN counts as in range, so that the sums show it.
    if (quantized > 0) {
      float position = activation_position(z, q0.lower, q0.inverse_step), arriving = qg0[j];
      int outside = (position < 0) | (position > q0.levels);
      gradient = outside ? gradient : multiply_add(q0.gradient_scale, arriving, gradient);
      gradient0 = add_in_any_order(gradient0, outside ? 0 : arriving);
      moment0 = add_in_any_order(moment0, outside ? 0 : arriving * z);
    }
    if (quantized > 1) {
      float position = activation_position(z, q1.lower, q1.inverse_step), arriving = qg1[j];
      int outside = (position < 0) | (position > q1.levels);
      gradient = outside ? gradient : multiply_add(q1.gradient_scale, arriving, gradient);
      gradient1 = add_in_any_order(gradient1, outside ? 0 : arriving);
      moment1 = add_in_any_order(moment1, outside ? 0 : arriving * z);
    }
    if (relu) gradient = ((z <= 0) | (z >= upper)) ? 0 : gradient;
    sum[j] += gradient;
    product_sum[j] = multiply_add(gradient, x[j], product_sum[j]);
    pre_gradient[j] = gradient;
  }
  return (quantizer_tile_sums){{gradient0, gradient1}, {moment0, moment1}};
}

static void normalize_backward(
    const sq_normalize_backward *arguments, int64_t first, int64_t count, double *channel_sums,
    double *quantizer_sums) {
  sq_normalize_backward a = *arguments;
  int gradients = 0;
  for (int k = 0; k < 3; k++)
    if (arguments->gradient[k]) a.gradient[gradients++] = arguments->gradient[k];
  int variant = (a.relu != 0) + 2 * gradients + 8 * (a.output != NULL) + 16 * a.quantized_count;
  // Channel sums are always taken: where nobody asks, with the buffer that is written anyway in the input's place.
  const int given = is_given(&a.input), multiplied = channel_sums && given;
  double quantizer_totals[4] = {0};
  for (int32_t channel = 0; channel < a.channels; channel += TILE) {
    const tiling t = tiling_from(channel, a.channels, first, count);
    float scale[TILE] ALIGNED, shift[TILE] ALIGNED, values[TILE] ALIGNED;
    repeat(&t, a.scale, 1, scale);
    repeat(&t, a.shift, 0, shift);
    tile_sums totals = {0};
    for (int64_t offset = t.begin; offset < t.end; offset += t.step) {
      int32_t n = tile_length(&t, offset);
      const float *input = given ? read_tile(&a.input, offset, n, values) : NULL;
      const float *x = multiplied ? input : a.pre_gradient + offset;
      quantizer_tile_sums sums = {0};
      switch (variant) {
#define VARIANT(v)                                                                                           \
  case v:                                                                                                    \
    sums = backward_tile(                                                                                    \
        &a, offset, n, scale, shift, input, x, totals.first, totals.second, (v) & 1, (v) >> 1 & 3, (v) >> 4, \
        (v) >> 3 & 1);                                                                                       \
    break;
#define VARIANTS(v) \
  VARIANT(v)        \
  VARIANT(v + 1)    \
  VARIANT(v + 2)    \
  VARIANT(v + 3)    \
  VARIANT(v + 4)    \
  VARIANT(v + 5)    \
  VARIANT(v + 6)    \
  VARIANT(v + 7)
        VARIANTS(0)
        VARIANTS(8)
        VARIANTS(16)
        VARIANTS(24)
        VARIANTS(32)
        VARIANTS(40)
#undef VARIANTS
#undef VARIANT
      }
      for (int q = 0; q < 2; q++) {
        quantizer_totals[2 * q] += sums.gradient[q];
        quantizer_totals[2 * q + 1] += sums.moment[q];
      }
      finish_tile(&t, &totals);
    }
    if (channel_sums) finish_sums(&t, &totals, channel_sums, given ? channel_sums + a.channels : NULL);
  }
  if (quantizer_sums)
    for (int k = 0; k < 2 * a.quantized_count; k++) quantizer_sums[k] += quantizer_totals[k];
}

static void channel_affine(
    const float *x, sq_channels y, const float *a, const float *b, const float *d, float *output, int32_t channels,
    int64_t first, int64_t count) {
  for (int32_t channel = 0; channel < channels; channel += TILE) {
    const tiling t = tiling_from(channel, channels, first, count);
    float a_tile[TILE] ALIGNED, b_tile[TILE] ALIGNED, d_tile[TILE] ALIGNED, values[TILE] ALIGNED;
    repeat(&t, a, 0, a_tile);
    repeat(&t, b, 0, b_tile);
    repeat(&t, d, 0, d_tile);
    for (int64_t offset = t.begin; offset < t.end; offset += t.step) {
      int32_t n = tile_length(&t, offset);
      const float *xs = x + offset, *ys = read_tile(&y, offset, n, values);
      float *to = output + offset;
      ELEMENTWISE_FOR (int32_t j = 0; j < n; j++)
        to[j] = multiply_add(a_tile[j], xs[j], multiply_add(b_tile[j], ys[j], d_tile[j]));
    }
  }
}

static void range_statistics(const float *input, int64_t first, int64_t count, double *result) {
  const tiling t = tiling_from(0, 1, first, count);
  float smallest[TILE] ALIGNED;
  tile_sums totals = {0};
  repeat(&t, NULL, INFINITY, smallest);
  for (int64_t offset = t.begin; offset < t.end; offset += t.step) {
    const float *x = input + offset;
    int32_t n = tile_length(&t, offset);
    ELEMENTWISE_FOR (int32_t j = 0; j < n; j++) {
      smallest[j] = ((x[j] < smallest[j]) | (x[j] != x[j])) ? x[j] : smallest[j];
      totals.first[j] += x[j];
      totals.second[j] = multiply_add(x[j], x[j], totals.second[j]);
    }
    finish_tile(&t, &totals);
  }
  result[1] = result[2] = 0;
  finish_sums(&t, &totals, result + 1, result + 2);
  result[0] = INFINITY;
  for (int32_t j = 0; j < t.width; j++)
    if (smallest[j] < result[0] || isnan(smallest[j])) result[0] = smallest[j];
}

#endif
