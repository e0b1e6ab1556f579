/* replay.c - reads recordings and runs them again; see recording.h.
 *
 * All chunks that are whole are read at the start. The first that is not ends the recording: what comes before it replays. */
#define _FILE_OFFSET_BITS 64
#define _DEFAULT_SOURCE
#include "frontends/recording.h"

#include "frontends/host/block.h"
#include "mem/space.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { MEDIA_MAX = 64, NAMED_MAX = 6 };

/* Where in the file a check is. */
struct check {
    const uint8_t *bytes;
    size_t size;
};

struct replay {
    char path[SNAPSHOT_PATH_MAX];
    uint8_t *file; /* mapped */
    size_t size, start; /* start: of the chunks after the header */
    struct vm_origin origin;
    uint64_t start_icount, start_ns, icount, now_ns; /* icount, now_ns: position while reading, at last that of the end */
    unsigned row_count;
    struct recorded_file files[RECORDED_FILES];
    unsigned file_count;
    char folder[64]; /* of embedded files; "": none */
    char start_path[SNAPSHOT_PATH_MAX];
    uint64_t start_id;
    bool has_start, is_start_embedded;
    bool is_whole; /* the end is there */
    size_t damage; /* where the first bad chunk is; 0: none */
    struct block_backend *media[MEDIA_MAX];
    unsigned media_count;
    struct session *session;
    struct check *checks;
    size_t check_count, check_capacity, next_check;
    uint32_t *rows;
    struct state_hashes hashes;
    uint64_t good_icount; /* of the last check that agreed */
    bool has_diverged, has_ended;
    char text[1024];
};

static uint64_t take_varint(struct state_stream *stream)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t byte = state_stream_take_number(stream, 1);
        value |= (byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    stream->failed = true;
    return 0;
}

static int32_t take_signed(struct state_stream *stream)
{
    uint64_t value = take_varint(stream);
    uint32_t half = (uint32_t)(value >> 1), bits = value & 1 ? ~half : half;
    int32_t result;

    memcpy(&result, &bits, sizeof result);
    return result;
}

static bool damaged(const struct replay *replay, struct error *err, const char *what)
{
    error_set(err, "cannot replay '%.200s': %s", replay->path, what);
    return error_hint(err, "it is damaged; record again");
}

/* ---- chunks ---- */

/* The chunk at *at, which moves behind it; false at the end or where it is not whole. */
static bool next_chunk(struct replay *replay, size_t *at, struct state_stream *payload)
{
    size_t left = replay->size - *at;
    const uint8_t *head = replay->file + *at;

    if (left == 0) {
        return false;
    }
    replay->damage = *at;
    if (left < CHUNK_HEAD) {
        return false;
    }
    size_t size = load_le32(head);
    if (size == 0 || size > CHUNK_MAX || size > left - CHUNK_HEAD ||
        load_le32(head + 4) != (uint32_t)crc32(crc32(0, head, 4), head + CHUNK_HEAD, (uInt)size)) {
        return false;
    }
    replay->damage = 0;
    *payload = (struct state_stream){ .bytes = replay->file + *at + CHUNK_HEAD, .size = size };
    *at += CHUNK_HEAD + size;
    return true;
}

static bool take_file(struct state_stream *stream, struct recorded_file *file)
{
    const uint8_t *role = state_stream_take(stream, sizeof file->role);

    if (role == NULL) {
        return false;
    }
    memcpy(file->role, role, sizeof file->role);
    file->role[sizeof file->role - 1] = '\0';
    file->size = state_stream_take_number(stream, 8);
    file->hash = state_stream_take_number(stream, 8);
    file->is_embedded = state_stream_take_number(stream, 1) != 0;
    uint64_t length = take_varint(stream);
    const uint8_t *path = length < sizeof file->path ? state_stream_take(stream, (size_t)length) : NULL;
    if (path == NULL) {
        return false;
    }
    memcpy(file->path, path, (size_t)length);
    file->path[length] = '\0';
    return true;
}

static bool read_origin(struct replay *replay, struct error *err)
{
    struct state_stream chunk;
    size_t at = RECORDING_HEAD;

    if (!next_chunk(replay, &at, &chunk) || state_stream_take_number(&chunk, 1) != CHUNK_ORIGIN ||
        !vm_origin_take(&replay->origin, &chunk)) {
        return damaged(replay, err, "its beginning is not whole");
    }
    replay->start_icount = replay->icount = state_stream_take_number(&chunk, 8);
    replay->start_ns = replay->now_ns = state_stream_take_number(&chunk, 8);
    replay->row_count = (unsigned)state_stream_take_number(&chunk, 4);
    replay->file_count = (unsigned)state_stream_take_number(&chunk, 4);
    if (chunk.failed || replay->file_count > RECORDED_FILES || replay->row_count > 1000000) {
        return damaged(replay, err, "its beginning is not whole");
    }
    for (unsigned n = 0; n < replay->file_count; n++) {
        if (!take_file(&chunk, &replay->files[n])) {
            return damaged(replay, err, "its list of files is wrong");
        }
    }
    replay->start = at;
    return true;
}

/* ---- embedded files ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

/* Firmware keeps its name, by which it is looked for; others get one that cannot clash. */
static void embedded_path(const struct replay *replay, uint32_t number, char *path, size_t size)
{
    if (number == START_FILE) {
        snprintf(path, size, "%s/start", replay->folder);
        return;
    }
    const struct recorded_file *file = &replay->files[number];
    bool is_firmware = strcmp(file->role, "bios") == 0 || strcmp(file->role, "vga bios") == 0 || strcmp(file->role, "loader") == 0;
    if (is_firmware) {
        snprintf(path, size, "%s/%s", replay->folder, base_name(file->path));
    } else {
        snprintf(path, size, "%s/%u-%s", replay->folder, (unsigned)number, base_name(file->path));
    }
}

static bool make_folder(struct replay *replay)
{
    const char *directories[] = { getenv("TMPDIR"), "/var/tmp", "/tmp" };

    for (unsigned n = 0; n < 3 && replay->folder[0] == '\0'; n++) {
        if (directories[n] == NULL || directories[n][0] == '\0' || strlen(directories[n]) > 40) {
            continue;
        }
        snprintf(replay->folder, sizeof replay->folder, "%s/tick86-XXXXXX", directories[n]);
        if (mkdtemp(replay->folder) == NULL) {
            replay->folder[0] = '\0';
        }
    }
    return replay->folder[0] != '\0';
}

static bool unpack(struct replay *replay, struct state_stream *chunk)
{
    uint32_t number = (uint32_t)state_stream_take_number(chunk, 4);
    uint64_t offset = state_stream_take_number(chunk, 8);
    uLongf size = (uLongf)state_stream_take_number(chunk, 4);
    char path[SNAPSHOT_PATH_MAX];

    if (chunk->failed || (number != START_FILE && number >= replay->file_count) || size > CHUNK_MAX ||
        offset > INT64_MAX - CHUNK_MAX || !make_folder(replay)) {
        return false;
    }
    replay->is_start_embedded = replay->is_start_embedded || number == START_FILE;
    embedded_path(replay, number, path, sizeof path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    bool is_good;
    if (size == 0) {
        is_good = ftruncate(fd, (off_t)offset) == 0;
    } else {
        uint8_t *bytes = malloc(size);
        uLongf got = size;
        is_good = bytes != NULL &&
                  uncompress(bytes, &got, chunk->bytes + chunk->position, (uLong)(chunk->size - chunk->position)) == Z_OK &&
                  got == size && pwrite(fd, bytes, size, (off_t)offset) == (ssize_t)size;
        free(bytes);
    }
    close(fd);
    return is_good;
}

static void remove_folder(struct replay *replay)
{
    char path[SNAPSHOT_PATH_MAX];

    if (replay->folder[0] == '\0') {
        return;
    }
    for (unsigned n = 0; n < replay->file_count; n++) {
        embedded_path(replay, n, path, sizeof path);
        unlink(path);
    }
    embedded_path(replay, START_FILE, path, sizeof path);
    unlink(path);
    rmdir(replay->folder);
}

/* Everything before the first input: files, start. */
static bool read_preamble(struct replay *replay, struct error *err)
{
    struct state_stream chunk;
    size_t at = replay->start;

    while (next_chunk(replay, &at, &chunk)) {
        uint64_t kind = state_stream_take_number(&chunk, 1);
        if (kind == CHUNK_FILE) {
            if (!unpack(replay, &chunk)) {
                return damaged(replay, err, "a file in it cannot be unpacked");
            }
        } else if (kind == CHUNK_START) {
            replay->start_id = state_stream_take_number(&chunk, 8);
            size_t length = chunk.size - chunk.position;
            if (chunk.failed || length >= sizeof replay->start_path) {
                return damaged(replay, err, "the name of its start snapshot is wrong");
            }
            memcpy(replay->start_path, chunk.bytes + chunk.position, length);
            replay->start_path[length] = '\0';
            replay->has_start = true;
        } else {
            return true;
        }
        replay->start = at;
    }
    for (unsigned n = 0; n < replay->file_count; n++) {
        if (replay->files[n].is_embedded && replay->damage != 0) {
            return damaged(replay, err, "it is cut within the files that it has in it");
        }
    }
    return !(replay->start_icount != 0 && !replay->has_start && !replay->is_start_embedded) ||
           damaged(replay, err, "it is cut within its start state");
}

/* ---- life ---- */

struct replay *replay_open(const char *path, struct error *err)
{
    struct replay *replay = calloc(1, sizeof *replay);
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (replay == NULL || fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        error_set(err, "cannot open recording '%.200s': %s", path, fd < 0 ? strerror(errno) : "it is no file");
        error_hint(err, "name a file that -record wrote");
        if (fd >= 0) {
            close(fd);
        }
        free(replay);
        return NULL;
    }
    snprintf(replay->path, sizeof replay->path, "%s", path);
    replay->size = (size_t)status.st_size;
    void *file = replay->size != 0 ? mmap(NULL, replay->size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    close(fd);
    replay->file = file != MAP_FAILED ? file : NULL;
    bool is_recording = replay->file != NULL && replay->size >= RECORDING_HEAD &&
                        memcmp(replay->file, RECORDING_MAGIC, 16) == 0;
    if (!is_recording) {
        error_set(err, "cannot replay '%.200s': it is no recording of tick86, or cut within its first bytes", path);
        error_hint(err, "name a file that -record wrote");
    } else if (load_le32(replay->file + 16) != RECORDING_VERSION) {
        error_set(err, "cannot replay '%.200s': its format has version %u, and this tick86 knows version %d", path,
                  (unsigned)load_le32(replay->file + 16), RECORDING_VERSION);
        error_hint(err, "use the tick86 that wrote it");
        is_recording = false;
    }
    if (!is_recording || !read_origin(replay, err) || !read_preamble(replay, err)) {
        replay_close(replay);
        return NULL;
    }
    return replay;
}

void replay_close(struct replay *replay)
{
    if (replay == NULL) {
        return;
    }
    if (replay->file != NULL) {
        munmap(replay->file, replay->size);
    }
    for (unsigned n = 0; n < replay->media_count; n++) {
        block_close(replay->media[n]);
    }
    remove_folder(replay);
    state_hashes_free(&replay->hashes);
    free(replay->origin.arguments);
    free(replay->checks);
    free(replay->rows);
    free(replay);
}

const struct vm_origin *replay_origin(const struct replay *replay)
{
    return &replay->origin;
}

bool replay_start_snapshot(struct replay *replay, struct snapshot **snapshot, struct error *err)
{
    char path[SNAPSHOT_PATH_MAX];

    *snapshot = NULL;
    if (!replay->has_start && !replay->is_start_embedded) {
        return true;
    }
    if (replay->is_start_embedded) {
        embedded_path(replay, START_FILE, path, sizeof path);
    } else {
        snprintf(path, sizeof path, "%s", replay->start_path);
    }
    *snapshot = snapshot_open(path, err);
    if (*snapshot != NULL && replay->has_start && snapshot_id(*snapshot) != replay->start_id) {
        snapshot_close(*snapshot);
        *snapshot = NULL;
        error_set(err, "the snapshot '%.200s' is not the one that the recording starts from", path);
        return error_hint(err, "bring that one back; -record FILE,embed=on keeps it in the recording");
    }
    return *snapshot != NULL;
}

const char *replay_folder(const struct replay *replay)
{
    return replay->folder[0] != '\0' ? replay->folder : NULL;
}

const char *replay_file_path(const struct replay *replay, const char *role)
{
    static char path[SNAPSHOT_PATH_MAX];

    for (unsigned n = 0; n < replay->file_count; n++) {
        if (strcmp(replay->files[n].role, role) == 0) {
            if (!replay->files[n].is_embedded) {
                return NULL;
            }
            embedded_path(replay, n, path, sizeof path);
            return path;
        }
    }
    return NULL;
}

bool replay_check_files(const struct replay *replay, const struct recorded_file *files, unsigned count, struct error *err)
{
    for (unsigned n = 0; n < replay->file_count; n++) {
        const struct recorded_file *wanted = &replay->files[n];
        const struct recorded_file *found = NULL;
        for (unsigned k = 0; k < count; k++) {
            found = strcmp(files[k].role, wanted->role) == 0 ? &files[k] : found;
        }
        if (found == NULL) {
            error_set(err, "the recording has a %s ('%.160s'), and this machine has none", wanted->role, wanted->path);
            return error_hint(err, "replay with no machine options: the recording has them");
        }
        struct recorded_file now = *found;
        if (!recorded_file_look(&now) || now.size != wanted->size || now.hash != wanted->hash) {
            error_set(err, "'%.160s' (%s) is not what it was when '%.160s' was recorded", now.path, wanted->role, wanted->path);
            return error_hint(err, "bring that file back; -record FILE,embed=on keeps such files in the recording");
        }
    }
    return true;
}

/* ---- inputs and checks ---- */

static void take_position(struct replay *replay, struct state_stream *chunk)
{
    replay->icount += take_varint(chunk);
    replay->now_ns += take_varint(chunk);
}

static bool queue(struct replay *replay, struct tick86_input *input, struct error *err)
{
    input->icount = replay->icount;
    input->now_ns = replay->now_ns;
    return tick86_queue_input(replay->session->machine, input) ||
           error_set(err, "cannot replay '%.200s': an input is wrong, or memory is out", replay->path);
}

static bool queue_inputs(struct replay *replay, struct state_stream *chunk, struct error *err)
{
    while (chunk->position < chunk->size) {
        struct tick86_input input = { 0 };
        take_position(replay, chunk);
        input.kind = (uint32_t)take_varint(chunk);
        uint64_t mask = state_stream_take_number(chunk, 1), medium = 0;
        input.unit = mask & 1 ? (uint32_t)take_varint(chunk) : 0;
        if (mask & 2) {
            input.x = take_signed(chunk);
            input.y = take_signed(chunk);
            input.z = take_signed(chunk);
        }
        input.value = mask & 4 ? take_varint(chunk) : 0;
        medium = mask & 8 ? take_varint(chunk) : 0;
        input.size = mask & 16 ? (size_t)take_varint(chunk) : 0;
        input.bytes = input.size != 0 ? state_stream_take(chunk, input.size) : NULL;
        if (chunk->failed || medium > replay->media_count) {
            return damaged(replay, err, "an input in it is wrong");
        }
        input.medium = medium != 0 ? replay->media[medium - 1] : NULL;
        if (!queue(replay, &input, err)) {
            return false;
        }
    }
    return true;
}

static bool add_check(struct replay *replay, struct state_stream *chunk, struct error *err)
{
    struct tick86_input input = { .kind = INPUT_MARK };

    take_position(replay, chunk);
    if (replay->check_count == replay->check_capacity) {
        size_t capacity = replay->check_capacity * 2 + 64;
        struct check *grown = realloc(replay->checks, capacity * sizeof *grown);
        if (grown == NULL) {
            return damaged(replay, err, "out of memory");
        }
        replay->checks = grown;
        replay->check_capacity = capacity;
    }
    if (chunk->failed) {
        return damaged(replay, err, "a check in it is wrong");
    }
    replay->checks[replay->check_count++] =
        (struct check){ chunk->bytes + chunk->position, chunk->size - chunk->position };
    return queue(replay, &input, err);
}

static bool add_medium(struct replay *replay, struct state_stream *chunk, struct error *err)
{
    struct recorded_file file = { 0 }, now;
    struct block_options options = { .is_snapshot = true };

    if (!take_file(chunk, &file) || replay->media_count == MEDIA_MAX) {
        return damaged(replay, err, "a medium in it is wrong");
    }
    now = file;
    if (!recorded_file_look(&now) || now.size != file.size || now.hash != file.hash) {
        error_set(err, "'%.200s', which was put into a drive, is not what it was then", file.path);
        return error_hint(err, "bring that file back");
    }
    replay->media[replay->media_count] = block_open(file.path, &options, err);
    return replay->media[replay->media_count++] != NULL;
}

/* The recorded hashes after this check's changes. */
static bool apply_check(struct replay *replay, const struct check *check)
{
    struct state_stream stream = { .bytes = (uint8_t *)(uintptr_t)check->bytes, .size = check->size };
    uint64_t row = 0;

    while (stream.position < stream.size) {
        row += take_varint(&stream);
        uint32_t hash = (uint32_t)state_stream_take_number(&stream, 4);
        if (stream.failed || row >= replay->row_count) {
            return false;
        }
        replay->rows[row++] = hash;
    }
    return true;
}

static void compare(struct replay *replay)
{
    size_t used = 0;
    unsigned count = 0;

    if (replay->next_check == replay->check_count ||
        !apply_check(replay, &replay->checks[replay->next_check++]) || !state_hashes_look(&replay->hashes)) {
        replay->has_diverged = true;
        snprintf(replay->text, sizeof replay->text, "a check in the recording is wrong");
        return;
    }
    uint64_t icount = tick86_icount(replay->session->machine);
    for (unsigned n = 0; n < replay->row_count; n++) {
        char name[160];
        if (replay->rows[n] == replay->hashes.rows[n]) {
            continue;
        }
        if (count++ == 0) {
            used = (size_t)snprintf(replay->text, sizeof replay->text,
                                    "the replay has diverged between instruction %" PRIu64 " and %" PRIu64 ":",
                                    replay->good_icount, icount);
        }
        if (count <= NAMED_MAX && used < sizeof replay->text) {
            state_hashes_name(&replay->hashes, n, name, sizeof name);
            used += (size_t)snprintf(replay->text + used, sizeof replay->text - used, "%s %s", count > 1 ? "," : "", name);
        }
    }
    if (count > NAMED_MAX && used < sizeof replay->text) {
        snprintf(replay->text + used, sizeof replay->text - used, ", and %u more", count - NAMED_MAX);
    }
    replay->has_diverged = count != 0;
    replay->good_icount = icount;
}

static void observe(void *context, const struct tick86_input *input)
{
    struct replay *replay = context;

    if (replay->has_diverged || replay->has_ended) {
        return;
    }
    if (input->kind == INPUT_MARK) {
        compare(replay);
    }
    replay->has_ended = tick86_queued_inputs(replay->session->machine) == 0;
    if (replay->has_diverged || replay->has_ended) {
        tick86_request_stop(replay->session->machine);
    }
}

bool replay_begin(struct replay *replay, struct session *session, struct error *err)
{
    struct state_stream chunk;
    size_t at = replay->start;

    replay->session = session;
    if (tick86_icount(session->machine) != replay->start_icount || tick86_now_ns(session->machine) != replay->start_ns) {
        error_set(err, "the recording starts at instruction %" PRIu64 ", and the machine is at %" PRIu64,
                  replay->start_icount, tick86_icount(session->machine));
        return error_hint(err, "replay with no machine options: the recording has them");
    }
    replay->rows = calloc(replay->row_count + 1, sizeof *replay->rows);
    if (replay->rows == NULL || !state_hashes_init(&replay->hashes, session->machine)) {
        return error_set(err, "out of memory for the replay");
    }
    if (replay->hashes.row_count != replay->row_count) {
        error_set(err, "the recording is of a machine with %u rows of state, and this one has %u", replay->row_count,
                  replay->hashes.row_count);
        return error_hint(err, "use the tick86 that wrote it, with no machine options");
    }
    while (next_chunk(replay, &at, &chunk)) {
        uint64_t kind = state_stream_take_number(&chunk, 1);
        bool is_good = true;
        switch (kind) {
        case CHUNK_INPUTS: is_good = queue_inputs(replay, &chunk, err); break;
        case CHUNK_CHECK: is_good = add_check(replay, &chunk, err); break;
        case CHUNK_MEDIUM: is_good = add_medium(replay, &chunk, err); break;
        case CHUNK_END: replay->is_whole = true; break;
        default: is_good = damaged(replay, err, "it has a chunk of a kind that is not known"); break;
        }
        if (!is_good) {
            return false;
        }
        if (replay->is_whole) {
            break;
        }
    }
    replay->has_ended = tick86_queued_inputs(session->machine) == 0;
    replay->good_icount = replay->start_icount;
    tick86_observe_inputs(session->machine, observe, replay);
    tick86_set_replaying(session->machine, true);
    return true;
}

enum replay_state replay_poll(struct replay *replay, enum tick86_stop stop, char *text, size_t size)
{
    uint64_t icount = tick86_icount(replay->session->machine);

    if (replay->has_diverged) {
        snprintf(text, size, "%s", replay->text);
        return REPLAY_DIVERGED;
    }
    if (stop == STOP_MISSED) {
        snprintf(text, size,
                 "the replay has diverged between instruction %" PRIu64 " and %" PRIu64
                 ": clock: the guest is not where the next input belongs",
                 replay->good_icount, icount);
        return REPLAY_DIVERGED;
    }
    if (!replay->has_ended) {
        return REPLAY_GOES_ON;
    }
    if (replay->is_whole) {
        snprintf(text, size, "replayed to its end at instruction %" PRIu64 ": %zu checks agree", icount, replay->next_check);
        return REPLAY_ENDED;
    }
    snprintf(text, size,
             "replayed to instruction %" PRIu64 ", %zu checks agree; there the recording is %s (byte %zu of %zu)", icount,
             replay->next_check, replay->damage != 0 ? "cut or damaged" : "cut", replay->damage != 0 ? replay->damage : replay->size,
             replay->size);
    return REPLAY_CUT;
}

uint64_t replay_end_icount(const struct replay *replay)
{
    return replay->icount;
}

uint64_t replay_end_ns(const struct replay *replay)
{
    return replay->now_ns;
}
