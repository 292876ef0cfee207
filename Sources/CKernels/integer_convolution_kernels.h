// Included once for each instruction set; see vector.h.
//
// Each image is copied to scratch with its zero padding and its channels padded to whole steps of four bytes, so that
// for one kernel row all columns and channels of a window are one contiguous run. The inner loop takes a step of a few
// pixels at a time, broadcast, against the same step of the weights of as many output channels as a vector has lanes:
// - bytes: 4 levels a step. AVX-512 adds the four products into 32 bits directly (vpdpbusd). AVX2 adds pairs of
//   products in 16 bits (vpmaddubsw) over as many steps as cannot overflow whatever the levels are, then widens.
// - words: 2 levels a step as 16-bit integers, where one pair of byte products might already overflow 16 bits.

#include "integer_convolution_tables.h"

enum {
#if SQ_TARGET == SQ_TARGET_AVX512
  tile_pixels = 8,
#else
  tile_pixels = 4,
#endif
  tile_vectors = 2,
  block_channels = tile_vectors * SQ_LANES,  // output channels of a packed block of weights
  step_bytes = 4,
  pointwise_pixels = 256
};

typedef struct integer_plan {
  sq_conv s;           // of one image; 1x1 convolutions: of a row of pixels
  int32_t in_group, out_group, blocks_per_group;
  int32_t words;       // levels as 16-bit integers
  int32_t group_bytes, pixel_bytes, row_bytes;  // of the padded copy
  int32_t height, width;
  int32_t row_steps;   // steps of a window in one kernel row
  int32_t safe_steps;  // that 16 bits hold
  int32_t pointwise;
} integer_plan;

static inline int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

static integer_plan make_plan(const sq_conv *shape, int32_t max_input, int32_t max_weight) {
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
#if SQ_TARGET != SQ_TARGET_AVX512
  p.words = p.safe_steps == 0;
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

static int supports(const sq_conv *shape, int32_t max_input, int32_t max_weight) {
  // Narrow groups would leave most of a step and of a vector empty.
  const int wide_enough =
      shape->groups == 1 || (shape->in_channels / shape->groups >= 4 && shape->out_channels / shape->groups >= 8);
  return wide_enough && sq_integer_convolution_fits(shape, max_input, max_weight);
}

static size_t scratch_bytes(const sq_conv *shape) {
  const integer_plan p = make_plan(shape, 255, 128);
  const integer_plan narrow = make_plan(shape, 1, 1);
  return (size_t)larger(p.row_bytes, narrow.row_bytes) * p.height + 64;
}

static inline size_t block_bytes(const integer_plan *p) {
  return (size_t)p->s.kernel_height * p->s.kernel_width * p->group_bytes * block_channels;
}

static size_t packed_bytes(const sq_conv *shape, int32_t max_input, int32_t max_weight) {
  const integer_plan p = make_plan(shape, max_input, max_weight);
  return block_bytes(&p) * p.blocks_per_group * p.s.groups;
}

/// Packed: [group][block][tap][step][channel of the block][level of the step].
static void pack(
    const sq_conv *shape, const int8_t *weights, int32_t max_input, int32_t max_weight, void *packed) {
  const integer_plan p = make_plan(shape, max_input, max_weight);
  const int32_t taps = shape->kernel_height * shape->kernel_width, per_step = p.words ? 2 : 4;
  memset(packed, 0, packed_bytes(shape, max_input, max_weight));
  for (int32_t o = 0; o < shape->out_channels; o++) {
    const int32_t group = o / p.out_group, in_block = o % p.out_group % block_channels;
    char *block = (char *)packed +
                  (group * p.blocks_per_group + o % p.out_group / block_channels) * block_bytes(&p);
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

/// Copies an image into the padded copy, whose borders are zeros already.
static void copy_image(const integer_plan *p, const uint8_t *image, int32_t pixels, uint8_t *copy) {
  const sq_conv *s = &p->s;
  const int32_t rows = smaller(s->in_height, p->height - s->pad_top);
  const int32_t columns = smaller(smaller(s->in_width, p->width - s->pad_left), pixels);
  const int dense = !p->words && p->pixel_bytes == s->in_channels;
  for (int32_t y = 0; y < rows; y++) {
    const uint8_t *from = image + (size_t)y * s->in_width * s->in_channels;
    uint8_t *to = copy + (size_t)(y + s->pad_top) * p->row_bytes + (size_t)s->pad_left * p->pixel_bytes;
    if (dense) {
      memcpy(to, from, (size_t)columns * s->in_channels);
      continue;
    }
    for (int32_t x = 0; x < columns; x++)
      for (int32_t group = 0; group < s->groups; group++, from += p->in_group, to += p->group_bytes)
        for (int32_t i = 0; i < p->in_group; i++) {
          if (p->words)
            ((int16_t *)to)[i] = from[i];
          else
            to[i] = from[i];
        }
  }
}

SQ_KERNELS_BEGIN

#if SQ_TARGET == SQ_TARGET_PORTABLE
SQ_INLINE void multiply_step(const uint8_t *step, const char *weights, int words, int32_t *sums, int channels) {
  if (words) {
    const int16_t *x = (const int16_t *)step, *w = (const int16_t *)weights;
    for (int o = 0; o < channels; o++) sums[o] += x[0] * w[2 * o] + x[1] * w[2 * o + 1];
  } else {
    const int8_t *w = (const int8_t *)weights;
    for (int o = 0; o < channels; o++)
      sums[o] += step[0] * w[4 * o] + step[1] * w[4 * o + 1] + step[2] * w[4 * o + 2] + step[3] * w[4 * o + 3];
  }
}
#else
SQ_INLINE sq_int_vector broadcast_step(const uint8_t *p) {
  int32_t step;
  memcpy(&step, p, sizeof step);
  return step - (sq_int_vector){};
}
#endif

/// The sums of `tile_pixels` windows, at `windows` in the padded copy, for `vectors` vectors of output channels.
SQ_INLINE void multiply_tile(
    const integer_plan *p, const uint8_t *const *windows, const char *weights, sq_int_vector (*result)[tile_vectors],
    const int vectors, const int words) {
  const int32_t runs = p->s.groups == 1 ? 1 : p->s.kernel_width;
  sq_int_vector sums[tile_pixels][tile_vectors];  // local, so that they stay in registers
  for (int k = 0; k < tile_pixels; k++)
    for (int v = 0; v < tile_vectors; v++) sums[k][v] = (sq_int_vector){};
#if SQ_TARGET == SQ_TARGET_PORTABLE
  for (int32_t ky = 0; ky < p->s.kernel_height; ky++)
    for (int32_t run = 0; run < runs; run++) {
      const size_t at = (size_t)ky * p->row_bytes + (size_t)run * p->pixel_bytes;
      for (int32_t step = 0; step < p->row_steps; step++, weights += block_channels * step_bytes)
        for (int k = 0; k < tile_pixels; k++)
          multiply_step(windows[k] + at + step * step_bytes, weights, words, (int32_t *)sums[k], vectors * SQ_LANES);
    }
#elif SQ_TARGET == SQ_TARGET_AVX512
  (void)words;
  for (int32_t ky = 0; ky < p->s.kernel_height; ky++)
    for (int32_t run = 0; run < runs; run++) {
      size_t at = (size_t)ky * p->row_bytes + (size_t)run * p->pixel_bytes;
      for (int32_t step = 0; step < p->row_steps; step++, at += step_bytes, weights += block_channels * step_bytes) {
        sq_int_vector w[tile_vectors];
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) w[v] = *(const sq_int_vector_unaligned *)(weights + 64 * v);
#pragma clang loop unroll(full)
        for (int k = 0; k < tile_pixels; k++) {
          const __m512i x = (__m512i)broadcast_step(windows[k] + at);
#pragma clang loop unroll(full)
          for (int v = 0; v < vectors; v++)
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
#pragma clang loop unroll(full)
          for (int v = 0; v < vectors; v++) w[v] = (__m256i)*(const sq_int_vector_unaligned *)(weights + 32 * v);
#pragma clang loop unroll(full)
          for (int k = 0; k < tile_pixels; k++) {
            const __m256i x = (__m256i)broadcast_step(windows[k] + at);
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++)
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
  for (int k = 0; k < tile_pixels; k++)
    for (int v = 0; v < tile_vectors; v++) result[k][v] = sums[k][v];
}

static void multiply_bytes_wide(
    const integer_plan *p, const uint8_t *const *windows, const char *weights, sq_int_vector (*sums)[tile_vectors]) {
  multiply_tile(p, windows, weights, sums, 2, 0);
}

static void multiply_bytes_slim(
    const integer_plan *p, const uint8_t *const *windows, const char *weights, sq_int_vector (*sums)[tile_vectors]) {
  multiply_tile(p, windows, weights, sums, 1, 0);
}

static void multiply_words(
    const integer_plan *p, const uint8_t *const *windows, const char *weights, sq_int_vector (*sums)[tile_vectors]) {
  multiply_tile(p, windows, weights, sums, 2, 1);
}

static void add_as_doubles(double *totals, sq_float_vector v, int32_t channels) {
  for (int32_t lane = 0; lane < channels; lane++) totals[lane] += (double)v[lane];
}

/// Writes `pixels` of a tile's sums: pixel k's first channel is at `at` + k * out_channels.
SQ_INLINE void write_tile(
    const sq_conv *s, sq_int_vector (*tile_sums)[tile_vectors], int32_t pixels, int32_t first_channel,
    int32_t channels, float scale, const float *bias, float *output, int32_t *sums, double *statistics) {
  for (int v = 0; v * SQ_LANES < channels; v++) {
    const int32_t lanes = smaller(SQ_LANES, channels - v * SQ_LANES);
    sq_float_vector offset = {};
    if (bias) memcpy(&offset, bias + first_channel + v * SQ_LANES, (size_t)lanes * sizeof(float));
    // Short chains of additions keep the statistics' error near one rounding.
    sq_float_vector total[4] = {{0}}, squares[4] = {{0}};
    for (int32_t k = 0; k < pixels; k++) {
      const size_t at = (size_t)k * s->out_channels + v * SQ_LANES;
      const sq_float_vector value = scale * __builtin_convertvector(tile_sums[k][v], sq_float_vector) + offset;
      total[k % 4] += value;
      squares[k % 4] += value * value;
      if (lanes == SQ_LANES) {
        if (output) sq_store(output + at, value);
        if (sums) *(sq_int_vector_unaligned *)(sums + at) = tile_sums[k][v];
      } else {
        if (output) memcpy(output + at, &value, (size_t)lanes * sizeof(float));
        if (sums) memcpy(sums + at, &tile_sums[k][v], (size_t)lanes * sizeof(int32_t));
      }
    }
    if (statistics) {
      total[0] = (total[0] + total[1]) + (total[2] + total[3]);
      squares[0] = (squares[0] + squares[1]) + (squares[2] + squares[3]);
      double *totals = statistics + first_channel + v * SQ_LANES;
      if (lanes == SQ_LANES) {
        add_as_doubles(totals, total[0], SQ_LANES);
        add_as_doubles(totals + s->out_channels, squares[0], SQ_LANES);
      } else {
        add_as_doubles(totals, total[0], lanes);
        add_as_doubles(totals + s->out_channels, squares[0], lanes);
      }
    }
  }
}

static void forward_image(
    const integer_plan *p, const uint8_t *copy, int32_t pixels, const char *packed, float scale, const float *bias,
    float *output, int32_t *sums, double *statistics) {
  const sq_conv *s = &p->s;
  const uint8_t *windows[tile_pixels];
  sq_int_vector tile_sums[tile_pixels][tile_vectors];
  for (int32_t group = 0; group < s->groups; group++)
    for (int32_t b = 0; b < p->blocks_per_group; b++) {
      const char *weights = packed + (group * p->blocks_per_group + b) * block_bytes(p);
      const int32_t first_channel = group * p->out_group + b * block_channels;
      const int32_t channels = smaller(block_channels, p->out_group - b * block_channels);
      int32_t y = 0, x = 0;
      for (int32_t first = 0; first < pixels; first += tile_pixels) {
        const int32_t valid = smaller(tile_pixels, pixels - first);
        for (int k = 0; k < tile_pixels; k++) {
          if (k < valid) {
            windows[k] = copy + (size_t)y * s->stride_y * p->row_bytes + (size_t)x * s->stride_x * p->pixel_bytes +
                         (size_t)group * p->group_bytes;
            if (++x == s->out_width) x = 0, y++;
          } else {
            windows[k] = windows[0];
          }
        }
        if (p->words)
          multiply_words(p, windows, weights, tile_sums);
        else if (channels > SQ_LANES)
          multiply_bytes_wide(p, windows, weights, tile_sums);
        else
          multiply_bytes_slim(p, windows, weights, tile_sums);
        const size_t at = (size_t)first * s->out_channels + first_channel;
        float *tile_output = output ? output + at : NULL;
        int32_t *tile_integers = sums ? sums + at : NULL;
        if (valid == tile_pixels)
          write_tile(
              s, tile_sums, tile_pixels, first_channel, channels, scale, bias, tile_output, tile_integers, statistics);
        else
          write_tile(s, tile_sums, valid, first_channel, channels, scale, bias, tile_output, tile_integers, statistics);
      }
    }
}

static void forward(
    const sq_conv *shape, const uint8_t *input, const void *packed, int32_t max_input, int32_t max_weight, float scale,
    const float *bias, float *output, int32_t *sums, double *statistics, int32_t first, int32_t count, void *scratch) {
  const integer_plan p = make_plan(shape, max_input, max_weight);
  const size_t in_image = (size_t)shape->in_height * shape->in_width;
  const size_t out_image = (size_t)shape->out_height * shape->out_width;
  if (statistics) memset(statistics, 0, 2 * (size_t)shape->out_channels * sizeof(double));
  memset(scratch, 0, (size_t)p.row_bytes * p.height);
  // An image, or for 1x1 convolutions a row of pixels, at a time.
  const size_t pixels = count * out_image, unit = p.pointwise ? pointwise_pixels : out_image;
  for (size_t done = 0; done < pixels; done += unit) {
    const int32_t unit_pixels = (int32_t)(pixels - done < unit ? pixels - done : unit);
    const size_t in_first = p.pointwise ? first * in_image + done : (first + done / unit) * in_image;
    const size_t out_first = (first * out_image + done) * shape->out_channels;
    copy_image(
        &p, input + in_first * shape->in_channels, p.pointwise ? unit_pixels : p.s.in_width, scratch);
    forward_image(
        &p, scratch, unit_pixels, packed, scale, bias, output ? output + out_first : NULL,
        sums ? sums + out_first : NULL, statistics);
  }
}

SQ_KERNELS_END

const sq_integer_convolution_kernels SQ_NAME(sq_integer_convolution) = {
    .supports = supports,
    .scratch_bytes = scratch_bytes,
    .packed_bytes = packed_bytes,
    .pack = pack,
    .forward = forward,
};
