/* i8042.c - PS/2 keyboard controller, as in the IBM PS/2 Hardware Interface Technical Reference (1988), "Keyboard and
 * Auxiliary Device Controller", with keyboard and mouse (ps2.c) attached.
 *
 * Registers: 0 is port 60h, 4 port 64h. Outputs "kbd" (IRQ 1), "aux" (IRQ 12), "a20", "reset" (rises for a pulse of command
 * FEh, or while the output port's bit 0 is 0). Property "has_mouse" (number, 1 when missing).
 *
 * A byte from a device takes BYTE_NS of guest time to arrive after the output buffer became free; answers of the
 * controller itself are there at once. The input buffer is never full, and the output buffer keeps its value after it
 * was read.
 * Not implemented: password mode (answers "not installed"), the diagnostic dump ACh, parity and time-out errors. */
#include "devices/i8042.h"

#include "devices/ps2.h"

#include <string.h>

enum {
    REG_DATA = 0,
    REG_COMMAND = 4,

    STATUS_OBF = 0x01,
    STATUS_SYSTEM = 0x04,
    STATUS_COMMAND = 0x08,
    STATUS_UNLOCKED = 0x10,
    STATUS_AUX_OBF = 0x20,

    CMDBYTE_KBD_INT = 0x01,
    CMDBYTE_AUX_INT = 0x02,
    CMDBYTE_SYSTEM = 0x04,
    CMDBYTE_KBD_DISABLE = 0x10,
    CMDBYTE_AUX_DISABLE = 0x20,
    CMDBYTE_TRANSLATE = 0x40,

    COMMAND_READ_RAM = 0x20, /* to 3Fh; 20h is the command byte */
    COMMAND_WRITE_RAM = 0x60,
    COMMAND_PASSWORD_INSTALLED = 0xa4,
    COMMAND_AUX_DISABLE = 0xa7,
    COMMAND_AUX_ENABLE = 0xa8,
    COMMAND_AUX_TEST = 0xa9,
    COMMAND_SELF_TEST = 0xaa,
    COMMAND_KBD_TEST = 0xab,
    COMMAND_KBD_DISABLE = 0xad,
    COMMAND_KBD_ENABLE = 0xae,
    COMMAND_READ_INPUT_PORT = 0xc0,
    COMMAND_READ_OUTPUT_PORT = 0xd0,
    COMMAND_WRITE_OUTPUT_PORT = 0xd1,
    COMMAND_WRITE_KBD_OUTPUT = 0xd2,
    COMMAND_WRITE_AUX_OUTPUT = 0xd3,
    COMMAND_WRITE_AUX = 0xd4,
    COMMAND_A20_OFF = 0xdd,
    COMMAND_A20_ON = 0xdf,
    COMMAND_READ_TEST_INPUTS = 0xe0,
    COMMAND_PULSE = 0xf0, /* to FFh: bits 3 to 0 that are 0 pulse their output */

    SELF_TEST_OK = 0x55,
    INTERFACE_OK = 0x00,
    NO_PASSWORD = 0xf1,
    INPUT_PORT = 0x80, /* the keyboard is not locked */

    OUTPUT_NOT_RESET = 0x01,
    OUTPUT_A20 = 0x02,
    OUTPUT_OBF = 0x10,
    OUTPUT_AUX_OBF = 0x20,
    OUTPUT_POWER_ON = 0xcf,

    RAM_BYTES = 32,
    REPLY_BYTES = 4,
    CODE_BREAK = 0xf0,

    BYTE_NS = 100000,
};

struct i8042 {
    struct device dev;
    struct irq irq_kbd;
    struct irq irq_aux;
    struct irq a20;
    struct irq reset;
    struct event deliver;
    struct ps2_keyboard keyboard;
    struct ps2_mouse mouse;
    uint8_t status;
    uint8_t outbuf;
    uint8_t output_port;
    uint8_t command;
    uint8_t replies[REPLY_BYTES];
    uint8_t reply_count;
    bool is_break_pending;
    bool has_mouse;
    bool has_logged_unknown;
    uint8_t pad_[4];
    uint8_t ram[RAM_BYTES];
};

#define S struct i8042
static const struct field i8042_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, irq_kbd, "IRQ 1"),
    WIRED(S, irq_aux, "IRQ 12"),
    WIRED(S, a20, "address line 20 enable"),
    WIRED(S, reset, "processor reset"),
    FIELD_EVENT(S, deliver, "moves one byte from a device to outbuf"),
    FIELD_STRUCT(S, keyboard, struct ps2_keyboard, ps2_keyboard_fields, NULL),
    FIELD_STRUCT(S, mouse, struct ps2_mouse, ps2_mouse_fields, NULL),
    FIELD(S, status, "status register, read at port 64h"),
    FIELD(S, outbuf, "output buffer; keeps its value after it is read"),
    FIELD(S, output_port, "bit 0 not reset, bit 1 A20"),
    FIELD(S, command, "command that waits for its byte at port 60h, or 0"),
    FIELD(S, replies, "answers of the controller, oldest first"),
    FIELD(S, reply_count, NULL),
    FIELD(S, is_break_pending, "translation: F0h was received"),
    WIRED(S, has_mouse, NULL),
    DERIVED(S, has_logged_unknown, NULL),
    PAD(S, pad_),
    FIELD(S, ram, "internal RAM; byte 0 is the command byte"),
    FIELD_END,
};
#undef S

static struct i8042 *i8042_of(struct device *dev)
{
    return (struct i8042 *)dev;
}

static uint8_t cmdbyte(const struct i8042 *kbc)
{
    return kbc->ram[0];
}

static void i8042_update_irq(struct i8042 *kbc)
{
    bool is_full = (kbc->status & STATUS_OBF) != 0;
    bool is_aux = (kbc->status & STATUS_AUX_OBF) != 0;

    irq_set(&kbc->irq_kbd, is_full && !is_aux && (cmdbyte(kbc) & CMDBYTE_KBD_INT) &&
                               !(cmdbyte(kbc) & CMDBYTE_KBD_DISABLE));
    irq_set(&kbc->irq_aux, is_full && is_aux && (cmdbyte(kbc) & CMDBYTE_AUX_INT));
}

static void i8042_update_output_port(struct i8042 *kbc)
{
    irq_set(&kbc->a20, (kbc->output_port & OUTPUT_A20) != 0);
    irq_set(&kbc->reset, !(kbc->output_port & OUTPUT_NOT_RESET));
}

static bool kbd_can_send(const struct i8042 *kbc)
{
    return !(cmdbyte(kbc) & CMDBYTE_KBD_DISABLE) && ps2_keyboard_has_byte(&kbc->keyboard);
}

static bool aux_can_send(const struct i8042 *kbc)
{
    return kbc->has_mouse && !(cmdbyte(kbc) & CMDBYTE_AUX_DISABLE) && ps2_mouse_has_byte(&kbc->mouse);
}

static void i8042_put_outbuf(struct i8042 *kbc, uint8_t byte, bool is_aux)
{
    kbc->outbuf = byte;
    kbc->status = (uint8_t)((kbc->status & ~STATUS_AUX_OBF) | STATUS_OBF | (is_aux ? STATUS_AUX_OBF : 0));
    i8042_update_irq(kbc);
}

/* Starts the transfer of the next byte if there is one and the output buffer is free. */
static void i8042_schedule(struct i8042 *kbc)
{
    if ((kbc->status & STATUS_OBF) || !(kbc->reply_count || kbd_can_send(kbc) || aux_can_send(kbc))) {
        event_cancel(&kbc->deliver);
    } else if (!event_is_armed(&kbc->deliver)) {
        event_at(&kbc->deliver, clock_now(kbc->dev.clock) + BYTE_NS);
    }
}

/* Set 2 to set 1: the break prefix F0h becomes bit 7 of the code that follows. False when nothing is to be seen yet. */
static bool i8042_translate(struct i8042 *kbc, uint8_t *byte)
{
    if (!(cmdbyte(kbc) & CMDBYTE_TRANSLATE)) {
        kbc->is_break_pending = false;
        return true;
    }
    if (*byte == CODE_BREAK) {
        kbc->is_break_pending = true;
        return false;
    }
    uint8_t code = key_translate_set2(*byte);
    *byte = (uint8_t)(code | (kbc->is_break_pending ? 0x80 : 0));
    kbc->is_break_pending = false;
    return true;
}

static void i8042_deliver(void *owner)
{
    struct i8042 *kbc = owner;

    event_cancel(&kbc->deliver);
    if (kbc->status & STATUS_OBF) {
        return;
    }
    if (kbc->reply_count) {
        uint8_t reply = kbc->replies[0];
        memmove(kbc->replies, kbc->replies + 1, REPLY_BYTES - 1);
        kbc->reply_count--;
        i8042_put_outbuf(kbc, reply, false);
        return;
    }
    while (kbd_can_send(kbc)) {
        uint8_t byte = ps2_keyboard_next_byte(&kbc->keyboard);
        if (i8042_translate(kbc, &byte)) {
            i8042_put_outbuf(kbc, byte, false);
            return;
        }
    }
    if (aux_can_send(kbc)) {
        i8042_put_outbuf(kbc, ps2_mouse_next_byte(&kbc->mouse), true);
    }
}

static void i8042_device_ready(void *owner)
{
    i8042_schedule(owner);
}

/* An answer of the controller: at once when the output buffer is free. */
static void i8042_reply(struct i8042 *kbc, uint8_t byte)
{
    if (!(kbc->status & STATUS_OBF) && !kbc->reply_count) {
        event_cancel(&kbc->deliver);
        i8042_put_outbuf(kbc, byte, false);
    } else if (kbc->reply_count < REPLY_BYTES) {
        kbc->replies[kbc->reply_count++] = byte;
    }
}

static void i8042_set_cmdbyte(struct i8042 *kbc, uint8_t value)
{
    kbc->ram[0] = value;
    kbc->status = (uint8_t)((kbc->status & ~STATUS_SYSTEM) | (value & CMDBYTE_SYSTEM ? STATUS_SYSTEM : 0));
    i8042_update_irq(kbc);
    i8042_schedule(kbc);
}

/* Turns an interface on or off without touching the system flag. */
static void i8042_set_interface(struct i8042 *kbc, uint8_t disable_bit, bool is_disabled)
{
    kbc->ram[0] = (uint8_t)((kbc->ram[0] & ~disable_bit) | (is_disabled ? disable_bit : 0));
    i8042_update_irq(kbc);
    i8042_schedule(kbc);
}

static void i8042_set_output_port(struct i8042 *kbc, uint8_t value)
{
    kbc->output_port = value;
    i8042_update_output_port(kbc);
}

static void i8042_pulse(struct i8042 *kbc, uint8_t command)
{
    if (!(command & OUTPUT_NOT_RESET)) {
        irq_set(&kbc->reset, true);
        i8042_update_output_port(kbc);
    }
}

static void i8042_log_unknown(struct i8042 *kbc, uint8_t command)
{
    if (!kbc->has_logged_unknown) {
        kbc->has_logged_unknown = true;
        device_log(&kbc->dev, LOG_GUEST, "%s: command 0x%02x is not implemented", kbc->dev.name, command);
    }
}

static void i8042_command(struct i8042 *kbc, uint8_t command)
{
    kbc->status |= STATUS_COMMAND;
    kbc->command = 0;
    if (command >= COMMAND_PULSE) {
        i8042_pulse(kbc, command);
        return;
    }
    if (command >= COMMAND_READ_RAM && command < COMMAND_READ_RAM + RAM_BYTES) {
        i8042_reply(kbc, kbc->ram[command - COMMAND_READ_RAM]);
        return;
    }
    if (command >= COMMAND_WRITE_RAM && command < COMMAND_WRITE_RAM + RAM_BYTES) {
        kbc->command = command;
        return;
    }
    switch (command) {
    case COMMAND_WRITE_OUTPUT_PORT:
    case COMMAND_WRITE_KBD_OUTPUT:
    case COMMAND_WRITE_AUX_OUTPUT:
    case COMMAND_WRITE_AUX:
        kbc->command = command;
        break;
    case COMMAND_PASSWORD_INSTALLED:
        i8042_reply(kbc, NO_PASSWORD);
        break;
    case COMMAND_AUX_DISABLE:
    case COMMAND_AUX_ENABLE:
        i8042_set_interface(kbc, CMDBYTE_AUX_DISABLE, command == COMMAND_AUX_DISABLE);
        break;
    case COMMAND_KBD_DISABLE:
    case COMMAND_KBD_ENABLE:
        i8042_set_interface(kbc, CMDBYTE_KBD_DISABLE, command == COMMAND_KBD_DISABLE);
        break;
    case COMMAND_AUX_TEST:
    case COMMAND_KBD_TEST:
        i8042_reply(kbc, INTERFACE_OK);
        break;
    case COMMAND_SELF_TEST:
        kbc->status |= STATUS_SYSTEM;
        i8042_reply(kbc, SELF_TEST_OK);
        break;
    case COMMAND_READ_INPUT_PORT:
        i8042_reply(kbc, INPUT_PORT);
        break;
    case COMMAND_READ_OUTPUT_PORT: {
        unsigned buffers = !(kbc->status & STATUS_OBF)     ? 0u
                           : kbc->status & STATUS_AUX_OBF ? OUTPUT_AUX_OBF
                                                           : OUTPUT_OBF;
        i8042_reply(kbc, (uint8_t)((kbc->output_port & ~(OUTPUT_OBF | OUTPUT_AUX_OBF)) | (int)buffers));
        break;
    }
    case COMMAND_A20_OFF:
    case COMMAND_A20_ON:
        i8042_set_output_port(kbc, (uint8_t)((kbc->output_port & ~OUTPUT_A20) |
                                             (command == COMMAND_A20_ON ? OUTPUT_A20 : 0)));
        break;
    case COMMAND_READ_TEST_INPUTS:
        i8042_reply(kbc, 0x00);
        break;
    default:
        i8042_log_unknown(kbc, command);
        break;
    }
}

static void i8042_write_data(struct i8042 *kbc, uint8_t byte)
{
    uint8_t command = kbc->command;

    kbc->status &= (uint8_t)~STATUS_COMMAND;
    kbc->command = 0;
    switch (command) {
    case 0:
        /* Data for the keyboard turns its interface on. */
        ps2_keyboard_write(&kbc->keyboard, byte);
        i8042_set_interface(kbc, CMDBYTE_KBD_DISABLE, false);
        break;
    case COMMAND_WRITE_RAM:
        i8042_set_cmdbyte(kbc, byte);
        break;
    case COMMAND_WRITE_OUTPUT_PORT:
        i8042_set_output_port(kbc, byte);
        break;
    case COMMAND_WRITE_KBD_OUTPUT:
    case COMMAND_WRITE_AUX_OUTPUT:
        event_cancel(&kbc->deliver);
        i8042_put_outbuf(kbc, byte, command == COMMAND_WRITE_AUX_OUTPUT);
        break;
    case COMMAND_WRITE_AUX:
        if (kbc->has_mouse) {
            ps2_mouse_write(&kbc->mouse, byte);
            i8042_set_interface(kbc, CMDBYTE_AUX_DISABLE, false);
        }
        break;
    default:
        if (command > COMMAND_WRITE_RAM && command < COMMAND_WRITE_RAM + RAM_BYTES) {
            kbc->ram[command - COMMAND_WRITE_RAM] = byte;
        }
        break;
    }
}

static void i8042_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    struct i8042 *kbc = owner;

    (void)size;
    if (reg == REG_COMMAND) {
        i8042_command(kbc, (uint8_t)value);
    } else if (reg == REG_DATA) {
        i8042_write_data(kbc, (uint8_t)value);
    }
}

static uint32_t i8042_read(void *owner, unsigned reg, unsigned size)
{
    struct i8042 *kbc = owner;

    (void)size;
    switch (reg) {
    case REG_COMMAND:
        return kbc->status;
    case REG_DATA:
        if (kbc->status & STATUS_OBF) {
            kbc->status &= (uint8_t)~(STATUS_OBF | STATUS_AUX_OBF);
            i8042_update_irq(kbc);
            i8042_schedule(kbc);
        }
        return kbc->outbuf;
    default:
        return 0xff;
    }
}

void i8042_key(struct device *dev, enum key_code key, bool is_pressed)
{
    ps2_keyboard_key(&i8042_of(dev)->keyboard, key, is_pressed);
}

bool i8042_keyboard_is_idle(const struct device *dev)
{
    const struct i8042 *kbc = (const struct i8042 *)dev;

    return !(kbc->status & STATUS_OBF) && !ps2_keyboard_has_byte(&kbc->keyboard);
}

void i8042_mouse(struct device *dev, int dx, int dy, int dz, unsigned buttons)
{
    struct i8042 *kbc = i8042_of(dev);

    if (kbc->has_mouse) {
        ps2_mouse_move(&kbc->mouse, dx, dy, dz, buttons);
    }
}

void i8042_mouse_announce(struct device *dev)
{
    struct i8042 *kbc = i8042_of(dev);

    if (kbc->has_mouse) {
        ps2_mouse_announce(&kbc->mouse);
    }
}

bool i8042_mouse_is_enabled(const struct device *dev)
{
    const struct i8042 *kbc = (const struct i8042 *)dev;

    return kbc->has_mouse && kbc->mouse.is_enabled;
}

uint8_t i8042_leds(const struct device *dev)
{
    return ((const struct i8042 *)dev)->keyboard.leds;
}

static bool i8042_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct i8042 *kbc = i8042_of(dev);
    const struct property *has_mouse = property_find(properties, "has_mouse");

    (void)err;
    kbc->has_mouse = !has_mouse || has_mouse->number;
    event_init(&kbc->deliver, dev->clock, i8042_deliver, kbc);
    ps2_keyboard_init(&kbc->keyboard, dev->clock, i8042_device_ready, kbc);
    ps2_mouse_init(&kbc->mouse, dev->clock, i8042_device_ready, kbc);
    return true;
}

/* Power-on as QEMU's: both interfaces and interrupts on, no translation, A20 open. */
static void i8042_reset(struct device *dev)
{
    struct i8042 *kbc = i8042_of(dev);

    event_cancel(&kbc->deliver);
    ps2_keyboard_reset(&kbc->keyboard);
    ps2_mouse_reset(&kbc->mouse);
    memset(kbc->ram, 0, sizeof kbc->ram);
    memset(kbc->replies, 0, sizeof kbc->replies);
    kbc->ram[0] = CMDBYTE_KBD_INT | CMDBYTE_AUX_INT;
    kbc->status = STATUS_UNLOCKED;
    kbc->outbuf = 0;
    kbc->command = 0;
    kbc->reply_count = 0;
    kbc->is_break_pending = false;
    kbc->output_port = OUTPUT_POWER_ON;
    i8042_update_irq(kbc);
    i8042_update_output_port(kbc);
}

static void i8042_loaded(struct device *dev)
{
    struct i8042 *kbc = i8042_of(dev);

    if (kbc->reply_count > REPLY_BYTES) {
        kbc->reply_count = REPLY_BYTES;
    }
    ps2_keyboard_loaded(&kbc->keyboard);
    ps2_mouse_loaded(&kbc->mouse);
}

static const struct output i8042_outputs[] = {
    {"kbd", offsetof(struct i8042, irq_kbd), 0},
    {"aux", offsetof(struct i8042, irq_aux), 0},
    {"a20", offsetof(struct i8042, a20), 0},
    {"reset", offsetof(struct i8042, reset), 0},
    {NULL, 0, 0},
};
static const struct port_ops i8042_port_ops = {i8042_read, i8042_write, 1};

const struct device_class i8042_class = {
    .name = "i8042",
    .doc = "PS/2 keyboard controller with keyboard and mouse",
    .size = sizeof(struct i8042),
    .fields = i8042_fields,
    .outputs = i8042_outputs,
    .port_ops = &i8042_port_ops,
    .init = i8042_init,
    .reset = i8042_reset,
    .loaded = i8042_loaded,
};
