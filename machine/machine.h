/* machine.h - what the files of machine/ share: the machine itself. */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include "cpu/cpu.h"
#include "machine/pc.h"
#include "machine/tick86.h"

struct debug;

struct tick86 {
    struct log log;
    struct clock clock;
    struct space *space;
    struct ports *ports;
    struct cpu *cpu;
    struct memory ram, vram, bios, vga_bios;
    uint8_t *bios_bytes, *vga_bios_bytes; /* our copies, padded */
    bool has_vga_bios;
    struct device *chips[PC_CHIPS]; /* by enum pc_chip; NULL: not on this board */

    /* State of a run; not of the guest. */
    bool is_running;        /* inside cpu_run */
    bool is_stop_requested;
    uint64_t dead_since_ns; /* guest time at which nothing was left that can wake the CPU; CLOCK_NEVER: it lives */

    struct debug *debug; /* breakpoints and observers; NULL: there have been none */

    uint64_t screen_stamp, screen_generation;
};

#endif
