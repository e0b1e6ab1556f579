/* test_x87.c - x87 instructions executed by the CPU: results against this host's FPU (x86-64 only), and fixed cases of
 * #NM, #MF, environment layouts and faults.
 *
 * Against the host each case is FRSTOR of a random state, the instruction, FNSAVE; the images, memory, AX and EFLAGS
 * must be equal. The same bytes mean the same in 32-bit and 64-bit mode. FNSAVE does not wait, so unmasked exceptions can be
 * compared too. Instruction and data pointers are left out (see cpu/x87_state.c). */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#include "cpu/cpu.h"
#include "cpu/decode.h"
#include "cpu/handler.h"
#include "tests/support/isa_cases.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RAM_SIZE = 0x10000,
    GDT = 0x400, IDT = 0x500, HANDLERS = 0x800, /* a HLT for each vector */
    CODE = 0x1000, IMAGE_IN = 0x2000, MEMORY = 0x2100, IMAGE_OUT = 0x2200, STACK_TOP = 0x8000,
    IMAGE_SIZE = 108, MEMORY_SIZE = 128
};

struct rig {
    struct log log;
    struct clock clock;
    struct space *space;
    struct ports *ports;
    struct memory memory;
    struct region region;
    struct cpu *cpu;
    uint8_t *ram;
};

static int no_interrupt(void *context)
{
    (void)context;
    return -1;
}

static void poke(struct rig *r, unsigned address, const void *bytes, size_t size)
{
    space_write_bytes(r->space, address, bytes, size);
}

static void flat(struct cpu *cpu, bool is_generic)
{
    for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++) {
        bool is_code = seg == SEG_CS;
        cpu->seg[seg].base = 0;
        cpu->seg[seg].limit = is_generic && !is_code ? 0xfffff : 0xffffffffu;
        cpu->seg[seg].selector = is_code ? 8 : 16;
        cpu->seg[seg].attributes =
            ATTR_P | ATTR_S | ATTR_DB | ATTR_ACCESSED | (is_code ? ATTR_CODE | ATTR_READABLE : ATTR_WRITABLE);
    }
    cpu->cr0 = CR0_PE | CR0_ET | CR0_NE;
    cpu_loaded(cpu);
}

static void open_rig(struct rig *r, bool use_block_cache)
{
    struct error err = { 0 };

    memset(r, 0, sizeof *r);
    log_init(&r->log, NULL, NULL, LOG_ERROR);
    clock_init(&r->clock, 65536, NULL, NULL, NULL);
    r->space = space_create(&r->log);
    r->ports = ports_create(&r->log);
    r->ram = calloc(1, RAM_SIZE);
    ck_assert(memory_init(&r->memory, "ram", r->ram, RAM_SIZE, 0x100000000u, false, &err));
    r->region = (struct region){ .name = "ram", .kind = REGION_MEMORY, .size = RAM_SIZE, .memory = &r->memory };
    space_add(r->space, &r->region, 0, 0, true);
    struct cpu_board board = { .acknowledge = no_interrupt, .space = r->space, .ports = r->ports, .clock = &r->clock,
                               .log = &r->log };
    r->cpu = cpu_create(&board, use_block_cache, &err);
    ck_assert_ptr_nonnull(r->cpu);
    static const uint8_t gdt[24] = { [8] = 0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0, 0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0 };
    poke(r, GDT, gdt, sizeof gdt);
    for (unsigned vector = 0; vector < 32; vector++) {
        unsigned handler = HANDLERS + vector;
        uint8_t gate[8] = { (uint8_t)handler, (uint8_t)(handler >> 8), 8, 0, 0, 0x8e, 0, 0 }, hlt = 0xf4;
        poke(r, IDT + 8 * vector, gate, 8);
        poke(r, handler, &hlt, 1);
    }
    r->cpu->gdtr.base = GDT;
    r->cpu->gdtr.limit = 23;
    r->cpu->idtr.base = IDT;
    r->cpu->idtr.limit = 255;
    flat(r->cpu, false);
}

static void close_rig(struct rig *r)
{
    cpu_destroy(r->cpu);
    ports_destroy(r->ports);
    space_destroy(r->space);
    memory_destroy(&r->memory);
    free(r->ram);
}

static void start(struct rig *r, const uint8_t *code, size_t size)
{
    struct cpu *cpu = r->cpu;

    isa_cases_in(code, size, MODE_PROTECTED | MODE_CODE32, 8, 1);
    poke(r, CODE, code, size);
    cpu->rip = CODE;
    cpu->halted_state = CPU_RUNNING;
    cpu->gpr[REG_SP] = STACK_TOP;
    cpu->gpr[REG_DI] = IMAGE_IN;
    cpu->gpr[REG_SI] = MEMORY;
    cpu->gpr[REG_DX] = IMAGE_OUT;
}

/* Executes `count` instructions of `code`; returns the vector of the exception taken, or -1. */
static int run(struct rig *r, const uint8_t *code, size_t size, unsigned count)
{
    start(r, code, size);
    cpu_run(r->cpu, count);
    unsigned rip = (unsigned)r->cpu->rip;
    return rip >= HANDLERS && rip <= HANDLERS + 32 ? (int)(rip - HANDLERS) : -1;
}
#define RUN(count, ...) run(r, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), count)

static struct rig fixture;
static struct rig *const r = &fixture;
static void setup(void) { open_rig(&fixture, true); }
static void teardown(void) { close_rig(&fixture); }

static double double_at(unsigned address)
{
    uint64_t bits = host_load64(r->ram + address);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

START_TEST(computes)
{
    double operands[2] = { 1.5, 2.25 };
    poke(r, MEMORY, operands, sizeof operands);
    /* fninit; fld [esi]; fadd [esi+8]; fld st0; fmulp st1; fstp [esi+16] */
    ck_assert_int_eq(RUN(6, 0xdb, 0xe3, 0xdd, 0x06, 0xdc, 0x46, 0x08, 0xd9, 0xc0, 0xde, 0xc9, 0xdd, 0x5e, 0x10), -1);
    ck_assert_double_eq(double_at(MEMORY + 16), 14.0625);
    ck_assert_uint_eq(r->cpu->fpu.empty, 0xff);
    /* the direction of the four subtractions: fninit; fld1; fldz; op; st is ST(1) of the register forms */
    static const struct { uint8_t op[2]; double st0; } cases[] = {
        { { 0xd8, 0xe1 }, -1.0 }, { { 0xd8, 0xe9 }, 1.0 }, { { 0xde, 0xe9 }, 1.0 }, { { 0xde, 0xe1 }, -1.0 },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        ck_assert_int_eq(RUN(5, 0xdb, 0xe3, 0xd9, 0xe8, 0xd9, 0xee, cases[k].op[0], cases[k].op[1], 0xdd, 0x1e), -1);
        ck_assert_double_eq(double_at(MEMORY), cases[k].st0);
    }
}
END_TEST

START_TEST(not_available)
{
    static const uint32_t bits[] = { CR0_EM, CR0_TS };
    for (unsigned k = 0; k < 2; k++) {
        r->cpu->cr0 = CR0_PE | CR0_ET | CR0_NE | bits[k];
        ck_assert_int_eq(RUN(1, 0xd9, 0xe8), VEC_NM);
        flat(r->cpu, false);
        r->cpu->cr0 |= bits[k];
        ck_assert_int_eq(RUN(1, 0xdb, 0xe3), VEC_NM);
        flat(r->cpu, false);
        r->cpu->cr0 |= bits[k];
        ck_assert_int_eq(RUN(1, 0xdd, 0x06), VEC_NM); /* before the memory operand */
        flat(r->cpu, false);
        r->cpu->cr0 |= bits[k];
        ck_assert_int_eq(RUN(1, 0x9b, 0x90), -1);
        flat(r->cpu, false);
    }
    r->cpu->cr0 |= CR0_TS | CR0_MP;
    ck_assert_int_eq(RUN(1, 0x9b), VEC_NM);
}
END_TEST

START_TEST(pending_error)
{
    uint16_t control = 0x37b; /* ZE unmasked */
    poke(r, MEMORY, &control, 2);
    /* fninit; fldcw [esi]; fld1; fldz; fdivr st0,st1 is 1/0: fdivp leaves both; then fnop */
    ck_assert_int_eq(RUN(5, 0xdb, 0xe3, 0xd9, 0x2e, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0xd9, 0xd0), -1);
    ck_assert_uint_eq(r->cpu->fpu.empty, 0x3f);
    ck_assert_uint_eq(r->cpu->fpu.status & 0xff, 0x84);
    ck_assert_uint_eq(r->cpu->fpu.instruction_pointer, CODE + 8);
    ck_assert_uint_eq(r->cpu->fpu.opcode, 0x6f9);
    ck_assert_uint_eq(r->cpu->rip, CODE + 10);
    cpu_run(r->cpu, 1);
    ck_assert_uint_eq(r->cpu->rip, HANDLERS + VEC_MF);
    /* Not the no-wait ones; but FWAIT. */
    ck_assert_int_eq(RUN(1, 0xdf, 0xe0), -1);
    ck_assert_uint_eq(r->cpu->gpr[REG_AX] & 0xffff, 0xb084);
    ck_assert_int_eq(RUN(1, 0x9b), VEC_MF);
    ck_assert_int_eq(RUN(1, 0xd9, 0x06), VEC_MF);
    ck_assert_int_eq(RUN(1, 0xdb, 0xe2), -1);
    ck_assert_int_eq(RUN(1, 0x9b, 0x90), -1);
    /* With a memory operand: the data pointer. fldcw; fld1; fdiv [esi+8] with 0.0 */
    double zero = 0.0;
    poke(r, MEMORY + 8, &zero, 8);
    ck_assert_int_eq(RUN(4, 0xdb, 0xe3, 0xd9, 0x2e, 0xd9, 0xe8, 0x3e, 0xdc, 0x76, 0x08), -1);
    ck_assert_uint_eq(r->cpu->fpu.instruction_pointer, CODE + 6);
    ck_assert_uint_eq(r->cpu->fpu.opcode, 0x476);
    ck_assert_uint_eq(r->cpu->fpu.data_pointer, MEMORY + 8);
    ck_assert_uint_eq(r->cpu->fpu.data_selector, 16);
    /* CR0.NE clear: goes on, for want of FERR#. */
    r->cpu->cr0 &= ~CR0_NE;
    ck_assert_int_eq(RUN(1, 0xd9, 0xd0), -1);
}
END_TEST

START_TEST(faults_change_nothing)
{
    /* fninit; fld1; then stores and loads beyond the limit of a 64 KiB segment */
    static const uint8_t ops[][2] = { { 0xdd, 0x1e }, { 0xdb, 0x3e }, { 0xdf, 0x36 }, { 0xdd, 0x36 }, { 0xd9, 0x36 },
                                      { 0xdd, 0x06 }, { 0xdb, 0x2e }, { 0xd9, 0x26 }, { 0xdd, 0x26 }, { 0xdb, 0x1e } };
    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++) {
        flat(r->cpu, false);
        ck_assert_int_eq(RUN(2, 0xdb, 0xe3, 0xd9, 0xe8), -1);
        r->cpu->seg[SEG_DS].limit = MEMORY + (k == 9 ? 2 : 6);
        cpu_loaded(r->cpu);
        struct fpu before = r->cpu->fpu;
        uint8_t ram[64];
        memcpy(ram, r->ram + MEMORY, sizeof ram);
        ck_assert_int_eq(RUN(1, ops[k][0], ops[k][1]), VEC_GP);
        ck_assert_mem_eq(&before, &r->cpu->fpu, sizeof before);
        ck_assert_mem_eq(ram, r->ram + MEMORY, sizeof ram);
    }
}
END_TEST

START_TEST(environments)
{
    struct fpu *fpu = &r->cpu->fpu;
    RUN(2, 0xdb, 0xe3, 0xd9, 0xe8);
    fpu->instruction_pointer = 0x12345;
    fpu->instruction_selector = 8;
    fpu->data_pointer = 0x23456;
    fpu->data_selector = 16;
    fpu->opcode = 0x123;
    static const uint8_t protected32[28] = { 0x7f, 3, 0xff, 0xff, 0, 0x38, 0xff, 0xff, 0xff, 0x3f, 0xff, 0xff, 0x45, 0x23,
                                             1, 0, 8, 0, 0x23, 1, 0x56, 0x34, 2, 0, 16, 0, 0xff, 0xff };
    RUN(1, 0xd9, 0x36);
    ck_assert_mem_eq(r->ram + MEMORY, protected32, 28);
    ck_assert_uint_eq(fpu->control, 0x37f);
    static const uint8_t protected16[14] = { 0x7f, 3, 0, 0x38, 0xff, 0x3f, 0x45, 0x23, 8, 0, 0x56, 0x34, 16, 0 };
    RUN(1, 0x66, 0xd9, 0x36);
    ck_assert_mem_eq(r->ram + MEMORY, protected16, 14);
    fpu->control = 0x340;
    RUN(1, 0x66, 0xd9, 0x36);
    ck_assert_uint_eq(fpu->control, 0x37f);
    ck_assert_uint_eq(r->ram[MEMORY], 0x40);
    /* Save, disturb, restore. */
    for (unsigned is_wide = 0; is_wide < 2; is_wide++) {
        struct fpu before = *fpu;
        if (is_wide) {
            RUN(1, 0xdd, 0x36);
            ck_assert_uint_eq(fpu->empty, 0xff);
            RUN(3, 0xd9, 0xee, 0xd9, 0xeb, 0xdd, 0x26);
        } else {
            before.instruction_pointer &= 0xffff;
            before.data_pointer &= 0xffff;
            before.opcode = 0;
            RUN(1, 0x66, 0xdd, 0x36);
            RUN(3, 0xd9, 0xee, 0xd9, 0xeb, 0x66, 0xdd, 0x26);
        }
        ck_assert_mem_eq(&before, fpu, sizeof before);
    }
    /* Real mode: the pointers are linear. */
    for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++) {
        r->cpu->seg[seg].limit = 0xffff;
        r->cpu->seg[seg].attributes &= ~(uint32_t)ATTR_DB;
    }
    r->cpu->cr0 = CR0_ET | CR0_NE;
    cpu_loaded(r->cpu);
    fpu->instruction_pointer = 0x2345;
    fpu->instruction_selector = 0x4000;
    fpu->data_pointer = 0x0010;
    fpu->data_selector = 0x1234;
    fpu->opcode = 0x7ab;
    static const uint8_t real16[14] = { 0x7f, 3, 0, 0x38, 0xff, 0x3f, 0x45, 0x23, 0xab, 0x47, 0x50, 0x23, 0, 0x10 };
    RUN(1, 0xd9, 0x34);
    ck_assert_mem_eq(r->ram + MEMORY, real16, 14);
    RUN(1, 0x66, 0xd9, 0x34);
    ck_assert_mem_eq(r->ram + MEMORY + 12, "\x45\x23\xff\xff\xab\x47\x00\x00\x50\x23\xff\xff\x00\x10\x00\x00", 16);
    RUN(1, 0x66, 0xd9, 0x24);
    ck_assert_uint_eq(fpu->opcode, 0x7ab);
}
END_TEST

START_TEST(undefined_encodings)
{
    static const uint8_t undefined[][2] = { { 0xd9, 0xd1 }, { 0xd9, 0xe2 }, { 0xd9, 0xef }, { 0xda, 0xe0 }, { 0xda, 0xea },
                                            { 0xda, 0xf8 }, { 0xdb, 0xe5 }, { 0xdb, 0xf8 }, { 0xdd, 0xf0 }, { 0xde, 0xd8 },
                                            { 0xdf, 0xe1 }, { 0xdf, 0xf8 }, { 0xd9, 0x0e }, { 0xdb, 0x26 }, { 0xdb, 0x36 } };
    for (size_t k = 0; k < sizeof undefined / sizeof *undefined; k++) {
        flat(r->cpu, false);
        ck_assert_int_eq(RUN(1, undefined[k][0], undefined[k][1]), VEC_UD);
    }
}
END_TEST

/* ---- against the host ---- */

#if defined(__x86_64__) && defined(__GNUC__)
#include <sys/mman.h>

static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);
static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545f4914f6cdd1d);
}
static unsigned below(unsigned n) { return (unsigned)(random64() >> 33) % n; }

static uint64_t random_mantissa(void)
{
    switch (below(4)) {
    case 0:
        return UINT64_C(1) << 63;
    case 1:
        return UINT64_C(1) << 63 | (uint64_t)below(1000) << (44 + below(10));
    default:
        return random64() | UINT64_C(1) << 63;
    }
}

static void random_register(uint8_t *at)
{
    uint64_t mantissa = random_mantissa();
    unsigned exp;

    switch (below(16)) {
    case 0:
        exp = 0;
        mantissa = 0;
        break;
    case 1:
        exp = 0x7fff;
        mantissa = below(2) ? UINT64_C(1) << 63 : random64() | UINT64_C(1) << 63;
        break;
    case 2:
        exp = 0;
        mantissa = random64() >> below(64);
        break;
    case 3:
        exp = below(0x8000);
        mantissa = random64();
        break;
    case 4:
        exp = below(2) ? 0x7ffe - below(70) : 1 + below(70);
        break;
    case 5:
        exp = below(2) ? 0x3fff + 1023 - 30 + below(60) : 0x3fff - 1022 - 60 + below(70);
        break;
    case 6:
        exp = below(2) ? 0x3fff + 127 - 30 + below(60) : 0x3fff - 126 - 30 + below(40);
        break;
    case 7:
        exp = below(0x7fff);
        break;
    default:
        exp = 0x3fff - 10 + below(80);
        break;
    }
    memcpy(at, &mantissa, 8);
    at[8] = (uint8_t)exp;
    at[9] = (uint8_t)(exp >> 8 | (below(2) ? 0x80 : 0));
}

static void random_image(uint8_t image[IMAGE_SIZE])
{
    uint16_t control = (uint16_t)(0x40 | (below(4) ? 0x3f : below(64)) | (below(2) ? 0x300 : below(4) << 8) | below(4) << 10);
    uint16_t status = (uint16_t)((random64() & 0x7f00) | (control & random64() & 0x3f) | (below(8) ? 0 : 0x40));
    uint16_t tags = below(3) ? 0 : (uint16_t)(0x0003u << (2 * below(8)) | (below(2) ? (uint16_t)random64() : 0));

    if (below(2)) {
        tags |= (uint16_t)(3u << (2 * (((status >> 11) + 7u) & 7)));
    }
    memset(image, 0, IMAGE_SIZE);
    memcpy(image, &control, 2);
    memcpy(image + 4, &status, 2);
    memcpy(image + 8, &tags, 2);
    for (unsigned k = 0; k < 8; k++) {
        random_register(image + 28 + 10 * k);
    }
}

/* Operands that are likely to be interesting in any of the formats. */
static void random_memory(uint8_t memory[MEMORY_SIZE])
{
    for (unsigned k = 0; k < MEMORY_SIZE; k++) {
        memory[k] = (uint8_t)random64();
    }
    double d = (double)(int64_t)random64() / 4294967296.0;
    float f = (float)d;
    static const uint64_t odd64[] = { 0, UINT64_C(1) << 63, 1, UINT64_C(0x7ff0000000000000), UINT64_C(0x7ff0000000000001),
                                      UINT64_C(0xfff8000000000000), UINT64_C(0x000fffffffffffff) };
    static const uint32_t odd32[] = { 0, 0x80000000u, 1, 0x7f800000, 0x7f800001, 0xffc00000, 0x7fffff };
    switch (below(6)) {
    case 0:
        memcpy(memory, &d, 8);
        break;
    case 1:
        memcpy(memory, &f, 4);
        break;
    case 2:
        memcpy(memory, &odd64[below(7)], 8);
        break;
    case 3:
        memcpy(memory, &odd32[below(7)], 4);
        break;
    case 4:
        random_register(memory);
        break;
    default:
        break;
    }
}

struct outcome {
    uint8_t image[IMAGE_SIZE];
    uint8_t memory[MEMORY_SIZE];
    uint32_t flags, ax;
};

/* push rcx; popf; frstor [rdi]; op; pushf; pop rcx; fnsave [rdx]; ret */
static size_t make_code(uint8_t code[16], const uint8_t op[2])
{
    const uint8_t text[] = { 0x51, 0x9d, 0xdd, 0x27, op[0], op[1], 0x9c, 0x59, 0xdd, 0x32, 0xc3 };
    memcpy(code, text, sizeof text);
    return sizeof text;
}

static void on_host(const uint8_t *page, const uint8_t *image, struct outcome *o)
{
    uint64_t flags = o->flags, ax = o->ax;
    __asm__ volatile("sub $128, %%rsp; call *%[page]; add $128, %%rsp"
                     : "+c"(flags), "+a"(ax)
                     : [page] "r"(page), "D"(image), "S"(o->memory), "d"(o->image)
                     : "memory", "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
    o->flags = (uint32_t)flags;
    o->ax = (uint32_t)ax;
}

static void on_guest(const uint8_t *code, size_t size, const uint8_t *image, struct outcome *o)
{
    poke(r, IMAGE_IN, image, IMAGE_SIZE);
    poke(r, MEMORY, o->memory, MEMORY_SIZE);
    start(r, code, size);
    r->cpu->gpr[REG_CX] = o->flags;
    r->cpu->gpr[REG_AX] = o->ax;
    cpu_run(r->cpu, 7);
    ck_assert_uint_eq(r->cpu->rip, CODE + 10);
    memcpy(o->image, r->ram + IMAGE_OUT, IMAGE_SIZE);
    memcpy(o->memory, r->ram + MEMORY, MEMORY_SIZE);
    o->flags = (uint32_t)r->cpu->gpr[REG_CX];
    o->ax = (uint32_t)r->cpu->gpr[REG_AX];
}

/* Transcendental functions of this host are within an ulp or so, and their exactness may differ; those of ours are rounded right. */
static bool is_transcendental(const uint8_t op[2])
{
    return op[0] == 0xd9 && ((op[1] >= 0xf0 && op[1] <= 0xf3) || op[1] == 0xf9 || op[1] == 0xfb || op[1] >= 0xfe);
}

static bool registers_close(const uint8_t *a, const uint8_t *b)
{
    uint64_t x, y;
    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    return memcmp(a + 8, b + 8, 2) == 0 && (x - y + 2 <= 4);
}

static unsigned exponent_of(const uint8_t *image, unsigned i)
{
    return (image[28 + 10 * i + 8] | (unsigned)image[28 + 10 * i + 9] << 8) & 0x7fff;
}

/* What processors and the SDM leave open, or differ in. */
static bool is_undefined_case(const uint8_t op[2], const uint8_t *image, const uint8_t *memory)
{
    unsigned control = image[0], exponent = exponent_of(image, 0);

    if (op[0] == 0xd9 && (op[1] == 0xf2 || op[1] == 0xfb || op[1] >= 0xfe)) {
        return exponent >= 0x3ffe && exponent < 0x403e; /* the reduction's value of pi */
    }
    if (op[0] == 0xd9 && op[1] == 0xf9) {
        return exponent >= 0x3ffd; /* outside of the domain */
    }
    if ((op[0] == 0xd9 || op[0] == 0xdd) && op[1] < 0xc0 && (op[1] >> 3 & 7) == 0 && !(control & 2)) {
        uint64_t bits;
        memcpy(&bits, memory, 8); /* FLD of a denormal with DE unmasked: AMD pushes it, the SDM says nothing changes */
        return op[0] == 0xd9 ? (bits & 0x7f800000) == 0 : (bits >> 52 & 0x7ff) == 0;
    }
    return false;
}

/* FCOMI and the like leave C1 alone on AMD, and set EFLAGS when an invalid operation is unmasked too; the SDM says otherwise. */
static bool is_compare_flags(const uint8_t op[2])
{
    return (op[0] & 0xfb) == 0xdb && op[1] >= 0xe8 && op[1] < 0xf8;
}

static bool same(const uint8_t op[2], const struct outcome *a, const struct outcome *b)
{
    bool is_close = is_transcendental(op);
    bool has_flags = !(is_compare_flags(op) && !(a->image[0] & 1));

    for (unsigned k = 0; k < 28 - 16; k++) {
        unsigned mask = k == 4 && is_close ? 0xff & ~0x30u : k == 5 && (is_close || is_compare_flags(op)) ? 0xff & ~2u : 0xff;
        if ((a->image[k] ^ b->image[k]) & mask) {
            return false;
        }
    }
    for (unsigned k = 0; k < 8; k++) {
        const uint8_t *x = a->image + 28 + 10 * k, *y = b->image + 28 + 10 * k;
        if (memcmp(x, y, 10) != 0 && !(is_close && registers_close(x, y))) {
            return false;
        }
    }
    return memcmp(a->memory, b->memory, MEMORY_SIZE) == 0 && a->ax == b->ax &&
           (!has_flags || (a->flags & 0x8d5) == (b->flags & 0x8d5));
}

static void print_outcome(const char *name, const uint8_t *image, const struct outcome *o)
{
    printf("  %-6s", name);
    for (unsigned k = 0; k < 12; k += 4) {
        printf(" %02x%02x", image[k + 1], image[k]);
    }
    for (unsigned k = 0; k < 8; k++) {
        printf(" ");
        for (unsigned byte = 10; byte-- > 0;) {
            printf("%02x%s", image[28 + 10 * k + byte], byte == 8 ? "." : "");
        }
    }
    printf(" memory ");
    for (unsigned k = 0; k < 12; k++) {
        printf("%02x", o->memory[k]);
    }
    printf(" flags %x ax %x\n", (unsigned)o->flags, (unsigned)o->ax);
}

/* Instruction `index`: memory forms of [esi] first, then the register forms. */
enum { MEMORY_FORMS = 64, FORMS = MEMORY_FORMS + 8 * 64, CASES = 1000, REPORTS = 3 };

static bool is_comparable(const uint8_t op[2])
{
    struct decoder *decoder = decoder_create(NULL);
    struct decoded d;
    bool is_defined = decode(decoder, op, 2, MODE_CODE32 | MODE_PROTECTED, &d) == DECODED;
    bool is_environment = is_defined && op[1] < 0xc0 && (strstr(d.opcode->stem, "env") || strstr(d.opcode->stem, "frstor") ||
                                                         strstr(d.opcode->stem, "fnsave") || strstr(d.opcode->stem, "fldcw"));

    decoder_destroy(decoder);
    return is_defined && !is_environment; /* those have tests of their own; a loaded one may trap on the host */
}

START_TEST(same_as_host)
{
    const char *only = getenv("X87_OP"), *show = getenv("X87_SHOW");
    unsigned index = (unsigned)_i, wrong = 0, limit = show ? (unsigned)atoi(show) : REPORTS;
    uint8_t op[2] = { (uint8_t)(0xd8 + (index < MEMORY_FORMS ? index >> 3 : (index - MEMORY_FORMS) >> 6)),
                      (uint8_t)(index < MEMORY_FORMS ? (index & 7) << 3 | 6 : 0xc0 + (index & 63)) };
    uint8_t code[16], image[IMAGE_SIZE];

    if (!is_comparable(op) || (only && (unsigned)strtoul(only, NULL, 16) != ((unsigned)op[0] << 8 | op[1]))) {
        return;
    }
    size_t size = make_code(code, op);
    uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(page != MAP_FAILED);
    memcpy(page, code, size);
    if (mprotect(page, 4096, PROT_READ | PROT_EXEC) != 0) {
        munmap(page, 4096);
        return; /* a hardened host */
    }
    random_state ^= (uint64_t)index << 40;
    for (unsigned k = 0; k < CASES; k++) {
        struct outcome ours, theirs;
        flat(r->cpu, (k & 1) != 0);
        random_image(image);
        random_memory(ours.memory);
        ours.flags = 0x202 | ((uint32_t)random64() & 0x8d5);
        ours.ax = (uint32_t)random64();
        memset(ours.image, 0, sizeof ours.image);
        theirs = ours;
        struct outcome before = ours;
        on_host(page, image, &theirs);
        on_guest(code, size, image, &ours);
        if (!is_undefined_case(op, image, before.memory) && !same(op, &ours, &theirs) && wrong++ < limit) {
            printf("%02x %02x:\n", op[0], op[1]);
            print_outcome("before", image, &before);
            print_outcome("ours", ours.image, &ours);
            print_outcome("host", theirs.image, &theirs);
        }
    }
    munmap(page, 4096);
    fflush(stdout);
    ck_assert_msg(wrong == 0, "%02x %02x: %u of %u differ", op[0], op[1], wrong, (unsigned)CASES);
}
END_TEST
#endif

static Suite *x87_suite(void)
{
    Suite *suite = suite_create("x87");
    TCase *fixed = tcase_create("fixed");

    tcase_add_checked_fixture(fixed, setup, teardown);
    tcase_add_test(fixed, computes);
    tcase_add_test(fixed, not_available);
    tcase_add_test(fixed, pending_error);
    tcase_add_test(fixed, faults_change_nothing);
    tcase_add_test(fixed, environments);
    tcase_add_test(fixed, undefined_encodings);
    suite_add_tcase(suite, fixed);
#if defined(__x86_64__) && defined(__GNUC__)
    TCase *host = tcase_create("host");
    tcase_add_checked_fixture(host, setup, teardown);
    tcase_set_timeout(host, 120);
    tcase_add_loop_test(host, same_as_host, 0, FORMS);
    suite_add_tcase(suite, host);
#endif
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(x87_suite());

    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
