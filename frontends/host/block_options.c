/* block_options.c - "name=value,name=value" of tick86-img create -o, as qemu-img has it. */
#include "frontends/host/block_format.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool create_options_parse(struct create_options *options, const char *text, const char *format, struct error *err)
{
    options->count = 0;
    while (text != NULL && *text != '\0') {
        size_t length = 0, value_length = 0;
        const char *equals = NULL, *end = text;

        while (*end != '\0' && !(end[0] == ',' && end[1] != ',')) {
            equals = *end == '=' && equals == NULL ? end : equals;
            end += end[0] == ',' ? 2 : 1;
        }
        length = (size_t)((equals != NULL ? equals : end) - text);
        if (options->count == sizeof options->rows / sizeof options->rows[0] || length == 0 || length >= 40) {
            error_set(err, "cannot understand the %s options '%s'", format, text);
            return error_hint(err, "write them as name=value,name=value");
        }
        memset(&options->rows[options->count], 0, sizeof options->rows[0]);
        memcpy(options->rows[options->count].name, text, length);
        char *value = options->rows[options->count].value;
        for (const char *at = equals != NULL ? equals + 1 : end; at < end; at++) {
            if (value_length + 1 >= sizeof options->rows[0].value) {
                error_set(err, "the value of option '%s' is too long", options->rows[options->count].name);
                return error_hint(err, "use at most 199 characters");
            }
            value[value_length++] = *at;
            at += *at == ',';
        }
        if (equals == NULL) {
            memcpy(value, "on", 3);
        }
        options->count++;
        text = *end == ',' ? end + 1 : end;
    }
    return true;
}

const char *create_options_get(struct create_options *options, const char *name)
{
    const char *value = NULL;

    for (unsigned n = 0; n < options->count; n++) {
        if (strcmp(options->rows[n].name, name) == 0) {
            options->rows[n].is_used = true;
            value = options->rows[n].value;
        }
    }
    return value;
}

bool create_options_size(struct create_options *options, const char *name, uint64_t *value, struct error *err)
{
    static const char units[] = "KMGTPE";
    const char *text = create_options_get(options, name);
    char *end = NULL;

    if (text == NULL) {
        return true;
    }
    errno = 0;
    uint64_t number = isdigit((unsigned char)text[0]) ? strtoull(text, &end, 10) : 0;
    uint64_t unit = 1;
    if (end != NULL && *end != '\0') {
        const char *at = strchr(units, toupper((unsigned char)*end));
        unit = at != NULL && end[1] == '\0' ? UINT64_C(1) << (10 * (at - units + 1)) : 0;
    }
    if (end == NULL || errno != 0 || unit == 0 || number > UINT64_MAX / unit) {
        error_set(err, "%s=%s is no size", name, text);
        return error_hint(err, "write a number, with K, M, G or T behind it, such as 64K");
    }
    *value = number * unit;
    return true;
}

bool create_options_flag(struct create_options *options, const char *name, bool *value, struct error *err)
{
    const char *text = create_options_get(options, name);

    if (text == NULL) {
        return true;
    }
    *value = strcmp(text, "on") == 0;
    if (!*value && strcmp(text, "off") != 0) {
        error_set(err, "%s=%s: not on or off", name, text);
        return error_hint(err, "write %s=on or %s=off", name, name);
    }
    return true;
}

bool create_options_done(const struct create_options *options, const char *format, struct error *err)
{
    for (unsigned n = 0; n < options->count; n++) {
        if (!options->rows[n].is_used) {
            const char *known = block_create_options(format);
            error_set(err, "format %s has no option '%s'", format, options->rows[n].name);
            return error_hint(err, "it has: %s", known != NULL && known[0] != '\0' ? known : "none");
        }
    }
    return true;
}
