/* piix3_ide.c - PIIX3, function 1: IDE controller of two channels with bus master.
 *
 * Intel 82371FB (PIIX) and 82371SB (PIIX3) PCI ISA IDE Xcelerator, 290550-002, 2.3 (configuration registers) and 2.7
 * (bus master registers). The channels answer at 1F0h-1F7h, 3F6h and 170h-177h, 376h while IDETIM's bit 15 enables them
 * and I/O space is enabled in the command register; BAR 4 holds the bus master registers.
 *
 * Not implemented: the timings that IDETIM (40h-43h) and SIDETIM (44h) describe are kept but mean nothing.
 *
 * Properties: "drive0" to "drive3" (pointer to a struct block_backend: a disk) and "cd0" to "cd3" (the same: a CD-ROM drive,
 * empty if it has no sectors or is NULL). 0 and 1 are the primary channel's devices, 2 and 3 the secondary's. */
#include "devices/ide.h"

#include <stdlib.h>

enum { CONFIG_IDETIM = 0x40, CONFIG_SIDETIM = 0x44, IDETIM_ENABLE = 0x80 /* of the high byte */ };
enum { BAR_BUS_MASTER = 4, BUS_MASTER_PORTS = 16 };

enum { PORT_PRIMARY = 0x1f0, PORT_SECONDARY = 0x170, PORT_PRIMARY_CONTROL = 0x3f6, PORT_SECONDARY_CONTROL = 0x376 };

#define S struct piix3_ide
static const struct field piix3_ide_fields[] = {
    DEVICE_FIELDS(S),
    FIELD_PCI(S),
    WIRED(S, irq14, "primary channel"),
    WIRED(S, irq15, "secondary channel"),
    FIELD_STRUCT(S, channels, struct ide_channel, ide_channel_fields, "primary and secondary channel"),
    FIELD_END,
};
#undef S

static const struct output piix3_ide_outputs[] = {
    {"irq14", offsetof(struct piix3_ide, irq14), 0},
    {"irq15", offsetof(struct piix3_ide, irq15), 0},
    {NULL, 0, 0},
};

/* ---- Legacy ports ---- */

/* The channel that decodes `reg`, or NULL when it is disabled. `*offset` is the register; 8 is Device Control. */
static struct ide_channel *decode(struct piix3_ide *ide, unsigned reg, unsigned *offset)
{
    struct ide_channel *channel = &ide->channels[(reg & 0x80) != 0 ? 0 : 1];

    *offset = (reg & 0x200) != 0 ? ((reg & 7) == 6 ? 8u : 9u) : reg & 7;
    if (!(ide->pci.config[4] & 1) || !(ide->pci.config[CONFIG_IDETIM + 1 + 2 * channel->number] & IDETIM_ENABLE)) {
        return NULL;
    }
    return channel;
}

static uint32_t port_read(void *owner, unsigned reg, unsigned size)
{
    unsigned offset;
    struct ide_channel *channel = decode(owner, reg, &offset);

    if (channel == NULL) {
        return UINT32_MAX >> (32 - 8 * size);
    }
    if (offset == 0) {
        return ide_data_read(channel, size);
    }
    uint32_t value = 0;
    for (unsigned n = 0; n < size; n++) {
        uint8_t byte = 0xff;
        if (offset + n < 8) {
            byte = ide_register_read(channel, offset + n);
        } else if (offset + n == 8 && offset == 8) {
            byte = ide_alternate_status(channel);
        }
        value |= (uint32_t)byte << (8 * n);
    }
    return value;
}

static void port_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    unsigned offset;
    struct ide_channel *channel = decode(owner, reg, &offset);

    if (channel == NULL) {
        return;
    }
    if (offset == 0) {
        ide_data_write(channel, size, value);
        return;
    }
    for (unsigned n = 0; n < size; n++) {
        uint8_t byte = (uint8_t)(value >> (8 * n));
        if (offset + n < 8) {
            ide_register_write(channel, offset + n, byte);
        } else if (offset + n == 8 && offset == 8) {
            ide_control_write(channel, byte);
        }
    }
}

static const struct port_ops piix3_ide_port_ops = {
    .read = port_read,
    .write = port_write,
    .max_size = 4,
};

/* ---- Class ---- */

static bool init_drive(struct piix3_ide *ide, unsigned unit, const struct property *properties, struct error *err)
{
    struct ide_channel *channel = &ide->channels[unit / 2];
    struct ide_drive *drive = &channel->drives[unit % 2];
    char disk_name[] = "drive0";
    char cd_name[] = "cd0";

    disk_name[5] = (char)('0' + unit);
    cd_name[2] = (char)('0' + unit);
    const struct property *disk = property_find(properties, disk_name);
    const struct property *cd = property_find(properties, cd_name);
    bool is_disk = disk != NULL && disk->pointer != NULL;

    drive->channel = channel;
    drive->unit = (uint8_t)unit;
    event_init(&drive->event, ide->dev.clock, ide_drive_event, drive);
    if (is_disk && cd != NULL) {
        return error_set(err, "IDE position %u has both a disk and a CD-ROM drive", unit);
    }
    if (is_disk) {
        drive->kind = IDE_ATA;
        drive->backend = disk->pointer;
        if (drive->backend->sectors == 0) {
            return error_set(err, "the disk image of IDE position %u is empty", unit);
        }
    } else if (cd != NULL) {
        drive->kind = IDE_ATAPI;
        drive->backend = cd->pointer;
    }
    return true;
}

static bool piix3_ide_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct piix3_ide *ide = (struct piix3_ide *)dev;

    pci_init(&ide->pci, dev, 0x8086, 0x7010, 0x010180, 0);
    pci_set_port_bar(&ide->pci, BAR_BUS_MASTER, BUS_MASTER_PORTS, &ide_bus_master_ops, 0);
    for (unsigned n = 0; n < 5; n++) {
        ide->pci.writable[CONFIG_IDETIM + n] = 0xff;
    }
    for (unsigned n = 0; n < 2; n++) {
        struct ide_channel *channel = &ide->channels[n];
        channel->ide = ide;
        channel->number = (uint8_t)n;
        channel->scratch = malloc(IDE_SCRATCH_SIZE);
        if (channel->scratch == NULL) {
            return error_set(err, "cannot create %s: out of memory", dev->name);
        }
    }
    for (unsigned unit = 0; unit < 4; unit++) {
        if (!init_drive(ide, unit, properties, err)) {
            return false;
        }
    }
    return true;
}

static void piix3_ide_reset(struct device *dev)
{
    struct piix3_ide *ide = (struct piix3_ide *)dev;

    pci_reset(&ide->pci);
    for (unsigned n = 0; n < 5; n++) {
        ide->pci.config[CONFIG_IDETIM + n] = 0;
    }
    ide_channel_reset(&ide->channels[0]);
    ide_channel_reset(&ide->channels[1]);
}

static void piix3_ide_loaded(struct device *dev)
{
    struct piix3_ide *ide = (struct piix3_ide *)dev;

    pci_update_bars(&ide->pci);
    ide_channel_loaded(&ide->channels[0]);
    ide_channel_loaded(&ide->channels[1]);
}

static void piix3_ide_destroy(struct device *dev)
{
    struct piix3_ide *ide = (struct piix3_ide *)dev;

    free(ide->channels[0].scratch);
    free(ide->channels[1].scratch);
}

const struct device_class piix3_ide_class = {
    .name = "piix3_ide",
    .doc = "IDE controller of the PIIX3 (PCI function 1)",
    .size = sizeof(struct piix3_ide),
    .fields = piix3_ide_fields,
    .outputs = piix3_ide_outputs,
    .port_ops = &piix3_ide_port_ops,
    .init = piix3_ide_init,
    .reset = piix3_ide_reset,
    .loaded = piix3_ide_loaded,
    .destroy = piix3_ide_destroy,
};

/* ---- For the monitor ---- */

static struct ide_drive *find_cd(struct device *dev, unsigned unit)
{
    struct piix3_ide *ide = (struct piix3_ide *)dev;

    if (unit > 3) {
        return NULL;
    }
    struct ide_drive *drive = &ide->channels[unit / 2].drives[unit % 2];
    return drive->kind == IDE_ATAPI ? drive : NULL;
}

bool piix3_ide_is_cd(struct device *dev, unsigned drive, bool *is_locked, bool *is_tray_open)
{
    const struct ide_drive *cd = find_cd(dev, drive);

    if (cd == NULL) {
        return false;
    }
    if (is_locked != NULL) {
        *is_locked = cd->is_locked;
    }
    if (is_tray_open != NULL) {
        *is_tray_open = cd->is_tray_open;
    }
    return true;
}

bool piix3_ide_set_medium(struct device *dev, unsigned drive, struct block_backend *medium, bool is_forced,
                          struct error *err)
{
    struct ide_drive *cd = find_cd(dev, drive);

    if (cd == NULL) {
        return error_set(err, "there is no CD-ROM drive at IDE position %u", drive);
    }
    if (cd->is_locked && !is_forced) {
        atapi_eject_request(cd);
        error_set(err, "the guest has locked the CD-ROM drive at IDE position %u", drive);
        return error_hint(err, "eject it in the guest, or force the change");
    }
    atapi_set_medium(cd, medium);
    return true;
}
