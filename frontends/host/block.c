/* block.c - opens disk images: picks the driver by name or content, checks ranges, adds the overlay of -snapshot.
 *
 * Not implemented: image formats other than raw (they are recognised and refused with what to do). */
#include "frontends/host/block_raw.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every format there is; a new one is one file and one row here. */
static const struct block_driver *const drivers[] = {&block_raw_driver};

/* ---- Backend functions: ranges are checked once, here ---- */

static bool in_range(const struct block_image *image, uint64_t sector, uint32_t count)
{
    return sector <= image->backend.sectors && count <= image->backend.sectors - sector;
}

static bool image_read(void *context, uint64_t sector, uint32_t count, void *bytes)
{
    struct block_image *image = context;

    if (!in_range(image, sector, count)) {
        return false;
    }
    return image->overlay != NULL ? overlay_read(image, sector, count, bytes)
                                  : image->driver->read(image, sector, count, bytes);
}

static bool image_write(void *context, uint64_t sector, uint32_t count, const void *bytes)
{
    struct block_image *image = context;

    if (image->backend.is_readonly || !in_range(image, sector, count)) {
        return false;
    }
    return image->overlay != NULL ? overlay_write(image, sector, count, bytes)
                                  : image->driver->write(image, sector, count, bytes);
}

static bool image_flush(void *context)
{
    struct block_image *image = context;

    return image->overlay != NULL || image->backend.is_readonly || image->driver->flush(image);
}

static bool empty_read(void *context, uint64_t sector, uint32_t count, void *bytes)
{
    (void)context, (void)sector, (void)count, (void)bytes;
    return false;
}

static bool empty_write(void *context, uint64_t sector, uint32_t count, const void *bytes)
{
    (void)context, (void)sector, (void)count, (void)bytes;
    return false;
}

static bool empty_flush(void *context)
{
    (void)context;
    return true;
}

bool block_host_error(struct block_image *image, const char *what)
{
    char text[640];

    snprintf(text, sizeof text, "%s disk image '%.400s': %s", what, image->path, strerror(errno));
    if (image->options.log != NULL) {
        image->options.log(image->options.log_context, text);
    } else {
        fprintf(stderr, "tick86: %s\n", text);
    }
    return false;
}

/* ---- Opening ---- */

static bool refuse_content(const char *path, enum file_content content, struct error *err)
{
    static const char *const convert[CONTENTS] = {
        [CONTENT_QCOW2] = "qcow2", [CONTENT_VDI] = "vdi",   [CONTENT_VMDK] = "vmdk",
        [CONTENT_VHD] = "vpc",     [CONTENT_VHDX] = "vhdx",
    };

    if (content == CONTENT_COMPRESSED) {
        error_set(err, "cannot open disk image '%s': it is compressed", path);
        return error_hint(err, "unpack it first");
    }
    error_set(err, "cannot open '%s': format %s is not supported yet", path, convert[content]);
    return error_hint(err, "convert it with: qemu-img convert -f %s -O raw %s disk.img", convert[content], path);
}

static const struct block_driver *find_driver(const char *path, const char *format, struct error *err)
{
    for (size_t n = 0; format != NULL && n < sizeof drivers / sizeof drivers[0]; n++) {
        if (strcmp(drivers[n]->name, format) == 0) {
            return drivers[n];
        }
    }
    if (format != NULL) {
        error_set(err, "cannot open '%s': format %s is not supported yet", path, format);
        error_hint(err, "formats: raw");
        return NULL;
    }
    enum file_content content = block_probe(path, err);
    for (size_t n = 0; n < sizeof drivers / sizeof drivers[0]; n++) {
        if (drivers[n]->content == content) {
            return drivers[n];
        }
    }
    switch (content) {
    case CONTENT_UNREADABLE: return NULL;
    case CONTENT_QCOW2:
    case CONTENT_VDI:
    case CONTENT_VMDK:
    case CONTENT_VHD:
    case CONTENT_VHDX:
    case CONTENT_COMPRESSED: refuse_content(path, content, err); return NULL;
    default: return &block_raw_driver; /* an image's raw bytes, whatever system is on it */
    }
}

static struct block_image *image_create(const char *path, const struct block_options *options, struct error *err)
{
    struct block_image *image = calloc(1, sizeof *image);
    size_t length = strlen(path) + 1;

    if (image != NULL) {
        image->path = malloc(length);
    }
    if (image == NULL || image->path == NULL) {
        free(image);
        error_set(err, "cannot open disk image '%s': out of memory", path);
        error_hint(err, "close other programs");
        return NULL;
    }
    memcpy(image->path, path, length);
    if (options != NULL) {
        image->options = *options;
    }
    image->backend = (struct block_backend){image, 0, image->options.is_readonly, image_read, image_write, image_flush};
    return image;
}

static void image_destroy(struct block_image *image)
{
    overlay_destroy(image->overlay);
    free(image->path);
    free(image);
}

struct block_backend *block_open(const char *path, const struct block_options *options, struct error *err)
{
    const struct block_driver *driver = find_driver(path, options != NULL ? options->format : NULL, err);
    struct block_image *image = driver != NULL ? image_create(path, options, err) : NULL;

    if (image == NULL) {
        return NULL;
    }
    image->driver = driver;
    if (image->options.is_snapshot) {
        bool is_readonly = image->options.is_readonly;
        image->overlay = overlay_create(err);
        image->options.is_readonly = true; /* the image itself */
        if (image->overlay == NULL || !driver->open(image, err)) {
            image_destroy(image);
            return NULL;
        }
        image->backend.is_readonly = is_readonly;
        return &image->backend;
    }
    if (!driver->open(image, err)) {
        image_destroy(image);
        return NULL;
    }
    return &image->backend;
}

struct block_backend *block_open_empty(struct error *err)
{
    struct block_image *image = image_create("", NULL, err);

    if (image == NULL) {
        return NULL;
    }
    image->backend = (struct block_backend){image, 0, true, empty_read, empty_write, empty_flush};
    return &image->backend;
}

void block_close(struct block_backend *backend)
{
    struct block_image *image = backend != NULL ? backend->context : NULL;

    if (image == NULL) {
        return;
    }
    if (image->driver != NULL) {
        image_flush(image);
        image->driver->close(image);
    }
    image_destroy(image);
}

const char *block_notice(const struct block_backend *backend)
{
    const struct block_image *image = backend->context;

    return image->notice[0] != '\0' ? image->notice : NULL;
}
