/* int_move.c - data transfer: MOV MOVZX MOVSX LEA XCHG XLAT CMOVcc SETcc BSWAP CBW CWD, flag transfers, and the stack.
 *
 * SDM vol. 2, the instructions' pages. PUSH and POP have a fast form for flat 32-bit stacks, which turns to the generic
 * one when the TLB misses. */
#include "cpu/bind.h"
#include "cpu/flags.h"

#define MOV(bits)                                                                                                      \
    static HANDLER(h_mov_rr##bits)                                                                                     \
    {                                                                                                                  \
        set_reg##bits(cpu, insn->r1, reg##bits(cpu, insn->r2));                                                        \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static HANDLER(h_mov_ri##bits)                                                                                     \
    {                                                                                                                  \
        set_reg##bits(cpu, insn->r1, (uint##bits##_t)insn->d);                                                         \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static ALWAYS_INLINE bool b_mov_rm##bits(struct cpu *cpu, const struct insn *insn, enum form form)                 \
    {                                                                                                                  \
        uint##bits##_t value;                                                                                          \
        if (!load##bits(cpu, insn, form, &value)) {                                                                    \
            return false;                                                                                              \
        }                                                                                                              \
        set_reg##bits(cpu, insn->r1, value);                                                                           \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY(mov_rm##bits, 1)                                                                                            \
    static ALWAYS_INLINE bool b_mov_mr##bits(struct cpu *cpu, const struct insn *insn, enum form form)                 \
    {                                                                                                                  \
        return store##bits(cpu, insn, form, reg##bits(cpu, insn->r1));                                                 \
    }                                                                                                                  \
    MEMORY(mov_mr##bits, 1)                                                                                            \
    static ALWAYS_INLINE bool b_mov_mi##bits(struct cpu *cpu, const struct insn *insn, enum form form)                 \
    {                                                                                                                  \
        return store##bits(cpu, insn, form, (uint##bits##_t)insn[1].d);                                                \
    }                                                                                                                  \
    MEMORY(mov_mi##bits, 2)                                                                                            \
    static HANDLER(h_xchg_rr##bits)                                                                                    \
    {                                                                                                                  \
        uint##bits##_t old = reg##bits(cpu, insn->r1);                                                                 \
        set_reg##bits(cpu, insn->r1, reg##bits(cpu, insn->r2));                                                        \
        set_reg##bits(cpu, insn->r2, old);                                                                             \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static ALWAYS_INLINE bool b_xchg_mr##bits(struct cpu *cpu, const struct insn *insn, enum form form)                \
    {                                                                                                                  \
        struct rmw rmw;                                                                                                \
        uint##bits##_t value, old = reg##bits(cpu, insn->r1);                                                          \
        if (!rmw_load##bits(cpu, insn, form, &rmw, &value)) {                                                          \
            return false;                                                                                              \
        }                                                                                                              \
        rmw_store##bits(cpu, insn, form, &rmw, old);                                                                   \
        set_reg##bits(cpu, insn->r1, value);                                                                           \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY(xchg_mr##bits, 1)
MOV(8)
MOV(16)
MOV(32)
BIND_RM(mov_g_e, mov_rr, mov_rm)
BIND_RM(mov_e_g, mov_rr, mov_mr)
BIND_RM(mov_e_i, mov_ri, mov_mi)
BIND_RM(xchg_e_g, xchg_rr, xchg_mr)

/* MOVZX, MOVSX: destination 16 or 32 bits, source 8 or 16. */
#define EXTEND(name, letter, from, to, type)                                                                           \
    static HANDLER(h_##name##_##letter##_rr##to)                                                                       \
    {                                                                                                                  \
        set_reg##to(cpu, insn->r1, (uint##to##_t)(type)reg##from(cpu, insn->r2));                                      \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static ALWAYS_INLINE bool b_##name##_##letter##to(struct cpu *cpu, const struct insn *insn, enum form form)        \
    {                                                                                                                  \
        uint##from##_t value;                                                                                          \
        if (!load##from(cpu, insn, form, &value)) {                                                                    \
            return false;                                                                                              \
        }                                                                                                              \
        set_reg##to(cpu, insn->r1, (uint##to##_t)(type)value);                                                         \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY(name##_##letter##to, 1)
EXTEND(movzx, b, 8, 16, uint8_t)
EXTEND(movzx, b, 8, 32, uint8_t)
EXTEND(movzx, w, 16, 16, uint16_t)
EXTEND(movzx, w, 16, 32, uint16_t)
EXTEND(movsx, b, 8, 16, int8_t)
EXTEND(movsx, b, 8, 32, int8_t)
EXTEND(movsx, w, 16, 16, int16_t)
EXTEND(movsx, w, 16, 32, int16_t)
BIND_RM_V(movzx_b, movzx_b_rr, movzx_b)
BIND_RM_V(movzx_w, movzx_w_rr, movzx_w)
BIND_RM_V(movsx_b, movsx_b_rr, movsx_b)
BIND_RM_V(movsx_w, movsx_w_rr, movsx_w)

/* LEA: the forms differ in address size and in whether there is an index; segments do not matter. */
static HANDLER(h_lea_bd32)
{
    set_reg32(cpu, insn->r1, ea_flat(cpu, insn, FORM_BD));
    NEXT(1);
}
static HANDLER(h_lea_bid32)
{
    set_reg32(cpu, insn->r1, ea_flat(cpu, insn, FORM_BID));
    NEXT(1);
}
static HANDLER(h_lea_m32)
{
    set_reg32(cpu, insn->r1, (uint32_t)ea_generic(cpu, insn));
    NEXT(1);
}
static HANDLER(h_lea_m16)
{
    set_reg16(cpu, insn->r1, (uint16_t)ea_generic(cpu, insn));
    NEXT(1);
}
extern const struct binding bind_lea;
const struct binding bind_lea = { { [LIVE] = { [FORM_GENERIC] = { NULL, h_lea_m16, h_lea_m32, NULL },
                                               [FORM_BD] = { NULL, h_lea_m16, h_lea_bd32, NULL },
                                               [FORM_BID] = { NULL, h_lea_m16, h_lea_bid32, NULL } } } };

static HANDLER(h_xlat)
{
    uint32_t offset = reg32(cpu, REG_BX) + (uint8_t)cpu->gpr[REG_AX];
    

    cpu->current = insn;
    if ((insn->sc >> 5 & 3) == 0) {
        offset &= 0xffff;
    }
    if (!segment_read(cpu, ea_segment(insn), offset, 1, &cpu->operand[0])) {
        return fault_exit(cpu, insn);
    }
    cpu->gpr[REG_AX] = (cpu->gpr[REG_AX] & ~UINT64_C(0xff)) | (uint8_t)cpu->operand[0];
    NEXT_SLOW(1);
}
BIND_ONE(xlat, h_xlat)

/* CMOVcc reads its operand whether or not the condition holds; the memory access may fault. */
#define CMOV(name, cc, bits)                                                                                           \
    static HANDLER(h_##name##_rr##bits)                                                                                \
    {                                                                                                                  \
        if (condition(cpu, cc)) {                                                                                      \
            set_reg##bits(cpu, insn->r1, reg##bits(cpu, insn->r2));                                                    \
        }                                                                                                              \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static ALWAYS_INLINE bool b_##name##bits(struct cpu *cpu, const struct insn *insn, enum form form)                 \
    {                                                                                                                  \
        uint##bits##_t value;                                                                                          \
        if (!load##bits(cpu, insn, form, &value)) {                                                                    \
            return false;                                                                                              \
        }                                                                                                              \
        if (condition(cpu, cc)) {                                                                                      \
            set_reg##bits(cpu, insn->r1, value);                                                                       \
        }                                                                                                              \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY(name##bits, 1)
#define CONDITIONAL(suffix, cc)                                                                                        \
    CMOV(cmov##suffix, cc, 16)                                                                                         \
    CMOV(cmov##suffix, cc, 32)                                                                                         \
    BIND_RM_V(cmov##suffix, cmov##suffix##_rr, cmov##suffix)                                                           \
    static HANDLER(h_set##suffix##_r)                                                                                  \
    {                                                                                                                  \
        set_reg8(cpu, insn->r1, condition(cpu, cc));                                                                   \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static ALWAYS_INLINE bool b_set##suffix(struct cpu *cpu, const struct insn *insn, enum form form)                  \
    {                                                                                                                  \
        return store8(cpu, insn, form, condition(cpu, cc));                                                            \
    }                                                                                                                  \
    MEMORY(set##suffix, 1)                                                                                             \
    extern const struct binding bind_set##suffix;                                                                      \
    const struct binding bind_set##suffix = { { [LIVE] = { [FORM_REG] = { h_set##suffix##_r },                         \
                                                           [FORM_GENERIC] = { h_set##suffix##_m },                     \
                                                           [FORM_BD] = { h_set##suffix##_bd },                         \
                                                           [FORM_BID] = { h_set##suffix##_bid } } } };
CONDITIONAL(o, 0)
CONDITIONAL(no, 1)
CONDITIONAL(b, 2)
CONDITIONAL(ae, 3)
CONDITIONAL(e, 4)
CONDITIONAL(ne, 5)
CONDITIONAL(be, 6)
CONDITIONAL(a, 7)
CONDITIONAL(s, 8)
CONDITIONAL(ns, 9)
CONDITIONAL(p, 10)
CONDITIONAL(np, 11)
CONDITIONAL(l, 12)
CONDITIONAL(ge, 13)
CONDITIONAL(le, 14)
CONDITIONAL(g, 15)

static HANDLER(h_bswap32)
{
    uint32_t v = reg32(cpu, insn->r1);

    set_reg32(cpu, insn->r1, v >> 24 | (v >> 8 & 0xff00) | (v << 8 & 0xff0000) | v << 24);
    NEXT(1);
}
/* BSWAP of a 16-bit register is undefined in the SDM; processors clear it. */
static HANDLER(h_bswap16)
{
    set_reg16(cpu, insn->r1, 0);
    NEXT(1);
}
BIND_SIZED(bswap)

static HANDLER(h_cbw16)
{
    set_reg16(cpu, REG_AX, (uint16_t)(int8_t)cpu->gpr[REG_AX]);
    NEXT(1);
}
static HANDLER(h_cbw32)
{
    set_reg32(cpu, REG_AX, (uint32_t)(int16_t)cpu->gpr[REG_AX]);
    NEXT(1);
}
BIND_SIZED(cbw)
static HANDLER(h_cwd16)
{
    set_reg16(cpu, REG_DX, reg16(cpu, REG_AX) & 0x8000 ? 0xffff : 0);
    NEXT(1);
}
static HANDLER(h_cwd32)
{
    set_reg32(cpu, REG_DX, reg32(cpu, REG_AX) & 0x80000000u ? 0xffffffffu : 0);
    NEXT(1);
}
BIND_SIZED(cwd)

static HANDLER(h_nop)
{
    NEXT(1);
}
BIND_ONE(nop, h_nop)
/* The multi-byte NOP reads nothing. */
extern const struct binding bind_nop_e;
const struct binding bind_nop_e = { { [LIVE] = { [FORM_REG] = ALL_SIZES(h_nop), [FORM_GENERIC] = ALL_SIZES(h_nop) } } };

/* ---- flags ---- */

static HANDLER(h_lahf)
{
    uint32_t flags = flags_gather(cpu) & ~FLAG_OF;

    cpu->gpr[REG_AX] = (cpu->gpr[REG_AX] & ~UINT64_C(0xff00)) | (flags | FLAG_1) << 8;
    NEXT(1);
}
BIND_ONE(lahf, h_lahf)
static HANDLER(h_sahf)
{
    flags_scatter(cpu, (flags_gather(cpu) & FLAG_OF) | ((uint32_t)(cpu->gpr[REG_AX] >> 8) & 0xd5));
    NEXT(1);
}
BIND_ONE(sahf, h_sahf)
static HANDLER(h_clc)
{
    flags_set_c(cpu, false);
    NEXT(1);
}
BIND_ONE(clc, h_clc)
static HANDLER(h_stc)
{
    flags_set_c(cpu, true);
    NEXT(1);
}
BIND_ONE(stc, h_stc)
static HANDLER(h_cmc)
{
    flags_set_c(cpu, !flag_c(cpu));
    NEXT(1);
}
BIND_ONE(cmc, h_cmc)
static HANDLER(h_cld)
{
    cpu->eflags &= ~FLAG_DF;
    NEXT(1);
}
BIND_ONE(cld, h_cld)
static HANDLER(h_std)
{
    cpu->eflags |= FLAG_DF;
    NEXT(1);
}
BIND_ONE(std, h_std)
static HANDLER(h_salc)
{
    cpu->gpr[REG_AX] = (cpu->gpr[REG_AX] & ~UINT64_C(0xff)) | (flag_c(cpu) ? 0xff : 0);
    NEXT(1);
}
BIND_ONE(salc, h_salc)

/* ---- stack ---- */

/* Fast push and pop on a flat 32-bit stack: false when the TLB does not have the page. */
static ALWAYS_INLINE bool flat_push32(struct cpu *cpu, uint32_t value)
{
    uint32_t ea = reg32(cpu, REG_SP) - 4;
    const struct tlb_entry *entry = tlb_at(cpu, ea);

    if (UNLIKELY(entry->write_tag != ((ea + 3) & ~(GUEST_PAGE_SIZE - 1)))) {
        return false;
    }
    host_store32((uint8_t *)(entry->addend + ea), value);
    set_reg32(cpu, REG_SP, ea);
    return true;
}
static ALWAYS_INLINE bool flat_pop32(struct cpu *cpu, uint32_t *value)
{
    uint32_t ea = reg32(cpu, REG_SP);
    const struct tlb_entry *entry = tlb_at(cpu, ea);

    if (UNLIKELY(entry->read_tag != ((ea + 3) & ~(GUEST_PAGE_SIZE - 1)))) {
        return false;
    }
    *value = host_load32((const uint8_t *)(entry->addend + ea));
    set_reg32(cpu, REG_SP, ea + 4);
    return true;
}

/* A push of `value` in both widths and both ways. */
#define PUSH(name, value)                                                                                              \
    static NOINLINE HANDLER(h_##name##32_m)                                                                            \
    {                                                                                                                  \
        if (!stack_push(cpu, insn, 4, (uint32_t)(value))) {                                                            \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        NEXT_SLOW(1);                                                                                                  \
    }                                                                                                                  \
    static HANDLER(h_##name##16_m)                                                                                     \
    {                                                                                                                  \
        if (!stack_push(cpu, insn, 2, (uint16_t)(value))) {                                                            \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        NEXT_SLOW(1);                                                                                                  \
    }                                                                                                                  \
    static HANDLER(h_##name##32_flat)                                                                                  \
    {                                                                                                                  \
        if (UNLIKELY(!flat_push32(cpu, (uint32_t)(value)))) {                                                          \
            TAIL(h_##name##32_m);                                                                                      \
        }                                                                                                              \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    extern const struct binding bind_##name;                                                                           \
    const struct binding bind_##name = {                                                                               \
        { [LIVE] = { [FORM_REG] = { NULL, h_##name##16_m, h_##name##32_flat, NULL },                                   \
                     [FORM_GENERIC] = { NULL, h_##name##16_m, h_##name##32_m, NULL } } }                               \
    };
PUSH(push_z, cpu->gpr[insn->r1])
PUSH(push_i, insn->d)

/* PUSH of a segment register with 32-bit operands writes only the low word (SDM vol. 2B, PUSH: recent processors). */
static HANDLER(h_push_sreg32)
{
    uint32_t mask = cpu->seg[SEG_SS].attributes & ATTR_DB ? 0xffffffffu : 0xffff;
    uint32_t offset = (reg32(cpu, REG_SP) - 4) & mask;

    cpu->current = insn;
    if (!segment_write(cpu, SEG_SS, offset, 2, cpu->seg[insn->r1].selector)) {
        return fault_exit(cpu, insn);
    }
    if (mask == 0xffff) {
        set_reg16(cpu, REG_SP, (uint16_t)offset);
    } else {
        set_reg32(cpu, REG_SP, offset);
    }
    NEXT_SLOW(1);
}
static HANDLER(h_push_sreg16)
{
    if (!stack_push(cpu, insn, 2, cpu->seg[insn->r1].selector)) {
        return fault_exit(cpu, insn);
    }
    NEXT_SLOW(1);
}
BIND_SIZED(push_sreg)

/* A load of SS holds off interrupts until the next instruction is done (SDM vol. 3, 6.8.3). */
static HANDLER(leave_in_shadow)
{
    cpu_sync(cpu, insn);
    cpu->rip = cpu->next_rip;
    cpu->current = NULL;
    cpu->shadow_icount = cpu_icount(cpu);
    cpu->shadow_is_mov_ss = true;
    return NULL;
}

/* After a segment register changed: on in the same mode, or out to the dispatcher. */
#define AFTER_SEGMENT_LOAD(mode_before, slots, seg)                                                                    \
    do {                                                                                                               \
        if ((seg) == SEG_SS) {                                                                                         \
            return leave_in_shadow(cpu, insn);                                                                         \
        }                                                                                                              \
        if (cpu->mode != (mode_before) || cpu->pending) {                                                              \
            return leave_after(cpu, insn);                                                                             \
        }                                                                                                              \
        cpu->current = NULL;                                                                                           \
        GO_LINK((slots) + LINK_SLOTS);                                                                                 \
    } while (0)

/* SP as it was, for instructions that pop and then fault. */
#define POP_SREG(bits)                                                                                                 \
    static HANDLER(h_pop_sreg##bits)                                                                                   \
    {                                                                                                                  \
        uint64_t old_sp = cpu->gpr[REG_SP];                                                                     \
        unsigned mode = cpu->mode, seg = insn->r1;                                                                     \
        cpu_sync(cpu, insn);                                                                                           \
        if (!stack_pop(cpu, insn, bits / 8, &cpu->operand[0])) {                                                                 \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        if (!segment_load(cpu, (enum segment_index)seg, (uint16_t)cpu->operand[0])) {                                            \
            cpu->gpr[REG_SP] = old_sp;                                                                                 \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        AFTER_SEGMENT_LOAD(mode, 1, seg);                                                                              \
    }
POP_SREG(16)
POP_SREG(32)
BIND_SIZED(pop_sreg)

static HANDLER(h_mov_sreg_r)
{
    unsigned mode = cpu->mode, seg = insn->r1;

    cpu_sync(cpu, insn);
    if (!segment_load(cpu, (enum segment_index)seg, reg16(cpu, insn->r2))) {
        return fault_exit(cpu, insn);
    }
    AFTER_SEGMENT_LOAD(mode, 1, seg);
}
static HANDLER(h_mov_sreg_m)
{
    unsigned mode = cpu->mode, seg = insn->r1;
    

    cpu_sync(cpu, insn);
    if (!generic_read(cpu, insn, 2, &cpu->operand[0]) || !segment_load(cpu, (enum segment_index)seg, (uint16_t)cpu->operand[0])) {
        return fault_exit(cpu, insn);
    }
    AFTER_SEGMENT_LOAD(mode, 1, seg);
}
extern const struct binding bind_mov_sreg_e;
const struct binding bind_mov_sreg_e = { { [LIVE] = { [FORM_REG] = ALL_SIZES(h_mov_sreg_r),
                                                      [FORM_GENERIC] = ALL_SIZES(h_mov_sreg_m) } } };

/* MOV r, Sreg: zero-extended to 32 bits in a register, a word in memory. In register form r1 is the general register. */
static HANDLER(h_mov_r_sreg32)
{
    set_reg32(cpu, insn->r1, cpu->seg[insn->r2].selector);
    NEXT(1);
}
static HANDLER(h_mov_r_sreg16)
{
    set_reg16(cpu, insn->r1, cpu->seg[insn->r2].selector);
    NEXT(1);
}
static HANDLER(h_mov_m_sreg)
{
    if (!generic_write(cpu, insn, 2, cpu->seg[insn->r1].selector)) {
        return fault_exit(cpu, insn);
    }
    NEXT_SLOW(1);
}
extern const struct binding bind_mov_e_sreg;
const struct binding bind_mov_e_sreg = { { [LIVE] = { [FORM_REG] = SIZES_V(mov_r_sreg),
                                                      [FORM_GENERIC] = ALL_SIZES(h_mov_m_sreg) } } };

#define LOAD_FAR_POINTER(name, seg_, bits)                                                                             \
    static HANDLER(h_##name##bits)                                                                                     \
    {                                                                                                                  \
        uint64_t ea = ea_generic(cpu, insn);                                                                           \
        uint64_t mask = (insn->sc >> 5 & 3) == 0 ? 0xffff : 0xffffffffu;                                               \
        unsigned mode = cpu->mode;                                                                                     \
        cpu_sync(cpu, insn);                                                                                           \
        if (!segment_read(cpu, ea_segment(insn), ea, bits / 8, &cpu->operand[1]) ||                                    \
            !segment_read(cpu, ea_segment(insn), (ea + bits / 8) & mask, 2, &cpu->operand[0]) ||                       \
            !segment_load(cpu, seg_, (uint16_t)cpu->operand[0])) {                                                     \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        set_reg##bits(cpu, insn->r1, (uint##bits##_t)cpu->operand[1]);                                                 \
        AFTER_SEGMENT_LOAD(mode, 1, SEG_ES); /* LSS gives no shadow */                                                 \
    }
#define LOAD_FAR(name, seg)                                                                                            \
    LOAD_FAR_POINTER(name, seg, 16)                                                                                    \
    LOAD_FAR_POINTER(name, seg, 32)                                                                                    \
    BIND_SIZED(name)
LOAD_FAR(les, SEG_ES)
LOAD_FAR(lds, SEG_DS)
LOAD_FAR(lss, SEG_SS)
LOAD_FAR(lfs, SEG_FS)
LOAD_FAR(lgs, SEG_GS)

static NOINLINE HANDLER(h_pop_z32_m)
{
    

    if (!stack_pop(cpu, insn, 4, &cpu->operand[0])) {
        return fault_exit(cpu, insn);
    }
    set_reg32(cpu, insn->r1, (uint32_t)cpu->operand[0]);
    NEXT_SLOW(1);
}
static HANDLER(h_pop_z16_m)
{
    

    if (!stack_pop(cpu, insn, 2, &cpu->operand[0])) {
        return fault_exit(cpu, insn);
    }
    set_reg16(cpu, insn->r1, (uint16_t)cpu->operand[0]);
    NEXT_SLOW(1);
}
static HANDLER(h_pop_z32_flat)
{
    uint32_t value;

    if (UNLIKELY(!flat_pop32(cpu, &value))) {
        TAIL(h_pop_z32_m);
    }
    set_reg32(cpu, insn->r1, value);
    NEXT(1);
}
extern const struct binding bind_pop_z;
const struct binding bind_pop_z = { { [LIVE] = { [FORM_REG] = { NULL, h_pop_z16_m, h_pop_z32_flat, NULL },
                                                 [FORM_GENERIC] = { NULL, h_pop_z16_m, h_pop_z32_m, NULL } } } };

/* PUSH r/m. The register form is FF /6 with mod 3. */
#define PUSH_E(bits)                                                                                                   \
    static HANDLER(h_push_r##bits)                                                                                     \
    {                                                                                                                  \
        if (!stack_push(cpu, insn, bits / 8, reg##bits(cpu, insn->r1))) {                                              \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        NEXT_SLOW(1);                                                                                                  \
    }                                                                                                                  \
    static NOINLINE HANDLER(h_push_m##bits)                                                                            \
    {                                                                                                                  \
                                                                                                        \
        if (!generic_read(cpu, insn, bits / 8, &cpu->operand[0]) || !stack_push(cpu, insn, bits / 8, cpu->operand[0])) {                   \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        NEXT_SLOW(1);                                                                                                  \
    }
PUSH_E(16)
PUSH_E(32)
#define PUSH_M_FLAT(form_name, form)                                                                                   \
    static HANDLER(h_push_m32_##form_name)                                                                             \
    {                                                                                                                  \
        uint32_t value;                                                                                                \
        if (UNLIKELY(!(cpu->mode & MODE_STACK32) || !load32(cpu, insn, form, &value) || !flat_push32(cpu, value))) {   \
            TAIL(h_push_m32);                                                                                          \
        }                                                                                                              \
        NEXT(1);                                                                                                       \
    }
PUSH_M_FLAT(bd, FORM_BD)
PUSH_M_FLAT(bid, FORM_BID)
extern const struct binding bind_push_e;
const struct binding bind_push_e = { { [LIVE] = { [FORM_REG] = SIZES_V(push_r), [FORM_GENERIC] = SIZES_V(push_m),
                                                  [FORM_BD] = { NULL, h_push_m16, h_push_m32_bd, NULL },
                                                  [FORM_BID] = { NULL, h_push_m16, h_push_m32_bid, NULL } } } };

/* POP r/m: the address is computed with SP already incremented (SDM vol. 2B, POP). SP is restored when the store
 * faults. */
#define POP_E(bits)                                                                                                    \
    static HANDLER(h_pop_r##bits)                                                                                      \
    {                                                                                                                  \
                                                                                                        \
        if (!stack_pop(cpu, insn, bits / 8, &cpu->operand[0])) {                                                                 \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        set_reg##bits(cpu, insn->r1, (uint##bits##_t)cpu->operand[0]);                                                           \
        NEXT_SLOW(1);                                                                                                  \
    }                                                                                                                  \
    static HANDLER(h_pop_m##bits)                                                                                      \
    {                                                                                                                  \
        uint64_t old_sp = cpu->gpr[REG_SP];                                                                     \
        if (!stack_pop(cpu, insn, bits / 8, &cpu->operand[0])) {                                                                 \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        if (!generic_write(cpu, insn, bits / 8, cpu->operand[0])) {                                                              \
            cpu->gpr[REG_SP] = old_sp;                                                                                 \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        NEXT_SLOW(1);                                                                                                  \
    }
POP_E(16)
POP_E(32)
extern const struct binding bind_pop_e;
const struct binding bind_pop_e = { { [LIVE] = { [FORM_REG] = SIZES_V(pop_r), [FORM_GENERIC] = SIZES_V(pop_m) } } };

static uint32_t sp_mask(const struct cpu *cpu)
{
    return cpu->seg[SEG_SS].attributes & ATTR_DB ? 0xffffffffu : 0xffff;
}

static void set_sp(struct cpu *cpu, uint32_t value)
{
    if (sp_mask(cpu) == 0xffff) {
        set_reg16(cpu, REG_SP, (uint16_t)value);
    } else {
        set_reg32(cpu, REG_SP, value);
    }
}

/* A handler around do_<name>, which has local arrays. */
#define SLOW_SIZED(name, bits)                                                                                         \
    static HANDLER(h_##name##bits)                                                                                     \
    {                                                                                                                  \
        if (!do_##name##bits(cpu, insn)) {                                                                             \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        NEXT_SLOW(1);                                                                                                  \
    }

/* PUSHA, POPA: all eight accesses are checked before anything changes. */
#define PUSHA(bits)                                                                                                    \
    static HANDLER(h_pusha##bits)                                                                                      \
    {                                                                                                                  \
        uint32_t mask = sp_mask(cpu), sp = reg32(cpu, REG_SP);                                                         \
        cpu->current = insn;                                                                                           \
        for (unsigned k = 1; k <= 8; k++) {                                                                            \
            if (!segment_probe_write(cpu, SEG_SS, (sp - k * (bits / 8)) & mask, bits / 8)) {                           \
                return fault_exit(cpu, insn);                                                                          \
            }                                                                                                          \
        }                                                                                                              \
        for (unsigned k = 1; k <= 8; k++) {                                                                            \
            (void)segment_write(cpu, SEG_SS, (sp - k * (bits / 8)) & mask, bits / 8, reg##bits(cpu, k - 1));           \
        }                                                                                                              \
        set_sp(cpu, sp - 8 * (bits / 8));                                                                              \
        NEXT_SLOW(1);                                                                                                  \
    }                                                                                                                  \
    static NOINLINE bool do_popa##bits(struct cpu *cpu, const struct insn *insn)                                                                                       \
    {                                                                                                                  \
        uint32_t mask = sp_mask(cpu), sp = reg32(cpu, REG_SP);                                                         \
        uint64_t values[8];                                                                                            \
        cpu->current = insn;                                                                                           \
        for (unsigned k = 0; k < 8; k++) {                                                                             \
            if (!segment_read(cpu, SEG_SS, (sp + k * (bits / 8)) & mask, bits / 8, &values[k])) {                      \
                return false;                                                                                         \
            }                                                                                                          \
        }                                                                                                              \
        for (unsigned k = 0; k < 8; k++) {                                                                             \
            if (k != 3) { /* the image of SP is skipped */                                                             \
                set_reg##bits(cpu, 7 - k, (uint##bits##_t)values[k]);                                                  \
            }                                                                                                          \
        }                                                                                                              \
        set_sp(cpu, sp + 8 * (bits / 8));                                                                              \
        return true;                                                                                                   \
    } \
    SLOW_SIZED(popa, bits)
PUSHA(16)
PUSHA(32)
BIND_SIZED(pusha)
BIND_SIZED(popa)

/* ENTER (SDM vol. 2A): r1 is the nesting level, d the size of the frame. */
#define ENTER_LEAVE(bits)                                                                                              \
    static NOINLINE bool do_enter##bits(struct cpu *cpu, const struct insn *insn)                                                                                      \
    {                                                                                                                  \
        uint32_t mask = sp_mask(cpu), sp = reg32(cpu, REG_SP), bp = reg32(cpu, REG_BP), frame;                         \
        unsigned level = insn->r1 & 31, size = bits / 8;                                                               \
        uint64_t value, links[32];                                                                                     \
        cpu->current = insn;                                                                                           \
        frame = sp - size;                                                                                             \
        for (unsigned k = 1; k < level; k++) {                                                                         \
            if (!segment_read(cpu, SEG_SS, (bp - k * size) & mask, size, &links[k])) {                                 \
                return false;                                                                                         \
            }                                                                                                          \
        }                                                                                                              \
        for (unsigned k = 1; k <= level + 1; k++) {                                                                    \
            if (!segment_probe_write(cpu, SEG_SS, (sp - k * size) & mask, size)) {                                     \
                return false;                                                                                         \
            }                                                                                                          \
        }                                                                                                              \
        uint32_t end = sp - (level + 1) * size - (insn->d & 0xffff);                                                   \
        /* The final stack pointer must be writable too, as the processor checks. */                                   \
        if (!segment_probe_write(cpu, SEG_SS, end & mask, size)) {                                                     \
            return false;                                                                                             \
        }                                                                                                              \
        value = reg##bits(cpu, REG_BP);                                                                                \
        (void)segment_write(cpu, SEG_SS, frame & mask, size, value);                                                   \
        for (unsigned k = 1; k < level; k++) {                                                                         \
            (void)segment_write(cpu, SEG_SS, (frame - k * size) & mask, size, links[k]);                               \
        }                                                                                                              \
        if (level) {                                                                                                   \
            (void)segment_write(cpu, SEG_SS, (frame - level * size) & mask, size, frame);                              \
            end = frame - level * size - (insn->d & 0xffff);                                                           \
        } else {                                                                                                       \
            end = frame - (insn->d & 0xffff);                                                                          \
        }                                                                                                              \
        set_reg##bits(cpu, REG_BP, (uint##bits##_t)frame);                                                             \
        set_sp(cpu, end);                                                                                              \
        return true;                                                                                                   \
    }                                                                                                                  \
    SLOW_SIZED(enter, bits) \
    static NOINLINE HANDLER(h_leave##bits)                                                                             \
    {                                                                                                                  \
        uint32_t bp = reg32(cpu, REG_BP) & sp_mask(cpu);                                                               \
                                                                                                        \
        cpu->current = insn;                                                                                           \
        if (!segment_read(cpu, SEG_SS, bp, bits / 8, &cpu->operand[0])) {                                                        \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        set_sp(cpu, bp + bits / 8);                                                                                    \
        set_reg##bits(cpu, REG_BP, (uint##bits##_t)cpu->operand[0]);                                                             \
        NEXT_SLOW(1);                                                                                                  \
    }
ENTER_LEAVE(16)
ENTER_LEAVE(32)
BIND_SIZED(enter)

static HANDLER(h_leave32_flat)
{
    uint32_t ea = reg32(cpu, REG_BP);
    const struct tlb_entry *entry = tlb_at(cpu, ea);

    if (UNLIKELY(entry->read_tag != ((ea + 3) & ~(GUEST_PAGE_SIZE - 1)))) {
        TAIL(h_leave32);
    }
    set_reg32(cpu, REG_BP, host_load32((const uint8_t *)(entry->addend + ea)));
    set_reg32(cpu, REG_SP, ea + 4);
    NEXT(1);
}
extern const struct binding bind_leave;
const struct binding bind_leave = { { [LIVE] = { [FORM_REG] = { NULL, h_leave16, h_leave32_flat, NULL },
                                                 [FORM_GENERIC] = SIZES_V(leave) } } };
