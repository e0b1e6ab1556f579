/* slirp.c - the user network: libslirp, which is a router, a DHCP, DNS and TFTP server, and ends the guest's connections in
 * sockets of this process (libslirp 4.7, libslirp.h). QEMU's -netdev user.
 *
 * Unlike QEMU's, the guest reaches no service on the host's loopback addresses unless hostloopback=on or a guestfwd opens a
 * way: what listens on 127.0.0.1 does so because it trusts the programs of this host. libslirp itself refuses the router's
 * address (10.0.2.2); frames for 127.0.0.0/8, ::1 and their other spellings are dropped here.
 *
 * Its timers run in guest time. It is a module because libslirp drags in glib. */
#define _DEFAULT_SOURCE
#include "frontends/modules/slirp.h"
#include "frontends/module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NS_PER_MS = 1000000, SLIRP_FRAME_MIN = 14 };

/* ---- what libslirp calls ---- */

static ssize_t send_packet(const void *bytes, size_t size, void *context)
{
    struct user_net *net = context;

    netdev_receive(net->dev, bytes, size); /* a full queue loses it, and TCP sends it again */
    return (ssize_t)size;
}

static void guest_error(const char *text, void *context)
{
    (void)text;
    (void)context;
}

static int64_t clock_get_ns(void *context)
{
    const struct user_net *net = context;

    return (int64_t)netdev_now_ns(net->dev);
}

static void *timer_new(SlirpTimerCb fire, void *timer_context, void *context)
{
    struct user_net *net = context;

    for (unsigned n = 0; n < SLIRP_TIMERS; n++) {
        if (!net->timers[n].is_used) {
            net->timers[n] = (struct slirp_timer){fire, timer_context, INT64_MAX, true};
            return &net->timers[n];
        }
    }
    return NULL;
}

static void timer_free(void *timer, void *context)
{
    (void)context;
    if (timer != NULL) {
        ((struct slirp_timer *)timer)->is_used = false;
    }
}

static void timer_mod(void *timer, int64_t at_ms, void *context)
{
    (void)context;
    if (timer != NULL) {
        ((struct slirp_timer *)timer)->at_ms = at_ms;
    }
}

static void ignore_fd(int fd, void *context)
{
    (void)fd;
    (void)context;
}

static void notify(void *context)
{
    (void)context; /* descriptors are looked at after everything that the guest sends */
}

static const SlirpCb callbacks = {.send_packet = send_packet,
                                  .guest_error = guest_error,
                                  .clock_get_ns = clock_get_ns,
                                  .timer_new = timer_new,
                                  .timer_free = timer_free,
                                  .timer_mod = timer_mod,
                                  .register_poll_fd = ignore_fd,
                                  .unregister_poll_fd = ignore_fd,
                                  .notify = notify};

/* ---- waiting ---- */

static int add_poll(int fd, int events, void *context)
{
    short wanted = (short)(((events & SLIRP_POLL_IN) != 0 ? POLLIN : 0) | ((events & SLIRP_POLL_OUT) != 0 ? POLLOUT : 0) |
                           ((events & SLIRP_POLL_PRI) != 0 ? POLLPRI : 0));

    return net_poll_add(context, fd, wanted);
}

static int get_events(int index, void *context)
{
    short happened = net_poll_result(context, index);

    return ((happened & POLLIN) != 0 ? SLIRP_POLL_IN : 0) | ((happened & POLLOUT) != 0 ? SLIRP_POLL_OUT : 0) |
           ((happened & POLLPRI) != 0 ? SLIRP_POLL_PRI : 0) | ((happened & POLLERR) != 0 ? SLIRP_POLL_ERR : 0) |
           ((happened & POLLHUP) != 0 ? SLIRP_POLL_HUP : 0);
}

static void fill(void *state, struct net_poll *poll)
{
    struct user_net *net = state;

    slirp_pollfds_fill(net->slirp, &poll->timeout_ms, add_poll, poll);
    for (unsigned n = 0; n < net->relay_count; n++) {
        relay_fill(net->relays[n], poll);
    }
}

static void dispatch(void *state, const struct net_poll *poll, bool has_failed)
{
    struct user_net *net = state;
    int64_t now_ms = clock_get_ns(net) / NS_PER_MS;
    struct net_poll view = *poll; /* libslirp takes no pointer to const */

    for (unsigned n = 0; n < SLIRP_TIMERS; n++) {
        struct slirp_timer *timer = &net->timers[n];
        if (timer->is_used && timer->at_ms <= now_ms) {
            timer->at_ms = INT64_MAX;
            timer->fire(timer->context);
        }
    }
    slirp_pollfds_poll(net->slirp, has_failed, get_events, &view);
    for (unsigned n = 0; n < net->relay_count; n++) {
        relay_dispatch(net->relays[n], poll, has_failed);
    }
}

/* ---- frames of the guest ---- */

static void send_frame(void *state, const uint8_t *frame, size_t size)
{
    struct user_net *net = state;

    if (size < SLIRP_FRAME_MIN) {
        return;
    }
    if (!net->has_host_loopback && slirp_is_loopback(frame, size)) {
        net->refused++;
        return;
    }
    slirp_input(net->slirp, frame, (int)size);
}

/* ---- opening ---- */

static void close_net(void *state)
{
    struct user_net *net = state;

    if (net->slirp != NULL) {
        slirp_cleanup(net->slirp);
    }
    for (unsigned n = 0; n < net->relay_count; n++) {
        relay_close(net->relays[n]);
    }
    free(net);
}

static bool add_forwards(struct user_net *net, const struct net_option *option, struct error *err)
{
    for (unsigned n = 0; n < option->setting_count; n++) {
        const struct net_setting *setting = &option->settings[n];
        if (strcmp(setting->key, "hostfwd") == 0 && !slirp_forward(net, true, setting->value, err)) {
            return false;
        }
        if (strcmp(setting->key, "guestfwd") == 0 && !slirp_guest_forward(net, setting->value, err)) {
            return false;
        }
    }
    return true;
}

static void *open_net(struct netdev *dev, const struct net_option *option, struct error *err)
{
    struct user_net *net = calloc(1, sizeof *net);

    if (net == NULL) {
        error_set(err, "out of memory for the user network");
        return NULL;
    }
    net->dev = dev;
    if (!slirp_read_config(net, option, err)) {
        close_net(net);
        return NULL;
    }
    net->slirp = slirp_new(&net->config, &callbacks, net);
    if (net->slirp == NULL) {
        error_set(err, "cannot set up the user network");
        error_hint(err, "check net, host, dns and dhcpstart of %s user", option->option);
    }
    if (net->slirp == NULL || !add_forwards(net, option, err)) {
        close_net(net);
        return NULL;
    }
    return net;
}

static void describe(void *state, net_put_fn *put, void *context)
{
    struct user_net *net = state;
    char *text = slirp_connection_info(net->slirp);
    char line[160];

    put(context, text);
    free(text); /* g_free is free, since glib 2.46 */
    snprintf(line, sizeof line, "    host loopback %s, %llu frames for it refused; libslirp %s\n",
             net->has_host_loopback ? "open" : "closed", (unsigned long long)net->refused, slirp_version_string());
    put(context, line);
}

static bool forward(void *state, bool adds, const char *rule, struct error *err)
{
    return slirp_forward(state, adds, rule, err);
}

static const struct netdev_kind offer = {.open = open_net,
                                         .send = send_frame,
                                         .fill = fill,
                                         .dispatch = dispatch,
                                         .describe = describe,
                                         .forward = forward,
                                         .close = close_net};
MODULE(slirp, &offer);
