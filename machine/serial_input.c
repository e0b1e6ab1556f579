/* serial_input.c - sends queued bytes to a serial port at the speed that the port is set to; see serial_input.h.
 *
 * No document: this is the terminal at the other end of the cable. It waits while the port has no room, as if RTS and CTS
 * were wired, so that no input is lost. Property "port" (pointer to the ns16550). RESET keeps what was typed. */
#include "machine/serial_input.h"

#include "devices/ns16550.h"

/* How long to wait before a port without room is tried again. */
enum { RETRY_NS = 500000 };

struct serial_input {
    struct device dev;
    struct device *port;
    struct event send;
    uint32_t head, count;
    uint8_t bytes[SERIAL_INPUT_BYTES];
};

#define S struct serial_input
static const struct field serial_input_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, port, "who receives"),
    FIELD_EVENT(S, send, "next byte"),
    FIELD(S, head, "index of the oldest byte"),
    FIELD(S, count, "bytes waiting"),
    FIELD(S, bytes, "ring; zero where nothing waits"),
    FIELD_END,
};
#undef S

static void schedule(struct serial_input *input, uint64_t at_least_ns)
{
    uint64_t ready_ns = ns16550_receive_ready_ns(input->port);

    event_at(&input->send, ready_ns > at_least_ns ? ready_ns : at_least_ns);
}

static void send(void *owner)
{
    struct serial_input *input = owner;
    uint64_t now = clock_now(input->dev.clock);

    if (input->count == 0) {
        return;
    }
    if (!ns16550_can_receive(input->port)) {
        schedule(input, now + RETRY_NS);
        return;
    }
    uint8_t byte = input->bytes[input->head];
    input->bytes[input->head] = 0;
    input->head = (input->head + 1) % SERIAL_INPUT_BYTES;
    input->count--;
    ns16550_receive(input->port, byte);
    if (input->count != 0) {
        schedule(input, now + 1);
    }
}

size_t serial_input_put(struct device *dev, const uint8_t *bytes, size_t size)
{
    struct serial_input *input = (struct serial_input *)(void *)dev;
    size_t taken = 0;

    for (; taken < size && input->count < SERIAL_INPUT_BYTES; taken++, input->count++) {
        input->bytes[(input->head + input->count) % SERIAL_INPUT_BYTES] = bytes[taken];
    }
    if (input->count != 0 && !event_is_armed(&input->send)) {
        schedule(input, clock_now(input->dev.clock));
    }
    return taken;
}

size_t serial_input_room(const struct device *dev)
{
    return SERIAL_INPUT_BYTES - ((const struct serial_input *)(const void *)dev)->count;
}

static bool serial_input_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct serial_input *input = (struct serial_input *)(void *)dev;
    const struct property *port = property_find(properties, "port");

    event_init(&input->send, dev->clock, send, input);
    if (port == NULL || port->pointer == NULL) {
        return error_set(err, "%s: there is no serial port", dev->name);
    }
    input->port = port->pointer;
    return true;
}

static void serial_input_loaded(struct device *dev)
{
    struct serial_input *input = (struct serial_input *)(void *)dev;

    input->head %= SERIAL_INPUT_BYTES;
    if (input->count > SERIAL_INPUT_BYTES) {
        input->count = SERIAL_INPUT_BYTES;
    }
}

const struct device_class serial_input_class = {
    .name = "serial_input",
    .doc = "bytes on their way to a serial port",
    .size = sizeof(struct serial_input),
    .fields = serial_input_fields,
    .init = serial_input_init,
    .loaded = serial_input_loaded,
};
