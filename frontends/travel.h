/* travel.h - time travel as the program has it: -loadvm, -record, -replay, -checkpoint and their monitor commands, in one
 * place, which main.c calls at the right moments. docs/time-travel.md is the guide. */
#ifndef FRONTENDS_TRAVEL_H
#define FRONTENDS_TRAVEL_H

#include "frontends/options.h"
#include "frontends/recording.h"
#include "frontends/session.h"

struct travel;
struct monitor;

/* After the options were read: opens what they name, and reads the options again as they were when that was written, when the
 * command line says nothing of the machine. NULL with `err` set. */
struct travel *travel_prepare(struct options *options, int argc, char *const *argv, struct error *err);
/* Before the machine is built: settings that are not options, and memory that is mapped. */
bool travel_configure(struct travel *travel, struct tick86_config *config, struct error *err);
/* After it was built: its state. `files` are what it depends on. */
bool travel_attach(struct travel *travel, struct session *session, const struct recorded_file *files, unsigned count,
                   struct error *err);
/* A file that the machine depends on may be in the recording: where, or NULL. */
const char *travel_file_path(const struct travel *travel, const char *role);
/* The run is a replay: it is not paced, and stops of the machine have no consequences but those recorded. */
bool travel_is_replay(const struct travel *travel);
/* After each slice, and while the machine is stopped. */
void travel_poll(struct travel *travel, enum tick86_stop stop);
/* At the end; false when something could not be written, which was said. NULL does nothing. */
bool travel_close(struct travel *travel);

/* Commands of the monitor; false: not one of these. `put` gets what they say. */
typedef void travel_put_fn(void *context, const char *text);
bool travel_command(struct travel *travel, travel_put_fn *put, void *context, int count, char **words);
/* A line of help for the n-th command, or NULL. */
const char *travel_command_help(unsigned n);

#endif
