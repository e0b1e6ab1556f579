/* vmstate.c - see vmstate.h. Parts of the file:
 *
 *   "info"     name, counts, date
 *   "origin"   what the machine is built from
 *   "state"    processors, clock, chips (tick86_save)
 *   "pages:*"  ram, vram
 *   "session"  keys that are held down
 *   "disks"    for each drive: sectors, and how its content is kept
 *   "pages:disk N"  what a drive's -snapshot overlay holds */
#define _DEFAULT_SOURCE
#include "frontends/vmstate.h"

#include "frontends/host/block.h"
#include "mem/space.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DRIVES = TICK86_DISKS + TICK86_FLOPPIES, NAME_MAX_BYTES = 63 };
/* How a drive's content at that moment is found again. */
enum disk_kind { DISK_NONE, DISK_READONLY, DISK_OVERLAY, DISK_INTERNAL };

static struct block_backend *drive_of(const struct session *session, unsigned n)
{
    return n < TICK86_DISKS ? session->media[n] : session->floppies[n - TICK86_DISKS];
}

static const char *path_of(const struct session *session, unsigned n)
{
    return n < TICK86_DISKS ? session->media_paths[n] : session->floppy_paths[n - TICK86_DISKS];
}

static enum disk_kind kind_of(struct block_backend *drive)
{
    if (drive == NULL || drive->sectors == 0) {
        return DISK_NONE;
    }
    return block_has_overlay(drive) ? DISK_OVERLAY : drive->is_readonly ? DISK_READONLY : DISK_INTERNAL;
}

/* ---- small parts ---- */

void vm_origin_put(const struct vm_origin *origin, struct state_stream *stream)
{
    state_stream_put_number(stream, origin->rtc_base_seconds, 8);
    state_stream_put_number(stream, origin->random_seed, 8);
    state_stream_put_number(stream, origin->start_ratio_q16, 8);
    state_stream_put_number(stream, origin->arguments_size, 4);
    state_stream_put(stream, origin->arguments, origin->arguments_size);
}

bool vm_origin_take(struct vm_origin *origin, struct state_stream *stream)
{
    origin->rtc_base_seconds = state_stream_take_number(stream, 8);
    origin->random_seed = state_stream_take_number(stream, 8);
    origin->start_ratio_q16 = state_stream_take_number(stream, 8);
    origin->arguments_size = (size_t)state_stream_take_number(stream, 4);
    const uint8_t *bytes = state_stream_take(stream, origin->arguments_size);
    if (bytes == NULL || (origin->arguments_size != 0 && bytes[origin->arguments_size - 1] != '\0')) {
        return false;
    }
    origin->arguments = malloc(origin->arguments_size + 1);
    if (origin->arguments == NULL) {
        return false;
    }
    memcpy(origin->arguments, bytes, origin->arguments_size);
    return true;
}

static bool put_stream(struct snapshot_writer *writer, const char *name, struct state_stream *stream)
{
    bool is_good = !stream->failed && snapshot_put(writer, name, stream->bytes, stream->size);

    state_stream_free(stream);
    return is_good;
}

static bool put_info(struct snapshot_writer *writer, const struct session *session, const char *name)
{
    struct state_stream stream = { 0 };
    char padded[NAME_MAX_BYTES + 1] = "";

    snprintf(padded, sizeof padded, "%s", name != NULL ? name : "");
    state_stream_put(&stream, padded, sizeof padded);
    state_stream_put_number(&stream, tick86_icount(session->machine), 8);
    state_stream_put_number(&stream, tick86_now_ns(session->machine), 8);
    state_stream_put_number(&stream, (uint64_t)time(NULL), 8);
    return put_stream(writer, "info", &stream);
}

/* A stream over a part of the file; not to be freed. */
static bool open_part(const struct snapshot *snapshot, const char *name, struct state_stream *stream)
{
    size_t size;
    const uint8_t *part = snapshot_part(snapshot, name, &size);

    *stream = (struct state_stream){ .bytes = (uint8_t *)(uintptr_t)part, .size = size };
    return part != NULL;
}

bool vmstate_describe(const struct snapshot *snapshot, struct vmstate_info *info)
{
    struct state_stream stream;
    struct stat status;

    memset(info, 0, sizeof *info);
    if (!open_part(snapshot, "info", &stream)) {
        return false;
    }
    const uint8_t *name = state_stream_take(&stream, NAME_MAX_BYTES + 1);
    if (name != NULL) {
        memcpy(info->name, name, NAME_MAX_BYTES);
    }
    info->icount = state_stream_take_number(&stream, 8);
    info->now_ns = state_stream_take_number(&stream, 8);
    info->date_s = state_stream_take_number(&stream, 8);
    info->ram_bytes = snapshot_pages_size(snapshot, "ram");
    info->file_bytes = stat(snapshot_path(snapshot), &status) == 0 ? (uint64_t)status.st_blocks * 512 : 0;
    return !stream.failed;
}

bool vmstate_origin(const struct snapshot *snapshot, struct vm_origin *origin)
{
    struct state_stream stream;

    memset(origin, 0, sizeof *origin);
    return open_part(snapshot, "origin", &stream) && vm_origin_take(origin, &stream);
}

static bool put_session(struct snapshot_writer *writer, const struct session *session)
{
    struct state_stream stream = { 0 };

    state_stream_put_number(&stream, session->mouse_buttons, 4);
    state_stream_put_number(&stream, session->held_count, 4);
    for (unsigned n = 0; n < session->held_count; n++) {
        state_stream_put_number(&stream, session->held[n].key, 4);
        state_stream_put_number(&stream, session->held[n].at_ns, 8);
    }
    return put_stream(writer, "session", &stream);
}

static void take_session(const struct snapshot *snapshot, struct session *session)
{
    struct state_stream stream;

    session->held_count = 0;
    if (!open_part(snapshot, "session", &stream)) {
        return;
    }
    session->mouse_buttons = (unsigned)state_stream_take_number(&stream, 4);
    unsigned count = (unsigned)state_stream_take_number(&stream, 4);
    for (unsigned n = 0; n < count && n < SESSION_KEYS && !stream.failed; n++) {
        session->held[n].key = (enum key_code)(state_stream_take_number(&stream, 4) & 0xff);
        session->held[n].at_ns = state_stream_take_number(&stream, 8);
        session->held_count = n + 1;
    }
}

/* ---- memories ---- */

struct page_set {
    uint8_t *bits[2]; /* a byte for each page; NULL: all pages */
    uint64_t pages[2];
};

static void mark_page(void *context, unsigned memory, uint64_t page)
{
    struct page_set *set = context;

    if (memory < 2 && set->bits[memory] != NULL && page < set->pages[memory]) {
        set->bits[memory][page] = 1;
    }
}

/* The pages written since the last snapshot; all when there is no parent to refer to. */
static bool changed_pages(struct session *session, const struct vmstate_options *options, struct page_set *set)
{
    struct tick86_memory memory;
    bool has_parent = options->parent != NULL;

    memset(set, 0, sizeof *set);
    for (unsigned n = 0; has_parent && n < 2 && tick86_memory(session->machine, n, &memory); n++) {
        set->pages[n] = memory.size / SNAPSHOT_PAGE;
        set->bits[n] = calloc(1, (size_t)set->pages[n]);
        if (set->bits[n] == NULL) {
            return false;
        }
    }
    return (!has_parent && !options->is_base) ||
           tick86_dirty_pages(session->machine, options->is_checkpoint ? DIRTY_CHECKPOINT : DIRTY_SNAPSHOT, mark_page, set);
}

static bool put_memory(struct snapshot_writer *writer, const struct tick86_memory *memory, const uint8_t *changed)
{
    uint64_t pages = memory->size / SNAPSHOT_PAGE;
    bool is_good = snapshot_begin_pages(writer, memory->name, memory->size, changed == NULL);

    for (uint64_t first = 0; is_good && first < pages;) {
        uint64_t end = first + 1;
        while (end < pages && end - first < 4096 && (changed == NULL || (changed[end] != 0) == (changed[first] != 0))) {
            end++;
        }
        is_good = changed == NULL || changed[first] != 0
                      ? snapshot_put_pages(writer, first, (uint32_t)(end - first), memory->bytes + first * SNAPSHOT_PAGE)
                      : snapshot_put_parents(writer, first, (uint32_t)(end - first));
        first = end;
    }
    return is_good && snapshot_end_pages(writer);
}

/* ---- disks ---- */

struct overlay_writer {
    struct snapshot_writer *writer;
    bool is_good;
};

static bool put_cluster(void *context, uint64_t offset, uint32_t size, const uint8_t *bytes)
{
    struct overlay_writer *to = context;

    return snapshot_put_pages(to->writer, offset / SNAPSHOT_PAGE, size / SNAPSHOT_PAGE, bytes);
}

static void internal_name(const char *path, char *name, size_t size)
{
    const char *slash = strrchr(path, '/');

    snprintf(name, size, "%.200s", slash != NULL ? slash + 1 : path);
}

static bool check_disks(const struct session *session, struct error *err)
{
    for (unsigned n = 0; n < DRIVES; n++) {
        struct block_backend *drive = drive_of(session, n);
        if (kind_of(drive) == DISK_INTERNAL && strcmp(block_format_name(block_image_of(drive)), "qcow2") != 0) {
            error_set(err, "the guest writes to '%.200s', whose format (%s) has no snapshots",
                      path_of(session, n) != NULL ? path_of(session, n) : "a disk",
                      block_format_name(block_image_of(drive)));
            return error_hint(err, "start with -snapshot, or with -drive file=...,overlay=LAYER.qcow2");
        }
    }
    return true;
}

static bool put_disks(struct snapshot_writer *writer, struct session *session, const char *path, bool only_new,
                      struct error *err)
{
    struct state_stream stream = { 0 };
    char name[256];

    internal_name(path, name, sizeof name);
    state_stream_put_number(&stream, DRIVES, 4);
    for (unsigned n = 0; n < DRIVES; n++) {
        struct block_backend *drive = drive_of(session, n);
        state_stream_put_number(&stream, (uint64_t)kind_of(drive), 4);
        state_stream_put_number(&stream, drive != NULL ? drive->sectors : 0, 8);
    }
    state_stream_put_number(&stream, strlen(name), 4);
    state_stream_put(&stream, name, strlen(name));
    if (!put_stream(writer, "disks", &stream)) {
        return error_set(err, "out of memory");
    }
    for (unsigned n = 0; n < DRIVES; n++) {
        struct block_backend *drive = drive_of(session, n);
        struct overlay_writer to = { writer, true };
        char pages[16];
        snprintf(pages, sizeof pages, "disk %u", n);
        uint64_t size = drive != NULL ? (drive->sectors * SECTOR_SIZE + SNAPSHOT_PAGE - 1) / SNAPSHOT_PAGE * SNAPSHOT_PAGE : 0;
        if (kind_of(drive) == DISK_OVERLAY &&
            !(snapshot_begin_pages(writer, pages, size, false) && block_visit_overlay(drive, only_new, put_cluster, &to) &&
              snapshot_end_pages(writer))) {
            return error_set(err, "cannot save what the guest wrote to drive %u", n);
        }
        if (kind_of(drive) == DISK_INTERNAL) {
            struct error ignored = { "", "" };
            (void)block_snapshot(block_image_of(drive), SNAPSHOT_DELETE, name, 0, &ignored);
            if (!block_snapshot(block_image_of(drive), SNAPSHOT_CREATE, name, (uint64_t)time(NULL), err) ||
                !block_flush(block_image_of(drive))) {
                return false;
            }
        }
    }
    return true;
}

bool vmstate_put_pages(void *context, uint64_t first, uint32_t count, const uint8_t *bytes)
{
    struct block_backend *drive = context;
    static const uint8_t zeros[SNAPSHOT_PAGE];
    const uint32_t per_page = SNAPSHOT_PAGE / SECTOR_SIZE;

    for (uint32_t n = 0; n < count; n++) {
        uint64_t sector = (first + n) * per_page;
        uint64_t left = sector < drive->sectors ? drive->sectors - sector : 0;
        uint32_t sectors = left < per_page ? (uint32_t)left : per_page;
        if (sectors != 0 && !drive->write(drive->context, sector, sectors,
                                          bytes != NULL ? bytes + (size_t)n * SNAPSHOT_PAGE : zeros)) {
            return false;
        }
    }
    return true;
}

/* One drive becomes what it was. A drive that is opened with -snapshot by now over a qcow2 image with an internal snapshot shows
 * that one through its overlay; block_view_snapshot does it. */
static bool take_disk(struct session *session, const struct snapshot *snapshot, unsigned n, enum disk_kind kind,
                      uint64_t sectors, const char *name, struct error *err)
{
    struct block_backend *drive = drive_of(session, n);
    char pages[16];

    if (kind == DISK_NONE) {
        return true;
    }
    if (drive == NULL || drive->sectors != sectors) {
        error_set(err, "drive %u had a medium of %llu sectors, and has %llu now", n, (unsigned long long)sectors,
                  (unsigned long long)(drive != NULL ? drive->sectors : 0));
        return error_hint(err, "put the same images into the same drives");
    }
    if (kind == DISK_OVERLAY) {
        if (!block_has_overlay(drive)) {
            error_set(err, "the snapshot was made with -snapshot: drive %u must not be written", n);
            return error_hint(err, "add -snapshot");
        }
        snprintf(pages, sizeof pages, "disk %u", n);
        return (block_empty_overlay(drive) || error_set(err, "cannot empty the overlay of drive %u", n)) &&
               snapshot_visit_pages(snapshot, pages, vmstate_put_pages, drive, err);
    }
    if (kind == DISK_INTERNAL) {
        if (block_has_overlay(drive)) {
            return block_empty_overlay(drive) && block_view_snapshot(drive, name, err);
        }
        return block_snapshot(block_image_of(drive), SNAPSHOT_APPLY, name, 0, err);
    }
    return !block_has_overlay(drive) || block_empty_overlay(drive);
}

static bool take_disks(struct session *session, const struct snapshot *snapshot, struct error *err)
{
    struct state_stream stream;
    enum disk_kind kinds[DRIVES];
    uint64_t sectors[DRIVES];
    char name[256] = "";

    if (!open_part(snapshot, "disks", &stream)) {
        return true; /* taken without disks */
    }
    uint64_t count = state_stream_take_number(&stream, 4);
    for (unsigned n = 0; n < DRIVES && count == DRIVES; n++) {
        kinds[n] = (enum disk_kind)(state_stream_take_number(&stream, 4) & 3);
        sectors[n] = state_stream_take_number(&stream, 8);
    }
    size_t length = (size_t)state_stream_take_number(&stream, 4);
    const uint8_t *text = length < sizeof name ? state_stream_take(&stream, length) : NULL;
    if (count != DRIVES || text == NULL) {
        return error_set(err, "the snapshot's list of disks is damaged");
    }
    memcpy(name, text, length);
    for (unsigned n = 0; n < DRIVES; n++) {
        if (!take_disk(session, snapshot, n, kinds[n], sectors[n], name, err)) {
            return false;
        }
    }
    return true;
}

/* ---- whole ---- */

static bool save_parts(struct snapshot_writer *writer, struct session *session, const struct vm_origin *origin,
                       const char *path, const struct vmstate_options *options, struct error *err)
{
    struct state_stream stream = { 0 };
    struct page_set set;
    struct tick86_memory memory;
    bool is_good = put_info(writer, session, options->name);

    vm_origin_put(origin, &stream);
    is_good = put_stream(writer, "origin", &stream) && is_good;
    is_good = tick86_save(session->machine, &stream) && is_good;
    is_good = put_stream(writer, "state", &stream) && is_good;
    is_good = put_session(writer, session) && is_good;
    is_good = changed_pages(session, options, &set) && is_good;
    for (unsigned n = 0; is_good && tick86_memory(session->machine, n, &memory); n++) {
        is_good = put_memory(writer, &memory, n < 2 ? set.bits[n] : NULL);
    }
    free(set.bits[0]);
    free(set.bits[1]);
    return is_good && (!options->has_disks || put_disks(writer, session, path, options->is_checkpoint && options->parent != NULL, err));
}

bool vmstate_save(struct session *session, const struct vm_origin *origin, const char *path,
                  const struct vmstate_options *options, struct error *err)
{
    if (options->has_disks && !check_disks(session, err)) {
        return false;
    }
    struct snapshot_writer *writer = snapshot_create(path, options->parent, options->is_compressed, err);
    if (writer == NULL) {
        return false;
    }
    err->message[0] = '\0';
    bool is_good = save_parts(writer, session, origin, path, options, err);
    if (!is_good && err->message[0] != '\0') {
        struct error ignored;
        (void)snapshot_finish(writer, false, &ignored);
        return false;
    }
    return snapshot_finish(writer, true, err);
}

static const char *const known_parts[] = { "parent", "info", "origin", "state", "session", "disks" };

static bool check_parts(const struct snapshot *snapshot, struct error *err)
{
    const char *name;

    for (unsigned n = 0; (name = snapshot_part_name(snapshot, n)) != NULL; n++) {
        bool is_known = name[0] == '?' || strncmp(name, "pages:", 6) == 0;
        for (size_t k = 0; k < sizeof known_parts / sizeof known_parts[0]; k++) {
            is_known = is_known || strcmp(name, known_parts[k]) == 0;
        }
        if (!is_known) {
            error_set(err, "the snapshot has a part '%.60s' that this tick86 does not know", name);
            return error_hint(err, "use the tick86 that wrote it");
        }
    }
    return true;
}

static bool check_memories(const struct session *session, const struct snapshot *snapshot, struct error *err)
{
    struct tick86_memory memory;

    for (unsigned n = 0; tick86_memory(session->machine, n, &memory); n++) {
        uint64_t size = snapshot_pages_size(snapshot, memory.name);
        if (size != memory.size) {
            error_set(err, "the snapshot has %llu MiB of %s, and this machine has %llu", (unsigned long long)size >> 20,
                      memory.name, (unsigned long long)memory.size >> 20);
            return error_hint(err, "give the same -m, or none: -loadvm FILE alone builds the machine that was saved");
        }
    }
    return true;
}

bool vmstate_load(struct session *session, const struct snapshot *snapshot, bool has_memory, struct error *err)
{
    struct state_stream stream, before = { 0 };
    struct tick86_memory memory;

    if (!check_parts(snapshot, err) || !check_memories(session, snapshot, err)) {
        return false;
    }
    if (!open_part(snapshot, "state", &stream)) {
        return error_set(err, "the snapshot has no state: it is damaged");
    }
    if (!has_memory && !tick86_save(session->machine, &before)) {
        state_stream_free(&before);
        return error_set(err, "out of memory for the snapshot");
    }
    if (!tick86_load(session->machine, &stream, err)) {
        struct error ignored = { "", "" };
        if (!has_memory) {
            (void)tick86_load(session->machine, &before, &ignored); /* memory has not changed yet */
        }
        state_stream_free(&before);
        return false;
    }
    state_stream_free(&before);
    tick86_history_stop(session->machine);
    for (unsigned n = 0; !has_memory && tick86_memory(session->machine, n, &memory); n++) {
        if (!snapshot_read_memory(snapshot, memory.name, memory.bytes, err)) {
            tick86_memory_changed(session->machine);
            session_stop(session, "a snapshot could not be loaded");
            return false;
        }
    }
    tick86_memory_changed(session->machine);
    (void)tick86_dirty_pages(session->machine, DIRTY_SNAPSHOT, NULL, NULL);
    if (!take_disks(session, snapshot, err)) {
        session_stop(session, "a snapshot could not be loaded");
        return false;
    }
    take_session(snapshot, session);
    return true;
}

bool vmstate_delete(struct session *session, const char *path, struct error *err)
{
    struct snapshot *snapshot = snapshot_open(path, err);
    struct error ignored = { "", "" };
    char name[256];

    if (snapshot == NULL) {
        return false;
    }
    snapshot_close(snapshot);
    internal_name(path, name, sizeof name);
    for (unsigned n = 0; n < DRIVES; n++) {
        if (kind_of(drive_of(session, n)) == DISK_INTERNAL) {
            (void)block_snapshot(block_image_of(drive_of(session, n)), SNAPSHOT_DELETE, name, 0, &ignored);
        }
    }
    if (unlink(path) != 0) {
        return error_set(err, "cannot delete snapshot '%.200s'", path);
    }
    return true;
}
