/* vga.h - what machine/ and the tests need of the VGA display adapter (vga.c).
 *
 * Everything below is invisible to the guest: it reads registers, video memory and guest time and changes none of them. */
#ifndef DEVICES_VGA_H
#define DEVICES_VGA_H

#include "devices/backend.h"
#include "devices/device.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const struct device_class vga_class;

/* What can appear on the screen at most; a buffer of this size is never clipped for VBE modes. */
enum { VGA_WIDTH_MAX = 2560, VGA_HEIGHT_MAX = 1600 };

/* Fills in what the adapter shows at this guest time: text cells and cursor in text modes, size in pixels in all. */
void vga_describe(struct device *dev, struct screen *screen);

/* Draws the screen as 0x00RRGGBB into `pixels`, whose lines are `stride_pixels` apart. The picture is cut to max_width by
 * max_height; *width and *height become what was drawn. Returns false when the screen is blanked (then all is black). */
bool vga_render(struct device *dev, uint32_t *pixels, unsigned stride_pixels, unsigned max_width, unsigned max_height,
                unsigned *width, unsigned *height);

/* Whether pixels are square: those of VBE modes are, the others fill a 4:3 tube. */
bool vga_is_square(struct device *dev);

/* Whether the picture may differ from what it was when *stamp was last set here; updates *stamp. Start with 0, which is
 * always out of date. Any number of viewers may each keep a stamp. Costs a few dozen loads when nothing happened. Call
 * it before vga_render(), and between instructions: it asks memory for news of the next store to each visible page. */
bool vga_changed_since(struct device *dev, uint64_t *stamp);

/* The text screen as UTF-8, one line a row, trailing blanks trimmed, always terminated. Returns the length written without
 * the terminator; the text is cut at whole characters when `size` is too small. Empty in graphics modes. */
size_t vga_text(struct device *dev, char *out, size_t size);

#endif
