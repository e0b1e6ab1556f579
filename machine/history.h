/* history.h - checkpoints in memory and the inputs between them, so that a machine can go back; see history.c. */
#ifndef MACHINE_HISTORY_H
#define MACHINE_HISTORY_H

#include "machine/tick86_travel.h"

/* All of these do nothing without a history. */

/* A page of the n-th writable memory, or sectors of a medium, are about to be written. */
void history_before_write(struct tick86 *machine, unsigned memory, uint64_t page);
void history_before_disk_write(struct tick86 *machine, struct block_backend *medium, uint64_t sector, uint32_t count);
/* An input is about to take effect for the first time. */
void history_input(struct tick86 *machine, const struct tick86_input *input);

/* Whether the present lies ahead. */
bool history_is_in_past(const struct tick86 *machine);
/* The next input of the past, or NULL; and past it. */
const struct tick86_input *history_next_input(const struct tick86 *machine);
void history_take_input(struct tick86 *machine);

/* Between two slices of a run: makes checkpoints that are due, and shortens the slice up to the next one. */
void history_step(struct tick86 *machine, uint64_t *end_icount);
/* Guest time at which a halted machine must pause for a checkpoint ahead; CLOCK_NEVER: none. */
uint64_t history_pause_ns(const struct tick86 *machine);

#endif
