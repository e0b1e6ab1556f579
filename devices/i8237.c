/* i8237.c - the PC/AT's two DMA controllers with their page registers, as in the Intel 8237A datasheet (September 1993,
 * 231466-005) and the 82371SB (PIIX3, April 1997, 290550-002, 2.5.1).
 *
 * Registers are numbered like their ports: 00h to 0Fh controller 1 (channels 0 to 3, bytes), C0h to DFh controller 2
 * (channels 4 to 7, words; every even port), 80h to 8Fh the pages. Port 80h drives no address line: it is where
 * BIOSes show progress codes and where delays are made. Inputs "dreq0" to "dreq7" (for the status register); outputs
 * "ready0" to "ready7" (the channel would answer a request).
 *
 * Transfers are immediate: the device that asks calls i8237_transfer(). Not implemented: memory-to-memory transfers and
 * software requests (logged), priorities and bus timing, which do not show; channel 4 need not be in cascade mode. */
#include "devices/i8237.h"

#include <string.h>

enum {
    CHANNELS = 8,
    PAGES = 16,
    CHANNEL_CASCADE = 4,

    REG_PAGES = 0x80,
    REG_SECOND = 0xc0,

    REG_COMMAND = 0x8, /* reads status */
    REG_REQUEST = 0x9,
    REG_SINGLE_MASK = 0xa,
    REG_MODE = 0xb,
    REG_CLEAR_FLIP_FLOP = 0xc,
    REG_MASTER_CLEAR = 0xd, /* reads the temporary register */
    REG_CLEAR_MASK = 0xe,
    REG_ALL_MASK = 0xf,

    COMMAND_MEMORY_TO_MEMORY = 0x01,
    COMMAND_DISABLE = 0x04,

    MODE_TYPE = 0x0c,
    MODE_TYPE_TO_MEMORY = 0x04, /* "write transfer" */
    MODE_TYPE_FROM_MEMORY = 0x08,
    MODE_AUTOINIT = 0x10,
    MODE_DECREMENT = 0x20,
    MODE_CASCADE = 0xc0,

    SELECT_CHANNEL = 0x03,
    SELECT_SET = 0x04,
};

struct i8237_channel {
    uint16_t base_address;
    uint16_t base_count;
    uint16_t address;
    uint16_t count;
    uint8_t mode;
    bool has_terminal_count;
};

struct i8237 {
    struct device dev;
    struct irq ready[CHANNELS];
    struct i8237_channel channels[CHANNELS];
    uint8_t pages[PAGES];
    uint8_t command[2];
    uint8_t terminal_counts[2];
    uint8_t requests[2];
    uint8_t masks[2];
    bool is_high_byte[2];
    uint8_t dreq;
    bool has_logged;
    uint8_t pad_[4];
};

static const struct field i8237_channel_fields[] = {
    FIELD(struct i8237_channel, base_address, "start address, reloaded by autoinitialise"),
    FIELD(struct i8237_channel, base_count, "transfers less one"),
    FIELD(struct i8237_channel, address, "current address (channels 4 to 7: in words)"),
    FIELD(struct i8237_channel, count, "current count"),
    FIELD(struct i8237_channel, mode, "mode register, bits 7 to 2"),
    FIELD(struct i8237_channel, has_terminal_count, "the last transfer ended at terminal count"),
    FIELD_END,
};

#define S struct i8237
static const struct field i8237_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, ready, "channel would answer a request"),
    FIELD_STRUCT(S, channels, struct i8237_channel, i8237_channel_fields, NULL),
    FIELD(S, pages, "ports 80h to 8Fh"),
    FIELD(S, command, "command register of each controller"),
    FIELD(S, terminal_counts, "status bits 3 to 0 of each controller"),
    FIELD(S, requests, "software requests of each controller"),
    FIELD(S, masks, "mask register of each controller"),
    FIELD(S, is_high_byte, "flip-flop of each controller"),
    FIELD(S, dreq, "request inputs"),
    DERIVED(S, has_logged, NULL),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

/* Where the page register of each channel is among ports 80h to 8Fh. */
static const uint8_t page_of_channel[CHANNELS] = {0x7, 0x3, 0x1, 0x2, 0xf, 0xb, 0x9, 0xa};

static struct i8237 *i8237_of(struct device *dev)
{
    return (struct i8237 *)dev;
}

bool i8237_is_ready(const struct device *dev, unsigned channel)
{
    const struct i8237 *dma = (const struct i8237 *)dev;

    if (channel >= CHANNELS || channel == CHANNEL_CASCADE) {
        return false;
    }
    unsigned unit = channel / 4;
    return !(dma->command[unit] & COMMAND_DISABLE) && !(dma->masks[unit] >> channel % 4 & 1) &&
           (dma->channels[channel].mode & MODE_CASCADE) != MODE_CASCADE;
}

static void i8237_update_ready(struct i8237 *dma)
{
    for (unsigned channel = 0; channel < CHANNELS; channel++) {
        irq_set(&dma->ready[channel], i8237_is_ready(&dma->dev, channel));
    }
}

static void i8237_log_once(struct i8237 *dma, const char *what)
{
    if (!dma->has_logged) {
        dma->has_logged = true;
        device_log(&dma->dev, LOG_GUEST, "%s: %s is not implemented", dma->dev.name, what);
    }
}

/* ---- Transfers ---- */

/* Moves `units` bytes or words that do not wrap. */
static void i8237_move(struct i8237 *dma, unsigned channel, uint8_t *bytes, unsigned units)
{
    const struct i8237_channel *ch = &dma->channels[channel];
    unsigned width = channel < 4 ? 1 : 2;
    unsigned page = dma->pages[page_of_channel[channel]];
    phys_addr base = channel < 4 ? page << 16 : (page & 0xfeu) << 16;
    phys_addr at = base + (phys_addr)ch->address * width;
    bool is_write = (ch->mode & MODE_TYPE) == MODE_TYPE_TO_MEMORY;

    if (!(ch->mode & MODE_DECREMENT)) {
        if (is_write) {
            space_write_bytes(dma->dev.space, at, bytes, (size_t)units * width);
        } else {
            space_read_bytes(dma->dev.space, at, bytes, (size_t)units * width);
        }
        return;
    }
    for (unsigned n = 0; n < units; n++, bytes += width, at -= width) {
        if (is_write) {
            space_write_bytes(dma->dev.space, at, bytes, width);
        } else {
            space_read_bytes(dma->dev.space, at, bytes, width);
        }
    }
}

static void i8237_terminal_count(struct i8237 *dma, unsigned channel)
{
    struct i8237_channel *ch = &dma->channels[channel];
    uint8_t bit = (uint8_t)(1u << channel % 4);

    ch->has_terminal_count = true;
    dma->terminal_counts[channel / 4] |= bit;
    dma->requests[channel / 4] &= (uint8_t)~bit;
    if (ch->mode & MODE_AUTOINIT) {
        ch->address = ch->base_address;
        ch->count = ch->base_count;
    } else {
        dma->masks[channel / 4] |= bit;
        i8237_update_ready(dma);
    }
}

unsigned i8237_transfer(struct device *dev, unsigned channel, uint8_t *bytes, unsigned size,
                        enum dma_direction direction)
{
    struct i8237 *dma = i8237_of(dev);

    if (!i8237_is_ready(dev, channel)) {
        return 0;
    }
    struct i8237_channel *ch = &dma->channels[channel];
    unsigned width = channel < 4 ? 1 : 2, left = size / width, moved = 0;
    uint8_t type = direction == DMA_TO_MEMORY ? MODE_TYPE_TO_MEMORY : MODE_TYPE_FROM_MEMORY;
    bool is_moving = (ch->mode & MODE_TYPE) == type;
    bool is_down = (ch->mode & MODE_DECREMENT) != 0;

    ch->has_terminal_count = false;
    if (!is_moving && direction == DMA_FROM_MEMORY) {
        memset(bytes, 0xff, size);
    }
    while (left && !ch->has_terminal_count) {
        unsigned to_wrap = is_down ? ch->address + 1u : 0x10000u - ch->address;
        unsigned to_end = ch->count + 1u;
        unsigned units = left < to_wrap ? left : to_wrap;
        units = units < to_end ? units : to_end;
        if (is_moving) {
            i8237_move(dma, channel, bytes + (size_t)moved * width, units);
        }
        ch->address = (uint16_t)(is_down ? ch->address - units : ch->address + units);
        ch->count = (uint16_t)(ch->count - units);
        moved += units;
        left -= units;
        if (units == to_end) {
            i8237_terminal_count(dma, channel);
        }
    }
    return moved * width;
}

bool i8237_has_terminal_count(const struct device *dev, unsigned channel)
{
    return channel < CHANNELS && ((const struct i8237 *)dev)->channels[channel].has_terminal_count;
}

/* ---- Registers of one controller ---- */

static uint16_t with_byte(uint16_t word, uint8_t byte, bool is_high)
{
    return (uint16_t)(is_high ? (word & 0x00ff) | byte << 8 : (word & 0xff00) | byte);
}

static void i8237_write_channel(struct i8237 *dma, unsigned unit, unsigned reg, uint8_t byte)
{
    struct i8237_channel *ch = &dma->channels[unit * 4 + reg / 2];
    bool is_high = dma->is_high_byte[unit];

    dma->is_high_byte[unit] = !is_high;
    if (reg & 1) {
        ch->base_count = with_byte(ch->base_count, byte, is_high);
        ch->count = ch->base_count;
    } else {
        ch->base_address = with_byte(ch->base_address, byte, is_high);
        ch->address = ch->base_address;
    }
}

static void i8237_master_clear(struct i8237 *dma, unsigned unit)
{
    dma->command[unit] = 0;
    dma->terminal_counts[unit] = 0;
    dma->requests[unit] = 0;
    dma->is_high_byte[unit] = false;
    dma->masks[unit] = 0x0f;
}

static uint8_t with_bit(uint8_t bits, uint8_t select)
{
    unsigned bit = 1u << (select & SELECT_CHANNEL);

    return (uint8_t)(select & SELECT_SET ? bits | bit : bits & ~bit);
}

static void i8237_write_unit(struct i8237 *dma, unsigned unit, unsigned reg, uint8_t byte)
{
    switch (reg) {
    case REG_COMMAND:
        dma->command[unit] = byte;
        if (byte & COMMAND_MEMORY_TO_MEMORY) {
            i8237_log_once(dma, "memory-to-memory transfer");
        }
        break;
    case REG_REQUEST:
        dma->requests[unit] = with_bit(dma->requests[unit], byte);
        if (byte & SELECT_SET) {
            i8237_log_once(dma, "a software request");
        }
        break;
    case REG_SINGLE_MASK:
        dma->masks[unit] = with_bit(dma->masks[unit], byte);
        break;
    case REG_MODE:
        dma->channels[unit * 4 + (byte & SELECT_CHANNEL)].mode = byte & (uint8_t)~SELECT_CHANNEL;
        break;
    case REG_CLEAR_FLIP_FLOP:
        dma->is_high_byte[unit] = false;
        break;
    case REG_MASTER_CLEAR:
        i8237_master_clear(dma, unit);
        break;
    case REG_CLEAR_MASK:
        dma->masks[unit] = 0;
        break;
    case REG_ALL_MASK:
        dma->masks[unit] = byte & 0x0f;
        break;
    default:
        i8237_write_channel(dma, unit, reg, byte);
        break;
    }
    i8237_update_ready(dma);
}

static uint8_t i8237_read_unit(struct i8237 *dma, unsigned unit, unsigned reg)
{
    uint8_t value;

    if (reg < REG_COMMAND) {
        const struct i8237_channel *ch = &dma->channels[unit * 4 + reg / 2];
        uint16_t word = reg & 1 ? ch->count : ch->address;
        bool is_high = dma->is_high_byte[unit];
        dma->is_high_byte[unit] = !is_high;
        return (uint8_t)(is_high ? word >> 8 : word);
    }
    switch (reg) {
    case REG_COMMAND:
        /* Terminal counts fall when they are read; requests come from the pins and from software. */
        value = (uint8_t)(dma->terminal_counts[unit] |
                          (((unsigned)dma->dreq >> (4 * unit) & 0x0fu) | dma->requests[unit]) << 4);
        dma->terminal_counts[unit] = 0;
        return value;
    case REG_MASTER_CLEAR:
        return 0; /* temporary register */
    case REG_ALL_MASK:
        return (uint8_t)(0xf0 | dma->masks[unit]);
    default:
        return 0xff;
    }
}

static void i8237_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    struct i8237 *dma = owner;
    uint8_t byte = (uint8_t)value;

    (void)size;
    if (reg < 0x10) {
        i8237_write_unit(dma, 0, reg, byte);
    } else if (reg >= REG_PAGES && reg < REG_PAGES + PAGES) {
        dma->pages[reg - REG_PAGES] = byte;
    } else if (reg >= REG_SECOND && reg < REG_SECOND + 0x20 && !(reg & 1)) {
        i8237_write_unit(dma, 1, (reg - REG_SECOND) / 2, byte);
    }
}

static uint32_t i8237_read(void *owner, unsigned reg, unsigned size)
{
    struct i8237 *dma = owner;

    (void)size;
    if (reg < 0x10) {
        return i8237_read_unit(dma, 0, reg);
    }
    if (reg >= REG_PAGES && reg < REG_PAGES + PAGES) {
        return dma->pages[reg - REG_PAGES];
    }
    if (reg >= REG_SECOND && reg < REG_SECOND + 0x20 && !(reg & 1)) {
        return i8237_read_unit(dma, 1, (reg - REG_SECOND) / 2);
    }
    return 0xff;
}

static void i8237_set_input(struct device *dev, unsigned pin, bool level)
{
    struct i8237 *dma = i8237_of(dev);
    unsigned bit = 1u << (pin % CHANNELS);

    dma->dreq = (uint8_t)(level ? dma->dreq | bit : dma->dreq & ~bit);
}

static void i8237_reset(struct device *dev)
{
    struct i8237 *dma = i8237_of(dev);

    memset(dma->channels, 0, sizeof dma->channels);
    memset(dma->pages, 0, sizeof dma->pages);
    i8237_master_clear(dma, 0);
    i8237_master_clear(dma, 1);
    i8237_update_ready(dma);
}

static const struct pin_group i8237_inputs[] = {{"dreq", 0, CHANNELS}, {NULL, 0, 0}};
static const struct output i8237_outputs[] = {{"ready", offsetof(struct i8237, ready), CHANNELS}, {NULL, 0, 0}};
static const struct port_ops i8237_port_ops = {i8237_read, i8237_write, 1};

const struct device_class i8237_class = {
    .name = "i8237",
    .doc = "two DMA controllers with page registers (Intel 8237A)",
    .size = sizeof(struct i8237),
    .fields = i8237_fields,
    .inputs = i8237_inputs,
    .outputs = i8237_outputs,
    .port_ops = &i8237_port_ops,
    .reset = i8237_reset,
    .set_input = i8237_set_input,
};
