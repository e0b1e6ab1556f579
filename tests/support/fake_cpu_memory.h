/* fake_cpu_memory.h - what system.h says the fast half offers, over 1 MiB of flat memory: for tests of the slow half alone. */
#ifndef TESTS_SUPPORT_FAKE_CPU_MEMORY_H
#define TESTS_SUPPORT_FAKE_CPU_MEMORY_H

#include "cpu/system.h"

enum { FAKE_BYTES = 0x100000, FAKE_PAGES = FAKE_BYTES / 4096 };

/* Page flags: accesses of that kind give #PF. */
enum { FAKE_NO_READ = 1, FAKE_NO_WRITE = 2, FAKE_NO_USER = 4 };

/* Hangs at cpu->board.context. Linear addresses wrap at FAKE_BYTES. */
struct fake_memory {
    uint8_t bytes[FAKE_BYTES];
    uint8_t page_flags[FAKE_PAGES];
    unsigned flushes, global_flushes, looks, watch_changes;
};

uint32_t fake_get(const struct cpu *cpu, uint32_t linear, unsigned size);
void fake_put(struct cpu *cpu, uint32_t linear, unsigned size, uint32_t value);

#endif
