/* tick86_debug.h - looking into a machine, stopping it where wanted, and being told what it does.
 *
 * Everything that a debugger, a tracer or a plugin needs. Looking has no side effects in the guest: no accessed bits, no
 * reads of registers of devices. Breakpoints are unlimited in number and length and are kept outside of the guest's memory
 * and of its debug registers; a run with breakpoints, watchpoints or observers retires the same instructions at the same
 * guest times as one without. What is not asked for costs nothing.
 *
 * Processors are numbered from 0. All numbers are the guest's, little-endian where bytes are meant. */
#ifndef MACHINE_TICK86_DEBUG_H
#define MACHINE_TICK86_DEBUG_H

#include "machine/tick86.h"

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* ---- registers ---- */

enum tick86_register_group {
    REGISTER_GENERAL, /* general registers, instruction pointer, flags, selectors */
    REGISTER_SEGMENT, /* base, limit and attributes of each segment register */
    REGISTER_SYSTEM,  /* control and debug registers, descriptor tables */
    REGISTER_MSR,
    REGISTER_X87,
    REGISTER_SSE
};

enum { TICK86_REGISTER_MAX_BYTES = 16 };

struct tick86_register {
    const char *name;
    enum tick86_register_group group;
    unsigned bits; /* 8 to 128 */
};

/* The n-th register; false past the last one. Numbers of equal names are equal in every machine of this build. */
bool tick86_register_info(unsigned n, struct tick86_register *reg);
/* Its number by name ("rax", "eax", "cs_base", "cr0", "xmm3"), -1 when there is none. */
int tick86_register_find(const char *name);
/* Little-endian contents; returns how many bytes. */
unsigned tick86_register_read(const struct tick86 *machine, unsigned cpu, unsigned n,
                              uint8_t bytes[TICK86_REGISTER_MAX_BYTES]);
uint64_t tick86_register_value(const struct tick86 *machine, unsigned cpu, unsigned n); /* low 64 bits */
/* Writes it as a debugger does: without the checks of an instruction. Selectors load what their mode prescribes, as far as
 * the tables allow it. False for what cannot be written. An input: see tick86.h. */
bool tick86_register_write(struct tick86 *machine, unsigned cpu, unsigned n, const uint8_t *bytes, unsigned size);

/* Shorthands. */
bool tick86_cpu_is_halted(const struct tick86 *machine, unsigned cpu); /* in HLT, or not started yet */
bool tick86_has_long_mode(const struct tick86 *machine);                /* CPUID says so */
uint64_t tick86_pc(const struct tick86 *machine, unsigned cpu);        /* linear address of the next instruction */
unsigned tick86_code_bits(const struct tick86 *machine, unsigned cpu); /* 16, 32 or 64 */
/* "real", "vm86", "protected 16", "protected 32", "compatibility 16", "compatibility 32", "long", with what they mean to
 * the processor's decoder. */
const char *tick86_mode_name(const struct tick86 *machine, unsigned cpu);

/* ---- memory ---- */

enum tick86_space { SPACE_LINEAR, SPACE_PHYSICAL };

/* Through the processor's page tables as they are; false when the page is not mapped. */
bool tick86_translate(const struct tick86 *machine, unsigned cpu, uint64_t linear, uint64_t *physical);
/* Reads RAM and ROM; false, with whatever comes before it read, where there is none. */
bool tick86_peek(const struct tick86 *machine, unsigned cpu, enum tick86_space space, uint64_t address, void *bytes,
                 size_t size);
/* Writes RAM and the machine's copy of ROM, whatever the page tables say of writing. An input: see tick86.h. */
bool tick86_poke(struct tick86 *machine, unsigned cpu, enum tick86_space space, uint64_t address, const void *bytes,
                 size_t size);
/* Text of the instruction at a linear address, in the processor's current mode (`bits` 0) or in 16, 32 or 64 bit code.
 * Returns its length, 0 when it cannot be read. */
unsigned tick86_disassemble(const struct tick86 *machine, unsigned cpu, uint64_t linear, unsigned bits, char *text,
                            size_t size);

/* The same for bytes that lie outside of a machine. */
struct tick86_disassembler;
struct tick86_disassembler *tick86_disassembler_create(void); /* NULL: out of memory */
void tick86_disassembler_destroy(struct tick86_disassembler *disassembler);
unsigned tick86_disassemble_bytes(const struct tick86_disassembler *disassembler, const uint8_t *bytes, size_t available,
                                  unsigned bits, uint64_t address, char *text, size_t size);

/* ---- breakpoints ---- */

enum tick86_break_kind {
    BREAK_CODE,      /* before the instruction at `address` */
    BREAK_DATA,      /* after an instruction that reads or writes any of `length` bytes at `address` */
    BREAK_PORT,      /* after an access to any of `length` ports from `address` */
    BREAK_INTERRUPT, /* at the first instruction of the handler of vector `address` (BREAK_ANY: of all) */
    BREAK_CR,        /* after a write to control register `address` (BREAK_ANY: any of them) */
    BREAK_MSR,       /* after WRMSR to `address` (BREAK_ANY: any) */
    BREAK_MODE,      /* after a switch of the processor's mode */
    BREAK_TRIPLE     /* at a triple fault, before the machine is reset */
};
#define BREAK_ANY UINT64_MAX

enum { BREAK_READ = 1, BREAK_WRITE = 2 };                          /* access of BREAK_DATA and BREAK_PORT */
enum { BREAK_EXTERNAL = 1, BREAK_EXCEPTION = 2, BREAK_SOFTWARE = 4 }; /* of BREAK_INTERRUPT: which kinds */

struct tick86_breakpoint {
    enum tick86_break_kind kind;
    enum tick86_space space; /* of `address` for BREAK_CODE and BREAK_DATA */
    uint64_t address, length;
    unsigned access;
    int cpu;                 /* -1: any */
    bool is_disabled;
    bool is_temporary;       /* goes when it has stopped the machine */
    uint64_t ignore;         /* do not stop at the next so many hits */
    /* Agent expression of gdb ("The Agent Expression Mechanism" in its manual); stops when it gives nonzero or fails.
     * NULL: always. Copied. */
    const uint8_t *condition;
    size_t condition_size;
    /* Filled in by tick86_break_get. */
    int id;
    uint64_t hits; /* with a true condition */
    uint64_t tests; /* with any */
};

/* Returns the breakpoint's number, from 1; 0 with `err` set. */
int tick86_break_add(struct tick86 *machine, const struct tick86_breakpoint *point, struct error *err);
bool tick86_break_remove(struct tick86 *machine, int id);
bool tick86_break_enable(struct tick86 *machine, int id, bool is_enabled);
/* The n-th of those that there are; false past the last. */
bool tick86_break_get(const struct tick86 *machine, size_t n, struct tick86_breakpoint *point);

/* Why tick86_run returned STOP_DEBUG. */
struct tick86_debug_event {
    enum tick86_break_kind kind;
    int id;           /* of the breakpoint */
    unsigned cpu;
    uint64_t address; /* as in the breakpoint: what was executed, accessed, entered or written */
    uint64_t physical;
    uint64_t value;   /* that was read or written; of an exception, its error code */
    uint64_t from;    /* linear address of the instruction that did it, or where an interrupt returns to */
    unsigned size;
    bool is_write;
};
const struct tick86_debug_event *tick86_debug_event(const struct tick86 *machine);

/* The machine goes on from where it stands although a breakpoint lies there. Called when a stopped machine is resumed. */
void tick86_debug_resume(struct tick86 *machine);

/* Holds interrupts off from processor `cpu` for the next instruction. This is an intervention: the guest may notice. */
void tick86_mask_interrupts_once(struct tick86 *machine, unsigned cpu);

/* Runs until processor `cpu` has retired one more instruction, or stops before that; guest time passes as needed (HLT), but
 * not past until_ns. STOP_BUDGET: done, or out of time. A slice of a repeated string instruction counts as one. */
enum tick86_stop tick86_step(struct tick86 *machine, unsigned cpu, uint64_t until_ns);

/* ---- expressions ---- */

/* How an expression's names are found: registers are known; `symbol` (may be NULL) gives addresses to other names. */
typedef bool tick86_symbol_fn(void *context, const char *name, uint64_t *value);

/* Compiles text to an agent expression: C's operators on 64-bit unsigned numbers, registers by name (with or without $),
 * symbols, b[ADDRESS] w[] d[] q[] for memory of 1 to 8 bytes and pb[] pw[] pd[] pq[] for physical memory, and SEG:OFFSET. At
 * most `size` bytes to `code`; returns how many, 0 with `err` set. */
size_t tick86_expression_compile(const char *text, tick86_symbol_fn *symbol, void *context, uint8_t *code, size_t size,
                                 struct error *err);
/* Runs an agent expression, which numbers registers as tick86_register_find does unless tick86_break_registers said
 * otherwise. False when it fails: bad code, unreadable memory, division by 0. */
bool tick86_expression_run(const struct tick86 *machine, unsigned cpu, const uint8_t *code, size_t size, uint64_t *value);
/* gdb's conditions number registers as its target description does: n is numbers[n] to us. NULL: as above. Kept by the
 * caller. */
void tick86_break_registers(struct tick86 *machine, const uint16_t *numbers, unsigned count);

/* ---- observers ---- */

/* One interrupt or exception that is about to be delivered. */
struct tick86_interrupt {
    uint64_t return_pc; /* linear */
    uint32_t error;
    uint8_t vector;
    unsigned kind; /* BREAK_EXTERNAL, BREAK_EXCEPTION or BREAK_SOFTWARE */
    bool has_error;
};

/* Functions that are called as things happen; NULL: not wanted. They run in the middle of an instruction: they may look at
 * the machine (registers, memory, tick86_icount) and call tick86_request_stop, and nothing else. */
struct tick86_observer {
    void *context;
    /* A block of decoded instructions is entered; `bytes` long. It may be left early, by a fault for example. */
    void (*block)(void *context, unsigned cpu, uint64_t linear, unsigned insns, unsigned bytes);
    /* An instruction is about to be executed. */
    void (*insn)(void *context, unsigned cpu, uint64_t linear, unsigned bytes);
    /* Memory is accessed by an instruction, in pieces of at most 8 bytes; not fetches. `value` was read or is written. */
    void (*memory)(void *context, unsigned cpu, uint64_t linear, uint64_t physical, unsigned size, bool is_write,
                   uint64_t value);
    void (*port)(void *context, unsigned cpu, unsigned port, unsigned size, bool is_write, uint32_t value);
    void (*interrupt)(void *context, unsigned cpu, const struct tick86_interrupt *interrupt);
    /* CR or MSR `number` was written. */
    void (*written)(void *context, unsigned cpu, bool is_msr, uint32_t number, uint64_t value);
    /* The mode has changed: tick86_mode_name tells to what. */
    void (*mode)(void *context, unsigned cpu);
    /* A page walk has filled the TLB or found a page fault (is_fault); access: 0 read, 1 write, 2 fetch. */
    void (*walk)(void *context, unsigned cpu, uint64_t linear, uint64_t physical, unsigned access, bool is_user,
                 bool is_fault);
};

/* Copied; false when there are too many. Between runs only. */
bool tick86_observe(struct tick86 *machine, const struct tick86_observer *observer);
void tick86_unobserve(struct tick86 *machine, const void *context);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
