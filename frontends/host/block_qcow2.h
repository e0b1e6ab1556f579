/* block_qcow2.h - the parts of the qcow2 driver among themselves.
 *
 * Metadata is cached and written back by qcow2_commit in an order that leaves a consistent image wherever it stops:
 * refcounts first, then L2 tables, then the L1 table, and clusters that were given up are free only after that. */
#ifndef FRONTENDS_HOST_BLOCK_QCOW2_H
#define FRONTENDS_HOST_BLOCK_QCOW2_H

#include "frontends/host/block_format.h"

enum {
    QCOW2_VERSION_2_HEADER = 72,
    QCOW2_VERSION_3_HEADER = 104,
    INCOMPATIBLE_DIRTY = 1 << 0,
    INCOMPATIBLE_CORRUPT = 1 << 1,
    INCOMPATIBLE_DATA_FILE = 1 << 2,
    INCOMPATIBLE_COMPRESSION = 1 << 3,
    INCOMPATIBLE_EXTENDED_L2 = 1 << 4,
    COMPATIBLE_LAZY_REFCOUNTS = 1 << 0,
    AUTOCLEAR_BITMAPS = 1 << 0,
    COMPRESSION_ZLIB = 0,
    COMPRESSION_ZSTD = 1,
};
#define QCOW2_EXTENSION_END UINT32_C(0)
#define QCOW2_EXTENSION_PARENT_FORMAT UINT32_C(0xe2792aca)
#define QCOW2_EXTENSION_FEATURES UINT32_C(0x6803f857)
#define QCOW2_EXTENSION_BITMAPS UINT32_C(0x23852875)
#define QCOW2_EXTENSION_STAMP UINT32_C(0x54383650) /* ours: "T86P", see block_layer.c */

#define QCOW2_COPIED (UINT64_C(1) << 63)
#define QCOW2_COMPRESSED (UINT64_C(1) << 62)
#define QCOW2_ZERO (UINT64_C(1) << 0)
#define QCOW2_OFFSET_MASK UINT64_C(0x00fffffffffffe00)
#define QCOW2_L1_RESERVED UINT64_C(0x7f000000000001ff)
#define QCOW2_L2_RESERVED UINT64_C(0x3f000000000001fe)

/* One cached L2 table or refcount block, as in the file. */
struct qcow2_table {
    uint64_t offset; /* in the file; 0: free slot */
    uint8_t *bytes;
    uint64_t age;
    bool is_dirty;
};

struct qcow2_cache {
    struct qcow2_table *tables;
    unsigned count, last; /* last: the slot that was found last */
    uint64_t clock;
};

struct qcow2_free {
    uint64_t cluster, count;
};

struct qcow2_snapshot {
    uint64_t l1_offset;
    uint32_t l1_size;
    struct block_snapshot info;
    uint8_t *extra; /* extra data as in the file */
    uint32_t extra_size;
};

struct qcow2 {
    uint32_t version, cluster_bits, cluster_size, refcount_order, header_size;
    uint64_t incompatible, compatible, autoclear;
    uint8_t compression;
    uint32_t l2_bits; /* log2 of entries in an L2 table */
    uint64_t *l1;     /* in host order */
    uint32_t l1_size, l1_dirty_from, l1_dirty_to;
    uint64_t l1_offset;
    uint64_t *refcount_table; /* in host order */
    uint32_t refcount_entries, refcount_disk_entries, refcount_dirty_from, refcount_dirty_to;
    uint64_t refcount_offset;
    bool is_refcount_moved; /* the whole table goes to a new place */
    uint64_t old_refcount_offset, old_refcount_clusters;
    struct qcow2_cache l2, blocks;
    uint64_t hint; /* no cluster below it is free (or it was not worth looking) */
    struct qcow2_free *frees; /* given up, not yet free */
    unsigned free_count, free_capacity;
    uint64_t packed_at; /* where the next compressed cluster goes; 0: in a new cluster */
    uint8_t *cluster;   /* for copy-on-write */
    uint8_t *unpacked;  /* the compressed cluster that was read last */
    uint64_t unpacked_entry;
    struct qcow2_snapshot *snapshots;
    uint32_t snapshot_count;
    uint64_t snapshot_offset, snapshot_bytes;
    uint64_t bitmaps_offset, bitmaps_bytes; /* directory */
    uint32_t bitmaps;
    uint8_t *extensions; /* header extensions that are not ours, kept as they are */
    uint32_t extensions_size;
};

static inline uint64_t qcow2_round_up(const struct qcow2 *q, uint64_t size)
{
    return (size + q->cluster_size - 1) >> q->cluster_bits << q->cluster_bits;
}

/* Bytes of a compressed cluster's descriptor: where they begin, and how many, in whole sectors. */
static inline uint64_t qcow2_packed_offset(const struct qcow2 *q, uint64_t entry)
{
    return entry & ((UINT64_C(1) << (62 - (q->cluster_bits - 8))) - 1);
}
static inline uint64_t qcow2_packed_size(const struct qcow2 *q, uint64_t entry)
{
    unsigned shift = 62 - (q->cluster_bits - 8);
    uint64_t sectors = ((entry & ~(QCOW2_COPIED | QCOW2_COMPRESSED)) >> shift) + 1;

    return sectors * SECTOR_SIZE - (qcow2_packed_offset(q, entry) & (SECTOR_SIZE - 1));
}

/* ---- block_qcow2_refcount.c ---- */
bool qcow2_cache_init(struct qcow2 *q, struct qcow2_cache *cache);
void qcow2_cache_free(struct qcow2_cache *cache);
/* The table at `offset`, read when `is_read` (otherwise zeros); NULL after a host error, which was reported. */
struct qcow2_table *qcow2_cache_get(struct block_image *image, struct qcow2_cache *cache, uint64_t offset, bool is_read);
bool qcow2_refcount(struct block_image *image, uint64_t cluster, uint64_t *count);
/* Adds `delta` to the refcounts of clusters. */
bool qcow2_refcount_add(struct block_image *image, uint64_t cluster, uint64_t count, int delta);
bool qcow2_refcount_set(struct block_image *image, uint64_t cluster, uint64_t value);
uint64_t qcow2_refcount_max(const struct qcow2 *q);
/* Finds free clusters and counts them as used: at most `count` in a row, *got of them, all of them with `is_exact`. */
bool qcow2_alloc(struct block_image *image, uint64_t count, bool is_exact, uint64_t *offset, uint64_t *got);
/* Gives clusters up: they are free after the next commit. */
bool qcow2_give_up(struct block_image *image, uint64_t offset, uint64_t bytes);
bool qcow2_commit(struct block_image *image);
/* Checks that a table of the file is where tables can be; placed: also not far behind the file's end, where only damaged
 * tables lead and a write would make a file without end. */
bool qcow2_is_aligned(const struct qcow2 *q, uint64_t offset);
bool qcow2_is_placed(const struct block_image *image, uint64_t offset);

/* ---- block_qcow2_cluster.c ---- */
bool qcow2_map(struct block_image *image, uint64_t offset, uint64_t size, struct block_extent *extent);
bool qcow2_read_packed(struct block_image *image, uint64_t offset, uint64_t size, void *bytes);
bool qcow2_allocate(struct block_image *image, uint64_t offset, uint64_t size, const uint8_t *bytes, uint64_t *done);
enum zero_result qcow2_zero(struct block_image *image, uint64_t offset, uint64_t size, bool discard, uint64_t *done);
bool qcow2_write_packed(struct block_image *image, uint64_t offset, uint64_t size, const uint8_t *bytes);
bool qcow2_empty(struct block_image *image, struct error *err);
/* Gives up what an L2 entry refers to. */
bool qcow2_give_up_entry(struct block_image *image, uint64_t entry);

/* ---- block_qcow2_snapshot.c ---- */
bool qcow2_read_snapshots(struct block_image *image, uint32_t count, uint64_t offset, struct error *err);
void qcow2_free_snapshots(struct qcow2 *q);
bool qcow2_load_snapshot(struct block_image *image, const char *name, struct error *err);
unsigned qcow2_snapshot_count(const struct block_image *image);
void qcow2_snapshot_get(const struct block_image *image, unsigned index, struct block_snapshot *snapshot);
bool qcow2_snapshot(struct block_image *image, enum snapshot_verb verb, const char *name, uint64_t now_s,
                    struct error *err);

/* ---- block_qcow2_check.c ---- */
bool qcow2_check(struct block_image *image, struct block_check *check, struct error *err);

/* ---- block_qcow2.c, block_qcow2_header.c ---- */
bool qcow2_read_header(struct block_image *image, struct error *err);
/* Writes the header's fields, extensions and the parent's name, in place. */
bool qcow2_write_header(struct block_image *image, struct error *err);
bool qcow2_set_dirty(struct block_image *image, bool is_dirty);
bool qcow2_grow_l1(struct block_image *image, uint64_t entries);
bool qcow2_create(const char *path, const struct block_create *create, struct error *err);

#endif
