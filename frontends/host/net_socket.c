/* net_socket.c - see net_socket.h. */
#define _DEFAULT_SOURCE
#include "frontends/host/net_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

bool net_resolve(const struct net_option *option, const struct net_address *address, int type, bool is_passive,
                 union net_sockaddr *result, socklen_t *size, struct error *err)
{
    struct addrinfo hints, *found = NULL;

    memset(result, 0, sizeof *result);
    if (address->is_unix) {
        struct sockaddr_un name;
        memset(&name, 0, sizeof name);
        name.sun_family = AF_UNIX;
        if (strlen(address->path) >= sizeof name.sun_path) {
            return error_set(err, "%s %s: socket name too long for this host: '%s'", option->option, option->kind, address->path);
        }
        strcpy(name.sun_path, address->path);
        memcpy(result, &name, sizeof name);
        *size = sizeof name;
        return true;
    }
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = type;
    hints.ai_family = AF_UNSPEC;
    hints.ai_flags = is_passive ? AI_PASSIVE : 0;
    int status = getaddrinfo(address->host[0] != '\0' ? address->host : is_passive ? "0.0.0.0" : "127.0.0.1", address->port,
                             &hints, &found);
    if (status != 0) {
        error_set(err, "%s %s: cannot find '%s:%s': %s", option->option, option->kind, address->host, address->port,
                  gai_strerror(status));
        return error_hint(err, "check the host's name and the port");
    }
    memcpy(result, found->ai_addr, found->ai_addrlen);
    *size = (socklen_t)found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

int net_new_socket(int family, int type)
{
    int fd = socket(family, type, 0);
    int on = 1;

    if (fd >= 0) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        if (family != AF_UNIX) {
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        }
    }
    return fd;
}

bool net_socket_error(const struct net_option *option, const char *verb, const struct net_address *address, struct error *err)
{
    error_set(err, "%s %s: cannot %s %s%s%s: %s", option->option, option->kind, verb,
              address->is_unix ? address->path : address->host, address->is_unix ? "" : ":", address->port, strerror(errno));
    return error_hint(err, "check the address, and that the other side runs");
}
