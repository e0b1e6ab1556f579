/* test_i8042.c - the keyboard controller with keyboard and mouse, seen from ports 60h and 64h. */
#include "devices/i8042.h"
#include "tests/support/box.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { MS = 1000000 };

static void open_kbc(struct box *box)
{
    box_open(box, &i8042_class);
    box_map_ports(box, 0x60, 1, 0);
    box_map_ports(box, 0x64, 1, 4);
}

/* Waits up to 10 ms of guest time for a byte. */
static int receive(struct box *box)
{
    for (unsigned n = 0; n < 200; n++) {
        if (box_in8(box, 0x64) & 0x01) {
            return box_in8(box, 0x60);
        }
        box_step_ns(box, 50000);
    }
    return -1;
}

static void expect(struct box *box, const char *bytes, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        ck_assert_int_eq(receive(box), (uint8_t)bytes[n]);
    }
    ck_assert_int_eq(receive(box), -1);
}

#define EXPECT(box, literal) expect(box, literal, sizeof literal - 1)

static void set_cmdbyte(struct box *box, unsigned value)
{
    box_out8(box, 0x64, 0x60);
    box_out8(box, 0x60, value);
}

static void to_mouse(struct box *box, unsigned byte)
{
    box_out8(box, 0x64, 0xd4);
    box_out8(box, 0x60, byte);
}

static void tap(struct box *box, enum key_code key)
{
    i8042_key(box->dev, key, true);
    i8042_key(box->dev, key, false);
}

START_TEST(empty_buffer_repeats_last_byte)
{
    struct box box;

    open_kbc(&box);
    set_cmdbyte(&box, 0x41);
    i8042_key(box.dev, KEY_A, true);
    ck_assert(!box_irq(&box, "kbd"));
    box_step_ns(&box, MS);
    ck_assert(box_irq(&box, "kbd"));
    for (unsigned n = 0; n < 300; n++) {
        ck_assert_uint_eq(box_in8(&box, 0x60), 0x1e);
    }
    ck_assert_msg(!box_irq(&box, "kbd"), "IRQ 1 must fall when the buffer is read");
    box_close(&box);
}
END_TEST

/* SeaBIOS and Linux: flush, self test, interface tests, command byte. */
START_TEST(controller_probe)
{
    struct box box;

    open_kbc(&box);
    box_out8(&box, 0x64, 0xaa);
    EXPECT(&box, "\x55");
    ck_assert_uint_eq(box_in8(&box, 0x64) & 0x3c, 0x1c); /* unlocked, last write was a command, system flag */
    box_out8(&box, 0x64, 0xab);
    EXPECT(&box, "\x00");
    box_out8(&box, 0x64, 0xa9);
    EXPECT(&box, "\x00");
    set_cmdbyte(&box, 0x74);
    ck_assert_uint_eq(box_in8(&box, 0x64) & 0x08, 0);
    box_out8(&box, 0x64, 0x20);
    EXPECT(&box, "\x74");
    box_out8(&box, 0x64, 0xa8);
    box_out8(&box, 0x64, 0xae);
    box_out8(&box, 0x64, 0x20);
    EXPECT(&box, "\x44");
    box_out8(&box, 0x64, 0xa7);
    box_out8(&box, 0x64, 0xad);
    box_out8(&box, 0x64, 0x20);
    EXPECT(&box, "\x74");
    box_out8(&box, 0x64, 0xa4);
    EXPECT(&box, "\xf1");
    box_out8(&box, 0x64, 0xc0);
    EXPECT(&box, "\x80");
    box_close(&box);
}
END_TEST

/* Linux's i8042_check_aux: D3h loops a byte back as the mouse's, with IRQ 12 when that is enabled. */
START_TEST(aux_loop)
{
    struct box box;

    open_kbc(&box);
    set_cmdbyte(&box, 0x32);
    box_out8(&box, 0x64, 0xd3);
    box_out8(&box, 0x60, 0x5a);
    ck_assert_uint_eq(box_in8(&box, 0x64) & 0x21, 0x21);
    ck_assert(box_irq(&box, "aux"));
    ck_assert(!box_irq(&box, "kbd"));
    ck_assert_uint_eq(box_in8(&box, 0x60), 0x5a);
    ck_assert(!box_irq(&box, "aux"));
    ck_assert_uint_eq(box_in8(&box, 0x64) & 0x21, 0);
    set_cmdbyte(&box, 0x01);
    box_out8(&box, 0x64, 0xd2);
    box_out8(&box, 0x60, 0xa5);
    ck_assert(box_irq(&box, "kbd"));
    ck_assert_uint_eq(box_in8(&box, 0x60), 0xa5);
    box_close(&box);
}
END_TEST

START_TEST(a20_and_reset)
{
    struct box box;

    open_kbc(&box);
    ck_assert(box_irq(&box, "a20"));
    box_out8(&box, 0x64, 0xdd);
    ck_assert(!box_irq(&box, "a20"));
    box_out8(&box, 0x64, 0xd0);
    ck_assert_int_eq(receive(&box) & 3, 1);
    box_out8(&box, 0x64, 0xd1);
    box_out8(&box, 0x60, 0xdf);
    ck_assert(box_irq(&box, "a20"));
    unsigned before = box_rises(&box, "reset");
    box_out8(&box, 0x64, 0xff); /* pulses nothing: the end of HIMEM's sequence */
    ck_assert_uint_eq(box_rises(&box, "reset"), before);
    box_out8(&box, 0x64, 0xfe);
    ck_assert_uint_eq(box_rises(&box, "reset"), before + 1);
    ck_assert(!box_irq(&box, "reset"));
    box_out8(&box, 0x64, 0xd1);
    box_out8(&box, 0x60, 0xde);
    ck_assert(box_irq(&box, "reset"));
    box_reset(&box);
    ck_assert(!box_irq(&box, "reset"));
    box_close(&box);
}
END_TEST

/* Linux's atkbd_probe and SeaBIOS's ps2_keyboard_setup. */
START_TEST(keyboard_commands)
{
    struct box box;

    open_kbc(&box);
    set_cmdbyte(&box, 0x01);
    box_out8(&box, 0x60, 0xff);
    EXPECT(&box, "\xfa\xaa");
    box_out8(&box, 0x60, 0xf2);
    EXPECT(&box, "\xfa\xab\x83");
    box_out8(&box, 0x60, 0xed);
    EXPECT(&box, "\xfa");
    box_out8(&box, 0x60, 0x05);
    EXPECT(&box, "\xfa");
    ck_assert_uint_eq(i8042_leds(box.dev), 5);
    box_out8(&box, 0x60, 0xee);
    EXPECT(&box, "\xee");
    box_out8(&box, 0x60, 0xf0);
    EXPECT(&box, "\xfa");
    box_out8(&box, 0x60, 0x00);
    EXPECT(&box, "\xfa\x02");
    box_out8(&box, 0x60, 0xfe);
    EXPECT(&box, "\x02");
    box_out8(&box, 0x60, 0x12);
    EXPECT(&box, "\xfe");
    box_out8(&box, 0x60, 0xf3);
    EXPECT(&box, "\xfa");
    box_out8(&box, 0x60, 0xf4); /* not a parameter: the new command counts */
    EXPECT(&box, "\xfa");
    box_out8(&box, 0x60, 0xf5);
    EXPECT(&box, "\xfa");
    tap(&box, KEY_A);
    EXPECT(&box, "");
    box_out8(&box, 0x60, 0xf4);
    EXPECT(&box, "\xfa");
    tap(&box, KEY_A);
    EXPECT(&box, "\x1c\xf0\x1c");
    /* Through the translation the id is AB 41, as PC drivers know it. */
    set_cmdbyte(&box, 0x41);
    box_out8(&box, 0x60, 0xf2);
    EXPECT(&box, "\xfa\xab\x41");
    box_close(&box);
}
END_TEST

START_TEST(scan_codes_translated)
{
    struct box box;

    open_kbc(&box);
    set_cmdbyte(&box, 0x41);
    tap(&box, KEY_ENTER);
    EXPECT(&box, "\x1c\x9c");
    tap(&box, KEY_UP);
    EXPECT(&box, "\xe0\x48\xe0\xc8");
    tap(&box, KEY_F7);
    EXPECT(&box, "\x41\xc1");
    tap(&box, KEY_F11);
    EXPECT(&box, "\x57\xd7");
    tap(&box, KEY_PAUSE);
    EXPECT(&box, "\xe1\x1d\x45\xe1\x9d\xc5");
    tap(&box, KEY_PRINT);
    EXPECT(&box, "\xe0\x2a\xe0\x37\xe0\xb7\xe0\xaa");
    i8042_key(box.dev, KEY_ALT_LEFT, true);
    tap(&box, KEY_PRINT);
    i8042_key(box.dev, KEY_ALT_LEFT, false);
    EXPECT(&box, "\x38\x54\xd4\xb8");
    i8042_key(box.dev, KEY_CTRL_RIGHT, true);
    tap(&box, KEY_PAUSE);
    i8042_key(box.dev, KEY_CTRL_RIGHT, false);
    EXPECT(&box, "\xe0\x1d\xe0\x46\xe0\xc6\xe0\x9d");
    box_close(&box);
}
END_TEST

START_TEST(scan_code_sets)
{
    struct box box;

    open_kbc(&box);
    set_cmdbyte(&box, 0x01);
    box_out8(&box, 0x60, 0xf0);
    box_step_ns(&box, MS);
    (void)receive(&box);
    box_out8(&box, 0x60, 0x01);
    EXPECT(&box, "\xfa");
    tap(&box, KEY_UP);
    EXPECT(&box, "\xe0\x48\xe0\xc8");
    box_out8(&box, 0x60, 0xf0);
    (void)receive(&box);
    box_out8(&box, 0x60, 0x03);
    EXPECT(&box, "\xfa");
    tap(&box, KEY_A);
    EXPECT(&box, "\x1c"); /* typematic keys send no break code by default */
    tap(&box, KEY_SHIFT_LEFT);
    EXPECT(&box, "\x12\xf0\x12");
    box_out8(&box, 0x60, 0xf8);
    EXPECT(&box, "\xfa");
    tap(&box, KEY_A);
    EXPECT(&box, "\x1c\xf0\x1c");
    tap(&box, KEY_UP);
    EXPECT(&box, "\x63\xf0\x63");
    box_close(&box);
}
END_TEST

START_TEST(typematic_repeat)
{
    struct box box;

    open_kbc(&box);
    set_cmdbyte(&box, 0x41);
    box_out8(&box, 0x60, 0xf3);
    EXPECT(&box, "\xfa");
    box_out8(&box, 0x60, 0x00); /* 250 ms, 30 a second */
    EXPECT(&box, "\xfa");
    i8042_key(box.dev, KEY_X, true);
    i8042_key(box.dev, KEY_X, true); /* the host's repeat does not count */
    EXPECT(&box, "\x2d");
    box_step_ns(&box, 230 * MS);
    EXPECT(&box, "");
    unsigned count = 0;
    for (unsigned ms = 0; ms < 1000; ms++) {
        box_step_ns(&box, MS);
        if (box_in8(&box, 0x64) & 1) {
            ck_assert_uint_eq(box_in8(&box, 0x60), 0x2d);
            count++;
        }
    }
    ck_assert_uint_ge(count, 29);
    ck_assert_uint_le(count, 31);
    i8042_key(box.dev, KEY_X, false);
    EXPECT(&box, "\xad");
    box_step_ns(&box, 2000 * (uint64_t)MS);
    EXPECT(&box, "");
    box_close(&box);
}
END_TEST

START_TEST(queue_overruns)
{
    struct box box;
    unsigned count = 0;
    int byte, last = -1;

    open_kbc(&box);
    set_cmdbyte(&box, 0x01);
    for (unsigned n = 0; n < 100; n++) {
        tap(&box, KEY_B);
    }
    while ((byte = receive(&box)) >= 0) {
        last = byte;
        count++;
    }
    ck_assert_uint_le(count, 65);
    ck_assert_uint_ge(count, 60);
    ck_assert_int_eq(last, 0x00);
    tap(&box, KEY_B);
    EXPECT(&box, "\x32\xf0\x32");
    box_close(&box);
}
END_TEST

START_TEST(disabled_interface_holds_keys)
{
    struct box box;

    open_kbc(&box);
    set_cmdbyte(&box, 0x51);
    tap(&box, KEY_A);
    ck_assert_int_eq(receive(&box), -1);
    ck_assert(!i8042_keyboard_is_idle(box.dev));
    box_out8(&box, 0x64, 0xae);
    EXPECT(&box, "\x1e\x9e");
    ck_assert(i8042_keyboard_is_idle(box.dev));
    box_close(&box);
}
END_TEST

START_TEST(mouse_probe)
{
    static const uint8_t rates[] = {200, 100, 80, 200, 200, 80};
    struct box box;

    open_kbc(&box);
    set_cmdbyte(&box, 0x43);
    to_mouse(&box, 0xff);
    ck_assert_int_eq(receive(&box), 0xfa);
    ck_assert_int_eq(receive(&box), 0xaa);
    box_step_ns(&box, MS);
    ck_assert_uint_eq(box_in8(&box, 0x64) & 0x21, 0x21);
    ck_assert(box_irq(&box, "aux"));
    ck_assert_int_eq(receive(&box), 0x00);
    to_mouse(&box, 0xf2);
    EXPECT(&box, "\xfa\x00");
    for (unsigned n = 0; n < 6; n++) {
        to_mouse(&box, 0xf3);
        EXPECT(&box, "\xfa");
        to_mouse(&box, rates[n]);
        EXPECT(&box, "\xfa");
        if (n == 2) {
            to_mouse(&box, 0xf2);
            EXPECT(&box, "\xfa\x03");
        }
    }
    to_mouse(&box, 0xf2);
    EXPECT(&box, "\xfa\x04");
    to_mouse(&box, 0xe8);
    EXPECT(&box, "\xfa");
    to_mouse(&box, 0x03);
    EXPECT(&box, "\xfa");
    to_mouse(&box, 0xf4);
    EXPECT(&box, "\xfa");
    ck_assert(i8042_mouse_is_enabled(box.dev));
    to_mouse(&box, 0xe9);
    EXPECT(&box, "\xfa\x20\x03\x50");
    to_mouse(&box, 0xbb);
    EXPECT(&box, "\xfe");
    to_mouse(&box, 0xee);
    EXPECT(&box, "\xfa");
    to_mouse(&box, 0x42);
    EXPECT(&box, "\x42");
    to_mouse(&box, 0xec);
    EXPECT(&box, "\xfa");
    box_close(&box);
}
END_TEST

START_TEST(mouse_packets)
{
    struct box box;

    open_kbc(&box);
    set_cmdbyte(&box, 0x43);
    i8042_mouse(box.dev, 5, 5, 0, 1);
    EXPECT(&box, ""); /* disabled */
    i8042_mouse(box.dev, 0, 0, 0, 0);
    to_mouse(&box, 0xf4);
    EXPECT(&box, "\xfa");
    i8042_mouse(box.dev, 10, 3, 0, 0);
    EXPECT(&box, "\x28\x0a\xfd"); /* down is negative */
    i8042_mouse(box.dev, -300, 0, 0, 1);
    EXPECT(&box, "\x19\x01\x00\x19\xd3\x00");
    /* A click shorter than a sample. */
    i8042_mouse(box.dev, 0, 0, 0, 0);
    i8042_mouse(box.dev, 0, 0, 0, 2);
    i8042_mouse(box.dev, 0, 0, 0, 0);
    EXPECT(&box, "\x08\x00\x00\x0a\x00\x00\x08\x00\x00");
    for (unsigned n = 0; n < 1000; n++) {
        i8042_mouse(box.dev, 100, 100, 100, n & 0x1f);
    }
    while (receive(&box) >= 0) {
        continue;
    }
    to_mouse(&box, 0xf0);
    EXPECT(&box, "\xfa");
    i8042_mouse(box.dev, 1, -1, 0, 0);
    EXPECT(&box, "");
    to_mouse(&box, 0xeb);
    EXPECT(&box, "\xfa\x08\x01\x01");
    box_close(&box);
}
END_TEST

START_TEST(names_and_characters)
{
    const char *name;
    enum key_code key;
    bool is_shifted;

    ck_assert_int_eq(key_by_name("ret", 3), KEY_ENTER);
    ck_assert_int_eq(key_by_name("ctrl-alt", 4), KEY_CTRL_LEFT);
    ck_assert_int_eq(key_by_name("no", 2), KEY_NONE);
    ck_assert_str_eq(key_name(KEY_SPACE), "spc");
    for (unsigned n = 0; key_name_at(n, &name, &key); n++) {
        ck_assert_int_eq(key_by_name(name, (unsigned)strlen(name)), key);
        ck_assert_msg(key_scancodes(key)->set2 != 0, "%s sends nothing", name);
    }
    for (char c = ' '; c < 0x7f; c++) {
        ck_assert_msg(key_for_character(c, &is_shifted) != KEY_NONE, "'%c' has no key", c);
    }
    ck_assert_int_eq(key_for_character('?', &is_shifted), KEY_SLASH);
    ck_assert(is_shifted);
    ck_assert_int_eq(key_for_character('\n', &is_shifted), KEY_ENTER);
    ck_assert(!is_shifted);
}
END_TEST

START_TEST(hostile_and_snapshot)
{
    struct box box;

    open_kbc(&box);
    set_cmdbyte(&box, 0x41);
    tap(&box, KEY_A);
    box_save_load(&box);
    EXPECT(&box, "\x1e\x9e");
    for (unsigned n = 0; n < 100000; n++) {
        unsigned value = n * 2654435761u >> 5;
        box_out8(&box, value & 1 ? 0x60 : 0x64, value >> 1 & 0xff);
        box_out32(&box, 0x60, value);
        i8042_key(box.dev, (enum key_code)(value >> 9 & 0xff), value >> 17 & 1);
        i8042_mouse(box.dev, (int)value, -(int)(value >> 3), (int)(value >> 2), value >> 11);
        (void)box_in16(&box, 0x60);
        (void)box_in8(&box, 0x64);
        box_step_ns(&box, value & 0x3ffff);
        if (n % 1000 == 0) {
            box_save_load(&box);
        }
    }
    box_close(&box);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("i8042");
    TCase *tcase = tcase_create("ports");

    tcase_add_test(tcase, empty_buffer_repeats_last_byte);
    tcase_add_test(tcase, controller_probe);
    tcase_add_test(tcase, aux_loop);
    tcase_add_test(tcase, a20_and_reset);
    tcase_add_test(tcase, keyboard_commands);
    tcase_add_test(tcase, scan_codes_translated);
    tcase_add_test(tcase, scan_code_sets);
    tcase_add_test(tcase, typematic_repeat);
    tcase_add_test(tcase, queue_overruns);
    tcase_add_test(tcase, disabled_interface_holds_keys);
    tcase_add_test(tcase, mouse_probe);
    tcase_add_test(tcase, mouse_packets);
    tcase_add_test(tcase, names_and_characters);
    tcase_add_test(tcase, hostile_and_snapshot);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
