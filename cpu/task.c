/* task.c - hardware task switches, as in Intel SDM vol. 3 (December 2023), chapter 7, with its tables 7-1 and 7-2.
 *
 * Up to the commit point (7.3, step 11) a fault belongs to the old task and leaves it as it was. After it the new
 * task has been entered, and what is wrong with its segments faults there, at its first instruction. */
#include "cpu/system_private.h"

enum {
    TSS32_LIMIT_MIN = 0x67,
    TSS16_LIMIT_MIN = 0x2b,
    TSS_LINK = 0x00,
    TSS32_CR3 = 0x1c,
    TSS32_EIP = 0x20, /* then EFLAGS and eight registers, 4 bytes each */
    TSS32_SEGMENTS = 0x48,
    TSS32_LDT = 0x60,
    TSS32_TRAP = 0x64,
    TSS32_SAVED_BYTES = TSS32_LDT - TSS32_EIP,
    TSS16_IP = 0x0e, /* then FLAGS and eight registers, 2 bytes each */
    TSS16_SEGMENTS = 0x22,
    TSS16_LDT = 0x2a,
    TSS16_SAVED_BYTES = TSS16_LDT - TSS16_IP
};

/* Segment registers as a TSS orders them; a 16-bit one ends after DS. Same numbers as enum segment_index. */
enum { TSS16_SEGMENT_COUNT = 4, TSS32_SEGMENT_COUNT = 6 };

/* What a TSS holds for the processor. */
struct task_image {
    uint32_t eip, eflags, gpr[8], cr3;
    uint16_t selector[TSS32_SEGMENT_COUNT];
    uint16_t ldt;
    bool is_32bit;
    bool has_trap;
};

static bool tss_is_32bit(uint32_t attributes) { return (attributes & TYPE_32BIT_BIT) != 0; }

static bool read_image(struct cpu *cpu, const struct segment *tss, struct task_image *image)
{
    bool is_32bit = tss_is_32bit(tss->attributes);
    unsigned size = is_32bit ? 4 : 2;
    uint64_t base = tss->base;
    uint64_t words[10], value;

    *image = (struct task_image){ .is_32bit = is_32bit };
    for (unsigned n = 0; n < 10; n++) {
        if (!system_read(cpu, base + (is_32bit ? TSS32_EIP : TSS16_IP) + n * size, size, &words[n])) {
            return false;
        }
    }
    image->eip = (uint32_t)words[0];
    image->eflags = (uint32_t)words[1];
    for (unsigned n = 0; n < 8; n++) {
        /* The upper halves are undefined after a switch to a 16-bit TSS. */
        image->gpr[n] = is_32bit ? (uint32_t)words[2 + n] : (uint32_t)words[2 + n] | UINT32_C(0xffff0000);
    }
    for (unsigned n = 0; n < (is_32bit ? TSS32_SEGMENT_COUNT : TSS16_SEGMENT_COUNT); n++) {
        if (!system_read(cpu, base + (is_32bit ? TSS32_SEGMENTS : TSS16_SEGMENTS) + n * size, 2, &value)) {
            return false;
        }
        image->selector[n] = (uint16_t)value;
    }
    if (!system_read(cpu, base + (is_32bit ? TSS32_LDT : TSS16_LDT), 2, &value)) {
        return false;
    }
    image->ldt = (uint16_t)value;
    if (is_32bit) {
        if (!system_read(cpu, base + TSS32_CR3, 4, &value)) {
            return false;
        }
        image->cr3 = (uint32_t)value;
        if (!system_read(cpu, base + TSS32_TRAP, 2, &value)) {
            return false;
        }
        image->has_trap = (value & 1) != 0;
    }
    return true;
}

/* Checks that every byte of the range can be written. */
static bool probe_range(struct cpu *cpu, uint64_t linear, unsigned bytes)
{
    for (unsigned n = 0; n < bytes; n += 2) {
        if (!linear_probe_write(cpu, (linear + n) & LINEAR_MASK, 2, true)) {
            return false;
        }
    }
    return true;
}

static bool system_write(struct cpu *cpu, uint64_t linear, unsigned size, uint64_t value)
{
    return linear_write(cpu, linear & LINEAR_MASK, size, true, value);
}

/* Saves the current task. The static fields (link, inner stacks, CR3, LDT) stay as they are. */
static bool save_task(struct cpu *cpu, const struct segment *tss, uint32_t eip, uint32_t eflags)
{
    bool is_32bit = tss_is_32bit(tss->attributes);
    unsigned size = is_32bit ? 4 : 2;
    uint64_t at = tss->base + (is_32bit ? TSS32_EIP : TSS16_IP);
    bool ok = system_write(cpu, at, size, is_32bit ? eip : eip & 0xffff) &&
              system_write(cpu, at + size, size, is_32bit ? eflags : eflags & 0xffff);

    for (unsigned n = 0; ok && n < 8; n++) {
        ok = system_write(cpu, at + (2 + n) * size, size, is_32bit ? cpu_reg32(cpu, n) : cpu_reg16(cpu, n));
    }
    at = tss->base + (is_32bit ? TSS32_SEGMENTS : TSS16_SEGMENTS);
    for (unsigned n = 0; ok && n < (is_32bit ? TSS32_SEGMENT_COUNT : TSS16_SEGMENT_COUNT); n++) {
        ok = system_write(cpu, at + n * size, 2, cpu->seg[n].selector);
    }
    return ok;
}

/* Sets or clears the busy bit of a TSS descriptor in the GDT. */
static bool set_busy(struct cpu *cpu, uint16_t selector, bool is_busy)
{
    const uint64_t busy = (uint64_t)TYPE_BUSY_BIT << 40;
    uint64_t descriptor;

    return descriptor_read(cpu, selector, VEC_TS, &descriptor) &&
           descriptor_write_access(cpu, selector, is_busy ? descriptor | busy : descriptor & ~busy);
}

/* Type, presence and limit of the TSS that is switched to; #GP or, for IRET, #TS (SDM vol. 3, table 7-1). */
static bool check_new_tss(struct cpu *cpu, uint16_t selector, uint64_t descriptor, enum task_source source)
{
    uint32_t attributes = descriptor_attributes(descriptor);
    unsigned wanted_busy = source == TASK_RETURN ? TYPE_BUSY_BIT : 0;
    unsigned type = attributes_system_type(attributes);
    struct segment tss;

    if ((type & ~(unsigned)TYPE_32BIT_BIT) != (TYPE_TSS16 | wanted_busy)) {
        return cpu_fault_error(cpu, source == TASK_RETURN ? VEC_TS : VEC_GP, selector_error(selector));
    }
    if (!(attributes & ATTR_P)) {
        return cpu_fault_error(cpu, VEC_NP, selector_error(selector));
    }
    descriptor_unpack(descriptor, selector, &tss);
    if (tss.limit < (tss_is_32bit(attributes) ? TSS32_LIMIT_MIN : TSS16_LIMIT_MIN)) {
        return cpu_fault_error(cpu, VEC_TS, selector_error(selector));
    }
    return true;
}

/* The old task's TSS must be able to take its state; LTR does not check that. */
static bool check_old_tss(struct cpu *cpu)
{
    const struct segment *tss = &cpu->seg[SEG_TR];
    bool is_32bit = tss_is_32bit(tss->attributes);

    if ((tss->attributes & ATTR_NULL) || tss->limit < (is_32bit ? TSS32_LIMIT_MIN : TSS16_LIMIT_MIN)) {
        return cpu_fault_error(cpu, VEC_TS, selector_error(tss->selector));
    }
    return probe_range(cpu, tss->base + (is_32bit ? TSS32_EIP : TSS16_IP),
                       is_32bit ? TSS32_SAVED_BYTES : TSS16_SAVED_BYTES);
}

/* ---- the new task's segments, after the commit point ---- */

static bool load_ldt(struct cpu *cpu, uint16_t selector)
{
    uint64_t descriptor;

    if (selector_is_null(selector)) {
        return true;
    }
    if (selector_is_local(selector)) {
        return cpu_fault_error(cpu, VEC_TS, selector_error(selector));
    }
    if (!descriptor_read(cpu, selector, VEC_TS, &descriptor)) {
        return false;
    }
    uint32_t attributes = descriptor_attributes(descriptor);
    if (attributes_system_type(attributes) != TYPE_LDT || !(attributes & ATTR_P)) {
        return cpu_fault_error(cpu, VEC_TS, selector_error(selector));
    }
    descriptor_unpack(descriptor, selector, &cpu->seg[SEG_LDTR]);
    return true;
}

static bool load_code(struct cpu *cpu, uint16_t selector)
{
    struct segment code;
    uint64_t descriptor;

    if (selector_is_null(selector)) {
        return cpu_fault_error(cpu, VEC_TS, 0);
    }
    if (!descriptor_read(cpu, selector, VEC_TS, &descriptor)) {
        return false;
    }
    descriptor_unpack(descriptor, selector, &code);
    unsigned dpl = attributes_dpl(code.attributes);
    bool may = attributes_are_conforming(code.attributes) ? dpl <= selector_rpl(selector)
                                                          : dpl == selector_rpl(selector);
    if (!attributes_are_code(code.attributes) || !may) {
        return cpu_fault_error(cpu, VEC_TS, selector_error(selector));
    }
    if (!(code.attributes & ATTR_P)) {
        return cpu_fault_error(cpu, VEC_NP, selector_error(selector));
    }
    if (!descriptor_set_accessed(cpu, selector, descriptor)) {
        return false;
    }
    code_enter(cpu, &code, selector_rpl(selector), (uint32_t)cpu->rip);
    return true;
}

static bool load_stack(struct cpu *cpu, uint16_t selector)
{
    struct segment stack;
    uint64_t descriptor;

    if (!stack_segment_check(cpu, selector, cpu->cpl, VEC_TS, &stack, &descriptor) ||
        !descriptor_set_accessed(cpu, selector, descriptor)) {
        return false;
    }
    cpu->seg[SEG_SS] = stack;
    return true;
}

static bool load_data(struct cpu *cpu, enum segment_index seg, uint16_t selector)
{
    struct segment segment;
    uint64_t descriptor;

    if (selector_is_null(selector)) {
        return true;
    }
    if (!descriptor_read(cpu, selector, VEC_TS, &descriptor)) {
        return false;
    }
    descriptor_unpack(descriptor, selector, &segment);
    unsigned dpl = attributes_dpl(segment.attributes);
    if (!attributes_are_readable(segment.attributes) ||
        (!attributes_are_conforming(segment.attributes) && (selector_rpl(selector) > dpl || cpu->cpl > dpl))) {
        return cpu_fault_error(cpu, VEC_TS, selector_error(selector));
    }
    if (!(segment.attributes & ATTR_P)) {
        return cpu_fault_error(cpu, VEC_NP, selector_error(selector));
    }
    if (!descriptor_set_accessed(cpu, selector, descriptor)) {
        return false;
    }
    segment.attributes |= ATTR_ACCESSED;
    cpu->seg[seg] = segment;
    return true;
}

/* The order is the processor's own choice (SDM vol. 3, 7.3: "not architectural"). */
static bool load_segments(struct cpu *cpu, const struct task_image *image)
{
    static const enum segment_index data_segments[] = { SEG_DS, SEG_ES, SEG_FS, SEG_GS };

    if (!load_ldt(cpu, image->ldt)) {
        return false;
    }
    if (cpu_is_vm86(cpu)) {
        for (unsigned n = 0; n < TSS32_SEGMENT_COUNT; n++) {
            cpu->seg[n] = segment_vm86(image->selector[n]);
        }
        return true;
    }
    if (!load_code(cpu, image->selector[SEG_CS]) || !load_stack(cpu, image->selector[SEG_SS])) {
        return false;
    }
    for (unsigned n = 0; n < 4; n++) {
        if (!load_data(cpu, data_segments[n], image->selector[data_segments[n]])) {
            return false;
        }
    }
    return true;
}

/* Makes the image the current task, with every segment register holding its selector but unusable. */
static void commit_task(struct cpu *cpu, const struct segment *tss, const struct task_image *image,
                        const uint64_t pdpte[4], uint32_t eflags)
{
    cpu->seg[SEG_TR] = *tss;
    cpu->cr0 |= CR0_TS;
    if (image->is_32bit && (cpu->cr0 & CR0_PG)) {
        if (cpu->cr4 & CR4_PAE) {
            for (unsigned n = 0; n < 4; n++) {
                cpu->pdpte[n] = pdpte[n];
            }
        }
        /* Only a new value empties the TLB: SDM vol. 3, 4.10.4.1. */
        if (cpu->cr3 != image->cr3) {
            cpu->cr3 = image->cr3;
            tlb_flush(cpu, (cpu->cr4 & CR4_PGE) != 0);
        }
    }
    for (unsigned n = 0; n < 8; n++) {
        cpu->gpr[n] = image->gpr[n];
    }
    for (unsigned n = 0; n < TSS32_SEGMENT_COUNT; n++) {
        cpu->seg[n] = segment_null(image->selector[n]);
    }
    cpu->seg[SEG_LDTR] = segment_null(image->ldt);
    cpu->rip = image->eip;
    cpu->cpl = eflags & FLAG_VM ? 3 : (uint8_t)selector_rpl(image->selector[SEG_CS]);
    cpu_set_eflags(cpu, eflags);
    if (cpu->dr[7] & DR7_LOCAL) {
        cpu->dr[7] &= ~(uint64_t)DR7_LOCAL;
        tlb_watch_changed(cpu);
    }
    cpu_update_mode(cpu);
}

/* The rest of the switch, in the new task. */
static bool begin_task(struct cpu *cpu, const struct task_image *image, bool has_error, uint32_t error)
{
    struct stack_frame frame;

    if (!load_segments(cpu, image)) {
        cpu_update_mode(cpu);
        return false;
    }
    cpu_update_mode(cpu);
    if (!code_offset_check(cpu, &cpu->seg[SEG_CS], (uint32_t)cpu->rip)) {
        return false;
    }
    if (has_error) {
        stack_frame_here(&frame, cpu, 0);
        frame.checks_alignment = false;
        if (!stack_frame_push(&frame, image->is_32bit ? 4 : 2, error) || !stack_frame_write(&frame)) {
            return false;
        }
        stack_set_pointer(cpu, frame.esp);
    }
    if (image->has_trap) {
        cpu->debug_pending |= DR6_BT; /* before the first instruction of the task: SDM vol. 3, 17.3.1.5 */
        cpu->pending |= PENDING_DEBUG;
    }
    return true;
}

bool task_switch(struct cpu *cpu, uint16_t selector, uint64_t descriptor, enum task_source source, uint64_t return_rip,
                 bool has_error, uint32_t error)
{
    struct segment old_tss = cpu->seg[SEG_TR];
    struct segment tss;
    struct task_image image;
    uint64_t pdpte[4] = { 0 };
    uint32_t old_eflags = cpu_get_eflags(cpu);
    bool is_nested = source == TASK_CALL || source == TASK_INTERRUPT;

    if (!check_new_tss(cpu, selector, descriptor, source) || !check_old_tss(cpu)) {
        return false;
    }
    descriptor_unpack(descriptor | (uint64_t)TYPE_BUSY_BIT << 40, selector, &tss);
    if (!read_image(cpu, &tss, &image)) {
        return false;
    }
    if (image.is_32bit && (cpu->cr0 & CR0_PG) && (cpu->cr4 & CR4_PAE) &&
        !control_read_pdptes(cpu, image.cr3, pdpte)) {
        return false;
    }
    if (is_nested && !probe_range(cpu, tss.base + TSS_LINK, 2)) {
        return false;
    }
    /* The GDT is written first: its pages have not been probed, and these writes can be repeated. */
    if (source == TASK_RETURN || source == TASK_JUMP) {
        if (!set_busy(cpu, old_tss.selector, false)) {
            return false;
        }
    }
    if (source != TASK_RETURN && !set_busy(cpu, selector, true)) {
        if (source == TASK_JUMP) {
            set_busy(cpu, old_tss.selector, true);
        }
        return false;
    }
    if (cpu->delivering != 0 && source == TASK_INTERRUPT) {
        old_eflags |= FLAG_RF; /* the image that a fault saves: SDM vol. 3, 17.3.1.1 */
    }
    if (source == TASK_RETURN) {
        old_eflags &= ~FLAG_NT;
    }
    if (!save_task(cpu, &old_tss, (uint32_t)return_rip, old_eflags) ||
        (is_nested && !system_write(cpu, tss.base + TSS_LINK, 2, old_tss.selector))) {
        return false;
    }
    uint32_t eflags = (image.eflags & (FLAGS_STATUS | FLAGS_SYSTEM)) | FLAG_1;
    commit_task(cpu, &tss, &image, pdpte, is_nested ? eflags | FLAG_NT : eflags);
    return begin_task(cpu, &image, has_error, error);
}
