/* frame.c - the guest's screen as a display shows it: the last picture, and which parts of it have changed. */
#include "frontends/frame.h"

#include <string.h>

bool frame_init(struct frame *frame, struct error *err)
{
    memset(frame, 0, sizeof *frame);
    return picture_init(&frame->picture, err) && picture_init(&frame->next, err);
}

void frame_free(struct frame *frame)
{
    picture_free(&frame->picture);
    picture_free(&frame->next);
}

/* Whether a line of the two pictures differs, and in which columns. */
static bool compare_line(const uint32_t *a, const uint32_t *b, unsigned width, struct frame_band *band)
{
    if (memcmp(a, b, width * sizeof *a) == 0) {
        return false;
    }
    band->x0 = 0;
    band->x1 = width;
    while (a[band->x0] == b[band->x0]) {
        band->x0++;
    }
    while (a[band->x1 - 1] == b[band->x1 - 1]) {
        band->x1--;
    }
    return true;
}

/* Adds a line to the last band when it touches it, or when there is no room for another one. */
static void add_line(struct frame *frame, const struct frame_band *line)
{
    struct frame_band *last = frame->band_count != 0 ? &frame->bands[frame->band_count - 1] : NULL;

    if (last != NULL && (last->y1 == line->y0 || frame->band_count == FRAME_BANDS_MAX)) {
        last->y1 = line->y1;
        last->x0 = line->x0 < last->x0 ? line->x0 : last->x0;
        last->x1 = line->x1 > last->x1 ? line->x1 : last->x1;
    } else {
        frame->bands[frame->band_count++] = *line;
    }
}

static void find_bands(struct frame *frame)
{
    frame->band_count = 0;
    for (unsigned y = 0; y < frame->next.height; y++) {
        size_t at = (size_t)y * PICTURE_WIDTH_MAX;
        struct frame_band line = {.y0 = y, .y1 = y + 1};
        if (compare_line(frame->next.pixels + at, frame->picture.pixels + at, frame->next.width, &line)) {
            add_line(frame, &line);
            memcpy(frame->picture.pixels + at, frame->next.pixels + at, frame->next.width * sizeof(uint32_t));
        }
    }
}

static void go_dark(struct frame *frame)
{
    frame->next.width = frame->picture.width;
    frame->next.height = frame->picture.height;
    for (unsigned y = 0; y < frame->next.height; y++) {
        memset(frame->next.pixels + (size_t)y * PICTURE_WIDTH_MAX, 0, frame->next.width * sizeof(uint32_t));
    }
}

bool frame_update(struct frame *frame, struct tick86 *machine)
{
    uint64_t generation = tick86_screen_generation(machine);

    if (frame->is_started && generation == frame->generation) {
        return false;
    }
    frame->generation = generation;
    picture_take(&frame->next, machine);
    bool is_square = tick86_screen_is_square(machine);
    if (frame->next.is_blank && frame->is_started) {
        go_dark(frame); /* a guest that changes modes blanks the screen for a moment: windows stay as they are */
        is_square = frame->is_square;
    }
    frame->is_resized = !frame->is_started || is_square != frame->is_square ||
                        frame->next.width != frame->picture.width || frame->next.height != frame->picture.height;
    frame->is_started = true;
    frame->is_square = is_square;
    if (frame->is_resized) {
        struct picture old = frame->picture;
        frame->picture = frame->next;
        frame->next = old;
        frame->bands[0] = (struct frame_band){0, 0, frame->picture.width, frame->picture.height};
        frame->band_count = 1;
        return true;
    }
    find_bands(frame);
    return frame->band_count != 0;
}

void frame_natural_size(const struct frame *frame, bool keeps_aspect, unsigned *width, unsigned *height)
{
    *width = frame->picture.width;
    *height = frame->picture.height;
    if (keeps_aspect && !frame->is_square) {
        if (*width * 3 > *height * 4) {
            *height = *width * 3 / 4;
        } else {
            *width = *height * 4 / 3;
        }
    }
}
