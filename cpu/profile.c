/* profile.c - the interpreter's profile: see profile.h. */
#include "cpu/profile.h"

#include "cpu/blocks.h"

#include <stdlib.h>

enum { BLOCK_HASH_SIZE = 1 << 16, HANDLER_HASH_SIZE = 1 << 13, HANDLERS_MAX = HANDLER_HASH_SIZE / 2 };

struct entry {
    uint64_t linear;
    size_t bytes_at, handlers_at;
    uint32_t next_in_hash;
    uint16_t size;
    uint8_t count, mode;
};

/* A growing array of bytes, numbers or entries. */
struct pool {
    void *items;
    size_t used, capacity, item_size;
};

struct profile {
    uint64_t *executions; /* = counts.items */
    struct pool counts, entries, bytes, handler_numbers, links;
    struct profile_handler handlers[HANDLERS_MAX];
    unsigned handler_count;
    uint16_t handler_hash[HANDLER_HASH_SIZE]; /* number + 1 */
    uint32_t block_hash[BLOCK_HASH_SIZE];     /* entry 0 takes what there was no memory for */
    uint16_t draft[BLOCK_INSNS_MAX];
    uint8_t draft_links[BLOCK_INSNS_MAX];
    unsigned draft_count;
};

/* Appends `count` items; false when there is no memory. */
static bool pool_add(struct pool *pool, const void *items, size_t count)
{
    if (pool->used + count > pool->capacity) {
        size_t capacity = (pool->used + count) * 2;
        void *grown = realloc(pool->items, capacity * pool->item_size);
        if (!grown) {
            return false;
        }
        pool->items = grown;
        pool->capacity = capacity;
    }
    memcpy((uint8_t *)pool->items + pool->used * pool->item_size, items, count * pool->item_size);
    pool->used += count;
    return true;
}

struct profile *profile_create(void)
{
    struct profile *profile = calloc(1, sizeof *profile);
    const struct entry none = { 0 };
    const uint64_t zero = 0;

    if (!profile) {
        return NULL;
    }
    profile->counts.item_size = sizeof(uint64_t);
    profile->entries.item_size = sizeof(struct entry);
    profile->bytes.item_size = profile->links.item_size = 1;
    profile->handler_numbers.item_size = sizeof(uint16_t);
    if (!pool_add(&profile->counts, &zero, 1) || !pool_add(&profile->entries, &none, 1)) {
        profile_destroy(profile);
        return NULL;
    }
    profile->executions = profile->counts.items;
    return profile;
}

void profile_destroy(struct profile *profile)
{
    if (profile) {
        free(profile->counts.items);
        free(profile->entries.items);
        free(profile->bytes.items);
        free(profile->handler_numbers.items);
        free(profile->links.items);
        free(profile);
    }
}

/* Where the instruction table has the handler: a form may have fallen back to another. */
static struct profile_handler describe(const struct opcode *op, handler_fn *function)
{
    for (unsigned dead = 0; op && dead < LIVENESS_COUNT; dead++) {
        for (unsigned form = 0; form < FORM_COUNT; form++) {
            for (unsigned size = 0; size < SIZE_COUNT; size++) {
                if (op->binding->handlers[dead][form][size] == function) {
                    return (struct profile_handler){ function, op->stem, (uint8_t)form, (uint8_t)(8u << size), dead == DEAD };
                }
            }
        }
    }
    return (struct profile_handler){ function, op ? op->stem : "undefined", FORM_REG, 0, false };
}

void profile_add_insn(struct profile *profile, const struct opcode *op, handler_fn *handler, uint8_t links)
{
    unsigned at = (unsigned)(((uintptr_t)handler >> 4) * 2654435761u >> 7) & (HANDLER_HASH_SIZE - 1);
    unsigned number;

    while ((number = profile->handler_hash[at]) != 0 && profile->handlers[number - 1].function != handler) {
        at = (at + 1) & (HANDLER_HASH_SIZE - 1);
    }
    if (number == 0 && profile->handler_count < HANDLERS_MAX) {
        profile->handlers[profile->handler_count] = describe(op, handler);
        number = ++profile->handler_count;
        profile->handler_hash[at] = (uint16_t)number;
    }
    profile->draft_links[profile->draft_count] = links;
    profile->draft[profile->draft_count++] = (uint16_t)(number ? number - 1 : 0);
}

uint32_t profile_add_block(struct profile *profile, uint64_t linear, unsigned mode, const uint8_t *bytes, unsigned size)
{
    unsigned count = profile->draft_count;
    uint32_t *head = &profile->block_hash[(uint32_t)((linear ^ mode << 20) * 2654435761u) >> 16 & (BLOCK_HASH_SIZE - 1)];
    const struct entry *entries = profile->entries.items;
    const uint64_t zero = 0;

    profile->draft_count = 0;
    for (uint32_t n = *head; n; n = entries[n].next_in_hash) {
        const struct entry *known = &entries[n];
        const uint16_t *handlers = (const uint16_t *)profile->handler_numbers.items + known->handlers_at;
        if (known->linear == linear && known->mode == mode && known->size == size && known->count == count &&
            memcmp((const uint8_t *)profile->bytes.items + known->bytes_at, bytes, size) == 0 &&
            memcmp(handlers, profile->draft, count * sizeof *handlers) == 0) {
            return n;
        }
    }
    struct entry entry = { linear, profile->bytes.used, profile->handler_numbers.used, *head,
                           (uint16_t)size, (uint8_t)count, (uint8_t)mode };
    if (!pool_add(&profile->bytes, bytes, size) || !pool_add(&profile->handler_numbers, profile->draft, count) ||
        !pool_add(&profile->links, profile->draft_links, count) ||
        !pool_add(&profile->counts, &zero, 1)) {
        return 0;
    }
    profile->executions = profile->counts.items;
    if (!pool_add(&profile->entries, &entry, 1)) {
        profile->counts.used--;
        return 0;
    }
    *head = (uint32_t)profile->entries.used - 1;
    return *head;
}

HANDLER(h_profile)
{
    cpu->profile->executions[insn->d]++;
    NEXT(1);
}

bool profile_block(const struct profile *profile, size_t n, struct profile_block *block)
{
    const struct entry *entries = profile->entries.items;

    if (n >= profile->entries.used) {
        return false;
    }
    *block = (struct profile_block){
        .linear = entries[n].linear,
        .executions = profile->executions[n],
        .handlers = (const uint16_t *)profile->handler_numbers.items + entries[n].handlers_at,
        .links = (const uint8_t *)profile->links.items + entries[n].handlers_at,
        .bytes = (const uint8_t *)profile->bytes.items + entries[n].bytes_at,
        .size = entries[n].size,
        .count = entries[n].count,
        .mode = entries[n].mode,
    };
    return true;
}

bool profile_handler(const struct profile *profile, size_t n, struct profile_handler *handler)
{
    if (n >= profile->handler_count) {
        return false;
    }
    *handler = profile->handlers[n];
    return true;
}
