#include "CPNG.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void explain(char *error, const char *reason) { snprintf(error, CPNG_ERROR_SIZE, "%s", reason); }

static void on_error(png_structp png, png_const_charp reason) {
  explain(png_get_error_ptr(png), reason);
  longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp reason) {
  (void)png;
  (void)reason;
}

// ---- Reading

typedef struct {
  const uint8_t *next;
  size_t left;
} source;

static void read_bytes(png_structp png, png_bytep to, size_t count) {
  source *from = png_get_io_ptr(png);
  if (count > from->left) png_error(png, "the file is truncated");
  memcpy(to, from->next, count);
  from->next += count;
  from->left -= count;
}

static uint32_t big_endian(const uint8_t *bytes) {
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

int cpng_read_size(const uint8_t *bytes, size_t count, cpng_size *size, char *error) {
  static const uint8_t header[] = {0, 0, 0, 13, 'I', 'H', 'D', 'R'};
  if (count == 0) {
    explain(error, "the file is empty");
    return -1;
  }
  if (png_sig_cmp(bytes, 0, count < 8 ? count : 8) != 0) {
    explain(error, "not a PNG file");
    return -1;
  }
  // Signature, chunk length and type, 13 bytes of IHDR, checksum.
  if (count < 8 + 8 + 13 + 4) {
    explain(error, "the file is truncated");
    return -1;
  }
  if (memcmp(bytes + 8, header, sizeof header) != 0) {
    explain(error, "damaged: the first chunk is not a PNG header");
    return -1;
  }
  size->width = big_endian(bytes + 16);
  size->height = big_endian(bytes + 20);
  if (size->width == 0 || size->height == 0 || size->width > PNG_UINT_31_MAX || size->height > PNG_UINT_31_MAX) {
    explain(error, "damaged: width or height is impossible");
    return -1;
  }
  return 0;
}

// No local of this function changes after setjmp, so none is indeterminate after the jump.
static int decode(png_structp png, png_infop info, cpng_size size, uint8_t *pixels) {
  if (setjmp(png_jmpbuf(png))) return -1;
  png_set_user_limits(png, size.width, size.height);
  png_set_chunk_malloc_max(png, 1 << 20);
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  // -1: all ancillary chunks but tRNS; none of them changes a pixel here.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_read_info(png, info);
  if (png_get_image_width(png, info) != size.width || png_get_image_height(png, info) != size.height)
    png_error(png, "the image has another size than its header says");
  png_set_palette_to_rgb(png);
  png_set_expand_gray_1_2_4_to_8(png);
  png_set_scale_16(png);
  png_set_strip_alpha(png);
  png_set_gray_to_rgb(png);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  const size_t row_bytes = (size_t)size.width * 3;
  if (png_get_rowbytes(png, info) != row_bytes) png_error(png, "the image does not decode to 8-bit RGB");
  for (int pass = 0; pass < passes; pass++)
    for (uint32_t y = 0; y < size.height; y++) png_read_row(png, pixels + y * row_bytes, NULL);
  png_read_end(png, NULL);
  return 0;
}

int cpng_decode(const uint8_t *bytes, size_t count, cpng_size size, uint8_t *pixels, char *error) {
  explain(error, "out of memory");
  source from = {bytes, count};
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, error, on_error, on_warning);
  if (!png) return -1;
  png_infop info = png_create_info_struct(png);
  int status = -1;
  if (info) {
    png_set_read_fn(png, &from, read_bytes);
    status = decode(png, info, size, pixels);
  }
  png_destroy_read_struct(&png, &info, NULL);
  return status;
}

// ---- Writing

typedef struct {
  uint8_t *bytes;
  size_t count, capacity;
} sink;

static void write_bytes(png_structp png, png_bytep from, size_t count) {
  sink *to = png_get_io_ptr(png);
  if (count > to->capacity - to->count) {
    const size_t capacity = 2 * (to->count + count);
    uint8_t *grown = realloc(to->bytes, capacity);
    if (!grown) png_error(png, "out of memory");
    to->bytes = grown;
    to->capacity = capacity;
  }
  memcpy(to->bytes + to->count, from, count);
  to->count += count;
}

static void flush_nothing(png_structp png) { (void)png; }

static int encode(png_structp png, png_infop info, const uint8_t *pixels, cpng_size size, int channels) {
  if (setjmp(png_jmpbuf(png))) return -1;
  const int color = channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB;
  png_set_IHDR(
      png, info, size.width, size.height, 8, color, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
      PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (uint32_t y = 0; y < size.height; y++) png_write_row(png, pixels + (size_t)y * size.width * (size_t)channels);
  png_write_end(png, NULL);
  return 0;
}

int cpng_encode(
    const uint8_t *pixels, cpng_size size, int channels, uint8_t **encoded, size_t *encoded_count, char *error) {
  explain(error, "out of memory");
  sink to = {NULL, 0, 0};
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, error, on_error, on_warning);
  if (!png) return -1;
  png_infop info = png_create_info_struct(png);
  int status = -1;
  if (info) {
    png_set_write_fn(png, &to, write_bytes, flush_nothing);
    status = encode(png, info, pixels, size, channels);
  }
  png_destroy_write_struct(&png, &info);
  if (status != 0) {
    free(to.bytes);
    return -1;
  }
  *encoded = to.bytes;
  *encoded_count = to.count;
  return 0;
}

void cpng_free(uint8_t *memory) { free(memory); }

const char *cpng_version(void) { return png_get_libpng_ver(NULL); }
