/* travel.c - see travel.h. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include "frontends/travel_internal.h"

#include "frontends/host/memory.h"
#include "frontends/host/pacer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATUS_DIVERGED = 3, ARGUMENTS_MAX = 512 };

/* ---- options ---- */

/* The stored arguments, and behind them those of this command line. */
static bool rebuild(struct travel *travel, int argc, char *const *argv, struct error *err)
{
    int count = 0;

    travel->arguments = calloc(ARGUMENTS_MAX + 1, sizeof *travel->arguments);
    if (travel->arguments == NULL) {
        return error_set(err, "out of memory");
    }
    travel->arguments[count++] = argv[0];
    for (size_t at = 0; at < travel->origin.arguments_size; at += strlen(travel->origin.arguments + at) + 1) {
        if (count + argc >= ARGUMENTS_MAX) {
            return error_set(err, "too many stored options");
        }
        travel->arguments[count++] = travel->origin.arguments + at;
    }
    for (int n = 1; n < argc && count < ARGUMENTS_MAX; n++) {
        travel->arguments[count++] = argv[n];
    }
    options_free(travel->options);
    return options_parse(travel->options, count, travel->arguments, err);
}

static void use_embedded(struct travel *travel)
{
    struct options *options = travel->options;
    char role[24];

    for (unsigned n = 0; n < TICK86_DISKS + TICK86_FLOPPIES; n++) {
        struct drive_option *drive = n < TICK86_DISKS ? &options->drives[n] : &options->floppies[n - TICK86_DISKS];
        snprintf(role, sizeof role, "drive %u", n);
        const char *path = replay_file_path(travel->replay, role);
        if (drive->is_used && path != NULL) {
            drive->path = options_keep(options, path);
        }
        drive->is_snapshot = drive->is_snapshot || !drive->is_cdrom; /* a replay writes nothing */
        drive->overlay = NULL;
    }
    if (replay_file_path(travel->replay, "kernel") != NULL) {
        options->kernel = options_keep(options, replay_file_path(travel->replay, "kernel"));
    }
    if (replay_file_path(travel->replay, "module 0") != NULL) {
        options->initrd = options_keep(options, replay_file_path(travel->replay, "module 0"));
    }
    const char *folder = replay_folder(travel->replay);
    if (folder != NULL && replay_file_path(travel->replay, "bios") != NULL) {
        memmove(&options->dirs[1], &options->dirs[0], (OPTIONS_DIRS - 1) * sizeof options->dirs[0]);
        options->dirs[0] = options_keep(options, folder);
        options->dir_count += options->dir_count < OPTIONS_DIRS;
        if (options->bios != NULL) {
            options->bios = options_keep(options, replay_file_path(travel->replay, "bios"));
        }
    }
}

static bool prepare(struct travel *travel, int argc, char *const *argv, struct error *err)
{
    struct options *options = travel->options;
    bool is_new = options_make_machine(argc, argv);

    if (options->replay != NULL) {
        travel->replay = replay_open(options->replay, err);
        if (travel->replay == NULL || !replay_start_snapshot(travel->replay, &travel->start, err)) {
            return false;
        }
        const struct vm_origin *origin = replay_origin(travel->replay);
        travel->origin = *origin;
        travel->origin.arguments = malloc(origin->arguments_size + 1);
        if (travel->origin.arguments == NULL) {
            return error_set(err, "out of memory");
        }
        memcpy(travel->origin.arguments, origin->arguments, origin->arguments_size);
        if (!is_new && !rebuild(travel, argc, argv, err)) {
            return false;
        }
        use_embedded(travel);
        return true;
    }
    if (options->checkpoint != NULL) {
        if (!checkpoint_parse(options->checkpoint, travel->checkpoint_path, sizeof travel->checkpoint_path,
                              &travel->checkpoint_every_ns, err)) {
            return false;
        }
        travel->is_resumed = access(travel->checkpoint_path, F_OK) == 0;
    }
    if (options->loadvm != NULL || travel->is_resumed) {
        char path[SNAPSHOT_PATH_MAX];
        if (travel->is_resumed) {
            snprintf(path, sizeof path, "%s", travel->checkpoint_path);
        } else {
            travel_snapshot_path(travel, options->loadvm, path, sizeof path);
        }
        travel->start = snapshot_open(path, err);
        if (travel->start == NULL) {
            return false;
        }
        if (!vmstate_origin(travel->start, &travel->origin)) {
            return error_set(err, "snapshot '%.200s' does not say what it was made of: it is damaged", path);
        }
        return is_new || rebuild(travel, argc, argv, err);
    }
    travel->origin.arguments = options_collect(argc, argv, &travel->origin.arguments_size);
    return travel->origin.arguments != NULL || error_set(err, "out of memory");
}

struct travel *travel_prepare(struct options *options, int argc, char *const *argv, struct error *err)
{
    struct travel *travel = calloc(1, sizeof *travel);

    if (travel == NULL) {
        error_set(err, "out of memory");
        return NULL;
    }
    travel->options = options;
    if (!prepare(travel, argc, argv, err)) {
        (void)travel_close(travel);
        return NULL;
    }
    return travel;
}

bool travel_is_replay(const struct travel *travel)
{
    return travel != NULL && travel->is_replaying;
}

const char *travel_file_path(const struct travel *travel, const char *role)
{
    return travel->replay != NULL ? replay_file_path(travel->replay, role) : NULL;
}

bool travel_configure(struct travel *travel, struct tick86_config *config, struct error *err)
{
    struct vm_origin *origin = &travel->origin;

    travel->is_replaying = travel->replay != NULL;
    if (travel->start != NULL || travel->replay != NULL) {
        config->rtc_base_seconds = origin->rtc_base_seconds;
        config->random_seed = origin->random_seed;
        config->ns_per_insn_q16 = origin->start_ratio_q16;
    } else {
        origin->rtc_base_seconds = config->rtc_base_seconds;
        origin->random_seed = config->random_seed;
        origin->start_ratio_q16 = config->ns_per_insn_q16;
    }
    if (travel->replay != NULL) {
        for (unsigned n = 0; n < TICK86_NICS; n++) { /* what the guest sends has been sent */
            config->nics[n].sink.send = NULL;
            config->nics[n].sink.ready = NULL;
        }
    }
    if (travel->start != NULL && snapshot_pages_size(travel->start, "ram") == config->ram_bytes) {
        config->ram = snapshot_map_memory(travel->start, "ram");
        travel->has_mapped_ram = config->ram != NULL;
    }
    if (travel->start != NULL && snapshot_pages_size(travel->start, "vram") == config->vram_bytes) {
        config->vram = snapshot_map_memory(travel->start, "vram");
        travel->has_mapped_vram = config->vram != NULL;
    }
    (void)err;
    return true;
}

static bool start_history(struct travel *travel, struct error *err)
{
    struct tick86_history_config config = { .budget_bytes = travel->options->checkpoint_bytes };
    bool is_wanted = travel->options->has_checkpoints ? travel->options->checkpoint_bytes != 0 : travel->replay != NULL;

    return !is_wanted || tick86_history_start(travel->session->machine, &config, err);
}

bool travel_attach(struct travel *travel, struct session *session, const struct recorded_file *files, unsigned count,
                   struct error *err)
{
    travel->session = session;
    session->travel = travel;
    travel->file_count = count < RECORDED_FILES ? count : RECORDED_FILES;
    memcpy(travel->files, files, travel->file_count * sizeof *files);
    if (travel->replay != NULL && !replay_check_files(travel->replay, files, count, err)) {
        return false;
    }
    if (travel->start != NULL) {
        if (travel->has_mapped_ram != travel->has_mapped_vram) {
            error_set(err, "cannot map snapshot '%.200s'", snapshot_path(travel->start));
            return error_hint(err, "give the same -m, or none");
        }
        if (!vmstate_load(session, travel->start, travel->has_mapped_ram, err)) {
            return false;
        }
    }
    if (!start_history(travel, err)) {
        return false;
    }
    if (travel->replay != NULL) {
        if (!replay_begin(travel->replay, session, err)) {
            return false;
        }
        travel_poll(travel, STOP_BUDGET); /* there may be nothing to replay */
        return true;
    }
    if (travel->options->checkpoint != NULL) {
        travel->checkpointer = checkpointer_create(travel->checkpoint_path, travel->checkpoint_every_ns, session,
                                                   &travel->origin, travel->is_resumed, err);
        if (travel->checkpointer == NULL) {
            return false;
        }
    }
    return travel->options->record == NULL || travel_record(travel, travel->options->record, false, err);
}

/* ---- recording ---- */

/* FILE[,last=SECONDS][,embed=on]; the file's name may not have commas. */
bool travel_record(struct travel *travel, const char *spec, bool starts_here, struct error *err)
{
    char path[SNAPSHOT_PATH_MAX];
    struct recording_options options = { .start = starts_here ? NULL : travel->start, .starts_here = starts_here };
    const char *comma = strchr(spec, ',');

    snprintf(path, sizeof path, "%.*s", comma != NULL ? (int)(comma - spec) : (int)strlen(spec), spec);
    while (comma != NULL) {
        const char *key = comma + 1;
        size_t length = strcspn(key, ",");
        char *end = NULL;
        if (strncmp(key, "last=", 5) == 0) {
            double seconds = strtod(key + 5, &end);
            end += *end == 's';
            if (end != key + length || !(seconds >= 1) || seconds > 1e6) {
                error_set(err, "-record last=%.*s: not a number of seconds from 1 on", (int)(length - 5), key + 5);
                return error_hint(err, "write last=60s");
            }
            options.ring_ns = (uint64_t)(seconds * 1e9);
        } else if (strncmp(key, "embed=on", length) == 0 && length == 8) {
            options.embeds = true;
        } else if (!(strncmp(key, "embed=off", length) == 0 && length == 9)) {
            error_set(err, "-record has no setting '%.*s'", (int)length, key);
            return error_hint(err, "-record FILE[,last=60s][,embed=on]");
        }
        comma = key[length] == ',' ? key + length : NULL;
    }
    if (path[0] == '\0') {
        error_set(err, "-record needs the name of a file");
        return error_hint(err, "-record FILE[,last=60s][,embed=on]");
    }
    travel->recording = recording_create(path, travel->session, &travel->origin, travel->files, travel->file_count, &options, err);
    return travel->recording != NULL;
}

/* ---- while it runs ---- */

static void say(const struct error *err)
{
    fprintf(stderr, "tick86: %s%s%s\n", err->message, err->hint[0] != '\0' ? "; " : "", err->hint);
}

static void end_replay(struct travel *travel, enum replay_state state, const char *text)
{
    struct session *session = travel->session;
    const char *monitor = travel->options->monitor;
    bool has_hands = (monitor != NULL && strcmp(monitor, "none") != 0) || travel->options->starts_stopped || session->has_debugger;

    fprintf(stderr, "tick86: %s\n", text);
    travel->is_replaying = false;
    if (state == REPLAY_DIVERGED) {
        session->exit_status = STATUS_DIVERGED;
        session->wants_quit = !has_hands;
        session_stop(session, "the replay has diverged");
    } else if (has_hands) {
        session_stop(session, "the recording ends here");
    } else {
        session_quit(session, 0);
    }
}

void travel_poll(struct travel *travel, enum tick86_stop stop)
{
    struct error err = { "", "" };
    char text[1200];

    if (travel->is_replaying) {
        if (!tick86_is_replaying(travel->session->machine)) {
            travel->is_replaying = false; /* replay stop */
            return;
        }
        enum replay_state state = replay_poll(travel->replay, stop, text, sizeof text);
        if (state != REPLAY_GOES_ON) {
            end_replay(travel, state, text);
        }
    }
    if (travel->checkpointer != NULL && !checkpointer_poll(travel->checkpointer, host_now_ns(), &err)) {
        say(&err);
    }
    if (travel->recording != NULL && !recording_poll(travel->recording, &err)) {
        struct error ignored = { "", "" };
        say(&err);
        (void)recording_close(travel->recording, &ignored);
        travel->recording = NULL;
    }
}

bool travel_load(struct travel *travel, const char *path, struct error *err)
{
    struct snapshot *snapshot = snapshot_open(path, err);
    struct tick86_history_info info;

    if (snapshot == NULL) {
        return false;
    }
    tick86_history_info(travel->session->machine, &info);
    if (travel->recording != NULL) {
        snapshot_close(snapshot);
        error_set(err, "cannot load a snapshot while recording");
        return error_hint(err, "record stop ends the recording");
    }
    if (tick86_is_replaying(travel->session->machine)) {
        snapshot_close(snapshot);
        error_set(err, "cannot load a snapshot during a replay");
        return error_hint(err, "replay stop makes it a live machine");
    }
    bool is_good = vmstate_load(travel->session, snapshot, false, err);
    if (is_good && info.is_kept) {
        is_good = start_history(travel, err);
    }
    if (is_good) {
        snapshot_close(travel->last);
        travel->last = snapshot;
    } else {
        snapshot_close(snapshot);
    }
    return is_good;
}

void travel_snapshot_path(const struct travel *travel, const char *name, char *path, size_t size)
{
    const char *disk = NULL;
    size_t length = strlen(name);

    if (strchr(name, '/') != NULL || (length > 4 && strcmp(name + length - 4, ".t86") == 0) || access(name, F_OK) == 0) {
        snprintf(path, size, "%s", name);
        return;
    }
    for (unsigned n = 0; n < TICK86_DISKS && disk == NULL; n++) {
        const struct drive_option *drive = &travel->options->drives[n];
        disk = drive->is_used && !drive->is_cdrom ? drive->path : NULL;
    }
    const char *slash = disk != NULL ? strrchr(disk, '/') : NULL;
    snprintf(path, size, "%.*s%s.t86", slash != NULL ? (int)(slash - disk) + 1 : 0, disk != NULL ? disk : "", name);
}

bool travel_close(struct travel *travel)
{
    struct error err = { "", "" };
    bool is_good = true;

    if (travel == NULL) {
        return true;
    }
    if (travel->recording != NULL && !recording_close(travel->recording, &err)) {
        say(&err);
        is_good = false;
    }
    if (travel->checkpointer != NULL &&
        !checkpointer_finish(travel->checkpointer, travel->session->has_powered_off, travel->options->is_snapshot, &err)) {
        say(&err);
        is_good = false;
    }
    if (travel->session != NULL) {
        travel->session->travel = NULL;
    }
    replay_close(travel->replay);
    snapshot_close(travel->start);
    snapshot_close(travel->last);
    free(travel->origin.arguments);
    free(travel->arguments);
    free(travel);
    return is_good;
}
