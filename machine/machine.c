/* machine.c - builds the PC, runs it, feeds it and hashes it; see tick86.h.
 *
 * The run loop is where instructions and time meet: the processor runs exactly up to the next event, to the end of the
 * budget or to a stop, so that everything happens at an instruction count that depends on nothing but the guest and its
 * inputs, however a run is cut into pieces. Events that are due run before tick86_run returns, for the same reason. */
#include "machine/machine.h"

#include "devices/acpi_tables.h"
#include "devices/fw_cfg.h"
#include "devices/i440fx.h"
#include "devices/i8042.h"
#include "devices/i82077.h"
#include "devices/ide.h"
#include "devices/isa_debug_exit.h"
#include "devices/mc146818.h"
#include "devices/ns16550.h"
#include "machine/cpu_pins.h"
#include "machine/debug.h"
#include "machine/history.h"
#include "machine/kernel_loader.h"
#include "machine/processors.h"
#include "machine/serial_input.h"
#include "machine/tick86_cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB UINT64_C(0x100000)
#define RAM_MAX (UINT64_C(64) << 30)
#define ONE_NS_AN_INSN UINT64_C(65536)
#define RATIO_MAX (UINT64_C(1) << 32)

enum {
    BIOS_UNIT = 0x10000,
    BIOS_MAX = 0x100000,
    VGA_BIOS_MAX = 0x40000,
    PROPERTIES_MAX = 32,
    SLICE_MAX = 1 << 30, /* what cpu_run takes at once */
    DEBUG_EXIT_PORT = 0x501
};

/* ---- what the processor and the clock ask of the board ---- */

static uint64_t retired(void *context)
{
    const struct tick86 *machine = context;

    return machine->cpu != NULL ? machine_icount(machine) : 0;
}

/* An event is due earlier than anybody thought when this slice began: end it and think again. */
static void deadline_is_sooner(void *context)
{
    struct tick86 *machine = context;

    if (machine->is_running) {
        cpu_request_stop(machine->cpu);
    }
}

/* `context` is any processor. */
static void map_changed(void *context)
{
    struct cpu *first = context;
    struct cpu *cpu = first;

    do {
        cpu_map_changed(cpu);
        cpu = cpu_next_peer(cpu);
    } while (cpu != first);
}

static void flags_cleared(void *context)
{
    struct cpu *first = context;
    struct cpu *cpu = first;

    do {
        cpu_revoke_writes(cpu);
        cpu = cpu_next_peer(cpu);
    } while (cpu != first);
}

static void put_byte(void *context, uint8_t byte)
{
    const struct sink_front *sink = context;

    if (!history_is_in_past(sink->machine)) { /* what was said once is not said again */
        sink->inner->put(sink->inner->context, byte);
    }
}

static struct byte_sink *front_sink(struct tick86 *machine, unsigned n, struct byte_sink *inner)
{
    struct sink_front *sink = &machine->sinks[n];

    *sink = (struct sink_front){ { sink, put_byte }, inner, machine };
    return inner != NULL ? &sink->front : NULL;
}

/* ---- creation ---- */

static bool check_config(const struct tick86_config *config, struct error *err)
{
    size_t bios = config->bios.size;

    if (config->ram == NULL || config->ram_bytes < MIB || config->ram_bytes > RAM_MAX || config->ram_bytes % MIB != 0) {
        error_set(err, "cannot build a machine with %llu bytes of memory", (unsigned long long)config->ram_bytes);
        return error_hint(err, "give whole MiB, from 1 MiB to 64 GiB");
    }
    if (config->vram == NULL) {
        return error_set(err, "cannot build a machine without video memory");
    }
    if (config->bios.bytes == NULL || bios == 0 || bios % BIOS_UNIT != 0 || bios > BIOS_MAX) {
        error_set(err, "'%s' cannot be a BIOS: it has %zu bytes", config->bios.name ? config->bios.name : "", bios);
        return error_hint(err, "a BIOS image is a multiple of 64 KiB and at most 1 MiB");
    }
    if (config->vga_bios.size > VGA_BIOS_MAX) {
        return error_set(err, "the VGA BIOS '%s' is larger than 256 KiB", config->vga_bios.name);
    }
    for (unsigned n = 0; n < TICK86_DISKS; n++) {
        if (config->drives[n].kind == DRIVE_DISK && config->drives[n].backend == NULL) {
            return error_set(err, "disk %u has no image", n);
        }
    }
    if (config->cpus > TICK86_CPUS_MAX) {
        return error_set(err, "cannot build a machine with %u processors: 1 to %d", config->cpus, TICK86_CPUS_MAX);
    }
    if (config->kernel.size != 0 && config->loader_rom.size == 0) {
        return error_set(err, "cannot boot kernel '%s' without the loader ROM", config->kernel.name);
    }
    if (config->ns_per_insn_q16 > RATIO_MAX) {
        return error_set(err, "an instruction cannot last longer than 65536 ns");
    }
    return true;
}

/* A ROM of `size` bytes: the caller's own pages where they fit, since stores never reach them, else a copy in `*copy`. */
static bool place_rom(struct memory *memory, uint8_t **copy, const char *name, const struct tick86_blob *blob,
                      uint64_t size, uint64_t ident, struct error *err)
{
    uint8_t *bytes = (uint8_t *)(uintptr_t)blob->bytes;

    if (blob->size != size || (uintptr_t)bytes % GUEST_PAGE_SIZE != 0) {
        bytes = *copy = calloc(1, (size_t)size);
        if (bytes == NULL) {
            return error_set(err, "out of memory for the %s", name);
        }
        memcpy(bytes, blob->bytes, blob->size);
    }
    return memory_init(memory, name, bytes, size, ident, true, err);
}

/* The identity ranges of the memories follow one another. */
static bool create_memories(struct tick86 *machine, const struct tick86_config *config, struct error *err)
{
    uint64_t ident = 0;

    if (!memory_init(&machine->ram, "ram", config->ram, config->ram_bytes, ident, false, err)) {
        return false;
    }
    ident += config->ram_bytes;
    if (!memory_init(&machine->vram, "vram", config->vram, config->vram_bytes, ident, false, err)) {
        return false;
    }
    ident += config->vram_bytes;
    if (!place_rom(&machine->bios, &machine->bios_bytes, "bios", &config->bios, config->bios.size, ident, err)) {
        return false;
    }
    ident += config->bios.size;
    if (config->vga_bios.size != 0) {
        uint64_t size = GUEST_PAGE_SIZE;
        while (size < config->vga_bios.size) {
            size *= 2;
        }
        machine->has_vga_bios = true;
        if (!place_rom(&machine->vga_bios, &machine->vga_bios_bytes, "vga bios", &config->vga_bios, size, ident, err)) {
            return false;
        }
        ident += size;
    }
    return nics_create_roms(machine, config, ident, err);
}

bool tick86_cpu_check(const char *text, struct error *err)
{
    struct cpu_model model;

    return cpu_model_parse(text, &model, err);
}

bool tick86_cpu_describe(size_t n, const char **name, char *features, size_t size)
{
    return cpu_model_describe(n, name, features, size);
}

static bool create_processors(struct tick86 *machine, const struct tick86_config *config, struct error *err)
{
    struct memory *memories[] = { &machine->ram, &machine->vram, &machine->bios, &machine->vga_bios };

    if (!processors_create(machine, config, err)) {
        return false;
    }
    for (unsigned n = 0; n < sizeof memories / sizeof memories[0]; n++) {
        /* Both callbacks of a memory get one context, which the CPU sets again when it finds code. */
        memories[n]->code_written_context = machine->cpus[0];
        memories[n]->flags_cleared = flags_cleared;
    }
    for (unsigned n = 0; n < TICK86_NICS; n++) {
        machine->nics[n].rom.code_written_context = machine->cpus[0];
        machine->nics[n].rom.flags_cleared = map_changed;
    }
    space_on_change(machine->space, map_changed, machine->cpus[0]);
    return true;
}

static bool is_on_board(const struct tick86_config *config, unsigned chip)
{
    return (chip != PC_DEBUGCON || config->debugcon != NULL) && (chip != PC_DEBUG_EXIT || config->debug_exit) &&
           (chip != PC_VMMOUSE || config->vmmouse);
}

/* Properties that mean the same to every chip. */
static unsigned common_properties(struct tick86 *machine, const struct tick86_config *config,
                                  struct property properties[])
{
    static const char *const drive_names[TICK86_DISKS] = { "drive0", "drive1", "drive2", "drive3" };
    static const char *const cd_names[TICK86_DISKS] = { "cd0", "cd1", "cd2", "cd3" };
    unsigned count = 0;

    properties[count++] = (struct property){ .name = "machine", .pointer = machine };
    properties[count++] = (struct property){ .name = "apic_bus", .pointer = &machine->apic_bus };
    properties[count++] = (struct property){ .name = "ram", .pointer = &machine->ram };
    properties[count++] = (struct property){ .name = "bios", .pointer = &machine->bios };
    properties[count++] = (struct property){ .name = "vram", .pointer = &machine->vram };
    if (machine->has_vga_bios) {
        properties[count++] = (struct property){ .name = "rom", .pointer = &machine->vga_bios };
    }
    for (unsigned n = 0; n < TICK86_DISKS; n++) {
        const struct tick86_drive *drive = &config->drives[n];
        if (drive->kind != DRIVE_NONE) {
            properties[count++] =
                (struct property){ .name = drive->kind == DRIVE_DISK ? drive_names[n] : cd_names[n],
                                   .pointer = drive->backend };
        }
    }
    properties[count++] = (struct property){ .name = "base_seconds", .number = config->rtc_base_seconds };
    properties[count++] = (struct property){ .name = "ram_size", .number = config->ram_bytes };
    properties[count++] = (struct property){ .name = "boot_menu", .number = config->boot_menu };
    properties[count++] = (struct property){
        .name = "boot_device", .number = config->boot_order != NULL ? (uint8_t)config->boot_order[0] : 'c' };
    return count;
}

static unsigned floppy_properties(struct tick86 *machine, const struct tick86_config *config,
                                  struct property properties[])
{
    static const char *const names[TICK86_FLOPPIES] = { "floppy0", "floppy1" };
    unsigned count = 0;

    properties[count++] = (struct property){ .name = "dma", .pointer = machine->chips[PC_DMA] };
    for (unsigned n = 0; n < TICK86_FLOPPIES; n++) {
        if (config->floppies[n].kind == DRIVE_FLOPPY) {
            properties[count++] = (struct property){ .name = names[n], .pointer = config->floppies[n].backend };
        }
    }
    return count;
}

/* Properties of one chip. */
static unsigned own_properties(struct tick86 *machine, const struct tick86_config *config, unsigned chip,
                               struct property properties[])
{
    struct property *own = &properties[0];

    switch (chip) {
    case PC_FW_CFG:
        *own = (struct property){ .name = "cpus", .number = machine->cpu_count };
        return 1;
    case PC_PIC0:
        *own = (struct property){ .name = "is_master", .number = 1 };
        return 1;
    case PC_FDC:
        return floppy_properties(machine, config, properties);
    case PC_COM1:
    case PC_COM2:
        own[0] = (struct property){ .name = "sink", .pointer = config->serial[chip - PC_COM1] };
        own[1] = (struct property){ .name = "fast_line", .number = !config->serial_true_rate };
        return 2;
    case PC_COM1_INPUT:
    case PC_COM2_INPUT:
        *own = (struct property){ .name = "port", .pointer = machine->chips[chip - PC_COM1_INPUT + PC_COM1] };
        return 1;
    case PC_SYSCTL:
        *own = (struct property){ .name = "speaker", .pointer = config->speaker };
        return 1;
    case PC_VMMOUSE:
        *own = (struct property){ .name = "kbc", .pointer = machine->chips[PC_KBC] };
        return 1;
    case PC_DEBUGCON:
        *own = (struct property){ .name = "sink", .pointer = config->debugcon };
        return 1;
    default:
        return 0;
    }
}

static bool create_chips(struct tick86 *machine, const struct tick86_config *config, struct error *err)
{
    struct device surroundings = {
        .clock = &machine->clock, .log = &machine->log, .space = machine->space, .ports = machine->ports
    };
    uint16_t exit_port = config->debug_exit_port != 0 ? (uint16_t)config->debug_exit_port : DEBUG_EXIT_PORT;

    for (unsigned chip = 0; chip < PC_CHIPS; chip++) {
        struct property properties[PROPERTIES_MAX] = { { 0 } };
        const struct placement *place = &pc_board[chip];
        if (place->class == NULL || !is_on_board(config, chip)) {
            continue;
        }
        unsigned count = own_properties(machine, config, chip, properties);
        count += common_properties(machine, config, &properties[count]);
        BUG_ON(count >= PROPERTIES_MAX); /* the end has no name */
        machine->chips[chip] = device_create(place->class, place->name, &surroundings, properties, err);
        if (machine->chips[chip] == NULL) {
            return false;
        }
    }
    if (!processors_create_apics(machine, &surroundings, err) ||
        !pc_wire(machine->chips, machine->chip_regions, exit_port, err)) {
        return false;
    }
    processors_connect(machine);
    return nics_create(machine, config, &surroundings, err);
}

/* ---- what the firmware is told ---- */

static bool add_kernel(struct device *fw_cfg, const struct tick86_config *config, uint64_t low_bytes, struct error *err)
{
    static const char bootorder[] = "/rom@genroms/loader.bin"; /* with the terminator, as SeaBIOS expects */
    struct kernel_load load = { 0 };
    unsigned more = config->more_module_count < TICK86_MODULES_MAX ? config->more_module_count : TICK86_MODULES_MAX;
    struct tick86_blob modules[1 + TICK86_MODULES_MAX] = { config->initrd };
    struct kernel_request request = { .kernel = config->kernel,
                                      .modules = modules,
                                      .module_count = (config->initrd.size != 0 ? 1 : 0) + more,
                                      .command_line = config->kernel_append,
                                      .ram_below_4g = low_bytes };
    bool is_good = true;

    for (unsigned n = 0; n < more; n++) {
        modules[1 + n] = config->more_modules[n];
    }
    if (!kernel_load_prepare(&load, &request, err)) {
        return false;
    }
    for (unsigned n = 0; is_good && n < load.item_count; n++) {
        const struct kernel_item *item = &load.items[n];
        is_good = fw_cfg_add_bytes(fw_cfg, item->key, item->bytes, item->size, err);
    }
    kernel_load_free(&load); /* fw_cfg has copied the bytes */
    return is_good &&
           fw_cfg_add_file(fw_cfg, "genroms/loader.bin", config->loader_rom.bytes, config->loader_rom.size, err) &&
           fw_cfg_add_file(fw_cfg, "bootorder", bootorder, sizeof bootorder, err);
}

static bool add_firmware_files(struct tick86 *machine, const struct tick86_config *config, struct error *err)
{
    struct device *fw_cfg = machine->chips[PC_FW_CFG];
    uint64_t low = i440fx_low_memory(config->ram_bytes);
    struct acpi_config acpi = { .low_ram_bytes = low, .has_serial = { true, true }, .has_keyboard = true,
                                .processors = machine->cpu_count };

    if (!fw_cfg_add_e820(fw_cfg, low, config->ram_bytes - low, err) || !acpi_tables_add(fw_cfg, &acpi, err)) {
        return false;
    }
    for (unsigned n = 0; n < TICK86_OPTION_ROMS; n++) {
        const struct tick86_blob *rom = &config->option_roms[n];
        if (rom->size != 0 && !fw_cfg_add_file(fw_cfg, rom->name, rom->bytes, rom->size, err)) {
            return false;
        }
    }
    return config->kernel.size == 0 || add_kernel(fw_cfg, config, low, err);
}

/* The geometry that the drive itself reports (devices/ide_ata.c): 16 heads of 63 sectors. */
static void set_disk(struct mc146818_disk *disk, uint64_t sectors)
{
    uint64_t cylinders = sectors / (16 * 63);

    disk->is_present = true;
    disk->cylinders = (uint16_t)(cylinders < 1 ? 1 : cylinders > 16383 ? 16383 : cylinders);
    disk->heads = 16;
    disk->sectors = 63;
    disk->translation = cylinders <= 1024 ? TRANSLATION_NONE : TRANSLATION_LBA;
}

/* The drive is one that takes the disk it starts with; an empty one is for 1.44 MB. */
static enum mc146818_floppy floppy_type(const struct tick86_drive *floppy)
{
    const struct floppy_format *format =
        floppy->backend != NULL ? i82077_find_format(floppy->backend->sectors) : NULL;

    if (floppy->kind != DRIVE_FLOPPY) {
        return FLOPPY_NONE;
    }
    if (format != NULL && (format->per_track == 15 || format->cylinders == 40)) {
        return FLOPPY_1200K;
    }
    return format != NULL && format->rate == 3 ? FLOPPY_2880K : FLOPPY_1440K;
}

static void fill_cmos(struct tick86 *machine, const struct tick86_config *config)
{
    uint64_t low = i440fx_low_memory(config->ram_bytes);
    struct mc146818_pc_config cmos = { .ram_below_4g_bytes = low,
                                       .ram_above_4g_bytes = config->ram_bytes - low,
                                       .cpus = (uint8_t)machine->cpu_count,
                                       .boot_order = config->boot_order != NULL ? config->boot_order : "cd" };

    for (unsigned n = 0; n < TICK86_DISKS; n++) {
        if (config->drives[n].kind == DRIVE_DISK) {
            set_disk(&cmos.disks[n], config->drives[n].backend->sectors);
        }
    }
    for (unsigned n = 0; n < TICK86_FLOPPIES; n++) {
        cmos.floppies[n] = floppy_type(&config->floppies[n]);
    }
    mc146818_set_pc_config(machine->chips[PC_RTC], &cmos);
}

static bool build(struct tick86 *machine, const struct tick86_config *config, struct error *err)
{
    machine->space = space_create(&machine->log);
    machine->ports = ports_create(&machine->log);
    if (machine->space == NULL || machine->ports == NULL) {
        return error_set(err, "out of memory for the machine");
    }
    if (!create_memories(machine, config, err) || !create_processors(machine, config, err) ||
        !create_chips(machine, config, err) || !add_firmware_files(machine, config, err)) {
        return false;
    }
    fill_cmos(machine, config);
    machine_reset(machine); /* again, now that the wires lead somewhere */
    return true;
}

struct tick86 *tick86_create(const struct tick86_config *config, struct error *err)
{
    if (!check_config(config, err)) {
        return NULL;
    }
    struct tick86 *machine = calloc(1, sizeof *machine);
    if (machine == NULL) {
        error_set(err, "out of memory for the machine");
        return NULL;
    }
    machine->run.dead_since_ns = CLOCK_NEVER;
    struct tick86_config own = *config;
    media_init(machine, &own);
    for (unsigned n = 0; n < TICK86_SERIAL_PORTS; n++) {
        own.serial[n] = front_sink(machine, n, config->serial[n]);
    }
    own.debugcon = front_sink(machine, TICK86_SERIAL_PORTS, config->debugcon);
    log_init(&machine->log, config->log_sink, config->log_context, config->log_level);
    clock_init(&machine->clock, config->ns_per_insn_q16 != 0 ? config->ns_per_insn_q16 : ONE_NS_AN_INSN, retired,
               deadline_is_sooner, machine);
    if (!build(machine, &own, err)) {
        tick86_destroy(machine);
        return NULL;
    }
    dirty_init(machine);
    return machine;
}

void tick86_destroy(struct tick86 *machine)
{
    if (machine == NULL) {
        return;
    }
    tick86_history_stop(machine);
    dirty_free(machine);
    input_list_free(&machine->gate.queue);
    for (unsigned chip = PC_CHIPS; chip-- > 0;) {
        device_destroy(machine->chips[chip]);
    }
    debug_destroy(machine);
    space_destroy(machine->space);
    ports_destroy(machine->ports);
    processors_destroy(machine);
    memory_destroy(&machine->ram);
    memory_destroy(&machine->vram);
    memory_destroy(&machine->bios);
    memory_destroy(&machine->vga_bios);
    nics_destroy_roms(machine);
    free(machine->bios_bytes);
    free(machine->vga_bios_bytes);
    free(machine);
}

/* ---- running ---- */

/* What a chip, the processor or the caller's sinks ask for, most urgent first. */
static bool take_stop(struct tick86 *machine, enum tick86_stop *stop)
{
    struct device *pins = machine->chips[PC_PINS];
    unsigned requests = cpu_pins_requests(pins);

    if (requests & REQUEST_DEBUG_EXIT) {
        cpu_pins_take(pins, REQUEST_DEBUG_EXIT);
        *stop = STOP_DEBUG_EXIT;
    } else if (requests & REQUEST_POWEROFF) {
        cpu_pins_take(pins, REQUEST_POWEROFF);
        *stop = STOP_POWEROFF;
    } else if (requests & REQUEST_RESET) {
        cpu_pins_take(pins, REQUEST_RESET);
        *stop = STOP_RESET;
    } else if (machine->cpu->halted_state == CPU_SHUTDOWN) {
        *stop = STOP_TRIPLE_FAULT;
    } else if (machine->is_stop_requested) {
        machine->is_stop_requested = false;
        *stop = STOP_REQUESTED;
    } else {
        return false;
    }
    return true;
}

/* Whether an interrupt could wake a processor from HLT. */
static bool can_be_woken(const struct tick86 *machine)
{
    for (unsigned n = 0; n < machine->cpu_count; n++) {
        if (machine->cpus[n]->halted_state == CPU_HALTED && (machine->cpus[n]->eflags & FLAG_IF) != 0) {
            return true;
        }
    }
    return false;
}

/* With all processors in HLT: lets time pass to the next event, but not past until_ns. A guest that halted with interrupts off gets one more
 * second, in which disks and serial ports finish what they were told. False when it is dead. */
static bool wait_for_event(struct tick86 *machine, uint64_t until_ns)
{
    uint64_t now = clock_now(&machine->clock);
    uint64_t next = clock_next_deadline(&machine->clock);
    uint64_t target = next < until_ns ? next : until_ns;

    if (can_be_woken(machine)) {
        machine->run.dead_since_ns = CLOCK_NEVER;
    } else {
        if (machine->run.dead_since_ns == CLOCK_NEVER) {
            machine->run.dead_since_ns = now;
        }
        uint64_t end = machine->run.dead_since_ns + NS_PER_SECOND;
        if (now >= end) {
            return false;
        }
        target = end < target ? end : target;
    }
    if (target == CLOCK_NEVER) {
        return false;
    }
    if (target > now) {
        clock_skip(&machine->clock, target - now);
    }
    return true;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Runs up to whatever comes first. `insns` is at least 1. */
static void run_slice(struct tick86 *machine, uint64_t until_ns, uint64_t insns)
{
    uint64_t deadline = smaller(smaller(clock_next_deadline(&machine->clock), schedule_turn_end(machine)), until_ns);
    uint64_t count = smaller(smaller(insns, SLICE_MAX), clock_insns_until(&machine->clock, deadline));

    if (machine->debug != NULL) {
        count = debug_limit(machine, count);
    }
    machine->run.dead_since_ns = CLOCK_NEVER;
    machine->is_running = true;
    cpu_run(machine->cpu, (uint32_t)count);
    machine->is_running = false;
}

enum tick86_stop tick86_run(struct tick86 *machine, uint64_t until_ns, uint64_t max_insns)
{
    uint64_t start = machine_icount(machine);
    uint64_t end = max_insns < UINT64_MAX - start ? start + max_insns : UINT64_MAX;
    enum tick86_stop stop;

    if (machine->debug != NULL) {
        debug_before_run(machine);
    }
    for (;;) {
        clock_run_due(&machine->clock);
        if (machine->debug != NULL && debug_take_stop(machine)) {
            return STOP_DEBUG;
        }
        if (take_stop(machine, &stop)) {
            return stop;
        }
        if (input_apply_due(machine)) {
            continue;
        }
        if (machine->debug != NULL && debug_step_is_done(machine)) {
            return STOP_BUDGET;
        }
        if (machine_icount(machine) >= end || clock_now(&machine->clock) >= until_ns) {
            return STOP_BUDGET;
        }
        uint64_t pause_ns = until_ns, pause = end;
        history_step(machine, &pause);
        pause_ns = smaller(pause_ns, history_pause_ns(machine));
        if (!input_limit(machine, &pause_ns, &pause)) {
            return STOP_MISSED;
        }
        if (!schedule_pick(machine)) {
            if (!wait_for_event(machine, pause_ns)) {
                return STOP_DEAD;
            }
        } else {
            run_slice(machine, pause_ns, pause - machine_icount(machine));
        }
    }
}

void tick86_request_stop(struct tick86 *machine)
{
    machine->is_stop_requested = true;
    if (machine->is_running) {
        cpu_request_stop(machine->cpu);
    }
}

uint64_t tick86_icount(const struct tick86 *machine)
{
    return machine_icount(machine);
}

uint64_t tick86_now_ns(const struct tick86 *machine)
{
    return clock_now(&machine->clock);
}

unsigned tick86_cpu_count(const struct tick86 *machine)
{
    return machine->cpu_count;
}

bool tick86_is_halted(const struct tick86 *machine)
{
    for (unsigned n = 0; n < machine->cpu_count; n++) {
        if (machine->cpus[n]->halted_state == CPU_RUNNING) {
            return false;
        }
    }
    return true;
}

uint64_t tick86_idle_until_ns(const struct tick86 *machine)
{
    return schedule_is_idle(machine) ? clock_next_deadline(&machine->clock) : 0;
}

uint32_t tick86_debug_exit_value(const struct tick86 *machine)
{
    const struct device *dev = machine->chips[PC_DEBUG_EXIT];

    return dev != NULL ? isa_debug_exit_value(dev) : 0;
}

/* ---- reset and load ---- */

void machine_reset(struct tick86 *machine)
{
    space_begin(machine->space);
    for (unsigned chip = 0; chip < PC_CHIPS; chip++) {
        struct device *dev = machine->chips[chip];
        if (dev != NULL && dev->class->reset != NULL) {
            dev->class->reset(dev);
        }
    }
    space_commit(machine->space);
    for (unsigned n = 0; n < machine->cpu_count; n++) {
        cpu_reset(machine->cpus[n], false);
    }
    schedule_reset(machine);
    /* Whoever drove a wire while it was reset asked for nothing. */
    cpu_pins_take(machine->chips[PC_PINS], REQUEST_DEBUG_EXIT | REQUEST_POWEROFF | REQUEST_RESET);
}

void machine_loaded(struct tick86 *machine)
{
    for (unsigned n = 0; n < machine->cpu_count; n++) {
        cpu_loaded(machine->cpus[n]);
    }
    schedule_loaded(machine);
}

void machine_revoke_writes(struct tick86 *machine)
{
    for (unsigned n = 0; n < machine->cpu_count; n++) {
        cpu_revoke_writes(machine->cpus[n]);
    }
}

/* ---- hash ---- */

void machine_canonical_cpu(const struct cpu *cpu, struct cpu *copy)
{
    *copy = *cpu;
    copy->flags_result = cpu_get_eflags(cpu);
    copy->flags_x = 0;
    copy->pending &= PENDING_DEBUG;
    if (copy->shadow_icount != cpu_icount(cpu)) {
        copy->shadow_icount = ~UINT64_C(0);
        copy->shadow_is_mov_ss = false;
    }
}

static uint64_t hash_cpu(const struct cpu *cpu, uint64_t seed)
{
    struct cpu copy;

    machine_canonical_cpu(cpu, &copy);
    return state_hash(cpu_fields, &copy, seed);
}

/* Pages of zeros count by being left out. */
static uint64_t hash_memory(const struct memory *memory, uint64_t seed)
{
    static const uint8_t zeros[GUEST_PAGE_SIZE];
    uint64_t hash = seed;

    for (uint64_t at = 0; at < memory->size; at += GUEST_PAGE_SIZE) {
        if (memcmp(&memory->host[at], zeros, GUEST_PAGE_SIZE) != 0) {
            hash = hash_bytes(hash ^ at, &memory->host[at], GUEST_PAGE_SIZE);
        }
    }
    return hash;
}

uint64_t tick86_hash(const struct tick86 *machine, bool with_ram)
{
    uint64_t hash = HASH_SEED;

    for (unsigned n = 0; n < machine->cpu_count; n++) {
        hash = hash_cpu(machine->cpus[n], hash);
    }
    if (machine->cpu_count > 1) {
        hash = state_hash(schedule_fields, &machine->schedule, hash);
    }
    hash = state_hash(clock_fields, &machine->clock, hash);
    for (unsigned chip = 0; chip < PC_CHIPS; chip++) {
        if (machine->chips[chip] != NULL) {
            hash = state_hash(machine->chips[chip]->class->fields, machine->chips[chip], hash);
        }
    }
    if (with_ram) {
        hash = hash_memory(&machine->vram, hash_memory(&machine->ram, hash));
    }
    return hash;
}

/* ---- looking at memory ---- */

bool tick86_read_physical(const struct tick86 *machine, uint64_t address, void *bytes, size_t size)
{
    uint8_t *out = bytes;

    while (size != 0) {
        uint64_t offset;
        const struct region *region = space_lookup(machine->space, address, &offset);
        size_t piece = GUEST_PAGE_SIZE - (size_t)(address % GUEST_PAGE_SIZE);
        piece = piece < size ? piece : size;
        if (region == NULL || region->kind != REGION_MEMORY) {
            return false;
        }
        memcpy(out, &region->memory->host[region->memory_offset + offset], piece);
        out += piece;
        address += piece;
        size -= piece;
    }
    return true;
}

bool tick86_read_linear(const struct tick86 *machine, uint64_t address, void *bytes, size_t size)
{
    uint8_t *out = bytes;

    while (size != 0) {
        phys_addr physical;
        size_t piece = GUEST_PAGE_SIZE - (size_t)(address % GUEST_PAGE_SIZE);
        piece = piece < size ? piece : size;
        if (!cpu_translate_debug(machine->cpu, address, &physical) ||
            !tick86_read_physical(machine, physical, out, piece)) {
            return false;
        }
        out += piece;
        address += piece;
        size -= piece;
    }
    return true;
}

void tick86_get_stats(const struct tick86 *machine, struct tick86_stats *stats)
{
    *stats = (struct tick86_stats){ 0 };
    for (unsigned n = 0; n < machine->cpu_count; n++) {
        const struct cpu_stats *from = &machine->cpus[n]->stats;
        stats->blocks_decoded += from->blocks_decoded;
        stats->blocks_retired += from->blocks_retired;
        stats->insns_decoded += from->insns_decoded;
        stats->dispatches += from->dispatches;
        stats->tlb_fills += from->tlb_fills;
        stats->tlb_flushes += from->tlb_flushes;
        stats->link_misses += from->link_misses;
        stats->slow_accesses += from->slow_accesses;
        stats->interrupts += from->interrupts;
        stats->io_accesses += from->io_accesses;
    }
}

struct log *tick86_log(struct tick86 *machine)
{
    return &machine->log;
}
