/* gdb_target.h - what gdb is told of the processor: the target description, and the registers in its order. */
#ifndef FRONTENDS_GDB_TARGET_H
#define FRONTENDS_GDB_TARGET_H

#include "machine/tick86_debug.h"

enum { GDB_REGISTERS_MAX = 160, GDB_XML_MAX = 32768 };

/* gdb knows three architectures, whose register files differ in number and width. It refuses replies of another length than the
 * one announced ("Remote 'g' packet reply is too long"), so a description holds until gdb asks for it again. */
enum gdb_architecture { GDB_I8086, GDB_I386, GDB_X86_64 };

struct gdb_target {
    enum gdb_architecture architecture;
    bool pc_is_offset; /* $pc is (E)IP as QEMU has it, and not the linear address */
    unsigned count;
    uint16_t numbers[GDB_REGISTERS_MAX]; /* ours, by gdb's number */
    uint8_t bytes[GDB_REGISTERS_MAX];
    unsigned packet_bytes; /* of all registers */
    char xml[GDB_XML_MAX];
    size_t xml_size;
};

void gdb_target_make(struct gdb_target *target, enum gdb_architecture architecture, bool pc_is_offset);
const char *gdb_target_name(enum gdb_architecture architecture);

/* One register in gdb's width; returns how many bytes (0: no such register). */
unsigned gdb_target_read(const struct gdb_target *target, const struct tick86 *machine, unsigned cpu, unsigned n,
                         uint8_t bytes[TICK86_REGISTER_MAX_BYTES]);
/* False when there is no such register, or it cannot be written. */
bool gdb_target_write(const struct gdb_target *target, struct tick86 *machine, unsigned cpu, unsigned n,
                      const uint8_t *bytes);

#endif
