/* box.c - see box.h. */
#include "tests/support/box.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The far end of the chip's output wires. */
struct box_sink {
    struct device dev;
    struct box *box;
};

static const struct field box_sink_fields[] = {
    DEVICE_FIELDS(struct box_sink),
    WIRED(struct box_sink, box, NULL),
    FIELD_END,
};

static void box_sink_set_input(struct device *dev, unsigned pin, bool level)
{
    struct box_wire *wire = &((struct box_sink *)(void *)dev)->box->wires[pin];

    wire->rises += level && !wire->level;
    wire->falls += !level && wire->level;
    wire->level = level;
}

static const struct device_class box_sink_class = {
    .name = "box_sink",
    .doc = "records levels",
    .size = sizeof(struct box_sink),
    .fields = box_sink_fields,
    .set_input = box_sink_set_input,
};

static void box_log(void *context, const char *channel, enum log_level level, const char *text)
{
    struct box *box = context;

    (void)level;
    box->log_count++;
    snprintf(box->log_text, sizeof box->log_text, "%s: %s", channel, text);
}

void box_prepare(struct box *box)
{
    struct error err;
    uint8_t *host = calloc(1, BOX_RAM_SIZE);

    memset(box, 0, sizeof *box);
    ck_assert_ptr_nonnull(host);
    log_init(&box->log, box_log, box, LOG_GUEST);
    clock_init(&box->clock, 65536, NULL, NULL, NULL);
    box->ports = ports_create(&box->log);
    box->space = space_create(&box->log);
    ck_assert(memory_init(&box->ram, "ram", host, BOX_RAM_SIZE, 0, false, &err));
    box->ram_region = (struct region){ .name = "ram", .kind = REGION_MEMORY, .size = BOX_RAM_SIZE, .memory = &box->ram };
    space_add(box->space, &box->ram_region, 0, 0, true);
}

static void connect_wire(struct box *box, struct irq *irq, const char *name, int number)
{
    ck_assert_uint_lt(box->wire_count, BOX_WIRES_MAX);
    struct box_wire *wire = &box->wires[box->wire_count];
    if (number < 0) {
        snprintf(wire->name, sizeof wire->name, "%s", name);
    } else {
        snprintf(wire->name, sizeof wire->name, "%s%d", name, number);
    }
    irq->sink = box->sink;
    irq->pin = box->wire_count++;
}

void box_install(struct box *box, const struct device_class *class, const struct property *properties)
{
    struct device surroundings = { .clock = &box->clock, .log = &box->log, .space = box->space, .ports = box->ports };
    struct error err = { "", "" };

    box->sink = device_create(&box_sink_class, "sink", &surroundings, NULL, &err);
    ck_assert_ptr_nonnull(box->sink);
    ((struct box_sink *)(void *)box->sink)->box = box;
    box->dev = device_create(class, "chip", &surroundings, properties, &err);
    ck_assert_msg(box->dev != NULL, "cannot create %s: %s", class->name, err.message);
    for (const struct output *o = class->outputs; o != NULL && o->name != NULL; o++) {
        struct irq *irq = (struct irq *)(void *)((char *)box->dev + o->offset);
        for (uint32_t i = 0; i < (o->count != 0 ? o->count : 1); i++) {
            connect_wire(box, &irq[i], o->name, o->count != 0 ? (int)i : -1);
        }
    }
    struct pci_function *pci = pci_function_of(box->dev);
    if (pci != NULL && pci->intx.sink == NULL) {
        connect_wire(box, &pci->intx, "intx", -1);
    }
    if (class->reset != NULL) {
        class->reset(box->dev); /* outputs that are high after reset become known */
    }
}

void box_open_with(struct box *box, const struct device_class *class, const struct property *properties)
{
    box_prepare(box);
    box_install(box, class, properties);
}

void box_open(struct box *box, const struct device_class *class)
{
    box_open_with(box, class, NULL);
}

void box_close(struct box *box)
{
    device_destroy(box->dev);
    device_destroy(box->sink);
    space_destroy(box->space);
    ports_destroy(box->ports);
    free(box->ram.host);
    memory_destroy(&box->ram);
    memset(box, 0, sizeof *box);
}

void box_reset(struct box *box)
{
    box->dev->class->reset(box->dev);
}

void box_map_ports(struct box *box, unsigned first_port, unsigned count, unsigned first_reg)
{
    ck_assert(box->dev->class->port_ops != NULL);
    ports_add(box->ports, (uint16_t)first_port, count, first_reg, box->dev->class->port_ops, box->dev,
              box->dev->class->name, false);
}

uint8_t box_in8(struct box *box, unsigned port)
{
    return (uint8_t)ports_read(box->ports, (uint16_t)port, 1);
}

uint16_t box_in16(struct box *box, unsigned port)
{
    return (uint16_t)ports_read(box->ports, (uint16_t)port, 2);
}

uint32_t box_in32(struct box *box, unsigned port)
{
    return ports_read(box->ports, (uint16_t)port, 4);
}

void box_out8(struct box *box, unsigned port, unsigned value)
{
    ports_write(box->ports, (uint16_t)port, 1, value & 0xff);
}

void box_out16(struct box *box, unsigned port, unsigned value)
{
    ports_write(box->ports, (uint16_t)port, 2, value & 0xffff);
}

void box_out32(struct box *box, unsigned port, uint32_t value)
{
    ports_write(box->ports, (uint16_t)port, 4, value);
}

uint8_t box_read8(struct box *box, phys_addr address)
{
    return (uint8_t)space_read(box->space, address, 1);
}

uint16_t box_read16(struct box *box, phys_addr address)
{
    return (uint16_t)space_read(box->space, address, 2);
}

uint32_t box_read32(struct box *box, phys_addr address)
{
    return (uint32_t)space_read(box->space, address, 4);
}

void box_write8(struct box *box, phys_addr address, unsigned value)
{
    space_write(box->space, address, 1, value & 0xff);
}

void box_write16(struct box *box, phys_addr address, unsigned value)
{
    space_write(box->space, address, 2, value & 0xffff);
}

void box_write32(struct box *box, phys_addr address, uint32_t value)
{
    space_write(box->space, address, 4, value);
}

void box_step_ns(struct box *box, uint64_t ns)
{
    uint64_t target = clock_now(&box->clock) + ns;

    for (;;) {
        uint64_t now = clock_now(&box->clock);
        uint64_t next = clock_next_deadline(&box->clock);
        if (next > target) {
            clock_skip(&box->clock, target - now);
            return;
        }
        if (next > now) {
            clock_skip(&box->clock, next - now);
        }
        clock_run_due(&box->clock);
    }
}

uint64_t box_now(const struct box *box)
{
    return clock_now(&box->clock);
}

static struct box_wire *find_wire(struct box *box, const char *output)
{
    for (unsigned i = 0; i < box->wire_count; i++) {
        if (strcmp(box->wires[i].name, output) == 0) {
            return &box->wires[i];
        }
    }
    ck_abort_msg("%s has no output '%s'", box->dev->class->name, output);
    return NULL;
}

bool box_irq(struct box *box, const char *output)
{
    return find_wire(box, output)->level;
}

unsigned box_rises(struct box *box, const char *output)
{
    return find_wire(box, output)->rises;
}

unsigned box_falls(struct box *box, const char *output)
{
    return find_wire(box, output)->falls;
}

void box_set(struct box *box, const char *pin, bool level)
{
    struct error err;
    struct device *dev = box->dev;
    /* A wire of its own, so that pins are named exactly as in the wiring table. */
    struct box_source {
        struct device dev;
        struct irq wire;
    } source;
    static const struct output outputs[] = { { "wire", offsetof(struct box_source, wire), 0 }, { NULL, 0, 0 } };
    static const struct device_class source_class = { .name = "box_source", .outputs = outputs };

    memset(&source, 0, sizeof source);
    source.dev.class = &source_class;
    source.dev.name = "source";
    ck_assert_msg(device_connect(&source.dev, "wire", dev, pin, &err), "%s has no input '%s'", dev->class->name, pin);
    irq_set(&source.wire, level);
}

static struct pci_function *box_pci(struct box *box)
{
    struct pci_function *pci = pci_function_of(box->dev);

    ck_assert_ptr_nonnull(pci);
    return pci;
}

uint32_t box_config_read(struct box *box, unsigned offset, unsigned size)
{
    return pci_config_read(box_pci(box), offset, size);
}

void box_config_write(struct box *box, unsigned offset, unsigned size, uint32_t value)
{
    pci_config_write(box_pci(box), offset, size, value);
}

void box_save_load(struct box *box)
{
    struct state_stream stream = { 0 };
    struct error err = { "", "" };
    const struct device_class *class = box->dev->class;
    struct box_wire wires[BOX_WIRES_MAX]; /* levels are state of the receiver, which is not reset here */

    memcpy(wires, box->wires, sizeof wires);
    state_save(&stream, class->fields, box->dev);
    ck_assert(!stream.failed);
    class->reset(box->dev);
    ck_assert_msg(state_load(&stream, class->fields, box->dev, &err), "%s", err.message);
    if (class->loaded != NULL) {
        class->loaded(box->dev);
    }
    memcpy(box->wires, wires, sizeof wires);
    state_stream_free(&stream);
}
