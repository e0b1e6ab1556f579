/* travel_check.c - saves, loads and goes back at random moments of a boot, and compares with the run that did not.
 *
 *   travel_check BIOS VGABIOS MODE [OPTION=VALUE]...
 *   MODE save: at `points` random moments one machine is saved, thrown away and loaded into a new one; it must stay equal to
 *     one that just runs, to the last bit
 *   MODE history: runs with checkpoints, goes to `points` random moments and back again; hashes must be those of the first time.
 *     Prints percentiles of the time that reverse-stepi takes
 *   Options: kernel= initrd= append= loader= ram= (MiB) insns= points= seed= budget= (MiB) steps= spacing= type= (to COM1) */
#define _DEFAULT_SOURCE
#include "machine/tick86_travel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { VRAM = 16 << 20, POINTS_MAX = 100000 };

struct settings {
    const char *kernel, *initrd, *append, *loader, *type;
    uint64_t ram, insns, points, seed, budget, steps, spacing, ratio;
};

struct box {
    struct tick86 *machine;
    struct tick86_config config;
};

static uint64_t random_state;

static uint64_t random_number(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "travel_check: %s: %s\n", what, why);
    exit(1);
}

static struct tick86_blob load(const char *path)
{
    struct tick86_blob blob = { path, NULL, 0 };
    FILE *file = path != NULL ? fopen(path, "rb") : NULL;

    if (path == NULL) {
        return blob;
    }
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        die(path, "cannot be read");
    }
    blob.size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(blob.size + 1);
    if (bytes == NULL || fread(bytes, 1, blob.size, file) != blob.size) {
        die(path, "cannot be read");
    }
    fclose(file);
    blob.bytes = bytes;
    return blob;
}

static void box_open(struct box *box, const struct tick86_config *config)
{
    struct error err = { "", "" };

    box->config = *config;
    box->config.ram = calloc(1, (size_t)config->ram_bytes);
    box->config.vram = calloc(1, VRAM);
    box->config.vram_bytes = VRAM;
    box->machine = box->config.ram != NULL && box->config.vram != NULL ? tick86_create(&box->config, &err) : NULL;
    if (box->machine == NULL) {
        die("cannot create a machine", err.message);
    }
}

static void box_close(struct box *box)
{
    tick86_destroy(box->machine);
    free(box->config.ram);
    free(box->config.vram);
}

/* Runs to a count, whatever the guest does. */
static void run_to(struct box *box, uint64_t icount)
{
    while (tick86_icount(box->machine) < icount) {
        uint64_t before = tick86_icount(box->machine);
        enum tick86_stop stop = tick86_run(box->machine, UINT64_MAX, icount - before);
        if (stop == STOP_RESET || stop == STOP_TRIPLE_FAULT) {
            tick86_reset(box->machine);
        } else if (stop == STOP_DEAD || stop == STOP_POWEROFF) {
            die("the guest", "ended early");
        }
    }
}

static void name_difference(struct tick86 *a, struct tick86 *b)
{
    struct tick86_component one, other;

    for (unsigned n = 0; tick86_component(a, n, &one) && tick86_component(b, n, &other); n++) {
        char path[200] = "";
        size_t index = 0;
        const struct field *field = state_differ(one.fields, one.state, other.state, &index, path, sizeof path);
        if (field != NULL) {
            printf("  %s: %s[%zu]\n", one.name, path, index);
        }
    }
    struct tick86_memory x, y;
    for (unsigned n = 0; tick86_memory(a, n, &x) && tick86_memory(b, n, &y); n++) {
        unsigned count = 0;
        for (uint64_t at = 0; at < x.size && count < 8; at++) {
            if (x.bytes[at] != y.bytes[at]) {
                printf("  %s: 0x%" PRIx64 ": %02x, %02x\n", x.name, at, x.bytes[at], y.bytes[at]);
                count++;
            }
        }
    }
}

/* A new machine with the state of `from`. */
static void reload(struct box *box)
{
    struct state_stream stream = { 0 };
    struct error err = { "", "" };
    struct box fresh;
    struct tick86_memory x, y;

    box_open(&fresh, &box->config);
    if (!tick86_save(box->machine, &stream)) {
        die("save", "out of memory");
    }
    for (unsigned n = 0; tick86_memory(box->machine, n, &x) && tick86_memory(fresh.machine, n, &y); n++) {
        memcpy(y.bytes, x.bytes, (size_t)x.size);
    }
    if (!tick86_load(fresh.machine, &stream, &err)) {
        die("load", err.message);
    }
    tick86_memory_changed(fresh.machine);
    state_stream_free(&stream);
    box_close(box);
    *box = fresh;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static uint64_t *random_points(const struct settings *settings)
{
    uint64_t *points = calloc((size_t)settings->points + 1, sizeof *points);

    for (uint64_t n = 0; points != NULL && n < settings->points; n++) {
        points[n] = 1 + random_number() % (settings->insns - 1);
    }
    if (points == NULL) {
        die("points", "out of memory");
    }
    qsort(points, (size_t)settings->points, sizeof *points, compare_numbers);
    points[settings->points] = settings->insns;
    return points;
}

static bool is_equal(struct box *a, struct box *b, uint64_t point, bool with_ram)
{
    if (tick86_hash(a->machine, with_ram) == tick86_hash(b->machine, with_ram) &&
        tick86_now_ns(a->machine) == tick86_now_ns(b->machine)) {
        return true;
    }
    printf("different at icount=%" PRIu64 " (the other was loaded at the point before):\n", point);
    name_difference(a->machine, b->machine);
    return false;
}

static int check_save(const struct settings *settings, const struct tick86_config *config)
{
    uint64_t *points = random_points(settings);
    struct box plain, saved;
    bool is_good = true;

    box_open(&plain, config);
    box_open(&saved, config);
    if (settings->type != NULL) {
        tick86_serial_input(plain.machine, 0, (const uint8_t *)settings->type, strlen(settings->type));
        tick86_serial_input(saved.machine, 0, (const uint8_t *)settings->type, strlen(settings->type));
    }
    for (uint64_t n = 0; is_good && n <= settings->points; n++) {
        run_to(&plain, points[n]);
        run_to(&saved, points[n]);
        is_good = is_equal(&plain, &saved, points[n], n % 16 == 0 || n == settings->points);
        if (is_good && n < settings->points) {
            reload(&saved);
            is_good = is_equal(&plain, &saved, points[n], false);
        }
    }
    if (is_good) {
        printf("%" PRIu64 " save/load points: hash=%016" PRIx64 " icount=%" PRIu64 "\n", settings->points,
               tick86_hash(saved.machine, true), tick86_icount(saved.machine));
    }
    box_close(&plain);
    box_close(&saved);
    free(points);
    return is_good ? 0 : 1;
}

static uint64_t wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void go(struct box *box, uint64_t icount)
{
    struct error err = { "", "" };

    if (!tick86_travel_goto(box->machine, icount, &err)) {
        die(err.message, err.hint);
    }
}

static int check_history(const struct settings *settings, const struct tick86_config *config)
{
    uint64_t *points = random_points(settings), count = settings->points;
    uint64_t *hashes = calloc((size_t)count + 1, sizeof *hashes);
    uint64_t *times = calloc((size_t)(settings->steps * (count + 1)) + 1, sizeof *times), timed = 0;
    struct tick86_history_config history = { settings->budget << 20, settings->spacing };
    struct tick86_history_info info;
    struct error err = { "", "" };
    struct box box;
    int status = 0;

    box_open(&box, config);
    if (hashes == NULL || times == NULL || !tick86_history_start(box.machine, &history, &err)) {
        die("history", err.message);
    }
    if (settings->type != NULL) {
        tick86_serial_input(box.machine, 0, (const uint8_t *)settings->type, strlen(settings->type));
    }
    for (uint64_t n = 0; n <= count; n++) {
        run_to(&box, points[n]);
        hashes[n] = tick86_hash(box.machine, true);
    }
    tick86_history_info(box.machine, &info);
    printf("%u checkpoints, %" PRIu64 " MiB, from %" PRIu64 " to %" PRIu64 "\n", info.checkpoints, info.bytes >> 20,
           info.first_icount, info.last_icount);
    for (uint64_t n = 0; n <= count && status == 0; n++) {
        uint64_t at = n == count ? count : random_number() % (count + 1);
        if (points[at] < info.first_icount) {
            continue;
        }
        go(&box, points[at]);
        if (tick86_hash(box.machine, true) != hashes[at] && points[at] != points[at > 0 ? at - 1 : 0]) {
            printf("different after going to icount=%" PRIu64 "\n", points[at]);
            status = 1;
        }
        for (uint64_t step = 0; step < settings->steps && tick86_icount(box.machine) > info.first_icount; step++) {
            uint64_t before = wall_ns();
            if (!tick86_travel_reverse_step(box.machine, 1, &err)) {
                die(err.message, err.hint);
            }
            times[timed++] = wall_ns() - before;
        }
        tick86_history_info(box.machine, &info);
    }
    if (timed != 0) {
        qsort(times, (size_t)timed, sizeof *times, compare_numbers);
        printf("reverse-stepi: %" PRIu64 " times, median %.1f ms, 99 %% %.1f ms, longest %.1f ms\n", timed,
               (double)times[timed / 2] / 1e6, (double)times[timed * 99 / 100] / 1e6, (double)times[timed - 1] / 1e6);
    }
    go(&box, info.last_icount);
    if (tick86_hash(box.machine, true) != hashes[count]) {
        printf("different after coming back to the present\n");
        status = 1;
    }
    tick86_history_info(box.machine, &info);
    printf("%s: %u checkpoints, %" PRIu64 " MiB, %s\n", status == 0 ? "equal" : "DIFFERENT", info.checkpoints,
           info.bytes >> 20, info.is_in_past ? "in the past" : "at the present");
    box_close(&box);
    free(points);
    free(hashes);
    free(times);
    return status;
}

static void put_byte(void *context, uint8_t byte)
{
    fputc(byte, context);
}

int main(int argc, char **argv)
{
    struct settings settings = { .ram = 64, .insns = 200000000, .points = 50, .seed = 1, .budget = 256, .steps = 20, .ratio = 8 };
    struct byte_sink sink = { stderr, put_byte };
    const struct {
        const char *name;
        const char **text;
        uint64_t *number;
    } names[] = { { "kernel", &settings.kernel, NULL }, { "initrd", &settings.initrd, NULL },
                  { "append", &settings.append, NULL }, { "loader", &settings.loader, NULL },
                  { "type", &settings.type, NULL },     { "ram", NULL, &settings.ram },
                  { "insns", NULL, &settings.insns },   { "points", NULL, &settings.points },
                  { "seed", NULL, &settings.seed },     { "budget", NULL, &settings.budget },
                  { "steps", NULL, &settings.steps },   { "spacing", NULL, &settings.spacing },
                  { "ratio", NULL, &settings.ratio } };

    if (argc < 4) {
        die("usage", "travel_check BIOS VGABIOS save|history [OPTION=VALUE]...");
    }
    for (int n = 4; n < argc; n++) {
        const char *equals = strchr(argv[n], '=');
        bool is_known = false;
        for (size_t k = 0; equals != NULL && k < sizeof names / sizeof names[0]; k++) {
            if (strncmp(argv[n], names[k].name, (size_t)(equals - argv[n])) == 0 &&
                names[k].name[equals - argv[n]] == '\0') {
                is_known = true;
                if (names[k].text != NULL) {
                    *names[k].text = equals + 1;
                } else {
                    *names[k].number = strtoull(equals + 1, NULL, 0);
                }
            }
        }
        if (!is_known) {
            die(argv[n], "unknown option");
        }
    }
    if (settings.insns < 2 || settings.points == 0 || settings.points > POINTS_MAX) {
        die("insns, points", "too few or too many");
    }
    random_state = settings.seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    struct tick86_config config = { .ram_bytes = settings.ram << 20,
                                    .bios = load(argv[1]),
                                    .vga_bios = load(argv[2]),
                                    .kernel = load(settings.kernel),
                                    .initrd = load(settings.initrd),
                                    .loader_rom = load(settings.loader),
                                    .kernel_append = settings.append,
                                    .rtc_base_seconds = 1767225600,
                                    .ns_per_insn_q16 = settings.ratio << 16,
                                    .use_block_cache = true };
    config.serial[0] = getenv("TRAVEL_SERIAL") != NULL ? &sink : NULL;
    return strcmp(argv[3], "save") == 0 ? check_save(&settings, &config) : check_history(&settings, &config);
}
