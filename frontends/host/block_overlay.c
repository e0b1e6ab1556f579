/* block_overlay.c - what a guest writes with -snapshot: kept by cluster in an unnamed temporary file, gone at the end.
 *
 * A hash table (open addressing, linear probing) gives the place in the file of each cluster that was written. The first
 * write to a cluster copies the rest of it from the image.
 *
 * Not implemented: commit to the image. */
#define _FILE_OFFSET_BITS 64
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "frontends/host/block_format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLUSTER_SECTORS = 32, CLUSTER_SIZE = CLUSTER_SECTORS * SECTOR_SIZE, TABLE_START = 1024 };

struct cluster {
    uint64_t key;  /* cluster number + 1; 0: free */
    uint64_t slot; /* place in the file, in clusters; SLOT_ZERO: discarded */
    bool is_new;   /* written since block_mark_overlay */
};
#define SLOT_ZERO UINT64_MAX

struct block_overlay {
    struct host_file file;
    struct cluster *table;
    size_t capacity; /* power of two */
    size_t used;     /* entries */
    uint64_t slots;  /* places in the file that are used */
    uint8_t copy[CLUSTER_SIZE];
};

static int open_temporary(struct error *err)
{
    const char *directories[] = {getenv("TMPDIR"), "/var/tmp", "/tmp"};
    char name[512];

    for (unsigned n = 0; n < 3; n++) {
        if (directories[n] == NULL || directories[n][0] == '\0') {
            continue;
        }
        int length = snprintf(name, sizeof name, "%s/tick86-XXXXXX", directories[n]);
        if (length < 0 || (size_t)length >= sizeof name) {
            continue;
        }
        int fd = mkstemp(name);
        if (fd >= 0) {
            unlink(name);
            return fd;
        }
    }
    error_set(err, "cannot create a temporary file for -snapshot: %s", strerror(errno));
    error_hint(err, "set TMPDIR to a directory that can be written");
    return -1;
}

struct block_overlay *overlay_create(struct error *err)
{
    struct block_overlay *overlay = calloc(1, sizeof *overlay);
    struct cluster *table = calloc(TABLE_START, sizeof *table);

    if (overlay == NULL || table == NULL) {
        free(overlay);
        free(table);
        error_set(err, "cannot create the overlay for -snapshot: out of memory");
        error_hint(err, "close other programs");
        return NULL;
    }
    overlay->table = table;
    overlay->capacity = TABLE_START;
    overlay->file.fd = open_temporary(err);
    if (overlay->file.fd < 0) {
        free(table);
        free(overlay);
        return NULL;
    }
    return overlay;
}

void overlay_destroy(struct block_overlay *overlay)
{
    if (overlay != NULL) {
        close(overlay->file.fd);
        free(overlay->table);
        free(overlay);
    }
}

/* The entry of the cluster, or the free one where it belongs. */
static struct cluster *find(struct cluster *table, size_t capacity, uint64_t key)
{
    size_t at = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (capacity - 1);

    while (table[at].key != 0 && table[at].key != key) {
        at = (at + 1) & (capacity - 1);
    }
    return &table[at];
}

static bool grow(struct block_overlay *overlay)
{
    size_t capacity = overlay->capacity * 2;
    struct cluster *table = calloc(capacity, sizeof *table);

    if (table == NULL) {
        return false;
    }
    for (size_t n = 0; n < overlay->capacity; n++) {
        if (overlay->table[n].key != 0) {
            *find(table, capacity, overlay->table[n].key) = overlay->table[n];
        }
    }
    free(overlay->table);
    overlay->table = table;
    overlay->capacity = capacity;
    return true;
}

/* The part of a transfer that lies in the cluster of `sector`. */
static uint32_t piece_of(uint64_t sector, uint32_t count)
{
    uint32_t rest = CLUSTER_SECTORS - (uint32_t)(sector % CLUSTER_SECTORS);

    return rest < count ? rest : count;
}

bool overlay_read(struct block_image *image, uint64_t sector, uint32_t count, void *bytes)
{
    struct block_overlay *overlay = image->overlay;
    uint8_t *at = bytes;

    while (count != 0) {
        uint32_t piece = piece_of(sector, count);
        const struct cluster *cluster = find(overlay->table, overlay->capacity, sector / CLUSTER_SECTORS + 1);
        if (cluster->key == 0) {
            if (!node_read(image, sector * SECTOR_SIZE, (uint64_t)piece * SECTOR_SIZE, at)) {
                return false;
            }
        } else if (cluster->slot == SLOT_ZERO) {
            memset(at, 0, (size_t)piece * SECTOR_SIZE);
        } else if (!host_file_read(&overlay->file, cluster->slot * CLUSTER_SIZE + sector % CLUSTER_SECTORS * SECTOR_SIZE,
                                   at, (size_t)piece * SECTOR_SIZE)) {
            return block_host_error(image, "cannot read the snapshot overlay of");
        }
        at += (size_t)piece * SECTOR_SIZE;
        sector += piece;
        count -= piece;
    }
    return true;
}

/* The entry of the cluster of `sector`, made when there is none. */
static struct cluster *add_entry(struct block_image *image, uint64_t sector)
{
    struct block_overlay *overlay = image->overlay;

    if (overlay->used + overlay->used / 2 >= overlay->capacity && !grow(overlay)) {
        errno = ENOMEM;
        block_host_error(image, "cannot write the snapshot overlay of");
        return NULL;
    }
    struct cluster *cluster = find(overlay->table, overlay->capacity, sector / CLUSTER_SECTORS + 1);
    overlay->used += cluster->key == 0;
    cluster->key = sector / CLUSTER_SECTORS + 1;
    cluster->is_new = true;
    return cluster;
}

/* Puts a whole cluster in the file: what the image has (or zeros), with the sectors written replaced. */
static bool add_cluster(struct block_image *image, uint64_t sector, uint32_t count, const uint8_t *bytes)
{
    struct block_overlay *overlay = image->overlay;
    uint64_t first = sector - sector % CLUSTER_SECTORS;
    uint64_t present = image->backend.sectors - first;
    uint32_t sectors = present < CLUSTER_SECTORS ? (uint32_t)present : CLUSTER_SECTORS;

    bool is_zero = find(overlay->table, overlay->capacity, sector / CLUSTER_SECTORS + 1)->key != 0;
    memset(overlay->copy, 0, CLUSTER_SIZE);
    if (count != sectors && !is_zero &&
        !node_read(image, first * SECTOR_SIZE, (uint64_t)sectors * SECTOR_SIZE, overlay->copy)) {
        return false;
    }
    memcpy(overlay->copy + sector % CLUSTER_SECTORS * SECTOR_SIZE, bytes, (size_t)count * SECTOR_SIZE);
    if (!host_file_write(&overlay->file, overlay->slots * CLUSTER_SIZE, overlay->copy, CLUSTER_SIZE)) {
        return block_host_error(image, "cannot write the snapshot overlay of");
    }
    struct cluster *cluster = add_entry(image, sector);
    if (cluster == NULL) {
        return false;
    }
    cluster->slot = overlay->slots++;
    return true;
}

bool overlay_write(struct block_image *image, uint64_t sector, uint32_t count, const void *bytes)
{
    struct block_overlay *overlay = image->overlay;
    const uint8_t *at = bytes;

    while (count != 0) {
        uint32_t piece = piece_of(sector, count);
        struct cluster *cluster = find(overlay->table, overlay->capacity, sector / CLUSTER_SECTORS + 1);
        cluster->is_new = cluster->key != 0;
        if (cluster->key == 0 || cluster->slot == SLOT_ZERO) {
            if (!add_cluster(image, sector, piece, at)) {
                return false;
            }
        } else if (!host_file_write(&overlay->file, cluster->slot * CLUSTER_SIZE + sector % CLUSTER_SECTORS * SECTOR_SIZE,
                                    at, (size_t)piece * SECTOR_SIZE)) {
            return block_host_error(image, "cannot write the snapshot overlay of");
        }
        at += (size_t)piece * SECTOR_SIZE;
        sector += piece;
        count -= piece;
    }
    return true;
}

bool overlay_zero(struct block_image *image, uint64_t sector, uint64_t count)
{
    static const uint8_t zeros[CLUSTER_SIZE];

    while (count != 0) {
        uint32_t piece = piece_of(sector, count < CLUSTER_SECTORS ? (uint32_t)count : CLUSTER_SECTORS);
        if (piece == CLUSTER_SECTORS) {
            struct cluster *cluster = add_entry(image, sector);
            if (cluster == NULL) {
                return false;
            }
            cluster->slot = SLOT_ZERO; /* a place that it had is given up */
        } else if (!overlay_write(image, sector, piece, zeros)) {
            return false;
        }
        sector += piece;
        count -= piece;
    }
    return true;
}

bool block_has_overlay(const struct block_backend *backend)
{
    return backend != NULL && ((const struct block_image *)backend->context)->overlay != NULL;
}

static int compare_clusters(const void *a, const void *b)
{
    const struct cluster *x = a, *y = b;

    return x->key < y->key ? -1 : x->key > y->key;
}

bool block_visit_overlay(struct block_backend *backend, bool only_new, block_overlay_fn *visit, void *context)
{
    struct block_image *image = backend->context;
    struct block_overlay *overlay = image->overlay;
    struct cluster *sorted = malloc((overlay->used + 1) * sizeof *sorted);
    size_t count = 0;
    bool is_good = sorted != NULL;

    for (size_t n = 0; is_good && n < overlay->capacity; n++) {
        if (overlay->table[n].key != 0 && (!only_new || overlay->table[n].is_new)) {
            sorted[count++] = overlay->table[n];
        }
    }
    if (is_good) {
        qsort(sorted, count, sizeof *sorted, compare_clusters);
    }
    for (size_t n = 0; is_good && n < count; n++) {
        uint64_t offset = (sorted[n].key - 1) * CLUSTER_SIZE, left = image->backend.sectors * SECTOR_SIZE - offset;
        uint32_t size = left < CLUSTER_SIZE ? (uint32_t)((left + 4095) / 4096 * 4096) : CLUSTER_SIZE;
        memset(overlay->copy, 0, CLUSTER_SIZE);
        is_good = (sorted[n].slot == SLOT_ZERO ||
                   host_file_read(&overlay->file, sorted[n].slot * CLUSTER_SIZE, overlay->copy, CLUSTER_SIZE)) &&
                  visit(context, offset, size, overlay->copy);
    }
    free(sorted);
    return is_good;
}

bool block_empty_overlay(struct block_backend *backend)
{
    struct block_image *image = backend->context;
    struct block_overlay *overlay = image->overlay;

    memset(overlay->table, 0, overlay->capacity * sizeof *overlay->table);
    overlay->used = 0;
    overlay->slots = 0;
    return host_file_resize(&overlay->file, 0);
}

void block_mark_overlay(struct block_backend *backend)
{
    struct block_overlay *overlay = block_has_overlay(backend) ? ((struct block_image *)backend->context)->overlay : NULL;

    for (size_t n = 0; overlay != NULL && n < overlay->capacity; n++) {
        overlay->table[n].is_new = false;
    }
}
