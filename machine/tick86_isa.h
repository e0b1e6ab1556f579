/* tick86_isa.h - the instructions that the processor has, as text. */
#ifndef MACHINE_TICK86_ISA_H
#define MACHINE_TICK86_ISA_H

#include "machine/tick86.h"

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* One line for each row of the instruction table, with the CPUID feature it belongs to and the number of test cases that
 * execute it: on test firmware, as unit tests with expected results, on vectors recorded from a processor, and beside the
 * host's processor (machine/isa_cases.def). */
void tick86_print_isa(tick86_put_fn *put, void *context);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
