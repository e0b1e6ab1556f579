/* block_format.h - what an image format is to the block layer, and what the layer does for formats.
 *
 * A format answers where bytes are (map) and makes room for bytes (allocate); reading, chains of parents, range checks
 * and writing in place are written once, in block_io.c. Everything in a file is hostile input: a format checks lengths
 * before it allocates, offsets before it follows them, and calls block_corrupt where a table contradicts itself. */
#ifndef FRONTENDS_HOST_BLOCK_FORMAT_H
#define FRONTENDS_HOST_BLOCK_FORMAT_H

#include "frontends/host/block.h"
#include "frontends/host/block_file.h"

#include <stddef.h>

struct block_overlay;

/* An open image. `backend` comes first, and its context is the image. */
struct block_image {
    struct block_backend backend;
    const struct block_driver *driver;
    void *state; /* the driver's */
    struct host_file *file;
    struct block_image *parent; /* owned */
    struct block_overlay *overlay;
    struct block_options options;
    uint64_t size;         /* as the guest sees it, in bytes; may be no multiple of 512 for raw files */
    uint32_t cluster_size; /* 0: none */
    bool is_probed;        /* raw only because nothing else was recognised */
    bool has_refused;      /* a header that a guest would have written; said once */
    bool is_clean;         /* nothing was written since the last flush */
    bool is_frozen;        /* the driver found the image corrupt: no more writes */
    char *path;
    char *parent_name;   /* as written in the image, NULL: none */
    char *parent_format; /* NULL: not written there */
    uint64_t parent_stamp[4]; /* what the parent was when the layer was made, see block_layer.c; all 0: unknown */
    char notice[320];
};

struct block_extent {
    enum extent_kind kind;
    bool is_writable; /* DATA: may be overwritten in place */
    struct host_file *file;
    uint64_t offset;
    uint64_t size;
};

enum zero_result { ZERO_DONE, ZERO_UNABLE, ZERO_FAILED };

/* One image format. `open` finds image->file open and sets image->state, size and cluster_size. Ranges given to the others
 * are inside the image. NULL members are what the format cannot do. */
struct block_driver {
    const char *name;
    const char *alias; /* another name ("vpc" for vhd), or NULL */
    enum file_content content;
    const char *create_options; /* names, for error texts */
    bool has_parents;
    bool (*open)(struct block_image *image, struct error *err);
    /* The parent is open now: is it the right one? */
    bool (*adopted)(struct block_image *image, struct error *err);
    void (*close)(struct block_image *image);
    /* Where the bytes at `offset` are; extent->size is at least 1 (at most `size`, or the whole rest of a PACKED cluster). */
    bool (*map)(struct block_image *image, uint64_t offset, uint64_t size, struct block_extent *extent);
    bool (*read_packed)(struct block_image *image, uint64_t offset, uint64_t size, void *bytes);
    /* Writes where map said not writable; sets *done > 0. */
    bool (*allocate)(struct block_image *image, uint64_t offset, uint64_t size, const uint8_t *bytes, uint64_t *done);
    /* Makes the beginning of a range read as zeros, sets *done > 0; UNABLE: *done bytes must be written as zeros. */
    enum zero_result (*zero)(struct block_image *image, uint64_t offset, uint64_t size, bool discard, uint64_t *done);
    /* One whole cluster (or the last part of the disk). */
    bool (*write_packed)(struct block_image *image, uint64_t offset, uint64_t size, const uint8_t *bytes);
    /* Brings metadata and data to stable storage; is_final: at close. */
    bool (*flush)(struct block_image *image);
    void (*info)(struct block_image *image, struct block_info *info);
    unsigned (*snapshot_count)(const struct block_image *image);
    void (*snapshot_get)(const struct block_image *image, unsigned index, struct block_snapshot *snapshot);
    bool (*snapshot)(struct block_image *image, enum snapshot_verb verb, const char *name, uint64_t now_s,
                     struct error *err);
    bool (*check)(struct block_image *image, struct block_check *check, struct error *err);
    bool (*resize)(struct block_image *image, uint64_t size, struct error *err);
    /* Writes image->parent_name, parent_format and parent_stamp to the file. */
    bool (*write_parent)(struct block_image *image, struct error *err);
    /* Forgets all content, so that the parent shows everywhere. */
    bool (*empty)(struct block_image *image, struct error *err);
    bool (*create)(const char *path, const struct block_create *create, struct error *err);
};

extern const struct block_driver block_raw_driver, block_qcow2_driver, block_vdi_driver, block_vhd_driver,
    block_vhdx_driver, block_vmdk_driver, block_ova_driver;

/* Reports a host error on an open image, with errno's text. Always false. */
bool block_host_error(struct block_image *image, const char *what);
/* Reports damage found while running. Always false. */
bool block_corrupt(struct block_image *image, const char *format, ...) PRINTF_LIKE(2, 3);
/* "cannot open disk image 'path': ..." with a hint. Always false. */
bool block_refuse(struct block_image *image, struct error *err, const char *hint, const char *format, ...)
    PRINTF_LIKE(4, 5);
bool block_no_memory(const char *path, struct error *err);

/* ---- block_io.c ---- */

/* Reads and writes through one image and its parents, without its overlay. */
bool node_read(struct block_image *image, uint64_t offset, uint64_t size, uint8_t *bytes);
bool node_write(struct block_image *image, uint64_t offset, uint64_t size, const uint8_t *bytes);
bool node_zero(struct block_image *image, uint64_t offset, uint64_t size, bool discard);
/* What the parent has there; zeros behind its end or without one. */
bool node_read_parent(struct block_image *image, uint64_t offset, uint64_t size, uint8_t *bytes);
/* A cluster that gets a place. */
struct block_cluster {
    struct host_file *file;
    uint64_t host;        /* where it goes in `file` */
    uint64_t start, size; /* on the disk */
    enum extent_kind old; /* what it was: PARENT, or ZERO */
};
/* Writes a new cluster: `bytes` at [offset, offset + size), around it what the parents have, or zeros. Behind the file's
 * end zeros need no writing. */
bool node_write_new(struct block_image *image, const struct block_cluster *cluster, uint64_t offset, uint64_t size,
                    const uint8_t *bytes);
/* A driver's `zero` for formats without better: holes in what is allocated. */
enum zero_result node_punch(struct block_image *image, uint64_t offset, uint64_t size, bool discard, uint64_t *done);
/* Whether nothing but zeros is under this image in that range, cheaply told. */
bool node_parent_is_zero(struct block_image *image, uint64_t offset, uint64_t size);
bool is_all_zero(const uint8_t *bytes, size_t size);

/* ---- block.c ---- */

/* Opens one image of a chain, `depth` images above it. */
struct block_image *node_open(const char *path, const struct block_options *options, unsigned depth, struct error *err);
/* The same for a part of a file, whose format is told from its content. */
struct block_image *node_open_part(const char *path, uint64_t base, uint64_t size, const struct block_options *options,
                                   struct error *err);
bool node_close(struct block_image *image);
/* Opens the parent that image->parent_name names. */
bool node_open_parent(struct block_image *image, unsigned depth, struct error *err);
const struct block_driver *block_find_driver(const char *format);

/* ---- block_options.c: "name=value,..." of create ---- */

struct create_options {
    struct {
        char name[40];
        char value[200];
        bool is_used;
    } rows[16];
    unsigned count;
};

bool create_options_parse(struct create_options *options, const char *text, const char *format, struct error *err);
/* The value, or NULL. Marks it as known. */
const char *create_options_get(struct create_options *options, const char *name);
bool create_options_size(struct create_options *options, const char *name, uint64_t *value, struct error *err);
bool create_options_flag(struct create_options *options, const char *name, bool *value, struct error *err);
/* False with `err` when there is one that nobody asked for. */
bool create_options_done(const struct create_options *options, const char *format, struct error *err);

/* ---- block_layer.c ---- */

/* What identifies a parent's content. */
bool layer_stamp(struct block_image *parent, uint64_t stamp[4], struct error *err);
/* False with `err` when image->parent is not what it was when image was made over it. */
bool layer_verify(struct block_image *image, bool is_thorough, struct error *err);
/* UTF-16 of either order to UTF-8, with / for \; false when it does not fit or is no text. */
bool layer_name_utf16(const uint8_t *bytes, size_t size, bool is_big, char *text, size_t capacity);
/* Names the parent by a path of any system: without its drive and folders when it is another machine's. */
bool layer_set_name(struct block_image *image, const char *name, const char *format, struct error *err);

/* ---- block_overlay.c: writes that are thrown away ---- */

/* NULL with `err` set. */
struct block_overlay *overlay_create(struct error *err);
void overlay_destroy(struct block_overlay *overlay);
bool overlay_read(struct block_image *image, uint64_t sector, uint32_t count, void *bytes);
bool overlay_write(struct block_image *image, uint64_t sector, uint32_t count, const void *bytes);
bool overlay_zero(struct block_image *image, uint64_t sector, uint64_t count);

/* ---- Byte order of formats that are big-endian; mem/space.h has the little ones ---- */

static inline uint16_t load_be16(const void *at)
{
    const uint8_t *b = at;
    return (uint16_t)(b[0] << 8 | b[1]);
}
static inline uint32_t load_be32(const void *at)
{
    const uint8_t *b = at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}
static inline uint64_t load_be64(const void *at)
{
    const uint8_t *b = at;
    return (uint64_t)load_be32(b) << 32 | load_be32(b + 4);
}
static inline void store_be16(void *at, uint16_t value)
{
    uint8_t *b = at;
    b[0] = (uint8_t)(value >> 8);
    b[1] = (uint8_t)value;
}
static inline void store_be32(void *at, uint32_t value)
{
    uint8_t *b = at;
    store_be16(b, (uint16_t)(value >> 16));
    store_be16(b + 2, (uint16_t)value);
}
static inline void store_be64(void *at, uint64_t value)
{
    uint8_t *b = at;
    store_be32(b, (uint32_t)(value >> 32));
    store_be32(b + 4, (uint32_t)value);
}

#endif
