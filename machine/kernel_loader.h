/* kernel_loader.h - takes a kernel file apart into the fw_cfg items from which roms/loader.asm boots it. */
#ifndef MACHINE_KERNEL_LOADER_H
#define MACHINE_KERNEL_LOADER_H

#include "machine/tick86.h"
#include "mem/error.h"

#include <stddef.h>
#include <stdint.h>

enum { KERNEL_ITEMS_MAX = 16 };

/* One fw_cfg item, by QEMU's numeric key. */
struct kernel_item {
    uint16_t key;
    const uint8_t *bytes;
    size_t size;
};

struct kernel_request {
    struct tick86_blob kernel;
    const struct tick86_blob *modules; /* Linux: at most one, the initrd. Multiboot: `name` is the module's command line */
    unsigned module_count;
    const char *command_line; /* NULL: empty */
    uint64_t ram_below_4g;    /* bytes of RAM from address 0 up to the first hole */
};

/* The result. Items point into the request's blobs, or into memory and `numbers` owned by this struct, which therefore
 * must not move or be freed while fw_cfg refers to it. */
struct kernel_load {
    struct kernel_item items[KERNEL_ITEMS_MAX];
    unsigned item_count;
    uint8_t numbers[KERNEL_ITEMS_MAX][4];
    uint8_t *setup;        /* Linux: real-mode part, header patched; Multiboot: information structure */
    uint8_t *image;        /* Multiboot: segments and modules as they lie in memory */
    uint8_t *command_line; /* Linux */
};

/* Fills `load`. False with `err` set (and nothing to free) when the files cannot be booted. */
bool kernel_load_prepare(struct kernel_load *load, const struct kernel_request *request, struct error *err);
void kernel_load_free(struct kernel_load *load);

#endif
