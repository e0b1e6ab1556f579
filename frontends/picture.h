/* picture.h - the guest's screen as a picture: taken, written, read and compared. */
#ifndef FRONTENDS_PICTURE_H
#define FRONTENDS_PICTURE_H

#include "frontends/host/sha256.h"
#include "machine/tick86.h"

#include <stdbool.h>
#include <stdint.h>

/* The largest picture there is, and what stands for a blank screen. */
enum { PICTURE_WIDTH_MAX = 2560, PICTURE_HEIGHT_MAX = 1600, PICTURE_BLANK_WIDTH = 640, PICTURE_BLANK_HEIGHT = 480 };

struct picture {
    unsigned width, height; /* of what it shows */
    bool is_blank;          /* the screen is off: all black */
    uint32_t *pixels;       /* 0x00RRGGBB, lines PICTURE_WIDTH_MAX apart; owned */
};

/* Room for the largest picture (the host gives pages when they are used). False with `err` set when out of memory. */
bool picture_init(struct picture *picture, struct error *err);
void picture_free(struct picture *picture);

/* What the guest's screen shows now. */
void picture_take(struct picture *picture, const struct tick86 *machine);
/* A PNG file. */
bool picture_read(struct picture *picture, const char *path, struct error *err);
/* A PNG file, or a PPM file when the name ends in .ppm. */
bool picture_write(const struct picture *picture, const char *path, struct error *err);
/* SHA-256 of the picture as a PPM file: what sha256sum says of what screendump FILE.ppm writes. */
void picture_hash(const struct picture *picture, char hex[SHA256_HEX]);
/* How many pixels differ; UINT64_MAX when the sizes do. */
uint64_t picture_difference(const struct picture *a, const struct picture *b);

#endif
