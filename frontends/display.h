/* display.h - what a display module (frontends/module.h) offers, and the choice among displays. */
#ifndef FRONTENDS_DISPLAY_H
#define FRONTENDS_DISPLAY_H

#include "frontends/session.h"

/* What the user asked for behind the display's name. */
struct display_settings {
    enum { SCALING_LINEAR, SCALING_NEAREST, SCALING_INTEGER } scaling;
    bool ignores_aspect;
    bool is_full_screen;
    unsigned zoom;            /* 1 to 8; 0: not given */
    const char *vnc_address;  /* HOST:N */
    const char *vnc_password; /* NULL: none */
};

struct display_module {
    /* NULL with `err` set when there is nothing to show it on. */
    void *(*open)(struct session *session, const struct display_settings *settings, struct error *err);
    /* Takes what the user did; called between slices of the guest. */
    void (*input)(void *display);
    /* Shows what is new; called at most 60 times a second. */
    void (*update)(void *display);
    void (*close)(void *display);
};

/* The displays that can be used here, as a list for messages: "curses, vnc=HOST:N and none". */
const char *display_list(void);

#endif
