/* script_parse.c - a script's lines turned into steps, every mistake found before the guest starts. */
#define _DEFAULT_SOURCE
#include "frontends/script_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 6, SCRIPT_BYTES_MAX = 1 << 20, HASH_DIGITS_MIN = 8 };

struct word {
    char *text;
    size_t size;
    bool is_quoted;
};

struct line {
    const char *path;
    const struct script_text *script; /* the steps so far */
    unsigned number;
    struct word words[WORDS_MAX];
    unsigned count; /* of words, with the command */
};

typedef bool step_fn(struct step *step, const struct line *line, struct error *err);

struct command {
    const char *name;
    enum step_kind kind;
    unsigned words_min, words_max; /* behind the command */
    step_fn *parse;                /* NULL: words[1] is the text */
    bool has_time;                 /* the last word may be a time */
    const char *usage;
};

static bool mistake(const struct line *line, struct error *err, const char *what, const char *hint)
{
    error_set(err, "script '%s', line %u: %s", line->path, line->number, what);
    return hint == NULL ? false : error_hint(err, "%s", hint);
}

/* ---- words ---- */

static int hex_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* A word in double quotes, in place: \n \t \r \e \\ \" \xNN. Returns the place behind it, NULL when it does not end. */
static char *unquote(char *at, struct word *word)
{
    static const char names[] = "ntre\\\"", values[] = "\n\t\r\033\\\"";
    char *out = at;

    word->text = at;
    word->is_quoted = true;
    for (; *at != '"'; at++) {
        if (*at == '\0') {
            return NULL;
        }
        if (*at != '\\') {
            *out++ = *at;
            continue;
        }
        at++;
        const char *name = *at != '\0' ? strchr(names, *at) : NULL;
        if (name != NULL) {
            *out++ = values[name - names];
        } else if (*at == 'x' && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0) {
            *out++ = (char)(hex_digit(at[1]) * 16 + hex_digit(at[2]));
            at += 2;
        } else {
            return NULL;
        }
    }
    word->size = (size_t)(out - word->text);
    at++;
    *out = '\0';
    return at;
}

static bool split(struct line *line, char *at, struct error *err)
{
    for (;;) {
        at += strspn(at, " \t\r");
        if (*at == '\0' || *at == '#') {
            return true;
        }
        if (line->count == WORDS_MAX) {
            return mistake(line, err, "too many words", "put text into double quotes");
        }
        struct word *word = &line->words[line->count++];
        if (*at == '"') {
            at = unquote(at + 1, word);
            if (at == NULL) {
                return mistake(line, err, "the text in quotes is wrong",
                               "it ends with \", and \\n \\t \\r \\e \\\\ \\\" \\xNN are what a backslash may begin");
            }
        } else {
            word->text = at;
            word->size = strcspn(at, " \t\r");
            at += word->size;
        }
        if (*at != '\0') {
            if (strchr(" \t\r", *at) == NULL) {
                return mistake(line, err, "something follows a quotation mark at once", "put a blank between words");
            }
            *at++ = '\0';
        }
        word->text[word->size] = '\0';
    }
}

/* "60s", "500ms", "2m" or a bare number of seconds. */
static bool parse_time(const char *text, uint64_t *ns)
{
    char *end;
    double value = strtod(text, &end), unit = 1e9;

    if (end == text || !(value >= 0)) {
        return false;
    }
    if (strcmp(end, "ms") == 0) {
        unit = 1e6;
    } else if (strcmp(end, "m") == 0 || strcmp(end, "min") == 0) {
        unit = 60e9;
    } else if (strcmp(end, "h") == 0) {
        unit = 3600e9;
    } else if (*end != '\0' && strcmp(end, "s") != 0) {
        return false;
    }
    if (value * unit > 1e18) {
        return false;
    }
    *ns = (uint64_t)(value * unit + 0.5);
    return true;
}

/* ---- arguments by kind ---- */

static bool parse_match(struct step *step, const struct line *line, struct error *err)
{
    char why[200];
    regex_t *regex = malloc(sizeof *regex);

    BUG_ON(regex == NULL);
    int code = regcomp(regex, step->text, REG_EXTENDED | REG_NEWLINE | REG_NOSUB);
    if (code != 0) {
        regerror(code, regex, why, sizeof why);
        free(regex);
        return mistake(line, err, why, "wait-match takes an extended regular expression (regex(7))");
    }
    step->regex = regex;
    return true;
}

static bool parse_screen(struct step *step, const struct line *line, struct error *err)
{
    size_t digits = strspn(step->text, "0123456789abcdefABCDEF");

    if (step->size == digits && digits >= HASH_DIGITS_MIN && digits < SHA256_HEX) {
        for (char *at = step->text; *at != '\0'; at++) {
            *at = (char)tolower((unsigned char)*at);
        }
        step->is_hash = true;
        return true;
    }
    for (unsigned n = 2; n < line->count; n++) {
        size_t length = line->words[n].size;
        if (length > 1 && line->words[n].text[length - 1] == '%') {
            char *end;
            step->share = strtod(line->words[n].text, &end) / 100;
            if (*end != '%' || !(step->share >= 0 && step->share <= 1)) {
                return mistake(line, err, "that is not a percentage", "0.5% of the pixels may differ: 0.5%");
            }
        }
    }
    for (size_t n = 0; n < line->script->count; n++) {
        const struct step *earlier = &line->script->steps[n];
        if (earlier->kind == STEP_SCREENDUMP && strcmp(earlier->text, step->text) == 0) {
            return true; /* it will be there when it is needed */
        }
    }
    struct error why = {0};
    if (!picture_init(&step->picture, &why) || !picture_read(&step->picture, step->text, &why)) {
        return mistake(line, err, why.message,
                       "wait-screen takes a PNG file or the first digits (8 or more) of a SHA-256 of a PPM screendump");
    }
    return true;
}

static bool parse_keys(struct step *step, const struct line *line, struct error *err)
{
    const char *bad = "";
    char what[200];

    step->key_count = typing_parse_keys(step->text, step->keys, &bad);
    if (step->key_count == 0) {
        snprintf(what, sizeof what, "no key named '%.*s'", (int)strcspn(bad, "-"), bad);
        return mistake(line, err, what, "names are those of QEMU: a, ret, spc, esc, f1, ctrl-alt-delete");
    }
    return true;
}

static bool parse_numbers(struct step *step, const struct line *line, struct error *err)
{
    for (unsigned n = 1; n < line->count; n++) {
        char *end;
        errno = 0;
        step->numbers[n - 1] = strtol(line->words[n].text, &end, 0);
        if (errno != 0 || end == line->words[n].text || *end != '\0' || labs(step->numbers[n - 1]) > 100000) {
            return mistake(line, err, "a whole number is needed", NULL);
        }
    }
    return true;
}

static bool parse_click(struct step *step, const struct line *line, struct error *err)
{
    static const char *const names[] = {"left", "right", "", "middle"};

    step->numbers[0] = 1;
    for (unsigned n = 0; n < 4 && line->count > 1; n++) {
        if (strcmp(step->text, names[n]) == 0 && n != 2) {
            step->numbers[0] = (long)n + 1;
            return true;
        }
    }
    return line->count == 1 || mistake(line, err, "no such mouse button", "left, right or middle");
}

static bool parse_exit(struct step *step, const struct line *line, struct error *err)
{
    if (!parse_numbers(step, line, err)) {
        return false;
    }
    return (step->numbers[0] >= 0 && step->numbers[0] <= 255) || mistake(line, err, "the exit status is 0 to 255", NULL);
}

static const struct command commands[] = {
    {"wait-text", STEP_WAIT_TEXT, 1, 1, NULL, true, "wait-text \"TEXT\" [TIME]"},
    {"wait-vga", STEP_WAIT_VGA, 1, 1, NULL, true, "wait-vga \"TEXT\" [TIME]"},
    {"wait-serial", STEP_WAIT_SERIAL, 1, 1, NULL, true, "wait-serial \"TEXT\" [TIME]"},
    {"wait-match", STEP_WAIT_MATCH, 1, 1, parse_match, true, "wait-match \"REGEX\" [TIME]"},
    {"wait-screen", STEP_WAIT_SCREEN, 1, 2, parse_screen, true, "wait-screen HASH|FILE.png [PERCENT%] [TIME]"},
    {"wait-still", STEP_WAIT_STILL, 1, 1, NULL, true, "wait-still FOR [TIME]"},
    {"wait-reset", STEP_WAIT_RESET, 0, 0, NULL, true, "wait-reset [TIME]"},
    {"wait-end", STEP_WAIT_END, 0, 0, NULL, true, "wait-end [TIME]"},
    {"fail-on", STEP_FAIL_ON, 1, 1, NULL, false, "fail-on \"TEXT\""},
    {"type", STEP_TYPE, 1, 1, NULL, false, "type \"TEXT\""},
    {"type-speed", STEP_TYPE_SPEED, 1, 1, parse_numbers, false, "type-speed KEYS-A-SECOND"},
    {"key", STEP_KEY, 1, 1, parse_keys, true, "key NAME-NAME... [HOLD-TIME]"},
    {"key-down", STEP_KEY_DOWN, 1, 1, parse_keys, false, "key-down NAME"},
    {"key-up", STEP_KEY_UP, 1, 1, parse_keys, false, "key-up NAME"},
    {"serial", STEP_SERIAL, 1, 1, NULL, false, "serial \"TEXT\""},
    {"mouse", STEP_MOUSE, 2, 3, parse_numbers, false, "mouse DX DY [DZ]"},
    {"mouse-to", STEP_MOUSE_TO, 2, 2, parse_numbers, false, "mouse-to X Y"},
    {"buttons", STEP_BUTTONS, 1, 1, parse_numbers, false, "buttons SUM (1 left, 2 right, 4 middle)"},
    {"click", STEP_CLICK, 0, 1, parse_click, false, "click [left|right|middle]"},
    {"screendump", STEP_SCREENDUMP, 1, 1, NULL, false, "screendump FILE.png|FILE.ppm"},
    {"screentext", STEP_SCREENTEXT, 1, 1, NULL, false, "screentext FILE"},
    {"snapshot", STEP_SNAPSHOT, 1, 1, NULL, false, "snapshot NAME"},
    {"sleep", STEP_SLEEP, 0, 0, NULL, true, "sleep TIME"},
    {"timeout", STEP_TIMEOUT, 0, 0, NULL, true, "timeout TIME"},
    {"print", STEP_PRINT, 1, 1, NULL, false, "print \"TEXT\""},
    {"exit", STEP_EXIT, 0, 1, parse_exit, false, "exit [STATUS]"},
    {"continue", STEP_CONTINUE, 0, 0, NULL, false, "continue"},
    {"monitor", STEP_MONITOR, 1, 1, NULL, false, "monitor \"COMMAND\""},
};

static char *copy(const char *text, size_t size)
{
    char *result = malloc(size + 1);

    BUG_ON(result == NULL);
    memcpy(result, text, size);
    result[size] = '\0';
    return result;
}

static bool parse_arguments(struct step *step, struct line *line, const struct command *command, struct error *err)
{
    char usage[160];

    snprintf(usage, sizeof usage, "usage: %s", command->usage);
    step->ns = UINT64_MAX;
    if (command->has_time && line->count > 1 + command->words_min) {
        const struct word *last = &line->words[line->count - 1];
        if (!last->is_quoted && parse_time(last->text, &step->ns)) {
            line->count--;
        }
    }
    bool needs_time = command->has_time && command->words_max == 0 && command->kind != STEP_WAIT_RESET &&
                      command->kind != STEP_WAIT_END;
    if (line->count - 1 < command->words_min || line->count - 1 > command->words_max ||
        (needs_time && step->ns == UINT64_MAX)) {
        return mistake(line, err, "the arguments are wrong", usage);
    }
    if (line->count > 1) {
        step->text = copy(line->words[1].text, line->words[1].size);
        step->size = line->words[1].size;
        if (step->size == 0 && command->kind != STEP_PRINT) {
            return mistake(line, err, "an empty text", usage);
        }
    }
    if (command->kind == STEP_WAIT_STILL) {
        uint64_t still = 0;
        if (!parse_time(step->text, &still)) {
            return mistake(line, err, "that is not a time", usage);
        }
        step->numbers[0] = (long)(still / 1000000);
    }
    return command->parse == NULL || command->parse(step, line, err);
}

static bool parse_line(struct script_text *script, struct line *line, char *text, struct error *err)
{
    char what[200];
    char *source = copy(text, strlen(text));

    if (!split(line, text, err) || line->count == 0) {
        free(source);
        return line->count == 0;
    }
    for (size_t n = 0; n < sizeof commands / sizeof commands[0]; n++) {
        if (strcmp(line->words[0].text, commands[n].name) == 0) {
            struct step *steps = realloc(script->steps, (script->count + 1) * sizeof *steps);
            BUG_ON(steps == NULL);
            script->steps = steps;
            struct step *step = &steps[script->count++];
            memset(step, 0, sizeof *step);
            step->kind = commands[n].kind;
            step->line = line->number;
            step->source = source;
            return parse_arguments(step, line, &commands[n], err);
        }
    }
    free(source);
    snprintf(what, sizeof what, "no command '%.60s'", line->words[0].text);
    return mistake(line, err, what, "docs/script.md lists them; monitor \"COMMAND\" runs one of the monitor's");
}

/* ---- files ---- */

static char *read_all(const char *path, struct error *err)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    char *text = malloc(SCRIPT_BYTES_MAX + 1);

    if (file == NULL || text == NULL) {
        error_set(err, "cannot read script '%s': %s", path, strerror(errno));
        free(text);
        return NULL;
    }
    size_t size = fread(text, 1, SCRIPT_BYTES_MAX + 1, file);
    bool is_bad = ferror(file) || size > SCRIPT_BYTES_MAX || memchr(text, '\0', size) != NULL;
    if (ferror(file)) {
        error_set(err, "cannot read script '%s': %s", path, strerror(errno));
    } else if (is_bad) {
        error_set(err, "'%s' is no script: it is longer than 1 MiB or has NUL bytes", path);
    }
    if (file != stdin) {
        fclose(file);
    }
    if (is_bad) {
        free(text);
        return NULL;
    }
    text[size] = '\0';
    return text;
}

bool script_parse(struct script_text *script, const char *path, struct error *err)
{
    char *text = read_all(path, err), *next;
    bool is_good = text != NULL;
    struct line line = {.path = path, .script = script};

    for (char *at = text; is_good && at != NULL; at = next) {
        next = strchr(at, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        line.number++;
        line.count = 0;
        memset(line.words, 0, sizeof line.words);
        is_good = parse_line(script, &line, at, err);
    }
    free(text);
    return is_good;
}

void script_free(struct script_text *script)
{
    for (size_t n = 0; n < script->count; n++) {
        struct step *step = &script->steps[n];
        free(step->source);
        free(step->text);
        picture_free(&step->picture);
        if (step->regex != NULL) {
            regfree(step->regex);
            free(step->regex);
        }
    }
    free(script->steps);
    memset(script, 0, sizeof *script);
}
