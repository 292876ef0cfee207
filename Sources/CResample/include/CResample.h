// Antialiased bilinear resampling of 8-bit RGB images, in the fixed-point arithmetic of Pillow's
// Image.resize(BILINEAR): the same bits as its versions up to 12 give, which squeeze the columns of every row before
// the rows.
#ifndef CRESAMPLE_H
#define CRESAMPLE_H

#include <stddef.h>
#include <stdint.h>

// Memory for one image at a time, which grows with the largest that it has seen. One a thread.
typedef struct cresample_workspace cresample_workspace;

// An image, or a rectangle of one: interleaved RGB, rows `stride` bytes apart.
typedef struct {
  const uint8_t *pixels;
  size_t stride;
  int width, height;
} cresample_image;

// The part of the resized image that is wanted: nothing else is computed.
typedef struct {
  int left, top, width, height;
} cresample_window;

// NULL where memory is lacking.
cresample_workspace *cresample_create(void);
void cresample_free(cresample_workspace *workspace);

/// Resizes `image` to `width` × `height` and writes `window` of it to `target`, rows `stride` bytes apart. Pixel i of
/// an axis that shrinks or grows by s = in / out is the mean of the input under a triangle about (i + 1/2)·s with
/// half-width max(s, 1), in weights of 22 bits; the columns' pass is rounded to 8 bits before the rows'; a pass that
/// changes no size is left out. All sizes are at least 1, and the window lies within the resized image. Returns -1
/// where memory is lacking, else 0.
int cresample_resize(
    cresample_workspace *workspace, cresample_image image, int width, int height, cresample_window window,
    uint8_t *target, size_t stride);

#endif
