#ifndef SQ_PADDED_IMAGES_H
#define SQ_PADDED_IMAGES_H

// Copies of images with zeros around them, and the pixels that a kernel works on at a time.

#include "arithmetic.h"
#include "vector.h"

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
  return (strip){1, divide_up(height, divide_up(height, rows))};
}

/// offsets[i] of the pixels of a strip in row order.
static void fill_offsets(
    strip s, int32_t width, ptrdiff_t image_step, ptrdiff_t row_step, ptrdiff_t pixel_step, int32_t *offsets) {
  for (int32_t image = 0; image < s.images; image++)
    for (int32_t row = 0; row < s.rows; row++)
      for (int32_t x = 0; x < width; x++) *offsets++ = (int32_t)(image * image_step + row * row_step + x * pixel_step);
}

#endif
