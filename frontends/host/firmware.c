/* firmware.c - finds SeaBIOS, its VGA BIOS and our loader ROM on the host: -L folders first, then tick86's own, then
 * where Debian, Fedora, Arch and a QEMU built by hand keep SeaBIOS. */
#define _DEFAULT_SOURCE
#include "frontends/host/firmware.h"
#include "frontends/host/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const system_dirs[] = {
    "/usr/share/seabios", "/usr/share/qemu",         "/usr/share/qemu-kvm",
    "/usr/share/seavgabios", "/usr/local/share/qemu", "/usr/local/share/seabios",
    "/usr/lib/ipxe/qemu", "/usr/share/ipxe/qemu",    "/usr/share/ipxe",
};

static bool try_dir(struct tick86_blob *blob, const char *dir, size_t dir_length, const char *name, struct error *err)
{
    char path[1024];

    if ((size_t)snprintf(path, sizeof path, "%.*s/%s", (int)dir_length, dir, name) >= sizeof path ||
        access(path, R_OK) != 0 || !host_file_map(blob, path, "firmware", err)) {
        return false;
    }
    blob->name = name;
    return true;
}

static bool try_everywhere(struct tick86_blob *blob, const char *name, const char *const *dirs, unsigned dir_count,
                           struct error *err)
{
    for (unsigned n = 0; n < dir_count; n++) {
        if (try_dir(blob, dirs[n], strlen(dirs[n]), name, err)) {
            return true;
        }
    }
    for (const char *list = TICK86_ROM_DIRS; *list != '\0';) {
        size_t length = strcspn(list, ":");
        if (try_dir(blob, list, length, name, err)) {
            return true;
        }
        list += length;
        list += *list == ':';
    }
    for (size_t n = 0; n < sizeof system_dirs / sizeof system_dirs[0]; n++) {
        if (try_dir(blob, system_dirs[n], strlen(system_dirs[n]), name, err)) {
            return true;
        }
    }
    return false;
}

bool firmware_map(struct tick86_blob *blob, const char *const *names, const char *const *dirs, unsigned dir_count,
                  struct error *err)
{
    for (unsigned n = 0; names[n] != NULL; n++) {
        if (try_everywhere(blob, names[n], dirs, dir_count, err)) {
            return true;
        }
    }
    error_set(err, "cannot find firmware '%s'", names[0]);
    if (strcmp(names[0], "loader.bin") == 0) {
        return error_hint(err, "it is built with tick86, in build/roms; say where with -L DIR");
    }
    return error_hint(err, "install the package seabios (apt-get install seabios), or say where it is with -L DIR");
}
