/* tick86_plugin.h - what a plugin is: a shared object that watches the machine. Loaded by -plugin FILE[,ARGUMENTS].
 *
 * It defines the two functions below and may call everything of machine/tick86.h and machine/tick86_debug.h, most of all
 * tick86_observe, and frontends/symbols.h with what tick86_plugin_symbols gives. Observers must not change the machine: then a run
 * with plugins retires the same instructions as one without. Three examples are in plugins/, the guide in docs/debugging.md. */
#ifndef FRONTENDS_TICK86_PLUGIN_H
#define FRONTENDS_TICK86_PLUGIN_H

#include "machine/tick86_debug.h"

/* Grows when one of the headers above changes in a way that old plugins would not survive. */
#define TICK86_PLUGIN_VERSION 1

/* In the plugin: `const int tick86_plugin_version = TICK86_PLUGIN_VERSION;` */
extern const int tick86_plugin_version;

/* Called once, before the machine runs. `arguments` is what stood behind the comma, or "". False with `err` set ends tick86. */
bool tick86_plugin_start(struct tick86 *machine, const char *arguments, struct error *err);
/* Called when the machine will not run any more, and is still there. */
void tick86_plugin_end(struct tick86 *machine);

#endif
