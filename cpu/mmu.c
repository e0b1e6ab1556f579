/* mmu.c - paging: page walks, accessed and dirty bits, page faults, and the TLB.
 *
 * SDM vol. 3, chapter 4. 32-bit paging (4 KiB and 4 MiB pages with PSE-36), PAE paging (4 KiB and 2 MiB pages, NX), 4- and 5-level
 * paging (4 KiB, 2 MiB and 1 GiB pages), SMEP, SMAP, protection keys of user pages. PCIDs do not tag the TLB: every
 * change of CR3 that may invalidate does (4.10.4.1 allows more than is asked for). */
#include "cpu/mmu.h"

#include "cpu/debug.h"
#include "cpu/handler.h"

#include <stdlib.h>

enum {
    PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 0x20, PTE_D = 0x40, PTE_PS = 0x80, PTE_G = 0x100, PTE_PKEY_SHIFT = 59
};
#define PTE_NX (UINT64_C(1) << 63)
#define PAE_ADDRESS UINT64_C(0x000ffffffffff000)
/* Address bits from MAXPHYADDR up are reserved, with PAE paging those above bit 51 too. */
static uint64_t long_reserved(const struct cpu *cpu) { return UINT64_C(0x000fffffffffffff) & ~physical_mask(cpu); }
static uint64_t pae_reserved(const struct cpu *cpu) { return long_reserved(cpu) | UINT64_C(0x7ff0000000000000); }

/* Page fault error code bits, SDM vol. 3, 4.7. */
enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 16, PF_PK = 32 };

enum { SEEN_BITS = 4096 };

/* The outcome of a walk. */
struct translation {
    phys_addr physical; /* of the 4 KiB page */
    bool may_write, may_execute, is_user, is_global, is_dirty;
    uint8_t large_shift; /* 0, or log2 of the size of the large page it is a part of */
    uint8_t key;         /* protection key */
};

bool tlb_create(struct cpu *cpu)
{
    for (unsigned mode = 0; mode < TLB_MODES; mode++) {
        /* Over-allocated so that entries can be aligned to their size. */
        cpu->tlb_arrays[mode] = aligned_alloc(64, TLB_ENTRIES * sizeof(struct tlb_entry));
        cpu->tlb_cold[mode] = malloc(TLB_ENTRIES * sizeof(struct tlb_cold));
        if (!cpu->tlb_arrays[mode] || !cpu->tlb_cold[mode]) {
            return false;
        }
    }
    cpu->code_pages_seen = calloc(SEEN_BITS / 64, sizeof(uint64_t));
    return cpu->code_pages_seen != NULL;
}

void tlb_destroy(struct cpu *cpu)
{
    for (unsigned mode = 0; mode < TLB_MODES; mode++) {
        free(cpu->tlb_arrays[mode]);
        free(cpu->tlb_cold[mode]);
    }
    free(cpu->code_pages_seen);
}

static void entry_clear(struct cpu *cpu, unsigned mode, unsigned index)
{
    struct tlb_entry *entry = &cpu->tlb_arrays[mode][index];

    entry->read_tag = entry->write_tag = entry->fetch_tag = TLB_INVALID;
    cpu->tlb_cold[mode][index].page = TLB_INVALID;
}

static unsigned seen_bit(uint64_t linear)
{
    uint32_t page = (uint32_t)(linear >> GUEST_PAGE_SHIFT);

    return (page ^ page >> 12) & (SEEN_BITS - 1);
}

void fetch_page_seen(struct cpu *cpu, uint64_t linear)
{
    unsigned bit = seen_bit(linear);

    cpu->code_pages_seen[bit / 64] |= UINT64_C(1) << (bit % 64);
}

void tlb_flush(struct cpu *cpu, bool keep_global)
{
    cpu->stats.tlb_flushes++;
    debug_walked(cpu, NULL);
    for (unsigned mode = 0; mode < TLB_MODES; mode++) {
        for (unsigned index = 0; index < TLB_ENTRIES; index++) {
            const struct tlb_cold *cold = &cpu->tlb_cold[mode][index];
            if (cold->page != TLB_INVALID && !(keep_global && cold->is_global)) {
                entry_clear(cpu, mode, index);
            }
        }
    }
    if (!keep_global) {
        memset(cpu->code_pages_seen, 0, SEEN_BITS / 8);
        memset(cpu->large_regions, 0, sizeof cpu->large_regions);
        cpu->huge_regions = 0;
    }
    fetch_tokens_bump(cpu, keep_global);
}

/* ---- large pages ----
 *
 * A part of a large page stands for the whole when it is invalidated (SDM vol. 3, 4.10.4.1), and its parts are looked for only where
 * there may be some: Bloom bits say in which 4 MiB, and for pages of 1 GiB in which GiB. */
static unsigned region_bit(uint64_t linear)
{
    uint64_t region = linear >> 22;

    return (unsigned)(region ^ region >> 10 ^ region >> 20) & 1023;
}

static unsigned huge_bit(uint64_t linear)
{
    return (unsigned)(linear >> 30 ^ linear >> 36 ^ linear >> 42) & 63;
}

static void large_page_seen(struct cpu *cpu, uint64_t linear, unsigned shift)
{
    if (shift == 30) {
        cpu->huge_regions |= UINT64_C(1) << huge_bit(linear);
    } else {
        unsigned bit = region_bit(linear);
        cpu->large_regions[bit / 64] |= UINT64_C(1) << (bit % 64);
    }
}

static bool may_be_large(const struct cpu *cpu, uint64_t linear)
{
    unsigned bit = region_bit(linear);

    return (cpu->large_regions[bit / 64] >> (bit % 64) & 1) || (cpu->huge_regions >> huge_bit(linear) & 1);
}

static void flush_large(struct cpu *cpu, uint64_t linear)
{
    for (unsigned mode = 0; mode < TLB_MODES; mode++) {
        for (unsigned index = 0; index < TLB_ENTRIES; index++) {
            const struct tlb_cold *cold = &cpu->tlb_cold[mode][index];
            if (cold->page != TLB_INVALID && cold->large_shift && (cold->page ^ linear) >> cold->large_shift == 0) {
                entry_clear(cpu, mode, index);
            }
        }
    }
    fetch_tokens_bump(cpu, false);
}

void tlb_flush_page(struct cpu *cpu, uint64_t linear)
{
    unsigned index = (unsigned)(linear >> GUEST_PAGE_SHIFT) & (TLB_ENTRIES - 1);
    unsigned bit = seen_bit(linear);

    for (unsigned mode = 0; mode < TLB_MODES; mode++) {
        entry_clear(cpu, mode, index);
    }
    if (may_be_large(cpu, linear)) {
        flush_large(cpu, linear);
    } else if (cpu->code_pages_seen[bit / 64] >> (bit % 64) & 1) {
        fetch_tokens_bump(cpu, false);
    }
}

void tlb_watch_changed(struct cpu *cpu)
{
    tlb_flush(cpu, false);
}

void cpu_map_changed(struct cpu *cpu)
{
    tlb_flush(cpu, false);
    cpu_look(cpu);
}

void cpu_revoke_writes(struct cpu *cpu)
{
    for (unsigned mode = 0; mode < TLB_MODES; mode++) {
        for (unsigned index = 0; index < TLB_ENTRIES; index++) {
            cpu->tlb_arrays[mode][index].write_tag = TLB_INVALID;
        }
    }
}

static phys_addr apply_a20(const struct cpu *cpu, phys_addr address)
{
    return cpu->a20_enabled ? address : address & ~(phys_addr)0x100000;
}

static bool page_fault(struct cpu *cpu, uint64_t linear, uint32_t error)
{
    cpu->fault_address = linear;
    return cpu_fault_error(cpu, VEC_PF, error);
}

/* One level of a walk. `size` is 4 or 8. */
static uint64_t read_entry(const struct cpu *cpu, phys_addr at, unsigned size)
{
    return space_read(cpu->board.space, apply_a20(cpu, at), size);
}

/* Sets bits of an entry that are not set yet. */
static void mark_entry(const struct cpu *cpu, phys_addr at, uint64_t entry, uint32_t bits)
{
    if ((entry & bits) != bits) {
        space_write(cpu->board.space, apply_a20(cpu, at), 4, (uint32_t)entry | bits);
    }
}

/* PKRU (SDM vol. 3, 4.6.2): keys of user pages forbid data accesses, by the supervisor too; its stores only with CR0.WP. */
static bool key_allows(const struct cpu *cpu, unsigned key, enum access_kind kind, bool user)
{
    unsigned rights = cpu->pkru >> (2 * key) & 3;

    return !(rights & 1) && !((rights & 2) && kind == ACCESS_WRITE && (user || (cpu->cr0 & CR0_WP)));
}

/* Whether the rights of a complete walk allow the access (SDM vol. 3, 4.6.1); the error code is completed by the caller. `who` is a
 * TLB mode. */
static bool rights_allow(const struct cpu *cpu, const struct translation *t, enum access_kind kind, unsigned who)
{
    bool user = who == TLB_USER;

    if (user && !t->is_user) {
        return false;
    }
    if (kind == ACCESS_FETCH) {
        return t->may_execute && !(!user && t->is_user && (cpu->cr4 & CR4_SMEP));
    }
    if (kind == ACCESS_WRITE && !t->may_write && (user || (cpu->cr0 & CR0_WP))) {
        return false;
    }
    return !(who == TLB_SUPERVISOR && t->is_user && (cpu->cr4 & CR4_SMAP));
}

enum walk_result { WALK_OK, WALK_NOT_PRESENT, WALK_RESERVED, WALK_DENIED, WALK_KEY };

static enum walk_result walk32(const struct cpu *cpu, uint32_t linear, enum access_kind kind, unsigned who, bool mark,
                               struct translation *t)
{
    phys_addr pde_at = (cpu->cr3 & 0xfffff000u) + (linear >> 22) * 4, pte_at = 0;
    uint64_t pde = read_entry(cpu, pde_at, 4), pte = 0;
    uint32_t rights;

    if (!(pde & PTE_P)) {
        return WALK_NOT_PRESENT;
    }
    bool is_large = (pde & PTE_PS) && (cpu->cr4 & CR4_PSE);
    if (is_large) {
        /* Bits 13-16 are physical address bits 32-35 (PSE-36); bits 17-21 are reserved. */
        if (pde & 0x003e0000u) {
            return WALK_RESERVED;
        }
        t->physical = (pde & 0xffc00000u) | (pde >> 13 & 15) << 32 | (linear & 0x003ff000u);
        rights = (uint32_t)pde;
    } else {
        pte_at = (pde & 0xfffff000u) + (linear >> 12 & 0x3ff) * 4;
        pte = read_entry(cpu, pte_at, 4);
        if (!(pte & PTE_P)) {
            return WALK_NOT_PRESENT;
        }
        t->physical = pte & 0xfffff000u;
        rights = (uint32_t)pde & (uint32_t)pte;
    }
    uint32_t leaf = is_large ? (uint32_t)pde : (uint32_t)pte;
    t->may_write = (rights & PTE_W) != 0;
    t->is_user = (rights & PTE_U) != 0;
    t->may_execute = true;
    t->is_global = (leaf & PTE_G) && (cpu->cr4 & CR4_PGE);
    t->is_dirty = (leaf & PTE_D) != 0 || kind == ACCESS_WRITE;
    t->large_shift = is_large ? 22 : 0;
    t->key = 0;
    if (!rights_allow(cpu, t, kind, who)) {
        return WALK_DENIED;
    }
    if (mark) {
        uint32_t bits = kind == ACCESS_WRITE ? PTE_A | PTE_D : PTE_A;
        mark_entry(cpu, pde_at, pde, is_large ? bits : PTE_A);
        if (!is_large) {
            mark_entry(cpu, pte_at, pte, bits);
        }
    }
    return WALK_OK;
}

static enum walk_result walk_pae(const struct cpu *cpu, uint32_t linear, enum access_kind kind, unsigned who, bool mark,
                                 struct translation *t)
{
    uint64_t pdpte = cpu->pdpte[linear >> 30];
    uint64_t reserved = pae_reserved(cpu) | (cpu->efer & EFER_NXE ? 0 : PTE_NX);
    phys_addr pde_at, pte_at = 0;
    uint64_t pde, pte = 0, rights;

    if (!(pdpte & PTE_P)) {
        return WALK_NOT_PRESENT;
    }
    pde_at = (pdpte & PAE_ADDRESS) + (linear >> 21 & 0x1ff) * 8;
    pde = read_entry(cpu, pde_at, 8);
    if (!(pde & PTE_P)) {
        return WALK_NOT_PRESENT;
    }
    bool is_large = (pde & PTE_PS) != 0;
    if (pde & (reserved | (is_large ? 0x1fe000 : 0))) {
        return WALK_RESERVED;
    }
    if (is_large) {
        t->physical = (pde & PAE_ADDRESS & ~UINT64_C(0x1fffff)) | (linear & 0x1ff000u);
        rights = pde;
        t->may_execute = !(pde & PTE_NX);
    } else {
        pte_at = (pde & PAE_ADDRESS) + (linear >> 12 & 0x1ff) * 8;
        pte = read_entry(cpu, pte_at, 8);
        if (!(pte & PTE_P)) {
            return WALK_NOT_PRESENT;
        }
        if (pte & reserved) {
            return WALK_RESERVED;
        }
        t->physical = pte & PAE_ADDRESS;
        rights = pde & pte;
        t->may_execute = !((pde | pte) & PTE_NX);
    }
    uint64_t leaf = is_large ? pde : pte;
    t->may_write = (rights & PTE_W) != 0;
    t->is_user = (rights & PTE_U) != 0;
    t->is_global = (leaf & PTE_G) && (cpu->cr4 & CR4_PGE);
    t->is_dirty = (leaf & PTE_D) != 0 || kind == ACCESS_WRITE;
    t->large_shift = is_large ? 21 : 0;
    t->key = 0;
    if (!rights_allow(cpu, t, kind, who)) {
        return WALK_DENIED;
    }
    if (mark) {
        uint32_t bits = kind == ACCESS_WRITE ? PTE_A | PTE_D : PTE_A;
        mark_entry(cpu, pde_at, pde, is_large ? bits : PTE_A);
        if (!is_large) {
            mark_entry(cpu, pte_at, pte, bits);
        }
    }
    return WALK_OK;
}

/* 4- and 5-level paging, SDM vol. 3, 4.5. */
static enum walk_result walk_long(const struct cpu *cpu, uint64_t linear, enum access_kind kind, unsigned who, bool mark,
                                  struct translation *t)
{
    uint64_t reserved = long_reserved(cpu) | (cpu->efer & EFER_NXE ? 0 : PTE_NX);
    unsigned level = cpu->cr4 & CR4_LA57 ? 5 : 4;
    phys_addr at[6], table = cpu->cr3 & PAE_ADDRESS;
    uint64_t entry[6], rights = PTE_W | PTE_U, forbids = 0;
    unsigned top = level;

    for (;; level--) {
        unsigned shift = 12 + 9 * (level - 1);
        at[level] = table + (linear >> shift & 0x1ff) * 8;
        entry[level] = read_entry(cpu, at[level], 8);
        if (!(entry[level] & PTE_P)) {
            return WALK_NOT_PRESENT;
        }
        bool is_leaf = level == 1 || (entry[level] & PTE_PS);
        uint64_t offset = (UINT64_C(1) << shift) - 1;
        /* PS is reserved above the level of 1 GiB pages, as are the address bits below a large page's, but for bit 12, PAT. */
        if ((entry[level] & reserved) || (is_leaf && level > 3) ||
            (is_leaf && level > 1 && (entry[level] & offset & PAE_ADDRESS & ~UINT64_C(0x1000)))) {
            return WALK_RESERVED;
        }
        rights &= entry[level];
        forbids |= entry[level];
        table = entry[level] & PAE_ADDRESS;
        if (is_leaf) {
            t->physical = (table & ~offset) | (linear & offset & ~(uint64_t)(GUEST_PAGE_SIZE - 1));
            t->large_shift = (uint8_t)(level > 1 ? shift : 0);
            break;
        }
    }
    t->may_write = (rights & PTE_W) != 0;
    t->is_user = (rights & PTE_U) != 0;
    t->may_execute = !(forbids & PTE_NX);
    t->is_global = (entry[level] & PTE_G) && (cpu->cr4 & CR4_PGE);
    t->is_dirty = (entry[level] & PTE_D) != 0 || kind == ACCESS_WRITE;
    t->key = (cpu->cr4 & CR4_PKE) && t->is_user ? entry[level] >> PTE_PKEY_SHIFT & 15 : 0;
    if (!rights_allow(cpu, t, kind, who)) {
        return WALK_DENIED;
    }
    if ((cpu->cr4 & CR4_PKE) && t->is_user && kind != ACCESS_FETCH && !key_allows(cpu, t->key, kind, who == TLB_USER)) {
        return WALK_KEY;
    }
    for (unsigned n = top; mark && n >= level; n--) {
        mark_entry(cpu, at[n], entry[n], n == level && kind == ACCESS_WRITE ? PTE_A | PTE_D : PTE_A);
    }
    return WALK_OK;
}

static enum walk_result walk(const struct cpu *cpu, uint64_t linear, enum access_kind kind, unsigned who, bool mark,
                             struct translation *t)
{
    if (!(cpu->cr0 & CR0_PG)) {
        *t = (struct translation){
            linear & ~(uint64_t)(GUEST_PAGE_SIZE - 1), true, true, true, false, true, 0, 0
        };
        return WALK_OK;
    }
    if (cpu_is_long(cpu)) {
        return walk_long(cpu, linear, kind, who, mark, t);
    }
    return cpu->cr4 & CR4_PAE ? walk_pae(cpu, (uint32_t)linear, kind, who, mark, t)
                              : walk32(cpu, (uint32_t)linear, kind, who, mark, t);
}

/* Whether a data breakpoint of DR7 lies in the page. */
static bool page_is_watched(const struct cpu *cpu, uint64_t page)
{
    for (unsigned n = 0; cpu->data_breakpoints && n < 4; n++) {
        unsigned control = (unsigned)(cpu->dr[7] >> (16 + 4 * n)) & 15;
        if ((cpu->dr[7] >> (2 * n) & 3) && (control & 3) != 0 &&
            ((cpu->dr[n] ^ page) & ~(uint64_t)(GUEST_PAGE_SIZE - 1)) == 0) {
            return true;
        }
    }
    return false;
}

/* Sets the tags from the cold half: what may go straight to host memory. */
static void entry_set_tags(struct tlb_entry *entry, const struct tlb_cold *cold)
{
    entry->read_tag = entry->write_tag = entry->fetch_tag = TLB_INVALID;
    if (!cold->memory) {
        return;
    }
    const struct memory *memory = cold->memory;
    entry->addend = (uintptr_t)(memory->host + cold->memory_offset) - (uintptr_t)cold->page;
    if (!cold->is_watched) {
        entry->read_tag = cold->may_read ? cold->page : TLB_INVALID;
        if (cold->may_write && !cold->is_readonly &&
            memory->page_flags[cold->memory_offset >> GUEST_PAGE_SHIFT] == PAGE_DIRTY) {
            entry->write_tag = cold->page;
        }
    }
    if (cold->may_execute) {
        entry->fetch_tag = cold->page;
    }
}

/* Whether accesses to the page must be looked at: by DR7, or by a debugger. */
static bool is_watched(const struct cpu *cpu, const struct tlb_cold *cold)
{
    return page_is_watched(cpu, cold->page) ||
           (UNLIKELY(cpu->debug != NULL) && debug_is_watched(cpu, cold->page, cold->physical));
}

void tlb_rewatch(struct cpu *cpu)
{
    for (unsigned mode = 0; mode < TLB_MODES; mode++) {
        for (unsigned index = 0; index < TLB_ENTRIES; index++) {
            struct tlb_cold *cold = &cpu->tlb_cold[mode][index];
            if (cold->page != TLB_INVALID) {
                cold->is_watched = is_watched(cpu, cold);
                entry_set_tags(&cpu->tlb_arrays[mode][index], cold);
            }
        }
    }
}

static struct tlb_cold *tlb_fill(struct cpu *cpu, uint64_t linear, enum access_kind kind, unsigned mode)
{
    unsigned index = (unsigned)(linear >> GUEST_PAGE_SHIFT) & (TLB_ENTRIES - 1);
    struct tlb_cold *cold = &cpu->tlb_cold[mode][index];
    bool user = mode == TLB_USER;
    struct translation t = { 0 };
    enum walk_result result = walk(cpu, linear, kind, mode, true, &t);

    debug_walked(cpu, &(struct debug_walk){ linear, t.physical, (uint8_t)kind, user, result != WALK_OK, t.large_shift,
                                            t.may_write, t.may_execute });
    if (result != WALK_OK) {
        bool has_nx = ((cpu->cr4 & CR4_PAE) && (cpu->efer & EFER_NXE)) || (cpu->cr4 & CR4_SMEP);
        page_fault(cpu, linear,
                   (result == WALK_NOT_PRESENT ? 0u : PF_P) | (result == WALK_RESERVED ? PF_RSVD : 0u) |
                       (kind == ACCESS_WRITE ? PF_W : 0u) | (user ? PF_U : 0u) |
                       (kind == ACCESS_FETCH && has_nx ? PF_I : 0u) | (result == WALK_KEY ? PF_PK : 0u));
        return NULL;
    }
    cpu->stats.tlb_fills++;
    uint64_t offset = 0;
    phys_addr physical = apply_a20(cpu, t.physical);
    struct region *region = space_lookup(cpu->board.space, physical, &offset);
    cold->is_apic = physical == cpu->apic_page;
    bool is_memory = region && region->kind == REGION_MEMORY && !cold->is_apic;
    struct memory *smram;
    uint64_t smram_offset;
    cold->page = linear & ~(uint64_t)(GUEST_PAGE_SIZE - 1);
    cold->physical = physical;
    cold->memory = is_memory ? region->memory : NULL;
    cold->memory_offset = is_memory ? region->memory_offset + offset : 0;
    cold->is_readonly = is_memory && (region->is_readonly || region->memory->is_rom);
    if (UNLIKELY(cpu->in_smm) && cpu->board.smram &&
        cpu->board.smram(cpu->board.context, physical, &smram, &smram_offset)) {
        cold->memory = smram;
        cold->memory_offset = smram_offset;
        cold->is_readonly = false;
    }
    cold->may_read = rights_allow(cpu, &t, ACCESS_READ, mode);
    cold->may_write = t.is_dirty && rights_allow(cpu, &t, ACCESS_WRITE, mode);
    cold->may_execute = rights_allow(cpu, &t, ACCESS_FETCH, mode);
    if ((cpu->cr0 & CR0_PG) && cpu_is_long(cpu) && (cpu->cr4 & CR4_PKE) && t.is_user) {
        cold->may_read = cold->may_read && key_allows(cpu, t.key, ACCESS_READ, user);
        cold->may_write = cold->may_write && key_allows(cpu, t.key, ACCESS_WRITE, user);
    }
    cold->is_global = t.is_global;
    cold->large_shift = t.large_shift;
    if (t.large_shift) {
        large_page_seen(cpu, linear, t.large_shift);
    }
    cold->is_watched = is_watched(cpu, cold);
    entry_set_tags(&cpu->tlb_arrays[mode][index], cold);
    return cold;
}

struct tlb_cold *tlb_translate(struct cpu *cpu, uint64_t linear, enum access_kind kind, unsigned mode)
{
    struct tlb_cold *cold = &cpu->tlb_cold[mode][(linear >> GUEST_PAGE_SHIFT) & (TLB_ENTRIES - 1)];

    if (LIKELY(cold->page == (linear & ~(uint64_t)(GUEST_PAGE_SIZE - 1)) &&
               (kind == ACCESS_READ    ? cold->may_read
                : kind == ACCESS_WRITE ? cold->may_write
                                       : cold->may_execute))) {
        return cold;
    }
    return tlb_fill(cpu, linear, kind, mode);
}

bool cpu_translate_debug(const struct cpu *cpu, uint64_t linear, phys_addr *physical)
{
    struct translation t;

    if (walk(cpu, linear, ACCESS_READ, TLB_SUPERVISOR_AC, false, &t) != WALK_OK) {
        return false;
    }
    *physical = apply_a20(cpu, t.physical | (linear & (GUEST_PAGE_SIZE - 1)));
    return true;
}

/* ---- slow accesses ---- */

/* Data breakpoints that the access touches become pending (SDM vol. 3, 17.2.4: reported after the instruction). */
static void check_watch(struct cpu *cpu, uint64_t linear, unsigned size, enum access_kind kind)
{
    static const uint8_t lengths[4] = { 1, 2, 8, 4 };

    for (unsigned n = 0; n < 4; n++) {
        unsigned control = (unsigned)(cpu->dr[7] >> (16 + 4 * n)) & 15;
        unsigned length = lengths[control >> 2];
        uint64_t start = cpu->dr[n] & ~(uint64_t)(length - 1);
        bool type_matches = (control & 3) == 3 || ((control & 3) == 1 && kind == ACCESS_WRITE);
        if (type_matches && linear < start + length && start < linear + size) {
            /* Matches of breakpoints that are not enabled are reported too, with those that are (17.2.3). */
            cpu->debug_pending |= 1u << n;
            if (cpu->dr[7] >> (2 * n) & 3) {
                cpu->pending |= PENDING_DEBUG;
            }
        }
    }
}

static uint64_t memory_load(const struct tlb_cold *cold, uint64_t linear, unsigned size)
{
    const uint8_t *at = cold->memory->host + cold->memory_offset + (linear & (GUEST_PAGE_SIZE - 1));

    switch (size) {
    case 1:
        return host_load8(at);
    case 2:
        return host_load16(at);
    case 4:
        return host_load32(at);
    default:
        return host_load64(at);
    }
}

static void memory_store(struct cpu *cpu, struct tlb_cold *cold, unsigned mode, uint64_t linear, unsigned size,
                         uint64_t value)
{
    struct memory *memory = cold->memory;
    uint64_t offset = cold->memory_offset + (linear & (GUEST_PAGE_SIZE - 1));
    uint8_t *at = memory->host + offset;

    if (cold->is_readonly) {
        return;
    }
    if (memory->page_flags[offset >> GUEST_PAGE_SHIFT] != PAGE_DIRTY) {
        memory_written(memory, offset, size);
    }
    switch (size) {
    case 1:
        host_store8(at, (uint8_t)value);
        break;
    case 2:
        host_store16(at, (uint16_t)value);
        break;
    case 4:
        host_store32(at, (uint32_t)value);
        break;
    default:
        host_store64(at, value);
        break;
    }
    entry_set_tags(&cpu->tlb_arrays[mode][(linear >> GUEST_PAGE_SHIFT) & (TLB_ENTRIES - 1)], cold);
}

static uint64_t page_read(struct cpu *cpu, const struct tlb_cold *cold, uint64_t linear, unsigned size)
{
    phys_addr physical = cold->physical | (linear & (GUEST_PAGE_SIZE - 1));
    uint64_t value;

    if (LIKELY(cold->memory != NULL)) {
        value = memory_load(cold, linear, size);
    } else {
        cpu->stats.io_accesses++;
        value = UNLIKELY(cold->is_apic) ? cpu->board.apic->read(cpu->board.context, (unsigned)(physical & (GUEST_PAGE_SIZE - 1)), size)
                                        : space_read(cpu->board.space, physical, size);
    }
    if (UNLIKELY(cold->is_watched)) {
        check_watch(cpu, linear, size, ACCESS_READ);
        if (cpu->debug) {
            debug_access(cpu, linear, physical, size, false, value);
        }
    }
    return value;
}

static void page_write(struct cpu *cpu, struct tlb_cold *cold, unsigned mode, uint64_t linear, unsigned size,
                       uint64_t value)
{
    if (UNLIKELY(cold->is_watched)) {
        check_watch(cpu, linear, size, ACCESS_WRITE);
        if (cpu->debug) {
            debug_access(cpu, linear, cold->physical | (linear & (GUEST_PAGE_SIZE - 1)), size, true, value);
        }
    }
    if (LIKELY(cold->memory != NULL)) {
        memory_store(cpu, cold, mode, linear, size, value);
        return;
    }
    cpu->stats.io_accesses++;
    if (UNLIKELY(cold->is_apic)) {
        cpu->board.apic->write(cpu->board.context, (unsigned)(linear & (GUEST_PAGE_SIZE - 1)), size, value);
        return;
    }
    space_write(cpu->board.space, cold->physical | (linear & (GUEST_PAGE_SIZE - 1)), size, value);
}

/* Linear addresses wrap at 4 GiB outside of 64-bit mode; tables of IA-32e mode have 64-bit addresses in compatibility mode too. */
static uint64_t wrap(const struct cpu *cpu, uint64_t linear)
{
    return cpu_is_long(cpu) ? linear : linear & 0xffffffffu;
}

static unsigned bytes_on_first_page(uint64_t linear, unsigned size)
{
    unsigned room = GUEST_PAGE_SIZE - (unsigned)(linear & (GUEST_PAGE_SIZE - 1));

    return room < size ? room : size;
}

bool linear_read(struct cpu *cpu, uint64_t linear, unsigned size, bool as_system, uint64_t *value)
{
    unsigned mode = tlb_mode_of(cpu, as_system), first = bytes_on_first_page(linear, size);
    struct tlb_cold *cold;

    cpu->stats.slow_accesses++;
    linear = wrap(cpu, linear);
    if (LIKELY(first == size)) {
        cold = tlb_translate(cpu, linear, ACCESS_READ, mode);
        if (!cold) {
            return false;
        }
        *value = page_read(cpu, cold, linear, size);
        return true;
    }
    if (!tlb_translate(cpu, linear, ACCESS_READ, mode) ||
        !tlb_translate(cpu, wrap(cpu, linear + first), ACCESS_READ, mode)) {
        return false;
    }
    uint64_t result = 0;
    for (unsigned k = 0; k < size; k++) {
        uint64_t at = wrap(cpu, linear + k);
        cold = tlb_translate(cpu, at, ACCESS_READ, mode);
        result |= (cold ? page_read(cpu, cold, at, 1) : 0) << (8 * k);
    }
    *value = result;
    return true;
}

bool linear_probe_write(struct cpu *cpu, uint64_t linear, unsigned size, bool as_system)
{
    unsigned mode = tlb_mode_of(cpu, as_system), first = bytes_on_first_page(linear, size);

    linear = wrap(cpu, linear);
    return tlb_translate(cpu, linear, ACCESS_WRITE, mode) != NULL &&
           (first == size || tlb_translate(cpu, wrap(cpu, linear + first), ACCESS_WRITE, mode) != NULL);
}

bool linear_write(struct cpu *cpu, uint64_t linear, unsigned size, bool as_system, uint64_t value)
{
    unsigned mode = tlb_mode_of(cpu, as_system);
    struct tlb_cold *cold;

    cpu->stats.slow_accesses++;
    linear = wrap(cpu, linear);
    if (LIKELY(bytes_on_first_page(linear, size) == size)) {
        cold = tlb_translate(cpu, linear, ACCESS_WRITE, mode);
        if (!cold) {
            return false;
        }
        page_write(cpu, cold, mode, linear, size, value);
        return true;
    }
    if (!linear_probe_write(cpu, linear, size, as_system)) {
        return false;
    }
    for (unsigned k = 0; k < size; k++) {
        uint64_t at = wrap(cpu, linear + k);
        cold = tlb_translate(cpu, at, ACCESS_WRITE, mode);
        if (cold) {
            page_write(cpu, cold, mode, at, 1, value >> (8 * k) & 0xff);
        }
    }
    return true;
}

/* ---- segments ---- */

static bool segment_fault(struct cpu *cpu, enum segment_index seg)
{
    return cpu_fault_error(cpu, seg == SEG_SS ? VEC_SS : VEC_GP, 0);
}

bool segment_linear(struct cpu *cpu, enum segment_index seg, uint64_t offset, unsigned size, enum access_kind kind,
                    uint64_t *linear)
{
    const struct segment *s = &cpu->seg[seg];
    uint64_t last = offset + size - 1;

    if (cpu_is_64bit(cpu)) {
        *linear = seg == SEG_FS || seg == SEG_GS ? s->base + offset : offset;
        return (cpu_is_canonical(cpu, *linear) && cpu_is_canonical(cpu, *linear + size - 1)) || segment_fault(cpu, seg);
    }
    if (cpu->cr0 & CR0_PE && !cpu_is_vm86(cpu)) {
        bool is_code = (s->attributes & ATTR_CODE) != 0;
        if ((s->attributes & (ATTR_NULL | ATTR_P)) != ATTR_P) {
            return segment_fault(cpu, seg);
        }
        if (kind == ACCESS_WRITE ? is_code || !(s->attributes & ATTR_WRITABLE)
                                 : kind == ACCESS_READ && is_code && !(s->attributes & ATTR_READABLE)) {
            return segment_fault(cpu, seg);
        }
    }
    if ((s->attributes & (ATTR_CODE | ATTR_EXPAND_DOWN)) == ATTR_EXPAND_DOWN) {
        uint64_t top = s->attributes & ATTR_DB ? 0xffffffffu : 0xffff;
        if (offset <= s->limit || last > top) {
            return segment_fault(cpu, seg);
        }
    } else if (last > s->limit) {
        return segment_fault(cpu, seg);
    }
    *linear = (s->base + offset) & 0xffffffffu;
    return true;
}

static bool alignment_ok(struct cpu *cpu, uint64_t linear, unsigned size)
{
    if ((linear & (size - 1)) != 0 && (cpu->cr0 & CR0_AM) && (cpu->eflags & FLAG_AC) && cpu->cpl == 3) {
        return cpu_fault_error(cpu, VEC_AC, 0);
    }
    return true;
}

bool segment_read(struct cpu *cpu, enum segment_index seg, uint64_t offset, unsigned size, uint64_t *value)
{
    uint64_t linear;

    return segment_linear(cpu, seg, offset, size, ACCESS_READ, &linear) && alignment_ok(cpu, linear, size) &&
           linear_read(cpu, linear, size, false, value);
}

bool segment_write(struct cpu *cpu, enum segment_index seg, uint64_t offset, unsigned size, uint64_t value)
{
    uint64_t linear;

    return segment_linear(cpu, seg, offset, size, ACCESS_WRITE, &linear) && alignment_ok(cpu, linear, size) &&
           linear_write(cpu, linear, size, false, value);
}

bool segment_probe_write(struct cpu *cpu, enum segment_index seg, uint64_t offset, unsigned size)
{
    uint64_t linear;

    return segment_linear(cpu, seg, offset, size, ACCESS_WRITE, &linear) && alignment_ok(cpu, linear, size) &&
           linear_probe_write(cpu, linear, size, false);
}

/* ---- operands of the generic form ---- */

uint64_t ea_generic(const struct cpu *cpu, const struct insn *insn)
{
    if ((insn->sc >> 5 & 3) == 3) {
        return (uint64_t)insn[1].d << 32 | insn->d;
    }
    return (cpu->gpr[insn->r2] + (cpu->gpr[insn->r3] << (insn->sc & 3)) + wide(insn->d)) & address_mask(insn);
}

bool generic_read(struct cpu *cpu, const struct insn *insn, unsigned size, uint64_t *value)
{
    cpu->current = insn;
    return segment_read(cpu, ea_segment(insn), ea_generic(cpu, insn), size, value);
}

bool generic_write(struct cpu *cpu, const struct insn *insn, unsigned size, uint64_t value)
{
    cpu->current = insn;
    return segment_write(cpu, ea_segment(insn), ea_generic(cpu, insn), size, value);
}

bool generic_read_modify(struct cpu *cpu, const struct insn *insn, unsigned size, uint64_t *value)
{
    uint64_t offset = ea_generic(cpu, insn);

    cpu->current = insn;
    return segment_probe_write(cpu, ea_segment(insn), offset, size) &&
           segment_read(cpu, ea_segment(insn), offset, size, value);
}

/* ---- the stack ---- */

bool stack_push(struct cpu *cpu, const struct insn *insn, unsigned size, uint64_t value)
{
    uint64_t offset = (cpu->gpr[REG_SP] - size) & stack_mask(cpu);

    cpu->current = insn;
    if (!segment_write(cpu, SEG_SS, offset, size, value)) {
        return false;
    }
    stack_set(cpu, offset);
    return true;
}

bool stack_pop(struct cpu *cpu, const struct insn *insn, unsigned size, uint64_t *value)
{
    uint64_t offset = cpu->gpr[REG_SP] & stack_mask(cpu);

    cpu->current = insn;
    if (!segment_read(cpu, SEG_SS, offset, size, value)) {
        return false;
    }
    stack_set(cpu, offset + size);
    return true;
}
