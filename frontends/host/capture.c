/* capture.c - pcapng files (draft-ietf-opsawg-pcapng): one section, one Ethernet interface, nanoseconds of guest time.
 *
 * What is written depends on the run alone: a replay writes the same file. */
#include "frontends/host/capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_SECTION = 0x0a0d0d0a,
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 6,
    BYTE_ORDER = 0x1a2b3c4d,
    LINK_ETHERNET = 1,
    SNAPLEN = 262144,
    OPTION_NAME = 2,
    OPTION_MAC = 6,
    OPTION_RESOLUTION = 9,
    OPTION_FLAGS = 2,
    FLAG_INBOUND = 1, /* to the card */
    FLAG_OUTBOUND = 2,
    BLOCK_MAX = 512
};

struct capture {
    FILE *file;
    bool has_failed;
};

/* A block under construction, little-endian. */
struct block {
    uint8_t bytes[BLOCK_MAX];
    size_t size;
};

static void put(struct block *block, const void *bytes, size_t size)
{
    memcpy(block->bytes + block->size, bytes, size);
    block->size += size;
    while (block->size % 4 != 0) {
        block->bytes[block->size++] = 0;
    }
}

static void put32(struct block *block, uint32_t value)
{
    uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};

    put(block, bytes, sizeof bytes);
}

static void put_option(struct block *block, unsigned code, const void *bytes, size_t size)
{
    put32(block, (uint32_t)code | (uint32_t)size << 16);
    put(block, bytes, size);
}

static void emit(struct capture *capture, const void *bytes, size_t size)
{
    capture->has_failed |= fwrite(bytes, 1, size, capture->file) != size;
}

/* Type, length, body, length. */
static void emit_block(struct capture *capture, uint32_t type, const struct block *body)
{
    struct block head = {.size = 0}, tail = {.size = 0};

    put32(&head, type);
    put32(&head, (uint32_t)body->size + 12);
    put32(&tail, (uint32_t)body->size + 12);
    emit(capture, head.bytes, head.size);
    emit(capture, body->bytes, body->size);
    emit(capture, tail.bytes, tail.size);
}

struct capture *capture_open(const char *path, const char *name, const uint8_t mac[6], struct error *err)
{
    struct block section = {.size = 0}, interface = {.size = 0};
    struct capture *capture = calloc(1, sizeof *capture);
    const uint8_t nanoseconds = 9;
    size_t length = strlen(name);

    if (capture == NULL || (capture->file = fopen(path, "wb")) == NULL) {
        error_set(err, "cannot write capture '%s': %s", path, strerror(errno));
        error_hint(err, "check that the folder exists and you may write there");
        free(capture);
        return NULL;
    }
    put32(&section, BYTE_ORDER);
    put32(&section, 1); /* version 1.0 */
    put32(&section, UINT32_MAX);
    put32(&section, UINT32_MAX); /* length of the section: not told */
    emit_block(capture, BLOCK_SECTION, &section);
    put32(&interface, LINK_ETHERNET);
    put32(&interface, SNAPLEN);
    put_option(&interface, OPTION_NAME, name, length < 64 ? length : 64);
    put_option(&interface, OPTION_MAC, mac, 6);
    put_option(&interface, OPTION_RESOLUTION, &nanoseconds, 1);
    put32(&interface, 0);
    emit_block(capture, BLOCK_INTERFACE, &interface);
    return capture;
}

void capture_frame(struct capture *capture, uint64_t time_ns, bool is_from_guest, const uint8_t *frame, size_t size)
{
    static const uint8_t zeros[4];
    struct block head = {.size = 0}, tail = {.size = 0};
    size_t padding = (4 - size % 4) % 4;
    uint32_t total = (uint32_t)(32 + size + padding + 12);

    put32(&head, BLOCK_PACKET);
    put32(&head, total);
    put32(&head, 0); /* interface */
    put32(&head, (uint32_t)(time_ns >> 32));
    put32(&head, (uint32_t)time_ns);
    put32(&head, (uint32_t)size);
    put32(&head, (uint32_t)size);
    put32(&tail, OPTION_FLAGS | 4u << 16);
    put32(&tail, is_from_guest ? FLAG_OUTBOUND : FLAG_INBOUND);
    put32(&tail, 0);
    put32(&tail, total);
    emit(capture, head.bytes, head.size);
    emit(capture, frame, size);
    emit(capture, zeros, padding);
    emit(capture, tail.bytes, tail.size);
}

void capture_flush(struct capture *capture)
{
    capture->has_failed |= fflush(capture->file) != 0;
}

bool capture_close(struct capture *capture)
{
    if (capture == NULL) {
        return true;
    }
    bool is_good = fclose(capture->file) == 0 && !capture->has_failed;
    free(capture);
    return is_good;
}
