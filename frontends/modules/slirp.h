/* slirp.h - what the files of the module "slirp" share: the user network. */
#ifndef FRONTENDS_MODULES_SLIRP_H
#define FRONTENDS_MODULES_SLIRP_H

#include "frontends/host/netdev.h"

#include <slirp/libslirp.h>

enum { SLIRP_TIMERS = 8, SLIRP_RELAYS = 16 };

struct relay;

struct slirp_timer {
    SlirpTimerCb fire;
    void *context;
    int64_t at_ms; /* guest time; INT64_MAX: not set */
    bool is_used;
};

struct user_net {
    struct netdev *dev;
    Slirp *slirp;
    bool has_host_loopback;
    uint64_t refused; /* frames for the host's loopback */
    struct slirp_timer timers[SLIRP_TIMERS];
    struct relay *relays[SLIRP_RELAYS]; /* guestfwd to TCP */
    unsigned relay_count;
    const char *domains[16]; /* dnssearch, ends with NULL */
    /* As the options say, or QEMU's addresses. */
    SlirpConfig config;
};

/* Fills in net->config from the options. False with `err` set. */
bool slirp_read_config(struct user_net *net, const struct net_option *option, struct error *err);

/* "[tcp|udp]:[HOST]:PORT-[GUEST]:PORT"; for removal the part before the "-" is enough. */
bool slirp_forward(struct user_net *net, bool adds, const char *rule, struct error *err);
/* "[tcp]:SERVER:PORT-TARGET": TARGET is tcp:HOST:PORT, unix:PATH or cmd:COMMAND. */
bool slirp_guest_forward(struct user_net *net, const char *rule, struct error *err);

/* Whether the guest must not send there: the host's own loopback, in any of its spellings. */
bool slirp_is_loopback(const uint8_t *frame, size_t size);

/* A local socket from which every connection goes on to a TCP address. */
struct relay *relay_open(const struct net_option *option, const struct net_address *to, struct error *err);
const char *relay_path(const struct relay *relay);
void relay_fill(struct relay *relay, struct net_poll *poll);
void relay_dispatch(struct relay *relay, const struct net_poll *poll, bool has_failed);
void relay_close(struct relay *relay);

#endif
