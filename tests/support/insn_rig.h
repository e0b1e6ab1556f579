/* insn_rig.h - a processor with 64 KiB of RAM in flat 32-bit protected mode, for tests that execute a few instructions.
 * Every exception vector leads to a HLT of its own, so that the test sees which one was taken. */
#ifndef TESTS_SUPPORT_INSN_RIG_H
#define TESTS_SUPPORT_INSN_RIG_H

#include "cpu/cpu.h"

enum {
    RIG_RAM_SIZE = 0x10000,
    RIG_GDT = 0x400, RIG_IDT = 0x500, RIG_HANDLERS = 0x800,
    RIG_CODE = 0x1000, RIG_IN = 0x2000, RIG_MEMORY = 0x3000, RIG_OUT = 0x4000, RIG_STACK_TOP = 0x8000
};

struct insn_rig {
    struct log log;
    struct clock clock;
    struct space *space;
    struct ports *ports;
    struct memory memory;
    struct region region;
    struct cpu *cpu;
    uint8_t *ram;
};

void rig_open(struct insn_rig *rig, bool use_block_cache);
void rig_close(struct insn_rig *rig);
void rig_poke(struct insn_rig *rig, unsigned address, const void *bytes, size_t size);
/* Little-endian, whatever the host is. */
void rig_poke_dword(struct insn_rig *rig, unsigned address, uint32_t value);
/* Flat protected mode at CPL 0 with SSE enabled. With `is_generic` the data segments are short of 4 GiB, so that every
 * memory operand goes the checked way. */
void rig_flat(struct insn_rig *rig, bool is_generic);
/* Executes `count` instructions with EDI = RIG_IN, ESI = RIG_MEMORY, EDX = RIG_OUT. Returns the vector of the
 * exception taken, or -1. */
int rig_run(struct insn_rig *rig, const uint8_t *code, size_t size, unsigned count);
#define RIG_RUN(rig, count, ...)                                                                                       \
    rig_run(rig, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), count)

#endif
