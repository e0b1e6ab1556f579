/* vmstate.h - a session's machine and disks in a snapshot file, and back. */
#ifndef FRONTENDS_VMSTATE_H
#define FRONTENDS_VMSTATE_H

#include "frontends/host/snapshot_file.h"
#include "frontends/session.h"
#include "machine/tick86_travel.h"

/* What a machine is built from, beside what the machine has: kept in snapshots and recordings. */
struct vm_origin {
    char *arguments;      /* of the command line, each ended by NUL; only those that make the machine */
    size_t arguments_size;
    uint64_t rtc_base_seconds, random_seed, start_ratio_q16;
};
void vm_origin_put(const struct vm_origin *origin, struct state_stream *stream);
/* Owns `arguments` afterwards. False: damaged. */
bool vm_origin_take(struct vm_origin *origin, struct state_stream *stream);

struct vmstate_options {
    const char *name;   /* shown in lists */
    const struct snapshot *parent; /* pages that did not change since are not written again; NULL: all are */
    bool is_compressed;
    bool is_base;       /* the next one may refer to its pages: changes count from here */
    bool is_checkpoint; /* counts changes for itself, those of disks too */
    bool has_disks;     /* the disks belong to it (else the caller takes care of them) */
};
/* Writes `path`. False with `err` set; an older file of that name is still there then. */
bool vmstate_save(struct session *session, const struct vm_origin *origin, const char *path,
                  const struct vmstate_options *options, struct error *err);
/* Makes the session what the snapshot says. `has_memory`: the memories hold its pages already (they are mapped). On failure the
 * session is what it was when that is possible, else it is stopped. */
bool vmstate_load(struct session *session, const struct snapshot *snapshot, bool has_memory, struct error *err);
bool vmstate_origin(const struct snapshot *snapshot, struct vm_origin *origin);
/* Lists the internal disk snapshot that belongs to it, if any, for delvm. */
bool vmstate_delete(struct session *session, const char *path, struct error *err);

/* For snapshot_visit_pages: writes a drive's pages to `context`, a struct block_backend. */
bool vmstate_put_pages(void *context, uint64_t first, uint32_t count, const uint8_t *bytes);

struct vmstate_info {
    char name[64];
    uint64_t icount, now_ns, date_s, ram_bytes, file_bytes;
};
bool vmstate_describe(const struct snapshot *snapshot, struct vmstate_info *info);

#endif
