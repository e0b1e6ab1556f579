/* test_machine.c - the board as a program sees it: exact budgets, determinism, several machines, stops and inputs.
 *
 * Each guest is a few instructions at F000:0000 of a 64 KiB BIOS, written here as bytes with their source. */
#include "machine/tick86.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RAM_SIZE = 2 << 20, VRAM_SIZE = 16 << 20, BIOS_SIZE = 0x10000, OUTPUT_MAX = 4096 };

/* l: inc eax; add ebx, eax; jmp l */
static const uint8_t count_code[] = { 0x66, 0x40, 0x66, 0x01, 0xc3, 0xeb, 0xf9 };

/* Interrupt 8 at isr; PIC: 11h, 8, 4, 1, all but IRQ 0 masked; PIT: 34h, divisor 1000h; sti;
 * l: inc dword [500h]; mov cx, 100; d: loop d; hlt; jmp l
 * isr: inc dword [504h]; push ax; mov al, 20h; out 20h, al; pop ax; iret */
static const uint8_t timer_code[] = {
    0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x70, 0xc7, 0x06, 0x20, 0x00, 0x42, 0x00, 0x8c, 0x0e, 0x22, 0x00,
    0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x08, 0xe6, 0x21, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x01, 0xe6, 0x21, 0xb0, 0xfe, 0xe6, 0x21,
    0xb0, 0x34, 0xe6, 0x43, 0xb0, 0x00, 0xe6, 0x40, 0xb0, 0x10, 0xe6, 0x40, 0xfb, 0x66, 0xff, 0x06, 0x00, 0x05, 0xb9, 0x64,
    0x00, 0xe2, 0xfe, 0xf4, 0xeb, 0xf3, 0x66, 0xff, 0x06, 0x04, 0x05, 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf
};

/* COM1 at 115200 8N1; l: in al, LSR; test al, 1; jz l; in al, RBR; out THR, al; jmp l */
static const uint8_t echo_code[] = { 0xba, 0xfb, 0x03, 0xb0, 0x83, 0xee, 0xba, 0xf8, 0x03, 0xb0, 0x01, 0xee, 0x42,
                                     0xb0, 0x00, 0xee, 0xba, 0xfb, 0x03, 0xb0, 0x03, 0xee, 0xba, 0xfd, 0x03, 0xec,
                                     0xa8, 0x01, 0x74, 0xfb, 0xba, 0xf8, 0x03, 0xec, 0xee, 0xeb, 0xf1 };

/* mov dx, 501h; mov al, 2ah; out dx, al; l: jmp l */
static const uint8_t exit_code[] = { 0xba, 0x01, 0x05, 0xb0, 0x2a, 0xee, 0xeb, 0xfe };
/* mov al, 1; out 92h, al; l: jmp l */
static const uint8_t reset92_code[] = { 0xb0, 0x01, 0xe6, 0x92, 0xeb, 0xfe };
/* mov al, 0feh; out 64h, al; l: jmp l */
static const uint8_t reset64_code[] = { 0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe };
/* mov dx, 0cf9h; mov al, 2; out dx, al; mov al, 6; out dx, al; l: jmp l */
static const uint8_t resetcf9_code[] = { 0xba, 0xf9, 0x0c, 0xb0, 0x02, 0xee, 0xb0, 0x06, 0xee, 0xeb, 0xfe };
/* lidt [cs:t]; ud2; t: dw 0, 0, 0 */
static const uint8_t triple_code[] = { 0x2e, 0x0f, 0x01, 0x1e, 0x08, 0x00, 0x0f, 0x0b, 0, 0, 0, 0, 0, 0 };
/* Vector 2 at nmi; cli; l: hlt; jmp l; nmi: inc byte [500h]; iret */
static const uint8_t dead_code[] = { 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x70, 0xc7, 0x06, 0x08, 0x00, 0x17,
                                     0x00, 0x8c, 0x0e, 0x0a, 0x00, 0xfa, 0xf4, 0xeb, 0xfd, 0xfe, 0x06, 0x00, 0x05, 0xcf };
/* Keyboard on; l: wait for OBF; in al, 60h; store it at 501h + [500h]; inc byte [500h]; jmp l */
static const uint8_t key_code_program[] = { 0xb0, 0xae, 0xe6, 0x64, 0xe4, 0x64, 0xa8, 0x01, 0x74, 0xfa, 0xe4,
                                            0x60, 0x88, 0xc4, 0x31, 0xdb, 0x8e, 0xdb, 0x8a, 0x1e, 0x00, 0x05,
                                            0x88, 0x87, 0x01, 0x05, 0xfe, 0x06, 0x00, 0x05, 0xeb, 0xe4 };

struct pc {
    struct tick86 *machine;
    uint8_t *ram, *vram, *bios;
    struct byte_sink sink;
    char output[OUTPUT_MAX];
    size_t length;
};

static void put_byte(void *context, uint8_t byte)
{
    struct pc *pc = context;

    ck_assert_uint_lt(pc->length, OUTPUT_MAX - 1);
    pc->output[pc->length++] = (char)byte;
}

static void pc_open_with(struct pc *pc, const uint8_t *code, size_t size, bool use_block_cache, bool serial_true_rate)
{
    struct error err = { "", "" };

    memset(pc, 0, sizeof *pc);
    pc->ram = calloc(1, RAM_SIZE);
    pc->vram = calloc(1, VRAM_SIZE);
    pc->bios = calloc(1, BIOS_SIZE);
    ck_assert(pc->ram && pc->vram && pc->bios);
    memcpy(pc->bios, code, size);
    memcpy(&pc->bios[0xfff0], "\xea\x00\x00\x00\xf0", 5); /* jmp 0f000h:0 */
    pc->sink = (struct byte_sink){ pc, put_byte };
    struct tick86_config config = { .ram = pc->ram,
                                    .ram_bytes = RAM_SIZE,
                                    .vram = pc->vram,
                                    .vram_bytes = VRAM_SIZE,
                                    .bios = { "test", pc->bios, BIOS_SIZE },
                                    .serial = { &pc->sink, NULL },
                                    .serial_true_rate = serial_true_rate,
                                    .debug_exit = true,
                                    .use_block_cache = use_block_cache };
    pc->machine = tick86_create(&config, &err);
    ck_assert_msg(pc->machine != NULL, "%s", err.message);
}
static void pc_open(struct pc *pc, const uint8_t *code, size_t size, bool use_block_cache)
{
    pc_open_with(pc, code, size, use_block_cache, false);
}
#define PC_OPEN(pc, code) pc_open(pc, code, sizeof code, true)

static void pc_close(struct pc *pc)
{
    tick86_destroy(pc->machine);
    free(pc->ram);
    free(pc->vram);
    free(pc->bios);
}

static uint32_t word_at(const struct pc *pc, uint64_t address)
{
    uint8_t bytes[4];

    ck_assert(tick86_read_physical(pc->machine, address, bytes, 4));
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* A budget of n instructions retires n, at any place in a block. */
START_TEST(budgets_are_exact)
{
    struct pc pc;
    uint64_t total = 0;

    PC_OPEN(&pc, count_code);
    for (uint64_t n = 1; n < 200; n++) {
        ck_assert_int_eq(tick86_run(pc.machine, UINT64_MAX, n), STOP_BUDGET);
        total += n;
        ck_assert_uint_eq(tick86_icount(pc.machine), total);
        ck_assert_uint_eq(tick86_now_ns(pc.machine), total);
    }
    ck_assert_int_eq(tick86_run(pc.machine, UINT64_MAX, 0), STOP_BUDGET);
    ck_assert_uint_eq(tick86_icount(pc.machine), total);
    ck_assert_int_eq(tick86_run(pc.machine, total + 12345, UINT64_MAX), STOP_BUDGET);
    ck_assert_uint_eq(tick86_icount(pc.machine), total + 12345);
    pc_close(&pc);
}
END_TEST

/* A time budget ends at the first instruction at which it is reached, whatever an instruction lasts. */
START_TEST(time_budgets_round_up)
{
    struct pc pc;

    PC_OPEN(&pc, count_code);
    tick86_set_ratio(pc.machine, 65536 * 5 / 2);
    ck_assert_int_eq(tick86_run(pc.machine, 1001, UINT64_MAX), STOP_BUDGET);
    ck_assert_uint_eq(tick86_icount(pc.machine), 401);
    ck_assert_uint_eq(tick86_now_ns(pc.machine), 1002);
    pc_close(&pc);
}
END_TEST

/* The same guest is the same however its run is cut, with and without the block cache. */
START_TEST(slices_do_not_show)
{
    static const uint64_t slices[] = { UINT64_MAX, 1, 7, 1000 };
    uint64_t expected = 0;

    for (unsigned n = 0; n < 8; n++) {
        struct pc pc;
        pc_open(&pc, timer_code, sizeof timer_code, n < 4);
        while (tick86_icount(pc.machine) < 20000) {
            uint64_t left = 20000 - tick86_icount(pc.machine);
            uint64_t slice = slices[n % 4] < left ? slices[n % 4] : left;
            ck_assert_int_eq(tick86_run(pc.machine, UINT64_MAX, slice), STOP_BUDGET);
        }
        uint64_t hash = tick86_hash(pc.machine, true);
        expected = n == 0 ? hash : expected;
        ck_assert_uint_eq(hash, expected);
        ck_assert_uint_gt(word_at(&pc, 0x504), 10);
        pc_close(&pc);
    }
}
END_TEST

/* The timer's interrupts come at its rate, in HLT and out of it: 4096 / 1193182 s. */
START_TEST(timer_keeps_time)
{
    struct pc pc;

    PC_OPEN(&pc, timer_code);
    ck_assert_int_eq(tick86_run(pc.machine, UINT64_C(1000000000), UINT64_MAX), STOP_BUDGET);
    ck_assert_uint_eq(tick86_now_ns(pc.machine), UINT64_C(1000000000));
    ck_assert_uint_eq(word_at(&pc, 0x504), 1193182 / 4096);
    ck_assert(tick86_is_halted(pc.machine));
    pc_close(&pc);
}
END_TEST

/* Two machines in one process share nothing. */
START_TEST(machines_are_independent)
{
    struct pc a, b, alone;

    PC_OPEN(&a, timer_code);
    PC_OPEN(&b, count_code);
    PC_OPEN(&alone, timer_code);
    for (unsigned n = 0; n < 50; n++) {
        tick86_run(a.machine, UINT64_MAX, 333);
        tick86_run(b.machine, UINT64_MAX, 77);
    }
    tick86_run(alone.machine, UINT64_MAX, 50 * 333);
    ck_assert_uint_eq(tick86_hash(a.machine, true), tick86_hash(alone.machine, true));
    ck_assert_uint_ne(tick86_hash(a.machine, true), tick86_hash(b.machine, true));
    pc_close(&a);
    pc_close(&alone);
    tick86_run(b.machine, UINT64_MAX, 1000);
    ck_assert_uint_eq(tick86_icount(b.machine), 50 * 77 + 1000);
    pc_close(&b);
}
END_TEST

/* Looking changes nothing. */
START_TEST(looking_is_invisible)
{
    static struct screen screen;
    static uint32_t pixels[64 * 64];
    struct pc a, b;
    char text[100];
    unsigned width, height;

    PC_OPEN(&a, timer_code);
    PC_OPEN(&b, timer_code);
    for (unsigned n = 0; n < 20; n++) {
        tick86_run(a.machine, UINT64_MAX, 501);
        tick86_run(b.machine, UINT64_MAX, 501);
        tick86_screen_generation(a.machine);
        tick86_describe_screen(a.machine, &screen);
        tick86_render_screen(a.machine, pixels, 64, 64, 64, &width, &height);
        tick86_screen_text(a.machine, text, sizeof text);
        tick86_hash(a.machine, true);
        word_at(&a, 0x500);
        ck_assert_uint_eq(tick86_hash(a.machine, true), tick86_hash(b.machine, true));
    }
    pc_close(&a);
    pc_close(&b);
}
END_TEST

static const struct {
    const uint8_t *code;
    size_t size;
    enum tick86_stop stop;
} stops[] = {
    { exit_code, sizeof exit_code, STOP_DEBUG_EXIT },
    { reset92_code, sizeof reset92_code, STOP_RESET },
    { reset64_code, sizeof reset64_code, STOP_RESET },
    { resetcf9_code, sizeof resetcf9_code, STOP_RESET },
    { triple_code, sizeof triple_code, STOP_TRIPLE_FAULT },
};

/* Each stop comes right after the instruction that asked for it, is reported once, and RESET starts all over. */
START_TEST(stops_are_reported)
{
    struct pc pc;
    uint64_t first = 0;

    pc_open(&pc, stops[_i].code, stops[_i].size, true);
    for (unsigned n = 0; n < 3; n++) {
        uint64_t start = tick86_icount(pc.machine);
        ck_assert_int_eq(tick86_run(pc.machine, UINT64_MAX, 1000), stops[_i].stop);
        first = n == 0 ? tick86_icount(pc.machine) : first;
        ck_assert_uint_eq(tick86_icount(pc.machine) - start, first);
        ck_assert_uint_lt(first, 10);
        tick86_reset(pc.machine);
        ck_assert(!tick86_is_halted(pc.machine));
    }
    pc_close(&pc);
}
END_TEST

/* RESET keeps RAM; without it the run goes on after a stop. */
START_TEST(exit_value_and_continuing)
{
    struct pc pc;

    PC_OPEN(&pc, exit_code);
    ck_assert_int_eq(tick86_run(pc.machine, UINT64_MAX, UINT64_MAX), STOP_DEBUG_EXIT);
    ck_assert_uint_eq(tick86_debug_exit_value(pc.machine), 0x2a);
    ck_assert_int_eq(tick86_run(pc.machine, UINT64_MAX, 100), STOP_BUDGET);
    pc.ram[0x1234] = 0x55;
    tick86_reset(pc.machine);
    ck_assert_uint_eq(pc.ram[0x1234], 0x55);
    pc_close(&pc);
}
END_TEST

/* Halted with interrupts off, only NMI helps. */
START_TEST(dead_until_nmi)
{
    struct pc pc;

    PC_OPEN(&pc, dead_code);
    ck_assert_int_eq(tick86_run(pc.machine, UINT64_MAX, UINT64_MAX), STOP_DEAD);
    ck_assert(tick86_is_halted(pc.machine));
    ck_assert_int_eq(tick86_run(pc.machine, UINT64_MAX, UINT64_MAX), STOP_DEAD);
    for (unsigned n = 1; n < 4; n++) {
        tick86_nmi(pc.machine);
        ck_assert_int_eq(tick86_run(pc.machine, UINT64_MAX, UINT64_MAX), STOP_DEAD);
        ck_assert_uint_eq(word_at(&pc, 0x500) & 0xff, n);
    }
    pc_close(&pc);
}
END_TEST

/* Characters are as fast as their reader unless the line keeps its true rate. */
START_TEST(serial_fast_line)
{
    struct pc pc;
    uint8_t bytes[3000] = { 'x' };

    PC_OPEN(&pc, echo_code);
    tick86_serial_input(pc.machine, 0, bytes, sizeof bytes);
    tick86_run(pc.machine, UINT64_C(100000000), UINT64_MAX);
    ck_assert_uint_eq(pc.length, sizeof bytes);
    pc_close(&pc);
}
END_TEST

/* Serial input arrives in order at the line's speed, none of it is lost, and the rest waits for a slow guest. */
START_TEST(serial_echo)
{
    struct pc pc;
    uint8_t bytes[3000];

    pc_open_with(&pc, echo_code, sizeof echo_code, true, true);
    for (unsigned n = 0; n < sizeof bytes; n++) {
        bytes[n] = (uint8_t)('a' + n % 26);
    }
    ck_assert_uint_eq(tick86_serial_input(pc.machine, 0, bytes, sizeof bytes), sizeof bytes);
    tick86_run(pc.machine, UINT64_C(100000000), UINT64_MAX); /* 11520 characters a second */
    ck_assert_uint_gt(pc.length, 1100);
    ck_assert_uint_lt(pc.length, 1200);
    tick86_run(pc.machine, UINT64_C(300000000), UINT64_MAX);
    ck_assert_uint_eq(pc.length, sizeof bytes);
    ck_assert_mem_eq(pc.output, bytes, sizeof bytes);
    pc_close(&pc);
}
END_TEST

START_TEST(serial_queue_is_bounded)
{
    static uint8_t bytes[100000];
    struct pc pc;

    PC_OPEN(&pc, count_code);
    ck_assert_uint_eq(tick86_serial_input(pc.machine, 1, bytes, sizeof bytes), 65536);
    ck_assert_uint_le(tick86_serial_input(pc.machine, 1, bytes, sizeof bytes), 1); /* one is on the wire by now */
    ck_assert_uint_eq(tick86_serial_input(pc.machine, 1, bytes, sizeof bytes), 0);
    tick86_run(pc.machine, UINT64_MAX, 10000);
    pc_close(&pc);
}
END_TEST

/* A key press and its release reach port 60h. */
START_TEST(keys_arrive)
{
    struct pc pc;

    PC_OPEN(&pc, key_code_program);
    tick86_run(pc.machine, UINT64_MAX, 1000);
    uint32_t before = word_at(&pc, 0x500) & 0xff;
    tick86_key(pc.machine, KEY_A, true);
    tick86_key(pc.machine, KEY_A, false);
    tick86_mouse(pc.machine, 1, 1, 0, 1);
    tick86_power_button(pc.machine);
    tick86_run(pc.machine, UINT64_C(100000000), UINT64_MAX);
    ck_assert_uint_ge(word_at(&pc, 0x500) & 0xff, before + 2);
    pc_close(&pc);
}
END_TEST

/* What cannot be built says why. */
START_TEST(bad_configurations)
{
    struct tick86_config config = { 0 };
    struct error err = { "", "" };
    uint8_t byte = 0;

    ck_assert_ptr_null(tick86_create(&config, &err));
    ck_assert_str_ne(err.message, "");
    config.ram = config.vram = &byte;
    config.ram_bytes = 12345;
    ck_assert_ptr_null(tick86_create(&config, &err));
    config.ram_bytes = RAM_SIZE;
    config.bios = (struct tick86_blob){ "bad.bin", &byte, 1 };
    ck_assert_ptr_null(tick86_create(&config, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "bad.bin"));
}
END_TEST

static void ignore(void *context, const char *text)
{
    *(size_t *)context += strlen(text);
}

/* Every topic the error names can be shown. */
START_TEST(info_shows_all)
{
    static const char *const names[] = { "registers", "pic", "tlb", "mem", "qtree", "mtree", "clock", "log",
                                         "cpu",       "vga", "ide", "kbc", "rtc",   "com1" };
    struct pc pc;
    struct error err = { "", "" };

    PC_OPEN(&pc, timer_code);
    tick86_run(pc.machine, UINT64_MAX, 1000);
    for (unsigned n = 0; n < sizeof names / sizeof names[0]; n++) {
        size_t length = 0;
        ck_assert_msg(tick86_info(pc.machine, names[n], ignore, &length, &err), "%s", err.message);
        ck_assert_uint_gt(length, 0);
    }
    ck_assert(!tick86_info(pc.machine, "nonsense", ignore, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.hint, "registers"));
    pc_close(&pc);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("machine");
    TCase *tests = tcase_create("machine");

    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, budgets_are_exact);
    tcase_add_test(tests, time_budgets_round_up);
    tcase_add_test(tests, slices_do_not_show);
    tcase_add_test(tests, timer_keeps_time);
    tcase_add_test(tests, machines_are_independent);
    tcase_add_test(tests, looking_is_invisible);
    tcase_add_loop_test(tests, stops_are_reported, 0, sizeof stops / sizeof stops[0]);
    tcase_add_test(tests, exit_value_and_continuing);
    tcase_add_test(tests, dead_until_nmi);
    tcase_add_test(tests, serial_echo);
    tcase_add_test(tests, serial_fast_line);
    tcase_add_test(tests, serial_queue_is_bounded);
    tcase_add_test(tests, keys_arrive);
    tcase_add_test(tests, bad_configurations);
    tcase_add_test(tests, info_shows_all);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
