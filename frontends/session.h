/* session.h - one running machine as the parts of the program see it: main loop, monitor, display. */
#ifndef FRONTENDS_SESSION_H
#define FRONTENDS_SESSION_H

#include "frontends/typing.h"
#include "machine/tick86.h"

#include <stdbool.h>
#include <stdint.h>

enum { SESSION_KEYS = 32, SESSION_TEXT_MAX = 160, SESSION_SCREEN_MAX = 128 * 1024 };

struct net;
struct travel;

struct session {
    struct tick86 *machine;
    struct net *net; /* NULL: no network card */
    struct travel *travel; /* snapshots, recordings, history; NULL: none of that */
    bool has_powered_off;  /* the guest has ended by itself */
    bool has_debugger;     /* who stops the machine wants it to stay */
    const char *name;
    bool is_stopped;       /* by -S, stop, or the end of the guest */
    const char *why_stopped;
    bool wants_quit;
    int exit_status;
    struct block_backend *media[TICK86_DISKS]; /* owned; NULL where there is no drive */
    const char *media_paths[TICK86_DISKS];
    struct block_backend *floppies[TICK86_FLOPPIES]; /* likewise */
    const char *floppy_paths[TICK86_FLOPPIES];
    bool is_cdrom[TICK86_DISKS];
    unsigned mouse_buttons;
    /* What main does when the machine has stopped by itself, for those who step it. */
    void (*on_stop)(void *context, enum tick86_stop stop);
    void *on_stop_context;
    struct symbols *symbols; /* owned; NULL: none */
    unsigned cpu;            /* that the monitor looks at */
    unsigned stop_count;     /* at breakpoints */
    uint64_t resets;
    bool is_fast;          /* fast-forward: not held back to the wall clock */
    /* Keys to be released when guest time comes. */
    struct {
        enum key_code key;
        uint64_t at_ns;
    } held[SESSION_KEYS];
    unsigned held_count;
    struct typing typing; /* pasted text and the like */
    /* The monitor's run: the guest goes on up to a point of guest time and then stops. */
    struct {
        bool is_active;
        bool is_found;      /* the text was on the screen */
        uint64_t until_ns;
        uint64_t look_ns;   /* when to look at the screen; UINT64_MAX: never */
        char text[SESSION_TEXT_MAX];
    } run;
};

void session_stop(struct session *session, const char *why);
void session_cont(struct session *session);
void session_quit(struct session *session, int exit_status);
/* Resets the machine, and counts that. */
void session_reset(struct session *session);

/* Presses the keys together and releases them `hold_ms` of guest time later. */
void session_press(struct session *session, const enum key_code *keys, unsigned count, unsigned hold_ms);
/* Guest time of the next release or key to be typed, UINT64_MAX when there is none; and what of these is due. */
uint64_t session_next_release(const struct session *session);
void session_release_due(struct session *session);
void session_release_all(struct session *session);

/* Lets the guest run for `ns` of guest time, or until its text screen shows `text` (NULL: none), and stops it. Equal runs
 * stop at the same instruction. */
void session_run_for(struct session *session, uint64_t ns, const char *text);
/* Where such a run must pause next, UINT64_MAX when there is none; and what is to be done there. */
uint64_t session_next_look(const struct session *session);
void session_look_due(struct session *session);

/* Puts the image at `path` (NULL: nothing) into drive `drive`. False with `err` set. */
bool session_change_medium(struct session *session, unsigned drive, const char *path, bool force, struct error *err);
bool session_change_floppy(struct session *session, unsigned drive, const char *path, struct error *err);
/* Flushes what the guest wrote to the host's disks. */
void session_flush_disks(struct session *session);
/* Closes all media. */
void session_close(struct session *session);

#endif
