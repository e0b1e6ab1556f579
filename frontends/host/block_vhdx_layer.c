/* block_vhdx_layer.c - VHDX: differencing images: the parent's name, and blocks of which only some sectors are here.
 *
 * [MS-VHDX] 2.6.2.6 (parent locator), 2.5.1 (BAT), 2.4 (sector bitmap blocks). A block whose parent is shown in places is
 * made whole before it is written: the parent's sectors are put where nothing was visible, and only then the BAT says that
 * all of the block is here. So bitmaps are read and never written, and a stop in between leaves what was. */
#include "frontends/host/block_vhdx.h"
#include "mem/space.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOCATOR_HEADER = 20, LOCATOR_ENTRY = 12, LOCATOR_MAX = 1 << 16, BITMAP_BYTES = 1 << 20, BITMAP_PRESENT = 6 };

/* B04AEFB7-D19E-4A81-B789-25B8E9445913 */
static const uint8_t guid_vhdx_parent[16] = {0xb7, 0xef, 0x4a, 0xb0, 0x9e, 0xd1, 0x81, 0x4a,
                                             0xb7, 0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13};

static bool damaged(struct block_image *image, struct error *err, const char *what)
{
    return block_refuse(image, err, "use a backup", "it is damaged: %s", what);
}

/* A string of the locator; "" when it is impossible. */
static void get_text(const uint8_t *locator, uint32_t size, uint32_t offset, uint32_t length, char *text, size_t capacity)
{
    text[0] = '\0';
    if (offset <= size && length <= size - offset && !layer_name_utf16(locator + offset, length, false, text, capacity)) {
        text[0] = '\0';
    }
}

bool vhdx_read_locator(struct block_image *image, uint64_t offset, uint32_t size, struct error *err)
{
    struct vhdx *vhdx = image->state;
    char key[64], name[3200] = "", absolute[3200] = "";
    uint8_t *locator = size >= LOCATOR_HEADER && size <= LOCATOR_MAX ? malloc(size) : NULL;

    if (locator == NULL || !host_file_read(image->file, offset, locator, size) ||
        memcmp(locator, guid_vhdx_parent, 16) != 0) {
        free(locator);
        return damaged(image, err, "a differencing image without the locator of its parent");
    }
    uint32_t count = load_le16(locator + 18);
    for (uint32_t n = 0; n < count && LOCATOR_HEADER + (n + 1) * LOCATOR_ENTRY <= size; n++) {
        const uint8_t *entry = locator + LOCATOR_HEADER + n * LOCATOR_ENTRY;
        uint32_t value = load_le32(entry + 4), length = load_le16(entry + 10);
        get_text(locator, size, load_le32(entry), load_le16(entry + 8), key, sizeof key);
        if (strcmp(key, "relative_path") == 0) {
            get_text(locator, size, value, length, name, sizeof name);
        } else if (strcmp(key, "absolute_win32_path") == 0) {
            get_text(locator, size, value, length, absolute, sizeof absolute);
        } else if (strcmp(key, "parent_linkage") == 0) {
            get_text(locator, size, value, length, vhdx->linkages[0], sizeof vhdx->linkages[0]);
        } else if (strcmp(key, "parent_linkage2") == 0) {
            get_text(locator, size, value, length, vhdx->linkages[1], sizeof vhdx->linkages[1]);
        }
    }
    free(locator);
    if (name[0] == '\0' && absolute[0] == '\0') {
        return damaged(image, err, "a differencing image without the name of its parent");
    }
    return layer_set_name(image, name[0] != '\0' ? name : absolute, "vhdx", err);
}

/* 2.6.2.6.3: the linkage is the parent's DataWriteGuid, which changes before the parent's data does. */
bool vhdx_adopted(struct block_image *image, struct error *err)
{
    const struct vhdx *vhdx = image->state;
    const struct vhdx *parent = image->parent->driver == image->driver ? image->parent->state : NULL;
    char text[48] = "";

    if (parent != NULL) {
        const uint8_t *g = parent->header + 32;
        snprintf(text, sizeof text, "{%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x}", g[3], g[2], g[1], g[0],
                 g[5], g[4], g[7], g[6], g[8], g[9], g[10], g[11], g[12], g[13], g[14], g[15]);
    }
    for (unsigned n = 0; n < 2; n++) {
        char have[48];
        memcpy(have, vhdx->linkages[n], sizeof have);
        for (char *at = have; *at != '\0'; at++) {
            *at = (char)tolower((unsigned char)*at);
        }
        if (parent != NULL && strcmp(have, text) == 0) {
            return true;
        }
    }
    if (image->options.is_parent_unsafe) {
        return true;
    }
    error_set(err, "'%s' is a layer over '%s', which has changed since (its data GUID is another)", image->path,
              image->parent->path);
    return error_hint(err, "restore the parent as it was");
}

uint64_t vhdx_bitmap_index(const struct vhdx *vhdx, uint64_t chunk)
{
    return (chunk + 1) * (vhdx->chunk_ratio + UINT64_C(1)) - 1;
}

static bool load_bitmap(struct block_image *image, uint64_t chunk)
{
    struct vhdx *vhdx = image->state;
    uint64_t index = vhdx_bitmap_index(vhdx, chunk);
    uint64_t entry = index < vhdx->bat_bytes / 8 ? load_le64(vhdx->bat + index * 8) : 0, at = entry >> 20 << 20;

    if (vhdx->bitmap != NULL && vhdx->bitmap_chunk == chunk) {
        return true;
    }
    if ((entry & 7) != BITMAP_PRESENT || at == 0 || at >= image->file->size) {
        return block_corrupt(image, "bitmap block %llu is at an impossible place", (unsigned long long)chunk);
    }
    if (vhdx->bitmap == NULL && (vhdx->bitmap = malloc(BITMAP_BYTES)) == NULL) {
        errno = ENOMEM;
        return block_host_error(image, "cannot read a table of");
    }
    vhdx->bitmap_chunk = UINT64_MAX;
    if (!host_file_read(image->file, at, vhdx->bitmap, BITMAP_BYTES)) {
        return block_host_error(image, "cannot read a table of");
    }
    vhdx->bitmap_chunk = chunk;
    return true;
}

static bool has_sector(const struct vhdx *vhdx, uint64_t bit)
{
    return vhdx->bitmap[bit / 8] >> (bit % 8) & 1;
}

bool vhdx_map_partial(struct block_image *image, uint64_t block, uint64_t host, uint64_t inside,
                      struct block_extent *extent)
{
    const struct vhdx *vhdx = image->state;
    uint64_t sectors = vhdx->block_size / SECTOR_SIZE, first = block % vhdx->chunk_ratio * sectors;
    uint64_t from = inside / SECTOR_SIZE, to = from + 1;

    if (!load_bitmap(image, block / vhdx->chunk_ratio)) {
        return false;
    }
    bool is_here = has_sector(vhdx, first + from);
    while (to < sectors && has_sector(vhdx, first + to) == is_here) {
        to++;
    }
    *extent = (struct block_extent){is_here ? EXTENT_DATA : EXTENT_PARENT, is_here, is_here ? image->file : NULL,
                                    host + inside, (to - from) * SECTOR_SIZE};
    return true;
}

bool vhdx_complete(struct block_image *image, uint64_t block, uint64_t host)
{
    const struct vhdx *vhdx = image->state;
    uint64_t start = block * vhdx->block_size;
    uint8_t piece[16384];

    for (uint64_t inside = 0; inside < vhdx->block_size;) {
        struct block_extent extent;
        if (!vhdx_map_partial(image, block, host, inside, &extent)) {
            return false;
        }
        for (uint64_t done = 0; extent.kind == EXTENT_PARENT && done < extent.size;) {
            uint64_t part = extent.size - done < sizeof piece ? extent.size - done : sizeof piece;
            if (!node_read_parent(image, start + inside + done, part, piece)) {
                return false;
            }
            if (!host_file_write(image->file, host + inside + done, piece, (size_t)part)) {
                return block_host_error(image, "cannot write");
            }
            done += part;
        }
        inside += extent.size;
    }
    return true;
}
