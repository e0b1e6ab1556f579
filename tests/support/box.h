/* box.h - surroundings for exactly one chip under test: a clock without a CPU, ports, memory and wires.
 *
 *     struct box box;
 *     box_open(&box, &i8254_class);
 *     box_map_ports(&box, 0x40, 4, 0);
 *     box_out8(&box, 0x43, 0x34);
 *     box_step_ns(&box, 1000000);
 *     ck_assert(box_irq(&box, "out0"));
 *     box_close(&box);
 *
 * Every output wire of the chip is connected to the box, which records its level and edges. Time moves only with
 * box_step_ns(), and every event on the way fires at its exact deadline. Anything that fails here fails the test. */
#ifndef TESTS_SUPPORT_BOX_H
#define TESTS_SUPPORT_BOX_H

#include "devices/device.h"
#include "devices/pci.h"

enum { BOX_WIRES_MAX = 64, BOX_RAM_SIZE = 16 << 20 };

/* What the box has seen on one output wire of the chip. */
struct box_wire {
    char name[24];  /* "out2" */
    bool level;
    unsigned rises; /* low to high */
    unsigned falls; /* high to low */
};

struct box {
    struct clock clock;
    struct log log;
    struct ports *ports;
    struct space *space; /* 16 MiB of RAM at 0 */
    struct memory ram;
    struct region ram_region;
    struct device *dev;  /* the chip under test */
    struct device *sink; /* the other end of its output wires */
    unsigned wire_count;
    struct box_wire wires[BOX_WIRES_MAX];
    unsigned log_count; /* messages of level error or guest so far */
    char log_text[256]; /* the last one */
};

/* The chip is created, reset and wired to the box. No ports are mapped. Guest time is 0. */
void box_open(struct box *box, const struct device_class *class);
/* The same with properties (ends with name NULL; may be NULL). Properties may name `box->ram` and so on. */
void box_open_with(struct box *box, const struct device_class *class, const struct property *properties);
/* In two steps, for chips whose properties point into the box: the surroundings first, then the chip. */
void box_prepare(struct box *box);
void box_install(struct box *box, const struct device_class *class, const struct property *properties);
void box_close(struct box *box);
void box_reset(struct box *box);

/* Ports first to first + count - 1 are the chip's registers first_reg and up. */
void box_map_ports(struct box *box, unsigned first_port, unsigned count, unsigned first_reg);

uint8_t box_in8(struct box *box, unsigned port);
uint16_t box_in16(struct box *box, unsigned port);
uint32_t box_in32(struct box *box, unsigned port);
void box_out8(struct box *box, unsigned port, unsigned value);
void box_out16(struct box *box, unsigned port, unsigned value);
void box_out32(struct box *box, unsigned port, uint32_t value);

/* Physical memory of the box, RAM or the chip's regions. */
uint8_t box_read8(struct box *box, phys_addr address);
uint16_t box_read16(struct box *box, phys_addr address);
uint32_t box_read32(struct box *box, phys_addr address);
void box_write8(struct box *box, phys_addr address, unsigned value);
void box_write16(struct box *box, phys_addr address, unsigned value);
void box_write32(struct box *box, phys_addr address, uint32_t value);

/* Guest time passes; events fire at their deadlines. */
void box_step_ns(struct box *box, uint64_t ns);
uint64_t box_now(const struct box *box);

/* Level of the chip's output wire of that name ("int", "out2"); how often it rose and fell. */
bool box_irq(struct box *box, const char *output);
unsigned box_rises(struct box *box, const char *output);
unsigned box_falls(struct box *box, const char *output);

/* Sets the chip's input pin of that name ("ir3"). */
void box_set(struct box *box, const char *pin, bool level);

/* Configuration space of a chip that is a PCI function (it has a FIELD_PCI row). Its INTA# is the wire "intx". */
uint32_t box_config_read(struct box *box, unsigned offset, unsigned size);
void box_config_write(struct box *box, unsigned offset, unsigned size, uint32_t value);

/* Saves the chip, creates nothing new, resets it and loads it again: what a snapshot does. */
void box_save_load(struct box *box);

#endif
