/* block_vmdk.c - VMware disk images (VMDK): flat and sparse extents, streamOptimized, with or without a descriptor file.
 *
 * VMware, "Virtual Disk Format 5.0" (2011). A sparse extent maps grains (64 KiB) through a directory and grain tables, kept
 * twice. streamOptimized ones are compressed, with the directory behind the data: they are read, not written. A layer
 * knows its parent by the content ID, which every program changes at its first write.
 *
 * Not implemented (refused): COWD and SESPARSE extents of ESX, raw devices, layers of several extents over each other. */
#include "frontends/host/block_vmdk.h"
#include "mem/space.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    FLAG_REDUNDANT = 1 << 1,
    FLAG_ZERO_GRAINS = 1 << 2,
    FLAG_PACKED = 1 << 16,
    MARKER_BYTES = 12, /* of a compressed grain: sector number, size */
};

static bool damaged(struct block_image *image, struct error *err, const char *what)
{
    return block_refuse(image, err, "use a backup, or: vmware-vdiskmanager -R FILE", "it is damaged: %s", what);
}

static void free_extent(struct vmdk_extent *extent)
{
    for (uint32_t n = 0; extent->tables != NULL && n < extent->directory_entries; n++) {
        free(extent->tables[n]);
    }
    free(extent->tables);
    free(extent->is_dirty);
    free(extent->directory);
    free(extent->redundant);
    if (extent->is_owned) {
        host_file_close(extent->file);
    }
}

static void vmdk_close(struct block_image *image)
{
    struct vmdk *vmdk = image->state;

    for (unsigned n = 0; n < vmdk->count; n++) {
        free_extent(&vmdk->extents[n]);
    }
    free(vmdk->extents);
    free(vmdk->descriptor);
    free(vmdk->unpacked);
    free(vmdk);
    image->state = NULL;
}

/* ---- Opening ---- */

static bool read_directory(struct block_image *image, struct vmdk_extent *extent, uint64_t offset, uint8_t **directory,
                           struct error *err)
{
    size_t bytes = (size_t)extent->directory_entries * 4;

    if (offset >= extent->file->size || bytes > extent->file->size - offset) {
        return damaged(image, err, "its directory lies behind the end of the file");
    }
    *directory = malloc(bytes + 1);
    if (*directory == NULL || !host_file_read(extent->file, offset, *directory, bytes)) {
        return block_no_memory(image->path, err);
    }
    return true;
}

bool vmdk_read_sparse(struct block_image *image, struct vmdk_extent *extent, uint64_t descriptor[2], struct error *err)
{
    uint8_t header[VMDK_HEADER_BYTES];

    if (!host_file_read(extent->file, 0, header, sizeof header) || memcmp(header, "KDMV", 4) != 0) {
        return damaged(image, err, "a sparse extent has no header");
    }
    descriptor[0] = load_le64(header + 28) * SECTOR_SIZE;
    descriptor[1] = load_le64(header + 36) * SECTOR_SIZE;
    if (load_le64(header + 56) == UINT64_MAX) { /* streamOptimized: the header that counts is the footer */
        if (extent->file->size < 2048 || !host_file_read(extent->file, extent->file->size - 1024, header, sizeof header) ||
            memcmp(header, "KDMV", 4) != 0) {
            return damaged(image, err, "a stream has no footer: it was not written to its end");
        }
    }
    uint32_t version = load_le32(header + 4), flags = load_le32(header + 8);
    uint64_t capacity = load_le64(header + 12), grain = load_le64(header + 20);
    extent->table_entries = load_le32(header + 44);
    if (version < 1 || version > 3) {
        return block_refuse(image, err, "convert it with the program that made it", "VMDK version %u is not supported", version);
    }
    if (grain == 0 || grain > 4096 || (grain & (grain - 1)) != 0 || extent->table_entries == 0 ||
        extent->table_entries > 4096 || capacity == 0 || capacity > (UINT64_C(1) << 42)) {
        return damaged(image, err, "impossible sizes");
    }
    if (memcmp(header + 73, "\n \r\n", 4) != 0) {
        return damaged(image, err, "it was sent as text");
    }
    extent->grain_size = grain * SECTOR_SIZE;
    uint64_t covered = grain * extent->table_entries, entries = (capacity + covered - 1) / covered;
    extent->size = extent->size == 0 ? capacity * SECTOR_SIZE : extent->size;
    if (entries > (1 << 24) || extent->size > capacity * SECTOR_SIZE) {
        return damaged(image, err, "an extent is smaller than the descriptor says");
    }
    extent->directory_entries = (uint32_t)entries;
    extent->is_packed = (flags & FLAG_PACKED) != 0 && load_le16(header + 77) == 1;
    extent->has_zero_grains = (flags & FLAG_ZERO_GRAINS) != 0;
    extent->directory_offset = load_le64(header + 56) <= INT64_MAX / SECTOR_SIZE ? load_le64(header + 56) * SECTOR_SIZE : UINT64_MAX;
    extent->redundant_offset = flags & FLAG_REDUNDANT && load_le64(header + 48) <= INT64_MAX / SECTOR_SIZE
                                   ? load_le64(header + 48) * SECTOR_SIZE
                                   : 0;
    extent->tables = calloc((size_t)entries, sizeof *extent->tables);
    extent->is_dirty = calloc((size_t)entries, sizeof *extent->is_dirty);
    if (extent->tables == NULL || extent->is_dirty == NULL) {
        return block_no_memory(image->path, err);
    }
    extent->end = (extent->file->size + extent->grain_size - 1) / extent->grain_size * extent->grain_size;
    return read_directory(image, extent, extent->directory_offset, &extent->directory, err) &&
           (extent->redundant_offset == 0 ||
            read_directory(image, extent, extent->redundant_offset, &extent->redundant, err));
}

static bool load_descriptor(struct block_image *image, uint64_t offset, uint64_t size, struct error *err)
{
    struct vmdk *vmdk = image->state;

    if (size > VMDK_DESCRIPTOR_MAX || offset > image->file->size) {
        return damaged(image, err, "its descriptor is too large");
    }
    vmdk->descriptor = calloc(1, (size_t)size + 1);
    if (vmdk->descriptor == NULL || !host_file_read(image->file, offset, vmdk->descriptor, (size_t)size)) {
        return block_no_memory(image->path, err);
    }
    return true;
}

static bool open_sparse(struct block_image *image, struct error *err)
{
    struct vmdk *vmdk = image->state;
    uint64_t descriptor[2] = {0, 0};

    vmdk->extents = calloc(1, sizeof *vmdk->extents);
    if (vmdk->extents == NULL) {
        return block_no_memory(image->path, err);
    }
    vmdk->count = 1;
    vmdk->extents[0].kind = VMDK_SPARSE;
    vmdk->extents[0].file = image->file;
    if (!vmdk_read_sparse(image, &vmdk->extents[0], descriptor, err)) {
        return false;
    }
    image->size = vmdk->extents[0].size;
    vmdk->parent_cid = UINT32_MAX;
    return descriptor[0] == 0 || (load_descriptor(image, descriptor[0], descriptor[1], err) &&
                                  vmdk_read_descriptor(image, descriptor[0], false, err));
}

/* What cannot be written makes the whole image read-only. */
static void check_writable(struct block_image *image)
{
    const struct vmdk *vmdk = image->state;
    const char *why = NULL;

    for (unsigned n = 0; n < vmdk->count; n++) {
        if (vmdk->extents[n].is_packed) {
            why = "compressed VMDK images are not written; use overlay=FILE";
        } else if (vmdk->extents[n].file != NULL && vmdk->extents[n].file->is_readonly) {
            why = "one of its files is write-protected";
        }
    }
    if (why != NULL && !image->backend.is_readonly) {
        snprintf(image->notice, sizeof image->notice, "disk image '%.150s' is opened read-only: %s", image->path, why);
        image->backend.is_readonly = true;
    }
}

static bool vmdk_open(struct block_image *image, struct error *err)
{
    struct vmdk *vmdk = calloc(1, sizeof *vmdk);
    uint8_t magic[4];

    if (vmdk == NULL) {
        return block_no_memory(image->path, err);
    }
    image->state = vmdk;
    image->size = 0;
    bool is_open = false;
    if (!host_file_read(image->file, 0, magic, sizeof magic)) {
        damaged(image, err, "it cannot be read");
    } else if (memcmp(magic, "KDMV", 4) == 0) {
        is_open = open_sparse(image, err);
    } else if (memcmp(magic, "COWD", 4) == 0) {
        block_refuse(image, err, "convert it: vmkfstools -i IN -d thin OUT", "COWD extents of ESX are not supported");
    } else {
        is_open = load_descriptor(image, 0, image->file->size, err) && vmdk_read_descriptor(image, 0, true, err);
    }
    if (!is_open) {
        vmdk_close(image);
        return false;
    }
    for (unsigned n = 0; n < vmdk->count; n++) {
        uint64_t grain = vmdk->extents[n].grain_size;
        image->cluster_size = grain > image->cluster_size ? (uint32_t)grain : image->cluster_size;
    }
    check_writable(image);
    return true;
}

static bool vmdk_adopted(struct block_image *image, struct error *err)
{
    const struct vmdk *vmdk = image->state;
    const struct vmdk *parent = image->parent->driver == image->driver ? image->parent->state : NULL;

    if (image->options.is_parent_unsafe || (parent != NULL && parent->cid == vmdk->parent_cid)) {
        return true;
    }
    error_set(err, "'%s' is a layer over '%s', which has changed since (its content ID is another)", image->path,
              image->parent->path);
    return error_hint(err, "restore the parent as it was");
}

/* ---- Mapping ---- */

static struct vmdk_extent *find_extent(struct vmdk *vmdk, uint64_t offset)
{
    unsigned from = 0, to = vmdk->count;

    while (to - from > 1) {
        unsigned middle = (from + to) / 2;
        if (vmdk->extents[middle].start <= offset) {
            from = middle;
        } else {
            to = middle;
        }
    }
    return &vmdk->extents[from];
}

/* The grain table; *table NULL where there is none. */
static bool get_table(struct block_image *image, struct vmdk_extent *extent, uint32_t index, uint8_t **table)
{
    size_t bytes = (size_t)extent->table_entries * 4;
    uint64_t offset = (uint64_t)load_le32(extent->directory + (size_t)index * 4) * SECTOR_SIZE;

    *table = extent->tables[index];
    if (*table != NULL || offset == 0) {
        return true;
    }
    if (offset >= extent->file->size) {
        return block_corrupt(image, "grain table %u lies behind the end of the file", index);
    }
    *table = malloc(bytes);
    if (*table == NULL || !host_file_read(extent->file, offset, *table, bytes)) {
        free(*table);
        return block_host_error(image, "cannot read a table of");
    }
    extent->tables[index] = *table;
    return true;
}

static enum extent_kind kind_of(const struct vmdk_extent *extent, uint32_t entry)
{
    if (entry == 0) {
        return EXTENT_PARENT;
    }
    if (entry == 1 && extent->has_zero_grains) {
        return EXTENT_ZERO;
    }
    return extent->is_packed ? EXTENT_PACKED : EXTENT_DATA;
}

static bool map_sparse(struct block_image *image, struct vmdk_extent *from, uint64_t at, uint64_t size,
                       struct block_extent *extent)
{
    uint64_t grain = at / from->grain_size, inside = at % from->grain_size;
    uint32_t index = (uint32_t)(grain / from->table_entries), entry_index = (uint32_t)(grain % from->table_entries);
    uint8_t *table = NULL;

    if (index >= from->directory_entries || !get_table(image, from, index, &table)) {
        return index < from->directory_entries ? false : block_corrupt(image, "its directory is too short");
    }
    *extent = (struct block_extent){EXTENT_PARENT, false, NULL, 0,
                                    (from->table_entries - entry_index) * from->grain_size - inside};
    if (table == NULL) {
        return true;
    }
    uint32_t entry = load_le32(table + entry_index * 4);
    uint64_t host = (uint64_t)entry * SECTOR_SIZE;
    *extent = (struct block_extent){kind_of(from, entry), true, from->file, host + inside, from->grain_size - inside};
    if (extent->kind == EXTENT_DATA && host >= from->file->size) {
        return block_corrupt(image, "the grain at %" PRIu64 " lies behind the end of the file", at);
    }
    while (extent->kind != EXTENT_PACKED && extent->size < size && ++entry_index < from->table_entries) {
        uint32_t next = load_le32(table + entry_index * 4);
        host += from->grain_size;
        if (kind_of(from, next) != extent->kind || (extent->kind == EXTENT_DATA && (uint64_t)next * SECTOR_SIZE != host)) {
            break;
        }
        extent->size += from->grain_size;
    }
    extent->is_writable = extent->kind == EXTENT_DATA;
    return true;
}

static bool vmdk_map(struct block_image *image, uint64_t offset, uint64_t size, struct block_extent *extent)
{
    struct vmdk_extent *from = find_extent(image->state, offset);
    uint64_t at = offset - from->start, rest = from->size - at;

    size = size < rest ? size : rest;
    if (offset < from->start || at >= from->size) {
        return block_corrupt(image, "nothing covers %" PRIu64, offset);
    }
    switch (from->kind) {
    case VMDK_FLAT:
        *extent = (struct block_extent){EXTENT_DATA, true, from->file, from->flat_offset + at, size};
        return true;
    case VMDK_ZERO: *extent = (struct block_extent){EXTENT_ZERO, false, NULL, 0, size}; return true;
    case VMDK_SPARSE: break;
    }
    if (!map_sparse(image, from, at, size, extent)) {
        return false;
    }
    extent->size = extent->size < rest ? extent->size : rest;
    return true;
}

static bool unpack(struct block_image *image, const struct vmdk_extent *extent, uint64_t host)
{
    struct vmdk *vmdk = image->state;
    uint8_t marker[MARKER_BYTES];
    uLongf size = (uLongf)extent->grain_size;

    if (vmdk->unpacked == NULL && (vmdk->unpacked = malloc(4096 * SECTOR_SIZE)) == NULL) {
        return false;
    }
    vmdk->unpacked_of = NULL;
    if (!host_file_read(extent->file, host, marker, sizeof marker)) {
        return block_host_error(image, "cannot read");
    }
    uint32_t packed_size = load_le32(marker + 8);
    if (packed_size == 0 || packed_size > extent->grain_size * 2) {
        return block_corrupt(image, "a compressed grain has an impossible size");
    }
    uint8_t *packed = malloc(packed_size);
    bool is_good = packed != NULL && host_file_read(extent->file, host + MARKER_BYTES, packed, packed_size) &&
                   uncompress(vmdk->unpacked, &size, packed, packed_size) == Z_OK;
    free(packed);
    if (!is_good) {
        return block_corrupt(image, "a compressed grain cannot be unpacked");
    }
    memset(vmdk->unpacked + size, 0, (size_t)(extent->grain_size - size)); /* the last grain may be shorter */
    vmdk->unpacked_of = extent;
    vmdk->unpacked_at = host;
    return true;
}

static bool vmdk_read_packed(struct block_image *image, uint64_t offset, uint64_t size, void *bytes)
{
    struct vmdk *vmdk = image->state;
    struct vmdk_extent *from = find_extent(vmdk, offset);
    struct block_extent extent = {EXTENT_ZERO, false, NULL, 0, 0};
    uint64_t inside = (offset - from->start) % from->grain_size;

    if (!map_sparse(image, from, offset - from->start, size, &extent)) {
        return false;
    }
    uint64_t host = extent.offset - inside;
    if ((vmdk->unpacked_of != from || vmdk->unpacked_at != host) && !unpack(image, from, host)) {
        return false;
    }
    memcpy(bytes, vmdk->unpacked + inside, (size_t)size);
    return true;
}

/* ---- Writing ---- */

/* A grain table that was not there, in both directories. */
static bool add_table(struct block_image *image, struct vmdk_extent *extent, uint32_t index)
{
    uint64_t bytes = ((uint64_t)extent->table_entries * 4 + extent->grain_size - 1) / extent->grain_size * extent->grain_size;
    uint8_t *directories[2] = {extent->directory, extent->redundant};

    extent->tables[index] = calloc(extent->table_entries, 4);
    if (extent->tables[index] == NULL) {
        errno = ENOMEM;
        return block_host_error(image, "cannot write");
    }
    for (unsigned n = 0; n < 2 && directories[n] != NULL; n++) {
        store_le32(directories[n] + (size_t)index * 4, (uint32_t)(extent->end / SECTOR_SIZE));
        extent->end += bytes;
    }
    extent->is_dirty[index] = extent->is_directory_dirty = true;
    return true;
}

static bool vmdk_allocate(struct block_image *image, uint64_t offset, uint64_t size, const uint8_t *bytes, uint64_t *done)
{
    struct vmdk_extent *extent = find_extent(image->state, offset);
    uint64_t at = offset - extent->start;

    if (extent->kind != VMDK_SPARSE) {
        errno = EROFS;
        return block_host_error(image, "cannot write to a part of zeros of");
    }
    uint64_t grain = at / extent->grain_size, inside = at % extent->grain_size, room = extent->grain_size - inside;
    uint32_t index = (uint32_t)(grain / extent->table_entries);
    uint8_t *table = NULL;
    room = room < extent->size - at ? room : extent->size - at;
    size = size < room ? size : room;
    if (extent->end / SECTOR_SIZE + extent->grain_size / SECTOR_SIZE * 16 > UINT32_MAX) {
        errno = EFBIG;
        return block_host_error(image, "cannot grow");
    }
    if (!get_table(image, extent, index, &table) || (table == NULL && !add_table(image, extent, index))) {
        return false;
    }
    uint64_t host = extent->end;
    uint32_t old = load_le32(extent->tables[index] + grain % extent->table_entries * 4);
    struct block_cluster cluster = {extent->file, host, offset - inside, extent->grain_size, kind_of(extent, old)};
    if (!node_write_new(image, &cluster, offset, size, bytes)) {
        return false;
    }
    extent->end = host + extent->grain_size;
    store_le32(extent->tables[index] + grain % extent->table_entries * 4, (uint32_t)(host / SECTOR_SIZE));
    extent->is_dirty[index] = true;
    *done = size;
    return true;
}

static bool write_table(struct vmdk_extent *extent, const uint8_t *directory, uint32_t index)
{
    uint64_t offset = directory != NULL ? (uint64_t)load_le32(directory + (size_t)index * 4) * SECTOR_SIZE : 0;

    return offset == 0 || host_file_write(extent->file, offset, extent->tables[index], (size_t)extent->table_entries * 4);
}

/* Data, then tables, then directories. */
static bool flush_extent(struct vmdk_extent *extent)
{
    bool is_done = host_file_sync(extent->file), is_any = false;

    for (uint32_t n = 0; is_done && n < extent->directory_entries; n++) {
        if (extent->is_dirty != NULL && extent->is_dirty[n]) {
            is_done = write_table(extent, extent->redundant, n) && write_table(extent, extent->directory, n);
            extent->is_dirty[n] = !is_done;
            is_any = true;
        }
    }
    is_done = is_done && (!is_any || host_file_sync(extent->file));
    if (is_done && extent->is_directory_dirty) {
        size_t bytes = (size_t)extent->directory_entries * 4;
        is_done = (extent->redundant == NULL || host_file_write(extent->file, extent->redundant_offset, extent->redundant, bytes)) &&
                  host_file_write(extent->file, extent->directory_offset, extent->directory, bytes) &&
                  host_file_sync(extent->file);
        extent->is_directory_dirty = !is_done;
    }
    return is_done;
}

static bool vmdk_flush(struct block_image *image)
{
    struct vmdk *vmdk = image->state;
    char digits[16];

    for (unsigned n = 0; n < vmdk->count; n++) {
        if (vmdk->extents[n].file != NULL && !flush_extent(&vmdk->extents[n])) {
            return block_host_error(image, "cannot flush");
        }
    }
    if (!vmdk->is_cid_new && vmdk->cid_offset != 0) { /* layers over this one see that it changed */
        vmdk->cid = (vmdk->cid * UINT32_C(1664525) + UINT32_C(1013904223)) & 0x7fffffff;
        snprintf(digits, sizeof digits, "%08" PRIx32, vmdk->cid);
        if (!host_file_write(image->file, vmdk->cid_offset, digits, 8)) {
            return block_host_error(image, "cannot flush");
        }
    }
    vmdk->is_cid_new = true;
    return true;
}

/* ---- Looking ---- */

static void complain(struct block_check *check, const char *what, uint64_t grain)
{
    char text[128];

    snprintf(text, sizeof text, "ERROR: grain %" PRIu64 " is at %s place", grain, what);
    if (check->report != NULL) {
        check->report(check->context, text);
    }
    check->corruptions++;
}

static bool check_extent(struct block_image *image, struct vmdk_extent *extent, struct block_check *check)
{
    uint64_t slots = extent->file->size / SECTOR_SIZE + 1;
    uint8_t *owned = calloc(1, (size_t)(slots / 8 + 1));
    bool is_done = owned != NULL;

    for (uint32_t n = 0; is_done && n < extent->directory_entries; n++) {
        uint8_t *table = NULL;
        is_done = get_table(image, extent, n, &table);
        for (uint32_t k = 0; is_done && table != NULL && k < extent->table_entries; k++) {
            uint32_t entry = load_le32(table + (size_t)k * 4);
            uint64_t grain = (uint64_t)n * extent->table_entries + k;
            if (kind_of(extent, entry) != EXTENT_DATA && kind_of(extent, entry) != EXTENT_PACKED) {
                continue;
            }
            check->clusters_used++;
            check->clusters_packed += extent->is_packed;
            if (entry >= slots) {
                complain(check, "an impossible", grain);
            } else if (owned[entry / 8] >> entry % 8 & 1) {
                complain(check, "another's", grain);
            } else {
                owned[entry / 8] |= (uint8_t)(1 << entry % 8);
            }
        }
    }
    free(owned);
    check->clusters_total += (extent->size + extent->grain_size - 1) / extent->grain_size;
    return is_done;
}

static bool vmdk_check(struct block_image *image, struct block_check *check, struct error *err)
{
    struct vmdk *vmdk = image->state;

    for (unsigned n = 0; n < vmdk->count; n++) {
        if (vmdk->extents[n].kind == VMDK_SPARSE && !check_extent(image, &vmdk->extents[n], check)) {
            error_set(err, "cannot check '%s' to its end", image->path);
            return error_hint(err, "use a backup");
        }
    }
    return true;
}

static void vmdk_info(struct block_image *image, struct block_info *info)
{
    const struct vmdk *vmdk = image->state;

    snprintf(info->rows[0].key, sizeof info->rows[0].key, "create type");
    snprintf(info->rows[0].value, sizeof info->rows[0].value, "%s", vmdk->type);
    info->rows[0].kind = INFO_TEXT;
    snprintf(info->rows[1].key, sizeof info->rows[1].key, "cid");
    snprintf(info->rows[1].value, sizeof info->rows[1].value, "%" PRIu32, vmdk->cid);
    snprintf(info->rows[2].key, sizeof info->rows[2].key, "parent cid");
    snprintf(info->rows[2].value, sizeof info->rows[2].value, "%" PRIu32, vmdk->parent_cid);
    snprintf(info->rows[3].key, sizeof info->rows[3].key, "extents");
    snprintf(info->rows[3].value, sizeof info->rows[3].value, "%u", vmdk->count);
    info->rows[1].kind = info->rows[2].kind = info->rows[3].kind = INFO_NUMBER;
    info->count = 4;
}

const struct block_driver block_vmdk_driver = {
    .name = "vmdk",
    .content = CONTENT_VMDK,
    .create_options = "subformat, adapter_type",
    .open = vmdk_open,
    .adopted = vmdk_adopted,
    .close = vmdk_close,
    .map = vmdk_map,
    .read_packed = vmdk_read_packed,
    .allocate = vmdk_allocate,
    .zero = node_punch,
    .flush = vmdk_flush,
    .info = vmdk_info,
    .check = vmdk_check,
    .create = vmdk_create,
};
