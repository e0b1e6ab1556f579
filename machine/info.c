/* info.c - what the monitor's `info` shows, as text; see tick86.h. Looks only, and changes nothing. */
#include "machine/info.h"

#include "devices/pci.h"

#include "cpu/cpu.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ELEMENTS_A_LINE = 16, ELEMENTS_MAX = 256 };

void info_say(const struct out *out, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    out->put(out->context, text);
}

/* ---- processor ---- */

static void say_segment(const struct out *out, const char *name, const struct segment *s)
{
    info_say(out, "%-3s=%04x %08" PRIx64 " %08" PRIx32 " %05" PRIx32 " DPL=%u %s%s\n", name, s->selector, s->base, s->limit,
        s->attributes, (unsigned)(s->attributes & ATTR_DPL) >> ATTR_DPL_SHIFT,
        s->attributes & ATTR_NULL          ? "null"
        : !(s->attributes & ATTR_P)        ? "not present"
        : !(s->attributes & ATTR_S)        ? "system"
        : s->attributes & ATTR_CODE        ? "code"
                                           : "data",
        s->attributes & ATTR_DB ? " 32" : "");
}

static void info_registers(const struct tick86 *machine, const struct out *out)
{
    static const char *const gpr_names[] = { "EAX", "ECX", "EDX", "EBX", "ESP", "EBP", "ESI", "EDI" };
    static const char *const segment_names[] = { "ES", "CS", "SS", "DS", "FS", "GS", "LDT", "TR" };
    static const unsigned order[] = { REG_AX, REG_BX, REG_CX, REG_DX, REG_SI, REG_DI, REG_BP, REG_SP };
    static const char flag_letters[] = "C.P.A.ZSTIDO";
    const struct cpu *cpu = machine->cpu;
    uint32_t eflags = cpu_get_eflags(cpu);
    char letters[13] = "------------";

    for (unsigned n = 0; n < 8; n++) {
        info_say(out, "%s=%08" PRIx32 "%c", gpr_names[order[n]], (uint32_t)cpu->gpr[order[n]], n % 4 == 3 ? '\n' : ' ');
    }
    for (unsigned bit = 0; bit < 12; bit++) {
        if ((eflags >> bit & 1) && flag_letters[bit] != '.') {
            letters[11 - bit] = flag_letters[bit];
        }
    }
    info_say(out, "EIP=%08" PRIx32 " EFL=%08" PRIx32 " [%s] CPL=%u A20=%d HLT=%d\n", (uint32_t)cpu->rip, eflags, letters,
        cpu->cpl, cpu->a20_enabled, cpu->halted_state == CPU_HALTED);
    for (unsigned n = 0; n < SEG_COUNT; n++) {
        say_segment(out, segment_names[n], &cpu->seg[n]);
    }
    info_say(out, "GDT=%08" PRIx64 " %04x\nIDT=%08" PRIx64 " %04x\n", cpu->gdtr.base, cpu->gdtr.limit, cpu->idtr.base,
        cpu->idtr.limit);
    info_say(out, "CR0=%08" PRIx32 " CR2=%08" PRIx64 " CR3=%08" PRIx64 " CR4=%08" PRIx32 "\n", cpu->cr0, cpu->cr2, cpu->cr3,
        cpu->cr4);
    info_say(out, "DR0=%08" PRIx64 " DR1=%08" PRIx64 " DR2=%08" PRIx64 " DR3=%08" PRIx64 "\nDR6=%08" PRIx64
             " DR7=%08" PRIx64 " EFER=%" PRIx64 "\n",
        cpu->dr[0], cpu->dr[1], cpu->dr[2], cpu->dr[3], cpu->dr[6], cpu->dr[7], cpu->efer);
    info_say(out, "FCW=%04x FSW=%04x TOP=%u empty=%02x FIP=%04x:%08" PRIx64 "\n", cpu->fpu.control, cpu->fpu.status,
        cpu->fpu.top, cpu->fpu.empty, cpu->fpu.instruction_selector, cpu->fpu.instruction_pointer);
    for (unsigned n = 0; n < 8; n++) {
        unsigned physical = (cpu->fpu.top + n) & 7u;
        info_say(out, "ST%u=%04x %016" PRIx64 "%c", n, cpu->fpu.sign_exp[physical], cpu->fpu.mantissa[physical],
            n % 2 == 1 ? '\n' : ' ');
    }
}

/* Calls for each run of linear pages that map to consecutive physical pages, or just for each mapped run. */
static void list_pages(const struct tick86 *machine, const struct out *out, bool show_physical)
{
    const uint64_t end = UINT64_C(1) << 32;
    uint64_t start = 0, start_physical = 0;
    bool is_open = false;

    if (!(machine->cpu->cr0 & CR0_PG)) {
        info_say(out, "paging is off\n");
        return;
    }
    for (uint64_t linear = 0; linear <= end; linear += GUEST_PAGE_SIZE) {
        phys_addr physical = 0;
        bool is_mapped = linear < end && cpu_translate_debug(machine->cpu, linear, &physical);
        if (is_open && (!is_mapped || (show_physical && physical - start_physical != linear - start))) {
            if (show_physical) {
                info_say(out, "%08" PRIx64 "-%08" PRIx64 " -> %09" PRIx64 "\n", start, linear - 1, start_physical);
            } else {
                info_say(out, "%08" PRIx64 "-%08" PRIx64 " %" PRIu64 " KiB\n", start, linear - 1, (linear - start) / 1024);
            }
            is_open = false;
        }
        if (is_mapped && !is_open) {
            is_open = true;
            start = linear;
            start_physical = physical;
        }
    }
}

static void info_tlb(const struct tick86 *machine, const struct out *out)
{
    list_pages(machine, out, true);
}

static void info_mem(const struct tick86 *machine, const struct out *out)
{
    list_pages(machine, out, false);
}

/* ---- chips ---- */

static void say_elements(const struct out *out, const struct field *field, const void *base)
{
    size_t count = field_count(field);
    size_t shown = count < ELEMENTS_MAX ? count : ELEMENTS_MAX;

    for (size_t n = 0; n < shown; n++) {
        if (n != 0 && n % ELEMENTS_A_LINE == 0) {
            info_say(out, "\n%*s", 22, "");
        }
        info_say(out, " %0*" PRIx64, (int)field->elem_size * 2, field_get(field, base, n));
    }
    if (shown < count) {
        info_say(out, " ... (%zu)", count);
    }
}

static void say_fields(const struct out *out, const struct field *fields, const void *base, int indent)
{
    for (const struct field *f = fields; f->name != NULL; f++) {
        if (f->kind == FIELD_KIND_UINT) {
            info_say(out, "%*s%-*s", indent, "", 22 - indent, f->name);
            say_elements(out, f, base);
            info_say(out, "%s%s\n", f->doc != NULL ? "   ; " : "", f->doc != NULL ? f->doc : "");
        } else if (f->kind == FIELD_KIND_STRUCT) {
            for (size_t n = 0; n < field_count(f); n++) {
                info_say(out, "%*s%s", indent, "", f->name);
                if (field_count(f) > 1) {
                    info_say(out, "[%zu]", n);
                }
                info_say(out, ":%s%s\n", f->doc != NULL ? "   ; " : "", f->doc != NULL ? f->doc : "");
                say_fields(out, f->sub, (const uint8_t *)base + f->offset + n * f->elem_size, indent + 2);
            }
        }
    }
}

static void say_chip(const struct out *out, const struct device *dev)
{
    info_say(out, "%s: %s, %s\n", dev->name, dev->class->name, dev->class->doc);
    say_fields(out, dev->class->fields, dev, 2);
}

static void info_pic(const struct tick86 *machine, const struct out *out)
{
    say_chip(out, machine->chips[PC_PIC0]);
    say_chip(out, machine->chips[PC_PIC1]);
}

static void info_qtree(const struct tick86 *machine, const struct out *out)
{
    for (unsigned chip = 0; chip < PC_CHIPS; chip++) {
        const struct placement *place = &pc_board[chip];
        if (machine->chips[chip] == NULL) {
            continue;
        }
        struct device *dev = machine->chips[chip];
        const struct pci_function *pci = pci_function_of(dev);
        info_say(out, "%s: %s, %s\n", place->name, dev->class->name, dev->class->doc);
        if (pci != NULL) {
            info_say(out, "  pci 00:%02x.%d\n", pci->devfn >> 3u, pci->devfn & 7u);
        }
        for (unsigned n = 0; n < PC_PORT_RANGES && place->ports[n].count != 0; n++) {
            const struct port_range *range = &place->ports[n];
            info_say(out, "  ports %04x-%04x\n", range->first, range->first + range->count - 1u);
        }
        for (unsigned n = 0; n < PC_WIRES && place->wires[n].output != NULL; n++) {
            const struct wire *wire = &place->wires[n];
            info_say(out, "  %s -> %s.%s\n", wire->output, pc_board[wire->sink].name, wire->pin);
        }
    }
}

static void say_range(void *context, phys_addr start, phys_addr end, const struct region *region, uint64_t region_offset)
{
    info_say(context, "%09" PRIx64 "-%09" PRIx64 " %s %s", start, end - 1, region->kind == REGION_IO ? "io " : "mem", region->name);
    if (region->kind == REGION_MEMORY) {
        info_say(context, " (%s + %" PRIx64 "%s)", region->memory->name, region->memory_offset + region_offset,
            region->is_readonly || region->memory->is_rom ? ", read-only" : "");
    }
    info_say(context, "\n");
}

static void say_ports(void *context, unsigned first, unsigned last, const char *name)
{
    info_say(context, "     %04x-     %04x port %s\n", first, last, name);
}

static void info_mtree(const struct tick86 *machine, const struct out *out)
{
    struct out copy = *out;

    space_visit(machine->space, say_range, &copy);
    ports_visit(machine->ports, say_ports, &copy);
}

static const char *owner_of(const struct tick86 *machine, const struct event *event)
{
    for (unsigned chip = 0; chip < PC_CHIPS; chip++) {
        const struct device *dev = machine->chips[chip];
        uintptr_t start = (uintptr_t)dev;
        if (dev != NULL && (uintptr_t)event - start < dev->class->size) {
            return dev->name;
        }
    }
    return "?";
}

static void info_clock(const struct tick86 *machine, const struct out *out)
{
    const struct clock *clock = &machine->clock;
    uint64_t now = clock_now(clock);

    info_say(out, "icount     %" PRIu64 "\nnow        %" PRIu64 " ns\nns/insn    %" PRIu64 " / 65536\n", machine_icount(machine),
        now, clock->ns_per_insn_q16);
    for (uint32_t n = 0; n < clock->event_count; n++) {
        const struct event *event = clock->events[n];
        if (event_is_armed(event)) {
            info_say(out, "event      %-12s in %" PRId64 " ns\n", owner_of(machine, event),
                (int64_t)(event->deadline_ns - now));
        }
    }
}

static void info_log(const struct tick86 *machine, const struct out *out)
{
    static const char *const levels[] = { "error", "guest", "trace" };

    for (uint32_t n = 0; n < machine->log.channel_count; n++) {
        const struct log_channel *channel = &machine->log.channels[n];
        info_say(out, "%-24s %-6s %" PRIu32 " guest messages\n", channel->name, levels[channel->level % 3],
            channel->guest_messages);
    }
}

/* ---- by name ---- */

static const struct topic {
    const char *name;
    void (*show)(const struct tick86 *machine, const struct out *out);
} topics[] = {
    { "registers", info_registers }, { "pic", info_pic },     { "tlb", info_tlb },     { "mem", info_mem },
    { "qtree", info_qtree },         { "mtree", info_mtree }, { "clock", info_clock }, { "log", info_log },
    { "gdt", info_gdt },             { "ldt", info_ldt },     { "idt", info_idt },     { "tss", info_tss },
    { "pci", info_pci },             { "irq", info_irq },
};
enum { TOPICS = sizeof topics / sizeof topics[0] };

static bool unknown(const struct tick86 *machine, const char *what, struct error *err)
{
    char known[256] = "";
    size_t length = 0;

    for (unsigned n = 0; n < TOPICS + PC_CHIPS; n++) {
        const char *name = n < TOPICS ? topics[n].name : pc_board[n - TOPICS].name;
        if ((n < TOPICS || machine->chips[n - TOPICS] != NULL) && length < sizeof known) {
            length += (size_t)snprintf(&known[length], sizeof known - length, " %s", name);
        }
    }
    error_set(err, "there is no information on '%s'", what);
    return error_hint(err, "there is:%s", known);
}

bool tick86_info(struct tick86 *machine, const char *what, tick86_put_fn *put, void *context, struct error *err)
{
    struct out out = { put, context };

    for (unsigned n = 0; n < TOPICS; n++) {
        if (strcmp(what, topics[n].name) == 0) {
            topics[n].show(machine, &out);
            return true;
        }
    }
    if (strncmp(what, "pagewalk ", 9) == 0) {
        info_pagewalk(machine, &out, strtoull(what + 9, NULL, 0));
        return true;
    }
    if (strcmp(what, "cpu") == 0) {
        say_fields(&out, cpu_fields, machine->cpu, 0);
        return true;
    }
    if (strncmp(what, "cpu", 3) == 0 && what[3] >= '0' && what[3] <= '9') {
        unsigned long number = strtoul(&what[3], NULL, 10);
        if (number < machine->cpu_count) {
            say_fields(&out, cpu_fields, machine->cpus[number], 0);
            return true;
        }
    }
    for (unsigned chip = 0; chip < PC_CHIPS; chip++) {
        const struct device *dev = machine->chips[chip];
        if (dev != NULL && strcmp(what, dev->name) == 0) {
            say_chip(&out, dev);
            return true;
        }
    }
    return unknown(machine, what, err);
}
