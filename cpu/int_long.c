/* int_long.c - system instructions that came with 64-bit processors: SWAPGS, RD/WRFSBASE and GSBASE, RDTSCP, RDPID, STAC, CLAC,
 * INVPCID, RDPKRU, WRPKRU, MONITOR, MWAIT. Intel SDM vol. 2 (December 2023), the instructions' pages. */
#include "cpu/bind.h"
#include "cpu/flags.h"
#include "cpu/mmu.h"

/* ---- segment bases ---- */

static void gs_base_changed(struct cpu *cpu) { cpu->gpr[REG_GS_BASE] = cpu->seg[SEG_GS].base; }
static void fs_base_changed(struct cpu *cpu) { cpu->gpr[REG_FS_BASE] = cpu->seg[SEG_FS].base; }

static HANDLER(h_swapgs)
{
    uint64_t base = cpu->seg[SEG_GS].base;

    cpu->seg[SEG_GS].base = cpu->kernel_gs_base;
    cpu->kernel_gs_base = base;
    gs_base_changed(cpu);
    NEXT(1);
}
BIND_ONE(swapgs, h_swapgs)

#define BASE_INSTRUCTIONS(letter, seg_, changed)                                                                       \
    static HANDLER(h_rd##letter##sbase32)                                                                              \
    {                                                                                                                  \
        if (!(cpu->cr4 & CR4_FSGSBASE)) {                                                                              \
            cpu_fault(cpu, VEC_UD);                                                                                    \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        set_reg32(cpu, insn->r1, (uint32_t)cpu->seg[seg_].base);                                                       \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static HANDLER(h_rd##letter##sbase64)                                                                              \
    {                                                                                                                  \
        if (!(cpu->cr4 & CR4_FSGSBASE)) {                                                                              \
            cpu_fault(cpu, VEC_UD);                                                                                    \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        set_reg64(cpu, insn->r1, cpu->seg[seg_].base);                                                                 \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static HANDLER(h_wr##letter##sbase32)                                                                              \
    {                                                                                                                  \
        if (!(cpu->cr4 & CR4_FSGSBASE)) {                                                                              \
            cpu_fault(cpu, VEC_UD);                                                                                    \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        cpu->seg[seg_].base = reg32(cpu, insn->r1);                                                                    \
        changed(cpu);                                                                                                  \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static HANDLER(h_wr##letter##sbase64)                                                                              \
    {                                                                                                                  \
        if (!(cpu->cr4 & CR4_FSGSBASE)) {                                                                              \
            cpu_fault(cpu, VEC_UD);                                                                                    \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        if (!cpu_is_canonical(cpu, reg64(cpu, insn->r1))) {                                                            \
            cpu_fault_error(cpu, VEC_GP, 0);                                                                           \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        cpu->seg[seg_].base = reg64(cpu, insn->r1);                                                                    \
        changed(cpu);                                                                                                  \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    BIND_32_64(rd##letter##sbase)                                                                                      \
    BIND_32_64(wr##letter##sbase)
#define BIND_32_64(stem)                                                                                               \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = { [FORM_REG] = { NULL, h_##stem##32, h_##stem##32,                 \
                                                                     h_##stem##64 } } } };
BASE_INSTRUCTIONS(f, SEG_FS, fs_base_changed)
BASE_INSTRUCTIONS(g, SEG_GS, gs_base_changed)

/* ---- time stamp and processor number ---- */

static HANDLER(h_rdtscp)
{
    cpu->current = insn;
    if ((cpu->cr4 & CR4_TSD) && cpu->cpl != 0 && (cpu->cr0 & CR0_PE)) {
        cpu_fault_error(cpu, VEC_GP, 0);
        return fault_exit(cpu, insn);
    }
    uint64_t tsc = control_tsc(cpu);
    set_reg32(cpu, REG_AX, (uint32_t)tsc);
    set_reg32(cpu, REG_DX, (uint32_t)(tsc >> 32));
    set_reg32(cpu, REG_CX, (uint32_t)cpu->tsc_aux);
    NEXT(1);
}
BIND_ONE(rdtscp, h_rdtscp)
static HANDLER(h_rdpid)
{
    set_reg32(cpu, insn->r1, (uint32_t)cpu->tsc_aux);
    NEXT(1);
}
BIND_ONE(rdpid, h_rdpid)

/* ---- protection ---- */

/* AC decides which pages the supervisor may touch under CR4.SMAP: another TLB serves it. */
static HANDLER(h_stac)
{
    if (cpu->cpl != 0) {
        cpu_fault(cpu, VEC_UD);
        return fault_exit(cpu, insn);
    }
    cpu->eflags |= FLAG_AC;
    cpu->tlb = cpu->tlb_arrays[tlb_mode_of(cpu, false)];
    NEXT(1);
}
BIND_ONE(stac, h_stac)
static HANDLER(h_clac)
{
    if (cpu->cpl != 0) {
        cpu_fault(cpu, VEC_UD);
        return fault_exit(cpu, insn);
    }
    cpu->eflags &= ~FLAG_AC;
    cpu->tlb = cpu->tlb_arrays[tlb_mode_of(cpu, false)];
    NEXT(1);
}
BIND_ONE(clac, h_clac)

static bool pkru_ready(struct cpu *cpu)
{
    if (!(cpu->cr4 & CR4_PKE)) {
        return cpu_fault(cpu, VEC_UD);
    }
    return reg32(cpu, REG_CX) == 0 || cpu_fault_error(cpu, VEC_GP, 0);
}
static HANDLER(h_rdpkru)
{
    if (!pkru_ready(cpu)) {
        return fault_exit(cpu, insn);
    }
    set_reg32(cpu, REG_AX, cpu->pkru);
    set_reg32(cpu, REG_DX, 0);
    NEXT(1);
}
BIND_ONE(rdpkru, h_rdpkru)
static HANDLER(h_wrpkru)
{
    if (pkru_ready(cpu) && reg32(cpu, REG_DX) != 0) {
        cpu_fault_error(cpu, VEC_GP, 0);
        return fault_exit(cpu, insn);
    }
    if (!(cpu->cr4 & CR4_PKE) || reg32(cpu, REG_CX) != 0) {
        return fault_exit(cpu, insn);
    }
    control_write_pkru(cpu, reg32(cpu, REG_AX));
    return leave_after(cpu, insn);
}
BIND_ONE(wrpkru, h_wrpkru)

/* INVPCID: the TLB has no PCIDs, so it drops what all of them have. */
static NOINLINE bool do_invpcid(struct cpu *cpu, const struct insn *insn)
{
    uint64_t type = cpu_is_64bit(cpu) ? reg64(cpu, insn->r1) : reg32(cpu, insn->r1);
    uint64_t ea = ea_generic(cpu, insn), low, linear;
    enum segment_index seg = ea_segment(insn);

    cpu_sync(cpu, insn);
    if (!segment_read(cpu, seg, ea, 8, &low) || !segment_read(cpu, seg, (ea + 8) & address_mask(insn), 8, &linear)) {
        return false;
    }
    if (type > 3 || low >> 12 || (type < 2 && (low & 0xfff) && !(cpu->cr4 & CR4_PCIDE)) ||
        (type == 0 && !cpu_is_canonical(cpu, linear))) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if (type == 0) {
        tlb_flush_page(cpu, linear);
    } else {
        tlb_flush(cpu, type != 2);
    }
    return true;
}
static HANDLER(h_invpcid)
{
    if (!do_invpcid(cpu, insn)) {
        return fault_exit(cpu, insn);
    }
    return leave_after(cpu, insn);
}
BIND_ONE(invpcid, h_invpcid)

/* ---- MONITOR, MWAIT ---- */

/* The line is the aligned 64 bytes around DS:rAX. MWAIT waits until they have changed or an interrupt is there: what was there when
 * MONITOR ran is kept, so that whoever writes, processor or device, is seen without a trap on each store. A store of the value that
 * was there before does not wake; MWAIT may wake for other reasons, and software looks again (SDM vol. 3, 9.10.4). */
static NOINLINE bool do_monitor(struct cpu *cpu, const struct insn *insn)
{
    uint64_t linear, value, ea = cpu->gpr[REG_AX] & address_mask(insn);

    cpu->current = insn;
    if (reg32(cpu, REG_CX) != 0) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if (!segment_linear(cpu, ea_segment(insn), ea, 1, ACCESS_READ, &linear) ||
        !linear_read(cpu, linear, 1, false, &value) || !cpu_translate_debug(cpu, linear, &cpu->monitor_line)) {
        return false;
    }
    cpu->monitor_line &= ~(uint64_t)63;
    cpu->monitor_hash = cpu_monitor_hash(cpu);
    cpu->monitor_armed = true;
    return true;
}
static HANDLER(h_monitor)
{
    if (!do_monitor(cpu, insn)) {
        return fault_exit(cpu, insn);
    }
    NEXT_SLOW(1);
}
BIND_ONE(monitor, h_monitor)

/* ECX bit 0: an interrupt ends the wait even when IF is clear. */
static HANDLER(h_mwait)
{
    if (reg32(cpu, REG_CX) & ~UINT32_C(1)) {
        cpu_fault_error(cpu, VEC_GP, 0);
        return fault_exit(cpu, insn);
    }
    cpu_sync(cpu, insn);
    if (cpu->monitor_armed && cpu_monitor_hash(cpu) == cpu->monitor_hash) {
        cpu->halted_state = CPU_HALTED;
        cpu->mwait_waits = true;
        cpu->mwait_breaks = (reg32(cpu, REG_CX) & 1) != 0;
    }
    cpu->monitor_armed = false;
    cpu->pending |= PENDING_LOOK;
    cpu->rip = cpu->next_rip;
    cpu->current = NULL;
    return NULL;
}
BIND_ONE(mwait, h_mwait)
