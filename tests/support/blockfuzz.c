/* blockfuzz.c - hostile disk images: well-formed ones of every format with a few bytes changed, then opened, read, checked,
 * written and repaired. Meant for a build with ASan and UBSan, where a crash or a hang is the finding.
 *
 *   blockfuzz SEED-FOLDER SCRATCH-FOLDER SEED SECONDS [FILE]
 *
 * SEED-FOLDER holds the well-formed images (tests/disks/test_fuzz.sh makes them) and what was found earlier. What is being
 * tried is always in SCRATCH-FOLDER/case, so that a crash leaves its input there. With FILE that one input is tried. */
#define _DEFAULT_SOURCE
#include "frontends/host/appliance.h"
#include "frontends/host/block.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SEEDS_MAX = 256, FILE_MAX = 12 << 20, BUFFER = 1 << 20 };

struct random {
    uint64_t state;
};

static uint64_t next(struct random *random)
{
    random->state = random->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return random->state >> 33;
}

static void ignore(void *context, const char *text)
{
    (void)context, (void)text;
}

static void look(struct block_image *image, struct random *random, uint8_t *buffer)
{
    static struct block_info info;
    struct block_status status;
    struct block_snapshot snapshot;
    struct block_check check = {.report = NULL};
    struct error err = {"", ""};
    uint64_t size = block_size(image), at = 0;

    block_info(image, &info);
    for (unsigned n = 0; n < block_snapshot_count(image); n++) {
        block_snapshot_get(image, n, &snapshot);
    }
    for (unsigned n = 0; n < 500 && at < size && block_status(image, at, size - at, &status); n++) {
        at += status.size;
    }
    for (unsigned n = 0; n < 12; n++) {
        uint64_t length = (next(random) % 64 + 1) * 512;
        length = length < size ? length : size;
        at = n == 0 ? 0 : n == 1 ? size - length : next(random) * 512 % (size - length + 1) / 512 * 512;
        block_read(image, at, length, buffer);
    }
    if (block_can_check(image)) {
        block_check(image, &check, &err);
    }
}

static void change(struct block_image *image, struct random *random, uint8_t *buffer)
{
    uint64_t size = block_size(image);
    struct error err = {"", ""};

    for (unsigned n = 0; n < 12; n++) {
        uint64_t length = (next(random) % 200 + 1) * 512;
        length = length < size ? length : size;
        uint64_t at = next(random) * 512 % (size - length + 1) / 512 * 512;
        switch (next(random) % 6) {
        case 0: block_zero(image, at, length, true); break;
        case 1: block_flush(image); break;
        case 2: block_read(image, at, length, buffer); break;
        default: block_write(image, at, length, buffer); break;
        }
    }
    switch (next(random) % 4) {
    case 0: block_snapshot(image, SNAPSHOT_CREATE, "s", 1, &err); break;
    case 1: block_snapshot(image, next(random) % 2 ? SNAPSHOT_APPLY : SNAPSHOT_DELETE, "one", 1, &err); break;
    case 2: block_resize(image, size + (next(random) % 8 << 20), &err); break;
    default: break;
    }
}

static void try_file(const char *path, struct random *random, uint8_t *buffer)
{
    struct block_options options = {.is_readonly = true, .log = ignore};
    struct error err = {"", ""};
    struct block_backend *backend = block_open(path, &options, &err);

    if (backend != NULL) {
        look(block_image_of(backend), random, buffer);
        block_close(backend);
    } else if (err.message[0] == '\0' || err.hint[0] == '\0') {
        fprintf(stderr, "refused without a message or a hint: %s\n", err.message);
        abort();
    }
    options.is_readonly = false;
    options.is_check = next(random) % 4 == 0;
    backend = block_open(path, &options, &err);
    if (backend != NULL) {
        struct block_check check = {.repair_errors = true, .repair_leaks = true};
        change(block_image_of(backend), random, buffer);
        if (options.is_check && block_can_check(block_image_of(backend)) && !backend->is_readonly) {
            block_check(block_image_of(backend), &check, &err);
        }
        block_close(backend);
    }
}

/* Changes a few bytes, mostly in the first 4 KiB and in places that are not zero: that is where headers and tables are. */
static void mutate(uint8_t *bytes, size_t *size, struct random *random)
{
    static const uint64_t values[] = {0, 1, 0xff, 0x7fffffff, 0x80000000, UINT64_MAX, INT64_MAX, 0x200, 0x10000, 0xfffffffe};
    unsigned count = 1 + (unsigned)(next(random) % 4);

    for (unsigned n = 0; n < count; n++) {
        size_t at = next(random) % 3 ? next(random) % (*size < 4096 ? *size : 4096) : next(random) % *size;
        for (unsigned k = 0; k < 200 && bytes[at] == 0 && next(random) % 8; k++) {
            at = next(random) % *size;
        }
        uint64_t value = next(random) % 2 ? values[next(random) % 10] : next(random) << 31 ^ next(random);
        unsigned width = 1u << next(random) % 4;
        for (unsigned k = 0; k < width && at + k < *size; k++) {
            bool is_big = next(random) % 2;
            bytes[at + k] = (uint8_t)(value >> (is_big ? width - 1 - k : k) * 8);
        }
    }
    if (next(random) % 8 == 0) {
        *size = next(random) % *size + 1;
    }
}

static size_t load(const char *path, uint8_t *bytes)
{
    FILE *file = fopen(path, "rb");
    size_t size = file != NULL ? fread(bytes, 1, FILE_MAX, file) : 0;

    if (file != NULL) {
        fclose(file);
    }
    return size;
}

static bool store(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    bool is_done = file != NULL;

    for (size_t at = 0; is_done && at < size; at += 4096) { /* with holes */
        size_t part = size - at < 4096 ? size - at : 4096;
        bool is_zero = bytes[at] == 0 && memcmp(bytes + at, bytes + at + 1, part - 1) == 0 && at + part < size;
        is_done = is_zero ? fseek(file, (long)part, SEEK_CUR) == 0 : fwrite(bytes + at, 1, part, file) == part;
    }
    return file != NULL && fclose(file) == 0 && is_done;
}

int main(int argc, char **argv)
{
    static char seeds[SEEDS_MAX][512];
    char path[600];
    unsigned count = 0, tries = 0;
    struct dirent *entry = NULL;

    if (argc < 5) {
        fprintf(stderr, "usage: blockfuzz SEED-FOLDER SCRATCH-FOLDER SEED SECONDS [FILE]\n");
        return 2;
    }
    struct random random = {strtoull(argv[3], NULL, 10)};
    uint8_t *bytes = malloc(FILE_MAX), *buffer = calloc(1, BUFFER);
    if (argc > 5) {
        try_file(argv[5], &random, buffer);
        free(bytes);
        free(buffer);
        return 0;
    }
    DIR *dir = opendir(argv[1]);
    while (dir != NULL && (entry = readdir(dir)) != NULL && count < SEEDS_MAX) {
        if (entry->d_name[0] != '.') {
            snprintf(seeds[count++], sizeof seeds[0], "%.200s/%.250s", argv[1], entry->d_name);
        }
    }
    if (dir == NULL || count == 0 || bytes == NULL || buffer == NULL) {
        fprintf(stderr, "no seeds in '%s'\n", argv[1]);
        return 2;
    }
    closedir(dir);
    snprintf(path, sizeof path, "%s/case", argv[2]);
    time_t end = time(NULL) + (time_t)strtoull(argv[4], NULL, 10);
    while (time(NULL) < end) {
        size_t size = load(seeds[next(&random) % count], bytes);
        if (size == 0) {
            continue;
        }
        mutate(bytes, &size, &random);
        if (!store(path, bytes, size)) {
            fprintf(stderr, "cannot write '%s'\n", path);
            return 2;
        }
        try_file(path, &random, buffer);
        tries++;
    }
    printf("%u images tried\n", tries);
    free(bytes);
    free(buffer);
    return 0;
}
