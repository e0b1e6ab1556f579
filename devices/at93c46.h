/* at93c46.h - serial EEPROM of 64 words on three wires, as network chips have one for their address. */
#ifndef DEVICES_AT93C46_H
#define DEVICES_AT93C46_H

#include "mem/state.h"

#include <stdbool.h>
#include <stdint.h>

enum { AT93C46_WORDS = 64 };

struct at93c46 {
    uint16_t words[AT93C46_WORDS];
    uint16_t shift;    /* what came in: start bit, opcode, address; then data */
    uint16_t output;   /* what goes out, most significant bit first */
    uint8_t bits;      /* clocked since the start bit, which is the first */
    uint8_t command;   /* opcode and address, once they are complete */
    bool chip_select, clock; /* the wires as they were */
    bool data_out;
    bool is_writable;  /* EWEN was given */
    uint8_t pad_[2];
};
extern const struct field at93c46_fields[];

/* Not selected, write protected; keeps the words. */
void at93c46_reset(struct at93c46 *eeprom);
/* The wires change. `data_out` is then in eeprom->data_out. */
void at93c46_set(struct at93c46 *eeprom, bool chip_select, bool clock, bool data_in);
static inline uint16_t at93c46_word(const struct at93c46 *eeprom, unsigned address)
{
    return eeprom->words[address % AT93C46_WORDS];
}

#endif
