/* monitor_private.h - what the files of the monitor share. */
#ifndef FRONTENDS_MONITOR_PRIVATE_H
#define FRONTENDS_MONITOR_PRIVATE_H

#include "frontends/monitor.h"

enum { MONITOR_WORDS_MAX = 32 };

struct command {
    const char *name, *alias;
    const char *arguments; /* for help */
    int arguments_min, arguments_max;
    void (*run)(struct monitor *monitor, int count, char **arguments);
    const char *doc;
};

void monitor_print(struct monitor *monitor, const char *format, ...) PRINTF_LIKE(2, 3);
void monitor_error(struct monitor *monitor, const struct error *err);
void monitor_put_text(void *context, const char *text);

/* monitor_debug.c: breakpoints, memory, symbols. Ends with a row without a name. */
extern const struct command monitor_debug_commands[];
/* `info WHAT [ARGUMENT]` of these; false when it is another's. */
bool monitor_debug_info(struct monitor *monitor, const char *what, const char *argument);
/* What the machine stopped at. */
void monitor_show_event(struct monitor *monitor);

#endif
