/* script.h - --script FILE: waits for what the guest shows and does what a user would, at points of guest time. docs/script.md
 * tells the language. */
#ifndef FRONTENDS_SCRIPT_H
#define FRONTENDS_SCRIPT_H

#include "frontends/session.h"

struct script;

/* Reads FILE ("-": standard input) whole and checks every line. NULL with `err` set, naming file and line. */
struct script *script_open(const char *path, struct session *session, struct error *err);
void script_close(struct script *script);

/* A byte that a serial port sent, during tick86_run. */
void script_serial(struct script *script, unsigned port, uint8_t byte);
/* Guest time at which the script must be looked at again, and that look; to be called after every slice. */
uint64_t script_next(const struct script *script);
void script_run(struct script *script);
/* The guest has ended (or is to): true when the script had waited for that or was through, else it says so and makes the
 * program's status 1. `why` is "powered off". */
bool script_guest_ended(struct script *script, const char *why);
bool script_is_done(const struct script *script);

#endif
