/* tick86_cpu.h - models of processors for embedding programs and frontends. */
#ifndef MACHINE_TICK86_CPU_H
#define MACHINE_TICK86_CPU_H

#include <stdbool.h>
#include <stddef.h>

struct error;

/* Checks "MODEL[,+feature,-feature]", what tick86_config's cpu_model takes. */
bool tick86_cpu_check(const char *text, struct error *err);

/* The nth model and the names of its features, separated by blanks; false when there is no nth. */
bool tick86_cpu_describe(size_t n, const char **name, char *features, size_t size);

#endif
