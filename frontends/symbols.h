/* symbols.h - names of addresses: from ELF files, System.map and kallsyms lists, and from a Linux kernel in guest memory. */
#ifndef FRONTENDS_SYMBOLS_H
#define FRONTENDS_SYMBOLS_H

#include "machine/tick86_debug.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct symbols;

struct symbols *symbols_create(void);
void symbols_destroy(struct symbols *symbols);
size_t symbols_count(const struct symbols *symbols);

/* "FILE[@BASE]": an ELF file of any kind (32 or 64 bits) with a symbol table, or a list as in System.map and /proc/kallsyms.
 * BASE is added to every address. Returns how many names were found, 0 with `err` set. */
size_t symbols_load(struct symbols *symbols, const char *spec, struct error *err);
/* The kallsyms tables of a Linux kernel (2.6.10 and later) that lies in guest RAM, unpacked. Returns how many, 0 with `err` set. */
size_t symbols_scan_kernel(struct symbols *symbols, const struct tick86 *machine, struct error *err);

/* The address of a name. */
bool symbols_find(const struct symbols *symbols, const char *name, uint64_t *address);
/* The nearest name at or before an address, at most 16 MiB away; NULL when there is none. */
const char *symbols_name(const struct symbols *symbols, uint64_t address, uint64_t *offset);
/* "name+0x12", or "" */
const char *symbols_text(const struct symbols *symbols, uint64_t address, char *text, size_t size);

/* Writes an ELF file with nothing but a symbol table, which gdb takes by `symbol-file`. */
bool symbols_write_elf(const struct symbols *symbols, const char *path, bool is_64, struct error *err);

#endif
