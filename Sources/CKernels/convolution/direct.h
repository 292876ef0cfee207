#ifndef SQ_DIRECT_H
#define SQ_DIRECT_H

// Float convolution and its input gradient as plain sums.
//
// Forward: images are copied into zero-padded scratch (or read in place where nothing hangs over the edge), so that the
// window of an output pixel is `kernel_height` contiguous runs of kernel_width * in_channels floats. A tile of
// TILE_PIXELS pixels x 2 vectors of output channels stays in registers while the runs are walked once, each input value
// broadcast against the packed weights. A table gives each pixel's place, so a tile may span rows and images.
// The input gradient is the same computation over the padded output gradient with the kernel turned around; with a
// stride, the input pixels of each residue of the stride form a convolution of their own with the taps that reach them.
// Every output value is added up in one fixed order, whatever tile it falls into.

#include "../include/convolution.h"
#include "../target/arithmetic.h"
#include "../target/padded_images.h"
#include "../target/vector.h"

// A tile that leaves registers for the operands.
#if SQ_REGISTERS >= 32
#define TILE_PIXELS 8
#else
#define TILE_PIXELS 6
#endif
#define TILE_VECTORS 2

// Sizes of the pieces that are to stay in the first-level cache: the packed weights walked by one pass over a strip,
// and the pixels of a strip.
#define WEIGHT_FLOATS 4096
#define STRIP_PIXELS 192

// MARK: - Broadcast pixels x packed weights

/// Weights [count][length] are packed in blocks of TILE_VECTORS vectors of the channels that become lanes; the last
/// block has fewer vectors where that is enough, and zeros in what lanes are left.
static int32_t block_width(int32_t channels, int32_t first_channel) {
  return smaller(TILE_VECTORS * SQ_LANES, round_up(channels - first_channel, SQ_LANES));
}

/// The product of a strip's pixels and one block of weights, or a part of it along the sum.
typedef struct product {
  const float *input;
  const int32_t *input_offsets;
  const float *weights;
  int32_t runs, length;  // the pixel's values are `runs` runs of `length` floats
  ptrdiff_t run_step;
  float *output;
  const int32_t *output_offsets;
  const float *start;  // what the sums start from; NULL: from what is in output
  int32_t last_lanes;  // lanes of the last vector that exist in output
  float *sums;         // [2][block]: added up values and squares; NULL: not wanted
} product;

SQ_INLINE void multiply_tile(const product *a, const int pixels, const int vectors, int32_t first_pixel) {
  sq_float_vector sum[TILE_PIXELS][TILE_VECTORS];
  const float *pixel[TILE_PIXELS];
  float *to[TILE_PIXELS];
  UNROLLED_FOR (int i = 0; i < pixels; i++) {
    pixel[i] = a->input + a->input_offsets[first_pixel + i];
    to[i] = a->output + a->output_offsets[first_pixel + i];
  }
  if (a->start) {
    UNROLLED_FOR (int v = 0; v < vectors; v++) {
      sq_float_vector start = sq_load(a->start + v * SQ_LANES);
      UNROLLED_FOR (int i = 0; i < pixels; i++) sum[i][v] = start;
    }
  } else {
    UNROLLED_FOR (int i = 0; i < pixels; i++)
      UNROLLED_FOR (int v = 0; v < vectors; v++) sum[i][v] = sq_load(to[i] + v * SQ_LANES);
  }

  const float *weight = a->weights;
  ptrdiff_t length = a->length;
  for (int32_t run = a->runs; run > 0; run--) {
#pragma clang loop unroll_count(4)
    for (ptrdiff_t k = 0; k < length; k++) {
      sq_float_vector w[TILE_VECTORS];
      UNROLLED_FOR (int v = 0; v < vectors; v++) w[v] = sq_load(weight + v * SQ_LANES);
      weight += vectors * SQ_LANES;
      UNROLLED_FOR (int i = 0; i < pixels; i++) {
        sq_float_vector x = sq_splat(pixel[i][k]);
        UNROLLED_FOR (int v = 0; v < vectors; v++) sum[i][v] += x * w[v];
      }
    }
    UNROLLED_FOR (int i = 0; i < pixels; i++) pixel[i] += a->run_step;
  }

  if (a->last_lanes == SQ_LANES) {
    UNROLLED_FOR (int i = 0; i < pixels; i++)
      UNROLLED_FOR (int v = 0; v < vectors; v++) sq_store(to[i] + v * SQ_LANES, sum[i][v]);
  } else {
    UNROLLED_FOR (int i = 0; i < pixels; i++) {
      UNROLLED_FOR (int v = 0; v < vectors - 1; v++) sq_store(to[i] + v * SQ_LANES, sum[i][v]);
      float last[SQ_LANES];
      sq_store(last, sum[i][vectors - 1]);
      for (int lane = 0; lane < a->last_lanes; lane++) to[i][(vectors - 1) * SQ_LANES + lane] = last[lane];
    }
  }
  if (a->sums) {
    UNROLLED_FOR (int v = 0; v < vectors; v++) {
      sq_float_vector values = sum[0][v], squares = sum[0][v] * sum[0][v];
      UNROLLED_FOR (int i = 1; i < pixels; i++) {
        values += sum[i][v];
        squares += sum[i][v] * sum[i][v];
      }
      float *s = a->sums + v * SQ_LANES, *q = s + vectors * SQ_LANES;
      sq_store(s, sq_load(s) + values);
      sq_store(q, sq_load(q) + squares);
    }
  }
}

SQ_INLINE void multiply_pixels(const product *arguments, const int vectors, int32_t pixels) {
  const product copy = *arguments, *a = &copy;  // the stores to the output cannot change it
  int32_t p = 0;
  for (; p + TILE_PIXELS <= pixels; p += TILE_PIXELS) multiply_tile(a, TILE_PIXELS, vectors, p);
  switch (pixels - p) {
    case 1: multiply_tile(a, 1, vectors, p); break;
    case 2: multiply_tile(a, 2, vectors, p); break;
    case 3: multiply_tile(a, 3, vectors, p); break;
    case 4: multiply_tile(a, 4, vectors, p); break;
    case 5: multiply_tile(a, 5, vectors, p); break;
#if TILE_PIXELS > 6
    case 6: multiply_tile(a, 6, vectors, p); break;
    case 7: multiply_tile(a, 7, vectors, p); break;
#endif
    default: break;
  }
}

static __attribute__((noinline)) void multiply_pixels_1(const product *a, int32_t pixels) {
  multiply_pixels(a, 1, pixels);
}
static __attribute__((noinline)) void multiply_pixels_2(const product *a, int32_t pixels) {
  multiply_pixels(a, 2, pixels);
}

/// output[offset of pixel][channel] = bias + sum over the runs of input * weights, for a strip of pixels.
static void multiply_strip(
    const float *input, const int32_t *input_offsets, int32_t runs, int32_t length, ptrdiff_t run_step,
    const float *packed, int32_t channels, float *output, const int32_t *output_offsets, const float *bias,
    double *statistics, int32_t pixels) {
  static const float zeros[TILE_VECTORS * SQ_LANES];
  float sums[2 * TILE_VECTORS * SQ_LANES] __attribute__((aligned(64)));
  for (int32_t channel = 0; channel < channels; channel += TILE_VECTORS * SQ_LANES) {
    int32_t width = block_width(channels, channel);
    product a = {
        .input_offsets = input_offsets,
        .run_step = run_step,
        .output = output + channel,
        .output_offsets = output_offsets,
        .start = bias ? bias + channel : zeros,
        .last_lanes = smaller(SQ_LANES, channels - channel - width + SQ_LANES),
    };
    // Whole runs at a time where they are short, equal parts of one run where they are long.
    int32_t most = larger(1, WEIGHT_FLOATS / width);
    int32_t parts = divide_up(length, most), part = divide_up(length, parts);
    int32_t runs_at_once = parts > 1 ? 1 : divide_up(runs, divide_up(runs, most / length));
    for (int32_t run = 0; run < runs; run += runs_at_once)
      for (int32_t k = 0; k < length; k += part) {
        a.runs = smaller(runs_at_once, runs - run);
        a.length = smaller(part, length - k);
        a.input = input + run * run_step + k;
        a.weights = packed + ((ptrdiff_t)run * length + k) * width;
        if (statistics && run + a.runs == runs && k + a.length == length) {
          a.sums = sums;
          memset(sums, 0, sizeof sums);
        }
        if (width > SQ_LANES)
          multiply_pixels_2(&a, pixels);
        else
          multiply_pixels_1(&a, pixels);
        a.start = NULL;
      }
    if (statistics)
      for (int32_t i = 0; i < smaller(width, channels - channel); i++) {
        statistics[channel + i] += (double)sums[i];
        statistics[channels + channel + i] += (double)sums[width + i];
      }
    packed += (ptrdiff_t)runs * length * width;
  }
}

/// The input, padded for the forward pass and the weight gradient.
static padded_images forward_images(const sq_conv *s) {
  return padded(
      s->in_height, s->in_width, s->in_channels, s->pad_top, s->pad_left,
      (s->out_height - 1) * s->stride_y + s->kernel_height, (s->out_width - 1) * s->stride_x + s->kernel_width);
}

// MARK: - Forward

typedef struct forward_plan {
  padded_images images;
  strip strip;
  size_t copies, input_offsets, output_offsets, bytes;
} forward_plan;

static forward_plan plan_forward(const sq_conv *s) {
  forward_plan p = {.images = forward_images(s), .strip = strip_of(s->out_height, s->out_width, STRIP_PIXELS)};
  p.strip.images = smaller(p.strip.images, larger(1, s->batch));
  size_t pixels = (size_t)p.strip.images * p.strip.rows * s->out_width;
  p.copies = take(&p.bytes, p.images.direct ? 0 : sizeof(float) * p.strip.images * image_floats(&p.images));
  p.input_offsets = take(&p.bytes, sizeof(int32_t) * pixels);
  p.output_offsets = take(&p.bytes, sizeof(int32_t) * pixels);
  return p;
}

static size_t direct_forward_packed_count(const sq_conv *s) {
  return (size_t)round_up(s->out_channels, SQ_LANES) * s->kernel_height * s->kernel_width * s->in_channels;
}

static void direct_forward_pack(const sq_conv *s, const float *weights, float *packed) {
  ptrdiff_t length = (ptrdiff_t)s->kernel_height * s->kernel_width * s->in_channels;
  for (int32_t channel = 0; channel < s->out_channels; channel += TILE_VECTORS * SQ_LANES) {
    int32_t width = block_width(s->out_channels, channel), present = smaller(width, s->out_channels - channel);
    for (ptrdiff_t k = 0; k < length; k++, packed += width) {
      for (int32_t i = 0; i < present; i++) packed[i] = weights[(channel + i) * length + k];
      for (int32_t i = present; i < width; i++) packed[i] = 0;
    }
  }
}

static void direct_forward(
    const sq_conv *s, const float *input, const float *packed, const float *bias, float *output, double *statistics,
    int32_t first, int32_t count, void *scratch) {
  if (statistics) memset(statistics, 0, sizeof(double) * 2 * s->out_channels);
  forward_plan p = plan_forward(s);
  float *copies = (float *)((char *)scratch + p.copies);
  int32_t *input_offsets = (int32_t *)((char *)scratch + p.input_offsets);
  int32_t *output_offsets = (int32_t *)((char *)scratch + p.output_offsets);
  ptrdiff_t row = row_floats(&p.images), image = image_floats(&p.images);
  ptrdiff_t in_floats = (ptrdiff_t)s->in_height * s->in_width * s->in_channels;
  ptrdiff_t out_row = (ptrdiff_t)s->out_width * s->out_channels, out_floats = s->out_height * out_row;
  if (!p.images.direct) memset(copies, 0, sizeof(float) * p.strip.images * image);
  fill_offsets(p.strip, s->out_width, image, s->stride_y * row, (ptrdiff_t)s->stride_x * s->in_channels, input_offsets);
  fill_offsets(p.strip, s->out_width, out_floats, out_row, s->out_channels, output_offsets);

  for (int32_t n = first; n < first + count; n += p.strip.images) {
    int32_t images = smaller(p.strip.images, first + count - n);
    const float *source = input + n * in_floats;
    if (!p.images.direct) {
      for (int32_t i = 0; i < images; i++) copy_image(&p.images, source + i * in_floats, NULL, copies + i * image);
      source = copies;
    }
    for (int32_t y = 0; y < s->out_height; y += p.strip.rows) {
      int32_t rows = smaller(p.strip.rows, s->out_height - y);
      multiply_strip(
          source + (ptrdiff_t)y * s->stride_y * row, input_offsets, s->kernel_height, s->kernel_width * s->in_channels,
          row, packed, s->out_channels, output + n * out_floats + y * out_row, output_offsets, bias, statistics,
          images * rows * s->out_width);
    }
  }
}

// MARK: - Input gradient

/// One direction of the input positions with the same residue modulo the stride: position = residue + stride * t gets
/// taps tap, tap + stride, ... (`taps` of them) from outputs t + reach, t + reach - 1, ...
typedef struct residue_axis {
  int32_t positions, tap, taps, reach;
} residue_axis;

static residue_axis axis_of(int32_t residue, int32_t size, int32_t kernel, int32_t stride, int32_t pad) {
  int32_t tap = (residue + pad) % stride;
  return (residue_axis){
      .positions = residue < size ? divide_up(size - residue, stride) : 0,
      .tap = tap,
      .taps = tap < kernel ? divide_up(kernel - tap, stride) : 0,
      .reach = (residue + pad - tap) / stride,
  };
}

/// The zeros needed before the outputs, and the size with zeros before and after, for every residue.
static void axis_padding(
    int32_t size, int32_t out_size, int32_t kernel, int32_t stride, int32_t pad, int32_t *before,
    int32_t *padded_size) {
  *before = 0;
  int32_t end = out_size;
  for (int32_t residue = 0; residue < stride; residue++) {
    residue_axis a = axis_of(residue, size, kernel, stride, pad);
    if (a.taps == 0 || a.positions == 0) continue;
    *before = larger(*before, a.taps - 1 - a.reach);
    end = larger(end, a.positions + a.reach);
  }
  *padded_size = *before + end;
}

typedef struct backward_plan {
  padded_images images;
  strip strip;  // in rows of one residue; the same for all
  size_t copies, offsets, offsets_of_residue, bytes;
} backward_plan;

static backward_plan plan_backward(const sq_conv *s) {
  int32_t top, left, height, width;
  axis_padding(s->in_height, s->out_height, s->kernel_height, s->stride_y, s->pad_top, &top, &height);
  axis_padding(s->in_width, s->out_width, s->kernel_width, s->stride_x, s->pad_left, &left, &width);
  int32_t rows = divide_up(s->in_height, s->stride_y), columns = divide_up(s->in_width, s->stride_x);
  backward_plan p = {
      .images = padded(s->out_height, s->out_width, s->out_channels, top, left, height, width),
      .strip = strip_of(rows, columns, STRIP_PIXELS),
  };
  p.strip.images = smaller(p.strip.images, larger(1, s->batch));
  p.copies = take(&p.bytes, p.images.direct ? 0 : sizeof(float) * p.strip.images * image_floats(&p.images));
  p.offsets_of_residue = (size_t)p.strip.images * p.strip.rows * columns;
  size_t residues = (size_t)smaller(s->stride_y, s->kernel_height) * smaller(s->stride_x, s->kernel_width);
  p.offsets = take(&p.bytes, sizeof(int32_t) * 2 * residues * p.offsets_of_residue);
  return p;
}

static size_t direct_backward_input_packed_count(const sq_conv *s) {
  return (size_t)round_up(s->in_channels, SQ_LANES) * s->kernel_height * s->kernel_width * s->out_channels;
}

static void direct_backward_input_pack(const sq_conv *s, const float *weights, float *packed) {
  ptrdiff_t tap_floats = s->in_channels, output_step = (ptrdiff_t)s->kernel_height * s->kernel_width * tap_floats;
  for (int32_t ry = 0; ry < s->stride_y; ry++)
    for (int32_t rx = 0; rx < s->stride_x; rx++) {
      residue_axis y = axis_of(ry, s->in_height, s->kernel_height, s->stride_y, s->pad_top);
      residue_axis x = axis_of(rx, s->in_width, s->kernel_width, s->stride_x, s->pad_left);
      for (int32_t channel = 0; channel < s->in_channels; channel += TILE_VECTORS * SQ_LANES) {
        int32_t width = block_width(s->in_channels, channel), present = smaller(width, s->in_channels - channel);
        for (int32_t i = y.taps - 1; i >= 0; i--)
          for (int32_t j = x.taps - 1; j >= 0; j--) {
            ptrdiff_t tap = (ptrdiff_t)(y.tap + i * s->stride_y) * s->kernel_width + (x.tap + j * s->stride_x);
            for (int32_t o = 0; o < s->out_channels; o++, packed += width) {
              const float *from = weights + o * output_step + tap * tap_floats + channel;
              for (int32_t c = 0; c < present; c++) packed[c] = from[c];
              for (int32_t c = present; c < width; c++) packed[c] = 0;
            }
          }
      }
    }
}

static void direct_backward_input(
    const sq_conv *s, const float *output_gradient, const float *packed, float *input_gradient, int32_t first,
    int32_t count, void *scratch) {
  backward_plan p = plan_backward(s);
  float *copies = (float *)((char *)scratch + p.copies);
  ptrdiff_t row = row_floats(&p.images), image = image_floats(&p.images);
  ptrdiff_t in_row = (ptrdiff_t)s->in_width * s->in_channels, in_floats = s->in_height * in_row;
  ptrdiff_t out_floats = (ptrdiff_t)s->out_height * s->out_width * s->out_channels;
  if (!p.images.direct) memset(copies, 0, sizeof(float) * p.strip.images * image);

  for (int32_t n = first; n < first + count; n += p.strip.images) {
    int32_t images = smaller(p.strip.images, first + count - n);
    const float *source = output_gradient + n * out_floats;
    if (!p.images.direct) {
      for (int32_t i = 0; i < images; i++) copy_image(&p.images, source + i * out_floats, NULL, copies + i * image);
      source = copies;
    }
    if (s->kernel_height < s->stride_y || s->kernel_width < s->stride_x)  // some positions get nothing
      memset(input_gradient + n * in_floats, 0, sizeof(float) * images * in_floats);
    int32_t *offsets = (int32_t *)((char *)scratch + p.offsets);
    const float *weights = packed;
    for (int32_t ry = 0; ry < s->stride_y; ry++)
      for (int32_t rx = 0; rx < s->stride_x; rx++) {
        residue_axis y = axis_of(ry, s->in_height, s->kernel_height, s->stride_y, s->pad_top);
        residue_axis x = axis_of(rx, s->in_width, s->kernel_width, s->stride_x, s->pad_left);
        if (y.taps == 0 || x.taps == 0) continue;
        float *gradient = input_gradient + n * in_floats + ry * in_row + (ptrdiff_t)rx * s->in_channels;
        int32_t *to = offsets + p.offsets_of_residue;
        strip own = {p.strip.images, smaller(p.strip.rows, y.positions)};
        if (n == first) {
          fill_offsets(own, x.positions, image, row, s->out_channels, offsets);
          fill_offsets(own, x.positions, in_floats, s->stride_y * in_row, (ptrdiff_t)s->stride_x * s->in_channels, to);
        }
        const float *window = source + (p.images.top + y.reach - y.taps + 1) * row +
                              (ptrdiff_t)(p.images.left + x.reach - x.taps + 1) * s->out_channels;
        for (int32_t t = 0; t < y.positions; t += own.rows) {
          int32_t rows = smaller(own.rows, y.positions - t);
          multiply_strip(
              window + t * row, offsets, y.taps, x.taps * s->out_channels, row, weights, s->in_channels,
              gradient + t * s->stride_y * in_row, to, NULL, NULL, images * rows * x.positions);
        }
        offsets += 2 * p.offsets_of_residue;
        weights += (ptrdiff_t)y.taps * x.taps * s->out_channels * round_up(s->in_channels, SQ_LANES);
      }
  }
}

#endif
