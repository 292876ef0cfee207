// Decompression of whole gzip files in memory, over zlib.
#ifndef CGZIP_H
#define CGZIP_H

#include <stddef.h>
#include <stdint.h>

enum { CGZIP_ERROR_SIZE = 64 };

/// Decompresses a gzip file of at most `limit` bytes once decompressed.
///
/// Returns 0, and the caller's memory in `*plain`, to be passed to `cgzip_free`; or -1, having written a reason without
/// file name and full stop to `error`, a buffer of CGZIP_ERROR_SIZE bytes.
int cgzip_decompress(
    const uint8_t *bytes, size_t count, size_t limit, uint8_t **plain, size_t *plain_count, char *error);

void cgzip_free(uint8_t *memory);

#endif
