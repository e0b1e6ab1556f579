/* fuzz_cpu.c - garbage for the processor: random instructions in every mode, with random descriptor tables, gates, task
 * states, page tables and interrupts.
 *
 *     fuzz_cpu [--seconds N] [--rounds N] [--seed S] [--round FIRST] [--verbose]
 *
 * Each case runs twice: on a machine with block cache, chaining and fusion in one go, and on one that decodes every
 * instruction anew, in slices of random length. Processor, chips and RAM must end the same; where they do not, the
 * first instruction after which they differ is searched and shown. A round is 50 cases on the same two machines. */
#include "cpu/decode.h"
#include "cpu/system.h"
#include "cpu/system_private.h"
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CASES = 50,
    INSNS = 2500,
    GDT = 0x1000,
    IDT = 0x2000,
    LDT = 0x3000,
    TSS_A = 0x4000,
    TSS_B = 0x7000,
    TSS_C = 0x7800,
    CODE = 0x10000,
    CODE_BYTES = 0x3000,
    DATA = 0x20000,
    TABLES = 0x300000, /* page tables; no linear address leads here */
    DESCRIPTORS = 32
};

/* Selectors (RPL 0) with a fixed meaning; the other descriptors are random. */
enum {
    CODE0_32 = 0x08,
    DATA0_32 = 0x10,
    CODE3_32 = 0x18,
    DATA3_32 = 0x20,
    CODE0_16 = 0x28,
    DATA0_16 = 0x30,
    CODE3_16 = 0x38,
    DATA3_16 = 0x40,
    TSS_A_SEL = 0x48,
    TSS_B_SEL = 0x50,
    TSS_C_SEL = 0x58,
    LDT_SEL = 0x60,
    RANDOM_FIRST = 0x68
};

enum case_mode { REAL16, PROTECTED16, PROTECTED32, VM86, MODES };

static uint8_t bios[FUZZ_BIOS_BYTES];
static struct decoder *decoder;

/* ---- instructions ---- */

/* Appends one instruction: of the table's rows, or any bytes. Returns its length. */
static unsigned make_instruction(struct fuzz_random *r, uint8_t *at, unsigned mode)
{
    static const uint8_t prefixes[] = { 0x66, 0x66, 0x67, 0xf2, 0xf3, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0xf0 };
    uint8_t bytes[32];
    unsigned length = 0;
    struct decoded decoded;

    while (fuzz_one_in(r, 4) && length < 4) {
        bytes[length++] = prefixes[fuzz_below(r, sizeof prefixes)];
    }
    if (fuzz_one_in(r, 24)) {
        bytes[length++] = (uint8_t)fuzz_random32(r);
        bytes[length++] = (uint8_t)fuzz_random32(r);
    } else {
        const struct opcode *op = &opcodes[fuzz_below(r, (uint32_t)opcode_count)];
        if (op->prefix == PREFIX_66 || op->prefix == PREFIX_F2 || op->prefix == PREFIX_F3) {
            bytes[length++] = op->prefix == PREFIX_66 ? 0x66 : op->prefix == PREFIX_F2 ? 0xf2 : 0xf3;
        }
        if (op->map != MAP_1B) {
            bytes[length++] = 0x0f;
        }
        if (op->map == MAP_38 || op->map == MAP_3A) {
            bytes[length++] = op->map == MAP_38 ? 0x38 : 0x3a;
        }
        bytes[length++] = (uint8_t)(op->byte + fuzz_below(r, op->count));
        uint8_t modrm = (uint8_t)fuzz_random32(r);
        if (op->ext >= 0xc0) {
            modrm = op->ext;
        } else if (op->ext != EXT_NONE) {
            modrm = (uint8_t)((modrm & 0xc7) | (op->ext - EXT_R0) << 3);
        }
        bytes[length++] = modrm;
    }
    while (length < sizeof bytes) {
        uint32_t value = fuzz_value(r);
        for (unsigned n = 0; n < 4 && length < sizeof bytes; n++) {
            bytes[length++] = (uint8_t)(value >> (8 * n));
        }
    }
    decode(decoder, bytes, INSTRUCTION_MAX, mode, &decoded);
    length = decoded.length != 0 ? decoded.length : 1;
    memcpy(at, bytes, length);
    return length;
}

static void make_code(struct fuzz_random *r, uint8_t *ram, enum case_mode how)
{
    unsigned mode = (how == PROTECTED32 ? MODE_CODE32 : 0u) | (how == PROTECTED16 || how == PROTECTED32 ? MODE_PROTECTED : 0u);

    for (unsigned at = CODE; at < CODE + CODE_BYTES;) {
        if (fuzz_one_in(r, 12)) { /* a loop back, short */
            ram[at++] = (uint8_t)(0x70 + fuzz_below(r, 16));
            ram[at++] = (uint8_t)(0 - fuzz_below(r, 60));
        }
        at += make_instruction(r, ram + at, mode);
    }
}

/* ---- tables ---- */

static void put_descriptor(uint8_t *ram, uint32_t at, uint32_t base, uint32_t limit, uint32_t attributes)
{
    store_le32(ram + at, (limit & 0xffff) | base << 16);
    store_le32(ram + at + 4,
               (base >> 16 & 0xff) | (base & 0xff000000u) | (limit & 0xf0000) | (attributes & 0xf0ff) << 8);
}

static void put_gate(uint8_t *ram, uint32_t at, unsigned selector, uint32_t offset, unsigned type_dpl_p, unsigned count)
{
    store_le32(ram + at, (offset & 0xffff) | selector << 16);
    store_le32(ram + at + 4, (offset & 0xffff0000u) | type_dpl_p << 8 | count);
}

static uint32_t code_offset(struct fuzz_random *r)
{
    return CODE + fuzz_below(r, CODE_BYTES);
}

static unsigned any_selector(struct fuzz_random *r)
{
    return fuzz_below(r, DESCRIPTORS) * 8 + fuzz_below(r, 4) + (fuzz_one_in(r, 8) ? 4 : 0);
}

static void random_descriptor(struct fuzz_random *r, uint8_t *ram, uint32_t at)
{
    static const uint16_t gate_types[] = { 4, 5, 6, 7, 0xc, 0xe, 0xf };
    unsigned privilege = fuzz_below(r, 4) << 5;

    if (fuzz_one_in(r, 3)) {
        put_gate(ram, at, any_selector(r), code_offset(r), gate_types[fuzz_below(r, 7)] | privilege | 0x80,
                 fuzz_below(r, 4));
    } else {
        uint32_t limit = fuzz_one_in(r, 2) ? 0xfffff : fuzz_below(r, 0x30000);
        put_descriptor(ram, at, fuzz_one_in(r, 2) ? 0 : fuzz_below(r, 0x30000), limit,
                       (fuzz_random32(r) & 0xd01f) | privilege | (fuzz_one_in(r, 8) ? 0 : 0x80) |
                           (fuzz_one_in(r, 4) ? 0 : 0x10));
    }
}

static void make_tss(struct fuzz_random *r, uint8_t *ram, uint32_t base, bool is_32bit)
{
    bool is_vm86 = is_32bit && fuzz_one_in(r, 4);
    bool is_user = fuzz_one_in(r, 2);

    if (!is_32bit) {
        for (unsigned n = 0; n < 3; n++) {
            store_le16(ram + base + 2 + 4 * n, (uint16_t)(DATA + 0x800 * (n + 1)));
            store_le16(ram + base + 4 + 4 * n, n == 0 ? DATA0_16 : (uint16_t)any_selector(r));
        }
        store_le16(ram + base + 0x0e, (uint16_t)fuzz_below(r, CODE_BYTES));
        store_le16(ram + base + 0x10, (uint16_t)(fuzz_random32(r) & 0x0fd7));
        for (unsigned n = 0; n < 8; n++) {
            store_le16(ram + base + 0x12 + 2 * n, (uint16_t)fuzz_value(r));
        }
        store_le16(ram + base + 0x22, DATA0_16);
        store_le16(ram + base + 0x24, CODE0_16);
        store_le16(ram + base + 0x26, DATA0_16);
        store_le16(ram + base + 0x28, fuzz_one_in(r, 3) ? (uint16_t)any_selector(r) : DATA0_16);
        store_le16(ram + base + 0x2a, LDT_SEL);
        return;
    }
    for (unsigned n = 0; n < 3; n++) {
        store_le32(ram + base + 4 + 8 * n, DATA + 0x1800 + 0x800 * n);
        store_le32(ram + base + 8 + 8 * n, n == 0 ? DATA0_32 : any_selector(r));
    }
    store_le32(ram + base + 0x1c, TABLES);
    store_le32(ram + base + 0x20, code_offset(r) & (is_vm86 ? 0x3fffu : UINT32_MAX));
    store_le32(ram + base + 0x24, (fuzz_random32(r) & 0x7fd7) | (is_vm86 ? 0x23000 : 0));
    for (unsigned n = 0; n < 8; n++) {
        store_le32(ram + base + 0x28 + 4 * n, DATA + fuzz_below(r, 0x4000));
    }
    for (unsigned n = 0; n < 6; n++) {
        unsigned good = n == 1 ? (is_user ? CODE3_32 | 3u : CODE0_32) : (is_user ? DATA3_32 | 3u : DATA0_32);
        unsigned real = n == 1 ? CODE >> 4 : DATA >> 4;
        store_le32(ram + base + 0x48 + 4 * n, is_vm86 ? real : good);
    }
    store_le32(ram + base + 0x60, fuzz_one_in(r, 2) ? LDT_SEL : 0);
    store_le16(ram + base + 0x64, fuzz_one_in(r, 8));
    store_le16(ram + base + 0x66, (uint16_t)(0x68 + 32 * fuzz_below(r, 2)));
    for (unsigned n = 0x68; n < 0x68 + 0x2020; n++) {
        if (base == TSS_A) {
            ram[base + n] = fuzz_one_in(r, 3) ? (uint8_t)fuzz_random32(r) : 0;
        }
    }
}

static void make_tables(struct fuzz_random *r, uint8_t *ram, enum case_mode how)
{
    const uint32_t big = ATTR_DB | ATTR_G | ATTR_P | ATTR_S, small = ATTR_P | ATTR_S;
    uint32_t base16 = how == PROTECTED16 || fuzz_one_in(r, 2) ? CODE : 0;

    for (unsigned n = 0; n < 256; n++) { /* real mode vectors */
        store_le16(ram + 4 * n, (uint16_t)fuzz_below(r, CODE_BYTES));
        store_le16(ram + 4 * n + 2, CODE >> 4);
    }
    put_descriptor(ram, GDT + CODE0_32, 0, 0xfffff, big | 0xa);
    put_descriptor(ram, GDT + DATA0_32, 0, 0xfffff, big | 0x2);
    put_descriptor(ram, GDT + CODE3_32, 0, 0xfffff, big | 0xa | 0x60);
    put_descriptor(ram, GDT + DATA3_32, 0, 0xfffff, big | 0x2 | 0x60);
    put_descriptor(ram, GDT + CODE0_16, base16, 0xffff, small | 0xa);
    put_descriptor(ram, GDT + DATA0_16, DATA, 0xffff, small | 0x2);
    put_descriptor(ram, GDT + CODE3_16, base16, 0xffff, small | 0xa | 0x60);
    put_descriptor(ram, GDT + DATA3_16, DATA, 0xffff, small | 0x2 | 0x60);
    put_descriptor(ram, GDT + TSS_A_SEL, TSS_A, 0x2088, 0x8b);
    put_descriptor(ram, GDT + TSS_B_SEL, TSS_B, 0x67, 0x89 | 0x60);
    put_descriptor(ram, GDT + TSS_C_SEL, TSS_C, 0x2b, 0x81 | 0x60);
    put_descriptor(ram, GDT + LDT_SEL, LDT, 8 * DESCRIPTORS - 1, 0x82);
    for (unsigned at = RANDOM_FIRST; at < 8 * DESCRIPTORS; at += 8) {
        random_descriptor(r, ram, GDT + at);
    }
    for (unsigned at = 0; at < 8 * DESCRIPTORS; at += 8) {
        random_descriptor(r, ram, LDT + at);
    }
    for (unsigned n = 0; n < 256; n++) {
        static const uint8_t types[] = { 0x8e, 0x8f, 0xee, 0xef, 0x8e, 0xee, 0x86, 0xe7, 0xe5, 0x0e };
        unsigned type = types[fuzz_below(r, fuzz_one_in(r, 4) ? 10 : 6)];
        unsigned selector = (type & 0x1f) == 5 ? (fuzz_one_in(r, 2) ? TSS_B_SEL : TSS_C_SEL)
                            : (type & 8)       ? CODE0_32
                                               : CODE0_16;
        put_gate(ram, IDT + 8 * n, fuzz_one_in(r, 16) ? any_selector(r) : selector,
                 (type & 8) || base16 == 0 ? code_offset(r) : fuzz_below(r, CODE_BYTES), type, 0);
    }
    make_tss(r, ram, TSS_A, true);
    make_tss(r, ram, TSS_B, true);
    make_tss(r, ram, TSS_C, false);
}

/* Linear 0 to 3 MiB is itself, mostly; above are other views with other rights. */
static uint32_t page_flags(struct fuzz_random *r, uint32_t page)
{
    bool is_system = page < 0x10;

    if (is_system || !fuzz_one_in(r, 24)) {
        return 7;
    }
    return fuzz_random32(r) & 0x1ff;
}

static void make_paging32(struct fuzz_random *r, uint8_t *ram)
{
    for (unsigned n = 0; n < 1024; n++) {
        store_le32(ram + TABLES + 4 * n, n < 4 ? (TABLES + 0x1000 * (n + 1)) | 7 : 0);
        if (n >= 4 && n < 12) { /* large pages, of nothing and of the first 4 MiB's start only by way of small ones */
            store_le32(ram + TABLES + 4 * n, 0x40000000u * (n & 3) | 0x87 | (fuzz_random32(r) & 0x160));
        }
    }
    for (unsigned n = 0; n < 4096; n++) {
        uint32_t page = n & 0x3ff;
        store_le32(ram + TABLES + 0x1000 + 4 * n, page < 0x300 ? page << 12 | page_flags(r, n) : 0);
    }
}

static void make_paging_pae(struct fuzz_random *r, uint8_t *ram)
{
    memset(ram + TABLES, 0, 0x8000);
    for (unsigned n = 0; n < 4; n++) {
        store_le64(ram + TABLES + 8 * n, n == 0 || fuzz_one_in(r, 2) ? (TABLES + 0x1000) | 1 : 0);
    }
    for (unsigned n = 0; n < 8; n++) {
        uint64_t reserved = fuzz_one_in(r, 12) ? UINT64_C(1) << (36 + fuzz_below(r, 28)) : 0;
        store_le64(ram + TABLES + 0x1000 + 8 * n,
                   n < 4 ? (TABLES + 0x2000 + 0x1000 * n) | 7 : UINT64_C(0x40000000) * n | 0x87 | reserved);
    }
    for (unsigned n = 0; n < 2048; n++) {
        uint64_t page = n & 0x3ff;
        uint64_t reserved = n >= 0x10 && fuzz_one_in(r, 40) ? UINT64_C(1) << (36 + fuzz_below(r, 28)) : 0;
        store_le64(ram + TABLES + 0x2000 + 8 * n, page < 0x300 ? page << 12 | page_flags(r, n) | reserved : 0);
    }
}

/* ---- a case ---- */

static void set_segment(struct cpu *cpu, const uint8_t *ram, enum segment_index seg, unsigned selector)
{
    descriptor_unpack(load_le64(ram + GDT + (selector & ~7u)), (uint16_t)selector, &cpu->seg[seg]);
    cpu->seg[seg].attributes |= seg < SEG_LDTR ? ATTR_ACCESSED : 0;
}

static void set_registers(struct fuzz_random *r, struct cpu *cpu, const uint8_t *ram, enum case_mode how)
{
    bool is_user = fuzz_one_in(r, 2) || how == VM86;
    bool is_32bit = how == PROTECTED32;
    unsigned code = is_32bit ? (is_user ? CODE3_32 | 3u : CODE0_32) : (is_user ? CODE3_16 | 3u : CODE0_16);
    unsigned data = is_32bit ? (is_user ? DATA3_32 | 3u : DATA0_32) : (is_user ? DATA3_16 | 3u : DATA0_16);

    for (unsigned n = 0; n < 8; n++) {
        cpu->gpr[n] = fuzz_one_in(r, 3) ? fuzz_value(r) : fuzz_below(r, 0x4000) + (is_32bit ? DATA : 0);
    }
    cpu->gpr[REG_SP] = (is_32bit ? DATA : 0u) + 0x2000u + fuzz_below(r, 0x400) - (fuzz_one_in(r, 6) ? 1u : 0u);
    if (fuzz_one_in(r, 2)) {
        cpu->gpr[REG_CX] = fuzz_below(r, 300);
    }
    cpu->rip = how == PROTECTED32 ? code_offset(r) : fuzz_below(r, CODE_BYTES);
    if (how == REAL16 || how == VM86) {
        for (unsigned seg = 0; seg < SEG_LDTR; seg++) {
            cpu->seg[seg] = segment_vm86(seg == SEG_CS ? CODE >> 4 : (uint16_t)(DATA >> 4));
            cpu->seg[seg].attributes &= how == REAL16 ? ~(uint32_t)ATTR_DPL : UINT32_MAX;
        }
    } else {
        for (unsigned seg = 0; seg < SEG_LDTR; seg++) {
            set_segment(cpu, ram, (enum segment_index)seg, seg == SEG_CS ? code : data);
        }
        if (how == PROTECTED16 && load_le64(ram + GDT + CODE0_16) >> 16 == 0) {
            cpu->rip += CODE;
        }
    }
    cpu->gdtr.base = GDT;
    cpu->gdtr.limit = 8 * DESCRIPTORS - 1;
    cpu->idtr.base = how == REAL16 ? 0 : IDT;
    cpu->idtr.limit = how == REAL16 ? 0x3ff : 0x7ff;
    set_segment(cpu, ram, SEG_TR, TSS_A_SEL);
    set_segment(cpu, ram, SEG_LDTR, LDT_SEL);
    cpu->cpl = how == REAL16 ? 0 : is_user ? 3 : 0;
}

static void set_control(struct fuzz_random *r, struct cpu *cpu, uint8_t *ram, enum case_mode how)
{
    uint32_t flags = (fuzz_random32(r) & (FLAGS_STATUS | FLAG_DF | FLAG_IF | FLAG_AC)) | FLAG_1;

    cpu->cr0 = CR0_ET | (fuzz_random32(r) & (CR0_WP | CR0_AM | CR0_NE | CR0_MP)) | (how == REAL16 ? 0 : CR0_PE);
    cpu->cr4 = fuzz_random32(r) & (CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PGE);
    if (fuzz_one_in(r, 3)) {
        flags |= FLAG_IOPL & fuzz_random32(r);
    }
    flags |= fuzz_one_in(r, 12) ? FLAG_TF : 0;
    flags |= fuzz_one_in(r, 12) ? FLAG_NT : 0;
    flags |= how == VM86 ? FLAG_VM | (fuzz_one_in(r, 2) ? FLAG_IOPL : 0) : 0;
    for (unsigned n = 0; n < 4; n++) {
        cpu->dr[n] = fuzz_one_in(r, 2) ? code_offset(r) : DATA + fuzz_below(r, 0x4000);
    }
    cpu->dr[7] = 0x400 | (fuzz_one_in(r, 6) ? fuzz_random32(r) & 0xffff23ff : 0);
    cpu->cr3 = TABLES;
    if (how != REAL16 && fuzz_one_in(r, 2)) {
        cpu->cr0 |= CR0_PG;
        if (fuzz_one_in(r, 2)) {
            cpu->cr4 |= CR4_PAE;
            make_paging_pae(r, ram);
            for (unsigned n = 0; n < 4; n++) {
                cpu->pdpte[n] = load_le64(ram + TABLES + 8 * n);
            }
        } else {
            make_paging32(r, ram);
        }
    }
    cpu->sysenter_cs = CODE0_32;
    cpu->sysenter_esp = DATA + 0x3000;
    cpu->sysenter_eip = code_offset(r);
    cpu_set_eflags(cpu, flags);
}

/* Interrupts from the timer, often. */
static void set_chips(struct fuzz_random *r, struct tick86 *machine)
{
    static const uint8_t words[][2] = { { 0x20, 0x11 }, { 0x21, 0x20 }, { 0x21, 4 },   { 0x21, 3 },   { 0xa0, 0x11 }, { 0xa1, 0x28 },
                                        { 0xa1, 2 },    { 0xa1, 3 },    { 0x21, 0xfe }, { 0xa1, 0xff }, { 0x43, 0x14 } };

    for (unsigned n = 0; n < sizeof words / sizeof words[0]; n++) {
        ports_write(machine->ports, words[n][0], 1, words[n][1]);
    }
    ports_write(machine->ports, 0x40, 1, 2 + fuzz_below(r, 100));
    tick86_set_ratio(machine, UINT64_C(65536) * (1 + fuzz_below(r, 60)));
}

static void set_up(struct fuzz_random r, struct fuzz_machine *fuzz)
{
    enum case_mode how = (enum case_mode)fuzz_below(&r, MODES);
    struct cpu *cpu = fuzz->machine->cpu;

    memset(fuzz->ram, 0, FUZZ_RAM_BYTES);
    for (unsigned at = DATA; at < DATA + 0x5000; at++) {
        fuzz->ram[at] = (uint8_t)(fuzz_one_in(&r, 2) ? fuzz_random32(&r) : 0);
    }
    tick86_reset(fuzz->machine);
    make_code(&r, fuzz->ram, how);
    make_tables(&r, fuzz->ram, how);
    set_registers(&r, cpu, fuzz->ram, how);
    set_control(&r, cpu, fuzz->ram, how);
    set_chips(&r, fuzz->machine);
    cpu_loaded(cpu);
}

static enum tick86_stop run(struct fuzz_machine *fuzz, struct fuzz_random *slices, uint64_t insns)
{
    uint64_t start = tick86_icount(fuzz->machine), until = tick86_now_ns(fuzz->machine) + NS_PER_SECOND;
    enum tick86_stop stop = STOP_BUDGET;

    while (stop == STOP_BUDGET || stop == STOP_DEBUG_EXIT) {
        uint64_t left = insns - (tick86_icount(fuzz->machine) - start);
        if (left == 0 || tick86_now_ns(fuzz->machine) >= until) {
            break;
        }
        uint64_t slice = slices != NULL ? 1 + fuzz_below(slices, 40) : left;
        stop = tick86_run(fuzz->machine, until, slice < left ? slice : left);
    }
    return stop;
}

struct pair {
    struct fuzz_machine fast, slow;
};

/* Runs the case on both; true when they end the same. */
static bool play_case(struct pair *pair, struct fuzz_random random, uint64_t insns, bool is_shown)
{
    struct fuzz_random slices = random;

    set_up(random, &pair->fast);
    set_up(random, &pair->slow);
    enum tick86_stop a = run(&pair->fast, NULL, insns);
    enum tick86_stop b = run(&pair->slow, &slices, insns);
    bool is_same = a == b && tick86_icount(pair->fast.machine) == tick86_icount(pair->slow.machine) &&
                   tick86_hash(pair->fast.machine, false) == tick86_hash(pair->slow.machine, false) &&
                   memcmp(pair->fast.ram, pair->slow.ram, FUZZ_RAM_BYTES) == 0;
    if (is_shown) {
        fprintf(stderr, "stops %d %d, counts %" PRIu64 " %" PRIu64 "\n", (int)a, (int)b,
                tick86_icount(pair->fast.machine), tick86_icount(pair->slow.machine));
    }
    return is_same;
}

/* Plays the cases before `last` whole and `last` for `insns`. */
static bool replay(struct pair *pair, uint64_t seed, uint64_t round, unsigned last, uint64_t insns, bool is_shown)
{
    bool is_same = true;

    fuzz_machine_open(&pair->fast, bios, true);
    fuzz_machine_open(&pair->slow, bios, false);
    for (unsigned n = 0; n <= last; n++) {
        is_same = play_case(pair, fuzz_seed(seed, round * CASES + n), n == last ? insns : INSNS, is_shown && n == last);
    }
    return is_same;
}

static void close_pair(struct pair *pair)
{
    fuzz_machine_close(&pair->fast);
    fuzz_machine_close(&pair->slow);
}

static void put_text(void *context, const char *text)
{
    fputs(text, context);
}

static void show_place(struct fuzz_machine *fuzz)
{
    const struct cpu *cpu = fuzz->machine->cpu;
    uint64_t at = (cpu->seg[SEG_CS].base + cpu->rip) & 0xffffffffu;

    fprintf(stderr, "%04x:%08" PRIx64 " flags %06" PRIx32 " cpl %u, bytes at %08" PRIx64 ":", cpu->seg[SEG_CS].selector,
            cpu->rip, cpu_get_eflags(cpu), cpu->cpl, at);
    for (unsigned n = 0; n < 15; n++) {
        uint8_t byte = 0;
        tick86_read_linear(fuzz->machine, at + n, &byte, 1);
        fprintf(stderr, " %02x", byte);
    }
    fprintf(stderr, "\n");
}

static void show(struct fuzz_machine *fuzz)
{
    struct error err = { "", "" };

    tick86_info(fuzz->machine, "registers", put_text, stderr, &err);
    show_place(fuzz);
}

/* Finds the first instruction after which the two differ, and shows it. */
static void search(uint64_t seed, uint64_t round, unsigned which)
{
    static struct pair pair;
    uint64_t good = 0, bad = INSNS;

    while (bad - good > 1) {
        uint64_t middle = (good + bad) / 2;
        if (replay(&pair, seed, round, which, middle, false)) {
            good = middle;
        } else {
            bad = middle;
        }
        close_pair(&pair);
    }
    fprintf(stderr, "seed %" PRIu64 " round %" PRIu64 " case %u: the same after %" PRIu64 " instructions:\n", seed, round,
            which, good);
    for (uint64_t n = good < 8 ? 0 : good - 8; n < good; n++) { /* how they got here */
        replay(&pair, seed, round, which, n, false);
        show_place(&pair.fast);
        close_pair(&pair);
    }
    replay(&pair, seed, round, which, good, true);
    show(&pair.fast);
    close_pair(&pair);
    replay(&pair, seed, round, which, bad, true);
    fprintf(stderr, "after the next, with block cache:\n");
    show(&pair.fast);
    fprintf(stderr, "and without:\n");
    show(&pair.slow);
    fuzz_machine_differ(&pair.fast, &pair.slow);
    close_pair(&pair);
}

static uint64_t play_round(uint64_t seed, uint64_t round, bool *is_good)
{
    static struct pair pair;
    uint64_t hash = 0;

    fuzz_machine_open(&pair.fast, bios, true);
    fuzz_machine_open(&pair.slow, bios, false);
    for (unsigned n = 0; n < CASES; n++) {
        if (!play_case(&pair, fuzz_seed(seed, round * CASES + n), INSNS, false)) {
            *is_good = false;
            close_pair(&pair);
            search(seed, round, n);
            return hash;
        }
        hash = hash * UINT64_C(0x100000001b3) + tick86_hash(pair.fast.machine, false);
    }
    close_pair(&pair);
    return hash;
}

int main(int argc, char **argv)
{
    struct fuzz_options options = { .seconds = 0, .rounds = 0, .seed = 1 };
    uint64_t hash = 0, done = 0;
    bool is_good = true;

    if (!fuzz_options_read(&options, argc, argv)) {
        return 1;
    }
    if (options.seconds == 0 && options.rounds == 0) {
        options.seconds = 60;
    }
    decoder = decoder_create(NULL);
    if (decoder == NULL) {
        return 1;
    }
    memset(bios, 0xf4, sizeof bios);
    for (uint64_t round = options.first_round; is_good && (options.rounds == 0 || done < options.rounds); round++) {
        if (options.seconds != 0 && fuzz_seconds() >= (double)options.seconds) {
            break;
        }
        if (options.is_verbose) {
            fprintf(stderr, "seed %" PRIu64 " round %" PRIu64 "\n", options.seed, round);
        }
        hash = hash * UINT64_C(0x100000001b3) + play_round(options.seed, round, &is_good);
        done++;
    }
    decoder_destroy(decoder);
    printf("fuzz_cpu: seed %" PRIu64 ", %" PRIu64 " rounds, %" PRIu64 " cases, hash %016" PRIx64 "%s\n", options.seed,
           done, done * CASES, hash, is_good ? "" : ", FAILED");
    return is_good ? 0 : 1;
}
