/* chardev.h - byte streams to the host: the terminal, files, pseudo terminals and sockets. */
#ifndef FRONTENDS_HOST_CHARDEV_H
#define FRONTENDS_HOST_CHARDEV_H

#include "mem/error.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chardev;

/* Opens what `spec` names: stdio, file:PATH, pty, unix:PATH[,server][,nowait], tcp:HOST:PORT[,server][,nowait], null or
 * none. A server without nowait (or with wait=on) waits for its first client. `what` ("serial port 1") is for messages.
 * NULL with `err` set. */
struct chardev *chardev_open(const char *spec, const char *what, struct error *err);
void chardev_close(struct chardev *dev);

/* Queues bytes for output and sends what goes at once. A stream that does not take them in time loses the newest, except
 * files and the terminal, which are waited for. */
void chardev_write(struct chardev *dev, const void *bytes, size_t size);
void chardev_flush(struct chardev *dev);

/* Reads what is there, up to `size` bytes, without waiting. */
size_t chardev_read(struct chardev *dev, void *bytes, size_t size);
/* True once input has ended for good (end of a pipe on stdin). */
bool chardev_is_at_end(const struct chardev *dev);

/* False while a server has no client, and once input has ended. */
bool chardev_is_connected(const struct chardev *dev);

/* How many clients have come so far; 1 for what is no server. */
unsigned chardev_connections(const struct chardev *dev);
/* True when somebody types there with a terminal in raw mode, or may. */
bool chardev_is_interactive(const struct chardev *dev);

/* Adds the descriptors to wait on; returns how many (0 or 1). Accepts waiting clients. */
unsigned chardev_poll_fds(struct chardev *dev, struct pollfd *fds);

/* ---- the terminal ---- */

/* Raw mode on stdin, restored at exit and on deadly signals. With `has_signals` Ctrl-C still interrupts. */
void terminal_raw(bool has_signals);
void terminal_restore(void);
/* SIGINT, SIGTERM and SIGHUP set this; the main loop ends. Deadly signals restore the terminal. */
void terminal_catch_signals(void);
int terminal_signal(void);
/* Called first by terminal_restore (curses ends its screen so). */
void terminal_on_restore(void (*function)(void));

#endif
