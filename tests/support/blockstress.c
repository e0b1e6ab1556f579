/* blockstress.c - random operations on a disk image, for the differential tests (tests/disks/).
 *
 *   blockstress run FILE MODEL SEED COUNT     does COUNT operations on FILE and on the raw file MODEL, comparing reads
 *   blockstress kill FILE SEED ROUNDS SCRIPT  forks a writer, kills it at a random point, and looks at what is left:
 *                                             what was flushed must be there, what was not may be
 *   blockstress full FILE SEED LIMIT SCRIPT   the same where the host's disk is full: files do not grow over LIMIT bytes (0:
 *                                             the caller gave a small file system), until `SCRIPT room`
 *
 * Every sector that is written holds its number and the number of the operation, so that a stale or misplaced sector shows.
 * Kills: operation n always is the same for one seed, so the checker knows what each may have left. */
#define _DEFAULT_SOURCE
#include "frontends/host/block.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum verb { WRITE, READ, ZERO, DISCARD, FLUSH };
enum { SECTORS_MAX = 2048, BUFFER = SECTORS_MAX * 512 };

struct operation {
    enum verb verb;
    uint64_t sector;
    uint32_t count;
};

struct random {
    uint64_t state;
};

static uint64_t next(struct random *random)
{
    random->state = random->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return random->state >> 33;
}

/* Small and large, aligned and not, mostly near each other so that clusters fill up. */
static struct operation draw(struct random *random, uint64_t sectors)
{
    static const uint32_t sizes[] = {1, 1, 3, 8, 8, 16, 100, 128, 128, 256, 700, 2048};
    struct operation op;
    uint64_t dice = next(random) % 100;

    op.verb = dice < 62 ? WRITE : dice < 80 ? READ : dice < 87 ? ZERO : dice < 95 ? DISCARD : FLUSH;
    op.count = sizes[next(random) % (sizeof sizes / sizeof sizes[0])];
    op.count = op.count < sectors ? op.count : (uint32_t)sectors;
    op.sector = next(random) % (sectors - op.count + 1);
    if (next(random) % 3 != 0) {
        op.sector &= ~UINT64_C(127); /* at a 64 KiB boundary */
    }
    return op;
}

static void fill(uint8_t *bytes, uint64_t sector, uint32_t count, uint64_t number)
{
    for (uint32_t n = 0; n < count; n++) {
        uint64_t words[64];
        for (unsigned k = 0; k < 64; k++) {
            words[k] = k % 2 ? number : sector + n;
        }
        memcpy(bytes + (size_t)n * 512, words, 512);
    }
}

static struct block_image *must_open(const char *path, struct block_backend **backend, const char *format)
{
    struct error err = {"", ""};
    struct block_options options = {.format = format};

    *backend = block_open(path, &options, &err);
    if (*backend == NULL) {
        fprintf(stderr, "%s (%s)\n", err.message, err.hint);
        exit(1);
    }
    return block_image_of(*backend);
}

static bool apply(struct block_image *image, const struct operation *op, uint64_t number, uint8_t *buffer)
{
    uint64_t offset = op->sector * 512, size = (uint64_t)op->count * 512;

    switch (op->verb) {
    case WRITE: fill(buffer, op->sector, op->count, number); return block_write(image, offset, size, buffer);
    case READ: return block_read(image, offset, size, buffer);
    case ZERO: return block_zero(image, offset, size, false);
    case DISCARD: return block_zero(image, offset, size, true);
    case FLUSH: break;
    }
    return block_flush(image);
}

static int run(const char *path, const char *model_path, uint64_t seed, uint64_t count)
{
    struct random random = {seed};
    struct block_backend *disk = NULL, *model_disk = NULL;
    struct block_image *image = must_open(path, &disk, NULL), *model = must_open(model_path, &model_disk, "raw");
    uint8_t *buffer = malloc(BUFFER), *expected = malloc(BUFFER);

    if (buffer == NULL || expected == NULL || disk->sectors != model_disk->sectors) {
        fprintf(stderr, "the model has another size\n");
        return 1;
    }
    for (uint64_t n = 1; n <= count; n++) {
        struct operation op = draw(&random, disk->sectors);
        if (n % 1000 == 0) { /* what is on disk is what was in memory */
            if (!block_close(disk)) {
                return 1;
            }
            image = must_open(path, &disk, NULL);
        }
        if (!apply(image, &op, n, buffer) || (op.verb != READ && !apply(model, &op, n, expected))) {
            fprintf(stderr, "operation %" PRIu64 " failed\n", n);
            return 1;
        }
        if (op.verb == READ) {
            block_read(model, op.sector * 512, (uint64_t)op.count * 512, expected);
            if (memcmp(buffer, expected, (size_t)op.count * 512) != 0) {
                fprintf(stderr, "seed %" PRIu64 " operation %" PRIu64 ": sectors %" PRIu64 "+%u differ\n", seed, n, op.sector,
                        op.count);
                return 1;
            }
        }
    }
    bool is_done = block_close(disk) && block_close(model_disk);
    free(buffer);
    free(expected);
    return is_done ? 0 : 1;
}

/* ---- Kills ---- */

struct progress {
    volatile uint64_t started, flushed; /* numbers of operations */
    const uint8_t *has_failed;          /* of each operation: it may have been done in part; NULL: none */
};

static void write_forever(const char *path, uint64_t seed, uint64_t from, struct progress *progress)
{
    struct random random = {seed};
    struct block_backend *disk = NULL;
    struct block_image *image = must_open(path, &disk, NULL);
    uint8_t *buffer = malloc(BUFFER);

    for (uint64_t n = 1;; n++) {
        struct operation op = draw(&random, disk->sectors);
        if (n <= from) {
            continue;
        }
        progress->started = n;
        if (!apply(image, &op, n, buffer)) {
            _exit(3);
        }
        if (op.verb == FLUSH) {
            progress->flushed = n;
        }
    }
}

/* What may be in a sector. */
struct expected {
    uint64_t number;   /* of the operation whose data is there for certain; 0: zeros */
    uint64_t since;    /* the last operation that succeeded and was flushed */
    bool may_be_zero;  /* by one that failed or was not flushed */
};

static void expect(struct expected *sectors, const struct operation *op, uint64_t n, bool is_certain)
{
    for (uint32_t k = 0; (op->verb == WRITE || op->verb == ZERO || op->verb == DISCARD) && k < op->count; k++) {
        struct expected *at = &sectors[op->sector + k];
        if (is_certain) {
            *at = (struct expected){op->verb == WRITE ? n : 0, n, false};
        } else {
            at->may_be_zero = at->may_be_zero || op->verb != WRITE;
        }
    }
}

static bool is_expected(const struct expected *at, const struct progress *progress, uint64_t number)
{
    bool is_unsure = number > progress->flushed || (progress->has_failed != NULL && progress->has_failed[number]);

    return number == at->number || (number == 0 && at->may_be_zero) ||
           (number > at->since && number <= progress->started && is_unsure);
}

static bool look(const char *path, uint64_t seed, const struct progress *progress, uint64_t sectors)
{
    struct block_backend *disk = NULL;
    struct block_image *image = must_open(path, &disk, NULL);
    struct expected *expected = calloc(sectors, sizeof *expected);
    uint64_t words[64];
    bool is_good = expected != NULL;
    struct random random = {seed};

    for (uint64_t n = 1; is_good && n <= progress->started; n++) {
        struct operation op = draw(&random, sectors);
        expect(expected, &op, n, n <= progress->flushed && (progress->has_failed == NULL || !progress->has_failed[n]));
    }
    for (uint64_t s = 0; is_good && s < sectors; s++) {
        block_read(image, s * 512, 512, words);
        uint64_t number = words[1];
        bool is_whole = true;
        for (unsigned k = 0; k < 64; k++) { /* a sector may be torn between two versions only word by word of numbers */
            is_whole = is_whole && (words[k] == (k % 2 ? number : s) || number == 0);
        }
        is_good = is_whole && is_expected(&expected[s], progress, number);
        if (!is_good) {
            fprintf(stderr, "sector %" PRIu64 " has operation %" PRIu64 ", %" PRIu64 " was flushed (flush %" PRIu64
                    ", started %" PRIu64 ")\n", s, number, expected[s].number, progress->flushed, progress->started);
        }
    }
    block_close(disk);
    free(expected);
    return is_good;
}

static int kill_rounds(const char *path, uint64_t seed, uint64_t rounds, const char *check)
{
    struct random random = {seed ^ 0x5a5a};
    struct progress *progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct block_backend *disk = NULL;
    char command[600];

    must_open(path, &disk, NULL);
    uint64_t sectors = disk->sectors;
    block_close(disk);
    for (uint64_t round = 0; round < rounds; round++) {
        /* Every round begins with the image as the last one left it; its sectors must read as flushed, so all of it is
         * overwritten by operation numbers of a fresh file: the caller gives a command that makes it. */
        snprintf(command, sizeof command, "%s create", check);
        if (system(command) != 0) {
            return 1;
        }
        progress->started = progress->flushed = 0;
        pid_t child = fork();
        if (child == 0) {
            write_forever(path, seed + round, 0, progress);
        }
        usleep((useconds_t)(2000 + next(&random) % 60000));
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        snprintf(command, sizeof command, "%s check", check);
        if (!WIFSIGNALED(status) || system(command) != 0 || !look(path, seed + round, progress, sectors)) {
            fprintf(stderr, "round %" PRIu64 " of seed %" PRIu64 " failed\n", round, seed);
            return 1;
        }
    }
    return 0;
}

/* ---- A full host disk ---- */

static bool run_script(const char *script, const char *verb)
{
    char command[600];

    snprintf(command, sizeof command, "%s %s", script, verb);
    return system(command) == 0;
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes != 0 && bytes < limit.rlim_max ? bytes : limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
}

static void ignore_log(void *context, const char *text)
{
    (void)context, (void)text;
}

/* Random writes that must succeed. */
static bool write_on(const char *path, uint64_t seed, uint64_t count)
{
    struct random random = {seed};
    struct block_backend *disk = NULL;
    struct block_image *image = must_open(path, &disk, NULL);
    uint8_t *buffer = malloc(BUFFER);
    bool is_done = buffer != NULL;

    for (uint64_t n = 1; is_done && n <= count; n++) {
        struct operation op = draw(&random, disk->sectors);
        is_done = apply(image, &op, n, buffer);
    }
    free(buffer);
    return block_close(disk) && is_done;
}

/* Writes until the disk has been full for a while; what was flushed is there, and once there is room all goes on. */
static int full(const char *path, uint64_t seed, uint64_t limit, const char *script)
{
    enum { FAILURES = 40, OPERATIONS = 20000, MORE = 200 };
    struct random random = {seed};
    uint8_t *has_failed = calloc(OPERATIONS + 1, 1);
    struct progress progress = {0, 0, has_failed};
    struct block_options options = {.log = ignore_log};
    struct error err = {"", ""};
    uint8_t *buffer = malloc(BUFFER);
    unsigned failures = 0;

    signal(SIGXFSZ, SIG_IGN);
    if (!run_script(script, "create")) {
        return 1;
    }
    limit_files((rlim_t)limit);
    struct block_backend *disk = block_open(path, &options, &err);
    if (disk == NULL) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    uint64_t sectors = disk->sectors;
    for (uint64_t n = 1; failures < FAILURES && n <= OPERATIONS; n++) {
        struct operation op = draw(&random, sectors);
        progress.started = n;
        bool is_done = apply(block_image_of(disk), &op, n, buffer);
        has_failed[n] = !is_done;
        failures += !is_done;
        progress.flushed = is_done && op.verb == FLUSH ? n : progress.flushed;
    }
    bool is_closed = block_close(disk);
    progress.flushed = is_closed ? progress.started : progress.flushed;
    limit_files(0);
    if (failures < FAILURES) {
        fprintf(stderr, "the disk did not get full\n");
        return 1;
    }
    if (!run_script(script, "check") || !run_script(script, "room")) {
        return 1;
    }
    bool is_good = look(path, seed, &progress, sectors) && write_on(path, seed, MORE) && run_script(script, "check");
    free(buffer);
    free(has_failed);
    return is_good ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "full") == 0) {
        return full(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10), argv[5]);
    }
    if (argc == 6 && strcmp(argv[1], "run") == 0) {
        return run(argv[2], argv[3], strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10));
    }
    if (argc == 6 && strcmp(argv[1], "kill") == 0) {
        return kill_rounds(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10), argv[5]);
    }
    fprintf(stderr, "usage: blockstress run FILE MODEL SEED COUNT | blockstress kill FILE SEED ROUNDS SCRIPT | "
                    "blockstress full FILE SEED LIMIT SCRIPT\n");
    return 2;
}
