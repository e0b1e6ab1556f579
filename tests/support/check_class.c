/* check_class.c - see check_class.h. */
#include "tests/support/check_class.h"

#include <check.h>
#include <string.h>

static void check_tiles(const struct device_class *class)
{
    size_t where = 0;

    ck_assert_ptr_nonnull(class->name);
    ck_assert_ptr_nonnull(class->doc);
    ck_assert_ptr_nonnull(class->fields);
    ck_assert(class->reset != NULL);
    ck_assert_msg(state_tiles(class->fields, class->size, &where), "%s: byte %zu of %zu is in no row, or in two",
                  class->name, where, class->size);
}

/* PAD rows are zero in a live chip: nobody may keep state there. */
static void check_padding(const struct device_class *class, const void *base)
{
    for (const struct field *f = class->fields; f->name != NULL; f++) {
        const unsigned char *at = (const unsigned char *)base + f->offset;
        for (size_t i = 0; f->kind == FIELD_KIND_PAD && i < f->size; i++) {
            ck_assert_msg(at[i] == 0, "%s: padding %s is not zero", class->name, f->name);
        }
    }
}

void check_save_load(struct box *box, const struct property *properties)
{
    const struct device_class *class = box->dev->class;
    struct state_stream first = { 0 };
    struct state_stream second = { 0 };
    struct error err = { "", "" };
    struct box other;
    char path[128] = "";
    size_t index = 0;

    box_open_with(&other, class, properties);
    box_step_ns(&other, box_now(box));
    state_save(&first, class->fields, box->dev);
    ck_assert_msg(state_load(&first, class->fields, other.dev, &err), "%s: %s", class->name, err.message);
    ck_assert_uint_eq(first.position, first.size);
    ck_assert_msg(state_differ(class->fields, box->dev, other.dev, &index, path, sizeof path) == NULL,
                  "%s: %s[%zu] differs after a load", class->name, path, index);
    if (class->loaded != NULL) {
        class->loaded(other.dev);
    }
    ck_assert_msg(state_differ(class->fields, box->dev, other.dev, &index, path, sizeof path) == NULL,
                  "%s: loaded() changed the state in %s[%zu]", class->name, path, index);
    ck_assert_uint_eq(state_hash(class->fields, box->dev, HASH_SEED), state_hash(class->fields, other.dev, HASH_SEED));
    state_save(&second, class->fields, other.dev);
    ck_assert_uint_eq(first.size, second.size);
    ck_assert_mem_eq(first.bytes, second.bytes, first.size);
    state_stream_free(&first);
    state_stream_free(&second);
    box_close(&other);
}

void check_class_with(const struct device_class *class, const struct property *properties)
{
    struct state_stream once = { 0 };
    struct state_stream twice = { 0 };
    struct box box;

    check_tiles(class);
    box_open_with(&box, class, properties);
    check_padding(class, box.dev);
    state_save(&once, class->fields, box.dev);
    class->reset(box.dev);
    state_save(&twice, class->fields, box.dev);
    ck_assert_msg(once.size == twice.size && memcmp(once.bytes, twice.bytes, once.size) == 0,
                  "%s: a second reset changes the state", class->name);
    check_save_load(&box, properties);
    check_padding(class, box.dev);
    state_stream_free(&once);
    state_stream_free(&twice);
    box_close(&box);
}

void check_class(const struct device_class *class)
{
    check_class_with(class, NULL);
}
