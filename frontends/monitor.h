/* monitor.h - the command line that looks at and steers a running machine, as QEMU's human monitor does. */
#ifndef FRONTENDS_MONITOR_H
#define FRONTENDS_MONITOR_H

#include "frontends/session.h"

#include <stddef.h>

enum { MONITOR_LINE_MAX = 1024, MONITOR_HISTORY = 16, MONITOR_TYPED_MAX = 4096 };

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
    bool is_running; /* the command run has not ended yet; what is typed waits in `typed` */
    char typed[MONITOR_TYPED_MAX];
    size_t typed_count;
    unsigned seen_stops; /* breakpoints that were shown */
    bool echoes; /* the other side is a terminal in raw mode */
};

void monitor_init(struct monitor *monitor, struct session *session, monitor_put_fn *put, void *context);
/* The greeting and the first prompt. */
void monitor_greet(struct monitor *monitor);
/* How many bytes may be typed now. */
size_t monitor_room(const struct monitor *monitor);
/* Typed bytes; commands run when their line ends, those behind a run when it has ended. Ctrl-C ends a run. */
void monitor_input(struct monitor *monitor, const char *bytes, size_t size);
/* To be called between slices of the guest: goes on with what was typed when a run has ended. */
void monitor_resume(struct monitor *monitor);
/* Runs one command line. */
void monitor_run(struct monitor *monitor, const char *line);

#endif
