/* create.c - tick86-img create, resize, rebase. */
#include "frontends/img/img.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 20 };

int img_create(struct img_arguments *arguments)
{
    struct block_create create = {.format = "raw",
                                  .parent = arguments->value['b'],
                                  .parent_format = arguments->value['F'],
                                  .is_parent_unchecked = arguments->value['u'] != NULL,
                                  .options = arguments->value['o']};
    const char *path = arguments->names[0];

    create.format = arguments->value['f'] != NULL ? arguments->value['f'] : create.parent != NULL ? "qcow2" : "raw";
    if (arguments->count > 1 && !img_parse_size(arguments->names[1], &create.size, NULL)) {
        return img_fail_with(arguments, "write a number with K, M, G or T behind it", "'%s' is no size",
                             arguments->names[1]);
    }
    if (arguments->count == 1 && (create.parent == NULL || create.is_parent_unchecked)) {
        return img_fail_with(arguments, "tick86-img create FILE 2G", "no size for '%s'", path);
    }
    if (!block_create(path, &create, &arguments->err)) {
        return img_fail(arguments);
    }
    if (arguments->value['q'] == NULL) {
        struct block_image *image = img_open(arguments, path, create.format, true, true);
        if (image == NULL) {
            return img_fail(arguments);
        }
        printf("Created '%s', format %s, %" PRIu64 " bytes", path, create.format, block_size(image));
        printf(create.parent != NULL ? ", over '%s'\n" : "\n", create.parent);
        img_close(arguments, image);
    }
    return EXIT_DONE;
}

int img_resize(struct img_arguments *arguments)
{
    const char *path = arguments->names[0], *text = arguments->names[1];
    uint64_t size = 0;
    char sign = '\0';

    if (!img_parse_size(text, &size, &sign)) {
        return img_fail_with(arguments, "write 20G, +5G or -5G", "'%s' is no size", text);
    }
    struct block_image *image = img_open(arguments, path, arguments->value['f'], false, false);
    if (image == NULL) {
        return img_fail(arguments);
    }
    uint64_t old = block_size(image);
    size = sign == '+' ? old + size : sign == '-' ? (size < old ? old - size : 0) : size;
    bool is_done = false;
    if (size == 0) {
        img_fail_with(arguments, "name a larger size", "cannot resize '%s' to nothing", path);
    } else if (size < old && arguments->value[OPTION_SHRINK] == NULL) {
        img_fail_with(arguments, "with --shrink, once the guest's partitions and file systems end before that",
                      "making '%s' smaller loses what is behind the new end", path);
    } else {
        is_done = block_resize(image, size, &arguments->err);
        if (!is_done) {
            img_fail(arguments);
        }
    }
    if (!img_close(arguments, image) || !is_done) {
        return EXIT_FAILED;
    }
    if (arguments->value['q'] == NULL) {
        printf("Image resized.\n");
    }
    return EXIT_DONE;
}

/* ---- rebase ---- */

/* Reads what an image has there, and zeros behind its end or without an image. */
static bool read_padded(struct block_image *image, uint64_t offset, uint64_t size, uint8_t *bytes)
{
    uint64_t present = image != NULL ? block_size(image) : 0, inside = offset < present ? present - offset : 0;

    inside = inside < size ? inside : size;
    memset(bytes + inside, 0, (size_t)(size - inside));
    return inside == 0 || block_read(image, offset, inside, bytes);
}

/* Where the layer shows its parent and the new one has something else, the layer takes what the old one has. */
static bool copy_differences(struct img_arguments *arguments, struct block_image *layer, struct block_image *parent)
{
    uint8_t *old = malloc(PIECE), *new = malloc(PIECE);
    uint64_t end = block_size(layer), grain = block_cluster_size(layer) != 0 ? block_cluster_size(layer) : 65536;
    struct img_progress progress;
    struct block_status status;
    bool is_done = old != NULL && new != NULL;

    grain = grain < PIECE ? grain : PIECE;
    img_progress_begin(&progress, arguments, end);
    for (uint64_t at = 0; is_done && at < end;) {
        is_done = block_status_alone(layer, at, end - at, &status);
        if (is_done && status.kind != EXTENT_PARENT) {
            at += status.size;
            continue;
        }
        uint64_t size = status.size < PIECE ? status.size : PIECE;
        is_done = is_done && read_padded(layer, at, size, old) && read_padded(parent, at, size, new);
        for (uint64_t from = 0; is_done && from < size; from += grain) {
            uint64_t part = size - from < grain ? size - from : grain;
            if (memcmp(old + from, new + from, (size_t)part) != 0) {
                is_done = block_write(layer, at + from, part, old + from);
            }
        }
        at += size;
        img_progress_at(&progress, at);
    }
    if (is_done) {
        img_progress_end(&progress);
    }
    free(old);
    free(new);
    return is_done;
}

int img_rebase(struct img_arguments *arguments)
{
    const char *path = arguments->names[0], *parent_name = arguments->value['b'];
    bool is_unsafe = arguments->value['u'] != NULL;
    struct block_image *parent = NULL;
    char parent_path[4096];

    if (parent_name == NULL) {
        return img_fail_with(arguments, "name one with -b, or -b '' for none", "rebase '%s' on which parent?", path);
    }
    struct block_image *layer = img_open(arguments, path, arguments->value['f'], false, is_unsafe);
    if (layer == NULL) {
        return img_fail(arguments);
    }
    bool is_done = true;
    if (!is_unsafe && parent_name[0] != '\0') {
        is_done = block_resolve(path, parent_name, parent_path, sizeof parent_path);
        parent = is_done ? img_open(arguments, parent_path, arguments->value['F'], true, false) : NULL;
        is_done = parent != NULL;
    }
    is_done = is_done && (is_unsafe || copy_differences(arguments, layer, parent)) && block_flush(layer) &&
              block_set_parent(layer, parent_name, arguments->value['F'], &arguments->err);
    int status = is_done ? EXIT_DONE : img_fail(arguments);
    if (parent != NULL) {
        img_close(arguments, parent);
    }
    return img_close(arguments, layer) ? status : EXIT_FAILED;
}
