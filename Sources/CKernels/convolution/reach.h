#ifndef SQ_REACH_H
#define SQ_REACH_H

// The sides of a convolution and the taps that reach a position, for kernels that walk over taps (depthwise.h,
// grouped.h).

#include "../include/convolution.h"
#include "../target/arithmetic.h"
#include "../target/vector.h"

static size_t whole_vectors(int32_t channels) { return round_up_size(channels, SQ_LANES); }

/// One side of a convolution: its images and how its channels fall into groups.
typedef struct side {
  int32_t height, width, channels, group;
} side;

static side input_side(const sq_conv *s) {
  return (side){s->in_height, s->in_width, s->in_channels, s->in_channels / s->groups};
}

static side output_side(const sq_conv *s) {
  return (side){s->out_height, s->out_width, s->out_channels, s->out_channels / s->groups};
}

static size_t side_image(const side *a) { return (size_t)a->height * a->width * a->channels; }

/// The taps that reach a target position along one axis, and from where.
typedef struct axis {
  int32_t taps, stride, pad, source_size;
  int transposed;  // targets are the convolution's inputs
} axis;

/// reach: count, then (tap, source position) pairs.
static void find_reach(const axis *a, int32_t target, int32_t *reach) {
  reach[0] = 0;
  for (int32_t tap = 0; tap < a->taps; tap++) {
    int32_t source = a->transposed ? target + a->pad - tap : target * a->stride + tap - a->pad;
    if (a->transposed) {
      if (source % a->stride != 0) continue;
      source /= a->stride;
    }
    if (source < 0 || source >= a->source_size) continue;
    reach[1 + 2 * reach[0]] = tap;
    reach[2 + 2 * reach[0]] = source;
    reach[0]++;
  }
}

#endif
