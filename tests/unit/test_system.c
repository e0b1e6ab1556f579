/* test_system.c - the slow half of the processor over a flat memory: segment loads, far transfers, interrupts, tasks, control
 * registers. Every operation that must fault is also checked to leave registers and memory (but for accessed bits) alone. */
#include "cpu/system.h"
#include "tests/support/fake_cpu_memory.h"

#include <check.h>
#include <string.h>

enum {
    GDT = 0x1000,
    IDT = 0x2000,
    LDT = 0x3000,
    TSS_A = 0x4000, /* the current task's, 32-bit */
    TSS_B = 0x5000,
    TSS_C = 0x6000, /* 16-bit */
    STACK0 = 0x9000,
    STACK1 = 0xa000,
    STACK3 = 0xc000,
    RIP = 0x1234,
    NEXT = 0x1237
};

/* Selectors, RPL 0. */
enum {
    CODE0 = 0x08,
    DATA0 = 0x10,
    CODE3 = 0x18,
    DATA3 = 0x20,
    CONFORMING0 = 0x28,
    READONLY = 0x30,
    ABSENT_DATA = 0x38,
    EXECONLY = 0x40,
    ABSENT_CODE = 0x48,
    LDT_SEL = 0x50,
    TSS_A_SEL = 0x58,
    TSS_B_SEL = 0x60,
    TSS_C_SEL = 0x68,
    CALL32 = 0x70,
    CALL16 = 0x78,
    TASK_GATE = 0x80,
    DOWN = 0x88,
    CODE1 = 0x90,
    DATA1 = 0x98,
    CALL_DPL0 = 0xa0,
    CODE16 = 0xa8,
    CALL_ABSENT = 0xb0,
    STACK16_3 = 0xb8,
    ABSENT_STACK = 0xc0,
    SMALL_CODE = 0xc8,
    CALL_SAME = 0xd0,
    SMALL_STACK1 = 0xd8,
    FREE = 0xe0, /* rewritten by tests */
    GDT_LIMIT = 0xff,
    BEYOND = 0x100
};

static struct fake_memory fake, fake_before;
static struct cpu the_cpu, before;
static struct cpu *const cpu = &the_cpu;
static struct clock the_clock;
static struct space *the_space;
static struct memory the_memory;
static struct region ram_region;

/* ---- building tables ---- */

static void put_descriptor(uint32_t at, uint32_t base, uint32_t limit, uint32_t attributes)
{
    fake_put(cpu, at, 4, (limit & 0xffff) | base << 16);
    fake_put(cpu, at + 4, 4,
             (base >> 16 & 0xff) | (base & 0xff000000u) | (limit & 0xf0000) | (attributes & 0xf0ff) << 8);
}

static void put_gate(uint32_t at, unsigned selector, uint32_t offset, unsigned type_dpl_p, unsigned parameters)
{
    fake_put(cpu, at, 4, (offset & 0xffff) | selector << 16);
    fake_put(cpu, at + 4, 4, (offset & 0xffff0000u) | type_dpl_p << 8 | parameters);
}

static unsigned dpl(unsigned n) { return n << 5; }

static void put_gdt(void)
{
    const uint32_t big = ATTR_DB | ATTR_G | ATTR_P | ATTR_S;

    put_descriptor(GDT + CODE0, 0, 0xfffff, big | 0xa);
    put_descriptor(GDT + DATA0, 0, 0xfffff, big | 0x2);
    put_descriptor(GDT + CODE3, 0, 0xfffff, big | 0xa | dpl(3));
    put_descriptor(GDT + DATA3, 0, 0xfffff, big | 0x2 | dpl(3));
    put_descriptor(GDT + CONFORMING0, 0, 0xfffff, big | 0xe);
    put_descriptor(GDT + READONLY, 0, 0xfffff, big | dpl(3));
    put_descriptor(GDT + ABSENT_DATA, 0, 0xfffff, (big | 0x2 | dpl(3)) & ~(uint32_t)ATTR_P);
    put_descriptor(GDT + EXECONLY, 0, 0xfffff, big | 0x8);
    put_descriptor(GDT + ABSENT_CODE, 0, 0xfffff, (big | 0xa) & ~(uint32_t)ATTR_P);
    put_descriptor(GDT + LDT_SEL, LDT, 0x1f, 0x82);
    put_descriptor(GDT + TSS_A_SEL, TSS_A, 0x2067, 0x8b);
    put_descriptor(GDT + TSS_B_SEL, TSS_B, 0x67, 0x89);
    put_descriptor(GDT + TSS_C_SEL, TSS_C, 0x2b, 0x81);
    put_gate(GDT + CALL32, CODE0, 0x00012345, 0x8c | dpl(3), 2);
    put_gate(GDT + CALL16, CODE0, 0x2345, 0x84 | dpl(3), 1);
    put_gate(GDT + TASK_GATE, TSS_B_SEL, 0, 0x85 | dpl(3), 0);
    put_descriptor(GDT + DOWN, 0, 0x8fff, ATTR_DB | ATTR_P | ATTR_S | 0x6);
    put_descriptor(GDT + CODE1, 0, 0xfffff, big | 0xa | dpl(1));
    put_descriptor(GDT + DATA1, 0, 0xfffff, big | 0x2 | dpl(1));
    put_gate(GDT + CALL_DPL0, CODE0, 0x100, 0x8c, 0);
    put_descriptor(GDT + CODE16, 0x10000, 0xffff, ATTR_P | ATTR_S | 0xa);
    put_gate(GDT + CALL_ABSENT, CODE0, 0x100, 0x0c | dpl(3), 0);
    put_descriptor(GDT + STACK16_3, 0, 0xffff, ATTR_P | ATTR_S | 0x2 | dpl(3));
    put_descriptor(GDT + ABSENT_STACK, 0, 0xfffff, (big | 0x2) & ~(uint32_t)ATTR_P);
    put_descriptor(GDT + SMALL_CODE, 0, 0xff, ATTR_DB | ATTR_P | ATTR_S | 0xa);
    put_gate(GDT + CALL_SAME, CODE3, 0x4321, 0x8c | dpl(3), 2);
    put_descriptor(GDT + SMALL_STACK1, 0, 0x7, ATTR_DB | ATTR_P | ATTR_S | 0x2 | dpl(1));
}

static void set_segment(enum segment_index seg, unsigned selector)
{
    uint64_t low = fake_get(cpu, GDT + (selector & ~7u), 4);
    uint64_t high = fake_get(cpu, GDT + (selector & ~7u) + 4, 4);

    descriptor_unpack(low | high << 32, (uint16_t)selector, &cpu->seg[seg]);
}

/* Protected mode at a level, all flat. */
static void at_level(unsigned level)
{
    cpu->cr0 = CR0_PE | CR0_ET;
    cpu->cpl = (uint8_t)level;
    cpu->eflags = FLAG_1 | FLAG_IF;
    set_segment(SEG_CS, level == 0 ? CODE0 : level == 1 ? CODE1 + 1u : CODE3 + 3u);
    set_segment(SEG_SS, level == 0 ? DATA0 : level == 1 ? DATA1 + 1u : DATA3 + 3u);
    set_segment(SEG_DS, DATA3 + 3);
    set_segment(SEG_ES, DATA3 + 3);
    set_segment(SEG_FS, DATA3 + 3);
    set_segment(SEG_GS, DATA3 + 3);
    cpu->gpr[REG_SP] = level == 0 ? STACK0 : level == 1 ? STACK1 : STACK3;
}

static void real_mode(void)
{
    cpu->cr0 = CR0_ET;
    cpu->cpl = 0;
    cpu->eflags = FLAG_1 | FLAG_IF;
    for (unsigned n = 0; n < 6; n++) {
        cpu->seg[n] = (struct segment){ .base = 0x10000, .limit = 0xffff, .attributes = 0x93, .selector = 0x1000 };
    }
    cpu->idtr.base = 0;
    cpu->idtr.limit = 0x3ff;
    cpu->gpr[REG_SP] = 0x1000;
}

static void vm86_mode(unsigned iopl)
{
    at_level(3);
    cpu->eflags = FLAG_1 | FLAG_VM | FLAG_IF | iopl << 12;
    for (unsigned n = 0; n < 6; n++) {
        segment_load_real(cpu, (enum segment_index)n, (uint16_t)(0x2000 + n));
    }
    cpu->gpr[REG_SP] = 0x12340100;
}

static void setup(void)
{
    memset(&fake, 0, sizeof fake);
    memset(cpu, 0, sizeof *cpu);
    clock_init(&the_clock, 65536, NULL, NULL, NULL);
    the_space = space_create(NULL);
    ck_assert(the_space && memory_init(&the_memory, "ram", fake.bytes, FAKE_BYTES, 0, false, &(struct error){ 0 }));
    ram_region = (struct region){ .name = "ram", .kind = REGION_MEMORY, .size = FAKE_BYTES, .memory = &the_memory };
    space_add(the_space, &ram_region, 0, 0, true);
    cpu->board.context = &fake;
    ck_assert(cpu_model_parse("max", &cpu->model, &(struct error){ 0 }));
    cpu->board.clock = &the_clock;
    cpu->board.space = the_space;
    cpu->a20_enabled = true;
    cpu->gdtr.base = GDT;
    cpu->gdtr.limit = GDT_LIMIT;
    cpu->idtr.base = IDT;
    cpu->idtr.limit = 0x7ff;
    put_gdt();
    set_segment(SEG_LDTR, LDT_SEL);
    set_segment(SEG_TR, TSS_A_SEL);
    fake_put(cpu, TSS_A + 4, 4, STACK0);
    fake_put(cpu, TSS_A + 8, 2, DATA0);
    fake_put(cpu, TSS_A + 12, 4, STACK1);
    fake_put(cpu, TSS_A + 16, 2, DATA1 | 1);
    fake_put(cpu, TSS_A + 0x66, 2, 0x88); /* redirection map at 68h, I/O map at 88h */
    at_level(0);
    cpu->rip = RIP;
    cpu->next_rip = NEXT;
    for (unsigned n = 0; n < 8; n++) {
        if (n != REG_SP) {
            cpu->gpr[n] = 0x11111111u * (n + 1);
        }
    }
}

static void teardown(void)
{
    space_destroy(the_space);
    memory_destroy(&the_memory);
}

/* ---- checking faults ---- */

static void remember(void)
{
    before = *cpu;
    fake_before = fake;
}

static void check_fault(int line, bool result, unsigned vector, uint32_t error)
{
    ck_assert_msg(!result, "line %d: no fault", line);
    ck_assert_msg(cpu->fault_vector == vector && cpu->fault_error == error,
                  "line %d: fault %u(0x%x), wanted %u(0x%x)", line, cpu->fault_vector, (unsigned)cpu->fault_error,
                  vector, (unsigned)error);
    before.fault_vector = cpu->fault_vector;
    before.fault_error = cpu->fault_error;
    before.fault_has_error = cpu->fault_has_error;
    before.fault_address = cpu->fault_address;
    ck_assert_msg(memcmp(&before, cpu, sizeof before) == 0, "line %d: a register changed", line);
    memcpy(fake_before.bytes + GDT, fake.bytes + GDT, GDT_LIMIT + 1); /* accessed bits may */
    ck_assert_msg(memcmp(fake_before.bytes, fake.bytes, FAKE_BYTES) == 0, "line %d: memory changed", line);
}

#define FAULTS(operation, vector, error)                                                                               \
    do {                                                                                                               \
        remember();                                                                                                    \
        check_fault(__LINE__, (operation), (vector), (error));                                                         \
    } while (0)

#define PUSHED(n) fake_get(cpu, (uint32_t)cpu->seg[SEG_SS].base + cpu_reg32(cpu, REG_SP) + 4 * (n), 4)
#define PUSHED16(n) fake_get(cpu, (uint32_t)cpu->seg[SEG_SS].base + (cpu_reg32(cpu, REG_SP) & 0xffff) + 2 * (n), 2)
#define EQ(a, b) ck_assert_uint_eq((a), (b))

static void push32(uint32_t value)
{
    cpu->gpr[REG_SP] -= 4;
    fake_put(cpu, cpu_reg32(cpu, REG_SP), 4, value);
}

static void push16(uint32_t value)
{
    cpu->gpr[REG_SP] = (cpu->gpr[REG_SP] & 0xffff0000u) | ((cpu->gpr[REG_SP] - 2) & 0xffff);
    fake_put(cpu, (uint32_t)cpu->seg[SEG_SS].base + cpu_reg16(cpu, REG_SP), 2, value);
}

/* ---- segments ---- */

/* Every type, DPL, RPL, CPL and P of a descriptor, loaded into DS and into SS (SDM vol. 2B, MOV, "Protected Mode Exceptions"). */
START_TEST(segment_load_matrix)
{
    for (unsigned n = 0; n < 32 * 4 * 4 * 4 * 2; n++) {
        unsigned type = n & 31, d = n >> 5 & 3, rpl = n >> 7 & 3, cpl = n >> 9 & 3, p = n >> 11 & 1;
        uint16_t selector = (uint16_t)(FREE | rpl);
        bool is_code = (type & 0x18) == 0x18, is_data = (type & 0x18) == 0x10;
        bool is_readable = is_data || (is_code && (type & 2));
        bool is_conforming = is_code && (type & 4);

        put_descriptor(GDT + FREE, 0x1000, 0xfff, type | dpl(d) | p << 7);
        at_level(0);
        cpu->cpl = (uint8_t)cpl;
        cpu->seg[SEG_CS].selector = (uint16_t)(CODE0 | cpl);
        if (!is_readable || (!is_conforming && (rpl > d || cpl > d))) {
            FAULTS(segment_load(cpu, SEG_DS, selector), VEC_GP, FREE);
        } else if (!p) {
            FAULTS(segment_load(cpu, SEG_DS, selector), VEC_NP, FREE);
        } else {
            ck_assert(segment_load(cpu, SEG_DS, selector));
            EQ(cpu->seg[SEG_DS].selector, selector);
            EQ(cpu->seg[SEG_DS].base, 0x1000);
            EQ(cpu->seg[SEG_DS].limit, 0xfff);
            ck_assert(fake_get(cpu, GDT + FREE + 5, 1) & 1);
        }
        if (!is_data || !(type & 2) || rpl != cpl || d != cpl) {
            FAULTS(segment_load(cpu, SEG_SS, selector), VEC_GP, FREE);
        } else if (!p) {
            FAULTS(segment_load(cpu, SEG_SS, selector), VEC_SS, FREE);
        } else {
            ck_assert(segment_load(cpu, SEG_SS, selector));
            EQ(cpu->seg[SEG_SS].selector, selector);
        }
    }
}
END_TEST

START_TEST(null_and_outside_selectors)
{
    ck_assert(segment_load(cpu, SEG_ES, 3));
    ck_assert(cpu->seg[SEG_ES].attributes & ATTR_NULL);
    EQ(cpu->seg[SEG_ES].selector, 3);
    FAULTS(segment_load(cpu, SEG_SS, 0), VEC_GP, 0);
    FAULTS(segment_load(cpu, SEG_DS, BEYOND | 3), VEC_GP, BEYOND);
    FAULTS(segment_load(cpu, SEG_DS, 0x24), VEC_GP, 0x24); /* behind the LDT's limit of 1fh */
    put_descriptor(LDT + 8, 0x77000, 0xff, 0x92);
    ck_assert(segment_load(cpu, SEG_DS, 0x0c));
    EQ(cpu->seg[SEG_DS].base, 0x77000);
    cpu->seg[SEG_LDTR].attributes = ATTR_NULL;
    FAULTS(segment_load(cpu, SEG_DS, 0x0c), VEC_GP, 0x0c);
}
END_TEST

START_TEST(granularity_and_base)
{
    struct segment segment;

    put_descriptor(GDT + FREE, 0x89abcdef, 0x12345, 0x92 | ATTR_G | ATTR_DB | ATTR_AVL);
    ck_assert(segment_load(cpu, SEG_FS, FREE));
    EQ(cpu->seg[SEG_FS].base, 0x89abcdef);
    EQ(cpu->seg[SEG_FS].limit, 0x12345fff);
    EQ(cpu->seg[SEG_FS].attributes, 0xd093);
    descriptor_unpack(UINT64_C(0x000f92000000ffff), 8, &segment);
    EQ(segment.limit, 0xfffff);
}
END_TEST

/* A load keeps limit and D in real mode (unreal mode); a virtual-8086 task gets its own. */
START_TEST(real_mode_loads)
{
    real_mode();
    cpu->seg[SEG_DS].limit = 0xffffffff;
    cpu->seg[SEG_DS].attributes = 0xc0f3;
    ck_assert(segment_load(cpu, SEG_DS, 0xb800));
    EQ(cpu->seg[SEG_DS].base, 0xb8000);
    EQ(cpu->seg[SEG_DS].limit, 0xffffffff);
    EQ(cpu->seg[SEG_DS].attributes, 0xc093);
    cpu->seg[SEG_ES] = (struct segment){ .attributes = ATTR_NULL };
    ck_assert(segment_load(cpu, SEG_ES, 0x1234));
    EQ(cpu->seg[SEG_ES].limit, 0xffff);
    EQ(cpu->seg[SEG_ES].attributes, 0x93);
    cpu->cr0 |= CR0_PE;
    cpu->eflags |= FLAG_VM;
    ck_assert(segment_load(cpu, SEG_DS, 0xffff));
    EQ(cpu->seg[SEG_DS].base, 0xffff0);
    EQ(cpu->seg[SEG_DS].limit, 0xffff);
    EQ(cpu->seg[SEG_DS].attributes, 0xf3);
}
END_TEST

START_TEST(table_page_faults_restart)
{
    fake.page_flags[GDT / 4096] = FAKE_NO_WRITE; /* the accessed bit cannot be set */
    FAULTS(segment_load(cpu, SEG_DS, DATA3), VEC_PF, 2);
    fake.page_flags[GDT / 4096] = FAKE_NO_READ;
    FAULTS(segment_load(cpu, SEG_DS, DATA3), VEC_PF, 0);
    fake.page_flags[GDT / 4096] = FAKE_NO_USER; /* tables are read as level 0 does */
    at_level(3);
    ck_assert(segment_load(cpu, SEG_DS, DATA3 | 3));
}
END_TEST

START_TEST(ldtr_and_tr)
{
    ck_assert(system_lldt(cpu, 0));
    ck_assert(cpu->seg[SEG_LDTR].attributes & ATTR_NULL);
    ck_assert(system_lldt(cpu, LDT_SEL));
    EQ(cpu->seg[SEG_LDTR].base, LDT);
    FAULTS(system_lldt(cpu, DATA0), VEC_GP, DATA0);
    FAULTS(system_lldt(cpu, 0x0c), VEC_GP, 0x0c);
    put_descriptor(GDT + FREE, 0, 0, 0x02);
    FAULTS(system_lldt(cpu, FREE), VEC_NP, FREE);
    FAULTS(system_ltr(cpu, 2), VEC_GP, 0);
    FAULTS(system_ltr(cpu, TSS_A_SEL), VEC_GP, TSS_A_SEL); /* busy */
    ck_assert(system_ltr(cpu, TSS_C_SEL));
    EQ(fake_get(cpu, GDT + TSS_C_SEL + 5, 1), 0x83);
    EQ(cpu->seg[SEG_TR].attributes, 0x83);
    cpu->cpl = 3;
    FAULTS(system_ltr(cpu, TSS_B_SEL), VEC_GP, 0);
    FAULTS(system_lldt(cpu, LDT_SEL), VEC_GP, 0);
    real_mode();
    FAULTS(system_lldt(cpu, LDT_SEL), VEC_UD, 0);
}
END_TEST

START_TEST(examining_descriptors)
{
    bool ok;
    uint32_t value;

    ck_assert(system_lar(cpu, CODE0, &ok, &value) && ok);
    EQ(value, 0x00cf9a00);
    ck_assert(system_lsl(cpu, CODE0, &ok, &value) && ok);
    EQ(value, 0xffffffff);
    ck_assert(system_lar(cpu, CALL32, &ok, &value) && ok);
    ck_assert(system_lsl(cpu, CALL32, &ok, &value) && !ok);
    ck_assert(system_lsl(cpu, TSS_B_SEL, &ok, &value) && ok);
    EQ(value, 0x67);
    ck_assert(system_lar(cpu, 0, &ok, &value) && !ok);
    ck_assert(system_lar(cpu, BEYOND, &ok, &value) && !ok);
    ck_assert(system_lar(cpu, DATA0 | 1, &ok, &value) && !ok);
    ck_assert(system_lar(cpu, CONFORMING0 | 3, &ok, &value) && ok);
    ck_assert(system_verify(cpu, EXECONLY, false, &ok) && !ok);
    ck_assert(system_verify(cpu, CODE0, false, &ok) && ok);
    ck_assert(system_verify(cpu, CODE0, true, &ok) && !ok);
    ck_assert(system_verify(cpu, READONLY, true, &ok) && !ok);
    ck_assert(system_verify(cpu, DATA0, true, &ok) && ok);
    ck_assert(system_verify(cpu, TSS_B_SEL, false, &ok) && !ok);
    cpu->cpl = 3;
    ck_assert(system_verify(cpu, DATA0, false, &ok) && !ok);
    ck_assert(system_verify(cpu, ABSENT_DATA, true, &ok) && ok); /* presence does not matter */
    fake.page_flags[GDT / 4096] = FAKE_NO_READ;
    FAULTS(system_verify(cpu, DATA3, false, &ok), VEC_PF, 0);
}
END_TEST

/* ---- JMP ---- */

/* Every code type against CPL, DPL and RPL (SDM vol. 2A, JMP, and vol. 3, 5.8.1). */
START_TEST(direct_jump_and_call_matrix)
{
    for (unsigned n = 0; n < 32 * 4 * 4 * 4 * 2; n++) {
        unsigned type = n & 31, d = n >> 5 & 3, rpl = n >> 7 & 3, cpl = n >> 9 & 3, p = n >> 11 & 1;
        uint16_t selector = (uint16_t)(FREE | rpl);

        if ((type & 0x10) == 0 && (0x123a >> type & 1)) {
            continue; /* gates and TSSs have tests of their own */
        }
        put_descriptor(GDT + FREE, 0, 0xffff, type | dpl(d) | p << 7 | ATTR_DB);
        at_level(0);
        cpu->cpl = (uint8_t)cpl;
        cpu->seg[SEG_CS].selector = (uint16_t)(CODE0 | cpl);
        bool may = (type & 0x18) == 0x18 && (type & 4 ? d <= cpl : rpl <= cpl && d == cpl);
        if (!may) {
            if (type & 0x10) {
                FAULTS(far_jump(cpu, selector, 0x100, 4), VEC_GP, FREE);
                FAULTS(far_call(cpu, selector, 0x100, 4), VEC_GP, FREE);
            }
        } else if (!p) {
            FAULTS(far_jump(cpu, selector, 0x100, 4), VEC_NP, FREE);
            FAULTS(far_call(cpu, selector, 0x100, 4), VEC_NP, FREE);
        } else {
            FAULTS(far_jump(cpu, selector, 0x10000, 4), VEC_GP, 0);
            FAULTS(far_call(cpu, selector, 0x10000, 4), VEC_GP, 0);
            ck_assert(far_jump(cpu, selector, 0x10100, 2));
            EQ(cpu->rip, 0x100);
            EQ(cpu->seg[SEG_CS].selector, FREE | cpl);
            EQ(cpu->cpl, cpl);
        }
    }
}
END_TEST

START_TEST(jump_corner_cases)
{
    FAULTS(far_jump(cpu, 3, 0, 4), VEC_GP, 0);
    FAULTS(far_jump(cpu, BEYOND, 0, 4), VEC_GP, BEYOND);
    FAULTS(far_jump(cpu, DATA0, 0, 4), VEC_GP, DATA0);
    FAULTS(far_jump(cpu, LDT_SEL, 0, 4), VEC_GP, LDT_SEL);
    FAULTS(far_jump(cpu, TSS_A_SEL, 0, 4), VEC_GP, TSS_A_SEL); /* busy */
    ck_assert(far_jump(cpu, CODE16, 0x8765, 2));
    EQ(cpu->seg[SEG_CS].base, 0x10000);
    EQ(cpu->rip, 0x8765);
    EQ(fake_get(cpu, GDT + CODE16 + 5, 1), 0x9b);
}
END_TEST

START_TEST(jump_through_gates)
{
    at_level(0);
    ck_assert(far_jump(cpu, CALL32, 0xdeadbeef, 4));
    EQ(cpu->rip, 0x12345);
    EQ(cpu->seg[SEG_CS].selector, CODE0);
    at_level(3);
    FAULTS(far_jump(cpu, CALL32, 0, 4), VEC_GP, CODE0); /* JMP never changes level */
    FAULTS(far_jump(cpu, CALL_DPL0, 0, 4), VEC_GP, CALL_DPL0);
    FAULTS(far_jump(cpu, CALL_ABSENT, 0, 4), VEC_NP, CALL_ABSENT);
    put_gate(GDT + FREE, CONFORMING0, 0x55, 0x84 | dpl(3), 0);
    ck_assert(far_jump(cpu, FREE, 0, 4));
    EQ(cpu->seg[SEG_CS].selector, CONFORMING0 | 3);
    EQ(cpu->cpl, 3);
    at_level(0);
    put_gate(GDT + FREE, 0, 0x55, 0x8c, 0);
    FAULTS(far_jump(cpu, FREE, 0, 4), VEC_GP, 0);
    put_gate(GDT + FREE, DATA0, 0x55, 0x8c, 0);
    FAULTS(far_jump(cpu, FREE, 0, 4), VEC_GP, DATA0);
}
END_TEST

START_TEST(real_mode_far_transfers)
{
    real_mode();
    FAULTS(far_jump(cpu, 0x2000, 0x10000, 4), VEC_GP, 0);
    ck_assert(far_call(cpu, 0x2000, 0x10, 2));
    EQ(cpu->gpr[REG_SP], 0xffc);
    EQ(PUSHED16(0), NEXT);
    EQ(PUSHED16(1), 0x1000);
    EQ(cpu->seg[SEG_CS].base, 0x20000);
    EQ(cpu->rip, 0x10);
    ck_assert(far_return(cpu, 2, 6));
    EQ(cpu->gpr[REG_SP], 0x1006);
    EQ(cpu->rip, NEXT);
    EQ(cpu->seg[SEG_CS].selector, 0x1000);
    cpu->gpr[REG_SP] = 0xabcd0001;
    FAULTS(far_call(cpu, 0x2000, 0x10, 2), VEC_SS, 0);
    cpu->gpr[REG_SP] = 0xabcd0000; /* wraps */
    ck_assert(far_call(cpu, 0x2000, 0x10, 2));
    EQ(cpu->gpr[REG_SP], 0xabcdfffc);
}
END_TEST

/* ---- CALL and RET ---- */

START_TEST(call_same_level_and_back)
{
    ck_assert(far_call(cpu, CODE0, 0x500, 4));
    EQ(cpu->gpr[REG_SP], STACK0 - 8);
    EQ(PUSHED(0), NEXT);
    EQ(PUSHED(1), CODE0);
    ck_assert(far_return(cpu, 4, 0x10));
    EQ(cpu->gpr[REG_SP], STACK0 + 0x10);
    EQ(cpu->rip, NEXT);
    fake.page_flags[STACK0 / 4096] = FAKE_NO_WRITE;
    FAULTS(far_call(cpu, CODE0, 0x500, 4), VEC_PF, 2);
    at_level(3);
    ck_assert(far_call(cpu, CALL_SAME, 0, 2)); /* the gate's size rules, and no parameters are copied */
    EQ(cpu->gpr[REG_SP], STACK3 - 8);
    EQ(PUSHED(1), CODE3 | 3);
    EQ(cpu->rip, 0x4321);
    cpu->cr0 |= CR0_AM;
    cpu->eflags |= FLAG_AC;
    cpu->gpr[REG_SP] = STACK3 - 6;
    FAULTS(far_call(cpu, CODE3 | 3, 0x500, 4), VEC_AC, 0);
}
END_TEST

START_TEST(call_gate_to_inner_level_and_back)
{
    at_level(3);
    push32(0xaaaa5555);
    push32(0xbbbb6666);
    fake.page_flags[(STACK0 - 1) / 4096] = FAKE_NO_USER;
    ck_assert(far_call(cpu, CALL32 | 3, 0, 4));
    EQ(cpu->cpl, 0);
    EQ(cpu->seg[SEG_CS].selector, CODE0);
    EQ(cpu->seg[SEG_SS].selector, DATA0);
    EQ(cpu->rip, 0x12345);
    EQ(cpu->gpr[REG_SP], STACK0 - 24);
    EQ(PUSHED(0), NEXT);
    EQ(PUSHED(1), CODE3 | 3);
    EQ(PUSHED(2), 0xbbbb6666);
    EQ(PUSHED(3), 0xaaaa5555);
    EQ(PUSHED(4), STACK3 - 8);
    EQ(PUSHED(5), DATA3 | 3);
    /* RET 8 releases the parameters of both stacks and clears what level 3 may not use. */
    set_segment(SEG_DS, DATA0);
    set_segment(SEG_FS, CONFORMING0);
    ck_assert(far_return(cpu, 4, 8));
    EQ(cpu->cpl, 3);
    EQ(cpu->gpr[REG_SP], STACK3);
    EQ(cpu->rip, NEXT);
    EQ(cpu->seg[SEG_DS].selector, 0);
    ck_assert(cpu->seg[SEG_DS].attributes & ATTR_NULL);
    EQ(cpu->seg[SEG_FS].selector, CONFORMING0);
    EQ(cpu->seg[SEG_ES].selector, DATA3 | 3);
}
END_TEST

START_TEST(call_gate_16_bit)
{
    at_level(3);
    set_segment(SEG_SS, STACK16_3 | 3);
    cpu->gpr[REG_SP] = 0xfffe0000u | STACK3;
    push16(0x7788);
    ck_assert(far_call(cpu, CALL16, 0, 4));
    EQ(cpu->gpr[REG_SP], STACK0 - 10);
    EQ(PUSHED16(0), NEXT);
    EQ(PUSHED16(1), CODE3 | 3);
    EQ(PUSHED16(2), 0x7788);
    EQ(PUSHED16(3), STACK3 - 2);
    EQ(PUSHED16(4), STACK16_3 | 3);
    /* On the way back to a 16-bit stack ESP keeps the inner level's upper half. */
    cpu->gpr[REG_SP] |= 0x70000; /* the same bytes, as the fake memory is flat */
    memcpy(fake.bytes + 0x70000 + STACK0 - 16, fake.bytes + STACK0 - 16, 16);
    ck_assert(far_return(cpu, 2, 2));
    EQ(cpu->gpr[REG_SP], 0x70000u | STACK3);
    EQ(cpu->rip, NEXT);
}
END_TEST

START_TEST(call_gate_faults)
{
    at_level(3);
    fake_put(cpu, TSS_A + 8, 2, 0);
    FAULTS(far_call(cpu, CALL32, 0, 4), VEC_TS, 0);
    fake_put(cpu, TSS_A + 8, 2, DATA1);
    FAULTS(far_call(cpu, CALL32, 0, 4), VEC_TS, DATA1);
    fake_put(cpu, TSS_A + 8, 2, DATA0 | 1);
    FAULTS(far_call(cpu, CALL32, 0, 4), VEC_TS, DATA0);
    fake_put(cpu, TSS_A + 8, 2, BEYOND);
    FAULTS(far_call(cpu, CALL32, 0, 4), VEC_TS, BEYOND);
    fake_put(cpu, TSS_A + 8, 2, CODE0);
    FAULTS(far_call(cpu, CALL32, 0, 4), VEC_TS, CODE0);
    fake_put(cpu, TSS_A + 8, 2, ABSENT_STACK);
    FAULTS(far_call(cpu, CALL32, 0, 4), VEC_SS, ABSENT_STACK);
    fake_put(cpu, TSS_A + 8, 2, DOWN); /* expand-down above 8fffh */
    FAULTS(far_call(cpu, CALL32, 0, 4), VEC_SS, DOWN);
    fake_put(cpu, TSS_A + 4, 4, 0x9018);
    ck_assert(far_call(cpu, CALL32, 0, 4));
    at_level(3);
    fake_put(cpu, TSS_A + 8, 2, DATA0);
    cpu->seg[SEG_TR].limit = 8; /* SS0 is outside */
    FAULTS(far_call(cpu, CALL32, 0, 4), VEC_TS, TSS_A_SEL);
    cpu->seg[SEG_TR].limit = 0x67;
    fake.page_flags[0x9000 / 4096] = FAKE_NO_WRITE;
    FAULTS(far_call(cpu, CALL32, 0, 4), VEC_PF, 2);
    put_gate(GDT + FREE, SMALL_CODE, 0x100, 0x8c | dpl(3), 0);
    fake_put(cpu, TSS_A + 4, 4, STACK1);
    fake.page_flags[0x9000 / 4096] = 0;
    FAULTS(far_call(cpu, FREE, 0, 4), VEC_GP, 0);
    put_gate(GDT + FREE, ABSENT_CODE, 0x100, 0x8c | dpl(3), 0);
    FAULTS(far_call(cpu, FREE, 0, 4), VEC_NP, ABSENT_CODE);
    put_gate(GDT + FREE, CODE1, 0x100, 0x8c | dpl(3), 0);
    fake_put(cpu, TSS_A + 16, 2, SMALL_STACK1 | 1);
    fake_put(cpu, TSS_A + 12, 4, 8);
    FAULTS(far_call(cpu, FREE, 0, 4), VEC_SS, SMALL_STACK1);
    fake_put(cpu, TSS_A + 16, 2, DATA1 | 1);
    fake_put(cpu, TSS_A + 12, 4, STACK1);
    ck_assert(far_call(cpu, FREE, 0, 4));
    EQ(cpu->cpl, 1);
    EQ(cpu->seg[SEG_CS].selector, CODE1 | 1);
    EQ(cpu->seg[SEG_SS].selector, DATA1 | 1);
    FAULTS(far_call(cpu, CALL_SAME, 0, 4), VEC_GP, CODE3); /* never outwards */
}
END_TEST

/* A TSS of 16 bits holds SP and SS for the inner levels in two words. */
START_TEST(stacks_of_a_16_bit_tss)
{
    set_segment(SEG_TR, TSS_C_SEL);
    fake_put(cpu, TSS_C + 2, 2, STACK0);
    fake_put(cpu, TSS_C + 4, 2, DATA0);
    at_level(3);
    ck_assert(far_call(cpu, CALL32, 0, 4));
    EQ(cpu->gpr[REG_SP], STACK0 - 24);
}
END_TEST

START_TEST(far_return_faults)
{
    static const struct {
        unsigned cs, ss, vector, error;
        uint32_t eip;
    } rows[] = {
        { 0, 0, VEC_GP, 0, 0 },
        { BEYOND, 0, VEC_GP, BEYOND, 0 },
        { DATA0, 0, VEC_GP, DATA0, 0 },
        { CODE3, 0, VEC_GP, CODE3, 0 },               /* DPL is not RPL */
        { ABSENT_CODE, 0, VEC_NP, ABSENT_CODE, 0 },
        { SMALL_CODE, 0, VEC_GP, 0, 0x100 },
        { CODE3 | 3, 0, VEC_GP, 0, 0 },               /* null SS */
        { CODE3 | 3, DATA0, VEC_GP, DATA0, 0 },
        { CODE3 | 3, READONLY | 3, VEC_GP, READONLY, 0 },
        { CODE3 | 3, ABSENT_DATA | 3, VEC_SS, ABSENT_DATA, 0 },
        { CONFORMING0 | 1, DATA3 | 3, VEC_GP, DATA3, 0 },
    };

    for (unsigned n = 0; n < sizeof rows / sizeof rows[0]; n++) {
        at_level(0);
        push32(rows[n].ss);
        push32(STACK3);
        push32(rows[n].cs);
        push32(rows[n].eip);
        FAULTS(far_return(cpu, 4, 0), rows[n].vector, rows[n].error);
        cpu->eflags = FLAG_1;
        fake_put(cpu, cpu_reg32(cpu, REG_SP) + 8, 4, FLAG_1);
        if (!(rows[n].cs & 3)) {
            FAULTS(interrupt_return(cpu, 4), rows[n].vector, rows[n].error);
        }
    }
    at_level(3);
    push32(CODE0);
    push32(0);
    FAULTS(far_return(cpu, 4, 0), VEC_GP, CODE0); /* inwards */
    cpu->seg[SEG_SS].limit = STACK3 - 1;
    cpu->gpr[REG_SP] = STACK3 - 4;
    FAULTS(far_return(cpu, 4, 0), VEC_SS, 0);
}
END_TEST

/* ---- IRET ---- */

START_TEST(iret_same_level)
{
    push32(UINT32_C(0xffffffff) & ~(FLAG_VM | FLAG_NT));
    push32(CODE0);
    push32(0x777);
    cpu->nmi_blocked = true;
    ck_assert(interrupt_return(cpu, 4));
    EQ(cpu->rip, 0x777);
    EQ(cpu->gpr[REG_SP], STACK0);
    EQ(cpu->eflags, (FLAGS_STATUS | FLAGS_SYSTEM | FLAG_1) & ~(FLAG_VM | FLAG_NT));
    ck_assert(!cpu->nmi_blocked);
}
END_TEST

/* IF and IOPL follow CPL and IOPL of the level that executes IRET. */
START_TEST(iret_flags_by_privilege)
{
    for (unsigned n = 0; n < 16; n++) {
        unsigned cpl = n & 1 ? 3 : 0, iopl = n >> 1 & 3;
        unsigned size = n & 8 ? 2 : 4;
        at_level(cpl);
        cpu->eflags = FLAG_1 | iopl << 12;
        uint32_t popped = FLAG_IF | FLAG_CF | (3 - iopl) << 12 | (size == 4 ? FLAG_VIF | FLAG_ID | FLAG_AC : 0);
        if (size == 4) {
            push32(popped);
            push32(cpl ? CODE3 | 3 : CODE0);
            push32(0x10);
        } else {
            push16(popped);
            push16(cpl ? CODE3 | 3 : CODE0);
            push16(0x10);
        }
        ck_assert(interrupt_return(cpu, size));
        uint32_t expected = FLAG_1 | FLAG_CF | (size == 4 ? FLAG_ID | FLAG_AC : 0);
        expected |= cpl <= iopl ? FLAG_IF : 0;
        expected |= cpl == 0 ? (3 - iopl) << 12 : iopl << 12;
        expected |= cpl == 0 && size == 4 ? FLAG_VIF : 0;
        EQ(cpu->eflags, expected);
    }
}
END_TEST

START_TEST(iret_to_outer_level)
{
    set_segment(SEG_ES, DATA0);
    push32(DATA3 | 3);
    push32(0x12345678);
    push32(FLAG_1 | FLAG_IF | FLAG_IOPL);
    push32(CODE3 | 3);
    push32(0x99);
    ck_assert(interrupt_return(cpu, 4));
    EQ(cpu->cpl, 3);
    EQ(cpu->gpr[REG_SP], 0x12345678);
    EQ(cpu->seg[SEG_SS].selector, DATA3 | 3);
    EQ(cpu->eflags, FLAG_1 | FLAG_IF | FLAG_IOPL);
    ck_assert(cpu->seg[SEG_ES].attributes & ATTR_NULL);
    EQ(cpu->seg[SEG_DS].selector, DATA3 | 3);
}
END_TEST

START_TEST(iret_to_vm86)
{
    for (unsigned n = 5; n-- > 0;) {
        push32(0x3000 + n); /* GS, FS, DS, ES, SS */
    }
    push32(0x5678);
    push32(FLAG_1 | FLAG_VM | FLAG_IF | FLAG_IOPL);
    push32(0x4000);
    push32(0x10000);
    FAULTS(interrupt_return(cpu, 4), VEC_GP, 0);
    fake_put(cpu, cpu_reg32(cpu, REG_SP), 4, 0x1111);
    ck_assert(interrupt_return(cpu, 4));
    EQ(cpu->cpl, 3);
    ck_assert(cpu_is_vm86(cpu));
    EQ(cpu->rip, 0x1111);
    EQ(cpu->seg[SEG_CS].base, 0x40000);
    EQ(cpu->seg[SEG_CS].attributes, 0xf3);
    EQ(cpu->gpr[REG_SP], 0x5678);
    EQ(cpu->seg[SEG_SS].selector, 0x3000);
    EQ(cpu->seg[SEG_ES].selector, 0x3001);
    EQ(cpu->seg[SEG_DS].selector, 0x3002);
    EQ(cpu->seg[SEG_FS].selector, 0x3003);
    EQ(cpu->seg[SEG_GS].selector, 0x3004);
    /* VM in the image is nothing to level 3. */
    at_level(3);
    push32(FLAG_1 | FLAG_VM);
    push32(CODE3 | 3);
    push32(0x20);
    ck_assert(interrupt_return(cpu, 4));
    ck_assert(!cpu_is_vm86(cpu));
}
END_TEST

START_TEST(iret_in_real_and_vm86_mode)
{
    real_mode();
    push16(0xffff);
    push16(0x2222);
    push16(0x3333);
    cpu->eflags |= FLAG_ID;
    ck_assert(interrupt_return(cpu, 2));
    EQ(cpu->eflags, FLAG_ID | 0x7fd7);
    EQ(cpu->rip, 0x3333);
    EQ(cpu->seg[SEG_CS].base, 0x22220);

    vm86_mode(3);
    push16(0x0fff);
    push16(0x2222);
    push16(0x3333);
    ck_assert(interrupt_return(cpu, 2));
    EQ(cpu->eflags, FLAG_VM | FLAG_IOPL | 0x0fd7);
    EQ(cpu->gpr[REG_SP], 0x12340100);

    vm86_mode(2);
    push16(0x0200);
    push16(0x2222);
    push16(0x3333);
    FAULTS(interrupt_return(cpu, 2), VEC_GP, 0);
    cpu->cr4 = CR4_VME;
    cpu->eflags &= ~FLAG_IF;
    FAULTS(interrupt_return(cpu, 4), VEC_GP, 0);
    cpu->eflags |= FLAG_VIP;
    FAULTS(interrupt_return(cpu, 2), VEC_GP, 0); /* VIP and IF */
    cpu->eflags &= ~FLAG_VIP;
    ck_assert(interrupt_return(cpu, 2));
    EQ(cpu->eflags, FLAG_VM | FLAG_VIF | FLAG_1 | 2u << 12); /* IF of the image is VIF */
    push16(0x0100);
    push16(0x2222);
    push16(0x3333);
    FAULTS(interrupt_return(cpu, 2), VEC_GP, 0); /* TF */
}
END_TEST

/* SDM vol. 3, 6.7.1: a faulting IRET unblocks NMIs too. */
START_TEST(iret_unblocks_nmi_even_when_it_faults)
{
    vm86_mode(0);
    cpu->nmi_blocked = true;
    cpu->nmi_latched = true;
    ck_assert(!interrupt_return(cpu, 2));
    ck_assert(!cpu->nmi_blocked);
    EQ(fake.looks, 1);
}
END_TEST

/* ---- interrupts ---- */

START_TEST(real_mode_interrupts)
{
    real_mode();
    fake_put(cpu, 0x21 * 4, 4, 0x20000010);
    cpu->eflags = FLAG_1 | FLAG_IF | FLAG_TF | FLAG_AC | FLAG_ZF;
    ck_assert(interrupt_enter(cpu, 0x21, INTERRUPT_SOFTWARE, false, 0, NEXT));
    EQ(PUSHED16(0), NEXT);
    EQ(PUSHED16(1), 0x1000);
    EQ(PUSHED16(2), FLAG_1 | FLAG_IF | FLAG_TF | FLAG_ZF);
    EQ(cpu->eflags, FLAG_1 | FLAG_ZF);
    EQ(cpu->seg[SEG_CS].base, 0x20000);
    EQ(cpu->rip, 0x10);
    EQ(cpu->gpr[REG_SP], 0xffa);
    cpu->idtr.limit = 0x21 * 4 + 2;
    FAULTS(interrupt_enter(cpu, 0x21, INTERRUPT_SOFTWARE, false, 0, NEXT), VEC_GP, 0x21 * 8 + 2);
    cpu->gpr[REG_SP] = 1;
    FAULTS(interrupt_enter(cpu, 0x10, INTERRUPT_SOFTWARE, false, 0, NEXT), VEC_SS, 0);
}
END_TEST

static void put_idt(unsigned vector, unsigned selector, uint32_t offset, unsigned type_dpl_p)
{
    put_gate(IDT + vector * 8, selector, offset, type_dpl_p, 0);
}

START_TEST(interrupt_same_level)
{
    put_idt(0x30, CODE0, 0x12345678, 0x8e);
    put_idt(13, CODE0, 0x1000, 0x8f);
    put_idt(14, CODE0, 0x9abc, 0x86);
    cpu->eflags |= FLAG_TF | FLAG_NT;
    uint32_t flags = cpu->eflags;
    ck_assert(interrupt_enter(cpu, 0x30, INTERRUPT_EXTERNAL, false, 0, 0x5555));
    EQ(cpu->gpr[REG_SP], STACK0 - 12);
    EQ(PUSHED(0), 0x5555);
    EQ(PUSHED(1), CODE0);
    EQ(PUSHED(2), flags);
    EQ(cpu->rip, 0x12345678);
    EQ(cpu->eflags, FLAG_1);
    at_level(0);
    ck_assert(interrupt_enter(cpu, 13, INTERRUPT_EXCEPTION, true, 0xabcd, RIP));
    EQ(cpu->gpr[REG_SP], STACK0 - 16);
    EQ(PUSHED(0), 0xabcd);
    EQ(PUSHED(1), RIP);
    EQ(cpu->eflags, FLAG_1 | FLAG_IF); /* trap gate */
    at_level(0);
    ck_assert(interrupt_enter(cpu, 14, INTERRUPT_EXCEPTION, true, 2, 0x77777));
    EQ(cpu->gpr[REG_SP], STACK0 - 8);
    EQ(PUSHED16(0), 2);
    EQ(PUSHED16(1), 0x7777);
    EQ(cpu->rip, 0x9abc);
}
END_TEST

START_TEST(interrupt_to_inner_level)
{
    put_idt(0x80, CODE0, 0x4000, 0x8e | dpl(3));
    put_idt(14, CODE1, 0x4100, 0x8f);
    at_level(3);
    fake.page_flags[(STACK0 - 1) / 4096] = FAKE_NO_USER;
    ck_assert(interrupt_enter(cpu, 0x80, INTERRUPT_SOFTWARE, false, 0, NEXT));
    EQ(cpu->cpl, 0);
    EQ(cpu->gpr[REG_SP], STACK0 - 20);
    EQ(PUSHED(0), NEXT);
    EQ(PUSHED(1), CODE3 | 3);
    EQ(PUSHED(2), FLAG_1 | FLAG_IF);
    EQ(PUSHED(3), STACK3);
    EQ(PUSHED(4), DATA3 | 3);
    EQ(cpu->seg[SEG_DS].selector, DATA3 | 3); /* kept */
    at_level(3);
    ck_assert(interrupt_enter(cpu, 14, INTERRUPT_EXCEPTION, true, 7, RIP));
    EQ(cpu->cpl, 1);
    EQ(cpu->gpr[REG_SP], STACK1 - 24);
    EQ(PUSHED(0), 7);
}
END_TEST

START_TEST(interrupt_faults_and_ext)
{
    static const struct {
        unsigned selector, gate, vector, error; /* error with EXT */
    } rows[] = {
        { CODE0, 0x8c, VEC_GP, 0x30 * 8 + 3 },   /* a call gate */
        { CODE0, 0x0e, VEC_NP, 0x30 * 8 + 3 },
        { 0, 0x8e, VEC_GP, 1 },
        { BEYOND, 0x8e, VEC_GP, BEYOND + 1 },
        { DATA0, 0x8e, VEC_GP, DATA0 + 1 },
        { ABSENT_CODE, 0x8e, VEC_NP, ABSENT_CODE + 1 },
        { SMALL_CODE, 0x8e, VEC_GP, 1 },
        { 0x0c, 0x85, VEC_GP, 0x0c + 1 },        /* task gate to the LDT */
        { CODE0, 0x85, VEC_GP, CODE0 + 1 },
        { TSS_A_SEL, 0x85, VEC_GP, TSS_A_SEL + 1 },
    };

    for (unsigned n = 0; n < sizeof rows / sizeof rows[0]; n++) {
        put_idt(0x30, rows[n].selector, 0x100, rows[n].gate | dpl(3));
        FAULTS(interrupt_enter(cpu, 0x30, INTERRUPT_EXTERNAL, false, 0, NEXT), rows[n].vector, rows[n].error);
        FAULTS(interrupt_enter(cpu, 0x30, INTERRUPT_PRIVILEGED, false, 0, NEXT), rows[n].vector, rows[n].error);
        FAULTS(interrupt_enter(cpu, 0x30, INTERRUPT_SOFTWARE, false, 0, NEXT), rows[n].vector, rows[n].error & ~1u);
    }
    put_idt(0x30, CODE0, 0x100, 0x8e);
    at_level(3);
    FAULTS(interrupt_enter(cpu, 0x30, INTERRUPT_SOFTWARE, false, 0, NEXT), VEC_GP, 0x30 * 8 + 2);
    FAULTS(interrupt_enter(cpu, 0x30, INTERRUPT_SOFTWARE_EXCEPTION, false, 0, NEXT), VEC_GP, 0x30 * 8 + 2);
    fake.page_flags[(STACK0 - 1) / 4096] = FAKE_NO_WRITE;
    FAULTS(interrupt_enter(cpu, 0x30, INTERRUPT_EXTERNAL, false, 0, NEXT), VEC_PF, 2);
    fake_put(cpu, TSS_A + 8, 2, 0);
    FAULTS(interrupt_enter(cpu, 0x30, INTERRUPT_EXTERNAL, false, 0, NEXT), VEC_TS, 1);
    fake_put(cpu, TSS_A + 8, 2, ABSENT_STACK);
    FAULTS(interrupt_enter(cpu, 0x30, INTERRUPT_EXTERNAL, false, 0, NEXT), VEC_SS, ABSENT_STACK + 1);
    cpu->idtr.limit = 0x30 * 8 + 6;
    FAULTS(interrupt_enter(cpu, 0x30, INTERRUPT_EXTERNAL, false, 0, NEXT), VEC_GP, 0x30 * 8 + 3);
}
END_TEST

START_TEST(vm86_interrupts)
{
    put_idt(0x21, CODE0, 0x4000, 0x8e | dpl(3));
    vm86_mode(3);
    ck_assert(interrupt_enter(cpu, 0x21, INTERRUPT_SOFTWARE, false, 0, NEXT));
    EQ(cpu->cpl, 0);
    ck_assert(!cpu_is_vm86(cpu));
    EQ(cpu->gpr[REG_SP], STACK0 - 36);
    EQ(PUSHED(0), NEXT);
    EQ(PUSHED(1), 0x2001);
    EQ(PUSHED(2), FLAG_1 | FLAG_VM | FLAG_IF | FLAG_IOPL);
    EQ(PUSHED(3), 0x12340100);
    EQ(PUSHED(4), 0x2002); /* SS, ES, DS, FS, GS */
    EQ(PUSHED(5), 0x2000);
    EQ(PUSHED(6), 0x2003);
    EQ(PUSHED(7), 0x2004);
    EQ(PUSHED(8), 0x2005);
    ck_assert(cpu->seg[SEG_GS].attributes & ATTR_NULL);
    EQ(cpu->seg[SEG_ES].selector, 0);
    /* and back */
    ck_assert(interrupt_return(cpu, 4));
    ck_assert(cpu_is_vm86(cpu));
    EQ(cpu->gpr[REG_SP], 0x12340100);
    EQ(cpu->seg[SEG_FS].selector, 0x2004);
    EQ(cpu->rip, NEXT);

    vm86_mode(0);
    FAULTS(interrupt_enter(cpu, 0x21, INTERRUPT_SOFTWARE, false, 0, NEXT), VEC_GP, 0);
    put_idt(3, CODE1, 0x4000, 0x8e | dpl(3));
    FAULTS(interrupt_enter(cpu, 3, INTERRUPT_SOFTWARE_EXCEPTION, false, 0, NEXT), VEC_GP, CODE1);
    put_idt(3, CONFORMING0, 0x4000, 0x8e | dpl(3));
    FAULTS(interrupt_enter(cpu, 3, INTERRUPT_EXCEPTION, false, 0, NEXT), VEC_GP, CONFORMING0 + 1);
    put_idt(3, CODE0, 0x4000, 0x8e | dpl(3));
    ck_assert(interrupt_enter(cpu, 3, INTERRUPT_SOFTWARE_EXCEPTION, false, 0, NEXT)); /* INT3 heeds no IOPL */
}
END_TEST

START_TEST(vme_redirection)
{
    put_idt(0x21, CODE0, 0x4000, 0x8e | dpl(3));
    fake_put(cpu, 0x21 * 4, 4, 0x30000055);
    cpu->cr4 = CR4_VME;

    vm86_mode(0); /* method 6 */
    cpu->eflags |= FLAG_VIF | FLAG_NT;
    cpu->eflags &= ~FLAG_IF;
    ck_assert(interrupt_enter(cpu, 0x21, INTERRUPT_SOFTWARE, false, 0, NEXT));
    EQ(cpu->seg[SEG_CS].base, 0x30000);
    EQ(cpu->rip, 0x55);
    EQ(cpu->gpr[REG_SP], 0x123400fa);
    EQ(PUSHED16(0), NEXT);
    EQ(PUSHED16(1), 0x2001);
    EQ(PUSHED16(2), FLAG_1 | FLAG_IF | FLAG_IOPL | FLAG_NT);
    EQ(cpu->eflags, FLAG_1 | FLAG_VM | FLAG_NT);

    vm86_mode(3); /* method 5 */
    ck_assert(interrupt_enter(cpu, 0x21, INTERRUPT_SOFTWARE, false, 0, NEXT));
    EQ(PUSHED16(2), FLAG_1 | FLAG_IF | FLAG_IOPL);
    EQ(cpu->eflags, FLAG_1 | FLAG_VM | FLAG_IOPL);

    fake_put(cpu, TSS_A + 0x68 + 0x21 / 8, 1, 1 << (0x21 & 7));
    vm86_mode(0); /* method 3 */
    FAULTS(interrupt_enter(cpu, 0x21, INTERRUPT_SOFTWARE, false, 0, NEXT), VEC_GP, 0);
    vm86_mode(3); /* method 4 */
    ck_assert(interrupt_enter(cpu, 0x21, INTERRUPT_SOFTWARE, false, 0, NEXT));
    EQ(cpu->cpl, 0);
    vm86_mode(3);
    cpu->seg[SEG_TR].limit = 0x66;
    FAULTS(interrupt_enter(cpu, 0x21, INTERRUPT_SOFTWARE, false, 0, NEXT), VEC_GP, 0);
}
END_TEST

/* ---- faults ---- */

START_TEST(faults_push_rf_and_cr2)
{
    put_idt(14, CODE0, 0x4000, 0x8e);
    cpu->fault_address = 0xcafe0000;
    cpu_fault_error(cpu, VEC_PF, 6);
    cpu_deliver_fault(cpu);
    EQ(cpu->cr2, 0xcafe0000);
    EQ(PUSHED(0), 6);
    EQ(PUSHED(1), RIP);
    EQ(PUSHED(3), FLAG_1 | FLAG_IF | FLAG_RF);
    EQ(cpu->eflags, FLAG_1);
    EQ(cpu->delivering, 0);
}
END_TEST

/* SDM vol. 3, table 6-5. */
START_TEST(double_fault_table)
{
    static const struct {
        unsigned first, second; /* second: 13 by a bad gate, 14 by an unreadable handler stack */
        bool is_double;
    } rows[] = {
        { VEC_UD, VEC_GP, false }, { VEC_GP, VEC_NP, true }, { VEC_DE, VEC_NP, true }, { VEC_PF, VEC_NP, true },
        { VEC_TS, VEC_NP, true },  { VEC_NM, VEC_NP, false }, { VEC_AC, VEC_NP, false },
    };

    for (unsigned n = 0; n < sizeof rows / sizeof rows[0]; n++) {
        at_level(0);
        memset(fake.bytes + IDT, 0, 0x800);
        put_idt(rows[n].first, CODE0, 0x100, 0x0e); /* absent: #NP */
        put_idt(VEC_DF, CODE0, 0x800, 0x8e);
        if (rows[n].first != VEC_GP && rows[n].first != VEC_NP) {
            put_idt(VEC_NP, CODE0, 0x1100, 0x8e);
        }
        cpu_fault_error(cpu, (enum exception_vector)rows[n].first, 0);
        cpu->rip = RIP;
        cpu_deliver_fault(cpu);
        EQ(cpu->rip, rows[n].is_double ? 0x800 : 0x1100);
        EQ(PUSHED(0), rows[n].is_double ? 0 : rows[n].first * 8 + 3);
        EQ(PUSHED(1), RIP);
        EQ(cpu->halted_state, CPU_RUNNING);
    }
}
END_TEST

/* A contributory fault and then a page fault are handled one after the other; two page faults are not. */
START_TEST(page_faults_while_delivering)
{
    put_idt(VEC_GP, CODE0, 0x100, 0x8e);
    put_idt(VEC_PF, CODE0, 0x200, 0x8e);
    put_idt(VEC_DF, CODE0, 0x800, 0x8e);
    set_segment(SEG_SS, DATA0);
    at_level(3);
    put_idt(VEC_GP, CODE1, 0x100, 0x8e); /* its stack is unmapped */
    fake.page_flags[(STACK1 - 1) / 4096] = FAKE_NO_WRITE;
    cpu_fault_error(cpu, VEC_GP, 0);
    cpu_deliver_fault(cpu);
    EQ(cpu->rip, 0x200);
    ck_assert(cpu->cr2 >= STACK1 - 24 && cpu->cr2 < STACK1);
    at_level(3);
    put_idt(VEC_PF, CODE1, 0x200, 0x8e);
    cpu_fault_error(cpu, VEC_PF, 0);
    cpu_deliver_fault(cpu);
    EQ(cpu->rip, 0x800);
}
END_TEST

START_TEST(triple_fault_shuts_down)
{
    cpu->idtr.limit = 0;
    remember();
    cpu_fault(cpu, VEC_UD);
    cpu_deliver_fault(cpu);
    EQ(cpu->halted_state, CPU_SHUTDOWN);
    EQ(cpu->rip, RIP);
    ck_assert(memcmp(before.gpr, cpu->gpr, sizeof before.gpr) == 0);
    ck_assert(memcmp(fake_before.bytes, fake.bytes, FAKE_BYTES) == 0);
    teardown();
    setup();
    real_mode();
    cpu->idtr.limit = 0;
    cpu_fault(cpu, VEC_UD);
    cpu_deliver_fault(cpu);
    EQ(cpu->halted_state, CPU_SHUTDOWN);
}
END_TEST

/* ---- tasks ---- */

static void put_task32(uint32_t at, unsigned cs, unsigned ss, unsigned data)
{
    fake_put(cpu, at + 0x1c, 4, 0x7000);
    fake_put(cpu, at + 0x20, 4, 0x3456);
    fake_put(cpu, at + 0x24, 4, FLAG_1 | FLAG_CF);
    for (unsigned n = 0; n < 8; n++) {
        fake_put(cpu, at + 0x28 + n * 4, 4, 0xb0000000u + n);
    }
    fake_put(cpu, at + 0x28 + REG_SP * 4, 4, STACK1);
    fake_put(cpu, at + 0x48, 2, data);
    fake_put(cpu, at + 0x4c, 2, cs);
    fake_put(cpu, at + 0x50, 2, ss);
    fake_put(cpu, at + 0x54, 2, data);
    fake_put(cpu, at + 0x58, 2, 0);
    fake_put(cpu, at + 0x5c, 2, data);
    fake_put(cpu, at + 0x60, 2, LDT_SEL);
}

static unsigned access_of(unsigned selector) { return fake_get(cpu, GDT + selector + 5, 1); }

START_TEST(task_call_and_nested_return)
{
    put_task32(TSS_B, CODE0, DATA0, DATA3);
    cpu->dr[7] = 0x403;
    cpu->gpr[REG_AX] = 0x12345678;
    ck_assert(far_call(cpu, TSS_B_SEL, 0x9999, 4));
    EQ(cpu->rip, 0x3456);
    EQ(cpu->gpr[REG_AX], 0xb0000000u);
    EQ(cpu->eflags, FLAG_1 | FLAG_CF | FLAG_NT);
    EQ(cpu->seg[SEG_TR].selector, TSS_B_SEL);
    EQ(cpu->seg[SEG_TR].attributes, 0x8b);
    EQ(cpu->seg[SEG_CS].selector, CODE0);
    EQ(cpu->seg[SEG_DS].selector, DATA3);
    ck_assert(cpu->seg[SEG_FS].attributes & ATTR_NULL);
    EQ(cpu->seg[SEG_LDTR].base, LDT);
    ck_assert(cpu->cr0 & CR0_TS);
    EQ(cpu->dr[7], 0x402);
    EQ(fake.watch_changes, 1);
    EQ(cpu->cr3, 0); /* no paging, no CR3 */
    EQ(access_of(TSS_A_SEL), 0x8b);
    EQ(access_of(TSS_B_SEL), 0x8b);
    EQ(fake_get(cpu, TSS_B, 2), TSS_A_SEL);
    EQ(fake_get(cpu, TSS_A + 0x20, 4), NEXT);
    EQ(fake_get(cpu, TSS_A + 0x28, 4), 0x12345678);
    EQ(fake_get(cpu, TSS_A + 0x4c, 2), CODE0);
    cpu->rip = 0x4000;
    cpu->next_rip = 0x4001;
    ck_assert(interrupt_return(cpu, 4));
    EQ(cpu->rip, NEXT);
    EQ(cpu->gpr[REG_AX], 0x12345678);
    EQ(cpu->gpr[REG_SP], STACK0);
    EQ(cpu->eflags, FLAG_1 | FLAG_IF);
    EQ(cpu->seg[SEG_TR].selector, TSS_A_SEL);
    EQ(access_of(TSS_B_SEL), 0x89);
    EQ(access_of(TSS_A_SEL), 0x8b);
    EQ(fake_get(cpu, TSS_B + 0x20, 4), 0x4001);
    EQ(fake_get(cpu, TSS_B + 0x24, 4), FLAG_1 | FLAG_CF); /* NT cleared in the image */
}
END_TEST

START_TEST(task_jump_with_paging)
{
    put_task32(TSS_B, CODE3 | 3, DATA3 | 3, DATA3 | 3);
    fake_put(cpu, TSS_B + 0x64, 2, 1);
    cpu->cr0 |= CR0_PG;
    ck_assert(far_jump(cpu, TASK_GATE, 0, 4));
    EQ(cpu->cpl, 3);
    EQ(cpu->cr3, 0x7000);
    EQ(fake.flushes, 1);
    EQ(access_of(TSS_A_SEL), 0x89);
    EQ(access_of(TSS_B_SEL), 0x8b);
    EQ(cpu->eflags, FLAG_1 | FLAG_CF);
    EQ(cpu->debug_pending, 0x8000); /* T */
    EQ(cpu->pending, PENDING_DEBUG);
    EQ(fake_get(cpu, TSS_B, 2), 0);
}
END_TEST

START_TEST(task_16_bit)
{
    fake_put(cpu, TSS_C + 0x0e, 2, 0x4321);
    fake_put(cpu, TSS_C + 0x10, 2, FLAG_1 | FLAG_IF);
    for (unsigned n = 0; n < 8; n++) {
        fake_put(cpu, TSS_C + 0x12 + n * 2, 2, 0xc0 + n);
    }
    fake_put(cpu, TSS_C + 0x22, 2, DATA3);
    fake_put(cpu, TSS_C + 0x24, 2, CODE16);
    fake_put(cpu, TSS_C + 0x26, 2, DATA0);
    fake_put(cpu, TSS_C + 0x28, 2, DATA0);
    ck_assert(far_call(cpu, TSS_C_SEL, 0, 4));
    EQ(cpu->rip, 0x4321);
    EQ(cpu->seg[SEG_CS].base, 0x10000);
    EQ(cpu->gpr[REG_CX] & 0xffff, 0xc1);
    EQ(cpu->seg[SEG_ES].selector, DATA3);
    EQ(cpu->seg[SEG_DS].selector, DATA0);
    EQ(cpu->seg[SEG_GS].selector, 0);
    ck_assert(cpu->seg[SEG_LDTR].attributes & ATTR_NULL);
    EQ(fake_get(cpu, TSS_C, 2), TSS_A_SEL);
    cpu->gpr[REG_DI] = 0xdd;
    ck_assert(interrupt_return(cpu, 2));
    EQ(cpu->rip, NEXT);
    EQ(fake_get(cpu, TSS_C + 0x12 + 7 * 2, 2), 0xdd);
    EQ(access_of(TSS_C_SEL), 0x81);
}
END_TEST

START_TEST(task_by_interrupt_with_error_code)
{
    put_task32(TSS_B, CODE0, DATA0, DATA0);
    put_idt(VEC_DF, TSS_B_SEL, 0, 0x85);
    cpu->idtr.limit = VEC_DF * 8 + 7;
    at_level(3);
    cpu_fault_error(cpu, VEC_GP, 0); /* vector 13 is outside of the IDT: #GP, so #DF */
    cpu_deliver_fault(cpu);
    EQ(cpu->rip, 0x3456);
    EQ(cpu->cpl, 0);
    EQ(cpu->gpr[REG_SP], STACK1 - 4);
    EQ(PUSHED(0), 0);
    EQ(fake_get(cpu, TSS_A + 0x20, 4), RIP);
    EQ(fake_get(cpu, TSS_A + 0x24, 4), FLAG_1 | FLAG_IF | FLAG_RF);
    EQ(fake_get(cpu, TSS_A + 0x4c, 2), CODE3 | 3);
    ck_assert(cpu->eflags & FLAG_NT);
}
END_TEST

START_TEST(task_to_vm86)
{
    put_task32(TSS_B, 0x2222, 0x3333, 0x4444);
    fake_put(cpu, TSS_B + 0x24, 4, FLAG_1 | FLAG_VM);
    ck_assert(far_jump(cpu, TSS_B_SEL, 0, 4));
    ck_assert(cpu_is_vm86(cpu));
    EQ(cpu->cpl, 3);
    EQ(cpu->seg[SEG_CS].base, 0x22220);
    EQ(cpu->seg[SEG_SS].base, 0x33330);
    EQ(cpu->seg[SEG_DS].base, 0x44440);
}
END_TEST

/* Faults before the commit point leave the old task alone. */
START_TEST(task_faults_in_the_old_task)
{
    put_task32(TSS_B, CODE0, DATA0, DATA0);
    cpu->eflags |= FLAG_NT;
    fake_put(cpu, TSS_A, 2, TSS_B_SEL);
    FAULTS(interrupt_return(cpu, 4), VEC_TS, TSS_B_SEL); /* not busy */
    fake_put(cpu, TSS_A, 2, 0x0c);
    FAULTS(interrupt_return(cpu, 4), VEC_TS, 0x0c);
    fake_put(cpu, TSS_A, 2, BEYOND);
    FAULTS(interrupt_return(cpu, 4), VEC_TS, BEYOND);
    at_level(3);
    FAULTS(far_jump(cpu, TSS_B_SEL, 0, 4), VEC_GP, TSS_B_SEL); /* DPL 0 */
    at_level(0);
    put_descriptor(GDT + FREE, TSS_B, 0x66, 0x89);
    FAULTS(far_jump(cpu, FREE, 0, 4), VEC_TS, FREE);
    put_descriptor(GDT + FREE, TSS_B, 0x67, 0x09);
    FAULTS(far_jump(cpu, FREE, 0, 4), VEC_NP, FREE);
    fake.page_flags[TSS_A / 4096] = FAKE_NO_WRITE;
    FAULTS(far_jump(cpu, TSS_B_SEL, 0, 4), VEC_PF, 2);
    fake.page_flags[TSS_A / 4096] = 0;
    fake.page_flags[TSS_B / 4096] = FAKE_NO_WRITE;
    FAULTS(far_call(cpu, TSS_B_SEL, 0, 4), VEC_PF, 2);
    fake.page_flags[TSS_B / 4096] = FAKE_NO_READ;
    FAULTS(far_call(cpu, TSS_B_SEL, 0, 4), VEC_PF, 0);
    EQ(access_of(TSS_A_SEL), 0x8b);
    EQ(access_of(TSS_B_SEL), 0x89);
}
END_TEST

/* After it they happen in the new task (SDM vol. 3, table 7-1). */
START_TEST(task_faults_in_the_new_task)
{
    static const struct {
        unsigned cs, ss, data, ldt, vector, error;
    } rows[] = {
        { 0, DATA0, DATA0, 0, VEC_TS, 0 },
        { DATA0, DATA0, DATA0, 0, VEC_TS, DATA0 },
        { CODE3, DATA0, DATA0, 0, VEC_TS, CODE3 },
        { ABSENT_CODE, DATA0, DATA0, 0, VEC_NP, ABSENT_CODE },
        { CODE0, 0, DATA0, 0, VEC_TS, 0 },
        { CODE0, DATA3, DATA0, 0, VEC_TS, DATA3 },
        { CODE0, ABSENT_STACK, DATA0, 0, VEC_SS, ABSENT_STACK },
        { CODE0, DATA0, EXECONLY, 0, VEC_TS, EXECONLY },
        { CODE0, DATA0, ABSENT_DATA, 0, VEC_NP, ABSENT_DATA },
        { CODE3 | 3, DATA3 | 3, DATA0, 0, VEC_TS, DATA0 },
        { CODE0, DATA0, DATA0, DATA0, VEC_TS, DATA0 },
        { CODE0, DATA0, DATA0, 0x0c, VEC_TS, 0x0c },
        { SMALL_CODE, DATA0, DATA0, 0, VEC_GP, 0 },
    };

    for (unsigned n = 0; n < sizeof rows / sizeof rows[0]; n++) {
        teardown();
        setup();
        put_task32(TSS_B, rows[n].cs, rows[n].ss, rows[n].data);
        fake_put(cpu, TSS_B + 0x60, 2, rows[n].ldt);
        ck_assert(!far_jump(cpu, TSS_B_SEL, 0, 4));
        ck_assert_msg(cpu->fault_vector == rows[n].vector && cpu->fault_error == rows[n].error,
                      "row %u: %u(0x%x)", n, cpu->fault_vector, (unsigned)cpu->fault_error);
        EQ(cpu->rip, 0x3456);
        EQ(cpu->seg[SEG_TR].selector, TSS_B_SEL);
        EQ(cpu->seg[SEG_CS].selector, rows[n].cs);
    }
}
END_TEST

/* ---- control registers ---- */

START_TEST(control_registers)
{
    FAULTS(control_write_cr0(cpu, CR0_PG), VEC_GP, 0);
    FAULTS(control_write_cr0(cpu, CR0_PE | CR0_NW), VEC_GP, 0);
    ck_assert(control_write_cr0(cpu, CR0_PE | CR0_PG | CR0_WP | 0x0ffa0000));
    EQ(cpu->cr0, CR0_PE | CR0_PG | CR0_WP | CR0_ET);
    EQ(fake.flushes, 1);
    EQ(fake.global_flushes, 1);
    ck_assert(control_write_cr4(cpu, CR4_PGE | CR4_PSE | CR4_VME));
    EQ(fake.global_flushes, 2);
    ck_assert(control_write_cr3(cpu, 0x8000));
    EQ(fake.flushes, 3);
    EQ(fake.global_flushes, 2); /* global pages stay */
    FAULTS(control_write_cr4(cpu, 0x2000), VEC_GP, 0);
    FAULTS(control_write_cr4(cpu, 0x8000), VEC_GP, 0);
    FAULTS(control_write_cr4(cpu, UINT64_C(1) << 32), VEC_GP, 0);
    fake_put(cpu, 0x8000, 4, 0x1003); /* reserved bit 1 in a present PDPTE */
    FAULTS(control_write_cr4(cpu, CR4_PAE), VEC_GP, 0);
    fake_put(cpu, 0x8000, 4, 0x1002); /* not present */
    fake_put(cpu, 0x8018, 4, 0x2001);
    ck_assert(control_write_cr4(cpu, CR4_PAE));
    EQ(cpu->pdpte[0], 0x1002);
    EQ(cpu->pdpte[3], 0x2001);
    fake_put(cpu, 0x7004, 4, 0x100);
    fake_put(cpu, 0x7000, 4, 1); /* above 40 bits */
    FAULTS(control_write_cr3(cpu, 0x7000), VEC_GP, 0);
}
END_TEST

START_TEST(debug_registers)
{
    uint64_t value;

    ck_assert(control_write_dr(cpu, 7, 0xffffffff));
    FAULTS(control_write_cr0(cpu, CR0_PG), VEC_GP, 0);
    ck_assert(!control_read_dr(cpu, 0, &value));
    EQ(cpu->fault_vector, VEC_DB);
    ck_assert(cpu->dr[6] & 0x2000);
    put_idt(1, CODE0, 0x100, 0x8e);
    cpu_deliver_fault(cpu);
    EQ(cpu->dr[7] & 0x2000, 0); /* GD is cleared for the handler */
    ck_assert(control_read_dr(cpu, 7, &value));
    EQ(value, 0xffff07ff);
    ck_assert(control_write_dr(cpu, 4, 0) && control_read_dr(cpu, 6, &value));
    EQ(value, 0xffff0ff0);
    cpu->cr4 = CR4_DE;
    FAULTS(control_read_dr(cpu, 5, &value), VEC_UD, 0);
}
END_TEST

START_TEST(model_specific_registers)
{
    uint64_t value;

    clock_skip(&the_clock, 1000);
    ck_assert(control_wrmsr(cpu, 0x10, 5) && control_rdmsr(cpu, 0x10, &value));
    EQ(value, 5);
    clock_skip(&the_clock, 7);
    EQ(control_tsc(cpu), 12);
    ck_assert(control_rdmsr(cpu, 0xfe, &value));
    EQ(value, 0x508);
    ck_assert(control_wrmsr(cpu, 0x200, UINT64_C(0xf00000006)));
    FAULTS(control_wrmsr(cpu, 0x200, 0x1002), VEC_GP, 0);
    FAULTS(control_wrmsr(cpu, 0x201, UINT64_C(0x10000000800)), VEC_GP, 0);
    ck_assert(control_wrmsr(cpu, 0x20f, UINT64_C(0xffff00000800)  & UINT64_C(0xfffffffff)));
    FAULTS(control_wrmsr(cpu, 0x210, 0), VEC_GP, 0);
    ck_assert(control_wrmsr(cpu, 0x26f, UINT64_C(0x0605040100060504)));
    EQ(cpu->mtrr_fixed[10], UINT64_C(0x0605040100060504));
    FAULTS(control_wrmsr(cpu, 0x259, 7), VEC_GP, 0);
    ck_assert(control_wrmsr(cpu, 0x2ff, 0xc06));
    FAULTS(control_wrmsr(cpu, 0x2ff, 0x1000), VEC_GP, 0);
    ck_assert(control_wrmsr(cpu, 0x277, UINT64_C(0x0007040600070406)));
    FAULTS(control_wrmsr(cpu, 0x277, 2), VEC_GP, 0);
    FAULTS(control_wrmsr(cpu, 0xfe, 0), VEC_GP, 0);
    ck_assert(control_rdmsr(cpu, 0xc0000080, &value));
    EQ(value, 0);
    FAULTS(control_wrmsr(cpu, 0xc0000080, 2), VEC_GP, 0);
    FAULTS(control_wrmsr(cpu, 0xc0000082, UINT64_C(1) << 47), VEC_GP, 0); /* LSTAR: not canonical */
    FAULTS(control_wrmsr(cpu, 0x12345678, 0), VEC_GP, 0);
    cpu->apic_base = 0xfee00100;
    FAULTS(control_wrmsr(cpu, 0x1b, 0xfee00101), VEC_GP, 0);
    ck_assert(control_wrmsr(cpu, 0x1b, 0xfed00800) && control_rdmsr(cpu, 0x1b, &value));
    EQ(value, 0xfed00900);
}
END_TEST

static void cpuid(uint32_t leaf)
{
    cpu->gpr[REG_AX] = leaf;
    cpu->gpr[REG_CX] = 0;
    control_cpuid(cpu);
}

START_TEST(cpuid_leaves)
{
    char brand[49] = { 0 };

    cpuid(0);
    EQ(cpu->gpr[REG_AX], 0x16);
    EQ(cpu->gpr[REG_BX], 0x756e6547);
    EQ(cpu->gpr[REG_DX], 0x49656e69);
    EQ(cpu->gpr[REG_CX], 0x6c65746e);
    cpuid(1);
    EQ(cpu->gpr[REG_AX] >> 8, 6);
    EQ(cpu->gpr[REG_DX], 0x078bbbff);
    EQ(cpu->gpr[REG_CX], 0x47fa220b); /* OSXSAVE follows CR4 */
    ck_assert(control_write_cr4(cpu, CR4_OSXSAVE));
    cpuid(1);
    EQ(cpu->gpr[REG_CX], 0x4ffa220b);
    EQ(cpu->gpr[REG_BX], 0x0800);
    ck_assert(control_write_cr4(cpu, 0));
    cpuid(0xd);
    EQ(cpu->gpr[REG_AX], 3);
    EQ(cpu->gpr[REG_CX], 576);
    cpuid(0x15);
    EQ(cpu->gpr[REG_CX] * cpu->gpr[REG_BX] / cpu->gpr[REG_AX], 1000000000);
    cpuid(0x12345); /* as the last basic leaf */
    EQ(cpu->gpr[REG_AX], 1000);
    for (uint32_t n = 0; n < 3; n++) {
        static const unsigned order[] = { REG_AX, REG_BX, REG_CX, REG_DX };
        cpuid(0x80000002 + n);
        for (unsigned k = 0; k < 4; k++) {
            store_le32(brand + n * 16 + k * 4, cpu_reg32(cpu, order[k]));
        }
    }
    ck_assert_str_eq(brand, "tick86 processor @ 1.00GHz");
    ck_assert(control_wrmsr(cpu, 0x1a0, 0x400000));
    cpuid(0);
    EQ(cpu->gpr[REG_AX], 2);
}
END_TEST

START_TEST(io_permission)
{
    at_level(3);
    fake_put(cpu, TSS_A + 0x88 + 0x70 / 8, 2, 0x0103); /* 70h, 71h and 78h are barred */
    FAULTS(control_io_allowed(cpu, 0x70, 1), VEC_GP, 0);
    ck_assert(control_io_allowed(cpu, 0x72, 4));
    FAULTS(control_io_allowed(cpu, 0x76, 4), VEC_GP, 0); /* across a byte */
    ck_assert(control_io_allowed(cpu, 0x77, 1));
    cpu->seg[SEG_TR].limit = 0x88 + 8191;
    FAULTS(control_io_allowed(cpu, 0xffff, 1), VEC_GP, 0); /* the byte behind the map is missing */
    cpu->seg[SEG_TR].limit++;
    ck_assert(control_io_allowed(cpu, 0xffff, 1));
    cpu->eflags |= FLAG_IOPL;
    ck_assert(control_io_allowed(cpu, 0x70, 1));
    vm86_mode(3); /* IOPL does not help */
    FAULTS(control_io_allowed(cpu, 0x70, 1), VEC_GP, 0);
    cpu->seg[SEG_TR].attributes = ATTR_NULL;
    FAULTS(control_io_allowed(cpu, 0x60, 1), VEC_GP, 0);
    real_mode();
    ck_assert(control_io_allowed(cpu, 0x70, 1));
}
END_TEST

START_TEST(sysenter_and_sysexit)
{
    at_level(3);
    FAULTS(system_sysenter(cpu), VEC_GP, 0);
    ck_assert(control_wrmsr(cpu, 0x174, CODE0) && control_wrmsr(cpu, 0x175, STACK0) &&
              control_wrmsr(cpu, 0x176, 0xc0001234));
    FAULTS(system_sysexit(cpu, false), VEC_GP, 0);
    ck_assert(system_sysenter(cpu));
    EQ(cpu->cpl, 0);
    EQ(cpu->seg[SEG_CS].selector, CODE0);
    EQ(cpu->seg[SEG_CS].attributes, 0xc09b);
    EQ(cpu->seg[SEG_SS].selector, DATA0);
    EQ(cpu->seg[SEG_SS].attributes, 0xc093);
    EQ(cpu->rip, 0xc0001234);
    EQ(cpu->eflags, FLAG_1);
    cpu->gpr[REG_CX] = STACK3;
    cpu->gpr[REG_DX] = 0x8000;
    ck_assert(system_sysexit(cpu, false));
    EQ(cpu->cpl, 3);
    EQ(cpu->seg[SEG_CS].selector, CODE3 | 3);
    EQ(cpu->seg[SEG_CS].attributes, 0xc0fb);
    EQ(cpu->seg[SEG_SS].selector, DATA3 | 3);
    EQ(cpu->rip, 0x8000);
    EQ(cpu->gpr[REG_SP], STACK3);
}
END_TEST

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Random tables, stacks and selectors: nothing may crash, and the processor stays consistent. */
START_TEST(hostile_guests)
{
    uint32_t seed = 12345;

    for (unsigned round = 0; round < 20000; round++) {
        if (round % 50 == 0) {
            teardown();
            setup();
        }
        for (unsigned n = 0; n < 8; n++) {
            fake.bytes[GDT + next_random(&seed) % 0x100] = (uint8_t)next_random(&seed);
            fake.bytes[IDT + next_random(&seed) % 0x800] = (uint8_t)next_random(&seed);
            fake.bytes[TSS_A + next_random(&seed) % 0x2100] = (uint8_t)next_random(&seed);
            fake.bytes[STACK0 - 64 + next_random(&seed) % 128] = (uint8_t)next_random(&seed);
        }
        fake.page_flags[next_random(&seed) % 16] = next_random(&seed) % 4 ? 0 : (uint8_t)next_random(&seed);
        uint16_t selector = (uint16_t)(next_random(&seed) % 0x110);
        unsigned size = next_random(&seed) % 2 ? 4 : 2;
        bool ok = true;
        bool is_there;
        uint32_t value;
        switch (next_random(&seed) % 10) {
        case 0: ok = far_jump(cpu, selector, next_random(&seed), size); break;
        case 1: ok = far_call(cpu, selector, next_random(&seed), size); break;
        case 2: ok = far_return(cpu, size, (uint16_t)next_random(&seed)); break;
        case 3: ok = interrupt_return(cpu, size); break;
        case 4: ok = segment_load(cpu, (enum segment_index)(next_random(&seed) % 2 * 2), selector); break;
        case 5: ok = interrupt_enter(cpu, (uint8_t)next_random(&seed), (enum interrupt_kind)(next_random(&seed) % 5), false, 0, 0); break;
        case 6: ok = system_lar(cpu, selector, &is_there, &value); break;
        case 7: ok = system_ltr(cpu, selector); break;
        case 8: cpu->eflags ^= FLAG_NT; break;
        default: at_level(next_random(&seed) % 2 * 3); break;
        }
        if (!ok) {
            cpu_deliver_fault(cpu);
        }
        ck_assert(cpu->cpl <= 3 && cpu->rip <= UINT32_MAX && cpu->gpr[REG_SP] <= UINT32_MAX);
        EQ(cpu->cpl, cpu_is_vm86(cpu) ? 3 : cpu->seg[SEG_CS].selector & 3u);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("system");
    TCase *tcase = tcase_create("system");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, segment_load_matrix);
    tcase_add_test(tcase, null_and_outside_selectors);
    tcase_add_test(tcase, granularity_and_base);
    tcase_add_test(tcase, real_mode_loads);
    tcase_add_test(tcase, table_page_faults_restart);
    tcase_add_test(tcase, ldtr_and_tr);
    tcase_add_test(tcase, examining_descriptors);
    tcase_add_test(tcase, direct_jump_and_call_matrix);
    tcase_add_test(tcase, jump_corner_cases);
    tcase_add_test(tcase, jump_through_gates);
    tcase_add_test(tcase, real_mode_far_transfers);
    tcase_add_test(tcase, call_same_level_and_back);
    tcase_add_test(tcase, call_gate_to_inner_level_and_back);
    tcase_add_test(tcase, call_gate_16_bit);
    tcase_add_test(tcase, call_gate_faults);
    tcase_add_test(tcase, stacks_of_a_16_bit_tss);
    tcase_add_test(tcase, far_return_faults);
    tcase_add_test(tcase, iret_same_level);
    tcase_add_test(tcase, iret_flags_by_privilege);
    tcase_add_test(tcase, iret_to_outer_level);
    tcase_add_test(tcase, iret_to_vm86);
    tcase_add_test(tcase, iret_in_real_and_vm86_mode);
    tcase_add_test(tcase, iret_unblocks_nmi_even_when_it_faults);
    tcase_add_test(tcase, real_mode_interrupts);
    tcase_add_test(tcase, interrupt_same_level);
    tcase_add_test(tcase, interrupt_to_inner_level);
    tcase_add_test(tcase, interrupt_faults_and_ext);
    tcase_add_test(tcase, vm86_interrupts);
    tcase_add_test(tcase, vme_redirection);
    tcase_add_test(tcase, faults_push_rf_and_cr2);
    tcase_add_test(tcase, double_fault_table);
    tcase_add_test(tcase, page_faults_while_delivering);
    tcase_add_test(tcase, triple_fault_shuts_down);
    tcase_add_test(tcase, task_call_and_nested_return);
    tcase_add_test(tcase, task_jump_with_paging);
    tcase_add_test(tcase, task_16_bit);
    tcase_add_test(tcase, task_by_interrupt_with_error_code);
    tcase_add_test(tcase, task_to_vm86);
    tcase_add_test(tcase, task_faults_in_the_old_task);
    tcase_add_test(tcase, task_faults_in_the_new_task);
    tcase_add_test(tcase, control_registers);
    tcase_add_test(tcase, debug_registers);
    tcase_add_test(tcase, model_specific_registers);
    tcase_add_test(tcase, cpuid_leaves);
    tcase_add_test(tcase, io_permission);
    tcase_add_test(tcase, sysenter_and_sysexit);
    tcase_add_test(tcase, hostile_guests);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
