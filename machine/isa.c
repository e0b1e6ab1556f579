/* isa.c - the instruction table as text, with the number of test cases of each row: see tick86_isa.h. */
#include "machine/tick86_isa.h"

#include "cpu/isa.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SUITES = 4 };

static const struct {
    const char *key;
    uint32_t cases[SUITES];
} counted[] = {
#define CASES(key, system, insn, recorded, native) { key, { system, insn, recorded, native } },
#include "machine/isa_cases.def"
#undef CASES
    { "", { 0 } },
};

/* The row's numbers; NULL when the file has none. The file is in the table's order, so the search goes on from `*from`. */
static const uint32_t *cases_of(const char *key, size_t *from)
{
    size_t count = sizeof counted / sizeof *counted;

    for (size_t k = 0; k < count; k++) {
        size_t at = (*from + k) % count;
        if (!strcmp(counted[at].key, key)) {
            *from = at + 1;
            return counted[at].cases;
        }
    }
    return NULL;
}

void tick86_print_isa(tick86_put_fn *put, void *context)
{
    char line[200], key[80], encoding[40], form[40];
    size_t from = 0;
    unsigned long untested = 0;
    uint64_t total = 0;

    snprintf(line, sizeof line, "%-20s %-26s %-10s %-15s %9s %9s %9s %9s %9s\n", "opcode", "instruction", "feature", "CPUID",
             "cases", "firmware", "unit", "recorded", "native");
    put(context, line);
    for (size_t k = 0; k < opcode_count; k++) {
        const struct opcode *row = &opcodes[k];
        isa_key(row, key, sizeof key);
        static const uint32_t none[SUITES];
        const uint32_t *cases = cases_of(key, &from);
        cases = cases ? cases : none;
        uint64_t sum = 0;
        for (unsigned n = 0; n < SUITES; n++) {
            sum += cases[n];
        }
        total += sum;
        untested += sum == 0;
        isa_encoding(row, encoding, sizeof encoding);
        isa_form(row, form, sizeof form);
        struct isa_feature feature = isa_feature(row);
        snprintf(line, sizeof line, "%-20s %-26s %-10s %-15s %9" PRIu64 " %9" PRIu32 " %9" PRIu32 " %9" PRIu32 " %9" PRIu32 "\n",
                 encoding, form, feature.name, feature.bit, sum, cases[0], cases[1], cases[2], cases[3]);
        put(context, line);
    }
    snprintf(line, sizeof line, "rows=%lu untested=%lu cases=%" PRIu64 "\n", (unsigned long)opcode_count, untested, total);
    put(context, line);
}
