/* test_regressions.c - rows of tests/oracle/regressions.txt, what processors did, run by the interpreter on any host. */
#include "tests/oracle/oracle.h"
#include "tests/support/isa_cases.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 16384 };

static struct decoder *decoder;

static void clear_memory(const struct test_case *test)
{
    for (unsigned w = 0; w < WINDOWS; w++) {
        for (unsigned p = 0; p < WINDOW_PAGES; p++) {
            uint32_t linear = window_base[w] + p * PAGE;
            if (window_pages[w][p] == 'w' || window_pages[w][p] == 'r') {
                memcpy(emulated_page(linear), memory_pattern(linear), PAGE);
            }
        }
    }
    (void)test;
}

static bool stores_match(const struct outcome *expected, const struct outcome *got, char *why, size_t size)
{
    size_t used = strlen(why);

    for (unsigned k = 0; k < STORES_MAX; k++) {
        const struct poke *a = &expected->stores[k], *b = &got->stores[k];
        if (a->linear != b->linear || a->size != b->size || memcmp(a->bytes, b->bytes, POKE_BYTES)) {
            snprintf(why + used, size - used, " store %u: %u bytes at %x, expected %u at %x, or their values differ", k,
                     (unsigned)b->size, (unsigned)b->linear, (unsigned)a->size, (unsigned)a->linear);
            return false;
        }
    }
    return true;
}

/* Runs a row, with the block cache and without. */
static void run_line(const char *line, unsigned number)
{
    static struct test_case test;
    static struct outcome expected, got;
    char why[1000];

    ck_assert_msg(text_parse(line, &test, &expected, why, sizeof why), "regressions.txt:%u: %s", number, why);
    if (decode(decoder, test.code, test.code_size, test.mode, &test.decoded) == DECODED) {
        test.row = test.decoded.opcode;
    }
    isa_cases_in(test.code, test.code_size, test.mode, CODE_MAX, 1);
    test.native_mode = test.mode;
    for (unsigned way = 0; way < 2; way++) {
        test.single = way == 0;
        memset(&got, 0, sizeof got);
        emulated_run(&test, &got);
        outcome_stores(&test, &got, emulated_page);
        bool same = compare(&test, &expected, &got, why, sizeof why);
        if (!same && tolerate(&test, &expected, &got)) {
            same = compare(&test, &expected, &got, why, sizeof why);
        }
        same = (got.is_tolerated || stores_match(&expected, &got, why, sizeof why)) && same;
        clear_memory(&test);
        ck_assert_msg(same, "regressions.txt:%u (%s): expected/got:%s", number, way ? "blocks" : "single", why);
    }
}

START_TEST(rows)
{
    static char line[LINE_MAX_BYTES];
    FILE *in = fopen(TICK86_TEST_DATA "/oracle/regressions.txt", "r");
    unsigned number = 0, count = 0;

    ck_assert_msg(in != NULL, "cannot read " TICK86_TEST_DATA "/oracle/regressions.txt");
    decoder = decoder_create(NULL);
    ck_assert(decoder && emulated_open());
    while (fgets(line, sizeof line, in)) {
        number++;
        if (line[0] != '#' && line[0] != '\n') {
            run_line(line, number);
            count++;
        }
    }
    fclose(in);
    decoder_destroy(decoder);
    ck_assert_uint_gt(count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("regressions");
    TCase *tcase = tcase_create("rows");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, rows);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
