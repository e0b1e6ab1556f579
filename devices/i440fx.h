/* i440fx.h - the host bridge's links to the board. */
#ifndef DEVICES_I440FX_H
#define DEVICES_I440FX_H

#include "devices/device.h"
#include "devices/pci.h"

extern const struct device_class i440fx_class;

/* Priorities of what the bridge maps. PCI memory BARs lie below all of them, at negative priorities from -4096 up; the VGA
 * maps its window (A0000h-BFFFFh) above RAM and below SMRAM. */
enum {
    I440FX_PRIORITY_BIOS = -1,
    I440FX_PRIORITY_RAM = 0,
    I440FX_PRIORITY_SMRAM = 100,
};

/* How much of `ram_bytes` of memory is seen from address 0 up: all of it up to 3.5 GiB (E0000000h); what is left is seen
 * from 4 GiB up. */
uint64_t i440fx_low_memory(uint64_t ram_bytes);

/* Gives the bridge its memory and its BIOS ROM; once, in the board's set-up (the properties "ram" and "bios", both pointers
 * to struct memory, do the same at creation). RAM is at least 1 MiB; the BIOS is a multiple of 4 KiB up to 16 MiB and ends
 * at 4 GiB; its last 128 KiB are also seen below 1 MiB while the PAM registers say so. `bios` may be NULL. */
/* What a processor in system management mode sees at an address that is SMRAM: true with the place in RAM. */
bool i440fx_smram(const struct device *dev, phys_addr address, struct memory **memory, uint64_t *offset);

bool i440fx_map_memory(struct device *dev, struct memory *ram, struct memory *bios, struct error *err);

/* The PCI bus 0 behind the bridge; attach functions to it with pci_bus_attach(). The bridge itself sits at 0. */
struct pci_bus *i440fx_pci_bus(struct device *dev);

#endif
