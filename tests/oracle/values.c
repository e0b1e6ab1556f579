/* values.c - what registers and memory of a case hold, and where its operands may lie. */
#include "tests/oracle/generate.h"

#include <string.h>

/* ---- values ---- */

uint64_t any_value(struct rng *r)
{
    static const uint64_t corners[] = { 0, 1, 2, 3, 0x7f, 0x80, 0x81, 0xff, 0x100, 0x7fff, 0x8000, 0x8001, 0xffff, 0x10000,
                                        0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0x7fffffffffffffff,
                                        0x8000000000000000, 0xffffffffffffffff, 0xffffffffffffff80, 0xaaaaaaaaaaaaaaaa };
    uint64_t value = rng_next(r);

    switch (rng_below(r, 4)) {
    case 0:
        return corners[rng_below(r, sizeof corners / sizeof *corners)];
    case 1:
        return value >> rng_below(r, 64);
    default:
        return value;
    }
}

/* Bit patterns of x87 and SSE formats where rounding, exceptions and payloads show. */
static uint64_t any_double(struct rng *r)
{
    static const uint64_t corners[] = {
        0, 0x3ff0000000000000, 0x4000000000000000, 0x3fe0000000000000, 0x7ff0000000000000, 0x7ff8000000000000,
        0x7ff0000000000001, 0x7fefffffffffffff, 0x0010000000000000, 0x000fffffffffffff, 1, 0x43e0000000000000,
        0x41e0000000000000, 0x41dfffffffc00000, 0x3ff0000000000001, 0x3fefffffffffffff, 0x4330000000000000,
        0x4330000000000001, 0x36a0000000000000, 0x47efffffe0000000, 0x380fffffc0000000, 0x7ffdeadbeef00001 };
    uint64_t value;

    switch (rng_below(r, 4)) {
    case 0:
        value = corners[rng_below(r, sizeof corners / sizeof *corners)];
        break;
    case 1: /* near one */
        value = (rng_next(r) & 0x000fffffffffffff) | (uint64_t)(1023 - 40 + rng_below(r, 80)) << 52;
        break;
    case 2: /* a small integer or half */
        value = (uint64_t)(1023 + rng_below(r, 20)) << 52 | (uint64_t)rng_below(r, 256) << 44;
        break;
    default:
        value = rng_next(r);
        break;
    }
    return value ^ (uint64_t)rng_below(r, 2) << 63;
}

static uint32_t any_single(struct rng *r)
{
    static const uint32_t corners[] = { 0, 0x3f800000, 0x40000000, 0x3f000000, 0x7f800000, 0x7fc00000, 0x7f800001,
                                        0x7f7fffff, 0x00800000, 0x007fffff, 1, 0x4f000000, 0x4effffff, 0x5f000000,
                                        0x3f800001, 0x3f7fffff, 0x4b000000, 0x4b000001, 0x7fedbeef };
    uint32_t value;

    switch (rng_below(r, 3)) {
    case 0:
        value = corners[rng_below(r, sizeof corners / sizeof *corners)];
        break;
    case 1:
        value = ((uint32_t)rng_next(r) & 0x7fffff) | (127 - 20 + rng_below(r, 45)) << 23;
        break;
    default:
        value = (uint32_t)rng_next(r);
        break;
    }
    return value ^ rng_below(r, 2) << 31;
}

void any_extended(struct rng *r, uint8_t *at)
{
    static const struct {
        uint16_t exponent;
        uint64_t mantissa;
    } corners[] = { { 0, 0 }, { 0x3fff, 1ull << 63 }, { 0x4000, 1ull << 63 }, { 0x7fff, 1ull << 63 }, { 0x7fff, 3ull << 62 },
                    { 0x7fff, 0x8000000000000001 }, { 0x7fff, 0xffffffffffffffff }, { 0x7fff, 0 }, { 0x7fff, 0x4000000000000000 },
                    { 0, 1 }, { 0, 0x7fffffffffffffff }, { 0, 1ull << 63 }, { 1, 1ull << 63 }, { 1, 0xffffffffffffffff },
                    { 0x7ffe, 0xffffffffffffffff }, { 0x3ffe, 1ull << 63 }, { 0x403e, 1ull << 63 }, { 0x403e, 0xffffffffffffffff },
                    { 0x401e, 1ull << 63 }, { 0x3fff, 1 }, { 0x4000, 0xc90fdaa22168c235 }, { 0x3fff, 0x8000000000000001 },
                    { 0x3f80, 1ull << 63 }, { 0x3c00, 0xffffffffffffffff }, { 0x407e, 0xffffff8000000000 }, { 0x43fe, 0xfffffffffffffc00 } };
    uint16_t exponent;
    uint64_t mantissa = rng_next(r);

    switch (rng_below(r, 6)) {
    case 0:
    case 1: {
        unsigned k = rng_below(r, sizeof corners / sizeof *corners);
        exponent = corners[k].exponent;
        mantissa = corners[k].mantissa;
        break;
    }
    case 2: /* whole numbers and halves */
        exponent = (uint16_t)(0x3ffd + rng_below(r, 70));
        mantissa = 1ull << 63 | (rng_next(r) & rng_next(r) & (~0ull << rng_below(r, 63)));
        break;
    case 3:
        exponent = (uint16_t)(0x3fff - 40 + rng_below(r, 80));
        mantissa |= 1ull << 63;
        break;
    case 4: /* what fits a double or a single, so that conversions are exact or tie */
        exponent = (uint16_t)(0x3fff - 160 + rng_below(r, 320));
        mantissa = 1ull << 63 | (mantissa & (rng_below(r, 2) ? ~0x3ffull : ~0x7fffffffffull));
        break;
    default:
        exponent = (uint16_t)rng_next(r) & 0x7fff;
        mantissa |= rng_below(r, 8) ? 1ull << 63 : 0;
        break;
    }
    store_le64(at, mantissa);
    store_le16(at + 8, (uint16_t)(exponent | (rng_below(r, 2) << 15)));
}

/* Operand bytes in memory: of any type, as only the instruction knows. */
void any_bytes(struct rng *r, uint8_t *at, unsigned size)
{
    unsigned kind = rng_below(r, 5);

    for (unsigned k = 0; k < size; k += 16) {
        uint8_t part[16] = { 0 };
        switch (kind) {
        case 0:
            any_extended(r, part);
            store_le16(part + 10, (uint16_t)rng_next(r));
            store_le32(part + 12, any_single(r));
            break;
        case 1:
            store_le64(part, any_double(r));
            store_le64(part + 8, any_double(r));
            break;
        case 2:
            for (unsigned j = 0; j < 16; j += 4) {
                store_le32(part + j, any_single(r));
            }
            break;
        case 3: /* packed decimal */
            for (unsigned j = 0; j < 16; j++) {
                part[j] = (uint8_t)(rng_below(r, 10) << 4 | rng_below(r, 10));
            }
            part[9] = (uint8_t)(rng_below(r, 2) << 7);
            break;
        default:
            store_le64(part, any_value(r));
            store_le64(part + 8, any_value(r));
            break;
        }
        memcpy(at + k, part, size - k < 16 ? size - k : 16);
    }
}

/* ---- places ---- */

enum place { PLACE_ANY, PLACE_WRITABLE };

/* An address in the window: mostly plain data, sometimes across or in bad pages. */
uint32_t data_address(struct rng *r, bool is_low)
{
    const char *pages = window_pages[!is_low];
    uint32_t base = window_base[!is_low];
    unsigned p = rng_below(r, WINDOW_PAGES - 1), choice = rng_below(r, 32);

    if (choice < 2) { /* anything in the window, bad or not */
        uint32_t at = base + rng_below(r, WINDOW_PAGES * PAGE);
        return page_kind(at) == 'x' ? at + 4 * PAGE : at;
    }
    if (choice < 7) { /* across the end of a page that holds data */
        while (pages[p] != 'w' && pages[p] != 'r') {
            p = (p + 1) % WINDOW_PAGES;
        }
        return base + (p + 1) * PAGE - 1 - rng_below(r, 15);
    }
    if (choice < 9) { /* across the beginning */
        while (pages[p] != 'w') {
            p = (p + 1) % WINDOW_PAGES;
        }
        return base + p * PAGE - 1 - rng_below(r, 15);
    }
    while (pages[p] != 'w' && (choice != 9 || pages[p] != 'r')) {
        p = (p + 1) % WINDOW_PAGES;
    }
    uint32_t offset = 64 + rng_below(r, PAGE - 192);
    return base + p * PAGE + (rng_below(r, 3) ? offset & ~15u : offset);
}

/* Where a stack may be: room on both sides most of the time. */
uint32_t stack_address(struct rng *r, bool is_low)
{
    if (rng_one_in(r, 8)) {
        return data_address(r, is_low);
    }
    uint32_t at = window_base[!is_low] + (is_low ? 6u : 4u) * PAGE + 128 + rng_below(r, 900) * 4;
    return rng_one_in(r, 6) ? at + rng_below(r, 4) : at;
}

void add_poke(struct test_case *t, uint32_t linear, const uint8_t *bytes, unsigned size)
{
    if (t->poke_count < POKES_MAX && size <= POKE_BYTES) {
        struct poke *poke = &t->pokes[t->poke_count++];
        poke->linear = linear;
        poke->size = (uint8_t)size;
        memcpy(poke->bytes, bytes, size);
    }
}
