/* i8042.h - input from the keys and the mouse to the keyboard controller. Called by machine/ from the input queue. */
#ifndef DEVICES_I8042_H
#define DEVICES_I8042_H

#include "devices/device.h"
#include "devices/keys.h"

extern const struct device_class i8042_class;

/* A key goes down or up. Repeats of the host's keyboard are ignored: the emulated keyboard repeats in guest time. */
void i8042_key(struct device *dev, enum key_code key, bool is_pressed);

/* True while the keyboard has nothing left to send: what types text waits for it before the next key. */
bool i8042_keyboard_is_idle(const struct device *dev);

/* Counts moved to the right, downwards and on the wheel towards the user since the last call, and the buttons held now: 1
 * left, 2 right, 4 middle, 8 side, 16 extra (MOUSE_ bits of devices/ps2.h). */
void i8042_mouse(struct device *dev, int dx, int dy, int dz, unsigned buttons);

/* The mouse sends a packet though nothing has moved. */
void i8042_mouse_announce(struct device *dev);

/* True when the guest's driver has the mouse send by itself. */
bool i8042_mouse_is_enabled(const struct device *dev);

/* Keyboard lights: bit 0 Scroll Lock, 1 Num Lock, 2 Caps Lock. */
uint8_t i8042_leds(const struct device *dev);

#endif
