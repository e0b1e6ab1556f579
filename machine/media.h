/* media.h - what lies in the drives, behind a front of the machine's own: it sees each write before it happens, so that the
 * history can undo it, and a medium can be exchanged without the chip noticing when the machine goes back in time. */
#ifndef MACHINE_MEDIA_H
#define MACHINE_MEDIA_H

#include "machine/tick86.h"

enum { MEDIA_COUNT = TICK86_DISKS + TICK86_FLOPPIES };

struct medium_front {
    struct block_backend backend; /* what the chip has */
    struct block_backend *inner;  /* the caller's; NULL: none */
    struct tick86 *machine;
};

/* Two fronts: the chip still looks at the old one when it is handed the new one. */
struct medium {
    struct medium_front fronts[2];
    unsigned current;
};

/* Puts fronts before the backends of `config`. */
void media_init(struct tick86 *machine, struct tick86_config *config);
struct block_backend *media_inner(const struct tick86 *machine, unsigned unit);
/* The guest notices; the floppy drives follow the IDE drives. */
bool media_change(struct tick86 *machine, unsigned unit, struct block_backend *inner, bool force, struct error *err);
/* Behind the chips' back: what the drive held at the moment whose state is loaded afterwards. */
void media_restore(struct tick86 *machine, unsigned unit, struct block_backend *inner);

#endif
