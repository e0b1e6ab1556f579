/* pci.h - PCI functions: configuration space, base address registers and the INTx wire.
 *
 * PCI Local Bus Specification 2.1, chapter 6. A PCI chip embeds `struct pci_function` right after its `struct device`
 * (member name `pci`), so a pointer to the chip, to its device and to its function are found from each other. The host
 * bridge (i440fx) routes configuration cycles and INTx wires. */
#ifndef DEVICES_PCI_H
#define DEVICES_PCI_H

#include "devices/device.h"

enum { PCI_BARS = 7, PCI_BAR_ROM = 6 }; /* six base address registers and the expansion ROM */

/* What stands behind one base address register; set in the chip's init with pci_set_memory_bar / pci_set_port_bar. */
struct pci_bar {
    uint64_t size; /* power of two; 0 when the register is not implemented */
    struct region *region; /* memory BAR */
    const struct port_ops *port_ops; /* port BAR */
    unsigned first_reg;
    uint32_t mapped_base; /* where it is mapped now */
    bool is_port, is_prefetchable, is_mapped;
};

struct pci_function {
    uint8_t config[256];   /* state */
    uint8_t writable[256]; /* derived: which bits configuration writes change; set in init */
    struct pci_bar bars[PCI_BARS]; /* derived from config */
    struct device *device; /* wired: the chip */
    struct irq intx;       /* wired by the board to the bridge: INTA# of this function, as level */
    uint8_t devfn;         /* wired by the board: device << 3 | function */
    /* wired: called after a configuration write of `size` bytes changed config (before BARs are remapped); may be NULL */
    void (*config_written)(struct device *dev, unsigned offset, unsigned size);
};
extern const struct field pci_function_fields[];
/* The PCI function of a chip whose table has a FIELD_PCI row, or NULL when it is not a PCI chip. */
struct pci_function *pci_function_of(struct device *dev);
#define FIELD_PCI(S) FIELD_STRUCT(S, pci, struct pci_function, pci_function_fields, "PCI configuration")

/* Fills in the constant header: ids, class (24 bits: base, sub, interface), revision, header type 0, and the writable bits of the
 * command register (I/O, memory, master, SERR, INTx disable), status write-one-to-clear bits, cache line, latency and interrupt line. */
void pci_init(struct pci_function *pci, struct device *dev, uint16_t vendor, uint16_t device_id, uint32_t class_code,
              uint8_t revision);
void pci_set_memory_bar(struct pci_function *pci, unsigned bar, struct region *region, bool is_prefetchable);
void pci_set_port_bar(struct pci_function *pci, unsigned bar, unsigned size, const struct port_ops *ops,
                      unsigned first_reg);
/* Interrupt pin register: 1 is INTA#. */
void pci_set_interrupt_pin(struct pci_function *pci, uint8_t pin);

/* Configuration cycles; called by the host bridge. `size` 1, 2 or 4, not crossing a doubleword. */
uint32_t pci_config_read(struct pci_function *pci, unsigned offset, unsigned size);
void pci_config_write(struct pci_function *pci, unsigned offset, unsigned size, uint32_t value);

/* Command register, BARs, interrupt line and status to their power-on values; unmaps every BAR. */
void pci_reset(struct pci_function *pci);
/* Maps and unmaps BARs as `config` says; for the class's `loaded`. */
void pci_update_bars(struct pci_function *pci);

/* Drives INTA# and the interrupt status bit; INTx disable is honoured. */
void pci_set_intx(struct pci_function *pci, bool level);

/* Bus master cycles are only allowed when the command register's bit 2 is set. */
static inline bool pci_is_master(const struct pci_function *pci) { return (pci->config[4] & 4) != 0; }

/* The bridge's side: 32 devices of 8 functions. */
struct pci_bus {
    struct pci_function *functions[256]; /* by devfn; wired */
};
/* Puts a function in its place; a place that is taken is an error. */
bool pci_bus_attach(struct pci_bus *bus, struct pci_function *pci, uint8_t devfn, struct error *err);

#endif
