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

uint8_t fuse_links(const union slot *slots, const uint16_t *slot_of, unsigned k)
{
    const struct insn *insn = &slots[slot_of[k]].insn;
    const uint8_t fields[3] = { insn->r1, insn->r2, insn->r3 };
    unsigned links = 0;

    for (unsigned field = 0; field < 3; field++) {
        for (unsigned distance = 1; distance <= LINK_DISTANCE_MAX && distance <= k && fields[field] != REG_NIL; distance++) {
            if (slots[slot_of[k - distance]].insn.r1 == fields[field]) {
                links |= distance << (2 * field);
                break;
            }
        }
    }
    return (uint8_t)links;
}

/* The row for the two handlers that uses most of `links`, which must not reach back beyond `before` instructions. */
static handler_fn *whole_of(const struct fuser *fuser, handler_fn *first, handler_fn *second, unsigned links,
                            unsigned before)
{
    uint32_t at = hash_of(first, second) >> 8 & fuser->mask;
    const struct sequence *row;
    handler_fn *best = NULL;
    unsigned best_links = 0;

    for (unsigned field = 0; field < 3; field++) {
        if ((links >> (2 * field) & 3) > before) {
            links &= ~(3u << (2 * field));
        }
    }
    while ((row = fuser->rows[at]) != NULL) {
        if (row->first == first && row->second == second) {
            unsigned used = 0;
            bool fits = true;
            for (unsigned field = 0; field < 3; field++) {
                unsigned wanted = row->links >> (2 * field) & 3;
                fits = fits && (wanted == 0 || wanted == (links >> (2 * field) & 3));
                used += wanted != 0;
            }
            if (fits && (!best || used > best_links)) {
                best = row->whole;
                best_links = used;
            }
        }
        at = (at + 1) & fuser->mask;
    }
    return best;
}

void fuse_block(const struct fuser *fuser, union slot *slots, const uint16_t *slot_of, unsigned count)
{
    handler_fn *head[BLOCK_INSNS_MAX];       /* of the best sequence that starts at instruction k */
    uint8_t length[BLOCK_INSNS_MAX];         /* its length */
    uint8_t dispatches[BLOCK_INSNS_MAX + 1]; /* from instruction k to the end */
    uint8_t links[BLOCK_INSNS_MAX];

    for (unsigned k = 0; k < count; k++) {
        links[k] = fuse_links(slots, slot_of, k);
    }
    dispatches[count] = 0;
    for (unsigned k = count; k-- > 0;) {
        handler_fn *whole = slots[slot_of[k]].insn.handler;
        head[k] = whole;
        length[k] = 1;
        dispatches[k] = (uint8_t)(dispatches[k + 1] + 1);
        for (unsigned next = k + 1; next < count; next++) {
            whole = whole_of(fuser, whole, slots[slot_of[next]].insn.handler, links[next], next - k);
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
