/* screendump.h - the guest's screen as a PNG file. */
#ifndef FRONTENDS_SCREENDUMP_H
#define FRONTENDS_SCREENDUMP_H

#include "machine/tick86.h"

bool screendump_png(struct tick86 *machine, const char *path, struct error *err);

#endif
