// A thin shim over libpng for 8-bit images in memory. libpng's longjmp ends inside it.
//
// Every function that can fail returns 0 on success and -1 on failure, having written a reason without file name and
// without full stop to `error`, a buffer of CPNG_ERROR_SIZE bytes.
#ifndef CPNG_H
#define CPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CPNG_ERROR_SIZE = 160 };

/// Width and height in pixels.
typedef struct {
  uint32_t width, height;
} cpng_size;

/// Reads a PNG's size from its first 33 bytes. Takes no memory, so that a caller can refuse sizes before allocating.
int cpng_read_size(const uint8_t *bytes, size_t count, cpng_size *size, char *error);

/// Whether samples have 16 bits, of a file whose size could be read.
bool cpng_is_deep(const uint8_t *bytes);

/// Decodes a PNG of exactly `size` to 8-bit RGB, interleaved: `size.height * size.width * 3` bytes at `pixels`.
/// With fewer `rows` than the image has, the first ones at least, and the rest of the file is not looked at.
/// Palette and 1-, 2- and 4-bit gray are expanded, gray is replicated, 16 bits are scaled, alpha and tRNS are dropped
/// without blending, interlacing is undone, gamma and colour profiles are ignored. A wrong checksum in any chunk, a
/// missing end, or a pixel whose colour its palette lacks is an error.
int cpng_decode(const uint8_t *bytes, size_t count, cpng_size size, uint32_t rows, uint8_t *pixels, char *error);

/// Encodes 8-bit gray (`channels` 1) or RGB (`channels` 3) pixels. `*encoded` is the caller's, to pass to `cpng_free`.
int cpng_encode(
    const uint8_t *pixels, cpng_size size, int channels, uint8_t **encoded, size_t *encoded_count, char *error);

void cpng_free(uint8_t *memory);

/// The version of the libpng in use, such as "1.6.39".
const char *cpng_version(void);

#endif
