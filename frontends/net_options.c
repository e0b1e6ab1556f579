/* net_options.c - -nic, -netdev, -net and network cards of -device, named as in qemu-system-i386(1), 7.2, "Network options".
 *
 * Keys are checked here; what their values mean is known where networks are opened (frontends/host/netdev.h).
 * Our own: hostloopback (frontends/modules/slirp.c), capture, and the model rtl8139c.
 * Not implemented: tap, bridge, l2tpv3, vde, vhost-user, hubport; several cards on one network. */
#define _DEFAULT_SOURCE
#include "frontends/net_options.h"
#include "frontends/options.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct model {
    const char *name;
    enum tick86_nic_model model;
} models[] = {
    {"e1000", NIC_E1000},       {"e1000-82540em", NIC_E1000}, {"rtl8139", NIC_RTL8139}, {"rtl8139c", NIC_RTL8139C},
    {"ne2k_pci", NIC_NE2K_PCI}, {"ne2k_isa", NIC_NE2K_ISA},
};
enum { MODELS = sizeof models / sizeof models[0] };
#define MODEL_NAMES "e1000, rtl8139, rtl8139c, ne2k_pci or ne2k_isa"

/* Keys of each kind of network. */
static const struct kind {
    const char *name, *keys;
} kinds[] = {
    {"user", " net host restrict hostname dhcpstart dns dnssearch domainname tftp bootfile tftp-server-name hostfwd guestfwd"
             " ipv4 ipv6 ipv6-net ipv6-host ipv6-dns hostloopback capture "},
    {"stream", " server addr.type addr.host addr.port addr.path reconnect capture "},
    {"dgram", " local.type local.host local.port local.path remote.type remote.host remote.port remote.path capture "},
    {"socket", " listen connect udp localaddr mcast capture "},
    {"none", " "},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static const char *keep(struct net_options *options, const char *text)
{
    size_t size = strlen(text) + 1;

    if (size > NET_TEXT - options->text_used) {
        return NULL;
    }
    char *at = &options->text[options->text_used];
    memcpy(at, text, size);
    options->text_used += size;
    return at;
}

const char *net_setting(const struct net_option *net, const char *key)
{
    for (unsigned n = 0; n < net->setting_count; n++) {
        if (strcmp(net->settings[n].key, key) == 0) {
            return net->settings[n].value;
        }
    }
    return NULL;
}

bool net_setting_flag(const struct net_option *net, const char *key, bool missing, bool *flag, struct error *err)
{
    const char *value = net_setting(net, key);

    if (value != NULL && strcmp(value, "on") != 0 && strcmp(value, "off") != 0) {
        error_set(err, "%s %s %s=%s: not on or off", net->option, net->kind, key, value);
        return error_hint(err, "write %s=on or %s=off", key, key);
    }
    *flag = value != NULL ? strcmp(value, "on") == 0 : missing;
    return true;
}

static const struct kind *find_kind(const char *name)
{
    for (unsigned n = 0; n < KINDS; n++) {
        if (strcmp(kinds[n].name, name) == 0) {
            return &kinds[n];
        }
    }
    return NULL;
}

static const struct model *find_model(const char *name)
{
    for (unsigned n = 0; n < MODELS; n++) {
        if (strcmp(models[n].name, name) == 0) {
            return &models[n];
        }
    }
    return NULL;
}

static bool has_word(const char *words, const char *word)
{
    char spaced[80] = " ";

    if (strlen(word) == 0 || strlen(word) > sizeof spaced - 3 || strchr(word, ' ') != NULL) {
        return false;
    }
    strcat(strcat(spaced, word), " ");
    return strstr(words, spaced) != NULL;
}

static bool too_much(const char *option, struct error *err)
{
    return error_set(err, "%s: more settings than fit", option);
}

/* ---- the card's part ---- */

static bool parse_mac(const char *text, uint8_t mac[6])
{
    for (unsigned n = 0; n < 6; n++) {
        if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) ||
            (n < 5 ? text[2] != ':' && text[2] != '-' : text[2] != '\0')) {
            return false;
        }
        mac[n] = (uint8_t)strtoul((char[]){text[0], text[1], '\0'}, NULL, 16);
        text += n < 5 ? 3 : 2;
    }
    return (mac[0] & 1) == 0;
}

static bool read_number(const char *text, unsigned long limit, unsigned long *number)
{
    char *end;

    if (!isxdigit((unsigned char)text[0])) {
        return false;
    }
    *number = strtoul(text, &end, 0);
    return *end == '\0' && *number <= limit;
}

static bool bad_nic_value(const char *option, const struct pair *pair, const char *hint, struct error *err)
{
    error_set(err, "%s %s=%s cannot be", option, pair->key, pair->value);
    return error_hint(err, "%s", hint);
}

/* One setting of a card. `*is_known` tells whether it is one. */
static bool set_nic(struct net_options *options, struct nic_option *nic, const char *option, const struct pair *pair,
                    bool *is_known, struct error *err)
{
    const char *key = pair->key, *value = pair->value;
    unsigned long number = 0;

    *is_known = true;
    if (strcmp(key, "mac") == 0 || strcmp(key, "macaddr") == 0) {
        if (!parse_mac(value, nic->mac)) {
            return bad_nic_value(option, pair, "a card's address is six bytes, the first of them even: mac=52:54:00:12:34:56", err);
        }
        nic->has_mac = true;
    } else if (strcmp(key, "addr") == 0) {
        char *end;
        number = strtoul(value, &end, 16);
        if (!isxdigit((unsigned char)value[0]) || (*end != '\0' && strcmp(end, ".0") != 0) || number == 0 || number > 31) {
            return bad_nic_value(option, pair, "addr is a PCI slot in hexadecimal, 1 to 1f", err);
        }
        nic->slot = (unsigned)number;
    } else if (strcmp(key, "iobase") == 0) {
        if (!read_number(value, 0x3e0, &number) || number < 0x200 || number % 0x20 != 0) {
            return bad_nic_value(option, pair, "iobase is 0x200 to 0x3e0 in steps of 0x20", err);
        }
        nic->iobase = (uint16_t)number;
    } else if (strcmp(key, "irq") == 0) {
        if (!read_number(value, 15, &number) || number < 3 || number == 8 || number == 13) {
            return bad_nic_value(option, pair, "irq is one of 3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15", err);
        }
        nic->irq = (uint8_t)number;
    } else if (strcmp(key, "romfile") == 0) {
        nic->romfile = keep(options, value);
        return nic->romfile != NULL || too_much(option, err);
    } else if (strcmp(key, "bootindex") == 0) {
        if (!read_number(value, 100000, &number)) {
            return bad_nic_value(option, pair, "bootindex is a number; -boot n boots from the network first", err);
        }
    } else {
        *is_known = false;
    }
    return true;
}

static struct nic_option *new_nic(struct net_options *options, const char *option, struct error *err)
{
    options->is_given = true;
    if (options->nic_count == TICK86_NICS) {
        error_set(err, "%s: more than %d network cards", option, TICK86_NICS);
        return NULL;
    }
    struct nic_option *nic = &options->nics[options->nic_count++];
    *nic = (struct nic_option){.model = NIC_E1000};
    return nic;
}

static bool set_model(struct nic_option *nic, const char *option, const char *name, struct error *err)
{
    const struct model *model = find_model(name);

    if (model == NULL) {
        error_set(err, "%s: there is no network card '%s'", option, name);
        return error_hint(err, "use model=" MODEL_NAMES);
    }
    nic->model = model->model;
    return true;
}

/* ---- networks ---- */

static struct net_option *new_net(struct net_options *options, const char *option, const char *kind, struct error *err)
{
    const struct kind *known = find_kind(kind);

    options->is_given = true;
    if (known == NULL) {
        error_set(err, "%s %s: there is no such network", option, kind);
        error_hint(err, "use %s user, stream, dgram, socket or none", option);
        return NULL;
    }
    if (options->net_count == TICK86_NICS) {
        error_set(err, "%s: more than %d networks", option, TICK86_NICS);
        return NULL;
    }
    struct net_option *net = &options->nets[options->net_count++];
    *net = (struct net_option){.option = option, .kind = known->name};
    return net;
}

static bool set_net(struct net_options *options, struct net_option *net, const struct pair *pair, struct error *err)
{
    bool is_id = strcmp(pair->key, "id") == 0;

    if (!is_id && !has_word(find_kind(net->kind)->keys, pair->key)) {
        error_set(err, "%s %s has no setting '%s'", net->option, net->kind, pair->key);
        return error_hint(err, "it has id%s%s", find_kind(net->kind)->keys,
                          strcmp(net->option, "-nic") == 0 ? "model mac addr romfile" : "");
    }
    const char *key = keep(options, pair->key);
    const char *value = keep(options, pair->has_value ? pair->value : "on");
    if (key == NULL || value == NULL || net->setting_count == NET_SETTINGS) {
        return too_much(net->option, err);
    }
    if (is_id) {
        net->id = value;
    } else {
        net->settings[net->setting_count++] = (struct net_setting){key, value};
    }
    return true;
}

bool net_parse_nic(struct net_options *options, const char *value, struct error *err)
{
    const char *list = value;
    struct pair pair;
    bool is_card;

    if (!options_next_pair(&list, &pair)) {
        error_set(err, "-nic does not take '%s'", value);
        return error_hint(err, "-nic user,model=e1000, or -nic none");
    }
    if (strcmp(pair.key, "none") == 0 && !pair.has_value && *list == '\0') {
        options->is_given = true;
        return true;
    }
    struct net_option *net = new_net(options, "-nic", pair.key, err);
    struct nic_option *nic = net != NULL ? new_nic(options, "-nic", err) : NULL;
    if (nic == NULL) {
        return false;
    }
    nic->net = net;
    while (options_next_pair(&list, &pair)) {
        if (strcmp(pair.key, "model") == 0) {
            is_card = true;
            if (!set_model(nic, "-nic", pair.value, err)) {
                return false;
            }
        } else if (!set_nic(options, nic, "-nic", &pair, &is_card, err)) {
            return false;
        }
        if (!is_card && !set_net(options, net, &pair, err)) {
            return false;
        }
    }
    return true;
}

bool net_parse_netdev(struct net_options *options, const char *value, struct error *err)
{
    const char *list = value;
    struct pair pair;

    if (!options_next_pair(&list, &pair)) {
        error_set(err, "-netdev does not take '%s'", value);
        return error_hint(err, "-netdev user,id=net0");
    }
    struct net_option *net = new_net(options, "-netdev", pair.key, err);
    if (net == NULL) {
        return false;
    }
    while (options_next_pair(&list, &pair)) {
        if (!set_net(options, net, &pair, err)) {
            return false;
        }
    }
    if (net->id == NULL) {
        error_set(err, "-netdev %s has no id", net->kind);
        return error_hint(err, "-netdev %s,id=net0 -device e1000,netdev=net0", net->kind);
    }
    for (unsigned n = 0; n + 1 < options->net_count; n++) {
        if (options->nets[n].id != NULL && strcmp(options->nets[n].id, net->id) == 0) {
            return error_set(err, "two networks have the id '%s'", net->id);
        }
    }
    return true;
}

/* The old pair -net nic -net user; none is all that has no better way. */
bool net_parse_net(struct net_options *options, const char *value, struct error *err)
{
    if (strcmp(value, "none") == 0) {
        options->is_given = true;
        return true;
    }
    error_set(err, "-net %s is not implemented", value);
    return error_hint(err, "use -nic user,model=e1000 (or -net none)");
}

bool net_is_device(const char *value)
{
    size_t length = strcspn(value, ",");

    for (unsigned n = 0; n < MODELS; n++) {
        if (strlen(models[n].name) == length && memcmp(models[n].name, value, length) == 0) {
            return true;
        }
    }
    return false;
}

bool net_parse_device(struct net_options *options, const char *value, struct error *err)
{
    const char *list = value;
    struct pair pair;
    struct nic_option *nic = new_nic(options, "-device", err);
    bool is_known;

    if (nic == NULL || !options_next_pair(&list, &pair) || !set_model(nic, "-device", pair.key, err)) {
        return false;
    }
    while (options_next_pair(&list, &pair)) {
        if (strcmp(pair.key, "netdev") == 0 || strcmp(pair.key, "id") == 0) {
            const char *name = keep(options, pair.value);
            if (name == NULL) {
                return too_much("-device", err);
            }
            *(pair.key[0] == 'n' ? &nic->netdev : &nic->id) = name;
            continue;
        }
        if (!set_nic(options, nic, "-device", &pair, &is_known, err)) {
            return false;
        }
        if (!is_known) {
            error_set(err, "-device network card has no setting '%s'", pair.key);
            return error_hint(err, "it has id, netdev, mac, addr, romfile, and as ne2k_isa iobase and irq");
        }
    }
    return true;
}

bool net_parse_object(struct net_options *options, const char *value, struct error *err)
{
    const char *list = value;
    struct pair pair;
    const char *netdev = NULL, *file = NULL;

    if (!options_next_pair(&list, &pair) || strcmp(pair.key, "filter-dump") != 0) {
        error_set(err, "-object does not take '%s'", value);
        return error_hint(err, "there is filter-dump,netdev=ID,file=FILE");
    }
    while (options_next_pair(&list, &pair)) {
        if (strcmp(pair.key, "netdev") == 0) {
            netdev = keep(options, pair.value);
        } else if (strcmp(pair.key, "file") == 0) {
            file = keep(options, pair.value);
        } else if (strcmp(pair.key, "id") != 0) {
            error_set(err, "-object filter-dump has no setting '%s'", pair.key);
            return error_hint(err, "it has id, netdev and file");
        }
    }
    if (netdev == NULL || file == NULL || options->capture_count == NET_FILTERS) {
        error_set(err, "-object filter-dump needs a network and a file");
        return error_hint(err, "-object filter-dump,netdev=net0,file=net0.pcapng");
    }
    options->captures[options->capture_count].netdev = netdev;
    options->captures[options->capture_count++].path = file;
    return true;
}

/* ---- all together ---- */

static struct net_option *find_net(struct net_options *options, const char *id)
{
    for (unsigned n = 0; n < options->net_count; n++) {
        if (options->nets[n].id != NULL && strcmp(options->nets[n].id, id) == 0) {
            return &options->nets[n];
        }
    }
    return NULL;
}

static bool add_captures(struct net_options *options, struct error *err)
{
    for (unsigned n = 0; n < options->capture_count; n++) {
        struct net_option *net = find_net(options, options->captures[n].netdev);
        if (net == NULL) {
            return error_set(err, "-object filter-dump: there is no network '%s'", options->captures[n].netdev);
        }
        if (net->setting_count == NET_SETTINGS) {
            return too_much(net->option, err);
        }
        net->settings[net->setting_count++] = (struct net_setting){"capture", options->captures[n].path};
    }
    return true;
}

bool net_options_finish(struct net_options *options, bool gives_default, struct error *err)
{
    if (!options->is_given && gives_default && !net_parse_nic(options, "user", err)) {
        return false;
    }
    for (unsigned n = 0; n < options->nic_count; n++) {
        struct nic_option *nic = &options->nics[n];
        if (nic->netdev != NULL) {
            nic->net = find_net(options, nic->netdev);
            if (nic->net == NULL) {
                error_set(err, "-device: there is no network '%s'", nic->netdev);
                return error_hint(err, "-netdev user,id=%s makes one", nic->netdev);
            }
        }
        for (unsigned other = 0; other < n; other++) {
            if (nic->net != NULL && options->nics[other].net == nic->net) {
                error_set(err, "two network cards are on the network '%s'", nic->net->id != NULL ? nic->net->id : nic->net->kind);
                return error_hint(err, "give each card a network of its own");
            }
        }
        if (!nic->has_mac) {
            static const uint8_t first[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
            memcpy(nic->mac, first, sizeof first);
            nic->mac[5] = (uint8_t)(first[5] + n);
        }
    }
    return add_captures(options, err);
}
