/* mux.h - a serial port and the monitor sharing one stream, with QEMU's escape keys. */
#ifndef FRONTENDS_MUX_H
#define FRONTENDS_MUX_H

#include "frontends/host/chardev.h"
#include "frontends/monitor.h"

struct mux {
    struct chardev *dev;
    struct session *session;
    struct monitor *monitor;  /* NULL: the stream belongs to the serial port alone */
    unsigned port;
    bool is_at_monitor;       /* who gets what is typed */
    bool has_escape;          /* Ctrl-A was the last key */
    bool has_timestamps, is_line_start;
    uint8_t pending[4096];    /* typed, not yet taken by the serial port */
    size_t pending_count;
};

void mux_init(struct mux *mux, struct chardev *dev, struct session *session, unsigned port, struct monitor *monitor);
/* Takes what was typed and hands it on. */
void mux_poll(struct mux *mux);
/* Output of either side. */
void mux_put_serial(struct mux *mux, uint8_t byte);
void mux_put_monitor(void *mux, const char *bytes, size_t size);

#endif
