/* vnc.c - the guest's screen for VNC viewers (RFC 6143), with libvncserver 0.9.14, polled between slices of the guest.
 *
 * Keys come as what they type (X keysyms), unless the viewer knows QEMU's extended key events, which tell the key itself. The guest gets
 * places if it has an absolute pointing device, else movements. Passwords are the protocol's own (VNC authentication, eight
 * characters): no protection for a hostile network. Not implemented: TLS, sound, file transfer, typing a viewer's clipboard. */
#include "frontends/display.h"
#include "frontends/frame.h"
#include "frontends/module.h"

#include <arpa/inet.h>
#include <rfb/keysym.h>
#include <rfb/rfb.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_BASE = 5900, MESSAGE_QEMU = 255, QEMU_KEY_EVENT = 0, KEYSYMS_MAX = 32 };
#define ENCODING_EXTENDED_KEY (-258)

struct vnc {
    struct session *session;
    rfbScreenInfoPtr screen;
    struct frame frame;
    char *password_list[2];
    unsigned clients;
    unsigned buttons;
    int x, y; /* of the pointer, last */
    bool has_place;
    bool pressed[KEY_CODES];
    /* Keys that were pressed for a keysym: it may be let go with another shift state. */
    struct {
        rfbKeySym keysym;
        enum key_code key;
    } held[KEYSYMS_MAX];
};

/* ---- keys ---- */

static const struct {
    rfbKeySym keysym;
    enum key_code key;
} named_keys[] = {
    {XK_BackSpace, KEY_BACKSPACE}, {XK_Tab, KEY_TAB},         {XK_ISO_Left_Tab, KEY_TAB},      {XK_Return, KEY_ENTER},
    {XK_Escape, KEY_ESC},          {XK_Delete, KEY_DELETE},   {XK_Insert, KEY_INSERT},         {XK_Home, KEY_HOME},
    {XK_End, KEY_END},             {XK_Page_Up, KEY_PAGE_UP}, {XK_Page_Down, KEY_PAGE_DOWN},   {XK_Left, KEY_LEFT},
    {XK_Right, KEY_RIGHT},         {XK_Up, KEY_UP},           {XK_Down, KEY_DOWN},             {XK_Shift_L, KEY_SHIFT_LEFT},
    {XK_Shift_R, KEY_SHIFT_RIGHT}, {XK_Control_L, KEY_CTRL_LEFT}, {XK_Control_R, KEY_CTRL_RIGHT}, {XK_Alt_L, KEY_ALT_LEFT},
    {XK_Alt_R, KEY_ALT_RIGHT},     {XK_Meta_L, KEY_ALT_LEFT}, {XK_Meta_R, KEY_ALT_RIGHT},      {XK_ISO_Level3_Shift, KEY_ALT_RIGHT},
    {XK_Mode_switch, KEY_ALT_RIGHT}, {XK_Super_L, KEY_META_LEFT}, {XK_Super_R, KEY_META_RIGHT}, {XK_Menu, KEY_MENU},
    {XK_Caps_Lock, KEY_CAPS_LOCK}, {XK_Num_Lock, KEY_NUM_LOCK}, {XK_Scroll_Lock, KEY_SCROLL_LOCK}, {XK_Pause, KEY_PAUSE},
    {XK_Break, KEY_PAUSE},         {XK_Print, KEY_PRINT},     {XK_Sys_Req, KEY_PRINT},         {XK_KP_Enter, KEY_KP_ENTER},
    {XK_KP_Add, KEY_KP_ADD},       {XK_KP_Subtract, KEY_KP_SUBTRACT}, {XK_KP_Multiply, KEY_KP_MULTIPLY},
    {XK_KP_Divide, KEY_KP_DIVIDE}, {XK_KP_Decimal, KEY_KP_DECIMAL}, {XK_KP_Delete, KEY_KP_DECIMAL}, {XK_KP_Insert, KEY_KP_0},
    {XK_KP_End, KEY_KP_1},         {XK_KP_Down, KEY_KP_2},    {XK_KP_Page_Down, KEY_KP_3},     {XK_KP_Left, KEY_KP_4},
    {XK_KP_Begin, KEY_KP_5},       {XK_KP_Right, KEY_KP_6},   {XK_KP_Home, KEY_KP_7},          {XK_KP_Up, KEY_KP_8},
    {XK_KP_Page_Up, KEY_KP_9},     {XK_KP_0, KEY_KP_0},
};

static enum key_code key_of_keysym(rfbKeySym keysym, bool *is_shifted)
{
    *is_shifted = false;
    for (size_t n = 0; n < sizeof named_keys / sizeof named_keys[0]; n++) {
        if (named_keys[n].keysym == keysym) {
            return named_keys[n].key;
        }
    }
    if (keysym >= XK_F1 && keysym <= XK_F12) {
        return (enum key_code)(KEY_F1 + (int)(keysym - XK_F1));
    }
    if (keysym >= XK_KP_1 && keysym <= XK_KP_9) {
        return (enum key_code)(KEY_KP_1 + (int)(keysym - XK_KP_1));
    }
    return keysym >= 0x20 && keysym < 0x7f ? key_for_character((char)keysym, is_shifted) : KEY_NONE;
}

static void press(struct vnc *vnc, enum key_code key, bool is_pressed)
{
    if (key != KEY_NONE && (int)key < KEY_CODES && vnc->pressed[key] != is_pressed && !vnc->session->is_stopped) {
        vnc->pressed[key] = is_pressed;
        tick86_key(vnc->session->machine, key, is_pressed);
    }
}

static bool is_shift_held(const struct vnc *vnc)
{
    return vnc->pressed[KEY_SHIFT_LEFT] || vnc->pressed[KEY_SHIFT_RIGHT];
}

/* A viewer's layout may need Shift where a US keyboard does not, and the other way round: it is set right around the key. */
static void press_with_shift(struct vnc *vnc, enum key_code key, bool is_shifted)
{
    bool left = vnc->pressed[KEY_SHIFT_LEFT], right = vnc->pressed[KEY_SHIFT_RIGHT];

    if (is_shifted && !left && !right) {
        press(vnc, KEY_SHIFT_LEFT, true);
        press(vnc, key, true);
        press(vnc, KEY_SHIFT_LEFT, false);
    } else if (!is_shifted && (left || right)) {
        press(vnc, KEY_SHIFT_LEFT, false);
        press(vnc, KEY_SHIFT_RIGHT, false);
        press(vnc, key, true);
        press(vnc, KEY_SHIFT_LEFT, left);
        press(vnc, KEY_SHIFT_RIGHT, right);
    } else {
        press(vnc, key, true);
    }
}

static void key_event(rfbBool is_down, rfbKeySym keysym, rfbClientPtr client)
{
    struct vnc *vnc = client->screen->screenData;
    bool is_shifted, is_character = keysym > 0x20 && keysym < 0x7f;
    enum key_code key = key_of_keysym(keysym, &is_shifted);

    for (unsigned n = 0; n < KEYSYMS_MAX; n++) {
        if (vnc->held[n].keysym == keysym) {
            if (!is_down) {
                press(vnc, vnc->held[n].key, false);
                vnc->held[n].keysym = 0;
                return;
            }
            return; /* the guest's keyboard repeats by itself */
        }
    }
    if (!is_down || key == KEY_NONE) {
        press(vnc, key, false);
        return;
    }
    for (unsigned n = 0; n < KEYSYMS_MAX; n++) {
        if (vnc->held[n].keysym == 0) {
            vnc->held[n].keysym = keysym;
            vnc->held[n].key = key;
            break;
        }
    }
    /* With Ctrl or Alt the shift state is the user's business. */
    bool is_command = vnc->pressed[KEY_CTRL_LEFT] || vnc->pressed[KEY_CTRL_RIGHT] || vnc->pressed[KEY_ALT_LEFT];
    if (is_character && !is_command && is_shifted != is_shift_held(vnc)) {
        press_with_shift(vnc, key, is_shifted);
    } else {
        press(vnc, key, true);
    }
}

static void release_keys(struct vnc *vnc)
{
    for (int key = 1; key < KEY_CODES; key++) {
        press(vnc, (enum key_code)key, false);
    }
    memset(vnc->held, 0, sizeof vnc->held);
}

/* ---- QEMU's extended key events: QEMU, docs/interop/vnc; rfbproto.rst, "QEMU Extended Key Event Message" ---- */

/* The key of a set 1 scan code, with bit 7 for those that E0h precedes. */
static enum key_code key_of_scancode(uint32_t code)
{
    for (int key = 1; key < KEY_CODES; key++) {
        const struct key_scancodes *codes = key_scancodes((enum key_code)key);
        if (codes != NULL && codes->set2 != 0 &&
            (key_translate_set2(codes->set2) | (codes->is_extended ? 0x80u : 0u)) == code) {
            return (enum key_code)key;
        }
    }
    return KEY_NONE;
}

static rfbBool enable_extended(rfbClientPtr client, void **data, int encoding)
{
    /* An update of one rectangle of that encoding: "understood". It has a single pixel, since the viewer may not know yet that the
     * screen has another size now, and refuse a rectangle that it believes too large. */
    static const uint8_t answer[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0xff, 0xff, 0xfe, 0xfe};

    (void)data;
    if (encoding != ENCODING_EXTENDED_KEY) {
        return FALSE;
    }
    return rfbWriteExact(client, (const char *)answer, sizeof answer) > 0;
}

static uint32_t be32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static rfbBool extended_message(rfbClientPtr client, void *data, const rfbClientToServerMsg *message)
{
    struct vnc *vnc = client->screen->screenData;
    uint8_t rest[11]; /* subtype, down (2), keysym (4), scan code (4) */

    (void)data;
    if (message->type != MESSAGE_QEMU || rfbReadExact(client, (char *)rest, sizeof rest) <= 0) {
        return FALSE;
    }
    if (rest[0] == QEMU_KEY_EVENT) {
        enum key_code key = key_of_scancode(be32(rest + 7));
        if (key != KEY_NONE) {
            press(vnc, key, (rest[1] | rest[2]) != 0);
        } else {
            key_event((rest[1] | rest[2]) != 0, be32(rest + 3), client);
        }
    }
    return TRUE;
}

static rfbBool extended_client(rfbClientPtr client, void **data)
{
    (void)client;
    *data = NULL;
    return TRUE;
}

static int extended_encodings[] = {ENCODING_EXTENDED_KEY, 0};
static rfbProtocolExtension extended_keys = {.newClient = extended_client,
                                             .pseudoEncodings = extended_encodings,
                                             .enablePseudoEncoding = enable_extended,
                                             .handleMessage = extended_message};

/* ---- pointer ---- */

static void pointer_event(int mask, int x, int y, rfbClientPtr client)
{
    struct vnc *vnc = client->screen->screenData;
    struct tick86 *machine = vnc->session->machine;
    unsigned old = vnc->buttons;
    int width = client->screen->width, height = client->screen->height, dz = 0;

    vnc->buttons = (unsigned)mask;
    dz -= (mask & 8) != 0 && (old & 8) == 0; /* away from the user */
    dz += (mask & 16) != 0 && (old & 16) == 0;
    unsigned buttons = (mask & 1 ? 1u : 0) | (mask & 4 ? 2u : 0) | (mask & 2 ? 4u : 0);
    if (vnc->session->is_stopped || width < 2 || height < 2) {
        return;
    }
    x = x < 0 ? 0 : x >= width ? width - 1 : x;
    y = y < 0 ? 0 : y >= height ? height - 1 : y;
    if (tick86_pointer_is_wanted(machine)) {
        tick86_pointer(machine, (unsigned)x * 65535U / (unsigned)(width - 1), (unsigned)y * 65535U / (unsigned)(height - 1), dz,
                       buttons);
    } else {
        tick86_mouse(machine, vnc->has_place ? x - vnc->x : 0, vnc->has_place ? y - vnc->y : 0, dz, buttons);
    }
    vnc->x = x;
    vnc->y = y;
    vnc->has_place = true;
}

/* ---- clients ---- */

static void client_gone(rfbClientPtr client)
{
    struct vnc *vnc = client->screen->screenData;

    vnc->clients--;
    release_keys(vnc);
}

static enum rfbNewClientAction new_client(rfbClientPtr client)
{
    struct vnc *vnc = client->screen->screenData;

    vnc->clients++;
    client->clientGoneHook = client_gone;
    return RFB_CLIENT_ACCEPT;
}

static void input(void *display)
{
    struct vnc *vnc = display;

    rfbProcessEvents(vnc->screen, 0);
}

static void take_size(struct vnc *vnc)
{
    const struct picture *picture = &vnc->frame.picture;

    rfbNewFramebuffer(vnc->screen, (char *)picture->pixels, (int)picture->width, (int)picture->height, 8, 3, 4);
    vnc->screen->paddedWidthInBytes = PICTURE_WIDTH_MAX * (int)sizeof(uint32_t);
    vnc->screen->serverFormat.redShift = 16;
    vnc->screen->serverFormat.greenShift = 8;
    vnc->screen->serverFormat.blueShift = 0;
    rfbMarkRectAsModified(vnc->screen, 0, 0, (int)picture->width, (int)picture->height);
}

static void update(void *display)
{
    struct vnc *vnc = display;

    if (vnc->clients == 0 || !frame_update(&vnc->frame, vnc->session->machine)) {
        return;
    }
    if (vnc->frame.is_resized) {
        take_size(vnc);
        rfbClientIteratorPtr each = rfbGetClientIterator(vnc->screen);
        for (rfbClientPtr client; (client = rfbClientIteratorNext(each)) != NULL;) {
            rfbSetTranslateFunction(client); /* it looks at the server's format */
        }
        rfbReleaseClientIterator(each);
    }
    for (unsigned n = 0; n < vnc->frame.band_count; n++) {
        const struct frame_band *band = &vnc->frame.bands[n];
        rfbMarkRectAsModified(vnc->screen, (int)band->x0, (int)band->y0, (int)band->x1, (int)band->y1);
    }
}

/* ---- opening and closing ---- */

static void close_server(void *display)
{
    struct vnc *vnc = display;

    if (vnc->screen != NULL) {
        rfbShutdownServer(vnc->screen, TRUE);
        rfbUnregisterProtocolExtension(&extended_keys);
        vnc->screen->frameBuffer = NULL; /* ours */
        rfbScreenCleanup(vnc->screen);
    }
    frame_free(&vnc->frame);
    free(vnc);
}

/* HOST:N, with HOST an address (IPv6 in brackets), "localhost" or nothing. */
static bool set_address(struct vnc *vnc, const char *address, struct error *err)
{
    static char host[128]; /* the library keeps a pointer */
    const char *colon = strrchr(address, ':');
    int port = PORT_BASE + atoi(colon + 1);
    size_t length = (size_t)(colon - address);

    if (length >= sizeof host) {
        return error_set(err, "'%s' is no address", address);
    }
    memcpy(host, address, length);
    host[length] = '\0';
    vnc->screen->autoPort = FALSE;
    vnc->screen->port = vnc->screen->ipv6port = 0;
    if (host[0] == '[') {
        host[length - 1] = '\0';
        memmove(host, host + 1, length - 1);
        vnc->screen->listen6Interface = host;
        vnc->screen->ipv6port = port;
        return true;
    }
    const char *number = length == 0 || strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    struct in_addr in;
    if (inet_pton(AF_INET, number, &in) != 1) {
        error_set(err, "VNC cannot listen on '%s': not an address", host);
        return error_hint(err, "use an address of this machine, 0.0.0.0 for all, [::1] for IPv6, or nothing");
    }
    vnc->screen->listenInterface = in.s_addr;
    vnc->screen->port = port;
    return true;
}

static bool start_server(struct vnc *vnc, const struct display_settings *settings, struct error *err)
{
    rfbLogEnable(0);
    frame_update(&vnc->frame, vnc->session->machine);
    vnc->screen = rfbGetScreen(NULL, NULL, (int)vnc->frame.picture.width, (int)vnc->frame.picture.height, 8, 3, 4);
    if (vnc->screen == NULL) {
        return error_set(err, "out of memory for the VNC server");
    }
    vnc->screen->frameBuffer = (char *)vnc->frame.picture.pixels;
    vnc->screen->desktopName = vnc->session->name != NULL ? vnc->session->name : "tick86";
    vnc->screen->screenData = vnc;
    vnc->screen->alwaysShared = TRUE;
    vnc->screen->deferUpdateTime = 0;
    vnc->screen->cursor = NULL; /* the guest draws its own */
    vnc->screen->kbdAddEvent = key_event;
    vnc->screen->ptrAddEvent = pointer_event;
    vnc->screen->newClientHook = new_client;
    take_size(vnc);
    if (settings->vnc_password != NULL) {
        vnc->password_list[0] = (char *)(uintptr_t)settings->vnc_password;
        vnc->screen->authPasswdData = vnc->password_list;
        vnc->screen->passwordCheck = rfbCheckPasswordByList;
    }
    if (!set_address(vnc, settings->vnc_address, err)) {
        return false;
    }
    rfbRegisterProtocolExtension(&extended_keys);
    rfbInitServer(vnc->screen);
    if (vnc->screen->listenSock == RFB_INVALID_SOCKET && vnc->screen->listen6Sock == RFB_INVALID_SOCKET) {
        error_set(err, "VNC cannot listen on '%s': port %d is in use or the address is not this machine's",
                  settings->vnc_address, vnc->screen->port != 0 ? vnc->screen->port : vnc->screen->ipv6port);
        return error_hint(err, "try another display number, such as vnc=:7");
    }
    return true;
}

static void *open(struct session *session, const struct display_settings *settings, struct error *err)
{
    struct vnc *vnc = calloc(1, sizeof *vnc);

    if (vnc == NULL) {
        error_set(err, "out of memory for the VNC server");
        return NULL;
    }
    vnc->session = session;
    if (!frame_init(&vnc->frame, err) || !start_server(vnc, settings, err)) {
        close_server(vnc);
        return NULL;
    }
    return vnc;
}

static const struct display_module offer = {open, input, update, close_server};
MODULE(vnc, &offer);
