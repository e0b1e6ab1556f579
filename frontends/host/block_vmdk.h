/* block_vmdk.h - parts of the VMDK driver among themselves. */
#ifndef FRONTENDS_HOST_BLOCK_VMDK_H
#define FRONTENDS_HOST_BLOCK_VMDK_H

#include "frontends/host/block_format.h"

enum vmdk_kind { VMDK_FLAT, VMDK_SPARSE, VMDK_ZERO };

enum { VMDK_EXTENTS_MAX = 1024, VMDK_HEADER_BYTES = 512, VMDK_DESCRIPTOR_MAX = 1 << 20 };

struct vmdk_extent {
    enum vmdk_kind kind;
    struct host_file *file;
    bool is_owned;         /* the file is closed with the extent */
    uint64_t start, size;  /* on the disk, in bytes */
    uint64_t flat_offset;  /* in the file */
    /* Sparse ones. */
    uint64_t grain_size; /* bytes */
    uint32_t table_entries, directory_entries;
    uint64_t directory_offset, redundant_offset; /* redundant: 0: none */
    uint8_t *directory, *redundant;              /* as in the file */
    uint8_t **tables;                            /* grain tables, loaded when they are used */
    bool *is_dirty;                              /* of each table */
    bool is_directory_dirty, is_packed, has_zero_grains;
    uint64_t end; /* where the next grain goes */
};

struct vmdk {
    struct vmdk_extent *extents;
    unsigned count;
    char *descriptor;
    uint64_t cid_offset; /* of its eight digits in the file; 0: unknown */
    uint32_t cid, parent_cid;
    bool is_cid_new;
    char type[64];
    uint8_t *unpacked; /* the compressed grain that was read last */
    uint64_t unpacked_at;
    const struct vmdk_extent *unpacked_of;
};

/* ---- block_vmdk_descriptor.c ---- */
/* Takes apart vmdk->descriptor, which lies at `offset` in the image's file; opens the files of its extents when
 * `has_extents`. */
bool vmdk_read_descriptor(struct block_image *image, uint64_t offset, bool has_extents, struct error *err);
bool vmdk_create(const char *path, const struct block_create *create, struct error *err);

/* ---- block_vmdk.c ---- */
/* Reads the header and directory of a sparse extent; the offset and size of an embedded descriptor (0: none). */
bool vmdk_read_sparse(struct block_image *image, struct vmdk_extent *extent, uint64_t descriptor[2], struct error *err);

#endif
