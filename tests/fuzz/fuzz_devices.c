/* fuzz_devices.c - garbage for every device of a whole machine: port, memory and configuration accesses of every width,
 * commands with and without sense, DMA descriptors, time, inputs and resets.
 *
 *     fuzz_devices [--seconds N] [--rounds N] [--seed S] [--round FIRST] [--verbose]
 *
 * A round is 6,000 operations on a fresh machine. Half-way a second machine is loaded with its state, as a snapshot is,
 * and gets the same operations from then on: both must stay equal in every field and byte. What only looks (screen,
 * `info`) must change nothing. Crashes, hangs and undefined behaviour are for the sanitizers and the caller's timeout to
 * see. Prints the number of operations and a hash that depends on seed and rounds alone. */
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPERATIONS = 6000, BURST = 50 };

/* Interrupt handlers acknowledge and return; the program halts for ever. RAM may be overwritten by DMA: then the
 * processor runs garbage, which is welcome. */
static const uint8_t bios_code[] = {
    0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, /* cli; xor ax,ax; mov ds,ax; mov es,ax; mov ss,ax */
    0xbc, 0x00, 0x7c,                                     /* mov sp,7c00h */
    0x31, 0xff, 0xb9, 0x00, 0x01,                         /* xor di,di; mov cx,256 */
    0xb8, 0x40, 0x00, 0xab, 0xb8, 0x00, 0xf0, 0xab,       /* mov ax,40h; stosw; mov ax,f000h; stosw */
    0xe2, 0xf6,                                           /* loop */
    0xb0, 0x11, 0xe6, 0x20, 0xe6, 0xa0,                   /* both 8259: ICW1 */
    0xb0, 0x08, 0xe6, 0x21, 0xb0, 0x70, 0xe6, 0xa1, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x02, 0xe6, 0xa1,
    0xb0, 0x01, 0xe6, 0x21, 0xe6, 0xa1,                   /* ICW4 */
    0x90, 0x90, 0x90, 0x90, 0xeb, 0x0e,                   /* to the end of the handler */
};
static const uint8_t bios_handler[] = { 0x50, 0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20, 0x58, 0xcf }; /* at 40h */
static const uint8_t bios_loop[] = { 0xfb, 0xf4, 0xeb, 0xfc };                                  /* at 60h: sti; hlt */

static uint8_t bios[FUZZ_BIOS_BYTES];

static void make_bios(void)
{
    memset(bios, 0x90, sizeof bios);
    memcpy(bios + 0x100, bios_code, sizeof bios_code);
    bios[0x100 + sizeof bios_code - 2] = 0xe9; /* jmp 60h */
    uint16_t next = (uint16_t)(0x100 + sizeof bios_code + 1);
    store_le16(bios + next - 2, (uint16_t)(0x60 - next));
    memcpy(bios + 0x40, bios_handler, sizeof bios_handler);
    memcpy(bios + 0x60, bios_loop, sizeof bios_loop);
    bios[0xfff0] = 0xe9;
    store_le16(bios + 0xfff1, (uint16_t)(0x100 - 0xfff3));
}

/* One machine with its own generator: two that are in step draw the same numbers. */
struct player {
    struct fuzz_machine fuzz;
    struct fuzz_random random;
    struct tick86 *machine; /* = fuzz.machine */
    uint32_t bus_master;    /* I/O base of the IDE function as last programmed */
    uint32_t power;         /* I/O base of the power management */
    uint32_t framebuffer, vga_registers;
    bool is_cd_loaded; /* a medium is in the drive: the host's part, which a snapshot does not hold */
};

static uint32_t below(struct player *p, uint32_t limit) { return fuzz_below(&p->random, limit); }
static uint32_t value(struct player *p) { return fuzz_value(&p->random); }
static bool one_in(struct player *p, uint32_t n) { return fuzz_one_in(&p->random, n); }

static unsigned width(struct player *p)
{
    return 1u << below(p, 3);
}

static uint32_t in(struct player *p, uint32_t port, unsigned size)
{
    return ports_read(p->machine->ports, (uint16_t)port, size);
}

static void out(struct player *p, uint32_t port, unsigned size, uint32_t word)
{
    ports_write(p->machine->ports, (uint16_t)port, size, word);
}

static uint32_t ram_address(struct player *p)
{
    uint32_t at = below(p, FUZZ_RAM_BYTES);

    return one_in(p, 2) ? at & ~UINT32_C(3) : one_in(p, 2) ? (at & ~UINT32_C(0xfff)) - below(p, 8) : at;
}

/* Anywhere a bus master may point: RAM, its end, registers, nothing. */
static uint32_t any_address(struct player *p)
{
    switch (below(p, 10)) {
    case 0:
        return 0xa0000 + below(p, 0x20000);
    case 1:
        return p->framebuffer + below(p, FUZZ_VRAM_BYTES + 64) - 32;
    case 2:
        return p->vga_registers + below(p, 0x1000);
    case 3:
        return 0xc0000 + below(p, 0x40000);
    case 4:
        return UINT32_C(0xffff0000) + below(p, 0x10000);
    case 5:
        return FUZZ_RAM_BYTES - 16 + below(p, 32);
    case 6:
        return fuzz_random32(&p->random);
    default:
        return ram_address(p);
    }
}

/* ---- noise ---- */

struct port_pick {
    unsigned wanted, seen;
    unsigned first, last;
};

static void pick_range(void *context, unsigned first, unsigned last, const char *name)
{
    struct port_pick *pick = context;

    (void)name;
    if (pick->seen++ == pick->wanted) {
        pick->first = first;
        pick->last = last;
    }
}

static uint32_t random_port(struct player *p)
{
    struct port_pick pick = { .wanted = UINT32_MAX };

    if (one_in(p, 12)) {
        return below(p, 0x10000);
    }
    ports_visit(p->machine->ports, pick_range, &pick);
    pick.wanted = below(p, pick.seen);
    pick.seen = 0;
    ports_visit(p->machine->ports, pick_range, &pick);
    return (pick.first + below(p, pick.last - pick.first + 1) - (one_in(p, 16) ? 1 : 0)) & 0xffff;
}

static void op_port(struct player *p)
{
    uint32_t port = random_port(p);

    for (unsigned n = 1 + below(p, 3); n != 0; n--) {
        if (one_in(p, 3)) {
            in(p, port, width(p));
        } else {
            out(p, port, width(p), value(p));
        }
    }
}

static void op_memory(struct player *p)
{
    uint8_t bytes[3000];
    uint64_t at = any_address(p);

    if (one_in(p, 10)) {
        at |= (uint64_t)below(p, 32) << 32;
    }
    switch (below(p, 5)) {
    case 0:
    case 1:
        space_write(p->machine->space, at, 1u << below(p, 4), (uint64_t)value(p) << 32 | value(p));
        break;
    case 2:
        memset(bytes, (int)value(p), sizeof bytes);
        space_write_bytes(p->machine->space, at, bytes, below(p, sizeof bytes));
        break;
    case 3:
        space_read_bytes(p->machine->space, at, bytes, below(p, sizeof bytes));
        break;
    default:
        space_read(p->machine->space, at, 1u << below(p, 4));
        break;
    }
}

/* Registers behind an index. */
static void op_indexed(struct player *p)
{
    static const struct {
        uint16_t index, data;
        uint8_t limit, size;
    } pairs[] = { { 0x70, 0x71, 128, 1 },   { 0x72, 0x73, 128, 1 },   { 0x3c4, 0x3c5, 8, 1 },    { 0x3ce, 0x3cf, 10, 1 },
                  { 0x3d4, 0x3d5, 32, 1 },  { 0x3b4, 0x3b5, 32, 1 },  { 0x3c0, 0x3c0, 32, 1 },   { 0x3c8, 0x3c9, 255, 1 },
                  { 0x1ce, 0x1cf, 12, 2 },  { 0x1ce, 0x1d0, 12, 2 },  { 0x510, 0x511, 64, 2 },   { 0x20, 0x21, 32, 1 },
                  { 0xa0, 0xa1, 32, 1 },    { 0x43, 0x40, 255, 1 },   { 0x43, 0x42, 255, 1 },    { 0x64, 0x60, 255, 1 },
                  { 0x3fb, 0x3f8, 255, 1 }, { 0xb2, 0xb3, 255, 1 },   { 0x0d, 0x0b, 255, 1 },    { 0x61, 0x61, 255, 1 } };
    unsigned n = below(p, sizeof pairs / sizeof pairs[0]);

    out(p, pairs[n].index, pairs[n].size, one_in(p, 8) ? value(p) : below(p, pairs[n].limit));
    for (unsigned times = 1 + below(p, 4); times != 0; times--) {
        if (one_in(p, 4)) {
            in(p, pairs[n].data, one_in(p, 8) ? width(p) : pairs[n].size);
        } else {
            out(p, pairs[n].data, one_in(p, 8) ? width(p) : pairs[n].size, value(p));
        }
    }
}

/* ---- PCI ---- */

static void config_write(struct player *p, unsigned devfn, unsigned offset, unsigned size, uint32_t word)
{
    out(p, 0xcf8, 4, UINT32_C(0x80000000) | devfn << 8 | (offset & 0xfc));
    out(p, 0xcfc + (offset & 3), size, word);
}

static const uint8_t functions[] = { 0x00, 0x08, 0x09, 0x0b, 0x10 };

static void op_config(struct player *p)
{
    unsigned devfn = one_in(p, 8) ? below(p, 256) : functions[below(p, sizeof functions)];
    unsigned offset = one_in(p, 2) ? below(p, 256) : 4 * below(p, 16);
    unsigned size = width(p);

    out(p, 0xcf8, one_in(p, 20) ? 1 : 4, (one_in(p, 20) ? 0 : UINT32_C(0x80000000)) | devfn << 8 | (offset & 0xfc));
    if (one_in(p, 3)) {
        in(p, 0xcfc + (offset & 3), size);
    } else {
        out(p, 0xcfc + (offset & 3), size, value(p));
    }
}

/* Base addresses that firmware would choose, and some that it would not: over RAM, over other chips, over each other. */
static void op_bars(struct player *p)
{
    static const uint32_t homes[] = { 0xe0000000, 0xfd000000, 0x00100000, 0x000a0000, 0xfffff000, 0x000c0000, 0x01000000 };
    static const uint32_t port_homes[] = { 0xc000, 0xb000, 0x0600, 0x01f0, 0x0020, 0x03c0, 0xfff0, 0x0cf0, 0x0000 };

    switch (below(p, 5)) {
    case 0:
        p->framebuffer = homes[below(p, 7)];
        config_write(p, 0x10, 0x10, 4, p->framebuffer);
        break;
    case 1:
        p->vga_registers = homes[below(p, 7)] + 0x1000 * below(p, 3);
        config_write(p, 0x10, 0x18, 4, p->vga_registers);
        break;
    case 2:
        config_write(p, 0x10, 0x30, 4, homes[below(p, 7)] | below(p, 2));
        break;
    case 3:
        p->bus_master = port_homes[below(p, 9)];
        config_write(p, 0x09, 0x20, 4, p->bus_master | 1);
        break;
    default:
        p->power = port_homes[below(p, 9)];
        config_write(p, 0x0b, one_in(p, 2) ? 0x40 : 0x90, 4, p->power | 1);
        config_write(p, 0x0b, one_in(p, 2) ? 0x80 : 0xd2, 1, one_in(p, 4) ? value(p) : 1);
        break;
    }
    config_write(p, functions[below(p, 5)], 4, 2, one_in(p, 4) ? value(p) : 7);
    if (one_in(p, 4)) { /* PAM and SMRAM */
        config_write(p, 0, 0x59 + below(p, 8), 1, below(p, 256));
        config_write(p, 0, 0x72, 1, below(p, 256));
    }
}

/* ---- IDE ---- */

/* Physical region descriptors: SFF-8038i. */
static void make_descriptors(struct player *p, uint32_t base)
{
    uint32_t table = one_in(p, 10) ? any_address(p) : ram_address(p) & ~UINT32_C(3);

    for (unsigned n = 0; n < 1 + below(p, 6); n++) {
        uint32_t count = one_in(p, 3) ? fuzz_random32(&p->random) & 0xffff : 512 * below(p, 9);
        space_write(p->machine->space, table + 8 * n, 4, any_address(p));
        space_write(p->machine->space, table + 8 * n + 4, 4, count | (one_in(p, 3) ? UINT32_C(0x80000000) : 0));
    }
    out(p, base + 4, 4, table);
    out(p, base + 2, 1, one_in(p, 4) ? value(p) : 6);
}

static void transfer_words(struct player *p, uint32_t base)
{
    for (unsigned n = below(p, one_in(p, 6) ? 2200 : 300); n != 0; n--) {
        switch (below(p, 40)) {
        case 0:
            in(p, base + 7, 1);
            break;
        case 1:
            in(p, base + 0x206, 1);
            break;
        case 2:
            out(p, base, 4, fuzz_random32(&p->random));
            break;
        case 3:
            in(p, base, 4);
            break;
        case 4:
            clock_skip(&p->machine->clock, below(p, 100000));
            clock_run_due(&p->machine->clock);
            break;
        default:
            if (n & 1) {
                in(p, base, 2);
            } else {
                out(p, base, 2, fuzz_random32(&p->random) & 0xffff);
            }
            break;
        }
    }
}

static void packet(struct player *p, uint32_t base)
{
    static const uint8_t commands[] = { 0x00, 0x03, 0x12, 0x1b, 0x1e, 0x25, 0x28, 0xa8, 0x2b, 0x42, 0x43, 0x46, 0x4a,
                                        0x51, 0x52, 0x5a, 0x55, 0xa1, 0xad, 0xbd, 0xbe, 0xb9, 0xa4, 0x35, 0x2f, 0x4e };
    uint8_t bytes[12];

    for (unsigned n = 0; n < 12; n++) {
        bytes[n] = one_in(p, 3) ? (uint8_t)value(p) : 0;
    }
    bytes[0] = one_in(p, 10) ? (uint8_t)value(p) : commands[below(p, sizeof commands)];
    for (unsigned n = 0; n < 12; n += 2) {
        out(p, base, 2, load_le16(bytes + n));
    }
}

static void op_ide(struct player *p)
{
    static const uint8_t commands[] = { 0xec, 0xa1, 0xa0, 0xa0, 0xa0, 0x20, 0x21, 0x24, 0x29, 0xc4, 0xc5, 0xc6, 0xc8, 0xca,
                                        0x25, 0x35, 0x30, 0x31, 0x34, 0x39, 0x40, 0x42, 0x70, 0x90, 0x91, 0xe7, 0xea, 0xef,
                                        0xe0, 0xe1, 0xe2, 0xe3, 0xe5, 0xe6, 0xf8, 0xf9, 0x27, 0x37, 0x08, 0x10, 0xc7, 0xcc };
    unsigned channel = below(p, 2);
    uint32_t base = channel ? 0x170 : 0x1f0;
    uint32_t master = p->bus_master + 8 * channel;

    out(p, base + 6, 1, 0xa0 | below(p, 2) << 4 | below(p, 2) << 6 | (one_in(p, 2) ? 0 : below(p, 16)));
    for (unsigned twice = one_in(p, 3) ? 2 : 1; twice != 0; twice--) {
        out(p, base + 1, 1, one_in(p, 2) ? value(p) : below(p, 4));
        for (unsigned reg = 2; reg < 6; reg++) {
            out(p, base + reg, 1, one_in(p, 3) ? value(p) : below(p, 4));
        }
    }
    if (one_in(p, 2)) {
        make_descriptors(p, master);
    }
    uint8_t command = one_in(p, 8) ? (uint8_t)value(p) : commands[below(p, sizeof commands)];
    out(p, base + 7, 1, command);
    if (command == 0xa0) {
        clock_skip(&p->machine->clock, below(p, 1000000));
        clock_run_due(&p->machine->clock);
        packet(p, base);
    }
    if (one_in(p, 2)) {
        out(p, master, 1, one_in(p, 4) ? value(p) : below(p, 2) << 3 | 1);
    }
    transfer_words(p, base);
    if (one_in(p, 6)) {
        out(p, base + 0x206, 1, below(p, 8)); /* SRST, nIEN */
    }
    if (one_in(p, 3)) {
        in(p, master + 2, 1);
        out(p, master, 1, 0);
    }
}

/* ---- the others ---- */

static void op_fw_cfg(struct player *p)
{
    uint32_t at = one_in(p, 8) ? any_address(p) : ram_address(p);
    uint32_t control = below(p, 32) | (one_in(p, 2) ? below(p, 48) << 16 | 8 : 0);
    uint8_t block[16];

    if (one_in(p, 10)) {
        control = fuzz_random32(&p->random);
    }
    uint32_t fields[4] = { control, one_in(p, 4) ? value(p) : below(p, 5000), one_in(p, 10) ? value(p) : 0, any_address(p) };
    for (unsigned n = 0; n < 16; n++) {
        block[n] = (uint8_t)(fields[n / 4] >> (24 - 8 * (n % 4)));
    }
    space_write_bytes(p->machine->space, at, block, sizeof block);
    uint32_t swapped = at >> 24 | (at >> 8 & 0xff00) | (at << 8 & 0xff0000) | at << 24;
    out(p, 0x514, 4, one_in(p, 8) ? value(p) : 0);
    out(p, 0x518, 4, swapped);
}

static void op_dma(struct player *p)
{
    static const uint8_t pages[] = { 0x87, 0x83, 0x81, 0x82, 0x8f, 0x8b, 0x89, 0x8a };
    unsigned channel = below(p, 8);
    unsigned base = channel < 4 ? 0 : 0xc0, step = channel < 4 ? 1 : 2;

    out(p, base + 0xc * step, 1, 0);
    for (unsigned n = 0; n < 4; n++) {
        out(p, base + (2 * (channel & 3) + n / 2) * step, 1, value(p));
    }
    out(p, pages[channel], 1, value(p));
    out(p, base + 0xb * step, 1, value(p));
    out(p, base + (8 + below(p, 8)) * step, 1, value(p));
    in(p, base + below(p, 16) * step, width(p));
}

static void op_keyboard(struct player *p)
{
    static const uint8_t to_port[] = { 0x20, 0x60, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xad, 0xae, 0xc0, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xfe };
    static const uint8_t to_device[] = { 0xed, 0xee, 0xf0, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xff, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xeb, 0xec };

    switch (below(p, 6)) {
    case 0:
        tick86_key(p->machine, (enum key_code)below(p, 256), one_in(p, 2));
        break;
    case 1:
        tick86_mouse(p->machine, (int)value(p), (int)value(p), (int)below(p, 9) - 4, below(p, 32));
        break;
    case 2:
        out(p, 0x64, 1, to_port[below(p, sizeof to_port - (one_in(p, 8) ? 0 : 1))]);
        break;
    case 3:
        out(p, 0x64, 1, 0xd4);
        out(p, 0x60, 1, to_device[below(p, sizeof to_device)]);
        break;
    case 4:
        out(p, 0x60, 1, one_in(p, 2) ? to_device[below(p, sizeof to_device)] : value(p));
        break;
    default:
        in(p, 0x64, 1);
        in(p, 0x60, 1);
        break;
    }
}

static void op_serial(struct player *p)
{
    uint8_t bytes[300];
    unsigned port = below(p, 2);
    uint32_t base = port ? 0x2f8 : 0x3f8;

    switch (below(p, 4)) {
    case 0:
        memset(bytes, (int)value(p), sizeof bytes);
        tick86_serial_input(p->machine, port, bytes, below(p, sizeof bytes));
        break;
    case 1:
        tick86_serial_break(p->machine, port);
        break;
    case 2: /* divisor */
        out(p, base + 3, 1, 0x80 | below(p, 128));
        out(p, base, 1, value(p));
        out(p, base + 1, 1, one_in(p, 2) ? 0 : value(p));
        out(p, base + 3, 1, below(p, 128));
        break;
    default:
        for (unsigned n = 0; n < 20; n++) {
            if (one_in(p, 2)) {
                out(p, base + below(p, 8), 1, value(p));
            } else {
                in(p, base + below(p, 8), 1);
            }
        }
        break;
    }
}

static void op_medium(struct player *p)
{
    struct error err = { "", "" };

    unsigned drive = below(p, 4);
    bool inserts = one_in(p, 2);

    if (tick86_change_medium(p->machine, drive, inserts ? &p->fuzz.backends[2] : NULL, one_in(p, 2), &err)) {
        p->is_cd_loaded = inserts;
    }
}

static void op_input(struct player *p)
{
    switch (below(p, 6)) {
    case 0:
        tick86_power_button(p->machine);
        break;
    case 1:
        tick86_nmi(p->machine);
        break;
    case 2:
        tick86_set_ratio(p->machine, one_in(p, 4) ? value(p) : 65536);
        break;
    case 3:
        if (one_in(p, 10)) {
            tick86_reset(p->machine);
        }
        break;
    case 4:
        tick86_request_stop(p->machine);
        break;
    default:
        op_medium(p);
        break;
    }
}

/* Bits at random, 2^0 to 2^33 ns. */
static uint64_t some_time(struct player *p)
{
    return (uint64_t)fuzz_random32(&p->random) << 2 >> below(p, 34);
}

static void op_time(struct player *p)
{
    uint64_t until = tick86_now_ns(p->machine) + some_time(p);

    switch (tick86_run(p->machine, until, 1 + below(p, 3000))) {
    case STOP_RESET:
    case STOP_TRIPLE_FAULT:
    case STOP_POWEROFF:
    case STOP_DEBUG:
    case STOP_DEAD:
        tick86_reset(p->machine);
        break;
    case STOP_BUDGET:
    case STOP_DEBUG_EXIT:
    case STOP_REQUESTED:
    case STOP_MISSED:
        break;
    }
}

/* ---- looking must not be seen ---- */

static void ignore_text(void *context, const char *text)
{
    size_t *size = context;

    *size += strlen(text);
}

static void look(struct player *p)
{
    static const char *const names[] = { "registers", "pic", "tlb", "mem", "qtree", "mtree", "clock", "log", "nonsense" };
    static struct screen screen;
    static uint32_t pixels[1024 * 768];
    static char text[70000];
    struct error err = { "", "" };
    size_t size = 0;
    unsigned x, y, chip = below(p, PC_CHIPS);
    uint8_t bytes[64];
    uint64_t before = tick86_hash(p->machine, false);

    tick86_describe_screen(p->machine, &screen);
    tick86_render_screen(p->machine, pixels, 1024, 1 + below(p, 1024), 1 + below(p, 768), &x, &y);
    tick86_screen_text(p->machine, text, 1 + below(p, sizeof text));
    tick86_screen_generation(p->machine);
    tick86_info(p->machine, names[below(p, 9)], ignore_text, &size, &err);
    if (p->machine->chips[chip] != NULL) {
        tick86_info(p->machine, p->machine->chips[chip]->name, ignore_text, &size, &err);
    }
    tick86_read_physical(p->machine, any_address(p), bytes, below(p, sizeof bytes));
    tick86_read_linear(p->machine, fuzz_random32(&p->random), bytes, below(p, sizeof bytes));
    if (tick86_hash(p->machine, false) != before) {
        fprintf(stderr, "fuzz_devices: looking changed the machine\n");
        abort();
    }
}

/* ---- rounds ---- */

static void operate(struct player *p)
{
    static const struct {
        void (*run)(struct player *p);
        unsigned weight;
    } table[] = { { op_port, 30 },    { op_memory, 12 }, { op_indexed, 16 }, { op_config, 8 }, { op_bars, 4 },  { op_ide, 6 },
                  { op_fw_cfg, 4 },   { op_dma, 3 },     { op_keyboard, 6 }, { op_serial, 4 }, { op_input, 3 }, { op_time, 8 } };
    unsigned total = 0, chosen;

    for (unsigned n = 0; n < sizeof table / sizeof table[0]; n++) {
        total += table[n].weight;
    }
    chosen = below(p, total);
    for (unsigned n = 0;; n++) {
        if (chosen < table[n].weight) {
            table[n].run(p);
            return;
        }
        chosen -= table[n].weight;
    }
}

static void player_open(struct player *p, struct fuzz_random random)
{
    memset(p, 0, sizeof *p);
    fuzz_machine_open(&p->fuzz, bios, true);
    p->machine = p->fuzz.machine;
    p->random = random;
    p->is_cd_loaded = true;
    p->bus_master = 0xc000;
    p->power = 0xb000;
    p->framebuffer = 0xe0000000;
    p->vga_registers = 0xfebd0000;
}

/* A second player in the state of the first. */
static void player_copy(struct player *to, struct player *from)
{
    struct error err = { "", "" };

    player_open(to, from->random);
    to->is_cd_loaded = from->is_cd_loaded;
    if (!to->is_cd_loaded && !tick86_change_medium(to->machine, 2, NULL, true, &err)) {
        fprintf(stderr, "fuzz_devices: %s\n", err.message);
        abort();
    }
    fuzz_machine_copy(&to->fuzz, &from->fuzz);
    to->bus_master = from->bus_master;
    to->power = from->power;
    to->framebuffer = from->framebuffer;
    to->vga_registers = from->vga_registers;
}

static void expect_same(struct player *a, struct player *b, const char *when, bool with_ram)
{
    if (tick86_hash(a->machine, with_ram) != tick86_hash(b->machine, with_ram) || a->random.state != b->random.state) {
        fprintf(stderr, "fuzz_devices: a copy of the machine is not the same %s\n", when);
        fuzz_machine_differ(&a->fuzz, &b->fuzz);
        abort();
    }
}

static uint64_t play_round(struct fuzz_random random)
{
    static struct player first, second;
    uint64_t hash;

    player_open(&first, random);
    for (unsigned n = 0; n < OPERATIONS / 2; n++) {
        operate(&first);
        if (n % BURST == 0) {
            look(&first);
        }
    }
    player_copy(&second, &first);
    expect_same(&first, &second, "after loading", true);
    for (unsigned n = 0; n < OPERATIONS / 2; n++) {
        operate(&first);
        operate(&second);
        if (n % BURST == 0) {
            expect_same(&first, &second, "some operations later", false);
        }
    }
    expect_same(&first, &second, "at the end", true);
    hash = tick86_hash(first.machine, true);
    fuzz_machine_close(&first.fuzz);
    fuzz_machine_close(&second.fuzz);
    return hash;
}

int main(int argc, char **argv)
{
    struct fuzz_options options = { .seconds = 0, .rounds = 0, .seed = 1 };
    uint64_t hash = 0, done = 0;

    if (!fuzz_options_read(&options, argc, argv)) {
        return 1;
    }
    if (options.seconds == 0 && options.rounds == 0) {
        options.seconds = 60;
    }
    make_bios();
    for (uint64_t round = options.first_round; options.rounds == 0 || done < options.rounds; round++) {
        if (options.seconds != 0 && fuzz_seconds() >= (double)options.seconds) {
            break;
        }
        if (options.is_verbose) {
            fprintf(stderr, "seed %" PRIu64 " round %" PRIu64 "\n", options.seed, round);
        }
        hash = hash * UINT64_C(0x100000001b3) + play_round(fuzz_seed(options.seed, round));
        done++;
    }
    printf("fuzz_devices: seed %" PRIu64 ", %" PRIu64 " rounds, %" PRIu64 " operations, hash %016" PRIx64 "\n",
           options.seed, done, done * OPERATIONS, hash);
    return 0;
}
