/* sdl_input.c - what the user does with keyboard and mouse in the window.
 *
 * Keys go by their place: SDL's scan codes are those of USB, as enum key_code's numbers are, so no layout of the host has a say; the
 * guest's own layout decides what a key types. The guest's relative mouse needs the host's pointer caught in the window; an absolute
 * pointing device does not. */
#include "frontends/modules/sdl_internal.h"

#include <math.h>
#include <string.h>

enum { WHEEL_NOTCH = 1 };

/* The consumer page's keys, which SDL numbers by itself. */
static const struct {
    SDL_Scancode scancode;
    enum key_code key;
} media_keys[] = {
    {SDL_SCANCODE_AUDIOPLAY, KEY_MEDIA_PLAY},   {SDL_SCANCODE_AUDIOSTOP, KEY_MEDIA_STOP},
    {SDL_SCANCODE_AUDIOPREV, KEY_MEDIA_PREVIOUS}, {SDL_SCANCODE_AUDIONEXT, KEY_MEDIA_NEXT},
    {SDL_SCANCODE_AUDIOMUTE, KEY_MUTE},         {SDL_SCANCODE_MEDIASELECT, KEY_MEDIA_SELECT},
    {SDL_SCANCODE_MAIL, KEY_MAIL},              {SDL_SCANCODE_COMPUTER, KEY_COMPUTER},
    {SDL_SCANCODE_CALCULATOR, KEY_CALCULATOR},  {SDL_SCANCODE_AC_HOME, KEY_WWW_HOME},
    {SDL_SCANCODE_AC_BACK, KEY_WWW_BACK},       {SDL_SCANCODE_AC_FORWARD, KEY_WWW_FORWARD},
};

static enum key_code key_of(SDL_Scancode scancode)
{
    for (size_t n = 0; n < sizeof media_keys / sizeof media_keys[0]; n++) {
        if (media_keys[n].scancode == scancode) {
            return media_keys[n].key;
        }
    }
    if (scancode < SDL_SCANCODE_A || (int)scancode > KEY_META_RIGHT) {
        return KEY_NONE;
    }
    return (enum key_code)scancode;
}

static void press(struct sdl *sdl, enum key_code key, bool is_pressed)
{
    if (key != KEY_NONE && (int)key < KEY_CODES && sdl->pressed[key] != is_pressed) {
        sdl->pressed[key] = is_pressed;
        tick86_key(sdl->session->machine, key, is_pressed);
    }
}

void sdl_release_keys(struct sdl *sdl)
{
    for (int key = 1; key < KEY_CODES; key++) {
        press(sdl, (enum key_code)key, false);
    }
}

void sdl_grab(struct sdl *sdl, bool is_grabbed)
{
    if (is_grabbed != sdl->is_grabbed) {
        sdl->is_grabbed = is_grabbed;
        SDL_SetRelativeMouseMode(is_grabbed ? SDL_TRUE : SDL_FALSE);
        SDL_SetWindowKeyboardGrab(sdl->window, is_grabbed ? SDL_TRUE : SDL_FALSE);
        sdl->title[0] = '\0'; /* it tells how to get out */
    }
}

static void key_event(struct sdl *sdl, const SDL_KeyboardEvent *event)
{
    bool is_pressed = event->type == SDL_KEYDOWN;
    bool is_host = (event->keysym.mod & KMOD_CTRL) != 0 && (event->keysym.mod & KMOD_ALT) != 0;

    if (event->repeat != 0) {
        return; /* the guest's keyboard repeats by itself */
    }
    if (is_pressed && is_host && sdl_host_key(sdl, event->keysym.scancode)) {
        sdl_release_keys(sdl);
        return;
    }
    if (!sdl->session->is_stopped) {
        press(sdl, key_of(event->keysym.scancode), is_pressed);
    }
}

static unsigned button_bit(Uint8 button)
{
    static const uint8_t bits[] = {0, 1, 4, 2, 8, 16}; /* SDL: left, middle, right, side, extra */

    return button < sizeof bits ? bits[button] : 0;
}

/* A place in the window as a share of the picture, 0 to 65535. */
static void absolute(struct sdl *sdl, int x, int y, int dz)
{
    int window_width = 1, window_height = 1, output_width = 1, output_height = 1;

    SDL_GetWindowSize(sdl->window, &window_width, &window_height);
    SDL_GetRendererOutputSize(sdl->renderer, &output_width, &output_height);
    if (sdl->shown.w < 2 || sdl->shown.h < 2 || window_width < 1 || window_height < 1) {
        return;
    }
    int64_t across = ((int64_t)x * output_width / window_width - sdl->shown.x) * 65535 / (sdl->shown.w - 1);
    int64_t down = ((int64_t)y * output_height / window_height - sdl->shown.y) * 65535 / (sdl->shown.h - 1);
    across = across < 0 ? 0 : across > 65535 ? 65535 : across;
    down = down < 0 ? 0 : down > 65535 ? 65535 : down;
    tick86_pointer(sdl->session->machine, (unsigned)across, (unsigned)down, dz, sdl->buttons);
}

static void move(struct sdl *sdl, int dx, int dy, int dz)
{
    tick86_mouse(sdl->session->machine, dx, dy, dz, sdl->buttons);
}

static void button_event(struct sdl *sdl, const SDL_MouseButtonEvent *event)
{
    unsigned bit = button_bit(event->button);
    bool is_pressed = event->type == SDL_MOUSEBUTTONDOWN, is_absolute = tick86_pointer_is_wanted(sdl->session->machine);

    if (!is_absolute && !sdl->is_grabbed) {
        if (is_pressed && event->button == SDL_BUTTON_LEFT) {
            sdl_grab(sdl, true); /* this click is for us */
        }
        return;
    }
    sdl->buttons = is_pressed ? sdl->buttons | bit : sdl->buttons & ~bit;
    if (is_absolute) {
        absolute(sdl, event->x, event->y, 0);
    } else {
        move(sdl, 0, 0, 0);
    }
}

static void motion_event(struct sdl *sdl, const SDL_MouseMotionEvent *event)
{
    if (tick86_pointer_is_wanted(sdl->session->machine)) {
        if (sdl->is_grabbed) {
            sdl_grab(sdl, false); /* the guest follows the host's pointer now */
        }
        absolute(sdl, event->x, event->y, 0);
    } else if (sdl->is_grabbed) {
        move(sdl, event->xrel, event->yrel, 0);
    }
}

static void wheel_event(struct sdl *sdl, const SDL_MouseWheelEvent *event)
{
    int x, y;

    sdl->wheel += event->direction == SDL_MOUSEWHEEL_FLIPPED ? -(double)event->preciseY : (double)event->preciseY;
    int notches = (int)trunc(sdl->wheel);
    if (notches == 0) {
        return;
    }
    sdl->wheel -= notches;
    if (tick86_pointer_is_wanted(sdl->session->machine)) {
        SDL_GetMouseState(&x, &y);
        absolute(sdl, x, y, -notches * WHEEL_NOTCH);
    } else if (sdl->is_grabbed) {
        move(sdl, 0, 0, -notches * WHEEL_NOTCH); /* a PS/2 wheel counts towards the user */
    }
}

static void window_event(struct sdl *sdl, const SDL_WindowEvent *event)
{
    switch (event->event) {
    case SDL_WINDOWEVENT_FOCUS_LOST:
        sdl->has_focus = false;
        sdl_release_keys(sdl);
        sdl_grab(sdl, false);
        break;
    case SDL_WINDOWEVENT_FOCUS_GAINED:
        sdl->has_focus = true;
        break;
    case SDL_WINDOWEVENT_MAXIMIZED:
        sdl->is_sized_by_user = true;
        break;
    case SDL_WINDOWEVENT_RESIZED: /* by the user or the window manager, or an echo of ours */
        if (!sdl->is_full_screen) {
            sdl->is_sized_by_user = event->data1 != sdl->own_width || event->data2 != sdl->own_height;
        }
        break;
    default:
        break;
    }
    sdl->must_redraw = true;
}

void sdl_event(struct sdl *sdl, const SDL_Event *event)
{
    switch (event->type) {
    case SDL_KEYDOWN:
    case SDL_KEYUP:
        key_event(sdl, &event->key);
        break;
    case SDL_MOUSEMOTION:
        motion_event(sdl, &event->motion);
        break;
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP:
        button_event(sdl, &event->button);
        break;
    case SDL_MOUSEWHEEL:
        wheel_event(sdl, &event->wheel);
        break;
    case SDL_WINDOWEVENT:
        window_event(sdl, &event->window);
        break;
    case SDL_RENDER_TARGETS_RESET:
    case SDL_RENDER_DEVICE_RESET:
        if (sdl->texture != NULL) {
            SDL_DestroyTexture(sdl->texture);
            sdl->texture = NULL;
        }
        sdl->frame.is_started = false; /* everything anew */
        break;
    case SDL_DROPFILE:
        sdl_change_cd(sdl, event->drop.file);
        SDL_free(event->drop.file);
        break;
    case SDL_QUIT:
        session_quit(sdl->session, 0);
        break;
    default:
        break;
    }
}
