/* boot.c - brings firmware up without a frontend: boot BIOS VGABIOS [INSNS [DISK]].
 *
 * Prints what the guest writes to the debug console and to COM1, then why it stopped, count, CS:EIP and the text screen.
 * Environment: BOOT_RAM_MB, BOOT_SLOW (no block cache), BOOT_LOG (0-2), BOOT_INFO (a name for tick86_info), BOOT_CD,
 * BOOT_HASH_EVERY (a hash of everything each so many instructions), BOOT_KERNEL, BOOT_INITRD, BOOT_APPEND and BOOT_LOADER (roms/loader.bin as built), BOOT_TYPE (bytes for COM1). */
#include "machine/tick86.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int main(int argc, char **argv);

static void put_byte(void *context, uint8_t byte)
{
    fputc(byte, context);
    fflush(context);
}

static void put_text(void *context, const char *text)
{
    fputs(text, context);
}

static void log_line(void *context, const char *channel, enum log_level level, const char *text)
{
    (void)level;
    fprintf(context, "[%s] %s\n", channel, text);
}

static struct tick86_blob load(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct tick86_blob blob = { path, NULL, 0 };
    long size;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0) {
        perror(path);
        exit(1);
    }
    rewind(file);
    uint8_t *bytes = malloc((size_t)size + 1);
    if (bytes == NULL || fread(bytes, 1, (size_t)size, file) != (size_t)size) {
        perror(path);
        exit(1);
    }
    fclose(file);
    blob.bytes = bytes;
    blob.size = (size_t)size;
    return blob;
}

/* A disk image held in memory; what the guest writes is forgotten at the end. */
static bool disk_read(void *context, uint64_t sector, uint32_t count, void *bytes)
{
    memcpy(bytes, (uint8_t *)context + sector * SECTOR_SIZE, (size_t)count * SECTOR_SIZE);
    return true;
}

static bool disk_write(void *context, uint64_t sector, uint32_t count, const void *bytes)
{
    memcpy((uint8_t *)context + sector * SECTOR_SIZE, bytes, (size_t)count * SECTOR_SIZE);
    return true;
}

static bool disk_flush(void *context)
{
    (void)context;
    return true;
}

static unsigned long number(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoul(text, NULL, 0) : otherwise;
}

int main(int argc, char **argv)
{
    static const char *const stops[] = { "budget",     "power off", "reset",    "triple fault",
                                         "debug exit", "dead",      "requested" };
    static char screen[65536];
    struct byte_sink sink = { stdout, put_byte };
    struct block_backend disk = { .read = disk_read, .write = disk_write, .flush = disk_flush };
    struct block_backend cd = { .read = disk_read, .is_readonly = true };
    struct error err = { "", "" };

    if (argc < 3) {
        fprintf(stderr, "usage: boot BIOS VGABIOS [INSNS [DISK]]\n");
        return 1;
    }
    struct tick86_config config = { .ram_bytes = (uint64_t)number("BOOT_RAM_MB", 128) << 20,
                                    .vram_bytes = 16u << 20,
                                    .bios = load(argv[1]),
                                    .vga_bios = load(argv[2]),
                                    .serial = { &sink, NULL },
                                    .debugcon = &sink,
                                    .rtc_base_seconds = 1700000000,
                                    .use_block_cache = getenv("BOOT_SLOW") == NULL,
                                    .log_sink = log_line,
                                    .log_context = stderr,
                                    .log_level = (enum log_level)number("BOOT_LOG", LOG_GUEST) };
    config.ram = calloc(1, (size_t)config.ram_bytes);
    config.vram = calloc(1, (size_t)config.vram_bytes);
    if (argc > 4) {
        struct tick86_blob image = load(argv[4]);
        disk.context = (void *)(uintptr_t)image.bytes;
        disk.sectors = image.size / SECTOR_SIZE;
        config.drives[0] = (struct tick86_drive){ DRIVE_DISK, &disk };
    }
    if (getenv("BOOT_CD") != NULL) {
        struct tick86_blob image = load(getenv("BOOT_CD"));
        cd.context = (void *)(uintptr_t)image.bytes;
        cd.sectors = image.size / SECTOR_SIZE;
        config.drives[2] = (struct tick86_drive){ DRIVE_CDROM, &cd };
    }
    if (getenv("BOOT_KERNEL") != NULL && getenv("BOOT_LOADER") != NULL) {
        config.kernel = load(getenv("BOOT_KERNEL"));
        config.loader_rom = load(getenv("BOOT_LOADER"));
        config.kernel_append = getenv("BOOT_APPEND");
        if (getenv("BOOT_INITRD") != NULL) {
            config.initrd = load(getenv("BOOT_INITRD"));
        }
    }
    struct tick86 *machine = tick86_create(&config, &err);
    if (machine == NULL) {
        fprintf(stderr, "boot: %s\n%s\n", err.message, err.hint);
        return 1;
    }
    uint64_t budget = argc > 3 ? strtoull(argv[3], NULL, 0) : 100000000;
    if (getenv("BOOT_TYPE") != NULL) {
        tick86_serial_input(machine, 0, (const uint8_t *)getenv("BOOT_TYPE"), strlen(getenv("BOOT_TYPE")));
    }
    uint64_t hash_every = number("BOOT_HASH_EVERY", 0);
    clock_t before = clock();
    enum tick86_stop stop = STOP_BUDGET;
    for (uint64_t left = budget; left > 0 && stop == STOP_BUDGET;) {
        uint64_t slice = hash_every != 0 && hash_every < left ? hash_every : left;
        stop = tick86_run(machine, UINT64_MAX, slice);
        left -= slice;
        if (hash_every != 0) {
            printf("\n---- hash %016" PRIx64 " at %" PRIu64 "\n", tick86_hash(machine, true), tick86_icount(machine));
        }
    }
    double seconds = (double)(clock() - before) / CLOCKS_PER_SEC;
    printf("\n---- %s after %" PRIu64 " instructions, %" PRIu64 " ns guest time, %.2f s, %.1f MIPS\n", stops[stop],
           tick86_icount(machine), tick86_now_ns(machine), seconds, (double)tick86_icount(machine) / 1e6 / seconds);
    printf("---- hash %016" PRIx64 "\n", tick86_hash(machine, true));
    tick86_info(machine, "registers", put_text, stdout, &err);
    if (getenv("BOOT_INFO") != NULL && !tick86_info(machine, getenv("BOOT_INFO"), put_text, stdout, &err)) {
        printf("%s; %s\n", err.message, err.hint);
    }
    tick86_screen_text(machine, screen, sizeof screen);
    printf("---- screen\n%s\n", screen);
    tick86_destroy(machine);
    free(config.ram);
    free(config.vram);
    return 0; /* the files' bytes go with the process */
}
