/* main.c - tick86-img: creates, examines, converts, compares and layers disk images. Verbs and options are qemu-img's. */
#define _GNU_SOURCE
#define _DEFAULT_SOURCE
#include "frontends/img/img.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

struct verb {
    const char *name;
    img_verb *run;
    const char *letters; /* as for getopt */
    int least, most;     /* names */
    const char *usage;
    const char *doc;
};

static const struct verb verbs[] = {
    {"create", img_create, "f:b:F:uo:q", 1, 2, "[-q] [-f FORMAT] [-b PARENT [-F FORMAT] [-u]] [-o OPTIONS] FILE [SIZE]",
     "make an image; with -b a layer over PARENT"},
    {"info", img_info, "f:U", 1, 1, "[-f FORMAT] [-U] [--output=human|json] [--backing-chain] FILE",
     "what an image is"},
    {"check", img_check, "f:qUr:p", 1, 1, "[-q] [-f FORMAT] [-U] [--output=human|json] [--repair | -r leaks|all] FILE",
     "look for damage, and repair it; a layer's parent is compared with its checksum"},
    {"convert", img_convert, "cpqnf:O:B:F:o:l:S:t:T:Um:W", 2, 2,
     "[-c] [-p] [-q] [-n] [-f FORMAT] [-O FORMAT] [-B PARENT [-F FORMAT]] [-o OPTIONS] [-l SNAPSHOT] [-S SIZE] FROM TO",
     "copy an image to another format; -c compresses; -m and -W are taken as in qemu-img, and change nothing: one request at a time"},
    {"compare", img_compare, "f:F:pqsU", 2, 2, "[-p] [-q] [-s] [-f FORMAT] [-F FORMAT] [-U] ONE OTHER",
     "whether a guest would see the same; -s: with the same clusters allocated"},
    {"commit", img_commit, "f:b:dpqt:", 1, 1, "[-p] [-q] [-d] [-f FORMAT] [-b BASE] LAYER",
     "write a layer into its parent (or a BASE under that), and empty the layer (-d: leave it)"},
    {"rebase", img_rebase, "f:b:F:upqt:", 1, 1, "[-p] [-q] [-u] [-f FORMAT] -b PARENT [-F FORMAT] LAYER",
     "give a layer another parent, keeping what it shows; -u changes the name alone; -b '' merges all in"},
    {"map", img_map, "f:U", 1, 1, "[-f FORMAT] [-U] [--output=human|json] FILE", "where an image's data is"},
    {"snapshot", img_snapshot, "la:c:d:qUf:", 1, 1, "[-q] [-l | -a NAME | -c NAME | -d NAME] FILE",
     "list, apply, create or delete internal snapshots (qcow2); tell what a machine's snapshot has, and check it"},
    {"resize", img_resize, "f:q", 2, 2, "[-q] [-f FORMAT] [--shrink] FILE [+|-]SIZE", "change the size of the disk"},
    {"diff", img_diff, "f:F:pqo:", 3, 3, "[-p] [-q] [-f FORMAT] [-F FORMAT] [-o OPTIONS] BASE NEW LAYER",
     "make a layer over BASE that shows what NEW does: an upgrade as a small file"},
    {"measure", img_measure, "f:O:o:l:U", 0, 1,
     "[-f FORMAT] [-O FORMAT] [-o OPTIONS] [-l SNAPSHOT] [--output=human|json] FILE | --size=SIZE",
     "how large a raw or qcow2 image with that content would be"},
    {"bench", img_bench, "c:d:f:o:s:S:t:wqU", 1, 1,
     "[-c COUNT] [-f FORMAT] [-o OFFSET] [-s SIZE] [-S STEP] [-t CACHE] [-w] [--flush-interval=N] [--pattern=N] FILE",
     "time COUNT reads or writes"},
};

enum { VERBS = sizeof verbs / sizeof verbs[0] };

static const struct option longs[] = {
    {"output", required_argument, NULL, OPTION_OUTPUT},
    {"backing-chain", no_argument, NULL, OPTION_BACKING_CHAIN},
    {"shrink", no_argument, NULL, OPTION_SHRINK},
    {"repair", no_argument, NULL, OPTION_REPAIR},
    {"pattern", required_argument, NULL, OPTION_PATTERN},
    {"flush-interval", required_argument, NULL, OPTION_FLUSH_INTERVAL},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"force-share", no_argument, NULL, 'U'},
    {NULL, 0, NULL, 0},
};

static void print_help(FILE *out)
{
    bool can_create = false;
    const char *name = NULL;

    fprintf(out, "usage: tick86-img VERB [OPTIONS] FILE...\n\n");
    for (unsigned n = 0; n < VERBS; n++) {
        fprintf(out, "  %s %s\n      %s\n", verbs[n].name, verbs[n].usage, verbs[n].doc);
    }
    fprintf(out, "\nFormats (told from the content unless -f says):");
    for (unsigned n = 0; (name = block_format_at(n, &can_create)) != NULL; n++) {
        fprintf(out, " %s%s", name, can_create ? "" : " (read only)");
    }
    fprintf(out, "\nOptions for -o:\n");
    for (unsigned n = 0; (name = block_format_at(n, &can_create)) != NULL; n++) {
        const char *options = block_create_options(name);
        if (can_create && options != NULL && options[0] != '\0') {
            fprintf(out, "  %s: %s\n", name, options);
        }
    }
}

static const struct verb *find_verb(const char *name)
{
    for (unsigned n = 0; n < VERBS; n++) {
        if (strcmp(verbs[n].name, name) == 0) {
            return &verbs[n];
        }
    }
    return NULL;
}

static int run(const struct verb *verb, int argc, char **argv)
{
    static struct img_arguments arguments; /* zero; one verb in one process */
    char letters[64];
    int code = 0;
    /* resize FILE -1G: the last word is no option. */
    bool is_less = verb->run == img_resize && argc > 2 && argv[argc - 1][0] == '-' && argv[argc - 1][1] >= '0' &&
                   argv[argc - 1][1] <= '9';
    char *names[2] = {NULL, is_less ? argv[argc - 1] : NULL};

    argc -= is_less;

    snprintf(letters, sizeof letters, ":%s", verb->letters);
    while ((code = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        if (code == '?' || code == ':') {
            const char *what = code == '?' ? "has no option" : "needs a value for";
            return img_fail_with(&arguments, verb->usage, "%s %s '%s'", verb->name, what, argv[optind - 1]);
        }
        arguments.value[code] = optarg != NULL ? optarg : "";
    }
    arguments.names = argv + optind;
    arguments.count = argc - optind;
    if (is_less && arguments.count == 1) {
        names[0] = argv[optind];
        arguments.names = names;
        arguments.count = 2;
    }
    if (arguments.count < verb->least || arguments.count > verb->most) {
        return img_fail_with(&arguments, verb->usage, "%s takes %d%s names, not %d", verb->name, verb->least,
                             verb->most > verb->least ? " or more" : "", arguments.count);
    }
    int status = verb->run(&arguments);
    if (fflush(stdout) != 0) {
        return img_fail_with(&arguments, "look at where it goes", "cannot write the output");
    }
    return status;
}

int main(int argc, char **argv)
{
    struct img_arguments none = {0};
    const struct verb *verb = argc > 1 ? find_verb(argv[1]) : NULL;

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
        printf("tick86-img %s\n", TICK86_VERSION);
        return EXIT_DONE;
    }
    if (verb == NULL) {
        return img_fail_with(&none, "tick86-img --help lists the verbs", argc > 1 ? "there is no verb '%s'" : "no verb",
                             argc > 1 ? argv[1] : "");
    }
    return run(verb, argc - 1, argv + 1);
}
