#ifndef SQ_INTEGER_WEIGHT_GRADIENT_KERNELS_H
#define SQ_INTEGER_WEIGHT_GRADIENT_KERNELS_H

// The dense weight gradient in integers. Two images are worked on as one whose pixels are words: 16-bit integers of the
// one and the other, whose products processors add in pairs. So the walk is weight_gradient.h's, over half as many
// images; an odd one's partner is zeros. An image alone is worked on as two, its upper and its lower half.

#include "../include/integer_weight_gradient.h"
#include "../target/arithmetic.h"
#include "../target/padded_images.h"
#include "../target/vector.h"
#include "fixed_point.h"
#include "weight_gradient.h"

// Tiles that leave registers for the operands and, without an instruction that adds, for the products. A vector holds a
// block of broadcast operands.
#if SQ_LANES >= 16
#define INTEGER_BROADCASTS 8
#define INTEGER_VECTORS 3
#elif SQ_LANES >= 8
#define INTEGER_BROADCASTS 6
#define INTEGER_VECTORS 2
#else
#define INTEGER_BROADCASTS 4
#define INTEGER_VECTORS 2
#endif

/// sum + the sums of two neighbouring products of 16-bit integers.
SQ_INLINE sq_int_vector add_pair_products(sq_int_vector sum, sq_int_vector a, sq_int_vector b) {
#if SQ_TARGET == SQ_TARGET_AVX512
  // Not the intrinsic: compilers make two instructions of it for a shorter latency, which many sums hide anyway.
  __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  return sum;
#else
  return sum + sq_multiply_pairs(a, b);
#endif
}

SQ_INLINE sq_int_vector load_words(const float *p) { return *(const sq_int_vector_unaligned *)p; }

SQ_INLINE sq_int_vector splat_word(const float *p) {
  typedef int32_t word __attribute__((may_alias));
  return *(const word *)p + (sq_int_vector){};
}

SQ_INLINE void add_integer_tile(const gradient_tile *t, const int broadcasts, const int vectors) {
  sq_int_vector sum[INTEGER_BROADCASTS][INTEGER_VECTORS];
  UNROLLED_FOR (int i = 0; i < broadcasts; i++)
    UNROLLED_FOR (int v = 0; v < vectors; v++) sum[i][v] = (sq_int_vector){};
  const float *gradient = t->by_step, *words = t->by_offset;
  const int32_t *offsets = t->offsets, *end = offsets + t->pixels;
  for (int i = 0; i < broadcasts * vectors * SQ_LANES; i += 16) __builtin_prefetch(t->sums + i, 1);
#pragma clang loop unroll_count(2)
  for (; offsets < end; offsets++, gradient += broadcasts) {
    sq_int_vector w[INTEGER_VECTORS];
    UNROLLED_FOR (int v = 0; v < vectors; v++) w[v] = load_words(words + *offsets + v * SQ_LANES);
    UNROLLED_FOR (int i = 0; i < broadcasts; i++) {
      const sq_int_vector g = splat_word(gradient + i);
      UNROLLED_FOR (int v = 0; v < vectors; v++) sum[i][v] = add_pair_products(sum[i][v], g, w[v]);
    }
  }
  float *to = t->sums;
  UNROLLED_FOR (int i = 0; i < broadcasts; i++)
    UNROLLED_FOR (int v = 0; v < vectors; v++, to += SQ_LANES)
      *(sq_int_vector_unaligned *)to = load_words(to) + sum[i][v];
}

SQ_INLINE void add_integer_tiles(const gradient_tile *t, int broadcasts, const int vectors) {
#define TILE_CASE(count) \
  case count: add_integer_tile(t, count, vectors); break;
  switch (broadcasts) {
    TILE_CASE(1)
    TILE_CASE(2)
    TILE_CASE(3)
    TILE_CASE(4)
#if INTEGER_BROADCASTS > 4
    TILE_CASE(5)
    TILE_CASE(6)
#endif
#if INTEGER_BROADCASTS > 6
    TILE_CASE(7)
    TILE_CASE(8)
#endif
  }
#undef TILE_CASE
}

static __attribute__((noinline)) void add_integer_tiles_1(const gradient_tile *t, int broadcasts) {
  add_integer_tiles(t, broadcasts, 1);
}
static __attribute__((noinline)) void add_integer_tiles_2(const gradient_tile *t, int broadcasts) {
  add_integer_tiles(t, broadcasts, 2);
}
#if INTEGER_VECTORS > 2
static __attribute__((noinline)) void add_integer_tiles_3(const gradient_tile *t, int broadcasts) {
  add_integer_tiles(t, broadcasts, 3);
}
#endif

/// For 1, 2, ... vectors.
static const gradient_tile_kernel integer_tiles[INTEGER_VECTORS] = {
    add_integer_tiles_1,
    add_integer_tiles_2,
#if INTEGER_VECTORS > 2
    add_integer_tiles_3,
#endif
};

/// `units` and `inverse_units`: find_units; `totals`: sums that 32 bits might not have held.
typedef struct integer_gradient_plan {
  gradient_plan walk;  // over pairs of images, or of an image's halves
  int32_t half;        // the output's rows in its upper half, which may have one more; 0: pairs are of images
  int64_t most_pairs;  // of pixels, that a 32-bit sum holds
  size_t units, inverse_units, totals, bytes;
} integer_gradient_plan;

/// For calls of up to `images` images.
static integer_gradient_plan plan_integer_gradient(const sq_conv *s, int32_t max_input, int32_t images) {
  integer_gradient_plan p = {.most_pairs = products_that_fit(max_input) / 2};
  sq_conv part = *s;
  if (images == 1 && s->out_height > 1) part.out_height = p.half = divide_up(s->out_height, 2);
  gradient_plan *walk = &p.walk;
  walk->images = forward_images(&part);
  walk->images.direct = 0;
  walk->run = walk->lanes = s->kernel_width * s->in_channels;
  walk->broadcasts = s->out_channels;
  walk->strip = strip_of(part.out_height, s->out_width, GRADIENT_STRIP_PIXELS);
  walk->strip.images = p.half ? 1 : smaller(walk->strip.images, divide_up(larger(1, s->batch), 2));
  walk->most_vectors = INTEGER_VECTORS;
  walk->most_broadcasts = INTEGER_BROADCASTS;
  walk->tiles = integer_tiles;
  lay_out_gradient(walk, s);

  const size_t channels = sizeof(float) * round_up(s->out_channels, SQ_LANES);
  const int64_t pixels = (int64_t)part.out_height * s->out_width;
  p.bytes = walk->bytes;
  p.units = take(&p.bytes, channels);
  p.inverse_units = take(&p.bytes, channels);
  p.totals = take(&p.bytes, divide_up(images, 2) * pixels > p.most_pairs ? 2 * walk->sums_bytes : 0);
  return p;
}

/// Interleaves the levels of two images, of which the second begins `shift` rows below its start, into a padded one;
/// what is outside of either stays as it is, zeros. Without a second one its halves are zeros.
static void copy_image_pair(
    const padded_images *p, const uint8_t *one, const uint8_t *other, int32_t shift, float *destination) {
  const int32_t first_column = larger(0, -p->left), end_column = smaller(p->source_width, p->width - p->left);
  const int32_t length = (end_column - first_column) * p->channels;
  for (int32_t row = -p->top; row < p->height - p->top && length > 0; row++) {
    uint32_t *to =
        (uint32_t *)destination + (row + p->top) * row_floats(p) + (ptrdiff_t)(first_column + p->left) * p->channels;
    const ptrdiff_t from = ((ptrdiff_t)row * p->source_width + first_column) * p->channels;
    const ptrdiff_t below = (ptrdiff_t)shift * p->source_width * p->channels;
    const uint8_t *low = row >= 0 && row < p->source_height ? one + from : NULL;
    const uint8_t *high = other && row + shift >= 0 && row + shift < p->source_height ? other + from + below : NULL;
    if (low && high)
      ELEMENTWISE_FOR (int32_t i = 0; i < length; i++) to[i] = low[i] | (uint32_t)high[i] << 16;
    else if (low)
      ELEMENTWISE_FOR (int32_t i = 0; i < length; i++) to[i] = low[i];
    else if (high)
      ELEMENTWISE_FOR (int32_t i = 0; i < length; i++) to[i] = (uint32_t)high[i] << 16;
  }
}

/// The output gradient of a strip: from `first` on, `pairs` times `pixels` pixels of one and, `other` floats after it,
/// of another image.
typedef struct gradient_strip {
  const float *first;
  ptrdiff_t other;
  int32_t channels, pairs, pixels;
  int32_t partners;  // pixels of the last pair that the other image has
} gradient_strip;

/// Channels [start, start + SQ_LANES) of a pixel of two images as words; of the second one zeros where it is NULL.
SQ_INLINE sq_int_vector gradient_words(const float *one, const float *other, sq_float_vector units) {
  const sq_int_vector low = rounded_units(sq_load(one), units) & 0xffff;
  return other ? low | rounded_units(sq_load(other), units) << 16 : low;
}

/// Packs a strip as words: [block of at most INTEGER_BROADCASTS channels][pair][pixel][block's channels].
static void pack_gradient_words(const gradient_strip *strip, const float *units, float *packed) {
  const int32_t channels = strip->channels, blocks = divide_up(channels, INTEGER_BROADCASTS);
  for (int32_t block = 0; block < blocks; block++) {
    const int32_t start = piece_start(channels, INTEGER_BROADCASTS, block);
    const int32_t width = piece_start(channels, INTEGER_BROADCASTS, block + 1) - start;
    const sq_float_vector scale = sq_load(units + start);
#if SQ_LANES == 2 * INTEGER_BROADCASTS
    // Two blocks of a vector's halves.
    const int32_t both = channels % SQ_LANES == 0;
    const ptrdiff_t next = (ptrdiff_t)strip->pairs * strip->pixels * INTEGER_BROADCASTS;
#endif
    for (int32_t pair = 0; pair < strip->pairs; pair++) {
      const float *one = strip->first + 2 * pair * strip->other + start, *other = one + strip->other;
      const int32_t partners = pair == strip->pairs - 1 ? strip->partners : strip->pixels;
#if SQ_LANES == 2 * INTEGER_BROADCASTS
      if (both) {
        typedef int32_t half __attribute__((vector_size(4 * INTEGER_BROADCASTS), aligned(4), may_alias));
        for (int32_t i = 0; i < strip->pixels; i++, one += channels, other += channels, packed += width) {
          const sq_int_vector words = gradient_words(one, i < partners ? other : NULL, scale);
          *(half *)packed = __builtin_shufflevector(words, words, 0, 1, 2, 3, 4, 5, 6, 7);
          *(half *)(packed + next) = __builtin_shufflevector(words, words, 8, 9, 10, 11, 12, 13, 14, 15);
        }
        continue;
      }
#endif
      // A vector reaches into words that are written after it, or past the end.
      for (int32_t i = 0; i < strip->pixels; i++, one += channels, other += channels, packed += width)
        *(sq_int_vector_unaligned *)packed = gradient_words(one, i < partners ? other : NULL, scale);
    }
#if SQ_LANES == 2 * INTEGER_BROADCASTS
    if (both) packed += next, block++;
#endif
  }
}

/// Moves 32-bit sums to 64-bit ones.
static void spill_sums(const gradient_plan *p, int32_t *sums, int64_t *totals) {
  const size_t count = p->sums_bytes / sizeof(int32_t);
  ELEMENTWISE_FOR (size_t i = 0; i < count; i++) totals[i] += sums[i];
  memset(sums, 0, p->sums_bytes);
}

/// The sums, in the order of add_strip, as weights O,KH,KW,I: from whichever of the two is not NULL.
static void write_integer_gradient(
    const gradient_plan *p, const sq_conv *s, const int32_t *sums, const int64_t *totals, const float *units,
    float *weight_gradient) {
  const ptrdiff_t filter = (ptrdiff_t)s->kernel_height * p->run;
  const int32_t vectors = divide_up(p->lanes, SQ_LANES), columns = divide_up(vectors, p->most_vectors);
  size_t at = 0;
  for (int32_t ky = 0; ky < s->kernel_height; ky++)
    for (int32_t column = 0; column < columns; column++) {
      const int32_t first = SQ_LANES * piece_start(vectors, p->most_vectors, column);
      const int32_t width = SQ_LANES * piece_start(vectors, p->most_vectors, column + 1) - first;
      const int32_t present = smaller(width, p->lanes - first);
      for (int32_t o = 0; o < s->out_channels; o++, at += width) {
        float *to = weight_gradient + o * filter + ky * p->run + first;
        const float unit = units[o];
        if (totals)
          for (int32_t i = 0; i < present; i++) to[i] = (float)totals[at + i] * unit;
        else
          ELEMENTWISE_FOR (int32_t i = 0; i < present; i++) to[i] = (float)sums[at + i] * unit;
      }
    }
}

// MARK: - The family's kernels

static int integer_gradient_supports(const sq_conv *s, int32_t max_input) {
  return s->groups == 1 && max_input >= 0 && max_input <= 255;
}

static void integer_gradient_backward_weight(
    const sq_conv *s, const uint8_t *input, int32_t max_input, const float *output_gradient, float *weight_gradient,
    int32_t first, int32_t count, void *scratch) {
  const integer_gradient_plan p = plan_integer_gradient(s, max_input, count);
  const gradient_plan *walk = &p.walk;
  char *base = scratch;
  float *copies = (float *)(base + walk->copies);
  float *unit = (float *)(base + p.units), *units = (float *)(base + p.inverse_units);
  int32_t *sums = (int32_t *)(base + walk->sums);
  int64_t *totals = NULL;
  const ptrdiff_t row = row_floats(&walk->images), image = image_floats(&walk->images);
  const ptrdiff_t in_image = (ptrdiff_t)s->in_height * s->in_width * s->in_channels;
  const ptrdiff_t out_row = (ptrdiff_t)s->out_width * s->out_channels, out_image = s->out_height * out_row;
  find_units(
      output_gradient + first * out_image, s->out_channels, (int64_t)count * s->out_height * s->out_width, unit, units);
  memset(sums, 0, walk->sums_bytes);
  memset(copies, 0, sizeof(float) * walk->strip.images * image);
  fill_offsets(
      walk->strip, s->out_width, image, s->stride_y * row, (ptrdiff_t)s->stride_x * s->in_channels,
      (int32_t *)(base + walk->offsets));

  int64_t summed = 0;
  const int32_t end = first + count;
  const int32_t rows = p.half ? p.half : s->out_height;
  for (int32_t n = first; n < end; n += 2 * walk->strip.images) {
    const int32_t pairs = smaller(walk->strip.images, divide_up(end - n, 2));
    for (int32_t i = 0; i < pairs; i++) {
      const uint8_t *one = input + (n + 2 * i) * in_image, *next = n + 2 * i + 1 < end ? one + in_image : NULL;
      copy_image_pair(&walk->images, one, p.half ? one : next, p.half * s->stride_y, copies + i * image);
    }
    const int32_t partner_rows = p.half ? s->out_height - p.half : n + 2 * pairs > end ? 0 : rows;
    for (int32_t y = 0; y < rows; y += walk->strip.rows) {
      const int32_t pixels = smaller(walk->strip.rows, rows - y) * s->out_width;
      // A row may be wider than what sums hold; several at a time are not.
      const int32_t most = smaller(pixels, (int32_t)p.most_pairs);
      for (int32_t x = 0; x < pixels; x += most) {
        const gradient_strip strip = {
            .first = output_gradient + n * out_image + y * out_row + (ptrdiff_t)x * s->out_channels,
            .other = p.half ? p.half * out_row : out_image,
            .channels = s->out_channels,
            .pairs = pairs,
            .pixels = smaller(most, pixels - x),
            .partners = (partner_rows - y) * s->out_width - x};
        const int32_t all = pairs * strip.pixels;
        if (summed + all > p.most_pairs) {
          if (!totals) totals = memset(base + p.totals, 0, 2 * walk->sums_bytes);
          spill_sums(walk, sums, totals);
          summed = 0;
        }
        summed += all;
        pack_gradient_words(&strip, units, (float *)(base + walk->gradients));
        const ptrdiff_t window = y * s->stride_y * row + (ptrdiff_t)x * s->stride_x * s->in_channels;
        add_strip(walk, s, copies + window, NULL, all, base);
      }
    }
  }
  if (totals) spill_sums(walk, sums, totals);
  write_integer_gradient(walk, s, sums, totals, unit, weight_gradient);
}

#endif
