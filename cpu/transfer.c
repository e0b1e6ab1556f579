/* transfer.c - far JMP, CALL, RET and IRET, SYSENTER and SYSEXIT, as in the pseudo-code of these instructions in
 * Intel SDM vol. 2 (December 2023) and vol. 3, 5.8 "Privilege level checking when transferring program control",
 * 7.3 and 20.
 *
 * Order of work everywhere: check and read, probe the stack, set accessed bits, write the stack, then registers.
 * IA-32e mode's own parts are in long_mode.c. Not implemented: shadow stacks. */
#include "cpu/system_private.h"

/* ---- entering code segments ---- */

bool code_offset_check(struct cpu *cpu, const struct segment *code, uint64_t offset)
{
    bool is_inside = code_is_64bit(cpu, code) ? cpu_is_canonical(cpu, offset) : offset <= code->limit;

    return is_inside || cpu_fault_error(cpu, VEC_GP, 0);
}

void code_enter(struct cpu *cpu, const struct segment *code, unsigned cpl, uint64_t eip)
{
    cpu->seg[SEG_CS] = *code;
    cpu->seg[SEG_CS].attributes |= ATTR_ACCESSED;
    cpu->seg[SEG_CS].selector = selector_with_rpl(code->selector, cpl);
    cpu->cpl = (uint8_t)cpl;
    /* Cut by operand size alone, whatever CS.D says: SDM vol. 2, JMP and IRET. */
    cpu->rip = code_is_64bit(cpu, code) ? eip : (uint32_t)eip;
    cpu_update_mode(cpu);
}

/* Real mode keeps CS's limit, a virtual-8086 task's is always 64 KiB. */
bool code_check_real(struct cpu *cpu, uint32_t offset)
{
    uint32_t limit = cpu_is_vm86(cpu) ? 0xffff : cpu->seg[SEG_CS].limit;

    return offset <= limit || cpu_fault_error(cpu, VEC_GP, 0);
}

void code_enter_real(struct cpu *cpu, uint16_t selector, uint32_t eip)
{
    segment_load_real(cpu, SEG_CS, selector);
    cpu->rip = eip;
}

static uint64_t truncate(uint64_t value, unsigned size)
{
    return size == 2 ? value & 0xffff : size == 4 ? (uint32_t)value : value;
}

/* ---- gates and task state segments as targets ---- */

static unsigned gate_dpl(uint64_t gate) { return attributes_dpl(descriptor_attributes(gate)); }
static uint16_t gate_selector(uint64_t gate) { return (uint16_t)(gate >> 16); }
static bool gate_is_32bit(uint64_t gate) { return (descriptor_attributes(gate) & TYPE_32BIT_BIT) != 0; }
static uint32_t gate_offset(uint64_t gate)
{
    uint32_t low = (uint32_t)gate & 0xffff;
    return gate_is_32bit(gate) ? low | ((uint32_t)(gate >> 32) & UINT32_C(0xffff0000)) : low;
}

bool task_gate_enter(struct cpu *cpu, uint64_t gate, enum task_source source, uint64_t return_rip, bool has_error,
                     uint32_t error)
{
    uint16_t selector = gate_selector(gate);
    uint64_t descriptor;

    if (selector_is_local(selector)) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
    return descriptor_read(cpu, selector, VEC_GP, &descriptor) &&
           task_switch(cpu, selector, descriptor, source, return_rip, has_error, error);
}

/* Checks DPL (#GP) and presence (#NP) of a call or task gate that CALL or JMP names. */
static bool gate_check(struct cpu *cpu, uint16_t selector, uint64_t gate)
{
    if (gate_dpl(gate) < cpu->cpl || gate_dpl(gate) < selector_rpl(selector)) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
    if (!(descriptor_attributes(gate) & ATTR_P)) {
        return cpu_fault_error(cpu, VEC_NP, selector_error(selector));
    }
    return true;
}

/* CALL or JMP to a task gate or TSS. */
static bool transfer_to_task(struct cpu *cpu, uint16_t selector, uint64_t descriptor, enum task_source source)
{
    if (attributes_system_type(descriptor_attributes(descriptor)) == TYPE_TASK_GATE) {
        return gate_check(cpu, selector, descriptor) &&
               task_gate_enter(cpu, descriptor, source, cpu->next_rip, false, 0);
    }
    if (gate_dpl(descriptor) < cpu->cpl || gate_dpl(descriptor) < selector_rpl(selector) ||
        selector_is_local(selector)) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
    return task_switch(cpu, selector, descriptor, source, cpu->next_rip, false, 0);
}

/* The checks of a code segment that JMP or CALL names directly; CPL stays as it is. */
static bool code_check_direct(struct cpu *cpu, uint16_t selector, uint64_t descriptor, struct segment *code)
{
    descriptor_unpack(descriptor, selector, code);
    unsigned dpl = attributes_dpl(code->attributes);
    bool may = attributes_are_conforming(code->attributes) ? dpl <= cpu->cpl
                                                           : selector_rpl(selector) <= cpu->cpl && dpl == cpu->cpl;
    if (!may || !code_is_valid(cpu, code->attributes)) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
    if (!(code->attributes & ATTR_P)) {
        return cpu_fault_error(cpu, VEC_NP, selector_error(selector));
    }
    return true;
}

/* The code segment that a call gate leads to; DPL may not be above CPL, more is up to the caller. */
static bool code_check_gate(struct cpu *cpu, uint64_t gate, struct segment *code, uint64_t *descriptor)
{
    uint16_t selector = gate_selector(gate);

    if (selector_is_null(selector)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if (!descriptor_read(cpu, selector, VEC_GP, descriptor)) {
        return false;
    }
    descriptor_unpack(*descriptor, selector, code);
    if (!attributes_are_code(code->attributes) || attributes_dpl(code->attributes) > cpu->cpl) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
    return true;
}

/* ---- JMP ---- */

static bool jump_through_gate(struct cpu *cpu, uint16_t gate_sel, uint64_t gate)
{
    struct segment code;
    uint64_t descriptor;

    if (!gate_check(cpu, gate_sel, gate) || !code_check_gate(cpu, gate, &code, &descriptor)) {
        return false;
    }
    if (!attributes_are_conforming(code.attributes) && attributes_dpl(code.attributes) != cpu->cpl) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(code.selector));
    }
    if (!(code.attributes & ATTR_P)) {
        return cpu_fault_error(cpu, VEC_NP, selector_error(code.selector));
    }
    if (!code_offset_check(cpu, &code, gate_offset(gate)) ||
        !descriptor_set_accessed(cpu, code.selector, descriptor)) {
        return false;
    }
    code_enter(cpu, &code, cpu->cpl, gate_offset(gate));
    return true;
}

bool far_jump(struct cpu *cpu, uint16_t selector, uint64_t offset, unsigned operand_size)
{
    uint64_t eip = truncate(offset, operand_size);
    struct segment code;
    uint64_t descriptor;

    if (!cpu_is_protected(cpu)) {
        if (!code_check_real(cpu, (uint32_t)eip)) {
            return false;
        }
        code_enter_real(cpu, selector, (uint32_t)eip);
        return true;
    }
    if (selector_is_null(selector)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if (!descriptor_read(cpu, selector, VEC_GP, &descriptor)) {
        return false;
    }
    if (attributes_are_code(descriptor_attributes(descriptor))) {
        if (!code_check_direct(cpu, selector, descriptor, &code) || !code_offset_check(cpu, &code, eip) ||
            !descriptor_set_accessed(cpu, selector, descriptor)) {
            return false;
        }
        code_enter(cpu, &code, cpu->cpl, eip);
        return true;
    }
    if (cpu_is_long(cpu)) {
        return far_through_gate64(cpu, selector, descriptor, false);
    }
    switch (attributes_system_type(descriptor_attributes(descriptor))) {
    case TYPE_CALL_GATE16:
    case TYPE_CALL_GATE32:
        return jump_through_gate(cpu, selector, descriptor);
    case TYPE_TASK_GATE:
    case TYPE_TSS16:
    case TYPE_TSS16_BUSY: /* refused by task_switch, after the privilege checks */
    case TYPE_TSS32:
    case TYPE_TSS32_BUSY:
        return transfer_to_task(cpu, selector, descriptor, TASK_JUMP);
    default:
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
}

/* ---- CALL ---- */

bool stack_from_tss(struct cpu *cpu, unsigned cpl, struct segment *stack, uint64_t *descriptor, uint32_t *esp)
{
    const struct segment *tss = &cpu->seg[SEG_TR];
    bool is_32bit = (tss->attributes & TYPE_32BIT_BIT) != 0;
    uint32_t at = is_32bit ? cpl * 8 + 4 : cpl * 4 + 2;
    uint32_t last = at + (is_32bit ? 5 : 3);
    uint64_t pointer, selector;

    if ((tss->attributes & ATTR_NULL) || last > tss->limit) {
        return cpu_fault_error(cpu, VEC_TS, selector_error(tss->selector));
    }
    if (!system_read(cpu, tss->base + at, is_32bit ? 4 : 2, &pointer) ||
        !system_read(cpu, tss->base + at + (is_32bit ? 4 : 2), 2, &selector)) {
        return false;
    }
    *esp = (uint32_t)pointer;
    return stack_segment_check(cpu, (uint16_t)selector, cpl, VEC_TS, stack, descriptor);
}

/* Pushes CS and the return address of a call that stays at its level, and goes. */
static bool call_here(struct cpu *cpu, const struct segment *code, uint64_t descriptor, uint64_t eip, unsigned size)
{
    struct stack_frame frame;

    stack_frame_here(&frame, cpu, 0);
    if (!stack_frame_push(&frame, size, cpu->seg[SEG_CS].selector) ||
        !stack_frame_push(&frame, size, cpu->next_rip) || !code_offset_check(cpu, code, eip) ||
        !descriptor_set_accessed(cpu, code->selector, descriptor) || !stack_frame_write(&frame)) {
        return false;
    }
    stack_set_pointer(cpu, frame.esp);
    code_enter(cpu, code, cpu->cpl, eip);
    return true;
}

/* Pushes what a call gate puts on the inner stack: SS, ESP, the parameters, CS and EIP. */
static bool call_inner_frame(struct cpu *cpu, struct stack_frame *frame, uint64_t gate)
{
    unsigned size = gate_is_32bit(gate) ? 4 : 2;
    unsigned parameters = (unsigned)(gate >> 32) & 31;

    if (!stack_frame_push(frame, size, cpu->seg[SEG_SS].selector) ||
        !stack_frame_push(frame, size, cpu_reg32(cpu, REG_SP))) {
        return false;
    }
    for (unsigned n = parameters; n-- > 0;) {
        uint64_t value;
        if (!stack_peek(cpu, n * size, size, &value) || !stack_frame_push(frame, size, value)) {
            return false;
        }
    }
    return stack_frame_push(frame, size, cpu->seg[SEG_CS].selector) &&
           stack_frame_push(frame, size, (uint32_t)cpu->next_rip);
}

static bool call_inner(struct cpu *cpu, const struct segment *code, uint64_t code_descriptor, uint64_t gate)
{
    unsigned cpl = attributes_dpl(code->attributes);
    struct segment stack;
    uint64_t stack_descriptor;
    struct stack_frame frame;
    uint32_t esp;

    if (!stack_from_tss(cpu, cpl, &stack, &stack_descriptor, &esp)) {
        return false;
    }
    stack_frame_open(&frame, cpu, &stack, esp, cpl, selector_error(stack.selector));
    if (!call_inner_frame(cpu, &frame, gate) || !code_offset_check(cpu, code, gate_offset(gate)) ||
        !descriptor_set_accessed(cpu, stack.selector, stack_descriptor) ||
        !descriptor_set_accessed(cpu, code->selector, code_descriptor) || !stack_frame_write(&frame)) {
        return false;
    }
    cpu->seg[SEG_SS] = stack;
    cpu->gpr[REG_SP] = frame.esp;
    code_enter(cpu, code, cpl, gate_offset(gate));
    return true;
}

static bool call_through_gate(struct cpu *cpu, uint16_t gate_sel, uint64_t gate)
{
    struct segment code;
    uint64_t descriptor;

    if (!gate_check(cpu, gate_sel, gate) || !code_check_gate(cpu, gate, &code, &descriptor)) {
        return false;
    }
    if (!(code.attributes & ATTR_P)) {
        return cpu_fault_error(cpu, VEC_NP, selector_error(code.selector));
    }
    if (!attributes_are_conforming(code.attributes) && attributes_dpl(code.attributes) < cpu->cpl) {
        return call_inner(cpu, &code, descriptor, gate);
    }
    return call_here(cpu, &code, descriptor, gate_offset(gate), gate_is_32bit(gate) ? 4 : 2);
}

static bool call_real(struct cpu *cpu, uint16_t selector, uint32_t eip, unsigned size)
{
    struct stack_frame frame;

    stack_frame_here(&frame, cpu, 0);
    if (!stack_frame_push(&frame, size, cpu->seg[SEG_CS].selector) ||
        !stack_frame_push(&frame, size, (uint32_t)cpu->next_rip) || !code_check_real(cpu, eip) ||
        !stack_frame_write(&frame)) {
        return false;
    }
    stack_set_pointer(cpu, frame.esp);
    code_enter_real(cpu, selector, eip);
    return true;
}

bool far_call(struct cpu *cpu, uint16_t selector, uint64_t offset, unsigned operand_size)
{
    uint64_t eip = truncate(offset, operand_size);
    struct segment code;
    uint64_t descriptor;

    if (!cpu_is_protected(cpu)) {
        return call_real(cpu, selector, (uint32_t)eip, operand_size);
    }
    if (selector_is_null(selector)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if (!descriptor_read(cpu, selector, VEC_GP, &descriptor)) {
        return false;
    }
    if (attributes_are_code(descriptor_attributes(descriptor))) {
        return code_check_direct(cpu, selector, descriptor, &code) &&
               call_here(cpu, &code, descriptor, eip, operand_size);
    }
    if (cpu_is_long(cpu)) {
        return far_through_gate64(cpu, selector, descriptor, true);
    }
    switch (attributes_system_type(descriptor_attributes(descriptor))) {
    case TYPE_CALL_GATE16:
    case TYPE_CALL_GATE32:
        return call_through_gate(cpu, selector, descriptor);
    case TYPE_TASK_GATE:
    case TYPE_TSS16:
    case TYPE_TSS16_BUSY:
    case TYPE_TSS32:
    case TYPE_TSS32_BUSY:
        return transfer_to_task(cpu, selector, descriptor, TASK_CALL);
    default:
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
}

/* ---- RET and IRET ---- */

/* The checks of the code segment that RET and IRET return to: RPL is the level to be. */
static bool code_check_return(struct cpu *cpu, uint16_t selector, struct segment *code, uint64_t *descriptor)
{
    if (selector_is_null(selector)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if (!descriptor_read(cpu, selector, VEC_GP, descriptor)) {
        return false;
    }
    descriptor_unpack(*descriptor, selector, code);
    unsigned rpl = selector_rpl(selector);
    unsigned dpl = attributes_dpl(code->attributes);
    if (!code_is_valid(cpu, code->attributes) || rpl < cpu->cpl ||
        (attributes_are_conforming(code->attributes) ? dpl > rpl : dpl != rpl)) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
    if (!(code->attributes & ATTR_P)) {
        return cpu_fault_error(cpu, VEC_NP, selector_error(selector));
    }
    return true;
}

/* What a return has found out before it changes anything. */
struct return_plan {
    struct segment code, stack;
    uint64_t eip, esp;
    bool is_outer;
};

/* Plans a return in protected mode. `frame_bytes` is the size of the innermost part of the frame (EIP, CS, EFLAGS),
 * `release_bytes` what RET n drops from both stacks. Sets the accessed bits. */
static bool return_plan(struct cpu *cpu, unsigned size, uint32_t frame_bytes, uint32_t release_bytes,
                        struct return_plan *plan)
{
    uint64_t cs, ss;
    uint64_t code_descriptor, stack_descriptor;

    if (!stack_peek(cpu, 0, size, &plan->eip) || !stack_peek(cpu, size, size, &cs) ||
        !code_check_return(cpu, (uint16_t)cs, &plan->code, &code_descriptor)) {
        return false;
    }
    unsigned rpl = selector_rpl((uint16_t)cs);
    plan->is_outer = rpl > cpu->cpl;
    if (!plan->is_outer) {
        plan->esp = stack_after_pop(cpu, frame_bytes + release_bytes);
        return code_offset_check(cpu, &plan->code, plan->eip) &&
               descriptor_set_accessed(cpu, (uint16_t)cs, code_descriptor);
    }
    if (!stack_peek(cpu, frame_bytes + release_bytes, size, &plan->esp) ||
        !stack_peek(cpu, frame_bytes + release_bytes + size, size, &ss)) {
        return false;
    }
    if (code_is_64bit(cpu, &plan->code) && selector_is_null((uint16_t)ss) && rpl != 3) {
        /* 64-bit code below level 3 may do without a stack segment. */
        plan->stack = segment_null_stack(rpl);
        plan->esp += release_bytes;
        return code_offset_check(cpu, &plan->code, plan->eip) &&
               descriptor_set_accessed(cpu, (uint16_t)cs, code_descriptor);
    }
    if (!stack_segment_check(cpu, (uint16_t)ss, rpl, VEC_GP, &plan->stack, &stack_descriptor)) {
        return false;
    }
    plan->esp += release_bytes;
    return code_offset_check(cpu, &plan->code, plan->eip) &&
           descriptor_set_accessed(cpu, (uint16_t)ss, stack_descriptor) &&
           descriptor_set_accessed(cpu, (uint16_t)cs, code_descriptor);
}

/* Returns as planned. On a 16-bit outer stack only SP is loaded and the upper half of ESP keeps the inner level's
 * bits, as processors do (the reason for Linux' "espfix"). */
static void return_commit(struct cpu *cpu, const struct return_plan *plan)
{
    unsigned cpl = selector_rpl(plan->code.selector);

    if (plan->is_outer) {
        cpu->seg[SEG_SS] = plan->stack;
        segments_clear_inaccessible(cpu, cpl);
    }
    if (!cpu_is_long(cpu)) {
        stack_set_pointer(cpu, plan->esp);
        code_enter(cpu, &plan->code, cpl, plan->eip);
        return;
    }
    code_enter(cpu, &plan->code, cpl, plan->eip); /* the code returned to decides how wide its stack is */
    stack_set_pointer(cpu, plan->esp);
}

bool far_return(struct cpu *cpu, unsigned operand_size, uint16_t release_bytes)
{
    struct return_plan plan;
    uint64_t cs;

    if (cpu_is_protected(cpu)) {
        if (!return_plan(cpu, operand_size, 2 * operand_size, release_bytes, &plan)) {
            return false;
        }
        return_commit(cpu, &plan);
        return true;
    }
    if (!stack_peek(cpu, 0, operand_size, &plan.eip) || !stack_peek(cpu, operand_size, operand_size, &cs) ||
        !code_check_real(cpu, (uint32_t)plan.eip)) {
        return false;
    }
    stack_set_pointer(cpu, stack_after_pop(cpu, 2 * operand_size + release_bytes));
    code_enter_real(cpu, (uint16_t)cs, (uint32_t)plan.eip);
    return true;
}

/* ---- IRET ---- */

#define FLAGS_POPPED_16                                                                                                \
    (FLAGS_STATUS | FLAG_TF | FLAG_DF | FLAG_NT) /* by every IRET; IF and IOPL need privilege */
#define FLAGS_POPPED_32 (FLAGS_POPPED_16 | FLAG_RF | FLAG_AC | FLAG_ID)

static uint32_t merge_flags(uint32_t old_flags, uint32_t popped, uint32_t mask)
{
    return (old_flags & ~mask) | (popped & mask) | FLAG_1;
}

/* IRET in real mode and, within its task, in virtual-8086 mode (SDM vol. 3, 20.2.7, 20.3.2). */
static bool return_real(struct cpu *cpu, unsigned size)
{
    uint64_t eip, cs, image;
    uint32_t old_flags = cpu_get_eflags(cpu);
    uint32_t mask = (size == 2 ? FLAGS_POPPED_16 : FLAGS_POPPED_32) | FLAG_IF;
    bool is_virtual = cpu_is_vm86(cpu) && cpu_iopl(cpu) < 3; /* VIF stands for IF */

    if (is_virtual && (!(cpu->cr4 & CR4_VME) || size != 2)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if (!stack_peek(cpu, 0, size, &eip) || !stack_peek(cpu, size, size, &cs) ||
        !stack_peek(cpu, 2 * size, size, &image)) {
        return false;
    }
    uint32_t popped = (uint32_t)image;
    if (is_virtual) {
        if ((popped & FLAG_TF) || ((popped & FLAG_IF) && (old_flags & FLAG_VIP))) {
            return cpu_fault_error(cpu, VEC_GP, 0);
        }
        mask = FLAGS_POPPED_16 | FLAG_VIF;
        popped = popped & FLAG_IF ? popped | FLAG_VIF : popped & ~FLAG_VIF;
    } else if (!cpu_is_vm86(cpu)) {
        mask |= FLAG_IOPL;
    }
    if (!code_check_real(cpu, (uint32_t)eip)) {
        return false;
    }
    stack_set_pointer(cpu, stack_after_pop(cpu, 3 * size));
    code_enter_real(cpu, (uint16_t)cs, (uint32_t)eip);
    cpu_set_eflags(cpu, merge_flags(old_flags, popped, mask));
    return true;
}

/* IRET from level 0 to a virtual-8086 task (SDM vol. 3, 20.2.5). */
static bool return_to_vm86(struct cpu *cpu, uint32_t eip, uint16_t cs, uint32_t flags)
{
    /* In the order of the stack, above EIP, CS and EFLAGS. */
    static const enum segment_index order[] = { SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    uint64_t esp, selectors[5];

    if (!stack_peek(cpu, 12, 4, &esp)) {
        return false;
    }
    for (unsigned n = 0; n < 5; n++) {
        if (!stack_peek(cpu, 16 + n * 4, 4, &selectors[n])) {
            return false;
        }
    }
    if (eip > 0xffff) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    for (unsigned n = 0; n < 5; n++) {
        cpu->seg[order[n]] = segment_vm86((uint16_t)selectors[n]);
    }
    cpu->seg[SEG_CS] = segment_vm86(cs);
    cpu->gpr[REG_SP] = esp;
    cpu->rip = eip;
    cpu->cpl = 3;
    cpu_set_eflags(cpu, (flags & (FLAGS_STATUS | FLAGS_SYSTEM)) | FLAG_1);
    return true;
}

/* IRET with NT set: back to the task whose selector the TSS holds (SDM vol. 2A, IRET, "TASK-RETURN"). */
static bool return_to_task(struct cpu *cpu)
{
    const struct segment *tss = &cpu->seg[SEG_TR];
    uint64_t link, descriptor;

    if ((tss->attributes & ATTR_NULL) || tss->limit < 1) {
        return cpu_fault_error(cpu, VEC_TS, selector_error(tss->selector));
    }
    if (!system_read(cpu, tss->base, 2, &link)) {
        return false;
    }
    uint16_t selector = (uint16_t)link;
    if (selector_is_local(selector)) {
        return cpu_fault_error(cpu, VEC_TS, selector_error(selector));
    }
    return descriptor_read(cpu, selector, VEC_TS, &descriptor) &&
           task_switch(cpu, selector, descriptor, TASK_RETURN, cpu->next_rip, false, 0);
}

static bool return_protected(struct cpu *cpu, unsigned size)
{
    struct return_plan plan;
    uint64_t image, eip, cs;
    uint32_t old_flags = cpu_get_eflags(cpu);
    uint32_t mask = size == 2 ? FLAGS_POPPED_16 : FLAGS_POPPED_32;

    if (!stack_peek(cpu, 0, size, &eip) || !stack_peek(cpu, size, size, &cs) ||
        !stack_peek(cpu, 2 * size, size, &image)) {
        return false;
    }
    uint32_t popped = (uint32_t)image;
    if (size == 4 && (popped & FLAG_VM) && cpu->cpl == 0) {
        return return_to_vm86(cpu, (uint32_t)eip, (uint16_t)cs, popped);
    }
    if (!return_plan(cpu, size, 3 * size, 0, &plan)) {
        return false;
    }
    /* By the level that executes IRET, not the one it returns to. */
    if (cpu->cpl <= cpu_iopl(cpu)) {
        mask |= FLAG_IF;
    }
    if (cpu->cpl == 0) {
        mask |= size == 2 ? FLAG_IOPL : FLAG_IOPL | FLAG_VIF | FLAG_VIP;
    }
    return_commit(cpu, &plan);
    cpu_set_eflags(cpu, merge_flags(old_flags, popped, mask));
    return true;
}

bool interrupt_return(struct cpu *cpu, unsigned operand_size)
{
    /* SDM vol. 3, 6.7.1: IRET unblocks NMIs even if it faults. */
    if (cpu->nmi_blocked) {
        cpu->nmi_blocked = false;
        if (cpu->nmi_latched) {
            cpu_look(cpu);
        }
    }
    if (!cpu_is_protected(cpu)) {
        return return_real(cpu, operand_size);
    }
    if (cpu_is_long(cpu)) {
        return interrupt_return_long(cpu, operand_size);
    }
    if (cpu->eflags & FLAG_NT) {
        return return_to_task(cpu);
    }
    return return_protected(cpu, operand_size);
}
