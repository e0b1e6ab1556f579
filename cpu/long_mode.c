/* long_mode.c - transfers of control that are IA-32e mode's own: interrupts and IRET by 16-byte gates and 64-bit frames, the
 * 64-bit TSS, call gates, SYSCALL and SYSRET; SYSENTER and SYSEXIT in all modes.
 *
 * Intel SDM (December 2023) vol. 3, 5.8.3.1, 5.8.5.1, 5.8.7, 5.8.8, 6.14 and 8.7; vol. 2, INT n, IRET, CALL, SYSCALL,
 * SYSRET, SYSENTER, SYSEXIT. Where Intel and AMD differ this is Intel: SYSCALL is undefined outside of 64-bit code, SYSRET to a
 * non-canonical address faults at level 0. Not implemented: shadow stacks. */
#include "cpu/system_private.h"

/* ---- the 64-bit TSS ---- */

enum { TSS64_RSP0 = 4, TSS64_IST1 = 36 };

struct segment segment_null_stack(unsigned cpl)
{
    struct segment stack = segment_null((uint16_t)cpl);

    stack.attributes |= cpl << ATTR_DPL_SHIFT;
    return stack;
}

bool stack_from_tss64(struct cpu *cpu, unsigned cpl, unsigned ist, uint64_t *rsp)
{
    const struct segment *tss = &cpu->seg[SEG_TR];
    uint32_t at = ist ? TSS64_IST1 + (ist - 1) * 8 : TSS64_RSP0 + cpl * 8;

    if ((tss->attributes & ATTR_NULL) || at + 7 > tss->limit) {
        return cpu_fault_error(cpu, VEC_TS, selector_error(tss->selector));
    }
    return system_read(cpu, tss->base + at, 8, rsp);
}

/* ---- interrupts ---- */

/* The code segment that a gate leads to: 64-bit code at this level or an inner one (SDM vol. 3, 6.14.1). */
static bool gate_code(struct cpu *cpu, uint16_t selector, struct segment *code, uint64_t *descriptor)
{
    if (selector_is_null(selector)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if (!descriptor_read(cpu, selector, VEC_GP, descriptor)) {
        return false;
    }
    descriptor_unpack(*descriptor, selector, code);
    if (!attributes_are_code(code->attributes) || (code->attributes & (ATTR_L | ATTR_DB)) != ATTR_L ||
        attributes_dpl(code->attributes) > cpu->cpl) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
    return (code->attributes & ATTR_P) || cpu_fault_error(cpu, VEC_NP, selector_error(selector));
}

static bool read_gate(struct cpu *cpu, uint8_t vector, bool is_software, uint64_t *low, uint64_t *high)
{
    uint32_t error = vector * 8u + 2;
    uint64_t at = cpu->idtr.base + vector * 16u;

    if (vector * 16u + 15 > cpu->idtr.limit) {
        return cpu_fault_error(cpu, VEC_GP, error);
    }
    if (!system_read(cpu, at, 8, low) || !system_read(cpu, at + 8, 8, high)) {
        return false;
    }
    uint32_t attributes = descriptor_attributes(*low);
    unsigned type = attributes_system_type(attributes);
    if ((type != TYPE_INTERRUPT_GATE32 && type != TYPE_TRAP_GATE32) ||
        (is_software && attributes_dpl(attributes) < cpu->cpl)) {
        return cpu_fault_error(cpu, VEC_GP, error);
    }
    return (attributes & ATTR_P) || cpu_fault_error(cpu, VEC_NP, error);
}

static uint64_t gate_offset(uint64_t low, uint64_t high)
{
    return (low & 0xffff) | (low >> 48 << 16) | high << 32;
}

bool interrupt_enter_long(struct cpu *cpu, uint8_t vector, bool is_software, bool has_error, uint32_t error, uint64_t rip,
                          uint32_t flags)
{
    uint64_t low, high, descriptor, rsp = cpu->gpr[REG_SP];
    struct segment code;
    struct stack_frame frame;

    if (!read_gate(cpu, vector, is_software, &low, &high) ||
        !gate_code(cpu, (uint16_t)(low >> 16), &code, &descriptor)) {
        return false;
    }
    bool is_inner = !attributes_are_conforming(code.attributes) && attributes_dpl(code.attributes) < cpu->cpl;
    unsigned cpl = is_inner ? attributes_dpl(code.attributes) : cpu->cpl, ist = (unsigned)(low >> 32) & 7;
    if (!cpu_is_64bit(cpu)) {
        rsp &= LINEAR_MASK;
    }
    if ((is_inner || ist) && !stack_from_tss64(cpu, cpl, ist, &rsp)) {
        return false;
    }
    struct segment stack = is_inner ? segment_null_stack(cpl) : cpu->seg[SEG_SS];
    stack_frame_open(&frame, cpu, &stack, rsp & ~UINT64_C(15), cpl, 0);
    frame.is_64bit = true;
    if (!stack_frame_push(&frame, 8, cpu->seg[SEG_SS].selector) || !stack_frame_push(&frame, 8, cpu->gpr[REG_SP]) ||
        !stack_frame_push(&frame, 8, flags) || !stack_frame_push(&frame, 8, cpu->seg[SEG_CS].selector) ||
        !stack_frame_push(&frame, 8, rip) || (has_error && !stack_frame_push(&frame, 8, error)) ||
        !code_offset_check(cpu, &code, gate_offset(low, high)) ||
        !descriptor_set_accessed(cpu, code.selector, descriptor) || !stack_frame_write(&frame)) {
        return false;
    }
    uint32_t cleared = FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM;
    uint32_t new_flags =
        cpu_get_eflags(cpu) & ~(descriptor_attributes(low) & 1 ? cleared : cleared | FLAG_IF);
    cpu->seg[SEG_SS] = stack;
    cpu->gpr[REG_SP] = frame.esp;
    code_enter(cpu, &code, cpl, gate_offset(low, high));
    cpu_set_eflags(cpu, new_flags);
    return true;
}

/* ---- IRET ---- */

/* SS of the frame: null is for 64-bit code below level 3. */
static bool return_stack(struct cpu *cpu, uint16_t selector, const struct segment *code, struct segment *stack)
{
    unsigned rpl = selector_rpl(code->selector);
    uint64_t descriptor;

    if (selector_is_null(selector)) {
        if (!code_is_64bit(cpu, code) || rpl == 3 || selector_rpl(selector) != rpl) {
            return cpu_fault_error(cpu, VEC_GP, 0);
        }
        *stack = segment_null_stack(rpl);
        return true;
    }
    return stack_segment_check(cpu, selector, rpl, VEC_GP, stack, &descriptor) &&
           descriptor_set_accessed(cpu, selector, descriptor);
}

static bool return_code(struct cpu *cpu, uint16_t selector, struct segment *code, uint64_t *descriptor)
{
    if (selector_is_null(selector)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if (!descriptor_read(cpu, selector, VEC_GP, descriptor)) {
        return false;
    }
    descriptor_unpack(*descriptor, selector, code);
    unsigned rpl = selector_rpl(selector), dpl = attributes_dpl(code->attributes);
    if (!code_is_valid(cpu, code->attributes) || rpl < cpu->cpl ||
        (attributes_are_conforming(code->attributes) ? dpl > rpl : dpl != rpl)) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
    return (code->attributes & ATTR_P) || cpu_fault_error(cpu, VEC_NP, selector_error(selector));
}

bool interrupt_return_long(struct cpu *cpu, unsigned size)
{
    uint64_t rip, cs, image, rsp, ss, descriptor;
    struct segment code, stack;
    uint32_t mask = FLAGS_STATUS | FLAG_TF | FLAG_DF | FLAG_NT;

    if (cpu->eflags & FLAG_NT) {
        return cpu_fault_error(cpu, VEC_GP, 0); /* there are no task links */
    }
    if (!stack_peek(cpu, 0, size, &rip) || !stack_peek(cpu, size, size, &cs) || !stack_peek(cpu, 2 * size, size, &image) ||
        !return_code(cpu, (uint16_t)cs, &code, &descriptor)) {
        return false;
    }
    unsigned cpl = selector_rpl((uint16_t)cs);
    bool pops_stack = cpl > cpu->cpl || cpu_is_64bit(cpu);
    rsp = stack_after_pop(cpu, 3 * size);
    if (pops_stack && (!stack_peek(cpu, 3 * size, size, &rsp) || !stack_peek(cpu, 4 * size, size, &ss) ||
                       !return_stack(cpu, (uint16_t)ss, &code, &stack))) {
        return false;
    }
    if (!code_offset_check(cpu, &code, rip) || !descriptor_set_accessed(cpu, (uint16_t)cs, descriptor)) {
        return false;
    }
    if (size != 2) {
        mask |= FLAG_RF | FLAG_AC | FLAG_ID;
    }
    if (cpu->cpl <= cpu_iopl(cpu)) {
        mask |= FLAG_IF;
    }
    if (cpu->cpl == 0) {
        mask |= size == 2 ? FLAG_IOPL : FLAG_IOPL | FLAG_VIF | FLAG_VIP;
    }
    uint32_t flags = (cpu_get_eflags(cpu) & ~mask) | ((uint32_t)image & mask) | FLAG_1;
    if (pops_stack) {
        cpu->seg[SEG_SS] = stack;
    }
    if (cpl > cpu->cpl) {
        segments_clear_inaccessible(cpu, cpl);
    }
    code_enter(cpu, &code, cpl, rip);
    stack_set_pointer(cpu, rsp);
    cpu_set_eflags(cpu, flags);
    return true;
}

/* ---- call gates ---- */

static bool call_gate64(struct cpu *cpu, const struct segment *code, uint64_t descriptor, uint64_t offset)
{
    struct stack_frame frame;
    unsigned cpl = attributes_dpl(code->attributes);
    bool is_inner = !attributes_are_conforming(code->attributes) && cpl < cpu->cpl;
    uint64_t rsp;

    if (!is_inner) {
        cpl = cpu->cpl;
        stack_frame_here(&frame, cpu, 0);
    } else {
        struct segment stack = segment_null_stack(cpl);
        if (!stack_from_tss64(cpu, cpl, 0, &rsp)) {
            return false;
        }
        stack_frame_open(&frame, cpu, &stack, rsp, cpl, 0);
        frame.is_64bit = true;
        if (!stack_frame_push(&frame, 8, cpu->seg[SEG_SS].selector) ||
            !stack_frame_push(&frame, 8, cpu->gpr[REG_SP])) {
            return false;
        }
    }
    if (!stack_frame_push(&frame, 8, cpu->seg[SEG_CS].selector) || !stack_frame_push(&frame, 8, cpu->next_rip) ||
        !code_offset_check(cpu, code, offset) || !descriptor_set_accessed(cpu, code->selector, descriptor) ||
        !stack_frame_write(&frame)) {
        return false;
    }
    if (is_inner) {
        cpu->seg[SEG_SS] = frame.stack;
    }
    code_enter(cpu, code, cpl, offset);
    stack_set_pointer(cpu, frame.esp);
    return true;
}

bool far_through_gate64(struct cpu *cpu, uint16_t selector, uint64_t gate, bool is_call)
{
    uint32_t attributes = descriptor_attributes(gate);
    unsigned dpl = attributes_dpl(attributes);
    uint64_t high, descriptor;
    struct segment code;

    /* Task gates and TSSs do not exist in IA-32e mode. */
    if (attributes_system_type(attributes) != TYPE_CALL_GATE64 || dpl < cpu->cpl || dpl < selector_rpl(selector)) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
    if (!(attributes & ATTR_P)) {
        return cpu_fault_error(cpu, VEC_NP, selector_error(selector));
    }
    if (!descriptor_read_high(cpu, selector, &high) || !gate_code(cpu, (uint16_t)(gate >> 16), &code, &descriptor)) {
        return false;
    }
    uint64_t offset = gate_offset(gate, high);
    if (is_call) {
        return call_gate64(cpu, &code, descriptor, offset);
    }
    if (!attributes_are_conforming(code.attributes) && attributes_dpl(code.attributes) != cpu->cpl) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(code.selector));
    }
    if (!code_offset_check(cpu, &code, offset) || !descriptor_set_accessed(cpu, code.selector, descriptor)) {
        return false;
    }
    code_enter(cpu, &code, cpu->cpl, offset);
    return true;
}

/* ---- SYSCALL, SYSRET ---- */

/* CS and SS that the fast calls load without looking at tables. */
static struct segment flat_code(uint16_t selector, unsigned dpl, bool is_64bit)
{
    struct segment code = segment_flat(selector, ATTR_CODE | ATTR_READABLE | ATTR_ACCESSED, dpl);

    if (is_64bit) {
        code.attributes = (code.attributes & ~(uint32_t)ATTR_DB) | ATTR_L;
    }
    return code;
}

static struct segment flat_stack(uint16_t selector, unsigned dpl)
{
    return segment_flat(selector, ATTR_WRITABLE | ATTR_ACCESSED, dpl);
}

bool system_syscall(struct cpu *cpu)
{
    if (!cpu_is_64bit(cpu) || !(cpu->efer & EFER_SCE)) {
        return cpu_fault(cpu, VEC_UD);
    }
    uint16_t cs = (uint16_t)(cpu->star >> 32 & 0xfffc);
    struct segment code = flat_code(cs, 0, true);
    uint32_t flags = cpu_get_eflags(cpu);

    cpu->gpr[REG_CX] = cpu->next_rip;
    cpu->gpr[11] = flags & ~FLAG_RF;
    cpu->seg[SEG_SS] = flat_stack((uint16_t)(cs + 8), 0);
    code_enter(cpu, &code, 0, cpu->lstar);
    cpu_set_eflags(cpu, (flags & ~(uint32_t)cpu->fmask & ~FLAG_RF) | FLAG_1);
    return true;
}

bool system_sysret(struct cpu *cpu, bool is_64bit)
{
    if (!cpu_is_64bit(cpu) || !(cpu->efer & EFER_SCE)) {
        return cpu_fault(cpu, VEC_UD);
    }
    uint64_t rip = is_64bit ? cpu->gpr[REG_CX] : cpu_reg32(cpu, REG_CX);
    if (cpu->cpl != 0 || !cpu_is_canonical(cpu, rip)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    uint16_t base = (uint16_t)(cpu->star >> 48);
    uint16_t cs = (uint16_t)((is_64bit ? base + 16 : base) | 3);
    struct segment code = flat_code(cs, 3, is_64bit);

    cpu->seg[SEG_SS] = flat_stack((uint16_t)((base + 8) | 3), 3);
    code_enter(cpu, &code, 3, rip);
    cpu_set_eflags(cpu, ((uint32_t)cpu->gpr[11] & UINT32_C(0x3c7fd7)) | FLAG_1);
    return true;
}

/* ---- SYSENTER, SYSEXIT ---- */

static bool sysenter_check(struct cpu *cpu)
{
    if (!(cpu->cr0 & CR0_PE) || selector_is_null((uint16_t)cpu->sysenter_cs)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    return true;
}

bool system_sysenter(struct cpu *cpu)
{
    if (!sysenter_check(cpu)) {
        return false;
    }
    bool is_long = cpu_is_long(cpu);
    uint16_t cs = (uint16_t)(cpu->sysenter_cs & 0xfffc);
    struct segment code = flat_code(cs, 0, is_long);

    cpu->seg[SEG_SS] = flat_stack((uint16_t)(cs + 8), 0);
    cpu->gpr[REG_SP] = is_long ? cpu->sysenter_esp : (uint32_t)cpu->sysenter_esp;
    code_enter(cpu, &code, 0, is_long ? cpu->sysenter_eip : (uint32_t)cpu->sysenter_eip);
    cpu_set_eflags(cpu, cpu_get_eflags(cpu) & ~(FLAG_VM | FLAG_IF | FLAG_RF));
    return true;
}

bool system_sysexit(struct cpu *cpu, bool is_64bit)
{
    if (!sysenter_check(cpu)) {
        return false;
    }
    uint64_t rip = is_64bit ? cpu->gpr[REG_DX] : cpu_reg32(cpu, REG_DX);
    uint64_t rsp = is_64bit ? cpu->gpr[REG_CX] : cpu_reg32(cpu, REG_CX);
    if (cpu->cpl != 0 || (is_64bit && !(cpu_is_canonical(cpu, rip) && cpu_is_canonical(cpu, rsp)))) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    uint16_t cs = (uint16_t)((cpu->sysenter_cs & 0xfffc) + (is_64bit ? 32 : 16));
    struct segment code = flat_code((uint16_t)(cs | 3), 3, is_64bit);

    cpu->seg[SEG_SS] = flat_stack((uint16_t)((cs + 8) | 3), 3);
    cpu->gpr[REG_SP] = rsp;
    code_enter(cpu, &code, 3, rip);
    return true;
}
