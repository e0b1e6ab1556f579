/* apic.c - the processor's side of its local APIC: where its registers are seen, its MSRs, and which processor this is.
 *
 * SDM vol. 3 (December 2023), 11.4.4 (IA32_APIC_BASE), 11.5.4.1 (TSC deadline), 11.12 (x2APIC); vol. 2A, CPUID, leaves 1, 4 and
 * 0Bh. The APIC itself is a chip (devices/lapic.c), which the board connects. */
#include "cpu/mmu.h"
#include "cpu/system_private.h"

enum { MSR_TSC_DEADLINE = 0x6e0, MSR_X2APIC = 0x800, MSR_X2APIC_END = 0x900 };

#define APIC_BASE_BSP UINT64_C(0x100)
#define APIC_BASE_EXTD UINT64_C(0x400)
#define APIC_BASE_ENABLE UINT64_C(0x800)
#define NO_PAGE UINT64_MAX

/* In xAPIC mode the registers hide what else is at the page of IA32_APIC_BASE, for this processor alone. */
void apic_update_page(struct cpu *cpu)
{
    bool is_seen = cpu->board.apic && cpu_has(cpu, FEATURE_APIC) &&
                   (cpu->apic_base & (APIC_BASE_ENABLE | APIC_BASE_EXTD)) == APIC_BASE_ENABLE;

    cpu->apic_page = is_seen ? cpu->apic_base & ~UINT64_C(0xfff) : NO_PAGE;
}

bool apic_write_base(struct cpu *cpu, uint64_t value, uint64_t physical_mask)
{
    uint64_t writable = (physical_mask & ~UINT64_C(0xfff)) | APIC_BASE_ENABLE |
                        (cpu->board.apic && cpu_has(cpu, FEATURE_X2APIC) ? APIC_BASE_EXTD : 0);

    if (value & ~(writable | APIC_BASE_BSP)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    value = (cpu->apic_base & APIC_BASE_BSP) | (value & writable); /* BSP is read-only here */
    if (cpu->board.apic && !cpu->board.apic->set_base(cpu->board.context, value)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    cpu->apic_base = value;
    apic_update_page(cpu);
    tlb_flush(cpu, false);
    return true;
}

bool apic_read_msr(struct cpu *cpu, uint32_t index, uint64_t *value)
{
    const struct cpu_apic *apic = cpu->board.apic;

    if (!apic) {
        return false;
    }
    if (index == MSR_TSC_DEADLINE && cpu_has(cpu, FEATURE_TSC_DEADLINE)) {
        *value = apic->deadline(cpu->board.context);
        return true;
    }
    return index >= MSR_X2APIC && index < MSR_X2APIC_END &&
           apic->read_msr(cpu->board.context, index - MSR_X2APIC, value);
}

bool apic_write_msr(struct cpu *cpu, uint32_t index, uint64_t value)
{
    const struct cpu_apic *apic = cpu->board.apic;

    if (!apic) {
        return false;
    }
    if (index == MSR_TSC_DEADLINE && cpu_has(cpu, FEATURE_TSC_DEADLINE)) {
        apic->set_deadline(cpu->board.context, value);
        return true;
    }
    return index >= MSR_X2APIC && index < MSR_X2APIC_END &&
           apic->write_msr(cpu->board.context, index - MSR_X2APIC, value);
}

void apic_tsc_changed(struct cpu *cpu)
{
    if (cpu->board.apic) {
        cpu->board.apic->tsc_changed(cpu->board.context);
    }
}

uint64_t cpu_tsc_to_ns(const struct cpu *cpu, uint64_t tsc)
{
    uint64_t now = clock_now(cpu->board.clock);
    uint64_t ahead = tsc - (now + cpu->tsc_offset);

    /* The counter is past it: now. Half the range is the past. */
    return ahead >> 63 ? now : now + ahead < now ? CLOCK_NEVER - 1 : now + ahead;
}

/* Bits of an ID that tell `count` processors apart. */
static unsigned id_bits(unsigned count)
{
    unsigned bits = 0;

    while (1u << bits < count) {
        bits++;
    }
    return bits;
}

/* All processors are cores of one package. */
void apic_cpuid(struct cpu *cpu, uint32_t leaf, uint32_t subleaf)
{
    unsigned count = cpu->board.processor_count, bits = id_bits(count);

    if (!cpu->board.apic || !cpu_has(cpu, FEATURE_APIC)) {
        return;
    }
    if (leaf == 1) {
        cpu->gpr[REG_BX] = (cpu->gpr[REG_BX] & 0xffff) | (uint32_t)cpu->board.number << 24;
        if (count > 1) {
            cpu->gpr[REG_BX] |= UINT32_C(1) << (16 + bits);
            cpu->gpr[REG_DX] |= UINT32_C(1) << 28; /* HTT: the field above is valid */
        }
    } else if (leaf == 4 && (cpu->gpr[REG_AX] & 0x1f) != 0) {
        cpu->gpr[REG_AX] = (cpu->gpr[REG_AX] & 0x03ffffff) | ((UINT32_C(1) << bits) - 1) << 26;
    } else if (leaf == 0x0b && cpu->model.basic_max >= 0x0b) {
        cpu->gpr[REG_AX] = subleaf == 1 ? bits : 0;
        cpu->gpr[REG_BX] = subleaf == 0 ? 1 : subleaf == 1 ? count : 0;
        cpu->gpr[REG_CX] = (subleaf & 0xff) | (subleaf == 0 ? 1u << 8 : subleaf == 1 ? 2u << 8 : 0);
        cpu->gpr[REG_DX] = cpu->board.number;
    }
}
