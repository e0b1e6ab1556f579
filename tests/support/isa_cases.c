/* isa_cases.c - see isa_cases.h. */
#include "tests/support/isa_cases.h"

#include "cpu/isa.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS_MAX = 4096 };

static uint64_t counts[ROWS_MAX];
static struct decoder *decoder;
static enum { UNKNOWN, OFF, ON } state;

static void write_counts(void)
{
    FILE *out = fopen(getenv("TICK86_ISA_CASES"), "a");
    char key[80];

    if (!out) {
        perror(getenv("TICK86_ISA_CASES"));
        return;
    }
    for (size_t k = 0; k < opcode_count && k < ROWS_MAX; k++) {
        if (counts[k]) {
            isa_key(&opcodes[k], key, sizeof key);
            fprintf(out, "%s\t%" PRIu64 "\n", key, counts[k]);
            counts[k] = 0;
        }
    }
    fclose(out);
    decoder_destroy(decoder);
    decoder = NULL;
}

static bool is_on(void)
{
    if (state == UNKNOWN) {
        state = getenv("TICK86_ISA_CASES") != NULL ? ON : OFF;
        if (state == ON) {
            atexit(write_counts);
        }
    }
    return state == ON;
}

void isa_case(const struct opcode *row, uint64_t cases)
{
    if (is_on() && row) {
        counts[row - opcodes] += cases;
    }
}

void isa_cases_in(const uint8_t *code, size_t size, unsigned mode, unsigned count, uint64_t cases)
{
    struct decoded d;

    if (!is_on() || (!decoder && !(decoder = decoder_create(NULL)))) {
        return;
    }
    for (size_t at = 0; count > 0 && decode(decoder, code + at, size - at, mode, &d) == DECODED; count--) {
        isa_case(d.opcode, cases);
        at += d.length;
    }
}
