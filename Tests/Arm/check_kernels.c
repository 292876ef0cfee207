// Holds every kernel of the instruction sets that this processor has against the reference, on random small shapes: for
// processors that Swift's tests do not run on (Scripts/test-arm.sh). Element-wise operands are multiples of powers of
// two whose results are exact, so that those have to be equal to the last bit; so have integers. Sums of convolutions
// differ by rounding.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

static int failures, checks;
static const char *instruction_set;
static uint64_t state;

static uint32_t draw(uint32_t below) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((state >> 33) % below);
}

/// A multiple of 1/64 between -2 and 2.
static float dyadic(void) { return ((float)draw(257) - 128) / 64; }

/// Aligned, with readable bytes past the end as kernels expect, none of them zero.
static void *memory(size_t bytes) {
  size_t whole = (bytes + 191) / 64 * 64;
  void *result = aligned_alloc(64, whole);
  if (!result) abort();
  return memset(result, 0x7f, whole);
}

static void *zeros(size_t bytes) { return memset(memory(bytes), 0, bytes); }

static float *floats(size_t count) {
  float *result = memory(count * sizeof(float));
  for (size_t i = 0; i < count; i++) result[i] = dyadic();
  return result;
}

static void report(const char *what, const char *detail, double error) {
  failures++;
  printf("%s: %s differs from the reference by %g (%s)\n", instruction_set, what, error, detail);
}

static void equal(const char *what, const char *detail, const void *a, const void *b, size_t bytes) {
  checks++;
  const uint8_t *x = a, *y = b;
  for (size_t i = 0; i < bytes; i++)
    if (x[i] != y[i]) {
      report(what, detail, (double)i);
      return;
    }
}

/// The largest difference over the largest magnitude, or over 1 where that is smaller.
static void close_to(const char *what, const char *detail, const float *a, const float *b, size_t count, double bound) {
  double worst = 0, scale = 1;
  checks++;
  for (size_t i = 0; i < count; i++) {
    double d = fabs((double)a[i] - (double)b[i]);
    if (!(d <= worst)) worst = d;
    if (fabs((double)b[i]) > scale) scale = fabs((double)b[i]);
  }
  if (!(worst <= bound * scale)) report(what, detail, worst / scale);
}

static void sums_close(
    const char *what, const char *detail, const double *a, const double *b, size_t count, double size) {
  checks++;
  for (size_t i = 0; i < count; i++)
    if (!(fabs(a[i] - b[i]) <= 2e-6 * (size + fabs(b[i])))) {
      report(what, detail, a[i] - b[i]);
      return;
    }
}

// MARK: - Convolutions

typedef struct conv_results {
  float *output, *input_gradient, *weight_gradient, *level_gradient, *sparse_gradient, *scaled;
  float *sparse_float_gradient, *integer_gradient, *unfrozen_gradient;
  double *statistics;
  int32_t *sums;
  int16_t *shorts;
  int integers, integer_gradients;
} conv_results;

typedef struct conv_operands {
  sq_conv s;
  size_t inputs, outputs, weights;
  int32_t max_input, max_weight;
  float *input, *gradient, *weight;
  uint8_t *levels, *frozen;
  int8_t *weight_levels;
} conv_operands;

static sq_conv random_shape(void) {
  static const int32_t kernels[] = {1, 3, 3, 3, 5, 7};
  const int depthwise = draw(3) == 0, grouped = !depthwise && draw(4) == 0;
  sq_conv s = {.batch = 1 + (int32_t)draw(4), .groups = 1};
  s.in_channels = 1 + (int32_t)draw(40);
  s.out_channels = 1 + (int32_t)draw(40);
  if (draw(3) == 0) s.in_channels = s.out_channels = 16 * (1 + (int32_t)draw(3));
  if (depthwise) s.groups = s.out_channels = s.in_channels;
  if (grouped) s.groups = 1 + (int32_t)draw(4), s.in_channels = s.groups * 5, s.out_channels = s.groups * 9;
  s.kernel_height = kernels[draw(6)];
  s.kernel_width = draw(4) ? s.kernel_height : kernels[draw(6)];
  s.stride_y = 1 + (int32_t)draw(2);
  s.stride_x = draw(4) ? s.stride_y : 1 + (int32_t)draw(2);
  s.in_height = s.kernel_height + (int32_t)draw(9);
  s.in_width = s.kernel_width + (int32_t)draw(14);
  s.pad_top = draw(3) ? s.kernel_height / 2 : 0;
  s.pad_left = draw(3) ? s.kernel_width / 2 : 0;
  s.out_height = (s.in_height + 2 * s.pad_top - s.kernel_height) / s.stride_y + 1;
  s.out_width = (s.in_width + 2 * s.pad_left - s.kernel_width) / s.stride_x + 1;
  return s;
}

static conv_operands random_operands(void) {
  static const int32_t inputs[] = {1, 3, 15, 255}, weights[] = {1, 2, 15, 128};
  conv_operands o = {.s = random_shape(), .max_input = inputs[draw(4)], .max_weight = weights[draw(4)]};
  o.inputs = (size_t)(o.s.batch * o.s.in_height * o.s.in_width * o.s.in_channels);
  o.outputs = (size_t)(o.s.batch * o.s.out_height * o.s.out_width * o.s.out_channels);
  o.weights = (size_t)(o.s.out_channels * o.s.kernel_height * o.s.kernel_width * (o.s.in_channels / o.s.groups));
  o.input = floats(o.inputs);
  o.gradient = floats(o.outputs);
  o.weight = floats(o.weights);
  o.levels = memory(o.inputs);
  o.frozen = memory(o.weights);
  o.weight_levels = memory(o.weights);
  const int extremes = draw(4) == 0;
  const uint32_t share = draw(101);
  for (size_t i = 0; i < o.inputs; i++)
    o.levels[i] = (uint8_t)(extremes ? (uint32_t)o.max_input : draw((uint32_t)o.max_input + 1));
  for (size_t i = 0; i < o.weights; i++) {
    const int32_t level = extremes ? -o.max_weight : (int32_t)draw(2 * (uint32_t)o.max_weight + 1) - o.max_weight;
    o.weight_levels[i] = (int8_t)(level > 127 ? 127 : level);
    o.frozen[i] = draw(100) < share;
  }
  return o;
}

static conv_results convolve(const sq_kernels *k, const conv_operands *o) {
  const sq_conv *s = &o->s;
  conv_results r = {
      .output = floats(o->outputs),
      .input_gradient = floats(o->inputs),
      .weight_gradient = floats(o->weights),
      .level_gradient = floats(o->weights),
      .sparse_gradient = memory(o->weights * sizeof(float)),
      .sparse_float_gradient = memory(o->weights * sizeof(float)),
      .integer_gradient = memory(o->weights * sizeof(float)),
      .unfrozen_gradient = memory(o->weights * sizeof(float)),
      .scaled = floats(o->outputs),
      .statistics = memory(2 * sizeof(double) * (size_t)s->out_channels),
      .sums = memory(o->outputs * sizeof(int32_t)),
      .shorts = memory(o->outputs * sizeof(int16_t)),
      .integers = k->integer_convolution.supports(s, o->max_input, o->max_weight),
      .integer_gradients = k->integer_weight_gradient.supports(s, o->max_input)};
  size_t bytes = k->convolution.scratch_bytes(s);
  if (r.integers && k->integer_convolution.scratch_bytes(s) > bytes) bytes = k->integer_convolution.scratch_bytes(s);
  if (k->sparse_weight_gradient.scratch_bytes(s) > bytes) bytes = k->sparse_weight_gradient.scratch_bytes(s);
  if (r.integer_gradients) {
    const size_t needed = k->integer_weight_gradient.scratch_bytes(s, o->max_input, s->batch);
    if (needed > bytes) bytes = needed;
  }
  void *scratch = memory(bytes);
  float *forward = memory(sizeof(float) * k->convolution.forward_packed_count(s));
  float *backward = memory(sizeof(float) * k->convolution.backward_input_packed_count(s));
  void *index = memory(k->sparse_weight_gradient.index_bytes(s));
  k->convolution.forward_pack(s, o->weight, forward);
  k->convolution.backward_input_pack(s, o->weight, backward);
  k->convolution.forward(s, o->input, forward, NULL, r.output, r.statistics, 0, s->batch, scratch);
  k->convolution.backward_input(s, o->gradient, backward, r.input_gradient, 0, s->batch, scratch);
  k->convolution.backward_weight(s, o->input, o->gradient, r.weight_gradient, 0, s->batch, scratch);
  k->convolution.backward_weight_u8(s, o->levels, o->gradient, r.level_gradient, 0, s->batch, scratch);
  for (size_t i = 0; i < o->weights; i++)
    r.sparse_gradient[i] = r.sparse_float_gradient[i] = r.unfrozen_gradient[i] = 1;
  k->sparse_weight_gradient.index_build(s, o->frozen, index);
  k->sparse_weight_gradient.backward_weight_u8(
      s, o->levels, o->gradient, index, r.sparse_gradient, 0, s->batch, scratch);
  k->sparse_weight_gradient.backward_weight(
      s, o->input, o->gradient, index, r.sparse_float_gradient, 0, s->batch, scratch);
  if (r.integer_gradients) {
    const sq_integer_weight_gradient_kernels *g = &k->integer_weight_gradient;
    void *unfrozen = memory(g->index_bytes(s));
    g->index_build(s, o->frozen, unfrozen);
    g->backward_weight(s, o->levels, o->max_input, o->gradient, r.integer_gradient, 0, s->batch, scratch);
    g->backward_unfrozen(s, o->levels, o->max_input, o->gradient, unfrozen, r.unfrozen_gradient, 0, s->batch, scratch);
    free(unfrozen);
  }
  if (r.integers) {
    void *packed = memory(k->integer_convolution.packed_bytes(s, o->max_input, o->max_weight));
    k->integer_convolution.pack(s, o->weight_levels, o->max_input, o->max_weight, packed);
    k->integer_convolution.forward(
        s, o->levels, packed, o->max_input, o->max_weight, 0.125f, NULL, r.scaled, r.sums, r.shorts, r.statistics, 0,
        s->batch, scratch);
    free(packed);
  }
  free(scratch), free(forward), free(backward), free(index);
  return r;
}

static void free_results(conv_results r) {
  free(r.output), free(r.input_gradient), free(r.weight_gradient), free(r.level_gradient), free(r.sparse_gradient);
  free(r.scaled), free(r.statistics), free(r.sums), free(r.shorts);
  free(r.sparse_float_gradient), free(r.integer_gradient), free(r.unfrozen_gradient);
}

static void check_convolutions(const sq_kernels *k, const sq_kernels *reference) {
  conv_operands o = random_operands();
  const sq_conv *s = &o.s;
  char shape[200];
  snprintf(
      shape, sizeof shape,
      "%dx%dx%dx%d -> %d, kernel %dx%d, stride %d %d, padding %d %d, %d groups, levels to %d and %d", s->batch,
      s->in_height, s->in_width, s->in_channels, s->out_channels, s->kernel_height, s->kernel_width, s->stride_y,
      s->stride_x, s->pad_top, s->pad_left, s->groups, o.max_input, o.max_weight);
  conv_results a = convolve(k, &o), b = convolve(reference, &o);
  close_to("convolution", shape, a.output, b.output, o.outputs, 4e-6);
  close_to("input gradient", shape, a.input_gradient, b.input_gradient, o.inputs, 4e-6);
  close_to("weight gradient", shape, a.weight_gradient, b.weight_gradient, o.weights, 4e-6);
  close_to("weight gradient from levels", shape, a.level_gradient, b.level_gradient, o.weights, 4e-6);
  close_to("sparse weight gradient", shape, a.sparse_gradient, b.sparse_gradient, o.weights, 4e-6);
  close_to("sparse gradient from floats", shape, a.sparse_float_gradient, b.sparse_float_gradient, o.weights, 4e-6);
  if (a.integer_gradients && b.integer_gradients) {
    equal("integer weight gradient", shape, a.integer_gradient, b.integer_gradient, o.weights * sizeof(float));
    equal("unfrozen integer gradient", shape, a.unfrozen_gradient, b.unfrozen_gradient, o.weights * sizeof(float));
  }
  if (a.integers && b.integers) {
    equal("integer convolution", shape, a.sums, b.sums, o.outputs * sizeof(int32_t));
    const int64_t largest = (int64_t)s->kernel_height * s->kernel_width * (s->in_channels / s->groups) * o.max_input;
    if (largest * o.max_weight <= INT16_MAX)
      equal("sums of 16 bits", shape, a.shorts, b.shorts, o.outputs * sizeof(int16_t));
    equal("scaled integer convolution", shape, a.scaled, b.scaled, o.outputs * sizeof(float));
    double size = 0;
    for (size_t i = 0; i < o.outputs; i++) size += fabs((double)b.scaled[i]);
    sums_close("statistics of integers", shape, a.statistics, b.statistics, 2 * (size_t)s->out_channels, size);
  }
  free_results(a), free_results(b);
  free(o.input), free(o.gradient), free(o.weight), free(o.levels), free(o.frozen), free(o.weight_levels);
}

// MARK: - Element by element

static void check_normalization(const sq_kernels *k, const sq_kernels *reference) {
  const int32_t channels = 1 + (int32_t)draw(70), rows = 1 + (int32_t)draw(30);
  const size_t count = (size_t)(rows * channels);
  float *input = floats(count), *scale = floats((size_t)channels), *shift = floats((size_t)channels);
  float *residual = floats(count), *g[2] = {floats(count), floats(count)}, *output[2], *gradient[2], *affine[2];
  uint8_t *levels[2];
  double *sums[2], *channel_sums[2], range_sums[2][4] = {{0}}, ranges[2][3];
  char shape[60];
  snprintf(shape, sizeof shape, "%d rows of %d channels", rows, channels);
  for (int i = 0; i < 2; i++) {
    const sq_normalization_kernels *n = i ? &reference->normalization : &k->normalization;
    output[i] = floats(count), gradient[i] = floats(count), affine[i] = floats(count), levels[i] = memory(count);
    sums[i] = memory(sizeof(double) * 2 * (size_t)channels);
    channel_sums[i] = memory(sizeof(double) * 2 * (size_t)channels);
    memset(channel_sums[i], 0, sizeof(double) * 2 * (size_t)channels);
    const sq_normalize forward = {
        .channels = channels,
        .relu = 1,
        .input = {.floats = input},
        .scale = scale,
        .shift = shift,
        .residual = residual,
        .output = output[i],
        .quantized_count = 1,
        .quantized = {{.lower = -0.5f, .inverse_step = 4, .levels = 15, .output = levels[i]}}};
    n->normalize(&forward, 0, rows);
    const sq_normalize_backward backward = {
        .channels = channels,
        .relu = 1,
        .input = {.floats = input},
        .scale = scale,
        .shift = shift,
        .output = output[i],
        .gradient = {g[0], NULL, NULL},
        .quantized_count = 1,
        .quantized = {{.lower = -0.5f, .inverse_step = 4, .levels = 15, .gradient_scale = 0.5f, .gradient = g[1]}},
        .pre_gradient = gradient[i]};
    n->normalize_backward(&backward, 0, rows, channel_sums[i], range_sums[i]);
    n->channel_affine(input, (sq_channels){.floats = g[0]}, scale, shift, residual, affine[i], channels, 0, rows);
    n->statistics(input, channels, 0, rows, sums[i]);
    n->range_statistics(input, 0, (int64_t)count, ranges[i]);
  }
  equal("normalized values", shape, output[0], output[1], count * sizeof(float));
  equal("levels", shape, levels[0], levels[1], count);
  equal("gradient through batch norm", shape, gradient[0], gradient[1], count * sizeof(float));
  equal("affine combination", shape, affine[0], affine[1], count * sizeof(float));
  sums_close("channel statistics", shape, sums[0], sums[1], 2 * (size_t)channels, 4.0 * rows);
  sums_close("channel sums", shape, channel_sums[0], channel_sums[1], 2 * (size_t)channels, 8.0 * rows);
  sums_close("range sums", shape, range_sums[0], range_sums[1], 2, 8.0 * (double)count);
  sums_close("range statistics", shape, ranges[0], ranges[1], 3, 4.0 * (double)count);
  free(input), free(scale), free(shift), free(residual);
  for (int i = 0; i < 2; i++)
    free(g[i]), free(output[i]), free(gradient[i]), free(affine[i]), free(levels[i]), free(sums[i]),
        free(channel_sums[i]);
}

static void check_weights(const sq_kernels *k, const sq_kernels *reference) {
  const size_t count = 1 + draw(900);
  const sq_weight_quantizer quantizer = {
      .offset = 0, .inverse_step = 4, .lowest = -4, .highest = 3, .multiplier = 1, .value_scale = 0.25f};
  float *weights = floats(count), *value_gradient = floats(count);
  float *values[2], *gradients[2], *trained[2], *velocity[2];
  int8_t *levels[2];
  uint8_t *frozen = memory(count);
  double sums[2][2];
  char detail[40];
  snprintf(detail, sizeof detail, "%zu weights", count);
  for (size_t i = 0; i < count; i++) frozen[i] = draw(2) == 0;
  for (int i = 0; i < 2; i++) {
    const sq_quantization_kernels *q = i ? &reference->quantization : &k->quantization;
    values[i] = floats(count), gradients[i] = floats(count), levels[i] = memory(count);
    trained[i] = memory(count * sizeof(float)), velocity[i] = memory(count * sizeof(float));
    memcpy(trained[i], weights, count * sizeof(float));
    memset(velocity[i], 0, count * sizeof(float));
    q->quantize_weights(&quantizer, weights, (int64_t)count, values[i], levels[i]);
    q->straight_through_weights(
        &quantizer, weights, value_gradient, 0.5f, frozen, 1, (int64_t)count, gradients[i], sums[i]);
    q->sgd(trained[i], gradients[i], velocity[i], frozen, (int64_t)count, 0.25f, 0.5f, 0.125f);
  }
  equal("quantized weights", detail, values[0], values[1], count * sizeof(float));
  equal("weights' levels", detail, levels[0], levels[1], count);
  equal("straight-through gradient", detail, gradients[0], gradients[1], count * sizeof(float));
  equal("trained weights", detail, trained[0], trained[1], count * sizeof(float));
  sums_close("straight-through sums", detail, sums[0], sums[1], 2, 4.0 * (double)count);
  free(weights), free(value_gradient), free(frozen);
  for (int i = 0; i < 2; i++) free(values[i]), free(gradients[i]), free(levels[i]), free(trained[i]), free(velocity[i]);
}

/// Three forward passes of freezing, the weights moving in between.
static void check_freezing(const sq_kernels *k, const sq_kernels *reference) {
  const size_t count = 1 + draw(900);
  const sq_weight_quantizer quantizer = {
      .offset = 0, .inverse_step = 4, .lowest = -4, .highest = 3, .multiplier = 1, .value_scale = 0.25f};
  const sq_freezing_step step = {
      .ema = 0.5f,
      .reset_distance = 1,
      .distance_scale = 0.5f,
      .freeze_threshold = (float)draw(9) / 32,
      .mode = (int32_t)draw(3),
      .freeze_unchanged = (int32_t)draw(3)};
  enum { passes = 3 };
  float *weights[passes], *distance[2], *history_distance[2], *freezing_distance[2];
  int32_t *settling[2], *changes[2], *freezing_step[2];
  int16_t *previous[2], *freezing_index[2];
  uint8_t *frozen[2];
  int64_t counts[2] = {0}, moves[2] = {0};
  char detail[60];
  snprintf(detail, sizeof detail, "%zu weights, mode %d, unchanged %d", count, step.mode, step.freeze_unchanged);
  for (int pass = 0; pass < passes; pass++) weights[pass] = floats(count);
  for (int i = 0; i < 2; i++) {
    const sq_quantization_kernels *q = i ? &reference->quantization : &k->quantization;
    distance[i] = zeros(count * 4), history_distance[i] = zeros(count * 4), freezing_distance[i] = zeros(count * 4);
    settling[i] = zeros(count * 4), changes[i] = zeros(count * 4), freezing_step[i] = zeros(count * 4);
    previous[i] = zeros(count * 2), freezing_index[i] = zeros(count * 2), frozen[i] = zeros(count);
    sq_level_history history = {
        .settling_step = settling[i],
        .level_changes = changes[i],
        .distance = history_distance[i],
        .freezing_step = freezing_step[i],
        .freezing_index = freezing_index[i],
        .freezing_distance = freezing_distance[i]};
    for (int pass = 0; pass < passes; pass++) {
      history.number = pass + 1;
      counts[i] += q->update_freezing(
          &quantizer, &step, weights[pass], (int64_t)count, distance[i], previous[i], frozen[i], &history, &moves[i]);
    }
  }
  equal("frozen weights", detail, frozen[0], frozen[1], count);
  equal("numbers of frozen weights", detail, &counts[0], &counts[1], sizeof counts[0]);
  equal("moves of frozen weights", detail, &moves[0], &moves[1], sizeof moves[0]);
  equal("mean distances", detail, distance[0], distance[1], count * 4);
  equal("indices", detail, previous[0], previous[1], count * 2);
  equal("distances", detail, history_distance[0], history_distance[1], count * 4);
  equal("settling", detail, settling[0], settling[1], count * 4);
  equal("level changes", detail, changes[0], changes[1], count * 4);
  equal("freezing steps", detail, freezing_step[0], freezing_step[1], count * 4);
  equal("freezing indices", detail, freezing_index[0], freezing_index[1], count * 2);
  equal("freezing distances", detail, freezing_distance[0], freezing_distance[1], count * 4);
  for (int pass = 0; pass < passes; pass++) free(weights[pass]);
  for (int i = 0; i < 2; i++)
    free(distance[i]), free(history_distance[i]), free(freezing_distance[i]), free(settling[i]), free(changes[i]),
        free(freezing_step[i]), free(previous[i]), free(freezing_index[i]), free(frozen[i]);
}

static void check_shortcut(const sq_kernels *k, const sq_kernels *reference) {
  const int32_t size = 2 + (int32_t)draw(9), stride = 1 + (int32_t)draw(2), channels = 1 + (int32_t)draw(40);
  const sq_conv s = {
      .batch = 2,
      .in_height = size,
      .in_width = size + 1,
      .in_channels = channels,
      .out_height = (size + stride - 1) / stride,
      .out_width = (size + stride) / stride,
      .out_channels = channels + (int32_t)draw(40),
      .kernel_height = 1,
      .kernel_width = 1,
      .stride_y = stride,
      .stride_x = stride,
      .groups = 1};
  const size_t inputs = (size_t)(s.batch * s.in_height * s.in_width * s.in_channels);
  const size_t outputs = (size_t)(s.batch * s.out_height * s.out_width * s.out_channels);
  float *input = floats(inputs), *gradient = floats(outputs), *output[2], *back[2];
  char shape[80];
  snprintf(shape, sizeof shape, "%dx%dx%d -> %d, stride %d", size, size + 1, channels, s.out_channels, stride);
  for (int i = 0; i < 2; i++) {
    const sq_pooling_kernels *p = i ? &reference->pooling : &k->pooling;
    output[i] = floats(outputs), back[i] = floats(inputs);
    p->pad_shortcut_forward(&s, input, output[i], 0, s.batch);
    p->pad_shortcut_backward(&s, gradient, back[i], 0, s.batch);
  }
  equal("shortcut", shape, output[0], output[1], outputs * sizeof(float));
  equal("gradient through the shortcut", shape, back[0], back[1], inputs * sizeof(float));
  free(input), free(gradient);
  for (int i = 0; i < 2; i++) free(output[i]), free(back[i]);
}

static void check_pooling(const sq_kernels *k, const sq_kernels *reference) {
  sq_conv s = {.batch = 2, .in_height = 4 + (int32_t)draw(6), .in_width = 4 + (int32_t)draw(6), .groups = 1};
  s.in_channels = s.out_channels = 1 + (int32_t)draw(40);
  s.kernel_height = s.kernel_width = 2 + (int32_t)draw(2);
  s.stride_y = s.stride_x = 2;
  s.pad_top = s.pad_left = s.kernel_width - 2;
  s.out_height = (s.in_height + 2 * s.pad_top - s.kernel_height) / 2 + 1;
  s.out_width = (s.in_width + 2 * s.pad_left - s.kernel_width) / 2 + 1;
  const size_t inputs = (size_t)(s.batch * s.in_height * s.in_width * s.in_channels);
  const size_t outputs = (size_t)(s.batch * s.out_height * s.out_width * s.out_channels);
  float *input = floats(inputs), *gradient = floats(outputs), *maxima[2], *means[2], *back[2][2];
  uint8_t *winners[2];
  char shape[60];
  snprintf(shape, sizeof shape, "%dx%dx%d, window %d", s.in_height, s.in_width, s.in_channels, s.kernel_width);
  for (int i = 0; i < 2; i++) {
    const sq_pooling_kernels *p = i ? &reference->pooling : &k->pooling;
    maxima[i] = floats(outputs), means[i] = floats(outputs), winners[i] = memory(outputs);
    back[i][0] = floats(inputs), back[i][1] = floats(inputs);
    p->max_forward(&s, input, maxima[i], winners[i], 0, s.batch);
    p->max_backward(&s, gradient, winners[i], back[i][0], 0, s.batch);
    p->average_forward(&s, input, means[i], 0, s.batch);
    p->average_backward(&s, gradient, back[i][1], 0, s.batch);
  }
  equal("maxima", shape, maxima[0], maxima[1], outputs * sizeof(float));
  equal("places of maxima", shape, winners[0], winners[1], outputs);
  equal("gradient through maxima", shape, back[0][0], back[1][0], inputs * sizeof(float));
  close_to("means", shape, means[0], means[1], outputs, 1e-6);
  close_to("gradient through means", shape, back[0][1], back[1][1], inputs, 1e-6);
  free(input), free(gradient);
  for (int i = 0; i < 2; i++) free(maxima[i]), free(means[i]), free(winners[i]), free(back[i][0]), free(back[i][1]);
}

int main(int argc, char **argv) {
  const int rounds = argc > 1 ? atoi(argv[1]) : 200;
  const sq_kernels *reference = sq_kernels_for(SQ_ISA_REFERENCE);
  for (int isa = SQ_ISA_PORTABLE; isa <= SQ_ISA_NEON; isa++) {
    const sq_kernels *k = sq_kernels_for((sq_isa)isa);
    if (!k) continue;
    instruction_set = k->name;
    for (int round = 0; round < rounds && failures < 20; round++) {
      state = (uint64_t)round;
      check_convolutions(k, reference);
      check_normalization(k, reference);
      check_weights(k, reference);
      check_freezing(k, reference);
      check_shortcut(k, reference);
      check_pooling(k, reference);
    }
    printf("%s: %d checks in %d rounds, %d failures\n", k->name, checks, rounds, failures);
  }
  return failures > 0;
}
