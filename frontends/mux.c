/* mux.c - a serial port and the monitor sharing one stream. The escape keys are QEMU's (qemu-system-i386(1), "Keys in
 * the character backend multiplexer"): Ctrl-A and then h help, x exit, s flush disks, t timestamps, b break, c switch
 * between serial port and monitor, Ctrl-A to send Ctrl-A. */
#define _DEFAULT_SOURCE
#include "frontends/mux.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CTRL_A = 1 };

void mux_init(struct mux *mux, struct chardev *dev, struct session *session, unsigned port, struct monitor *monitor)
{
    memset(mux, 0, sizeof *mux);
    mux->dev = dev;
    mux->session = session;
    mux->port = port;
    mux->monitor = monitor;
    mux->is_line_start = true;
}

static void say(struct mux *mux, const char *text)
{
    chardev_write(mux->dev, text, strlen(text));
}

static void help(struct mux *mux)
{
    say(mux, "\r\nCtrl-A h  this help\r\n"
             "Ctrl-A x  end tick86\r\n"
             "Ctrl-A s  flush disks to the host\r\n"
             "Ctrl-A t  timestamps on and off\r\n"
             "Ctrl-A b  send a break\r\n"
             "Ctrl-A c  switch between the serial port and the monitor\r\n"
             "Ctrl-A Ctrl-A  send Ctrl-A\r\n");
}

static void to_serial(struct mux *mux, uint8_t byte)
{
    if (mux->pending_count < sizeof mux->pending) {
        mux->pending[mux->pending_count++] = byte;
    }
}

static void escape_key(struct mux *mux, uint8_t key)
{
    switch (key) {
    case 'x':
        say(mux, "\r\ntick86: ended by Ctrl-A x\r\n");
        session_quit(mux->session, 0);
        break;
    case 's':
        session_flush_disks(mux->session);
        break;
    case 't':
        mux->has_timestamps = !mux->has_timestamps;
        mux->is_line_start = true;
        break;
    case 'b':
        tick86_serial_break(mux->session->machine, mux->port);
        break;
    case 'c':
        mux->is_at_monitor = !mux->is_at_monitor;
        if (mux->is_at_monitor) {
            say(mux, "\r\n");
            monitor_greet(mux->monitor);
        } else {
            say(mux, "\r\n");
        }
        break;
    case CTRL_A:
        to_serial(mux, CTRL_A);
        break;
    default:
        help(mux);
        break;
    }
}

void mux_poll(struct mux *mux)
{
    uint8_t bytes[256];

    if (mux->monitor != NULL) {
        monitor_resume(mux->monitor);
    }
    /* No more than the serial port will take: what is left stays in the stream. */
    size_t room = sizeof mux->pending - mux->pending_count;
    size_t size = chardev_read(mux->dev, bytes, room < sizeof bytes ? room : sizeof bytes);

    for (size_t n = 0; n < size; n++) {
        if (mux->monitor == NULL) {
            to_serial(mux, bytes[n]);
        } else if (mux->has_escape) {
            mux->has_escape = false;
            escape_key(mux, bytes[n]);
        } else if (bytes[n] == CTRL_A) {
            mux->has_escape = true;
        } else if (mux->is_at_monitor) {
            monitor_input(mux->monitor, (const char *)&bytes[n], 1);
        } else {
            to_serial(mux, bytes[n]);
        }
    }
    if (mux->pending_count != 0) {
        size_t taken = tick86_serial_input(mux->session->machine, mux->port, mux->pending, mux->pending_count);
        memmove(mux->pending, mux->pending + taken, mux->pending_count - taken);
        mux->pending_count -= taken;
    }
    chardev_flush(mux->dev);
}

void mux_put_serial(struct mux *mux, uint8_t byte)
{
    if (mux->has_timestamps && mux->is_line_start) {
        char stamp[32];
        uint64_t ms = tick86_now_ns(mux->session->machine) / 1000000;
        int length = snprintf(stamp, sizeof stamp, "[%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64 "] ",
                              ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
        chardev_write(mux->dev, stamp, (size_t)length);
    }
    mux->is_line_start = byte == '\n';
    chardev_write(mux->dev, &byte, 1);
}

void mux_put_monitor(void *context, const char *bytes, size_t size)
{
    struct mux *mux = context;

    chardev_write(mux->dev, bytes, size);
}
