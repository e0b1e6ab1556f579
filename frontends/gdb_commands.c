/* gdb_commands.c - registers, memory, breakpoints and queries of the gdb stub; see gdb_stub.c. */
#define _DEFAULT_SOURCE
#include "frontends/gdb_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONDITIONS_MAX = 8, CONDITION_BYTES_MAX = 4096, SSTEP_ENABLE = 1, SSTEP_NOIRQ = 2, SSTEP_NOTIMER = 4 };

/* ---- parsing ---- */

int gdb_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool gdb_take_hex(const char **at, uint64_t *value)
{
    const char *start = *at;

    *value = 0;
    for (int digit; (digit = gdb_hex_digit(**at)) >= 0; (*at)++) {
        *value = *value << 4 | (uint64_t)digit;
    }
    return *at != start;
}

bool gdb_take_char(const char **at, char c)
{
    if (c == '\0' || **at != c) {
        return false;
    }
    (*at)++;
    return true;
}

/* "-1", "N", "pP.N", "pP" and their like. Threads count from 1. */
bool gdb_take_thread(const char **at, int *cpu)
{
    uint64_t number;

    if (gdb_take_char(at, 'p')) {
        if (strncmp(*at, "-1", 2) == 0) {
            *at += 2;
        } else if (!gdb_take_hex(at, &number)) {
            return false;
        }
        if (!gdb_take_char(at, '.')) {
            *cpu = -1;
            return true;
        }
    }
    if (strncmp(*at, "-1", 2) == 0) {
        *at += 2;
        *cpu = -1;
        return true;
    }
    if (!gdb_take_hex(at, &number) || number > TICK86_CPUS_MAX) {
        return false;
    }
    *cpu = number == 0 ? 0 : (int)number - 1;
    return true;
}

size_t gdb_unhex(const char *text, size_t length, uint8_t *bytes, size_t size)
{
    size_t count = 0;

    while (count < size && 2 * count + 1 < length) {
        int high = gdb_hex_digit(text[2 * count]), low = gdb_hex_digit(text[2 * count + 1]);
        if (high < 0 || low < 0) {
            break;
        }
        bytes[count++] = (uint8_t)(high << 4 | low);
    }
    return count;
}

static bool fail(struct gdb_stub *stub, unsigned number)
{
    stub->reply_length = 0;
    gdb_say(stub, "E%02u", number);
    return true;
}

static bool answer(struct gdb_stub *stub, const char *text)
{
    gdb_say(stub, "%s", text);
    return true;
}

/* ---- registers ---- */

static bool read_all(struct gdb_stub *stub)
{
    uint8_t bytes[TICK86_REGISTER_MAX_BYTES];

    for (unsigned n = 0; n < stub->target.count; n++) {
        unsigned size = gdb_target_read(&stub->target, stub->session->machine, stub->thread_g, n, bytes);
        gdb_say_hex(stub, bytes, size);
    }
    return true;
}

static bool write_all(struct gdb_stub *stub, const char *text, size_t length)
{
    uint8_t now[TICK86_REGISTER_MAX_BYTES], wanted[TICK86_REGISTER_MAX_BYTES];

    if (length < 2 * (size_t)stub->target.packet_bytes) {
        return fail(stub, 22);
    }
    for (unsigned n = 0; n < stub->target.count; n++) {
        unsigned size = gdb_target_read(&stub->target, stub->session->machine, stub->thread_g, n, now);
        if (gdb_unhex(text, length, wanted, size) != size) {
            return fail(stub, 22);
        }
        /* Writing a selector has effects: what did not change is not written. */
        if (memcmp(now, wanted, size) != 0) {
            gdb_target_write(&stub->target, stub->session->machine, stub->thread_g, n, wanted);
        }
        text += 2 * (size_t)size;
        length -= 2 * (size_t)size;
    }
    return answer(stub, "OK");
}

static bool read_one(struct gdb_stub *stub, const char *at)
{
    uint8_t bytes[TICK86_REGISTER_MAX_BYTES];
    uint64_t n;

    if (!gdb_take_hex(&at, &n) || n >= stub->target.count) {
        return fail(stub, 22);
    }
    unsigned size = gdb_target_read(&stub->target, stub->session->machine, stub->thread_g, (unsigned)n, bytes);
    gdb_say_hex(stub, bytes, size);
    return true;
}

static bool write_one(struct gdb_stub *stub, const char *at)
{
    uint8_t bytes[TICK86_REGISTER_MAX_BYTES];
    uint64_t n;

    if (!gdb_take_hex(&at, &n) || !gdb_take_char(&at, '=') || n >= stub->target.count ||
        gdb_unhex(at, strlen(at), bytes, stub->target.bytes[n]) != stub->target.bytes[n] ||
        !gdb_target_write(&stub->target, stub->session->machine, stub->thread_g, (unsigned)n, bytes)) {
        return fail(stub, 22);
    }
    return answer(stub, "OK");
}

/* ---- memory ---- */

static enum tick86_space space_of(const struct gdb_stub *stub)
{
    return stub->is_physical ? SPACE_PHYSICAL : SPACE_LINEAR;
}

static bool read_memory(struct gdb_stub *stub, const char *at)
{
    uint8_t bytes[GDB_PACKET_MAX / 2 - 32];
    uint64_t address, size;
    size_t done = 0;

    if (!gdb_take_hex(&at, &address) || !gdb_take_char(&at, ',') || !gdb_take_hex(&at, &size)) {
        return fail(stub, 22);
    }
    size = size < sizeof bytes ? size : sizeof bytes;
    while (done < size) { /* as far as the pages go */
        size_t piece = 4096 - (size_t)((address + done) % 4096);
        piece = piece < size - done ? piece : (size_t)size - done;
        if (!tick86_peek(stub->session->machine, stub->thread_g, space_of(stub), address + done, bytes + done, piece)) {
            break;
        }
        done += piece;
    }
    if (done == 0 && size != 0) {
        return fail(stub, 14);
    }
    gdb_say_hex(stub, bytes, done);
    return true;
}

static bool write_memory(struct gdb_stub *stub, const char *packet, size_t length, bool is_binary)
{
    static uint8_t bytes[GDB_PACKET_MAX];
    const char *at = packet;
    uint64_t address, size;

    if (!gdb_take_hex(&at, &address) || !gdb_take_char(&at, ',') || !gdb_take_hex(&at, &size) || !gdb_take_char(&at, ':')) {
        return fail(stub, 22);
    }
    size_t rest = length - (size_t)(at - packet);
    if (is_binary) {
        if (rest != size) {
            return fail(stub, 22);
        }
        memcpy(bytes, at, rest);
    } else if (size > sizeof bytes || gdb_unhex(at, rest, bytes, (size_t)size) != size || rest != 2 * size) {
        return fail(stub, 22);
    }
    if (!tick86_poke(stub->session->machine, stub->thread_g, space_of(stub), address, bytes, (size_t)size)) {
        return fail(stub, 14);
    }
    return answer(stub, "OK");
}

/* qSearch:memory:ADDRESS;LENGTH;PATTERN, by pages with an overlap. */
static bool search_memory(struct gdb_stub *stub, const char *packet, size_t length)
{
    uint8_t window[2 * 4096 + 1024];
    const char *at = packet;
    uint64_t address, size;

    if (!gdb_take_hex(&at, &address) || !gdb_take_char(&at, ';') || !gdb_take_hex(&at, &size) || !gdb_take_char(&at, ';')) {
        return fail(stub, 22);
    }
    size_t pattern = length - (size_t)(at - packet);
    if (pattern == 0 || pattern > 1024) {
        return fail(stub, 22);
    }
    while (size >= pattern) {
        size_t piece = 4096 + pattern < size ? 4096 + pattern : (size_t)size;
        if (!tick86_peek(stub->session->machine, stub->thread_g, space_of(stub), address, window, piece)) {
            return fail(stub, 14);
        }
        for (size_t n = 0; n + pattern <= piece; n++) {
            if (memcmp(window + n, at, pattern) == 0) {
                gdb_say(stub, "1,%" PRIx64, address + n);
                return true;
            }
        }
        if (piece == size) {
            break;
        }
        address += 4096;
        size -= 4096;
    }
    return answer(stub, "0");
}

/* ---- breakpoints ---- */

static void drop_point(struct gdb_stub *stub, size_t n)
{
    struct gdb_point *point = &stub->points[n];

    for (unsigned k = 0; k < point->id_count; k++) {
        tick86_break_remove(stub->session->machine, point->ids[k]);
    }
    free(point->ids);
    stub->points[n] = stub->points[--stub->point_count];
}

void gdb_forget_points(struct gdb_stub *stub)
{
    while (stub->point_count != 0) {
        drop_point(stub, stub->point_count - 1);
    }
}

const struct gdb_point *gdb_point_of(const struct gdb_stub *stub, int id)
{
    for (size_t n = 0; n < stub->point_count; n++) {
        for (unsigned k = 0; k < stub->points[n].id_count; k++) {
            if (stub->points[n].ids[k] == id) {
                return &stub->points[n];
            }
        }
    }
    return NULL;
}

static size_t find_point(const struct gdb_stub *stub, unsigned type, uint64_t address, uint64_t kind)
{
    for (size_t n = 0; n < stub->point_count; n++) {
        const struct gdb_point *point = &stub->points[n];
        if (point->type == type && point->address == address && point->kind == kind &&
            point->is_physical == stub->is_physical) {
            return n;
        }
    }
    return SIZE_MAX;
}

static bool add_id(struct gdb_stub *stub, struct gdb_point *point, struct tick86_breakpoint *breakpoint)
{
    struct error err = {0};
    int *ids = realloc(point->ids, (point->id_count + 1) * sizeof *ids);

    if (ids == NULL) {
        return false;
    }
    point->ids = ids;
    int id = tick86_break_add(stub->session->machine, breakpoint, &err);
    if (id == 0) {
        return false;
    }
    ids[point->id_count++] = id;
    return true;
}

/* ";X LENGTH,HEX" for each condition, of which one must hold. */
static bool add_conditions(struct gdb_stub *stub, struct gdb_point *point, struct tick86_breakpoint *breakpoint,
                           const char *at)
{
    static uint8_t code[CONDITION_BYTES_MAX];
    unsigned count = 0;

    while (gdb_take_char(&at, ';') && gdb_take_char(&at, 'X')) {
        uint64_t length;
        if (!gdb_take_hex(&at, &length) || !gdb_take_char(&at, ',') || length == 0 || length > sizeof code ||
            gdb_unhex(at, strlen(at), code, (size_t)length) != length || ++count > CONDITIONS_MAX) {
            return false;
        }
        at += 2 * length;
        breakpoint->condition = code;
        breakpoint->condition_size = (size_t)length;
        if (!add_id(stub, point, breakpoint)) {
            return false;
        }
    }
    return count != 0 || add_id(stub, point, breakpoint);
}

static struct gdb_point *new_point(struct gdb_stub *stub)
{
    if (stub->point_count == stub->point_capacity) {
        size_t capacity = stub->point_capacity * 2 + 16;
        struct gdb_point *points = realloc(stub->points, capacity * sizeof *points);
        if (points == NULL) {
            return NULL;
        }
        stub->points = points;
        stub->point_capacity = capacity;
    }
    return &stub->points[stub->point_count++];
}

/* Z and z, TYPE,ADDRESS,KIND. */
static bool change_point(struct gdb_stub *stub, bool inserts, const char *at)
{
    static const unsigned accesses[] = {0, 0, BREAK_WRITE, BREAK_READ, BREAK_READ | BREAK_WRITE};
    uint64_t type, address, kind;

    if (!gdb_take_hex(&at, &type) || !gdb_take_char(&at, ',') || !gdb_take_hex(&at, &address) ||
        !gdb_take_char(&at, ',') || !gdb_take_hex(&at, &kind)) {
        return fail(stub, 22);
    }
    if (type > 4) {
        return false;
    }
    size_t old = find_point(stub, (unsigned)type, address, kind);
    if (old != SIZE_MAX) {
        drop_point(stub, old); /* inserted again, the conditions are new */
    }
    if (!inserts) {
        return answer(stub, "OK");
    }
    struct tick86_breakpoint breakpoint = {.kind = type < 2 ? BREAK_CODE : BREAK_DATA,
                                           .space = space_of(stub),
                                           .address = address,
                                           .length = kind,
                                           .access = accesses[type],
                                           .cpu = -1};
    struct gdb_point *point = new_point(stub);
    if (point == NULL) {
        return fail(stub, 12);
    }
    *point = (struct gdb_point){(unsigned)type, address, kind, stub->is_physical, NULL, 0};
    if (!add_conditions(stub, point, &breakpoint, at)) {
        drop_point(stub, stub->point_count - 1);
        return fail(stub, 22);
    }
    return answer(stub, "OK");
}

/* ---- threads ---- */

static unsigned cpu_count(const struct gdb_stub *stub) { return tick86_cpu_count(stub->session->machine); }

static bool set_thread(struct gdb_stub *stub, const char *at)
{
    char what = *at != '\0' ? *at++ : '\0';
    int cpu;

    if ((what != 'g' && what != 'c') || !gdb_take_thread(&at, &cpu) || cpu >= (int)cpu_count(stub)) {
        return fail(stub, 22);
    }
    if (cpu >= 0) {
        *(what == 'g' ? &stub->thread_g : &stub->thread_c) = (unsigned)cpu;
    }
    return answer(stub, "OK");
}

static bool thread_lives(struct gdb_stub *stub, const char *at)
{
    int cpu;

    return gdb_take_thread(&at, &cpu) && cpu >= 0 && cpu < (int)cpu_count(stub) ? answer(stub, "OK") : fail(stub, 22);
}

static bool list_threads(struct gdb_stub *stub, bool is_first)
{
    stub->thread_list_at = is_first ? 0 : stub->thread_list_at;
    if (stub->thread_list_at >= cpu_count(stub)) {
        return answer(stub, "l");
    }
    gdb_say(stub, "m");
    for (unsigned n = 0; n < 16 && stub->thread_list_at < cpu_count(stub); n++) {
        gdb_say(stub, "%s%x", n != 0 ? "," : "", ++stub->thread_list_at);
    }
    return true;
}

static bool describe_thread(struct gdb_stub *stub, const char *at)
{
    char text[80];
    int cpu;

    if (!gdb_take_thread(&at, &cpu) || cpu < 0 || cpu >= (int)cpu_count(stub)) {
        return fail(stub, 22);
    }
    const struct tick86 *machine = stub->session->machine;
    snprintf(text, sizeof text, "CPU#%d [%s] %s", cpu, tick86_cpu_is_halted(machine, (unsigned)cpu) ? "halted" : "running",
             tick86_mode_name(machine, (unsigned)cpu));
    gdb_say_hex(stub, text, strlen(text));
    return true;
}

/* ---- queries ---- */

static bool supported(struct gdb_stub *stub, const char *offers)
{
    stub->has_swbreak = strstr(offers, "swbreak+") != NULL;
    stub->has_hwbreak = strstr(offers, "hwbreak+") != NULL;
    gdb_say(stub,
            "PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;vContSupported+;swbreak+;hwbreak+;"
            "ConditionalBreakpoints+;ReverseStep+;ReverseContinue+",
            GDB_PACKET_MAX);
    return true;
}

/* target.xml:OFFSET,LENGTH; from the start it is the one that fits now (gdb reads it again after `unset tdesc filename`). */
static bool read_features(struct gdb_stub *stub, const char *at)
{
    uint64_t offset, length;

    if (strncmp(at, "target.xml:", 11) != 0) {
        return fail(stub, 0);
    }
    at += 11;
    if (!gdb_take_hex(&at, &offset) || !gdb_take_char(&at, ',') || !gdb_take_hex(&at, &length)) {
        return fail(stub, 22);
    }
    if (offset == 0) {
        gdb_choose_target(stub);
    }
    if (offset >= stub->target.xml_size) {
        return answer(stub, "l");
    }
    size_t rest = stub->target.xml_size - (size_t)offset;
    size_t piece = length < rest ? (size_t)length : rest;
    piece = piece < GDB_PACKET_MAX - 1 ? piece : GDB_PACKET_MAX - 1;
    gdb_say(stub, "%c%.*s", piece < rest ? 'm' : 'l', (int)piece, stub->target.xml + offset);
    return true;
}

/* ---- the monitor ---- */

static void send_console(struct gdb_stub *stub)
{
    enum { PIECE = 2000 };

    for (size_t at = 0; at < stub->console_length; at += PIECE) {
        size_t piece = stub->console_length - at < PIECE ? stub->console_length - at : PIECE;
        gdb_say(stub, "O");
        gdb_say_hex(stub, stub->console + at, piece);
        gdb_send(stub);
    }
    stub->console_length = 0;
}

static void say_console(struct gdb_stub *stub, const char *text)
{
    gdb_say(stub, "O");
    gdb_say_hex(stub, text, strlen(text));
    gdb_send(stub);
}

/* Commands of the stub's own, about how it shows the machine to gdb. */
static bool own_command(struct gdb_stub *stub, const char *line)
{
    char text[200];
    enum gdb_architecture architecture;

    if (strncmp(line, "gdb", 3) != 0 || (line[3] != ' ' && line[3] != '\0')) {
        return false;
    }
    line += line[3] == ' ' ? 4 : 3;
    if (strncmp(line, "arch ", 5) == 0) {
        const char *name = line + 5;
        bool is_known = false;
        for (architecture = GDB_I8086; architecture <= GDB_X86_64; architecture++) {
            if (strcmp(name, gdb_target_name(architecture)) == 0) {
                stub->wanted_architecture = (int)architecture;
                is_known = true;
            }
        }
        if (strcmp(name, "auto") == 0) {
            stub->wanted_architecture = -1;
            is_known = true;
        }
        say_console(stub, is_known ? "now: unset tdesc filename\n" : "gdb arch i8086|i386|i386:x86-64|auto\n");
    } else if (strcmp(line, "pc linear") == 0 || strcmp(line, "pc offset") == 0) {
        stub->target.pc_is_offset = line[3] == 'o';
        gdb_target_make(&stub->target, stub->target.architecture, stub->target.pc_is_offset);
        tick86_break_registers(stub->session->machine, stub->target.numbers, stub->target.count);
        say_console(stub, "now: maintenance flush register-cache\n");
    } else if (strcmp(line, "space linear") == 0 || strcmp(line, "space physical") == 0) {
        stub->is_physical = line[6] == 'p';
    } else {
        snprintf(text, sizeof text,
                 "gdb arch %s | pc %s | space %s\n"
                 "gdb arch i8086|i386|i386:x86-64|auto, then: unset tdesc filename\n"
                 "gdb pc linear|offset; gdb space linear|physical\n",
                 gdb_target_name(stub->target.architecture), stub->target.pc_is_offset ? "offset" : "linear",
                 stub->is_physical ? "physical" : "linear");
        say_console(stub, text);
    }
    return true;
}

static bool run_monitor(struct gdb_stub *stub, const char *at)
{
    char line[MONITOR_LINE_MAX];
    size_t length = gdb_unhex(at, strlen(at), (uint8_t *)line, sizeof line - 1);

    line[length] = '\0';
    if (strlen(at) != 2 * length) {
        return fail(stub, 22);
    }
    if (!own_command(stub, line)) {
        stub->console_length = 0;
        monitor_run(&stub->monitor, line);
        send_console(stub);
    }
    return answer(stub, "OK");
}

/* ---- QEMU's extensions, which kernel people's scripts use ---- */

static bool qemu_query(struct gdb_stub *stub, const char *packet)
{
    uint64_t value;

    if (strcmp(packet, "qqemu.sstepbits") == 0) {
        gdb_say(stub, "ENABLE=%x,NOIRQ=%x,NOTIMER=%x", SSTEP_ENABLE, SSTEP_NOIRQ, SSTEP_NOTIMER);
    } else if (strcmp(packet, "qqemu.sstep") == 0) {
        gdb_say(stub, "0x%x", SSTEP_ENABLE | (stub->masks_interrupts_in_steps ? SSTEP_NOIRQ : 0));
    } else if (strncmp(packet, "Qqemu.sstep=", 12) == 0 || strncmp(packet, "Qqemu.sstep:", 12) == 0) {
        const char *at = packet + 12;
        if (!gdb_take_hex(&at, &value)) {
            return fail(stub, 22);
        }
        stub->masks_interrupts_in_steps = (value & SSTEP_NOIRQ) != 0;
        return answer(stub, "OK");
    } else if (strcmp(packet, "qqemu.PhyMemMode") == 0) {
        gdb_say(stub, "%d", stub->is_physical);
    } else if (strncmp(packet, "Qqemu.PhyMemMode:", 17) == 0) {
        stub->is_physical = packet[17] == '1';
        return answer(stub, "OK");
    } else if (strcmp(packet, "qqemu.Supported") == 0) {
        return answer(stub, "sstepbits;sstep;PhyMemMode");
    } else {
        return false;
    }
    return true;
}

static bool query(struct gdb_stub *stub, const char *packet, size_t length)
{
    if (strncmp(packet, "qSupported", 10) == 0) {
        return supported(stub, packet);
    }
    if (strncmp(packet, "qXfer:features:read:", 20) == 0) {
        return read_features(stub, packet + 20);
    }
    if (strncmp(packet, "qRcmd,", 6) == 0) {
        return run_monitor(stub, packet + 6);
    }
    if (strncmp(packet, "qSearch:memory:", 15) == 0) {
        return search_memory(stub, packet + 15, length - 15);
    }
    if (strncmp(packet, "qThreadExtraInfo,", 17) == 0) {
        return describe_thread(stub, packet + 17);
    }
    if (strcmp(packet, "qfThreadInfo") == 0 || strcmp(packet, "qsThreadInfo") == 0) {
        return list_threads(stub, packet[1] == 'f');
    }
    if (strcmp(packet, "qC") == 0) {
        gdb_say(stub, "QC%x", stub->thread_g + 1);
        return true;
    }
    if (strncmp(packet, "qAttached", 9) == 0) {
        return answer(stub, "1");
    }
    if (strncmp(packet, "qSymbol:", 8) == 0 || strcmp(packet, "QStartNoAckMode") == 0) {
        stub->has_acks = packet[0] != 'Q' && stub->has_acks;
        return answer(stub, "OK");
    }
    return qemu_query(stub, packet);
}

bool gdb_command(struct gdb_stub *stub, char *packet, size_t length)
{
    switch (packet[0]) {
    case 'g':
        return read_all(stub);
    case 'G':
        return write_all(stub, packet + 1, length - 1);
    case 'p':
        return read_one(stub, packet + 1);
    case 'P':
        return write_one(stub, packet + 1);
    case 'm':
        return read_memory(stub, packet + 1);
    case 'M':
    case 'X':
        return write_memory(stub, packet + 1, length - 1, packet[0] == 'X');
    case 'Z':
    case 'z':
        return change_point(stub, packet[0] == 'Z', packet + 1);
    case 'H':
        return set_thread(stub, packet + 1);
    case 'T':
        return thread_lives(stub, packet + 1);
    case 'q':
    case 'Q':
        return query(stub, packet, length);
    case 'v':
        return strcmp(packet, "vCont?") == 0 && answer(stub, "vCont;c;C;s;S;r");
    default:
        return false;
    }
}
