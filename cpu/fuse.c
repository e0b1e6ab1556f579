/* fuse.c - sequences of instructions that have a handler of their own: see fuse.h. */
#include "cpu/fuse.h"

#include "cpu/blocks.h"

#include <stdlib.h>

struct fuser {
    uint32_t mask;
    const struct sequence *rows[]; /* mask + 1, open addressing */
};

static uint32_t hash_of(handler_fn *first, handler_fn *second)
{
    return (uint32_t)((uintptr_t)first >> 4) * 2654435761u ^ (uint32_t)((uintptr_t)second >> 4) * 2246822519u;
}

struct fuser *fuser_create(void)
{
    uint32_t size = 64;

    while (size < 4 * sequence_count) {
        size *= 2;
    }
    struct fuser *fuser = calloc(1, sizeof *fuser + size * sizeof *fuser->rows);
    if (!fuser) {
        return NULL;
    }
    fuser->mask = size - 1;
    for (size_t n = 0; n < sequence_count; n++) {
        uint32_t at = hash_of(sequences[n].first, sequences[n].second) >> 8 & fuser->mask;
        while (fuser->rows[at]) {
            at = (at + 1) & fuser->mask;
        }
        fuser->rows[at] = &sequences[n];
    }
    return fuser;
}

void fuser_destroy(struct fuser *fuser)
{
    free(fuser);
}

static handler_fn *whole_of(const struct fuser *fuser, handler_fn *first, handler_fn *second)
{
    uint32_t at = hash_of(first, second) >> 8 & fuser->mask;
    const struct sequence *row;

    while ((row = fuser->rows[at]) != NULL) {
        if (row->first == first && row->second == second) {
            return row->whole;
        }
        at = (at + 1) & fuser->mask;
    }
    return NULL;
}

void fuse_block(const struct fuser *fuser, union slot *slots, const uint16_t *slot_of, unsigned count)
{
    handler_fn *head[BLOCK_INSNS_MAX];         /* of the best sequence that starts at instruction k */
    uint8_t length[BLOCK_INSNS_MAX];           /* its length */
    uint8_t dispatches[BLOCK_INSNS_MAX + 1];   /* from instruction k to the end */

    dispatches[count] = 0;
    for (unsigned k = count; k-- > 0;) {
        handler_fn *whole = slots[slot_of[k]].insn.handler;
        head[k] = whole;
        length[k] = 1;
        dispatches[k] = (uint8_t)(dispatches[k + 1] + 1);
        for (unsigned next = k + 1; next < count; next++) {
            whole = whole_of(fuser, whole, slots[slot_of[next]].insn.handler);
            if (!whole) {
                break;
            }
            if (dispatches[next + 1] + 1 <= dispatches[k]) {
                head[k] = whole;
                length[k] = (uint8_t)(next + 1 - k);
                dispatches[k] = (uint8_t)(dispatches[next + 1] + 1);
            }
        }
    }
    for (unsigned k = 0; k < count; k += length[k]) {
        slots[slot_of[k]].insn.handler = head[k];
    }
}
