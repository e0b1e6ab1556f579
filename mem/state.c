/* state.c - state rows: check, save, load, hash and compare; see state.h.
 *
 * The saved form of a table is its rows one after another, ended by a name length of 0:
 *
 *   u8 name length | name | u8 kind | u32 element size | u32 count | contents
 *
 * Contents are little-endian elements, or for a struct row one saved table per element. The element size of a struct
 * row is written as 0, because it depends on the host's pointers. */
#include "mem/state.h"

#include "mem/error.h"
#include "mem/space.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FNV_PRIME UINT64_C(0x100000001b3)

static bool is_state(const struct field *field)
{
    return field->kind == FIELD_KIND_UINT || field->kind == FIELD_KIND_STRUCT;
}

/* Whether the row is well formed by itself; nested tables are checked as well. */
static bool row_is_sound(const struct field *field, size_t *where)
{
    *where = field->offset;
    if (!is_state(field)) {
        return true;
    }
    if (field->elem_size == 0 || field->size % field->elem_size != 0) {
        return false;
    }
    if (field->kind == FIELD_KIND_UINT) {
        return field->elem_size == 1 || field->elem_size == 2 || field->elem_size == 4 || field->elem_size == 8;
    }
    size_t inner;
    if (field->sub == NULL || !state_tiles(field->sub, field->elem_size, &inner)) {
        *where += field->sub != NULL ? inner : 0;
        return false;
    }
    return true;
}

bool state_tiles(const struct field *fields, size_t size, size_t *where)
{
    size_t next = 0;

    for (const struct field *f = fields; f->name != NULL; f++) {
        if (!row_is_sound(f, where)) {
            return false;
        }
    }
    /* Rows may come in any order: find the row that starts at each byte that is still open. */
    while (next < size) {
        const struct field *row = NULL;
        for (const struct field *f = fields; f->name != NULL; f++) {
            if (f->offset == next && f->size != 0) {
                if (row != NULL) {
                    *where = next;
                    return false;
                }
                row = f;
            }
        }
        if (row == NULL) {
            *where = next;
            return false;
        }
        next += row->size;
    }
    *where = size;
    if (next != size) {
        return false;
    }
    /* Every byte is covered by a chain of rows; a row outside the chain overlaps it. */
    size_t sum = 0;
    for (const struct field *f = fields; f->name != NULL; f++) {
        sum += f->size;
        if (sum > size) {
            *where = f->offset;
            return false;
        }
    }
    return true;
}

size_t field_count(const struct field *field)
{
    return field->elem_size != 0 ? field->size / field->elem_size : 1;
}

static const uint8_t *element_at(const struct field *field, const void *base, size_t index)
{
    return (const uint8_t *)base + field->offset + index * field->elem_size;
}

uint64_t field_get(const struct field *field, const void *base, size_t index)
{
    const uint8_t *at = element_at(field, base, index);
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;

    switch (field->elem_size) {
    case 1: return *at;
    case 2: memcpy(&u16, at, 2); return u16;
    case 4: memcpy(&u32, at, 4); return u32;
    case 8: memcpy(&u64, at, 8); return u64;
    default: bug(__FILE__, __LINE__, "field of no integer size");
    }
}

void field_set(const struct field *field, void *base, size_t index, uint64_t value)
{
    uint8_t *at = (uint8_t *)base + field->offset + index * field->elem_size;
    uint16_t u16 = (uint16_t)value;
    uint32_t u32 = (uint32_t)value;

    switch (field->elem_size) {
    case 1: *at = (uint8_t)value; break;
    case 2: memcpy(at, &u16, 2); break;
    case 4: memcpy(at, &u32, 4); break;
    case 8: memcpy(at, &value, 8); break;
    default: bug(__FILE__, __LINE__, "field of no integer size");
    }
}

uint64_t state_hash(const struct field *fields, const void *base, uint64_t seed)
{
    uint64_t hash = seed;

    for (const struct field *f = fields; f->name != NULL; f++) {
        size_t count = field_count(f);
        for (size_t i = 0; is_state(f) && i < count; i++) {
            if (f->kind == FIELD_KIND_STRUCT) {
                hash = state_hash(f->sub, element_at(f, base, i), hash);
                continue;
            }
            uint64_t value = field_get(f, base, i);
            for (size_t byte = 0; byte < f->elem_size; byte++) {
                hash = (hash ^ (value >> 8 * byte & 0xff)) * FNV_PRIME;
            }
        }
    }
    return hash;
}

static uint64_t hash_word(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
    return hash ^ hash >> 32;
}

uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t hash = seed;
    size_t left = size;

    for (; left >= 8; left -= 8, at += 8) {
        hash = hash_word(hash, load_le64(at));
    }
    uint64_t tail = 0;
    for (size_t i = 0; i < left; i++) {
        tail |= (uint64_t)at[i] << 8 * i;
    }
    /* The size tells "ab" from "ab\0"; the tail has at most seven bytes, so it fits beside its length. */
    hash = hash_word(hash, tail | (uint64_t)left << 56);
    return hash_word(hash, (uint64_t)size);
}

static void path_prepend(const struct field *field, size_t index, char *path, size_t path_size)
{
    char inner[256];

    if (path == NULL || path_size == 0) {
        return;
    }
    snprintf(inner, sizeof inner, "%s", path);
    if (field_count(field) > 1) {
        snprintf(path, path_size, "%s[%zu].%s", field->name, index, inner);
    } else {
        snprintf(path, path_size, "%s.%s", field->name, inner);
    }
}

const struct field *state_differ(const struct field *fields, const void *a, const void *b, size_t *index, char *path,
                                 size_t path_size)
{
    for (const struct field *f = fields; f->name != NULL; f++) {
        size_t count = field_count(f);
        for (size_t i = 0; is_state(f) && i < count; i++) {
            if (f->kind == FIELD_KIND_STRUCT) {
                const struct field *inner =
                    state_differ(f->sub, element_at(f, a, i), element_at(f, b, i), index, path, path_size);
                if (inner != NULL) {
                    path_prepend(f, i, path, path_size);
                    return inner;
                }
            } else if (field_get(f, a, i) != field_get(f, b, i)) {
                *index = i;
                if (path != NULL && path_size != 0) {
                    snprintf(path, path_size, "%s", f->name);
                }
                return f;
            }
        }
    }
    return NULL;
}

void state_copy(const struct field *fields, void *to, const void *from)
{
    for (const struct field *f = fields; f->name != NULL; f++) {
        uint8_t *target = (uint8_t *)to + f->offset;
        const uint8_t *source = (const uint8_t *)from + f->offset;
        if (f->kind == FIELD_KIND_UINT) {
            memcpy(target, source, f->size);
        }
        for (size_t at = 0; f->kind == FIELD_KIND_STRUCT && at < f->size; at += f->elem_size) {
            state_copy(f->sub, target + at, source + at);
        }
    }
}

static void visit_rows(const struct field *fields, const void *base, const char *prefix, state_visit_fn *visit,
                       void *context)
{
    char path[256];

    for (const struct field *f = fields; f->name != NULL; f++) {
        size_t count = field_count(f);
        if (f->kind == FIELD_KIND_UINT) {
            snprintf(path, sizeof path, "%s%s", prefix, f->name);
            visit(context, path, f, base);
        }
        for (size_t i = 0; f->kind == FIELD_KIND_STRUCT && i < count; i++) {
            if (count > 1) {
                snprintf(path, sizeof path, "%s%s[%zu].", prefix, f->name, i);
            } else {
                snprintf(path, sizeof path, "%s%s.", prefix, f->name);
            }
            visit_rows(f->sub, element_at(f, base, i), path, visit, context);
        }
    }
}

void state_visit(const struct field *fields, const void *base, state_visit_fn *visit, void *context)
{
    visit_rows(fields, base, "", visit, context);
}

void state_stream_free(struct state_stream *stream)
{
    free(stream->bytes);
    memset(stream, 0, sizeof *stream);
}

void state_stream_put(struct state_stream *stream, const void *bytes, size_t size)
{
    if (stream->failed || size == 0) {
        return;
    }
    if (size > SIZE_MAX / 4 - stream->size) {
        stream->failed = true;
        return;
    }
    if (stream->size + size > stream->capacity) {
        size_t capacity = stream->capacity != 0 ? stream->capacity : 1024;
        while (capacity < stream->size + size) {
            capacity *= 2;
        }
        uint8_t *grown = realloc(stream->bytes, capacity);
        if (grown == NULL) {
            stream->failed = true;
            return;
        }
        stream->bytes = grown;
        stream->capacity = capacity;
    }
    memcpy(stream->bytes + stream->size, bytes, size);
    stream->size += size;
}

void state_stream_put_number(struct state_stream *stream, uint64_t value, size_t size)
{
    uint8_t bytes[8];

    store_le64(bytes, value);
    state_stream_put(stream, bytes, size);
}

const uint8_t *state_stream_take(struct state_stream *stream, size_t size)
{
    if (stream->failed || size > stream->size - stream->position) {
        stream->failed = true;
        return NULL;
    }
    const uint8_t *at = stream->bytes + stream->position;
    stream->position += size;
    return at;
}

uint64_t state_stream_take_number(struct state_stream *stream, size_t size)
{
    const uint8_t *at = state_stream_take(stream, size);
    uint64_t value = 0;

    for (size_t i = 0; at != NULL && i < size; i++) {
        value |= (uint64_t)at[i] << 8 * i;
    }
    return value;
}

void state_save(struct state_stream *stream, const struct field *fields, const void *base)
{
    for (const struct field *f = fields; f->name != NULL; f++) {
        if (!is_state(f)) {
            continue;
        }
        size_t name_size = strlen(f->name);
        size_t count = field_count(f);
        BUG_ON(name_size == 0 || name_size > 255 || count > UINT32_MAX);
        state_stream_put_number(stream, name_size, 1);
        state_stream_put(stream, f->name, name_size);
        state_stream_put_number(stream, f->kind, 1);
        state_stream_put_number(stream, f->kind == FIELD_KIND_UINT ? f->elem_size : 0, 4);
        state_stream_put_number(stream, count, 4);
        if (f->kind == FIELD_KIND_UINT && f->elem_size == 1) {
            state_stream_put(stream, element_at(f, base, 0), count);
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            if (f->kind == FIELD_KIND_STRUCT) {
                state_save(stream, f->sub, element_at(f, base, i));
            } else {
                state_stream_put_number(stream, field_get(f, base, i), f->elem_size);
            }
        }
    }
    state_stream_put_number(stream, 0, 1);
}

static const struct field *find_row(const struct field *fields, const char *name)
{
    for (const struct field *f = fields; f->name != NULL; f++) {
        if (is_state(f) && strcmp(f->name, name) == 0) {
            return f;
        }
    }
    return NULL;
}

static bool load_contents(struct state_stream *stream, const struct field *f, void *base, struct error *err)
{
    size_t count = field_count(f);

    if (f->kind == FIELD_KIND_UINT && f->elem_size == 1) {
        const uint8_t *bytes = state_stream_take(stream, count);
        if (bytes != NULL) {
            memcpy((uint8_t *)base + f->offset, bytes, count);
        }
        return true;
    }
    for (size_t i = 0; i < count && !stream->failed; i++) {
        if (f->kind == FIELD_KIND_UINT) {
            uint64_t value = state_stream_take_number(stream, f->elem_size);
            if (!stream->failed) {
                field_set(f, base, i, value);
            }
        } else if (!state_load(stream, f->sub, (uint8_t *)base + f->offset + i * f->elem_size, err)) {
            return false;
        }
    }
    return true;
}

bool state_load(struct state_stream *stream, const struct field *fields, void *base, struct error *err)
{
    char name[256];

    for (;;) {
        size_t name_size = (size_t)state_stream_take_number(stream, 1);
        if (name_size == 0 && !stream->failed) {
            return true;
        }
        const uint8_t *name_bytes = state_stream_take(stream, name_size);
        if (name_bytes == NULL) {
            return error_set(err, "saved state ends too early");
        }
        memcpy(name, name_bytes, name_size);
        name[name_size] = '\0';
        uint64_t kind = state_stream_take_number(stream, 1);
        uint64_t elem_size = state_stream_take_number(stream, 4);
        uint64_t count = state_stream_take_number(stream, 4);
        const struct field *f = find_row(fields, name);
        if (f == NULL) {
            return error_set(err, "saved state has a field '%s' that is not known", name);
        }
        if (kind != (uint64_t)f->kind || count != field_count(f) ||
            elem_size != (f->kind == FIELD_KIND_UINT ? f->elem_size : 0)) {
            return error_set(err, "saved field '%s' has another shape (kind %u, %u elements of %u bytes)", name,
                             (unsigned)kind, (unsigned)count, (unsigned)elem_size);
        }
        if (!load_contents(stream, f, base, err)) {
            return false;
        }
        if (stream->failed) {
            return error_set(err, "saved state ends too early, in field '%s'", name);
        }
    }
}
