/* debug.h - where a debugger looks in: what machine/debug.c can be told of, and the hooks that tell it.
 *
 * A processor that nobody debugs has no `struct cpu_debug`, and everything here costs a test of a pointer on paths that are
 * slow anyway. What happens for every instruction or block is decoded in: a block that holds a breakpoint is ended before
 * it, and the block that starts there begins with one more record, whose handler asks; code without breakpoints stays as it
 * is. Memory that is watched gets no fast tags in the TLB, as for the processor's own data breakpoints. Nothing here changes
 * what the guest does or when. */
#ifndef CPU_DEBUG_H
#define CPU_DEBUG_H

#include "cpu/handler.h"
#include "cpu/system.h"

/* What is asked for; bits of cpu_debug.events. After a change of these or of `stops`, cpu_debug_changed must be called. */
enum {
    DEBUG_CODE = 1,       /* ask `code` before instructions at the page offsets of `stops` */
    DEBUG_INSN = 2,       /* tell `insn` of every instruction before it is executed */
    DEBUG_BLOCK = 4,      /* tell `block` of every block that is entered */
    DEBUG_DATA = 8,       /* tell `access` of accesses to pages for which is_watched is true */
    DEBUG_MEMORY = 16,    /* of all accesses to memory */
    DEBUG_PORT = 32,
    DEBUG_INTERRUPT = 64,
    DEBUG_REGISTER = 128, /* CR and MSR writes */
    DEBUG_MODE = 256,
    DEBUG_TLB = 512       /* page walks that fill the TLB or fault, and flushes */
};

enum debug_register { DEBUG_CR, DEBUG_MSR };

/* One delivery of an interrupt or exception, before the handler is entered. */
struct debug_interrupt {
    uint64_t return_rip;
    uint32_t error;
    uint8_t vector;
    uint8_t kind; /* enum interrupt_kind */
    bool has_error;
};

/* One fill of the TLB. */
struct debug_walk {
    uint64_t linear;
    phys_addr physical;
    uint8_t kind; /* enum access_kind */
    bool is_user, is_fault, is_large, may_write, may_execute;
};

/* Functions are called in the middle of the run, with cpu->rip at the instruction where that makes sense (code, insn, block,
 * access, port). To stop the processor after the current instruction they call cpu_debug_stop. */
struct cpu_debug {
    void *context;
    uint32_t events;
    uint64_t stops[GUEST_PAGE_SIZE / 64];
    bool (*code)(void *context, struct cpu *cpu, uint64_t linear); /* true: stop before it */
    bool (*insn)(void *context, struct cpu *cpu, uint64_t linear); /* likewise */
    void (*block)(void *context, struct cpu *cpu, uint64_t linear, unsigned insns, unsigned bytes);
    bool (*is_watched)(void *context, uint64_t linear_page, phys_addr physical_page);
    void (*access)(void *context, struct cpu *cpu, uint64_t linear, phys_addr physical, unsigned size, bool is_write,
                   uint64_t value);
    void (*port)(void *context, struct cpu *cpu, uint16_t port, unsigned size, bool is_write, uint32_t value);
    void (*interrupt)(void *context, struct cpu *cpu, const struct debug_interrupt *interrupt);
    void (*written)(void *context, struct cpu *cpu, enum debug_register which, uint32_t number, uint64_t value);
    void (*mode)(void *context, struct cpu *cpu);
    void (*walked)(void *context, struct cpu *cpu, const struct debug_walk *walk); /* NULL: the TLB was flushed */
};

/* Connects and disconnects (NULL). The struct belongs to the caller. */
void cpu_debug_attach(struct cpu *cpu, const struct cpu_debug *debug);
/* The rest of what is asked for has changed: call it between runs. */
void cpu_debug_changed(struct cpu *cpu);
/* Makes cpu_run return after the current instruction, or at the first one of the handler that is being entered. Unlike
 * cpu_request_stop it leaves a slice of a repeated string instruction whole: slices are counted. */
void cpu_debug_stop(struct cpu *cpu);

static ALWAYS_INLINE bool debug_wants(const struct cpu *cpu, unsigned events)
{
    return UNLIKELY(cpu->debug != NULL) && (cpu->debug->events & events) != 0;
}

/* ---- for the block builder ---- */

/* Whether a block must begin at this page offset. */
static inline bool debug_stops_at(const struct cpu *cpu, unsigned offset)
{
    offset &= GUEST_PAGE_SIZE - 1;
    return debug_wants(cpu, DEBUG_CODE) && (cpu->debug->stops[offset / 64] >> (offset % 64) & 1) != 0;
}
/* What the record before an instruction (the block's first one?) at the offset has to do; 0: none is needed. */
unsigned debug_record(const struct cpu *cpu, unsigned offset, bool is_first);
/* The registers must be exact after every instruction: no status flags may be left out, and none fused. */
static inline bool debug_is_exact(const struct cpu *cpu)
{
    return debug_wants(cpu, ~(unsigned)DEBUG_CODE);
}
/* That record: d says what to do, for the instruction in the next slot. */
HANDLER(h_debug);

/* ---- hooks ---- */

void debug_access(struct cpu *cpu, uint64_t linear, phys_addr physical, unsigned size, bool is_write, uint64_t value);
void debug_port(struct cpu *cpu, uint16_t port, unsigned size, bool is_write, uint32_t value);
void debug_mode(struct cpu *cpu);
/* A slice of a repeated instruction has retired, and the instruction goes on: no breakpoint is met again. */
void debug_repeats(struct cpu *cpu);
bool debug_is_watched(const struct cpu *cpu, uint64_t linear_page, phys_addr physical_page);

static inline uint32_t debug_port_read(struct cpu *cpu, uint16_t port, unsigned size)
{
    uint32_t value = ports_read(cpu->board.ports, port, size);

    if (UNLIKELY(cpu->debug != NULL)) {
        debug_port(cpu, port, size, false, value);
    }
    return value;
}

static inline void debug_port_write(struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    if (UNLIKELY(cpu->debug != NULL)) {
        debug_port(cpu, port, size, true, value);
    }
    ports_write(cpu->board.ports, port, size, value);
}

/* Out of line: handlers contain no indirect calls. */
void debug_tell_written(struct cpu *cpu, enum debug_register which, uint32_t number, uint64_t value);
static inline void debug_written(struct cpu *cpu, enum debug_register which, uint32_t number, uint64_t value)
{
    if (debug_wants(cpu, DEBUG_REGISTER)) {
        debug_tell_written(cpu, which, number, value);
    }
}

static inline void debug_interrupt(struct cpu *cpu, const struct debug_interrupt *interrupt)
{
    if (debug_wants(cpu, DEBUG_INTERRUPT)) {
        cpu->debug->interrupt(cpu->debug->context, cpu, interrupt);
    }
}

static inline void debug_walked(struct cpu *cpu, const struct debug_walk *walk)
{
    if (debug_wants(cpu, DEBUG_TLB)) {
        cpu->debug->walked(cpu->debug->context, cpu, walk);
    }
}

#endif
