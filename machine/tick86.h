/* tick86.h - the public interface of libtick86: a PC in a struct.
 *
 * Everything a program needs to build, feed, run and look at a machine. The library is reentrant: machines share
 * nothing, so two may run in one process. It never calls the operating system and never reads a clock: memory for guest
 * RAM, disk images, firmware bytes and pacing come from the caller. A run is a function of the configuration and of
 * the inputs and the instruction counts at which they were given. */
#ifndef MACHINE_TICK86_H
#define MACHINE_TICK86_H

#include "devices/backend.h"
#include "devices/keys.h"
#include "mem/error.h"
#include "mem/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#pragma GCC visibility push(default) /* what a shared libtick86 exports */
#endif

struct tick86;

enum { TICK86_DISKS = 4, TICK86_FLOPPIES = 2, TICK86_SERIAL_PORTS = 2, TICK86_OPTION_ROMS = 8, TICK86_MODULES_MAX = 15,
       TICK86_NICS = 8, TICK86_CPUS_MAX = 32 };

/* A file's bytes in memory; the caller keeps them until the machine is destroyed. */
struct tick86_blob {
    const char *name; /* for messages and fw_cfg ("genroms/kvmvapic.bin") */
    const uint8_t *bytes;
    size_t size;
};

enum tick86_drive_kind { DRIVE_NONE, DRIVE_DISK, DRIVE_CDROM, DRIVE_FLOPPY };

struct tick86_drive {
    enum tick86_drive_kind kind;
    struct block_backend *backend; /* a CD-ROM drive may be empty: a backend of 0 sectors, or NULL */
};

/* A network card. */
enum tick86_nic_model { NIC_NONE, NIC_E1000, NIC_RTL8139, NIC_RTL8139C, NIC_NE2K_PCI, NIC_NE2K_ISA };

struct tick86_nic {
    enum tick86_nic_model model;
    uint8_t mac[6];
    unsigned slot;          /* PCI device number, 1 to 31; 0: the first that is free from 3 on */
    uint16_t iobase;        /* NIC_NE2K_ISA: 0 is 300h */
    uint8_t irq;            /* NIC_NE2K_ISA: 0 is 5 (9 is the SCI, 10 and 11 are the PCI slots') */
    struct tick86_blob rom; /* PCI option ROM, which boots from the network; may be empty */
    struct packet_sink sink; /* what the guest sends; the functions may be NULL */
    /* Sees every frame that passes the card's plug, in order, with guest time; may be NULL. A replay shows the same. */
    void (*tap)(void *context, uint64_t time_ns, bool is_from_guest, const uint8_t *frame, size_t size);
    void *tap_context;
};

struct tick86_config {
    /* Guest RAM: `ram_bytes` of zeroed host memory, multiple of 1 MiB, 1 MiB to 64 GiB; given by the caller. Likewise 16 MiB
     * of video memory. Both stay the caller's and must outlive the machine. */
    uint8_t *ram;
    uint64_t ram_bytes;
    uint8_t *vram;
    uint64_t vram_bytes;
    struct tick86_blob bios;     /* SeaBIOS image: multiple of 64 KiB, at most 1 MiB; required */
    struct tick86_blob vga_bios; /* may be empty: no VGA BIOS */
    struct tick86_blob option_roms[TICK86_OPTION_ROMS];
    struct tick86_drive drives[TICK86_DISKS]; /* primary master, primary slave, secondary master, secondary slave */
    struct tick86_drive floppies[TICK86_FLOPPIES]; /* DRIVE_FLOPPY or none; a drive may be empty */
    const char *boot_order;                   /* QEMU's letters: "c" disk, "d" CD, "a" floppy, "n" network; NULL: "cd" */
    bool boot_menu;
    /* -kernel: the files' bytes; kernel.size 0 when not used. */
    struct tick86_blob kernel, initrd;
    const struct tick86_blob *more_modules; /* Multiboot modules after `initrd`; a blob's name is its command line */
    unsigned more_module_count;
    struct tick86_blob loader_rom; /* our roms/loader.bin, which boots `kernel` */
    const char *kernel_append;
    /* Serial output; NULL: port absent to the host (bytes vanish). */
    struct byte_sink *serial[TICK86_SERIAL_PORTS];
    bool serial_true_rate;      /* characters take their true time on the line, else a microsecond at most */
    struct byte_sink *debugcon; /* port 402h */
    struct speaker_sink *speaker; /* NULL: nobody listens */
    struct tick86_nic nics[TICK86_NICS]; /* copied, but not what it points to */
    bool debug_exit;            /* isa-debug-exit at port 501h */
    uint32_t debug_exit_port;   /* 0: 501h */
    bool vmmouse;               /* absolute pointing device at port 5658h */
    uint64_t rtc_base_seconds;  /* calendar time at power-on, seconds since 1970 */
    uint64_t random_seed;       /* of what RDRAND and RDSEED read */
    const char *cpu_model;      /* "MODEL[,+feature,-feature]", see tick86_cpu.h; NULL: "max" */
    unsigned cpus;              /* processors, 1 to TICK86_CPUS_MAX; 0: 1 */
    uint64_t schedule_seed;     /* 0: equal turns in order; another seed is another schedule */
    uint64_t ns_per_insn_q16;   /* 16.16; 0: 65536, one nanosecond an instruction */
    bool use_block_cache;       /* false: --self-check=slow, every instruction decoded anew, no chaining or fusion */
    log_sink_fn *log_sink;
    void *log_context;
    enum log_level log_level;
};

/* Builds a machine and resets it. NULL with `err` set on failure. Frees with tick86_destroy. */
struct tick86 *tick86_create(const struct tick86_config *config, struct error *err);
void tick86_destroy(struct tick86 *machine);

/* Why tick86_run came back. */
enum tick86_stop {
    STOP_BUDGET,      /* guest time or instruction budget used up */
    STOP_POWEROFF,    /* the guest switched the power off through ACPI */
    STOP_RESET,       /* the guest asked for a reset; the caller decides: tick86_reset() or end */
    STOP_TRIPLE_FAULT,/* likewise, after a triple fault */
    STOP_DEBUG_EXIT,  /* isa-debug-exit was written: see tick86_debug_exit_value */
    STOP_DEAD,        /* HLT with interrupts off and no event that could ever wake it, and no NMI source */
    STOP_REQUESTED,   /* tick86_request_stop was called (by a sink during the run) */
    STOP_DEBUG,       /* at a breakpoint: tick86_debug.h */
    STOP_MISSED       /* a replay: the guest is not where the next input belongs (tick86_travel.h) */
};

/* Runs until guest time `until_ns` or until `max_insns` more instructions have retired, whichever is first (UINT64_MAX:
 * no bound; both unbounded is allowed). In HLT time is skipped to the next event or to until_ns. Exact: with a budget
 * of n, exactly n instructions retire unless a stop comes first. */
enum tick86_stop tick86_run(struct tick86 *machine, uint64_t until_ns, uint64_t max_insns);

/* Makes tick86_run come back after the current instruction; callable from sinks while it runs. */
void tick86_request_stop(struct tick86 *machine);

/* Retired instructions, of all processors together, and guest nanoseconds since power-on. */
uint64_t tick86_icount(const struct tick86 *machine);
uint64_t tick86_now_ns(const struct tick86 *machine);
unsigned tick86_cpu_count(const struct tick86 *machine);
/* True when every processor sits in HLT or waits to be started. */
bool tick86_is_halted(const struct tick86 *machine);
/* While the guest halts: guest time of the next event, UINT64_MAX when there is none. 0 while it has something to do. */
uint64_t tick86_idle_until_ns(const struct tick86 *machine);
uint32_t tick86_debug_exit_value(const struct tick86 *machine);

/* ---- inputs: take effect at the current instruction count ---- */
void tick86_reset(struct tick86 *machine);       /* RESET#: CPU and all chips; RAM keeps its contents */
void tick86_power_button(struct tick86 *machine);
void tick86_nmi(struct tick86 *machine);
void tick86_key(struct tick86 *machine, enum key_code key, bool pressed);
void tick86_mouse(struct tick86 *machine, int dx, int dy, int dz, unsigned buttons);
/* The absolute pointing device: a place on the screen, 0 to 65535 from left to right and from top to bottom. Nothing happens
 * unless the guest's driver wants it, which it may from one moment to the next. */
void tick86_pointer(struct tick86 *machine, unsigned x, unsigned y, int dz, unsigned buttons);
bool tick86_pointer_is_wanted(const struct tick86 *machine);
/* Serial input is queued in the machine and delivered at the line's speed; returns how many of the bytes fitted. */
size_t tick86_serial_input(struct tick86 *machine, unsigned port, const uint8_t *bytes, size_t size);
void tick86_serial_break(struct tick86 *machine, unsigned port);
/* From now on an instruction lasts ns_per_insn_q16 / 65536 ns (the pacer's only lever). */
void tick86_set_ratio(struct tick86 *machine, uint64_t ns_per_insn_q16);
/* Exchanges the medium of a CD-ROM drive; NULL ejects. False when the guest has locked the tray, unless `force`. */
bool tick86_change_medium(struct tick86 *machine, unsigned drive, struct block_backend *backend, bool force,
                          struct error *err);
/* The same for a floppy drive, which has no lock. */
bool tick86_change_floppy(struct tick86 *machine, unsigned drive, struct block_backend *backend, struct error *err);
/* A frame arrives at card `nic`: destination address to end of payload, without FCS; a short one is padded to 60 bytes. False
 * when the card cannot take it now (its ring is full, it is being set up) and nothing has changed: try again after
 * packet_sink.ready or later. True otherwise, also when the card ignored it (another address, link down, not running). */
bool tick86_net_input(struct tick86 *machine, unsigned nic, const uint8_t *frame, size_t size);
/* Plugs the cable in or out. */
void tick86_net_link(struct tick86 *machine, unsigned nic, bool is_up);

/* ---- looking: never changes the guest ---- */

/* Hash of CPU, devices and (if asked) RAM and video memory: the same on every host for the same run. */
uint64_t tick86_hash(const struct tick86 *machine, bool with_ram);

void tick86_describe_screen(const struct tick86 *machine, struct screen *screen);
/* Renders the screen as 0x00RRGGBB pixels, at most max_width x max_height; false when the screen is blank. */
bool tick86_render_screen(const struct tick86 *machine, uint32_t *pixels, unsigned stride_pixels, unsigned max_width,
                          unsigned max_height, unsigned *width, unsigned *height);
/* Text screen as UTF-8, a line a row, trailing blanks cut; "" in graphics modes. Returns the length. */
size_t tick86_screen_text(const struct tick86 *machine, char *text, size_t size);
/* Whether the picture's pixels are square, as in VBE modes; the others fill a 4:3 tube whatever their size. */
bool tick86_screen_is_square(const struct tick86 *machine);
/* Counts up whenever the screen may have changed. */
uint64_t tick86_screen_generation(struct tick86 *machine);

/* Reads physical RAM (not registers); false where there is none. */
bool tick86_read_physical(const struct tick86 *machine, uint64_t address, void *bytes, size_t size);
/* Translates and reads through the CPU's current page tables and sets no accessed bits. */
bool tick86_read_linear(const struct tick86 *machine, uint64_t address, void *bytes, size_t size);

/* `info WHAT` of the monitor: "registers", "pic", "tlb", "mem", "qtree", "mtree", "clock", "log", or the name of a device.
 * Text goes to `put` in pieces. False with `err` set for an unknown name, which lists the known ones. */
typedef void tick86_put_fn(void *context, const char *text);
bool tick86_info(struct tick86 *machine, const char *what, tick86_put_fn *put, void *context, struct error *err);

/* Statistics of the interpreter for --profile and benches. */
struct tick86_stats {
    uint64_t blocks_decoded, blocks_retired, insns_decoded, dispatches, tlb_fills, tlb_flushes, link_misses,
        slow_accesses, interrupts, io_accesses;
};
void tick86_get_stats(const struct tick86 *machine, struct tick86_stats *stats);

/* Counts from now on how often each block of guest code runs. False with `err` set when out of memory. */
bool tick86_profile(struct tick86 *machine, struct error *err);

/* One block of the profile: guest instructions decoded together. `handlers` are numbers for tick86_profile_handler, one
 * for each instruction, as bound before fusion. */
struct tick86_profile_block {
    uint64_t linear, executions;
    const uint16_t *handlers;
    const uint8_t *links; /* for each instruction, which registers it takes from those before it: cpu/fuse.h */
    const uint8_t *bytes;
    unsigned size, insns;
    unsigned code_bits; /* 16, 32 or 64 */
    bool is_user;
};
struct tick86_profile_handler {
    char name[48];
    int64_t offset; /* of its code from that of tick86_create: `nm` tells its symbol */
};
/* The n-th block or handler; false past the last one, or without a profile. */
bool tick86_profile_block(const struct tick86 *machine, size_t n, struct tick86_profile_block *block);
bool tick86_profile_handler(const struct tick86 *machine, size_t n, struct tick86_profile_handler *handler);

struct log *tick86_log(struct tick86 *machine);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
