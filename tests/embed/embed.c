/* embed.c - the smallest useful embedder of libtick86: embed BIOS VGABIOS [INSTRUCTIONS]. Powers a PC on without a disk, runs
 * it, and prints what its screen shows, how far it came and a hash that is the same on every host. */
#include "machine/tick86.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct tick86_blob load(const char *path)
{
    static uint8_t bytes[2][1 << 20]; /* must stay as long as the machine */
    static unsigned used;
    struct tick86_blob blob = { path, bytes[used], 0 };
    FILE *file = fopen(path, "rb");

    if (file != NULL) {
        blob.size = fread(bytes[used++], 1, sizeof bytes[0], file);
        fclose(file);
    }
    return blob;
}

int main(int argc, char **argv)
{
    struct error err = { "", "" };
    static char text[65536];
    struct tick86_config config = { .ram_bytes = 32 << 20, .vram_bytes = 16 << 20, .use_block_cache = true };

    config.ram = calloc(1, (size_t)config.ram_bytes);
    config.vram = calloc(1, (size_t)config.vram_bytes);
    config.bios = load(argc > 2 ? argv[1] : "bios-256k.bin");
    config.vga_bios = load(argc > 2 ? argv[2] : "vgabios-stdvga.bin");
    struct tick86 *pc = config.ram && config.vram ? tick86_create(&config, &err) : NULL;
    if (pc == NULL) {
        fprintf(stderr, "embed: %s\n", err.message);
        return 1;
    }
    enum tick86_stop stop = tick86_run(pc, UINT64_MAX, argc > 3 ? strtoull(argv[3], NULL, 10) : 30000000);
    tick86_screen_text(pc, text, sizeof text);
    printf("%s\nstop %d after %" PRIu64 " instructions, hash %016" PRIx64 "\n", text, (int)stop, tick86_icount(pc),
           tick86_hash(pc, true));
    tick86_destroy(pc);
}
