/* media.c - fronts of the disk backends; see media.h. */
#include "machine/media.h"

#include "devices/i82077.h"
#include "devices/ide.h"
#include "machine/history.h"
#include "machine/machine.h"

static bool front_read(void *context, uint64_t sector, uint32_t count, void *bytes)
{
    const struct medium_front *medium = context;

    return medium->inner != NULL && medium->inner->read(medium->inner->context, sector, count, bytes);
}

static bool front_write(void *context, uint64_t sector, uint32_t count, const void *bytes)
{
    const struct medium_front *medium = context;

    if (medium->inner == NULL || medium->inner->write == NULL) {
        return false;
    }
    history_before_disk_write(medium->machine, medium->inner, sector, count);
    return medium->inner->write(medium->inner->context, sector, count, bytes);
}

static bool front_flush(void *context)
{
    const struct medium_front *medium = context;

    return medium->inner == NULL || medium->inner->flush == NULL || medium->inner->flush(medium->inner->context);
}

static bool front_discard(void *context, uint64_t sector, uint64_t count)
{
    const struct medium_front *medium = context;

    history_before_disk_write(medium->machine, medium->inner, sector, (uint32_t)count); /* 16 bits in the command */
    return medium->inner->discard(medium->inner->context, sector, count);
}

static void set_inner(struct tick86 *machine, unsigned unit, struct block_backend *inner)
{
    struct medium *medium = &machine->media[unit];

    medium->current ^= 1;
    struct medium_front *front = &medium->fronts[medium->current];
    front->machine = machine;
    front->inner = inner;
    front->backend = (struct block_backend){ .context = front,
                                             .sectors = inner != NULL ? inner->sectors : 0,
                                             .is_readonly = inner == NULL || inner->is_readonly,
                                             .read = front_read,
                                             .write = front_write,
                                             .flush = front_flush,
                                             .discard = inner != NULL && inner->discard != NULL ? front_discard : NULL };
}

static struct block_backend *front_of(struct tick86 *machine, unsigned unit)
{
    struct medium *medium = &machine->media[unit];

    return &medium->fronts[medium->current].backend;
}

struct block_backend *media_inner(const struct tick86 *machine, unsigned unit)
{
    const struct medium *medium = &machine->media[unit];

    return medium->fronts[medium->current].inner;
}

void media_init(struct tick86 *machine, struct tick86_config *config)
{
    for (unsigned n = 0; n < MEDIA_COUNT; n++) {
        struct tick86_drive *drive = n < TICK86_DISKS ? &config->drives[n] : &config->floppies[n - TICK86_DISKS];
        set_inner(machine, n, drive->backend);
        if (drive->kind != DRIVE_NONE) {
            drive->backend = front_of(machine, n);
        }
    }
}

static bool tell_chip(struct tick86 *machine, unsigned unit, bool force, struct error *err)
{
    struct block_backend *front = media_inner(machine, unit) != NULL ? front_of(machine, unit) : NULL;

    return unit < TICK86_DISKS ? piix3_ide_set_medium(machine->chips[PC_IDE], unit, front, force, err)
                               : i82077_set_medium(machine->chips[PC_FDC], unit - TICK86_DISKS, front, err);
}

bool media_change(struct tick86 *machine, unsigned unit, struct block_backend *inner, bool force, struct error *err)
{
    set_inner(machine, unit, inner);
    if (!tell_chip(machine, unit, force, err)) {
        machine->media[unit].current ^= 1; /* the chip keeps the old one */
        return false;
    }
    return true;
}

void media_restore(struct tick86 *machine, unsigned unit, struct block_backend *inner)
{
    struct error err = { "", "" };

    if (media_inner(machine, unit) != inner) {
        set_inner(machine, unit, inner);
        (void)tell_chip(machine, unit, true, &err);
    }
}
