/* test_ns16550.c - the serial port seen from its eight ports and its line (NS16550AF data sheet). */
#include "devices/ns16550.h"

#include "devices/backend.h"
#include "tests/support/box.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { DATA = 0x3f8, IER, IIR, LCR, MCR, LSR, MSR, SCR, CHARACTER_NS = 86805 };

static char sent[64];
static unsigned sent_count;

static void collect(void *context, uint8_t byte)
{
    (void)context;
    sent[sent_count++ % sizeof sent] = (char)byte;
}

/* 115200 baud, eight bits, no parity, one stop bit; OUT2 on. */
static void open_uart(struct box *box, unsigned fcr)
{
    static const struct byte_sink sink = {NULL, collect};
    const struct property properties[] = {{.name = "sink", .pointer = (void *)(uintptr_t)&sink}, {0}};

    sent_count = 0;
    memset(sent, 0, sizeof sent);
    box_open_with(box, &ns16550_class, properties);
    box_map_ports(box, 0x3f8, 8, 0);
    box_out8(box, LCR, 0x83);
    box_out8(box, DATA, 1);
    box_out8(box, IER, 0);
    box_out8(box, LCR, 0x03);
    box_out8(box, IIR, fcr);
    box_out8(box, MCR, 0x0b);
}

/* Linux's autoconfig() and autoconfig_16550a(). */
START_TEST(linux_autoconfig)
{
    struct box box;

    open_uart(&box, 0);
    box_out8(&box, IER, 0x00);
    ck_assert_uint_eq(box_in8(&box, IER), 0x00);
    box_out8(&box, IER, 0xff);
    ck_assert_uint_eq(box_in8(&box, IER), 0x0f);
    box_out8(&box, IER, 0x00);
    box_out8(&box, MCR, 0x1a);
    ck_assert_uint_eq(box_in8(&box, MSR) & 0xf0, 0x90);
    box_out8(&box, MCR, 0x0b);
    ck_assert_uint_eq(box_in8(&box, MSR) & 0xf0, 0xb0);
    ck_assert_uint_eq(box_in8(&box, MSR), 0xb0);
    ck_assert_uint_eq(box_in8(&box, IIR), 0x01);
    box_out8(&box, IIR, 0x01);
    ck_assert_uint_eq(box_in8(&box, IIR), 0xc1);
    box_out8(&box, LCR, 0x80);
    box_out8(&box, IIR, 0x21);
    ck_assert_uint_eq(box_in8(&box, IIR), 0xc1);
    box_out8(&box, LCR, 0x03);
    box_out8(&box, IIR, 0x00);
    ck_assert_uint_eq(box_in8(&box, IIR), 0x01);
    box_out8(&box, SCR, 0xa5);
    ck_assert_uint_eq(box_in8(&box, SCR), 0xa5);
    ck_assert_uint_eq(box_in8(&box, LSR), 0x60);
    box_close(&box);
}
END_TEST

START_TEST(transmit_timing)
{
    struct box box;

    open_uart(&box, 0);
    box_out8(&box, DATA, 'a');
    ck_assert_msg(box_in8(&box, LSR) == 0x20, "the shift register took it");
    box_out8(&box, DATA, 'b');
    ck_assert_uint_eq(box_in8(&box, LSR), 0x00);
    box_step_ns(&box, CHARACTER_NS - 1);
    ck_assert_uint_eq(box_in8(&box, LSR), 0x00);
    box_step_ns(&box, 2);
    ck_assert_uint_eq(box_in8(&box, LSR), 0x20);
    box_step_ns(&box, CHARACTER_NS);
    ck_assert_uint_eq(box_in8(&box, LSR), 0x60);
    ck_assert_str_eq(sent, "ab");
    box_close(&box);
}
END_TEST

/* Enabling the transmit interrupt while THRE is set raises it, each time; reading IIR acknowledges (Linux's THRE test). */
START_TEST(transmit_interrupt)
{
    struct box box;

    open_uart(&box, 0x01);
    box_out8(&box, IER, 0x02);
    ck_assert(box_irq(&box, "irq"));
    ck_assert_uint_eq(box_in8(&box, IIR), 0xc2);
    ck_assert(!box_irq(&box, "irq"));
    ck_assert_uint_eq(box_in8(&box, IIR), 0xc1);
    box_out8(&box, IER, 0x00);
    box_out8(&box, IER, 0x02);
    ck_assert_uint_eq(box_in8(&box, IIR), 0xc2);
    for (unsigned n = 0; n < 17; n++) {
        box_out8(&box, DATA, '0' + n);
    }
    ck_assert(!box_irq(&box, "irq"));
    box_step_ns(&box, 15 * CHARACTER_NS);
    ck_assert(!box_irq(&box, "irq"));
    box_step_ns(&box, 2 * CHARACTER_NS);
    ck_assert_msg(box_irq(&box, "irq"), "the FIFO is empty");
    ck_assert_uint_eq(sent_count, 17);
    box_out8(&box, MCR, 0x03);
    ck_assert_msg(!box_irq(&box, "irq"), "OUT2 gates the interrupt");
    box_close(&box);
}
END_TEST

START_TEST(receive_with_fifo)
{
    struct box box;

    open_uart(&box, 0x81); /* trigger 8 */
    box_out8(&box, IER, 0x01);
    for (unsigned n = 0; n < 7; n++) {
        ck_assert(ns16550_can_receive(box.dev));
        ns16550_receive(box.dev, (uint8_t)('a' + n));
        ck_assert_msg(!ns16550_can_receive(box.dev), "the line is busy for a character time");
        box_step_ns(&box, CHARACTER_NS);
    }
    ck_assert(!box_irq(&box, "irq"));
    ck_assert_uint_eq(box_in8(&box, LSR), 0x61);
    ns16550_receive(box.dev, 'h');
    ck_assert_uint_eq(box_in8(&box, IIR), 0xc4);
    ck_assert_uint_eq(box_in8(&box, DATA), 'a');
    ck_assert(!box_irq(&box, "irq"));
    box_step_ns(&box, 4 * CHARACTER_NS + 4);
    ck_assert_msg(box_irq(&box, "irq"), "time-out after four character times");
    ck_assert_uint_eq(box_in8(&box, IIR), 0xcc);
    for (unsigned n = 1; n < 8; n++) {
        ck_assert_uint_eq(box_in8(&box, DATA), 'a' + n);
        ck_assert(!box_irq(&box, "irq"));
    }
    ck_assert_uint_eq(box_in8(&box, LSR), 0x60);
    box_step_ns(&box, 100 * CHARACTER_NS);
    ck_assert(!box_irq(&box, "irq"));
    box_close(&box);
}
END_TEST

START_TEST(overrun_and_break)
{
    struct box box;

    open_uart(&box, 0x01);
    box_out8(&box, IER, 0x05);
    for (unsigned n = 0; n < 17; n++) {
        ns16550_receive(box.dev, (uint8_t)n);
    }
    ck_assert_msg(box_in8(&box, IIR) == 0xc6, "line status comes first");
    ck_assert_uint_eq(box_in8(&box, LSR), 0x63);
    ck_assert_uint_eq(box_in8(&box, LSR), 0x61);
    ck_assert_uint_eq(box_in8(&box, IIR), 0xc4);
    for (unsigned n = 0; n < 16; n++) {
        ck_assert_uint_eq(box_in8(&box, DATA), n);
    }
    ns16550_receive(box.dev, 'x');
    ns16550_receive_break(box.dev);
    ck_assert_uint_eq(box_in8(&box, LSR), 0xe1);
    ck_assert_uint_eq(box_in8(&box, DATA), 'x');
    ck_assert_uint_eq(box_in8(&box, LSR), 0xf9);
    ck_assert_uint_eq(box_in8(&box, LSR), 0x61);
    ck_assert_uint_eq(box_in8(&box, DATA), 0);
    box_out8(&box, IIR, 0x00);
    ns16550_receive(box.dev, '1');
    ns16550_receive(box.dev, '2');
    ck_assert_uint_eq(box_in8(&box, LSR), 0x63);
    ck_assert_uint_eq(box_in8(&box, DATA), '2');
    box_close(&box);
}
END_TEST

START_TEST(loopback)
{
    struct box box;

    open_uart(&box, 0x01);
    box_out8(&box, MCR, 0x1e);
    ck_assert(!ns16550_can_receive(box.dev));
    (void)box_in8(&box, MSR);
    box_out8(&box, DATA, 0x5a);
    ck_assert_uint_eq(box_in8(&box, LSR), 0x20);
    box_step_ns(&box, CHARACTER_NS + 1);
    ck_assert_uint_eq(box_in8(&box, LSR), 0x61);
    ck_assert_uint_eq(box_in8(&box, DATA), 0x5a);
    ck_assert_uint_eq(sent_count, 0);
    box_out8(&box, IER, 0x08);
    box_out8(&box, MCR, 0x1a); /* RI falls */
    ck_assert_uint_eq(box_in8(&box, IIR), 0xc0);
    ck_assert_uint_eq(box_in8(&box, MSR), 0x94);
    ck_assert_uint_eq(box_in8(&box, IIR), 0xc1);
    box_close(&box);
}
END_TEST

START_TEST(no_sink_means_no_modem)
{
    struct box box;

    box_open(&box, &ns16550_class);
    box_map_ports(&box, 0x3f8, 8, 0);
    ck_assert_uint_eq(box_in8(&box, MSR), 0x00);
    box_out8(&box, DATA, 'x');
    box_step_ns(&box, 100000000);
    ck_assert_uint_eq(box_in8(&box, LSR), 0x60);
    box_close(&box);
}
END_TEST

START_TEST(hostile_and_snapshot)
{
    struct box box;

    open_uart(&box, 0x01);
    box_out8(&box, DATA, 'a');
    box_out8(&box, DATA, 'b');
    box_save_load(&box);
    box_step_ns(&box, 2 * CHARACTER_NS + 2);
    ck_assert_uint_eq(box_in8(&box, LSR), 0x60);
    ck_assert_str_eq(sent, "ab");
    for (unsigned n = 0; n < 100000; n++) {
        unsigned value = n * 2654435761u >> 6;
        box_out8(&box, DATA + (value & 7), value >> 3 & 0xff);
        box_out32(&box, DATA + 4, value);
        (void)box_in8(&box, DATA + (value >> 11 & 7));
        (void)box_in32(&box, DATA);
        if (value & 0x8000) {
            ns16550_receive(box.dev, (uint8_t)value);
        }
        if (!(value & 0x70000)) {
            ns16550_receive_break(box.dev);
        }
        box_step_ns(&box, value & 0xffff);
        if (n % 1000 == 0) {
            box_save_load(&box);
        }
    }
    box_close(&box);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ns16550");
    TCase *tcase = tcase_create("ports");

    tcase_add_test(tcase, linux_autoconfig);
    tcase_add_test(tcase, transmit_timing);
    tcase_add_test(tcase, transmit_interrupt);
    tcase_add_test(tcase, receive_with_fifo);
    tcase_add_test(tcase, overrun_and_break);
    tcase_add_test(tcase, loopback);
    tcase_add_test(tcase, no_sink_means_no_modem);
    tcase_add_test(tcase, hostile_and_snapshot);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
