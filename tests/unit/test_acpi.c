/* test_acpi.c - the AML encoder, and the ACPI tables as they stand in memory after the loader's script ran. */
#include "devices/acpi_aml.h"
#include "devices/acpi_tables.h"
#include "mem/space.h"

#include <check.h>
#include <string.h>

static void check_bytes(struct state_stream *aml, const void *expected, size_t size)
{
    ck_assert(!aml->failed);
    ck_assert_uint_eq(aml->size, size);
    ck_assert_mem_eq(aml->bytes, expected, size);
    state_stream_free(aml);
}

START_TEST(integers_take_the_shortest_form)
{
    struct state_stream aml = { 0 };

    aml_integer(&aml, 0);
    aml_integer(&aml, 1);
    aml_integer(&aml, 2);
    aml_integer(&aml, 0x100);
    aml_integer(&aml, 0x10000);
    check_bytes(&aml, "\x00\x01\x0a\x02\x0b\x00\x01\x0c\x00\x00\x01\x00", 12);
}
END_TEST

START_TEST(paths_are_filled_and_prefixed)
{
    struct state_stream aml = { 0 };

    aml_path(&aml, "A");
    aml_path(&aml, "\\_SB.PCI0");
    aml_path(&aml, "^X.YY.ZZZZ");
    check_bytes(&aml, "A___\\\x2e_SB_PCI0^\x2f\x03X___YY__ZZZZ", 4 + 10 + 15);
}
END_TEST

/* ACPI 6.4, 20.2.4: lengths of one, two and three bytes, which count themselves. */
START_TEST(package_lengths_count_themselves)
{
    static const size_t sizes[] = { 0, 57, 58, 59, 4088, 4089, 4090, 70000 };

    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct state_stream aml = { 0 };
        size_t scope = aml_scope(&aml, "ABCD");
        for (size_t n = 0; n < sizes[i]; n++) {
            aml_byte(&aml, 0xa3);
        }
        aml_close(&aml, scope);
        unsigned more = aml.bytes[1] >> 6;
        size_t length = more == 0 ? aml.bytes[1] & 0x3fu : aml.bytes[1] & 0xfu;
        for (unsigned n = 0; n < more; n++) {
            length |= (size_t)aml.bytes[2 + n] << (4 + 8 * n);
        }
        ck_assert_uint_eq(length, aml.size - 1);
        ck_assert_uint_eq(aml.size, 1 + 1 + more + 4 + sizes[i]);
        ck_assert_mem_eq(aml.bytes + 2 + more, "ABCD", 4);
        state_stream_free(&aml);
    }
}
END_TEST

START_TEST(eisa_ids_are_packed)
{
    struct state_stream aml = { 0 };

    aml_name_eisaid(&aml, "_HID", "PNP0303");
    check_bytes(&aml, "\x08_HID\x0c\x41\xd0\x03\x03", 10);
}
END_TEST

START_TEST(resource_templates_know_their_size)
{
    struct state_stream aml = { 0 };
    struct aml_resources crs = aml_resources(&aml);

    aml_io(&aml, 0x60, 1);
    aml_irq(&aml, 1);
    aml_resources_close(&aml, crs);
    check_bytes(&aml, "\x11\x11\x0b\x0d\x00\x47\x01\x60\x00\x60\x00\x01\x01\x22\x02\x00\x79\x00", 18);
}
END_TEST

/* ---- the tables ---- */

enum { MEMORY_SIZE = 0x20000, TABLES_AT = 0x1000, RSDP_AT = 0xf000 };

static uint8_t *memory_of(uint8_t *memory, const uint8_t *file)
{
    return strcmp((const char *)file, "etc/acpi/rsdp") == 0 ? memory + RSDP_AT : memory + TABLES_AT;
}

static uint8_t sum(const uint8_t *bytes, size_t size)
{
    uint8_t total = 0;

    for (size_t i = 0; i < size; i++) {
        total = (uint8_t)(total + bytes[i]);
    }
    return total;
}

/* What SeaBIOS does with the script (src/fw/romfile_loader.c). */
static void run_loader(const struct acpi_tables *acpi, uint8_t *memory)
{
    unsigned allocations = 0;

    memcpy(memory + TABLES_AT, acpi->tables.bytes, acpi->tables.size);
    memcpy(memory + RSDP_AT, acpi->rsdp.bytes, acpi->rsdp.size);
    ck_assert_uint_eq(acpi->loader.size % 128, 0);
    for (size_t at = 0; at < acpi->loader.size; at += 128) {
        const uint8_t *command = acpi->loader.bytes + at;
        uint8_t *to = memory_of(memory, command + 4);
        if (load_le32(command) == 1) {
            allocations++;
        } else if (load_le32(command) == 2) {
            uint8_t *pointer = to + load_le32(command + 116);
            ck_assert_uint_eq(command[120], 4);
            store_le32(pointer, load_le32(pointer) + (uint32_t)(memory_of(memory, command + 60) - memory));
        } else {
            ck_assert_uint_eq(load_le32(command), 3);
            uint8_t *checksum = to + load_le32(command + 60);
            *checksum = (uint8_t)(*checksum - sum(to + load_le32(command + 64), load_le32(command + 68)));
        }
    }
    ck_assert_uint_eq(allocations, 2);
}

static const uint8_t *table_at(const uint8_t *memory, uint32_t address, const char *signature)
{
    const uint8_t *table = memory + address;

    ck_assert_uint_lt(address, MEMORY_SIZE);
    ck_assert_mem_eq(table, signature, 4);
    if (strcmp(signature, "FACS") != 0) {
        ck_assert_uint_eq(sum(table, load_le32(table + 4)), 0);
    }
    return table;
}

START_TEST(the_script_links_every_table)
{
    static uint8_t memory[MEMORY_SIZE];
    struct acpi_config config = { .low_ram_bytes = 128 << 20, .has_serial = { true, true }, .has_keyboard = true, .processors = 3 };
    struct acpi_tables acpi;
    struct error err;

    ck_assert(acpi_tables_build(&acpi, &config, &err));
    run_loader(&acpi, memory);
    const uint8_t *rsdp = memory + RSDP_AT;
    ck_assert_mem_eq(rsdp, "RSD PTR ", 8);
    ck_assert_uint_eq(sum(rsdp, 20), 0);
    const uint8_t *rsdt = table_at(memory, load_le32(rsdp + 16), "RSDT");
    ck_assert_uint_eq(load_le32(rsdt + 4), 48);
    const uint8_t *fadt = table_at(memory, load_le32(rsdt + 36), "FACP");
    ck_assert_uint_eq(load_le32(fadt + 4), 116);
    ck_assert_uint_eq(load_le16(fadt + 46), 9);
    ck_assert_uint_eq(load_le32(fadt + 48), 0xb2);
    ck_assert_uint_eq(load_le32(fadt + 56), 0x600);
    ck_assert_uint_eq(load_le32(fadt + 76), 0x608);
    ck_assert_uint_eq(load_le32(fadt + 36) % 64, 0); /* the FACS is aligned */
    table_at(memory, load_le32(fadt + 36), "FACS");
    const uint8_t *dsdt = table_at(memory, load_le32(fadt + 40), "DSDT");
    ck_assert_uint_gt(load_le32(dsdt + 4), 2000);
    /* Three processors, the I/O APIC, IRQ 0 and 9, NMI. */
    const uint8_t *madt = table_at(memory, load_le32(rsdt + 40), "APIC");
    ck_assert_uint_eq(load_le32(madt + 4), 44 + 3 * 8 + 12 + 10 + 10 + 6);
    ck_assert_uint_eq(madt[44 + 2 * 8 + 3], 2);
    ck_assert_uint_eq(load_le32(madt + 44 + 3 * 8 + 4), 0xfec00000);
    const uint8_t *hpet = table_at(memory, load_le32(rsdt + 44), "HPET");
    ck_assert_uint_eq(load_le32(hpet + 4), 56);
    ck_assert_uint_eq(load_le64(hpet + 44), 0xfed00000);
    acpi_tables_free(&acpi);
}
END_TEST

START_TEST(absent_chips_are_not_described)
{
    struct acpi_config all = { .low_ram_bytes = 128 << 20, .has_serial = { true, true }, .has_keyboard = true, .processors = 1 };
    struct acpi_config none = { .low_ram_bytes = UINT64_C(0xe0000000) };
    struct acpi_tables with, without;
    struct error err;

    ck_assert(acpi_tables_build(&with, &all, &err));
    ck_assert(acpi_tables_build(&without, &none, &err));
    ck_assert_uint_gt(with.tables.size, without.tables.size + 100);
    acpi_tables_free(&with);
    acpi_tables_free(&without);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("acpi");
    TCase *tcase = tcase_create("acpi");
    tcase_add_test(tcase, integers_take_the_shortest_form);
    tcase_add_test(tcase, paths_are_filled_and_prefixed);
    tcase_add_test(tcase, package_lengths_count_themselves);
    tcase_add_test(tcase, eisa_ids_are_packed);
    tcase_add_test(tcase, resource_templates_know_their_size);
    tcase_add_test(tcase, the_script_links_every_table);
    tcase_add_test(tcase, absent_chips_are_not_described);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
