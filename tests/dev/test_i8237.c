/* test_i8237.c - the DMA controllers seen from their ports and from a device that asks for transfers. */
#include "devices/i8237.h"
#include "tests/support/box.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static void open_dma(struct box *box)
{
    box_open(box, &i8237_class);
    box_map_ports(box, 0x00, 16, 0x00);
    box_map_ports(box, 0x80, 16, 0x80);
    box_map_ports(box, 0xc0, 32, 0xc0);
}

/* Floppy style: channel 2, `mode` with the channel number, `size` bytes at `address`. */
static void program_channel_2(struct box *box, unsigned mode, unsigned address, unsigned size)
{
    box_out8(box, 0x0a, 0x06);
    box_out8(box, 0x0c, 0);
    box_out8(box, 0x04, address & 0xff);
    box_out8(box, 0x04, address >> 8 & 0xff);
    box_out8(box, 0x81, address >> 16);
    box_out8(box, 0x05, (size - 1) & 0xff);
    box_out8(box, 0x05, (size - 1) >> 8);
    box_out8(box, 0x0b, mode);
    box_out8(box, 0x0a, 0x02);
}

START_TEST(to_memory_until_terminal_count)
{
    struct box box;
    uint8_t bytes[512];

    open_dma(&box);
    for (unsigned n = 0; n < sizeof bytes; n++) {
        bytes[n] = (uint8_t)(n * 7);
    }
    ck_assert_uint_eq(i8237_transfer(box.dev, 2, bytes, 512, DMA_TO_MEMORY), 0);
    program_channel_2(&box, 0x46, 0x12345, 300);
    ck_assert(box_irq(&box, "ready2"));
    ck_assert_uint_eq(i8237_transfer(box.dev, 2, bytes, 100, DMA_TO_MEMORY), 100);
    ck_assert(!i8237_has_terminal_count(box.dev, 2));
    ck_assert_uint_eq(box_in8(&box, 0x08), 0x00);
    box_out8(&box, 0x0c, 0);
    ck_assert_uint_eq(box_in8(&box, 0x05), 199);
    ck_assert_uint_eq(box_in8(&box, 0x05), 0);
    ck_assert_uint_eq(i8237_transfer(box.dev, 2, bytes + 100, 412, DMA_TO_MEMORY), 200);
    ck_assert(i8237_has_terminal_count(box.dev, 2));
    ck_assert_uint_eq(box_in8(&box, 0x08), 0x04);
    ck_assert_uint_eq(box_in8(&box, 0x08), 0x00);
    ck_assert_msg(!box_irq(&box, "ready2"), "terminal count masks the channel");
    for (unsigned n = 0; n < 300; n++) {
        ck_assert_uint_eq(box_read8(&box, 0x12345 + n), bytes[n]);
    }
    ck_assert_uint_eq(box_read8(&box, 0x12345 + 300), 0);
    box_close(&box);
}
END_TEST

START_TEST(from_memory_wraps_and_repeats)
{
    struct box box;
    uint8_t bytes[8];

    open_dma(&box);
    for (unsigned n = 0; n < 4; n++) {
        box_write8(&box, 0x2fffe + n, 1 + n);
        box_write8(&box, 0x20000 + n, 0x11 + n);
    }
    program_channel_2(&box, 0x5a, 0x2fffe, 4); /* autoinitialise; the page does not count up */
    ck_assert_uint_eq(i8237_transfer(box.dev, 2, bytes, 8, DMA_FROM_MEMORY), 4);
    ck_assert(memcmp(bytes, "\x01\x02\x11\x12", 4) == 0);
    ck_assert(i8237_is_ready(box.dev, 2));
    ck_assert_uint_eq(i8237_transfer(box.dev, 2, bytes, 3, DMA_FROM_MEMORY), 3);
    ck_assert(memcmp(bytes, "\x01\x02\x11", 3) == 0);
    program_channel_2(&box, 0x7a, 0x20003, 4); /* downwards */
    ck_assert_uint_eq(i8237_transfer(box.dev, 2, bytes, 8, DMA_FROM_MEMORY), 4);
    ck_assert(memcmp(bytes, "\x14\x13\x12\x11", 4) == 0);
    program_channel_2(&box, 0x42, 0x20000, 4); /* verify moves nothing */
    ck_assert_uint_eq(i8237_transfer(box.dev, 2, bytes, 8, DMA_TO_MEMORY), 4);
    ck_assert_uint_eq(box_read8(&box, 0x20000), 0x11);
    box_close(&box);
}
END_TEST

START_TEST(words_on_channel_5)
{
    struct box box;
    uint8_t bytes[4] = {1, 2, 3, 4};

    open_dma(&box);
    box_out8(&box, 0xd8, 0);
    box_out8(&box, 0xc4, 0x00);
    box_out8(&box, 0xc4, 0x80); /* word address 8000h */
    box_out8(&box, 0xc6, 1);
    box_out8(&box, 0xc6, 0);
    box_out8(&box, 0x8b, 0x03);
    box_out8(&box, 0xd6, 0x45);
    box_out8(&box, 0xd4, 0x01);
    ck_assert_uint_eq(i8237_transfer(box.dev, 5, bytes, 4, DMA_TO_MEMORY), 4);
    ck_assert_uint_eq(box_read32(&box, 0x30000), 0x04030201);
    ck_assert_uint_eq(box_in8(&box, 0xd0), 0x02);
    box_close(&box);
}
END_TEST

START_TEST(registers)
{
    struct box box;

    open_dma(&box);
    for (unsigned n = 0; n < 16; n++) {
        box_out8(&box, 0x80 + n, 0xa0 + n);
    }
    for (unsigned n = 0; n < 16; n++) {
        ck_assert_uint_eq(box_in8(&box, 0x80 + n), 0xa0 + n);
    }
    /* The BIOS's register test: all patterns through the flip-flop. */
    box_out8(&box, 0x0d, 0);
    ck_assert_uint_eq(box_in8(&box, 0x0f), 0xff);
    for (unsigned reg = 0; reg < 8; reg++) {
        box_out8(&box, reg, 0x34);
        box_out8(&box, reg, 0x12);
        ck_assert_uint_eq(box_in8(&box, reg), 0x34);
        ck_assert_uint_eq(box_in8(&box, reg), 0x12);
    }
    box_set(&box, "dreq1", true);
    ck_assert_uint_eq(box_in8(&box, 0x08), 0x20);
    box_out8(&box, 0x0e, 0);
    ck_assert(i8237_is_ready(box.dev, 1));
    box_out8(&box, 0x08, 0x04);
    ck_assert(!i8237_is_ready(box.dev, 1));
    box_out8(&box, 0x08, 0x00);
    box_save_load(&box);
    ck_assert(i8237_is_ready(box.dev, 1));
    box_out8(&box, 0x0f, 0x0f);
    ck_assert(!i8237_is_ready(box.dev, 1));
    ck_assert(!i8237_is_ready(box.dev, 99));
    box_close(&box);
}
END_TEST

START_TEST(hostile_guest)
{
    struct box box;
    static uint8_t bytes[70000];

    open_dma(&box);
    for (unsigned n = 0; n < 20000; n++) {
        unsigned value = n * 2654435761u >> 6;
        box_out8(&box, value & 15, value >> 4 & 0xff);
        box_out8(&box, 0xc0 + (value >> 3 & 31), value >> 8 & 0xff);
        box_out32(&box, 0x80 + (value & 12), value);
        (void)box_in32(&box, 0xc0 + (value & 28));
        (void)box_in8(&box, value >> 7 & 15);
        box_out8(&box, 0x0e, 0);
        (void)i8237_transfer(box.dev, value & 15, bytes, value >> 9 & 0x1ff, value & 16 ? DMA_TO_MEMORY : DMA_FROM_MEMORY);
    }
    (void)i8237_transfer(box.dev, 2, bytes, sizeof bytes, DMA_FROM_MEMORY);
    box_close(&box);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("i8237");
    TCase *tcase = tcase_create("ports");

    tcase_add_test(tcase, to_memory_until_terminal_count);
    tcase_add_test(tcase, from_memory_wraps_and_repeats);
    tcase_add_test(tcase, words_on_channel_5);
    tcase_add_test(tcase, registers);
    tcase_add_test(tcase, hostile_guest);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
