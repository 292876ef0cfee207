#ifndef SQ_REFERENCE_QUANTIZATION_H
#define SQ_REFERENCE_QUANTIZATION_H

// The formulas of include/quantization.h as plain loops, one weight at a time, sums in double.

#include <math.h>

#include "../include/quantization.h"

static float position(const sq_weight_quantizer *q, float weight) { return (weight - q->offset) * q->inverse_step; }

/// NaN stays NaN.
static float index_of(const sq_weight_quantizer *q, float position) {
  return rintf(position < q->lowest ? q->lowest : position > q->highest ? q->highest : position);
}

static void quantize_weights(
    const sq_weight_quantizer *q, const float *weights, int64_t count, float *values, int8_t *levels) {
  for (int64_t i = 0; i < count; i++) {
    float index = index_of(q, position(q, weights[i]));
    if (values) values[i] = fmaf((float)q->multiplier, index, (float)q->addend) * q->value_scale;
    if (levels) levels[i] = (int8_t)(q->multiplier * (isnan(index) ? 0 : (int32_t)index) + q->addend);
  }
}

static int64_t update_freezing(
    const sq_weight_quantizer *q, const sq_freezing_step *step, const float *weights, int64_t count, float *distance,
    int16_t *previous_index, uint8_t *frozen, const sq_level_history *history, int64_t *level_moves) {
  int64_t frozen_count = 0;
  for (int64_t i = 0; i < count; i++) {
    float at = position(q, weights[i]), nearest = index_of(q, at);
    float current = fabsf(at - nearest) * step->distance_scale;
    int16_t index = isnan(nearest) ? 0 : (int16_t)nearest;
    int moved = index != previous_index[i];
    previous_index[i] = index;
    history->distance[i] = current;
    if (moved && history->number > 1) {
      history->settling_step[i] = history->number;
      history->level_changes[i] += 1;
    }
    if (level_moves && history->freezing_step[i] != 0 && moved) *level_moves += 1;
    if (step->mode != 0) {
      if (step->mode == 1)
        distance[i] = current;
      else if (moved)
        distance[i] = step->reset_distance;
      else
        distance[i] = fmaf(step->ema, distance[i], (1 - step->ema) * current);
      if (step->freeze_threshold >= 0 && distance[i] <= step->freeze_threshold) frozen[i] = 1;
      // The index of the first pass is compared with none.
      int32_t since = history->settling_step[i] == 0 ? 1 : history->settling_step[i];
      if (step->freeze_unchanged > 0 && history->number - since >= step->freeze_unchanged) frozen[i] = 1;
    }
    if (frozen[i] && history->freezing_step[i] == 0) {
      history->freezing_step[i] = history->number;
      history->freezing_index[i] = index;
      history->freezing_distance[i] = current;
    }
    frozen_count += frozen[i] != 0;
  }
  return frozen_count;
}

static void straight_through_weights(
    const sq_weight_quantizer *q, const float *weights, const float *value_gradient, float scale, const uint8_t *frozen,
    int32_t skip_frozen, int64_t count, float *weight_gradient, double *sums) {
  sums[0] = sums[1] = 0;
  for (int64_t i = 0; i < count; i++) {
    float at = position(q, weights[i]), gradient = value_gradient[i];
    int inside = !(at < q->lowest) && !(at > q->highest);  // NaN counts as in range, so that the sums show it
    int held = frozen && frozen[i];
    if (inside && !(held && skip_frozen)) {
      sums[0] += gradient;
      sums[1] += (double)gradient * weights[i];
    }
    weight_gradient[i] = inside && !held ? scale * gradient : 0;
  }
}

static void sgd(
    float *weights, const float *gradient, float *velocity, const uint8_t *frozen, int64_t count, float rate,
    float momentum, float decay) {
  for (int64_t i = 0; i < count; i++) {
    if (frozen && frozen[i]) continue;
    float step = fmaf(decay, weights[i], gradient[i]);
    if (velocity) step = velocity[i] = fmaf(momentum, velocity[i], step);
    weights[i] = fmaf(-rate, step, weights[i]);
  }
}

#endif
