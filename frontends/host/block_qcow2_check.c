/* block_qcow2_check.c - qcow2: counts every reference again and compares with the refcounts.
 *
 * A refcount that is too high is a leak, one that is too low would let a cluster be given away: both are set right.
 * What cannot be repaired: tables at impossible offsets, and clusters with two owners, which are reported. */
#include "frontends/host/block_qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct count {
    struct block_image *image;
    struct block_check *check;
    uint32_t *counts;
    uint64_t clusters;
    uint8_t *table;
};

static void report(struct count *c, const char *format, ...) PRINTF_LIKE(2, 3);

static void report(struct count *c, const char *format, ...)
{
    char text[256];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (c->check->report != NULL) {
        c->check->report(c->check->context, text);
    }
}

static void corruption(struct count *c, const char *what, uint64_t where)
{
    report(c, "ERROR %s at offset %#" PRIx64, what, where);
    c->check->corruptions++;
}

/* Counts the clusters of a range. One cluster behind the file's end may be, since its last bytes need not exist. */
static bool refer(struct count *c, const char *what, uint64_t offset, uint64_t bytes)
{
    const struct qcow2 *q = c->image->state;

    if (bytes == 0) {
        return true;
    }
    uint64_t first = offset >> q->cluster_bits, last = (offset + bytes - 1) >> q->cluster_bits;
    if (offset + bytes < offset || last >= c->clusters) {
        report(c, "ERROR %s: a reference behind the end of the file, to offset %#" PRIx64, what, offset);
        c->check->corruptions++;
        return false;
    }
    for (uint64_t at = first; at <= last; at++) {
        c->counts[at] += c->counts[at] != UINT32_MAX;
    }
    uint64_t end = (last + 1) << q->cluster_bits;
    c->check->image_end = end > c->check->image_end ? end : c->check->image_end;
    return true;
}

static void count_l2(struct count *c, uint64_t offset, bool is_active)
{
    const struct qcow2 *q = c->image->state;

    for (uint32_t n = 0; n < q->cluster_size / 8; n++) {
        uint64_t entry = load_be64(c->table + n * 8), host = entry & QCOW2_OFFSET_MASK;
        if (entry & QCOW2_COMPRESSED) {
            if (entry & QCOW2_COPIED) {
                corruption(c, "a compressed cluster has the COPIED flag, in the L2 table", offset);
            }
            refer(c, "compressed cluster", qcow2_packed_offset(q, entry), qcow2_packed_size(q, entry));
            c->check->clusters_packed += is_active;
            c->check->clusters_used += is_active;
        } else if (host != 0) {
            if (!qcow2_is_aligned(q, host)) {
                corruption(c, "a cluster is not aligned, in the L2 table", offset);
                continue;
            }
            refer(c, "data cluster", host, q->cluster_size);
            c->check->clusters_used += is_active;
        }
    }
}

static bool count_l1(struct count *c, const uint64_t *l1, uint32_t size, bool is_active)
{
    const struct qcow2 *q = c->image->state;

    for (uint32_t n = 0; n < size; n++) {
        uint64_t offset = l1[n] & QCOW2_OFFSET_MASK;
        if (offset == 0) {
            continue;
        }
        if (!qcow2_is_aligned(q, offset)) {
            corruption(c, "an L2 table is not aligned", offset);
            continue;
        }
        if (!refer(c, "L2 table", offset, q->cluster_size)) {
            continue;
        }
        if (!host_file_read(c->image->file, offset, c->table, q->cluster_size)) {
            return block_host_error(c->image, "cannot read a table of");
        }
        count_l2(c, offset, is_active);
    }
    return true;
}

static bool count_snapshots(struct count *c)
{
    const struct qcow2 *q = c->image->state;

    for (uint32_t n = 0; n < q->snapshot_count; n++) {
        uint32_t size = q->snapshots[n].l1_size;
        uint64_t *l1 = malloc((size_t)size * 8 + 8);
        bool is_done = l1 != NULL && host_file_read(c->image->file, q->snapshots[n].l1_offset, l1, (size_t)size * 8);
        for (uint32_t k = 0; is_done && k < size; k++) {
            l1[k] = load_be64(&l1[k]);
        }
        is_done = is_done && (!refer(c, "snapshot L1 table", q->snapshots[n].l1_offset, (uint64_t)size * 8) ||
                              count_l1(c, l1, size, false));
        free(l1);
        if (!is_done) {
            return false;
        }
    }
    refer(c, "snapshot table", q->snapshot_offset, q->snapshot_bytes);
    return true;
}

/* Bitmaps (dirty tracking of backups): a directory of tables of clusters. */
static bool count_bitmaps(struct count *c)
{
    const struct qcow2 *q = c->image->state;
    uint64_t at = q->bitmaps_offset, end = q->bitmaps_offset + q->bitmaps_bytes;
    uint8_t entry[24], item[8];

    if (q->bitmaps == 0 || !refer(c, "bitmap directory", q->bitmaps_offset, q->bitmaps_bytes)) {
        return true;
    }
    for (uint32_t n = 0; n < q->bitmaps && at + sizeof entry <= end; n++) {
        if (!host_file_read(c->image->file, at, entry, sizeof entry)) {
            return false;
        }
        uint64_t table = load_be64(entry), size = load_be32(entry + 8);
        if (size > q->cluster_size * UINT64_C(1024) || !refer(c, "bitmap table", table, size * 8)) {
            continue;
        }
        for (uint64_t k = 0; k < size; k++) {
            if (!host_file_read(c->image->file, table + k * 8, item, sizeof item)) {
                return false;
            }
            uint64_t host = load_be64(item) & QCOW2_OFFSET_MASK;
            if (host != 0) {
                refer(c, "bitmap", host, q->cluster_size);
            }
        }
        at += (sizeof entry + load_be16(entry + 18) + (uint64_t)load_be32(entry + 20) + 7) / 8 * 8;
    }
    return true;
}

static bool count_all(struct count *c)
{
    const struct qcow2 *q = c->image->state;

    refer(c, "header", 0, q->cluster_size);
    refer(c, "L1 table", q->l1_offset, (uint64_t)q->l1_size * 8);
    refer(c, "refcount table", q->refcount_offset, (uint64_t)q->refcount_entries * 8);
    for (uint32_t n = 0; n < q->refcount_entries; n++) {
        if (q->refcount_table[n] == 0) {
            continue;
        }
        if (!qcow2_is_aligned(q, q->refcount_table[n])) {
            corruption(c, "a refcount block is not aligned", q->refcount_table[n]);
            if (c->check->repair_errors) { /* its counts are made again */
                ((struct qcow2 *)c->image->state)->refcount_table[n] = 0;
            }
            continue;
        }
        refer(c, "refcount block", q->refcount_table[n], q->cluster_size);
    }
    return count_l1(c, q->l1, q->l1_size, true) && count_snapshots(c) && count_bitmaps(c);
}

static bool compare(struct count *c)
{
    const struct qcow2 *q = c->image->state;

    for (uint64_t at = 0; at < c->clusters; at++) {
        uint64_t have = 0, want = c->counts[at];
        if (!qcow2_refcount(c->image, at, &have)) {
            return false;
        }
        if (have == want) {
            continue;
        }
        bool is_leak = have > want, is_fixed = is_leak ? c->check->repair_leaks : c->check->repair_errors;
        report(c, "%s%s cluster %" PRIu64 " refcount=%" PRIu64 " reference=%" PRIu64, is_fixed ? "Repairing: " : "",
               is_leak ? "Leaked" : "ERROR", at, have, want);
        if (is_leak) {
            c->check->leaks += !is_fixed;
            c->check->leaks_fixed += is_fixed;
        } else {
            c->check->corruptions += !is_fixed;
            c->check->corruptions_fixed += is_fixed;
        }
        if (is_fixed && (want > qcow2_refcount_max(q) || !qcow2_refcount_set(c->image, at, want))) {
            return false;
        }
    }
    return true;
}

static bool check_flag(struct count *c, uint8_t *at, uint64_t entry, uint64_t where, bool *is_changed)
{
    const struct qcow2 *q = c->image->state;
    uint64_t cluster = (entry & QCOW2_OFFSET_MASK) >> q->cluster_bits;

    if ((entry & QCOW2_COMPRESSED) || cluster == 0 || cluster >= c->clusters) {
        return true;
    }
    bool is_alone = c->counts[cluster] == 1;
    if (is_alone == ((entry & QCOW2_COPIED) != 0)) {
        return true;
    }
    report(c, "%s the COPIED flag is wrong in the table at offset %#" PRIx64, c->check->repair_errors ? "Repairing:" : "ERROR",
           where);
    if (!c->check->repair_errors) {
        c->check->corruptions++;
        return true;
    }
    c->check->corruptions_fixed++;
    store_be64(at, (entry & ~QCOW2_COPIED) | (is_alone ? QCOW2_COPIED : 0));
    *is_changed = true;
    return true;
}

static bool check_copied(struct count *c)
{
    struct qcow2 *q = c->image->state;

    for (uint32_t n = 0; n < q->l1_size; n++) {
        uint64_t offset = q->l1[n] & QCOW2_OFFSET_MASK;
        bool is_changed = false, is_l1_changed = false;
        uint8_t l1_entry[8];
        if (!qcow2_is_aligned(q, offset) || offset >> q->cluster_bits >= c->clusters) {
            continue;
        }
        store_be64(l1_entry, q->l1[n]);
        check_flag(c, l1_entry, q->l1[n], q->l1_offset, &is_l1_changed);
        if (is_l1_changed) {
            q->l1[n] = load_be64(l1_entry);
            q->l1_dirty_from = 0;
            q->l1_dirty_to = q->l1_size;
        }
        struct qcow2_table *table = qcow2_cache_get(c->image, &q->l2, offset, true);
        if (table == NULL) {
            return false;
        }
        for (uint32_t k = 0; k < q->cluster_size / 8; k++) {
            check_flag(c, table->bytes + k * 8, load_be64(table->bytes + k * 8), offset, &is_changed);
        }
        table->is_dirty = table->is_dirty || is_changed;
    }
    return true;
}

/* Sets right what may be, so that the image can be written again. */
static bool finish(struct count *c)
{
    struct qcow2 *q = c->image->state;
    uint64_t marks = INCOMPATIBLE_DIRTY | INCOMPATIBLE_CORRUPT;

    if (!c->check->repair_errors) {
        return !c->check->repair_leaks || qcow2_commit(c->image);
    }
    q->refcount_dirty_from = 0;
    q->refcount_dirty_to = q->refcount_entries;
    if (!qcow2_commit(c->image)) {
        return false;
    }
    if (c->check->corruptions == 0 && (q->incompatible & marks)) {
        q->incompatible &= ~marks;
        return qcow2_set_dirty(c->image, false);
    }
    return true;
}

bool qcow2_check(struct block_image *image, struct block_check *check, struct error *err)
{
    struct qcow2 *q = image->state;
    struct count c = {.image = image, .check = check};
    bool repairs = check->repair_errors || check->repair_leaks;

    if (repairs && !qcow2_commit(image)) {
        error_set(err, "cannot write '%s'", image->path);
        return error_hint(err, "look at the space that is left with: df .");
    }
    c.clusters = (image->file->size + q->cluster_size - 1) >> q->cluster_bits;
    c.clusters += 1;
    c.counts = calloc((size_t)c.clusters, sizeof *c.counts);
    c.table = malloc(q->cluster_size);
    bool is_done = c.counts != NULL && c.table != NULL;
    check->clusters_total = (image->size + q->cluster_size - 1) >> q->cluster_bits;
    check->clusters_used = check->clusters_packed = check->image_end = 0;
    /* Flags first: setting refcounts may need new clusters, which the counts do not know. */
    is_done = is_done && count_all(&c) && check_copied(&c) && compare(&c) && finish(&c);
    free(c.counts);
    free(c.table);
    if (!is_done) {
        error_set(err, "cannot check '%s' to its end", image->path);
        return error_hint(err, "look at the space that is left, and that the file can be read");
    }
    return true;
}
