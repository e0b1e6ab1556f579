/* stack_frame.c - the frames that calls, interrupts and task switches push, as Intel SDM vol. 3 (December 2023),
 * 5.8.5 and 6.12.1: each value is checked against the limit and the page tables before the first is written. */
#include "cpu/system_private.h"

void stack_frame_open(struct stack_frame *frame, struct cpu *cpu, const struct segment *stack, uint64_t esp,
                      unsigned cpl, uint32_t limit_error)
{
    frame->cpu = cpu;
    frame->stack = *stack;
    frame->is_64bit = false;
    frame->esp = esp;
    frame->limit_error = limit_error;
    frame->as_system = cpl != 3;
    frame->checks_alignment = false;
    frame->count = 0;
}

void stack_frame_here(struct stack_frame *frame, struct cpu *cpu, uint32_t limit_error)
{
    bool is_64bit = cpu_is_64bit(cpu);

    stack_frame_open(frame, cpu, &cpu->seg[SEG_SS], is_64bit ? cpu->gpr[REG_SP] : cpu_reg32(cpu, REG_SP), cpu->cpl,
                     limit_error);
    frame->is_64bit = is_64bit;
    /* SDM vol. 3, 6.15, #AC: at level 3 only. */
    frame->checks_alignment = cpu->cpl == 3 && (cpu->cr0 & CR0_AM) && (cpu->eflags & FLAG_AC);
}

static uint32_t stack_mask(const struct segment *stack)
{
    return stack->attributes & ATTR_DB ? UINT32_C(0xffffffff) : UINT32_C(0xffff);
}

bool stack_frame_push(struct stack_frame *frame, unsigned size, uint64_t value)
{
    struct cpu *cpu = frame->cpu;
    uint64_t mask = frame->is_64bit ? UINT64_MAX : stack_mask(&frame->stack);
    uint64_t offset = (frame->esp - size) & mask;
    uint64_t linear = frame->is_64bit ? offset : (frame->stack.base + offset) & LINEAR_MASK;
    bool fits = frame->is_64bit ? cpu_is_canonical(cpu, linear) && cpu_is_canonical(cpu, linear + size - 1)
                                : segment_contains(&frame->stack, (uint32_t)offset, size);

    BUG_ON(frame->count == STACK_FRAME_MAX);
    if (!fits) {
        return cpu_fault_error(cpu, VEC_SS, frame->limit_error);
    }
    if (frame->checks_alignment && (linear & (size - 1))) {
        return cpu_fault_error(cpu, VEC_AC, 0);
    }
    if (!linear_probe_write(cpu, linear, size, frame->as_system)) {
        return false;
    }
    frame->items[frame->count].linear = linear;
    frame->items[frame->count].value = size == 2 ? value & 0xffff : size == 4 ? (uint32_t)value : value;
    frame->items[frame->count].size = size;
    frame->count++;
    frame->esp = (frame->esp & ~mask) | offset;
    return true;
}

bool stack_frame_write(struct stack_frame *frame)
{
    for (unsigned n = 0; n < frame->count; n++) {
        if (!linear_write(frame->cpu, frame->items[n].linear, frame->items[n].size, frame->as_system,
                          frame->items[n].value)) {
            return false;
        }
    }
    return true;
}

static uint64_t stack_mask_here(const struct cpu *cpu)
{
    return cpu_is_64bit(cpu) ? UINT64_MAX : stack_mask(&cpu->seg[SEG_SS]);
}

uint64_t stack_after_pop(const struct cpu *cpu, uint32_t distance)
{
    uint64_t mask = stack_mask_here(cpu);
    uint64_t esp = cpu_is_64bit(cpu) ? cpu->gpr[REG_SP] : cpu_reg32(cpu, REG_SP);

    return (esp & ~mask) | ((esp + distance) & mask);
}

bool stack_peek(struct cpu *cpu, uint32_t distance, unsigned size, uint64_t *value)
{
    return segment_read(cpu, SEG_SS, stack_after_pop(cpu, distance) & stack_mask_here(cpu), size, value);
}

void stack_set_pointer(struct cpu *cpu, uint64_t esp)
{
    uint64_t mask = stack_mask_here(cpu);

    if (mask == UINT64_MAX) {
        cpu->gpr[REG_SP] = esp;
    } else {
        cpu->gpr[REG_SP] = (cpu_reg32(cpu, REG_SP) & ~mask) | (esp & mask);
    }
}
