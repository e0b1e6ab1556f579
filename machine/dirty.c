/* dirty.c - see dirty.h. The page flag PAGE_DIRTY is clear for pages whose next store somebody wants to know of. */
#include "machine/dirty.h"

#include "machine/history.h"
#include "machine/machine.h"

#include <stdlib.h>
#include <string.h>

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
        machine->dirty.bits[n][page] = (1u << DIRTY_CONSUMERS) - 1;
    }
    history_before_write(machine, n, page);
}

void dirty_init(struct tick86 *machine)
{
    struct memory *memory;

    for (unsigned n = 0; (memory = dirty_memory(machine, n)) != NULL; n++) {
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
    machine->dirty.is_replaced = true;
    dirty_memory(machine, n)->page_flags[page] &= (uint8_t) ~(unsigned)PAGE_DIRTY;
}

void dirty_rearmed(struct tick86 *machine)
{
    machine_revoke_writes(machine);
}

void dirty_mark(struct tick86 *machine, unsigned n, uint64_t page)
{
    struct memory *memory = dirty_memory(machine, n);

    machine->dirty.is_replaced = true;
    if (machine->dirty.bits[n] != NULL) {
        machine->dirty.bits[n][page] = (1u << DIRTY_CONSUMERS) - 1;
    }
    memory->page_flags[page] &= (uint8_t) ~(unsigned)(PAGE_DIRTY | PAGE_DISPLAY);
}

bool tick86_dirty_pages(struct tick86 *machine, enum tick86_dirty consumer, tick86_page_fn *visit, void *context)
{
    uint8_t bit = (uint8_t)(1u << consumer);
    struct memory *memory;

    for (unsigned n = 0; (memory = dirty_memory(machine, n)) != NULL; n++) {
        uint64_t pages = memory->size >> GUEST_PAGE_SHIFT;
        uint8_t *bits = machine->dirty.bits[n];
        if (bits == NULL) {
            bits = machine->dirty.bits[n] = malloc((size_t)pages);
            if (bits == NULL) {
                return false;
            }
            /* Pages of a machine that has only run and never been looked after are zero until they are written. */
            for (uint64_t page = 0; page < pages; page++) {
                bool is_clean = !machine->dirty.is_replaced && (memory->page_flags[page] & PAGE_DIRTY) == 0;
                bits[page] = is_clean ? 0 : (1 << DIRTY_CONSUMERS) - 1;
            }
        }
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
