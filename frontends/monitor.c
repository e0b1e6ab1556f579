/* monitor.c - the monitor's commands, one row each, named as in QEMU's human monitor (qemu-qmp-ref, "HMP").
 *
 * Not implemented: disassembly (x/i), expressions with registers, tab completion, everything about devices that tick86
 * does not have. */
#define _DEFAULT_SOURCE
#include "frontends/monitor.h"
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

enum { ARGUMENTS_MAX = 8, SENDKEY_HOLD_MS = 100, DUMP_MAX = 4096 };
#define PROMPT "(tick86) "

struct command {
    const char *name, *alias;
    const char *arguments; /* for help */
    int arguments_min, arguments_max;
    void (*run)(struct monitor *monitor, int count, char **arguments);
    const char *doc;
};
static void run_help(struct monitor *monitor, int count, char **arguments);

static void put_text(void *context, const char *text)
{
    struct monitor *monitor = context;

    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\n') {
            monitor->put(monitor->put_context, "\r", 1);
        }
        monitor->put(monitor->put_context, at, 1);
    }
}

static void print(struct monitor *monitor, const char *format, ...) PRINTF_LIKE(2, 3);
static void print(struct monitor *monitor, const char *format, ...)
{
    char text[2048];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    put_text(monitor, text);
}

static void print_error(struct monitor *monitor, const struct error *err)
{
    print(monitor, "Error: %s%s%s\n", err->message, err->hint[0] != '\0' ? "; " : "", err->hint);
}

static bool number(struct monitor *monitor, const char *text, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 0);
    if (errno != 0 || end == text || *end != '\0') {
        print(monitor, "Error: '%s' is not a number\n", text);
        return false;
    }
    return true;
}

/* ---- commands ---- */

static void info_status(struct monitor *monitor)
{
    const struct session *session = monitor->session;

    print(monitor, "VM status: %s%s%s%s\n", session->is_stopped ? "paused" : "running",
          session->why_stopped != NULL ? " (" : "", session->why_stopped != NULL ? session->why_stopped : "",
          session->why_stopped != NULL ? ")" : "");
    print(monitor, "icount=%" PRIu64 " time_ns=%" PRIu64 " cpu=%s\n", tick86_icount(session->machine),
          tick86_now_ns(session->machine), tick86_is_halted(session->machine) ? "halted" : "running");
}

static void info_block(struct monitor *monitor)
{
    for (unsigned n = 0; n < TICK86_DISKS; n++) {
        const struct block_backend *medium = monitor->session->media[n];
        if (medium != NULL) {
            print(monitor, "ide%u-%s%u: %" PRIu64 " sectors%s%s%s\n", n / 2, monitor->session->is_cdrom[n] ? "cd" : "hd",
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
            print(monitor, "floppy%u: %" PRIu64 " sectors%s%s%s\n", n, medium->sectors,
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
        print(monitor, "tick86 %s\n", TICK86_VERSION);
    } else if (strcmp(what, "name") == 0) {
        print(monitor, "%s\n", monitor->session->name != NULL ? monitor->session->name : "");
    } else if (strcmp(what, "block") == 0) {
        info_block(monitor);
        info_floppies(monitor);
    } else if (strcmp(what, "network") == 0) {
        if (monitor->session->net != NULL) {
            net_describe(monitor->session->net, put_text, monitor);
        } else {
            print(monitor, "no network card\n");
        }
    } else if (strcmp(what, "hash") == 0) {
        print(monitor, "hash=%016" PRIx64 "\n", tick86_hash(monitor->session->machine, true));
    } else if (!tick86_info(monitor->session->machine, what, put_text, monitor, &err)) {
        print_error(monitor, &err);
        print(monitor, "Also: status, version, name, block, network, hash\n");
    }
}

static void run_screendump(struct monitor *monitor, int count, char **arguments)
{
    struct error err = {0};

    (void)count;
    if (!screendump(monitor->session->machine, arguments[0], &err)) {
        print_error(monitor, &err);
    }
}

/* The text screen in a file, or here. */
static void run_screentext(struct monitor *monitor, int count, char **arguments)
{
    char *text = calloc(1, SESSION_SCREEN_MAX);
    FILE *file = NULL;

    if (text == NULL) {
        print(monitor, "Error: out of memory\n");
    } else if (tick86_screen_text(monitor->session->machine, text, SESSION_SCREEN_MAX) == 0) {
        print(monitor, "(no text screen)\n");
    } else if (count == 0) {
        put_text(monitor, text);
    } else {
        file = fopen(arguments[0], "w");
        if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0) {
            print(monitor, "Error: cannot write '%s': %s\n", arguments[0], strerror(errno));
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
            print(monitor, "Error: no key named '%.*s'; names are those of QEMU: a, ret, spc, esc, f1, ctrl-alt-delete\n",
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
        print(monitor, "Error: there is no network card; start with -nic user\n");
    } else if (!net_forward(monitor->session->net, count > 1 ? arguments[0] : NULL, adds, arguments[count - 1], &err)) {
        print_error(monitor, &err);
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
        print(monitor, "Error: a link is on or off, not '%s'\n", arguments[1]);
    } else if (monitor->session->net == NULL) {
        print(monitor, "Error: there is no network card; start with -nic user\n");
    } else if (!net_set_link(monitor->session->net, arguments[0], is_up, &err)) {
        print_error(monitor, &err);
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
        print(monitor, "Error: '%s' is not a number of seconds\n", arguments[0]);
        return;
    }
    if (count > 1 && strlen(arguments[1]) >= SESSION_TEXT_MAX) {
        print(monitor, "Error: the text is longer than %d bytes\n", SESSION_TEXT_MAX - 1);
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
    print(monitor, "Error: no CD-ROM drive '%s'; see info block\n", name);
    return false;
}

static void run_eject(struct monitor *monitor, int count, char **arguments)
{
    struct error err = {0};
    bool force = strcmp(arguments[0], "-f") == 0;
    unsigned drive;

    if (force && count < 2) {
        print(monitor, "Error: eject what?\n");
    } else if (is_floppy(arguments[force], &drive)) {
        if (!session_change_floppy(monitor->session, drive, NULL, &err)) {
            print_error(monitor, &err);
        }
    } else if (find_drive(monitor, arguments[force], &drive) &&
               !session_change_medium(monitor->session, drive, NULL, force, &err)) {
        print_error(monitor, &err);
    }
}

static void run_change(struct monitor *monitor, int count, char **arguments)
{
    struct error err = {0};
    unsigned drive;

    (void)count;
    if (is_floppy(arguments[0], &drive)) {
        if (!session_change_floppy(monitor->session, drive, arguments[1], &err)) {
            print_error(monitor, &err);
        }
    } else if (find_drive(monitor, arguments[0], &drive) &&
        !session_change_medium(monitor->session, drive, arguments[1], false, &err)) {
        print_error(monitor, &err);
    }
}

static void run_log(struct monitor *monitor, int count, char **arguments)
{
    static const char *const levels[] = {"error", "guest", "trace"};

    for (unsigned n = 0; n < 3; n++) {
        if (count > 1 && strcmp(arguments[1], levels[n]) == 0) {
            if (!log_knows(tick86_log(monitor->session->machine), arguments[0])) {
                print(monitor, "Error: no log channel '%s'; info log lists them\n", arguments[0]);
                return;
            }
            log_set_level(tick86_log(monitor->session->machine), arguments[0], (enum log_level)n);
            return;
        }
    }
    print(monitor, "Error: the level is error, guest or trace\n");
}

/* ---- memory ---- */

struct dump_format {
    unsigned count, size;
    char kind;
};

/* "/40xb": how many, as what (x d u o c), how wide (b h w g). */
static bool parse_format(struct monitor *monitor, const char *text, struct dump_format *format)
{
    char *end;

    text++;
    if (isdigit((unsigned char)*text)) {
        unsigned long count = strtoul(text, &end, 10);
        format->count = count < DUMP_MAX ? (unsigned)count : DUMP_MAX;
        text = end;
    }
    for (; *text != '\0'; text++) {
        const char *sizes = "bhw_g";
        const char *size = strchr(sizes, *text);
        if (size != NULL && *text != '_') {
            format->size = *text == 'g' ? 8 : 1U << (size - sizes);
        } else if (strchr("xduoc", *text) != NULL) {
            format->kind = *text;
        } else {
            print(monitor, "Error: unknown format '%c'; /COUNT, then x d u o c, then b h w g\n", *text);
            return false;
        }
    }
    return true;
}

static void print_value(struct monitor *monitor, const struct dump_format *format, uint64_t value)
{
    unsigned shift = 64 - 8 * format->size;
    unsigned digits = 2 * format->size;

    switch (format->kind) {
    case 'd':
        /* Sign-extended without shifting a negative number. */
        print(monitor, " %" PRId64, (int64_t)((value ^ (UINT64_C(1) << (63 - shift))) - (UINT64_C(1) << (63 - shift))));
        break;
    case 'u':
        print(monitor, " %" PRIu64, value);
        break;
    case 'o':
        print(monitor, " 0%" PRIo64, value);
        break;
    case 'c':
        print(monitor, value >= 0x20 && value < 0x7f ? " '%c'" : " '\\x%02x'", (unsigned)(value & 0xff));
        break;
    default:
        print(monitor, " 0x%0*" PRIx64, (int)digits, value);
        break;
    }
}

typedef bool read_fn(const struct tick86 *machine, uint64_t address, void *bytes, size_t size);

static void dump(struct monitor *monitor, int count, char **arguments, read_fn *read)
{
    struct dump_format format = {1, 4, 'x'};
    uint64_t address;
    bool has_format = arguments[0][0] == '/';

    if ((has_format && !parse_format(monitor, arguments[0], &format)) || count < 1 + has_format) {
        if (count < 1 + has_format) {
            print(monitor, "Error: an address is missing\n");
        }
        return;
    }
    if (!number(monitor, arguments[has_format], &address)) {
        return;
    }
    unsigned per_line = 16 / format.size;
    for (unsigned n = 0; n < format.count; n++) {
        uint8_t bytes[8] = {0};
        uint64_t value = 0;
        if (n % per_line == 0) {
            print(monitor, "%s%016" PRIx64 ":", n != 0 ? "\n" : "", address);
        }
        if (!read(monitor->session->machine, address, bytes, format.size)) {
            print(monitor, "\nError: cannot read memory at 0x%" PRIx64, address);
            break;
        }
        for (unsigned at = format.size; at-- > 0;) {
            value = value << 8 | bytes[at];
        }
        print_value(monitor, &format, value);
        address += format.size;
    }
    print(monitor, "\n");
}

static void run_x(struct monitor *monitor, int count, char **arguments)
{
    dump(monitor, count, arguments, tick86_read_linear);
}

static void run_xp(struct monitor *monitor, int count, char **arguments)
{
    dump(monitor, count, arguments, tick86_read_physical);
}

/* ---- the table ---- */

static const struct command commands[] = {
    {"help", "?", "", 0, 1, run_help, "this list"},
    {"info", NULL, "WHAT", 0, 1, run_info,
     "registers, pic, tlb, mem, qtree, mtree, clock, log, status, version, block, hash or a device"},
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
    {"x", NULL, "/FMT ADDRESS", 1, 2, run_x, "memory at a linear address; FMT: count, x d u o c, b h w g"},
    {"xp", NULL, "/FMT ADDRESS", 1, 2, run_xp, "memory at a physical address"},
    {NULL, NULL, NULL, 0, 0, NULL, NULL},
};

static void run_help(struct monitor *monitor, int count, char **arguments)
{
    (void)count;
    (void)arguments;
    for (const struct command *command = commands; command->name != NULL; command++) {
        print(monitor, "%s%s%s%s%s -- %s\n", command->name, command->alias != NULL ? "|" : "",
              command->alias != NULL ? command->alias : "", command->arguments[0] != '\0' ? " " : "",
              command->arguments, command->doc);
    }
    for (unsigned n = 0; travel_command_help(n) != NULL; n++) {
        put_text(monitor, travel_command_help(n));
    }
}

/* Cuts a line into words; double quotes hold blanks together. */
static int split(char *line, char **words)
{
    int count = 0;

    while (count < ARGUMENTS_MAX) {
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

void monitor_run(struct monitor *monitor, const char *line)
{
    char copy[MONITOR_LINE_MAX + 1];
    char *words[ARGUMENTS_MAX];

    snprintf(copy, sizeof copy, "%s", line);
    char *slash = strchr(copy, '/'); /* "x/4xb" is "x /4xb" */
    if (slash == copy + 1 || slash == copy + 2) {
        snprintf(copy, sizeof copy, "%.*s %s", (int)(slash - copy), line, line + (slash - copy));
    }
    int count = split(copy, words);
    if (count == 0 || travel_command(monitor->session->travel, put_text, monitor, count, words)) {
        return;
    }
    for (const struct command *command = commands; command->name != NULL; command++) {
        if (strcmp(words[0], command->name) == 0 || (command->alias != NULL && strcmp(words[0], command->alias) == 0)) {
            if (count - 1 < command->arguments_min || count - 1 > command->arguments_max) {
                print(monitor, "Error: usage: %s %s\n", command->name, command->arguments);
            } else {
                command->run(monitor, count - 1, words + 1);
            }
            return;
        }
    }
    print(monitor, "Error: unknown command '%s'; help lists them\n", words[0]);
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
    print(monitor, "tick86 %s monitor - type 'help' for the commands\n" PROMPT, TICK86_VERSION);
}

static void replace_line(struct monitor *monitor, const char *text)
{
    for (; monitor->length != 0; monitor->length--) {
        put_text(monitor, "\b \b");
    }
    monitor->length = strlen(text);
    memcpy(monitor->line, text, monitor->length);
    put_text(monitor, text);
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
        put_text(monitor, "\n");
    }
    if (monitor->line[0] != '\0') {
        memcpy(monitor->history[monitor->history_count++ % MONITOR_HISTORY], monitor->line, sizeof monitor->line);
    }
    monitor->history_at = monitor->history_count;
    monitor_run(monitor, monitor->line);
    if (!monitor->session->wants_quit && !monitor->is_running) {
        put_text(monitor, PROMPT);
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
            put_text(monitor, "\b \b");
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
    if (!monitor->is_running || monitor->session->run.is_active) {
        return;
    }
    monitor->is_running = false;
    if (monitor->session->run.text[0] != '\0' && !monitor->session->run.is_found) {
        print(monitor, "Error: '%s' did not appear on the screen\n", monitor->session->run.text);
    }
    put_text(monitor, PROMPT);
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
