/* images.c - kernels, modules and bare FILE arguments: what they are and what to do with them. */
#define _DEFAULT_SOURCE
#include "frontends/images.h"
#include "frontends/host/appliance.h"
#include "frontends/host/block.h"
#include "frontends/host/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_RAM (UINT64_C(128) << 20)
#define BARE_FILE_RAM (UINT64_C(512) << 20)

/* The options that bare files stood for, to be printed. */
struct choice {
    char text[2048];
};

static void chose(struct choice *choice, const char *option, const char *value)
{
    size_t length = strlen(choice->text);
    bool is_quoted = value[strcspn(value, " '\"$\\&;()")] != '\0';

    snprintf(choice->text + length, sizeof choice->text - length, is_quoted ? " %s '%s'" : " %s %s", option, value);
}

static bool choose_drive(struct options *options, const char *path, bool is_cdrom, struct choice *choice,
                         struct error *err)
{
    static const char *const names[TICK86_DISKS] = {"-hda", "-hdb", "-hdc", "-hdd"};
    unsigned index = is_cdrom ? 2 : 0;

    while (index < TICK86_DISKS && options->drives[index].is_used) {
        index++;
    }
    if (index == TICK86_DISKS) {
        error_set(err, "no drive is left for '%s'", path);
        return error_hint(err, "there are four: -hda, -hdb, -hdc and -hdd");
    }
    options->drives[index] =
        (struct drive_option){.is_used = true, .is_cdrom = is_cdrom, .is_readonly = is_cdrom, .path = path};
    if (is_cdrom && index != 2) {
        char drive[1100];
        snprintf(drive, sizeof drive, "file=%s,media=cdrom,index=%u", path, index);
        chose(choice, "-drive", drive);
    } else {
        chose(choice, is_cdrom ? "-cdrom" : names[index], path);
    }
    if (options->boot_order == NULL) { /* the first file is what the user wants to start */
        options->boot_order = is_cdrom ? "dc" : "cd";
    }
    return true;
}

/* An appliance: its disks, its memory; what does not fit is said. */
static bool choose_appliance(struct options *options, const char *path, struct choice *choice, struct error *err)
{
    struct appliance appliance;
    char text[1200];

    if (!appliance_read(path, &appliance, err)) {
        return false;
    }
    for (unsigned n = 0; n < appliance.disk_count; n++) {
        unsigned index = 0;
        while (index < TICK86_DISKS && options->drives[index].is_used) {
            index++;
        }
        if (index == TICK86_DISKS) {
            error_set(err, "no drive is left for disk %u of '%s'", n, path);
            return error_hint(err, "name the disks: -drive file=%s,disk=N", path);
        }
        options->drives[index] = (struct drive_option){.is_used = true, .is_snapshot = true, .path = path, .disk = n};
        snprintf(text, sizeof text, "file=%s,disk=%u,index=%u,snapshot=on", path, n, index);
        chose(choice, "-drive", text);
    }
    if (options->ram_bytes == 0 && appliance.memory_bytes != 0) {
        options->ram_bytes = appliance.memory_bytes;
        snprintf(text, sizeof text, "%llu", (unsigned long long)(appliance.memory_bytes >> 20));
        chose(choice, "-m", text);
    }
    if (appliance.processors > 1) {
        fprintf(stderr, "tick86: the appliance asks for %u processors and gets one\n", appliance.processors);
    }
    options->boot_order = options->boot_order != NULL ? options->boot_order : "cd";
    return true;
}

static bool choose_file(struct options *options, unsigned index, struct choice *choice, struct error *err)
{
    const char *path = options->files[index];
    enum file_content content = block_probe(path, err);
    bool follows_kernel = options->kernel != NULL && options->initrd == NULL && index > 0 &&
                          options->files[index - 1] == options->kernel;

    switch (content) {
    case CONTENT_UNREADABLE:
        return false;
    case CONTENT_BZIMAGE:
    case CONTENT_MULTIBOOT:
        if (options->kernel != NULL) {
            error_set(err, "two kernels: '%s' and '%s'", options->kernel, path);
            return error_hint(err, "name one; modules go with -initrd");
        }
        options->kernel = path;
        chose(choice, "-kernel", path);
        return true;
    case CONTENT_ISO9660:
        return choose_drive(options, path, true, choice, err);
    case CONTENT_QCOW2:
    case CONTENT_VDI:
    case CONTENT_VMDK:
    case CONTENT_VHD:
    case CONTENT_VHDX:
        return choose_drive(options, path, false, choice, err);
    case CONTENT_OVF:
        return choose_appliance(options, path, choice, err);
    case CONTENT_COMPRESSED:
    case CONTENT_DISK:
    case CONTENT_ELF:
    case CONTENT_FLOPPY:
        if (follows_kernel && (content != CONTENT_DISK || index == 1)) {
            options->initrd = path;
            chose(choice, "-initrd", path);
            return true;
        }
        if (content == CONTENT_DISK) {
            return choose_drive(options, path, false, choice, err);
        }
        if (content == CONTENT_FLOPPY && !options->floppies[0].is_used) {
            options->floppies[0] = (struct drive_option){.is_used = true, .is_floppy = true, .path = path};
            options->boot_order = options->boot_order != NULL ? options->boot_order : "a";
            chose(choice, "-fda", path);
            return true;
        }
        break;
    default:
        break;
    }
    error_set(err, "'%s' is a %s, which cannot be booted", path, block_content_name(content));
    if (content == CONTENT_FLOPPY) {
        return error_hint(err, "name the second with -fdb");
    }
    if (content == CONTENT_COMPRESSED) {
        return error_hint(err, "unpack it first; an initrd follows its kernel: tick86 KERNEL INITRD");
    }
    if (content == CONTENT_ELF) {
        return error_hint(err, "a kernel is a Linux bzImage or has a Multiboot header");
    }
    return error_hint(err, "convert it: qemu-img convert -O raw IN OUT");
}

bool images_choose(struct options *options, struct error *err)
{
    struct choice choice = {""};

    for (unsigned n = 0; n < options->file_count; n++) {
        if (!choose_file(options, n, &choice, err)) {
            return false;
        }
    }
    if (options->ram_bytes == 0) {
        options->ram_bytes = options->file_count != 0 ? BARE_FILE_RAM : DEFAULT_RAM;
        if (options->file_count != 0) {
            chose(&choice, "-m", "512M");
        }
    }
    if (options->file_count != 0) {
        if (options->boot_order != NULL) {
            chose(&choice, "-boot", options->boot_order);
        }
        fprintf(stderr, "tick86: chose%s\n", choice.text);
    }
    return true;
}

/* One module: "FILE ARGUMENTS". */
static bool map_module(struct images *images, const char *text, size_t length, struct error *err)
{
    char path[1024];

    if (images->module_count == TICK86_MODULES_MAX + 1) {
        return error_set(err, "-initrd names more than %d files", TICK86_MODULES_MAX + 1);
    }
    char *name = strndup(text, length);
    if (name == NULL) {
        return error_set(err, "out of memory for -initrd");
    }
    struct tick86_blob *module = &images->modules[images->module_count];
    images->module_names[images->module_count] = name;
    snprintf(path, sizeof path, "%s", name);
    if (access(path, F_OK) != 0) {
        path[strcspn(path, " ")] = '\0';
    }
    if (!host_file_map(module, path, "initrd", err)) {
        free(name);
        return false;
    }
    module->name = name;
    images->module_count++;
    return true;
}

bool images_map(struct images *images, const struct options *options, struct error *err)
{
    if (options->kernel == NULL) {
        if (options->initrd != NULL || options->append != NULL) {
            error_set(err, "-%s without -kernel", options->initrd != NULL ? "initrd" : "append");
            return error_hint(err, "name the kernel: -kernel FILE");
        }
        return true;
    }
    if (!host_file_map(&images->kernel, options->kernel, "kernel", err)) {
        return false;
    }
    if (options->initrd == NULL) {
        return true;
    }
    if (access(options->initrd, F_OK) == 0) {
        return map_module(images, options->initrd, strlen(options->initrd), err);
    }
    for (const char *at = options->initrd; *at != '\0';) {
        size_t length = strcspn(at, ",");
        if (!map_module(images, at, length, err)) {
            return false;
        }
        at += length;
        at += *at == ',';
    }
    return true;
}

void images_unmap(struct images *images)
{
    host_file_unmap(&images->kernel);
    for (unsigned n = 0; n < images->module_count; n++) {
        host_file_unmap(&images->modules[n]);
        free(images->module_names[n]);
    }
    images->module_count = 0;
}

void images_relax(const struct images *images)
{
    host_file_relax(&images->kernel);
    for (unsigned n = 0; n < images->module_count; n++) {
        host_file_relax(&images->modules[n]);
    }
}
