/* test_i440fx.c - the host bridge seen from its ports and from memory (82441FX data sheet), with a PCI function behind it
 * (PCI Local Bus Specification 2.1, chapter 6). */
#include "devices/i440fx.h"
#include "tests/support/check_class.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { BIOS_SIZE = 0x40000 };
#define BAR_BASE UINT32_C(0xe1000000)

/* A PCI function with a memory BAR, a port BAR and a ROM. */
struct card {
    struct device dev;
    struct pci_function pci;
    struct region region;
    struct region rom;
    struct memory *memory;
    uint32_t last;
    uint8_t pad_[4];
};

static uint32_t card_read(void *owner, uint64_t offset, unsigned size)
{
    (void)owner, (void)size;
    return 0xc0de0000u + (uint32_t)offset;
}
static void card_write(void *owner, uint64_t offset, unsigned size, uint32_t value)
{
    (void)offset, (void)size;
    ((struct card *)owner)->last = value;
}
static uint32_t card_port_read(void *owner, unsigned reg, unsigned size)
{
    (void)owner, (void)size;
    return 0x50u + reg;
}
static void card_port_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    (void)reg, (void)size;
    ((struct card *)owner)->last = value;
}
static const struct region_ops card_ops = { card_read, card_write, 4 };
static const struct port_ops card_port_ops = { card_port_read, card_port_write, 1 };

static const struct field card_fields[] = {
    DEVICE_FIELDS(struct card),
    FIELD_PCI(struct card),
    WIRED(struct card, region, NULL),
    WIRED(struct card, rom, NULL),
    WIRED(struct card, memory, NULL),
    FIELD(struct card, last, NULL),
    PAD(struct card, pad_),
    FIELD_END,
};

static bool card_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct card *card = (struct card *)(void *)dev;

    (void)err;
    card->memory = properties[0].pointer;
    card->region = (struct region){ .name = "card", .kind = REGION_IO, .size = 0x1000, .ops = &card_ops, .owner = card };
    card->rom = (struct region){ .name = "card rom", .kind = REGION_MEMORY, .size = 0x10000, .memory = card->memory };
    pci_init(&card->pci, dev, 0x1234, 0x5678, 0x020000, 9);
    pci_set_interrupt_pin(&card->pci, 1);
    pci_set_memory_bar(&card->pci, 0, &card->region, false);
    pci_set_port_bar(&card->pci, 1, 16, &card_port_ops, 2);
    pci_set_memory_bar(&card->pci, PCI_BAR_ROM, &card->rom, false);
    return true;
}

static void card_reset(struct device *dev)
{
    pci_reset(&((struct card *)(void *)dev)->pci);
}
static void card_loaded(struct device *dev)
{
    pci_update_bars(&((struct card *)(void *)dev)->pci);
}

static const struct device_class card_class = {
    .name = "card", .doc = "a PCI function", .size = sizeof(struct card), .fields = card_fields,
    .init = card_init, .reset = card_reset, .loaded = card_loaded,
};

static struct rig {
    struct box box;
    struct memory bios;
    struct device *card;
    struct property card_properties[2];
} rig;

static void setup(void)
{
    struct error err;
    struct property properties[] = {
        { .name = "ram", .pointer = &rig.box.ram }, { .name = "bios", .pointer = &rig.bios }, { .name = NULL }
    };

    memset(&rig, 0, sizeof rig);
    box_prepare(&rig.box);
    ck_assert(memory_init(&rig.bios, "bios", calloc(1, BIOS_SIZE), BIOS_SIZE, UINT64_C(1) << 32, true, &err));
    for (unsigned i = 0; i < BIOS_SIZE; i++) {
        rig.bios.host[i] = (uint8_t)(0x80 | i >> 12);
    }
    space_remove(rig.box.space, &rig.box.ram_region);
    box_install(&rig.box, &i440fx_class, properties);
    box_map_ports(&rig.box, 0xcf8, 8, 0);
    struct device surroundings = { .clock = &rig.box.clock, .log = &rig.box.log, .space = rig.box.space, .ports = rig.box.ports };
    rig.card_properties[0] = (struct property){ .name = "memory", .pointer = &rig.bios };
    rig.card = device_create(&card_class, "card", &surroundings, rig.card_properties, &err);
    ck_assert_ptr_nonnull(rig.card);
    ck_assert(pci_bus_attach(i440fx_pci_bus(rig.box.dev), pci_function_of(rig.card), 3 << 3, &err));
}

static void teardown(void)
{
    device_destroy(rig.card);
    box_close(&rig.box);
    free(rig.bios.host);
    memory_destroy(&rig.bios);
}

static uint32_t config_read(unsigned slot, unsigned offset, unsigned size)
{
    box_out32(&rig.box, 0xcf8, 0x80000000u | slot << 11 | (offset & ~3u));
    return ports_read(rig.box.ports, (uint16_t)(0xcfc + (offset & 3)), size);
}

static void config_write(unsigned slot, unsigned offset, unsigned size, uint32_t value)
{
    box_out32(&rig.box, 0xcf8, 0x80000000u | slot << 11 | (offset & ~3u));
    ports_write(rig.box.ports, (uint16_t)(0xcfc + (offset & 3)), size, value);
}

START_TEST(configuration_mechanism_1)
{
    ck_assert_uint_eq(config_read(0, 0, 4), 0x12378086);
    ck_assert_uint_eq(config_read(0, 2, 2), 0x1237);
    ck_assert_uint_eq(config_read(0, 3, 1), 0x12);
    ck_assert_uint_eq(config_read(0, 8, 4), 0x06000002);
    ck_assert_uint_eq(config_read(3, 0, 4), 0x56781234);
    ck_assert_uint_eq(config_read(4, 0, 4), 0xffffffff); /* nobody there */
    ck_assert_uint_eq(box_in32(&rig.box, 0xcf8), 0x80002000);
    /* Not enabled, or another bus. */
    box_out32(&rig.box, 0xcf8, 0);
    ck_assert_uint_eq(box_in32(&rig.box, 0xcfc), 0xffffffff);
    box_out32(&rig.box, 0xcf8, 0x80010000);
    ck_assert_uint_eq(box_in32(&rig.box, 0xcfc), 0xffffffff);
    /* Only doubleword writes reach CONFADD; reserved bits read 0. */
    box_out32(&rig.box, 0xcf8, 0xffffffff);
    ck_assert_uint_eq(box_in32(&rig.box, 0xcf8), 0x80fffffc);
    box_out16(&rig.box, 0xcf8, 0);
    ck_assert_uint_eq(box_in32(&rig.box, 0xcf8), 0x80fffffc);
    /* An access past the data port does not wrap. */
    box_out32(&rig.box, 0xcf8, 0x80000000);
    ck_assert_uint_eq(box_in32(&rig.box, 0xcfe), 0xffff1237);
}
END_TEST

START_TEST(read_only_registers_stay)
{
    config_write(0, 0, 4, 0);
    config_write(0, 4, 2, 0);
    ck_assert_uint_eq(config_read(0, 0, 4), 0x12378086);
    ck_assert_uint_eq(config_read(0, 4, 2), 0x0006);
    config_write(3, 0x3c, 4, 0xffffffff);
    ck_assert_uint_eq(config_read(3, 0x3c, 4), 0x000001ff); /* line writable, pin not */
}
END_TEST

START_TEST(reset_control_pulls_reset_until_it_happens)
{
    box_out8(&rig.box, 0xcf9, 0x02);
    ck_assert(!box_irq(&rig.box, "reset"));
    box_out8(&rig.box, 0xcf9, 0x06);
    ck_assert(box_irq(&rig.box, "reset"));
    ck_assert_uint_eq(box_in8(&rig.box, 0xcf9), 0x06);
    box_reset(&rig.box);
    ck_assert(!box_irq(&rig.box, "reset"));
    ck_assert_uint_eq(box_in8(&rig.box, 0xcf9), 0);
}
END_TEST

START_TEST(bios_ends_at_4_gib_and_at_1_mib)
{
    ck_assert_uint_eq(box_read8(&rig.box, 0xfffffff0), 0x80 | 0x3f);
    ck_assert_uint_eq(box_read8(&rig.box, 0xfffc0000), 0x80);
    ck_assert_uint_eq(box_read8(&rig.box, 0xffff0), 0x80 | 0x3f);
    ck_assert_uint_eq(box_read8(&rig.box, 0xe0000), 0x80 | 0x20);
    ck_assert_uint_eq(box_read8(&rig.box, 0xdffff), 0xff);
    ck_assert_uint_eq(box_read8(&rig.box, 0xa0000), 0xff);
    box_write8(&rig.box, 0x9ffff, 0x12);
    box_write8(&rig.box, 0x100000, 0x34);
    ck_assert_uint_eq(rig.box.ram.host[0x9ffff], 0x12);
    ck_assert_uint_eq(rig.box.ram.host[0x100000], 0x34);
    ck_assert_uint_eq(box_read8(&rig.box, BOX_RAM_SIZE - 1), 0);
    ck_assert_uint_eq(box_read8(&rig.box, BOX_RAM_SIZE), 0xff);
}
END_TEST

/* 82441FX, 3.2.18: each nibble has RE (bit 0) and WE (bit 1). */
START_TEST(pam_shadows_in_all_four_modes)
{
    static const struct {
        unsigned reg, shift;
        uint32_t base, size;
    } segments[] = {
        { 0x59, 4, 0xf0000, 0x10000 }, { 0x5a, 0, 0xc0000, 0x4000 }, { 0x5a, 4, 0xc4000, 0x4000 },
        { 0x5b, 0, 0xc8000, 0x4000 },  { 0x5b, 4, 0xcc000, 0x4000 }, { 0x5c, 0, 0xd0000, 0x4000 },
        { 0x5c, 4, 0xd4000, 0x4000 },  { 0x5d, 0, 0xd8000, 0x4000 }, { 0x5d, 4, 0xdc000, 0x4000 },
        { 0x5e, 0, 0xe0000, 0x4000 },  { 0x5e, 4, 0xe4000, 0x4000 }, { 0x5f, 0, 0xe8000, 0x4000 },
        { 0x5f, 4, 0xec000, 0x4000 },
    };
    uint8_t *ram = rig.box.ram.host;

    for (unsigned i = 0; i < sizeof segments / sizeof segments[0]; i++) {
        uint32_t first = segments[i].base;
        uint32_t last = first + segments[i].size - 4;
        uint32_t pci = box_read32(&rig.box, last);
        /* Reads PCI, writes RAM. */
        config_write(0, segments[i].reg, 1, 2u << segments[i].shift);
        box_write32(&rig.box, first, 0x11223344);
        box_write32(&rig.box, last, 0x55667788);
        ck_assert_uint_eq(box_read32(&rig.box, last), pci);
        ck_assert_uint_eq(load_le32(ram + last), 0x55667788);
        /* Reads RAM, writes vanish. */
        config_write(0, segments[i].reg, 1, 1u << segments[i].shift);
        ck_assert_uint_eq(box_read32(&rig.box, first), 0x11223344);
        box_write32(&rig.box, first, 0);
        ck_assert_uint_eq(load_le32(ram + first), 0x11223344);
        /* All RAM. */
        config_write(0, segments[i].reg, 1, 3u << segments[i].shift);
        box_write32(&rig.box, first, 0x99aabbcc);
        ck_assert_uint_eq(box_read32(&rig.box, first), 0x99aabbcc);
        /* All PCI; the neighbours never moved. */
        config_write(0, segments[i].reg, 1, 0);
        ck_assert_uint_eq(box_read32(&rig.box, last), pci);
        box_write32(&rig.box, last, 0);
        ck_assert_uint_eq(load_le32(ram + last), 0x55667788);
    }
}
END_TEST

/* A store that crosses from one segment into the next, and stores through the write-only window, keep the page flags. */
START_TEST(pam_writes_mark_pages)
{
    config_write(0, 0x5a, 1, 0x22);
    rig.box.ram.page_flags[0xc3] = 0;
    rig.box.ram.page_flags[0xc4] = 0;
    box_write32(&rig.box, 0xc3ffe, 0x44332211);
    ck_assert_uint_eq(load_le32(rig.box.ram.host + 0xc3ffe), 0x44332211);
    ck_assert_uint_eq(rig.box.ram.page_flags[0xc3], PAGE_DIRTY);
    ck_assert_uint_eq(rig.box.ram.page_flags[0xc4], PAGE_DIRTY);
}
END_TEST

START_TEST(smram_opens_and_locks)
{
    rig.box.ram.host[0xa0000] = 0x5a;
    ck_assert_uint_eq(config_read(0, 0x72, 1), 0x02);
    config_write(0, 0x72, 1, 0x4a); /* D_OPEN, G_SMRAME */
    ck_assert_uint_eq(box_read8(&rig.box, 0xa0000), 0x5a);
    config_write(0, 0x72, 1, 0x1a); /* locked: closed from now on */
    ck_assert_uint_eq(box_read8(&rig.box, 0xa0000), 0xff);
    config_write(0, 0x72, 1, 0x4a);
    ck_assert_uint_eq(config_read(0, 0x72, 1), 0x1a);
    ck_assert_uint_eq(box_read8(&rig.box, 0xa0000), 0xff);
    box_set(&rig.box, "smiact", true);
    ck_assert_uint_eq(box_read8(&rig.box, 0xa0000), 0x5a);
    box_set(&rig.box, "smiact", false);
    ck_assert_uint_eq(box_read8(&rig.box, 0xa0000), 0xff);
    box_reset(&rig.box);
    config_write(0, 0x72, 1, 0x4a);
    ck_assert_uint_eq(config_read(0, 0x72, 1), 0x4a);
}
END_TEST

START_TEST(the_map_survives_save_and_load)
{
    config_write(0, 0x59, 1, 0x30);
    box_write32(&rig.box, 0xf0000, 0x01020304);
    box_save_load(&rig.box);
    ck_assert_uint_eq(box_read32(&rig.box, 0xf0000), 0x01020304);
    box_reset(&rig.box);
    ck_assert_uint_eq(box_read8(&rig.box, 0xf0000), 0xb0);
}
END_TEST

START_TEST(bars_are_sized_and_mapped)
{
    config_write(3, 0x10, 4, 0xffffffff);
    config_write(3, 0x14, 4, 0xffffffff);
    config_write(3, 0x18, 4, 0xffffffff);
    config_write(3, 0x30, 4, 0xfffffffe);
    ck_assert_uint_eq(config_read(3, 0x10, 4), 0xfffff000);
    ck_assert_uint_eq(config_read(3, 0x14, 4), 0xfffffff1);
    ck_assert_uint_eq(config_read(3, 0x18, 4), 0);
    ck_assert_uint_eq(config_read(3, 0x30, 4), 0xffff0000);
    config_write(3, 4, 2, 3); /* sized and enabled: nothing may appear anywhere */
    ck_assert_uint_eq(box_read8(&rig.box, 0xfffff000), 0x80 | 0x3f);
    config_write(3, 4, 2, 0);

    config_write(3, 0x10, 4, BAR_BASE);
    config_write(3, 0x14, 4, 0xc000);
    ck_assert_uint_eq(box_read32(&rig.box, BAR_BASE + 4), 0xffffffff);
    config_write(3, 4, 2, 2);
    ck_assert_uint_eq(box_read32(&rig.box, BAR_BASE + 4), 0xc0de0004);
    ck_assert_uint_eq(box_in8(&rig.box, 0xc001), 0xff);
    config_write(3, 4, 2, 3);
    ck_assert_uint_eq(box_in8(&rig.box, 0xc001), 0x53); /* first_reg 2 */
    config_write(3, 0x10, 4, BAR_BASE + 0x1000);
    ck_assert_uint_eq(box_read32(&rig.box, BAR_BASE + 4), 0xffffffff);
    ck_assert_uint_eq(box_read32(&rig.box, BAR_BASE + 0x1004), 0xc0de0004);
    config_write(3, 0x30, 4, 0xe2000001);
    ck_assert_uint_eq(box_read8(&rig.box, 0xe2001000), 0x81);
    /* Programmed over RAM it stays below it; over the interrupt controller's ports it does not crash. */
    config_write(3, 0x10, 4, 0x00100000);
    ck_assert_uint_eq(box_read32(&rig.box, 0x00100000), 0);
    config_write(3, 0x14, 4, 0xcf0);
    ck_assert_uint_eq(config_read(3, 0, 1), 0x50 + 2 + 0xc); /* the card has taken CFCh as well */
    pci_reset(pci_function_of(rig.card));
    ck_assert_uint_eq(config_read(3, 0x10, 4), 0);
    ck_assert_uint_eq(config_read(3, 0x14, 4), 1);
}
END_TEST

START_TEST(a_place_is_taken_once)
{
    struct error err;

    ck_assert(!pci_bus_attach(i440fx_pci_bus(rig.box.dev), pci_function_of(rig.card), 0, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "taken"));
}
END_TEST

START_TEST(status_bits_clear_when_written_1)
{
    struct pci_function *pci = pci_function_of(rig.card);

    pci->config[7] |= 0x30; /* received target and master abort */
    config_write(3, 6, 2, 0x1000);
    ck_assert_uint_eq(config_read(3, 6, 2) & 0xf000, 0x2000);
    pci_set_intx(pci, true);
    ck_assert_uint_eq(config_read(3, 6, 2) & 8, 8);
    config_write(3, 6, 2, 0xffff);
    ck_assert_uint_eq(config_read(3, 6, 2) & 8, 8); /* the source, not the driver, takes it back */
}
END_TEST

START_TEST(cards_are_good_classes)
{
    check_class_with(&card_class, rig.card_properties);
    check_class(&i440fx_class);
}
END_TEST

START_TEST(large_memory_continues_above_4_gib)
{
    ck_assert_uint_eq(i440fx_low_memory(UINT64_C(0x8000000)), UINT64_C(0x8000000));
    ck_assert_uint_eq(i440fx_low_memory(UINT64_C(0xe0000000)), UINT64_C(0xe0000000));
    ck_assert_uint_eq(i440fx_low_memory(UINT64_C(0x200000000)), UINT64_C(0xe0000000));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("i440fx");
    TCase *tcase = tcase_create("i440fx");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, configuration_mechanism_1);
    tcase_add_test(tcase, read_only_registers_stay);
    tcase_add_test(tcase, reset_control_pulls_reset_until_it_happens);
    tcase_add_test(tcase, bios_ends_at_4_gib_and_at_1_mib);
    tcase_add_test(tcase, pam_shadows_in_all_four_modes);
    tcase_add_test(tcase, pam_writes_mark_pages);
    tcase_add_test(tcase, smram_opens_and_locks);
    tcase_add_test(tcase, the_map_survives_save_and_load);
    tcase_add_test(tcase, bars_are_sized_and_mapped);
    tcase_add_test(tcase, a_place_is_taken_once);
    tcase_add_test(tcase, status_bits_clear_when_written_1);
    tcase_add_test(tcase, cards_are_good_classes);
    tcase_add_test(tcase, large_memory_continues_above_4_gib);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
