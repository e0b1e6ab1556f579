/* fuzz.c - see fuzz.h. */
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* xorshift64*. */
uint32_t fuzz_random32(struct fuzz_random *random)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return (uint32_t)(random->state * UINT64_C(0x2545f4914f6cdd1d) >> 32);
}

uint32_t fuzz_below(struct fuzz_random *random, uint32_t limit)
{
    return (uint32_t)((uint64_t)fuzz_random32(random) * limit >> 32);
}

bool fuzz_one_in(struct fuzz_random *random, uint32_t n)
{
    return fuzz_below(random, n) == 0;
}

uint32_t fuzz_value(struct fuzz_random *random)
{
    switch (fuzz_below(random, 5)) {
    case 0:
        return fuzz_below(random, 256);
    case 1:
        return UINT32_C(1) << fuzz_below(random, 32);
    case 2:
        return fuzz_below(random, 4) * UINT32_C(0x55555555);
    case 3:
        return fuzz_below(random, 8);
    default:
        return fuzz_random32(random);
    }
}

struct fuzz_random fuzz_seed(uint64_t seed, uint64_t round)
{
    struct fuzz_random random = { (seed * UINT64_C(0x9e3779b97f4a7c15)) ^ (round * UINT64_C(0xbf58476d1ce4e5b9)) };

    if (random.state == 0) {
        random.state = 1;
    }
    for (unsigned n = 0; n < 8; n++) {
        fuzz_random32(&random);
    }
    return random;
}

/* ---- the machine ---- */

static bool disk_read(void *context, uint64_t sector, uint32_t count, void *bytes)
{
    if (sector > FUZZ_SECTORS || count > FUZZ_SECTORS - sector) {
        return false;
    }
    memcpy(bytes, (uint8_t *)context + sector * SECTOR_SIZE, (size_t)count * SECTOR_SIZE);
    return true;
}

static bool disk_write(void *context, uint64_t sector, uint32_t count, const void *bytes)
{
    if (sector > FUZZ_SECTORS || count > FUZZ_SECTORS - sector) {
        return false;
    }
    memcpy((uint8_t *)context + sector * SECTOR_SIZE, bytes, (size_t)count * SECTOR_SIZE);
    return true;
}

static bool disk_flush(void *context)
{
    (void)context;
    return true;
}

static void count_byte(void *context, uint8_t byte)
{
    struct fuzz_machine *fuzz = context;

    fuzz->bytes_out += 1u + byte / 256u;
}

static void count_line(void *context, const char *channel, enum log_level level, const char *text)
{
    struct fuzz_machine *fuzz = context;

    (void)level;
    fuzz->log_lines += strlen(channel) != 0 && strlen(text) != 0;
}

static void *must(void *pointer)
{
    if (pointer == NULL) {
        fprintf(stderr, "fuzz: out of memory\n");
        exit(1);
    }
    return pointer;
}

void fuzz_machine_open(struct fuzz_machine *fuzz, const uint8_t *bios, bool use_block_cache)
{
    static uint8_t vga_bios[4096] = { 0x55, 0xaa, 8 };
    struct error err = { "", "" };

    memset(fuzz, 0, sizeof *fuzz);
    fuzz->ram = must(calloc(1, FUZZ_RAM_BYTES));
    fuzz->vram = must(calloc(1, FUZZ_VRAM_BYTES));
    fuzz->sink = (struct byte_sink){ fuzz, count_byte };
    struct tick86_config config = { .ram = fuzz->ram,
                                    .ram_bytes = FUZZ_RAM_BYTES,
                                    .vram = fuzz->vram,
                                    .vram_bytes = FUZZ_VRAM_BYTES,
                                    .bios = { "fuzz", bios, FUZZ_BIOS_BYTES },
                                    .vga_bios = { "fuzz", vga_bios, sizeof vga_bios },
                                    .serial = { &fuzz->sink, &fuzz->sink },
                                    .debugcon = &fuzz->sink,
                                    .debug_exit = true,
                                    .rtc_base_seconds = 1700000000,
                                    .use_block_cache = use_block_cache,
                                    .log_sink = count_line,
                                    .log_context = fuzz,
                                    .log_level = LOG_GUEST };
    for (unsigned n = 0; n < FUZZ_DISKS; n++) {
        fuzz->disks[n] = must(calloc(FUZZ_SECTORS, SECTOR_SIZE));
        fuzz->backends[n] = (struct block_backend){ .context = fuzz->disks[n],
                                                    .sectors = n == 2 ? FUZZ_SECTORS - 4 : FUZZ_SECTORS,
                                                    .is_readonly = n == 2,
                                                    .read = disk_read,
                                                    .write = disk_write,
                                                    .flush = disk_flush };
    }
    config.drives[0] = (struct tick86_drive){ DRIVE_DISK, &fuzz->backends[0] };
    config.drives[1] = (struct tick86_drive){ DRIVE_DISK, &fuzz->backends[1] };
    config.drives[2] = (struct tick86_drive){ DRIVE_CDROM, &fuzz->backends[2] };
    fuzz->machine = tick86_create(&config, &err);
    if (fuzz->machine == NULL) {
        fprintf(stderr, "fuzz: %s\n", err.message);
        exit(1);
    }
}

void fuzz_machine_close(struct fuzz_machine *fuzz)
{
    tick86_destroy(fuzz->machine);
    free(fuzz->ram);
    free(fuzz->vram);
    for (unsigned n = 0; n < FUZZ_DISKS; n++) {
        free(fuzz->disks[n]);
    }
}

static void copy_state(const struct field *fields, void *to, const void *from, const char *name)
{
    struct state_stream stream = { 0 };
    struct error err = { "", "" };

    state_save(&stream, fields, from);
    if (!state_load(&stream, fields, to, &err)) {
        fprintf(stderr, "fuzz: %s cannot be loaded: %s\n", name, err.message);
        abort();
    }
    state_stream_free(&stream);
}

void fuzz_machine_copy(struct fuzz_machine *to, struct fuzz_machine *from)
{
    struct tick86 *a = from->machine, *b = to->machine;

    memcpy(to->ram, from->ram, FUZZ_RAM_BYTES);
    memcpy(to->vram, from->vram, FUZZ_VRAM_BYTES);
    for (unsigned n = 0; n < FUZZ_DISKS; n++) {
        memcpy(to->disks[n], from->disks[n], (size_t)FUZZ_SECTORS * SECTOR_SIZE);
    }
    copy_state(cpu_fields, b->cpu, a->cpu, "cpu");
    copy_state(clock_fields, &b->clock, &a->clock, "clock");
    space_begin(b->space);
    for (unsigned chip = 0; chip < PC_CHIPS; chip++) {
        if (a->chips[chip] != NULL) {
            copy_state(a->chips[chip]->class->fields, b->chips[chip], a->chips[chip], a->chips[chip]->name);
        }
    }
    for (unsigned chip = 0; chip < PC_CHIPS; chip++) {
        if (b->chips[chip] != NULL && b->chips[chip]->class->loaded != NULL) {
            b->chips[chip]->class->loaded(b->chips[chip]);
        }
    }
    space_commit(b->space);
    cpu_loaded(b->cpu);
    b->run.dead_since_ns = a->run.dead_since_ns;
    b->is_stop_requested = a->is_stop_requested;
}

bool fuzz_machine_differ(struct fuzz_machine *a, struct fuzz_machine *b)
{
    char path[128];
    size_t index;
    bool is_different = false;

    const struct field *field =
        state_differ(cpu_fields, a->machine->cpu, b->machine->cpu, &index, path, sizeof path);
    if (field != NULL) {
        fprintf(stderr, "cpu.%s[%zu]\n", path, index); /* lazy flags and the like may differ rightly */
    }
    for (unsigned chip = 0; chip < PC_CHIPS; chip++) {
        struct device *dev = a->machine->chips[chip];
        if (dev != NULL &&
            state_differ(dev->class->fields, dev, b->machine->chips[chip], &index, path, sizeof path) != NULL) {
            fprintf(stderr, "%s.%s[%zu] differs\n", dev->name, path, index);
            is_different = true;
        }
    }
    if (state_differ(clock_fields, &a->machine->clock, &b->machine->clock, &index, path, sizeof path) != NULL) {
        fprintf(stderr, "clock.%s differs\n", path);
        is_different = true;
    }
    for (uint32_t at = 0; at < FUZZ_RAM_BYTES; at++) {
        if (a->ram[at] != b->ram[at]) {
            fprintf(stderr, "ram[0x%06" PRIx32 "] differs: 0x%02x, 0x%02x\n", at, a->ram[at], b->ram[at]);
            return true;
        }
    }
    if (memcmp(a->vram, b->vram, FUZZ_VRAM_BYTES) != 0) {
        fprintf(stderr, "vram differs\n");
        return true;
    }
    return is_different;
}

/* ---- the command line ---- */

bool fuzz_options_read(struct fuzz_options *options, int argc, char **argv)
{
    for (int n = 1; n < argc; n++) {
        char *end = NULL;
        if (strcmp(argv[n], "--verbose") == 0) {
            options->is_verbose = true;
            continue;
        }
        uint64_t *value = strcmp(argv[n], "--seconds") == 0  ? &options->seconds
                          : strcmp(argv[n], "--rounds") == 0 ? &options->rounds
                          : strcmp(argv[n], "--seed") == 0   ? &options->seed
                          : strcmp(argv[n], "--round") == 0  ? &options->first_round
                                                             : NULL;
        if (value == NULL || n + 1 == argc || (*value = strtoull(argv[n + 1], &end, 0), *end != 0)) {
            fprintf(stderr, "usage: %s [--seconds N] [--rounds N] [--seed S] [--round FIRST] [--verbose]\n", argv[0]);
            return false;
        }
        n++;
    }
    return true;
}

double fuzz_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}
