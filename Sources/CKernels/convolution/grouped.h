#ifndef SQ_GROUPED_H
#define SQ_GROUPED_H

// Convolutions of several groups of several channels, their input gradients and weight gradients.
//
// Vectors run over channels, across groups. Forward and input gradient are one computation: a value of a target channel
// is the sum, over the taps that reach its pixel and over the source channels of its group, of source times weight.
// What differs is which image is the target and how taps map target pixels to source pixels. The source channel of each
// lane's group is broadcast or collected. One channel a group: depthwise.h.

#include "../include/convolution.h"
#include "../target/arithmetic.h"
#include "../target/vector.h"
#include "depthwise.h"
#include "reach.h"

/// How the source channels of a vector of target channels lie.
typedef enum lane_kind { lanes_same, lanes_apart } lane_kind;

typedef struct lane_sources {
  lane_kind kind;
  int32_t first[SQ_LANES];  // the first source channel of each lane's group
} lane_sources;

static lane_sources sources_of(const side *target, const side *source, int32_t channel) {
  lane_sources result;
  for (int32_t lane = 0; lane < SQ_LANES; lane++)
    result.first[lane] = smaller(channel + lane, target->channels - 1) / target->group * source->group;
  result.kind = result.first[0] == result.first[SQ_LANES - 1] ? lanes_same : lanes_apart;
  return result;
}

/// Source channel `j` of each lane's group; exactly one of `floats` and `levels`, a pixel, is given.
SQ_INLINE sq_float_vector
load_sources(const lane_sources *sources, const lane_kind kind, const float *floats, const uint8_t *levels, int32_t j) {
  const int32_t at = sources->first[0] + j;
  if (kind == lanes_same) return sq_splat(floats ? floats[at] : (float)levels[at]);
  sq_float_vector lanes = {};
  for (int lane = 0; lane < SQ_LANES; lane++)
    lanes[lane] = floats ? floats[sources->first[lane] + j] : (float)levels[sources->first[lane] + j];
  return lanes;
}

// MARK: - Forward and input gradient

/// Packed weights: [tap][source channel of the group][target channel], in whole vectors.
static size_t grouped_packed_count(const sq_conv *s, side target, side source) {
  return (size_t)s->kernel_height * s->kernel_width * source.group * whole_vectors(target.channels);
}

typedef struct tap_source {
  size_t source, weights;  // offsets of a source pixel and of a tap's weights
} tap_source;

typedef struct gather_scratch {
  int32_t *rows, *columns;
  tap_source *taps;
  float *bias;
  size_t bytes;
} gather_scratch;

static gather_scratch lay_out_gather(const sq_conv *s, const side *target, void *scratch) {
  gather_scratch result;
  char *base = scratch;
  size_t at = 0;
  result.rows = (int32_t *)(base + at);
  at += round_up_size((1 + 2 * (size_t)s->kernel_height) * sizeof(int32_t), 64);
  result.columns = (int32_t *)(base + at);
  at += round_up_size((1 + 2 * (size_t)s->kernel_width) * target->width * sizeof(int32_t), 64);
  result.taps = (tap_source *)(base + at);
  at += round_up_size((size_t)s->kernel_height * s->kernel_width * sizeof(tap_source), 64);
  result.bias = (float *)(base + at);
  at += round_up_size(whole_vectors(target->channels) * sizeof(float), 64);
  result.bytes = at;
  return result;
}

/// One target pixel of any grouped convolution.
static void gather_groups(
    const float *source, const float *weights, const tap_source *taps, int32_t count, const float *bias,
    const side *target, const side *from, float *output) {
  const size_t step = whole_vectors(target->channels);
  for (int32_t c = 0; c < target->channels; c += SQ_LANES) {
    const lane_sources lanes = sources_of(target, from, c);
    sq_float_vector sum = sq_load(bias + c);
    for (int32_t t = 0; t < count; t++)
      for (int32_t j = 0; j < from->group; j++) {
        const float *pixel = source + taps[t].source;
        const sq_float_vector x = lanes.kind == lanes_same ? load_sources(&lanes, lanes_same, pixel, NULL, j)
                                                           : load_sources(&lanes, lanes_apart, pixel, NULL, j);
        sum += x * sq_load(weights + taps[t].weights + j * step + c);
      }
    store_lanes(output + c, &sum, target->channels - c);
  }
}

/// Adds a row of values and of their squares to [2][channels] sums: short runs in floats, then in doubles.
static void add_statistics(const float *row, int32_t width, int32_t channels, double *statistics) {
  for (int32_t c = 0; c < channels; c += SQ_LANES) {
    const int32_t lanes = smaller(SQ_LANES, channels - c);
    for (int32_t first = 0; first < width; first += 8) {
      sq_float_vector sum[2] = {{0}}, squares[2] = {{0}};
      for (int32_t x = first; x < smaller(first + 8, width); x++) {
        const sq_float_vector value = sq_load(row + (size_t)x * channels + c);
        sum[x % 2] += value;
        squares[x % 2] += value * value;
      }
      sum[0] += sum[1];
      squares[0] += squares[1];
      for (int32_t lane = 0; lane < lanes; lane++) {
        statistics[c + lane] += (double)sum[0][lane];
        statistics[channels + c + lane] += (double)squares[0][lane];
      }
    }
  }
}

static void gather(
    const sq_conv *s, side target, side source, int transposed, const float *values, const float *packed,
    const float *bias, float *result, double *statistics, int32_t first, int32_t count, void *scratch) {
  const gather_scratch work = lay_out_gather(s, &target, scratch);
  const axis rows = {s->kernel_height, s->stride_y, s->pad_top, source.height, transposed};
  const axis columns = {s->kernel_width, s->stride_x, s->pad_left, source.width, transposed};
  const int32_t column_reach = 1 + 2 * s->kernel_width;
  const size_t tap_weights = source.group * whole_vectors(target.channels);
  for (int32_t x = 0; x < target.width; x++) find_reach(&columns, x, work.columns + (size_t)x * column_reach);
  memset(work.bias, 0, whole_vectors(target.channels) * sizeof(float));
  if (bias) memcpy(work.bias, bias, target.channels * sizeof(float));
  if (statistics) memset(statistics, 0, 2 * (size_t)target.channels * sizeof(double));

  for (int32_t n = first; n < first + count; n++) {
    const float *image = values + n * side_image(&source);
    for (int32_t y = 0; y < target.height; y++) {
      float *row = result + n * side_image(&target) + (size_t)y * target.width * target.channels;
      find_reach(&rows, y, work.rows);
      for (int32_t x = 0; x < target.width; x++) {
        const int32_t *reach = work.columns + (size_t)x * column_reach;
        int32_t taps = 0;
        for (int32_t i = 0; i < work.rows[0]; i++)
          for (int32_t j = 0; j < reach[0]; j++) {
            const int32_t ky = work.rows[1 + 2 * i], source_y = work.rows[2 + 2 * i];
            const int32_t kx = reach[1 + 2 * j], source_x = reach[2 + 2 * j];
            work.taps[taps++] = (tap_source){((size_t)source_y * source.width + source_x) * source.channels,
                                             (size_t)(ky * s->kernel_width + kx) * tap_weights};
          }
        float *pixel = row + (size_t)x * target.channels;
        gather_groups(image, packed, work.taps, taps, work.bias, &target, &source, pixel);
      }
      if (statistics) add_statistics(row, target.width, target.channels, statistics);
    }
  }
}

static size_t grouped_forward_packed_count(const sq_conv *s) {
  return grouped_packed_count(s, output_side(s), input_side(s));
}

static void grouped_forward_pack(const sq_conv *s, const float *weights, float *packed) {
  const int32_t taps = s->kernel_height * s->kernel_width, in_group = s->in_channels / s->groups;
  const size_t step = whole_vectors(s->out_channels);
  memset(packed, 0, grouped_forward_packed_count(s) * sizeof(float));
  for (int32_t o = 0; o < s->out_channels; o++)
    for (int32_t k = 0; k < taps * in_group; k++) packed[k * step + o] = *weights++;
}

static void grouped_forward(
    const sq_conv *s, const float *input, const float *packed, const float *bias, float *output, double *statistics,
    int32_t first, int32_t count, void *scratch) {
  gather(s, output_side(s), input_side(s), 0, input, packed, bias, output, statistics, first, count, scratch);
}

static size_t grouped_backward_input_packed_count(const sq_conv *s) {
  return grouped_packed_count(s, input_side(s), output_side(s));
}

static void grouped_backward_input_pack(const sq_conv *s, const float *weights, float *packed) {
  const int32_t taps = s->kernel_height * s->kernel_width;
  const int32_t in_group = s->in_channels / s->groups, out_group = s->out_channels / s->groups;
  const size_t step = whole_vectors(s->in_channels);
  memset(packed, 0, grouped_backward_input_packed_count(s) * sizeof(float));
  for (int32_t o = 0; o < s->out_channels; o++)
    for (int32_t tap = 0; tap < taps; tap++)
      for (int32_t i = 0; i < in_group; i++)
        packed[(tap * out_group + o % out_group) * step + o / out_group * in_group + i] = *weights++;
}

static void grouped_backward_input(
    const sq_conv *s, const float *output_gradient, const float *packed, float *input_gradient, int32_t first,
    int32_t count, void *scratch) {
  gather(
      s, input_side(s), output_side(s), 1, output_gradient, packed, NULL, input_gradient, NULL, first, count, scratch);
}

// MARK: - Weight gradient

/// The sum over columns [begin, end) of an output row of the gradient times one tap's input; pixels of the input are
/// `input_step` elements apart.
SQ_INLINE sq_float_vector row_product(
    const lane_sources *lanes, const lane_kind kind, const float *floats, const uint8_t *levels, size_t input_step,
    int32_t j, const float *gradient, size_t gradient_step, int32_t columns) {
  sq_float_vector sums[4] = {{0}};
  int32_t x = 0;
  for (; x + 4 <= columns; x += 4)
    for (int k = 0; k < 4; k++) {
      sums[k] += load_sources(lanes, kind, floats, levels, j) * sq_load(gradient);
      gradient += gradient_step;
      if (floats) floats += input_step;
      if (levels) levels += input_step;
    }
  for (; x < columns; x++) {
    sums[0] += load_sources(lanes, kind, floats, levels, j) * sq_load(gradient);
    gradient += gradient_step;
    if (floats) floats += input_step;
    if (levels) levels += input_step;
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/// Rows are added up for an image, then images: [tap][input channel of the group][output channel] in whole vectors.
static size_t gradient_sums(const sq_conv *s) { return grouped_forward_packed_count(s); }

/// Exactly one of `floats` and `levels` is given.
static void grouped_backward_weight(
    const sq_conv *s, const float *floats, const uint8_t *levels, const float *output_gradient, float *weight_gradient,
    int32_t first, int32_t count, void *scratch) {
  const side in = input_side(s), out = output_side(s);
  const size_t step = whole_vectors(out.channels), sums_count = gradient_sums(s);
  const int32_t taps = s->kernel_height * s->kernel_width;
  float *totals = scratch, *sums = totals + sums_count;
  memset(totals, 0, sums_count * sizeof(float));
  for (int32_t n = first; n < first + count; n++) {
    memset(sums, 0, sums_count * sizeof(float));
    for (int32_t y = 0; y < s->out_height; y++) {
      const float *row = output_gradient + n * side_image(&out) + (size_t)y * out.width * out.channels;
      for (int32_t c = 0; c < out.channels; c += SQ_LANES) {
        const lane_sources lanes = sources_of(&out, &in, c);
        for (int32_t ky = 0; ky < s->kernel_height; ky++) {
          const int32_t in_y = y * s->stride_y + ky - s->pad_top;
          if (in_y < 0 || in_y >= in.height) continue;
          for (int32_t kx = 0; kx < s->kernel_width; kx++) {
            // The output columns whose input column, x * stride + shift, is inside.
            const int32_t shift = kx - s->pad_left;
            const int32_t begin = shift >= 0 ? 0 : (-shift + s->stride_x - 1) / s->stride_x;
            const int32_t end = smaller(out.width, larger(0, (in.width - shift + s->stride_x - 1) / s->stride_x));
            if (begin >= end) continue;
            const size_t from =
                n * side_image(&in) + ((size_t)in_y * in.width + begin * s->stride_x + shift) * in.channels;
            float *tap_sums = sums + (size_t)(ky * s->kernel_width + kx) * in.group * step + c;
            for (int32_t j = 0; j < in.group; j++) {
#define SQ_ROW_PRODUCT(kind)                                                                                           \
  row_product(                                                                                                         \
      &lanes, kind, floats ? floats + from : NULL, levels ? levels + from : NULL, (size_t)s->stride_x *in.channels, j, \
      row + (size_t)begin * out.channels + c, out.channels, end - begin)
              const sq_float_vector sum =
                  lanes.kind == lanes_same ? SQ_ROW_PRODUCT(lanes_same) : SQ_ROW_PRODUCT(lanes_apart);
#undef SQ_ROW_PRODUCT
              sq_store(tap_sums + j * step, sq_load(tap_sums + j * step) + sum);
            }
          }
        }
      }
    }
    for (size_t k = 0; k < sums_count; k += SQ_LANES) sq_store(totals + k, sq_load(totals + k) + sq_load(sums + k));
  }
  for (int32_t o = 0; o < out.channels; o++)
    for (int32_t k = 0; k < taps * in.group; k++) *weight_gradient++ = totals[k * step + o];
}

static size_t grouped_scratch_bytes(const sq_conv *s) {
  char base[1];
  const side in = input_side(s), out = output_side(s);
  size_t bytes = lay_out_gather(s, &out, base).bytes;
  const size_t backward = lay_out_gather(s, &in, base).bytes, gradient = 2 * gradient_sums(s) * sizeof(float);
  if (bytes < backward) bytes = backward;
  return bytes < gradient ? gradient : bytes;
}

#endif
