/* isa_cases.h - counts how many test cases execute each row of the instruction table.
 *
 * With TICK86_ISA_CASES=FILE in the environment a test program appends its counts to FILE when it ends, one line a row: the
 * row's key (cpu/isa.h), a tab, the count. tests/lint/check_isa.sh adds them up. Counting is done by the tests, from the
 * bytes they run: the processor has no part in it. */
#ifndef TESTS_SUPPORT_ISA_CASES_H
#define TESTS_SUPPORT_ISA_CASES_H

#include "cpu/decode.h"

void isa_case(const struct opcode *row, uint64_t cases);

/* The rows of up to `count` instructions in a straight line. Undefined ones end it. */
void isa_cases_in(const uint8_t *code, size_t size, unsigned mode, unsigned count, uint64_t cases);

#endif
