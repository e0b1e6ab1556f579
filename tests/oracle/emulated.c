/* emulated.c - the interpreter's side: a processor at CPL 3 with PAE paging, whose exceptions end the run.
 *
 * Every vector has an interrupt gate to a HLT of its own at CPL 0; the frame on the ring-0 stack tells what user mode
 * looked like. Selectors, descriptors and page protections are those of the native side. */
#include "cpu/cpu.h"
#include "cpu/system.h"
#include "tests/oracle/oracle.h"

#include <stdlib.h>
#include <string.h>

enum { RAM_SIZE = 1 << 20 };
/* Physical pages. The windows lie behind. */
enum {
    P_PDPT = 0x1000, P_DIRECTORY_LOW = 0x2000, P_DIRECTORY_HIGH = 0x3000, P_DIRECTORY_KERNEL = 0x4000,
    P_TABLE_LOW = 0x5000, P_TABLE_HIGH = 0x6000, P_TABLE_KERNEL = 0x7000, P_KERNEL = 0x8000, P_PML4 = 0xc000,
    P_WINDOWS = 0x10000
};
/* Linear addresses of the supervisor, which user mode cannot reach. */
#define KERNEL UINT32_C(0xc0000000)
enum { K_GDT = 0, K_LDT = 0x200, K_IDT = 0x400, K_TSS = 0xc00, K_STUBS = 0x1000, K_STACK_TOP = 0x3000, K_IDT64 = 0x3000, K_PAGES = 4 };
enum { STUB_BYTES = 16, GDT_LIMIT = 0x7f, KERNEL_CODE = 0x08, KERNEL_CODE64 = 0x10, KERNEL_STACK = 0x18, SELECTOR_TSS = 0x40, SELECTOR_LDT = 0x50 };
enum { RUN_LIMIT = 100000 };

static uint8_t *ram;
/* Without and with the block cache; the same in IA-32e mode. */
enum { PROCESSORS = 4, LONG_MODE = 2 };
static struct cpu *cpus[PROCESSORS];
static struct memory memories[PROCESSORS];
static struct region regions[PROCESSORS];
static struct clock machine_clock;
static struct log machine_log;
static uint8_t *rams[PROCESSORS];
static unsigned current; /* the one that runs */

static int no_interrupt(void *context)
{
    (void)context;
    return -1;
}

static void put64(uint32_t at, uint64_t value) { store_le64(ram + at, value); }

static uint64_t descriptor(uint32_t base, uint32_t limit, uint32_t attributes)
{
    return (uint64_t)(base & 0xff000000) << 32 | (uint64_t)(attributes & 0xf0ff) << 40 |
           (uint64_t)(limit & 0xf0000) << 32 | (uint64_t)(base & 0xffffff) << 16 | (limit & 0xffff);
}

static void build_tables(void)
{
    /* GDT of a 64-bit Linux kernel: arch/x86/include/asm/segment.h documents the selectors. */
    static const uint16_t linux_gdt[7] = { 0, 0xc09b, 0xa09b, 0xc093, 0xc0fb, 0xc0f3, 0xa0fb };

    for (unsigned k = 1; k < 7; k++) {
        put64(P_KERNEL + K_GDT + 8 * k, descriptor(0, 0xfffff, linux_gdt[k]));
    }
    put64(P_KERNEL + K_GDT + SELECTOR_TSS, descriptor(KERNEL + K_TSS, 0x67, 0x8b));
    put64(P_KERNEL + K_GDT + SELECTOR_LDT, descriptor(KERNEL + K_LDT, LDT_COUNT * 8 - 1, 0x82));
    for (unsigned k = 0; k < LDT_COUNT; k++) {
        const struct ldt_entry *e = &ldt_entries[k];
        /* Linux sets the accessed bit (fill_ldt). */
        uint32_t attributes = ATTR_S | ATTR_DPL | ATTR_ACCESSED | (e->is_absent ? 0 : ATTR_P) |
                              (e->is_fixed ? 0 : ATTR_WRITABLE) | (e->is_code ? ATTR_CODE : 0) |
                              (e->is_expand_down ? ATTR_EXPAND_DOWN : 0) | (e->is_32bit ? ATTR_DB : 0) |
                              (e->in_pages ? ATTR_G : 0);
        put64(P_KERNEL + K_LDT + 8 * k, descriptor(e->base, e->limit, attributes));
    }
    for (unsigned v = 0; v < 256; v++) {
        uint32_t stub = KERNEL + K_STUBS + v * STUB_BYTES;
        bool user = v == VEC_BP || v == VEC_OF;
        put64(P_KERNEL + K_IDT + 8 * v, (uint64_t)(stub & 0xffff0000) << 32 | (uint64_t)(user ? 0xee00 : 0x8e00) << 32 |
                                            KERNEL_CODE << 16 | (stub & 0xffff));
        ram[P_KERNEL + K_STUBS + v * STUB_BYTES] = 0xf4;
    }
    store_le32(ram + P_KERNEL + K_TSS + 4, KERNEL + K_STACK_TOP);
    store_le16(ram + P_KERNEL + K_TSS + 8, KERNEL_STACK);
    store_le16(ram + P_KERNEL + K_TSS + 0x66, 0x68); /* no I/O permission bitmap */
}

/* What IA-32e mode has otherwise: gates of 16 bytes, RSP in the TSS, a level of paging more. */
static void build_long_mode(void)
{
    for (unsigned v = 0; v < 256; v++) {
        uint32_t stub = KERNEL + K_STUBS + v * STUB_BYTES;
        bool user = v == VEC_BP || v == VEC_OF;
        put64(P_KERNEL + K_IDT64 + 16 * v, (uint64_t)(stub & 0xffff0000) << 32 | (uint64_t)(user ? 0xee00 : 0x8e00) << 32 |
                                               KERNEL_CODE64 << 16 | (stub & 0xffff));
        put64(P_KERNEL + K_IDT64 + 16 * v + 8, 0);
    }
    put64(P_KERNEL + K_TSS + 4, KERNEL + K_STACK_TOP);
    put64(P_PML4, P_PDPT | 7);
    for (unsigned k = 0; k < 4; k++) {
        put64(P_PDPT + 8 * k, load_le64(ram + P_PDPT + 8 * k) ? load_le64(ram + P_PDPT + 8 * k) | 7 : 0);
    }
}

static void build_paging(void)
{
    const uint64_t no_execute = UINT64_C(1) << 63;
    static const struct {
        uint32_t linear, directory, table;
    } parts[3] = { { WINDOW_LOW, P_DIRECTORY_LOW, P_TABLE_LOW },
                   { WINDOW_HIGH, P_DIRECTORY_HIGH, P_TABLE_HIGH },
                   { KERNEL, P_DIRECTORY_KERNEL, P_TABLE_KERNEL } };

    for (unsigned k = 0; k < 3; k++) {
        put64(P_PDPT + 8 * (parts[k].linear >> 30), parts[k].directory | 1);
        put64(parts[k].directory + 8 * (parts[k].linear >> 21 & 511), parts[k].table | 7);
    }
    for (unsigned p = 0; p < K_PAGES; p++) {
        put64(P_TABLE_KERNEL + 8 * p, (P_KERNEL + p * PAGE) | 3);
    }
    for (unsigned w = 0; w < WINDOWS; w++) {
        for (unsigned p = 0; p < WINDOW_PAGES; p++) {
            char kind = window_pages[w][p];
            uint32_t linear = window_base[w] + p * PAGE, physical = P_WINDOWS + (w * WINDOW_PAGES + p) * PAGE;
            if (kind != '-') {
                put64(parts[w].table + 8 * (linear >> 12 & 511),
                      physical | 5 | (kind == 'w' ? 2u : 0u) | (kind == 'x' ? 0 : no_execute));
                memcpy(ram + physical, memory_pattern(linear), PAGE);
            }
        }
    }
}

static bool open_processor(unsigned which)
{
    static struct error err;
    struct cpu_board board = { .acknowledge = no_interrupt, .clock = &machine_clock, .log = &machine_log };

    ram = rams[which] = calloc(1, RAM_SIZE);
    board.space = space_create(&machine_log);
    board.ports = ports_create(&machine_log);
    if (!ram || !board.space || !board.ports ||
        !memory_init(&memories[which], "ram", ram, RAM_SIZE, 0, false, &err)) {
        return false;
    }
    regions[which] = (struct region){ .name = "ram", .kind = REGION_MEMORY, .size = RAM_SIZE, .memory = &memories[which] };
    space_add(board.space, &regions[which], 0, 0, true);
    bool is_long = which >= LONG_MODE;
    struct cpu *cpu = cpus[which] = cpu_create(&board, which % 2 == 1, &err);
    if (!cpu) {
        return false;
    }
    build_tables();
    build_paging();
    if (is_long) {
        build_long_mode();
    }
    cpu_reset(cpu, false);
    cpu->cr0 = CR0_PG | CR0_AM | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE;
    cpu->cr3 = is_long ? P_PML4 : P_PDPT;
    cpu->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    cpu->efer = is_long ? EFER_NXE | EFER_LME | EFER_LMA : EFER_NXE;
    for (unsigned k = 0; k < 4; k++) {
        cpu->pdpte[k] = load_le64(ram + P_PDPT + 8 * k);
    }
    cpu->gdtr = (struct table_register){ .base = KERNEL + K_GDT, .limit = GDT_LIMIT };
    cpu->idtr = (struct table_register){ .base = KERNEL + (is_long ? K_IDT64 : K_IDT), .limit = is_long ? 0xfff : 0x7ff };
    descriptor_unpack(load_le64(ram + P_KERNEL + K_GDT + SELECTOR_TSS), SELECTOR_TSS, &cpu->seg[SEG_TR]);
    descriptor_unpack(load_le64(ram + P_KERNEL + K_GDT + SELECTOR_LDT), SELECTOR_LDT, &cpu->seg[SEG_LDTR]);
    cpu_loaded(cpu);
    return true;
}

bool emulated_open(void)
{
    log_init(&machine_log, NULL, NULL, LOG_ERROR);
    clock_init(&machine_clock, 65536, NULL, NULL, NULL);
    return open_processor(0) && open_processor(1) && open_processor(2) && open_processor(3);
}

uint8_t *emulated_page(uint32_t linear)
{
    unsigned w = linear >= WINDOW_HIGH;

    return rams[current] + P_WINDOWS + (w * WINDOW_PAGES + (linear - window_base[w]) / PAGE) * PAGE;
}

/* Code goes in by a bus write, so that cached blocks are retired. */
static void put_code(struct cpu *cpu, uint32_t linear, const uint8_t *bytes, unsigned size)
{
    for (unsigned k = 0; k < size; k++) {
        if (page_kind(linear + k) == 'x') {
            uint32_t physical = (uint32_t)(emulated_page(linear + k) - rams[current]) + (linear + k) % PAGE;
            space_write(cpu->board.space, physical, 1, bytes ? bytes[k] : 0xf4);
        }
    }
}

static void load_segment(struct cpu *cpu, enum segment_index which, uint16_t selector)
{
    uint32_t table = P_KERNEL + (selector & 4 ? K_LDT : K_GDT);

    if (selector < 4) {
        memset(&cpu->seg[which], 0, sizeof cpu->seg[which]);
        cpu->seg[which].selector = selector;
        cpu->seg[which].attributes = ATTR_NULL;
    } else {
        descriptor_unpack(load_le64(ram + table + (selector & ~7u)), selector, &cpu->seg[which]);
    }
}

/* x87 registers from and to an FXSAVE64 image (SDM vol. 1, 10.5.1); MMX shares them. */
static void load_fx(struct cpu *cpu, const uint8_t *fx)
{
    struct fpu *fpu = &cpu->fpu;

    fpu->control = (uint16_t)((load_le16(fx) & 0x1f3f) | 0x40);
    fpu->status = load_le16(fx + 2) & 0x47ff;
    fpu->top = (fx[3] >> 3) & 7;
    fpu->empty = (uint8_t)~fx[4];
    fpu->opcode = load_le16(fx + 6) & 0x7ff;
    fpu->instruction_pointer = load_le64(fx + 8);
    fpu->data_pointer = load_le64(fx + 16);
    fpu->instruction_selector = fpu->data_selector = 0;
    if (fpu->status & ~fpu->control & 0x3f) {
        fpu->status |= 0x80;
    } else {
        fpu->status &= 0xff7f;
    }
    for (unsigned k = 0; k < 8; k++) {
        unsigned reg = (fpu->top + k) & 7;
        fpu->mantissa[reg] = load_le64(fx + 32 + 16 * k);
        fpu->sign_exp[reg] = load_le16(fx + 40 + 16 * k);
    }
    cpu->mxcsr = load_le32(fx + 24);
    for (unsigned k = 0; k < XMM_COUNT; k++) {
        cpu->xmm[k].q[0] = load_le64(fx + 160 + 16 * k);
        cpu->xmm[k].q[1] = load_le64(fx + 168 + 16 * k);
    }
}

static void store_fx(const struct cpu *cpu, uint8_t *fx)
{
    const struct fpu *fpu = &cpu->fpu;

    memset(fx, 0, 512);
    store_le16(fx, fpu->control);
    store_le16(fx + 2, (uint16_t)(fpu->status | fpu->top << 11 | (fpu->status & 0x80 ? 0x8000 : 0)));
    fx[4] = (uint8_t)~fpu->empty;
    store_le16(fx + 6, fpu->opcode);
    store_le64(fx + 8, fpu->instruction_pointer);
    store_le64(fx + 16, fpu->data_pointer);
    for (unsigned k = 0; k < 8; k++) {
        unsigned reg = (fpu->top + k) & 7;
        store_le64(fx + 32 + 16 * k, fpu->mantissa[reg]);
        store_le16(fx + 40 + 16 * k, fpu->sign_exp[reg]);
    }
    store_le32(fx + 24, cpu->mxcsr);
    for (unsigned k = 0; k < XMM_COUNT; k++) {
        store_le64(fx + 160 + 16 * k, cpu->xmm[k].q[0]);
        store_le64(fx + 168 + 16 * k, cpu->xmm[k].q[1]);
    }
}

static void load_state(struct cpu *cpu, const struct test_case *test)
{
    const struct state *s = &test->initial;

    cpu->halted_state = CPU_RUNNING;
    cpu->cpl = 3;
    for (unsigned k = 0; k < 16; k++) {
        cpu->gpr[k] = s->gpr[k];
    }
    for (unsigned k = 0; k < 6; k++) {
        load_segment(cpu, (enum segment_index)k, s->selector[k]);
    }
    cpu->rip = s->rip;
    cpu->cr2 = 0;
    cpu_set_eflags(cpu, s->rflags);
    cpu_update_mode(cpu);
    load_fx(cpu, s->fx);
}

static void store_state(const struct cpu *cpu, struct outcome *out)
{
    uint32_t at = P_KERNEL + K_STACK_TOP;
    unsigned vector = (unsigned)(cpu->rip - KERNEL - K_STUBS) / STUB_BYTES;
    bool has_error = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;

    memcpy(out->state.gpr, cpu->gpr, sizeof out->state.gpr);
    for (unsigned k = 0; k < 6; k++) {
        out->state.selector[k] = cpu->seg[k].selector;
    }
    out->vector = (uint8_t)vector;
    out->cr2 = cpu->cr2;
    store_fx(cpu, out->state.fx);
    if (current >= LONG_MODE) {
        out->state.gpr[REG_SP] = load_le64(ram + at - 16);
        out->state.selector[SEG_SS] = load_le16(ram + at - 8);
        out->state.rflags = load_le32(ram + at - 24);
        out->state.selector[SEG_CS] = load_le16(ram + at - 32);
        out->state.rip = load_le64(ram + at - 40);
        out->error = has_error ? load_le32(ram + at - 48) : 0;
        return;
    }
    out->state.gpr[REG_SP] = load_le32(ram + at - 8);
    out->state.selector[SEG_SS] = load_le16(ram + at - 4);
    out->state.rflags = load_le32(ram + at - 12);
    out->state.selector[SEG_CS] = load_le16(ram + at - 16);
    out->state.rip = load_le32(ram + at - 20);
    out->error = has_error ? load_le32(ram + at - 24) : 0;
}

void emulated_run(const struct test_case *test, struct outcome *out)
{
    current = (test->single ? 0u : 1u) + (test->mode & MODE_CODE64 ? LONG_MODE : 0u);
    struct cpu *cpu = cpus[current];
    uint32_t at = (uint32_t)test->initial.rip;

    ram = rams[current];
    put_code(cpu, at, test->code, test->code_size);
    for (unsigned k = 0; k < test->poke_count; k++) {
        memory_poke(&test->pokes[k], emulated_page);
    }
    load_state(cpu, test);
    for (unsigned done = 0; cpu->halted_state == CPU_RUNNING && done < RUN_LIMIT;) {
        unsigned step = test->single ? 1 : 1000;
        cpu_run(cpu, step);
        done += step;
    }
    if (cpu->halted_state == CPU_HALTED && cpu->cpl == 0) {
        store_state(cpu, out);
        if (out->vector == VEC_GP && out->error == 0 && page_kind(out->state.rip) == 'x' && out->state.rip != at &&
            emulated_page((uint32_t)out->state.rip)[out->state.rip % PAGE] == 0xf4) {
            out->vector = ENDED_HERE;
        }
    } else {
        memset(out, 0, sizeof *out);
        out->vector = cpu->halted_state == CPU_RUNNING ? ENDED_NEVER : ENDED_CRASH;
    }
    put_code(cpu, at, NULL, test->code_size);
}
