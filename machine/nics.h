/* nics.h - the network cards that a configuration asks for: their chips, slots, ROMs and plugs. */
#ifndef MACHINE_NICS_H
#define MACHINE_NICS_H

#include "devices/device.h"
#include "machine/tick86.h"

/* One card's plug: everything passes here in both directions. */
struct nic_slot {
    struct tick86 *machine;
    struct tick86_nic config;
    struct packet_sink plug; /* what the chip sends to */
    struct memory rom;
    uint8_t *rom_bytes; /* our copy, padded to a power of two; NULL: no ROM */
};

/* In two steps, as memories come before the processor and chips after it. `ident` is the first free identity. */
bool nics_create_roms(struct tick86 *machine, const struct tick86_config *config, uint64_t ident, struct error *err);
bool nics_create(struct tick86 *machine, const struct tick86_config *config, const struct device *surroundings,
                 struct error *err);
/* A frame from outside; false when the card has no room. And its cable. */
bool nics_receive(struct tick86 *machine, unsigned nic, const uint8_t *frame, size_t size);
void nics_set_link(struct tick86 *machine, unsigned nic, bool is_up);
void nics_destroy_roms(struct tick86 *machine);

#endif
