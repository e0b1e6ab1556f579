/* control.c - control and debug registers, MSRs, CPUID, the time stamp counter and I/O permission, as in Intel SDM
 * vol. 3 (December 2023), 2.5, 4.4.1, 4.10.4, 11.11, 11.12, 17.2, 17.17; vol. 4, table 2-2 and 2-20 (P6 family);
 * vol. 2, CPUID; vol. 1, 19.5.2.
 *
 * The processor calls itself a Pentium II (family 6, model 3) whose TSC runs at 1 GHz, with the features of later ones that are
 * implemented. Not implemented: performance
 * counters, last branch records, machine check banks, microcode updates (their MSRs read 0), EFER and all that
 * hangs on it. MTRRs and PAT are stored, but memory has no caches they could rule. */
#include "cpu/system_private.h"

enum { PHYSICAL_BITS = 36 };
#define PHYSICAL_MASK ((UINT64_C(1) << PHYSICAL_BITS) - 1)

/* ---- CPUID feature bits ---- */

#define FEATURE_FPU (UINT32_C(1) << 0)
#define FEATURE_VME (UINT32_C(1) << 1)
#define FEATURE_DE (UINT32_C(1) << 2)
#define FEATURE_PSE (UINT32_C(1) << 3)
#define FEATURE_TSC (UINT32_C(1) << 4)
#define FEATURE_MSR (UINT32_C(1) << 5)
#define FEATURE_PAE (UINT32_C(1) << 6)
#define FEATURE_MCE (UINT32_C(1) << 7)
#define FEATURE_CX8 (UINT32_C(1) << 8)
#define FEATURE_SEP (UINT32_C(1) << 11)
#define FEATURE_MTRR (UINT32_C(1) << 12)
#define FEATURE_PGE (UINT32_C(1) << 13)
#define FEATURE_CMOV (UINT32_C(1) << 15)
#define FEATURE_PAT (UINT32_C(1) << 16)
#define FEATURE_PSE36 (UINT32_C(1) << 17)
#define FEATURE_CLFSH (UINT32_C(1) << 19)
#define FEATURE_MMX (UINT32_C(1) << 23)
#define FEATURE_FXSR (UINT32_C(1) << 24)
#define FEATURE_SSE (UINT32_C(1) << 25)
#define FEATURE_SSE2 (UINT32_C(1) << 26)
/* ECX */
#define FEATURE_SSE3 (UINT32_C(1) << 0)
#define FEATURE_PCLMULQDQ (UINT32_C(1) << 1)
#define FEATURE_SSSE3 (UINT32_C(1) << 9)
#define FEATURE_SSE4_1 (UINT32_C(1) << 19)
#define FEATURE_SSE4_2 (UINT32_C(1) << 20)
#define FEATURE_POPCNT (UINT32_C(1) << 23)
#define FEATURE_AES (UINT32_C(1) << 25)
#define FEATURE_XSAVE (UINT32_C(1) << 26)
#define FEATURE_OSXSAVE (UINT32_C(1) << 27) /* follows CR4 */
#define FEATURE_RDRAND (UINT32_C(1) << 30)
/* leaf 7, EBX */
#define FEATURE_RDSEED (UINT32_C(1) << 18)

/* What this processor has; the one place to add a bit when it is implemented. */
static const struct {
    uint32_t leaf1_edx, leaf1_ecx;
    uint32_t leaf7_ebx, leaf7_ecx, leaf7_edx;
    uint32_t extended_edx, extended_ecx; /* leaf 80000001h */
} features = {
    .leaf1_edx = FEATURE_FPU | FEATURE_VME | FEATURE_DE | FEATURE_PSE | FEATURE_TSC | FEATURE_MSR | FEATURE_PAE |
                 FEATURE_MCE | FEATURE_CX8 | FEATURE_SEP | FEATURE_MTRR | FEATURE_PGE | FEATURE_CMOV | FEATURE_PAT |
                 FEATURE_PSE36 | FEATURE_CLFSH | FEATURE_MMX | FEATURE_FXSR | FEATURE_SSE | FEATURE_SSE2,
    .leaf1_ecx = FEATURE_SSE3 | FEATURE_PCLMULQDQ | FEATURE_SSSE3 | FEATURE_SSE4_1 | FEATURE_SSE4_2 | FEATURE_POPCNT |
                 FEATURE_AES | FEATURE_XSAVE | FEATURE_RDRAND,
    .leaf7_ebx = FEATURE_RDSEED,
};

/* EBX of leaf 1: CLFLUSH works on 8 quadwords. */
#define CLFLUSH_LINE UINT32_C(0x00000800)

/* Family 6, model 3, stepping 4: a "Klamath". SYSENTER needs at least 633h (SDM vol. 2B, SYSENTER). */
#define CPU_SIGNATURE UINT32_C(0x00000634)

#define CRYSTAL_HZ UINT32_C(25000000)
#define TSC_HZ UINT32_C(1000000000)

static const char brand_string[48] = "tick86 i686 processor @ 1.00GHz";

/* ---- CR0, CR3, CR4 ---- */

#define CR0_WRITABLE (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)

/* SDM vol. 3, 4.4.1: bits 2:1, 8:5 and those above the physical address width are reserved in a present entry. */
bool control_read_pdptes(struct cpu *cpu, uint64_t cr3, uint64_t pdpte[4])
{
    const uint64_t reserved = UINT64_C(0x1e6) | ~PHYSICAL_MASK;
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

bool control_write_cr0(struct cpu *cpu, uint64_t value)
{
    /* Reserved bits of the lower half are ignored, ET is always 1. */
    uint32_t cr0 = ((uint32_t)value & CR0_WRITABLE) | CR0_ET;
    uint32_t changed = cr0 ^ cpu->cr0;

    if (value >> 32 || ((cr0 & CR0_PG) && !(cr0 & CR0_PE)) || ((cr0 & CR0_NW) && !(cr0 & CR0_CD))) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if ((cr0 & CR0_PG) && (cpu->cr4 & CR4_PAE) && (changed & (CR0_PG | CR0_CD | CR0_NW)) &&
        !load_pdptes(cpu, cpu->cr3)) {
        return false;
    }
    cpu->cr0 = cr0;
    if (!(cr0 & CR0_PE)) {
        cpu->cpl = 0;
    }
    if (changed & (CR0_PG | CR0_WP | CR0_PE)) {
        tlb_flush(cpu, false);
    }
    cpu_update_mode(cpu);
    return true;
}

bool control_write_cr3(struct cpu *cpu, uint64_t value)
{
    if (value >> 32) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if ((cpu->cr0 & CR0_PG) && (cpu->cr4 & CR4_PAE) && !load_pdptes(cpu, value)) {
        return false;
    }
    cpu->cr3 = value;
    tlb_flush(cpu, (cpu->cr4 & CR4_PGE) != 0);
    return true;
}

/* Bits of CR4 that come with a feature; the others are reserved. */
static uint32_t cr4_writable(void)
{
    static const struct {
        uint32_t feature, bits;
    } rows[] = {
        { FEATURE_VME, CR4_VME | CR4_PVI }, { FEATURE_TSC, CR4_TSD },   { FEATURE_DE, CR4_DE },
        { FEATURE_PSE, CR4_PSE },           { FEATURE_PAE, CR4_PAE },   { FEATURE_MCE, CR4_MCE },
        { FEATURE_PGE, CR4_PGE },           { FEATURE_FXSR, CR4_OSFXSR }, { FEATURE_SSE, CR4_OSXMMEXCPT },
    };
    uint32_t bits = CR4_PCE; /* RDPMC is as old as the P6 family and has no CPUID bit */

    bits |= features.leaf1_ecx & FEATURE_XSAVE ? CR4_OSXSAVE : 0;
    for (unsigned n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
        bits |= features.leaf1_edx & rows[n].feature ? rows[n].bits : 0;
    }
    return bits;
}

bool control_write_cr4(struct cpu *cpu, uint64_t value)
{
    if (value & ~(uint64_t)cr4_writable()) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    uint32_t cr4 = (uint32_t)value;
    uint32_t changed = cr4 ^ cpu->cr4;
    if ((cr4 & CR4_PAE) && (cpu->cr0 & CR0_PG) && (changed & (CR4_PAE | CR4_PGE | CR4_PSE)) &&
        !load_pdptes(cpu, cpu->cr3)) {
        return false;
    }
    cpu->cr4 = cr4;
    if (changed & (CR4_PSE | CR4_PAE | CR4_PGE)) {
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
    if (index == 6) {
        cpu->dr[6] = (value & DR6_WRITABLE) | DR6_FIXED_ONES;
        return true;
    }
    cpu->dr[index] = index == 7 ? (value & DR7_WRITABLE) | DR7_FIXED_ONES : value & LINEAR_MASK;
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

bool control_rdmsr(struct cpu *cpu, uint32_t index, uint64_t *value)
{
    const uint64_t *mtrr = fixed_mtrr(cpu, index);

    if (!mtrr) {
        mtrr = variable_mtrr(cpu, index);
    }
    if (mtrr) {
        *value = *mtrr;
        return true;
    }
    switch (index) {
    case MSR_TSC:
        *value = control_tsc(cpu);
        return true;
    case MSR_APIC_BASE:
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
        return msr_store(cpu, variable, value, (PHYSICAL_MASK & ~UINT64_C(0xfff)) | (is_mask ? 0x800u : 0xffu));
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
    switch (index) {
    case MSR_TSC:
        cpu->tsc_offset = value - clock_now(cpu->board.clock);
        apic_tsc_changed(cpu);
        return true;
    case MSR_APIC_BASE:
        return apic_write_base(cpu, value, PHYSICAL_MASK);
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
        cpu->sysenter_esp = value & LINEAR_MASK;
        return true;
    case MSR_SYSENTER_EIP:
        cpu->sysenter_eip = value & LINEAR_MASK;
        return true;
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

enum { CPUID_BASIC_MAX = 0x16 };
#define CPUID_EXTENDED UINT32_C(0x80000000)
#define CPUID_EXTENDED_MAX UINT32_C(0x80000004)

struct cpuid_leaf {
    uint32_t eax, ebx, ecx, edx;
};

static struct cpuid_leaf cpuid_basic(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t max)
{
    struct cpuid_leaf none = { 0 };

    switch (leaf) {
    case 0x00: /* "GenuineIntel" */
        return (struct cpuid_leaf){ max, UINT32_C(0x756e6547), UINT32_C(0x6c65746e), UINT32_C(0x49656e69) };
    case 0x01:
        return (struct cpuid_leaf){ CPU_SIGNATURE, CLFLUSH_LINE,
                                    features.leaf1_ecx | (cpu->cr4 & CR4_OSXSAVE ? FEATURE_OSXSAVE : 0),
                                    features.leaf1_edx };
    case 0x02: /* the Pentium II's: TLBs 01h to 04h, L1 08h and 0ch of 16 KiB, L2 43h of 512 KiB */
        return (struct cpuid_leaf){ UINT32_C(0x03020101), 0, 0, UINT32_C(0x0c040843) };
    case 0x07:
        return subleaf == 0
                   ? (struct cpuid_leaf){ 0, features.leaf7_ebx, features.leaf7_ecx, features.leaf7_edx }
                   : none;
    case 0x0d: /* XSAVE: x87 and SSE, the legacy area and the header; no XSAVEOPT, no compacted form */
        return subleaf == 0 ? (struct cpuid_leaf){ XCR0_X87 | XCR0_SSE, 576, 576, 0 } : none;
    case 0x15: /* TSC = crystal * EBX / EAX */
        return (struct cpuid_leaf){ 1, TSC_HZ / CRYSTAL_HZ, CRYSTAL_HZ, 0 };
    case 0x16: /* MHz: base, maximum, bus */
        return (struct cpuid_leaf){ TSC_HZ / 1000000, TSC_HZ / 1000000, 100, 0 };
    default:
        return none;
    }
}

static struct cpuid_leaf cpuid_extended(uint32_t leaf)
{
    const char *text = brand_string + (leaf - CPUID_EXTENDED - 2) % 3 * 16;

    switch (leaf - CPUID_EXTENDED) {
    case 0:
        return (struct cpuid_leaf){ CPUID_EXTENDED_MAX, 0, 0, 0 };
    case 1:
        return (struct cpuid_leaf){ 0, 0, features.extended_ecx, features.extended_edx };
    default:
        return (struct cpuid_leaf){ load_le32(text), load_le32(text + 4), load_le32(text + 8), load_le32(text + 12) };
    }
}

void control_cpuid(struct cpu *cpu)
{
    uint32_t leaf = cpu_reg32(cpu, REG_AX), subleaf = cpu_reg32(cpu, REG_CX);
    /* MISC_ENABLE bit 22 is for systems that cannot bear large numbers (Windows NT 4.0). */
    uint32_t max = cpu->misc_enable & MISC_ENABLE_LIMIT_CPUID ? 2 : CPUID_BASIC_MAX;
    struct cpuid_leaf result;

    if (leaf >= CPUID_EXTENDED && leaf <= CPUID_EXTENDED_MAX) {
        result = cpuid_extended(leaf);
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
