/* block_manage.c - what tick86-img asks of images beyond reading and writing. */
#define _DEFAULT_SOURCE
#include "frontends/host/block_format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct block_image *block_image_of(struct block_backend *backend)
{
    return backend->context;
}

const char *block_format_name(const struct block_image *image)
{
    return image->driver->name;
}

const char *block_path(const struct block_image *image)
{
    return image->path;
}

uint64_t block_size(const struct block_image *image)
{
    return image->backend.sectors * SECTOR_SIZE;
}

uint32_t block_cluster_size(const struct block_image *image)
{
    return image->cluster_size;
}

uint64_t block_host_size(const struct block_image *image)
{
    return host_file_allocated(image->file);
}

struct block_image *block_parent(struct block_image *image)
{
    return image->parent;
}

const char *block_parent_name(const struct block_image *image)
{
    return image->parent_name;
}

const char *block_parent_format(const struct block_image *image)
{
    return image->parent_format;
}

void block_info(struct block_image *image, struct block_info *info)
{
    info->count = 0;
    if (image->driver->info != NULL) {
        image->driver->info(image, info);
    }
}

static bool cannot(const struct block_image *image, const char *what, const char *hint, struct error *err)
{
    error_set(err, "cannot %s '%s': format %s has no such thing", what, image->path, image->driver->name);
    return error_hint(err, "%s", hint);
}

static bool is_writable(const struct block_image *image, const char *what, struct error *err)
{
    if (!image->backend.is_readonly) {
        return true;
    }
    error_set(err, "cannot %s '%s': it is open read-only", what, image->path);
    return error_hint(err, "look at its permissions with: ls -l %s", image->path);
}

unsigned block_snapshot_count(const struct block_image *image)
{
    return image->driver->snapshot_count != NULL ? image->driver->snapshot_count(image) : 0;
}

void block_snapshot_get(const struct block_image *image, unsigned index, struct block_snapshot *snapshot)
{
    image->driver->snapshot_get(image, index, snapshot);
}

bool block_snapshot(struct block_image *image, enum snapshot_verb verb, const char *name, uint64_t now_s,
                    struct error *err)
{
    if (image->driver->snapshot == NULL) {
        return cannot(image, "make a snapshot in", "convert it to qcow2, or make a layer: tick86-img create -b", err);
    }
    if (!is_writable(image, "change the snapshots of", err)) {
        return false;
    }
    image->is_clean = false;
    return image->driver->snapshot(image, verb, name, now_s, err);
}

bool block_check(struct block_image *image, struct block_check *check, struct error *err)
{
    if (image->driver->check == NULL) {
        return cannot(image, "check", "it has no metadata that could be wrong", err);
    }
    if ((check->repair_errors || check->repair_leaks) && !is_writable(image, "repair", err)) {
        return false;
    }
    image->is_clean = image->is_clean && !check->repair_errors && !check->repair_leaks;
    return image->driver->check(image, check, err);
}

bool block_resize(struct block_image *image, uint64_t size, struct error *err)
{
    if (image->driver->resize == NULL) {
        return cannot(image, "resize", "convert it to another format", err);
    }
    if (!is_writable(image, "resize", err)) {
        return false;
    }
    uint64_t rounded = (size + SECTOR_SIZE - 1) / SECTOR_SIZE * SECTOR_SIZE;
    if (rounded < size || rounded > INT64_MAX) {
        error_set(err, "cannot resize '%s' to %llu bytes", image->path, (unsigned long long)size);
        return error_hint(err, "choose a smaller size");
    }
    image->is_clean = false;
    if (!image->driver->resize(image, rounded, err)) {
        return false;
    }
    image->backend.sectors = image->size / SECTOR_SIZE + (image->size % SECTOR_SIZE != 0);
    return true;
}

static char *copy_text(const char *text)
{
    size_t length = text != NULL ? strlen(text) + 1 : 0;
    char *copy = length != 0 ? malloc(length) : NULL;

    if (copy != NULL) {
        memcpy(copy, text, length);
    }
    return copy;
}

bool block_set_parent(struct block_image *image, const char *name, const char *format, struct error *err)
{
    bool has_name = name != NULL && name[0] != '\0';

    if (image->driver->write_parent == NULL) {
        return cannot(image, "change the parent of", "convert it to qcow2", err);
    }
    if (!is_writable(image, "change the parent of", err)) {
        return false;
    }
    if (image->parent != NULL) {
        node_close(image->parent);
        image->parent = NULL;
    }
    free(image->parent_name);
    free(image->parent_format);
    image->parent_name = copy_text(has_name ? name : NULL);
    image->parent_format = copy_text(has_name ? format : NULL);
    memset(image->parent_stamp, 0, sizeof image->parent_stamp);
    return has_name ? block_stamp_parent(image, err) : image->driver->write_parent(image, err);
}

bool block_stamp_parent(struct block_image *image, struct error *err)
{
    struct error why = {"", ""};

    if (image->parent_name == NULL || image->driver->write_parent == NULL || !is_writable(image, "change", err)) {
        return image->parent_name == NULL || image->driver->write_parent == NULL;
    }
    bool was_open = image->parent != NULL, was_unsafe = image->options.is_parent_unsafe;
    image->options.is_parent_unsafe = true;
    bool has_parent = was_open || node_open_parent(image, 0, &why); /* it may not be there yet */
    image->options.is_parent_unsafe = was_unsafe;
    memset(image->parent_stamp, 0, sizeof image->parent_stamp);
    bool is_done = !has_parent || layer_stamp(image->parent, image->parent_stamp, err);
    if (has_parent && image->parent_format == NULL) {
        image->parent_format = copy_text(image->parent->driver->name);
    }
    if (has_parent && !was_open) {
        node_close(image->parent);
        image->parent = NULL;
    }
    return is_done && image->driver->write_parent(image, err);
}

bool block_verify_parent(struct block_image *image, struct error *err)
{
    bool was_open = image->parent != NULL;

    if (image->parent_name == NULL || (!was_open && !node_open_parent(image, 0, err))) {
        return image->parent_name == NULL;
    }
    bool is_good = layer_verify(image, true, err);
    if (!was_open) {
        node_close(image->parent);
        image->parent = NULL;
    }
    return is_good;
}

bool block_can_check(const struct block_image *image)
{
    return image->driver->check != NULL;
}

bool block_empty(struct block_image *image, struct error *err)
{
    if (image->driver->empty == NULL) {
        return true; /* it goes on hiding its parent, with the same content */
    }
    image->is_clean = false;
    return is_writable(image, "empty", err) && image->driver->empty(image, err);
}

bool block_resolve(const char *image_path, const char *name, char *path, unsigned size)
{
    const char *slash = strrchr(image_path, '/');
    int folder = name[0] == '/' || slash == NULL ? 0 : (int)(slash - image_path) + 1;
    int length = snprintf(path, size, "%.*s%s", folder, image_path, name);

    return length >= 0 && (unsigned)length < size;
}

/* Opens the parent as the new image will see it, for its size. */
static bool look_at_parent(const char *path, struct block_create *create, struct error *err)
{
    char resolved[4096];
    struct block_options options = {.is_readonly = true, .format = create->parent_format};

    if (!block_resolve(path, create->parent, resolved, sizeof resolved)) {
        error_set(err, "the name of the parent is too long");
        return error_hint(err, "use a shorter one");
    }
    struct block_image *parent = node_open(resolved, &options, 1, err);
    if (parent == NULL) {
        return false;
    }
    create->size = create->size != 0 ? create->size : block_size(parent);
    create->parent_format = parent->driver->name;
    node_close(parent);
    return true;
}

bool block_create(const char *path, const struct block_create *create, struct error *err)
{
    struct block_create complete = *create;
    const struct block_driver *driver = block_find_driver(create->format);

    if (driver == NULL || driver->create == NULL) {
        char names[128] = "";
        bool can_create = false;
        const char *name = NULL;
        for (unsigned n = 0; (name = block_format_at(n, &can_create)) != NULL; n++) {
            size_t length = strlen(names);
            snprintf(names + length, sizeof names - length, "%s%s", can_create && n != 0 ? ", " : "",
                     can_create ? name : "");
        }
        error_set(err, "cannot create an image of format '%s'", create->format);
        return error_hint(err, "formats: %s", names);
    }
    if (create->parent != NULL && !driver->has_parents) {
        error_set(err, "format %s cannot have a parent", driver->name);
        return error_hint(err, "use qcow2: tick86-img create -f qcow2 -b %s FILE", create->parent);
    }
    if (create->parent != NULL && !create->is_parent_unchecked && !look_at_parent(path, &complete, err)) {
        return false;
    }
    complete.size = (complete.size + SECTOR_SIZE - 1) / SECTOR_SIZE * SECTOR_SIZE;
    if (complete.size == 0 || complete.size > INT64_MAX) {
        error_set(err, "cannot create '%s' of %llu bytes", path, (unsigned long long)create->size);
        return error_hint(err, "name a size: tick86-img create -f %s %s 2G", driver->name, path);
    }
    return driver->create(path, &complete, err);
}
