/* block_vdi.c - VirtualBox disk images (VDI 1.1): static, dynamic and differencing.
 *
 * The layout is public in VirtualBox' headers and "All about VDIs" (forums.virtualbox.org, 8046): a header of 512 bytes, a
 * map of 32-bit block numbers, blocks of 1 MiB in the order of their allocation. A differencing image names its parent by
 * UUID only, so the parent is looked for among the VDI files of its folder.
 *
 * The map and the header's count of blocks go to the file when it is flushed, after the data, in one write from the first
 * to the last changed byte, so that they fit each other.
 *
 * Not implemented: version 0 headers, block sizes other than what divides into sectors, the undo type. */
#define _DEFAULT_SOURCE
#include "frontends/host/block_format.h"
#include "mem/space.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIGNATURE_AT = 64,
    VERSION_AT = 68,
    HEADER_SIZE_AT = 72,
    TYPE_AT = 76,
    MAP_OFFSET_AT = 340,
    DATA_OFFSET_AT = 344,
    SECTOR_SIZE_AT = 360,
    DISK_SIZE_AT = 368,
    BLOCK_SIZE_AT = 376,
    BLOCK_EXTRA_AT = 380,
    BLOCKS_AT = 384,
    ALLOCATED_AT = 388,
    UUID_AT = 392,
    MODIFIED_AT = 408,
    PARENT_UUID_AT = 424,
    PARENT_MODIFIED_AT = 440,
    HEADER_BYTES = 512,
    TYPE_DYNAMIC = 1,
    TYPE_STATIC = 2,
    TYPE_DIFFERENCING = 4,
    BLOCK_BYTES = 1 << 20,
};
#define BLOCK_FREE UINT32_C(0xffffffff)
#define BLOCK_ZERO UINT32_C(0xfffffffe)
#define BLOCKS_MAX (UINT32_C(0x20000000))

struct vdi {
    uint8_t header[HEADER_BYTES];
    uint8_t *map; /* as in the file */
    uint64_t map_offset, data_offset;
    uint32_t block_size, blocks, allocated;
    uint32_t dirty_from, dirty_to; /* entries of the map */
    bool is_modified_new;          /* the header tells of this opening for writing */
};

static bool damaged(struct block_image *image, struct error *err, const char *what)
{
    return block_refuse(image, err, "use a backup; VBoxManage may repair it", "its header is damaged: %s", what);
}

static void vdi_close(struct block_image *image)
{
    struct vdi *vdi = image->state;

    free(vdi->map);
    free(vdi);
    image->state = NULL;
}

/* The file in `folder` whose UUID is the parent's. */
static bool find_parent(struct block_image *image, struct error *err)
{
    const struct vdi *vdi = image->state;
    const char *slash = strrchr(image->path, '/');
    char folder[2048], path[4096];
    uint8_t header[HEADER_BYTES];
    struct error ignored;
    struct dirent *entry = NULL;

    snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - image->path) + 1 : 2,
             slash != NULL ? image->path : "./");
    DIR *dir = opendir(folder);
    while (dir != NULL && image->parent_name == NULL && (entry = readdir(dir)) != NULL) {
        size_t length = strlen(entry->d_name);
        if (length < 5 || strcmp(entry->d_name + length - 4, ".vdi") != 0) {
            continue;
        }
        snprintf(path, sizeof path, "%s%s", folder, entry->d_name);
        struct host_file *file = host_file_open(path, true, &ignored);
        if (file != NULL && host_file_read(file, 0, header, sizeof header) &&
            memcmp(header + UUID_AT, vdi->header + PARENT_UUID_AT, 16) == 0 &&
            (image->parent_name = malloc(length + 1)) != NULL) {
            memcpy(image->parent_name, entry->d_name, length + 1);
        }
        host_file_close(file);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    if (image->parent_name == NULL) {
        return block_refuse(image, err, "put the parent's .vdi file into the same folder",
                            "it is a differencing image, and no VDI file there has the UUID of its parent");
    }
    /* A parent that was written since has a new modification UUID. */
    if (memcmp(header + MODIFIED_AT, vdi->header + PARENT_MODIFIED_AT, 16) != 0 &&
        !is_all_zero(vdi->header + PARENT_MODIFIED_AT, 16) && !image->options.is_parent_unsafe) {
        return block_refuse(image, err, "restore the parent as it was", "its parent '%s' has changed since",
                            image->parent_name);
    }
    return true;
}

static bool check_header(struct block_image *image, struct error *err)
{
    struct vdi *vdi = image->state;
    const uint8_t *h = vdi->header;
    uint32_t type = load_le32(h + TYPE_AT);

    if (load_le32(h + SIGNATURE_AT) != 0xbeda107f) {
        return block_refuse(image, err, "leave the format out to have it told from the content", "it is no VDI image");
    }
    if (load_le32(h + VERSION_AT) >> 16 != 1) {
        return block_refuse(image, err, "convert it: VBoxManage clonemedium IN OUT", "VDI version %u.%u is not supported",
                            load_le32(h + VERSION_AT) >> 16, load_le32(h + VERSION_AT) & 0xffff);
    }
    if (type != TYPE_DYNAMIC && type != TYPE_STATIC && type != TYPE_DIFFERENCING) {
        return block_refuse(image, err, "convert it: VBoxManage clonemedium IN OUT", "VDI type %u is not supported", type);
    }
    vdi->map_offset = load_le32(h + MAP_OFFSET_AT);
    vdi->data_offset = load_le32(h + DATA_OFFSET_AT);
    vdi->block_size = load_le32(h + BLOCK_SIZE_AT);
    vdi->blocks = load_le32(h + BLOCKS_AT);
    vdi->allocated = load_le32(h + ALLOCATED_AT);
    image->size = load_le64(h + DISK_SIZE_AT);
    image->cluster_size = vdi->block_size;
    if (load_le32(h + SECTOR_SIZE_AT) != SECTOR_SIZE || vdi->block_size < SECTOR_SIZE ||
        vdi->block_size % SECTOR_SIZE != 0 || vdi->block_size > 256 << 20 || load_le32(h + BLOCK_EXTRA_AT) != 0) {
        return damaged(image, err, "impossible sector or block size");
    }
    if (vdi->blocks > BLOCKS_MAX || image->size > (uint64_t)vdi->blocks * vdi->block_size || image->size == 0) {
        return damaged(image, err, "the disk is larger than its blocks");
    }
    if (vdi->map_offset < HEADER_BYTES || vdi->map_offset + (uint64_t)vdi->blocks * 4 > vdi->data_offset ||
        vdi->map_offset + (uint64_t)vdi->blocks * 4 > image->file->size || vdi->allocated > vdi->blocks) {
        return damaged(image, err, "the map is at an impossible place");
    }
    return true;
}

static bool vdi_open(struct block_image *image, struct error *err)
{
    struct vdi *vdi = calloc(1, sizeof *vdi);

    if (vdi == NULL) {
        return block_no_memory(image->path, err);
    }
    image->state = vdi;
    if (!host_file_read(image->file, 0, vdi->header, sizeof vdi->header) || !check_header(image, err)) {
        vdi_close(image);
        return false;
    }
    vdi->map = malloc((size_t)vdi->blocks * 4 + 1);
    if (vdi->map == NULL || !host_file_read(image->file, vdi->map_offset, vdi->map, (size_t)vdi->blocks * 4)) {
        vdi_close(image);
        return block_no_memory(image->path, err);
    }
    if (load_le32(vdi->header + TYPE_AT) == TYPE_DIFFERENCING && !find_parent(image, err)) {
        vdi_close(image);
        return false;
    }
    return true;
}

static bool vdi_map(struct block_image *image, uint64_t offset, uint64_t size, struct block_extent *extent)
{
    const struct vdi *vdi = image->state;
    uint64_t block = offset / vdi->block_size, inside = offset % vdi->block_size;
    uint32_t entry = block < vdi->blocks ? load_le32(vdi->map + block * 4) : BLOCK_FREE;

    *extent = (struct block_extent){EXTENT_PARENT, false, NULL, 0, vdi->block_size - inside};
    if (entry == BLOCK_ZERO) {
        extent->kind = EXTENT_ZERO;
    } else if (entry != BLOCK_FREE) {
        if (entry >= vdi->blocks) {
            return block_corrupt(image, "block %llu is at an impossible place", (unsigned long long)block);
        }
        *extent = (struct block_extent){EXTENT_DATA, true, image->file,
                                        vdi->data_offset + (uint64_t)entry * vdi->block_size + inside,
                                        vdi->block_size - inside};
    }
    while (extent->size < size && ++block < vdi->blocks) { /* more of the same */
        uint32_t next = load_le32(vdi->map + block * 4);
        if (extent->kind == EXTENT_DATA ? next != ++entry || next >= vdi->blocks : next != entry) {
            break;
        }
        extent->size += vdi->block_size;
    }
    return true;
}

static bool vdi_allocate(struct block_image *image, uint64_t offset, uint64_t size, const uint8_t *bytes, uint64_t *done)
{
    struct vdi *vdi = image->state;
    uint64_t block = offset / vdi->block_size, inside = offset % vdi->block_size;
    uint64_t host = vdi->data_offset + (uint64_t)vdi->allocated * vdi->block_size;

    if (block >= vdi->blocks || vdi->allocated >= vdi->blocks) {
        return block_corrupt(image, "more blocks are in use than it has");
    }
    size = size < vdi->block_size - inside ? size : vdi->block_size - inside;
    struct block_cluster cluster = {image->file, host, offset - inside, vdi->block_size,
                                    load_le32(vdi->map + block * 4) == BLOCK_ZERO ? EXTENT_ZERO : EXTENT_PARENT};
    if (!node_write_new(image, &cluster, offset, size, bytes)) {
        return false;
    }
    store_le32(vdi->map + block * 4, vdi->allocated++);
    vdi->dirty_from = vdi->dirty_to == 0 || block < vdi->dirty_from ? (uint32_t)block : vdi->dirty_from;
    vdi->dirty_to = block + 1 > vdi->dirty_to ? (uint32_t)block + 1 : vdi->dirty_to;
    *done = size;
    return true;
}

/* The UUID of the last modification, by which differencing images see that this one changed. */
static bool renew_modified(struct block_image *image)
{
    struct vdi *vdi = image->state;

    if (!vdi->is_modified_new) {
        block_make_uuid(image->file, vdi->header + MODIFIED_AT);
        vdi->is_modified_new = host_file_write(image->file, MODIFIED_AT, vdi->header + MODIFIED_AT, 16);
    }
    return vdi->is_modified_new;
}

static bool vdi_flush(struct block_image *image)
{
    struct vdi *vdi = image->state;
    size_t length = (size_t)vdi->map_offset + (size_t)vdi->dirty_to * 4;

    if (!renew_modified(image)) {
        return block_host_error(image, "cannot write the header of");
    }
    if (!host_file_sync(image->file)) {
        return block_host_error(image, "cannot flush");
    }
    if (vdi->dirty_to == 0) {
        return true;
    }
    uint8_t *bytes = calloc(1, length);
    if (bytes == NULL) {
        errno = ENOMEM;
        return block_host_error(image, "cannot flush");
    }
    store_le32(vdi->header + ALLOCATED_AT, vdi->allocated);
    memcpy(bytes, vdi->header, HEADER_BYTES);
    bool is_done = vdi->map_offset == HEADER_BYTES ||
                   host_file_read(image->file, HEADER_BYTES, bytes + HEADER_BYTES, (size_t)vdi->map_offset - HEADER_BYTES);
    memcpy(bytes + vdi->map_offset, vdi->map, (size_t)vdi->dirty_to * 4);
    is_done = is_done && host_file_write(image->file, 0, bytes, length) && host_file_sync(image->file);
    free(bytes);
    if (!is_done) {
        return block_host_error(image, "cannot flush");
    }
    vdi->dirty_to = 0;
    return true;
}

/* Every block has one owner, and the header's count fits. */
static bool vdi_check(struct block_image *image, struct block_check *check, struct error *err)
{
    struct vdi *vdi = image->state;
    uint32_t highest = 0;
    uint8_t *owned = calloc(1, (size_t)vdi->blocks + 1);
    char text[128];

    if (owned == NULL) {
        return block_no_memory(image->path, err);
    }
    for (uint32_t n = 0; n < vdi->blocks; n++) {
        uint32_t entry = load_le32(vdi->map + (size_t)n * 4);
        if (entry >= BLOCK_ZERO) {
            continue;
        }
        if (entry >= vdi->blocks || owned[entry]) {
            snprintf(text, sizeof text, "ERROR: block %u is at %s place %u", n,
                     entry >= vdi->blocks ? "the impossible" : "another block's", entry);
            if (check->report != NULL) {
                check->report(check->context, text);
            }
            check->corruptions++;
            continue;
        }
        owned[entry] = 1;
        highest = entry + 1 > highest ? entry + 1 : highest;
        check->clusters_used++;
    }
    free(owned);
    if (highest > vdi->allocated || check->clusters_used != vdi->allocated) {
        snprintf(text, sizeof text, "ERROR: the header counts %u blocks, the map has %llu", vdi->allocated,
                 (unsigned long long)check->clusters_used);
        if (check->report != NULL) {
            check->report(check->context, text);
        }
        if (check->repair_errors && check->corruptions == 0 && highest == check->clusters_used) {
            vdi->allocated = highest;
            vdi->dirty_to = vdi->blocks;
            check->corruptions_fixed += vdi_flush(image);
        } else {
            check->corruptions++;
        }
    }
    check->clusters_total = (image->size + vdi->block_size - 1) / vdi->block_size;
    check->image_end = vdi->data_offset + (uint64_t)highest * vdi->block_size;
    return true;
}

static void vdi_info(struct block_image *image, struct block_info *info)
{
    static const char *const types[] = {"", "dynamic", "static", "", "differencing"};
    const struct vdi *vdi = image->state;

    snprintf(info->rows[0].key, sizeof info->rows[0].key, "type");
    snprintf(info->rows[0].value, sizeof info->rows[0].value, "%s", types[load_le32(vdi->header + TYPE_AT)]);
    info->rows[0].kind = INFO_TEXT;
    info->count = 1;
}

static bool vdi_create(const char *path, const struct block_create *create, struct error *err)
{
    struct create_options options;
    bool is_static = false;
    uint64_t blocks = (create->size + BLOCK_BYTES - 1) / BLOCK_BYTES, data = (HEADER_BYTES + blocks * 4 + 511) / 512 * 512;

    if (!create_options_parse(&options, create->options, "vdi", err) ||
        !create_options_flag(&options, "static", &is_static, err) || !create_options_done(&options, "vdi", err)) {
        return false;
    }
    if (blocks >= BLOCKS_MAX || data + blocks * 4 > UINT32_MAX) {
        error_set(err, "a VDI image cannot have %llu bytes", (unsigned long long)create->size);
        return error_hint(err, "choose a smaller size, or qcow2");
    }
    struct host_file *file = host_file_create(path, err);
    uint8_t *bytes = file != NULL ? calloc(1, (size_t)data) : NULL;
    if (bytes == NULL) {
        host_file_close(file);
        return err->message[0] != '\0' ? false : block_no_memory(path, err);
    }
    snprintf((char *)bytes, 64, "<<< tick86 Disk Image >>>\n");
    store_le32(bytes + SIGNATURE_AT, 0xbeda107f);
    store_le32(bytes + VERSION_AT, 0x00010001);
    store_le32(bytes + HEADER_SIZE_AT, 0x180);
    store_le32(bytes + TYPE_AT, is_static ? TYPE_STATIC : TYPE_DYNAMIC);
    store_le32(bytes + MAP_OFFSET_AT, HEADER_BYTES);
    store_le32(bytes + DATA_OFFSET_AT, (uint32_t)data);
    store_le32(bytes + SECTOR_SIZE_AT, SECTOR_SIZE);
    store_le64(bytes + DISK_SIZE_AT, create->size);
    store_le32(bytes + BLOCK_SIZE_AT, BLOCK_BYTES);
    store_le32(bytes + BLOCKS_AT, (uint32_t)blocks);
    store_le32(bytes + ALLOCATED_AT, is_static ? (uint32_t)blocks : 0);
    block_make_uuid(file, bytes + UUID_AT);
    block_make_uuid(file, bytes + MODIFIED_AT);
    for (uint32_t n = 0; n < blocks; n++) {
        store_le32(bytes + HEADER_BYTES + (size_t)n * 4, is_static ? n : BLOCK_FREE);
    }
    bool is_done = host_file_write(file, 0, bytes, (size_t)data) &&
                   (!is_static || host_file_resize(file, data + blocks * BLOCK_BYTES));
    if (!is_done) {
        error_set(err, "cannot write '%s': %s", path, strerror(errno));
        error_hint(err, "look at the space that is left with: df .");
    }
    free(bytes);
    host_file_close(file);
    return is_done;
}

const struct block_driver block_vdi_driver = {
    .name = "vdi",
    .content = CONTENT_VDI,
    .create_options = "static",
    .open = vdi_open,
    .close = vdi_close,
    .map = vdi_map,
    .allocate = vdi_allocate,
    .zero = node_punch,
    .flush = vdi_flush,
    .info = vdi_info,
    .check = vdi_check,
    .create = vdi_create,
};
