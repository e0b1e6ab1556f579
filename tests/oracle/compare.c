/* compare.c - what has to be equal, and what the manuals leave undefined. */
#include "tests/oracle/oracle.h"

#include <stdarg.h>
#include <string.h>

static bool starts_with(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

static unsigned operand_bits(const struct decoded *d)
{
    static const uint8_t bits[4] = { 8, 16, 32, 64 };

    return bits[d->size & 3];
}

enum shift_kind { NOT_A_SHIFT, SHIFT_PLAIN, SHIFT_ROTATE, SHIFT_DOUBLE };

static enum shift_kind shift_kind(const char *mnemonic)
{
    static const char *const names[] = { "shl", "shr", "sar", "rol", "ror", "rcl", "rcr", "shld", "shrd" };

    for (unsigned k = 0; k < 9; k++) {
        if (!strcmp(mnemonic, names[k])) {
            return k < 3 ? SHIFT_PLAIN : k < 7 ? SHIFT_ROTATE : SHIFT_DOUBLE;
        }
    }
    return NOT_A_SHIFT;
}

/* Count of a shift, masked as the processor does. */
static unsigned shift_count(const struct test_case *t)
{
    unsigned count = (unsigned)t->decoded.immediate;

    for (unsigned k = 0; k < 3; k++) {
        const struct operand_code *code = &operand_codes[t->row->operands[k]];
        if (code->kind == KIND_ONE) {
            return 1;
        }
        if (code->kind == KIND_FIXED && code->number == REG_CX && code->size == SIZE_B) {
            count = (unsigned)t->initial.gpr[REG_CX];
        }
    }
    return count & (operand_bits(&t->decoded) == 64 ? 63 : 31);
}

/* SDM vol. 2: SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD, SHRD, "Flags Affected". */
static uint8_t undefined_of_shift(const struct test_case *t, enum shift_kind kind)
{
    unsigned count = shift_count(t), bits = operand_bits(&t->decoded);
    uint8_t undefined = t->row->flags_undefined;

    if (count == 0) {
        return 0;
    }
    if (count == 1) {
        undefined &= (uint8_t)~STATUS_O;
    }
    if (kind == SHIFT_PLAIN && count >= bits && !starts_with(t->row->mnemonic, "sar")) {
        undefined |= STATUS_C;
    }
    if (kind == SHIFT_DOUBLE && count > bits) {
        undefined = STATUS_ALL;
    }
    return undefined;
}

uint8_t undefined_flags(const struct test_case *test)
{
    enum shift_kind kind = shift_kind(test->row->mnemonic);

    return kind == NOT_A_SHIFT ? test->row->flags_undefined : undefined_of_shift(test, kind);
}

/* The destination too is undefined: SHLD and SHRD by more than the operand's size, BSWAP of 16 bits. */
static bool result_is_undefined(const struct test_case *t)
{
    if (!t->row) {
        return false;
    }
    if (shift_kind(t->row->mnemonic) == SHIFT_DOUBLE) {
        return shift_count(t) > operand_bits(&t->decoded);
    }
    return starts_with(t->row->mnemonic, "bswap") && t->decoded.operand_size == 1;
}

/* FXSAVE: AMD processors store the last instruction's pointers only with an exception pending (AMD64 APM vol. 5, FXSAVE);
 * MXCSR_MASK tells which processor it is; XMM8 to XMM15 are written by 64-bit code only. */
static bool is_open_in_fxsave(const struct test_case *t, uint32_t linear)
{
    uint32_t offset = linear - t->operand;

    return (offset >= 6 && offset < 24) || (offset >= 28 && offset < 32) || (offset >= 288 && offset < 416 && t->native_mode != t->mode);
}

bool store_is_masked(const struct test_case *test, uint32_t linear)
{
    if (!test->row) {
        return false;
    }
    return result_is_undefined(test) || (!strcmp(test->row->mnemonic, "fxsave") && is_open_in_fxsave(test, linear));
}

static uint32_t flags_mask(const struct test_case *test, const struct outcome *native)
{
    static const uint32_t bits[6] = { FLAG_CF, FLAG_PF, FLAG_AF, FLAG_ZF, FLAG_SF, FLAG_OF };
    uint32_t mask = FLAGS_STATUS | FLAGS_SYSTEM;

    unsigned undefined = test->undefined | (native->vector != ENDED_HERE ? test->undefined_inside : 0u);
    for (unsigned k = 0; k < 6; k++) {
        mask &= undefined >> k & 1 ? ~bits[k] : ~0u;
    }
    /* The end of a run is a fault on one side and a jump on the other. */
    return native->vector == ENDED_HERE ? mask & ~FLAG_RF : mask;
}

struct report {
    char *at;
    size_t left;
    bool differs;
};

static void differ(struct report *r, const char *format, ...)
{
    va_list arguments;

    r->differs = true;
    va_start(arguments, format);
    int length = vsnprintf(r->at, r->left, format, arguments);
    va_end(arguments);
    if (length > 0) {
        size_t used = (size_t)length < r->left ? (size_t)length : r->left - 1;
        r->at += used;
        r->left -= used;
    }
}

static void compare_fx(const struct outcome *native, const struct outcome *emulated, struct report *r)
{
    const uint8_t *n = native->state.fx, *e = emulated->state.fx;
    static const struct {
        const char *name;
        uint8_t offset, size;
    } fields[] = { { "fcw", 0, 2 }, { "fsw", 2, 2 }, { "ftw", 4, 1 } };

    for (unsigned k = 0; k < 3; k++) {
        if (memcmp(n + fields[k].offset, e + fields[k].offset, fields[k].size)) {
            differ(r, " %s=%04x/%04x", fields[k].name, (unsigned)load_le16(n + fields[k].offset),
                   (unsigned)load_le16(e + fields[k].offset));
        }
    }
    for (unsigned k = 0; k < 8; k++) {
        if (memcmp(n + 32 + 16 * k, e + 32 + 16 * k, 10)) {
            differ(r, " st%u=%04x.%016llx/%04x.%016llx", k, (unsigned)load_le16(n + 40 + 16 * k),
                   (unsigned long long)load_le64(n + 32 + 16 * k), (unsigned)load_le16(e + 40 + 16 * k),
                   (unsigned long long)load_le64(e + 32 + 16 * k));
        }
    }
}

static void compare_xmm(const struct outcome *native, const struct outcome *emulated, unsigned count, struct report *r)
{
    const uint8_t *n = native->state.fx, *e = emulated->state.fx;

    if (load_le32(n + 24) != load_le32(e + 24)) {
        differ(r, " mxcsr=%04x/%04x", (unsigned)load_le32(n + 24), (unsigned)load_le32(e + 24));
    }
    for (unsigned k = 0; k < count; k++) {
        const uint8_t *a = n + 160 + 16 * k, *b = e + 160 + 16 * k;
        if (memcmp(a, b, 16)) {
            differ(r, " xmm%u=%016llx.%016llx/%016llx.%016llx", k, (unsigned long long)load_le64(a + 8),
                   (unsigned long long)load_le64(a), (unsigned long long)load_le64(b + 8), (unsigned long long)load_le64(b));
        }
    }
}

bool compare(const struct test_case *test, const struct outcome *native, const struct outcome *emulated, char *why,
             size_t size)
{
    static const char *const names[16] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi",
                                           "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };
    static const char *const segments[6] = { "es", "cs", "ss", "ds", "fs", "gs" };
    struct report r = { why, size, false };
    const struct state *n = &native->state, *e = &emulated->state;

    why[0] = 0;
    if (native->vector != emulated->vector) {
        differ(&r, " vector=%02x/%02x", (unsigned)native->vector, (unsigned)emulated->vector);
        return false;
    }
    if (native->vector == ENDED_NEVER || native->vector == ENDED_CRASH) {
        return true;
    }
    /* In the upper half of the address space the host has its kernel: there are pages that the interpreter's memory has not. */
    uint32_t error_mask = native->vector == VEC_PF && native->cr2 >> 63 ? ~1u : ~0u;
    if (native->vector != ENDED_HERE && ((native->error ^ emulated->error) & error_mask) && native->vector != VEC_DB) {
        differ(&r, " error=%x/%x", (unsigned)native->error, (unsigned)emulated->error);
    }
    uint64_t cr2_mask = test->mode & MODE_CODE64 ? ~UINT64_C(0) : 0xffffffff;
    if (native->vector == VEC_PF && ((native->cr2 ^ emulated->cr2) & cr2_mask)) {
        differ(&r, " cr2=%llx/%llx", (unsigned long long)native->cr2, (unsigned long long)emulated->cr2);
    }
    unsigned registers = test->mode & MODE_CODE64 ? 16 : 8;
    for (unsigned k = 0; k < registers && !result_is_undefined(test); k++) {
        uint64_t mask = test->mode & MODE_CODE64 ? ~UINT64_C(0) : 0xffffffff;
        if ((n->gpr[k] ^ e->gpr[k]) & mask) {
            differ(&r, " %s=%llx/%llx", names[k], (unsigned long long)n->gpr[k], (unsigned long long)e->gpr[k]);
        }
    }
    if (n->rip != e->rip) {
        differ(&r, " eip=%llx/%llx", (unsigned long long)n->rip, (unsigned long long)e->rip);
    }
    uint32_t flags = (n->rflags ^ e->rflags) & flags_mask(test, native);
    if (flags) {
        differ(&r, " flags=%06x/%06x", (unsigned)n->rflags, (unsigned)e->rflags);
    }
    for (unsigned k = 0; k < 6; k++) {
        bool unknown = k == SEG_CS && (n->selector[k] == 0 || test->native_mode != test->mode);
        /* A kernel or hypervisor that reloads segments may lose the RPL of a null selector. */
        bool null = n->selector[k] < 4 && e->selector[k] < 4;
        if (n->selector[k] != e->selector[k] && !unknown && !null) {
            differ(&r, " %s=%x/%x", segments[k], (unsigned)n->selector[k], (unsigned)e->selector[k]);
        }
    }
    if (test->uses_fpu) {
        compare_xmm(native, emulated, registers, &r);
        compare_fx(native, emulated, &r);
    }
    return !r.differs;
}
