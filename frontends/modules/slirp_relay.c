/* slirp_relay.c - guestfwd to a TCP address: libslirp connects each connection of the guest to a local socket of ours, and we
 * connect that to the address and copy both ways.
 *
 * The socket lies in a folder of its own that only this user may enter, and goes with the program. */
#define _DEFAULT_SOURCE
#include "frontends/host/net_socket.h"
#include "frontends/modules/slirp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECTIONS = 64, BUFFER = 64 * 1024 };

/* Bytes on their way from one descriptor to another. */
struct pipe {
    int from, to;
    int from_index, to_index;
    bool is_at_end, is_closed; /* `from` ended; `to` was told */
    size_t head, count;
    uint8_t *bytes;
};

struct connection {
    bool is_used;
    int guest, server;
    struct pipe out, in;
};

struct relay {
    char folder[80];
    char path[100];
    union net_sockaddr to;
    socklen_t to_size;
    int listener, index;
    struct connection connections[CONNECTIONS];
};

static void set_modes(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

struct relay *relay_open(const struct net_option *option, const struct net_address *to, struct error *err)
{
    const char *tmp = getenv("TMPDIR");
    struct relay *relay = calloc(1, sizeof *relay);
    struct sockaddr_un name;

    if (relay == NULL) {
        error_set(err, "out of memory for guestfwd");
        return NULL;
    }
    relay->listener = -1;
    if (!net_resolve(option, to, SOCK_STREAM, false, &relay->to, &relay->to_size, err)) {
        free(relay);
        return NULL;
    }
    snprintf(relay->folder, sizeof relay->folder, "%s/tick86-XXXXXX", tmp != NULL && strlen(tmp) < 50 ? tmp : "/tmp");
    if (mkdtemp(relay->folder) == NULL) {
        error_set(err, "cannot make a folder for guestfwd in '%s': %s", relay->folder, strerror(errno));
        free(relay);
        return NULL;
    }
    snprintf(relay->path, sizeof relay->path, "%s/guestfwd", relay->folder);
    memset(&name, 0, sizeof name);
    name.sun_family = AF_UNIX;
    strcpy(name.sun_path, relay->path);
    relay->listener = net_new_socket(AF_UNIX, SOCK_STREAM);
    if (relay->listener < 0 || bind(relay->listener, (const struct sockaddr *)(const void *)&name, sizeof name) != 0 ||
        listen(relay->listener, 16) != 0) {
        error_set(err, "cannot listen at '%s': %s", relay->path, strerror(errno));
        relay_close(relay);
        return NULL;
    }
    return relay;
}

const char *relay_path(const struct relay *relay)
{
    return relay->path;
}

static void hang_up(struct connection *connection)
{
    close(connection->guest);
    close(connection->server);
    free(connection->out.bytes);
    free(connection->in.bytes);
    memset(connection, 0, sizeof *connection);
}

void relay_close(struct relay *relay)
{
    if (relay == NULL) {
        return;
    }
    for (unsigned n = 0; n < CONNECTIONS; n++) {
        if (relay->connections[n].is_used) {
            hang_up(&relay->connections[n]);
        }
    }
    if (relay->listener >= 0) {
        close(relay->listener);
    }
    unlink(relay->path);
    rmdir(relay->folder);
    free(relay);
}

static void accept_one(struct relay *relay)
{
    int guest = accept(relay->listener, NULL, NULL);
    struct connection *free_one = NULL;

    for (unsigned n = 0; n < CONNECTIONS && free_one == NULL; n++) {
        free_one = relay->connections[n].is_used ? NULL : &relay->connections[n];
    }
    if (guest < 0) {
        return;
    }
    int server = free_one != NULL ? net_new_socket(relay->to.any.sa_family, SOCK_STREAM) : -1;
    uint8_t *out = malloc(BUFFER), *in = malloc(BUFFER);
    if (server < 0 || out == NULL || in == NULL ||
        (connect(server, &relay->to.any, relay->to_size) != 0 && errno != EINPROGRESS)) {
        close(guest);
        if (server >= 0) {
            close(server);
        }
        free(out);
        free(in);
        return;
    }
    set_modes(guest);
    *free_one = (struct connection){.is_used = true, .guest = guest, .server = server};
    free_one->out = (struct pipe){.from = guest, .to = server, .from_index = -1, .to_index = -1, .bytes = out};
    free_one->in = (struct pipe){.from = server, .to = guest, .from_index = -1, .to_index = -1, .bytes = in};
}

/* ---- copying ---- */

static void pipe_fill(struct pipe *pipe, struct net_poll *poll)
{
    pipe->from_index = !pipe->is_at_end && pipe->count == 0 ? net_poll_add(poll, pipe->from, POLLIN) : -1;
    pipe->to_index = pipe->count != 0 ? net_poll_add(poll, pipe->to, POLLOUT) : -1;
}

static bool has_no_more(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == EINPROGRESS || errno == ENOTCONN;
}

/* False when one of the ends is gone. */
static bool pipe_move(struct pipe *pipe, const struct net_poll *poll)
{
    if (net_poll_result(poll, pipe->from_index) != 0) {
        ssize_t size = recv(pipe->from, pipe->bytes, BUFFER, 0);
        if (size < 0 && !has_no_more()) {
            return false;
        }
        pipe->is_at_end = size == 0;
        pipe->head = 0;
        pipe->count = size > 0 ? (size_t)size : 0;
    }
    while (pipe->count != 0) {
        ssize_t size = send(pipe->to, pipe->bytes + pipe->head, pipe->count, MSG_NOSIGNAL);
        if (size < 0) {
            return has_no_more();
        }
        pipe->head += (size_t)size;
        pipe->count -= (size_t)size;
    }
    if (pipe->is_at_end && !pipe->is_closed) {
        pipe->is_closed = true;
        shutdown(pipe->to, SHUT_WR);
    }
    return true;
}

void relay_fill(struct relay *relay, struct net_poll *poll)
{
    relay->index = net_poll_add(poll, relay->listener, POLLIN);
    for (unsigned n = 0; n < CONNECTIONS; n++) {
        struct connection *connection = &relay->connections[n];
        if (connection->is_used) {
            pipe_fill(&connection->out, poll);
            pipe_fill(&connection->in, poll);
        }
    }
}

void relay_dispatch(struct relay *relay, const struct net_poll *poll, bool has_failed)
{
    if (has_failed) {
        return;
    }
    for (unsigned n = 0; n < CONNECTIONS; n++) {
        struct connection *connection = &relay->connections[n];
        if (connection->is_used &&
            (!pipe_move(&connection->out, poll) || !pipe_move(&connection->in, poll) ||
             (connection->out.is_closed && connection->in.is_closed))) {
            hang_up(connection);
        }
    }
    if (net_poll_result(poll, relay->index) != 0) {
        accept_one(relay);
    }
}
