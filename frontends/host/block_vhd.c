/* block_vhd.c - Virtual PC and Hyper-V disk images (VHD): fixed, dynamic and differencing.
 *
 * Microsoft, "Virtual Hard Disk Image Format Specification", version 1.0 (2006). Big-endian. A fixed image is raw with a
 * footer behind; the others begin with a copy of the footer, then a header, a table of blocks (BAT), and blocks, each
 * behind a bitmap of its sectors. The bitmap matters in differencing images only, where a clear bit means the parent's
 * sector; elsewhere its bits are set when a block is made.
 *
 * The size is the footer's current size, except for the creators "vpc " and "qemu", whose guests saw the CHS geometry.
 *
 * Not implemented: saved states, resizing. */
#include "frontends/host/block_format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FOOTER_BYTES = 512,
    HEADER_BYTES = 1024,
    TYPE_FIXED = 2,
    TYPE_DYNAMIC = 3,
    TYPE_DIFFERENCING = 4,
    BLOCK_BYTES = 2 << 20,
    CHS_MAX = 65535 * 16 * 255,
};
#define BLOCK_FREE UINT32_C(0xffffffff)

struct vhd {
    uint8_t footer[FOOTER_BYTES], header[HEADER_BYTES];
    uint32_t type, block_size, bitmap_size, blocks;
    uint64_t table_offset, end; /* end: where the next block goes, and the footer */
    uint8_t *table;             /* as in the file */
    uint32_t dirty_from, dirty_to;
    uint8_t *bitmap; /* of one block of a differencing image */
    uint64_t bitmap_block;
};

static uint32_t checksum(const uint8_t *bytes, size_t size, size_t at)
{
#if defined(TICK86_FUZZ) /* any checksum is right, so that the fuzzer gets behind it */
    (void)size;
    return load_be32(bytes + at);
#else
    uint32_t sum = 0;

    for (size_t n = 0; n < size; n++) {
        sum += n >= at && n < at + 4 ? 0u : bytes[n];
    }
    return ~sum;
#endif
}

static bool damaged(struct block_image *image, struct error *err, const char *what)
{
    return block_refuse(image, err, "use a backup", "it is damaged: %s", what);
}

static void vhd_close(struct block_image *image)
{
    struct vhd *vhd = image->state;

    free(vhd->table);
    free(vhd->bitmap);
    free(vhd);
    image->state = NULL;
}

static bool is_footer(const uint8_t *footer)
{
    return memcmp(footer, "conectix", 8) == 0 && load_be32(footer + 64) == checksum(footer, FOOTER_BYTES, 64);
}

static bool read_footer(struct block_image *image, struct error *err)
{
    struct vhd *vhd = image->state;
    uint64_t size = image->file->size, last = size >= FOOTER_BYTES ? size - FOOTER_BYTES : 0;

    /* Virtual PC before 2004 wrote 511 bytes. The copy in front is as good as the one behind. */
    if ((!host_file_read(image->file, last, vhd->footer, FOOTER_BYTES) || !is_footer(vhd->footer)) &&
        (!host_file_read(image->file, 0, vhd->footer, FOOTER_BYTES) || !is_footer(vhd->footer) ||
         load_be32(vhd->footer + 60) == TYPE_FIXED)) {
        return damaged(image, err, "no footer with a right checksum");
    }
    vhd->type = load_be32(vhd->footer + 60);
    image->size = load_be64(vhd->footer + 48);
    uint64_t chs = (uint64_t)load_be16(vhd->footer + 56) * vhd->footer[58] * vhd->footer[59];
    bool is_by_chs = memcmp(vhd->footer + 28, "vpc ", 4) == 0 || memcmp(vhd->footer + 28, "qemu", 4) == 0;
    if (is_by_chs && chs != 0 && chs != CHS_MAX) {
        image->size = chs * SECTOR_SIZE;
    }
    if (image->size == 0 || image->size > INT64_MAX / 2 || image->size % SECTOR_SIZE != 0) {
        return damaged(image, err, "impossible size");
    }
    if (vhd->type == TYPE_FIXED && image->size > image->file->size - FOOTER_BYTES) {
        return damaged(image, err, "the file is shorter than the disk");
    }
    if (vhd->type < TYPE_FIXED || vhd->type > TYPE_DIFFERENCING) {
        return block_refuse(image, err, "convert it with the program that made it", "VHD type %u is not supported",
                            vhd->type);
    }
    return true;
}

/* The relative locator (W2ru) if there is one, otherwise the name in the header, in the image's folder. */
static bool read_parent(struct block_image *image, struct error *err)
{
    const struct vhd *vhd = image->state;
    uint8_t bytes[2048];
    char name[3200] = "";

    for (unsigned n = 0; n < 8; n++) {
        const uint8_t *locator = vhd->header + 576 + n * 24;
        uint32_t size = load_be32(locator + 8);
        if (memcmp(locator, "W2ru", 4) == 0 && size <= sizeof bytes &&
            host_file_read(image->file, load_be64(locator + 16), bytes, size) &&
            layer_name_utf16(bytes, size, false, name, sizeof name)) {
            break;
        }
    }
    if (name[0] == '\0' && !layer_name_utf16(vhd->header + 64, 512, true, name, sizeof name)) {
        return damaged(image, err, "a differencing image without the name of its parent");
    }
    return layer_set_name(image, name, "vhd", err);
}

/* "Parent Unique ID": the one in the parent's footer, which whoever merges or replaces it makes anew. */
static bool vhd_adopted(struct block_image *image, struct error *err)
{
    const struct vhd *vhd = image->state;
    const struct vhd *parent = image->parent->driver == image->driver ? image->parent->state : NULL;

    if (image->options.is_parent_unsafe || (parent != NULL && memcmp(parent->footer + 68, vhd->header + 40, 16) == 0)) {
        return true;
    }
    error_set(err, "'%s' is a layer over another image than '%s' (its parent's UUID is another)", image->path,
              image->parent->path);
    return error_hint(err, "restore the parent as it was");
}

static bool read_table(struct block_image *image, struct error *err)
{
    struct vhd *vhd = image->state;
    uint64_t header_offset = load_be64(vhd->footer + 16);

    if (!host_file_read(image->file, header_offset, vhd->header, HEADER_BYTES) ||
        memcmp(vhd->header, "cxsparse", 8) != 0 || load_be32(vhd->header + 36) != checksum(vhd->header, HEADER_BYTES, 36)) {
        return damaged(image, err, "no header with a right checksum");
    }
    vhd->table_offset = load_be64(vhd->header + 16);
    vhd->blocks = load_be32(vhd->header + 28);
    vhd->block_size = load_be32(vhd->header + 32);
    image->cluster_size = vhd->block_size;
    if (vhd->block_size < 4096 || (vhd->block_size & (vhd->block_size - 1)) != 0 || vhd->block_size > 256 << 20) {
        return damaged(image, err, "impossible block size");
    }
    uint64_t table_bytes = (uint64_t)vhd->blocks * 4;
    if (image->size > (uint64_t)vhd->blocks * vhd->block_size || vhd->table_offset > image->file->size ||
        table_bytes > image->file->size - vhd->table_offset) {
        return damaged(image, err, "the table of blocks is too short");
    }
    vhd->bitmap_size = (vhd->block_size / SECTOR_SIZE / 8 + 511) / 512 * 512;
    vhd->table = malloc((size_t)table_bytes + 1);
    vhd->bitmap = malloc(vhd->bitmap_size);
    vhd->bitmap_block = UINT64_MAX;
    if (vhd->table == NULL || vhd->bitmap == NULL ||
        !host_file_read(image->file, vhd->table_offset, vhd->table, (size_t)table_bytes)) {
        return block_no_memory(image->path, err);
    }
    vhd->end = (vhd->table_offset + table_bytes + 511) / 512 * 512;
    vhd->end = vhd->end < header_offset + HEADER_BYTES ? header_offset + HEADER_BYTES : vhd->end;
    for (uint32_t n = 0; n < vhd->blocks; n++) {
        uint32_t entry = load_be32(vhd->table + (size_t)n * 4);
        uint64_t end = (uint64_t)entry * SECTOR_SIZE + vhd->bitmap_size + vhd->block_size;
        vhd->end = entry != BLOCK_FREE && end > vhd->end ? end : vhd->end;
    }
    return vhd->type != TYPE_DIFFERENCING || read_parent(image, err);
}

static bool vhd_open(struct block_image *image, struct error *err)
{
    struct vhd *vhd = calloc(1, sizeof *vhd);

    if (vhd == NULL) {
        return block_no_memory(image->path, err);
    }
    image->state = vhd;
    if (!read_footer(image, err) || (vhd->type != TYPE_FIXED && !read_table(image, err))) {
        vhd_close(image);
        return false;
    }
    return true;
}

static uint64_t block_at(const struct vhd *vhd, uint64_t block)
{
    uint32_t entry = block < vhd->blocks ? load_be32(vhd->table + block * 4) : BLOCK_FREE;

    return entry != BLOCK_FREE ? (uint64_t)entry * SECTOR_SIZE : 0;
}

static bool load_bitmap(struct block_image *image, uint64_t block)
{
    struct vhd *vhd = image->state;

    if (vhd->bitmap_block == block) {
        return true;
    }
    vhd->bitmap_block = UINT64_MAX;
    if (!host_file_read(image->file, block_at(vhd, block), vhd->bitmap, vhd->bitmap_size)) {
        return block_host_error(image, "cannot read a table of");
    }
    vhd->bitmap_block = block;
    return true;
}

static bool has_sector(const struct vhd *vhd, uint64_t sector)
{
    return vhd->bitmap[sector / 8] >> (7 - sector % 8) & 1;
}

static bool vhd_map(struct block_image *image, uint64_t offset, uint64_t size, struct block_extent *extent)
{
    const struct vhd *vhd = image->state;

    if (vhd->type == TYPE_FIXED) {
        *extent = (struct block_extent){EXTENT_DATA, true, image->file, offset, size};
        return true;
    }
    uint64_t block = offset / vhd->block_size, inside = offset % vhd->block_size, at = block_at(vhd, block);
    *extent = (struct block_extent){EXTENT_PARENT, false, NULL, 0, vhd->block_size - inside};
    if (at == 0) {
        while (extent->size < size && ++block < vhd->blocks && block_at(vhd, block) == 0) {
            extent->size += vhd->block_size;
        }
        return true;
    }
    if (at < vhd->table_offset) {
        return block_corrupt(image, "block %llu is at an impossible place", (unsigned long long)block);
    }
    *extent = (struct block_extent){EXTENT_DATA, true, image->file, at + vhd->bitmap_size + inside, extent->size};
    if (vhd->type != TYPE_DIFFERENCING) {
        return true;
    }
    if (!load_bitmap(image, block)) {
        return false;
    }
    uint64_t sector = inside / SECTOR_SIZE, end = vhd->block_size / SECTOR_SIZE, from = sector;
    bool is_here = has_sector(vhd, sector);
    while (++sector < end && has_sector(vhd, sector) == is_here) {
    }
    extent->size = (sector - from) * SECTOR_SIZE;
    if (!is_here) {
        extent->kind = EXTENT_PARENT;
        extent->is_writable = false;
    }
    return true;
}

/* Sets sectors of the block's bitmap, after their data is there. */
static bool mark(struct block_image *image, uint64_t block, uint64_t sector, uint64_t count)
{
    struct vhd *vhd = image->state;

    for (uint64_t n = sector; n < sector + count; n++) {
        vhd->bitmap[n / 8] |= (uint8_t)(0x80 >> n % 8);
    }
    return host_file_write(image->file, block_at(vhd, block), vhd->bitmap, vhd->bitmap_size) ||
           block_host_error(image, "cannot write a table of");
}

static bool add_block(struct block_image *image, uint64_t block, uint64_t offset, uint64_t size, const uint8_t *bytes)
{
    struct vhd *vhd = image->state;
    uint64_t host = vhd->end, start = block * vhd->block_size, first = offset % vhd->block_size / SECTOR_SIZE;
    bool is_layer = vhd->type == TYPE_DIFFERENCING;

    if (host / SECTOR_SIZE >= BLOCK_FREE) {
        errno = EFBIG;
        return block_host_error(image, "cannot grow");
    }
    memset(vhd->bitmap, is_layer ? 0 : 0xff, vhd->bitmap_size);
    vhd->bitmap_block = block;
    for (uint64_t n = first; is_layer && n < first + size / SECTOR_SIZE; n++) {
        vhd->bitmap[n / 8] |= (uint8_t)(0x80 >> n % 8);
    }
    bool is_done = host_file_write(image->file, host, vhd->bitmap, vhd->bitmap_size);
    if (is_layer) {
        is_done = is_done && host_file_write(image->file, host + vhd->bitmap_size + (offset - start), bytes, (size_t)size);
    } else {
        struct block_cluster cluster = {image->file, host + vhd->bitmap_size, start, vhd->block_size, EXTENT_ZERO};
        is_done = is_done && node_write_new(image, &cluster, offset, size, bytes);
    }
    if (!is_done) {
        vhd->bitmap_block = UINT64_MAX;
        return block_host_error(image, "cannot write");
    }
    store_be32(vhd->table + block * 4, (uint32_t)(host / SECTOR_SIZE));
    vhd->end = host + vhd->bitmap_size + vhd->block_size;
    vhd->dirty_from = vhd->dirty_to == 0 || block < vhd->dirty_from ? (uint32_t)block : vhd->dirty_from;
    vhd->dirty_to = block + 1 > vhd->dirty_to ? (uint32_t)block + 1 : vhd->dirty_to;
    return true;
}

static bool vhd_allocate(struct block_image *image, uint64_t offset, uint64_t size, const uint8_t *bytes, uint64_t *done)
{
    struct vhd *vhd = image->state;
    uint64_t block = offset / vhd->block_size, inside = offset % vhd->block_size, at = block_at(vhd, block);

    size = size < vhd->block_size - inside ? size : vhd->block_size - inside;
    *done = size;
    if (at == 0) {
        return block < vhd->blocks ? add_block(image, block, offset, size, bytes)
                                   : block_corrupt(image, "it has too few blocks");
    }
    if (!host_file_write(image->file, at + vhd->bitmap_size + inside, bytes, (size_t)size)) {
        return block_host_error(image, "cannot write");
    }
    return load_bitmap(image, block) && mark(image, block, inside / SECTOR_SIZE, size / SECTOR_SIZE);
}

/* Data first, then the footer at the new end, then the table. */
static bool vhd_flush(struct block_image *image)
{
    struct vhd *vhd = image->state;

    if (!host_file_sync(image->file)) {
        return block_host_error(image, "cannot flush");
    }
    if (vhd->dirty_to == 0) {
        return true;
    }
    if (!host_file_write(image->file, vhd->end, vhd->footer, FOOTER_BYTES) || !host_file_sync(image->file) ||
        !host_file_write(image->file, vhd->table_offset + (uint64_t)vhd->dirty_from * 4,
                         vhd->table + (size_t)vhd->dirty_from * 4, (size_t)(vhd->dirty_to - vhd->dirty_from) * 4) ||
        !host_file_sync(image->file)) {
        return block_host_error(image, "cannot flush");
    }
    vhd->dirty_to = 0;
    return true;
}

static void vhd_info(struct block_image *image, struct block_info *info)
{
    static const char *const types[] = {"", "", "fixed", "dynamic", "differencing"};
    const struct vhd *vhd = image->state;

    snprintf(info->rows[0].key, sizeof info->rows[0].key, "type");
    snprintf(info->rows[0].value, sizeof info->rows[0].value, "%s", types[vhd->type]);
    snprintf(info->rows[1].key, sizeof info->rows[1].key, "creator");
    snprintf(info->rows[1].value, sizeof info->rows[1].value, "%.4s", (const char *)vhd->footer + 28);
    info->rows[0].kind = info->rows[1].kind = INFO_TEXT;
    info->count = 2;
}

/* ---- Creating ---- */

/* The specification's appendix "CHS Calculation". */
static void put_geometry(uint8_t *footer, uint64_t sectors)
{
    uint64_t per_track = 17, heads = 0, tracks = 0;

    sectors = sectors < CHS_MAX ? sectors : CHS_MAX;
    if (sectors >= 65535 * 16 * 63) {
        per_track = 255;
        heads = 16;
        tracks = sectors / per_track;
    } else {
        tracks = sectors / per_track;
        heads = (tracks + 1023) / 1024;
        heads = heads < 4 ? 4 : heads;
        if (tracks >= heads * 1024 || heads > 16) {
            per_track = 31;
            heads = 16;
            tracks = sectors / per_track;
        }
        if (tracks >= heads * 1024) {
            per_track = 63;
            heads = 16;
            tracks = sectors / per_track;
        }
    }
    store_be16(footer + 56, (uint16_t)(tracks / heads));
    footer[58] = (uint8_t)heads;
    footer[59] = (uint8_t)per_track;
}

static void make_footer(struct host_file *file, uint8_t *footer, uint64_t size, uint32_t type)
{
    memcpy(footer, "conectix", 8);
    store_be32(footer + 8, 2);
    store_be32(footer + 12, 0x00010000);
    store_be64(footer + 16, type == TYPE_FIXED ? UINT64_MAX : FOOTER_BYTES);
    store_be32(footer + 24, (uint32_t)(host_file_mtime_ns(file) / 1000000000 - 946684800)); /* since 2000 */
    memcpy(footer + 28, "win ", 4); /* readers take the current size, not the geometry, of this creator's images */
    store_be32(footer + 32, 0x00060001);
    memcpy(footer + 36, "Wi2k", 4);
    store_be64(footer + 40, size);
    store_be64(footer + 48, size);
    put_geometry(footer, size / SECTOR_SIZE);
    store_be32(footer + 60, type);
    block_make_uuid(file, footer + 68);
    store_be32(footer + 64, checksum(footer, FOOTER_BYTES, 64));
}

static bool write_new(struct host_file *file, uint64_t size, bool is_fixed)
{
    uint64_t blocks = (size + BLOCK_BYTES - 1) / BLOCK_BYTES, table_bytes = (blocks * 4 + 511) / 512 * 512;
    uint64_t table_at = FOOTER_BYTES + HEADER_BYTES;
    size_t total = FOOTER_BYTES + HEADER_BYTES + (size_t)table_bytes + FOOTER_BYTES;
    uint8_t *bytes = calloc(1, total);

    if (bytes == NULL) {
        errno = ENOMEM;
        return false;
    }
    make_footer(file, bytes, size, is_fixed ? TYPE_FIXED : TYPE_DYNAMIC);
    if (is_fixed) {
        bool is_done = host_file_write(file, size, bytes, FOOTER_BYTES);
        free(bytes);
        return is_done;
    }
    uint8_t *header = bytes + FOOTER_BYTES;
    memcpy(header, "cxsparse", 8);
    store_be64(header + 8, UINT64_MAX);
    store_be64(header + 16, table_at);
    store_be32(header + 24, 0x00010000);
    store_be32(header + 28, (uint32_t)blocks);
    store_be32(header + 32, BLOCK_BYTES);
    store_be32(header + 36, checksum(header, HEADER_BYTES, 36));
    memset(bytes + table_at, 0xff, (size_t)table_bytes);
    memcpy(bytes + total - FOOTER_BYTES, bytes, FOOTER_BYTES);
    bool is_done = host_file_write(file, 0, bytes, total);
    free(bytes);
    return is_done;
}

static bool vhd_create(const char *path, const struct block_create *create, struct error *err)
{
    struct create_options options;
    const char *type = NULL;
    bool is_exact = true;

    if (!create_options_parse(&options, create->options, "vhd", err) ||
        !create_options_flag(&options, "force_size", &is_exact, err)) {
        return false;
    }
    if (!is_exact) {
        error_set(err, "VHD images are made in the size that is asked for, not rounded to cylinders");
        return error_hint(err, "leave force_size=off out");
    }
    type = create_options_get(&options, "subformat");
    if (!create_options_done(&options, "vhd", err)) {
        return false;
    }
    if (type != NULL && strcmp(type, "fixed") != 0 && strcmp(type, "dynamic") != 0) {
        error_set(err, "vhd has no subformat '%s'", type);
        return error_hint(err, "subformat=dynamic or subformat=fixed");
    }
    if (create->size > UINT64_C(2040) << 30) {
        error_set(err, "a VHD image cannot have more than 2040 GiB");
        return error_hint(err, "use vhdx or qcow2");
    }
    struct host_file *file = host_file_create(path, err);
    if (file == NULL) {
        return false;
    }
    bool is_done = write_new(file, create->size, type != NULL && strcmp(type, "fixed") == 0);
    if (!is_done) {
        error_set(err, "cannot write '%s': %s", path, strerror(errno));
        error_hint(err, "look at the space that is left with: df .");
    }
    host_file_close(file);
    return is_done;
}

const struct block_driver block_vhd_driver = {
    .name = "vhd",
    .alias = "vpc",
    .content = CONTENT_VHD,
    .create_options = "subformat, force_size",
    .open = vhd_open,
    .adopted = vhd_adopted,
    .close = vhd_close,
    .map = vhd_map,
    .allocate = vhd_allocate,
    .zero = node_punch,
    .flush = vhd_flush,
    .info = vhd_info,
    .create = vhd_create,
};
