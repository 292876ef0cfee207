#ifndef SQ_FIXED_POINT_H
#define SQ_FIXED_POINT_H

// An output gradient as 16-bit fixed point, with a unit for each channel of a piece
// (include/integer_weight_gradient.h).

#include "../target/arithmetic.h"
#include "../target/vector.h"

enum { fixed_point_most = INT16_MAX };

/// Products of two 16-bit operands, each up to these magnitudes, that a 32-bit sum holds.
SQ_INLINE int64_t products_that_fit(int32_t max_input) {
  return INT32_MAX / ((int64_t)fixed_point_most * larger(1, max_input));
}

/// The unit of a channel whose largest magnitude has these bits, and how many units make 1.
SQ_INLINE void find_unit(int32_t magnitude_bits, float *unit, float *units) {
  union {
    int32_t bits;
    float number;
  } magnitude = {magnitude_bits};
  *units = 0;
  if (magnitude_bits >= 0x7f800000) {
    *unit = __builtin_nanf("");
  } else if (magnitude.number < 0x1p-100f) {
    *unit = 0;
  } else {
    *unit = magnitude.number / fixed_point_most;
    *units = fixed_point_most / magnitude.number;
  }
}

/// A float's bits.
typedef int32_t float_bits __attribute__((may_alias));

/// The largest magnitude of each channel over `rows` rows, as bits: numbers that are not finite are the largest.
SQ_INLINE void largest_magnitudes(const float *gradient, int32_t channels, int64_t rows, float_bits *largest) {
  enum { side = 4 };  // vectors of a cache line or more, so that each is read once
  int32_t c = 0;
  for (; c < channels; c += side * SQ_LANES) {
    const int32_t vectors = smaller(side, divide_up(channels - c, SQ_LANES));
    sq_int_vector most[side] = {};
    const float *row = gradient + c;
    // The last vector reads past its row: into the next one or the padding, and what it finds is not kept.
    if (vectors == side)
      for (int64_t r = 0; r < rows; r++, row += channels)
        UNROLLED_FOR (int v = 0; v < side; v++) {
          const sq_int_vector bits = (sq_int_vector)sq_load(row + v * SQ_LANES) & 0x7fffffff;
          most[v] = __builtin_elementwise_max(most[v], bits);
        }
    else
      for (int32_t v = 0; v < vectors; v++, row = gradient + c + v * SQ_LANES)
        for (int64_t r = 0; r < rows; r++, row += channels) {
          const sq_int_vector bits = (sq_int_vector)sq_load(row) & 0x7fffffff;
          most[v] = __builtin_elementwise_max(most[v], bits);
        }
    for (int32_t v = 0; v < vectors; v++)
      for (int32_t lane = 0; lane < SQ_LANES && c + v * SQ_LANES + lane < channels; lane++)
        largest[c + v * SQ_LANES + lane] = most[v][lane];
  }
}

/// units[] of a piece's channels in scratch: their sizes and their inverses, in whole vectors.
SQ_INLINE void find_units(const float *gradient, int32_t channels, int64_t rows, float *unit, float *units) {
  float_bits *largest = (float_bits *)unit;
  largest_magnitudes(gradient, channels, rows, largest);
  for (int32_t c = 0; c < channels; c++) find_unit(largest[c], unit + c, units + c);
}

/// A number of units below 2^15 in the low half of each lane, rounded; what the upper half holds is not said.
SQ_INLINE sq_int_vector rounded_units(sq_float_vector gradient, sq_float_vector units) {
  const sq_float_vector scaled = gradient * units;
  return (sq_int_vector)(scaled + 0x1.8p23f);
}

/// One of them.
SQ_INLINE int16_t rounded_unit(float gradient, float units) {
  const float scaled = gradient * units;
  union {
    float number;
    int32_t bits;
  } sum = {scaled + 0x1.8p23f};
  return (int16_t)sum.bits;
}

#endif
