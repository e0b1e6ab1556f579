/* delta.c - see delta.h. */
#include "machine/delta.h"

#include "mem/space.h"

#include <stdlib.h>
#include <string.h>

static size_t unit_size(const struct delta_unit *unit)
{
    return unit->space == SPACE_STATE ? DELTA_STATE_CHUNK : GUEST_PAGE_SIZE;
}

void delta_init(struct delta *delta)
{
    memset(delta, 0, sizeof *delta);
}

void delta_free(struct delta *delta)
{
    for (size_t n = 0; n < delta->count; n++) {
        free(delta->units[n].bytes);
    }
    free(delta->units);
    free(delta->slots);
    delta_init(delta);
}

static bool is_same(const struct delta_unit *a, const struct delta_unit *b)
{
    return a->index == b->index && a->space == b->space && a->medium == b->medium;
}

/* Only the speed of look-ups depends on the address of a medium, never an order. */
static size_t hash(const struct delta_unit *unit)
{
    uint64_t key = (unit->index << 2 | unit->space) ^ (uint64_t)(uintptr_t)unit->medium << 20;

    return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 24);
}

struct delta_unit *delta_find(const struct delta *delta, const struct delta_unit *place)
{
    if (delta->slot_count == 0) {
        return NULL;
    }
    for (size_t at = hash(place) & (delta->slot_count - 1); delta->slots[at] != 0; at = (at + 1) & (delta->slot_count - 1)) {
        if (is_same(&delta->units[delta->slots[at] - 1], place)) {
            return &delta->units[delta->slots[at] - 1];
        }
    }
    return NULL;
}

static void enter(struct delta *delta, size_t number)
{
    size_t at = hash(&delta->units[number]) & (delta->slot_count - 1);

    while (delta->slots[at] != 0) {
        at = (at + 1) & (delta->slot_count - 1);
    }
    delta->slots[at] = (uint32_t)number + 1;
}

static bool make_room(struct delta *delta)
{
    if (delta->count < delta->capacity) {
        return true;
    }
    size_t capacity = delta->capacity != 0 ? delta->capacity * 2 : 32;
    struct delta_unit *units = realloc(delta->units, capacity * sizeof *units);
    if (units == NULL) {
        return false;
    }
    delta->units = units;
    uint32_t *slots = calloc(capacity * 2, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    free(delta->slots);
    delta->bytes += (capacity - delta->capacity) * (sizeof *units + 2 * sizeof *slots);
    delta->slots = slots;
    delta->slot_count = capacity * 2;
    delta->capacity = capacity;
    for (size_t n = 0; n < delta->count; n++) {
        enter(delta, n);
    }
    return true;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

bool delta_set(struct delta *delta, struct delta_unit *unit, const uint8_t *bytes)
{
    size_t size = unit_size(unit);

    if (is_zero(bytes, size)) {
        delta->bytes -= unit->bytes != NULL ? size : 0;
        free(unit->bytes);
        unit->bytes = NULL;
        return true;
    }
    if (unit->bytes == NULL) {
        unit->bytes = malloc(size);
        if (unit->bytes == NULL) {
            return false;
        }
        delta->bytes += size;
    }
    memcpy(unit->bytes, bytes, size);
    return true;
}

void delta_get(const struct delta_unit *unit, uint8_t *bytes)
{
    if (unit->bytes != NULL) {
        memcpy(bytes, unit->bytes, unit_size(unit));
    } else {
        memset(bytes, 0, unit_size(unit));
    }
}

static bool append(struct delta *delta, const struct delta_unit *place)
{
    if (!make_room(delta)) {
        return false;
    }
    delta->units[delta->count] = *place;
    delta->units[delta->count].bytes = NULL;
    enter(delta, delta->count++);
    return true;
}

bool delta_add(struct delta *delta, const struct delta_unit *place, const uint8_t *bytes)
{
    return append(delta, place) && delta_set(delta, &delta->units[delta->count - 1], bytes);
}

bool delta_merge(struct delta *to, struct delta *from)
{
    for (size_t n = 0; n < from->count; n++) {
        struct delta_unit *unit = &from->units[n];
        if (delta_find(to, unit) != NULL) {
            continue;
        }
        if (!append(to, unit)) {
            return false;
        }
        to->units[to->count - 1].bytes = unit->bytes;
        to->bytes += unit->bytes != NULL ? unit_size(unit) : 0;
        from->bytes -= unit->bytes != NULL ? unit_size(unit) : 0;
        unit->bytes = NULL;
    }
    return true;
}
