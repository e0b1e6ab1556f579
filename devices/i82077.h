/* i82077.h - the floppy controller's side that the board and the frontends see. */
#ifndef DEVICES_I82077_H
#define DEVICES_I82077_H

#include "devices/backend.h"
#include "devices/device.h"

extern const struct device_class i82077_class;

enum { I82077_DRIVES = 2 };

/* How a disk of that many 512-byte sectors is laid out. False: no floppy disk has that size. */
struct floppy_format {
    uint32_t sectors;
    uint8_t cylinders, heads, per_track;
    uint8_t rate; /* data rate code: 0: 500 kbit/s, 1: 300, 2: 250, 3: 1000 */
};
const struct floppy_format *i82077_find_format(uint64_t sectors);

/* Puts a disk into drive 0 or 1, or takes it out (NULL, or one of 0 sectors). The caller owns `medium` and keeps it until it is
 * replaced. False with `err` set when the drive is not there or the size is no floppy's; nothing has changed then. */
bool i82077_set_medium(struct device *dev, unsigned drive, struct block_backend *medium, struct error *err);

#endif
