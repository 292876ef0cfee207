// Float convolution, its input gradient and its dense weight gradient for one instruction set; float_convolution_avx2.c
// and its like include this file.
//
// Forward: images are copied into zero-padded scratch (or read in place where nothing hangs over the edge), so that the
// window of an output pixel is `kernel_height` contiguous runs of kernel_width * in_channels floats. A tile of
// TILE_PIXELS pixels x 2 vectors of output channels stays in registers while the runs are walked once, each input value
// broadcast against the packed weights. A table gives each pixel's place, so a tile may span rows and images.
// The input gradient is the same computation over the padded output gradient with the kernel turned around; with a
// stride, the input pixels of each residue of the stride form a convolution of their own with the taps that reach them.
// Where a 3x3 convolution of stride 1 has whole vectors of channels, winograd_kernels.h computes both with fewer products.
// Every output value is added up in one fixed order, whatever tile it falls into.
//
// Weight gradient: a tile of weights, broadcast operand x vector operand, stays in registers over a strip of pixels,
// and is then added to the sums in scratch. The vectors run along the contiguous run of the input, or along the output
// channels where those fill the lanes better (3 input channels).

#include "convolution.h"
#include "float_convolution_private.h"
#include "grouped_convolution.h"

SQ_KERNELS_BEGIN

// Tiles that leave registers for the operands: TILE_VECTORS, GRADIENT_VECTORS and SWAPPED_VECTORS go with them.
#if SQ_REGISTERS >= 32
#define TILE_PIXELS 8
#define BROADCASTS 8
#define SWAPPED_BROADCASTS 12
#else
#define TILE_PIXELS 6
#define BROADCASTS 4
#define SWAPPED_BROADCASTS 6
#endif
#define TILE_VECTORS 2
#define GRADIENT_VECTORS 3
#define SWAPPED_VECTORS 2

#define UNROLL _Pragma("clang loop unroll(full)")

// Sizes of the pieces that are to stay in the first-level cache: the packed weights walked by one pass over a strip,
// and the pixels of a strip, forward and for the weight gradient.
#define WEIGHT_FLOATS 4096
#define STRIP_PIXELS 192
#define GRADIENT_STRIP_PIXELS 128

static int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }
static int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }
static int32_t ceil_div(int32_t a, int32_t b) { return (a + b - 1) / b; }
static int32_t round_up(int32_t a, int32_t b) { return ceil_div(a, b) * b; }

/// The next `bytes` of scratch, in whole cache lines.
static size_t take(size_t *used, size_t bytes) {
  size_t offset = *used;
  *used += (bytes + 127) / 64 * 64;  // and a line that vectors may read past the end
  return offset;
}

// MARK: - Zero-padded images

/// Images with zeros around them: `top` rows and `left` columns before the source, the rest after it. Direct: without
/// any, so that the source itself will do.
typedef struct padded_images {
  int32_t source_height, source_width, channels;
  int32_t top, left, height, width;
  int direct;
} padded_images;

static padded_images padded(
    int32_t source_height, int32_t source_width, int32_t channels, int32_t top, int32_t left, int32_t height,
    int32_t width) {
  padded_images p = {source_height, source_width, channels, top, left, height, width, 0};
  if (top == 0 && left == 0 && height <= source_height && width <= source_width) {
    p.direct = 1;
    p.height = source_height;
    p.width = source_width;
  }
  return p;
}

static ptrdiff_t row_floats(const padded_images *p) { return (ptrdiff_t)p->width * p->channels; }
static ptrdiff_t image_floats(const padded_images *p) { return p->height * row_floats(p); }

/// Copies one image of floats or, where `floats` is NULL, bytes into the middle of a padded image.
static void copy_image(const padded_images *p, const float *floats, const uint8_t *bytes, float *destination) {
  int32_t first_row = larger(0, -p->top), end_row = smaller(p->source_height, p->height - p->top);
  int32_t first_column = larger(0, -p->left), end_column = smaller(p->source_width, p->width - p->left);
  int32_t length = (end_column - first_column) * p->channels;
  if (length <= 0) return;
  for (int32_t row = first_row; row < end_row; row++) {
    float *to = destination + (row + p->top) * row_floats(p) + (ptrdiff_t)(first_column + p->left) * p->channels;
    ptrdiff_t from = ((ptrdiff_t)row * p->source_width + first_column) * p->channels;
    int32_t i = 0;
    if (floats) {
      for (; i + SQ_LANES <= length; i += SQ_LANES) sq_store(to + i, sq_load(floats + from + i));
      for (; i < length; i++) to[i] = floats[from + i];
    } else {
      for (; i + SQ_LANES <= length; i += SQ_LANES) sq_store(to + i, sq_load_u8(bytes + from + i));
      for (; i < length; i++) to[i] = (float)bytes[from + i];
    }
  }
}

/// The pixels handled at a time: `rows` rows of an image, or all rows of several small images.
typedef struct strip {
  int32_t images, rows;
} strip;

static strip strip_of(int32_t height, int32_t width, int32_t pixels) {
  if (height * width <= pixels) return (strip){larger(1, pixels / larger(1, height * width)), height};
  int32_t rows = larger(1, pixels / width);
  return (strip){1, ceil_div(height, ceil_div(height, rows))};
}

/// offsets[i] of the pixels of a strip in row order.
static void fill_offsets(
    strip s, int32_t width, ptrdiff_t image_step, ptrdiff_t row_step, ptrdiff_t pixel_step, int32_t *offsets) {
  for (int32_t image = 0; image < s.images; image++)
    for (int32_t row = 0; row < s.rows; row++)
      for (int32_t x = 0; x < width; x++)
        *offsets++ = (int32_t)(image * image_step + row * row_step + x * pixel_step);
}

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
  UNROLL for (int i = 0; i < pixels; i++) {
    pixel[i] = a->input + a->input_offsets[first_pixel + i];
    to[i] = a->output + a->output_offsets[first_pixel + i];
  }
  if (a->start) {
    UNROLL for (int v = 0; v < vectors; v++) {
      sq_float_vector start = sq_load(a->start + v * SQ_LANES);
      UNROLL for (int i = 0; i < pixels; i++) sum[i][v] = start;
    }
  } else {
    UNROLL for (int i = 0; i < pixels; i++)
      UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = sq_load(to[i] + v * SQ_LANES);
  }

  const float *weight = a->weights;
  ptrdiff_t length = a->length;
  for (int32_t run = a->runs; run > 0; run--) {
#pragma clang loop unroll_count(4)
    for (ptrdiff_t k = 0; k < length; k++) {
      sq_float_vector w[TILE_VECTORS];
      UNROLL for (int v = 0; v < vectors; v++) w[v] = sq_load(weight + v * SQ_LANES);
      weight += vectors * SQ_LANES;
      UNROLL for (int i = 0; i < pixels; i++) {
        sq_float_vector x = sq_splat(pixel[i][k]);
        UNROLL for (int v = 0; v < vectors; v++) sum[i][v] += x * w[v];
      }
    }
    UNROLL for (int i = 0; i < pixels; i++) pixel[i] += a->run_step;
  }

  if (a->last_lanes == SQ_LANES) {
    UNROLL for (int i = 0; i < pixels; i++)
      UNROLL for (int v = 0; v < vectors; v++) sq_store(to[i] + v * SQ_LANES, sum[i][v]);
  } else {
    UNROLL for (int i = 0; i < pixels; i++) {
      UNROLL for (int v = 0; v < vectors - 1; v++) sq_store(to[i] + v * SQ_LANES, sum[i][v]);
      float last[SQ_LANES];
      sq_store(last, sum[i][vectors - 1]);
      for (int lane = 0; lane < a->last_lanes; lane++) to[i][(vectors - 1) * SQ_LANES + lane] = last[lane];
    }
  }
  if (a->sums) {
    UNROLL for (int v = 0; v < vectors; v++) {
      sq_float_vector values = sum[0][v], squares = sum[0][v] * sum[0][v];
      UNROLL for (int i = 1; i < pixels; i++) {
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
    int32_t parts = ceil_div(length, most), part = ceil_div(length, parts);
    int32_t runs_at_once = parts > 1 ? 1 : ceil_div(runs, ceil_div(runs, most / length));
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

#include "winograd_kernels.h"

static int uses_winograd(const sq_conv *s, const winograd_shape *w) {
  return s->groups == 1 && s->kernel_height == 3 && s->kernel_width == 3 && s->stride_y == 1 && s->stride_x == 1 &&
         winograd_pays(w);
}

// MARK: - Forward

static winograd_shape forward_winograd(const sq_conv *s) {
  return (winograd_shape){
      .height = s->in_height, .width = s->in_width, .channels = s->in_channels,
      .top = s->pad_top, .left = s->pad_left,
      .out_height = s->out_height, .out_width = s->out_width, .out_channels = s->out_channels};
}

static padded_images forward_images(const sq_conv *s) {
  return padded(
      s->in_height, s->in_width, s->in_channels, s->pad_top, s->pad_left,
      (s->out_height - 1) * s->stride_y + s->kernel_height, (s->out_width - 1) * s->stride_x + s->kernel_width);
}

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

static size_t forward_packed_count(const sq_conv *s) {
  if (s->groups > 1) return SQ_NAME(sq_grouped_convolution).forward_packed_count(s);
  winograd_shape w = forward_winograd(s);
  if (uses_winograd(s, &w)) return winograd_packed_count(&w);
  return (size_t)round_up(s->out_channels, SQ_LANES) * s->kernel_height * s->kernel_width * s->in_channels;
}

static void forward_pack(const sq_conv *s, const float *weights, float *packed) {
  if (s->groups > 1) {
    SQ_NAME(sq_grouped_convolution).forward_pack(s, weights, packed);
    return;
  }
  winograd_shape w = forward_winograd(s);
  if (uses_winograd(s, &w)) {
    winograd_pack(&w, weights, 1, 9 * s->in_channels, 3 * s->in_channels, s->in_channels, packed);
    return;
  }
  ptrdiff_t length = (ptrdiff_t)s->kernel_height * s->kernel_width * s->in_channels;
  for (int32_t channel = 0; channel < s->out_channels; channel += TILE_VECTORS * SQ_LANES) {
    int32_t width = block_width(s->out_channels, channel), present = smaller(width, s->out_channels - channel);
    for (ptrdiff_t k = 0; k < length; k++, packed += width) {
      for (int32_t i = 0; i < present; i++) packed[i] = weights[(channel + i) * length + k];
      for (int32_t i = present; i < width; i++) packed[i] = 0;
    }
  }
}

static void forward(
    const sq_conv *s, const float *input, const float *packed, const float *bias, float *output, double *statistics,
    int32_t first, int32_t count, void *scratch) {
  if (s->groups > 1) {
    SQ_NAME(sq_grouped_convolution).forward(s, input, packed, bias, output, statistics, first, count, scratch);
    return;
  }
  if (statistics) memset(statistics, 0, sizeof(double) * 2 * s->out_channels);
  winograd_shape w = forward_winograd(s);
  if (uses_winograd(s, &w)) {
    winograd(&w, input, packed, bias, output, statistics, first, count, scratch);
    return;
  }
  forward_plan p = plan_forward(s);
  float *copies = (float *)((char *)scratch + p.copies);
  int32_t *input_offsets = (int32_t *)((char *)scratch + p.input_offsets);
  int32_t *output_offsets = (int32_t *)((char *)scratch + p.output_offsets);
  ptrdiff_t row = row_floats(&p.images), image = image_floats(&p.images);
  ptrdiff_t in_floats = (ptrdiff_t)s->in_height * s->in_width * s->in_channels;
  ptrdiff_t out_row = (ptrdiff_t)s->out_width * s->out_channels, out_floats = s->out_height * out_row;
  if (!p.images.direct) memset(copies, 0, sizeof(float) * p.strip.images * image);
  fill_offsets(
      p.strip, s->out_width, image, s->stride_y * row, (ptrdiff_t)s->stride_x * s->in_channels, input_offsets);
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
          source + (ptrdiff_t)y * s->stride_y * row, input_offsets, s->kernel_height,
          s->kernel_width * s->in_channels, row, packed, s->out_channels, output + n * out_floats + y * out_row,
          output_offsets, bias, statistics, images * rows * s->out_width);
    }
  }
}

// MARK: - Input gradient

/// The input gradient of a convolution of stride 1 is the convolution of the output gradient with the kernel turned
/// around and the channels exchanged.
static winograd_shape backward_winograd(const sq_conv *s) {
  return (winograd_shape){
      .height = s->out_height, .width = s->out_width, .channels = s->out_channels,
      .top = 2 - s->pad_top, .left = 2 - s->pad_left,
      .out_height = s->in_height, .out_width = s->in_width, .out_channels = s->in_channels};
}

/// One direction of the input positions with the same residue modulo the stride: position = residue + stride * t gets
/// taps tap, tap + stride, ... (`taps` of them) from outputs t + reach, t + reach - 1, ...
typedef struct residue_axis {
  int32_t positions, tap, taps, reach;
} residue_axis;

static residue_axis axis_of(int32_t residue, int32_t size, int32_t kernel, int32_t stride, int32_t pad) {
  int32_t tap = (residue + pad) % stride;
  return (residue_axis){
      .positions = residue < size ? ceil_div(size - residue, stride) : 0,
      .tap = tap,
      .taps = tap < kernel ? ceil_div(kernel - tap, stride) : 0,
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
  int32_t rows = ceil_div(s->in_height, s->stride_y), columns = ceil_div(s->in_width, s->stride_x);
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

static size_t backward_input_packed_count(const sq_conv *s) {
  if (s->groups > 1) return SQ_NAME(sq_grouped_convolution).backward_input_packed_count(s);
  winograd_shape w = backward_winograd(s);
  if (uses_winograd(s, &w)) return winograd_packed_count(&w);
  return (size_t)round_up(s->in_channels, SQ_LANES) * s->kernel_height * s->kernel_width * s->out_channels;
}

static void backward_input_pack(const sq_conv *s, const float *weights, float *packed) {
  if (s->groups > 1) {
    SQ_NAME(sq_grouped_convolution).backward_input_pack(s, weights, packed);
    return;
  }
  winograd_shape w = backward_winograd(s);
  if (uses_winograd(s, &w)) {
    ptrdiff_t channels = s->in_channels;
    winograd_pack(&w, weights + 8 * channels, 9 * channels, 1, -3 * channels, -channels, packed);
    return;
  }
  ptrdiff_t tap_floats = s->in_channels, output_step = (ptrdiff_t)s->kernel_height * s->kernel_width * tap_floats;
  for (int32_t ry = 0; ry < s->stride_y; ry++)
    for (int32_t rx = 0; rx < s->stride_x; rx++) {
      residue_axis y = axis_of(ry, s->in_height, s->kernel_height, s->stride_y, s->pad_top);
      residue_axis x = axis_of(rx, s->in_width, s->kernel_width, s->stride_x, s->pad_left);
      for (int32_t channel = 0; channel < s->in_channels; channel += TILE_VECTORS * SQ_LANES) {
        int32_t width = block_width(s->in_channels, channel), present = smaller(width, s->in_channels - channel);
        for (int32_t i = y.taps - 1; i >= 0; i--)
          for (int32_t j = x.taps - 1; j >= 0; j--) {
            ptrdiff_t tap =
                (ptrdiff_t)(y.tap + i * s->stride_y) * s->kernel_width + (x.tap + j * s->stride_x);
            for (int32_t o = 0; o < s->out_channels; o++, packed += width) {
              const float *from = weights + o * output_step + tap * tap_floats + channel;
              for (int32_t c = 0; c < present; c++) packed[c] = from[c];
              for (int32_t c = present; c < width; c++) packed[c] = 0;
            }
          }
      }
    }
}

static void backward_input(
    const sq_conv *s, const float *output_gradient, const float *packed, float *input_gradient, int32_t first,
    int32_t count, void *scratch) {
  if (s->groups > 1) {
    SQ_NAME(sq_grouped_convolution).backward_input(s, output_gradient, packed, input_gradient, first, count, scratch);
    return;
  }
  winograd_shape w = backward_winograd(s);
  if (uses_winograd(s, &w)) {
    winograd(&w, output_gradient, packed, NULL, input_gradient, NULL, first, count, scratch);
    return;
  }
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
          fill_offsets(
              own, x.positions, in_floats, s->stride_y * in_row, (ptrdiff_t)s->stride_x * s->in_channels, to);
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

// MARK: - Weight gradient

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
  UNROLL for (int i = 0; i < broadcasts; i++)
    UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = (sq_float_vector){};
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
    UNROLL for (int v = 0; v < vectors; v++) w[v] = sq_load(vector + v * SQ_LANES);
    UNROLL for (int i = 0; i < broadcasts; i++) {
      sq_float_vector x = sq_splat(broadcast[i]);
      UNROLL for (int v = 0; v < vectors; v++) sum[i][v] += x * w[v];
    }
  }
  float *to = t->sums;
  UNROLL for (int i = 0; i < broadcasts; i++)
    UNROLL for (int v = 0; v < vectors; v++, to += SQ_LANES) sq_store(to, sq_load(to) + sum[i][v]);
}

SQ_INLINE void add_gradient_tiles(const gradient_tile *t, int broadcasts, const int vectors, const int swapped) {
  const int most = swapped ? SWAPPED_BROADCASTS : BROADCASTS;
#define TILE(count)                                                      \
  case count:                                                            \
    if (count <= most) add_gradient_tile(t, count, vectors, swapped);    \
    break;
  switch (broadcasts) {
    TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#if SWAPPED_BROADCASTS > 6
    TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12)
#endif
  }
#undef TILE
}

static __attribute__((noinline)) void add_gradient_tiles_1(const gradient_tile *t, int broadcasts) {
  add_gradient_tiles(t, broadcasts, 1, 0);
}
static __attribute__((noinline)) void add_gradient_tiles_2(const gradient_tile *t, int broadcasts) {
  add_gradient_tiles(t, broadcasts, 2, 0);
}
static __attribute__((noinline)) void add_gradient_tiles_3(const gradient_tile *t, int broadcasts) {
  add_gradient_tiles(t, broadcasts, 3, 0);
}
static __attribute__((noinline)) void add_swapped_tiles_1(const gradient_tile *t, int broadcasts) {
  add_gradient_tiles(t, broadcasts, 1, 1);
}
static __attribute__((noinline)) void add_swapped_tiles_2(const gradient_tile *t, int broadcasts) {
  add_gradient_tiles(t, broadcasts, 2, 1);
}

/// For 1, 2, ... vectors, along the run and along the output channels.
static void (*const gradient_tiles[GRADIENT_VECTORS])(const gradient_tile *, int) = {
    add_gradient_tiles_1, add_gradient_tiles_2, add_gradient_tiles_3};
static void (*const swapped_gradient_tiles[SWAPPED_VECTORS])(const gradient_tile *, int) = {
    add_swapped_tiles_1, add_swapped_tiles_2};

/// Cuts `size` into pieces of at most `most` that differ by at most one; the start of piece `i`.
static int32_t piece_start(int32_t size, int32_t most, int32_t i) {
  int32_t pieces = ceil_div(size, most);
  return (int32_t)((int64_t)size * i / pieces);
}

/// Which operand runs along the lanes and how it is cut into tiles of whole vectors.
typedef struct gradient_plan {
  padded_images images;
  strip strip;
  int32_t run;          // floats of a kernel row
  int32_t swapped;      // lanes are output channels
  int32_t lanes;        // the lane operand's size: the run or the output channels
  int32_t broadcasts;   // the other operand's
  int32_t most_vectors, most_broadcasts;
  int32_t panels;       // the lane operand is copied into a panel for each column of tiles
  size_t copies, offsets, panel_offsets, panel, gradients, sums, sums_bytes, bytes;
} gradient_plan;

static gradient_plan plan_gradient(const sq_conv *s, int bytes) {
  gradient_plan p = {.images = forward_images(s), .run = s->kernel_width * s->in_channels};
  if (bytes) p.images.direct = 0;
  p.strip = strip_of(s->out_height, s->out_width, GRADIENT_STRIP_PIXELS);
  p.strip.images = smaller(p.strip.images, larger(1, s->batch));
  size_t pixels = (size_t)p.strip.images * p.strip.rows * s->out_width;

  // Lanes along the run unless that leaves more of them idle.
  int64_t along_run = (int64_t)round_up(p.run, SQ_LANES) * s->out_channels;
  int64_t along_outputs = (int64_t)round_up(s->out_channels, SQ_LANES) * p.run;
  p.swapped = along_outputs < along_run;
  p.lanes = p.swapped ? s->out_channels : p.run;
  p.broadcasts = p.swapped ? p.run : s->out_channels;
  p.most_vectors = p.swapped ? SWAPPED_VECTORS : GRADIENT_VECTORS;
  p.most_broadcasts = p.swapped ? SWAPPED_BROADCASTS : BROADCASTS;
  p.panels = !p.swapped && s->stride_x * s->in_channels >= 64 && s->out_channels >= 4 * BROADCASTS;

  p.copies = take(&p.bytes, p.images.direct ? 0 : sizeof(float) * p.strip.images * image_floats(&p.images));
  p.offsets = take(&p.bytes, sizeof(int32_t) * pixels);
  p.panel_offsets = take(&p.bytes, sizeof(int32_t) * pixels);
  p.panel = take(&p.bytes, p.panels ? sizeof(float) * pixels * GRADIENT_VECTORS * SQ_LANES : 0);
  p.gradients = take(&p.bytes, p.swapped ? 0 : sizeof(float) * pixels * s->out_channels);
  p.sums_bytes = sizeof(float) * s->kernel_height * round_up(p.lanes, SQ_LANES) * p.broadcasts;
  p.sums = take(&p.bytes, p.sums_bytes);
  return p;
}

/// [pixel][channels] in blocks of broadcast operands: [block][pixel][block's channels].
static void pack_gradients(const float *gradient, int32_t channels, int32_t pixels, float *to) {
  int32_t blocks = ceil_div(channels, BROADCASTS);
  for (int32_t block = 0; block < blocks; block++) {
    int32_t start = piece_start(channels, BROADCASTS, block);
    int32_t width = piece_start(channels, BROADCASTS, block + 1) - start;
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
    UNROLL for (int v = 0; v < vectors; v++) sq_store(to + v * SQ_LANES, sq_load(from + offsets[i] + v * SQ_LANES));
}

/// Adds a strip to all sums. `window` is the strip's first window, `gradient` its first output gradient.
static void add_strip(
    const gradient_plan *p, const sq_conv *s, const float *window, const float *gradient, int32_t pixels,
    char *scratch) {
  const int32_t *offsets = (const int32_t *)(scratch + p->offsets);
  int32_t *panel_offsets = (int32_t *)(scratch + p->panel_offsets);
  float *panel = (float *)(scratch + p->panel), *gradients = (float *)(scratch + p->gradients);
  float *sums = (float *)(scratch + p->sums);
  if (!p->swapped) pack_gradients(gradient, s->out_channels, pixels, gradients);
  int32_t vectors = ceil_div(p->lanes, SQ_LANES), columns = ceil_div(vectors, p->most_vectors);
  int32_t rows = ceil_div(p->broadcasts, p->most_broadcasts);
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
          swapped_gradient_tiles[tile_vectors - 1](&tile, width);
        } else {
          tile.by_step = gradients + (ptrdiff_t)start * pixels;
          tile.step = width;
          tile.by_offset = p->panels ? panel : lanes;
          tile.offsets = p->panels ? panel_offsets : offsets;
          gradient_tiles[tile_vectors - 1](&tile, width);
        }
        sums += width * tile_vectors * SQ_LANES;
      }
    }
  }
}

/// The sums, in the order of add_strip, as weights O,KH,KW,I.
static void write_gradient(const gradient_plan *p, const sq_conv *s, const float *sums, float *weight_gradient) {
  ptrdiff_t filter = (ptrdiff_t)s->kernel_height * p->run;
  int32_t vectors = ceil_div(p->lanes, SQ_LANES), columns = ceil_div(vectors, p->most_vectors);
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
static void weight_gradient_from(
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
      int32_t rows = smaller(p.strip.rows, s->out_height - y);
      add_strip(
          &p, s, source + (ptrdiff_t)y * s->stride_y * row, output_gradient + n * out_floats + y * out_row,
          images * rows * s->out_width, scratch);
    }
  }
  write_gradient(&p, s, sums, weight_gradient);
}

static void backward_weight(
    const sq_conv *s, const float *input, const float *output_gradient, float *weight_gradient, int32_t first,
    int32_t count, void *scratch) {
  if (s->groups > 1)
    SQ_NAME(sq_grouped_convolution).backward_weight(s, input, output_gradient, weight_gradient, first, count, scratch);
  else
    weight_gradient_from(s, input, NULL, output_gradient, weight_gradient, first, count, scratch);
}

static void backward_weight_u8(
    const sq_conv *s, const uint8_t *input, const float *output_gradient, float *weight_gradient, int32_t first,
    int32_t count, void *scratch) {
  if (s->groups > 1)
    SQ_NAME(sq_grouped_convolution)
        .backward_weight_u8(s, input, output_gradient, weight_gradient, first, count, scratch);
  else
    weight_gradient_from(s, NULL, input, output_gradient, weight_gradient, first, count, scratch);
}

static size_t scratch_bytes(const sq_conv *s) {
  if (s->groups > 1) return SQ_NAME(sq_grouped_convolution).scratch_bytes(s);
  winograd_shape w = forward_winograd(s), back = backward_winograd(s);
  const size_t needs[] = {
      uses_winograd(s, &w) ? plan_winograd(&w).bytes : plan_forward(s).bytes,
      uses_winograd(s, &back) ? plan_winograd(&back).bytes : plan_backward(s).bytes,
      plan_gradient(s, 1).bytes};
  size_t most = 0;
  for (int i = 0; i < 3; i++)
    if (most < needs[i]) most = needs[i];
  return most;
}

const sq_convolution_kernels SQ_NAME(sq_float_convolution) = {
    .scratch_bytes = scratch_bytes,
    .forward_packed_count = forward_packed_count,
    .forward_pack = forward_pack,
    .forward = forward,
    .backward_input_packed_count = backward_input_packed_count,
    .backward_input_pack = backward_input_pack,
    .backward_input = backward_input,
    .backward_weight = backward_weight,
    .backward_weight_u8 = backward_weight_u8,
};

SQ_KERNELS_END
