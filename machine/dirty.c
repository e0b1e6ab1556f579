/* dirty.c - see dirty.h. The page flag PAGE_DIRTY is clear for pages whose next store somebody wants to know of. */
#include "machine/dirty.h"

#include "machine/history.h"
#include "machine/machine.h"

#include <stdlib.h>
#include <string.h>

enum { ALL_CONSUMERS = (1 << DIRTY_CONSUMERS) - 1 };

struct memory *dirty_memory(struct tick86 *machine, unsigned n)
{
    return n == 0 ? &machine->ram : n == 1 ? &machine->vram : NULL;
}

static void first_write(void *context, struct memory *memory, uint64_t page_offset)
{
    struct tick86 *machine = context;
    unsigned n = memory == &machine->ram ? 0 : 1;
    uint64_t page = page_offset >> GUEST_PAGE_SHIFT;

    if (machine->dirty.bits[n] != NULL) {
        machine->dirty.bits[n][page] = ALL_CONSUMERS;
    }
    history_before_write(machine, n, page);
}

void dirty_init(struct tick86 *machine)
{
    struct memory *memory;

    for (unsigned n = 0; n < DIRTY_MEMORIES && (memory = dirty_memory(machine, n)) != NULL; n++) {
        memory->first_write = first_write;
        memory->first_write_context = machine;
    }
}

void dirty_free(struct tick86 *machine)
{
    for (unsigned n = 0; n < DIRTY_MEMORIES; n++) {
        free(machine->dirty.bits[n]);
    }
}

void dirty_rearm(struct tick86 *machine, unsigned n, uint64_t page)
{
    if (!machine->dirty.is_replaced) {
        machine->dirty.is_replaced = true;
        machine->dirty.initial = ALL_CONSUMERS;
    }
    dirty_memory(machine, n)->page_flags[page] &= (uint8_t) ~(unsigned)PAGE_DIRTY;
}

void dirty_rearmed(struct tick86 *machine)
{
    machine_revoke_writes(machine);
}

void dirty_mark(struct tick86 *machine, unsigned n, uint64_t page)
{
    struct memory *memory = dirty_memory(machine, n);

    BUG_ON(n >= DIRTY_MEMORIES);
    if (machine->dirty.bits[n] != NULL) {
        machine->dirty.bits[n][page] = ALL_CONSUMERS;
    }
    dirty_rearm(machine, n, page);
    memory->page_flags[page] &= (uint8_t) ~(unsigned)PAGE_DISPLAY;
}

/* Eight flags at a time, as most are clear: `mask` goes from all. */
static void clear_flags(struct memory *memory, uint8_t mask)
{
    uint64_t pages = memory->size >> GUEST_PAGE_SHIFT;

    for (uint64_t page = 0; page < pages; page++) {
        uint64_t eight = 1;
        if (page % 8 == 0 && pages - page >= 8) {
            memcpy(&eight, memory->page_flags + page, 8);
        }
        if (eight == 0) {
            page += 7;
        } else {
            memory->page_flags[page] &= (uint8_t)~mask;
        }
    }
}

static bool make_bits(struct tick86 *machine, unsigned n)
{
    const struct memory *memory = dirty_memory(machine, n);
    uint64_t pages = memory->size >> GUEST_PAGE_SHIFT;
    uint8_t *bits = malloc((size_t)pages);

    machine->dirty.bits[n] = bits;
    if (bits == NULL) {
        return false;
    }
    for (uint64_t page = 0; page < pages; page++) {
        /* Pages of a machine that has only run and never been looked after are zero until they are written. */
        bool is_written = (memory->page_flags[page] & PAGE_DIRTY) != 0;
        bits[page] = is_written ? ALL_CONSUMERS : machine->dirty.is_replaced ? machine->dirty.initial : 0;
    }
    return true;
}

void dirty_replaced(struct tick86 *machine)
{
    struct memory *memory;

    machine->dirty.is_replaced = true;
    machine->dirty.initial = ALL_CONSUMERS;
    for (unsigned n = 0; n < DIRTY_MEMORIES && (memory = dirty_memory(machine, n)) != NULL; n++) {
        clear_flags(memory, PAGE_DIRTY | PAGE_DISPLAY);
        if (machine->dirty.bits[n] != NULL) {
            memset(machine->dirty.bits[n], ALL_CONSUMERS, (size_t)(memory->size >> GUEST_PAGE_SHIFT));
        }
    }
}

/* Nobody has asked yet, and this one only wants to know what comes. */
static void forget_all(struct tick86 *machine, enum tick86_dirty consumer)
{
    struct memory *memory;

    for (unsigned n = 0; n < DIRTY_MEMORIES && !machine->dirty.is_replaced && (memory = dirty_memory(machine, n)) != NULL; n++) {
        for (uint64_t page = 0; page < memory->size >> GUEST_PAGE_SHIFT; page++) {
            if (memory->page_flags[page] & PAGE_DIRTY) {
                machine->dirty.is_replaced = true;
                machine->dirty.initial = ALL_CONSUMERS;
            }
        }
    }
    for (unsigned n = 0; n < DIRTY_MEMORIES && (memory = dirty_memory(machine, n)) != NULL; n++) {
        clear_flags(memory, PAGE_DIRTY);
    }
    machine->dirty.initial &= (uint8_t) ~(1u << consumer);
    dirty_rearmed(machine);
}

bool tick86_dirty_pages(struct tick86 *machine, enum tick86_dirty consumer, tick86_page_fn *visit, void *context)
{
    uint8_t bit = (uint8_t)(1u << consumer);
    struct memory *memory;

    if (visit == NULL && machine->dirty.bits[0] == NULL) {
        forget_all(machine, consumer);
        return true;
    }
    for (unsigned n = 0; n < DIRTY_MEMORIES && (memory = dirty_memory(machine, n)) != NULL; n++) {
        uint64_t pages = memory->size >> GUEST_PAGE_SHIFT;
        if (machine->dirty.bits[n] == NULL && !make_bits(machine, n)) {
            return false;
        }
        uint8_t *bits = machine->dirty.bits[n];
        for (uint64_t page = 0; page < pages;) {
            uint64_t eight;
            if (page % 8 == 0 && pages - page >= 8) { /* most pages are clean */
                memcpy(&eight, bits + page, 8);
                if (eight == 0) {
                    page += 8;
                    continue;
                }
            }
            if ((bits[page] & bit) != 0) {
                bits[page] &= (uint8_t)~bit;
                dirty_rearm(machine, n, page);
                if (visit != NULL) {
                    visit(context, n, page);
                }
            }
            page++;
        }
    }
    dirty_rearmed(machine);
    return true;
}
