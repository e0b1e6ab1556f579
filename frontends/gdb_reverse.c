/* gdb_reverse.c - the packets bs and bc: backwards by the machine's history (machine/tick86_travel.h). */
#include "frontends/gdb_private.h"

#include "machine/tick86_travel.h"

#include <stdio.h>
#include <string.h>

struct search {
    struct tick86_debug_event event; /* of the last hit */
    uint64_t told_icount;            /* where it was; UINT64_MAX: none */
};

/* Runs up to the count, or to the next breakpoint. */
static bool run_to_break(void *context, struct tick86 *machine, uint64_t until_icount)
{
    struct search *search = context;

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

bool gdb_reverse(struct gdb_stub *stub, bool is_step)
{
    struct tick86 *machine = stub->session->machine;
    struct tick86_history_info info;
    struct search search = {.told_icount = UINT64_MAX};
    struct error err = {0};
    char text[800];
    bool is_hit = false, is_good;

    tick86_history_info(machine, &info);
    if (!info.is_kept) {
        gdb_console(stub, "no history is kept: start tick86 with -checkpoints mem=256M, or now: monitor checkpoints 256M\n");
        return false;
    }
    if (tick86_icount(machine) <= info.first_icount) {
        gdb_set_stop(stub, 0, "replaylog:begin;");
        return true;
    }
    if (is_step) {
        is_good = tick86_travel_reverse_step(machine, 1, &err);
        gdb_set_stop(stub, stub->thread_c, "");
    } else {
        is_good = tick86_travel_reverse_to(machine, run_to_break, &search, &is_hit, &err);
        if (is_good && is_hit) {
            gdb_set_event_stop(stub, &search.event);
        } else {
            gdb_set_stop(stub, 0, "replaylog:begin;");
        }
    }
    if (!is_good) {
        snprintf(text, sizeof text, "%s%s%s\n", err.message, err.hint[0] != '\0' ? "; " : "", err.hint);
        gdb_console(stub, text);
    }
    return is_good;
}
