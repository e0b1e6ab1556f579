/* fake_cpu_memory.c - a memory without paging, TLB or lazy flags, for tests of cpu/'s slow half. */
#include "tests/support/fake_cpu_memory.h"

static struct fake_memory *fake_of(const struct cpu *cpu) { return cpu->board.context; }

uint32_t fake_get(const struct cpu *cpu, uint32_t linear, unsigned size)
{
    uint32_t value = 0;

    for (unsigned n = size; n-- > 0;) {
        value = value << 8 | fake_of(cpu)->bytes[(linear + n) % FAKE_BYTES];
    }
    return value;
}

void fake_put(struct cpu *cpu, uint32_t linear, unsigned size, uint32_t value)
{
    for (unsigned n = 0; n < size; n++) {
        fake_of(cpu)->bytes[(linear + n) % FAKE_BYTES] = (uint8_t)(value >> (n * 8));
    }
}

static bool check(struct cpu *cpu, uint64_t linear, unsigned size, bool as_system, unsigned kind)
{
    bool is_user = !as_system && cpu->cpl == 3;

    for (unsigned n = 0; n < size; n++) {
        unsigned flags = fake_of(cpu)->page_flags[(linear + n) % FAKE_BYTES / 4096];
        if ((flags & kind) || (is_user && (flags & FAKE_NO_USER))) {
            cpu->fault_address = linear + n;
            return cpu_fault_error(cpu, VEC_PF, (kind == FAKE_NO_WRITE ? 2u : 0) | (is_user ? 4u : 0));
        }
    }
    return true;
}

bool linear_read(struct cpu *cpu, uint64_t linear, unsigned size, bool as_system, uint64_t *value)
{
    if (!check(cpu, linear, size, as_system, FAKE_NO_READ)) {
        return false;
    }
    *value = fake_get(cpu, (uint32_t)linear, size < 4 ? size : 4);
    if (size == 8) {
        *value |= (uint64_t)fake_get(cpu, (uint32_t)linear + 4, 4) << 32;
    }
    return true;
}

bool linear_probe_write(struct cpu *cpu, uint64_t linear, unsigned size, bool as_system)
{
    return check(cpu, linear, size, as_system, FAKE_NO_WRITE);
}

bool linear_write(struct cpu *cpu, uint64_t linear, unsigned size, bool as_system, uint64_t value)
{
    if (!linear_probe_write(cpu, linear, size, as_system)) {
        return false;
    }
    fake_put(cpu, (uint32_t)linear, size, (uint32_t)value);
    return true;
}

/* Plain limit checks suffice: only stacks are read through it. */
bool segment_linear(struct cpu *cpu, enum segment_index seg, uint64_t offset, unsigned size, enum access_kind kind,
                    uint64_t *linear)
{
    const struct segment *segment = &cpu->seg[seg];
    uint64_t top = segment->attributes & ATTR_DB ? UINT64_C(0xffffffff) : UINT64_C(0xffff);
    bool is_down = (segment->attributes & (ATTR_CODE | ATTR_EXPAND_DOWN)) == ATTR_EXPAND_DOWN;
    uint64_t last = offset + size - 1;

    (void)kind;
    if (is_down ? offset <= segment->limit || last > top : last > segment->limit) {
        return cpu_fault_error(cpu, seg == SEG_SS ? VEC_SS : VEC_GP, 0);
    }
    *linear = (segment->base + offset) & UINT64_C(0xffffffff);
    return true;
}

bool segment_read(struct cpu *cpu, enum segment_index seg, uint64_t offset, unsigned size, uint64_t *value)
{
    uint64_t linear = 0;

    return segment_linear(cpu, seg, offset, size, ACCESS_READ, &linear) && linear_read(cpu, linear, size, false, value);
}

void cpu_update_mode(struct cpu *cpu) { (void)cpu; }
void cpu_look(struct cpu *cpu) { fake_of(cpu)->looks++; }
uint32_t cpu_get_eflags(const struct cpu *cpu) { return cpu->eflags; }
void cpu_set_eflags(struct cpu *cpu, uint32_t eflags) { cpu->eflags = eflags; }

void tlb_flush(struct cpu *cpu, bool keep_global)
{
    fake_of(cpu)->flushes++;
    fake_of(cpu)->global_flushes += !keep_global;
}

void tlb_watch_changed(struct cpu *cpu) { fake_of(cpu)->watch_changes++; }

/* What control.c and int_*.c ask of the fast half besides. */
void tlb_flush_page(struct cpu *cpu, uint64_t linear) { (void)cpu, (void)linear; }
uint64_t xsave_components(const struct cpu *cpu) { (void)cpu; return XCR0_X87 | XCR0_SSE; }
uint32_t xsave_size(const struct cpu *cpu, uint64_t components) { (void)cpu, (void)components; return 576; }
uint32_t xsave_compact_size(const struct cpu *cpu, uint64_t components) { (void)cpu, (void)components; return 576; }
uint32_t xsave_component_size(unsigned component) { (void)component; return 0; }
uint32_t xsave_component_offset(unsigned component) { (void)component; return 0; }
