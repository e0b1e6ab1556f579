/* recording.c - writes recordings; see recording.h.
 *
 * A ring is two recordings: the one that is FILE, and a younger one that takes its place when it is old enough. Both get all
 * inputs, so FILE always holds between one and two lengths of the ring. */
#define _FILE_OFFSET_BITS 64
#define _DEFAULT_SOURCE
#include "frontends/recording.h"

#include "frontends/host/block.h"
#include "mem/space.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { PIECE = 1 << 20, SAMPLES = 1024, SAMPLE = 4096, MEDIA_MAX = 64 };
#define CHECK_INSNS (UINT64_C(1) << 28) /* between hashes, whichever comes first */
#define CHECK_NS UINT64_C(5000000000)
#define WHOLE_HASH_MAX (UINT64_C(64) << 20)

/* One file that is being written. */
struct track {
    FILE *file;
    char path[SNAPSHOT_PATH_MAX];
    uint64_t icount, now_ns;  /* position of the last item */
    uint64_t start_ns;
    uint32_t *rows;           /* hashes as last written */
    bool has_rows;
    struct state_stream inputs; /* of the chunk to come */
    uint8_t mask_pad_[4];
};

struct recording {
    struct session *session;
    struct vm_origin origin;
    struct recorded_file files[RECORDED_FILES];
    unsigned file_count;
    struct recording_options options;
    struct track tracks[2];
    unsigned track_count;
    struct state_hashes hashes;
    uint64_t check_icount, check_ns;
    const struct block_backend *media[MEDIA_MAX]; /* put in while recording, by number */
    unsigned media_count;
    char path[SNAPSHOT_PATH_MAX];
    bool has_failed, has_gone_back;
    int error;
};

/* ---- files ---- */

bool recorded_file_look(struct recorded_file *file)
{
    if (file->blob != NULL) {
        file->size = file->blob->size;
        file->hash = HASH_SEED;
        for (size_t at = 0; at < file->size; at += PIECE) {
            size_t left = (size_t)file->size - at;
            file->hash = hash_bytes(file->hash, file->blob->bytes + at, left < PIECE ? left : PIECE);
        }
        return true;
    }
    FILE *in = fopen(file->path, "rb");
    uint8_t *bytes = malloc(PIECE);
    struct stat status;
    bool is_good = in != NULL && bytes != NULL && fstat(fileno(in), &status) == 0 && S_ISREG(status.st_mode);

    file->size = is_good ? (uint64_t)status.st_size : 0;
    file->hash = HASH_SEED;
    if (is_good && file->size <= WHOLE_HASH_MAX) {
        for (size_t got; (got = fread(bytes, 1, PIECE, in)) != 0;) {
            file->hash = hash_bytes(file->hash, bytes, got);
        }
    }
    for (unsigned n = 0; is_good && file->size > WHOLE_HASH_MAX && n < SAMPLES; n++) {
        uint64_t offset = (file->size - SAMPLE) / (SAMPLES - 1) * n;
        is_good = fseeko(in, (off_t)offset, SEEK_SET) == 0 && fread(bytes, 1, SAMPLE, in) == SAMPLE;
        file->hash = hash_bytes(file->hash, bytes, SAMPLE);
    }
    is_good = is_good && !ferror(in);
    if (in != NULL) {
        fclose(in);
    }
    free(bytes);
    return is_good;
}

/* ---- chunks ---- */

static bool write_chunk(struct track *track, const void *payload, size_t size)
{
    uint8_t head[CHUNK_HEAD];

    store_le32(head, (uint32_t)size);
    store_le32(head + 4, (uint32_t)crc32(crc32(0, head, 4), payload, (uInt)size));
    return fwrite(head, sizeof head, 1, track->file) == 1 && fwrite(payload, size, 1, track->file) == 1;
}

static bool write_stream(struct track *track, struct state_stream *stream)
{
    bool is_good = !stream->failed && write_chunk(track, stream->bytes, stream->size);

    state_stream_free(stream);
    return is_good;
}

static void put_varint(struct state_stream *stream, uint64_t value)
{
    uint8_t bytes[10];
    size_t size = 0;

    for (; value >= 0x80; value >>= 7) {
        bytes[size++] = (uint8_t)(value | 0x80);
    }
    bytes[size++] = (uint8_t)value;
    state_stream_put(stream, bytes, size);
}

static void put_signed(struct state_stream *stream, int32_t value)
{
    put_varint(stream, value < 0 ? ~((uint64_t)(uint32_t)value << 1) & 0xffffffff : (uint64_t)(uint32_t)value << 1);
}

static void put_position(struct track *track, struct state_stream *stream, uint64_t icount, uint64_t now_ns)
{
    put_varint(stream, icount - track->icount);
    put_varint(stream, now_ns - track->now_ns);
    track->icount = icount;
    track->now_ns = now_ns;
}

static bool flush_inputs(struct track *track)
{
    if (track->inputs.size == 0) {
        return true;
    }
    bool is_good = write_stream(track, &track->inputs);
    return is_good && fflush(track->file) == 0;
}

static void put_file(struct state_stream *stream, const struct recorded_file *file)
{
    state_stream_put(stream, file->role, sizeof file->role);
    state_stream_put_number(stream, file->size, 8);
    state_stream_put_number(stream, file->hash, 8);
    state_stream_put_number(stream, file->is_embedded, 1);
    put_varint(stream, strlen(file->path));
    state_stream_put(stream, file->path, strlen(file->path));
}

static FILE *open_content(const char *path, const struct tick86_blob *blob)
{
    FILE *in = blob != NULL ? tmpfile() : fopen(path, "rb");

    if (in != NULL && blob != NULL) {
        if (fwrite(blob->bytes, 1, blob->size, in) != blob->size || fseeko(in, 0, SEEK_SET) != 0) {
            fclose(in);
            return NULL;
        }
    }
    return in;
}

/* Pieces of a file, packed; each says where it belongs. */
static bool embed(struct track *track, uint32_t number, const char *path, const struct tick86_blob *blob)
{
    FILE *in = open_content(path, blob);
    uint8_t *bytes = malloc(PIECE), *packed = malloc(PIECE + PIECE / 2);
    uint64_t offset = 0;
    bool is_good = in != NULL && bytes != NULL && packed != NULL;

    for (size_t got; is_good && (got = fread(bytes, 1, PIECE, in)) != 0; offset += got) {
        struct state_stream stream = { 0 };
        uLongf size = PIECE + PIECE / 2;
        if (bytes[0] == 0 && memcmp(bytes, bytes + 1, got - 1) == 0) {
            continue; /* a hole */
        }
        is_good = compress2(packed, &size, bytes, (uLong)got, 1) == Z_OK;
        state_stream_put_number(&stream, CHUNK_FILE, 1);
        state_stream_put_number(&stream, number, 4);
        state_stream_put_number(&stream, offset, 8);
        state_stream_put_number(&stream, got, 4);
        state_stream_put(&stream, packed, size);
        is_good = write_stream(track, &stream) && is_good;
    }
    if (is_good) { /* the size, for files that end with a hole */
        struct state_stream stream = { 0 };
        state_stream_put_number(&stream, CHUNK_FILE, 1);
        state_stream_put_number(&stream, number, 4);
        state_stream_put_number(&stream, offset, 8);
        state_stream_put_number(&stream, 0, 4);
        is_good = write_stream(track, &stream) && !ferror(in);
    }
    if (in != NULL) {
        fclose(in);
    }
    free(bytes);
    free(packed);
    return is_good;
}

static bool embed_present(struct recording *recording, struct track *track, struct error *err)
{
    char path[SNAPSHOT_PATH_MAX + 16];
    struct vmstate_options options = { .name = "start of a recording", .has_disks = true };

    snprintf(path, sizeof path, "%s.start", track->path);
    if (!vmstate_save(recording->session, &recording->origin, path, &options, err)) {
        return false;
    }
    bool is_good = embed(track, START_FILE, path, NULL);
    unlink(path);
    return is_good || error_set(err, "cannot write recording '%.200s': %s", track->path, strerror(errno));
}

static bool write_start(struct recording *recording, struct track *track, bool starts_here, struct error *err)
{
    const struct snapshot *start = recording->options.start;
    struct state_stream stream = { 0 };

    if (starts_here) {
        return embed_present(recording, track, err);
    }
    if (start == NULL) {
        return true;
    }
    if (recording->options.embeds) {
        if (snapshot_parent(start) != NULL) {
            error_set(err, "cannot embed '%.200s': it needs a parent", snapshot_path(start));
            return error_hint(err, "load it and save it whole first");
        }
        return embed(track, START_FILE, snapshot_path(start), NULL) ||
               error_set(err, "cannot embed '%.200s': %s", snapshot_path(start), strerror(errno));
    }
    char *absolute = realpath(snapshot_path(start), NULL);
    const char *path = absolute != NULL ? absolute : snapshot_path(start);
    state_stream_put_number(&stream, CHUNK_START, 1);
    state_stream_put_number(&stream, snapshot_id(start), 8);
    state_stream_put(&stream, path, strlen(path));
    free(absolute);
    return write_stream(track, &stream) || error_set(err, "cannot write recording '%.200s': %s", track->path, strerror(errno));
}

static bool open_track(struct recording *recording, struct track *track, const char *path, bool starts_here,
                       struct error *err)
{
    uint8_t head[RECORDING_HEAD];
    struct state_stream stream = { 0 };
    struct tick86 *machine = recording->session->machine;

    memset(track, 0, sizeof *track);
    snprintf(track->path, sizeof track->path, "%s", path);
    track->rows = calloc(recording->hashes.row_count, sizeof *track->rows);
    track->file = fopen(path, "wb");
    if (track->file == NULL || track->rows == NULL) {
        error_set(err, "cannot write recording '%.200s': %s", path, strerror(errno));
        return error_hint(err, "check that the folder exists and you may write there");
    }
    track->icount = tick86_icount(machine);
    track->now_ns = track->start_ns = tick86_now_ns(machine);
    memcpy(head, RECORDING_MAGIC, 16);
    store_le32(head + 16, RECORDING_VERSION);
    bool is_good = fwrite(head, sizeof head, 1, track->file) == 1;
    state_stream_put_number(&stream, CHUNK_ORIGIN, 1);
    vm_origin_put(&recording->origin, &stream);
    state_stream_put_number(&stream, track->icount, 8);
    state_stream_put_number(&stream, track->now_ns, 8);
    state_stream_put_number(&stream, recording->hashes.row_count, 4);
    state_stream_put_number(&stream, recording->file_count, 4);
    for (unsigned n = 0; n < recording->file_count; n++) {
        put_file(&stream, &recording->files[n]);
    }
    is_good = write_stream(track, &stream) && is_good;
    for (unsigned n = 0; is_good && n < recording->file_count; n++) {
        is_good = !recording->files[n].is_embedded || embed(track, n, recording->files[n].path, recording->files[n].blob);
    }
    if (!is_good) {
        return error_set(err, "cannot write recording '%.200s': %s", path, strerror(errno));
    }
    return write_start(recording, track, starts_here, err) && fflush(track->file) == 0;
}

static bool close_track(struct track *track)
{
    bool is_good = track->file == NULL || flush_inputs(track);

    if (track->file != NULL) {
        is_good = fclose(track->file) == 0 && is_good;
    }
    free(track->rows);
    state_stream_free(&track->inputs);
    memset(track, 0, sizeof *track);
    return is_good;
}

/* ---- items ---- */

/* Which medium: its number among those put in, told before it is used. 0: none. */
static unsigned medium_number(struct recording *recording, const struct tick86_input *input)
{
    struct recorded_file file = { .role = "medium" };

    if (input->medium == NULL) {
        return 0;
    }
    for (unsigned n = 0; n < recording->media_count; n++) {
        if (recording->media[n] == input->medium) {
            return n + 1;
        }
    }
    snprintf(file.path, sizeof file.path, "%s", block_path(block_image_of(input->medium)));
    if (recording->media_count == MEDIA_MAX || !recorded_file_look(&file)) {
        recording->has_failed = true;
        return 0;
    }
    for (unsigned n = 0; n < recording->track_count; n++) {
        struct state_stream stream = { 0 };
        state_stream_put_number(&stream, CHUNK_MEDIUM, 1);
        put_file(&stream, &file);
        recording->has_failed = !flush_inputs(&recording->tracks[n]) || !write_stream(&recording->tracks[n], &stream) ||
                                recording->has_failed;
    }
    recording->media[recording->media_count++] = input->medium;
    return recording->media_count;
}

static void add_input(struct track *track, const struct tick86_input *input, unsigned medium)
{
    struct state_stream *to = &track->inputs;
    uint8_t mask = (uint8_t)((input->unit != 0 ? 1 : 0) | ((input->x | input->y | input->z) != 0 ? 2 : 0) |
                             (input->value != 0 ? 4 : 0) | (medium != 0 ? 8 : 0) | (input->size != 0 ? 16 : 0));

    if (to->size == 0) {
        state_stream_put_number(to, CHUNK_INPUTS, 1);
    }
    put_position(track, to, input->icount, input->now_ns);
    put_varint(to, input->kind);
    state_stream_put_number(to, mask, 1);
    if (mask & 1) {
        put_varint(to, input->unit);
    }
    if (mask & 2) {
        put_signed(to, input->x);
        put_signed(to, input->y);
        put_signed(to, input->z);
    }
    if (mask & 4) {
        put_varint(to, input->value);
    }
    if (mask & 8) {
        put_varint(to, medium);
    }
    if (mask & 16) {
        put_varint(to, input->size);
        state_stream_put(to, input->bytes, input->size);
    }
}

/* Rows whose hash is not the one written last: number of rows skipped, hash. */
static bool write_check(struct recording *recording, struct track *track, uint64_t icount, uint64_t now_ns)
{
    struct state_stream stream = { 0 };
    unsigned skipped = 0;

    state_stream_put_number(&stream, CHUNK_CHECK, 1);
    put_position(track, &stream, icount, now_ns);
    for (unsigned n = 0; n < recording->hashes.row_count; n++) {
        if (track->has_rows && track->rows[n] == recording->hashes.rows[n]) {
            skipped++;
            continue;
        }
        put_varint(&stream, skipped);
        state_stream_put_number(&stream, recording->hashes.rows[n], 4);
        track->rows[n] = recording->hashes.rows[n];
        skipped = 0;
    }
    track->has_rows = true;
    return write_stream(track, &stream) && fflush(track->file) == 0;
}

static void observe(void *context, const struct tick86_input *input)
{
    struct recording *recording = context;

    if (recording->has_failed || recording->has_gone_back) {
        return;
    }
    if (input->icount < recording->tracks[0].icount || input->now_ns < recording->tracks[0].now_ns) {
        recording->has_gone_back = true;
        return;
    }
    if (input->kind == INPUT_MARK) {
        recording->has_failed = !state_hashes_look(&recording->hashes);
        for (unsigned n = 0; n < recording->track_count && !recording->has_failed; n++) {
            recording->has_failed = !flush_inputs(&recording->tracks[n]) ||
                                    !write_check(recording, &recording->tracks[n], input->icount, input->now_ns);
        }
        return;
    }
    unsigned medium = medium_number(recording, input);
    for (unsigned n = 0; n < recording->track_count; n++) {
        add_input(&recording->tracks[n], input, medium);
    }
}

/* ---- life ---- */

static void mark(struct recording *recording)
{
    struct tick86_input input = { .kind = INPUT_MARK };

    (void)tick86_input(recording->session->machine, &input, NULL, NULL);
    recording->check_icount = tick86_icount(recording->session->machine) + CHECK_INSNS;
    recording->check_ns = tick86_now_ns(recording->session->machine) + CHECK_NS;
}

static void release(struct recording *recording)
{
    tick86_observe_inputs(recording->session->machine, NULL, NULL);
    for (unsigned n = 0; n < recording->track_count; n++) {
        (void)close_track(&recording->tracks[n]);
    }
    state_hashes_free(&recording->hashes);
    free(recording->origin.arguments);
    free(recording);
}

struct recording *recording_create(const char *path, struct session *session, const struct vm_origin *origin,
                                   const struct recorded_file *files, unsigned file_count,
                                   const struct recording_options *options, struct error *err)
{
    struct recording *recording = calloc(1, sizeof *recording);

    if (recording == NULL) {
        error_set(err, "out of memory for the recording");
        return NULL;
    }
    recording->session = session;
    recording->options = *options;
    recording->origin = *origin;
    recording->origin.arguments = malloc(origin->arguments_size + 1);
    snprintf(recording->path, sizeof recording->path, "%s", path);
    if (recording->origin.arguments == NULL || !state_hashes_init(&recording->hashes, session->machine)) {
        error_set(err, "out of memory for the recording");
        release(recording);
        return NULL;
    }
    memcpy(recording->origin.arguments, origin->arguments, origin->arguments_size);
    for (unsigned n = 0; n < file_count && n < RECORDED_FILES; n++) {
        struct recorded_file *file = &recording->files[recording->file_count++];
        *file = files[n];
        file->is_embedded = options->embeds;
        if (!recorded_file_look(file)) {
            error_set(err, "cannot record: '%.200s' cannot be read", file->path);
            release(recording);
            return NULL;
        }
    }
    recording->track_count = 1;
    if (!open_track(recording, &recording->tracks[0], path, options->starts_here, err)) {
        release(recording);
        return NULL;
    }
    tick86_observe_inputs(session->machine, observe, recording);
    mark(recording);
    return recording;
}

/* The younger recording becomes FILE, and a new one begins. */
static bool turn_ring(struct recording *recording, struct error *err)
{
    char path[SNAPSHOT_PATH_MAX + 8];
    uint64_t now = tick86_now_ns(recording->session->machine);
    struct track *last = &recording->tracks[recording->track_count - 1];

    if (recording->options.ring_ns == 0 || now - last->start_ns < recording->options.ring_ns) {
        return true;
    }
    if (recording->track_count == 2) {
        (void)close_track(&recording->tracks[0]);
        recording->tracks[0] = recording->tracks[1];
        recording->track_count = 1;
        if (rename(recording->tracks[0].path, recording->path) != 0) {
            return error_set(err, "cannot write recording '%.200s': %s", recording->path, strerror(errno));
        }
        snprintf(recording->tracks[0].path, sizeof recording->tracks[0].path, "%s", recording->path);
    }
    snprintf(path, sizeof path, "%s.next", recording->path);
    if (!open_track(recording, &recording->tracks[1], path, true, err)) {
        return false;
    }
    recording->track_count = 2;
    mark(recording);
    return true;
}

bool recording_poll(struct recording *recording, struct error *err)
{
    struct tick86 *machine = recording->session->machine;
    struct tick86_history_info info;

    if (recording->has_gone_back) {
        error_set(err, "the recording '%.200s' ends at instruction %llu: the run went back behind it", recording->path,
                  (unsigned long long)recording->tracks[0].icount);
        return error_hint(err, "record the rest anew");
    }
    tick86_history_info(machine, &info);
    if (info.is_in_past) {
        return true;
    }
    if (tick86_icount(machine) >= recording->check_icount || tick86_now_ns(machine) >= recording->check_ns) {
        mark(recording);
    }
    for (unsigned n = 0; n < recording->track_count; n++) {
        recording->has_failed = !flush_inputs(&recording->tracks[n]) || recording->has_failed;
    }
    if (recording->has_failed) {
        error_set(err, "cannot write recording '%.200s': %s", recording->path, strerror(errno));
        return error_hint(err, "make room on that disk");
    }
    return turn_ring(recording, err);
}

bool recording_close(struct recording *recording, struct error *err)
{
    bool is_good = !recording->has_failed;

    if (!recording->has_gone_back) {
        mark(recording);
    }
    for (unsigned n = 0; n < recording->track_count && is_good; n++) {
        uint8_t end = CHUNK_END;
        is_good = flush_inputs(&recording->tracks[n]) && write_chunk(&recording->tracks[n], &end, 1) &&
                  fflush(recording->tracks[n].file) == 0;
    }
    if (recording->track_count == 2) {
        unlink(recording->tracks[1].path);
    }
    if (!is_good) {
        error_set(err, "cannot write recording '%.200s' whole: %s", recording->path, strerror(errno));
    }
    release(recording);
    return is_good;
}
