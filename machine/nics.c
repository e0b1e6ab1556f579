/* nics.c - network cards: creation and placement, and the plug where frames come and go; see nics.h.
 *
 * What the guest sends leaves at once. What arrives is an input (input.c); a card
 * that cannot take it refuses, so that nothing is queued here and nothing is lost: whoever sends has to wait, as behind a
 * switch with flow control (IEEE 802.3x). Frames take no time on the wire. */
#include "machine/nics.h"

#include "devices/nic.h"
#include "machine/history.h"
#include "machine/machine.h"

#include <stdlib.h>
#include <string.h>

enum { ROM_UNIT = 2048, ROM_MAX = 0x100000, ISA_PORT = 0x300, ISA_PORTS = 32, ISA_IRQ = 5, LINK_PIN = 0 };

/* IRQ lines of an ISA bus that a card can pull. */
static const uint16_t isa_irqs = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 14 | 1 << 15;

static const struct device_class *class_of(enum tick86_nic_model model)
{
    switch (model) {
    case NIC_E1000: return &e1000_class;
    case NIC_RTL8139:
    case NIC_RTL8139C: return &rtl8139_class;
    case NIC_NE2K_PCI: return &rtl8029_class;
    case NIC_NE2K_ISA: return &ne2000_class;
    default: return NULL;
    }
}

/* ---- the plug ---- */

static void send(void *context, const uint8_t *frame, size_t size)
{
    struct nic_slot *slot = context;

    if (size == 0 || size > PACKET_MAX || history_is_in_past(slot->machine)) {
        return; /* what was sent once is not sent again */
    }
    if (slot->config.tap != NULL) {
        slot->config.tap(slot->config.tap_context, clock_now(&slot->machine->clock), true, frame, size);
    }
    if (slot->config.sink.send != NULL) {
        slot->config.sink.send(slot->config.sink.context, frame, size);
    }
}

static void ready(void *context)
{
    struct nic_slot *slot = context;

    if (slot->config.sink.ready != NULL && !history_is_in_past(slot->machine)) {
        slot->config.sink.ready(slot->config.sink.context);
    }
}

bool nics_receive(struct tick86 *machine, unsigned nic, const uint8_t *frame, size_t size)
{
    BUG_ON(nic >= TICK86_NICS);
    struct device *dev = machine->chips[PC_NIC0 + nic];
    const struct tick86_nic *config = &machine->nics[nic].config;
    uint8_t padded[NIC_FRAME_MIN] = { 0 };
    bool is_taken;

    if (dev == NULL || size < NIC_HEADER || size > PACKET_MAX) {
        return true; /* no such card, or no frame: it goes nowhere */
    }
    if (size < sizeof padded) {
        memcpy(padded, frame, size);
        is_taken = dev->class->receive(dev, padded, sizeof padded);
    } else {
        is_taken = dev->class->receive(dev, frame, size);
    }
    if (is_taken && config->tap != NULL && !history_is_in_past(machine)) {
        config->tap(config->tap_context, clock_now(&machine->clock), false, frame, size);
    }
    return is_taken;
}

void nics_set_link(struct tick86 *machine, unsigned nic, bool is_up)
{
    BUG_ON(nic >= TICK86_NICS);
    struct device *dev = machine->chips[PC_NIC0 + nic];

    if (dev != NULL) {
        dev->class->set_input(dev, LINK_PIN, is_up);
    }
}

/* ---- creation ---- */

bool nics_create_roms(struct tick86 *machine, const struct tick86_config *config, uint64_t ident, struct error *err)
{
    for (unsigned n = 0; n < TICK86_NICS; n++) {
        struct nic_slot *slot = &machine->nics[n];
        const struct tick86_blob *rom = &config->nics[n].rom;
        uint64_t size = ROM_UNIT > GUEST_PAGE_SIZE ? ROM_UNIT : GUEST_PAGE_SIZE;
        slot->machine = machine;
        slot->config = config->nics[n];
        slot->plug = (struct packet_sink){ slot, send, ready };
        if (rom->size == 0 || slot->config.model == NIC_NONE || slot->config.model == NIC_NE2K_ISA) {
            continue;
        }
        if (rom->size > ROM_MAX) {
            return error_set(err, "the option ROM '%s' is larger than 1 MiB", rom->name);
        }
        while (size < rom->size) {
            size *= 2;
        }
        slot->rom_bytes = calloc(1, (size_t)size);
        if (slot->rom_bytes == NULL) {
            return error_set(err, "out of memory for the option ROM '%s'", rom->name);
        }
        memcpy(slot->rom_bytes, rom->bytes, rom->size);
        if (!memory_init(&slot->rom, "option rom", slot->rom_bytes, size, ident, true, err)) {
            return false;
        }
        ident += size;
    }
    return true;
}

/* A generic image, whose PCI data structure (PCI 2.1, 6.3.1.2) names no device, is made that of the card. The byte behind the
 * entry jump, which images have for it, keeps the checksum right. */
static void adopt_rom(struct nic_slot *slot, struct device *dev)
{
    enum { SIGNATURE = 0xaa55, DATA_POINTER = 0x18, CHECKSUM = 6 };
    const struct pci_function *pci = pci_function_of(dev);
    uint8_t *rom = slot->rom_bytes;

    if (rom == NULL || pci == NULL || load_le16(rom) != SIGNATURE) {
        return;
    }
    size_t at = load_le16(rom + DATA_POINTER);
    if (at + 8 > slot->rom.size || memcmp(rom + at, "PCIR", 4) != 0 || load_le32(rom + at + 4) != 0) {
        return;
    }
    for (unsigned n = 0; n < 4; n++) {
        rom[at + 4 + n] = pci->config[n];
        rom[CHECKSUM] = (uint8_t)(rom[CHECKSUM] - pci->config[n]);
    }
}

static bool place_isa(struct tick86 *machine, struct device *dev, const struct tick86_nic *config, struct error *err)
{
    unsigned port = config->iobase != 0 ? config->iobase : ISA_PORT;
    unsigned irq = config->irq != 0 ? config->irq : ISA_IRQ;
    char pin[] = "isa00";

    if (port % ISA_PORTS != 0 || port < 0x200 || port > 0x3e0) {
        return error_set(err, "%s cannot be at port 0x%x: such cards sit at 0x200 to 0x3e0 in steps of 0x20", dev->name, port);
    }
    if (irq > 15 || (isa_irqs >> irq & 1) == 0) {
        return error_set(err, "%s cannot have IRQ %u: cards have 3, 4, 5, 6, 7, 9, 10, 11, 12, 14 or 15", dev->name, irq);
    }
    if (irq < 10) {
        pin[3] = (char)('0' + irq);
        pin[4] = '\0';
    } else {
        pin[3] = '1';
        pin[4] = (char)('0' + irq - 10);
    }
    ports_add(dev->ports, (uint16_t)port, ISA_PORTS, 0, dev->class->port_ops, dev, dev->name, true);
    return device_connect(dev, "irq", machine->chips[PC_ISA_BRIDGE], pin, err);
}

bool nics_create(struct tick86 *machine, const struct tick86_config *config, const struct device *surroundings,
                 struct error *err)
{
    for (unsigned pass = 0; pass < 2; pass++) { /* cards that want a certain slot come first */
        for (unsigned n = 0; n < TICK86_NICS; n++) {
            const struct tick86_nic *nic = &config->nics[n];
            struct nic_slot *slot = &machine->nics[n];
            if (nic->model == NIC_NONE || (nic->slot == 0) != (pass == 1)) {
                continue;
            }
            const struct property properties[] = {
                { .name = "network", .pointer = &slot->plug },
                { .name = "mac", .pointer = slot->config.mac },
                { .name = slot->rom_bytes != NULL ? "rom" : "no_rom", .pointer = &slot->rom },
                { .name = "plus", .number = nic->model == NIC_RTL8139 },
                { .name = NULL },
            };
            BUG_ON(class_of(nic->model) == NULL);
            struct device *dev = device_create(class_of(nic->model), pc_board[PC_NIC0 + n].name, surroundings, properties, err);
            machine->chips[PC_NIC0 + n] = dev;
            if (dev == NULL) {
                return false;
            }
            if (nic->model == NIC_NE2K_ISA ? !place_isa(machine, dev, nic, err)
                                           : !pc_attach_pci_card(machine->chips, dev, nic->slot, err)) {
                return false;
            }
            dev->class->set_input(dev, LINK_PIN, true);
            adopt_rom(slot, dev);
        }
    }
    return true;
}

void nics_destroy_roms(struct tick86 *machine)
{
    for (unsigned n = 0; n < TICK86_NICS; n++) {
        memory_destroy(&machine->nics[n].rom);
        free(machine->nics[n].rom_bytes);
    }
}
