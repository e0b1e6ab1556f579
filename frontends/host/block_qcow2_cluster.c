/* block_qcow2_cluster.c - qcow2: where a guest's bytes are, and room for new ones.
 *
 * QEMU docs/interop/qcow2.txt, "Cluster mapping"; RFC 1951 (deflate without zlib's header) and RFC 8878 (zstd) for
 * compressed clusters. */
#include "frontends/host/block_qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#if defined(TICK86_ZSTD)
#include <zstd.h>
#endif

enum { RUN_MAX = 4096 };

/* ---- Mapping ---- */

/* The L2 table for `offset`; *table NULL where there is none. */
static bool get_l2(struct block_image *image, uint64_t offset, struct qcow2_table **table)
{
    struct qcow2 *q = image->state;
    uint64_t index = offset >> (q->cluster_bits + q->l2_bits);
    uint64_t entry = index < q->l1_size ? q->l1[index] : 0;

    *table = NULL;
    if ((entry & QCOW2_OFFSET_MASK) == 0) {
        return true;
    }
    if (!qcow2_is_placed(image, entry & QCOW2_OFFSET_MASK)) {
        return block_corrupt(image, "L2 table %llu is at an impossible offset", (unsigned long long)index);
    }
    *table = qcow2_cache_get(image, &q->l2, entry & QCOW2_OFFSET_MASK, true);
    return *table != NULL;
}

static uint64_t l2_index(const struct qcow2 *q, uint64_t offset)
{
    return offset >> q->cluster_bits & ((UINT64_C(1) << q->l2_bits) - 1);
}

static enum extent_kind kind_of(const struct qcow2 *q, uint64_t entry)
{
    if (entry & QCOW2_COMPRESSED) {
        return EXTENT_PACKED;
    }
    if ((entry & QCOW2_ZERO) && q->version >= 3) {
        return EXTENT_ZERO;
    }
    return (entry & QCOW2_OFFSET_MASK) != 0 ? EXTENT_DATA : EXTENT_PARENT;
}

/* Bytes from `offset` to the end of its L2 table's area. */
static uint64_t rest_of_l2(const struct qcow2 *q, uint64_t offset)
{
    uint64_t area = UINT64_C(1) << (q->cluster_bits + q->l2_bits);

    return area - (offset & (area - 1));
}

bool qcow2_map(struct block_image *image, uint64_t offset, uint64_t size, struct block_extent *extent)
{
    const struct qcow2 *q = image->state;
    struct qcow2_table *table = NULL;
    uint64_t inside = offset & (q->cluster_size - 1), rest = rest_of_l2(q, offset);

    size = size < rest ? size : rest;
    if (!get_l2(image, offset, &table)) {
        return false;
    }
    if (table == NULL) {
        *extent = (struct block_extent){EXTENT_PARENT, false, NULL, 0, size};
        return true;
    }
    uint64_t index = l2_index(q, offset), entry = load_be64(table->bytes + index * 8);
    uint64_t host = entry & QCOW2_OFFSET_MASK;
    *extent = (struct block_extent){kind_of(q, entry), (entry & QCOW2_COPIED) != 0, image->file, host + inside,
                                    q->cluster_size - inside};
    if (extent->kind == EXTENT_PACKED) {
        return true;
    }
    if ((entry & QCOW2_L2_RESERVED) != 0 || (host != 0 && !qcow2_is_placed(image, host))) {
        return block_corrupt(image, "the entry of the cluster at %llu is impossible", (unsigned long long)offset);
    }
    while (extent->size < size) { /* more of the same */
        uint64_t next = load_be64(table->bytes + ++index * 8);
        if (kind_of(q, next) != extent->kind) {
            break;
        }
        if (extent->kind == EXTENT_DATA) {
            host += q->cluster_size;
            if ((next & ~QCOW2_ZERO) != (host | (entry & QCOW2_COPIED)) || host == 0) {
                break;
            }
        }
        extent->size += q->cluster_size;
    }
    return true;
}

static bool inflate_cluster(const uint8_t *packed, size_t packed_size, uint8_t *bytes, size_t size)
{
    z_stream stream = {0};

    stream.next_in = (Bytef *)(uintptr_t)packed;
    stream.avail_in = (uInt)packed_size;
    stream.next_out = bytes;
    stream.avail_out = (uInt)size;
    if (inflateInit2(&stream, -15) != Z_OK) {
        return false;
    }
    int result = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    /* Behind the data the sector goes on with anything, and old writers end with the buffer. */
    return (result == Z_STREAM_END || result == Z_BUF_ERROR) && stream.avail_out == 0;
}

static bool unpack(struct block_image *image, const uint8_t *packed, size_t packed_size)
{
    struct qcow2 *q = image->state;

    if (q->compression == COMPRESSION_ZLIB) {
        return inflate_cluster(packed, packed_size, q->unpacked, q->cluster_size);
    }
#if defined(TICK86_ZSTD)
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in = {packed, packed_size, 0};
    ZSTD_outBuffer out = {q->unpacked, q->cluster_size, 0};
    bool is_good = stream != NULL;
    while (is_good && out.pos < out.size) {
        size_t before = in.pos + out.pos;
        size_t result = ZSTD_decompressStream(stream, &out, &in);
        is_good = !ZSTD_isError(result) && (in.pos + out.pos != before || out.pos == out.size);
    }
    ZSTD_freeDStream(stream);
    return is_good;
#else
    return false;
#endif
}

bool qcow2_read_packed(struct block_image *image, uint64_t offset, uint64_t size, void *bytes)
{
    struct qcow2 *q = image->state;
    struct qcow2_table *table = NULL;

    if (!get_l2(image, offset, &table) || table == NULL) {
        return false;
    }
    uint64_t entry = load_be64(table->bytes + l2_index(q, offset) * 8);
    if (entry != q->unpacked_entry) {
        uint64_t packed_size = qcow2_packed_size(q, entry);
        uint8_t *packed = malloc((size_t)packed_size);
        bool is_read = packed != NULL &&
                       host_file_read(image->file, qcow2_packed_offset(q, entry), packed, (size_t)packed_size);
        q->unpacked_entry = 0;
        if (!is_read) {
            free(packed);
            return block_host_error(image, "cannot read");
        }
        bool is_good = unpack(image, packed, (size_t)packed_size);
        free(packed);
        if (!is_good) {
            return block_corrupt(image, "the compressed cluster at %llu cannot be unpacked",
                                 (unsigned long long)offset);
        }
        q->unpacked_entry = entry;
    }
    memcpy(bytes, q->unpacked + (offset & (q->cluster_size - 1)), (size_t)size);
    return true;
}

/* ---- Writing ---- */

bool qcow2_give_up_entry(struct block_image *image, uint64_t entry)
{
    const struct qcow2 *q = image->state;

    if (entry & QCOW2_COMPRESSED) {
        uint64_t from = qcow2_packed_offset(q, entry);
        return qcow2_give_up(image, from, qcow2_packed_size(q, entry));
    }
    uint64_t host = entry & QCOW2_OFFSET_MASK;
    return host == 0 || qcow2_give_up(image, host, q->cluster_size);
}

static void set_l1(struct qcow2 *q, uint32_t index, uint64_t entry)
{
    q->l1[index] = entry;
    q->l1_dirty_from = q->l1_dirty_to == 0 || index < q->l1_dirty_from ? index : q->l1_dirty_from;
    q->l1_dirty_to = index + 1 > q->l1_dirty_to ? index + 1 : q->l1_dirty_to;
}

/* The L2 table for `offset`, ours alone: made, or copied from one that a snapshot shares. */
static struct qcow2_table *need_l2(struct block_image *image, uint64_t offset)
{
    struct qcow2 *q = image->state;
    uint64_t index = offset >> (q->cluster_bits + q->l2_bits), host = 0, got = 0;
    struct qcow2_table *old = NULL, *table = NULL;

    if (!get_l2(image, offset, &old)) {
        return NULL;
    }
    if (index >= q->l1_size) {
        block_corrupt(image, "the L1 table is too short");
        return NULL;
    }
    if (old != NULL && (q->l1[index] & QCOW2_COPIED)) {
        return old;
    }
    uint64_t old_offset = old != NULL ? old->offset : 0;
    if (!qcow2_alloc(image, 1, true, &host, &got)) {
        return NULL;
    }
    table = qcow2_cache_get(image, &q->l2, host, false);
    if (table == NULL) {
        return NULL;
    }
    if (old_offset != 0) {
        table->age = UINT64_MAX; /* must not be the victim of reading the other */
        old = qcow2_cache_get(image, &q->l2, old_offset, true);
        table->age = q->l2.clock;
        if (old == NULL) {
            table->offset = 0;
            return NULL;
        }
        memcpy(table->bytes, old->bytes, q->cluster_size);
        qcow2_give_up(image, old_offset, q->cluster_size);
    }
    table->is_dirty = true;
    set_l1(q, (uint32_t)index, host | QCOW2_COPIED);
    return table;
}

/* Copies what the guest sees from `start` to the new place; nothing when it is zeros and the place is fresh. */
static bool copy_part(struct block_image *image, uint64_t entry, uint64_t start, uint64_t size, uint64_t host,
                      uint64_t fresh_from)
{
    struct qcow2 *q = image->state;
    bool is_zero = kind_of(q, entry) == EXTENT_ZERO ||
                   (kind_of(q, entry) == EXTENT_PARENT && node_parent_is_zero(image, start, size));
    uint64_t present = image->backend.sectors * SECTOR_SIZE;
    uint64_t inside = start < present ? present - start : 0;

    if (size == 0 || (is_zero && host >= fresh_from)) {
        return true;
    }
    inside = inside < size ? inside : size;
    memset(q->cluster, 0, (size_t)size);
    if (!is_zero && inside != 0 && !node_read(image, start, inside, q->cluster)) {
        return false;
    }
    if (host >= fresh_from && is_all_zero(q->cluster, (size_t)size)) {
        return true;
    }
    return host_file_write(image->file, host, q->cluster, (size_t)size) || block_host_error(image, "cannot write");
}

/* Puts data and what is around it in its first and last cluster into `count` new clusters at `host`. */
static bool fill_clusters(struct block_image *image, uint64_t offset, uint64_t size, const uint8_t *bytes, uint64_t host,
                          const uint64_t entries[2], bool is_fresh)
{
    const struct qcow2 *q = image->state;
    uint64_t head = offset & (q->cluster_size - 1), end = head + size;
    uint64_t tail = qcow2_round_up(q, end) - end;
    uint64_t fresh_from = is_fresh ? image->file->size : UINT64_MAX;

    if (!host_file_write(image->file, host + head, bytes, (size_t)size)) {
        return block_host_error(image, "cannot write");
    }
    return copy_part(image, entries[0], offset - head, head, host, fresh_from) &&
           copy_part(image, entries[1], offset + size, tail, host + end, fresh_from);
}

/* An entry that needs a new cluster before it is written. */
static bool needs_cluster(const struct qcow2 *q, uint64_t entry)
{
    return kind_of(q, entry) != EXTENT_DATA || !(entry & QCOW2_COPIED);
}

bool qcow2_allocate(struct block_image *image, uint64_t offset, uint64_t size, const uint8_t *bytes, uint64_t *done)
{
    struct qcow2 *q = image->state;
    struct qcow2_table *table = need_l2(image, offset);
    uint64_t index = l2_index(q, offset), head = offset & (q->cluster_size - 1), host = 0, got = 1, rest, l2_offset;

    if (table == NULL) {
        return false;
    }
    rest = rest_of_l2(q, offset);
    size = size < rest ? size : rest;
    uint64_t first = load_be64(table->bytes + index * 8), count = 0;
    uint64_t wanted = (head + size + q->cluster_size - 1) >> q->cluster_bits;
    bool is_reserved = kind_of(q, first) == EXTENT_ZERO && (first & QCOW2_COPIED) && (first & QCOW2_OFFSET_MASK) != 0;
    while (count < wanted && count < RUN_MAX && needs_cluster(q, load_be64(table->bytes + (index + count) * 8))) {
        count++;
    }
    l2_offset = table->offset;
    uint64_t file_end = image->file->size;
    if (is_reserved) { /* a zero cluster that has its place */
        host = first & QCOW2_OFFSET_MASK;
    } else if (!qcow2_alloc(image, count, false, &host, &got)) {
        return false;
    }
    size = head + size < got << q->cluster_bits ? size : (got << q->cluster_bits) - head;
    table = qcow2_cache_get(image, &q->l2, l2_offset, true);
    if (table == NULL) {
        return false;
    }
    uint64_t ends[2] = {first, load_be64(table->bytes + (index + got - 1) * 8)};
    if (!fill_clusters(image, offset, size, bytes, host, ends, host >= file_end)) {
        if (!is_reserved) {
            qcow2_refcount_add(image, host >> q->cluster_bits, got, -1);
        }
        return false;
    }
    table = qcow2_cache_get(image, &q->l2, l2_offset, true); /* copying may have used the cache */
    if (table == NULL) {
        return false;
    }
    for (uint64_t n = 0; n < got; n++) {
        uint8_t *at = table->bytes + (index + n) * 8;
        if (!is_reserved) {
            qcow2_give_up_entry(image, load_be64(at));
        }
        store_be64(at, (host + (n << q->cluster_bits)) | QCOW2_COPIED);
    }
    table->is_dirty = true;
    *done = size;
    return true;
}

/* ---- Zeros and discard ---- */

/* What the entry becomes: of no cluster where the parent has zeros too (or may show), the zero flag otherwise. */
static bool zero_entry(struct block_image *image, uint64_t start, uint64_t size, uint64_t *entry)
{
    const struct qcow2 *q = image->state;

    if (image->parent_name == NULL || node_parent_is_zero(image, start, size)) {
        *entry = 0;
        return true;
    }
    *entry = QCOW2_ZERO;
    return q->version >= 3;
}

enum zero_result qcow2_zero(struct block_image *image, uint64_t offset, uint64_t size, bool discard, uint64_t *done)
{
    struct qcow2 *q = image->state;
    uint64_t head = offset & (q->cluster_size - 1), rest = rest_of_l2(q, offset), count = 0, entry = 0;
    uint64_t present = image->backend.sectors * SECTOR_SIZE;
    struct qcow2_table *table = NULL;

    (void)discard; /* clusters are given back either way */
    size = size < rest ? size : rest;
    bool is_whole_end = offset + size == present; /* the disk's last, partial cluster */
    if (head != 0 || (size < q->cluster_size && !is_whole_end)) {
        uint64_t part = q->cluster_size - head;
        *done = part < size ? part : size;
        return ZERO_UNABLE;
    }
    if (!get_l2(image, offset, &table)) {
        return ZERO_FAILED;
    }
    if (table == NULL && node_parent_is_zero(image, offset, size)) {
        *done = size;
        return ZERO_DONE;
    }
    count = is_whole_end ? (size + q->cluster_size - 1) >> q->cluster_bits : size >> q->cluster_bits;
    for (uint64_t n = 0; n < count; n++) {
        uint64_t start = offset + (n << q->cluster_bits);
        uint64_t length = present - start < q->cluster_size ? present - start : q->cluster_size;
        if (!zero_entry(image, start, length, &entry)) {
            *done = n != 0 ? n << q->cluster_bits : length;
            return n != 0 ? ZERO_DONE : ZERO_UNABLE;
        }
        table = need_l2(image, offset);
        if (table == NULL) {
            return ZERO_FAILED;
        }
        uint8_t *at = table->bytes + (l2_index(q, offset) + n) * 8;
        uint64_t old = load_be64(at);
        if (old != entry && !(kind_of(q, old) == EXTENT_ZERO && entry == QCOW2_ZERO)) {
            store_be64(at, entry);
            table->is_dirty = true;
            qcow2_give_up_entry(image, old);
        }
    }
    *done = is_whole_end ? size : count << q->cluster_bits;
    return ZERO_DONE;
}

bool qcow2_empty(struct block_image *image, struct error *err)
{
    struct qcow2 *q = image->state;
    bool is_done = qcow2_commit(image);

    for (uint32_t n = 0; is_done && n < q->l1_size; n++) {
        struct qcow2_table *table = NULL;
        is_done = get_l2(image, (uint64_t)n << (q->cluster_bits + q->l2_bits), &table);
        if (!is_done || table == NULL) {
            continue;
        }
        for (uint32_t k = 0; k < q->cluster_size / 8; k++) {
            qcow2_give_up_entry(image, load_be64(table->bytes + (size_t)k * 8));
        }
        qcow2_give_up(image, table->offset, q->cluster_size);
        set_l1(q, n, 0);
    }
    if (!is_done || !qcow2_commit(image)) {
        error_set(err, "cannot empty '%s'", image->path);
        return error_hint(err, "look at the space that is left, and: tick86-img check %s", image->path);
    }
    return true;
}

/* ---- Compressed clusters ---- */

static size_t pack(struct block_image *image, const uint8_t *bytes, uint8_t *packed)
{
    const struct qcow2 *q = image->state;
    z_stream stream = {0};

#if defined(TICK86_ZSTD)
    if (q->compression == COMPRESSION_ZSTD) {
        size_t size = ZSTD_compress(packed, q->cluster_size - 1, bytes, q->cluster_size, ZSTD_CLEVEL_DEFAULT);
        return ZSTD_isError(size) ? 0 : size;
    }
#endif
    /* A window of 4 KiB: what the format's description and all readers agree on. */
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY) != Z_OK) {
        return 0;
    }
    stream.next_in = (Bytef *)(uintptr_t)bytes;
    stream.avail_in = q->cluster_size;
    stream.next_out = packed;
    stream.avail_out = q->cluster_size - 1;
    int result = deflate(&stream, Z_FINISH);
    size_t size = result == Z_STREAM_END ? q->cluster_size - 1 - stream.avail_out : 0;
    deflateEnd(&stream);
    return size;
}

/* Room for `size` bytes of packed data, behind the last ones where that goes. */
static bool alloc_packed(struct block_image *image, uint64_t size, uint64_t *offset)
{
    struct qcow2 *q = image->state;
    uint64_t used = q->packed_at & (q->cluster_size - 1), room = used != 0 ? q->cluster_size - used : 0;
    uint64_t count = 0, host = 0, got = 0;

    if (room != 0 && (!qcow2_refcount(image, q->packed_at >> q->cluster_bits, &count))) {
        return false;
    }
    if (room != 0 && count >= qcow2_refcount_max(q)) {
        room = 0;
    }
    if (room < size) {
        if (!qcow2_alloc(image, 1, true, &host, &got)) {
            return false;
        }
        if (room == 0 || host != q->packed_at + room) {
            *offset = host;
            q->packed_at = host + size;
            return true;
        }
    }
    *offset = q->packed_at;
    q->packed_at += size;
    return qcow2_refcount_add(image, *offset >> q->cluster_bits, 1, 1);
}

bool qcow2_write_packed(struct block_image *image, uint64_t offset, uint64_t size, const uint8_t *bytes)
{
    struct qcow2 *q = image->state;
    uint64_t present = image->backend.sectors * SECTOR_SIZE, host = 0;
    uint8_t *buffer = malloc((size_t)q->cluster_size * 2);

    if (buffer == NULL || (offset & (q->cluster_size - 1)) != 0 ||
        (size != q->cluster_size && offset + size != present)) {
        free(buffer);
        errno = buffer == NULL ? ENOMEM : EINVAL;
        return block_host_error(image, "cannot compress to");
    }
    memset(buffer, 0, q->cluster_size);
    memcpy(buffer, bytes, (size_t)size);
    size_t packed_size = pack(image, buffer, buffer + q->cluster_size);
    if (packed_size == 0) {
        free(buffer);
        return node_write(image, offset, size, bytes);
    }
    bool is_done = alloc_packed(image, packed_size, &host);
    if (is_done && host >> (62 - (q->cluster_bits - 8)) != 0) {
        errno = EFBIG;
        is_done = block_host_error(image, "cannot compress to");
    }
    if (is_done && !host_file_write(image->file, host, buffer + q->cluster_size, packed_size)) {
        is_done = block_host_error(image, "cannot write");
    }
    free(buffer);
    struct qcow2_table *table = is_done ? need_l2(image, offset) : NULL;
    if (table == NULL) {
        return false;
    }
    uint64_t sectors = ((host + packed_size - 1) >> 9) - (host >> 9);
    uint8_t *at = table->bytes + l2_index(q, offset) * 8;
    qcow2_give_up_entry(image, load_be64(at));
    store_be64(at, QCOW2_COMPRESSED | host | sectors << (62 - (q->cluster_bits - 8)));
    table->is_dirty = true;
    return true;
}
