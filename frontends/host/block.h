/* block.h - disk images of the host as struct block_backend, and what files contain.
 *
 * block.c opens an image with the driver of its format and puts a throw-away overlay over it for -snapshot; each format
 * is one file with a struct block_driver (block_raw.c), chosen by name or by content. */
#ifndef FRONTENDS_HOST_BLOCK_H
#define FRONTENDS_HOST_BLOCK_H

#include "devices/backend.h"
#include "mem/error.h"

#include <stdbool.h>
#include <stdint.h>

/* What a file is, told from its content (floppy images from their size). */
enum file_content {
    CONTENT_UNREADABLE, /* no such file, not a file, or empty */
    CONTENT_DISK,       /* a partition table or boot sector, or nothing known: raw bytes */
    CONTENT_FLOPPY,     /* exactly the size of a floppy disk, 160K to 2.88M */
    CONTENT_ISO9660,    /* CD or DVD image, hybrid ones too */
    CONTENT_BZIMAGE,    /* Linux kernel */
    CONTENT_MULTIBOOT,  /* Multiboot 1 kernel */
    CONTENT_ELF,        /* any other ELF file */
    CONTENT_QCOW2,
    CONTENT_VDI,
    CONTENT_VMDK,
    CONTENT_VHD,
    CONTENT_VHDX,
    CONTENT_COMPRESSED, /* gzip, bzip2, xz, zstd, zip, 7z */
    CONTENTS
};

/* What the file at `path` is. CONTENT_UNREADABLE sets `err` with a hint. */
enum file_content block_probe(const char *path, struct error *err);
/* "raw disk image", "qcow2 disk image", "Linux kernel (bzImage)"; never NULL. */
const char *block_content_name(enum file_content content);

struct block_options {
    bool is_readonly;   /* never write; the guest's writes fail */
    bool is_snapshot;   /* the guest's writes are kept until block_close and the image is never written */
    const char *format; /* "raw" and so on; NULL: told from the content */
    void (*log)(void *context, const char *text); /* host errors while running, one line; NULL: to stderr */
    void *log_context;
};

/* Opens a disk, floppy or CD image (`options` may be NULL). Writers take a lock, so that no two write one image. An image
 * that the host does not let us write is opened read-only, see block_notice. NULL with `err` set, always with a hint.
 * The caller ends with block_close. */
struct block_backend *block_open(const char *path, const struct block_options *options, struct error *err);
/* A drive without a medium: a backend of 0 sectors. NULL with `err` set when out of memory. */
struct block_backend *block_open_empty(struct error *err);
/* Flushes and closes. NULL does nothing. */
void block_close(struct block_backend *backend);
/* What the user should know about an image that was opened ("opened read-only: ..."), or NULL. */
const char *block_notice(const struct block_backend *backend);

/* ---- For formats ---- */

struct block_overlay;

/* An open image. `backend` comes first, and its context is the image. */
struct block_image {
    struct block_backend backend;
    const struct block_driver *driver;
    void *state; /* the driver's */
    struct block_overlay *overlay;
    struct block_options options;
    char *path;
    char notice[320];
};

/* One image format. open sets image->state, image->backend.sectors and, where the host allows no more,
 * image->backend.is_readonly and image->notice; it honours options.is_readonly. The others get image->state. Ranges
 * are inside the image. */
struct block_driver {
    const char *name;
    enum file_content content;
    bool (*open)(struct block_image *image, struct error *err);
    bool (*read)(struct block_image *image, uint64_t sector, uint32_t count, void *bytes);
    bool (*write)(struct block_image *image, uint64_t sector, uint32_t count, const void *bytes);
    bool (*flush)(struct block_image *image);
    void (*close)(struct block_image *image);
};

/* Reports a host error on an open image, with errno's text. Always false. */
bool block_host_error(struct block_image *image, const char *what);

/* ---- block_overlay.c: writes that are thrown away ---- */

/* NULL with `err` set. */
struct block_overlay *overlay_create(struct error *err);
void overlay_destroy(struct block_overlay *overlay);
bool overlay_read(struct block_image *image, uint64_t sector, uint32_t count, void *bytes);
bool overlay_write(struct block_image *image, uint64_t sector, uint32_t count, const void *bytes);

#endif
