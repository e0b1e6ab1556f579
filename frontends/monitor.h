/* monitor.h - the command line that looks at and steers a running machine, as QEMU's human monitor does. */
#ifndef FRONTENDS_MONITOR_H
#define FRONTENDS_MONITOR_H

#include "frontends/session.h"

#include <stddef.h>

enum { MONITOR_LINE_MAX = 1024, MONITOR_HISTORY = 16 };

typedef void monitor_put_fn(void *context, const char *bytes, size_t size);

struct monitor {
    struct session *session;
    monitor_put_fn *put;
    void *put_context;
    char line[MONITOR_LINE_MAX];
    size_t length;
    unsigned escape; /* how far into ESC [ x */
    char history[MONITOR_HISTORY][MONITOR_LINE_MAX];
    unsigned history_count, history_at;
    bool echoes; /* the other side is a terminal in raw mode */
};

void monitor_init(struct monitor *monitor, struct session *session, monitor_put_fn *put, void *context);
/* The greeting and the first prompt. */
void monitor_greet(struct monitor *monitor);
/* Typed bytes; commands run when their line ends. */
void monitor_input(struct monitor *monitor, const char *bytes, size_t size);
/* Runs one command line. */
void monitor_run(struct monitor *monitor, const char *line);

#endif
