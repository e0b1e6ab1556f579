/* frame.h - the guest's screen as a display shows it: the last picture, and which parts of it have changed. */
#ifndef FRONTENDS_FRAME_H
#define FRONTENDS_FRAME_H

#include "frontends/picture.h"

enum { FRAME_BANDS_MAX = 32 };

/* A rectangle that has changed: columns x0 to x1 - 1 of lines y0 to y1 - 1. */
struct frame_band {
    unsigned x0, y0, x1, y1;
};

struct frame {
    struct picture picture;  /* as shown */
    struct picture next;
    uint64_t generation;
    bool is_started;
    bool is_square;          /* pixels are square; else the picture belongs on a 4:3 tube */
    bool is_resized;         /* by the last update */
    unsigned band_count;
    struct frame_band bands[FRAME_BANDS_MAX];
};

bool frame_init(struct frame *frame, struct error *err);
void frame_free(struct frame *frame);
/* Brings the picture up to date; true when it changed, and then is_resized and bands tell where. Costs nothing while the guest
 * does not draw. */
bool frame_update(struct frame *frame, struct tick86 *machine);
/* Size on a display with square pixels, at 1:1: not smaller than the picture in either direction. */
void frame_natural_size(const struct frame *frame, bool keeps_aspect, unsigned *width, unsigned *height);

#endif
