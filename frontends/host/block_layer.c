/* block_layer.c - layers notice that the image under them changed.
 *
 * A layer over a changed parent is silently corrupt: its clusters were written for other data around them. So a layer that
 * we make carries a stamp of its parent: a checksum of what a guest sees of it, its size, and the file's size and time of
 * modification. When the latter two still fit, the parent is taken as unchanged without reading it; otherwise the checksum
 * decides, so that a copied or touched parent is accepted and a written one refused.
 *
 * The checksum: for each 64 KiB piece that is not all zeros, CRC-32 and Adler-32 (RFC 1950, 1952) of the piece and its
 * number are mixed into a 64-bit word. Pieces of zeros do not count, so it does not depend on the parent's format. */
#include "frontends/host/block_format.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { PIECE = 65536 };

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash ^= word;
    hash *= UINT64_C(0x9e3779b97f4a7c15); /* 2^64 divided by the golden ratio: multiplicative hashing, Knuth vol. 3, 6.4 */
    return hash ^ hash >> 29;
}

static bool checksum(struct block_image *image, uint64_t *result)
{
    uint64_t end = image->backend.sectors * SECTOR_SIZE, hash = 0;
    uint8_t *piece = malloc(PIECE);
    bool is_done = piece != NULL;

    for (uint64_t at = 0; is_done && at < end;) {
        struct block_status status = {EXTENT_ZERO, 0, 0, false, 0, NULL};
        is_done = block_status(image, at, end - at, &status);
        bool is_zero = status.kind == EXTENT_ZERO || status.kind == EXTENT_PARENT;
        if (is_done && is_zero && status.size >= PIECE) {
            at += status.size / PIECE * PIECE;
            continue;
        }
        uint64_t size = end - at < PIECE ? end - at : PIECE;
        is_done = is_done && node_read(image, at, size, piece);
        if (is_done && !is_all_zero(piece, (size_t)size)) {
            memset(piece + size, 0, (size_t)(PIECE - size));
            uint64_t sums = (uint64_t)crc32(0, piece, PIECE) << 32 | adler32(1, piece, PIECE);
            hash = mix(mix(hash, at / PIECE + 1), sums);
        }
        at += size;
    }
    free(piece);
    *result = hash;
    return is_done;
}

bool layer_stamp(struct block_image *parent, uint64_t stamp[4], struct error *err)
{
    if (!checksum(parent, &stamp[0])) {
        error_set(err, "cannot read '%s' for its checksum", parent->path);
        return error_hint(err, "check the file; without a checksum: -o parent_checksum=off");
    }
    stamp[1] = parent->size;
    stamp[2] = host_file_mtime_ns(parent->file);
    stamp[3] = parent->file->size;
    return true;
}

bool layer_verify(struct block_image *image, bool is_thorough, struct error *err)
{
    const uint64_t *stamp = image->parent_stamp;
    struct block_image *parent = image->parent;
    uint64_t hash = 0;

    if (parent == NULL || (stamp[0] | stamp[1] | stamp[2] | stamp[3]) == 0) {
        return true;
    }
    if (!is_thorough && stamp[1] == parent->size && stamp[2] == host_file_mtime_ns(parent->file) &&
        stamp[3] == parent->file->size) {
        return true;
    }
    if (!checksum(parent, &hash)) {
        error_set(err, "cannot read '%s' for its checksum", parent->path);
        return error_hint(err, "check that the file can be read");
    }
    if (hash == stamp[0] && parent->size == stamp[1]) {
        return true;
    }
    error_set(err, "'%s' is a layer over '%s', which has changed since: its content would be wrong", image->path,
              parent->path);
    return error_hint(err, "restore the parent; to accept it as it is: tick86-img rebase -u -b PARENT LAYER");
}

/* ---- Names of parents that other programs wrote ---- */

bool layer_name_utf16(const uint8_t *bytes, size_t size, bool is_big, char *text, size_t capacity)
{
    size_t length = 0;

    for (size_t n = 0; n + 1 < size; n += 2) {
        uint32_t c = is_big ? load_be16(bytes + n) : (uint32_t)(bytes[n] | bytes[n + 1] << 8);
        if (c == 0) {
            break;
        }
        if ((c & 0xfc00) == 0xd800 || length + 4 > capacity) {
            return false; /* no characters beyond the first plane in names of files */
        }
        c = c == '\\' ? '/' : c;
        if (c < 0x80) {
            text[length++] = (char)c;
        } else if (c < 0x800) {
            text[length++] = (char)(0xc0 | c >> 6);
            text[length++] = (char)(0x80 | (c & 0x3f));
        } else {
            text[length++] = (char)(0xe0 | c >> 12);
            text[length++] = (char)(0x80 | (c >> 6 & 0x3f));
            text[length++] = (char)(0x80 | (c & 0x3f));
        }
    }
    text[length] = '\0';
    return length != 0;
}

bool layer_set_name(struct block_image *image, const char *name, const char *format, struct error *err)
{
    const char *slash = name[0] != '\0' && name[1] == ':' ? strrchr(name, '/') : NULL; /* C:/...: another machine */
    const char *base = slash != NULL ? slash + 1 : strncmp(name, "./", 2) == 0 ? name + 2 : name;

    free(image->parent_name);
    free(image->parent_format);
    image->parent_name = malloc(strlen(base) + 1);
    image->parent_format = malloc(strlen(format) + 1);
    if (image->parent_name == NULL || image->parent_format == NULL) {
        return block_no_memory(image->path, err);
    }
    memcpy(image->parent_name, base, strlen(base) + 1);
    memcpy(image->parent_format, format, strlen(format) + 1);
    return true;
}
