/* slirp_config.c - the settings of -netdev user as libslirp's configuration. Addresses without a word are QEMU's: network
 * 10.0.2.0/24 with router .2, DNS .3, leases from .15; fec0::/64 with router ::2, DNS ::3. */
#define _DEFAULT_SOURCE
#include "frontends/modules/slirp.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool bad(const struct net_option *option, const char *key, const char *value, const char *hint, struct error *err)
{
    error_set(err, "%s user %s=%s cannot be", option->option, key, value);
    return error_hint(err, "%s", hint);
}

/* An address in the network whose low part is `number`, unless the option gives one. */
static bool read_address(const struct net_option *option, const char *key, const SlirpConfig *config, uint32_t number,
                         struct in_addr *address, struct error *err)
{
    const char *value = net_setting(option, key);

    if (value == NULL) {
        address->s_addr = config->vnetwork.s_addr | htonl(number & ~ntohl(config->vnetmask.s_addr));
        return true;
    }
    if (inet_pton(AF_INET, value, address) != 1 ||
        (address->s_addr & config->vnetmask.s_addr) != config->vnetwork.s_addr) {
        return bad(option, key, value, "it is an IPv4 address within net", err);
    }
    return true;
}

/* net=ADDRESS[/BITS or /MASK]. */
static bool read_network(const struct net_option *option, SlirpConfig *config, struct error *err)
{
    const char *value = net_setting(option, "net");
    const char *text = value != NULL ? value : "10.0.2.0/24";
    const char *slash = strchr(text, '/');
    char address[64] = "";
    size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);

    if (length < sizeof address) {
        memcpy(address, text, length);
    }
    config->vnetmask.s_addr = htonl(UINT32_C(0xffffff00));
    bool is_good = inet_pton(AF_INET, address, &config->vnetwork) == 1;
    if (is_good && slash != NULL && inet_pton(AF_INET, slash + 1, &config->vnetmask) != 1) {
        char *end;
        unsigned long bits = strtoul(slash + 1, &end, 10);
        is_good = end != slash + 1 && *end == '\0' && bits >= 4 && bits <= 28;
        config->vnetmask.s_addr = is_good ? htonl(UINT32_MAX << (32 - bits)) : 0;
    }
    if (!is_good) {
        return bad(option, "net", text, "write net=10.0.2.0/24", err);
    }
    config->vnetwork.s_addr &= config->vnetmask.s_addr;
    return read_address(option, "host", config, 2, &config->vhost, err) &&
           read_address(option, "dns", config, 3, &config->vnameserver, err) &&
           read_address(option, "dhcpstart", config, 15, &config->vdhcp_start, err);
}

static bool read_address6(const struct net_option *option, const char *key, const SlirpConfig *config, uint8_t number,
                          struct in6_addr *address, struct error *err)
{
    const char *value = net_setting(option, key);

    if (value != NULL && inet_pton(AF_INET6, value, address) != 1) {
        return bad(option, key, value, "it is an IPv6 address", err);
    }
    if (value == NULL) {
        *address = config->vprefix_addr6;
        address->s6_addr[15] |= number;
    }
    return true;
}

static bool read_network6(const struct net_option *option, SlirpConfig *config, struct error *err)
{
    const char *value = net_setting(option, "ipv6-net");
    const char *text = value != NULL ? value : "fec0::/64";
    const char *slash = strchr(text, '/');
    char address[64] = "", *end;
    size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
    unsigned long bits = slash != NULL ? strtoul(slash + 1, &end, 10) : 64;

    if (length < sizeof address) {
        memcpy(address, text, length);
    }
    if (inet_pton(AF_INET6, address, &config->vprefix_addr6) != 1 || bits == 0 || bits > 126 ||
        (slash != NULL && *end != '\0')) {
        return bad(option, "ipv6-net", text, "write ipv6-net=fec0::/64", err);
    }
    config->vprefix_len = (uint8_t)bits;
    return read_address6(option, "ipv6-host", config, 2, &config->vhost6, err) &&
           read_address6(option, "ipv6-dns", config, 3, &config->vnameserver6, err);
}

static bool read_names(struct user_net *net, const struct net_option *option, struct error *err)
{
    SlirpConfig *config = &net->config;
    unsigned count = 0;
    struct stat status;

    config->vhostname = net_setting(option, "hostname");
    config->vdomainname = net_setting(option, "domainname");
    config->tftp_path = net_setting(option, "tftp");
    config->bootfile = net_setting(option, "bootfile");
    config->tftp_server_name = net_setting(option, "tftp-server-name");
    if (config->tftp_path != NULL && (stat(config->tftp_path, &status) != 0 || !S_ISDIR(status.st_mode))) {
        return bad(option, "tftp", config->tftp_path, "it is the folder whose files the guest may read", err);
    }
    if (config->vhostname != NULL && strlen(config->vhostname) > 32) {
        return bad(option, "hostname", config->vhostname, "a host's name has at most 32 characters", err);
    }
    if (config->bootfile != NULL && strlen(config->bootfile) > 127) {
        return bad(option, "bootfile", config->bootfile, "BOOTP has room for 127 characters (RFC 951)", err);
    }
    if (config->tftp_server_name != NULL && strlen(config->tftp_server_name) > 127) {
        return bad(option, "tftp-server-name", config->tftp_server_name, "at most 127 characters", err);
    }
    for (unsigned n = 0; n < option->setting_count; n++) {
        if (strcmp(option->settings[n].key, "dnssearch") == 0 &&
            count + 1 < sizeof net->domains / sizeof net->domains[0]) {
            net->domains[count++] = option->settings[n].value;
        }
    }
    config->vdnssearch = count != 0 ? net->domains : NULL;
    return true;
}

bool slirp_read_config(struct user_net *net, const struct net_option *option, struct error *err)
{
    SlirpConfig *config = &net->config;
    bool is_restricted = false, has_ipv4 = true, has_ipv6 = true;

    if (!net_setting_flag(option, "restrict", false, &is_restricted, err) ||
        !net_setting_flag(option, "ipv4", true, &has_ipv4, err) || !net_setting_flag(option, "ipv6", true, &has_ipv6, err) ||
        !net_setting_flag(option, "hostloopback", false, &net->has_host_loopback, err) ||
        !read_network(option, config, err) || !read_network6(option, config, err) || !read_names(net, option, err)) {
        return false;
    }
    if (!has_ipv4 && !has_ipv6) {
        error_set(err, "%s user ipv4=off,ipv6=off leaves nothing", option->option);
        return error_hint(err, "-nic none is no network");
    }
    config->version = 1;
    config->restricted = is_restricted;
    config->in_enabled = has_ipv4;
    config->in6_enabled = has_ipv6;
    config->disable_host_loopback = !net->has_host_loopback;
    return true;
}

/* ---- the host's loopback ---- */

/* Destinations at which the host's sockets answer as itself: 127.0.0.0/8, and 0.0.0.0/8, which Linux connects to itself. */
static bool is_loopback4(const uint8_t *address)
{
    return address[0] == 127 || address[0] == 0;
}

/* ::, ::1 and the rest of ::/96; IPv4 within ::ffff:0:0/96 and 64:ff9b::/96. */
static bool is_loopback6(const uint8_t *address)
{
    static const uint8_t zeros[12], mapped[12] = {[10] = 0xff, [11] = 0xff}, translated[12] = {0, 0x64, 0xff, 0x9b};

    return memcmp(address, zeros, sizeof zeros) == 0 || memcmp(address, mapped, sizeof mapped) == 0 ||
           (memcmp(address, translated, sizeof translated) == 0 && is_loopback4(address + 12));
}

bool slirp_is_loopback(const uint8_t *frame, size_t size)
{
    enum { HEADER = 14, IPV4_DESTINATION = HEADER + 16, IPV6_DESTINATION = HEADER + 24 };
    unsigned type = size >= HEADER ? (unsigned)frame[12] << 8 | frame[13] : 0;

    return (type == 0x0800 && size >= IPV4_DESTINATION + 4 && is_loopback4(frame + IPV4_DESTINATION)) ||
           (type == 0x86dd && size >= IPV6_DESTINATION + 16 && is_loopback6(frame + IPV6_DESTINATION));
}
