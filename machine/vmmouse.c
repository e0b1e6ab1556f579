/* vmmouse.c - VMware's absolute pointing device, behind the "backdoor" port 5658h.
 *
 * There is no data sheet: the protocol is what drivers do, Linux' drivers/input/mouse/vmmouse.c and Xorg's xf86-input-vmmouse. IN EAX,
 * DX with 564D5868h in EAX and a command in CX takes an argument from EBX and answers in EAX, EBX, ECX and EDX. The PS/2 mouse stays: it
 * sends an empty packet where there is something to fetch here. A packet is four words: buttons (20h left, 10h right, 8 middle; with
 * bit 16 the packet is relative), x, y (of a relative packet upwards), wheel.
 *
 * It lives in machine/ since it takes and gives processor registers. Properties "machine" (pointer to struct tick86) and "kbc" (the
 * keyboard controller). Not implemented: all other backdoor commands, RESTRICT (who may use it; accepted). */
#include "machine/vmmouse.h"

#include "devices/i8042.h"
#include "machine/machine.h"

#include <string.h>

enum {
    COMMAND_VERSION = 10,
    COMMAND_DATA = 39,
    COMMAND_STATUS = 40,
    COMMAND_COMMAND = 41,
    COMMAND_RESTRICT = 86,

    VERSION = 6,
    PRODUCT = 2,
    QUEUE_WORDS = 256,
    PACKET_WORDS = 4,
    DATA_WORDS_MAX = 6,

    BUTTON_LEFT = 0x20,
    BUTTON_RIGHT = 0x10,
    BUTTON_MIDDLE = 0x08
};
#define MAGIC UINT32_C(0x564d5868)
#define NO_ANSWER UINT32_C(0xffffffff)
#define ENABLE UINT32_C(0x45414552)
#define DISABLE UINT32_C(0x000000f5)
#define REQUEST_RELATIVE UINT32_C(0x4c455252)
#define REQUEST_ABSOLUTE UINT32_C(0x53424152)
#define PROTOCOL_ID UINT32_C(0x3442554a)
#define STATUS_ERROR UINT32_C(0xffff0000)
#define PACKET_RELATIVE UINT32_C(0x00010000)

struct vmmouse {
    struct device dev;
    struct tick86 *machine;
    struct device *kbc;
    uint32_t queue[QUEUE_WORDS]; /* oldest first */
    uint32_t count;
    uint8_t is_enabled, is_absolute, has_error;
    uint8_t pad_[1];
};

#define S struct vmmouse
static const struct field vmmouse_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, machine, "the processors"),
    WIRED(S, kbc, "whose mouse announces packets"),
    FIELD(S, queue, "words to be fetched"),
    FIELD(S, count, "how many"),
    FIELD(S, is_enabled, "a driver listens"),
    FIELD(S, is_absolute, "and wants places, not movements"),
    FIELD(S, has_error, "until it is enabled again"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

static struct vmmouse *of(struct device *dev) { return (struct vmmouse *)(void *)dev; }

bool vmmouse_is_enabled(const struct device *dev)
{
    const struct vmmouse *mouse = (const struct vmmouse *)(const void *)dev;

    return mouse->is_enabled && !mouse->has_error;
}

bool vmmouse_is_absolute(const struct device *dev)
{
    return vmmouse_is_enabled(dev) && ((const struct vmmouse *)(const void *)dev)->is_absolute;
}

/* ---- input ---- */

static uint32_t button_bits(unsigned buttons)
{
    return (buttons & 1 ? BUTTON_LEFT : 0u) | (buttons & 2 ? BUTTON_RIGHT : 0u) | (buttons & 4 ? BUTTON_MIDDLE : 0u);
}

/* A packet that does not fit is lost; the next one tells the place anyway. */
static void put_packet(struct vmmouse *mouse, uint32_t buttons, uint32_t x, uint32_t y, int dz)
{
    uint32_t *to = &mouse->queue[mouse->count];

    if (mouse->count + PACKET_WORDS <= QUEUE_WORDS) {
        to[0] = buttons;
        to[1] = x;
        to[2] = y;
        to[3] = (uint32_t)dz;
        mouse->count += PACKET_WORDS;
    }
    i8042_mouse_announce(mouse->kbc);
}

void vmmouse_point(struct device *dev, unsigned x, unsigned y, int dz, unsigned buttons)
{
    put_packet(of(dev), button_bits(buttons), x & 0xffff, y & 0xffff, dz);
}

void vmmouse_move(struct device *dev, int dx, int dy, int dz, unsigned buttons)
{
    put_packet(of(dev), button_bits(buttons) | PACKET_RELATIVE, (uint32_t)dx, (uint32_t)-dy, dz);
}

/* ---- the backdoor ---- */

static void run_command(struct vmmouse *mouse, uint32_t command)
{
    switch (command) {
    case ENABLE:
        mouse->is_enabled = 1;
        mouse->has_error = 0;
        mouse->queue[0] = PROTOCOL_ID;
        mouse->count = 1;
        break;
    case DISABLE:
        mouse->is_enabled = mouse->is_absolute = 0;
        mouse->count = 0;
        break;
    case REQUEST_RELATIVE:
    case REQUEST_ABSOLUTE:
        mouse->is_absolute = command == REQUEST_ABSOLUTE;
        break;
    default:
        device_log(&mouse->dev, LOG_GUEST, "command 0x%08x is not known", (unsigned)command);
        break;
    }
}

static void fetch(struct vmmouse *mouse, struct cpu *cpu, uint32_t words, uint32_t *answer)
{
    static const unsigned registers[DATA_WORDS_MAX] = { REG_AX, REG_BX, REG_CX, REG_DX, REG_SI, REG_DI };

    if (words == 0 || words > DATA_WORDS_MAX || words > mouse->count) {
        mouse->has_error = 1;
        mouse->count = 0;
        device_log(&mouse->dev, LOG_GUEST, "%u words are not there to be fetched", (unsigned)words);
        return;
    }
    *answer = mouse->queue[0];
    for (uint32_t n = 1; n < words; n++) {
        cpu->gpr[registers[n]] = mouse->queue[n];
    }
    mouse->count -= words;
    memmove(mouse->queue, &mouse->queue[words], mouse->count * sizeof mouse->queue[0]);
}

static uint32_t vmmouse_read(void *owner, unsigned reg, unsigned size)
{
    struct vmmouse *mouse = owner;
    struct cpu *cpu = mouse->machine->cpu;
    uint32_t argument = (uint32_t)cpu->gpr[REG_BX], answer = NO_ANSWER;

    if (reg != 0 || size != 4 || (uint32_t)cpu->gpr[REG_AX] != MAGIC) {
        return answer;
    }
    switch ((uint32_t)cpu->gpr[REG_CX] & 0xffff) {
    case COMMAND_VERSION:
        cpu->gpr[REG_BX] = MAGIC;
        cpu->gpr[REG_CX] = PRODUCT;
        answer = VERSION;
        break;
    case COMMAND_STATUS:
        answer = mouse->has_error || !mouse->is_enabled ? STATUS_ERROR | mouse->count : mouse->count;
        break;
    case COMMAND_COMMAND:
        run_command(mouse, argument);
        answer = 0;
        break;
    case COMMAND_DATA:
        fetch(mouse, cpu, argument, &answer);
        break;
    case COMMAND_RESTRICT:
        answer = 0;
        break;
    default:
        break;
    }
    return answer;
}

static void vmmouse_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    (void)owner;
    (void)reg;
    (void)size;
    (void)value;
}

static bool vmmouse_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct vmmouse *mouse = of(dev);
    const struct property *machine = property_find(properties, "machine"), *kbc = property_find(properties, "kbc");

    if (machine == NULL || kbc == NULL) {
        return error_set(err, "%s: no machine and keyboard controller were given", dev->name);
    }
    mouse->machine = machine->pointer;
    mouse->kbc = kbc->pointer;
    return true;
}

static void vmmouse_reset(struct device *dev)
{
    struct vmmouse *mouse = of(dev);

    memset(mouse->queue, 0, sizeof mouse->queue);
    mouse->count = 0;
    mouse->is_enabled = mouse->is_absolute = mouse->has_error = 0;
}

/* A count from a damaged snapshot must stay in the queue. */
static void vmmouse_loaded(struct device *dev)
{
    struct vmmouse *mouse = of(dev);

    mouse->count = mouse->count <= QUEUE_WORDS ? mouse->count : 0;
}

static const struct port_ops vmmouse_port_ops = { .read = vmmouse_read, .write = vmmouse_write, .max_size = 4 };

const struct device_class vmmouse_class = {
    .name = "vmmouse",
    .doc = "absolute pointing device (VMware)",
    .size = sizeof(struct vmmouse),
    .fields = vmmouse_fields,
    .port_ops = &vmmouse_port_ops,
    .init = vmmouse_init,
    .reset = vmmouse_reset,
    .loaded = vmmouse_loaded,
};
