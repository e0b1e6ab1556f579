/* netdev.h - a network that a guest's card is plugged into, as its implementations and the program's loop see it.
 *
 * Frames from the guest go to the implementation at once. Frames for the guest wait in a bounded queue until the loop hands
 * them to the machine, between two calls of tick86_run: that, and nothing else here, is what a guest can notice. */
#ifndef FRONTENDS_HOST_NETDEV_H
#define FRONTENDS_HOST_NETDEV_H

#include "frontends/net_options.h"
#include "machine/tick86.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Descriptors to wait for. */
struct net_poll {
    struct pollfd *fds;
    size_t count, capacity;
    uint32_t timeout_ms; /* lowered by whoever has something to do earlier */
};
/* Adds one and returns its index, or -1 when out of memory. */
int net_poll_add(struct net_poll *poll, int fd, short events);
/* What happened at that index; 0 for -1. */
short net_poll_result(const struct net_poll *poll, int index);

typedef void net_put_fn(void *context, const char *text);

struct netdev;

/* An implementation. `state` is what open returned. */
struct netdev_kind {
    void *(*open)(struct netdev *dev, const struct net_option *option, struct error *err);
    void (*send)(void *state, const uint8_t *frame, size_t size); /* from the guest; called while it runs */
    void (*fill)(void *state, struct net_poll *poll);
    void (*dispatch)(void *state, const struct net_poll *poll, bool has_failed);
    void (*describe)(void *state, net_put_fn *put, void *context);
    /* Port forwards; NULL where there are none. `rule` as after hostfwd=, for removal up to the host's port. */
    bool (*forward)(void *state, bool adds, const char *rule, struct error *err);
    void (*close)(void *state);
};
extern const struct netdev_kind netdev_stream, netdev_dgram, netdev_socket, netdev_none;
/* The user network is a module (frontends/module.h) named "slirp" that offers a struct netdev_kind. */

/* For implementations: a frame for the guest. False when the queue has no room: nothing more should be read, or it is lost. */
bool netdev_receive(struct netdev *dev, const uint8_t *frame, size_t size);
/* Whether a frame of any size would fit. */
bool netdev_has_room(const struct netdev *dev);
/* Guest time. */
uint64_t netdev_now_ns(const struct netdev *dev);

/* Socket addresses of settings such as addr.type=inet, addr.host, addr.port or addr.type=unix, addr.path; `prefix` is "addr.".
 * *is_given is false when none of them is there. */
struct net_address {
    bool is_unix;
    char host[256], port[32]; /* host "" is any */
    char path[256];
};
bool net_read_address(const struct net_option *option, const char *prefix, struct net_address *address, bool *is_given,
                      struct error *err);
/* "HOST:PORT"; an empty host is any. */
bool net_split_address(const struct net_option *option, const char *key, const char *text, struct net_address *address,
                       struct error *err);

#endif
