#ifndef SQ_QUANTIZATION_H
#define SQ_QUANTIZATION_H

#include <stddef.h>
#include <stdint.h>

/// A weight quantizer on a grid of integers: position = (w - offset) * inverse_step; index = rint(clamp(position,
/// lowest, highest)), half to even; level stored = multiplier * index + addend (fits int8 when `levels` is asked for);
/// value = level * value_scale.
/// Fixed scale (spqat): offset 0, inverse_step 2^(b-1)/(|s|+1e-6), lowest -2^(b-1), highest 2^(b-1)-1, multiplier 1,
/// addend 0, value_scale 2^-(b-1). Learned range (lts), n = 2^b - 1: offset l, inverse_step n/(h-l), lowest 0,
/// highest n, multiplier 2, addend -n, value_scale 1/n.
typedef struct sq_weight_quantizer {
  float offset, inverse_step, lowest, highest;
  int32_t multiplier, addend;
  float value_scale;
} sq_weight_quantizer;

/// State and rule of freezing for one layer's forward pass (see Sources/Quantization/Freezing for the method).
typedef struct sq_freezing_step {
  float ema;                 ///< m
  float reset_distance;      ///< in units of `position`'s grid times distance_scale: what D-bar becomes when the level
                             ///< changed
  float distance_scale;      ///< D = |position before the clamp - index| * distance_scale
  float freeze_threshold;    ///< lambda * u in the units of D; freezes where D-bar <= it; negative: freezes nothing
  int32_t mode;              ///< 0: record indices only; 1: D-bar = D without a reset; 2: the full rule
  int32_t freeze_unchanged;  ///< also freezes, in modes 1 and 2, a weight whose index has been the same in so many
                             ///< comparisons with the pass before; 0: none
} sq_freezing_step;

/// What is recorded of each weight of a layer: buffers of as many elements, zeros at first.
typedef struct sq_level_history {
  int32_t number;            ///< of this forward pass, from 1; in the first no index counts as changed
  int32_t *settling_step;    ///< the last pass whose index differs from the one before; 0: none
  int32_t *level_changes;    ///< how many such passes there were
  float *distance;           ///< D of this pass
  int32_t *freezing_step;    ///< the pass in which the weight froze; 0: none
  int16_t *freezing_index;   ///< its index then
  float *freezing_distance;  ///< its D then
} sq_level_history;

typedef struct sq_quantization_kernels {
  /// Quantizes `count` weights. values (float) and levels (int8) may be NULL.
  void (*quantize_weights)(
      const sq_weight_quantizer *quantizer, const float *weights, int64_t count, float *values, int8_t *levels);
  /// Advances D-bar (`distance`), previous indices and the frozen mask by one forward pass; returns how many weights
  /// are frozen now. Records each weight's part in `history`, where what the mask holds beyond the history counts as
  /// frozen in this pass. level_moves, unless NULL, is increased by the number of already frozen weights whose index
  /// changed.
  int64_t (*update_freezing)(
      const sq_weight_quantizer *quantizer, const sq_freezing_step *step, const float *weights, int64_t count,
      float *distance, int16_t *previous_index, uint8_t *frozen, const sq_level_history *history, int64_t *level_moves);
  /// The straight-through estimator: weight_gradient[i] = scale * value_gradient[i] where lowest <= position <=
  /// highest, else 0; frozen weights (mask may be NULL) get 0. Adds up, over in-range elements (also over frozen ones
  /// unless skip_frozen), sums[0] = sum value_gradient, sums[1] = sum value_gradient * w (overwritten). May work in
  /// place.
  void (*straight_through_weights)(
      const sq_weight_quantizer *quantizer, const float *weights, const float *value_gradient, float scale,
      const uint8_t *frozen, int32_t skip_frozen, int64_t count, float *weight_gradient, double *sums);
  /// SGD with momentum and weight decay as PyTorch has it (no dampening, no Nesterov): g += decay * w;
  /// velocity = momentum * velocity + g (velocity = g on the first step: the caller starts from zeros); w -= rate *
  /// velocity. velocity NULL: no momentum. frozen (may be NULL): those weights and velocities are left as they are.
  void (*sgd)(
      float *weights, const float *gradient, float *velocity, const uint8_t *frozen, int64_t count, float rate,
      float momentum, float decay);
} sq_quantization_kernels;

#endif
