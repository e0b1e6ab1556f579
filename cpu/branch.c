/* branch.c - near transfers: Jcc, JMP, CALL, RET, LOOP, JCXZ. SDM vol. 2, the instructions' pages.
 *
 * A terminator's links stand behind it: the taken one at slot 1, the one that falls through at slot 4. With 16-bit
 * operands EIP is cut to 16 bits: links only carry 16-bit code's own jumps, everything else goes by way of its EIP. */
#include "cpu/bind.h"
#include "cpu/flags.h"

enum { TAKEN = 1, FALLS_THROUGH = 1 + LINK_SLOTS };

/* A jump to another width than the code's own (66h prefix): by EIP, cut to the operand size, checked against the limit. */
static bool target_ok(struct cpu *cpu, uint64_t eip)
{
    return eip <= cpu->seg[SEG_CS].limit ? true : cpu_fault_error(cpu, VEC_GP, 0);
}

static const struct insn *go_far_from_here(struct cpu *cpu, const struct insn *insn, uint64_t eip)
{
    if (!target_ok(cpu, eip)) {
        return fault_exit(cpu, insn);
    }
    cpu->rip = eip;
    cpu->current = NULL;
    return NULL;
}

/* Taken branch of operand size 16 in 32-bit code or the reverse. */
static const struct insn *take_odd(struct cpu *cpu, const struct insn *insn, uint32_t mask)
{
    uint64_t eip = (cpu->page_eip + (uint64_t)(int64_t)LINK_AT(TAKEN)->target) & mask;

    cpu_sync(cpu, insn);
    return go_far_from_here(cpu, insn, eip);
}

/* Outside of flat code the target may lie beyond the limit of CS: #GP before anything changes. */
#define TAKE(bits)                                                                                                     \
    do {                                                                                                               \
        if (bits == 32 ? !(cpu->mode & MODE_CS_FLAT) : true) {                                                         \
            return take_checked##bits(cpu, insn);                                                                      \
        }                                                                                                              \
        GO_LINK(TAKEN);                                                                                                \
    } while (0)

static NOINLINE const struct insn *take_checked32(struct cpu *cpu, const struct insn *insn)
{
    uint64_t eip = (cpu->page_eip + (uint64_t)(int64_t)LINK_AT(TAKEN)->target) & 0xffffffffu;

    if (!(cpu->mode & MODE_CODE32)) {
        return take_odd(cpu, insn, 0xffffffffu);
    }
    if (!target_ok(cpu, eip)) {
        return fault_exit(cpu, insn);
    }
    GO_LINK(TAKEN);
}

static NOINLINE const struct insn *take_checked16(struct cpu *cpu, const struct insn *insn)
{
    uint64_t eip = (cpu->page_eip + (uint64_t)(int64_t)LINK_AT(TAKEN)->target) & 0xffff;

    if (cpu->mode & MODE_CODE32) {
        return take_odd(cpu, insn, 0xffff);
    }
    if (!target_ok(cpu, eip)) {
        return fault_exit(cpu, insn);
    }
    GO_EIP(eip);
}

#define JCC(suffix, cc)                                                                                                \
    static HANDLER(h_j##suffix##32)                                                                                    \
    {                                                                                                                  \
        if (condition(cpu, cc)) {                                                                                      \
            TAKE(32);                                                                                                  \
        }                                                                                                              \
        GO_LINK(FALLS_THROUGH);                                                                                        \
    }                                                                                                                  \
    static HANDLER(h_j##suffix##16)                                                                                    \
    {                                                                                                                  \
        if (condition(cpu, cc)) {                                                                                      \
            TAKE(16);                                                                                                  \
        }                                                                                                              \
        GO_LINK(FALLS_THROUGH);                                                                                        \
    }                                                                                                                  \
    BIND_SIZED(j##suffix)
JCC(o, 0)
JCC(no, 1)
JCC(b, 2)
JCC(ae, 3)
JCC(e, 4)
JCC(ne, 5)
JCC(be, 6)
JCC(a, 7)
JCC(s, 8)
JCC(ns, 9)
JCC(p, 10)
JCC(np, 11)
JCC(l, 12)
JCC(ge, 13)
JCC(le, 14)
JCC(g, 15)

static HANDLER(h_jmp_j32)
{
    TAKE(32);
}
static HANDLER(h_jmp_j16)
{
    TAKE(16);
}
BIND_SIZED(jmp_j)

/* LOOPcc and JCXZ count in CX or ECX by the address size (sc bits 5-6). */
static ALWAYS_INLINE bool count_down(struct cpu *cpu, const struct insn *insn)
{
    if ((insn->sc >> 5 & 3) == 0) {
        uint16_t count = (uint16_t)(reg16(cpu, REG_CX) - 1);
        set_reg16(cpu, REG_CX, count);
        return count != 0;
    }
    set_reg32(cpu, REG_CX, reg32(cpu, REG_CX) - 1);
    return reg32(cpu, REG_CX) != 0;
}
/* The target is checked before CX changes. */
static bool loop_target_ok(struct cpu *cpu, const struct insn *insn, uint32_t mask)
{
    return (cpu->mode & MODE_CS_FLAT) ||
           target_ok(cpu, (cpu->page_eip + (uint64_t)(int64_t)LINK_AT(TAKEN)->target) & mask);
}
static bool count_is_one(const struct cpu *cpu, const struct insn *insn)
{
    return (insn->sc >> 5 & 3) == 0 ? reg16(cpu, REG_CX) == 1 : reg32(cpu, REG_CX) == 1;
}
#define LOOP(name, bits, mask, extra)                                                                                  \
    static HANDLER(h_##name##bits)                                                                                     \
    {                                                                                                                  \
        bool taken = !count_is_one(cpu, insn) && (extra);                                                              \
        if (taken && !loop_target_ok(cpu, insn, mask)) {                                                               \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        count_down(cpu, insn);                                                                                         \
        if (taken) {                                                                                                   \
            TAKE(bits);                                                                                                \
        }                                                                                                              \
        GO_LINK(FALLS_THROUGH);                                                                                        \
    }
LOOP(loop, 16, 0xffff, true)
LOOP(loop, 32, 0xffffffffu, true)
LOOP(loope, 16, 0xffff, flag_z(cpu))
LOOP(loope, 32, 0xffffffffu, flag_z(cpu))
LOOP(loopne, 16, 0xffff, !flag_z(cpu))
LOOP(loopne, 32, 0xffffffffu, !flag_z(cpu))
BIND_SIZED(loop)
BIND_SIZED(loope)
BIND_SIZED(loopne)
#define JCXZ(bits)                                                                                                     \
    static HANDLER(h_jcxz##bits)                                                                                       \
    {                                                                                                                  \
        if ((insn->sc >> 5 & 3) == 0 ? reg16(cpu, REG_CX) == 0 : reg32(cpu, REG_CX) == 0) {                            \
            TAKE(bits);                                                                                                \
        }                                                                                                              \
        GO_LINK(FALLS_THROUGH);                                                                                        \
    }
JCXZ(16)
JCXZ(32)
BIND_SIZED(jcxz)

/* ---- CALL and RET ---- */

/* EIP after the instruction: the target of the link that falls through. */
static ALWAYS_INLINE uint64_t return_eip(const struct cpu *cpu, const struct insn *insn, unsigned slots)
{
    return cpu->page_eip + (uint64_t)(int64_t)LINK_AT(slots + LINK_SLOTS)->target;
}

static NOINLINE HANDLER(h_call_j32_m)
{
    if (!target_ok(cpu, (cpu->page_eip + (uint64_t)(int64_t)LINK_AT(TAKEN)->target) & 0xffffffffu) ||
        !stack_push(cpu, insn, 4, (uint32_t)return_eip(cpu, insn, 1) & (cpu->mode & MODE_CODE32 ? 0xffffffffu : 0xffff))) {
        return fault_exit(cpu, insn);
    }
    if (UNLIKELY(cpu->pending) || !(cpu->mode & MODE_CODE32)) {
        return take_odd(cpu, insn, 0xffffffffu);
    }
    cpu->current = NULL;
    GO_LINK(TAKEN);
}
static HANDLER(h_call_j16_m)
{
    uint64_t eip = (cpu->page_eip + (uint64_t)(int64_t)LINK_AT(TAKEN)->target) & 0xffff;

    if (!target_ok(cpu, eip) || !stack_push(cpu, insn, 2, (uint16_t)return_eip(cpu, insn, 1))) {
        return fault_exit(cpu, insn);
    }
    if (UNLIKELY(cpu->pending) || (cpu->mode & MODE_CODE32)) {
        return take_odd(cpu, insn, 0xffff);
    }
    cpu->current = NULL;
    GO_EIP(eip);
}
static HANDLER(h_call_j32_flat)
{
    uint32_t ea = reg32(cpu, REG_SP) - 4;
    const struct tlb_entry *entry = tlb_at(cpu, ea);

    if (UNLIKELY(entry->write_tag != ((ea + 3) & ~(GUEST_PAGE_SIZE - 1)) || !(cpu->mode & MODE_CS_FLAT))) {
        TAIL(h_call_j32_m);
    }
    host_store32((uint8_t *)(entry->addend + ea), (uint32_t)return_eip(cpu, insn, 1));
    set_reg32(cpu, REG_SP, ea);
    GO_LINK(TAKEN);
}
extern const struct binding bind_call_j;
const struct binding bind_call_j = { { [LIVE] = { [FORM_REG] = { NULL, h_call_j16_m, h_call_j32_flat, NULL },
                                                  [FORM_GENERIC] = { NULL, h_call_j16_m, h_call_j32_m, NULL } } } };

/* Goes to an EIP of the given operand size; the block has ended. */
#define GO_TO(eip_, bits)                                                                                              \
    do {                                                                                                               \
        uint64_t at_ = (eip_);                                                                                         \
        if (UNLIKELY(cpu->pending || (bits == 16) == ((cpu->mode & MODE_CODE32) != 0))) {                              \
            cpu->rip = at_;                                                                                            \
            cpu->current = NULL;                                                                                       \
            return NULL;                                                                                               \
        }                                                                                                              \
        cpu->current = NULL;                                                                                           \
        GO_EIP(at_);                                                                                                   \
    } while (0)

#define CALL_E(bits)                                                                                                   \
    static HANDLER(h_call_r##bits)                                                                                     \
    {                                                                                                                  \
        uint64_t eip = reg##bits(cpu, insn->r1);                                                                       \
        uint64_t mask = cpu->mode & MODE_CODE32 ? 0xffffffffu : 0xffff;                                                \
        if (!target_ok(cpu, eip) || !stack_push(cpu, insn, bits / 8, return_eip(cpu, insn, 1) & mask)) {               \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        GO_TO(eip, bits);                                                                                              \
    }                                                                                                                  \
    static HANDLER(h_call_m##bits)                                                                                     \
    {                                                                                                                  \
        uint64_t mask = cpu->mode & MODE_CODE32 ? 0xffffffffu : 0xffff;                                           \
        if (!generic_read(cpu, insn, bits / 8, &cpu->operand[0]) || !target_ok(cpu, cpu->operand[0]) ||                                        \
            !stack_push(cpu, insn, bits / 8, return_eip(cpu, insn, 1) & mask)) {                                       \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        GO_TO(cpu->operand[0], bits);                                                                                              \
    }                                                                                                                  \
    static HANDLER(h_jmp_r##bits)                                                                                      \
    {                                                                                                                  \
        uint64_t eip = reg##bits(cpu, insn->r1);                                                                       \
        if (!target_ok(cpu, eip)) {                                                                                    \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        GO_TO(eip, bits);                                                                                              \
    }                                                                                                                  \
    static NOINLINE HANDLER(h_jmp_m##bits)                                                                             \
    {                                                                                                                  \
                                                                                                          \
        if (!generic_read(cpu, insn, bits / 8, &cpu->operand[0]) || !target_ok(cpu, cpu->operand[0])) {                                        \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        GO_TO(cpu->operand[0], bits);                                                                                              \
    }
CALL_E(16)
CALL_E(32)
#define JMP_M_FLAT(form_name, form)                                                                                    \
    static HANDLER(h_jmp_m32_##form_name)                                                                              \
    {                                                                                                                  \
        uint32_t eip;                                                                                                  \
        if (UNLIKELY(!(cpu->mode & MODE_CS_FLAT) || !load32(cpu, insn, form, &eip))) {                                 \
            TAIL(h_jmp_m32);                                                                                           \
        }                                                                                                              \
        GO_EIP(eip);                                                                                                   \
    }
JMP_M_FLAT(bd, FORM_BD)
JMP_M_FLAT(bid, FORM_BID)
extern const struct binding bind_call_e;
const struct binding bind_call_e = { { [LIVE] = { [FORM_REG] = SIZES_V(call_r), [FORM_GENERIC] = SIZES_V(call_m) } } };
extern const struct binding bind_jmp_e;
const struct binding bind_jmp_e = { { [LIVE] = { [FORM_REG] = SIZES_V(jmp_r), [FORM_GENERIC] = SIZES_V(jmp_m),
                                                 [FORM_BD] = { NULL, h_jmp_m16, h_jmp_m32_bd, NULL },
                                                 [FORM_BID] = { NULL, h_jmp_m16, h_jmp_m32_bid, NULL } } } };

/* `d` is the number of bytes that RET n releases; 0 for a plain RET. */
#define RET(bits)                                                                                                      \
    static NOINLINE HANDLER(h_ret##bits)                                                                               \
    {                                                                                                                  \
        uint64_t old_sp = cpu->gpr[REG_SP];                                                                       \
        if (!stack_pop(cpu, insn, bits / 8, &cpu->operand[0])) {                                                                   \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        if (!target_ok(cpu, cpu->operand[0])) {                                                                                    \
            cpu->gpr[REG_SP] = old_sp;                                                                                 \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        if (cpu->seg[SEG_SS].attributes & ATTR_DB) {                                                                   \
            set_reg32(cpu, REG_SP, reg32(cpu, REG_SP) + insn->d);                                                      \
        } else {                                                                                                       \
            set_reg16(cpu, REG_SP, (uint16_t)(reg16(cpu, REG_SP) + insn->d));                                          \
        }                                                                                                              \
        GO_TO(cpu->operand[0], bits);                                                                                              \
    }
RET(16)
RET(32)
static HANDLER(h_ret32_flat)
{
    uint32_t ea = reg32(cpu, REG_SP);
    const struct tlb_entry *entry = tlb_at(cpu, ea);

    if (UNLIKELY(entry->read_tag != ((ea + 3) & ~(GUEST_PAGE_SIZE - 1)) || !(cpu->mode & MODE_CS_FLAT))) {
        TAIL(h_ret32);
    }
    uint32_t eip = host_load32((const uint8_t *)(entry->addend + ea));
    set_reg32(cpu, REG_SP, ea + 4 + insn->d);
    GO_EIP(eip);
}
#define BIND_RET(stem)                                                                                                 \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = { [FORM_REG] = { NULL, h_ret16, h_ret32_flat, NULL },              \
                                                      [FORM_GENERIC] = { NULL, h_ret16, h_ret32, NULL } } } };
BIND_RET(ret)
BIND_RET(ret_i)
