/* error.h - errors of the host and the user: set where they are known, printed once by the program.
 *
 * An error says what failed, on what, why; the hint says what to do. Functions that can fail return bool and take a
 * struct error as their last argument. It is never NULL. */
#ifndef MEM_ERROR_H
#define MEM_ERROR_H

#include <stdbool.h>

#if defined(__GNUC__)
#pragma GCC visibility push(default) /* what a shared libtick86 exports */
#endif

struct error {
    char message[512];
    char hint[256];
};

#if defined(__GNUC__)
#define PRINTF_LIKE(format_index, first) __attribute__((format(printf, format_index, first)))
#else
#define PRINTF_LIKE(format_index, first)
#endif

/* Sets the message (printf format) and clears the hint; always returns false, so that `return error_set(...)` reads
 * as what it is. */
bool error_set(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Adds a hint to an error that is already set; always returns false. */
bool error_hint(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Our own bugs: an assertion that stays on in release builds. Never used for what a guest or a user does. */
#define BUG_ON(condition)                                                                                              \
    do {                                                                                                               \
        if (condition) {                                                                                               \
            bug(__FILE__, __LINE__, #condition);                                                                       \
        }                                                                                                              \
    } while (0)
_Noreturn void bug(const char *file, int line, const char *what);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
