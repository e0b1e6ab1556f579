/* break_search.c - see break_search.h. */
#include "frontends/break_search.h"

bool break_search_run(void *context, struct tick86 *machine, uint64_t until_icount)
{
    struct break_search *search = context;

    while (tick86_icount(machine) < until_icount) {
        uint64_t icount = tick86_icount(machine), now = tick86_now_ns(machine);
        if (icount == search->told_icount) {
            tick86_debug_resume(machine);
        }
        search->told_icount = UINT64_MAX;
        enum tick86_stop stop = tick86_run(machine, UINT64_MAX, until_icount - icount);
        if (stop == STOP_DEBUG) {
            search->event = *tick86_debug_event(machine);
            search->told_icount = tick86_icount(machine);
            return true;
        }
        if (stop == STOP_MISSED || (tick86_icount(machine) == icount && tick86_now_ns(machine) == now)) {
            return false;
        }
    }
    return false;
}
