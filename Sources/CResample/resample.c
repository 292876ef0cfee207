#include "CResample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Weights are rounded once, to 22 bits, whatever the machine could fuse before.
#pragma STDC FP_CONTRACT OFF

enum { FRACTION = 22, CHANNELS = 3 };

// What one output pixel takes: `count` input pixels from `start` on.
typedef struct {
  int start, count;
} span;

// The filter along one axis, for the outputs of a window.
typedef struct {
  span *spans;
  int32_t *weights;  // `most` for each output
  int most;
  size_t span_capacity, weight_capacity;
} filter;

struct cresample_workspace {
  filter columns, rows;
  uint8_t *squeezed;  // rows of the window's width
  int32_t *sums;      // one row
  size_t squeezed_capacity, sums_capacity;
};

static int reserve(void **memory, size_t *capacity, size_t bytes) {
  if (bytes <= *capacity) return 0;
  void *grown = malloc(bytes);
  if (!grown) return -1;
  free(*memory);
  *memory = grown;
  *capacity = bytes;
  return 0;
}

static double triangle(double x) {
  const double distance = fabs(x);
  return distance < 1 ? 1 - distance : 0;
}

static int prepare(filter *filter, int in, int out, int first, int count) {
  const double scale = (double)in / out;
  const double half_width = scale < 1 ? 1 : scale;
  const double inverse = 1 / half_width;
  filter->most = (int)ceil(half_width) * 2 + 1;
  const size_t weights = (size_t)count * (size_t)filter->most;
  if (reserve((void **)&filter->spans, &filter->span_capacity, (size_t)count * sizeof(span)) ||
      reserve((void **)&filter->weights, &filter->weight_capacity, weights * sizeof(int32_t)))
    return -1;
  for (int i = 0; i < count; i++) {
    const double centre = (first + i + 0.5) * scale;
    int start = (int)(centre - half_width + 0.5);
    if (start < 0) start = 0;
    int end = (int)(centre + half_width + 0.5);
    if (end > in) end = in;
    int32_t *to = filter->weights + (size_t)i * (size_t)filter->most;
    double sum = 0;
    for (int x = start; x < end; x++) sum += triangle((x - centre + 0.5) * inverse);
    for (int x = start; x < end; x++) {
      const double weight = triangle((x - centre + 0.5) * inverse) / sum;
      to[x - start] = (int32_t)(0.5 + weight * (1 << FRACTION));
    }
    filter->spans[i] = (span){start, end - start};
  }
  return 0;
}

static uint8_t rounded(int32_t sum) {
  const int32_t value = sum >> FRACTION;
  return (uint8_t)(value > 255 ? 255 : value);
}

// One row of the source to one row of `count` pixels.
static void squeeze_columns(const filter *filter, const uint8_t *row, int count, uint8_t *to) {
  for (int i = 0; i < count; i++) {
    const int32_t *weights = filter->weights + (size_t)i * (size_t)filter->most;
    const uint8_t *from = row + (size_t)filter->spans[i].start * CHANNELS;
    int32_t red = 1 << (FRACTION - 1), green = red, blue = red;
    for (int x = 0; x < filter->spans[i].count; x++, from += CHANNELS) {
      red += from[0] * weights[x];
      green += from[1] * weights[x];
      blue += from[2] * weights[x];
    }
    to[0] = rounded(red);
    to[1] = rounded(green);
    to[2] = rounded(blue);
    to += CHANNELS;
  }
}

// `width` bytes of several rows to those of one.
static void squeeze_rows(
    const int32_t *weights, int count, const uint8_t *rows, size_t stride, size_t width, int32_t *restrict sums,
    uint8_t *restrict to) {
  for (size_t x = 0; x < width; x++) sums[x] = 1 << (FRACTION - 1);
  for (int y = 0; y < count; y++) {
    const uint8_t *row = rows + (size_t)y * stride;
    const int32_t weight = weights[y];
    for (size_t x = 0; x < width; x++) sums[x] += row[x] * weight;
  }
  for (size_t x = 0; x < width; x++) to[x] = rounded(sums[x]);
}

cresample_workspace *cresample_create(void) { return calloc(1, sizeof(cresample_workspace)); }

void cresample_free(cresample_workspace *workspace) {
  if (!workspace) return;
  free(workspace->columns.spans);
  free(workspace->columns.weights);
  free(workspace->rows.spans);
  free(workspace->rows.weights);
  free(workspace->squeezed);
  free(workspace->sums);
  free(workspace);
}

int cresample_resize(
    cresample_workspace *workspace, cresample_image image, int width, int height, cresample_window window,
    uint8_t *target, size_t stride) {
  const size_t row_bytes = (size_t)window.width * CHANNELS;
  filter *rows = &workspace->rows, *columns = &workspace->columns;
  const int changes_rows = height != image.height;
  // The rows of the source that the window needs.
  int first = window.top, end = window.top + window.height;
  if (changes_rows) {
    if (prepare(rows, image.height, height, window.top, window.height)) return -1;
    const span last = rows->spans[window.height - 1];
    first = rows->spans[0].start;
    end = last.start + last.count;
  }
  const uint8_t *between = image.pixels + (size_t)first * image.stride + (size_t)window.left * CHANNELS;
  size_t between_stride = image.stride;
  if (width != image.width) {
    if (prepare(columns, image.width, width, window.left, window.width)) return -1;
    uint8_t *to = target;
    between_stride = stride;
    if (changes_rows) {
      between_stride = row_bytes;
      if (reserve((void **)&workspace->squeezed, &workspace->squeezed_capacity, (size_t)(end - first) * row_bytes))
        return -1;
      to = workspace->squeezed;
    }
    for (int y = first; y < end; y++)
      squeeze_columns(
          columns, image.pixels + (size_t)y * image.stride, window.width, to + (size_t)(y - first) * between_stride);
    between = to;
  }
  if (changes_rows) {
    if (reserve((void **)&workspace->sums, &workspace->sums_capacity, row_bytes * sizeof(int32_t))) return -1;
    for (int y = 0; y < window.height; y++)
      squeeze_rows(
          rows->weights + (size_t)y * (size_t)rows->most, rows->spans[y].count,
          between + (size_t)(rows->spans[y].start - first) * between_stride, between_stride, row_bytes, workspace->sums,
          target + (size_t)y * stride);
  } else if (between != target) {
    for (int y = 0; y < window.height; y++)
      memcpy(target + (size_t)y * stride, between + (size_t)y * between_stride, row_bytes);
  }
  return 0;
}
