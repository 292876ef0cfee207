#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "CGzip.h"

static int fail(char *error, const char *reason) {
  snprintf(error, CGZIP_ERROR_SIZE, "%s", reason);
  return -1;
}

// Inflates every member of the file, growing `*plain` up to one byte more than the limit, which tells "too large".
static int inflate_all(z_stream *stream, size_t left, size_t limit, uint8_t **plain, size_t *plain_count, char *error) {
  size_t capacity = 0;
  for (;;) {
    if (*plain_count == capacity) {
      if (capacity > limit) return fail(error, "it holds more than the data set's files");
      capacity = capacity == 0 ? 1 << 16 : 2 * capacity;
      if (capacity > limit) capacity = limit + 1;
      uint8_t *grown = realloc(*plain, capacity);
      if (!grown) return fail(error, "out of memory");
      *plain = grown;
    }
    if (stream->avail_in == 0) {
      stream->avail_in = left > UINT_MAX ? UINT_MAX : (uInt)left;
      left -= stream->avail_in;
    }
    const size_t room = capacity - *plain_count;
    const uInt step = room > UINT_MAX ? UINT_MAX : (uInt)room;
    stream->next_out = *plain + *plain_count;
    stream->avail_out = step;
    const int status = inflate(stream, Z_NO_FLUSH);
    *plain_count += step - stream->avail_out;
    if (status == Z_STREAM_END) {
      // Another member may follow; anything else after the end is padding.
      if (stream->avail_in < 2 || stream->next_in[0] != 0x1f || stream->next_in[1] != 0x8b) return 0;
      if (inflateReset(stream) != Z_OK) return fail(error, "out of memory");
    } else if (
        status == Z_BUF_ERROR || (status == Z_OK && stream->avail_in == 0 && left == 0 && stream->avail_out != 0)) {
      return fail(error, "the gzip file is truncated");
    } else if (status == Z_MEM_ERROR) {
      return fail(error, "out of memory");
    } else if (status != Z_OK) {
      return fail(error, "the gzip file is damaged");
    }
  }
}

int cgzip_decompress(
    const uint8_t *bytes, size_t count, size_t limit, uint8_t **plain, size_t *plain_count, char *error) {
  if (count < 2 || bytes[0] != 0x1f || bytes[1] != 0x8b) return fail(error, "not a gzip file");
  z_stream stream = {.next_in = (Bytef *)bytes};
  // 16: expect the gzip wrapper and check its CRC.
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return fail(error, "out of memory");
  *plain = NULL;
  *plain_count = 0;
  const int status = inflate_all(&stream, count, limit, plain, plain_count, error);
  inflateEnd(&stream);
  if (status != 0) {
    free(*plain);
    *plain = NULL;
  }
  return status;
}

void cgzip_free(uint8_t *memory) { free(memory); }
