/* sst.c - runs recorded hardware vectors (SingleStepTests, MOO container) through the CPU's public interface.
 *
 * sst DIR [FILE...]: prints one line per file with failures and a total
 * "cases=N passed=N explained=N unexplained=N". Differences between a 286 and a later processor are explained by the rules in
 * `rules`; everything else is unexplained, and then the exit status is 1. */
#define _DEFAULT_SOURCE 1 /* scandir */
#include "cpu/cpu.h"
#include "cpu/system.h"
#include "tests/support/isa_cases.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { RAM_SIZE = 16 << 20, FILE_MAX = 64 << 20, REGS = 14 };
enum { R_AX, R_BX, R_CX, R_DX, R_CS, R_SS, R_DS, R_ES, R_SP, R_BP, R_SI, R_DI, R_IP, R_FLAGS };

struct bytes {
    const uint8_t *at;
    size_t size;
};

struct regs {
    uint16_t value[REGS];
    uint16_t mask;
};

struct vector {
    uint32_t index;
    struct bytes name, code, initial_ram, final_ram;
    struct regs initial, final;
    bool has_exception;
    uint8_t exception;
};

/* Differences that a 386 or later must show; each with its source. */
enum rule { RULE_NONE, RULE_LOCK, RULE_LENGTH, RULE_STACK_FAULT, RULE_NEW_OPCODE, RULE_FPU, RULE_STRING, RULE_COUNT };
static const char *const rules[RULE_COUNT] = {
    [RULE_LOCK] = "LOCK on an instruction or form that does not allow it is #UD since the 386 (SDM vol. 2A, LOCK)",
    [RULE_LENGTH] = "the 286 limits instructions to 10 bytes, later processors to 15 (80386 PRM, 14.7)",
    [RULE_STACK_FAULT] = "stack limit violations are #SS(12) since the 386, 13 on the 286 (SDM vol. 3A, interrupt 12)",
    [RULE_NEW_OPCODE] = "opcodes, prefixes and segment registers that the 386 brought are #UD on the 286",
    [RULE_STRING] = "string instructions and POP restart after a fault with SI, DI and SP unchanged since the 386 (SDM 3A, 6.5); the 286 "
                    "has advanced them",
    [RULE_FPU] = "the recorded 286 has no x87; ESC and WAIT differ",
};

struct runner {
    struct cpu *cpu;
    struct memory memory;
    struct region region;
    struct space *space;
    struct ports *ports;
    struct clock clock;
    struct log log;
    uint8_t *ram;
    unsigned flags_mask;
    uint16_t first_cs, first_ip; /* after one instruction */
    unsigned long cases, passed, explained[RULE_COUNT], unexplained;
};

static int no_interrupt(void *context)
{
    (void)context;
    return -1;
}

static bool runner_open(struct runner *r)
{
    struct error err;
    struct cpu_board board = { .context = r, .acknowledge = no_interrupt, .clock = &r->clock, .log = &r->log };

    log_init(&r->log, NULL, NULL, LOG_ERROR);
    clock_init(&r->clock, 65536, NULL, NULL, NULL);
    r->ram = calloc(1, RAM_SIZE);
    r->space = space_create(&r->log);
    r->ports = ports_create(&r->log);
    if (!r->ram || !r->space || !r->ports || !memory_init(&r->memory, "ram", r->ram, RAM_SIZE, 0, false, &err)) {
        return false;
    }
    r->region = (struct region){ .name = "ram", .kind = REGION_MEMORY, .size = RAM_SIZE, .memory = &r->memory };
    space_add(r->space, &r->region, 0, 0, true);
    board.space = r->space;
    board.ports = r->ports;
    r->cpu = cpu_create(&board, false, &err);
    return r->cpu != NULL;
}

static uint32_t le32(const uint8_t *p) { return load_le32(p); }

/* Steps through chunks; false at the end. */
static bool next_chunk(struct bytes *in, const char **tag, struct bytes *payload)
{
    if (in->size < 8) {
        return false;
    }
    uint32_t length = le32(in->at + 4);
    if (length > in->size - 8) {
        return false;
    }
    *tag = (const char *)in->at;
    *payload = (struct bytes){ in->at + 8, length };
    in->at += 8 + length;
    in->size -= 8 + length;
    return true;
}

static void parse_regs(struct bytes b, struct regs *regs)
{
    size_t at = 2;

    regs->mask = load_le16(b.at);
    for (unsigned k = 0; k < REGS; k++) {
        if (regs->mask >> k & 1) {
            regs->value[k] = load_le16(b.at + at);
            at += 2;
        }
    }
}

static void parse_state(struct bytes b, struct regs *regs, struct bytes *ram)
{
    const char *tag;
    struct bytes payload;

    while (next_chunk(&b, &tag, &payload)) {
        if (!memcmp(tag, "REGS", 4)) {
            parse_regs(payload, regs);
        } else if (!memcmp(tag, "RAM ", 4)) {
            *ram = payload;
        }
    }
}

static void parse_test(struct bytes b, struct vector *v)
{
    const char *tag;
    struct bytes payload;

    memset(v, 0, sizeof *v);
    v->index = le32(b.at);
    b.at += 4;
    b.size -= 4;
    while (next_chunk(&b, &tag, &payload)) {
        if (!memcmp(tag, "NAME", 4)) {
            v->name = (struct bytes){ payload.at + 4, payload.size - 4 };
        } else if (!memcmp(tag, "BYTS", 4)) {
            v->code = (struct bytes){ payload.at + 4, payload.size - 4 };
        } else if (!memcmp(tag, "INIT", 4)) {
            parse_state(payload, &v->initial, &v->initial_ram);
        } else if (!memcmp(tag, "FINA", 4)) {
            parse_state(payload, &v->final, &v->final_ram);
        } else if (!memcmp(tag, "EXCP", 4)) {
            v->has_exception = true;
            v->exception = payload.at[0];
        }
    }
}

static void load_registers(struct cpu *cpu, const struct regs *r)
{
    static const uint8_t general[] = { R_AX, R_CX, R_DX, R_BX, R_SP, R_BP, R_SI, R_DI };
    static const uint8_t segments[4][2] = { { SEG_CS, R_CS }, { SEG_SS, R_SS }, { SEG_DS, R_DS }, { SEG_ES, R_ES } };

    cpu_reset(cpu, false);
    for (unsigned k = 0; k < 8; k++) {
        cpu->gpr[k] = r->value[general[k]];
    }
    for (unsigned k = 0; k < 4; k++) {
        segment_load_real(cpu, (enum segment_index)segments[k][0], r->value[segments[k][1]]);
    }
    cpu->rip = r->value[R_IP];
    cpu_set_eflags(cpu, (r->value[R_FLAGS] & 0x0fff) | FLAG_1);
    cpu_loaded(cpu);
}

static uint16_t register_after(const struct cpu *cpu, unsigned which)
{
    static const int8_t general[REGS] = { REG_AX, REG_BX, REG_CX, REG_DX, -1, -1, -1, -1, REG_SP, REG_BP, REG_SI, REG_DI,
                                          -1,     -1 };
    static const uint8_t segments[4] = { SEG_CS, SEG_SS, SEG_DS, SEG_ES };

    if (general[which] >= 0) {
        return (uint16_t)cpu->gpr[general[which]];
    }
    if (which >= R_CS && which <= R_ES) {
        return cpu->seg[segments[which - R_CS]].selector;
    }
    return which == R_IP ? (uint16_t)cpu->rip : (uint16_t)(cpu_get_eflags(cpu) & 0x0fff);
}

static void ram_write(struct runner *r, struct bytes list)
{
    uint32_t count = list.size >= 4 ? le32(list.at) : 0;

    for (uint32_t k = 0; k < count; k++) {
        uint32_t address = le32(list.at + 4 + 5 * (size_t)k) & (RAM_SIZE - 1);
        r->ram[address] = list.at[4 + 5 * (size_t)k + 4];
    }
}

static void ram_clear(struct runner *r, struct bytes list)
{
    uint32_t count = list.size >= 4 ? le32(list.at) : 0;

    for (uint32_t k = 0; k < count; k++) {
        r->ram[le32(list.at + 4 + 5 * (size_t)k) & (RAM_SIZE - 1)] = 0;
    }
}

/* The first byte of the instruction after prefixes, and whether there is a LOCK among those. */
static uint8_t opcode_of(const struct vector *v, bool *has_lock)
{
    *has_lock = false;
    for (size_t k = 0; k < v->code.size; k++) {
        switch (v->code.at[k]) {
        case 0xf0:
            *has_lock = true;
            break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0xf2:
        case 0xf3:
            break;
        default:
            return v->code.at[k];
        }
    }
    return 0;
}

/* Compares; the text of the first difference goes to `why`. */
static bool matches(struct runner *r, const struct vector *v, char *why, size_t size)
{
    static const char *const names[REGS] = { "ax", "bx", "cx", "dx", "cs", "ss", "ds", "es", "sp", "bp", "si", "di", "ip",
                                             "flags" };

    for (unsigned k = 0; k < REGS; k++) {
        uint16_t expected = v->final.mask >> k & 1 ? v->final.value[k] : v->initial.value[k];
        uint16_t got = register_after(r->cpu, k);
        uint16_t mask = k == R_FLAGS ? (uint16_t)(r->flags_mask & 0x0fff) : 0xffff;
        if ((expected ^ got) & mask) {
            snprintf(why, size, "%s is %04x, expected %04x", names[k], (unsigned)got, (unsigned)expected);
            return false;
        }
    }
    uint32_t count = v->final_ram.size >= 4 ? le32(v->final_ram.at) : 0;
    for (uint32_t k = 0; k < count; k++) {
        const uint8_t *entry = v->final_ram.at + 4 + 5 * (size_t)k;
        uint32_t address = le32(entry) & (RAM_SIZE - 1);
        uint8_t mask = 0xff;
        /* The pushed flags: the topmost word of the frame at the final SS:SP. */
        uint16_t sp = v->final.mask >> R_SP & 1 ? v->final.value[R_SP] : v->initial.value[R_SP];
        uint32_t flags_at = (uint32_t)v->initial.value[R_SS] * 16 + (uint16_t)(sp + 4);
        if (v->has_exception && (address == flags_at || address == flags_at + 1)) {
            mask = (uint8_t)((r->flags_mask & 0x0fff) >> (address == flags_at ? 0 : 8));
        }
        if ((r->ram[address] ^ entry[4]) & mask) {
            snprintf(why, size, "[%06x] is %02x, expected %02x", (unsigned)address, (unsigned)r->ram[address],
                     (unsigned)entry[4]);
            return false;
        }
    }
    return true;
}

/* Whether the first instruction ended in the handler of that vector. */
static bool entered(const struct runner *r, const struct vector *v, unsigned vector)
{
    uint16_t ip = 0, cs = 0;
    uint32_t count = v->initial_ram.size >= 4 ? le32(v->initial_ram.at) : 0;

    for (uint32_t k = 0; k < count; k++) {
        const uint8_t *entry = v->initial_ram.at + 4 + 5 * (size_t)k;
        uint32_t at = le32(entry) - vector * 4;
        if (at < 2) {
            ip |= (uint16_t)(entry[4] << (8 * at));
        } else if (at < 4) {
            cs |= (uint16_t)(entry[4] << (8 * (at - 2)));
        }
    }
    return r->first_cs == cs && r->first_ip == ip;
}

/* Which 286-only behaviour a failing case shows, if any. */
static enum rule explain(const struct runner *r, const struct vector *v)
{
    bool has_lock;
    uint8_t opcode = opcode_of(v, &has_lock);

    if (opcode >= 0xd8 && opcode <= 0xdf) {
        return RULE_FPU;
    }
    if (opcode == 0x9b) {
        return RULE_FPU;
    }
    if (has_lock && entered(r, v, 6)) {
        return RULE_LOCK;
    }
    if (v->code.size - 1 > 10 && v->has_exception && v->exception == 13) {
        return RULE_LENGTH;
    }
    if (v->has_exception && v->exception == 6 && (opcode == 0x8c || opcode == 0x8e || opcode == 0x0f || opcode == 0x64 ||
                                                  opcode == 0x65 || opcode == 0x66 || opcode == 0x67)) {
        return RULE_NEW_OPCODE;
    }
    if (v->has_exception && v->exception == 13 && entered(r, v, 12)) {
        return RULE_STACK_FAULT;
    }
    bool is_string = (opcode >= 0x6c && opcode <= 0x6f) || (opcode >= 0xa4 && opcode <= 0xa7) ||
                     (opcode >= 0xaa && opcode <= 0xaf);
    if ((is_string || opcode == 0x8f) && v->has_exception && v->exception == 13 && entered(r, v, 13)) {
        return RULE_STRING;
    }
    return RULE_NONE;
}

static void run_case(struct runner *r, const struct vector *v, unsigned long *file_failures, const char *file)
{
    char why[100];

    ram_write(r, v->initial_ram);
    load_registers(r->cpu, &v->initial);
    cpu_run(r->cpu, 1);
    r->first_cs = r->cpu->seg[SEG_CS].selector;
    r->first_ip = (uint16_t)r->cpu->rip;
    for (unsigned k = 0; k < 3 && r->cpu->halted_state == CPU_RUNNING; k++) {
        cpu_run(r->cpu, 1000);
    }
    r->cases++;
    isa_cases_in(v->code.at, v->code.size, 0, 1, 1);
    if (matches(r, v, why, sizeof why)) {
        r->passed++;
    } else {
        enum rule rule = explain(r, v);
        if (rule != RULE_NONE) {
            r->explained[rule]++;
        } else {
            r->unexplained++;
            if ((*file_failures)++ < 3) {
                printf("%s #%u %.*s: %s\n", file, (unsigned)v->index, (int)v->name.size, (const char *)v->name.at, why);
            }
        }
    }
    /* Everything that was or may have been written goes back to zero. */
    ram_clear(r, v->initial_ram);
    ram_clear(r, v->final_ram);
    for (uint64_t page = 0; page < RAM_SIZE / GUEST_PAGE_SIZE; page++) {
        if (r->memory.page_flags[page] & PAGE_DIRTY) {
            memset(r->ram + page * GUEST_PAGE_SIZE, 0, GUEST_PAGE_SIZE);
            r->memory.page_flags[page] = 0;
        }
    }
}

/* The AND mask of defined flags for an opcode file ("D3.4", "04"), from metadata.json: a look-up of the one key. */
static unsigned metadata_mask(const char *metadata, const char *file)
{
    char key[16];
    const char *at;
    char reg = 0;

    snprintf(key, sizeof key, "\"%.2s\":", file);
    at = strstr(metadata, key);
    if (file[2] == '.' && file[3] >= '0' && file[3] <= '7') {
        reg = file[3];
    }
    if (at && reg) {
        char sub[8];
        snprintf(sub, sizeof sub, "\"%c\":", reg);
        at = strstr(at, sub);
    }
    unsigned mask = 0xffff;
    if (at) {
        const char *end = strchr(at, '}');
        const char *found = strstr(at, "\"flags-mask\":");
        if (found && end && found < end) {
            mask = (unsigned)strtoul(found + 13, NULL, 10);
        }
    }
    if (!strncmp(file, "C0", 2) || !strncmp(file, "C1", 2) || !strncmp(file, "D2", 2) || !strncmp(file, "D3", 2)) {
        mask &= ~0x800u; /* OF is undefined for counts other than 1 */
    }
    return mask;
}

static bool run_file(struct runner *r, const char *dir, const char *name, const char *metadata)
{
    char path[1024];
    unsigned long failures = 0;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    gzFile in = gzopen(path, "rb");
    uint8_t *bytes = malloc(FILE_MAX);
    int size = in && bytes ? gzread(in, bytes, FILE_MAX) : -1;
    if (in) {
        gzclose(in);
    }
    if (size < 0) {
        fprintf(stderr, "sst: cannot read '%s'\n", path);
        free(bytes);
        return false;
    }
    struct bytes all = { bytes, (size_t)size }, payload;
    const char *tag;
    struct vector v;
    r->flags_mask = metadata_mask(metadata, name);
    while (next_chunk(&all, &tag, &payload)) {
        if (!memcmp(tag, "TEST", 4)) {
            parse_test(payload, &v);
            run_case(r, &v, &failures, name);
        }
    }
    if (failures) {
        printf("%s: %lu unexplained\n", name, failures);
    }
    free(bytes);
    return true;
}

static char *read_text(const char *dir, const char *name)
{
    char path[1024];
    char *text = calloc(1, 1 << 20);

    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *in = fopen(path, "rb");
    if (!in || !text || fread(text, 1, (1 << 20) - 1, in) == 0) {
        fprintf(stderr, "sst: cannot read '%s'\n", path);
        exit(1);
    }
    fclose(in);
    return text;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int main(int argc, char **argv)
{
    struct runner r = { 0 };
    struct dirent **entries;

    if (argc < 2 || !runner_open(&r)) {
        fprintf(stderr, "usage: sst DIR [FILE...]\n");
        return 1;
    }
    char *metadata = read_text(argv[1], "metadata.json");
    int count = scandir(argv[1], &entries, NULL, by_name);
    for (int k = 0; k < count; k++) {
        const char *name = entries[k]->d_name;
        bool wanted = strstr(name, ".MOO.gz") != NULL && argc == 2;
        for (int a = 2; a < argc; a++) {
            wanted |= !strncmp(name, argv[a], strlen(argv[a]));
        }
        if (wanted && !run_file(&r, argv[1], name, metadata)) {
            return 1;
        }
        free(entries[k]);
    }
    free(entries);
    free(metadata);
    unsigned long explained = 0;
    for (unsigned k = 1; k < RULE_COUNT; k++) {
        printf("%8lu  %s\n", r.explained[k], rules[k]);
        explained += r.explained[k];
    }
    printf("cases=%lu passed=%lu explained=%lu unexplained=%lu\n", r.cases, r.passed, explained, r.unexplained);
    return r.unexplained ? 1 : 0;
}
