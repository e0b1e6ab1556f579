/* gdb_stub.h - the machine as a remote target of gdb: gdb's manual, appendix E, "GDB Remote Serial Protocol". */
#ifndef FRONTENDS_GDB_STUB_H
#define FRONTENDS_GDB_STUB_H

#include "frontends/host/chardev.h"
#include "frontends/session.h"

struct gdb_stub;

/* Listens as `spec` says: tcp:[HOST]:PORT (an empty host is 127.0.0.1), unix:PATH, stdio, or what chardev_open takes. NULL
 * with `err` set. */
struct gdb_stub *gdb_stub_open(const char *spec, struct session *session, struct error *err);
/* Tells gdb how the program ended. */
void gdb_stub_close(struct gdb_stub *stub);

/* To be called between slices of the guest. */
void gdb_stub_poll(struct gdb_stub *stub);
/* Descriptors to wait on. */
unsigned gdb_stub_poll_fds(struct gdb_stub *stub, struct pollfd *fds);

/* For tests: the bytes of a client, and where the replies go. */
typedef void gdb_stub_put_fn(void *context, const char *bytes, size_t size);
struct gdb_stub *gdb_stub_create(struct session *session, gdb_stub_put_fn *put, void *context);
void gdb_stub_input(struct gdb_stub *stub, const char *bytes, size_t size);

#endif
