/* test_fw_cfg.c - the firmware configuration device from its ports and by DMA (QEMU docs/specs/fw_cfg.rst). */
#include "devices/fw_cfg.h"
#include "tests/support/check_class.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static struct box box;
static struct error err;
static const struct property properties[] = {
    { .name = "ram_size", .number = 0x8000000 }, { .name = "cpus", .number = 2 }, { .name = "boot_device", .number = 'c' }, { .name = NULL }
};

static void setup(void)
{
    box_open_with(&box, &fw_cfg_class, properties);
    box_map_ports(&box, 0x510, 12, 0);
}

static void teardown(void)
{
    box_close(&box);
}

static void read_item(unsigned key, void *bytes, size_t size)
{
    uint8_t *to = bytes;

    box_out16(&box, 0x510, key);
    for (size_t i = 0; i < size; i++) {
        to[i] = box_in8(&box, 0x511);
    }
}

/* Runs a DMA command that lies at `at`; all big-endian, as the guest writes it. */
static uint32_t dma(uint32_t at, uint32_t control, uint32_t length, uint32_t address)
{
    uint32_t words[4] = { control, length, 0, address };

    for (unsigned i = 0; i < 16; i++) {
        box_write8(&box, at + i, words[i / 4] >> (24 - 8 * (i % 4)));
    }
    uint8_t swapped[4] = { (uint8_t)(at >> 24), (uint8_t)(at >> 16), (uint8_t)(at >> 8), (uint8_t)at };
    box_out32(&box, 0x514, 0);
    box_out32(&box, 0x518, load_le32(swapped));
    return (uint32_t)box_read8(&box, at) << 24 | (uint32_t)box_read8(&box, at + 1) << 16 |
           (uint32_t)box_read8(&box, at + 2) << 8 | box_read8(&box, at + 3);
}

START_TEST(signature_and_numbers)
{
    uint8_t bytes[16];

    read_item(FW_CFG_SIGNATURE, bytes, 6);
    ck_assert_mem_eq(bytes, "QEMU\0\0", 6);
    read_item(FW_CFG_ID, bytes, 4);
    ck_assert_uint_eq(load_le32(bytes), 3);
    read_item(FW_CFG_RAM_SIZE, bytes, 8);
    ck_assert_uint_eq(load_le64(bytes), 0x8000000);
    read_item(FW_CFG_NB_CPUS, bytes, 2);
    ck_assert_uint_eq(load_le16(bytes), 2);
    read_item(FW_CFG_MAX_CPUS, bytes, 2);
    ck_assert_uint_eq(load_le16(bytes), 2);
    read_item(FW_CFG_BOOT_DEVICE, bytes, 2);
    ck_assert_uint_eq(load_le16(bytes), 'c');
    ck_assert(fw_cfg_add_u16(box.dev, FW_CFG_ARCH_LOCAL + 3, 0x1234, &err));
    read_item(FW_CFG_ARCH_LOCAL + 3, bytes, 2);
    ck_assert_uint_eq(load_le16(bytes), 0x1234);
    /* The DMA interface announces itself. */
    ck_assert_uint_eq(box_in32(&box, 0x514), load_le32("QEMU"));
    ck_assert_uint_eq(box_in32(&box, 0x518), load_le32(" CFG"));
    check_class_with(&fw_cfg_class, properties);
}
END_TEST

START_TEST(items_that_are_not_there_read_zeros)
{
    uint8_t bytes[8];

    read_item(0x1f, bytes, 8);
    ck_assert_mem_eq(bytes, "\0\0\0\0\0\0\0\0", 8);
    read_item(0x3fff, bytes, 8);
    ck_assert_mem_eq(bytes, "\0\0\0\0\0\0\0\0", 8);
    read_item(0xffff, bytes, 8);
    ck_assert_mem_eq(bytes, "\0\0\0\0\0\0\0\0", 8);
}
END_TEST

START_TEST(files_are_sorted_and_found)
{
    uint8_t directory[4 + 3 * 64];
    uint8_t bytes[8];

    ck_assert(fw_cfg_add_file(box.dev, "vgaroms/a.rom", "abcd", 4, &err));
    ck_assert(fw_cfg_add_file(box.dev, "bootorder", "x", 1, &err));
    ck_assert(fw_cfg_add_file(box.dev, "etc/boot-menu-wait", "12", 2, &err));
    read_item(FW_CFG_FILE_DIR, directory, sizeof directory);
    ck_assert_uint_eq(directory[3], 3);
    ck_assert_str_eq((char *)directory + 12, "bootorder");
    ck_assert_str_eq((char *)directory + 12 + 64, "etc/boot-menu-wait");
    ck_assert_str_eq((char *)directory + 12 + 128, "vgaroms/a.rom");
    ck_assert_uint_eq(directory[4 + 128 + 3], 4);        /* size */
    ck_assert_uint_eq(directory[4 + 128 + 5], 0x20 + 2); /* key */
    read_item(0x22, bytes, 5);
    ck_assert_mem_eq(bytes, "abcd\0", 5);
    ck_assert(!fw_cfg_add_file(box.dev, "bootorder", "y", 1, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "bootorder"));
    ck_assert(!fw_cfg_add_file(box.dev, "a name that is much too long for the directory of this device", "y", 1, &err));
}
END_TEST

START_TEST(there_is_an_end_to_files)
{
    char name[16];

    for (unsigned i = 0; i < FW_CFG_FILES_MAX; i++) {
        snprintf(name, sizeof name, "f%u", i);
        ck_assert(fw_cfg_add_file(box.dev, name, NULL, 0, &err));
    }
    ck_assert(!fw_cfg_add_file(box.dev, "one more", NULL, 0, &err));
}
END_TEST

START_TEST(dma_reads_skips_and_selects)
{
    ck_assert(fw_cfg_add_file(box.dev, "file", "0123456789", 10, &err));
    ck_assert_uint_eq(dma(0x1000, 0x20u << 16 | 8 | 4, 3, 0), 0); /* select, skip 3 */
    ck_assert_uint_eq(dma(0x1000, 2, 4, 0x2000), 0);
    ck_assert_mem_eq(box.ram.host + 0x2000, "3456", 4);
    memset(box.ram.host + 0x3000, 0xff, 8);
    ck_assert_uint_eq(dma(0x1000, 2, 6, 0x3000), 0); /* past the end: zeros */
    ck_assert_mem_eq(box.ram.host + 0x3000, "789\0\0\0\xff\xff", 8);
    ck_assert_uint_eq(dma(0x1000, 0x20u << 16 | 8 | 16, 4, 0x3000), 1); /* no item can be written */
}
END_TEST

START_TEST(wild_dma_does_no_harm)
{
    dma(0x1000, 0xffffu << 16 | 8 | 2, 0x4000000, 0xfff000);
    dma(0x1000, 4, 0xffffffff, 0);
    box_out32(&box, 0x514, 0xffffffff);
    box_out32(&box, 0x518, 0xffffffff);
    box_out8(&box, 0x518, 1);
    box_out16(&box, 0x51a, 1);
}
END_TEST

START_TEST(e820_lists_memory)
{
    uint8_t bytes[40];

    ck_assert(fw_cfg_add_e820(box.dev, 0xc0000000, 0x40000000, &err));
    read_item(0x20, bytes, 40);
    ck_assert_uint_eq(load_le64(bytes + 8), 0xc0000000);
    ck_assert_uint_eq(load_le32(bytes + 16), 1);
    ck_assert_uint_eq(load_le64(bytes + 20), UINT64_C(0x100000000));
    ck_assert_uint_eq(load_le64(bytes + 28), 0x40000000);
}
END_TEST

START_TEST(position_survives_save_and_load)
{
    uint8_t bytes[2];

    read_item(FW_CFG_SIGNATURE, bytes, 2);
    box_save_load(&box);
    ck_assert_uint_eq(box_in8(&box, 0x511), 'M');
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fw_cfg");
    TCase *tcase = tcase_create("fw_cfg");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, signature_and_numbers);
    tcase_add_test(tcase, items_that_are_not_there_read_zeros);
    tcase_add_test(tcase, files_are_sorted_and_found);
    tcase_add_test(tcase, there_is_an_end_to_files);
    tcase_add_test(tcase, dma_reads_skips_and_selects);
    tcase_add_test(tcase, wild_dma_does_no_harm);
    tcase_add_test(tcase, e820_lists_memory);
    tcase_add_test(tcase, position_survives_save_and_load);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
