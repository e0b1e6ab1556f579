/* system.h - the slow, exact half of the processor: memory through segments and paging, faults, segment loads, far
 * transfers, interrupts, tasks, control registers.
 *
 * Everything here follows one rule: a function returns false when the instruction faults; then the fault is recorded in
 * the cpu (cpu_fault) and no architectural state has changed, except what the SDM says is kept (accessed bits, partial
 * REP progress). Functions that transfer control set cpu->rip; the caller then leaves the block. On entry cpu->rip is
 * the address of the current instruction and cpu->next_rip of the one after it (handlers call cpu_sync first). */
#ifndef CPU_SYSTEM_H
#define CPU_SYSTEM_H

#include "cpu/cpu.h"

/* ---- faults ---- */

/* Records a fault of the current instruction; always returns false. A later fault overwrites an earlier one. */
bool cpu_fault(struct cpu *cpu, enum exception_vector vector);                       /* without error code */
bool cpu_fault_error(struct cpu *cpu, enum exception_vector vector, uint32_t error); /* with error code */

/* Delivers the recorded fault at cpu->rip (the faulting instruction), with the double- and triple-fault rules of SDM
 * vol. 3, 6.15 (interrupt 8). After a triple fault cpu->halted_state is CPU_SHUTDOWN. */
void cpu_deliver_fault(struct cpu *cpu);

/* ---- memory, slow path (memory.c) ---- */

enum access_kind { ACCESS_READ = 0, ACCESS_WRITE = 1, ACCESS_FETCH = 2 };

/* Linear accesses of 1, 2, 4 or 8 bytes with any alignment, as the current CPL would make them (`as_system`: as CPL 0 would:
 * descriptor tables, TSS). Page-crossing accesses check both pages before either is touched. #PF recorded on false. */
bool linear_read(struct cpu *cpu, uint64_t linear, unsigned size, bool as_system, uint64_t *value);
bool linear_write(struct cpu *cpu, uint64_t linear, unsigned size, bool as_system, uint64_t value);
/* Checks that a write of `size` bytes would succeed, touching nothing but accessed and dirty bits. */
bool linear_probe_write(struct cpu *cpu, uint64_t linear, unsigned size, bool as_system);

/* Offset in a segment to linear address, with the checks of SDM vol. 3, 5.3 and 5.5 for an access of `size` bytes
 * (1 to 4096): #GP(0), or #SS(0) for SS. Offsets are already masked to the address size. */
bool segment_linear(struct cpu *cpu, enum segment_index seg, uint64_t offset, unsigned size, enum access_kind kind,
                    uint64_t *linear);
/* segment_linear, alignment check (#AC) and linear access in one. */
bool segment_read(struct cpu *cpu, enum segment_index seg, uint64_t offset, unsigned size, uint64_t *value);
bool segment_write(struct cpu *cpu, enum segment_index seg, uint64_t offset, unsigned size, uint64_t value);
bool segment_probe_write(struct cpu *cpu, enum segment_index seg, uint64_t offset, unsigned size);

/* ---- segments (segments.c) ---- */

/* MOV/POP/LxS to ES, SS, DS, FS or GS: real mode, virtual-8086 and protected mode rules (SDM vol. 2, MOV). */
bool segment_load(struct cpu *cpu, enum segment_index seg, uint16_t selector);
/* Sets a segment register as real and virtual-8086 mode do. */
void segment_load_real(struct cpu *cpu, enum segment_index seg, uint16_t selector);
/* Reads the 8-byte descriptor of a selector; false with `fault_vector`(selector & ~3) recorded when out of the table. */
bool descriptor_read(struct cpu *cpu, uint16_t selector, enum exception_vector fault_vector, uint64_t *descriptor);
/* Unpacks a descriptor into a segment (selector, base, limit in bytes, attributes). */
void descriptor_unpack(uint64_t descriptor, uint16_t selector, struct segment *segment);
/* Sets the accessed bit (or the given type bits) in the table, as a locked write. */
bool descriptor_set_accessed(struct cpu *cpu, uint16_t selector, uint64_t descriptor);

bool system_lldt(struct cpu *cpu, uint16_t selector);
bool system_ltr(struct cpu *cpu, uint16_t selector);
/* LAR, LSL, VERR, VERW: `*ok` is the ZF to be; faults only on descriptor table page faults. */
bool system_lar(struct cpu *cpu, uint16_t selector, bool *ok, uint32_t *rights);
bool system_lsl(struct cpu *cpu, uint16_t selector, bool *ok, uint32_t *limit);
bool system_verify(struct cpu *cpu, uint16_t selector, bool for_write, bool *ok);

/* ---- far transfers (transfer.c); operand_size is 2 or 4 (8 later) ---- */
bool far_jump(struct cpu *cpu, uint16_t selector, uint64_t offset, unsigned operand_size);
bool far_call(struct cpu *cpu, uint16_t selector, uint64_t offset, unsigned operand_size);
bool far_return(struct cpu *cpu, unsigned operand_size, uint16_t release_bytes);
bool interrupt_return(struct cpu *cpu, unsigned operand_size); /* IRET, with NT and VM86 */
bool system_sysenter(struct cpu *cpu);
bool system_sysexit(struct cpu *cpu, bool is_64bit); /* to 64-bit or 32-bit code */
bool system_syscall(struct cpu *cpu);
bool system_sysret(struct cpu *cpu, bool is_64bit);

/* ---- interrupts and tasks (interrupt.c, task.c) ---- */
enum interrupt_kind {
    INTERRUPT_EXTERNAL,  /* INTR and NMI */
    INTERRUPT_SOFTWARE,  /* INT n: gate DPL and VM86 IOPL/VME are checked; return address next_rip */
    INTERRUPT_SOFTWARE_EXCEPTION, /* INT3, INTO: like INT n with fixed vector, no VME redirection */
    INTERRUPT_PRIVILEGED, /* INT1 (ICEBP): no DPL check; return address next_rip */
    INTERRUPT_EXCEPTION  /* fault or trap found by the processor */
};
/* Pushes a frame and enters the handler (real mode: IVT; protected mode: interrupt, trap and task gates; virtual-8086:
 * both). The pushed EIP is `return_rip`. On false a fault of the delivery is recorded. */
bool interrupt_enter(struct cpu *cpu, uint8_t vector, enum interrupt_kind kind, bool has_error, uint32_t error,
                     uint64_t return_rip);

enum task_source { TASK_JUMP, TASK_CALL, TASK_INTERRUPT, TASK_RETURN };
/* Hardware task switch (SDM vol. 3, 7.3) to the TSS whose descriptor is given. `return_rip` is the EIP saved in the old
 * TSS. With has_error the error code is pushed on the new stack. */
bool task_switch(struct cpu *cpu, uint16_t selector, uint64_t descriptor, enum task_source source, uint64_t return_rip,
                 bool has_error, uint32_t error);

/* ---- control (control.c) ---- */
bool control_write_cr0(struct cpu *cpu, uint64_t value);
bool control_write_cr3(struct cpu *cpu, uint64_t value);
bool control_write_cr4(struct cpu *cpu, uint64_t value);
void control_write_pkru(struct cpu *cpu, uint32_t value);
uint64_t control_read_cr8(const struct cpu *cpu);
bool control_write_cr8(struct cpu *cpu, uint64_t value);
bool control_read_dr(struct cpu *cpu, unsigned index, uint64_t *value);
bool control_write_dr(struct cpu *cpu, unsigned index, uint64_t value);
bool control_rdmsr(struct cpu *cpu, uint32_t index, uint64_t *value);
bool control_wrmsr(struct cpu *cpu, uint32_t index, uint64_t value);
void control_cpuid(struct cpu *cpu); /* EAX, ECX in; EAX, EBX, ECX, EDX out */
/* XSAVE's area (xsave.c): the components that there are, sizes in bytes of the standard and the compacted form. */
uint64_t xsave_components(const struct cpu *cpu);
uint32_t xsave_size(const struct cpu *cpu, uint64_t components);
uint32_t xsave_compact_size(const struct cpu *cpu, uint64_t components);
uint32_t xsave_component_size(unsigned component);
uint32_t xsave_component_offset(unsigned component);
uint64_t control_tsc(const struct cpu *cpu);
/* IN/OUT permission: CPL <= IOPL or the TSS bitmap (SDM vol. 1, 19.5.2); always checked in virtual-8086 mode. */
bool control_io_allowed(struct cpu *cpu, uint16_t port, unsigned size);

/* ---- what the fast half offers to the slow half (mmu.c, run.c) ---- */

/* Recomputes cpl-dependent pointers, the mode bits and fetch tokens: call after any change of CR0, CR4, EFER, EFLAGS.VM/TF/AC, CPL, CS, DS, ES or
 * SS. Cheap when nothing changed. */
void cpu_update_mode(struct cpu *cpu);
/* The part of cpu_update_mode that follows CR0.EM, CR0.TS and CR4.OSFXSR. */
static inline void cpu_update_sse(struct cpu *cpu)
{
    cpu->sse_is_blocked = (cpu->cr0 & (CR0_EM | CR0_TS)) || !(cpu->cr4 & CR4_OSFXSR);
}
/* Of the 64 bytes at monitor_line. */
uint64_t cpu_monitor_hash(const struct cpu *cpu);
void tlb_flush(struct cpu *cpu, bool keep_global);
void tlb_flush_page(struct cpu *cpu, uint64_t linear);
/* Data breakpoints changed: entries of watched pages must go the slow way. */
void tlb_watch_changed(struct cpu *cpu);

/* Bits 63 to 47 (to 56 with 5-level paging) are equal (SDM vol. 1, 3.3.7.1). */
static inline bool cpu_is_canonical(const struct cpu *cpu, uint64_t linear)
{
    unsigned width = cpu->cr4 & CR4_LA57 ? 57 : 48;

    return (linear + (UINT64_C(1) << (width - 1))) >> width == 0;
}
/* IA-32e mode: 64-bit or compatibility. */
static inline bool cpu_is_long(const struct cpu *cpu) { return (cpu->efer & EFER_LMA) != 0; }
static inline bool cpu_is_64bit(const struct cpu *cpu) { return (cpu->mode & MODE_CODE64) != 0; }

static inline bool cpu_has(const struct cpu *cpu, enum feature feature) { return model_has(&cpu->model, feature); }
/* Physical addresses that there are. */
static inline uint64_t physical_mask(const struct cpu *cpu) { return (UINT64_C(1) << cpu->model.physical_bits) - 1; }

/* What of the instruction pointer counts. In 16-bit code it may pass 64 KiB; 16-bit operands of branches cut it by themselves. */
static inline uint64_t code_mask(const struct cpu *cpu)
{
    return cpu->mode & MODE_CODE64 ? ~UINT64_C(0) : 0xffffffffu;
}

static inline uint16_t cpu_reg16(const struct cpu *cpu, unsigned reg) { return (uint16_t)cpu->gpr[reg]; }
static inline uint32_t cpu_reg32(const struct cpu *cpu, unsigned reg) { return (uint32_t)cpu->gpr[reg]; }
static inline bool cpu_is_protected(const struct cpu *cpu) { return (cpu->cr0 & CR0_PE) && !(cpu->eflags & FLAG_VM); }
static inline bool cpu_is_vm86(const struct cpu *cpu) { return (cpu->eflags & FLAG_VM) != 0; }
static inline unsigned cpu_iopl(const struct cpu *cpu) { return (cpu->eflags >> 12) & 3; }

#endif
