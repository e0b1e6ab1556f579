/* copy.c - tick86-img convert, compare, commit and diff: reading one image and writing or comparing another. */
#include "frontends/img/img.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 20 };

static bool is_zero(const uint8_t *bytes, uint64_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, (size_t)size - 1) == 0);
}

static bool shows_zeros(const struct block_status *status)
{
    return status->kind == EXTENT_ZERO || status->kind == EXTENT_PARENT;
}

static bool read_padded(struct block_image *image, uint64_t offset, uint64_t size, uint8_t *bytes)
{
    uint64_t present = image != NULL ? block_size(image) : 0, inside = offset < present ? present - offset : 0;

    inside = inside < size ? inside : size;
    memset(bytes + inside, 0, (size_t)(size - inside));
    return inside == 0 || block_read(image, offset, inside, bytes);
}

/* The status of what is there, zeros behind the end. */
static bool status_padded(struct block_image *image, uint64_t offset, uint64_t size, struct block_status *status)
{
    uint64_t present = block_size(image);

    if (offset >= present) {
        *status = (struct block_status){EXTENT_ZERO, size, 0, false, 0, NULL};
        return true;
    }
    return block_status(image, offset, size < present - offset ? size : present - offset, status);
}

/* ---- convert and diff ---- */

struct copy {
    struct img_arguments *arguments;
    struct block_image *from, *to;
    struct block_image *under; /* what `to` shows where it is not written; NULL: zeros */
    uint64_t grain;            /* zeros and equal data are left out in pieces of this */
    bool is_packed, is_over;   /* compress; `to` has old content everywhere */
    uint8_t *bytes, *other;
};

/* Writes a piece, leaving out what `to` shows anyway. */
static bool put(struct copy *c, uint64_t at, uint64_t size)
{
    bool is_supported = true;

    if (c->under != NULL && !read_padded(c->under, at, size, c->other)) {
        return false;
    }
    for (uint64_t from = 0, part = 0; from < size; from += part) {
        bool first = true, is_same = false;
        part = 0;
        while (from + part < size) { /* a run of grains of one kind */
            uint64_t length = size - from - part < c->grain ? size - from - part : c->grain;
            const uint8_t *bytes = c->bytes + from + part;
            bool same = c->under != NULL ? memcmp(bytes, c->other + from + part, (size_t)length) == 0
                                         : is_zero(bytes, length);
            if (!first && (same != is_same || c->is_packed)) {
                break;
            }
            is_same = same;
            first = false;
            part += length;
        }
        bool is_done = true;
        if (is_same && c->is_over) {
            is_done = block_zero(c->to, at + from, part, true);
        } else if (!is_same && c->is_packed) {
            is_done = block_write_packed(c->to, at + from, part, c->bytes + from, &is_supported);
        } else if (!is_same) {
            is_done = block_write(c->to, at + from, part, c->bytes + from);
        }
        if (!is_supported) {
            error_set(&c->arguments->err, "format %s has no compression", block_format_name(c->to));
            error_hint(&c->arguments->err, "leave -c out, or write qcow2");
        }
        if (!is_done) {
            return false;
        }
    }
    return true;
}

static bool copy_all(struct copy *c)
{
    uint64_t end = block_size(c->from), end_to = block_size(c->to);
    struct img_progress progress;
    struct block_status status;

    if (end_to < end) {
        error_set(&c->arguments->err, "'%s' is smaller than '%s'", block_path(c->to), block_path(c->from));
        return error_hint(&c->arguments->err, "make it larger: tick86-img resize");
    }
    img_progress_begin(&progress, c->arguments, end_to);
    for (uint64_t at = 0; at < end_to;) {
        if (!status_padded(c->from, at, end_to - at, &status)) {
            return false;
        }
        uint64_t size = status.size < PIECE ? status.size : PIECE;
        if (shows_zeros(&status) && c->under == NULL) { /* large steps over nothing */
            uint64_t whole = status.size / c->grain * c->grain;
            if (whole != 0 && at % c->grain == 0) {
                if (c->is_over && !block_zero(c->to, at, whole, true)) {
                    return false;
                }
                at += whole;
                img_progress_at(&progress, at);
                continue;
            }
        }
        size = PIECE - at % c->grain < end_to - at ? PIECE - at % c->grain : end_to - at; /* whole grains */
        if (!read_padded(c->from, at, size, c->bytes) || !put(c, at, size)) {
            return false;
        }
        at += size;
        img_progress_at(&progress, at);
    }
    img_progress_end(&progress);
    return true;
}

/* Opens what is to be copied; -l names a snapshot, as NAME or snapshot.name=NAME. */
static struct block_image *open_source(struct img_arguments *arguments, const char *path)
{
    const char *snapshot = arguments->value['l'];
    struct block_options options = {.is_readonly = true,
                                    .format = arguments->value['f'],
                                    .has_no_lock = arguments->value['U'] != NULL};

    if (snapshot == NULL) {
        return img_open(arguments, path, arguments->value['f'], true, false);
    }
    options.snapshot = strncmp(snapshot, "snapshot.", 9) == 0 && strchr(snapshot, '=') != NULL ? strchr(snapshot, '=') + 1
                                                                                                 : snapshot;
    struct block_backend *backend = block_open(path, &options, &arguments->err);
    return backend != NULL ? block_image_of(backend) : NULL;
}

static bool set_grain(struct copy *c, const char *text)
{
    uint64_t grain = 4096, cluster = block_cluster_size(c->to);

    if (text != NULL && (!img_parse_size(text, &grain, NULL) || grain % SECTOR_SIZE != 0 || grain > PIECE)) {
        error_set(&c->arguments->err, "-S does not take '%s'", text);
        return error_hint(&c->arguments->err, "a multiple of 512 up to 1M, or 0 to write zeros too");
    }
    if ((c->is_packed || c->under != NULL) && cluster != 0) {
        grain = cluster;
    }
    c->grain = grain == 0 ? PIECE : grain;
    c->bytes = malloc(PIECE > c->grain ? PIECE : (size_t)c->grain);
    c->other = malloc(PIECE > c->grain ? PIECE : (size_t)c->grain);
    if (c->bytes == NULL || c->other == NULL || c->grain > PIECE) {
        error_set(&c->arguments->err, "clusters of %" PRIu64 " bytes are too large for that", c->grain);
        return error_hint(&c->arguments->err, "use -o cluster_size=64K");
    }
    return true;
}

static int copy_to(struct copy *c, const char *path, const struct block_create *create, bool is_existing)
{
    struct img_arguments *arguments = c->arguments;
    char parent[4096];
    bool is_done = is_existing || block_create(path, create, &arguments->err);

    if (is_done) { /* alone: its parent is not needed for whole clusters, and is opened once, as `under` */
        c->to = img_open(arguments, path, is_existing ? arguments->value['O'] : create->format, false, create->parent == NULL);
        is_done = c->to != NULL;
    }
    if (is_done && create->parent != NULL) {
        is_done = block_resolve(path, create->parent, parent, sizeof parent);
        c->under = is_done ? img_open(arguments, parent, create->parent_format, true, false) : NULL;
        is_done = c->under != NULL;
    }
    is_done = is_done && set_grain(c, arguments->value['S']) && copy_all(c);
    int status = is_done ? EXIT_DONE : img_fail(arguments);
    if (c->under != NULL) {
        img_close(arguments, c->under);
    }
    if (c->to != NULL && !img_close(arguments, c->to)) {
        status = EXIT_FAILED;
    }
    img_close(arguments, c->from);
    free(c->bytes);
    free(c->other);
    return status;
}

int img_convert(struct img_arguments *arguments)
{
    struct copy c = {.arguments = arguments, .is_packed = arguments->value['c'] != NULL};
    struct block_create create = {.format = arguments->value['O'] != NULL ? arguments->value['O'] : "raw",
                                  .parent = arguments->value['B'],
                                  .parent_format = arguments->value['F'],
                                  .options = arguments->value['o']};

    c.is_over = arguments->value['n'] != NULL;
    c.from = open_source(arguments, arguments->names[0]);
    if (c.from == NULL) {
        return img_fail(arguments);
    }
    create.size = block_size(c.from);
    return copy_to(&c, arguments->names[1], &create, c.is_over);
}

int img_diff(struct img_arguments *arguments)
{
    struct copy c = {.arguments = arguments};
    struct block_create create = {.format = "qcow2",
                                  .parent = arguments->names[0],
                                  .parent_format = arguments->value['f'],
                                  .options = arguments->value['o']};

    c.from = img_open(arguments, arguments->names[1], arguments->value['F'], true, false);
    if (c.from == NULL) {
        return img_fail(arguments);
    }
    create.size = block_size(c.from);
    return copy_to(&c, arguments->names[2], &create, false);
}

/* ---- compare ---- */

static bool is_allocated(const struct block_status *status)
{
    return status->kind != EXTENT_PARENT;
}

/* 0: the same, 1: different (printed), 2: failed. */
static int compare_piece(struct block_image *one, struct block_image *other, uint64_t at, uint64_t size, uint8_t *bytes,
                         uint8_t *others)
{
    if (!read_padded(one, at, size, bytes) || !read_padded(other, at, size, others)) {
        return 2;
    }
    if (memcmp(bytes, others, (size_t)size) == 0) {
        return 0;
    }
    uint64_t n = 0;
    while (bytes[n] == others[n]) {
        n++;
    }
    printf("Content mismatch at offset %" PRIu64 "!\n", at + n / SECTOR_SIZE * SECTOR_SIZE);
    return 1;
}

static int compare(struct img_arguments *arguments, struct block_image *one, struct block_image *other)
{
    uint64_t size_one = block_size(one), size_other = block_size(other);
    uint64_t end = size_one > size_other ? size_one : size_other;
    bool is_strict = arguments->value['s'] != NULL;
    uint8_t *bytes = malloc(PIECE), *others = malloc(PIECE);
    struct img_progress progress;
    int result = bytes != NULL && others != NULL ? 0 : 2;

    if (size_one != size_other) {
        printf(is_strict ? "Strict mode: Image size mismatch!\n" : "Warning: Image size mismatch!\n");
        result = is_strict ? 1 : result;
    }
    img_progress_begin(&progress, arguments, end);
    for (uint64_t at = 0; result == 0 && at < end;) {
        struct block_status a, b;
        if (!status_padded(one, at, end - at, &a) || !status_padded(other, at, end - at, &b)) {
            result = 2;
            break;
        }
        uint64_t size = a.size < b.size ? a.size : b.size;
        if (is_strict && is_allocated(&a) != is_allocated(&b)) {
            printf("Strict mode: Offset %" PRIu64 " allocation mismatch!\n", at);
            result = 1;
        } else if (!shows_zeros(&a) || !shows_zeros(&b)) {
            size = size < PIECE ? size : PIECE;
            result = compare_piece(one, other, at, size, bytes, others);
        }
        at += size;
        img_progress_at(&progress, at);
    }
    if (result == 0) {
        img_progress_end(&progress);
    }
    free(bytes);
    free(others);
    return result;
}

int img_compare(struct img_arguments *arguments)
{
    struct block_image *one = img_open(arguments, arguments->names[0], arguments->value['f'], true, false);
    struct block_image *other = one != NULL ? img_open(arguments, arguments->names[1], arguments->value['F'], true, false)
                                            : NULL;
    int result = one != NULL && other != NULL ? compare(arguments, one, other) : 2;

    if (result == 2) {
        img_fail(arguments);
    } else if (result == 0 && arguments->value['q'] == NULL) {
        printf("Images are identical.\n");
    }
    if (one != NULL) {
        img_close(arguments, one);
    }
    if (other != NULL) {
        img_close(arguments, other);
    }
    return result;
}

/* ---- commit ---- */

/* Copies what images above `base` have. */
static bool commit(struct img_arguments *arguments, struct block_image *layer, struct block_image *base, unsigned depth)
{
    uint8_t *bytes = malloc(PIECE);
    uint64_t end = block_size(layer);
    struct img_progress progress;
    bool is_done = bytes != NULL;

    if (is_done && end > block_size(base)) {
        is_done = block_resize(base, end, &arguments->err);
    }
    img_progress_begin(&progress, arguments, end);
    for (uint64_t at = 0; is_done && at < end;) {
        struct block_status status;
        is_done = block_status(layer, at, end - at, &status);
        uint64_t size = status.size;
        if (is_done && status.depth < depth && status.kind == EXTENT_ZERO) {
            is_done = block_zero(base, at, size, true);
        } else if (is_done && status.depth < depth && status.kind != EXTENT_PARENT) {
            size = size < PIECE ? size : PIECE;
            is_done = block_read(layer, at, size, bytes) && block_write(base, at, size, bytes);
        }
        at += size;
        img_progress_at(&progress, at);
    }
    free(bytes);
    if (is_done) {
        img_progress_end(&progress);
    }
    return is_done && block_flush(base);
}

/* How many images lie above `base` in the chain, and its format; 0: it is not in it. */
static unsigned find_base(struct block_image *layer, const char *base, char path[4096], const char **format)
{
    struct error err;
    unsigned depth = 1;

    for (struct block_image *image = layer; image != NULL && block_parent_name(image) != NULL; depth++) {
        if (!block_parent_path(image, path, 4096, &err)) {
            return 0;
        }
        *format = block_parent_format(image);
        if (base == NULL || strcmp(base, path) == 0 || strcmp(base, block_parent_name(image)) == 0) {
            return depth;
        }
        image = block_parent(image);
    }
    return 0;
}

int img_commit(struct img_arguments *arguments)
{
    const char *path = arguments->names[0], *format = NULL;
    char base_path[4096];
    bool keeps = arguments->value['d'] != NULL || arguments->value['b'] != NULL;

    /* The chain is read without its locks, since the base in it is locked for writing. */
    arguments->value['U'] = "";
    struct block_image *layer = img_open(arguments, path, arguments->value['f'], true, false);
    arguments->value['U'] = NULL;
    if (layer == NULL) {
        return img_fail(arguments);
    }
    unsigned depth = find_base(layer, arguments->value['b'], base_path, &format);
    if (depth == 0) {
        int status = img_fail_with(arguments, "look with: tick86-img info --backing-chain",
                                   arguments->value['b'] != NULL ? "'%s' is not over that base" : "'%s' has no parent", path);
        img_close(arguments, layer);
        return status;
    }
    /* Locked while its content moves; nobody may write to the layer either. */
    struct block_image *lock = img_open(arguments, path, arguments->value['f'], false, true);
    struct block_image *base = lock != NULL ? img_open(arguments, base_path, format, false, false) : NULL;
    bool is_done = base != NULL && commit(arguments, layer, base, depth);
    int status = is_done ? EXIT_DONE : img_fail(arguments);
    if (base != NULL && !img_close(arguments, base)) {
        status = EXIT_FAILED;
    }
    img_close(arguments, layer);
    if (status == EXIT_DONE && ((!keeps && !block_empty(lock, &arguments->err)) || !block_stamp_parent(lock, &arguments->err))) {
        status = img_fail(arguments);
    }
    if (lock != NULL && !img_close(arguments, lock)) {
        status = EXIT_FAILED;
    }
    if (status == EXIT_DONE && arguments->value['q'] == NULL) {
        printf("Image committed.\n");
    }
    return status;
}
