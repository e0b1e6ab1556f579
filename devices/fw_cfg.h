/* fw_cfg.h - what the board hands to the firmware. */
#ifndef DEVICES_FW_CFG_H
#define DEVICES_FW_CFG_H

#include "devices/device.h"

extern const struct device_class fw_cfg_class;

/* Keys of docs/specs/fw_cfg.rst and of SeaBIOS (src/fw/paravirt.h). */
enum fw_cfg_key {
    FW_CFG_SIGNATURE = 0x00, /* set by the chip */
    FW_CFG_ID = 0x01,        /* set by the chip */
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_NB_CPUS = 0x05,
    FW_CFG_KERNEL_ADDR = 0x07,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_DEVICE = 0x0c,
    FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_ENTRY = 0x10,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16,
    FW_CFG_SETUP_SIZE = 0x17,
    FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIR = 0x19,  /* made by the chip */
    FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_ARCH_LOCAL = 0x8000,
    FW_CFG_IRQ0_OVERRIDE = 0x8002,
};

enum { FW_CFG_FILES_MAX = 128, FW_CFG_NAME_SIZE = 56 /* with the terminator */ };

/* All of these copy the bytes, and belong to the board's set-up before the guest runs: the contents are no state of the
 * chip, so a snapshot is loaded into a machine that was set up the same way.
 *
 * A file is found by the guest in the directory, which is sorted by name. A name may be used once. */
bool fw_cfg_add_file(struct device *dev, const char *name, const void *bytes, size_t size, struct error *err);
/* An item under a key below FW_CFG_FILE_FIRST, or FW_CFG_ARCH_LOCAL plus such a key; replaces what was there. Numbers are
 * little-endian. */
bool fw_cfg_add_bytes(struct device *dev, unsigned key, const void *bytes, size_t size, struct error *err);
bool fw_cfg_add_u16(struct device *dev, unsigned key, uint16_t value, struct error *err);
bool fw_cfg_add_u32(struct device *dev, unsigned key, uint32_t value, struct error *err);
bool fw_cfg_add_u64(struct device *dev, unsigned key, uint64_t value, struct error *err);

/* The file "etc/e820": memory from 0 to low_bytes and, when high_bytes is not 0, from 4 GiB up. */
bool fw_cfg_add_e820(struct device *dev, uint64_t low_bytes, uint64_t high_bytes, struct error *err);

#endif
