/* pc.h - the wiring table of the PC: which chip, where on the PCI bus, at which ports, wired to what. */
#ifndef MACHINE_PC_H
#define MACHINE_PC_H

#include "devices/device.h"

/* Rows of the table, in order of creation. */
enum pc_chip {
    PC_PINS,
    PC_HOST_BRIDGE,
    PC_ISA_BRIDGE,
    PC_IDE,
    PC_PM,
    PC_VGA,
    PC_PIC0,
    PC_PIC1,
    PC_PIT,
    PC_DMA,
    PC_FDC,
    PC_RTC,
    PC_KBC,
    PC_SYSCTL,
    PC_COM1,
    PC_COM2,
    PC_COM1_INPUT,
    PC_COM2_INPUT,
    PC_FW_CFG,
    PC_DEBUGCON,
    PC_DEBUG_EXIT,
    PC_VMMOUSE,
    PC_NIC0, /* to PC_NIC7: what the user asked for, placed by machine/nics.c; their rows have no class */
    PC_NIC7 = PC_NIC0 + 7,
    PC_IOAPIC,
    PC_HPET,
    PC_LAPIC0, /* to PC_LAPIC31: one for each processor, created by machine/processors.c; their rows have no class */
    PC_LAPIC31 = PC_LAPIC0 + 31,
    PC_CHIPS
};

enum { PC_PORT_RANGES = 6, PC_WIRES = 40, PC_NOT_PCI = -1 };

struct port_range {
    uint16_t first, count;
    uint16_t first_reg; /* what the chip calls the first port */
};

/* From this chip's output to an input pin of another. */
struct wire {
    const char *output;
    enum pc_chip sink;
    const char *pin;
};

struct placement {
    const char *name;
    const struct device_class *class; /* NULL: chosen by the configuration */
    int devfn; /* PC_NOT_PCI, or device << 3 | function */
    struct port_range ports[PC_PORT_RANGES]; /* ends with count 0 */
    struct wire wires[PC_WIRES];             /* ends with output NULL */
    uint32_t memory_base, memory_size;       /* of its registers; size 0: none that the board maps */
};
extern const struct placement pc_board[PC_CHIPS];

/* Connects the wires, INTA# lines and PCI functions of the chips that are there (chips[] by enum pc_chip; NULL: left out)
 * and maps their ports and registers, the latter by means of regions[]. `debug_exit_port` replaces the table's 501h. */
bool pc_wire(struct device *chips[PC_CHIPS], struct region regions[PC_CHIPS], uint16_t debug_exit_port, struct error *err);

/* Puts a PCI chip into device `slot` (0: the first free one from 3 on), function 0, and wires its INTx. */
bool pc_attach_pci_card(struct device *chips[PC_CHIPS], struct device *dev, unsigned slot, struct error *err);

#endif
