/* travel_commands.c - the monitor's commands for time travel. */
#define _DEFAULT_SOURCE
#include "frontends/break_search.h"
#include "frontends/travel_internal.h"

#include "machine/tick86_debug.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct talk {
    struct travel *travel;
    travel_put_fn *put;
    void *context;
};

static void print(const struct talk *talk, const char *format, ...) PRINTF_LIKE(2, 3);
static void print(const struct talk *talk, const char *format, ...)
{
    char text[2048];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    talk->put(talk->context, text);
}

static void print_error(const struct talk *talk, const struct error *err)
{
    print(talk, "Error: %s%s%s\n", err->message, err->hint[0] != '\0' ? "; " : "", err->hint);
}

static bool number(const struct talk *talk, const char *text, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 0);
    if (errno != 0 || end == text || *end != '\0') {
        print(talk, "Error: '%s' is not a number\n", text);
        return false;
    }
    return true;
}

/* The machine is put somewhere else: it stands there. */
static void arrive(const struct talk *talk)
{
    struct session *session = talk->travel->session;
    const struct tick86 *machine = session->machine;

    session_stop(session, NULL);
    print(talk, "icount=%" PRIu64 " time_ns=%" PRIu64 " pc=0x%" PRIx64 "\n", tick86_icount(machine), tick86_now_ns(machine),
          tick86_pc(machine, 0));
}

/* ---- snapshots ---- */

/* savevm [-i] [-z] [NAME] */
static void run_savevm(const struct talk *talk, int count, char **words)
{
    struct travel *travel = talk->travel;
    struct vmstate_options options = { .is_base = true, .has_disks = true };
    char path[SNAPSHOT_PATH_MAX], made[64];
    struct error err = { "", "" };
    time_t now = time(NULL);
    struct tm local;

    localtime_r(&now, &local);
    strftime(made, sizeof made, "vm-%Y%m%d%H%M%S", &local);
    options.name = made;
    for (int n = 0; n < count; n++) {
        if (strcmp(words[n], "-z") == 0) {
            options.is_compressed = true;
        } else if (strcmp(words[n], "-i") == 0) {
            options.parent = travel->last;
            if (options.parent == NULL) {
                print(talk, "Error: there is no snapshot yet to which an incremental one could refer\n");
                return;
            }
        } else {
            options.name = words[n];
        }
    }
    travel_snapshot_path(travel, options.name, path, sizeof path);
    if (options.parent != NULL && strcmp(snapshot_path(options.parent), path) == 0) {
        print(talk, "Error: '%s' cannot be its own parent; give another name\n", path);
        return;
    }
    if (!vmstate_save(travel->session, &travel->origin, path, &options, &err)) {
        print_error(talk, &err);
        return;
    }
    struct snapshot *saved = snapshot_open(path, &err);
    if (saved == NULL) {
        print_error(talk, &err);
        return;
    }
    snapshot_close(travel->last);
    travel->last = saved;
    print(talk, "saved in %s\n", path);
}

static void run_loadvm(const struct talk *talk, int count, char **words)
{
    char path[SNAPSHOT_PATH_MAX];
    struct error err = { "", "" };

    (void)count;
    travel_snapshot_path(talk->travel, words[0], path, sizeof path);
    if (!travel_load(talk->travel, path, &err)) {
        print_error(talk, &err);
    }
}

static void folder_of(const char *path, char *folder, size_t size)
{
    const char *slash = strrchr(path, '/');

    snprintf(folder, size, "%.*s", slash != NULL ? (int)(slash - path) + 1 : 2, slash != NULL ? path : "./");
}

/* Calls `visit` for every snapshot file in the folder where a name without one leads. */
static void visit_snapshots(const struct talk *talk, void (*visit)(void *context, const struct snapshot *snapshot), void *context)
{
    char path[SNAPSHOT_PATH_MAX], folder[SNAPSHOT_PATH_MAX];

    travel_snapshot_path(talk->travel, "x?", path, sizeof path);
    folder_of(path, folder, sizeof folder);
    DIR *directory = opendir(folder);
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        size_t length = strlen(entry->d_name);
        struct error err = { "", "" };
        if (length < 5 || strcmp(entry->d_name + length - 4, ".t86") != 0) {
            continue;
        }
        snprintf(path, sizeof path, "%.3000s%.255s", strcmp(folder, "./") == 0 ? "" : folder, entry->d_name);
        struct snapshot *snapshot = snapshot_open(path, &err);
        if (snapshot != NULL) {
            visit(context, snapshot);
            snapshot_close(snapshot);
        } else {
            print(talk, "%s\n", err.message);
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
}

struct child_search {
    const char *path;
    char found[256];
};

static void look_for_child(void *context, const struct snapshot *snapshot)
{
    struct child_search *search = context;
    const struct snapshot *parent = snapshot_parent(snapshot);

    if (parent != NULL && strcmp(snapshot_path(parent), search->path) == 0) {
        snprintf(search->found, sizeof search->found, "%s", snapshot_path(snapshot));
    }
}

static void run_delvm(const struct talk *talk, int count, char **words)
{
    char path[SNAPSHOT_PATH_MAX];
    struct error err = { "", "" };
    struct child_search search = { path, "" };

    (void)count;
    travel_snapshot_path(talk->travel, words[0], path, sizeof path);
    visit_snapshots(talk, look_for_child, &search);
    if (search.found[0] != '\0') {
        print(talk, "Error: '%s' has pages in '%s'; delete that one first\n", search.found, path);
        return;
    }
    if (talk->travel->last != NULL && strcmp(snapshot_path(talk->travel->last), path) == 0) {
        snapshot_close(talk->travel->last);
        talk->travel->last = NULL;
    }
    if (!vmstate_delete(talk->travel->session, path, &err)) {
        print_error(talk, &err);
    }
}

static void list_one(void *context, const struct snapshot *snapshot)
{
    const struct talk *talk = context;
    struct vmstate_info info;
    char date[32] = "";
    struct tm local;
    time_t when;

    if (!vmstate_describe(snapshot, &info)) {
        return;
    }
    when = (time_t)info.date_s;
    if (localtime_r(&when, &local) != NULL) {
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &local);
    }
    print(talk, "%-24s %9.1f MiB  %s  icount=%-14" PRIu64 " %9.3f s  %s%s%s\n", info.name, (double)info.file_bytes / 1048576.0,
          date, info.icount, (double)info.now_ns / 1e9, snapshot_path(snapshot),
          snapshot_parent(snapshot) != NULL ? " over " : "",
          snapshot_parent(snapshot) != NULL ? snapshot_path(snapshot_parent(snapshot)) : "");
}

static void run_info(const struct talk *talk, int count, char **words)
{
    struct tick86_history_info info;

    (void)count;
    if (strcmp(words[0], "snapshots") == 0) {
        struct talk copy = *talk;
        visit_snapshots(talk, list_one, &copy);
        return;
    }
    tick86_history_info(talk->travel->session->machine, &info);
    if (!info.is_kept) {
        print(talk, "no history is kept: checkpoints 256M starts one\n");
        return;
    }
    print(talk, "from icount=%" PRIu64 " to %" PRIu64 ", %u checkpoints, %" PRIu64 " KiB; the machine is %s\n", info.first_icount,
          info.last_icount, info.checkpoints, info.bytes >> 10, info.is_in_past ? "in the past" : "at the present");
}

/* ---- recording ---- */

static void run_record(const struct talk *talk, int count, char **words)
{
    struct travel *travel = talk->travel;
    struct error err = { "", "" };

    (void)count;
    if (strcmp(words[0], "stop") == 0) {
        if (travel->recording == NULL) {
            print(talk, "Error: nothing is recorded\n");
        } else if (!recording_close(travel->recording, &err)) {
            print_error(talk, &err);
        }
        travel->recording = NULL;
        return;
    }
    if (travel->recording != NULL || tick86_is_replaying(travel->session->machine)) {
        print(talk, "Error: %s\n", travel->recording != NULL ? "a recording is under way; record stop ends it"
                                                              : "this is a replay; replay stop makes it a live machine");
    } else if (!travel_record(travel, words[0], true, &err)) {
        print_error(talk, &err);
    }
}

static void run_replay(const struct talk *talk, int count, char **words)
{
    struct tick86_history_info info;

    (void)count;
    tick86_history_info(talk->travel->session->machine, &info);
    if (strcmp(words[0], "stop") != 0) {
        print(talk, "Error: usage: replay stop\n");
    } else if (!tick86_is_replaying(talk->travel->session->machine) && !info.is_in_past) {
        print(talk, "Error: the machine is live\n");
    } else {
        tick86_travel_go_live(talk->travel->session->machine);
        print(talk, "live from icount=%" PRIu64 " on\n", tick86_icount(talk->travel->session->machine));
    }
}

/* ---- going back ---- */

static void run_checkpoints(const struct talk *talk, int count, char **words)
{
    struct tick86_history_config config = { 0 };
    struct error err = { "", "" };

    (void)count;
    if (strcmp(words[0], "off") == 0) {
        tick86_history_stop(talk->travel->session->machine);
    } else if (!options_parse_size(words[0], 1 << 20, &config.budget_bytes) || config.budget_bytes == 0) {
        print(talk, "Error: '%s' is not a size such as 256M, or off\n", words[0]);
    } else if (!tick86_history_start(talk->travel->session->machine, &config, &err)) {
        print_error(talk, &err);
    }
}

static void run_goto(const struct talk *talk, int count, char **words)
{
    struct error err = { "", "" };
    uint64_t icount;

    (void)count;
    if (!number(talk, words[0], &icount)) {
        return;
    }
    if (!tick86_travel_goto(talk->travel->session->machine, icount, &err)) {
        print_error(talk, &err);
        return;
    }
    arrive(talk);
}

static void run_reverse_stepi(const struct talk *talk, int count, char **words)
{
    struct error err = { "", "" };
    uint64_t steps = 1;

    if (count > 0 && !number(talk, words[0], &steps)) {
        return;
    }
    if (!tick86_travel_reverse_step(talk->travel->session->machine, steps, &err)) {
        print_error(talk, &err);
        return;
    }
    arrive(talk);
}

/* Backwards to the last hit of a breakpoint that is there for this search alone. */
static bool search_back(const struct talk *talk, const struct tick86_breakpoint *point, bool includes_here,
                        struct tick86_debug_event *event)
{
    struct tick86 *machine = talk->travel->session->machine;
    struct break_search search = { .told_icount = UINT64_MAX };
    struct error err = { "", "" };
    int id = point != NULL ? tick86_break_add(machine, point, &err) : 0;
    bool is_hit = false;

    if (point != NULL && id == 0) {
        print_error(talk, &err);
        return false;
    }
    bool is_good = includes_here ? tick86_travel_last_hit(machine, break_search_run, &search, &is_hit, &err)
                                 : tick86_travel_reverse_to(machine, break_search_run, &search, &is_hit, &err);
    if (id != 0) {
        tick86_break_remove(machine, id);
    }
    *event = search.event;
    if (!is_good) {
        print_error(talk, &err);
        return false;
    }
    return is_hit;
}

static void run_reverse_continue(const struct talk *talk, int count, char **words)
{
    struct tick86_breakpoint point = { .kind = BREAK_CODE, .space = SPACE_LINEAR, .length = 1, .cpu = -1 };
    struct tick86_debug_event event = { 0 };

    if (count > 0 && !number(talk, words[0], &point.address)) {
        return;
    }
    if (!search_back(talk, count > 0 ? &point : NULL, false, &event)) {
        print(talk, "nothing is hit on the way; this is the beginning of the history\n");
    }
    arrive(talk);
}

static void run_when_executed(const struct talk *talk, int count, char **words)
{
    struct tick86_breakpoint point = { .kind = BREAK_CODE, .space = SPACE_LINEAR, .length = 1, .cpu = -1 };
    struct tick86_debug_event event = { 0 };
    struct tick86 *machine = talk->travel->session->machine;
    uint64_t here = tick86_icount(machine), limit = 1;
    struct error err = { "", "" };

    if (!number(talk, words[0], &point.address) || (count > 1 && !number(talk, words[1], &limit))) {
        return;
    }
    session_stop(talk->travel->session, NULL);
    for (uint64_t n = 0; n < limit && search_back(talk, &point, false, &event); n++) {
        print(talk, "0x%" PRIx64 " was executed at icount=%" PRIu64 " time_ns=%" PRIu64 "\n", point.address, tick86_icount(machine),
              tick86_now_ns(machine));
        limit = n + 1 < limit ? limit : 0;
        if (limit == 0) {
            break;
        }
    }
    if (limit != 0) {
        print(talk, "0x%" PRIx64 " was not executed before that, as far as the history reaches\n", point.address);
    }
    if (!tick86_travel_goto(machine, here, &err)) {
        print_error(talk, &err);
    }
}

/* last-write [-p] ADDR [SIZE] */
static void run_last_write(const struct talk *talk, int count, char **words)
{
    bool is_physical = strcmp(words[0], "-p") == 0;
    struct tick86_breakpoint point = { .kind = BREAK_DATA, .space = is_physical ? SPACE_PHYSICAL : SPACE_LINEAR,
                                       .length = 1, .access = BREAK_WRITE, .cpu = -1 };
    struct tick86_debug_event event = { 0 };
    struct tick86 *machine = talk->travel->session->machine;
    uint64_t here = tick86_icount(machine), old = 0, new = 0;
    struct error err = { "", "" };
    uint8_t bytes[8] = { 0 };

    if (count < 1 + is_physical || !number(talk, words[is_physical], &point.address) ||
        (count > 1 + is_physical && !number(talk, words[1 + is_physical], &point.length))) {
        return;
    }
    if (point.length < 1 || point.length > 8) {
        print(talk, "Error: the size is 1 to 8 bytes\n");
        return;
    }
    session_stop(talk->travel->session, NULL);
    if (!search_back(talk, &point, true, &event)) {
        print(talk, "0x%" PRIx64 " was not written, as far as the history reaches\n", point.address);
    } else {
        uint64_t at = tick86_icount(machine), now = tick86_now_ns(machine);
        (void)tick86_peek(machine, 0, point.space, point.address, bytes, (size_t)point.length);
        for (unsigned n = 0; n < point.length; n++) {
            new |= (uint64_t)bytes[n] << 8 * n;
        }
        if (tick86_travel_reverse_step(machine, 1, &err) &&
            tick86_peek(machine, 0, point.space, point.address, bytes, (size_t)point.length)) {
            for (unsigned n = 0; n < point.length; n++) {
                old |= (uint64_t)bytes[n] << 8 * n;
            }
        }
        print(talk, "0x%" PRIx64 " was written at icount=%" PRIu64 " time_ns=%" PRIu64 " by 0x%" PRIx64 ": 0x%" PRIx64 " became 0x%" PRIx64 "\n",
              point.address, at - 1, now, event.from, old, new);
    }
    if (!tick86_travel_goto(machine, here, &err)) {
        print_error(talk, &err);
    }
}

/* trace FROM..TO [FILE] */
static void run_trace(const struct talk *talk, int count, char **words)
{
    struct tick86 *machine = talk->travel->session->machine;
    uint64_t from, to, here = tick86_icount(machine);
    struct error err = { "", "" };
    char *dots = strstr(words[0], "..");
    FILE *file = NULL;

    if (dots == NULL) {
        print(talk, "Error: usage: trace FROM..TO [FILE]\n");
        return;
    }
    *dots = '\0';
    if (!number(talk, words[0], &from) || !number(talk, dots + 2, &to)) {
        return;
    }
    if (from > to || to - from > 100000000 || (count < 2 && to - from > 10000)) {
        print(talk, "Error: from %" PRIu64 " to %" PRIu64 " is %s\n", from, to, from > to ? "backwards" : "too much to show; name a file");
        return;
    }
    if (count > 1 && (file = fopen(words[1], "w")) == NULL) {
        print(talk, "Error: cannot write '%s': %s\n", words[1], strerror(errno));
        return;
    }
    session_stop(talk->travel->session, NULL);
    if (!tick86_travel_goto(machine, from, &err)) {
        print_error(talk, &err);
    }
    while (err.message[0] == '\0' && tick86_icount(machine) < to) {
        char text[128] = "?", line[256];
        uint64_t before = tick86_icount(machine), now = tick86_now_ns(machine), pc = tick86_pc(machine, 0);
        (void)tick86_disassemble(machine, 0, pc, 0, text, sizeof text);
        snprintf(line, sizeof line, "%" PRIu64 " 0x%" PRIx64 ": %s\n", before, pc, text);
        if (file != NULL) {
            fputs(line, file);
        } else {
            talk->put(talk->context, line);
        }
        tick86_debug_resume(machine);
        (void)tick86_run(machine, UINT64_MAX, 1);
        if (tick86_icount(machine) == before && tick86_now_ns(machine) == now) {
            break;
        }
    }
    if (file != NULL && fclose(file) != 0) {
        print(talk, "Error: cannot write '%s': %s\n", words[1], strerror(errno));
    }
    struct error ignored = { "", "" };
    (void)tick86_travel_goto(machine, here, &ignored);
}

/* ---- the table ---- */

static const struct {
    const char *name;
    int minimum, maximum;
    void (*run)(const struct talk *talk, int count, char **words);
    const char *usage, *doc;
} commands[] = {
    { "savevm", 0, 3, run_savevm, "[-i] [-z] [NAME]",
      "save machine and disks; -i: refer to the last snapshot for pages that did not change; -z: compressed" },
    { "loadvm", 1, 1, run_loadvm, "NAME", "go to a saved moment" },
    { "delvm", 1, 1, run_delvm, "NAME", "delete a snapshot" },
    { "record", 1, 1, run_record, "FILE[,last=60s][,embed=on] | stop", "record from here on" },
    { "replay", 1, 1, run_replay, "stop", "make this moment of a replay, or of the past, a live machine" },
    { "checkpoints", 1, 1, run_checkpoints, "SIZE | off", "keep a history in so much memory, from here on" },
    { "goto", 1, 1, run_goto, "COUNT", "go to where COUNT instructions have retired" },
    { "reverse-stepi", 0, 1, run_reverse_stepi, "[N]", "go back by N instructions (1)" },
    { "reverse-continue", 0, 1, run_reverse_continue, "[ADDRESS]",
      "go back to the last hit of a breakpoint, or of one at a linear address" },
    { "last-write", 1, 3, run_last_write, "[-p] ADDRESS [SIZE]", "who wrote that linear (-p: physical) address last" },
    { "when-executed", 1, 2, run_when_executed, "ADDRESS [N]", "the last N times (1) that linear address was executed" },
    { "retrace", 1, 2, run_trace, "FROM..TO [FILE]", "the instructions between two counts" },
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

const char *travel_command_help(unsigned n)
{
    static char line[256];

    if (n >= COMMANDS) {
        return NULL;
    }
    snprintf(line, sizeof line, "%s %s -- %s\n", commands[n].name, commands[n].usage, commands[n].doc);
    return line;
}

bool travel_command(struct travel *travel, travel_put_fn *put, void *context, int count, char **words)
{
    struct talk talk = { travel, put, context };

    if (travel == NULL) {
        return false;
    }
    if (strcmp(words[0], "info") == 0 && count == 2 &&
        (strcmp(words[1], "snapshots") == 0 || strcmp(words[1], "history") == 0)) {
        run_info(&talk, 1, words + 1);
        return true;
    }
    for (unsigned n = 0; n < COMMANDS; n++) {
        if (strcmp(words[0], commands[n].name) == 0) {
            if (count - 1 < commands[n].minimum || count - 1 > commands[n].maximum) {
                print(&talk, "Error: usage: %s %s\n", commands[n].name, commands[n].usage);
            } else {
                commands[n].run(&talk, count - 1, words + 1);
            }
            return true;
        }
    }
    return false;
}
