/* test_debug.c - breakpoints, watchpoints, events, expressions and observers: what they find, and that the guest does not
 * notice. Guests are a few instructions at F000:0000 of a 64 KiB BIOS. */
#include "machine/tick86_debug.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { RAM_SIZE = 2 << 20, VRAM_SIZE = 16 << 20, BIOS_SIZE = 0x10000 };

/* Interrupt 8 at isr; PIC: 11h, 8, 4, 1, all but IRQ 0 masked; PIT: 34h, divisor 1000h; sti;
 * l: (34h) inc dword [500h]; (39h) mov cx, 100; (3dh) d: loop d; (3fh) hlt; (40h) jmp l
 * isr: (42h) inc dword [504h]; push ax; mov al, 20h; out 20h, al; pop ax; iret */
static const uint8_t timer_code[] = {
    0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x70, 0xc7, 0x06, 0x20, 0x00, 0x42, 0x00, 0x8c, 0x0e, 0x22, 0x00,
    0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x08, 0xe6, 0x21, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x01, 0xe6, 0x21, 0xb0, 0xfe, 0xe6, 0x21,
    0xb0, 0x34, 0xe6, 0x43, 0xb0, 0x00, 0xe6, 0x40, 0xb0, 0x10, 0xe6, 0x40, 0xfb, 0x66, 0xff, 0x06, 0x00, 0x05, 0xb9, 0x64,
    0x00, 0xe2, 0xfe, 0xf4, 0xeb, 0xf3, 0x66, 0xff, 0x06, 0x04, 0x05, 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf
};
enum { LOOP_AT = 0xf0034 + 1, ISR_AT = 0xf0042 };

/* lgdt [cs:gdt]; mov eax, cr0; (9) inc ax; mov cr0, eax; (0dh) jmp 8:12h; (12h, 32 bits) mov ecx, 1b0h; rdmsr; wrmsr;
 * mov edi, 3ff0h; mov ecx, 40h; xor eax, eax; rep stosd; (2bh) lidt [0]; ud2
 * gdt: dw 17h; dd f0000h + table; table: null; code 32 base f0000h; */
static const uint8_t mode_code[] = {
    0x2e, 0x66, 0x0f, 0x01, 0x16, 0x40, 0x00, 0x0f, 0x20, 0xc0, 0x40, 0x0f, 0x22, 0xc0, 0xea, 0x13, 0x00, 0x08, 0x00,
    /* 13h: mov ecx, 8bh; rdmsr; wrmsr */
    0xb9, 0x8b, 0x00, 0x00, 0x00, 0x0f, 0x32, 0x0f, 0x30,
    /* 1ch: mov ax, 10h; mov es, ax; mov edi, 3ff0h; mov ecx, 40h; rep stosd */
    0x66, 0xb8, 0x10, 0x00, 0x8e, 0xc0, 0xbf, 0xf0, 0x3f, 0x00, 0x00, 0xb9, 0x40, 0x00, 0x00, 0x00, 0xf3, 0xab,
    /* 2eh: lidt [es:4000h], zeros now in part; ud2 */
    0x26, 0x0f, 0x01, 0x1d, 0x00, 0x40, 0x00, 0x00, 0x0f, 0x0b,
    /* 38h */ 0, 0, 0, 0, 0, 0, 0, 0,
    /* 40h */ 0x17, 0x00, 0x48, 0x00, 0x0f, 0x00, 0, 0,
    /* 48h */ 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0x00, 0x00, 0x0f, 0x9a, 0xcf, 0x00, 0xff, 0xff, 0, 0, 0, 0x92, 0xcf, 0
};

struct pc {
    struct tick86 *machine;
    uint8_t *ram, *vram, *bios;
};

static void pc_open_with(struct pc *pc, const uint8_t *code, size_t size, bool use_block_cache)
{
    struct error err = { "", "" };

    pc->ram = calloc(1, RAM_SIZE);
    pc->vram = calloc(1, VRAM_SIZE);
    pc->bios = calloc(1, BIOS_SIZE);
    ck_assert(pc->ram && pc->vram && pc->bios);
    memcpy(pc->bios, code, size);
    memcpy(&pc->bios[0xfff0], "\xea\x00\x00\x00\xf0", 5); /* jmp 0f000h:0 */
    struct tick86_config config = { .ram = pc->ram,
                                    .ram_bytes = RAM_SIZE,
                                    .vram = pc->vram,
                                    .vram_bytes = VRAM_SIZE,
                                    .bios = { "test", pc->bios, BIOS_SIZE },
                                    .use_block_cache = use_block_cache };
    pc->machine = tick86_create(&config, &err);
    ck_assert_msg(pc->machine != NULL, "%s", err.message);
}
#define PC_OPEN(pc, code) pc_open_with(pc, code, sizeof code, true)

static void pc_close(struct pc *pc)
{
    tick86_destroy(pc->machine);
    free(pc->ram);
    free(pc->vram);
    free(pc->bios);
}

static int add(struct pc *pc, struct tick86_breakpoint point)
{
    struct error err = { "", "" };

    point.cpu = -1;
    int id = tick86_break_add(pc->machine, &point, &err);
    ck_assert_msg(id > 0, "%s", err.message);
    return id;
}

static const struct tick86_debug_event *run_to_stop(struct pc *pc)
{
    ck_assert_int_eq(tick86_run(pc->machine, UINT64_MAX, 10000000), STOP_DEBUG);
    const struct tick86_debug_event *event = tick86_debug_event(pc->machine);
    ck_assert(event != NULL);
    return event;
}

static uint64_t reg(const struct pc *pc, const char *name)
{
    int n = tick86_register_find(name);

    ck_assert_msg(n >= 0, "%s", name);
    return tick86_register_value(pc->machine, 0, (unsigned)n);
}

/* Before the instruction, once for each time it is reached, and nothing of it has happened. */
START_TEST(code_breakpoints_stop_before)
{
    struct pc pc;

    pc_open_with(&pc, timer_code, sizeof timer_code, _i == 0);
    int id = add(&pc, (struct tick86_breakpoint){ .kind = BREAK_CODE, .address = LOOP_AT });
    for (unsigned n = 0; n < 20; n++) {
        const struct tick86_debug_event *event = run_to_stop(&pc);
        ck_assert_int_eq(event->id, id);
        ck_assert_uint_eq(event->address, LOOP_AT);
        ck_assert_uint_eq(reg(&pc, "pc"), LOOP_AT);
        ck_assert_uint_eq(reg(&pc, "rip"), LOOP_AT - 0xf0000);
        ck_assert_uint_eq(pc.ram[0x500], n);
    }
    ck_assert(tick86_break_remove(pc.machine, id));
    ck_assert_int_eq(tick86_run(pc.machine, UINT64_MAX, 100000), STOP_BUDGET);
    pc_close(&pc);
}
END_TEST

/* A physical address stops whatever linear address it is run at. */
START_TEST(physical_breakpoint)
{
    struct pc pc;

    PC_OPEN(&pc, timer_code);
    add(&pc, (struct tick86_breakpoint){ .kind = BREAK_CODE, .space = SPACE_PHYSICAL, .address = ISR_AT });
    ck_assert_uint_eq(run_to_stop(&pc)->address, ISR_AT);
    ck_assert_uint_eq(run_to_stop(&pc)->physical, ISR_AT);
    pc_close(&pc);
}
END_TEST

/* After the instruction that touched it, which is named. */
START_TEST(watchpoints)
{
    struct pc pc;

    pc_open_with(&pc, timer_code, sizeof timer_code, _i == 0);
    add(&pc, (struct tick86_breakpoint){ .kind = BREAK_DATA, .address = 0x502, .length = 3, .access = BREAK_WRITE,
                                         .space = _i == 0 ? SPACE_LINEAR : SPACE_PHYSICAL });
    const struct tick86_debug_event *event = run_to_stop(&pc);
    ck_assert_uint_eq(event->address, 0x502);
    ck_assert_uint_eq(event->from, LOOP_AT);
    ck_assert_uint_eq(event->value, 1);
    ck_assert(event->is_write);
    ck_assert_uint_eq(pc.ram[0x500], 1);
    ck_assert_uint_eq(reg(&pc, "pc"), LOOP_AT + 5);
    while (run_to_stop(&pc)->from == LOOP_AT) {
    }
    ck_assert_uint_eq(tick86_debug_event(pc.machine)->from, ISR_AT);
    ck_assert_uint_eq(tick86_debug_event(pc.machine)->address, 0x504);
    pc_close(&pc);
}
END_TEST

START_TEST(ports_and_interrupts)
{
    struct pc pc;

    PC_OPEN(&pc, timer_code);
    int port = add(&pc, (struct tick86_breakpoint){ .kind = BREAK_PORT, .address = 0x40, .length = 4, .access = BREAK_WRITE });
    ck_assert_uint_eq(run_to_stop(&pc)->value, 0x34);
    ck_assert_uint_eq(tick86_debug_event(pc.machine)->address, 0x43);
    ck_assert_uint_eq(tick86_debug_event(pc.machine)->from, 0xf002a);
    ck_assert_uint_eq(reg(&pc, "pc"), 0xf002c);
    tick86_break_remove(pc.machine, port);
    add(&pc, (struct tick86_breakpoint){ .kind = BREAK_INTERRUPT, .address = 8, .access = BREAK_EXTERNAL });
    for (unsigned n = 0; n < 5; n++) {
        ck_assert_int_eq(run_to_stop(&pc)->kind, BREAK_INTERRUPT);
        ck_assert_uint_eq(reg(&pc, "pc"), ISR_AT);
        ck_assert_uint_eq(pc.ram[0x504], n);
    }
    pc_close(&pc);
}
END_TEST

START_TEST(registers_modes_and_triple_faults)
{
    struct pc pc;

    PC_OPEN(&pc, mode_code);
    add(&pc, (struct tick86_breakpoint){ .kind = BREAK_CR, .address = 0 });
    add(&pc, (struct tick86_breakpoint){ .kind = BREAK_MSR, .address = BREAK_ANY });
    int mode = add(&pc, (struct tick86_breakpoint){ .kind = BREAK_MODE });
    add(&pc, (struct tick86_breakpoint){ .kind = BREAK_TRIPLE });
    ck_assert_str_eq(tick86_mode_name(pc.machine, 0), "real");
    ck_assert_int_eq(run_to_stop(&pc)->kind, BREAK_MODE); /* the first of two in the same instruction */
    ck_assert_uint_eq(reg(&pc, "pc"), 0xf000e);
    ck_assert_str_eq(tick86_mode_name(pc.machine, 0), "protected 16");
    ck_assert_int_eq(run_to_stop(&pc)->id, mode);
    ck_assert_str_eq(tick86_mode_name(pc.machine, 0), "protected 32");
    ck_assert_uint_eq(reg(&pc, "pc"), 0xf0013);
    ck_assert_int_eq(run_to_stop(&pc)->kind, BREAK_MSR);
    ck_assert_uint_eq(tick86_debug_event(pc.machine)->address, 0x8b);
    ck_assert_uint_eq(reg(&pc, "pc"), 0xf001c);
    ck_assert_int_eq(run_to_stop(&pc)->kind, BREAK_TRIPLE);
    ck_assert_uint_eq(tick86_debug_event(pc.machine)->from, 0xf0036);
    ck_assert_int_eq(tick86_run(pc.machine, UINT64_MAX, 1), STOP_TRIPLE_FAULT);
    pc_close(&pc);
}
END_TEST

/* A repeated instruction is met once, though its slices are counted one by one; what it writes is seen. */
START_TEST(repeated_instructions)
{
    struct pc pc;

    PC_OPEN(&pc, mode_code);
    add(&pc, (struct tick86_breakpoint){ .kind = BREAK_CODE, .address = 0xf002c });
    add(&pc, (struct tick86_breakpoint){ .kind = BREAK_CODE, .address = 0xf002e });
    ck_assert_uint_eq(run_to_stop(&pc)->address, 0xf002c);
    ck_assert_uint_eq(reg(&pc, "ecx"), 0x40);
    ck_assert_uint_eq(run_to_stop(&pc)->address, 0xf002e);
    ck_assert_uint_eq(reg(&pc, "ecx"), 0);
    pc_close(&pc);
}
END_TEST

static void set_condition(struct tick86_breakpoint *point, const char *text, uint8_t *code, size_t size)
{
    struct error err = { "", "" };

    point->condition = code;
    point->condition_size = tick86_expression_compile(text, NULL, NULL, code, size, &err);
    ck_assert_msg(point->condition_size != 0, "%s: %s", text, err.message);
}

START_TEST(conditions_and_counts)
{
    struct pc pc;
    uint8_t code[64];
    struct tick86_breakpoint point = { .kind = BREAK_CODE, .address = LOOP_AT, .cpu = -1 }, got;

    PC_OPEN(&pc, timer_code);
    set_condition(&point, "d[0x500] == 7", code, sizeof code);
    int id = add(&pc, point);
    ck_assert_int_eq(run_to_stop(&pc)->id, id);
    ck_assert_uint_eq(pc.ram[0x500], 7);
    ck_assert(tick86_break_get(pc.machine, 0, &got) && got.hits == 1 && got.tests == 8);
    tick86_break_remove(pc.machine, id);
    point = (struct tick86_breakpoint){ .kind = BREAK_DATA, .address = 0x500, .length = 4, .access = BREAK_WRITE };
    set_condition(&point, "pd[0x500] > 9 && cs == 0xf000", code, sizeof code);
    id = add(&pc, point);
    ck_assert_int_eq(run_to_stop(&pc)->id, id);
    ck_assert_uint_eq(pc.ram[0x500], 10);
    tick86_break_remove(pc.machine, id);
    id = add(&pc, (struct tick86_breakpoint){ .kind = BREAK_CODE, .address = LOOP_AT, .ignore = 5, .is_temporary = true });
    ck_assert_int_eq(run_to_stop(&pc)->id, id);
    ck_assert_uint_eq(pc.ram[0x500], 15);
    ck_assert(!tick86_break_get(pc.machine, 0, &got));
    pc_close(&pc);
}
END_TEST

static const struct {
    const char *text;
    uint64_t value;
    bool is_bad; /* does not compile */
} expressions[] = {
    { "1 + 2 * 3", 7, false },
    { "(1 + 2) * 3", 9, false },
    { "10 - 4 - 3", 3, false },
    { "1 << 4 | 3", 19, false },
    { "0x10 / 3 + 0x10 % 3", 6, false },
    { "5 < 6 && 6 <= 6 && 7 > 6 && 6 >= 6", 1, false },
    { "1 == 2 || 3 != 3", 0, false },
    { "0 && d[0xfffffff000]", 0, false },
    { "1 || 1 / 0", 1, false },
    { "-1", UINT64_MAX, false },
    { "~0 >> 60", 15, false },
    { "!5 + !0", 1, false },
    { "0xf000:0x34", 0xf0034, false },
    { "b[0xf0000]", 0xfa, false },
    { "w[0xf0000 + 1]", 0xc031, false },
    { "pd[0xffff0] & 0xffffff", 0xea, false },
    { "$cs_limit", 0xffff, false },
    { "6 & 3 ^ 1", 3, false },
    { "1 +", 0, true },
    { "(1", 0, true },
    { "nonsense", 0, true },
    { "1 2", 0, true },
    { "b[1", 0, true },
    { "12monkeys", 0, true },
    { "((((((((((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))))))))))", 0, true },
};

START_TEST(expressions_are_cs)
{
    struct pc pc;
    struct error err = { "", "" };
    uint8_t code[256];
    uint64_t value = 0;

    PC_OPEN(&pc, timer_code);
    size_t size = tick86_expression_compile(expressions[_i].text, NULL, NULL, code, sizeof code, &err);
    if (expressions[_i].is_bad) {
        ck_assert_uint_eq(size, 0);
        ck_assert(err.message[0] != '\0');
    } else {
        ck_assert_msg(size != 0, "%s: %s", expressions[_i].text, err.message);
        ck_assert(tick86_expression_run(pc.machine, 0, code, size, &value));
        ck_assert_uint_eq(value, expressions[_i].value);
    }
    pc_close(&pc);
}
END_TEST

/* Any bytes are an expression that ends. */
START_TEST(bad_agent_code_fails)
{
    struct pc pc;
    uint64_t state = 1, value;

    PC_OPEN(&pc, timer_code);
    for (unsigned n = 0; n < 20000; n++) {
        uint8_t code[32];
        for (unsigned k = 0; k < sizeof code; k++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
            code[k] = (uint8_t)(state >> 33) % 0x36;
        }
        (void)tick86_expression_run(pc.machine, 0, code, n % sizeof code, &value);
    }
    static const uint8_t loop[] = { 0x21, 0, 0 };
    ck_assert(!tick86_expression_run(pc.machine, 0, loop, sizeof loop, &value));
    pc_close(&pc);
}
END_TEST

struct seen {
    uint64_t blocks, insns, accesses, ports, interrupts, hash;
};
static void see_block(void *context, unsigned cpu, uint64_t linear, unsigned insns, unsigned bytes)
{
    struct seen *seen = context;
    seen->blocks++;
    ck_assert_uint_ge(bytes, insns);
    (void)linear;
    (void)cpu;
}
static void see_insn(void *context, unsigned cpu, uint64_t linear, unsigned bytes)
{
    struct seen *seen = context;
    seen->insns++;
    seen->hash = seen->hash * 31 + linear + bytes;
    (void)cpu;
}
static void see_memory(void *context, unsigned cpu, uint64_t linear, uint64_t physical, unsigned size, bool is_write,
                       uint64_t value)
{
    struct seen *seen = context;
    seen->accesses++;
    ck_assert_uint_eq(linear, physical);
    seen->hash = seen->hash * 31 + linear + size + is_write + value;
    (void)cpu;
}
static void see_port(void *context, unsigned cpu, unsigned port, unsigned size, bool is_write, uint32_t value)
{
    struct seen *seen = context;
    seen->ports++;
    (void)cpu, (void)port, (void)size, (void)is_write, (void)value;
}
static void see_interrupt(void *context, unsigned cpu, const struct tick86_interrupt *interrupt)
{
    struct seen *seen = context;
    seen->interrupts++;
    ck_assert_uint_eq(interrupt->vector, 8);
    (void)cpu;
}

/* The same machine with and without everything on, in slices and at once, has the same state at the same count. */
START_TEST(nobody_notices)
{
    struct pc plain, watched;
    struct seen seen = { 0 };
    const struct tick86_observer observer = { .context = &seen, .block = see_block, .insn = see_insn, .memory = see_memory,
                                              .port = see_port, .interrupt = see_interrupt };

    PC_OPEN(&plain, timer_code);
    PC_OPEN(&watched, timer_code);
    ck_assert(tick86_observe(watched.machine, &observer));
    add(&watched, (struct tick86_breakpoint){ .kind = BREAK_CODE, .address = LOOP_AT });
    add(&watched, (struct tick86_breakpoint){ .kind = BREAK_DATA, .address = 0x504, .length = 1, .access = BREAK_WRITE });
    add(&watched, (struct tick86_breakpoint){ .kind = BREAK_INTERRUPT, .address = BREAK_ANY, .access = 7 });
    ck_assert_int_eq(tick86_run(plain.machine, UINT64_MAX, 200000), STOP_BUDGET);
    unsigned stops = 0;
    while (tick86_icount(watched.machine) < 200000) {
        stops += tick86_run(watched.machine, UINT64_MAX, 200000 - tick86_icount(watched.machine)) == STOP_DEBUG;
    }
    ck_assert_uint_eq(tick86_icount(watched.machine), 200000);
    ck_assert_uint_eq(seen.insns, 200000);
    ck_assert_uint_gt(seen.accesses, 10000);
    ck_assert_uint_gt(stops, 3000);
    ck_assert_uint_eq(seen.interrupts, watched.ram[0x504] + 256u * watched.ram[0x505]);
    ck_assert_uint_gt(seen.ports, seen.interrupts);
    ck_assert_uint_gt(seen.blocks, 1000);
    ck_assert_uint_eq(tick86_now_ns(plain.machine), tick86_now_ns(watched.machine));
    ck_assert_uint_eq(tick86_hash(plain.machine, true), tick86_hash(watched.machine, true));
    tick86_unobserve(watched.machine, &seen);
    tick86_run(watched.machine, UINT64_MAX, 1000);
    ck_assert_uint_eq(seen.insns, 200000);
    pc_close(&plain);
    pc_close(&watched);
}
END_TEST

/* A step is one instruction, through IRET and across each switch of mode. */
START_TEST(steps_through_iret_and_mode_switches)
{
    struct pc pc;
    static const struct {
        uint64_t at;
        const char *mode;
    } path[] = { { 0xf0000, "real" }, { 0xf0007, "real" }, { 0xf000a, "real" }, { 0xf000b, "real" },
                 { 0xf000e, "protected 16" }, { 0xf0013, "protected 32" }, { 0xf0018, "protected 32" } };

    PC_OPEN(&pc, timer_code);
    add(&pc, (struct tick86_breakpoint){ .kind = BREAK_INTERRUPT, .address = 8, .access = BREAK_EXTERNAL });
    run_to_stop(&pc);
    uint64_t back = tick86_debug_event(pc.machine)->from;
    for (unsigned n = 0; n < 6; n++) {
        ck_assert_uint_ge(reg(&pc, "pc"), ISR_AT);
        ck_assert_int_eq(tick86_step(pc.machine, 0, UINT64_MAX), STOP_BUDGET);
    }
    ck_assert_uint_eq(reg(&pc, "pc"), back);
    pc_close(&pc);

    PC_OPEN(&pc, mode_code);
    for (unsigned n = 0; n < sizeof path / sizeof path[0]; n++) {
        uint64_t before = tick86_icount(pc.machine);
        ck_assert_int_eq(tick86_step(pc.machine, 0, UINT64_MAX), STOP_BUDGET);
        ck_assert_uint_eq(tick86_icount(pc.machine), before + 1);
        ck_assert_uint_eq(reg(&pc, "pc"), path[n].at);
        ck_assert_str_eq(tick86_mode_name(pc.machine, 0), path[n].mode);
    }
    pc_close(&pc);
}
END_TEST

/* Every register can be read; what was written is read back. */
START_TEST(registers_round_trip)
{
    struct pc pc;
    struct tick86_register info;
    unsigned n = 0;

    PC_OPEN(&pc, timer_code);
    ck_assert_uint_eq(reg(&pc, "rip"), 0xfff0);
    ck_assert_uint_eq(reg(&pc, "pc"), 0xfffffff0);
    ck_assert_uint_eq(reg(&pc, "cs"), 0xf000);
    ck_assert_uint_eq(reg(&pc, "cs_base"), 0xffff0000);
    for (; tick86_register_info(n, &info); n++) {
        uint8_t bytes[TICK86_REGISTER_MAX_BYTES], back[TICK86_REGISTER_MAX_BYTES];
        ck_assert_int_eq(tick86_register_find(info.name), (int)n);
        ck_assert_uint_eq(tick86_register_read(pc.machine, 0, n, bytes), info.bits / 8);
        if (info.group == REGISTER_GENERAL || info.group == REGISTER_SSE || strncmp(info.name, "st", 2) == 0) {
            memset(bytes, 0x42, sizeof bytes);
            memset(bytes + info.bits / 8, 0, sizeof bytes - info.bits / 8);
            if (strcmp(info.name, "eflags") == 0 || strlen(info.name) == 2) {
                bytes[2] = bytes[3] = 0;
            }
            if (tick86_register_write(pc.machine, 0, n, bytes, info.bits / 8)) {
                tick86_register_read(pc.machine, 0, n, back);
                if (strcmp(info.name, "eflags") != 0 && strcmp(info.name, "pc") != 0) {
                    ck_assert_msg(memcmp(bytes, back, sizeof bytes) == 0, "%s", info.name);
                }
            }
        }
    }
    ck_assert_uint_gt(n, 100);
    ck_assert_uint_eq(reg(&pc, "ds_base"), 0x42420);
    pc_close(&pc);
}
END_TEST

START_TEST(memory_is_written_where_code_lies)
{
    struct pc pc;

    PC_OPEN(&pc, timer_code);
    add(&pc, (struct tick86_breakpoint){ .kind = BREAK_CODE, .address = LOOP_AT });
    run_to_stop(&pc);
    run_to_stop(&pc);
    /* inc dword [500h] becomes inc dword [510h] */
    ck_assert(tick86_poke(pc.machine, 0, SPACE_LINEAR, LOOP_AT + 3, "\x10", 1));
    run_to_stop(&pc);
    ck_assert_uint_eq(pc.ram[0x500], 1);
    ck_assert_uint_eq(pc.ram[0x510], 1);
    uint8_t byte;
    ck_assert(!tick86_peek(pc.machine, 0, SPACE_PHYSICAL, 0xfee00000, &byte, 1));
    char text[80];
    ck_assert_uint_eq(tick86_disassemble(pc.machine, 0, LOOP_AT, 0, text, sizeof text), 5);
    ck_assert_str_eq(text, "inc dword ptr [0x510]");
    pc_close(&pc);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("debug");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, code_breakpoints_stop_before, 0, 2);
    tcase_add_test(tcase, physical_breakpoint);
    tcase_add_loop_test(tcase, watchpoints, 0, 2);
    tcase_add_test(tcase, ports_and_interrupts);
    tcase_add_test(tcase, registers_modes_and_triple_faults);
    tcase_add_test(tcase, repeated_instructions);
    tcase_add_test(tcase, conditions_and_counts);
    tcase_add_loop_test(tcase, expressions_are_cs, 0, sizeof expressions / sizeof expressions[0]);
    tcase_add_test(tcase, bad_agent_code_fails);
    tcase_add_test(tcase, nobody_notices);
    tcase_add_test(tcase, steps_through_iret_and_mode_switches);
    tcase_add_test(tcase, registers_round_trip);
    tcase_add_test(tcase, memory_is_written_where_code_lies);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
