/* mmu.h - address translation inside cpu/: page walks and the TLB. */
#ifndef CPU_MMU_H
#define CPU_MMU_H

#include "cpu/cpu.h"
#include "cpu/system.h"

/* The cold half of the entry for `linear`, valid for the given access, after a page walk when need be. NULL: #PF recorded. */
struct tlb_cold *tlb_translate(struct cpu *cpu, uint64_t linear, enum access_kind kind, unsigned tlb_mode);

/* Index into tlb_arrays of an access. */
static inline unsigned tlb_mode_of(const struct cpu *cpu, bool as_system)
{
    if (as_system) {
        return TLB_SUPERVISOR;
    }
    return cpu->cpl == 3                                                 ? TLB_USER
           : (cpu->cr4 & CR4_SMAP) && (cpu->eflags & FLAG_AC) ? TLB_SUPERVISOR_AC
                                                                         : TLB_SUPERVISOR;
}

/* Allocates and frees the arrays. */
bool tlb_create(struct cpu *cpu);
void tlb_destroy(struct cpu *cpu);

/* What a debugger watches has changed: sets the tags of all entries anew, and drops none. */
void tlb_rewatch(struct cpu *cpu);

/* Remembers that code was fetched from this linear page, so that INVLPG knows whether links may depend on it. */
void fetch_page_seen(struct cpu *cpu, uint64_t linear);

/* The tokens become new values: links and jump entries that cross pages are void. */
void fetch_tokens_bump(struct cpu *cpu, bool keep_global);

#endif
