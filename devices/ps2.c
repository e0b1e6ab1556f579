/* ps2.c - PS/2 keyboard and mouse, as in the IBM PS/2 Hardware Interface Technical Reference (1988), "Keyboards
 * (101- and 102-key)" and "Mouse", and Microsoft's IntelliMouse and IntelliMouse Explorer extensions (ids 3 and 4; "Enhanced
 * PS/2 mouse" white paper, 1998).
 *
 * Typematic repeat and mouse samples run in guest time. Queues are bounded: what does not fit is dropped whole and, for
 * keys, reported with the overrun code.
 * Not implemented: the extra shift codes that keypad-like keys send around themselves while Num Lock or Shift is on
 * (no known driver needs them), Korean LANG keys, and the mouse's resolution, which is stored but does not scale. */
#include "devices/ps2.h"

#include <string.h>

enum {
    REPLY_ACK = 0xfa,
    REPLY_RESEND = 0xfe,
    REPLY_BAT_OK = 0xaa,

    KBD_SET_LEDS = 0xed,
    KBD_ECHO = 0xee,
    KBD_SCAN_SET = 0xf0,
    KBD_READ_ID = 0xf2,
    KBD_TYPEMATIC = 0xf3,
    KBD_ENABLE = 0xf4,
    KBD_DEFAULT_DISABLE = 0xf5,
    KBD_DEFAULT = 0xf6,
    KBD_ALL_TYPEMATIC = 0xf7,
    KBD_ALL_MAKE_BREAK = 0xf8,
    KBD_ALL_MAKE = 0xf9,
    KBD_ALL_TYPEMATIC_MAKE_BREAK = 0xfa,
    KBD_KEY_TYPEMATIC = 0xfb,
    KBD_KEY_MAKE_BREAK = 0xfc,
    KBD_KEY_MAKE = 0xfd,
    KBD_RESEND = 0xfe,
    KBD_RESET = 0xff,

    CODE_BREAK = 0xf0,
    CODE_EXTENDED = 0xe0,
    CODE_PAUSE = 0xe1,
    CODE_PRINT_SHIFT = 0x12,
    CODE_SYSRQ = 0x84,

    KEY_TYPE_TYPEMATIC = 1,
    KEY_TYPE_BREAK = 2,

    TYPEMATIC_DEFAULT = 0x2b, /* 500 ms, 10.9 characters a second */
    REPEAT_QUEUE_LIMIT = 16,  /* a guest that does not read gets no more repeats than a keyboard's buffer holds */

    MOUSE_SCALE_1 = 0xe6,
    MOUSE_SCALE_2 = 0xe7,
    MOUSE_RESOLUTION = 0xe8,
    MOUSE_STATUS = 0xe9,
    MOUSE_STREAM = 0xea,
    MOUSE_READ = 0xeb,
    MOUSE_UNWRAP = 0xec,
    MOUSE_WRAP = 0xee,
    MOUSE_REMOTE = 0xf0,
    MOUSE_READ_ID = 0xf2,
    MOUSE_SAMPLE_RATE = 0xf3,
    MOUSE_ENABLE = 0xf4,
    MOUSE_DISABLE = 0xf5,
    MOUSE_DEFAULT = 0xf6,
    MOUSE_RESEND = 0xfe,
    MOUSE_RESET = 0xff,

    ID_PLAIN = 0,
    ID_WHEEL = 3,
    ID_EXPLORER = 4,

    PACKET_ALWAYS_ONE = 0x08,
    PACKET_X_NEGATIVE = 0x10,
    PACKET_Y_NEGATIVE = 0x20,
    MOVEMENT_MAX = 32767,
    PACKET_BYTES_MAX = 4,
};

static const struct field ps2_queue_fields[] = {
    FIELD(struct ps2_queue, bytes, NULL),
    FIELD(struct ps2_queue, head, NULL),
    FIELD(struct ps2_queue, count, NULL),
    FIELD_END,
};

#define S struct ps2_keyboard
const struct field ps2_keyboard_fields[] = {
    FIELD_EVENT(S, repeat, "next typematic repeat"),
    WIRED(S, ready, NULL),
    WIRED(S, owner, NULL),
    FIELD_STRUCT(S, keys, struct ps2_queue, ps2_queue_fields, "scan codes to send"),
    FIELD(S, replies, "answers to commands, sent before scan codes"),
    FIELD(S, reply_head, NULL),
    FIELD(S, reply_count, NULL),
    FIELD(S, command, "command that waits for its parameter, or 0"),
    FIELD(S, last_sent, "byte that Resend repeats"),
    FIELD(S, scan_set, "scan code set, 1 to 3"),
    FIELD(S, leds, "bit 0 Scroll Lock, 1 Num Lock, 2 Caps Lock"),
    FIELD(S, typematic, "delay (bits 6 to 5) and rate (bits 4 to 0)"),
    FIELD(S, repeat_key, "key that repeats, or 0"),
    FIELD(S, is_scanning, "keys are sent"),
    FIELD(S, is_print_plain, "Print Screen went down as SysRq"),
    FIELD(S, pressed, "keys held, one bit each, by USB usage"),
    FIELD(S, key_types, "set 3: bit 0 typematic, bit 1 sends break codes"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

#define S struct ps2_mouse
const struct field ps2_mouse_fields[] = {
    FIELD_EVENT(S, sample, "next sample"),
    WIRED(S, ready, NULL),
    WIRED(S, owner, NULL),
    FIELD_STRUCT(S, queue, struct ps2_queue, ps2_queue_fields, "bytes to send"),
    PAD(S, pad1_),
    FIELD(S, dx, "movement not yet sent, to the right"),
    FIELD(S, dy, "movement not yet sent, upwards"),
    FIELD(S, dz, "wheel not yet sent, towards the user"),
    FIELD(S, command, "command that waits for its parameter, or 0"),
    FIELD(S, last_sent, "byte that Resend repeats"),
    FIELD(S, id, "0 plain, 3 with wheel, 4 with five buttons"),
    FIELD(S, resolution, "0 to 3: 1, 2, 4 or 8 counts/mm"),
    FIELD(S, sample_rate, "samples a second"),
    FIELD(S, rates, "the two rates set before, for the wheel's knock"),
    FIELD(S, buttons, "left, right, middle, side, extra"),
    FIELD(S, sent_buttons, "as the guest knows them"),
    FIELD(S, is_enabled, "sends packets in stream mode"),
    FIELD(S, is_remote, "remote mode: packets only when asked"),
    FIELD(S, is_wrapping, "wrap mode: echoes bytes"),
    FIELD(S, is_scaling, "2:1 scaling"),
    FIELD(S, has_announcement, "a packet is to be sent though nothing has moved"),
    PAD(S, pad2_),
    FIELD_END,
};
#undef S

/* ---- Queue ---- */

static unsigned queue_room(const struct ps2_queue *queue)
{
    return PS2_QUEUE_BYTES - (unsigned)queue->count;
}

static void queue_put(struct ps2_queue *queue, uint8_t byte)
{
    if (queue->count < PS2_QUEUE_BYTES) {
        queue->bytes[((unsigned)queue->head + queue->count) % PS2_QUEUE_BYTES] = byte;
        queue->count++;
    }
}

static uint8_t queue_take(struct ps2_queue *queue)
{
    uint8_t byte = queue->bytes[queue->head];

    queue->head = (uint8_t)((queue->head + 1u) % PS2_QUEUE_BYTES);
    queue->count--;
    return byte;
}

static void queue_clear(struct ps2_queue *queue)
{
    memset(queue, 0, sizeof *queue);
}

static void queue_loaded(struct ps2_queue *queue)
{
    queue->head %= PS2_QUEUE_BYTES;
    if (queue->count > PS2_QUEUE_BYTES) {
        queue->count = PS2_QUEUE_BYTES;
    }
}

/* ---- Keyboard ---- */

static bool keyboard_is_pressed(const struct ps2_keyboard *kbd, enum key_code key)
{
    return (kbd->pressed[(unsigned)key / 8] >> ((unsigned)key % 8) & 1) != 0;
}

static void keyboard_reply(struct ps2_keyboard *kbd, uint8_t byte)
{
    if (kbd->reply_count < PS2_REPLY_BYTES) {
        kbd->replies[((unsigned)kbd->reply_head + kbd->reply_count) % PS2_REPLY_BYTES] = byte;
        kbd->reply_count++;
    }
}

/* A scan code sequence being put together: at most Pause's eight bytes. */
struct sequence {
    uint8_t bytes[8];
    unsigned count;
};

/* Adds one code of set 2, in set 1 if the keyboard is there: F0h and the code become the code with bit 7. */
static void sequence_add(struct sequence *seq, const struct ps2_keyboard *kbd, uint8_t prefix, uint8_t code,
                         bool is_break)
{
    if (prefix) {
        seq->bytes[seq->count++] = prefix;
    }
    if (kbd->scan_set == 1) {
        seq->bytes[seq->count++] = (uint8_t)(key_translate_set2(code) | (is_break ? 0x80 : 0));
        return;
    }
    if (is_break) {
        seq->bytes[seq->count++] = CODE_BREAK;
    }
    seq->bytes[seq->count++] = code;
}

static void sequence_pause(struct sequence *seq, const struct ps2_keyboard *kbd, bool is_ctrl)
{
    if (is_ctrl) { /* Break */
        sequence_add(seq, kbd, CODE_EXTENDED, 0x7e, false);
        sequence_add(seq, kbd, CODE_EXTENDED, 0x7e, true);
        return;
    }
    sequence_add(seq, kbd, CODE_PAUSE, 0x14, false);
    sequence_add(seq, kbd, 0, 0x77, false);
    sequence_add(seq, kbd, CODE_PAUSE, 0x14, true);
    sequence_add(seq, kbd, 0, 0x77, true);
}

static void sequence_print(struct sequence *seq, struct ps2_keyboard *kbd, bool is_pressed, bool is_repeat)
{
    bool is_alt = keyboard_is_pressed(kbd, KEY_ALT_LEFT) || keyboard_is_pressed(kbd, KEY_ALT_RIGHT);
    bool is_shifted = keyboard_is_pressed(kbd, KEY_SHIFT_LEFT) || keyboard_is_pressed(kbd, KEY_SHIFT_RIGHT) ||
                      keyboard_is_pressed(kbd, KEY_CTRL_LEFT) || keyboard_is_pressed(kbd, KEY_CTRL_RIGHT);

    if (is_pressed && !is_repeat) {
        kbd->is_print_plain = is_alt;
    }
    if (kbd->is_print_plain) {
        sequence_add(seq, kbd, 0, CODE_SYSRQ, !is_pressed);
        return;
    }
    if (is_pressed && !is_shifted && !is_repeat) {
        sequence_add(seq, kbd, CODE_EXTENDED, CODE_PRINT_SHIFT, false);
    }
    sequence_add(seq, kbd, CODE_EXTENDED, 0x7c, !is_pressed);
    if (!is_pressed && !is_shifted) {
        sequence_add(seq, kbd, CODE_EXTENDED, CODE_PRINT_SHIFT, true);
    }
}

static bool keyboard_key_repeats(const struct ps2_keyboard *kbd, enum key_code key)
{
    if (kbd->scan_set == 3) {
        return (kbd->key_types[key_scancodes(key)->set3 % PS2_KEY_TYPES] & KEY_TYPE_TYPEMATIC) != 0;
    }
    return key != KEY_PAUSE;
}

static void keyboard_send_key(struct ps2_keyboard *kbd, enum key_code key, bool is_pressed, bool is_repeat)
{
    const struct key_scancodes *codes = key_scancodes(key);
    struct sequence seq = {{0}, 0};

    if (kbd->scan_set == 3) {
        if (!codes->set3 || (!is_pressed && !(kbd->key_types[codes->set3 % PS2_KEY_TYPES] & KEY_TYPE_BREAK))) {
            return;
        }
        if (!is_pressed) {
            seq.bytes[seq.count++] = CODE_BREAK;
        }
        seq.bytes[seq.count++] = codes->set3;
    } else if (key == KEY_PAUSE) {
        if (is_pressed) {
            sequence_pause(&seq, kbd,
                           keyboard_is_pressed(kbd, KEY_CTRL_LEFT) || keyboard_is_pressed(kbd, KEY_CTRL_RIGHT));
        }
    } else if (key == KEY_PRINT) {
        sequence_print(&seq, kbd, is_pressed, is_repeat);
    } else {
        sequence_add(&seq, kbd, codes->is_extended ? CODE_EXTENDED : 0, codes->set2, !is_pressed);
    }

    /* The last place of the buffer is the overrun code's: FFh in set 1, 00h in sets 2 and 3. */
    if (seq.count + 1 > queue_room(&kbd->keys)) {
        if (queue_room(&kbd->keys) > 0) {
            queue_put(&kbd->keys, kbd->scan_set == 1 ? 0xff : 0x00);
        }
        return;
    }
    for (unsigned n = 0; n < seq.count; n++) {
        queue_put(&kbd->keys, seq.bytes[n]);
    }
}

/* Delay 250 ms x (1 + bits 6 to 5); period (8 + A) x 2^B x 1/240 s, A bits 2 to 0, B bits 4 to 3. */
static uint64_t typematic_delay_ns(const struct ps2_keyboard *kbd)
{
    return (1u + (kbd->typematic >> 5 & 3u)) * (NS_PER_SECOND / 4);
}

static uint64_t typematic_period_ns(const struct ps2_keyboard *kbd)
{
    return ((8u + (kbd->typematic & 7u)) << (kbd->typematic >> 3 & 3u)) * NS_PER_SECOND / 240;
}

static void keyboard_stop_repeat(struct ps2_keyboard *kbd)
{
    kbd->repeat_key = KEY_NONE;
    event_cancel(&kbd->repeat);
}

static void keyboard_repeat(void *owner)
{
    struct ps2_keyboard *kbd = owner;

    event_cancel(&kbd->repeat);
    if (kbd->repeat_key == KEY_NONE || !kbd->is_scanning) {
        return;
    }
    if (kbd->keys.count < REPEAT_QUEUE_LIMIT) {
        keyboard_send_key(kbd, (enum key_code)kbd->repeat_key, true, true);
    }
    event_at(&kbd->repeat, clock_now(kbd->repeat.clock) + typematic_period_ns(kbd));
    kbd->ready(kbd->owner);
}

void ps2_keyboard_key(struct ps2_keyboard *kbd, enum key_code key, bool is_pressed)
{
    if ((unsigned)key >= KEY_CODES || !key_scancodes(key)->set2 || keyboard_is_pressed(kbd, key) == is_pressed) {
        return;
    }
    kbd->pressed[(unsigned)key / 8] = (uint8_t)(kbd->pressed[(unsigned)key / 8] ^ 1u << ((unsigned)key % 8));
    if (!kbd->is_scanning) {
        return;
    }
    keyboard_send_key(kbd, key, is_pressed, false);
    if (is_pressed && keyboard_key_repeats(kbd, key)) {
        kbd->repeat_key = (uint8_t)key;
        event_at(&kbd->repeat, clock_now(kbd->repeat.clock) + typematic_delay_ns(kbd));
    } else if (is_pressed || kbd->repeat_key == (unsigned)key) {
        keyboard_stop_repeat(kbd);
    }
    kbd->ready(kbd->owner);
}

/* Set 3 defaults (IBM: "Scan code set 3, default key state"). */
static void keyboard_default_key_types(struct ps2_keyboard *kbd)
{
    static const uint8_t make_break[] = {0x11, 0x12, 0x14, 0x19, 0x59};
    static const uint8_t make_only[] = {0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x47, 0x4f, 0x56, 0x5e,
                                        0x57, 0x5f, 0x62, 0x08, 0x76, 0x58, 0x39, 0x67, 0x6e, 0x65, 0x6f, 0x6d,
                                        0x79, 0x77, 0x7e, 0x84, 0x6c, 0x75, 0x7d, 0x6b, 0x73, 0x74, 0x69, 0x72,
                                        0x7a, 0x70, 0x71, 0x8b, 0x8c, 0x8d};

    memset(kbd->key_types, KEY_TYPE_TYPEMATIC, sizeof kbd->key_types);
    for (unsigned n = 0; n < sizeof make_break; n++) {
        kbd->key_types[make_break[n]] = KEY_TYPE_BREAK;
    }
    for (unsigned n = 0; n < sizeof make_only; n++) {
        kbd->key_types[make_only[n]] = 0;
    }
}

static void keyboard_defaults(struct ps2_keyboard *kbd)
{
    queue_clear(&kbd->keys);
    keyboard_stop_repeat(kbd);
    kbd->scan_set = 2;
    kbd->typematic = TYPEMATIC_DEFAULT;
    keyboard_default_key_types(kbd);
}

/* The parameter of the command before; false when it is a command itself. */
static bool keyboard_parameter(struct ps2_keyboard *kbd, uint8_t byte)
{
    static const uint8_t key_types[] = {KEY_TYPE_TYPEMATIC, KEY_TYPE_BREAK, 0};
    uint8_t command = kbd->command;

    kbd->command = 0;
    switch (command) {
    case KBD_SET_LEDS:
    case KBD_TYPEMATIC:
        if (byte & 0x80) {
            return false;
        }
        if (command == KBD_SET_LEDS) {
            kbd->leds = byte & 7;
        } else {
            kbd->typematic = byte;
        }
        keyboard_reply(kbd, REPLY_ACK);
        return true;
    case KBD_SCAN_SET:
        if (byte > 3) {
            keyboard_reply(kbd, REPLY_RESEND);
            return true;
        }
        keyboard_reply(kbd, REPLY_ACK);
        if (byte == 0) {
            keyboard_reply(kbd, kbd->scan_set);
        } else {
            queue_clear(&kbd->keys);
            kbd->scan_set = byte;
        }
        return true;
    case KBD_KEY_TYPEMATIC:
    case KBD_KEY_MAKE_BREAK:
    case KBD_KEY_MAKE:
        if (byte >= PS2_KEY_TYPES) {
            return false;
        }
        kbd->key_types[byte] = key_types[command - KBD_KEY_TYPEMATIC];
        kbd->command = command; /* more keys may follow */
        keyboard_reply(kbd, REPLY_ACK);
        return true;
    default:
        return false;
    }
}

static void keyboard_set_all_types(struct ps2_keyboard *kbd, uint8_t command)
{
    static const uint8_t types[] = {KEY_TYPE_TYPEMATIC, KEY_TYPE_BREAK, 0, KEY_TYPE_TYPEMATIC | KEY_TYPE_BREAK};

    queue_clear(&kbd->keys);
    memset(kbd->key_types, types[command - KBD_ALL_TYPEMATIC], sizeof kbd->key_types);
}

void ps2_keyboard_write(struct ps2_keyboard *kbd, uint8_t byte)
{
    if (byte != KBD_RESEND) {
        kbd->reply_count = 0; /* a command replaces what was being answered */
    }
    if (kbd->command && keyboard_parameter(kbd, byte)) {
        return;
    }
    switch (byte) {
    case KBD_SET_LEDS:
    case KBD_SCAN_SET:
    case KBD_TYPEMATIC:
    case KBD_KEY_TYPEMATIC:
    case KBD_KEY_MAKE_BREAK:
    case KBD_KEY_MAKE:
        kbd->command = byte;
        keyboard_reply(kbd, REPLY_ACK);
        break;
    case KBD_ECHO:
        keyboard_reply(kbd, KBD_ECHO);
        break;
    case KBD_READ_ID:
        keyboard_reply(kbd, REPLY_ACK);
        keyboard_reply(kbd, 0xab);
        keyboard_reply(kbd, 0x83);
        break;
    case KBD_ENABLE:
        queue_clear(&kbd->keys);
        kbd->is_scanning = true;
        keyboard_reply(kbd, REPLY_ACK);
        break;
    case KBD_DEFAULT_DISABLE:
        keyboard_defaults(kbd);
        kbd->is_scanning = false;
        keyboard_reply(kbd, REPLY_ACK);
        break;
    case KBD_DEFAULT:
        keyboard_defaults(kbd);
        kbd->is_scanning = true;
        keyboard_reply(kbd, REPLY_ACK);
        break;
    case KBD_ALL_TYPEMATIC:
    case KBD_ALL_MAKE_BREAK:
    case KBD_ALL_MAKE:
    case KBD_ALL_TYPEMATIC_MAKE_BREAK:
        keyboard_set_all_types(kbd, byte);
        keyboard_reply(kbd, REPLY_ACK);
        break;
    case KBD_RESEND:
        keyboard_reply(kbd, kbd->last_sent);
        break;
    case KBD_RESET:
        keyboard_defaults(kbd);
        kbd->is_scanning = true;
        kbd->leds = 0;
        keyboard_reply(kbd, REPLY_ACK);
        keyboard_reply(kbd, REPLY_BAT_OK);
        break;
    default:
        keyboard_reply(kbd, REPLY_RESEND);
        break;
    }
}

bool ps2_keyboard_has_byte(const struct ps2_keyboard *kbd)
{
    return kbd->reply_count || kbd->keys.count;
}

uint8_t ps2_keyboard_next_byte(struct ps2_keyboard *kbd)
{
    uint8_t byte;

    if (kbd->reply_count) {
        byte = kbd->replies[kbd->reply_head];
        kbd->reply_head = (uint8_t)((kbd->reply_head + 1u) % PS2_REPLY_BYTES);
        kbd->reply_count--;
    } else if (kbd->keys.count) {
        byte = queue_take(&kbd->keys);
    } else {
        return 0;
    }
    if (byte != REPLY_RESEND) {
        kbd->last_sent = byte;
    }
    return byte;
}

void ps2_keyboard_init(struct ps2_keyboard *kbd, struct clock *clock, ps2_ready_fn *ready, void *owner)
{
    kbd->ready = ready;
    kbd->owner = owner;
    event_init(&kbd->repeat, clock, keyboard_repeat, kbd);
}

/* Which keys are held is the user's doing and outlasts a reset. */
void ps2_keyboard_reset(struct ps2_keyboard *kbd)
{
    keyboard_defaults(kbd);
    memset(kbd->replies, 0, sizeof kbd->replies);
    kbd->reply_head = 0;
    kbd->reply_count = 0;
    kbd->command = 0;
    kbd->last_sent = REPLY_BAT_OK;
    kbd->leds = 0;
    kbd->is_scanning = true;
    kbd->is_print_plain = false;
}

void ps2_keyboard_loaded(struct ps2_keyboard *kbd)
{
    queue_loaded(&kbd->keys);
    kbd->reply_head %= PS2_REPLY_BYTES;
    if (kbd->reply_count > PS2_REPLY_BYTES) {
        kbd->reply_count = PS2_REPLY_BYTES;
    }
}

/* ---- Mouse ---- */

static int32_t clamp(int64_t value, int32_t limit)
{
    return (int32_t)(value > limit ? limit : value < -limit ? -limit : value);
}

/* "Scaling 2:1": small movements are damped, large ones doubled. */
static int32_t mouse_scale(int32_t counts)
{
    static const uint8_t small[] = {0, 1, 1, 3, 6, 9};
    int32_t size = counts < 0 ? -counts : counts;
    int32_t scaled = size < 6 ? small[size] : clamp(2 * (int64_t)size, 255);

    return counts < 0 ? -scaled : scaled;
}

static bool mouse_has_news(const struct ps2_mouse *mouse)
{
    uint8_t known = mouse->id == ID_EXPLORER ? 0x1f : 0x07;

    return mouse->has_announcement || mouse->dx || mouse->dy || (mouse->id != ID_PLAIN && mouse->dz) ||
           ((mouse->buttons ^ mouse->sent_buttons) & known);
}

/* Puts one packet into the queue and takes what it tells from the accumulated movement. */
static void mouse_send_packet(struct ps2_mouse *mouse, bool is_stream)
{
    int32_t dx = clamp(mouse->dx, 255), dy = clamp(mouse->dy, 255);

    if (queue_room(&mouse->queue) < PACKET_BYTES_MAX) {
        return;
    }
    mouse->dx -= dx;
    mouse->dy -= dy;
    if (mouse->is_scaling && is_stream) {
        dx = mouse_scale(dx);
        dy = mouse_scale(dy);
    }
    queue_put(&mouse->queue, (uint8_t)(PACKET_ALWAYS_ONE | (mouse->buttons & 7) | (dx < 0 ? PACKET_X_NEGATIVE : 0) |
                                       (dy < 0 ? PACKET_Y_NEGATIVE : 0)));
    queue_put(&mouse->queue, (uint8_t)((uint32_t)dx & 0xff));
    queue_put(&mouse->queue, (uint8_t)((uint32_t)dy & 0xff));
    if (mouse->id == ID_WHEEL) {
        int32_t dz = clamp(mouse->dz, 127);
        mouse->dz -= dz;
        queue_put(&mouse->queue, (uint8_t)((uint32_t)dz & 0xff));
    } else if (mouse->id == ID_EXPLORER) {
        int32_t dz = clamp(mouse->dz, 7);
        mouse->dz -= dz;
        queue_put(&mouse->queue, (uint8_t)(((uint32_t)dz & 0x0f) | (mouse->buttons & 0x18u) << 1));
    } else {
        mouse->dz = 0;
    }
    mouse->sent_buttons = mouse->buttons;
    mouse->has_announcement = false;
}

/* Stream mode: a packet as soon as there is something to tell, but no more than the sample rate allows. */
static void mouse_stream(struct ps2_mouse *mouse)
{
    if (!mouse->is_enabled || mouse->is_remote || mouse->is_wrapping || !mouse_has_news(mouse) ||
        event_is_armed(&mouse->sample)) {
        return;
    }
    mouse_send_packet(mouse, true);
    event_at(&mouse->sample, clock_now(mouse->sample.clock) + NS_PER_SECOND / mouse->sample_rate);
}

static void mouse_sample(void *owner)
{
    struct ps2_mouse *mouse = owner;

    event_cancel(&mouse->sample);
    mouse_stream(mouse);
    mouse->ready(mouse->owner);
}

void ps2_mouse_move(struct ps2_mouse *mouse, int dx, int dy, int dz, unsigned buttons)
{
    uint8_t new_buttons = (uint8_t)(buttons & 0x1f);

    if (!mouse->is_enabled && !mouse->is_remote) {
        mouse->buttons = new_buttons; /* "disabled: no movement is accumulated" */
        return;
    }
    if (new_buttons != mouse->buttons && mouse->buttons != mouse->sent_buttons && mouse->is_enabled &&
        !mouse->is_remote && !mouse->is_wrapping) {
        mouse_send_packet(mouse, true); /* a click shorter than a sample is not lost */
    }
    mouse->buttons = new_buttons;
    mouse->dx = clamp((int64_t)mouse->dx + dx, MOVEMENT_MAX);
    mouse->dy = clamp((int64_t)mouse->dy - dy, MOVEMENT_MAX);
    mouse->dz = clamp((int64_t)mouse->dz + dz, MOVEMENT_MAX);
    mouse_stream(mouse);
    mouse->ready(mouse->owner);
}

void ps2_mouse_announce(struct ps2_mouse *mouse)
{
    if (mouse->is_enabled) {
        mouse->has_announcement = true;
        mouse_stream(mouse);
        mouse->ready(mouse->owner);
    }
}

static void mouse_forget_movement(struct ps2_mouse *mouse)
{
    mouse->has_announcement = false;
    mouse->dx = 0;
    mouse->dy = 0;
    mouse->dz = 0;
}

static void mouse_defaults(struct ps2_mouse *mouse)
{
    mouse->resolution = 2;
    mouse->sample_rate = 100;
    mouse->is_enabled = false;
    mouse->is_remote = false;
    mouse->is_wrapping = false;
    mouse->is_scaling = false;
    mouse_forget_movement(mouse);
    event_cancel(&mouse->sample);
}

/* The knock: rates 200, 100, 80 turn on the wheel, 200, 200, 80 the five buttons. */
static void mouse_set_rate(struct ps2_mouse *mouse, uint8_t rate)
{
    if (mouse->rates[0] == 200 && rate == 80) {
        if (mouse->rates[1] == 100) {
            mouse->id = ID_WHEEL;
        } else if (mouse->rates[1] == 200) {
            mouse->id = ID_EXPLORER;
        }
    }
    mouse->rates[0] = mouse->rates[1];
    mouse->rates[1] = rate;
    mouse->sample_rate = rate ? rate : 100;
}

static bool mouse_parameter(struct ps2_mouse *mouse, uint8_t byte)
{
    uint8_t command = mouse->command;

    mouse->command = 0;
    if (command == MOUSE_SAMPLE_RATE) {
        if (byte > 200) {
            return false;
        }
        mouse_set_rate(mouse, byte);
    } else {
        if (byte > 3) {
            return false;
        }
        mouse->resolution = byte;
    }
    queue_put(&mouse->queue, REPLY_ACK);
    return true;
}

static void mouse_status(struct ps2_mouse *mouse)
{
    /* Left, middle and right here are bits 2, 1 and 0. */
    unsigned buttons = (mouse->buttons & MOUSE_LEFT ? 4u : 0) | (mouse->buttons & MOUSE_MIDDLE ? 2u : 0) |
                       (mouse->buttons & MOUSE_RIGHT ? 1u : 0);

    queue_put(&mouse->queue, (uint8_t)(buttons | (mouse->is_scaling ? 0x10u : 0) | (mouse->is_enabled ? 0x20u : 0) |
                                       (mouse->is_remote ? 0x40u : 0)));
    queue_put(&mouse->queue, mouse->resolution);
    queue_put(&mouse->queue, mouse->sample_rate);
}

/* Commands that are answered with ACK and, some of them, with data. False for what the mouse does not know. */
static bool mouse_command(struct ps2_mouse *mouse, uint8_t byte)
{
    switch (byte) {
    case MOUSE_SCALE_1:
    case MOUSE_SCALE_2:
        mouse->is_scaling = byte == MOUSE_SCALE_2;
        break;
    case MOUSE_RESOLUTION:
    case MOUSE_SAMPLE_RATE:
        mouse->command = byte;
        break;
    case MOUSE_STREAM:
        mouse->is_remote = false;
        mouse_forget_movement(mouse);
        break;
    case MOUSE_UNWRAP:
        mouse->is_wrapping = false;
        break;
    case MOUSE_WRAP:
        mouse->is_wrapping = true;
        break;
    case MOUSE_REMOTE:
        mouse->is_remote = true;
        mouse_forget_movement(mouse);
        break;
    case MOUSE_ENABLE:
        mouse->is_enabled = true;
        mouse->sent_buttons = mouse->buttons;
        mouse_forget_movement(mouse);
        break;
    case MOUSE_DISABLE:
        mouse->is_enabled = false;
        break;
    case MOUSE_DEFAULT:
        mouse_defaults(mouse);
        break;
    case MOUSE_STATUS:
    case MOUSE_READ:
    case MOUSE_READ_ID:
    case MOUSE_RESET:
        break;
    default:
        return false;
    }
    queue_put(&mouse->queue, REPLY_ACK);
    return true;
}

void ps2_mouse_write(struct ps2_mouse *mouse, uint8_t byte)
{
    queue_clear(&mouse->queue); /* a command ends the transmission in progress */
    if (mouse->command && mouse_parameter(mouse, byte)) {
        return;
    }
    if (mouse->is_wrapping && byte != MOUSE_UNWRAP && byte != MOUSE_RESET) {
        queue_put(&mouse->queue, byte);
        return;
    }
    if (byte == MOUSE_RESEND) {
        queue_put(&mouse->queue, mouse->last_sent);
        return;
    }
    if (!mouse_command(mouse, byte)) {
        queue_put(&mouse->queue, REPLY_RESEND);
        return;
    }
    switch (byte) {
    case MOUSE_STATUS:
        mouse_status(mouse);
        break;
    case MOUSE_READ:
        mouse_send_packet(mouse, false);
        break;
    case MOUSE_READ_ID:
        queue_put(&mouse->queue, mouse->id);
        break;
    case MOUSE_RESET:
        mouse_defaults(mouse);
        mouse->id = ID_PLAIN;
        queue_put(&mouse->queue, REPLY_BAT_OK);
        queue_put(&mouse->queue, mouse->id);
        break;
    default:
        break;
    }
}

bool ps2_mouse_has_byte(const struct ps2_mouse *mouse)
{
    return mouse->queue.count != 0;
}

uint8_t ps2_mouse_next_byte(struct ps2_mouse *mouse)
{
    if (!mouse->queue.count) {
        return 0;
    }
    uint8_t byte = queue_take(&mouse->queue);
    if (byte != REPLY_RESEND) {
        mouse->last_sent = byte;
    }
    return byte;
}

void ps2_mouse_init(struct ps2_mouse *mouse, struct clock *clock, ps2_ready_fn *ready, void *owner)
{
    mouse->ready = ready;
    mouse->owner = owner;
    event_init(&mouse->sample, clock, mouse_sample, mouse);
}

void ps2_mouse_reset(struct ps2_mouse *mouse)
{
    mouse_defaults(mouse);
    queue_clear(&mouse->queue);
    mouse->id = ID_PLAIN;
    mouse->command = 0;
    mouse->last_sent = REPLY_BAT_OK;
    mouse->rates[0] = 0;
    mouse->rates[1] = 0;
    mouse->sent_buttons = mouse->buttons;
}

void ps2_mouse_loaded(struct ps2_mouse *mouse)
{
    queue_loaded(&mouse->queue);
    mouse->sample_rate = mouse->sample_rate ? mouse->sample_rate : 100;
    mouse->dx = clamp(mouse->dx, MOVEMENT_MAX);
    mouse->dy = clamp(mouse->dy, MOVEMENT_MAX);
    mouse->dz = clamp(mouse->dz, MOVEMENT_MAX);
}
