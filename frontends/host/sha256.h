/* sha256.h - the hash by which scripts and tests know pictures. */
#ifndef FRONTENDS_HOST_SHA256_H
#define FRONTENDS_HOST_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, SHA256_HEX = 65 };

struct sha256 {
    uint32_t state[8];
    uint64_t size;
    uint8_t block[64];
};

void sha256_begin(struct sha256 *sha);
void sha256_add(struct sha256 *sha, const void *bytes, size_t size);
void sha256_end(struct sha256 *sha, uint8_t digest[SHA256_BYTES]);
/* The digest as lower case hexadecimal digits. */
void sha256_hex(const uint8_t digest[SHA256_BYTES], char text[SHA256_HEX]);

#endif
