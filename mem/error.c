/* error.c - see error.h. */
#include "mem/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool error_set(struct error *err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    err->hint[0] = '\0';
    return false;
}

bool error_hint(struct error *err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(err->hint, sizeof err->hint, format, args);
    va_end(args);
    return false;
}

void bug(const char *file, int line, const char *what)
{
    fprintf(stderr, "tick86: bug at %s:%d: %s\n", file, line, what);
    abort();
}
