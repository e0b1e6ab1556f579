/* break_search.h - how a search backwards (machine/tick86_travel.h) runs forwards from break to break. */
#ifndef FRONTENDS_BREAK_SEARCH_H
#define FRONTENDS_BREAK_SEARCH_H

#include "machine/tick86_debug.h"
#include "machine/tick86_travel.h"

/* Begin with told_icount = UINT64_MAX. */
struct break_search {
    struct tick86_debug_event event; /* of the last hit */
    uint64_t told_icount;            /* where it was; UINT64_MAX: none */
};

/* Runs up to the count, or to the next breakpoint; true when that was hit. `context` is a struct break_search. */
bool break_search_run(void *context, struct tick86 *machine, uint64_t until_icount);

#endif
