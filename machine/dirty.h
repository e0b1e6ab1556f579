/* dirty.h - which pages were written since when, for several who ask. */
#ifndef MACHINE_DIRTY_H
#define MACHINE_DIRTY_H

#include "machine/tick86_travel.h"

struct memory;

enum { DIRTY_MEMORIES = 2 };

struct dirty_pages {
    uint8_t *bits[DIRTY_MEMORIES]; /* for each page, bit n: written for consumer n; NULL: nobody has asked */
    uint8_t initial;  /* bits of pages that are clean in a machine with is_replaced, when somebody asks for the first time */
    bool is_replaced; /* a clear PAGE_DIRTY does not tell any more that a page was never written */
};

/* Hooks the memories up. */
void dirty_init(struct tick86 *machine);
void dirty_free(struct tick86 *machine);
/* A page was replaced: everybody hears of it, and its next store is told as the first. */
void dirty_mark(struct tick86 *machine, unsigned memory, uint64_t page);
/* All memories were replaced. */
void dirty_replaced(struct tick86 *machine);
/* The next store to the page is told again; call dirty_rearmed after the last one. */
void dirty_rearm(struct tick86 *machine, unsigned memory, uint64_t page);
void dirty_rearmed(struct tick86 *machine);
/* The n-th memory that a guest can write, or NULL. */
struct memory *dirty_memory(struct tick86 *machine, unsigned n);

#endif
