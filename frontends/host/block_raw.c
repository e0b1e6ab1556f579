/* block_raw.c - raw disk images, read and written in place.
 *
 * Holes of sparse files stay until they are written; discard punches new ones. The last sector of an image whose size is
 * no multiple of 512 is padded with zeros, and the file grows to the multiple once it is written. */
#include "frontends/host/block_format.h"

#include <errno.h>
#include <string.h>

static bool raw_open(struct block_image *image, struct error *err)
{
    (void)err;
    image->size = image->file->size;
    return true;
}

static void raw_close(struct block_image *image)
{
    (void)image;
}

/* Map is asked for every read: looking for holes would cost more than reading them, so that is status' work. */
static bool raw_map(struct block_image *image, uint64_t offset, uint64_t size, struct block_extent *extent)
{
    *extent = (struct block_extent){EXTENT_DATA, true, image->file, offset, size};
    return true;
}

static enum zero_result raw_zero(struct block_image *image, uint64_t offset, uint64_t size, bool discard, uint64_t *done)
{
    uint64_t hole_end = 0;

    *done = size;
    (void)discard;
    if (host_file_is_hole(image->file, offset, &hole_end) && hole_end > offset) {
        *done = hole_end - offset < size ? hole_end - offset : size;
        return ZERO_DONE;
    }
    return host_file_punch(image->file, offset, size) ? ZERO_DONE : ZERO_UNABLE;
}

static bool raw_flush(struct block_image *image)
{
    return host_file_sync(image->file) || block_host_error(image, "cannot flush");
}

static bool raw_resize(struct block_image *image, uint64_t size, struct error *err)
{
    if (!host_file_resize(image->file, size)) {
        error_set(err, "cannot resize '%s': %s", image->path, strerror(errno));
        return error_hint(err, "look at the space that is left with: df .");
    }
    image->size = size;
    return true;
}

static bool raw_create(const char *path, const struct block_create *create, struct error *err)
{
    struct create_options options;

    if (!create_options_parse(&options, create->options, "raw", err) || !create_options_done(&options, "raw", err)) {
        return false;
    }
    struct host_file *file = host_file_create(path, err);
    if (file == NULL) {
        return false;
    }
    bool is_done = host_file_resize(file, create->size);
    if (!is_done) {
        error_set(err, "cannot give '%s' %llu bytes: %s", path, (unsigned long long)create->size, strerror(errno));
        error_hint(err, "choose a smaller size or another file system");
    }
    host_file_close(file);
    return is_done;
}

const struct block_driver block_raw_driver = {
    .name = "raw",
    .content = CONTENT_DISK,
    .create_options = "",
    .open = raw_open,
    .close = raw_close,
    .map = raw_map,
    .zero = raw_zero,
    .flush = raw_flush,
    .resize = raw_resize,
    .create = raw_create,
};
