/* common.c - what tick86-img's verbs share: errors, opening, sizes, progress, JSON strings. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include "frontends/img/img.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int img_fail(struct img_arguments *arguments)
{
    fflush(stdout);
    fprintf(stderr, "tick86-img: %s%s%s%s\n", arguments->err.message, arguments->err.hint[0] != '\0' ? " (" : "",
            arguments->err.hint, arguments->err.hint[0] != '\0' ? ")" : "");
    return EXIT_FAILED;
}

int img_fail_with(struct img_arguments *arguments, const char *hint, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(arguments->err.message, sizeof arguments->err.message, format, list);
    va_end(list);
    error_hint(&arguments->err, "%s", hint);
    return img_fail(arguments);
}

/* The first host error is the one to tell; what follows from it is not. */
static void keep_log(void *context, const char *text)
{
    struct img_arguments *arguments = context;

    if (arguments->err.message[0] == '\0') {
        error_set(&arguments->err, "%s", text);
        error_hint(&arguments->err, "look at the space that is left, and that the files can be read");
    }
}

static bool parse_cache(struct img_arguments *arguments, enum block_cache *cache)
{
    const char *text = arguments->value['t'];

    *cache = CACHE_WRITEBACK;
    if (text == NULL || strcmp(text, "writeback") == 0 || strcmp(text, "none") == 0) {
        return true;
    }
    if (strcmp(text, "writethrough") == 0) {
        *cache = CACHE_WRITETHROUGH;
        return true;
    }
    *cache = CACHE_UNSAFE;
    return strcmp(text, "unsafe") == 0 ||
           (error_set(&arguments->err, "there is no cache mode '%s'", text),
            error_hint(&arguments->err, "writeback, writethrough or unsafe"));
}

struct block_image *img_open(struct img_arguments *arguments, const char *path, const char *format, bool is_readonly,
                             bool is_alone)
{
    struct block_options options = {.is_readonly = is_readonly,
                                    .format = format,
                                    .is_alone = is_alone,
                                    .has_no_lock = arguments->value['U'] != NULL,
                                    .is_parent_unsafe = is_alone,
                                    .log = keep_log,
                                    .log_context = arguments};
    if (!parse_cache(arguments, &options.cache)) {
        return NULL;
    }
    struct block_backend *backend = block_open(path, &options, &arguments->err);
    if (backend == NULL) {
        return NULL;
    }
    if (!is_readonly && backend->is_readonly) {
        const char *notice = block_notice(backend);
        error_set(&arguments->err, "cannot write '%s'%s%s", path, notice != NULL ? ": " : "", notice != NULL ? notice : "");
        error_hint(&arguments->err, "look at its permissions, or convert it");
        block_close(backend);
        return NULL;
    }
    return block_image_of(backend);
}

bool img_close(struct img_arguments *arguments, struct block_image *image)
{
    struct block_backend *backend = (struct block_backend *)(void *)image; /* its first member */

    if (block_close(backend)) {
        return true;
    }
    img_fail(arguments);
    return false;
}

bool img_parse_size(const char *text, uint64_t *size, char *sign)
{
    static const char units[] = "BKMGTPE";
    char *end = NULL;

    if (sign != NULL) {
        *sign = *text == '+' || *text == '-' ? *text++ : '\0';
    }
    errno = 0;
    if (!isdigit((unsigned char)*text)) {
        return false;
    }
    uint64_t number = strtoull(text, &end, 10), unit = 1;
    double fraction = 0;
    if (*end == '.') { /* 1.5G */
        char *behind = NULL;
        fraction = strtod(end, &behind);
        end = behind;
    }
    if (*end != '\0') {
        const char *at = strchr(units, toupper((unsigned char)*end));
        if (at == NULL || (end[1] != '\0' && strcmp(end + 1, "iB") != 0 && strcmp(end + 1, "B") != 0)) {
            return false;
        }
        unit = UINT64_C(1) << (10 * (at - units));
    }
    if (errno != 0 || number > UINT64_MAX / unit) {
        return false;
    }
    *size = number * unit + (uint64_t)(fraction * (double)unit);
    return true;
}

void img_print_size(char *text, size_t capacity, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned unit = 0;
    double value = (double)bytes;

    while (value >= 1000 && unit < 6) {
        value /= 1024;
        unit++;
    }
    snprintf(text, capacity, "%.3g %s", value, units[unit]);
}

bool img_is_json(struct img_arguments *arguments)
{
    const char *output = arguments->value[OPTION_OUTPUT];

    return output != NULL && strcmp(output, "json") == 0;
}

void img_print_json_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", c);
        } else if (c < 0x20) {
            fprintf(out, "\\u%04x", c);
        } else {
            fputc(c, out);
        }
    }
    fputc('"', out);
}

double img_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void img_progress_begin(struct img_progress *progress, const struct img_arguments *arguments, uint64_t total)
{
    bool is_wanted = arguments->value['p'] != NULL && arguments->value['q'] == NULL;

    *progress = (struct img_progress){is_wanted, isatty(STDOUT_FILENO) != 0, -1, total, img_seconds()};
    img_progress_at(progress, 0);
}

void img_progress_at(struct img_progress *progress, uint64_t done)
{
    enum { WIDTH = 40 };
    char bar[WIDTH + 1], left[32] = "";
    int percent = progress->total == 0 ? 100 : (int)((double)done * 100 / (double)progress->total);

    if (!progress->is_shown || percent == progress->last) {
        return;
    }
    progress->last = percent;
    memset(bar, ' ', WIDTH);
    memset(bar, '#', (size_t)(percent * WIDTH / 100));
    bar[WIDTH] = '\0';
    if (!progress->is_terminal) { /* one line for each tenth in a file */
        if (percent % 10 == 0) {
            printf("%d%%\n", percent);
        }
        return;
    }
    double passed = img_seconds() - progress->start;
    if (percent > 0 && percent < 100 && passed > 1) {
        snprintf(left, sizeof left, "  %.0f s left", passed / percent * (100 - percent));
    }
    printf("\r  [%s] %3d%%%-14s", bar, percent, left);
    fflush(stdout);
}

void img_progress_end(struct img_progress *progress)
{
    if (progress->is_shown) {
        img_progress_at(progress, progress->total);
        printf(progress->is_terminal ? "\n" : "");
    }
}
