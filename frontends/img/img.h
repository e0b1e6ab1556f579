/* img.h - tick86-img's verbs and what they share: arguments, errors, progress, JSON. */
#ifndef FRONTENDS_IMG_IMG_H
#define FRONTENDS_IMG_IMG_H

#include "frontends/host/block.h"

#include <stdio.h>

/* Long options without a letter of their own get one here. */
enum {
    OPTION_OUTPUT = 1,
    OPTION_BACKING_CHAIN,
    OPTION_SHRINK,
    OPTION_REPAIR,
    OPTION_PATTERN,
    OPTION_FLUSH_INTERVAL,
    OPTION_SIZE,
    OPTION_CODES = 128,
};

struct img_arguments {
    const char *value[OPTION_CODES]; /* by letter; "" for options that take none; NULL: not given */
    char *const *names;              /* what is not an option */
    int count;
    struct error err;
};

typedef int img_verb(struct img_arguments *arguments);
img_verb img_create, img_info, img_check, img_convert, img_compare, img_commit, img_rebase, img_map, img_snapshot,
    img_resize, img_diff, img_bench, img_measure;

/* Exit statuses are qemu-img's: 0 done, 1 failed; check: 2 damaged, 3 leaks, 63 not supported; compare: 1 different, 2
 * failed. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_DAMAGED = 2, EXIT_LEAKS = 3, EXIT_UNSUPPORTED = 63 };

/* Prints the error that is set; always EXIT_FAILED. */
int img_fail(struct img_arguments *arguments);
int img_fail_with(struct img_arguments *arguments, const char *hint, const char *format, ...) PRINTF_LIKE(3, 4);

/* Opens with what the arguments say (-U, -t); host errors go to arguments->err. NULL with it set. */
struct block_image *img_open(struct img_arguments *arguments, const char *path, const char *format, bool is_readonly,
                             bool is_alone);
/* Closes; false when the last write failed, which was printed. NULL does nothing. */
bool img_close(struct img_arguments *arguments, struct block_image *image);

/* "1G", "512"; a sign in front goes to *sign where it is not NULL. */
bool img_parse_size(const char *text, uint64_t *size, char *sign);
/* "1.5 GiB" */
void img_print_size(char *text, size_t capacity, uint64_t bytes);
bool img_is_json(struct img_arguments *arguments);
void img_print_json_string(FILE *out, const char *text);

struct img_progress {
    bool is_shown, is_terminal;
    int last;
    uint64_t total;
    double start;
};

void img_progress_begin(struct img_progress *progress, const struct img_arguments *arguments, uint64_t total);
void img_progress_at(struct img_progress *progress, uint64_t done);
void img_progress_end(struct img_progress *progress);
double img_seconds(void);

/* Lists the snapshots as `snapshot -l` does. */
void img_print_snapshots(struct block_image *image);

#endif
