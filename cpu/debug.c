/* debug.c - the hooks of a debugger: see debug.h. */
#include "cpu/debug.h"

#include "cpu/blocks.h"
#include "cpu/mmu.h"

void cpu_debug_attach(struct cpu *cpu, const struct cpu_debug *debug)
{
    cpu->debug = debug;
    cpu_debug_changed(cpu);
}

void cpu_debug_changed(struct cpu *cpu)
{
    blocks_flush(cpu);
    fetch_tokens_bump(cpu, false);
    tlb_rewatch(cpu);
    cpu_look(cpu);
}

void cpu_debug_stop(struct cpu *cpu)
{
    cpu->debug_stop = true;
    cpu_look(cpu);
}

void debug_repeats(struct cpu *cpu)
{
    cpu->debug_repeat_icount = cpu_icount(cpu);
    cpu->debug_repeat_rip = cpu->rip;
}

unsigned debug_record(const struct cpu *cpu, unsigned offset, bool is_first)
{
    unsigned what = 0;

    if (!cpu->debug) {
        return 0;
    }
    what |= is_first && debug_stops_at(cpu, offset) ? DEBUG_CODE : 0u;
    what |= is_first ? cpu->debug->events & DEBUG_BLOCK : 0u;
    return what | (cpu->debug->events & DEBUG_INSN);
}

/* True: the processor is to stop before the instruction at `insn`, for which cpu_sync was called. */
static NOINLINE bool ask(struct cpu *cpu, const struct insn *insn, unsigned what)
{
    const struct cpu_debug *debug = cpu->debug;
    const struct block *block = block_of(cpu, insn);

    cpu_sync(cpu, insn);
    uint64_t linear = (cpu->rip + cpu->seg[SEG_CS].base) & (cpu->mode & MODE_CODE64 ? UINT64_MAX : UINT32_MAX);
    bool repeats = cpu->debug_repeat_icount == cpu_icount(cpu) && cpu->debug_repeat_rip == cpu->rip;
    if ((what & DEBUG_CODE) && !repeats && debug->code(debug->context, cpu, linear)) {
        return true;
    }
    if (what & DEBUG_BLOCK) {
        debug->block(debug->context, cpu, linear, block->count, (unsigned)block->boundaries[block->count] - block->boundaries[0]);
    }
    return (what & DEBUG_INSN) && debug->insn(debug->context, cpu, linear);
}

HANDLER(h_debug)
{
    if (ask(cpu, insn + 1, insn->d)) {
        cpu->step_cancelled = true; /* nothing was executed: no single-step trap */
        cpu_debug_stop(cpu);
        return leave_before(cpu, insn + 1);
    }
    NEXT(1);
}

void debug_access(struct cpu *cpu, uint64_t linear, phys_addr physical, unsigned size, bool is_write, uint64_t value)
{
    const struct cpu_debug *debug = cpu->debug;

    if (debug->events & (DEBUG_DATA | DEBUG_MEMORY)) {
        debug->access(debug->context, cpu, linear, physical, size, is_write, value);
    }
}

void debug_port(struct cpu *cpu, uint16_t port, unsigned size, bool is_write, uint32_t value)
{
    if (cpu->debug->events & DEBUG_PORT) {
        cpu->debug->port(cpu->debug->context, cpu, port, size, is_write, value);
    }
}

void debug_tell_written(struct cpu *cpu, enum debug_register which, uint32_t number, uint64_t value)
{
    cpu->debug->written(cpu->debug->context, cpu, which, number, value);
}

void debug_mode(struct cpu *cpu)
{
    if (cpu->debug->events & DEBUG_MODE) {
        cpu->debug->mode(cpu->debug->context, cpu);
    }
}

bool debug_is_watched(const struct cpu *cpu, uint64_t linear_page, phys_addr physical_page)
{
    const struct cpu_debug *debug = cpu->debug;

    return (debug->events & DEBUG_MEMORY) ||
           ((debug->events & DEBUG_DATA) && debug->is_watched(debug->context, linear_page, physical_page));
}
