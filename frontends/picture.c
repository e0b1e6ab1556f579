/* picture.c - the guest's screen as a picture. PNG with libpng 1.6's simplified interface; PPM is netpbm's ppm(5), "P6", whose
 * bytes are the same with every version of every library. */
#include "frontends/picture.h"

#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool picture_init(struct picture *picture, struct error *err)
{
    memset(picture, 0, sizeof *picture);
    picture->pixels = calloc((size_t)PICTURE_WIDTH_MAX * PICTURE_HEIGHT_MAX, sizeof *picture->pixels);
    return picture->pixels != NULL || error_set(err, "out of memory for a picture of the screen");
}

void picture_free(struct picture *picture)
{
    free(picture->pixels);
    picture->pixels = NULL;
}

static const uint32_t *line(const struct picture *picture, unsigned y)
{
    return picture->pixels + (size_t)y * PICTURE_WIDTH_MAX;
}

void picture_take(struct picture *picture, const struct tick86 *machine)
{
    unsigned width = 0, height = 0;
    bool is_lit = tick86_render_screen(machine, picture->pixels, PICTURE_WIDTH_MAX, PICTURE_WIDTH_MAX,
                                       PICTURE_HEIGHT_MAX, &width, &height);

    picture->is_blank = !is_lit || width == 0 || height == 0;
    if (picture->is_blank) {
        width = PICTURE_BLANK_WIDTH;
        height = PICTURE_BLANK_HEIGHT;
        for (unsigned y = 0; y < height; y++) {
            memset(picture->pixels + (size_t)y * PICTURE_WIDTH_MAX, 0, width * sizeof *picture->pixels);
        }
    }
    picture->width = width;
    picture->height = height;
}

/* One line as red, green, blue bytes. */
static void to_rgb(const struct picture *picture, unsigned y, uint8_t *rgb)
{
    const uint32_t *from = line(picture, y);

    for (unsigned x = 0; x < picture->width; x++) {
        rgb[3 * x] = (uint8_t)(from[x] >> 16);
        rgb[3 * x + 1] = (uint8_t)(from[x] >> 8);
        rgb[3 * x + 2] = (uint8_t)from[x];
    }
}

static bool cannot_write(const char *path, const char *why, struct error *err)
{
    error_set(err, "cannot write screendump '%s': %s", path, why);
    return error_hint(err, "check that the folder exists and you may write there");
}

static bool write_png(const struct picture *picture, const char *path, struct error *err)
{
    png_image image;
    uint8_t *rgb = malloc((size_t)picture->width * picture->height * 3);

    if (rgb == NULL) {
        return error_set(err, "out of memory for a screendump");
    }
    for (unsigned y = 0; y < picture->height; y++) {
        to_rgb(picture, y, rgb + (size_t)y * picture->width * 3);
    }
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    image.width = picture->width;
    image.height = picture->height;
    image.format = PNG_FORMAT_RGB;
    errno = 0;
    bool is_good = png_image_write_to_file(&image, path, 0, rgb, 0, NULL) != 0;
    if (!is_good) {
        cannot_write(path, errno != 0 ? strerror(errno) : image.message, err);
    }
    free(rgb);
    return is_good;
}

static bool write_ppm(const struct picture *picture, const char *path, struct error *err)
{
    FILE *file = fopen(path, "wb");
    bool is_good = file != NULL && fprintf(file, "P6\n%u %u\n255\n", picture->width, picture->height) > 0;
    uint8_t rgb[3 * PICTURE_WIDTH_MAX];

    for (unsigned y = 0; is_good && y < picture->height; y++) {
        to_rgb(picture, y, rgb);
        is_good = fwrite(rgb, 3, picture->width, file) == picture->width;
    }
    if (file != NULL) {
        is_good = fclose(file) == 0 && is_good;
    }
    return is_good || cannot_write(path, strerror(errno), err);
}

bool picture_write(const struct picture *picture, const char *path, struct error *err)
{
    size_t length = strlen(path);
    bool is_ppm = length > 4 && strcmp(path + length - 4, ".ppm") == 0;

    return (is_ppm ? write_ppm : write_png)(picture, path, err);
}

bool picture_read(struct picture *picture, const char *path, struct error *err)
{
    png_image image;
    bool is_good = false;

    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    errno = 0;
    if (png_image_begin_read_from_file(&image, path) == 0) {
        return error_set(err, "cannot read picture '%s': %s", path, errno != 0 ? strerror(errno) : image.message);
    }
    if (image.width > PICTURE_WIDTH_MAX || image.height > PICTURE_HEIGHT_MAX) {
        error_set(err, "the picture '%s' is %ux%u; no screen is larger than %dx%d", path, image.width, image.height,
                  PICTURE_WIDTH_MAX, PICTURE_HEIGHT_MAX);
        png_image_free(&image);
        return false;
    }
    image.format = PNG_FORMAT_RGB;
    uint8_t *rgb = malloc((size_t)image.width * image.height * 3);
    if (rgb != NULL && png_image_finish_read(&image, NULL, rgb, 0, NULL) != 0) {
        is_good = true;
        picture->width = image.width;
        picture->height = image.height;
        for (size_t n = 0; n < (size_t)image.width * image.height; n++) {
            picture->pixels[n / image.width * PICTURE_WIDTH_MAX + n % image.width] =
                (uint32_t)rgb[3 * n] << 16 | (uint32_t)rgb[3 * n + 1] << 8 | rgb[3 * n + 2];
        }
    } else {
        error_set(err, "cannot read picture '%s': %s", path, rgb == NULL ? "out of memory" : image.message);
    }
    free(rgb);
    png_image_free(&image);
    return is_good;
}

void picture_hash(const struct picture *picture, char hex[SHA256_HEX])
{
    struct sha256 sha;
    uint8_t rgb[3 * PICTURE_WIDTH_MAX], digest[SHA256_BYTES];
    char header[64];

    sha256_begin(&sha);
    sha256_add(&sha, header, (size_t)snprintf(header, sizeof header, "P6\n%u %u\n255\n", picture->width, picture->height));
    for (unsigned y = 0; y < picture->height; y++) {
        to_rgb(picture, y, rgb);
        sha256_add(&sha, rgb, 3 * (size_t)picture->width);
    }
    sha256_end(&sha, digest);
    sha256_hex(digest, hex);
}

uint64_t picture_difference(const struct picture *a, const struct picture *b)
{
    uint64_t count = 0;

    if (a->width != b->width || a->height != b->height) {
        return UINT64_MAX;
    }
    for (unsigned y = 0; y < a->height; y++) {
        for (unsigned x = 0; x < a->width; x++) {
            count += line(a, y)[x] != line(b, y)[x];
        }
    }
    return count;
}
