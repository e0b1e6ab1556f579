/* block_qcow2_refcount.c - qcow2: cached tables, reference counts, finding free clusters, and the order of writing.
 *
 * QEMU docs/interop/qcow2.txt, "Host cluster management". A block of refcounts for an area that has none is put at the
 * beginning of that area, so that it counts itself. */
#include "frontends/host/block_qcow2.h"
#include "mem/space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_BYTES (UINT32_C(8) << 20)
#define OFFSET_LIMIT (UINT64_C(1) << 56)

/* ---- Cached tables ---- */

bool qcow2_cache_init(struct qcow2 *q, struct qcow2_cache *cache)
{
    unsigned count = CACHE_BYTES / q->cluster_size;

    cache->count = count < 8 ? 8 : count > 512 ? 512 : count;
    cache->tables = calloc(cache->count, sizeof *cache->tables);
    return cache->tables != NULL;
}

void qcow2_cache_free(struct qcow2_cache *cache)
{
    for (unsigned n = 0; cache->tables != NULL && n < cache->count; n++) {
        free(cache->tables[n].bytes);
    }
    free(cache->tables);
    cache->tables = NULL;
}

static struct qcow2_table *find_table(struct qcow2_cache *cache, uint64_t offset)
{
    if (cache->tables[cache->last].offset == offset) {
        return &cache->tables[cache->last];
    }
    for (unsigned n = 0; n < cache->count; n++) {
        if (cache->tables[n].offset == offset) {
            cache->last = n;
            return &cache->tables[n];
        }
    }
    return NULL;
}

static struct qcow2_table *oldest_table(struct qcow2_cache *cache)
{
    unsigned victim = 0;

    for (unsigned n = 0; n < cache->count; n++) {
        if (cache->tables[n].offset == 0) {
            return &cache->tables[n];
        }
        victim = cache->tables[n].age < cache->tables[victim].age ? n : victim;
    }
    return &cache->tables[victim];
}

struct qcow2_table *qcow2_cache_get(struct block_image *image, struct qcow2_cache *cache, uint64_t offset, bool is_read)
{
    const struct qcow2 *q = image->state;
    struct qcow2_table *table = find_table(cache, offset);

    if (table == NULL) {
        table = oldest_table(cache);
        if (table->is_dirty && table->offset != 0) {
            /* Committing frees clusters, which uses this cache: look again. */
            return qcow2_commit(image) ? qcow2_cache_get(image, cache, offset, is_read) : NULL;
        }
        table->offset = 0;
        table->is_dirty = false;
        if (table->bytes == NULL && (table->bytes = malloc(q->cluster_size)) == NULL) {
            errno = ENOMEM;
            block_host_error(image, "cannot read a table of");
            return NULL;
        }
        if (is_read && !host_file_read(image->file, offset, table->bytes, q->cluster_size)) {
            block_host_error(image, "cannot read a table of");
            return NULL;
        }
        table->offset = offset;
        cache->last = (unsigned)(table - cache->tables);
    }
    if (!is_read) {
        memset(table->bytes, 0, q->cluster_size);
    }
    table->age = ++cache->clock;
    return table;
}

bool qcow2_is_aligned(const struct qcow2 *q, uint64_t offset)
{
    return (offset & (q->cluster_size - 1)) == 0 && offset != 0 && offset < OFFSET_LIMIT;
}

bool qcow2_is_placed(const struct block_image *image, uint64_t offset)
{
    return qcow2_is_aligned(image->state, offset) && offset < image->file->size + (UINT64_C(1) << 30);
}

/* ---- Reference counts ---- */

static uint64_t block_entries(const struct qcow2 *q)
{
    return (uint64_t)q->cluster_size * 8 >> q->refcount_order;
}

uint64_t qcow2_refcount_max(const struct qcow2 *q)
{
    return q->refcount_order == 6 ? UINT64_MAX : (UINT64_C(1) << (1u << q->refcount_order)) - 1;
}

static uint64_t get_entry(const struct qcow2 *q, const uint8_t *bytes, uint64_t index)
{
    unsigned bits = 1u << q->refcount_order;

    switch (bits) {
    case 8: return bytes[index];
    case 16: return load_be16(bytes + index * 2);
    case 32: return load_be32(bytes + index * 4);
    case 64: return load_be64(bytes + index * 8);
    default: return bytes[index * bits / 8] >> (index * bits % 8) & ((1u << bits) - 1);
    }
}

static void set_entry(const struct qcow2 *q, uint8_t *bytes, uint64_t index, uint64_t value)
{
    unsigned bits = 1u << q->refcount_order, shift = (unsigned)(index * bits % 8);

    switch (bits) {
    case 8: bytes[index] = (uint8_t)value; break;
    case 16: store_be16(bytes + index * 2, (uint16_t)value); break;
    case 32: store_be32(bytes + index * 4, (uint32_t)value); break;
    case 64: store_be64(bytes + index * 8, value); break;
    default: {
        uint8_t *at = bytes + index * bits / 8;
        *at = (uint8_t)((*at & ~(((1u << bits) - 1) << shift)) | value << shift);
    }
    }
}

/* The block of refcounts that covers `cluster`; *table NULL when there is none. */
static bool get_block(struct block_image *image, uint64_t cluster, struct qcow2_table **table)
{
    struct qcow2 *q = image->state;
    uint64_t index = cluster / block_entries(q);

    *table = NULL;
    if (index >= q->refcount_entries || q->refcount_table[index] == 0) {
        return true;
    }
    if (!qcow2_is_placed(image, q->refcount_table[index])) {
        return block_corrupt(image, "refcount block %llu is at an impossible offset", (unsigned long long)index);
    }
    *table = qcow2_cache_get(image, &q->blocks, q->refcount_table[index], true);
    return *table != NULL;
}

bool qcow2_refcount(struct block_image *image, uint64_t cluster, uint64_t *count)
{
    const struct qcow2 *q = image->state;
    struct qcow2_table *table = NULL;

    if (!get_block(image, cluster, &table)) {
        return false;
    }
    *count = table != NULL ? get_entry(q, table->bytes, cluster % block_entries(q)) : 0;
    return true;
}

static void set_refcount_entry(struct qcow2 *q, uint64_t index, uint64_t offset)
{
    uint32_t n = (uint32_t)index;

    q->refcount_table[n] = offset;
    q->refcount_dirty_from = q->refcount_dirty_to == 0 || n < q->refcount_dirty_from ? n : q->refcount_dirty_from;
    q->refcount_dirty_to = n + 1 > q->refcount_dirty_to ? n + 1 : q->refcount_dirty_to;
}

static bool overlaps(uint64_t at, uint64_t from, uint64_t bytes)
{
    return at >= from && at < from + bytes;
}

/* A damaged image may count its own tables as free. */
static bool is_metadata(const struct qcow2 *q, uint64_t offset)
{
    return offset < q->cluster_size || overlaps(offset, q->l1_offset, (uint64_t)q->l1_size * 8) ||
           (!q->is_refcount_moved && overlaps(offset, q->refcount_offset, (uint64_t)q->refcount_entries * 8)) ||
           (q->snapshot_count != 0 && overlaps(offset, q->snapshot_offset, q->snapshot_bytes));
}

/* New clusters follow the file's end, or fill gaps. Only damaged refcounts lead far behind, where a file without end would
 * grow. */
static bool is_too_far(struct block_image *image, uint64_t cluster)
{
    const struct qcow2 *q = image->state;
    uint64_t slack = UINT64_C(1) << 30;

    if (cluster >= OFFSET_LIMIT >> q->cluster_bits || cluster << q->cluster_bits > image->file->size + slack) {
        block_corrupt(image, "its refcounts say that everything is in use; repair it with: tick86-img check --repair");
        return true;
    }
    return false;
}

static bool grow_refcount_table(struct block_image *image, uint64_t index)
{
    struct qcow2 *q = image->state;
    uint64_t entries = index + 1 + index / 2 + 8, offset = 0, got = 0;
    uint64_t bytes = qcow2_round_up(q, entries * 8);

    entries = bytes / 8;
    uint64_t *table = entries < UINT32_MAX ? realloc(q->refcount_table, (size_t)bytes) : NULL;
    if (table == NULL) {
        errno = entries < UINT32_MAX ? ENOMEM : EFBIG;
        return block_host_error(image, "cannot grow the refcount table of");
    }
    memset(table + q->refcount_entries, 0, (size_t)(entries - q->refcount_entries) * 8);
    uint64_t old_entries = q->refcount_entries;
    q->refcount_table = table;
    q->refcount_entries = (uint32_t)entries;
    if (!qcow2_alloc(image, bytes >> q->cluster_bits, true, &offset, &got)) {
        q->refcount_entries = (uint32_t)old_entries;
        return false;
    }
    if (q->is_refcount_moved) { /* moved twice between commits: the place in between was never used */
        if (!qcow2_refcount_add(image, q->refcount_offset >> q->cluster_bits,
                                qcow2_round_up(q, old_entries * 8) >> q->cluster_bits, -1)) {
            return false;
        }
    } else {
        q->old_refcount_offset = q->refcount_offset;
        q->old_refcount_clusters = qcow2_round_up(q, old_entries * 8) >> q->cluster_bits;
    }
    q->refcount_offset = offset;
    q->is_refcount_moved = true;
    return true;
}

static bool need_block(struct block_image *image, uint64_t cluster, struct qcow2_table **table)
{
    struct qcow2 *q = image->state;
    uint64_t index = cluster / block_entries(q), at = index * block_entries(q);

    if (!get_block(image, cluster, table)) {
        return false;
    }
    if (*table != NULL) {
        return true;
    }
    if (is_too_far(image, cluster)) {
        return false;
    }
    if (index >= q->refcount_entries && !grow_refcount_table(image, index)) {
        return false;
    }
    if (q->refcount_table[index] == 0) { /* growing may have made it */
        bool is_repair = image->options.is_check; /* what nobody counted may be in use: not there, then */
        if (!is_repair && is_metadata(q, at << q->cluster_bits)) {
            return block_corrupt(image, "its tables are not counted; repair it with: tick86-img check --repair");
        }
        at = is_repair ? (image->file->size + q->cluster_size - 1) >> q->cluster_bits : at;
        *table = qcow2_cache_get(image, &q->blocks, at << q->cluster_bits, false);
        if (*table == NULL || (is_repair && !host_file_resize(image->file, (at + 1) << q->cluster_bits))) {
            return *table != NULL && block_host_error(image, "cannot grow");
        }
        (*table)->is_dirty = true;
        set_refcount_entry(q, index, at << q->cluster_bits);
        if (!qcow2_refcount_set(image, at, 1)) {
            return false;
        }
    }
    return get_block(image, cluster, table);
}

bool qcow2_refcount_set(struct block_image *image, uint64_t cluster, uint64_t value)
{
    struct qcow2 *q = image->state;
    struct qcow2_table *table = NULL;

    if (!need_block(image, cluster, &table)) {
        return false;
    }
    set_entry(q, table->bytes, cluster % block_entries(q), value);
    table->is_dirty = true;
    if (value == 0 && cluster < q->hint) {
        q->hint = cluster;
    }
    return true;
}

bool qcow2_refcount_add(struct block_image *image, uint64_t cluster, uint64_t count, int delta)
{
    const struct qcow2 *q = image->state;

    for (uint64_t n = 0; n < count; n++) {
        uint64_t value = 0;
        if (!qcow2_refcount(image, cluster + n, &value)) {
            return false;
        }
        if (delta < 0 ? value == 0 : value >= qcow2_refcount_max(q)) {
            return block_corrupt(image, "cluster %llu has refcount %llu, which cannot be changed by %d",
                                 (unsigned long long)(cluster + n), (unsigned long long)value, delta);
        }
        if (!qcow2_refcount_set(image, cluster + n, delta < 0 ? value - 1 : value + 1)) {
            return false;
        }
    }
    return true;
}

/* ---- Allocation ---- */

/* More clusters in a row than one block counts: behind everything, with the blocks that count them behind them. */
static bool alloc_large(struct block_image *image, uint64_t count, uint64_t *offset)
{
    struct qcow2 *q = image->state;
    uint64_t entries = block_entries(q), from = q->refcount_entries, blocks = (count + entries - 2) / (entries - 1) + 1;

    while (from != 0 && q->refcount_table[from - 1] == 0) {
        from--;
    }
    if (from + blocks > q->refcount_entries) {
        uint32_t before = q->refcount_entries;
        if (!grow_refcount_table(image, from + blocks * 2)) {
            return false;
        }
        return before == q->refcount_entries ? block_corrupt(image, "the refcount table cannot grow")
                                             : alloc_large(image, count, offset);
    }
    uint64_t start = from * entries;
    if (is_too_far(image, start)) {
        return false;
    }
    for (uint64_t n = 0; n < blocks; n++) {
        uint64_t at = (start + count + n) << q->cluster_bits;
        struct qcow2_table *table = qcow2_cache_get(image, &q->blocks, at, false);
        if (table == NULL) {
            return false;
        }
        table->is_dirty = true;
        set_refcount_entry(q, from + n, at);
    }
    for (uint64_t n = 0; n < count + blocks; n++) {
        if (!qcow2_refcount_set(image, start + n, 1)) {
            return false;
        }
    }
    *offset = start << q->cluster_bits;
    return true;
}

bool qcow2_alloc(struct block_image *image, uint64_t count, bool is_exact, uint64_t *offset, uint64_t *got)
{
    struct qcow2 *q = image->state;
    uint64_t first = 0, run = 0;
    struct qcow2_table *table = NULL;

    if (is_exact && count > block_entries(q) / 2) {
        *got = count;
        return alloc_large(image, count, offset);
    }

    for (uint64_t at = q->hint; run < count; at++) {
        uint64_t value = 0;
        uint32_t entries = q->refcount_entries;
        if (at % 4096 == 0 && is_too_far(image, at)) {
            return false;
        }
        if (!need_block(image, at, &table)) {
            return false;
        }
        if (entries != q->refcount_entries) { /* growing the table took clusters, perhaps these */
            at = q->hint - 1;
            run = 0;
            continue;
        }
        value = get_entry(q, table->bytes, at % block_entries(q));
        if (value == 0) {
            if (is_metadata(q, at << q->cluster_bits)) {
                return block_corrupt(image, "cluster %llu holds tables but counts as free; repair it with: "
                                     "tick86-img check --repair", (unsigned long long)at);
            }
            first = run == 0 ? at : first;
            run++;
        } else if (run != 0 && !is_exact) {
            break;
        } else {
            run = 0;
        }
    }
    if (!is_exact || count == 1 || first == q->hint) {
        q->hint = first + run;
    }
    for (uint64_t n = 0; n < run; n++) {
        if (!qcow2_refcount_set(image, first + n, 1)) {
            return false;
        }
    }
    *offset = first << q->cluster_bits;
    *got = run;
    return true;
}

bool qcow2_give_up(struct block_image *image, uint64_t offset, uint64_t bytes)
{
    struct qcow2 *q = image->state;
    uint64_t cluster = offset >> q->cluster_bits;
    uint64_t count = ((offset + bytes + q->cluster_size - 1) >> q->cluster_bits) - cluster;

    if (q->free_count != 0 && q->frees[q->free_count - 1].cluster + q->frees[q->free_count - 1].count == cluster) {
        q->frees[q->free_count - 1].count += count;
        return true;
    }
    if (q->free_count == q->free_capacity) {
        unsigned capacity = q->free_capacity * 2 + 64;
        struct qcow2_free *frees = realloc(q->frees, capacity * sizeof *frees);
        if (frees == NULL) {
            return true; /* a leak, which check repairs */
        }
        q->frees = frees;
        q->free_capacity = capacity;
    }
    q->frees[q->free_count++] = (struct qcow2_free){cluster, count};
    return true;
}

/* ---- Writing back ---- */

static bool write_tables(struct block_image *image, struct qcow2_cache *cache, bool *wrote)
{
    const struct qcow2 *q = image->state;

    for (unsigned n = 0; n < cache->count; n++) {
        struct qcow2_table *table = &cache->tables[n];
        if (table->offset == 0 || !table->is_dirty) {
            continue;
        }
        if (!host_file_write(image->file, table->offset, table->bytes, q->cluster_size)) {
            return block_host_error(image, "cannot write a table of");
        }
        table->is_dirty = false;
        *wrote = true;
    }
    return true;
}

static bool write_entries(struct block_image *image, uint64_t offset, const uint64_t *entries, uint32_t from, uint32_t to)
{
    uint8_t bytes[4096];

    while (from < to) {
        uint32_t count = to - from < sizeof bytes / 8 ? to - from : (uint32_t)(sizeof bytes / 8);
        for (uint32_t n = 0; n < count; n++) {
            store_be64(bytes + n * 8, entries[from + n]);
        }
        if (!host_file_write(image->file, offset + (uint64_t)from * 8, bytes, count * 8)) {
            return block_host_error(image, "cannot write a table of");
        }
        from += count;
    }
    return true;
}

static bool sync_file(struct block_image *image)
{
    return host_file_sync(image->file) || block_host_error(image, "cannot flush");
}

static bool commit_refcount_table(struct block_image *image)
{
    struct qcow2 *q = image->state;
    uint8_t field[12];

    if (!q->is_refcount_moved) {
        /* While the table grows there are entries that have no place yet. */
        uint32_t to = q->refcount_dirty_to < q->refcount_disk_entries ? q->refcount_dirty_to : q->refcount_disk_entries;
        bool is_done = write_entries(image, q->refcount_offset, q->refcount_table, q->refcount_dirty_from, to);
        q->refcount_dirty_to = is_done ? 0 : q->refcount_dirty_to;
        return is_done;
    }
    if (!write_entries(image, q->refcount_offset, q->refcount_table, 0, q->refcount_entries) || !sync_file(image)) {
        return false;
    }
    store_be64(field, q->refcount_offset); /* refcount_table_offset and refcount_table_clusters, bytes 48 to 59 */
    store_be32(field + 8, q->refcount_entries / (q->cluster_size / 8));
    if (!host_file_write(image->file, 48, field, sizeof field)) {
        return block_host_error(image, "cannot write the header of");
    }
    q->is_refcount_moved = false;
    q->refcount_disk_entries = q->refcount_entries;
    q->refcount_dirty_to = 0;
    return qcow2_give_up(image, q->old_refcount_offset, q->old_refcount_clusters << q->cluster_bits);
}

/* A cluster that became free is neither a table in the cache nor the place of the next compressed cluster. */
static void forget_cluster(struct qcow2 *q, uint64_t cluster)
{
    struct qcow2_table *table = find_table(&q->l2, cluster << q->cluster_bits);

    if (table != NULL) {
        table->offset = 0;
        table->is_dirty = false;
    }
    if (q->packed_at >> q->cluster_bits == cluster) {
        q->packed_at = 0;
    }
}

static bool release(struct block_image *image, const struct qcow2_free *frees, unsigned count)
{
    struct qcow2 *q = image->state;
    uint64_t run = 0, run_end = 0;

    for (unsigned n = 0; n < count; n++) {
        for (uint64_t at = frees[n].cluster; at < frees[n].cluster + frees[n].count; at++) {
            uint64_t value = 0;
            if (!qcow2_refcount_add(image, at, 1, -1) || !qcow2_refcount(image, at, &value)) {
                return false;
            }
            if (value != 0) {
                continue;
            }
            forget_cluster(q, at);
            if (at != run_end) {
                host_file_punch(image->file, run << q->cluster_bits, (run_end - run) << q->cluster_bits);
                run = at;
            }
            run_end = at + 1;
        }
    }
    host_file_punch(image->file, run << q->cluster_bits, (run_end - run) << q->cluster_bits);
    return true;
}

/* What no table on disk refers to any more is free now, and its space goes back to the host. Reading refcounts may commit
 * again, so the list is taken first. */
static bool apply_frees(struct block_image *image)
{
    struct qcow2 *q = image->state;
    struct qcow2_free *frees = q->frees;
    unsigned count = q->free_count;

    q->frees = NULL;
    q->free_count = q->free_capacity = 0;
    bool is_done = release(image, frees, count);
    free(frees);
    return is_done;
}

bool qcow2_commit(struct block_image *image)
{
    struct qcow2 *q = image->state;
    bool wrote = false, wrote_l2 = false;

    if (!write_tables(image, &q->blocks, &wrote) ||
        ((q->is_refcount_moved || q->refcount_dirty_to != 0) && !commit_refcount_table(image)) || !sync_file(image)) {
        return false;
    }
    if (!write_tables(image, &q->l2, &wrote_l2)) {
        return false;
    }
    if (q->l1_dirty_to != 0) {
        if (!sync_file(image) || !write_entries(image, q->l1_offset, q->l1, q->l1_dirty_from, q->l1_dirty_to)) {
            return false;
        }
        q->l1_dirty_to = 0;
        wrote_l2 = true;
    }
    return (!wrote_l2 || sync_file(image)) && (q->free_count == 0 || apply_frees(image));
}
