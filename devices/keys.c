/* keys.c - names, characters and scan codes of the keys.
 *
 * Scan codes: IBM PS/2 Hardware Interface Technical Reference, "101- and 102-key keyboards", scan code sets 2 and 3;
 * Microsoft "Keyboard Scan Code Specification" revision 1.3a for the keys added since. Names: those of QEMU's monitor. */
#include "devices/keys.h"

#include <stddef.h>
#include <string.h>

#define PLAIN(s2, s3) {s2, false, s3}
#define EXT(s2, s3) {s2, true, s3}

static const struct key_scancodes scancodes[KEY_CODES] = {
    [KEY_A] = PLAIN(0x1c, 0x1c), [KEY_B] = PLAIN(0x32, 0x32), [KEY_C] = PLAIN(0x21, 0x21),
    [KEY_D] = PLAIN(0x23, 0x23), [KEY_E] = PLAIN(0x24, 0x24), [KEY_F] = PLAIN(0x2b, 0x2b),
    [KEY_G] = PLAIN(0x34, 0x34), [KEY_H] = PLAIN(0x33, 0x33), [KEY_I] = PLAIN(0x43, 0x43),
    [KEY_J] = PLAIN(0x3b, 0x3b), [KEY_K] = PLAIN(0x42, 0x42), [KEY_L] = PLAIN(0x4b, 0x4b),
    [KEY_M] = PLAIN(0x3a, 0x3a), [KEY_N] = PLAIN(0x31, 0x31), [KEY_O] = PLAIN(0x44, 0x44),
    [KEY_P] = PLAIN(0x4d, 0x4d), [KEY_Q] = PLAIN(0x15, 0x15), [KEY_R] = PLAIN(0x2d, 0x2d),
    [KEY_S] = PLAIN(0x1b, 0x1b), [KEY_T] = PLAIN(0x2c, 0x2c), [KEY_U] = PLAIN(0x3c, 0x3c),
    [KEY_V] = PLAIN(0x2a, 0x2a), [KEY_W] = PLAIN(0x1d, 0x1d), [KEY_X] = PLAIN(0x22, 0x22),
    [KEY_Y] = PLAIN(0x35, 0x35), [KEY_Z] = PLAIN(0x1a, 0x1a), [KEY_1] = PLAIN(0x16, 0x16),
    [KEY_2] = PLAIN(0x1e, 0x1e), [KEY_3] = PLAIN(0x26, 0x26), [KEY_4] = PLAIN(0x25, 0x25),
    [KEY_5] = PLAIN(0x2e, 0x2e), [KEY_6] = PLAIN(0x36, 0x36), [KEY_7] = PLAIN(0x3d, 0x3d),
    [KEY_8] = PLAIN(0x3e, 0x3e), [KEY_9] = PLAIN(0x46, 0x46), [KEY_0] = PLAIN(0x45, 0x45),
    [KEY_ENTER] = PLAIN(0x5a, 0x5a), [KEY_ESC] = PLAIN(0x76, 0x08), [KEY_BACKSPACE] = PLAIN(0x66, 0x66),
    [KEY_TAB] = PLAIN(0x0d, 0x0d), [KEY_SPACE] = PLAIN(0x29, 0x29), [KEY_MINUS] = PLAIN(0x4e, 0x4e),
    [KEY_EQUAL] = PLAIN(0x55, 0x55), [KEY_BRACKET_LEFT] = PLAIN(0x54, 0x54),
    [KEY_BRACKET_RIGHT] = PLAIN(0x5b, 0x5b), [KEY_BACKSLASH] = PLAIN(0x5d, 0x5c),
    [KEY_EUROPE_1] = PLAIN(0x5d, 0x53), [KEY_SEMICOLON] = PLAIN(0x4c, 0x4c), [KEY_APOSTROPHE] = PLAIN(0x52, 0x52),
    [KEY_GRAVE] = PLAIN(0x0e, 0x0e), [KEY_COMMA] = PLAIN(0x41, 0x41), [KEY_DOT] = PLAIN(0x49, 0x49),
    [KEY_SLASH] = PLAIN(0x4a, 0x4a), [KEY_CAPS_LOCK] = PLAIN(0x58, 0x14), [KEY_F1] = PLAIN(0x05, 0x07),
    [KEY_F2] = PLAIN(0x06, 0x0f), [KEY_F3] = PLAIN(0x04, 0x17), [KEY_F4] = PLAIN(0x0c, 0x1f),
    [KEY_F5] = PLAIN(0x03, 0x27), [KEY_F6] = PLAIN(0x0b, 0x2f), [KEY_F7] = PLAIN(0x83, 0x37),
    [KEY_F8] = PLAIN(0x0a, 0x3f), [KEY_F9] = PLAIN(0x01, 0x47), [KEY_F10] = PLAIN(0x09, 0x4f),
    [KEY_F11] = PLAIN(0x78, 0x56), [KEY_F12] = PLAIN(0x07, 0x5e), [KEY_PRINT] = EXT(0x7c, 0x57),
    [KEY_SCROLL_LOCK] = PLAIN(0x7e, 0x5f), [KEY_PAUSE] = PLAIN(0x77, 0x62), /* sets 1 and 2: in ps2.c */
    [KEY_INSERT] = EXT(0x70, 0x67), [KEY_HOME] = EXT(0x6c, 0x6e), [KEY_PAGE_UP] = EXT(0x7d, 0x6f),
    [KEY_DELETE] = EXT(0x71, 0x64), [KEY_END] = EXT(0x69, 0x65), [KEY_PAGE_DOWN] = EXT(0x7a, 0x6d),
    [KEY_RIGHT] = EXT(0x74, 0x6a), [KEY_LEFT] = EXT(0x6b, 0x61), [KEY_DOWN] = EXT(0x72, 0x60),
    [KEY_UP] = EXT(0x75, 0x63), [KEY_NUM_LOCK] = PLAIN(0x77, 0x76), [KEY_KP_DIVIDE] = EXT(0x4a, 0x77),
    [KEY_KP_MULTIPLY] = PLAIN(0x7c, 0x7e), [KEY_KP_SUBTRACT] = PLAIN(0x7b, 0x84), [KEY_KP_ADD] = PLAIN(0x79, 0x7c),
    [KEY_KP_ENTER] = EXT(0x5a, 0x79), [KEY_KP_1] = PLAIN(0x69, 0x69), [KEY_KP_2] = PLAIN(0x72, 0x72),
    [KEY_KP_3] = PLAIN(0x7a, 0x7a), [KEY_KP_4] = PLAIN(0x6b, 0x6b), [KEY_KP_5] = PLAIN(0x73, 0x73),
    [KEY_KP_6] = PLAIN(0x74, 0x74), [KEY_KP_7] = PLAIN(0x6c, 0x6c), [KEY_KP_8] = PLAIN(0x75, 0x75),
    [KEY_KP_9] = PLAIN(0x7d, 0x7d), [KEY_KP_0] = PLAIN(0x70, 0x70), [KEY_KP_DECIMAL] = PLAIN(0x71, 0x71),
    [KEY_LESS] = PLAIN(0x61, 0x13), [KEY_MENU] = EXT(0x2f, 0x8d), [KEY_POWER] = EXT(0x37, 0),
    [KEY_KP_EQUAL] = PLAIN(0x0f, 0), [KEY_F13] = PLAIN(0x08, 0), [KEY_F14] = PLAIN(0x10, 0),
    [KEY_F15] = PLAIN(0x18, 0), [KEY_F16] = PLAIN(0x20, 0), [KEY_F17] = PLAIN(0x28, 0), [KEY_F18] = PLAIN(0x30, 0),
    [KEY_F19] = PLAIN(0x38, 0), [KEY_F20] = PLAIN(0x40, 0), [KEY_F21] = PLAIN(0x48, 0), [KEY_F22] = PLAIN(0x50, 0),
    [KEY_F23] = PLAIN(0x57, 0), [KEY_F24] = PLAIN(0x5f, 0), [KEY_MUTE] = EXT(0x23, 0),
    [KEY_VOLUME_UP] = EXT(0x32, 0), [KEY_VOLUME_DOWN] = EXT(0x21, 0), [KEY_KP_COMMA] = PLAIN(0x6d, 0),
    [KEY_RO] = PLAIN(0x51, 0x51), [KEY_KATAKANA_HIRAGANA] = PLAIN(0x13, 0x87), [KEY_YEN] = PLAIN(0x6a, 0x5d),
    [KEY_HENKAN] = PLAIN(0x64, 0x86), [KEY_MUHENKAN] = PLAIN(0x67, 0x85), [KEY_CTRL_LEFT] = PLAIN(0x14, 0x11),
    [KEY_SHIFT_LEFT] = PLAIN(0x12, 0x12), [KEY_ALT_LEFT] = PLAIN(0x11, 0x19), [KEY_META_LEFT] = EXT(0x1f, 0x8b),
    [KEY_CTRL_RIGHT] = EXT(0x14, 0x58), [KEY_SHIFT_RIGHT] = PLAIN(0x59, 0x59), [KEY_ALT_RIGHT] = EXT(0x11, 0x39),
    [KEY_META_RIGHT] = EXT(0x27, 0x8c), [KEY_MEDIA_PLAY] = EXT(0x34, 0), [KEY_MEDIA_STOP] = EXT(0x3b, 0),
    [KEY_MEDIA_PREVIOUS] = EXT(0x15, 0), [KEY_MEDIA_NEXT] = EXT(0x4d, 0), [KEY_MEDIA_SELECT] = EXT(0x50, 0),
    [KEY_MAIL] = EXT(0x48, 0), [KEY_COMPUTER] = EXT(0x40, 0), [KEY_CALCULATOR] = EXT(0x2b, 0),
    [KEY_WWW_HOME] = EXT(0x3a, 0), [KEY_WWW_BACK] = EXT(0x38, 0), [KEY_WWW_FORWARD] = EXT(0x30, 0),
    [KEY_WWW_STOP] = EXT(0x28, 0), [KEY_WWW_SEARCH] = EXT(0x10, 0), [KEY_WWW_REFRESH] = EXT(0x20, 0),
    [KEY_WWW_FAVORITES] = EXT(0x18, 0), [KEY_SLEEP] = EXT(0x3f, 0), [KEY_WAKE] = EXT(0x5e, 0),
};

const struct key_scancodes *key_scancodes(enum key_code key)
{
    return &scancodes[(unsigned)key % KEY_CODES];
}

static const uint8_t set2_to_set1[0x85] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59, /* 00 */
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b, /* 10 */
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d, /* 20 */
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f, /* 30 */
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61, /* 40 */
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76, /* 50 */
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f, /* 60 */
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54, /* 70 */
    0x80, 0x81, 0x82, 0x41, 0x54,                                                                   /* 80 */
};

uint8_t key_translate_set2(uint8_t code)
{
    return code < sizeof set2_to_set1 ? set2_to_set1[code] : code;
}

struct named_key {
    const char *name;
    uint8_t key; /* enum key_code */
};

static const struct named_key names[] = {
    {"a", KEY_A}, {"b", KEY_B}, {"c", KEY_C}, {"d", KEY_D}, {"e", KEY_E}, {"f", KEY_F}, {"g", KEY_G}, {"h", KEY_H},
    {"i", KEY_I}, {"j", KEY_J}, {"k", KEY_K}, {"l", KEY_L}, {"m", KEY_M}, {"n", KEY_N}, {"o", KEY_O}, {"p", KEY_P},
    {"q", KEY_Q}, {"r", KEY_R}, {"s", KEY_S}, {"t", KEY_T}, {"u", KEY_U}, {"v", KEY_V}, {"w", KEY_W}, {"x", KEY_X},
    {"y", KEY_Y}, {"z", KEY_Z}, {"0", KEY_0}, {"1", KEY_1}, {"2", KEY_2}, {"3", KEY_3}, {"4", KEY_4}, {"5", KEY_5},
    {"6", KEY_6}, {"7", KEY_7}, {"8", KEY_8}, {"9", KEY_9}, {"ret", KEY_ENTER}, {"enter", KEY_ENTER},
    {"esc", KEY_ESC}, {"backspace", KEY_BACKSPACE}, {"tab", KEY_TAB}, {"spc", KEY_SPACE}, {"space", KEY_SPACE},
    {"minus", KEY_MINUS}, {"equal", KEY_EQUAL}, {"bracket_left", KEY_BRACKET_LEFT},
    {"bracket_right", KEY_BRACKET_RIGHT}, {"backslash", KEY_BACKSLASH}, {"semicolon", KEY_SEMICOLON},
    {"apostrophe", KEY_APOSTROPHE}, {"grave_accent", KEY_GRAVE}, {"comma", KEY_COMMA}, {"dot", KEY_DOT},
    {"slash", KEY_SLASH}, {"caps_lock", KEY_CAPS_LOCK}, {"f1", KEY_F1}, {"f2", KEY_F2}, {"f3", KEY_F3},
    {"f4", KEY_F4}, {"f5", KEY_F5}, {"f6", KEY_F6}, {"f7", KEY_F7}, {"f8", KEY_F8}, {"f9", KEY_F9},
    {"f10", KEY_F10}, {"f11", KEY_F11}, {"f12", KEY_F12}, {"print", KEY_PRINT}, {"sysrq", KEY_PRINT},
    {"scroll_lock", KEY_SCROLL_LOCK}, {"pause", KEY_PAUSE}, {"insert", KEY_INSERT}, {"home", KEY_HOME},
    {"pgup", KEY_PAGE_UP}, {"delete", KEY_DELETE}, {"end", KEY_END}, {"pgdn", KEY_PAGE_DOWN}, {"right", KEY_RIGHT},
    {"left", KEY_LEFT}, {"down", KEY_DOWN}, {"up", KEY_UP}, {"num_lock", KEY_NUM_LOCK},
    {"kp_divide", KEY_KP_DIVIDE}, {"kp_multiply", KEY_KP_MULTIPLY}, {"asterisk", KEY_KP_MULTIPLY},
    {"kp_subtract", KEY_KP_SUBTRACT}, {"kp_add", KEY_KP_ADD}, {"kp_enter", KEY_KP_ENTER}, {"kp_0", KEY_KP_0},
    {"kp_1", KEY_KP_1}, {"kp_2", KEY_KP_2}, {"kp_3", KEY_KP_3}, {"kp_4", KEY_KP_4}, {"kp_5", KEY_KP_5},
    {"kp_6", KEY_KP_6}, {"kp_7", KEY_KP_7}, {"kp_8", KEY_KP_8}, {"kp_9", KEY_KP_9}, {"kp_decimal", KEY_KP_DECIMAL},
    {"kp_equals", KEY_KP_EQUAL}, {"kp_comma", KEY_KP_COMMA}, {"less", KEY_LESS}, {"menu", KEY_MENU},
    {"compose", KEY_MENU}, {"power", KEY_POWER}, {"f13", KEY_F13}, {"f14", KEY_F14}, {"f15", KEY_F15},
    {"f16", KEY_F16}, {"f17", KEY_F17}, {"f18", KEY_F18}, {"f19", KEY_F19}, {"f20", KEY_F20}, {"f21", KEY_F21},
    {"f22", KEY_F22}, {"f23", KEY_F23}, {"f24", KEY_F24}, {"europe_1", KEY_EUROPE_1}, {"ctrl", KEY_CTRL_LEFT},
    {"shift", KEY_SHIFT_LEFT}, {"alt", KEY_ALT_LEFT}, {"meta_l", KEY_META_LEFT}, {"ctrl_r", KEY_CTRL_RIGHT},
    {"shift_r", KEY_SHIFT_RIGHT}, {"alt_r", KEY_ALT_RIGHT}, {"altgr", KEY_ALT_RIGHT}, {"meta_r", KEY_META_RIGHT},
    {"audiomute", KEY_MUTE}, {"volumeup", KEY_VOLUME_UP}, {"volumedown", KEY_VOLUME_DOWN},
    {"audioplay", KEY_MEDIA_PLAY}, {"audiostop", KEY_MEDIA_STOP}, {"audioprev", KEY_MEDIA_PREVIOUS},
    {"audionext", KEY_MEDIA_NEXT}, {"mediaselect", KEY_MEDIA_SELECT}, {"mail", KEY_MAIL},
    {"computer", KEY_COMPUTER}, {"calculator", KEY_CALCULATOR}, {"ac_home", KEY_WWW_HOME},
    {"ac_back", KEY_WWW_BACK}, {"ac_forward", KEY_WWW_FORWARD}, {"stop", KEY_WWW_STOP}, {"find", KEY_WWW_SEARCH},
    {"ac_refresh", KEY_WWW_REFRESH}, {"ac_bookmarks", KEY_WWW_FAVORITES}, {"sleep", KEY_SLEEP}, {"wake", KEY_WAKE},
    {"ro", KEY_RO}, {"hiragana", KEY_KATAKANA_HIRAGANA}, {"yen", KEY_YEN}, {"henkan", KEY_HENKAN},
    {"muhenkan", KEY_MUHENKAN},
};

enum { NAMES = sizeof names / sizeof names[0] };

enum key_code key_by_name(const char *name, unsigned length)
{
    for (unsigned n = 0; n < NAMES; n++) {
        if (strlen(names[n].name) == length && memcmp(names[n].name, name, length) == 0) {
            return (enum key_code)names[n].key;
        }
    }
    return KEY_NONE;
}

const char *key_name(enum key_code key)
{
    for (unsigned n = 0; n < NAMES; n++) {
        if (names[n].key == (unsigned)key) {
            return names[n].name;
        }
    }
    return NULL;
}

bool key_name_at(unsigned index, const char **name, enum key_code *key)
{
    if (index >= NAMES) {
        return false;
    }
    *name = names[index].name;
    *key = (enum key_code)names[index].key;
    return true;
}

struct typed_key {
    char plain, shifted;
    uint8_t key;
};

static const struct typed_key typed_keys[] = {
    {'1', '!', KEY_1},          {'2', '@', KEY_2},         {'3', '#', KEY_3},
    {'4', '$', KEY_4},          {'5', '%', KEY_5},         {'6', '^', KEY_6},
    {'7', '&', KEY_7},          {'8', '*', KEY_8},         {'9', '(', KEY_9},
    {'0', ')', KEY_0},          {'-', '_', KEY_MINUS},     {'=', '+', KEY_EQUAL},
    {'[', '{', KEY_BRACKET_LEFT}, {']', '}', KEY_BRACKET_RIGHT}, {'\\', '|', KEY_BACKSLASH},
    {';', ':', KEY_SEMICOLON},  {'\'', '"', KEY_APOSTROPHE}, {'`', '~', KEY_GRAVE},
    {',', '<', KEY_COMMA},      {'.', '>', KEY_DOT},       {'/', '?', KEY_SLASH},
    {' ', 0, KEY_SPACE},        {'\n', 0, KEY_ENTER},      {'\r', 0, KEY_ENTER},
    {'\t', 0, KEY_TAB},         {'\b', 0, KEY_BACKSPACE},  {0x7f, 0, KEY_BACKSPACE},
    {0x1b, 0, KEY_ESC},
};

enum key_code key_for_character(char character, bool *is_shifted)
{
    *is_shifted = false;
    if (character == 0) {
        return KEY_NONE;
    }
    if (character >= 'a' && character <= 'z') {
        return (enum key_code)(KEY_A + (character - 'a'));
    }
    if (character >= 'A' && character <= 'Z') {
        *is_shifted = true;
        return (enum key_code)(KEY_A + (character - 'A'));
    }
    for (unsigned n = 0; n < sizeof typed_keys / sizeof typed_keys[0]; n++) {
        if (character == typed_keys[n].plain || character == typed_keys[n].shifted) {
            *is_shifted = character == typed_keys[n].shifted;
            return (enum key_code)typed_keys[n].key;
        }
    }
    return KEY_NONE;
}
