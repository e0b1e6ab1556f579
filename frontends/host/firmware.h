/* firmware.h - finds SeaBIOS, its VGA BIOS and our loader ROM on the host. */
#ifndef FRONTENDS_HOST_FIRMWARE_H
#define FRONTENDS_HOST_FIRMWARE_H

#include "machine/tick86.h"

/* Looks for one of `names` (ends with NULL; the first found in any folder wins) in `dirs` (-L), then where tick86 and the
 * distributions keep such files, and maps it. False with `err` set, saying which package to install. */
bool firmware_map(struct tick86_blob *blob, const char *const *names, const char *const *dirs, unsigned dir_count,
                  struct error *err);

#endif
