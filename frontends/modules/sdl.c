/* sdl.c - the guest's screen in a window, with SDL 2.26 (https://wiki.libsdl.org/SDL2): X11, Wayland and KMS, whatever SDL finds.
 *
 * The renderer scales: the picture keeps the shape it has on a monitor, 4:3 for all modes of the VGA, square pixels for VBE. */
#include "frontends/modules/sdl_internal.h"
#include "frontends/host/pacer.h"
#include "frontends/module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ICON_SIZE = 32, NOTICE_NS = 2000000000, TITLE_NS = 1000000000 };

/* ---- geometry ---- */

/* How often a picture of w x h fits into a window of W x H without fractions, each way by itself, so that its shape comes nearest. */
static void fit_integer(const struct sdl *sdl, int window_width, int window_height, SDL_Rect *rect)
{
    int width = (int)sdl->frame.picture.width, height = (int)sdl->frame.picture.height;
    bool is_tube = !sdl->frame.is_square && !sdl->settings.ignores_aspect;
    double wanted = is_tube ? 4.0 / 3.0 : (double)width / height, best = 1e9;

    rect->w = width;
    rect->h = height;
    for (int x = 1; x * width <= window_width; x++) {
        for (int y = 1; y * height <= window_height; y++) {
            double shape = (double)(x * width) / (y * height) / wanted;
            /* Larger is better where the shape is equally good. */
            double off = (shape > 1 ? shape : 1 / shape) - 1e-4 * x * y;
            if (off < best) {
                best = off;
                rect->w = x * width;
                rect->h = y * height;
            }
        }
    }
}

static void find_place(struct sdl *sdl)
{
    int window_width = 0, window_height = 0;
    unsigned width, height;
    SDL_Rect *rect = &sdl->shown;

    SDL_GetRendererOutputSize(sdl->renderer, &window_width, &window_height);
    frame_natural_size(&sdl->frame, !sdl->settings.ignores_aspect, &width, &height);
    if (width == 0 || height == 0) {
        return;
    }
    if (sdl->settings.scaling == SCALING_INTEGER) {
        fit_integer(sdl, window_width, window_height, rect);
    } else if ((int64_t)window_width * height > (int64_t)window_height * width) {
        rect->h = window_height;
        rect->w = (int)((int64_t)window_height * width / height);
    } else {
        rect->w = window_width;
        rect->h = (int)((int64_t)window_width * height / width);
    }
    rect->x = (window_width - rect->w) / 2;
    rect->y = (window_height - rect->h) / 2;
}

/* Not larger than the host's screen, and not hanging over its edge. */
static void set_size(struct sdl *sdl, int width, int height)
{
    SDL_Rect bounds;
    int x, y;

    if (SDL_GetDisplayUsableBounds(SDL_GetWindowDisplayIndex(sdl->window), &bounds) == 0) {
        if (width > bounds.w) {
            height = (int)((int64_t)height * bounds.w / width);
            width = bounds.w;
        }
        if (height > bounds.h) {
            width = (int)((int64_t)width * bounds.h / height);
            height = bounds.h;
        }
        SDL_GetWindowPosition(sdl->window, &x, &y);
        if (x + width > bounds.x + bounds.w || y + height > bounds.y + bounds.h) {
            SDL_SetWindowPosition(sdl->window, bounds.x + (bounds.w - width) / 2, bounds.y + (bounds.h - height) / 2);
        }
    }
    sdl->own_width = width;
    sdl->own_height = height;
    SDL_SetWindowSize(sdl->window, width, height);
}

void sdl_fit_window(struct sdl *sdl)
{
    unsigned width, height;

    frame_natural_size(&sdl->frame, !sdl->settings.ignores_aspect, &width, &height);
    if (sdl->settings.scaling == SCALING_INTEGER) {
        width = sdl->frame.picture.width;
        height = sdl->frame.picture.height;
    }
    unsigned zoom = sdl->settings.zoom != 0 ? sdl->settings.zoom : 1;
    if (!sdl->is_full_screen && width != 0) {
        set_size(sdl, (int)(width * zoom), (int)(height * zoom));
    }
    sdl->must_redraw = true;
}

void sdl_set_full_screen(struct sdl *sdl, bool is_full_screen)
{
    sdl->is_full_screen = is_full_screen;
    SDL_SetWindowFullscreen(sdl->window, is_full_screen ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
    sdl->must_redraw = true;
}

/* ---- picture ---- */

static bool make_texture(struct sdl *sdl)
{
    if (sdl->texture != NULL) {
        SDL_DestroyTexture(sdl->texture);
    }
    SDL_SetHint(SDL_HINT_RENDER_SCALE_QUALITY, sdl->settings.scaling == SCALING_LINEAR ? "linear" : "nearest");
    sdl->texture = SDL_CreateTexture(sdl->renderer, SDL_PIXELFORMAT_RGB888, SDL_TEXTUREACCESS_STREAMING,
                                     (int)sdl->frame.picture.width, (int)sdl->frame.picture.height);
    return sdl->texture != NULL;
}

static void upload(struct sdl *sdl)
{
    for (unsigned n = 0; n < sdl->frame.band_count; n++) {
        const struct frame_band *band = &sdl->frame.bands[n];
        SDL_Rect rect = {(int)band->x0, (int)band->y0, (int)(band->x1 - band->x0), (int)(band->y1 - band->y0)};
        const uint32_t *from = sdl->frame.picture.pixels + (size_t)band->y0 * PICTURE_WIDTH_MAX + band->x0;
        SDL_UpdateTexture(sdl->texture, &rect, from, PICTURE_WIDTH_MAX * (int)sizeof(uint32_t));
    }
}

static void update_title(struct sdl *sdl)
{
    uint64_t wall = host_now_ns(), guest = tick86_now_ns(sdl->session->machine);
    char title[sizeof sdl->title], state[96];

    if (wall - sdl->title_wall_ns < TITLE_NS && sdl->title[0] != '\0' && sdl->notice_until_ns == 0) {
        return;
    }
    if (sdl->session->is_stopped) {
        snprintf(state, sizeof state, "%s", sdl->session->why_stopped != NULL ? sdl->session->why_stopped : "paused");
    } else {
        uint64_t passed = wall - sdl->title_wall_ns;
        uint64_t speed = passed != 0 ? (guest - sdl->title_guest_ns) * 100 / passed : 0;
        snprintf(state, sizeof state, "%s%u %%", sdl->session->is_fast ? "fast-forward, " : "running, ", (unsigned)speed);
    }
    if (wall < sdl->notice_until_ns) {
        snprintf(state, sizeof state, "%s", sdl->notice);
    } else if (sdl->notice_until_ns != 0) {
        sdl->notice_until_ns = 0;
    }
    snprintf(title, sizeof title, "%s%stick86 - %s%s", sdl->session->name != NULL ? sdl->session->name : "",
             sdl->session->name != NULL ? " - " : "", state, sdl->is_grabbed ? " - Ctrl-Alt-G releases the mouse" : "");
    if (wall - sdl->title_wall_ns >= TITLE_NS) {
        sdl->title_wall_ns = wall;
        sdl->title_guest_ns = guest;
        unsigned mark = sdl->mark_count++ % (sizeof sdl->marks / sizeof sdl->marks[0]);
        sdl->marks[mark].ns = guest;
        sdl->marks[mark].icount = tick86_icount(sdl->session->machine);
    }
    if (strcmp(title, sdl->title) != 0) {
        snprintf(sdl->title, sizeof sdl->title, "%s", title);
        SDL_SetWindowTitle(sdl->window, title);
    }
}

void sdl_notice(struct sdl *sdl, const char *text)
{
    snprintf(sdl->notice, sizeof sdl->notice, "%s", text);
    sdl->notice_until_ns = host_now_ns() + NOTICE_NS;
}

static void update(void *display)
{
    struct sdl *sdl = display;

    update_title(sdl);
    if (frame_update(&sdl->frame, sdl->session->machine)) {
        if (sdl->frame.is_resized && !sdl->is_sized_by_user) {
            sdl_fit_window(sdl);
        }
        if ((sdl->frame.is_resized || sdl->texture == NULL) && !make_texture(sdl)) {
            return;
        }
        upload(sdl);
        sdl->must_redraw = true;
    }
    if (!sdl->must_redraw || sdl->texture == NULL) {
        return;
    }
    sdl->must_redraw = false;
    find_place(sdl);
    SDL_SetTextureScaleMode(sdl->texture, sdl->settings.scaling == SCALING_LINEAR ? SDL_ScaleModeLinear : SDL_ScaleModeNearest);
    SDL_SetRenderDrawColor(sdl->renderer, 0, 0, 0, 255);
    SDL_RenderClear(sdl->renderer);
    SDL_RenderCopy(sdl->renderer, sdl->texture, NULL, &sdl->shown);
    SDL_RenderPresent(sdl->renderer);
}

static void input(void *display)
{
    struct sdl *sdl = display;
    SDL_Event event;

    while (!sdl->session->wants_quit && SDL_PollEvent(&event) != 0) {
        sdl_event(sdl, &event);
    }
}

/* ---- opening and closing ---- */

/* A chip with six pins at each side. */
static void set_icon(SDL_Window *window)
{
    static uint32_t pixels[ICON_SIZE * ICON_SIZE];

    for (int y = 0; y < ICON_SIZE; y++) {
        for (int x = 0; x < ICON_SIZE; x++) {
            bool is_body = x >= 6 && x < 26 && y >= 6 && y < 26;
            bool is_pin_x = y >= 7 && y < 25 && (y - 7) % 3 == 0 && x >= 2 && x < 30;
            bool is_pin_y = x >= 7 && x < 25 && (x - 7) % 3 == 0 && y >= 2 && y < 30;
            bool is_mark = (x - 10) * (x - 10) + (y - 10) * (y - 10) <= 4;
            uint32_t color = is_mark ? 0xffe0c060 : is_body ? 0xff203040 : is_pin_x || is_pin_y ? 0xffc0c0c8 : 0;
            pixels[y * ICON_SIZE + x] = color;
        }
    }
    SDL_Surface *icon = SDL_CreateRGBSurfaceWithFormatFrom(pixels, ICON_SIZE, ICON_SIZE, 32, ICON_SIZE * 4,
                                                           SDL_PIXELFORMAT_ARGB8888);
    if (icon != NULL) {
        SDL_SetWindowIcon(window, icon);
        SDL_FreeSurface(icon);
    }
}

static void close_window(void *display)
{
    struct sdl *sdl = display;

    if (sdl->texture != NULL) {
        SDL_DestroyTexture(sdl->texture);
    }
    if (sdl->renderer != NULL) {
        SDL_DestroyRenderer(sdl->renderer);
    }
    if (sdl->window != NULL) {
        SDL_DestroyWindow(sdl->window);
    }
    SDL_QuitSubSystem(SDL_INIT_VIDEO);
    frame_free(&sdl->frame);
    free(sdl);
}

static bool no_window(struct error *err)
{
    error_set(err, "cannot open a window: %s", SDL_GetError());
    return error_hint(err, "a window needs DISPLAY, WAYLAND_DISPLAY or a graphics console; there are also %s", display_list());
}

static bool open_window(struct sdl *sdl, struct error *err)
{
    Uint32 flags = SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI;

    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1"); /* signals are the program's */
    SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
    SDL_SetHint(SDL_HINT_GRAB_KEYBOARD, "1");
    SDL_SetHint(SDL_HINT_APP_NAME, "tick86");
    if (SDL_InitSubSystem(SDL_INIT_VIDEO) != 0) {
        return no_window(err);
    }
    sdl->window = SDL_CreateWindow("tick86", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, 720, 540, flags);
    if (sdl->window == NULL) {
        return no_window(err);
    }
    set_icon(sdl->window);
    sdl->renderer = SDL_CreateRenderer(sdl->window, -1, 0);
    if (sdl->renderer == NULL) {
        sdl->renderer = SDL_CreateRenderer(sdl->window, -1, SDL_RENDERER_SOFTWARE);
    }
    if (sdl->renderer == NULL) {
        return no_window(err);
    }
    if (sdl->settings.is_full_screen) {
        sdl_set_full_screen(sdl, true);
    }
    return true;
}

static void put_said(void *context, const char *bytes, size_t size)
{
    struct sdl *sdl = context;
    size_t used = strlen(sdl->said);

    for (size_t n = 0; n < size && used + 1 < sizeof sdl->said; n++) {
        if (bytes[n] != '\r' && bytes[n] != '\n') {
            sdl->said[used++] = bytes[n];
        }
    }
    sdl->said[used] = '\0';
}

static void *open(struct session *session, const struct display_settings *settings, struct error *err)
{
    struct sdl *sdl = calloc(1, sizeof *sdl);

    if (sdl == NULL) {
        error_set(err, "out of memory for the window");
        return NULL;
    }
    sdl->session = session;
    sdl->settings = *settings;
    sdl->title_wall_ns = host_now_ns();
    monitor_init(&sdl->monitor, session, put_said, sdl);
    if (!frame_init(&sdl->frame, err) || !open_window(sdl, err)) {
        close_window(sdl);
        return NULL;
    }
    return sdl;
}

static const struct display_module offer = {open, input, update, close_window};
MODULE(sdl, &offer);
