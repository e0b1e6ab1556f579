/* test_e1000.c - the 82540EM by its registers and memory: EEPROM, PHY, descriptors of both kinds, segmentation, checksums, VLAN
 * tags, back-pressure, and the interrupt moderation that makes a burst of frames cost one interrupt. */
#include "devices/e1000.h"
#include "tests/support/box.h"

#include <check.h>
#include <string.h>

#define MMIO UINT32_C(0xd0000000)
enum { RX_LIST = 0x10000, TX_LIST = 0x20000, RX_BUFFERS = 0x100000, TX_BUFFERS = 0x200000, ENTRIES = 16 };

static struct box box;
static uint8_t mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
static uint8_t sent[64][2000];
static size_t sent_size[64];
static unsigned sent_count, ready_count;

static void take(void *context, const uint8_t *frame, size_t size)
{
    (void)context;
    ck_assert_uint_lt(sent_count, 64);
    memcpy(sent[sent_count], frame, size);
    sent_size[sent_count++] = size;
}

static void ready(void *context)
{
    (void)context;
    ready_count++;
}

static struct packet_sink network = { NULL, take, ready };

static uint32_t get(unsigned reg)
{
    return box_read32(&box, MMIO + reg);
}

static void set(unsigned reg, uint32_t value)
{
    box_write32(&box, MMIO + reg, value);
}

static void open_card(void)
{
    static struct property properties[] = {
        { .name = "network", .pointer = &network }, { .name = "mac", .pointer = mac }, { .name = NULL } };

    sent_count = ready_count = 0;
    box_open_with(&box, &e1000_class, properties);
    box_set(&box, "link", true);
    box_config_write(&box, 0x10, 4, MMIO);
    box_config_write(&box, 4, 2, 7);
    box_step_ns(&box, 1000000);
    for (unsigned n = 0; n < ENTRIES; n++) {
        space_write(box.space, RX_LIST + 16 * n, 8, RX_BUFFERS + 0x1000 * n);
    }
    set(RDBAL, RX_LIST);
    set(RDLEN, 16 * ENTRIES);
    set(RDH, 0);
    set(RDT, ENTRIES - 1);
    set(TDBAL, TX_LIST);
    set(TDLEN, 16 * ENTRIES);
    set(RCTL, 0x8002 | 1u << 26); /* EN, BAM, SECRC */
    set(TCTL, 0xa);
    set(IMS, 0x9d);
    get(ICR);
}

static void close_card(void)
{
    box_close(&box);
}

/* IPv4 and TCP with right checksums, `payload` bytes. */
static size_t make_tcp(uint8_t *frame, size_t payload)
{
    size_t total = 40 + payload;

    memset(frame, 0, 54);
    memcpy(frame, mac, 6);
    memcpy(frame + 6, "\2sends\x08\0\x45", 9);
    frame[16] = (uint8_t)(total >> 8);
    frame[17] = (uint8_t)total;
    frame[22] = 64;
    frame[23] = 6;
    memcpy(frame + 26, "\x0a\0\2\2\x0a\0\2\x0f", 8);
    frame[46] = 0x50;
    frame[47] = 0x19; /* FIN, PSH, ACK */
    for (size_t n = 0; n < payload; n++) {
        frame[54 + n] = (uint8_t)(n * 7);
    }
    uint16_t sum = (uint16_t)~nic_sum(0, frame + 14, 20);
    frame[24] = (uint8_t)(sum >> 8);
    frame[25] = (uint8_t)sum;
    sum = (uint16_t)~nic_sum(nic_sum(0, frame + 26, 8) + 6u + 20u + (uint32_t)payload, frame + 34, 20 + payload);
    frame[50] = (uint8_t)(sum >> 8);
    frame[51] = (uint8_t)sum;
    return 54 + payload;
}

static bool arrives(size_t payload)
{
    uint8_t frame[2000];

    return e1000_class.receive(box.dev, frame, make_tcp(frame, payload));
}

static uint32_t read_phy(unsigned reg)
{
    set(MDIC, 2u << 26 | 1u << 21 | reg << 16);
    return get(MDIC);
}

START_TEST(eeprom_has_address_and_checksum)
{
    uint16_t sum = 0;

    for (unsigned n = 0; n < 64; n++) {
        set(EERD, n << 8 | 1);
        ck_assert_uint_eq(get(EERD) & 0x10, 0x10);
        sum = (uint16_t)(sum + (get(EERD) >> 16));
    }
    ck_assert_uint_eq(sum, 0xbaba);
    set(EERD, 1);
    ck_assert_uint_eq(get(EERD) >> 16, 0x5452);
    ck_assert_uint_eq(get(RAL), 0x12005452);
    ck_assert_uint_eq(get(RAH), 0x80005634);
}
END_TEST

/* The same word over the four wires: start bit, read, six bits of address. */
START_TEST(eeprom_over_wires)
{
    uint16_t word = 0;

    set(EECD, 0x40);
    ck_assert_uint_eq(get(EECD) & 0x80, 0x80);
    set(EECD, 0x42);
    for (unsigned n = 9; n-- > 0;) {
        uint32_t bit = (0x180u | 1) >> n & 1 ? 4 : 0;
        set(EECD, 0x42 | bit);
        set(EECD, 0x43 | bit);
    }
    for (unsigned n = 0; n < 16; n++) {
        set(EECD, 0x42);
        set(EECD, 0x43);
        word = (uint16_t)(word << 1 | (get(EECD) >> 3 & 1));
    }
    ck_assert_uint_eq(word, 0x1200);
}
END_TEST

START_TEST(phy_and_link)
{
    ck_assert_uint_eq(read_phy(2), 0x18220141 | 0);
    ck_assert_uint_eq(read_phy(1) & 0x24, 0x24);
    ck_assert_uint_eq(get(STATUS) & 3, 3);
    box_set(&box, "link", false);
    ck_assert_uint_eq(get(STATUS) & 2, 0);
    ck_assert_uint_eq(get(ICR) & 4, 4);
    ck_assert_uint_eq(read_phy(1) & 0x24, 0);
    set(MDIC, 2u << 26 | 2u << 21);
    ck_assert_msg((get(MDIC) & 1u << 30) != 0, "no PHY at address 2");
}
END_TEST

START_TEST(receives_and_checks)
{
    set(RXCSUM, 0x300);
    ck_assert(arrives(100));
    ck_assert_uint_eq(get(RDH), 1);
    ck_assert_uint_eq(box_read16(&box, RX_LIST + 8), 154);
    ck_assert_uint_eq(box_read8(&box, RX_LIST + 12), 0x63); /* DD, EOP, IPCS, TCPCS */
    ck_assert_uint_eq(box_read8(&box, RX_LIST + 13), 0);
    ck_assert_uint_eq(box_read8(&box, RX_BUFFERS + 54 + 3), 21);
    ck_assert(box_irq(&box, "intx"));
    ck_assert_uint_eq(get(ICR), 0x80000080);
    ck_assert(!box_irq(&box, "intx"));
    uint8_t frame[200];
    size_t size = make_tcp(frame, 100);
    frame[100] ^= 1;
    ck_assert(e1000_class.receive(box.dev, frame, size));
    ck_assert_uint_eq(box_read8(&box, RX_LIST + 16 + 13), 0x20); /* TCPE */
    ck_assert_uint_eq(get(GPRC), 2);
    ck_assert_msg(get(GPRC) == 0, "reading a counter clears it");
}
END_TEST

START_TEST(full_list_refuses)
{
    unsigned count = 0;

    while (count < 100 && arrives(100)) {
        count++;
    }
    ck_assert_uint_eq(count, ENTRIES - 1);
    ready_count = 0;
    set(RDT, 4);
    ck_assert_uint_eq(ready_count, 1);
    ck_assert(arrives(100));
    ck_assert_uint_eq(get(RDH), 0);
}
END_TEST

/* A frame for somebody else is ignored, not refused; promiscuous mode takes it; multicast by the hash. */
START_TEST(filters)
{
    uint8_t frame[60] = { 2, 9, 9, 9, 9, 9 };

    ck_assert(e1000_class.receive(box.dev, frame, 60));
    ck_assert_uint_eq(get(RDH), 0);
    set(RCTL, 0x800a);
    ck_assert(e1000_class.receive(box.dev, frame, 60));
    ck_assert_uint_eq(get(RDH), 1);
    memcpy(frame, "\1\0\x5e\0\0\1", 6);
    set(RCTL, 0x8002);
    ck_assert(e1000_class.receive(box.dev, frame, 60));
    ck_assert_uint_eq(get(RDH), 1);
    set(MTA + 4 * 0, 1u << 16); /* bits 47-36 of the address: 010h */
    ck_assert(e1000_class.receive(box.dev, frame, 60));
    ck_assert_uint_eq(get(RDH), 2);
}
END_TEST

/* ITR: the wire rises at most once per interval, and then for all that came (13.4.18). */
START_TEST(interrupts_are_throttled)
{
    set(ITR, 1000); /* 256 us */
    box_step_ns(&box, 256000); /* since the cable came */
    unsigned rises = box_rises(&box, "intx");
    ck_assert(arrives(100));
    ck_assert(box_irq(&box, "intx"));
    get(ICR);
    for (unsigned n = 0; n < 5; n++) {
        ck_assert(arrives(100));
    }
    ck_assert(!box_irq(&box, "intx"));
    box_step_ns(&box, 255999);
    ck_assert(!box_irq(&box, "intx"));
    box_step_ns(&box, 1);
    ck_assert(box_irq(&box, "intx"));
    ck_assert_uint_eq(box_rises(&box, "intx") - rises, 2);
    box_save_load(&box);
    ck_assert_uint_eq(get(ICR) & 0x80, 0x80);
}
END_TEST

static void put_tx(unsigned n, uint32_t size_and_command, uint32_t high)
{
    space_write(box.space, TX_LIST + 16 * n, 8, TX_BUFFERS);
    box_write32(&box, TX_LIST + 16 * n + 8, size_and_command);
    box_write32(&box, TX_LIST + 16 * n + 12, high);
}

START_TEST(sends_legacy)
{
    uint8_t frame[200];
    size_t size = make_tcp(frame, 100);

    space_write_bytes(box.space, TX_BUFFERS, frame, size);
    put_tx(0, (uint32_t)size | 0x0bu << 24, 0);
    set(TDT, 1);
    ck_assert_uint_eq(sent_count, 1);
    ck_assert_uint_eq(sent_size[0], size);
    ck_assert_mem_eq(sent[0], frame, size);
    ck_assert_uint_eq(box_read8(&box, TX_LIST + 12), 1);
    ck_assert_uint_eq(get(TDH), 1);
    ck_assert_uint_eq(get(ICR) & 3, 3);
    put_tx(1, (uint32_t)size | 0x0au << 24, 0); /* no end yet */
    set(TDT, 2);
    ck_assert_uint_eq(sent_count, 1);
    ck_assert_uint_eq(get(TDH), 1);
}
END_TEST

/* TIDV and TADV hold the interrupt of descriptors with IDE back. */
START_TEST(delays_transmit_interrupt)
{
    put_tx(0, 60 | 0x8bu << 24, 0);
    set(TIDV, 10);
    set(IMC, 2);
    get(ICR);
    set(TDT, 1);
    ck_assert_uint_eq(get(ICR) & 1, 0);
    box_step_ns(&box, 10240);
    ck_assert_uint_eq(get(ICR) & 1, 1);
}
END_TEST

/* 3.5: three segments of 1000 bytes, with sequence numbers, lengths, flags and checksums of their own. */
START_TEST(segments)
{
    static uint8_t frame[4000];
    size_t size = make_tcp(frame, 2500);

    uint16_t pseudo = nic_sum(6, frame + 26, 8); /* as drivers leave it: without the length, not inverted */
    frame[50] = (uint8_t)(pseudo >> 8);
    frame[51] = (uint8_t)pseudo;
    frame[24] = frame[25] = 0;
    space_write_bytes(box.space, TX_BUFFERS, frame, size);
    space_write(box.space, TX_LIST, 8, 14 | 24 << 8 | UINT64_C(33) << 16 | UINT64_C(34) << 32 | UINT64_C(50) << 40);
    box_write32(&box, TX_LIST + 8, 2500 | 0x27u << 24); /* TSE, IP, TCP */
    box_write32(&box, TX_LIST + 12, 54u << 8 | 1000u << 16);
    put_tx(1, (uint32_t)size | 1u << 20 | 0x2du << 24, 3u << 8); /* DEXT, RS, TSE, EOP; both checksums */
    set(TDT, 2);
    ck_assert_uint_eq(sent_count, 3);
    for (unsigned n = 0; n < 3; n++) {
        size_t payload = n < 2 ? 1000 : 500;
        const uint8_t *s = sent[n];
        ck_assert_uint_eq(sent_size[n], 54 + payload);
        ck_assert_uint_eq((unsigned)s[16] << 8 | s[17], 40 + payload);
        ck_assert_uint_eq(s[19], n);
        ck_assert_uint_eq((unsigned)s[40] << 8 | s[41], 1000 * n);
        ck_assert_uint_eq(s[47], n == 2 ? 0x19 : 0x10);
        ck_assert_uint_eq(nic_sum(0, s + 14, 20), 0xffff);
        ck_assert_uint_eq(nic_sum(nic_sum(0, s + 26, 8) + 6u + 20u + (uint32_t)payload, s + 34, 20 + payload), 0xffff);
        ck_assert_uint_eq(s[54], (uint8_t)(1000 * n * 7));
    }
}
END_TEST

START_TEST(vlan_tags)
{
    uint8_t frame[100] = { 0 };

    set(CTRL, get(CTRL) | 1u << 30);
    set(VET, 0x8100);
    memcpy(frame, mac, 6);
    memcpy(frame + 12, "\x81\0\x20\x05\x88\xb5hello", 11);
    ck_assert(e1000_class.receive(box.dev, frame, 100));
    ck_assert_uint_eq(box_read16(&box, RX_LIST + 8), 96);
    ck_assert_uint_eq(box_read8(&box, RX_LIST + 12) & 8, 8);
    ck_assert_uint_eq(box_read16(&box, RX_LIST + 14), 0x2005);
    ck_assert_uint_eq(box_read8(&box, RX_BUFFERS + 12), 0x88);
    space_write_bytes(box.space, TX_BUFFERS, frame, 12);
    put_tx(0, 60 | 0x4bu << 24, 0x2005u << 16);
    set(TDT, 1);
    ck_assert_uint_eq(sent_size[0], 64);
    ck_assert_mem_eq(sent[0] + 12, "\x81\0\x20\x05", 4);
}
END_TEST

/* A list whose buffers are the card's own registers, and one that never ends, stop. */
START_TEST(hostile_lists)
{
    space_write(box.space, TX_LIST, 8, MMIO + TDT);
    box_write32(&box, TX_LIST + 8, 0xffff | 0x0bu << 24);
    set(TDT, 1);
    set(TDH, 0);
    set(TDT, 0xffff);
    ck_assert(box_read32(&box, MMIO + TDH) <= 1);
    space_write(box.space, RX_LIST, 8, MMIO + TDBAL);
    set(RDH, 0);
    set(RDT, 8);
    ck_assert(arrives(1000));
    set(RDLEN, 0);
    ck_assert(arrives(1000));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("e1000");
    TCase *tcase = tcase_create("e1000");

    tcase_add_checked_fixture(tcase, open_card, close_card);
    tcase_add_test(tcase, eeprom_has_address_and_checksum);
    tcase_add_test(tcase, eeprom_over_wires);
    tcase_add_test(tcase, phy_and_link);
    tcase_add_test(tcase, receives_and_checks);
    tcase_add_test(tcase, full_list_refuses);
    tcase_add_test(tcase, filters);
    tcase_add_test(tcase, interrupts_are_throttled);
    tcase_add_test(tcase, sends_legacy);
    tcase_add_test(tcase, delays_transmit_interrupt);
    tcase_add_test(tcase, segments);
    tcase_add_test(tcase, vlan_tags);
    tcase_add_test(tcase, hostile_lists);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
