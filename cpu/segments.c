/* segments.c - segment registers and descriptor tables, as in Intel SDM vol. 3 (December 2023), chapters 3.4, 3.5
 * and 5, and the pages of MOV, LLDT, LTR, LAR, LSL, VERR and VERW in vol. 2.
 */
#include "cpu/system_private.h"

struct segment segment_flat(uint16_t selector, uint32_t type, unsigned dpl)
{
    struct segment segment = {
        .limit = UINT32_C(0xffffffff),
        .attributes = type | ATTR_S | dpl << ATTR_DPL_SHIFT | ATTR_P | ATTR_DB | ATTR_G,
        .selector = selector,
    };
    return segment;
}

struct segment segment_null(uint16_t selector)
{
    struct segment segment = { .attributes = ATTR_NULL, .selector = selector };
    return segment;
}

struct segment segment_vm86(uint16_t selector)
{
    struct segment segment = {
        .base = (uint64_t)selector << 4,
        .limit = 0xffff,
        .attributes = ATTR_ACCESSED | ATTR_WRITABLE | ATTR_S | ATTR_DPL | ATTR_P,
        .selector = selector,
    };
    return segment;
}

bool segment_contains(const struct segment *segment, uint32_t offset, uint32_t size)
{
    uint64_t last = (uint64_t)offset + size - 1;

    if ((segment->attributes & (ATTR_S | ATTR_CODE | ATTR_EXPAND_DOWN)) == (ATTR_S | ATTR_EXPAND_DOWN)) {
        uint64_t top = segment->attributes & ATTR_DB ? UINT64_C(0xffffffff) : UINT64_C(0xffff);
        return offset > segment->limit && last <= top;
    }
    return last <= segment->limit;
}

void segments_clear_inaccessible(struct cpu *cpu, unsigned cpl)
{
    static const enum segment_index data_segments[] = { SEG_ES, SEG_FS, SEG_GS, SEG_DS };

    for (unsigned n = 0; n < 4; n++) {
        struct segment *segment = &cpu->seg[data_segments[n]];
        /* FS and GS may have a base without a selector in IA-32e mode: that stays. */
        if (cpu_is_long(cpu) && selector_is_null(segment->selector)) {
            continue;
        }
        if (attributes_dpl(segment->attributes) < cpl && !attributes_are_conforming(segment->attributes)) {
            *segment = segment_null(0);
        }
    }
}

/* ---- descriptors ---- */

/* Where a selector's descriptor is; false when outside of its table. */
static bool descriptor_address(const struct cpu *cpu, uint16_t selector, uint64_t *linear)
{
    uint32_t offset = selector & 0xfff8u;
    uint64_t base = cpu->gdtr.base;
    uint32_t limit = cpu->gdtr.limit;

    if (selector_is_local(selector)) {
        const struct segment *ldt = &cpu->seg[SEG_LDTR];
        if ((ldt->attributes & ATTR_NULL) || !(ldt->attributes & ATTR_P)) {
            return false;
        }
        base = ldt->base;
        limit = ldt->limit;
    }
    *linear = (base + offset) & table_mask(cpu);
    return offset + 7 <= limit;
}

bool descriptor_look(struct cpu *cpu, uint16_t selector, uint64_t *descriptor, bool *is_there)
{
    uint64_t linear;

    *descriptor = 0;
    *is_there = descriptor_address(cpu, selector, &linear);
    return !*is_there || system_read(cpu, linear, 8, descriptor);
}

bool descriptor_read(struct cpu *cpu, uint16_t selector, enum exception_vector fault_vector, uint64_t *descriptor)
{
    bool is_there;

    if (!descriptor_look(cpu, selector, descriptor, &is_there)) {
        return false;
    }
    return is_there || cpu_fault_error(cpu, fault_vector, selector_error(selector));
}

void descriptor_unpack(uint64_t descriptor, uint16_t selector, struct segment *segment)
{
    uint32_t low = (uint32_t)descriptor;
    uint32_t high = (uint32_t)(descriptor >> 32);
    uint32_t limit = (low & 0xffff) | (high & 0xf0000);
    struct segment unpacked = {
        .base = low >> 16 | (high & 0xff) << 16 | (high & UINT32_C(0xff000000)),
        .attributes = descriptor_attributes(descriptor),
        .selector = selector,
    };

    unpacked.limit = unpacked.attributes & ATTR_G ? limit << 12 | 0xfff : limit;
    *segment = unpacked;
}

bool descriptor_write_access(struct cpu *cpu, uint16_t selector, uint64_t descriptor)
{
    uint64_t linear;

    if (!descriptor_address(cpu, selector, &linear)) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
    return linear_write(cpu, (linear + 5) & table_mask(cpu), 1, true, (descriptor >> 40) & 0xff);
}

bool descriptor_read_high(struct cpu *cpu, uint16_t selector, uint64_t *high)
{
    uint64_t linear;

    /* The upper half is where the next descriptor would be. */
    if (!descriptor_address(cpu, (uint16_t)(selector + 8), &linear) || selector > 0xfff7) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
    if (!system_read(cpu, linear, 8, high)) {
        return false;
    }
    /* SDM vol. 3, 5.8.3.1 and 3.5: what stands in the place of the type must be 0. */
    return (*high >> 40 & 0x1f) == 0 || cpu_fault_error(cpu, VEC_GP, selector_error(selector));
}

bool descriptor_set_accessed(struct cpu *cpu, uint16_t selector, uint64_t descriptor)
{
    if (descriptor_attributes(descriptor) & ATTR_ACCESSED) {
        return true; /* no write, so that tables in ROM work */
    }
    return descriptor_write_access(cpu, selector, descriptor | (uint64_t)ATTR_ACCESSED << 40);
}

bool stack_segment_check(struct cpu *cpu, uint16_t selector, unsigned cpl, enum exception_vector vector,
                         struct segment *stack, uint64_t *descriptor)
{
    if (selector_is_null(selector)) {
        return cpu_fault_error(cpu, vector, 0);
    }
    if (!descriptor_read(cpu, selector, vector, descriptor)) {
        return false;
    }
    descriptor_unpack(*descriptor, selector, stack);
    if (selector_rpl(selector) != cpl || !attributes_are_writable_data(stack->attributes) ||
        attributes_dpl(stack->attributes) != cpl) {
        return cpu_fault_error(cpu, vector, selector_error(selector));
    }
    if (!(stack->attributes & ATTR_P)) {
        return cpu_fault_error(cpu, VEC_SS, selector_error(selector));
    }
    stack->attributes |= ATTR_ACCESSED;
    return true;
}

/* ---- MOV, POP, LxS ---- */

/* Real mode keeps the limit and the D bit of the last protected-mode load, which is what "unreal mode" lives on;
 * the access rights become those of a present, writable segment. A register that held a null selector gets its
 * reset limit. */
void segment_load_real(struct cpu *cpu, enum segment_index seg, uint16_t selector)
{
    struct segment *segment = &cpu->seg[seg];

    if (cpu_is_vm86(cpu)) {
        *segment = segment_vm86(selector);
    } else {
        if (segment->attributes & ATTR_NULL) {
            *segment = segment_null(selector);
            segment->limit = 0xffff;
        }
        segment->base = (uint64_t)selector << 4;
        segment->selector = selector;
        segment->attributes &= ATTR_DB | ATTR_G | ATTR_AVL;
        segment->attributes |= ATTR_ACCESSED | ATTR_WRITABLE | ATTR_S | ATTR_P;
    }
    cpu_update_mode(cpu);
}

static bool load_stack_segment(struct cpu *cpu, uint16_t selector)
{
    struct segment stack;
    uint64_t descriptor;

    /* 64-bit code below level 3 may do without. */
    if (cpu_is_64bit(cpu) && selector_is_null(selector) && cpu->cpl != 3 && selector_rpl(selector) == cpu->cpl) {
        cpu->seg[SEG_SS] = segment_null_stack(cpu->cpl);
        cpu_update_mode(cpu);
        return true;
    }
    if (!stack_segment_check(cpu, selector, cpu->cpl, VEC_GP, &stack, &descriptor) ||
        !descriptor_set_accessed(cpu, selector, descriptor)) {
        return false;
    }
    cpu->seg[SEG_SS] = stack;
    cpu_update_mode(cpu);
    return true;
}

bool segment_load(struct cpu *cpu, enum segment_index seg, uint16_t selector)
{
    struct segment segment;
    uint64_t descriptor;

    if (!cpu_is_protected(cpu)) {
        segment_load_real(cpu, seg, selector);
        return true;
    }
    if (seg == SEG_SS) {
        return load_stack_segment(cpu, selector);
    }
    if (selector_is_null(selector)) {
        cpu->seg[seg] = segment_null(selector);
        cpu_update_mode(cpu);
        return true;
    }
    if (!descriptor_read(cpu, selector, VEC_GP, &descriptor)) {
        return false;
    }
    descriptor_unpack(descriptor, selector, &segment);
    unsigned dpl = attributes_dpl(segment.attributes);
    if (!attributes_are_readable(segment.attributes) ||
        (!attributes_are_conforming(segment.attributes) && (selector_rpl(selector) > dpl || cpu->cpl > dpl))) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
    if (!(segment.attributes & ATTR_P)) {
        return cpu_fault_error(cpu, VEC_NP, selector_error(selector));
    }
    if (!descriptor_set_accessed(cpu, selector, descriptor)) {
        return false;
    }
    segment.attributes |= ATTR_ACCESSED;
    cpu->seg[seg] = segment;
    cpu_update_mode(cpu);
    return true;
}

/* ---- LLDT, LTR ---- */

/* Common beginning of LLDT and LTR: a present descriptor of the GDT whose type is `type` or, for a TSS, its other
 * size. */
static bool system_segment_read(struct cpu *cpu, uint16_t selector, unsigned type, uint64_t *descriptor)
{
    if (selector_is_local(selector)) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
    if (!descriptor_read(cpu, selector, VEC_GP, descriptor)) {
        return false;
    }
    uint32_t attributes = descriptor_attributes(*descriptor);
    unsigned found = attributes_system_type(attributes);
    if (found != type && !(type == TYPE_TSS32 && found == TYPE_TSS16 && !cpu_is_long(cpu))) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
    if (!(attributes & ATTR_P)) {
        return cpu_fault_error(cpu, VEC_NP, selector_error(selector));
    }
    return true;
}

/* Sets LDTR or TR from a descriptor, of which IA-32e mode has an upper half with more of the base. */
static bool system_segment_set(struct cpu *cpu, enum segment_index seg, uint16_t selector, uint64_t descriptor)
{
    uint64_t high = 0;
    struct segment segment;

    if (cpu_is_long(cpu) && !descriptor_read_high(cpu, selector, &high)) {
        return false;
    }
    descriptor_unpack(descriptor, selector, &segment);
    segment.base |= high << 32;
    if (cpu_is_long(cpu) && !cpu_is_canonical(cpu, segment.base)) {
        return cpu_fault_error(cpu, VEC_GP, selector_error(selector));
    }
    cpu->seg[seg] = segment;
    return true;
}

bool system_lldt(struct cpu *cpu, uint16_t selector)
{
    uint64_t descriptor;

    if (!cpu_is_protected(cpu)) {
        return cpu_fault(cpu, VEC_UD);
    }
    if (cpu->cpl != 0) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if (selector_is_null(selector)) {
        cpu->seg[SEG_LDTR] = segment_null(selector);
        return true;
    }
    if (!system_segment_read(cpu, selector, TYPE_LDT, &descriptor)) {
        return false;
    }
    return system_segment_set(cpu, SEG_LDTR, selector, descriptor);
}

bool system_ltr(struct cpu *cpu, uint16_t selector)
{
    uint64_t descriptor;

    if (!cpu_is_protected(cpu)) {
        return cpu_fault(cpu, VEC_UD);
    }
    if (cpu->cpl != 0 || selector_is_null(selector)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if (!system_segment_read(cpu, selector, TYPE_TSS32, &descriptor)) {
        return false;
    }
    descriptor |= (uint64_t)TYPE_BUSY_BIT << 40;
    struct segment old = cpu->seg[SEG_TR];
    if (!system_segment_set(cpu, SEG_TR, selector, descriptor)) {
        return false;
    }
    if (!descriptor_write_access(cpu, selector, descriptor)) {
        cpu->seg[SEG_TR] = old;
        return false;
    }
    return true;
}

/* ---- LAR, LSL, VERR, VERW ---- */

/* Tells whether CPL and RPL may look at the descriptor at all. */
static bool is_visible(const struct cpu *cpu, uint16_t selector, uint32_t attributes)
{
    unsigned dpl = attributes_dpl(attributes);

    return attributes_are_conforming(attributes) || (cpu->cpl <= dpl && selector_rpl(selector) <= dpl);
}

/* Reads the descriptor for one of the four; `*ok` is false when there is none or it may not be looked at. `types`
 * has a bit for each system type that the instruction accepts. */
static bool examine(struct cpu *cpu, uint16_t selector, unsigned types, uint64_t *descriptor, bool *ok)
{
    *ok = false;
    if (selector_is_null(selector)) {
        return true;
    }
    if (!descriptor_look(cpu, selector, descriptor, ok)) {
        *ok = false;
        return false;
    }
    uint32_t attributes = descriptor_attributes(*descriptor);
    if (*ok && !(attributes & ATTR_S) && !(types >> (attributes & ATTR_TYPE) & 1)) {
        *ok = false;
    }
    *ok = *ok && is_visible(cpu, selector, attributes);
    return true;
}

bool system_lar(struct cpu *cpu, uint16_t selector, bool *ok, uint32_t *rights)
{
    const unsigned of_ia32e = 1u << TYPE_LDT | 1u << TYPE_TSS32 | 1u << TYPE_TSS32_BUSY | 1u << TYPE_CALL_GATE32;
    const unsigned types = cpu_is_long(cpu) ? of_ia32e
                                            : of_ia32e | 1u << TYPE_TSS16 | 1u << TYPE_TSS16_BUSY |
                                                  1u << TYPE_CALL_GATE16 | 1u << TYPE_TASK_GATE;
    uint64_t descriptor = 0;

    if (!examine(cpu, selector, types, &descriptor, ok)) {
        return false;
    }
    *rights = (uint32_t)(descriptor >> 32) & UINT32_C(0x00ffff00);
    return true;
}

bool system_lsl(struct cpu *cpu, uint16_t selector, bool *ok, uint32_t *limit)
{
    const unsigned of_ia32e = 1u << TYPE_LDT | 1u << TYPE_TSS32 | 1u << TYPE_TSS32_BUSY;
    const unsigned types = cpu_is_long(cpu) ? of_ia32e : of_ia32e | 1u << TYPE_TSS16 | 1u << TYPE_TSS16_BUSY;
    uint64_t descriptor = 0;
    struct segment segment;

    if (!examine(cpu, selector, types, &descriptor, ok)) {
        return false;
    }
    descriptor_unpack(descriptor, selector, &segment);
    *limit = segment.limit;
    return true;
}

bool system_verify(struct cpu *cpu, uint16_t selector, bool for_write, bool *ok)
{
    uint64_t descriptor = 0;

    if (!examine(cpu, selector, 0, &descriptor, ok)) {
        return false;
    }
    uint32_t attributes = descriptor_attributes(descriptor);
    *ok = *ok && (for_write ? attributes_are_writable_data(attributes) : attributes_are_readable(attributes));
    return true;
}
