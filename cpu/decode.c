/* decode.c - instruction decoding by the maps that opcodes.def spans. SDM vol. 2, chapter 2. */
#include "cpu/decode.h"

#include "cpu/model.h"
#include "mem/error.h"

#include <stdlib.h>
#include <string.h>

enum { NO_ROW = 0xffff };

/* For each map and byte a chain of candidate rows, in table order. */
struct decoder {
    uint16_t first[MAP_COUNT][256];
    uint16_t *next; /* by row */
};

struct decoder *decoder_create(const struct cpu_model *model)
{
    struct decoder *decoder = malloc(sizeof *decoder);

    if (!decoder) {
        return NULL;
    }
    memset(decoder->first, 0xff, sizeof decoder->first);
    /* An OP8 row stands in eight chains, so its `next` must be the same in each: true as such bytes hold one row. */
    decoder->next = malloc(opcode_count * sizeof *decoder->next);
    if (!decoder->next) {
        free(decoder);
        return NULL;
    }
    for (size_t row = opcode_count; row-- > 0;) {
        const struct opcode *op = &opcodes[row];
        if (model && !model_has(model, op->feature)) {
            continue;
        }
        for (unsigned k = 0; k < op->count; k++) {
            uint16_t *head = &decoder->first[op->map][op->byte + k];
            BUG_ON(op->count > 1 && *head != NO_ROW);
            decoder->next[row] = *head;
            *head = (uint16_t)row;
        }
    }
    return decoder;
}

void decoder_destroy(struct decoder *decoder)
{
    if (decoder) {
        free(decoder->next);
        free(decoder);
    }
}

/* The bytes being read; `short_of` is set when they run out. */
struct reader {
    const uint8_t *bytes;
    size_t available, position;
    bool is_short;
};

static uint8_t read8(struct reader *r)
{
    if (r->position >= r->available) {
        r->is_short = true;
        return 0;
    }
    return r->bytes[r->position++];
}

static uint64_t read_le(struct reader *r, unsigned size)
{
    uint64_t value = 0;

    for (unsigned k = 0; k < size; k++) {
        value |= (uint64_t)read8(r) << (8 * k);
    }
    return value;
}

static uint64_t sign_extend(uint64_t value, unsigned bytes)
{
    unsigned shift = 64 - 8 * bytes;
    uint64_t sign = UINT64_C(1) << (8 * bytes - 1);

    return shift ? (value ^ sign) - sign : value;
}

static void decode_address16(struct decoded *d, struct reader *r)
{
    static const uint8_t bases[8] = { REG_BX, REG_BX, REG_BP, REG_BP, REG_SI, REG_DI, REG_BP, REG_BX };
    static const uint8_t indices[8] = { REG_SI, REG_DI, REG_SI, REG_DI, REG_NIL, REG_NIL, REG_NIL, REG_NIL };
    unsigned mod = d->modrm >> 6, rm = d->modrm & 7;

    d->base = bases[rm];
    d->index = indices[rm];
    if (mod == 0 && rm == 6) {
        d->base = REG_NIL;
        d->displacement = read_le(r, 2);
    } else if (mod == 1) {
        d->displacement = sign_extend(read8(r), 1);
    } else if (mod == 2) {
        d->displacement = sign_extend(read_le(r, 2), 2);
    }
    if (d->base == REG_BP && !d->has_override) {
        d->segment = SEG_SS;
    }
}

/* 32- and 64-bit addresses; the latter sign-extend their displacement. */
static void decode_address32(struct decoded *d, struct reader *r, bool is_64bit)
{
    unsigned mod = d->modrm >> 6, rm = d->modrm & 7, base = rm;

    d->base = d->rm;
    if (rm == 4) {
        uint8_t sib = read8(r);
        base = sib & 7;
        d->base = (uint8_t)(base | (d->rex & REX_B ? 8 : 0));
        d->index = (uint8_t)((sib >> 3 & 7) | (d->rex & REX_X ? 8 : 0));
        d->scale = sib >> 6;
        if (d->index == 4) {
            d->index = REG_NIL;
            d->scale = 0;
        }
    }
    if (mod == 0 && base == 5) {
        d->base = REG_NIL;
        d->displacement = sign_extend(read_le(r, 4), 4);
        d->is_relative = is_64bit && rm == 5;
    } else if (mod == 1) {
        d->displacement = sign_extend(read8(r), 1);
    } else if (mod == 2) {
        d->displacement = sign_extend(read_le(r, 4), 4);
    }
    if ((d->base == REG_SP || d->base == REG_BP) && !d->has_override) {
        d->segment = SEG_SS;
    }
}

static bool ext_matches(const struct opcode *op, uint8_t modrm)
{
    if (op->ext == EXT_NONE) {
        return true;
    }
    if (op->ext >= EXT_RR0 && op->ext < 0xc0) {
        return modrm >= 0xc0 && op->ext - EXT_RR0 == ((modrm >> 3) & 7);
    }
    return op->ext >= 0xc0 ? op->ext == modrm : op->ext - EXT_R0 == ((modrm >> 3) & 7);
}

/* Whether a register/memory operand of the row fits ModRM.mod. */
static bool mod_matches(const struct opcode *op, uint8_t modrm)
{
    for (unsigned k = 0; k < 3; k++) {
        unsigned kind = operand_codes[op->operands[k]].kind;
        if (kind == KIND_M && modrm >= 0xc0) {
            return false;
        }
        if ((kind == KIND_N || kind == KIND_U || kind == KIND_RR) && modrm < 0xc0) {
            return false;
        }
        if (kind == KIND_ST && operand_codes[op->operands[k]].number == 0 && modrm < 0xc0) {
            return false;
        }
    }
    return !(op->ext >= EXT_R0 && op->ext < 0xc0 && (op->attributes & OP_X87) &&
             operand_codes[op->operands[0]].kind == KIND_ST && modrm < 0xc0);
}

static bool uses_modrm(const struct opcode *op)
{
    if (op->ext != EXT_NONE) {
        return true;
    }
    for (unsigned k = 0; k < 3; k++) {
        switch (operand_codes[op->operands[k]].kind) {
        case KIND_E:
        case KIND_M:
        case KIND_R:
        case KIND_G:
        case KIND_S:
        case KIND_C:
        case KIND_D:
        case KIND_P:
        case KIND_Q:
        case KIND_N:
        case KIND_V:
        case KIND_W:
        case KIND_U:
        case KIND_RR:
        case KIND_B:
            return true;
        default:
            break;
        }
    }
    return false;
}

static unsigned size_index(enum operand_size size, unsigned operand_size)
{
    switch (size) {
    case SIZE_B:
        return 0;
    case SIZE_W:
        return 1;
    case SIZE_D:
    case SIZE_S:
    case SIZE_T:
    case SIZE_X:
        return 2;
    case SIZE_Q:
        return 3;
    case SIZE_Z:
        return operand_size > 2 ? 2 : operand_size;
    case SIZE_Y:
        return operand_size < 2 ? 2 : operand_size;
    case SIZE_V:
    case SIZE_P:
    case SIZE_A:
    case SIZE_NONE:
    default:
        return operand_size;
    }
}

/* The size that picks the handler: that of the first operand which is not an immediate, DX, a segment or vector register. */
static unsigned binding_size(const struct opcode *op, unsigned operand_size)
{
    for (unsigned k = 0; k < 3 && !(op->attributes & OP_SIZED); k++) {
        const struct operand_code *code = &operand_codes[op->operands[k]];
        if (code->kind == KIND_NONE || code->kind == KIND_I || code->kind == KIND_SI || code->kind == KIND_S ||
            code->kind == KIND_C || code->kind == KIND_D || code->kind == KIND_SEG || code->kind == KIND_J ||
            (code->kind == KIND_FIXED && code->size == SIZE_W) ||
            (code->kind >= KIND_P && code->kind <= KIND_U) || code->kind == KIND_XMM0) {
            continue;
        }
        return size_index(code->size, operand_size);
    }
    return operand_size;
}

static void decode_immediates(struct decoded *d, struct reader *r)
{
    static const uint8_t bytes_of[4] = { 1, 2, 4, 8 };
    unsigned address_bytes = 2u << d->address_size;

    for (unsigned k = 0; k < 3; k++) {
        const struct operand_code *code = &operand_codes[d->opcode->operands[k]];
        unsigned bytes = bytes_of[size_index(code->size, d->operand_size)];
        switch (code->kind) {
        case KIND_I:
            d->immediate = read_le(r, bytes);
            if (code->size == SIZE_Z) {
                d->immediate = sign_extend(d->immediate, bytes);
            }
            break;
        case KIND_SI:
            d->immediate = sign_extend(read8(r), 1);
            break;
        case KIND_J:
            d->immediate = sign_extend(read_le(r, bytes), bytes);
            break;
        case KIND_I2:
            d->immediate2 = read8(r);
            break;
        case KIND_A:
            d->immediate = read_le(r, d->operand_size == 1 ? 2 : 4);
            d->immediate2 = (uint16_t)read_le(r, 2);
            break;
        case KIND_O:
            d->is_memory = true;
            d->displacement = read_le(r, address_bytes);
            break;
        default:
            break;
        }
    }
}

/* Picks the row for the opcode byte; NULL: undefined. Reads ModRM when the candidates have one. */
static const struct opcode *find_row(const struct decoder *decoder, unsigned map, uint8_t byte, unsigned mandatory,
                                     unsigned mode, struct decoded *d, struct reader *r)
{
    unsigned not_here = mode & MODE_CODE64 ? OP_NOT64 : OP_ONLY64;
    /* 90h with REX.B exchanges R8 and rAX: the row of XCHG. */
    bool is_xchg = map == MAP_1B && byte == 0x90 && (d->rex & REX_B);
    unsigned row = decoder->first[map][is_xchg ? 0x91 : byte];

    if (row == NO_ROW) {
        return NULL;
    }
    if (uses_modrm(&opcodes[row])) {
        d->has_modrm = true;
        d->modrm = read8(r);
        d->reg = (uint8_t)((d->modrm >> 3 & 7) | (d->rex & REX_R ? 8 : 0));
        d->rm = (uint8_t)((d->modrm & 7) | (d->rex & REX_B ? 8 : 0));
    }
    for (; row != NO_ROW; row = decoder->next[row]) {
        const struct opcode *op = &opcodes[row];
        if ((op->prefix != PREFIX_ANY && op->prefix != mandatory) || (op->attributes & not_here) ||
            ((op->attributes & OP_REX_W) && !(d->rex & REX_W))) {
            continue;
        }
        if (d->has_modrm && (!ext_matches(op, d->modrm) || !mod_matches(op, d->modrm))) {
            continue;
        }
        return op;
    }
    return NULL;
}

static bool names_vvvv(const struct opcode *op)
{
    for (unsigned k = 0; k < 3; k++) {
        if (operand_codes[op->operands[k]].kind == KIND_B) {
            return true;
        }
    }
    return false;
}

static bool mode_allows(const struct decoded *d, unsigned mode)
{
    const struct opcode *op = d->opcode;
    uint8_t first_kind = operand_codes[op->operands[0]].kind;

    if ((op->attributes & OP_PROTECTED) && !(mode & MODE_PROTECTED)) {
        return false;
    }
    if (d->has_lock && !((op->attributes & OP_LOCKABLE) && d->is_memory && first_kind != KIND_G)) {
        return false;
    }
    /* MOV to and from segment, control and debug registers that do not exist; MOV to CS. */
    /* General registers have no halves, and who needs no vvvv has ones there. */
    if (d->has_vex && (d->vex_l || (!names_vvvv(op) && d->vvvv != 0))) {
        return false;
    }
    for (unsigned k = 0; k < 3; k++) {
        unsigned number = (d->modrm >> 3) & 7;
        switch (operand_codes[op->operands[k]].kind) {
        case KIND_S:
            if (number > SEG_GS || (k == 0 && number == SEG_CS)) {
                return false;
            }
            break;
        case KIND_C:
            if (d->rex & REX_R ? number != 0 : number == 1 || number > 4) {
                return false; /* there are CR0, CR2 to CR4 and CR8 */
            }
            break;
        case KIND_D:
            if (d->rex & REX_R) {
                return false;
            }
            break;
        default:
            break;
        }
    }
    return true;
}

/* C4 and C5 (SDM vol. 2, 2.3.5): outside of 64-bit code only with the upper bits of the next byte set, else it is LES or LDS, and
 * not in real and virtual-8086 mode. Reads up to the opcode; the map, or MAP_COUNT when there is none. */
static unsigned read_vex(struct decoded *d, struct reader *r, uint8_t byte, unsigned mode, unsigned *mandatory)
{
    static const uint8_t mandatories[4] = { PREFIX_NONE, PREFIX_66, PREFIX_F3, PREFIX_F2 };
    uint8_t first = read8(r), map = 1, last = first;

    d->has_vex = true;
    d->rex = first & 0x80 ? 0 : REX_R;
    if (byte == 0xc4) {
        last = read8(r);
        map = first & 31;
        d->rex |= (uint8_t)((first & 0x40 ? 0 : REX_X) | (first & 0x20 ? 0 : REX_B) | (last & 0x80 ? REX_W : 0));
    }
    d->vvvv = (uint8_t)(~last >> 3 & 15);
    d->vex_l = (last & 4) != 0;
    *mandatory = mandatories[last & 3];
    if (!(mode & MODE_CODE64)) {
        d->rex = 0;
        d->vvvv &= 7;
    }
    d->opcode_byte = read8(r);
    return map == 2 ? MAP_V38 : map == 3 ? MAP_V3A : MAP_COUNT;
}

static bool is_vex(const struct reader *r, uint8_t byte, unsigned mode)
{
    if ((byte & 0xfe) != 0xc4 || r->position >= r->available) {
        return false;
    }
    return (mode & MODE_CODE64) || ((mode & MODE_PROTECTED) && r->bytes[r->position] >= 0xc0);
}

static void set_sizes(struct decoded *d, unsigned mode, bool opsize_prefix, bool addrsize_prefix)
{
    if (mode & MODE_CODE64) {
        d->operand_size = d->rex & REX_W ? 3 : opsize_prefix ? 1 : 2;
        d->address_size = addrsize_prefix ? 1 : 2;
    } else {
        bool wide = (mode & MODE_CODE32) != 0;
        d->operand_size = wide != opsize_prefix ? 2 : 1;
        d->address_size = wide != addrsize_prefix ? 1 : 0;
    }
}

/* Instructions whose operands are 64 bits without REX.W: near branches always (as on Intel processors 66h does nothing), the
 * stack unless 66h makes them 16 bits; and control and debug registers (SDM vol. 2, 2.2.1.7, MOV). */
static void force_size(struct decoded *d, bool opsize_prefix)
{
    uint32_t attributes = d->opcode->attributes;

    if ((attributes & OP_BRANCH) || ((attributes & OP_DEF64) && !opsize_prefix) ||
        operand_codes[d->opcode->operands[0]].kind == KIND_R || operand_codes[d->opcode->operands[1]].kind == KIND_R) {
        d->operand_size = 3;
    }
}

enum decode_result decode(const struct decoder *decoder, const uint8_t *bytes, size_t available, unsigned mode,
                          struct decoded *out)
{
    struct reader r = { bytes, available > INSTRUCTION_MAX ? INSTRUCTION_MAX : available, 0, false };
    struct decoded *d = out;
    bool opsize_prefix = false, addrsize_prefix = false, more = true;
    unsigned map = MAP_1B, mandatory;
    uint8_t byte = 0;

    memset(d, 0, sizeof *d);
    d->base = d->index = REG_NIL;
    d->segment = SEG_DS;
    while (more && !r.is_short) {
        byte = read8(&r);
        if ((mode & MODE_CODE64) && (byte & 0xf0) == 0x40) {
            /* REX counts only right before the opcode (SDM vol. 2, 2.2.1). */
            d->rex = byte;
            continue;
        }
        switch (byte) {
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
            /* Without effect in 64-bit mode. */
            if (!(mode & MODE_CODE64)) {
                d->segment = (byte >> 3) & 3;
                d->has_override = true;
            }
            break;
        case 0x64:
        case 0x65:
            d->segment = (uint8_t)(byte - 0x64 + SEG_FS);
            d->has_override = true;
            break;
        case 0x66:
            opsize_prefix = true;
            break;
        case 0x67:
            addrsize_prefix = true;
            break;
        case 0xf0:
            d->has_lock = true;
            break;
        case 0xf2:
        case 0xf3:
            d->repeat = byte;
            break;
        default:
            more = false;
            break;
        }
        d->rex = more ? 0 : d->rex;
    }
    if (!r.is_short && is_vex(&r, byte, mode)) {
        /* No other prefix than for segment and address goes with it. */
        bool has_others = opsize_prefix || d->has_lock || d->repeat || d->rex;
        map = read_vex(d, &r, byte, mode, &mandatory);
        set_sizes(d, mode, false, addrsize_prefix);
        d->operand_size = d->rex & REX_W ? 3 : 2;
        if (!r.is_short && !has_others && map != MAP_COUNT) {
            d->opcode = find_row(decoder, map, d->opcode_byte, mandatory, mode, d, &r);
        }
    } else {
        set_sizes(d, mode, opsize_prefix, addrsize_prefix);
        if (byte == 0x0f && !r.is_short) {
            map = MAP_0F;
            byte = read8(&r);
            if (byte == 0x38 || byte == 0x3a) {
                map = byte == 0x38 ? MAP_38 : MAP_3A;
                byte = read8(&r);
            }
        }
        mandatory = d->repeat == 0xf3   ? PREFIX_F3
                    : d->repeat == 0xf2 ? PREFIX_F2
                    : opsize_prefix     ? PREFIX_66
                                        : PREFIX_NONE;
        d->opcode_byte = byte;
        if (!r.is_short) {
            d->opcode = find_row(decoder, map, byte, mandatory, mode, d, &r);
        }
    }
    if (d->opcode) {
        if (d->has_modrm && d->modrm < 0xc0 && operand_codes[d->opcode->operands[0]].kind != KIND_R &&
            operand_codes[d->opcode->operands[1]].kind != KIND_R) {
            d->is_memory = true;
            if (d->address_size == 0) {
                decode_address16(d, &r);
            } else {
                decode_address32(d, &r, (mode & MODE_CODE64) != 0);
            }
        }
        if (mode & MODE_CODE64) {
            force_size(d, opsize_prefix);
        }
        decode_immediates(d, &r);
        if (d->opcode->attributes & OP_XLAT) {
            d->is_memory = true;
        }
    }
    d->length = (uint8_t)r.position;
    if (r.is_short) {
        return r.available == INSTRUCTION_MAX ? DECODE_TOO_LONG : DECODE_MORE;
    }
    if (!d->opcode || !mode_allows(d, mode)) {
        return DECODE_UNDEFINED;
    }
    d->size = (uint8_t)binding_size(d->opcode, d->operand_size);
    return DECODED;
}
