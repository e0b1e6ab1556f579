/* nic.h - what network chips have in common.
 *
 * A network chip has an input pin "link", number 0 (the cable is plugged in), and the properties "network" (pointer to a struct
 * packet_sink that outlives it), "mac" (pointer to six bytes) and perhaps "rom" (pointer to a struct memory). */
#ifndef DEVICES_NIC_H
#define DEVICES_NIC_H

#include "devices/backend.h"
#include "devices/pci.h"

enum {
    NIC_ADDRESS = 6,   /* bytes of a station address */
    NIC_HEADER = 14,   /* destination, source, type */
    NIC_FRAME_MIN = 60, /* without FCS: IEEE 802.3, 3.2.8 */
    NIC_FRAME_MAX = 1514,
    NIC_FCS = 4,
    NIC_PIN_LINK = 0
};

extern const struct device_class ne2000_class, rtl8029_class, rtl8139_class, e1000_class;
extern const struct pin_group nic_inputs[]; /* "link" */

/* CRC-32 of IEEE 802.3, 3.2.9, continued from `crc` (start with 0), as the value that is sent least significant byte first. */
uint32_t nic_crc32(uint32_t crc, const uint8_t *bytes, size_t size);
/* The index into a 64-bit multicast filter: the six most significant bits of the CRC register after the destination
 * address (DP8390D, "Multicast address registers"; the RTL8139 has the same). */
unsigned nic_multicast_index(const uint8_t *address);

/* The Internet's checksum (RFC 1071) before it is inverted: the sum of big-endian words, continued from `sum`. */
uint16_t nic_sum(uint32_t sum, const uint8_t *bytes, size_t size);

bool nic_is_broadcast(const uint8_t *address);
static inline bool nic_is_group(const uint8_t *address) { return (address[0] & 1) != 0; }

/* Reads the properties "network" and "mac". False with `err` set when one is missing. */
bool nic_init(struct device *dev, const struct property *properties, struct packet_sink **sink, uint8_t mac[NIC_ADDRESS],
              struct error *err);
/* Puts the property "rom", if there is one, behind the expansion ROM register. */
void nic_init_rom(struct pci_function *pci, struct region *region, const struct property *properties);

static inline void nic_send(const struct packet_sink *sink, const uint8_t *frame, size_t size)
{
    if (sink->send != NULL) {
        sink->send(sink->context, frame, size);
    }
}

/* To be called whenever a chip that may have refused a frame can take one. */
static inline void nic_ready(const struct packet_sink *sink)
{
    if (sink->ready != NULL) {
        sink->ready(sink->context);
    }
}

#endif
