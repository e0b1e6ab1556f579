/* plugin.c - plugins by dlopen; see tick86_plugin.h. A program without modules (static, or a host without them) has none. */
#include "frontends/plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if TICK86_MODULES
#include "frontends/tick86_plugin.h"

#include <dlfcn.h>

struct plugin {
    void *object;
    void (*end)(struct tick86 *machine);
};

typedef bool start_fn(struct tick86 *machine, const char *arguments, struct error *err);

/* POSIX says that what dlsym gives may be called; C needs the detour. */
static void find_function(void *object, const char *name, void *function)
{
    void *found = dlsym(object, name);

    memcpy(function, &found, sizeof found);
}

static struct plugin *fail(void *object)
{
    if (object != NULL) {
        dlclose(object);
    }
    return NULL;
}

struct plugin *plugin_load(const char *spec, struct tick86 *machine, struct error *err)
{
    char path[1024];
    const char *comma = strchr(spec, ',');
    start_fn *start = NULL;
    struct plugin plugin = {0};

    /* Without a slash the loader would look into the system's directories. */
    snprintf(path, sizeof path, "%s%.*s", strchr(spec, '/') == NULL ? "./" : "",
             (int)(comma != NULL ? comma - spec : (long)strlen(spec)), spec);
    plugin.object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (plugin.object == NULL) {
        const char *why = dlerror();
        error_set(err, "cannot load plugin '%s': %s", path, why != NULL ? why : "unknown error");
        return NULL;
    }
    const int *version = dlsym(plugin.object, "tick86_plugin_version");
    find_function(plugin.object, "tick86_plugin_start", &start);
    find_function(plugin.object, "tick86_plugin_end", &plugin.end);
    if (version == NULL || start == NULL || plugin.end == NULL || *version != TICK86_PLUGIN_VERSION) {
        error_set(err, "'%s' is no plugin of this tick86", path);
        error_hint(err, "frontends/tick86_plugin.h says what it must define; its version is %d", TICK86_PLUGIN_VERSION);
        return fail(plugin.object);
    }
    struct plugin *kept = malloc(sizeof *kept);
    if (kept == NULL) {
        error_set(err, "out of memory for a plugin");
        return fail(plugin.object);
    }
    *kept = plugin;
    if (!start(machine, comma != NULL ? comma + 1 : "", err)) {
        free(kept);
        return fail(plugin.object);
    }
    return kept;
}

void plugin_end(struct plugin *plugin, struct tick86 *machine)
{
    if (plugin != NULL) {
        plugin->end(machine);
        dlclose(plugin->object);
        free(plugin);
    }
}

#else

struct plugin *plugin_load(const char *spec, struct tick86 *machine, struct error *err)
{
    (void)machine;
    error_set(err, "-plugin %s: this tick86 was built without loadable parts", spec);
    return NULL;
}

void plugin_end(struct plugin *plugin, struct tick86 *machine)
{
    (void)plugin;
    (void)machine;
}

#endif
