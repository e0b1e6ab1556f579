/* info.h - what the files of `info` share. */
#ifndef MACHINE_INFO_H
#define MACHINE_INFO_H

#include "machine/machine.h"

struct out {
    tick86_put_fn *put;
    void *context;
};

void info_say(const struct out *out, const char *format, ...) PRINTF_LIKE(2, 3);

/* info_tables.c: what lies in guest memory for the processor, and buses. */
void info_gdt(const struct tick86 *machine, const struct out *out);
void info_ldt(const struct tick86 *machine, const struct out *out);
void info_idt(const struct tick86 *machine, const struct out *out);
void info_tss(const struct tick86 *machine, const struct out *out);
void info_pci(const struct tick86 *machine, const struct out *out);
void info_irq(const struct tick86 *machine, const struct out *out);
void info_pagewalk(const struct tick86 *machine, const struct out *out, uint64_t linear);

#endif
