/* block_qcow2_snapshot.c - qcow2: internal snapshots.
 *
 * QEMU docs/interop/qcow2.txt, "Snapshots". While refcounts and tables change together the image is marked dirty (version
 * 3), so that whoever opens it after a crash repairs it first. */
#include "frontends/host/block_qcow2.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SNAPSHOTS_MAX = 65536, ENTRY_FIXED = 40, EXTRA_MAX = 1024 };
#define TABLE_BYTES_MAX (UINT64_C(64) << 20)

void qcow2_free_snapshots(struct qcow2 *q)
{
    for (uint32_t n = 0; n < q->snapshot_count; n++) {
        free(q->snapshots[n].extra);
    }
    free(q->snapshots);
    q->snapshots = NULL;
    q->snapshot_count = 0;
}

/* One entry at `at`; 0 when it is impossible, otherwise its length. */
static uint64_t read_entry(struct block_image *image, struct qcow2_snapshot *snapshot, uint64_t at)
{
    uint8_t fixed[ENTRY_FIXED], text[512];

    if (!host_file_read(image->file, at, fixed, sizeof fixed)) {
        return 0;
    }
    uint32_t id_size = load_be16(fixed + 12), name_size = load_be16(fixed + 14), extra_size = load_be32(fixed + 36);
    if (extra_size > EXTRA_MAX || id_size >= sizeof snapshot->info.id || name_size >= sizeof snapshot->info.name) {
        return 0;
    }
    snapshot->l1_offset = load_be64(fixed);
    snapshot->l1_size = load_be32(fixed + 8);
    snapshot->info.date_s = load_be32(fixed + 16);
    snapshot->info.date_ns = load_be32(fixed + 20);
    snapshot->info.vm_clock_ns = load_be64(fixed + 24);
    snapshot->info.vm_state_bytes = load_be32(fixed + 32);
    snapshot->info.disk_bytes = image->size;
    snapshot->extra = malloc(extra_size + 1);
    snapshot->extra_size = extra_size;
    if (snapshot->extra == NULL || !host_file_read(image->file, at + ENTRY_FIXED, snapshot->extra, extra_size) ||
        !host_file_read(image->file, at + ENTRY_FIXED + extra_size, text, id_size + name_size)) {
        return 0;
    }
    if (extra_size >= 8 && load_be64(snapshot->extra) != 0) {
        snapshot->info.vm_state_bytes = load_be64(snapshot->extra);
    }
    if (extra_size >= 16) {
        snapshot->info.disk_bytes = load_be64(snapshot->extra + 8);
    }
    memcpy(snapshot->info.id, text, id_size);
    memcpy(snapshot->info.name, text + id_size, name_size);
    return (ENTRY_FIXED + (uint64_t)extra_size + id_size + name_size + 7) / 8 * 8;
}

bool qcow2_read_snapshots(struct block_image *image, uint32_t count, uint64_t offset, struct error *err)
{
    struct qcow2 *q = image->state;
    uint64_t at = offset;

    if (count == 0) {
        return true;
    }
    if (count > SNAPSHOTS_MAX || !qcow2_is_aligned(q, offset) || offset >= image->file->size) {
        return block_refuse(image, err, "look with: qemu-img check", "its snapshot table is damaged");
    }
    q->snapshots = calloc(count, sizeof *q->snapshots);
    if (q->snapshots == NULL) {
        return block_no_memory(image->path, err);
    }
    for (uint32_t n = 0; n < count; n++) {
        uint64_t length = read_entry(image, &q->snapshots[n], at);
        q->snapshot_count = n + 1;
        at += length;
        if (length == 0 || at - offset > TABLE_BYTES_MAX ||
            (uint64_t)q->snapshots[n].l1_size * 8 > UINT64_C(32) << 20 ||
            (q->snapshots[n].l1_size != 0 && !qcow2_is_placed(image, q->snapshots[n].l1_offset))) {
            return block_refuse(image, err, "look with: qemu-img check", "snapshot %u is damaged", n + 1);
        }
    }
    q->snapshot_offset = offset;
    q->snapshot_bytes = at - offset;
    return true;
}

/* ---- Tables of a snapshot ---- */

static uint64_t *read_l1(struct block_image *image, uint64_t offset, uint32_t size)
{
    uint64_t *table = malloc((size_t)size * 8 + 8);

    if (table == NULL || !host_file_read(image->file, offset, table, (size_t)size * 8)) {
        errno = table == NULL ? ENOMEM : errno;
        free(table);
        block_host_error(image, "cannot read a table of");
        return NULL;
    }
    for (uint32_t n = 0; n < size; n++) {
        table[n] = load_be64(&table[n]);
    }
    return table;
}

/* Adds `delta` to everything that an L1 table refers to. */
static bool refer(struct block_image *image, const uint64_t *l1, uint32_t size, int delta)
{
    struct qcow2 *q = image->state;
    uint8_t *l2 = malloc(q->cluster_size);
    bool is_done = l2 != NULL;

    for (uint32_t n = 0; is_done && n < size; n++) {
        uint64_t offset = l1[n] & QCOW2_OFFSET_MASK;
        if (offset == 0) {
            continue;
        }
        is_done = qcow2_is_placed(image, offset) && host_file_read(image->file, offset, l2, q->cluster_size) &&
                  qcow2_refcount_add(image, offset >> q->cluster_bits, 1, delta);
        for (uint32_t k = 0; is_done && k < q->cluster_size / 8; k++) {
            uint64_t entry = load_be64(l2 + k * 8), at = entry & QCOW2_OFFSET_MASK, bytes = q->cluster_size;
            if (entry & QCOW2_COMPRESSED) {
                at = qcow2_packed_offset(q, entry);
                bytes = qcow2_packed_size(q, entry);
            }
            if (at != 0) {
                uint64_t first = at >> q->cluster_bits, last = (at + bytes - 1) >> q->cluster_bits;
                is_done = qcow2_refcount_add(image, first, last - first + 1, delta);
            }
        }
    }
    free(l2);
    return is_done;
}

/* Sets the COPIED flag of everything active that nobody else refers to, and clears the others. */
static bool update_copied(struct block_image *image)
{
    struct qcow2 *q = image->state;
    uint64_t count = 0;

    for (uint32_t n = 0; n < q->l1_size; n++) {
        uint64_t offset = q->l1[n] & QCOW2_OFFSET_MASK;
        if (offset == 0) {
            continue;
        }
        struct qcow2_table *table = qcow2_cache_get(image, &q->l2, offset, true);
        if (table == NULL || !qcow2_refcount(image, offset >> q->cluster_bits, &count)) {
            return false;
        }
        q->l1[n] = offset | (count == 1 ? QCOW2_COPIED : 0);
        for (uint32_t k = 0; k < q->cluster_size / 8; k++) {
            uint64_t entry = load_be64(table->bytes + k * 8), host = entry & QCOW2_OFFSET_MASK;
            if ((entry & QCOW2_COMPRESSED) || host == 0) {
                continue;
            }
            if (!qcow2_refcount(image, host >> q->cluster_bits, &count)) {
                return false;
            }
            uint64_t flagged = (entry & ~QCOW2_COPIED) | (count == 1 ? QCOW2_COPIED : 0);
            if (flagged != entry) {
                store_be64(table->bytes + k * 8, flagged);
                table->is_dirty = true;
            }
        }
    }
    q->l1_dirty_from = 0;
    q->l1_dirty_to = q->l1_size;
    return qcow2_commit(image);
}

/* ---- The table of snapshots ---- */

static uint64_t entry_bytes(const struct qcow2_snapshot *snapshot)
{
    return (ENTRY_FIXED + (uint64_t)snapshot->extra_size + strlen(snapshot->info.id) + strlen(snapshot->info.name) + 7) /
           8 * 8;
}

static void put_entry(uint8_t *at, const struct qcow2_snapshot *snapshot)
{
    size_t id_size = strlen(snapshot->info.id), name_size = strlen(snapshot->info.name);

    store_be64(at, snapshot->l1_offset);
    store_be32(at + 8, snapshot->l1_size);
    store_be16(at + 12, (uint16_t)id_size);
    store_be16(at + 14, (uint16_t)name_size);
    store_be32(at + 16, (uint32_t)snapshot->info.date_s);
    store_be32(at + 20, snapshot->info.date_ns);
    store_be64(at + 24, snapshot->info.vm_clock_ns);
    store_be32(at + 32, snapshot->info.vm_state_bytes <= UINT32_MAX ? (uint32_t)snapshot->info.vm_state_bytes : 0);
    store_be32(at + 36, snapshot->extra_size);
    memcpy(at + ENTRY_FIXED, snapshot->extra, snapshot->extra_size);
    memcpy(at + ENTRY_FIXED + snapshot->extra_size, snapshot->info.id, id_size);
    memcpy(at + ENTRY_FIXED + snapshot->extra_size + id_size, snapshot->info.name, name_size);
}

/* Writes the table to a new place, then names it in the header, then gives the old one up. */
static bool write_snapshots(struct block_image *image)
{
    struct qcow2 *q = image->state;
    uint64_t bytes = 0, at = 0, offset = 0, got = 0, old_offset = q->snapshot_offset, old_bytes = q->snapshot_bytes;
    uint8_t field[12];

    for (uint32_t n = 0; n < q->snapshot_count; n++) {
        bytes += entry_bytes(&q->snapshots[n]);
    }
    uint8_t *table = calloc(1, (size_t)bytes + 1);
    if (table == NULL) {
        errno = ENOMEM;
        return block_host_error(image, "cannot write the snapshots of");
    }
    for (uint32_t n = 0; n < q->snapshot_count; n++) {
        put_entry(table + at, &q->snapshots[n]);
        at += entry_bytes(&q->snapshots[n]);
    }
    bool is_done = bytes == 0 || (qcow2_alloc(image, qcow2_round_up(q, bytes) >> q->cluster_bits, true, &offset, &got) &&
                                  host_file_write(image->file, offset, table, (size_t)bytes));
    free(table);
    store_be32(field, q->snapshot_count); /* nb_snapshots and snapshots_offset, bytes 60 to 71 */
    store_be64(field + 4, offset);
    is_done = is_done && qcow2_commit(image) && host_file_write(image->file, 60, field, sizeof field) &&
              host_file_sync(image->file);
    if (!is_done) {
        return block_host_error(image, "cannot write the snapshots of");
    }
    q->snapshot_offset = offset;
    q->snapshot_bytes = bytes;
    return old_bytes == 0 || qcow2_give_up(image, old_offset, old_bytes);
}

static struct qcow2_snapshot *find_snapshot(const struct qcow2 *q, const char *name)
{
    for (unsigned by_id = 0; by_id < 2; by_id++) { /* names come before numbers, as in qemu-img */
        for (uint32_t n = 0; n < q->snapshot_count; n++) {
            const char *have = by_id ? q->snapshots[n].info.id : q->snapshots[n].info.name;
            if (strcmp(have, name) == 0) {
                return &q->snapshots[n];
            }
        }
    }
    return NULL;
}

/* ---- Verbs ---- */

static bool append(struct block_image *image, const char *name, uint64_t now_s, uint64_t l1_offset)
{
    struct qcow2 *q = image->state;
    unsigned long id = 0;
    struct qcow2_snapshot *all = realloc(q->snapshots, (q->snapshot_count + 1) * sizeof *all);
    uint8_t *extra = calloc(1, 24);

    q->snapshots = all != NULL ? all : q->snapshots;
    if (all == NULL || extra == NULL) {
        free(extra);
        errno = ENOMEM;
        return block_host_error(image, "cannot make a snapshot in");
    }
    for (uint32_t n = 0; n < q->snapshot_count; n++) {
        unsigned long number = strtoul(all[n].info.id, NULL, 10);
        id = number > id ? number : id;
    }
    struct qcow2_snapshot *snapshot = &all[q->snapshot_count];
    memset(snapshot, 0, sizeof *snapshot);
    snprintf(snapshot->info.id, sizeof snapshot->info.id, "%lu", id + 1);
    snprintf(snapshot->info.name, sizeof snapshot->info.name, "%s", name);
    snapshot->info.date_s = now_s;
    snapshot->info.disk_bytes = image->size;
    snapshot->l1_offset = l1_offset;
    snapshot->l1_size = q->l1_size;
    snapshot->extra = extra; /* vm_state_size, disk_size, icount (none: -1) */
    snapshot->extra_size = 24;
    store_be64(extra + 8, image->size);
    store_be64(extra + 16, UINT64_MAX);
    q->snapshot_count++;
    return true;
}

static bool create(struct block_image *image, const char *name, uint64_t now_s)
{
    struct qcow2 *q = image->state;
    uint64_t bytes = (uint64_t)q->l1_size * 8, offset = 0, got = 0;
    uint8_t *table = calloc(1, (size_t)bytes + 1);

    if (table == NULL) {
        return false;
    }
    bool is_done = qcow2_commit(image) && refer(image, q->l1, q->l1_size, 1) && update_copied(image);
    for (uint32_t n = 0; n < q->l1_size; n++) {
        store_be64(table + n * 8, q->l1[n]);
    }
    is_done = is_done && (bytes == 0 || (qcow2_alloc(image, qcow2_round_up(q, bytes) >> q->cluster_bits, true, &offset, &got) &&
                                         host_file_write(image->file, offset, table, (size_t)bytes)));
    free(table);
    return is_done && qcow2_commit(image) && append(image, name, now_s, offset) && write_snapshots(image);
}

static bool apply(struct block_image *image, const struct qcow2_snapshot *snapshot)
{
    struct qcow2 *q = image->state;
    uint8_t field[8];

    if (!qcow2_commit(image) || !qcow2_grow_l1(image, snapshot->l1_size) || !qcow2_commit(image)) {
        return false;
    }
    uint64_t *table = read_l1(image, snapshot->l1_offset, snapshot->l1_size);
    uint64_t *old = malloc((size_t)q->l1_size * 8 + 8);
    bool is_done = table != NULL && old != NULL && refer(image, table, snapshot->l1_size, 1) && qcow2_commit(image);
    if (is_done) {
        memcpy(old, q->l1, (size_t)q->l1_size * 8);
        memset(q->l1, 0, (size_t)q->l1_size * 8);
        for (uint32_t n = 0; n < snapshot->l1_size; n++) {
            q->l1[n] = table[n] & QCOW2_OFFSET_MASK;
        }
        q->l1_dirty_from = 0;
        q->l1_dirty_to = q->l1_size;
        is_done = qcow2_commit(image) && refer(image, old, q->l1_size, -1) && qcow2_commit(image) && update_copied(image);
    }
    free(table);
    free(old);
    if (is_done && q->version == 3 && snapshot->info.disk_bytes != image->size) {
        store_be64(field, snapshot->info.disk_bytes);
        image->size = snapshot->info.disk_bytes;
        image->backend.sectors = image->size / SECTOR_SIZE;
        is_done = host_file_write(image->file, 24, field, sizeof field);
    }
    return is_done;
}

static bool delete(struct block_image *image, struct qcow2_snapshot *snapshot)
{
    struct qcow2 *q = image->state;
    struct qcow2_snapshot gone = *snapshot;
    uint64_t *table = qcow2_commit(image) ? read_l1(image, gone.l1_offset, gone.l1_size) : NULL;

    if (table == NULL) {
        return false;
    }
    uint32_t index = (uint32_t)(snapshot - q->snapshots);
    memmove(snapshot, snapshot + 1, (q->snapshot_count - index - 1) * sizeof *snapshot);
    q->snapshot_count--;
    bool is_done = write_snapshots(image) && refer(image, table, gone.l1_size, -1);
    free(gone.extra);
    free(table);
    return is_done && (gone.l1_size == 0 || qcow2_give_up(image, gone.l1_offset, (uint64_t)gone.l1_size * 8)) &&
           update_copied(image);
}

bool qcow2_snapshot(struct block_image *image, enum snapshot_verb verb, const char *name, uint64_t now_s,
                    struct error *err)
{
    static const char *const verbs[] = {"make", "apply", "delete"};
    struct qcow2 *q = image->state;
    struct qcow2_snapshot *snapshot = find_snapshot(q, name);
    bool is_done = false;

    if (verb != SNAPSHOT_CREATE && snapshot == NULL) {
        error_set(err, "'%s' has no snapshot '%s'", image->path, name);
        return error_hint(err, "list them with: tick86-img snapshot -l %s", image->path);
    }
    if (verb == SNAPSHOT_CREATE && (strlen(name) > 255 || q->snapshot_count == SNAPSHOTS_MAX || name[0] == '\0')) {
        error_set(err, "cannot make a snapshot '%.60s' in '%s'", name, image->path);
        return error_hint(err, "use a name of 1 to 255 bytes, and delete old snapshots");
    }
    if (qcow2_set_dirty(image, true)) {
        switch (verb) {
        case SNAPSHOT_CREATE: is_done = create(image, name, now_s); break;
        case SNAPSHOT_APPLY: is_done = apply(image, snapshot); break;
        case SNAPSHOT_DELETE: is_done = delete(image, snapshot); break;
        }
        is_done = is_done && qcow2_commit(image) && qcow2_commit(image) && qcow2_set_dirty(image, false);
        q->unpacked_entry = 0;
    }
    if (!is_done) {
        error_set(err, "cannot %s the snapshot '%s' in '%s'", verbs[verb], name, image->path);
        return error_hint(err, "look at the space that is left; then: tick86-img check --repair %s", image->path);
    }
    return true;
}

bool qcow2_load_snapshot(struct block_image *image, const char *name, struct error *err)
{
    struct qcow2 *q = image->state;
    const struct qcow2_snapshot *snapshot = find_snapshot(q, name);

    if (snapshot == NULL || !image->backend.is_readonly) {
        error_set(err, "'%s' has no snapshot '%s'", image->path, name);
        return error_hint(err, "list them with: tick86-img snapshot -l %s", image->path);
    }
    unsigned shift = q->cluster_bits + q->l2_bits;
    if (snapshot->info.disk_bytes > INT64_MAX ||
        (snapshot->info.disk_bytes + (UINT64_C(1) << shift) - 1) >> shift > snapshot->l1_size) {
        return block_refuse(image, err, "look with: qemu-img check", "snapshot '%.100s' is damaged", name);
    }
    uint64_t *table = read_l1(image, snapshot->l1_offset, snapshot->l1_size);
    if (table == NULL) {
        return block_refuse(image, err, "check that the file can be read", "a snapshot's table cannot be read");
    }
    free(q->l1);
    q->l1 = table;
    q->l1_size = snapshot->l1_size;
    image->size = snapshot->info.disk_bytes;
    return true;
}

unsigned qcow2_snapshot_count(const struct block_image *image)
{
    const struct qcow2 *q = image->state;

    return q->snapshot_count;
}

void qcow2_snapshot_get(const struct block_image *image, unsigned index, struct block_snapshot *snapshot)
{
    const struct qcow2 *q = image->state;

    *snapshot = q->snapshots[index].info;
}
