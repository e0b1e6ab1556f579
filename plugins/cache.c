/* cache.c - a model of a data and an instruction cache: `-plugin tick86-plugin-cache.so[,size=KIB][,ways=N][,line=BYTES]`.
 *
 * Both caches are alike, physically indexed for data and by linear address for code, with least recently used lines replaced. At
 * the end it prints hits and misses. */
#include "frontends/tick86_plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const int tick86_plugin_version = TICK86_PLUGIN_VERSION;

struct cache {
    uint64_t *tags, *used; /* sets * ways */
    uint64_t hits, misses, now;
};
static struct {
    unsigned sets, ways, line;
    struct cache data, code;
} model;

static void touch(struct cache *cache, uint64_t address)
{
    uint64_t tag = address / model.line + 1; /* 0: empty */
    size_t first = (size_t)(tag % model.sets) * model.ways, oldest = first;

    cache->now++;
    for (size_t n = first; n < first + model.ways; n++) {
        if (cache->tags[n] == tag) {
            cache->used[n] = cache->now;
            cache->hits++;
            return;
        }
        oldest = cache->used[n] < cache->used[oldest] ? n : oldest;
    }
    cache->tags[oldest] = tag;
    cache->used[oldest] = cache->now;
    cache->misses++;
}

static void on_memory(void *context, unsigned cpu, uint64_t linear, uint64_t physical, unsigned size, bool is_write,
                      uint64_t value)
{
    (void)context, (void)cpu, (void)linear, (void)is_write, (void)value;
    touch(&model.data, physical);
    if (physical / model.line != (physical + size - 1) / model.line) {
        touch(&model.data, physical + size - 1);
    }
}

static void on_insn(void *context, unsigned cpu, uint64_t linear, unsigned bytes)
{
    (void)context, (void)cpu;
    touch(&model.code, linear);
    if (linear / model.line != (linear + bytes - 1) / model.line) {
        touch(&model.code, linear + bytes - 1);
    }
}

static unsigned number(const char *arguments, const char *name, unsigned otherwise)
{
    const char *at = strstr(arguments, name);

    return at != NULL ? (unsigned)strtoul(at + strlen(name), NULL, 0) : otherwise;
}

bool tick86_plugin_start(struct tick86 *machine, const char *arguments, struct error *err)
{
    const struct tick86_observer observer = {.context = &model, .memory = on_memory, .insn = on_insn};
    unsigned size = number(arguments, "size=", 32);

    model.ways = number(arguments, "ways=", 8);
    model.line = number(arguments, "line=", 64);
    if (size == 0 || size > 65536 || model.ways == 0 || model.line == 0 || size * 1024 < model.ways * model.line) {
        return error_set(err, "the cache plugin cannot model %u KiB of %u ways with lines of %u bytes", size, model.ways, model.line);
    }
    model.sets = size * 1024 / model.ways / model.line;
    size_t lines = (size_t)model.sets * model.ways;
    struct cache *caches[] = {&model.data, &model.code};
    for (unsigned n = 0; n < 2; n++) {
        caches[n]->tags = calloc(lines, sizeof(uint64_t));
        caches[n]->used = calloc(lines, sizeof(uint64_t));
        if (caches[n]->tags == NULL || caches[n]->used == NULL) {
            return error_set(err, "out of memory for a cache");
        }
    }
    return tick86_observe(machine, &observer) || error_set(err, "too many observe the machine");
}

static void report(const char *name, struct cache *cache)
{
    uint64_t total = cache->hits + cache->misses;

    fprintf(stderr, "%s cache: %llu accesses, %llu misses, %.3f %%\n", name, (unsigned long long)total,
            (unsigned long long)cache->misses, total != 0 ? 100.0 * (double)cache->misses / (double)total : 0.0);
    free(cache->tags);
    free(cache->used);
}

void tick86_plugin_end(struct tick86 *machine)
{
    tick86_unobserve(machine, &model);
    report("data", &model.data);
    report("instruction", &model.code);
}
