/* layout.c - the memory and the segments that the cases run in, on both sides. */
#include "tests/oracle/oracle.h"

#include <string.h>

/* Page 0 stays absent: Linux keeps it from being mapped. */
const char *const window_pages[WINDOWS] = { "-wwr-ww-xx-r--ww", "xx-wwr-w--------" };
const uint32_t window_base[WINDOWS] = { WINDOW_LOW, WINDOW_HIGH };

const struct ldt_entry ldt_entries[LDT_COUNT] = {
    { 0, 0xfffff, false, true, true, false, false, false },             /* LDT_CODE16 */
    { WINDOW_LOW, 0xffff, false, false, false, false, false, false },   /* LDT_DATA16 */
    { WINDOW_HIGH, 0x4fff, true, false, false, false, false, false },   /* LDT_SMALL */
    { WINDOW_HIGH, 0x37ff, true, false, false, true, false, false },    /* LDT_DOWN */
    { 0, 0xfffff, true, true, false, false, true, false },              /* LDT_READONLY */
    { 0, 0xfffff, true, true, true, false, true, false },               /* LDT_EXECUTE */
    { 0, 0xfffff, true, true, false, false, false, true },              /* LDT_ABSENT */
    { WINDOW_LOW, 0x1fff, false, false, false, true, false, false },    /* LDT_DOWN16 */
    { WINDOW_LOW, 0xffff, false, false, true, false, false, false },    /* LDT_CODE_SMALL */
};

char page_kind(uint64_t linear)
{
    for (unsigned w = 0; w < WINDOWS; w++) {
        uint64_t page = (linear - window_base[w]) / PAGE;
        if (linear >= window_base[w] && page < WINDOW_PAGES) {
            return window_pages[w][page];
        }
    }
    return '-';
}

const uint8_t *memory_pattern(uint32_t linear)
{
    static uint8_t pages[WINDOWS][WINDOW_PAGES][PAGE];
    static bool is_filled;
    unsigned w = linear >= WINDOW_HIGH;

    if (!is_filled) {
        is_filled = true;
        for (unsigned k = 0; k < WINDOWS; k++) {
            struct rng rng = { window_base[k] };
            for (unsigned p = 0; p < WINDOW_PAGES; p++) {
                for (unsigned b = 0; b < PAGE; b++) {
                    /* HLT ends a run wherever it goes astray. */
                    pages[k][p][b] = window_pages[k][p] == 'x' ? 0xf4 : (uint8_t)(rng_next(&rng) >> 40);
                }
            }
        }
    }
    return pages[w][(linear - window_base[w]) / PAGE];
}

void memory_poke(const struct poke *poke, uint8_t *(*page)(uint32_t linear))
{
    for (unsigned k = 0; k < poke->size; k++) {
        uint32_t at = poke->linear + k;
        /* Code is left alone: it may lie elsewhere on the other side. */
        if (page_kind(at) != '-' && page_kind(at) != 'x') {
            page(at)[at % PAGE] = poke->bytes[k];
        }
    }
}

/* The byte that a case begins with. */
static uint8_t initial_byte(const struct test_case *test, uint32_t linear)
{
    uint8_t value = memory_pattern(linear)[linear % PAGE];

    for (unsigned k = 0; k < test->poke_count; k++) {
        if (linear - test->pokes[k].linear < test->pokes[k].size) {
            value = test->pokes[k].bytes[linear - test->pokes[k].linear];
        }
    }
    return value;
}

static void add_store(struct outcome *out, uint32_t linear, uint8_t value)
{
    struct poke *last = out->store_count ? &out->stores[out->store_count - 1] : NULL;

    if (last && last->linear + last->size == linear && last->size < POKE_BYTES) {
        last->bytes[last->size++] = value;
    } else if (out->store_count < STORES_MAX) {
        out->stores[out->store_count++] = (struct poke){ .linear = linear, .size = 1, .bytes = { value } };
    }
}

void outcome_stores(const struct test_case *test, struct outcome *out, uint8_t *(*page)(uint32_t linear))
{
    out->store_count = 0;
    for (unsigned w = 0; w < WINDOWS; w++) {
        for (unsigned p = 0; p < WINDOW_PAGES; p++) {
            uint32_t base = window_base[w] + p * PAGE;
            if (window_pages[w][p] != 'w') {
                continue;
            }
            const uint8_t *bytes = page(base);
            for (unsigned b = 0; b < PAGE; b++) {
                if (bytes[b] != initial_byte(test, base + b) && !store_is_masked(test, base + b)) {
                    add_store(out, base + b, bytes[b]);
                }
            }
        }
    }
}
