/* slirp_forward.c - hostfwd and guestfwd: ways into the guest and out of it, in QEMU's notation. */
#define _DEFAULT_SOURCE
#include "frontends/modules/slirp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

/* ---- hostfwd ---- */

struct end {
    struct in_addr v4;
    struct in6_addr v6;
    bool is_v6;
    bool is_empty;
    uint16_t port;
};

struct rule {
    bool is_udp;
    struct end host, guest;
};

static bool bad_rule(const char *rule, struct error *err)
{
    error_set(err, "hostfwd '%s' cannot be understood", rule);
    return error_hint(err, "write tcp:127.0.0.1:2222-:22, that is PROTOCOL:HOST:PORT-GUEST:PORT");
}

/* "ADDRESS:PORT" of `length` characters; the address may be empty or in brackets. */
static bool read_end(const char *text, size_t length, bool may_be_zero, struct end *end)
{
    char copy[128], *rest;

    memset(end, 0, sizeof *end);
    if (length >= sizeof copy) {
        return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *colon = strrchr(copy, ':');
    if (colon == NULL) {
        return false;
    }
    *colon = '\0';
    unsigned long port = strtoul(colon + 1, &rest, 10);
    if (rest == colon + 1 || *rest != '\0' || port > 65535 || (port == 0 && !may_be_zero)) {
        return false;
    }
    end->port = (uint16_t)port;
    end->is_empty = copy[0] == '\0';
    if (copy[0] == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        end->is_v6 = true;
        return inet_pton(AF_INET6, copy + 1, &end->v6) == 1;
    }
    if (strcmp(copy, "localhost") == 0) {
        strcpy(copy, "127.0.0.1");
    }
    return end->is_empty || inet_pton(AF_INET, copy, &end->v4) == 1;
}

static bool read_rule(const char *text, bool has_guest, struct rule *rule)
{
    const char *at = text;

    rule->is_udp = strncmp(at, "udp:", 4) == 0;
    at += rule->is_udp || strncmp(at, "tcp:", 4) == 0 ? 4 : at[0] == ':' ? 1 : 0;
    const char *dash = strchr(at, '-');
    size_t length = dash != NULL ? (size_t)(dash - at) : strlen(at);
    if (at == text || !read_end(at, length, true, &rule->host)) {
        return false;
    }
    return !has_guest || (dash != NULL && read_end(dash + 1, strlen(dash + 1), false, &rule->guest) &&
                          (rule->guest.is_empty || rule->guest.is_v6 == rule->host.is_v6));
}

static bool forward4(struct user_net *net, bool adds, const struct rule *rule)
{
    struct in_addr guest = rule->guest.is_empty ? net->config.vdhcp_start : rule->guest.v4;

    return (adds ? slirp_add_hostfwd(net->slirp, rule->is_udp, rule->host.v4, rule->host.port, guest, rule->guest.port)
                 : slirp_remove_hostfwd(net->slirp, rule->is_udp, rule->host.v4, rule->host.port)) == 0;
}

static bool forward6(struct user_net *net, bool adds, const struct rule *rule)
{
    struct sockaddr_in6 host, guest;
    int flags = (rule->is_udp ? SLIRP_HOSTFWD_UDP : 0) | SLIRP_HOSTFWD_V6ONLY;

    memset(&host, 0, sizeof host);
    host.sin6_family = AF_INET6;
    host.sin6_addr = rule->host.v6;
    host.sin6_port = htons(rule->host.port);
    guest = host;
    guest.sin6_port = htons(rule->guest.port);
    guest.sin6_addr = rule->guest.v6; /* ::, unless given: the address that the guest has made for itself */
    return (adds ? slirp_add_hostxfwd(net->slirp, (const struct sockaddr *)(const void *)&host, sizeof host,
                                      (const struct sockaddr *)(const void *)&guest, sizeof guest, flags)
                 : slirp_remove_hostxfwd(net->slirp, (const struct sockaddr *)(const void *)&host, sizeof host, flags)) == 0;
}

bool slirp_forward(struct user_net *net, bool adds, const char *text, struct error *err)
{
    struct rule rule = {0};

    if (!read_rule(text, adds, &rule)) {
        return bad_rule(text, err);
    }
    errno = 0;
    if (!(rule.host.is_v6 ? forward6(net, adds, &rule) : forward4(net, adds, &rule))) {
        error_set(err, "hostfwd '%s': cannot %s: %s", text, adds ? "listen" : "remove",
                  errno != 0 ? strerror(errno) : adds ? "refused" : "there is no such rule");
        return error_hint(err, adds ? "take another port of the host; those below 1024 need privileges"
                                    : "info network lists the rules");
    }
    return true;
}

/* ---- guestfwd ---- */

static bool bad_target(const char *rule, struct error *err)
{
    error_set(err, "guestfwd '%s' cannot be understood", rule);
    return error_hint(err, "write tcp:10.0.2.100:80-tcp:127.0.0.1:8080; the target may also be unix:PATH or cmd:COMMAND");
}

bool slirp_guest_forward(struct user_net *net, const char *rule, struct error *err)
{
    const char *at = strncmp(rule, "tcp:", 4) == 0 ? rule + 4 : rule[0] == ':' ? rule + 1 : rule;
    const char *dash = strchr(at, '-');
    struct end server;
    struct net_address to;
    struct net_option option = {.option = "-netdev", .kind = "user"};
    int status = -1;

    if (at == rule || dash == NULL || !read_end(at, (size_t)(dash - at), false, &server) || server.is_v6 || server.is_empty) {
        return bad_target(rule, err);
    }
    const char *target = dash + 1;
    if (strncmp(target, "cmd:", 4) == 0 && target[4] != '\0') {
        status = slirp_add_exec(net->slirp, target + 4, &server.v4, server.port);
    } else if (strncmp(target, "unix:", 5) == 0 && target[5] != '\0' && strlen(target + 5) < 100) {
        status = slirp_add_unix(net->slirp, target + 5, &server.v4, server.port);
    } else if (strncmp(target, "tcp:", 4) == 0) {
        if (!net_split_address(&option, "guestfwd", target + 4, &to, err)) {
            return false;
        }
        struct relay *relay = net->relay_count < SLIRP_RELAYS ? relay_open(&option, &to, err) : NULL;
        if (relay == NULL) {
            return net->relay_count < SLIRP_RELAYS ? false : error_set(err, "more than %d guestfwd to tcp", SLIRP_RELAYS);
        }
        net->relays[net->relay_count++] = relay;
        status = slirp_add_unix(net->slirp, relay_path(relay), &server.v4, server.port);
    } else {
        return bad_target(rule, err);
    }
    if (status != 0) {
        error_set(err, "guestfwd '%s': the server must be a free address of the guest's network", rule);
        return error_hint(err, "such as 10.0.2.100, but neither the router's nor the name server's");
    }
    return true;
}
