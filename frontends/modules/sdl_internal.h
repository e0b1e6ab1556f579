/* sdl_internal.h - the SDL window, between sdl.c (window, picture), sdl_input.c (keys, pointer) and sdl_action.c (what host keys
 * do). */
#ifndef FRONTENDS_MODULES_SDL_INTERNAL_H
#define FRONTENDS_MODULES_SDL_INTERNAL_H

#include "frontends/display.h"
#include "frontends/frame.h"
#include "frontends/monitor.h"

#include <SDL.h>

struct sdl {
    struct session *session;
    struct display_settings settings;
    SDL_Window *window;
    SDL_Renderer *renderer;
    SDL_Texture *texture;
    SDL_Rect shown;          /* where the picture is in the window, in the renderer's pixels */
    struct frame frame;
    bool must_redraw;
    bool is_full_screen;
    bool is_grabbed;
    bool is_sized_by_user;
    int own_width, own_height; /* the size that we gave the window last */
    bool has_focus;
    bool pressed[KEY_CODES]; /* keys that the guest believes held */
    unsigned buttons;
    double wheel;            /* fractions of a notch */
    uint64_t title_wall_ns, title_guest_ns;
    char title[256];
    /* Where the guest was, a second apart: the way back (a ring). */
    struct {
        uint64_t ns, icount;
    } marks[32];
    unsigned mark_count;
    char notice[64];         /* what the last host key did, for the title */
    uint64_t notice_until_ns;
    struct monitor monitor;  /* runs commands for host keys */
    char said[256];          /* what it printed */
};

/* sdl.c */
void sdl_fit_window(struct sdl *sdl);
void sdl_set_full_screen(struct sdl *sdl, bool is_full_screen);
void sdl_notice(struct sdl *sdl, const char *text);

/* sdl_input.c */
void sdl_event(struct sdl *sdl, const SDL_Event *event);
void sdl_release_keys(struct sdl *sdl);
void sdl_grab(struct sdl *sdl, bool is_grabbed);

/* sdl_action.c: the key pressed with Ctrl-Alt; false when it means nothing to us, so that it is the guest's. */
bool sdl_host_key(struct sdl *sdl, SDL_Scancode key);
void sdl_change_cd(struct sdl *sdl, const char *path);

#endif
