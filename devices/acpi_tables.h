/* acpi_tables.h - the ACPI tables of the PC board, for SeaBIOS to put into memory. */
#ifndef DEVICES_ACPI_TABLES_H
#define DEVICES_ACPI_TABLES_H

#include "devices/device.h"

/* What differs between boards. */
struct acpi_config {
    uint64_t low_ram_bytes; /* memory from address 0 up: i440fx_low_memory() */
    bool has_serial[2];     /* COM1 at 3F8h, COM2 at 2F8h */
    bool has_keyboard;      /* 8042 with keyboard and PS/2 mouse */
    unsigned processors;    /* APIC IDs 0 and up */
};

/* The three files that SeaBIOS reads: "etc/acpi/tables", "etc/acpi/rsdp" and "etc/table-loader". */
struct acpi_tables {
    struct state_stream tables, rsdp, loader;
};

/* Builds them; false when out of memory. Free with acpi_tables_free(), also after a failure. */
bool acpi_tables_build(struct acpi_tables *acpi, const struct acpi_config *config, struct error *err);
void acpi_tables_free(struct acpi_tables *acpi);

/* Builds them and gives them to the fw_cfg device. */
bool acpi_tables_add(struct device *fw_cfg, const struct acpi_config *config, struct error *err);

#endif
