/* block_qcow2_header.c - qcow2: header and its extensions, read with suspicion and written in one piece.
 *
 * QEMU docs/interop/qcow2.txt, "Header" and "Header extensions". */
#include "frontends/host/block_qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define L1_BYTES_MAX (UINT64_C(32) << 20)
#define REFCOUNT_BYTES_MAX (UINT64_C(8) << 20)

enum { STAMP_BYTES = 40, NAME_MAX_BYTES = 1023 };

static bool damaged(struct block_image *image, struct error *err, const char *what)
{
    return block_refuse(image, err, "use a backup, or look with: qemu-img check", "its header is damaged: %s", what);
}

static char *copy_string(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size + 1);

    if (text != NULL) {
        memcpy(text, bytes, size);
        text[size] = '\0';
    }
    return text;
}

static void read_stamp(struct block_image *image, const uint8_t *data, uint32_t size)
{
    const char *name = image->parent_name;

    /* Another program may have changed the name since. */
    if (size != STAMP_BYTES || name == NULL ||
        load_be32(data + 32) != crc32(0, (const Bytef *)name, (uInt)strlen(name))) {
        return;
    }
    for (unsigned n = 0; n < 4; n++) {
        image->parent_stamp[n] = load_be64(data + n * 8);
    }
}

static bool read_extensions(struct block_image *image, const uint8_t *bytes, uint64_t end, struct error *err)
{
    struct qcow2 *q = image->state;
    uint64_t at = q->header_size;

    q->extensions = malloc((size_t)(end > at ? end - at : 1));
    if (q->extensions == NULL) {
        return block_no_memory(image->path, err);
    }
    while (at + 8 <= end) {
        uint32_t type = load_be32(bytes + at), size = load_be32(bytes + at + 4);
        uint64_t padded = ((uint64_t)size + 7) / 8 * 8;
        const uint8_t *data = bytes + at + 8;

        if (type == QCOW2_EXTENSION_END) {
            break;
        }
        if (size > end - at - 8) {
            return damaged(image, err, "an extension is longer than the space for it");
        }
        padded = padded < end - at - 8 ? padded : end - at - 8;
        if (type == QCOW2_EXTENSION_PARENT_FORMAT) {
            image->parent_format = size < 64 ? copy_string(data, size) : NULL;
        } else if (type == QCOW2_EXTENSION_STAMP) {
            read_stamp(image, data, size);
        } else {
            if (type == QCOW2_EXTENSION_BITMAPS && size == 24 && (q->autoclear & AUTOCLEAR_BITMAPS)) {
                q->bitmaps = load_be32(data);
                q->bitmaps_bytes = load_be64(data + 8);
                q->bitmaps_offset = load_be64(data + 16);
            }
            memcpy(q->extensions + q->extensions_size, bytes + at, (size_t)padded + 8);
            q->extensions_size += (uint32_t)padded + 8;
        }
        at += 8 + padded;
    }
    return true;
}

static bool check_features(struct block_image *image, struct error *err)
{
    const struct qcow2 *q = image->state;
    uint64_t known = INCOMPATIBLE_DIRTY | INCOMPATIBLE_CORRUPT | INCOMPATIBLE_COMPRESSION;

    if (q->incompatible & INCOMPATIBLE_EXTENDED_L2) {
        return block_refuse(image, err, "convert it: qemu-img convert -O qcow2 IN OUT", "subclusters are not supported");
    }
    if (q->incompatible & INCOMPATIBLE_DATA_FILE) {
        return block_refuse(image, err, "convert it: qemu-img convert -O qcow2 IN OUT",
                            "external data files are not supported");
    }
    if (q->incompatible & ~known) {
        return block_refuse(image, err, "convert it with the program that made it", "it has unknown features %#" PRIx64,
                            q->incompatible & ~known);
    }
    if ((q->incompatible & INCOMPATIBLE_CORRUPT) && !image->backend.is_readonly && !image->options.is_check) {
        return block_refuse(image, err, "repair it: tick86-img check --repair FILE; or open it read-only",
                            "it is marked as damaged");
    }
#if defined(TICK86_ZSTD)
    if (q->compression > COMPRESSION_ZSTD) {
#else
    if (q->compression > COMPRESSION_ZLIB) {
#endif
        return block_refuse(image, err, "convert it: qemu-img convert -O qcow2 IN OUT",
                            "compression type %u is not supported by this build", q->compression);
    }
    return true;
}

static bool check_geometry(struct block_image *image, uint32_t table_clusters, struct error *err)
{
    const struct qcow2 *q = image->state;
    unsigned l1_shift = q->cluster_bits + q->l2_bits;
    uint64_t entries = (image->size >> l1_shift) + ((image->size & ((UINT64_C(1) << l1_shift) - 1)) != 0);

    if (image->size > INT64_MAX) {
        return damaged(image, err, "it is too large");
    }
    if ((uint64_t)q->l1_size * 8 > L1_BYTES_MAX || q->l1_size < entries) {
        return damaged(image, err, "the L1 table does not fit the size");
    }
    if (q->l1_size != 0 && !qcow2_is_placed(image, q->l1_offset)) {
        return damaged(image, err, "the L1 table is at an impossible offset");
    }
    if (table_clusters == 0 || (uint64_t)table_clusters << q->cluster_bits > REFCOUNT_BYTES_MAX ||
        !qcow2_is_aligned(q, q->refcount_offset) || q->refcount_offset >= image->file->size) {
        return damaged(image, err, "the refcount table is impossible");
    }
    return true;
}

static bool read_fields(struct block_image *image, const uint8_t *header, struct error *err)
{
    struct qcow2 *q = image->state;
    uint32_t method = load_be32(header + 32);

    q->version = load_be32(header + 4);
    q->cluster_bits = load_be32(header + 20);
    image->size = load_be64(header + 24);
    if (load_be32(header) != 0x514649fb) {
        return block_refuse(image, err, "leave the format out to have it told from the content",
                            "it is no qcow2 image");
    }
    if (q->version != 2 && q->version != 3) {
        return block_refuse(image, err, "convert it: qemu-img convert -O qcow2 IN OUT",
                            "qcow2 version %u is not supported", q->version);
    }
    if (q->cluster_bits < 9 || q->cluster_bits > 21) {
        return damaged(image, err, "clusters must have 512 bytes to 2 MiB");
    }
    if (method != 0) {
        return block_refuse(image, err, "decrypt it: qemu-img convert --image-opts ... OUT",
                            "it is encrypted, which is not supported");
    }
    q->cluster_size = UINT32_C(1) << q->cluster_bits;
    q->l2_bits = q->cluster_bits - 3;
    q->l1_size = load_be32(header + 36);
    q->l1_offset = load_be64(header + 40);
    q->refcount_offset = load_be64(header + 48);
    q->refcount_order = 4;
    q->header_size = QCOW2_VERSION_2_HEADER;
    if (q->version == 3) {
        q->incompatible = load_be64(header + 72);
        q->compatible = load_be64(header + 80);
        q->autoclear = load_be64(header + 88);
        q->refcount_order = load_be32(header + 96);
        q->header_size = load_be32(header + 100);
        q->compression = q->header_size > 104 ? header[104] : COMPRESSION_ZLIB;
    }
    if (q->refcount_order > 6 || q->header_size % 8 != 0 || q->header_size > q->cluster_size ||
        (q->version == 3 && q->header_size < QCOW2_VERSION_3_HEADER)) {
        return damaged(image, err, "a field is out of range");
    }
    return check_features(image, err) && check_geometry(image, load_be32(header + 56), err);
}

static bool read_name(struct block_image *image, const uint8_t *cluster, uint64_t *extensions_end, struct error *err)
{
    const struct qcow2 *q = image->state;
    uint64_t offset = load_be64(cluster + 8);
    uint32_t size = load_be32(cluster + 16);

    *extensions_end = q->cluster_size;
    if (offset == 0) {
        return true;
    }
    if (offset < q->header_size || offset >= q->cluster_size || size > NAME_MAX_BYTES ||
        size > q->cluster_size - offset) {
        return damaged(image, err, "the parent's name is at an impossible offset");
    }
    *extensions_end = offset;
    image->parent_name = size != 0 ? copy_string(cluster + offset, size) : NULL;
    return size == 0 || image->parent_name != NULL || block_no_memory(image->path, err);
}

static uint64_t *read_table(struct block_image *image, uint64_t offset, uint64_t entries, struct error *err)
{
    uint64_t *table = malloc((size_t)entries * 8 + 8);

    if (table == NULL) {
        block_no_memory(image->path, err);
        return NULL;
    }
    if (!host_file_read(image->file, offset, table, (size_t)entries * 8)) {
        block_refuse(image, err, "check that the file can be read", "%s", strerror(errno));
        free(table);
        return NULL;
    }
    for (uint64_t n = 0; n < entries; n++) {
        table[n] = load_be64(&table[n]);
    }
    return table;
}

bool qcow2_read_header(struct block_image *image, struct error *err)
{
    struct qcow2 *q = image->state;
    uint8_t header[112];
    uint64_t extensions_end = 0;

    if (!host_file_read(image->file, 0, header, sizeof header)) {
        return block_refuse(image, err, "check that the file can be read", "%s", strerror(errno));
    }
    if (!read_fields(image, header, err)) {
        return false;
    }
    uint8_t *cluster = malloc(q->cluster_size);
    if (cluster == NULL) {
        return block_no_memory(image->path, err);
    }
    bool is_good = host_file_read(image->file, 0, cluster, q->cluster_size) &&
                   read_name(image, cluster, &extensions_end, err) &&
                   read_extensions(image, cluster, extensions_end, err);
    free(cluster);
    if (!is_good) {
        return err->message[0] != '\0' ? false : damaged(image, err, "it cannot be read");
    }
    q->refcount_entries = load_be32(header + 56) * (q->cluster_size / 8);
    q->refcount_disk_entries = q->refcount_entries;
    q->l1 = read_table(image, q->l1_offset, q->l1_size, err);
    q->refcount_table = q->l1 != NULL ? read_table(image, q->refcount_offset, q->refcount_entries, err) : NULL;
    return q->refcount_table != NULL &&
           qcow2_read_snapshots(image, load_be32(header + 60), load_be64(header + 64), err);
}

/* ---- Writing ---- */

/* An extension at `*at`; false when there is no room. */
static bool put_extension(uint8_t *cluster, uint64_t *at, uint64_t end, uint32_t type, const void *data, uint32_t size)
{
    uint64_t padded = ((uint64_t)size + 7) / 8 * 8;

    if (*at + 8 + padded > end) {
        return false;
    }
    store_be32(cluster + *at, type);
    store_be32(cluster + *at + 4, size);
    if (size != 0) {
        memcpy(cluster + *at + 8, data, size);
    }
    *at += 8 + padded;
    return true;
}

static bool put_extensions(struct block_image *image, uint8_t *cluster, uint64_t *at)
{
    const struct qcow2 *q = image->state;
    const char *name = image->parent_name;
    uint8_t stamp[STAMP_BYTES] = {0};

    if (name != NULL && image->parent_format != NULL &&
        !put_extension(cluster, at, q->cluster_size, QCOW2_EXTENSION_PARENT_FORMAT, image->parent_format,
                       (uint32_t)strlen(image->parent_format))) {
        return false;
    }
    for (unsigned n = 0; n < 4; n++) {
        store_be64(stamp + n * 8, image->parent_stamp[n]);
    }
    if (name != NULL && !is_all_zero(stamp, 32)) {
        store_be32(stamp + 32, (uint32_t)crc32(0, (const Bytef *)name, (uInt)strlen(name)));
        if (!put_extension(cluster, at, q->cluster_size, QCOW2_EXTENSION_STAMP, stamp, STAMP_BYTES)) {
            return false;
        }
    }
    if (*at + q->extensions_size > q->cluster_size) {
        return false;
    }
    if (q->extensions_size != 0) {
        memcpy(cluster + *at, q->extensions, q->extensions_size);
    }
    *at += q->extensions_size;
    return put_extension(cluster, at, q->cluster_size, QCOW2_EXTENSION_END, NULL, 0);
}

bool qcow2_write_header(struct block_image *image, struct error *err)
{
    const struct qcow2 *q = image->state;
    uint8_t *cluster = calloc(1, q->cluster_size);
    uint64_t at = q->header_size;
    size_t length = image->parent_name != NULL ? strlen(image->parent_name) : 0;

    if (cluster == NULL || !host_file_read(image->file, 0, cluster, q->header_size)) {
        free(cluster);
        error_set(err, "cannot read the header of '%s'", image->path);
        return error_hint(err, "check that the file can be read");
    }
    store_be32(cluster, 0x514649fb);
    store_be32(cluster + 4, q->version);
    store_be32(cluster + 20, q->cluster_bits);
    store_be64(cluster + 24, image->size);
    if (q->version == 3) {
        store_be64(cluster + 72, q->incompatible);
        store_be64(cluster + 80, q->compatible);
        store_be64(cluster + 88, q->autoclear);
    }
    bool fits = put_extensions(image, cluster, &at) && at + length <= q->cluster_size && length <= NAME_MAX_BYTES;
    store_be64(cluster + 8, length != 0 && fits ? at : 0);
    store_be32(cluster + 16, fits ? (uint32_t)length : 0);
    if (fits && length != 0) {
        memcpy(cluster + at, image->parent_name, length);
    }
    bool is_done = fits && host_file_write(image->file, 0, cluster, q->cluster_size) && host_file_sync(image->file);
    free(cluster);
    if (!is_done) {
        error_set(err, "cannot write the header of '%s': %s", image->path,
                  fits ? strerror(errno) : "the parent's name does not fit");
        return error_hint(err, fits ? "look at the space that is left with: df ." : "use a shorter name");
    }
    return true;
}

bool qcow2_set_dirty(struct block_image *image, bool is_dirty)
{
    struct qcow2 *q = image->state;
    uint64_t dirty = INCOMPATIBLE_DIRTY;
    uint8_t field[8];

    if (q->version < 3) {
        return true;
    }
    q->incompatible = is_dirty ? q->incompatible | dirty : q->incompatible & ~dirty;
    store_be64(field, q->incompatible);
    return (host_file_write(image->file, 72, field, sizeof field) && host_file_sync(image->file)) ||
           block_host_error(image, "cannot write the header of");
}
