/* monitor_debug.c - the monitor's debugger: breakpoints of every kind, steps, memory, disassembly and symbols. Commands are
 * named and their formats written as in gdb. */
#define _DEFAULT_SOURCE
#include "frontends/monitor_private.h"

#include "frontends/symbols.h"
#include "machine/tick86_debug.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DUMP_MAX = 4096, STRING_MAX = 256, CODE_MAX = 1024, FRAMES_MAX = 64, FIND_MAX = 64, STEPS_MAX = 1000000, STEPS_SHOWN = 20 };
#define STEP_NS UINT64_C(1000000000)

static struct tick86 *machine_of(const struct monitor *monitor) { return monitor->session->machine; }
static unsigned cpu_of(const struct monitor *monitor) { return monitor->session->cpu; }

/* ---- expressions ---- */

static bool find_symbol(void *context, const char *name, uint64_t *value)
{
    const struct monitor *monitor = context;

    return symbols_find(monitor->session->symbols, name, value);
}

static bool evaluate(struct monitor *monitor, const char *text, uint64_t *value)
{
    uint8_t code[CODE_MAX];
    struct error err = {0};
    size_t size = tick86_expression_compile(text, find_symbol, monitor, code, sizeof code, &err);

    if (size == 0) {
        monitor_error(monitor, &err);
        return false;
    }
    if (!tick86_expression_run(machine_of(monitor), cpu_of(monitor), code, size, value)) {
        monitor_print(monitor, "Error: '%s' cannot be evaluated: unreadable memory or a division by 0\n", text);
        return false;
    }
    return true;
}

/* "phys:EXPR" or "EXPR". */
static bool take_address(struct monitor *monitor, const char *text, enum tick86_space *space, uint64_t *address)
{
    bool is_physical = strncmp(text, "phys:", 5) == 0;

    *space = is_physical ? SPACE_PHYSICAL : SPACE_LINEAR;
    return evaluate(monitor, is_physical ? text + 5 : text + (*text == '*'), address);
}

/* The words from `first` on as one text. */
static const char *join(int count, char **words, int first, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (int n = first; n < count && used < size; n++) {
        used += (size_t)snprintf(text + used, size - used, "%s%s", n > first ? " " : "", words[n]);
    }
    return text;
}

/* ---- breakpoints ---- */

/* Adds the point, with the condition behind "if" when there is one at words[at]. */
static void add_point(struct monitor *monitor, struct tick86_breakpoint *point, int count, char **words, int at)
{
    uint8_t code[CODE_MAX];
    char text[MONITOR_LINE_MAX];
    struct error err = {0};

    if (at < count && strcmp(words[at], "if") != 0) {
        monitor_print(monitor, "Error: what is '%s'? A condition begins with 'if'\n", words[at]);
        return;
    }
    if (at < count) {
        join(count, words, at + 1, text, sizeof text);
        point->condition = code;
        point->condition_size = tick86_expression_compile(text, find_symbol, monitor, code, sizeof code, &err);
        if (point->condition_size == 0) {
            monitor_error(monitor, &err);
            return;
        }
    }
    int id = tick86_break_add(machine_of(monitor), point, &err);
    if (id == 0) {
        monitor_error(monitor, &err);
    } else {
        monitor_print(monitor, "Breakpoint %d\n", id);
    }
}

static void break_at(struct monitor *monitor, int count, char **words, bool is_temporary)
{
    struct tick86_breakpoint point = {.kind = BREAK_CODE, .cpu = -1, .is_temporary = is_temporary};

    if (take_address(monitor, words[0], &point.space, &point.address)) {
        add_point(monitor, &point, count, words, 1);
    }
}

static void run_break(struct monitor *monitor, int count, char **words) { break_at(monitor, count, words, false); }
static void run_tbreak(struct monitor *monitor, int count, char **words) { break_at(monitor, count, words, true); }

static void watch(struct monitor *monitor, int count, char **words, unsigned access)
{
    struct tick86_breakpoint point = {.kind = BREAK_DATA, .length = 4, .access = access, .cpu = -1};
    int at = 1;

    if (!take_address(monitor, words[0], &point.space, &point.address)) {
        return;
    }
    if (count > 1 && strcmp(words[1], "if") != 0) {
        if (!evaluate(monitor, words[1], &point.length)) {
            return;
        }
        at = 2;
    }
    add_point(monitor, &point, count, words, at);
}

static void run_watch(struct monitor *monitor, int count, char **words) { watch(monitor, count, words, BREAK_WRITE); }
static void run_rwatch(struct monitor *monitor, int count, char **words) { watch(monitor, count, words, BREAK_READ); }
static void run_awatch(struct monitor *monitor, int count, char **words)
{
    watch(monitor, count, words, BREAK_READ | BREAK_WRITE);
}

static const struct {
    const char *name;
    enum tick86_break_kind kind;
    unsigned access;
    bool has_number;
} catches[] = {
    {"port", BREAK_PORT, BREAK_READ | BREAK_WRITE, true},
    {"int", BREAK_INTERRUPT, BREAK_EXTERNAL | BREAK_EXCEPTION | BREAK_SOFTWARE, true},
    {"irq", BREAK_INTERRUPT, BREAK_EXTERNAL, true},
    {"exception", BREAK_INTERRUPT, BREAK_EXCEPTION, true},
    {"swint", BREAK_INTERRUPT, BREAK_SOFTWARE, true},
    {"cr", BREAK_CR, BREAK_WRITE, true},
    {"msr", BREAK_MSR, BREAK_WRITE, true},
    {"mode", BREAK_MODE, 0, false},
    {"triple", BREAK_TRIPLE, 0, false},
};

/* Range and direction of ports: "0x3f8-0x3ff r". */
static bool take_ports(struct monitor *monitor, int count, char **words, int *at, struct tick86_breakpoint *point)
{
    char *dash = strchr(words[1], '-');
    uint64_t last;

    point->length = 1;
    if (dash != NULL) {
        *dash = '\0';
    }
    if (!evaluate(monitor, words[1], &point->address) || (dash != NULL && !evaluate(monitor, dash + 1, &last))) {
        return false;
    }
    if (dash != NULL) {
        point->length = last - point->address + 1;
    }
    if (*at < count && (strcmp(words[*at], "r") == 0 || strcmp(words[*at], "w") == 0 || strcmp(words[*at], "rw") == 0)) {
        point->access = words[*at][1] == 'w' ? BREAK_READ | BREAK_WRITE : words[*at][0] == 'r' ? BREAK_READ : BREAK_WRITE;
        (*at)++;
    }
    return true;
}

static void run_catch(struct monitor *monitor, int count, char **words)
{
    for (size_t n = 0; n < sizeof catches / sizeof catches[0]; n++) {
        struct tick86_breakpoint point = {.kind = catches[n].kind, .access = catches[n].access, .address = BREAK_ANY, .cpu = -1};
        int at = 1;
        if (strcmp(words[0], catches[n].name) != 0) {
            continue;
        }
        bool has_number = catches[n].has_number && count > 1 && strcmp(words[1], "if") != 0;
        if (catches[n].kind == BREAK_PORT && !has_number) {
            point.address = 0;
            point.length = 65536;
        } else if (has_number) {
            at = 2;
            if (catches[n].kind == BREAK_PORT) {
                if (!take_ports(monitor, count, words, &at, &point)) {
                    return;
                }
            } else if (strcmp(words[1], "any") != 0 && !evaluate(monitor, words[1], &point.address)) {
                return;
            }
        }
        add_point(monitor, &point, count, words, at);
        return;
    }
    monitor_print(monitor, "Error: catch port, int, irq, exception, swint, cr, msr, mode or triple\n");
}

static bool take_id(struct monitor *monitor, const char *text, int *id)
{
    char *end;
    long value = strtol(text, &end, 10);

    *id = (int)value;
    if (end == text || *end != '\0' || value < 1 || value > 1000000000) {
        monitor_print(monitor, "Error: '%s' is not the number of a breakpoint\n", text);
        return false;
    }
    return true;
}

static void run_delete(struct monitor *monitor, int count, char **words)
{
    struct tick86_breakpoint point;
    int id;

    while (count == 0 && tick86_break_get(machine_of(monitor), 0, &point)) {
        tick86_break_remove(machine_of(monitor), point.id);
    }
    if (count > 0 && take_id(monitor, words[0], &id) && !tick86_break_remove(machine_of(monitor), id)) {
        monitor_print(monitor, "Error: there is no breakpoint %d\n", id);
    }
}

static void enable(struct monitor *monitor, const char *text, bool is_enabled)
{
    int id;

    if (take_id(monitor, text, &id) && !tick86_break_enable(machine_of(monitor), id, is_enabled)) {
        monitor_print(monitor, "Error: there is no breakpoint %d\n", id);
    }
}

static void run_enable(struct monitor *monitor, int count, char **words)
{
    (void)count;
    enable(monitor, words[0], true);
}

static void run_disable(struct monitor *monitor, int count, char **words)
{
    (void)count;
    enable(monitor, words[0], false);
}

static void info_breakpoints(struct monitor *monitor)
{
    static const char *const kinds[] = {"code", "data", "port", "interrupt", "cr", "msr", "mode", "triple"};
    struct tick86_breakpoint point;
    char name[160];

    for (size_t n = 0; tick86_break_get(machine_of(monitor), n, &point); n++) {
        monitor_print(monitor, "%-4d %-9s %s", point.id, kinds[point.kind], point.is_disabled ? "disabled " : "");
        if (point.kind == BREAK_CODE || point.kind == BREAK_DATA) {
            monitor_print(monitor, "%s0x%" PRIx64, point.space == SPACE_PHYSICAL ? "phys:" : "", point.address);
            symbols_text(monitor->session->symbols, point.address, name, sizeof name);
            monitor_print(monitor, "%s%s", name[0] != '\0' ? " " : "", point.space == SPACE_LINEAR ? name : "");
        } else if (point.kind < BREAK_MODE) {
            monitor_print(monitor, point.address == BREAK_ANY ? "any" : "0x%" PRIx64, point.address);
        }
        if (point.kind == BREAK_DATA || point.kind == BREAK_PORT) {
            monitor_print(monitor, " length %" PRIu64 " %s%s", point.length, point.access & BREAK_READ ? "r" : "",
                          point.access & BREAK_WRITE ? "w" : "");
        }
        monitor_print(monitor, "%s, %" PRIu64 " hits of %" PRIu64 "\n", point.condition != NULL ? ", conditional" : "",
                      point.hits, point.tests);
    }
}

/* ---- where the machine stands ---- */

static void show_instruction(struct monitor *monitor, uint64_t address, bool is_current)
{
    char name[160], text[160];
    unsigned length = tick86_disassemble(machine_of(monitor), cpu_of(monitor), address, 0, text, sizeof text);

    symbols_text(monitor->session->symbols, address, name, sizeof name);
    monitor_print(monitor, "%s0x%08" PRIx64 "%s%s%s:\t%s\n", is_current ? "=> " : "   ", address,
                  name[0] != '\0' ? " <" : "", name, name[0] != '\0' ? ">" : "", length != 0 ? text : "(unreadable)");
}

void monitor_show_event(struct monitor *monitor)
{
    static const char *const kinds[] = {"", "data", "port", "interrupt", "control register", "MSR", "mode", "triple fault"};
    const struct tick86_debug_event *event = tick86_debug_event(machine_of(monitor));

    if (event == NULL) {
        return;
    }
    monitor->session->cpu = event->cpu;
    monitor_print(monitor, "Breakpoint %d", event->id);
    if (event->kind == BREAK_MODE) {
        monitor_print(monitor, ", mode %s", tick86_mode_name(machine_of(monitor), event->cpu));
    } else if (event->kind != BREAK_CODE) {
        monitor_print(monitor, ", %s 0x%" PRIx64 "%s 0x%" PRIx64 ", by 0x%" PRIx64, kinds[event->kind], event->address,
                      event->kind == BREAK_INTERRUPT || event->kind == BREAK_TRIPLE ? ", error code"
                      : event->is_write                                            ? ", written"
                                                                                   : ", read",
                      event->value, event->from);
    }
    monitor_print(monitor, "\n");
    show_instruction(monitor, tick86_pc(machine_of(monitor), event->cpu), true);
}

static void run_step(struct monitor *monitor, int count, char **words)
{
    uint64_t steps = 1;
    struct tick86 *machine = machine_of(monitor);

    if (count > 0 && (!evaluate(monitor, words[0], &steps) || steps > STEPS_MAX)) {
        monitor_print(monitor, "Error: at most %d steps\n", STEPS_MAX);
        return;
    }
    session_stop(monitor->session, NULL);
    for (uint64_t n = 0; n < steps; n++) {
        enum tick86_stop stop = tick86_step(machine, cpu_of(monitor), tick86_now_ns(machine) + STEP_NS);
        if (stop == STOP_DEBUG) {
            monitor_show_event(monitor);
            return;
        }
        if (stop != STOP_BUDGET) {
            monitor->session->on_stop(monitor->session->on_stop_context, stop);
            return;
        }
        if (steps <= STEPS_SHOWN || n + 1 == steps) {
            show_instruction(monitor, tick86_pc(machine, cpu_of(monitor)), true);
        }
    }
}

static void run_cpu(struct monitor *monitor, int count, char **words)
{
    uint64_t number = monitor->session->cpu;

    if (count > 0 && (!evaluate(monitor, words[0], &number) || number >= tick86_cpu_count(machine_of(monitor)))) {
        monitor_print(monitor, "Error: there are %u processors, from 0\n", tick86_cpu_count(machine_of(monitor)));
        return;
    }
    monitor->session->cpu = (unsigned)number;
    monitor_print(monitor, "CPU#%u [%s] %s\n", (unsigned)number,
                  tick86_cpu_is_halted(machine_of(monitor), (unsigned)number) ? "halted" : "running",
                  tick86_mode_name(machine_of(monitor), (unsigned)number));
    show_instruction(monitor, tick86_pc(machine_of(monitor), (unsigned)number), true);
}

/* ---- memory ---- */

struct format {
    unsigned count, size;
    char kind;
};

/* "/40xb": how many, as what, how wide. */
static bool parse_format(struct monitor *monitor, const char *text, struct format *format)
{
    text++;
    if (isdigit((unsigned char)*text)) {
        char *end;
        unsigned long count = strtoul(text, &end, 10);
        format->count = count < DUMP_MAX ? (unsigned)count : DUMP_MAX;
        text = end;
    }
    for (; *text != '\0'; text++) {
        const char *sizes = "bhw";
        const char *size = strchr(sizes, *text);
        if (size != NULL) {
            format->size = 1U << (size - sizes);
        } else if (*text == 'g') {
            format->size = 8;
        } else if (strchr("xduotacsi", *text) != NULL) {
            format->kind = *text;
        } else {
            monitor_print(monitor, "Error: unknown format '%c'; /COUNT, then x d u o t a c s i, then b h w g\n", *text);
            return false;
        }
    }
    format->size = format->kind == 'a' ? (tick86_code_bits(machine_of(monitor), cpu_of(monitor)) == 64 ? 8 : 4) : format->size;
    return true;
}

static void print_binary(struct monitor *monitor, uint64_t value, unsigned bits)
{
    monitor_print(monitor, " ");
    while (bits-- > 0) {
        monitor_print(monitor, "%u", (unsigned)(value >> bits & 1));
    }
}

static void print_value(struct monitor *monitor, const struct format *format, uint64_t value)
{
    unsigned bits = format->size * 8;
    int64_t number = (int64_t)(bits < 64 && (value >> (bits - 1) & 1) != 0 ? value | ~((UINT64_C(1) << bits) - 1) : value);
    char name[160];

    switch (format->kind) {
    case 'd':
        monitor_print(monitor, " %" PRId64, number);
        break;
    case 'u':
        monitor_print(monitor, " %" PRIu64, value);
        break;
    case 'o':
        monitor_print(monitor, " 0%" PRIo64, value);
        break;
    case 't':
        print_binary(monitor, value, bits);
        break;
    case 'c':
        monitor_print(monitor, isprint((int)(value & 0xff)) ? " '%c'" : " '\\x%02x'", (int)(value & 0xff));
        break;
    case 'a':
        symbols_text(monitor->session->symbols, value, name, sizeof name);
        monitor_print(monitor, " 0x%" PRIx64 "%s%s%s", value, name[0] != '\0' ? " <" : "", name, name[0] != '\0' ? ">" : "");
        break;
    default:
        monitor_print(monitor, " 0x%0*" PRIx64, (int)(format->size * 2), value);
        break;
    }
}

static bool dump_string(struct monitor *monitor, enum tick86_space space, uint64_t *address)
{
    char byte;

    monitor_print(monitor, "%016" PRIx64 ": \"", *address);
    for (unsigned n = 0; n < STRING_MAX; n++) {
        if (!tick86_peek(machine_of(monitor), cpu_of(monitor), space, (*address)++, &byte, 1)) {
            monitor_print(monitor, "\"\nError: cannot read memory at 0x%" PRIx64 "\n", *address - 1);
            return false;
        }
        if (byte == '\0') {
            break;
        }
        monitor_print(monitor, isprint((unsigned char)byte) && byte != '"' ? "%c" : "\\x%02x", (unsigned char)byte);
    }
    monitor_print(monitor, "\"\n");
    return true;
}

static void disassemble(struct monitor *monitor, uint64_t address, unsigned count)
{
    uint64_t pc = tick86_pc(machine_of(monitor), cpu_of(monitor));
    char text[160];

    for (unsigned n = 0; n < count; n++) {
        unsigned length = tick86_disassemble(machine_of(monitor), cpu_of(monitor), address, 0, text, sizeof text);
        if (length == 0) {
            monitor_print(monitor, "Error: cannot read memory at 0x%" PRIx64 "\n", address);
            return;
        }
        show_instruction(monitor, address, address == pc);
        address += length;
    }
}

static void dump(struct monitor *monitor, int count, char **words, enum tick86_space space)
{
    struct format format = {1, 4, 'x'};
    bool has_format = words[0][0] == '/';
    uint64_t address;

    if (has_format && count < 2) {
        monitor_print(monitor, "Error: an address is missing\n");
        return;
    }
    if ((has_format && !parse_format(monitor, words[0], &format)) || !evaluate(monitor, words[has_format], &address)) {
        return;
    }
    if (format.kind == 'i') {
        disassemble(monitor, address, format.count);
        return;
    }
    for (unsigned n = 0; format.kind == 's' && n < format.count; n++) {
        if (!dump_string(monitor, space, &address)) {
            return;
        }
    }
    if (format.kind == 's') {
        return;
    }
    unsigned per_line = 16 / format.size;
    for (unsigned n = 0; n < format.count; n++) {
        uint8_t bytes[8] = {0};
        uint64_t value = 0;
        if (n % per_line == 0) {
            monitor_print(monitor, "%s%016" PRIx64 ":", n != 0 ? "\n" : "", address);
        }
        if (!tick86_peek(machine_of(monitor), cpu_of(monitor), space, address, bytes, format.size)) {
            monitor_print(monitor, "\nError: cannot read memory at 0x%" PRIx64, address);
            break;
        }
        for (unsigned at = format.size; at-- > 0;) {
            value = value << 8 | bytes[at];
        }
        print_value(monitor, &format, value);
        address += format.size;
    }
    monitor_print(monitor, "\n");
}

static void run_x(struct monitor *monitor, int count, char **words) { dump(monitor, count, words, SPACE_LINEAR); }
static void run_xp(struct monitor *monitor, int count, char **words) { dump(monitor, count, words, SPACE_PHYSICAL); }

static void run_disas(struct monitor *monitor, int count, char **words)
{
    uint64_t address = tick86_pc(machine_of(monitor), cpu_of(monitor)), lines = 10;

    if ((count > 0 && !evaluate(monitor, words[0], &address)) || (count > 1 && !evaluate(monitor, words[1], &lines))) {
        return;
    }
    disassemble(monitor, address, lines < DUMP_MAX ? (unsigned)lines : DUMP_MAX);
}

/* find ADDRESS LENGTH BYTE...|"text", phys:ADDRESS for physical memory. */
static void run_find(struct monitor *monitor, int count, char **words)
{
    uint8_t pattern[64], window[4096 + sizeof pattern];
    size_t size = 0;
    enum tick86_space space;
    uint64_t address, length, value;
    unsigned found = 0;

    if (!take_address(monitor, words[0], &space, &address) || !evaluate(monitor, words[1], &length)) {
        return;
    }
    for (int n = 2; n < count && size < sizeof pattern; n++) {
        if (words[n][0] == '\'') {
            for (const char *at = words[n] + 1; *at != '\0' && *at != '\'' && size < sizeof pattern; at++) {
                pattern[size++] = (uint8_t)*at;
            }
        } else if (evaluate(monitor, words[n], &value)) {
            pattern[size++] = (uint8_t)value;
        } else {
            return;
        }
    }
    for (uint64_t at = 0; at < length && found < FIND_MAX; at += 4096) {
        size_t piece = 4096 + size - 1;
        if (!tick86_peek(machine_of(monitor), cpu_of(monitor), space, address + at, window, piece)) {
            piece = 4096;
            if (!tick86_peek(machine_of(monitor), cpu_of(monitor), space, address + at, window, piece)) {
                continue;
            }
        }
        for (size_t n = 0; n + size <= piece && n < 4096 && at + n < length && found < FIND_MAX; n++) {
            if (memcmp(window + n, pattern, size) == 0) {
                monitor_print(monitor, "0x%" PRIx64 "\n", address + at + n);
                found++;
            }
        }
    }
    monitor_print(monitor, "%u found%s\n", found, found == FIND_MAX ? ", and there may be more" : "");
}

/* ---- values ---- */

static void run_print(struct monitor *monitor, int count, char **words)
{
    char text[MONITOR_LINE_MAX], name[160];
    uint64_t value;

    if (evaluate(monitor, join(count, words, 0, text, sizeof text), &value)) {
        symbols_text(monitor->session->symbols, value, name, sizeof name);
        monitor_print(monitor, "0x%" PRIx64 " %" PRIu64 "%s%s%s\n", value, value, name[0] != '\0' ? " <" : "", name,
                      name[0] != '\0' ? ">" : "");
    }
}

/* set REGISTER = EXPR, set b|w|d|q[ADDRESS] = EXPR, with p before for physical memory. */
static void run_set(struct monitor *monitor, int count, char **words)
{
    char text[MONITOR_LINE_MAX];
    uint8_t bytes[TICK86_REGISTER_MAX_BYTES] = {0};
    uint64_t value, address;

    join(count, words, 0, text, sizeof text);
    char *equals = strchr(text, '='), *bracket = strchr(text, '[');
    if (equals == NULL || !evaluate(monitor, equals + 1, &value)) {
        monitor_print(monitor, "Error: set REGISTER=VALUE or set b|w|d|q[ADDRESS]=VALUE\n");
        return;
    }
    for (unsigned n = 0; n < 8; n++) {
        bytes[n] = (uint8_t)(value >> (8 * n));
    }
    while (equals > text && equals[-1] == ' ') {
        equals--;
    }
    *equals = '\0';
    bool is_physical = text[0] == 'p';
    const char *size = bracket == text + 1 + is_physical ? strchr("bwdq", text[is_physical]) : NULL;
    if (size != NULL && equals[-1] == ']') {
        equals[-1] = '\0';
        unsigned width = text[is_physical] == 'b' ? 1 : text[is_physical] == 'w' ? 2 : text[is_physical] == 'd' ? 4 : 8;
        if (evaluate(monitor, bracket + 1, &address) &&
            !tick86_poke(machine_of(monitor), cpu_of(monitor), is_physical ? SPACE_PHYSICAL : SPACE_LINEAR, address, bytes, width)) {
            monitor_print(monitor, "Error: cannot write memory at 0x%" PRIx64 "\n", address);
        }
        return;
    }
    int number = tick86_register_find(text + (text[0] == '$'));
    if (number < 0 ||
        !tick86_register_write(machine_of(monitor), cpu_of(monitor), (unsigned)number, bytes, sizeof bytes)) {
        monitor_print(monitor, "Error: there is no register '%s' to write\n", text);
    }
}

/* ---- the call stack, by frame pointers ---- */

static void run_backtrace(struct monitor *monitor, int count, char **words)
{
    const struct tick86 *machine = machine_of(monitor);
    unsigned width = tick86_code_bits(machine, cpu_of(monitor)) == 64 ? 8 : 4;
    uint64_t pc = tick86_pc(machine, cpu_of(monitor));
    uint64_t frame = tick86_register_value(machine, cpu_of(monitor), (unsigned)tick86_register_find("rbp"));
    char name[160];

    (void)count;
    (void)words;
    for (unsigned n = 0; n < FRAMES_MAX; n++) {
        uint8_t bytes[16];
        uint64_t next = 0, to = 0;
        symbols_text(monitor->session->symbols, pc, name, sizeof name);
        monitor_print(monitor, "#%-2u 0x%08" PRIx64 " %s\n", n, pc, name);
        if (frame == 0 || !tick86_peek(machine, cpu_of(monitor), SPACE_LINEAR, frame, bytes, 2 * (size_t)width)) {
            return;
        }
        for (unsigned k = width; k-- > 0;) {
            next = next << 8 | bytes[k];
            to = to << 8 | bytes[width + k];
        }
        if (next <= frame || to == 0) {
            return;
        }
        frame = next;
        pc = to;
    }
}

/* ---- symbols ---- */

static void run_symbols(struct monitor *monitor, int count, char **words)
{
    struct session *session = monitor->session;
    struct error err = {0};
    size_t found;

    if (session->symbols == NULL) {
        session->symbols = symbols_create();
    }
    if (session->symbols == NULL) {
        monitor_print(monitor, "Error: out of memory\n");
        return;
    }
    if (strcmp(words[0], "write") == 0 && count == 2) {
        if (!symbols_write_elf(session->symbols, words[1], tick86_has_long_mode(session->machine), &err)) {
            monitor_error(monitor, &err);
        }
        return;
    }
    found = strcmp(words[0], "kernel") == 0 ? symbols_scan_kernel(session->symbols, session->machine, &err)
                                            : symbols_load(session->symbols, words[0], &err);
    if (found == 0) {
        monitor_error(monitor, &err);
    } else {
        monitor_print(monitor, "%zu symbols\n", found);
    }
}

bool monitor_debug_info(struct monitor *monitor, const char *what, const char *argument)
{
    char name[160], line[64];
    uint64_t address;
    struct error err = {0};

    if (strcmp(what, "breakpoints") == 0 || strcmp(what, "b") == 0) {
        info_breakpoints(monitor);
    } else if (strcmp(what, "symbol") == 0 && argument != NULL) {
        if (evaluate(monitor, argument, &address)) {
            monitor_print(monitor, "%s\n", symbols_text(monitor->session->symbols, address, name, sizeof name));
        }
    } else if (strcmp(what, "cpus") == 0) {
        for (unsigned n = 0; n < tick86_cpu_count(machine_of(monitor)); n++) {
            monitor_print(monitor, "%c CPU #%u: pc=0x%016" PRIx64 " %s%s\n", n == cpu_of(monitor) ? '*' : ' ', n,
                          tick86_pc(machine_of(monitor), n), tick86_mode_name(machine_of(monitor), n),
                          tick86_cpu_is_halted(machine_of(monitor), n) ? " (halted)" : "");
        }
    } else if (strcmp(what, "pagewalk") == 0 && argument != NULL) {
        if (evaluate(monitor, argument, &address)) {
            snprintf(line, sizeof line, "pagewalk 0x%" PRIx64, address);
            if (!tick86_info(machine_of(monitor), line, monitor_put_text, monitor, &err)) {
                monitor_error(monitor, &err);
            }
        }
    } else {
        return false;
    }
    return true;
}

const struct command monitor_debug_commands[] = {
    {"x", NULL, "/FMT ADDRESS", 1, 2, run_x, "memory at a linear address; FMT: count, x d u o t a c s i, b h w g"},
    {"xp", NULL, "/FMT ADDRESS", 1, 2, run_xp, "memory at a physical address"},
    {"disas", NULL, "[ADDRESS [COUNT]]", 0, 2, run_disas, "instructions, from the next one"},
    {"find", NULL, "[phys:]ADDRESS LENGTH BYTE...", 3, MONITOR_WORDS_MAX, run_find, "search memory for bytes or 'text'"},
    {"print", "p", "EXPR", 1, MONITOR_WORDS_MAX, run_print, "value of an expression (docs/debugging.md)"},
    {"set", NULL, "REGISTER|b[ADDRESS]=VALUE", 1, MONITOR_WORDS_MAX, run_set, "write a register, or memory of b w d q bytes"},
    {"break", "b", "[phys:]ADDRESS [if EXPR]", 1, MONITOR_WORDS_MAX, run_break, "stop before an instruction"},
    {"tbreak", NULL, "[phys:]ADDRESS [if EXPR]", 1, MONITOR_WORDS_MAX, run_tbreak, "the same, once"},
    {"watch", NULL, "[phys:]ADDRESS [LENGTH] [if EXPR]", 1, MONITOR_WORDS_MAX, run_watch, "stop after a write"},
    {"rwatch", NULL, "[phys:]ADDRESS [LENGTH] [if EXPR]", 1, MONITOR_WORDS_MAX, run_rwatch, "stop after a read"},
    {"awatch", NULL, "[phys:]ADDRESS [LENGTH] [if EXPR]", 1, MONITOR_WORDS_MAX, run_awatch, "stop after either"},
    {"catch", NULL, "port [P[-Q]] [r|w|rw]|int|irq|exception|swint|cr|msr [N]|mode|triple [if EXPR]", 1, MONITOR_WORDS_MAX,
     run_catch, "stop at events"},
    {"delete", "d", "[N]", 0, 1, run_delete, "remove a breakpoint, or all"},
    {"enable", NULL, "N", 1, 1, run_enable, "heed a breakpoint again"},
    {"disable", NULL, "N", 1, 1, run_disable, "pass over a breakpoint"},
    {"step", "stepi", "[N]", 0, 1, run_step, "execute N instructions of the chosen processor"},
    {"cpu", NULL, "[N]", 0, 1, run_cpu, "choose a processor"},
    {"backtrace", "bt", "", 0, 0, run_backtrace, "callers, by frame pointers"},
    {"symbols", NULL, "FILE[@BASE]|kernel|write FILE", 1, 2, run_symbols,
     "names from ELF or System.map, or from a Linux kernel in memory; write them for gdb's symbol-file"},
    {NULL, NULL, NULL, 0, 0, NULL, NULL},
};
