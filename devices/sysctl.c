/* sysctl.c - the PC's system control ports: port B (61h) of the PC/AT, as in the 82371SB (PIIX3, April 1997, 290550-002,
 * 2.5.5.1 "NMISC"), and port A (92h) of the PS/2 (IBM PS/2 Hardware Interface Technical Reference, "System Control Port A").
 *
 * Registers are numbered like their ports: 61h and 92h. Input "out2" (PIT counter 2); outputs "gate2" (to the PIT),
 * "speaker" (what the speaker's driver gets: OUT2 and the data bit), "a20" and "reset" (fast reset, a level that falls
 * with the reset it causes). Bit 4 of port 61h toggles with every refresh request, each 15.085 microseconds, as a function
 * of guest time.
 * Not implemented: parity and IOCHK# errors, which never happen (bits 6 and 7 read 0; the enable bits 2 and 3 are
 * remembered), port 92h's password lock and LED bits (remembered). */
#include "devices/sysctl.h"

#include "devices/backend.h"

enum {
    REG_PORT_B = 0x61,
    REG_PORT_A = 0x92,

    PORT_B_GATE2 = 0x01,
    PORT_B_SPEAKER = 0x02,
    PORT_B_WRITABLE = 0x0f,
    PORT_B_REFRESH = 0x10,
    PORT_B_OUT2 = 0x20,

    PORT_A_RESET = 0x01,
    PORT_A_A20 = 0x02,

    REFRESH_NS = 15085,
};

struct sysctl {
    struct device dev;
    struct irq gate2;
    struct irq speaker;
    struct speaker_sink *sink;
    struct irq a20;
    struct irq reset;
    uint8_t port_a;
    uint8_t port_b;
    bool is_out2_high;
    bool is_heard_high;
    uint8_t pad_[4];
};

#define S struct sysctl
static const struct field sysctl_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, gate2, "GATE of PIT counter 2"),
    WIRED(S, speaker, NULL),
    WIRED(S, sink, "who hears the speaker"),
    WIRED(S, a20, "address line 20 enable"),
    WIRED(S, reset, "processor reset"),
    FIELD(S, port_a, "port 92h: bit 1 A20, bit 0 reset"),
    FIELD(S, port_b, "port 61h, bits 3 to 0"),
    FIELD(S, is_out2_high, "OUT of PIT counter 2"),
    DERIVED(S, is_heard_high, "what the sink knows"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

static void drive_speaker(struct sysctl *sys)
{
    bool level = (sys->port_b & PORT_B_SPEAKER) && sys->is_out2_high;

    irq_set(&sys->speaker, level);
    if (sys->sink != NULL && level != sys->is_heard_high) {
        sys->is_heard_high = level;
        sys->sink->level(sys->sink->context, clock_now(sys->dev.clock), level);
    }
}

static void sysctl_update(struct sysctl *sys)
{
    irq_set(&sys->gate2, (sys->port_b & PORT_B_GATE2) != 0);
    drive_speaker(sys);
    irq_set(&sys->a20, (sys->port_a & PORT_A_A20) != 0);
    irq_set(&sys->reset, (sys->port_a & PORT_A_RESET) != 0);
}

static uint32_t sysctl_read(void *owner, unsigned reg, unsigned size)
{
    const struct sysctl *sys = owner;

    (void)size;
    switch (reg) {
    case REG_PORT_B:
        return sys->port_b | (clock_now(sys->dev.clock) / REFRESH_NS % 2 ? PORT_B_REFRESH : 0u) |
               (sys->is_out2_high ? PORT_B_OUT2 : 0u);
    case REG_PORT_A:
        return sys->port_a;
    default:
        return 0xff;
    }
}

static void sysctl_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    struct sysctl *sys = owner;

    (void)size;
    switch (reg) {
    case REG_PORT_B:
        sys->port_b = value & PORT_B_WRITABLE;
        break;
    case REG_PORT_A:
        sys->port_a = (uint8_t)value;
        break;
    default:
        return;
    }
    sysctl_update(sys);
}

static void sysctl_set_input(struct device *dev, unsigned pin, bool level)
{
    struct sysctl *sys = (struct sysctl *)dev;

    if (pin == 0) {
        sys->is_out2_high = level;
        drive_speaker(sys);
    }
}

static void sysctl_reset(struct device *dev)
{
    struct sysctl *sys = (struct sysctl *)dev;

    sys->port_a = 0;
    sys->port_b = 0;
    sysctl_update(sys);
}

/* Property "speaker": a struct speaker_sink; may be left out. */
static bool sysctl_init(struct device *dev, const struct property *properties, struct error *err)
{
    const struct property *speaker = property_find(properties, "speaker");

    (void)err;
    ((struct sysctl *)dev)->sink = speaker != NULL ? speaker->pointer : NULL;
    return true;
}

static void sysctl_loaded(struct device *dev)
{
    drive_speaker((struct sysctl *)dev);
}

static const struct pin_group sysctl_inputs[] = {{"out2", 0, 0}, {NULL, 0, 0}};
static const struct output sysctl_outputs[] = {
    {"gate2", offsetof(struct sysctl, gate2), 0},
    {"speaker", offsetof(struct sysctl, speaker), 0},
    {"a20", offsetof(struct sysctl, a20), 0},
    {"reset", offsetof(struct sysctl, reset), 0},
    {NULL, 0, 0},
};
static const struct port_ops sysctl_port_ops = {sysctl_read, sysctl_write, 1};

const struct device_class sysctl_class = {
    .name = "sysctl",
    .doc = "system control ports 61h and 92h",
    .size = sizeof(struct sysctl),
    .fields = sysctl_fields,
    .inputs = sysctl_inputs,
    .outputs = sysctl_outputs,
    .port_ops = &sysctl_port_ops,
    .init = sysctl_init,
    .loaded = sysctl_loaded,
    .reset = sysctl_reset,
    .set_input = sysctl_set_input,
};
