/* x87_state.c - x87 control: exceptions, control and status words, stack housekeeping, the environment in memory.
 *
 * Intel SDM vol. 1, 8.1 and 8.3.8 to 8.7 (December 2023), figures 8-9 to 8-12 for the environment layouts; vol. 2,
 * FLDENV and FSAVE.
 *
 * Differs from processors:
 *  - The instruction and data pointers and the opcode change only when an instruction raises an unmasked exception
 *    (processors with FDP_EXCPTN_ONLY do that for the data pointer); otherwise they keep the last value.
 * With CR0.NE clear FERR# rises at the next waiting instruction, which is not begun before an interrupt was taken, or goes on
 * while IGNNE# is high (8.7, "MS-DOS compatibility sub-mode").
 * FXSAVE and FXRSTOR are in simd_state.c. FENI, FDISI and FSETPM do nothing, as since the 387. */
#include "cpu/x87.h"

#include "cpu/flags.h"

/* ---- exceptions ---- */

/* The pending exception, seen by a waiting instruction. */
static NOINLINE bool pending_error(struct cpu *cpu)
{
    if (cpu->cr0 & CR0_NE) {
        return cpu_fault(cpu, VEC_MF);
    }
    return cpu->ignne_line || cpu_fault(cpu, VEC_FERR);
}

NOINLINE void x87_drop_ferr(struct cpu *cpu)
{
    cpu->ferr_line = false;
    if (cpu->board.ferr) {
        cpu->board.ferr(cpu->board.context, false);
    }
}

NOINLINE bool x87_blocked(struct cpu *cpu)
{
    if (cpu->cr0 & (CR0_EM | CR0_TS)) {
        return cpu_fault(cpu, VEC_NM);
    }
    return pending_error(cpu);
}

/* Byte of code at cpu->rip + k, without side effects on the guest. */
static uint8_t code_byte(const struct cpu *cpu, unsigned k)
{
    uint64_t linear = cpu_is_64bit(cpu) ? cpu->rip + k
                                        : (cpu->seg[SEG_CS].base + ((cpu->rip + k) & 0xffffffffu)) & 0xffffffffu;
    phys_addr physical;

    return cpu_translate_debug(cpu, linear, &physical) ? (uint8_t)space_read(cpu->board.space, physical, 1) : 0;
}

static bool is_prefix(const struct cpu *cpu, uint8_t byte)
{
    return (cpu_is_64bit(cpu) && (byte & 0xf0) == 0x40) || byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e || (byte >= 0x64 && byte <= 0x67) ||
           byte == 0xf2 || byte == 0xf3;
}

/* The record has no opcode, so it is read again from memory, behind the prefixes. */
NOINLINE void x87_pend(struct cpu *cpu, const struct insn *insn)
{
    unsigned k = 0;

    cpu->fpu.status |= X87_ES;
    cpu_sync(cpu, insn);
    while (k < 14 && is_prefix(cpu, code_byte(cpu, k))) {
        k++;
    }
    uint8_t modrm = code_byte(cpu, k + 1);
    cpu->fpu.instruction_pointer = cpu->rip;
    cpu->fpu.instruction_selector = cpu->seg[SEG_CS].selector;
    cpu->fpu.opcode = (uint16_t)((code_byte(cpu, k) & 7) << 8 | modrm);
    if (modrm < 0xc0) {
        cpu->fpu.data_pointer = ea_generic(cpu, insn);
        cpu->fpu.data_selector = cpu->seg[ea_segment(insn)].selector;
    }
}

NOINLINE bool x87_stack_fault(struct cpu *cpu, const struct insn *insn, bool is_overflow)
{
    cpu->fpu.status = (uint16_t)((cpu->fpu.status & ~X87_C1) | FPU_IE | X87_SF | (is_overflow ? X87_C1 : 0));
    if (cpu->fpu.control & FPU_IE) {
        return true;
    }
    x87_pend(cpu, insn);
    return false;
}

static bool b_fwait(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    if ((cpu->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)) {
        return cpu_fault(cpu, VEC_NM);
    }
    return LIKELY(!(cpu->fpu.status & X87_ES)) || pending_error(cpu);
}
X87_REG(fwait)

/* ---- control and status ---- */

static void initialize(struct cpu *cpu)
{
    cpu->fpu.control = X87_CONTROL_INIT;
    cpu->fpu.status = 0;
    cpu->fpu.top = 0;
    cpu->fpu.empty = 0xff;
    cpu->fpu.instruction_pointer = cpu->fpu.data_pointer = 0;
    cpu->fpu.instruction_selector = cpu->fpu.data_selector = 0;
    cpu->fpu.opcode = 0;
    x87_error_gone(cpu);
}

static bool b_fninit(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    if (!x87_ready_no_wait(cpu)) {
        return false;
    }
    initialize(cpu);
    return true;
}
X87_REG(fninit)

static bool b_fnclex(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    if (!x87_ready_no_wait(cpu)) {
        return false;
    }
    cpu->fpu.status &= X87_CODES;
    x87_error_gone(cpu);
    return true;
}
X87_REG(fnclex)

/* FENI, FDISI, FSETPM. */
static bool b_fn_nothing(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    return x87_ready_no_wait(cpu);
}
X87_REG(fn_nothing)

static bool b_fnop(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    return x87_ready(cpu);
}
X87_REG(fnop)

static ALWAYS_INLINE bool b_fldcw(struct cpu *cpu, const struct insn *insn, enum form form)
{
    uint16_t value;

    if (!x87_ready(cpu) || !load16(cpu, insn, form, &value)) {
        return false;
    }
    cpu->fpu.control = (uint16_t)((value & X87_CONTROL_KEPT) | X87_CONTROL_SET);
    x87_summarize(cpu);
    return true;
}
X87_MEM(fldcw)

static ALWAYS_INLINE bool b_fnstcw(struct cpu *cpu, const struct insn *insn, enum form form)
{
    return x87_ready_no_wait(cpu) && store16(cpu, insn, form, cpu->fpu.control);
}
X87_MEM(fnstcw)

static ALWAYS_INLINE bool b_fnstsw_m(struct cpu *cpu, const struct insn *insn, enum form form)
{
    return x87_ready_no_wait(cpu) && store16(cpu, insn, form, x87_status_word(cpu));
}
X87_MEM(fnstsw_m)

static ALWAYS_INLINE bool b_fnstsw_ax(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    if (!x87_ready_no_wait(cpu)) {
        return false;
    }
    set_reg16(cpu, REG_AX, x87_status_word(cpu));
    return true;
}
X87_REG(fnstsw_ax)

/* ---- the stack ---- */

static bool b_fincstp(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    if (!x87_ready(cpu)) {
        return false;
    }
    cpu->fpu.top = (cpu->fpu.top + 1) & 7;
    x87_clear_c1(cpu);
    return true;
}
X87_REG(fincstp)

static bool b_fdecstp(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    if (!x87_ready(cpu)) {
        return false;
    }
    cpu->fpu.top = (cpu->fpu.top - 1) & 7;
    x87_clear_c1(cpu);
    return true;
}
X87_REG(fdecstp)

static bool b_ffree(struct cpu *cpu, const struct insn *insn)
{
    if (!x87_ready(cpu)) {
        return false;
    }
    cpu->fpu.empty |= (uint8_t)(1u << x87_st(cpu, insn->r1));
    x87_clear_c1(cpu);
    return true;
}
X87_REG(ffree)

static bool b_ffreep(struct cpu *cpu, const struct insn *insn)
{
    if (!b_ffree(cpu, insn)) {
        return false;
    }
    x87_pop(cpu);
    return true;
}
X87_REG(ffreep)

/* ---- the environment in memory ---- */

enum { ENV_MAX = 28, IMAGE_MAX = ENV_MAX + 80 };

/* Reads or writes `count` bytes at the memory operand in pieces of `piece` bytes. Writing is all or nothing. */
static bool read_image(struct cpu *cpu, const struct insn *insn, unsigned piece, unsigned count, uint8_t *bytes)
{
    uint64_t start = ea_generic(cpu, insn), value;

    cpu->current = insn;
    for (unsigned k = 0; k < count; k += piece) {
        if (!segment_read(cpu, ea_segment(insn), (start + k) & address_mask(insn), piece, &value)) {
            return false;
        }
        for (unsigned byte = 0; byte < piece; byte++) {
            bytes[k + byte] = (uint8_t)(value >> (8 * byte));
        }
    }
    return true;
}

static bool write_image(struct cpu *cpu, const struct insn *insn, unsigned piece, unsigned count,
                        const uint8_t *bytes)
{
    uint64_t start = ea_generic(cpu, insn);

    cpu->current = insn;
    for (unsigned k = 0; k < count; k += piece) {
        if (!segment_probe_write(cpu, ea_segment(insn), (start + k) & address_mask(insn), piece)) {
            return false;
        }
    }
    for (unsigned k = 0; k < count; k += piece) {
        uint64_t value = 0;
        for (unsigned byte = 0; byte < piece; byte++) {
            value |= (uint64_t)bytes[k + byte] << (8 * byte);
        }
        if (!segment_write(cpu, ea_segment(insn), (start + k) & address_mask(insn), piece, value)) {
            return false;
        }
    }
    return true;
}

static uint16_t tag_word(const struct cpu *cpu)
{
    unsigned tags = 0;

    for (unsigned reg = 0; reg < 8; reg++) {
        tags |= (x87_is_empty(cpu, reg) ? 3u : f80_tag(x87_get(cpu, reg))) << (2 * reg);
    }
    return (uint16_t)tags;
}

/* The seven words of the environment; reserved upper halves of the 32-bit ones are all ones. */
static unsigned make_environment(const struct cpu *cpu, bool is_wide, uint8_t bytes[ENV_MAX])
{
    const struct fpu *fpu = &cpu->fpu;
    uint32_t ip = (uint32_t)fpu->instruction_pointer, dp = (uint32_t)fpu->data_pointer;
    uint32_t words[7] = { fpu->control, x87_status_word(cpu), tag_word(cpu), 0, 0, 0, 0 };

    for (unsigned k = 0; k < 3; k++) {
        words[k] |= 0xffff0000u;
    }
    if (cpu_is_protected(cpu)) {
        words[3] = ip;
        words[4] = fpu->instruction_selector | (uint32_t)(fpu->opcode & 0x7ff) << 16;
        words[5] = dp;
        words[6] = 0xffff0000u | fpu->data_selector;
    } else {
        ip += (uint32_t)fpu->instruction_selector << 4;
        dp += (uint32_t)fpu->data_selector << 4;
        words[3] = 0xffff0000u | (ip & 0xffff);
        words[4] = (ip >> 16) << 12 | (fpu->opcode & 0x7ffu);
        words[5] = 0xffff0000u | (dp & 0xffff);
        words[6] = (dp >> 16) << 12;
    }
    for (unsigned k = 0; k < 7; k++) {
        if (is_wide) {
            host_store32(bytes + 4 * k, words[k]);
        } else {
            host_store16(bytes + 2 * k, (uint16_t)words[k]);
        }
    }
    return is_wide ? 28 : 14;
}

static void take_environment(struct cpu *cpu, bool is_wide, const uint8_t bytes[ENV_MAX])
{
    struct fpu *fpu = &cpu->fpu;
    uint32_t words[7];

    for (unsigned k = 0; k < 7; k++) {
        words[k] = is_wide ? host_load32(bytes + 4 * k) : host_load16(bytes + 2 * k);
    }
    fpu->control = (uint16_t)((words[0] & X87_CONTROL_KEPT) | X87_CONTROL_SET);
    fpu->status = (uint16_t)(words[1] & (X87_CODES | X87_SF | X87_EXCEPTIONS));
    fpu->top = words[1] >> 11 & 7;
    fpu->empty = 0;
    for (unsigned reg = 0; reg < 8; reg++) {
        fpu->empty |= (uint8_t)((words[2] >> (2 * reg) & 3) == 3 ? 1u << reg : 0);
    }
    if (cpu_is_protected(cpu)) {
        fpu->instruction_pointer = words[3];
        fpu->instruction_selector = (uint16_t)words[4];
        fpu->opcode = words[4] >> 16 & 0x7ff;
        fpu->data_pointer = words[5];
        fpu->data_selector = (uint16_t)words[6];
    } else {
        uint32_t high = is_wide ? 0xffff : 0xf;
        fpu->instruction_pointer = (words[3] & 0xffff) | (words[4] >> 12 & high) << 16;
        fpu->opcode = words[4] & 0x7ff;
        fpu->data_pointer = (words[5] & 0xffff) | (words[6] >> 12 & high) << 16;
        fpu->instruction_selector = fpu->data_selector = 0;
    }
    x87_summarize(cpu);
}

static bool fldenv(struct cpu *cpu, const struct insn *insn, bool is_wide)
{
    uint8_t bytes[ENV_MAX] = { 0 };

    if (!x87_ready(cpu) || !read_image(cpu, insn, is_wide ? 4 : 2, is_wide ? 28 : 14, bytes)) {
        return false;
    }
    take_environment(cpu, is_wide, bytes);
    return true;
}

static bool fnstenv(struct cpu *cpu, const struct insn *insn, bool is_wide)
{
    uint8_t bytes[ENV_MAX];

    if (!x87_ready_no_wait(cpu)) {
        return false;
    }
    unsigned count = make_environment(cpu, is_wide, bytes);
    if (!write_image(cpu, insn, is_wide ? 4 : 2, count, bytes)) {
        return false;
    }
    cpu->fpu.control |= X87_EXCEPTIONS;
    x87_summarize(cpu);
    return true;
}

static bool frstor(struct cpu *cpu, const struct insn *insn, bool is_wide)
{
    uint8_t bytes[IMAGE_MAX] = { 0 };
    unsigned size = is_wide ? 28 : 14;

    if (!x87_ready(cpu) || !read_image(cpu, insn, is_wide ? 4 : 2, size + 80, bytes)) {
        return false;
    }
    take_environment(cpu, is_wide, bytes);
    for (unsigned k = 0; k < 8; k++) {
        const uint8_t *at = bytes + size + 10 * k;
        unsigned reg = x87_st(cpu, k);
        cpu->fpu.mantissa[reg] = host_load64(at);
        cpu->fpu.sign_exp[reg] = host_load16(at + 8);
    }
    return true;
}

static bool fnsave(struct cpu *cpu, const struct insn *insn, bool is_wide)
{
    uint8_t bytes[IMAGE_MAX];

    if (!x87_ready_no_wait(cpu)) {
        return false;
    }
    unsigned size = make_environment(cpu, is_wide, bytes);
    for (unsigned k = 0; k < 8; k++) {
        struct float80 value = x87_get(cpu, x87_st(cpu, k));
        host_store64(bytes + size + 10 * k, value.mantissa);
        host_store16(bytes + size + 10 * k + 8, value.sign_exp);
    }
    if (!write_image(cpu, insn, is_wide ? 4 : 2, size + 80, bytes)) {
        return false;
    }
    initialize(cpu);
    return true;
}

/* By operand size; always through the generic form. */
#define ENVIRONMENT(name)                                                                                              \
    static bool b_##name##16(struct cpu *cpu, const struct insn *insn) { return name(cpu, insn, false); }              \
    static bool b_##name##32(struct cpu *cpu, const struct insn *insn) { return name(cpu, insn, true); }               \
    SLOW(name##16)                                                                                                     \
    SLOW(name##32)                                                                                                     \
    extern const struct binding bind_##name;                                                                           \
    const struct binding bind_##name = { { [LIVE] = { [FORM_GENERIC] = { NULL, h_##name##16, h_##name##32,             \
                                                                         h_##name##32 } } } };
ENVIRONMENT(fldenv)
ENVIRONMENT(fnstenv)
ENVIRONMENT(frstor)
ENVIRONMENT(fnsave)
