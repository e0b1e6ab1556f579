/* module.c - finds and loads parts of the program that are shared objects of their own. */
#include "frontends/module.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#if TICK86_MODULES
#include <dlfcn.h>
#include <unistd.h>

/* The first of the directories in TICK86_MODULE_DIRS, split by colons, that has the file. */
static bool find_file(const char *name, char *path, size_t size)
{
    for (const char *dir = TICK86_MODULE_DIRS; *dir != '\0';) {
        size_t length = strcspn(dir, ":");
        int wanted = snprintf(path, size, "%.*s/tick86-%s.so", (int)length, dir, name);
        if (wanted > 0 && (size_t)wanted < size && access(path, R_OK) == 0) {
            return true;
        }
        dir += length + (dir[length] == ':');
    }
    return false;
}

const void *module_load(const char *name, struct error *err)
{
    char path[1024], symbol[64];

    if (!find_file(name, path, sizeof path)) {
        error_set(err, "tick86-%s.so is not installed", name);
        error_hint(err, "it is built with tick86 where its library is found, and belongs into %s",
                   strrchr(TICK86_MODULE_DIRS, ':') != NULL ? strrchr(TICK86_MODULE_DIRS, ':') + 1 : TICK86_MODULE_DIRS);
        return NULL;
    }
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (object == NULL) {
        const char *why = dlerror();
        error_set(err, "cannot load '%s': %s", path, why != NULL ? why : "unknown error");
        return NULL;
    }
    snprintf(symbol, sizeof symbol, "tick86_module_%s", name);
    const void *const *offer = dlsym(object, symbol);
    if (offer == NULL) {
        error_set(err, "'%s' is no module of this tick86", path);
        return NULL;
    }
    return *offer;
}

#else

#define DECLARE(name) extern const void *const tick86_module_##name;
TICK86_BUILTIN_MODULES(DECLARE)

const void *module_load(const char *name, struct error *err)
{
#define FIND(wanted)                                                                                                   \
    if (strcmp(name, #wanted) == 0) {                                                                                  \
        return tick86_module_##wanted;                                                                                 \
    }
    TICK86_BUILTIN_MODULES(FIND)
    error_set(err, "this tick86 was built without %s", name);
    return NULL;
}
#endif
