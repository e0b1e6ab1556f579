/* state_hashes.c - see state_hashes.h. Only pages that were written since the last look are hashed; the hash of a region is
 * the sum over its pages, so that a page can be replaced. */
#include "frontends/state_hashes.h"

#include "mem/space.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct look {
    uint32_t *rows;
    unsigned count, wanted; /* wanted: the row whose name is asked for */
    const char *component;
    char *name;
    size_t name_size;
};

static uint32_t hash_row(const struct field *field, const void *base)
{
    uint8_t bytes[512];
    uint64_t hash = HASH_SEED;
    size_t count = field_count(field), used = 0;

    if (field->elem_size == 1) {
        hash = hash_bytes(HASH_SEED, (const uint8_t *)base + field->offset, count);
        return (uint32_t)(hash ^ hash >> 32);
    }
    for (size_t n = 0; n < count; n++) {
        store_le64(bytes + used, field_get(field, base, n));
        used += field->elem_size;
        if (used + 8 > sizeof bytes) {
            hash = hash_bytes(hash, bytes, used);
            used = 0;
        }
    }
    hash = hash_bytes(hash, bytes, used);
    return (uint32_t)(hash ^ hash >> 32);
}

static void add_row(void *context, const char *path, const struct field *field, const void *base)
{
    struct look *look = context;

    if (look->rows != NULL) {
        look->rows[look->count] = hash_row(field, base);
    }
    if (look->name != NULL && look->count == look->wanted) {
        snprintf(look->name, look->name_size, "%s.%s", look->component, path);
    }
    look->count++;
}

static void look_at_state(struct tick86 *machine, struct look *look)
{
    struct tick86_component component;

    for (unsigned n = 0; tick86_component(machine, n, &component); n++) {
        look->component = component.name;
        state_visit(component.fields, component.state, add_row, look);
    }
}

bool state_hashes_init(struct state_hashes *hashes, struct tick86 *machine)
{
    struct look look = { 0 };
    struct tick86_memory memory;
    bool is_good;

    memset(hashes, 0, sizeof *hashes);
    hashes->machine = machine;
    look_at_state(machine, &look);
    hashes->row_count = look.count + 2 * HASH_REGIONS;
    hashes->rows = calloc(hashes->row_count, sizeof *hashes->rows);
    is_good = hashes->rows != NULL;
    for (unsigned n = 0; is_good && n < 2 && tick86_memory(machine, n, &memory); n++) {
        hashes->pages[n] = memory.size / GUEST_PAGE_SIZE;
        hashes->page_hashes[n] = calloc((size_t)hashes->pages[n], sizeof *hashes->page_hashes[n]);
        is_good = hashes->page_hashes[n] != NULL;
    }
    return is_good;
}

void state_hashes_free(struct state_hashes *hashes)
{
    free(hashes->rows);
    free(hashes->page_hashes[0]);
    free(hashes->page_hashes[1]);
    memset(hashes, 0, sizeof *hashes);
}

/* What a page adds to its region. */
static uint64_t share(uint32_t hash, uint64_t page)
{
    return hash != 0 ? (hash | (page + 1) << 32) * UINT64_C(0x9e3779b97f4a7c15) : 0;
}

static unsigned region_of(const struct state_hashes *hashes, unsigned memory, uint64_t page)
{
    return (unsigned)(page * HASH_REGIONS / hashes->pages[memory]);
}

static void look_at_page(void *context, unsigned n, uint64_t page)
{
    struct state_hashes *hashes = context;
    struct tick86_memory memory;

    if (n >= 2 || !tick86_memory(hashes->machine, n, &memory)) {
        return;
    }
    const uint8_t *bytes = memory.bytes + page * GUEST_PAGE_SIZE;
    uint32_t hash = 0, *old = &hashes->page_hashes[n][page];
    if (bytes[0] != 0 || memcmp(bytes, bytes + 1, GUEST_PAGE_SIZE - 1) != 0) {
        uint64_t whole = hash_bytes(HASH_SEED, bytes, GUEST_PAGE_SIZE);
        hash = (uint32_t)(whole ^ whole >> 32) | 1; /* 0 means zeros */
    }
    uint64_t *region = &hashes->regions[n][region_of(hashes, n, page)];
    *region += share(hash, page) - share(*old, page);
    *old = hash;
}

bool state_hashes_look(struct state_hashes *hashes)
{
    struct look look = { .rows = hashes->rows };

    look_at_state(hashes->machine, &look);
    if (!tick86_dirty_pages(hashes->machine, DIRTY_HASHES, look_at_page, hashes)) {
        return false;
    }
    for (unsigned n = 0; n < 2 * HASH_REGIONS; n++) {
        uint64_t sum = hashes->regions[n / HASH_REGIONS][n % HASH_REGIONS];
        hashes->rows[look.count + n] = (uint32_t)(sum ^ sum >> 32);
    }
    return true;
}

void state_hashes_name(const struct state_hashes *hashes, unsigned row, char *name, size_t size)
{
    unsigned first = hashes->row_count - 2 * HASH_REGIONS;
    struct look look = { .wanted = row, .name = name, .name_size = size };

    if (row < first) {
        look_at_state(hashes->machine, &look);
        return;
    }
    unsigned memory = (row - first) / HASH_REGIONS, region = (row - first) % HASH_REGIONS;
    uint64_t pages = hashes->pages[memory];
    uint64_t start = (region * pages + HASH_REGIONS - 1) / HASH_REGIONS, end = ((region + 1) * pages + HASH_REGIONS - 1) / HASH_REGIONS;
    snprintf(name, size, "%s, 0x%" PRIx64 " to 0x%" PRIx64, memory == 0 ? "ram" : "vram", start * GUEST_PAGE_SIZE,
             end * GUEST_PAGE_SIZE - 1);
}
