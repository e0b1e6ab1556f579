/* test_lapic.c - the local APIC seen from its registers, pins and messages: Intel SDM vol. 3 (December 2023), chapter 11. */
#include "devices/lapic.h"
#include "tests/support/check_class.h"

#include <check.h>
#include <string.h>

enum { ID = 0x20, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0, SVR = 0xf0, ISR = 0x100, TMR = 0x180, IRR = 0x200,
       ESR = 0x280, ICR = 0x300, ICR_HIGH = 0x310, LVT_TIMER = 0x320, LVT_LINT0 = 0x350, LVT_LINT1 = 0x360, LVT_ERROR = 0x370,
       INITIAL = 0x380, CURRENT = 0x390, DIVIDE = 0x3e0, CLOCK_NS = 40 };

/* What has reached a processor. */
struct core {
    bool intr;
    unsigned nmis, inits, starts, smis;
    uint8_t start_vector;
    int64_t tsc_ahead; /* of guest time */
};

static void set_intr(void *context, bool level) { ((struct core *)context)->intr = level; }
static void nmi(void *context) { ((struct core *)context)->nmis++; }
static void smi(void *context) { ((struct core *)context)->smis++; }
static void init(void *context) { ((struct core *)context)->inits++; }
static void start(void *context, uint8_t vector)
{
    ((struct core *)context)->starts++;
    ((struct core *)context)->start_vector = vector;
}
static uint64_t tsc_to_ns(void *context, uint64_t tsc)
{
    return tsc - (uint64_t)((struct core *)context)->tsc_ahead;
}

/* The chip in the box is APIC 0; three more stand beside it. */
static struct box box;
static struct apic_bus bus;
static struct core cores[4];

static struct device *apic(unsigned n) { return bus.locals[n]; }
static void put(unsigned n, unsigned offset, uint32_t value) { lapic_write(apic(n), offset, 4, value); }
static uint32_t get(unsigned n, unsigned offset) { return (uint32_t)lapic_read(apic(n), offset, 4); }
static void send(uint32_t high, uint32_t low)
{
    put(0, ICR_HIGH, high);
    put(0, ICR, low);
}

static void open_apics(void)
{
    struct error err;

    memset(&bus, 0, sizeof bus);
    memset(cores, 0, sizeof cores);
    box_prepare(&box);
    for (unsigned n = 0; n < 4; n++) {
        struct lapic_core core = { &cores[n], set_intr, nmi, smi, init, start, tsc_to_ns };
        struct property properties[] = { { .name = "apic_bus", .pointer = &bus }, { .name = "core", .pointer = &core },
                                         { .name = "number", .number = n }, { .name = "is_bootstrap", .number = n == 0 },
                                         { .name = NULL } };
        if (n == 0) {
            box_install(&box, &lapic_class, properties);
            bus.locals[0] = box.dev;
        } else {
            struct device surroundings = { .clock = &box.clock, .log = &box.log, .space = box.space, .ports = box.ports };
            bus.locals[n] = device_create(&lapic_class, "other", &surroundings, properties, &err);
            ck_assert_ptr_nonnull(bus.locals[n]);
        }
        bus.local_count++;
    }
    for (unsigned n = 0; n < 4; n++) {
        put(n, SVR, 0x1ff);
    }
}

static void close_apics(void)
{
    for (unsigned n = 1; n < 4; n++) {
        device_destroy(bus.locals[n]);
    }
    box_close(&box);
}

START_TEST(fields_tile)
{
    check_class(&lapic_class);
}
END_TEST

/* 11.8.3, 11.8.4: the highest vector first, a class in service holds its own and lower ones back, EOI ends the highest. */
START_TEST(priorities)
{
    open_apics();
    send(0, 0x31);
    send(0, 0x35);
    send(0, 0x80);
    ck_assert(cores[0].intr);
    ck_assert_uint_eq(get(0, IRR + 0x10), UINT32_C(1) << 0x11 | UINT32_C(1) << 0x15);
    ck_assert_int_eq(lapic_acknowledge(apic(0)), 0x80);
    ck_assert_uint_eq(get(0, PPR), 0x80);
    ck_assert(!cores[0].intr);
    send(0, 0x8f); /* of the same class */
    ck_assert(!cores[0].intr);
    send(0, 0x90);
    ck_assert_int_eq(lapic_acknowledge(apic(0)), 0x90);
    put(0, EOI, 0);
    ck_assert_uint_eq(get(0, PPR), 0x80);
    put(0, EOI, 0);
    ck_assert_int_eq(lapic_acknowledge(apic(0)), 0x8f);
    put(0, EOI, 0);
    put(0, TPR, 0x30);
    ck_assert(!cores[0].intr);
    put(0, TPR, 0x20);
    ck_assert_int_eq(lapic_acknowledge(apic(0)), 0x35);
    put(0, EOI, 0);
    ck_assert_int_eq(lapic_acknowledge(apic(0)), 0x31);
    ck_assert_int_eq(lapic_acknowledge(apic(0)), LAPIC_NOTHING);
    ck_assert_uint_eq(get(0, PPR), 0x30);
    lapic_set_cr8(apic(0), 5);
    ck_assert_uint_eq(get(0, TPR), 0x50);
    ck_assert_uint_eq(get(0, PPR), 0x50);
    close_apics();
}
END_TEST

/* 11.6.2: physical, flat, cluster, shorthands. */
START_TEST(destinations)
{
    struct { uint32_t high, low; unsigned takers; } const rows[] = {
        { 2u << 24, 0x00040, 4 },         { 0xffu << 24, 0x00041, 15 }, { 9u << 24, 0x00042, 0 },
        { 0x0au << 24, 0x00843, 10 },     { 0, 0x40044, 1 },            { 0, 0x80045, 15 },
        { 0, 0xc0046, 14 },               { 0xffu << 24, 0x00847, 15 },
    };

    open_apics();
    for (unsigned n = 0; n < 4; n++) {
        put(n, LDR, UINT32_C(1) << (24 + n));
    }
    for (unsigned k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        unsigned vector = rows[k].low & 0xff, takers = 0;
        send(rows[k].high, rows[k].low);
        for (unsigned n = 0; n < 4; n++) {
            takers |= (get(n, IRR + 0x10 * (vector / 32)) >> vector % 32 & 1) << n;
        }
        ck_assert_msg(takers == rows[k].takers, "row %u: %x", k, takers);
    }
    for (unsigned n = 0; n < 4; n++) { /* two clusters of two */
        put(n, DFR, 0x0fffffff);
        put(n, LDR, ((n / 2) << 4 | 1u << n % 2) << 24);
    }
    send(0x13u << 24, 0x00851);
    ck_assert_uint_eq(get(2, IRR + 0x20) >> 0x11 & 1, 1);
    ck_assert_uint_eq(get(3, IRR + 0x20) >> 0x11 & 1, 1);
    ck_assert_uint_eq(get(1, IRR + 0x20) >> 0x11 & 1, 0);
    send(0xf2u << 24, 0x00852);
    ck_assert_uint_eq(get(1, IRR + 0x20) >> 0x12 & 1, 1);
    ck_assert_uint_eq(get(3, IRR + 0x20) >> 0x12 & 1, 1);
    ck_assert_uint_eq(get(0, IRR + 0x20) >> 0x12 & 1, 0);
    close_apics();
}
END_TEST

/* 11.6.2.4: to one, whose task priority is lowest. */
START_TEST(lowest_priority_takes_one)
{
    open_apics();
    for (unsigned n = 0; n < 4; n++) {
        put(n, LDR, UINT32_C(1) << (24 + n));
        put(n, TPR, n == 2 ? 0x10 : 0x40);
    }
    send(0x0fu << 24, 0x00960);
    for (unsigned n = 0; n < 4; n++) {
        ck_assert_uint_eq(get(n, IRR + 0x30) & 1, n == 2);
    }
    put(2, SVR, 0xff); /* switched off: another */
    send(0x0fu << 24, 0x00961);
    ck_assert_uint_eq(get(0, IRR + 0x30) >> 1 & 1, 1);
    close_apics();
}
END_TEST

START_TEST(init_start_nmi_smi)
{
    open_apics();
    put(1, TPR, 0x77);
    send(1u << 24, 0x0c500);
    ck_assert_uint_eq(cores[1].inits, 1);
    ck_assert_uint_eq(get(1, TPR), 0);
    ck_assert_uint_eq(get(1, SVR), 0xff);
    ck_assert_uint_eq(get(1, ID), UINT32_C(1) << 24);
    send(1u << 24, 0x08500); /* level de-assert */
    ck_assert_uint_eq(cores[1].inits, 1);
    send(1u << 24, 0x0069a); /* an APIC that is switched off by software takes these */
    ck_assert_uint_eq(cores[1].starts, 1);
    ck_assert_uint_eq(cores[1].start_vector, 0x9a);
    send(0, 0xc0400);
    ck_assert(cores[0].nmis == 0 && cores[1].nmis == 1 && cores[3].nmis == 1);
    send(3u << 24, 0x00200);
    ck_assert_uint_eq(cores[3].smis, 1);
    close_apics();
}
END_TEST

/* 11.5.4: one-shot and periodic, with the divisor; the count is seen falling. */
START_TEST(timer)
{
    open_apics();
    put(0, DIVIDE, 0x0b); /* by 1 */
    put(0, LVT_TIMER, 0x00055);
    put(0, INITIAL, 1000);
    box_step_ns(&box, 400 * CLOCK_NS);
    ck_assert_uint_eq(get(0, CURRENT), 600);
    box_step_ns(&box, 600 * CLOCK_NS - 1);
    ck_assert(!cores[0].intr);
    box_step_ns(&box, 1);
    ck_assert_int_eq(lapic_acknowledge(apic(0)), 0x55);
    put(0, EOI, 0);
    ck_assert_uint_eq(get(0, CURRENT), 0);
    box_step_ns(&box, 5000 * CLOCK_NS);
    ck_assert(!cores[0].intr);
    put(0, LVT_TIMER, 0x20056);
    put(0, DIVIDE, 0x00); /* by 2 */
    put(0, INITIAL, 100);
    for (unsigned n = 0; n < 5; n++) {
        box_step_ns(&box, 200 * CLOCK_NS - 1);
        ck_assert(!cores[0].intr);
        box_step_ns(&box, 1);
        ck_assert_int_eq(lapic_acknowledge(apic(0)), 0x56);
        put(0, EOI, 0);
    }
    put(0, LVT_TIMER, 0x30056); /* masked, it counts on */
    box_step_ns(&box, 1050 * CLOCK_NS);
    ck_assert(!cores[0].intr);
    ck_assert_uint_eq(get(0, CURRENT), 75);
    put(0, LVT_TIMER, 0x20056);
    box_step_ns(&box, 150 * CLOCK_NS - 1);
    ck_assert(!cores[0].intr);
    box_step_ns(&box, 1);
    ck_assert(cores[0].intr);
    put(0, INITIAL, 0);
    (void)lapic_acknowledge(apic(0));
    put(0, EOI, 0);
    box_step_ns(&box, 100000 * CLOCK_NS);
    ck_assert(!cores[0].intr);
    close_apics();
}
END_TEST

/* 11.5.4.1. */
START_TEST(tsc_deadline)
{
    open_apics();
    cores[0].tsc_ahead = 5000;
    lapic_set_deadline(apic(0), 9000);
    ck_assert_uint_eq(lapic_deadline(apic(0)), 0); /* not in this mode */
    put(0, LVT_TIMER, 0x40057);
    lapic_set_deadline(apic(0), 9000);
    put(0, INITIAL, 10);
    ck_assert_uint_eq(get(0, CURRENT), 0);
    box_step_ns(&box, 3999);
    ck_assert(!cores[0].intr);
    ck_assert_uint_eq(lapic_deadline(apic(0)), 9000);
    box_step_ns(&box, 1);
    ck_assert(cores[0].intr);
    ck_assert_uint_eq(lapic_deadline(apic(0)), 0);
    lapic_set_deadline(apic(0), 90000);
    put(0, LVT_TIMER, 0x00057);
    ck_assert_uint_eq(lapic_deadline(apic(0)), 0);
    close_apics();
}
END_TEST

/* LINT0 as ExtINT from reset on, LINT1 as NMI, both as level-triggered interrupts; INTR and NMI when switched off altogether. */
START_TEST(local_pins)
{
    open_apics();
    lapic_class.set_input(apic(0), 0, true);
    ck_assert(cores[0].intr);
    ck_assert_int_eq(lapic_acknowledge(apic(0)), LAPIC_EXTERNAL);
    lapic_class.set_input(apic(0), 0, false);
    ck_assert(!cores[0].intr);
    lapic_class.set_input(apic(1), 0, true);
    ck_assert(!cores[1].intr); /* masked after reset */
    put(1, LVT_LINT0, 0x700);
    ck_assert(cores[1].intr);
    put(0, LVT_LINT1, 0x400);
    lapic_class.set_input(apic(0), 1, true);
    lapic_class.set_input(apic(0), 1, true);
    ck_assert_uint_eq(cores[0].nmis, 1);
    lapic_class.set_input(apic(0), 1, false);

    put(0, LVT_LINT0, 0x08061); /* fixed, level */
    lapic_class.set_input(apic(0), 0, true);
    ck_assert_uint_eq(get(0, LVT_LINT0), 0x0c061);
    ck_assert_uint_eq(get(0, TMR + 0x30) >> 1 & 1, 1);
    ck_assert_int_eq(lapic_acknowledge(apic(0)), 0x61);
    put(0, EOI, 0);
    ck_assert(cores[0].intr); /* still asserted: again */
    ck_assert_int_eq(lapic_acknowledge(apic(0)), 0x61);
    lapic_class.set_input(apic(0), 0, false);
    put(0, EOI, 0);
    ck_assert(!cores[0].intr);

    ck_assert(lapic_set_base(apic(0), 0xfee00100));
    lapic_class.set_input(apic(0), 0, true);
    ck_assert_int_eq(lapic_acknowledge(apic(0)), LAPIC_EXTERNAL);
    lapic_class.set_input(apic(0), 1, true);
    ck_assert_uint_eq(cores[0].nmis, 2);
    send(0, 0x80070);
    ck_assert_uint_eq(get(1, IRR + 0x30), 0);
    close_apics();
}
END_TEST

/* 11.4.7.2: entries stay masked while it is off; 11.5.3: errors are seen after a write to the ESR. */
START_TEST(software_disable_and_errors)
{
    open_apics();
    put(0, SVR, 0x0ff);
    put(0, LVT_TIMER, 0x00050);
    ck_assert_uint_eq(get(0, LVT_TIMER), 0x10050);
    send(0, 0x40050);
    ck_assert_uint_eq(get(0, IRR + 0x20), 0);
    put(0, SVR, 0x1ff);
    put(0, LVT_ERROR, 0xe0);
    send(0, 0x40005);
    ck_assert_uint_eq(get(0, ESR), 0);
    put(0, ESR, 0);
    ck_assert_uint_eq(get(0, ESR), 0x20);
    ck_assert_int_eq(lapic_acknowledge(apic(0)), 0xe0);
    put(0, EOI, 0);
    (void)get(0, 0x040);
    put(0, ESR, 0);
    ck_assert_uint_eq(get(0, ESR), 0x80);
    put(0, ESR, 0);
    ck_assert_uint_eq(get(0, ESR), 0);
    close_apics();
}
END_TEST

/* 11.12: transitions, IDs, the command register in one piece, self IPI, #GP for what is reserved. */
START_TEST(x2apic)
{
    uint64_t value = 0;

    open_apics();
    ck_assert(!lapic_read_msr(apic(3), 0x02, &value));
    ck_assert(!lapic_set_base(apic(3), 0xfee00400));
    ck_assert(lapic_set_base(apic(3), 0xfee00c00));
    ck_assert(!lapic_set_base(apic(3), 0xfee00800));
    ck_assert(lapic_read_msr(apic(3), 0x02, &value) && value == 3);
    ck_assert(lapic_read_msr(apic(3), 0x0d, &value) && value == 8);
    ck_assert(!lapic_read_msr(apic(3), 0x0e, &value)); /* DFR */
    ck_assert(!lapic_read_msr(apic(3), 0x0b, &value)); /* EOI is written only */
    ck_assert(!lapic_write_msr(apic(3), 0x0b, 1));
    ck_assert(!lapic_write_msr(apic(3), 0x02, 0));
    ck_assert(!lapic_write_msr(apic(3), 0x08, 0x100));
    ck_assert(lapic_write_msr(apic(3), 0x30, UINT64_C(1) << 32 | 0x71));
    ck_assert_uint_eq(get(1, IRR + 0x30) >> 0x11 & 1, 1);
    ck_assert(lapic_read_msr(apic(3), 0x30, &value) && value == (UINT64_C(1) << 32 | 0x71));
    ck_assert(lapic_write_msr(apic(3), 0x3f, 0x72));
    ck_assert(cores[3].intr);
    ck_assert_int_eq(lapic_acknowledge(apic(3)), 0x72);
    ck_assert(lapic_write_msr(apic(3), 0x0b, 0));
    ck_assert(lapic_write_msr(apic(3), 0x30, UINT64_C(0x0008) << 32 | 0x873)); /* logical, cluster 0 */
    ck_assert_int_eq(lapic_acknowledge(apic(3)), 0x73);
    ck_assert(lapic_set_base(apic(3), 0xfee00000));
    ck_assert(lapic_set_base(apic(3), 0xfee00800));
    ck_assert_uint_eq(get(3, SVR), 0xff);
    close_apics();
}
END_TEST

/* 11.11: destination, mode and redirection hint of a message signalled interrupt. */
START_TEST(messages)
{
    open_apics();
    for (unsigned n = 0; n < 4; n++) {
        put(n, LDR, UINT32_C(1) << (24 + n));
    }
    ck_assert(apic_bus_msi(&bus, 0xfee02000, 0x0081));
    ck_assert_int_eq(lapic_acknowledge(apic(2)), 0x81);
    ck_assert(!apic_bus_msi(&bus, 0xfee07000, 0x0081));
    put(0, TPR, 0x80);
    ck_assert(apic_bus_msi(&bus, 0xfee0300c, 0x0044)); /* logical 3, hint: the less busy of two */
    ck_assert_uint_eq(get(0, IRR + 0x20), 0);
    ck_assert_int_eq(lapic_acknowledge(apic(1)), 0x44);
    ck_assert(apic_bus_msi(&bus, 0xfee01000, 0x0400));
    ck_assert_uint_eq(cores[1].nmis, 1);
    close_apics();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lapic");
    TCase *tcase = tcase_create("lapic");

    tcase_add_test(tcase, fields_tile);
    tcase_add_test(tcase, priorities);
    tcase_add_test(tcase, destinations);
    tcase_add_test(tcase, lowest_priority_takes_one);
    tcase_add_test(tcase, init_start_nmi_smi);
    tcase_add_test(tcase, timer);
    tcase_add_test(tcase, tsc_deadline);
    tcase_add_test(tcase, local_pins);
    tcase_add_test(tcase, software_disable_and_errors);
    tcase_add_test(tcase, x2apic);
    tcase_add_test(tcase, messages);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
