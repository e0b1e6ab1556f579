/* symbols_linux.c - finds the kallsyms tables of a Linux kernel in guest RAM, as scripts/kallsyms.c of its source lays them
 * out: kallsyms_offsets, _relative_base, _num_syms, _names, _markers, _token_table and _token_index; from 6.4 on the first two
 * stand behind the last. Names are strings of bytes that stand for tokens.
 *
 * The token table is found by its tokens "0" to "9", which every kernel has; everything else is checked against it, so that
 * other data is not taken for a kernel. Not implemented: kernels without CONFIG_KALLSYMS_BASE_RELATIVE (before 4.6). */
#define _DEFAULT_SOURCE
#include "frontends/symbols_private.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 1 << 20, BEFORE = 24 << 20, AFTER = 8 << 20, TOKENS = 256, PER_MARKER = 256, NAME_MAX_BYTES = 512,
    SYMBOLS_MIN = 1000, SYMBOLS_MAX = 1 << 20
};
static const uint8_t digits[20] = {'0', 0, '1', 0, '2', 0, '3', 0, '4', 0, '5', 0, '6', 0, '7', 0, '8', 0, '9', 0};

/* The kernel's data around the tokens, and what was found in it, as offsets. */
struct image {
    const uint8_t *bytes;
    size_t size;
    size_t tokens, index, markers, marker_count, count_at, names, offsets;
    uint32_t count;
    uint64_t base;
    bool is_64;
};

static uint64_t load(const struct image *image, size_t at, unsigned size)
{
    uint64_t value = 0;

    for (unsigned n = 0; n < size && at + n < image->size; n++) {
        value |= (uint64_t)image->bytes[at + n] << (8 * n);
    }
    return value;
}

static uint32_t load32(const struct image *image, size_t at) { return (uint32_t)load(image, at, 4); }

/* From the token "0" to the table's end, and the index behind it, which tells where the table starts. */
static bool find_tokens(struct image *image, size_t zero)
{
    size_t end = zero;

    for (unsigned n = '0'; n < TOKENS; n++) {
        const uint8_t *stop = end < image->size ? memchr(image->bytes + end, 0, image->size - end) : NULL;
        if (stop == NULL) {
            return false;
        }
        end = (size_t)(stop - image->bytes) + 1;
    }
    for (size_t at = end; at < end + 16 && at + 2 * TOKENS <= image->size; at++) {
        size_t start = zero - (size_t)load(image, at + 2 * '0', 2);
        bool is_index = load(image, at, 2) == 0 && start < zero;
        for (unsigned n = 1; n < TOKENS && is_index; n++) {
            size_t token = start + (size_t)load(image, at + 2 * (size_t)n, 2);
            is_index = token > start && token < end && image->bytes[token - 1] == 0;
        }
        if (is_index) {
            image->tokens = start;
            image->index = at;
            return true;
        }
    }
    return false;
}

/* A name's length at *at, which moves to its first byte. From 6.1 on a length above 127 takes two bytes. */
static size_t name_length(const struct image *image, size_t *at)
{
    size_t length = image->bytes[(*at)++];

    if ((length & 0x80) != 0 && *at < image->size) {
        length = (length & 0x7f) | (size_t)image->bytes[(*at)++] << 7;
    }
    return length;
}

/* Whether `count` names lie at `names` and end at or before `end`, with a marker at each 256th. */
static bool names_fit(const struct image *image, size_t names, uint32_t count, size_t end)
{
    size_t at = names;

    for (uint32_t n = 0; n < count; n++) {
        if (n % PER_MARKER == 0 && load32(image, image->markers + 4 * (size_t)(n / PER_MARKER)) != at - names) {
            return false;
        }
        if (at >= end) {
            return false;
        }
        size_t length = name_length(image, &at);
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return at <= end && end - at < 16;
}

/* The markers are the last long run of numbers before `end` that starts with 0 and rises by the bytes of 256 names. Between
 * them and the tokens lie, since 6.2, kallsyms_seqs_of_names: three bytes a symbol. */
static bool find_markers(struct image *image, size_t end)
{
    size_t run = 0, lowest = end > 4 * (size_t)SYMBOLS_MAX ? end - 4 * (size_t)SYMBOLS_MAX : 0;

    for (size_t at = (end & ~(size_t)3) - 4; at >= lowest + 4; at -= 4) {
        uint32_t step = load32(image, at + 4) - load32(image, at);
        run = step > PER_MARKER && step < PER_MARKER * (uint32_t)NAME_MAX_BYTES ? run + 1 : 0;
        if (run + 1 >= SYMBOLS_MIN / PER_MARKER && load32(image, at) == 0) {
            image->markers = at;
            image->marker_count = run + 1;
            return true;
        }
    }
    return false;
}

static bool find_names(struct image *image)
{
    uint32_t last = load32(image, image->markers + 4 * (image->marker_count - 1));
    size_t longest = (size_t)last + PER_MARKER * 64, shortest = (size_t)last / 2;

    if (image->markers < longest) {
        longest = image->markers;
    }
    for (size_t at = (image->markers - longest + 3) & ~(size_t)3; at + 4 + shortest <= image->markers; at += 4) {
        uint32_t count = load32(image, at);
        if (count < SYMBOLS_MIN || count > SYMBOLS_MAX ||
            (count + PER_MARKER - 1) / PER_MARKER > image->marker_count ||
            (count + PER_MARKER - 1) / PER_MARKER + 1 < image->marker_count) { /* what follows may look like one more */
            continue;
        }
        for (unsigned skip = 4; skip <= 8; skip += 4) {
            if (names_fit(image, at + skip, count, image->markers)) {
                image->count_at = at;
                image->names = at + skip;
                image->count = count;
                image->is_64 = skip == 8;
                return true;
            }
        }
    }
    return false;
}

static uint64_t address_of(const struct image *image, uint32_t n)
{
    uint32_t offset = load32(image, image->offsets + 4 * (size_t)n);

    /* CONFIG_KALLSYMS_ABSOLUTE_PERCPU: what is not negative is an address itself. */
    if (image->is_64) {
        return (offset & 0x80000000u) != 0 ? image->base + (UINT64_C(0x100000000) - offset) - 1 : offset;
    }
    return (uint32_t)(image->base + offset);
}

/* Addresses do not fall (but for per-processor variables, which come first). */
static bool offsets_fit(const struct image *image)
{
    uint32_t falls = 0;

    for (uint32_t n = 1; n < image->count; n++) {
        falls += address_of(image, n) < address_of(image, n - 1);
    }
    return falls <= 2 && address_of(image, image->count - 1) > address_of(image, 0);
}

static bool find_offsets(struct image *image)
{
    size_t width = image->is_64 ? 8 : 4;
    size_t bytes = ((size_t)image->count * 4 + width - 1) & ~(width - 1);

    if (image->count_at >= bytes + width) {
        image->base = load(image, image->count_at - width, (unsigned)width);
        image->offsets = image->count_at - width - bytes;
        if (image->base != 0 && offsets_fit(image)) {
            return true;
        }
    }
    image->offsets = (image->index + 2 * TOKENS + width - 1) & ~(width - 1);
    if (image->offsets + bytes + width > image->size) {
        return false;
    }
    image->base = load(image, image->offsets + bytes, (unsigned)width);
    return image->base != 0 && offsets_fit(image);
}

static size_t take_names(struct symbols *symbols, const struct image *image)
{
    size_t at = image->names, found = 0;

    for (uint32_t n = 0; n < image->count; n++) {
        char name[NAME_MAX_BYTES];
        size_t used = 0;
        for (size_t length = name_length(image, &at); length > 0; length--) {
            size_t token = image->tokens + (size_t)load(image, image->index + 2 * (size_t)image->bytes[at++], 2);
            for (; image->bytes[token] != 0 && used < sizeof name; token++) {
                name[used++] = (char)image->bytes[token];
            }
        }
        /* The first character is the type, as nm shows it. */
        if (used > 1 && symbols_add(symbols, address_of(image, n), name + 1, used - 1)) {
            found++;
        }
    }
    return found;
}

static const uint8_t *find_digits(const uint8_t *from, const uint8_t *end)
{
    while ((size_t)(end - from) >= sizeof digits) {
        from = memchr(from, '0', (size_t)(end - from) - sizeof digits + 1);
        if (from == NULL || memcmp(from, digits, sizeof digits) == 0) {
            return from;
        }
        from++;
    }
    return NULL;
}

static bool read_around(const struct tick86 *machine, uint64_t at, struct image *image, size_t *zero, uint8_t *buffer)
{
    uint64_t start = at > BEFORE ? (at - BEFORE) & ~UINT64_C(0xfff) : 0;

    /* What is no RAM (the hole below 1 MiB) reads as zeros. */
    for (size_t n = 0; n < BEFORE + AFTER; n += 4096) {
        if (!tick86_peek(machine, 0, SPACE_PHYSICAL, start + n, buffer + n, 4096)) {
            memset(buffer + n, 0, 4096);
        }
    }
    *image = (struct image){.bytes = buffer, .size = BEFORE + AFTER};
    *zero = (size_t)(at - start);
    return true;
}

static size_t scan_at(struct symbols *symbols, const struct tick86 *machine, uint64_t at, uint8_t *buffer)
{
    struct image image;
    size_t zero;

    if (!read_around(machine, at, &image, &zero, buffer) || !find_tokens(&image, zero)) {
        return 0;
    }
    if (!find_markers(&image, image.tokens) || !find_names(&image)) {
        return 0;
    }
    return find_offsets(&image) ? take_names(symbols, &image) : 0;
}

size_t symbols_scan_kernel(struct symbols *symbols, const struct tick86 *machine, struct error *err)
{
    uint8_t *buffer = malloc(BEFORE + AFTER), *chunk = malloc(CHUNK + sizeof digits);
    size_t found = 0;
    uint64_t at = UINT64_C(1) << 20, end = at;

    while (buffer != NULL && chunk != NULL && end < UINT64_C(1) << 36 &&
           tick86_peek(machine, 0, SPACE_PHYSICAL, end, chunk, 1)) {
        end += CHUNK;
    }
    for (; found == 0 && at < end; at += CHUNK) {
        size_t size = CHUNK + (at + CHUNK < end ? sizeof digits - 1 : 0);
        if (!tick86_peek(machine, 0, SPACE_PHYSICAL, at, chunk, size)) {
            continue;
        }
        for (const uint8_t *hit = chunk; found == 0;) {
            hit = find_digits(hit, chunk + size);
            if (hit == NULL) {
                break;
            }
            found = scan_at(symbols, machine, at + (uint64_t)(hit - chunk), buffer);
            hit++;
        }
    }
    free(buffer);
    free(chunk);
    if (found == 0 || !symbols_sort(symbols)) {
        error_set(err, "no Linux kernel with symbols is in the guest's memory");
        error_hint(err, "let it run until the kernel is unpacked, or give -symbols System.map");
        return 0;
    }
    return found;
}
