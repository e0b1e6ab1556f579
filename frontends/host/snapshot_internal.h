/* snapshot_internal.h - the layout of snapshot files, for those who write and read them. */
#ifndef FRONTENDS_HOST_SNAPSHOT_INTERNAL_H
#define FRONTENDS_HOST_SNAPSHOT_INTERNAL_H

#include "frontends/host/snapshot_file.h"
#include "mem/state.h"

#define SNAPSHOT_MAGIC "tick86 snapshot\n"
enum { SNAPSHOT_VERSION = 1, SNAPSHOT_HEAD = 64, SNAPSHOT_ALIGNMENT = 65536, RUN_PAGES = 256, RUN_BYTES = 29 };

enum run_kind { RUN_ZERO, RUN_RAW, RUN_ZSTD, RUN_PARENT };

/* Pages that are stored together. */
struct run {
    uint64_t first;
    uint32_t count;
    uint8_t kind;
    uint64_t offset;
    uint32_t stored, crc; /* bytes in the file; CRC-32 of the pages themselves */
};

struct bytes {
    uint8_t *data;
    size_t size, capacity;
};
bool bytes_put(struct bytes *bytes, const void *from, size_t size);
bool bytes_put_number(struct bytes *bytes, uint64_t value, size_t size);

#endif
