/* kernel_loader.c - the host's half of -kernel: takes the image apart, patches its header, chooses addresses.
 *
 * Linux: "The Linux/x86 Boot Protocol" (Documentation/arch/x86/boot.rst), versions 2.00 to 2.15. Multiboot: the
 * Multiboot Specification 0.6.96, ELF32 images and the address fields of the header ("a.out kludge"). The keys are
 * those QEMU defines for the same purpose (include/standard-headers/linux/qemu_fw_cfg.h), so that its loader ROMs and
 * ours understand each other's items.
 *
 * The other half is roms/loader.asm, which knows the firmware's memory map.
 * Not implemented: kernels before boot protocol 2.00 (Linux 1.3.72 and older), the 64-bit and EFI entry points, PVH,
 * Multiboot 2, Multiboot video modes, the section header table in the Multiboot information. */
#include "machine/kernel_loader.h"

#include <stdlib.h>
#include <string.h>

enum {
    KEY_KERNEL_ADDR = 0x07,
    KEY_KERNEL_SIZE = 0x08,
    KEY_INITRD_ADDR = 0x0a,
    KEY_INITRD_SIZE = 0x0b,
    KEY_KERNEL_ENTRY = 0x10,
    KEY_KERNEL_DATA = 0x11,
    KEY_INITRD_DATA = 0x12,
    KEY_CMDLINE_ADDR = 0x13,
    KEY_CMDLINE_SIZE = 0x14,
    KEY_CMDLINE_DATA = 0x15,
    KEY_SETUP_ADDR = 0x16,
    KEY_SETUP_SIZE = 0x17,
    KEY_SETUP_DATA = 0x18
};

/* Linux setup header, offsets from the start of the file (boot.rst, "The Real-Mode Kernel Header"). */
enum {
    HDR_SETUP_SECTS = 0x1f1,
    HDR_SYSSIZE = 0x1f4,
    HDR_VID_MODE = 0x1fa,
    HDR_BOOT_FLAG = 0x1fe,
    HDR_MAGIC = 0x202,
    HDR_VERSION = 0x206,
    HDR_TYPE_OF_LOADER = 0x210,
    HDR_LOADFLAGS = 0x211,
    HDR_RAMDISK_IMAGE = 0x218,
    HDR_RAMDISK_SIZE = 0x21c,
    HDR_HEAP_END_PTR = 0x224,
    HDR_CMD_LINE_PTR = 0x228,
    HDR_INITRD_ADDR_MAX = 0x22c,
    HDR_XLOADFLAGS = 0x236,
    HDR_CMDLINE_SIZE = 0x238,
    HDR_PREF_ADDRESS = 0x258,
    HDR_INIT_SIZE = 0x260,
    HDR_END = 0x268,
    OLD_CL_MAGIC = 0x20, /* before 2.02: "A33Fh" and the offset of the command line */
    OLD_CL_OFFSET = 0x22,

    LOADED_HIGH = 0x01,
    CAN_USE_HEAP = 0x80,
    XLF_CAN_BE_LOADED_ABOVE_4G = 0x02,
    LOADER_UNDEFINED = 0xff,
    SECTOR = 512,
    SETUP_SECTS_MAX = 64,
    PAGE = 4096
};

enum {
    LOW_SETUP = 0x10000,      /* real-mode part when the command line may be anywhere (2.02) */
    LOW_COMMAND_LINE = 0x20000,
    OLD_SETUP = 0x90000,      /* and where it has to be before that */
    OLD_COMMAND_LINE_END = 0x9a000,
    ZIMAGE_ADDRESS = 0x10000,
    ZIMAGE_SIZE_MAX = 0x80000,
    HIGH_ADDRESS = 0x100000,
    OLD_COMMAND_LINE_MAX = 255,
    OLD_INITRD_ADDR_MAX = 0x37ffffff,
    FIRMWARE_TABLES = 0x20000 /* what the firmware may keep for its tables at the top of RAM */
};

/* Multiboot header, offsets from its magic (3.1), and information structure (3.3). */
enum {
    MB_SEARCH = 8192,
    MB_FLAGS = 4,
    MB_CHECKSUM = 8,
    MB_HEADER_ADDR = 12,
    MB_LOAD_ADDR = 16,
    MB_LOAD_END_ADDR = 20,
    MB_BSS_END_ADDR = 24,
    MB_ENTRY_ADDR = 28,
    MB_HEADER_SIZE = 12,
    MB_ADDRESS_HEADER_SIZE = 32,
    MB_NEEDS_UNKNOWN = 0xfff8,
    MB_HAS_ADDRESSES = 0x10000,

    MBI_FLAGS = 0,
    MBI_CMDLINE = 16,
    MBI_MODS_COUNT = 20,
    MBI_MODS_ADDR = 24,
    MBI_BOOT_LOADER_NAME = 64,
    MBI_SIZE = 128,
    MBI_HAS_CMDLINE = 0x004,
    MBI_HAS_MODS = 0x008,
    MBI_HAS_LOADER_NAME = 0x200,
    MBI_ADDRESS = 0x9000, /* the ROM's memory map lies below, at 8000h */
    MBI_END = 0x10000,
    MODULE_ROW = 16,
    LOW_MEMORY_END = 0x9f000
};
#define MB_MAGIC UINT32_C(0x1badb002)
#define BOOT_LOADER_NAME "tick86"

/* ELF32 header and program header. */
enum {
    ELF_CLASS = 4,
    ELF_CLASS_32 = 1,
    ELF_ENTRY = 24,
    ELF_PHOFF = 28,
    ELF_PHENTSIZE = 42,
    ELF_PHNUM = 44,
    ELF_HEADER_SIZE = 52,
    PH_TYPE = 0,
    PH_OFFSET = 4,
    PH_VADDR = 8,
    PH_PADDR = 12,
    PH_FILESZ = 16,
    PH_MEMSZ = 20,
    PH_SIZE = 32,
    PT_LOAD = 1
};

static uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] | (p[1] << 8)); }
static uint32_t get32(const uint8_t *p) { return get16(p) | ((uint32_t)get16(p + 2) << 16); }

static void put16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *p, uint32_t value)
{
    put16(p, value);
    put16(p + 2, value >> 16);
}

static unsigned mebibytes(uint64_t bytes) { return (unsigned)((bytes + 0xfffff) >> 20); }

static void add_bytes(struct kernel_load *load, uint16_t key, const uint8_t *bytes, size_t size)
{
    BUG_ON(load->item_count == KERNEL_ITEMS_MAX);
    load->items[load->item_count++] = (struct kernel_item){ key, bytes, size };
}

static void add_number(struct kernel_load *load, uint16_t key, uint32_t value)
{
    uint8_t *number = load->numbers[load->item_count];

    put32(number, value);
    add_bytes(load, key, number, 4);
}

static void *allocate(size_t size, struct error *err)
{
    void *bytes = calloc(1, size);

    if (bytes == NULL) {
        error_set(err, "out of memory for the kernel (%zu bytes)", size);
    }
    return bytes;
}

/* ---- Linux ---- */

/* What the header and the options say, gathered before anything is built. */
struct linux_image {
    unsigned version; /* boot protocol, 0x20f for 2.15 */
    bool is_high;     /* bzImage: loaded at 1 MiB */
    uint32_t setup_size;
    uint32_t setup_address;
    uint32_t kernel_address;
    uint32_t command_line_address;
    uint32_t command_line_size; /* with its NUL */
    uint32_t command_line_max;  /* without */
    uint64_t initrd_limit;      /* first address the initrd must not touch */
    uint64_t kernel_end;        /* end of what the kernel needs to unpack itself */
};

static bool linux_is_kernel(const struct tick86_blob *kernel)
{
    return kernel->size >= HDR_END && get16(kernel->bytes + HDR_BOOT_FLAG) == 0xaa55 &&
           memcmp(kernel->bytes + HDR_MAGIC, "HdrS", 4) == 0;
}

static bool linux_check_size(const struct tick86_blob *kernel, const struct linux_image *image, struct error *err)
{
    /* syssize counts 16-byte paragraphs, rounded up, and in some versions includes a checksum of 4 bytes. Only its low
     * half is defined before 2.04. */
    uint64_t expected = image->setup_size;

    if (image->version >= 0x204) {
        uint64_t system = (uint64_t)get32(kernel->bytes + HDR_SYSSIZE) * 16;
        expected += system > 20 ? system - 20 : 0;
    }
    if (kernel->size <= image->setup_size || kernel->size < expected) {
        error_set(err, "kernel '%s' is truncated: it has %zu bytes and its header promises %llu", kernel->name,
                  kernel->size, (unsigned long long)expected);
        return error_hint(err, "copy or download it again");
    }
    return true;
}

static bool linux_parse(const struct kernel_request *request, struct linux_image *image, struct error *err)
{
    const struct tick86_blob *kernel = &request->kernel;
    const uint8_t *header = kernel->bytes;
    unsigned setup_sects = header[HDR_SETUP_SECTS] != 0 ? header[HDR_SETUP_SECTS] : 4;

    image->version = get16(header + HDR_VERSION);
    if (image->version < 0x200) {
        return error_set(err, "kernel '%s' has boot protocol %u.%02u, older than 2.00", kernel->name,
                         image->version >> 8, image->version & 0xff);
    }
    if (setup_sects > SETUP_SECTS_MAX) {
        return error_set(err, "kernel '%s' has a bad header: %u setup sectors", kernel->name, setup_sects);
    }
    image->setup_size = (setup_sects + 1) * SECTOR;
    image->is_high = (header[HDR_LOADFLAGS] & LOADED_HIGH) != 0;
    if (!linux_check_size(kernel, image, err)) {
        return false;
    }
    image->command_line_max = image->version >= 0x206 ? get32(header + HDR_CMDLINE_SIZE) : OLD_COMMAND_LINE_MAX;
    image->initrd_limit = OLD_INITRD_ADDR_MAX + UINT64_C(1);
    if (image->version >= 0x20c && (get16(header + HDR_XLOADFLAGS) & XLF_CAN_BE_LOADED_ABOVE_4G) != 0) {
        image->initrd_limit = UINT64_C(1) << 32;
    } else if (image->version >= 0x203) {
        image->initrd_limit = get32(header + HDR_INITRD_ADDR_MAX) + UINT64_C(1);
    }
    if (image->initrd_limit > request->ram_below_4g) {
        image->initrd_limit = request->ram_below_4g;
    }

    size_t length = strlen(request->command_line);
    if (length > image->command_line_max || length >= OLD_SETUP - LOW_COMMAND_LINE) {
        error_set(err, "the kernel command line has %zu characters; kernel '%s' takes at most %u", length, kernel->name,
                  (unsigned)image->command_line_max);
        return error_hint(err, "shorten -append");
    }
    image->command_line_size = (uint32_t)length + 1;
    image->setup_address = LOW_SETUP;
    image->command_line_address = LOW_COMMAND_LINE;
    image->kernel_address = image->is_high ? HIGH_ADDRESS : ZIMAGE_ADDRESS;
    if (!image->is_high || image->version < 0x202) {
        image->setup_address = OLD_SETUP;
        image->command_line_address = (OLD_COMMAND_LINE_END - image->command_line_size) & ~UINT32_C(15);
    }

    uint64_t kernel_size = kernel->size - image->setup_size;
    image->kernel_end = image->kernel_address + kernel_size;
    if (!image->is_high && kernel_size > ZIMAGE_SIZE_MAX) {
        return error_set(err, "kernel '%s' is not a bzImage and too big for low memory (%llu bytes)", kernel->name,
                         (unsigned long long)kernel_size);
    }
    if (image->version >= 0x20a) {
        uint64_t start = get32(header + HDR_PREF_ADDRESS) | ((uint64_t)get32(header + HDR_PREF_ADDRESS + 4) << 32);
        uint64_t unpacked = (start < HIGH_ADDRESS ? HIGH_ADDRESS : start) + get32(header + HDR_INIT_SIZE);
        if (unpacked > image->kernel_end && start < (UINT64_C(1) << 32)) {
            image->kernel_end = unpacked;
        }
    }
    if (image->kernel_end > request->ram_below_4g) {
        error_set(err, "kernel '%s' needs %u MiB of memory; the machine has %u", kernel->name,
                  mebibytes(image->kernel_end), mebibytes(request->ram_below_4g));
        return error_hint(err, "give it more with -m");
    }
    return true;
}

/* The boot loader's duty (boot.rst, "Special Command Line Options"): vga=normal, ext, ask or a number. */
static bool linux_video_mode(const char *command_line, uint16_t *mode)
{
    const char *option = command_line;

    while ((option = strstr(option, "vga=")) != NULL) {
        if (option == command_line || option[-1] == ' ') {
            option += 4;
            if (strncmp(option, "normal", 6) == 0) {
                *mode = 0xffff;
            } else if (strncmp(option, "ext", 3) == 0) {
                *mode = 0xfffe;
            } else if (strncmp(option, "ask", 3) == 0) {
                *mode = 0xfffd;
            } else {
                *mode = (uint16_t)strtoul(option, NULL, 0);
            }
            return true;
        }
        option += 4;
    }
    return false;
}

static void linux_patch_header(uint8_t *header, const struct linux_image *image, const char *command_line)
{
    uint16_t mode;
    /* Offset of the command line in the real-mode segment: up to there the kernel's heap and stack may grow. */
    uint32_t heap_end = image->command_line_address - image->setup_address;

    if (heap_end > 0x10000) {
        heap_end = 0x10000;
    }
    if (linux_video_mode(command_line, &mode)) {
        put16(header + HDR_VID_MODE, mode);
    }
    header[HDR_TYPE_OF_LOADER] = LOADER_UNDEFINED;
    if (image->version >= 0x201) {
        header[HDR_LOADFLAGS] |= CAN_USE_HEAP;
        put16(header + HDR_HEAP_END_PTR, heap_end - 0x200);
    }
    if (image->version >= 0x202) {
        put32(header + HDR_CMD_LINE_PTR, image->command_line_address);
    } else {
        put16(header + OLD_CL_MAGIC, 0xa33f);
        put16(header + OLD_CL_OFFSET, heap_end);
    }
}

/* As high as the protocol and the machine's RAM allow; the ROM lowers it to what the firmware leaves free. */
static bool linux_place_initrd(const struct kernel_request *request, const struct linux_image *image,
                               uint32_t *address, struct error *err)
{
    const struct tick86_blob *initrd = &request->modules[0];
    uint64_t floor = image->kernel_end > HIGH_ADDRESS ? image->kernel_end : HIGH_ADDRESS;
    uint64_t needed = floor + initrd->size + PAGE;

    if (image->initrd_limit == request->ram_below_4g) {
        needed += FIRMWARE_TABLES;
    }
    if (needed > image->initrd_limit) {
        error_set(err, "initrd '%s' (%u MiB) and the kernel (up to %u MiB) do not fit below %u MiB", initrd->name,
                  mebibytes(initrd->size), mebibytes(floor), mebibytes(image->initrd_limit));
        return error_hint(err, "give the machine more memory: -m %uM", mebibytes(needed) + 64);
    }
    *address = (uint32_t)(image->initrd_limit - initrd->size) & ~(uint32_t)(PAGE - 1);
    return true;
}

static bool linux_prepare(struct kernel_load *load, const struct kernel_request *request, struct error *err)
{
    const struct tick86_blob *kernel = &request->kernel;
    struct linux_image image = { 0 };
    uint32_t initrd_address = 0;

    if (request->module_count > 1) {
        error_set(err, "kernel '%s' is Linux, which takes one initrd, not %u", kernel->name, request->module_count);
        return error_hint(err, "join them: cat first second > both");
    }
    if (!linux_parse(request, &image, err) ||
        (request->module_count != 0 && !linux_place_initrd(request, &image, &initrd_address, err))) {
        return false;
    }
    load->setup = allocate(image.setup_size, err);
    load->command_line = load->setup != NULL ? allocate(image.command_line_size, err) : NULL;
    if (load->command_line == NULL) {
        return false;
    }
    memcpy(load->setup, kernel->bytes, image.setup_size);
    memcpy(load->command_line, request->command_line, image.command_line_size);
    linux_patch_header(load->setup, &image, request->command_line);

    size_t kernel_size = kernel->size - image.setup_size;
    add_number(load, KEY_KERNEL_ADDR, image.kernel_address);
    add_number(load, KEY_KERNEL_SIZE, (uint32_t)kernel_size);
    add_bytes(load, KEY_KERNEL_DATA, kernel->bytes + image.setup_size, kernel_size);
    add_number(load, KEY_CMDLINE_ADDR, image.command_line_address);
    add_number(load, KEY_CMDLINE_SIZE, image.command_line_size);
    add_bytes(load, KEY_CMDLINE_DATA, load->command_line, image.command_line_size);
    add_number(load, KEY_SETUP_ADDR, image.setup_address);
    add_number(load, KEY_SETUP_SIZE, image.setup_size);
    add_bytes(load, KEY_SETUP_DATA, load->setup, image.setup_size);
    if (request->module_count != 0) {
        put32(load->setup + HDR_RAMDISK_IMAGE, initrd_address);
        put32(load->setup + HDR_RAMDISK_SIZE, (uint32_t)request->modules[0].size);
        add_number(load, KEY_INITRD_ADDR, initrd_address);
        add_number(load, KEY_INITRD_SIZE, (uint32_t)request->modules[0].size);
        add_bytes(load, KEY_INITRD_DATA, request->modules[0].bytes, request->modules[0].size);
    }
    return true;
}

/* ---- Multiboot ---- */

struct multiboot_image {
    size_t header; /* offset in the file */
    uint32_t flags;
    uint64_t start, end; /* physical addresses, BSS included */
    uint32_t entry;
};

static bool multiboot_find(const struct tick86_blob *kernel, struct multiboot_image *image)
{
    size_t limit = kernel->size < MB_SEARCH ? kernel->size : MB_SEARCH;

    for (size_t at = 0; at + MB_HEADER_SIZE <= limit; at += 4) {
        const uint8_t *header = kernel->bytes + at;
        uint32_t flags = get32(header + MB_FLAGS);
        if (get32(header) == MB_MAGIC && MB_MAGIC + flags + get32(header + MB_CHECKSUM) == 0) {
            image->header = at;
            image->flags = flags;
            return true;
        }
    }
    return false;
}

static bool truncated(const struct tick86_blob *kernel, struct error *err)
{
    error_set(err, "kernel '%s' is truncated (%zu bytes)", kernel->name, kernel->size);
    return error_hint(err, "copy or build it again");
}

/* A part of the file, and where it goes; `memory` beyond `size` is zero. */
struct piece {
    size_t offset;
    uint32_t address, size, memory;
};

/* Gives the pieces one by one; false when there are no more. */
static bool multiboot_piece(const struct tick86_blob *kernel, const struct multiboot_image *image, unsigned index,
                            struct piece *piece)
{
    if (image->flags & MB_HAS_ADDRESSES) {
        const uint8_t *header = kernel->bytes + image->header;
        uint32_t load = get32(header + MB_LOAD_ADDR);
        uint32_t load_end = get32(header + MB_LOAD_END_ADDR);
        uint32_t bss_end = get32(header + MB_BSS_END_ADDR);
        piece->address = load;
        piece->offset = image->header - (get32(header + MB_HEADER_ADDR) - load);
        piece->size = load_end != 0 ? load_end - load : (uint32_t)(kernel->size - piece->offset);
        piece->memory = bss_end > load && bss_end - load > piece->size ? bss_end - load : piece->size;
        return index == 0;
    }
    const uint8_t *rows = kernel->bytes + get32(kernel->bytes + ELF_PHOFF);
    unsigned row_size = get16(kernel->bytes + ELF_PHENTSIZE);
    if (index >= get16(kernel->bytes + ELF_PHNUM)) {
        return false;
    }
    const uint8_t *row = rows + (size_t)index * row_size;
    *piece = (struct piece){ get32(row + PH_OFFSET), get32(row + PH_PADDR), get32(row + PH_FILESZ),
                             get32(row + PH_MEMSZ) };
    if (get32(row + PH_TYPE) != PT_LOAD) {
        piece->size = piece->memory = 0;
    }
    return true;
}

/* The ELF entry point is a virtual address; the segment that holds it tells the physical one. */
static uint32_t elf_entry(const struct tick86_blob *kernel)
{
    uint32_t entry = get32(kernel->bytes + ELF_ENTRY);
    unsigned row_size = get16(kernel->bytes + ELF_PHENTSIZE);

    for (unsigned n = 0; n < get16(kernel->bytes + ELF_PHNUM); n++) {
        const uint8_t *row = kernel->bytes + get32(kernel->bytes + ELF_PHOFF) + (size_t)n * row_size;
        uint32_t start = get32(row + PH_VADDR);
        if (get32(row + PH_TYPE) == PT_LOAD && entry >= start && entry - start < get32(row + PH_MEMSZ)) {
            return entry - start + get32(row + PH_PADDR);
        }
    }
    return entry;
}

static bool multiboot_check_format(const struct tick86_blob *kernel, struct multiboot_image *image, struct error *err)
{
    const uint8_t *header = kernel->bytes + image->header;

    if (image->flags & MB_NEEDS_UNKNOWN) {
        return error_set(err, "Multiboot kernel '%s' requires features that are not implemented (flags 0x%08x)",
                         kernel->name, (unsigned)image->flags);
    }
    if (image->flags & MB_HAS_ADDRESSES) {
        if (kernel->size - image->header < MB_ADDRESS_HEADER_SIZE) {
            return truncated(kernel, err);
        }
        uint32_t distance = get32(header + MB_HEADER_ADDR) - get32(header + MB_LOAD_ADDR);
        if (get32(header + MB_HEADER_ADDR) < get32(header + MB_LOAD_ADDR) || distance > image->header) {
            return error_set(err, "Multiboot kernel '%s' has a bad header: load address after the header",
                             kernel->name);
        }
        image->entry = get32(header + MB_ENTRY_ADDR);
        return true;
    }
    if (kernel->size < ELF_HEADER_SIZE || memcmp(kernel->bytes, "\177ELF", 4) != 0) {
        return error_set(err, "Multiboot kernel '%s' is neither ELF nor does its header give addresses", kernel->name);
    }
    if (kernel->bytes[ELF_CLASS] != ELF_CLASS_32) {
        error_set(err, "Multiboot kernel '%s' is a 64-bit ELF file", kernel->name);
        return error_hint(err, "make a 32-bit one: objcopy -O elf32-i386 IN OUT");
    }
    uint64_t rows_end =
        get32(kernel->bytes + ELF_PHOFF) + (uint64_t)get16(kernel->bytes + ELF_PHNUM) * get16(kernel->bytes + ELF_PHENTSIZE);
    if (get16(kernel->bytes + ELF_PHENTSIZE) < PH_SIZE || rows_end > kernel->size) {
        return truncated(kernel, err);
    }
    image->entry = elf_entry(kernel);
    return true;
}

static bool multiboot_measure(const struct kernel_request *request, struct multiboot_image *image, struct error *err)
{
    const struct tick86_blob *kernel = &request->kernel;
    struct piece piece;

    image->start = UINT64_MAX;
    image->end = 0;
    for (unsigned n = 0; multiboot_piece(kernel, image, n, &piece); n++) {
        if (piece.memory == 0 && piece.size == 0) {
            continue;
        }
        if (piece.offset > kernel->size || piece.size > kernel->size - piece.offset) {
            return truncated(kernel, err);
        }
        if (piece.memory < piece.size) {
            return error_set(err, "Multiboot kernel '%s' has a segment larger in the file than in memory",
                             kernel->name);
        }
        uint64_t end = (uint64_t)piece.address + piece.memory;
        image->start = piece.address < image->start ? piece.address : image->start;
        image->end = end > image->end ? end : image->end;
    }
    if (image->end == 0) {
        return error_set(err, "Multiboot kernel '%s' has nothing to load", kernel->name);
    }
    bool is_low = image->start >= MBI_END && image->end <= LOW_MEMORY_END;
    bool is_high = image->start >= HIGH_ADDRESS && image->end <= request->ram_below_4g;
    if (!is_low && !is_high) {
        error_set(err, "Multiboot kernel '%s' wants addresses 0x%llx to 0x%llx; RAM is at 0x%x to 0x%x and at 0x%x to 0x%llx",
                  kernel->name, (unsigned long long)image->start, (unsigned long long)image->end, MBI_END,
                  LOW_MEMORY_END, HIGH_ADDRESS, (unsigned long long)request->ram_below_4g);
        return error_hint(err, "link it to 1 MiB, or give the machine more memory with -m");
    }
    if (image->entry < image->start || image->entry >= image->end) {
        return error_set(err, "Multiboot kernel '%s' has its entry point 0x%x outside of what is loaded", kernel->name,
                         (unsigned)image->entry);
    }
    return true;
}

static uint64_t page_up(uint64_t address) { return (address + PAGE - 1) & ~(uint64_t)(PAGE - 1); }

/* The Multiboot information with the module list and all strings behind it. The ROM adds sizes and map of memory. */
static bool multiboot_information(struct kernel_load *load, const struct kernel_request *request, uint64_t modules_start,
                                  struct error *err)
{
    size_t name_size = strlen(request->kernel.name) + 1; /* with the blank after it */
    size_t line_size = strlen(request->command_line) + 1;
    size_t rows = MBI_SIZE;
    size_t strings = rows + (size_t)request->module_count * MODULE_ROW;
    size_t size = strings + name_size + line_size + sizeof BOOT_LOADER_NAME;
    uint32_t flags = MBI_HAS_CMDLINE | MBI_HAS_LOADER_NAME;

    for (unsigned n = 0; n < request->module_count; n++) {
        size += strlen(request->modules[n].name) + 1;
    }
    if (size > MBI_END - MBI_ADDRESS) {
        error_set(err, "the command lines of the kernel and its modules are too long (%zu characters)", size - strings);
        return error_hint(err, "shorten -append or the names in -initrd");
    }
    uint8_t *info = load->setup = allocate(size, err);
    if (info == NULL) {
        return false;
    }
    uint8_t *string = info + strings;
    put32(info + MBI_CMDLINE, MBI_ADDRESS + (uint32_t)(string - info));
    memcpy(string, request->kernel.name, name_size - 1);
    string[name_size - 1] = ' ';
    memcpy(string + name_size, request->command_line, line_size);
    string += name_size + line_size;
    put32(info + MBI_BOOT_LOADER_NAME, MBI_ADDRESS + (uint32_t)(string - info));
    memcpy(string, BOOT_LOADER_NAME, sizeof BOOT_LOADER_NAME);
    string += sizeof BOOT_LOADER_NAME;

    uint64_t address = modules_start;
    for (unsigned n = 0; n < request->module_count; n++) {
        const struct tick86_blob *module = &request->modules[n];
        uint8_t *row = info + rows + (size_t)n * MODULE_ROW;
        put32(row, (uint32_t)address);
        put32(row + 4, (uint32_t)(address + module->size));
        put32(row + 8, MBI_ADDRESS + (uint32_t)(string - info));
        memcpy(string, module->name, strlen(module->name) + 1);
        string += strlen(module->name) + 1;
        address = page_up(address + module->size);
    }
    if (request->module_count != 0) {
        flags |= MBI_HAS_MODS;
        put32(info + MBI_MODS_COUNT, request->module_count);
        put32(info + MBI_MODS_ADDR, MBI_ADDRESS + (uint32_t)rows);
    }
    put32(info + MBI_FLAGS, flags);
    add_number(load, KEY_INITRD_ADDR, MBI_ADDRESS);
    add_number(load, KEY_INITRD_SIZE, (uint32_t)size);
    add_bytes(load, KEY_INITRD_DATA, info, size);
    return true;
}

static bool multiboot_prepare(struct kernel_load *load, const struct kernel_request *request,
                              struct multiboot_image *image, struct error *err)
{
    const struct tick86_blob *kernel = &request->kernel;
    struct piece piece;

    if (!multiboot_check_format(kernel, image, err) || !multiboot_measure(request, image, err)) {
        return false;
    }
    /* The modules follow the kernel, each on a page of its own (header flag bit 0 asks for it; harmless without). */
    uint64_t modules_start = page_up(image->end);
    uint64_t end = request->module_count != 0 ? modules_start : image->end;
    for (unsigned n = 0; n < request->module_count; n++) {
        end = page_up(end) + request->modules[n].size;
    }
    if (end > request->ram_below_4g || (image->start < HIGH_ADDRESS && end > LOW_MEMORY_END)) {
        error_set(err, "kernel '%s' and its modules need memory up to %u MiB; the machine has %u", kernel->name,
                  mebibytes(end), mebibytes(request->ram_below_4g));
        return error_hint(err, "give it more with -m");
    }
    size_t size = (size_t)(end - image->start);
    load->image = allocate(size, err);
    if (load->image == NULL || !multiboot_information(load, request, modules_start, err)) {
        return false;
    }
    for (unsigned n = 0; multiboot_piece(kernel, image, n, &piece); n++) {
        if (piece.size != 0) {
            memcpy(load->image + (piece.address - image->start), kernel->bytes + piece.offset, piece.size);
        }
    }
    uint64_t address = modules_start;
    for (unsigned n = 0; n < request->module_count; n++) {
        const struct tick86_blob *module = &request->modules[n];
        if (module->size != 0) {
            memcpy(load->image + (address - image->start), module->bytes, module->size);
        }
        address = page_up(address + module->size);
    }
    add_number(load, KEY_KERNEL_ADDR, (uint32_t)image->start);
    add_number(load, KEY_KERNEL_SIZE, (uint32_t)size);
    add_bytes(load, KEY_KERNEL_DATA, load->image, size);
    add_number(load, KEY_KERNEL_ENTRY, image->entry);
    return true;
}

/* ---- either ---- */

static bool not_a_kernel(const struct tick86_blob *kernel, struct error *err)
{
    if (kernel->size == 0) {
        return error_set(err, "kernel '%s' is empty", kernel->name);
    }
    if (kernel->size >= 4 && memcmp(kernel->bytes, "\177ELF", 4) == 0) {
        error_set(err, "'%s' is an ELF file without a Multiboot header", kernel->name);
        return error_hint(err, "for Linux use the bzImage (vmlinuz), not vmlinux");
    }
    error_set(err, "'%s' is not a kernel: neither a Linux bzImage nor a Multiboot image", kernel->name);
    return error_hint(err, "disk images go with -hda, CD images with -cdrom");
}

bool kernel_load_prepare(struct kernel_load *load, const struct kernel_request *given, struct error *err)
{
    struct kernel_request request = *given;
    struct multiboot_image multiboot = { 0 };
    bool is_ready;

    memset(load, 0, sizeof *load);
    if (request.command_line == NULL) {
        request.command_line = "";
    }
    if (request.kernel.name == NULL) {
        request.kernel.name = "kernel";
    }
    if (request.ram_below_4g > UINT64_C(1) << 32) {
        request.ram_below_4g = UINT64_C(1) << 32;
    }
    if (linux_is_kernel(&request.kernel)) {
        is_ready = linux_prepare(load, &request, err);
    } else if (request.kernel.size != 0 && multiboot_find(&request.kernel, &multiboot)) {
        is_ready = multiboot_prepare(load, &request, &multiboot, err);
    } else {
        is_ready = not_a_kernel(&request.kernel, err);
    }
    if (!is_ready) {
        kernel_load_free(load);
    }
    return is_ready;
}

void kernel_load_free(struct kernel_load *load)
{
    free(load->setup);
    free(load->image);
    free(load->command_line);
    memset(load, 0, sizeof *load);
}
