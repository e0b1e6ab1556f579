/* pci.c - PCI functions: configuration space, base address registers, INTx; see pci.h.
 *
 * PCI Local Bus Specification, revision 2.1, chapter 6 (type 0 header); the INTx disable and interrupt status bits are of
 * revision 2.3. Not implemented: 64-bit and below-1-MiB memory BARs, capabilities, parity and abort reporting. */
#include "devices/pci.h"

#include <string.h>

enum {
    CONFIG_COMMAND = 0x04,
    CONFIG_STATUS = 0x06,
    CONFIG_REVISION = 0x08,
    CONFIG_CLASS = 0x09,
    CONFIG_CACHE_LINE = 0x0c,
    CONFIG_LATENCY = 0x0d,
    CONFIG_BAR0 = 0x10,
    CONFIG_ROM_BAR = 0x30,
    CONFIG_INTERRUPT_LINE = 0x3c,
    CONFIG_INTERRUPT_PIN = 0x3d,

    COMMAND_PORTS = 0x0001,
    COMMAND_MEMORY = 0x0002,
    COMMAND_MASTER = 0x0004,
    COMMAND_SERR = 0x0100,
    COMMAND_INTX_DISABLE = 0x0400,

    STATUS_INTERRUPT = 0x08,          /* in the low byte */
    STATUS_HIGH_WRITE_1_CLEARS = 0xf9, /* in the high byte: error and abort bits */

    BAR_IS_PORT = 1,
    BAR_IS_PREFETCHABLE = 8,
    ROM_BAR_ENABLE = 1,
};

/* Memory BARs lie below everything else (RAM is 0), each at a priority of its own: a guest may program two of them over
 * each other. */
enum { PCI_PRIORITY = -4096 };

/* The last row takes the wired members and the padding between them. */
const struct field pci_function_fields[] = {
    FIELD(struct pci_function, config, "configuration space"),
    DERIVED(struct pci_function, writable, "bits that configuration writes change"),
    DERIVED(struct pci_function, bars, "what the base address registers map, and where"),
    { "wires", NULL, offsetof(struct pci_function, device),
      sizeof(struct pci_function) - offsetof(struct pci_function, device), 0, FIELD_KIND_WIRED, NULL },
    FIELD_END,
};

struct pci_function *pci_function_of(struct device *dev)
{
    for (const struct field *f = dev->class->fields; f != NULL && f->name != NULL; f++) {
        if (f->sub == pci_function_fields) {
            return (struct pci_function *)(void *)((char *)dev + f->offset);
        }
    }
    return NULL;
}

static unsigned bar_offset(unsigned bar)
{
    return bar == PCI_BAR_ROM ? CONFIG_ROM_BAR : CONFIG_BAR0 + 4 * bar;
}

void pci_init(struct pci_function *pci, struct device *dev, uint16_t vendor, uint16_t device_id, uint32_t class_code,
              uint8_t revision)
{
    pci->device = dev;
    store_le16(&pci->config[0], vendor);
    store_le16(&pci->config[2], device_id);
    pci->config[CONFIG_REVISION] = revision;
    pci->config[CONFIG_CLASS] = (uint8_t)class_code;
    pci->config[CONFIG_CLASS + 1] = (uint8_t)(class_code >> 8);
    pci->config[CONFIG_CLASS + 2] = (uint8_t)(class_code >> 16);
    store_le16(&pci->writable[CONFIG_COMMAND],
               COMMAND_PORTS | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_SERR | COMMAND_INTX_DISABLE);
    pci->writable[CONFIG_CACHE_LINE] = 0xff;
    pci->writable[CONFIG_LATENCY] = 0xff;
    pci->writable[CONFIG_INTERRUPT_LINE] = 0xff;
}

static struct pci_bar *claim_bar(struct pci_function *pci, unsigned bar, uint64_t size)
{
    BUG_ON(bar >= PCI_BARS || pci->bars[bar].size != 0);
    BUG_ON(size == 0 || (size & (size - 1)) != 0 || size > UINT64_C(1) << 31);
    pci->bars[bar].size = size;
    store_le32(&pci->writable[bar_offset(bar)], (uint32_t)~(size - 1));
    return &pci->bars[bar];
}

void pci_set_memory_bar(struct pci_function *pci, unsigned bar, struct region *region, bool is_prefetchable)
{
    struct pci_bar *b = claim_bar(pci, bar, region->size);

    BUG_ON(region->size < 16);
    b->region = region;
    b->is_prefetchable = is_prefetchable;
    if (bar == PCI_BAR_ROM) {
        BUG_ON(region->size < 2048);
        pci->writable[CONFIG_ROM_BAR] |= ROM_BAR_ENABLE;
    } else if (is_prefetchable) {
        pci->config[bar_offset(bar)] = BAR_IS_PREFETCHABLE;
    }
}

void pci_set_port_bar(struct pci_function *pci, unsigned bar, unsigned size, const struct port_ops *ops,
                      unsigned first_reg)
{
    struct pci_bar *b = claim_bar(pci, bar, size);

    BUG_ON(size < 4 || size > 256 || bar == PCI_BAR_ROM);
    b->is_port = true;
    b->port_ops = ops;
    b->first_reg = first_reg;
    pci->config[bar_offset(bar)] = BAR_IS_PORT;
}

void pci_set_interrupt_pin(struct pci_function *pci, uint8_t pin)
{
    pci->config[CONFIG_INTERRUPT_PIN] = pin;
}

static void unmap_bar(struct pci_function *pci, struct pci_bar *b)
{
    if (!b->is_mapped) {
        return;
    }
    b->is_mapped = false;
    if (b->is_port) {
        ports_remove(pci->device->ports, (uint16_t)b->mapped_base, (unsigned)b->size, pci->device);
    } else {
        space_remove(pci->device->space, b->region);
    }
}

static void map_bar(struct pci_function *pci, struct pci_bar *b, uint32_t base)
{
    int number = (int)(b - pci->bars);

    b->is_mapped = true;
    b->mapped_base = base;
    if (b->is_port) {
        ports_add(pci->device->ports, (uint16_t)base, (unsigned)b->size, b->first_reg, b->port_ops, pci->device,
                  pci->device->name, true);
    } else {
        space_add(pci->device->space, b->region, base, PCI_PRIORITY + pci->devfn * 8 + number, true);
    }
}

/* Whether the BAR decodes, and where. All ones (a guest that sizes it) and base 0 do not, as in most host bridges'
 * address maps; a port BAR decodes 16 bits of address. */
static bool bar_decodes(const struct pci_function *pci, unsigned bar, uint32_t *base)
{
    const struct pci_bar *b = &pci->bars[bar];
    uint32_t value = load_le32(&pci->config[bar_offset(bar)]);
    uint16_t command = load_le16(&pci->config[CONFIG_COMMAND]);
    uint64_t last;

    if (b->size == 0 || (command & (b->is_port ? COMMAND_PORTS : COMMAND_MEMORY)) == 0 ||
        (bar == PCI_BAR_ROM && (value & ROM_BAR_ENABLE) == 0)) {
        return false;
    }
    *base = value & (uint32_t)~(b->size - 1);
    last = *base + (b->size - 1);
    return *base != 0 && last < (b->is_port ? UINT64_C(0x10000) : UINT64_C(0xffffffff));
}

void pci_update_bars(struct pci_function *pci)
{
    uint32_t base = 0;

    if (pci->device->space != NULL) {
        space_begin(pci->device->space);
    }
    for (unsigned i = 0; i < PCI_BARS; i++) {
        struct pci_bar *b = &pci->bars[i];
        bool is_decoded = bar_decodes(pci, i, &base);
        if (b->is_mapped && (!is_decoded || b->mapped_base != base)) {
            unmap_bar(pci, b);
        }
        if (is_decoded && !b->is_mapped) {
            map_bar(pci, b, base);
        }
    }
    if (pci->device->space != NULL) {
        space_commit(pci->device->space);
    }
}

static void update_intx(struct pci_function *pci)
{
    bool is_disabled = (load_le16(&pci->config[CONFIG_COMMAND]) & COMMAND_INTX_DISABLE) != 0;

    irq_set(&pci->intx, (pci->config[CONFIG_STATUS] & STATUS_INTERRUPT) != 0 && !is_disabled);
}

void pci_set_intx(struct pci_function *pci, bool level)
{
    uint8_t *status = &pci->config[CONFIG_STATUS];

    *status = (uint8_t)(level ? *status | STATUS_INTERRUPT : *status & ~STATUS_INTERRUPT);
    update_intx(pci);
}

uint32_t pci_config_read(struct pci_function *pci, unsigned offset, unsigned size)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < size && i < 4; i++) {
        value |= (uint32_t)pci->config[(offset + i) & 0xff] << 8 * i;
    }
    return value;
}

void pci_config_write(struct pci_function *pci, unsigned offset, unsigned size, uint32_t value)
{
    bool is_changed = false;

    for (unsigned i = 0; i < size && i < 4; i++) {
        unsigned at = (offset + i) & 0xff;
        uint8_t byte = (uint8_t)(value >> 8 * i);
        uint8_t old = pci->config[at];
        uint8_t mask = pci->writable[at];
        pci->config[at] = (uint8_t)((old & ~mask) | (byte & mask));
        if (at == CONFIG_STATUS + 1) {
            pci->config[at] = (uint8_t)(pci->config[at] & ~(byte & STATUS_HIGH_WRITE_1_CLEARS));
        }
        is_changed |= pci->config[at] != old;
    }
    if (!is_changed) {
        return;
    }
    if (pci->config_written != NULL) {
        pci->config_written(pci->device, offset, size);
    }
    pci_update_bars(pci);
    update_intx(pci);
}

void pci_reset(struct pci_function *pci)
{
    store_le16(&pci->config[CONFIG_COMMAND], 0);
    pci->config[CONFIG_STATUS] &= (uint8_t)~STATUS_INTERRUPT;
    pci->config[CONFIG_STATUS + 1] &= (uint8_t)~STATUS_HIGH_WRITE_1_CLEARS;
    pci->config[CONFIG_CACHE_LINE] = 0;
    pci->config[CONFIG_LATENCY] = 0;
    pci->config[CONFIG_INTERRUPT_LINE] = 0;
    for (unsigned i = 0; i < PCI_BARS; i++) {
        uint8_t *at = &pci->config[bar_offset(i)];
        if (pci->bars[i].size != 0) {
            store_le32(at, load_le32(at) & ~load_le32(&pci->writable[bar_offset(i)]));
        }
    }
    pci_update_bars(pci);
    update_intx(pci);
}

bool pci_bus_attach(struct pci_bus *bus, struct pci_function *pci, uint8_t devfn, struct error *err)
{
    if (bus->functions[devfn] != NULL) {
        return error_set(err, "PCI device %u function %u is taken by %s", devfn >> 3u, devfn & 7u,
                         bus->functions[devfn]->device->name);
    }
    bus->functions[devfn] = pci;
    pci->devfn = devfn;
    return true;
}
