/* gdb_stub.c - framing, running and stopping for gdb; gdb_commands.c has the rest. See gdb_stub.h.
 *
 * gdb's manual, appendix E: E.1 (framing), E.3 (stop replies), E.4.1 (vCont). All-stop mode; a thread is a processor. gdb
 * finds the guest stopped when it connects, and a connection that ends without detaching leaves it as it is, without gdb's
 * breakpoints.
 *
 * Not implemented: non-stop mode, extended mode, tracepoints, files. */
#define _DEFAULT_SOURCE
#include "frontends/gdb_private.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPEC_MAX = 512, RANGE_STEPS = 2000, SIGNAL_INT = 2, SIGNAL_TRAP = 5 };
#define STEP_NS UINT64_C(1000000000) /* of guest time for a step that waits in HLT */

/* ---- sending ---- */

static void put(struct gdb_stub *stub, const char *bytes, size_t size)
{
    if (stub->dev != NULL) {
        chardev_write(stub->dev, bytes, size);
    } else {
        stub->put(stub->put_context, bytes, size);
    }
}

void gdb_say(struct gdb_stub *stub, const char *format, ...)
{
    size_t room = sizeof stub->reply - stub->reply_length;
    va_list list;

    va_start(list, format);
    int length = vsnprintf(stub->reply + stub->reply_length, room, format, list);
    va_end(list);
    if (length > 0) {
        stub->reply_length += (size_t)length < room ? (size_t)length : room - 1;
    }
}

void gdb_say_hex(struct gdb_stub *stub, const void *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = bytes;

    for (size_t n = 0; n < size && stub->reply_length + 2 < sizeof stub->reply; n++) {
        stub->reply[stub->reply_length++] = digits[from[n] >> 4];
        stub->reply[stub->reply_length++] = digits[from[n] & 15];
    }
}

void gdb_send(struct gdb_stub *stub)
{
    uint8_t sum = 0;
    size_t at = 0;

    stub->last[at++] = '$';
    for (size_t n = 0; n < stub->reply_length; n++) {
        stub->last[at++] = stub->reply[n];
        sum = (uint8_t)(sum + (uint8_t)stub->reply[n]);
    }
    at += (size_t)snprintf(stub->last + at, 4, "#%02x", sum);
    stub->last_length = at;
    stub->reply_length = 0;
    put(stub, stub->last, at);
}

void gdb_console(struct gdb_stub *stub, const char *text)
{
    gdb_say(stub, "O");
    gdb_say_hex(stub, text, strlen(text));
    gdb_send(stub);
}

/* ---- stopping ---- */

static void set_stop(struct gdb_stub *stub, unsigned signal, unsigned cpu, const char *reason)
{
    snprintf(stub->stop_reply, sizeof stub->stop_reply, "T%02xthread:%x;%s", signal, cpu + 1, reason);
    stub->thread_g = stub->thread_c = cpu;
}

void gdb_set_stop(struct gdb_stub *stub, unsigned cpu, const char *reason)
{
    set_stop(stub, SIGNAL_TRAP, cpu, reason);
}

static const char *event_text(const struct tick86_debug_event *event, char *text, size_t size)
{
    static const char *const what[] = {"code", "data", "port", "interrupt", "CR", "MSR", "mode", "triple fault"};

    snprintf(text, size, "breakpoint %d: %s 0x%" PRIx64 "%s value 0x%" PRIx64 " by 0x%" PRIx64 "\n", event->id,
             what[event->kind], event->address,
             event->size == 0 ? "," : event->is_write ? " written," : " read,", event->value, event->from);
    return text;
}

/* What gdb is to know of the debug event at which the machine stands. */
void gdb_set_event_stop(struct gdb_stub *stub, const struct tick86_debug_event *event)
{
    static const char *const kinds[] = {"watch", "rwatch", "awatch"};
    const struct gdb_point *point = gdb_point_of(stub, event->id);
    char reason[64] = "", text[160];

    if (point == NULL) {
        if (event->kind != BREAK_CODE && stub->is_attached) {
            gdb_console(stub, event_text(event, text, sizeof text));
        }
    } else if (point->type >= 2) {
        /* gdb looks for a watchpoint at that address: one that the point itself covers, in its space. */
        uint64_t address = point->is_physical ? event->physical : event->address;
        snprintf(reason, sizeof reason, "%s:%" PRIx64 ";", kinds[(point->type - 2) % 3], address);
    } else if (point->type == 0 ? stub->has_swbreak : stub->has_hwbreak) {
        snprintf(reason, sizeof reason, "%s:;", point->type == 0 ? "swbreak" : "hwbreak");
    }
    set_stop(stub, SIGNAL_TRAP, event->cpu, reason);
}

static void send_stop(struct gdb_stub *stub)
{
    stub->motion = GDB_HALTED;
    gdb_say(stub, "%s", stub->stop_reply);
    gdb_send(stub);
}

static void stop_machine(struct gdb_stub *stub)
{
    if (!stub->session->is_stopped) {
        session_stop(stub->session, NULL);
    }
}

/* ---- stepping ---- */

/* One instruction of `cpu`. False when something stopped the machine, and the reply is set. */
static bool step_once(struct gdb_stub *stub, unsigned cpu)
{
    struct tick86 *machine = stub->session->machine;

    if (stub->masks_interrupts_in_steps) {
        tick86_mask_interrupts_once(machine, cpu);
    }
    enum tick86_stop stop = tick86_step(machine, cpu, tick86_now_ns(machine) + STEP_NS);

    set_stop(stub, SIGNAL_TRAP, cpu, "");
    if (stop == STOP_BUDGET) {
        return true;
    }
    if (stop == STOP_DEBUG) {
        gdb_set_event_stop(stub, tick86_debug_event(machine));
    } else if (stub->session->on_stop != NULL) {
        stub->session->on_stop(stub->session->on_stop_context, stop);
    }
    return false;
}

static void step_range(struct gdb_stub *stub)
{
    for (unsigned n = 0; n < RANGE_STEPS; n++) {
        if (!step_once(stub, stub->range_cpu)) {
            send_stop(stub);
            return;
        }
        uint64_t pc = tick86_pc(stub->session->machine, stub->range_cpu);
        if (pc < stub->range_start || pc >= stub->range_end) {
            send_stop(stub);
            return;
        }
    }
}

static void go_on(struct gdb_stub *stub)
{
    stub->motion = GDB_RUNNING;
    session_cont(stub->session);
}

/* vCont;ACTION[:THREAD]... The first action that names a processor to step is what happens; the others run meanwhile. */
static void run_vcont(struct gdb_stub *stub, const char *at)
{
    int step_cpu = -1;
    bool has_range = false;

    while (gdb_take_char(&at, ';')) {
        char action = *at != '\0' ? *at++ : '\0';
        uint64_t number;
        int cpu = -1;
        bool is_range = action == 'r';
        if (action == 'C' || action == 'S') {
            gdb_take_hex(&at, &number); /* signals mean nothing to a machine */
        } else if (is_range && !(gdb_take_hex(&at, &stub->range_start) && gdb_take_char(&at, ',') &&
                                 gdb_take_hex(&at, &stub->range_end))) {
            gdb_say(stub, "E22");
            gdb_send(stub);
            return;
        } else if (strchr("csrt", action) == NULL || action == '\0') {
            gdb_say(stub, "E22");
            gdb_send(stub);
            return;
        }
        if (gdb_take_char(&at, ':') && !gdb_take_thread(&at, &cpu)) {
            gdb_say(stub, "E22");
            gdb_send(stub);
            return;
        }
        if ((action == 's' || action == 'S' || is_range) && step_cpu < 0) {
            step_cpu = cpu >= 0 ? cpu : (int)stub->thread_c;
            has_range = is_range;
        }
    }
    if (step_cpu < 0) {
        go_on(stub);
    } else if (has_range) {
        stub->range_cpu = (unsigned)step_cpu;
        stub->motion = GDB_RANGE;
        step_range(stub);
    } else {
        step_once(stub, (unsigned)step_cpu);
        send_stop(stub);
    }
}

/* c, s, C and S: with an address, from there. */
static void run_plain(struct gdb_stub *stub, char command, const char *at)
{
    uint64_t value;
    int pc = tick86_register_find("pc");

    if (command == 'C' || command == 'S') {
        gdb_take_hex(&at, &value);
        gdb_take_char(&at, ';');
    }
    if (gdb_take_hex(&at, &value)) {
        uint8_t bytes[8];
        for (unsigned k = 0; k < 8; k++) {
            bytes[k] = (uint8_t)(value >> (8 * k));
        }
        tick86_register_write(stub->session->machine, stub->thread_c, (unsigned)pc, bytes, 8);
    }
    if (command == 'c' || command == 'C') {
        go_on(stub);
    } else {
        step_once(stub, stub->thread_c);
        send_stop(stub);
    }
}

/* ---- the session ---- */

void gdb_choose_target(struct gdb_stub *stub)
{
    const struct tick86 *machine = stub->session->machine;
    enum gdb_architecture architecture;

    /* The one that serves all modes to come; of the 32-bit ones gdb can go from i8086 to i386 by itself (set architecture),
     * but not back, so 16-bit code is announced as such. */
    if (stub->wanted_architecture >= 0) {
        architecture = (enum gdb_architecture)stub->wanted_architecture;
    } else if (tick86_has_long_mode(machine)) {
        architecture = GDB_X86_64;
    } else {
        architecture = tick86_code_bits(machine, stub->thread_g) == 16 ? GDB_I8086 : GDB_I386;
    }
    gdb_target_make(&stub->target, architecture, stub->target.pc_is_offset);
    tick86_break_registers(stub->session->machine, stub->target.numbers, stub->target.count);
}

static void greet(struct gdb_stub *stub)
{
    stub->is_attached = true;
    stub->has_acks = true;
    stub->parse = GDB_IDLE;
    stub->motion = GDB_HALTED;
    stub->has_swbreak = stub->has_hwbreak = stub->is_physical = false;
    stub->thread_g = stub->thread_c = 0;
    stub->reply_length = 0;
    stop_machine(stub);
    gdb_choose_target(stub);
    set_stop(stub, SIGNAL_TRAP, 0, "");
}

static void leave(struct gdb_stub *stub)
{
    gdb_forget_points(stub);
    stub->is_attached = false;
    stub->motion = GDB_HALTED;
    tick86_break_registers(stub->session->machine, NULL, 0);
}

/* A complete packet. */
static void handle(struct gdb_stub *stub)
{
    char *packet = (char *)stub->packet;

    stub->packet[stub->length] = '\0';
    switch (packet[0]) {
    case '?':
        gdb_say(stub, "%s", stub->stop_reply);
        break;
    case 'c':
    case 's':
    case 'C':
    case 'S':
        run_plain(stub, packet[0], packet + 1);
        return;
    case 'D':
        leave(stub);
        gdb_say(stub, "OK");
        gdb_send(stub);
        session_cont(stub->session);
        return;
    case 'k':
        if (stub->length != 1) {
            break;
        }
        session_quit(stub->session, 0);
        return;
    default:
        if (strncmp(packet, "vCont;", 6) == 0) {
            run_vcont(stub, packet + 5);
            return;
        }
        if (strcmp(packet, "bs") == 0 || strcmp(packet, "bc") == 0) {
            if (gdb_reverse(stub, packet[1] == 's')) {
                send_stop(stub);
                return;
            }
            gdb_say(stub, "E01");
        } else if (strncmp(packet, "vKill", 5) == 0) {
            session_quit(stub->session, 0);
            gdb_say(stub, "OK");
        } else if (!gdb_command(stub, packet, stub->length)) {
            stub->reply_length = 0; /* what is not known is answered by nothing */
        }
        break;
    }
    gdb_send(stub);
}

static void finish_packet(struct gdb_stub *stub, uint8_t sum)
{
    bool is_good = sum == stub->sum && !stub->is_too_long;

    stub->parse = GDB_IDLE;
    if (stub->has_acks) {
        put(stub, is_good ? "+" : "-", 1);
    }
    /* Without acknowledges the checksum may be anything (E.1). */
    if ((is_good || !stub->has_acks) && !stub->is_too_long) {
        if (stub->motion == GDB_HALTED) {
            handle(stub);
        }
    }
}

static void take_byte(struct gdb_stub *stub, uint8_t byte)
{
    int digit = gdb_hex_digit((char)byte);

    switch (stub->parse) {
    case GDB_IDLE:
        if (byte == '$') {
            stub->parse = GDB_DATA;
            stub->length = 0;
            stub->sum = 0;
            stub->is_too_long = false;
        } else if (byte == 3) {
            stub->wants_break = true;
        } else if (byte == '-' && stub->has_acks && stub->last_length != 0) {
            put(stub, stub->last, stub->last_length);
        }
        break;
    case GDB_DATA:
    case GDB_ESCAPE:
        if (byte == '#') {
            stub->parse = GDB_SUM1;
            break;
        }
        if (byte == '$') { /* the one before was cut off */
            stub->parse = GDB_DATA;
            stub->length = 0;
            stub->sum = 0;
            stub->is_too_long = false;
            break;
        }
        stub->sum = (uint8_t)(stub->sum + byte);
        if (byte == '}' && stub->parse == GDB_DATA) {
            stub->parse = GDB_ESCAPE;
            break;
        }
        if (stub->length == GDB_PACKET_MAX) {
            stub->is_too_long = true;
        } else {
            stub->packet[stub->length++] = stub->parse == GDB_ESCAPE ? byte ^ 0x20 : byte;
        }
        stub->parse = GDB_DATA;
        break;
    case GDB_SUM1:
        stub->sum_digit = (uint8_t)(digit >= 0 ? digit : 16);
        stub->parse = GDB_SUM2;
        break;
    case GDB_SUM2:
        if (digit < 0 || stub->sum_digit > 15) {
            stub->is_too_long = true; /* no checksum at all */
            digit = 0;
        }
        finish_packet(stub, (uint8_t)(stub->sum_digit << 4 | digit));
        break;
    }
}

/* What has happened since gdb let the machine go. */
static void report(struct gdb_stub *stub)
{
    const struct tick86 *machine = stub->session->machine;
    const struct tick86_debug_event *event = tick86_debug_event(machine);

    if (stub->motion == GDB_RANGE && !stub->wants_break) {
        step_range(stub);
        return;
    }
    if (stub->motion == GDB_HALTED) {
        stub->wants_break = false;
        return;
    }
    if (stub->wants_break) {
        stub->wants_break = false;
        stop_machine(stub);
        set_stop(stub, SIGNAL_INT, stub->thread_c, "");
        send_stop(stub);
    } else if (stub->session->is_stopped && !stub->session->wants_quit) {
        if (event != NULL) {
            gdb_set_event_stop(stub, event);
        } else {
            set_stop(stub, SIGNAL_INT, stub->thread_c, "");
        }
        send_stop(stub);
    }
}

void gdb_stub_input(struct gdb_stub *stub, const char *bytes, size_t size)
{
    if (!stub->is_attached) {
        greet(stub);
    }
    for (size_t n = 0; n < size && stub->is_attached; n++) {
        take_byte(stub, (uint8_t)bytes[n]);
    }
    report(stub);
}

void gdb_stub_poll(struct gdb_stub *stub)
{
    char bytes[4096];
    size_t size;

    if (stub->session->wants_quit) {
        return;
    }
    size = chardev_read(stub->dev, bytes, sizeof bytes);
    if (chardev_connections(stub->dev) != stub->connections || (stub->connections == 0 && size != 0)) {
        stub->connections = chardev_connections(stub->dev);
        if (stub->is_attached) {
            leave(stub);
        }
        greet(stub);
    }
    if (size == 0 && stub->is_attached && !chardev_is_connected(stub->dev)) {
        leave(stub);
    }
    for (size_t n = 0; n < size; n++) {
        if (!stub->is_attached) {
            break; /* detached */
        }
        take_byte(stub, (uint8_t)bytes[n]);
    }
    if (stub->is_attached) {
        report(stub);
    }
    chardev_flush(stub->dev);
}

unsigned gdb_stub_poll_fds(struct gdb_stub *stub, struct pollfd *fds)
{
    return chardev_poll_fds(stub->dev, fds);
}

/* ---- life ---- */

static void put_console(void *context, const char *bytes, size_t size)
{
    struct gdb_stub *stub = context;

    for (size_t n = 0; n < size; n++) {
        if (bytes[n] == '\r') {
            continue; /* the monitor's terminals want it */
        }
        if (stub->console_length == stub->console_capacity) {
            size_t capacity = stub->console_capacity * 2 + 4096;
            char *grown = realloc(stub->console, capacity);
            if (grown == NULL) {
                return;
            }
            stub->console = grown;
            stub->console_capacity = capacity;
        }
        stub->console[stub->console_length++] = bytes[n];
    }
}

struct gdb_stub *gdb_stub_create(struct session *session, gdb_stub_put_fn *put_fn, void *context)
{
    struct gdb_stub *stub = calloc(1, sizeof *stub);

    if (stub != NULL) {
        stub->session = session;
        stub->put = put_fn;
        stub->put_context = context;
        stub->wanted_architecture = -1;
        monitor_init(&stub->monitor, session, put_console, stub);
    }
    return stub;
}

/* Only the loopback interface unless a host is named. */
static bool make_spec(const char *spec, char *text, struct error *err)
{
    const char *rest = spec;
    bool has_options = strchr(spec, ',') != NULL;
    int length;

    if (strncmp(spec, "tcp:", 4) == 0) {
        rest = spec + 4;
        length = snprintf(text, SPEC_MAX, "tcp:%s%s%s", *rest == ':' ? "127.0.0.1" : "", rest,
                          has_options ? "" : ",server,nowait");
    } else if (strncmp(spec, "unix:", 5) == 0) {
        length = snprintf(text, SPEC_MAX, "%s%s", spec, has_options ? "" : ",server,nowait");
    } else if (strcmp(spec, "stdio") == 0 || strcmp(spec, "pty") == 0) {
        length = snprintf(text, SPEC_MAX, "%s", spec);
    } else {
        error_set(err, "gdb cannot be served on '%s'", spec);
        return error_hint(err, "-gdb takes tcp:[HOST]:PORT, unix:PATH, stdio or pty");
    }
    return length < SPEC_MAX || error_set(err, "'%.40s...' is too long for -gdb", spec);
}

struct gdb_stub *gdb_stub_open(const char *spec, struct session *session, struct error *err)
{
    char text[SPEC_MAX];
    struct gdb_stub *stub;

    if (!make_spec(spec, text, err)) {
        return NULL;
    }
    struct chardev *dev = chardev_open(text, "gdb", err);
    if (dev == NULL) {
        return NULL;
    }
    stub = gdb_stub_create(session, NULL, NULL);
    if (stub == NULL) {
        chardev_close(dev);
        error_set(err, "out of memory for the gdb stub");
        return NULL;
    }
    stub->dev = dev;
    /* On a pipe gdb is there from the start. */
    stub->connections = 0;
    return stub;
}

void gdb_stub_close(struct gdb_stub *stub)
{
    if (stub == NULL) {
        return;
    }
    if (stub->is_attached) {
        if (stub->motion != GDB_HALTED) {
            gdb_say(stub, "W%02x", (unsigned)stub->session->exit_status & 0xff);
            gdb_send(stub);
        }
        leave(stub);
    }
    chardev_close(stub->dev);
    free(stub->points);
    free(stub->console);
    free(stub);
}
