/* generate.c - cases from rows of the instruction table.
 *
 * Bytes are made of prefixes, the row's opcode and random ModRM, SIB, displacement and immediate; the decoder under test
 * tells what they mean, and registers are then bent so that memory operands, stacks and branch targets fall where
 * something interesting is. A wrong decoder shows in the comparison like any other error: the host decodes by itself. */
#include "tests/oracle/generate.h"

#include <string.h>

/* ---- what cannot be compared ---- */

const char *row_exemption(const struct opcode *row)
{
    static const struct {
        const char *mnemonic, *why;
    } exempt[] = {
        { "cpuid", "tells which processor it is" },
        { "rdtsc", "tells the time" },
        { "rdtscp", "tells the time" },
        { "rdrand", "is random" },
        { "rdseed", "is random" },
        { "sgdt", "tells about the host's kernel" },
        { "sidt", "tells about the host's kernel" },
        { "sldt", "tells about the host's kernel" },
        { "str", "tells about the host's kernel" },
        { "smsw", "tells about the host's kernel" },
        { "sysenter", "enters the host's kernel" },
        { "syscall", "enters the host's kernel" },
        { "xgetbv", "tells about the host's kernel" },
        { "xsetbv", "depends on what the host's kernel allows" },
        { "xsave", "saves state that the interpreter does not have" },
        { "xrstor", "loads state that the interpreter does not have" },
        { "xsaveopt", "saves state that the interpreter does not have" },
        { "sysret", "faults otherwise outside of level 0 on AMD processors" },
        { "wrfsbase", "would take the process's own thread area away" },
        { "wrgsbase", "changes what the process has in GS" },
        { "rdfsbase", "tells about the process" },
        { "rdgsbase", "tells about the process" },
        { "rdpid", "tells which processor it is" },
        { "rdpkru", "tells about the host's kernel" },
        { "wrpkru", "depends on what the host's kernel allows" },
        { "xsavec", "saves state that the interpreter does not have" },
        { "sysexit", "does not exist on AMD processors in long mode" },
        { "int1", "raises #DB, which Linux reports without the state of a fault" },
        { "monitor", "depends on the host" },
        { "mwait", "depends on the host" },
        { "rsm", "is emulated by some hypervisors" },
        { "wbinvd", "is emulated by some hypervisors" },
        { "invd", "is emulated by some hypervisors" },
    };

    for (size_t k = 0; k < sizeof exempt / sizeof *exempt; k++) {
        if (!strcmp(row->mnemonic, exempt[k].mnemonic)) {
            return exempt[k].why;
        }
    }
    return NULL;
}

/* ---- operands ---- */

static uint64_t decoded_mask(const struct decoded *d)
{
    return d->address_size == 0 ? 0xffff : d->address_size == 1 ? 0xffffffff : ~UINT64_C(0);
}

static uint32_t selector_base(uint16_t selector)
{
    return selector & 4 && (selector >> 3) < LDT_COUNT ? ldt_entries[selector >> 3].base : 0;
}

uint64_t effective_address(const struct test_case *t)
{
    const struct decoded *d = &t->decoded;
    const uint64_t *gpr = t->initial.gpr;
    uint64_t ea = (uint64_t)(int64_t)(int32_t)d->displacement;

    if (d->is_relative) {
        ea += t->initial.rip + d->length;
    }
    if (!d->has_modrm && d->address_size == 2) {
        ea = d->displacement; /* an absolute address of 64 bits */
    }
    ea += d->base != REG_NIL ? gpr[d->base] : 0;
    ea += d->index != REG_NIL ? gpr[d->index] << d->scale : 0;
    return ea & decoded_mask(d);
}

uint32_t segment_base(const struct test_case *t, unsigned segment)
{
    return selector_base(t->initial.selector[segment]);
}

/* Sets the low bits of a register that an address of this size uses. */
static void set_address_register(struct test_case *t, unsigned reg, uint64_t value)
{
    uint64_t mask = decoded_mask(&t->decoded);

    t->initial.gpr[reg] = (t->initial.gpr[reg] & ~mask & 0xffffffff) | (value & mask);
}

/* Makes the operand's address `linear`: by its displacement where that is wide enough, or by its base. */
void aim_operand(struct test_case *t, struct assembly *a, uint32_t linear)
{
    struct decoded *d = &t->decoded;
    uint64_t want = linear - segment_base(t, d->segment);
    unsigned wide = d->address_size == 0 ? 2 : d->address_size == 2 && !d->has_modrm ? 8 : 4;
    unsigned at = a->opcode_size, mod = d->modrm >> 6;
    bool is_offset = !d->has_modrm; /* moffs */
    bool has_wide = is_offset || mod == 2 || (mod == 0 && d->base == REG_NIL);

    if (d->address_size == 2 && d->has_modrm) {
        /* A displacement does not reach from anywhere to anywhere. */
        bool moves_base = d->base != REG_NIL && d->base != d->index;
        if (d->index != REG_NIL && !moves_base) {
            t->initial.gpr[d->index] &= 0xfff;
        }
        if (moves_base) {
            t->initial.gpr[d->base] += want - effective_address(t);
            return;
        }
    }
    if (d->opcode->attributes & OP_XLAT) {
        set_address_register(t, REG_BX, want - (t->initial.gpr[REG_AX] & 0xff));
        return;
    }
    if (has_wide) {
        uint64_t rest = effective_address(t) - (uint64_t)(int64_t)(int32_t)d->displacement;
        if (wide == 8) {
            rest = 0;
        }
        uint64_t displacement = want - rest;
        if (d->has_modrm) {
            at += d->address_size > 0 && (d->modrm & 7) == 4 ? 2 : 1;
        }
        for (unsigned k = 0; k < wide; k++) {
            a->body[at + k] = (uint8_t)(displacement >> (8 * k));
        }
    } else if (d->base != REG_NIL && d->base != d->index) {
        set_address_register(t, d->base, t->initial.gpr[d->base] + want - effective_address(t));
    }
}

static uint16_t any_selector(struct rng *r, const struct generator *g)
{
    static const uint16_t selectors[] = { 0, 1, 2, 3, SELECTOR_DATA, SELECTOR_DATA, SELECTOR_DATA, 0x2a, 0x28, 0x29, SELECTOR_CODE32,
                                          0x20, 0x10, 0x18, 0x08, 0x1b, 0x3b, 0x80, 0x88, 0xfff8 };
    static const uint16_t locals[] = { LDT_CODE16, LDT_DATA16, LDT_SMALL, LDT_DOWN, LDT_READONLY, LDT_EXECUTE, LDT_ABSENT,
                                       LDT_DOWN16, 0x0c, 0x4f };

    if (g->host.has_ldt && rng_one_in(r, 2)) {
        return locals[rng_below(r, sizeof locals / sizeof *locals)];
    }
    uint16_t selector = selectors[rng_below(r, sizeof selectors / sizeof *selectors)];
    return !g->host.has_code32 && (selector & ~3u) == (SELECTOR_CODE32 & ~3u) ? SELECTOR_DATA : selector;
}

bool is_one_of(const char *mnemonic, const char *const *list)
{
    for (; *list; list++) {
        if (!strcmp(mnemonic, *list)) {
            return true;
        }
    }
    return false;
}

bool loads_segment(const struct opcode *row)
{
    static const char *const loads[] = { "les", "lds", "lss", "lfs", "lgs", NULL };

    return (operand_codes[row->operands[0]].kind == KIND_S) || is_one_of(row->mnemonic, loads) ||
           (!strcmp(row->mnemonic, "pop") && operand_codes[row->operands[0]].kind == KIND_SEG);
}

bool takes_selector(const struct opcode *row)
{
    static const char *const takes[] = { "lar", "lsl", "verr", "verw", "arpl", "lldt", "ltr", NULL };

    return loads_segment(row) || is_one_of(row->mnemonic, takes);
}

bool is_far(const struct opcode *row)
{
    static const char *const fars[] = { "callf", "jmpf", "retf", "iret", NULL };

    return is_one_of(row->mnemonic, fars);
}

static bool is_far_pointer(const struct opcode *row)
{
    return operand_codes[row->operands[0]].size == SIZE_P || operand_codes[row->operands[1]].size == SIZE_P;
}

/* What lies at an operand in memory. */
static void fill_operand(struct test_case *t, const struct generator *g, struct rng *r, uint32_t linear)
{
    const struct opcode *row = t->row;
    const struct decoded *d = &t->decoded;
    uint8_t bytes[POKE_BYTES];

    any_bytes(r, bytes, sizeof bytes);
    if (is_far_pointer(row)) {
        unsigned offset_size = d->operand_size == 1 ? 2 : 4;
        uint16_t selector = is_far(row) ? SELECTOR_CODE32 : any_selector(r, g);
        if (is_far(row)) {
            store_le32(bytes, t->exits[1]);
        }
        store_le16(bytes + offset_size, selector);
    } else if (row->attributes & OP_BRANCH) {
        if (t->mode & MODE_CODE64) {
            /* Which fault of CALL comes first, the stack's or the target's, varies. */
            store_le64(bytes, rng_one_in(r, 8) && row->mnemonic[0] == 'j' ? rng_next(r) : t->exits[1]);
        } else {
            store_le32(bytes, t->exits[1]);
        }
    } else if (takes_selector(row)) {
        store_le16(bytes, any_selector(r, g));
    }
    add_poke(t, linear, bytes, rng_one_in(r, 4) ? POKE_BYTES : 32);
}

/* What lies at the top of the stack. */
static void fill_stack(struct test_case *t, const struct generator *g, struct rng *r)
{
    const struct opcode *row = t->row;
    uint8_t bytes[32];
    unsigned size = t->decoded.operand_size == 1 ? 2 : 4;

    any_bytes(r, bytes, sizeof bytes);
    if ((t->mode & MODE_CODE64) && (row->attributes & OP_BRANCH) && rng_below(r, 8)) {
        store_le64(bytes, t->exits[1]);
    } else if (row->attributes & OP_ENDS) {
        bool exact = rng_below(r, 8) != 0;
        if ((row->attributes & OP_BRANCH) || is_far(row)) {
            store_le32(bytes, t->exits[1]);
        }
        if (is_far(row)) {
            store_le16(bytes + size, exact ? SELECTOR_CODE32 : any_selector(r, g));
            if (size == 4) {
                store_le16(bytes + 6, (uint16_t)rng_next(r));
            }
            uint32_t flags = (uint32_t)rng_next(r) & ~(FLAG_TF | FLAG_NT | FLAG_VM | FLAG_RF);
            store_le32(bytes + 2 * size, flags);
        } else if (loads_segment(row)) {
            store_le16(bytes, any_selector(r, g));
        } else if (!strcmp(row->mnemonic, "popf")) {
            store_le32(bytes, load_le32(bytes) & ~(rng_below(r, 4) ? FLAG_TF : 0));
        }
    }
    uint64_t esp = t->initial.gpr[REG_SP];
    if (t->initial.selector[SEG_SS] == LDT_DATA16 || t->initial.selector[SEG_SS] == LDT_DOWN16) {
        esp &= 0xffff;
    }
    add_poke(t, (uint32_t)esp + segment_base(t, SEG_SS), bytes, sizeof bytes);
}

static void fill_fx(struct rng *r, uint8_t *fx)
{
    static const uint8_t masks[] = { 0x3f, 0x3f, 0x3f, 0, 0x3e, 0x1f, 0x3d };
    uint16_t status = (uint16_t)(rng_next(r) & 0x7f00);

    memset(fx, 0, 512);
    store_le16(fx, (uint16_t)((rng_below(r, 2) ? masks[rng_below(r, sizeof masks)] : rng_below(r, 64)) | 0x40 |
                              (rng_next(r) & 0xf00) | (rng_one_in(r, 8) ? 0x1000 : 0)));
    if (rng_one_in(r, 3)) {
        status |= (uint16_t)rng_next(r) & 0x7f;
    }
    if (rng_below(r, 8)) { /* mostly nothing pending */
        status &= (uint16_t)~(~load_le16(fx) & 0x3f);
    } else if (status & ~load_le16(fx) & 0x3f) {
        status |= 0x8080;
    }
    store_le16(fx + 2, status);
    fx[4] = (uint8_t)(rng_below(r, 3) ? 0xff : rng_next(r));
    store_le16(fx + 6, (uint16_t)(rng_next(r) & 0x7ff));
    store_le32(fx + 8, (uint32_t)rng_next(r));
    store_le32(fx + 16, (uint32_t)rng_next(r));
    store_le32(fx + 24, rng_below(r, 3) ? 0x1f80 | ((uint32_t)rng_next(r) & (rng_below(r, 2) ? 0x6000u : 0xe040u))
                                        : (uint32_t)rng_next(r) & 0xffff);
    store_le32(fx + 28, 0xffff);
    for (unsigned k = 0; k < 8; k++) {
        any_extended(r, fx + 32 + 16 * k);
    }
    for (unsigned k = 0; k < 16; k++) {
        any_bytes(r, fx + 160 + 16 * k, 16);
    }
}

static void default_fx(uint8_t *fx)
{
    memset(fx, 0, 512);
    store_le16(fx, 0x37f);
    store_le32(fx + 24, 0x1f80);
    store_le32(fx + 28, 0xffff);
}

/* ---- a case ---- */

void choose_state(struct test_case *t, const struct generator *g, struct rng *r)
{
    struct state *s = &t->initial;
    static const uint16_t extras[] = { LDT_SMALL, LDT_DOWN, LDT_READONLY, LDT_SMALL, LDT_DATA16, LDT_DOWN16 };

    for (unsigned k = 0; k < 16; k++) {
        s->gpr[k] = any_value(r);
        if (!(t->mode & MODE_CODE64)) {
            s->gpr[k] = k < 8 ? (uint32_t)s->gpr[k] : 0;
        }
    }
    s->rflags = FLAG_1 | FLAG_IF | ((uint32_t)rng_next(r) & FLAGS_STATUS);
    s->rflags |= (rng_one_in(r, 4) ? FLAG_DF : 0) | (rng_one_in(r, 16) ? FLAG_AC : 0) | (rng_one_in(r, 24) ? FLAG_TF : 0) |
                 (rng_one_in(r, 16) ? FLAG_RF : 0) | (rng_one_in(r, 16) ? FLAG_ID : 0);
    for (unsigned k = 0; k < 4; k++) {
        static const uint8_t which[4] = { SEG_ES, SEG_SS, SEG_DS, SEG_ES };
        s->selector[which[k]] = SELECTOR_DATA;
    }
    if (g->host.has_ldt && rng_one_in(r, 3)) {
        s->selector[rng_below(r, 2) ? SEG_ES : SEG_DS] = extras[rng_below(r, sizeof extras / sizeof *extras)];
    }
    if (g->host.has_ldt && rng_one_in(r, 4)) {
        static const uint16_t stacks[] = { LDT_DATA16, LDT_DATA16, LDT_SMALL, LDT_DOWN, LDT_DOWN16 };
        s->selector[SEG_SS] = stacks[rng_below(r, 5)];
    }
    if (rng_one_in(r, 16)) {
        s->selector[rng_below(r, 2) ? SEG_ES : SEG_DS] = 0;
    }
    s->selector[SEG_CS] = t->mode & MODE_CODE64   ? SELECTOR_CODE64
                          : t->mode & MODE_CODE32 ? SELECTOR_CODE32
                                                  : LDT_CODE16;
    default_fx(s->fx);
    if (t->uses_fpu) {
        fill_fx(r, s->fx);
    }
}

bool is_fpu_row(const struct opcode *row)
{
    static const char *const extensions[] = { "MMX", "SSE", "SSE2", "SSE3", "SSSE3", "SSE41", "SSE42", "AES", "PCLMUL", "FXSR",
                                              "PCLMULQDQ", "AESNI", "SSE4_1", "SSE4_2", "SHA_NI", NULL };

    return (row->attributes & OP_X87) || !strcmp(row->mnemonic, "fwait") || is_one_of(row->since, extensions);
}

/* Places code, and an exit somewhere near for branches. */
static void place_code(struct test_case *t, struct rng *r, bool is_low)
{
    uint32_t base = is_low ? WINDOW_LOW + 8 * PAGE : WINDOW_HIGH;
    uint32_t start = base + 256 + rng_below(r, PAGE - 600);

    if (rng_one_in(r, 12)) {
        start = (is_low ? WINDOW_LOW + 9u * PAGE : WINDOW_HIGH + PAGE) - 1 - rng_below(r, 14); /* across a page */
    }
    t->initial.rip = start;
    uint32_t distance = 32 + rng_below(r, 70);
    t->exits[1] = rng_below(r, 2) ? start + 32 + distance : start - distance;
    if (rng_one_in(r, 4)) {
        t->exits[1] = base + 32 + rng_below(r, 2 * PAGE - 64);
    }
    if (t->exits[1] + 16 > start && t->exits[1] < start + 48) {
        t->exits[1] = start + 64;
    }
}

/* Registers by what the instruction does with them. */
static void aim_registers(struct test_case *t, const struct generator *g, struct assembly *a, struct rng *r)
{
    const struct opcode *row = t->row;
    struct decoded *d = &t->decoded;
    struct state *s = &t->initial;
    bool is_short = d->address_size == 0;
    bool ss16 = s->selector[SEG_SS] == LDT_DATA16 || s->selector[SEG_SS] == LDT_DOWN16;

    uint32_t stack = stack_address(r, ss16 || rng_one_in(r, 6));
    /* IRET to a 16-bit stack leaves the upper half of ESP, which points to native.c's trampoline. */
    s->gpr[REG_SP] = ss16 ? 0x3fff0000 | (stack & 0xffff) : stack - segment_base(t, SEG_SS);
    if (rng_below(r, 2)) {
        s->gpr[REG_BP] = stack_address(r, ss16) - segment_base(t, SEG_SS);
    }
    if (has_operand(row, KIND_X) || has_operand(row, KIND_Y)) {
        uint32_t from = data_address(r, is_short), to = rng_one_in(r, 6) ? from + rng_below(r, 9) - 4 : data_address(r, is_short);
        set_address_register(t, REG_SI, from - segment_base(t, d->segment));
        set_address_register(t, REG_DI, to - segment_base(t, SEG_ES));
        if (rng_below(r, 8)) {
            set_address_register(t, REG_CX, rng_below(r, 24));
        }
        fill_operand(t, g, r, from);
        fill_operand(t, g, r, to - (rng_one_in(r, 2) ? 0 : rng_below(r, 8)));
        if (rng_one_in(r, 2)) { /* equal runs for CMPS, SCAS */
            uint8_t same[48];
            memset(same, (int)(s->gpr[REG_AX] & 0xff), sizeof same);
            add_poke(t, to - 16, same, sizeof same);
            if (rng_one_in(r, 2)) {
                add_poke(t, from - 16, same, sizeof same);
            }
        }
    }
    static const char *const counted[] = { "loop", "loope", "loopne", "jcxz", NULL };
    if (!strncmp(row->mnemonic, "maskmov", 7)) {
        uint32_t to = data_address(r, is_short);
        set_address_register(t, REG_DI, to - segment_base(t, d->segment));
        fill_operand(t, g, r, to);
    }
    if (is_one_of(row->mnemonic, counted) && rng_below(r, 2)) {
        set_address_register(t, REG_CX, rng_below(r, 3));
    }
    if (!strncmp(row->mnemonic, "div", 3) || !strncmp(row->mnemonic, "idiv", 4)) {
        static const uint32_t highs[] = { 0, 0xffffffff, 1, 0, 0, 2 };
        if (rng_below(r, 4)) {
            s->gpr[REG_DX] = highs[rng_below(r, 6)];
        }
    }
    if (row->mnemonic[0] == 'b' && row->mnemonic[1] == 't' && has_operand(row, KIND_G)) {
        unsigned reg = d->reg;
        if (d->operand_size == 3) {
            s->gpr[reg] = rng_below(r, 8) ? (uint64_t)rng_below(r, 4096) - 2048 : s->gpr[reg];
        } else if (rng_below(r, 8)) {
            s->gpr[reg] = (s->gpr[reg] & (d->operand_size == 1 ? 0xffff0000 : 0)) |
                          ((rng_below(r, 4096) - 2048) & (d->operand_size == 1 ? 0xffffu : 0xffffffffu));
        }
    }
    if (takes_selector(row)) {
        unsigned reg = d->rm;
        s->gpr[reg] = (s->gpr[reg] & ~UINT64_C(0xffff)) | any_selector(r, g);
    }
    if ((row->attributes & OP_BRANCH) && has_operand(row, KIND_E) && !d->is_memory) {
        s->gpr[d->rm] = (t->mode & MODE_CODE64) && row->mnemonic[0] == 'j' && rng_one_in(r, 8) ? rng_next(r) : t->exits[1];
    }
    if (d->is_memory) { /* LEA's goes anywhere */
        uint32_t linear = data_address(r, is_short || rng_one_in(r, 6));
        if (!strcmp(row->mnemonic, "lea")) {
            linear = (uint32_t)rng_next(r);
        }
        aim_operand(t, a, linear);
    }
}

/* Immediates, moffs and branch displacements. */
static void aim_immediates(struct test_case *t, struct assembly *a, struct rng *r)
{
    const struct decoded *d = &t->decoded;
    const struct operand_code *first = &operand_codes[t->row->operands[0]];
    unsigned end = d->length - a->prefix_count;

    if (first->kind == KIND_J) {
        unsigned size = first->size == SIZE_B ? 1 : d->operand_size == 1 && !(t->mode & MODE_CODE64) ? 2 : 4;
        uint32_t displacement = t->exits[1] - (uint32_t)(t->initial.rip + d->length);
        if (size == 1 && (uint32_t)(displacement + 128) > 255) {
            displacement = 0x60;
        }
        for (unsigned k = 0; k < size; k++) {
            a->body[end - size + k] = (uint8_t)(displacement >> (8 * k));
        }
    } else if (first->kind == KIND_A) {
        unsigned size = d->operand_size == 1 ? 2 : 4;
        for (unsigned k = 0; k < size; k++) {
            a->body[end - 2 - size + k] = (uint8_t)(t->exits[1] >> (8 * k));
        }
        uint16_t selector = rng_below(r, 8) ? SELECTOR_CODE32 : 0x3b;
        store_le16(a->body + end - 2, selector);
    } else if (!strcmp(t->row->mnemonic, "int")) {
        if (a->body[end - 1] == 0x80 || a->body[end - 1] < 32) {
            a->body[end - 1] = 0x21; /* never a system call or a vector that Linux takes for an exception */
        }
    } else if (!strcmp(t->row->mnemonic, "enter")) {
        store_le16(a->body + end - 3, (uint16_t)(rng_below(r, 8) ? rng_below(r, 64) : rng_next(r)));
        if (rng_below(r, 2)) {
            a->body[end - 1] = (uint8_t)rng_below(r, 4);
        }
    }
}

/* Whether the addresses in the instruction have a size that matters. */
bool uses_addresses(const struct decoded *d)
{
    static const char *const counted[] = { "loop", "loope", "loopne", "jcxz", "maskmovq", "maskmovdqu", NULL };

    return d->is_memory || (d->opcode->attributes & (OP_STRING | OP_XLAT)) || is_one_of(d->opcode->mnemonic, counted);
}

/* Whether it reads the selector of CS. */
static bool names_cs(const struct test_case *t)
{
    const struct operand_code *first = &operand_codes[t->row->operands[0]], *second = &operand_codes[t->row->operands[1]];

    return ((first->kind == KIND_S || second->kind == KIND_S) && (t->decoded.modrm >> 3 & 7) == SEG_CS) ||
           (first->kind == KIND_SEG && first->number == SEG_CS);
}

/* Rows that do something else in 64-bit mode, or that cannot be had there. */
bool has_64bit_counterpart(const struct test_case *t)
{
    const struct opcode *row = t->row;
    const struct decoded *d = &t->decoded;
    const struct operand_code *first = &operand_codes[row->operands[0]], *second = &operand_codes[row->operands[1]];

    /* 64-bit code has no 32-bit pushes and pops, but those of 16 bits are the same. */
    if (d->operand_size != 1 && (row->attributes & (OP_STACK | OP_STACK2 | OP_DEF64))) {
        return false;
    }
    if ((row->attributes & OP_NOT64) || is_far(row) || first->kind == KIND_C ||
        first->kind == KIND_D || second->kind == KIND_C || second->kind == KIND_D) {
        return false;
    }
    if ((row->attributes & OP_BRANCH) && (first->kind != KIND_J || d->operand_size == 1)) {
        return false;
    }
    return !(uses_addresses(d) && d->address_size == 0);
}

static unsigned count_overrides(const struct assembly *a)
{
    unsigned count = 0;

    for (unsigned k = 0; k < a->prefix_count; k++) {
        uint8_t byte = a->prefixes[k];
        count += byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e || byte == 0x64 || byte == 0x65;
    }
    return count;
}

/* The same instruction as native code of another mode; false when there is none. */
bool convert(struct test_case *t, struct assembly *a)
{
    const struct decoded *d = &t->decoded;
    uint8_t bytes[40];
    unsigned body = d->length - a->prefix_count;
    bool to64 = (t->native_mode & MODE_CODE64) != 0;

    if (!(t->mode & MODE_CODE32) && !strcmp(t->row->mnemonic, "movbe")) {
        return false; /* 66h is part of one row and not of the other */
    }
    if (to64 && (!has_64bit_counterpart(t) || (d->has_override && d->segment == SEG_CS) || count_overrides(a) > 1)) {
        return false;
    }
    if (!to64 && ((t->row->attributes & OP_BRANCH) || is_far(t->row))) {
        return false;
    }
    if (names_cs(t)) {
        return false;
    }
    if (t->row->map >= MAP_V38) {
        a->body[1] |= 0xe0; /* no other registers than there are in 32-bit code */
        a->body[2] = (uint8_t)((a->body[2] & 0x7f) | 0x40);
    }
    if (t->row->prefix != PREFIX_66 && t->row->prefix != PREFIX_NONE && t->row->map < MAP_V38) {
        want_prefix(a, 0x66, d->operand_size == 1);
    }
    want_prefix(a, 0x67, uses_addresses(d) && (to64 || d->address_size == 0));
    if (to64 && d->is_memory && d->has_modrm && (d->modrm & 0xc7) == 5) {
        /* An absolute address: without SIB it would count from RIP. */
        unsigned at = a->opcode_size;
        memmove(a->body + at + 2, a->body + at + 1, sizeof a->body - at - 2);
        a->body[at] = (uint8_t)((a->body[at] & 0xf8) | 4);
        a->body[at + 1] = 0x25;
        body++;
    }
    join(a, bytes);
    t->native_size = (uint8_t)(a->prefix_count + body);
    memcpy(t->native_code, bytes, t->native_size);
    return true;
}

/* The mode of the native code: the same where the host has it. */
unsigned native_mode(const struct generator *g, unsigned mode)
{
    if ((mode & MODE_CODE64) || (mode & MODE_CODE32 ? g->host.has_code32 : g->host.has_ldt)) {
        return mode;
    }
    return MODE_PROTECTED | (g->host.has_code32 ? MODE_CODE32 : MODE_CODE64);
}

/* Does 64-bit code stand for other code? */
bool to_flat(const struct test_case *t)
{
    return (t->native_mode & MODE_CODE64) && !(t->mode & MODE_CODE64);
}

/* In 64-bit code ES, CS, SS and DS have no base, limit or rights, and FS and GS are the process's own until loaded. */
void flatten_segments(struct test_case *t)
{
    uint16_t *selectors = t->initial.selector;

    selectors[SEG_ES] = selectors[SEG_DS] = selectors[SEG_SS] = SELECTOR_DATA;
    if (t->decoded.has_override && t->decoded.segment >= SEG_FS) {
        selectors[t->decoded.segment] = SELECTOR_DATA;
    }
}

/* Whether the operand lies near the code, which is not the same on both sides. */
static bool overlaps_code(const struct test_case *t)
{
    uint32_t linear = (uint32_t)effective_address(t) + segment_base(t, t->decoded.segment);

    return page_kind(linear) == 'x' || page_kind(linear + 15) == 'x';
}

static bool make_case(const struct generator *g, const struct opcode *row, struct rng *r, struct test_case *t)
{
    struct assembly a = { 0 };
    uint8_t bytes[40];

    memset(t, 0, sizeof *t);
    t->row = row;
    t->mode = MODE_PROTECTED | MODE_CODE32;
    if (g->code64) {
        t->mode = MODE_PROTECTED | MODE_CODE64;
        if (is_far(row)) {
            return false; /* where to? */
        }
    } else if (rng_one_in(r, 4)) {
        t->mode = MODE_PROTECTED;
    }
    t->native_mode = native_mode(g, t->mode);
    t->uses_fpu = is_fpu_row(row);
    t->lands_in_code32 = is_far(row);
    choose_prefixes(&a, row, r);
    choose_body(&a, row, r);
    if (g->code64 && (row->attributes & OP_BRANCH)) {
        want_prefix(&a, 0x66, false); /* does nothing on Intel processors, cuts RIP to 16 bits on AMD's (AMD64 APM vol. 3, 1.2.2) */
    }
    if (g->code64 && row->map < MAP_V38 && rng_below(r, 4)) {
        a.prefixes[a.prefix_count++] = (uint8_t)(0x40 | (rng_below(r, 16) | (rng_one_in(r, 3) ? 8u : 0u)));
    }
    unsigned size = join(&a, bytes);
    enum decode_result result = decode(g->decoder, bytes, size, t->mode, &t->decoded);
    if (t->decoded.opcode != row || (result != DECODED && result != DECODE_UNDEFINED)) {
        return false;
    }
    if (result == DECODE_UNDEFINED && !rng_one_in(r, 8)) {
        return false;
    }
    if (g->code64 && (t->decoded.rex & REX_W) && loads_segment(row) && has_operand(row, KIND_G)) {
        return false; /* LSS, LFS, LGS with REX.W: AMD processors take 32 bits of offset all the same */
    }
    if (t->decoded.operand_size == 1 && !strcmp(row->mnemonic, "movsxd")) {
        return false; /* reads 16 bits by the SDM, 32 on AMD processors */
    }
    if (g->code64 && t->decoded.has_lock && has_operand(row, KIND_R)) {
        return false; /* LOCK MOV CR0 is CR8 on AMD processors */
    }
    bool needs_low_code = (row->attributes & (OP_BRANCH | OP_ENDS)) && t->decoded.operand_size == 1 && rng_below(r, 4);
    place_code(t, r, needs_low_code || !(t->mode & (MODE_CODE32 | MODE_CODE64)) || rng_one_in(r, 8));
    choose_state(t, g, r);
    if (t->decoded.has_override && t->decoded.segment >= SEG_FS && rng_below(r, 4)) {
        t->initial.selector[t->decoded.segment] = SELECTOR_DATA;
    }
    if (to_flat(t) || g->code64) {
        flatten_segments(t);
    }
    t->restores_fs = t->initial.selector[SEG_FS] || t->initial.selector[SEG_GS] || loads_segment(row);
    aim_registers(t, g, &a, r);
    aim_immediates(t, &a, r);
    size = join(&a, bytes);
    if (decode(g->decoder, bytes, size, t->mode, &t->decoded) != result || t->decoded.opcode != row) {
        return false;
    }
    if (t->decoded.is_memory && overlaps_code(t)) {
        return false;
    }
    if (t->decoded.is_memory && !strcmp(row->since, "SHA_NI") && (effective_address(t) & 15)) {
        return false; /* #GP by SDM vol. 2, 2.4 (type 4), none on AMD Zen */
    }
    if (to_flat(t) && t->decoded.is_memory && (uint32_t)effective_address(t) > 0xfffffe00) {
        return false; /* would go beyond 4 GiB there */
    }
    if (to_flat(t) && (row->attributes & (OP_STACK | OP_STACK2)) &&
        (t->initial.gpr[REG_SP] - 4096 > 0xffffe000 || t->initial.gpr[REG_BP] > 0xfffffe00)) {
        return false;
    }
    t->code_size = t->decoded.length;
    memcpy(t->code, bytes, t->code_size);
    t->exits[0] = (uint32_t)t->initial.rip + t->code_size;
    if (t->decoded.is_memory) {
        t->operand = (uint32_t)effective_address(t) + segment_base(t, t->decoded.segment);
        fill_operand(t, g, r, t->operand);
    }
    if (row->attributes & (OP_STACK | OP_STACK2 | OP_ENDS)) {
        fill_stack(t, g, r);
    }
    if (t->native_mode == t->mode) {
        t->native_size = t->code_size;
        memcpy(t->native_code, t->code, t->code_size);
    } else if (!convert(t, &a)) {
        return false;
    }
    t->single = rng_one_in(r, 3);
    t->undefined = undefined_flags(t);
    return true;
}

bool generate(const struct generator *g, const struct opcode *row, uint64_t seed, struct test_case *out)
{
    struct rng rng = { seed };

    for (unsigned attempt = 0; attempt < 200; attempt++) {
        if (make_case(g, row, &rng, out)) {
            return true;
        }
    }
    return false;
}
