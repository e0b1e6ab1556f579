/* monitor.c - the monitor's commands, one row each, named as in QEMU's human monitor (qemu-qmp-ref, "HMP").
 *
 * Debugging is in monitor_debug.c. Not implemented: tab completion, everything about devices that tick86 does not have. */
#define _DEFAULT_SOURCE
#include "frontends/monitor_private.h"
#include "frontends/host/net.h"
#include "frontends/screendump.h"
#include "frontends/travel.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SENDKEY_HOLD_MS = 100 };
#define PROMPT "(tick86) "

static void run_help(struct monitor *monitor, int count, char **arguments);

void monitor_put_text(void *context, const char *text)
{
    struct monitor *monitor = context;

    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\n') {
            monitor->put(monitor->put_context, "\r", 1);
        }
        monitor->put(monitor->put_context, at, 1);
    }
}

void monitor_print(struct monitor *monitor, const char *format, ...)
{
    char text[2048];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    monitor_put_text(monitor, text);
}

void monitor_error(struct monitor *monitor, const struct error *err)
{
    monitor_print(monitor, "Error: %s%s%s\n", err->message, err->hint[0] != '\0' ? "; " : "", err->hint);
}

static bool number(struct monitor *monitor, const char *text, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 0);
    if (errno != 0 || end == text || *end != '\0') {
        monitor_print(monitor, "Error: '%s' is not a number\n", text);
        return false;
    }
    return true;
}

/* ---- commands ---- */

static void info_status(struct monitor *monitor)
{
    const struct session *session = monitor->session;

    monitor_print(monitor, "VM status: %s%s%s%s\n", session->is_stopped ? "paused" : "running",
          session->why_stopped != NULL ? " (" : "", session->why_stopped != NULL ? session->why_stopped : "",
          session->why_stopped != NULL ? ")" : "");
    monitor_print(monitor, "icount=%" PRIu64 " time_ns=%" PRIu64 " cpu=%s\n", tick86_icount(session->machine),
          tick86_now_ns(session->machine), tick86_is_halted(session->machine) ? "halted" : "running");
}

static void info_block(struct monitor *monitor)
{
    for (unsigned n = 0; n < TICK86_DISKS; n++) {
        const struct block_backend *medium = monitor->session->media[n];
        if (medium != NULL) {
            monitor_print(monitor, "ide%u-%s%u: %" PRIu64 " sectors%s%s%s\n", n / 2, monitor->session->is_cdrom[n] ? "cd" : "hd",
                  n % 2, medium->sectors, medium->is_readonly ? ", read-only" : "",
                  monitor->session->media_paths[n] != NULL ? ", " : "",
                  monitor->session->media_paths[n] != NULL ? monitor->session->media_paths[n] : "");
        }
    }
}

static void info_floppies(struct monitor *monitor)
{
    const struct session *session = monitor->session;

    for (unsigned n = 0; n < TICK86_FLOPPIES; n++) {
        const struct block_backend *medium = session->floppies[n];
        if (medium != NULL) {
            monitor_print(monitor, "floppy%u: %" PRIu64 " sectors%s%s%s\n", n, medium->sectors,
                  medium->sectors != 0 && medium->is_readonly ? ", read-only" : "",
                  session->floppy_paths[n] != NULL ? ", " : "",
                  session->floppy_paths[n] != NULL ? session->floppy_paths[n] : "");
        }
    }
}

static void run_info(struct monitor *monitor, int count, char **arguments)
{
    struct error err = {0};
    const char *what = count > 0 ? arguments[0] : "";

    if (strcmp(what, "status") == 0) {
        info_status(monitor);
    } else if (strcmp(what, "version") == 0) {
        monitor_print(monitor, "tick86 %s\n", TICK86_VERSION);
    } else if (strcmp(what, "name") == 0) {
        monitor_print(monitor, "%s\n", monitor->session->name != NULL ? monitor->session->name : "");
    } else if (strcmp(what, "block") == 0) {
        info_block(monitor);
        info_floppies(monitor);
    } else if (strcmp(what, "network") == 0) {
        if (monitor->session->net != NULL) {
            net_describe(monitor->session->net, monitor_put_text, monitor);
        } else {
            monitor_print(monitor, "no network card\n");
        }
    } else if (strcmp(what, "hash") == 0) {
        monitor_print(monitor, "hash=%016" PRIx64 "\n", tick86_hash(monitor->session->machine, true));
    } else if (monitor_debug_info(monitor, what, count > 1 ? arguments[1] : NULL)) {
        return;
    } else if (!tick86_info(monitor->session->machine, what, monitor_put_text, monitor, &err)) {
        monitor_error(monitor, &err);
        monitor_print(monitor, "Also: status, version, name, block, network, hash\n");
    }
}

static void run_screendump(struct monitor *monitor, int count, char **arguments)
{
    struct error err = {0};

    (void)count;
    if (!screendump(monitor->session->machine, arguments[0], &err)) {
        monitor_error(monitor, &err);
    }
}

/* The text screen in a file, or here. */
static void run_screentext(struct monitor *monitor, int count, char **arguments)
{
    char *text = calloc(1, SESSION_SCREEN_MAX);
    FILE *file = NULL;

    if (text == NULL) {
        monitor_print(monitor, "Error: out of memory\n");
    } else if (tick86_screen_text(monitor->session->machine, text, SESSION_SCREEN_MAX) == 0) {
        monitor_print(monitor, "(no text screen)\n");
    } else if (count == 0) {
        monitor_put_text(monitor, text);
    } else {
        file = fopen(arguments[0], "w");
        if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0) {
            monitor_print(monitor, "Error: cannot write '%s': %s\n", arguments[0], strerror(errno));
        }
    }
    free(text);
}

static void run_sendkey(struct monitor *monitor, int count, char **arguments)
{
    enum key_code keys[16];
    unsigned key_count = 0;
    uint64_t hold_ms = SENDKEY_HOLD_MS;
    const char *at = arguments[0];

    if (count > 1 && (!number(monitor, arguments[1], &hold_ms) || hold_ms > 100000)) {
        return;
    }
    while (*at != '\0') {
        /* A name ends at a '-', which is no name itself: "minus" is. */
        unsigned length = (unsigned)strcspn(at, "-");
        enum key_code key = key_by_name(at, length);
        if (key == KEY_NONE || key_count == sizeof keys / sizeof keys[0]) {
            monitor_print(monitor, "Error: no key named '%.*s'; names are those of QEMU: a, ret, spc, esc, f1, ctrl-alt-delete\n",
                  (int)length, at);
            return;
        }
        keys[key_count++] = key;
        at += length;
        at += *at == '-';
    }
    session_press(monitor->session, keys, key_count, (unsigned)hold_ms);
}

static void run_mouse_move(struct monitor *monitor, int count, char **arguments)
{
    int dx = atoi(arguments[0]), dy = atoi(arguments[1]), dz = count > 2 ? atoi(arguments[2]) : 0;

    tick86_mouse(monitor->session->machine, dx, dy, dz, monitor->session->mouse_buttons);
}

static void run_mouse_button(struct monitor *monitor, int count, char **arguments)
{
    uint64_t buttons;

    (void)count;
    if (number(monitor, arguments[0], &buttons)) {
        monitor->session->mouse_buttons = (unsigned)buttons & 7;
        tick86_mouse(monitor->session->machine, 0, 0, 0, monitor->session->mouse_buttons);
    }
}

/* hostfwd_add [NETWORK] RULE, hostfwd_remove [NETWORK] RULE. */
static void change_forward(struct monitor *monitor, bool adds, int count, char **arguments)
{
    struct error err = {0};

    if (monitor->session->net == NULL) {
        monitor_print(monitor, "Error: there is no network card; start with -nic user\n");
    } else if (!net_forward(monitor->session->net, count > 1 ? arguments[0] : NULL, adds, arguments[count - 1], &err)) {
        monitor_error(monitor, &err);
    }
}

static void run_hostfwd_add(struct monitor *monitor, int count, char **arguments)
{
    change_forward(monitor, true, count, arguments);
}

static void run_hostfwd_remove(struct monitor *monitor, int count, char **arguments)
{
    change_forward(monitor, false, count, arguments);
}

static void run_set_link(struct monitor *monitor, int count, char **arguments)
{
    struct error err = {0};
    bool is_up = strcmp(arguments[1], "on") == 0 || strcmp(arguments[1], "up") == 0;

    (void)count;
    if (!is_up && strcmp(arguments[1], "off") != 0 && strcmp(arguments[1], "down") != 0) {
        monitor_print(monitor, "Error: a link is on or off, not '%s'\n", arguments[1]);
    } else if (monitor->session->net == NULL) {
        monitor_print(monitor, "Error: there is no network card; start with -nic user\n");
    } else if (!net_set_link(monitor->session->net, arguments[0], is_up, &err)) {
        monitor_error(monitor, &err);
    }
}

static void run_quit(struct monitor *monitor, int count, char **arguments)
{
    (void)count;
    (void)arguments;
    session_quit(monitor->session, 0);
}

static void run_stop(struct monitor *monitor, int count, char **arguments)
{
    (void)count;
    (void)arguments;
    session_stop(monitor->session, NULL);
}

static void run_cont(struct monitor *monitor, int count, char **arguments)
{
    (void)count;
    (void)arguments;
    session_cont(monitor->session);
}

/* run SECONDS [TEXT]: for scripts, which thereby act at exact points of guest time. */
static void run_run(struct monitor *monitor, int count, char **arguments)
{
    char *end;
    double seconds = strtod(arguments[0], &end);

    if (end == arguments[0] || *end != '\0' || !(seconds >= 0) || seconds > 1e9) {
        monitor_print(monitor, "Error: '%s' is not a number of seconds\n", arguments[0]);
        return;
    }
    if (count > 1 && strlen(arguments[1]) >= SESSION_TEXT_MAX) {
        monitor_print(monitor, "Error: the text is longer than %d bytes\n", SESSION_TEXT_MAX - 1);
        return;
    }
    session_run_for(monitor->session, (uint64_t)(seconds * 1e9), count > 1 ? arguments[1] : NULL);
    monitor->is_running = true;
}

static void run_reset(struct monitor *monitor, int count, char **arguments)
{
    (void)count;
    (void)arguments;
    session_reset(monitor->session);
    if (monitor->session->why_stopped != NULL) {
        session_cont(monitor->session); /* it had powered off or died */
    }
}

static void run_powerdown(struct monitor *monitor, int count, char **arguments)
{
    (void)count;
    (void)arguments;
    tick86_power_button(monitor->session->machine);
}

static void run_nmi(struct monitor *monitor, int count, char **arguments)
{
    (void)count;
    (void)arguments;
    tick86_nmi(monitor->session->machine);
}

/* "ide1-cd0" is the secondary master; so is "hdc", and any name when there is but one CD-ROM drive. */
static bool is_floppy(const char *name, unsigned *drive)
{
    bool is_named = strncmp(name, "floppy", 6) == 0 && (name[6] == '0' || name[6] == '1') && name[7] == '\0';
    bool is_letter = strcmp(name, "fda") == 0 || strcmp(name, "fdb") == 0;

    *drive = is_named ? (unsigned)(name[6] - '0') : (unsigned)(is_letter && name[2] == 'b');
    return is_named || is_letter;
}

static bool find_drive(struct monitor *monitor, const char *name, unsigned *drive)
{
    const struct session *session = monitor->session;

    for (unsigned n = 0; n < TICK86_DISKS; n++) {
        char full[16];
        snprintf(full, sizeof full, "ide%u-cd%u", n / 2, n % 2);
        if (session->is_cdrom[n] && (strcmp(name, full) == 0 || strcmp(name, "cdrom") == 0 ||
                                     (strlen(name) == 3 && strncmp(name, "hd", 2) == 0 && name[2] == (char)('a' + n)))) {
            *drive = n;
            return true;
        }
    }
    monitor_print(monitor, "Error: no CD-ROM drive '%s'; see info block\n", name);
    return false;
}

static void run_eject(struct monitor *monitor, int count, char **arguments)
{
    struct error err = {0};
    bool force = strcmp(arguments[0], "-f") == 0;
    unsigned drive;

    if (force && count < 2) {
        monitor_print(monitor, "Error: eject what?\n");
    } else if (is_floppy(arguments[force], &drive)) {
        if (!session_change_floppy(monitor->session, drive, NULL, &err)) {
            monitor_error(monitor, &err);
        }
    } else if (find_drive(monitor, arguments[force], &drive) &&
               !session_change_medium(monitor->session, drive, NULL, force, &err)) {
        monitor_error(monitor, &err);
    }
}

static void run_change(struct monitor *monitor, int count, char **arguments)
{
    struct error err = {0};
    unsigned drive;

    (void)count;
    if (is_floppy(arguments[0], &drive)) {
        if (!session_change_floppy(monitor->session, drive, arguments[1], &err)) {
            monitor_error(monitor, &err);
        }
    } else if (find_drive(monitor, arguments[0], &drive) &&
        !session_change_medium(monitor->session, drive, arguments[1], false, &err)) {
        monitor_error(monitor, &err);
    }
}

static void run_log(struct monitor *monitor, int count, char **arguments)
{
    static const char *const levels[] = {"error", "guest", "trace"};

    for (unsigned n = 0; n < 3; n++) {
        if (count > 1 && strcmp(arguments[1], levels[n]) == 0) {
            if (!log_knows(tick86_log(monitor->session->machine), arguments[0])) {
                monitor_print(monitor, "Error: no log channel '%s'; info log lists them\n", arguments[0]);
                return;
            }
            log_set_level(tick86_log(monitor->session->machine), arguments[0], (enum log_level)n);
            return;
        }
    }
    monitor_print(monitor, "Error: the level is error, guest or trace\n");
}

/* ---- the table ---- */

static const struct command commands[] = {
    {"help", "?", "", 0, 1, run_help, "this list"},
    {"info", NULL, "WHAT [ARGUMENT]", 0, 2, run_info,
     "registers, pic, tlb, mem, qtree, mtree, clock, log, status, version, block, hash, breakpoints, cpus, pagewalk ADDRESS, gdt, idt, a device..."},
    {"hostfwd_add", NULL, "[NETWORK] RULE", 1, 2, run_hostfwd_add, "forward a port of the host: tcp:127.0.0.1:2222-:22"},
    {"hostfwd_remove", NULL, "[NETWORK] RULE", 1, 2, run_hostfwd_remove, "no longer: tcp:127.0.0.1:2222"},
    {"set_link", NULL, "CARD on|off", 2, 2, run_set_link, "plug a card's cable in or out (nic0, or its network)"},
    {"screendump", NULL, "FILE", 1, 1, run_screendump, "the screen as a PNG file, or as PPM when its name ends in .ppm"},
    {"screentext", NULL, "[FILE]", 0, 1, run_screentext, "the text screen as UTF-8, here or in a file"},
    {"sendkey", NULL, "KEY-KEY... [MS]", 1, 2, run_sendkey, "press keys together, for MS of guest time (100)"},
    {"mouse_move", NULL, "DX DY [DZ]", 2, 3, run_mouse_move, "move the mouse"},
    {"mouse_button", NULL, "STATE", 1, 1, run_mouse_button, "mouse buttons: 1 left, 2 right, 4 middle, added up"},
    {"quit", "q", "", 0, 0, run_quit, "end tick86"},
    {"stop", "s", "", 0, 0, run_stop, "stop the guest"},
    {"cont", "c", "", 0, 0, run_cont, "let the guest go on"},
    {"run", NULL, "SECONDS [TEXT]", 1, 2, run_run,
     "let the guest go on for SECONDS of guest time, or until its text screen shows TEXT, then stop; later commands wait"},
    {"system_reset", NULL, "", 0, 0, run_reset, "reset the machine"},
    {"system_powerdown", NULL, "", 0, 0, run_powerdown, "press the power button"},
    {"nmi", NULL, "", 0, 0, run_nmi, "raise a non-maskable interrupt"},
    {"eject", NULL, "[-f] DRIVE", 1, 2, run_eject, "take the medium out of a CD-ROM or floppy drive"},
    {"change", NULL, "DRIVE FILE", 2, 2, run_change, "put another medium into a CD-ROM or floppy drive"},
    {"log", NULL, "CHANNEL LEVEL", 2, 2, run_log, "log level of a channel or all: error, guest, trace"},
    {NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static void help_for(struct monitor *monitor, const struct command *command)
{
    for (; command->name != NULL; command++) {
        monitor_print(monitor, "%s%s%s%s%s -- %s\n", command->name, command->alias != NULL ? "|" : "",
                      command->alias != NULL ? command->alias : "", command->arguments[0] != '\0' ? " " : "",
                      command->arguments, command->doc);
    }
}

static void run_help(struct monitor *monitor, int count, char **arguments)
{
    (void)count;
    (void)arguments;
    help_for(monitor, commands);
    help_for(monitor, monitor_debug_commands);
    for (unsigned n = 0; travel_command_help(n) != NULL; n++) {
        monitor_put_text(monitor, travel_command_help(n));
    }
}

/* Cuts a line into words; double quotes hold blanks together. */
static int split(char *line, char **words)
{
    int count = 0;

    while (count < MONITOR_WORDS_MAX) {
        line += strspn(line, " \t");
        if (*line == '\0') {
            break;
        }
        if (*line == '"') {
            words[count++] = ++line;
            line += strcspn(line, "\"");
        } else {
            words[count++] = line;
            line += strcspn(line, " \t");
        }
        if (*line != '\0') {
            *line++ = '\0';
        }
    }
    return count;
}

static const struct command *find_command(const struct command *command, const char *name)
{
    for (; command->name != NULL; command++) {
        if (strcmp(name, command->name) == 0 || (command->alias != NULL && strcmp(name, command->alias) == 0)) {
            return command;
        }
    }
    return NULL;
}

void monitor_run(struct monitor *monitor, const char *line)
{
    char copy[MONITOR_LINE_MAX + 1];
    char *words[MONITOR_WORDS_MAX];

    snprintf(copy, sizeof copy, "%s", line);
    char *slash = strchr(copy, '/'); /* "x/4xb" is "x /4xb" */
    if (slash == copy + 1 || slash == copy + 2) {
        snprintf(copy, sizeof copy, "%.*s %s", (int)(slash - copy), line, line + (slash - copy));
    }
    int count = split(copy, words);
    if (count == 0 || travel_command(monitor->session->travel, monitor_put_text, monitor, count, words)) {
        return;
    }
    const struct command *command = find_command(commands, words[0]);
    command = command != NULL ? command : find_command(monitor_debug_commands, words[0]);
    if (command == NULL) {
        monitor_print(monitor, "Error: unknown command '%s'; help lists them\n", words[0]);
    } else if (count - 1 < command->arguments_min || count - 1 > command->arguments_max) {
        monitor_print(monitor, "Error: usage: %s %s\n", command->name, command->arguments);
    } else {
        command->run(monitor, count - 1, words + 1);
    }
}

/* ---- the line editor ---- */

void monitor_init(struct monitor *monitor, struct session *session, monitor_put_fn *put, void *context)
{
    memset(monitor, 0, sizeof *monitor);
    monitor->session = session;
    monitor->put = put;
    monitor->put_context = context;
    monitor->echoes = true;
}

void monitor_greet(struct monitor *monitor)
{
    monitor_print(monitor, "tick86 %s monitor - type 'help' for the commands\n" PROMPT, TICK86_VERSION);
}

static void replace_line(struct monitor *monitor, const char *text)
{
    for (; monitor->length != 0; monitor->length--) {
        monitor_put_text(monitor, "\b \b");
    }
    monitor->length = strlen(text);
    memcpy(monitor->line, text, monitor->length);
    monitor_put_text(monitor, text);
}

/* Up and down arrows walk through earlier lines. */
static void recall(struct monitor *monitor, bool is_up)
{
    unsigned oldest = monitor->history_count < MONITOR_HISTORY ? 0 : monitor->history_count - MONITOR_HISTORY;

    if (is_up && monitor->history_at > oldest) {
        monitor->history_at--;
    } else if (!is_up && monitor->history_at < monitor->history_count) {
        monitor->history_at++;
    } else {
        return;
    }
    replace_line(monitor, monitor->history_at == monitor->history_count
                              ? ""
                              : monitor->history[monitor->history_at % MONITOR_HISTORY]);
}

static void finish_line(struct monitor *monitor)
{
    monitor->line[monitor->length] = '\0';
    monitor->length = 0;
    if (monitor->echoes) {
        monitor_put_text(monitor, "\n");
    }
    if (monitor->line[0] != '\0') {
        memcpy(monitor->history[monitor->history_count++ % MONITOR_HISTORY], monitor->line, sizeof monitor->line);
    }
    monitor->history_at = monitor->history_count;
    monitor_run(monitor, monitor->line);
    if (!monitor->session->wants_quit && !monitor->is_running) {
        monitor_put_text(monitor, PROMPT);
    }
}

static void edit(struct monitor *monitor, char byte)
{
    if (monitor->escape == 1) {
        monitor->escape = byte == '[' || byte == 'O' ? 2 : 0;
    } else if (monitor->escape == 2) {
        monitor->escape = 0;
        if (byte == 'A' || byte == 'B') {
            recall(monitor, byte == 'A');
        }
    } else if (byte == 27) {
        monitor->escape = 1;
    } else if (byte == '\r' || byte == '\n') {
        finish_line(monitor);
    } else if (byte == 8 || byte == 127) {
        if (monitor->length != 0) {
            monitor->length--;
            monitor_put_text(monitor, "\b \b");
        }
    } else if (byte == 21) { /* Ctrl-U */
        replace_line(monitor, "");
    } else if ((unsigned char)byte >= 32 && monitor->length + 1 < MONITOR_LINE_MAX) {
        monitor->line[monitor->length++] = byte;
        if (monitor->echoes) {
            monitor->put(monitor->put_context, &byte, 1);
        }
    }
}

/* What was typed up to the next run. */
static void edit_typed(struct monitor *monitor)
{
    size_t done = 0;

    while (done < monitor->typed_count && !monitor->is_running && !monitor->session->wants_quit) {
        edit(monitor, monitor->typed[done++]);
    }
    monitor->typed_count -= done;
    memmove(monitor->typed, monitor->typed + done, monitor->typed_count);
}

size_t monitor_room(const struct monitor *monitor)
{
    return sizeof monitor->typed - monitor->typed_count;
}

void monitor_resume(struct monitor *monitor)
{
    if (monitor->seen_stops != monitor->session->stop_count) {
        monitor->seen_stops = monitor->session->stop_count;
        monitor_put_text(monitor, "\n");
        monitor_show_event(monitor);
        if (!monitor->is_running) {
            monitor_put_text(monitor, PROMPT);
        }
    }
    if (!monitor->is_running || monitor->session->run.is_active) {
        return;
    }
    monitor->is_running = false;
    if (monitor->session->run.text[0] != '\0' && !monitor->session->run.is_found) {
        monitor_print(monitor, "Error: '%s' did not appear on the screen\n", monitor->session->run.text);
    }
    monitor_put_text(monitor, PROMPT);
    edit_typed(monitor);
}

void monitor_input(struct monitor *monitor, const char *bytes, size_t size)
{
    for (size_t n = 0; n < size; n++) {
        if (monitor->is_running && bytes[n] == 3) { /* Ctrl-C */
            session_stop(monitor->session, NULL);
            monitor_resume(monitor);
        } else if (monitor->typed_count < sizeof monitor->typed) {
            monitor->typed[monitor->typed_count++] = bytes[n];
        }
    }
    edit_typed(monitor);
}
