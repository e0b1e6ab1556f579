/* mc146818.h - what the board fills into the CMOS memory, as the PC's BIOS expects to find it. */
#ifndef DEVICES_MC146818_H
#define DEVICES_MC146818_H

#include "devices/device.h"

extern const struct device_class mc146818_class;

enum { MC146818_BYTES = 128 };

/* Non-volatile bytes 0 to 127, without the side effects of port 71h. Bytes 0 to 9 and 32h are the time, 0Ah to 0Dh the
 * registers. */
void mc146818_set_nvram(struct device *dev, unsigned index, uint8_t value);
uint8_t mc146818_get_nvram(struct device *dev, unsigned index);

/* Bit 7 of port 70h; also the level of the output "nmi_mask". */
bool mc146818_is_nmi_masked(const struct device *dev);

/* How BIOS shall translate a disk's geometry; the values are those of CMOS byte 39h. */
enum mc146818_translation { TRANSLATION_NONE = 0, TRANSLATION_LBA = 1, TRANSLATION_LARGE = 2, TRANSLATION_RECHS = 3 };

/* CMOS type numbers of floppy drives. */
enum mc146818_floppy { FLOPPY_NONE = 0, FLOPPY_1200K = 2, FLOPPY_1440K = 4, FLOPPY_2880K = 5 };

struct mc146818_disk {
    bool is_present; /* a hard disk; CD drives stay absent */
    uint16_t cylinders;
    uint8_t heads, sectors;
    enum mc146818_translation translation;
};

/* Settings of the `pc` machine. */
struct mc146818_pc_config {
    uint64_t ram_below_4g_bytes;
    uint64_t ram_above_4g_bytes;
    unsigned cpus;                /* 1 to 255 */
    const char *boot_order;       /* up to three of a or b (floppy), c (disk), d (CD), n (network); NULL is "cad" */
    bool is_floppy_signature_free; /* boot floppies that lack the 55AAh signature (QEMU's fd-bootchk=off) */
    enum mc146818_floppy floppies[2];
    struct mc146818_disk disks[4]; /* primary master, primary slave, secondary master, secondary slave */
};

/* Fills in the bytes that QEMU's `pc` machine sets and that SeaBIOS, Bochs' BIOS and old systems read: 10h, 12h, 14h to
 * 24h, 2Ch, 30h, 31h, 34h, 35h, 38h, 39h, 3Dh, 5Bh to 5Dh and 5Fh. */
void mc146818_set_pc_config(struct device *dev, const struct mc146818_pc_config *config);

#endif
