/* snapshot_read.c - reads snapshot files; see snapshot_file.h. Everything in them is checked before it is used. */
#define _FILE_OFFSET_BITS 64
#define _DEFAULT_SOURCE
#include "frontends/host/snapshot_internal.h"

#include "mem/space.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#if TICK86_ZSTD
#include <zstd.h>
#endif

enum { PARTS_MAX = 128, DEPTH_MAX = 1000 };
#define META_MAX (UINT64_C(1) << 30)
#define MEMORY_MAX (UINT64_C(1) << 46)

struct part {
    char name[256];
    size_t offset, size;
};

struct snapshot {
    char path[SNAPSHOT_PATH_MAX];
    int fd;
    uint64_t file_size, id;
    uint8_t *meta;
    size_t meta_size;
    struct part parts[PARTS_MAX];
    unsigned part_count;
    struct snapshot *parent;
};

static bool refuse(const struct snapshot *snapshot, struct error *err, const char *why)
{
    error_set(err, "cannot load snapshot '%.200s': %s", snapshot->path, why);
    return error_hint(err, "it is damaged or not whole; use another one");
}

static bool read_at(const struct snapshot *snapshot, uint64_t offset, void *bytes, size_t size)
{
    uint8_t *at = bytes;

    while (size != 0) {
        ssize_t done = pread(snapshot->fd, at, size, (off_t)offset);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return false;
        }
        at += done;
        size -= (size_t)done;
        offset += (uint64_t)done;
    }
    return true;
}

static bool read_head(struct snapshot *snapshot, struct error *err)
{
    uint8_t head[SNAPSHOT_HEAD];

    if (!read_at(snapshot, 0, head, sizeof head) || memcmp(head, SNAPSHOT_MAGIC, 16) != 0) {
        error_set(err, "cannot load snapshot '%.200s': it is no snapshot of tick86", snapshot->path);
        return error_hint(err, "name a file that savevm wrote");
    }
    if (load_le32(head + 16) != SNAPSHOT_VERSION) {
        error_set(err, "cannot load snapshot '%.200s': its format has version %u, and this tick86 knows version %d",
                  snapshot->path, (unsigned)load_le32(head + 16), SNAPSHOT_VERSION);
        return error_hint(err, "use the tick86 that wrote it");
    }
    if (load_le32(head + 60) != (uint32_t)crc32(0, head, 60)) {
        return refuse(snapshot, err, "its header has a wrong checksum");
    }
    uint64_t size = load_le64(head + 24), offset = load_le64(head + 32), meta_size = load_le64(head + 40);
    if (size > snapshot->file_size) {
        return refuse(snapshot, err, "the file ends too early");
    }
    if (meta_size > META_MAX || meta_size > size || offset > size - meta_size) {
        return refuse(snapshot, err, "its header contradicts itself");
    }
    snapshot->id = load_le64(head + 48);
    snapshot->meta_size = (size_t)meta_size;
    snapshot->meta = malloc(snapshot->meta_size + 1);
    if (snapshot->meta == NULL) {
        return refuse(snapshot, err, "out of memory");
    }
    if (!read_at(snapshot, offset, snapshot->meta, snapshot->meta_size) ||
        load_le32(head + 56) != (uint32_t)crc32(0, snapshot->meta, (uInt)snapshot->meta_size) ||
        snapshot->id != hash_bytes(HASH_SEED, snapshot->meta, snapshot->meta_size)) {
        return refuse(snapshot, err, "its table of parts has a wrong checksum");
    }
    return true;
}

static bool find_parts(struct snapshot *snapshot, struct error *err)
{
    size_t at = 0;

    for (;;) {
        if (at >= snapshot->meta_size) {
            return refuse(snapshot, err, "its table of parts has no end");
        }
        size_t length = snapshot->meta[at++];
        if (length == 0) {
            return true;
        }
        if (snapshot->part_count == PARTS_MAX || snapshot->meta_size - at < length + 8) {
            return refuse(snapshot, err, "its table of parts is wrong");
        }
        struct part *part = &snapshot->parts[snapshot->part_count++];
        memcpy(part->name, snapshot->meta + at, length);
        part->name[length] = '\0';
        uint64_t size = load_le64(snapshot->meta + at + length);
        at += length + 8;
        if (size > snapshot->meta_size - at) {
            return refuse(snapshot, err, "its table of parts is wrong");
        }
        part->offset = at;
        part->size = (size_t)size;
        at += part->size;
    }
}

static struct snapshot *open_at(const char *path, unsigned depth, struct error *err);

static bool open_parent(struct snapshot *snapshot, unsigned depth, struct error *err)
{
    size_t size;
    const uint8_t *part = snapshot_part(snapshot, "parent", &size);
    const char *slash = strrchr(snapshot->path, '/');
    char path[2 * SNAPSHOT_PATH_MAX];

    if (part == NULL) {
        return true;
    }
    if (size < 9 || size > SNAPSHOT_PATH_MAX || memchr(part + 8, '\0', size - 8) != NULL || depth > DEPTH_MAX) {
        return refuse(snapshot, err, "the name of its parent is wrong");
    }
    int folder = part[8] != '/' && slash != NULL ? (int)(slash - snapshot->path) + 1 : 0;
    snprintf(path, sizeof path, "%.*s%.*s", folder, snapshot->path, (int)(size - 8), (const char *)part + 8);
    snapshot->parent = open_at(path, depth + 1, err);
    if (snapshot->parent == NULL) {
        return false;
    }
    if (snapshot->parent->id != load_le64(part)) {
        error_set(err, "cannot load snapshot '%.180s': its parent '%.180s' is another one by now", snapshot->path, path);
        return error_hint(err, "bring back the parent that it was made over");
    }
    return true;
}

static struct snapshot *open_at(const char *path, unsigned depth, struct error *err)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);
    struct stat status;

    if (snapshot == NULL || strlen(path) >= sizeof snapshot->path) {
        free(snapshot);
        error_set(err, "cannot load snapshot '%.200s': %s", path, snapshot == NULL ? "out of memory" : "the name is too long");
        return NULL;
    }
    snprintf(snapshot->path, sizeof snapshot->path, "%s", path);
    snapshot->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (snapshot->fd < 0 || fstat(snapshot->fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        error_set(err, "cannot open snapshot '%.200s': %s", path, snapshot->fd < 0 ? strerror(errno) : "it is no file");
        error_hint(err, "check the name; the monitor's info snapshots lists them");
        snapshot_close(snapshot);
        return NULL;
    }
    snapshot->file_size = (uint64_t)status.st_size;
    if (!read_head(snapshot, err) || !find_parts(snapshot, err) || !open_parent(snapshot, depth, err)) {
        snapshot_close(snapshot);
        return NULL;
    }
    return snapshot;
}

struct snapshot *snapshot_open(const char *path, struct error *err)
{
    return open_at(path, 0, err);
}

void snapshot_close(struct snapshot *snapshot)
{
    if (snapshot == NULL) {
        return;
    }
    snapshot_close(snapshot->parent);
    if (snapshot->fd >= 0) {
        close(snapshot->fd);
    }
    free(snapshot->meta);
    free(snapshot);
}

const char *snapshot_path(const struct snapshot *snapshot)
{
    return snapshot->path;
}

uint64_t snapshot_id(const struct snapshot *snapshot)
{
    return snapshot->id;
}

const struct snapshot *snapshot_parent(const struct snapshot *snapshot)
{
    return snapshot->parent;
}

const uint8_t *snapshot_part(const struct snapshot *snapshot, const char *name, size_t *size)
{
    for (unsigned n = 0; n < snapshot->part_count; n++) {
        if (strcmp(snapshot->parts[n].name, name) == 0) {
            *size = snapshot->parts[n].size;
            return snapshot->meta + snapshot->parts[n].offset;
        }
    }
    *size = 0;
    return NULL;
}

const char *snapshot_part_name(const struct snapshot *snapshot, unsigned n)
{
    return n < snapshot->part_count ? snapshot->parts[n].name : NULL;
}

/* ---- pages ---- */

struct pages {
    uint64_t size, linear_offset;
    bool is_linear;
    uint32_t runs;
    const uint8_t *table;
};

static bool find_pages(const struct snapshot *snapshot, const char *name, struct pages *pages)
{
    char full[80];
    size_t size;

    snprintf(full, sizeof full, "pages:%s", name);
    const uint8_t *part = snapshot_part(snapshot, full, &size);
    if (part == NULL || size < 24) {
        return false;
    }
    *pages = (struct pages){ load_le64(part), load_le64(part + 12), load_le32(part + 8) != 0, load_le32(part + 20),
                             part + 24 };
    return pages->size <= MEMORY_MAX && pages->size % SNAPSHOT_PAGE == 0 && (size - 24) / RUN_BYTES == pages->runs &&
           (size - 24) % RUN_BYTES == 0;
}

static bool get_run(const struct snapshot *snapshot, const struct pages *pages, uint32_t n, struct run *run)
{
    const uint8_t *at = pages->table + (size_t)n * RUN_BYTES;
    uint64_t total = pages->size / SNAPSHOT_PAGE;

    *run = (struct run){ load_le64(at), load_le32(at + 8), at[12], load_le64(at + 13), load_le32(at + 21),
                         load_le32(at + 25) };
    bool has_bytes = run->kind == RUN_RAW || run->kind == RUN_ZSTD;
    return run->kind <= RUN_PARENT && run->count != 0 && run->first < total && run->count <= total - run->first &&
           (!has_bytes || (run->count <= RUN_PAGES && run->stored <= snapshot->file_size &&
                           run->offset <= snapshot->file_size - run->stored)) &&
           (run->kind != RUN_RAW || run->stored == run->count * SNAPSHOT_PAGE);
}

uint64_t snapshot_pages_size(const struct snapshot *snapshot, const char *name)
{
    struct pages pages;

    return find_pages(snapshot, name, &pages) ? pages.size : 0;
}

static bool read_run(const struct snapshot *snapshot, const struct run *run, uint8_t *bytes, uint8_t *packed)
{
    size_t size = (size_t)run->count * SNAPSHOT_PAGE;

    if (run->kind == RUN_RAW) {
        return read_at(snapshot, run->offset, bytes, size);
    }
#if TICK86_ZSTD
    if (run->stored > ZSTD_compressBound(RUN_PAGES * SNAPSHOT_PAGE) ||
        !read_at(snapshot, run->offset, packed, run->stored)) {
        return false;
    }
    return ZSTD_decompress(bytes, size, packed, run->stored) == size;
#else
    (void)packed;
    return false;
#endif
}

bool snapshot_visit_pages(const struct snapshot *snapshot, const char *name, snapshot_visit_fn *visit, void *context,
                          struct error *err)
{
    struct pages pages;
    struct run run;
    size_t room = (size_t)RUN_PAGES * SNAPSHOT_PAGE;

    if (!find_pages(snapshot, name, &pages)) {
        error_set(err, "cannot load snapshot '%.180s': it has no pages of '%.40s'", snapshot->path, name);
        return error_hint(err, "it is damaged, or of another machine");
    }
    if (snapshot->parent != NULL && snapshot_pages_size(snapshot->parent, name) != 0 &&
        !snapshot_visit_pages(snapshot->parent, name, visit, context, err)) {
        return false;
    }
    uint8_t *bytes = malloc(room), *packed = malloc(2 * room);
    bool is_good = bytes != NULL && packed != NULL;
    for (uint32_t n = 0; is_good && n < pages.runs; n++) {
        if (!get_run(snapshot, &pages, n, &run)) {
            is_good = refuse(snapshot, err, "its table of pages is wrong");
        } else if (run.kind == RUN_ZERO) {
            is_good = visit(context, run.first, run.count, NULL);
        } else if (run.kind != RUN_PARENT) {
            if (!read_run(snapshot, &run, bytes, packed) ||
                run.crc != (uint32_t)crc32(0, bytes, (uInt)run.count * SNAPSHOT_PAGE)) {
                char why[120];
                snprintf(why, sizeof why, "pages of %s from 0x%llx on have a wrong checksum", name,
                         (unsigned long long)run.first * SNAPSHOT_PAGE);
                is_good = refuse(snapshot, err, why);
            } else {
                is_good = visit(context, run.first, run.count, bytes);
            }
        }
    }
    if (bytes == NULL || packed == NULL) {
        refuse(snapshot, err, "out of memory");
    }
    free(bytes);
    free(packed);
    return is_good;
}

static bool fill(void *context, uint64_t first, uint32_t count, const uint8_t *bytes)
{
    uint8_t *at = (uint8_t *)context + first * SNAPSHOT_PAGE;

    if (bytes != NULL) {
        memcpy(at, bytes, (size_t)count * SNAPSHOT_PAGE);
    } else {
        for (uint32_t n = 0; n < count; n++, at += SNAPSHOT_PAGE) { /* pages that are zero stay untouched */
            if (at[0] != 0 || memcmp(at, at + 1, SNAPSHOT_PAGE - 1) != 0) {
                memset(at, 0, SNAPSHOT_PAGE);
            }
        }
    }
    return true;
}

bool snapshot_read_memory(const struct snapshot *snapshot, const char *name, uint8_t *bytes, struct error *err)
{
    return snapshot_visit_pages(snapshot, name, fill, bytes, err);
}

uint8_t *snapshot_map_memory(const struct snapshot *snapshot, const char *name)
{
    struct pages pages;
    long host_page = sysconf(_SC_PAGESIZE);

    if (!find_pages(snapshot, name, &pages) || !pages.is_linear || host_page <= 0 ||
        pages.linear_offset % (uint64_t)host_page != 0 || pages.size > SIZE_MAX ||
        pages.linear_offset > snapshot->file_size || pages.size > snapshot->file_size - pages.linear_offset) {
        return NULL;
    }
    void *memory = mmap(NULL, (size_t)pages.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, snapshot->fd,
                        (off_t)pages.linear_offset);
    return memory != MAP_FAILED ? memory : NULL;
}
