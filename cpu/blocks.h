/* blocks.h - the block cache: decoded code by identity of the memory it lies in, chained, and retired when overwritten. */
#ifndef CPU_BLOCKS_H
#define CPU_BLOCKS_H

#include "cpu/cpu.h"
#include "cpu/decode.h"
#include "cpu/handler.h"

enum { BLOCK_INSNS_MAX = 32 };

/* A decoded block. Slots lie in the arena; boundaries[k] is the page offset of instruction k, and boundaries[count] that of
 * the byte after the last. slot_of[k] is instruction k's slot. */
struct block {
    uint64_t ident;        /* of its first byte */
    uint64_t second_ident; /* of the second page of a block that crosses pages, else ~0 */
    const struct insn *first;
    uint32_t slots;        /* arena slots used, links included */
    uint32_t next_in_hash, next_on_page[2]; /* block numbers, 0: end */
    uint16_t boundaries[BLOCK_INSNS_MAX + 1];
    uint16_t slot_of[BLOCK_INSNS_MAX];
    uint8_t count;
    uint8_t mode;
    bool is_retired;
};

bool blocks_create(struct cpu *cpu);
void blocks_destroy(struct cpu *cpu);
void blocks_flush(struct cpu *cpu);

/* The cached block at `eip` in the current mode; decodes it when there is none. NULL: the fetch faulted (recorded), or the
 * code cannot be cached (`*uncacheable`): run it with block_scratch. */
const struct block *block_find(struct cpu *cpu, uint64_t eip, bool *uncacheable);

/* A block of at most `limit` instructions at `eip` that is used once. NULL: fetch fault recorded. */
const struct block *block_scratch(struct cpu *cpu, uint64_t eip, unsigned limit);

/* Puts the block at `eip` into the jump cache. */
void remember_jump(struct cpu *cpu, uint64_t eip, const struct block *block);

/* The block whose slots hold the record. Never NULL for a record being executed. */
const struct block *block_of(const struct cpu *cpu, const struct insn *insn);

/* Ordinal of the instruction at the record within the block. */
unsigned block_ordinal(const struct block *block, const struct insn *insn);

/* Resolves a link, or finds that a link leaving the page is out of date. */
HANDLER(h_link_unresolved);
HANDLER(h_link_cross);
HANDLER(h_link_cross64);
extern const struct binding bind_lea;
/* Ends of blocks. */
HANDLER(h_fall);         /* no terminator: goes to the link behind it */
HANDLER(h_scratch_end);  /* leaves with EIP after the last instruction */
HANDLER(h_stale);        /* first slot of a retired block */
HANDLER(h_undefined);    /* #UD */
HANDLER(h_too_long);     /* #GP(0) */
HANDLER(h_privilege);    /* #GP(0) */

/* The handler to use for a decoded instruction in this mode. */
handler_fn *binding_select(const struct binding *binding, bool dead, enum form form, unsigned size);
#endif
