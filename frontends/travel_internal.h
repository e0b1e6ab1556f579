/* travel_internal.h - between travel.c and travel_commands.c. */
#ifndef FRONTENDS_TRAVEL_INTERNAL_H
#define FRONTENDS_TRAVEL_INTERNAL_H

#include "frontends/checkpoint.h"
#include "frontends/travel.h"

struct travel {
    struct options *options;
    struct session *session;
    struct vm_origin origin;
    char **arguments; /* of the command line as it was rebuilt; NULL: as given */
    struct snapshot *start; /* what the machine starts from */
    bool has_mapped_ram, has_mapped_vram;
    struct recorded_file files[RECORDED_FILES];
    unsigned file_count;
    struct replay *replay;
    bool is_replaying; /* not ended yet */
    struct recording *recording;
    struct checkpointer *checkpointer;
    char checkpoint_path[SNAPSHOT_PATH_MAX];
    uint64_t checkpoint_every_ns;
    bool is_resumed; /* `start` is the checkpoint */
    struct snapshot *last; /* to whose pages the next snapshot may refer */
};

/* The file that a snapshot of that name is in: NAME when it looks like a path, else NAME.t86 beside the first disk. */
void travel_snapshot_path(const struct travel *travel, const char *name, char *path, size_t size);
bool travel_load(struct travel *travel, const char *path, struct error *err);
bool travel_record(struct travel *travel, const char *spec, bool starts_here, struct error *err);

#endif
