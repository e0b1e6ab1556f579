/* keys.h - the keys of a PC keyboard, independent of host and scan code set.
 *
 * A key's number is its usage in the USB HID Usage Tables 1.12, chapter 10 (Keyboard/Keypad page). Keys of the consumer
 * page have numbers from E8h up, which chapter 10 leaves free. */
#ifndef DEVICES_KEYS_H
#define DEVICES_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__GNUC__)
#pragma GCC visibility push(default) /* what a shared libtick86 exports */
#endif

enum key_code {
    KEY_NONE = 0x00,
    KEY_A = 0x04, KEY_B, KEY_C, KEY_D, KEY_E, KEY_F, KEY_G, KEY_H, KEY_I, KEY_J, KEY_K, KEY_L, KEY_M, KEY_N, KEY_O,
    KEY_P, KEY_Q, KEY_R, KEY_S, KEY_T, KEY_U, KEY_V, KEY_W, KEY_X, KEY_Y, KEY_Z,
    KEY_1 = 0x1e, KEY_2, KEY_3, KEY_4, KEY_5, KEY_6, KEY_7, KEY_8, KEY_9, KEY_0,
    KEY_ENTER = 0x28,
    KEY_ESC = 0x29,
    KEY_BACKSPACE = 0x2a,
    KEY_TAB = 0x2b,
    KEY_SPACE = 0x2c,
    KEY_MINUS = 0x2d,
    KEY_EQUAL = 0x2e,
    KEY_BRACKET_LEFT = 0x2f,
    KEY_BRACKET_RIGHT = 0x30,
    KEY_BACKSLASH = 0x31,
    KEY_EUROPE_1 = 0x32, /* # and ~, left of Enter; the PC scan codes are those of the backslash key */
    KEY_SEMICOLON = 0x33,
    KEY_APOSTROPHE = 0x34,
    KEY_GRAVE = 0x35,
    KEY_COMMA = 0x36,
    KEY_DOT = 0x37,
    KEY_SLASH = 0x38,
    KEY_CAPS_LOCK = 0x39,
    KEY_F1 = 0x3a, KEY_F2, KEY_F3, KEY_F4, KEY_F5, KEY_F6, KEY_F7, KEY_F8, KEY_F9, KEY_F10, KEY_F11, KEY_F12,
    KEY_PRINT = 0x46, /* Print Screen, SysRq */
    KEY_SCROLL_LOCK = 0x47,
    KEY_PAUSE = 0x48,
    KEY_INSERT = 0x49,
    KEY_HOME = 0x4a,
    KEY_PAGE_UP = 0x4b,
    KEY_DELETE = 0x4c,
    KEY_END = 0x4d,
    KEY_PAGE_DOWN = 0x4e,
    KEY_RIGHT = 0x4f,
    KEY_LEFT = 0x50,
    KEY_DOWN = 0x51,
    KEY_UP = 0x52,
    KEY_NUM_LOCK = 0x53,
    KEY_KP_DIVIDE = 0x54,
    KEY_KP_MULTIPLY = 0x55,
    KEY_KP_SUBTRACT = 0x56,
    KEY_KP_ADD = 0x57,
    KEY_KP_ENTER = 0x58,
    KEY_KP_1 = 0x59, KEY_KP_2, KEY_KP_3, KEY_KP_4, KEY_KP_5, KEY_KP_6, KEY_KP_7, KEY_KP_8, KEY_KP_9, KEY_KP_0,
    KEY_KP_DECIMAL = 0x63,
    KEY_LESS = 0x64, /* the 102nd key, left of Z */
    KEY_MENU = 0x65,
    KEY_POWER = 0x66,
    KEY_KP_EQUAL = 0x67,
    KEY_F13 = 0x68, KEY_F14, KEY_F15, KEY_F16, KEY_F17, KEY_F18, KEY_F19, KEY_F20, KEY_F21, KEY_F22, KEY_F23, KEY_F24,
    KEY_MUTE = 0x7f,
    KEY_VOLUME_UP = 0x80,
    KEY_VOLUME_DOWN = 0x81,
    KEY_KP_COMMA = 0x85,
    KEY_RO = 0x87,               /* International 1 */
    KEY_KATAKANA_HIRAGANA = 0x88, /* International 2 */
    KEY_YEN = 0x89,              /* International 3 */
    KEY_HENKAN = 0x8a,           /* International 4 */
    KEY_MUHENKAN = 0x8b,         /* International 5 */
    KEY_CTRL_LEFT = 0xe0,
    KEY_SHIFT_LEFT = 0xe1,
    KEY_ALT_LEFT = 0xe2,
    KEY_META_LEFT = 0xe3,
    KEY_CTRL_RIGHT = 0xe4,
    KEY_SHIFT_RIGHT = 0xe5,
    KEY_ALT_RIGHT = 0xe6,
    KEY_META_RIGHT = 0xe7,
    KEY_MEDIA_PLAY = 0xe8,
    KEY_MEDIA_STOP = 0xe9,
    KEY_MEDIA_PREVIOUS = 0xea,
    KEY_MEDIA_NEXT = 0xeb,
    KEY_MEDIA_SELECT = 0xec,
    KEY_MAIL = 0xed,
    KEY_COMPUTER = 0xee,
    KEY_CALCULATOR = 0xef,
    KEY_WWW_HOME = 0xf0,
    KEY_WWW_BACK = 0xf1,
    KEY_WWW_FORWARD = 0xf2,
    KEY_WWW_STOP = 0xf3,
    KEY_WWW_SEARCH = 0xf4,
    KEY_WWW_REFRESH = 0xf5,
    KEY_WWW_FAVORITES = 0xf6,
    KEY_SLEEP = 0xf8,
    KEY_WAKE = 0xf9,
    KEY_CODES = 0x100
};

/* The key that QEMU's `sendkey` calls `name` ("ret", "ctrl", "f1", "spc", "a"), or KEY_NONE. `length` bytes of `name` count,
 * so that "ctrl-alt-delete" can be read piece by piece. */
enum key_code key_by_name(const char *name, unsigned length);

/* The first name of a key, or NULL. */
const char *key_name(enum key_code key);

/* Key `index` of the table of names, for completion; false at its end. */
bool key_name_at(unsigned index, const char **name, enum key_code *key);

/* The key that types an ASCII character on a US keyboard, and whether Shift goes with it; '\n', '\t', '\b' and ESC are
 * known. KEY_NONE when there is none. */
enum key_code key_for_character(char character, bool *is_shifted);

/* What a key sends: the set 2 and set 3 codes, 0 when the set has none. */
struct key_scancodes {
    uint8_t set2;
    bool is_extended; /* prefixed with E0h in sets 1 and 2 */
    uint8_t set3;
};
const struct key_scancodes *key_scancodes(enum key_code key);

/* Set 2 to set 1 as the keyboard controller translates it (IBM PS/2 Hardware Interface Technical Reference). */
uint8_t key_translate_set2(uint8_t code);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
