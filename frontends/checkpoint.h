/* checkpoint.h - -checkpoint FILE: memory and disks of one moment on disk, again and again, so that a killed program goes on
 * from there. */
#ifndef FRONTENDS_CHECKPOINT_H
#define FRONTENDS_CHECKPOINT_H

#include "frontends/vmstate.h"

struct checkpointer;

/* FILE[,every=SECONDS]. False with `err` set. */
bool checkpoint_parse(const char *spec, char *path, size_t size, uint64_t *every_ns, struct error *err);
/* `is_resumed`: the session was just loaded from `path`. */
struct checkpointer *checkpointer_create(const char *path, uint64_t every_ns, struct session *session,
                                         const struct vm_origin *origin, bool is_resumed, struct error *err);
/* Between slices: saves when it is time. False with `err` set; it goes on trying. */
bool checkpointer_poll(struct checkpointer *checkpointer, uint64_t wall_ns, struct error *err);
/* At the end: a last checkpoint; after a power-off what the guest wrote goes to the images (unless they are opened with
 * -snapshot, `is_thrown_away`), and the checkpoint is deleted. Closes the session's disks then. */
bool checkpointer_finish(struct checkpointer *checkpointer, bool has_powered_off, bool is_thrown_away, struct error *err);

#endif
