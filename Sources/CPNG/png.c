#include "CPNG.h"

#include <png.h>
#include <setjmp.h>
#include <stdbool.h>
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

static bool starts_with(const uint8_t *bytes, size_t count, const char *start, size_t length) {
  return count >= length && memcmp(bytes, start, length) == 0;
}

// What a file without a PNG's signature is, as far as its first bytes tell.
static const char *other_kind(const uint8_t *bytes, size_t count) {
  // Line ends were changed, the eighth bit was cut off, or bytes that are no text were replaced (as UTF-8 or Latin-1).
  static const char damaged[][7] = {"\x89PNG", "\tPNG\r", "\xEF\xBF\xBDPNG", "\xC2\x89PNG"};
  static const size_t lengths[] = {4, 5, 6, 5};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
    if (starts_with(bytes, count, damaged[i], lengths[i]))
      return "damaged by a transfer in text mode, which changes line ends and more: copy it again in binary mode";
  if (starts_with(bytes, count, "\xFF\xD8\xFF", 3)) return "not a PNG file but a JPEG file";
  if (starts_with(bytes, count, "GIF8", 4)) return "not a PNG file but a GIF file";
  if (starts_with(bytes, count, "RIFF", 4)) return "not a PNG file but a WebP file";
  if (starts_with(bytes, count, "version https://git-lfs", 23)) return "not a PNG file but a pointer of Git LFS";
  return "not a PNG file";
}

int cpng_read_size(const uint8_t *bytes, size_t count, cpng_size *size, char *error) {
  static const uint8_t header[] = {0, 0, 0, 13, 'I', 'H', 'D', 'R'};
  if (count == 0) {
    explain(error, "the file is empty");
    return -1;
  }
  if (png_sig_cmp(bytes, 0, count < 8 ? count : 8) != 0) {
    explain(error, other_kind(bytes, count));
    return -1;
  }
  if (count >= 16 && memcmp(bytes + 12, "CgBI", 4) == 0) {
    explain(
        error,
        "Apple's variant of PNG (CgBI), as Xcode writes it: convert it with 'pngcrush -revert-iphone-optimizations'");
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

// Replaces a row of palette indices, a byte each, by three times as many bytes of RGB in the same memory.
static void apply_palette(png_structp png, uint8_t *row, uint32_t width, const png_color *palette, int colors) {
  for (uint32_t x = width; x-- > 0;) {
    const int index = row[x];
    if (index >= colors) {
      char reason[64];
      snprintf(reason, sizeof reason, "a pixel has palette index %d, and the palette %d colours", index, colors);
      png_error(png, reason);
    }
    row[3 * (size_t)x] = palette[index].red;
    row[3 * (size_t)x + 1] = palette[index].green;
    row[3 * (size_t)x + 2] = palette[index].blue;
  }
}

// No local of this function changes after setjmp, so none is indeterminate after the jump.
static int decode(png_structp png, png_infop info, cpng_size size, uint32_t rows, uint8_t *pixels) {
  if (setjmp(png_jmpbuf(png))) return -1;
  png_set_user_limits(png, size.width, size.height);
  png_set_chunk_malloc_max(png, 1 << 20);
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  // -1: all ancillary chunks but tRNS; none of them changes a pixel here.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_read_info(png, info);
  if (png_get_image_width(png, info) != size.width || png_get_image_height(png, info) != size.height)
    png_error(png, "the image has another size than its header says");
  // libpng expands a palette without looking whether it has the colour, so that is done here.
  const bool is_indexed = png_get_color_type(png, info) == PNG_COLOR_TYPE_PALETTE;
  if (is_indexed) {
    png_set_packing(png);
  } else {
    png_set_expand_gray_1_2_4_to_8(png);
    png_set_scale_16(png);
    png_set_strip_alpha(png);
    png_set_gray_to_rgb(png);
  }
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  const size_t row_bytes = (size_t)size.width * 3;
  if (png_get_rowbytes(png, info) != (is_indexed ? size.width : row_bytes))
    png_error(png, "the image does not decode to 8-bit RGB");
  // Interlaced rows come in pieces, the last of them in the last pass.
  const bool is_whole = passes > 1 || rows >= size.height;
  const uint32_t height = is_whole ? size.height : rows;
  for (int pass = 0; pass < passes; pass++)
    for (uint32_t y = 0; y < height; y++) png_read_row(png, pixels + y * row_bytes, NULL);
  if (is_whole) png_read_end(png, NULL);
  if (is_indexed) {
    png_colorp palette = NULL;
    int colors = 0;
    png_get_PLTE(png, info, &palette, &colors);
    for (uint32_t y = 0; y < height; y++) apply_palette(png, pixels + y * row_bytes, size.width, palette, colors);
  }
  return 0;
}

bool cpng_is_deep(const uint8_t *bytes) { return bytes[24] == 16; }

int cpng_decode(const uint8_t *bytes, size_t count, cpng_size size, uint32_t rows, uint8_t *pixels, char *error) {
  explain(error, "out of memory");
  source from = {bytes, count};
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, error, on_error, on_warning);
  if (!png) return -1;
  png_infop info = png_create_info_struct(png);
  int status = -1;
  if (info) {
    png_set_read_fn(png, &from, read_bytes);
    status = decode(png, info, size, rows, pixels);
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
