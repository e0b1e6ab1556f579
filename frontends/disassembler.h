/* disassembler.h - guest code as text, by capstone; a module (module.h) named "disassembler". */
#ifndef FRONTENDS_DISASSEMBLER_H
#define FRONTENDS_DISASSEMBLER_H

#include <stddef.h>
#include <stdint.h>

/* One instruction. */
typedef void disassembled_fn(void *context, uint64_t address, const uint8_t *bytes, unsigned size, const char *text);

struct disassembler {
    /* Calls `each` for every instruction of `bytes`, code of `bits` (16, 32 or 64) at `address`. Returns how many bytes were
     * instructions; it stops at the first that capstone does not know. */
    size_t (*run)(unsigned bits, uint64_t address, const uint8_t *bytes, size_t size, disassembled_fn *each, void *context);
};

/* The module, loaded at the first call; NULL where there is none. */
const struct disassembler *disassembler_get(void);

#endif
