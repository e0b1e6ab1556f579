/* test_classes.c - what holds for every chip, whatever it is: its fields tile, a saved state loads into another chip of its
 * class, a second reset changes nothing, and 20,000 random accesses of every width, with time passing and pins moving, do
 * not hurt it (run under ASan and UBSan). */
#include "devices/backend.h"
#include "tests/support/check_class.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ACCESSES = 20000, PORT_SPAN = 0x800, MMIO_SPAN = 0x20000, DISK_SECTORS = 2048, VRAM_SIZE = 4 << 20 };
#define MMIO_BASE UINT32_C(0xd0000000)

/* Host resources that some chips want; each takes what it knows. */
static struct memory vram, rom;
static uint8_t disk_bytes[DISK_SECTORS * SECTOR_SIZE];

static bool disk_read(void *context, uint64_t sector, uint32_t count, void *bytes)
{
    (void)context;
    if (sector + count > DISK_SECTORS) {
        return false;
    }
    memcpy(bytes, disk_bytes + sector * SECTOR_SIZE, (size_t)count * SECTOR_SIZE);
    return true;
}

static bool disk_write(void *context, uint64_t sector, uint32_t count, const void *bytes)
{
    (void)context;
    if (sector + count > DISK_SECTORS) {
        return false;
    }
    memcpy(disk_bytes + sector * SECTOR_SIZE, bytes, (size_t)count * SECTOR_SIZE);
    return true;
}

static bool disk_flush(void *context)
{
    (void)context;
    return true;
}

static struct block_backend disk = { NULL, DISK_SECTORS, false, disk_read, disk_write, disk_flush, NULL };
static struct block_backend cdrom = { NULL, DISK_SECTORS, true, disk_read, disk_write, disk_flush, NULL };
static struct packet_sink network;
static uint8_t mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
static struct property properties[] = {
    { .name = "network", .pointer = &network }, { .name = "mac", .pointer = mac },
    { .name = "vram", .pointer = &vram },  { .name = "rom", .pointer = &rom },   { .name = "drive0", .pointer = &disk },
    { .name = "cd2", .pointer = &cdrom },  { .name = "ram_size", .number = 16 }, { .name = "base_seconds", .number = 1 },
    { .name = "is_master", .number = 1 },  { .name = "has_elcr", .number = 1 },  { .name = NULL },
};

static void setup(void)
{
    struct error err;

    ck_assert(memory_init(&vram, "vram", calloc(1, VRAM_SIZE), VRAM_SIZE, UINT64_C(1) << 40, false, &err));
    ck_assert(memory_init(&rom, "rom", calloc(1, 0x10000), 0x10000, UINT64_C(1) << 41, true, &err));
}

static void teardown(void)
{
    free(vram.host);
    free(rom.host);
    memory_destroy(&vram);
    memory_destroy(&rom);
}

static uint64_t random_state;

/* xorshift64*, so that every host tries the same. */
static uint32_t random32(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)(random_state * UINT64_C(0x2545f4914f6cdd1d) >> 32);
}

static uint32_t random_below(uint32_t limit)
{
    return random32() % limit;
}

/* Values that select modes are small or have few bits; all kinds are tried. */
static uint32_t random_value(void)
{
    switch (random_below(4)) {
    case 0: return random_below(256);
    case 1: return UINT32_C(1) << random_below(32);
    case 2: return random_below(4) * UINT32_C(0x55555555);
    default: return random32();
    }
}

/* Mostly near the last one: chips have a few ports close together, somewhere below PORT_SPAN. */
static unsigned random_port(unsigned last)
{
    static const unsigned usual[] = { 0, 0, 0x20, 0x40, 0x50, 0x60, 0x64, 0x70, 0x92, 0xa0, 0xc0, 0x170, 0x1ce, 0x1f0, 0x3c0, 0x3d4, 0x3f6, 0x4d0 };

    switch (random_below(8)) {
    case 0: return usual[random_below(sizeof usual / sizeof usual[0])];
    case 1: return random_below(16);
    case 2: return random_below(PORT_SPAN);
    default: return (last & ~15u) + random_below(16);
    }
}

static void random_pin(struct box *box)
{
    const struct device_class *class = box->dev->class;
    unsigned groups = 0;

    while (class->inputs != NULL && class->inputs[groups].name != NULL) {
        groups++;
    }
    if (groups != 0 && class->set_input != NULL) {
        const struct pin_group *group = &class->inputs[random_below(groups)];
        class->set_input(box->dev, group->first + random_below(group->count != 0 ? group->count : 1), random_below(2) != 0);
    }
}

static void random_config(struct box *box)
{
    struct pci_function *pci = pci_function_of(box->dev);
    unsigned size = 1u << random_below(3);
    unsigned offset = random_below(256) & ~(size - 1);

    if (pci == NULL) {
        return;
    }
    if (random_below(8) == 0) {
        pci_config_write(pci, 4, 2, 7);
    } else if (random_below(2) == 0) {
        pci_config_write(pci, offset, size, random_value());
    } else {
        pci_config_read(pci, offset, size);
    }
}

static void random_memory(struct box *box)
{
    phys_addr address = random_below(4) == 0 ? random_below(BOX_RAM_SIZE) : MMIO_BASE + random_below(MMIO_SPAN);
    unsigned size = 1u << random_below(4);

    if (random_below(2) == 0) {
        space_write(box->space, address, size, (uint64_t)random_value() << 32 | random_value());
    } else {
        space_read(box->space, address, size);
    }
}

static void random_access(struct box *box, unsigned *port)
{
    unsigned size = 1u << random_below(3);

    *port = random_port(*port);
    switch (random_below(16)) {
    case 0: random_pin(box); break;
    case 1: random_config(box); break;
    case 2:
    case 3: random_memory(box); break;
    case 4: box_step_ns(box, random_below(100000)); break;
    case 5:
    case 6:
    case 7:
    case 8: ports_read(box->ports, (uint16_t)*port, size); break;
    default: ports_write(box->ports, (uint16_t)*port, size, random_value()); break;
    }
}

START_TEST(fields_tile_and_state_survives)
{
    check_class_with(device_classes[_i], properties);
}
END_TEST

START_TEST(random_accesses_do_no_harm)
{
    const struct device_class *class = device_classes[_i];
    struct region region = { .name = "mmio", .kind = REGION_IO, .size = MMIO_SPAN, .ops = class->region_ops };
    struct box box;
    unsigned port = 0;

    random_state = UINT64_C(88172645463325252) + (unsigned)_i;
    box_open_with(&box, class, properties);
    if (class->port_ops != NULL) {
        box_map_ports(&box, 0, PORT_SPAN, 0);
    }
    if (class->region_ops != NULL) {
        region.owner = box.dev;
        space_add(box.space, &region, MMIO_BASE, 100, true);
    }
    for (unsigned n = 0; n < ACCESSES; n++) {
        random_access(&box, &port);
    }
    check_save_load(&box, properties);
    class->reset(box.dev);
    check_save_load(&box, properties);
    box_close(&box);
}
END_TEST

START_TEST(names_are_unique)
{
    for (unsigned i = 0; device_classes[i] != NULL; i++) {
        for (unsigned j = 0; j < i; j++) {
            ck_assert_str_ne(device_classes[i]->name, device_classes[j]->name);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("classes");
    TCase *tcase = tcase_create("classes");
    int count = 0;

    while (device_classes[count] != NULL) {
        count++;
    }
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, fields_tile_and_state_survives, 0, count);
    tcase_add_loop_test(tcase, random_accesses_do_no_harm, 0, count);
    tcase_add_test(tcase, names_are_unique);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
