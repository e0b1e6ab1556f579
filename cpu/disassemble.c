/* disassemble.c - text from decoded instructions, in the syntax of the Intel SDM with the size of every memory operand. */
#include "cpu/disassemble.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct writer {
    char *at;
    size_t left;
};

static void put(struct writer *w, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(w->at, w->left, format, arguments);
    va_end(arguments);
    if (length > 0) {
        size_t used = (size_t)length < w->left ? (size_t)length : w->left - 1;
        w->at += used;
        w->left -= used;
    }
}

static void put_number(struct writer *w, uint64_t value)
{
    put(w, value < 10 ? "%llu" : "0x%llx", (unsigned long long)value);
}

/* ---- names ---- */

/* Mnemonics that depend on the size of operand or address: of the table, then for 16, 32 and 64 bits. */
static const char *const sized_names[][4] = {
    { "cbw", "cbw", "cwde", "cdqe" },       { "cwd", "cwd", "cdq", "cqo" },
    { "pusha", "pusha", "pushad", "" },     { "popa", "popa", "popad", "" },
    { "pushf", "pushf", "pushfd", "pushfq" }, { "popf", "popf", "popfd", "popfq" },
    { "iret", "iret", "iretd", "iretq" },
};

static const char *register_name(unsigned number, unsigned size)
{
    static const char *const names[4][16] = {
        { "al", "cl", "dl", "bl", "ah", "ch", "dh", "bh", "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b" },
        { "ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w" },
        { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d",
          "r15d" },
        { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" }
    };
    return names[size & 3][number & 15];
}

/* The same for a register operand: with REX the byte registers 4 to 7 are the low bytes. */
static const char *operand_name(const struct decoded *d, unsigned number, unsigned size)
{
    static const char *const low[4] = { "spl", "bpl", "sil", "dil" };

    return size == 0 && d->rex && number >= 4 && number < 8 ? low[number - 4] : register_name(number, size);
}

static const char *segment_name(unsigned number)
{
    static const char *const names[8] = { "es", "cs", "ss", "ds", "fs", "gs", "?", "?" };

    return names[number & 7];
}

/* 0 to 3 for 8 to 64 bits, by the operand's code and the instruction. */
static unsigned size_of(const struct decoded *d, unsigned code)
{
    switch (operand_codes[code].size) {
    case SIZE_B:
        return 0;
    case SIZE_W:
        return 1;
    case SIZE_D:
        return 2;
    case SIZE_Q:
        return 3;
    case SIZE_Z:
        return d->operand_size > 2 ? 2 : d->operand_size;
    case SIZE_Y:
        return d->operand_size < 2 ? 2 : d->operand_size;
    default:
        return d->operand_size;
    }
}

static void put_mnemonic(struct writer *w, const struct decoded *d)
{
    static const char suffixes[4] = { 'b', 'w', 'd', 'q' };
    const struct opcode *op = d->opcode;
    const char *name = op->mnemonic;

    if (op->attributes & OP_STRING) {
        bool compares = !strcmp(name, "cmps") || !strcmp(name, "scas");
        if (d->repeat) {
            put(w, d->repeat == 0xf2 ? "repne " : compares ? "repe " : "rep ");
        }
        put(w, "%s%c", name, suffixes[d->size & 3]);
        return;
    }
    if (!strcmp(name, "jcxz")) {
        put(w, d->address_size == 0 ? "jcxz" : d->address_size == 1 ? "jecxz" : "jrcxz");
        return;
    }
    for (size_t k = 0; k < sizeof sized_names / sizeof *sized_names; k++) {
        if (!strcmp(name, sized_names[k][0])) {
            name = sized_names[k][d->operand_size];
            break;
        }
    }
    put(w, "%s%s", d->has_lock ? "lock " : "", name);
}

/* ---- operands ---- */

static const char *pointer_name(const struct decoded *d, unsigned code)
{
    static const char *const names[4] = { "byte ptr ", "word ptr ", "dword ptr ", "qword ptr " };

    /* Selectors and machine status words are 16 bits in memory whatever the operand size. */
    if (operand_codes[d->opcode->operands[1]].kind == KIND_S || !strcmp(d->opcode->mnemonic, "smsw")) {
        return "word ptr ";
    }
    switch (operand_codes[code].size) {
    case SIZE_NONE:
    case SIZE_S:
        return "";
    case SIZE_P:
        return d->operand_size == 1 ? "dword ptr " : "fword ptr ";
    case SIZE_A:
        return d->operand_size == 1 ? "dword ptr " : "qword ptr ";
    case SIZE_T:
        return "tbyte ptr ";
    case SIZE_X:
        return "xmmword ptr ";
    default:
        return names[size_of(d, code)];
    }
}

static void put_displacement(struct writer *w, const struct decoded *d, bool is_alone)
{
    uint64_t mask = d->address_size == 0 ? 0xffff : d->address_size == 1 ? 0xffffffff : ~UINT64_C(0);
    uint64_t value = d->displacement & mask;

    if (is_alone) {
        put_number(w, value);
    } else if (value > mask / 2) {
        put(w, " - ");
        put_number(w, (~value + 1) & mask);
    } else if (value) {
        put(w, " + ");
        put_number(w, value);
    }
}

static void put_memory(struct writer *w, const struct decoded *d, unsigned code)
{
    unsigned size = d->address_size + 1u;

    put(w, "%s", pointer_name(d, code));
    if (d->has_override) {
        put(w, "%s:", segment_name(d->segment));
    }
    put(w, "[");
    if (d->is_relative) {
        put(w, size == 3 ? "rip" : "eip");
    }
    if (d->base != REG_NIL) {
        put(w, "%s", register_name(d->base, size));
    }
    if (d->index != REG_NIL) {
        put(w, "%s%s", d->base != REG_NIL ? " + " : "", register_name(d->index, size));
        if (size > 1) {
            put(w, "*%u", 1u << d->scale);
        }
    }
    put_displacement(w, d, d->base == REG_NIL && d->index == REG_NIL && !d->is_relative);
    put(w, "]");
}

static void put_string_operand(struct writer *w, const struct decoded *d, unsigned code, bool is_destination)
{
    const char *name = register_name(is_destination ? REG_DI : REG_SI, d->address_size + 1u);

    put(w, "%s", pointer_name(d, code));
    if (is_destination) {
        put(w, "es:[%s]", name);
    } else {
        put(w, d->has_override ? "%s:[%s]" : "%s[%s]", d->has_override ? segment_name(d->segment) : "", name);
    }
}

static uint64_t immediate_mask(unsigned size)
{
    return size == 0 ? 0xff : size == 1 ? 0xffff : size == 2 ? 0xffffffff : ~UINT64_C(0);
}

static void put_register_or_memory(struct writer *w, const struct decoded *d, unsigned code)
{
    unsigned number = d->rm;

    if (d->is_memory) {
        put_memory(w, d, code);
        return;
    }
    switch (operand_codes[code].kind) {
    case KIND_Q:
    case KIND_N:
        put(w, "mm%u", number & 7);
        break;
    case KIND_W:
    case KIND_U:
        put(w, "xmm%u", number);
        break;
    default:
        put(w, "%s", operand_name(d, number, size_of(d, code)));
        break;
    }
}

static void put_operand(struct writer *w, const struct decoded *d, unsigned code, uint64_t eip)
{
    const struct operand_code *o = &operand_codes[code];
    unsigned reg = d->reg, size = size_of(d, code);

    switch (o->kind) {
    case KIND_E:
    case KIND_M:
    case KIND_R:
    case KIND_RR:
    case KIND_Q:
    case KIND_N:
    case KIND_W:
    case KIND_U:
        put_register_or_memory(w, d, code);
        break;
    case KIND_G:
        put(w, "%s", operand_name(d, reg, size));
        break;
    case KIND_B:
        put(w, "%s", operand_name(d, d->vvvv, size));
        break;
    case KIND_Z:
        put(w, "%s", operand_name(d, opcode_register(d), size));
        break;
    case KIND_P:
        put(w, "mm%u", reg & 7);
        break;
    case KIND_V:
        put(w, "xmm%u", reg);
        break;
    case KIND_XMM0:
        put(w, "xmm0");
        break;
    case KIND_I:
        put_number(w, d->immediate & immediate_mask(size));
        break;
    case KIND_SI:
        put_number(w, d->immediate & immediate_mask(d->operand_size));
        break;
    case KIND_I2:
        put_number(w, d->immediate2);
        break;
    case KIND_J:
        put_number(w, (eip + d->length + d->immediate) & immediate_mask(d->operand_size));
        break;
    case KIND_A:
        put_number(w, d->immediate2);
        put(w, ":");
        put_number(w, d->immediate);
        break;
    case KIND_O:
        put_memory(w, d, code);
        break;
    case KIND_S:
        put(w, "%s", segment_name(reg & 7));
        break;
    case KIND_C:
        put(w, "cr%u", reg);
        break;
    case KIND_D:
        put(w, "dr%u", reg);
        break;
    case KIND_X:
        put_string_operand(w, d, code, false);
        break;
    case KIND_Y:
        put_string_operand(w, d, code, true);
        break;
    case KIND_FIXED:
        put(w, "%s", register_name(o->number, size));
        break;
    case KIND_SEG:
        put(w, "%s", segment_name(o->number));
        break;
    case KIND_ONE:
        put(w, "1");
        break;
    case KIND_ST:
        put(w, "st(%u)", o->number ? 0 : d->modrm & 7u);
        break;
    default:
        break;
    }
}

void disassemble_decoded(const struct decoded *decoded, uint64_t eip, char *text, size_t size)
{
    struct writer w = { text, size };

    put_mnemonic(&w, decoded);
    for (unsigned k = 0; k < 3 && operand_codes[decoded->opcode->operands[k]].kind != KIND_NONE; k++) {
        put(&w, k ? ", " : " ");
        put_operand(&w, decoded, decoded->opcode->operands[k], eip);
    }
}

size_t disassemble(const struct decoder *decoder, const uint8_t *bytes, size_t available, unsigned mode, uint64_t eip,
                   char *text, size_t size)
{
    struct decoded decoded;

    switch (decode(decoder, bytes, available, mode, &decoded)) {
    case DECODED:
        disassemble_decoded(&decoded, eip, text, size);
        return decoded.length;
    case DECODE_MORE:
        snprintf(text, size, "(bad)");
        return 0;
    default:
        snprintf(text, size, "(bad)");
        return 1;
    }
}
