/* block_vhdx_log.c - VHDX: checksums, headers, and the log of a writer that did not come to its end.
 *
 * [MS-VHDX] 2.2.2 (headers), 2.3 (log). The log is a ring of entries; those of the current log GUID with consecutive
 * sequence numbers, from the tail that the newest entry names, are played back in order. Our own writes to the metadata are
 * single aligned words of the BAT after their data is on stable storage, so that we need no log. */
#include "frontends/host/block_vhdx.h"
#include "mem/space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DESCRIPTOR_BYTES = 32, ENTRY_HEADER = 64 };
#define LOG_MAX (UINT32_C(256) << 20)

uint32_t vhdx_crc(const uint8_t *bytes, size_t size, size_t field_at)
{
#if defined(TICK86_FUZZ) /* any checksum is right, so that the fuzzer gets behind it */
    (void)size;
    return load_le32(bytes + field_at);
#else
    uint32_t crc = UINT32_MAX;
    uint32_t table[256];

    for (uint32_t n = 0; n < 256; n++) {
        uint32_t c = n;
        for (unsigned bit = 0; bit < 8; bit++) {
            c = c >> 1 ^ (c & 1 ? UINT32_C(0x82f63b78) : 0);
        }
        table[n] = c;
    }
    for (size_t n = 0; n < size; n++) {
        uint8_t byte = n >= field_at && n < field_at + 4 ? 0 : bytes[n];
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xff];
    }
    return ~crc;
#endif
}

bool vhdx_write_header(struct block_image *image)
{
    struct vhdx *vhdx = image->state;

    vhdx->header_index ^= 1;
    store_le64(vhdx->header + 8, load_le64(vhdx->header + 8) + 1);
    store_le32(vhdx->header + 4, vhdx_crc(vhdx->header, VHDX_HEADER_BYTES, 4));
    return (host_file_write(image->file, vhdx->header_index ? VHDX_HEADER_2 : VHDX_HEADER_1, vhdx->header,
                            VHDX_HEADER_BYTES) &&
            host_file_sync(image->file)) ||
           block_host_error(image, "cannot write the header of");
}

/* ---- The log ---- */

struct ring {
    const uint8_t *bytes; /* the whole ring */
    uint32_t size;
    const uint8_t *guid;
};

static void copy_ring(const struct ring *ring, uint32_t at, uint32_t size, uint8_t *out)
{
    uint32_t first = ring->size - at < size ? ring->size - at : size;

    memcpy(out, ring->bytes + at, first);
    memcpy(out + first, ring->bytes, size - first);
}

/* Checks the entry at `at` and its data sectors; its length, or 0. The entry, in one piece, goes to *entry. */
static uint32_t read_entry(const struct ring *ring, uint32_t at, uint8_t **entry)
{
    uint8_t head[ENTRY_HEADER];

    copy_ring(ring, at, ENTRY_HEADER, head);
    uint32_t length = load_le32(head + 8), count = load_le32(head + 24);
    if (memcmp(head, "loge", 4) != 0 || length < VHDX_LOG_SECTOR || length % VHDX_LOG_SECTOR != 0 || length > ring->size ||
        memcmp(head + 32, ring->guid, 16) != 0 || load_le64(head + 16) == 0 || count > length / DESCRIPTOR_BYTES) {
        return 0;
    }
    *entry = malloc(length);
    if (*entry == NULL) {
        return 0;
    }
    copy_ring(ring, at, length, *entry);
    uint64_t sequence = load_le64(head + 16);
    uint64_t data_at = (ENTRY_HEADER + (uint64_t)count * DESCRIPTOR_BYTES + VHDX_LOG_SECTOR - 1) / VHDX_LOG_SECTOR * VHDX_LOG_SECTOR;
    bool is_good = load_le32(head + 4) == vhdx_crc(*entry, length, 4);
    for (uint32_t n = 0; is_good && n < count; n++) {
        const uint8_t *descriptor = *entry + ENTRY_HEADER + n * DESCRIPTOR_BYTES;
        is_good = load_le64(descriptor + 24) == sequence && load_le64(descriptor + 16) % VHDX_LOG_SECTOR == 0;
        if (is_good && memcmp(descriptor, "desc", 4) == 0) {
            const uint8_t *data = *entry + data_at;
            data_at += VHDX_LOG_SECTOR;
            is_good = data_at <= length && memcmp(data, "data", 4) == 0 &&
                      load_le32(data + 4) == sequence >> 32 && load_le32(data + 4092) == (uint32_t)sequence;
        } else if (is_good) {
            is_good = memcmp(descriptor, "zero", 4) == 0;
        }
    }
    if (!is_good) {
        free(*entry);
        *entry = NULL;
        return 0;
    }
    return length;
}

/* The entries from `tail` on that follow each other; their count, and the sequence number of the last. */
static uint32_t follow(const struct ring *ring, uint32_t tail, uint32_t *last_tail, uint64_t *last_sequence)
{
    uint64_t expected = 0, walked = 0;
    uint32_t count = 0, at = tail;

    while (walked < ring->size) {
        uint8_t *entry = NULL;
        uint32_t length = read_entry(ring, at, &entry);
        if (length == 0) {
            break;
        }
        uint64_t sequence = load_le64(entry + 16);
        *last_tail = count == 0 || sequence == expected ? load_le32(entry + 12) : *last_tail;
        free(entry);
        if (count != 0 && sequence != expected) {
            break;
        }
        *last_sequence = sequence;
        expected = sequence + 1;
        count++;
        walked += length;
        at = (uint32_t)((at + (uint64_t)length) % ring->size);
    }
    return count;
}

/* The active sequence: the one with the highest number whose last entry's tail is its first entry. */
static bool find_sequence(const struct ring *ring, uint32_t *tail, uint32_t *count)
{
    uint64_t best = 0;

    for (uint32_t at = 0; at < ring->size; at += VHDX_LOG_SECTOR) {
        uint32_t last_tail = 0;
        uint64_t sequence = 0;
        uint32_t entries = memcmp(ring->bytes + at, "loge", 4) == 0 ? follow(ring, at, &last_tail, &sequence) : 0;
        if (entries != 0 && last_tail == at && sequence > best) {
            best = sequence;
            *tail = at;
            *count = entries;
        }
    }
    return best != 0;
}

static bool play_descriptor(struct block_image *image, const uint8_t *descriptor, const uint8_t **data)
{
    uint64_t offset = load_le64(descriptor + 16);
    uint8_t sector[VHDX_LOG_SECTOR];

    if (memcmp(descriptor, "zero", 4) == 0) {
        uint64_t length = load_le64(descriptor + 8);
        memset(sector, 0, sizeof sector);
        for (uint64_t at = 0; at < length && offset + at < image->file->size; at += sizeof sector) {
            if (!host_file_write(image->file, offset + at, sector, sizeof sector)) {
                return false;
            }
        }
        return length % VHDX_LOG_SECTOR == 0;
    }
    memcpy(sector, descriptor + 8, 8); /* leading bytes */
    memcpy(sector + 8, *data + 8, 4084);
    memcpy(sector + 4092, descriptor + 4, 4); /* trailing bytes */
    *data += VHDX_LOG_SECTOR;
    return host_file_write(image->file, offset, sector, sizeof sector);
}

static bool play(struct block_image *image, const struct ring *ring, uint32_t tail, uint32_t count)
{
    for (uint32_t n = 0, at = tail; n < count; n++) {
        uint8_t *entry = NULL;
        uint32_t length = read_entry(ring, at, &entry);
        if (length == 0) {
            return false;
        }
        uint32_t descriptors = load_le32(entry + 24);
        const uint8_t *data = entry + (ENTRY_HEADER + (size_t)descriptors * DESCRIPTOR_BYTES + VHDX_LOG_SECTOR - 1) /
                                          VHDX_LOG_SECTOR * VHDX_LOG_SECTOR;
        bool is_done = load_le64(entry + 48) <= image->file->size; /* flushed file offset: else the file was cut */
        for (uint32_t k = 0; is_done && k < descriptors; k++) {
            is_done = play_descriptor(image, entry + ENTRY_HEADER + k * DESCRIPTOR_BYTES, &data);
        }
        uint64_t last = load_le64(entry + 56); /* last file offset: at least that long */
        is_done = is_done && (last <= image->file->size || last > INT64_MAX || host_file_resize(image->file, last));
        free(entry);
        if (!is_done) {
            return false;
        }
        at = (uint32_t)((at + (uint64_t)length) % ring->size);
    }
    return host_file_sync(image->file);
}

bool vhdx_replay(struct block_image *image, struct error *err)
{
    struct vhdx *vhdx = image->state;
    struct ring ring = {NULL, load_le32(vhdx->header + 68), vhdx->header + 48};
    uint64_t offset = load_le64(vhdx->header + 72);
    uint32_t tail = 0, count = 0;

    if (is_all_zero(ring.guid, 16)) {
        return true;
    }
    if (ring.size == 0 || ring.size % (1 << 20) != 0 || ring.size > LOG_MAX || offset % (1 << 20) != 0 || offset == 0 ||
        offset > image->file->size || ring.size > image->file->size - offset) {
        return block_refuse(image, err, "use a backup", "its log is at an impossible place");
    }
    if (image->backend.is_readonly) {
        return block_refuse(image, err, "open it for writing once: tick86-img check --repair FILE",
                            "its log must be played back first");
    }
    uint8_t *bytes = malloc(ring.size);
    if (bytes == NULL || !host_file_read(image->file, offset, bytes, ring.size)) {
        free(bytes);
        return block_no_memory(image->path, err);
    }
    ring.bytes = bytes;
    bool is_done = !find_sequence(&ring, &tail, &count) || play(image, &ring, tail, count);
    free(bytes);
    if (!is_done) {
        return block_refuse(image, err, "look at the space that is left; otherwise use a backup",
                            "its log cannot be played back");
    }
    memset(vhdx->header + 48, 0, 16);
    vhdx->was_replayed = true;
    return vhdx_write_header(image) || block_refuse(image, err, "look at the space that is left", "%s", strerror(errno));
}
