/* session.c - what monitor, display and main loop do to one running machine. */
#define _DEFAULT_SOURCE
#include "frontends/session.h"
#include "frontends/host/block.h"
#include "frontends/symbols.h"
#include "machine/tick86_debug.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)
#define LOOK_NS (50 * NS_PER_MS) /* between looks at the screen */

void session_stop(struct session *session, const char *why)
{
    session->is_stopped = true;
    session->why_stopped = why;
    session->run.is_active = false;
}

void session_cont(struct session *session)
{
    if (session->is_stopped) {
        tick86_debug_resume(session->machine);
    }
    session->is_stopped = false;
    session->why_stopped = NULL;
}

void session_quit(struct session *session, int exit_status)
{
    session->wants_quit = true;
    session->exit_status = exit_status;
}

void session_reset(struct session *session)
{
    tick86_reset(session->machine);
    session->resets++;
}

static void release(struct session *session, unsigned index)
{
    tick86_key(session->machine, session->held[index].key, false);
    session->held[index] = session->held[--session->held_count];
}

void session_press(struct session *session, const enum key_code *keys, unsigned count, unsigned hold_ms)
{
    uint64_t at_ns = tick86_now_ns(session->machine) + hold_ms * NS_PER_MS;

    for (unsigned n = 0; n < count; n++) {
        for (unsigned held = 0; held < session->held_count;) {
            if (session->held[held].key == keys[n]) {
                release(session, held); /* pressed again before it was let go */
            } else {
                held++;
            }
        }
        if (session->held_count == SESSION_KEYS) {
            release(session, 0);
        }
        tick86_key(session->machine, keys[n], true);
        session->held[session->held_count].key = keys[n];
        session->held[session->held_count++].at_ns = at_ns;
    }
}

uint64_t session_next_release(const struct session *session)
{
    uint64_t next = typing_next(&session->typing);

    for (unsigned n = 0; n < session->held_count; n++) {
        next = session->held[n].at_ns < next ? session->held[n].at_ns : next;
    }
    return next;
}

void session_release_due(struct session *session)
{
    uint64_t now = tick86_now_ns(session->machine);

    for (unsigned n = session->held_count; n-- > 0;) { /* modifiers came first and go last */
        if (session->held[n].at_ns <= now) {
            release(session, n);
        }
    }
    typing_run(session);
}

void session_release_all(struct session *session)
{
    while (session->held_count != 0) {
        release(session, session->held_count - 1);
    }
}

void session_run_for(struct session *session, uint64_t ns, const char *text)
{
    uint64_t now = tick86_now_ns(session->machine);

    session_cont(session);
    session->run.is_active = true;
    session->run.is_found = false;
    session->run.until_ns = ns < UINT64_MAX - now ? now + ns : UINT64_MAX;
    session->run.look_ns = text != NULL ? now : UINT64_MAX;
    snprintf(session->run.text, sizeof session->run.text, "%s", text != NULL ? text : "");
}

uint64_t session_next_look(const struct session *session)
{
    if (!session->run.is_active) {
        return UINT64_MAX;
    }
    return session->run.look_ns < session->run.until_ns ? session->run.look_ns : session->run.until_ns;
}

static bool is_on_screen(struct session *session, const char *text)
{
    char *screen = malloc(SESSION_SCREEN_MAX);
    bool is_there = false;

    if (screen != NULL) {
        is_there = tick86_screen_text(session->machine, screen, SESSION_SCREEN_MAX) != 0 && strstr(screen, text) != NULL;
        free(screen);
    }
    return is_there;
}

void session_look_due(struct session *session)
{
    uint64_t now = tick86_now_ns(session->machine);

    if (!session->run.is_active) {
        return;
    }
    if (session->run.look_ns <= now) {
        session->run.look_ns += LOOK_NS;
        session->run.is_found = is_on_screen(session, session->run.text);
    }
    if (session->run.is_found || session->run.until_ns <= now) {
        session_stop(session, NULL);
    }
}

bool session_change_medium(struct session *session, unsigned drive, const char *path, bool force, struct error *err)
{
    struct block_options options = {.is_readonly = true};
    struct block_backend *medium = path != NULL ? block_open(path, &options, err) : block_open_empty(err);

    if (medium == NULL) {
        return false;
    }
    if (!tick86_change_medium(session->machine, drive, path != NULL ? medium : NULL, force, err)) {
        block_close(medium);
        return false;
    }
    block_close(session->media[drive]);
    session->media[drive] = medium;
    session->media_paths[drive] = path != NULL ? block_path(block_image_of(medium)) : NULL;
    return true;
}

bool session_change_floppy(struct session *session, unsigned drive, const char *path, struct error *err)
{
    struct block_backend *medium = path != NULL ? block_open(path, NULL, err) : block_open_empty(err);

    if (medium == NULL) {
        return false;
    }
    if (!tick86_change_floppy(session->machine, drive, path != NULL ? medium : NULL, err)) {
        block_close(medium);
        return false;
    }
    block_close(session->floppies[drive]);
    session->floppies[drive] = medium;
    session->floppy_paths[drive] = path != NULL ? block_path(block_image_of(medium)) : NULL;
    return true;
}

void session_flush_disks(struct session *session)
{
    for (unsigned n = 0; n < TICK86_DISKS + TICK86_FLOPPIES; n++) {
        struct block_backend *medium = n < TICK86_DISKS ? session->media[n] : session->floppies[n - TICK86_DISKS];
        if (medium != NULL && medium->flush != NULL && medium->sectors != 0 && !medium->is_readonly) {
            medium->flush(medium->context);
        }
    }
}

void session_close(struct session *session)
{
    symbols_destroy(session->symbols);
    session->symbols = NULL;
    typing_cancel(session);
    for (unsigned n = 0; n < TICK86_DISKS; n++) {
        block_close(session->media[n]);
        session->media[n] = NULL;
    }
    for (unsigned n = 0; n < TICK86_FLOPPIES; n++) {
        block_close(session->floppies[n]);
        session->floppies[n] = NULL;
    }
}
