/* trace.c - traces of execution by an observer of the machine (machine/tick86_debug.h). A trace that is off costs nothing: the
 * observer has only the functions that are asked for.
 *
 * A line of text, or a record of 32 bytes, is one event at a count of instructions. Records: kind, processor, size, flags (a byte
 * each), detail (4 bytes), icount, address and value (8 each), little-endian, behind 8 bytes "tick86t1". */
#define _DEFAULT_SOURCE
#include "frontends/trace.h"
#include "frontends/symbols.h"
#include "machine/tick86_debug.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum trace_kind { TRACE_IN_ASM = 1, TRACE_EXEC, TRACE_INT, TRACE_MMU, TRACE_IO, TRACE_MEM, TRACE_MODE, TRACE_KINDS };
enum { RECORD = 32, SEEN_BITS = 20, FLAG_WRITE = 1, FLAG_FAULT = 2, FLAG_USER = 4, FLAG_HAS_ERROR = 8 };
static const char *const names[TRACE_KINDS] = {"", "in_asm", "exec", "int", "mmu", "io", "mem", "mode"};
static const char magic[8] = {'t', 'i', 'c', 'k', '8', '6', 't', '1'};

struct record {
    uint8_t kind, cpu, size, flags; /* of instructions: flags has the bits of the code */
    uint32_t detail;
    uint64_t icount, address, value;
};

struct trace {
    struct session *session;
    FILE *file;
    bool wants[TRACE_KINDS];
    bool is_binary;
    uint64_t first, last, from, to, cr3, cpl, cpu; /* UINT64_MAX for the last three: any */
    unsigned cr3_register, cpl_register;
    uint64_t *seen; /* in_asm: blocks that were shown, by a hash; two of one hash are shown as one */
};

bool trace_knows(const char *item)
{
    for (unsigned n = 1; n < TRACE_KINDS; n++) {
        if (strcmp(item, names[n]) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- text ---- */

/* `name` is the symbol of the address; `text` the instruction, for those. */
static void print_record(FILE *out, const struct record *r, const char *name, const char *text)
{
    static const char *const kinds[] = {"", "external", "exception", "", "software"};
    static const char *const accesses[] = {"read", "write", "fetch"};

    fprintf(out, "%" PRIu64 " cpu%u %s ", r->icount, r->cpu, names[r->kind]);
    switch ((enum trace_kind)r->kind) {
    case TRACE_IN_ASM:
    case TRACE_EXEC:
        fprintf(out, "%08" PRIx64 "%s%s%s %s\n", r->address, *name != '\0' ? " <" : "", name, *name != '\0' ? ">" : "", text);
        break;
    case TRACE_INT:
        fprintf(out, "%02x %s", r->size, kinds[r->detail % 5]);
        if ((r->flags & FLAG_HAS_ERROR) != 0) {
            fprintf(out, " error %04" PRIx64, r->value);
        }
        fprintf(out, " at %08" PRIx64 "%s%s%s\n", r->address, *name != '\0' ? " <" : "", name, *name != '\0' ? ">" : "");
        break;
    case TRACE_MMU:
        if ((r->flags & FLAG_FAULT) != 0) {
            fprintf(out, "%s %s %08" PRIx64 " faults\n", r->flags & FLAG_USER ? "user" : "system", accesses[r->detail % 3], r->address);
        } else {
            fprintf(out, "%s %s %08" PRIx64 " -> %09" PRIx64 "\n", r->flags & FLAG_USER ? "user" : "system",
                    accesses[r->detail % 3], r->address, r->value);
        }
        break;
    case TRACE_MODE:
        fprintf(out, "%s\n", text);
        break;
    default:
        fprintf(out, "%s%u %0*" PRIx64 " = %0*" PRIx64 "\n", r->flags & FLAG_WRITE ? "write" : "read", r->size * 8u,
                r->kind == TRACE_IO ? 4 : 8, r->address, r->size * 2, r->value);
        break;
    }
}

static void pack(const struct record *r, uint8_t bytes[RECORD])
{
    const uint64_t words[3] = {r->icount, r->address, r->value};

    bytes[0] = r->kind;
    bytes[1] = r->cpu;
    bytes[2] = r->size;
    bytes[3] = r->flags;
    for (unsigned n = 0; n < 4; n++) {
        bytes[4 + n] = (uint8_t)(r->detail >> (8 * n));
    }
    for (unsigned n = 0; n < 24; n++) {
        bytes[8 + n] = (uint8_t)(words[n / 8] >> (8 * (n % 8)));
    }
}

static void unpack(const uint8_t bytes[RECORD], struct record *r)
{
    uint64_t words[3] = {0};

    for (unsigned n = 24; n-- > 0;) {
        words[n / 8] = words[n / 8] << 8 | bytes[8 + n];
    }
    *r = (struct record){bytes[0], bytes[1], bytes[2], bytes[3],
                         bytes[4] | (uint32_t)bytes[5] << 8 | (uint32_t)bytes[6] << 16 | (uint32_t)bytes[7] << 24,
                         words[0], words[1], words[2]};
}

/* ---- the observer ---- */

static bool passes(const struct trace *trace, unsigned cpu, uint64_t address)
{
    const struct tick86 *machine = trace->session->machine;
    uint64_t icount = tick86_icount(machine);

    return address >= trace->first && address <= trace->last && icount >= trace->from && icount < trace->to &&
           (trace->cpu == UINT64_MAX || trace->cpu == cpu) &&
           (trace->cpl == UINT64_MAX || trace->cpl == tick86_register_value(machine, cpu, trace->cpl_register)) &&
           (trace->cr3 == UINT64_MAX || trace->cr3 == tick86_register_value(machine, cpu, trace->cr3_register));
}

static void emit(struct trace *trace, struct record *r, const char *text)
{
    r->icount = tick86_icount(trace->session->machine);
    if (trace->is_binary) {
        uint8_t bytes[RECORD];
        pack(r, bytes);
        fwrite(bytes, 1, sizeof bytes, trace->file);
    } else {
        char name[160] = "";
        if (r->kind <= TRACE_INT) {
            symbols_text(trace->session->symbols, r->address, name, sizeof name);
        }
        print_record(trace->file, r, name, text);
    }
}

/* An instruction's bytes: 8 in the value, the rest in the detail and not at all. */
static void emit_instruction(struct trace *trace, enum trace_kind kind, unsigned cpu, uint64_t linear, unsigned size)
{
    const struct tick86 *machine = trace->session->machine;
    struct record r = {.kind = (uint8_t)kind, .cpu = (uint8_t)cpu, .size = (uint8_t)size, .address = linear};
    char text[160] = "";
    uint8_t bytes[16] = {0};

    r.flags = (uint8_t)tick86_code_bits(machine, cpu);
    if (!trace->is_binary) {
        tick86_disassemble(machine, cpu, linear, 0, text, sizeof text);
    } else if (tick86_peek(machine, cpu, SPACE_LINEAR, linear, bytes, size <= 15 ? size : 15)) {
        for (unsigned n = 0; n < 8; n++) {
            r.value |= (uint64_t)bytes[n] << (8 * n);
        }
        for (unsigned n = 0; n < 4; n++) {
            r.detail |= (uint32_t)bytes[8 + n] << (8 * n);
        }
    }
    emit(trace, &r, text);
}

static void on_insn(void *context, unsigned cpu, uint64_t linear, unsigned bytes)
{
    if (passes(context, cpu, linear)) {
        emit_instruction(context, TRACE_EXEC, cpu, linear, bytes);
    }
}

static void on_block(void *context, unsigned cpu, uint64_t linear, unsigned insns, unsigned bytes)
{
    struct trace *trace = context;
    const struct tick86 *machine = trace->session->machine;
    uint64_t hash = ((linear ^ (uint64_t)bytes << 40) * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - SEEN_BITS);

    if (!passes(trace, cpu, linear) || (trace->seen[hash / 64] >> (hash % 64) & 1) != 0) {
        return;
    }
    trace->seen[hash / 64] |= UINT64_C(1) << (hash % 64);
    for (unsigned n = 0; n < insns; n++) {
        char text[160];
        unsigned length = tick86_disassemble(machine, cpu, linear, 0, text, sizeof text);
        emit_instruction(trace, TRACE_IN_ASM, cpu, linear, length);
        linear += length;
    }
}

static void on_memory(void *context, unsigned cpu, uint64_t linear, uint64_t physical, unsigned size, bool is_write, uint64_t value)
{
    struct record r = {TRACE_MEM, (uint8_t)cpu, (uint8_t)size, is_write ? FLAG_WRITE : 0, 0, 0, linear,
                       size < 8 ? value & ((UINT64_C(1) << (8 * size)) - 1) : value};

    (void)physical;
    if (passes(context, cpu, linear)) {
        emit(context, &r, "");
    }
}

static void on_port(void *context, unsigned cpu, unsigned port, unsigned size, bool is_write, uint32_t value)
{
    struct record r = {TRACE_IO, (uint8_t)cpu, (uint8_t)size, is_write ? FLAG_WRITE : 0, 0, 0, port, value};
    const struct trace *trace = context;

    if (passes(context, cpu, tick86_pc(trace->session->machine, cpu))) {
        emit(context, &r, "");
    }
}

static void on_interrupt(void *context, unsigned cpu, const struct tick86_interrupt *interrupt)
{
    struct record r = {TRACE_INT, (uint8_t)cpu, interrupt->vector, interrupt->has_error ? FLAG_HAS_ERROR : 0, interrupt->kind, 0,
                       interrupt->return_pc, interrupt->error};

    if (passes(context, cpu, interrupt->return_pc)) {
        emit(context, &r, "");
    }
}

static void on_walk(void *context, unsigned cpu, uint64_t linear, uint64_t physical, unsigned access, bool is_user, bool is_fault)
{
    struct record r = {TRACE_MMU, (uint8_t)cpu, 0, (uint8_t)((is_user ? FLAG_USER : 0) | (is_fault ? FLAG_FAULT : 0)), access, 0,
                       linear, physical};

    if (passes(context, cpu, linear)) {
        emit(context, &r, "");
    }
}

static void on_mode(void *context, unsigned cpu)
{
    const struct trace *trace = context;
    const char *name = tick86_mode_name(trace->session->machine, cpu);
    struct record r = {.kind = TRACE_MODE, .cpu = (uint8_t)cpu};

    for (unsigned n = 0; n < 8 && name[n] != '\0'; n++) {
        r.value |= (uint64_t)(uint8_t)name[n] << (8 * n);
    }
    for (unsigned n = 8, end = (unsigned)strlen(name); n < end && n < 16; n++) {
        r.address |= (uint64_t)(uint8_t)name[n] << (8 * (n - 8));
    }
    emit(context, &r, name);
}

/* ---- options ---- */

static bool take_number(const char *text, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 0);
    return end != text && *end == '\0' && errno == 0;
}

static bool set_filter(struct trace *trace, const char *filter, struct error *err)
{
    char copy[512], *saved = NULL;

    snprintf(copy, sizeof copy, "%s", filter);
    for (char *item = strtok_r(copy, ",", &saved); item != NULL; item = strtok_r(NULL, ",", &saved)) {
        char *value = strchr(item, '='), *dash;
        bool is_good = value != NULL;
        if (is_good) {
            *value++ = '\0';
            dash = strchr(value, '-');
            if (strcmp(item, "addr") == 0) {
                is_good = dash != NULL;
                if (is_good) {
                    *dash = '\0';
                    is_good = take_number(value, &trace->first) && take_number(dash + 1, &trace->last);
                }
            } else if (strcmp(item, "format") == 0) {
                trace->is_binary = strcmp(value, "binary") == 0;
                is_good = trace->is_binary || strcmp(value, "text") == 0;
            } else {
                uint64_t *number = strcmp(item, "cpl") == 0    ? &trace->cpl
                                   : strcmp(item, "cr3") == 0  ? &trace->cr3
                                   : strcmp(item, "cpu") == 0  ? &trace->cpu
                                   : strcmp(item, "from") == 0 ? &trace->from
                                   : strcmp(item, "to") == 0   ? &trace->to
                                                               : NULL;
                is_good = number != NULL && take_number(value, number);
            }
        }
        if (!is_good) {
            error_set(err, "-trace does not take '%s%s%s'", item, value != NULL ? "=" : "", value != NULL ? value : "");
            return error_hint(err, "addr=FIRST-LAST,cpl=N,cr3=N,cpu=N,from=N,to=N,format=text|binary");
        }
    }
    return true;
}

struct trace *trace_start(struct session *session, const char *items, const char *filter, FILE *file, struct error *err)
{
    struct trace *trace = calloc(1, sizeof *trace);
    char copy[1024], *saved = NULL;

    if (trace == NULL || (trace->seen = calloc((1U << SEEN_BITS) / 64, sizeof *trace->seen)) == NULL) {
        free(trace);
        error_set(err, "out of memory for a trace");
        return NULL;
    }
    trace->session = session;
    trace->file = file;
    trace->last = trace->to = trace->cr3 = trace->cpl = trace->cpu = UINT64_MAX;
    trace->cr3_register = (unsigned)tick86_register_find("cr3");
    trace->cpl_register = (unsigned)tick86_register_find("cpl");
    snprintf(copy, sizeof copy, "%s", items);
    for (char *item = strtok_r(copy, ",", &saved); item != NULL; item = strtok_r(NULL, ",", &saved)) {
        for (unsigned n = 1; n < TRACE_KINDS; n++) {
            trace->wants[n] |= strcmp(item, names[n]) == 0;
        }
    }
    struct tick86_observer observer = {.context = trace,
                                       .block = trace->wants[TRACE_IN_ASM] ? on_block : NULL,
                                       .insn = trace->wants[TRACE_EXEC] ? on_insn : NULL,
                                       .memory = trace->wants[TRACE_MEM] ? on_memory : NULL,
                                       .port = trace->wants[TRACE_IO] ? on_port : NULL,
                                       .interrupt = trace->wants[TRACE_INT] ? on_interrupt : NULL,
                                       .mode = trace->wants[TRACE_MODE] ? on_mode : NULL,
                                       .walk = trace->wants[TRACE_MMU] ? on_walk : NULL};
    if ((filter != NULL && !set_filter(trace, filter, err)) ||
        (!tick86_observe(session->machine, &observer) && !error_set(err, "too many observe the machine"))) {
        trace_stop(trace);
        return NULL;
    }
    if (trace->is_binary) {
        fwrite(magic, 1, sizeof magic, file);
    }
    return trace;
}

void trace_stop(struct trace *trace)
{
    if (trace != NULL) {
        tick86_unobserve(trace->session->machine, trace);
        fflush(trace->file);
        free(trace->seen);
        free(trace);
    }
}

/* ---- reading ---- */

static FILE *open_trace(const char *path, bool *is_binary, struct error *err)
{
    char start[sizeof magic];
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        error_set(err, "cannot read trace '%s': %s", path, strerror(errno));
        return NULL;
    }
    *is_binary = fread(start, 1, sizeof start, file) == sizeof start && memcmp(start, magic, sizeof magic) == 0;
    if (!*is_binary) {
        rewind(file);
    }
    return file;
}

static void print_packed(FILE *out, const struct tick86_disassembler *disassembler, const uint8_t bytes[RECORD])
{
    struct record r;
    char text[160] = "";

    unpack(bytes, &r);
    if (r.kind == 0 || r.kind >= TRACE_KINDS) {
        fprintf(out, "(no record)\n");
        return;
    }
    if (r.kind == TRACE_MODE) {
        memcpy(text, bytes + 24, 8);
        memcpy(text + 8, bytes + 16, 8);
    } else if (r.kind <= TRACE_EXEC) {
        uint8_t code[12];
        memcpy(code, bytes + 24, 8);
        memcpy(code + 8, bytes + 4, 4);
        tick86_disassemble_bytes(disassembler, code, sizeof code, r.flags, r.address, text, sizeof text);
    }
    print_record(out, &r, "", text);
}

bool trace_print(const char *path, FILE *out, struct error *err)
{
    bool is_binary;
    uint8_t bytes[RECORD];
    FILE *file = open_trace(path, &is_binary, err);
    struct tick86_disassembler *disassembler = tick86_disassembler_create();

    if (file != NULL && !is_binary) {
        error_set(err, "'%s' is no binary trace", path);
        error_hint(err, "those are written with -trace format=binary -D FILE");
    }
    while (file != NULL && is_binary && disassembler != NULL && fread(bytes, 1, RECORD, file) == RECORD) {
        print_packed(out, disassembler, bytes);
    }
    bool is_good = file != NULL && is_binary;
    tick86_disassembler_destroy(disassembler);
    if (file != NULL) {
        fclose(file);
    }
    return is_good;
}

/* The next line or record as text; false at the end. */
static bool next_line(FILE *file, bool is_binary, const struct tick86_disassembler *disassembler, char *line, size_t size)
{
    uint8_t bytes[RECORD];

    line[0] = '\0';
    if (!is_binary) {
        return fgets(line, (int)size, file) != NULL;
    }
    if (fread(bytes, 1, RECORD, file) != RECORD) {
        return false;
    }
    FILE *text = fmemopen(line, size, "w");
    if (text != NULL) {
        print_packed(text, disassembler, bytes);
        fclose(text);
    }
    return true;
}

int trace_diff(const char *left, const char *right, FILE *out, struct error *err)
{
    enum { KEPT = 5, LINE = 1024 };
    static char kept[KEPT][LINE];
    char a[LINE], b[LINE];
    bool a_is_binary, b_is_binary = false;
    FILE *a_file = open_trace(left, &a_is_binary, err), *b_file = a_file != NULL ? open_trace(right, &b_is_binary, err) : NULL;
    struct tick86_disassembler *disassembler = tick86_disassembler_create();
    int result = 2;

    for (uint64_t n = 1; b_file != NULL && disassembler != NULL; n++) {
        bool has_a = next_line(a_file, a_is_binary, disassembler, a, sizeof a);
        bool has_b = next_line(b_file, b_is_binary, disassembler, b, sizeof b);
        if (!has_a && !has_b) {
            fprintf(out, "equal: %" PRIu64 " events\n", n - 1);
            result = 0;
            break;
        }
        if (has_a != has_b || strcmp(a, b) != 0) {
            fprintf(out, "first difference: event %" PRIu64 "\n", n);
            for (uint64_t k = n > KEPT ? n - KEPT : 1; k < n; k++) {
                fprintf(out, "  %s", kept[k % KEPT]);
            }
            fprintf(out, "- %s+ %s", has_a ? a : "(end)\n", has_b ? b : "(end)\n");
            result = 1;
            break;
        }
        memcpy(kept[n % KEPT], a, sizeof a);
    }
    tick86_disassembler_destroy(disassembler);
    if (a_file != NULL) {
        fclose(a_file);
    }
    if (b_file != NULL) {
        fclose(b_file);
    }
    return result;
}
