/* block_probe.c - what a file contains, from its magic numbers.
 *
 * ISO 9660/ECMA-119 8.1 (volume descriptors at block 16), Linux Documentation/x86/boot.rst, Multiboot Specification 0.6.96
 * 3.1, QEMU docs/interop/qcow2.txt, VMware Virtual Disk Format 5.0, Microsoft VHD 1.0 and [MS-VHDX]. A partitioned disk
 * is looked for before a Multiboot header, since GRUB's core image behind the MBR has one.
 *
 * Not implemented: telling CD images of 2352-byte sectors (.bin), Multiboot 2. */
#define _FILE_OFFSET_BITS 64
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "frontends/host/block_probe.h"
#include "frontends/host/block_file.h"
#include "frontends/host/block_format.h"
#include "mem/space.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD_SIZE = 40960, FOOTER_SIZE = 512, MULTIBOOT_SEARCH = 8192, ISO_DESCRIPTOR = 32768, ISO_BLOCK = 2048 };

static const struct {
    const char *text;
    uint8_t size;
    uint8_t offset;
    enum file_content content;
} magics[] = {
    {"QFI\xfb", 4, 0, CONTENT_QCOW2},
    {"\x7f\x10\xda\xbe", 4, 64, CONTENT_VDI},
    {"KDMV", 4, 0, CONTENT_VMDK},
    {"COWD", 4, 0, CONTENT_VMDK},
    {"# Disk DescriptorFile", 21, 0, CONTENT_VMDK},
    {"conectix", 8, 0, CONTENT_VHD},
    {"vhdxfile", 8, 0, CONTENT_VHDX},
    {"\x1f\x8b\x08", 3, 0, CONTENT_COMPRESSED},
    {"BZh", 3, 0, CONTENT_COMPRESSED},
    {"\xfd" "7zXZ\0", 6, 0, CONTENT_COMPRESSED},
    {"\x28\xb5\x2f\xfd", 4, 0, CONTENT_COMPRESSED},
    {"PK\x03\x04", 4, 0, CONTENT_COMPRESSED},
    {"7z\xbc\xaf\x27\x1c", 6, 0, CONTENT_COMPRESSED},
};

static bool is_floppy_size(uint64_t size)
{
    static const uint16_t sizes_k[] = {160, 180, 320, 360, 720, 1200, 1440, 1680, 1722, 2880};

    for (unsigned n = 0; n < sizeof sizes_k / sizeof sizes_k[0]; n++) {
        if (size == (uint64_t)sizes_k[n] * 1024) {
            return true;
        }
    }
    return false;
}

/* ECMA-119 descriptors, or the beginning of a UDF recognition sequence. */
static bool is_iso(const uint8_t *head)
{
    const uint8_t *at = head + ISO_DESCRIPTOR + 1;

    return memcmp(at, "CD001", 5) == 0 || memcmp(at, "BEA01", 5) == 0;
}

static bool is_multiboot(const uint8_t *head)
{
    for (unsigned n = 0; n + 12 <= MULTIBOOT_SEARCH; n += 4) {
        if (load_le32(head + n) == 0x1badb002 &&
            load_le32(head + n) + load_le32(head + n + 4) + load_le32(head + n + 8) == 0) {
            return true;
        }
    }
    return false;
}

/* OVA is a tar archive (POSIX.1-1988 ustar) whose first member is the OVF descriptor (DMTF DSP0243, 5.3). */
static bool is_ovf(const uint8_t *head)
{
    char name[101], text[513];

    memcpy(name, head, 100);
    name[100] = '\0';
    size_t length = strlen(name);
    if (memcmp(head + 257, "ustar", 5) == 0 && length > 4 && strcmp(name + length - 4, ".ovf") == 0) {
        return true;
    }
    memcpy(text, head, 512);
    text[512] = '\0';
    return (strncmp(text, "<?xml", 5) == 0 || strncmp(text, "\xef\xbb\xbf<?xml", 8) == 0 || text[0] == '<') &&
           (strstr(text, "<Envelope") != NULL || strstr(text, ":Envelope") != NULL);
}

bool block_is_format_header(const uint8_t sector[512])
{
    for (unsigned n = 0; n < sizeof magics / sizeof magics[0]; n++) {
        if (magics[n].content != CONTENT_COMPRESSED &&
            memcmp(sector + magics[n].offset, magics[n].text, magics[n].size) == 0) {
            return true;
        }
    }
    return is_ovf(sector);
}

bool block_is_format_footer(const uint8_t sector[512])
{
    return memcmp(sector, "conectix", 8) == 0;
}

static enum file_content classify(const uint8_t *head, const uint8_t *footer, uint64_t size)
{
    bool is_boot_sector = head[0x1fe] == 0x55 && head[0x1ff] == 0xaa;

    for (unsigned n = 0; n < sizeof magics / sizeof magics[0]; n++) {
        if (memcmp(head + magics[n].offset, magics[n].text, magics[n].size) == 0) {
            return magics[n].content;
        }
    }
    if (is_ovf(head)) {
        return CONTENT_OVF;
    }
    if (memcmp(footer, "conectix", 8) == 0) {
        return CONTENT_VHD; /* of fixed size */
    }
    if (is_iso(head)) {
        return CONTENT_ISO9660;
    }
    if (is_boot_sector && memcmp(head + 0x202, "HdrS", 4) == 0) {
        return CONTENT_BZIMAGE;
    }
    if (memcmp(head, "\x7f" "ELF", 4) == 0) {
        return is_multiboot(head) ? CONTENT_MULTIBOOT : CONTENT_ELF;
    }
    if (is_floppy_size(size)) {
        return CONTENT_FLOPPY;
    }
    return !is_boot_sector && is_multiboot(head) ? CONTENT_MULTIBOOT : CONTENT_DISK;
}

enum file_content block_probe_file(struct host_file *file, struct error *err)
{
    enum file_content content = CONTENT_UNREADABLE;
    uint8_t *head = malloc(HEAD_SIZE + FOOTER_SIZE);
    uint64_t footer_at = file->size > FOOTER_SIZE ? file->size - FOOTER_SIZE : 0;

    if (head == NULL) {
        error_set(err, "cannot look at '%s': out of memory", file->path);
        error_hint(err, "close other programs");
        return CONTENT_UNREADABLE;
    }
    if (host_file_read(file, 0, head, HEAD_SIZE) && host_file_read(file, footer_at, head + HEAD_SIZE, FOOTER_SIZE)) {
        content = classify(head, head + HEAD_SIZE, file->size);
    } else {
        error_set(err, "cannot read '%s'", file->path);
        error_hint(err, "check that the file can be read: cat '%s' > /dev/null", file->path);
    }
    free(head);
    return content;
}

enum file_content block_probe(const char *path, struct error *err)
{
    struct host_file *file = host_file_open(path, true, err);
    enum file_content content = file != NULL ? block_probe_file(file, err) : CONTENT_UNREADABLE;

    host_file_close(file);
    return content;
}

const char *block_content_name(enum file_content content)
{
    static const char *const names[CONTENTS] = {
        [CONTENT_UNREADABLE] = "unreadable file",
        [CONTENT_DISK] = "raw disk image",
        [CONTENT_FLOPPY] = "floppy disk image",
        [CONTENT_ISO9660] = "CD-ROM image (ISO 9660)",
        [CONTENT_BZIMAGE] = "Linux kernel (bzImage)",
        [CONTENT_MULTIBOOT] = "Multiboot kernel",
        [CONTENT_ELF] = "ELF file",
        [CONTENT_QCOW2] = "qcow2 disk image",
        [CONTENT_VDI] = "VDI disk image (VirtualBox)",
        [CONTENT_VMDK] = "VMDK disk image (VMware)",
        [CONTENT_VHD] = "VHD disk image (Virtual PC)",
        [CONTENT_VHDX] = "VHDX disk image (Hyper-V)",
        [CONTENT_OVF] = "virtual appliance (OVA/OVF)",
        [CONTENT_COMPRESSED] = "compressed file",
    };

    return content < CONTENTS ? names[content] : names[CONTENT_UNREADABLE];
}
