/* count.c - runs a guest inside this process in virtual time, to learn at which instruction each line came out. */
#include "tests/bench/bench.h"

#include "frontends/host/block.h"
#include "frontends/host/firmware.h"
#include "frontends/host/memory.h"
#include "machine/tick86.h"

#include <stdio.h>
#include <string.h>

enum { VRAM_BYTES = 16 << 20 };
#define LIMIT_INSNS UINT64_C(4000000000000)
#define NS_PER_INSN 4 /* as in `-time virtual,ratio=4`: a guest clock of 250 MHz */

struct counter {
    struct tick86 *machine;
    struct count_mark *marks;
    unsigned mark_count, marks_seen;
    char line[LINE_BYTES];
    size_t line_size;
};

static void put_byte(void *context, uint8_t byte)
{
    struct counter *counter = context;

    if (byte != '\n' && counter->line_size < LINE_BYTES - 1) {
        counter->line[counter->line_size++] = byte != 0 ? (char)byte : ' ';
    }
    counter->line[counter->line_size] = '\0';
    if (byte == '\n') {
        counter->line_size = 0;
    }
    for (unsigned n = 0; n < counter->mark_count; n++) {
        struct count_mark *mark = &counter->marks[n];
        if (mark->icount == 0 && strstr(counter->line, mark->text) != NULL) {
            mark->icount = tick86_icount(counter->machine);
            counter->marks_seen++;
        }
    }
    if (counter->marks_seen == counter->mark_count) {
        tick86_request_stop(counter->machine);
    }
}

static bool load_firmware(struct tick86_config *config, struct error *err)
{
    static const char *const bios_names[] = {"bios-256k.bin", "bios.bin", NULL};
    static const char *const vga_names[] = {"vgabios-stdvga.bin", NULL};

    return firmware_map(&config->bios, bios_names, NULL, 0, err) &&
           firmware_map(&config->vga_bios, vga_names, NULL, 0, err);
}

bool count_instructions(const struct guest *guest, struct count_mark *marks, unsigned count)
{
    struct error err = {0};
    struct counter counter = {.marks = marks, .mark_count = count};
    struct byte_sink sink = {&counter, put_byte};
    struct tick86_config config = {.ram_bytes = (uint64_t)guest->ram_mib << 20,
                                   .vram_bytes = VRAM_BYTES,
                                   .boot_order = "d",
                                   .rtc_base_seconds = 1767225600, /* 2026-01-01 */
                                   .ns_per_insn_q16 = NS_PER_INSN << 16,
                                   .use_block_cache = true,
                                   .serial = {&sink, NULL}};
    struct block_options disk = {.is_readonly = true};
    struct block_backend *medium = block_open(guest->iso, &disk, &err);

    if (medium != NULL && load_firmware(&config, &err)) {
        config.drives[2] = (struct tick86_drive){DRIVE_CDROM, medium};
        config.ram = host_memory_map(config.ram_bytes, &err);
        config.vram = config.ram != NULL ? host_memory_map(config.vram_bytes, &err) : NULL;
        counter.machine = config.vram != NULL ? tick86_create(&config, &err) : NULL;
    }
    if (counter.machine != NULL) {
        enum tick86_stop stop = STOP_BUDGET;
        while (counter.marks_seen < count && stop != STOP_POWEROFF && stop != STOP_DEAD && stop != STOP_RESET &&
               tick86_icount(counter.machine) < LIMIT_INSNS) {
            stop = tick86_run(counter.machine, UINT64_MAX, UINT64_C(100000000));
        }
        tick86_destroy(counter.machine);
    } else {
        fprintf(stderr, "bench: cannot count instructions: %s\n", err.message);
    }
    host_memory_unmap(config.ram, config.ram_bytes);
    host_memory_unmap(config.vram, config.vram_bytes);
    host_file_unmap(&config.bios);
    host_file_unmap(&config.vga_bios);
    block_close(medium);
    return counter.machine != NULL;
}
