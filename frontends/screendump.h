/* screendump.h - the guest's screen as a PNG or, when the name ends in .ppm, a PPM file. */
#ifndef FRONTENDS_SCREENDUMP_H
#define FRONTENDS_SCREENDUMP_H

#include "machine/tick86.h"

bool screendump(struct tick86 *machine, const char *path, struct error *err);

#endif
