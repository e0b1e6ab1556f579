/* net_stream.c - frames over a byte stream (TCP or a local socket): each with its size before it, 32 bits, big-endian, as
 * QEMU's -netdev stream and -netdev socket do.
 *
 * A server takes one peer at a time, and another when that has gone. A peer that does not read makes frames from the guest
 * vanish, as on a switch; one that sends faster than the guest takes is not read until there is room. */
#define _DEFAULT_SOURCE
#include "frontends/host/net_socket.h"
#include "frontends/host/pacer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADER = 4, OUTPUT_BYTES = 256 * 1024, INPUT_BYTES = 64 * 1024, CONNECT_MS = 10000 };

struct stream {
    struct netdev *dev;
    const struct net_option *option;
    struct net_address address;
    union net_sockaddr peer;
    socklen_t peer_size;
    bool is_server;
    uint64_t reconnect_ns; /* 0: never */
    uint64_t try_at_ns;    /* host time of the next attempt */
    int listener, fd;
    bool is_connecting;
    int listener_index, index; /* in the last fill */
    uint64_t lost;
    size_t input_count;
    size_t output_head, output_count;
    uint8_t input[INPUT_BYTES];
    uint8_t output[OUTPUT_BYTES];
};

static void hang_up(struct stream *stream)
{
    if (stream->fd >= 0) {
        close(stream->fd);
    }
    stream->fd = -1;
    stream->is_connecting = false;
    stream->input_count = stream->output_count = stream->output_head = 0;
    stream->try_at_ns = host_now_ns() + stream->reconnect_ns;
}

static void tune(int fd)
{
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* fails for local sockets */
}

/* Starts to connect; completion is seen by poll. */
static bool start_connecting(struct stream *stream)
{
    stream->fd = net_new_socket(stream->peer.any.sa_family, SOCK_STREAM);
    if (stream->fd < 0) {
        return false;
    }
    tune(stream->fd);
    if (connect(stream->fd, &stream->peer.any, stream->peer_size) == 0) {
        return true;
    }
    stream->is_connecting = errno == EINPROGRESS;
    return stream->is_connecting;
}

static bool finish_connecting(struct stream *stream)
{
    int status = 0;
    socklen_t size = sizeof status;

    stream->is_connecting = false;
    getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &status, &size);
    errno = status;
    return status == 0;
}

static bool open_client(struct stream *stream, struct error *err)
{
    bool is_open = start_connecting(stream);

    if (is_open && stream->is_connecting) {
        struct pollfd waiting = {stream->fd, POLLOUT, 0};
        errno = ETIMEDOUT;
        is_open = poll(&waiting, 1, CONNECT_MS) > 0 && finish_connecting(stream);
    }
    if (!is_open && stream->reconnect_ns == 0) {
        return net_socket_error(stream->option, "connect to", &stream->address, err);
    }
    if (!is_open) {
        hang_up(stream);
    }
    return true;
}

static bool open_server(struct stream *stream, struct error *err)
{
    stream->listener = net_new_socket(stream->peer.any.sa_family, SOCK_STREAM);
    if (stream->address.is_unix) {
        unlink(stream->address.path);
    }
    if (stream->listener < 0 || bind(stream->listener, &stream->peer.any, stream->peer_size) != 0 ||
        listen(stream->listener, 1) != 0) {
        return net_socket_error(stream->option, "listen at", &stream->address, err);
    }
    return true;
}

static void close_stream(void *state)
{
    struct stream *stream = state;

    hang_up(stream);
    if (stream->listener >= 0) {
        close(stream->listener);
        if (stream->address.is_unix) {
            unlink(stream->address.path);
        }
    }
    free(stream);
}

static struct stream *new_stream(struct netdev *dev, const struct net_option *option, struct error *err)
{
    struct stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL) {
        error_set(err, "out of memory for a network");
        return NULL;
    }
    stream->dev = dev;
    stream->option = option;
    stream->listener = stream->fd = -1;
    return stream;
}

static void *finish_open(struct stream *stream, struct error *err)
{
    if (!net_resolve(stream->option, &stream->address, SOCK_STREAM, stream->is_server, &stream->peer, &stream->peer_size, err) ||
        !(stream->is_server ? open_server(stream, err) : open_client(stream, err))) {
        stream->address.is_unix = false; /* not ours to remove */
        close_stream(stream);
        return NULL;
    }
    return stream;
}

static void *open_stream(struct netdev *dev, const struct net_option *option, struct error *err)
{
    struct stream *stream = new_stream(dev, option, err);
    const char *reconnect = net_setting(option, "reconnect");
    bool is_given = false;

    if (stream == NULL) {
        return NULL;
    }
    if (!net_setting_flag(option, "server", false, &stream->is_server, err) ||
        !net_read_address(option, "addr.", &stream->address, &is_given, err)) {
        close_stream(stream);
        return NULL;
    }
    char *end = NULL;
    unsigned long seconds = reconnect != NULL ? strtoul(reconnect, &end, 10) : 0;
    if (!is_given || (reconnect != NULL && (end == reconnect || *end != '\0' || seconds > 86400))) {
        error_set(err, is_given ? "%s stream reconnect=%s: not a number of seconds" : "%s stream: it has no address",
                  option->option, reconnect);
        error_hint(err, "-netdev stream,id=net0,server=on,addr.type=inet,addr.host=127.0.0.1,addr.port=5555");
        close_stream(stream);
        return NULL;
    }
    stream->reconnect_ns = seconds * UINT64_C(1000000000);
    return finish_open(stream, err);
}

/* -netdev socket,listen= and connect=. */
void *net_open_socket_stream(struct netdev *dev, const struct net_option *option, const char *key, struct error *err)
{
    struct stream *stream = new_stream(dev, option, err);

    if (stream == NULL) {
        return NULL;
    }
    stream->is_server = strcmp(key, "listen") == 0;
    if (!net_split_address(option, key, net_setting(option, key), &stream->address, err)) {
        close_stream(stream);
        return NULL;
    }
    return finish_open(stream, err);
}

/* ---- output ---- */

static void flush_output(struct stream *stream)
{
    while (stream->output_count != 0 && stream->fd >= 0 && !stream->is_connecting) {
        size_t piece = OUTPUT_BYTES - stream->output_head;
        piece = piece < stream->output_count ? piece : stream->output_count;
        ssize_t done = send(stream->fd, &stream->output[stream->output_head], piece, MSG_NOSIGNAL);
        if (done < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
                hang_up(stream);
            }
            return;
        }
        stream->output_head = (stream->output_head + (size_t)done) % OUTPUT_BYTES;
        stream->output_count -= (size_t)done;
    }
}

static void put_output(struct stream *stream, const uint8_t *bytes, size_t size)
{
    for (size_t n = 0; n < size;) {
        size_t at = (stream->output_head + stream->output_count) % OUTPUT_BYTES;
        size_t piece = OUTPUT_BYTES - at < size - n ? OUTPUT_BYTES - at : size - n;
        memcpy(&stream->output[at], bytes + n, piece);
        stream->output_count += piece;
        n += piece;
    }
}

static void send_frame(void *state, const uint8_t *frame, size_t size)
{
    struct stream *stream = state;
    uint8_t header[HEADER] = {(uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size};

    if (stream->fd < 0 || stream->output_count + size + HEADER > OUTPUT_BYTES) {
        stream->lost++;
        return;
    }
    put_output(stream, header, sizeof header);
    put_output(stream, frame, size);
    flush_output(stream);
}

/* ---- input ---- */

/* Hands over whole frames. Stops at one that has no room. False when the peer talks nonsense. */
static bool take_frames(struct stream *stream)
{
    size_t at = 0;
    bool is_good = true;

    while (stream->input_count - at >= HEADER && netdev_has_room(stream->dev)) {
        const uint8_t *head = &stream->input[at];
        size_t size = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
        if (size > INPUT_BYTES - HEADER) {
            is_good = false;
            break;
        }
        if (stream->input_count - at - HEADER < size) {
            break;
        }
        netdev_receive(stream->dev, head + HEADER, size);
        at += HEADER + size;
    }
    stream->input_count -= at;
    memmove(stream->input, stream->input + at, stream->input_count);
    return is_good;
}

static void read_input(struct stream *stream)
{
    while (stream->fd >= 0 && stream->input_count < INPUT_BYTES) {
        ssize_t done = recv(stream->fd, stream->input + stream->input_count, INPUT_BYTES - stream->input_count, 0);
        if (done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
            break;
        }
        stream->input_count += done > 0 ? (size_t)done : 0;
        if (done <= 0 || !take_frames(stream)) {
            hang_up(stream);
        } else if (!netdev_has_room(stream->dev)) {
            break;
        }
    }
}

static void fill(void *state, struct net_poll *poll)
{
    struct stream *stream = state;

    stream->listener_index = stream->index = -1;
    if (stream->fd < 0 && stream->is_server) {
        stream->listener_index = net_poll_add(poll, stream->listener, POLLIN);
    } else if (stream->fd < 0 && stream->reconnect_ns != 0) {
        uint64_t now = host_now_ns();
        uint32_t wait_ms = stream->try_at_ns > now ? (uint32_t)((stream->try_at_ns - now) / 1000000 + 1) : 0;
        poll->timeout_ms = wait_ms < poll->timeout_ms ? wait_ms : poll->timeout_ms;
        if (wait_ms == 0 && !start_connecting(stream)) {
            hang_up(stream);
        }
    }
    if (stream->fd >= 0) {
        bool has_room = netdev_has_room(stream->dev);
        if (has_room && stream->input_count != 0 && !take_frames(stream)) {
            hang_up(stream);
            return;
        }
        short events = (short)((netdev_has_room(stream->dev) && !stream->is_connecting ? POLLIN : 0) |
                               (stream->output_count != 0 || stream->is_connecting ? POLLOUT : 0));
        stream->index = net_poll_add(poll, stream->fd, events);
    }
}

static void dispatch(void *state, const struct net_poll *poll, bool has_failed)
{
    struct stream *stream = state;
    short happened = has_failed ? 0 : net_poll_result(poll, stream->index);

    if (!has_failed && net_poll_result(poll, stream->listener_index) != 0) {
        stream->fd = accept(stream->listener, NULL, NULL);
        if (stream->fd >= 0) {
            fcntl(stream->fd, F_SETFL, fcntl(stream->fd, F_GETFL) | O_NONBLOCK);
            fcntl(stream->fd, F_SETFD, FD_CLOEXEC);
            tune(stream->fd);
        }
        return;
    }
    if (happened != 0 && stream->is_connecting && !finish_connecting(stream)) {
        hang_up(stream);
        return;
    }
    if ((happened & POLLOUT) != 0) {
        flush_output(stream);
    }
    if ((happened & (POLLIN | POLLHUP | POLLERR)) != 0) {
        read_input(stream);
    }
}

static void describe(void *state, net_put_fn *put, void *context)
{
    const struct stream *stream = state;
    char line[700];

    snprintf(line, sizeof line, "    %s %s%s%s, %s, %llu frames lost\n", stream->is_server ? "listens at" : "connects to",
             stream->address.is_unix ? stream->address.path : stream->address.host, stream->address.is_unix ? "" : ":",
             stream->address.port, stream->fd < 0 || stream->is_connecting ? "not connected" : "connected",
             (unsigned long long)stream->lost);
    put(context, line);
}

const struct netdev_kind netdev_stream = {
    .open = open_stream, .send = send_frame, .fill = fill, .dispatch = dispatch, .describe = describe, .close = close_stream};
