/* appliance.c - OVA archives and OVF descriptors.
 *
 * DMTF DSP0243 (Open Virtualization Format 1.1): an XML descriptor with References (files), a DiskSection (disks of files)
 * and VirtualHardwareSection items, whose ResourceType is CIM's (DSP1041): 3 processor, 4 memory, 10 Ethernet, 17 disk.
 * An OVA is a tar archive (POSIX.1-1988 ustar) with the descriptor first.
 *
 * The XML is read by a scanner that knows elements, attributes, comments and text, and no namespaces, DTDs or entities but
 * the five predefined ones.
 *
 * Not implemented: compressed or split files, several virtual systems (the first counts), signatures and manifests. */
#include "frontends/host/appliance.h"
#include "frontends/host/block_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DESCRIPTOR_MAX = 4 << 20, TAR_BLOCK = 512, FILES_MAX = 32 };

/* ---- XML ---- */

struct xml {
    const char *at, *end;
    char name[64];       /* of the element, without its prefix */
    const char *inside;  /* its attributes */
    size_t inside_size;
    bool is_end;
};

static const char *find_text(const char *at, const char *end, const char *text)
{
    size_t length = strlen(text);

    for (; at != NULL && (size_t)(end - at) >= length; at++) {
        at = memchr(at, text[0], (size_t)(end - at));
        if (at == NULL || (size_t)(end - at) < length) {
            return NULL;
        }
        if (memcmp(at, text, length) == 0) {
            return at;
        }
    }
    return NULL;
}

/* The next tag; false at the end. */
static bool next_tag(struct xml *xml)
{
    for (;;) {
        const char *open = xml->at < xml->end ? memchr(xml->at, '<', (size_t)(xml->end - xml->at)) : NULL;
        if (open == NULL || xml->end - open < 3) {
            return false;
        }
        bool is_comment = xml->end - open > 4 && memcmp(open, "<!--", 4) == 0;
        const char *close = is_comment ? find_text(open + 4, xml->end, "-->") : memchr(open, '>', (size_t)(xml->end - open));
        if (close == NULL) {
            return false;
        }
        xml->at = close + (is_comment ? 3 : 1);
        if (open[1] == '!' || open[1] == '?') {
            continue;
        }
        xml->is_end = open[1] == '/';
        const char *name = open + 1 + xml->is_end, *stop = name;
        while (stop < close && strchr(" \t\r\n/", *stop) == NULL) {
            name = *stop == ':' ? stop + 1 : name;
            stop++;
        }
        size_t length = (size_t)(stop - name) < sizeof xml->name - 1 ? (size_t)(stop - name) : sizeof xml->name - 1;
        memcpy(xml->name, name, length);
        xml->name[length] = '\0';
        xml->inside = stop;
        xml->inside_size = (size_t)(close - stop);
        return true;
    }
}

/* Copies text with the predefined entities replaced. */
static void copy_text(char *out, size_t capacity, const char *text, size_t size)
{
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};
    size_t length = 0;

    for (size_t n = 0; n < size && length + 1 < capacity; n++) {
        char c = text[n];
        for (unsigned k = 0; c == '&' && k < 5; k++) {
            size_t entity = strlen(entities[k]);
            if (size - n >= entity && memcmp(text + n, entities[k], entity) == 0) {
                c = "&<>\"'"[k];
                n += entity - 1;
                break;
            }
        }
        out[length++] = c;
    }
    out[length] = '\0';
}

static bool attribute(const struct xml *xml, const char *name, char *value, size_t capacity)
{
    const char *at = xml->inside, *end = xml->inside + xml->inside_size;
    size_t length = strlen(name);

    for (; (at = find_text(at, end, name)) != NULL; at += length) {
        const char *quote = at + length;
        bool is_whole = at > xml->inside && strchr(" \t\r\n:", at[-1]) != NULL;
        while (quote < end && strchr(" =\t", *quote) != NULL) {
            quote++;
        }
        if (!is_whole || quote >= end || (*quote != '"' && *quote != '\'') || quote == at + length) {
            continue;
        }
        const char *close = memchr(quote + 1, *quote, (size_t)(end - quote - 1));
        if (close != NULL) {
            copy_text(value, capacity, quote + 1, (size_t)(close - quote - 1));
            return true;
        }
    }
    return false;
}

/* The text up to the next tag, without blanks around. */
static void element_text(const struct xml *xml, char *text, size_t capacity)
{
    const char *at = xml->at, *stop = memchr(at, '<', (size_t)(xml->end - at));

    stop = stop != NULL ? stop : xml->end;
    while (at < stop && strchr(" \t\r\n", *at) != NULL) {
        at++;
    }
    while (stop > at && strchr(" \t\r\n", stop[-1]) != NULL) {
        stop--;
    }
    copy_text(text, capacity, at, (size_t)(stop - at));
}

/* ---- The descriptor ---- */

struct references {
    struct {
        char id[64], href[256];
        bool is_compressed;
    } files[FILES_MAX];
    unsigned count;
};

struct item {
    char type[16], quantity[32], units[64], subtype[32];
};

/* "byte * 2^20", "MegaBytes": the factor. */
static uint64_t units_of(const char *units)
{
    const char *power = strstr(units, "2^");

    if (power != NULL) {
        unsigned long bits = strtoul(power + 2, NULL, 10);
        return bits < 50 ? UINT64_C(1) << bits : 0;
    }
    if (strstr(units, "Giga") != NULL || strcmp(units, "GB") == 0) {
        return UINT64_C(1) << 30;
    }
    if (strstr(units, "Kilo") != NULL || strcmp(units, "KB") == 0) {
        return UINT64_C(1) << 10;
    }
    return strcmp(units, "byte") == 0 ? 1 : UINT64_C(1) << 20;
}

static void take_item(struct appliance *appliance, const struct item *item)
{
    uint64_t quantity = strtoull(item->quantity, NULL, 10), units = units_of(item->units);

    switch (strtoul(item->type, NULL, 10)) {
    case 3: appliance->processors = appliance->processors == 0 ? (unsigned)(quantity & 0xffff) : appliance->processors; break;
    case 4:
        if (appliance->memory_bytes == 0 && units != 0 && quantity < UINT64_MAX / units) {
            appliance->memory_bytes = quantity * units;
        }
        break;
    case 10:
        if (appliance->nic[0] == '\0') {
            snprintf(appliance->nic, sizeof appliance->nic, "%s", item->subtype[0] != '\0' ? item->subtype : "Ethernet");
        }
        break;
    default: break;
    }
}

static bool take_disk(const struct xml *xml, const struct references *references, struct appliance *appliance,
                      const char *path, struct error *err)
{
    char id[64];

    if (!attribute(xml, "fileRef", id, sizeof id) || appliance->disk_count == APPLIANCE_DISKS) {
        return true; /* an empty disk to be made, or more than a PC has drives for */
    }
    for (unsigned n = 0; n < references->count; n++) {
        if (strcmp(references->files[n].id, id) != 0) {
            continue;
        }
        if (references->files[n].is_compressed) {
            error_set(err, "the disk '%s' of '%s' is compressed", references->files[n].href, path);
            return error_hint(err, "unpack the appliance: tar xf, gunzip");
        }
        snprintf(appliance->disks[appliance->disk_count++].file, sizeof appliance->disks[0].file, "%s",
                 references->files[n].href);
        return true;
    }
    error_set(err, "the appliance '%s' names a disk '%.60s' that is none of its files", path, id);
    return error_hint(err, "export it again");
}

static bool parse(const char *text, size_t size, const char *path, struct appliance *appliance, struct error *err)
{
    struct xml xml = {.at = text, .end = text + size};
    static const char *const fields[] = {"ResourceType", "VirtualQuantity", "AllocationUnits", "ResourceSubType"};
    struct references *references = calloc(1, sizeof *references);
    struct item item = {"", "", "", ""};
    bool is_good = references != NULL;
    unsigned systems = 0;

    while (is_good && next_tag(&xml)) {
        char *const values[] = {item.type, item.quantity, item.units, item.subtype};
        const size_t sizes[] = {sizeof item.type, sizeof item.quantity, sizeof item.units, sizeof item.subtype};
        bool is_file = strcmp(xml.name, "File") == 0 && !xml.is_end && references->count < FILES_MAX;
        if (is_file && attribute(&xml, "id", references->files[references->count].id, 64) &&
            attribute(&xml, "href", references->files[references->count].href, 256)) {
            char compression[16] = "";
            attribute(&xml, "compression", compression, sizeof compression);
            references->files[references->count].is_compressed =
                compression[0] != '\0' && strcmp(compression, "identity") != 0;
            references->count++;
        } else if (strcmp(xml.name, "Disk") == 0 && !xml.is_end) {
            is_good = take_disk(&xml, references, appliance, path, err);
        } else if (strcmp(xml.name, "VirtualSystem") == 0 && !xml.is_end && ++systems == 1) {
            attribute(&xml, "id", appliance->name, sizeof appliance->name);
        } else if (strcmp(xml.name, "Item") == 0) {
            if (xml.is_end && systems == 1) {
                take_item(appliance, &item);
            }
            item = (struct item){"", "", "", ""};
        }
        for (unsigned n = 0; n < 4 && !xml.is_end; n++) {
            if (strcmp(xml.name, fields[n]) == 0) {
                element_text(&xml, values[n], sizes[n]);
            }
        }
    }
    free(references);
    if (is_good && appliance->disk_count == 0) {
        error_set(err, "the appliance '%s' has no disks", path);
        return error_hint(err, "export it again with its disks");
    }
    return is_good;
}

/* ---- The archive ---- */

/* A number of a tar header: octal, or binary with the first bit set for more than 8 GiB. */
static uint64_t tar_number(const uint8_t *field, unsigned size)
{
    uint64_t value = 0;

    for (unsigned n = 0; n < size; n++) {
        if (field[0] & 0x80) {
            value = value << 8 | (n == 0 ? field[n] & 0x7fu : field[n]);
        } else if (field[n] >= '0' && field[n] <= '7') {
            value = value << 3 | (uint64_t)(field[n] - '0');
        }
    }
    return value;
}

/* Finds a member by name (NULL: the first .ovf). */
static bool find_member(struct host_file *file, const char *wanted, uint64_t *offset, uint64_t *size)
{
    uint8_t header[TAR_BLOCK];
    char name[101];

    for (uint64_t at = 0; at + TAR_BLOCK <= file->size;) {
        if (!host_file_read(file, at, header, sizeof header) || header[0] == '\0') {
            return false;
        }
        memcpy(name, header, 100);
        name[100] = '\0';
        *size = tar_number(header + 124, 12);
        *offset = at + TAR_BLOCK;
        if (*size > file->size - *offset) {
            return false; /* cut off */
        }
        size_t length = strlen(name);
        bool is_descriptor = length > 4 && strcmp(name + length - 4, ".ovf") == 0;
        if (wanted != NULL ? strcmp(name, wanted) == 0 : is_descriptor) {
            return true;
        }
        at = *offset + (*size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
    }
    return false;
}

static bool read_file(struct host_file *file, const char *path, struct appliance *appliance, struct error *err)
{
    uint8_t magic[TAR_BLOCK];
    uint64_t offset = 0, size = file->size;

    appliance->is_archive = host_file_read(file, 0, magic, sizeof magic) && memcmp(magic + 257, "ustar", 5) == 0;
    if (appliance->is_archive && !find_member(file, NULL, &offset, &size)) {
        error_set(err, "the archive '%s' has no OVF descriptor, or is cut off", path);
        return error_hint(err, "copy it again; look with: tar tvf %s", path);
    }
    if (size > DESCRIPTOR_MAX) {
        error_set(err, "the OVF descriptor of '%s' is too large", path);
        return error_hint(err, "is it an appliance?");
    }
    char *text = malloc((size_t)size + 1);
    bool is_good = text != NULL && host_file_read(file, offset, text, (size_t)size) &&
                   parse(text, (size_t)size, path, appliance, err);
    free(text);
    for (unsigned n = 0; is_good && appliance->is_archive && n < appliance->disk_count; n++) {
        is_good = find_member(file, appliance->disks[n].file, &appliance->disks[n].offset, &appliance->disks[n].size);
        if (!is_good) {
            error_set(err, "the archive '%s' has no file '%.100s', or is cut off", path, appliance->disks[n].file);
            error_hint(err, "copy it again; look with: tar tvf %s", path);
        }
    }
    for (unsigned n = 0; is_good && !appliance->is_archive && n < appliance->disk_count; n++) {
        is_good = strpbrk(appliance->disks[n].file, "/\\") == NULL;
        if (!is_good) {
            error_set(err, "the appliance '%s' names a disk '%.100s' outside of its folder", path, appliance->disks[n].file);
            error_hint(err, "put all its files into one folder and edit the descriptor");
        }
    }
    return is_good;
}

bool appliance_read(const char *path, struct appliance *appliance, struct error *err)
{
    struct host_file *file = host_file_open(path, true, err);

    memset(appliance, 0, sizeof *appliance);
    if (file == NULL) {
        return false;
    }
    bool is_good = read_file(file, path, appliance, err);
    if (!is_good && err->message[0] == '\0') {
        error_set(err, "cannot read the appliance '%s'", path);
        error_hint(err, "check that the file can be read");
    }
    host_file_close(file);
    return is_good;
}
