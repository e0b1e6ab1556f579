/* string.c - MOVS CMPS STOS LODS SCAS INS OUTS, alone and with REP. SDM vol. 2, REP and the instructions' pages.
 *
 * An execution does one slice: at most the elements up to the next page boundary of each pointer, or one element for
 * INS and OUTS and while single-stepping. A slice counts as one instruction; a repetition that is not finished
 * starts over at the same address, so interrupts are taken between slices. Where slices end depends on guest state only.
 *
 * Record: sc has segment and address size; r2 is 0 without prefix, 1 for F3 (REP, REPE), 2 for F2 (REPNE). */
#include "cpu/bind.h"
#include "cpu/debug.h"
#include "cpu/decode.h"
#include "cpu/flags.h"

enum { REPEAT_NONE, REPEAT_E, REPEAT_NE };

static void set_register(struct cpu *cpu, unsigned reg, uint64_t value, uint64_t mask)
{
    if (mask == 0xffff) {
        set_reg16(cpu, reg, (uint16_t)value);
    } else {
        set_reg64(cpu, reg, value);
    }
}

/* What a string instruction works on. */
struct run {
    uint64_t mask, count; /* count: elements asked for, 1 without REP */
    uint64_t si, di;
    int32_t step;
    bool repeats;
};

static void run_open(const struct cpu *cpu, const struct insn *insn, unsigned size, struct run *run)
{
    run->mask = address_mask(insn);
    run->repeats = insn->r2 != REPEAT_NONE;
    run->count = run->repeats ? cpu->gpr[REG_CX] & run->mask : 1;
    run->si = cpu->gpr[REG_SI] & run->mask;
    run->di = cpu->gpr[REG_DI] & run->mask;
    run->step = cpu->eflags & FLAG_DF ? -(int32_t)size : (int32_t)size;
}

/* Commits one or more elements done. */
static void run_commit(struct cpu *cpu, struct run *run, uint64_t done, bool moves_si, bool moves_di)
{
    uint64_t by = done * (uint64_t)(int64_t)run->step;

    if (moves_si) {
        run->si = (run->si + by) & run->mask;
        set_register(cpu, REG_SI, run->si, run->mask);
    }
    if (moves_di) {
        run->di = (run->di + by) & run->mask;
        set_register(cpu, REG_DI, run->di, run->mask);
    }
    if (run->repeats) {
        run->count -= done;
        set_register(cpu, REG_CX, run->count, run->mask);
    }
}

/* How a slice ended. */
enum outcome { SLICE_FAULT, SLICE_AGAIN, SLICE_DONE };

static enum outcome run_outcome(const struct run *run, bool is_done)
{
    return !is_done && run->repeats && run->count != 0 ? SLICE_AGAIN : SLICE_DONE;
}

/* This instruction again; the slice that was done has retired with the block's charge. What interrupts it here saves RF
 * set (SDM vol. 3, 17.3.1.1: any iteration but the last). */
static const struct insn *start_over(struct cpu *cpu, const struct insn *insn)
{
    cpu_sync(cpu, insn);
    cpu->eflags |= FLAG_RF;
    cpu->current = NULL;
    if (UNLIKELY(cpu->debug != NULL)) {
        debug_repeats(cpu);
    }
    return NULL;
}

/* Elements of `size` bytes from `offset` in the direction of `step` that lie on one page of the segment; 1 at least. */
static uint32_t elements_on_page(uint64_t linear, int32_t step, unsigned size)
{
    uint32_t in_page = (uint32_t)linear & (GUEST_PAGE_SIZE - 1);

    if (step > 0) {
        return (GUEST_PAGE_SIZE - in_page) / size ? (GUEST_PAGE_SIZE - in_page) / size : 1;
    }
    return in_page / size + 1;
}

/* A span of elements that may be touched through host memory at once: `count` is cut down to what lies on one page, inside
 * the segment and before the offset wraps. NULL: take the elements one at a time by the exact way. */
static uint8_t *span_open(struct cpu *cpu, enum segment_index seg, uint64_t offset, unsigned size,
                          const struct run *run, enum access_kind kind, uint64_t *count)
{
    const struct segment *s = &cpu->seg[seg];
    bool is_64bit = cpu_is_64bit(cpu);
    uint64_t base = is_64bit && seg != SEG_FS && seg != SEG_GS ? 0 : s->base;
    uint64_t linear_mask = is_64bit ? ~UINT64_C(0) : 0xffffffffu;
    uint64_t linear = (base + offset) & linear_mask;
    uint32_t fit = elements_on_page(linear, run->step, size);
    uint64_t first, length;

    /* The span is bounded by the page whether or not it can be done at once, so that slices are the same either way. */
    if (*count > fit) {
        *count = fit;
    }
    if (linear % size != 0 && (linear & (GUEST_PAGE_SIZE - 1)) + size > GUEST_PAGE_SIZE) {
        return NULL;
    }
    length = *count * size;
    first = run->step > 0 ? offset : offset + size - length;
    if (run->step < 0 && offset + size < length) {
        return NULL;
    }
    if (first + length - 1 > run->mask || first + length - 1 < first) {
        return NULL;
    }
    if (cpu_is_protected(cpu) && !is_64bit) {
        bool is_code = (s->attributes & ATTR_CODE) != 0;
        if ((s->attributes & (ATTR_NULL | ATTR_P)) != ATTR_P ||
            (kind == ACCESS_WRITE ? is_code || !(s->attributes & ATTR_WRITABLE)
                                  : is_code && !(s->attributes & ATTR_READABLE))) {
            return NULL;
        }
    }
    if ((!is_64bit && ((s->attributes & (ATTR_CODE | ATTR_EXPAND_DOWN)) == ATTR_EXPAND_DOWN ||
                       first + length - 1 > s->limit)) ||
        ((cpu->cr0 & CR0_AM) && (cpu->eflags & FLAG_AC) && cpu->cpl == 3)) {
        return NULL;
    }
    uint64_t start = (base + first) & linear_mask;
    if ((start & ~(uint64_t)(GUEST_PAGE_SIZE - 1)) != ((start + length - 1) & ~(uint64_t)(GUEST_PAGE_SIZE - 1))) {
        return NULL;
    }
    const struct tlb_entry *entry = tlb_at(cpu, start);
    if ((kind == ACCESS_WRITE ? entry->write_tag : entry->read_tag) != (start & ~(uint64_t)(GUEST_PAGE_SIZE - 1))) {
        return NULL;
    }
    return (uint8_t *)(entry->addend + (uintptr_t)start);
}

static bool is_stepping(const struct cpu *cpu)
{
    return (cpu->eflags & FLAG_TF) || cpu->code_breakpoints;
}

/* Moves up to `count` elements through host memory; cuts `count` to a page of each side whether that can be done or not. */
static bool movs_at_once(struct cpu *cpu, const struct insn *insn, unsigned size, struct run *run, uint64_t *count)
{
    const uint8_t *from = span_open(cpu, ea_segment(insn), run->si, size, run, ACCESS_READ, count);
    uint8_t *to = span_open(cpu, SEG_ES, run->di, size, run, ACCESS_WRITE, count);
    size_t length = (size_t)*count * size;

    if (from && to && run->step > 0 && (to + length <= from || from + length <= to || to <= from)) {
        memmove(to, from, length);
        run_commit(cpu, run, *count, true, true);
        return true;
    }
    return false;
}

/* One slice of MOVS. Exact element semantics: overlapping moves see what earlier elements wrote. */
static bool movs_slice(struct cpu *cpu, const struct insn *insn, unsigned size, struct run *run)
{
    uint64_t count = is_stepping(cpu) ? 1 : run->count;

    if (movs_at_once(cpu, insn, size, run, &count)) {
        return true;
    }
    for (bool is_first = true; count > 0; is_first = false) {
        uint64_t value;
        if (!segment_read(cpu, ea_segment(insn), run->si, size, &value) ||
            !segment_write(cpu, SEG_ES, run->di, size, value)) {
            return false;
        }
        run_commit(cpu, run, 1, true, true);
        count--;
        if (UNLIKELY(cpu->pending & ~PENDING_LOOK)) {
            break;
        }
        /* The first element has brought both pages into the TLB and made the second dirty: that mostly was what was missing. */
        uint64_t rest = count;
        if (is_first && count > 0 && movs_at_once(cpu, insn, size, run, &rest)) {
            count -= rest;
        }
    }
    return true;
}

static uint64_t element_mask(unsigned size) { return ~UINT64_C(0) >> (64 - 8 * size); }

/* As movs_at_once. */
static bool stos_at_once(struct cpu *cpu, unsigned size, struct run *run, uint64_t *count)
{
    uint8_t *to = span_open(cpu, SEG_ES, run->di, size, run, ACCESS_WRITE, count);
    uint64_t value = cpu->gpr[REG_AX] & element_mask(size);

    if (!to || run->step < 0) {
        return false;
    }
    if (value == ((value & 0xff) * UINT64_C(0x0101010101010101) & element_mask(size))) {
        memset(to, (int)(value & 0xff), (size_t)*count * size);
    } else {
        for (size_t k = 0; k < *count; k++) {
            if (size == 2) {
                host_store16(to + 2 * k, (uint16_t)value);
            } else if (size == 4) {
                host_store32(to + 4 * k, (uint32_t)value);
            } else {
                host_store64(to + 8 * k, value);
            }
        }
    }
    run_commit(cpu, run, *count, false, true);
    return true;
}

static bool stos_slice(struct cpu *cpu, const struct insn *insn, unsigned size, struct run *run)
{
    uint64_t count = is_stepping(cpu) ? 1 : run->count;
    uint64_t value = cpu->gpr[REG_AX] & element_mask(size);

    (void)insn;
    if (stos_at_once(cpu, size, run, &count)) {
        return true;
    }
    for (bool is_first = true; count > 0; is_first = false) {
        if (!segment_write(cpu, SEG_ES, run->di, size, value)) {
            return false;
        }
        run_commit(cpu, run, 1, false, true);
        count--;
        if (UNLIKELY(cpu->pending & ~PENDING_LOOK)) {
            break;
        }
        uint64_t rest = count;
        if (is_first && count > 0 && stos_at_once(cpu, size, run, &rest)) {
            count -= rest;
        }
    }
    return true;
}

static bool lods_slice(struct cpu *cpu, const struct insn *insn, unsigned size, struct run *run)
{
    uint64_t count = run->count;
    uint64_t value;

    if (is_stepping(cpu) || count > 256) {
        count = is_stepping(cpu) ? 1 : 256;
    }
    while (count-- > 0) {
        if (!segment_read(cpu, ea_segment(insn), run->si, size, &value)) {
            return false;
        }
        if (size == 1) {
            set_reg8(cpu, HOST_IS_BIG_ENDIAN ? 7 : 0, (uint8_t)value);
        } else if (size == 2) {
            set_reg16(cpu, REG_AX, (uint16_t)value);
        } else {
            set_reg64(cpu, REG_AX, value); /* doublewords come zero-extended */
        }
        run_commit(cpu, run, 1, true, false);
        if (UNLIKELY(cpu->pending & ~PENDING_LOOK)) {
            break;
        }
    }
    return true;
}

static void compare(struct cpu *cpu, uint64_t a, uint64_t b, unsigned size)
{
    uint64_t difference = (a - b) & element_mask(size);

    if (size == 1) {
        flags_arith(cpu, difference, a, b, a < b, 8);
    } else if (size == 2) {
        flags_arith(cpu, difference, a, b, a < b, 16);
    } else if (size == 4) {
        flags_arith(cpu, difference, a, b, a < b, 32);
    } else {
        flags_arith(cpu, difference, a, b, a < b, 64);
    }
}

static uint64_t load_element(const uint8_t *at, unsigned size)
{
    return size == 1 ? host_load8(at) : size == 2 ? host_load16(at) : size == 4 ? host_load32(at) : host_load64(at);
}

/* Elements of CMPS and SCAS up to the end of the slice: `*is_done` when the condition ended the repetition. */
static bool compare_elements(struct cpu *cpu, const struct insn *insn, unsigned size, struct run *run, bool is_scan,
                             bool *is_done)
{
    uint64_t count = run->count;
    uint64_t mask = element_mask(size);

    if (is_stepping(cpu) || count > 256) {
        count = is_stepping(cpu) ? 1 : 256;
    }
    uint64_t span = count;
    const uint8_t *left = is_scan ? NULL : span_open(cpu, ea_segment(insn), run->si, size, run, ACCESS_READ, &span);
    const uint8_t *right = span_open(cpu, SEG_ES, run->di, size, run, ACCESS_READ, &span);
    if (run->repeats && run->step > 0 && right && (left || is_scan)) {
        uint64_t a = cpu->gpr[REG_AX] & mask, b;
        uint32_t done = 0;
        do {
            a = is_scan ? a : load_element(left + (size_t)done * size, size);
            b = load_element(right + (size_t)done * size, size);
            done++;
        } while (done < span && (a == b) == (insn->r2 == REPEAT_E));
        compare(cpu, a, b, size);
        *is_done = (a == b) != (insn->r2 == REPEAT_E);
        run_commit(cpu, run, done, !is_scan, true);
        return true;
    }
    count = span;
    while (count-- > 0) {
        uint64_t a = cpu->gpr[REG_AX] & mask, b;
        if ((!is_scan && !segment_read(cpu, ea_segment(insn), run->si, size, &a)) ||
            !segment_read(cpu, SEG_ES, run->di, size, &b)) {
            return false;
        }
        compare(cpu, a, b, size);
        run_commit(cpu, run, 1, !is_scan, true);
        if (run->repeats && flag_z(cpu) != (insn->r2 == REPEAT_E)) {
            *is_done = true;
            break;
        }
        if (UNLIKELY(cpu->pending & ~PENDING_LOOK)) {
            break;
        }
    }
    return true;
}

/* A fault gives back the flags from before the instruction (SDM vol. 2, REP), however many slices ago that was. What
 * interrupts the repetition ends that: the flags it saved are those that count when the instruction is resumed. */
static bool compare_slice(struct cpu *cpu, const struct insn *insn, unsigned size, struct run *run, bool is_scan, bool *is_done)
{
    uint64_t icount = run->repeats ? cpu_icount(cpu) : 0;
    bool goes_on = run->repeats && cpu->repeat_icount == icount;
    uint64_t flags_result = goes_on ? cpu->repeat_flags_result : cpu->flags_result;
    uint64_t flags_x = goes_on ? cpu->repeat_flags_x : cpu->flags_x;

    if (!compare_elements(cpu, insn, size, run, is_scan, is_done)) {
        cpu->flags_result = flags_result;
        cpu->flags_x = flags_x;
        return false;
    }
    if (run_outcome(run, *is_done) == SLICE_AGAIN) {
        cpu->repeat_icount = icount + 1;
        cpu->repeat_flags_result = flags_result;
        cpu->repeat_flags_x = flags_x;
    }
    return true;
}

/* ---- one element in flat code, the hot case without REP ---- */

static ALWAYS_INLINE bool is_flat_single(const struct cpu *cpu, const struct insn *insn)
{
    return insn->r2 == REPEAT_NONE && (cpu->mode & MODE_FLAT) &&
           (insn->sc >> 5 & 3) == (cpu->mode & MODE_CODE64 ? 2u : 1u) && ea_segment(insn) < SEG_FS &&
           ea_segment(insn) != SEG_CS;
}
static ALWAYS_INLINE uint8_t *single_host(const struct cpu *cpu, uint64_t ea, unsigned size, bool writes)
{
    const struct tlb_entry *entry = tlb_at(cpu, ea);

    return (writes ? entry->write_tag : entry->read_tag) == tag_of64(ea, size) ? (uint8_t *)(entry->addend + (uintptr_t)ea)
                                                                               : NULL;
}
static ALWAYS_INLINE uint64_t flat_step(const struct cpu *cpu, unsigned size)
{
    return cpu->eflags & FLAG_DF ? 0 - (uint64_t)size : size;
}
/* Pointers are masked to the address size of the code. */
#define SINGLES(bits)                                                                                                  \
    static ALWAYS_INLINE bool single_movs##bits(struct cpu *cpu, uint64_t mask)                                        \
    {                                                                                                                  \
        uint64_t si = cpu->gpr[REG_SI] & mask, di = cpu->gpr[REG_DI] & mask, step = flat_step(cpu, bits / 8);          \
        const uint8_t *from = single_host(cpu, si, bits / 8, false);                                                   \
        uint8_t *to = single_host(cpu, di, bits / 8, true);                                                            \
        if (UNLIKELY(!from || !to)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        host_store##bits(to, host_load##bits(from));                                                                   \
        set_reg64(cpu, REG_SI, (si + step) & mask);                                                                    \
        set_reg64(cpu, REG_DI, (di + step) & mask);                                                                    \
        return true;                                                                                                   \
    }                                                                                                                  \
    static ALWAYS_INLINE bool single_stos##bits(struct cpu *cpu, uint64_t mask)                                        \
    {                                                                                                                  \
        uint64_t di = cpu->gpr[REG_DI] & mask;                                                                         \
        uint8_t *to = single_host(cpu, di, bits / 8, true);                                                            \
        if (UNLIKELY(!to)) {                                                                                           \
            return false;                                                                                              \
        }                                                                                                              \
        host_store##bits(to, (uint##bits##_t)cpu->gpr[REG_AX]);                                                        \
        set_reg64(cpu, REG_DI, (di + flat_step(cpu, bits / 8)) & mask);                                                \
        return true;                                                                                                   \
    }                                                                                                                  \
    static ALWAYS_INLINE bool single_lods##bits(struct cpu *cpu, uint64_t mask)                                        \
    {                                                                                                                  \
        uint64_t si = cpu->gpr[REG_SI] & mask;                                                                         \
        const uint8_t *from = single_host(cpu, si, bits / 8, false);                                                   \
        if (UNLIKELY(!from)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        set_reg##bits(cpu, bits == 8 ? byte_register_offset(REG_AX, false) : REG_AX, host_load##bits(from));           \
        set_reg64(cpu, REG_SI, (si + flat_step(cpu, bits / 8)) & mask);                                                \
        return true;                                                                                                   \
    }
SINGLES(8)
SINGLES(16)
SINGLES(32)
SINGLES(64)
#define single_cmps8(cpu, mask) false
#define single_cmps16(cpu, mask) false
#define single_cmps32(cpu, mask) false
#define single_cmps64(cpu, mask) false
#define single_scas8(cpu, mask) false
#define single_scas16(cpu, mask) false
#define single_scas32(cpu, mask) false
#define single_scas64(cpu, mask) false
#define single_ins8(cpu, mask) false
#define single_ins16(cpu, mask) false
#define single_ins32(cpu, mask) false
#define single_outs8(cpu, mask) false
#define single_outs16(cpu, mask) false
#define single_outs32(cpu, mask) false

/* The work is a function of its own, so that the handler has no locals and ends in a jump. */
#define STRING(name, bits, slice)                                                                                      \
    static NOINLINE enum outcome run_##name##bits(struct cpu *cpu, const struct insn *insn)                            \
    {                                                                                                                  \
        struct run run;                                                                                                \
        bool is_done = false;                                                                                          \
        cpu->current = insn;                                                                                           \
        run_open(cpu, insn, bits / 8, &run);                                                                           \
        if (run.count != 0 && !(slice)) {                                                                              \
            return SLICE_FAULT;                                                                                        \
        }                                                                                                              \
        return run_outcome(&run, is_done);                                                                             \
    }                                                                                                                  \
    static HANDLER(h_##name##bits)                                                                                     \
    {                                                                                                                  \
        if (is_flat_single(cpu, insn) && single_##name##bits(cpu, address_mask(insn))) {                                                 \
            GO_LINK(1 + LINK_SLOTS);                                                                                   \
        }                                                                                                              \
        enum outcome outcome = run_##name##bits(cpu, insn);                                                            \
        if (UNLIKELY(outcome == SLICE_FAULT)) {                                                                        \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        if (outcome == SLICE_AGAIN) {                                                                                  \
            return start_over(cpu, insn);                                                                              \
        }                                                                                                              \
        if (UNLIKELY(cpu->pending)) {                                                                                  \
            return leave_after(cpu, insn);                                                                             \
        }                                                                                                              \
        cpu->current = NULL;                                                                                           \
        GO_LINK(1 + LINK_SLOTS);                                                                                       \
    }
#define STRINGS(name, slice)                                                                                           \
    STRING(name, 8, slice(1))                                                                                          \
    STRING(name, 16, slice(2))                                                                                         \
    STRING(name, 32, slice(4))                                                                                         \
    STRING(name, 64, slice(8))                                                                                         \
    BIND_SIZED8(name)
/* Operands of INS and OUTS are 32 bits at most. */
#define STRINGS_32(name, slice)                                                                                        \
    STRING(name, 8, slice(1))                                                                                          \
    STRING(name, 16, slice(2))                                                                                         \
    STRING(name, 32, slice(4))                                                                                         \
    BIND_SIZED8_32(name)
#define SLICE_MOVS(size) movs_slice(cpu, insn, size, &run)
#define SLICE_STOS(size) stos_slice(cpu, insn, size, &run)
#define SLICE_LODS(size) lods_slice(cpu, insn, size, &run)
#define SLICE_CMPS(size) compare_slice(cpu, insn, size, &run, false, &is_done)
#define SLICE_SCAS(size) compare_slice(cpu, insn, size, &run, true, &is_done)
STRINGS(movs, SLICE_MOVS)
STRINGS(stos, SLICE_STOS)
STRINGS(lods, SLICE_LODS)
STRINGS(cmps, SLICE_CMPS)
STRINGS(scas, SLICE_SCAS)

/* ---- INS and OUTS: an element a slice ---- */

static bool ins_element(struct cpu *cpu, const struct insn *insn, unsigned size, struct run *run)
{
    uint16_t port = reg16(cpu, REG_DX);

    (void)insn;
    if (!control_io_allowed(cpu, port, size) || !segment_probe_write(cpu, SEG_ES, run->di, size)) {
        return false;
    }
    cpu->stats.io_accesses++;
    (void)segment_write(cpu, SEG_ES, run->di, size, debug_port_read(cpu, port, size));
    run_commit(cpu, run, 1, false, true);
    return true;
}
static bool outs_element(struct cpu *cpu, const struct insn *insn, unsigned size, struct run *run)
{
    uint16_t port = reg16(cpu, REG_DX);
    uint64_t value;

    if (!control_io_allowed(cpu, port, size) || !segment_read(cpu, ea_segment(insn), run->si, size, &value)) {
        return false;
    }
    cpu->stats.io_accesses++;
    debug_port_write(cpu, port, size, (uint32_t)value);
    run_commit(cpu, run, 1, true, false);
    return true;
}
#define SLICE_INS(size) ins_element(cpu, insn, size, &run)
#define SLICE_OUTS(size) outs_element(cpu, insn, size, &run)
STRINGS_32(ins, SLICE_INS)
STRINGS_32(outs, SLICE_OUTS)
