/* oracle.c - compares the interpreter with the host's own processor, case by case, row by row of the instruction table.
 *
 *   oracle [--cases N] [--seed S] [--row MNEMONIC] [--print] [--rest] [--code64]
 *   oracle --undefined
 *
 * --print shows every case as a row. The mnemonic "sequence" stands for cases of several instructions.
 * --code64 makes 64-bit code instead of 16- and 32-bit code.
 * --rest leaves out what a host with 64-bit code alone can run.
 *
 * Cases run in a child process, so that one which takes the child down costs only itself. Every case depends only on the
 * seed, its row and its number. Differences are printed as rows of regressions.txt. Exit status 0: no differences; 1:
 * differences; 77: this host cannot serve as reference (the reason is printed). */
#define _DEFAULT_SOURCE
#include "tests/oracle/oracle.h"
#include "tests/oracle/undefined.h"
#include "tests/support/isa_cases.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS_SKIPPED = 77, SHOWN_PER_ROW = 3, SEQUENCES_PER_ROW_CASE = 100 };

/* Progress, shared with the child. */
struct progress {
    size_t row;
    unsigned long number; /* of the case within its row */
    unsigned long cases, differences, exempt_rows, impossible_rows, unreachable_rows, crashes;
    unsigned long faulted; /* cases that ended in an exception */
    unsigned long tolerated[32]; /* by rule */
    unsigned row_differences;
    bool is_done;
    struct host_modes host;
};

struct options {
    unsigned long cases;
    uint64_t seed;
    const char *row;
    bool prints;
    bool rest;
    bool asks_undefined;
    bool code64;
};

static struct progress *progress;

/* Memory back to the pattern on both sides. */
static void restore(const struct test_case *test)
{
    for (unsigned w = 0; w < WINDOWS; w++) {
        for (unsigned p = 0; p < WINDOW_PAGES; p++) {
            uint32_t linear = window_base[w] + p * PAGE;
            if (window_pages[w][p] != 'w') {
                continue;
            }
            const uint8_t *pattern = memory_pattern(linear);
            if (memcmp(native_page(linear), pattern, PAGE)) {
                memcpy(native_page(linear), pattern, PAGE);
            }
            if (memcmp(emulated_page(linear), pattern, PAGE)) {
                memcpy(emulated_page(linear), pattern, PAGE);
            }
        }
    }
    for (unsigned k = 0; k < test->poke_count; k++) {
        for (unsigned b = 0; b < test->pokes[k].size; b++) {
            uint32_t linear = test->pokes[k].linear + b;
            if (page_kind(linear) == 'r' || page_kind(linear) == 'x') {
                uint8_t value = memory_pattern(linear)[linear % PAGE];
                native_page(linear)[linear % PAGE] = value;
                emulated_page(linear)[linear % PAGE] = value;
            }
        }
    }
}

/* Compares the pages that can be written; the first differences go to the end of `why`. */
static bool memory_is_equal(const struct test_case *test, char *why, size_t size)
{
    size_t used = strlen(why);
    bool same = true;

    for (unsigned w = 0; w < WINDOWS; w++) {
        for (unsigned p = 0; p < WINDOW_PAGES; p++) {
            uint32_t linear = window_base[w] + p * PAGE;
            if (window_pages[w][p] != 'w') {
                continue;
            }
            const uint8_t *native = native_page(linear), *ours = emulated_page(linear);
            for (unsigned b = 0; memcmp(native, ours, PAGE) && b < PAGE; b++) {
                if (native[b] != ours[b] && !store_is_masked(test, linear + b)) {
                    same = false;
                    if (used + 40 < size) {
                        used += (size_t)snprintf(why + used, size - used, " [%x]=%02x/%02x", (unsigned)(linear + b),
                                                 native[b], ours[b]);
                    }
                }
            }
        }
    }
    return same;
}

static bool run_case(const struct test_case *test, bool prints)
{
    struct outcome native = { 0 }, emulated = { 0 };
    char why[500];

    native_run(test, &native);
    for (unsigned tries = 0; native_was_disturbed() && tries < 10; tries++) {
        restore(test);
        native_run(test, &native);
    }
    emulated_run(test, &emulated);
    bool is_beyond = test->native_mode != test->mode && native.vector == VEC_PF && native.cr2 >> 32;
    /* Alignment is checked where the limit of a 32-bit segment would have been passed. */
    is_beyond |= test->native_mode != test->mode && native.vector == VEC_AC &&
                 (emulated.vector == VEC_SS || emulated.vector == VEC_GP);
    bool names_ldt = !progress->host.has_ldt && native.vector == VEC_GP && (native.error & 4);
    if (is_beyond || names_ldt) {
        restore(test); /* an offset that wraps at 4 GiB in 32-bit code only; a selector of the table that the host lacks */
        return true;
    }
    isa_case(test->row, 1);
    progress->faulted += native.vector != ENDED_HERE;
    bool same = compare(test, &native, &emulated, why, sizeof why);
    if (!same) {
        uint32_t rules = tolerate(test, &native, &emulated);
        if (rules) {
            same = compare(test, &native, &emulated, why, sizeof why);
            for (unsigned k = 0; k < 32 && same; k++) {
                progress->tolerated[k] += rules >> k & 1;
            }
        }
    }
    same &= emulated.is_tolerated || memory_is_equal(test, why, sizeof why);
    if (!same || prints) {
        outcome_stores(test, &native, native_page);
    }
    restore(test);
    if (!same) {
        progress->differences++;
        if (progress->row_differences++ < SHOWN_PER_ROW) {
            printf("# native/ours:%s\n", why);
            text_print(stdout, test, &native);
            fflush(stdout);
        }
    } else if (prints) {
        text_print(stdout, test, &native);
    }
    return same;
}

static uint64_t case_seed(const struct options *o, size_t row, unsigned long number)
{
    struct rng rng = { o->seed * UINT64_C(0x9e3779b97f4a7c15) + ((uint64_t)row << 40) + number };

    rng_next(&rng);
    return rng_next(&rng);
}

static void begin_row(void)
{
    progress->row++;
    progress->number = 0;
    progress->row_differences = 0;
}

/* Sequences, as if they were a row behind the last. */
static void run_sequences(const struct options *o, const struct generator *g)
{
    struct test_case test;

    if (o->row && strcmp(o->row, "sequence")) {
        return;
    }
    while (progress->number < o->cases * SEQUENCES_PER_ROW_CASE) {
        if (generate_sequence(g, case_seed(o, progress->row, progress->number++), &test)) {
            progress->cases++;
            run_case(&test, o->prints);
        }
    }
}

static void run_rows(const struct options *o, const struct generator *g)
{
    struct test_case test;

    while (progress->row < opcode_count) {
        const struct opcode *row = &opcodes[progress->row];
        if (o->row && strcmp(o->row, row->mnemonic)) {
            begin_row();
            continue;
        }
        if (row_exemption(row)) {
            progress->exempt_rows++;
            begin_row();
            continue;
        }
        unsigned long made = 0;
        while (progress->number < o->cases) {
            uint64_t seed = case_seed(o, progress->row, progress->number++);
            if (generate(g, row, seed, &test) && !(o->rest && has_64bit_counterpart(&test))) {
                made++;
                progress->cases++;
                run_case(&test, o->prints);
            }
        }
        if (!made) {
            bool has_all = g->host.has_code32 && g->host.has_ldt;
            progress->impossible_rows += has_all;
            progress->unreachable_rows++;
            if (has_all) {
                printf("no case can be made for row %zu (%s)\n", progress->row, row->mnemonic);
            }
        }
        if (progress->row_differences > SHOWN_PER_ROW) {
            printf("# %u more differences in this row (%s)\n", progress->row_differences - SHOWN_PER_ROW, row->mnemonic);
        }
        begin_row();
    }
    if (!o->rest && !o->code64) {
        run_sequences(o, g);
    }
    progress->is_done = true;
}

/* The case that was being run. */
static bool remake(const struct options *o, const struct generator *g, struct test_case *test)
{
    uint64_t seed = case_seed(o, progress->row, progress->number - 1);

    return progress->row < opcode_count ? generate(g, &opcodes[progress->row], seed, test) : generate_sequence(g, seed, test);
}

/* Runs the rest of the cases in a child; true when it came to the end. */
static bool run_child(const struct options *o)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct generator g = { .decoder = decoder_create(NULL), .code64 = o->code64 };
        const char *why = native_open();
        if (why || !g.decoder || !emulated_open()) {
            printf("oracle: skipped: %s\n", why ? why : "out of memory");
            fflush(stdout);
            _exit(STATUS_SKIPPED);
        }
        g.host = progress->host = native_modes();
        if (o->asks_undefined) {
            progress->is_done = true;
            progress->differences = undefined_sweep(g.decoder) ? 0 : 1;
        } else {
            run_rows(o, &g);
        }
        fflush(stdout);
        exit(0); /* isa_cases.c writes then */
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        perror("oracle: fork");
        exit(2);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_SKIPPED) {
        exit(STATUS_SKIPPED);
    }
    if (!progress->is_done) {
        struct generator g = { .decoder = decoder_create(NULL), .code64 = o->code64 };
        struct test_case test;
        struct outcome none = { 0 };
        g.host = progress->host;
        progress->crashes++;
        printf("# the child died (status %x) in case %lu of row %zu:\n", (unsigned)status, progress->number - 1, progress->row);
        if (g.decoder && remake(o, &g, &test)) {
            text_print(stdout, &test, &none);
        }
        decoder_destroy(g.decoder);
    }
    return progress->is_done;
}

static void parse_options(struct options *o, int argc, char **argv)
{
    for (int k = 1; k < argc; k++) {
        const char *value = k + 1 < argc ? argv[k + 1] : NULL;
        if (!strcmp(argv[k], "--print")) {
            o->prints = true;
            continue;
        }
        if (!strcmp(argv[k], "--code64")) {
            o->code64 = true;
            continue;
        }
        if (!strcmp(argv[k], "--rest")) {
            o->rest = true;
            continue;
        }
        if (!strcmp(argv[k], "--undefined")) {
            o->asks_undefined = true;
            continue;
        }
        if (!strcmp(argv[k], "--cases") && value) {
            o->cases = strtoul(value, NULL, 0);
        } else if (!strcmp(argv[k], "--seed") && value) {
            o->seed = strtoull(value, NULL, 0);
        } else if (!strcmp(argv[k], "--row") && value) {
            o->row = value;
        } else {
            fprintf(stderr, "oracle: unknown option or missing value '%s'\n"
                            "usage: oracle [--cases N] [--seed S] [--row MNEMONIC] [--print] [--rest] [--code64]\n", argv[k]);
            exit(2);
        }
        k++;
    }
}

int main(int argc, char **argv)
{
    struct options o = { .cases = 200, .seed = 1 };

    parse_options(&o, argc, argv);
    progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED) {
        perror("oracle: mmap");
        return 2;
    }
    while (!run_child(&o) && progress->crashes < 100) {
    }
    if (o.asks_undefined) {
        return progress->differences || progress->crashes ? 1 : 0;
    }
    for (unsigned k = 0; tolerance_rules[k]; k++) {
        printf("%8lu  %s\n", progress->tolerated[k], tolerance_rules[k]);
    }
    if (progress->unreachable_rows) {
        printf("note: this host runs no %s%s%s code: %lu rows have no counterpart in 64-bit code and were not compared\n",
               progress->host.has_ldt ? "" : "16-bit", progress->host.has_ldt || progress->host.has_code32 ? "" : " and no ",
               progress->host.has_code32 ? "" : "32-bit", progress->unreachable_rows);
    }
    printf("cases=%lu faulted=%lu exempt_rows=%lu differences=%lu crashes=%lu\n", progress->cases, progress->faulted,
           progress->exempt_rows, progress->differences, progress->crashes);
    return progress->differences || progress->crashes || progress->impossible_rows ? 1 : 0;
}
