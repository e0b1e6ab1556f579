/* info.c - tick86-img info, map, check, snapshot: what an image is. JSON has the keys that qemu-img's has. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include "frontends/img/img.h"
#include "frontends/vmstate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- info ---- */

static const char *json_key(char *text, size_t capacity, const char *key)
{
    snprintf(text, capacity, "%s", key);
    for (char *at = text; *at != '\0'; at++) {
        *at = *at == ' ' ? '-' : *at;
    }
    return text;
}

static void print_date(uint64_t date_s)
{
    time_t when = (time_t)date_s;
    struct tm local;
    char text[32] = "?";

    if (localtime_r(&when, &local) != NULL) {
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
    }
    printf("%s", text);
}

void img_print_snapshots(struct block_image *image)
{
    unsigned count = block_snapshot_count(image);
    struct block_snapshot snapshot;
    char size[32];

    if (count == 0) {
        return;
    }
    printf("Snapshot list:\n%-9s %-20s %10s %20s %15s\n", "ID", "TAG", "VM SIZE", "DATE", "VM CLOCK");
    for (unsigned n = 0; n < count; n++) {
        block_snapshot_get(image, n, &snapshot);
        img_print_size(size, sizeof size, snapshot.vm_state_bytes);
        uint64_t ms = snapshot.vm_clock_ns / 1000000;
        printf("%-9s %-20s %10s  ", snapshot.id, snapshot.name, size);
        print_date(snapshot.date_s);
        printf("    %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64 "\n", ms / 3600000, ms / 60000 % 60,
               ms / 1000 % 60, ms % 1000);
    }
}

static void print_json_snapshots(struct block_image *image)
{
    struct block_snapshot s;

    printf("    \"snapshots\": [");
    for (unsigned n = 0; n < block_snapshot_count(image); n++) {
        block_snapshot_get(image, n, &s);
        printf("%s\n        { \"id\": ", n != 0 ? "," : "");
        img_print_json_string(stdout, s.id);
        printf(", \"name\": ");
        img_print_json_string(stdout, s.name);
        printf(", \"vm-state-size\": %" PRIu64 ", \"date-sec\": %" PRIu64 ", \"date-nsec\": %u, \"vm-clock-sec\": %" PRIu64
               ", \"vm-clock-nsec\": %" PRIu64 " }", s.vm_state_bytes, s.date_s, s.date_ns,
               s.vm_clock_ns / 1000000000, s.vm_clock_ns % 1000000000);
    }
    printf("\n    ],\n");
}

static void print_json_info(struct block_image *image, const char *parent_path)
{
    static struct block_info info; /* large */
    char key[40];

    printf("{\n    \"virtual-size\": %" PRIu64 ",\n    \"filename\": ", block_size(image));
    img_print_json_string(stdout, block_path(image));
    printf(",\n    \"format\": \"%s\",\n", block_format_name(image));
    if (block_cluster_size(image) != 0) {
        printf("    \"cluster-size\": %u,\n", block_cluster_size(image));
    }
    if (block_parent_name(image) != NULL) {
        printf("    \"backing-filename\": ");
        img_print_json_string(stdout, block_parent_name(image));
        printf(",\n    \"full-backing-filename\": ");
        img_print_json_string(stdout, parent_path);
        printf(",\n");
    }
    if (block_parent_format(image) != NULL) {
        printf("    \"backing-filename-format\": ");
        img_print_json_string(stdout, block_parent_format(image));
        printf(",\n");
    }
    if (block_snapshot_count(image) != 0) {
        print_json_snapshots(image);
    }
    block_info(image, &info);
    if (info.count != 0) {
        printf("    \"format-specific\": {\n        \"type\": \"%s\",\n        \"data\": {", block_format_name(image));
        for (unsigned n = 0; n < info.count; n++) {
            printf("%s\n            \"%s\": ", n != 0 ? "," : "", json_key(key, sizeof key, info.rows[n].key));
            if (info.rows[n].kind == INFO_TEXT) {
                img_print_json_string(stdout, info.rows[n].value);
            } else {
                printf("%s", info.rows[n].value);
            }
        }
        printf("\n        }\n    },\n");
    }
    printf("    \"actual-size\": %" PRIu64 ",\n    \"dirty-flag\": false\n}", block_host_size(image));
}

static void print_info(struct block_image *image, const char *parent_path)
{
    static struct block_info info;
    char virtual_size[32], disk_size[32];

    img_print_size(virtual_size, sizeof virtual_size, block_size(image));
    img_print_size(disk_size, sizeof disk_size, block_host_size(image));
    printf("image: %s\nfile format: %s\nvirtual size: %s (%" PRIu64 " bytes)\ndisk size: %s\n", block_path(image),
           block_format_name(image), virtual_size, block_size(image), disk_size);
    if (block_cluster_size(image) != 0) {
        printf("cluster_size: %u\n", block_cluster_size(image));
    }
    if (block_parent_name(image) != NULL) {
        printf("backing file: %s", block_parent_name(image));
        printf(strcmp(parent_path, block_parent_name(image)) != 0 ? " (actual path: %s)\n" : "\n", parent_path);
    }
    if (block_parent_format(image) != NULL) {
        printf("backing file format: %s\n", block_parent_format(image));
    }
    img_print_snapshots(image);
    block_info(image, &info);
    if (info.count != 0) {
        printf("Format specific information:\n");
    }
    for (unsigned n = 0; n < info.count; n++) {
        printf("    %s: %s\n", info.rows[n].key, info.rows[n].value);
    }
}

int img_info(struct img_arguments *arguments)
{
    char path[4096], parent[4096] = "";
    const char *format = arguments->value['f'];
    char parent_format[64];
    bool is_chain = arguments->value[OPTION_BACKING_CHAIN] != NULL, is_json = img_is_json(arguments);

    snprintf(path, sizeof path, "%s", arguments->names[0]);
    printf(is_chain && is_json ? "[\n" : "");
    for (unsigned depth = 0;; depth++) {
        struct block_image *image = img_open(arguments, path, format, true, true);
        if (image == NULL) {
            return img_fail(arguments);
        }
        bool has_parent = block_parent_name(image) != NULL;
        parent[0] = '\0';
        if (has_parent && !block_parent_path(image, parent, sizeof parent, &arguments->err)) {
            snprintf(parent, sizeof parent, "%s", block_parent_name(image));
            has_parent = false;
        }
        printf(depth != 0 ? is_json ? ",\n" : "\n" : "");
        (is_json ? print_json_info : print_info)(image, parent);
        format = NULL;
        if (block_parent_format(image) != NULL) {
            snprintf(parent_format, sizeof parent_format, "%s", block_parent_format(image));
            format = parent_format;
        }
        img_close(arguments, image);
        if (!is_chain || !has_parent || depth > 200) {
            break;
        }
        memcpy(path, parent, sizeof path);
    }
    printf(is_json ? is_chain ? "\n]\n" : "\n" : "");
    return EXIT_DONE;
}

/* ---- map ---- */

static void print_json_extent(const struct block_status *s, uint64_t at, bool is_first)
{
    bool is_zero = s->kind == EXTENT_ZERO || s->kind == EXTENT_PARENT;

    printf("%s{ \"start\": %" PRIu64 ", \"length\": %" PRIu64 ", \"depth\": %u, \"present\": %s, \"zero\": %s, \"data\": %s"
           ", \"compressed\": %s", is_first ? "[" : ",\n", at, s->size, s->depth, s->kind == EXTENT_PARENT ? "false" : "true",
           is_zero ? "true" : "false", is_zero ? "false" : "true", s->kind == EXTENT_PACKED ? "true" : "false");
    if (s->has_offset) {
        printf(", \"offset\": %" PRIu64, s->offset);
    }
    printf("}");
}

static bool continues(const struct block_status *a, const struct block_status *b)
{
    return a->kind == b->kind && a->depth == b->depth && a->has_offset == b->has_offset && a->path == b->path &&
           (!a->has_offset || a->offset + a->size == b->offset);
}

static void print_extent(const struct block_status *s, uint64_t at, bool is_json, bool *is_first)
{
    if (is_json) {
        print_json_extent(s, at, *is_first);
        *is_first = false;
    } else if (s->kind == EXTENT_DATA) {
        printf("%#-15" PRIx64 " %#-15" PRIx64 " %#-15" PRIx64 " %s\n", at, s->size, s->offset, s->path);
    } else if (s->kind == EXTENT_PACKED) {
        printf("%#-15" PRIx64 " %#-15" PRIx64 " %-15s\n", at, s->size, "compressed");
    }
}

int img_map(struct img_arguments *arguments)
{
    struct block_image *image = img_open(arguments, arguments->names[0], arguments->value['f'], true, false);
    struct block_status last = {EXTENT_ZERO, 0, 0, false, 0, NULL}, status;
    bool is_json = img_is_json(arguments), is_first = true;
    uint64_t start = 0;

    if (image == NULL) {
        return img_fail(arguments);
    }
    if (!is_json) {
        printf("%-15s %-15s %-15s %s\n", "Offset", "Length", "Mapped to", "File");
    }
    for (uint64_t at = 0, end = block_size(image); at < end; at += status.size) {
        if (!block_status(image, at, end - at, &status)) {
            img_close(arguments, image);
            return img_fail(arguments);
        }
        if (at != 0 && continues(&last, &status)) {
            last.size += status.size;
            continue;
        }
        if (at != 0) {
            print_extent(&last, start, is_json, &is_first);
        }
        last = status;
        start = at;
    }
    print_extent(&last, start, is_json, &is_first);
    printf(is_json ? "]\n" : "");
    return img_close(arguments, image) ? EXIT_DONE : EXIT_FAILED;
}

/* ---- check ---- */

static void report(void *context, const char *text)
{
    FILE *out = context;

    fprintf(out, "%s\n", text);
}

static void print_json_check(struct block_image *image, const struct block_check *check)
{
    printf("{\n    \"filename\": ");
    img_print_json_string(stdout, block_path(image));
    printf(",\n    \"format\": \"%s\",\n    \"check-errors\": 0,\n    \"corruptions\": %" PRIu64 ",\n    \"leaks\": %" PRIu64
           ",\n    \"corruptions-fixed\": %" PRIu64 ",\n    \"leaks-fixed\": %" PRIu64 ",\n    \"image-end-offset\": %" PRIu64
           ",\n    \"allocated-clusters\": %" PRIu64 ",\n    \"total-clusters\": %" PRIu64
           ",\n    \"compressed-clusters\": %" PRIu64 "\n}\n", block_format_name(image), check->corruptions, check->leaks,
           check->corruptions_fixed, check->leaks_fixed, check->image_end, check->clusters_used, check->clusters_total,
           check->clusters_packed);
}

static void print_check(const struct block_check *check)
{
    if (check->corruptions_fixed != 0 || check->leaks_fixed != 0) {
        printf("%" PRIu64 " errors and %" PRIu64 " leaks were repaired.\n", check->corruptions_fixed, check->leaks_fixed);
    }
    if (check->corruptions == 0 && check->leaks == 0) {
        printf("No errors were found on the image.\n");
    }
    if (check->corruptions != 0) {
        printf("%" PRIu64 " errors were found on the image: data may be damaged, and writing would damage more.\n",
               check->corruptions);
    }
    if (check->leaks != 0) {
        printf("%" PRIu64 " leaked clusters were found on the image: they take space but do no harm.\n", check->leaks);
    }
    if (check->clusters_total != 0) {
        printf("%" PRIu64 "/%" PRIu64 " = %.2f%% allocated, %.2f%% compressed clusters\n", check->clusters_used,
               check->clusters_total, (double)check->clusters_used * 100 / (double)check->clusters_total,
               check->clusters_used != 0 ? (double)check->clusters_packed * 100 / (double)check->clusters_used : 0);
    }
    if (check->image_end != 0) {
        printf("Image end offset: %" PRIu64 "\n", check->image_end);
    }
}

int img_check(struct img_arguments *arguments)
{
    const char *repair = arguments->value['r'], *path = arguments->names[0];
    bool is_json = img_is_json(arguments), is_quiet = arguments->value['q'] != NULL;
    struct block_check check = {.report = is_quiet ? NULL : report, .context = is_json ? stderr : stdout};
    struct block_options options = {.has_no_lock = arguments->value['U'] != NULL,
                                    .format = arguments->value['f'],
                                    .is_check = true,
                                    .is_alone = true};

    if (repair != NULL && strcmp(repair, "leaks") != 0 && strcmp(repair, "all") != 0) {
        return img_fail_with(arguments, "-r leaks or -r all", "cannot repair '%s'", repair);
    }
    check.repair_leaks = repair != NULL || arguments->value[OPTION_REPAIR] != NULL;
    check.repair_errors = check.repair_leaks && (repair == NULL || strcmp(repair, "all") == 0);
    options.is_readonly = !check.repair_leaks;
    struct block_backend *backend = block_open(path, &options, &arguments->err);
    if (backend == NULL) {
        return img_fail(arguments);
    }
    struct block_image *image = block_image_of(backend);
    if (!block_can_check(image)) {
        img_fail_with(arguments, "it has no metadata that could be wrong", "'%s' of format %s cannot be checked", path,
                      block_format_name(image));
        block_close(backend);
        return EXIT_UNSUPPORTED;
    }
    bool is_done = block_check(image, &check, &arguments->err);
    bool is_parent_good = is_done && block_verify_parent(image, &arguments->err);
    if (is_done && is_json) {
        print_json_check(image, &check);
    } else if (is_done && !is_quiet) {
        print_check(&check);
    }
    bool is_closed = block_close(backend);
    if (!is_done || !is_closed) {
        return img_fail(arguments);
    }
    if (!is_parent_good) {
        img_fail(arguments);
        return EXIT_DAMAGED;
    }
    return check.corruptions != 0 ? EXIT_DAMAGED : check.leaks != 0 ? EXIT_LEAKS : EXIT_DONE;
}

/* ---- snapshot ---- */

static bool check_pages(void *context, uint64_t first, uint32_t count, const uint8_t *bytes)
{
    uint64_t *pages = context;

    (void)first;
    *pages += bytes != NULL ? count : 0;
    return true;
}

/* A file that savevm wrote: what it is, and whether its pages are whole. */
static int print_machine_snapshot(struct img_arguments *arguments, const char *path)
{
    struct snapshot *snapshot = snapshot_open(path, &arguments->err);
    struct vmstate_info info = { "", 0, 0, 0, 0, 0 };
    const char *name;

    if (snapshot == NULL || !vmstate_describe(snapshot, &info)) {
        snapshot_close(snapshot);
        return img_fail(arguments);
    }
    time_t date = (time_t)info.date_s;
    char when[32] = "";
    struct tm local;
    if (localtime_r(&date, &local) != NULL) {
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local);
    }
    printf("machine snapshot: %s\ndate: %s\ninstructions: %" PRIu64 "\nguest time: %.3f s\nmemory: %" PRIu64 " MiB\n", info.name, when,
           info.icount, (double)info.now_ns / 1e9, info.ram_bytes >> 20);
    for (const struct snapshot *at = snapshot_parent(snapshot); at != NULL; at = snapshot_parent(at)) {
        printf("over: %s\n", snapshot_path(at));
    }
    bool is_good = true;
    for (unsigned n = 0; is_good && (name = snapshot_part_name(snapshot, n)) != NULL; n++) {
        uint64_t pages = 0;
        if (strncmp(name, "pages:", 6) == 0) {
            is_good = snapshot_visit_pages(snapshot, name + 6, check_pages, &pages, &arguments->err);
            if (is_good) {
                printf("%s: %" PRIu64 " KiB stored, whole\n", name + 6, pages * 4);
            }
        }
    }
    snapshot_close(snapshot);
    return is_good ? EXIT_DONE : img_fail(arguments);
}

static bool is_machine_snapshot(const char *path)
{
    char magic[16] = "";
    FILE *file = fopen(path, "rb");
    bool is_one = file != NULL && fread(magic, 1, sizeof magic, file) == sizeof magic &&
                  memcmp(magic, "tick86 snapshot\n", sizeof magic) == 0;

    if (file != NULL) {
        fclose(file);
    }
    return is_one;
}

int img_snapshot(struct img_arguments *arguments)
{
    static const char letters[] = {'c', 'a', 'd'};
    static const enum snapshot_verb verbs[] = {SNAPSHOT_CREATE, SNAPSHOT_APPLY, SNAPSHOT_DELETE};
    int chosen = -1, given = arguments->value['l'] != NULL;

    for (int n = 0; n < 3; n++) {
        if (arguments->value[(unsigned char)letters[n]] != NULL) {
            chosen = n;
            given++;
        }
    }
    if (given > 1) {
        return img_fail_with(arguments, "give one of -l, -a, -c and -d", "snapshot does one thing at a time");
    }
    if (chosen < 0 && is_machine_snapshot(arguments->names[0])) {
        return print_machine_snapshot(arguments, arguments->names[0]);
    }
    struct block_image *image = img_open(arguments, arguments->names[0], arguments->value['f'], chosen < 0, true);
    if (image == NULL) {
        return img_fail(arguments);
    }
    if (chosen < 0) {
        img_print_snapshots(image);
        return img_close(arguments, image) ? EXIT_DONE : EXIT_FAILED;
    }
    bool is_done = block_snapshot(image, verbs[chosen], arguments->value[(unsigned char)letters[chosen]],
                                  (uint64_t)time(NULL), &arguments->err);
    int status = is_done ? EXIT_DONE : img_fail(arguments);
    return img_close(arguments, image) ? status : EXIT_FAILED;
}
