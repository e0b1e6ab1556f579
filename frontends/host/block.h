/* block.h - disk images of the host as struct block_backend, and what files contain.
 *
 * block.c opens an image with the driver of its format, and the images under it; each format is one file with a struct
 * block_driver (block_format.h), chosen by name or by content. tick86-img works through the second half of this file. */
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
    CONTENT_OVF,        /* OVA archive or OVF descriptor of an appliance */
    CONTENT_COMPRESSED, /* gzip, bzip2, xz, zstd, zip, 7z */
    CONTENTS
};

/* What the file at `path` is. CONTENT_UNREADABLE sets `err` with a hint. */
enum file_content block_probe(const char *path, struct error *err);
/* "raw disk image", "qcow2 disk image", "Linux kernel (bzImage)"; never NULL. */
const char *block_content_name(enum file_content content);
/* Whether a disk of that content can be opened as it is. */
bool block_is_disk(enum file_content content);

enum block_cache {
    CACHE_WRITEBACK,    /* a guest's flush is the host's */
    CACHE_WRITETHROUGH, /* every write is flushed */
    CACHE_UNSAFE,       /* a flush does not reach the host's disk */
};

struct block_options {
    bool is_readonly;     /* never write; the guest's writes fail */
    bool is_snapshot;     /* the guest's writes are kept until block_close and the image is never written */
    const char *format;   /* "raw" and so on; NULL: told from the content */
    const char *overlay;  /* a qcow2 layer that takes the writes; created over the image when it does not exist */
    const char *snapshot; /* read-only view of this internal snapshot (name or number) */
    enum block_cache cache;
    unsigned disk;        /* which disk of an appliance, from 0 */
    bool is_alone;         /* do not open the images under it; what they hold reads as zeros */
    bool has_no_lock;      /* do not lock (qemu-img's -U) */
    bool is_parent_unsafe; /* accept a parent that changed since the layer was made */
    bool is_check;         /* opened for block_check: tolerate what that repairs */
    void (*log)(void *context, const char *text); /* host errors while running, one line; NULL: to stderr */
    void *log_context;
};

/* Opens a disk, floppy or CD image (`options` may be NULL). Writers take a lock, so that no two write one image. An image
 * that the host does not let us write is opened read-only, see block_notice. NULL with `err` set, always with a hint.
 * The caller ends with block_close. */
struct block_backend *block_open(const char *path, const struct block_options *options, struct error *err);
/* A drive without a medium: a backend of 0 sectors. NULL with `err` set when out of memory. */
struct block_backend *block_open_empty(struct error *err);
/* Flushes and closes. False when the last flush failed (reported through the log). NULL does nothing. */
bool block_close(struct block_backend *backend);
/* What the user should know about an image that was opened ("opened read-only: ..."), or NULL. */
const char *block_notice(const struct block_backend *backend);

/* ---- What -snapshot keeps ---- */

bool block_has_overlay(const struct block_backend *backend);
/* Calls `visit` for each piece that the guest wrote (only_new: since block_mark_overlay), in ascending order: 16 KiB at a byte offset, or less at the end (rounded up to
 * 4 KiB with zeros). */
typedef bool block_overlay_fn(void *context, uint64_t offset, uint32_t size, const uint8_t *bytes);
bool block_visit_overlay(struct block_backend *backend, bool only_new, block_overlay_fn *visit, void *context);
/* What is in the overlay by now is not new any more. */
void block_mark_overlay(struct block_backend *backend);
/* Forgets what the guest wrote. */
bool block_empty_overlay(struct block_backend *backend);
/* Under the overlay the image's internal snapshot shows. */
bool block_view_snapshot(struct block_backend *backend, const char *name, struct error *err);

/* ---- For tick86-img ---- */

struct block_image;
struct block_image *block_image_of(struct block_backend *backend);

/* All offsets and sizes are bytes, multiples of 512 except at the end. False: a host error, reported through the log. */
bool block_read(struct block_image *image, uint64_t offset, uint64_t size, void *bytes);
bool block_write(struct block_image *image, uint64_t offset, uint64_t size, const void *bytes);
/* Makes a range read as zeros, without taking space where the format can; `discard`: what is under it may show or not,
 * and space is given back to the host. */
bool block_zero(struct block_image *image, uint64_t offset, uint64_t size, bool discard);
/* Whole clusters, compressed. False with *is_supported false where the format has no compression. */
bool block_write_packed(struct block_image *image, uint64_t offset, uint64_t size, const void *bytes,
                        bool *is_supported);
bool block_flush(struct block_image *image);

enum extent_kind {
    EXTENT_PARENT, /* nothing in this image: what the parent has, or zeros */
    EXTENT_ZERO,   /* zeros, whatever the parent has */
    EXTENT_DATA,
    EXTENT_PACKED, /* compressed */
};

struct block_status {
    enum extent_kind kind; /* PARENT: in no image of the chain */
    uint64_t size;
    unsigned depth;        /* which image of the chain, 0: this one */
    bool has_offset;
    uint64_t offset;       /* in the file `path` */
    const char *path;
};

/* What the range that starts at `offset` is, through the chain. */
bool block_status(struct block_image *image, uint64_t offset, uint64_t size, struct block_status *status);
/* The same for this image alone (depth 0). */
bool block_status_alone(struct block_image *image, uint64_t offset, uint64_t size, struct block_status *status);

/* Key and value rows for `info`, in the order of output. */
enum block_info_kind { INFO_TEXT, INFO_NUMBER, INFO_FLAG };
struct block_info {
    struct {
        char key[40];
        char value[200];
        enum block_info_kind kind;
    } rows[24];
    unsigned count;
};

const char *block_format_name(const struct block_image *image);
const char *block_path(const struct block_image *image);
uint64_t block_size(const struct block_image *image);
uint32_t block_cluster_size(const struct block_image *image); /* 0: the format has none */
uint64_t block_host_size(const struct block_image *image);    /* bytes on the host's disk */
struct block_image *block_parent(struct block_image *image);  /* NULL: none, or not opened */
const char *block_parent_name(const struct block_image *image);   /* as in the image, or NULL */
const char *block_parent_format(const struct block_image *image); /* or NULL */
/* The parent's name resolved against the image's folder. */
bool block_parent_path(const struct block_image *image, char *path, unsigned size, struct error *err);
void block_info(struct block_image *image, struct block_info *info);

struct block_snapshot {
    char id[64];
    char name[256];
    uint64_t vm_state_bytes;
    uint64_t date_s; /* since 1970 */
    uint32_t date_ns;
    uint64_t vm_clock_ns;
    uint64_t disk_bytes;
};

enum snapshot_verb { SNAPSHOT_CREATE, SNAPSHOT_APPLY, SNAPSHOT_DELETE };

unsigned block_snapshot_count(const struct block_image *image);
void block_snapshot_get(const struct block_image *image, unsigned index, struct block_snapshot *snapshot);
/* `now_s` dates a new snapshot. */
bool block_snapshot(struct block_image *image, enum snapshot_verb verb, const char *name, uint64_t now_s,
                    struct error *err);

struct block_check {
    bool repair_leaks, repair_errors;
    void (*report)(void *context, const char *text); /* one line for each finding; NULL: none */
    void *context;
    uint64_t corruptions, leaks, corruptions_fixed, leaks_fixed;
    uint64_t clusters_used, clusters_total, clusters_packed;
    uint64_t image_end; /* bytes of the file that are in use */
};

/* False with `err` set when it could not be checked; findings are in `check`. */
bool block_check(struct block_image *image, struct block_check *check, struct error *err);
bool block_resize(struct block_image *image, uint64_t size, struct error *err);
bool block_can_check(const struct block_image *image);
/* Whether the parent is what the layer was made over, by its whole content; false with `err` set. */
bool block_verify_parent(struct block_image *image, struct error *err);
/* Accepts the parent as it is now. */
bool block_stamp_parent(struct block_image *image, struct error *err);
/* Forgets what the layer holds, where the format can. */
bool block_empty(struct block_image *image, struct error *err);
/* A parent's name as a path, seen from the image's folder. False when it is too long. */
bool block_resolve(const char *image_path, const char *name, char *path, unsigned size);
/* Names another parent without looking at data ("" or NULL: none). */
bool block_set_parent(struct block_image *image, const char *name, const char *format, struct error *err);

struct block_create {
    const char *format;
    uint64_t size;             /* bytes; 0 with a parent: its size */
    const char *parent;        /* or NULL */
    const char *parent_format; /* or NULL: told from its content */
    bool is_parent_unchecked;  /* the parent need not exist */
    const char *options;       /* "cluster_size=64K,compat=1.1", as qemu-img's -o; or NULL */
};

bool block_create(const char *path, const struct block_create *create, struct error *err);
/* The n-th format's name, NULL behind the last; `can_create`. */
const char *block_format_at(unsigned n, bool *can_create);
/* "cluster_size, compat, ..." of a format, or NULL. */
const char *block_create_options(const char *format);

#endif
