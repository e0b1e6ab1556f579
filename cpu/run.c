/* run.c - the processor's life: creation, reset, the dispatcher, interrupts, exact counts.
 *
 * SDM vol. 3, 10.1 (reset), 6.9 (priority among simultaneous events), 17.3 (debug exceptions). */
#include "cpu/blocks.h"
#include "cpu/debug.h"
#include "cpu/decode.h"
#include "cpu/flags.h"
#include "cpu/mmu.h"
#include "cpu/profile.h"
#include "cpu/system_private.h"

#include <stdlib.h>

/* ---- counts ---- */

uint64_t cpu_icount(const struct cpu *cpu)
{
    if (!cpu->current) {
        return cpu->deadline_icount - (uint64_t)(int64_t)cpu->remaining;
    }
    const struct block *block = block_of(cpu, cpu->current);
    unsigned left = block->count - block_ordinal(block, cpu->current);
    return cpu->deadline_icount - (uint64_t)(int64_t)cpu->remaining - left;
}

static uint64_t mask_ip(const struct cpu *cpu, uint64_t eip)
{
    return eip & code_mask(cpu);
}

void cpu_sync(struct cpu *cpu, const struct insn *insn)
{
    const struct block *block = block_of(cpu, insn);
    unsigned ordinal = block_ordinal(block, insn);

    cpu->current = insn;
    cpu->rip = mask_ip(cpu, cpu->gpr[REG_PAGE] + block->boundaries[ordinal]);
    cpu->next_rip = mask_ip(cpu, cpu->gpr[REG_PAGE] + block->boundaries[ordinal + 1]);
}

/* Gives back the charge for the instructions after the one at `insn` (and for it too when it has not retired). */
static void refund(struct cpu *cpu, const struct insn *insn, bool has_retired)
{
    const struct block *block = block_of(cpu, insn);

    cpu->remaining += (int32_t)(block->count - block_ordinal(block, insn) - (has_retired ? 1u : 0u));
    cpu->current = NULL;
}

NOINLINE const struct insn *fault_exit(struct cpu *cpu, const struct insn *insn)
{
    cpu_sync(cpu, insn);
    refund(cpu, insn, true);
    cpu->step_cancelled = true;
    cpu_deliver_fault(cpu);
    return NULL;
}

/* The same for instructions that transfer control: cpu->rip is where the fault is to be reported, which after the commit
 * point of a task switch is in the new task. */
NOINLINE const struct insn *fault_exit_here(struct cpu *cpu, const struct insn *insn)
{
    refund(cpu, insn, true);
    cpu->step_cancelled = true;
    cpu_deliver_fault(cpu);
    return NULL;
}

NOINLINE const struct insn *leave_after(struct cpu *cpu, const struct insn *insn)
{
    cpu_sync(cpu, insn);
    refund(cpu, insn, true);
    cpu->rip = cpu->next_rip;
    return NULL;
}

NOINLINE const struct insn *leave_before(struct cpu *cpu, const struct insn *insn)
{
    cpu_sync(cpu, insn);
    refund(cpu, insn, false);
    return NULL;
}

HANDLER(h_undefined)
{
    cpu_fault(cpu, VEC_UD);
    return fault_exit(cpu, insn);
}

HANDLER(h_too_long)
{
    cpu_fault_error(cpu, VEC_GP, 0);
    return fault_exit(cpu, insn);
}

HANDLER(h_privilege)
{
    cpu_fault_error(cpu, VEC_GP, 0);
    return fault_exit(cpu, insn);
}

/* ---- modes and tokens ---- */

static bool is_flat_data(const struct segment *s)
{
    return s->base == 0 && s->limit == 0xffffffffu &&
           (s->attributes & (ATTR_NULL | ATTR_P | ATTR_S | ATTR_CODE | ATTR_EXPAND_DOWN | ATTR_WRITABLE)) ==
               (ATTR_P | ATTR_S | ATTR_WRITABLE);
}

static unsigned mode_bits(const struct cpu *cpu)
{
    const struct segment *cs = &cpu->seg[SEG_CS];
    bool is_checked = (cpu->cr0 & CR0_AM) && (cpu->eflags & FLAG_AC) && cpu->cpl == 3;
    unsigned mode = 0;

    if (cpu_is_long(cpu) && (cs->attributes & ATTR_L)) {
        /* 64-bit code: segments are flat, whatever their registers hold. */
        return MODE_CODE64 | MODE_PROTECTED | MODE_CS_FLAT | (cpu->cpl == 0 ? MODE_CPL0 : 0u) |
               (is_checked ? 0u : MODE_FLAT);
    }
    mode |= cs->attributes & ATTR_DB ? MODE_CODE32 : 0;
    mode |= cpu->seg[SEG_SS].attributes & ATTR_DB ? MODE_STACK32 : 0;
    mode |= cpu_is_protected(cpu) ? MODE_PROTECTED : 0;
    mode |= cpu->cpl == 0 ? MODE_CPL0 : 0;
    mode |= cs->base == 0 && cs->limit == 0xffffffffu ? MODE_CS_FLAT : 0;
    if (!is_checked && is_flat_data(&cpu->seg[SEG_DS]) && is_flat_data(&cpu->seg[SEG_ES]) &&
        is_flat_data(&cpu->seg[SEG_SS])) {
        mode |= MODE_FLAT;
    }
    return mode;
}

static void set_tokens(struct cpu *cpu)
{
    for (unsigned class = 0; class < 2; class++) {
        cpu->fetch_token[class] =
            cpu->generation[class] << 9 | (cpu->cpl == 3 ? 0x100u : 0u) | (uint32_t)cpu->mode << 1 | class;
    }
}

void fetch_tokens_bump(struct cpu *cpu, bool keep_global)
{
    cpu->generation[0]++;
    if (!keep_global) {
        cpu->generation[1]++;
    }
    if ((cpu->generation[0] | cpu->generation[1]) >> 22) {
        /* The tokens would repeat: nothing that holds one may survive. */
        cpu->generation[0] = cpu->generation[1] = 1;
        blocks_flush(cpu);
        cpu->pending |= PENDING_LOOK;
    }
    set_tokens(cpu);
}

void cpu_update_mode(struct cpu *cpu)
{
    cpu->mode = (uint8_t)mode_bits(cpu);
    cpu->tlb = cpu->tlb_arrays[tlb_mode_of(cpu, false)];
    cpu->gpr[REG_FS_BASE] = cpu->seg[SEG_FS].base;
    cpu->gpr[REG_GS_BASE] = cpu->seg[SEG_GS].base;
    cpu_update_sse(cpu);
    set_tokens(cpu);
    cpu->jump_key_base = 0;
    if (!(cpu->mode & MODE_CS_FLAT)) {
        cpu->jump_key_base = (cpu->seg[SEG_CS].base & 0xffffffffu) << 32;
        if (cpu->seg[SEG_CS].limit != cpu->token_cs_limit) {
            cpu->token_cs_limit = cpu->seg[SEG_CS].limit;
            fetch_tokens_bump(cpu, false);
        }
    }
    uint64_t dr7 = cpu->dr[7];
    cpu->code_breakpoints = false;
    cpu->data_breakpoints = 0;
    for (unsigned n = 0; (dr7 & 0xff) && n < 4; n++) {
        if (dr7 >> (2 * n) & 3) {
            if ((dr7 >> (16 + 4 * n) & 3) == 0) {
                cpu->code_breakpoints = true;
            } else {
                cpu->data_breakpoints = 1;
            }
        }
    }
    if (UNLIKELY(cpu->debug != NULL)) {
        debug_mode(cpu);
    }
}

uint32_t cpu_get_eflags(const struct cpu *cpu)
{
    return (cpu->eflags & FLAGS_SYSTEM) | FLAG_1 | flags_gather(cpu);
}

void cpu_set_eflags(struct cpu *cpu, uint32_t eflags)
{
    cpu->eflags = (eflags & FLAGS_SYSTEM) | FLAG_1;
    flags_scatter(cpu, eflags);
    if (cpu->eflags & (FLAG_IF | FLAG_TF)) {
        cpu->pending |= cpu->intr_line || (cpu->eflags & FLAG_TF) ? PENDING_LOOK : 0;
    }
    cpu_update_mode(cpu);
}

void cpu_loaded(struct cpu *cpu)
{
    cpu->gpr[REG_NIL] = 0;
    cpu->current = NULL;
    cpu->delivering = 0;
    apic_update_page(cpu);
    cpu_update_mode(cpu);
    tlb_flush(cpu, false);
    blocks_flush(cpu);
    cpu_update_mode(cpu);
    cpu->pending |= PENDING_LOOK;
}

/* ---- lines ---- */

void cpu_look(struct cpu *cpu)
{
    cpu->pending |= PENDING_LOOK;
}

void cpu_request_stop(struct cpu *cpu)
{
    cpu->pending |= PENDING_STOP;
}

void cpu_set_intr(struct cpu *cpu, bool level)
{
    cpu->intr_line = level;
    if (level) {
        cpu->pending |= PENDING_LOOK;
    }
}

void cpu_set_nmi(struct cpu *cpu, bool level)
{
    if (level && !cpu->nmi_line) {
        cpu->nmi_latched = true;
        cpu->pending |= PENDING_LOOK;
    }
    cpu->nmi_line = level;
}

void cpu_set_a20(struct cpu *cpu, bool enabled)
{
    if (cpu->a20_enabled != enabled) {
        cpu->a20_enabled = enabled;
        cpu_map_changed(cpu);
    }
}

void cpu_request_init(struct cpu *cpu)
{
    cpu->init_requested = true;
    cpu->pending |= PENDING_LOOK;
}

void cpu_set_ignne(struct cpu *cpu, bool level)
{
    cpu->ignne_line = level;
}

static uint64_t hash_words(const uint64_t *words, unsigned count)
{
    uint64_t hash = HASH_SEED;

    for (unsigned k = 0; k < count; k++) {
        hash = (hash ^ words[k]) * UINT64_C(0x100000001b3);
        hash ^= hash >> 29;
    }
    return hash;
}

static bool in_shadow(const struct cpu *cpu)
{
    return cpu->shadow_icount == cpu_icount(cpu);
}

uint64_t cpu_monitor_hash(const struct cpu *cpu)
{
    uint64_t line[8];

    for (unsigned k = 0; k < 8; k++) {
        line[k] = space_read(cpu->board.space, cpu->monitor_line + 8 * k, 8);
    }
    return hash_words(line, 8);
}

/* What ends MWAIT besides the interrupts that end HLT. */
static bool mwait_ends(const struct cpu *cpu)
{
    return cpu->mwait_waits &&
           ((cpu->mwait_breaks && cpu->intr_line) || cpu_monitor_hash(cpu) != cpu->monitor_hash);
}

bool cpu_has_work(const struct cpu *cpu)
{
    return mwait_ends(cpu) || (cpu->smi_latched && !cpu->in_smm) || (cpu->nmi_latched && !cpu->nmi_blocked) || (cpu->intr_line && (cpu->eflags & FLAG_IF));
}

bool cpu_is_idle(const struct cpu *cpu)
{
    return cpu->halted_state == CPU_WAIT_SIPI ||
           (cpu->halted_state == CPU_HALTED && !cpu_has_work(cpu) && (cpu->pending & PENDING_DEBUG) == 0);
}

/* ---- dispatcher ---- */

/* Takes an interrupt or trap that is due between instructions. */
static void deliver_pending(struct cpu *cpu)
{
    bool shadow = in_shadow(cpu);

    if (cpu->halted_state == CPU_WAIT_SIPI) {
        return;
    }
    if (UNLIKELY(cpu->smi_latched) && !cpu->in_smm) {
        smm_enter(cpu);
        return;
    }
    if ((cpu->pending & PENDING_DEBUG) && !(shadow && cpu->shadow_is_mov_ss)) {
        cpu->pending &= (uint8_t)~PENDING_DEBUG;
        cpu->dr[6] = (cpu->dr[6] & ~UINT64_C(15)) | cpu->debug_pending;
        cpu->debug_pending = 0;
        if (cpu->halted_state == CPU_HALTED) {
            cpu->halted_state = CPU_RUNNING; /* HLT was stepped over */
        }
        if (!interrupt_enter(cpu, VEC_DB, INTERRUPT_EXCEPTION, false, 0, cpu->rip)) {
            cpu_deliver_fault(cpu);
        }
        return;
    }
    if (shadow) {
        return;
    }
    if (cpu->nmi_latched && !cpu->nmi_blocked) {
        cpu->nmi_latched = false;
        cpu->nmi_blocked = true;
        cpu->halted_state = CPU_RUNNING;
        cpu->stats.interrupts++;
        if (!interrupt_enter(cpu, VEC_NMI, INTERRUPT_EXTERNAL, false, 0, cpu->rip)) {
            cpu_deliver_fault(cpu);
        }
    } else if (cpu->intr_line && (cpu->eflags & FLAG_IF)) {
        int vector = cpu->board.acknowledge(cpu->board.context);
        if (vector >= 0) {
            cpu->halted_state = CPU_RUNNING;
            cpu->stats.interrupts++;
            if (!interrupt_enter(cpu, (uint8_t)vector, INTERRUPT_EXTERNAL, false, 0, cpu->rip)) {
                cpu_deliver_fault(cpu);
            }
        }
    }
}

/* Instruction breakpoints of DR7 at the next instruction: true when #DB was delivered. Of all faults this one alone leaves
 * RF clear in the image that it pushes (SDM vol. 3, 17.3.1.1), so it is delivered like a trap. */
static bool code_breakpoint_hit(struct cpu *cpu)
{
    uint64_t linear = cpu_is_64bit(cpu) ? cpu->rip : (cpu->rip + cpu->seg[SEG_CS].base) & 0xffffffffu;
    uint32_t hits = 0;
    bool is_enabled = false;

    if (cpu->eflags & FLAG_RF) {
        return false;
    }
    for (unsigned n = 0; n < 4; n++) {
        if ((cpu->dr[7] >> (16 + 4 * n) & 15) == 0 && cpu->dr[n] == linear) {
            hits |= 1u << n;
            is_enabled |= (cpu->dr[7] >> (2 * n) & 3) != 0;
        }
    }
    if (!is_enabled) {
        return false;
    }
    cpu->dr[6] = (cpu->dr[6] & ~UINT64_C(15)) | hits;
    if (!interrupt_enter(cpu, VEC_DB, INTERRUPT_EXCEPTION, false, 0, cpu->rip)) {
        cpu_deliver_fault(cpu);
    }
    return true;
}

/* Runs `count` instructions from a record that stands for the page offset of `eip`, and whatever they chain to. */
static void execute_from(struct cpu *cpu, const struct insn *insn, unsigned count, unsigned page_offset, uint64_t eip)
{
    cpu->remaining -= (int32_t)count;
    cpu->gpr[REG_PAGE] = eip - page_offset;
    cpu->stats.dispatches++;
#if TICK86_TAIL_CALLS
    insn->handler(cpu, insn);
#else
    do {
        insn = insn->handler(cpu, insn);
    } while (insn);
#endif
    cpu->current = NULL;
}

static void execute(struct cpu *cpu, const struct block *block, uint64_t eip)
{
    execute_from(cpu, block->first, block->count, block->boundaries[0], eip);
}

/* Runs one instruction with every check that the fast path leaves out. */
static void execute_single(struct cpu *cpu)
{
    bool is_stepping = (cpu->eflags & FLAG_TF) != 0;

    /* After MOV SS there are no instruction breakpoints: SDM vol. 3, 6.8.3. */
    if (cpu->code_breakpoints && !(in_shadow(cpu) && cpu->shadow_is_mov_ss) && code_breakpoint_hit(cpu)) {
        return;
    }
    const struct block *block = block_scratch(cpu, cpu->rip, 1);
    if (!block) {
        cpu->remaining--;
        cpu_deliver_fault(cpu);
        return;
    }
    cpu->step_cancelled = false;
    cpu->eflags &= ~FLAG_RF;
    /* The deadline is here: a terminator must not go on to the next block. */
    int32_t rest = cpu->remaining - 1;
    cpu->remaining = 1;
    cpu->deadline_icount -= (uint64_t)(int64_t)rest;
    execute(cpu, block, cpu->rip);
    cpu->deadline_icount += (uint64_t)(int64_t)rest;
    cpu->remaining += rest;
    if (is_stepping && !cpu->step_cancelled) {
        cpu->debug_pending |= 1u << 14;
        cpu->pending |= PENDING_DEBUG;
    }
}

static void execute_scratch(struct cpu *cpu, unsigned limit)
{
    const struct block *block = block_scratch(cpu, cpu->rip, limit);

    if (!block) {
        cpu->remaining--;
        cpu_deliver_fault(cpu);
        return;
    }
    cpu->eflags &= ~FLAG_RF;
    execute(cpu, block, cpu->rip);
}

static void execute_next(struct cpu *cpu)
{
    uint64_t eip = cpu->rip;
    const struct jump_entry *entry = jump_look(cpu, eip);
    bool uncacheable = false;

    /* A trap that is due still: held off by MOV SS, or by a frame of #DB itself that met a breakpoint. */
    if ((cpu->eflags & FLAG_TF) || cpu->code_breakpoints || (cpu->pending & PENDING_DEBUG) || in_shadow(cpu)) {
        execute_single(cpu);
        return;
    }
    if (!cpu->use_block_cache) {
        execute_scratch(cpu, 1);
        return;
    }
    cpu->eflags &= ~FLAG_RF;
    if (LIKELY(jump_matches(cpu, entry, eip) && entry->count <= cpu->remaining)) {
        execute_from(cpu, entry->next, entry->count, entry->page_offset, eip);
        return;
    }
    const struct block *block = block_find(cpu, eip, &uncacheable);
    if (!block && !uncacheable) {
        cpu->remaining--;
        cpu_deliver_fault(cpu);
        return;
    }
    if (uncacheable || block->count > cpu->remaining) {
        execute_scratch(cpu, uncacheable ? 1 : (unsigned)cpu->remaining);
        return;
    }
    remember_jump(cpu, eip, block);
    execute(cpu, block, eip);
}

uint32_t cpu_run(struct cpu *cpu, uint32_t count)
{
    uint64_t start = cpu_icount(cpu);

    cpu->deadline_icount = start + count;
    cpu->remaining = (int32_t)count;
    while (cpu->remaining > 0) {
        if (cpu->pending || cpu->intr_line || cpu->nmi_latched) {
            if (cpu->pending & PENDING_STOP) {
                cpu->pending &= (uint8_t)~PENDING_STOP;
                break;
            }
            if (UNLIKELY(cpu->debug_stop)) {
                break;
            }
            cpu->pending &= (uint8_t)~PENDING_LOOK;
            if (UNLIKELY(cpu->init_requested)) {
                cpu_reset(cpu, true);
            }
            deliver_pending(cpu);
            if (UNLIKELY(cpu->pending & PENDING_DEBUG)) {
                deliver_pending(cpu); /* the frame was pushed over a data breakpoint */
            }
            if (UNLIKELY(cpu->debug_stop)) {
                break; /* before the handler's first instruction */
            }
        }
        if (cpu->halted_state != CPU_RUNNING) {
            if (cpu->halted_state == CPU_SHUTDOWN || !mwait_ends(cpu)) {
                break;
            }
            cpu->halted_state = CPU_RUNNING;
        }
        cpu->mwait_waits = false;
        execute_next(cpu);
    }
    /* A stop that was asked for while halting or at the deadline is answered by this return. */
    cpu->pending &= (uint8_t)~PENDING_STOP;
    cpu->debug_stop = false;
    cpu->deadline_icount -= (uint64_t)(int64_t)cpu->remaining;
    uint32_t done = (uint32_t)(cpu->deadline_icount - start);
    cpu->remaining = 0;
    return done;
}

/* ---- life ---- */

struct cpu *cpu_create(const struct cpu_board *board, bool use_block_cache, struct error *err)
{
    struct cpu *cpu = calloc(1, sizeof *cpu);

    if (!cpu) {
        error_set(err, "out of memory for the processor");
        return NULL;
    }
    cpu->board = *board;
    cpu->next_peer = cpu;
    cpu->log_channel = log_channel(board->log, "cpu");
    log_channel(board->log, "x87"); /* so that it can be named before it is used */
    cpu->use_block_cache = use_block_cache;
    if (board->model) {
        cpu->model = *board->model;
    } else {
        (void)cpu_model_parse(NULL, &cpu->model, NULL);
    }
    cpu->decoder = decoder_create(&cpu->model);
    if (!cpu->decoder || !tlb_create(cpu) || !blocks_create(cpu)) {
        cpu_destroy(cpu);
        error_set(err, "out of memory for the processor");
        return NULL;
    }
    for (unsigned mode = 0; mode < TLB_MODES; mode++) {
        for (unsigned k = 0; k < TLB_ENTRIES; k++) {
            cpu->tlb_arrays[mode][k] = (struct tlb_entry){
                .read_tag = TLB_INVALID, .write_tag = TLB_INVALID, .fetch_tag = TLB_INVALID
            };
            cpu->tlb_cold[mode][k] = (struct tlb_cold){ .page = TLB_INVALID };
        }
    }
    cpu->generation[0] = cpu->generation[1] = 1;
    cpu_reset(cpu, false);
    return cpu;
}

void cpu_destroy(struct cpu *cpu)
{
    if (cpu) {
        blocks_destroy(cpu);
        tlb_destroy(cpu);
        decoder_destroy(cpu->decoder);
        if (cpu->next_peer == cpu) {
            profile_destroy(cpu->profile);
        } else { /* peers have it still */
            struct cpu *before = cpu->next_peer;
            while (before->next_peer != cpu) {
                before = before->next_peer;
            }
            before->next_peer = cpu->next_peer;
        }
        free(cpu);
    }
}

void cpu_join(struct cpu *cpu, struct cpu *other)
{
    if (cpu != other) {
        cpu->next_peer = other->next_peer;
        other->next_peer = cpu;
    }
}

bool cpu_profile(struct cpu *cpu, struct error *err)
{
    if (!cpu->profile) {
        struct profile *profile = profile_create();
        struct cpu *peer = cpu;
        do {
            peer->profile = profile;
            blocks_flush(peer);
            fetch_tokens_bump(peer, false);
            peer = peer->next_peer;
        } while (peer != cpu);
    }
    return cpu->profile || error_set(err, "out of memory for the profile");
}

/* SDM vol. 3, table 10-1. */
void cpu_reset(struct cpu *cpu, bool is_init)
{
    uint32_t kept_cr0 = is_init ? cpu->cr0 & (CR0_CD | CR0_NW) : CR0_CD | CR0_NW;

    memset(cpu->gpr, 0, sizeof cpu->gpr);
    cpu->gpr[REG_DX] = cpu->model.signature;
    for (unsigned seg = 0; seg < SEG_COUNT; seg++) {
        cpu->seg[seg] = (struct segment){ 0, 0xffff, ATTR_P | ATTR_S | ATTR_WRITABLE | ATTR_ACCESSED, 0, { 0 } };
    }
    cpu->seg[SEG_CS].selector = 0xf000;
    cpu->seg[SEG_CS].base = 0xffff0000u;
    cpu->seg[SEG_CS].attributes = ATTR_P | ATTR_S | ATTR_CODE | ATTR_READABLE | ATTR_ACCESSED;
    cpu->seg[SEG_LDTR].attributes = ATTR_P | 2;
    cpu->seg[SEG_TR].attributes = ATTR_P | 11;
    cpu->gdtr = cpu->idtr = (struct table_register){ 0, 0xffff, { 0 } };
    cpu->rip = 0xfff0;
    cpu->cr0 = CR0_ET | kept_cr0;
    cpu->cr2 = cpu->cr3 = cpu->cr8 = 0;
    cpu->cr4 = 0;
    cpu->efer = 0;
    memset(cpu->dr, 0, sizeof cpu->dr);
    cpu->dr[6] = 0xffff0ff0u;
    cpu->dr[7] = 0x400;
    cpu->cpl = 0;
    cpu->pending = PENDING_LOOK;
    cpu->halted_state = cpu->board.is_application ? CPU_WAIT_SIPI : CPU_RUNNING;
    cpu->shadow_icount = cpu->repeat_icount = ~UINT64_C(0);
    cpu->nmi_latched = cpu->nmi_blocked = false;
    cpu->debug_pending = 0;
    cpu->delivering = 0;
    cpu->ferr_line = false;
    cpu->init_requested = cpu->mwait_waits = cpu->monitor_armed = false;
    if (!is_init) {
        cpu->in_smm = cpu->smi_latched = cpu->smm_nmi_blocked = false;
        cpu->smbase = 0x30000;
        cpu->fpu = (struct fpu){ .control = 0x40, .empty = 0, .top = 0 };
        memset(cpu->xmm, 0, sizeof cpu->xmm);
        memset(cpu->ymm_high, 0, sizeof cpu->ymm_high);
        cpu->mxcsr = MXCSR_INIT;
        cpu->xcr0 = XCR0_X87;
        cpu->sysenter_cs = cpu->sysenter_esp = cpu->sysenter_eip = 0;
        cpu->star = cpu->lstar = cpu->cstar = cpu->fmask = cpu->kernel_gs_base = cpu->tsc_aux = 0;
        cpu->spec_ctrl = 0;
        cpu->pkru = 0;
        cpu->tsc_offset = 0 - clock_now(cpu->board.clock);
        cpu->apic_base = 0xfee00000u | (cpu_has(cpu, FEATURE_APIC) ? 0x800u : 0) | (cpu->board.is_application ? 0 : 0x100u);
        cpu->mtrr_def_type = 0;
        memset(cpu->mtrr_fixed, 0, sizeof cpu->mtrr_fixed);
        memset(cpu->mtrr_base, 0, sizeof cpu->mtrr_base);
        memset(cpu->mtrr_mask, 0, sizeof cpu->mtrr_mask);
        cpu->pat = UINT64_C(0x0007040600070406);
        cpu->misc_enable = 1;
        cpu->bios_sign_id = 0;
        cpu->a20_enabled = true;
    }
    cpu->token_cs_limit = ~UINT64_C(0);
    apic_update_page(cpu);
    cpu_set_eflags(cpu, FLAG_1);
    tlb_flush(cpu, false);
    cpu_update_mode(cpu);
}

void cpu_start(struct cpu *cpu, uint8_t vector)
{
    if (cpu->halted_state == CPU_WAIT_SIPI) {
        cpu->seg[SEG_CS].selector = (uint16_t)(vector << 8);
        cpu->seg[SEG_CS].base = (uint64_t)vector << 12;
        cpu->rip = 0;
        cpu->halted_state = CPU_RUNNING;
        cpu_update_mode(cpu);
    }
}

#define S struct segment
static const struct field segment_fields[] = {
    FIELD(S, base, NULL), FIELD(S, limit, "in bytes"), FIELD(S, attributes, NULL), FIELD(S, selector, NULL),
    PAD(S, pad_), FIELD_END
};
#undef S
#define S struct table_register
static const struct field table_register_fields[] = { FIELD(S, base, NULL), FIELD(S, limit, NULL), PAD(S, pad_), FIELD_END };
#undef S
#define S struct fpu
static const struct field fpu_fields[] = {
    FIELD(S, mantissa, "physical registers 0 to 7"), FIELD(S, sign_exp, NULL), FIELD(S, instruction_pointer, NULL),
    FIELD(S, data_pointer, NULL), FIELD(S, instruction_selector, NULL), FIELD(S, data_selector, NULL),
    FIELD(S, opcode, NULL), FIELD(S, control, NULL), FIELD(S, status, "without TOP"), FIELD(S, top, NULL),
    FIELD(S, empty, "bit n: register n is empty"), PAD(S, pad_), FIELD_END
};
#undef S
#define S struct cpu
const struct field cpu_fields[] = {
    { "gpr", "rax rcx rdx rbx rsp rbp rsi rdi r8-r15, zero", offsetof(S, gpr), REG_STATE_COUNT * sizeof(uint64_t),
      sizeof(uint64_t), FIELD_KIND_UINT, NULL },
    { "gpr_derived", NULL, offsetof(S, gpr) + REG_STATE_COUNT * sizeof(uint64_t),
      (REG_COUNT - REG_STATE_COUNT) * sizeof(uint64_t), 0, FIELD_KIND_DERIVED, NULL },
    FIELD(S, flags_result, "lazy flags"),
    FIELD(S, flags_x, "lazy flags"),
    DERIVED(S, remaining, "0 between runs"),
    FIELD(S, pending, NULL),
    FIELD(S, halted_state, "0 running, 1 halted, 2 shut down, 3 waiting for a start-up message"),
    FIELD(S, cpl, NULL),
    DERIVED(S, mode, NULL),
    DERIVED(S, tlb, NULL),
    DERIVED(S, fetch_token, NULL),
    DERIVED(S, jump_cache, NULL),
    FIELD(S, eflags, "system flags"),
    FIELD(S, cr0, NULL),
    FIELD(S, rip, NULL),
    DERIVED(S, next_rip, NULL),
    FIELD(S, deadline_icount, "retired instructions"),
    FIELD(S, shadow_icount, "interrupts are held off at this count"),
    FIELD_STRUCT(S, seg, struct segment, segment_fields, "ES CS SS DS FS GS LDTR TR"),
    FIELD_STRUCT(S, gdtr, struct table_register, table_register_fields, NULL),
    FIELD_STRUCT(S, idtr, struct table_register, table_register_fields, NULL),
    FIELD(S, cr2, NULL),
    FIELD(S, cr3, NULL),
    FIELD(S, cr8, NULL),
    FIELD(S, cr4, NULL),
    FIELD(S, debug_pending, "DR6 bits of a trap that is due"),
    FIELD(S, efer, NULL),
    FIELD(S, pdpte, NULL),
    FIELD(S, dr, NULL),
    FIELD(S, sysenter_cs, NULL),
    FIELD(S, sysenter_esp, NULL),
    FIELD(S, sysenter_eip, NULL),
    FIELD(S, tsc_offset, NULL),
    FIELD(S, repeat_icount, "a repeated CMPS or SCAS goes on at this count"),
    FIELD(S, repeat_flags_result, "with flags from before it"),
    FIELD(S, repeat_flags_x, NULL),
    FIELD(S, apic_base, NULL),
    FIELD(S, mtrr_def_type, NULL),
    FIELD(S, pat, NULL),
    FIELD(S, mtrr_fixed, NULL),
    FIELD(S, mtrr_base, NULL),
    FIELD(S, mtrr_mask, NULL),
    FIELD(S, misc_enable, NULL),
    FIELD(S, bios_sign_id, NULL),
    FIELD_STRUCT(S, fpu, struct fpu, fpu_fields, "x87"),
    FIELD_ROW(S, xmm, "low and high quadword of each", sizeof(uint64_t), FIELD_KIND_UINT, NULL),
    FIELD_ROW(S, ymm_high, "of the YMM registers", sizeof(uint64_t), FIELD_KIND_UINT, NULL),
    FIELD(S, xcr0, NULL),
    FIELD(S, star, NULL),
    FIELD(S, lstar, NULL),
    FIELD(S, cstar, NULL),
    FIELD(S, fmask, NULL),
    FIELD(S, kernel_gs_base, NULL),
    FIELD(S, tsc_aux, NULL),
    FIELD(S, spec_ctrl, NULL),
    FIELD(S, monitor_line, "physical"),
    FIELD(S, monitor_hash, "of the line when MONITOR ran"),
    FIELD(S, random_state, "of RDRAND and RDSEED"),
    FIELD(S, mxcsr, NULL),
    FIELD(S, pkru, NULL),
    FIELD(S, monitor_armed, NULL),
    FIELD(S, mwait_waits, "halted by MWAIT"),
    FIELD(S, mwait_breaks, "interrupts end it though IF is clear"),
    PAD(S, sse_pad_),
    FIELD(S, init_requested, NULL),
    FIELD(S, in_smm, NULL),
    FIELD(S, smi_latched, NULL),
    FIELD(S, smm_nmi_blocked, "NMI blocked after RSM"),
    FIELD(S, smbase, NULL),
    DERIVED(S, sse_is_blocked, NULL),
    FIELD(S, intr_line, NULL),
    FIELD(S, nmi_line, NULL),
    FIELD(S, nmi_latched, NULL),
    FIELD(S, nmi_blocked, NULL),
    FIELD(S, a20_enabled, NULL),
    FIELD(S, shadow_is_mov_ss, NULL),
    DERIVED(S, fault_has_error, NULL),
    DERIVED(S, fault_vector, NULL),
    DERIVED(S, fault_error, NULL),
    DERIVED(S, delivering, NULL),
    FIELD(S, ferr_line, NULL),
    FIELD(S, ignne_line, NULL),
    PAD(S, model_pad_),
    DERIVED(S, fault_address, NULL),
    DERIVED(S, generation, NULL),
    DERIVED(S, tlb_fill_count, NULL),
    DERIVED(S, data_breakpoints, NULL),
    DERIVED(S, current, NULL),
    DERIVED(S, jump_key_base, NULL),
    DERIVED(S, token_cs_limit, NULL),
    DERIVED(S, step_cancelled, NULL),
    DERIVED(S, code_breakpoints, NULL),
    DERIVED(S, operand_ok, NULL),
    PAD(S, derived_pad_),
    DERIVED(S, operand, NULL),
    DERIVED(S, operand_result, NULL),
    PAD(S, operand_pad_),
    DERIVED(S, tlb_arrays, NULL),
    DERIVED(S, tlb_cold, NULL),
    DERIVED(S, large_regions, NULL),
    DERIVED(S, huge_regions, NULL),
    DERIVED(S, code_pages_seen, NULL),
    DERIVED(S, blocks, NULL),
    DERIVED(S, decoder, NULL),
    DERIVED(S, profile, NULL),
    WIRED(S, board, NULL),
    WIRED(S, model, NULL),
    WIRED(S, log_channel, NULL),
    WIRED(S, debug, NULL),
    DERIVED(S, stats, NULL),
    DERIVED(S, apic_page, NULL),
    DERIVED(S, debug_repeat_icount, NULL),
    DERIVED(S, debug_repeat_rip, NULL),
    WIRED(S, next_peer, NULL),
    WIRED(S, use_block_cache, NULL),
    DERIVED(S, debug_stop, NULL),
    PAD(S, pad_end_),
    FIELD_END
};
