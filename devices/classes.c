/* classes.c - every chip there is. A new one gets a line here; tests/dev/test_classes.c walks the list. */
#include "devices/device.h"

/* Each is defined in the file named after it. */
extern const struct device_class debugcon_class, e1000_class, fw_cfg_class, hpet_class, i440fx_class, i8042_class, i8237_class, i8254_class,
    i82077_class, i8259_class, ioapic_class, isa_debug_exit_class, lapic_class, mc146818_class, ne2000_class, ns16550_class, rtl8029_class,
    rtl8139_class, piix3_class, piix3_ide_class, piix4_pm_class,
    sysctl_class, vga_class;

const struct device_class *const device_classes[] = {
    &i440fx_class,         /* host bridge */
    &piix3_class,          /* PCI to ISA bridge */
    &piix3_ide_class,      /* disks */
    &piix4_pm_class,       /* power management */
    &i8259_class,          /* interrupt controller */
    &lapic_class,          /* local APIC */
    &ioapic_class,         /* I/O APIC */
    &hpet_class,           /* timers */
    &i8254_class,          /* timer */
    &i8237_class,          /* DMA controller */
    &i82077_class,         /* floppy disk controller */
    &mc146818_class,       /* clock and CMOS memory */
    &i8042_class,          /* keyboard controller */
    &sysctl_class,         /* ports 61h and 92h */
    &ns16550_class,        /* serial port */
    &vga_class,            /* display */
    &fw_cfg_class,         /* firmware configuration */
    &debugcon_class,       /* firmware messages */
    &isa_debug_exit_class, /* ends test programs */
    &ne2000_class,         /* network card, ISA */
    &rtl8029_class,        /* network card, PCI */
    &rtl8139_class,        /* fast Ethernet card, PCI */
    &e1000_class,          /* gigabit network card, PCI */
    NULL,
};
