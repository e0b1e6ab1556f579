/* symbols.c - names of addresses; see symbols.h. ELF as in the System V ABI, chapters 4 and 5 (sections and symbols).
 *
 * Not implemented: DWARF, compressed sections, versions of symbols. */
#define _DEFAULT_SOURCE
#include "frontends/symbols_private.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES_MAX = 512, LINE_MAX_BYTES = 1024, FILE_MAX_MIB = 2048 };
#define NEAR_BYTES (UINT64_C(16) << 20)

struct symbol {
    uint64_t address;
    size_t name; /* offset in names */
};

struct symbols {
    struct symbol *items; /* by address once sorted */
    size_t count, capacity;
    size_t *by_name; /* indices into items */
    char *names;
    size_t names_used, names_capacity;
    bool is_sorted;
};

struct symbols *symbols_create(void) { return calloc(1, sizeof(struct symbols)); }

void symbols_destroy(struct symbols *symbols)
{
    if (symbols != NULL) {
        free(symbols->items);
        free(symbols->by_name);
        free(symbols->names);
        free(symbols);
    }
}

size_t symbols_count(const struct symbols *symbols) { return symbols != NULL ? symbols->count : 0; }

static bool grow(void **items, size_t *capacity, size_t needed, size_t size)
{
    if (needed <= *capacity) {
        return true;
    }
    size_t wanted = needed * 2 + 1024;
    void *grown = realloc(*items, wanted * size);
    if (grown == NULL) {
        return false;
    }
    *items = grown;
    *capacity = wanted;
    return true;
}

bool symbols_add(struct symbols *symbols, uint64_t address, const char *name, size_t length)
{
    void *items = symbols->items, *names = symbols->names;
    bool is_good = grow(&items, &symbols->capacity, symbols->count + 1, sizeof *symbols->items);

    symbols->items = items;
    is_good = is_good && grow(&names, &symbols->names_capacity, symbols->names_used + length + 1, 1);
    symbols->names = names;
    if (!is_good) {
        return false;
    }
    symbols->items[symbols->count++] = (struct symbol){address, symbols->names_used};
    memcpy(symbols->names + symbols->names_used, name, length);
    symbols->names[symbols->names_used + length] = '\0';
    symbols->names_used += length + 1;
    symbols->is_sorted = false;
    return true;
}

/* ---- looking up ---- */

static int compare_addresses(const void *a, const void *b)
{
    const struct symbol *left = a, *right = b;

    if (left->address != right->address) {
        return left->address < right->address ? -1 : 1;
    }
    return left->name < right->name ? -1 : left->name > right->name;
}

/* qsort has no context: names are sorted by a heap of our own. */
static bool is_before(const struct symbols *s, size_t a, size_t b)
{
    int order = strcmp(s->names + s->items[a].name, s->names + s->items[b].name);

    return order < 0 || (order == 0 && a < b);
}

static void sift(const struct symbols *s, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && is_before(s, s->by_name[child], s->by_name[child + 1])) {
            child++;
        }
        if (!is_before(s, s->by_name[at], s->by_name[child])) {
            return;
        }
        size_t kept = s->by_name[at];
        s->by_name[at] = s->by_name[child];
        s->by_name[child] = kept;
    }
}

bool symbols_sort(struct symbols *symbols)
{
    free(symbols->by_name);
    symbols->by_name = malloc((symbols->count + 1) * sizeof *symbols->by_name);
    if (symbols->by_name == NULL) {
        return false;
    }
    qsort(symbols->items, symbols->count, sizeof *symbols->items, compare_addresses);
    for (size_t n = 0; n < symbols->count; n++) {
        symbols->by_name[n] = n;
    }
    for (size_t n = symbols->count / 2; n-- > 0;) {
        sift(symbols, n, symbols->count);
    }
    for (size_t n = symbols->count; n-- > 1;) {
        size_t kept = symbols->by_name[0];
        symbols->by_name[0] = symbols->by_name[n];
        symbols->by_name[n] = kept;
        sift(symbols, 0, n);
    }
    symbols->is_sorted = true;
    return true;
}

bool symbols_find(const struct symbols *symbols, const char *name, uint64_t *address)
{
    size_t low = 0, high = symbols != NULL && symbols->is_sorted ? symbols->count : 0, end = high;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(symbols->names + symbols->items[symbols->by_name[middle]].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == end || strcmp(symbols->names + symbols->items[symbols->by_name[low]].name, name) != 0) {
        return false;
    }
    *address = symbols->items[symbols->by_name[low]].address;
    return true;
}

const char *symbols_name(const struct symbols *symbols, uint64_t address, uint64_t *offset)
{
    size_t low = 0, high = symbols != NULL && symbols->is_sorted ? symbols->count : 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (symbols->items[middle].address <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0 || address - symbols->items[low - 1].address > NEAR_BYTES) {
        return NULL;
    }
    *offset = address - symbols->items[low - 1].address;
    return symbols->names + symbols->items[low - 1].name;
}

const char *symbols_text(const struct symbols *symbols, uint64_t address, char *text, size_t size)
{
    uint64_t offset;
    const char *name = symbols_name(symbols, address, &offset);

    if (name == NULL) {
        text[0] = '\0';
    } else if (offset == 0) {
        snprintf(text, size, "%s", name);
    } else {
        snprintf(text, size, "%s+0x%" PRIx64, name, offset);
    }
    return text;
}

/* ---- ELF ---- */

struct elf {
    const uint8_t *bytes;
    size_t size;
    bool is_64, is_big;
};

static uint64_t field(const struct elf *elf, uint64_t at, unsigned size)
{
    uint64_t value = 0;

    if (at > elf->size || elf->size - at < size) {
        return 0;
    }
    for (unsigned n = 0; n < size; n++) {
        value |= (uint64_t)elf->bytes[at + (elf->is_big ? size - 1 - n : n)] << (8 * n);
    }
    return value;
}

/* Fields of a section header by their offsets in the 32- and 64-bit forms. */
static uint64_t section_word(const struct elf *elf, uint64_t header, unsigned at32, unsigned at64)
{
    return field(elf, header + (elf->is_64 ? at64 : at32), elf->is_64 ? 8 : 4);
}

static size_t load_table(struct symbols *symbols, const struct elf *elf, uint64_t table, uint64_t strings, uint64_t base)
{
    uint64_t offset = section_word(elf, table, 16, 24), size = section_word(elf, table, 20, 32);
    uint64_t names = section_word(elf, strings, 16, 24), names_size = section_word(elf, strings, 20, 32);
    unsigned entry = elf->is_64 ? 24 : 16;
    size_t count = 0;

    if (names > elf->size || names_size > elf->size - names || offset > elf->size || size > elf->size - offset) {
        return 0;
    }
    for (uint64_t at = offset; at + entry <= offset + size; at += entry) {
        uint64_t name = field(elf, at, 4);
        uint64_t value = field(elf, at + (elf->is_64 ? 8 : 4), elf->is_64 ? 8 : 4);
        unsigned type = (unsigned)field(elf, at + (elf->is_64 ? 4 : 12), 1) & 15;
        uint64_t section = field(elf, at + (elf->is_64 ? 6 : 14), 2);
        if (name == 0 || name >= names_size || type > 2 || section == 0) { /* untyped, objects, functions; defined */
            continue;
        }
        const char *text = (const char *)elf->bytes + names + name;
        size_t length = strnlen(text, (size_t)(names_size - name));
        if (length == 0 || length > NAME_BYTES_MAX || text[0] == '$' || !symbols_add(symbols, value + base, text, length)) {
            continue;
        }
        count++;
    }
    return count;
}

static size_t load_elf(struct symbols *symbols, const uint8_t *bytes, size_t size, uint64_t base)
{
    struct elf elf = {bytes, size, size > 4 && bytes[4] == 2, size > 5 && bytes[5] == 2};
    uint64_t sections = field(&elf, elf.is_64 ? 40 : 32, elf.is_64 ? 8 : 4);
    unsigned entry = (unsigned)field(&elf, elf.is_64 ? 58 : 46, 2), count = (unsigned)field(&elf, elf.is_64 ? 60 : 48, 2);
    size_t found = 0;

    /* The whole table when there is one, else that of dynamic linking. */
    for (unsigned wanted = 2; found == 0 && wanted <= 11; wanted += 9) {
        for (unsigned n = 0; n < count; n++) {
            uint64_t header = sections + (uint64_t)n * entry;
            uint64_t link = field(&elf, header + (elf.is_64 ? 40 : 24), 4);
            if (field(&elf, header + 4, 4) == wanted && link < count) {
                found += load_table(symbols, &elf, header, sections + link * entry, base);
            }
        }
    }
    return found;
}

/* ---- lists: "ffffffff81000000 T _text[\t[module]]" ---- */

static size_t load_list(struct symbols *symbols, const char *text, size_t size, uint64_t base)
{
    size_t found = 0;

    for (const char *line = text, *end = text + size; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((next != NULL ? next : end) - line);
        char copy[LINE_MAX_BYTES], *at;
        snprintf(copy, sizeof copy, "%.*s", (int)(length < sizeof copy ? length : sizeof copy - 1), line);
        uint64_t address = strtoull(copy, &at, 16);
        if (at != copy && at[0] == ' ' && isalpha((unsigned char)at[1]) && at[2] == ' ' && at[3] != '\0') {
            size_t name = strcspn(at + 3, " \t\r");
            found += name != 0 && symbols_add(symbols, address + base, at + 3, name);
        }
        line = next != NULL ? next + 1 : end;
    }
    return found;
}

/* ---- files ---- */

static uint8_t *read_file(const char *path, size_t *size, struct error *err)
{
    FILE *file = fopen(path, "rb");
    long length = -1;
    uint8_t *bytes = NULL;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (length = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) != 0) {
        error_set(err, "cannot read symbols from '%s': %s", path, strerror(errno));
    } else if (length > FILE_MAX_MIB * 1048576L) {
        error_set(err, "'%s' is too large for a file of symbols", path);
    } else {
        bytes = malloc((size_t)length + 1);
        *size = bytes != NULL ? fread(bytes, 1, (size_t)length, file) : 0;
        if (bytes == NULL || *size != (size_t)length) {
            error_set(err, "cannot read symbols from '%s'", path);
            free(bytes);
            bytes = NULL;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

size_t symbols_load(struct symbols *symbols, const char *spec, struct error *err)
{
    char path[LINE_MAX_BYTES];
    uint64_t base = 0;
    size_t size = 0, found;
    const char *at = strrchr(spec, '@');

    snprintf(path, sizeof path, "%s", spec);
    if (at != NULL) {
        char *end;
        errno = 0;
        base = strtoull(at + 1, &end, 0);
        if (end == at + 1 || *end != '\0' || errno != 0) {
            error_set(err, "-symbols %s: '%s' is not an address", spec, at + 1);
            return error_hint(err, "write FILE@0x1000000");
        }
        path[at - spec] = '\0';
    }
    uint8_t *bytes = read_file(path, &size, err);
    if (bytes == NULL) {
        return 0;
    }
    if (size > 16 && memcmp(bytes, "\177ELF", 4) == 0) {
        found = load_elf(symbols, bytes, size, base);
    } else {
        found = load_list(symbols, (const char *)bytes, size, base);
    }
    free(bytes);
    if (found == 0) {
        error_set(err, "'%s' has no symbols", path);
        error_hint(err, "give an ELF file that is not stripped, or a list such as System.map");
    } else if (!symbols_sort(symbols)) {
        error_set(err, "out of memory for the symbols of '%s'", path);
        found = 0;
    }
    return found;
}

/* ---- writing ---- */

struct writer {
    FILE *file;
    bool is_64;
};

static void write_le(const struct writer *w, uint64_t value, unsigned size)
{
    for (unsigned n = 0; n < size; n++) {
        putc((int)(value >> (8 * n) & 0xff), w->file);
    }
}

static void write_word(const struct writer *w, uint64_t value) { write_le(w, value, w->is_64 ? 8 : 4); }

static void write_section(const struct writer *w, unsigned name, unsigned type, uint64_t address, uint64_t offset, uint64_t size,
                          unsigned link, unsigned info, unsigned entry)
{
    write_le(w, name, 4);
    write_le(w, type, 4);
    write_word(w, type == 8 ? 6 : 0); /* NOBITS: .text, alloc and exec */
    write_word(w, address);
    write_word(w, offset);
    write_word(w, size);
    write_le(w, link, 4);
    write_le(w, info, 4);
    write_word(w, 8);
    write_word(w, entry);
}

bool symbols_write_elf(const struct symbols *symbols, const char *path, bool is_64, struct error *err)
{
    static const char section_names[] = "\0.text\0.symtab\0.strtab\0.shstrtab";
    struct writer w = {fopen(path, "wb"), is_64};
    unsigned header = is_64 ? 64 : 52, section = is_64 ? 64 : 40, entry = is_64 ? 24 : 16;
    uint64_t symbol_bytes = (symbols->count + 1) * (uint64_t)entry, strings = 1 + symbols->names_used;
    uint64_t symbols_at = header, strings_at = symbols_at + symbol_bytes, names_at = strings_at + strings;
    uint64_t sections_at = (names_at + sizeof section_names + 7) & ~UINT64_C(7);
    uint64_t first = symbols->count != 0 ? symbols->items[0].address : 0;
    uint64_t last = symbols->count != 0 ? symbols->items[symbols->count - 1].address : 0;

    if (w.file == NULL) {
        return error_set(err, "cannot write '%s': %s", path, strerror(errno));
    }
    fwrite("\177ELF", 1, 4, w.file);
    write_le(&w, is_64 ? 0x010102 : 0x010101, 4);
    write_le(&w, 0, 8);
    write_le(&w, 2, 2); /* ET_EXEC */
    write_le(&w, is_64 ? 62 : 3, 2);
    write_le(&w, 1, 4);
    write_word(&w, 0);
    write_word(&w, 0);
    write_word(&w, sections_at);
    write_le(&w, 0, 4);
    write_le(&w, header, 2);
    write_le(&w, 0, 4);
    write_le(&w, section, 2);
    write_le(&w, 5, 2);
    write_le(&w, 4, 2);
    for (unsigned n = 0; n < entry; n++) {
        putc(0, w.file);
    }
    for (size_t n = 0; n < symbols->count; n++) {
        write_le(&w, 1 + symbols->items[n].name, 4);
        if (is_64) {
            write_le(&w, 0x12, 1); /* global, function */
            write_le(&w, 0, 1);
            write_le(&w, 1, 2);
            write_le(&w, symbols->items[n].address, 8);
            write_le(&w, 0, 8);
        } else {
            write_le(&w, symbols->items[n].address, 4);
            write_le(&w, 0, 4);
            write_le(&w, 0x12, 1);
            write_le(&w, 0, 1);
            write_le(&w, 1, 2);
        }
    }
    putc(0, w.file);
    fwrite(symbols->names, 1, symbols->names_used, w.file);
    fwrite(section_names, 1, sizeof section_names, w.file);
    for (uint64_t at = names_at + sizeof section_names; at < sections_at; at++) {
        putc(0, w.file);
    }
    write_section(&w, 0, 0, 0, 0, 0, 0, 0, 0);
    write_section(&w, 1, 8, first, symbols_at, last - first + 1, 0, 0, 0);
    write_section(&w, 7, 2, 0, symbols_at, symbol_bytes, 3, 1, entry);
    write_section(&w, 15, 3, 0, strings_at, strings, 0, 0, 0);
    write_section(&w, 23, 3, 0, names_at, sizeof section_names, 0, 0, 0);
    bool is_good = ferror(w.file) == 0;
    return (fclose(w.file) == 0 && is_good) || error_set(err, "cannot write '%s' whole: %s", path, strerror(errno));
}
