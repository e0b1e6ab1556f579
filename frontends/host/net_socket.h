/* net_socket.h - sockets for addresses, shared by the stream and datagram networks. */
#ifndef FRONTENDS_HOST_NET_SOCKET_H
#define FRONTENDS_HOST_NET_SOCKET_H

#include "frontends/host/netdev.h"

#include <sys/socket.h>

union net_sockaddr {
    struct sockaddr any;
    struct sockaddr_storage storage;
};

/* Looks up an address. `is_passive`: to listen or receive at. False with `err` set. */
bool net_resolve(const struct net_option *option, const struct net_address *address, int type, bool is_passive,
                 union net_sockaddr *result, socklen_t *size, struct error *err);
/* A socket that does not block and is not inherited; -1. */
int net_new_socket(int family, int type);
bool net_socket_error(const struct net_option *option, const char *verb, const struct net_address *address, struct error *err);

/* The stream of -netdev socket,listen= or connect=, a state for netdev_stream. */
void *net_open_socket_stream(struct netdev *dev, const struct net_option *option, const char *key, struct error *err);

#endif
