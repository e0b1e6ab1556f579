/* fault.c - recording and delivering the exceptions of an instruction, as in Intel SDM vol. 3 (December 2023), 6.15,
 * "Interrupt 8 - Double Fault Exception", and 17.3.1.1 for RF.
 *
 * Not implemented: machine checks (CR4.MCE can be set; nothing raises #MC). */
#include "cpu/system_private.h"

bool cpu_fault(struct cpu *cpu, enum exception_vector vector)
{
    cpu->fault_vector = (uint8_t)vector;
    cpu->fault_has_error = false;
    cpu->fault_error = 0;
    return false;
}

bool cpu_fault_error(struct cpu *cpu, enum exception_vector vector, uint32_t error)
{
    cpu->fault_vector = (uint8_t)vector;
    cpu->fault_has_error = true;
    cpu->fault_error = error;
    return false;
}

/* SDM vol. 3, table 6-4. */
enum fault_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT };

static enum fault_class fault_class(unsigned vector)
{
    switch (vector) {
    case VEC_DE:
    case VEC_TS:
    case VEC_NP:
    case VEC_SS:
    case VEC_GP:
        return CLASS_CONTRIBUTORY;
    case VEC_PF:
        return CLASS_PAGE_FAULT;
    default:
        return CLASS_BENIGN;
    }
}

/* SDM vol. 3, table 6-5: whether `second`, found while `first` was being delivered, makes a double fault. */
static bool is_double_fault(unsigned first, unsigned second)
{
    enum fault_class of_second = fault_class(second);

    switch (fault_class(first)) {
    case CLASS_CONTRIBUTORY:
        return of_second == CLASS_CONTRIBUTORY;
    case CLASS_PAGE_FAULT:
        return of_second != CLASS_BENIGN;
    default:
        return false;
    }
}

static void shut_down(struct cpu *cpu)
{
    cpu->halted_state = CPU_SHUTDOWN;
    cpu->delivering = 0;
    if (cpu->board.log && cpu->log_channel) {
        log_write(cpu->board.log, cpu->log_channel, LOG_GUEST,
                  "triple fault at %04x:%08x, CR0 0x%08x, CR2 0x%08x, CR3 0x%08x, IDTR 0x%08x/0x%04x: shutdown",
                  (unsigned)cpu->seg[SEG_CS].selector, (unsigned)cpu->rip, (unsigned)cpu->cr0, (unsigned)cpu->cr2,
                  (unsigned)cpu->cr3, (unsigned)cpu->idtr.base, (unsigned)cpu->idtr.limit);
    }
    cpu_look(cpu);
}

/* SDM vol. 1, 8.7 and appendix D: FERR# rises, and the waiting instruction that met the exception is not begun before an
 * interrupt has been taken. */
static void wait_for_interrupt(struct cpu *cpu)
{
    if (!cpu->ferr_line) {
        cpu->ferr_line = true;
        if (cpu->board.ferr) {
            cpu->board.ferr(cpu->board.context, true);
        }
    }
    cpu->halted_state = CPU_HALTED;
    cpu_look(cpu);
}

/* Each round either delivers, or goes up in the order benign - contributory, page fault - double fault - shutdown, so
 * there are few of them. interrupt_enter takes `delivering` as the sign that this is a fault and pushes RF set. */
void cpu_deliver_fault(struct cpu *cpu)
{
    uint8_t vector = cpu->fault_vector;
    bool has_error = cpu->fault_has_error;
    uint32_t error = cpu->fault_error;

    if (vector == VEC_FERR) {
        wait_for_interrupt(cpu);
        return;
    }
    /* Data breakpoints that the instruction met before it faulted will be met again when it is restarted. */
    cpu->debug_pending = 0;
    cpu->pending &= (uint8_t)~PENDING_DEBUG;
    for (;;) {
        if (cpu->fault_vector == VEC_PF) {
            cpu->cr2 = cpu->fault_address;
        }
        cpu->delivering = vector + 1u;
        if (interrupt_enter(cpu, vector, INTERRUPT_EXCEPTION, has_error, error, cpu->rip)) {
            cpu->delivering = 0;
            return;
        }
        if (vector == VEC_DF && fault_class(cpu->fault_vector) != CLASS_BENIGN) {
            shut_down(cpu);
            return;
        }
        if (is_double_fault(vector, cpu->fault_vector)) {
            vector = VEC_DF;
            has_error = true;
            error = 0;
        } else {
            vector = cpu->fault_vector;
            has_error = cpu->fault_has_error;
            error = cpu->fault_error;
        }
    }
}
