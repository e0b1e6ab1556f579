/* gdb_reverse.c - the packets bs and bc: backwards by the machine's history (machine/tick86_travel.h). */
#include "frontends/break_search.h"
#include "frontends/gdb_private.h"

#include "machine/tick86_travel.h"

#include <stdio.h>
#include <string.h>

bool gdb_reverse(struct gdb_stub *stub, bool is_step)
{
    struct tick86 *machine = stub->session->machine;
    struct tick86_history_info info;
    struct break_search search = {.told_icount = UINT64_MAX};
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
        is_good = tick86_travel_reverse_to(machine, break_search_run, &search, &is_hit, &err);
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
