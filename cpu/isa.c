/* isa.c - rows of the instruction table by name: see isa.h. */
#include "cpu/isa.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Text that is put together; what does not fit is cut. */
struct text {
    char *at;
    size_t left;
};

static void add(struct text *t, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(t->at, t->left, format, arguments);
    va_end(arguments);
    if (length > 0) {
        size_t used = (size_t)length < t->left ? (size_t)length : t->left - 1;
        t->at += used;
        t->left -= used;
    }
}

static const char *const prefix_names[] = { "__", "NP", "66", "F3", "F2" };

void isa_key(const struct opcode *row, char *text, size_t size)
{
    static const char *const maps[] = { "1B", "0F", "38", "3A", "V38", "V3A" };
    struct text t = { text, size };

    add(&t, "%s %02X %s ", maps[row->map], row->byte, prefix_names[row->prefix]);
    if (row->ext == EXT_NONE) {
        add(&t, "__");
    } else if (row->ext >= 0xc0) {
        add(&t, "%02X", row->ext);
    } else {
        add(&t, row->ext >= EXT_RR0 ? "RR%d" : "R%d", row->ext - (row->ext >= EXT_RR0 ? EXT_RR0 : EXT_R0));
    }
    add(&t, " %s", row->mnemonic);
    for (unsigned k = 0; k < 3; k++) {
        add(&t, " %s", operand_codes[row->operands[k]].name);
    }
}

static bool has_modrm(const struct opcode *row)
{
    for (unsigned k = 0; k < 3; k++) {
        uint8_t kind = operand_codes[row->operands[k]].kind;
        if ((kind >= KIND_E && kind <= KIND_G) || (kind >= KIND_S && kind <= KIND_D) ||
            (kind >= KIND_P && kind <= KIND_RR)) {
            return true;
        }
    }
    return false;
}

/* What follows opcode and ModRM, in the notation of SDM vol. 2, 3.1.1.1. */
static void add_immediates(struct text *t, const struct opcode *row)
{
    for (unsigned k = 0; k < 3; k++) {
        const struct operand_code *code = &operand_codes[row->operands[k]];
        switch (code->kind) {
        case KIND_I:
            add(t, code->size == SIZE_B ? " ib" : code->size == SIZE_W ? " iw" : code->size == SIZE_V ? " io" : " id");
            break;
        case KIND_SI:
        case KIND_I2:
            add(t, " ib");
            break;
        case KIND_J:
            add(t, code->size == SIZE_B ? " cb" : " cd");
            break;
        case KIND_A:
            add(t, " cp");
            break;
        case KIND_O:
            add(t, " mo");
            break;
        default:
            break;
        }
    }
}

void isa_encoding(const struct opcode *row, char *text, size_t size)
{
    static const char *const maps[] = { "", "0F ", "0F 38 ", "0F 3A ", "VEX.0F38 ", "VEX.0F3A " };
    struct text t = { text, size };

    if (row->prefix != PREFIX_ANY) {
        add(&t, "%s ", prefix_names[row->prefix]);
    }
    add(&t, "%s%02X", maps[row->map], row->byte);
    if (row->count > 1) {
        add(&t, "+r");
    }
    if (row->ext >= 0xc0) {
        add(&t, " %02X", row->ext);
    } else if (row->ext != EXT_NONE) {
        add(&t, " /%d", row->ext - (row->ext >= EXT_RR0 ? EXT_RR0 : EXT_R0));
    } else if (has_modrm(row)) {
        add(&t, " /r");
    }
    add_immediates(&t, row);
}

void isa_form(const struct opcode *row, char *text, size_t size)
{
    struct text t = { text, size };

    add(&t, "%s", row->mnemonic);
    for (unsigned k = 0; k < 3 && row->operands[k]; k++) {
        add(&t, "%s%s", k ? ", " : " ", operand_codes[row->operands[k]].name);
    }
}

/* By what the table's column `since` says, and for processors by mnemonic where it begins with `mnemonic`. */
static const struct {
    const char *since, *mnemonic;
    struct isa_feature feature;
} features[] = {
    { "I8086", NULL, { "8086", "-" } },
    { "I186", NULL, { "80186", "-" } },
    { "I286", NULL, { "80286", "-" } },
    { "I386", NULL, { "80386", "-" } },
    { "I486", NULL, { "80486", "-" } },
    { "I8087", NULL, { "FPU", "1:EDX.0" } },
    { "I287", NULL, { "FPU", "1:EDX.0" } },
    { "I387", NULL, { "FPU", "1:EDX.0" } },
    { "CX8", NULL, { "CX8", "1:EDX.8" } },
    { "TSC", NULL, { "TSC", "1:EDX.4" } },
    { "MSR", NULL, { "MSR", "1:EDX.5" } },
    { "I586", NULL, { "Pentium", "-" } },
    { "CMOV", NULL, { "CMOV", "1:EDX.15" } },
    { "SEP", NULL, { "SEP", "1:EDX.11" } },
    { "I686", "fcmov", { "CMOV+FPU", "1:EDX.15" } },
    { "I686", "fcomi", { "CMOV+FPU", "1:EDX.15" } },
    { "I686", "fucomi", { "CMOV+FPU", "1:EDX.15" } },
    { "I686", NULL, { "PentiumPro", "-" } },
    { "MMX", NULL, { "MMX", "1:EDX.23" } },
    { "FXSR", NULL, { "FXSR", "1:EDX.24" } },
    { "CLFLUSH", NULL, { "CLFSH", "1:EDX.19" } },
    { "SSE", NULL, { "SSE", "1:EDX.25" } },
    { "SSE2", NULL, { "SSE2", "1:EDX.26" } },
    { "SSE3", NULL, { "SSE3", "1:ECX.0" } },
    { "PCLMULQDQ", NULL, { "PCLMULQDQ", "1:ECX.1" } },
    { "SSSE3", NULL, { "SSSE3", "1:ECX.9" } },
    { "CX16", NULL, { "CX16", "1:ECX.13" } },
    { "SSE4_1", NULL, { "SSE4.1", "1:ECX.19" } },
    { "SSE4_2", NULL, { "SSE4.2", "1:ECX.20" } },
    { "POPCNT", NULL, { "POPCNT", "1:ECX.23" } },
    { "AES", NULL, { "AES", "1:ECX.25" } },
    { "XSAVE", NULL, { "XSAVE", "1:ECX.26" } },
    { "RDRAND", NULL, { "RDRAND", "1:ECX.30" } },
    { "RDSEED", NULL, { "RDSEED", "7.0:EBX.18" } },
    { "BMI1", NULL, { "BMI1", "7.0:EBX.3" } },
    { "BMI2", NULL, { "BMI2", "7.0:EBX.8" } },
    { "ADX", NULL, { "ADX", "7.0:EBX.19" } },
    { "SHA_NI", NULL, { "SHA", "7.0:EBX.29" } },
    { "MOVBE", NULL, { "MOVBE", "1:ECX.22" } },
    { "ABM", NULL, { "LZCNT", "80000001:ECX.5" } },
    { "MONITOR", NULL, { "MONITOR", "1:ECX.3" } },
    { "FSGSBASE", NULL, { "FSGSBASE", "7.0:EBX.0" } },
    { "INVPCID", NULL, { "INVPCID", "7.0:EBX.10" } },
    { "SMAP", NULL, { "SMAP", "7.0:EBX.20" } },
    { "PKU", NULL, { "PKU", "7.0:ECX.3" } },
    { "RDPID", NULL, { "RDPID", "7.0:ECX.22" } },
    { "XSAVEOPT", NULL, { "XSAVEOPT", "D.1:EAX.0" } },
    { "XSAVEC", NULL, { "XSAVEC", "D.1:EAX.1" } },
    { "PREFETCHW", NULL, { "PREFETCHW", "80000001:ECX.8" } },
    { "SYSCALL", NULL, { "SYSCALL", "80000001:EDX.11" } },
    { "RDTSCP", NULL, { "RDTSCP", "80000001:EDX.27" } },
    { "LM", NULL, { "LM", "80000001:EDX.29" } },
};

struct isa_feature isa_feature(const struct opcode *row)
{
    for (size_t k = 0; k < sizeof features / sizeof *features; k++) {
        const char *mnemonic = features[k].mnemonic;
        if (!strcmp(row->since, features[k].since) &&
            (!mnemonic || !strncmp(row->mnemonic, mnemonic, strlen(mnemonic)))) {
            return features[k].feature;
        }
    }
    return (struct isa_feature){ row->since, "-" };
}
