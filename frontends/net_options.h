/* net_options.h - what the command line says about networks and their cards: -nic, -netdev, -net, and network cards of -device. */
#ifndef FRONTENDS_NET_OPTIONS_H
#define FRONTENDS_NET_OPTIONS_H

#include "machine/tick86.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NET_SETTINGS = 48, NET_TEXT = 32768, NET_FILTERS = 8 };

struct net_setting {
    const char *key, *value;
};

/* One network; settings in the order given, some of them more than once. */
struct net_option {
    const char *option; /* "-nic" or "-netdev", for messages */
    const char *kind;   /* "user", "stream", "dgram", "socket", "none" */
    const char *id;
    struct net_setting settings[NET_SETTINGS];
    unsigned setting_count;
};

struct nic_option {
    enum tick86_nic_model model;
    const char *id, *netdev; /* the network's id; NULL: no cable */
    struct net_option *net;  /* found when all options have been read; NULL: no cable */
    uint8_t mac[6];
    bool has_mac;
    unsigned slot;
    uint16_t iobase;
    uint8_t irq;
    const char *romfile; /* NULL: the usual one; "": none */
};

struct net_options {
    bool is_given; /* something was said, be it that there is no network */
    struct net_option nets[TICK86_NICS];
    unsigned net_count;
    struct nic_option nics[TICK86_NICS];
    unsigned nic_count;
    struct {
        const char *netdev, *path;
    } captures[NET_FILTERS]; /* -object filter-dump */
    unsigned capture_count;
    char text[NET_TEXT]; /* copies */
    size_t text_used;
};

/* Values of -nic, -netdev and -net. */
bool net_parse_nic(struct net_options *options, const char *value, struct error *err);
bool net_parse_netdev(struct net_options *options, const char *value, struct error *err);
bool net_parse_net(struct net_options *options, const char *value, struct error *err);
/* Whether a value of -device means a network card, and that value. */
bool net_is_device(const char *value);
bool net_parse_device(struct net_options *options, const char *value, struct error *err);
/* -object filter-dump. */
bool net_parse_object(struct net_options *options, const char *value, struct error *err);
/* After all: cards find their networks and get addresses. `gives_default`: without any option there is a card all the same. */
bool net_options_finish(struct net_options *options, bool gives_default, struct error *err);

/* The first value of `key`, or NULL. */
const char *net_setting(const struct net_option *net, const char *key);
/* "on", "off" or not given. False with `err` set for anything else. */
bool net_setting_flag(const struct net_option *net, const char *key, bool missing, bool *flag, struct error *err);

#endif
