/* block_qcow2.c - qcow2 disk images, versions 2 and 3: opening, sizes, creating.
 *
 * QEMU docs/interop/qcow2.txt. Refcounts are always kept right, so the lazy refcounts that an image allows are not made
 * use of; an image that another program left dirty is repaired when it is opened for writing.
 *
 * Not implemented (refused with an error): encryption, subclusters (extended L2 entries), external data files. Bitmaps are
 * dropped as the format asks of programs that do not know them. */
#include "frontends/host/block_qcow2.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void qcow2_free(struct block_image *image)
{
    struct qcow2 *q = image->state;

    qcow2_cache_free(&q->l2);
    qcow2_cache_free(&q->blocks);
    qcow2_free_snapshots(q);
    free(q->l1);
    free(q->refcount_table);
    free(q->frees);
    free(q->cluster);
    free(q->unpacked);
    free(q->extensions);
    free(q);
    image->state = NULL;
}

/* What opening for writing does first. */
static bool prepare_writing(struct block_image *image, struct error *err)
{
    struct qcow2 *q = image->state;
    struct block_check check = {.repair_leaks = true, .repair_errors = true};
    uint8_t none[8] = {0};

    if (q->autoclear != 0) {
        q->autoclear = 0;
        q->bitmaps = 0;
        if (!host_file_write(image->file, 88, none, sizeof none)) {
            return block_refuse(image, err, "check that it can be written", "%s", strerror(errno));
        }
    }
    if (!(q->incompatible & INCOMPATIBLE_DIRTY)) {
        return true;
    }
    image->backend.sectors = image->size / SECTOR_SIZE;
    image->options.is_check = true;
    bool is_done = qcow2_check(image, &check, err);
    image->options.is_check = false;
    return is_done &&
           (qcow2_set_dirty(image, false) ||
            block_refuse(image, err, "check that it can be written", "its dirty bit cannot be cleared"));
}

static bool qcow2_open(struct block_image *image, struct error *err)
{
    struct qcow2 *q = calloc(1, sizeof *q);

    if (q == NULL) {
        return block_no_memory(image->path, err);
    }
    image->state = q;
    if (!qcow2_read_header(image, err)) {
        qcow2_free(image);
        return false;
    }
    image->cluster_size = q->cluster_size;
    q->cluster = malloc(q->cluster_size);
    q->unpacked = malloc(q->cluster_size);
    if (q->cluster == NULL || q->unpacked == NULL || !qcow2_cache_init(q, &q->l2) || !qcow2_cache_init(q, &q->blocks)) {
        qcow2_free(image);
        return block_no_memory(image->path, err);
    }
    if (image->options.snapshot != NULL && !qcow2_load_snapshot(image, image->options.snapshot, err)) {
        qcow2_free(image);
        return false;
    }
    if (!image->backend.is_readonly && !image->options.is_check && !prepare_writing(image, err)) {
        qcow2_free(image);
        return false;
    }
    return true;
}

static void qcow2_close(struct block_image *image)
{
    struct qcow2 *q = image->state;

    /* What the last flush made free is written, too; a failure leaves leaks. */
    if (!image->backend.is_readonly && !image->is_frozen) {
        qcow2_commit(image);
    }
    (void)q;
    qcow2_free(image);
}

/* ---- Sizes ---- */

bool qcow2_grow_l1(struct block_image *image, uint64_t entries)
{
    struct qcow2 *q = image->state;
    uint64_t bytes = qcow2_round_up(q, entries * 8), offset = 0, got = 0;
    uint8_t field[12];

    if (entries <= q->l1_size) {
        return true;
    }
    if (entries * 8 > UINT64_C(32) << 20) {
        errno = EFBIG;
        return block_host_error(image, "cannot grow (larger clusters allow more)");
    }
    if (!qcow2_alloc(image, bytes >> q->cluster_bits, true, &offset, &got) || !qcow2_commit(image)) {
        return false;
    }
    uint8_t *table = calloc(1, (size_t)bytes);
    uint64_t *l1 = realloc(q->l1, (size_t)entries * 8);
    q->l1 = l1 != NULL ? l1 : q->l1;
    if (table == NULL || l1 == NULL) {
        free(table);
        errno = ENOMEM;
        return block_host_error(image, "cannot grow");
    }
    memset(l1 + q->l1_size, 0, (size_t)(entries - q->l1_size) * 8);
    for (uint64_t n = 0; n < q->l1_size; n++) {
        store_be64(table + n * 8, l1[n]);
    }
    store_be32(field, (uint32_t)entries); /* l1_size and l1_table_offset, bytes 36 to 47 */
    store_be64(field + 4, offset);
    bool is_done = host_file_write(image->file, offset, table, (size_t)bytes) && host_file_sync(image->file) &&
                   host_file_write(image->file, 36, field, sizeof field) && host_file_sync(image->file);
    free(table);
    if (!is_done) {
        return block_host_error(image, "cannot grow");
    }
    if (q->l1_size != 0) {
        qcow2_give_up(image, q->l1_offset, (uint64_t)q->l1_size * 8);
    }
    q->l1_size = (uint32_t)entries;
    q->l1_offset = offset;
    return true;
}

static bool set_size(struct block_image *image, uint64_t size)
{
    uint8_t field[8];

    store_be64(field, size);
    image->size = size;
    image->backend.sectors = size / SECTOR_SIZE;
    return (host_file_write(image->file, 24, field, sizeof field) && host_file_sync(image->file)) ||
           block_host_error(image, "cannot write the header of");
}

static bool grow(struct block_image *image, uint64_t size)
{
    const struct qcow2 *q = image->state;
    unsigned shift = q->cluster_bits + q->l2_bits;
    uint64_t old = image->size, under = image->parent != NULL ? image->parent->backend.sectors * SECTOR_SIZE : 0;

    if (!qcow2_grow_l1(image, (size + (UINT64_C(1) << shift) - 1) >> shift)) {
        return false;
    }
    image->size = size;
    image->backend.sectors = size / SECTOR_SIZE;
    under = under < size ? under : size;
    /* A larger parent must not show where there was nothing before. */
    if (under > old && (!node_zero(image, old, under - old, false) || !qcow2_commit(image))) {
        image->size = old;
        image->backend.sectors = old / SECTOR_SIZE;
        return false;
    }
    return set_size(image, size);
}

static bool qcow2_resize(struct block_image *image, uint64_t size, struct error *err)
{
    const struct qcow2 *q = image->state;
    bool is_done = false;

    if (q->snapshot_count != 0 && (q->version < 3 || size < image->size)) {
        error_set(err, "cannot resize '%s': it has internal snapshots", image->path);
        return error_hint(err, "delete them first: tick86-img snapshot -d NAME %s", image->path);
    }
    if (size >= image->size) {
        is_done = grow(image, size);
    } else {
        is_done = node_zero(image, size, image->size - size, true) && qcow2_commit(image) && set_size(image, size) &&
                  qcow2_commit(image);
    }
    if (!is_done) {
        error_set(err, "cannot resize '%s' to %llu bytes", image->path, (unsigned long long)size);
        return error_hint(err, "look at the space that is left with: df .; a larger cluster_size allows larger images");
    }
    return true;
}

static void add_row(struct block_info *info, const char *key, enum block_info_kind kind, const char *format, unsigned value)
{
    snprintf(info->rows[info->count].key, sizeof info->rows[0].key, "%s", key);
    snprintf(info->rows[info->count].value, sizeof info->rows[0].value, format, value);
    info->rows[info->count++].kind = kind;
}

static void qcow2_info(struct block_image *image, struct block_info *info)
{
    const struct qcow2 *q = image->state;

    add_row(info, "compat", INFO_TEXT, q->version == 3 ? "1.1" : "0.10", 0);
    add_row(info, "compression type", INFO_TEXT, q->compression == COMPRESSION_ZSTD ? "zstd" : "zlib", 0);
    if (q->version == 3) {
        add_row(info, "lazy refcounts", INFO_FLAG, q->compatible & COMPATIBLE_LAZY_REFCOUNTS ? "true" : "false", 0);
    }
    add_row(info, "refcount bits", INFO_NUMBER, "%u", 1u << q->refcount_order);
    if (q->version == 3) {
        add_row(info, "corrupt", INFO_FLAG, q->incompatible & INCOMPATIBLE_CORRUPT ? "true" : "false", 0);
        add_row(info, "extended l2", INFO_FLAG, "false", 0);
    }
}

/* ---- Creating ---- */

struct qcow2_options {
    uint64_t cluster_size, refcount_bits;
    uint32_t version;
    bool is_lazy, has_checksum;
    uint8_t compression;
};

static bool bad_option(struct error *err, const char *what, const char *hint)
{
    error_set(err, "qcow2 does not take %s", what);
    return error_hint(err, "%s", hint);
}

static bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static bool parse_options(const struct block_create *create, struct qcow2_options *o, struct error *err)
{
    struct create_options options;
    const char *text = NULL;

    *o = (struct qcow2_options){65536, 16, 3, false, true, COMPRESSION_ZLIB};
    if (!create_options_parse(&options, create->options, "qcow2", err) ||
        !create_options_size(&options, "cluster_size", &o->cluster_size, err) ||
        !create_options_size(&options, "refcount_bits", &o->refcount_bits, err) ||
        !create_options_flag(&options, "lazy_refcounts", &o->is_lazy, err) ||
        !create_options_flag(&options, "parent_checksum", &o->has_checksum, err)) {
        return false;
    }
    if ((text = create_options_get(&options, "compat")) != NULL) {
        o->version = strcmp(text, "0.10") == 0 || strcmp(text, "v2") == 0   ? 2
                     : strcmp(text, "1.1") == 0 || strcmp(text, "v3") == 0 ? 3
                                                                           : 0;
    }
    if ((text = create_options_get(&options, "compression_type")) != NULL) {
        o->compression = strcmp(text, "zstd") == 0 ? COMPRESSION_ZSTD : strcmp(text, "zlib") == 0 ? COMPRESSION_ZLIB : 255;
    }
    if (!create_options_done(&options, "qcow2", err)) {
        return false;
    }
    if (o->version == 0) {
        return bad_option(err, "that compat", "write compat=0.10 or compat=1.1");
    }
#if !defined(TICK86_ZSTD)
    o->compression = o->compression == COMPRESSION_ZSTD ? 255 : o->compression;
#endif
    if (o->compression == 255) {
        return bad_option(err, "that compression_type", "write compression_type=zlib or zstd (if this build has it)");
    }
    if (!is_power_of_two(o->cluster_size) || o->cluster_size < 512 || o->cluster_size > 2 << 20) {
        return bad_option(err, "that cluster_size", "a power of two from 512 to 2M");
    }
    if (!is_power_of_two(o->refcount_bits) || o->refcount_bits > 64) {
        return bad_option(err, "those refcount_bits", "a power of two from 1 to 64");
    }
    if (o->version == 2 && (o->is_lazy || o->refcount_bits != 16 || o->compression != COMPRESSION_ZLIB)) {
        return bad_option(err, "such options with compat=0.10", "use compat=1.1");
    }
    return true;
}

static unsigned log2_of(uint64_t value)
{
    unsigned bits = 0;

    while (value > 1) {
        value >>= 1;
        bits++;
    }
    return bits;
}

/* An image of no size: header, refcount table, and the block that counts these three clusters. */
static bool write_seed(struct host_file *file, const struct qcow2_options *o)
{
    size_t size = (size_t)o->cluster_size;
    uint8_t *bytes = calloc(3, size);
    bool is_done = bytes != NULL;

    if (!is_done) {
        errno = ENOMEM;
        return false;
    }
    store_be32(bytes, 0x514649fb);
    store_be32(bytes + 4, o->version);
    store_be32(bytes + 20, log2_of(o->cluster_size));
    store_be64(bytes + 48, o->cluster_size);
    store_be32(bytes + 56, 1);
    if (o->version == 3) {
        store_be64(bytes + 72, o->compression != COMPRESSION_ZLIB ? INCOMPATIBLE_COMPRESSION : 0);
        store_be64(bytes + 80, o->is_lazy ? COMPATIBLE_LAZY_REFCOUNTS : 0);
        store_be32(bytes + 96, log2_of(o->refcount_bits));
        store_be32(bytes + 100, 112);
        bytes[104] = o->compression;
    }
    store_be64(bytes + size, o->cluster_size * 2);
    uint8_t *block = bytes + size * 2;
    for (unsigned n = 0; n < 3; n++) {
        switch (o->refcount_bits) {
        case 64: store_be64(block + n * 8, 1); break;
        case 32: store_be32(block + n * 4, 1); break;
        case 16: store_be16(block + n * 2, 1); break;
        default: block[n * o->refcount_bits / 8] |= (uint8_t)(1u << (n * o->refcount_bits % 8)); break;
        }
    }
    is_done = host_file_resize(file, 0) && host_file_write(file, 0, bytes, size * 3);
    free(bytes);
    return is_done;
}

/* Gives the new image its parent, with the stamp that the parent has now. */
static bool adopt(struct block_image *image, const struct block_create *create, bool has_checksum, struct error *err)
{
    size_t length = strlen(create->parent) + 1;

    image->parent_name = malloc(length);
    if (image->parent_name == NULL) {
        return block_no_memory(image->path, err);
    }
    memcpy(image->parent_name, create->parent, length);
    if (create->parent_format != NULL) {
        length = strlen(create->parent_format) + 1;
        image->parent_format = malloc(length);
        if (image->parent_format == NULL) {
            return block_no_memory(image->path, err);
        }
        memcpy(image->parent_format, create->parent_format, length);
    }
    if (has_checksum && !create->is_parent_unchecked &&
        (!node_open_parent(image, 0, err) || !layer_stamp(image->parent, image->parent_stamp, err))) {
        return false;
    }
    return qcow2_write_header(image, err);
}

static void keep_log(void *context, const char *text)
{
    struct error *err = context;

    error_set(err, "%s", text);
    error_hint(err, "look at the space that is left with: df .");
}

bool qcow2_create(const char *path, const struct block_create *create, struct error *err)
{
    struct qcow2_options o;
    struct block_options options = {.format = "qcow2", .is_alone = true, .log = keep_log, .log_context = err};
    struct host_file *file = parse_options(create, &o, err) ? host_file_create(path, err) : NULL;

    if (file == NULL) {
        return false;
    }
    bool is_done = write_seed(file, &o);
    if (!is_done) {
        error_set(err, "cannot write '%s': %s", path, strerror(errno));
        error_hint(err, "look at the space that is left with: df .");
    }
    host_file_close(file);
    struct block_image *image = is_done ? node_open(path, &options, 0, err) : NULL;
    if (image == NULL) {
        return false;
    }
    image->is_clean = false;
    is_done = qcow2_resize(image, create->size, err) &&
              (create->parent == NULL || adopt(image, create, o.has_checksum, err));
    return node_close(image) && is_done;
}

const struct block_driver block_qcow2_driver = {
    .name = "qcow2",
    .content = CONTENT_QCOW2,
    .create_options = "cluster_size, compat, compression_type, lazy_refcounts, refcount_bits, parent_checksum",
    .has_parents = true,
    .open = qcow2_open,
    .close = qcow2_close,
    .map = qcow2_map,
    .read_packed = qcow2_read_packed,
    .allocate = qcow2_allocate,
    .zero = qcow2_zero,
    .write_packed = qcow2_write_packed,
    .flush = qcow2_commit,
    .info = qcow2_info,
    .snapshot_count = qcow2_snapshot_count,
    .snapshot_get = qcow2_snapshot_get,
    .snapshot = qcow2_snapshot,
    .check = qcow2_check,
    .resize = qcow2_resize,
    .write_parent = qcow2_write_header,
    .empty = qcow2_empty,
    .create = qcow2_create,
};
