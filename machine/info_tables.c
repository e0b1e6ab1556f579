/* info_tables.c - descriptor tables, task state and page tables as they lie in guest memory, PCI functions and interrupts, for
 * the monitor's `info`. Intel SDM vol. 3 (December 2023), 3.4.5, 4.3 to 4.5, 6.11 and 7.2. */
#include "machine/info.h"

#include "cpu/system_private.h"
#include "devices/pci.h"
#include "machine/tick86_debug.h"

#include <inttypes.h>
#include <stdio.h>

/* The processor that `info` shows is the one whose turn it is. */
static unsigned shown_cpu(const struct tick86 *machine) { return machine->schedule.running; }

static bool read64(const struct tick86 *machine, enum tick86_space space, uint64_t address, unsigned size, uint64_t *value)
{
    uint8_t bytes[8] = { 0 };

    if (!tick86_peek(machine, shown_cpu(machine), space, address, bytes, size)) {
        return false;
    }
    *value = 0;
    for (unsigned n = size; n-- > 0;) {
        *value = *value << 8 | bytes[n];
    }
    return true;
}

/* ---- descriptor tables ---- */

static const char *const system_types[16] = { "reserved", "16-bit TSS", "LDT", "16-bit TSS, busy", "16-bit call gate",
                                              "task gate", "16-bit interrupt gate", "16-bit trap gate", "reserved",
                                              "TSS", "reserved", "TSS, busy", "call gate", "reserved",
                                              "interrupt gate", "trap gate" };

static void describe(const struct tick86 *machine, const struct out *out, unsigned selector, uint64_t at, uint64_t raw)
{
    struct segment s;
    uint64_t high = 0;
    unsigned type = (unsigned)(raw >> 40) & 15;
    bool is_system = (raw >> 44 & 1) == 0;
    bool is_long = (machine->cpu->efer & EFER_LMA) != 0;

    descriptor_unpack(raw, (uint16_t)selector, &s);
    if (is_system && is_long && read64(machine, SPACE_LINEAR, at + 8, 8, &high)) {
        s.base |= (high & UINT32_MAX) << 32;
    }
    info_say(out, "%04x: %016" PRIx64 " ", selector, raw);
    if (is_system && type >= 4 && type != 9 && type != 11) {
        uint64_t offset = (raw & 0xffff) | (raw >> 32 & 0xffff0000u) | (is_long ? (high & UINT32_MAX) << 32 : 0);
        info_say(out, "%s to %04x:%08" PRIx64 " DPL=%u%s\n", system_types[type], (unsigned)(raw >> 16) & 0xffff, offset,
                 (unsigned)(raw >> 45) & 3, raw >> 47 & 1 ? "" : " not present");
        return;
    }
    info_say(out, "base=%08" PRIx64 " limit=%08" PRIx32 " DPL=%u %s%s%s\n", s.base, s.limit, (unsigned)(raw >> 45) & 3,
             is_system         ? system_types[type]
             : (type & 8) != 0 ? ((type & 2) != 0 ? "code, readable" : "code")
                               : ((type & 2) != 0 ? "data, writable" : "data"),
             is_system ? "" : raw >> 53 & 1 ? ", 64-bit" : raw >> 54 & 1 ? ", 32-bit" : ", 16-bit",
             raw >> 47 & 1 ? "" : ", not present");
}

static void list_table(const struct tick86 *machine, const struct out *out, uint64_t base, uint64_t limit, unsigned bit)
{
    uint64_t raw;

    for (uint64_t at = 0; at + 7 <= limit && at < 65536; at += 8) {
        if (!read64(machine, SPACE_LINEAR, base + at, 8, &raw)) {
            info_say(out, "%04x: not mapped\n", (unsigned)at | bit);
        } else if (raw != 0) {
            bool is_pair = (machine->cpu->efer & EFER_LMA) && (raw >> 44 & 1) == 0;
            describe(machine, out, (unsigned)at | bit, base + at, raw);
            at += is_pair ? 8 : 0;
        }
    }
}

void info_gdt(const struct tick86 *machine, const struct out *out)
{
    const struct table_register *gdt = &machine->cpu->gdtr;

    info_say(out, "GDT at %08" PRIx64 ", limit %04x\n", gdt->base, gdt->limit);
    list_table(machine, out, gdt->base, gdt->limit, 0);
}

void info_ldt(const struct tick86 *machine, const struct out *out)
{
    const struct segment *ldt = &machine->cpu->seg[SEG_LDTR];

    info_say(out, "LDT at %08" PRIx64 ", limit %04" PRIx32 "\n", ldt->base, ldt->limit);
    if ((ldt->selector & ~3u) != 0) {
        list_table(machine, out, ldt->base, ldt->limit, 4);
    }
}

static void list_vectors(const struct tick86 *machine, const struct out *out)
{
    uint64_t raw;

    for (unsigned n = 0; n < 256 && n * 4u + 3 <= machine->cpu->idtr.limit; n++) {
        if (read64(machine, SPACE_LINEAR, machine->cpu->idtr.base + n * 4u, 4, &raw)) {
            info_say(out, "%02x: %04x:%04x\n", n, (unsigned)(raw >> 16), (unsigned)raw & 0xffff);
        }
    }
}

void info_idt(const struct tick86 *machine, const struct out *out)
{
    const struct cpu *cpu = machine->cpu;
    unsigned size = cpu->efer & EFER_LMA ? 16 : 8;
    uint64_t raw;

    info_say(out, "IDT at %08" PRIx64 ", limit %04x\n", cpu->idtr.base, cpu->idtr.limit);
    if (!(cpu->cr0 & CR0_PE)) {
        list_vectors(machine, out);
        return;
    }
    for (unsigned n = 0; n < 256 && n * size + size - 1 <= cpu->idtr.limit; n++) {
        uint64_t at = cpu->idtr.base + (uint64_t)n * size;
        if (!read64(machine, SPACE_LINEAR, at, 8, &raw)) {
            info_say(out, "%04x: not mapped\n", n);
        } else if (raw != 0) {
            describe(machine, out, n, at, raw);
        }
    }
}

void info_tss(const struct tick86 *machine, const struct out *out)
{
    static const struct {
        const char *name;
        uint8_t at, size;
    } words32[] = { { "link", 0, 2 }, { "esp0", 4, 4 }, { "ss0", 8, 2 }, { "esp1", 12, 4 }, { "ss1", 16, 2 }, { "esp2", 20, 4 },
                    { "ss2", 24, 2 }, { "cr3", 28, 4 }, { "eip", 32, 4 }, { "eflags", 36, 4 }, { "ldt", 96, 2 }, { "iomap", 102, 2 },
                    { NULL, 0, 0 } },
      words64[] = { { "rsp0", 4, 8 }, { "rsp1", 12, 8 }, { "rsp2", 20, 8 }, { "ist1", 36, 8 }, { "ist2", 44, 8 },
                    { "ist3", 52, 8 }, { "ist4", 60, 8 }, { "ist5", 68, 8 }, { "ist6", 76, 8 }, { "ist7", 84, 8 },
                    { "iomap", 102, 2 }, { NULL, 0, 0 } };
    const struct segment *tr = &machine->cpu->seg[SEG_TR];
    bool is_long = (machine->cpu->efer & EFER_LMA) != 0;
    uint64_t value;

    info_say(out, "TSS %04x at %08" PRIx64 ", limit %04" PRIx32 "\n", tr->selector, tr->base, tr->limit);
    for (unsigned n = 0; (tr->selector & ~3u) != 0 && (is_long ? words64[n].name : words32[n].name) != NULL; n++) {
        const char *name = is_long ? words64[n].name : words32[n].name;
        unsigned at = is_long ? words64[n].at : words32[n].at, size = is_long ? words64[n].size : words32[n].size;
        if (read64(machine, SPACE_LINEAR, tr->base + at, size, &value)) {
            info_say(out, "  %-6s %0*" PRIx64 "\n", name, (int)size * 2, value);
        }
    }
}

/* ---- page tables ---- */

struct level {
    const char *name;
    unsigned shift, bits; /* of the linear address */
    bool may_be_large;
};

static void say_entry(const struct out *out, const struct level *level, uint64_t at, uint64_t entry, unsigned size)
{
    static const char letters[] = "PWU--ADSG";

    info_say(out, "%-5s at %09" PRIx64 ": %0*" PRIx64 " ", level->name, at, (int)size * 2, entry);
    for (unsigned bit = 0; bit < 9; bit++) {
        if (letters[bit] != '-' && (entry >> bit & 1) != 0) {
            info_say(out, "%c", letters[bit]);
        }
    }
    info_say(out, "%s%s\n", size == 8 && entry >> 63 != 0 ? " NX" : "", (entry & 1) == 0 ? " not present" : "");
}

void info_pagewalk(const struct tick86 *machine, const struct out *out, uint64_t linear)
{
    static const struct level levels32[] = { { "PDE", 22, 10, true }, { "PTE", 12, 10, false } };
    static const struct level pae[] = { { "PDPTE", 30, 2, false }, { "PDE", 21, 9, true }, { "PTE", 12, 9, false } };
    static const struct level levels64[] = { { "PML4E", 39, 9, false }, { "PDPTE", 30, 9, true }, { "PDE", 21, 9, true },
                                             { "PTE", 12, 9, false } };
    const struct cpu *cpu = machine->cpu;
    bool is_long = (cpu->efer & EFER_LMA) != 0, is_pae = (cpu->cr4 & CR4_PAE) != 0;
    const struct level *levels = is_long ? levels64 : is_pae ? pae : levels32;
    unsigned count = is_long ? 4 : is_pae ? 3 : 2, size = is_pae || is_long ? 8 : 4;
    uint64_t table = cpu->cr3 & (is_long ? UINT64_C(0x000ffffffffff000) : is_pae ? 0xffffffe0u : 0xfffff000u), physical;

    if (!(cpu->cr0 & CR0_PG)) {
        info_say(out, "paging is off: %09" PRIx64 " is physical\n", linear);
        return;
    }
    info_say(out, "CR3 %09" PRIx64 "\n", cpu->cr3);
    for (unsigned n = 0; n < count; n++) {
        uint64_t at = table + (linear >> levels[n].shift & ((UINT64_C(1) << levels[n].bits) - 1)) * size, entry = 0;
        if (!read64(machine, SPACE_PHYSICAL, at, size, &entry)) {
            info_say(out, "%-5s at %09" PRIx64 ": not memory\n", levels[n].name, at);
            return;
        }
        say_entry(out, &levels[n], at, entry, size);
        if ((entry & 1) == 0 || (levels[n].may_be_large && (entry & 0x80) != 0)) {
            break;
        }
        table = entry & (size == 8 ? UINT64_C(0x000ffffffffff000) : 0xfffff000u);
    }
    if (tick86_translate(machine, shown_cpu(machine), linear, &physical)) {
        info_say(out, "%08" PRIx64 " -> %09" PRIx64 "\n", linear, physical);
    } else {
        info_say(out, "%08" PRIx64 " is not mapped\n", linear);
    }
}

/* ---- buses ---- */

static uint32_t config32(const struct pci_function *pci, unsigned at)
{
    return pci->config[at] | (uint32_t)pci->config[at + 1] << 8 | (uint32_t)pci->config[at + 2] << 16 |
           (uint32_t)pci->config[at + 3] << 24;
}

void info_pci(const struct tick86 *machine, const struct out *out)
{
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        for (unsigned chip = 0; chip < PC_CHIPS; chip++) {
            struct device *dev = machine->chips[chip];
            const struct pci_function *pci = dev != NULL ? pci_function_of(dev) : NULL;
            if (pci == NULL || pci->devfn != devfn) {
                continue;
            }
            info_say(out, "00:%02x.%u %04x:%04x class %06x %s\n", devfn >> 3, devfn & 7, (unsigned)config32(pci, 0) & 0xffff,
                     (unsigned)(config32(pci, 0) >> 16), (unsigned)(config32(pci, 8) >> 8), dev->name);
            for (unsigned bar = 0; bar < PCI_BARS; bar++) {
                if (pci->bars[bar].size != 0) {
                    uint32_t value = config32(pci, bar == PCI_BAR_ROM ? 0x30 : 0x10 + 4 * bar);
                    info_say(out, "  BAR%u %s %08" PRIx32 " size %" PRIx64 "%s\n", bar, pci->bars[bar].is_port ? "ports" : "memory",
                             value & ~(pci->bars[bar].is_port ? 3u : 15u), pci->bars[bar].size,
                             pci->bars[bar].is_mapped ? "" : ", not mapped");
                }
            }
            if (pci->config[0x3d] != 0) {
                info_say(out, "  IRQ %u, INT%c\n", pci->config[0x3c], 'A' + pci->config[0x3d] - 1);
            }
        }
    }
}

/* The fields of the interrupt controllers that a driver's author looks for, by their rows. */
void info_irq(const struct tick86 *machine, const struct out *out)
{
    for (unsigned chip = PC_PIC0; chip <= PC_PIC1; chip++) {
        const struct device *dev = machine->chips[chip];
        info_say(out, "%s:", dev->name);
        for (const struct field *f = dev->class->fields; f->name != NULL; f++) {
            if (f->kind == FIELD_KIND_UINT && f->elem_size == 1 && field_count(f) == 1) {
                info_say(out, " %s=%02x", f->name, (unsigned)field_get(f, dev, 0));
            }
        }
        info_say(out, "\n");
    }
    for (unsigned n = 0; n < machine->cpu_count; n++) {
        const struct cpu *cpu = machine->cpus[n];
        info_say(out, "CPU #%u: INTR=%d NMI=%d IF=%d%s\n", n, cpu->intr_line, cpu->nmi_latched,
                 (cpu->eflags & FLAG_IF) != 0, cpu->halted_state == CPU_HALTED ? " halted" : "");
    }
}
