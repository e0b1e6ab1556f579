/* interrupt.c - entering interrupt and exception handlers, as in Intel SDM vol. 3 (December 2023), chapter 6,
 * 20.1.4 (real mode), 20.2 and 20.3 (virtual-8086 mode and its extensions), and the page of INT n in vol. 2A.
 *
 * IA-32e mode's gates are in long_mode.c. RF in the pushed image is set for faults (17.3.1.1); for interrupts between iterations of a repeated string instruction it is pushed as it is. */
#include "cpu/debug.h"
#include "cpu/system_private.h"

/* One delivery. */
struct entry {
    struct cpu *cpu;
    uint32_t vector_error; /* error code that names the vector, without EXT */
    uint32_t flags;        /* EFLAGS image to push */
    uint32_t error;
    uint64_t rip; /* return address */
    uint32_t eip; /* the same */
    enum interrupt_kind kind;
    uint8_t vector;
    bool has_error;
};

static bool kind_is_software(enum interrupt_kind kind)
{
    return kind == INTERRUPT_SOFTWARE || kind == INTERRUPT_SOFTWARE_EXCEPTION;
}

/* ---- real mode, and software interrupts that stay in a virtual-8086 task ---- */

static bool enter_real_handler(const struct entry *entry, uint64_t table, uint16_t pushed_flags, uint32_t new_flags)
{
    struct cpu *cpu = entry->cpu;
    struct stack_frame frame;
    uint64_t vector;

    if (!system_read(cpu, table + entry->vector * 4u, 4, &vector)) {
        return false;
    }
    stack_frame_here(&frame, cpu, 0);
    frame.checks_alignment = false;
    if (!stack_frame_push(&frame, 2, pushed_flags) || !stack_frame_push(&frame, 2, cpu->seg[SEG_CS].selector) ||
        !stack_frame_push(&frame, 2, entry->eip) || !code_check_real(cpu, (uint32_t)vector & 0xffff) ||
        !stack_frame_write(&frame)) {
        return false;
    }
    stack_set_pointer(cpu, frame.esp);
    code_enter_real(cpu, (uint16_t)(vector >> 16), (uint32_t)vector & 0xffff);
    cpu_set_eflags(cpu, new_flags);
    return true;
}

/* No error codes in real mode (SDM vol. 3, 20.1.4). */
static bool enter_real(const struct entry *entry)
{
    struct cpu *cpu = entry->cpu;

    if (entry->vector * 4u + 3 > cpu->idtr.limit) {
        return cpu_fault_error(cpu, VEC_GP, entry->vector_error);
    }
    return enter_real_handler(entry, cpu->idtr.base, (uint16_t)entry->flags,
                              cpu_get_eflags(cpu) & ~(FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF));
}

/* INT n with CR4.VME: SDM vol. 3, 20.3.3, table 20-2. `*is_done` is set when the task's own handler was entered
 * (methods 5 and 6); otherwise the IDT is to be used (method 4, as method 1), unless IOPL forbids (methods 2 and
 * 3). */
static bool redirect_vm86(const struct entry *entry, bool *is_done)
{
    struct cpu *cpu = entry->cpu;
    const struct segment *tss = &cpu->seg[SEG_TR];
    uint64_t map, bits;
    bool is_virtual = cpu_iopl(cpu) < 3;

    *is_done = false;
    if (cpu->cr4 & CR4_VME) {
        if (!(tss->attributes & TYPE_32BIT_BIT) || tss->limit < 0x67) {
            return cpu_fault_error(cpu, VEC_GP, 0);
        }
        if (!system_read(cpu, tss->base + 0x66, 2, &map)) {
            return false;
        }
        /* The bit map ends where the I/O map begins. */
        uint32_t at = (uint32_t)map - 32 + entry->vector / 8u;
        if (at > tss->limit) {
            return cpu_fault_error(cpu, VEC_GP, 0);
        }
        if (!system_read(cpu, tss->base + at, 1, &bits)) {
            return false;
        }
        if (!(bits >> (entry->vector & 7) & 1)) {
            uint32_t image = entry->flags;
            if (is_virtual) {
                image = (image & ~FLAG_IF) | FLAG_IOPL | (image & FLAG_VIF ? FLAG_IF : 0);
            }
            *is_done = true;
            return enter_real_handler(entry, 0, (uint16_t)image,
                                      cpu_get_eflags(cpu) &
                                          ~(FLAG_TF | FLAG_RF | (is_virtual ? FLAG_VIF : FLAG_IF)));
        }
    }
    return !is_virtual || cpu_fault_error(cpu, VEC_GP, 0);
}

/* ---- protected mode ---- */

/* EFLAGS in the handler: SDM vol. 3, 6.12.1.2 and 6.12.1.3. */
static uint32_t handler_flags(const struct cpu *cpu, uint64_t gate)
{
    uint32_t cleared = FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM;
    bool is_interrupt_gate = !(descriptor_attributes(gate) & 1);

    return cpu_get_eflags(cpu) & ~(is_interrupt_gate ? cleared | FLAG_IF : cleared);
}

/* The part of the frame that every protected mode handler finds on top of its stack. */
static bool push_return(const struct entry *entry, struct stack_frame *frame, unsigned size)
{
    return stack_frame_push(frame, size, entry->flags) &&
           stack_frame_push(frame, size, entry->cpu->seg[SEG_CS].selector) &&
           stack_frame_push(frame, size, entry->eip) &&
           (!entry->has_error || stack_frame_push(frame, size, entry->error));
}

static uint32_t gate_offset(uint64_t gate, unsigned size)
{
    uint32_t low = (uint32_t)gate & 0xffff;
    return size == 4 ? low | ((uint32_t)(gate >> 32) & UINT32_C(0xffff0000)) : low;
}

static unsigned gate_size(uint64_t gate) { return descriptor_attributes(gate) & TYPE_32BIT_BIT ? 4 : 2; }

/* A handler at the level of the interrupted program. */
static bool enter_same_level(const struct entry *entry, uint64_t gate, const struct segment *code, uint64_t descriptor)
{
    struct cpu *cpu = entry->cpu;
    unsigned size = gate_size(gate);
    struct stack_frame frame;

    stack_frame_here(&frame, cpu, 0);
    frame.checks_alignment = false; /* or #AC could not be delivered */
    if (!push_return(entry, &frame, size) || !code_offset_check(cpu, code, gate_offset(gate, size)) ||
        !descriptor_set_accessed(cpu, code->selector, descriptor) || !stack_frame_write(&frame)) {
        return false;
    }
    uint32_t flags = handler_flags(cpu, gate);
    stack_set_pointer(cpu, frame.esp);
    code_enter(cpu, code, cpu->cpl, gate_offset(gate, size));
    cpu_set_eflags(cpu, flags);
    return true;
}

/* A handler at an inner level, with the stack that the TSS names for it; out of virtual-8086 mode the data segment
 * registers are saved there as well and cleared (SDM vol. 3, 20.3.1.1). */
static bool enter_inner_level(const struct entry *entry, uint64_t gate, const struct segment *code,
                              uint64_t code_descriptor)
{
    static const enum segment_index order[] = { SEG_GS, SEG_FS, SEG_DS, SEG_ES };
    struct cpu *cpu = entry->cpu;
    bool is_vm86 = cpu_is_vm86(cpu);
    unsigned size = gate_size(gate);
    unsigned cpl = attributes_dpl(code->attributes);
    struct segment stack;
    uint64_t stack_descriptor;
    struct stack_frame frame;
    uint32_t esp;

    if (!stack_from_tss(cpu, cpl, &stack, &stack_descriptor, &esp)) {
        return false;
    }
    stack_frame_open(&frame, cpu, &stack, esp, cpl, selector_error(stack.selector));
    for (unsigned n = 0; is_vm86 && n < 4; n++) {
        if (!stack_frame_push(&frame, size, cpu->seg[order[n]].selector)) {
            return false;
        }
    }
    if (!stack_frame_push(&frame, size, cpu->seg[SEG_SS].selector) ||
        !stack_frame_push(&frame, size, cpu_reg32(cpu, REG_SP)) || !push_return(entry, &frame, size) ||
        !code_offset_check(cpu, code, gate_offset(gate, size)) ||
        !descriptor_set_accessed(cpu, stack.selector, stack_descriptor) ||
        !descriptor_set_accessed(cpu, code->selector, code_descriptor) || !stack_frame_write(&frame)) {
        return false;
    }
    uint32_t flags = handler_flags(cpu, gate);
    for (unsigned n = 0; is_vm86 && n < 4; n++) {
        cpu->seg[order[n]] = segment_null(0);
    }
    cpu->seg[SEG_SS] = stack;
    cpu->gpr[REG_SP] = frame.esp;
    code_enter(cpu, code, cpl, gate_offset(gate, size));
    cpu_set_eflags(cpu, flags);
    return true;
}

static bool enter_through_gate(const struct entry *entry, uint64_t gate)
{
    struct cpu *cpu = entry->cpu;
    uint16_t selector = (uint16_t)(gate >> 16);
    struct segment code;
    uint64_t descriptor;

    if (selector_is_null(selector)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if (!descriptor_read(cpu, selector, VEC_GP, &descriptor)) {
        return false;
    }
    descriptor_unpack(descriptor, selector, &code);
    unsigned dpl = attributes_dpl(code.attributes);
    if (!attributes_are_code(code.attributes) || dpl > cpu->cpl) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
    if (!(code.attributes & ATTR_P)) {
        return cpu_fault_error(cpu, VEC_NP, selector_error(selector));
    }
    bool is_inner = !attributes_are_conforming(code.attributes) && dpl < cpu->cpl;
    /* A virtual-8086 task can only be left to level 0. */
    if (cpu_is_vm86(cpu) && (!is_inner || dpl != 0)) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
    return is_inner ? enter_inner_level(entry, gate, &code, descriptor)
                    : enter_same_level(entry, gate, &code, descriptor);
}

static bool enter_protected(const struct entry *entry)
{
    struct cpu *cpu = entry->cpu;
    uint64_t gate;

    if (entry->vector * 8u + 7 > cpu->idtr.limit) {
        return cpu_fault_error(cpu, VEC_GP, entry->vector_error);
    }
    if (!system_read(cpu, cpu->idtr.base + entry->vector * 8u, 8, &gate)) {
        return false;
    }
    uint32_t attributes = descriptor_attributes(gate);
    unsigned type = attributes_system_type(attributes);
    bool is_gate = type == TYPE_TASK_GATE || type == TYPE_INTERRUPT_GATE16 || type == TYPE_TRAP_GATE16 ||
                   type == TYPE_INTERRUPT_GATE32 || type == TYPE_TRAP_GATE32;
    if (!is_gate || (kind_is_software(entry->kind) && attributes_dpl(attributes) < cpu->cpl)) {
        return cpu_fault_error(cpu, VEC_GP, entry->vector_error);
    }
    if (!(attributes & ATTR_P)) {
        return cpu_fault_error(cpu, VEC_NP, entry->vector_error);
    }
    if (type == TYPE_TASK_GATE) {
        return task_gate_enter(cpu, gate, TASK_INTERRUPT, entry->eip, entry->has_error, entry->error);
    }
    return enter_through_gate(entry, gate);
}

static bool enter(const struct entry *entry)
{
    struct cpu *cpu = entry->cpu;
    bool is_done;

    if (!(cpu->cr0 & CR0_PE)) {
        return enter_real(entry);
    }
    if (cpu_is_long(cpu)) {
        return interrupt_enter_long(cpu, entry->vector, kind_is_software(entry->kind), entry->has_error, entry->error,
                                    entry->rip, entry->flags);
    }
    if (cpu_is_vm86(cpu) && entry->kind == INTERRUPT_SOFTWARE) {
        if (!redirect_vm86(entry, &is_done)) {
            return false;
        }
        if (is_done) {
            return true;
        }
    }
    return enter_protected(entry);
}

/* EXT: SDM vol. 3, 6.13. Set in what faults on the way to the handler of an event that is not INT n, INT3 or INTO.
 * Page faults have an error code of another form, and #AC always has 0. */
static void mark_external(struct cpu *cpu)
{
    switch (cpu->fault_vector) {
    case VEC_TS:
    case VEC_NP:
    case VEC_SS:
    case VEC_GP:
        cpu->fault_error |= 1;
        break;
    default:
        break;
    }
}

bool interrupt_enter(struct cpu *cpu, uint8_t vector, enum interrupt_kind kind, bool has_error, uint32_t error,
                     uint64_t return_rip)
{
    /* cpu_deliver_fault says that this is a fault. Of the kinds of #DB that is only an access to a debug register which
     * DR7.GD caught; instruction breakpoints come here as traps do. */
    bool is_fault = cpu->delivering != 0;
    struct entry entry = {
        .cpu = cpu,
        .vector_error = vector * 8u + 2,
        .flags = cpu_get_eflags(cpu) | (is_fault ? FLAG_RF : 0),
        .error = error,
        .rip = return_rip,
        .eip = (uint32_t)return_rip,
        .kind = kind,
        .vector = vector,
        .has_error = has_error,
    };

    debug_interrupt(cpu, &(struct debug_interrupt){ return_rip, error, vector, (uint8_t)kind, has_error });
    if (!enter(&entry)) {
        if (!kind_is_software(kind)) {
            mark_external(cpu);
        }
        return false;
    }
    cpu->repeat_icount = ~UINT64_C(0);
    cpu->step_cancelled = true; /* TF was cleared: the instruction that got here gives no single-step trap */
    if (kind == INTERRUPT_EXTERNAL) {
        cpu->halted_state = CPU_RUNNING;
    }
    if (vector == VEC_DB && !kind_is_software(kind)) {
        cpu->dr[7] &= ~(uint64_t)DR7_GD; /* so that the handler can use the debug registers: SDM vol. 3, 17.2.4 */
    }
    return true;
}
