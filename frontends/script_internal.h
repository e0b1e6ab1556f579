/* script_internal.h - the steps of a script, between script_parse.c and script.c. */
#ifndef FRONTENDS_SCRIPT_INTERNAL_H
#define FRONTENDS_SCRIPT_INTERNAL_H

#include "frontends/picture.h"
#include "frontends/script.h"
#include "frontends/typing.h"

#include <regex.h>

enum step_kind {
    STEP_WAIT_TEXT,
    STEP_WAIT_VGA,
    STEP_WAIT_SERIAL,
    STEP_WAIT_MATCH,
    STEP_WAIT_SCREEN,
    STEP_WAIT_STILL,
    STEP_WAIT_RESET,
    STEP_WAIT_END,
    STEP_FAIL_ON,
    STEP_TYPE,
    STEP_TYPE_SPEED,
    STEP_KEY,
    STEP_KEY_DOWN,
    STEP_KEY_UP,
    STEP_SERIAL,
    STEP_MOUSE,
    STEP_MOUSE_TO,
    STEP_BUTTONS,
    STEP_CLICK,
    STEP_SCREENDUMP,
    STEP_SCREENTEXT,
    STEP_SNAPSHOT,
    STEP_SLEEP,
    STEP_TIMEOUT,
    STEP_PRINT,
    STEP_EXIT,
    STEP_CONTINUE,
    STEP_MONITOR
};

struct step {
    enum step_kind kind;
    unsigned line;
    char *source;   /* the line as it was written, for messages */
    char *text;     /* first word or text; owned */
    size_t size;    /* of text, which may hold NULs */
    uint64_t ns;    /* a time; UINT64_MAX: not given */
    long numbers[3];
    double share;   /* of pixels that may differ */
    unsigned key_count;
    enum key_code keys[TYPING_KEYS_MAX];
    regex_t *regex; /* owned; NULL: none */
    bool is_hash;           /* wait-screen HASH */
    struct picture picture; /* wait-screen FILE.png; pixels NULL: the script writes it first */
};

struct script_text {
    struct step *steps;
    size_t count;
};

bool script_parse(struct script_text *script, const char *path, struct error *err);
void script_free(struct script_text *script);

#endif
