/* net_dgram.c - a frame a datagram, over UDP (also multicast) or local sockets, as QEMU's -netdev dgram and -netdev socket do;
 * and the network that goes nowhere.
 *
 * Frames that the guest does not take in time are lost in the host's socket, which is what datagrams are like. */
#define _DEFAULT_SOURCE
#include "frontends/host/net_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct dgram {
    struct netdev *dev;
    const struct net_option *option;
    struct net_address local, remote;
    union net_sockaddr peer;
    socklen_t peer_size;
    bool has_peer, unlinks;
    int fd, index;
    uint64_t lost;
};

static void close_dgram(void *state)
{
    struct dgram *dgram = state;

    if (dgram->fd >= 0) {
        close(dgram->fd);
    }
    if (dgram->unlinks) {
        unlink(dgram->local.path);
    }
    free(dgram);
}

static struct dgram *new_dgram(struct netdev *dev, const struct net_option *option, struct error *err)
{
    struct dgram *dgram = calloc(1, sizeof *dgram);

    if (dgram == NULL) {
        error_set(err, "out of memory for a network");
        return NULL;
    }
    dgram->dev = dev;
    dgram->option = option;
    dgram->fd = -1;
    return dgram;
}

static bool is_multicast(const union net_sockaddr *address)
{
    struct sockaddr_in name;

    memcpy(&name, address, sizeof name);
    return name.sin_family == AF_INET && (ntohl(name.sin_addr.s_addr) & UINT32_C(0xf0000000)) == UINT32_C(0xe0000000);
}

/* Every member binds to the group's port, and hears the others of this host. */
static bool join_group(struct dgram *dgram, struct error *err)
{
    struct sockaddr_in group, any;
    struct ip_mreq request;
    unsigned char loop = 1;

    memcpy(&group, &dgram->peer, sizeof group);
    memset(&request, 0, sizeof request);
    request.imr_multiaddr = group.sin_addr;
    request.imr_interface.s_addr = htonl(INADDR_ANY);
    if (dgram->local.host[0] != '\0') {
        union net_sockaddr local;
        socklen_t size;
        struct net_address address = dgram->local;
        strcpy(address.port, "0");
        if (!net_resolve(dgram->option, &address, SOCK_DGRAM, true, &local, &size, err)) {
            return false;
        }
        memcpy(&any, &local, sizeof any);
        request.imr_interface = any.sin_addr;
    }
    dgram->fd = net_new_socket(AF_INET, SOCK_DGRAM);
    if (dgram->fd < 0 || bind(dgram->fd, &dgram->peer.any, dgram->peer_size) != 0 ||
        setsockopt(dgram->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) != 0 ||
        setsockopt(dgram->fd, IPPROTO_IP, IP_MULTICAST_LOOP, &loop, sizeof loop) != 0 ||
        setsockopt(dgram->fd, IPPROTO_IP, IP_MULTICAST_IF, &request.imr_interface, sizeof request.imr_interface) != 0) {
        return net_socket_error(dgram->option, "join the group", &dgram->remote, err);
    }
    return true;
}

static bool finish_open(struct dgram *dgram, bool has_local, struct error *err)
{
    union net_sockaddr local;
    socklen_t size = 0;

    if (dgram->has_peer &&
        !net_resolve(dgram->option, &dgram->remote, SOCK_DGRAM, false, &dgram->peer, &dgram->peer_size, err)) {
        return false;
    }
    if (dgram->has_peer && is_multicast(&dgram->peer)) {
        return join_group(dgram, err);
    }
    if (!has_local) {
        error_set(err, "%s %s: it has no local address", dgram->option->option, dgram->option->kind);
        return error_hint(err, "-netdev dgram,id=net0,local.type=inet,local.host=127.0.0.1,local.port=5555,remote.type=inet,"
                               "remote.host=127.0.0.1,remote.port=5556");
    }
    if (!net_resolve(dgram->option, &dgram->local, SOCK_DGRAM, true, &local, &size, err)) {
        return false;
    }
    if (dgram->has_peer && dgram->peer.any.sa_family != local.any.sa_family) {
        return error_set(err, "%s %s: local and remote address are not of one kind", dgram->option->option, dgram->option->kind);
    }
    dgram->fd = net_new_socket(local.any.sa_family, SOCK_DGRAM);
    if (dgram->local.is_unix) {
        unlink(dgram->local.path);
    }
    if (dgram->fd < 0 || bind(dgram->fd, &local.any, size) != 0) {
        return net_socket_error(dgram->option, "receive at", &dgram->local, err);
    }
    dgram->unlinks = dgram->local.is_unix;
    return true;
}

static void *open_dgram(struct netdev *dev, const struct net_option *option, struct error *err)
{
    struct dgram *dgram = new_dgram(dev, option, err);
    bool has_local = false;

    if (dgram != NULL && (!net_read_address(option, "local.", &dgram->local, &has_local, err) ||
                          !net_read_address(option, "remote.", &dgram->remote, &dgram->has_peer, err) ||
                          !finish_open(dgram, has_local, err))) {
        close_dgram(dgram);
        return NULL;
    }
    return dgram;
}

static void send_frame(void *state, const uint8_t *frame, size_t size)
{
    struct dgram *dgram = state;

    if (!dgram->has_peer || sendto(dgram->fd, frame, size, MSG_NOSIGNAL, &dgram->peer.any, dgram->peer_size) < 0) {
        dgram->lost++;
    }
}

static void fill(void *state, struct net_poll *poll)
{
    struct dgram *dgram = state;

    dgram->index = net_poll_add(poll, dgram->fd, netdev_has_room(dgram->dev) ? POLLIN : 0);
}

static void dispatch(void *state, const struct net_poll *poll, bool has_failed)
{
    struct dgram *dgram = state;
    uint8_t frame[PACKET_MAX];

    if (has_failed || net_poll_result(poll, dgram->index) == 0) {
        return;
    }
    while (netdev_has_room(dgram->dev)) {
        ssize_t size = recv(dgram->fd, frame, sizeof frame, 0);
        if (size < 0) {
            break; /* also what an earlier send to a closed port left */
        }
        netdev_receive(dgram->dev, frame, (size_t)size);
    }
}

static void describe(void *state, net_put_fn *put, void *context)
{
    const struct dgram *dgram = state;
    char line[1200];

    snprintf(line, sizeof line, "    at %s%s%s, to %s%s%s, %llu frames lost\n",
             dgram->local.is_unix ? dgram->local.path : dgram->local.host, dgram->local.is_unix ? "" : ":", dgram->local.port,
             dgram->remote.is_unix ? dgram->remote.path : dgram->remote.host, dgram->remote.is_unix ? "" : ":",
             dgram->remote.port, (unsigned long long)dgram->lost);
    put(context, line);
}

const struct netdev_kind netdev_dgram = {
    .open = open_dgram, .send = send_frame, .fill = fill, .dispatch = dispatch, .describe = describe, .close = close_dgram};

/* ---- QEMU's older -netdev socket ---- */

/* What it opened decides the functions: a stream has a kind of its own. */
struct either {
    const struct netdev_kind *kind;
    void *state;
};

static void *open_udp(struct netdev *dev, const struct net_option *option, const char *udp, const char *mcast,
                      struct error *err)
{
    const char *local = net_setting(option, "localaddr");
    struct dgram *dgram = new_dgram(dev, option, err);
    bool is_good = dgram != NULL &&
                   net_split_address(option, udp != NULL ? "udp" : "mcast", udp != NULL ? udp : mcast, &dgram->remote, err);

    if (is_good && local != NULL && udp != NULL) {
        is_good = net_split_address(option, "localaddr", local, &dgram->local, err);
    } else if (is_good && local != NULL) { /* of a group: the interface */
        is_good = strlen(local) < sizeof dgram->local.host;
        if (is_good) {
            strcpy(dgram->local.host, local);
        } else {
            error_set(err, "%s socket localaddr=%s: too long", option->option, local);
        }
    }
    if (is_good) {
        dgram->has_peer = true;
        is_good = finish_open(dgram, local != NULL, err);
    }
    if (!is_good && dgram != NULL) {
        close_dgram(dgram);
    }
    return is_good ? dgram : NULL;
}

static void *open_socket(struct netdev *dev, const struct net_option *option, struct error *err)
{
    const char *listen_at = net_setting(option, "listen"), *connect_to = net_setting(option, "connect");
    const char *udp = net_setting(option, "udp"), *mcast = net_setting(option, "mcast");
    unsigned ways = (listen_at != NULL ? 1u : 0) + (connect_to != NULL) + (udp != NULL) + (mcast != NULL);
    struct either *either = calloc(1, sizeof *either);

    if (either == NULL || ways != 1) {
        error_set(err, "%s socket needs one of listen, connect, udp and mcast", option->option);
        error_hint(err, "-netdev socket,id=net0,listen=127.0.0.1:5555");
        free(either);
        return NULL;
    }
    either->kind = udp != NULL || mcast != NULL ? &netdev_dgram : &netdev_stream;
    either->state = either->kind == &netdev_dgram
                        ? open_udp(dev, option, udp, mcast, err)
                        : net_open_socket_stream(dev, option, listen_at != NULL ? "listen" : "connect", err);
    if (either->state == NULL) {
        free(either);
        return NULL;
    }
    return either;
}

static void either_send(void *state, const uint8_t *frame, size_t size)
{
    struct either *either = state;

    either->kind->send(either->state, frame, size);
}

static void either_fill(void *state, struct net_poll *poll)
{
    struct either *either = state;

    either->kind->fill(either->state, poll);
}

static void either_dispatch(void *state, const struct net_poll *poll, bool has_failed)
{
    struct either *either = state;

    either->kind->dispatch(either->state, poll, has_failed);
}

static void either_describe(void *state, net_put_fn *put, void *context)
{
    struct either *either = state;

    either->kind->describe(either->state, put, context);
}

static void either_close(void *state)
{
    struct either *either = state;

    either->kind->close(either->state);
    free(either);
}

const struct netdev_kind netdev_socket = {.open = open_socket,
                                          .send = either_send,
                                          .fill = either_fill,
                                          .dispatch = either_dispatch,
                                          .describe = either_describe,
                                          .close = either_close};

/* ---- nowhere ---- */

static void *open_none(struct netdev *dev, const struct net_option *option, struct error *err)
{
    (void)option;
    (void)err;
    return dev; /* not NULL; nothing to keep */
}

static void none_send(void *state, const uint8_t *frame, size_t size)
{
    (void)state;
    (void)frame;
    (void)size;
}

static void none_fill(void *state, struct net_poll *poll)
{
    (void)state;
    (void)poll;
}

static void none_dispatch(void *state, const struct net_poll *poll, bool has_failed)
{
    (void)state;
    (void)poll;
    (void)has_failed;
}

static void none_describe(void *state, net_put_fn *put, void *context)
{
    (void)state;
    (void)put;
    (void)context;
}

static void none_close(void *state)
{
    (void)state;
}

const struct netdev_kind netdev_none = {.open = open_none,
                                        .send = none_send,
                                        .fill = none_fill,
                                        .dispatch = none_dispatch,
                                        .describe = none_describe,
                                        .close = none_close};
