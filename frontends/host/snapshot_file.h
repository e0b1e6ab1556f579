/* snapshot_file.h - files of named parts and of memory pages: snapshots, checkpoints, start states of recordings.
 *
 * docs/snapshot-format.md has the layout. A file is written beside its place and renamed when it is whole and on the disk, so
 * that a crash leaves the old one. Pages of zeros take no space; pages that a parent file has are not written again. */
#ifndef FRONTENDS_HOST_SNAPSHOT_FILE_H
#define FRONTENDS_HOST_SNAPSHOT_FILE_H

#include "mem/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SNAPSHOT_PAGE = 4096, SNAPSHOT_PATH_MAX = 4096 };

struct snapshot_writer;
struct snapshot;

/* `parent` (may be NULL) is what pages may refer to; `is_compressed`: pages are packed with zstd. */
struct snapshot_writer *snapshot_create(const char *path, const struct snapshot *parent, bool is_compressed,
                                        struct error *err);
/* A part by name; readers refuse parts that they do not know, but for those whose name begins with '?'. */
bool snapshot_put(struct snapshot_writer *writer, const char *name, const void *bytes, size_t size);
/* Pages of a memory, in ascending order; those left out are not there. `is_linear`: laid out so that the whole can be mapped. */
bool snapshot_begin_pages(struct snapshot_writer *writer, const char *name, uint64_t size, bool is_linear);
bool snapshot_put_pages(struct snapshot_writer *writer, uint64_t first, uint32_t count, const uint8_t *bytes);
bool snapshot_put_parents(struct snapshot_writer *writer, uint64_t first, uint32_t count);
bool snapshot_end_pages(struct snapshot_writer *writer);
/* Whole, synced and renamed; or thrown away, when something failed or `is_wanted` is false. Frees the writer. */
bool snapshot_finish(struct snapshot_writer *writer, bool is_wanted, struct error *err);

/* Reads header and parts, of the parents too, and checks them. NULL with `err` set. */
struct snapshot *snapshot_open(const char *path, struct error *err);
void snapshot_close(struct snapshot *snapshot);
const char *snapshot_path(const struct snapshot *snapshot);
/* What stands for its whole content but the pages. */
uint64_t snapshot_id(const struct snapshot *snapshot);
const struct snapshot *snapshot_parent(const struct snapshot *snapshot);
/* The part of that name, or NULL. It stays the snapshot's. */
const uint8_t *snapshot_part(const struct snapshot *snapshot, const char *name, size_t *size);
/* The n-th part's name, NULL past the last. */
const char *snapshot_part_name(const struct snapshot *snapshot, unsigned n);

/* Size of the memory of that name; 0: none. */
uint64_t snapshot_pages_size(const struct snapshot *snapshot, const char *name);
/* Calls `visit` with all pages there are, parents' first, checked; `bytes` NULL: zeros. */
typedef bool snapshot_visit_fn(void *context, uint64_t first, uint32_t count, const uint8_t *bytes);
bool snapshot_visit_pages(const struct snapshot *snapshot, const char *name, snapshot_visit_fn *visit, void *context,
                          struct error *err);
/* Fills a memory of that size. */
bool snapshot_read_memory(const struct snapshot *snapshot, const char *name, uint8_t *bytes, struct error *err);
/* Maps it copy-on-write, unchecked; NULL where that cannot be done (`err` is not set) or the host refuses. */
uint8_t *snapshot_map_memory(const struct snapshot *snapshot, const char *name);

#endif
