/* input.h - the one gate through which everything from outside reaches the guest, and the queue of what is to come. */
#ifndef MACHINE_INPUT_H
#define MACHINE_INPUT_H

#include "machine/tick86_travel.h"

struct tick86;

/* A growing list; entries own their bytes. */
struct input_list {
    struct tick86_input *entries;
    size_t count, capacity;
};
/* Appends a copy. False: out of memory. */
bool input_list_add(struct input_list *list, const struct tick86_input *input);
/* Forgets the entries from `first` on. */
void input_list_cut(struct input_list *list, size_t first);
void input_list_free(struct input_list *list);

struct input_gate {
    struct input_list queue;
    size_t next; /* of the queue */
    bool is_replaying;
    tick86_observe_fn *observe;
    void *observe_context;
};

/* Whether inputs from outside are dropped: a replay, or the past. */
bool input_is_closed(const struct tick86 *machine);
/* Applies the queued inputs whose position this is; true when there was one. */
bool input_apply_due(struct tick86 *machine);
/* Shortens a slice so that it does not pass the next queued input; false when that is not on this path any more. */
bool input_limit(struct tick86 *machine, uint64_t *until_ns, uint64_t *end_icount);
/* What waits in the queue is forgotten. */
void input_clear_queue(struct tick86 *machine);

#endif
