/* memory.h - guest RAM and whole files in host memory. */
#ifndef FRONTENDS_HOST_MEMORY_H
#define FRONTENDS_HOST_MEMORY_H

#include "machine/tick86.h"

/* `size` bytes of zeroed memory of which the host gives pages only when they are touched. NULL with `err` set. */
uint8_t *host_memory_map(uint64_t size, struct error *err);
void host_memory_unmap(uint8_t *memory, uint64_t size);

/* A file's bytes, mapped; `what` ("kernel") is for messages. blob->name is `path`. False with `err` set. */
bool host_file_map(struct tick86_blob *blob, const char *path, const char *what, struct error *err);
void host_file_unmap(struct tick86_blob *blob);
/* Lets the host take back the pages of a mapped file; the next access reads them again. */
void host_file_relax(const struct tick86_blob *blob);

#endif
