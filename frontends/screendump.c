/* screendump.c - the guest's screen in a file. */
#include "frontends/screendump.h"
#include "frontends/picture.h"

bool screendump(struct tick86 *machine, const char *path, struct error *err)
{
    struct picture picture;

    if (!picture_init(&picture, err)) {
        return false;
    }
    picture_take(&picture, machine);
    bool is_written = picture_write(&picture, path, err);
    picture_free(&picture);
    return is_written;
}
