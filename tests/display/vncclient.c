/* vncclient.c - a VNC viewer for tests, with libvncclient: the protocol's other side by somebody else.
 *
 * vncclient PORT PASSWORD COMMAND... - "-" is no password. Commands: wait MS; key KEYSYM (hexadecimal) press and let go; down, up KEYSYM;
 * scancode CODE (hexadecimal, set 1, by QEMU's extended key event); text ASCII; pointer X Y MASK; size prints the frame's size; dump FILE.ppm;
 * same FILE.ppm MS waits until the frame is that picture. Status 0 when all went well. */
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE 200809L
#include <rfb/rfbclient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *password;

static char *give_password(rfbClient *client)
{
    (void)client;
    return strdup(password);
}

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void fail(const char *what)
{
    fprintf(stderr, "vncclient: %s\n", what);
    exit(1);
}

/* Takes what comes for so long. */
static void serve(rfbClient *client, double ms)
{
    double end = now_ms() + ms;

    do {
        int ready = WaitForMessage(client, 5000);
        if (ready < 0 || (ready > 0 && !HandleRFBServerMessage(client))) {
            fail("the server is gone");
        }
    } while (now_ms() < end);
}

static uint8_t *to_ppm(rfbClient *client, size_t *size)
{
    size_t pixels = (size_t)client->width * (size_t)client->height;
    uint8_t *bytes = malloc(64 + 3 * pixels);
    const uint32_t *from = (const uint32_t *)(const void *)client->frameBuffer;

    *size = (size_t)sprintf((char *)bytes, "P6\n%d %d\n255\n", client->width, client->height);
    for (size_t n = 0; n < pixels; n++) {
        bytes[(*size)++] = (uint8_t)(from[n] >> client->format.redShift);
        bytes[(*size)++] = (uint8_t)(from[n] >> client->format.greenShift);
        bytes[(*size)++] = (uint8_t)(from[n] >> client->format.blueShift);
    }
    return bytes;
}

static void dump(rfbClient *client, const char *path)
{
    size_t size;
    uint8_t *bytes = to_ppm(client, &size);
    FILE *file = fopen(path, "wb");

    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        fail("cannot write the dump");
    }
    free(bytes);
}

static void wait_same(rfbClient *client, const char *path, double ms)
{
    double end = now_ms() + ms;
    FILE *file = fopen(path, "rb");
    uint8_t *wanted = malloc(64 << 20);
    size_t wanted_size = file != NULL ? fread(wanted, 1, 64 << 20, file) : 0;

    for (;;) {
        size_t size;
        uint8_t *bytes = to_ppm(client, &size);
        int is_same = size == wanted_size && memcmp(bytes, wanted, size) == 0;
        free(bytes);
        if (is_same) {
            break;
        }
        if (now_ms() > end) {
            fail("the frame is another picture");
        }
        serve(client, 20);
    }
    free(wanted);
}

static void press(rfbClient *client, uint32_t keysym)
{
    SendKeyEvent(client, keysym, TRUE);
    serve(client, 40);
    SendKeyEvent(client, keysym, FALSE);
    serve(client, 40);
}

int main(int argc, char **argv)
{
    rfbClient *client = rfbGetClient(8, 3, 4);

    if (argc < 3) {
        fail("usage: vncclient PORT PASSWORD COMMAND...");
    }
    rfbEnableClientLogging = FALSE;
    password = argv[2];
    client->GetPassword = give_password;
    client->canHandleNewFBSize = TRUE;
    client->serverHost = strdup("127.0.0.1");
    client->serverPort = atoi(argv[1]);
    client->appData.encodingsString = "zlib hextile raw";
    if (!rfbInitClient(client, NULL, NULL)) {
        fail("no connection");
    }
    serve(client, 200); /* the server answers what it knows */
    for (int n = 3; n < argc; n++) {
        const char *what = argv[n], *first = n + 1 < argc ? argv[n + 1] : "";
        uint32_t number = (uint32_t)strtoul(first, NULL, 16);
        n++;
        if (strcmp(what, "wait") == 0) {
            serve(client, atof(first));
        } else if (strcmp(what, "key") == 0) {
            press(client, number);
        } else if (strcmp(what, "down") == 0 || strcmp(what, "up") == 0) {
            SendKeyEvent(client, number, what[0] == 'd');
            serve(client, 40);
        } else if (strcmp(what, "scancode") == 0) {
            /* The server has said so, but libvncserver's list of messages, which comes later, does not have it. */
            client->supportedMessages.client2server[rfbQemuEvent / 8] |= 1 << rfbQemuEvent % 8;
            if (!SendExtendedKeyEvent(client, 0, number, TRUE)) {
                fail("the server does not know extended key events");
            }
            serve(client, 40);
            SendExtendedKeyEvent(client, 0, number, FALSE);
            serve(client, 40);
        } else if (strcmp(what, "text") == 0) {
            for (const char *at = first; *at != '\0'; at++) {
                press(client, (unsigned char)*at);
            }
        } else if (strcmp(what, "pointer") == 0 && n + 2 < argc) {
            SendPointerEvent(client, atoi(first), atoi(argv[n + 1]), atoi(argv[n + 2]));
            serve(client, 60);
            n += 2;
        } else if (strcmp(what, "size") == 0) {
            n--;
            printf("%dx%d\n", client->width, client->height);
        } else if (strcmp(what, "name") == 0) {
            n--;
            printf("%s\n", client->desktopName);
        } else if (strcmp(what, "dump") == 0) {
            dump(client, first);
        } else if (strcmp(what, "same") == 0 && n + 1 < argc) {
            wait_same(client, first, atof(argv[n + 1]));
            n++;
        } else {
            fail("what?");
        }
    }
    rfbClientCleanup(client);
    return 0;
}
