/* bench.c - tick86-img bench: times reads or writes through the block layer, with qemu-img bench's options. */
#include "frontends/img/img.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool get_number(struct img_arguments *arguments, int letter, uint64_t usual, uint64_t *value)
{
    const char *text = arguments->value[letter];

    *value = usual;
    if (text != NULL && !img_parse_size(text, value, NULL)) {
        error_set(&arguments->err, "'%s' is no number", text);
        return error_hint(&arguments->err, "such as 4096 or 4K");
    }
    return true;
}

int img_bench(struct img_arguments *arguments)
{
    uint64_t count = 0, depth = 0, offset = 0, size = 0, step = 0, pattern = 0, interval = 0;
    bool is_write = arguments->value['w'] != NULL, is_done = true;

    if (!get_number(arguments, 'c', 75000, &count) || !get_number(arguments, 'd', 1, &depth) ||
        !get_number(arguments, 'o', 0, &offset) || !get_number(arguments, 's', 4096, &size) ||
        !get_number(arguments, 'S', size, &step) || !get_number(arguments, OPTION_PATTERN, 0, &pattern) ||
        !get_number(arguments, OPTION_FLUSH_INTERVAL, 0, &interval)) {
        return img_fail(arguments);
    }
    if (size == 0 || size % SECTOR_SIZE != 0 || size > 1 << 30 || offset % SECTOR_SIZE != 0) {
        return img_fail_with(arguments, "use multiples of 512", "cannot read pieces of %" PRIu64 " bytes", size);
    }
    struct block_image *image = img_open(arguments, arguments->names[0], arguments->value['f'], !is_write, false);
    uint8_t *bytes = malloc((size_t)size);
    if (image == NULL || bytes == NULL || block_size(image) < size) {
        return image == NULL ? img_fail(arguments)
                             : img_fail_with(arguments, "use a smaller -s", "pieces are larger than the image");
    }
    memset(bytes, (int)(pattern & 0xff), (size_t)size);
    printf("Sending %" PRIu64 " %s requests, %" PRIu64 " bytes each, 1 in parallel (starting at offset %" PRIu64
           ", step size %" PRIu64 ")\n", count, is_write ? "write" : "read", size, offset, step);
    double start = img_seconds();
    for (uint64_t n = 0, at = offset; is_done && n < count; n++) {
        at = at > block_size(image) - size ? at % (block_size(image) - size + SECTOR_SIZE) / SECTOR_SIZE * SECTOR_SIZE : at;
        is_done = is_write ? block_write(image, at, size, bytes) : block_read(image, at, size, bytes);
        is_done = is_done && (interval == 0 || (n + 1) % interval != 0 || block_flush(image));
        at += step;
    }
    is_done = is_done && (!is_write || block_flush(image));
    double seconds = img_seconds() - start;
    free(bytes);
    int status = is_done ? EXIT_DONE : img_fail(arguments);
    if (is_done) {
        printf("Run completed in %.3f seconds.\n", seconds);
    }
    return img_close(arguments, image) ? status : EXIT_FAILED;
}
