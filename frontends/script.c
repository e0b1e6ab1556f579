/* script.c - runs the steps of a script. What it does happens at points of guest time that depend on the guest alone: a wait
 * looks at the screen every 50 ms of guest time and at each byte of the serial ports, so under -time virtual equal scripts
 * make equal runs. */
#define _DEFAULT_SOURCE
#include "frontends/script.h"
#include "frontends/monitor.h"
#include "frontends/script_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERIAL_MAX = 1 << 18, TAIL_LINES = 24, KEY_HOLD_MS = 100, CLICK_HOLD_MS = 80, MESSAGE_MAX = 400 };
#define NS_PER_MS UINT64_C(1000000)
#define LOOK_NS (50 * NS_PER_MS)
#define DEFAULT_TIMEOUT_NS (60000 * NS_PER_MS)

/* What a serial port has sent since the last match, without terminal control sequences. */
struct serial_text {
    char *text;      /* always ends with '\0' */
    size_t size;
    unsigned escape; /* 1: behind ESC, 2: in a control sequence, 3: in a string that BEL or ESC \ ends */
};

struct script {
    struct session *session;
    struct script_text text;
    const char *path;
    size_t at;              /* the running step */
    bool is_started;        /* its action is done and it waits */
    bool is_done, has_failed;
    bool is_match;          /* a serial port has just sent what is waited for */
    uint64_t limit_ns;      /* guest time at which the wait fails */
    uint64_t look_ns;       /* guest time of the next look */
    uint64_t timeout_ns;
    unsigned interval_ms;   /* of typing */
    uint64_t still_since_ns, still_generation;
    uint64_t looked_generation; /* of the picture that wait-screen has compared; UINT64_MAX: none */
    uint8_t still_digest[SHA256_BYTES];
    uint64_t resets;        /* at the end of the last wait */
    struct serial_text serial[TICK86_SERIAL_PORTS];
    const char *fail_on[16];
    unsigned fail_count;
    size_t serial_done;     /* bytes of the running serial step that the port has taken */
    struct picture picture;
    unsigned pointer_x, pointer_y;
    char *screen;           /* SESSION_SCREEN_MAX bytes */
    struct monitor monitor;
    char *said;             /* what the running monitor command printed */
    size_t said_size;
};

/* ---- opening ---- */

static void put_monitor(void *context, const char *bytes, size_t size)
{
    struct script *script = context;
    char *joined = realloc(script->said, script->said_size + size + 1);

    if (joined != NULL) {
        memcpy(joined + script->said_size, bytes, size);
        script->said = joined;
        script->said_size += size;
        joined[script->said_size] = '\0';
    }
}

struct script *script_open(const char *path, struct session *session, struct error *err)
{
    struct script *script = calloc(1, sizeof *script);
    bool is_good = script != NULL && picture_init(&script->picture, err);

    if (script == NULL) {
        error_set(err, "out of memory for the script");
        return NULL;
    }
    script->session = session;
    script->path = path;
    script->timeout_ns = DEFAULT_TIMEOUT_NS;
    script->interval_ms = TYPING_INTERVAL_MS;
    script->screen = malloc(SESSION_SCREEN_MAX);
    is_good = is_good && script->screen != NULL;
    for (unsigned n = 0; n < TICK86_SERIAL_PORTS; n++) {
        script->serial[n].text = calloc(1, SERIAL_MAX + 1);
        is_good = is_good && script->serial[n].text != NULL;
    }
    monitor_init(&script->monitor, session, put_monitor, script);
    if (!is_good) {
        error_set(err, "out of memory for the script");
    }
    if (!is_good || !script_parse(&script->text, path, err)) {
        script_close(script);
        return NULL;
    }
    return script;
}

void script_close(struct script *script)
{
    if (script == NULL) {
        return;
    }
    script_free(&script->text);
    picture_free(&script->picture);
    free(script->screen);
    free(script->said);
    for (unsigned n = 0; n < TICK86_SERIAL_PORTS; n++) {
        free(script->serial[n].text);
    }
    free(script);
}

bool script_is_done(const struct script *script) { return script->is_done; }

static struct step *step_now(const struct script *script) { return &script->text.steps[script->at]; }

/* ---- failing ---- */

/* The last lines of a text. */
static void print_tail(const char *title, const char *text)
{
    size_t length = strlen(text), from = length;
    unsigned lines = 0;

    while (length > 0 && text[length - 1] == '\n') {
        length--;
    }
    for (from = length; from > 0 && (text[from - 1] != '\n' || ++lines < TAIL_LINES); from--) {
    }
    if (length > from) {
        fprintf(stderr, "---- %s ----\n%.*s\n", title, (int)(length - from), text + from);
    }
}

/* Whoever reads a CI log wants to see what the guest showed. */
static void print_scene(struct script *script)
{
    char title[80];
    char hash[SHA256_HEX];

    for (unsigned n = 0; n < TICK86_SERIAL_PORTS; n++) {
        snprintf(title, sizeof title, "serial port %u, since the last match", n + 1);
        print_tail(title, script->serial[n].text);
    }
    picture_take(&script->picture, script->session->machine);
    picture_hash(&script->picture, hash);
    snprintf(title, sizeof title, "screen, %ux%u, SHA-256 %.16s...", script->picture.width, script->picture.height, hash);
    if (tick86_screen_text(script->session->machine, script->screen, SESSION_SCREEN_MAX) != 0) {
        print_tail(title, script->screen);
    } else {
        fprintf(stderr, "---- %s ----\n", title);
    }
}

static void fail(struct script *script, const char *what)
{
    double seconds = (double)tick86_now_ns(script->session->machine) / 1e9;

    script->is_done = script->has_failed = true;
    if (script->at < script->text.count) {
        fprintf(stderr, "tick86: script '%s', line %u: %s: %s (at %.3f s of guest time)\n", script->path,
                step_now(script)->line, step_now(script)->source, what, seconds);
    } else {
        fprintf(stderr, "tick86: script '%s': %s (at %.3f s of guest time)\n", script->path, what, seconds);
    }
    print_scene(script);
    session_quit(script->session, 1);
}

bool script_guest_ended(struct script *script, const char *why)
{
    char what[MESSAGE_MAX];

    if (script->is_done) {
        return !script->has_failed;
    }
    if (script->at < script->text.count && script->is_started) {
        enum step_kind kind = step_now(script)->kind;
        bool is_keyed = kind == STEP_KEY || (kind == STEP_TYPE && script->session->typing.done == script->session->typing.size);
        script->at += is_keyed; /* what the guest ended of */
    }
    if (script->at < script->text.count && step_now(script)->kind == STEP_WAIT_END) {
        script->at++;
    }
    if (script->at >= script->text.count) {
        script->is_done = true;
        return true;
    }
    snprintf(what, sizeof what, "the script is not through, but %s", why);
    fail(script, what);
    return false;
}

/* ---- what the guest says ---- */

/* Leaves out control sequences (ECMA-48, 5.4 and 5.6) and carriage returns; backspace takes a character back. */
static bool keep_byte(struct serial_text *serial, char byte)
{
    switch (serial->escape) {
    case 1:
        serial->escape = byte == '[' ? 2 : byte == ']' || byte == 'P' ? 3 : byte >= 0x20 && byte < 0x30 ? 1 : 0;
        return false;
    case 2:
        serial->escape = byte >= 0x40 && byte < 0x7f ? 0 : 2;
        return false;
    case 3:
        serial->escape = byte == '\a' ? 0 : byte == '\033' ? 1 : 3;
        return false;
    default:
        break;
    }
    if (byte == '\033') {
        serial->escape = 1;
        return false;
    }
    if (byte == '\b' && serial->size != 0) {
        serial->text[--serial->size] = '\0';
    }
    return byte != '\r' && byte != '\b' && byte != '\0' && byte != '\a';
}

static bool ends_with(const struct serial_text *serial, const char *text)
{
    size_t size = strlen(text);

    return serial->size >= size && memcmp(serial->text + serial->size - size, text, size) == 0;
}

void script_serial(struct script *script, unsigned port, uint8_t byte)
{
    struct serial_text *serial = &script->serial[port];

    if (script->is_done || !keep_byte(serial, (char)byte)) {
        return;
    }
    if (serial->size == SERIAL_MAX) { /* the older half is forgotten */
        memmove(serial->text, serial->text + SERIAL_MAX / 2, SERIAL_MAX / 2);
        serial->size = SERIAL_MAX / 2;
    }
    serial->text[serial->size++] = (char)byte;
    serial->text[serial->size] = '\0';
    bool is_awaited = false;
    if (script->is_started && script->at < script->text.count) {
        const struct step *step = step_now(script);
        is_awaited = (step->kind == STEP_WAIT_TEXT || step->kind == STEP_WAIT_SERIAL) && ends_with(serial, step->text);
        is_awaited = is_awaited || (step->kind == STEP_WAIT_MATCH && byte == '\n');
    }
    for (unsigned n = 0; n < script->fail_count; n++) {
        is_awaited = is_awaited || ends_with(serial, script->fail_on[n]);
    }
    if (is_awaited) {
        script->is_match = true;
        tick86_request_stop(script->session->machine);
    }
}

/* Looks for text in what the serial ports sent; takes all up to its end away. */
static bool find_serial(struct script *script, const char *text)
{
    for (unsigned n = 0; n < TICK86_SERIAL_PORTS; n++) {
        struct serial_text *serial = &script->serial[n];
        char *found = strstr(serial->text, text);
        if (found != NULL) {
            size_t used = (size_t)(found - serial->text) + strlen(text);
            serial->size -= used;
            memmove(serial->text, serial->text + used, serial->size + 1);
            return true;
        }
    }
    return false;
}

static bool find_vga(struct script *script, const char *text)
{
    return tick86_screen_text(script->session->machine, script->screen, SESSION_SCREEN_MAX) != 0 &&
           strstr(script->screen, text) != NULL;
}

static bool find_regex(struct script *script, const regex_t *regex)
{
    for (unsigned n = 0; n < TICK86_SERIAL_PORTS; n++) {
        struct serial_text *serial = &script->serial[n];
        if (regexec(regex, serial->text, 0, NULL, 0) == 0) {
            serial->size = 0;
            serial->text[0] = '\0';
            return true;
        }
    }
    return tick86_screen_text(script->session->machine, script->screen, SESSION_SCREEN_MAX) != 0 &&
           regexec(regex, script->screen, 0, NULL, 0) == 0;
}

static bool is_screen(struct script *script, const struct step *step)
{
    uint64_t generation = tick86_screen_generation(script->session->machine);

    if (generation == script->looked_generation) {
        return false; /* what it was at the last look, which was something else */
    }
    script->looked_generation = generation;
    picture_take(&script->picture, script->session->machine);
    if (step->is_hash) {
        char hash[SHA256_HEX];
        picture_hash(&script->picture, hash);
        return strncmp(hash, step->text, step->size) == 0;
    }
    uint64_t differ = picture_difference(&script->picture, &step->picture);
    double pixels = (double)step->picture.width * step->picture.height;
    return differ != UINT64_MAX && (double)differ <= pixels * step->share;
}

/* What the screen shows, but for blinking: the cells of a text screen, the pixels of another. */
static void digest_screen(struct script *script, uint8_t digest[SHA256_BYTES])
{
    struct screen *screen = malloc(sizeof *screen);
    struct sha256 sha;

    BUG_ON(screen == NULL);
    tick86_describe_screen(script->session->machine, screen);
    sha256_begin(&sha);
    if (screen->is_text) {
        screen->cursor_column += 0x100 * screen->is_blanked;
        sha256_add(&sha, &screen->cursor_column, sizeof screen->cursor_column);
        sha256_add(&sha, screen->cells, screen->rows * screen->columns * sizeof screen->cells[0]);
    } else {
        picture_take(&script->picture, script->session->machine);
        for (unsigned y = 0; y < script->picture.height; y++) {
            sha256_add(&sha, script->picture.pixels + (size_t)y * PICTURE_WIDTH_MAX, script->picture.width * sizeof(uint32_t));
        }
    }
    sha256_end(&sha, digest);
    free(screen);
}

static void note_still(struct script *script, bool is_new)
{
    uint64_t generation = tick86_screen_generation(script->session->machine);
    uint8_t digest[SHA256_BYTES];

    if (generation == script->still_generation && !is_new) {
        return;
    }
    script->still_generation = generation;
    digest_screen(script, digest);
    if (is_new || memcmp(digest, script->still_digest, sizeof digest) != 0) {
        memcpy(script->still_digest, digest, sizeof digest);
        script->still_since_ns = tick86_now_ns(script->session->machine);
    }
}

static bool is_still(struct script *script, const struct step *step)
{
    uint64_t now = tick86_now_ns(script->session->machine);

    note_still(script, false);
    return now - script->still_since_ns >= (uint64_t)step->numbers[0] * NS_PER_MS;
}

static bool is_seen(struct script *script, const struct step *step)
{
    switch (step->kind) {
    case STEP_WAIT_TEXT:
        return find_serial(script, step->text) || find_vga(script, step->text);
    case STEP_WAIT_VGA:
        return find_vga(script, step->text);
    case STEP_WAIT_SERIAL:
        return find_serial(script, step->text);
    case STEP_WAIT_MATCH:
        return find_regex(script, step->regex);
    case STEP_WAIT_SCREEN:
        return is_screen(script, step);
    case STEP_WAIT_STILL:
        return is_still(script, step);
    case STEP_WAIT_RESET:
        return script->session->resets != script->resets;
    default:
        return false;
    }
}

/* ---- steps ---- */

static void run_monitor(struct script *script, const char *command)
{
    script->said_size = 0;
    monitor_run(&script->monitor, command);
    if (script->said_size != 0 && script->said != NULL) {
        if (strncmp(script->said, "Error: ", 7) == 0) {
            script->said[strcspn(script->said, "\r\n")] = '\0';
            fail(script, script->said + 7);
            return;
        }
        fwrite(script->said, 1, script->said_size, stdout);
        fflush(stdout);
    }
}

static void dump(struct script *script, const struct step *step)
{
    struct error err = {0};

    picture_take(&script->picture, script->session->machine);
    if (!picture_write(&script->picture, step->text, &err)) {
        fail(script, err.message);
    }
}

/* A picture that an earlier step has written. */
static void load_picture(struct script *script, struct step *step)
{
    struct error err = {0};

    if (!step->is_hash && step->picture.pixels == NULL &&
        (!picture_init(&step->picture, &err) || !picture_read(&step->picture, step->text, &err))) {
        fail(script, err.message);
    }
}

static void dump_text(struct script *script, const struct step *step)
{
    FILE *file = fopen(step->text, "w");

    tick86_screen_text(script->session->machine, script->screen, SESSION_SCREEN_MAX);
    bool is_good = file != NULL && fputs(script->screen, file) != EOF;
    if (file != NULL) {
        is_good = fclose(file) == 0 && is_good;
    }
    if (!is_good) {
        fail(script, "cannot write that file");
    }
}

/* In pixels of the screen. */
static void point(struct script *script, const struct step *step)
{
    struct tick86 *machine = script->session->machine;

    picture_take(&script->picture, machine);
    if (!tick86_pointer_is_wanted(machine)) {
        fail(script, "the guest has no driver for the absolute pointer (-device vmmouse)");
    } else if (step->numbers[0] < 0 || step->numbers[0] >= (long)script->picture.width || step->numbers[1] < 0 ||
               step->numbers[1] >= (long)script->picture.height) {
        fail(script, "that is not on the screen");
    } else {
        script->pointer_x = (unsigned)(step->numbers[0] * 65535 / (long)(script->picture.width - 1));
        script->pointer_y = (unsigned)(step->numbers[1] * 65535 / (long)(script->picture.height - 1));
        tick86_pointer(machine, script->pointer_x, script->pointer_y, 0, script->session->mouse_buttons);
    }
}

static void press_buttons(struct script *script, unsigned buttons)
{
    script->session->mouse_buttons = buttons;
    if (tick86_pointer_is_wanted(script->session->machine)) {
        tick86_pointer(script->session->machine, script->pointer_x, script->pointer_y, 0, buttons);
    } else {
        tick86_mouse(script->session->machine, 0, 0, 0, buttons);
    }
}

static void snapshot(struct script *script, const struct step *step)
{
    char command[MESSAGE_MAX];

    snprintf(command, sizeof command, "savevm %s", step->text);
    run_monitor(script, command);
}

/* Does what a step does at once; true when it waits for something then, until wait_ns at the latest. */
static bool act(struct script *script, struct step *step, uint64_t *wait_ns)
{
    struct session *session = script->session;
    uint64_t hold_ms = step->ns != UINT64_MAX ? step->ns / NS_PER_MS : KEY_HOLD_MS;

    switch (step->kind) {
    case STEP_FAIL_ON:
        if (script->fail_count == sizeof script->fail_on / sizeof script->fail_on[0]) {
            fail(script, "there are already 16 of these");
        } else {
            script->fail_on[script->fail_count++] = step->text;
        }
        break;
    case STEP_TYPE:
        if (typing_add(session, step->text, step->size, script->interval_ms) != 0) {
            fail(script, "a US keyboard cannot type all of that");
        }
        return true;
    case STEP_TYPE_SPEED:
        script->interval_ms = (unsigned)(1000 / (step->numbers[0] < 1 ? 1 : step->numbers[0] > 500 ? 500 : step->numbers[0]));
        break;
    case STEP_KEY:
        session_press(session, step->keys, step->key_count, (unsigned)hold_ms);
        *wait_ns = 2 * hold_ms * NS_PER_MS;
        return true;
    case STEP_KEY_DOWN:
    case STEP_KEY_UP:
        for (unsigned n = 0; n < step->key_count; n++) {
            tick86_key(session->machine, step->keys[n], step->kind == STEP_KEY_DOWN);
        }
        break;
    case STEP_SERIAL:
        script->serial_done = 0;
        return true;
    case STEP_MOUSE:
        tick86_mouse(session->machine, (int)step->numbers[0], (int)step->numbers[1], (int)step->numbers[2],
                     session->mouse_buttons);
        *wait_ns = CLICK_HOLD_MS * NS_PER_MS;
        return true;
    case STEP_MOUSE_TO:
        point(script, step);
        *wait_ns = CLICK_HOLD_MS * NS_PER_MS;
        return true;
    case STEP_BUTTONS:
        press_buttons(script, (unsigned)step->numbers[0] & 7);
        *wait_ns = CLICK_HOLD_MS * NS_PER_MS;
        return true;
    case STEP_CLICK:
        press_buttons(script, (unsigned)step->numbers[0] & 7);
        *wait_ns = CLICK_HOLD_MS * NS_PER_MS;
        return true;
    case STEP_SCREENDUMP:
        dump(script, step);
        break;
    case STEP_SCREENTEXT:
        dump_text(script, step);
        break;
    case STEP_SNAPSHOT:
        snapshot(script, step);
        break;
    case STEP_TIMEOUT:
        script->timeout_ns = step->ns;
        break;
    case STEP_PRINT:
        printf("%s\n", step->text);
        fflush(stdout);
        break;
    case STEP_EXIT:
        script->is_done = true;
        session_quit(session, (int)step->numbers[0]);
        break;
    case STEP_CONTINUE:
        script->is_done = true;
        break;
    case STEP_MONITOR:
        run_monitor(script, step->text);
        break;
    case STEP_SLEEP:
        *wait_ns = step->ns;
        return true;
    default: /* the waits */
        if (step->kind == STEP_WAIT_SCREEN) {
            load_picture(script, step);
        }
        *wait_ns = step->ns != UINT64_MAX ? step->ns : script->timeout_ns;
        return true;
    }
    return false;
}

/* Whether the started step has what it waits for; fails where its time is up. */
static bool is_over(struct script *script, const struct step *step)
{
    uint64_t now = tick86_now_ns(script->session->machine);
    bool is_late = now >= script->limit_ns;
    char what[MESSAGE_MAX];

    switch (step->kind) {
    case STEP_TYPE:
        return !typing_is_busy(&script->session->typing);
    case STEP_KEY:
    case STEP_MOUSE:
    case STEP_MOUSE_TO:
    case STEP_BUTTONS:
    case STEP_SLEEP:
        return is_late;
    case STEP_CLICK:
        if (is_late) {
            press_buttons(script, 0);
        }
        return is_late;
    case STEP_SERIAL:
        script->serial_done += tick86_serial_input(script->session->machine, 0,
                                                   (const uint8_t *)step->text + script->serial_done,
                                                   step->size - script->serial_done);
        return script->serial_done == step->size;
    default:
        break;
    }
    if (is_seen(script, step)) {
        return true;
    }
    if (is_late) {
        uint64_t limit = step->ns != UINT64_MAX ? step->ns : script->timeout_ns;
        snprintf(what, sizeof what, "did not come within %g s", (double)limit / 1e9);
        fail(script, what);
    }
    return false;
}

static void check_fail_on(struct script *script)
{
    char what[MESSAGE_MAX];

    for (unsigned n = 0; n < script->fail_count && !script->is_done; n++) {
        bool is_there = find_vga(script, script->fail_on[n]);
        for (unsigned port = 0; port < TICK86_SERIAL_PORTS; port++) {
            is_there = is_there || strstr(script->serial[port].text, script->fail_on[n]) != NULL;
        }
        if (is_there) {
            snprintf(what, sizeof what, "\"%s\" appeared", script->fail_on[n]);
            fail(script, what);
        }
    }
}

uint64_t script_next(const struct script *script)
{
    if (script->is_done || script->session->is_stopped) {
        return UINT64_MAX;
    }
    return script->look_ns < script->limit_ns ? script->look_ns : script->limit_ns;
}

void script_run(struct script *script)
{
    struct session *session = script->session;

    if (script->is_done || session->is_stopped || session->wants_quit ||
        (!script->is_match && tick86_now_ns(session->machine) < script_next(script))) {
        return;
    }
    script->is_match = false;
    check_fail_on(script);
    while (!script->is_done && script->at < script->text.count) {
        struct step *step = step_now(script);
        uint64_t now = tick86_now_ns(session->machine), wait_ns = UINT64_MAX;
        if (!script->is_started) {
            script->looked_generation = UINT64_MAX;
            if (step->kind == STEP_WAIT_STILL) {
                note_still(script, true);
            }
            script->is_started = act(script, step, &wait_ns);
            script->limit_ns = wait_ns < UINT64_MAX - now ? now + wait_ns : UINT64_MAX;
            script->look_ns = now;
        }
        if (script->is_done) {
            return;
        }
        if (script->is_started && !is_over(script, step)) {
            if (script->look_ns <= now) {
                script->look_ns += LOOK_NS;
            }
            return;
        }
        if (step->kind <= STEP_WAIT_END || step->kind == STEP_SLEEP) {
            script->resets = session->resets;
        }
        script->is_started = false;
        script->at++;
    }
    if (!script->is_done) {
        script->is_done = true;
        session_quit(session, 0);
    }
}
