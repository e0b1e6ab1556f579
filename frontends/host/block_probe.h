/* block_probe.h - headers by which an image would be taken for another format. */
#ifndef FRONTENDS_HOST_BLOCK_PROBE_H
#define FRONTENDS_HOST_BLOCK_PROBE_H

#include "frontends/host/block.h"
#include "frontends/host/block_file.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether a file that begins (ends) with this sector is taken for an image format other than raw. */
bool block_is_format_header(const uint8_t sector[512]);
/* What an open file is. */
enum file_content block_probe_file(struct host_file *file, struct error *err);
bool block_is_format_footer(const uint8_t sector[512]);

#endif
