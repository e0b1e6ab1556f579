/* control.c - control and debug registers, MSRs, CPUID, the time stamp counter and I/O permission, as in Intel SDM
 * vol. 3 (December 2023), 2.5, 4.4.1, 4.10.4, 11.11, 11.12, 17.2, 17.17; vol. 4, table 2-2 and 2-20 (P6 family);
 * vol. 2, CPUID; vol. 1, 19.5.2.
 *
 * What the processor has is its model's (model.h); the TSC runs at 1 GHz. Not implemented: performance counters, last branch
 * records, machine check banks, microcode updates (their MSRs read 0). MTRRs and PAT are stored, but memory has no caches they
 * could rule. */
#include "cpu/system_private.h"

#include <string.h>

/* ---- CPUID ---- */

/* EBX of leaf 1: CLFLUSH works on 8 quadwords. */
#define CLFLUSH_LINE UINT32_C(0x00000800)

#define CRYSTAL_HZ UINT32_C(25000000)
#define TSC_HZ UINT32_C(1000000000)

#define OSXSAVE_BIT (UINT32_C(1) << 27) /* of leaf 1, ECX: follows CR4 */
#define OSPKE_BIT (UINT32_C(1) << 4)    /* of leaf 7, ECX: follows CR4 */

static bool has_long_mode(const struct cpu *cpu) { return cpu_has(cpu, FEATURE_LM); }
static bool has_efer(const struct cpu *cpu) { return has_long_mode(cpu) || cpu_has(cpu, FEATURE_NX); }
static bool has_rdtscp(const struct cpu *cpu) { return cpu_has(cpu, FEATURE_RDTSCP) || cpu_has(cpu, FEATURE_RDPID); }

/* ---- CR0, CR3, CR4 ---- */

#define CR0_WRITABLE (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)

/* SDM vol. 3, 4.4.1: bits 2:1, 8:5 and those above the physical address width are reserved in a present entry. */
bool control_read_pdptes(struct cpu *cpu, uint64_t cr3, uint64_t pdpte[4])
{
    const uint64_t reserved = UINT64_C(0x1e6) | ~physical_mask(cpu);
    phys_addr table = cr3 & (cpu->a20_enabled ? UINT64_C(0xffffffe0) : UINT64_C(0xffefffe0));

    for (unsigned n = 0; n < 4; n++) {
        pdpte[n] = space_read(cpu->board.space, table + n * 8, 8);
        if ((pdpte[n] & 1) && (pdpte[n] & reserved)) {
            return cpu_fault_error(cpu, VEC_GP, 0);
        }
    }
    return true;
}

/* Loads the PDPTE registers for control registers that are about to be set. */
static bool load_pdptes(struct cpu *cpu, uint64_t cr3)
{
    uint64_t pdpte[4];

    if (!control_read_pdptes(cpu, cr3, pdpte)) {
        return false;
    }
    for (unsigned n = 0; n < 4; n++) {
        cpu->pdpte[n] = pdpte[n];
    }
    return true;
}

/* What setting or clearing PG does to IA-32e mode (SDM vol. 3, 10.8.5); false: #GP(0) recorded. */
static bool paging_switch(struct cpu *cpu, uint32_t cr0, uint64_t *efer)
{
    uint32_t cs = cpu->seg[SEG_CS].attributes;

    if (cr0 & CR0_PG) {
        unsigned tss = attributes_system_type(cpu->seg[SEG_TR].attributes);
        if (!(cpu->efer & EFER_LME)) {
            return true;
        }
        if (!(cpu->cr4 & CR4_PAE) || (cs & ATTR_L) || tss == TYPE_TSS16_BUSY || tss == TYPE_TSS16) {
            return cpu_fault_error(cpu, VEC_GP, 0);
        }
        *efer |= EFER_LMA;
        return true;
    }
    if (cpu_is_64bit(cpu) || (cpu->cr4 & CR4_PCIDE)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    *efer &= ~EFER_LMA;
    return true;
}

bool control_write_cr0(struct cpu *cpu, uint64_t value)
{
    /* Reserved bits of the lower half are ignored, ET is always 1. */
    uint32_t cr0 = ((uint32_t)value & CR0_WRITABLE) | CR0_ET;
    uint32_t changed = cr0 ^ cpu->cr0;
    uint64_t efer = cpu->efer;

    if (value >> 32 || ((cr0 & CR0_PG) && !(cr0 & CR0_PE)) || ((cr0 & CR0_NW) && !(cr0 & CR0_CD))) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if ((changed & CR0_PG) && !paging_switch(cpu, cr0, &efer)) {
        return false;
    }
    if ((cr0 & CR0_PG) && (cpu->cr4 & CR4_PAE) && !(efer & EFER_LMA) && (changed & (CR0_PG | CR0_CD | CR0_NW)) &&
        !load_pdptes(cpu, cpu->cr3)) {
        return false;
    }
    cpu->cr0 = cr0;
    cpu->efer = efer;
    if (!(cr0 & CR0_PE)) {
        cpu->cpl = 0;
    }
    if (changed & (CR0_PG | CR0_WP | CR0_PE)) {
        tlb_flush(cpu, false);
    }
    cpu_update_mode(cpu);
    return true;
}

#define CR3_NO_FLUSH (UINT64_C(1) << 63)

bool control_write_cr3(struct cpu *cpu, uint64_t value)
{
    bool is_long = cpu_is_long(cpu);
    uint64_t kept = value;

    if (is_long && (cpu->cr4 & CR4_PCIDE)) {
        kept &= ~CR3_NO_FLUSH;
    }
    if (kept & ~(is_long ? physical_mask(cpu) : UINT64_C(0xffffffff))) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if ((cpu->cr0 & CR0_PG) && (cpu->cr4 & CR4_PAE) && !is_long && !load_pdptes(cpu, value)) {
        return false;
    }
    /* The TLB has no PCIDs: what is to be kept of another one's is dropped as well, which it may be. */
    if (kept == value || kept != cpu->cr3) {
        tlb_flush(cpu, (cpu->cr4 & CR4_PGE) != 0);
    }
    cpu->cr3 = kept;
    return true;
}

void control_write_pkru(struct cpu *cpu, uint32_t value)
{
    if (cpu->pkru != value) {
        cpu->pkru = value;
        if (cpu->cr4 & CR4_PKE) {
            tlb_flush(cpu, false);
        }
    }
}

/* CR8 is the task priority of the local APIC (SDM vol. 3, 11.8.6). */
uint64_t control_read_cr8(const struct cpu *cpu)
{
    return cpu->board.apic ? cpu->board.apic->cr8(cpu->board.context) : cpu->cr8;
}

bool control_write_cr8(struct cpu *cpu, uint64_t value)
{
    if (value > 15) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if (cpu->board.apic) {
        cpu->board.apic->set_cr8(cpu->board.context, (unsigned)value);
    } else {
        cpu->cr8 = value;
    }
    return true;
}

/* Bits of CR4 that come with a feature; the others are reserved. */
static uint32_t cr4_writable(const struct cpu *cpu)
{
    static const struct {
        enum feature feature;
        uint32_t bits;
    } rows[] = {
        { FEATURE_VME, CR4_VME | CR4_PVI },  { FEATURE_TSC, CR4_TSD },           { FEATURE_DE, CR4_DE },
        { FEATURE_PSE, CR4_PSE },            { FEATURE_PAE, CR4_PAE },           { FEATURE_MCE, CR4_MCE },
        { FEATURE_PGE, CR4_PGE },            { FEATURE_FXSR, CR4_OSFXSR },       { FEATURE_SSE, CR4_OSXMMEXCPT },
        { FEATURE_XSAVE, CR4_OSXSAVE },      { FEATURE_UMIP, CR4_UMIP },         { FEATURE_LA57, CR4_LA57 },
        { FEATURE_FSGSBASE, CR4_FSGSBASE },  { FEATURE_PCID, CR4_PCIDE },        { FEATURE_SMEP, CR4_SMEP },
        { FEATURE_SMAP, CR4_SMAP },          { FEATURE_PKU, CR4_PKE },
    };
    uint32_t bits = cpu_has(cpu, FEATURE_FAMILY6) ? CR4_PCE : 0; /* RDPMC has no CPUID bit */

    for (unsigned n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
        bits |= cpu_has(cpu, rows[n].feature) ? rows[n].bits : 0;
    }
    return bits;
}

bool control_write_cr4(struct cpu *cpu, uint64_t value)
{
    if (value & ~(uint64_t)cr4_writable(cpu)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    uint32_t cr4 = (uint32_t)value;
    uint32_t changed = cr4 ^ cpu->cr4;
    if (cpu_is_long(cpu) ? (changed & CR4_LA57) || !(cr4 & CR4_PAE) : (cr4 & CR4_PCIDE) != 0) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if ((changed & cr4 & CR4_PCIDE) && (cpu->cr3 & 0xfff)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if ((cr4 & CR4_PAE) && (cpu->cr0 & CR0_PG) && !cpu_is_long(cpu) && (changed & (CR4_PAE | CR4_PGE | CR4_PSE)) &&
        !load_pdptes(cpu, cpu->cr3)) {
        return false;
    }
    cpu->cr4 = cr4;
    if (changed & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_PKE | CR4_LA57)) {
        tlb_flush(cpu, false);
    }
    cpu_update_mode(cpu);
    return true;
}

/* ---- debug registers (SDM vol. 3, 17.2) ---- */

#define DR6_FIXED_ONES UINT32_C(0xffff0ff0)
#define DR6_WRITABLE UINT32_C(0x0000e00f)
#define DR7_FIXED_ONES UINT32_C(0x00000400)
#define DR7_WRITABLE UINT32_C(0xffff23ff)

/* DR4 and DR5 are DR6 and DR7 unless CR4.DE makes them undefined; then general detect. */
static bool debug_register_check(struct cpu *cpu, unsigned *index)
{
    if (*index == 4 || *index == 5) {
        if (cpu->cr4 & CR4_DE) {
            return cpu_fault(cpu, VEC_UD);
        }
        *index += 2;
    }
    if (cpu->dr[7] & DR7_GD) {
        cpu->dr[6] |= DR6_BD; /* the #DB handler sees it; nothing else of the state changes */
        return cpu_fault(cpu, VEC_DB);
    }
    return true;
}

bool control_read_dr(struct cpu *cpu, unsigned index, uint64_t *value)
{
    index &= 7;
    if (!debug_register_check(cpu, &index)) {
        return false;
    }
    *value = cpu->dr[index];
    if (index == 6) {
        *value = (cpu->dr[6] & DR6_WRITABLE) | DR6_FIXED_ONES;
    } else if (index == 7) {
        *value = (cpu->dr[7] & DR7_WRITABLE) | DR7_FIXED_ONES;
    }
    return true;
}

bool control_write_dr(struct cpu *cpu, unsigned index, uint64_t value)
{
    index &= 7;
    if (!debug_register_check(cpu, &index)) {
        return false;
    }
    if (index >= 6 && value >> 32) {
        return cpu_fault_error(cpu, VEC_GP, 0); /* in 64-bit code; elsewhere values have 32 bits */
    }
    if (index == 6) {
        cpu->dr[6] = (value & DR6_WRITABLE) | DR6_FIXED_ONES;
        return true;
    }
    cpu->dr[index] = index == 7 ? (value & DR7_WRITABLE) | DR7_FIXED_ONES : value;
    tlb_watch_changed(cpu);
    cpu_update_mode(cpu);
    return true;
}

/* ---- MSRs ---- */

enum msr_index {
    MSR_P5_MC_ADDR = 0x000,
    MSR_P5_MC_TYPE = 0x001,
    MSR_TSC = 0x010,
    MSR_PLATFORM_ID = 0x017,
    MSR_APIC_BASE = 0x01b,
    MSR_EBL_CR_POWERON = 0x02a,
    MSR_BIOS_UPDT_TRIG = 0x079,
    MSR_BIOS_SIGN_ID = 0x08b,
    MSR_PERFCTR0 = 0x0c1,
    MSR_PERFCTR1 = 0x0c2,
    MSR_MTRRCAP = 0x0fe,
    MSR_SYSENTER_CS = 0x174,
    MSR_SYSENTER_ESP = 0x175,
    MSR_SYSENTER_EIP = 0x176,
    MSR_MCG_CAP = 0x179,
    MSR_MCG_STATUS = 0x17a,
    MSR_PERFEVTSEL0 = 0x186,
    MSR_PERFEVTSEL1 = 0x187,
    MSR_MISC_ENABLE = 0x1a0,
    MSR_DEBUGCTL = 0x1d9,
    MSR_LASTBRANCH_FIRST = 0x1db,
    MSR_LASTBRANCH_LAST = 0x1de,
    MSR_MTRR_BASE0 = 0x200,
    MSR_MTRR_FIX64K = 0x250,
    MSR_MTRR_FIX16K_0 = 0x258,
    MSR_MTRR_FIX16K_1 = 0x259,
    MSR_MTRR_FIX4K_0 = 0x268,
    MSR_PAT = 0x277,
    MSR_MTRR_DEF_TYPE = 0x2ff
};

/* An interpreter does not speculate: it has none of the leaks that ARCH_CAPABILITIES lets a processor disown (SDM vol. 4, table 2-2:
 * RDCL_NO, IBRS_ALL, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, IF_PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, BHI_NO,
 * PBRSB_NO, GDS_NO, RFDS_NO). */
#define ARCH_CAPABILITIES UINT64_C(0x0d10e17b)
#define MSR_SPEC_CTRL UINT32_C(0x48)
#define MSR_PRED_CMD UINT32_C(0x49)
#define MSR_ARCH_CAPABILITIES UINT32_C(0x10a)
#define MSR_EFER UINT32_C(0xc0000080)
#define MSR_STAR UINT32_C(0xc0000081)
#define MSR_LSTAR UINT32_C(0xc0000082)
#define MSR_CSTAR UINT32_C(0xc0000083)
#define MSR_FMASK UINT32_C(0xc0000084)
#define MSR_FS_BASE UINT32_C(0xc0000100)
#define MSR_GS_BASE UINT32_C(0xc0000101)
#define MSR_KERNEL_GS_BASE UINT32_C(0xc0000102)
#define MSR_TSC_AUX UINT32_C(0xc0000103)

enum { MTRR_VARIABLE_COUNT = 8 };

#define APIC_BASE_BSP UINT64_C(0x100)
#define APIC_BASE_ENABLE UINT64_C(0x800)
#define MISC_ENABLE_FAST_STRINGS UINT64_C(0x1)
#define MISC_ENABLE_LIMIT_CPUID UINT64_C(0x400000)

/* Types that an MTRR may hold: UC, WC, WT, WP, WB. PAT has UC- (7) as well (SDM vol. 3, 11.11.2.1, 11.12.2). */
static bool is_memory_type(unsigned type) { return type < 7 && (0x73u >> type & 1); }

static bool are_memory_types(uint64_t types, bool is_pat)
{
    for (unsigned n = 0; n < 8; n++) {
        unsigned type = (unsigned)(types >> (n * 8)) & 0xff;
        if (!is_memory_type(type) && !(is_pat && type == 7)) {
            return false;
        }
    }
    return true;
}

/* The fixed-range MTRR with that MSR number, or NULL. */
static uint64_t *fixed_mtrr(struct cpu *cpu, uint32_t index)
{
    if (index == MSR_MTRR_FIX64K) {
        return &cpu->mtrr_fixed[0];
    }
    if (index == MSR_MTRR_FIX16K_0 || index == MSR_MTRR_FIX16K_1) {
        return &cpu->mtrr_fixed[1 + index - MSR_MTRR_FIX16K_0];
    }
    if (index >= MSR_MTRR_FIX4K_0 && index < MSR_MTRR_FIX4K_0 + 8) {
        return &cpu->mtrr_fixed[3 + index - MSR_MTRR_FIX4K_0];
    }
    return NULL;
}

/* The variable-range MTRR with that MSR number, or NULL; odd numbers are masks. */
static uint64_t *variable_mtrr(struct cpu *cpu, uint32_t index)
{
    uint32_t n = index - MSR_MTRR_BASE0;

    if (n >= 2 * MTRR_VARIABLE_COUNT) {
        return NULL;
    }
    return n & 1 ? &cpu->mtrr_mask[n / 2] : &cpu->mtrr_base[n / 2];
}

/* MSRs of the P6 family that are there, read 0 and take writes without effect. */
static bool is_inert_msr(uint32_t index)
{
    switch (index) {
    case MSR_P5_MC_ADDR:
    case MSR_P5_MC_TYPE:
    case MSR_PLATFORM_ID:
    case MSR_EBL_CR_POWERON:
    case MSR_BIOS_UPDT_TRIG:
    case MSR_PERFCTR0:
    case MSR_PERFCTR1:
    case MSR_PERFEVTSEL0:
    case MSR_PERFEVTSEL1:
    case MSR_MCG_STATUS:
    case MSR_DEBUGCTL:
        return true;
    default:
        return index >= MSR_LASTBRANCH_FIRST && index <= MSR_LASTBRANCH_LAST;
    }
}

/* An MSR that is not there: #GP(0). Logged, but a guest that probes in a loop must not flood the log, and there is no
 * state to remember each of 2^32 numbers in: the channel's count of messages is the limit. */
static bool msr_unknown(struct cpu *cpu, uint32_t index, const char *what)
{
    if (cpu->board.log && cpu->log_channel && cpu->log_channel->guest_messages < 64) {
        log_write(cpu->board.log, cpu->log_channel, LOG_GUEST, "%s of unknown MSR 0x%08x at 0x%08x: #GP", what,
                  (unsigned)index, (unsigned)cpu->rip);
    }
    return cpu_fault_error(cpu, VEC_GP, 0);
}

uint64_t control_tsc(const struct cpu *cpu) { return clock_now(cpu->board.clock) + cpu->tsc_offset; }

/* The MSRs of SYSCALL and of segment bases: where they are, or NULL. They come with 64-bit mode. */
static uint64_t *long_msr(struct cpu *cpu, uint32_t index)
{
    switch (has_long_mode(cpu) ? index : 0) {
    case MSR_STAR:
        return &cpu->star;
    case MSR_LSTAR:
        return &cpu->lstar;
    case MSR_CSTAR:
        return &cpu->cstar;
    case MSR_FMASK:
        return &cpu->fmask;
    case MSR_FS_BASE:
        return &cpu->seg[SEG_FS].base;
    case MSR_GS_BASE:
        return &cpu->seg[SEG_GS].base;
    case MSR_KERNEL_GS_BASE:
        return &cpu->kernel_gs_base;
    default:
        return NULL;
    }
}

static bool write_long_msr(struct cpu *cpu, uint32_t index, uint64_t *msr, uint64_t value)
{
    bool is_address = index != MSR_STAR && index != MSR_FMASK;

    if ((is_address && !cpu_is_canonical(cpu, value)) || (index == MSR_FMASK && value >> 32)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    *msr = value;
    cpu_update_mode(cpu);
    return true;
}

static bool write_sysenter(struct cpu *cpu, uint64_t *msr, uint64_t value)
{
    if (has_long_mode(cpu) && !cpu_is_canonical(cpu, value)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    *msr = has_long_mode(cpu) ? value : value & LINEAR_MASK;
    return true;
}

static bool write_efer(struct cpu *cpu, uint64_t value)
{
    uint64_t writable = (cpu_has(cpu, FEATURE_NX) ? EFER_NXE : 0) | (has_long_mode(cpu) ? EFER_SCE | EFER_LME : 0);
    uint64_t changed = (value ^ cpu->efer) & writable;

    if ((value & ~(writable | EFER_LMA)) || ((changed & EFER_LME) && (cpu->cr0 & CR0_PG))) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    cpu->efer = (cpu->efer & EFER_LMA) | (value & writable);
    if (changed & EFER_NXE) {
        tlb_flush(cpu, false);
    }
    return true;
}

bool control_rdmsr(struct cpu *cpu, uint32_t index, uint64_t *value)
{
    const uint64_t *mtrr = fixed_mtrr(cpu, index);

    if (!mtrr) {
        mtrr = long_msr(cpu, index);
    }

    if (!mtrr) {
        mtrr = variable_mtrr(cpu, index);
    }
    if (mtrr) {
        *value = *mtrr;
        return true;
    }
    if (index == MSR_EFER && has_efer(cpu)) {
        *value = cpu->efer;
        return true;
    }
    if (index == MSR_SPEC_CTRL && cpu_has(cpu, FEATURE_IBRS)) {
        *value = cpu->spec_ctrl;
        return true;
    }
    if (index == MSR_ARCH_CAPABILITIES && cpu_has(cpu, FEATURE_ARCH_CAPABILITIES)) {
        *value = cpu_has(cpu, FEATURE_IBRS) ? ARCH_CAPABILITIES : ARCH_CAPABILITIES & ~UINT64_C(2);
        return true;
    }
    if (index == MSR_TSC_AUX && has_rdtscp(cpu)) {
        *value = cpu->tsc_aux;
        return true;
    }
    switch (index) {
    case MSR_TSC:
        *value = control_tsc(cpu);
        return true;
    case MSR_APIC_BASE:
        if (!cpu_has(cpu, FEATURE_APIC)) {
            return msr_unknown(cpu, index, "read");
        }
        *value = cpu->apic_base;
        return true;
    case MSR_BIOS_SIGN_ID:
        *value = cpu->bios_sign_id;
        return true;
    case MSR_MTRRCAP:
        *value = MTRR_VARIABLE_COUNT | 0x100 | 0x400; /* fixed ranges, write combining */
        return true;
    case MSR_SYSENTER_CS:
        *value = cpu->sysenter_cs;
        return true;
    case MSR_SYSENTER_ESP:
        *value = cpu->sysenter_esp;
        return true;
    case MSR_SYSENTER_EIP:
        *value = cpu->sysenter_eip;
        return true;
    case MSR_MCG_CAP:
        *value = 0; /* no banks */
        return true;
    case MSR_MISC_ENABLE:
        *value = cpu->misc_enable;
        return true;
    case MSR_PAT:
        *value = cpu->pat;
        return true;
    case MSR_MTRR_DEF_TYPE:
        *value = cpu->mtrr_def_type;
        return true;
    default:
        *value = 0;
        return is_inert_msr(index) || apic_read_msr(cpu, index, value) || msr_unknown(cpu, index, "read");
    }
}

/* Stores `value` unless it has bits outside of `writable`: #GP(0). */
static bool msr_store(struct cpu *cpu, uint64_t *msr, uint64_t value, uint64_t writable)
{
    if (value & ~writable) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    *msr = value;
    return true;
}

/* MTRRs: SDM vol. 3, 11.11.2. */
static bool write_mtrr(struct cpu *cpu, uint32_t index, uint64_t value)
{
    uint64_t *fixed = fixed_mtrr(cpu, index);
    uint64_t *variable = variable_mtrr(cpu, index);

    if (fixed) {
        return are_memory_types(value, false) ? msr_store(cpu, fixed, value, UINT64_MAX)
                                              : cpu_fault_error(cpu, VEC_GP, 0);
    }
    if (variable) {
        bool is_mask = (index & 1) != 0;
        if (!is_mask && !is_memory_type((unsigned)value & 0xff)) {
            return cpu_fault_error(cpu, VEC_GP, 0);
        }
        return msr_store(cpu, variable, value, (physical_mask(cpu) & ~UINT64_C(0xfff)) | (is_mask ? 0x800u : 0xffu));
    }
    if (!is_memory_type((unsigned)value & 0xff)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    return msr_store(cpu, &cpu->mtrr_def_type, value, UINT64_C(0xcff));
}

bool control_wrmsr(struct cpu *cpu, uint32_t index, uint64_t value)
{
    if (fixed_mtrr(cpu, index) || variable_mtrr(cpu, index) || index == MSR_MTRR_DEF_TYPE) {
        return write_mtrr(cpu, index, value);
    }
    uint64_t *msr = long_msr(cpu, index);
    if (msr) {
        return write_long_msr(cpu, index, msr, value);
    }
    if (index == MSR_EFER && has_efer(cpu)) {
        return write_efer(cpu, value);
    }
    if (index == MSR_SPEC_CTRL && cpu_has(cpu, FEATURE_IBRS)) {
        return msr_store(cpu, &cpu->spec_ctrl, value, 7); /* IBRS, STIBP, SSBD: nothing to restrain */
    }
    if (index == MSR_PRED_CMD && cpu_has(cpu, FEATURE_IBRS)) {
        return value & ~UINT64_C(1) ? cpu_fault_error(cpu, VEC_GP, 0) : true;
    }
    if (index == MSR_TSC_AUX && has_rdtscp(cpu)) {
        return msr_store(cpu, &cpu->tsc_aux, value, UINT64_C(0xffffffff));
    }
    switch (index) {
    case MSR_TSC:
        cpu->tsc_offset = value - clock_now(cpu->board.clock);
        apic_tsc_changed(cpu);
        return true;
    case MSR_APIC_BASE:
        return cpu_has(cpu, FEATURE_APIC) ? apic_write_base(cpu, value, physical_mask(cpu)) : msr_unknown(cpu, index, "write");
    case MSR_BIOS_SIGN_ID:
        cpu->bios_sign_id = value;
        return true;
    case MSR_MTRRCAP:
    case MSR_MCG_CAP:
        return cpu_fault_error(cpu, VEC_GP, 0); /* read-only */
    case MSR_SYSENTER_CS:
        cpu->sysenter_cs = value & LINEAR_MASK;
        return true;
    case MSR_SYSENTER_ESP:
        return write_sysenter(cpu, &cpu->sysenter_esp, value);
    case MSR_SYSENTER_EIP:
        return write_sysenter(cpu, &cpu->sysenter_eip, value);
    case MSR_MISC_ENABLE:
        cpu->misc_enable = value & (MISC_ENABLE_FAST_STRINGS | MISC_ENABLE_LIMIT_CPUID);
        return true;
    case MSR_PAT:
        return are_memory_types(value, true) ? msr_store(cpu, &cpu->pat, value, UINT64_MAX)
                                             : cpu_fault_error(cpu, VEC_GP, 0);
    default:
        return is_inert_msr(index) || apic_write_msr(cpu, index, value) || msr_unknown(cpu, index, "write");
    }
}

/* ---- CPUID (SDM vol. 2A) ---- */

#define CPUID_EXTENDED UINT32_C(0x80000000)

struct cpuid_leaf {
    uint32_t eax, ebx, ecx, edx;
};

/* Leaf 0Dh: the components of XSAVE's area. */
static struct cpuid_leaf cpuid_xsave(const struct cpu *cpu, uint32_t subleaf)
{
    struct cpuid_leaf leaf = { 0 };

    if (!cpu_has(cpu, FEATURE_XSAVE)) {
        return leaf;
    }
    if (subleaf == 0) {
        leaf.eax = (uint32_t)xsave_components(cpu);
        leaf.ebx = xsave_size(cpu, cpu->xcr0);
        leaf.ecx = xsave_size(cpu, xsave_components(cpu));
    } else if (subleaf == 1) {
        leaf.eax = cpu->model.features[WORD_D1_EAX];
        leaf.ebx = xsave_compact_size(cpu, cpu->xcr0);
    } else if (subleaf < 32 && (xsave_components(cpu) >> subleaf & 1)) {
        leaf.eax = xsave_component_size(subleaf);
        leaf.ebx = xsave_component_offset(subleaf);
    }
    return leaf;
}

static struct cpuid_leaf cpuid_basic(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t max)
{
    const uint32_t *features = cpu->model.features;
    struct cpuid_leaf none = { 0 };

    switch (leaf) {
    case 0x00: /* "GenuineIntel" */
        return (struct cpuid_leaf){ max, UINT32_C(0x756e6547), UINT32_C(0x6c65746e), UINT32_C(0x49656e69) };
    case 0x01:
        return (struct cpuid_leaf){ cpu->model.signature, cpu_has(cpu, FEATURE_CLFLUSH) ? CLFLUSH_LINE : 0,
                                    features[WORD_1_ECX] | (cpu->cr4 & CR4_OSXSAVE ? OSXSAVE_BIT : 0),
                                    features[WORD_1_EDX] };
    case 0x02: /* the Pentium II's: TLBs 01h to 04h, L1 08h and 0ch of 16 KiB, L2 43h of 512 KiB */
        return (struct cpuid_leaf){ UINT32_C(0x03020101), 0, 0, UINT32_C(0x0c040843) };
    case 0x05: /* MONITOR lines of 64 bytes; MWAIT's ECX bit 0 is there; one kind of C1 */
        return cpu_has(cpu, FEATURE_MONITOR) ? (struct cpuid_leaf){ 64, 64, 3, 0x10 } : none;
    case 0x07:
        return subleaf == 0 ? (struct cpuid_leaf){ 0, features[WORD_7_EBX],
                                                   features[WORD_7_ECX] | (cpu->cr4 & CR4_PKE ? OSPKE_BIT : 0),
                                                   features[WORD_7_EDX] }
                            : none;
    case 0x0d:
        return cpuid_xsave(cpu, subleaf);
    case 0x15: /* TSC = crystal * EBX / EAX */
        return (struct cpuid_leaf){ 1, TSC_HZ / CRYSTAL_HZ, CRYSTAL_HZ, 0 };
    case 0x16: /* MHz: base, maximum, bus */
        return (struct cpuid_leaf){ TSC_HZ / 1000000, TSC_HZ / 1000000, 100, 0 };
    default:
        return none;
    }
}

static struct cpuid_leaf cpuid_extended(const struct cpu *cpu, uint32_t leaf)
{
    const uint32_t *features = cpu->model.features;
    char brand[48] = { 0 };

    switch (leaf - CPUID_EXTENDED) {
    case 0:
        return (struct cpuid_leaf){ cpu->model.extended_max, 0, 0, 0 };
    case 1: {
        /* SYSCALL is said to be there in 64-bit code only. */
        uint32_t syscall = UINT32_C(1) << (FEATURE_SYSCALL % 32);
        return (struct cpuid_leaf){ 0, 0, features[WORD_81_ECX],
                                    features[WORD_81_EDX] & ~(cpu_is_64bit(cpu) ? 0 : syscall) };
    }
    case 2:
    case 3:
    case 4: {
        const char *text = brand + (leaf - CPUID_EXTENDED - 2) * 16;
        strncpy(brand, cpu->model.brand, sizeof brand - 1);
        return (struct cpuid_leaf){ load_le32(text), load_le32(text + 4), load_le32(text + 8), load_le32(text + 12) };
    }
    case 7:
        return (struct cpuid_leaf){ 0, 0, 0, features[WORD_87_EDX] };
    case 8:
        return (struct cpuid_leaf){ cpu->model.physical_bits | (cpu_has(cpu, FEATURE_LA57) ? 57u : 48u) << 8, 0, 0, 0 };
    default:
        return (struct cpuid_leaf){ 0 };
    }
}

void control_cpuid(struct cpu *cpu)
{
    uint32_t leaf = cpu_reg32(cpu, REG_AX), subleaf = cpu_reg32(cpu, REG_CX);
    /* MISC_ENABLE bit 22 is for systems that cannot bear large numbers (Windows NT 4.0). */
    uint32_t max = cpu->misc_enable & MISC_ENABLE_LIMIT_CPUID && cpu->model.basic_max > 2 ? 2 : cpu->model.basic_max;
    struct cpuid_leaf result;

    if (leaf >= CPUID_EXTENDED && leaf <= cpu->model.extended_max) {
        result = cpuid_extended(cpu, leaf);
    } else {
        /* Beyond the last leaf Intel processors answer with the highest basic one. */
        result = cpuid_basic(cpu, leaf > max ? max : leaf, subleaf, max);
    }
    cpu->gpr[REG_AX] = result.eax;
    cpu->gpr[REG_BX] = result.ebx;
    cpu->gpr[REG_CX] = result.ecx;
    cpu->gpr[REG_DX] = result.edx;
    apic_cpuid(cpu, leaf, subleaf);
}

/* ---- I/O breakpoints (SDM vol. 3, 17.2.4) and permission (SDM vol. 1, 19.5) ---- */

/* Breakpoints of kind 10b, with CR4.DE: the access will trap when it is done. */
static void note_io_breakpoints(struct cpu *cpu, uint16_t port, unsigned size)
{
    static const uint8_t lengths[4] = { 1, 2, 8, 4 };

    for (unsigned n = 0; n < 4 && (cpu->cr4 & CR4_DE); n++) {
        unsigned control = (unsigned)(cpu->dr[7] >> (16 + 4 * n)) & 15;
        uint64_t length = lengths[control >> 2];
        uint64_t start = cpu->dr[n] & ~(length - 1);
        if ((control & 3) == 2 && port < start + length && start < (uint64_t)port + size) {
            cpu->debug_pending |= 1u << n;
            if (cpu->dr[7] >> (2 * n) & 3) {
                cpu->pending |= PENDING_DEBUG;
            }
        }
    }
}

static bool io_permitted(struct cpu *cpu, uint16_t port, unsigned size)
{
    const struct segment *tss = &cpu->seg[SEG_TR];
    uint64_t base, bits;

    if (!(cpu->cr0 & CR0_PE) || (!cpu_is_vm86(cpu) && cpu->cpl <= cpu_iopl(cpu))) {
        return true;
    }
    if ((tss->attributes & ATTR_NULL) || !(tss->attributes & TYPE_32BIT_BIT) || tss->limit < 0x67) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if (!system_read(cpu, tss->base + 0x66, 2, &base)) {
        return false;
    }
    /* Two bytes are always read, so that the map needs a byte of ones at its end. */
    uint32_t at = (uint32_t)base + port / 8u;
    if (at + 1 > tss->limit) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if (!system_read(cpu, tss->base + at, 2, &bits)) {
        return false;
    }
    if (bits >> (port & 7) & ((1u << size) - 1)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    return true;
}

bool control_io_allowed(struct cpu *cpu, uint16_t port, unsigned size)
{
    if (!io_permitted(cpu, port, size)) {
        return false;
    }
    if (cpu->data_breakpoints) {
        note_io_breakpoints(cpu, port, size);
    }
    return true;
}
