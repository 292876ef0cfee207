#ifndef SQ_INTEGER_H
#define SQ_INTEGER_H

// Convolution of activation levels with weight levels, in integers.
//
// Each image is copied to scratch with its zero padding and its channels padded to whole steps of four bytes, so that
// for one kernel row all columns and channels of a window are one contiguous run. The inner loop takes a step of a few
// pixels at a time, broadcast, against the same step of the weights of as many output channels as a vector has lanes:
// - bytes: 4 levels a step. AVX-512 adds the four products into 32 bits directly (vpdpbusd). AVX2 adds pairs of
//   products in 16 bits (vpmaddubsw) over as many steps as cannot overflow whatever the levels are, then widens.
//   NEON has dot products of signed bytes (sdot), which hold levels up to 127.
// - words: 2 levels a step as 16-bit integers, whose products are added in pairs: where one pair of byte products might
//   already overflow 16 bits, and always in the portable code, since every processor has something for it. There a word
//   holds the levels of two images where those are small, a + 2^k b: the product with a weight w is aw + 2^k bw, and a
//   32-bit sum of such products has both images' sums in it, for as many steps as keep the lower one within k bits.
// One channel a group: depthwise.h.

#include "../include/integer_convolution.h"
#include "../target/arithmetic.h"
#include "../target/vector.h"
#include "depthwise.h"
#include "integer_bounds.h"

enum {
#if SQ_TARGET == SQ_TARGET_AVX512 || SQ_TARGET == SQ_TARGET_NEON
  tile_pixels = 8,
#else
  tile_pixels = 4,
#endif
  tile_vectors = 2,
  block_channels = tile_vectors * SQ_LANES,  // output channels of a packed block of weights
  step_bytes = 4,
  pointwise_pixels = 256,
  statistics_tiles = 4  // whose sums are added in floats before they are added in doubles
};

typedef struct integer_plan {
  sq_conv s;  // of one image; 1x1 convolutions: of a row of pixels
  int32_t in_group, out_group, blocks_per_group;
  int32_t words;                                // levels as 16-bit integers
  int32_t shift;                                // k, where a word holds the levels of two images; 0: of one
  int32_t group_bytes, pixel_bytes, row_bytes;  // of the padded copy
  int32_t height, width;
  int32_t row_steps;   // steps of a window in one kernel row
  int32_t safe_steps;  // that 16 bits, or the lower one of two sums, hold
  int32_t pointwise;
} integer_plan;

#if SQ_TARGET == SQ_TARGET_PORTABLE
/// How a word holds two levels, where that leaves room for enough steps to pay; else 0.
static int32_t shared_word_shift(int32_t max_input, int32_t pair, int32_t *safe_steps) {
  int32_t shift = 14;
  while (shift > 0 && (max_input << shift) + max_input > INT16_MAX) shift--;
  *safe_steps = shift > 0 ? ((1 << (shift - 1)) - 1) / pair : 0;
  return *safe_steps >= 16 ? shift : 0;
}
#endif

static integer_plan plan_integer(const sq_conv *shape, int32_t max_input, int32_t max_weight) {
  integer_plan p = {.s = *shape};
  sq_conv *s = &p.s;
  p.pointwise = s->kernel_height == 1 && s->kernel_width == 1 && s->stride_y == 1 && s->stride_x == 1 &&
                s->pad_top == 0 && s->pad_left == 0 && s->in_height == s->out_height && s->in_width == s->out_width;
  if (p.pointwise) s->in_height = s->out_height = 1, s->in_width = s->out_width = pointwise_pixels;
  p.in_group = s->in_channels / s->groups;
  p.out_group = s->out_channels / s->groups;
  p.blocks_per_group = (p.out_group + block_channels - 1) / block_channels;
  const int32_t pair = larger(1, 2 * max_input * max_weight);
  p.safe_steps = INT16_MAX / pair;
#if SQ_TARGET == SQ_TARGET_PORTABLE
  p.words = 1;
  p.shift = shared_word_shift(larger(1, max_input), pair, &p.safe_steps);
#elif SQ_TARGET == SQ_TARGET_AVX2
  p.words = p.safe_steps == 0;
#elif SQ_TARGET == SQ_TARGET_NEON
  p.words = max_input > INT8_MAX;
#endif
  const int32_t per_step = p.words ? 2 : 4;
  p.group_bytes = (p.in_group + per_step - 1) / per_step * step_bytes;
  p.pixel_bytes = p.group_bytes * s->groups;
  p.width = (s->out_width - 1) * s->stride_x + s->kernel_width;
  p.height = (s->out_height - 1) * s->stride_y + s->kernel_height;
  p.row_bytes = p.width * p.pixel_bytes;
  // With one group a window's columns follow each other; else each column is a run of its own.
  p.row_steps = p.group_bytes / step_bytes * (s->groups == 1 ? s->kernel_width : 1);
  return p;
}

static int integer_supports(const sq_conv *shape, int32_t max_input, int32_t max_weight) {
  // Narrow groups would leave most of a step and of a vector empty.
  const int wide_enough = shape->groups == 1 || is_depthwise(shape) ||
                          (shape->in_channels / shape->groups >= 4 && shape->out_channels / shape->groups >= 8);
  return wide_enough && integer_sums_fit(shape, max_input, max_weight);
}

/// The pixels of an image (a row of 1x1 convolutions) in whole tiles.
static int32_t tiled_pixels(const integer_plan *p) {
  return (p->s.out_height * p->s.out_width + tile_pixels - 1) / tile_pixels * tile_pixels;
}

static size_t copy_bytes(const integer_plan *p) { return ((size_t)p->row_bytes * p->height + 127) / 64 * 64; }

/// A padded copy, then where each pixel's window begins in it.
static size_t integer_scratch_bytes(const sq_conv *shape) {
  if (is_depthwise(shape)) return depthwise_scratch_bytes(shape);
  const integer_plan p = plan_integer(shape, 255, 128), narrow = plan_integer(shape, 1, 1);
  const size_t wide_bytes = copy_bytes(&p), narrow_bytes = copy_bytes(&narrow);
  return (wide_bytes > narrow_bytes ? wide_bytes : narrow_bytes) + (size_t)tiled_pixels(&p) * sizeof(int32_t) + 64;
}

/// Beyond the last pixel: the first one's again.
static void fill_windows(const integer_plan *p, int32_t *windows) {
  const int32_t tiled = tiled_pixels(p);
  int32_t at = 0;
  for (int32_t y = 0; y < p->s.out_height; y++)
    for (int32_t x = 0; x < p->s.out_width; x++)
      windows[at++] = y * p->s.stride_y * p->row_bytes + x * p->s.stride_x * p->pixel_bytes;
  while (at < tiled) windows[at++] = windows[0];
}

static inline size_t block_bytes(const integer_plan *p) {
  return (size_t)p->s.kernel_height * p->s.kernel_width * p->group_bytes * block_channels;
}

static size_t integer_packed_bytes(const sq_conv *shape, int32_t max_input, int32_t max_weight) {
  if (is_depthwise(shape)) return depthwise_level_bytes(shape);
  const integer_plan p = plan_integer(shape, max_input, max_weight);
  return block_bytes(&p) * p.blocks_per_group * p.s.groups;
}

/// Packed: [group][block][tap][step][channel of the block][level of the step].
static void integer_pack(
    const sq_conv *shape, const int8_t *weights, int32_t max_input, int32_t max_weight, void *packed) {
  if (is_depthwise(shape)) {
    depthwise_pack_levels(shape, weights, packed);
    return;
  }
  const integer_plan p = plan_integer(shape, max_input, max_weight);
  const int32_t taps = shape->kernel_height * shape->kernel_width, per_step = p.words ? 2 : 4;
  memset(packed, 0, integer_packed_bytes(shape, max_input, max_weight));
  for (int32_t o = 0; o < shape->out_channels; o++) {
    const int32_t group = o / p.out_group, in_block = o % p.out_group % block_channels;
    char *block = (char *)packed + (group * p.blocks_per_group + o % p.out_group / block_channels) * block_bytes(&p);
    for (int32_t tap = 0; tap < taps; tap++)
      for (int32_t i = 0; i < p.in_group; i++) {
        const int8_t weight = weights[((size_t)o * taps + tap) * p.in_group + i];
        const size_t step = (size_t)tap * (p.group_bytes / step_bytes) + i / per_step;
        const size_t at = (step * block_channels + in_block) * per_step + i % per_step;
        if (p.words)
          ((int16_t *)block)[at] = weight;
        else
          ((int8_t *)block)[at] = weight;
      }
  }
}

/// Puts levels into words, or into the upper parts of words that have a level already.
SQ_INLINE void copy_words(const uint8_t *from, int32_t count, int32_t shift, int16_t *to) {
  if (shift > 0)
    ELEMENTWISE_FOR (int32_t i = 0; i < count; i++) to[i] = (int16_t)(to[i] + (from[i] << shift));
  else
    ELEMENTWISE_FOR (int32_t i = 0; i < count; i++) to[i] = from[i];
}

/// Copies an image into the padded copy, whose borders are zeros already: with a shift into the upper parts of words.
static void copy_levels(const integer_plan *p, const uint8_t *image, int32_t pixels, int32_t shift, uint8_t *copy) {
  const sq_conv *s = &p->s;
  const int32_t rows = smaller(s->in_height, p->height - s->pad_top);
  const int32_t columns = smaller(smaller(s->in_width, p->width - s->pad_left), pixels);
  const int dense = p->pixel_bytes == s->in_channels * (p->words ? 2 : 1);
  for (int32_t y = 0; y < rows; y++) {
    const uint8_t *from = image + (size_t)y * s->in_width * s->in_channels;
    uint8_t *to = copy + (size_t)(y + s->pad_top) * p->row_bytes + (size_t)s->pad_left * p->pixel_bytes;
    if (dense && p->words) {
      copy_words(from, columns * s->in_channels, shift, (int16_t *)to);
      continue;
    }
    if (dense) {
      memcpy(to, from, (size_t)columns * s->in_channels);
      continue;
    }
    for (int32_t x = 0; x < columns; x++)
      for (int32_t group = 0; group < s->groups; group++, from += p->in_group, to += p->group_bytes)
        for (int32_t i = 0; i < p->in_group; i++) {
          if (!p->words)
            to[i] = from[i];
          else if (shift > 0)
            ((int16_t *)to)[i] += (int16_t)(from[i] << shift);
          else
            ((int16_t *)to)[i] = from[i];
        }
  }
}

SQ_INLINE sq_int_vector broadcast_step(const uint8_t *p) {
  int32_t step;
  memcpy(&step, p, sizeof step);
  return step - (sq_int_vector){};
}

/// Where the sums of a tile go.
typedef struct tile_output {
  float scale;
  const float *bias;     // of the block of channels; NULL: none
  int32_t channels;      // of the block that exist
  int32_t out_channels;  // between pixels
  float *values;         // of the tile's first pixel; NULL: not wanted
  int32_t *integers;     // the same, unscaled
  int16_t *shorts;       // the same, where they fit
  float *totals;         // [2][block_channels], values and squares are added to it; NULL: not wanted
} tile_output;

/// Writes one vector of channels of `pixels` pixels; where that is a constant, the sums never leave the registers.
SQ_INLINE void write_vector(
    const tile_output *t, sq_int_vector (*sums)[tile_vectors], const int v, const int32_t pixels, int32_t lanes) {
  sq_float_vector offset = {};
  if (t->bias) memcpy(&offset, t->bias + v * SQ_LANES, (size_t)lanes * sizeof(float));
  // Short chains of additions keep the statistics' error near one rounding.
  sq_float_vector total[2] = {{0}}, squares[2] = {{0}};
  UNROLLED_FOR (int32_t k = 0; k < pixels; k++) {
    const size_t at = (size_t)k * t->out_channels + v * SQ_LANES;
    const sq_float_vector value = t->scale * __builtin_convertvector(sums[k][v], sq_float_vector) + offset;
    total[k % 2] += value;
    squares[k % 2] += value * value;
    if (lanes == SQ_LANES) {
      if (t->values) sq_store(t->values + at, value);
      if (t->integers) *(sq_int_vector_unaligned *)(t->integers + at) = sums[k][v];
      if (t->shorts)
        *(sq_short_vector_unaligned *)(t->shorts + at) = __builtin_convertvector(sums[k][v], sq_short_vector);
    } else {
      const sq_int_vector integers = sums[k][v];
      if (t->values) memcpy(t->values + at, &value, (size_t)lanes * sizeof(float));
      const sq_short_vector shorts = __builtin_convertvector(integers, sq_short_vector);
      if (t->integers) memcpy(t->integers + at, &integers, (size_t)lanes * sizeof(int32_t));
      if (t->shorts) memcpy(t->shorts + at, &shorts, (size_t)lanes * sizeof(int16_t));
    }
  }
  if (t->totals) {
    float *totals = t->totals + v * SQ_LANES;
    sq_store(totals, sq_load(totals) + (total[0] + total[1]));
    totals += block_channels;
    sq_store(totals, sq_load(totals) + (squares[0] + squares[1]));
  }
}

SQ_INLINE void write_tile(
    const tile_output *t, sq_int_vector (*sums)[tile_vectors], const int vectors, const int32_t pixels) {
  if (t->channels >= SQ_LANES)
    write_vector(t, sums, 0, pixels, SQ_LANES);
  else
    write_vector(t, sums, 0, pixels, t->channels);
  if (vectors < 2 || t->channels <= SQ_LANES) return;
  if (t->channels == 2 * SQ_LANES)
    write_vector(t, sums, 1, pixels, SQ_LANES);
  else
    write_vector(t, sums, 1, pixels, t->channels - SQ_LANES);
}

/// Writes `valid` pixels of a tile.
SQ_INLINE void write_pixels(
    const tile_output *output, sq_int_vector (*sums)[tile_vectors], const int vectors, int32_t valid) {
  if (valid == tile_pixels) {
    write_tile(output, sums, vectors, tile_pixels);
    return;
  }
  sq_int_vector last[tile_pixels][tile_vectors];  // a copy, since it is indexed by variables
  UNROLLED_FOR (int k = 0; k < tile_pixels; k++)
    UNROLLED_FOR (int v = 0; v < vectors; v++) last[k][v] = sums[k][v];
  for (int32_t k = 0; k < valid; k++) {
    tile_output pixel = *output;
    if (pixel.values) pixel.values += (size_t)k * output->out_channels;
    if (pixel.integers) pixel.integers += (size_t)k * output->out_channels;
    if (pixel.shorts) pixel.shorts += (size_t)k * output->out_channels;
    write_tile(&pixel, last + k, vectors, 1);
  }
}

#if SQ_LANES == 4
/// Adds the products of some steps of words; returns the weights that follow.
SQ_INLINE const char *add_word_steps(
    const uint8_t *const *windows, size_t at, const char *weights, int32_t steps, sq_int_vector (*sums)[tile_vectors]) {
  for (int32_t step = 0; step < steps; step++, at += step_bytes, weights += block_channels * step_bytes) {
    sq_int_vector w[tile_vectors];
    UNROLLED_FOR (int v = 0; v < tile_vectors; v++)
      w[v] = *(const sq_int_vector_unaligned *)(weights + 4 * SQ_LANES * v);
    UNROLLED_FOR (int k = 0; k < tile_pixels; k++) {
      const sq_int_vector x = broadcast_step(windows[k] + at);
      UNROLLED_FOR (int v = 0; v < tile_vectors; v++) sums[k][v] += sq_multiply_pairs(x, w[v]);
    }
  }
  return weights;
}
#endif

#if SQ_TARGET == SQ_TARGET_NEON
/// The same of bytes, for `vectors` vectors of output channels: four steps of a pixel are loaded at once.
SQ_INLINE const char *add_byte_steps(
    const uint8_t *const *windows, size_t at, const char *weights, int32_t steps, sq_int_vector (*sums)[tile_vectors],
    const int vectors) {
#define ADD_STEP(k, v, x, lane)                \
  sums[k][v] = (sq_int_vector)vdotq_laneq_s32( \
      (int32x4_t)sums[k][v], vld1q_s8((const int8_t *)weights + 4 * SQ_LANES * v), x, lane)
#define ADD_STEP_OF_ALL(lane)                                                \
  do {                                                                       \
    UNROLLED_FOR (int k = 0; k < tile_pixels; k++)                           \
      UNROLLED_FOR (int v = 0; v < vectors; v++) ADD_STEP(k, v, x[k], lane); \
    weights += block_channels * step_bytes;                                  \
  } while (0)
  int8x16_t x[tile_pixels];
  for (; steps >= 4; steps -= 4, at += 4 * step_bytes) {
    UNROLLED_FOR (int k = 0; k < tile_pixels; k++) x[k] = vld1q_s8((const int8_t *)windows[k] + at);
    ADD_STEP_OF_ALL(0);
    ADD_STEP_OF_ALL(1);
    ADD_STEP_OF_ALL(2);
    ADD_STEP_OF_ALL(3);
  }
  for (; steps > 0; steps--, at += step_bytes) {
    UNROLLED_FOR (int k = 0; k < tile_pixels; k++) x[k] = (int8x16_t)broadcast_step(windows[k] + at);
    ADD_STEP_OF_ALL(0);
  }
#undef ADD_STEP_OF_ALL
#undef ADD_STEP
  return weights;
}
#endif

#if SQ_TARGET == SQ_TARGET_PORTABLE
/// Takes the sums of two images, low + 2^shift high, apart and adds them to each image's.
SQ_INLINE void part_sums(
    sq_int_vector (*both)[tile_vectors], int32_t shift, sq_int_vector (*low)[tile_vectors],
    sq_int_vector (*high)[tile_vectors]) {
  for (int k = 0; k < tile_pixels; k++)
    for (int v = 0; v < tile_vectors; v++) {
      const sq_int_vector lower = both[k][v] << (32 - shift) >> (32 - shift);
      low[k][v] += lower;
      high[k][v] += (both[k][v] - lower) >> shift;
      both[k][v] = (sq_int_vector){};
    }
}

/// As multiply_integer_tile, of two images at once.
static __attribute__((noinline)) void multiply_shared_words(
    const integer_plan *p, const uint8_t *copy, const int32_t *window_offsets, const char *weights,
    const tile_output *outputs, const int32_t *valid) {
  const int32_t runs = p->s.groups == 1 ? 1 : p->s.kernel_width;
  const uint8_t *windows[tile_pixels];
  sq_int_vector both[tile_pixels][tile_vectors], sums[2][tile_pixels][tile_vectors] = {};
  UNROLLED_FOR (int k = 0; k < tile_pixels; k++) {
    windows[k] = copy + window_offsets[k];
    UNROLLED_FOR (int v = 0; v < tile_vectors; v++) both[k][v] = (sq_int_vector){};
  }
  int32_t room = p->safe_steps;
  for (int32_t ky = 0; ky < p->s.kernel_height; ky++)
    for (int32_t run = 0; run < runs; run++) {
      size_t at = (size_t)ky * p->row_bytes + (size_t)run * p->pixel_bytes;
      for (int32_t left = p->row_steps; left > 0;) {
        const int32_t steps = smaller(left, room);
        weights = add_word_steps(windows, at, weights, steps, both);
        at += (size_t)steps * step_bytes;
        left -= steps;
        room -= steps;
        if (room == 0) {
          part_sums(both, p->shift, sums[0], sums[1]);
          room = p->safe_steps;
        }
      }
    }
  part_sums(both, p->shift, sums[0], sums[1]);
  write_pixels(outputs, sums[0], tile_vectors, valid[0]);
  write_pixels(outputs + 1, sums[1], tile_vectors, valid[1]);
}
#endif

/// The sums of `tile_pixels` windows of the padded copy, for `vectors` vectors of output channels, of which `valid`
/// pixels are written.
SQ_INLINE void multiply_integer_tile(
    const integer_plan *p, const uint8_t *copy, const int32_t *window_offsets, const char *weights,
    const tile_output *output, int32_t valid, const int vectors, const int words) {
  const int32_t runs = p->s.groups == 1 ? 1 : p->s.kernel_width;
  const uint8_t *windows[tile_pixels];
  sq_int_vector sums[tile_pixels][tile_vectors];  // local, so that they stay in registers
  UNROLLED_FOR (int k = 0; k < tile_pixels; k++) {
    windows[k] = copy + window_offsets[k];
    UNROLLED_FOR (int v = 0; v < vectors; v++) sums[k][v] = (sq_int_vector){};
  }
#if SQ_LANES == 4
  (void)words;
  for (int32_t ky = 0; ky < p->s.kernel_height; ky++)
    for (int32_t run = 0; run < runs; run++) {
      const size_t at = (size_t)ky * p->row_bytes + (size_t)run * p->pixel_bytes;
#if SQ_TARGET == SQ_TARGET_NEON
      if (!words) {
        weights = add_byte_steps(windows, at, weights, p->row_steps, sums, vectors);
        continue;
      }
#endif
      weights = add_word_steps(windows, at, weights, p->row_steps, sums);
    }
#elif SQ_TARGET == SQ_TARGET_AVX512
  (void)words;
  for (int32_t ky = 0; ky < p->s.kernel_height; ky++)
    for (int32_t run = 0; run < runs; run++) {
      size_t at = (size_t)ky * p->row_bytes + (size_t)run * p->pixel_bytes;
      for (int32_t step = 0; step < p->row_steps; step++, at += step_bytes, weights += block_channels * step_bytes) {
        sq_int_vector w[tile_vectors];
        UNROLLED_FOR (int v = 0; v < vectors; v++) w[v] = *(const sq_int_vector_unaligned *)(weights + 64 * v);
        UNROLLED_FOR (int k = 0; k < tile_pixels; k++) {
          const __m512i x = (__m512i)broadcast_step(windows[k] + at);
          UNROLLED_FOR (int v = 0; v < vectors; v++)
            sums[k][v] = (sq_int_vector)_mm512_dpbusd_epi32((__m512i)sums[k][v], x, (__m512i)w[v]);
        }
      }
    }
#else
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i narrow[tile_pixels][tile_vectors];
  for (int k = 0; k < tile_pixels; k++)
    for (int v = 0; v < tile_vectors; v++) narrow[k][v] = _mm256_setzero_si256();
  int32_t room = p->safe_steps;  // steps that the 16-bit sums can still take
  for (int32_t ky = 0; ky < p->s.kernel_height; ky++)
    for (int32_t run = 0; run < runs; run++) {
      size_t at = (size_t)ky * p->row_bytes + (size_t)run * p->pixel_bytes;
      for (int32_t left = p->row_steps; left > 0;) {
        const int32_t steps = words ? left : smaller(left, room);
        for (int32_t step = 0; step < steps; step++, at += step_bytes, weights += block_channels * step_bytes) {
          __m256i w[tile_vectors];
          UNROLLED_FOR (int v = 0; v < vectors; v++) w[v] = _mm256_loadu_si256((const __m256i *)(weights + 32 * v));
          UNROLLED_FOR (int k = 0; k < tile_pixels; k++) {
            const __m256i x = (__m256i)broadcast_step(windows[k] + at);
            UNROLLED_FOR (int v = 0; v < vectors; v++)
              narrow[k][v] = words ? _mm256_add_epi32(narrow[k][v], _mm256_madd_epi16(x, w[v]))
                                   : _mm256_add_epi16(narrow[k][v], _mm256_maddubs_epi16(x, w[v]));
          }
        }
        left -= steps;
        room -= steps;
        if (!words && room == 0) {
          for (int k = 0; k < tile_pixels; k++)
            for (int v = 0; v < vectors; v++) {
              sums[k][v] += (sq_int_vector)_mm256_madd_epi16(narrow[k][v], ones);
              narrow[k][v] = _mm256_setzero_si256();
            }
          room = p->safe_steps;
        }
      }
    }
  for (int k = 0; k < tile_pixels; k++)
    for (int v = 0; v < vectors; v++)
      sums[k][v] += (sq_int_vector)(words ? narrow[k][v] : _mm256_madd_epi16(narrow[k][v], ones));
#endif
  write_pixels(output, sums, vectors, valid);
}

#define MULTIPLY(name, vectors, words)                                                         \
  static __attribute__((noinline)) void name(                                                  \
      const integer_plan *p, const uint8_t *copy, const int32_t *windows, const char *weights, \
      const tile_output *output, int32_t valid) {                                              \
    multiply_integer_tile(p, copy, windows, weights, output, valid, vectors, words);           \
  }
MULTIPLY(multiply_bytes_wide, 2, 0)
MULTIPLY(multiply_bytes_slim, 1, 0)
MULTIPLY(multiply_words, 2, 1)
#undef MULTIPLY

static void add_as_doubles(double *totals, const float *floats, int32_t channels) {
  for (int32_t lane = 0; lane < channels; lane++) totals[lane] += (double)floats[lane];
}

static void forward_image(
    const integer_plan *p, const uint8_t *copy, const int32_t *windows, int32_t pixels, int32_t next_pixels,
    const char *packed, float scale, const float *bias, float *output, int32_t *sums, int16_t *short_sums,
    double *statistics) {
  const sq_conv *s = &p->s;
  const int32_t statistics_pixels = statistics_tiles / (p->shift > 0 ? 2 : 1) * tile_pixels;
  float totals[2 * block_channels] __attribute__((aligned(64)));
  (void)next_pixels;
  for (int32_t group = 0; group < s->groups; group++)
    for (int32_t b = 0; b < p->blocks_per_group; b++) {
      const char *weights = packed + (group * p->blocks_per_group + b) * block_bytes(p);
      const int32_t first_channel = group * p->out_group + b * block_channels;
      tile_output tiles[2] = {{
          .scale = scale,
          .bias = bias ? bias + first_channel : NULL,
          .channels = smaller(block_channels, p->out_group - b * block_channels),
          .out_channels = s->out_channels,
          .totals = statistics ? totals : NULL,
      }};
      tile_output *tile = tiles;
      tiles[1] = tiles[0];
      const uint8_t *group_copy = copy + (size_t)group * p->group_bytes;
      for (int32_t first = 0; first < pixels;) {
        const int32_t end = smaller(pixels, first + statistics_pixels);
        if (statistics) memset(totals, 0, sizeof totals);
        for (; first < end; first += tile_pixels) {
          const size_t at = (size_t)first * s->out_channels + first_channel;
          const int32_t valid = smaller(tile_pixels, pixels - first);
          if (output) tile->values = output + at;
          if (sums) tile->integers = sums + at;
          if (short_sums) tile->shorts = short_sums + at;
#if SQ_TARGET == SQ_TARGET_PORTABLE
          if (p->shift > 0) {
            const int32_t both_valid[2] = {valid, smaller(tile_pixels, larger(0, next_pixels - first))};
            const size_t next = at + (size_t)pixels * s->out_channels;
            if (output) tiles[1].values = output + next;
            if (sums) tiles[1].integers = sums + next;
            if (short_sums) tiles[1].shorts = short_sums + next;
            multiply_shared_words(p, group_copy, windows + first, weights, tiles, both_valid);
            continue;
          }
#endif
          if (p->words)
            multiply_words(p, group_copy, windows + first, weights, tile, valid);
          else if (tile->channels > SQ_LANES)
            multiply_bytes_wide(p, group_copy, windows + first, weights, tile, valid);
          else
            multiply_bytes_slim(p, group_copy, windows + first, weights, tile, valid);
        }
        if (statistics) {
          add_as_doubles(statistics + first_channel, totals, tile->channels);
          add_as_doubles(statistics + s->out_channels + first_channel, totals + block_channels, tile->channels);
        }
      }
    }
}

static void integer_forward(
    const sq_conv *shape, const uint8_t *input, const void *packed, int32_t max_input, int32_t max_weight, float scale,
    const float *bias, float *output, int32_t *sums, int16_t *short_sums, double *statistics, int32_t first,
    int32_t count, void *scratch) {
  if (is_depthwise(shape)) {
    depthwise_forward_levels(
        shape, input, packed, max_input, max_weight, scale, bias, output, sums, short_sums, statistics, first, count,
        scratch);
    return;
  }
  const integer_plan p = plan_integer(shape, max_input, max_weight);
  const size_t in_image = (size_t)shape->in_height * shape->in_width;
  const size_t out_image = (size_t)shape->out_height * shape->out_width;
  if (statistics) memset(statistics, 0, 2 * (size_t)shape->out_channels * sizeof(double));
  memset(scratch, 0, (size_t)p.row_bytes * p.height);
  int32_t *windows = (int32_t *)((char *)scratch + copy_bytes(&p));
  fill_windows(&p, windows);
  // An image, or for 1x1 convolutions a row of pixels, at a time; or two of them.
  const size_t pixels = count * out_image, unit = p.pointwise ? pointwise_pixels : out_image;
  const int32_t together = p.shift > 0 ? 2 : 1;
  for (size_t done = 0; done < pixels; done += together * unit) {
    int32_t unit_pixels[2] = {0};
    for (int32_t i = 0; i < together && done + i * unit < pixels; i++) {
      const size_t begin = done + i * unit;
      unit_pixels[i] = (int32_t)(pixels - begin < unit ? pixels - begin : unit);
      const size_t in_first = p.pointwise ? first * in_image + begin : (first + begin / unit) * in_image;
      copy_levels(
          &p, input + in_first * shape->in_channels, p.pointwise ? unit_pixels[i] : p.s.in_width, i * p.shift, scratch);
    }
    const size_t out_first = (first * out_image + done) * shape->out_channels;
    forward_image(
        &p, scratch, windows, unit_pixels[0], unit_pixels[1], packed, scale, bias, output ? output + out_first : NULL,
        sums ? sums + out_first : NULL, short_sums ? short_sums + out_first : NULL, statistics);
  }
}

#endif
