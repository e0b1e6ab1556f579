/* block_vhdx.h - parts of the VHDX driver among themselves. */
#ifndef FRONTENDS_HOST_BLOCK_VHDX_H
#define FRONTENDS_HOST_BLOCK_VHDX_H

#include "frontends/host/block_format.h"

enum {
    VHDX_HEADER_BYTES = 4096,
    VHDX_HEADER_1 = 64 << 10,
    VHDX_HEADER_2 = 128 << 10,
    VHDX_REGIONS_1 = 192 << 10,
    VHDX_REGIONS_2 = 256 << 10,
    VHDX_REGION_BYTES = 64 << 10,
    VHDX_LOG_SECTOR = 4096,
};

struct vhdx {
    uint8_t header[VHDX_HEADER_BYTES]; /* the current one */
    unsigned header_index;             /* 0 or 1 */
    uint64_t bat_offset, metadata_offset;
    uint32_t bat_bytes, metadata_bytes;
    uint8_t *bat; /* as in the file */
    uint32_t block_size, sector_size;
    uint32_t chunk_ratio; /* payload blocks between two bitmap blocks in the BAT */
    uint64_t blocks;
    bool is_fixed, is_header_new; /* is_header_new: the header tells of this opening for writing */
    uint64_t dirty_from, dirty_to; /* bytes of the BAT */
    uint64_t end;                  /* where the next block goes */
    bool was_replayed;
    /* Differencing images. */
    bool is_layer;
    char linkages[2][48]; /* the parent's DataWriteGuid: as the locator has it, "{...}" or "" */
    uint8_t *bitmap;      /* of the chunk `bitmap_chunk` */
    uint64_t bitmap_chunk;
};

/* CRC-32C (Castagnoli), as iSCSI has it (RFC 3720, B.4). */
uint32_t vhdx_crc(const uint8_t *bytes, size_t size, size_t field_at);
/* Plays the log back if there is one that was not. Refuses read-only images that need it. */
bool vhdx_replay(struct block_image *image, struct error *err);
/* Writes the header with the next sequence number to the other place. */
bool vhdx_write_header(struct block_image *image);
bool vhdx_create(const char *path, const struct block_create *create, struct error *err);

/* ---- block_vhdx_layer.c ---- */
/* Reads the parent locator, `size` bytes at `offset` in the file. */
bool vhdx_read_locator(struct block_image *image, uint64_t offset, uint32_t size, struct error *err);
bool vhdx_adopted(struct block_image *image, struct error *err);
/* The index in the BAT of the bitmap block of a chunk. */
uint64_t vhdx_bitmap_index(const struct vhdx *vhdx, uint64_t chunk);
/* Maps a part of a block of which only some sectors are here, at `host`. */
bool vhdx_map_partial(struct block_image *image, uint64_t block, uint64_t host, uint64_t inside,
                      struct block_extent *extent);
/* Puts the parent's sectors into such a block, which makes it a whole one. */
bool vhdx_complete(struct block_image *image, uint64_t block, uint64_t host);

#endif
