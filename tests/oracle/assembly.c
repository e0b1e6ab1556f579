/* assembly.c - the bytes of an instruction of a row: prefixes, opcode, ModRM. */
#include "tests/oracle/generate.h"

#include <string.h>

/* ---- bytes ---- */

bool has_operand(const struct opcode *row, unsigned kind)
{
    for (unsigned k = 0; k < 3; k++) {
        if (operand_codes[row->operands[k]].kind == kind) {
            return true;
        }
    }
    return false;
}

static void add_prefix(struct assembly *a, struct rng *r, uint8_t byte)
{
    if (a->prefix_count < sizeof a->prefixes - 2) {
        /* At a random place among the others. */
        unsigned at = rng_below(r, a->prefix_count + 1);
        memmove(a->prefixes + at + 1, a->prefixes + at, a->prefix_count - at);
        a->prefixes[at] = byte;
        a->prefix_count++;
    }
}

void choose_prefixes(struct assembly *a, const struct opcode *row, struct rng *r)
{
    static const uint8_t segments[6] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
    bool is_string = (row->attributes & OP_STRING) != 0;

    if (row->map >= MAP_V38) { /* VEX has the mandatory prefix in it and bears no others */
        if (rng_one_in(r, 5)) {
            add_prefix(a, r, 0x67);
        }
        return;
    }
    switch (row->prefix) {
    case PREFIX_66:
        add_prefix(a, r, 0x66);
        break;
    case PREFIX_F2:
        add_prefix(a, r, 0xf2);
        break;
    case PREFIX_F3:
        add_prefix(a, r, 0xf3);
        break;
    case PREFIX_ANY:
        if (rng_below(r, is_string ? 2 : 24) == 0) {
            add_prefix(a, r, (uint8_t)(0xf2 + rng_below(r, 2)));
        }
        break;
    default:
        break;
    }
    if (row->prefix != PREFIX_66 && row->prefix != PREFIX_NONE && rng_one_in(r, row->prefix == PREFIX_ANY ? 3 : 16)) {
        add_prefix(a, r, 0x66);
    }
    if (rng_one_in(r, 5)) {
        add_prefix(a, r, 0x67);
    }
    if (rng_one_in(r, 8)) {
        add_prefix(a, r, segments[rng_below(r, 6)]);
    }
    if (rng_one_in(r, row->attributes & OP_LOCKABLE ? 5 : 48)) {
        add_prefix(a, r, 0xf0);
    }
    if (rng_one_in(r, 64)) {
        add_prefix(a, r, segments[rng_below(r, 6)]);
    }
}

void choose_body(struct assembly *a, const struct opcode *row, struct rng *r)
{
    unsigned at = 0;

    if (row->map >= MAP_V38) {
        static const uint8_t pp[] = { 0, 0, 1, 2, 3 };
        a->body[at++] = 0xc4;
        a->body[at++] = (uint8_t)((rng_one_in(r, 2) ? 0xe0 : rng_next(r) & 0xe0) | (row->map == MAP_V38 ? 2 : 3));
        /* vvvv names a register, or is all ones; the upper half of 16 in 64-bit code only. */
        uint8_t vvvv = has_operand(row, KIND_B) ? (uint8_t)(rng_next(r) & 0x78) : 0x78;
        a->body[at++] = (uint8_t)((rng_next(r) & 0x80) | vvvv | (rng_one_in(r, 32) ? 4 : 0) | pp[row->prefix]);
    } else if (row->map != MAP_1B) {
        a->body[at++] = 0x0f;
        if (row->map != MAP_0F) {
            a->body[at++] = row->map == MAP_38 ? 0x38 : 0x3a;
        }
    }
    a->body[at++] = (uint8_t)(row->byte + rng_below(r, row->count));
    a->opcode_size = at;
    unsigned pattern = rng_below(r, 4);
    for (unsigned k = at; k < sizeof a->body; k++) {
        a->body[k] = pattern == 0 ? 0 : pattern == 1 ? 0xff : (uint8_t)rng_next(r);
    }
    if (row->ext >= 0xc0) {
        a->body[at] = row->ext;
        return;
    }
    uint8_t modrm = (uint8_t)rng_next(r);
    bool wants_memory = has_operand(row, KIND_M) || rng_below(r, 8) < 5;
    if (has_operand(row, KIND_ST) || has_operand(row, KIND_R) || has_operand(row, KIND_U) || has_operand(row, KIND_N) ||
        has_operand(row, KIND_RR)) {
        wants_memory = false;
    }
    if (wants_memory) {
        modrm = (uint8_t)((modrm & 0x3f) | rng_below(r, 3) << 6);
    } else {
        modrm |= 0xc0;
    }
    if (row->ext != EXT_NONE) {
        modrm = (uint8_t)((modrm & 0xc7) | (row->ext - EXT_R0) << 3);
    }
    a->body[at] = modrm;
    a->body[at + 1] = (uint8_t)rng_next(r); /* SIB */
}

unsigned join(const struct assembly *a, uint8_t *out)
{
    memcpy(out, a->prefixes, a->prefix_count);
    memcpy(out + a->prefix_count, a->body, sizeof a->body);
    return a->prefix_count + (unsigned)sizeof a->body;
}

static void drop_prefix(struct assembly *a, uint8_t byte)
{
    unsigned kept = 0;

    for (unsigned k = 0; k < a->prefix_count; k++) {
        if (a->prefixes[k] != byte) {
            a->prefixes[kept++] = a->prefixes[k];
        }
    }
    a->prefix_count = kept;
}

void want_prefix(struct assembly *a, uint8_t byte, bool wanted)
{
    drop_prefix(a, byte);
    if (wanted) {
        a->prefixes[a->prefix_count++] = byte;
    }
}
