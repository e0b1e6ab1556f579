/* block_file.h - files of the host that hold disk images: whole reads and writes, size, sync, holes, locks. */
#ifndef FRONTENDS_HOST_BLOCK_FILE_H
#define FRONTENDS_HOST_BLOCK_FILE_H

#include "mem/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host_file {
    int fd;
    uint64_t base; /* where it begins in the host's file: a part of an archive is a file too */
    uint64_t size; /* bytes; writes behind it grow it */
    bool is_readonly;
    bool is_unsafe; /* host_file_sync does nothing (cache=unsafe) */
    bool is_device; /* a block device: its size is fixed */
    char *path;
};

/* Opens `path` for reading, and for writing unless `is_readonly`; file->is_readonly tells when only reading was possible.
 * Refuses what is no file or block device before a FIFO could block, and an empty one. NULL with `err` and a hint. */
struct host_file *host_file_open(const char *path, bool is_readonly, struct error *err);
/* A part of a file, for reading. */
struct host_file *host_file_open_part(const char *path, uint64_t base, uint64_t size, struct error *err);
/* A new, empty file, locked; replaces one that nobody uses. */
struct host_file *host_file_create(const char *path, struct error *err);
void host_file_close(struct host_file *file);
/* One writer, or any number of readers. False with `err` when another program (or we) holds it. A host file system without
 * locks is no reason to refuse. */
bool host_file_lock(struct host_file *file, struct error *err);

/* Reads `size` bytes at `offset`; what lies behind the file's end is zero. False with errno. */
bool host_file_read(struct host_file *file, uint64_t offset, void *bytes, size_t size);
bool host_file_write(struct host_file *file, uint64_t offset, const void *bytes, size_t size);
bool host_file_resize(struct host_file *file, uint64_t size);
/* Returns when data is on stable storage. */
bool host_file_sync(struct host_file *file);
/* Gives a range back to the host, which reads as zeros then. False where the host cannot. */
bool host_file_punch(struct host_file *file, uint64_t offset, uint64_t size);
/* Whether data or a hole is at `offset`, and where that ends (at most at the file's end). */
bool host_file_is_hole(struct host_file *file, uint64_t offset, uint64_t *end);
/* Bytes that the file takes on the host's disk. */
uint64_t host_file_allocated(const struct host_file *file);
/* A new UUID (RFC 4122, version 4). */
void block_make_uuid(const struct host_file *file, uint8_t uuid[16]);
/* Time of last modification in ns since 1970; 0: unknown. */
uint64_t host_file_mtime_ns(const struct host_file *file);

#endif
