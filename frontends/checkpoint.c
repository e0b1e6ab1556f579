/* checkpoint.c - see checkpoint.h.
 *
 * FILE is a snapshot. Before the next one takes its place it gets a second name, FILE.N, by which the new one refers to the
 * pages and disk sectors that did not change; so a crash at any moment leaves a whole chain, the old or the new one. Now and
 * then a whole snapshot is written and the chain deleted.
 *
 * The images are not written while the guest runs: what it writes is in an overlay, and in the checkpoints. When it powers
 * off, one more checkpoint is made, whose disks then go to the images. A crash in the middle of that resumes at the power-off
 * and does it again. */
#define _DEFAULT_SOURCE
#include "frontends/checkpoint.h"

#include "frontends/host/block.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHAIN_MAX = 32, DRIVES = TICK86_DISKS + TICK86_FLOPPIES };
#define EVERY_NS UINT64_C(10000000000)

struct checkpointer {
    char path[SNAPSHOT_PATH_MAX];
    uint64_t every_ns, last_wall_ns, last_icount, last_ns;
    struct session *session;
    struct vm_origin origin;
    unsigned chain;   /* how many files FILE refers to */
    bool has_parent;  /* FILE is what pages may refer to */
};

bool checkpoint_parse(const char *spec, char *path, size_t size, uint64_t *every_ns, struct error *err)
{
    const char *comma = strchr(spec, ',');
    char *end = NULL;

    *every_ns = EVERY_NS;
    snprintf(path, size, "%.*s", comma != NULL ? (int)(comma - spec) : (int)strlen(spec), spec);
    if (comma != NULL) {
        double seconds = strncmp(comma + 1, "every=", 6) == 0 ? strtod(comma + 7, &end) : 0;
        if (end == NULL || end == comma + 7 || (*end != '\0' && strcmp(end, "s") != 0) || !(seconds >= 0.01) || seconds > 1e6) {
            error_set(err, "-checkpoint does not take '%s'", comma + 1);
            return error_hint(err, "-checkpoint FILE[,every=10s]");
        }
        *every_ns = (uint64_t)(seconds * 1e9);
    }
    if (path[0] == '\0') {
        error_set(err, "-checkpoint needs the name of a file");
        return error_hint(err, "-checkpoint FILE[,every=10s]");
    }
    return true;
}

static struct block_backend *drive_of(const struct session *session, unsigned n)
{
    return n < TICK86_DISKS ? session->media[n] : session->floppies[n - TICK86_DISKS];
}

static void link_path(const struct checkpointer *checkpointer, unsigned n, char *path, size_t size)
{
    snprintf(path, size, "%s.%u", checkpointer->path, n);
}

static void remove_links(const struct checkpointer *checkpointer)
{
    char path[SNAPSHOT_PATH_MAX + 16];

    for (unsigned n = 0; n <= CHAIN_MAX; n++) {
        link_path(checkpointer, n, path, sizeof path);
        unlink(path);
    }
}

static unsigned depth_of(const char *path)
{
    struct error err = { "", "" };
    struct snapshot *snapshot = snapshot_open(path, &err);
    unsigned depth = 0;

    for (const struct snapshot *at = snapshot; at != NULL && snapshot_parent(at) != NULL; at = snapshot_parent(at)) {
        depth++;
    }
    snapshot_close(snapshot);
    return depth;
}

struct checkpointer *checkpointer_create(const char *path, uint64_t every_ns, struct session *session,
                                         const struct vm_origin *origin, bool is_resumed, struct error *err)
{
    struct checkpointer *checkpointer = calloc(1, sizeof *checkpointer);

    if (checkpointer == NULL) {
        error_set(err, "out of memory for checkpoints");
        return NULL;
    }
    snprintf(checkpointer->path, sizeof checkpointer->path, "%s", path);
    checkpointer->every_ns = every_ns;
    checkpointer->session = session;
    checkpointer->origin = *origin;
    checkpointer->has_parent = is_resumed;
    checkpointer->last_icount = UINT64_MAX;
    if (is_resumed) {
        checkpointer->chain = depth_of(path);
        (void)tick86_dirty_pages(session->machine, DIRTY_CHECKPOINT, NULL, NULL);
        for (unsigned n = 0; n < DRIVES; n++) {
            block_mark_overlay(drive_of(session, n));
        }
    }
    return checkpointer;
}

/* FILE's second name, opened; NULL: a whole snapshot has to be written. */
static struct snapshot *parent_of_next(struct checkpointer *checkpointer)
{
    char path[SNAPSHOT_PATH_MAX + 16];
    struct error err = { "", "" };

    if (!checkpointer->has_parent || checkpointer->chain >= CHAIN_MAX) {
        return NULL;
    }
    link_path(checkpointer, checkpointer->chain, path, sizeof path);
    unlink(path);
    return link(checkpointer->path, path) == 0 ? snapshot_open(path, &err) : NULL;
}

static bool save(struct checkpointer *checkpointer, struct error *err)
{
    struct snapshot *parent = parent_of_next(checkpointer);
    struct vmstate_options options = { .name = "checkpoint",
                                       .parent = parent,
                                       .is_base = true,
                                       .has_disks = true,
                                       .is_checkpoint = true };
    bool is_good = vmstate_save(checkpointer->session, &checkpointer->origin, checkpointer->path, &options, err);

    checkpointer->has_parent = is_good; /* what was dirty is not known any more after a failure */
    if (is_good && parent == NULL) {
        remove_links(checkpointer);
        checkpointer->chain = 0;
    } else if (is_good) {
        checkpointer->chain++;
    }
    if (is_good) {
        for (unsigned n = 0; n < DRIVES; n++) {
            block_mark_overlay(drive_of(checkpointer->session, n));
        }
        checkpointer->last_icount = tick86_icount(checkpointer->session->machine);
        checkpointer->last_ns = tick86_now_ns(checkpointer->session->machine);
    }
    snapshot_close(parent);
    return is_good;
}

bool checkpointer_poll(struct checkpointer *checkpointer, uint64_t wall_ns, struct error *err)
{
    if (checkpointer->last_wall_ns != 0 && wall_ns - checkpointer->last_wall_ns < checkpointer->every_ns) {
        return true;
    }
    checkpointer->last_wall_ns = wall_ns;
    if (checkpointer->last_icount == tick86_icount(checkpointer->session->machine) &&
        checkpointer->last_ns == tick86_now_ns(checkpointer->session->machine)) {
        return true;
    }
    return save(checkpointer, err);
}

/* What the snapshot has of drive `n` goes to the image. */
static bool commit_drive(struct checkpointer *checkpointer, const struct snapshot *snapshot, unsigned n, struct error *err)
{
    struct session *session = checkpointer->session;
    struct block_backend *drive = drive_of(session, n);
    char pages[16], path[SNAPSHOT_PATH_MAX];

    snprintf(pages, sizeof pages, "disk %u", n);
    if (drive == NULL || !block_has_overlay(drive) || snapshot_pages_size(snapshot, pages) == 0) {
        return true;
    }
    snprintf(path, sizeof path, "%s", block_path(block_image_of(drive)));
    struct block_options options = { .format = block_format_name(block_image_of(drive)) };
    block_close(drive); /* it has the image locked */
    if (n < TICK86_DISKS) {
        session->media[n] = NULL;
    } else {
        session->floppies[n - TICK86_DISKS] = NULL;
    }
    struct block_backend *image = block_open(path, &options, err);
    if (image == NULL) {
        return false;
    }
    bool is_good = image->is_readonly
                       ? error_set(err, "cannot write what the guest wrote to '%.200s': it is write-protected", path)
                       : snapshot_visit_pages(snapshot, pages, vmstate_put_pages, image, err);
    is_good = is_good && (image->flush == NULL || image->flush(image->context));
    return block_close(image) && is_good;
}

static bool commit_all(struct checkpointer *checkpointer, struct error *err)
{
    struct snapshot *snapshot = snapshot_open(checkpointer->path, err);
    bool is_good = snapshot != NULL;

    for (unsigned n = 0; is_good && n < DRIVES; n++) {
        is_good = commit_drive(checkpointer, snapshot, n, err);
    }
    snapshot_close(snapshot);
    if (!is_good && err->message[0] == '\0') {
        error_set(err, "cannot write what the guest wrote to its images: %s", strerror(errno));
    }
    return is_good || error_hint(err, "it is in '%.200s': start again with the same command line", checkpointer->path);
}

bool checkpointer_finish(struct checkpointer *checkpointer, bool has_powered_off, bool is_thrown_away, struct error *err)
{
    bool is_good = save(checkpointer, err);

    if (is_good && has_powered_off) {
        is_good = is_thrown_away || commit_all(checkpointer, err);
        if (is_good) {
            unlink(checkpointer->path);
            remove_links(checkpointer);
        }
    }
    free(checkpointer);
    return is_good;
}
