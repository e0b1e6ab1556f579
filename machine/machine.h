/* machine.h - what the files of machine/ share: the machine itself. */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include "cpu/cpu.h"
#include "machine/dirty.h"
#include "machine/input.h"
#include "machine/media.h"
#include "machine/nics.h"
#include "devices/apic_bus.h"
#include "machine/pc.h"
#include "machine/schedule.h"
#include "machine/tick86.h"

struct debug;
struct tick86;
struct history;

/* What a run carries from one slice to the next. */
struct machine_run {
    uint64_t dead_since_ns; /* guest time at which nothing was left that can wake the CPU; CLOCK_NEVER: it lives */
};
extern const struct field machine_run_fields[];

/* Where a port's bytes go, unless they went there before. */
struct sink_front {
    struct byte_sink front;
    struct byte_sink *inner;
    struct tick86 *machine;
};

/* What a processor's calls to the board come with. */
struct processor {
    struct tick86 *machine;
    unsigned number;
    char apic_name[12];
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
    struct apic_bus apic_bus;
    struct region msi; /* where bus masters write interrupt messages */
    struct memory ram, vram, bios, vga_bios;
    uint8_t *bios_bytes, *vga_bios_bytes; /* our copies, padded */
    bool has_vga_bios;
    struct region chip_regions[PC_CHIPS]; /* of those whose registers the board maps */
    struct device *chips[PC_CHIPS]; /* by enum pc_chip; NULL: not on this board */

    struct nic_slot nics[TICK86_NICS]; /* the plugs of chips[PC_NIC0] and up */

    /* State of a run; not of the guest. */
    bool is_running;        /* inside cpu_run */
    bool is_stop_requested;
    struct machine_run run; /* this is saved */

    struct input_gate gate;
    struct medium media[MEDIA_COUNT];
    struct sink_front sinks[TICK86_SERIAL_PORTS + 1]; /* the last one is the debug console */
    struct dirty_pages dirty;
    struct history *history; /* NULL: none is kept */
    struct cpu cpu_scratch;

    struct debug *debug; /* breakpoints and observers; NULL: there have been none */

    uint64_t screen_stamp, screen_generation;
};


/* RESET# of the board. */
void machine_reset(struct tick86 *machine);
/* Recomputes what hangs on loaded state outside of the chips. */
void machine_loaded(struct tick86 *machine);
/* Cached write permissions must be asked for again: somebody wants to know of stores. */
void machine_revoke_writes(struct tick86 *machine);
/* The processor without what depends on how it got here: flags that were not computed yet, and notes to itself. */
void machine_canonical_cpu(const struct cpu *cpu, struct cpu *copy);

#endif
