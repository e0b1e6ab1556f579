/* test_state.c - state rows: tiling, save and load, hashes, comparison. */
#include "mem/state.h"

#include "mem/clock.h"
#include "mem/error.h"
#include "mem/space.h"
#include "tests/support/check_class.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct inner {
    uint16_t low;
    uint8_t pad_[2];
    uint32_t high;
};
struct outer {
    void *wire;
    uint64_t wide;
    struct inner pair[2];
    int32_t negative;
    uint16_t words[3];
    bool flag;
    uint8_t pad_[1];
    uint32_t cache;
    uint8_t tail[8];
};

static const struct field inner_fields[] = {
    FIELD(struct inner, low, NULL),
    PAD(struct inner, pad_),
    FIELD(struct inner, high, NULL),
    FIELD_END,
};
static const struct field outer_fields[] = {
    WIRED(struct outer, wire, NULL),
    FIELD(struct outer, wide, NULL),
    FIELD_STRUCT(struct outer, pair, struct inner, inner_fields, NULL),
    FIELD(struct outer, negative, NULL),
    FIELD(struct outer, words, NULL),
    FIELD(struct outer, flag, NULL),
    PAD(struct outer, pad_),
    DERIVED(struct outer, cache, NULL),
    FIELD(struct outer, tail, NULL),
    FIELD_END,
};

static const struct outer example = {
    .wide = UINT64_C(0x1122334455667788),
    .pair = { { 1, { 0 }, 2 }, { 3, { 0 }, 4 } },
    .negative = -5,
    .words = { 6, 7, 0xfff8 },
    .flag = true,
    .cache = 9,
    .tail = { 10, 11, 12, 13 },
};

START_TEST(complete_tables_tile)
{
    size_t where = 0;

    ck_assert(state_tiles(outer_fields, sizeof(struct outer), &where));
    ck_assert(state_tiles(event_fields, sizeof(struct event), &where));
    ck_assert(state_tiles(clock_fields, sizeof(struct clock), &where));
    ck_assert(state_tiles(pci_function_fields, sizeof(struct pci_function), &where));
}
END_TEST

START_TEST(gaps_and_overlaps_are_found)
{
    static const struct field gap[] = {
        FIELD(struct inner, low, NULL),
        FIELD(struct inner, high, NULL),
        FIELD_END,
    };
    static const struct field twice[] = {
        FIELD(struct inner, low, NULL),
        PAD(struct inner, pad_),
        FIELD(struct inner, high, NULL),
        FIELD(struct inner, low, NULL),
        FIELD_END,
    };
    static const struct field inside[] = {
        { "all", NULL, 0, 8, 8, FIELD_KIND_UINT, NULL },
        FIELD(struct inner, high, NULL),
        FIELD_END,
    };
    static const struct field nested[] = {
        { "inner", NULL, 0, sizeof(struct inner), sizeof(struct inner), FIELD_KIND_STRUCT, gap },
        FIELD_END,
    };
    size_t where = 0;

    ck_assert(!state_tiles(gap, sizeof(struct inner), &where));
    ck_assert_uint_eq(where, 2);
    ck_assert(!state_tiles(twice, sizeof(struct inner), &where));
    ck_assert_uint_eq(where, 0);
    ck_assert(!state_tiles(inside, sizeof(struct inner), &where));
    ck_assert_uint_eq(where, 4);
    ck_assert(!state_tiles(nested, sizeof(struct inner), &where));
    ck_assert_uint_eq(where, 2);
    ck_assert(!state_tiles(outer_fields, sizeof(struct outer) + 8, &where));
}
END_TEST

START_TEST(loading_restores_what_was_saved)
{
    struct state_stream stream = { 0 };
    struct error err;
    struct outer copy;
    size_t index = 0;
    char path[64];

    memset(&copy, 0, sizeof copy);
    state_save(&stream, outer_fields, &example);
    ck_assert(!stream.failed);
    ck_assert(state_load(&stream, outer_fields, &copy, &err));
    ck_assert_uint_eq(stream.position, stream.size);
    ck_assert_ptr_null(state_differ(outer_fields, &example, &copy, &index, path, sizeof path));
    ck_assert_int_eq(copy.negative, -5);
    ck_assert_uint_eq(copy.cache, 0); /* derived: not saved */
    state_stream_free(&stream);
}
END_TEST

/* The saved bytes are little-endian and free of host sizes, so that they load anywhere. */
START_TEST(saved_bytes_are_portable)
{
    static const uint8_t expected[] = {
        3, 'l', 'o', 'w', FIELD_KIND_UINT, 2, 0, 0, 0, 1, 0, 0, 0, 0x34, 0x12,
        4, 'h', 'i', 'g', 'h', FIELD_KIND_UINT, 4, 0, 0, 0, 1, 0, 0, 0, 0xef, 0xbe, 0xad, 0xde,
        0,
    };
    struct inner object = { 0x1234, { 0 }, 0xdeadbeef };
    struct state_stream stream = { 0 };

    state_save(&stream, inner_fields, &object);
    ck_assert_uint_eq(stream.size, sizeof expected);
    ck_assert_mem_eq(stream.bytes, expected, sizeof expected);
    /* FNV-1a of 34 12 ef be ad de. */
    ck_assert_uint_eq(state_hash(inner_fields, &object, HASH_SEED), UINT64_C(0x6bc71e9141f993c5));
    state_stream_free(&stream);
}
END_TEST

START_TEST(missing_rows_keep_their_value)
{
    struct inner object = { 1, { 0 }, 2 };
    struct state_stream stream = { 0 };
    struct error err;

    state_save(&stream, &inner_fields[2], &object); /* only "high" */
    object = (struct inner){ 77, { 0 }, 0 };
    ck_assert(state_load(&stream, inner_fields, &object, &err));
    ck_assert_uint_eq(object.low, 77);
    ck_assert_uint_eq(object.high, 2);
    state_stream_free(&stream);
}
END_TEST

START_TEST(unknown_and_misshapen_rows_are_named)
{
    static const struct field narrow[] = {
        { "high", NULL, 0, 2, 2, FIELD_KIND_UINT, NULL },
        FIELD_END,
    };
    struct inner object = { 1, { 0 }, 2 };
    struct state_stream stream = { 0 };
    struct error err;

    state_save(&stream, inner_fields, &object);
    ck_assert(!state_load(&stream, narrow, &object, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "'low'"));
    state_stream_free(&stream);
    state_save(&stream, narrow, &object);
    ck_assert(!state_load(&stream, inner_fields, &object, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "'high'"));
    state_stream_free(&stream);
}
END_TEST

/* A file that was cut off anywhere is an error and never a read past its end (run under ASan). */
START_TEST(truncated_streams_fail)
{
    struct state_stream stream = { 0 };
    struct error err;

    state_save(&stream, outer_fields, &example);
    for (size_t size = 0; size < stream.size; size++) {
        struct state_stream cut = { malloc(size + 1), size, size + 1, 0, false };
        struct outer object;
        ck_assert_ptr_nonnull(cut.bytes);
        memcpy(cut.bytes, stream.bytes, size);
        memset(&object, 0, sizeof object);
        ck_assert(!state_load(&cut, outer_fields, &object, &err));
        state_stream_free(&cut);
    }
    state_stream_free(&stream);
}
END_TEST

START_TEST(differences_are_named)
{
    struct outer other = example;
    size_t index = 0;
    char path[64];

    other.cache = 1;
    ck_assert_ptr_null(state_differ(outer_fields, &example, &other, &index, path, sizeof path));
    other.words[2] = 0;
    ck_assert_str_eq(state_differ(outer_fields, &example, &other, &index, path, sizeof path)->name, "words");
    ck_assert_uint_eq(index, 2);
    ck_assert_str_eq(path, "words");
    other.pair[1].high = 0;
    ck_assert_ptr_nonnull(state_differ(outer_fields, &example, &other, &index, path, sizeof path));
    ck_assert_str_eq(path, "pair[1].high");
    ck_assert_uint_ne(state_hash(outer_fields, &example, HASH_SEED), state_hash(outer_fields, &other, HASH_SEED));
}
END_TEST

START_TEST(field_values_are_read_and_cut)
{
    struct outer object = example;
    const struct field *negative = &outer_fields[3];
    const struct field *words = &outer_fields[4];

    ck_assert_uint_eq(field_count(words), 3);
    ck_assert_uint_eq(field_count(negative), 1);
    ck_assert_uint_eq(field_get(negative, &object, 0), 0xfffffffb);
    field_set(words, &object, 1, 0x12345);
    ck_assert_uint_eq(object.words[1], 0x2345);
    ck_assert_uint_eq(object.words[2], 0xfff8);
}
END_TEST

START_TEST(byte_hashes_are_fixed_and_tell_sizes_apart)
{
    static const uint8_t bytes[20] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };

    for (size_t size = 1; size < sizeof bytes; size++) {
        ck_assert_uint_ne(hash_bytes(HASH_SEED, bytes, size), hash_bytes(HASH_SEED, bytes, size - 1));
    }
    /* Recorded once; the same value must come out on every host. */
    ck_assert_uint_eq(hash_bytes(HASH_SEED, bytes, 11), UINT64_C(0xd2a9228d26853099));
}
END_TEST

/* A minimal class, to see that check_class accepts a good one. */
struct counter {
    struct device dev;
    uint32_t count;
    uint8_t pad_[4];
};
static const struct field counter_fields[] = {
    DEVICE_FIELDS(struct counter),
    FIELD(struct counter, count, NULL),
    PAD(struct counter, pad_),
    FIELD_END,
};
static void counter_reset(struct device *dev)
{
    ((struct counter *)(void *)dev)->count = 5;
}

START_TEST(a_good_class_passes)
{
    static const struct device_class class = {
        .name = "counter", .doc = "counts", .size = sizeof(struct counter), .fields = counter_fields, .reset = counter_reset
    };

    check_class(&class);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state");
    TCase *tcase = tcase_create("state");
    tcase_add_test(tcase, complete_tables_tile);
    tcase_add_test(tcase, gaps_and_overlaps_are_found);
    tcase_add_test(tcase, loading_restores_what_was_saved);
    tcase_add_test(tcase, saved_bytes_are_portable);
    tcase_add_test(tcase, missing_rows_keep_their_value);
    tcase_add_test(tcase, unknown_and_misshapen_rows_are_named);
    tcase_add_test(tcase, truncated_streams_fail);
    tcase_add_test(tcase, differences_are_named);
    tcase_add_test(tcase, field_values_are_read_and_cut);
    tcase_add_test(tcase, byte_hashes_are_fixed_and_tell_sizes_apart);
    tcase_add_test(tcase, a_good_class_passes);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
