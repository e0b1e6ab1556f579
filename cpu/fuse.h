/* fuse.h - sequences of instructions that have a handler of their own (INTERPRETER.md, 4). */
#ifndef CPU_FUSE_H
#define CPU_FUSE_H

#include "cpu/handler.h"

/* The handler `whole` does what `first`, itself perhaps a sequence, and then `second` do. `links` says which register fields
 * of the second instruction must be equal to register r1 of one before it: then the value that the sequence has just
 * computed goes on in a host register and not by way of memory. Two bits each for r1, r2, r3: 0 anything, n: the r1 of the
 * n-th instruction before. */
struct sequence {
    handler_fn *first, *second, *whole;
    uint8_t links;
};
enum { LINK_DISTANCE_MAX = 3 };
extern const struct sequence sequences[]; /* rows of sequences.def */
extern const size_t sequence_count;

/* The rows by first and second handler. */
struct fuser;

/* NULL when out of memory. */
struct fuser *fuser_create(void);
void fuser_destroy(struct fuser *fuser);

/* The links that instruction k of a block could use: for each field the nearest of the instructions before it. */
uint8_t fuse_links(const union slot *slots, const uint16_t *slot_of, unsigned k);

/* Replaces handlers in a finished block of `count` instructions at `slot_of` so that the fewest dispatches remain. Only the
 * first slot of a sequence changes; the others keep handler and operands, so that a fault or a slow access in any part
 * is exact without special code. */
void fuse_block(const struct fuser *fuser, union slot *slots, const uint16_t *slot_of, unsigned count);

#endif
