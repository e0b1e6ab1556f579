/* state_hashes.h - hashes of every row of state and of the memories by region: what a replay compares. */
#ifndef FRONTENDS_STATE_HASHES_H
#define FRONTENDS_STATE_HASHES_H

#include "machine/tick86_travel.h"

enum { HASH_REGIONS = 64 };

struct state_hashes {
    struct tick86 *machine;
    uint32_t *rows; /* those of the last look; the last 2 * HASH_REGIONS are regions of ram and vram */
    unsigned row_count;
    uint32_t *page_hashes[2]; /* of pages as they were at the last look; 0: zeros */
    uint64_t pages[2];
    uint64_t regions[2][HASH_REGIONS];
};

/* False: out of memory. */
bool state_hashes_init(struct state_hashes *hashes, struct tick86 *machine);
void state_hashes_free(struct state_hashes *hashes);
/* Looks at the machine. The rows are good until the next look. */
bool state_hashes_look(struct state_hashes *hashes);
/* "cpu0.rip", or "ram, 0x100000 to 0x1fffff". */
void state_hashes_name(const struct state_hashes *hashes, unsigned row, char *name, size_t size);

#endif
