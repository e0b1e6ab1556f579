/* profile.h - how often each block of guest code ran, and with it each handler and each sequence of handlers.
 *
 * A profiled block starts with one more record, whose handler counts and goes on; chaining, fusion and exact counts stay
 * as they are. Blocks that are decoded again from equal bytes at the same address count on where they were. */
#ifndef CPU_PROFILE_H
#define CPU_PROFILE_H

#include "cpu/cpu.h"
#include "cpu/decode.h"
#include "cpu/handler.h"

struct profile;

/* A block as the profile knows it: `handlers` are numbers for profile_handler, one for each of `count` instructions, as
 * bound before fusion. */
struct profile_block {
    uint64_t linear;
    uint64_t executions;
    const uint16_t *handlers;
    const uint8_t *links; /* one for each instruction: fuse.h */
    const uint8_t *bytes;
    uint16_t size;
    uint8_t count;
    uint8_t mode; /* MODE_* */
};

/* A handler that some block uses: the stem, operand form, size in bits and liveness that the instruction table has it under. */
struct profile_handler {
    handler_fn *function;
    const char *stem;
    uint8_t form; /* enum form */
    uint8_t bits;
    bool is_dead;
};

/* NULL when out of memory. */
struct profile *profile_create(void);
void profile_destroy(struct profile *profile);

/* For the block builder: one call per instruction (`op` NULL: the instruction is undefined or not allowed), then one for the
 * block; returns the operand of the counting record. */
void profile_add_insn(struct profile *profile, const struct opcode *op, handler_fn *handler, uint8_t links);
uint32_t profile_add_block(struct profile *profile, uint64_t linear, unsigned mode, const uint8_t *bytes, unsigned size);

HANDLER(h_profile);

/* The n-th block or handler; false past the last. */
bool profile_block(const struct profile *profile, size_t n, struct profile_block *block);
bool profile_handler(const struct profile *profile, size_t n, struct profile_handler *handler);

#endif
