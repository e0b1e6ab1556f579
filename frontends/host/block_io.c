/* block_io.c - reads and writes through an image and the images under it, in the extents that its format tells. */
#include "frontends/host/block_format.h"

#include <string.h>

bool is_all_zero(const uint8_t *bytes, size_t size)
{
    /* Compares the range with itself one byte on, which memcmp does at memory speed. */
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

bool node_read_parent(struct block_image *image, uint64_t offset, uint64_t size, uint8_t *bytes)
{
    struct block_image *parent = image->parent;
    uint64_t present = parent != NULL ? parent->backend.sectors * SECTOR_SIZE : 0;
    uint64_t inside = offset < present ? present - offset : 0;

    inside = inside < size ? inside : size;
    if (inside != 0 && !node_read(parent, offset, inside, bytes)) {
        return false;
    }
    memset(bytes + inside, 0, (size_t)(size - inside));
    return true;
}

bool node_read(struct block_image *image, uint64_t offset, uint64_t size, uint8_t *bytes)
{
    const struct block_driver *driver = image->driver;

    while (size != 0) {
        struct block_extent extent = {EXTENT_ZERO, false, NULL, 0, 0};
        bool is_done = false;

        if (!driver->map(image, offset, size, &extent)) {
            return false;
        }
        BUG_ON(extent.size == 0);
        uint64_t piece = extent.size < size ? extent.size : size;
        switch (extent.kind) {
        case EXTENT_DATA:
            is_done = host_file_read(extent.file, extent.offset, bytes, (size_t)piece) ||
                      block_host_error(image, "cannot read");
            break;
        case EXTENT_ZERO:
            memset(bytes, 0, (size_t)piece);
            is_done = true;
            break;
        case EXTENT_PARENT: is_done = node_read_parent(image, offset, piece, bytes); break;
        case EXTENT_PACKED: is_done = driver->read_packed(image, offset, piece, bytes); break;
        }
        if (!is_done) {
            return false;
        }
        bytes += piece;
        offset += piece;
        size -= piece;
    }
    return true;
}

bool node_write(struct block_image *image, uint64_t offset, uint64_t size, const uint8_t *bytes)
{
    const struct block_driver *driver = image->driver;

    if (image->is_frozen) {
        return false;
    }
    image->is_clean = false;
    while (size != 0) {
        struct block_extent extent = {EXTENT_ZERO, false, NULL, 0, 0};
        uint64_t piece = 0;

        if (!driver->map(image, offset, size, &extent)) {
            return false;
        }
        if (extent.kind == EXTENT_DATA && extent.is_writable) {
            piece = extent.size < size ? extent.size : size;
            if (!host_file_write(extent.file, extent.offset, bytes, (size_t)piece)) {
                return block_host_error(image, "cannot write");
            }
        } else if (driver->allocate == NULL || !driver->allocate(image, offset, size, bytes, &piece)) {
            return false;
        }
        BUG_ON(piece == 0 || piece > size);
        bytes += piece;
        offset += piece;
        size -= piece;
    }
    return true;
}

bool node_zero(struct block_image *image, uint64_t offset, uint64_t size, bool discard)
{
    static const uint8_t zeros[65536];

    if (image->is_frozen) {
        return false;
    }
    image->is_clean = false;
    while (size != 0) {
        uint64_t piece = size;
        enum zero_result result =
            image->driver->zero != NULL ? image->driver->zero(image, offset, size, discard, &piece) : ZERO_UNABLE;

        if (result == ZERO_FAILED) {
            return false;
        }
        BUG_ON(piece == 0 || piece > size);
        for (uint64_t done = 0; result == ZERO_UNABLE && done < piece;) {
            uint64_t part = piece - done < sizeof zeros ? piece - done : sizeof zeros;
            if (!node_write(image, offset + done, part, zeros)) {
                return false;
            }
            done += part;
        }
        offset += piece;
        size -= piece;
    }
    return true;
}

bool node_parent_is_zero(struct block_image *image, uint64_t offset, uint64_t size)
{
    struct block_image *parent = image->parent;

    if (parent == NULL) {
        return image->parent_name == NULL; /* named but not opened: unknown */
    }
    uint64_t present = parent->backend.sectors * SECTOR_SIZE;
    while (size != 0 && offset < present) {
        struct block_extent extent = {EXTENT_ZERO, false, NULL, 0, 0};
        uint64_t inside = present - offset < size ? present - offset : size;

        if (!parent->driver->map(parent, offset, inside, &extent) || extent.kind == EXTENT_DATA ||
            extent.kind == EXTENT_PACKED) {
            return false;
        }
        uint64_t piece = extent.size < inside ? extent.size : inside;
        if (extent.kind == EXTENT_PARENT && !node_parent_is_zero(parent, offset, piece)) {
            return false;
        }
        offset += piece;
        size -= piece;
    }
    return true;
}

struct around {
    struct block_image *image;
    struct host_file *file;
    enum extent_kind old; /* what the cluster was */
    uint64_t fresh_from;  /* the file's old end */
};

/* What lies around the new data: from the parents, in pieces; zeros that the file has already are not written. */
static bool copy_around(const struct around *around, uint64_t host, uint64_t start, uint64_t size)
{
    struct block_image *image = around->image;
    uint64_t fresh_from = around->fresh_from;
    uint8_t piece[16384];
    bool is_zero = around->old == EXTENT_ZERO || (host >= fresh_from && node_parent_is_zero(image, start, size));

    if (host >= fresh_from && is_zero) {
        return true;
    }
    memset(piece, 0, sizeof piece);
    while (size != 0) {
        uint64_t part = size < sizeof piece ? size : sizeof piece;
        if (!is_zero && !node_read_parent(image, start, part, piece)) {
            return false;
        }
        if ((host < fresh_from || !is_all_zero(piece, (size_t)part)) &&
            !host_file_write(around->file, host, piece, (size_t)part)) {
            return block_host_error(image, "cannot write");
        }
        host += part;
        start += part;
        size -= part;
    }
    return true;
}

bool node_write_new(struct block_image *image, const struct block_cluster *cluster, uint64_t offset, uint64_t size,
                    const uint8_t *bytes)
{
    struct host_file *file = cluster->file;
    uint64_t host = cluster->host, cluster_size = cluster->size;
    uint64_t head = offset - cluster->start, tail = cluster_size - head - size;
    struct around around = {image, file, cluster->old, file->size};

    if (file->size < host + cluster_size && !host_file_resize(file, host + cluster_size)) {
        return block_host_error(image, "cannot grow");
    }
    if (!copy_around(&around, host, cluster->start, head) ||
        !copy_around(&around, host + head + size, offset + size, tail)) {
        return false;
    }
    return host_file_write(file, host + head, bytes, (size_t)size) || block_host_error(image, "cannot write");
}

enum zero_result node_punch(struct block_image *image, uint64_t offset, uint64_t size, bool discard, uint64_t *done)
{
    struct block_extent extent = {EXTENT_ZERO, false, NULL, 0, 0};

    (void)discard;
    if (!image->driver->map(image, offset, size, &extent)) {
        return ZERO_FAILED;
    }
    *done = extent.size < size ? extent.size : size;
    switch (extent.kind) {
    case EXTENT_ZERO: return ZERO_DONE;
    case EXTENT_PARENT: return node_parent_is_zero(image, offset, *done) ? ZERO_DONE : ZERO_UNABLE;
    case EXTENT_DATA:
        if (extent.is_writable && host_file_punch(extent.file, extent.offset, *done)) {
            return ZERO_DONE;
        }
        break;
    case EXTENT_PACKED: break;
    }
    return ZERO_UNABLE;
}

/* ---- For tick86-img ---- */

bool block_read(struct block_image *image, uint64_t offset, uint64_t size, void *bytes)
{
    return node_read(image, offset, size, bytes);
}

bool block_write(struct block_image *image, uint64_t offset, uint64_t size, const void *bytes)
{
    return node_write(image, offset, size, bytes);
}

bool block_zero(struct block_image *image, uint64_t offset, uint64_t size, bool discard)
{
    return node_zero(image, offset, size, discard);
}

bool block_write_packed(struct block_image *image, uint64_t offset, uint64_t size, const void *bytes,
                        bool *is_supported)
{
    *is_supported = image->driver->write_packed != NULL;
    if (!*is_supported || image->is_frozen) {
        return false;
    }
    image->is_clean = false;
    return image->driver->write_packed(image, offset, size, bytes);
}

bool block_flush(struct block_image *image)
{
    if (image->is_clean || image->backend.is_readonly || image->driver == NULL || image->driver->flush == NULL) {
        return true;
    }
    image->is_clean = image->driver->flush(image);
    return image->is_clean;
}

bool block_status_alone(struct block_image *image, uint64_t offset, uint64_t size, struct block_status *status)
{
    struct block_extent extent = {EXTENT_ZERO, false, NULL, 0, 0};
    uint64_t end = 0;

    if (!image->driver->map(image, offset, size, &extent)) {
        return false;
    }
    *status = (struct block_status){extent.kind, extent.size < size ? extent.size : size, 0, false, 0, NULL};
    if (extent.kind == EXTENT_DATA) {
        status->has_offset = true;
        status->offset = extent.offset;
        status->path = extent.file->path;
        /* Holes of raw files are zeros; elsewhere the format has told already, and a hole is still data that it has. */
        if (image->driver == &block_raw_driver) {
            bool is_hole = host_file_is_hole(extent.file, extent.offset, &end);
            uint64_t length = end > extent.offset ? end - extent.offset : status->size;
            status->kind = is_hole ? EXTENT_ZERO : EXTENT_DATA;
            status->size = length < status->size ? length : status->size;
        }
    }
    return true;
}

bool block_status(struct block_image *image, uint64_t offset, uint64_t size, struct block_status *status)
{
    unsigned depth = 0;

    for (;; depth++) {
        uint64_t present = image->backend.sectors * SECTOR_SIZE;
        if (offset >= present) { /* behind the end of a smaller parent */
            *status = (struct block_status){EXTENT_ZERO, size, depth, false, 0, NULL};
            return true;
        }
        uint64_t inside = present - offset < size ? present - offset : size;
        if (!block_status_alone(image, offset, inside, status)) {
            return false;
        }
        status->depth = depth;
        if (status->kind != EXTENT_PARENT || image->parent == NULL) {
            return true;
        }
        size = status->size;
        image = image->parent;
    }
}
