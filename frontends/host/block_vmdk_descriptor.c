/* block_vmdk_descriptor.c - VMDK: the text that says what an image consists of, and making images.
 *
 * VMware, "Virtual Disk Format 5.0" (2011), "The Descriptor File". Files of extents must be in the folder of the
 * descriptor: a text from elsewhere cannot name any file of the host as a disk. */
#include "frontends/host/block_vmdk.h"
#include "mem/space.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GRAIN_SECTORS = 128, TABLE_ENTRIES = 512, TABLE_SECTORS = 4, DESCRIPTOR_AT = 1, DESCRIPTOR_SECTORS = 20 };

/* The value of `key = "value"` or key=value that begins a line; NULL: none. */
static const char *find_value(const char *text, const char *key, char *value, size_t capacity)
{
    size_t length = strlen(key);

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) != 0) {
            continue;
        }
        const char *at = line + length;
        at += strspn(at, " \t");
        if (*at != '=') {
            continue;
        }
        at += 1 + strspn(at + 1, " \t\"");
        size_t size = strcspn(at, "\"\r\n");
        if (size >= capacity) {
            return NULL;
        }
        memcpy(value, at, size);
        value[size] = '\0';
        return at;
    }
    return NULL;
}

static bool add_extent(struct block_image *image, struct vmdk_extent *extent)
{
    struct vmdk *vmdk = image->state;
    struct vmdk_extent *all = vmdk->count < VMDK_EXTENTS_MAX ? realloc(vmdk->extents, (vmdk->count + 1) * sizeof *all) : NULL;

    if (all == NULL) {
        return false;
    }
    vmdk->extents = all;
    extent->start = image->size;
    all[vmdk->count++] = *extent;
    image->size += extent->size;
    return true;
}

static bool open_extent_file(struct block_image *image, struct vmdk_extent *extent, const char *name, struct error *err)
{
    char path[4096];
    struct error why = {"", ""};

    if (name[0] == '\0' || strpbrk(name, "/\\") != NULL) {
        return block_refuse(image, err, "put all files into one folder and edit the descriptor",
                            "its part '%.100s' is not a file of the same folder", name);
    }
    if (!block_resolve(image->path, name, path, sizeof path)) {
        return block_refuse(image, err, "use a shorter path", "the path is too long");
    }
    extent->file = host_file_open(path, image->backend.is_readonly, &why);
    extent->is_owned = true;
    if (extent->file == NULL || (!image->options.has_no_lock && !host_file_lock(extent->file, &why))) {
        host_file_close(extent->file);
        error_set(err, "%s", why.message);
        return error_hint(err, "%s", why.hint);
    }
    extent->file->is_unsafe = image->file->is_unsafe;
    return true;
}

/* RW 4192256 SPARSE "disk-s001.vmdk"; FLAT has an offset in sectors behind the name. */
static bool read_extent(struct block_image *image, const char *line, struct error *err)
{
    struct vmdk_extent extent = {.kind = VMDK_FLAT};
    char access[16], kind[16], name[512] = "";
    uint64_t sectors = 0, offset = 0, ignored[2];

    int fields = sscanf(line, "%15s %" SCNu64 " %15s \"%511[^\"]\" %" SCNu64, access, &sectors, kind, name, &offset);
    if (fields < 3 || sectors == 0 || sectors > INT64_MAX / SECTOR_SIZE / 2 || offset > INT64_MAX / SECTOR_SIZE / 2 ||
        (uint64_t)INT64_MAX - image->size < sectors * SECTOR_SIZE) {
        return block_refuse(image, err, "use a backup of the descriptor", "its line '%.60s' cannot be understood", line);
    }
    extent.size = sectors * SECTOR_SIZE;
    extent.flat_offset = offset * SECTOR_SIZE;
    if (strcmp(kind, "ZERO") == 0) {
        extent.kind = VMDK_ZERO;
    } else if (strcmp(kind, "SPARSE") == 0) {
        extent.kind = VMDK_SPARSE;
    } else if (strcmp(kind, "FLAT") != 0 && strcmp(kind, "VMFS") != 0) {
        return block_refuse(image, err, "convert it: vmware-vdiskmanager -r IN -t 0 OUT", "extents of type %s are not supported",
                            kind);
    }
    if (extent.kind != VMDK_ZERO && !open_extent_file(image, &extent, name, err)) {
        return false;
    }
    if (!add_extent(image, &extent)) {
        host_file_close(extent.file);
        return block_refuse(image, err, "convert it", "it has too many parts");
    }
    struct vmdk *vmdk = image->state;
    struct vmdk_extent *last = &vmdk->extents[vmdk->count - 1];
    if (last->kind == VMDK_FLAT && last->flat_offset + last->size > (last->file->size + 511) / 512 * 512) {
        return block_refuse(image, err, "use a backup", "its part '%.100s' is shorter than it should be", name);
    }
    return last->kind != VMDK_SPARSE || vmdk_read_sparse(image, last, ignored, err);
}

static bool is_extent_line(const char *line)
{
    return strncmp(line, "RW ", 3) == 0 || strncmp(line, "RDONLY ", 7) == 0 || strncmp(line, "NOACCESS ", 9) == 0;
}

static bool read_parent_name(struct block_image *image, struct error *err)
{
    struct vmdk *vmdk = image->state;
    char value[2048];

    if (find_value(vmdk->descriptor, "parentFileNameHint", value, sizeof value) == NULL || value[0] == '\0') {
        return block_refuse(image, err, "use a backup of the descriptor", "it has a parent without a name");
    }
    for (char *at = value; *at != '\0'; at++) {
        *at = *at == '\\' ? '/' : *at;
    }
    return layer_set_name(image, value, "vmdk", err);
}

bool vmdk_read_descriptor(struct block_image *image, uint64_t offset, bool has_extents, struct error *err)
{
    struct vmdk *vmdk = image->state;
    char value[64];

    const char *digits = find_value(vmdk->descriptor, "CID", value, sizeof value);
    vmdk->cid = digits != NULL ? (uint32_t)strtoul(value, NULL, 16) : 0;
    if (digits != NULL && strlen(value) == 8) {
        vmdk->cid_offset = offset + (uint64_t)(digits - vmdk->descriptor);
    }
    vmdk->parent_cid = UINT32_MAX;
    if (find_value(vmdk->descriptor, "parentCID", value, sizeof value) != NULL) {
        vmdk->parent_cid = (uint32_t)strtoul(value, NULL, 16);
    }
    find_value(vmdk->descriptor, "createType", vmdk->type, sizeof vmdk->type);
    for (const char *line = vmdk->descriptor; has_extents && line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (is_extent_line(line) && !read_extent(image, line, err)) {
            return false;
        }
    }
    if (has_extents && vmdk->count == 0) {
        return block_refuse(image, err, "use a backup of the descriptor", "its descriptor names no extents");
    }
    return vmdk->parent_cid == UINT32_MAX || read_parent_name(image, err);
}

/* ---- Creating ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

/* What the descriptor says of the disk. */
struct described {
    const char *type, *adapter;
    uint64_t sectors;
};

static int put_descriptor(struct host_file *file, char *text, size_t capacity, const struct described *disk,
                          const char *extent)
{
    bool is_ide = strcmp(disk->adapter, "ide") == 0;
    unsigned heads = is_ide ? 16 : 255;
    uint64_t cylinders = disk->sectors / (heads * UINT64_C(63));
    uint8_t uuid[16];

    block_make_uuid(file, uuid);
    return snprintf(text, capacity,
                    "# Disk DescriptorFile\nversion=1\nCID=%08" PRIx32 "\nparentCID=ffffffff\ncreateType=\"%s\"\n\n"
                    "# Extent description\n%s\n\n# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"4\"\n"
                    "ddb.geometry.cylinders = \"%" PRIu64 "\"\nddb.geometry.heads = \"%u\"\n"
                    "ddb.geometry.sectors = \"63\"\nddb.adapterType = \"%s\"\n",
                    load_le32(uuid) & 0x7fffffff, disk->type, extent, is_ide && cylinders > 16383 ? 16383 : cylinders, heads,
                    disk->adapter);
}

/* A directory, and its grain tables behind it, all empty. */
static uint64_t put_directory(uint8_t *bytes, uint64_t at, uint64_t tables, uint64_t directory_sectors)
{
    for (uint64_t n = 0; n < tables; n++) {
        store_le32(bytes + at * SECTOR_SIZE + n * 4, (uint32_t)(at + directory_sectors + n * TABLE_SECTORS));
    }
    return at + directory_sectors + tables * TABLE_SECTORS;
}

static bool write_sparse(struct host_file *file, const char *path, const char *adapter, uint64_t size)
{
    uint64_t sectors = size / SECTOR_SIZE, tables = (sectors + GRAIN_SECTORS * TABLE_ENTRIES - 1) / (GRAIN_SECTORS * TABLE_ENTRIES);
    uint64_t directory_sectors = (tables * 4 + 511) / 512, redundant_at = DESCRIPTOR_AT + DESCRIPTOR_SECTORS;
    uint64_t directory_at = redundant_at + directory_sectors + tables * TABLE_SECTORS;
    uint64_t overhead = directory_at + directory_sectors + tables * TABLE_SECTORS;
    char extent[700];

    overhead = (overhead + GRAIN_SECTORS - 1) / GRAIN_SECTORS * GRAIN_SECTORS;
    uint8_t *bytes = calloc((size_t)overhead, SECTOR_SIZE);
    if (bytes == NULL) {
        errno = ENOMEM;
        return false;
    }
    memcpy(bytes, "KDMV", 4);
    store_le32(bytes + 4, 1);
    store_le32(bytes + 8, 3); /* valid new line test, redundant tables */
    store_le64(bytes + 12, sectors);
    store_le64(bytes + 20, GRAIN_SECTORS);
    store_le64(bytes + 28, DESCRIPTOR_AT);
    store_le64(bytes + 36, DESCRIPTOR_SECTORS);
    store_le32(bytes + 44, TABLE_ENTRIES);
    store_le64(bytes + 48, redundant_at);
    store_le64(bytes + 56, directory_at);
    store_le64(bytes + 64, overhead);
    memcpy(bytes + 73, "\n \r\n", 4);
    snprintf(extent, sizeof extent, "RW %" PRIu64 " SPARSE \"%.500s\"", sectors, base_name(path));
    put_descriptor(file, (char *)bytes + DESCRIPTOR_AT * SECTOR_SIZE, DESCRIPTOR_SECTORS * SECTOR_SIZE,
                   &(struct described){"monolithicSparse", adapter, sectors}, extent);
    put_directory(bytes, redundant_at, tables, directory_sectors);
    put_directory(bytes, directory_at, tables, directory_sectors);
    bool is_done = host_file_write(file, 0, bytes, (size_t)overhead * SECTOR_SIZE);
    free(bytes);
    return is_done;
}

static bool write_flat(struct host_file *file, const char *path, const char *adapter, uint64_t size, struct error *err)
{
    char flat[4096], extent[700], text[2048];
    size_t length = strlen(path);
    bool has_suffix = length > 5 && strcmp(path + length - 5, ".vmdk") == 0;

    snprintf(flat, sizeof flat, "%.*s-flat.vmdk", (int)(has_suffix ? length - 5 : length), path);
    struct host_file *data = host_file_create(flat, err);
    if (data == NULL) {
        return false;
    }
    bool is_done = host_file_resize(data, size);
    host_file_close(data);
    snprintf(extent, sizeof extent, "RW %" PRIu64 " FLAT \"%.500s\" 0", size / SECTOR_SIZE, base_name(flat));
    int text_length = put_descriptor(file, text, sizeof text,
                                     &(struct described){"monolithicFlat", adapter, size / SECTOR_SIZE}, extent);
    return is_done && text_length > 0 && host_file_write(file, 0, text, (size_t)text_length);
}

bool vmdk_create(const char *path, const struct block_create *create, struct error *err)
{
    struct create_options options;
    const char *type = NULL;

    if (!create_options_parse(&options, create->options, "vmdk", err)) {
        return false;
    }
    type = create_options_get(&options, "subformat");
    type = type != NULL ? type : "monolithicSparse";
    const char *adapter = create_options_get(&options, "adapter_type");
    adapter = adapter != NULL ? adapter : "ide";
    if (!create_options_done(&options, "vmdk", err)) {
        return false;
    }
    bool is_flat = strcmp(type, "monolithicFlat") == 0;
    if (!is_flat && strcmp(type, "monolithicSparse") != 0) {
        error_set(err, "vmdk images of subformat '%s' are read, not made", type);
        return error_hint(err, "subformat=monolithicSparse or subformat=monolithicFlat");
    }
    if (strcmp(adapter, "ide") != 0 && strcmp(adapter, "buslogic") != 0 && strcmp(adapter, "lsilogic") != 0 &&
        strcmp(adapter, "legacyESX") != 0) {
        error_set(err, "vmdk has no adapter_type '%s'", adapter);
        return error_hint(err, "ide, buslogic, lsilogic or legacyESX");
    }
    if (create->size > UINT64_C(2) << 40 || strpbrk(base_name(path), "\"\n") != NULL) {
        error_set(err, "cannot make a VMDK image '%s' of %llu bytes", path, (unsigned long long)create->size);
        return error_hint(err, "at most 2 TiB, and no quotes in its name; or use qcow2");
    }
    struct host_file *file = host_file_create(path, err);
    if (file == NULL) {
        return false;
    }
    bool is_done = is_flat ? write_flat(file, path, adapter, create->size, err)
                           : write_sparse(file, path, adapter, create->size);
    if (!is_done && err->message[0] == '\0') {
        error_set(err, "cannot write '%s': %s", path, strerror(errno));
        error_hint(err, "look at the space that is left with: df .");
    }
    host_file_close(file);
    return is_done;
}
