/* snapshot_file.c - writes snapshot files; see snapshot_file.h, and docs/snapshot-format.md for the layout. */
#define _FILE_OFFSET_BITS 64
#define _DEFAULT_SOURCE
#include "frontends/host/snapshot_internal.h"

#include "mem/space.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#if TICK86_ZSTD
#include <zstd.h>
#endif

struct snapshot_writer {
    char path[SNAPSHOT_PATH_MAX], temporary[SNAPSHOT_PATH_MAX + 16];
    int fd;
    uint64_t end; /* of what was written */
    struct bytes meta;
    /* The pages that are being put. */
    struct bytes table;
    char name[64];
    uint64_t size, linear_offset;
    uint32_t runs;
    bool is_linear, is_compressed;
    bool has_failed;
    int error; /* errno of the first failure */
};

bool bytes_put(struct bytes *bytes, const void *from, size_t size)
{
    if (bytes->size + size > bytes->capacity) {
        size_t capacity = (bytes->size + size) * 2 + 256;
        uint8_t *grown = realloc(bytes->data, capacity);
        if (grown == NULL) {
            return false;
        }
        bytes->data = grown;
        bytes->capacity = capacity;
    }
    if (size != 0) {
        memcpy(bytes->data + bytes->size, from, size);
    }
    bytes->size += size;
    return true;
}

bool bytes_put_number(struct bytes *bytes, uint64_t value, size_t size)
{
    uint8_t le[8];

    store_le64(le, value);
    return bytes_put(bytes, le, size);
}

static bool failed(struct snapshot_writer *writer)
{
    if (!writer->has_failed) {
        writer->has_failed = true;
        writer->error = errno != 0 ? errno : ENOMEM;
    }
    return false;
}

static bool write_at(struct snapshot_writer *writer, uint64_t offset, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    while (size != 0) {
        ssize_t done = pwrite(writer->fd, at, size, (off_t)offset);
        if (done <= 0) {
            if (done < 0 && errno == EINTR) {
                continue;
            }
            errno = done == 0 ? ENOSPC : errno;
            return failed(writer);
        }
        at += done;
        size -= (size_t)done;
        offset += (uint64_t)done;
    }
    writer->end = offset > writer->end ? offset : writer->end;
    return true;
}

/* A parent is named from the folder of the child when it lies in the same one. */
static bool put_parent(struct snapshot_writer *writer, const struct snapshot *parent)
{
    const char *name = snapshot_path(parent), *slash = strrchr(name, '/'), *own = strrchr(writer->path, '/');
    size_t folder = slash != NULL ? (size_t)(slash - name) + 1 : 0;
    struct bytes bytes = { 0 };

    if (folder == (own != NULL ? (size_t)(own - writer->path) + 1 : 0) && strncmp(name, writer->path, folder) == 0) {
        name += folder;
    }
    bool is_good = bytes_put_number(&bytes, snapshot_id(parent), 8) && bytes_put(&bytes, name, strlen(name)) &&
                   snapshot_put(writer, "parent", bytes.data, bytes.size);
    free(bytes.data);
    return is_good;
}

struct snapshot_writer *snapshot_create(const char *path, const struct snapshot *parent, bool is_compressed,
                                        struct error *err)
{
    struct snapshot_writer *writer = calloc(1, sizeof *writer);

    if (writer == NULL || strlen(path) >= sizeof writer->path) {
        free(writer);
        error_set(err, "cannot write snapshot '%.200s': %s", path, writer == NULL ? "out of memory" : "the name is too long");
        return NULL;
    }
#if !TICK86_ZSTD
    if (is_compressed) {
        free(writer);
        error_set(err, "cannot compress snapshot '%s': built without libzstd", path);
        error_hint(err, "leave compression out");
        return NULL;
    }
#endif
    snprintf(writer->path, sizeof writer->path, "%s", path);
    snprintf(writer->temporary, sizeof writer->temporary, "%s.new", path);
    writer->is_compressed = is_compressed;
    unlink(writer->temporary); /* of a crash */
    writer->fd = open(writer->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (writer->fd < 0) {
        error_set(err, "cannot write snapshot '%s': %s", path, strerror(errno));
        error_hint(err, "check that the folder exists and you may write there");
        free(writer);
        return NULL;
    }
    writer->end = SNAPSHOT_ALIGNMENT;
    if (parent != NULL) {
        put_parent(writer, parent);
    }
    return writer;
}

bool snapshot_put(struct snapshot_writer *writer, const char *name, const void *bytes, size_t size)
{
    struct bytes *meta = &writer->meta;
    size_t length = strlen(name);

    return (bytes_put_number(meta, length, 1) && bytes_put(meta, name, length) && bytes_put_number(meta, size, 8) &&
            bytes_put(meta, bytes, size)) ||
           failed(writer);
}

bool snapshot_begin_pages(struct snapshot_writer *writer, const char *name, uint64_t size, bool is_linear)
{
    snprintf(writer->name, sizeof writer->name, "pages:%s", name);
    writer->size = size;
    writer->is_linear = is_linear && !writer->is_compressed;
    writer->runs = 0;
    writer->table.size = 0;
    writer->end = (writer->end + SNAPSHOT_ALIGNMENT - 1) / SNAPSHOT_ALIGNMENT * SNAPSHOT_ALIGNMENT;
    writer->linear_offset = writer->is_linear ? writer->end : 0;
    if (writer->is_linear) {
        writer->end += size;
    }
    return !writer->has_failed;
}

static bool put_run(struct snapshot_writer *writer, const struct run *run)
{
    struct bytes *table = &writer->table;

    writer->runs++;
    return (bytes_put_number(table, run->first, 8) && bytes_put_number(table, run->count, 4) &&
            bytes_put_number(table, run->kind, 1) && bytes_put_number(table, run->offset, 8) &&
            bytes_put_number(table, run->stored, 4) && bytes_put_number(table, run->crc, 4)) ||
           failed(writer);
}

static bool put_packed(struct snapshot_writer *writer, struct run *run, const uint8_t *bytes)
{
#if TICK86_ZSTD
    size_t size = (size_t)run->count * SNAPSHOT_PAGE, bound = ZSTD_compressBound(size);
    uint8_t *packed = malloc(bound);
    size_t packed_size = packed != NULL ? ZSTD_compress(packed, bound, bytes, size, 1) : 0;
    bool is_good = packed != NULL && !ZSTD_isError(packed_size);

    run->kind = RUN_ZSTD;
    run->offset = writer->end;
    run->stored = (uint32_t)packed_size;
    is_good = is_good ? write_at(writer, writer->end, packed, packed_size) : failed(writer);
    free(packed);
    return is_good;
#else
    (void)run;
    (void)bytes;
    return failed(writer);
#endif
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

bool snapshot_put_pages(struct snapshot_writer *writer, uint64_t first, uint32_t count, const uint8_t *bytes)
{
    while (count != 0 && !writer->has_failed) {
        struct run run = { .first = first, .kind = is_zero(bytes, SNAPSHOT_PAGE) ? RUN_ZERO : RUN_RAW };
        uint32_t limit = run.kind == RUN_ZERO ? count : count < RUN_PAGES ? count : RUN_PAGES;
        for (run.count = 1; run.count < limit; run.count++) {
            if (is_zero(bytes + (size_t)run.count * SNAPSHOT_PAGE, SNAPSHOT_PAGE) != (run.kind == RUN_ZERO)) {
                break;
            }
        }
        size_t size = (size_t)run.count * SNAPSHOT_PAGE;
        if (run.kind == RUN_RAW) {
            run.crc = (uint32_t)crc32(0, bytes, (uInt)size);
            run.stored = (uint32_t)size;
            run.offset = writer->is_linear ? writer->linear_offset + first * SNAPSHOT_PAGE : writer->end;
            if (writer->is_compressed ? !put_packed(writer, &run, bytes) : !write_at(writer, run.offset, bytes, size)) {
                return false;
            }
        }
        if (!put_run(writer, &run)) {
            return false;
        }
        bytes += size;
        first += run.count;
        count -= run.count;
    }
    return !writer->has_failed;
}

bool snapshot_put_parents(struct snapshot_writer *writer, uint64_t first, uint32_t count)
{
    struct run run = { .first = first, .count = count, .kind = RUN_PARENT };

    return put_run(writer, &run);
}

bool snapshot_end_pages(struct snapshot_writer *writer)
{
    struct bytes part = { 0 };

    bool is_good = bytes_put_number(&part, writer->size, 8) && bytes_put_number(&part, writer->is_linear, 4) &&
                   bytes_put_number(&part, writer->linear_offset, 8) && bytes_put_number(&part, writer->runs, 4) &&
                   bytes_put(&part, writer->table.data, writer->table.size);
    is_good = is_good ? snapshot_put(writer, writer->name, part.data, part.size) : failed(writer);
    free(part.data);
    return is_good;
}

static bool write_head(struct snapshot_writer *writer)
{
    uint8_t head[SNAPSHOT_HEAD] = { 0 };
    uint64_t meta_offset = writer->end;

    if (!bytes_put_number(&writer->meta, 0, 1)) {
        return failed(writer);
    }
    memcpy(head, SNAPSHOT_MAGIC, 16);
    store_le32(head + 16, SNAPSHOT_VERSION);
    store_le64(head + 24, meta_offset + writer->meta.size);
    store_le64(head + 32, meta_offset);
    store_le64(head + 40, writer->meta.size);
    store_le64(head + 48, hash_bytes(HASH_SEED, writer->meta.data, writer->meta.size));
    store_le32(head + 56, (uint32_t)crc32(0, writer->meta.data, (uInt)writer->meta.size));
    store_le32(head + 60, (uint32_t)crc32(0, head, 60));
    return write_at(writer, meta_offset, writer->meta.data, writer->meta.size) && write_at(writer, 0, head, sizeof head);
}

/* The rename itself must reach the disk: sync the folder. */
static void sync_folder(const char *path)
{
    char folder[SNAPSHOT_PATH_MAX];
    const char *slash = strrchr(path, '/');

    snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - path) + 1 : 1, slash != NULL ? path : ".");
    int fd = open(folder, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

bool snapshot_finish(struct snapshot_writer *writer, bool is_wanted, struct error *err)
{
    bool is_good = is_wanted && !writer->has_failed && write_head(writer);

    if (is_good && fsync(writer->fd) != 0) {
        is_good = failed(writer);
    }
    close(writer->fd);
    if (is_good && rename(writer->temporary, writer->path) != 0) {
        is_good = failed(writer);
    }
    if (is_good) {
        sync_folder(writer->path);
    } else {
        unlink(writer->temporary);
        if (is_wanted) {
            error_set(err, "cannot write snapshot '%.200s': %s", writer->path, strerror(writer->error));
            error_hint(err, "make room on that disk, or name another place");
        }
    }
    free(writer->meta.data);
    free(writer->table.data);
    free(writer);
    return is_good;
}
