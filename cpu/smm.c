/* smm.c - system management mode: SMI#, the saved state, RSM.
 *
 * SDM vol. 3 (December 2023), chapter 32, with the state map of 32-bit processors (table 32-1); processors with long mode use
 * AMD's (AMD64 Architecture Programmer's Manual, vol. 2, revision 3.40, 10.2.3, revision identifier 00020064h), which QEMU's use as
 * well and SeaBIOS knows.
 * Not implemented: I/O instruction restart, the I/O trap fields, MSRs that move SMRAM (SMM_ADDR and SMM_MASK; SMRR), page tables
 * that lie in SMRAM. Registers of SSE and x87 are not in the map, as on processors. */
#include "cpu/bind.h"
#include "cpu/mmu.h"
#include "cpu/system_private.h"

enum { STATE_OFFSET = 0x8000, ENTRY_OFFSET = 0x8000, DR7_INITIAL = 0x400 };
/* Offsets from SMBASE + 8000h. */
enum {
    AT_REVISION = 0x7efc,
    /* 32-bit map */
    AT32_CR0 = 0x7ffc, AT32_CR3 = 0x7ff8, AT32_EFLAGS = 0x7ff4, AT32_EIP = 0x7ff0, AT32_EDI = 0x7fec, AT32_DR6 = 0x7fcc,
    AT32_DR7 = 0x7fc8, AT32_TR = 0x7fc4, AT32_LDTR = 0x7fc0, AT32_SELECTORS = 0x7fa8, AT32_ES = 0x7f84, AT32_DS = 0x7f2c,
    AT32_LDTR_CACHE = 0x7f78, AT32_TR_CACHE = 0x7f5c, AT32_GDT_BASE = 0x7f74, AT32_GDT_LIMIT = 0x7f70,
    AT32_IDT_BASE = 0x7f58, AT32_IDT_LIMIT = 0x7f54, AT32_CR4 = 0x7f14, AT32_HALT = 0x7f02, AT32_SMBASE = 0x7ef8,
    /* 64-bit map */
    AT64_SEGMENTS = 0x7e00, AT64_GDT = 0x7e60, AT64_LDTR = 0x7e70, AT64_IDT = 0x7e80, AT64_TR = 0x7e90, AT64_HALT = 0x7ec9,
    AT64_EFER = 0x7ed0, AT64_SMBASE = 0x7f00, AT64_CR4 = 0x7f48, AT64_CR3 = 0x7f50, AT64_CR0 = 0x7f58, AT64_DR7 = 0x7f60,
    AT64_DR6 = 0x7f68, AT64_RFLAGS = 0x7f70, AT64_RIP = 0x7f78, AT64_RAX = 0x7ff8,
};
#define REVISION_32 UINT32_C(0x00020000) /* SMBASE can be moved */
#define REVISION_64 UINT32_C(0x00020064)

/* EAX, number 0, is at 7FD0h and EDI, number 7, at 7FECh. */
static unsigned at32_register(unsigned n) { return AT32_EDI - 4 * (7 - n); }

static bool has_long_map(const struct cpu *cpu) { return cpu_has(cpu, FEATURE_LM); }

/* ---- SMRAM ---- */

static uint64_t load(const struct cpu *cpu, unsigned at, unsigned size)
{
    phys_addr address = cpu->smbase + STATE_OFFSET + at;
    struct memory *memory;
    uint64_t offset, value = 0;

    if (cpu->board.smram && cpu->board.smram(cpu->board.context, address, &memory, &offset)) {
        for (unsigned k = 0; k < size; k++) {
            value |= (uint64_t)memory->host[offset + k] << 8 * k;
        }
        return value;
    }
    return space_read(cpu->board.space, address, size);
}

static void store(const struct cpu *cpu, unsigned at, unsigned size, uint64_t value)
{
    phys_addr address = cpu->smbase + STATE_OFFSET + at;
    struct memory *memory;
    uint64_t offset;

    if (cpu->board.smram && cpu->board.smram(cpu->board.context, address, &memory, &offset)) {
        memory_written(memory, offset, size);
        for (unsigned k = 0; k < size; k++) {
            memory->host[offset + k] = (uint8_t)(value >> 8 * k);
        }
        return;
    }
    space_write(cpu->board.space, address, size, value);
}

/* ---- segments ---- */

static uint32_t saved_attributes(const struct segment *s)
{
    return s->attributes & ATTR_NULL ? 0 : s->attributes & 0xf0ff;
}

static void restore_attributes(struct segment *s, uint64_t attributes)
{
    s->attributes = (uint32_t)attributes & 0xf0ff;
    if (!(s->attributes & ATTR_P)) {
        s->attributes |= ATTR_NULL;
    }
}

static void save_segment32(const struct cpu *cpu, const struct segment *s, unsigned selector_at, unsigned cache_at)
{
    store(cpu, selector_at, 4, s->selector);
    store(cpu, cache_at, 4, saved_attributes(s));
    store(cpu, cache_at + 4, 4, s->limit);
    store(cpu, cache_at + 8, 4, s->base);
}

static void load_segment32(const struct cpu *cpu, struct segment *s, unsigned selector_at, unsigned cache_at)
{
    *s = (struct segment){ .selector = (uint16_t)load(cpu, selector_at, 4),
                           .limit = (uint32_t)load(cpu, cache_at + 4, 4),
                           .base = load(cpu, cache_at + 8, 4) };
    restore_attributes(s, load(cpu, cache_at, 4));
}

static void save_segment64(const struct cpu *cpu, const struct segment *s, unsigned at)
{
    store(cpu, at, 2, s->selector);
    store(cpu, at + 2, 2, saved_attributes(s));
    store(cpu, at + 4, 4, s->limit);
    store(cpu, at + 8, 8, s->base);
}

static void load_segment64(const struct cpu *cpu, struct segment *s, unsigned at)
{
    *s = (struct segment){ .selector = (uint16_t)load(cpu, at, 2),
                           .limit = (uint32_t)load(cpu, at + 4, 4),
                           .base = load(cpu, at + 8, 8) };
    restore_attributes(s, load(cpu, at + 2, 2));
}

static unsigned cache32(unsigned seg) { return seg < 3 ? AT32_ES + seg * 12 : AT32_DS + (seg - 3) * 12; }

/* ---- state maps ---- */

static void save32(const struct cpu *cpu)
{
    store(cpu, AT32_CR0, 4, cpu->cr0);
    store(cpu, AT32_CR3, 4, cpu->cr3);
    store(cpu, AT32_EFLAGS, 4, cpu_get_eflags(cpu));
    store(cpu, AT32_EIP, 4, cpu->rip);
    for (unsigned n = 0; n < 8; n++) {
        store(cpu, at32_register(n), 4, cpu->gpr[n]);
    }
    store(cpu, AT32_DR6, 4, cpu->dr[6]);
    store(cpu, AT32_DR7, 4, cpu->dr[7]);
    for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++) {
        save_segment32(cpu, &cpu->seg[seg], AT32_SELECTORS + seg * 4, cache32(seg));
    }
    save_segment32(cpu, &cpu->seg[SEG_LDTR], AT32_LDTR, AT32_LDTR_CACHE);
    save_segment32(cpu, &cpu->seg[SEG_TR], AT32_TR, AT32_TR_CACHE);
    store(cpu, AT32_GDT_BASE, 4, cpu->gdtr.base);
    store(cpu, AT32_GDT_LIMIT, 4, cpu->gdtr.limit);
    store(cpu, AT32_IDT_BASE, 4, cpu->idtr.base);
    store(cpu, AT32_IDT_LIMIT, 4, cpu->idtr.limit);
    store(cpu, AT32_CR4, 4, cpu->cr4);
    store(cpu, AT32_HALT, 2, cpu->halted_state == CPU_HALTED);
    store(cpu, AT_REVISION, 4, REVISION_32);
    store(cpu, AT32_SMBASE, 4, cpu->smbase);
}

static void save64(const struct cpu *cpu)
{
    for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++) {
        save_segment64(cpu, &cpu->seg[seg], AT64_SEGMENTS + seg * 16);
    }
    save_segment64(cpu, &cpu->seg[SEG_LDTR], AT64_LDTR);
    save_segment64(cpu, &cpu->seg[SEG_TR], AT64_TR);
    store(cpu, AT64_GDT + 4, 4, cpu->gdtr.limit);
    store(cpu, AT64_GDT + 8, 8, cpu->gdtr.base);
    store(cpu, AT64_IDT + 4, 4, cpu->idtr.limit);
    store(cpu, AT64_IDT + 8, 8, cpu->idtr.base);
    for (unsigned n = 0; n < 16; n++) {
        store(cpu, AT64_RAX - 8 * n, 8, cpu->gpr[n]);
    }
    store(cpu, AT64_RIP, 8, cpu->rip);
    store(cpu, AT64_RFLAGS, 8, cpu_get_eflags(cpu));
    store(cpu, AT64_DR6, 8, cpu->dr[6]);
    store(cpu, AT64_DR7, 8, cpu->dr[7]);
    store(cpu, AT64_CR0, 8, cpu->cr0);
    store(cpu, AT64_CR3, 8, cpu->cr3);
    store(cpu, AT64_CR4, 8, cpu->cr4);
    store(cpu, AT64_EFER, 8, cpu->efer);
    store(cpu, AT64_HALT, 1, cpu->halted_state == CPU_HALTED);
    store(cpu, AT_REVISION, 4, REVISION_64);
    store(cpu, AT64_SMBASE, 4, cpu->smbase);
}

/* Returns EFLAGS; `*is_halted`: the instruction to go on with is HLT's successor only when an interrupt comes. */
static uint32_t restore32(struct cpu *cpu, bool *is_halted)
{
    cpu->cr0 = (uint32_t)load(cpu, AT32_CR0, 4);
    cpu->cr3 = load(cpu, AT32_CR3, 4);
    cpu->cr4 = (uint32_t)load(cpu, AT32_CR4, 4);
    cpu->rip = load(cpu, AT32_EIP, 4);
    for (unsigned n = 0; n < 8; n++) {
        cpu->gpr[n] = load(cpu, at32_register(n), 4);
    }
    cpu->dr[6] = load(cpu, AT32_DR6, 4);
    cpu->dr[7] = load(cpu, AT32_DR7, 4);
    for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++) {
        load_segment32(cpu, &cpu->seg[seg], AT32_SELECTORS + seg * 4, cache32(seg));
    }
    load_segment32(cpu, &cpu->seg[SEG_LDTR], AT32_LDTR, AT32_LDTR_CACHE);
    load_segment32(cpu, &cpu->seg[SEG_TR], AT32_TR, AT32_TR_CACHE);
    cpu->gdtr.base = load(cpu, AT32_GDT_BASE, 4);
    cpu->gdtr.limit = (uint16_t)load(cpu, AT32_GDT_LIMIT, 4);
    cpu->idtr.base = load(cpu, AT32_IDT_BASE, 4);
    cpu->idtr.limit = (uint16_t)load(cpu, AT32_IDT_LIMIT, 4);
    *is_halted = load(cpu, AT32_HALT, 2) & 1;
    uint32_t eflags = (uint32_t)load(cpu, AT32_EFLAGS, 4);
    cpu->smbase = (uint32_t)load(cpu, AT32_SMBASE, 4);
    return eflags;
}

static uint32_t restore64(struct cpu *cpu, bool *is_halted)
{
    for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++) {
        load_segment64(cpu, &cpu->seg[seg], AT64_SEGMENTS + seg * 16);
    }
    load_segment64(cpu, &cpu->seg[SEG_LDTR], AT64_LDTR);
    load_segment64(cpu, &cpu->seg[SEG_TR], AT64_TR);
    cpu->gdtr.limit = (uint16_t)load(cpu, AT64_GDT + 4, 4);
    cpu->gdtr.base = load(cpu, AT64_GDT + 8, 8);
    cpu->idtr.limit = (uint16_t)load(cpu, AT64_IDT + 4, 4);
    cpu->idtr.base = load(cpu, AT64_IDT + 8, 8);
    for (unsigned n = 0; n < 16; n++) {
        cpu->gpr[n] = load(cpu, AT64_RAX - 8 * n, 8);
    }
    cpu->rip = load(cpu, AT64_RIP, 8);
    cpu->dr[6] = load(cpu, AT64_DR6, 8);
    cpu->dr[7] = load(cpu, AT64_DR7, 8);
    cpu->cr0 = (uint32_t)load(cpu, AT64_CR0, 8);
    cpu->cr3 = load(cpu, AT64_CR3, 8);
    cpu->cr4 = (uint32_t)load(cpu, AT64_CR4, 8);
    cpu->efer = load(cpu, AT64_EFER, 8);
    *is_halted = load(cpu, AT64_HALT, 1) & 1;
    uint32_t eflags = (uint32_t)load(cpu, AT64_RFLAGS, 8);
    cpu->smbase = (uint32_t)load(cpu, AT64_SMBASE, 4);
    return eflags;
}

/* ---- entry: 32.4 and 32.5, table 32-4 ---- */

void smm_enter(struct cpu *cpu)
{
    cpu->smi_latched = false;
    if (has_long_map(cpu)) {
        save64(cpu);
    } else {
        save32(cpu);
    }
    cpu->in_smm = true;
    cpu->smm_nmi_blocked = cpu->nmi_blocked;
    cpu->nmi_blocked = true;
    cpu->halted_state = CPU_RUNNING;
    cpu->mwait_waits = false;
    for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++) {
        cpu->seg[seg] = (struct segment){
            .limit = UINT32_MAX, .attributes = ATTR_P | ATTR_S | ATTR_WRITABLE | ATTR_ACCESSED | ATTR_G
        };
    }
    cpu->seg[SEG_CS].selector = (uint16_t)(cpu->smbase >> 4);
    cpu->seg[SEG_CS].base = cpu->smbase;
    cpu->rip = ENTRY_OFFSET;
    cpu->cr0 &= ~(CR0_PE | CR0_EM | CR0_TS | CR0_PG);
    cpu->cr4 = 0;
    cpu->efer = 0;
    cpu->dr[7] = DR7_INITIAL;
    cpu->cpl = 0;
    cpu->shadow_icount = ~UINT64_C(0);
    cpu->step_cancelled = true;
    cpu_set_eflags(cpu, FLAG_1);
    tlb_flush(cpu, false);
}

/* ---- RSM: 32.6. What it finds is believed, as far as nothing here depends on it. ---- */

static NOINLINE void leave(struct cpu *cpu)
{
    uint32_t eflags;
    bool is_halted;

    if (has_long_map(cpu)) {
        eflags = restore64(cpu, &is_halted);
    } else {
        eflags = restore32(cpu, &is_halted);
    }
    cpu->cr0 |= CR0_ET;
    if (!(cpu->cr0 & CR0_PE)) {
        cpu->cr0 &= ~CR0_PG;
    }
    cpu->dr[6] = (cpu->dr[6] & 0xe00f) | 0xffff0ff0u;
    cpu->dr[7] = (cpu->dr[7] & 0xffff23ffu) | DR7_INITIAL;
    cpu->in_smm = false;
    cpu->nmi_blocked = cpu->smm_nmi_blocked;
    cpu->halted_state = is_halted ? CPU_HALTED : CPU_RUNNING;
    cpu->cpl = !(cpu->cr0 & CR0_PE) ? 0 : eflags & FLAG_VM ? 3 : cpu->seg[SEG_SS].attributes >> ATTR_DPL_SHIFT & 3;
    if ((cpu->cr0 & CR0_PG) && (cpu->cr4 & CR4_PAE) && !(cpu->efer & EFER_LMA) &&
        !control_read_pdptes(cpu, cpu->cr3, cpu->pdpte)) {
        cpu->halted_state = CPU_SHUTDOWN;
    }
    cpu->step_cancelled = true;
    cpu->pending |= PENDING_LOOK;
    cpu_set_eflags(cpu, eflags);
    tlb_flush(cpu, false);
}

static HANDLER(h_rsm)
{
    cpu_sync(cpu, insn);
    if (!cpu->in_smm) {
        cpu_fault(cpu, VEC_UD);
        return fault_exit(cpu, insn);
    }
    leave(cpu);
    cpu->current = NULL;
    return NULL;
}
BIND_ONE(rsm, h_rsm)

void cpu_set_smi(struct cpu *cpu)
{
    cpu->smi_latched = true;
    cpu->pending |= PENDING_LOOK;
}
