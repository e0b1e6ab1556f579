/* net_address.c - addresses of networks made of sockets, as QEMU's options write them. */
#define _DEFAULT_SOURCE
#include "frontends/host/netdev.h"

#include <stdio.h>
#include <string.h>

static bool copy(const struct net_option *option, const char *key, const char *text, char *to, size_t size, struct error *err)
{
    if (strlen(text) >= size) {
        return error_set(err, "%s %s %s=%s: too long", option->option, option->kind, key, text);
    }
    strcpy(to, text);
    return true;
}

static const char *member(const struct net_option *option, const char *prefix, const char *name)
{
    char key[64];

    snprintf(key, sizeof key, "%s%s", prefix, name);
    return net_setting(option, key);
}

bool net_read_address(const struct net_option *option, const char *prefix, struct net_address *address, bool *is_given,
                      struct error *err)
{
    const char *type = member(option, prefix, "type"), *path = member(option, prefix, "path");
    const char *host = member(option, prefix, "host"), *port = member(option, prefix, "port");

    memset(address, 0, sizeof *address);
    *is_given = type != NULL || path != NULL || host != NULL || port != NULL;
    if (!*is_given) {
        return true;
    }
    if (type != NULL && strcmp(type, "inet") != 0 && strcmp(type, "unix") != 0) {
        error_set(err, "%s %s %stype=%s: not implemented", option->option, option->kind, prefix, type);
        return error_hint(err, "use %stype=inet or %stype=unix", prefix, prefix);
    }
    address->is_unix = type != NULL ? strcmp(type, "unix") == 0 : path != NULL;
    if (address->is_unix ? path == NULL : port == NULL) {
        error_set(err, "%s %s: %s%s is missing", option->option, option->kind, prefix, address->is_unix ? "path" : "port");
        return error_hint(err, "%stype=inet,%shost=127.0.0.1,%sport=5555 or %stype=unix,%spath=FILE", prefix, prefix, prefix,
                          prefix, prefix);
    }
    return copy(option, "path", path != NULL ? path : "", address->path, sizeof address->path, err) &&
           copy(option, "host", host != NULL ? host : "", address->host, sizeof address->host, err) &&
           copy(option, "port", port != NULL ? port : "", address->port, sizeof address->port, err);
}

bool net_split_address(const struct net_option *option, const char *key, const char *text, struct net_address *address,
                       struct error *err)
{
    const char *colon = strrchr(text, ':');
    const char *host = text;
    size_t length = colon != NULL ? (size_t)(colon - text) : 0;

    memset(address, 0, sizeof *address);
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        host++;
        length -= 2;
    }
    if (colon == NULL || colon[1] == '\0' || length >= sizeof address->host || strlen(colon + 1) >= sizeof address->port) {
        error_set(err, "%s %s %s=%s: not HOST:PORT", option->option, option->kind, key, text);
        return error_hint(err, "write %s=127.0.0.1:5555", key);
    }
    memcpy(address->host, host, length);
    strcpy(address->port, colon + 1);
    return true;
}
