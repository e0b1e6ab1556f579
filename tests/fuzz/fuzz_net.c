/* fuzz_net.c - garbage for the network cards: registers, descriptors with and without sense anywhere in memory (also in the
 * cards' own registers), frames of every kind, time, cables and resets.
 *
 *     fuzz_net [--seconds N] [--rounds N] [--seed S] [--round FIRST] [--verbose]
 *
 * A round is 3,000 operations on four cards of one PCI bus with 1 MiB of RAM. What must hold: no crash, no hang (a card does a
 * bounded amount of work at a time), a refused frame changes nothing, and a card that was saved and loaded half-way is the
 * same at the end. Prints a hash that depends on seed and rounds alone. */
#include "devices/nic.h"
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPERATIONS = 3000, CARDS = 4, RAM_BYTES = 1 << 20, FRAMES_AT_ONCE = 200000 };

static const struct device_class *const classes[CARDS] = { &e1000_class, &rtl8139_class, &rtl8029_class, &ne2000_class };
/* As programmed: memory and port BARs. The ISA card is at 300h. */
static const uint32_t windows[CARDS] = { 0xfeb00000, 0xfeb40000, 0, 0 };
static const uint32_t ports_at[CARDS] = { 0xc000, 0xc100, 0xc200, 0x300 };
static const uint32_t spans[CARDS] = { 0x20000, 0x100, 0x20, 0x20 };

struct lab {
    struct clock clock;
    struct log log;
    struct ports *ports;
    struct space *space;
    struct memory ram;
    struct region ram_region;
    struct device *cards[CARDS];
    struct packet_sink sink;
    struct fuzz_random random;
    uint64_t sent_hash;
    uint64_t sent; /* within this operation */
};

static uint32_t below(struct lab *lab, uint32_t limit) { return fuzz_below(&lab->random, limit); }
static bool one_in(struct lab *lab, uint32_t n) { return fuzz_one_in(&lab->random, n); }

static void take(void *context, const uint8_t *frame, size_t size)
{
    struct lab *lab = context;

    lab->sent_hash = hash_bytes(lab->sent_hash ^ size, frame, size & ~(size_t)7);
    if (++lab->sent > FRAMES_AT_ONCE) {
        fprintf(stderr, "fuzz_net: a card sends without end\n");
        abort();
    }
}

static void check(bool is_true, const char *what)
{
    if (!is_true) {
        fprintf(stderr, "fuzz_net: %s\n", what);
        abort();
    }
}

/* ---- surroundings ---- */

static void set_up_card(struct lab *lab, unsigned n)
{
    struct pci_function *pci = pci_function_of(lab->cards[n]);

    if (pci == NULL) {
        return;
    }
    pci_config_write(pci, n == 0 ? 0x18 : 0x10, 4, ports_at[n]);
    if (windows[n] != 0) {
        pci_config_write(pci, n == 0 ? 0x10 : 0x14, 4, windows[n]);
    }
    pci_config_write(pci, 4, 2, 7);
}

static void lab_open(struct lab *lab, struct fuzz_random random)
{
    static uint8_t macs[CARDS][NIC_ADDRESS];
    struct error err = { "", "" };

    memset(lab, 0, sizeof *lab);
    lab->random = random;
    log_init(&lab->log, NULL, NULL, LOG_ERROR);
    clock_init(&lab->clock, 65536, NULL, NULL, NULL);
    lab->ports = ports_create(&lab->log);
    lab->space = space_create(&lab->log);
    uint8_t *host = calloc(1, RAM_BYTES);
    check(host != NULL && memory_init(&lab->ram, "ram", host, RAM_BYTES, 0, false, &err), "out of memory");
    lab->ram_region = (struct region){ .name = "ram", .kind = REGION_MEMORY, .size = RAM_BYTES, .memory = &lab->ram };
    space_add(lab->space, &lab->ram_region, 0, 0, true);
    lab->sink = (struct packet_sink){ lab, take, NULL };
    struct device surroundings = { .clock = &lab->clock, .log = &lab->log, .space = lab->space, .ports = lab->ports };
    for (unsigned n = 0; n < CARDS; n++) {
        memcpy(macs[n], (const uint8_t[]){ 0x52, 0x54, 0, 0, 0, (uint8_t)n }, NIC_ADDRESS);
        struct property properties[] = { { .name = "network", .pointer = &lab->sink }, { .name = "mac", .pointer = macs[n] },
                                         { .name = NULL } };
        lab->cards[n] = device_create(classes[n], classes[n]->name, &surroundings, properties, &err);
        check(lab->cards[n] != NULL, err.message);
        if (pci_function_of(lab->cards[n]) != NULL) {
            pci_function_of(lab->cards[n])->devfn = (uint8_t)(8 * (n + 3));
        } else {
            ports_add(lab->ports, (uint16_t)ports_at[n], 32, 0, classes[n]->port_ops, lab->cards[n], classes[n]->name, false);
        }
        classes[n]->set_input(lab->cards[n], NIC_PIN_LINK, true);
        set_up_card(lab, n);
    }
}

static void lab_close(struct lab *lab)
{
    for (unsigned n = 0; n < CARDS; n++) {
        device_destroy(lab->cards[n]);
    }
    space_destroy(lab->space);
    ports_destroy(lab->ports);
    free(lab->ram.host);
    memory_destroy(&lab->ram);
}

/* ---- operations ---- */

static uint32_t address(struct lab *lab)
{
    switch (below(lab, 12)) {
    case 0: return windows[below(lab, 2)] + below(lab, 0x6000); /* the cards' own registers */
    case 1: return RAM_BYTES - 32 + below(lab, 64);
    case 2: return fuzz_random32(&lab->random);
    case 3: return below(lab, RAM_BYTES);
    default: return below(lab, RAM_BYTES) & ~UINT32_C(0xff);
    }
}

static void write_card(struct lab *lab, unsigned n, unsigned reg, unsigned size, uint32_t value)
{
    if (windows[n] != 0 && one_in(lab, 2)) {
        space_write(lab->space, windows[n] + reg, size, value);
    } else if (n == 0) {
        ports_write(lab->ports, (uint16_t)ports_at[0], 4, reg);
        ports_write(lab->ports, (uint16_t)(ports_at[0] + 4), size, value);
    } else {
        ports_write(lab->ports, (uint16_t)(ports_at[n] + reg % spans[n]), size, value);
    }
}

static void op_register(struct lab *lab, unsigned n)
{
    static const uint16_t e1000_regs[] = { 0, 8, 0x10, 0x14, 0x20, 0xc0, 0xc4, 0xc8, 0xd0, 0xd8, 0x100, 0x400, 0x2800, 0x2808,
                                           0x2810, 0x2818, 0x2820, 0x282c, 0x3800, 0x3808, 0x3810, 0x3818, 0x3820, 0x5000 };
    unsigned reg = n == 0 && !one_in(lab, 3) ? e1000_regs[below(lab, sizeof e1000_regs / sizeof e1000_regs[0])]
                                             : below(lab, n == 0 ? 0x6000 : spans[n]);
    unsigned size = 1u << below(lab, 3);

    if (one_in(lab, 3)) {
        ports_read(lab->ports, (uint16_t)(ports_at[n] + below(lab, n == 0 ? 8 : spans[n])), size);
        if (windows[n] != 0) {
            space_read(lab->space, windows[n] + reg, size);
        }
    } else {
        write_card(lab, n, n == 0 ? reg & ~3u : reg, n == 0 ? 4 : size, fuzz_value(&lab->random));
    }
}

/* A list of either kind with lengths and flags that mostly make sense, and the registers that point there. */
static void op_list(struct lab *lab, unsigned n)
{
    uint32_t base = address(lab) & ~UINT32_C(0xff), count = 8 * (1 + below(lab, 8));
    bool is_receive = one_in(lab, 2);

    for (uint32_t at = 0; at < count; at++) {
        uint8_t d[16];
        uint32_t size = one_in(lab, 4) ? fuzz_value(&lab->random) : one_in(lab, 2) ? below(lab, 70000) : 14 + below(lab, 1600);
        store_le64(d, address(lab));
        if (n == 0) {
            bool is_extended = one_in(lab, 2);
            uint32_t command = one_in(lab, 3) ? below(lab, 256) : (is_extended ? 0x20u : 0u) | 0x8u | below(lab, 2) | below(lab, 2) << 2;
            store_le32(d + 8, (size & (is_extended ? 0xfffff : 0xffff)) | command << 24 | (is_extended ? below(lab, 4) != 0 ? 1u << 20 : 0 : below(lab, 64) << 16));
            store_le32(d + 12, one_in(lab, 2) ? fuzz_random32(&lab->random) : below(lab, 4) << 8);
            if (is_extended && (load_le32(d + 8) & 0xf00000) == 0) { /* a context */
                store_le32(d, 14 | 24u << 8 | below(lab, 64) << 16);
                store_le32(d + 4, 34 | 50u << 8);
                store_le32(d + 12, 54u << 8 | (1 + below(lab, 1500)) << 16);
            }
        } else {
            store_le32(d, (size & 0x7ffff) | (one_in(lab, 8) ? 0 : UINT32_C(0x80000000)) | (at + 1 == count || one_in(lab, 16) ? 0x40000000 : 0) |
                              below(lab, 4) << 28 | (one_in(lab, 4) ? fuzz_random32(&lab->random) & 0x0fff0000 : 0));
            store_le32(d + 4, one_in(lab, 4) ? fuzz_random32(&lab->random) : 0);
            store_le64(d + 8, address(lab));
        }
        space_write_bytes(lab->space, base + 16 * at, d, sizeof d);
    }
    if (n == 0) {
        unsigned regs = is_receive ? 0x2800 : 0x3800;
        space_write(lab->space, windows[0] + (is_receive ? 0x100 : 0x400), 4, is_receive ? 0x801a | below(lab, 4) << 16 | below(lab, 64) << 24 : 0xa);
        space_write(lab->space, windows[0] + regs, 4, base);
        space_write(lab->space, windows[0] + regs + 4, 4, 0);
        space_write(lab->space, windows[0] + regs + 8, 4, count * 16);
        space_write(lab->space, windows[0] + regs + 0x10, 4, below(lab, count));
        space_write(lab->space, windows[0] + regs + 0x18, 4, below(lab, count));
    } else if (n == 1) {
        space_write(lab->space, windows[1] + 0xe0, 2, 3 | below(lab, 8) << 4);
        space_write(lab->space, windows[1] + (is_receive ? 0xe4 : 0x20), 4, base);
        space_write(lab->space, windows[1] + 0x37, 1, 0x0c);
        space_write(lab->space, windows[1] + 0x44, 4, 0x0f | below(lab, 4) << 11);
        space_write(lab->space, windows[1] + 0xd9, 1, 0x40);
    }
}

/* The rings of the older chips. */
static void op_ring(struct lab *lab, unsigned n)
{
    if (n == 1) {
        space_write(lab->space, windows[1] + 0xe0, 2, 0);
        space_write(lab->space, windows[1] + 0x30, 4, address(lab));
        space_write(lab->space, windows[1] + 0x44, 4, 0x0f | below(lab, 2) << 7 | below(lab, 4) << 11);
        space_write(lab->space, windows[1] + 0x37, 1, 0x0c);
        space_write(lab->space, windows[1] + 0x38, 2, fuzz_value(&lab->random));
        space_write(lab->space, windows[1] + 0x20, 4, address(lab));
        space_write(lab->space, windows[1] + 0x10, 4, below(lab, 0x2000));
    } else if (n >= 2) {
        static const uint8_t regs[] = { 1, 2, 3, 4, 5, 6, 8, 9, 10, 11 };
        ports_write(lab->ports, (uint16_t)ports_at[n], 1, 0x21);
        for (unsigned at = 0; at < sizeof regs; at++) {
            ports_write(lab->ports, (uint16_t)(ports_at[n] + regs[at]), 1, one_in(lab, 3) ? below(lab, 256) : 0x40 + below(lab, 64));
        }
        ports_write(lab->ports, (uint16_t)(ports_at[n] + 12), 1, 0x1e);
        ports_write(lab->ports, (uint16_t)(ports_at[n] + 14), 1, 0x48 | below(lab, 2));
        ports_write(lab->ports, (uint16_t)ports_at[n], 1, 0x02 | below(lab, 2) << 2 | 8u << below(lab, 2));
        for (unsigned at = below(lab, 200); at != 0; at--) {
            unsigned size = 1u << below(lab, 3);
            if (one_in(lab, 2)) {
                ports_read(lab->ports, (uint16_t)(ports_at[n] + 0x10), size);
            } else {
                ports_write(lab->ports, (uint16_t)(ports_at[n] + 0x10), size, fuzz_random32(&lab->random));
            }
        }
    }
}

/* Ethernet with IPv4 or not, TCP, UDP or nothing, tags, wrong lengths and sums. */
static void op_frame(struct lab *lab, unsigned n)
{
    static uint8_t frame[PACKET_MAX];
    size_t size = one_in(lab, 8) ? 60 + below(lab, PACKET_MAX - 60) : 60 + below(lab, 1459);
    const struct device_class *class = classes[n];
    uint64_t before = state_hash(class->fields, lab->cards[n], HASH_SEED);
    uint64_t ram_before = hash_bytes(HASH_SEED, lab->ram.host, 65536);

    for (size_t at = 0; at < size; at += 1 + below(lab, 64)) {
        frame[at] = (uint8_t)fuzz_random32(&lab->random);
    }
    memcpy(frame, (const uint8_t[]){ 0x52, 0x54, 0, 0, 0, (uint8_t)n }, 6);
    if (one_in(lab, 3)) {
        memset(frame, one_in(lab, 2) ? 0xff : (int)below(lab, 256), 6);
    }
    if (!one_in(lab, 4)) {
        memcpy(frame + 12, one_in(lab, 4) ? (const uint8_t[]){ 0x81, 0 } : (const uint8_t[]){ 8, 0 }, 2);
        frame[14] = one_in(lab, 4) ? (uint8_t)below(lab, 256) : 0x45;
        frame[16] = (uint8_t)((size - 14) >> 8);
        frame[17] = (uint8_t)(one_in(lab, 4) ? below(lab, 256) : (size - 14));
        frame[20] = frame[21] = one_in(lab, 4);
        frame[23] = one_in(lab, 2) ? 6 : 17;
    }
    if (!class->receive(lab->cards[n], frame, size)) {
        check(state_hash(class->fields, lab->cards[n], HASH_SEED) == before &&
                  hash_bytes(HASH_SEED, lab->ram.host, 65536) == ram_before,
              "a refused frame changed something");
    }
}

static void op_time(struct lab *lab)
{
    clock_skip(&lab->clock, (uint64_t)fuzz_random32(&lab->random) >> below(lab, 24));
    clock_run_due(&lab->clock);
}

static void op_rare(struct lab *lab, unsigned n)
{
    switch (below(lab, 4)) {
    case 0: classes[n]->set_input(lab->cards[n], NIC_PIN_LINK, below(lab, 4) != 0); break;
    case 1:
        classes[n]->reset(lab->cards[n]);
        set_up_card(lab, n);
        break;
    case 2:
        if (pci_function_of(lab->cards[n]) != NULL) {
            pci_config_write(pci_function_of(lab->cards[n]), below(lab, 64) & ~3u, 4, fuzz_value(&lab->random));
            set_up_card(lab, n);
        }
        break;
    default: { /* what a snapshot does */
        struct state_stream stream = { 0 };
        struct error err = { "", "" };
        uint64_t before = state_hash(classes[n]->fields, lab->cards[n], HASH_SEED);
        state_save(&stream, classes[n]->fields, lab->cards[n]);
        classes[n]->reset(lab->cards[n]);
        check(state_load(&stream, classes[n]->fields, lab->cards[n], &err), err.message);
        if (classes[n]->loaded != NULL) {
            classes[n]->loaded(lab->cards[n]);
        }
        check(state_hash(classes[n]->fields, lab->cards[n], HASH_SEED) == before, "a loaded card is not the saved one");
        state_stream_free(&stream);
        break;
    }
    }
}

static uint64_t play_round(struct fuzz_random random)
{
    static struct lab lab;
    uint64_t hash;

    lab_open(&lab, random);
    for (unsigned done = 0; done < OPERATIONS; done++) {
        unsigned n = below(&lab, CARDS), what = below(&lab, 32);
        lab.sent = 0;
        if (what < 10) {
            op_register(&lab, n);
        } else if (what < 14) {
            op_list(&lab, n % 2);
        } else if (what < 18) {
            op_ring(&lab, n);
        } else if (what < 28) {
            op_frame(&lab, n);
        } else if (what < 31) {
            op_time(&lab);
        } else {
            op_rare(&lab, n);
        }
    }
    hash = hash_bytes(lab.sent_hash, lab.ram.host, RAM_BYTES);
    for (unsigned n = 0; n < CARDS; n++) {
        hash = state_hash(classes[n]->fields, lab.cards[n], hash);
    }
    lab_close(&lab);
    return hash;
}

int main(int argc, char **argv)
{
    struct fuzz_options options = { .seconds = 0, .rounds = 0, .seed = 1 };
    uint64_t hash = 0, done = 0;

    if (!fuzz_options_read(&options, argc, argv)) {
        return 1;
    }
    if (options.seconds == 0 && options.rounds == 0) {
        options.seconds = 60;
    }
    for (uint64_t round = options.first_round; options.rounds == 0 || done < options.rounds; round++) {
        if (options.seconds != 0 && fuzz_seconds() >= (double)options.seconds) {
            break;
        }
        if (options.is_verbose) {
            fprintf(stderr, "seed %" PRIu64 " round %" PRIu64 "\n", options.seed, round);
        }
        hash = hash * UINT64_C(0x100000001b3) + play_round(fuzz_seed(options.seed, round));
        done++;
    }
    printf("fuzz_net: seed %" PRIu64 ", %" PRIu64 " rounds, %" PRIu64 " operations, hash %016" PRIx64 "\n", options.seed, done,
           done * OPERATIONS, hash);
    return 0;
}
