/* block_vhdx.c - Hyper-V disk images (VHDX): fixed, dynamic and differencing, with log replay.
 *
 * [MS-VHDX] Virtual Hard Disk v2 File Format, revision 7. Little-endian. Two headers of which the one with the higher
 * sequence number counts, two copies of a table of regions, metadata, and the BAT, whose 64-bit entries have a state and a
 * place in MiB.
 *
 * Not implemented (refused): sectors of 4096 bytes. */
#include "frontends/host/block_vhdx.h"
#include "mem/space.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STATE_NOT_PRESENT = 0,
    STATE_UNDEFINED = 1,
    STATE_ZERO = 2,
    STATE_UNMAPPED = 3,
    STATE_FULLY_PRESENT = 6,
    STATE_PARTIALLY_PRESENT = 7,
    MIB = 1 << 20,
};
#define SIZE_MAX_BYTES (UINT64_C(64) << 40)

/* GUIDs as they are in the file: the first three fields little-endian. */
static const uint8_t guid_bat[16] = {0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42,
                                     0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08};
static const uint8_t guid_metadata[16] = {0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
                                          0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e};
static const uint8_t guid_parameters[16] = {0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d,
                                            0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b};
static const uint8_t guid_size[16] = {0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48,
                                      0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8};
static const uint8_t guid_page83[16] = {0xab, 0x12, 0xca, 0xbe, 0xe6, 0xb2, 0x23, 0x45,
                                        0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46};
static const uint8_t guid_logical[16] = {0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47,
                                         0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f};
static const uint8_t guid_locator[16] = {0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45,
                                         0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c};
static const uint8_t guid_physical[16] = {0xc7, 0x48, 0xa3, 0xcd, 0x5d, 0x44, 0x71, 0x44,
                                          0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56};

static bool damaged(struct block_image *image, struct error *err, const char *what)
{
    return block_refuse(image, err, "use a backup, or Hyper-V's Repair-VHD", "it is damaged: %s", what);
}

static void vhdx_close(struct block_image *image)
{
    struct vhdx *vhdx = image->state;

    free(vhdx->bat);
    free(vhdx->bitmap);
    free(vhdx);
    image->state = NULL;
}

/* ---- Opening ---- */

static bool read_headers(struct block_image *image, struct error *err)
{
    struct vhdx *vhdx = image->state;
    uint8_t headers[2][VHDX_HEADER_BYTES];
    uint64_t sequence[2] = {0, 0};
    bool is_good[2] = {false, false};

    for (unsigned n = 0; n < 2; n++) {
        is_good[n] = host_file_read(image->file, n ? VHDX_HEADER_2 : VHDX_HEADER_1, headers[n], VHDX_HEADER_BYTES) &&
                     memcmp(headers[n], "head", 4) == 0 && load_le16(headers[n] + 66) == 1 &&
                     load_le32(headers[n] + 4) == vhdx_crc(headers[n], VHDX_HEADER_BYTES, 4);
        sequence[n] = load_le64(headers[n] + 8);
    }
    if (!is_good[0] && !is_good[1]) {
        return damaged(image, err, "no header with a right checksum");
    }
    vhdx->header_index = is_good[0] && is_good[1] ? sequence[1] > sequence[0] : is_good[1];
    memcpy(vhdx->header, headers[vhdx->header_index], VHDX_HEADER_BYTES);
    return true;
}

static bool is_region(const struct block_image *image, uint64_t offset, uint32_t bytes)
{
    return offset >= MIB && offset % MIB == 0 && bytes != 0 && bytes % MIB == 0 && offset < image->file->size &&
           bytes <= (image->file->size - offset + MIB - 1) / MIB * MIB;
}

static bool read_regions(struct block_image *image, struct error *err)
{
    struct vhdx *vhdx = image->state;
    uint8_t *table = malloc(VHDX_REGION_BYTES);
    bool is_good = false;

    for (unsigned n = 0; table != NULL && !is_good && n < 2; n++) {
        is_good = host_file_read(image->file, n ? VHDX_REGIONS_2 : VHDX_REGIONS_1, table, VHDX_REGION_BYTES) &&
                  memcmp(table, "regi", 4) == 0 && load_le32(table + 8) <= 2047 &&
                  load_le32(table + 4) == vhdx_crc(table, VHDX_REGION_BYTES, 4);
    }
    for (uint32_t n = 0; is_good && n < load_le32(table + 8); n++) {
        const uint8_t *entry = table + 16 + n * 32;
        if (memcmp(entry, guid_bat, 16) == 0) {
            vhdx->bat_offset = load_le64(entry + 16);
            vhdx->bat_bytes = load_le32(entry + 24);
        } else if (memcmp(entry, guid_metadata, 16) == 0) {
            vhdx->metadata_offset = load_le64(entry + 16);
            vhdx->metadata_bytes = load_le32(entry + 24);
        } else if (load_le32(entry + 28) & 1) {
            free(table);
            return block_refuse(image, err, "convert it with Hyper-V", "it has a required region that is unknown");
        }
    }
    free(table);
    return (is_good && is_region(image, vhdx->bat_offset, vhdx->bat_bytes) &&
            is_region(image, vhdx->metadata_offset, vhdx->metadata_bytes)) ||
           damaged(image, err, "no right table of regions");
}

/* Where an item of the metadata is in the file. */
static bool find_item(const struct vhdx *vhdx, const uint8_t *table, const uint8_t *guid, uint64_t *at, uint32_t *length)
{
    for (uint16_t n = 0; n < load_le16(table + 10) && n < 2047; n++) {
        const uint8_t *entry = table + 32 + (size_t)n * 32;
        uint32_t offset = load_le32(entry + 16);
        *length = load_le32(entry + 20);
        if (memcmp(entry, guid, 16) == 0) {
            *at = vhdx->metadata_offset + offset;
            return offset >= VHDX_REGION_BYTES && *length != 0 && *length <= vhdx->metadata_bytes &&
                   offset <= vhdx->metadata_bytes - *length;
        }
    }
    return false;
}

/* An item, or its first 16 bytes. */
static bool read_item(struct block_image *image, const uint8_t *table, const uint8_t *guid, uint8_t item[16])
{
    uint64_t at = 0;
    uint32_t length = 0;

    memset(item, 0, 16);
    return find_item(image->state, table, guid, &at, &length) &&
           host_file_read(image->file, at, item, length < 16 ? length : 16);
}

static bool read_metadata(struct block_image *image, struct error *err)
{
    struct vhdx *vhdx = image->state;
    uint8_t *table = malloc(VHDX_REGION_BYTES), parameters[16] = {0}, size[16] = {0}, sector[16] = {0};

    if (table == NULL) {
        return block_no_memory(image->path, err);
    }
    bool is_good = host_file_read(image->file, vhdx->metadata_offset, table, VHDX_REGION_BYTES) &&
                   memcmp(table, "metadata", 8) == 0 && read_item(image, table, guid_parameters, parameters) &&
                   read_item(image, table, guid_size, size) && read_item(image, table, guid_logical, sector);
    vhdx->is_fixed = load_le32(parameters + 4) & 1;
    vhdx->is_layer = (load_le32(parameters + 4) & 2) != 0;
    uint64_t locator_at = 0;
    uint32_t locator_size = 0;
    bool has_locator = is_good && vhdx->is_layer && find_item(vhdx, table, guid_locator, &locator_at, &locator_size);
    free(table);
    if (!is_good || has_locator != vhdx->is_layer) {
        return damaged(image, err, "its metadata is incomplete");
    }
    vhdx->block_size = load_le32(parameters);
    vhdx->sector_size = load_le32(sector);
    image->size = load_le64(size);
    image->cluster_size = vhdx->block_size;
    if (vhdx->sector_size != SECTOR_SIZE) {
        return block_refuse(image, err, "convert it: qemu-img convert -O vhdx IN OUT",
                            "sectors of %u bytes are not supported", vhdx->sector_size);
    }
    if (vhdx->block_size < MIB || vhdx->block_size > 256 * MIB || (vhdx->block_size & (vhdx->block_size - 1)) != 0 ||
        image->size == 0 || image->size > SIZE_MAX_BYTES || image->size % SECTOR_SIZE != 0) {
        return damaged(image, err, "impossible sizes");
    }
    return !vhdx->is_layer || vhdx_read_locator(image, locator_at, locator_size, err);
}

/* The index in the BAT of a payload block: behind each chunk is the entry of a bitmap block. */
static uint64_t bat_index(const struct vhdx *vhdx, uint64_t block)
{
    return block + block / vhdx->chunk_ratio;
}

static bool read_bat(struct block_image *image, struct error *err)
{
    struct vhdx *vhdx = image->state;

    vhdx->chunk_ratio = (uint32_t)((UINT64_C(1) << 23) * vhdx->sector_size / vhdx->block_size);
    vhdx->blocks = (image->size + vhdx->block_size - 1) / vhdx->block_size;
    if (bat_index(vhdx, vhdx->blocks - 1) >= vhdx->bat_bytes / 8) {
        return damaged(image, err, "its BAT is too short");
    }
    vhdx->bat = malloc(vhdx->bat_bytes);
    if (vhdx->bat == NULL || !host_file_read(image->file, vhdx->bat_offset, vhdx->bat, vhdx->bat_bytes)) {
        return block_no_memory(image->path, err);
    }
    vhdx->end = vhdx->bat_offset + vhdx->bat_bytes;
    uint64_t metadata_end = vhdx->metadata_offset + vhdx->metadata_bytes;
    uint64_t log_end = load_le64(vhdx->header + 72) + load_le32(vhdx->header + 68);
    vhdx->end = metadata_end > vhdx->end ? metadata_end : vhdx->end;
    vhdx->end = log_end > vhdx->end && log_end < (UINT64_C(1) << 40) ? log_end : vhdx->end;
    for (uint64_t n = 0; n < vhdx->blocks; n++) {
        uint64_t entry = load_le64(vhdx->bat + bat_index(vhdx, n) * 8), at = entry >> 20 << 20;
        uint64_t end = at + vhdx->block_size;
        if ((entry & 7) >= STATE_FULLY_PRESENT && (at == 0 || end < at)) {
            return damaged(image, err, "a block is at an impossible place");
        }
        vhdx->end = at != 0 && end > vhdx->end && end > at ? end : vhdx->end;
    }
    for (uint64_t n = 0; vhdx->is_layer && n <= (vhdx->blocks - 1) / vhdx->chunk_ratio; n++) {
        uint64_t index = vhdx_bitmap_index(vhdx, n), entry = index < vhdx->bat_bytes / 8 ? load_le64(vhdx->bat + index * 8) : 0;
        uint64_t end = (entry >> 20 << 20) + MIB;
        vhdx->end = (entry & 7) >= STATE_FULLY_PRESENT && end > vhdx->end ? end : vhdx->end;
    }
    uint64_t file_end = (image->file->size + MIB - 1) / MIB * MIB;
    vhdx->end = (vhdx->end + MIB - 1) / MIB * MIB;
    vhdx->end = vhdx->end > file_end ? vhdx->end : file_end;
    return true;
}

static bool vhdx_open(struct block_image *image, struct error *err)
{
    struct vhdx *vhdx = calloc(1, sizeof *vhdx);
    uint8_t identifier[8];

    if (vhdx == NULL) {
        return block_no_memory(image->path, err);
    }
    image->state = vhdx;
    bool is_good = host_file_read(image->file, 0, identifier, sizeof identifier) &&
                   (memcmp(identifier, "vhdxfile", 8) == 0 || damaged(image, err, "it is no VHDX image")) &&
                   read_headers(image, err) && vhdx_replay(image, err) && read_regions(image, err) &&
                   read_metadata(image, err) && read_bat(image, err);
    if (!is_good) {
        vhdx_close(image);
        return err->message[0] != '\0' ? false : damaged(image, err, "it cannot be read");
    }
    return true;
}

/* ---- Reading and writing ---- */

static bool vhdx_map(struct block_image *image, uint64_t offset, uint64_t size, struct block_extent *extent)
{
    const struct vhdx *vhdx = image->state;
    uint64_t block = offset / vhdx->block_size, inside = offset % vhdx->block_size;
    uint64_t entry = block < vhdx->blocks ? load_le64(vhdx->bat + bat_index(vhdx, block) * 8) : 0;

    *extent = (struct block_extent){EXTENT_ZERO, false, NULL, 0, vhdx->block_size - inside};
    switch (entry & 7) {
    case STATE_FULLY_PRESENT:
        *extent = (struct block_extent){EXTENT_DATA, true, image->file, (entry >> 20 << 20) + inside, extent->size};
        break;
    case STATE_PARTIALLY_PRESENT:
        if (vhdx->is_layer) {
            return vhdx_map_partial(image, block, entry >> 20 << 20, inside, extent);
        }
        return block_corrupt(image, "block %llu is in an impossible state", (unsigned long long)block);
    case STATE_NOT_PRESENT: extent->kind = EXTENT_PARENT; break;
    case STATE_UNDEFINED:
    case STATE_ZERO:
    case STATE_UNMAPPED: break;
    default:
        return block_corrupt(image, "block %llu is in an impossible state", (unsigned long long)block);
    }
    while (extent->size < size && ++block < vhdx->blocks) { /* more of the same */
        uint64_t next = load_le64(vhdx->bat + bat_index(vhdx, block) * 8);
        if ((next & 7) != (entry & 7) ||
            (extent->kind == EXTENT_DATA && next >> 20 << 20 != extent->offset + extent->size)) {
            break;
        }
        extent->size += vhdx->block_size;
    }
    return true;
}

/* 2.2.2.1: FileWriteGuid and DataWriteGuid tell that this opening writes. */
static bool renew_header(struct block_image *image)
{
    struct vhdx *vhdx = image->state;

    if (vhdx->is_header_new) {
        return true;
    }
    block_make_uuid(image->file, vhdx->header + 16);
    block_make_uuid(image->file, vhdx->header + 32);
    vhdx->is_header_new = vhdx_write_header(image);
    return vhdx->is_header_new;
}

static bool vhdx_allocate(struct block_image *image, uint64_t offset, uint64_t size, const uint8_t *bytes, uint64_t *done)
{
    struct vhdx *vhdx = image->state;
    uint64_t block = offset / vhdx->block_size, inside = offset % vhdx->block_size, host = vhdx->end;
    uint64_t at = bat_index(vhdx, block) * 8;

    if (block >= vhdx->blocks) {
        return block_corrupt(image, "it has too few blocks");
    }
    if (!renew_header(image)) {
        return false;
    }
    size = size < vhdx->block_size - inside ? size : vhdx->block_size - inside;
    uint64_t entry = load_le64(vhdx->bat + at);
    if ((entry & 7) == STATE_PARTIALLY_PRESENT) {
        host = entry >> 20 << 20;
        if (!vhdx_complete(image, block, host)) {
            return false;
        }
        if (!host_file_write(image->file, host + inside, bytes, (size_t)size)) {
            return block_host_error(image, "cannot write");
        }
    } else {
        struct block_cluster cluster = {image->file, host, offset - inside, vhdx->block_size,
                                        (entry & 7) == STATE_NOT_PRESENT ? EXTENT_PARENT : EXTENT_ZERO};
        if (!node_write_new(image, &cluster, offset, size, bytes)) {
            return false;
        }
        vhdx->end = host + vhdx->block_size;
    }
    store_le64(vhdx->bat + at, host | STATE_FULLY_PRESENT);
    vhdx->dirty_from = vhdx->dirty_to == 0 || at < vhdx->dirty_from ? at : vhdx->dirty_from;
    vhdx->dirty_to = at + 8 > vhdx->dirty_to ? at + 8 : vhdx->dirty_to;
    *done = size;
    return true;
}

static bool vhdx_flush(struct block_image *image)
{
    struct vhdx *vhdx = image->state;

    if (!renew_header(image)) {
        return false;
    }
    if (!host_file_sync(image->file)) {
        return block_host_error(image, "cannot flush");
    }
    if (vhdx->dirty_to != 0) {
        if (!host_file_write(image->file, vhdx->bat_offset + vhdx->dirty_from, vhdx->bat + vhdx->dirty_from,
                             (size_t)(vhdx->dirty_to - vhdx->dirty_from)) ||
            !host_file_sync(image->file)) {
            return block_host_error(image, "cannot flush");
        }
        vhdx->dirty_to = 0;
    }
    return true;
}

/* Every block has a place of its own, behind the tables. */
static bool vhdx_check(struct block_image *image, struct block_check *check, struct error *err)
{
    const struct vhdx *vhdx = image->state;
    uint64_t slots = vhdx->end / MIB + 1;
    uint8_t *owned = calloc(1, (size_t)slots);
    char text[128];

    if (owned == NULL) {
        return block_no_memory(image->path, err);
    }
    for (uint64_t n = 0; n < vhdx->blocks; n++) {
        uint64_t entry = load_le64(vhdx->bat + bat_index(vhdx, n) * 8), at = entry >> 20;
        if ((entry & 7) < STATE_FULLY_PRESENT) {
            continue;
        }
        bool is_bad = (entry >> 20 << 20) >= image->file->size;
        for (uint64_t k = at; k < at + vhdx->block_size / MIB && k < slots; k++) {
            is_bad = is_bad || owned[k];
            owned[k] = 1;
        }
        check->clusters_used++;
        if (is_bad) {
            snprintf(text, sizeof text, "ERROR: block %llu is at an impossible or another's place", (unsigned long long)n);
            if (check->report != NULL) {
                check->report(check->context, text);
            }
            check->corruptions++;
        }
    }
    free(owned);
    check->corruptions_fixed += vhdx->was_replayed;
    check->clusters_total = vhdx->blocks;
    return true;
}

static void vhdx_info(struct block_image *image, struct block_info *info)
{
    const struct vhdx *vhdx = image->state;

    snprintf(info->rows[0].key, sizeof info->rows[0].key, "type");
    snprintf(info->rows[0].value, sizeof info->rows[0].value, "%s", vhdx->is_layer  ? "differencing"
                                                                             : vhdx->is_fixed ? "fixed"
                                                                                              : "dynamic");
    info->rows[0].kind = INFO_TEXT;
    snprintf(info->rows[1].key, sizeof info->rows[1].key, "block size");
    snprintf(info->rows[1].value, sizeof info->rows[1].value, "%u", vhdx->block_size);
    info->rows[1].kind = INFO_NUMBER;
    info->count = 2;
}

/* ---- Creating ---- */

static void put_item(uint8_t *metadata, unsigned index, const uint8_t *guid, uint32_t offset, uint32_t length, uint32_t flags)
{
    uint8_t *entry = metadata + 32 + index * 32;

    memcpy(entry, guid, 16);
    store_le32(entry + 16, offset);
    store_le32(entry + 20, length);
    store_le32(entry + 24, flags);
}

/* The first 4 MiB: identifier, headers, regions, an empty log at 1 MiB, metadata at 2 MiB, BAT at 3 MiB. */
static void fill_head(struct host_file *file, uint8_t *bytes, uint64_t size, uint32_t block_size, uint32_t bat_bytes,
                      bool is_fixed)
{
    static const char creator[] = "tick86";
    uint8_t *metadata = bytes + 2 * MIB, *header = bytes + VHDX_HEADER_1, *regions = bytes + VHDX_REGIONS_1;
    uint32_t required = 4, on_disk = 2;

    memcpy(bytes, "vhdxfile", 8);
    for (unsigned n = 0; creator[n] != '\0'; n++) {
        bytes[8 + n * 2] = (uint8_t)creator[n];
    }
    memcpy(header, "head", 4);
    block_make_uuid(file, header + 16);
    block_make_uuid(file, header + 32);
    store_le16(header + 66, 1);
    store_le32(header + 68, MIB);
    store_le64(header + 72, MIB);
    for (unsigned n = 0; n < 2; n++) {
        uint8_t *copy = bytes + (n ? VHDX_HEADER_2 : VHDX_HEADER_1);
        memmove(copy, header, VHDX_HEADER_BYTES);
        store_le64(copy + 8, n + 1);
        store_le32(copy + 4, vhdx_crc(copy, VHDX_HEADER_BYTES, 4));
    }
    memcpy(regions, "regi", 4);
    store_le32(regions + 8, 2);
    memcpy(regions + 16, guid_bat, 16);
    store_le64(regions + 32, 3 * MIB);
    store_le32(regions + 40, bat_bytes);
    store_le32(regions + 44, 1);
    memcpy(regions + 48, guid_metadata, 16);
    store_le64(regions + 64, 2 * MIB);
    store_le32(regions + 72, MIB);
    store_le32(regions + 76, 1);
    store_le32(regions + 4, vhdx_crc(regions, VHDX_REGION_BYTES, 4));
    memcpy(bytes + VHDX_REGIONS_2, regions, VHDX_REGION_BYTES);
    memcpy(metadata, "metadata", 8);
    store_le16(metadata + 10, 5);
    put_item(metadata, 0, guid_parameters, VHDX_REGION_BYTES, 8, required);
    put_item(metadata, 1, guid_size, VHDX_REGION_BYTES + 8, 8, required | on_disk);
    put_item(metadata, 2, guid_page83, VHDX_REGION_BYTES + 16, 16, required | on_disk);
    put_item(metadata, 3, guid_logical, VHDX_REGION_BYTES + 32, 4, required | on_disk);
    put_item(metadata, 4, guid_physical, VHDX_REGION_BYTES + 36, 4, required | on_disk);
    uint8_t *items = metadata + VHDX_REGION_BYTES;
    store_le32(items, block_size);
    store_le32(items + 4, is_fixed);
    store_le64(items + 8, size);
    block_make_uuid(file, items + 16);
    store_le32(items + 32, SECTOR_SIZE);
    store_le32(items + 36, 4096);
}

static bool write_new(struct host_file *file, uint64_t size, uint32_t block_size, bool is_fixed)
{
    uint64_t ratio = (UINT64_C(1) << 23) * SECTOR_SIZE / block_size, blocks = (size + block_size - 1) / block_size;
    uint64_t entries = blocks + (blocks - 1) / ratio, bat_bytes = (entries * 8 + MIB - 1) / MIB * MIB;
    uint64_t total = 3 * MIB + bat_bytes;
    uint8_t *bytes = calloc(1, (size_t)total);

    if (bytes == NULL) {
        errno = ENOMEM;
        return false;
    }
    fill_head(file, bytes, size, block_size, (uint32_t)bat_bytes, is_fixed);
    for (uint64_t n = 0; is_fixed && n < blocks; n++) {
        store_le64(bytes + 3 * MIB + (n + n / ratio) * 8, (total + n * block_size) | STATE_FULLY_PRESENT);
    }
    bool is_done = host_file_write(file, 0, bytes, (size_t)total) &&
                   (!is_fixed || host_file_resize(file, total + blocks * block_size));
    free(bytes);
    return is_done;
}

bool vhdx_create(const char *path, const struct block_create *create, struct error *err)
{
    struct create_options options;
    uint64_t block_size = create->size > UINT64_C(32) << 30 ? 32 * MIB : 8 * MIB;
    const char *type = NULL;

    if (!create_options_parse(&options, create->options, "vhdx", err) ||
        !create_options_size(&options, "block_size", &block_size, err)) {
        return false;
    }
    type = create_options_get(&options, "subformat");
    if (!create_options_done(&options, "vhdx", err)) {
        return false;
    }
    if (type != NULL && strcmp(type, "fixed") != 0 && strcmp(type, "dynamic") != 0) {
        error_set(err, "vhdx has no subformat '%s'", type);
        return error_hint(err, "subformat=dynamic or subformat=fixed");
    }
    if (block_size < MIB || block_size > 256 * MIB || (block_size & (block_size - 1)) != 0) {
        error_set(err, "vhdx does not take that block_size");
        return error_hint(err, "a power of two from 1M to 256M");
    }
    if (create->size > SIZE_MAX_BYTES) {
        error_set(err, "a VHDX image cannot have more than 64 TiB");
        return error_hint(err, "choose a smaller size");
    }
    struct host_file *file = host_file_create(path, err);
    if (file == NULL) {
        return false;
    }
    bool is_done = write_new(file, create->size, (uint32_t)block_size, type != NULL && strcmp(type, "fixed") == 0);
    if (!is_done) {
        error_set(err, "cannot write '%s': %s", path, strerror(errno));
        error_hint(err, "look at the space that is left with: df .");
    }
    host_file_close(file);
    return is_done;
}

const struct block_driver block_vhdx_driver = {
    .name = "vhdx",
    .content = CONTENT_VHDX,
    .create_options = "block_size, subformat",
    .open = vhdx_open,
    .adopted = vhdx_adopted,
    .close = vhdx_close,
    .map = vhdx_map,
    .allocate = vhdx_allocate,
    .zero = node_punch,
    .flush = vhdx_flush,
    .info = vhdx_info,
    .check = vhdx_check,
    .create = vhdx_create,
};
