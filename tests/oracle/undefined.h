/* undefined.h - see undefined.c. */
#ifndef TESTS_ORACLE_UNDEFINED_H
#define TESTS_ORACLE_UNDEFINED_H

#include "cpu/decode.h"

/* Prints the differences; true when there are none. After native_open. */
bool undefined_sweep(const struct decoder *decoder);

#endif
