/* i8259.c - programmable interrupt controller, as in the Intel 8259A datasheet (December 1988, 231468-003), with the
 * edge/level control register of the 82371SB (PIIX3, April 1997, 290550-002, 2.5.4, "ELCR1, ELCR2").
 *
 * Registers: 0 and 1 are the chip's two addresses (A0), 4 is its ELCR. Pins "ir0" to "ir7"; output "int".
 * Properties: "is_master" (number: drives the cascade, limits the ELCR to the inputs that PIIX3 lets be changed),
 * "has_elcr" (number, 1 when missing; with it ICW1's LTIM bit is ignored as in PIIX3, without it LTIM rules).
 * Not implemented: the CALL sequence of 8080/8085 systems (logged; vectors are given as if uPM were set), and the
 * buffered mode's SP/EN pin, which only concerns bus drivers. */
#include "devices/i8259.h"

enum {
    REG_COMMAND = 0, /* ICW1, OCW2, OCW3; reads IRR, ISR or the poll word */
    REG_DATA = 1,    /* ICW2 to ICW4, OCW1; reads IMR */
    REG_ELCR = 4,

    ICW1_IC4 = 0x01,
    ICW1_SNGL = 0x02,
    ICW1_LTIM = 0x08,
    ICW1_INIT = 0x10,

    ICW4_UPM = 0x01,
    ICW4_AEOI = 0x02,
    ICW4_SFNM = 0x10,

    OCW2_LEVEL = 0x07,
    OCW2_COMMAND_SHIFT = 5,

    OCW3_SELECT = 0x08,
    OCW3_RIS = 0x01,
    OCW3_RR = 0x02,
    OCW3_POLL = 0x04,
    OCW3_SMM = 0x20,
    OCW3_ESMM = 0x40,

    POLL_INTERRUPT = 0x80,

    ELCR_MASTER_MASK = 0xf8, /* IRQ 0, 1 and 2 are always edge */
    ELCR_SLAVE_MASK = 0xde,  /* IRQ 8 and 13 are always edge */
};

/* OCW2's R, SL and EOI bits. */
enum ocw2_command {
    OCW2_ROTATE_AEOI_CLEAR = 0,
    OCW2_EOI = 1,
    OCW2_NOP = 2,
    OCW2_SPECIFIC_EOI = 3,
    OCW2_ROTATE_AEOI_SET = 4,
    OCW2_ROTATE_EOI = 5,
    OCW2_SET_PRIORITY = 6,
    OCW2_ROTATE_SPECIFIC_EOI = 7,
};

enum init_step { STEP_READY = 0, STEP_ICW2 = 2, STEP_ICW3 = 3, STEP_ICW4 = 4 };

struct i8259 {
    struct device dev;
    struct irq int_output;
    uint8_t inputs;
    uint8_t edges;
    uint8_t imr;
    uint8_t isr;
    uint8_t icw1;
    uint8_t vector_base;
    uint8_t icw3;
    uint8_t icw4;
    uint8_t elcr;
    uint8_t lowest_priority;
    uint8_t init_step;
    bool is_reading_isr;
    bool is_polled;
    bool is_special_mask;
    bool is_rotating_on_aeoi;
    bool is_master;
    bool has_elcr;
    bool has_logged_8080;
    uint8_t pad_[6];
};

#define S struct i8259
static const struct field i8259_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, int_output, "INT"),
    FIELD(S, inputs, "levels of IR0 to IR7"),
    FIELD(S, edges, "rising edges not yet acknowledged; IRR is these for edge inputs, the levels for level inputs"),
    FIELD(S, imr, "interrupt mask register (OCW1)"),
    FIELD(S, isr, "in-service register"),
    FIELD(S, icw1, "last ICW1"),
    FIELD(S, vector_base, "ICW2, bits 7 to 3 of the vector"),
    FIELD(S, icw3, "inputs with a slave, or the slave's number"),
    FIELD(S, icw4, "ICW4; 0 when ICW1 did not announce one"),
    FIELD(S, elcr, "edge/level control register, 1 is level"),
    FIELD(S, lowest_priority, "input of lowest priority; 7 unless rotated"),
    FIELD(S, init_step, "number of the ICW expected next, 0 when initialised"),
    FIELD(S, is_reading_isr, "OCW3: register 0 reads ISR, not IRR"),
    FIELD(S, is_polled, "OCW3: the next read is a poll"),
    FIELD(S, is_special_mask, "special mask mode"),
    FIELD(S, is_rotating_on_aeoi, "rotate in automatic EOI mode"),
    WIRED(S, is_master, "drives the cascade bus"),
    WIRED(S, has_elcr, "trigger mode is ELCR's, not LTIM's"),
    DERIVED(S, has_logged_8080, NULL),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

enum { NO_REQUEST = -1 };

static struct i8259 *i8259_of(struct device *dev)
{
    return (struct i8259 *)dev;
}

static uint8_t i8259_level_inputs(const struct i8259 *pic)
{
    if (pic->has_elcr) {
        return pic->elcr;
    }
    return (pic->icw1 & ICW1_LTIM) ? 0xff : 0x00;
}

/* The interrupt request register. An edge is remembered only while its input stays high: "the IR input must remain
 * high until after the falling edge of the first INTA". */
static uint8_t i8259_irr(const struct i8259 *pic)
{
    uint8_t level = i8259_level_inputs(pic);

    return (uint8_t)((pic->inputs & level) | (pic->edges & ~level));
}

/* The request that INT announces, or NO_REQUEST: highest priority first, up to the first level in service. */
static int i8259_request(const struct i8259 *pic)
{
    if (pic->init_step != STEP_READY) {
        return NO_REQUEST;
    }
    unsigned requests = i8259_irr(pic) & ~(unsigned)pic->imr & 0xffu;
    if (!requests) {
        return NO_REQUEST;
    }
    /* Special mask mode: a masked level in service holds nothing back. */
    unsigned in_service = pic->is_special_mask ? pic->isr & ~(unsigned)pic->imr : pic->isr;
    /* Special fully nested mode: a slave in service may be interrupted by the same slave. */
    unsigned nested = (pic->is_master && (pic->icw4 & ICW4_SFNM)) ? pic->icw3 : 0u;

    for (unsigned n = 1; n <= 8; n++) {
        unsigned level = (pic->lowest_priority + n) & 7u;
        unsigned bit = 1u << level;

        if ((in_service & bit) && !(nested & bit)) {
            return NO_REQUEST;
        }
        if (requests & bit) {
            return (int)level;
        }
        if (in_service & bit) {
            return NO_REQUEST;
        }
    }
    return NO_REQUEST;
}

static void i8259_update_int(struct i8259 *pic)
{
    irq_set(&pic->int_output, i8259_request(pic) != NO_REQUEST);
}

bool i8259_int_level(const struct device *dev)
{
    return i8259_request((const struct i8259 *)dev) != NO_REQUEST;
}

/* First INTA or a poll: the request moves from IRR to ISR. INT falls before it may rise again, so that a master whose
 * inputs are edges sees every request of a slave. */
static void i8259_take(struct i8259 *pic, unsigned level)
{
    unsigned bit = 1u << level;

    pic->edges = (uint8_t)(pic->edges & ~bit);
    if (pic->icw4 & ICW4_AEOI) {
        if (pic->is_rotating_on_aeoi) {
            pic->lowest_priority = (uint8_t)level;
        }
    } else {
        pic->isr = (uint8_t)(pic->isr | bit);
    }
    irq_set(&pic->int_output, false);
}

/* Answers the cycle and gives the level; IR7 where no request is left ("default IR7"). */
static unsigned i8259_answer(struct i8259 *pic)
{
    int request = i8259_request(pic);

    if (request == NO_REQUEST) {
        return 7;
    }
    i8259_take(pic, (unsigned)request);
    return (unsigned)request;
}

uint8_t i8259_acknowledge(struct device *master, struct device *slave)
{
    struct i8259 *pic = i8259_of(master);
    int request = i8259_request(pic);
    unsigned level = i8259_answer(pic);

    if (slave && request != NO_REQUEST && !(pic->icw1 & ICW1_SNGL) && (pic->icw3 & (1u << level))) {
        /* The master puts the slave's number on the cascade lines; the slave gives the vector. */
        struct i8259 *source = i8259_of(slave);
        level = i8259_answer(source);
        i8259_update_int(source);
        i8259_update_int(pic);
        return (uint8_t)(source->vector_base | level);
    }
    i8259_update_int(pic);
    return (uint8_t)(pic->vector_base | level);
}

/* The level in service of highest priority, or NO_REQUEST. In special mask mode non-specific EOI leaves masked levels
 * alone. */
static int i8259_highest_in_service(const struct i8259 *pic)
{
    unsigned in_service = pic->is_special_mask ? pic->isr & ~(unsigned)pic->imr : pic->isr;

    for (unsigned n = 1; n <= 8; n++) {
        unsigned level = (pic->lowest_priority + n) & 7u;
        if (in_service & (1u << level)) {
            return (int)level;
        }
    }
    return NO_REQUEST;
}

static void i8259_write_icw1(struct i8259 *pic, uint8_t value)
{
    /* 8259A datasheet, "ICW1": a to h. */
    pic->icw1 = value;
    pic->edges = 0;
    pic->imr = 0;
    pic->isr = 0;
    pic->lowest_priority = 7;
    pic->is_special_mask = false;
    pic->is_reading_isr = false;
    pic->is_polled = false;
    pic->is_rotating_on_aeoi = false;
    pic->icw4 = 0;
    pic->init_step = STEP_ICW2;
}

static void i8259_write_ocw2(struct i8259 *pic, uint8_t value)
{
    unsigned level = value & OCW2_LEVEL;
    int highest;

    switch (value >> OCW2_COMMAND_SHIFT) {
    case OCW2_ROTATE_AEOI_CLEAR:
        pic->is_rotating_on_aeoi = false;
        break;
    case OCW2_ROTATE_AEOI_SET:
        pic->is_rotating_on_aeoi = true;
        break;
    case OCW2_EOI:
    case OCW2_ROTATE_EOI:
        highest = i8259_highest_in_service(pic);
        if (highest != NO_REQUEST) {
            pic->isr = (uint8_t)(pic->isr & ~(1u << (unsigned)highest));
            if (value >> OCW2_COMMAND_SHIFT == OCW2_ROTATE_EOI) {
                pic->lowest_priority = (uint8_t)highest;
            }
        }
        break;
    case OCW2_SPECIFIC_EOI:
        pic->isr = (uint8_t)(pic->isr & ~(1u << level));
        break;
    case OCW2_ROTATE_SPECIFIC_EOI:
        pic->isr = (uint8_t)(pic->isr & ~(1u << level));
        pic->lowest_priority = (uint8_t)level;
        break;
    case OCW2_SET_PRIORITY:
        pic->lowest_priority = (uint8_t)level;
        break;
    case OCW2_NOP:
    default:
        break;
    }
}

static void i8259_write_ocw3(struct i8259 *pic, uint8_t value)
{
    if (value & OCW3_POLL) {
        pic->is_polled = true;
    }
    if (value & OCW3_RR) {
        pic->is_reading_isr = (value & OCW3_RIS) != 0;
    }
    if (value & OCW3_ESMM) {
        pic->is_special_mask = (value & OCW3_SMM) != 0;
    }
}

static void i8259_write_data(struct i8259 *pic, uint8_t value)
{
    switch (pic->init_step) {
    case STEP_ICW2:
        pic->vector_base = value & 0xf8;
        if (!(pic->icw1 & ICW1_SNGL)) {
            pic->init_step = STEP_ICW3;
        } else {
            pic->init_step = (pic->icw1 & ICW1_IC4) ? STEP_ICW4 : STEP_READY;
        }
        break;
    case STEP_ICW3:
        pic->icw3 = value;
        pic->init_step = (pic->icw1 & ICW1_IC4) ? STEP_ICW4 : STEP_READY;
        break;
    case STEP_ICW4:
        pic->icw4 = value;
        pic->init_step = STEP_READY;
        break;
    default:
        pic->imr = value;
        return;
    }
    if (pic->init_step == STEP_READY && !(pic->icw4 & ICW4_UPM) && !pic->has_logged_8080) {
        pic->has_logged_8080 = true;
        device_log(&pic->dev, LOG_GUEST, "%s: 8080/8085 mode is not implemented", pic->dev.name);
    }
}

static void i8259_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    struct i8259 *pic = owner;
    uint8_t byte = (uint8_t)value;

    (void)size;
    switch (reg) {
    case REG_COMMAND:
        if (byte & ICW1_INIT) {
            i8259_write_icw1(pic, byte);
        } else if (byte & OCW3_SELECT) {
            i8259_write_ocw3(pic, byte);
        } else {
            i8259_write_ocw2(pic, byte);
        }
        break;
    case REG_DATA:
        i8259_write_data(pic, byte);
        break;
    case REG_ELCR:
        if (pic->has_elcr) {
            pic->elcr = byte & (pic->is_master ? ELCR_MASTER_MASK : ELCR_SLAVE_MASK);
        }
        break;
    default:
        return;
    }
    i8259_update_int(pic);
}

static uint8_t i8259_poll(struct i8259 *pic)
{
    int request = i8259_request(pic);

    pic->is_polled = false;
    if (request == NO_REQUEST) {
        return 0;
    }
    i8259_take(pic, (unsigned)request);
    i8259_update_int(pic);
    return (uint8_t)(POLL_INTERRUPT | (unsigned)request);
}

static uint32_t i8259_read(void *owner, unsigned reg, unsigned size)
{
    struct i8259 *pic = owner;

    (void)size;
    if (reg == REG_ELCR) {
        return pic->has_elcr ? pic->elcr : 0xff;
    }
    if (pic->is_polled) {
        return i8259_poll(pic); /* the next read, whatever A0 is */
    }
    switch (reg) {
    case REG_COMMAND:
        return pic->is_reading_isr ? pic->isr : i8259_irr(pic);
    case REG_DATA:
        return pic->imr;
    default:
        return 0xff;
    }
}

static void i8259_set_input(struct device *dev, unsigned pin, bool level)
{
    struct i8259 *pic = i8259_of(dev);
    unsigned bit = 1u << (pin & 7u);

    if (level == ((pic->inputs & bit) != 0)) {
        return;
    }
    if (level) {
        pic->inputs = (uint8_t)(pic->inputs | bit);
        pic->edges = (uint8_t)(pic->edges | bit);
    } else {
        pic->inputs = (uint8_t)(pic->inputs & ~bit);
        pic->edges = (uint8_t)(pic->edges & ~bit);
    }
    i8259_update_int(pic);
}

static bool i8259_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct i8259 *pic = i8259_of(dev);
    const struct property *is_master = property_find(properties, "is_master");
    const struct property *has_elcr = property_find(properties, "has_elcr");

    (void)err;
    pic->is_master = is_master && is_master->number;
    pic->has_elcr = !has_elcr || has_elcr->number;
    return true;
}

/* The datasheet leaves power-on undefined; this is an ICW1 of 0 with nothing to follow. Input levels are the wires'
 * and survive. */
static void i8259_reset(struct device *dev)
{
    struct i8259 *pic = i8259_of(dev);

    i8259_write_icw1(pic, 0);
    pic->init_step = STEP_READY;
    pic->vector_base = 0;
    pic->icw3 = 0;
    pic->elcr = 0;
    i8259_update_int(pic);
}

static const struct pin_group i8259_inputs[] = {{"ir", 0, 8}, {NULL, 0, 0}};
static const struct output i8259_outputs[] = {{"int", offsetof(struct i8259, int_output), 0}, {NULL, 0, 0}};
static const struct port_ops i8259_port_ops = {i8259_read, i8259_write, 1};

const struct device_class i8259_class = {
    .name = "i8259",
    .doc = "programmable interrupt controller (Intel 8259A with PIIX3's ELCR)",
    .size = sizeof(struct i8259),
    .fields = i8259_fields,
    .inputs = i8259_inputs,
    .outputs = i8259_outputs,
    .port_ops = &i8259_port_ops,
    .init = i8259_init,
    .reset = i8259_reset,
    .set_input = i8259_set_input,
};
