/* system_private.h - what segments.c, transfer.c, interrupt.c, task.c, control.c and fault.c share with each other.
 *
 * Everything works in two steps: first all checks and reads (and probes of all writes), then a commit that cannot fault.
 * The one exception is a guest whose stack lies in its own page tables; there the commit may fault, which is harmless:
 * memory was written, registers were not. */
#ifndef CPU_SYSTEM_PRIVATE_H
#define CPU_SYSTEM_PRIVATE_H

#include "cpu/system.h"

#define DR6_BT UINT32_C(0x8000)   /* task switch to a TSS with its T bit set */
#define DR6_BD UINT32_C(0x2000)   /* debug register access detected */
#define DR7_GD UINT32_C(0x2000)   /* general detect enable; the same bit number */
#define DR7_LOCAL UINT32_C(0x155) /* L0 to L3 and LE, cleared by a task switch (SDM vol. 3, 17.2.4) */

#define LINEAR_MASK UINT64_C(0xffffffff)
/* Tables lie anywhere in IA-32e mode. */
static inline uint64_t table_mask(const struct cpu *cpu) { return cpu_is_long(cpu) ? UINT64_MAX : LINEAR_MASK; }

/* Types of system segments and gates (SDM vol. 3, table 3-2). */
enum system_type {
    TYPE_TSS16 = 0x1,
    TYPE_LDT = 0x2,
    TYPE_TSS16_BUSY = 0x3,
    TYPE_CALL_GATE16 = 0x4,
    TYPE_TASK_GATE = 0x5,
    TYPE_INTERRUPT_GATE16 = 0x6,
    TYPE_TRAP_GATE16 = 0x7,
    TYPE_TSS32 = 0x9,
    TYPE_TSS32_BUSY = 0xb,
    TYPE_CALL_GATE32 = 0xc,
    TYPE_INTERRUPT_GATE32 = 0xe,
    TYPE_TRAP_GATE32 = 0xf,
    TYPE_BUSY_BIT = 0x2,
    TYPE_32BIT_BIT = 0x8,
    /* In IA-32e mode; descriptors and gates have 16 bytes. */
    TYPE_TSS64 = TYPE_TSS32,
    TYPE_CALL_GATE64 = TYPE_CALL_GATE32
};

/* ---- selectors and descriptors ---- */

static inline bool selector_is_null(uint16_t selector) { return (selector & 0xfffc) == 0; }
static inline unsigned selector_rpl(uint16_t selector) { return selector & 3u; }
static inline bool selector_is_local(uint16_t selector) { return (selector & 4) != 0; }
/* The error code that names a selector: index and TI, EXT clear (SDM vol. 3, 6.13). */
static inline uint32_t selector_error(uint16_t selector) { return selector & 0xfffcu; }
static inline uint16_t selector_with_rpl(uint16_t selector, unsigned rpl)
{
    return (uint16_t)((selector & 0xfffc) | rpl);
}

static inline uint32_t descriptor_attributes(uint64_t descriptor) { return (uint32_t)(descriptor >> 40) & 0xf0ff; }
static inline unsigned attributes_dpl(uint32_t attributes) { return (attributes & ATTR_DPL) >> ATTR_DPL_SHIFT; }
/* Type of a system descriptor; code and data descriptors give 0, which is a reserved system type. */
static inline unsigned attributes_system_type(uint32_t attributes)
{
    return attributes & ATTR_S ? 0 : attributes & ATTR_TYPE;
}
static inline bool attributes_are_code(uint32_t attributes)
{
    return (attributes & (ATTR_S | ATTR_CODE)) == (ATTR_S | ATTR_CODE);
}
static inline bool attributes_are_conforming(uint32_t attributes)
{
    return (attributes & (ATTR_S | ATTR_CODE | ATTR_CONFORMING)) == (ATTR_S | ATTR_CODE | ATTR_CONFORMING);
}
static inline bool attributes_are_writable_data(uint32_t attributes)
{
    return (attributes & (ATTR_S | ATTR_CODE | ATTR_WRITABLE)) == (ATTR_S | ATTR_WRITABLE);
}
/* Data, or code that may be read: what DS, ES, FS and GS may hold. */
static inline bool attributes_are_readable(uint32_t attributes)
{
    return (attributes & ATTR_S) && (attributes & (ATTR_CODE | ATTR_READABLE)) != ATTR_CODE;
}

/* A segment of 4 GiB at 0, as SYSENTER and SYSEXIT load without looking at tables. */
struct segment segment_flat(uint16_t selector, uint32_t type, unsigned dpl);
/* The value of a segment register that holds a null selector. */
struct segment segment_null(uint16_t selector);
/* The value of a segment register of a virtual-8086 task. */
struct segment segment_vm86(uint16_t selector);
/* Puts a null selector into each of ES, DS, FS and GS that may not be used at `cpl`, as RET and IRET to an outer level do. */
void segments_clear_inaccessible(struct cpu *cpu, unsigned cpl);

/* Tells whether `size` bytes at `offset` are inside the segment's limit, which may be expand-down (SDM vol. 3, 5.3). */
bool segment_contains(const struct segment *segment, uint32_t offset, uint32_t size);

/* Like descriptor_read, but a selector outside of its table is no fault: `*is_there` is false. Fails on #PF only. */
bool descriptor_look(struct cpu *cpu, uint16_t selector, uint64_t *descriptor, bool *is_there);
/* Writes the access byte (P, DPL, S, type) of the descriptor in the table. */
bool descriptor_write_access(struct cpu *cpu, uint16_t selector, uint64_t descriptor);

/* The checks that a stack segment for privilege level `cpl` passes: RPL and DPL equal to it, writable data, present
 * (#SS(selector)). Everything else is `vector`(selector): #TS for stacks out of a TSS, #GP for RET and IRET, which fault
 * with 0 for a null selector as well. */
bool stack_segment_check(struct cpu *cpu, uint16_t selector, unsigned cpl, enum exception_vector vector,
                         struct segment *stack, uint64_t *descriptor);

/* Reads memory as level 0 does: tables, TSS. The address wraps at 4 GiB outside of IA-32e mode. */
static inline bool system_read(struct cpu *cpu, uint64_t linear, unsigned size, uint64_t *value)
{
    if (cpu_is_long(cpu) && !(cpu_is_canonical(cpu, linear) && cpu_is_canonical(cpu, linear + size - 1))) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    return linear_read(cpu, linear & table_mask(cpu), size, true, value);
}

/* ---- building a stack frame (stack_frame.c) ---- */

enum { STACK_FRAME_MAX = 40 }; /* a call gate's 31 parameters, SS, ESP, CS, EIP */

struct stack_frame {
    struct cpu *cpu;
    struct segment stack;
    bool is_64bit;        /* without segment */
    uint64_t esp;         /* with what was pushed so far */
    uint32_t limit_error; /* error code of #SS when it does not fit */
    bool as_system;       /* level 0 to 2 in the eyes of paging */
    bool checks_alignment; /* #AC is possible */
    unsigned count;
    struct {
        uint64_t linear;
        uint64_t value;
        unsigned size;
    } items[STACK_FRAME_MAX];
};

/* Starts a frame below `esp` in `stack`, written as level `cpl`. */
void stack_frame_open(struct stack_frame *frame, struct cpu *cpu, const struct segment *stack, uint64_t esp,
                      unsigned cpl, uint32_t limit_error);
/* A frame of CALL on the current stack. */
void stack_frame_here(struct stack_frame *frame, struct cpu *cpu, uint32_t limit_error);
/* Appends a value of 2, 4 or 8 bytes after checking that it can be written; nothing is written yet. */
bool stack_frame_push(struct stack_frame *frame, unsigned size, uint64_t value);
/* Writes all values in the order in which they were pushed. The caller then sets SS and ESP. */
bool stack_frame_write(struct stack_frame *frame);

/* Reads 2, 4 or 8 bytes `distance` bytes above the stack pointer. */
bool stack_peek(struct cpu *cpu, uint32_t distance, unsigned size, uint64_t *value);
/* RSP after `distance` bytes were popped from the current stack. */
uint64_t stack_after_pop(const struct cpu *cpu, uint32_t distance);
/* Sets the stack pointer of the current mode: RSP in 64-bit code, ESP on a 32-bit stack, SP alone on a 16-bit one. */
void stack_set_pointer(struct cpu *cpu, uint64_t esp);

/* ---- shared parts of far transfers (transfer.c) ---- */

/* Offset inside the code segment (64-bit code: canonical), else #GP(0). */
bool code_offset_check(struct cpu *cpu, const struct segment *code, uint64_t offset);
/* The segment is one of 64-bit code. */
static inline bool code_is_64bit(const struct cpu *cpu, const struct segment *code)
{
    return cpu_is_long(cpu) && (code->attributes & ATTR_L);
}
/* L and D must not both be set in IA-32e mode. */
static inline bool code_is_valid(const struct cpu *cpu, uint32_t attributes)
{
    return attributes_are_code(attributes) &&
           !(cpu_is_long(cpu) && (attributes & (ATTR_L | ATTR_DB)) == (ATTR_L | ATTR_DB));
}
/* Sets CS (its RPL too), CPL and EIP. */
void code_enter(struct cpu *cpu, const struct segment *code, unsigned cpl, uint64_t eip);
/* The same for real and virtual-8086 mode: the offset check before, the change after the frame is written. */
bool code_check_real(struct cpu *cpu, uint32_t offset);
void code_enter_real(struct cpu *cpu, uint16_t selector, uint32_t eip);
/* Reads SS and ESP for level `cpl` from the current TSS (SDM vol. 3, 5.8.5) and checks the segment; #TS. */
bool stack_from_tss(struct cpu *cpu, unsigned cpl, struct segment *stack, uint64_t *descriptor, uint32_t *esp);
/* Follows a task gate's selector to its TSS descriptor (#GP) and switches. */
bool task_gate_enter(struct cpu *cpu, uint64_t gate, enum task_source source, uint64_t return_rip, bool has_error,
                     uint32_t error);

/* ---- smm.c ---- */

/* SMI# between two instructions: saves the state and begins at SMBASE + 8000h. */
void smm_enter(struct cpu *cpu);

/* ---- apic.c ---- */

void apic_update_page(struct cpu *cpu);
bool apic_write_base(struct cpu *cpu, uint64_t value, uint64_t physical_mask);
/* False: there is no such MSR, or the value is not allowed. */
bool apic_read_msr(struct cpu *cpu, uint32_t index, uint64_t *value);
bool apic_write_msr(struct cpu *cpu, uint32_t index, uint64_t value);
void apic_tsc_changed(struct cpu *cpu);
/* Completes what CPUID says in the registers with what is this processor's own. */
void apic_cpuid(struct cpu *cpu, uint32_t leaf, uint32_t subleaf);

/* ---- IA-32e mode (long_mode.c) ---- */

/* SS as a change of CPL to 64-bit code leaves it: null, RPL the new level. */
struct segment segment_null_stack(unsigned cpl);
/* Reads RSP for level `cpl` (or, from 1 to 7, an entry of the interrupt stack table) from the TSS; #TS. */
bool stack_from_tss64(struct cpu *cpu, unsigned cpl, unsigned ist, uint64_t *rsp);
/* One delivery by a 16-byte gate of the IDT. `flags` is the image to push. */
bool interrupt_enter_long(struct cpu *cpu, uint8_t vector, bool is_software, bool has_error, uint32_t error, uint64_t rip,
                          uint32_t flags);
bool interrupt_return_long(struct cpu *cpu, unsigned size);
/* CALL and JMP through a 64-bit call gate whose lower half is `gate`. */
bool far_through_gate64(struct cpu *cpu, uint16_t selector, uint64_t gate, bool is_call);
/* Upper half of a 16-byte descriptor; #GP(selector) when it lies outside of the table or is malformed. */
bool descriptor_read_high(struct cpu *cpu, uint16_t selector, uint64_t *high);

/* ---- control.c ---- */

/* Reads the four page-directory-pointer entries that `cr3` points at; #GP(0) when a present one has reserved bits. */
bool control_read_pdptes(struct cpu *cpu, uint64_t cr3, uint64_t pdpte[4]);

#endif
