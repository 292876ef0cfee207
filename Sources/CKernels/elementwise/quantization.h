#ifndef SQ_ELEMENTWISE_QUANTIZATION_H
#define SQ_ELEMENTWISE_QUANTIZATION_H

// The kernels of include/quantization.h.
// Plain loops over consecutive weights; sums and counts run over blocks of BLOCK weights and are then widened.

#include "../include/quantization.h"
#include "../target/arithmetic.h"
#include "../target/vector.h"

enum { BLOCK = 512 };

SQ_INLINE int32_t block_length(int64_t begin, int64_t count) {
  return count - begin < BLOCK ? (int32_t)(count - begin) : BLOCK;
}

SQ_INLINE float weight_position(const sq_weight_quantizer *q, float weight) {
  return (weight - q->offset) * q->inverse_step;
}

/// NaN stays NaN.
SQ_INLINE float index_of(const sq_weight_quantizer *q, float position) {
  position = position < q->lowest ? q->lowest : position;
  position = position > q->highest ? q->highest : position;
  return round_to_even(position);
}

/// NaN becomes 0.
SQ_INLINE int32_t integer(float index) { return index == index ? (int32_t)index : 0; }

static void quantize_weights(
    const sq_weight_quantizer *quantizer, const float *weights, int64_t count, float *values, int8_t *levels) {
  const sq_weight_quantizer q = *quantizer;
  const float multiplier = (float)q.multiplier, addend = (float)q.addend;
  if (values && levels) {
    ELEMENTWISE_FOR (int64_t i = 0; i < count; i++) {
      float index = index_of(&q, weight_position(&q, weights[i]));
      values[i] = multiply_add(multiplier, index, addend) * q.value_scale;
      levels[i] = (int8_t)(q.multiplier * integer(index) + q.addend);
    }
  } else if (values) {
    ELEMENTWISE_FOR (int64_t i = 0; i < count; i++)
      values[i] = multiply_add(multiplier, index_of(&q, weight_position(&q, weights[i])), addend) * q.value_scale;
  } else if (levels) {
    ELEMENTWISE_FOR (int64_t i = 0; i < count; i++)
      levels[i] = (int8_t)(q.multiplier * integer(index_of(&q, weight_position(&q, weights[i]))) + q.addend);
  }
}

/// Weights frozen after one forward pass, those of them that froze in it, and others that changed their index in it.
typedef struct freezing_counts {
  int32_t frozen, froze, moved;
} freezing_counts;

/// The history of a block that begins at weight `begin`.
SQ_INLINE sq_level_history history_from(const sq_level_history *h, int64_t begin) {
  sq_level_history block = *h;
  block.settling_step += begin;
  block.level_changes += begin;
  block.distance += begin;
  block.freezing_step += begin;
  block.freezing_index += begin;
  block.freezing_distance += begin;
  return block;
}

/// One block. `mode` is a constant where this is called.
SQ_INLINE freezing_counts freeze_block(
    const sq_weight_quantizer *quantizer, const sq_freezing_step *step, const float *weights, int32_t count,
    float *distance, int16_t *previous_index, uint8_t *frozen, const sq_level_history *history, int mode) {
  const sq_weight_quantizer q = *quantizer;
  const float ema = step->ema, rest = 1 - ema, scale = step->distance_scale, reset = step->reset_distance;
  const float threshold = step->freeze_threshold >= 0 ? step->freeze_threshold : NAN;  // no distance is <= NaN
  const int32_t number = history->number, compares = number > 1;
  const int32_t unchanged = step->freeze_unchanged > 0 ? step->freeze_unchanged : INT32_MAX;
  int32_t *settling_step = history->settling_step, *level_changes = history->level_changes;
  const int32_t *freezing_step = history->freezing_step;
  float *current_distance = history->distance;
  freezing_counts counts = {0};
  ELEMENTWISE_FOR (int32_t i = 0; i < count; i++) {
    float position = weight_position(&q, weights[i]), nearest = index_of(&q, position);
    float current = fabsf(position - nearest) * scale;
    int16_t index = (int16_t)integer(nearest);
    int32_t moved = index != previous_index[i], changed = moved & compares;
    int32_t settled = changed ? number : settling_step[i];
    int held = frozen[i] != 0, recorded = freezing_step[i] != 0;
    previous_index[i] = index;
    current_distance[i] = current;
    settling_step[i] = settled;
    level_changes[i] += changed;
    counts.moved += moved & recorded;
    if (mode != 0) {
      float averaged = multiply_add(ema, distance[i], rest * current);
      float updated = mode == 1 ? current : moved ? reset : averaged;
      distance[i] = updated;
      held |= updated <= threshold;
      held |= number - (settled == 0 ? 1 : settled) >= unchanged;
      frozen[i] = (uint8_t)held;
    }
    counts.frozen += held;
    counts.froze += held & !recorded;
  }
  return counts;
}

/// For a block in which some weight froze.
static void record_freezing(
    const sq_level_history *history, const uint8_t *frozen, const int16_t *index, int32_t count) {
  for (int32_t i = 0; i < count; i++) {
    if (!frozen[i] || history->freezing_step[i] != 0) continue;
    history->freezing_step[i] = history->number;
    history->freezing_index[i] = index[i];
    history->freezing_distance[i] = history->distance[i];
  }
}

static int64_t update_freezing(
    const sq_weight_quantizer *q, const sq_freezing_step *step, const float *weights, int64_t count, float *distance,
    int16_t *previous_index, uint8_t *frozen, const sq_level_history *history, int64_t *level_moves) {
  int64_t frozen_count = 0, moved_count = 0;
  for (int64_t i = 0; i < count; i += BLOCK) {
    int32_t n = block_length(i, count);
    sq_level_history h = history_from(history, i);
    const float *w = weights + i;
    float *d = distance + i;
    int16_t *index = previous_index + i;
    uint8_t *mask = frozen + i;
    freezing_counts counts = {0};
    switch (step->mode) {
      case 0: counts = freeze_block(q, step, w, n, d, index, mask, &h, 0); break;
      case 1: counts = freeze_block(q, step, w, n, d, index, mask, &h, 1); break;
      default: counts = freeze_block(q, step, w, n, d, index, mask, &h, 2); break;
    }
    if (counts.froze) record_freezing(&h, mask, index, n);
    frozen_count += counts.frozen;
    moved_count += counts.moved;
  }
  if (level_moves) *level_moves += moved_count;
  return frozen_count;
}

/// One block. `masked` is a constant where this is called.
SQ_INLINE void straight_through_block(
    const sq_weight_quantizer *quantizer, const float *weights, const float *value_gradient, float scale,
    const uint8_t *frozen, int skip_frozen, int32_t count, float *weight_gradient, double *sums, int masked) {
  const sq_weight_quantizer q = *quantizer;
  float gradient_sum = 0, moment_sum = 0;
  ELEMENTWISE_FOR (int32_t i = 0; i < count; i++) {
    float weight = weights[i], position = weight_position(&q, weight), gradient = value_gradient[i];
    int outside = (position < q.lowest) | (position > q.highest);  // NaN counts as in range, so that the sums show it
    int held = masked ? frozen[i] != 0 : 0;
    int dropped = outside | (held & skip_frozen);
    gradient_sum = add_in_any_order(gradient_sum, dropped ? 0 : gradient);
    moment_sum = add_in_any_order(moment_sum, dropped ? 0 : gradient * weight);
    weight_gradient[i] = (outside | held) ? 0 : scale * gradient;
  }
  sums[0] += gradient_sum;
  sums[1] += moment_sum;
}

static void straight_through_weights(
    const sq_weight_quantizer *q, const float *weights, const float *value_gradient, float scale, const uint8_t *frozen,
    int32_t skip_frozen, int64_t count, float *weight_gradient, double *sums) {
  sums[0] = sums[1] = 0;
  for (int64_t i = 0; i < count; i += BLOCK) {
    int32_t n = block_length(i, count);
    if (frozen)
      straight_through_block(
          q, weights + i, value_gradient + i, scale, frozen + i, skip_frozen != 0, n, weight_gradient + i, sums, 1);
    else
      straight_through_block(q, weights + i, value_gradient + i, scale, NULL, 0, n, weight_gradient + i, sums, 0);
  }
}

/// `accelerated` and `masked` are constants where this is called.
SQ_INLINE void sgd_loop(
    float *weights, const float *gradient, float *velocity, const uint8_t *frozen, int64_t count, float rate,
    float momentum, float decay, int accelerated, int masked) {
  ELEMENTWISE_FOR (int64_t i = 0; i < count; i++) {
    int held = masked ? frozen[i] != 0 : 0;
    float step = multiply_add(decay, weights[i], gradient[i]);
    if (accelerated) {
      step = multiply_add(momentum, velocity[i], step);
      velocity[i] = held ? velocity[i] : step;
    }
    weights[i] = held ? weights[i] : multiply_add(-rate, step, weights[i]);
  }
}

static void sgd(
    float *weights, const float *gradient, float *velocity, const uint8_t *frozen, int64_t count, float rate,
    float momentum, float decay) {
  if (velocity && frozen)
    sgd_loop(weights, gradient, velocity, frozen, count, rate, momentum, decay, 1, 1);
  else if (velocity)
    sgd_loop(weights, gradient, velocity, NULL, count, rate, momentum, decay, 1, 0);
  else if (frozen)
    sgd_loop(weights, gradient, NULL, frozen, count, rate, momentum, decay, 0, 1);
  else
    sgd_loop(weights, gradient, NULL, NULL, count, rate, momentum, decay, 0, 0);
}

#endif
