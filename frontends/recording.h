/* recording.h - recordings: what came from outside, at which instruction, and hashes of the machine in between.
 *
 * A file is a header and chunks with checksums, written as the run goes on: cut anywhere it replays up to there.
 * docs/recording-format.md has the layout. */
#ifndef FRONTENDS_RECORDING_H
#define FRONTENDS_RECORDING_H

#include "frontends/state_hashes.h"
#include "frontends/vmstate.h"

#define RECORDING_MAGIC "tick86 recording"
enum { RECORDING_VERSION = 1, RECORDING_HEAD = 20, CHUNK_HEAD = 8, CHUNK_MAX = 16 << 20, RECORDED_FILES = 32 };

/* First byte of a chunk's payload. */
enum chunk_kind {
    CHUNK_ORIGIN = 'O', /* what the machine is built from, and the files */
    CHUNK_FILE = 'F',   /* a piece of an embedded file, or of the start snapshot */
    CHUNK_START = 'S',  /* the start snapshot by name */
    CHUNK_MEDIUM = 'M', /* a file that was put into a drive */
    CHUNK_INPUTS = 'I',
    CHUNK_CHECK = 'C',
    CHUNK_END = 'E'
};
#define START_FILE UINT32_C(0xffffffff) /* CHUNK_FILE's number of the start snapshot */

/* A file that the machine depends on. */
struct recorded_file {
    char role[24];      /* "kernel", "drive 0" */
    char path[1024];
    uint64_t size, hash; /* of its content; large files by samples */
    bool is_embedded;
    const struct tick86_blob *blob; /* in memory already; NULL: read from `path` */
};
/* Fills in size and hash. False: it cannot be read. */
bool recorded_file_look(struct recorded_file *file);

struct recording_options {
    uint64_t ring_ns; /* keep at least the last so many ns; 0: everything */
    bool embeds;
    const struct snapshot *start; /* the run starts from this; NULL: from power-on */
    bool starts_here;             /* the run is under way: the present state is embedded */
};

struct recording;
/* Starts recording: from now on it observes the inputs. */
struct recording *recording_create(const char *path, struct session *session, const struct vm_origin *origin,
                                   const struct recorded_file *files, unsigned file_count,
                                   const struct recording_options *options, struct error *err);
/* To be called between slices: writes what is new, takes hashes when it is time. False with `err` when the disk is full. */
bool recording_poll(struct recording *recording, struct error *err);
/* Ends it with a last hash. */
bool recording_close(struct recording *recording, struct error *err);

/* ---- replay ---- */

struct replay;
/* Reads the header. NULL with `err` set. */
struct replay *replay_open(const char *path, struct error *err);
void replay_close(struct replay *replay);
const struct vm_origin *replay_origin(const struct replay *replay);
/* The snapshot it starts from, opened (the caller closes it), or NULL when it starts at power-on; false with `err`. */
bool replay_start_snapshot(struct replay *replay, struct snapshot **snapshot, struct error *err);
/* The folder with embedded files, or NULL; and where the file of that role is to be found. */
const char *replay_folder(const struct replay *replay);
const char *replay_file_path(const struct replay *replay, const char *role);
/* Whether these files are the recorded ones. */
bool replay_check_files(const struct replay *replay, const struct recorded_file *files, unsigned count, struct error *err);
/* Queues all inputs; from here on the machine takes no others. */
bool replay_begin(struct replay *replay, struct session *session, struct error *err);

enum replay_state { REPLAY_GOES_ON, REPLAY_ENDED, REPLAY_DIVERGED, REPLAY_CUT };
/* To be called after each slice, with what tick86_run returned. `text` receives what there is to say. */
enum replay_state replay_poll(struct replay *replay, enum tick86_stop stop, char *text, size_t size);
/* The position that must not be passed. */
uint64_t replay_end_icount(const struct replay *replay);
uint64_t replay_end_ns(const struct replay *replay);

#endif
