/* acpi_tables.c - RSDP, RSDT, FADT, FACS, MADT, HPET and DSDT of the PC board, and the script by which SeaBIOS places them.
 *
 * ACPI Specification 1.0b for the tables (revision 1 FADT, as Windows 98 and later and Linux accept), 6.4 for AML; the
 * script is QEMU's linker/loader interface (docs/specs/acpi_tables and SeaBIOS src/fw/romfile_loader.h).
 *
 * The DSDT describes the PCI root bus with its windows, the routing of INTA#-INTD# and the ISA chips. Systems that use the
 * 8259s find the PCI interrupts at the links LNKA-LNKD over registers 60h-63h of the PIIX3, those that told _PIC that they use the
 * I/O APIC at its pins 16 to 19.
 *
 * Not implemented: SRAT, S3, hot-plug, _PRS choices beyond IRQ 5, 10 and 11. */
#include "devices/acpi_tables.h"

#include "devices/acpi_aml.h"
#include "devices/fw_cfg.h"
#include "devices/hpet.h"
#include "devices/ioapic.h"

#include <string.h>

enum {
    PM_BASE = 0x600, /* where SeaBIOS puts the power management block */
    SMB_BASE = 0x700,
    GPE0_BASE = 0xafe0,
    APM_PORT = 0xb2,
    SCI_IRQ = 9,

    HEADER_SIZE = 36,
    HEADER_CHECKSUM = 9,
    FADT_SIZE = 116,
    FACS_SIZE = 64,
    RSDP_SIZE = 20,
    RSDP_CHECKSUM = 8,
    RSDP_RSDT = 16,
    FADT_FACS = 36,
    FADT_DSDT = 40,
};

static const char tables_file[] = "etc/acpi/tables";
static const char rsdp_file[] = "etc/acpi/rsdp";

/* ---- DSDT ---- */

static void add_sleep_state(struct state_stream *aml, const char *name, unsigned type)
{
    aml_name(aml, name);
    size_t package = aml_package(aml, 4);
    aml_integer(aml, type);
    aml_integer(aml, type);
    aml_integer(aml, 0);
    aml_integer(aml, 0);
    aml_close(aml, package);
}

/* PCI memory starts where SeaBIOS starts it (src/fw/pciinit.c, i440fx_mem_addr_setup). */
static uint32_t pci_memory_start(const struct acpi_config *config)
{
    if (config->low_ram_bytes <= UINT64_C(0x80000000)) {
        return 0x80000000;
    }
    return config->low_ram_bytes <= UINT64_C(0xc0000000) ? 0xc0000000 : 0xe0000000;
}

static void add_pci_windows(struct state_stream *aml, const struct acpi_config *config)
{
    aml_name(aml, "_CRS");
    struct aml_resources crs = aml_resources(aml);
    aml_word_range(aml, AML_RANGE_BUS, 0, 0xff);
    aml_io(aml, 0xcf8, 8);
    aml_word_range(aml, AML_RANGE_IO, 0, 0xcf7);
    aml_word_range(aml, AML_RANGE_IO, 0xd00, 0xffff);
    aml_dword_memory(aml, 0xa0000, 0xbffff, true);
    aml_dword_memory(aml, pci_memory_start(config), 0xfebfffff, false);
    aml_resources_close(aml, crs);
}

/* INTx of slot s goes to PIRQ (s - 1 + intx) modulo 4: see piix3.c. */
static void add_routing_table(struct state_stream *aml, const char *name, bool is_apic)
{
    static const char links[4][5] = { "LNKA", "LNKB", "LNKC", "LNKD" };
    enum { FIRST_SLOT = 1, LAST_SLOT = 31, FIRST_PIN = 16 };

    aml_name(aml, name);
    size_t table = aml_package(aml, (LAST_SLOT - FIRST_SLOT + 1) * 4);
    for (unsigned slot = FIRST_SLOT; slot <= LAST_SLOT; slot++) {
        for (unsigned intx = 0; intx < 4; intx++) {
            unsigned pirq = (slot - 1 + intx) % 4;
            size_t row = aml_package(aml, 4);
            aml_integer(aml, (uint32_t)slot << 16 | 0xffff);
            aml_integer(aml, intx);
            if (is_apic) {
                aml_integer(aml, 0);
                aml_integer(aml, FIRST_PIN + pirq);
            } else {
                aml_path(aml, links[pirq]);
                aml_integer(aml, 0);
            }
            aml_close(aml, row);
        }
    }
    aml_close(aml, table);
}

static void add_pci_routing(struct state_stream *aml)
{
    add_routing_table(aml, "PRTP", false);
    add_routing_table(aml, "PRTA", true);
    size_t method = aml_method(aml, "_PRT", 0);
    size_t branch = aml_if(aml);
    aml_path(aml, "\\PICF");
    aml_byte(aml, AML_RETURN);
    aml_path(aml, "PRTA");
    aml_close(aml, branch);
    aml_byte(aml, AML_RETURN);
    aml_path(aml, "PRTP");
    aml_close(aml, method);
}

/* An ISA device: one or two port ranges and perhaps an IRQ. */
struct isa_device {
    const char *name, *id;
    uint16_t first1, count1, first2, count2;
    uint8_t irq; /* 0: none */
    uint8_t uid;
};

static void add_isa_device(struct state_stream *aml, const struct isa_device *isa)
{
    size_t device = aml_device(aml, isa->name);

    aml_name_eisaid(aml, "_HID", isa->id);
    if (isa->uid != 0) {
        aml_name_integer(aml, "_UID", isa->uid);
    }
    aml_name_integer(aml, "_STA", 0x0f);
    aml_name(aml, "_CRS");
    struct aml_resources crs = aml_resources(aml);
    if (isa->count1 != 0) {
        aml_io(aml, isa->first1, isa->count1);
    }
    if (isa->count2 != 0) {
        aml_io(aml, isa->first2, isa->count2);
    }
    if (isa->irq != 0) {
        aml_irq(aml, isa->irq);
    }
    aml_resources_close(aml, crs);
    aml_close(aml, device);
}

/* The DMA controllers, and the ports that have no driver, have more ranges. */
static void add_dma_and_board(struct state_stream *aml)
{
    size_t device = aml_device(aml, "DMAC");
    aml_name_eisaid(aml, "_HID", "PNP0200");
    aml_name(aml, "_CRS");
    struct aml_resources crs = aml_resources(aml);
    aml_io(aml, 0x00, 0x10);
    aml_io(aml, 0x81, 0x0f);
    aml_io(aml, 0xc0, 0x20);
    aml_dma(aml, 4);
    aml_resources_close(aml, crs);
    aml_close(aml, device);

    device = aml_device(aml, "MBRD");
    aml_name_eisaid(aml, "_HID", "PNP0C02");
    aml_name(aml, "_CRS");
    crs = aml_resources(aml);
    aml_io(aml, 0x80, 1);
    aml_io(aml, 0x92, 1);
    aml_io(aml, APM_PORT, 2);
    aml_io(aml, 0x4d0, 2);
    aml_io(aml, 0x510, 12);
    aml_io(aml, PM_BASE, 0x40);
    aml_io(aml, SMB_BASE, 0x10);
    aml_io(aml, GPE0_BASE, 4);
    aml_resources_close(aml, crs);
    aml_close(aml, device);
}

static void add_hpet_device(struct state_stream *aml)
{
    size_t device = aml_device(aml, "HPET");

    aml_name_eisaid(aml, "_HID", "PNP0103");
    aml_name_integer(aml, "_UID", 0);
    aml_name(aml, "_CRS");
    struct aml_resources crs = aml_resources(aml);
    aml_memory_fixed(aml, HPET_BASE, HPET_SIZE);
    aml_resources_close(aml, crs);
    aml_close(aml, device);
}

static void add_isa_devices(struct state_stream *aml, const struct acpi_config *config)
{
    static const struct isa_device fixed[] = {
        { "PIC", "PNP0000", 0x20, 2, 0xa0, 2, 2, 0 },  { "TIMR", "PNP0100", 0x40, 4, 0, 0, 0, 0 },
        { "SPKR", "PNP0800", 0x61, 1, 0, 0, 0, 0 },    { "RTC", "PNP0B00", 0x70, 2, 0, 0, 8, 0 },
        { "FPU", "PNP0C04", 0xf0, 1, 0, 0, 13, 0 },
    };
    static const struct isa_device serial[2] = {
        { "COM1", "PNP0501", 0x3f8, 8, 0, 0, 4, 1 },
        { "COM2", "PNP0501", 0x2f8, 8, 0, 0, 3, 2 },
    };
    static const struct isa_device keyboard = { "KBD", "PNP0303", 0x60, 1, 0x64, 1, 1, 0 };
    static const struct isa_device mouse = { "MOU", "PNP0F13", 0, 0, 0, 0, 12, 0 };

    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        add_isa_device(aml, &fixed[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        if (config->has_serial[i]) {
            add_isa_device(aml, &serial[i]);
        }
    }
    if (config->has_keyboard) {
        add_isa_device(aml, &keyboard);
        add_isa_device(aml, &mouse);
    }
    add_dma_and_board(aml);
}

static void add_pci_bus(struct state_stream *aml, const struct acpi_config *config)
{
    size_t bus = aml_device(aml, "PCI0");
    aml_name_eisaid(aml, "_HID", "PNP0A03");
    aml_name_integer(aml, "_ADR", 0);
    aml_name_integer(aml, "_UID", 0);
    add_pci_windows(aml, config);
    add_pci_routing(aml);

    size_t isa = aml_device(aml, "ISA");
    aml_name_integer(aml, "_ADR", 0x00010000);
    aml_operation_region(aml, "P40C", AML_SPACE_PCI_CONFIG, 0x60, 4);
    size_t field = aml_field(aml, "P40C", AML_FIELD_BYTE_ACCESS);
    aml_field_unit(aml, "PRQA", 8);
    aml_field_unit(aml, "PRQB", 8);
    aml_field_unit(aml, "PRQC", 8);
    aml_field_unit(aml, "PRQD", 8);
    aml_close(aml, field);
    add_isa_devices(aml, config);
    aml_close(aml, isa);
    aml_close(aml, bus);
}

/* Interrupt link n: its register has bit 7 set while it is disabled, and the IRQ in the low bits. */
static void add_link(struct state_stream *aml, unsigned number)
{
    static const uint8_t choices[] = { 5, 10, 11 };
    static const uint8_t none[] = { 0 };
    char name[] = "LNKA";
    char reg[] = "\\_SB.PCI0.ISA.PRQA";
    enum { FIRST_INTERRUPT = 5 /* offset in the descriptor */ };

    name[3] = (char)('A' + number);
    reg[sizeof reg - 2] = (char)('A' + number);
    size_t device = aml_device(aml, name);
    aml_name_eisaid(aml, "_HID", "PNP0C0F");
    aml_name_integer(aml, "_UID", number + 1);
    aml_name(aml, "_PRS");
    struct aml_resources prs = aml_resources(aml);
    aml_interrupts(aml, choices, sizeof choices);
    aml_resources_close(aml, prs);

    size_t method = aml_method(aml, "_STA", 0);
    size_t branch = aml_if(aml);
    aml_byte(aml, AML_AND);
    aml_path(aml, reg);
    aml_integer(aml, 0x80);
    aml_byte(aml, AML_NO_TARGET);
    aml_byte(aml, AML_RETURN);
    aml_integer(aml, 0x09);
    aml_close(aml, branch);
    aml_byte(aml, AML_RETURN);
    aml_integer(aml, 0x0b);
    aml_close(aml, method);

    method = aml_method(aml, "_DIS", 0);
    aml_byte(aml, AML_OR);
    aml_path(aml, reg);
    aml_integer(aml, 0x80);
    aml_path(aml, reg);
    aml_close(aml, method);

    method = aml_method(aml, "_CRS", 0);
    aml_name(aml, "BUF");
    struct aml_resources crs = aml_resources(aml);
    aml_interrupts(aml, none, sizeof none);
    aml_resources_close(aml, crs);
    aml_create_dword_field(aml, 0, "BUF", FIRST_INTERRUPT, "IRQN");
    branch = aml_if(aml);
    aml_byte(aml, AML_LESS);
    aml_path(aml, reg);
    aml_integer(aml, 0x80);
    aml_byte(aml, AML_STORE);
    aml_path(aml, reg);
    aml_path(aml, "IRQN");
    aml_close(aml, branch);
    aml_byte(aml, AML_RETURN);
    aml_path(aml, "BUF");
    aml_close(aml, method);

    method = aml_method(aml, "_SRS", 1);
    aml_create_dword_field(aml, AML_ARG0, "", FIRST_INTERRUPT, "IRQN");
    aml_byte(aml, AML_STORE);
    aml_path(aml, "IRQN");
    aml_path(aml, reg);
    aml_close(aml, method);
    aml_close(aml, device);
}

static void add_dsdt_body(struct state_stream *aml, const struct acpi_config *config)
{
    add_sleep_state(aml, "\\_S4", 2);
    add_sleep_state(aml, "\\_S5", 0);
    aml_name_integer(aml, "\\PICF", 0);
    size_t method = aml_method(aml, "\\_PIC", 1);
    aml_byte(aml, AML_STORE);
    aml_byte(aml, AML_ARG0);
    aml_path(aml, "\\PICF");
    aml_close(aml, method);
    size_t scope = aml_scope(aml, "\\_PR");
    for (unsigned n = 0; n < config->processors; n++) {
        static const char digits[] = "0123456789ABCDEF";
        char name[] = "CPU0";
        if (n >= 16) {
            name[2] = digits[n / 16];
        }
        name[3] = digits[n % 16];
        aml_close(aml, aml_processor(aml, name, n));
    }
    aml_close(aml, scope);
    scope = aml_scope(aml, "\\_SB");
    add_pci_bus(aml, config);
    for (unsigned i = 0; i < 4; i++) {
        add_link(aml, i);
    }
    add_hpet_device(aml);
    aml_close(aml, scope);
}

/* ---- tables ---- */

/* A table's header (5.2.6) at the end of `out`; length and checksum come with finish_table(). */
static size_t start_table(struct state_stream *out, const char *signature)
{
    uint8_t header[HEADER_SIZE] = { 0 };
    size_t at = out->size;

    memcpy(header, signature, 4);
    header[8] = 1;
    memcpy(header + 10, "TICK86", 6);
    memcpy(header + 16, "T86PC   ", 8);
    memcpy(header + 16 + 5, signature, 3);
    store_le32(header + 24, 1);
    memcpy(header + 28, "T86 ", 4);
    store_le32(header + 32, 1);
    state_stream_put(out, header, sizeof header);
    return at;
}

static void set_checksum(struct state_stream *out, size_t start, size_t length, size_t at)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < length; i++) {
        sum = (uint8_t)(sum + out->bytes[start + i]);
    }
    out->bytes[at] = (uint8_t)(out->bytes[at] - sum);
}

static void finish_table(struct state_stream *out, size_t start)
{
    if (!out->failed) {
        store_le32(out->bytes + start + 4, (uint32_t)(out->size - start));
        set_checksum(out, start, out->size - start, start + HEADER_CHECKSUM);
    }
}

/* 5.2.9 in ACPI 6.4, 5.2.5 in 1.0b. */
static size_t add_fadt(struct state_stream *out, size_t facs, size_t dsdt)
{
    enum {
        FLAG_WBINVD = 1 << 0,
        FLAG_C1 = 1 << 2,
        FLAG_NO_SLEEP_BUTTON = 1 << 5, /* of the fixed kind; the power button is */
        FLAG_RTC_S4 = 1 << 7,
    };
    uint8_t fadt[FADT_SIZE] = { 0 };
    size_t start = start_table(out, "FACP");

    /* Offsets below are the specification's, from the start of the table. */
    store_le32(fadt + FADT_FACS, (uint32_t)facs);
    store_le32(fadt + FADT_DSDT, (uint32_t)dsdt);
    store_le16(fadt + 46, SCI_IRQ);
    store_le32(fadt + 48, APM_PORT);
    fadt[52] = 0xf1; /* ACPI_ENABLE */
    fadt[53] = 0xf0; /* ACPI_DISABLE */
    store_le32(fadt + 56, PM_BASE);
    store_le32(fadt + 64, PM_BASE + 4);
    store_le32(fadt + 76, PM_BASE + 8);
    store_le32(fadt + 80, GPE0_BASE);
    fadt[88] = 4; /* lengths of PM1 event, PM1 control, PM timer and GPE0 */
    fadt[89] = 2;
    fadt[91] = 4;
    fadt[92] = 4;
    store_le16(fadt + 96, 0xfff); /* no C2, no C3 */
    store_le16(fadt + 98, 0xfff);
    fadt[108] = 0x32; /* century in CMOS */
    store_le32(fadt + 112, FLAG_WBINVD | FLAG_C1 | FLAG_NO_SLEEP_BUTTON | FLAG_RTC_S4);
    state_stream_put(out, fadt + HEADER_SIZE, sizeof fadt - HEADER_SIZE);
    finish_table(out, start);
    return start;
}

static size_t add_facs(struct state_stream *out)
{
    uint8_t facs[FACS_SIZE] = { 'F', 'A', 'C', 'S', FACS_SIZE };
    size_t start = out->size;

    state_stream_put(out, facs, sizeof facs);
    return start;
}

/* 5.2.12: the interrupt controllers. IRQ 0 is on pin 2; the SCI is level-triggered and active high, as the 8259s want it. */
static void add_madt(struct state_stream *out, const struct acpi_config *config)
{
    enum { LOCAL = 0, IO = 1, OVERRIDE = 2, LOCAL_NMI = 4, LEVEL_HIGH = 0x0d, PCAT_COMPATIBLE = 1, IO_ID = 0 };
    uint8_t head[8] = { 0 };
    uint8_t io[12] = { IO, 12, IO_ID };
    uint8_t timer[10] = { OVERRIDE, 10, 0, 0, 2 };
    uint8_t sci[10] = { OVERRIDE, 10, 0, SCI_IRQ, SCI_IRQ, 0, 0, 0, LEVEL_HIGH };
    uint8_t nmi[6] = { LOCAL_NMI, 6, 0xff, 0, 0, 1 };

    store_le32(head, UINT32_C(0xfee00000));
    store_le32(head + 4, PCAT_COMPATIBLE);
    state_stream_put(out, head, sizeof head);
    for (unsigned n = 0; n < config->processors; n++) {
        uint8_t local[8] = { LOCAL, 8, (uint8_t)n, (uint8_t)n, 1 };
        state_stream_put(out, local, sizeof local);
    }
    store_le32(io + 4, IOAPIC_BASE);
    state_stream_put(out, io, sizeof io);
    state_stream_put(out, timer, sizeof timer);
    state_stream_put(out, sci, sizeof sci);
    state_stream_put(out, nmi, sizeof nmi);
}

/* IA-PC HPET Specification 1.0a, 3.2.4. */
static void add_hpet(struct state_stream *out, const struct acpi_config *config)
{
    enum { SHORTEST_PERIODIC = 100 };
    uint8_t body[20] = { 0 };

    (void)config;
    store_le32(body, HPET_ID);
    body[4] = 0; /* system memory */
    body[5] = 64;
    store_le64(body + 8, HPET_BASE);
    store_le16(body + 17, SHORTEST_PERIODIC);
    state_stream_put(out, body, sizeof body);
}

/* ---- the loader's script ---- */

enum {
    COMMAND_ALLOCATE = 1,
    COMMAND_ADD_POINTER = 2,
    COMMAND_ADD_CHECKSUM = 3,
    ZONE_HIGH = 1,
    ZONE_FSEG = 2,
    COMMAND_SIZE = 128,
    FILE_SIZE = FW_CFG_NAME_SIZE,
};

static void set_file(uint8_t *at, const char *file)
{
    memcpy(at, file, strlen(file));
}

static void load_allocate(struct state_stream *loader, const char *file, uint32_t align, uint8_t zone)
{
    uint8_t command[COMMAND_SIZE] = { COMMAND_ALLOCATE };

    set_file(command + 4, file);
    store_le32(command + 4 + FILE_SIZE, align);
    command[8 + FILE_SIZE] = zone;
    state_stream_put(loader, command, sizeof command);
}

/* Adds the address of `target` to the 32-bit number at `offset` of `file`. */
static void load_pointer(struct state_stream *loader, const char *file, const char *target, size_t offset)
{
    uint8_t command[COMMAND_SIZE] = { COMMAND_ADD_POINTER };

    set_file(command + 4, file);
    set_file(command + 4 + FILE_SIZE, target);
    store_le32(command + 4 + 2 * FILE_SIZE, (uint32_t)offset);
    command[8 + 2 * FILE_SIZE] = 4;
    state_stream_put(loader, command, sizeof command);
}

static void load_checksum(struct state_stream *loader, const char *file, size_t offset, size_t start, size_t length)
{
    uint8_t command[COMMAND_SIZE] = { COMMAND_ADD_CHECKSUM };

    set_file(command + 4, file);
    store_le32(command + 4 + FILE_SIZE, (uint32_t)offset);
    store_le32(command + 8 + FILE_SIZE, (uint32_t)start);
    store_le32(command + 12 + FILE_SIZE, (uint32_t)length);
    state_stream_put(loader, command, sizeof command);
}

static void add_rsdp(struct state_stream *out, size_t rsdt)
{
    uint8_t rsdp[RSDP_SIZE] = "RSD PTR ";

    memcpy(rsdp + 9, "TICK86", 6);
    store_le32(rsdp + RSDP_RSDT, (uint32_t)rsdt);
    state_stream_put(out, rsdp, sizeof rsdp);
    if (!out->failed) {
        set_checksum(out, 0, RSDP_SIZE, RSDP_CHECKSUM);
    }
}

bool acpi_tables_build(struct acpi_tables *acpi, const struct acpi_config *config, struct error *err)
{
    struct state_stream *tables = &acpi->tables;
    struct state_stream *loader = &acpi->loader;
    uint8_t pointer[4];

    memset(acpi, 0, sizeof *acpi);
    load_allocate(loader, rsdp_file, 16, ZONE_FSEG);
    load_allocate(loader, tables_file, 64, ZONE_HIGH);

    size_t facs = add_facs(tables);
    size_t dsdt = start_table(tables, "DSDT");
    add_dsdt_body(tables, config);
    finish_table(tables, dsdt);
    size_t fadt = add_fadt(tables, facs, dsdt);
    load_pointer(loader, tables_file, tables_file, fadt + FADT_FACS);
    load_pointer(loader, tables_file, tables_file, fadt + FADT_DSDT);
    load_checksum(loader, tables_file, fadt + HEADER_CHECKSUM, fadt, FADT_SIZE);

    static const struct {
        const char *signature;
        void (*add)(struct state_stream *out, const struct acpi_config *config);
    } more[] = { { "APIC", add_madt }, { "HPET", add_hpet } };
    enum { MORE = sizeof more / sizeof more[0] };
    size_t listed[1 + MORE] = { fadt };
    for (unsigned n = 0; n < MORE; n++) {
        size_t start = listed[1 + n] = start_table(tables, more[n].signature);
        more[n].add(tables, config);
        finish_table(tables, start);
    }

    size_t rsdt = start_table(tables, "RSDT");
    for (unsigned n = 0; n <= MORE; n++) {
        store_le32(pointer, (uint32_t)listed[n]);
        state_stream_put(tables, pointer, sizeof pointer);
    }
    finish_table(tables, rsdt);
    for (size_t n = 0; n <= MORE; n++) {
        load_pointer(loader, tables_file, tables_file, rsdt + HEADER_SIZE + 4 * n);
    }
    load_checksum(loader, tables_file, rsdt + HEADER_CHECKSUM, rsdt, tables->size - rsdt);

    add_rsdp(&acpi->rsdp, rsdt);
    load_pointer(loader, rsdp_file, tables_file, RSDP_RSDT);
    load_checksum(loader, rsdp_file, RSDP_CHECKSUM, 0, RSDP_SIZE);
    if (tables->failed || loader->failed || acpi->rsdp.failed) {
        return error_set(err, "out of memory for the ACPI tables");
    }
    return true;
}

void acpi_tables_free(struct acpi_tables *acpi)
{
    state_stream_free(&acpi->tables);
    state_stream_free(&acpi->rsdp);
    state_stream_free(&acpi->loader);
}

bool acpi_tables_add(struct device *fw_cfg, const struct acpi_config *config, struct error *err)
{
    struct acpi_tables acpi;
    bool is_ok = acpi_tables_build(&acpi, config, err) &&
                 fw_cfg_add_file(fw_cfg, tables_file, acpi.tables.bytes, acpi.tables.size, err) &&
                 fw_cfg_add_file(fw_cfg, rsdp_file, acpi.rsdp.bytes, acpi.rsdp.size, err) &&
                 fw_cfg_add_file(fw_cfg, "etc/table-loader", acpi.loader.bytes, acpi.loader.size, err);

    acpi_tables_free(&acpi);
    return is_ok;
}
