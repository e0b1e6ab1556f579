/* test_space.c - regions, priorities, registers in pages, page flags and ports. */
#include "mem/space.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RAM_SIZE = 0x10000, CALLS_MAX = 32 };

static struct bench {
    struct log log;
    unsigned logged;
    struct space *space;
    struct ports *ports;
    struct memory ram, rom;
    struct region ram_region, rom_region;
    unsigned changes;
    char calls[1024]; /* register accesses so far: "r2@4 " */
    struct region *reenter_region;
} b;

static void on_log(void *context, const char *channel, enum log_level level, const char *text)
{
    (void)context, (void)channel, (void)level, (void)text;
    b.logged++;
}

static void on_change(void *context)
{
    ck_assert_ptr_eq(context, &b);
    b.changes++;
}

static uint32_t reg_read(void *owner, uint64_t offset, unsigned size)
{
    char text[32];

    (void)owner;
    snprintf(text, sizeof text, "r%u@%x ", size, (unsigned)offset);
    strcat(b.calls, text);
    return (uint32_t)(0x40 + offset) * UINT32_C(0x01010101) + UINT32_C(0x03020100);
}

static void reg_write(void *owner, uint64_t offset, unsigned size, uint32_t value)
{
    char text[32];

    (void)owner;
    snprintf(text, sizeof text, "w%u@%x=%x ", size, (unsigned)offset, (unsigned)value);
    strcat(b.calls, text);
    if (b.reenter_region != NULL) {
        space_move(b.space, b.reenter_region, b.reenter_region->base, false);
    }
}

static const struct region_ops ops4 = { reg_read, reg_write, 4 };
static const struct region_ops ops1 = { reg_read, reg_write, 1 };

static void setup(void)
{
    struct error err;

    memset(&b, 0, sizeof b);
    log_init(&b.log, on_log, NULL, LOG_GUEST);
    b.space = space_create(&b.log);
    b.ports = ports_create(&b.log);
    space_on_change(b.space, on_change, &b);
    ck_assert(memory_init(&b.ram, "ram", calloc(1, RAM_SIZE), RAM_SIZE, 0, false, &err));
    ck_assert(memory_init(&b.rom, "rom", calloc(1, 0x2000), 0x2000, 0x100000, true, &err));
    memset(b.rom.host, 0xf0, 0x2000);
    b.ram_region = (struct region){ .name = "ram", .kind = REGION_MEMORY, .size = RAM_SIZE, .memory = &b.ram };
    b.rom_region = (struct region){ .name = "rom", .kind = REGION_MEMORY, .size = 0x2000, .memory = &b.rom };
    space_add(b.space, &b.ram_region, 0, 0, true);
}

static void teardown(void)
{
    space_destroy(b.space);
    ports_destroy(b.ports);
    free(b.ram.host);
    free(b.rom.host);
    memory_destroy(&b.ram);
    memory_destroy(&b.rom);
}

static void collect(void *context, phys_addr start, phys_addr end, const struct region *region, uint64_t offset)
{
    char text[64];

    snprintf(text, sizeof text, "%x-%x:%s+%x ", (unsigned)start, (unsigned)end, region->name, (unsigned)offset);
    strcat(context, text);
}

static const char *map_text(void)
{
    static char text[1024];

    text[0] = '\0';
    space_visit(b.space, collect, text);
    return text;
}

START_TEST(accesses_are_little_endian_at_any_alignment)
{
    setup();
    space_write(b.space, 0x0ffd, 8, UINT64_C(0x8877665544332211)); /* crosses a page */
    ck_assert_uint_eq(b.ram.host[0xffd], 0x11);
    ck_assert_uint_eq(b.ram.host[0x1004], 0x88);
    ck_assert_uint_eq(space_read(b.space, 0x0ffd, 8), UINT64_C(0x8877665544332211));
    ck_assert_uint_eq(space_read(b.space, 0x0ffe, 4), 0x55443322);
    ck_assert_uint_eq(space_read(b.space, 0x1000, 2), 0x5544);
    ck_assert_uint_eq(b.ram.page_flags[0], PAGE_DIRTY);
    ck_assert_uint_eq(b.ram.page_flags[1], PAGE_DIRTY);
    ck_assert_uint_eq(b.ram.page_flags[2], 0);
    teardown();
}
END_TEST

START_TEST(unmapped_reads_ones_and_is_logged_once_a_page)
{
    static const phys_addr nowhere = UINT64_C(0x500000000);

    setup();
    ck_assert_uint_eq(space_read(b.space, nowhere, 4), 0xffffffff);
    ck_assert_uint_eq(space_read(b.space, nowhere + 8, 8), UINT64_MAX);
    space_write(b.space, nowhere + 16, 1, 5);
    ck_assert_uint_eq(b.logged, 1);
    ck_assert_uint_eq(space_read(b.space, nowhere + 4096, 1), 0xff);
    ck_assert_uint_eq(b.logged, 2);
    /* Half in RAM, half not. */
    space_write(b.space, RAM_SIZE - 2, 4, 0x44332211);
    ck_assert_uint_eq(space_read(b.space, RAM_SIZE - 2, 4), 0xffff2211);
    /* The very end of the address space: three bytes of nothing, then RAM from address 0. */
    b.ram.host[1] = 0x77;
    ck_assert_uint_eq(space_read(b.space, UINT64_MAX - 2, 8), UINT64_C(0x0000007700ffffff));
    teardown();
}
END_TEST

START_TEST(higher_priority_wins_and_gives_way)
{
    setup();
    space_add(b.space, &b.rom_region, 0x3000, 1, true);
    ck_assert_str_eq(map_text(), "0-3000:ram+0 3000-5000:rom+0 5000-10000:ram+5000 ");
    ck_assert_uint_eq(space_read(b.space, 0x2ffe, 4), 0xf0f00000);
    space_write(b.space, 0x3000, 4, 0); /* ROM: vanishes */
    ck_assert_uint_eq(b.rom.host[0], 0xf0);
    space_move(b.space, &b.rom_region, 0x3000, false);
    ck_assert_str_eq(map_text(), "0-10000:ram+0 ");
    space_move(b.space, &b.rom_region, 0xf000, true);
    ck_assert_str_eq(map_text(), "0-f000:ram+0 f000-11000:rom+0 ");
    space_remove(b.space, &b.rom_region);
    ck_assert_str_eq(map_text(), "0-10000:ram+0 ");
    teardown();
}
END_TEST

START_TEST(changes_are_told_once_a_transaction)
{
    setup();
    unsigned before = b.changes;
    space_begin(b.space);
    space_add(b.space, &b.rom_region, 0x3000, 1, true);
    space_begin(b.space);
    space_move(b.space, &b.rom_region, 0x4000, true);
    space_commit(b.space);
    ck_assert_uint_eq(b.changes, before);
    space_commit(b.space);
    ck_assert_uint_eq(b.changes, before + 1);
    space_move(b.space, &b.rom_region, 0x4000, true);
    space_begin(b.space);
    space_commit(b.space);
    ck_assert_uint_eq(b.changes, before + 1);
    teardown();
}
END_TEST

START_TEST(retarget_shows_another_memory)
{
    uint64_t offset = 0;

    setup();
    space_add(b.space, &b.rom_region, 0x20000, 0, true);
    space_retarget(b.space, &b.rom_region, &b.ram, 0x1000, true);
    b.ram.host[0x1010] = 0x5a;
    ck_assert_uint_eq(space_read(b.space, 0x20010, 1), 0x5a);
    space_write(b.space, 0x20010, 1, 1); /* read-only here */
    ck_assert_uint_eq(b.ram.host[0x1010], 0x5a);
    ck_assert_ptr_eq(space_lookup(b.space, 0x20010, &offset), &b.rom_region);
    ck_assert_uint_eq(offset, 0x10);
    ck_assert_ptr_null(space_lookup(b.space, 0x22000, &offset));
    teardown();
}
END_TEST

START_TEST(registers_see_aligned_pieces_of_their_size)
{
    struct region wide = { .name = "wide", .kind = REGION_IO, .size = 0x1000, .ops = &ops4 };
    struct region narrow = { .name = "narrow", .kind = REGION_IO, .size = 0x1000, .ops = &ops1 };

    setup();
    space_add(b.space, &wide, 0x20000, 0, true);
    space_add(b.space, &narrow, 0x30000, 0, true);
    ck_assert_uint_eq(space_read(b.space, 0x20004, 4), 0x47464544);
    ck_assert_str_eq(b.calls, "r4@4 ");
    b.calls[0] = '\0';
    ck_assert_uint_eq(space_read(b.space, 0x20001, 4), 0x44434241);
    ck_assert_str_eq(b.calls, "r1@1 r2@2 r1@4 ");
    b.calls[0] = '\0';
    space_write(b.space, 0x20008, 8, UINT64_C(0x8877665544332211));
    ck_assert_str_eq(b.calls, "w4@8=44332211 w4@c=88776655 ");
    b.calls[0] = '\0';
    space_write(b.space, 0x30003, 2, 0x2211);
    ck_assert_str_eq(b.calls, "w1@3=11 w1@4=22 ");
    b.calls[0] = '\0';
    ck_assert_uint_eq(space_read(b.space, 0x30000, 4), 0x43424140);
    ck_assert_str_eq(b.calls, "r1@0 r1@1 r1@2 r1@3 ");
    teardown();
}
END_TEST

/* A register block that does not fill its page: the rest of the page is unmapped, also where RAM lies below it, and two
 * blocks may share a page. */
START_TEST(registers_end_at_their_exact_byte)
{
    struct region a = { .name = "a", .kind = REGION_IO, .size = 6, .ops = &ops4 };
    struct region c = { .name = "c", .kind = REGION_IO, .size = 4, .ops = &ops4 };

    setup();
    space_add(b.space, &a, 0x2000, 1, true);
    space_add(b.space, &c, 0x2010, 1, true);
    ck_assert_str_eq(map_text(), "0-2000:ram+0 2000-2006:a+0 2010-2014:c+0 3000-10000:ram+3000 ");
    ck_assert_uint_eq(space_read(b.space, 0x2004, 4), 0xffff4544);
    ck_assert_str_eq(b.calls, "r2@4 ");
    ck_assert_uint_eq(space_read(b.space, 0x2800, 1), 0xff);
    ck_assert_ptr_null(space_lookup(b.space, 0x2800, NULL));
    b.calls[0] = '\0';
    space_write(b.space, 0x200e, 8, UINT64_C(0x8877665544332211));
    ck_assert_str_eq(b.calls, "w4@0=66554433 ");
    teardown();
}
END_TEST

START_TEST(registers_may_change_the_map_while_accessed)
{
    struct region a = { .name = "a", .kind = REGION_IO, .size = 0x1000, .ops = &ops1 };

    setup();
    space_add(b.space, &a, 0x20000, 1, true);
    b.reenter_region = &a;
    space_write(b.space, 0x20000, 8, 0x2211);
    ck_assert_str_eq(map_text(), "0-10000:ram+0 ");
    teardown();
}
END_TEST

static uint64_t told_ident;
static unsigned told_size;
static void on_code(void *context, uint64_t ident, unsigned size)
{
    (void)context;
    told_ident = ident;
    told_size = size;
}

START_TEST(stores_keep_the_page_flags)
{
    setup();
    b.ram.code_written = on_code;
    b.ram.page_flags[1] = PAGE_CODE | PAGE_DISPLAY;
    space_write(b.space, 0x1004, 4, 1);
    ck_assert_uint_eq(b.ram.page_flags[1], PAGE_CODE | PAGE_DIRTY);
    ck_assert_uint_eq(told_ident, 0x1004);
    ck_assert_uint_eq(told_size, 4);
    space_write(b.space, 0x0ffe, 4, 1); /* only the half that lies in the code page is told */
    ck_assert_uint_eq(told_ident, 0x1000);
    ck_assert_uint_eq(told_size, 2);
    b.ram.page_flags[2] = PAGE_DIRTY | PAGE_DISPLAY;
    space_write(b.space, 0x2000, 1, 1);
    ck_assert_uint_eq(b.ram.page_flags[2], PAGE_DIRTY);
    teardown();
}
END_TEST

START_TEST(blocks_are_copied_across_pages_and_kinds)
{
    struct region a = { .name = "a", .kind = REGION_IO, .size = 0x1000, .ops = &ops4 };
    static uint8_t from[0x3000];
    static uint8_t to[0x3000];

    setup();
    for (unsigned i = 0; i < sizeof from; i++) {
        from[i] = (uint8_t)(i * 7);
    }
    space_write_bytes(b.space, 0xe800, from, 0x1800); /* up to the end of RAM */
    space_read_bytes(b.space, 0xe800, to, 0x2000);
    ck_assert_mem_eq(to, from, 0x1800);
    ck_assert_uint_eq(to[0x1800], 0xff);
    space_add(b.space, &a, 0x10000, 0, true);
    space_write_bytes(b.space, 0xffff, from, 3);
    ck_assert_str_eq(b.calls, "w1@0=7 w1@1=e ");
    ck_assert_uint_eq(b.ram.host[0xffff], 0);
    b.calls[0] = '\0';
    space_read_bytes(b.space, 0xffff, to, 3);
    ck_assert_uint_eq(to[2], 0x41);
    teardown();
}
END_TEST

static void port_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    char text[40];

    snprintf(text, sizeof text, "%s.w%u@%x=%x ", (const char *)owner, size, reg, (unsigned)value);
    strcat(b.calls, text);
}

static uint32_t port_read(void *owner, unsigned reg, unsigned size)
{
    char text[40];

    snprintf(text, sizeof text, "%s.r%u@%x ", (const char *)owner, size, reg);
    strcat(b.calls, text);
    return 0xffffff00u | (reg + 0x10);
}

static const struct port_ops port1 = { port_read, port_write, 1 };
static const struct port_ops port2 = { port_read, port_write, 2 };
static const struct port_ops port4 = { port_read, port_write, 4 };

static void visit_ports(void *context, unsigned first, unsigned last, const char *name)
{
    char text[40];

    snprintf(text, sizeof text, "%x-%x:%s ", first, last, name);
    strcat(context, text);
}

START_TEST(ports_split_wide_accesses_and_find_their_owner)
{
    char a[] = "a";
    char c[] = "c";
    char text[128] = "";

    setup();
    ports_add(b.ports, 0x40, 2, 0, &port1, a, "a", false);
    ports_add(b.ports, 0x42, 2, 6, &port2, c, "c", false);
    ck_assert_uint_eq(ports_read(b.ports, 0x41, 4), 0xffff1611);
    ck_assert_str_eq(b.calls, "a.r1@1 c.r2@6 ");
    ck_assert_uint_eq(b.logged, 1);
    b.calls[0] = '\0';
    ports_write(b.ports, 0x40, 4, 0x44332211);
    ck_assert_str_eq(b.calls, "a.w1@0=11 a.w1@1=22 c.w2@6=4433 ");
    b.calls[0] = '\0';
    /* A 16-bit access to an odd port goes whole to a 16-bit chip. */
    ports_write(b.ports, 0x43, 2, 0x2211);
    ck_assert_str_eq(b.calls, "c.w2@7=2211 ");
    ports_visit(b.ports, visit_ports, text);
    ck_assert_str_eq(text, "40-41:a 42-43:c ");
    teardown();
}
END_TEST

START_TEST(nobody_reads_ones_and_is_logged_once)
{
    setup();
    ck_assert_uint_eq(ports_read(b.ports, 0x80, 1), 0xff);
    ports_write(b.ports, 0x80, 1, 0);
    ck_assert_uint_eq(b.logged, 1);
    ck_assert_uint_eq(ports_read(b.ports, 0xfffe, 4), 0xffffffff);
    ck_assert_uint_eq(b.logged, 3);
    teardown();
}
END_TEST

START_TEST(an_override_lasts_until_it_is_removed)
{
    char a[] = "a";
    char c[] = "c";

    setup();
    ports_add(b.ports, 0x1000, 4, 0, &port4, c, "c", true);
    ports_add(b.ports, 0x1000, 8, 0, &port4, a, "a", false);
    ports_read(b.ports, 0x1000, 1);
    ports_remove(b.ports, 0x1000, 4, c);
    ports_read(b.ports, 0x1000, 1);
    ck_assert_str_eq(b.calls, "c.r1@0 a.r1@0 ");
    teardown();
}
END_TEST

START_TEST(equal_priority_overlap_is_a_bug)
{
    setup();
    space_add(b.space, &b.rom_region, 0xf000, 0, true);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("space");
    TCase *tcase = tcase_create("space");
    tcase_add_test(tcase, accesses_are_little_endian_at_any_alignment);
    tcase_add_test(tcase, unmapped_reads_ones_and_is_logged_once_a_page);
    tcase_add_test(tcase, higher_priority_wins_and_gives_way);
    tcase_add_test(tcase, changes_are_told_once_a_transaction);
    tcase_add_test(tcase, retarget_shows_another_memory);
    tcase_add_test(tcase, registers_see_aligned_pieces_of_their_size);
    tcase_add_test(tcase, registers_end_at_their_exact_byte);
    tcase_add_test(tcase, registers_may_change_the_map_while_accessed);
    tcase_add_test(tcase, stores_keep_the_page_flags);
    tcase_add_test(tcase, blocks_are_copied_across_pages_and_kinds);
    tcase_add_test(tcase, ports_split_wide_accesses_and_find_their_owner);
    tcase_add_test(tcase, nobody_reads_ones_and_is_logged_once);
    tcase_add_test(tcase, an_override_lasts_until_it_is_removed);
    tcase_add_test_raise_signal(tcase, equal_priority_overlap_is_a_bug, 6);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
