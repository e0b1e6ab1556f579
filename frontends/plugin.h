/* plugin.h - loads what tick86_plugin.h describes. */
#ifndef FRONTENDS_PLUGIN_H
#define FRONTENDS_PLUGIN_H

#include "machine/tick86.h"

enum { PLUGINS_MAX = 4 };

struct plugin;

/* "FILE[,ARGUMENTS]". NULL with `err` set. */
struct plugin *plugin_load(const char *spec, struct tick86 *machine, struct error *err);
void plugin_end(struct plugin *plugin, struct tick86 *machine);

#endif
