/* measure.c - tick86-img measure: how large a new image would be, for raw and qcow2, as qemu-img measure tells.
 *
 * QEMU docs/interop/qcow2.txt: a header, L2 tables for every cluster, the L1 table, and refcounts for all of these. */
#include "frontends/img/img.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static uint64_t round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

/* The metadata of an image whose clusters are all in use. */
static uint64_t metadata_bytes(uint64_t size, uint64_t cluster, uint64_t refcount_bits)
{
    uint64_t entries = cluster / 8, per_block = cluster * 8 / refcount_bits;
    uint64_t clusters = round_up(size, cluster) / cluster;
    uint64_t l2 = round_up(clusters, entries) / entries, l1 = round_up(l2, entries) / entries;
    uint64_t used = clusters + l2 + l1 + 1, blocks = 0, table = 0, total = 0;

    do { /* refcounts count themselves */
        total = used + blocks + table;
        blocks = (total + per_block - 1) / per_block;
        table = round_up(blocks, entries) / entries;
    } while (used + blocks + table != total);
    return (total - clusters) * cluster;
}

/* Bytes of the clusters that hold data. */
static bool data_bytes(struct block_image *image, uint64_t cluster, uint64_t *bytes)
{
    uint64_t end = block_size(image), counted_to = 0;
    struct block_status status;

    *bytes = 0;
    for (uint64_t at = 0; at < end; at += status.size) {
        if (!block_status(image, at, end - at, &status)) {
            return false;
        }
        if (status.kind != EXTENT_DATA && status.kind != EXTENT_PACKED) {
            continue;
        }
        uint64_t from = at / cluster * cluster, to = round_up(at + status.size, cluster);
        from = from > counted_to ? from : counted_to;
        *bytes += to > from ? to - from : 0;
        counted_to = to > counted_to ? to : counted_to;
    }
    return true;
}

/* A value of -o; the others matter to create only. */
static bool option_number(struct img_arguments *arguments, const char *name, uint64_t *value)
{
    const char *at = arguments->value['o'];
    size_t length = strlen(name);
    char text[32];

    while (at != NULL && !(strncmp(at, name, length) == 0 && at[length] == '=')) {
        at = strchr(at, ',');
        at = at != NULL ? at + 1 : NULL;
    }
    if (at == NULL) {
        return true;
    }
    snprintf(text, sizeof text, "%.*s", (int)strcspn(at + length + 1, ","), at + length + 1);
    if (!img_parse_size(text, value, NULL) || *value == 0 || (*value & (*value - 1)) != 0) {
        error_set(&arguments->err, "%s=%s is no power of two", name, text);
        return error_hint(&arguments->err, "such as cluster_size=64K");
    }
    return true;
}

static struct block_image *open_measured(struct img_arguments *arguments)
{
    const char *snapshot = arguments->value['l'];
    struct block_options options = {.is_readonly = true,
                                    .format = arguments->value['f'],
                                    .has_no_lock = arguments->value['U'] != NULL};

    options.snapshot = snapshot != NULL && strncmp(snapshot, "snapshot.name=", 14) == 0 ? snapshot + 14 : snapshot;
    struct block_backend *backend = block_open(arguments->names[0], &options, &arguments->err);
    return backend != NULL ? block_image_of(backend) : NULL;
}

int img_measure(struct img_arguments *arguments)
{
    const char *format = arguments->value['O'] != NULL ? arguments->value['O'] : "raw", *text = arguments->value[OPTION_SIZE];
    uint64_t size = 0, cluster = 65536, bits = 16, data = 0;
    bool is_qcow2 = strcmp(format, "qcow2") == 0;

    if ((text != NULL) == (arguments->count == 1)) {
        return img_fail_with(arguments, "measure -O qcow2 FILE, or measure -O qcow2 --size=2G", "name one image or a size");
    }
    if (!is_qcow2 && strcmp(format, "raw") != 0) {
        return img_fail_with(arguments, "-O raw or -O qcow2", "the size of a %s image cannot be told before", format);
    }
    if (!option_number(arguments, "cluster_size", &cluster) || !option_number(arguments, "refcount_bits", &bits)) {
        return img_fail(arguments);
    }
    if (cluster < 512 || cluster > 2 << 20 || bits > 64) {
        return img_fail_with(arguments, "cluster_size from 512 to 2M, refcount_bits up to 64", "no image has such clusters");
    }
    if (text != NULL && (!img_parse_size(text, &size, NULL) || size > INT64_MAX)) {
        return img_fail_with(arguments, "write a number with K, M, G or T behind it", "'%s' is no size", text);
    }
    if (text == NULL) {
        struct block_image *image = open_measured(arguments);
        if (image == NULL) {
            return img_fail(arguments);
        }
        size = block_size(image);
        bool is_done = data_bytes(image, is_qcow2 ? cluster : SECTOR_SIZE, &data);
        if (!img_close(arguments, image) || !is_done) {
            return is_done ? EXIT_FAILED : img_fail(arguments);
        }
    }
    uint64_t metadata = is_qcow2 ? metadata_bytes(size, cluster, bits) : 0;
    uint64_t required = metadata + (is_qcow2 ? data : size), full = metadata + (is_qcow2 ? round_up(size, cluster) : size);
    if (img_is_json(arguments)) {
        printf("{\n    \"required\": %" PRIu64 ",\n    \"fully-allocated\": %" PRIu64 "\n}\n", required, full);
    } else {
        printf("required size: %" PRIu64 "\nfully allocated size: %" PRIu64 "\n", required, full);
    }
    return EXIT_DONE;
}
