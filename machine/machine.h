/* machine.h - what the files of machine/ share: the machine itself. */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include "cpu/cpu.h"
#include "machine/nics.h"
#include "machine/pc.h"
#include "machine/schedule.h"
#include "machine/tick86.h"

struct debug;
struct tick86;

/* What a processor's calls to the board come with. */
struct processor {
    struct tick86 *machine;
    unsigned number;
};

struct tick86 {
    struct log log;
    struct clock clock;
    struct space *space;
    struct ports *ports;
    struct cpu *cpus[TICK86_CPUS_MAX];
    unsigned cpu_count;
    struct cpu *cpu; /* the one whose turn it is: cpus[schedule.running] */
    struct processor processors[TICK86_CPUS_MAX]; /* each one's link to the board */
    struct schedule schedule;
    struct memory ram, vram, bios, vga_bios;
    uint8_t *bios_bytes, *vga_bios_bytes; /* our copies, padded */
    bool has_vga_bios;
    struct device *chips[PC_CHIPS]; /* by enum pc_chip; NULL: not on this board */

    struct nic_slot nics[TICK86_NICS]; /* the plugs of chips[PC_NIC0] and up */

    /* State of a run; not of the guest. */
    bool is_running;        /* inside cpu_run */
    bool is_stop_requested;
    uint64_t dead_since_ns; /* guest time at which nothing was left that can wake the CPU; CLOCK_NEVER: it lives */

    struct debug *debug; /* breakpoints and observers; NULL: there have been none */

    uint64_t screen_stamp, screen_generation;
};

#endif
