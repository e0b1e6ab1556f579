/* pc.c - the board: a PC of 1996 with Intel's 440FX PCIset, laid out as QEMU's `pc` machine, which SeaBIOS and our ACPI
 * tables know.
 *
 * Documents: 82441FX PMC (290549-001), 82371SB PIIX3 (290550-002); QEMU, hw/i386/pc_piix.c, by behaviour. Every IRQ of an
 * ISA chip passes the ISA bridge, which joins it with the PCI interrupts that are routed to the same line.
 * The I/O APIC has the ISA interrupts on its pins of the same number, the timer on pin 2, the 8259s on pin 0, and PIRQA# to PIRQD#
 * on pins 16 to 19, as boards with a PIIX3 and an 82093AA. Not implemented: parallel ports, PCI slots beyond the VGA's, the joining of
 * the clock's alarm with the power management's RTC_STS. */
#include "machine/pc.h"

#include "devices/debugcon.h"
#include "devices/fw_cfg.h"
#include "devices/hpet.h"
#include "devices/i440fx.h"
#include "devices/i8042.h"
#include "devices/i8237.h"
#include "devices/i82077.h"
#include "devices/i8254.h"
#include "devices/i8259.h"
#include "devices/ioapic.h"
#include "devices/ide.h"
#include "devices/isa_debug_exit.h"
#include "devices/mc146818.h"
#include "devices/ns16550.h"
#include "devices/piix3.h"
#include "devices/piix4_pm.h"
#include "devices/sysctl.h"
#include "devices/vga.h"
#include "machine/cpu_pins.h"
#include "machine/serial_input.h"
#include "machine/vmmouse.h"

#define DEVFN(device, function) ((device) << 3 | (function))

enum { MEMORY_PRIORITY = 1, CONFIG_INTERRUPT_PIN = 0x3d, FIRST_FREE_SLOT = 3, PCI_SLOTS = 32 };

const struct placement pc_board[PC_CHIPS] = {
    [PC_PINS] = { "cpu_pins", &cpu_pins_class, PC_NOT_PCI,
                  .wires = { { "powerbtn", PC_PM, "powerbtn" }, { "ferr", PC_ISA_BRIDGE, "ferr" },
                             { "extint", PC_IOAPIC, "intin0" } } },
    [PC_HOST_BRIDGE] = { "host_bridge", &i440fx_class, DEVFN(0, 0),
                         .ports = { { 0xcf8, 8, 0 } },
                         .wires = { { "reset", PC_PINS, "reset0" } } },
    [PC_ISA_BRIDGE] = { "isa_bridge", &piix3_class, DEVFN(1, 0),
                        .ports = { { 0xf0, 1, 0 } },
                        .wires = { { "ignne", PC_PINS, "ignne" },
                                   { "irq0", PC_PIC0, "ir0" },
                                   { "irq1", PC_PIC0, "ir1" },
                                   { "irq3", PC_PIC0, "ir3" },
                                   { "irq4", PC_PIC0, "ir4" },
                                   { "irq5", PC_PIC0, "ir5" },
                                   { "irq6", PC_PIC0, "ir6" },
                                   { "irq7", PC_PIC0, "ir7" },
                                   { "irq8", PC_PIC1, "ir0" },
                                   { "irq9", PC_PIC1, "ir1" },
                                   { "irq10", PC_PIC1, "ir2" },
                                   { "irq11", PC_PIC1, "ir3" },
                                   { "irq12", PC_PIC1, "ir4" },
                                   { "irq13", PC_PIC1, "ir5" },
                                   { "irq14", PC_PIC1, "ir6" },
                                   { "irq15", PC_PIC1, "ir7" },
                                   { "apic0", PC_IOAPIC, "intin2" },
                                   { "apic1", PC_IOAPIC, "intin1" },
                                   { "apic3", PC_IOAPIC, "intin3" },
                                   { "apic4", PC_IOAPIC, "intin4" },
                                   { "apic5", PC_IOAPIC, "intin5" },
                                   { "apic6", PC_IOAPIC, "intin6" },
                                   { "apic7", PC_IOAPIC, "intin7" },
                                   { "apic8", PC_IOAPIC, "intin8" },
                                   { "apic9", PC_IOAPIC, "intin9" },
                                   { "apic10", PC_IOAPIC, "intin10" },
                                   { "apic11", PC_IOAPIC, "intin11" },
                                   { "apic12", PC_IOAPIC, "intin12" },
                                   { "apic13", PC_IOAPIC, "intin13" },
                                   { "apic14", PC_IOAPIC, "intin14" },
                                   { "apic15", PC_IOAPIC, "intin15" },
                                   { "apic16", PC_IOAPIC, "intin16" },
                                   { "apic17", PC_IOAPIC, "intin17" },
                                   { "apic18", PC_IOAPIC, "intin18" },
                                   { "apic19", PC_IOAPIC, "intin19" } } },
    [PC_IDE] = { "ide", &piix3_ide_class, DEVFN(1, 1),
                 .ports = { { 0x1f0, 8, 0x1f0 }, { 0x3f6, 1, 0x3f6 }, { 0x170, 8, 0x170 }, { 0x376, 1, 0x376 } },
                 .wires = { { "irq14", PC_ISA_BRIDGE, "isa14" }, { "irq15", PC_ISA_BRIDGE, "isa15" } } },
    [PC_PM] = { "pm", &piix4_pm_class, DEVFN(1, 3),
                .ports = { { 0xb2, 2, PIIX4_PM_REG_APM }, { 0xafe0, 4, PIIX4_PM_REG_GPE0 } },
                .wires = { { "sci", PC_ISA_BRIDGE, "isa9" }, { "poweroff", PC_PINS, "poweroff" }, { "smi", PC_PINS, "smi" } } },
    [PC_VGA] = { "vga", &vga_class, DEVFN(2, 0),
                 .ports = { { 0x3b4, 2, 0x3b4 },
                            { 0x3ba, 1, 0x3ba },
                            { 0x3c0, 16, 0x3c0 },
                            { 0x3d4, 2, 0x3d4 },
                            { 0x3da, 1, 0x3da },
                            { 0x1ce, 3, 0x1ce } } },
    [PC_PIC0] = { "pic0", &i8259_class, PC_NOT_PCI,
                  .ports = { { 0x20, 2, 0 }, { 0x4d0, 1, 4 } },
                  .wires = { { "int", PC_PINS, "intr" } } },
    [PC_PIC1] = { "pic1", &i8259_class, PC_NOT_PCI,
                  .ports = { { 0xa0, 2, 0 }, { 0x4d1, 1, 4 } },
                  .wires = { { "int", PC_PIC0, "ir2" } } },
    [PC_PIT] = { "pit", &i8254_class, PC_NOT_PCI,
                 .ports = { { 0x40, 4, 0 } },
                 .wires = { { "out0", PC_ISA_BRIDGE, "isa0" }, { "out2", PC_SYSCTL, "out2" } } },
    [PC_DMA] = { "dma", &i8237_class, PC_NOT_PCI,
                 .ports = { { 0x00, 16, 0x00 }, { 0x80, 16, 0x80 }, { 0xc0, 32, 0xc0 } } },
    [PC_FDC] = { "fdc", &i82077_class, PC_NOT_PCI,
                 .ports = { { 0x3f0, 6, 0 }, { 0x3f7, 1, 7 } },
                 .wires = { { "irq", PC_ISA_BRIDGE, "isa6" }, { "dreq", PC_DMA, "dreq2" } } },
    [PC_RTC] = { "rtc", &mc146818_class, PC_NOT_PCI,
                 .ports = { { 0x70, 2, 0 } },
                 .wires = { { "irq", PC_ISA_BRIDGE, "isa8" } } },
    [PC_KBC] = { "kbc", &i8042_class, PC_NOT_PCI,
                 .ports = { { 0x60, 1, 0 }, { 0x64, 1, 4 } },
                 .wires = { { "kbd", PC_ISA_BRIDGE, "isa1" },
                            { "aux", PC_ISA_BRIDGE, "isa12" },
                            { "a20", PC_PINS, "a20_kbc" },
                            { "reset", PC_PINS, "reset1" } } },
    [PC_SYSCTL] = { "sysctl", &sysctl_class, PC_NOT_PCI,
                    .ports = { { 0x61, 1, 0x61 }, { 0x92, 1, 0x92 } },
                    .wires = { { "gate2", PC_PIT, "gate2" },
                               { "a20", PC_PINS, "a20_fast" },
                               { "reset", PC_PINS, "reset2" } } },
    [PC_COM1] = { "com1", &ns16550_class, PC_NOT_PCI,
                  .ports = { { 0x3f8, 8, 0 } },
                  .wires = { { "irq", PC_ISA_BRIDGE, "isa4" } } },
    [PC_COM2] = { "com2", &ns16550_class, PC_NOT_PCI,
                  .ports = { { 0x2f8, 8, 0 } },
                  .wires = { { "irq", PC_ISA_BRIDGE, "isa3" } } },
    [PC_COM1_INPUT] = { .name = "com1_input", .class = &serial_input_class, .devfn = PC_NOT_PCI },
    [PC_COM2_INPUT] = { .name = "com2_input", .class = &serial_input_class, .devfn = PC_NOT_PCI },
    [PC_FW_CFG] = { "fw_cfg", &fw_cfg_class, PC_NOT_PCI, .ports = { { 0x510, 12, 0 } } },
    [PC_DEBUGCON] = { "debugcon", &debugcon_class, PC_NOT_PCI, .ports = { { 0x402, 1, 0 } } },
    [PC_DEBUG_EXIT] = { "debug_exit", &isa_debug_exit_class, PC_NOT_PCI,
                        .ports = { { 0x501, 4, 0 } },
                        .wires = { { "exit", PC_PINS, "debug_exit" } } },
    [PC_HPET] = { .name = "hpet", .class = &hpet_class, .devfn = PC_NOT_PCI,
                  .wires = { { "legacy0", PC_ISA_BRIDGE, "hpet0" },
                             { "legacy1", PC_ISA_BRIDGE, "hpet1" },
                             { "legacy_mode", PC_ISA_BRIDGE, "hpet_legacy" },
                             { "route20", PC_IOAPIC, "intin20" },
                             { "route21", PC_IOAPIC, "intin21" },
                             { "route22", PC_IOAPIC, "intin22" },
                             { "route23", PC_IOAPIC, "intin23" } },
                  .memory_base = HPET_BASE, .memory_size = HPET_SIZE },
    [PC_IOAPIC] = { .name = "ioapic", .class = &ioapic_class, .devfn = PC_NOT_PCI,
                    .memory_base = IOAPIC_BASE, .memory_size = GUEST_PAGE_SIZE },
    [PC_NIC0] = { .name = "nic0", .devfn = PC_NOT_PCI },
    [PC_NIC0 + 1] = { .name = "nic1", .devfn = PC_NOT_PCI },
    [PC_NIC0 + 2] = { .name = "nic2", .devfn = PC_NOT_PCI },
    [PC_NIC0 + 3] = { .name = "nic3", .devfn = PC_NOT_PCI },
    [PC_NIC0 + 4] = { .name = "nic4", .devfn = PC_NOT_PCI },
    [PC_NIC0 + 5] = { .name = "nic5", .devfn = PC_NOT_PCI },
    [PC_NIC0 + 6] = { .name = "nic6", .devfn = PC_NOT_PCI },
    [PC_NIC7] = { .name = "nic7", .devfn = PC_NOT_PCI },
    [PC_VMMOUSE] = { "vmmouse", &vmmouse_class, PC_NOT_PCI, .ports = { { 0x5658, 4, 0 } } },
};

static bool attach_pci(struct device *chips[PC_CHIPS], struct device *dev, int devfn, struct error *err)
{
    struct pci_function *pci = pci_function_of(dev);

    BUG_ON(pci == NULL);
    if (devfn != 0 && /* the host bridge attaches itself */
        !pci_bus_attach(i440fx_pci_bus(chips[PC_HOST_BRIDGE]), pci, (uint8_t)devfn, err)) {
        return false;
    }
    unsigned interrupt_pin = pci->config[CONFIG_INTERRUPT_PIN];
    if (interrupt_pin != 0) {
        pci->intx.sink = chips[PC_ISA_BRIDGE];
        pci->intx.pin = piix3_pin((unsigned)devfn >> 3, interrupt_pin - 1);
    }
    return true;
}

bool pc_attach_pci_card(struct device *chips[PC_CHIPS], struct device *dev, unsigned slot, struct error *err)
{
    const struct pci_bus *bus = i440fx_pci_bus(chips[PC_HOST_BRIDGE]);

    if (slot == 0) {
        for (slot = FIRST_FREE_SLOT; slot < PCI_SLOTS && bus->functions[DEVFN(slot, 0)] != NULL; slot++) {
        }
    }
    if (slot >= PCI_SLOTS) {
        return error_set(err, "there is no PCI slot for %s", dev->name);
    }
    return attach_pci(chips, dev, (int)DEVFN(slot, 0), err);
}

static void map_ports(struct device *dev, const struct placement *place, uint16_t debug_exit_port)
{
    for (unsigned n = 0; n < PC_PORT_RANGES && place->ports[n].count != 0; n++) {
        const struct port_range *range = &place->ports[n];
        uint16_t first = place == &pc_board[PC_DEBUG_EXIT] ? debug_exit_port : range->first;
        /* The debug exit's port is the user's choice, also where something else would be. */
        ports_add(dev->ports, first, range->count, range->first_reg, place->class->port_ops, dev, place->name,
                  place == &pc_board[PC_DEBUG_EXIT]);
    }
}

bool pc_wire(struct device *chips[PC_CHIPS], struct region regions[PC_CHIPS], uint16_t debug_exit_port, struct error *err)
{
    for (unsigned chip = 0; chip < PC_CHIPS; chip++) {
        const struct placement *place = &pc_board[chip];
        if (chips[chip] == NULL || place->class == NULL) {
            continue;
        }
        for (unsigned n = 0; n < PC_WIRES && place->wires[n].output != NULL; n++) {
            const struct wire *wire = &place->wires[n];
            if (!device_connect(chips[chip], wire->output, chips[wire->sink], wire->pin, err)) {
                return false;
            }
        }
        if (place->devfn != PC_NOT_PCI && !attach_pci(chips, chips[chip], place->devfn, err)) {
            return false;
        }
        map_ports(chips[chip], place, debug_exit_port);
        if (place->memory_size != 0) {
            regions[chip] = (struct region){ .name = place->name, .kind = REGION_IO, .size = place->memory_size,
                                             .ops = place->class->region_ops, .owner = chips[chip] };
            space_add(chips[chip]->space, &regions[chip], place->memory_base, MEMORY_PRIORITY, true);
        }
    }
    return true;
}
