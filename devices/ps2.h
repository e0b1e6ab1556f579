/* ps2.h - the keyboard and the mouse at the other end of the PS/2 cables. The keyboard controller embeds both. */
#ifndef DEVICES_PS2_H
#define DEVICES_PS2_H

#include "devices/device.h"
#include "devices/keys.h"

enum { PS2_QUEUE_BYTES = 64, PS2_REPLY_BYTES = 8, PS2_KEY_TYPES = 144 };

/* Bytes waiting to be sent, oldest at head. */
struct ps2_queue {
    uint8_t bytes[PS2_QUEUE_BYTES];
    uint8_t head;
    uint8_t count;
};

/* Called when bytes to send have appeared outside a command (keys, typematic repeat, samples). */
typedef void ps2_ready_fn(void *owner);

struct ps2_keyboard {
    struct event repeat;
    ps2_ready_fn *ready;
    void *owner;
    struct ps2_queue keys;
    uint8_t replies[PS2_REPLY_BYTES];
    uint8_t reply_head;
    uint8_t reply_count;
    uint8_t command;
    uint8_t last_sent;
    uint8_t scan_set;
    uint8_t leds;
    uint8_t typematic;
    uint8_t repeat_key;
    bool is_scanning;
    bool is_print_plain;
    uint8_t pressed[KEY_CODES / 8];
    uint8_t key_types[PS2_KEY_TYPES];
    uint8_t pad_[4];
};
extern const struct field ps2_keyboard_fields[];

struct ps2_mouse {
    struct event sample;
    ps2_ready_fn *ready;
    void *owner;
    struct ps2_queue queue;
    uint8_t pad1_[2];
    int32_t dx;
    int32_t dy;
    int32_t dz;
    uint8_t command;
    uint8_t last_sent;
    uint8_t id;
    uint8_t resolution;
    uint8_t sample_rate;
    uint8_t rates[2];
    uint8_t buttons;
    uint8_t sent_buttons;
    bool is_enabled;
    bool is_remote;
    bool is_wrapping;
    bool is_scaling;
    bool has_announcement;
    uint8_t pad2_[2];
};
extern const struct field ps2_mouse_fields[];

enum { MOUSE_LEFT = 1, MOUSE_RIGHT = 2, MOUSE_MIDDLE = 4, MOUSE_SIDE = 8, MOUSE_EXTRA = 16 };

void ps2_keyboard_init(struct ps2_keyboard *kbd, struct clock *clock, ps2_ready_fn *ready, void *owner);
void ps2_keyboard_reset(struct ps2_keyboard *kbd); /* power-on, without the BAT's byte */
void ps2_keyboard_loaded(struct ps2_keyboard *kbd);
void ps2_keyboard_write(struct ps2_keyboard *kbd, uint8_t byte); /* from the host */
bool ps2_keyboard_has_byte(const struct ps2_keyboard *kbd);
uint8_t ps2_keyboard_next_byte(struct ps2_keyboard *kbd); /* takes it; 0 when there is none */
/* A key goes down or up; a key that already is where it goes is ignored, since the keyboard repeats by itself. */
void ps2_keyboard_key(struct ps2_keyboard *kbd, enum key_code key, bool is_pressed);

void ps2_mouse_init(struct ps2_mouse *mouse, struct clock *clock, ps2_ready_fn *ready, void *owner);
void ps2_mouse_reset(struct ps2_mouse *mouse);
void ps2_mouse_loaded(struct ps2_mouse *mouse);
void ps2_mouse_write(struct ps2_mouse *mouse, uint8_t byte);
bool ps2_mouse_has_byte(const struct ps2_mouse *mouse);
uint8_t ps2_mouse_next_byte(struct ps2_mouse *mouse);
/* Counts moved to the right, downwards and on the wheel towards the user, and the buttons held (MOUSE_ bits). */
void ps2_mouse_move(struct ps2_mouse *mouse, int dx, int dy, int dz, unsigned buttons);

/* Sends a packet though nothing has moved: the absolute pointing device (machine/vmmouse.c) has something to be fetched. */
void ps2_mouse_announce(struct ps2_mouse *mouse);

#endif
