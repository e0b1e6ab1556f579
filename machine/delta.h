/* delta.h - contents of places (pages of memory, pieces of state, sectors of disks), each place once. */
#ifndef MACHINE_DELTA_H
#define MACHINE_DELTA_H

#include "devices/backend.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Spaces below SPACE_STATE are memories. Units have 4096 bytes, those of the state DELTA_STATE_CHUNK. */
enum { SPACE_STATE = 2, SPACE_DISK = 3, DELTA_STATE_CHUNK = 256 };

struct delta_unit {
    uint32_t space;
    uint64_t index;
    struct block_backend *medium; /* of SPACE_DISK */
    uint8_t *bytes;               /* NULL: zeros */
};

struct delta {
    struct delta_unit *units;
    size_t count, capacity;
    uint32_t *slots; /* hash table of unit number + 1 */
    size_t slot_count;
    uint64_t bytes; /* memory it takes */
};

void delta_init(struct delta *delta);
void delta_free(struct delta *delta);
struct delta_unit *delta_find(const struct delta *delta, const struct delta_unit *place);
/* A copy of `bytes` for a place that is not in it yet. False: out of memory. */
bool delta_add(struct delta *delta, const struct delta_unit *place, const uint8_t *bytes);
void delta_get(const struct delta_unit *unit, uint8_t *bytes);
/* Replaces the contents of one of the delta's units. */
bool delta_set(struct delta *delta, struct delta_unit *unit, const uint8_t *bytes);
/* Moves the places that only `from` has to `to`. False: out of memory. */
bool delta_merge(struct delta *to, struct delta *from);

#endif
