/* int_system.c - far transfers, interrupts, flags with privileges, ports, descriptor tables, control registers.
 *
 * Thin handlers over system.h. SDM vol. 2, the instructions' pages; vol. 3, 2.8 (system instructions). */
#include "cpu/bind.h"
#include "cpu/debug.h"
#include "cpu/flags.h"

enum { FALLS_THROUGH = 1 + LINK_SLOTS };

/* Ends a terminator after which the mode may be another one: on to the next instruction by way of the dispatcher. */
static const struct insn *finish(struct cpu *cpu)
{
    cpu->rip = cpu->next_rip;
    cpu->current = NULL;
    return NULL;
}

/* ---- far transfers: cpu->rip is set by the callee ---- */

#define TRANSFER(name, call)                                                                                           \
    static HANDLER(h_##name)                                                                                           \
    {                                                                                                                  \
        cpu_sync(cpu, insn);                                                                                           \
        if (!(call)) {                                                                                                 \
            return fault_exit_here(cpu, insn);                                                                         \
        }                                                                                                              \
        cpu->current = NULL;                                                                                           \
        return NULL;                                                                                                   \
    }
TRANSFER(jmpf_i16, far_jump(cpu, (uint16_t)insn[1].d, insn->d & 0xffff, 2))
TRANSFER(jmpf_i32, far_jump(cpu, (uint16_t)insn[1].d, insn->d, 4))
BIND_SIZED_32(jmpf_i)
TRANSFER(callf_i16, far_call(cpu, (uint16_t)insn[1].d, insn->d & 0xffff, 2))
TRANSFER(callf_i32, far_call(cpu, (uint16_t)insn[1].d, insn->d, 4))
BIND_SIZED_32(callf_i)

static bool read_far_pointer(struct cpu *cpu, const struct insn *insn, unsigned size, uint64_t *offset,
                             uint16_t *selector)
{
    uint64_t ea = ea_generic(cpu, insn), value;
    uint64_t mask = address_mask(insn);

    if (!segment_read(cpu, ea_segment(insn), ea, size, offset) ||
        !segment_read(cpu, ea_segment(insn), (ea + size) & mask, 2, &value)) {
        return false;
    }
    *selector = (uint16_t)value;
    return true;
}
static bool far_through_memory(struct cpu *cpu, const struct insn *insn, unsigned size, bool is_call)
{
    uint64_t offset;
    uint16_t selector;

    return read_far_pointer(cpu, insn, size, &offset, &selector) &&
           (is_call ? far_call(cpu, selector, offset, size) : far_jump(cpu, selector, offset, size));
}
TRANSFER(jmpf_m16, far_through_memory(cpu, insn, 2, false))
TRANSFER(jmpf_m32, far_through_memory(cpu, insn, 4, false))
TRANSFER(jmpf_m64, far_through_memory(cpu, insn, 8, false))
BIND_SIZED(jmpf_m)
TRANSFER(callf_m16, far_through_memory(cpu, insn, 2, true))
TRANSFER(callf_m32, far_through_memory(cpu, insn, 4, true))
TRANSFER(callf_m64, far_through_memory(cpu, insn, 8, true))
BIND_SIZED(callf_m)
TRANSFER(retf16, far_return(cpu, 2, 0))
TRANSFER(retf32, far_return(cpu, 4, 0))
TRANSFER(retf64, far_return(cpu, 8, 0))
BIND_SIZED(retf)
TRANSFER(retf_i16, far_return(cpu, 2, (uint16_t)insn->d))
TRANSFER(retf_i32, far_return(cpu, 4, (uint16_t)insn->d))
TRANSFER(retf_i64, far_return(cpu, 8, (uint16_t)insn->d))
BIND_SIZED(retf_i)
TRANSFER(iret16, interrupt_return(cpu, 2))
TRANSFER(iret32, interrupt_return(cpu, 4))
TRANSFER(iret64, interrupt_return(cpu, 8))
BIND_SIZED(iret)
TRANSFER(sysenter, system_sysenter(cpu))
BIND_ONE(sysenter, h_sysenter)
TRANSFER(sysexit32, system_sysexit(cpu, false))
TRANSFER(sysexit64, system_sysexit(cpu, true))
#define h_sysexit16 h_sysexit32
BIND_SIZED(sysexit)
TRANSFER(syscall, system_syscall(cpu))
BIND_ONE(syscall, h_syscall)
TRANSFER(sysret32, system_sysret(cpu, false))
TRANSFER(sysret64, system_sysret(cpu, true))
#define h_sysret16 h_sysret32
BIND_SIZED(sysret)
TRANSFER(int_i, interrupt_enter(cpu, (uint8_t)insn->d, INTERRUPT_SOFTWARE, false, 0, cpu->next_rip))
BIND_ONE(int_i, h_int_i)
TRANSFER(int3, interrupt_enter(cpu, VEC_BP, INTERRUPT_SOFTWARE_EXCEPTION, false, 0, cpu->next_rip))
BIND_ONE(int3, h_int3)
TRANSFER(int1, interrupt_enter(cpu, VEC_DB, INTERRUPT_PRIVILEGED, false, 0, cpu->next_rip))
BIND_ONE(int1, h_int1)
static HANDLER(h_into)
{
    if (!flag_o(cpu)) {
        GO_LINK(FALLS_THROUGH);
    }
    cpu_sync(cpu, insn);
    if (!interrupt_enter(cpu, VEC_OF, INTERRUPT_SOFTWARE_EXCEPTION, false, 0, cpu->next_rip)) {
        return fault_exit_here(cpu, insn);
    }
    cpu->current = NULL;
    return NULL;
}
BIND_ONE(into, h_into)

static HANDLER(h_ud)
{
    cpu_fault(cpu, VEC_UD);
    return fault_exit(cpu, insn);
}
BIND_ONE(ud2, h_ud)
extern const struct binding bind_ud;
const struct binding bind_ud = { { [LIVE] = { [FORM_REG] = ALL_SIZES(h_ud), [FORM_GENERIC] = ALL_SIZES(h_ud) } } };

/* ---- HLT and the interrupt flag ---- */

static HANDLER(h_hlt)
{
    cpu_sync(cpu, insn);
    cpu->halted_state = CPU_HALTED;
    cpu->pending |= PENDING_LOOK;
    return finish(cpu);
}
BIND_ONE(hlt, h_hlt)

static NOINLINE const struct insn *leave_spinning(struct cpu *cpu, const struct insn *insn)
{
    cpu->current = insn;
    cpu->board.spin(cpu->board.context);
    return leave_after(cpu, insn);
}

/* In a spin loop (SDM vol. 2B, PAUSE): what it waits for, another processor may have to do. */
static HANDLER(h_pause)
{
    if (UNLIKELY(cpu->board.spin != NULL)) {
        return leave_spinning(cpu, insn);
    }
    NEXT(1);
}
BIND_ONE(pause, h_pause)

/* Whether CLI and STI act on VIF instead of IF: virtual-8086 mode with VME, or CPL 3 with PVI (SDM vol. 3, 20.3, 20.4). */
static bool uses_virtual_if(const struct cpu *cpu)
{
    return cpu_iopl(cpu) < cpu->cpl &&
           (cpu_is_vm86(cpu) ? (cpu->cr4 & CR4_VME) != 0 : cpu->cpl == 3 && (cpu->cr4 & CR4_PVI));
}

static HANDLER(h_cli)
{
    if (LIKELY(cpu->cpl <= cpu_iopl(cpu))) {
        cpu->eflags &= ~FLAG_IF;
    } else if (cpu_is_protected(cpu) || cpu_is_vm86(cpu)) {
        if (!uses_virtual_if(cpu)) {
            cpu_fault_error(cpu, VEC_GP, 0);
            return fault_exit(cpu, insn);
        }
        cpu->eflags &= ~FLAG_VIF;
    }
    NEXT(1);
}
BIND_ONE(cli, h_cli)

static HANDLER(h_sti)
{
    if (LIKELY(cpu->cpl <= cpu_iopl(cpu))) {
        if (!(cpu->eflags & FLAG_IF)) {
            /* Interrupts stay off until the next instruction is done. As a terminator this one has been counted. */
            cpu->eflags |= FLAG_IF;
            cpu->current = NULL;
            cpu->shadow_icount = cpu_icount(cpu);
            cpu->shadow_is_mov_ss = false;
            if (cpu->intr_line || cpu->pending) {
                return leave_after(cpu, insn);
            }
        }
    } else {
        if (!uses_virtual_if(cpu) || (cpu->eflags & FLAG_VIP)) {
            cpu_fault_error(cpu, VEC_GP, 0);
            return fault_exit(cpu, insn);
        }
        cpu->eflags |= FLAG_VIF;
    }
    GO_LINK(FALLS_THROUGH);
}
BIND_ONE(sti, h_sti)

/* ---- PUSHF, POPF ---- */

/* The image PUSHF pushes; false: #GP in virtual-8086 mode with IOPL < 3. */
static bool flags_image(struct cpu *cpu, unsigned size, uint32_t *image)
{
    *image = cpu_get_eflags(cpu) & ~(FLAG_VM | FLAG_RF);
    if (cpu_is_vm86(cpu) && cpu_iopl(cpu) < 3) {
        if (!(cpu->cr4 & CR4_VME) || size == 4) {
            return cpu_fault_error(cpu, VEC_GP, 0);
        }
        *image = (*image & ~FLAG_IF) | (cpu->eflags & FLAG_VIF ? FLAG_IF : 0) | FLAG_IOPL;
    }
    return true;
}
#define PUSHF(bits)                                                                                                    \
    static HANDLER(h_pushf##bits)                                                                                      \
    {                                                                                                                  \
        uint32_t image;                                                                                                \
        if (!flags_image(cpu, bits / 8, &image) || !stack_push(cpu, insn, bits / 8, image)) {                          \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        NEXT_SLOW(1);                                                                                                  \
    }
PUSHF(16)
PUSHF(32)
PUSHF(64)
BIND_SIZED(pushf)

/* Loads flags from a popped image by the rules of POPF (SDM vol. 2B, table 4-15). */
static bool flags_load(struct cpu *cpu, unsigned size, uint32_t image)
{
    uint32_t may = FLAGS_STATUS | FLAG_TF | FLAG_DF | FLAG_NT;
    uint32_t old = cpu_get_eflags(cpu);

    if (size != 2) {
        may |= FLAG_AC | FLAG_ID;
    }
    if (cpu_is_vm86(cpu)) {
        if (cpu_iopl(cpu) < 3) {
            if (!(cpu->cr4 & CR4_VME) || size == 4 || (image & FLAG_TF) ||
                ((image & FLAG_IF) && (cpu->eflags & FLAG_VIP))) {
                return cpu_fault_error(cpu, VEC_GP, 0);
            }
            old = (old & ~FLAG_VIF) | (image & FLAG_IF ? FLAG_VIF : 0);
        } else {
            may |= FLAG_IF;
        }
    } else {
        if (cpu->cpl <= cpu_iopl(cpu)) {
            may |= FLAG_IF;
        }
        if (cpu->cpl == 0) {
            may |= FLAG_IOPL;
        }
    }
    uint32_t flags = (old & ~may & ~FLAG_RF) | (image & may);
    if (((flags ^ old) & (FLAGS_SYSTEM & ~(FLAG_IF | FLAG_DF | FLAG_RF))) == 0) {
        /* Nothing that the mode depends on: the common case. */
        cpu->eflags = (flags & FLAGS_SYSTEM) | FLAG_1;
        flags_scatter(cpu, flags);
        cpu->pending |= cpu->intr_line && (flags & FLAG_IF) ? PENDING_LOOK : 0;
    } else {
        cpu_set_eflags(cpu, flags);
        cpu->pending |= PENDING_LOOK;
    }
    return true;
}
#define POPF(bits)                                                                                                     \
    static HANDLER(h_popf##bits)                                                                                       \
    {                                                                                                                  \
        uint64_t old_sp = cpu->gpr[REG_SP];                                                                     \
        if (!stack_pop(cpu, insn, bits / 8, &cpu->operand[0])) {                                                                 \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        if (!flags_load(cpu, bits / 8, (uint32_t)cpu->operand[0])) {                                                             \
            cpu->gpr[REG_SP] = old_sp;                                                                                 \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        if (UNLIKELY(cpu->pending)) {                                                                                  \
            return leave_after(cpu, insn);                                                                             \
        }                                                                                                              \
        cpu->current = NULL;                                                                                           \
        GO_LINK(FALLS_THROUGH);                                                                                        \
    }
POPF(16)
POPF(32)
POPF(64)
BIND_SIZED(popf)

/* ---- ports ---- */

#define PORT_ACCESS(bits, set_accumulator, accumulator)                                                                \
    static ALWAYS_INLINE bool port_in##bits(struct cpu *cpu, const struct insn *insn, uint16_t port)                   \
    {                                                                                                                  \
        cpu->current = insn;                                                                                           \
        if (!control_io_allowed(cpu, port, bits / 8)) {                                                                \
            return false;                                                                                              \
        }                                                                                                              \
        cpu->stats.io_accesses++;                                                                                      \
        uint32_t value = debug_port_read(cpu, port, bits / 8);                                                         \
        set_accumulator;                                                                                               \
        return true;                                                                                                   \
    }                                                                                                                  \
    static ALWAYS_INLINE bool port_out##bits(struct cpu *cpu, const struct insn *insn, uint16_t port)                  \
    {                                                                                                                  \
        cpu->current = insn;                                                                                           \
        if (!control_io_allowed(cpu, port, bits / 8)) {                                                                \
            return false;                                                                                              \
        }                                                                                                              \
        cpu->stats.io_accesses++;                                                                                      \
        debug_port_write(cpu, port, bits / 8, accumulator);                                                           \
        return true;                                                                                                   \
    }                                                                                                                  \
    PORT_FORM(in, i, bits, (uint8_t)insn->d)                                                                           \
    PORT_FORM(in, dx, bits, reg16(cpu, REG_DX))                                                                        \
    PORT_FORM(out, i, bits, (uint8_t)insn->d)                                                                          \
    PORT_FORM(out, dx, bits, reg16(cpu, REG_DX))
#define PORT_FORM(op, form, bits, port)                                                                                \
    static HANDLER(h_##op##_##form##bits)                                                                              \
    {                                                                                                                  \
        if (!port_##op##bits(cpu, insn, port)) {                                                                       \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        NEXT_SLOW(1);                                                                                                  \
    }
PORT_ACCESS(8, set_reg8(cpu, HOST_IS_BIG_ENDIAN ? 7 : 0, (uint8_t)value), (uint8_t)cpu->gpr[REG_AX])
PORT_ACCESS(16, set_reg16(cpu, REG_AX, (uint16_t)value), reg16(cpu, REG_AX))
PORT_ACCESS(32, set_reg32(cpu, REG_AX, value), reg32(cpu, REG_AX))
BIND_SIZED8_32(in_i)
BIND_SIZED8_32(in_dx)
BIND_SIZED8_32(out_i)
BIND_SIZED8_32(out_dx)

/* ---- descriptor tables ---- */

/* SGDT and SIDT store a 16-bit limit and a 32-bit base; with 16-bit operands LGDT and LIDT load 24 bits of base. In 64-bit code
 * the base is 64 bits. */
static bool store_table(struct cpu *cpu, const struct insn *insn, const struct table_register *table)
{
    uint64_t ea = ea_generic(cpu, insn), mask = address_mask(insn);
    unsigned size = cpu_is_64bit(cpu) ? 8 : 4;

    cpu->current = insn;
    if ((cpu->cr4 & CR4_UMIP) && cpu->cpl != 0) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    return segment_probe_write(cpu, ea_segment(insn), (ea + 2) & mask, size) &&
           segment_write(cpu, ea_segment(insn), ea, 2, table->limit) &&
           segment_write(cpu, ea_segment(insn), (ea + 2) & mask, size, size == 8 ? table->base : (uint32_t)table->base);
}
static bool load_table(struct cpu *cpu, const struct insn *insn, struct table_register *table, uint32_t base_mask)
{
    uint64_t ea = ea_generic(cpu, insn), mask = address_mask(insn), limit, base;
    bool is_64bit = cpu_is_64bit(cpu);

    cpu->current = insn;
    if (!segment_read(cpu, ea_segment(insn), ea, 2, &limit) ||
        !segment_read(cpu, ea_segment(insn), (ea + 2) & mask, is_64bit ? 8 : 4, &base)) {
        return false;
    }
    if (is_64bit && !cpu_is_canonical(cpu, base)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    table->limit = (uint16_t)limit;
    table->base = is_64bit ? base : base & base_mask;
    return true;
}
#define SLOW_CALL(name, call)                                                                                          \
    static HANDLER(h_##name)                                                                                           \
    {                                                                                                                  \
        if (!(call)) {                                                                                                 \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        NEXT_SLOW(1);                                                                                                  \
    }
SLOW_CALL(sgdt16, store_table(cpu, insn, &cpu->gdtr))
SLOW_CALL(sgdt32, store_table(cpu, insn, &cpu->gdtr))
SLOW_CALL(sidt16, store_table(cpu, insn, &cpu->idtr))
SLOW_CALL(sidt32, store_table(cpu, insn, &cpu->idtr))
SLOW_CALL(lgdt16, load_table(cpu, insn, &cpu->gdtr, 0xffffff))
SLOW_CALL(lgdt32, load_table(cpu, insn, &cpu->gdtr, 0xffffffffu))
SLOW_CALL(lidt16, load_table(cpu, insn, &cpu->idtr, 0xffffff))
SLOW_CALL(lidt32, load_table(cpu, insn, &cpu->idtr, 0xffffffffu))
#define h_sgdt64 h_sgdt32
#define h_sidt64 h_sidt32
#define h_lgdt64 h_lgdt32
#define h_lidt64 h_lidt32
BIND_SIZED(sgdt)
BIND_SIZED(sidt)
BIND_SIZED(lgdt)
BIND_SIZED(lidt)

/* A 16-bit source in a register (r1) or memory; a result to either. */
#define READ16(value)                                                                                                  \
    cpu_sync(cpu, insn);                                                                                               \
    cpu->operand[0] = reg16(cpu, insn->r1);                                                                            \
    if (IS_MEMORY && !generic_read(cpu, insn, 2, &cpu->operand[0])) {                                                  \
        return fault_exit(cpu, insn);                                                                                  \
    }                                                                                                                  \
    uint64_t value = cpu->operand[0];
#define BIND_R_M(stem)                                                                                                 \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = { [FORM_REG] = ALL_SIZES(h_##stem##_r),                            \
                                                      [FORM_GENERIC] = ALL_SIZES(h_##stem##_m) } } };
static void set_zf(struct cpu *cpu, bool zf)
{
    flags_scatter(cpu, (flags_gather(cpu) & ~FLAG_ZF) | (zf ? FLAG_ZF : 0));
}
#define TAKES_SELECTOR(name, body)                                                                                     \
    static HANDLER(h_##name##_r)                                                                                       \
    {                                                                                                                  \
        enum { IS_MEMORY = 0 };                                                                                        \
        READ16(value)                                                                                                  \
        body                                                                                                           \
    }                                                                                                                  \
    static HANDLER(h_##name##_m)                                                                                       \
    {                                                                                                                  \
        enum { IS_MEMORY = 1 };                                                                                        \
        READ16(value)                                                                                                  \
        body                                                                                                           \
    }                                                                                                                  \
    BIND_R_M(name)
TAKES_SELECTOR(lldt, {
    if (!system_lldt(cpu, (uint16_t)value)) {
        return fault_exit(cpu, insn);
    }
    return finish(cpu);
})
TAKES_SELECTOR(ltr, {
    if (!system_ltr(cpu, (uint16_t)value)) {
        return fault_exit(cpu, insn);
    }
    return finish(cpu);
})
TAKES_SELECTOR(verr, {
    if (!system_verify(cpu, (uint16_t)value, false, &cpu->operand_ok)) {
        return fault_exit(cpu, insn);
    }
    set_zf(cpu, cpu->operand_ok);
    NEXT_SLOW(1);
})
TAKES_SELECTOR(verw, {
    if (!system_verify(cpu, (uint16_t)value, true, &cpu->operand_ok)) {
        return fault_exit(cpu, insn);
    }
    set_zf(cpu, cpu->operand_ok);
    NEXT_SLOW(1);
})
/* LMSW can set PE but not clear it. */
TAKES_SELECTOR(lmsw, {
    uint32_t bits = (uint32_t)value & 15;
    if (!control_write_cr0(cpu, (cpu->cr0 & ~UINT32_C(14)) | bits)) {
        return fault_exit(cpu, insn);
    }
    debug_written(cpu, DEBUG_CR, 0, cpu->cr0);
    return finish(cpu);
})

/* LAR and LSL: r1 is the destination; the selector is in r2 or memory, and then in operand[0]. */
#define LAR_LSL(name, function, bits)                                                                                  \
    static HANDLER(h_##name##bits)                                                                                     \
    {                                                                                                                  \
        if (!function(cpu, (uint16_t)cpu->operand[0], &cpu->operand_ok, &cpu->operand_result)) {                       \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        if (cpu->operand_ok) {                                                                                         \
            set_reg##bits(cpu, insn->r1, (uint##bits##_t)cpu->operand_result);                                         \
        }                                                                                                              \
        set_zf(cpu, cpu->operand_ok);                                                                                  \
        NEXT_SLOW(1);                                                                                                  \
    }                                                                                                                  \
    static HANDLER(h_##name##_r##bits)                                                                                 \
    {                                                                                                                  \
        cpu_sync(cpu, insn);                                                                                           \
        cpu->operand[0] = reg16(cpu, insn->r2);                                                                        \
        TAIL(h_##name##bits);                                                                                          \
    }                                                                                                                  \
    static HANDLER(h_##name##_m##bits)                                                                                 \
    {                                                                                                                  \
        cpu_sync(cpu, insn);                                                                                           \
        if (!generic_read(cpu, insn, 2, &cpu->operand[0])) {                                                           \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        TAIL(h_##name##bits);                                                                                          \
    }
#define LAR_LSL_SIZES(name, function)                                                                                  \
    LAR_LSL(name, function, 16)                                                                                        \
    LAR_LSL(name, function, 32)                                                                                        \
    LAR_LSL(name, function, 64)                                                                                        \
    extern const struct binding bind_##name;                                                                           \
    const struct binding bind_##name = { { [LIVE] = { [FORM_REG] = SIZES_V(name##_r),                                  \
                                                      [FORM_GENERIC] = SIZES_V(name##_m) } } };
LAR_LSL_SIZES(lar, system_lar)
LAR_LSL_SIZES(lsl, system_lsl)

/* SLDT, STR, SMSW: the operand size matters for registers only; memory gets 16 bits. With CR4.UMIP they belong to CPL 0. */
static ALWAYS_INLINE bool umip_ok(struct cpu *cpu)
{
    return LIKELY(!(cpu->cr4 & CR4_UMIP) || cpu->cpl == 0) || cpu_fault_error(cpu, VEC_GP, 0);
}
#define STORES_WORD(name, value)                                                                                       \
    static HANDLER(h_##name##_r16)                                                                                     \
    {                                                                                                                  \
        if (!umip_ok(cpu)) {                                                                                           \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        set_reg16(cpu, insn->r1, (uint16_t)(value));                                                                   \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static HANDLER(h_##name##_r32)                                                                                     \
    {                                                                                                                  \
        if (!umip_ok(cpu)) {                                                                                           \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        set_reg32(cpu, insn->r1, (uint32_t)(value));                                                                   \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static HANDLER(h_##name##_m)                                                                                       \
    {                                                                                                                  \
        if (!umip_ok(cpu) || !generic_write(cpu, insn, 2, (uint16_t)(value))) {                                        \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        NEXT_SLOW(1);                                                                                                  \
    }                                                                                                                  \
    extern const struct binding bind_##name;                                                                           \
    const struct binding bind_##name = { { [LIVE] = { [FORM_REG] = { NULL, h_##name##_r16, h_##name##_r32,             \
                                                                     h_##name##_r32 },                                 \
                                                      [FORM_GENERIC] = ALL_SIZES(h_##name##_m) } } };
STORES_WORD(sldt, cpu->seg[SEG_LDTR].selector)
STORES_WORD(str, cpu->seg[SEG_TR].selector)
STORES_WORD(smsw, cpu->cr0)

/* ---- control and debug registers, MSRs ---- */

/* MOV r, CRn: r1 is the general register, r2 the control register. */
static HANDLER(h_mov_r_cr)
{
    uint64_t value;

    switch (insn->r2) {
    case 0:
        value = cpu->cr0;
        break;
    case 2:
        value = cpu->cr2;
        break;
    case 3:
        value = cpu->cr3;
        break;
    case 8:
        value = control_read_cr8(cpu);
        break;
    default:
        value = cpu->cr4;
        break;
    }
    cpu->gpr[insn->r1] = cpu_is_64bit(cpu) ? value : (uint32_t)value;
    NEXT(1);
}
BIND_ONE(mov_r_cr, h_mov_r_cr)
static HANDLER(h_mov_cr_r)
{
    uint64_t value = cpu_is_64bit(cpu) ? cpu->gpr[insn->r2] : reg32(cpu, insn->r2);
    bool ok = true;

    cpu_sync(cpu, insn);
    switch (insn->r1) {
    case 0:
        ok = control_write_cr0(cpu, value);
        break;
    case 2:
        cpu->cr2 = value;
        break;
    case 3:
        ok = control_write_cr3(cpu, value);
        break;
    case 8:
        ok = control_write_cr8(cpu, value);
        break;
    default:
        ok = control_write_cr4(cpu, value);
        break;
    }
    if (!ok) {
        return fault_exit(cpu, insn);
    }
    debug_written(cpu, DEBUG_CR, insn->r1, value);
    return finish(cpu);
}
BIND_ONE(mov_cr_r, h_mov_cr_r)
static HANDLER(h_mov_r_dr)
{
    cpu_sync(cpu, insn);
    if (!control_read_dr(cpu, insn->r2, &cpu->operand[0])) {
        return fault_exit(cpu, insn);
    }
    cpu->gpr[insn->r1] = cpu_is_64bit(cpu) ? cpu->operand[0] : (uint32_t)cpu->operand[0];
    NEXT_SLOW(1);
}
BIND_ONE(mov_r_dr, h_mov_r_dr)
static HANDLER(h_mov_dr_r)
{
    cpu_sync(cpu, insn);
    if (!control_write_dr(cpu, insn->r1, cpu_is_64bit(cpu) ? cpu->gpr[insn->r2] : reg32(cpu, insn->r2))) {
        return fault_exit(cpu, insn);
    }
    return finish(cpu);
}
BIND_ONE(mov_dr_r, h_mov_dr_r)

static HANDLER(h_clts)
{
    cpu_sync(cpu, insn);
    cpu->cr0 &= ~CR0_TS;
    cpu_update_sse(cpu);
    debug_written(cpu, DEBUG_CR, 0, cpu->cr0);
    return finish(cpu);
}
BIND_ONE(clts, h_clts)
static HANDLER(h_wbinvd)
{
    NEXT(1); /* no caches to write back */
}
BIND_ONE(wbinvd, h_wbinvd)
static HANDLER(h_invlpg)
{
    enum segment_index seg = ea_segment(insn);
    bool is_64bit = cpu_is_64bit(cpu);
    uint64_t linear = ea_generic(cpu, insn) + (is_64bit && seg != SEG_FS && seg != SEG_GS ? 0 : cpu->seg[seg].base);

    cpu_sync(cpu, insn);
    if (!is_64bit) {
        tlb_flush_page(cpu, linear & 0xffffffffu);
    } else if (cpu_is_canonical(cpu, linear)) {
        tlb_flush_page(cpu, linear);
    }
    return finish(cpu);
}
BIND_ONE(invlpg, h_invlpg)

static HANDLER(h_rdmsr)
{
    

    cpu_sync(cpu, insn);
    if (!control_rdmsr(cpu, reg32(cpu, REG_CX), &cpu->operand[0])) {
        return fault_exit(cpu, insn);
    }
    set_reg32(cpu, REG_AX, (uint32_t)cpu->operand[0]);
    set_reg32(cpu, REG_DX, (uint32_t)(cpu->operand[0] >> 32));
    NEXT_SLOW(1);
}
BIND_ONE(rdmsr, h_rdmsr)
static HANDLER(h_wrmsr)
{
    cpu_sync(cpu, insn);
    if (!control_wrmsr(cpu, reg32(cpu, REG_CX), (uint64_t)reg32(cpu, REG_DX) << 32 | reg32(cpu, REG_AX))) {
        return fault_exit(cpu, insn);
    }
    debug_written(cpu, DEBUG_MSR, reg32(cpu, REG_CX), (uint64_t)reg32(cpu, REG_DX) << 32 | reg32(cpu, REG_AX));
    return finish(cpu);
}
BIND_ONE(wrmsr, h_wrmsr)
static HANDLER(h_rdtsc)
{
    cpu->current = insn;
    if ((cpu->cr4 & CR4_TSD) && cpu->cpl != 0 && (cpu->cr0 & CR0_PE)) {
        cpu_fault_error(cpu, VEC_GP, 0);
        return fault_exit(cpu, insn);
    }
    uint64_t tsc = control_tsc(cpu);
    set_reg32(cpu, REG_AX, (uint32_t)tsc);
    set_reg32(cpu, REG_DX, (uint32_t)(tsc >> 32));
    NEXT(1);
}
BIND_ONE(rdtsc, h_rdtsc)
/* RDPMC: there are no performance counters, so every index is invalid. */
static HANDLER(h_rdpmc)
{
    cpu_fault_error(cpu, VEC_GP, 0);
    return fault_exit(cpu, insn);
}
BIND_ONE(rdpmc, h_rdpmc)
static HANDLER(h_cpuid)
{
    cpu_sync(cpu, insn);
    control_cpuid(cpu);
    return finish(cpu);
}
BIND_ONE(cpuid, h_cpuid)
