/* handler.h - how handlers are written, bound to rows of the instruction table, and dispatched.
 *
 * A handler is `HANDLER(h_name) { ... NEXT(1); }`. It reads its operands from the record, computes, and commits; when a
 * memory access may fault it happens before any register is written. The same text builds in two ways: with tail calls
 * (release) each handler jumps to the next one's; without (TICK86_TAIL_CALLS 0: debug, sanitizers, compilers that
 * cannot) it returns the next record to a loop in run.c.
 *
 * Most instructions are written as a body: `static ALWAYS_INLINE bool b_name(cpu, insn, form)`, which returns false when
 * it could not complete: in the flat forms because the TLB missed (the handler then tail-calls the generic form, which
 * starts over: nothing was changed), in the generic form because of a fault. */
#ifndef CPU_HANDLER_H
#define CPU_HANDLER_H

#include "cpu/cpu.h"
#include "cpu/system.h"

#include <string.h>

#ifndef TICK86_TAIL_CALLS
#define TICK86_TAIL_CALLS 0
#endif

#if defined(__GNUC__)
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#else
#define ALWAYS_INLINE inline
#define NOINLINE
#define LIKELY(x) (x)
#define UNLIKELY(x) (x)
#endif

#if TICK86_TAIL_CALLS && defined(__clang__)
#define TAIL_RETURN __attribute__((musttail)) return
#else
#define TAIL_RETURN return
#endif

#define HANDLER(name) const struct insn *name(struct cpu *cpu, const struct insn *insn)

/* Ends a handler: go on with the record `n` slots further. */
#if TICK86_TAIL_CALLS
#define GO(record)                                                                                                     \
    do {                                                                                                               \
        insn = (record);                                                                                               \
        TAIL_RETURN insn->handler(cpu, insn);                                                                          \
    } while (0)
#define TAIL(handler) TAIL_RETURN handler(cpu, insn)
#else
#define GO(record)                                                                                                     \
    do {                                                                                                               \
        (void)cpu;                                                                                                     \
        insn = (record);                                                                                               \
        return insn;                                                                                                   \
    } while (0)
#define TAIL(handler) return handler(cpu, insn)
#endif
#define NEXT(n) GO(insn + (n))

/* Forms of the memory operand. */
enum form {
    FORM_REG,     /* no memory operand; or a fast stack access on a flat 32-bit stack or in 64-bit code */
    FORM_GENERIC, /* any segment, any address size; every check */
    FORM_BD,      /* flat 32-bit [base + displacement] */
    FORM_BID,     /* flat 32-bit [base + index * scale + displacement] */
    FORM_LBD,     /* the same with 64-bit addresses; base or index may be REG_FS_BASE, REG_GS_BASE, REG_PAGE */
    FORM_LBID,
    FORM_COUNT
};
enum { LIVE, DEAD, LIVENESS_COUNT }; /* are the status flags it writes looked at by anybody? */
enum { BITS8, BITS16, BITS32, BITS64, SIZE_COUNT };

/* What a stem of the instruction table is bound to. NULL: use the LIVE handler for DEAD, the generic form for a flat one. */
struct binding {
    handler_fn *handlers[LIVENESS_COUNT][FORM_COUNT][SIZE_COUNT];
};

/* ---- slots of a block: instructions, and links behind a terminator ---- */

/* Where a terminator goes: `count` instructions are charged for the target block. `target` is the destination's offset
 * from the start of the page, sign-extended, as EIP counts. */
struct link {
    const struct insn *next;
    int32_t count;
    int32_t target;
};
/* Second half of a link that leaves the page: valid while the fetch token is `token` (in the insn slot between) and the
 * source page runs at `source_page_eip`. */
struct cross {
    const struct insn *next;
    uint32_t source_low, source_high;
};
union slot {
    struct insn insn;
    struct link link;
    struct cross cross;
};
/* A link takes three slots: the link, the stub it points to while it is unresolved or leaves the page, the cross data. */
enum { LINK_SLOTS = 3 };

#define LINK_AT(n) ((const struct link *)(const void *)(insn + (n)))

/* Leaves through a link: charge the target block, or stop when the deadline lies in it. */
#define GO_LINK(n)                                                                                                     \
    do {                                                                                                               \
        const struct link *link_ = LINK_AT(n);                                                                         \
        cpu->remaining -= link_->count;                                                                                \
        if (UNLIKELY(cpu->remaining < 0)) {                                                                            \
            return link_exit(cpu, link_);                                                                              \
        }                                                                                                              \
        GO(link_->next);                                                                                               \
    } while (0)

/* Undoes the charge and leaves at the link's target. */
const struct insn *link_exit(struct cpu *cpu, const struct link *link);

/* Leaves the block with cpu->rip already set to the next instruction to execute; the block's instructions have all been
 * executed (a terminator). */
#define LEAVE() return NULL

/* The recorded fault of this instruction is delivered; leaves the block. */
const struct insn *fault_exit(struct cpu *cpu, const struct insn *insn);
const struct insn *fault_exit_here(struct cpu *cpu, const struct insn *insn);
/* Something is pending: leave after this instruction, which is complete. */
const struct insn *leave_after(struct cpu *cpu, const struct insn *insn);
/* Starts this instruction over later: cpu->rip is its own address and it has not retired (REP slices, debug). */
const struct insn *leave_before(struct cpu *cpu, const struct insn *insn);
/* Sets cpu->rip and cpu->next_rip from the record. */
void cpu_sync(struct cpu *cpu, const struct insn *insn);
/* Near jump to `eip` (already masked) after a terminator: through the jump cache. */
static ALWAYS_INLINE const struct jump_entry *jump_look(struct cpu *cpu, uint64_t eip)
{
    return &cpu->jump_cache[((uint32_t)eip ^ (uint32_t)eip >> 14) & (JUMP_ENTRIES - 1)];
}
/* Whether the entry is for `eip`: outside of flat code the base of CS is part of the key. */
static ALWAYS_INLINE bool jump_matches(const struct cpu *cpu, const struct jump_entry *entry, uint64_t eip)
{
    return entry->key == (eip | cpu->jump_key_base) &&
           (entry->token == cpu->fetch_token[0] || entry->token == cpu->fetch_token[1]);
}
/* Continue at `eip` in the same mode. The jump cache's token vouches for the mapping, the privilege and the mode. */
#define GO_EIP(eip_)                                                                                                   \
    do {                                                                                                               \
        uint64_t to_ = (eip_);                                                                                         \
        const struct jump_entry *entry_ = jump_look(cpu, to_);                                                         \
        if (UNLIKELY(!jump_matches(cpu, entry_, to_))) {                                                               \
            cpu->rip = to_;                                                                                            \
            TAIL(h_jump_miss);                                                                                         \
        }                                                                                                              \
        cpu->remaining -= entry_->count;                                                                               \
        if (UNLIKELY(cpu->remaining < 0)) {                                                                            \
            return jump_exit(cpu, entry_);                                                                             \
        }                                                                                                              \
        cpu->gpr[REG_PAGE] = to_ - entry_->page_offset;                                                                     \
        GO(entry_->next);                                                                                              \
    } while (0)
/* The same with an entry that has been found to match. */
#define GO_ENTRY(entry_, eip_)                                                                                         \
    do {                                                                                                               \
        cpu->remaining -= (entry_)->count;                                                                             \
        if (UNLIKELY(cpu->remaining < 0)) {                                                                            \
            return jump_exit(cpu, entry_);                                                                             \
        }                                                                                                              \
        cpu->gpr[REG_PAGE] = (eip_) - (entry_)->page_offset;                                                           \
        GO((entry_)->next);                                                                                            \
    } while (0)
HANDLER(h_jump_miss);
/* MOV r64, imm64 in two slots (int_move.c.inc), for the block builder. */
HANDLER(h_mov_rq);
const struct insn *jump_exit(struct cpu *cpu, const struct jump_entry *entry);

/* End of a generic-form handler: memory-mapped registers, code overwritten or a debug trap may ask us to stop. */
#define NEXT_SLOW(n)                                                                                                   \
    do {                                                                                                               \
        if (UNLIKELY(cpu->pending)) {                                                                                  \
            return leave_after(cpu, insn);                                                                             \
        }                                                                                                              \
        NEXT(n);                                                                                                       \
    } while (0)

/* ---- host memory, little-endian ---- */

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define HOST_IS_BIG_ENDIAN 1
#else
#define HOST_IS_BIG_ENDIAN 0
#endif

static ALWAYS_INLINE uint64_t swap64(uint64_t v, unsigned size)
{
    uint64_t r = 0;
    for (unsigned k = 0; k < size; k++) {
        r |= ((v >> (8 * k)) & 0xff) << (8 * (size - 1 - k));
    }
    return r;
}

#define HOST_ACCESS(bits)                                                                                              \
    static ALWAYS_INLINE uint##bits##_t host_load##bits(const void *at)                                                \
    {                                                                                                                  \
        uint##bits##_t value;                                                                                          \
        memcpy(&value, at, sizeof value);                                                                              \
        return HOST_IS_BIG_ENDIAN ? (uint##bits##_t)swap64(value, sizeof value) : value;                               \
    }                                                                                                                  \
    static ALWAYS_INLINE void host_store##bits(void *at, uint##bits##_t value)                                         \
    {                                                                                                                  \
        uint##bits##_t stored = HOST_IS_BIG_ENDIAN ? (uint##bits##_t)swap64(value, sizeof value) : value;              \
        memcpy(at, &stored, sizeof stored);                                                                            \
    }
HOST_ACCESS(8)
HOST_ACCESS(16)
HOST_ACCESS(32)
HOST_ACCESS(64)

/* ---- registers by record field ---- */

static ALWAYS_INLINE uint8_t reg8(const struct cpu *cpu, unsigned offset)
{
    return ((const uint8_t *)cpu->gpr)[offset];
}
static ALWAYS_INLINE void set_reg8(struct cpu *cpu, unsigned offset, uint8_t value)
{
    ((uint8_t *)cpu->gpr)[offset] = value;
}
static ALWAYS_INLINE uint16_t reg16(const struct cpu *cpu, unsigned reg) { return (uint16_t)cpu->gpr[reg]; }
static ALWAYS_INLINE void set_reg16(struct cpu *cpu, unsigned reg, uint16_t value)
{
    memcpy((uint8_t *)&cpu->gpr[reg] + (HOST_IS_BIG_ENDIAN ? 6 : 0), &value, sizeof value);
}
static ALWAYS_INLINE uint32_t reg32(const struct cpu *cpu, unsigned reg) { return (uint32_t)cpu->gpr[reg]; }
static ALWAYS_INLINE void set_reg32(struct cpu *cpu, unsigned reg, uint32_t value) { cpu->gpr[reg] = value; }
static ALWAYS_INLINE uint64_t reg64(const struct cpu *cpu, unsigned reg) { return cpu->gpr[reg]; }
static ALWAYS_INLINE void set_reg64(struct cpu *cpu, unsigned reg, uint64_t value) { cpu->gpr[reg] = value; }

/* ---- guest memory ---- */

static ALWAYS_INLINE uint32_t ea_flat(const struct cpu *cpu, const struct insn *insn, enum form form)
{
    uint32_t ea = reg32(cpu, insn->r2) + insn->d;

    if (form == FORM_BID) {
        ea += reg32(cpu, insn->r3) << (insn->sc & 3);
    }
    return ea;
}
/* A displacement or immediate of 32 bits, sign-extended as 64-bit operands have it. */
static ALWAYS_INLINE uint64_t wide(uint32_t d) { return (uint64_t)(int64_t)(int32_t)d; }
static ALWAYS_INLINE uint64_t ea_long(const struct cpu *cpu, const struct insn *insn, enum form form)
{
    uint64_t ea = cpu->gpr[insn->r2] + wide(insn->d);

    if (form == FORM_LBID) {
        ea += cpu->gpr[insn->r3] << (insn->sc & 3);
    }
    return ea;
}
static ALWAYS_INLINE bool form_is_long(enum form form) { return form == FORM_LBD || form == FORM_LBID; }

/* Immediates by operand size. */
static ALWAYS_INLINE uint8_t imm8(uint32_t d) { return (uint8_t)d; }
static ALWAYS_INLINE uint16_t imm16(uint32_t d) { return (uint16_t)d; }
static ALWAYS_INLINE uint32_t imm32(uint32_t d) { return d; }
static ALWAYS_INLINE uint64_t imm64(uint32_t d) { return wide(d); }

/* Offset of a generic memory operand, masked to its address size. */
uint64_t ea_generic(const struct cpu *cpu, const struct insn *insn);
static inline enum segment_index ea_segment(const struct insn *insn)
{
    return (enum segment_index)((insn->sc >> 2) & 7);
}

/* Mask of the address size: 16, 32 or 64 bits (3: a 64-bit absolute address, see ea_generic). */
static ALWAYS_INLINE uint64_t address_mask(const struct insn *insn)
{
    unsigned size = insn->sc >> 5 & 3;

    return size == 0 ? 0xffff : size == 1 ? 0xffffffffu : ~UINT64_C(0);
}
/* Mask of the stack pointer, and the stack pointer set under it. */
static inline uint64_t stack_mask(const struct cpu *cpu)
{
    return cpu->mode & MODE_CODE64 ? ~UINT64_C(0) : cpu->seg[SEG_SS].attributes & ATTR_DB ? 0xffffffffu : 0xffff;
}
static inline void stack_set(struct cpu *cpu, uint64_t value)
{
    uint64_t mask = stack_mask(cpu);

    if (mask == 0xffff) {
        set_reg16(cpu, REG_SP, (uint16_t)value);
    } else {
        cpu->gpr[REG_SP] = value & mask;
    }
}

bool generic_read(struct cpu *cpu, const struct insn *insn, unsigned size, uint64_t *value);
bool generic_write(struct cpu *cpu, const struct insn *insn, unsigned size, uint64_t value);
/* Read for modification: the write that follows (generic_write) cannot fault. */
bool generic_read_modify(struct cpu *cpu, const struct insn *insn, unsigned size, uint64_t *value);
/* Pushes and pops through SS with every check; `size` is 2, 4 or 8. stack_pop commits SP on success. */
bool stack_push(struct cpu *cpu, const struct insn *insn, unsigned size, uint64_t value);
bool stack_pop(struct cpu *cpu, const struct insn *insn, unsigned size, uint64_t *value);

static ALWAYS_INLINE const struct tlb_entry *tlb_at(const struct cpu *cpu, uint64_t linear)
{
    return (const struct tlb_entry *)(const void *)((const char *)cpu->tlb +
                                                     ((linear >> (GUEST_PAGE_SHIFT - 5)) & ((TLB_ENTRIES - 1) << 5)));
}
/* What the tag of an entry equals when `size` bytes at the address lie on its page. */
static ALWAYS_INLINE uint64_t tag_of32(uint32_t ea, unsigned size) { return (ea + (size - 1)) & ~(GUEST_PAGE_SIZE - 1); }
static ALWAYS_INLINE uint64_t tag_of64(uint64_t ea, unsigned size)
{
    return (ea + (size - 1)) & ~(uint64_t)(GUEST_PAGE_SIZE - 1);
}
/* Host address of an operand in a flat form; NULL when the TLB does not have it. */
static ALWAYS_INLINE uint8_t *flat_host(struct cpu *cpu, const struct insn *insn, enum form form, unsigned size,
                                        bool writes)
{
    if (form_is_long(form)) {
        uint64_t ea = ea_long(cpu, insn, form);
        const struct tlb_entry *entry = tlb_at(cpu, ea);
        return LIKELY((writes ? entry->write_tag : entry->read_tag) == tag_of64(ea, size))
                   ? (uint8_t *)(entry->addend + (uintptr_t)ea)
                   : NULL;
    }
    uint32_t ea = ea_flat(cpu, insn, form);
    const struct tlb_entry *entry = tlb_at(cpu, ea);
    return LIKELY((writes ? entry->write_tag : entry->read_tag) == tag_of32(ea, size)) ? (uint8_t *)(entry->addend + ea)
                                                                                       : NULL;
}

/* A read-modify-write in progress: where the flat forms will store. */
struct rmw {
    uint8_t *host;
};

#define GUEST_ACCESS(bits)                                                                                             \
    static ALWAYS_INLINE bool load##bits(struct cpu *cpu, const struct insn *insn, enum form form,                     \
                                         uint##bits##_t *value)                                                        \
    {                                                                                                                  \
        if (form == FORM_GENERIC) {                                                                                    \
            uint64_t wide;                                                                                             \
            if (!generic_read(cpu, insn, bits / 8, &wide)) {                                                           \
                return false;                                                                                          \
            }                                                                                                          \
            *value = (uint##bits##_t)wide;                                                                             \
            return true;                                                                                               \
        }                                                                                                              \
        const uint8_t *host = flat_host(cpu, insn, form, bits / 8, false);                                             \
        if (UNLIKELY(!host)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        *value = host_load##bits(host);                                                                                \
        return true;                                                                                                   \
    }                                                                                                                  \
    static ALWAYS_INLINE bool store##bits(struct cpu *cpu, const struct insn *insn, enum form form,                    \
                                          uint##bits##_t value)                                                        \
    {                                                                                                                  \
        if (form == FORM_GENERIC) {                                                                                    \
            return generic_write(cpu, insn, bits / 8, value);                                                          \
        }                                                                                                              \
        uint8_t *host = flat_host(cpu, insn, form, bits / 8, true);                                                    \
        if (UNLIKELY(!host)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        host_store##bits(host, value);                                                                                 \
        return true;                                                                                                   \
    }                                                                                                                  \
    static ALWAYS_INLINE bool rmw_load##bits(struct cpu *cpu, const struct insn *insn, enum form form,                 \
                                             struct rmw *rmw, uint##bits##_t *value)                                   \
    {                                                                                                                  \
        if (form == FORM_GENERIC) {                                                                                    \
            uint64_t wide;                                                                                             \
            rmw->host = NULL;                                                                                          \
            if (!generic_read_modify(cpu, insn, bits / 8, &wide)) {                                                    \
                return false;                                                                                          \
            }                                                                                                          \
            *value = (uint##bits##_t)wide;                                                                             \
            return true;                                                                                               \
        }                                                                                                              \
        rmw->host = flat_host(cpu, insn, form, bits / 8, true);                                                        \
        if (UNLIKELY(!rmw->host)) {                                                                                    \
            return false;                                                                                              \
        }                                                                                                              \
        *value = host_load##bits(rmw->host);                                                                           \
        return true;                                                                                                   \
    }                                                                                                                  \
    static ALWAYS_INLINE void rmw_store##bits(struct cpu *cpu, const struct insn *insn, enum form form,                \
                                              const struct rmw *rmw, uint##bits##_t value)                             \
    {                                                                                                                  \
        if (form == FORM_GENERIC) {                                                                                    \
            (void)generic_write(cpu, insn, bits / 8, value);                                                           \
        } else {                                                                                                       \
            host_store##bits(rmw->host, value);                                                                        \
        }                                                                                                              \
    }
GUEST_ACCESS(8)
GUEST_ACCESS(16)
GUEST_ACCESS(32)
GUEST_ACCESS(64)

/* ---- handlers from bodies ----
 *
 * A step is what a handler does without its last jump, so that the sequences of sequences.def can be put together from
 * steps: s_NAME does it and returns false, with nothing changed, where the fast way does not serve; c_NAME then takes the
 * exact way from the same record; n_NAME is the number of slots to go on. Ends of blocks are written as t_NAME, which does
 * the whole and goes on. h_NAME is the handler that does nothing else. */
#if defined(__GNUC__)
#define PERHAPS_UNUSED __attribute__((unused))
#else
#define PERHAPS_UNUSED
#endif

/* A step without memory operand that cannot fail: `STEP(name) { ... return true; } STEP_HANDLER(name)`. */
#define STEP(name)                                                                                                     \
    PERHAPS_UNUSED static ALWAYS_INLINE bool s_##name(struct cpu *cpu PERHAPS_UNUSED,                                  \
                                                      const struct insn *insn PERHAPS_UNUSED)
#define STEP_HANDLER(name)                                                                                             \
    enum { n_##name = 1 };                                                                                             \
    PERHAPS_UNUSED static ALWAYS_INLINE HANDLER(c_##name) { NEXT(1); }                                                 \
    static HANDLER(h_##name)                                                                                           \
    {                                                                                                                  \
        (void)s_##name(cpu, insn);                                                                                     \
        NEXT(1);                                                                                                       \
    }
/* A step that may fail, and the handler that then does it. */
#define STEP_HANDLER_OR(name, slots, exact)                                                                            \
    enum { n_##name = (slots) };                                                                                       \
    PERHAPS_UNUSED static ALWAYS_INLINE HANDLER(c_##name) { TAIL(exact); }                                             \
    static HANDLER(h_##name)                                                                                           \
    {                                                                                                                  \
        if (UNLIKELY(!s_##name(cpu, insn))) {                                                                          \
            TAIL(exact);                                                                                               \
        }                                                                                                              \
        NEXT(slots);                                                                                                   \
    }
/* The end of a block: `END(name) { ... GO_LINK(1); } END_HANDLER(name)`. */
#define END(name) PERHAPS_UNUSED static ALWAYS_INLINE HANDLER(t_##name)
#define END_HANDLER(name)                                                                                              \
    static HANDLER(h_##name) { TAIL(t_##name); }

/* A body with a memory operand: h_name_m generic, h_name_bd, h_name_bid, h_name_lbd and h_name_lbid flat. `slots` counts an extension slot. */
#define MEMORY_FLAT(name, suffix, form, slots)                                                                         \
    STEP(name##_##suffix) { return b_##name(cpu, insn, form); }                                                        \
    STEP_HANDLER_OR(name##_##suffix, slots, h_##name##_m)
#define MEMORY(name, slots)                                                                                            \
    static NOINLINE HANDLER(h_##name##_m)                                                                              \
    {                                                                                                                  \
        if (UNLIKELY(!b_##name(cpu, insn, FORM_GENERIC))) {                                                            \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        NEXT_SLOW(slots);                                                                                              \
    }                                                                                                                  \
    MEMORY_FLAT(name, bd, FORM_BD, slots)                                                                              \
    MEMORY_FLAT(name, bid, FORM_BID, slots)                                                                            \
    MEMORY_FLAT(name, lbd, FORM_LBD, slots)                                                                            \
    MEMORY_FLAT(name, lbid, FORM_LBID, slots)
/* The same by operand size: with 64-bit operands there are only long addresses. */
#define MEMORY_8 MEMORY
#define MEMORY_16 MEMORY
#define MEMORY_32 MEMORY
#define MEMORY_64(name, slots)                                                                                         \
    static NOINLINE HANDLER(h_##name##_m)                                                                              \
    {                                                                                                                  \
        if (UNLIKELY(!b_##name(cpu, insn, FORM_GENERIC))) {                                                            \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        NEXT_SLOW(slots);                                                                                              \
    }                                                                                                                  \
    MEMORY_FLAT(name, lbd, FORM_LBD, slots)                                                                            \
    MEMORY_FLAT(name, lbid, FORM_LBID, slots)
/* A body that may fault and always takes the exact way (FORM_GENERIC). */
#define SLOW(name)                                                                                                     \
    static HANDLER(h_##name)                                                                                           \
    {                                                                                                                  \
        if (UNLIKELY(!b_##name(cpu, insn))) {                                                                          \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        NEXT_SLOW(1);                                                                                                  \
    }

#endif
