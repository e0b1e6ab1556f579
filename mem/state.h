/* state.h - how the state of a chip or a processor is described once.
 *
 * Every struct that lives in a machine has one const table of field rows which tile it: each byte is state (saved,
 * hashed, shown), wired (pointers that the board sets), derived (recomputed after a load) or padding. Snapshot, load,
 * replay hash, monitor and lockstep comparison all read that one table; tests/unit/test_state.c checks every class. */
#ifndef MEM_STATE_H
#define MEM_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_kind {
    FIELD_KIND_UINT,    /* one or more unsigned or signed integers, or bools, of elem_size bytes each */
    FIELD_KIND_STRUCT,  /* one or more structs described by `sub`, elem_size bytes each */
    FIELD_KIND_WIRED,   /* set when the board is built; never saved */
    FIELD_KIND_DERIVED, /* recomputed by the class's `loaded` function; never saved */
    FIELD_KIND_PAD      /* explicit padding; always zero */
};

struct field {
    const char *name;
    const char *doc; /* one line for `info`, or NULL */
    size_t offset;
    size_t size;      /* bytes in all */
    size_t elem_size; /* bytes of one element; 0 for wired, derived and padding */
    enum field_kind kind;
    const struct field *sub;
};

/* Size of one element of a scalar or of a one-dimensional array: arrays decay to pointers here. */
#define FIELD_ELEM_SIZE(lvalue)                                                                                        \
    _Generic((lvalue), bool : 1, uint8_t : 1, int8_t : 1, uint16_t : 2, int16_t : 2, uint32_t : 4, int32_t : 4,        \
             uint64_t : 8, int64_t : 8, bool * : 1, uint8_t * : 1, int8_t * : 1, uint16_t * : 2, int16_t * : 2,        \
             uint32_t * : 4, int32_t * : 4, uint64_t * : 8, int64_t * : 8)

#define FIELD_ROW(S, member, doc, elem, kind, sub)                                                                     \
    { #member, doc, offsetof(S, member), sizeof(((S *)0)->member), elem, kind, sub }

#define FIELD(S, member, doc) FIELD_ROW(S, member, doc, FIELD_ELEM_SIZE(((S *)0)->member), FIELD_KIND_UINT, NULL)
#define FIELD_STRUCT(S, member, elem_type, table, doc)                                                                 \
    FIELD_ROW(S, member, doc, sizeof(elem_type), FIELD_KIND_STRUCT, table)
#define WIRED(S, member, doc) FIELD_ROW(S, member, doc, 0, FIELD_KIND_WIRED, NULL)
#define DERIVED(S, member, doc) FIELD_ROW(S, member, doc, 0, FIELD_KIND_DERIVED, NULL)
#define PAD(S, member) FIELD_ROW(S, member, NULL, 0, FIELD_KIND_PAD, NULL)
#define FIELD_END { NULL, NULL, 0, 0, 0, FIELD_KIND_PAD, NULL }

/* Tells whether the rows of `fields` tile `size` bytes without gap or overlap. On false, `*where` is the first byte
 * that no row or more than one row accounts for. Compiler padding counts as a gap: give it a PAD row. */
bool state_tiles(const struct field *fields, size_t size, size_t *where);

/* Number of elements in the row (1 for a scalar). */
size_t field_count(const struct field *field);

/* Reads element `index` of a FIELD_KIND_UINT row from the object at `base`, zero-extended. */
uint64_t field_get(const struct field *field, const void *base, size_t index);

/* Writes element `index` of a FIELD_KIND_UINT row; high bits that do not fit are dropped. */
void field_set(const struct field *field, void *base, size_t index, uint64_t value);

/* 64-bit hash (FNV-1a over little-endian field contents, names left out) of every state row, chained from `seed`. It is
 * the same on every host. */
uint64_t state_hash(const struct field *fields, const void *base, uint64_t seed);

/* Hash of `size` bytes chained from `seed`; processes eight bytes a step, little-endian on every host. */
uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t size);
#define HASH_SEED UINT64_C(0xcbf29ce484222325)

/* First state row in which the two objects differ, or NULL. `*index` is the element. Nested tables are entered;
 * `path` (may be NULL) receives "outer.inner". */
const struct field *state_differ(const struct field *fields, const void *a, const void *b, size_t *index, char *path,
                                 size_t path_size);

/* Copies every state row of `from` to `to`, which keeps its other rows; both are of the same program. */
void state_copy(const struct field *fields, void *to, const void *from);

/* Calls `visit` for every row of integers, those of nested tables too, with its path ("channels[1].status"). `base` is the
 * object that the row lies in. */
typedef void state_visit_fn(void *context, const char *path, const struct field *field, const void *base);
void state_visit(const struct field *fields, const void *base, state_visit_fn *visit, void *context);

/* A growing byte buffer for saved state. `failed` is set once memory ran out or a read went past the end. */
struct state_stream {
    uint8_t *bytes;
    size_t size, capacity, position;
    bool failed;
};
void state_stream_free(struct state_stream *stream);
void state_stream_put(struct state_stream *stream, const void *bytes, size_t size);
/* An unsigned number of `size` bytes (1 to 8), little-endian. */
void state_stream_put_number(struct state_stream *stream, uint64_t value, size_t size);
uint64_t state_stream_take_number(struct state_stream *stream, size_t size);
/* The next `size` bytes, or NULL with `failed` set. */
const uint8_t *state_stream_take(struct state_stream *stream, size_t size);

/* Appends every state row as (name length, name, kind, element size, count, little-endian elements). */
void state_save(struct state_stream *stream, const struct field *fields, const void *base);

struct error;
/* Reads what state_save wrote into `base`. Rows missing from the stream keep the value they have (the reset value);
 * an unknown or misshapen row is an error that names it. Returns false with `err` set. */
bool state_load(struct state_stream *stream, const struct field *fields, void *base, struct error *err);

#endif
