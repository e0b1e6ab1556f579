/* check_class.h - properties that hold for every chip; used by tests/unit/test_state.c and tests/dev/test_classes.c. */
#ifndef TESTS_SUPPORT_CHECK_CLASS_H
#define TESTS_SUPPORT_CHECK_CLASS_H

#include "tests/support/box.h"

/* Fields tile the struct; save, load into a second chip and save again gives the same bytes; a second reset changes
 * nothing. `properties` may be NULL. */
void check_class_with(const struct device_class *class, const struct property *properties);
void check_class(const struct device_class *class);

/* The same for a chip in whatever state it is now: saved and loaded into a fresh one of its class, nothing differs. */
void check_save_load(struct box *box, const struct property *properties);

#endif
