/* fuse.h - sequences of instructions that have a handler of their own (INTERPRETER.md, 4). */
#ifndef CPU_FUSE_H
#define CPU_FUSE_H

#include "cpu/handler.h"

/* The handler `whole` does what `first`, itself perhaps a sequence, and then `second` do. */
struct sequence {
    handler_fn *first, *second, *whole;
};
extern const struct sequence sequences[]; /* rows of sequences.def */
extern const size_t sequence_count;

/* The rows by first and second handler. */
struct fuser;

/* NULL when out of memory. */
struct fuser *fuser_create(void);
void fuser_destroy(struct fuser *fuser);

/* Replaces handlers in a finished block of `count` instructions at `slot_of` so that the fewest dispatches remain. Only the
 * first slot of a sequence changes; the others keep handler and operands, so that a fault or a slow access in any part
 * is exact without special code. */
void fuse_block(const struct fuser *fuser, union slot *slots, const uint16_t *slot_of, unsigned count);

#endif
