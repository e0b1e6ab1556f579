/* net.h - all networks of the machine: opened from the options, served by the program's loop. */
#ifndef FRONTENDS_HOST_NET_H
#define FRONTENDS_HOST_NET_H

#include "frontends/host/netdev.h"

struct net;

/* Opens the networks, captures and option ROMs and fills in config->nics. `is_offline`: the networks themselves stay closed,
 * as in a replay. NULL with `err` set. */
struct net *net_open(const struct net_options *options, struct tick86_config *config, const char *const *rom_dirs,
                     unsigned rom_dir_count, bool is_offline, struct error *err);
void net_close(struct net *net);
/* The machine that was built from the configuration. */
void net_attach(struct net *net, struct tick86 *machine);

/* Between two runs: what arrived goes to the guest. Looks at the host's descriptors when the guest sent something, or
 * `host_ns` has gone on long enough. True when the guest got a frame. */
bool net_exchange(struct net *net, uint64_t host_ns);
/* Whether tick86_run came back for us; forgets it. */
bool net_took_stop(struct net *net);
/* Whether something outside may answer: then an idle guest should wait in real time. */
bool net_is_live(const struct net *net);
/* Waits for `ns`, for the descriptors given or for a network, whichever is first. What arrives stays in the queues. */
void net_wait(struct net *net, struct pollfd *fds, nfds_t count, uint64_t ns);

/* Monitor: "info network"; hostfwd_add, hostfwd_remove ([netdev id] rule); set_link (card or network id). */
void net_describe(struct net *net, net_put_fn *put, void *context);
bool net_forward(struct net *net, const char *id, bool adds, const char *rule, struct error *err);
bool net_set_link(struct net *net, const char *id, bool is_up, struct error *err);

#endif
