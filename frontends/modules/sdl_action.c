/* sdl_action.c - what keys do together with Ctrl and Alt, and the menu. */
#include "frontends/modules/sdl_internal.h"
#include "frontends/screendump.h"

#include <stdio.h>
#include <string.h>

#define BACK_NS UINT64_C(10000000000)
enum { SHOTS_MAX = 10000, PASTE_INTERVAL_MS = 30 };

static void command(struct sdl *sdl, const char *text)
{
    sdl->said[0] = '\0';
    monitor_run(&sdl->monitor, text);
    sdl_notice(sdl, sdl->said[0] != '\0' ? sdl->said : text);
}

static void act_grab(struct sdl *sdl)
{
    sdl_grab(sdl, !sdl->is_grabbed);
}

static void act_full_screen(struct sdl *sdl)
{
    sdl_set_full_screen(sdl, !sdl->is_full_screen);
}

static void act_pause(struct sdl *sdl)
{
    if (sdl->session->is_stopped) {
        session_cont(sdl->session);
    } else {
        session_stop(sdl->session, NULL);
    }
    sdl->title[0] = '\0';
}

static void act_paste(struct sdl *sdl)
{
    char *text = SDL_GetClipboardText();

    if (text != NULL && text[0] != '\0') {
        size_t lost = typing_add(sdl->session, text, strlen(text), PASTE_INTERVAL_MS);
        sdl_notice(sdl, lost != 0 ? "some of the clipboard's characters no key types" : "typing the clipboard");
    } else {
        sdl_notice(sdl, "the clipboard has no text");
    }
    SDL_free(text);
}

static void act_copy(struct sdl *sdl)
{
    static char text[SESSION_SCREEN_MAX];

    if (tick86_screen_text(sdl->session->machine, text, sizeof text) != 0) {
        SDL_SetClipboardText(text);
        sdl_notice(sdl, "the screen's text is in the clipboard");
    } else {
        sdl_notice(sdl, "a graphics screen has no text");
    }
}

static void act_screenshot(struct sdl *sdl)
{
    struct error err = {0};
    char path[32], text[64];

    for (unsigned n = 1; n < SHOTS_MAX; n++) {
        snprintf(path, sizeof path, "tick86-%03u.png", n);
        FILE *file = fopen(path, "rb");
        if (file == NULL) {
            break;
        }
        fclose(file);
    }
    bool is_good = screendump(sdl->session->machine, path, &err);
    snprintf(text, sizeof text, "%s %s", is_good ? "screenshot in" : "cannot write", path);
    sdl_notice(sdl, text);
}

static void act_reset(struct sdl *sdl) { command(sdl, "system_reset"); }
static void act_power(struct sdl *sdl) { command(sdl, "system_powerdown"); }
static void act_snapshot(struct sdl *sdl) { command(sdl, "savevm quick"); }
static void act_restore(struct sdl *sdl) { command(sdl, "loadvm quick"); }
/* Back by ten seconds of guest time, and on from there: what the guest did since is another future. Needs a history (monitor:
 * checkpoints). */
static void act_back(struct sdl *sdl)
{
    uint64_t now = tick86_now_ns(sdl->session->machine), best_ns = 0, icount = 0;
    char text[64];

    for (unsigned n = 0; n < sizeof sdl->marks / sizeof sdl->marks[0] && n < sdl->mark_count; n++) {
        if (sdl->marks[n].ns + BACK_NS <= now && sdl->marks[n].ns > best_ns) {
            best_ns = sdl->marks[n].ns;
            icount = sdl->marks[n].icount;
        }
    }
    if (icount == 0) {
        sdl_notice(sdl, "the guest has not run for ten seconds yet");
        return;
    }
    sdl_release_keys(sdl);
    snprintf(text, sizeof text, "goto %llu", (unsigned long long)icount);
    command(sdl, text);
    if (tick86_icount(sdl->session->machine) == icount) {
        command(sdl, "replay stop");
        sdl->mark_count = 0;
        session_cont(sdl->session);
        sdl_notice(sdl, "ten seconds back");
    }
}
static void act_quit(struct sdl *sdl) { session_quit(sdl->session, 0); }

static void act_fast(struct sdl *sdl)
{
    sdl->session->is_fast = !sdl->session->is_fast;
    sdl_notice(sdl, sdl->session->is_fast ? "as fast as it goes" : "at the clock's pace");
}

static void act_scaling(struct sdl *sdl)
{
    static const char *const names[] = {"linear scaling", "nearest scaling", "integer scaling"};

    sdl->settings.scaling = sdl->settings.scaling == SCALING_LINEAR    ? SCALING_NEAREST
                            : sdl->settings.scaling == SCALING_NEAREST ? SCALING_INTEGER
                                                                       : SCALING_LINEAR;
    sdl_notice(sdl, names[sdl->settings.scaling]);
    sdl->must_redraw = true;
}

static void zoom(struct sdl *sdl, unsigned factor)
{
    sdl->settings.zoom = factor < 1 ? 1 : factor > 8 ? 8 : factor;
    sdl->is_sized_by_user = false;
    sdl_fit_window(sdl);
}

static void act_larger(struct sdl *sdl) { zoom(sdl, (sdl->settings.zoom != 0 ? sdl->settings.zoom : 1) + 1); }
static void act_smaller(struct sdl *sdl) { zoom(sdl, sdl->settings.zoom > 1 ? sdl->settings.zoom - 1 : 1); }
static void act_natural(struct sdl *sdl) { zoom(sdl, 1); }

static bool find_cd(const struct sdl *sdl, unsigned *drive)
{
    for (unsigned n = 0; n < TICK86_DISKS; n++) {
        if (sdl->session->is_cdrom[n]) {
            *drive = n;
            return true;
        }
    }
    return false;
}

void sdl_change_cd(struct sdl *sdl, const char *path)
{
    struct error err = {0};
    unsigned drive = 0;

    if (!find_cd(sdl, &drive)) {
        sdl_notice(sdl, "there is no CD-ROM drive; start with -cdrom \"\"");
    } else if (session_change_medium(sdl->session, drive, path, false, &err)) {
        sdl_notice(sdl, path != NULL ? "the CD is changed" : "the CD is out");
    } else {
        sdl_notice(sdl, err.message);
    }
}

/* The clipboard names the image: the path of a file, or its file: URL as file managers copy it. */
static void act_cd(struct sdl *sdl)
{
    char *text = SDL_GetClipboardText();

    if (text != NULL && text[0] != '\0') {
        char *path = strncmp(text, "file://", 7) == 0 ? text + 7 : text;
        path[strcspn(path, "\r\n")] = '\0';
        sdl_change_cd(sdl, path);
    } else {
        sdl_notice(sdl, "drop an image on the window, or copy its path");
    }
    SDL_free(text);
}

static void act_eject(struct sdl *sdl) { sdl_change_cd(sdl, NULL); }

/* Ctrl-Alt-Delete with the keys of a host that keeps it for itself. */
static void act_delete(struct sdl *sdl)
{
    static const enum key_code keys[] = {KEY_CTRL_LEFT, KEY_ALT_LEFT, KEY_DELETE};

    sdl_release_keys(sdl);
    session_press(sdl->session, keys, 3, 100);
}

static void act_menu(struct sdl *sdl);

static const struct {
    SDL_Scancode key;
    const char *name;
    void (*run)(struct sdl *sdl);
    const char *doc;
} host_keys[] = {
    {SDL_SCANCODE_G, "G", act_grab, "grab or release mouse and keyboard"},
    {SDL_SCANCODE_F, "F", act_full_screen, "full screen and back"},
    {SDL_SCANCODE_P, "P", act_pause, "pause, go on"},
    {SDL_SCANCODE_T, "T", act_fast, "fast-forward and back"},
    {SDL_SCANCODE_R, "R", act_reset, "reset"},
    {SDL_SCANCODE_O, "O", act_power, "press the power button"},
    {SDL_SCANCODE_D, "D", act_delete, "press Ctrl-Alt-Delete"},
    {SDL_SCANCODE_V, "V", act_paste, "type the clipboard's text"},
    {SDL_SCANCODE_Y, "Y", act_copy, "copy the screen's text"},
    {SDL_SCANCODE_S, "S", act_screenshot, "screenshot"},
    {SDL_SCANCODE_N, "N", act_snapshot, "snapshot"},
    {SDL_SCANCODE_L, "L", act_restore, "back to that snapshot"},
    {SDL_SCANCODE_B, "B", act_back, "back 10 seconds"},
    {SDL_SCANCODE_C, "C", act_cd, "CD: the image whose path is in the clipboard"},
    {SDL_SCANCODE_E, "E", act_eject, "eject the CD"},
    {SDL_SCANCODE_X, "X", act_scaling, "scaling: linear, nearest, integer"},
    {SDL_SCANCODE_EQUALS, "=", act_larger, "larger"},
    {SDL_SCANCODE_KP_PLUS, NULL, act_larger, NULL},
    {SDL_SCANCODE_MINUS, "-", act_smaller, "smaller"},
    {SDL_SCANCODE_KP_MINUS, NULL, act_smaller, NULL},
    {SDL_SCANCODE_0, "0", act_natural, "natural size"},
    {SDL_SCANCODE_M, "M", act_menu, "this menu"},
    {SDL_SCANCODE_Q, "Q", act_quit, "quit"},
};

/* A message box: SDL has nothing nearer to a menu. The guest waits meanwhile. */
static void act_menu(struct sdl *sdl)
{
    static const struct {
        const char *text;
        void (*run)(struct sdl *sdl);
    } choices[] = {{"Continue", NULL},          {"Pause", act_pause},       {"Screenshot", act_screenshot},
                   {"Ctrl-Alt-Del", act_delete}, {"Reset", act_reset},      {"Power button", act_power},
                   {"Quit", act_quit}};
    enum { CHOICES = sizeof choices / sizeof choices[0] };
    SDL_MessageBoxButtonData buttons[CHOICES];
    SDL_MessageBoxData box = {.window = sdl->window, .title = "tick86", .numbuttons = CHOICES, .buttons = buttons};
    char text[2048] = "Together with Ctrl and Alt:\n\n";
    int chosen = 0;

    for (size_t n = 0; n < sizeof host_keys / sizeof host_keys[0]; n++) {
        size_t used = strlen(text);
        if (host_keys[n].name != NULL) {
            snprintf(text + used, sizeof text - used, "%s   %s\n", host_keys[n].name, host_keys[n].doc);
        }
    }
    for (int n = 0; n < CHOICES; n++) {
        buttons[n] = (SDL_MessageBoxButtonData){0, n, choices[n].text};
    }
    buttons[0].flags = SDL_MESSAGEBOX_BUTTON_RETURNKEY_DEFAULT | SDL_MESSAGEBOX_BUTTON_ESCAPEKEY_DEFAULT;
    box.message = text;
    sdl_release_keys(sdl);
    sdl_grab(sdl, false);
    if (SDL_ShowMessageBox(&box, &chosen) == 0 && chosen > 0 && chosen < CHOICES) {
        choices[chosen].run(sdl);
    }
}

bool sdl_host_key(struct sdl *sdl, SDL_Scancode key)
{
    for (size_t n = 0; n < sizeof host_keys / sizeof host_keys[0]; n++) {
        if (host_keys[n].key == key) {
            host_keys[n].run(sdl);
            return true;
        }
    }
    return false;
}
