/* test_debugcon.c - the debug console port. */
#include "devices/debugcon.h"

#include "devices/backend.h"
#include "tests/support/box.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static void collect(void *context, uint8_t byte)
{
    char *text = context;
    size_t length = strlen(text);

    if (length < 15) {
        text[length] = (char)byte;
    }
}

START_TEST(bytes_reach_the_sink)
{
    char text[16] = "";
    const struct byte_sink sink = {text, collect};
    const struct property properties[] = {{.name = "sink", .pointer = (void *)(uintptr_t)&sink}, {0}};
    struct box box;

    box_open_with(&box, &debugcon_class, properties);
    box_map_ports(&box, 0x402, 1, 0);
    ck_assert_uint_eq(box_in8(&box, 0x402), 0xe9);
    box_out8(&box, 0x402, 'h');
    box_out8(&box, 0x402, 'i');
    ck_assert_str_eq(text, "hi");
    box_close(&box);
}
END_TEST

START_TEST(no_sink_is_fine)
{
    struct box box;

    box_open(&box, &debugcon_class);
    box_map_ports(&box, 0xe9, 1, 0);
    box_out8(&box, 0xe9, 'x');
    ck_assert_uint_eq(box_in8(&box, 0xe9), 0xe9);
    box_save_load(&box);
    box_close(&box);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("debugcon");
    TCase *tcase = tcase_create("ports");

    tcase_add_test(tcase, bytes_reach_the_sink);
    tcase_add_test(tcase, no_sink_is_fine);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
