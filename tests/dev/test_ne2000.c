/* test_ne2000.c - the NE2000 by ports: PROM, packet memory through remote DMA, the receive ring with its wrap and its
 * boundary, filters, transmission, interrupts. */
#include "devices/dp8390.h"
#include "tests/support/box.h"

#include <check.h>
#include <string.h>

enum { BASE = 0x300, CR = BASE, ISR = BASE + 7, DATA = BASE + 0x10, RESET = BASE + 0x1f };

static struct box box;
static uint8_t mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
static uint8_t sent[2000];
static size_t sent_size;
static unsigned sent_count, ready_count;

static void take(void *context, const uint8_t *frame, size_t size)
{
    (void)context;
    memcpy(sent, frame, size);
    sent_size = size;
    sent_count++;
}

static void ready(void *context)
{
    (void)context;
    ready_count++;
}

static struct packet_sink network = { NULL, take, ready };

static void open_card(void)
{
    static struct property properties[] = {
        { .name = "network", .pointer = &network }, { .name = "mac", .pointer = mac }, { .name = NULL } };

    sent_count = ready_count = 0;
    box_open_with(&box, &ne2000_class, properties);
    box_map_ports(&box, BASE, 32, 0);
    box_set(&box, "link", true);
}

static void close_card(void)
{
    box_close(&box);
}

/* As drivers do: word mode, ring of pages 46h to 80h, own address, broadcast and multicast. */
static void start(uint8_t filter)
{
    box_out8(&box, CR, 0x21);
    box_out8(&box, BASE + 0xe, 0x49);
    box_out8(&box, BASE + 0x4, 0x40);
    box_out8(&box, BASE + 0x1, 0x46);
    box_out8(&box, BASE + 0x2, 0x80);
    box_out8(&box, BASE + 0x3, 0x46);
    box_out8(&box, BASE + 0xc, filter);
    box_out8(&box, BASE + 0xd, 0);
    box_out8(&box, ISR, 0xff);
    box_out8(&box, BASE + 0xf, 0x7f);
    box_out8(&box, CR, 0x61);
    for (unsigned n = 0; n < 6; n++) {
        box_out8(&box, BASE + 1 + n, mac[n]);
    }
    box_out8(&box, BASE + 7, 0x47); /* CURR */
    box_out8(&box, CR, 0x22);
}

static void remote(unsigned address, unsigned count, unsigned command)
{
    box_out8(&box, CR, 0x22);
    box_out8(&box, BASE + 0xa, count);
    box_out8(&box, BASE + 0xb, count >> 8);
    box_out8(&box, BASE + 0x8, address);
    box_out8(&box, BASE + 0x9, address >> 8);
    box_out8(&box, CR, command);
}

static bool arrives(const uint8_t *destination, size_t size, uint8_t fill)
{
    static uint8_t frame[1600];

    memset(frame, fill, sizeof frame);
    memcpy(frame, destination, 6);
    memcpy(frame + 6, "\2sends", 6);
    return ne2000_class.receive(box.dev, frame, size);
}

static uint8_t current(void)
{
    box_out8(&box, CR, 0x62);
    uint8_t page = box_in8(&box, BASE + 7);
    box_out8(&box, CR, 0x22);
    return page;
}

/* In byte mode each byte of the PROM is there twice, which tells a 16-bit card; in word mode a byte access skips one. */
START_TEST(prom_is_doubled)
{
    box_out8(&box, CR, 0x21);
    box_out8(&box, BASE + 0xe, 0x48);
    remote(0, 32, 0x0a);
    for (unsigned n = 0; n < 32; n++) {
        uint8_t expected = n / 2 < 6 ? mac[n / 2] : n >= 28 ? 0x57 : 0;
        ck_assert_uint_eq(box_in8(&box, DATA), expected);
    }
    ck_assert_uint_eq(box_in8(&box, ISR) & 0x40, 0x40);
    box_out8(&box, BASE + 0xe, 0x49);
    remote(0, 32, 0x0a);
    for (unsigned n = 0; n < 6; n++) {
        ck_assert_uint_eq(box_in8(&box, DATA), mac[n]);
    }
}
END_TEST

START_TEST(memory_keeps_words)
{
    start(0x04);
    remote(0x4000, 6, 0x12);
    box_out16(&box, DATA, 0x1234);
    box_out16(&box, DATA, 0x5678);
    ck_assert(!(box_in8(&box, ISR) & 0x40));
    box_out16(&box, DATA, 0x9abc);
    ck_assert_msg((box_in8(&box, ISR) & 0x40) != 0, "RDC after the last word");
    ck_assert(box_irq(&box, "irq"));
    box_out16(&box, DATA, 0xdead); /* beyond the count: nothing happens */
    remote(0x4000, 8, 0x0a);
    ck_assert_uint_eq(box_in16(&box, DATA), 0x1234);
    ck_assert_uint_eq(box_in16(&box, DATA), 0x5678);
    ck_assert_uint_eq(box_in16(&box, DATA), 0x9abc);
    ck_assert_uint_eq(box_in16(&box, DATA), 0);
    remote(0x8000, 2, 0x0a);
    ck_assert_uint_eq(box_in16(&box, DATA), 0xffff);
}
END_TEST

START_TEST(frame_lands_in_the_ring)
{
    start(0x04);
    ck_assert(arrives(mac, 100, 0xa5));
    ck_assert_uint_eq(box_in8(&box, ISR), 0x01);
    ck_assert(box_irq(&box, "irq"));
    ck_assert_uint_eq(current(), 0x48);
    remote(0x4700, 108, 0x0a);
    ck_assert_uint_eq(box_in16(&box, DATA), 0x4801); /* next page, status: received */
    ck_assert_uint_eq(box_in16(&box, DATA), 104);    /* with FCS */
    ck_assert_uint_eq(box_in16(&box, DATA), 0x5452);
    for (unsigned n = 0; n < 5; n++) {
        box_in16(&box, DATA);
    }
    ck_assert_uint_eq(box_in16(&box, DATA), 0xa5a5);
    box_out8(&box, ISR, 0x41);
    ck_assert(!box_irq(&box, "irq"));
}
END_TEST

/* Datasheet, 7.0: a frame goes on at PSTART, and the remote DMA does too. */
START_TEST(ring_wraps)
{
    start(0x04);
    box_out8(&box, CR, 0x62);
    box_out8(&box, BASE + 7, 0x7f);
    box_out8(&box, CR, 0x22);
    box_out8(&box, BASE + 3, 0x7e);
    ck_assert(arrives(mac, 600, 0x3c));
    ck_assert_uint_eq(current(), 0x48);
    remote(0x7f00, 608, 0x0a);
    ck_assert_uint_eq(box_in16(&box, DATA), 0x4801);
    ck_assert_uint_eq(box_in16(&box, DATA), 604);
    for (unsigned n = 0; n < 7; n++) {
        box_in16(&box, DATA);
    }
    for (unsigned n = 14; n < 600; n += 2) {
        ck_assert_uint_eq(box_in16(&box, DATA), n == 12 ? 0 : 0x3c3c);
    }
}
END_TEST

/* A full ring makes the sender wait; freeing a page tells it. */
START_TEST(full_ring_refuses)
{
    unsigned count = 0;

    start(0x04);
    while (count < 100 && arrives(mac, 1514, 1)) {
        count++;
    }
    ck_assert_uint_eq(count, (0x80 - 0x46 - 1) / 6);
    uint8_t at = current();
    ck_assert(!arrives(mac, 1514, 1));
    ck_assert_uint_eq(current(), at);
    ready_count = 0;
    box_out8(&box, BASE + 3, 0x4c);
    ck_assert_uint_eq(ready_count, 1);
    ck_assert(arrives(mac, 1514, 1));
}
END_TEST

/* A driver that acknowledges PRX and leaves the ring full hears of it again, by an edge: nothing else would come. */
START_TEST(full_ring_reminds)
{
    start(0x04);
    while (arrives(mac, 1514, 1)) {
    }
    box_out8(&box, ISR, 0x01);
    ck_assert(!box_irq(&box, "irq"));
    box_save_load(&box);
    box_step_ns(&box, 67200);
    ck_assert(box_irq(&box, "irq"));
    ck_assert_uint_eq(box_in8(&box, ISR) & 1, 1);
    box_out8(&box, BASE + 3, 0x60);
    box_out8(&box, ISR, 0x01);
    box_step_ns(&box, 1000000);
    ck_assert_msg(!box_irq(&box, "irq"), "there is room");
}
END_TEST

START_TEST(filters)
{
    static const uint8_t everyone[6] = { 255, 255, 255, 255, 255, 255 }, other[6] = { 2, 1, 2, 3, 4, 5 };
    static const uint8_t group[6] = { 0x01, 0, 0x5e, 0, 0, 1 };

    start(0);
    ck_assert(arrives(everyone, 60, 0) && arrives(other, 60, 0) && arrives(group, 60, 0));
    ck_assert_uint_eq(current(), 0x47);
    ck_assert(arrives(mac, 60, 0));
    ck_assert_uint_eq(current(), 0x48);
    start(0x04);
    ck_assert(arrives(everyone, 60, 0));
    ck_assert_uint_eq(current(), 0x48);
    start(0x10);
    ck_assert(arrives(other, 60, 0));
    ck_assert_uint_eq(current(), 0x48);
    start(0x08);
    ck_assert(arrives(group, 60, 0));
    ck_assert_msg(current() == 0x47, "its bit is not set");
    box_out8(&box, CR, 0x62);
    box_out8(&box, BASE + 8 + nic_multicast_index(group) / 8, 1u << nic_multicast_index(group) % 8);
    box_out8(&box, CR, 0x22);
    ck_assert(arrives(group, 60, 0));
    ck_assert_uint_eq(current(), 0x48);
}
END_TEST

START_TEST(transmits)
{
    start(0x04);
    remote(0x4000, 64, 0x12);
    for (unsigned n = 0; n < 64; n += 2) {
        box_out16(&box, DATA, (n + 1) << 8 | n);
    }
    box_out8(&box, ISR, 0x40);
    box_out8(&box, BASE + 5, 64);
    box_out8(&box, BASE + 6, 0);
    box_out8(&box, CR, 0x26);
    ck_assert_uint_eq(sent_count, 1);
    ck_assert_uint_eq(sent_size, 64);
    ck_assert_uint_eq(sent[63], 63);
    ck_assert_uint_eq(box_in8(&box, ISR), 0x02);
    ck_assert_uint_eq(box_in8(&box, CR) & 4, 0);
    box_out8(&box, BASE + 0xd, 0x02); /* loopback: nothing leaves */
    box_out8(&box, CR, 0x26);
    ck_assert_uint_eq(sent_count, 1);
    box_out8(&box, BASE + 0xd, 0);
    box_set(&box, "link", false);
    box_out8(&box, CR, 0x26);
    ck_assert_uint_eq(sent_count, 1);
}
END_TEST

/* Reset stops the receiver: frames are ignored, not kept waiting. */
START_TEST(stopped_chip_ignores)
{
    start(0x04);
    box_in8(&box, RESET);
    ck_assert_uint_eq(box_in8(&box, ISR) & 0x80, 0x80);
    ck_assert(arrives(mac, 60, 0));
    start(0x04);
    box_save_load(&box);
    ck_assert(arrives(mac, 60, 0));
    ck_assert_uint_eq(current(), 0x48);
}
END_TEST

/* IEEE 802.3: the CRC of "123456789" is CBF43926h. The indices were computed bit by bit with the shift register of the
 * datasheet's figure. */
START_TEST(checksums)
{
    static const uint8_t all_hosts[6] = { 0x01, 0x00, 0x5e, 0x00, 0x00, 0x01 };
    static const uint8_t all_nodes[6] = { 0x33, 0x33, 0x00, 0x00, 0x00, 0x01 };

    ck_assert_uint_eq(nic_crc32(0, (const uint8_t *)"123456789", 9), 0xcbf43926);
    ck_assert_uint_eq(nic_crc32(nic_crc32(0, (const uint8_t *)"12345", 5), (const uint8_t *)"6789", 4), 0xcbf43926);
    ck_assert_uint_eq(nic_multicast_index(all_hosts), 31);
    ck_assert_uint_eq(nic_multicast_index(all_nodes), 62);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ne2000");
    TCase *tcase = tcase_create("ne2000");

    tcase_add_checked_fixture(tcase, open_card, close_card);
    tcase_add_test(tcase, prom_is_doubled);
    tcase_add_test(tcase, memory_keeps_words);
    tcase_add_test(tcase, frame_lands_in_the_ring);
    tcase_add_test(tcase, ring_wraps);
    tcase_add_test(tcase, full_ring_refuses);
    tcase_add_test(tcase, full_ring_reminds);
    tcase_add_test(tcase, filters);
    tcase_add_test(tcase, transmits);
    tcase_add_test(tcase, stopped_chip_ignores);
    tcase_add_test(tcase, checksums);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
