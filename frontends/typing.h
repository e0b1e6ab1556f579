/* typing.h - text and key names turned into keys of a US keyboard, one after the other in guest time. */
#ifndef FRONTENDS_TYPING_H
#define FRONTENDS_TYPING_H

#include "machine/tick86.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TYPING_KEYS_MAX = 16, TYPING_INTERVAL_MS = 40 };

struct session;

/* Text on its way to the keyboard. */
struct typing {
    char *text; /* owned; NULL: nothing to type */
    size_t size, done;
    uint64_t next_ns;     /* guest time of the next key */
    uint64_t interval_ns; /* from one key to the next; it is held for half of it */
};

/* "ctrl-alt-delete" as keys; 0 for an unknown name, which *bad then points at (it ends at a hyphen). */
unsigned typing_parse_keys(const char *names, enum key_code keys[TYPING_KEYS_MAX], const char **bad);

/* Adds `text` to what is to be typed; returns how many characters no key types (they are left out). UTF-8 quotation marks, dashes
 * and the like become their ASCII relatives. False when out of memory is told by SIZE_MAX. */
size_t typing_add(struct session *session, const char *text, size_t size, unsigned interval_ms);
void typing_cancel(struct session *session);
static inline bool typing_is_busy(const struct typing *typing) { return typing->text != NULL; }
/* Guest time of the next key, UINT64_MAX when there is none; and the keys that are due. */
uint64_t typing_next(const struct typing *typing);
void typing_run(struct session *session);

#endif
