/* blocks.c - building, finding, chaining and retiring blocks of decoded code.
 *
 * Blocks are keyed by the identity of the memory they lie in (see mem/space.h) and by the mode bits. They end at a control
 * transfer, a change of mode, 32 instructions, or the end of the page; an instruction that crosses pages is a block of
 * its own. Slots come from an arena in ascending order and blocks are numbered in that order, so that the block of any
 * record is found from the first one of its part of the arena. A full arena is flushed whole. */
#include "cpu/blocks.h"

#include "cpu/debug.h"
#include "cpu/fuse.h"
#include "cpu/mmu.h"
#include "cpu/profile.h"

#include <stdlib.h>

enum {
    ARENA_SLOTS = 1 << 20,
    CHUNK_SLOTS = 32,
    BLOCKS_MAX = 1 << 16,
    HASH_SIZE = 1 << 16,
    PAGE_HASH_SIZE = 1 << 12,
    CODE_PAGES_MAX = 1 << 14,
    /* Of an instruction: one for a debugger, itself, its immediate. */
    SLOTS_PER_BLOCK_MAX = BLOCK_INSNS_MAX * 3 + 2 * LINK_SLOTS + 2
};

#define NO_IDENT UINT64_MAX

/* A page of memory that holds code: its blocks, and which of its bytes they cover, a bit each. Variables between functions are
 * written millions of times (iPXE has one), and each time all blocks of the page would have to be asked. */
struct code_page {
    uint64_t ident; /* of the page */
    uint64_t covered[GUEST_PAGE_SIZE / 64];
    struct memory *memory;
    uint64_t memory_offset;
    uint32_t first_block;
    uint32_t next_in_hash;
};

struct block_cache {
    union slot *arena;
    struct fuser *fuser;
    struct block *blocks; /* [0] is unused, 1..block_count in order of arena position */
    struct code_page *pages;
    uint32_t slots_used, block_count, page_count;
    uint32_t first_block[ARENA_SLOTS / CHUNK_SLOTS]; /* the block that the first slot of each chunk of the arena belongs to */
    uint32_t hash[HASH_SIZE];
    uint32_t page_hash[PAGE_HASH_SIZE];
    struct block scratch;
    uint64_t scratch_ident_end;
    union slot scratch_slots[SLOTS_PER_BLOCK_MAX];
};

static unsigned hash_of(uint64_t ident, unsigned mode)
{
    uint64_t h = (ident ^ (uint64_t)mode << 40) * UINT64_C(0x9e3779b97f4a7c15);

    return (unsigned)(h >> 48) & (HASH_SIZE - 1);
}

static unsigned page_hash_of(uint64_t page_ident)
{
    return (unsigned)((page_ident >> GUEST_PAGE_SHIFT) * 2654435761u >> 8) & (PAGE_HASH_SIZE - 1);
}

static void code_written(void *context, uint64_t ident, unsigned size);

static struct code_page *code_page_find(const struct block_cache *cache, uint64_t page_ident)
{
    uint32_t n = cache->page_hash[page_hash_of(page_ident)];

    while (n && cache->pages[n].ident != page_ident) {
        n = cache->pages[n].next_in_hash;
    }
    return n ? &cache->pages[n] : NULL;
}

/* Whether another processor's cache has code of the page. */
static bool peer_has_code(const struct cpu *cpu, uint64_t page_ident)
{
    for (const struct cpu *peer = cpu->next_peer; peer != cpu; peer = peer->next_peer) {
        if (code_page_find(peer->blocks, page_ident)) {
            return true;
        }
    }
    return false;
}

bool blocks_create(struct cpu *cpu)
{
    struct block_cache *cache = calloc(1, sizeof *cache);

    cpu->blocks = cache;
    if (!cache) {
        return false;
    }
    cache->arena = malloc(sizeof *cache->arena * ARENA_SLOTS);
    cache->blocks = malloc(sizeof *cache->blocks * BLOCKS_MAX);
    cache->pages = malloc(sizeof *cache->pages * CODE_PAGES_MAX);
    /* Zeroes everywhere are an empty cache: no token is 0 (run.c). */
    cpu->jump_cache = calloc(JUMP_ENTRIES, sizeof *cpu->jump_cache);
    cache->fuser = fuser_create();
    if (!cache->arena || !cache->blocks || !cache->pages || !cpu->jump_cache || !cache->fuser) {
        return false;
    }
    cache->scratch.ident = NO_IDENT;
    return true;
}

void blocks_destroy(struct cpu *cpu)
{
    if (cpu->blocks) {
        free(cpu->blocks->arena);
        free(cpu->blocks->blocks);
        free(cpu->blocks->pages);
        fuser_destroy(cpu->blocks->fuser);
        free(cpu->blocks);
    }
    free(cpu->jump_cache);
}

void blocks_flush(struct cpu *cpu)
{
    struct block_cache *cache = cpu->blocks;

    for (uint32_t n = 1; n <= cache->page_count; n++) {
        struct code_page *page = &cache->pages[n];
        if (!peer_has_code(cpu, page->ident)) {
            page->memory->page_flags[page->memory_offset >> GUEST_PAGE_SHIFT] &= (uint8_t)~PAGE_CODE;
        }
    }
    memset(cache->hash, 0, sizeof cache->hash);
    memset(cache->page_hash, 0, sizeof cache->page_hash);
    cache->slots_used = cache->block_count = cache->page_count = 0;
    memset(cpu->jump_cache, 0, sizeof *cpu->jump_cache * JUMP_ENTRIES);
}

/* ---- where code is ---- */

static uint64_t code_linear(const struct cpu *cpu, uint64_t eip)
{
    return cpu->mode & MODE_CODE64 ? eip : (eip + cpu->seg[SEG_CS].base) & 0xffffffffu;
}

static uint64_t next_page_of(const struct cpu *cpu, uint64_t linear)
{
    uint64_t next = (linear | (GUEST_PAGE_SIZE - 1)) + 1;

    return cpu->mode & MODE_CODE64 ? next : next & 0xffffffffu;
}

/* The bytes at a linear address, translated for fetching. */
struct fetch {
    const uint8_t *host; /* NULL: not memory */
    struct memory *memory;
    uint64_t memory_offset;
    phys_addr physical;
};

static uint64_t fetch_ident(const struct fetch *fetch)
{
    return fetch->memory->ident_base + fetch->memory_offset;
}

static bool fetch_at(struct cpu *cpu, uint64_t linear, struct fetch *fetch)
{
    if ((cpu->mode & MODE_CODE64) && !cpu_is_canonical(cpu, linear)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    struct tlb_cold *cold = tlb_translate(cpu, linear, ACCESS_FETCH, cpu->cpl == 3);
    if (!cold) {
        return false;
    }
    unsigned offset = (unsigned)(linear & (GUEST_PAGE_SIZE - 1));
    fetch->memory = cold->memory;
    fetch->memory_offset = cold->memory_offset + offset;
    fetch->physical = cold->physical | offset;
    fetch->host = cold->memory ? cold->memory->host + cold->memory_offset + offset : NULL;
    return true;
}

/* ---- code pages ---- */

/* Write permission cached in the TLB for a page that now holds code must go, on all processors. */
static void tlb_protect(struct cpu *cpu, const struct memory *memory, uint64_t memory_page)
{
    for (unsigned mode = 0; mode < TLB_MODES; mode++) {
        for (unsigned k = 0; k < TLB_ENTRIES; k++) {
            const struct tlb_cold *cold = &cpu->tlb_cold[mode][k];
            if (cold->memory == memory && cold->memory_offset == memory_page) {
                cpu->tlb_arrays[mode][k].write_tag = TLB_INVALID;
            }
        }
    }
}

static struct code_page *code_page_make(struct cpu *cpu, const struct fetch *fetch)
{
    struct block_cache *cache = cpu->blocks;
    uint64_t offset = fetch->memory_offset & ~(uint64_t)(GUEST_PAGE_SIZE - 1);
    uint64_t ident = fetch->memory->ident_base + offset;
    struct code_page *page = code_page_find(cache, ident);

    if (!page) {
        uint32_t *head = &cache->page_hash[page_hash_of(ident)];
        page = &cache->pages[++cache->page_count];
        *page = (struct code_page){ .ident = ident,
                                    .memory = fetch->memory,
                                    .memory_offset = offset,
                                    .next_in_hash = *head };
        *head = cache->page_count;
    }
    uint8_t *flags = &fetch->memory->page_flags[offset >> GUEST_PAGE_SHIFT];
    if (!(*flags & PAGE_CODE)) {
        *flags |= PAGE_CODE;
        fetch->memory->code_written = code_written;
        fetch->memory->code_written_context = cpu;
        for (struct cpu *peer = cpu->next_peer; peer != cpu; peer = peer->next_peer) {
            tlb_protect(peer, fetch->memory, offset);
        }
        tlb_protect(cpu, fetch->memory, offset);
    }
    return page;
}

/* Of the 64 bytes of word `n`, those from `first` to `last`. */
static uint64_t covered_mask(unsigned n, unsigned first, unsigned last)
{
    uint64_t from = first > n * 64 ? ~UINT64_C(0) << (first - n * 64) : ~UINT64_C(0);
    uint64_t to = last < n * 64 + 63 ? (UINT64_C(2) << (last - n * 64)) - 1 : ~UINT64_C(0);

    return from & to;
}

static void cover(struct code_page *page, unsigned first, unsigned last)
{
    for (unsigned n = first / 64; n <= last / 64; n++) {
        page->covered[n] |= covered_mask(n, first, last);
    }
}

static bool is_covered(const struct code_page *page, unsigned first, unsigned last)
{
    for (unsigned n = first / 64; n <= last / 64; n++) {
        if ((page->covered[n] & covered_mask(n, first, last)) != 0) {
            return true;
        }
    }
    return false;
}

static void block_retire(struct cpu *cpu, struct block *block)
{
    /* Links and jump entries that lead here find h_stale; so does the block itself when it loops. */
    ((union slot *)(void *)(uintptr_t)block->first)->insn.handler = h_stale;
    block->is_retired = true;
    cpu->stats.blocks_retired++;
}

/* Whether the write touches the block's bytes on the page that starts at `page_ident`. */
static bool block_touches(const struct block *block, uint64_t page_ident, unsigned first, unsigned last)
{
    unsigned start = block->boundaries[0], end = block->boundaries[block->count];

    if (block->second_ident == page_ident) {
        return first < end - GUEST_PAGE_SIZE;
    }
    return first < end && last >= start;
}

static void unlink_from_hash(struct block_cache *cache, uint32_t number)
{
    const struct block *block = &cache->blocks[number];
    uint32_t *at = &cache->hash[hash_of(block->ident, block->mode)];

    while (*at && *at != number) {
        at = &cache->blocks[*at].next_in_hash;
    }
    if (*at) {
        *at = block->next_in_hash;
    }
}

/* Retires what one processor has of the bytes that are about to be written; its record of the page, or NULL. */
static struct code_page *retire_written(struct cpu *cpu, uint64_t ident, unsigned size)
{
    struct block_cache *cache = cpu->blocks;
    uint64_t page_ident = ident & ~(uint64_t)(GUEST_PAGE_SIZE - 1);
    unsigned first = (unsigned)(ident & (GUEST_PAGE_SIZE - 1)), last = first + size - 1;
    struct code_page *page = code_page_find(cache, page_ident);

    if (cache->scratch.ident != NO_IDENT &&
        (block_touches(&cache->scratch, page_ident, first, last) &&
         ((cache->scratch.ident & ~(uint64_t)(GUEST_PAGE_SIZE - 1)) == page_ident ||
          cache->scratch.second_ident == page_ident))) {
        cpu->pending |= PENDING_LOOK;
    }
    if (!page || !is_covered(page, first, last)) {
        return page;
    }
    memset(page->covered, 0, sizeof page->covered);
    uint32_t *at = &page->first_block;
    while (*at) {
        uint32_t number = *at;
        struct block *block = &cache->blocks[number];
        bool on_second = block->second_ident == page_ident;
        uint32_t *next = &block->next_on_page[on_second];
        if (block->is_retired) {
            *at = *next;
            continue;
        }
        if (block_touches(block, page_ident, first, last)) {
            block_retire(cpu, block);
            unlink_from_hash(cache, number);
            cpu->pending |= PENDING_LOOK;
            *at = *next;
            continue;
        }
        unsigned start = on_second ? 0 : block->boundaries[0];
        unsigned end = block->boundaries[block->count] - (on_second ? GUEST_PAGE_SIZE : 0);
        cover(page, start, (end > GUEST_PAGE_SIZE ? GUEST_PAGE_SIZE : end) - 1);
        at = next;
    }
    return page;
}

/* A store is about to land on a page that holds code of some processor. */
static void code_written(void *context, uint64_t ident, unsigned size)
{
    struct cpu *any = context;
    struct cpu *cpu = any;
    const struct code_page *found = NULL;
    bool is_used = false;

    do {
        const struct code_page *page = retire_written(cpu, ident, size);
        if (page) {
            found = page;
            is_used = is_used || page->first_block || cpu->blocks->scratch.ident != NO_IDENT;
        }
        cpu = cpu->next_peer;
    } while (cpu != any);
    if (found && !is_used) {
        found->memory->page_flags[found->memory_offset >> GUEST_PAGE_SHIFT] &= (uint8_t)~PAGE_CODE;
    }
}

/* ---- building ---- */

handler_fn *binding_select(const struct binding *binding, bool dead, enum form form, unsigned size)
{
    handler_fn *handler = dead ? binding->handlers[DEAD][form][size] : NULL;

    if (!handler) {
        handler = binding->handlers[LIVE][form][size];
    }
    if (!handler && form != FORM_GENERIC) {
        handler = dead ? binding->handlers[DEAD][FORM_GENERIC][size] : NULL;
        if (!handler) {
            handler = binding->handlers[LIVE][FORM_GENERIC][size];
        }
    }
    return handler;
}

/* One decoded instruction with what the second pass needs. */
struct draft {
    struct decoded decoded;
    uint16_t offset; /* in the page */
    uint8_t slots;
    bool is_undefined, is_too_long;
};

struct builder {
    struct cpu *cpu;
    unsigned mode, limit, count;
    bool ends; /* by a terminator */
    struct draft drafts[BLOCK_INSNS_MAX];
    uint16_t end_offset;
};

/* MOV with an address in the instruction that is no sign-extended doubleword. */
static bool is_absolute64(const struct decoded *d)
{
    return d->is_memory && !d->has_modrm && d->address_size == 2 && d->displacement != wide((uint32_t)d->displacement);
}

/* FS and GS in 64-bit code: their base becomes the index of the address, unless there is one already. */
static bool takes_base(const struct decoded *d)
{
    return d->has_override && d->segment >= SEG_FS && d->segment <= SEG_GS && d->opcode->binding != &bind_lea;
}

static enum form form_of(const struct decoded *d, unsigned mode)
{
    bool is_long = (mode & MODE_CODE64) != 0;
    bool is_flat = (mode & MODE_FLAT) && d->address_size == (is_long ? 2 : 1) && d->segment != SEG_CS &&
                   (is_long ? !takes_base(d) || d->index == REG_NIL : d->segment < SEG_FS);

    if (d->is_memory && !(d->opcode->attributes & OP_XLAT)) {
        if (!is_flat || is_absolute64(d)) {
            return FORM_GENERIC;
        }
        if (is_long) {
            return d->index == REG_NIL && !takes_base(d) ? FORM_LBD : FORM_LBID;
        }
        return d->index == REG_NIL ? FORM_BD : FORM_BID;
    }
    if (d->opcode->attributes & OP_STACK) {
        unsigned stack = is_long ? MODE_FLAT : MODE_FLAT | MODE_STACK32;
        return (mode & stack) == stack ? FORM_REG : FORM_GENERIC;
    }
    return FORM_REG;
}

/* The record number of a register operand: an index, or a byte offset for 8-bit registers. */
static uint8_t register_field(const struct decoded *d, unsigned number, unsigned size)
{
    return size == BITS8 ? byte_register_offset(number, d->rex != 0) : (uint8_t)number;
}

static bool operand_register(const struct decoded *d, unsigned k, uint8_t *field)
{
    const struct operand_code *code = &operand_codes[d->opcode->operands[k]];
    unsigned size = code->size == SIZE_B ? BITS8 : BITS32;

    switch (code->kind) {
    case KIND_E:
    case KIND_R:
        if (d->is_memory) {
            return false;
        }
        *field = register_field(d, d->rm, size);
        return true;
    case KIND_Q:
        if (d->is_memory) {
            return false;
        }
        *field = d->modrm & 7;
        return true;
    case KIND_W:
        if (d->is_memory) {
            return false;
        }
        *field = d->rm;
        return true;
    case KIND_U:
    case KIND_RR:
        *field = d->rm;
        return true;
    case KIND_N:
        *field = d->modrm & 7;
        return true;
    case KIND_P:
        *field = (d->modrm >> 3) & 7;
        return true;
    case KIND_V:
        *field = d->reg;
        return true;
    case KIND_ST:
        if (code->number == 8) {
            return false;
        }
        *field = d->modrm & 7;
        return true;
    case KIND_B:
        *field = d->vvvv;
        return true;
    case KIND_G:
        *field = register_field(d, d->reg, size);
        return true;
    case KIND_C:
    case KIND_D:
        *field = d->reg;
        return true;
    case KIND_S:
        *field = (d->modrm >> 3) & 7;
        return true;
    case KIND_Z:
        *field = register_field(d, opcode_register(d), size);
        return true;
    case KIND_FIXED:
        if (k > 0 && (code->size == SIZE_B ? code->number == REG_CX : code->size == SIZE_W)) {
            return false; /* CL and DX are known to the handler */
        }
        *field = register_field(d, code->number, size);
        return true;
    case KIND_SEG:
        *field = code->number;
        return true;
    default:
        return false;
    }
}

/* Whether the instruction has an immediate in its record. */
static bool has_immediate(const struct decoded *d)
{
    for (unsigned k = 0; k < 3; k++) {
        uint8_t kind = operand_codes[d->opcode->operands[k]].kind;
        if (kind == KIND_I || kind == KIND_SI) {
            return true;
        }
    }
    return false;
}

/* MOV r64, imm64 whose immediate is no sign-extended doubleword. */
static bool is_wide_immediate(const struct decoded *d)
{
    return !d->is_memory && d->size == BITS64 && has_immediate(d) && d->immediate != wide((uint32_t)d->immediate);
}

static unsigned slots_needed(const struct decoded *d)
{
    uint8_t first = operand_codes[d->opcode->operands[0]].kind;

    return d->has_vex || (d->is_memory && has_immediate(d)) || first == KIND_A || is_wide_immediate(d) || is_absolute64(d) ? 2 : 1;
}

/* Does nothing; also stands behind an instruction with a 64-bit absolute address. */
static HANDLER(h_shift_by_0)
{
    NEXT(1);
}
/* In 64-bit code a 32-bit register loses its upper half all the same. */
static HANDLER(h_shift_by_0_32)
{
    set_reg32(cpu, insn->r1, reg32(cpu, insn->r1));
    NEXT(1);
}

/* A shift or rotation by an immediate (C0, C1): the count is masked; 0 leaves register and flags alone. */
static bool shifts_by_0(const struct decoded *d)
{
    return d->opcode->map == MAP_1B && (d->opcode_byte & 0xfe) == 0xc0 && !d->is_memory &&
           (d->immediate & (d->size == BITS64 ? 63 : 31)) == 0;
}

/* The memory operand's half of a record. */
static void lower_memory(struct insn *insn, const struct draft *draft, enum form form)
{
    const struct decoded *d = &draft->decoded;

    insn->r2 = d->base;
    insn->r3 = d->index;
    insn->d = (uint32_t)d->displacement;
    if (d->is_relative) {
        /* Relative to the page that runs. */
        insn->r2 = REG_PAGE;
        insn->d += draft->offset + draft->decoded.length;
    }
    if (form == FORM_LBID && takes_base(d)) {
        insn->r3 = (uint8_t)(d->segment - SEG_FS + REG_FS_BASE);
        insn->sc = (uint8_t)(SEG_DS << 2 | d->address_size << 5);
    }
    if (is_absolute64(d)) {
        insn->sc = (uint8_t)(d->segment << 2 | 3 << 5);
        insn[1] = (struct insn){ .handler = h_shift_by_0, .d = (uint32_t)(d->displacement >> 32) };
    } else if (slots_needed(d) == 2 && !d->has_vex) {
        insn[1] = (struct insn){ .d = (uint32_t)d->immediate };
    }
}

/* Fills in a record. Register operands go to r1, r2 in order; a memory operand takes r2, r3, sc and d. */
static void lower(struct insn *insn, const struct draft *draft, enum form form, bool dead)
{
    const struct decoded *d = &draft->decoded;
    uint8_t registers = 0, field, vvvv = 0;

    memset(insn, 0, sizeof *insn);
    insn->r2 = insn->r3 = REG_NIL;
    insn->handler = binding_select(d->opcode->binding, dead, form, d->size);
    for (unsigned k = 0; k < 3; k++) {
        if (operand_register(d, k, &field)) {
            if (registers > 0 && operand_codes[d->opcode->operands[k]].kind == KIND_B) {
                vvvv = field;
            } else if (registers++ == 0) {
                insn->r1 = field;
            } else if (!d->is_memory) {
                insn->r2 = field;
            }
        }
    }
    insn->sc = (uint8_t)(d->scale | d->segment << 2 | d->address_size << 5);
    if (d->has_vex) {
        insn[1] = (struct insn){ .r1 = vvvv, .d = (uint32_t)d->immediate };
    }
    if (d->is_memory) {
        lower_memory(insn, draft, form);
    } else {
        insn->d = (uint32_t)d->immediate;
        if (shifts_by_0(d)) {
            insn->handler = d->size == BITS32 ? h_shift_by_0_32 : h_shift_by_0;
        }
        if (is_wide_immediate(d)) {
            insn->handler = h_mov_rq;
            insn[1] = (struct insn){ .d = (uint32_t)(d->immediate >> 32) };
        }
        if (operand_codes[d->opcode->operands[0]].kind == KIND_A) {
            insn[1] = (struct insn){ .d = d->immediate2 };
        }
        if (d->opcode->attributes & OP_STRING) {
            insn->r2 = d->repeat == 0xf3 ? 1 : d->repeat == 0xf2 ? 2 : 0;
        } else if (operand_codes[d->opcode->operands[1]].kind == KIND_I2) {
            insn->r1 = (uint8_t)d->immediate2; /* ENTER's nesting level */
        }
    }
}

static void make_link(struct block_cache *cache, union slot *slot, int32_t target)
{
    (void)cache;
    slot[0].link = (struct link){ &slot[1].insn, 0, target };
    slot[1].insn = (struct insn){ .handler = h_link_unresolved };
    slot[2].cross = (struct cross){ NULL, 0, 0 };
}

/* Decodes from `linear` into the builder until the block ends. False: the first instruction's fetch faulted. */
static bool draft_block(struct builder *b, uint64_t eip, const struct fetch *fetch, const struct fetch *second)
{
    uint8_t bytes[INSTRUCTION_MAX];
    const struct cpu *cpu = b->cpu;
    unsigned offset = (unsigned)(fetch->physical & (GUEST_PAGE_SIZE - 1));
    uint64_t limit = b->mode & MODE_CODE64 ? UINT64_MAX : cpu->seg[SEG_CS].limit;

    for (b->count = 0; b->count < b->limit && offset < GUEST_PAGE_SIZE && !b->ends;) {
        struct draft *draft = &b->drafts[b->count];
        if (b->count > 0 && debug_stops_at(cpu, offset)) {
            break;
        }
        unsigned room = GUEST_PAGE_SIZE - offset, consumed = offset - (unsigned)(fetch->physical & 4095);
        unsigned available = room < INSTRUCTION_MAX ? room : INSTRUCTION_MAX;
        const uint8_t *source = bytes;
        uint64_t left = limit - (eip + consumed); /* bytes to the CS limit, less one */
        bool is_limited = eip + consumed > limit || left < INSTRUCTION_MAX - 1;
        if (fetch->host) {
            source = fetch->host + consumed;
        } else {
            for (unsigned k = 0; k < available; k++) {
                bytes[k] = (uint8_t)space_read(cpu->board.space, fetch->physical + consumed + k, 1);
            }
        }
        if (second && available < INSTRUCTION_MAX) {
            memmove(bytes, source, available);
            for (unsigned k = available; k < INSTRUCTION_MAX; k++) {
                bytes[k] = second->host ? second->host[k - available]
                                        : (uint8_t)space_read(cpu->board.space, second->physical + k - available, 1);
            }
            source = bytes;
            available = INSTRUCTION_MAX;
        }
        if (is_limited) {
            unsigned allowed = eip + consumed > limit ? 0 : (unsigned)left + 1;
            available = available < allowed ? available : allowed;
        }
        enum decode_result result = decode(cpu->decoder, source, available, b->mode, &draft->decoded);
        if (result == DECODE_MORE) {
            if (is_limited && available < INSTRUCTION_MAX && (available < room || second)) {
                /* The bytes end at the CS limit: #GP(0). */
                draft->is_too_long = true;
            } else {
                break; /* crosses the page */
            }
        } else {
            draft->is_too_long = result == DECODE_TOO_LONG;
        }
        draft->is_undefined = result == DECODE_UNDEFINED;
        draft->offset = (uint16_t)offset;
        offset += draft->decoded.length;
        b->count++;
        if (draft->is_undefined || draft->is_too_long ||
            ((draft->decoded.opcode->attributes & OP_CPL0) && !(b->mode & MODE_CPL0))) {
            b->ends = true;
        } else {
            b->ends = (draft->decoded.opcode->attributes & OP_ENDS) != 0;
        }
    }
    b->end_offset = (uint16_t)offset;
    return b->count > 0;
}

/* Status flags that an instruction needs kept up to date when it starts: what it reads, and all if it may fault. */
static uint8_t flags_needed(const struct draft *draft)
{
    const struct opcode *op = draft->decoded.opcode;

    if (draft->is_undefined || draft->is_too_long || (op->attributes & (OP_FAULTS | OP_ENDS)) ||
        (op->attributes & OP_CPL0) || draft->decoded.is_memory) {
        return STATUS_ALL;
    }
    return op->flags_read;
}

/* Shifts and rotates leave all flags alone when the masked count is 0, which the table's row, one for all counts, says by
 * reading them. Here the count may be known. `*needed`: what the instruction takes from those before it; `*certain`: what it
 * overwrites in any case. */
static void refine_shift(const struct draft *draft, uint8_t *needed, uint8_t *certain)
{
    const struct opcode *op = draft->decoded.opcode;
    bool is_double = op->map == MAP_0F && (op->byte & 0xf6) == 0xa4; /* A4 A5 AC AD */
    bool is_by_immediate = is_double ? (op->byte & 1) == 0 : (op->byte & 0xfe) == 0xc0;
    bool is_by_1 = !is_double && (op->byte & 0xfe) == 0xd0;

    if (!is_double && (op->map != MAP_1B || !(is_by_immediate || is_by_1 || (op->byte & 0xfe) == 0xd2))) {
        return;
    }
    bool is_through_carry = !is_double && (op->ext == EXT_R0 + 2 || op->ext == EXT_R0 + 3);
    *needed = is_through_carry ? STATUS_C : 0;
    if (!is_by_1 && !(is_by_immediate && (draft->decoded.immediate & 31) != 0)) {
        *certain = 0;
    }
}

/* Privileged instructions that are #UD, not #GP(0), above level 0: SDM vol. 2, MONITOR, MWAIT, CLAC, STAC. */
static bool is_undefined_at_user_level(const struct opcode *op)
{
    return op->feature == FEATURE_MONITOR || op->feature == FEATURE_SMAP;
}

/* Lowers the drafts into slots; returns how many were used. */
static unsigned emit_block(struct builder *b, union slot *slots, struct block *block, bool is_scratch)
{
    bool dead[BLOCK_INSNS_MAX];
    const struct opcode *ops[BLOCK_INSNS_MAX];
    uint8_t live = STATUS_ALL;
    unsigned used = 0;

    if (b->cpu->profile && !is_scratch) {
        slots[used++].insn = (struct insn){ .handler = h_profile };
    }

    for (unsigned k = b->count; k-- > 0;) {
        const struct draft *draft = &b->drafts[k];
        uint8_t written = draft->is_undefined || draft->is_too_long ? 0 : draft->decoded.opcode->flags_written;
        uint8_t needed = flags_needed(draft), certain = written;
        if (written != 0 && !draft->decoded.is_memory) {
            refine_shift(draft, &needed, &certain);
        }
        dead[k] = b->cpu->use_block_cache && !debug_is_exact(b->cpu) && written != 0 && (written & live) == 0;
        live = (uint8_t)((live & ~certain) | needed);
    }
    for (unsigned k = 0; k < b->count; k++) {
        const struct draft *draft = &b->drafts[k];
        unsigned looks = debug_record(b->cpu, draft->offset, k == 0);
        if (looks) {
            slots[used++].insn = (struct insn){ .handler = h_debug, .d = looks };
        }
        struct insn *insn = &slots[used].insn;
        block->slot_of[k] = (uint16_t)used;
        block->boundaries[k] = draft->offset;
        ops[k] = NULL;
        if (draft->is_undefined || draft->is_too_long) {
            *insn = (struct insn){ .handler = draft->is_undefined ? h_undefined : h_too_long };
            used++;
            continue;
        }
        const struct opcode *op = draft->decoded.opcode;
        if ((op->attributes & OP_CPL0) && !(b->mode & MODE_CPL0)) {
            *insn = (struct insn){ .handler = is_undefined_at_user_level(op) ? h_undefined : h_privilege };
            used++;
            continue;
        }
        lower(insn, draft, form_of(&draft->decoded, b->mode), dead[k]);
        if (!insn->handler) {
            insn->handler = h_undefined;
        }
        ops[k] = op;
        used += slots_needed(&draft->decoded);
    }
    block->boundaries[b->count] = b->end_offset;
    block->count = (uint8_t)b->count;
    const struct draft *last = &b->drafts[b->count - 1];
    if (b->ends) {
        /* Terminators that may go on in the same mode have a taken link and a fall-through link. */
        int32_t taken = (int32_t)b->end_offset;
        if (ops[b->count - 1] && operand_codes[ops[b->count - 1]->operands[0]].kind == KIND_J) {
            taken += (int32_t)last->decoded.immediate;
        }
        make_link(b->cpu->blocks, &slots[used], taken);
        make_link(b->cpu->blocks, &slots[used + LINK_SLOTS], (int32_t)b->end_offset);
        used += 2 * LINK_SLOTS;
    } else {
        slots[used++].insn = (struct insn){ .handler = is_scratch ? h_scratch_end : h_fall };
        make_link(b->cpu->blocks, &slots[used], (int32_t)b->end_offset);
        used += LINK_SLOTS;
    }
    block->first = &slots[0].insn;
    block->slots = used;
    block->mode = (uint8_t)b->mode;
    b->cpu->stats.insns_decoded += b->count;
    if (b->cpu->profile && !is_scratch) {
        for (unsigned k = 0; k < b->count; k++) {
            profile_add_insn(b->cpu->profile, ops[k], slots[block->slot_of[k]].insn.handler,
                             fuse_links(slots, block->slot_of, k));
        }
    }
    if (b->cpu->use_block_cache && !is_scratch && !debug_is_exact(b->cpu)) {
        fuse_block(b->cpu->blocks->fuser, slots, block->slot_of, b->count);
    }
    return used;
}

/* Drafts the code at eip; handles an instruction that crosses into the next page. False: fault recorded. */
static bool draft_at(struct cpu *cpu, struct builder *b, uint64_t eip, struct fetch *fetch, struct fetch *second,
                     bool *crosses)
{
    uint64_t linear = code_linear(cpu, eip);

    *crosses = false;
    if (!fetch_at(cpu, linear, fetch)) {
        return false;
    }
    if (draft_block(b, eip, fetch, NULL)) {
        return true;
    }
    uint64_t next_page = next_page_of(cpu, linear);
    if (!fetch_at(cpu, next_page, second)) {
        return false;
    }
    /* The translation of the first page may have been evicted, but `fetch` holds what it said. */
    *crosses = true;
    b->limit = 1;
    if (!draft_block(b, eip, fetch, second)) {
        b->drafts[0].is_too_long = true;
        b->drafts[0].offset = (uint16_t)(linear & (GUEST_PAGE_SIZE - 1));
        b->count = 1;
        b->ends = true;
        b->end_offset = (uint16_t)(b->drafts[0].offset + 1);
    }
    return true;
}

const struct block *block_scratch(struct cpu *cpu, uint64_t eip, unsigned limit)
{
    struct block_cache *cache = cpu->blocks;
    struct builder b = { .cpu = cpu, .mode = cpu->mode, .limit = limit > BLOCK_INSNS_MAX ? BLOCK_INSNS_MAX : limit };
    struct fetch fetch, second;
    bool crosses;

    cache->scratch.ident = NO_IDENT;
    if (!draft_at(cpu, &b, eip, &fetch, &second, &crosses)) {
        return NULL;
    }
    cache->scratch.second_ident = NO_IDENT;
    emit_block(&b, cache->scratch_slots, &cache->scratch, true);
    if (fetch.memory && b.count > 1) {
        cache->scratch.ident = fetch_ident(&fetch);
        if (cache->page_count + 3 < CODE_PAGES_MAX) {
            code_page_make(cpu, &fetch);
        } else {
            blocks_flush(cpu);
            fetch_tokens_bump(cpu, false);
            code_page_make(cpu, &fetch);
        }
    }
    return &cache->scratch;
}

static void attach_to_page(struct cpu *cpu, uint32_t number, const struct fetch *fetch, unsigned side, unsigned first,
                           unsigned last)
{
    struct code_page *page = code_page_make(cpu, fetch);

    cpu->blocks->blocks[number].next_on_page[side] = page->first_block;
    page->first_block = number;
    cover(page, first, last);
}

static const struct block *block_build(struct cpu *cpu, uint64_t eip)
{
    struct block_cache *cache = cpu->blocks;
    struct builder b = { .cpu = cpu, .mode = cpu->mode, .limit = BLOCK_INSNS_MAX };
    struct fetch fetch, second;
    bool crosses;

    if (!draft_at(cpu, &b, eip, &fetch, &second, &crosses)) {
        return NULL;
    }
    if (cache->slots_used + SLOTS_PER_BLOCK_MAX > ARENA_SLOTS || cache->block_count + 2 > BLOCKS_MAX ||
        cache->page_count + 3 > CODE_PAGES_MAX) {
        blocks_flush(cpu);
        fetch_tokens_bump(cpu, false);
    }
    uint32_t number = ++cache->block_count;
    struct block *block = &cache->blocks[number];
    memset(block, 0, sizeof *block);
    block->ident = fetch_ident(&fetch);
    block->second_ident = crosses ? fetch_ident(&second) : NO_IDENT;
    union slot *slots = &cache->arena[cache->slots_used];
    cache->slots_used += emit_block(&b, slots, block, false);
    if (cpu->profile) {
        unsigned start = block->boundaries[0], size = block->boundaries[block->count] - start;
        slots[0].insn.d = profile_add_block(cpu->profile, code_linear(cpu, eip), block->mode,
                                            fetch.host, crosses ? GUEST_PAGE_SIZE - start : size);
    }
    for (size_t chunk = ((size_t)(slots - cache->arena) + CHUNK_SLOTS - 1) / CHUNK_SLOTS;
         chunk * CHUNK_SLOTS < cache->slots_used; chunk++) {
        cache->first_block[chunk] = number;
    }
    uint32_t *head = &cache->hash[hash_of(block->ident, block->mode)];
    block->next_in_hash = *head;
    *head = number;
    unsigned end = block->boundaries[block->count];
    attach_to_page(cpu, number, &fetch, 0, block->boundaries[0], (end > 4096 ? 4096 : end) - 1);
    if (crosses) {
        attach_to_page(cpu, number, &second, 1, 0, end > 4096 ? end - 4097 : 0);
    }
    cpu->stats.blocks_decoded++;
    return block;
}

const struct block *block_find(struct cpu *cpu, uint64_t eip, bool *uncacheable)
{
    struct block_cache *cache = cpu->blocks;
    uint64_t linear = code_linear(cpu, eip);
    uint64_t page_last = eip | 0;
    struct fetch fetch, second;

    *uncacheable = false;
    cache->scratch.ident = NO_IDENT;
    if (!fetch_at(cpu, linear, &fetch)) {
        return NULL;
    }
    /* The last byte of this page, and of the next, must be inside the CS limit; else each instruction is checked alone. */
    page_last = eip + (2 * GUEST_PAGE_SIZE - 1 - (linear & (GUEST_PAGE_SIZE - 1)));
    if (!(cpu->mode & MODE_CS_FLAT) && (cpu->seg[SEG_CS].limit < page_last - GUEST_PAGE_SIZE || !fetch.memory)) {
        *uncacheable = true;
        return NULL;
    }
    if (!fetch.memory) {
        *uncacheable = true;
        return NULL;
    }
    fetch_page_seen(cpu, linear);
    uint64_t ident = fetch_ident(&fetch);
    for (uint32_t n = cache->hash[hash_of(ident, cpu->mode)]; n; n = cache->blocks[n].next_in_hash) {
        const struct block *block = &cache->blocks[n];
        if (block->ident != ident || block->mode != cpu->mode) {
            continue;
        }
        if (block->second_ident != NO_IDENT) {
            uint64_t next_page = next_page_of(cpu, linear);
            if (!fetch_at(cpu, next_page, &second)) {
                return NULL;
            }
            if (!second.memory || fetch_ident(&second) != block->second_ident) {
                *uncacheable = true;
                return NULL;
            }
            fetch_page_seen(cpu, next_page);
        }
        return block;
    }
    /* A block that would cross into registers, or past the CS limit, is not cached either. */
    if ((linear & (GUEST_PAGE_SIZE - 1)) > GUEST_PAGE_SIZE - INSTRUCTION_MAX) {
        struct builder b = { .cpu = cpu, .mode = cpu->mode, .limit = 1 };
        bool crosses;
        if (!draft_at(cpu, &b, eip, &fetch, &second, &crosses)) {
            return NULL;
        }
        if (crosses && (!second.memory || (!(cpu->mode & MODE_CS_FLAT) && cpu->seg[SEG_CS].limit < page_last))) {
            *uncacheable = true;
            return NULL;
        }
        if (crosses) {
            fetch_page_seen(cpu, next_page_of(cpu, linear));
        }
    }
    return block_build(cpu, eip);
}

const struct block *block_of(const struct cpu *cpu, const struct insn *insn)
{
    const struct block_cache *cache = cpu->blocks;
    uintptr_t at = (uintptr_t)insn;

    if (at >= (uintptr_t)cache->scratch_slots && at < (uintptr_t)(cache->scratch_slots + SLOTS_PER_BLOCK_MAX)) {
        return &cache->scratch;
    }
    uint32_t number = cache->first_block[(size_t)((const union slot *)(const void *)insn - cache->arena) / CHUNK_SLOTS];
    while (number < cache->block_count && (uintptr_t)cache->blocks[number + 1].first <= at) {
        number++;
    }
    return &cache->blocks[number];
}

unsigned block_ordinal(const struct block *block, const struct insn *insn)
{
    unsigned slot = (unsigned)((const union slot *)(const void *)insn - (const union slot *)(const void *)block->first);
    unsigned k = block->count - 1u;

    while (k > 0 && block->slot_of[k] > slot) {
        k--;
    }
    return k;
}

/* ---- links ---- */

static uint32_t current_token(const struct cpu *cpu, uint64_t linear, const struct block *block)
{
    unsigned index = (unsigned)(linear >> GUEST_PAGE_SHIFT) & (TLB_ENTRIES - 1);
    const struct tlb_cold *cold = &cpu->tlb_cold[cpu->cpl == 3][index];
    bool is_global = cold->page == (linear & ~(uint64_t)(GUEST_PAGE_SIZE - 1)) && cold->is_global &&
                     block->second_ident == NO_IDENT;

    return cpu->fetch_token[is_global];
}

void remember_jump(struct cpu *cpu, uint64_t eip, const struct block *block)
{
    uint64_t linear = code_linear(cpu, eip);
    struct jump_entry *entry = &cpu->jump_cache[((uint32_t)eip ^ (uint32_t)eip >> 14) & (JUMP_ENTRIES - 1)];

    *entry = (struct jump_entry){ eip | cpu->jump_key_base, block->first, current_token(cpu, linear, block), block->count,
                                  block->boundaries[0] };
}

static uint64_t mask_eip(const struct cpu *cpu, uint64_t eip)
{
    return eip & code_mask(cpu);
}

/* Charges for the block found for cpu->rip and gives its first record; NULL when the deadline lies in it. */
static const struct insn *enter_block(struct cpu *cpu, const struct block *block)
{
    if (cpu->remaining < block->count) {
        return NULL;
    }
    cpu->remaining -= block->count;
    cpu->gpr[REG_PAGE] = cpu->rip - block->boundaries[0];
    return block->first;
}

const struct insn *link_exit(struct cpu *cpu, const struct link *link)
{
    cpu->remaining += link->count;
    cpu->rip = mask_eip(cpu, cpu->gpr[REG_PAGE] + (uint64_t)(int64_t)link->target);
    return NULL;
}

const struct insn *jump_exit(struct cpu *cpu, const struct jump_entry *entry)
{
    cpu->remaining += entry->count;
    cpu->rip = entry->key ^ cpu->jump_key_base;
    return NULL;
}

/* The slow halves of h_jump_miss and h_link_unresolved: NULL leaves to the dispatcher with cpu->rip set. They are no
 * handlers, so that what they keep in memory does not keep the handlers from ending in a jump. */
static NOINLINE const struct insn *resolve_jump(struct cpu *cpu)
{
    bool uncacheable;

    cpu->stats.link_misses++;
    /* At the deadline nothing may be looked up: the walk would set an accessed bit before its time. */
    if (cpu->pending || !cpu->use_block_cache || cpu->remaining <= 0) {
        return NULL;
    }
    const struct block *block = block_find(cpu, cpu->rip, &uncacheable);
    if (!block) {
        return NULL; /* the dispatcher finds the same fault again and delivers it */
    }
    remember_jump(cpu, cpu->rip, block);
    return enter_block(cpu, block);
}

static NOINLINE const struct insn *resolve_link(struct cpu *cpu, const struct insn *insn)
{
    union slot *link = (union slot *)(void *)(uintptr_t)insn - 1;
    uint64_t eip = mask_eip(cpu, cpu->gpr[REG_PAGE] + (uint64_t)(int64_t)link->link.target);
    uint64_t source = cpu->gpr[REG_PAGE];
    uint32_t count_before = cpu->blocks->block_count;
    bool uncacheable;

    cpu->stats.link_misses++;
    cpu->rip = eip;
    if (cpu->pending || !cpu->use_block_cache || cpu->remaining <= 0) { /* as above */
        return NULL;
    }
    const struct block *block = block_find(cpu, eip, &uncacheable);
    if (!block) {
        return NULL;
    }
    /* A flush while the target was built has taken the source block with it. */
    bool flushed = cpu->blocks->block_count < count_before;
    bool is_scratch = block_of(cpu, insn) == &cpu->blocks->scratch;
    if (!flushed && !is_scratch) {
        bool in_page = (cpu->mode & MODE_CS_FLAT) && eip - block->boundaries[0] == source &&
                       link->link.target >= 0 && link->link.target < (int32_t)GUEST_PAGE_SIZE &&
                       block->second_ident == NO_IDENT && block_of(cpu, insn)->second_ident == NO_IDENT;
        if (in_page) {
            link->link.next = block->first;
            link->link.count = block->count;
        } else if (cpu->mode & MODE_CS_FLAT) {
            uint64_t linear = code_linear(cpu, eip);
            link[1].insn.handler = cpu->mode & MODE_CODE64 ? h_link_cross64 : h_link_cross;
            link[1].insn.d = current_token(cpu, linear, block);
            link[2].cross = (struct cross){ block->first, (uint32_t)source, (uint32_t)(source >> 32) };
            link->link.count = block->count;
        }
    }
    return enter_block(cpu, block);
}

HANDLER(h_jump_miss)
{
    insn = resolve_jump(cpu);
    if (!insn) {
        return NULL;
    }
    GO(insn);
}

HANDLER(h_link_unresolved)
{
    insn = resolve_link(cpu, insn);
    if (!insn) {
        return NULL;
    }
    GO(insn);
}

/* The count has been charged by GO_LINK. */
HANDLER(h_link_cross)
{
    const union slot *link = (const union slot *)(const void *)insn - 1;
    const struct cross *cross = &link[2].cross;

    if (LIKELY((insn->d == cpu->fetch_token[0] || insn->d == cpu->fetch_token[1]) &&
               cross->source_low == (uint32_t)cpu->gpr[REG_PAGE] &&
               cross->source_high == (uint32_t)(cpu->gpr[REG_PAGE] >> 32))) {
        cpu->gpr[REG_PAGE] = (cpu->gpr[REG_PAGE] + (uint64_t)(int64_t)(link->link.target & ~(int32_t)(GUEST_PAGE_SIZE - 1))) &
                        0xffffffffu;
        GO(cross->next);
    }
    cpu->remaining += link->link.count;
    TAIL(h_link_unresolved);
}

/* The same where EIP has 64 bits. */
HANDLER(h_link_cross64)
{
    const union slot *link = (const union slot *)(const void *)insn - 1;
    const struct cross *cross = &link[2].cross;

    if (LIKELY((insn->d == cpu->fetch_token[0] || insn->d == cpu->fetch_token[1]) &&
               cross->source_low == (uint32_t)cpu->gpr[REG_PAGE] &&
               cross->source_high == (uint32_t)(cpu->gpr[REG_PAGE] >> 32))) {
        cpu->gpr[REG_PAGE] += (uint64_t)(int64_t)(link->link.target & ~(int32_t)(GUEST_PAGE_SIZE - 1));
        GO(cross->next);
    }
    cpu->remaining += link->link.count;
    TAIL(h_link_unresolved);
}

HANDLER(h_fall)
{
    GO_LINK(1);
}

HANDLER(h_scratch_end)
{
    const struct link *link = LINK_AT(1);

    cpu->rip = mask_eip(cpu, cpu->gpr[REG_PAGE] + (uint64_t)(int64_t)link->target);
    return NULL;
}

HANDLER(h_stale)
{
    const struct block *block = block_of(cpu, insn);

    cpu->remaining += block->count;
    cpu->rip = mask_eip(cpu, cpu->gpr[REG_PAGE] + block->boundaries[0]);
    struct jump_entry *entry = &cpu->jump_cache[((uint32_t)cpu->rip ^ (uint32_t)cpu->rip >> 14) & (JUMP_ENTRIES - 1)];
    if (entry->next == insn) {
        entry->key = UINT64_MAX; /* or the dispatcher would come straight back */
    }
    return NULL;
}
