/* sequence.c - cases of several instructions.
 *
 * What a single instruction cannot show: status flags that a later instruction reads, keeps or overwrites (the block
 * builder drops flags that are dead), fused pairs, and faults in the middle of a block. EBX, ESI and EDI point to data and
 * are not written, so that operands stay where they were aimed. */
#include "tests/oracle/generate.h"

#include <string.h>

static bool is_pointer(unsigned reg) { return reg == REG_BX || reg == REG_SI || reg == REG_DI || reg == REG_SP; }

/* Instructions that leave flags as they are in some cases, so that what was undefined before may still be. */
static bool keeps_flags(const struct opcode *row)
{
    static const char *const keeping[] = { "rol", "ror", "rcl", "rcr", "shl", "shr", "sar", "shld", "shrd", "bt", "bts", "btr", "btc",
                                           "bsf", "bsr", "div", "idiv", "cmpxchg8b", "lar", "lsl", NULL };

    return is_one_of(row->mnemonic, keeping);
}

/* Flags whose value decides what the instruction does. */
static unsigned flags_needed(const struct opcode *row)
{
    if (!strcmp(row->mnemonic, "rcl") || !strcmp(row->mnemonic, "rcr")) {
        return STATUS_C;
    }
    return keeps_flags(row) ? 0 : row->flags_read;
}

static unsigned undefined_after(const struct opcode *row, unsigned before)
{
    static const char *const shifts[] = { "shl", "shr", "shld", "shrd", NULL };

    if (is_one_of(row->mnemonic, shifts)) {
        before |= STATUS_C | STATUS_A | STATUS_O; /* depends on the count */
    }
    if (keeps_flags(row)) {
        return before | row->flags_undefined | (row->flags_written & STATUS_O);
    }
    return (before & ~(unsigned)row->flags_written) | row->flags_undefined;
}

/* Rows that a sequence may have in the middle. */
static bool fits(const struct opcode *row)
{
    static const char *const unfit[] = { "cmpxchg8b", "shld", "shrd", "bsf", "bsr", "bswap", "fcomi", "fcomip", "fucomi", "fucomip", "fsin", "fcos",
                                         "fsincos", "fptan", "fpatan", "fyl2x", "fyl2xp1", "f2xm1", "fxsave", "fxrstor",
                                         "fnsave", "fnstenv", "fldenv", "frstor", "ldmxcsr", "int", "int3", "into", "hlt", "ud0", "ud1",
                                         "ud2", "maskmovq", "maskmovdqu", "rcpps", "rcpss", "rsqrtps", "rsqrtss", "cli", "sti", "popf", "lahf", NULL };

    if ((row->attributes & (OP_STRING | OP_XLAT | OP_IO | OP_CPL0 | OP_ENDS | OP_BRANCH | OP_NOT64 | OP_STACK | OP_STACK2)) ||
        row_exemption(row) || is_one_of(row->mnemonic, unfit) || takes_selector(row) || is_far(row)) {
        return false;
    }
    return !has_operand(row, KIND_S);
}

/* Whether the instruction leaves the pointers alone. */
static bool spares_pointers(const struct decoded *d)
{
    for (unsigned k = 0; k < 2; k++) {
        const struct operand_code *code = &operand_codes[d->opcode->operands[k]];
        unsigned reg;
        switch (code->kind) {
        case KIND_E:
        case KIND_R:
            reg = d->is_memory ? REG_AX : d->modrm & 7;
            break;
        case KIND_G:
            reg = d->modrm >> 3 & 7;
            break;
        case KIND_Z:
            reg = d->opcode_byte & 7;
            break;
        default:
            continue;
        }
        if (is_pointer(d->size == 0 || code->size == SIZE_B ? reg & 3 : reg) || is_pointer(reg)) {
            return false;
        }
    }
    return true;
}

/* Adds one instruction at the end; false: try another. */
static bool append(struct test_case *t, const struct generator *g, const struct opcode *row, struct rng *r)
{
    struct assembly a = { 0 };
    struct test_case one = *t;
    uint8_t bytes[40], value[32];

    choose_prefixes(&a, row, r);
    choose_body(&a, row, r);
    one.row = row;
    unsigned size = join(&a, bytes);
    if (decode(g->decoder, bytes, size, t->mode, &one.decoded) != DECODED || one.decoded.opcode != row) {
        return false;
    }
    struct decoded *d = &one.decoded;
    if (d->is_memory && !strcmp(row->since, "SHA_NI")) {
        return false; /* of misaligned operands AMD processors think otherwise */
    }
    if (!spares_pointers(d) || (d->has_override && (d->segment >= SEG_FS || d->segment == SEG_CS)) || d->has_lock) {
        return false;
    }
    if (d->is_memory) {
        bool base_ok = d->base == REG_NIL || (is_pointer(d->base) && d->base != REG_SP);
        bool has_room = !d->has_modrm || (d->modrm >> 6) == 2 || (d->base == REG_NIL && (d->modrm >> 6) == 0);
        if (d->address_size != 1 || !base_ok || (d->index != REG_NIL && !is_pointer(d->index)) || !has_room ||
            (row->mnemonic[0] == 'b' && row->mnemonic[1] == 't')) {
            return false;
        }
        uint32_t linear = data_address(r, rng_one_in(r, 4));
        aim_operand(&one, &a, linear);
        any_bytes(r, value, sizeof value);
        add_poke(t, linear, value, sizeof value);
    }
    size = join(&a, bytes);
    if (decode(g->decoder, bytes, size, t->mode, d) != DECODED || d->opcode != row) {
        return false;
    }
    if (t->code_size + d->length + 24u > CODE_MAX || t->native_size + d->length + 24u > CODE_MAX) {
        return false;
    }
    unsigned start = t->code_size, native_start = t->native_size;
    memcpy(t->code + start, bytes, d->length);
    one.native_size = 0;
    if (t->native_mode == t->mode) {
        one.native_size = d->length;
        memcpy(one.native_code, bytes, d->length);
    } else if (!convert(&one, &a)) {
        return false;
    }
    memcpy(t->native_code + native_start, one.native_code, one.native_size);
    t->starts[t->count] = (uint8_t)start;
    t->native_starts[t->count] = (uint8_t)native_start;
    t->code_size = (uint8_t)(start + d->length);
    t->native_size = (uint8_t)(native_start + one.native_size);
    t->uses_fpu |= is_fpu_row(row);
    t->count++;
    return true;
}

/* A conditional jump at the end, over a byte or 32 bits. */
static void append_jump(struct test_case *t, struct rng *r)
{
    unsigned condition = rng_below(r, 16), at = t->code_size, native_at = t->native_size;
    uint8_t jump[6];
    unsigned size = rng_below(r, 2) ? 2 : 6;

    t->exits[1] = (uint32_t)t->initial.rip + CODE_MAX + 16;
    uint32_t displacement = t->exits[1] - (uint32_t)(t->initial.rip + at + size);
    if (size == 2) {
        jump[0] = (uint8_t)(0x70 + condition);
        jump[1] = (uint8_t)displacement;
    } else {
        jump[0] = 0x0f;
        jump[1] = (uint8_t)(0x80 + condition);
        store_le32(jump + 2, displacement);
    }
    memcpy(t->code + at, jump, size);
    memcpy(t->native_code + native_at, jump, size);
    t->starts[t->count] = (uint8_t)at;
    t->native_starts[t->count++] = (uint8_t)native_at;
    t->code_size = (uint8_t)(at + size);
    t->native_size = (uint8_t)(native_at + size);
}

/* Flags that the conditions of a jump read, by condition / 2. */
static const uint8_t condition_flags[8] = { STATUS_O, STATUS_C, STATUS_Z, STATUS_C | STATUS_Z, STATUS_S, STATUS_P,
                                            STATUS_S | STATUS_O, STATUS_S | STATUS_O | STATUS_Z };

bool generate_sequence(const struct generator *g, uint64_t seed, struct test_case *t)
{
    struct rng rng = { seed }, *r = &rng;
    unsigned wanted = 2 + rng_below(r, SEQUENCE_MAX - 2), undefined = 0;
    bool is_x87 = rng_one_in(r, 6);

    memset(t, 0, sizeof *t);
    t->mode = MODE_PROTECTED | MODE_CODE32;
    t->native_mode = native_mode(g, t->mode);
    t->uses_fpu = is_x87;
    t->initial.rip = WINDOW_HIGH + 256 + rng_below(r, PAGE - 512);
    choose_state(t, g, r);
    t->initial.rflags &= ~(FLAG_TF | FLAG_RF);
    flatten_segments(t);
    t->initial.gpr[REG_SP] = stack_address(r, false);
    for (unsigned attempt = 0; attempt < 4000 && t->count < wanted; attempt++) {
        const struct opcode *row = &opcodes[rng_below(r, (unsigned)opcode_count)];
        if (!fits(row) || is_fpu_row(row) != is_x87 || (flags_needed(row) & undefined)) {
            continue;
        }
        if (append(t, g, row, r)) {
            t->undefined_inside |= (uint8_t)undefined;
            undefined = undefined_after(row, undefined);
        }
    }
    t->undefined = (uint8_t)undefined;
    t->undefined_inside |= (uint8_t)undefined;
    t->exits[1] = 0;
    if (t->count && rng_below(r, 3) && !is_x87) {
        struct rng before = *r;
        append_jump(t, r);
        unsigned condition = t->code[t->starts[t->count - 1]] == 0x0f ? t->code[t->starts[t->count - 1] + 1] & 15u
                                                                      : t->code[t->starts[t->count - 1]] & 15u;
        if (condition_flags[condition / 2] & undefined) { /* without the jump, then */
            *r = before;
            t->count--;
            t->code_size = t->starts[t->count];
            t->native_size = t->native_starts[t->count];
            t->exits[1] = 0;
        }
    }
    t->exits[0] = (uint32_t)t->initial.rip + t->code_size;
    t->single = rng_one_in(r, 8);
    return t->count > 1;
}
