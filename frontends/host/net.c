/* net.c - cards, networks, captures and option ROMs put together, and the loop's part of them; see net.h, netdev.h. */
#define _GNU_SOURCE /* ppoll */
#include "frontends/host/net.h"
#include "frontends/host/capture.h"
#include "frontends/host/firmware.h"
#include "frontends/host/memory.h"
#include "frontends/host/pacer.h"
#include "frontends/module.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    QUEUE_BYTES = 512 * 1024,
    RECORD_HEADER = 2, /* size of a frame */
    LOOK_NS = 200000,  /* host time after which descriptors are looked at again although the guest sent nothing */
    FLUSH_NS = 500000000
};

struct netdev {
    struct net *net;
    const struct netdev_kind *kind;
    void *state;
    const struct net_option *option;
    struct capture *capture;
    unsigned nic;
    bool is_link_up;
    bool is_blocked; /* the card refused the oldest frame and has not said that it is ready */
    uint64_t dropped;
    size_t head, count; /* bytes in the queue */
    uint8_t queue[QUEUE_BYTES];
};

struct net {
    struct tick86 *machine;
    struct netdev *devs[TICK86_NICS]; /* by card; NULL: no card */
    const struct net_options *options;
    struct tick86_blob roms[TICK86_NICS];
    struct net_poll poll;
    bool is_machine_running; /* a frame on its way to us comes from inside tick86_run */
    bool has_sent;           /* the guest sent something since the descriptors were looked at */
    bool wants_exchange;     /* asked the machine to come back */
    bool is_live;
    uint64_t looked_ns, flushed_ns;
};

/* ---- descriptors ---- */

int net_poll_add(struct net_poll *poll, int fd, short events)
{
    if (poll->count == poll->capacity) {
        size_t capacity = poll->capacity * 2 + 16;
        struct pollfd *fds = realloc(poll->fds, capacity * sizeof *fds);
        if (fds == NULL) {
            return -1;
        }
        poll->fds = fds;
        poll->capacity = capacity;
    }
    poll->fds[poll->count] = (struct pollfd){fd, events, 0};
    return (int)poll->count++;
}

short net_poll_result(const struct net_poll *poll, int index)
{
    return index >= 0 && (size_t)index < poll->count ? poll->fds[index].revents : 0;
}

/* ---- the queue ---- */

static void queue_put(struct netdev *dev, const uint8_t *bytes, size_t size)
{
    size_t at = (dev->head + dev->count) % QUEUE_BYTES;
    size_t piece = size < QUEUE_BYTES - at ? size : QUEUE_BYTES - at;

    memcpy(&dev->queue[at], bytes, piece);
    memcpy(dev->queue, bytes + piece, size - piece);
    dev->count += size;
}

static void queue_peek(const struct netdev *dev, size_t offset, uint8_t *bytes, size_t size)
{
    size_t at = (dev->head + offset) % QUEUE_BYTES;
    size_t piece = size < QUEUE_BYTES - at ? size : QUEUE_BYTES - at;

    memcpy(bytes, &dev->queue[at], piece);
    memcpy(bytes + piece, dev->queue, size - piece);
}

bool netdev_has_room(const struct netdev *dev)
{
    return QUEUE_BYTES - dev->count >= PACKET_MAX + RECORD_HEADER;
}

/* The machine comes back soon, unless the card is not ready anyway. */
static void ask_for_exchange(struct netdev *dev)
{
    struct net *net = dev->net;

    if (dev->count != 0 && !dev->is_blocked && !net->wants_exchange && net->machine != NULL) {
        net->wants_exchange = true;
        tick86_request_stop(net->machine);
    }
}

bool netdev_receive(struct netdev *dev, const uint8_t *frame, size_t size)
{
    uint8_t header[RECORD_HEADER] = {(uint8_t)size, (uint8_t)(size >> 8)};

    if (size == 0 || size > PACKET_MAX) {
        return true; /* no card takes it */
    }
    if (QUEUE_BYTES - dev->count < size + RECORD_HEADER) {
        dev->dropped++;
        return false;
    }
    queue_put(dev, header, sizeof header);
    queue_put(dev, frame, size);
    return true;
}

uint64_t netdev_now_ns(const struct netdev *dev)
{
    return dev->net->machine != NULL ? tick86_now_ns(dev->net->machine) : 0;
}

/* True when a frame was handed over. */
static bool deliver(struct netdev *dev)
{
    static uint8_t frame[PACKET_MAX];
    bool has_delivered = false;

    while (dev->count != 0 && !dev->is_blocked) {
        uint8_t header[RECORD_HEADER];
        queue_peek(dev, 0, header, sizeof header);
        size_t size = (size_t)(header[0] | header[1] << 8);
        queue_peek(dev, RECORD_HEADER, frame, size);
        if (!tick86_net_input(dev->net->machine, dev->nic, frame, size)) {
            dev->is_blocked = true;
            break;
        }
        dev->head = (dev->head + RECORD_HEADER + size) % QUEUE_BYTES;
        dev->count -= RECORD_HEADER + size;
        has_delivered = true;
    }
    return has_delivered;
}

/* ---- what the machine calls ---- */

static void take_frame(void *context, const uint8_t *frame, size_t size)
{
    struct netdev *dev = context;

    dev->net->has_sent = true;
    if (dev->kind != NULL && dev->is_link_up) {
        dev->kind->send(dev->state, frame, size);
        ask_for_exchange(dev); /* it may have answered already */
    }
}

static void card_is_ready(void *context)
{
    struct netdev *dev = context;

    dev->is_blocked = false;
    ask_for_exchange(dev);
}

static void tap(void *context, uint64_t time_ns, bool is_from_guest, const uint8_t *frame, size_t size)
{
    capture_frame(context, time_ns, is_from_guest, frame, size);
}

/* ---- opening ---- */

static const struct netdev_kind *find_kind(const char *name, struct error *err)
{
    if (strcmp(name, "user") == 0) {
        return module_load("slirp", err);
    }
    return strcmp(name, "stream") == 0   ? &netdev_stream
           : strcmp(name, "dgram") == 0  ? &netdev_dgram
           : strcmp(name, "socket") == 0 ? &netdev_socket
                                         : &netdev_none;
}

static bool open_rom(struct net *net, unsigned n, const char *const *dirs, unsigned dir_count, struct error *err)
{
    static const char *const names[] = {
        [NIC_E1000] = "pxe-e1000.rom", [NIC_RTL8139] = "pxe-rtl8139.rom", [NIC_RTL8139C] = "pxe-rtl8139.rom",
        [NIC_NE2K_PCI] = "pxe-ne2k_pci.rom"};
    const struct nic_option *nic = &net->options->nics[n];
    struct error ignored = {0};

    if (nic->romfile != NULL) {
        return nic->romfile[0] == '\0' || host_file_map(&net->roms[n], nic->romfile, "option ROM", err);
    }
    if (nic->model != NIC_NE2K_ISA) {
        /* Without the package the card is there all the same, and does not boot. */
        const char *const wanted[] = {names[nic->model], NULL};
        firmware_map(&net->roms[n], wanted, dirs, dir_count, &ignored);
    }
    return true;
}

static bool open_dev(struct net *net, unsigned n, bool is_offline, struct error *err)
{
    const struct nic_option *nic = &net->options->nics[n];
    struct netdev *dev = calloc(1, sizeof *dev);

    if (dev == NULL) {
        return error_set(err, "out of memory for a network");
    }
    net->devs[n] = dev;
    dev->net = net;
    dev->nic = n;
    dev->option = nic->net;
    dev->is_link_up = true;
    if (nic->net == NULL) {
        return true;
    }
    const char *capture = net_setting(nic->net, "capture");
    if (capture != NULL) {
        dev->capture = capture_open(capture, nic->net->id != NULL ? nic->net->id : nic->net->kind, nic->mac, err);
        if (dev->capture == NULL) {
            return false;
        }
    }
    if (is_offline) {
        return true;
    }
    const struct netdev_kind *kind = find_kind(nic->net->kind, err);
    if (kind == NULL) {
        return false;
    }
    dev->state = kind->open(dev, nic->net, err);
    dev->kind = dev->state != NULL ? kind : NULL;
    return dev->state != NULL;
}

struct net *net_open(const struct net_options *options, struct tick86_config *config, const char *const *rom_dirs,
                     unsigned rom_dir_count, bool is_offline, struct error *err)
{
    struct net *net = calloc(1, sizeof *net);

    if (net == NULL) {
        error_set(err, "out of memory for networks");
        return NULL;
    }
    net->options = options;
    for (unsigned n = 0; n < options->nic_count; n++) {
        const struct nic_option *nic = &options->nics[n];
        if (!open_rom(net, n, rom_dirs, rom_dir_count, err) || !open_dev(net, n, is_offline, err)) {
            net_close(net);
            return NULL;
        }
        struct netdev *dev = net->devs[n];
        config->nics[n] = (struct tick86_nic){.model = nic->model,
                                              .slot = nic->slot,
                                              .iobase = nic->iobase,
                                              .irq = nic->irq,
                                              .rom = net->roms[n],
                                              .sink = {dev, take_frame, card_is_ready},
                                              .tap = dev->capture != NULL ? tap : NULL,
                                              .tap_context = dev->capture};
        memcpy(config->nics[n].mac, nic->mac, sizeof nic->mac);
    }
    return net;
}

void net_attach(struct net *net, struct tick86 *machine)
{
    net->machine = machine;
    for (unsigned n = 0; n < TICK86_NICS; n++) {
        if (net->devs[n] != NULL && net->devs[n]->option == NULL) {
            tick86_net_link(machine, n, false); /* a card without a cable */
        }
    }
}

void net_close(struct net *net)
{
    if (net == NULL) {
        return;
    }
    for (unsigned n = 0; n < TICK86_NICS; n++) {
        struct netdev *dev = net->devs[n];
        if (dev != NULL) {
            if (dev->kind != NULL) {
                dev->kind->close(dev->state);
            }
            if (!capture_close(dev->capture)) {
                fprintf(stderr, "tick86: cannot write capture '%s' whole\n", net_setting(dev->option, "capture"));
            }
            free(dev);
        }
        host_file_unmap(&net->roms[n]);
    }
    free(net->poll.fds);
    free(net);
}

/* ---- the loop ---- */

static void fill(struct net *net)
{
    net->poll.count = 0;
    net->poll.timeout_ms = UINT32_MAX;
    for (unsigned n = 0; n < TICK86_NICS; n++) {
        struct netdev *dev = net->devs[n];
        if (dev != NULL && dev->kind != NULL) {
            dev->kind->fill(dev->state, &net->poll);
        }
    }
    net->is_live = net->poll.count != 0;
}

static void dispatch(struct net *net, bool has_failed)
{
    for (unsigned n = 0; n < TICK86_NICS; n++) {
        struct netdev *dev = net->devs[n];
        if (dev != NULL && dev->kind != NULL) {
            dev->kind->dispatch(dev->state, &net->poll, has_failed);
        }
    }
    net->has_sent = false;
}

static bool deliver_all(struct net *net, bool retries)
{
    bool has_delivered = false;

    for (unsigned n = 0; n < TICK86_NICS; n++) {
        if (net->devs[n] != NULL) {
            net->devs[n]->is_blocked &= !retries;
            has_delivered |= deliver(net->devs[n]);
        }
    }
    return has_delivered;
}

static void flush_captures(struct net *net, uint64_t host_ns)
{
    if (host_ns - net->flushed_ns < FLUSH_NS) {
        return;
    }
    net->flushed_ns = host_ns;
    for (unsigned n = 0; n < TICK86_NICS; n++) {
        if (net->devs[n] != NULL && net->devs[n]->capture != NULL) {
            capture_flush(net->devs[n]->capture);
        }
    }
}

bool net_exchange(struct net *net, uint64_t host_ns)
{
    net->wants_exchange = false;
    bool has_delivered = deliver_all(net, false);

    if (net->has_sent || host_ns - net->looked_ns >= LOOK_NS) {
        net->looked_ns = host_ns;
        fill(net);
        bool has_failed = net->poll.count != 0 && poll(net->poll.fds, (nfds_t)net->poll.count, 0) < 0;
        dispatch(net, has_failed);
        has_delivered |= deliver_all(net, true); /* not every card tells when it is ready */
        flush_captures(net, host_ns);
    }
    return has_delivered;
}

bool net_took_stop(struct net *net)
{
    bool was_wanted = net->wants_exchange;

    net->wants_exchange = false;
    return was_wanted;
}

bool net_is_live(const struct net *net)
{
    return net->is_live;
}

void net_wait(struct net *net, struct pollfd *fds, nfds_t count, uint64_t ns)
{
    fill(net);
    size_t own = net->poll.count;
    for (nfds_t n = 0; n < count; n++) {
        net_poll_add(&net->poll, fds[n].fd, fds[n].events);
    }
    uint64_t limit = net->poll.timeout_ms < UINT32_MAX ? (uint64_t)net->poll.timeout_ms * 1000000 : UINT64_MAX;
    limit = limit < ns ? limit : ns;
    struct timespec time = {(time_t)(limit / 1000000000), (long)(limit % 1000000000)};
    bool has_failed = ppoll(net->poll.fds, (nfds_t)net->poll.count, &time, NULL) < 0;
    net->poll.count = own;
    net->looked_ns = host_now_ns();
    dispatch(net, has_failed);
    flush_captures(net, net->looked_ns);
}

/* ---- the monitor ---- */

void net_describe(struct net *net, net_put_fn *put, void *context)
{
    static const char *const models[] = {
        [NIC_E1000] = "e1000", [NIC_RTL8139] = "rtl8139", [NIC_RTL8139C] = "rtl8139c", [NIC_NE2K_PCI] = "ne2k_pci",
        [NIC_NE2K_ISA] = "ne2k_isa"};
    char line[256];

    for (unsigned n = 0; n < net->options->nic_count; n++) {
        const struct netdev *dev = net->devs[n];
        const uint8_t *mac = net->options->nics[n].mac;
        snprintf(line, sizeof line, "nic%u: model=%s,macaddr=%02x:%02x:%02x:%02x:%02x:%02x%s\n", n,
                 models[net->options->nics[n].model], mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
                 dev->option == NULL ? ", no network" : dev->is_link_up ? "" : ", link down");
        put(context, line);
        if (dev->option != NULL) {
            snprintf(line, sizeof line, " \\ %s: %s, %zu bytes waiting, %llu frames dropped\n",
                     dev->option->id != NULL ? dev->option->id : "(no id)", dev->option->kind, dev->count,
                     (unsigned long long)dev->dropped);
            put(context, line);
        }
        if (dev->kind != NULL) {
            dev->kind->describe(dev->state, put, context);
        }
    }
}

static struct netdev *find_dev(struct net *net, const char *id)
{
    char card[16];

    for (unsigned n = 0; n < net->options->nic_count; n++) {
        const struct nic_option *nic = &net->options->nics[n];
        snprintf(card, sizeof card, "nic%u", n);
        if (strcmp(id, card) == 0 || (nic->id != NULL && strcmp(id, nic->id) == 0) ||
            (nic->net != NULL && nic->net->id != NULL && strcmp(id, nic->net->id) == 0)) {
            return net->devs[n];
        }
    }
    return NULL;
}

bool net_forward(struct net *net, const char *id, bool adds, const char *rule, struct error *err)
{
    struct netdev *dev = id != NULL ? find_dev(net, id) : NULL;

    for (unsigned n = 0; id == NULL && dev == NULL && n < TICK86_NICS; n++) {
        if (net->devs[n] != NULL && net->devs[n]->kind != NULL && net->devs[n]->kind->forward != NULL) {
            dev = net->devs[n];
        }
    }
    if (dev == NULL || dev->kind == NULL || dev->kind->forward == NULL) {
        error_set(err, "there is no user network%s%s", id != NULL ? " " : "", id != NULL ? id : "");
        return error_hint(err, "info network lists the networks");
    }
    return dev->kind->forward(dev->state, adds, rule, err);
}

bool net_set_link(struct net *net, const char *id, bool is_up, struct error *err)
{
    struct netdev *dev = find_dev(net, id);

    if (dev == NULL) {
        error_set(err, "there is no network card or network '%s'", id);
        return error_hint(err, "info network lists them: nic0 is the first card");
    }
    dev->is_link_up = is_up;
    tick86_net_link(net->machine, dev->nic, is_up);
    return true;
}
