#ifndef SQ_WEIGHT_GRADIENT_H
#define SQ_WEIGHT_GRADIENT_H

// The dense weight gradient: a tile of weights, broadcast operand x vector operand, stays in registers over a strip of
// pixels, and is then added to the sums in scratch. The vectors run along the contiguous run of the input, or along the
// output channels where those fill the lanes better (3 input channels).
// integer_weight_gradient.h walks the same way over words that are pairs of 16-bit integers.

#include "../include/convolution.h"
#include "../target/arithmetic.h"
#include "../target/padded_images.h"
#include "../target/vector.h"
#include "direct.h"

// Tiles that leave registers for the operands and, without a fused multiply-add, for the products: GRADIENT_VECTORS and
// SWAPPED_VECTORS go with them.
#if SQ_REGISTERS >= 32
#define BROADCASTS 8
#define SWAPPED_BROADCASTS 12
#define GRADIENT_VECTORS 3
#elif SQ_LANES == 4
#define BROADCASTS 4
#define SWAPPED_BROADCASTS 4
#define GRADIENT_VECTORS 2
#else
#define BROADCASTS 4
#define SWAPPED_BROADCASTS 6
#define GRADIENT_VECTORS 3
#endif
#define SWAPPED_VECTORS 2

// Pixels of a strip that are to stay in the first-level cache.
#define GRADIENT_STRIP_PIXELS 128

/// Adds a strip's products to one tile of the weight gradient: sums[i][lane] += sum over pixels of broadcast[i] *
/// vector[lane]. The operand read from the input finds its pixels by `offsets`, the other one by `step`.
typedef struct gradient_tile {
  const float *by_step;
  ptrdiff_t step;
  const float *by_offset;
  const int32_t *offsets;
  float *sums;
  int32_t pixels;
} gradient_tile;

SQ_INLINE void add_gradient_tile(const gradient_tile *t, const int broadcasts, const int vectors, const int swapped) {
  sq_float_vector sum[SWAPPED_BROADCASTS][GRADIENT_VECTORS];
  UNROLLED_FOR (int i = 0; i < broadcasts; i++)
    UNROLLED_FOR (int v = 0; v < vectors; v++) sum[i][v] = (sq_float_vector){};
  const float *by_step = t->by_step, *by_offset = t->by_offset;
  const int32_t *offsets = t->offsets, *end = offsets + t->pixels;
  ptrdiff_t step = t->step;
  // The sums of a large layer do not stay in any cache.
  for (int i = 0; i < broadcasts * vectors * SQ_LANES; i += 16) __builtin_prefetch(t->sums + i, 1);
#pragma clang loop unroll_count(2)
  for (; offsets < end; offsets++, by_step += step) {
    const float *vector = swapped ? by_step : by_offset + *offsets;
    const float *broadcast = swapped ? by_offset + *offsets : by_step;
    sq_float_vector w[GRADIENT_VECTORS];
    UNROLLED_FOR (int v = 0; v < vectors; v++) w[v] = sq_load(vector + v * SQ_LANES);
#if SQ_LANES == 4
    sq_float_vector four = {};
#endif
    UNROLLED_FOR (int i = 0; i < broadcasts; i++) {
#if SQ_LANES == 4
      if (i % 4 == 0 && i + 4 <= broadcasts) four = sq_load(broadcast + i);
      sq_float_vector x = i / 4 * 4 + 4 <= broadcasts ? sq_splat_lane(four, i % 4) : sq_splat(broadcast[i]);
#else
      sq_float_vector x = sq_splat(broadcast[i]);
#endif
      UNROLLED_FOR (int v = 0; v < vectors; v++) sum[i][v] += x * w[v];
    }
  }
  float *to = t->sums;
  UNROLLED_FOR (int i = 0; i < broadcasts; i++)
    UNROLLED_FOR (int v = 0; v < vectors; v++, to += SQ_LANES) sq_store(to, sq_load(to) + sum[i][v]);
}

SQ_INLINE void add_gradient_tiles(const gradient_tile *t, int broadcasts, const int vectors, const int swapped) {
  const int most = swapped ? SWAPPED_BROADCASTS : BROADCASTS;
#define TILE_CASE(count)                                              \
  case count:                                                         \
    if (count <= most) add_gradient_tile(t, count, vectors, swapped); \
    break;
  switch (broadcasts) {
    TILE_CASE(1)
    TILE_CASE(2)
    TILE_CASE(3)
    TILE_CASE(4)
    TILE_CASE(5)
    TILE_CASE(6)
#if SWAPPED_BROADCASTS > 6
    TILE_CASE(7)
    TILE_CASE(8)
    TILE_CASE(9)
    TILE_CASE(10)
    TILE_CASE(11)
    TILE_CASE(12)
#endif
  }
#undef TILE_CASE
}

static __attribute__((noinline)) void add_gradient_tiles_1(const gradient_tile *t, int broadcasts) {
  add_gradient_tiles(t, broadcasts, 1, 0);
}
static __attribute__((noinline)) void add_gradient_tiles_2(const gradient_tile *t, int broadcasts) {
  add_gradient_tiles(t, broadcasts, 2, 0);
}
#if GRADIENT_VECTORS > 2
static __attribute__((noinline)) void add_gradient_tiles_3(const gradient_tile *t, int broadcasts) {
  add_gradient_tiles(t, broadcasts, 3, 0);
}
#endif
static __attribute__((noinline)) void add_swapped_tiles_1(const gradient_tile *t, int broadcasts) {
  add_gradient_tiles(t, broadcasts, 1, 1);
}
static __attribute__((noinline)) void add_swapped_tiles_2(const gradient_tile *t, int broadcasts) {
  add_gradient_tiles(t, broadcasts, 2, 1);
}

typedef void (*gradient_tile_kernel)(const gradient_tile *, int broadcasts);

/// For 1, 2, ... vectors, along the run and along the output channels.
static const gradient_tile_kernel gradient_tiles[GRADIENT_VECTORS] = {
    add_gradient_tiles_1,
    add_gradient_tiles_2,
#if GRADIENT_VECTORS > 2
    add_gradient_tiles_3,
#endif
};
static const gradient_tile_kernel swapped_gradient_tiles[SWAPPED_VECTORS] = {add_swapped_tiles_1, add_swapped_tiles_2};

/// Cuts `size` into pieces of at most `most` that differ by at most one; the start of piece `i`.
static int32_t piece_start(int32_t size, int32_t most, int32_t i) {
  int32_t pieces = divide_up(size, most);
  return (int32_t)((int64_t)size * i / pieces);
}

/// Which operand runs along the lanes and how it is cut into tiles of whole vectors.
typedef struct gradient_plan {
  padded_images images;
  strip strip;
  int32_t run;         // floats of a kernel row
  int32_t swapped;     // lanes are output channels
  int32_t lanes;       // the lane operand's size: the run or the output channels
  int32_t broadcasts;  // the other operand's
  int32_t most_vectors, most_broadcasts;
  const gradient_tile_kernel *tiles;
  int32_t panels;  // the lane operand is copied into a panel for each column of tiles
  size_t copies, offsets, panel_offsets, panel, gradients, sums, sums_bytes, bytes;
} gradient_plan;

static void lay_out_gradient(gradient_plan *p, const sq_conv *s) {
  const size_t pixels = (size_t)p->strip.images * p->strip.rows * s->out_width;
  p->panels = !p->swapped && s->stride_x * s->in_channels >= 64 && s->out_channels >= 4 * p->most_broadcasts;
  p->copies = take(&p->bytes, p->images.direct ? 0 : sizeof(float) * p->strip.images * image_floats(&p->images));
  p->offsets = take(&p->bytes, sizeof(int32_t) * pixels);
  p->panel_offsets = take(&p->bytes, sizeof(int32_t) * pixels);
  p->panel = take(&p->bytes, p->panels ? sizeof(float) * pixels * p->most_vectors * SQ_LANES : 0);
  p->gradients = take(&p->bytes, p->swapped ? 0 : sizeof(float) * pixels * s->out_channels);
  p->sums_bytes = sizeof(float) * s->kernel_height * round_up(p->lanes, SQ_LANES) * p->broadcasts;
  p->sums = take(&p->bytes, p->sums_bytes);
}

static gradient_plan plan_gradient(const sq_conv *s, int bytes) {
  gradient_plan p = {.images = forward_images(s), .run = s->kernel_width * s->in_channels};
  if (bytes) p.images.direct = 0;
  p.strip = strip_of(s->out_height, s->out_width, GRADIENT_STRIP_PIXELS);
  p.strip.images = smaller(p.strip.images, larger(1, s->batch));

  // Lanes along the run unless that leaves more of them idle.
  int64_t along_run = (int64_t)round_up(p.run, SQ_LANES) * s->out_channels;
  int64_t along_outputs = (int64_t)round_up(s->out_channels, SQ_LANES) * p.run;
  p.swapped = along_outputs < along_run;
  p.lanes = p.swapped ? s->out_channels : p.run;
  p.broadcasts = p.swapped ? p.run : s->out_channels;
  p.most_vectors = p.swapped ? SWAPPED_VECTORS : GRADIENT_VECTORS;
  p.most_broadcasts = p.swapped ? SWAPPED_BROADCASTS : BROADCASTS;
  p.tiles = p.swapped ? swapped_gradient_tiles : gradient_tiles;
  lay_out_gradient(&p, s);
  return p;
}

/// [pixel][channels] in blocks of at most `most` broadcast operands: [block][pixel][block's channels].
static void pack_gradients(const float *gradient, int32_t channels, int32_t most, int32_t pixels, float *to) {
  int32_t blocks = divide_up(channels, most);
  for (int32_t block = 0; block < blocks; block++) {
    int32_t start = piece_start(channels, most, block);
    int32_t width = piece_start(channels, most, block + 1) - start;
    const float *from = gradient + start;
    if (width == BROADCASTS)
      for (int32_t i = 0; i < pixels; i++, from += channels, to += BROADCASTS)
        memcpy(to, from, sizeof(float) * BROADCASTS);
    else
      for (int32_t i = 0; i < pixels; i++, from += channels, to += width)
        for (int32_t c = 0; c < width; c++) to[c] = from[c];
  }
}

SQ_INLINE void copy_panel(const float *from, const int32_t *offsets, const int vectors, int32_t pixels, float *to) {
  for (int32_t i = 0; i < pixels; i++, to += vectors * SQ_LANES)
    UNROLLED_FOR (int v = 0; v < vectors; v++) sq_store(to + v * SQ_LANES, sq_load(from + offsets[i] + v * SQ_LANES));
}

/// Adds a strip to all sums. `window` is the strip's first window, `gradient` its first output gradient; where lanes
/// run along the input it is read packed, from scratch.
static void add_strip(
    const gradient_plan *p, const sq_conv *s, const float *window, const float *gradient, int32_t pixels,
    char *scratch) {
  const int32_t *offsets = (const int32_t *)(scratch + p->offsets);
  int32_t *panel_offsets = (int32_t *)(scratch + p->panel_offsets);
  float *panel = (float *)(scratch + p->panel), *sums = (float *)(scratch + p->sums);
  const float *gradients = (const float *)(scratch + p->gradients);
  int32_t vectors = divide_up(p->lanes, SQ_LANES), columns = divide_up(vectors, p->most_vectors);
  int32_t rows = divide_up(p->broadcasts, p->most_broadcasts);
  int32_t panel_vectors = 0;
  for (int32_t ky = 0; ky < s->kernel_height; ky++) {
    const float *run = window + ky * row_floats(&p->images);
    for (int32_t column = 0; column < columns; column++) {
      int32_t vector = piece_start(vectors, p->most_vectors, column);
      int32_t tile_vectors = piece_start(vectors, p->most_vectors, column + 1) - vector;
      const float *lanes = run + vector * SQ_LANES;
      if (p->panels) {
        switch (tile_vectors) {
          case 1: copy_panel(lanes, offsets, 1, pixels, panel); break;
          case 2: copy_panel(lanes, offsets, 2, pixels, panel); break;
          default: copy_panel(lanes, offsets, 3, pixels, panel); break;
        }
        if (panel_vectors != tile_vectors)
          for (int32_t i = 0; i < pixels; i++) panel_offsets[i] = i * tile_vectors * SQ_LANES;
        panel_vectors = tile_vectors;
      }
      for (int32_t block = 0; block < rows; block++) {
        int32_t start = piece_start(p->broadcasts, p->most_broadcasts, block);
        int32_t width = piece_start(p->broadcasts, p->most_broadcasts, block + 1) - start;
        gradient_tile tile = {.sums = sums, .pixels = pixels};
        if (p->swapped) {
          tile.by_step = gradient + vector * SQ_LANES;
          tile.step = s->out_channels;
          tile.by_offset = run + start;
          tile.offsets = offsets;
        } else {
          tile.by_step = gradients + (ptrdiff_t)start * pixels;
          tile.step = width;
          tile.by_offset = p->panels ? panel : lanes;
          tile.offsets = p->panels ? panel_offsets : offsets;
        }
        p->tiles[tile_vectors - 1](&tile, width);
        sums += width * tile_vectors * SQ_LANES;
      }
    }
  }
}

/// The sums, in the order of add_strip, as weights O,KH,KW,I.
static void write_gradient(const gradient_plan *p, const sq_conv *s, const float *sums, float *weight_gradient) {
  ptrdiff_t filter = (ptrdiff_t)s->kernel_height * p->run;
  int32_t vectors = divide_up(p->lanes, SQ_LANES), columns = divide_up(vectors, p->most_vectors);
  for (int32_t ky = 0; ky < s->kernel_height; ky++)
    for (int32_t column = 0; column < columns; column++) {
      int32_t first_lane = SQ_LANES * piece_start(vectors, p->most_vectors, column);
      int32_t width = SQ_LANES * piece_start(vectors, p->most_vectors, column + 1) - first_lane;
      int32_t present = smaller(width, p->lanes - first_lane);
      for (int32_t i = 0; i < p->broadcasts; i++, sums += width) {
        if (p->swapped)
          for (int32_t lane = 0; lane < present; lane++)
            weight_gradient[(first_lane + lane) * filter + ky * p->run + i] = sums[lane];
        else
          memcpy(weight_gradient + i * filter + ky * p->run + first_lane, sums, sizeof(float) * present);
      }
    }
}

/// From whichever of `floats` and `bytes` is not NULL.
static void dense_weight_gradient(
    const sq_conv *s, const float *floats, const uint8_t *bytes, const float *output_gradient, float *weight_gradient,
    int32_t first, int32_t count, char *scratch) {
  gradient_plan p = plan_gradient(s, bytes != NULL);
  float *copies = (float *)(scratch + p.copies), *sums = (float *)(scratch + p.sums);
  ptrdiff_t row = row_floats(&p.images), image = image_floats(&p.images);
  ptrdiff_t in_floats = (ptrdiff_t)s->in_height * s->in_width * s->in_channels;
  ptrdiff_t out_row = (ptrdiff_t)s->out_width * s->out_channels, out_floats = s->out_height * out_row;
  memset(sums, 0, p.sums_bytes);
  if (!p.images.direct) memset(copies, 0, sizeof(float) * p.strip.images * image);
  fill_offsets(
      p.strip, s->out_width, image, s->stride_y * row, (ptrdiff_t)s->stride_x * s->in_channels,
      (int32_t *)(scratch + p.offsets));
  for (int32_t n = first; n < first + count; n += p.strip.images) {
    int32_t images = smaller(p.strip.images, first + count - n);
    const float *source = floats ? floats + n * in_floats : NULL;
    if (!p.images.direct) {
      for (int32_t i = 0; i < images; i++)
        copy_image(
            &p.images, floats ? floats + (n + i) * in_floats : NULL, bytes ? bytes + (n + i) * in_floats : NULL,
            copies + i * image);
      source = copies;
    }
    for (int32_t y = 0; y < s->out_height; y += p.strip.rows) {
      const int32_t pixels = images * smaller(p.strip.rows, s->out_height - y) * s->out_width;
      const float *gradient = output_gradient + n * out_floats + y * out_row;
      if (!p.swapped)
        pack_gradients(gradient, s->out_channels, p.most_broadcasts, pixels, (float *)(scratch + p.gradients));
      add_strip(&p, s, source + (ptrdiff_t)y * s->stride_y * row, gradient, pixels, scratch);
    }
  }
  write_gradient(&p, s, sums, weight_gradient);
}

#endif
