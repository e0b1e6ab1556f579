/* block.c - opens disk images and the images under them: picks the driver by name or content, checks ranges, adds the
 * overlay of -snapshot. */
#define _DEFAULT_SOURCE
#include "frontends/host/block_format.h"
#include "frontends/host/block_probe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Every format there is; a new one is one file and one row here. */
static const struct block_driver *const drivers[] = {&block_raw_driver,  &block_qcow2_driver, &block_vdi_driver,
                                                   &block_vhd_driver,  &block_vhdx_driver,  &block_vmdk_driver,
                                                   &block_ova_driver};

enum { DRIVERS = sizeof drivers / sizeof drivers[0], DEPTH_MAX = 200 };

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
                                  : node_read(image, sector * SECTOR_SIZE, (uint64_t)count * SECTOR_SIZE, bytes);
}

static void say(struct block_image *image, const char *text)
{
    if (image->options.log != NULL) {
        image->options.log(image->options.log_context, text);
    } else {
        fprintf(stderr, "tick86: %s\n", text);
    }
}

/* An image that is raw because nothing else was recognised must not become something else by what its guest writes: at the
 * next start a guest could name any file of the host as its parent. */
static bool check_headers(struct block_image *image, uint64_t sector, uint32_t count, const uint8_t *bytes)
{
    bool is_head = sector == 0 && count != 0 && block_is_format_header(bytes);
    bool is_tail = count != 0 && sector + count == image->backend.sectors &&
                   block_is_format_footer(bytes + (size_t)(count - 1) * SECTOR_SIZE);

    if (!is_head && !is_tail) {
        return true;
    }
    if (!image->has_refused) { /* a drive tries again */
        char text[640];
        snprintf(text, sizeof text, "disk image '%.400s' is raw only because it was not recognised, so the guest may not write "
                 "the header of an image format to it (format=raw allows that)", image->path);
        say(image, text);
    }
    image->has_refused = true;
    return false;
}

static bool image_write(void *context, uint64_t sector, uint32_t count, const void *bytes)
{
    struct block_image *image = context;

    if (image->backend.is_readonly || !in_range(image, sector, count)) {
        return false;
    }
    if (image->overlay != NULL) {
        return overlay_write(image, sector, count, bytes);
    }
    if (image->is_probed && !check_headers(image, sector, count, bytes)) {
        return false;
    }
    return node_write(image, sector * SECTOR_SIZE, (uint64_t)count * SECTOR_SIZE, bytes) &&
           (image->options.cache != CACHE_WRITETHROUGH || block_flush(image));
}

static bool image_flush(void *context)
{
    struct block_image *image = context;

    return image->overlay != NULL || block_flush(image);
}

static bool image_discard(void *context, uint64_t sector, uint64_t count)
{
    struct block_image *image = context;

    if (image->backend.is_readonly || sector > image->backend.sectors || count > image->backend.sectors - sector) {
        return false;
    }
    if (image->overlay != NULL) {
        return overlay_zero(image, sector, count);
    }
    return node_zero(image, sector * SECTOR_SIZE, count * SECTOR_SIZE, true) &&
           (image->options.cache != CACHE_WRITETHROUGH || block_flush(image));
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
    say(image, text);
    return false;
}

bool block_corrupt(struct block_image *image, const char *format, ...)
{
    char text[640];
    va_list list;
    int length = snprintf(text, sizeof text, "disk image '%.300s' is damaged: ", image->path);

    va_start(list, format);
    vsnprintf(text + length, sizeof text - (size_t)length, format, list);
    va_end(list);
    if (!image->is_frozen) {
        say(image, text);
    }
    image->is_frozen = true;
    return false;
}

bool block_refuse(struct block_image *image, struct error *err, const char *hint, const char *format, ...)
{
    char text[300];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    error_set(err, "cannot open disk image '%.180s': %s", image->path, text);
    return error_hint(err, "%s", hint);
}

bool block_no_memory(const char *path, struct error *err)
{
    error_set(err, "cannot open disk image '%s': out of memory", path);
    return error_hint(err, "close other programs");
}

/* ---- Opening ---- */

const struct block_driver *block_find_driver(const char *format)
{
    for (size_t n = 0; n < DRIVERS; n++) {
        if (strcmp(drivers[n]->name, format) == 0 ||
            (drivers[n]->alias != NULL && strcmp(drivers[n]->alias, format) == 0)) {
            return drivers[n];
        }
    }
    return NULL;
}

const char *block_format_at(unsigned n, bool *can_create)
{
    *can_create = n < DRIVERS && drivers[n]->create != NULL;
    return n < DRIVERS ? drivers[n]->name : NULL;
}

const char *block_create_options(const char *format)
{
    const struct block_driver *driver = block_find_driver(format);

    return driver != NULL ? driver->create_options : NULL;
}

static bool unknown_format(const char *path, const char *format, struct error *err)
{
    char names[128] = "";

    for (size_t n = 0; n < DRIVERS; n++) {
        size_t length = strlen(names);
        snprintf(names + length, sizeof names - length, "%s%s", n != 0 ? ", " : "", drivers[n]->name);
    }
    error_set(err, "cannot open '%s': format %s is not supported", path, format);
    return error_hint(err, "formats: %s", names);
}

bool block_is_disk(enum file_content content)
{
    for (size_t n = 0; n < DRIVERS; n++) {
        if (drivers[n]->content == content) {
            return true;
        }
    }
    return false;
}

/* NULL with `err` set for what cannot be a disk; what is unreadable has it set. */
static const struct block_driver *driver_for(const char *path, enum file_content content, struct error *err)
{
    if (content == CONTENT_UNREADABLE) {
        return NULL;
    }
    for (size_t n = 0; n < DRIVERS; n++) {
        if (drivers[n]->content == content) {
            return drivers[n];
        }
    }
    if (content == CONTENT_COMPRESSED) {
        error_set(err, "cannot open disk image '%s': it is compressed", path);
        error_hint(err, "unpack it first");
        return NULL;
    }
    return &block_raw_driver; /* an image's raw bytes, whatever system is on it */
}

static const struct block_driver *find_driver(const char *path, const char *format, struct error *err)
{
    if (format != NULL) {
        const struct block_driver *driver = block_find_driver(format);
        if (driver == NULL) {
            unknown_format(path, format, err);
        }
        return driver;
    }
    return driver_for(path, block_probe(path, err), err);
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
        block_no_memory(path, err);
        return NULL;
    }
    memcpy(image->path, path, length);
    if (options != NULL) {
        image->options = *options;
    }
    image->is_clean = true;
    image->backend = (struct block_backend){image, 0, image->options.is_readonly,
                                             image_read, image_write, image_flush, image_discard};
    return image;
}

static void image_destroy(struct block_image *image)
{
    overlay_destroy(image->overlay);
    host_file_close(image->file);
    free(image->parent_name);
    free(image->parent_format);
    free(image->path);
    free(image);
}

static bool open_file(struct block_image *image, struct error *err)
{
    image->file = host_file_open(image->path, image->options.is_readonly, err);
    if (image->file == NULL) {
        return false;
    }
    image->file->is_unsafe = image->options.cache == CACHE_UNSAFE;
    if (image->file->is_readonly && !image->options.is_readonly) {
        snprintf(image->notice, sizeof image->notice,
                 "disk image '%.200s' is write-protected: opened read-only, what the guest writes fails", image->path);
    }
    image->backend.is_readonly = image->file->is_readonly;
    return image->options.has_no_lock || host_file_lock(image->file, err);
}

struct block_image *node_open(const char *path, const struct block_options *options, unsigned depth, struct error *err)
{
    if (depth > DEPTH_MAX) {
        error_set(err, "cannot open disk image '%s': more than %d images under each other", path, DEPTH_MAX);
        error_hint(err, "is it its own parent? merge layers with: tick86-img commit");
        return NULL;
    }
    const struct block_driver *driver = find_driver(path, options != NULL ? options->format : NULL, err);
    struct block_image *image = driver != NULL ? image_create(path, options, err) : NULL;

    if (image == NULL) {
        return NULL;
    }
    image->driver = driver;
    image->is_probed = image->options.format == NULL && driver == &block_raw_driver;
    if (!open_file(image, err) || !driver->open(image, err)) {
        image_destroy(image);
        return NULL;
    }
    image->backend.sectors = image->size / SECTOR_SIZE + (image->size % SECTOR_SIZE != 0);
    if (image->options.snapshot != NULL && driver->snapshot_count == NULL) {
        error_set(err, "disk image '%s' has no internal snapshots: format %s has none", path, driver->name);
        error_hint(err, "name a qcow2 image");
        node_close(image);
        return NULL;
    }
    if (image->parent == NULL && image->parent_name != NULL && !image->options.is_alone &&
        !node_open_parent(image, depth, err)) {
        node_close(image);
        return NULL;
    }
    if (image->parent != NULL && driver->adopted != NULL && !driver->adopted(image, err)) {
        node_close(image);
        return NULL;
    }
    if (!image->options.is_parent_unsafe && !layer_verify(image, false, err)) {
        node_close(image);
        return NULL;
    }
    return image;
}

struct block_image *node_open_part(const char *path, uint64_t base, uint64_t size, const struct block_options *options,
                                   struct error *err)
{
    struct host_file *file = host_file_open_part(path, base, size, err);
    const struct block_driver *driver = file != NULL ? driver_for(path, block_probe_file(file, err), err) : NULL;
    struct block_image *image = driver != NULL ? image_create(path, options, err) : NULL;

    if (image == NULL) {
        host_file_close(file);
        return NULL;
    }
    image->driver = driver;
    image->file = file;
    image->backend.is_readonly = true;
    if (driver == &block_ova_driver || !driver->open(image, err)) { /* no archives in archives */
        if (err->message[0] == '\0') {
            block_refuse(image, err, "unpack it", "an archive in an archive");
        }
        image_destroy(image);
        return NULL;
    }
    if (image->parent_name != NULL) {
        block_refuse(image, err, "export the appliance again with one disk", "its disk is a layer over another");
        node_close(image);
        return NULL;
    }
    image->backend.sectors = image->size / SECTOR_SIZE + (image->size % SECTOR_SIZE != 0);
    return image;
}

bool block_parent_path(const struct block_image *image, char *path, unsigned size, struct error *err)
{
    const char *name = image->parent_name;

    if (strncmp(name, "json:", 5) == 0 || strstr(name, "://") != NULL) {
        error_set(err, "the parent of '%s' is '%.200s', which is not a file", image->path, name);
        return error_hint(err, "give it a file as parent: tick86-img rebase -u -b FILE %s", image->path);
    }
    if (!block_resolve(image->path, name, path, size)) {
        error_set(err, "the name of the parent of '%s' is too long", image->path);
        return error_hint(err, "give it another: tick86-img rebase -u -b FILE %s", image->path);
    }
    return true;
}

bool node_open_parent(struct block_image *image, unsigned depth, struct error *err)
{
    char path[4096];
    struct block_options options = {.is_readonly = true,
                                    .format = image->parent_format,
                                    .has_no_lock = image->options.has_no_lock,
                                    .is_parent_unsafe = image->options.is_parent_unsafe,
                                    .log = image->options.log,
                                    .log_context = image->options.log_context};
    struct error why = {"", ""};

    if (!block_parent_path(image, path, sizeof path, err)) {
        return false;
    }
    image->parent = node_open(path, &options, depth + 1, &why);
    if (image->parent == NULL) {
        error_set(err, "cannot open the parent of '%s': %.300s", image->path, why.message);
        return error_hint(err, "%s", why.hint);
    }
    return true;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* -drive overlay=FILE: the layer takes the place of the image, whose path it names as its parent. */
static struct block_backend *open_layer(const char *path, const struct block_options *options, struct error *err)
{
    struct block_options layer = *options;
    struct stat st;
    char parent[4096];

    if (stat(options->overlay, &st) != 0) {
        char *absolute = realpath(path, NULL);
        struct block_create create = {.format = "qcow2", .parent = absolute, .parent_format = options->format};
        bool is_made = absolute != NULL ? block_create(options->overlay, &create, err)
                                        : node_open(path, options, 0, err) != NULL; /* says why it cannot */
        free(absolute);
        if (!is_made) {
            return NULL;
        }
    }
    layer.overlay = NULL;
    layer.format = NULL;
    struct block_backend *backend = block_open(options->overlay, &layer, err);
    struct block_image *image = backend != NULL ? block_image_of(backend) : NULL;
    if (image == NULL) {
        return NULL;
    }
    if (image->parent_name == NULL || !block_parent_path(image, parent, sizeof parent, err) ||
        !is_same_file(parent, path)) {
        error_set(err, "'%.200s' is not a layer over '%.200s'", options->overlay, path);
        error_hint(err, "look with: tick86-img info %s; a name of a new file makes a new layer", options->overlay);
        block_close(backend);
        return NULL;
    }
    return backend;
}

struct block_backend *block_open(const char *path, const struct block_options *options, struct error *err)
{
    if (options != NULL && options->overlay != NULL) {
        return open_layer(path, options, err);
    }
    struct block_options below = options != NULL ? *options : (struct block_options){0};
    bool is_readonly = below.is_readonly;
    below.is_readonly = is_readonly || below.is_snapshot; /* the image itself */
    struct block_image *image = node_open(path, &below, 0, err);
    if (image == NULL || !below.is_snapshot) {
        return image != NULL ? &image->backend : NULL;
    }
    image->overlay = overlay_create(err);
    if (image->overlay == NULL) {
        node_close(image);
        return NULL;
    }
    image->notice[0] = '\0';
    image->backend.is_readonly = is_readonly;
    return &image->backend;
}

struct block_backend *block_open_empty(struct error *err)
{
    struct block_image *image = image_create("", NULL, err);

    if (image == NULL) {
        return NULL;
    }
    image->backend = (struct block_backend){image, 0, true, empty_read, empty_write, empty_flush, NULL};
    return &image->backend;
}

bool node_close(struct block_image *image)
{
    bool is_flushed = true;

    if (image->driver != NULL) {
        is_flushed = image->overlay != NULL || block_flush(image);
        image->driver->close(image);
    }
    if (image->parent != NULL) {
        node_close(image->parent);
    }
    image_destroy(image);
    return is_flushed;
}

bool block_close(struct block_backend *backend)
{
    return backend == NULL || node_close(backend->context);
}

const char *block_notice(const struct block_backend *backend)
{
    const struct block_image *image = backend->context;

    return image->notice[0] != '\0' ? image->notice : NULL;
}

bool block_view_snapshot(struct block_backend *backend, const char *name, struct error *err)
{
    struct block_image *image = backend->context;
    struct block_options options = image->options;

    options.snapshot = name;
    options.is_readonly = true;
    struct block_image *view = node_open(image->path, &options, 0, err);
    if (view == NULL) {
        return false;
    }
    if (view->backend.sectors != image->backend.sectors) {
        node_close(view);
        error_set(err, "snapshot '%s' of '%s' has another size", name, image->path);
        return error_hint(err, "it was made before the image was resized");
    }
    /* The image under the overlay changes places with the view. */
    void *state = image->state;
    const struct block_driver *driver = image->driver;
    struct host_file *file = image->file;
    struct block_image *parent = image->parent;
    image->state = view->state;
    image->driver = view->driver;
    image->file = view->file;
    image->parent = view->parent;
    view->state = state;
    view->driver = driver;
    view->file = file;
    view->parent = parent;
    return node_close(view);
}
