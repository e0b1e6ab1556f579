/* block_probe.h - headers by which an image would be taken for another format. */
#ifndef FRONTENDS_HOST_BLOCK_PROBE_H
#define FRONTENDS_HOST_BLOCK_PROBE_H

#include <stdbool.h>
#include <stdint.h>

/* Whether a file that begins (ends) with this sector is taken for an image format other than raw. */
bool block_is_format_header(const uint8_t sector[512]);
bool block_is_format_footer(const uint8_t sector[512]);

#endif
