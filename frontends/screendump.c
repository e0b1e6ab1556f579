/* screendump.c - the guest's screen as a PNG file, with libpng 1.6's simplified interface, or as a PPM file (netpbm's
 * ppm(5), "P6"), whose bytes are the same with every version of every library. */
#include "frontends/screendump.h"

#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH_MAX = 2560, HEIGHT_MAX = 1600, BLANK_WIDTH = 640, BLANK_HEIGHT = 480 };

static bool write_png(const char *path, const uint8_t *rgb, unsigned width, unsigned height, struct error *err)
{
    png_image image;

    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    image.width = width;
    image.height = height;
    image.format = PNG_FORMAT_RGB;
    errno = 0;
    if (png_image_write_to_file(&image, path, 0, rgb, 0, NULL) == 0) {
        error_set(err, "cannot write screendump '%s': %s", path, errno != 0 ? strerror(errno) : image.message);
        return error_hint(err, "check that the folder exists and you may write there");
    }
    return true;
}

static bool write_ppm(const char *path, const uint8_t *rgb, unsigned width, unsigned height, struct error *err)
{
    FILE *file = fopen(path, "wb");
    bool is_good = file != NULL && fprintf(file, "P6\n%u %u\n255\n", width, height) > 0 &&
                   fwrite(rgb, 3, (size_t)width * height, file) == (size_t)width * height;

    if (file != NULL) {
        is_good = fclose(file) == 0 && is_good;
    }
    if (!is_good) {
        error_set(err, "cannot write screendump '%s': %s", path, strerror(errno));
        return error_hint(err, "check that the folder exists and you may write there");
    }
    return true;
}

static bool is_ppm(const char *path)
{
    size_t length = strlen(path);

    return length > 4 && strcmp(path + length - 4, ".ppm") == 0;
}

bool screendump(struct tick86 *machine, const char *path, struct error *err)
{
    unsigned width = 0, height = 0;
    uint32_t *pixels = calloc((size_t)WIDTH_MAX * HEIGHT_MAX, sizeof *pixels);

    if (pixels == NULL) {
        return error_set(err, "out of memory for a screendump");
    }
    if (!tick86_render_screen(machine, pixels, WIDTH_MAX, WIDTH_MAX, HEIGHT_MAX, &width, &height) || width == 0 ||
        height == 0) {
        width = BLANK_WIDTH; /* a blank screen is black */
        height = BLANK_HEIGHT;
        memset(pixels, 0, (size_t)WIDTH_MAX * HEIGHT_MAX * sizeof *pixels);
    }
    uint8_t *rgb = malloc((size_t)width * height * 3);
    if (rgb == NULL) {
        free(pixels);
        return error_set(err, "out of memory for a screendump");
    }
    for (unsigned y = 0; y < height; y++) {
        for (unsigned x = 0; x < width; x++) {
            uint32_t pixel = pixels[(size_t)y * WIDTH_MAX + x];
            uint8_t *at = rgb + ((size_t)y * width + x) * 3;
            at[0] = (uint8_t)(pixel >> 16);
            at[1] = (uint8_t)(pixel >> 8);
            at[2] = (uint8_t)pixel;
        }
    }
    bool is_written = (is_ppm(path) ? write_ppm : write_png)(path, rgb, width, height, err);
    free(rgb);
    free(pixels);
    return is_written;
}
