/* profile.h - prints the interpreter's profile (--profile). */
#ifndef FRONTENDS_PROFILE_H
#define FRONTENDS_PROFILE_H

#include "machine/tick86.h"

#include <stdbool.h>
#include <stdio.h>

/* The report: counts, hottest guest code with its disassembly, handlers. */
void profile_print(struct tick86 *machine, FILE *out);

/* The same as JSON, with the blocks as sequences of handlers and the pairs and triples of handlers that follow each other:
 * docs/profile.md describes it. False when memory ran out or `out` does not take it. */
bool profile_write(struct tick86 *machine, FILE *out);

#endif
