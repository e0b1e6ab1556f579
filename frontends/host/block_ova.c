/* block_ova.c - the disks of OVA archives and OVF appliances, opened where they are. Read only: writes go to an overlay.
 *
 * A disk in an archive is a file within the file; it is opened with the driver of its format. */
#include "frontends/host/appliance.h"
#include "frontends/host/block_format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool ova_open(struct block_image *image, struct error *err)
{
    struct appliance *appliance = malloc(sizeof *appliance);
    struct block_options options = {.is_readonly = true,
                                    .has_no_lock = true, /* the archive is locked */
                                    .log = image->options.log,
                                    .log_context = image->options.log_context};
    char path[4096];
    unsigned disk = image->options.disk;
    struct block_image *inner = NULL;

    if (appliance == NULL || !appliance_read(image->path, appliance, err)) {
        free(appliance);
        return err->message[0] != '\0' ? false : block_no_memory(image->path, err);
    }
    if (disk >= appliance->disk_count) {
        block_refuse(image, err, "use a smaller number", "it has %u disks", appliance->disk_count);
    } else if (appliance->is_archive) {
        inner = node_open_part(image->path, appliance->disks[disk].offset, appliance->disks[disk].size, &options, err);
    } else if (block_resolve(image->path, appliance->disks[disk].file, path, sizeof path)) {
        inner = node_open(path, &options, 1, err);
    }
    free(appliance);
    if (inner == NULL) {
        return err->message[0] != '\0' ? false : block_refuse(image, err, "use a shorter path", "the path is too long");
    }
    image->state = inner;
    image->size = inner->size;
    image->cluster_size = inner->cluster_size;
    if (!image->backend.is_readonly) {
        snprintf(image->notice, sizeof image->notice,
                 "the disk of the appliance '%.150s' is opened read-only; use overlay=FILE to keep what the guest writes",
                 image->path);
        image->backend.is_readonly = true;
    }
    return true;
}

static void ova_close(struct block_image *image)
{
    node_close(image->state);
}

static bool ova_map(struct block_image *image, uint64_t offset, uint64_t size, struct block_extent *extent)
{
    struct block_image *inner = image->state;

    if (!inner->driver->map(inner, offset, size, extent)) {
        return false;
    }
    if (extent->kind == EXTENT_PARENT) {
        extent->kind = inner->parent != NULL ? EXTENT_PACKED : EXTENT_ZERO; /* PACKED: asked below */
    }
    extent->is_writable = false;
    return true;
}

static bool ova_read_packed(struct block_image *image, uint64_t offset, uint64_t size, void *bytes)
{
    return node_read(image->state, offset, size, bytes);
}

static void ova_info(struct block_image *image, struct block_info *info)
{
    const struct block_image *inner = image->state;

    snprintf(info->rows[0].key, sizeof info->rows[0].key, "disk format");
    snprintf(info->rows[0].value, sizeof info->rows[0].value, "%s", inner->driver->name);
    info->rows[0].kind = INFO_TEXT;
    info->count = 1;
}

const struct block_driver block_ova_driver = {
    .name = "ova",
    .alias = "ovf",
    .content = CONTENT_OVF,
    .open = ova_open,
    .close = ova_close,
    .map = ova_map,
    .read_packed = ova_read_packed,
    .info = ova_info,
};
