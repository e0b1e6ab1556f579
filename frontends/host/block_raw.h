/* block_raw.h - raw disk images: the driver, and whole reads and writes of host files. */
#ifndef FRONTENDS_HOST_BLOCK_RAW_H
#define FRONTENDS_HOST_BLOCK_RAW_H

#include "frontends/host/block.h"

#include <stddef.h>

extern const struct block_driver block_raw_driver;

/* Opens `path` for reading (and writing). Refuses what is no file or block device, before a FIFO could block. Returns the
 * descriptor, or -1 with `err` and a hint set; `*size` is its size in bytes. `*is_readonly` is set when only that was
 * possible. */
int host_file_open(const char *path, bool *is_readonly, uint64_t *size, struct error *err);
/* Reads `size` bytes at `offset`; what lies behind the file's end is zero. */
bool host_file_read(int fd, uint64_t offset, void *bytes, size_t size);
bool host_file_write(int fd, uint64_t offset, const void *bytes, size_t size);

#endif
